//! Findings: what lies open, of hosts and of endpoints.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use super::alerts::OWASP;
use super::api::Query;
use super::asked::Asked;
use super::cursor::{Mark, greatest, latest};
use super::export::{self, Form};
use super::frame::{Frame, Link, Select, link, show};
use super::query::{Page, cut};
use super::routes::{App, Shared};
use super::summary::behind;
use super::who::Who;
use super::{api, filters};
use crate::catalog::{CLEAR_ADVICE, CatalogView, Exposure, ExposureKind, Severity, owasp};

/// All of a view, by subject; the id last, so that pages do not overlap.
pub(super) struct Sorted(Vec<Arc<Exposure>>);

impl Sorted {
    fn of(catalog: &CatalogView) -> Self {
        let mut all: Vec<Arc<Exposure>> = catalog.exposures().cloned().map(Arc::new).collect();
        all.sort_by(|a, b| (&a.subject, &a.what, &a.id).cmp(&(&b.subject, &b.what, &b.id)));
        Self(all)
    }
}

fn sorted(app: &App) -> Arc<Sorted> {
    let catalog = app.views.catalog.load_full();
    app.findings.get(&catalog, behind(&catalog), Sorted::of)
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Filter {
    /// Part of the host, the endpoint or what was seen, without case.
    q: String,
    /// What lies open.
    #[schemars(with = "Option<ExposureKind>")]
    kind: String,
    /// How grave it is.
    #[schemars(with = "Option<Severity>")]
    severity: String,
    /// Its category: `API1:2023` or `API1`.
    #[schemars(extend("pattern" = owasp::PATTERN))]
    owasp: String,
    /// The order; all but `subject` have the highest first.
    #[schemars(extend("enum" = ["severity", "subject", "count", "last"], "default" = "severity"))]
    sort: String,
    /// `next` of the page before.
    cursor: String,
    #[schemars(schema_with = "super::query::limits")]
    limit: Option<usize>,
}

impl Filter {
    fn is_set(&self) -> bool {
        [&self.q, &self.kind, &self.severity, &self.owasp]
            .iter()
            .any(|f| !f.is_empty())
    }

    fn page(&self, all: &Sorted) -> Page<Exposure> {
        let found = self.found(all);
        let found: Vec<&Arc<Exposure>> = found.iter().collect();
        let order = format!("findings {}", self.sort);
        cut(&found, &order, (&self.cursor, self.limit), |e| {
            Mark::new([self.rank(e), 0], &[&e.subject, &e.what, &e.id])
        })
    }

    /// As it goes out.
    fn part(&self, all: &Sorted) -> Page<Exposure> {
        let at = (self.cursor.as_str(), self.limit);
        export::part(at, || self.page(all), || self.found(all))
    }

    /// All that match, in the order that was asked for.
    fn found(&self, all: &Sorted) -> Vec<Arc<Exposure>> {
        let needle = self.q.trim().to_lowercase();
        let is = |filter: &str, value: &str| filter.is_empty() || filter == value;
        let wanted = |e: &&Arc<Exposure>| {
            let mut text = [&e.subject, &e.what].into_iter();
            is(&self.kind, e.kind.name())
                && is(&self.severity, e.severity.name())
                && owasp::matches(&self.owasp, &e.owasp)
                && (needle.is_empty() || text.any(|t| t.to_lowercase().contains(&needle)))
        };
        let mut found: Vec<Arc<Exposure>> = all.0.iter().filter(wanted).cloned().collect();
        found.sort_by_key(|e| self.rank(e));
        found
    }

    /// Of equals the order by subject stays.
    fn rank(&self, e: &Exposure) -> u64 {
        match self.sort.as_str() {
            "subject" => 0,
            "count" => !e.count,
            "last" => latest(e.last_seen),
            _ => greatest(e.severity as i64),
        }
    }
}

/// `/api/v1/findings`.
pub(super) async fn list(
    State(app): Shared,
    headers: HeaderMap,
    uri: Uri,
    Query(filter): Query<Filter>,
) -> Response {
    match export::wanted(&headers) {
        Some(form) => export::send(form, "findings", &uri, filter.part(&sorted(&app))),
        None => api::list(&filter.page(&sorted(&app))),
    }
}

/// `/api/v1/findings.csv`, `/api/v1/findings.jsonl`.
pub(super) async fn all(
    State(app): Shared,
    Extension(form): Extension<Form>,
    uri: Uri,
    Query(filter): Query<Filter>,
) -> Response {
    export::send(form, "findings", &uri, filter.part(&sorted(&app)))
}

#[derive(Template)]
#[template(path = "findings.html")]
struct Findings {
    page: Frame,
    total: usize,
    f: Filter,
    selects: Vec<Select>,
    filtered: bool,
    /// What is to be known of some of the rows.
    advice: Option<&'static str>,
    rows: Vec<Arc<Exposure>>,
    next: Option<String>,
    exports: Vec<Link>,
}

/// `/findings`.
pub(super) async fn page(State(app): Shared, who: Who, Asked(f, slips): Asked<Filter>) -> Response {
    let found = f.page(&sorted(&app));
    let clear = |e: &Arc<Exposure>| e.kind == ExposureKind::CredentialsInClear;
    let kinds = ExposureKind::ALL.map(ExposureKind::name);
    let selects = vec![
        Select::new("Kind", "kind", &f.kind, "any", &kinds),
        Select::new(
            "Severity",
            "severity",
            &f.severity,
            "any",
            &["critical", "high", "medium", "low", "info"],
        ),
        Select::new("OWASP", "owasp", &f.owasp, "any", &OWASP),
        Select::new(
            "Sort",
            "sort",
            &f.sort,
            "severity",
            &["subject", "count", "last"],
        ),
    ];
    let parts = [
        ("q", &f.q),
        ("kind", &f.kind),
        ("severity", &f.severity),
        ("owasp", &f.owasp),
        ("sort", &f.sort),
    ];
    show(&Findings {
        total: found.total,
        selects,
        filtered: f.is_set(),
        advice: found.items.iter().any(clear).then_some(CLEAR_ADVICE),
        rows: found.items,
        next: found.next.map(|c| link("/findings", &parts, &c)),
        exports: export::links("findings", &parts),
        f: f.clone(),
        page: Frame::new(&app, &who, "findings").told(slips.lost(found.lost)),
    })
}
