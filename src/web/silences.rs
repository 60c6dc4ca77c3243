//! Rules for silence: the list, a new one, and the end of one.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::body::Bytes;
use axum::extract::{self, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Role;
use super::alerts::KINDS;
use super::api::{Json, List, Nothing, Path, ask, json, problem};
use super::decide::Refused;
use super::frame::{Frame, failed, show};
use super::life::stale;
use super::routes::{App, Shared};
use super::who::Who;
use super::{Command, filters};
use crate::alert::{Alert, Scope, Silence, wall};
use crate::time::Timestamp;

/// For how long a rule of the page holds, in hours.
const SPANS: [(&str, &str); 5] = [
    ("8", "8 hours"),
    ("24", "1 day"),
    ("168", "7 days"),
    ("720", "30 days"),
    ("2160", "90 days"),
];

/// Alerts that a preview lists.
const PREVIEWED: usize = 20;

/// `/api/v1/silences`: those that hold, then the last that ended. Their number is bounded.
pub(super) async fn list(State(app): Shared) -> Response {
    let view = app.views.alerts.load();
    let items: Vec<&Silence> = view.silences.iter().map(AsRef::as_ref).collect();
    json(&List::whole(items))
}

/// A part that is not known must never make a rule wider.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// An identity, an address, or a prefix (`10.0.0.0/8`).
    principal: Option<String>,
    /// As alerts name it; `*` stands for any text, here and in the parts below.
    endpoint: Option<String>,
    kind: Option<String>,
    detector: Option<String>,
    host: Option<String>,
    /// `mon` to `sun`.
    #[serde(default)]
    days: Vec<String>,
    /// `22:00-06:00`.
    hours: Option<String>,
    /// Of the days and hours; the machine's where none is named.
    timezone: Option<String>,
    /// Seconds of the epoch.
    until: f64,
    reason: String,
}

impl New {
    fn wanted(self, by: &str) -> Silence {
        let scope = Scope {
            principal: self.principal,
            endpoint: self.endpoint,
            kind: self.kind,
            detector: self.detector,
            host: self.host,
            days: self.days,
            hours: self.hours,
            timezone: self.timezone,
        };
        wanted(
            scope,
            Timestamp::from_secs_f64(self.until),
            &self.reason,
            by,
        )
    }
}

fn wanted(scope: Scope, until: Timestamp, reason: &str, by: &str) -> Silence {
    Silence {
        id: String::new(),
        scope,
        at: wall(),
        until,
        by: by.to_owned(),
        reason: reason.trim().to_owned(),
        silenced: 0,
        ended: None,
    }
}

async fn make(app: &App, wanted: Silence) -> Result<Silence, Refused> {
    wanted
        .check()
        .map_err(|why| (StatusCode::BAD_REQUEST, why))?;
    let wanted = Box::new(wanted);
    let command = |reply| Command::Silence { wanted, reply };
    ask(app, StatusCode::CONFLICT, command).await
}

async fn finish(app: &App, id: String, by: &str) -> Result<Silence, Refused> {
    let view = app.views.alerts.load();
    if !view.silences.iter().any(|s| s.id == id) {
        return Err((StatusCode::NOT_FOUND, "there is no such rule".into()));
    }
    let by = by.to_owned();
    let command = |reply| Command::EndSilence { id, by, reply };
    ask(app, StatusCode::CONFLICT, command).await
}

fn answer(done: Result<Silence, Refused>) -> Response {
    match done {
        Ok(silence) => json(&silence),
        Err((code, why)) => problem(code, &why),
    }
}

/// `POST /api/v1/silences`.
pub(super) async fn add(State(app): Shared, who: Who, Json(new): Json<New>) -> Response {
    answer(make(&app, new.wanted(&who.name)).await)
}

