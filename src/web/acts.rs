//! What people do to alerts and incidents over forms, one or several at once: asked of the single
//! writer, answered once it is on disk. Several are confirmed once; a form leads back to where it
//! was sent from. A script that sends the same form gets JSON.

use std::time::Duration;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{self, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::api::{self, Json, ask, json, problem, remark};
use super::decide::Refused;
use super::frame::{Frame, failed, show};
use super::life::{SPANS, stale, wanted};
use super::routes::{App, Shared};
use super::who::Who;
use super::worklist::{Row, lists};
use super::{Command, filters};
use crate::alert::{Act, Acted, Deed, Note, On, Status, wall};
use crate::time::Timestamp;

/// Rows that a confirmation lists.
const SHOWN: usize = 50;

/// The fields of all forms that act.
#[derive(Clone, Default)]
struct Form {
    csrf: String,
    ids: Vec<String>,
    /// A status, or `note`.
    status: String,
    note: String,
    /// Of muted: for so many hours, or until a time of a clock in a zone.
    hours: String,
    until: String,
    zone: String,
    /// The list that it was sent from.
    back: String,
    confirmed: bool,
}

impl Form {
    fn read(body: &[u8]) -> Self {
        let mut form = Self::default();
        let mut one = None;
        for (name, value) in url::form_urlencoded::parse(body) {
            let value = value.into_owned();
            match name.as_ref() {
                "csrf" => form.csrf = value,
                "id" => form.ids.push(value),
                "status" => form.status = value,
                "note" => form.note = value,
                "hours" => form.hours = value,
                "until" => form.until = value,
                "zone" => form.zone = value,
                "back" => form.back = value,
                "confirmed" => form.confirmed = value == "yes",
                // A button of one row, whatever else is ticked.
                "one" => {
                    one = value
                        .split_once(':')
                        .map(|(s, id)| (s.to_owned(), id.to_owned()))
                }
                _ => {}
            }
        }
        if let Some((status, id)) = one {
            (form.status, form.ids, form.note) = (status, vec![id], String::new());
        }
        form.ids.truncate(Act::MOST);
        form
    }

    fn deed(&self, by: &str) -> Result<Deed, Refused> {
        let note = remark(Some(self.note.clone()));
        if self.status == "note" {
            return Ok(Deed::Note(said(note, by)?));
        }
        let muted = self.status == Status::Muted.name();
        let until = if muted { Some(self.end()?) } else { None };
        let found = Status::ALL.into_iter().find(|s| s.name() == self.status);
        let status = found.ok_or_else(|| {
            let names = Status::ALL.map(Status::name).join(", ");
            (StatusCode::BAD_REQUEST, format!("status is one of {names}"))
        })?;
        Ok(Deed::Status(wanted(status, until, note, by)))
    }

    /// Until when it is muted.
    fn end(&self) -> Result<Timestamp, Refused> {
        let wrong = |why: String| (StatusCode::BAD_REQUEST, why);
        if !self.until.is_empty() {
            return clock(&self.until, &self.zone).map_err(wrong);
        }
        let span = SPANS.iter().find(|(hours, _)| *hours == self.hours);
        let hours = span.and_then(|(hours, _)| hours.parse::<u64>().ok());
        let hours = hours.ok_or_else(|| wrong("say for how long, or until when".into()))?;
        Ok(wall() + Duration::from_secs(hours * 3_600))
    }

    /// Where the form was sent from: one of our own lists, or the list that it acts on.
    fn back(&self, on: On) -> String {
        let list = format!("/{}", on.name());
        let rest = self.back.strip_prefix(&list);
        match rest {
            Some("") => list,
            Some(rest) if rest.starts_with('?') => self.back.clone(),
            _ => list,
        }
    }
}

fn said(note: Option<String>, by: &str) -> Result<Note, Refused> {
    let text = note.ok_or_else(|| (StatusCode::BAD_REQUEST, "write a note".to_owned()))?;
    Ok(Note {
        text,
        by: by.to_owned(),
        at: wall(),
    })
}

/// `2026-11-27T09:00` of a clock in a zone; UTC where none is named.
fn clock(text: &str, zone: &str) -> Result<Timestamp, String> {
    let zone = match zone.trim() {
        "" | "UTC" => jiff::tz::TimeZone::UTC,
        name => jiff::tz::TimeZone::get(name).map_err(|e| e.to_string())?,
    };
    let time: jiff::civil::DateTime = (text.trim().parse())
        .map_err(|_| format!("`{text}` is no time: write it like 2026-11-27T09:00"))?;
    let at = time.to_zoned_datetime(zone).map_err(|e| e.to_string())?;
    Ok(Timestamp::from_secs(at.timestamp().as_second()))
}

/// Asks the single writer.
async fn act(app: &App, on: On, ids: Vec<String>, deed: Deed) -> Result<Acted, Refused> {
    let act = Box::new(Act { on, ids, deed });
    ask(app, StatusCode::CONFLICT, |reply| Command::Act {
        act,
        reply,
    })
    .await
}

/// `POST /alerts/act`, `POST /incidents/act`: from a list.
async fn several(app: &App, who: &Who, on: On, headers: &HeaderMap, body: &Bytes) -> Response {
    let form = Form::read(body);
    if let Some(stale) = stale(app, who, &form.csrf) {
        return stale;
    }
    let as_json = is_script(headers);
    let refuse = |(code, why): Refused| match as_json {
        true => problem(code, &why),
        false => failed(app, who, code, "Nothing was changed", &why),
    };
    if form.ids.is_empty() {
        return refuse((StatusCode::BAD_REQUEST, "tick at least one row".into()));
    }
    let deed = match form.deed(&who.name) {
        Ok(deed) => deed,
        Err(refused) => return refuse(refused),
    };
    if form.ids.len() > 1 && !form.confirmed && !as_json {
        return confirm(app, who, on, form, &deed);
    }
    match act(app, on, form.ids.clone(), deed).await {
        Ok(acted) if as_json => json(&acted),
        Ok(acted) if acted.changed.is_empty() => {
            let why = acted.refused.into_iter().next().map(|r| r.why);
            refuse((StatusCode::CONFLICT, why.unwrap_or_default()))
        }
        Ok(_) => Redirect::to(&form.back(on)).into_response(),
        Err(refused) => refuse(refused),
    }
}

fn is_script(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|a| a.to_str().ok());
    accept.is_some_and(|a| a.starts_with("application/json"))
}

