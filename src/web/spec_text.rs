//! Texts of documents: the original as it lies on disk, and what was seen in its places.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::export::Documents;
use super::routes::Shared;
use super::spec_places::Places;
use super::specs::{nothing, upload};
use super::{SpecsView, api};
use crate::catalog::EndpointView;
use crate::catalog::openapi;

/// Bytes of one file that are sent; no larger one is read as a document.
const MAX_TEXT: u64 = 64 << 20;

#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub(super) struct Which {
    /// Of an upload: the number of a version, where it is not the one in use.
    version: Option<u32>,
}

/// Only what a reading has named, or the journal, reaches the file system.
pub(super) fn path(specs: &SpecsView, id: &str, version: Option<u32>) -> Option<PathBuf> {
    match version {
        None => specs.files.get(id).cloned(),
        Some(number) => {
            let version = upload(specs, id)?.version(number)?;
            Some(specs.dir.join(&version.file))
        }
    }
}

/// Within the bound.
pub(super) async fn read(path: PathBuf) -> Option<String> {
    let read = move || {
        let mut text = String::new();
        let file = File::open(path).ok()?;
        file.take(MAX_TEXT).read_to_string(&mut text).ok()?;
        Some(text)
    };
    tokio::task::spawn_blocking(read).await.ok().flatten()
}

/// `/api/v1/specs/{id}/original`: byte for byte, whatever it holds; a browser saves it.
pub(super) async fn original(
    State(app): Shared,
    api::Path(id): api::Path<String>,
    api::Query(which): api::Query<Which>,
) -> Response {
    let Some(path) = path(&app.views.specs.load(), &id, which.version) else {
        return nothing();
    };
    let kind = match path.extension().and_then(|e| e.to_str()) {
        Some("json") => "json",
        _ => "yaml",
    };
    let Some(text) = read(path).await else {
        return nothing();
    };
    let name = format!("attachment; filename=\"apitap-spec-{id}.{kind}\"");
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    (headers, text).into_response()
}

/// `/api/v1/specs/{id}/observed.openapi.json`: what was seen in the places that the document owns; of
/// several hosts a list.
pub(super) async fn observed(State(app): Shared, api::Path(id): api::Path<String>) -> Response {
    let catalog = app.views.catalog.load_full();
    if catalog.documents.by_id(&id).is_none() {
        return nothing();
    }
    let places = Places::new(&app, &catalog, &id);
    let found: Vec<&EndpointView> = places.all().map(Arc::as_ref).collect();
    let mut documents = openapi::documents(&found);
    let mut response = api::json(&match documents.len() {
        0 => Documents::One(openapi::empty_document()),
        1 => Documents::One(documents.remove(0)),
        _ => Documents::Several(documents),
    });
    let name = format!("attachment; filename=\"apitap-observed-{id}.json\"");
    if let Ok(name) = header::HeaderValue::from_str(&name) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, name);
    }
    response
}
