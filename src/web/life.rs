//! The life cycle of one alert or incident over the API: asked of the single writer, answered once it
//! is on disk.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;

use super::api::{ask, json, problem, remark};
use super::decide::{Refused, read};
use super::frame::failed;
use super::routes::{App, Shared};
use super::who::Who;
use super::{Command, guard};
use crate::alert::{Alert, Incident, Status, Wanted, wall};
use crate::time::Timestamp;

/// For how long something is muted, as the pages offer it, in hours.
pub(super) const SPANS: [(&str, &str); 4] = [
    ("1", "1 hour"),
    ("8", "8 hours"),
    ("24", "1 day"),
    ("168", "7 days"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    status: String,
    note: Option<String>,
    /// Of muted: until when, in seconds of the epoch.
    until: Option<f64>,
}

impl Change {
    fn wanted(self, by: &str) -> Result<Wanted, Refused> {
        let until = self.until.filter(|until| until.is_finite());
        wanted(
            &self.status,
            until.map(Timestamp::from_secs_f64),
            self.note,
            by,
        )
    }
}

pub(super) fn wanted(
    status: &str,
    until: Option<Timestamp>,
    note: Option<String>,
    by: &str,
) -> Result<Wanted, Refused> {
    let found = Status::ALL.into_iter().find(|s| s.name() == status);
    let status = found.ok_or_else(|| {
        let names = Status::ALL.map(Status::name).join(", ");
        (StatusCode::BAD_REQUEST, format!("status is one of {names}"))
    })?;
    Ok(Wanted {
        status,
        until,
        by: by.to_owned(),
        note: remark(note),
        at: wall(),
    })
}

async fn change_alert(app: &App, id: String, wanted: Wanted) -> Result<Alert, Refused> {
    if !app.views.alerts.load().alerts.iter().any(|a| a.id == id) {
        return Err((StatusCode::NOT_FOUND, "there is no such alert".into()));
    }
    let command = |reply| Command::SetAlertStatus { id, wanted, reply };
    ask(app, StatusCode::CONFLICT, command).await
}

async fn change_incident(app: &App, id: String, wanted: Wanted) -> Result<Incident, Refused> {
    let view = app.views.alerts.load();
    if !view.incidents.iter().any(|i| i.id == id) {
        return Err((StatusCode::NOT_FOUND, "there is no such incident".into()));
    }
    let command = |reply| Command::SetIncidentStatus { id, wanted, reply };
    ask(app, StatusCode::CONFLICT, command).await
}

fn change(who: &Who, headers: &HeaderMap, body: &Bytes) -> Result<Wanted, Refused> {
    read::<Change>(headers, body)?.wanted(&who.name)
}

/// `POST /api/v1/alerts/{id}/status`.
pub(super) async fn alert(
    State(app): Shared,
    who: Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let done = match change(&who, &headers, &body) {
        Ok(wanted) => change_alert(&app, id, wanted).await,
        Err(refused) => Err(refused),
    };
    match done {
        Ok(alert) => json(&alert),
        Err((code, why)) => problem(code, &why),
    }
}

/// `POST /api/v1/incidents/{id}/status`.
pub(super) async fn incident(
    State(app): Shared,
    who: Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let done = match change(&who, &headers, &body) {
        Ok(wanted) => change_incident(&app, id, wanted).await,
        Err(refused) => Err(refused),
    };
    match done {
        Ok(incident) => json(&incident),
        Err((code, why)) => problem(code, &why),
    }
}

/// The answer to a form that our own page did not send.
pub(super) fn stale(app: &App, who: &Who, sent: &str) -> Option<Response> {
    let refuse = || {
        failed(
            app,
            who,
            StatusCode::FORBIDDEN,
            "This form is from before a restart",
            "Load the page again and send it once more.",
        )
    };
    (!guard::same_token(who, sent)).then(refuse)
}
