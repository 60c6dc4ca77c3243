//! `/api`: the API's reference, one topic a page, made from its OpenAPI document.

use std::sync::LazyLock;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::frame::{Frame, missing, show};
use super::openapi::DOCUMENT;
use super::routes::Shared;
use super::who::Who;
use model::{Topic, topics};

mod model;

static TOPICS: LazyLock<Vec<Topic>> = LazyLock::new(|| topics(&DOCUMENT));

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    topic: String,
}

#[derive(Template)]
#[template(path = "reference.html")]
struct Reference {
    page: Frame,
    topics: &'static [Topic],
    /// The one that is shown; none: all of them in short.
    shown: Option<&'static Topic>,
    /// Where the API is, for commands.
    base: String,
    operations: usize,
    /// There is sign-in: commands carry a token.
    token: bool,
}

/// `/api`.
pub(super) async fn page(
    State(app): Shared,
    who: Who,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let shown = TOPICS.iter().find(|t| t.slug == wanted.topic);
    if shown.is_none() && !wanted.topic.is_empty() {
        return missing(&app, &who, "The API has no such topic");
    }
    // The guard has let this name pass.
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let scheme = if app.settings.tls.is_some() {
        "https"
    } else {
        "http"
    };
    show(&Reference {
        topics: &TOPICS,
        shown,
        base: format!("{scheme}://{}", host.unwrap_or("localhost")),
        operations: TOPICS.iter().map(|t| t.operations.len()).sum(),
        token: app.settings.sign_in,
        page: Frame::new(&app, &who, "api"),
    })
}

/// A text of the document.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
