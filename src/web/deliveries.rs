//! Deliveries: how each sink does, what was given up, to send it again, and a test.

use std::sync::atomic::Ordering;

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{self, DONE, Json, List, Nothing, Path, ask, problem};
use super::frame::{Frame, failed, show};
use super::life::stale;
use super::routes::{App, Shared};
use super::who::Who;
use super::{Command, filters};
use crate::alert::delivery::{DeadLetter, SinkView};

/// Dead letters on the page; the API has all.
const SHOWN: usize = 200;

type Refused = (StatusCode, String);

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Deliveries")]
pub(super) struct Answer<'a> {
    #[serde(flatten)]
    list: List<&'a DeadLetter>,
    sinks: &'a [SinkView],
}

/// The dead letters, newest first, beside the sinks.
pub(super) async fn list(State(app): Shared) -> Response {
    let view = app.views.deliveries.load();
    api::json(&Answer {
        list: List::whole(view.dead.iter().rev().collect()),
        sinks: &view.sinks,
    })
}

pub(super) async fn send_again(
    State(app): Shared,
    who: Who,
    Path((sink, message)): Path<(String, String)>,
    Json(Nothing {}): Json<Nothing>,
) -> Response {
    answer(resend(&app, sink, message, &who.name).await)
}

pub(super) async fn test(
    State(app): Shared,
    Path(name): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Response {
    answer(try_out(&app, name).await)
}

fn answer(done: Result<(), Refused>) -> Response {
    match done {
        Ok(()) => api::json(&DONE),
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
