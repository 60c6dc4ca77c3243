//! What happened to one endpoint, in time: how it came, what was found and said of it, who decided
//! what, and what rang.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use crate::catalog::{Action, Decision, DriftView, EndpointView, Event, Happened, Place};
use crate::sensor::doctor::count;
use crate::time::Timestamp;
use crate::web::api::{self, List, Path};
use crate::web::decisions;
use crate::web::routes::{App, Shared};

/// Entries of each kind, the newest.
const OF_A_KIND: usize = 100;
/// Places of decisions that are looked through, the newest first: a look costs some milliseconds.
const LOOKED_AT: usize = 200_000;

/// Something that happened to an endpoint.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "TimelineEntry")]
pub(in crate::web) struct Entry {
    pub(in crate::web) at: Timestamp,
    #[schemars(extend("enum" = ["seen", "status", "template", "drift", "finding", "caller", "decision", "alert"]))]
    pub(in crate::web) kind: &'static str,
    pub(in crate::web) text: String,
    /// Of a decision: who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::web) by: Option<String>,
    /// Where there is more of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::web) href: Option<String>,
}

/// `/api/v1/endpoints/{key}/timeline`.
pub(in crate::web) async fn list(State(app): Shared, Path(key): Path<String>) -> Response {
    let catalog = app.views.catalog.load();
    let Some(e) = catalog.find(&key) else {
        return api::problem(StatusCode::NOT_FOUND, "there is no such endpoint");
    };
    api::json(&List::whole(entries(&app, e)))
}

/// Newest first.
pub(super) fn entries(app: &App, e: &EndpointView) -> Vec<Entry> {
    let mut out = learned(e);
    out.extend(decided(app, e));
    let alerts = app.views.alerts.load();
    let own = super::rang(&alerts, e);
    out.extend(own.take(OF_A_KIND).map(|a| Entry {
        href: Some(format!("/alerts/{}", a.id)),
        ..entry(
            a.ts,
            "alert",
            format!("Alert, {}: {}", a.severity.name(), a.summary),
        )
    }));
    out.sort_by_key(|one| std::cmp::Reverse(one.at));
    out
}

fn entry(at: Timestamp, kind: &'static str, text: String) -> Entry {
    Entry {
        at,
        kind,
        text,
        by: None,
        href: None,
    }
}

/// What the catalogue has found.
fn learned(e: &EndpointView) -> Vec<Entry> {
    let mut out = Vec::new();
    let first = e
        .first_seen
        .map(|at| entry(at, "seen", "First seen".into()));
    out.extend(first);
    let confirmed = "Confirmed: it answers as unknown paths do not";
    let at = e.confirmed_at;
    out.extend(at.map(|at| entry(at, "seen", confirmed.into())));
    let statuses = ["documented", "shadow", "deprecated", "zombie"];
    let said = e
        .reasons
        .iter()
        .filter(|r| statuses.contains(&r.status.as_str()));
    out.extend(said.filter_map(|r| {
        let text = format!("{}: {}", capital(&r.status), r.why.replace('`', ""));
        Some(entry(r.since?, "status", text))
    }));
    let sunset = e
        .sunset
        .map(|at| entry(at, "status", "Sunset, by what it says of itself".into()));
    out.extend(sunset);
    out.extend(e.events.iter().map(event));
    let drift = e.drift.iter().take(OF_A_KIND);
    out.extend(drift.map(|d| entry(d.first_seen, "drift", drifted(d))));
    out.extend(e.findings.iter().take(OF_A_KIND).map(|f| {
        let text = format!("Finding, {}: {}", f.severity.name(), f.what);
        entry(f.first_seen, "finding", text)
    }));
    out.extend(e.edges.iter().filter(|c| c.new).map(|c| {
        let zone = c.zone.map_or("unknown", |zone| zone.name());
        let program = if c.program.is_empty() {
            "no program named"
        } else {
            &c.program
        };
        let text = format!("New callers: {zone}, {}, {program}", c.credential.name());
        entry(c.first_seen, "caller", text)
    }));
    out
}

pub(super) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn event(event: &Event) -> Entry {
    let text = match &event.what {
        Happened::Joined(n) => {
            format!(
                "{} turned out to be the same endpoint",
                count((*n).into(), "other path")
            )
        }
        Happened::Parted(from) => format!("Parted from {from}"),
        Happened::Lost(n) => format!("{} parted from it", count((*n).into(), "path")),
        Happened::Renamed(template) => format!("Its template reads {template}"),
    };
    entry(event.at, "template", text)
}

fn drifted(d: &DriftView) -> String {
    // Where the difference is the status, it is its name.
    let status = d.status.map(|s| s.to_string()).unwrap_or_default();
    let status = if status == d.name { "" } else { &status };
    let place = format!("{} {status}", d.direction);
    format!(
        "Drift began: {}, {} {}",
        d.kind.name(),
        place.trim_end(),
        d.name
    )
}

/// What people decided of it, under its keys of then and now.
fn decided(app: &App, e: &EndpointView) -> Vec<Entry> {
    let is_it = |place: &Place| {
        !place.key.is_empty() && (place.key == e.key || e.aliases.contains(&place.key))
    };
    let view = app.views.decisions.load();
    let mut looked_at = 0;
    let near = view.items.iter().take_while(|(decision, _)| {
        looked_at += decision.places.len();
        looked_at <= LOOKED_AT || decision.places.len() == 1
    });
    let own = near.filter_map(|(decision, _)| {
        let place = decision.places.iter().find(|place| is_it(place))?;
        Some(decision_entry(decision, place))
    });
    own.take(OF_A_KIND).collect()
}

fn decision_entry(decision: &Decision, place: &Place) -> Entry {
    let mut text = capital(&decisions::words(decision));
    if decision.action.is_pin() {
        text = format!("{}: {text}", place.template);
    }
    if decision.action == Action::Note {
        text = format!("Note: {}", decision.value.as_deref().unwrap_or_default());
    }
    if decision.places.len() > 1 {
        text += &format!(
            ", with {}",
            count(decision.places.len() as u64 - 1, "other")
        );
    }
    if let Some(undone) = decision.undoes {
        text += &format!(" (takes back no. {undone})");
    }
    if let Some(note) = &decision.note {
        text += &format!(" “{note}”");
    }
    Entry {
        by: Some(decision.by.clone()),
        href: Some("/decisions".into()),
        ..entry(decision.at, "decision", text)
    }
}
