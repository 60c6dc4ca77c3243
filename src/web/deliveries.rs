//! Deliveries: how each sink does, what was given up, to send it again, and a test.

use std::sync::atomic::Ordering;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::api::{self, ask, problem};
use super::frame::{Frame, failed, show};
use super::life::stale;
use super::routes::{App, Shared};
use super::who::Who;
use super::{Command, filters, guard};
use crate::alert::delivery::{DeadLetter, SinkView};

/// Dead letters on the page; the API has all.
const SHOWN: usize = 200;

type Refused = (StatusCode, String);

/// The dead letters, newest first, beside the sinks.
pub(super) async fn list(State(app): Shared) -> Response {
    let view = app.views.deliveries.load();
    let items: Vec<&DeadLetter> = view.dead.iter().rev().collect();
    api::json(&serde_json::json!({ "items": items, "next": null, "sinks": view.sinks }))
}

pub(super) async fn send_again(
    State(app): Shared,
    who: Who,
    Path((sink, message)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if !is_json(&headers) {
        return guard::not_json();
    }
    answer(resend(&app, sink, message, &who.name).await)
}

pub(super) async fn test(
    State(app): Shared,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !is_json(&headers) {
        return guard::not_json();
    }
    answer(try_out(&app, name).await)
}

/// A form on another site cannot send that without our leave (CORS preflight).
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.and_then(|v| v.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/json"))
}

fn answer(done: Result<(), Refused>) -> Response {
    match done {
        Ok(()) => api::json(&serde_json::json!({ "ok": true })),
        Err((code, why)) => problem(code, &why),
    }
}

async fn resend(app: &App, sink: String, message: String, by: &str) -> Result<(), Refused> {
    let view = app.views.deliveries.load();
    let is_it = |d: &DeadLetter| d.sink == sink && d.message == message;
    if !view.dead.iter().any(is_it) {
        return Err((StatusCode::NOT_FOUND, "there is no such dead letter".into()));
    }
    let by = by.to_owned();
    let command = |reply| Command::Resend {
        sink,
        message,
        by,
        reply,
    };
    ask(app, StatusCode::CONFLICT, command).await
}

async fn try_out(app: &App, sink: String) -> Result<(), Refused> {
    let view = app.views.deliveries.load();
    if !view.sinks.iter().any(|s| s.name == sink) {
        return Err((StatusCode::NOT_FOUND, "there is no such sink".into()));
    }
    let command = |reply| Command::TestSink { sink, reply };
    ask(app, StatusCode::BAD_GATEWAY, command).await
}

#[derive(Template)]
#[template(path = "deliveries.html")]
struct Deliveries<'a> {
    page: Frame,
    sinks: &'a [SinkView],
    dead: Vec<&'a DeadLetter>,
    more: usize,
    ready: bool,
}

pub(super) async fn page(State(app): Shared, who: Who) -> Response {
    let view = app.views.deliveries.load();
    show(&Deliveries {
        page: Frame::new(&app, &who, "deliveries"),
        sinks: &view.sinks,
        dead: view.dead.iter().rev().take(SHOWN).collect(),
        more: view.dead.len().saturating_sub(SHOWN),
        ready: app.views.ready.load(Ordering::Relaxed),
    })
}

/// A button of the page: a test where no message is named.
#[derive(Deserialize)]
pub(super) struct Act {
    csrf: String,
    sink: String,
    #[serde(default)]
    message: String,
}

pub(super) async fn act(State(app): Shared, who: Who, Form(act): Form<Act>) -> Response {
    if let Some(stale) = stale(&app, &who, &act.csrf) {
        return stale;
    }
    let done = if act.message.is_empty() {
        try_out(&app, act.sink).await
    } else {
        resend(&app, act.sink, act.message, &who.name).await
    };
    match done {
        Ok(()) => Redirect::to("/deliveries").into_response(),
        Err((code, why)) => failed(&app, &who, code, "It was not taken", &why),
    }
}
