//! The operations of an OpenAPI document as entries, with the fields of their messages.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::entry::{Entry, Place, shape};

/// Schemas refer to themselves; no shape is deeper.
const DEPTH: usize = 12;
/// Fields of one message.
const FIELDS: usize = 2_000;

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

pub(super) fn entries(document: &Value) -> Vec<Entry> {
    let reader = Reader { document };
    let paths = document.get("paths").and_then(Value::as_object);
    let mut out = Vec::new();
    for (host, base) in servers(document) {
        for (path, item) in paths.into_iter().flatten() {
            let item = reader.resolve(item);
            let template = format!("{base}{path}");
            let template = match template.trim_end_matches('/') {
                "" => "/",
                template => template,
            };
            for method in METHODS {
                if let Some(operation) = item.get(method).filter(|o| o.is_object()) {
                    out.push(reader.entry(&host, template, method, item, operation));
                }
            }
        }
    }
    out
}

/// Host, `*` for any, and base path.
fn servers(document: &Value) -> BTreeSet<(String, String)> {
    let text = |v: &Value, name: &str| v.get(name).and_then(Value::as_str).map(str::to_owned);
    let base = |path: &str| {
        path.trim_matches('/')
            .split('/')
            .filter(|s| !s.is_empty())
            .fold(String::new(), |p, s| p + "/" + s)
    };
    if document.get("swagger").is_some() {
        let host = text(document, "host").unwrap_or_else(|| "*".into());
        let path = text(document, "basePath").unwrap_or_default();
        return BTreeSet::from([(bare(&host), base(&path))]);
    }
    let servers = document.get("servers").and_then(Value::as_array);
    let mut out = BTreeSet::new();
    for server in servers.into_iter().flatten() {
        let Some(mut url) = text(server, "url") else {
            continue;
        };
        let variables = server.get("variables").and_then(Value::as_object);
        for (name, variable) in variables.into_iter().flatten() {
            let default = text(variable, "default").unwrap_or_default();
            url = url.replace(&format!("{{{name}}}"), &default);
        }
        out.insert(match url.split_once("://") {
            Some((_, rest)) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (bare(authority), base(path))
            }
            None => ("*".into(), base(&url)),
        });
    }
    if out.is_empty() {
        out.insert(("*".into(), String::new()));
    }
    out
}

/// One operation of a document, of which the file that it stands in is at hand.
pub(in crate::catalog) fn entry(
    document: &Value,
    (host, template): (&str, &str),
    method: &str,
    (item, operation): (&Value, &Value),
) -> Entry {
    Reader { document }.entry(host, template, method, item, operation)
}

fn bare(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    let bare = host
        .strip_suffix(":80")
        .or_else(|| host.strip_suffix(":443"));
    bare.unwrap_or(&host).to_owned()
}

struct Reader<'a> {
    document: &'a Value,
}

