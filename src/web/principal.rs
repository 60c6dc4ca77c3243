//! One principal: what it calls, when, from where, with what, and what alerts say of it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::alerts::AlertRow;
use super::frame::{Frame, failed, show};
use super::involved::{involved, is_in};
use super::overview::capital;
use super::principals::percent;
use super::routes::{App, Shared};
use super::who::Who;
use super::{Command, api, filters, rhythm};
use crate::alert::{Alert, AlertsView, Incident, Status};
use crate::catalog::TopView;
use crate::detect::{Automation, CalledView, PrincipalKind, PrincipalView};
use crate::sensor::doctor::{self, grouped};

/// Alerts and incidents that are listed.
const SHOWN: usize = 50;

/// Asks the analysis, which alone has it; an error is said as it is.
pub(super) async fn ask(
    app: &App,
    id: &str,
) -> Result<Option<Box<PrincipalView>>, (StatusCode, String)> {
    let wanted = |reply| Command::Principal {
        id: id.to_owned(),
        reply,
    };
    api::ask(app, StatusCode::SERVICE_UNAVAILABLE, wanted).await
}

/// `/api/v1/principals/{id}`.
pub(super) async fn one(State(app): Shared, api::Path(id): api::Path<String>) -> Response {
    match ask(&app, &id).await {
        Ok(Some(principal)) => api::json(&principal),
        Ok(None) => api::problem(StatusCode::NOT_FOUND, "no such principal is followed"),
        Err((code, why)) => api::problem(code, &why),
    }
}

/// Something counted, with its share.
struct Count {
    name: String,
    /// Of a principal of this name, or an endpoint, where there is one.
    href: Option<String>,
    requests: String,
    share: String,
    /// In per cent, for the bar.
    width: f64,
}

impl Count {
    fn of(name: String, href: Option<String>, (requests, error): (u64, u64), all: u64) -> Self {
        Self {
            name,
            href,
            requests: at_most(requests, error),
            share: percent(requests.min(all), all),
            width: requests.min(all) as f64 * 100.0 / all.max(1) as f64,
        }
    }
}

/// A number that may be too great by an error.
pub(super) fn at_most(n: u64, error: u64) -> String {
    let about = if error > 0 { "at most " } else { "" };
    format!("{about}{}", grouped(n))
}

fn counts(top: &[TopView], all: u64, link: bool, nothing: &str) -> Vec<Count> {
    let count = |top: &TopView| {
        let name = match top.name.as_str() {
            "" => nothing.to_owned(),
            name => name.to_owned(),
        };
        let href = link.then(|| href(&name));
        Count::of(name, href, (top.requests, top.error), all)
    };
    top.iter().map(count).collect()
}

fn calls(p: &PrincipalView) -> Vec<Count> {
    let call = |c: &CalledView| {
        let gone = || "an endpoint that the inventory has no more".to_owned();
        let href = c.key.as_ref().map(|key| format!("/endpoints/{key}"));
        let name = c.endpoint.clone().unwrap_or_else(gone);
        Count::of(name, href, (c.requests, c.error), p.row.requests)
    };
    let mut all: Vec<Count> = p.calls.iter().map(call).collect();
    if p.elsewhere > 0 {
        let name = "paths that are no endpoint".to_owned();
        all.push(Count::of(name, None, (p.elsewhere, 0), p.row.requests));
    }
    all
}

/// The page of a principal.
pub(super) fn href(id: &str) -> String {
    match askama::filters::urlencode_strict(id) {
        Ok(id) => format!("/principals/{id}"),
        Err(never) => match never {},
    }
}

/// What is told of one that is followed.
struct Known {
    p: Box<PrincipalView>,
    sentence: String,
    errors: String,
    statuses: String,
    bytes: String,
    calls: Vec<Count>,
    /// Endpoints beyond those told apart.
    more_calls: u64,
    map: String,
    map_words: String,
    requests: String,
    reach: String,
    countries: Vec<Count>,
    addresses: Vec<Count>,
    programs: Vec<Count>,
    /// Identities behind an address: link, name, requests, last seen.
    others: Vec<(String, String, String, String)>,
    habit: Option<Habit>,
    why: String,
    /// First and last of the days.
    span: String,
}

