//! The API's own OpenAPI 3.1 document, made from the table of routes and the types that they take
//! and answer.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::api::problem::{self, Problem};
use super::api::route::{Answer, Route};
use super::api::shape::{input, outputs, query};
use super::api::table::{self, TOPICS};
use super::routes::Shared;
use crate::access::Role;

/// What holds for all of it.
const ABOUT: &str = "Everything that the pages show and do. Names, ids and operation ids stay; members may be added.\n\n\
    **Lists** answer `{\"items\": […], \"next\": cursor, \"total\": N}`. `limit` says how many items come at once; the next page is \
    asked for with `cursor`, the `next` of the page before; it is null on the last one. A cursor is a place in the order: an item whose place does not change comes once, \
    whatever comes, goes and moves meanwhile.\n\n\
    **Errors** are `application/problem+json` (RFC 9457); where an input is wrong, `errors` names it. A parameter that is not known is an error.\n\n\
    **Times** are seconds of the epoch, as numbers.\n\n\
    **Unchanged** answers need not be sent twice: send the `ETag` of an answer back in `If-None-Match`, and get 304.\n\n\
    **Changes** take JSON, and are on disk when they are answered.";

/// It depends on the build alone.
pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| build(&table::routes()));

/// `/api/v1/openapi.json`. Where there is no sign-in, nothing of it asks for any.
pub(super) async fn document(State(app): Shared) -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| DOCUMENT.to_string());
    static OPEN: LazyLock<String> = LazyLock::new(|| {
        let mut document = DOCUMENT.clone();
        document["security"] = json!([]);
        let paths = document["paths"].as_object_mut().into_iter().flatten();
        let items = paths.filter_map(|(_, item)| item.as_object_mut());
        for operation in items.flat_map(|item| item.values_mut()) {
            operation["security"] = json!([]);
        }
        document.to_string()
    });
    let text = if app.settings.sign_in { &TEXT } else { &OPEN };
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, text.as_str()).into_response()
}

fn build(routes: &[Route]) -> Value {
    let mut types = outputs();
    let mut paths = Map::new();
    for route in routes {
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        item[route.method] = operation(route, &mut types);
    }
    let tags = TOPICS.iter();
    let tags = tags.map(|(name, about)| json!({ "name": name, "description": about }));
    let tags: Vec<Value> = tags.collect();
    json!({
        "openapi": "3.1.0",
        "info": { "title": "apitap", "version": env!("CARGO_PKG_VERSION"), "summary": "A passive API monitor", "description": ABOUT },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "security": security(None),
        "components": { "schemas": types.take_definitions(true), "securitySchemes": schemes() }
    })
}

/// By token or session, with the role that it takes.
fn security(role: Option<Role>) -> Value {
    let roles: Vec<&str> = role.into_iter().map(Role::name).collect();
    json!([{ "token": roles }, { "session": roles }])
}

/// How a caller says who it is, where there is sign-in.
fn schemes() -> Value {
    json!({
        "token": { "type": "http", "scheme": "bearer", "description": "An API token, `apt_…`." },
        "session": { "type": "apiKey", "in": "cookie", "name": "apitap",
            "description": "Of somebody who has signed in (`__Host-apitap` by TLS); a change carries `X-CSRF-Token`, too." },
    })
}

fn operation(route: &Route, types: &mut SchemaGenerator) -> Value {
    let mut out = json!({
        "operationId": route.id, "tags": [route.topic], "summary": route.summary, "description": route.detail, "security": security(Some(route.role)),
        "x-role": route.role.name(), "parameters": parameters(route), "responses": responses(route, types),
    });
    if let Some(make) = route.takes.body {
        let media = match route.takes.media {
            [] => &["application/json"],
            media => media,
        };
        let example: Value = serde_json::from_str(route.example).unwrap_or_default();
        let content = media.iter().map(|kind| {
            (
                (*kind).to_owned(),
                json!({ "schema": input(make), "example": example }),
            )
        });
        let content: Map<String, Value> = content.collect();
        out["requestBody"] = json!({ "required": true, "content": content });
    }
    out
}

