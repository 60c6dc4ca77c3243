//! Decisions on pages: what waits to be accepted, what the page of an endpoint offers, and the audit.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::decide::{decide, wish};
use super::frame::{Frame, failed, show};
use super::life::stale;
use super::routes::{App, Shared};
use super::who::Who;
use super::{Wish, filters};
use crate::catalog::{Action, Decision, Documentation, EndpointView, HostView, VersionView};
use crate::sensor::doctor::{self, grouped};

/// Endpoints that a confirmation lists, and decisions that the audit shows.
const SHOWN: usize = 100;

/// Whether an endpoint waits for somebody to accept it.
pub(super) fn waits(e: &EndpointView) -> bool {
    e.confirmed && e.accepted.is_none() && e.documentation != Documentation::Documented
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The versions of the host that a list is about.
pub(super) fn versions(hosts: &[HostView], host: &str) -> Option<String> {
    let found = hosts.iter().find(|h| h.host == host)?;
    let part = |v: &VersionView| {
        let endpoints = doctor::count(v.endpoints as u64, "endpoint");
        let requests = doctor::count(v.requests, "request");
        format!(
            "{} {} ({requests}, {endpoints})",
            v.version,
            percent(v.share)
        )
    };
    let parts: Vec<String> = found.versions.iter().map(part).collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// How an endpoint that should be gone fares, and the part that is left to an old version.
pub(super) fn retirement(e: &EndpointView) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if let Some(share) = e.version_share {
        let text = format!("{} of the last seven days' requests", percent(share));
        out.push(("Left to this version", text));
    }
    let Some(r) = &e.retirement else {
        return out;
    };
    let trend = match r.trend {
        Some(t) => format!(" ({:+.0} %)", t * 100.0),
        None => " (no whole week before to compare with)".into(),
    };
    let (last, before) = (grouped(e.last_week), grouped(e.week_before));
    let text = format!("{last} requests in seven days, {before} in the seven before{trend}");
    out.push(("Trend", text));
    let callers = format!("about {} in the last two weeks", grouped(r.callers));
    out.push(("Still called by", callers));
    if r.sunset.is_some() {
        let said = if r.sunset_passed { "yes" } else { "not yet" };
        out.push(("Past its sunset", said.to_owned()));
    }
    out
}

#[derive(Deserialize)]
pub(super) struct MarkForm {
    csrf: String,
    #[serde(default)]
    note: String,
    part: Option<usize>,
    word: Option<String>,
    value: Option<String>,
}

/// `POST /endpoints/{key}/{action}`.
pub(super) async fn mark(
    State(app): Shared,
    who: Who,
    Path((key, action)): Path<(String, Action)>,
    Form(form): Form<MarkForm>,
) -> Response {
    if let Some(stale) = stale(&app, &who, &form.csrf) {
        return stale;
    }
    let said = (form.part, form.word, form.value);
    let done = match wish(action, key.clone(), said) {
        Ok(wish) => decide(&app, wish, &who.name, Some(form.note)).await,
        Err(refused) => Err(refused),
    };
    let there = |app: &App| {
        let catalog = app.views.catalog.load();
        catalog.endpoints.iter().any(|e| e.key == key)
    };
    match done {
        // A pin may have made it part of another.
        Ok(_) if there(&app) => Redirect::to(&format!("/endpoints/{key}")).into_response(),
        Ok(_) => Redirect::to("/decisions").into_response(),
        Err((code, why)) => failed(&app, &who, code, "Nothing was decided", &why),
    }
}

#[derive(Deserialize)]
pub(super) struct UndoForm {
    csrf: String,
}

/// `POST /decisions/{id}/undo`.
pub(super) async fn undo(
    State(app): Shared,
    who: Who,
    Path(id): Path<u64>,
    Form(form): Form<UndoForm>,
) -> Response {
    if let Some(stale) = stale(&app, &who, &form.csrf) {
        return stale;
    }
    match decide(&app, Wish::Undo(id), &who.name, None).await {
        Ok(_) => Redirect::to("/decisions").into_response(),
        Err((code, why)) => failed(&app, &who, code, "Nothing was taken back", &why),
    }
}

struct Row {
    id: u64,
    at: String,
    by: String,
    action: String,
    /// The first places, with the page of those that are endpoints.
    places: Vec<(String, String)>,
    more: usize,
    /// The text of a note.
    value: Option<String>,
    note: Option<String>,
    undoes: Option<u64>,
    state: String,
    may_undo: bool,
}

#[derive(Template)]
#[template(path = "decisions.html")]
struct Audit {
    page: Frame,
    total: usize,
    rows: Vec<Row>,
}

/// What was decided of a place.
pub(super) fn words(decision: &Decision) -> String {
    let value = decision.value.as_deref().unwrap_or_default();
    match decision.action {
        Action::Accept => "accepted".into(),
        Action::Unaccept => "no longer accepted".into(),
        Action::PinParameter => "merged: is a value of a parameter".into(),
        Action::PinStatic => "split: is a route of its own".into(),
        Action::Unpin => "left to evidence again".into(),
        Action::Tag => format!("tagged {value}"),
        Action::Untag => format!("no longer tagged {value}"),
        Action::Own => format!("owned by {value}"),
        Action::Disown if value.is_empty() => "no longer owned".into(),
        Action::Disown => format!("no longer owned by {value}"),
        Action::Note => "has a note".into(),
        Action::Unnote => "its note is taken away".into(),
    }
}

fn row(decision: &Decision, holds: usize) -> Row {
    let count = decision.places.len();
    let first = decision.places.iter().take(3);
    let takes_back = decision.action.inverse().is_none();
    Row {
        id: decision.id,
        at: decision.at.to_string(),
        by: decision.by.clone(),
        action: words(decision),
        places: first.map(|p| (p.label(), p.key.clone())).collect(),
        more: count.saturating_sub(3),
        value: decision
            .value
            .clone()
            .filter(|_| decision.action == Action::Note),
        note: decision.note.clone(),
        undoes: decision.undoes,
        state: match holds {
            _ if takes_back => String::new(),
            0 => "taken back or replaced".into(),
            n if n == count => "holds".into(),
            n => format!(
                "holds for {} of {}",
                grouped(n as u64),
                grouped(count as u64)
            ),
        },
        may_undo: holds > 0 && !takes_back,
    }
}

/// `/decisions`.
pub(super) async fn page(State(app): Shared, who: Who) -> Response {
    let view = app.views.decisions.load();
    show(&Audit {
        total: view.items.len(),
        rows: view
            .items
            .iter()
            .take(SHOWN)
            .map(|(decision, holds)| row(decision, *holds))
            .collect(),
        page: Frame::new(&app, &who, "decisions"),
    })
}
