//! Several endpoints as one operation: parameters, bodies and answers of all of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::schema;
use crate::catalog::view::EndpointView;

/// Statuses whose messages have no body (RFC 9110).
const BODILESS: [u16; 3] = [204, 205, 304];
const CLASSES: [&str; 6] = ["", "1XX", "2XX", "3XX", "4XX", "5XX"];

/// In path (under these names), query and headers.
pub(super) fn parameters(names: &[String], endpoints: &[&EndpointView]) -> Vec<Value> {
    let mut out = schema::path_parameters(names, endpoints[0]);
    let mut found: BTreeMap<(&'static str, String), (Vec<Value>, usize)> = BTreeMap::new();
    for e in endpoints {
        for p in schema::parameters(e) {
            let (schemas, required) = found.entry((p.place, p.name)).or_default();
            schemas.push(p.schema);
            *required += usize::from(p.required);
        }
    }
    out.extend(found.into_iter().map(|((place, name), (schemas, required))| {
        let required = required == endpoints.len();
        json!({ "name": name, "in": place, "required": required, "schema": any_of(schemas) })
    }));
    out
}

pub(super) fn request_body(endpoints: &[&EndpointView]) -> Option<Value> {
    let learned = endpoints.iter().filter_map(|e| e.schema.as_deref());
    let contents: Vec<Value> = learned
        .filter_map(|s| s.request.as_ref())
        .map(schema::content)
        .collect();
    (!contents.is_empty()).then(|| json!({ "content": contents_of(contents) }))
}

/// By status; what was learned of a class of statuses stands with each of it. A class alone where
/// more of them were seen than are told apart.
pub(super) fn responses(endpoints: &[&EndpointView]) -> Value {
    let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
    let mut classes = [0_u64; 6];
    for e in endpoints {
        for (status, n) in &e.statuses {
            *counts.entry(*status).or_default() += n;
        }
        classes
            .iter_mut()
            .zip(e.by_class)
            .for_each(|(sum, n)| *sum += n);
    }
    let mut out = Map::new();
    for (status, n) in counts.iter().filter(|(s, _)| (100..600).contains(*s)) {
        let class = usize::from(status / 100);
        classes[class] = classes[class].saturating_sub(*n);
        let bodiless = class == 1 || BODILESS.contains(status);
        out.insert(
            status.to_string(),
            response(endpoints, class, *n, !bodiless),
        );
    }
    for (class, n) in classes.iter().enumerate().skip(1).filter(|(_, n)| **n > 0) {
        out.insert(
            CLASSES[class].into(),
            response(endpoints, class, *n, class > 1),
        );
    }
    if out.is_empty() {
        out.insert(
            "default".into(),
            json!({ "description": "No response was seen." }),
        );
    }
    out.into()
}

fn response(endpoints: &[&EndpointView], class: usize, n: u64, body: bool) -> Value {
    let mut out = json!({ "description": format!("{n} seen.") });
    let name = format!("{class}xx");
    let learned = || endpoints.iter().filter_map(|e| e.schema.as_deref());
    let parts = learned().filter_map(|s| s.responses.get(&name));
    let contents: Vec<Value> = parts.map(|part| schema::content(part)).collect();
    if body && !contents.is_empty() {
        out["content"] = contents_of(contents);
    }
    let headers = learned().filter_map(|s| s.response_headers.get(&name));
    let headers: Map<String, Value> = headers.flat_map(|part| schema::headers(part)).collect();
    if !headers.is_empty() {
        out["headers"] = headers.into();
    }
    out
}

/// Media types of several bodies, each with all of its schemas.
fn contents_of(contents: Vec<Value>) -> Value {
    let mut media: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for content in contents {
        if let Value::Object(types) = content {
            for (name, value) in types {
                media.entry(name).or_default().push(value);
            }
        }
    }
    let one = |(name, values): (String, Vec<Value>)| {
        let schemas: Vec<Value> = values
            .iter()
            .filter_map(|v| v.get("schema").cloned())
            .collect();
        let mut value = values.into_iter().next().unwrap_or_default();
        if !schemas.is_empty() {
            value["schema"] = any_of(schemas);
        }
        (name, value)
    };
    media.into_iter().map(one).collect::<Map<_, _>>().into()
}

/// One schema where all are the same.
fn any_of(schemas: Vec<Value>) -> Value {
    let mut distinct: Vec<Value> = Vec::new();
    for schema in schemas {
        if !distinct.contains(&schema) {
            distinct.push(schema);
        }
    }
    match distinct.len() {
        1 => distinct.remove(0),
        _ => json!({ "anyOf": distinct }),
    }
}
