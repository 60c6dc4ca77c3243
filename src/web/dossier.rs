//! The page of an incident and that of an alert: one layout, from what happened over how sure that
//! is to what was done about it. An incident of one alert is told by that alert alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::response::Response;

use super::Role;
use super::frame::{Frame, query_link, show};
use super::places;
use super::routes::App;
use super::score::{Measure, Score};
use super::who::Who;
use super::worklist::{Row, principal_href};
use super::{chart, evidence, filters, life};
use crate::alert::delivery::Delivery;
use crate::alert::{Alert, AlertsView, Incident, On, Status, Transition};
use crate::catalog::{CatalogView, EndpointView};
use crate::sensor::doctor::grouped;
use crate::time::Timestamp;

/// Names of callers, addresses and endpoints that the page shows, of each.
const SHOWN: usize = 10;
/// Alerts that it lists, of an incident and of who acts.
const MEMBERS: usize = 100;
const OTHERS: usize = 12;

/// A name, and where it leads.
struct Name {
    text: String,
    href: Option<String>,
}

/// Names with their number beyond those shown.
struct Names {
    what: &'static str,
    shown: Vec<Name>,
    more: u64,
}

impl Names {
    fn of<'a>(
        what: &'static str,
        all: impl ExactSizeIterator<Item = &'a String>,
        more: u64,
        href: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let more = more + all.len().saturating_sub(SHOWN) as u64;
        let shown = all.take(SHOWN).map(|name| Name {
            text: name.clone(),
            href: href(name),
        });
        Self {
            what,
            shown: shown.collect(),
            more,
        }
    }
}

/// A line of the time line.
struct Line {
    at: Timestamp,
    /// `rang`, `person`, or `incident` where it is about the whole.
    kind: &'static str,
    severity: Option<&'static str>,
    text: String,
    href: Option<String>,
    note: Option<String>,
    until: Option<Timestamp>,
}

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

/// An endpoint that the principal reached, with its requests.
struct Reached {
    label: String,
    key: String,
    requests: u64,
}

/// A filter: what it is for, its place on the page, its text.
type Text = (&'static str, &'static str, String);

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
    filters: Vec<Text>,
    more_routes: bool,
    packets: Option<String>,
    recorded: bool,
    /// Some packets that the bundle can hold are saved.
    has_packets: bool,
    packets_of: String,
}

/// What the page is about.
pub(super) struct About<'a> {
    pub(super) incident: Option<&'a Incident>,
    /// The alert itself; of an incident the gravest, where it is still there.
    pub(super) lead: Option<&'a Alert>,
    pub(super) members: Vec<&'a Arc<Alert>>,
}