fn parameters(route: &Route) -> Vec<Value> {
    let mut out = path_parameters(route);
    let Some(make) = route.takes.query else {
        return out;
    };
    let schema = query(make);
    let required = schema["required"].as_array();
    for (name, of) in schema["properties"].as_object().into_iter().flatten() {
        let mut of = of.clone();
        let about = of.as_object_mut().and_then(|of| of.remove("description"));
        out.push(json!({
            "name": name, "in": "query", "description": about.unwrap_or_default(),
            "required": required.is_some_and(|all| all.iter().any(|one| one == name)), "schema": of,
        }));
    }
    out
}

/// The parts of the path by name, with the schemas that the handler's signature has in order.
fn path_parameters(route: &Route) -> Vec<Value> {
    let schema = route.takes.path.map(input).unwrap_or_default();
    let each = |at: usize| match schema["prefixItems"].get(at) {
        Some(one) => one.clone(),
        None => schema.clone(),
    };
    let segments: Vec<&str> = route.path.split('/').collect();
    let names = segments.iter().enumerate().filter_map(|(at, segment)| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some((name, segments[at.saturating_sub(1)]))
    });
    names
        .enumerate()
        .map(|(at, (name, before))| {
            json!({ "name": name, "in": "path", "required": true, "description": about_part(name, before), "schema": each(at) })
        })
        .collect()
}

/// What a part of a path is, by its name and the segment before it.
fn about_part(name: &str, before: &str) -> String {
    let of = before.strip_suffix('s').unwrap_or(before);
    match name {
        "key" => format!("The {of}'s key, or one that it had before."),
        "action" => "What is decided.".into(),
        "sink" => "The sink's name.".into(),
        "message" => "The message's id, as the list has it.".into(),
        _ => format!("The {of}'s {name}."),
    }
}

fn responses(route: &Route, types: &mut SchemaGenerator) -> Value {
    let mut out = Map::new();
    let text = || json!({ "schema": { "type": "string" } });
    let etag = json!({ "ETag": { "description": "Of this answer; for `If-None-Match`.", "schema": { "type": "string" } } });
    let (what, content) = match route.answers {
        Answer::Json(make) => (
            "The answer.",
            json!({ "application/json": { "schema": make(types) } }),
        ),
        Answer::Forms(make) => (
            "The answer; all items in the other forms.",
            json!({ "application/json": { "schema": make(types) }, "text/csv": text(), "application/jsonl": text() }),
        ),
        Answer::File(kind @ ("application/octet-stream" | "application/json"), what) => {
            (what, json!({ kind: {} }))
        }
        Answer::File(kind, what) => (what, json!({ kind: text() })),
    };
    out.insert(
        "200".into(),
        json!({ "description": what, "content": content }),
    );
    let tagged = route.method == "get" && !matches!(route.answers, Answer::File(..));
    if tagged {
        out["200"]["headers"] = etag;
        out.insert(
            "304".into(),
            json!({ "description": "It is as it was with this tag." }),
        );
    }
    let schema = types.subschema_for::<Problem>();
    for (status, what) in errors(route) {
        let content = json!({ problem::MEDIA_TYPE: { "schema": schema } });
        out.insert(
            status.to_string(),
            json!({ "description": what, "content": content }),
        );
    }
    out.into()
}

