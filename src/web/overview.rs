//! The overview: is the sensor healthy, what changed, what is open.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::alerts::AlertRow;
use super::frame::{Frame, health, show};
use super::routes::Shared;
use super::who::Who;
use super::{SensorView, chart, filters};
use crate::alert::{Alert, Status};
use crate::catalog::{Documentation, EndpointView, Exposure, HostView, Kind, Life};
use crate::detect::Severity;

/// What a first-time user is missing.
fn hint(s: &SensorView, endpoints: usize) -> Option<(String, String)> {
    if endpoints > 0 {
        return None;
    }
    let stage = |name: &str| {
        s.ledger
            .stages
            .get(name)
            .map_or((0, 0), |x| (x.received, x.analysed))
    };
    let say = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
    match (stage("frame"), stage("message")) {
        ((0, _), _) => say(
            "No packet has arrived",
            "Check that the mirror port is connected and up (ip link), that the switch mirrors to it, and that capture.filter does not exclude everything.",
        ),
        ((_, 0), _) => say(
            "Packets arrive, but none is TCP over IP that can be read yet",
            "The tap doctor on the sensor page says what they are, and what to change.",
        ),
        (_, (0, _)) => say(
            "TCP arrives, but no HTTP in clear",
            "Perhaps the port shows only TLS: the coverage page says of which hosts. Mirror behind the point where TLS ends, such as between the load balancer and the services.",
        ),
        _ => say(
            "HTTP arrives; no endpoint has answered yet",
            "An endpoint appears with its first 2xx or 3xx answer. A mirror of one direction alone shows no answers.",
        ),
    }
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    page: Frame,
    hint: Option<(String, String)>,
    tone: &'static str,
    rate: String,
    confirmed: usize,
    candidates: usize,
    shadow: usize,
    deprecated: usize,
    zombie: usize,
    new: usize,
    high: usize,
    /// Share inspected, and where the rest is; where there was traffic.
    coverage: Option<(String, String)>,
    findings: usize,
    grave: usize,
    chart: String,
    alerts: Vec<AlertRow>,
    hosts: Vec<HostView>,
    riskiest: Vec<Arc<EndpointView>>,
}

/// Endpoints that the overview names.
const RISKIEST: usize = 10;

pub(super) async fn page(State(app): Shared, who: Who) -> Response {
    let (catalog, alerts, sensor) = (
        app.views.catalog.load(),
        app.views.alerts.load(),
        app.views.sensor.load(),
    );
    // The list that the tiles lead to shows no static files.
    let shown = || catalog.endpoints.iter().filter(|e| e.kind != Kind::Static);
    let count = |f: &dyn Fn(&EndpointView) -> bool| shown().filter(|e| f(e)).count();
    let mut hours = vec![0; 24];
    for e in &catalog.endpoints {
        for (sum, n) in hours.iter_mut().zip(&e.hourly) {
            *sum += n;
        }
    }
    let mut hosts = catalog.hosts.clone();
    hosts.sort_by_key(|h| std::cmp::Reverse(h.requests));
    hosts.truncate(10);
    for h in &mut hosts {
        h.endpoints = shown().filter(|e| e.host == h.host).count();
    }
    let mut riskiest: Vec<_> = shown().filter(|e| e.confirmed && e.risk > 1).collect();
    riskiest.sort_by_key(|e| std::cmp::Reverse((e.risk, e.requests)));
    riskiest.truncate(RISKIEST);
    let confirmed = count(&|e| e.confirmed);
    let grave = |e: &&Exposure| e.severity >= Severity::Medium;
    let sentence = catalog.tls.coverage.sentence();
    let open = |a: &&Arc<Alert>| a.status == Status::Open;
    show(&Overview {
        hint: hint(&sensor, catalog.endpoints.len()),
        tone: health(&sensor).0,
        coverage: sentence.map(split),
        findings: catalog.exposures().count(),
        grave: catalog.exposures().filter(grave).count(),
        rate: format!("{:.0}", sensor.exchanges_per_second),
        confirmed,
        candidates: count(&|e| e.life == Life::Candidate),
        shadow: count(&|e| e.documentation == Documentation::Shadow),
        deprecated: count(&|e| e.deprecated),
        zombie: count(&|e| e.zombie),
        new: count(&|e| e.life == Life::New),
        high: alerts
            .alerts
            .iter()
            .filter(open)
            .filter(|a| a.severity >= Severity::High)
            .count(),
        chart: chart::hours(&hours),
        alerts: alerts
            .alerts
            .iter()
            .filter(open)
            .take(8)
            .map(|a| AlertRow::of(a))
            .collect(),
        hosts,
        riskiest: riskiest.into_iter().cloned().collect(),
        page: Frame::new(&app, &who, "overview"),
    })
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
