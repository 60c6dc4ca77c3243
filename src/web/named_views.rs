//! Views of the list of endpoints that people keep for each other: as tabs of the page, and over the API.

use axum::Form;
use axum::extract::{self, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Command;
use super::api::extract::faults;
use super::api::{Json, List, Nothing, Path, ask, json, problem};
use super::decide::Refused;
use super::frame::failed;
use super::life::stale;
use super::place::{Look, Place};
use super::query::EndpointFilter;
use super::routes::{App, Shared};
use super::search;
use super::who::Who;
use crate::alert::is_hidden;
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
    /// In place of the view of this name, where there is one.
    #[serde(default)]
    replace: bool,
}

async fn save(
    app: &App,
    who: &Who,
    (name, query): (&str, &str),
    replace: bool,
) -> Result<NamedView, Refused> {
    let wrong = |why: String| Err((StatusCode::BAD_REQUEST, why));
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.contains(is_hidden) {
        return wrong(format!(
            "a view has a name of 1 to {MAX_NAME} characters, none of them hidden"
        ));
    }
    let query = query.trim_start_matches('?');
    let mut faults = faults::<EndpointFilter>(query).into_iter();
    if let Some((name, why)) = faults.find(|(name, _)| !Look::PARTS.contains(&name.as_str())) {
        return wrong(format!("query: `{name}`: {why}"));
    }
    let place = Place::read(query);
    if let Err(fault) = search::parse(&place.q) {
        return wrong(format!("q: {fault}"));
    }
    let views = app.views.named.load();
    if let Some(there) = views.iter().find(|view| view.name == name && !replace) {
        let why = format!(
            "{} has saved a view of this name: replace it, or take another name",
            there.by
        );
        return Err((StatusCode::CONFLICT, why));
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

/// `POST /api/v1/views`.
pub(super) async fn add(State(app): Shared, who: Who, Json(new): Json<New>) -> Response {
    answer(save(&app, &who, (&new.name, &new.query), new.replace).await)
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
    #[serde(default)]
    replace: bool,
}

/// `POST /endpoints/views`.
pub(super) async fn add_form(State(app): Shared, who: Who, Form(form): Form<ViewForm>) -> Response {
    if let Some(stale) = stale(&app, &who, &form.csrf) {
        return stale;
    }
    let done = save(&app, &who, (&form.name, &form.query), form.replace).await;
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
