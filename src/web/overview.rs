//! The overview, which is opened every morning: does the sensor see everything, what changed since
//! yesterday, what is open, what is risky, and how much there was.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::frame::{Frame, show};
use super::routes::{App, Shared};
use super::starting::{self, Banner, Missing};
use super::summary::{Named, News, RISKY, Summary, summary};
use super::today::Today;
use super::who::Who;
use super::{SensorView, filters};
use crate::alert::{AlertsView, Incident, Status};
use crate::catalog::{CatalogView, EndpointView};
use crate::detect::Severity;
use crate::sensor::doctor::{self, Symptom, grouped};
use crate::time::Timestamp;

/// Open incidents, and lines of the tap doctor that are named.
const INCIDENTS: usize = 8;
const SYMPTOMS: usize = 3;

/// A number with the list behind it.
struct Tile {
    href: &'static str,
    label: &'static str,
    value: String,
    sub: String,
    tone: &'static str,
}

struct OpenIncident {
    incident: Arc<Incident>,
    /// Since it began.
    age: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    page: Frame,
    banners: Vec<Banner>,
    missing: Option<Missing>,
    tiles: Vec<Tile>,
    symptoms: Vec<Symptom>,
    more_symptoms: usize,
    sound: String,
    news: Vec<News>,
    /// Since when things are new, and how long the sensor has watched where that is less than a day.
    since: Timestamp,
    watched: Option<String>,
    open: Vec<OpenIncident>,
    more_open: usize,
    riskiest: Vec<Arc<EndpointView>>,
    risky: usize,
    least: u8,
    today: Today,
}

pub(super) async fn page(State(app): Shared, who: Who) -> Response {
    let (catalog, alerts, sensor) = (
        app.views.catalog.load(),
        app.views.alerts.load(),
        app.views.sensor.load(),
    );
    let sum = summary(&app);
    let now = Timestamp::from_secs(jiff::Timestamp::now().as_second());
    let mut open = open(&alerts, catalog.at);
    let more_open = open.len().saturating_sub(INCIDENTS);
    open.truncate(INCIDENTS);
    let started = catalog.started.unwrap_or(catalog.at);
    let watched = catalog.at.since(started);
    show(&Overview {
        banners: starting::banners(&sensor, &catalog, now),
        missing: starting::missing(&sensor, &catalog, sum.confirmed),
        tiles: tiles(&app, &sum, &catalog, &sensor, &alerts),
        more_symptoms: sensor.symptoms.len().saturating_sub(SYMPTOMS),
        symptoms: sensor.symptoms.iter().take(SYMPTOMS).cloned().collect(),
        sound: capital(&doctor::sound(&sensor.readings)),
        news: with_principals(&app, &sum),
        since: Timestamp(catalog.at.nanos().saturating_sub(DAY.as_nanos() as i64)),
        watched: (watched < DAY).then(|| age(watched)),
        open,
        more_open,
        riskiest: sum.riskiest.clone(),
        risky: sum.risky,
        least: RISKY,
        today: Today::of(&catalog),
        page: Frame::new(&app, &who, "overview"),
    })
}

const DAY: Duration = Duration::from_secs(86_400);

/// Incidents that nobody has taken on, the gravest first, of these the latest.
fn open(alerts: &AlertsView, now: Timestamp) -> Vec<OpenIncident> {
    let loud = |i: &&Arc<Incident>| i.status == Status::Open && i.loud > 0;
    let mut open: Vec<&Arc<Incident>> = alerts.incidents.iter().filter(loud).collect();
    open.sort_by_key(|i| Reverse((i.severity, i.last_seen)));
    let one = |i: &Arc<Incident>| OpenIncident {
        age: age(now.max(i.last_seen).since(i.first_seen)),
        incident: i.clone(),
    };
    open.into_iter().map(one).collect()
}

/// What is new of the inventory, and who is.
fn with_principals(app: &App, sum: &Summary) -> Vec<News> {
    let principals = app.views.principals.load();
    let latest = principals.items.iter().max_by_key(|row| row.first_seen);
    let mut news = sum.news.clone();
    // Two days are needed here, too.
    let whole = sum.news.iter().any(|n| n.before.is_some());
    news.push(News {
        what: "New principals",
        why: "identities and addresses that never called before",
        href: "/principals?seen=new&sort=first".into(),
        now: principals.new[0],
        before: whole.then_some(principals.new[1]),
        first: latest
            .filter(|_| principals.new[0] > 0)
            .map(|row| Named {
                name: row.id.clone(),
                href: super::principal::href(&row.id),
            })
            .into_iter()
            .collect(),
        warn: false,
    });
    news
}

