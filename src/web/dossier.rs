//! The page of an incident and that of an alert: one layout, from what happened over how sure that
//! is to what was done about it. An incident of one alert is told by that alert alone.

use std::sync::Arc;

use askama::Template;
use axum::response::Response;

use super::Role;
use super::frame::{Frame, query_link, show};
use super::routes::App;
use super::score::{Measure, Score};
use super::who::Who;
use super::worklist::{Row, lists};
use super::{chart, evidence, filters, life};
use crate::alert::delivery::Delivery;
use crate::alert::{Alert, AlertsView, Incident, On, Status};
use crate::sensor::doctor::grouped;
use crate::time::Timestamp;

mod story;

use story::{Line, Names, Reached};

/// Alerts of an incident that the page lists.
const MEMBERS: usize = 100;

/// A point of the chart, as its table has it.
struct Cell {
    at: Timestamp,
    expected: String,
    observed: String,
}

/// What was sent to a sink, in words.
struct Told {
    sink: String,
    revision: u64,
    queued: Timestamp,
    state: &'static str,
    at: Option<Timestamp>,
    why: Option<String>,
}

impl From<&Delivery> for Told {
    fn from(d: &Delivery) -> Self {
        Self {
            sink: d.sink.clone(),
            revision: d.revision,
            queued: d.queued,
            state: match (d.settled, &d.given_up) {
                (None, _) => "waits",
                (Some(_), None) => "delivered",
                (Some(_), Some(_)) => "given up",
            },
            at: d.settled,
            why: d.given_up.clone(),
        }
    }
}

#[derive(Template)]
#[template(path = "dossier.html")]
struct Page {
    page: Frame,
    what: &'static str,
    may_act: bool,
    row: Row,
    kinds: String,
    action: String,
    bundle: String,
    status: Status,
    mutes: &'static [(&'static str, &'static str)],
    note: Option<String>,
    /// The rule that keeps it silent; of an incident of several: that rules do.
    silenced: Option<String>,
    escalated: Option<String>,
    /// Of an alert that is one of several: its incident.
    part_of: Option<Row>,
    /// The page that makes a rule for silence of it.
    silence: Option<String>,
    /// Whose score and chart are shown, where there are several.
    lead: Option<Row>,
    score: Option<Score>,
    why: Vec<String>,
    chart: String,
    cells: Vec<Cell>,
    names: Vec<Names>,
    facts: Vec<(&'static str, String)>,
    owasp: Option<String>,
    lines: Vec<Line>,
    omitted: u64,
    samples: Vec<String>,
    members: Vec<Row>,
    others: Vec<Row>,
    reached: Vec<Reached>,
    told: Vec<Told>,
    filters: Vec<evidence::Filter>,
    more_routes: bool,
    packets: Option<String>,
    recorded: bool,
    /// Some packets that the bundle can hold are saved.
    has_packets: bool,
    packets_of: String,
}

/// What the page is about.
struct About<'a> {
    incident: Option<&'a Incident>,
    /// The alert itself; of an incident the gravest, where it is still there.
    lead: Option<&'a Alert>,
    members: Vec<&'a Arc<Alert>>,
}

impl<'a> About<'a> {
    fn incident(i: &'a Incident, view: &'a AlertsView) -> Self {
        let members = members(view, &i.id);
        let lead = members
            .iter()
            .find(|a| a.id == i.lead)
            .or_else(|| members.first());
        let lead: Option<&'a Arc<Alert>> = lead.copied();
        Self {
            incident: Some(i),
            lead: lead.map(AsRef::as_ref),
            members,
        }
    }

    /// An alert, with its incident where it is one of several.
    fn alert(a: &'a Alert, view: &'a AlertsView) -> Self {
        let incident = a.incident.as_ref();
        let mut all = view.incidents.iter();
        let incident = incident.and_then(|id| all.find(|i| i.id == *id));
        Self {
            incident: incident.map(AsRef::as_ref),
            lead: Some(a),
            members: Vec::new(),
        }
    }
}

/// Alerts of an incident, newest first.
pub(super) fn members<'a>(view: &'a AlertsView, incident: &str) -> Vec<&'a Arc<Alert>> {
    let is_in = |a: &&Arc<Alert>| a.incident.as_deref() == Some(incident);
    view.alerts.iter().filter(is_in).collect()
}

/// What the form for a rule begins with.
fn silence_link(a: &Alert) -> String {
    let who = a.who().map(str::to_owned).unwrap_or_default();
    let endpoint = a.endpoint.clone().unwrap_or_default();
    let host = match &a.endpoint {
        Some(_) => String::new(),
        None => a.host.clone().unwrap_or_default(),
    };
    let parts = [
        ("principal", &who),
        ("endpoint", &endpoint),
        ("host", &host),
        ("kind", &a.kind),
        ("alert", &a.id),
    ];
    format!("{}#new", query_link("/silences", &parts))
}

/// Numbers with as many digits as tell something.
pub(super) fn number(v: f64) -> String {
    match v {
        v if v >= 1_000.0 => grouped(v.round() as u64),
        v if v.fract() == 0.0 || v.abs() >= 100.0 => format!("{v:.0}"),
        v if v.abs() >= 1.0 => format!("{v:.1}"),
        v => format!("{v:.3}"),
    }
}

