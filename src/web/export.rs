//! Whole lists as files: CSV, JSON Lines, OpenAPI. The filters of the list apply; an answer is
//! written piece by piece, never held as a whole.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::api::polish::ranges;
use super::api::{self, Query};
use super::frame::{Link, query_link};
use super::query::{AlertFilter, EndpointFilter};
use super::routes::Shared;
use crate::catalog::{self, EndpointView};
use crate::export::{self, Row};

/// Items written at once.
const PIECE: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Csv,
    Lines,
}

impl Form {
    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Lines => "application/jsonl",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Lines => "jsonl",
        }
    }
}

/// The form that the caller would rather have than the house's JSON.
pub(super) fn wanted(headers: &HeaderMap) -> Option<Form> {
    let form = |range: &str| match range {
        "text/csv" => Some(Form::Csv),
        "application/jsonl" | "application/x-ndjson" => Some(Form::Lines),
        _ => None,
    };
    let weight = |range: &str, weight| (range == "application/json").then_some(weight);
    let json = ranges(headers).find_map(|(range, w)| weight(range, w));
    let forms = ranges(headers).filter_map(|(range, w)| Some((form(range)?, w)));
    let best = forms.reduce(|a, b| if b.1 > a.1 { b } else { a });
    best.filter(|(_, w)| *w > json.unwrap_or(0.0))
        .map(|(form, _)| form)
}

/// Beyond the view that they were found in.
pub(super) fn owned<T>(found: Vec<&Arc<T>>) -> Vec<Arc<T>> {
    found.into_iter().cloned().collect()
}

/// A list as a file.
pub(super) fn send<T>(form: Form, name: &str, items: Vec<Arc<T>>) -> Response
where
    T: Row + Serialize + Send + Sync + 'static,
{
    let head = match form {
        Form::Csv => export::header::<T>(),
        Form::Lines => Vec::new(),
    };
    let write = move |piece: &[Arc<T>]| {
        let mut out = Vec::new();
        for item in piece {
            match form {
                Form::Csv => out.extend(export::row(item.as_ref())),
                // Views are plain data, which serde_json writes always.
                Form::Lines => {
                    out.extend(serde_json::to_vec(item.as_ref()).unwrap_or_default());
                    out.push(b'\n');
                }
            }
        }
        out
    };
    let mut items = items.into_iter();
    let pieces = std::iter::from_fn(move || {
        let piece: Vec<Arc<T>> = items.by_ref().take(PIECE).collect();
        (!piece.is_empty()).then(|| write(&piece))
    });
    let all = std::iter::once(head).chain(pieces);
    let stream = tokio_stream::iter(all.map(|part| Ok::<_, Infallible>(Bytes::from(part))));
    let file = format!(
        "attachment; filename=\"apitap-{name}.{}\"",
        form.extension()
    );
    let headers = [
        (header::CONTENT_TYPE, form.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, file),
    ];
    (headers, Body::from_stream(stream)).into_response()
}

/// `/api/v1/endpoints.csv`, `/api/v1/endpoints.jsonl`.
pub(super) async fn endpoints(
    State(app): Shared,
    Extension(form): Extension<Form>,
    Query(filter): Query<EndpointFilter>,
) -> Response {
    let catalog = app.views.catalog.load();
    send(form, "endpoints", owned(filter.found(&catalog.endpoints)))
}

/// `/api/v1/alerts.csv`, `/api/v1/alerts.jsonl`.
pub(super) async fn alerts(
    State(app): Shared,
    Extension(form): Extension<Form>,
    Query(filter): Query<AlertFilter>,
) -> Response {
    let alerts = app.views.alerts.load();
    send(form, "alerts", owned(filter.found(&alerts.alerts)))
}

