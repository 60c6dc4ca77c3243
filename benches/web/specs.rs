//! Documents of the large world: one as large as is read, a newer version of it, and one of a usual
//! size. Endpoints are operations of them, or lie undocumented in their places.

use std::sync::Arc;

use apitap::catalog::spec::{SpecSet, parse};
use apitap::catalog::{CatalogView, DriftKind, DriftView, EndpointView, SpecView};
use apitap::time::Timestamp;
use serde_json::{Value, json};

const LARGEST: usize = 50_000;
const USUAL: usize = 3_000;
/// Operations of a path.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// `other`: every twentieth operation is another, and every tenth says something else.
fn document(title: &str, operations: usize, other: bool) -> String {
    let mut paths = serde_json::Map::new();
    for n in 0..operations {
        let resource = n / METHODS.len();
        let version = if other && n % 20 == 0 { 2 } else { 1 };
        let path = format!("/v{version}/{title}/resource-{resource}/{{id}}");
        let kind = if other && n % 10 == 1 {
            "integer"
        } else {
            "string"
        };
        let operation = json!({
            "operationId": format!("{title}-{n}"),
            "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": kind } }],
            "responses": { "200": { "description": "", "content": { "application/json": { "schema": {
                "type": "object", "required": ["id"], "properties": { "id": { "type": kind }, "name": { "type": "string" } },
            } } } } },
        });
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[METHODS[n % METHODS.len()]] = operation;
    }
    let version = if other { "2" } else { "1" };
    let servers = json!([{ "url": format!("https://{title}-{version}.example.com") }]);
    let info = json!({ "title": title, "version": version });
    json!({ "openapi": "3.1.0", "info": info, "servers": servers, "paths": Value::Object(paths) })
        .to_string()
}

fn drift(n: usize) -> DriftView {
    DriftView {
        kind: DriftKind::ALL[n % DriftKind::ALL.len()],
        direction: "response".into(),
        status: Some(200),
        name: format!("/items/*/field-{n}"),
        detail: "an object of three properties".into(),
        owasp: "API3:2023".into(),
        count: 12,
        first_seen: Timestamp::from_secs(1_732_000_000),
        last_seen: Timestamp::from_secs(1_732_400_000),
    }
}

/// Makes an endpoint one of a document's, by its number in the world.
pub(crate) fn place(n: usize, e: &mut EndpointView) {
    let (spec, operation) = match n % 4 {
        0 => ("largest", Some(format!("largest-{}", n % LARGEST))),
        1 => ("largest", None),
        2 => ("usual", Some(format!("usual-{}", n % USUAL))),
        _ => return,
    };
    if n.is_multiple_of(40) {
        e.drift = (0..1 + n % 64).map(drift).collect();
    }
    (e.spec_id, e.operation_id) = (Some(spec.into()), operation);
}

/// Puts the documents into the inventory; the names that URLs may speak of.
pub(crate) fn add(catalog: &mut CatalogView) -> Vec<(&'static str, String)> {
    let all = [
        ("largest", "largest", LARGEST, false),
        ("newer", "largest", LARGEST, true),
        ("usual", "usual", USUAL, false),
    ];
    let specs = all.map(|(id, title, operations, other)| {
        let text = document(title, operations, other);
        let mut spec = parse(&format!("{id}.json"), &text).unwrap();
        spec.id = id.into();
        spec
    });
    let listing = specs[0].listing().iter().enumerate();
    let (n, middle) = listing
        .filter(|(_, o)| o.at % 4 == 0)
        .nth(LARGEST / 8)
        .unwrap();
    let cursor = format!("{n} {} {}", middle.method, middle.template);
    let view = |spec: &apitap::catalog::spec::Spec| SpecView {
        id: spec.id.clone(),
        title: spec.title.clone(),
        version: spec.version.clone(),
        file: spec.file.clone(),
        format: spec.format.clone(),
        scope: spec.scope(),
        operations: spec.operations,
        seen: spec.operations / 4,
        undocumented: 0,
        drift: 0,
        notes: spec.notes.clone(),
    };
    catalog.specs = specs.iter().map(view).collect();
    catalog.documents = Arc::new(SpecSet::new(specs.into()));
    let encoded = url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
    vec![("{operation}", encoded)]
}