/// The day of a moment, in UTC.
fn date(at: crate::time::Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// Known automation in words.
struct Habit {
    hours: String,
    reach: String,
    days: u32,
    unreviewed: bool,
}

impl Habit {
    fn of(a: &Automation) -> Self {
        let hours: Vec<String> = a
            .hours
            .iter()
            .take(6)
            .map(|h| format!("{h:02}:00"))
            .collect();
        Self {
            hours: match hours.is_empty() {
                true => "around the clock".into(),
                false => format!("at {} UTC", hours.join(", ")),
            },
            reach: grouped(a.reach.round() as u64),
            days: a.days,
            unreviewed: a.learnt_unreviewed,
        }
    }
}

impl Known {
    fn of(p: Box<PrincipalView>) -> Self {
        let row = &p.row;
        let all = row.requests;
        let (requests, reach) = (
            rhythm::days(&p.days, "Requests by the day, errors below", |d| {
                (d.requests, d.errors)
            }),
            rhythm::days(&p.days, "Endpoints by the day, new ones below", |d| {
                (d.endpoints, d.new_endpoints)
            }),
        );
        let map_words = rhythm::words(&p.hours);
        let others = p.identities.iter().map(|o| {
            let requests = grouped(o.requests);
            (href(&o.id), o.id.clone(), requests, o.last_seen.to_string())
        });
        Self {
            sentence: sentence(&p),
            errors: percent(row.errors, all),
            statuses: statuses(&p.by_class),
            bytes: doctor::count(p.response_bytes, "byte"),
            calls: calls(&p),
            more_calls: row.endpoints.saturating_sub(p.calls.len() as u64),
            map: rhythm::map(&p.hours, &map_words),
            map_words,
            requests,
            reach,
            countries: counts(&p.countries, all, false, "unknown"),
            addresses: counts(&p.addresses, all, true, "unknown"),
            programs: counts(&p.programs, all, false, "none named"),
            others: others.collect(),
            habit: p.habit.as_ref().map(Habit::of),
            why: capital(&p.automation_why),
            span: match (p.days.first(), p.days.last()) {
                (Some(first), Some(last)) => [first.day, last.day].map(date).join(" to "),
                _ => String::new(),
            },
            p,
        }
    }
}

fn statuses(by_class: &[u64; 6]) -> String {
    let names = ["no answer", "1xx", "2xx", "3xx", "4xx", "5xx"];
    let met = names.iter().zip(by_class).filter(|(_, n)| **n > 0);
    let words: Vec<String> = met
        .map(|(name, n)| format!("{name} {}", grouped(*n)))
        .collect();
    words.join(" · ")
}

/// Who that is, in a line or two.
fn sentence(p: &PrincipalView) -> String {
    let row = &p.row;
    let what = match row.kind {
        PrincipalKind::Identity => {
            let kind = row.id.split_once(':').map_or("some", |(kind, _)| kind);
            format!("An identity by its {kind} credential")
        }
        PrincipalKind::Address if row.requests == 0 => {
            let n = (p.identities.len() + p.more_identities) as u64;
            let plural = if n == 1 {
                "identity calls"
            } else {
                "identities call"
            };
            return format!(
                "An address from which {} {plural}, and nobody else.",
                grouped(n)
            );
        }
        PrincipalKind::Address => "An address that calls without a proven identity".into(),
    };
    let mut from = String::new();
    if !p.addresses.is_empty() {
        let about = if p.addresses.iter().any(|a| a.error > 0) {
            "more than "
        } else {
            ""
        };
        let count = p.addresses.len() as u64;
        let plural = if count == 1 { "address" } else { "addresses" };
        from = format!(" from {about}{count} {plural}");
    }
    if !p.identities.is_empty() {
        let n = (p.identities.len() + p.more_identities) as u64;
        let plural = if n == 1 { "identity" } else { "identities" };
        from = format!(", beside {} {plural} at the same address", grouped(n));
    }
    if let Some(country) = &row.country {
        from.push_str(&format!(" in {country}"));
        if p.countries.len() > 1 {
            let more = p.countries.len() as u64 - 1;
            let plural = if more == 1 { "country" } else { "countries" };
            from.push_str(&format!(" and {more} more {plural}"));
        }
    }
    format!(
        "{what}{from}: {} to {}, {} of them answered with an error.",
        doctor::count(row.requests, "request"),
        doctor::count(row.endpoints, "endpoint"),
        percent(row.errors, row.requests),
    )
}

#[derive(Template)]
#[template(path = "principal.html")]
struct Page {
    page: Frame,
    id: String,
    known: Option<Known>,
    incidents: Vec<Arc<Incident>>,
    /// Of those, that are not settled.
    open: usize,
    alerts: Vec<AlertRow>,
    more_alerts: usize,
    weekdays: [&'static str; 7],
    evicted: u64,
}

/// Its alerts, the latest first.
fn about<'a>(view: &'a AlertsView, id: &str) -> Vec<&'a Arc<Alert>> {
    let is_it = |a: &&Arc<Alert>| {
        let who = a.principal.as_ref();
        who.is_some_and(|p| p.identity.as_deref() == Some(id) || p.client.as_deref() == Some(id))
    };
    view.alerts.iter().filter(is_it).collect()
}

/// `/principals/{id}`.
pub(super) async fn page(State(app): Shared, who: Who, Path(id): Path<String>) -> Response {
    let found = match ask(&app, &id).await {
        Ok(found) => found,
        Err((code, why)) => return failed(&app, &who, code, "No answer", &why),
    };
    let view = app.views.alerts.load();
    let mut incidents: Vec<Arc<Incident>> = (view.incidents.iter())
        .filter(|i| is_in(i, &id))
        .cloned()
        .collect();
    incidents.sort_by_key(|i| (i.status.is_settled(), std::cmp::Reverse(i.severity)));
    incidents.truncate(SHOWN);
    let alerts = about(&view, &id);
    let code = match found.is_none() && alerts.is_empty() && incidents.is_empty() {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::OK,
    };
    let page = Page {
        known: found.map(Known::of),
        open: involved(&app).part(&id).map_or(0, |p| p.incidents),
        incidents,
        more_alerts: alerts.len().saturating_sub(SHOWN),
        alerts: alerts.iter().take(SHOWN).map(|a| AlertRow::of(a)).collect(),
        weekdays: rhythm::WEEKDAYS,
        evicted: app.views.principals.load().evicted,
        page: Frame::new(&app, &who, "principals"),
        id,
    };
    (code, show(&page)).into_response()
}

impl Page {
    /// How a status is marked.
    fn tone(&self, status: &Status) -> &'static str {
        match status {
            Status::Open => "open",
            Status::Resolved => "resolved",
            _ => "",
        }
    }
}
