//! The JSON API: the same views as the pages, as data.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::query::{EndpointFilter, Page};
use super::reply::{self, Reply};
use super::routes::{App, Shared};
use super::search::Fault;
use super::triage::Filter;
use super::worklist::{self, lists};
use super::{Command, export, schema, who};

pub(super) mod extract;
pub(super) mod polish;
pub(super) mod problem;
pub(super) mod route;
pub(super) mod shape;
pub(super) mod table;
mod words;

pub(super) use extract::{Json, Path, Query};
pub(super) use problem::{Problem, Wrong, problem};
pub(super) use route::List;

#[cfg(test)]
mod tests;

/// That something was done, where there is nothing to show for it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Done {
    ok: bool,
}

pub(super) const DONE: Done = Done { ok: true };

/// The body of what needs no telling.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the answer could not be written",
        ),
    }
}

/// A cursor of another list or order, or none at all. To begin anew without a word would give items
/// twice, and might never end.
pub(super) fn lost() -> Problem {
    Problem::wrong(Wrong {
        detail: "it is no `next` of this list in this order: begin anew".into(),
        parameter: Some("cursor".into()),
        ..Wrong::default()
    })
}

pub(super) fn list<T: Serialize>(page: &Page<T>) -> Response {
    if page.lost {
        return lost().into_response();
    }
    json(&List {
        items: page.items.iter().map(AsRef::as_ref).collect::<Vec<&T>>(),
        next: page.next.clone(),
        total: page.total,
    })
}

pub(super) async fn endpoints(
    State(app): Shared,
    headers: HeaderMap,
    uri: Uri,
    Query(filter): Query<EndpointFilter>,
) -> Response {
    let index = app.index().await;
    let answer = match export::wanted(&headers) {
        Some(form) => export::endpoints_as(form, &filter, &uri, &index),
        None => filter.page(&index).map(|page| list(&page)),
    };
    answer.unwrap_or_else(|fault| unreadable(&fault))
}

/// A query that cannot be read: why, where, and the mend.
pub(super) fn unreadable(fault: &Fault) -> Response {
    let wrong = Wrong {
        detail: fault.to_string(),
        parameter: Some("q".into()),
        ..Wrong::default()
    };
    Problem::wrong(wrong).into_response()
}

pub(super) async fn endpoint(State(app): Shared, Path(key): Path<String>) -> Response {
    let index = app.index().await;
    match index.find(&key) {
        Some(row) => json(&schema::whole(index.endpoint(row))),
        None => problem(StatusCode::NOT_FOUND, "there is no such endpoint"),
    }
}

pub(super) async fn alerts(
    State(app): Shared,
    headers: HeaderMap,
    uri: Uri,
    Query(filter): Query<Filter>,
) -> Response {
    let asked = match worklist::ask(&app, filter) {
        Ok(asked) => asked,
        Err(why) => return problem(StatusCode::BAD_REQUEST, &why),
    };
    let lists = lists(&app);
    let found = lists.alerts().find(&asked);
    match export::wanted(&headers) {
        Some(form) => export::send(form, "alerts", &uri, found.part(&asked.filter)),
        None => list(&found.page(&asked.filter)),
    }
}

pub(super) async fn alert(State(app): Shared, Path(id): Path<String>) -> Response {
    match lists(&app).alerts().get(&id) {
        Some(a) => json(a.as_ref()),
        None => problem(StatusCode::NOT_FOUND, "there is no such alert"),
    }
}

/// Hosts with their versions, where they have several.
pub(super) async fn hosts(State(app): Shared) -> Response {
    let catalog = app.views.catalog.load();
    json(&List::whole(catalog.hosts.iter().collect()))
}

/// Bytes of a body; a list of a hundred thousand keys fits.
pub(super) const MAX_BODY: usize = 2 << 20;

/// Characters of what a person adds to a change.
pub(super) const MAX_NOTE: usize = 500;

/// What a person adds to a change, of a bounded length.
pub(super) fn remark(note: Option<String>) -> Option<String> {
    note.filter(|n| !n.trim().is_empty())
        .map(|n| n.chars().take(MAX_NOTE).collect())
}

/// Asks the single writer, and waits for what came of it; `wrong` is what its no means. The audit has
/// it under the name of whoever made this request.
pub(super) async fn ask<T>(
    app: &App,
    wrong: StatusCode,
    command: impl FnOnce(Reply<T>) -> Command,
) -> Result<T, (StatusCode, String)> {
    let busy = || {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "apitap is busy: try again".to_owned(),
        )
    };
    let (command, answer) = reply::asked(&app.audit, who::asker(), command);
    app.commands.try_send(command).map_err(|_| busy())?;
    match answer.await {
        Ok(done) => done.map_err(|why| (wrong, why)),
        Err(_) => Err(busy()),
    }
}
