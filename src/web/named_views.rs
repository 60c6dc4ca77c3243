//! Views of the list of endpoints that people keep for each other: as tabs of the page, and over the API.

use axum::Form;
use axum::extract::{self, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Command;
use super::api::{Json, List, Nothing, Path, ask, json, problem};
use super::decide::Refused;
use super::frame::failed;
use super::life::stale;
use super::place::Place;
use super::routes::{App, Shared};
use super::search;
use super::who::Who;
use crate::catalog::{MAX_NAME, NamedView};

/// A view as the page offers it.
pub(super) struct Tab {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) by: String,
    pub(super) link: String,
    /// It is what is shown.
    pub(super) on: bool,
}

/// What is kept of a place: all but where in the list one is.
pub(super) fn kept(place: &Place) -> String {
    let link = place.step(|p| p.at.clear());
    link.split_once('?')
        .map_or_else(String::new, |(_, query)| query.to_owned())
}

pub(super) fn tabs(app: &App, place: &Place) -> Vec<Tab> {
    let here = kept(place);
    let views = app.views.named.load();
    let tab = |view: &NamedView| Tab {
        id: view.id,
        name: view.name.clone(),
        by: view.by.clone(),
        link: Place::read(&view.query).link(),
        on: view.query == here,
    };
    views.iter().map(tab).collect()
}

/// `/api/v1/views`. Their number is bounded.
pub(super) async fn list(State(app): Shared) -> Response {
    let views = app.views.named.load();
    json(&List::whole(views.iter().collect()))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewView")]
pub(super) struct New {
    #[schemars(length(min = 1, max = MAX_NAME))]
    name: String,
    /// The query part of the page's URL.
    query: String,
}

async fn save(app: &App, who: &Who, name: &str, query: &str) -> Result<NamedView, Refused> {
    let wrong = |why: String| Err((StatusCode::BAD_REQUEST, why));
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.contains(char::is_control) {
        return wrong(format!("a view has a name of 1 to {MAX_NAME} characters"));
    }
    let place = Place::read(query.trim_start_matches('?'));
    if let Err(fault) = search::parse(&place.q) {
        return wrong(format!("q: {fault}"));
    }
    let (query, by) = (kept(&place), who.name.to_string());
    let command = |reply| Command::SaveView {
        name,
        query,
        by,
        reply,
    };
    ask(app, StatusCode::CONFLICT, command).await
}

async fn remove(app: &App, who: &Who, id: u64) -> Result<NamedView, Refused> {
    if !app.views.named.load().iter().any(|v| v.id == id) {
        return Err((StatusCode::NOT_FOUND, "there is no such view".into()));
    }
    let by = who.name.to_string();
    let command = |reply| Command::RemoveView { id, by, reply };
    ask(app, StatusCode::CONFLICT, command).await
}

fn answer(done: Result<NamedView, Refused>) -> Response {
    match done {
        Ok(view) => json(&view),
        Err((code, why)) => problem(code, &why),
    }
}

/// `POST /api/v1/views`; under a name that there is already, in its place.
pub(super) async fn add(State(app): Shared, who: Who, Json(new): Json<New>) -> Response {
    answer(save(&app, &who, &new.name, &new.query).await)
}

/// `POST /api/v1/views/{id}/remove`.
pub(super) async fn end(
    State(app): Shared,
    who: Who,
    Path(id): Path<u64>,
    Json(Nothing {}): Json<Nothing>,
) -> Response {
    answer(remove(&app, &who, id).await)
}

#[derive(Deserialize)]
pub(super) struct ViewForm {
    csrf: String,
    #[serde(default)]
    name: String,
    /// What is kept, and where one comes back to.
    #[serde(default)]
    query: String,
}

/// `POST /endpoints/views`.
pub(super) async fn add_form(State(app): Shared, who: Who, Form(form): Form<ViewForm>) -> Response {
    if let Some(stale) = stale(&app, &who, &form.csrf) {
        return stale;
    }
    let done = save(&app, &who, &form.name, &form.query).await;
    back(&app, &who, &form.query, done)
}

/// `POST /endpoints/views/{id}/remove`.
pub(super) async fn end_form(
    State(app): Shared,
    who: Who,
    extract::Path(id): extract::Path<u64>,
    Form(form): Form<ViewForm>,
) -> Response {
    if let Some(stale) = stale(&app, &who, &form.csrf) {
        return stale;
    }
    let done = remove(&app, &who, id).await;
    back(&app, &who, &form.query, done)
}

fn back(app: &App, who: &Who, query: &str, done: Result<NamedView, Refused>) -> Response {
    match done {
        Ok(_) => Redirect::to(&Place::read(query).link()).into_response(),
        Err((code, why)) => failed(app, who, code, "The view was not changed", &why),
    }
}
