//! The audit: who changed what, from where, when; newest first. For admins.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use super::api::{self, Query};
use super::asked::Asked;
use super::export::{self, Form};
use super::filters;
use super::frame::{Frame, Link, Select, link, query_link, show};
use super::query::{Page, limit};
use super::routes::Shared;
use super::who::Who;
use crate::access::{AuditView, Record};
use crate::alert::wall;
use crate::export::Row;
use crate::time::Timestamp;

/// What things are done to: the first part of an action.
const SORTS: [&str; 12] = [
    "alert", "incident", "silence", "endpoint", "decision", "spec", "view", "delivery", "sink",
    "user", "token", "sign-in",
];

/// [`SORTS`], each with what was done behind a point or not.
const ACTIONS: &str = concat!(
    "^(alert|incident|silence|endpoint|decision|spec|view|delivery|sink|user|token|sign-in)",
    r"(\.[a-z-]*)?$",
);

/// How far back, as the page offers it.
const SINCE: [&str; 4] = ["1h", "24h", "7d", "30d"];

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Filter {
    /// Part of the name, without case.
    by: String,
    /// An action, or its first part: alert, incident, silence, endpoint, decision, spec, view, delivery, sink, user, token, sign-in.
    #[schemars(extend("pattern" = ACTIONS))]
    action: String,
    /// A span back from now (`7d`), a date, or seconds of the epoch.
    since: String,
    /// `next` of the page before.
    cursor: String,
    /// Items on a page.
    #[schemars(schema_with = "super::query::limits")]
    limit: Option<usize>,
}

/// What cannot be read takes everything in no case: a filter that means nothing finds nothing.
fn since(text: &str) -> Timestamp {
    let text = text.trim();
    if text.is_empty() {
        return Timestamp::MIN;
    }
    let number = text.parse::<f64>().ok().filter(|secs| secs.is_finite());
    let back = || {
        let span: jiff::Span = text.parse().ok()?;
        let span = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours());
        Some(wall() - Duration::try_from(span.ok()?).ok()?)
    };
    let moment = || {
        let at: jiff::Timestamp = text.parse().ok()?;
        Some(Timestamp::from_secs(at.as_second()))
    };
    let date = || {
        let date: jiff::civil::Date = text.parse().ok()?;
        let at = jiff::tz::Offset::UTC.to_timestamp(date.at(0, 0, 0, 0));
        Some(Timestamp::from_secs(at.ok()?.as_second()))
    };
    let found = number.map(Timestamp::from_secs_f64);
    let found = found.or_else(back).or_else(moment).or_else(date);
    found.unwrap_or(Timestamp::MAX)
}

impl Filter {
    fn parts(&self) -> [(&'static str, &String); 3] {
        [
            ("by", &self.by),
            ("action", &self.action),
            ("since", &self.since),
        ]
    }

    fn found<'a>(&self, view: &'a AuditView) -> Vec<&'a Arc<Record>> {
        let (since, by) = (since(&self.since), self.by.trim().to_lowercase());
        let is_done = |action: &str| {
            let rest = action.strip_prefix(self.action.trim());
            self.action.is_empty() || rest.is_some_and(|r| r.is_empty() || r.starts_with('.'))
        };
        let wanted = |r: &&Arc<Record>| {
            r.at >= since && is_done(&r.action) && r.by.to_lowercase().contains(&by)
        };
        view.items.iter().filter(wanted).collect()
    }

    /// As it goes out.
    fn part(&self, view: &AuditView) -> Page<Record> {
        let at = (self.cursor.as_str(), self.limit);
        let all = || self.found(view).into_iter().cloned().collect();
        export::part(at, || self.page(view), all)
    }

    fn page(&self, view: &AuditView) -> Page<Record> {
        let found = self.found(view);
        // Ids fall: where the one named has gone, those below it are next.
        let after: Option<u64> = self.cursor.parse().ok();
        let rest = found.iter().filter(|r| after.is_none_or(|id| r.id < id));
        let rest: Vec<&Arc<Record>> = rest.copied().collect();
        let limit = limit(self.limit);
        let items: Vec<Arc<Record>> = rest.iter().take(limit).map(|r| (*r).clone()).collect();
        let more = rest.len() > limit;
        Page {
            next: items.last().filter(|_| more).map(|r| r.id.to_string()),
            items,
            total: found.len(),
            lost: after.is_none() && !self.cursor.is_empty(),
        }
    }
}

impl Row for Record {
    const COLUMNS: &'static [&'static str] =
        &["id", "at", "by", "role", "from", "action", "object", "note"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.at.to_string(),
            self.by.clone(),
            self.role.map(|r| r.to_string()).unwrap_or_default(),
            self.from.clone(),
            self.action.clone(),
            self.object.clone(),
            self.note.clone(),
        ]
    }
}

/// `GET /api/v1/audit`.
pub(super) async fn list(
    State(app): Shared,
    headers: HeaderMap,
    uri: Uri,
    Query(filter): Query<Filter>,
) -> Response {
    let view = app.views.audit.load();
    match export::wanted(&headers) {
        Some(form) => export::send(form, "audit", &uri, filter.part(&view)),
        None => api::list(&filter.page(&view)),
    }
}

/// `GET /api/v1/audit.csv`, `.jsonl`.
pub(super) async fn all(
    State(app): Shared,
    Extension(form): Extension<Form>,
    uri: Uri,
    Query(filter): Query<Filter>,
) -> Response {
    let view = app.views.audit.load();
    export::send(form, "audit", &uri, filter.part(&view))
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    page: Frame,
    items: Vec<Arc<Record>>,
    total: usize,
    filter: Filter,
    is_set: bool,
    selects: Vec<Select>,
    exports: Vec<Link>,
    next: Option<String>,
}

/// `GET /audit`.
pub(super) async fn page(
    State(app): Shared,
    who: Who,
    Asked(filter, slips): Asked<Filter>,
) -> Response {
    let view = app.views.audit.load();
    let found = filter.page(&view);
    let parts = filter.parts();
    let mut sorts = SORTS.to_vec();
    // What a link asks for is shown as chosen, too.
    if !filter.action.is_empty() && !sorts.contains(&filter.action.as_str()) {
        sorts.push(&filter.action);
    }
    show(&Audit {
        selects: vec![
            Select::new("What", "action", &filter.action, "Everything", &sorts),
            Select::new("Since", "since", &filter.since, "The beginning", &SINCE),
        ],
        exports: vec![
            ("CSV", query_link("/api/v1/audit.csv", &parts)),
            ("JSON Lines", query_link("/api/v1/audit.jsonl", &parts)),
        ],
        next: found
            .next
            .as_ref()
            .map(|cursor| link("/audit", &parts, cursor)),
        is_set: parts.iter().any(|(_, value)| !value.is_empty()),
        items: found.items,
        total: found.total,
        page: Frame::new(&app, &who, "audit").told(slips.lost(found.lost)),
        filter,
    })
}
