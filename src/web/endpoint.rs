//! One endpoint: a summary first, then its traffic, what it takes and answers, who may and does call
//! it, its versions, what happened to it, and why its template is what it is.

mod compare;
mod pins;
mod timeline;

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::alerts::AlertRow;
use super::frame::{Frame, missing, show};
use super::history::{self, Charts, Shown};
use super::principals::calls;
use super::routes::Shared;
use super::schema::{self, SchemaPart};
use super::security::{self, SchemeRow};
use super::who::Who;
use super::{api, decisions, filters};
use crate::alert::{Alert, AlertsView, same_endpoint};
use crate::catalog::{
    Documentation, EndpointView, MAX_NOTE, MAX_OWNER, MAX_TAG, MAX_TAGS, PathParameter, Quantiles,
    SessionKind, SessionsView, TopView, openapi,
};
use crate::detect::{PrincipalRow, PrincipalsView};
use crate::sensor::doctor::grouped;
use crate::time::Timestamp;
use compare::Version;
pub(super) use pins::{confirm, data as foresee};
pub(super) use timeline::{Entry, list as timeline};

/// Alerts and entries of the time line that the page lists; all of them are elsewhere.
const SHOWN: usize = 20;

/// A status with the reason in words.
struct Status<'a> {
    badge: &'a str,
    why: String,
    since: Option<Timestamp>,
}

/// One of the figures on top.
struct Figure {
    name: &'static str,
    value: String,
    about: String,
    href: &'static str,
}

/// A part of the path, and what it is if it is a parameter.
struct PathPart<'a> {
    text: &'a str,
    parameter: Option<&'a PathParameter>,
    /// Why it is one, and what its values are made of, in words.
    why: String,
    made_of: String,
}

/// An incident that the endpoint is part of.
struct IncidentRow {
    id: String,
    title: String,
    severity: &'static str,
    status: &'static str,
    at: Timestamp,
}