/// The page of one of them; none where it is not there.
pub(super) async fn page(app: &App, who: &Who, on: On, id: &str) -> Option<Response> {
    let (view, lists) = (app.views.alerts.load_full(), lists(app));
    let about = match on {
        On::Alerts => About::alert(lists.alerts().get(id)?, &view),
        On::Incidents => About::incident(lists.incidents().get(id)?, &view),
    };
    let reached = story::reached(app, about.lead.and_then(Alert::who)).await;
    tell(app, who, on, &about, &view, reached)
}

fn tell(
    app: &App,
    who: &Who,
    on: On,
    about: &About<'_>,
    view: &AlertsView,
    reached: Vec<Reached>,
) -> Option<Response> {
    let catalog = app.views.catalog.load();
    let saved = app.views.saved.load();
    let deliveries = app.views.deliveries.load();
    let several = about.incident.is_some_and(|i| i.count > 1);
    let lead = about.lead;
    let subject = match on {
        On::Incidents => Row::from(about.incident?),
        On::Alerts => Row::from(lead?),
    };
    // What is told is the incident.
    let told = about.incident.map_or(subject.id.as_str(), |i| &i.id);
    let told = deliveries.sent.get(told).cloned().unwrap_or_default();
    let note = match on {
        On::Incidents => about.incident.and_then(|i| i.note.clone()),
        On::Alerts => lead.and_then(|a| a.note.clone()),
    };
    let incident = about.incident.filter(|_| on == On::Incidents);
    let mut facts = vec![("Seen", count(subject.occurrences, "time"))];
    if let Some(i) = incident.filter(|i| i.count > 1) {
        facts.push(("Alerts", i.count.to_string()));
    }
    match (incident, lead) {
        (Some(i), _) if i.detectors.len() > 1 => {
            let all: Vec<&str> = i.detectors.iter().map(String::as_str).collect();
            facts.push(("Detectors", all.join(", ")));
        }
        (_, Some(a)) => facts.push(("Detector", a.detector.clone())),
        _ => {}
    }
    let packets = lead.and_then(|a| evidence::saved(&saved, a));
    let (filters, more_routes) = match several && on == On::Incidents {
        true => evidence::joined(about.members.iter().map(AsRef::as_ref)),
        false => evidence::joined(lead.into_iter()),
    };
    let members_saved = about
        .members
        .iter()
        .any(|a| saved.files.contains_key(&a.id));
    Some(show(&Page {
        what: on.name(),
        may_act: who.role >= Role::Analyst,
        kinds: match (incident, lead) {
            (Some(i), _) => i.kinds.join(", "),
            (None, Some(a)) => a.kind.clone(),
            (None, None) => String::new(),
        },
        action: format!("/{}/{}/status", on.name(), subject.id),
        bundle: format!("/api/v1/{}/{}/bundle", on.name(), subject.id),
        status: subject.status,
        mutes: &life::SPANS,
        note,
        silenced: match (incident, lead) {
            (Some(i), _) if i.loud == 0 => Some(String::new()),
            (None, Some(a)) => a.silenced.clone(),
            _ => None,
        },
        escalated: incident.and_then(|i| i.escalated.clone()),
        part_of: (about.incident.filter(|_| on == On::Alerts && several)).map(Row::from),
        silence: lead.map(silence_link),
        lead: lead
            .filter(|_| on == On::Incidents && several)
            .map(Row::from),
        score: lead.and_then(Score::of),
        why: lead.map(|a| a.why.clone()).unwrap_or_default(),
        chart: lead.map_or_else(String::new, |a| {
            let words = format!(
                "Expected {}, seen {}",
                number(a.expected),
                number(a.observed)
            );
            chart::band(&a.series, &words)
        }),
        cells: lead.map(cells).unwrap_or_default(),
        names: story::names(about, on, &catalog),
        facts,
        owasp: match (incident, lead) {
            (Some(i), _) => Some(i.owasp.clone()),
            (None, a) => a.map(|a| a.owasp.clone()),
        }
        .filter(|o| !o.is_empty()),
        lines: story::lines(about, on),
        omitted: incident.map_or(0, |i| i.omitted),
        samples: lead.map(|a| a.samples.clone()).unwrap_or_default(),
        members: match several && on == On::Incidents {
            true => {
                let first = about.members.iter().take(MEMBERS);
                first.map(|a| Row::from(a.as_ref())).collect()
            }
            false => Vec::new(),
        },
        others: story::others(about, view),
        reached,
        told: told.iter().rev().map(Told::from).collect(),
        filters,
        more_routes,
        has_packets: packets.is_some() || members_saved,
        packets,
        recorded: !saved.dir.as_os_str().is_empty(),
        packets_of: lead.map(|a| a.id.clone()).unwrap_or_default(),
        row: subject,
        page: Frame::new(app, who, on.name()),
    }))
}

fn cells(a: &Alert) -> Vec<Cell> {
    let cell = |p: &crate::detect::Point| Cell {
        at: p.at,
        expected: number(p.expected),
        observed: number(p.observed),
    };
    a.series.iter().map(cell).collect()
}

fn count(n: u64, what: &str) -> String {
    crate::sensor::doctor::count(n, what)
}

impl Page {
    /// Bars that the score's page shows: those on one scale stand together.
    fn measures(&self) -> &[Vec<Measure>] {
        self.score.as_ref().map_or(&[], |s| &s.groups)
    }
}
