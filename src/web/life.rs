//! The life cycle of one alert or incident over the API: asked of the single writer, answered once it
//! is on disk.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use super::api::{self, Json, Path, ask, json, problem, remark};
use super::decide::Refused;
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

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// What it is to be.
    status: Status,
    /// Why.
    #[schemars(length(max = api::MAX_NOTE))]
    note: Option<String>,
    /// Of muted: until when, in seconds of the epoch.
    until: Option<f64>,
}

impl Change {
    fn wanted(self, by: &str) -> Wanted {
        let until = self.until.map(Timestamp::from_secs_f64);
        wanted(self.status, until, self.note, by)
    }
}

pub(super) fn wanted(
    status: Status,
    until: Option<Timestamp>,
    note: Option<String>,
    by: &str,
) -> Wanted {
    Wanted {
        status,
        until,
        by: by.to_owned(),
        note: remark(note),
        at: wall(),
    }
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

/// `POST /api/v1/alerts/{id}/status`.
pub(super) async fn alert(
    State(app): Shared,
    who: Who,
    Path(id): Path<String>,
    Json(change): Json<Change>,
) -> Response {
    match change_alert(&app, id, change.wanted(&who.name)).await {
        Ok(alert) => json(&alert),
        Err((code, why)) => problem(code, &why),
    }
}

/// `POST /api/v1/incidents/{id}/status`.
pub(super) async fn incident(
    State(app): Shared,
    who: Who,
    Path(id): Path<String>,
    Json(change): Json<Change>,
) -> Response {
    match change_incident(&app, id, change.wanted(&who.name)).await {
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
