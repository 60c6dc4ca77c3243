//! Incidents: the list, and one with its time line, alerts and actions.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::extract::{self, State};
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use super::alerts::{AlertRow, KINDS, SEVERITIES};
use super::api::{self, Path, Query, json, problem};
use super::frame::{Frame, Select, link, missing, show};
use super::query::{Page, cut};
use super::routes::Shared;
use super::who::Who;
use super::{filters, life};
use crate::alert::{Alert, Event, Incident, Status, same_endpoint};
use crate::catalog::{CatalogView, Severity};

/// Names of callers, addresses and endpoints that the page shows, of each.
const SHOWN: usize = 10;
/// Alerts that it lists.
const MEMBERS: usize = 200;

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Filter {
    /// Where it is in its life cycle.
    #[schemars(with = "Option<Status>")]
    status: String,
    /// How grave it is.
    #[schemars(with = "Option<Severity>")]
    severity: String,
    /// A kind of alert that is in it.
    #[schemars(extend("enum" = KINDS))]
    kind: String,
    /// `next` of the page before.
    cursor: String,
    #[schemars(schema_with = "super::query::limits")]
    limit: Option<usize>,
}

impl Filter {
    fn is_set(&self) -> bool {
        [&self.status, &self.severity, &self.kind]
            .iter()
            .any(|f| !f.is_empty())
    }

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

#[derive(Template)]
#[template(path = "incidents.html")]
struct Incidents {
    page: Frame,
    total: usize,
    selects: Vec<Select>,
    filtered: bool,
    rows: Vec<Arc<Incident>>,
    next: Option<String>,
}

/// `/incidents`.
pub(super) async fn page(
    State(app): Shared,
    who: Who,
    extract::Query(f): extract::Query<Filter>,
) -> Response {
    let found = f.page(&app.views.alerts.load().incidents);
    let selects = vec![
        Select::new(
            "Status",
            "status",
            &f.status,
            "any",
            &Status::ALL.map(Status::name),
        ),
        Select::new("Severity", "severity", &f.severity, "any", &SEVERITIES),
        Select::new("Kind", "kind", &f.kind, "any", &KINDS),
    ];
    let parts = [
        ("status", &f.status),
        ("severity", &f.severity),
        ("kind", &f.kind),
    ];
    show(&Incidents {
        total: found.total,
        selects,
        filtered: f.is_set(),
        rows: found.items,
        next: found.next.map(|c| link("/incidents", &parts, &c)),
        page: Frame::new(&app, &who, "incidents"),
    })
}

/// Names with their number beyond those shown.
struct Names {
    what: &'static str,
    /// With the key of the endpoint, where it is one that is there.
    shown: Vec<(String, Option<String>)>,
    more: u64,
}

impl Names {
    fn of<'a>(what: &'static str, all: impl Iterator<Item = &'a String>, more: u64) -> Self {
        let all: Vec<&String> = all.collect();
        let shown = all.iter().take(SHOWN).map(|name| ((*name).clone(), None));
        Self {
            what,
            shown: shown.collect(),
            more: more + all.len().saturating_sub(SHOWN) as u64,
        }
    }

    fn linked(mut self, catalog: &CatalogView) -> Self {
        for (label, key) in &mut self.shown {
            let is_it = |e: &&Arc<_>| same_endpoint(&crate::catalog::EndpointView::label(e), label);
            *key = catalog.endpoints.iter().find(is_it).map(|e| e.key.clone());
        }
        self
    }
}

#[derive(Template)]
#[template(path = "incident.html")]
struct OnePage<'a> {
    page: Frame,
    i: &'a Incident,
    action: String,
    status: Status,
    spans: &'static [(&'static str, &'static str)],
    names: Vec<Names>,
    members: Vec<AlertRow>,
    lines: Vec<Line<'a>>,
}

/// A line of the time line; it leads to its alert where that is still there.
struct Line<'a> {
    event: &'a Event,
    alert: Option<&'a str>,
}

/// `/incidents/{id}`.
pub(super) async fn one_page(
    State(app): Shared,
    who: Who,
    extract::Path(id): extract::Path<String>,
) -> Response {
    let view = app.views.alerts.load();
    let Some(i) = view.incidents.iter().find(|i| i.id == id) else {
        return missing(&app, &who, "There is no such incident");
    };
    let members: Vec<&Arc<Alert>> = (view.alerts.iter())
        .filter(|a| a.incident.as_deref() == Some(&id))
        .collect();
    let ids: BTreeSet<&str> = members.iter().map(|a| a.id.as_str()).collect();
    let names = vec![
        Names::of("Callers", i.callers.iter(), i.more_callers),
        Names::of("Addresses", i.clients.iter(), 0),
        Names::of("Endpoints", i.endpoints.iter(), i.more_endpoints)
            .linked(&app.views.catalog.load()),
        Names::of("Hosts", i.hosts.iter(), 0),
    ];
    show(&OnePage {
        action: format!("/incidents/{}/status", i.id),
        status: i.status,
        spans: &life::SPANS,
        names: names.into_iter().filter(|n| !n.shown.is_empty()).collect(),
        lines: (i.timeline.iter())
            .map(|event| Line {
                event,
                alert: event.alert.as_deref().filter(|id| ids.contains(id)),
            })
            .collect(),
        members: (members.iter().take(MEMBERS))
            .map(|a| AlertRow::of(a))
            .collect(),
        i,
        page: Frame::new(&app, &who, "incidents"),
    })
}