impl<'a> Reader<'a> {
    /// A local `$ref` followed, some times over.
    fn resolve(&self, mut value: &'a Value) -> &'a Value {
        for _ in 0..DEPTH {
            let pointer = value.get("$ref").and_then(Value::as_str);
            let target = pointer.and_then(|p| self.document.pointer(p.strip_prefix('#')?));
            match target {
                Some(target) => value = target,
                None => break,
            }
        }
        value
    }

    fn entry(
        &self,
        host: &str,
        template: &str,
        method: &str,
        item: &'a Value,
        operation: &'a Value,
    ) -> Entry {
        let mut fields = BTreeMap::new();
        for parameters in [item, operation].map(|o| o.get("parameters").and_then(Value::as_array)) {
            for parameter in parameters.into_iter().flatten() {
                self.parameter(self.resolve(parameter), &mut fields);
            }
        }
        if let Some(body) = operation.get("requestBody") {
            self.message("request", self.resolve(body), &mut fields);
        }
        let mut statuses = BTreeSet::new();
        let responses = operation.get("responses").and_then(Value::as_object);
        for (status, response) in responses.into_iter().flatten() {
            statuses.insert(status.to_uppercase());
            let class = status.get(..1).unwrap_or_default();
            if class.parse::<u8>().is_ok() {
                self.message(
                    &format!("response {class}xx"),
                    self.resolve(response),
                    &mut fields,
                );
            }
        }
        Entry {
            place: Place {
                host: host.to_owned(),
                shape: shape(template),
                method: method.to_uppercase(),
                operation: None,
            },
            template: template.to_owned(),
            api: true,
            documentation: "documented".into(),
            deprecated: operation
                .get("deprecated")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            auth: self.credentials(operation),
            statuses,
            fields,
            ..Entry::default()
        }
    }

    /// As inventories name them; nothing where the document says nothing, or what cannot be told.
    fn credentials(&self, operation: &Value) -> BTreeSet<String> {
        let security = operation.get("security");
        let security = security.or_else(|| self.document.get("security"));
        let list = security.and_then(Value::as_array).into_iter().flatten();
        let schemes = self.document.pointer("/components/securitySchemes");
        let schemes = schemes.or_else(|| self.document.get("securityDefinitions"));
        let mut out = BTreeSet::new();
        for requirement in list.filter_map(Value::as_object) {
            if requirement.is_empty() {
                out.insert("none".to_owned());
            }
            for name in requirement.keys() {
                let scheme = schemes.and_then(|s| s.get(name)).map(|s| self.resolve(s));
                let text = |key: &str| {
                    let text = scheme.and_then(|s| s.get(key)?.as_str());
                    text.unwrap_or_default().to_ascii_lowercase()
                };
                let kind = match (text("type").as_str(), text("scheme").as_str()) {
                    ("oauth2" | "openidconnect", _) | ("http", "bearer") => "bearer",
                    ("basic", _) | ("http", "basic") => "basic",
                    ("apikey", _) if text("in") == "cookie" => "cookie",
                    ("apikey", _) => "apikey",
                    _ => continue,
                };
                out.insert(kind.to_owned());
            }
        }
        out
    }

    fn parameter(&self, parameter: &'a Value, fields: &mut BTreeMap<String, BTreeSet<String>>) {
        let text = |name: &str| parameter.get(name).and_then(Value::as_str);
        let (Some(place), Some(name)) = (text("in"), text("name")) else {
            return;
        };
        let name = name.replace('~', "~0").replace('/', "~1");
        match place {
            "query" | "header" => {
                // OpenAPI 2 has type and format in the parameter itself.
                let schema = parameter.get("schema").unwrap_or(parameter);
                let required = parameter.get("required").and_then(Value::as_bool) == Some(true);
                let name = if place == "header" {
                    name.to_lowercase()
                } else {
                    name
                };
                fields.insert(
                    format!("{place} /{name}"),
                    self.words(self.resolve(schema), required),
                );
            }
            "body" => {
                if let Some(schema) = parameter.get("schema") {
                    self.walk("request", "", self.resolve(schema), 0, fields);
                }
            }
            "formData" => {
                let required = parameter.get("required").and_then(Value::as_bool) == Some(true);
                fields.insert(format!("request /{name}"), self.words(parameter, required));
            }
            _ => {}
        }
    }

    /// A body or an answer, of every media type.
    fn message(
        &self,
        place: &str,
        message: &'a Value,
        fields: &mut BTreeMap<String, BTreeSet<String>>,
    ) {
        let content = message.get("content").and_then(Value::as_object);
        let schemas = content
            .into_iter()
            .flatten()
            .filter_map(|(_, media)| media.get("schema"));
        // OpenAPI 2 has the schema of an answer in the answer itself.
        for schema in schemas.chain(message.get("schema")) {
            self.walk(place, "", self.resolve(schema), 0, fields);
        }
    }

    fn walk(
        &self,
        place: &str,
        pointer: &str,
        schema: &'a Value,
        depth: usize,
        fields: &mut BTreeMap<String, BTreeSet<String>>,
    ) {
        if depth > DEPTH || fields.len() > FIELDS {
            return;
        }
        for part in parts(schema) {
            self.walk(place, pointer, self.resolve(part), depth + 1, fields);
        }
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| required.is_some_and(|r| r.iter().any(|n| n == name));
        for (name, property) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let property = self.resolve(property);
            let at = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            let words = self.words(property, is_required(name));
            fields
                .entry(format!("{place} {at}"))
                .or_default()
                .extend(words);
            self.walk(place, &at, property, depth + 1, fields);
        }
        for below in ["items", "additionalProperties"] {
            if let Some(schema) = schema.get(below).filter(|s| s.is_object()) {
                let (schema, at) = (self.resolve(schema), format!("{pointer}/*"));
                let words = self.words(schema, false);
                fields
                    .entry(format!("{place} {at}"))
                    .or_default()
                    .extend(words);
                self.walk(place, &at, schema, depth + 1, fields);
            }
        }
    }

    /// `integer`, `string`, `nullable`, `required` … as inventory lines have them.
    fn words(&self, schema: &'a Value, required: bool) -> BTreeSet<String> {
        let mut words = BTreeSet::new();
        let types = match schema.get("type") {
            Some(Value::Array(types)) => types.iter().collect(),
            Some(one) => vec![one],
            None => Vec::new(),
        };
        for name in types.into_iter().filter_map(Value::as_str) {
            words.insert(if name == "null" { "nullable" } else { name }.to_owned());
        }
        if schema.get("nullable").and_then(Value::as_bool) == Some(true) {
            words.insert("nullable".into());
        }
        if words.is_empty() {
            for part in parts(schema) {
                let part = self.resolve(part);
                let name = part.get("type").and_then(Value::as_str);
                words.extend(name.map(str::to_owned));
            }
        }
        let format = schema.get("format").and_then(Value::as_str);
        words.extend(format.map(str::to_owned));
        words.extend(required.then(|| "required".to_owned()));
        words
    }
}

/// The schemas that one is put together from.
fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    let groups = ["allOf", "anyOf", "oneOf"];
    let lists = groups
        .into_iter()
        .filter_map(|group| schema.get(group)?.as_array());
    lists.flatten()
}
