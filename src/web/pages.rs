//! The pages. Everything captured passes askama's escaping; only our own SVG goes as it is.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::evidence;
use super::history::{self, Charts, Span};
use super::query::{AlertFilter, EndpointFilter, review, severity};
use super::routes::{App, Shared, asset_version};
use super::schema::{self, SchemaPart};
use super::security::{self, SchemeRow};
use super::{SensorView, SourceView, api, chart, decisions, export, filters, life, query};
use crate::alert::{Alert, Incident, Status, same_endpoint};
use crate::catalog::{
    AuthVerdict, Documentation, EndpointView, Exposure, HostView, Kind, Life, Quantiles,
    SessionKind, SessionsView, TopView, owasp,
};
use crate::detect::Severity;
use crate::sensor::doctor::{self, Grade, Symptom, grouped};
use crate::sensor::{self, Readings, TapReading};
use crate::time::Timestamp;

/// A live port without a frame for so long is stale.
const STALE: u64 = 60;

/// What the frame around every page needs.
pub(super) struct Frame {
    pub(super) here: &'static str,
    /// Incidents that nobody has taken on yet.
    pub(super) open: usize,
    pub(super) health: String,
    pub(super) assets: String,
    pub(super) csrf: String,
}

impl Frame {
    pub(super) fn new(app: &App, here: &'static str) -> Self {
        let open = app
            .views
            .alerts
            .load()
            .incidents
            .iter()
            .filter(|i| i.status == Status::Open && i.loud > 0)
            .count();
        let health = health(&app.views.sensor.load()).1;
        Self {
            here,
            open,
            health,
            assets: asset_version(),
            csrf: app.csrf.clone(),
        }
    }
}

pub(super) fn show(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The sensor's state in words, with its tone.
fn health(s: &SensorView) -> (&'static str, String) {
    let live: Vec<&SourceView> = s.sources.iter().filter(|x| x.live).collect();
    let drops: u64 = s
        .sources
        .iter()
        .map(|x| x.kernel_drops + x.interface_drops)
        .sum();
    let now = Timestamp::from_secs(jiff::Timestamp::now().as_second());
    if let Some(ended) = live.iter().find(|x| x.ended.is_some()) {
        return ("bad", format!("Capture on {} has ended", ended.name));
    }
    if s.sources.is_empty() && s.ledger.stages.is_empty() {
        return ("", "No source".into());
    }
    if !live.is_empty()
        && s.last_frame_wall > Timestamp::MIN
        && now.since(s.last_frame_wall).as_secs() > STALE
    {
        return ("warn", format!("Silent since {}", s.last_frame_wall));
    }
    if let Some(worst) = s.symptoms.first().filter(|x| x.severity == Grade::Severe) {
        return ("bad", format!("{}: see the tap doctor", worst.tap));
    }
    if drops > 0 {
        return ("warn", format!("{drops} packets dropped"));
    }
    if !s.ledger.balanced() {
        return ("bad", "Ledger not balanced".into());
    }
    (
        "good",
        if live.is_empty() {
            "Nothing lost".into()
        } else {
            "Live".into()
        },
    )
}

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
    riskiest: Vec<std::sync::Arc<EndpointView>>,
}

/// Endpoints that the overview names.
const RISKIEST: usize = 10;

pub(super) async fn overview(State(app): Shared) -> Response {
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
    let open = |a: &&std::sync::Arc<Alert>| a.status == Status::Open;
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
        page: Frame::new(&app, "overview"),
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

/// The categories, as filters offer them.
pub(super) const OWASP: [&str; 10] = {
    let (mut ids, mut at) = ([""; 10], 0);
    while at < ids.len() {
        ids[at] = owasp::CATEGORIES[at].id;
        at += 1;
    }
    ids
};

pub(super) struct Select {
    pub(super) label: &'static str,
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) options: Vec<(String, String)>,
}

