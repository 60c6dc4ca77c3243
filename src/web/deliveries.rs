//! Sinks: how each does and what it is told of, a test, what was given up, to send it again. A tab of
//! the settings; `/deliveries` shows the same.

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
use super::{Command, SettingsView, filters};
use crate::alert::delivery::{DeadLetter, DeliveriesView, SinkView};

/// Dead letters on the page; the API has all.
const SHOWN: usize = 200;

/// Dead letters that one press of a button sends again: each is a write to disk.
const RESENT: usize = 200;

/// In place of a message's name: all of them.
const ALL: &str = "all";

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

/// A sink with what it is told of.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Sink")]
pub(super) struct Row<'a> {
    #[serde(flatten)]
    sink: &'a SinkView,
    /// What its routes let through, in words.
    takes: &'a [String],
    /// Its messages that were given up and wait for a person.
    dead_letters: usize,
}

fn rows<'a>(view: &'a DeliveriesView, settings: &'a SettingsView) -> Vec<Row<'a>> {
    let takes = |name: &str| {
        let settings = settings.sinks.iter().find(|s| s.name == name);
        settings.map_or(&[] as &[String], |s| &s.takes)
    };
    let row = |sink: &'a SinkView| Row {
        sink,
        takes: takes(&sink.name),
        dead_letters: view.dead.iter().filter(|d| d.sink == sink.name).count(),
    };
    view.sinks.iter().map(row).collect()
}

/// `GET /api/v1/sinks`.
pub(super) async fn sinks(State(app): Shared) -> Response {
    let (view, settings) = (app.views.deliveries.load(), app.views.settings.load());
    api::json(&List::whole(rows(&view, &settings)))
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

/// The oldest first, as many as one press may send.
async fn resend_all(app: &App, sink: &str, by: &str) -> Result<(), Refused> {
    let view = app.views.deliveries.load_full();
    let dead = view.dead.iter().filter(|d| d.sink == sink).take(RESENT);
    for letter in dead {
        resend(app, letter.sink.clone(), letter.message.clone(), by).await?;
    }
    Ok(())
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
    tab: &'static str,
    sinks: Vec<Row<'a>>,
    dead: Vec<&'a DeadLetter>,
    more: usize,
    ready: bool,
    resent: usize,
}

pub(super) async fn page(State(app): Shared, who: Who) -> Response {
    let (view, settings) = (app.views.deliveries.load(), app.views.settings.load());
    show(&Deliveries {
        page: Frame::new(&app, &who, "settings"),
        tab: "sinks",
        resent: RESENT,
        sinks: rows(&view, &settings),
        dead: view.dead.iter().rev().take(SHOWN).collect(),
        more: view.dead.len().saturating_sub(SHOWN),
        ready: app.views.ready.load(Ordering::Relaxed),
    })
}

/// A button of the page: a test where no message is named, and [`ALL`] for every dead letter.
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
    let done = match act.message.as_str() {
        "" => try_out(&app, act.sink).await,
        ALL => resend_all(&app, &act.sink, &who.name).await,
        _ => resend(&app, act.sink, act.message, &who.name).await,
    };
    match done {
        Ok(()) => Redirect::to("/settings/sinks").into_response(),
        Err((code, why)) => failed(&app, &who, code, "It was not taken", &why),
    }
}