pub(super) async fn alerts(
    State(app): Shared,
    who: Who,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    several(&app, &who, On::Alerts, &headers, &body).await
}

pub(super) async fn incidents(
    State(app): Shared,
    who: Who,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    several(&app, &who, On::Incidents, &headers, &body).await
}

#[derive(Template)]
#[template(path = "act.html")]
struct Confirm {
    page: Frame,
    what: &'static str,
    /// What is to be done, in words.
    verb: &'static str,
    until: Option<Timestamp>,
    form: Form,
    rows: Vec<Row>,
    more: usize,
    back: String,
}

/// What is about to be done to several, before it is.
fn confirm(app: &App, who: &Who, on: On, form: Form, deed: &Deed) -> Response {
    let lists = lists(app);
    let row = |id: &String| match on {
        On::Alerts => lists.alerts().get(id).map(|a| Row::from(a.as_ref())),
        On::Incidents => lists.incidents().get(id).map(|i| Row::from(i.as_ref())),
    };
    let (verb, until) = match deed {
        Deed::Note(_) => ("Add a note to", None),
        Deed::Status(w) => match w.status {
            Status::Open => ("Reopen", None),
            Status::Acknowledged => ("Acknowledge", None),
            Status::Resolved => ("Resolve", None),
            Status::FalseAlarm => ("Call false alarms:", None),
            Status::Muted => ("Mute", w.until),
        },
    };
    show(&Confirm {
        what: on.name(),
        verb,
        until,
        rows: form.ids.iter().take(SHOWN).filter_map(row).collect(),
        more: form.ids.len().saturating_sub(SHOWN),
        back: form.back(on),
        form,
        page: Frame::new(app, who, on.name()),
    })
}

/// From the page of one.
async fn one(
    app: &App,
    who: &Who,
    on: On,
    id: String,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    let form = Form::read(body);
    if let Some(stale) = stale(app, who, &form.csrf) {
        return stale;
    }
    let lists = lists(app);
    let there = match on {
        On::Alerts => lists.alerts().get(&id).is_some(),
        On::Incidents => lists.incidents().get(&id).is_some(),
    };
    let done = match form.deed(&who.name) {
        _ if !there => Err((StatusCode::NOT_FOUND, "it is not there any more".into())),
        Ok(deed) => act(app, on, vec![id.clone()], deed).await,
        Err(refused) => Err(refused),
    };
    let refused = match done {
        Ok(acted) if is_script(headers) => return json(&acted),
        Ok(acted) => match acted.refused.into_iter().next() {
            None => {
                let id =
                    percent_encoding::utf8_percent_encode(&id, percent_encoding::NON_ALPHANUMERIC);
                return Redirect::to(&format!("/{}/{id}", on.name())).into_response();
            }
            Some(refused) => (StatusCode::CONFLICT, refused.why),
        },
        Err(refused) => refused,
    };
    match is_script(headers) {
        true => problem(refused.0, &refused.1),
        false => failed(app, who, refused.0, "Nothing was changed", &refused.1),
    }
}

