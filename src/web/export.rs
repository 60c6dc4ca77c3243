//! Whole lists as files: CSV, JSON Lines, OpenAPI. The filters of the list apply; an answer is
//! written piece by piece, never held as a whole.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::api;
use super::pages::{Link, query_link};
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

/// The form that the caller accepts in place of the house's JSON.
pub(super) fn wanted(headers: &HeaderMap) -> Option<Form> {
    let accept = headers.get(header::ACCEPT)?.to_str().ok()?;
    let mut types = accept
        .split(',')
        .map(|t| t.split(';').next().unwrap_or_default().trim());
    types.find_map(|t| match t {
        "text/csv" => Some(Form::Csv),
        "application/jsonl" | "application/x-ndjson" => Some(Form::Lines),
        _ => None,
    })
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
    let mut response = match documents.len() {
        1 if hosts.len() == 1 => api::json(&documents.remove(0)),
        _ => api::json(&documents),
    };
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
