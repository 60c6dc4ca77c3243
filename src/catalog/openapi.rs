//! The observed API as an OpenAPI 3.1 document: confirmed endpoints, their parameters, the
//! status classes that were seen, and what the messages were made of.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::view::{CatalogView, EndpointView, Kind};

mod schema;

/// Methods that OpenAPI 3.1 has a place for.
const METHODS: [&str; 8] = [
    "GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE",
];

pub fn openapi(view: &CatalogView) -> Value {
    let wanted = |e: &&EndpointView| {
        e.confirmed && e.kind == Kind::Api && METHODS.contains(&e.method.as_str())
    };
    let endpoints: Vec<&EndpointView> = view
        .endpoints
        .iter()
        .map(AsRef::as_ref)
        .filter(wanted)
        .collect();
    let mut hosts: Vec<&str> = endpoints.iter().map(|e| e.host.as_str()).collect();
    hosts.dedup();
    // Hosts and operations share an entry; what was seen of it is what was seen of all.
    let mut seen: BTreeMap<(&str, &str), [u64; 6]> = BTreeMap::new();
    for e in &endpoints {
        let sum = seen.entry((&e.template, &e.method)).or_default();
        sum.iter_mut()
            .zip(e.by_class)
            .for_each(|(sum, n)| *sum += n);
    }
    let mut paths = Map::new();
    for e in &endpoints {
        let item = paths
            .entry(e.template.clone())
            .or_insert_with(|| json!({}))
            .as_object_mut();
        if let Some(item) = item {
            // Two hosts may have the same path: one entry, both tags.
            let operation = item
                .entry(e.method.to_lowercase())
                .or_insert_with(|| operation(e, seen[&(&*e.template, &*e.method)]));
            if let Some(tags) = operation.get_mut("tags").and_then(Value::as_array_mut)
                && !tags.contains(&json!(e.host))
            {
                tags.push(json!(e.host));
            }
            // One path and method has one operation in OpenAPI; these have no place of their own.
            if let (Some(name), Some(kind)) = (&e.operation, e.operation_kind) {
                let one =
                    json!({ "name": name, "kind": kind, "host": e.host, "requests": e.requests });
                match operation
                    .get_mut("x-operations")
                    .and_then(Value::as_array_mut)
                {
                    Some(list) => list.push(one),
                    None => operation["x-operations"] = json!([one]),
                }
            }
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Observed API", "version": view.at.to_string(),
            "description": "What apitap saw answer. No schema is claimed beyond what is listed." },
        "servers": hosts.iter().map(|h| json!({ "url": format!("http://{h}") })).collect::<Vec<_>>(),
        "tags": hosts.iter().map(|h| json!({ "name": h })).collect::<Vec<_>>(),
        "paths": paths,
    })
}

fn operation(e: &EndpointView, by_class: [u64; 6]) -> Value {
    let parameters = schema::parameters(e);
    let learned = e.schema.as_deref();
    let mut responses = Map::new();
    for (class, n) in by_class.iter().enumerate().skip(1).filter(|(_, n)| **n > 0) {
        let mut response = json!({ "description": format!("{n} seen") });
        if let Some(learned) = learned {
            schema::response(learned, &format!("{class}xx"), &mut response);
        }
        responses.insert(format!("{class}XX"), response);
    }
    if responses.is_empty() {
        responses.insert(
            "default".into(),
            json!({ "description": "no response was seen" }),
        );
    }
    let mut out = json!({ "tags": [e.host], "parameters": parameters, "responses": responses });
    if let Some(body) = learned.and_then(schema::request_body) {
        out["requestBody"] = body;
    }
    if e.deprecated {
        out["deprecated"] = json!(true);
    }
    out
}
