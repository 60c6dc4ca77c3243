//! The inventory as a list.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;

use super::frame::{Frame, Link, Select, link, show};
use super::query::{EndpointFilter, review};
use super::routes::Shared;
use super::who::Who;
use super::{decisions, export, filters, query, security};
use crate::catalog::{AuthVerdict, EndpointView, Life};

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

pub(super) fn badges(e: &EndpointView) -> Vec<&'static str> {
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

pub(super) async fn page(
    State(app): Shared,
    who: Who,
    Query(f): Query<EndpointFilter>,
) -> Response {
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
        page: Frame::new(&app, &who, "endpoints"),
    })
}
