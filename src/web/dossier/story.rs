//! What an incident or alert tells, in the order in which one asks: what happened when, who and where,
//! and what else whoever it was has done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::About;
use crate::alert::{Alert, AlertsView, Incident, On, Transition};
use crate::catalog::CatalogView;
use crate::time::Timestamp;
use crate::web::frame::query_link;
use crate::web::routes::App;
use crate::web::worklist::{Row, principal_href};
use crate::web::{places, principal};

/// Names of callers, addresses and endpoints that the page shows, of each.
const SHOWN: usize = 10;
/// Alerts that it lists of who acts.
const OTHERS: usize = 12;
/// The longest that the page waits for what the analysis alone knows.
const PATIENCE: Duration = Duration::from_millis(500);

/// A name, and where it leads.
pub(super) struct Name {
    pub(super) text: String,
    pub(super) href: Option<String>,
}

/// Names with their number beyond those shown.
pub(super) struct Names {
    pub(super) what: &'static str,
    pub(super) shown: Vec<Name>,
    pub(super) more: u64,
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
pub(super) struct Line {
    pub(super) at: Timestamp,
    /// `rang`, `person`, or `incident` where it is about the whole.
    pub(super) kind: &'static str,
    pub(super) severity: Option<&'static str>,
    pub(super) text: String,
    pub(super) href: Option<String>,
    pub(super) note: Option<String>,
    pub(super) until: Option<Timestamp>,
}

/// An endpoint that the principal calls, and how often.
pub(super) struct Reached {
    pub(super) label: String,
    pub(super) key: String,
    pub(super) requests: String,
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
pub(super) fn lines(about: &About<'_>, on: On) -> Vec<Line> {
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
pub(super) fn names(about: &About<'_>, on: On, catalog: &CatalogView) -> Vec<Names> {
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
pub(super) fn others(about: &About<'_>, view: &AlertsView) -> Vec<Row> {
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

/// Endpoints that it calls most, as the analysis has counted its calls; none where that is too busy to
/// say: whoever looks at an incident is not to wait for them.
pub(super) async fn reached(app: &App, who: Option<&str>) -> Vec<Reached> {
    let Some(who) = who else {
        return Vec::new();
    };
    let known = tokio::time::timeout(PATIENCE, principal::ask(app, who)).await;
    let Ok(Ok(Some(known))) = known else {
        return Vec::new();
    };
    let there = known.calls.into_iter().filter_map(|c| {
        Some(Reached {
            label: c.endpoint?,
            key: c.key?,
            requests: principal::at_most(c.requests, c.error),
        })
    });
    there.take(SHOWN).collect()
}
