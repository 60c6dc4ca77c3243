//! Learned schemas in the words of OpenAPI 3.1, which are those of JSON Schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::catalog::schema::{FieldView, PartView, PathParameter, SchemaView};
use crate::catalog::view::EndpointView;

/// Parameters in path, query and headers.
pub(super) fn parameters(e: &EndpointView) -> Vec<Value> {
    let mut out: Vec<Value> = e.path_parameters.iter().map(path_parameter).collect();
    let Some(schema) = e.schema.as_deref() else {
        return out;
    };
    for (place, part) in [
        ("query", &schema.query),
        ("header", &schema.request_headers),
    ] {
        for field in part.iter().flat_map(|p| &p.fields) {
            if let Some(name) = top_level(field) {
                let schema = Tree::default().schema(field);
                let required = field.required;
                out.push(
                    json!({ "name": name, "in": place, "required": required, "schema": schema }),
                );
            }
        }
    }
    out
}

fn path_parameter(p: &PathParameter) -> Value {
    let types: Vec<&str> = p.types.iter().map(String::as_str).collect();
    let schema = match types[..] {
        ["integer"] => json!({ "type": "integer" }),
        [format @ ("uuid" | "date" | "email")] => json!({ "type": "string", "format": format }),
        _ => json!({ "type": "string" }),
    };
    json!({ "name": p.name, "in": "path", "required": true, "schema": schema })
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

pub(super) fn request_body(schema: &SchemaView) -> Option<Value> {
    let part = schema.request.as_ref()?;
    Some(json!({ "content": content(part) }))
}

/// What is added to the response of that class: `content` and `headers`.
pub(super) fn response(schema: &SchemaView, class: &str, out: &mut Value) {
    if let Some(part) = schema.responses.get(class) {
        out["content"] = content(part);
    }
    let headers = schema.response_headers.get(class);
    let named = headers.iter().flat_map(|p| &p.fields);
    let named =
        named.filter_map(|f| Some((top_level(f)?, json!({ "schema": { "type": "string" } }))));
    let headers: Map<String, Value> = named.collect();
    if !headers.is_empty() {
        out["headers"] = headers.into();
    }
}

fn content(part: &PartView) -> Value {
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
    let types = part.media_types.iter().map(|m| (m.clone(), media.clone()));
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
            out["x-sensitive"] = field.sensitive.keys().map(|c| c.as_str()).collect();
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
