//! Learned schemas in the words of OpenAPI 3.1, which are those of JSON Schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::catalog::schema::{FieldView, PartView};
use crate::catalog::view::EndpointView;

/// Header parameters of these names mean nothing in a document, which has other places for them.
const OTHERWISE: [&str; 3] = ["accept", "content-type", "authorization"];

pub(super) struct Parameter {
    pub(super) place: &'static str,
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) schema: Value,
}

/// Parameters in query and headers.
pub(super) fn parameters(e: &EndpointView) -> Vec<Parameter> {
    let mut out = Vec::new();
    let Some(schema) = e.schema.as_deref() else {
        return out;
    };
    for (place, part) in [
        ("query", &schema.query),
        ("header", &schema.request_headers),
    ] {
        for field in part.iter().flat_map(|p| &p.fields) {
            let name = top_level(field);
            let here = |n: &String| place == "query" || !OTHERWISE.contains(&n.as_str());
            out.extend(name.filter(here).map(|name| Parameter {
                place,
                name,
                required: field.required,
                schema: Tree::default().schema(field),
            }));
        }
    }
    out
}

/// Parameters in the path, under these names.
pub(super) fn path_parameters(names: &[String], e: &EndpointView) -> Vec<Value> {
    let types = |i: usize| e.path_parameters.get(i).map_or(&[][..], |p| &p.types);
    let parameter = |(i, name): (usize, &String)| {
        let types: Vec<&str> = types(i).iter().map(String::as_str).collect();
        let schema = match types[..] {
            ["integer"] => json!({ "type": "integer" }),
            [format @ ("uuid" | "date" | "email")] => json!({ "type": "string", "format": format }),
            _ => json!({ "type": "string" }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    };
    names.iter().enumerate().map(parameter).collect()
}

/// The name of a parameter; data that stands in a name's place has none.
fn top_level(field: &FieldView) -> Option<String> {
    let name = field.pointer.strip_prefix('/')?;
    let named = name != "*" && !name.contains('/');
    named.then(|| unescape(name))
}

fn unescape(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

/// The headers of a response.
pub(super) fn headers(part: &PartView) -> impl Iterator<Item = (String, Value)> {
    let named = part.fields.iter().filter_map(top_level);
    let named = named.filter(|name| name != "content-type");
    named.map(|name| (name, json!({ "schema": { "type": "string" } })))
}

/// Its media types, each with the schema.
pub(super) fn content(part: &PartView) -> Value {
    let wire = ["varint", "i64", "len", "group", "i32"];
    let mut types = part.fields.iter().flat_map(|f| &f.types);
    let media = if types.any(|t| wire.contains(t)) {
        // JSON Schema has no words for these.
        let numbered = part.fields.iter().filter(|f| !f.pointer.is_empty());
        let fields: Map<String, Value> = numbered
            .map(|f| (f.pointer[1..].to_owned(), f.words().into()))
            .collect();
        json!({ "x-protobuf-fields": fields })
    } else {
        let tree = Tree::of(part);
        let root = part.fields.iter().find(|f| f.pointer.is_empty());
        json!({ "schema": root.map_or_else(|| json!({}), |root| tree.schema(root)) })
    };
    let mut types: Vec<String> = part.media_types.clone();
    if types.is_empty() {
        types.push("*/*".into());
    }
    let types = types.into_iter().map(|m| (m, media.clone()));
    types.collect::<Map<_, _>>().into()
}

/// Fields by the pointer of their parent.
#[derive(Default)]
struct Tree<'a>(BTreeMap<&'a str, Vec<&'a FieldView>>);

impl<'a> Tree<'a> {
    fn of(part: &'a PartView) -> Self {
        let mut tree = Self::default();
        for field in &part.fields {
            if let Some(at) = field.pointer.rfind('/') {
                tree.0.entry(&field.pointer[..at]).or_default().push(field);
            }
        }
        tree
    }

    /// As deep as shapes are.
    fn schema(&self, field: &FieldView) -> Value {
        let mut out = json!({});
        let mut types: Vec<&str> = field
            .types
            .iter()
            .map(|t| if *t == "binary" { "string" } else { t })
            .collect();
        types.extend(field.nullable.then_some("null"));
        match types[..] {
            [] => {}
            [one] => out["type"] = one.into(),
            _ => out["type"] = types.clone().into(),
        }
        if field.types.contains(&"binary") {
            out["format"] = "binary".into();
        } else if let Some(format) = field.format {
            out["format"] = if format == "secret" {
                "password"
            } else {
                format
            }
            .into();
        }
        if !field.sensitive.is_empty() {
            out["x-apitap-sensitive"] = field.sensitive.keys().map(|c| c.as_str()).collect();
        }
        let values = field.members.iter().flat_map(|m| &m.values);
        let mut values: Vec<Value> = values.map(|v| v.as_str().into()).collect();
        if !values.is_empty() {
            values.extend(field.nullable.then_some(Value::Null));
            out["enum"] = values.into();
        }
        self.below(field, &mut out);
        if field.repeated {
            out = json!({ "type": "array", "items": out });
        }
        out
    }

    fn below(&self, field: &FieldView, out: &mut Value) {
        let children = self.0.get(field.pointer.as_str());
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for child in children.into_iter().flatten() {
            let name = &child.pointer[field.pointer.len() + 1..];
            if name != "*" {
                required.extend(child.required.then(|| Value::from(unescape(name))));
                properties.insert(unescape(name), self.schema(child));
                continue;
            }
            if field.types.contains(&"array") {
                out["items"] = self.schema(child);
            }
            if field.types.contains(&"object") {
                out["additionalProperties"] = self.schema(child);
            }
        }
        if !properties.is_empty() {
            out["properties"] = properties.into();
        }
        if !required.is_empty() {
            out["required"] = required.into();
        }
    }
}
