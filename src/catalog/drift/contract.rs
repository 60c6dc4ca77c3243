//! What an operation promises, made ready to judge by: each schema is compiled when a message first
//! asks for it, and kept within a budget.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use super::schema::{FORMATS, Flat, Reader, kinds, names_of};
use super::security::{self, Security};
use crate::catalog::spec::{Operation, OperationId, Place, Spec, SpecSet};

/// Parts of all schemas that are kept compiled, some kilobytes each; past it they are made again.
const MAX_PARTS: usize = 100_000;
/// Parts that stand for what a contract without schemas takes.
const BASE: usize = 4;

/// The contracts of the operations that have traffic.
#[derive(Default)]
pub(in crate::catalog) struct Contracts {
    known: HashMap<OperationId, Contract>,
    parts: usize,
}

impl Contracts {
    pub(super) fn of<'s>(
        &mut self,
        specs: &'s SpecSet,
        id: OperationId,
    ) -> Option<(&mut Contract, &'s Spec, &'s Operation)> {
        let (spec, operation) = specs.operation(id)?;
        if self.parts > MAX_PARTS {
            *self = Self::default();
        }
        let contract = match self.known.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                self.parts += BASE;
                new.insert(Contract::new(spec, operation)?)
            }
        };
        self.parts += std::mem::take(&mut contract.new_parts);
        Some((contract, spec, operation))
    }
}

pub(super) struct Contract {
    pub(super) query: Schema,
    /// Names in lower case.
    pub(super) headers: Parameters,
    pub(super) security: Security,
    /// `None`: no body is documented.
    pub(super) request: Option<Content>,
    pub(super) request_required: bool,
    /// By status as the document has it: `200`, `4XX`, `default`.
    pub(super) responses: BTreeMap<String, Content>,
    new_parts: usize,
}

/// Parameters of one place.
#[derive(Default)]
pub(super) struct Parameters {
    pub(super) names: BTreeMap<String, Parameter>,
    /// Any name may be one.
    open: bool,
}

pub(super) struct Parameter {
    pub(super) required: bool,
    /// Takes what text may stand for.
    schema: Value,
}

/// Media types of a message, each with its schema.
#[derive(Default)]
pub(super) struct Content(pub(super) Vec<(String, Schema)>);

pub(super) enum Schema {
    Unread,
    Ready(Box<Validator>),
    /// Says nothing, or cannot be read.
    Nothing,
}

/// Which of an operation's schemas.
#[derive(Clone, Copy)]
pub(super) enum Of<'k> {
    Request,
    Response(&'k str),
}

impl Contract {
    fn new(spec: &Spec, operation: &Operation) -> Option<Self> {
        let (item, own) = spec.place(operation)?;
        let document = &*spec.document;
        let root = document.root();
        let reader = Reader::new(document, false);
        let mut contract = Self {
            query: Schema::Nothing,
            headers: Parameters::default(),
            security: Security::of(document, own),
            request: None,
            request_required: false,
            responses: BTreeMap::new(),
            new_parts: 0,
        };
        let (mut query, mut form) = (Parameters::default(), Parameters::default());
        // An operation's own parameter stands before the path item's of the same name.
        for list in [own, item] {
            let parameters = list.child("parameters").into_iter().flat_map(Place::items);
            for parameter in parameters.filter_map(|p| document.follow(p)) {
                let place = parameter.str("in").unwrap_or_default();
                match place {
                    "query" | "querystring" => query.add(&reader, parameter, false),
                    "header" => contract.headers.add(&reader, parameter, true),
                    "formData" => form.add(&reader, parameter, false),
                    "body" if contract.request.is_none() => {
                        contract.request_required |= parameter.is("required");
                        contract.request = Some(Content::consumed(root, own, "consumes"));
                    }
                    _ => {}
                }
            }
        }
        for key in security::keys(document) {
            match key.str("in") {
                Some("query") => query.add(&reader, key, false),
                Some("header") => contract.headers.add(&reader, key, true),
                _ => {}
            }
        }
        contract.query = query.schema();
        if !form.names.is_empty() {
            let media = ["application/x-www-form-urlencoded", "multipart/form-data"];
            let one = |media: &str| (media.to_owned(), form.schema());
            contract.request = Some(Content(media.into_iter().map(one).collect()));
        }
        if let Some(body) = document.get(own, "requestBody") {
            contract.request_required = body.is("required");
            contract.request = Some(Content::listed(body));
        }
        let responses = own.child("responses").into_iter().flat_map(Place::members);
        for (status, response) in responses.filter(|(status, _)| !status.starts_with("x-")) {
            let response = document.follow(response);
            let content = match response {
                Some(r) if root.child("swagger").is_some() && r.child("schema").is_some() => {
                    Content::consumed(root, own, "produces")
                }
                Some(r) => Content::listed(r),
                None => Content::default(),
            };
            contract
                .responses
                .insert(status.to_ascii_uppercase(), content);
        }
        Some(contract)
    }