/// `POST /alerts/{id}/status`.
pub(super) async fn alert(
    State(app): Shared,
    who: Who,
    extract::Path(id): extract::Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    one(&app, &who, On::Alerts, id, &headers, &body).await
}

/// `POST /incidents/{id}/status`.
pub(super) async fn incident(
    State(app): Shared,
    who: Who,
    extract::Path(id): extract::Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    one(&app, &who, On::Incidents, id, &headers, &body).await
}

/// What the API is told: a status for each, or a note alone.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Act")]
pub(super) struct Wish {
    #[schemars(length(min = 1, max = Act::MOST))]
    ids: Vec<String>,
    /// What each is to be; none: the note alone.
    status: Option<Status>,
    #[schemars(length(max = api::MAX_NOTE))]
    note: Option<String>,
    /// Of muted: until when, in seconds of the epoch.
    until: Option<f64>,
}

impl Wish {
    fn deed(self, by: &str) -> Result<(Vec<String>, Deed), Refused> {
        if self.ids.is_empty() || self.ids.len() > Act::MOST {
            let why = format!("name 1 to {} ids", Act::MOST);
            return Err((StatusCode::BAD_REQUEST, why));
        }
        let note = remark(self.note);
        let until = self.until.map(Timestamp::from_secs_f64);
        let deed = match self.status {
            None => Deed::Note(said(note, by)?),
            Some(status) => Deed::Status(wanted(status, until, note, by)),
        };
        Ok((self.ids, deed))
    }
}

async fn by_api(app: &App, who: &Who, on: On, wish: Wish) -> Response {
    let done = match wish.deed(&who.name) {
        Ok((ids, deed)) => act(app, on, ids, deed).await,
        Err(refused) => Err(refused),
    };
    match done {
        Ok(acted) => json(&acted),
        Err((code, why)) => problem(code, &why),
    }
}

/// `POST /api/v1/alerts/act`.
pub(super) async fn api_alerts(State(app): Shared, who: Who, Json(wish): Json<Wish>) -> Response {
    by_api(&app, &who, On::Alerts, wish).await
}

/// `POST /api/v1/incidents/act`.
pub(super) async fn api_incidents(
    State(app): Shared,
    who: Who,
    Json(wish): Json<Wish>,
) -> Response {
    by_api(&app, &who, On::Incidents, wish).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_its_own_is_meant_whatever_is_ticked() {
        let form = Form::read(b"id=a&id=b&status=resolved&note=x&one=acknowledged:c");
        assert_eq!(
            (form.status.as_str(), form.note.as_str()),
            ("acknowledged", "")
        );
        assert_eq!(form.ids, ["c"]);
    }

    #[test]
    fn a_form_leads_back_to_our_own_lists_alone() {
        for (back, to) in [
            ("/alerts?kind=scan&view=all", "/alerts?kind=scan&view=all"),
            ("/alerts", "/alerts"),
            ("/alertsx", "/alerts"),
            ("//evil.example/", "/alerts"),
            ("https://evil.example/alerts", "/alerts"),
            ("", "/alerts"),
        ] {
            let form = Form {
                back: back.into(),
                ..Form::default()
            };
            assert_eq!(form.back(On::Alerts), to);
        }
    }

    #[test]
    fn a_clock_is_read_in_its_zone() {
        let utc = clock("2026-07-01T09:00", "UTC").unwrap();
        let berlin = clock("2026-07-01T09:00", "Europe/Berlin").unwrap();
        assert_eq!(utc.since(berlin), Duration::from_secs(2 * 3_600));
        assert!(clock("tomorrow", "UTC").is_err());
        assert!(clock("2026-07-01T09:00", "Mars/Olympus").is_err());
    }

    #[test]
    fn muting_needs_an_end_and_a_note_needs_words() {
        let form = |body: &[u8]| Form::read(body).deed("ann");
        assert!(form(b"status=muted").is_err());
        assert!(matches!(form(b"status=muted&hours=8"), Ok(Deed::Status(_))));
        assert!(form(b"status=note&note=+").is_err());
        assert!(matches!(form(b"status=note&note=x"), Ok(Deed::Note(_))));
        assert!(form(b"status=closed").is_err());
    }
}
