//! Incidents: the list, and one with its time line, alerts and actions.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::api::{self, json, problem};
use super::query::{Page, cut};
use super::routes::Shared;
use crate::alert::Incident;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    status: String,
    severity: String,
    kind: String,
    cursor: String,
    limit: Option<usize>,
}

impl Filter {
    fn page(&self, all: &[Arc<Incident>]) -> Page<Incident> {
        let is = |filter: &str, value: &str| filter.is_empty() || filter == value;
        let wanted = |i: &&Arc<Incident>| {
            is(&self.status, i.status.name())
                && is(&self.severity, i.severity.name())
                && (self.kind.is_empty() || i.kinds.contains(&self.kind))
        };
        let found: Vec<&Arc<Incident>> = all.iter().filter(wanted).collect();
        cut(&found, &self.cursor, self.limit, |i| &i.id)
    }
}

/// `/api/v1/incidents`.
pub(super) async fn list(State(app): Shared, Query(filter): Query<Filter>) -> Response {
    api::list(&filter.page(&app.views.alerts.load().incidents))
}

/// `/api/v1/incidents/{id}`.
pub(super) async fn one(State(app): Shared, Path(id): Path<String>) -> Response {
    let view = app.views.alerts.load();
    match view.incidents.iter().find(|i| i.id == id) {
        Some(incident) => json(incident.as_ref()),
        None => problem(StatusCode::NOT_FOUND, "there is no such incident"),
    }
}
