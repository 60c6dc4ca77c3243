//! Alerts: the list, and one of them.

use axum::extract::{Path, State};
use axum::response::Response;

use super::asked::Asked;
use super::dossier;
use super::frame::missing;
use super::query::severity;
use super::routes::Shared;
use super::triage::Filter;
use super::who::Who;
use super::worklist;
use crate::alert::{Alert, On};
use crate::catalog::owasp;

/// What an alert may be of.
pub(super) const KINDS: [&str; 15] = [
    "enumeration",
    "scan",
    "scraping",
    "credential",
    "volume",
    "exfiltration",
    "authorization",
    "source",
    "availability",
    "tampering",
    "shadow",
    "deprecated",
    "drift",
    "exposure",
    "sensor",
];

/// One line of a list of alerts.
pub(super) struct AlertRow {
    pub(super) id: String,
    pub(super) summary: String,
    pub(super) severity: String,
    pub(super) kind: String,
    pub(super) endpoint: String,
    pub(super) status: &'static str,
    pub(super) silenced: bool,
    pub(super) occurrences: u64,
    pub(super) at: String,
}

impl AlertRow {
    pub(super) fn of(a: &Alert) -> Self {
        Self {
            id: a.id.clone(),
            summary: a.summary.clone(),
            severity: severity(a),
            kind: a.kind.clone(),
            endpoint: a.endpoint.clone().unwrap_or_default(),
            status: a.status.name(),
            silenced: a.silenced.is_some(),
            occurrences: a.occurrences,
            at: a.ts.to_string(),
        }
    }
}

/// The categories, as filters offer them.
pub(super) const OWASP: [&str; 10] = {
    let (mut ids, mut at) = ([""; 10], 0);
    while at < ids.len() {
        ids[at] = owasp::CATEGORIES[at].id;
        at += 1;
    }
    ids
};

/// `/alerts`.
pub(super) async fn page(
    State(app): Shared,
    who: Who,
    Asked(filter, slips): Asked<Filter>,
) -> Response {
    worklist::page(&app, &who, On::Alerts, filter, slips)
}

/// `/alerts/{id}`.
pub(super) async fn one_page(State(app): Shared, who: Who, Path(id): Path<String>) -> Response {
    let page = dossier::page(&app, &who, On::Alerts, &id).await;
    page.unwrap_or_else(|| missing(&app, &who, "There is no such alert"))
}
