//! One endpoint.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;

use super::alerts::AlertRow;
use super::endpoints::badges;
use super::frame::{Frame, Moment, missing, show};
use super::history::{self, Charts, Span};
use super::routes::Shared;
use super::schema::{self, SchemaPart};
use super::security::{self, SchemeRow};
use super::who::Who;
use super::{decisions, filters};
use crate::alert::same_endpoint;
use crate::catalog::{EndpointView, Quantiles, SessionKind, SessionsView, TopView};
use crate::sensor::doctor::grouped;

#[derive(Template)]
#[template(path = "endpoint.html")]
struct Endpoint<'a> {
    page: Frame,
    e: &'a EndpointView,
    badges: Vec<&'static str>,
    history: Charts,
    facts: Vec<(&'static str, String)>,
    times: Vec<Moment>,
    classes: Vec<(&'static str, u64)>,
    quantiles: Vec<(&'static str, String, String, String)>,
    /// The verdict on its authentication, and what that rests on.
    verdict: &'static str,
    schemes: Vec<SchemeRow>,
    schema: Vec<SchemaPart>,
    alerts: Vec<AlertRow>,
    /// Callers of whose calls at least half are sure.
    top: Vec<&'a TopView>,
    /// Only where no edge names them.
    programs: &'a [TopView],
    review: decisions::Review,
}

/// What requests say beneath the path.
fn operation_facts(e: &EndpointView) -> Vec<(&'static str, String)> {
    let number = |n: Option<u16>| n.map(|n| n.to_string());
    let kind = e.operation_kind.map(|kind| kind.as_str().to_owned());
    let schema = e.introspection.then(|| "asked for".to_owned());
    let facts = [
        ("Operation", e.operation.clone()),
        ("Kind", kind),
        ("GraphQL depth, at most", number(e.graphql_depth)),
        ("GraphQL aliases, at most", number(e.graphql_aliases)),
        ("GraphQL schema", schema),
    ];
    let known = facts
        .into_iter()
        .filter_map(|(name, fact)| Some((name, fact?)));
    known.collect()
}

/// What an endpoint's long-lived connections carried.
fn sessions(s: &SessionsView) -> (&'static str, String) {
    let mut text = format!(
        "{} opened, {} over, the longest {:.0} s; client to server {} messages of {} bytes, server to client {} of {}",
        s.sessions,
        s.over,
        s.longest_seconds,
        s.up.messages,
        s.up.bytes,
        s.down.messages,
        s.down.bytes
    );
    if !s.closes.is_empty() {
        let codes = s.closes.iter().map(|(code, n)| format!("{code} ({n})"));
        text += &format!("; close codes {}", codes.collect::<Vec<_>>().join(", "));
    }
    if s.lossy > 0 {
        text += "; a part was missed, so these are the least";
    }
    let name = match s.kind {
        SessionKind::WebSocket => "WebSocket",
        SessionKind::EventStream => "Event streams",
    };
    (name, text)
}

pub(super) async fn page(
    State(app): Shared,
    who: Who,
    Path(key): Path<String>,
    Query(span): Query<Span>,
) -> Response {
    let catalog = app.views.catalog.load();
    let Some(e) = catalog.find(&key) else {
        return missing(&app, &who, "There is no such endpoint");
    };
    let label = e.label();
    let mut facts = vec![
        ("Host", e.host.clone()),
        ("Requests", grouped(e.requests)),
        ("Callers", format!("about {}", grouped(e.callers))),
        (
            "Spec",
            e.spec
                .clone()
                .unwrap_or_else(|| "none owns this place".into()),
        ),
    ];
    facts.extend(
        e.operation_id
            .clone()
            .map(|id| ("Operation in the spec", id)),
    );
    if e.unpaired > 0 {
        facts.push(("Unpaired", grouped(e.unpaired)));
    }
    facts.extend(decisions::retirement(e));
    facts.extend(security::facts(e));
    facts.extend(operation_facts(e));
    facts.extend(e.sessions.iter().map(sessions));
    let names = ["no response", "1xx", "2xx", "3xx", "4xx", "5xx"];
    let line = |name, q: Option<Quantiles>, digits: usize| {
        let q = q?;
        let text = |v: f64| format!("{v:.digits$}");
        Some((name, text(q.p50), text(q.p90), text(q.p99)))
    };
    show(&Endpoint {
        badges: badges(e),
        history: history::charts(e, &span, catalog.at),
        facts,
        times: vec![
            ("First seen", e.first_seen),
            ("Last seen", e.last_seen),
            ("Sunset", e.sunset),
        ]
        .into_iter()
        .filter(|(name, at)| *name != "Sunset" || at.is_some())
        .collect(),
        classes: names
            .into_iter()
            .zip(e.by_class)
            .filter(|(_, n)| *n > 0)
            .collect(),
        quantiles: vec![
            line("latency, ms", e.latency, 1),
            line("request body, bytes", e.request_size, 0),
            line("response body, bytes", e.response_size, 0),
        ]
        .into_iter()
        .flatten()
        .collect(),
        verdict: security::verdict(e),
        schemes: security::schemes(e),
        schema: schema::parts(e),
        top: e
            .top_callers
            .iter()
            .filter(|c| c.error * 2 <= c.requests)
            .collect(),
        programs: if e.edges.is_empty() { &e.programs } else { &[] },
        review: decisions::Review::of(e),
        alerts: app
            .views
            .alerts
            .load()
            .alerts
            .iter()
            .filter(|a| (a.endpoint.as_deref()).is_some_and(|e| same_endpoint(e, &label)))
            .take(20)
            .map(|a| AlertRow::of(a))
            .collect(),
        e,
        page: Frame::new(&app, &who, "endpoints"),
    })
}