#[derive(Template)]
#[template(path = "endpoint.html")]
struct Endpoint<'a> {
    page: Frame,
    e: &'a EndpointView,
    may_accept: bool,
    /// Its template is the traffic's, not a spec's.
    may_pin: bool,
    states: Vec<Status<'a>>,
    figures: Vec<Figure>,
    history: Charts,
    facts: Vec<(&'static str, String)>,
    statuses: Vec<(String, u64)>,
    quantiles: Vec<(&'static str, String, String, String)>,
    sensitive: Vec<String>,
    /// The verdict on its authentication, and what that rests on.
    verdict: &'static str,
    schemes: Vec<SchemeRow>,
    schema: Vec<SchemaPart>,
    incidents: Vec<IncidentRow>,
    alerts: Vec<AlertRow>,
    alerts_more: usize,
    /// Listed principals that call it, the most frequent first, and how many there are.
    callers: Vec<(Arc<PrincipalRow>, u64)>,
    all_callers: usize,
    /// Where none is listed: callers of whose calls at least half are sure.
    top: Vec<&'a TopView>,
    /// Only where no edge names them.
    programs: &'a [TopView],
    versions: Vec<Version>,
    timeline: Vec<Entry>,
    earlier: Vec<Entry>,
    parts: Vec<PathPart<'a>>,
    parameters: usize,
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

fn statuses(e: &EndpointView) -> Vec<Status<'_>> {
    let mut out: Vec<Status<'_>> = e
        .reasons
        .iter()
        .map(|r| Status {
            badge: &r.status,
            why: r.why.clone(),
            since: r.since,
        })
        .collect();
    if !e.drift.is_empty() {
        let since = e.drift.iter().map(|d| d.first_seen).min();
        let n = crate::sensor::doctor::count(e.drift.len() as u64, "difference");
        let why = format!("{n} from its document, below");
        out.push(Status {
            badge: "drift",
            why,
            since,
        });
    }
    if let Some(why) = &e.held_back {
        out.push(Status {
            badge: "held back",
            why: why.clone(),
            since: None,
        });
    }
    out
}

fn figures(e: &EndpointView, now: Timestamp) -> Vec<Figure> {
    let errors = e.by_class[4] + e.by_class[5];
    let share = errors as f64 / e.requests.max(1) as f64 * 100.0;
    let figure = |name, value, about, href| Figure {
        name,
        value,
        about,
        href,
    };
    let latency = e.latency.map(|q| {
        (
            format!("{:.1} ms", q.p50),
            format!("p99 {:.1} ms, in all", q.p99),
        )
    });
    let (median, slow) = latency.unwrap_or_else(|| ("–".into(), "none is known".into()));
    vec![
        figure(
            "Requests, 24 h",
            grouped(history::of_a_day(e, now)),
            format!("{} in all", grouped(e.requests)),
            "#history",
        ),
        figure(
            "Answered with errors",
            format!("{share:.1} %"),
            format!(
                "4xx {}, 5xx {}, in all",
                grouped(e.by_class[4]),
                grouped(e.by_class[5])
            ),
            "#history",
        ),
        figure("Latency, median", median, slow, "#history"),
        figure(
            "Callers",
            format!("about {}", grouped(e.callers)),
            e.exposure
                .map_or_else(String::new, |z| format!("open to {z} callers")),
            "#access",
        ),
        figure(
            "Sensitive data",
            sensitive(e).len().to_string(),
            "classes in its messages".into(),
            "#parameters",
        ),
    ]
}

/// Classes with where they are: `pii:email in responses`.
fn sensitive(e: &EndpointView) -> Vec<String> {
    let said = e
        .sensitive
        .iter()
        .map(|s| format!("{} in {}s", s.class, s.direction));
    let classes: BTreeSet<String> = said.collect();
    classes.into_iter().collect()
}

fn facts(e: &EndpointView) -> Vec<(&'static str, String)> {
    let spec = || {
        e.spec
            .clone()
            .unwrap_or_else(|| "none owns this place".into())
    };
    let mut facts = vec![("Host", e.host.clone()), ("Spec", spec())];
    let operation = e.operation_id.clone();
    facts.extend(operation.map(|id| ("Operation in the spec", id)));
    if e.unpaired > 0 {
        facts.push(("Unpaired", grouped(e.unpaired)));
    }
    facts.extend(decisions::retirement(e));
    facts.extend(security::facts(e));
    facts.extend(operation_facts(e));
    facts.extend(e.sessions.iter().map(sessions));
    facts
}

fn quantiles(e: &EndpointView) -> Vec<(&'static str, String, String, String)> {
    let line = |name, q: Option<Quantiles>, digits: usize| {
        let q = q?;
        let text = |v: f64| format!("{v:.digits$}");
        Some((name, text(q.p50), text(q.p90), text(q.p99)))
    };
    let lines = [
        line("latency, ms", e.latency, 1),
        line("request body, bytes", e.request_size, 0),
        line("response body, bytes", e.response_size, 0),
    ];
    lines.into_iter().flatten().collect()
}

/// By status where they are told apart, and those without an answer.
fn answers(e: &EndpointView) -> Vec<(String, u64)> {
    let silent = (e.by_class[0] > 0).then(|| ("no response".to_owned(), e.by_class[0]));
    let known = e
        .statuses
        .iter()
        .map(|(status, n)| (status.to_string(), *n));
    known.chain(silent).collect()
}

fn path_parts(e: &EndpointView) -> Vec<PathPart<'_>> {
    let parts = e.template.split('/').filter(|part| !part.is_empty());
    let part = |(at, text)| {
        let parameter = e.path_parameters.iter().find(|p| p.part == at);
        PathPart {
            text,
            parameter,
            why: parameter.map(why).unwrap_or_default(),
            made_of: parameter.map(made_of).unwrap_or_default(),
        }
    };
    parts.enumerate().map(part).collect()
}

fn why(p: &PathParameter) -> String {
    match p.why.is_empty() {
        true => "Each of its values is one by its form alone".into(),
        false => timeline::capital(&p.why),
    }
}

/// `digits, 4 to 7 characters`: what the values are, without any of them.
fn made_of(p: &PathParameter) -> String {
    let Some(made_of) = &p.made_of else {
        return p.types.join(" or ");
    };
    let share = |n: u32| f64::from(n) / f64::from(made_of.seen.max(1)) * 100.0;
    let kind = |(kind, n): &(String, u32)| match share(*n) {
        99.5.. => kind.clone(),
        part => format!("{kind} in {part:.0} %"),
    };
    let kinds: Vec<String> = made_of.kinds.iter().take(5).map(kind).collect();
    let length = match (made_of.shortest, made_of.longest) {
        (1, 1) => "1 character".to_owned(),
        (a, b) => format!("{a} to {b} characters"),
    };
    format!("{}: {}; {length}", p.types.join(" or "), kinds.join(", "))
}