/// `POST /api/v1/silences/{id}/end`.
pub(super) async fn end(
    State(app): Shared,
    who: Who,
    Path(id): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Response {
    answer(finish(&app, id, &who.name).await)
}

/// A rule as the page shows it.
struct Row {
    id: String,
    scope: String,
    times: String,
    reason: String,
    by: String,
    until: String,
    silenced: u64,
    /// When it ended, and by whom.
    ended: Option<(String, String)>,
    may_end: bool,
}

impl Row {
    fn of(s: &Silence) -> Self {
        let parts = s.scope.parts().into_iter();
        let parts: Vec<String> = parts.map(|(name, part)| format!("{name} {part}")).collect();
        let mut times = s.scope.days.join(", ");
        for part in [&s.scope.hours, &s.scope.timezone].into_iter().flatten() {
            times += &format!(" {part}");
        }
        Self {
            id: s.id.clone(),
            scope: parts.join(" · "),
            times: times.trim().to_owned(),
            reason: s.reason.clone(),
            by: s.by.clone(),
            until: s.until.to_string(),
            silenced: s.silenced,
            ended: s.ended.as_ref().map(|e| (e.at.to_string(), e.by.clone())),
            may_end: s.ended.is_none() && !s.id.starts_with("config-"),
        }
    }
}

/// Days of the week, as rules have them.
const DAYS: [(&str, &str); 7] = [
    ("mon", "Monday"),
    ("tue", "Tuesday"),
    ("wed", "Wednesday"),
    ("thu", "Thursday"),
    ("fri", "Friday"),
    ("sat", "Saturday"),
    ("sun", "Sunday"),
];

/// What the form holds: of a new rule, of one to be looked at first, or what an alert's page says.
#[derive(Clone, Debug, Default)]
struct Draft {
    csrf: String,
    principal: String,
    endpoint: String,
    kind: String,
    detector: String,
    host: String,
    days: Vec<String>,
    hours: String,
    timezone: String,
    /// For so many hours.
    span: String,
    reason: String,
    /// The alert that it was begun from.
    alert: String,
    /// Only shows what it would keep silent.
    preview: bool,
}

impl Draft {
    fn read(text: &[u8]) -> Self {
        let mut draft = Self::default();
        for (name, value) in url::form_urlencoded::parse(text) {
            let value = value.into_owned();
            match name.as_ref() {
                "csrf" => draft.csrf = value,
                "principal" => draft.principal = value,
                "endpoint" => draft.endpoint = value,
                "kind" => draft.kind = value,
                "detector" => draft.detector = value,
                "host" => draft.host = value,
                "days" if draft.days.len() < DAYS.len() => draft.days.push(value),
                "hours" => draft.hours = value,
                "timezone" => draft.timezone = value,
                "span" => draft.span = value,
                "reason" => draft.reason = value,
                "alert" => draft.alert = value,
                "preview" => draft.preview = value == "yes",
                _ => {}
            }
        }
        draft
    }

    fn has(&self, day: &str) -> bool {
        self.days.iter().any(|d| d == day)
    }

    fn scope(&self) -> Scope {
        let part = |text: &String| Some(text.trim().to_owned()).filter(|t| !t.is_empty());
        let timed = !self.days.is_empty() || !self.hours.trim().is_empty();
        Scope {
            principal: part(&self.principal),
            endpoint: part(&self.endpoint),
            kind: part(&self.kind),
            detector: part(&self.detector),
            host: part(&self.host),
            days: self.days.clone(),
            hours: part(&self.hours),
            // A zone without times says nothing.
            timezone: part(&self.timezone).filter(|_| timed),
        }
    }

    fn wanted(&self, by: &str) -> Silence {
        let span = SPANS.iter().find(|(hours, _)| *hours == self.span);
        let hours: Option<u64> = span.and_then(|(hours, _)| hours.parse().ok());
        let until = wall() + Duration::from_secs(hours.unwrap_or(0) * 3_600);
        wanted(self.scope(), until, &self.reason, by)
    }
}

/// What a rule would have kept silent of the alerts that are kept.
struct Preview {
    /// Why it is no rule yet.
    wrong: Option<String>,
    total: usize,
    of: usize,
    rows: Vec<super::worklist::Row>,
}

impl Preview {
    fn of(rule: &Silence, alerts: &[Arc<Alert>]) -> Self {
        let (wrong, kept) = match rule.would_keep(alerts) {
            Ok(kept) => (None, kept),
            Err(why) => (Some(why), Vec::new()),
        };
        let rows = kept.iter().take(PREVIEWED);
        Self {
            wrong,
            total: kept.len(),
            of: alerts.len(),
            rows: rows.map(|a| a.as_ref().into()).collect(),
        }
    }
}

#[derive(Template)]
#[template(path = "silences.html")]
struct Silences {
    page: Frame,
    may_act: bool,
    holding: Vec<Row>,
    ended: Vec<Row>,
    draft: Draft,
    /// The alert that the rule is begun from.
    from: Option<(String, String)>,
    preview: Option<Preview>,
    spans: &'static [(&'static str, &'static str)],
    days: [(&'static str, &'static str); 7],
    kinds: &'static [&'static str],
}