fn tiles(
    app: &App,
    sum: &Summary,
    catalog: &CatalogView,
    sensor: &SensorView,
    alerts: &AlertsView,
) -> Vec<Tile> {
    let tile = |href, label, value: String, sub: String, tone| Tile {
        href,
        label,
        value,
        sub,
        tone,
    };
    let many = |n: usize| grouped(n as u64);
    let warn = |n: usize| if n > 0 { "warn" } else { "" };
    let live = sensor.sources.iter().any(|s| s.live) || sensor.exchanges_per_second > 0.0;
    let traffic = match live {
        true => format!("{:.0}/s", sensor.exchanges_per_second),
        false => grouped(catalog.pulse.iter().map(|b| b.requests).sum()),
    };
    let (share, rest) = match catalog.tls.coverage.sentence() {
        Some(sentence) => split(sentence),
        None => ("–".into(), "no traffic yet".into()),
    };
    let open = alerts
        .incidents
        .iter()
        .filter(|i| i.status == Status::Open && i.loud > 0);
    let grave = open
        .clone()
        .filter(|i| i.severity >= Severity::High)
        .count();
    let principals = app.views.principals.load();
    vec![
        tile(
            "/sensor",
            "Traffic now",
            traffic,
            if live { "exchanges" } else { "requests read" }.into(),
            "",
        ),
        tile("/coverage", "Readable", share, rest, ""),
        lost(sensor),
        tile(
            "/incidents?view=waiting",
            "Open incidents",
            many(open.count()),
            format!("{} high or critical", many(grave)),
            if grave > 0 { "bad" } else { "" },
        ),
        tile(
            "/endpoints?q=risk%3A%3E%3D7+is%3Aconfirmed",
            "Risk 7 or more",
            many(sum.risky),
            format!("of {}", doctor::count(sum.confirmed as u64, "endpoint")),
            warn(sum.risky),
        ),
        tile(
            "/endpoints?q=is%3Aconfirmed",
            "Endpoints",
            many(sum.confirmed),
            format!(
                "{} candidates, {} hosts",
                many(sum.candidates),
                many(sum.hosts)
            ),
            "",
        ),
        tile(
            "/endpoints?q=status%3Ashadow+is%3Aconfirmed",
            "Shadow",
            many(sum.shadow),
            "in no spec".into(),
            warn(sum.shadow),
        ),
        tile(
            "/endpoints?q=is%3Adeprecated%2Czombie+is%3Aconfirmed",
            "Deprecated",
            many(sum.old),
            "or zombie".into(),
            warn(sum.old),
        ),
        tile(
            "/findings",
            "Findings",
            many(sum.findings),
            format!("{} medium or worse", many(sum.grave)),
            warn(sum.grave),
        ),
        tile(
            "/principals",
            "Principals",
            many(principals.total),
            format!("{} new within a day", many(principals.new[0])),
            "",
        ),
    ]
}

/// Begins with a capital letter, as what stands by itself does.
pub(super) fn capital(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

fn lost(sensor: &SensorView) -> Tile {
    let (lost, share) = starting::loss(sensor);
    let frames = sensor.ledger.stages.get("frame").map_or(0, |x| x.received);
    let missing = sensor.symptoms.iter().any(Symptom::is_loss);
    let (value, sub, tone) = match lost {
        0 if frames == 0 => ("–".into(), "nothing has arrived".into(), ""),
        0 if missing => ("some".into(), "the tap doctor says why".into(), "warn"),
        0 => ("nothing".into(), "of what reached the port".into(), "good"),
        n => (share, doctor::count(n, "packet"), "warn"),
    };
    Tile {
        href: "/sensor",
        label: "Lost",
        value,
        sub,
        tone,
    }
}

/// `3 min`, `5 h`, `2 d`: one unit is enough to judge by.
pub(super) fn age(d: Duration) -> String {
    let secs = d.as_secs();
    match secs {
        0..60 => format!("{secs} s"),
        60..3_600 => format!("{} min", secs / 60),
        3_600..172_800 => format!("{} h", secs / 3_600),
        _ => format!("{} d", secs / 86_400),
    }
}

/// The share inspected, and the rest of the sentence.
fn split(sentence: String) -> (String, String) {
    let halves = sentence.split_once(" of HTTP bytes inspected");
    let Some((share, rest)) = halves else {
        return (sentence, String::new());
    };
    let rest = rest.trim_start_matches("; ");
    let rest = if rest.is_empty() {
        "nothing in the dark"
    } else {
        rest
    };
    (share.to_owned(), rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_in_one_unit() {
        let ages = [5, 60, 7_200, 172_800].map(|s| age(Duration::from_secs(s)));
        assert_eq!(ages, ["5 s", "1 min", "2 h", "2 d"]);
    }
}