/// What rang of it, the newest first. Of alerts elsewhere no more than the beginning is looked at.
fn rang<'v>(view: &'v AlertsView, e: &EndpointView) -> impl Iterator<Item = &'v Alert> {
    let (place, label) = (format!("{} {} ", e.method, e.host), e.label());
    let is_it = move |of: &str| of.starts_with(&place) && same_endpoint(of, &label);
    let all = view.alerts.iter().map(AsRef::as_ref);
    all.filter(move |a: &&Alert| a.endpoint.as_deref().is_some_and(&is_it))
}

/// The first alerts, how many more there are, and the incidents that they are part of.
fn alerts(view: &AlertsView, e: &EndpointView) -> (Vec<AlertRow>, usize, Vec<IncidentRow>) {
    let own: Vec<&Alert> = rang(view, e).collect();
    let named: BTreeSet<&str> = own.iter().filter_map(|a| a.incident.as_deref()).collect();
    let incidents = (view.incidents.iter()).filter(|i| named.contains(i.id.as_str()));
    let incident = incidents.take(SHOWN).map(|i| IncidentRow {
        id: i.id.clone(),
        title: i.title.clone(),
        severity: i.severity.name(),
        status: i.status.name(),
        at: i.last_seen,
    });
    let shown = own.iter().take(SHOWN).map(|a| AlertRow::of(a)).collect();
    (shown, own.len().saturating_sub(SHOWN), incident.collect())
}

/// Principals that call it, by their own counts: these tell one from the other where an endpoint has more
/// callers alike than it can tell apart.
fn callers(view: &PrincipalsView, e: &EndpointView) -> Vec<(Arc<PrincipalRow>, u64)> {
    let counted = view.items.iter().map(|row| (row, calls(row, e.id)));
    let callers = counted.filter(|(_, requests)| *requests > 0);
    let mut callers: Vec<_> = callers.map(|(row, n)| (row.clone(), n)).collect();
    callers.sort_by_key(|(_, requests)| std::cmp::Reverse(*requests));
    callers
}

pub(super) async fn page(
    State(app): Shared,
    who: Who,
    Path(key): Path<String>,
    Query(range): Query<Shown>,
) -> Response {
    let catalog = app.views.catalog.load();
    let Some(e) = catalog.find(&key) else {
        return missing(&app, &who, "There is no such endpoint");
    };
    let bands = app.views.bands.load();
    let (shown, alerts_more, incidents) = alerts(&app.views.alerts.load(), e);
    let mut timeline = timeline::entries(&app, e);
    let earlier = timeline.split_off(timeline.len().min(SHOWN));
    let open = e.confirmed && e.documentation != Documentation::Documented;
    let mut callers = callers(&app.views.principals.load(), e);
    let all_callers = callers.len();
    callers.truncate(SHOWN);
    show(&Endpoint {
        may_accept: decisions::waits(e),
        may_pin: open,
        states: statuses(e),
        figures: figures(e, catalog.at),
        history: history::charts(e, &range, bands.of(e.id), catalog.at),
        facts: facts(e),
        statuses: answers(e),
        quantiles: quantiles(e),
        sensitive: sensitive(e),
        verdict: security::verdict(e),
        schemes: security::schemes(e),
        schema: schema::parts(e),
        incidents,
        alerts: shown,
        alerts_more,
        top: e
            .top_callers
            .iter()
            .filter(|c| all_callers == 0 && c.error * 2 <= c.requests)
            .collect(),
        callers,
        all_callers,
        programs: if e.edges.is_empty() { &e.programs } else { &[] },
        versions: compare::versions(&catalog, e),
        timeline,
        earlier,
        parts: path_parts(e),
        parameters: e.path_parameters.len(),
        e,
        page: Frame::new(&app, &who, "endpoints"),
    })
}

/// `/api/v1/endpoints/{key}/openapi.json`: this endpoint as a document of one operation.
pub(super) async fn document(State(app): Shared, api::Path(key): api::Path<String>) -> Response {
    let catalog = app.views.catalog.load();
    let Some(e) = catalog.find(&key) else {
        return api::problem(StatusCode::NOT_FOUND, "there is no such endpoint");
    };
    let Some(document) = openapi::documents(&[e]).pop() else {
        let why = "only a confirmed endpoint of an API is described";
        return api::problem(StatusCode::CONFLICT, why);
    };
    let mut response = api::json(&document);
    let file = HeaderValue::from_static("attachment; filename=\"apitap-endpoint.openapi.json\"");
    response
        .headers_mut()
        .insert(header::CONTENT_DISPOSITION, file);
    response
}