/// `/silences`.
pub(super) async fn page(State(app): Shared, who: Who, RawQuery(query): RawQuery) -> Response {
    let draft = Draft::read(query.unwrap_or_default().as_bytes());
    let preview = !draft.scope().parts().is_empty();
    shown(&app, &who, draft, preview)
}

/// The rules, and the form with what it holds.
fn shown(app: &App, who: &Who, draft: Draft, preview: bool) -> Response {
    let view = app.views.alerts.load();
    let rows = |ended: bool| {
        let all = view.silences.iter().filter(|s| s.ended.is_some() == ended);
        all.map(|s: &Arc<Silence>| Row::of(s)).collect()
    };
    let rule = draft.wanted(&who.name);
    let mut alerts = view.alerts.iter();
    let from = alerts.find(|a| a.id == draft.alert);
    show(&Silences {
        may_act: who.role >= Role::Analyst,
        holding: rows(false),
        ended: rows(true),
        from: from.map(|a| (a.id.clone(), a.summary.clone())),
        preview: preview.then(|| Preview::of(&rule, &view.alerts)),
        draft,
        spans: &SPANS,
        days: DAYS,
        kinds: &KINDS,
        page: Frame::new(app, who, "silences"),
    })
}

pub(super) async fn add_form(State(app): Shared, who: Who, body: Bytes) -> Response {
    let draft = Draft::read(&body);
    if let Some(stale) = stale(&app, &who, &draft.csrf) {
        return stale;
    }
    if draft.preview {
        return shown(&app, &who, draft, true);
    }
    back(&app, &who, make(&app, draft.wanted(&who.name)).await)
}

/// What a rule would be about: at least one of who, where and what.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// An identity, an address, or a prefix (`10.0.0.0/8`).
    principal: Option<String>,
    /// As alerts name it; `*` stands for any text, here and in the parts below.
    endpoint: Option<String>,
    kind: Option<String>,
    detector: Option<String>,
    host: Option<String>,
    /// `mon` to `sun`.
    #[serde(default)]
    days: Vec<String>,
    /// `22:00-06:00`.
    hours: Option<String>,
    /// Of the days and hours; the machine's where none is named.
    timezone: Option<String>,
}

/// Of the alerts that are kept, those that a rule would have kept silent.
#[derive(serde::Serialize, JsonSchema)]
pub(super) struct Kept<'a> {
    /// The newest of them.
    items: Vec<&'a Alert>,
    total: usize,
}

/// `POST /api/v1/silences/preview`.
pub(super) async fn preview(State(app): Shared, who: Who, Json(asked): Json<Asked>) -> Response {
    let scope = Scope {
        principal: asked.principal,
        endpoint: asked.endpoint,
        kind: asked.kind,
        detector: asked.detector,
        host: asked.host,
        days: asked.days,
        hours: asked.hours,
        timezone: asked.timezone,
    };
    let view = app.views.alerts.load();
    let rule = wanted(scope, wall(), "", &who.name);
    match rule.would_keep(&view.alerts) {
        Ok(kept) => json(&Kept {
            total: kept.len(),
            items: kept.iter().take(PREVIEWED).map(|a| a.as_ref()).collect(),
        }),
        Err(why) => problem(StatusCode::BAD_REQUEST, &why),
    }
}

#[derive(Deserialize)]
pub(super) struct EndForm {
    csrf: String,
}

pub(super) async fn end_form(
    State(app): Shared,
    who: Who,
    extract::Path(id): extract::Path<String>,
    Form(form): Form<EndForm>,
) -> Response {
    if let Some(stale) = stale(&app, &who, &form.csrf) {
        return stale;
    }
    back(&app, &who, finish(&app, id, &who.name).await)
}

fn back(app: &App, who: &Who, done: Result<Silence, Refused>) -> Response {
    match done {
        Ok(_) => Redirect::to("/silences").into_response(),
        Err((code, why)) => failed(app, who, code, "Nothing was changed", &why),
    }
}
