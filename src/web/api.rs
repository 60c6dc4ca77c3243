//! The JSON API: the same views as the pages, as data.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::oneshot;

use super::query::{AlertFilter, EndpointFilter, Page};
use super::routes::{App, Shared};
use super::search::Fault;
use super::{Command, export, schema};
use crate::sensor::TapReading;

/// RFC 9457.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    let body = serde_json::json!({
        "type": "about:blank", "title": status.canonical_reason().unwrap_or_default(), "status": status.as_u16(), "detail": detail,
    });
    (
        status,
        [(header::CONTENT_TYPE, "application/problem+json")],
        body.to_string(),
    )
        .into_response()
}

pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the answer could not be written",
        ),
    }
}

pub(super) fn list<T: Serialize>(page: &Page<T>) -> Response {
    let items: Vec<&T> = page.items.iter().map(AsRef::as_ref).collect();
    json(&serde_json::json!({ "items": items, "next": page.next, "total": page.total }))
}

pub(super) async fn endpoints(
    State(app): Shared,
    headers: HeaderMap,
    Query(filter): Query<EndpointFilter>,
) -> Response {
    let index = app.index().await;
    let answer = match export::wanted(&headers) {
        Some(form) => export::endpoints_as(form, &filter, &index),
        None => filter.page(&index).map(|page| list(&page)),
    };
    answer.unwrap_or_else(|fault| unreadable(&fault))
}

/// A query that cannot be read: why, where, and the mend.
pub(super) fn unreadable(fault: &Fault) -> Response {
    problem(StatusCode::BAD_REQUEST, &format!("q: {fault}"))
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
    Query(filter): Query<AlertFilter>,
) -> Response {
    let alerts = app.views.alerts.load();
    match export::wanted(&headers) {
        Some(form) => export::send(form, "alerts", export::owned(filter.found(&alerts.alerts))),
        None => list(&filter.page(&alerts.alerts)),
    }
}

pub(super) async fn alert(State(app): Shared, Path(id): Path<String>) -> Response {
    match app.views.alerts.load().alerts.iter().find(|a| a.id == id) {
        Some(a) => json(a.as_ref()),
        None => problem(StatusCode::NOT_FOUND, "there is no such alert"),
    }
}

pub(super) async fn sensor(State(app): Shared) -> Response {
    let s = app.views.sensor.load();
    json(&serde_json::json!({
        "ledger": s.ledger.to_json(), "sources": s.sources, "doctor": s.symptoms,
        "taps": s.readings.taps.iter().map(TapReading::to_json).collect::<Vec<_>>(), "networks": s.readings.networks, "workers": s.workers, "flows": s.flows,
        "flows_evicted": s.flows_evicted, "buffered_bytes": s.buffered_bytes, "exchanges": s.exchanges,
        "exchanges_per_second": s.exchanges_per_second, "at": s.at, "last_frame": s.last_frame_wall, "started": s.started_wall,
    }))
}

pub(super) async fn specs(State(app): Shared) -> Response {
    json(&serde_json::json!({ "items": app.views.catalog.load().specs, "next": null }))
}

/// Hosts with their versions, where they have several.
pub(super) async fn hosts(State(app): Shared) -> Response {
    json(&serde_json::json!({ "items": app.views.catalog.load().hosts, "next": null }))
}

/// What a person adds to a change, of a bounded length.
pub(super) fn remark(note: Option<String>) -> Option<String> {
    note.filter(|n| !n.trim().is_empty())
        .map(|n| n.chars().take(500).collect())
}

/// Asks the single writer, and waits for what came of it; `wrong` is what its no means.
pub(super) async fn ask<T>(
    app: &App,
    wrong: StatusCode,
    command: impl FnOnce(oneshot::Sender<Result<T, String>>) -> Command,
) -> Result<T, (StatusCode, String)> {
    let (reply, answer) = oneshot::channel();
    let busy = || {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "apitap is busy: try again".to_owned(),
        )
    };
    let sent = app.commands.try_send(command(reply));
    sent.map_err(|_| busy())?;
    match answer.await {
        Ok(done) => done.map_err(|why| (wrong, why)),
        Err(_) => Err(busy()),
    }
}
