//! Alerts: the list, and one of them.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;

use super::frame::{Frame, Link, Moment, Select, link, missing, query_link, show};
use super::query::{AlertFilter, severity};
use super::routes::Shared;
use super::who::Who;
use super::{chart, evidence, export, filters, life};
use crate::alert::{Alert, Incident, Status, same_endpoint};
use crate::catalog::owasp;
use crate::sensor::doctor::grouped;

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
pub(super) const SEVERITIES: [&str; 5] = ["critical", "high", "medium", "low", "info"];

/// One line of a list of alerts.
pub(super) struct AlertRow {
    pub(super) id: String,
    pub(super) summary: String,
    pub(super) severity: String,
    pub(super) kind: String,
    pub(super) endpoint: String,
    pub(super) who: String,
    pub(super) status: &'static str,
    pub(super) silenced: bool,
    pub(super) occurrences: u64,
    pub(super) at: String,
}

impl AlertRow {
    pub(super) fn of(a: &Alert) -> Self {
        let who = a
            .principal
            .as_ref()
            .and_then(|p| p.identity.clone().or_else(|| p.client.clone()));
        Self {
            id: a.id.clone(),
            summary: a.summary.clone(),
            severity: severity(a),
            kind: a.kind.clone(),
            endpoint: a.endpoint.clone().unwrap_or_default(),
            who: who.unwrap_or_else(|| "–".into()),
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

#[derive(Template)]
#[template(path = "alerts.html")]
struct Alerts {
    page: Frame,
    total: usize,
    selects: Vec<Select>,
    filtered: bool,
    rows: Vec<AlertRow>,
    next: Option<String>,
    exports: Vec<Link>,
}

pub(super) async fn page(State(app): Shared, who: Who, Query(f): Query<AlertFilter>) -> Response {
    let found = f.page(&app.views.alerts.load().alerts);
    let selects = vec![
        Select::new(
            "Status",
            "status",
            &f.status,
            "any",
            &Status::ALL.map(Status::name),
        ),
        Select::new("Kind", "kind", &f.kind, "any", &KINDS),
        Select::new("Severity", "severity", &f.severity, "any", &SEVERITIES),
        Select::new("OWASP", "owasp", &f.owasp, "any", &OWASP),
    ];
    let parts = [
        ("status", &f.status),
        ("kind", &f.kind),
        ("severity", &f.severity),
        ("owasp", &f.owasp),
    ];
    show(&Alerts {
        total: found.total,
        selects,
        filtered: f.is_set(),
        rows: found.items.iter().map(|a| AlertRow::of(a)).collect(),
        next: found.next.map(|c| link("/alerts", &parts, &c)),
        exports: export::links("alerts", &parts),
        page: Frame::new(&app, &who, "alerts"),
    })
}

/// What the form for a rule begins with.
fn silence_link(a: &Alert) -> String {
    let who = a.who().map(str::to_owned).unwrap_or_default();
    let endpoint = a.endpoint.clone().unwrap_or_default();
    let parts = [
        ("principal", &who),
        ("endpoint", &endpoint),
        ("kind", &a.kind),
    ];
    query_link("/silences", &parts)
}

#[derive(Template)]
#[template(path = "alert.html")]
struct AlertPage<'a> {
    page: Frame,
    a: &'a Alert,
    severity: String,
    action: String,
    status: Status,
    spans: &'static [(&'static str, &'static str)],
    incident: Option<&'a Incident>,
    /// The page that makes a rule for silence of it.
    silence: String,
    chart: String,
    series: Vec<(String, String, String)>,
    facts: Vec<(&'static str, String)>,
    parts: Vec<(String, String)>,
    /// What they are for, their place on the page, and the text.
    filters: Vec<(&'static str, &'static str, String)>,
    /// Whether packets are recorded, and the size of what is saved.
    recorded: bool,
    saved: Option<String>,
    times: Vec<Moment>,
    /// The page of the endpoint that it is about.
    place: Option<String>,
    others: Vec<AlertRow>,
}

pub(super) async fn one_page(State(app): Shared, who: Who, Path(id): Path<String>) -> Response {
    let all = app.views.alerts.load();
    let Some(a) = all.alerts.iter().find(|a| a.id == id) else {
        return missing(&app, &who, "There is no such alert");
    };
    let principal = a.principal.clone().unwrap_or_default();
    let likely = (a.log10_p < 0.0).then(|| format!("1 in 10^{:.0}", -a.log10_p));
    let number = |v: f64| (a.observed > 0.0).then(|| format!("{v:.1}"));
    let facts = [
        ("Expected", number(a.expected)),
        ("Seen", number(a.observed)),
        ("By chance", likely),
        ("Identity", principal.identity),
        ("Client", principal.client),
        ("Occurrences", Some(grouped(a.occurrences))),
        ("Detector", Some(a.detector.clone())),
    ];
    let known = facts
        .into_iter()
        .filter_map(|(name, fact)| Some((name, fact?)));
    let related = |o: &&Arc<Alert>| {
        o.id != a.id
            && ((a.principal.is_some() && o.principal == a.principal)
                || (a.endpoint.is_some() && o.endpoint == a.endpoint))
    };
    let catalog = app.views.catalog.load();
    let mut incidents = all.incidents.iter();
    let incident = incidents.find(|i| a.incident.as_ref() == Some(&i.id));
    let place = catalog
        .endpoints
        .iter()
        .find(|e| (a.endpoint.as_ref()).is_some_and(|label| same_endpoint(label, &e.label())));
    show(&AlertPage {
        place: place.map(|e| e.key.clone()),
        times: vec![("Since", Some(a.since)), ("Until", Some(a.until))],
        severity: severity(a),
        action: format!("/alerts/{}/status", a.id),
        status: a.status,
        spans: &life::SPANS,
        incident: incident.map(AsRef::as_ref),
        silence: silence_link(a),
        chart: chart::band(
            &a.series,
            &format!("Expected {:.0}, seen {:.0}", a.expected, a.observed),
        ),
        series: a
            .series
            .iter()
            .map(|p| {
                (
                    p.at.to_string(),
                    format!("{:.1}", p.expected),
                    format!("{:.0}", p.observed),
                )
            })
            .collect(),
        facts: known.collect(),
        parts: evidence::parts(a),
        filters: evidence::filters(a),
        recorded: !app.views.saved.load().dir.as_os_str().is_empty(),
        saved: evidence::saved(&app.views.saved.load(), a),
        others: all
            .alerts
            .iter()
            .filter(related)
            .take(12)
            .map(|o| AlertRow::of(o))
            .collect(),
        a,
        page: Frame::new(&app, &who, "alerts"),
    })
}