impl Select {
    pub(super) fn new(
        label: &'static str,
        name: &'static str,
        value: &str,
        any: &str,
        options: &[&str],
    ) -> Self {
        let first = (String::new(), any.to_owned());
        let rest = options.iter().map(|o| ((*o).to_owned(), (*o).to_owned()));
        Self {
            label,
            name,
            value: value.to_owned(),
            options: std::iter::once(first).chain(rest).collect(),
        }
    }
}

struct EndpointRow {
    key: String,
    risk: u8,
    /// Why, in a word.
    reason: String,
    method: String,
    template: String,
    operation: Option<String>,
    host: String,
    badges: Vec<&'static str>,
    /// It may be accepted.
    waits: bool,
    requests: u64,
    errors: u64,
    p90: String,
    callers: u64,
    auth: String,
    last: String,
}

fn badges(e: &EndpointView) -> Vec<&'static str> {
    let mut out = vec![review(e)];
    out.extend(e.deprecated.then_some("deprecated"));
    out.extend(e.zombie.then_some("zombie"));
    out.extend((!e.drift.is_empty()).then_some("drift"));
    out.extend((e.life != Life::Active).then_some(query::life(e.life)));
    out
}

#[derive(Template)]
#[template(path = "endpoints.html")]
struct Endpoints {
    page: Frame,
    total: usize,
    f: EndpointFilter,
    hosts: Vec<String>,
    selects: Vec<Select>,
    filtered: bool,
    rows: Vec<EndpointRow>,
    /// Of the host, where one is chosen.
    versions: Option<String>,
    /// Endpoints shown that wait to be accepted.
    waiting: usize,
    /// The filter, for the form that accepts them.
    parts: Vec<(&'static str, String)>,
    next: Option<String>,
    exports: Vec<Link>,
}

pub(super) async fn endpoints(State(app): Shared, Query(f): Query<EndpointFilter>) -> Response {
    let catalog = app.views.catalog.load();
    let found = f.page(&catalog.endpoints);
    let row = |e: &EndpointView| EndpointRow {
        key: e.key.clone(),
        risk: e.risk,
        reason: e
            .risk_reasons
            .first()
            .map_or_else(String::new, |r| r.reason.clone()),
        method: e.method.clone(),
        template: e.template.clone(),
        operation: e.operation.clone(),
        host: e.host.clone(),
        badges: badges(e),
        waits: decisions::waits(e),
        requests: e.requests,
        errors: e.by_class[4] + e.by_class[5],
        p90: e
            .latency
            .map_or_else(|| "–".into(), |q| format!("{:.1}", q.p90)),
        callers: e.callers,
        auth: security::column(e),
        last: e
            .last_seen
            .map_or_else(|| "never".into(), |t| t.to_string()),
    };
    let selects = vec![
        Select::new(
            "Method",
            "method",
            &f.method,
            "any",
            &["GET", "POST", "PUT", "PATCH", "DELETE"],
        ),
        Select::new(
            "Documentation",
            "documentation",
            &f.documentation,
            "any",
            &["documented", "shadow", "unreviewed", "accepted"],
        ),
        Select::new(
            "Life",
            "life",
            &f.life,
            "any",
            &["candidate", "new", "active", "dormant"],
        ),
        Select::new(
            "Flag",
            "flag",
            &f.flag,
            "any",
            &["deprecated", "zombie", "drift"],
        ),
        Select::new(
            "Auth",
            "auth",
            &f.auth,
            "any",
            &AuthVerdict::ALL.map(AuthVerdict::name),
        ),
        Select::new(
            "Risk, at least",
            "min_risk",
            &f.min_risk,
            "any",
            &["9", "7", "5", "3"],
        ),
        Select::new(
            "Open to",
            "exposure",
            &f.exposure,
            "any",
            &["internal", "partner", "external"],
        ),
        Select::new(
            "Sort",
            "sort",
            &f.sort,
            "risk",
            &["requests", "path", "errors", "last"],
        ),
    ];
    let parts = [
        ("q", &f.q),
        ("host", &f.host),
        ("min_risk", &f.min_risk),
        ("exposure", &f.exposure),
        ("method", &f.method),
        ("documentation", &f.documentation),
        ("life", &f.life),
        ("flag", &f.flag),
        ("auth", &f.auth),
        ("sort", &f.sort),
    ];
    show(&Endpoints {
        total: found.total,
        hosts: catalog
            .hosts
            .iter()
            .take(200)
            .map(|h| h.host.clone())
            .collect(),
        selects,
        filtered: f.is_set(),
        rows: found.items.iter().map(|e| row(e)).collect(),
        versions: decisions::versions(&catalog.hosts, &f.host),
        waiting: f.waiting(&catalog.endpoints).count(),
        parts: decisions::parts(&f),
        next: found.next.map(|c| link("/endpoints", &parts, &c)),
        exports: export::links("endpoints", &parts),
        f: f.clone(),
        page: Frame::new(&app, "endpoints"),
    })
}

/// The same list from the next item on.
pub(super) fn link(path: &str, parts: &[(&str, &String)], cursor: &str) -> String {
    let cursor = cursor.to_owned();
    let mut parts = parts.to_vec();
    parts.push(("cursor", &cursor));
    query_link(path, &parts)
}

/// A path with those of the parts that are set.
pub(super) fn query_link(path: &str, parts: &[(&str, &String)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parts.iter().filter(|(_, v)| !v.is_empty()) {
        query.append_pair(name, value);
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// A link's name and target.
pub(super) type Link = (&'static str, String);

/// A name, and when; `None`: never, or not known.
type Moment = (&'static str, Option<Timestamp>);

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

pub(super) async fn endpoint(
    State(app): Shared,
    Path(key): Path<String>,
    Query(span): Query<Span>,
) -> Response {
    let catalog = app.views.catalog.load();
    let Some(e) = catalog.find(&key) else {
        return missing(&app, "There is no such endpoint");
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
        page: Frame::new(&app, "endpoints"),
    })
}

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

pub(super) async fn alerts(State(app): Shared, Query(f): Query<AlertFilter>) -> Response {
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
        page: Frame::new(&app, "alerts"),
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

pub(super) async fn alert(State(app): Shared, Path(id): Path<String>) -> Response {
    let all = app.views.alerts.load();
    let Some(a) = all.alerts.iter().find(|a| a.id == id) else {
        return missing(&app, "There is no such alert");
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
    let related = |o: &&std::sync::Arc<Alert>| {
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
        page: Frame::new(&app, "alerts"),
    })
}

/// Overlay networks that the page lists.
const NETWORKS: usize = 50;

/// A tap or network: its name, then numbers.
struct Row {
    name: String,
    numbers: Vec<String>,
}

fn flow_cells(segments: &sensor::Segments, flows: &sensor::Flows) -> Vec<String> {
    let numbers = [
        segments.segments,
        segments.bytes,
        flows.both,
        flows.one_way,
        flows.copies,
        flows.lost_bytes,
    ];
    numbers.into_iter().map(grouped).collect()
}

fn tap_row(tap: &TapReading) -> Row {
    let f = &tap.frames;
    let unread: u64 = f.all_ignored().map(|(_, v)| v.bytes).sum();
    let share = unread as f64 / f.all.bytes.max(1) as f64 * 100.0;
    let mut numbers = vec![
        grouped(f.all.frames),
        grouped(f.all.bytes),
        format!("{share:.1} %"),
        grouped(f.cut.frames),
        grouped(f.clock.backward),
    ];
    numbers.extend(flow_cells(&f.segments, &tap.flows));
    Row {
        name: tap.name.clone(),
        numbers,
    }
}

/// Those with the most bytes first.
fn network_rows(readings: &Readings) -> Vec<Row> {
    let mut all: Vec<_> = readings.networks.iter().collect();
    all.sort_by_key(|n| std::cmp::Reverse(n.segments.bytes));
    let rows = all.into_iter().take(NETWORKS).map(|n| Row {
        name: n.vni.map_or_else(|| "others".into(), |vni| vni.to_string()),
        numbers: flow_cells(&n.segments, &n.flows),
    });
    rows.collect()
}

struct StageRow {
    name: &'static str,
    numbers: Vec<u64>,
    reasons: String,
}

#[derive(Template)]
#[template(path = "sensor.html")]
struct Sensor {
    page: Frame,
    balanced: bool,
    picture: String,
    stages: Vec<StageRow>,
    sources: Vec<SourceView>,
    symptoms: Vec<Symptom>,
    sound: String,
    taps: Vec<Row>,
    networks: Vec<Row>,
    more_networks: usize,
    facts: Vec<(&'static str, String)>,
    times: Vec<Moment>,
}

/// The ledger's stages in the order of the data.
const STAGES: [&str; 7] = [
    "frame", "datagram", "segment", "message", "session", "exchange", "alert",
];

fn remarks(all: &[(&'static str, u64)]) -> String {
    let met = all.iter().filter(|(_, n)| *n > 0);
    let words: Vec<String> = met.map(|(what, n)| format!("{what} {n}")).collect();
    if words.is_empty() {
        "nothing".into()
    } else {
        words.join(", ")
    }
}

pub(super) async fn sensor(State(app): Shared) -> Response {
    let s = app.views.sensor.load();
    let row = |name: &'static str| {
        let stage = s.ledger.stages.get(name)?;
        let sum = |c: &sensor::Counters| c.values().sum::<u64>();
        let numbers = vec![
            stage.received,
            stage.analysed,
            sum(&stage.ignored),
            sum(&stage.malformed),
            sum(&stage.shed),
            stage.pending,
        ];
        let all = stage
            .ignored
            .iter()
            .chain(&stage.malformed)
            .chain(&stage.shed);
        let reasons = all
            .map(|(reason, n)| format!("{reason} {n}"))
            .collect::<Vec<_>>()
            .join(", ");
        Some(StageRow {
            name,
            numbers,
            reasons,
        })
    };
    let known = |t: Timestamp| (t > Timestamp::MIN).then_some(t);
    let times = vec![
        ("Packet time", known(s.at)),
        ("Last frame", known(s.last_frame_wall)),
        ("Started", known(s.started_wall)),
    ];
    let facts = vec![
        ("Workers", s.workers.to_string()),
        ("Flows followed", grouped(s.flows)),
        ("Flows put out by the budget", grouped(s.flows_evicted)),
        (
            "Held for reassembly",
            doctor::count(s.buffered_bytes, "byte"),
        ),
        ("Exchanges", grouped(s.exchanges)),
        ("Out of the ordinary", remarks(&s.remarks)),
    ];
    show(&Sensor {
        balanced: s.ledger.balanced(),
        picture: chart::flow(&s.ledger),
        stages: STAGES.into_iter().filter_map(row).collect(),
        sources: s.sources.clone(),
        symptoms: s.symptoms.clone(),
        sound: doctor::sound(&s.readings),
        taps: s.readings.taps.iter().map(tap_row).collect(),
        more_networks: s.readings.networks.len().saturating_sub(NETWORKS),
        networks: network_rows(&s.readings),
        facts,
        times,
        page: Frame::new(&app, "sensor"),
    })
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    page: Frame,
    title: &'a str,
    text: &'a str,
}

pub(super) fn failed(app: &App, code: StatusCode, title: &str, text: &str) -> Response {
    (
        code,
        show(&ErrorPage {
            page: Frame::new(app, ""),
            title,
            text,
        }),
    )
        .into_response()
}

pub(super) fn missing(app: &App, title: &str) -> Response {
    failed(
        app,
        StatusCode::NOT_FOUND,
        title,
        "It may have been merged into another, or put out by the budget.",
    )
}

pub(super) async fn not_found(State(app): Shared, headers: axum::http::HeaderMap) -> Response {
    let html = headers
        .get(header::ACCEPT)
        .and_then(|a| a.to_str().ok())
        .is_some_and(|a| a.contains("text/html"));
    if html {
        missing(&app, "There is no such page")
    } else {
        api::problem(StatusCode::NOT_FOUND, "there is no such path")
    }
}
