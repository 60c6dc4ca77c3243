//! The observed APIs as OpenAPI 3.1, one document a host group: confirmed endpoints with their
//! parameters, bodies, answers by status and credentials.
//!
//! Loaded as a spec, a document documents what it was made from, with the same templates and names;
//! made anew it is the same. Whatever the path was, the document is legal: literal text is
//! percent-encoded, paths that differ by the names of parameters alone are one, ids are unique.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::view::{EndpointView, Kind};

mod merge;
mod path;
mod schema;
mod security;

/// Methods that OpenAPI 3.1 has a place for.
const METHODS: [&str; 8] = [
    "GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE",
];

/// A document for each host group among these, by name.
pub fn documents(endpoints: &[&EndpointView]) -> Vec<Value> {
    let mut hosts: BTreeMap<&str, Vec<&EndpointView>> = BTreeMap::new();
    for e in endpoints {
        if e.confirmed && e.kind == Kind::Api {
            hosts.entry(&e.host).or_default().push(e);
        }
    }
    let hosts = hosts.into_iter();
    hosts
        .map(|(host, endpoints)| document(host, endpoints))
        .collect()
}

/// What stands where there is nothing to describe.
pub fn empty_document() -> Value {
    json!({ "openapi": "3.1.0", "info": { "title": "Observed API", "version": "0" }, "paths": {} })
}

fn document(host: &str, mut endpoints: Vec<&EndpointView>) -> Value {
    endpoints.sort_by_key(|e| (&e.template, &e.method, &e.operation));
    let last = endpoints.iter().filter_map(|e| e.last_seen).max();
    let mut items: BTreeMap<String, Item<'_>> = BTreeMap::new();
    let mut left_out = BTreeSet::new();
    for e in &endpoints {
        if !METHODS.contains(&e.method.as_str()) {
            left_out.insert(format!("{} {}", e.method, e.template));
            continue;
        }
        let path = path::of(e);
        let item = items.entry(path.shape).or_insert_with(|| Item {
            path: path.path,
            names: path.names,
            methods: BTreeMap::new(),
        });
        item.methods.entry(&e.method).or_default().push(e);
    }
    let (mut paths, mut ids, mut schemes) = (Map::new(), BTreeSet::new(), Map::new());
    for item in items.values() {
        let mut methods = Map::new();
        for (method, endpoints) in &item.methods {
            let mut operation = operation(item, endpoints, &mut schemes);
            operation["operationId"] = id(method, item, endpoints, &mut ids).into();
            methods.insert(method.to_lowercase(), operation);
        }
        paths.insert(item.path.clone(), methods.into());
    }
    let mut out = json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("{host}, as seen by apitap"),
            "version": last.map_or_else(|| "0".to_owned(), |t| t.to_string()),
            "description": "Learned by apitap from traffic: what answered, and what it was made of. Nothing is claimed beyond what was seen.",
        },
        "servers": [path::server(host, endpoints.iter().find_map(|e| e.host_example.as_deref()))],
        "paths": paths,
    });
    if !schemes.is_empty() {
        out["components"] = json!({ "securitySchemes": schemes });
    }
    if !left_out.is_empty() {
        // Methods that OpenAPI has no place for.
        out["x-apitap-left-out"] = left_out.into_iter().collect();
    }
    out
}

/// A path with its operations.
struct Item<'a> {
    path: String,
    /// Of its parameters, in order.
    names: Vec<String>,
    methods: BTreeMap<&'a str, Vec<&'a EndpointView>>,
}

/// What one path and method has; endpoints that are told apart by what stands in the request
/// (GraphQL, JSON-RPC, SOAP) share it.
fn operation(
    item: &Item<'_>,
    endpoints: &[&EndpointView],
    schemes: &mut Map<String, Value>,
) -> Value {
    let requests: u64 = endpoints.iter().map(|e| e.requests).sum();
    let first = endpoints.iter().filter_map(|e| e.first_seen).min();
    let last = endpoints.iter().filter_map(|e| e.last_seen).max();
    let when = first
        .zip(last)
        .map_or_else(String::new, |(a, b)| format!(", from {a} to {b}"));
    let mut out = json!({
        "description": format!("Learned by apitap from traffic: {requests} requests{when}."),
        "parameters": merge::parameters(&item.names, endpoints),
        "responses": merge::responses(endpoints),
    });
    if let Some(body) = merge::request_body(endpoints) {
        out["requestBody"] = body;
    }
    security::add(endpoints, &mut out, schemes);
    if endpoints.iter().any(|e| e.deprecated) {
        out["deprecated"] = true.into();
    }
    let classes: BTreeSet<&str> = endpoints
        .iter()
        .flat_map(|e| &e.sensitive)
        .map(|s| s.class.as_str())
        .collect();
    if !classes.is_empty() {
        out["x-apitap-sensitive"] = classes.into_iter().collect();
    }
    let operations: Vec<Value> = endpoints
        .iter()
        .filter_map(|e| {
            let (name, kind) = (e.operation.as_ref()?, e.operation_kind?);
            Some(json!({ "name": name, "kind": kind, "requests": e.requests }))
        })
        .collect();
    if !operations.is_empty() {
        out["x-apitap-operations"] = operations.into();
    }
    out
}

/// The spec's own id where there is one that is legal; else `get_users_user_id`. Unique.
fn id(
    method: &str,
    item: &Item<'_>,
    endpoints: &[&EndpointView],
    taken: &mut BTreeSet<String>,
) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let own = endpoints[0].operation_id.clone();
    let own = own.filter(|id| !id.is_empty() && id.chars().all(legal));
    let base = own.unwrap_or_else(|| {
        let words = item.path.split(|c: char| !c.is_ascii_alphanumeric());
        let words = words.filter(|w| !w.is_empty()).map(str::to_lowercase);
        let method = std::iter::once(method.to_lowercase());
        method.chain(words).collect::<Vec<_>>().join("_")
    });
    let mut id = base.clone();
    let mut n = 1;
    while !taken.insert(id.clone()) {
        n += 1;
        id = format!("{base}_{n}");
    }
    id
}