    /// The documented response to a status.
    pub(super) fn response(&self, status: u16) -> Option<String> {
        let exact = status.to_string();
        let range = format!("{}XX", status / 100);
        let known = [exact, range, "DEFAULT".to_owned()];
        known
            .into_iter()
            .find(|key| self.responses.contains_key(key))
    }

    /// The schema of a message's media type, compiled.
    pub(super) fn schema(
        &mut self,
        (spec, operation): (&Spec, &Operation),
        of: Of<'_>,
        media: &str,
    ) -> Option<&Validator> {
        let content = match of {
            Of::Request => self.request.as_mut()?,
            Of::Response(status) => self.responses.get_mut(status)?,
        };
        let (documented, schema) = content.best(media)?;
        if matches!(schema, Schema::Unread) {
            let place = spec
                .place(operation)
                .and_then(|(item, own)| find(spec, (item, own), of, documented));
            *schema = match place {
                None => Schema::Nothing,
                Some(place) => {
                    let reader = Reader::new(&spec.document, matches!(of, Of::Response(_)));
                    let (document, parts) = if is_form(media) {
                        (form(&reader, place), 1)
                    } else {
                        reader.compile(place)
                    };
                    self.new_parts += parts;
                    compiled(&document)
                }
            };
        }
        match schema {
            Schema::Ready(validator) => Some(validator),
            Schema::Unread | Schema::Nothing => None,
        }
    }
}

/// Where the schema stands in the document.
fn find<'a>(
    spec: &'a Spec,
    (item, own): (Place<'a>, Place<'a>),
    of: Of<'_>,
    documented: &str,
) -> Option<Place<'a>> {
    let document = &*spec.document;
    let message = match of {
        Of::Request => match document.get(own, "requestBody") {
            Some(body) => body,
            None => {
                let lists = [own, item]
                    .into_iter()
                    .filter_map(|at| at.child("parameters"));
                let all = lists
                    .flat_map(Place::items)
                    .filter_map(|p| document.follow(p));
                return all
                    .into_iter()
                    .find(|p| p.str("in") == Some("body"))?
                    .child("schema");
            }
        },
        Of::Response(status) => {
            let responses = own.child("responses")?;
            let is = |key: &str| key.eq_ignore_ascii_case(status);
            let (_, response) = responses.members().find(|(key, _)| is(key))?;
            document.follow(response)?
        }
    };
    match message.child("content") {
        Some(content) => {
            let of_media = |key: &str| media_type(key) == documented;
            let (_, media) = content.members().find(|(key, _)| of_media(key))?;
            document.follow(media)?.child("schema")
        }
        None => message.child("schema"),
    }
}

impl Content {
    /// OpenAPI 3.
    fn listed(message: Place<'_>) -> Self {
        let content = message
            .child("content")
            .into_iter()
            .flat_map(Place::members);
        Self(
            content
                .map(|(key, _)| (media_type(key), Schema::Unread))
                .collect(),
        )
    }

    /// OpenAPI 2.0: the operation's list, or the document's; without one, JSON.
    fn consumed(root: Place<'_>, own: Place<'_>, key: &str) -> Self {
        let list = own.child(key).or_else(|| root.child(key));
        let names = list.into_iter().flat_map(Place::items);
        let mut all: Vec<_> = names
            .filter_map(|n| Some((media_type(n.value.as_str()?), Schema::Unread)))
            .collect();
        if all.is_empty() {
            all.push(("*/*".into(), Schema::Unread));
        }
        Self(all)
    }