/// OpenAPI 3.1.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ObservedOpenapi")]
pub(super) enum Documents {
    One(#[schemars(with = "Map<String, Value>")] Value),
    Several(#[schemars(with = "Vec<Map<String, Value>>")] Vec<Value>),
}

/// `/api/v1/endpoints.openapi.json`: of one host a document, of several a list of them.
pub(super) async fn openapi(State(app): Shared, Query(filter): Query<EndpointFilter>) -> Response {
    let catalog = app.views.catalog.load();
    let found: Vec<&EndpointView> = filter
        .found(&catalog.endpoints)
        .into_iter()
        .map(AsRef::as_ref)
        .collect();
    let hosts: BTreeSet<&str> = found.iter().map(|e| e.host.as_str()).collect();
    let mut documents = catalog::openapi::documents(&found);
    let documents = match documents.len() {
        1 if hosts.len() == 1 => Documents::One(documents.remove(0)),
        _ => Documents::Several(documents),
    };
    let mut response = api::json(&documents);
    let file = header::HeaderValue::from_static("attachment; filename=\"apitap-openapi.json\"");
    response
        .headers_mut()
        .insert(header::CONTENT_DISPOSITION, file);
    response
}

/// The exports of a list, with its filters.
pub(super) fn links(list: &str, parts: &[(&str, &String)]) -> Vec<Link> {
    let mut forms = vec![("CSV", "csv"), ("JSON Lines", "jsonl")];
    if list == "endpoints" {
        forms.push(("OpenAPI", "openapi.json"));
    }
    let link = |(name, extension)| {
        let path = format!("/api/v1/{list}.{extension}");
        (name, query_link(&path, parts))
    };
    forms.into_iter().map(link).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use axum::body::to_bytes;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;
    use crate::catalog::{Catalog, Settings};
    use crate::exchange::parse_line;
    use crate::web::{self, Views};

    /// Two hosts, one of them with more endpoints than are written at once.
    fn views() -> Arc<Views> {
        let mut catalog = Catalog::new(Settings::default());
        for ts in [1, 2] {
            let one = ("b.example".to_owned(), "/=x".to_owned());
            let many = (0..PIECE + 9).map(|n| ("a.example".to_owned(), format!("/r{n}x/v1")));
            for (host, path) in many.chain([one]) {
                let line = format!(
                    r#"{{"v":1,"ts":{ts},"method":"GET","host":"{host}","path":"{path}","status":200}}"#
                );
                catalog.apply(&parse_line(line.as_bytes()).unwrap(), &mut Vec::new());
            }
        }
        let views = Views::default();
        views.catalog.store(catalog.view());
        views.ready.store(true, Ordering::Relaxed);
        Arc::new(views)
    }

    /// Media type and text.
    async fn get(path: &str, accept: &str) -> (String, String) {
        let (commands, _) = tokio::sync::mpsc::channel(1);
        let router = web::router(views(), commands, web::Settings::default());
        let request = Request::get(path)
            .header(header::HOST, "127.0.0.1:8650")
            .header(header::ACCEPT, accept)
            .body(Body::empty())
            .unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert!(
            response.status().is_success(),
            "{path}: {}",
            response.status()
        );
        let kind = response.headers()[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        let body = to_bytes(response.into_body(), 1 << 24).await.unwrap();
        (kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn lists_go_out_whole_and_filtered() {
        let (kind, csv) = get("/api/v1/endpoints.csv?sort=path&limit=3", "*/*").await;
        assert!(kind.starts_with("text/csv"));
        assert_eq!(csv.lines().count(), 1 + PIECE + 9 + 1);
        assert!(csv.starts_with("key,method,host,template,"));
        let (_, csv) = get("/api/v1/endpoints.csv?host=b.example", "*/*").await;
        assert!(csv.contains(",GET,b.example,/=x,"), "{csv}");
        assert_eq!(csv.lines().count(), 2);
        let (kind, lines) = get("/api/v1/endpoints.jsonl?host=a.example", "*/*").await;
        assert_eq!(
            (kind.as_str(), lines.lines().count()),
            ("application/jsonl", PIECE + 9)
        );
        for line in lines.lines() {
            let e: EndpointView = serde_json::from_str(line).unwrap();
            assert_eq!(e.host, "a.example");
        }
        for list in ["alerts", "findings"] {
            let (_, csv) = get(&format!("/api/v1/{list}.csv"), "*/*").await;
            let (_, lines) = get(&format!("/api/v1/{list}.jsonl"), "*/*").await;
            assert!(csv.starts_with("id,"));
            assert_eq!(csv.lines().count(), 1 + lines.lines().count(), "{list}");
        }
    }

    #[tokio::test]
    async fn the_form_is_asked_for_by_accept_too() {
        for list in ["endpoints", "alerts", "findings"] {
            let path = format!("/api/v1/{list}");
            let (kind, _) = get(&path, "text/html, text/csv;q=0.9").await;
            assert!(kind.starts_with("text/csv"), "{list}");
            let (kind, text) = get(&path, "*/*").await;
            assert!(
                kind == "application/json" && text.contains("\"items\""),
                "{list}"
            );
        }
    }

    #[tokio::test]
    async fn openapi_of_one_host_or_of_all() {
        let (_, one) = get("/api/v1/endpoints.openapi.json?host=b.example", "*/*").await;
        let one: Value = serde_json::from_str(&one).unwrap();
        assert!(one["paths"]["/=x"]["get"].is_object(), "{one}");
        let (_, all) = get("/api/v1/endpoints.openapi.json", "*/*").await;
        let all: Value = serde_json::from_str(&all).unwrap();
        assert_eq!(all.as_array().map(Vec::len), Some(2));
    }

    #[tokio::test]
    async fn pages_link_to_the_exports_with_their_filters() {
        let (_, page) = get("/endpoints?host=b.example&q=x", "*/*").await;
        for form in ["csv", "jsonl", "openapi.json"] {
            let link = format!("/api/v1/endpoints.{form}?q=x&#38;host=b.example");
            assert!(page.contains(&link), "{page}");
        }
        let (_, lines) = get("/api/v1/endpoints.jsonl?host=b.example", "*/*").await;
        let e: EndpointView = serde_json::from_str(lines.trim()).unwrap();
        for (step, shown) in [("minute", "Day"), ("hour", "60 days")] {
            let (_, page) = get(&format!("/endpoints/{}?step={step}", e.key), "*/*").await;
            assert!(
                page.contains(&format!("aria-current=\"true\">{shown}</a>")),
                "{page}"
            );
            let (_, data) = get(
                &format!("/api/v1/endpoints/{}/history?step={step}", e.key),
                "*/*",
            )
            .await;
            assert!(data.contains("\"requests\":2"), "{data}");
        }
    }
}