impl<'a> About<'a> {
    pub(super) fn incident(i: &'a Incident, view: &'a AlertsView) -> Self {
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
    pub(super) fn alert(a: &'a Alert, view: &'a AlertsView) -> Self {
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

fn changes(history: &[Transition]) -> impl Iterator<Item = Line> {
    history.iter().map(|t| Line {
        at: t.at,
        kind: "person",
        severity: None,
        text: match t.from == t.to && t.note.is_some() {
            true => format!("{} left a note", t.by),
            false => format!("{}: {} → {}", t.by, t.from.name(), t.to.name()),
        },
        href: None,
        note: t.note.clone(),
        until: t.until.filter(|_| t.from != t.to),
    })
}

/// What rang and what people did, in the order of time.
fn lines(about: &About<'_>, on: On) -> Vec<Line> {
    let mut lines = match (on, about.incident, about.lead) {
        (On::Incidents, Some(i), _) => rings(i, about),
        (_, _, Some(a)) => alone(a),
        _ => Vec::new(),
    };
    match (on, about.incident, about.lead) {
        (On::Incidents, Some(i), _) => lines.extend(changes(&i.history)),
        (_, _, Some(a)) => lines.extend(changes(&a.history)),
        _ => {}
    }
    lines.sort_by_key(|l| l.at);
    lines
}

/// The lines of an incident; they lead to their alerts where those are still there.
fn rings(i: &Incident, about: &About<'_>) -> Vec<Line> {
    let ids: BTreeSet<&str> = about.members.iter().map(|a| a.id.as_str()).collect();
    let there = |id: &&str| i.count > 1 && ids.contains(id);
    let line = |e: &crate::alert::Event| Line {
        at: e.at,
        kind: if e.alert.is_some() {
            "rang"
        } else {
            "incident"
        },
        severity: Some(e.severity.name()),
        text: e.text.clone(),
        href: (e.alert.as_deref().filter(there)).map(|id| format!("/alerts/{id}")),
        note: None,
        until: None,
    };
    let mut lines: Vec<Line> = i.timeline.iter().map(line).collect();
    // Of one alert alone the first line says what the page's heading does.
    if let (1, Some(a)) = (i.count, about.lead) {
        lines.retain(|l| l.kind != "rang");
        lines.extend(alone(a));
    }
    lines
}

fn alone(a: &Alert) -> Vec<Line> {
    let line = |at, text: String| Line {
        at,
        kind: "rang",
        severity: None,
        text,
        href: None,
        note: None,
        until: None,
    };
    let mut lines = vec![line(a.ts, "Raised".into())];
    if a.since < a.ts {
        lines.insert(0, line(a.since, "It began".into()));
    }
    if a.occurrences > 1 {
        let text = format!("Seen last, for the {} time", ordinal(a.occurrences));
        lines.push(line(a.last_seen, text));
    }
    lines
}

fn ordinal(n: u64) -> String {
    let end = match (n % 100, n % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{n}{end}")
}

/// Who and where, each said once.
fn names(about: &About<'_>, on: On, catalog: &CatalogView) -> Vec<Names> {
    let place = |label: &str| {
        let found = places::endpoint(catalog, label)?;
        Some(format!("/endpoints/{}", found.key))
    };
    let who = |who: &str| Some(principal_href(who));
    let host = |host: &str| {
        let host = host.to_owned();
        Some(query_link("/endpoints", &[("host", &host)]))
    };
    let none = BTreeSet::new();
    let mut out = match (on, about.incident, about.lead) {
        (On::Incidents, Some(i), _) => {
            let clients = if i.clients == i.callers {
                &none
            } else {
                &i.clients
            };
            vec![
                Names::of("Who", i.callers.iter(), i.more_callers, who),
                Names::of("Seen from", clients.iter(), 0, who),
                Names::of("Endpoints", i.endpoints.iter(), i.more_endpoints, place),
                Names::of("Hosts", i.hosts.iter(), 0, host),
            ]
        }
        (_, _, Some(a)) => {
            let principal = a.principal.clone().unwrap_or_default();
            let identity: Vec<String> = principal.identity.into_iter().collect();
            let client: Vec<String> = principal.client.into_iter().collect();
            let (first, from) = match identity.is_empty() {
                true => (&client, Vec::new()),
                false => (&identity, client.clone()),
            };
            let endpoint: Vec<String> = a.endpoint.iter().cloned().collect();
            let hosts: Vec<String> = a.host.iter().cloned().collect();
            vec![
                Names::of("Who", first.iter(), 0, who),
                Names::of("Seen from", from.iter(), 0, who),
                Names::of("Endpoint", endpoint.iter(), 0, place),
                Names::of("Host", hosts.iter(), 0, host),
            ]
        }
        _ => Vec::new(),
    };
    out.retain(|n| !n.shown.is_empty());
    out
}

/// Other alerts of who acts, or of the place where nobody is named.
fn others(about: &About<'_>, view: &AlertsView) -> Vec<Row> {
    let Some(lead) = about.lead else {
        return Vec::new();
    };
    let here: BTreeSet<&str> = (about.members.iter().map(|a| a.id.as_str()))
        .chain([lead.id.as_str()])
        .collect();
    let client = |a: &Alert| a.principal.as_ref().and_then(|p| p.client.clone());
    let is_related = |o: &&Arc<Alert>| {
        !here.contains(o.id.as_str())
            && match lead.who() {
                Some(who) => {
                    o.who() == Some(who) || (client(lead).is_some() && client(o) == client(lead))
                }
                None => lead.endpoint.is_some() && o.endpoint == lead.endpoint,
            }
    };
    let related = view.alerts.iter().filter(is_related).take(OTHERS);
    related.map(|a| Row::from(a.as_ref())).collect()
}

/// Endpoints that know the principal as one of their most frequent callers.
fn reached(who: Option<&str>, catalog: &CatalogView) -> Vec<Reached> {
    let Some(who) = who else {
        return Vec::new();
    };
    let calls = |e: &EndpointView| {
        let top = e.top_callers.iter().find(|c| c.name == who)?;
        Some(top.requests)
    };
    let all = catalog.endpoints.iter();
    let mut all: Vec<(u64, &Arc<EndpointView>)> =
        all.filter_map(|e| Some((calls(e)?, e))).collect();
    all.sort_unstable_by(|a, b| (b.0, &a.1.key).cmp(&(a.0, &b.1.key)));
    let first = all.into_iter().take(SHOWN);
    first
        .map(|(requests, e)| Reached {
            label: e.label(),
            key: e.key.clone(),
            requests,
        })
        .collect()
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

/// The page; `on` says of which of the two.
pub(super) fn page(app: &App, who: &Who, on: On, about: &About<'_>) -> Option<Response> {
    let view = app.views.alerts.load();
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
    if let (Some(a), false) = (lead, several && on == On::Incidents) {
        facts.push(("Detector", a.detector.clone()));
    }
    let packets = lead.and_then(|a| evidence::saved(&saved, a));
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
        names: names(about, on, &catalog),
        facts,
        owasp: match (incident, lead) {
            (Some(i), _) => Some(i.owasp.clone()),
            (None, a) => a.map(|a| a.owasp.clone()),
        }
        .filter(|o| !o.is_empty()),
        lines: lines(about, on),
        omitted: incident.map_or(0, |i| i.omitted),
        samples: lead.map(|a| a.samples.clone()).unwrap_or_default(),
        members: match several && on == On::Incidents {
            true => {
                let first = about.members.iter().take(MEMBERS);
                first.map(|a| Row::from(a.as_ref())).collect()
            }
            false => Vec::new(),
        },
        others: others(about, &view),
        reached: reached(lead.and_then(Alert::who), &catalog),
        told: told.iter().rev().map(Told::from).collect(),
        filters: lead.map(evidence::filters).unwrap_or_default(),
        more_routes: lead
            .and_then(|a| a.evidence.as_ref())
            .is_some_and(|e| e.more),
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