    /// The entry for a media type: itself, else a range that it is in.
    pub(super) fn best(&mut self, media: &str) -> Option<(&str, &mut Schema)> {
        let kind = media.split('/').next().unwrap_or_default();
        let range = format!("{kind}/*");
        let wanted = [media, &range, "*/*", "*"];
        let at = wanted
            .iter()
            .find_map(|w| self.0.iter().position(|(key, _)| key == w))?;
        let (key, schema) = &mut self.0[at];
        Some((key, schema))
    }

    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|(key, _)| key.as_str()).collect();
        names.join(", ")
    }
}

/// Without parameters, in lower case.
fn media_type(said: &str) -> String {
    let bare = said.split(';').next().unwrap_or_default();
    bare.trim().to_ascii_lowercase()
}

pub(super) fn is_form(media: &str) -> bool {
    matches!(
        media,
        "application/x-www-form-urlencoded" | "multipart/form-data"
    )
}

impl Parameters {
    fn add(&mut self, reader: &Reader<'_>, parameter: Place<'_>, fold: bool) {
        let Some(name) = parameter.str("name") else {
            self.open = true;
            return;
        };
        let name = if fold {
            name.to_ascii_lowercase()
        } else {
            base(name).to_owned()
        };
        let (kinds, is_object) = kinds_of_parameter(reader, parameter);
        // The properties of an object that is spread out are names of their own.
        let style = parameter.str("style").unwrap_or("form");
        let explode = parameter.value.get("explode").and_then(Value::as_bool);
        self.open |= is_object && style == "form" && explode != Some(false);
        self.names.entry(name).or_insert(Parameter {
            required: parameter.is("required"),
            schema: loose(kinds),
        });
    }

    /// Of a form or a query.
    fn schema(&self) -> Schema {
        let properties = self
            .names
            .iter()
            .map(|(name, p)| (name.clone(), p.schema.clone()));
        let properties: Map<String, Value> = properties.collect();
        let required = self.names.iter().filter(|(_, p)| p.required);
        let required: Vec<&str> = required.map(|(name, _)| name.as_str()).collect();
        compiled(
            &json!({ "type": "object", "properties": properties, "required": required,
            "additionalProperties": self.open }),
        )
    }
}

fn kinds_of_parameter(reader: &Reader<'_>, parameter: Place<'_>) -> (u8, bool) {
    if parameter.child("content").is_some() {
        // Serialised as a whole.
        return (kinds::ALL, false);
    }
    let schema = parameter.child("schema").unwrap_or(parameter);
    let flat = reader.flat(schema);
    let typed = flat.kinds != kinds::ALL;
    (flat.kinds, typed && flat.kinds & kinds::OBJECT != 0)
}

/// `filter[name]`, `ids[]`: the parameter's name stands before the bracket.
pub(super) fn base(name: &str) -> &str {
    match name.find('[') {
        Some(at) if at > 0 => &name[..at],
        _ => name,
    }
}

/// In a form and a query everything is text: what it looks like may be less than what it is.
fn loose(set: u8) -> Value {
    if set & (kinds::STRING | kinds::OBJECT | kinds::ARRAY) != 0 {
        return true.into();
    }
    let mut set = set;
    if set & kinds::BOOLEAN != 0 {
        set |= kinds::INTEGER;
    }
    json!({ "type": names_of(set) })
}

/// The schema of a form: its fields are text.
fn form<'a>(reader: &Reader<'a>, schema: Place<'a>) -> Value {
    let flat: Flat<'a> = reader.flat(schema);
    let properties = flat.properties.iter();
    let properties: Map<String, Value> = properties
        .map(|(name, expr)| (base(name).to_owned(), loose(reader.kinds_of(expr))))
        .collect();
    let required: Vec<&str> = flat.required.iter().map(|n| base(n)).collect();
    json!({ "type": "object", "properties": properties, "required": required,
        "additionalProperties": !flat.is_closed() })
}

/// A schema that does not compile judges nothing.
fn compiled(schema: &Value) -> Schema {
    let mut options = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true);
    for format in FORMATS {
        // A skeleton's string is the name of the format that was seen.
        options = options.with_format(format, move |seen: &str| {
            seen == format || !FORMATS.contains(&seen)
        });
    }
    match options.build(schema) {
        Ok(validator) => Schema::Ready(Box::new(validator)),
        Err(_) => Schema::Nothing,
    }
}