/// Those of its form, then its own.
fn errors(route: &Route) -> BTreeMap<u16, &'static str> {
    let Route { takes, .. } = route;
    let changes = route.method != "get";
    let of_form = [
        (
            takes.query.is_some() || takes.body.is_some(),
            400,
            "An input cannot be taken; `errors` names it.",
        ),
        (
            true,
            401,
            "Nobody has signed in, and no API token that opens anything was sent.",
        ),
        (
            true,
            403,
            "The Host or Origin is not known, or the role does not suffice.",
        ),
        (takes.path.is_some(), 404, "There is no such thing."),
        (!changes, 406, "It has no form that `Accept` takes."),
        (changes, 409, "It is so already, or can no longer be."),
        (takes.body.is_some(), 413, "The body is too long."),
        (takes.body.is_some(), 415, "The body is not JSON."),
        (changes, 503, "The writer is busy: try again."),
    ];
    let of_form = of_form.into_iter().filter(|(has, ..)| *has);
    let of_form = of_form.map(|(_, status, what)| (status, what));
    of_form.chain(route.errors.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn each(value: &Value, f: &mut impl FnMut(&Map<String, Value>)) {
        match value {
            Value::Object(all) => {
                f(all);
                all.values().for_each(|v| each(v, f));
            }
            Value::Array(all) => all.iter().for_each(|v| each(v, f)),
            _ => {}
        }
    }

    #[test]
    fn routes_and_document_have_the_same_operations() {
        let documented: BTreeSet<(String, String)> = DOCUMENT["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys();
                methods.map(move |method| (path.clone(), method.clone()))
            })
            .collect();
        let routes = table::routes();
        assert_eq!(documented.len(), routes.len());
        for route in &routes {
            assert!(documented.contains(&(route.path.into(), route.method.into())));
        }
    }

    #[test]
    fn operations_are_named_and_all_is_described() {
        let mut ids = BTreeSet::new();
        for route in table::routes() {
            let operation = &DOCUMENT["paths"][route.path][route.method];
            let id = operation["operationId"].as_str().unwrap();
            assert!(id.starts_with(|c: char| c.is_ascii_lowercase()), "{id}");
            assert!(
                id.len() >= 5 && id.chars().all(|c| c.is_ascii_alphanumeric()),
                "{id}"
            );
            assert!(ids.insert(id.to_owned()), "{id} twice");
            let summary = operation["summary"].as_str().unwrap();
            assert!(!summary.is_empty() && !summary.ends_with('.'), "{summary}");
            let parameters = operation["parameters"].as_array().unwrap();
            let in_path = parameters.iter().filter(|p| p["in"] == "path").count();
            assert_eq!(in_path, route.path.matches('{').count(), "{id}");
            for p in parameters {
                let about = p["description"].as_str().unwrap_or_default();
                assert!(about.ends_with('.'), "{id}: {p}");
                assert!(
                    p["schema"].is_object() && p["schema"] != json!({}),
                    "{id}: {p}"
                );
            }
            let json = &operation["responses"]["200"]["content"]["application/json"];
            let file = matches!(route.answers, Answer::File(..));
            assert!(file || json["schema"].is_object(), "{id}");
            let body = &operation["requestBody"]["content"]["application/json"];
            assert_eq!(body.is_object(), route.method != "get", "{id}");
            if body.is_object() {
                let schema = jsonschema::validator_for(&body["schema"]).unwrap();
                assert!(
                    schema.is_valid(&body["example"]),
                    "{id}: {}",
                    body["example"]
                );
            }
        }
    }

    #[test]
    fn the_stream_and_the_names_of_a_bulk_filter_are_said() {
        let live = &DOCUMENT["paths"]["/live"]["get"];
        assert!(live["responses"]["200"]["content"]["text/event-stream"].is_object());
        for path in ["/api/v1/endpoints/accept", "/api/v1/endpoints/mark"] {
            let body = &DOCUMENT["paths"][path]["post"]["requestBody"]["content"];
            let filter = &body["application/json"]["schema"]["properties"]["filter"];
            assert_eq!(filter["additionalProperties"], false, "{path}");
            assert!(
                filter["properties"]["documentation"]["enum"].is_array(),
                "{path}"
            );
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let mut seen = 0;
        each(&DOCUMENT, &mut |object| {
            if let Some(Value::String(to)) = object.get("$ref") {
                assert!(DOCUMENT.pointer(&to[1..]).is_some(), "{to}");
                seen += 1;
            }
        });
        assert!(seen > 50, "{seen}");
    }
}
