//! What people do to alerts and incidents, one or several at once: asked of the single writer, answered
//! once it is on disk. By forms several are confirmed once, and a form leads back to where it was
//! sent from; a script that sends the same form gets JSON. All that a list has are named one by one
//! before anything is done to them, so that nothing which came since is among them.

use askama::Template;
use axum::body::Bytes;
use axum::extract::{self, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::act_form::{Form, said};
use super::api::{self, Json, ask, json, problem, remark};
use super::decide::Refused;
use super::frame::{Frame, failed, show};
use super::life::{stale, wanted};
use super::listing::{Found, Listed};
use super::routes::{App, Shared};
use super::triage::{self, Filter};
use super::who::Who;
use super::worklist::{self, Row, lists};
use super::{Command, filters};
use crate::alert::{Act, Acted, Deed, On, Status};
use crate::sensor::doctor::grouped;
use crate::time::Timestamp;

/// Rows that a confirmation lists.
const SHOWN: usize = 50;

/// Asks the single writer.
async fn act(app: &App, on: On, ids: Vec<String>, deed: Deed) -> Result<Acted, Refused> {
    let act = Box::new(Act { on, ids, deed });
    ask(app, StatusCode::CONFLICT, |reply| Command::Act {
        act,
        reply,
    })
    .await
}

/// All that match a filter by now.
struct Matching {
    ids: Vec<String>,
    stamp: String,
}

impl Matching {
    fn of<T: Listed>(found: &Found<'_, T>) -> Result<Self, Refused> {
        match found.total() {
            0 => Err((StatusCode::CONFLICT, "nothing matches any more".into())),
            n if n > Act::MOST => {
                let (n, most) = (grouped(n as u64), grouped(Act::MOST as u64));
                let why = format!(
                    "{n} match, and at most {most} are acted on at once: narrow the filter down"
                );
                Err((StatusCode::CONFLICT, why))
            }
            _ => Ok(Self {
                ids: found.all().iter().map(|i| i.id().to_owned()).collect(),
                stamp: found.stamp(),
            }),
        }
    }

    fn now(app: &App, on: On, filter: Filter) -> Result<Self, Refused> {
        let asked = worklist::ask(app, filter).map_err(|why| (StatusCode::BAD_REQUEST, why))?;
        let lists = lists(app);
        match on {
            On::Alerts => Self::of(&lists.alerts().find(&asked)),
            On::Incidents => Self::of(&lists.incidents().find(&asked)),
        }
    }

    /// What is different since a list with this stamp was shown; none: nothing.
    fn differs(&self, shown: &str) -> Option<String> {
        let now = self.ids.len() as u64;
        let then = shown.split_once('-').and_then(|(n, _)| n.parse().ok());
        match then {
            _ if self.stamp == shown => None,
            Some(then) if then != now => Some(format!(
                "The list had {} when it was shown. By now it has {}, and it is these that are meant.",
                grouped(then),
                grouped(now)
            )),
            _ => Some("Some of them came to the list after it was shown, as many left it.".into()),
        }
    }
}

/// What a confirmation says of a list that is meant as a whole.
#[derive(Default)]
struct Whole {
    /// The parts of its filter.
    of: Vec<(&'static str, String)>,
    /// What is different since it was shown.
    news: Option<String>,
}

impl Whole {
    /// Names in the form all that its list has by now; `shown` is the stamp that it had then.
    fn name(app: &App, on: On, form: &mut Form, shown: &str) -> Result<Self, Refused> {
        let filter = form.filter(on);
        let filter =
            filter.ok_or_else(|| (StatusCode::BAD_REQUEST, "of which list?".to_owned()))?;
        let filter = filter.of_page(1);
        let parts = filter.parts().into_iter();
        let chosen = parts.filter(|(name, value)| *name != "sort" && !value.is_empty());
        let of = chosen.map(|(name, value)| (name, value.clone())).collect();
        let matching = Matching::now(app, on, filter)?;
        let news = matching.differs(shown);
        form.ids = matching.ids;
        Ok(Self { of, news })
    }
}

/// `POST /alerts/act`, `POST /incidents/act`: from a list.
async fn several(app: &App, who: &Who, on: On, headers: &HeaderMap, body: &Bytes) -> Response {
    let mut form = Form::read(body);
    if let Some(stale) = stale(app, who, &form.csrf) {
        return stale;
    }
    let as_json = is_script(headers);
    let refuse = |(code, why): Refused| match as_json {
        true => problem(code, &why),
        false => failed(app, who, code, "Nothing was changed", &why),
    };
    let all = form.all.take();
    let whole = all.map(|shown| Whole::name(app, on, &mut form, &shown));
    let whole = match whole.transpose() {
        Ok(whole) => whole,
        Err(refused) => return refuse(refused),
    };
    if form.ids.is_empty() || form.ids.len() > Act::MOST {
        let why = format!("tick 1 to {} rows", grouped(Act::MOST as u64));
        return refuse((StatusCode::BAD_REQUEST, why));
    }
    let deed = match form.deed(&who.name) {
        Ok(deed) => deed,
        Err(refused) => return refuse(refused),
    };
    // What nobody has named yet is asked about, whatever the form says.
    if whole.is_some() || (form.ids.len() > 1 && !form.confirmed && !as_json) {
        return confirm(app, who, on, form, &deed, whole.unwrap_or_default());
    }
    match act(app, on, form.ids.clone(), deed).await {
        Ok(acted) if as_json => json(&acted),
        Ok(acted) if acted.changed.is_empty() => {
            let why = acted.refused.into_iter().next().map(|r| r.why);
            refuse((StatusCode::CONFLICT, why.unwrap_or_default()))
        }
        Ok(acted) if acted.refused.is_empty() => Redirect::to(&form.back(on)).into_response(),
        Ok(acted) => partly(app, who, &acted),
        Err(refused) => refuse(refused),
    }
}

/// Some took it, and some did not.
fn partly(app: &App, who: &Who, acted: &Acted) -> Response {
    let [changed, not] = [acted.changed.len(), acted.refused.len()].map(|n| grouped(n as u64));
    let why = acted.refused.first().map_or("", |r| r.why.as_str());
    let title = format!("{changed} changed, {not} not");
    failed(
        app,
        who,
        StatusCode::OK,
        &title,
        &format!("One of those that were not: {why}."),
    )
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
    whole: Whole,
    rows: Vec<Row>,
    more: usize,
    back: String,
}

/// What is about to be done to several, before it is.
fn confirm(app: &App, who: &Who, on: On, form: Form, deed: &Deed, whole: Whole) -> Response {
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
        whole,
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

/// What the API is told: to which, and a status for each or a note alone.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "Act",
    extend("oneOf" = [{ "required": ["ids"] }, { "required": ["filter", "total"] }]),
    extend("dependentRequired" = { "filter": ["total"], "total": ["filter"] })
)]
pub(super) struct Wish {
    #[serde(default)]
    #[schemars(length(min = 1, max = Act::MOST))]
    ids: Vec<String>,
    /// In place of ids: all that match these parts of the list's filter.
    #[serde(default)]
    #[schemars(schema_with = "triage::choosing")]
    filter: Filter,
    /// How many the list said that the filter matches. Where it is another number by now, something
    /// came or went, and nothing is done.
    #[schemars(range(min = 1, max = Act::MOST))]
    total: Option<usize>,
    /// What each is to be; none: the note alone.
    status: Option<Status>,
    #[schemars(length(max = api::MAX_NOTE))]
    note: Option<String>,
    /// Of muted: until when, in seconds of the epoch.
    until: Option<f64>,
}

impl Wish {
    fn read(self, app: &App, on: On, by: &str) -> Result<(Vec<String>, Deed), Refused> {
        let note = remark(self.note);
        let until = self.until.map(Timestamp::from_secs_f64);
        let deed = match self.status {
            None => Deed::Note(said(note, by)?),
            Some(status) => Deed::Status(wanted(status, until, note, by)),
        };
        let Some(total) = self.total else {
            return Ok((self.ids, deed));
        };
        let matching = Matching::now(app, on, self.filter)?;
        if matching.ids.len() != total {
            let why = format!(
                "{} match by now, not {total}: look at the list again",
                matching.ids.len()
            );
            return Err((StatusCode::CONFLICT, why));
        }
        Ok((matching.ids, deed))
    }
}

async fn by_api(app: &App, who: &Who, on: On, wish: Wish) -> Response {
    let done = match wish.read(app, on, &who.name) {
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
