//! Many endpoints at once: chosen by ticks or by the query, shown once more, then accepted, tagged or given an
//! owner.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::columns::clip;
use super::decide::{decide, said};
use super::decisions::waits;
use super::frame::{Frame, failed, show};
use super::index::Index;
use super::life::stale;
use super::query::{EndpointFilter, documentation};
use super::routes::{App, Shared};
use super::who::Who;
use super::{Wish, filters};
use crate::catalog::{Action, EndpointView, MAX_PLACES};
use crate::time::Timestamp;

/// Endpoints that a confirmation lists.
const SHOWN: usize = 100;

/// What is done to many at once, as the page offers it.
pub(super) const ACTIONS: [(Action, &str); 4] = [
    (Action::Accept, "Accept"),
    (Action::Tag, "Tag"),
    (Action::Untag, "Take the tag off"),
    (Action::Own, "Set the owner"),
];

/// What a form or link chose.
struct Choice {
    action: Action,
    /// The tag or owner.
    value: String,
    filter: EndpointFilter,
    keys: Vec<String>,
    by_key: bool,
    /// Only what was there when it was shown, in nanoseconds of packet time.
    until: Option<i64>,
    csrf: String,
    note: String,
}

impl Choice {
    fn read(text: &[u8]) -> Self {
        let mut choice = Self {
            action: Action::Accept,
            value: String::new(),
            filter: EndpointFilter::default(),
            keys: Vec::new(),
            by_key: false,
            until: None,
            csrf: String::new(),
            note: String::new(),
        };
        for (name, value) in url::form_urlencoded::parse(text) {
            match name.as_ref() {
                "action" => {
                    let found = ACTIONS.iter().find(|(action, _)| action.name() == value);
                    choice.action = found.map_or(Action::Accept, |(action, _)| *action);
                }
                "value" => choice.value = value.into_owned(),
                "key" => choice.keys.push(value.into_owned()),
                "which" => choice.by_key = value == "chosen",
                "until" => choice.until = value.parse().ok(),
                "csrf" => choice.csrf = value.into_owned(),
                "note" => choice.note = value.into_owned(),
                name => {
                    let mut parts = choice.filter.parts_mut().into_iter();
                    if let Some((_, part)) = parts.find(|(known, _)| *known == name) {
                        *part = value.into_owned();
                    }
                }
            }
        }
        choice
    }

    /// Of what is to be accepted, those that wait for it.
    fn endpoints(&self, index: &Index) -> Result<Vec<Arc<EndpointView>>, String> {
        let until = self.until.map_or(Timestamp::MAX, Timestamp::from_nanos);
        let accept = self.action == Action::Accept;
        if self.by_key {
            let rows = self.keys.iter().filter_map(|key| index.find(key));
            let rows: BTreeSet<usize> = rows.collect();
            let chosen = rows.into_iter().map(|n| index.endpoint(n).clone());
            return Ok(chosen.filter(|e| !accept || waits(e)).collect());
        }
        let found = match accept {
            true => self.filter.waiting(index),
            false => self.filter.found(index),
        };
        let mut chosen = found.map_err(|fault| fault.to_string())?;
        chosen.retain(|e| e.first_seen.is_none_or(|t| t <= until));
        Ok(chosen)
    }

    /// What is to be done with this value.
    fn wish(&self, keys: Vec<String>) -> Result<Wish, String> {
        // The bar has one field for the buttons that take a word; what stands in it is not Accept's.
        let takes_one = self.action != Action::Accept;
        let value = Some(self.value.clone()).filter(|v| takes_one && !v.is_empty());
        let (action, value) = said(self.action, value).map_err(|(_, why)| why)?;
        Ok(Wish::Mark {
            action,
            value,
            keys,
        })
    }

    /// The filter, for the next form.
    fn parts(&self) -> Vec<(&'static str, String)> {
        let mut filter = self.filter.clone();
        let parts = filter.parts_mut().map(|(name, part)| (name, part.clone()));
        parts.into_iter().filter(|(_, v)| !v.is_empty()).collect()
    }
}

struct Line {
    key: String,
    method: String,
    template: String,
    operation: Option<String>,
    host: String,
    badge: &'static str,
    requests: u64,
}

#[derive(Template)]
#[template(path = "accept.html")]
struct Confirm {
    page: Frame,
    /// `accept`, `tag`, `untag`, `own`.
    action: &'static str,
    value: String,
    total: usize,
    most: usize,
    lines: Vec<Line>,
    hosts: usize,
    parts: Vec<(&'static str, String)>,
    keys: Vec<String>,
    by_key: bool,
    until: i64,
}

fn refused(app: &App, who: &Who, why: &str) -> Response {
    failed(
        app,
        who,
        StatusCode::BAD_REQUEST,
        "Nothing was changed",
        why,
    )
}

/// `/endpoints/accept`, `/endpoints/mark`: what would be changed, before it is.
pub(super) async fn confirm(State(app): Shared, who: Who, RawQuery(query): RawQuery) -> Response {
    let choice = Choice::read(query.unwrap_or_default().as_bytes());
    let index = app.index().await;
    let chosen = match choice.endpoints(&index) {
        Ok(chosen) => chosen,
        Err(why) => return refused(&app, &who, &why),
    };
    if let Err(why) = choice.wish(Vec::new()) {
        return refused(&app, &who, &why);
    }
    if chosen.is_empty() {
        let what = match choice.action {
            Action::Accept => "Nothing was chosen that waits to be accepted",
            _ => "Nothing was chosen",
        };
        let mend = "Tick some endpoints, or change the query.";
        return failed(&app, &who, StatusCode::NOT_FOUND, what, mend);
    }
    let line = |e: &Arc<EndpointView>| Line {
        key: e.key.clone(),
        method: clip(&e.method),
        template: clip(&e.template),
        operation: e.operation.as_deref().map(clip),
        host: clip(&e.host),
        badge: documentation(e.documentation),
        requests: e.requests,
    };
    let hosts: BTreeSet<&str> = chosen.iter().map(|e| e.host.as_str()).collect();
    let keys = chosen.iter().filter(|_| choice.by_key);
    show(&Confirm {
        action: choice.action.name(),
        total: chosen.len(),
        most: MAX_PLACES,
        lines: chosen.iter().take(SHOWN).map(line).collect(),
        hosts: hosts.len(),
        parts: choice.parts(),
        keys: keys.map(|e| e.key.clone()).collect(),
        by_key: choice.by_key,
        until: index.view.at.nanos(),
        page: Frame::new(&app, &who, "endpoints"),
        value: choice.value,
    })
}

/// `POST /endpoints/accept`, `POST /endpoints/mark`.
pub(super) async fn act(State(app): Shared, who: Who, body: Bytes) -> Response {
    let choice = Choice::read(&body);
    if let Some(stale) = stale(&app, &who, &choice.csrf) {
        return stale;
    }
    let chosen = choice.endpoints(&*app.index().await);
    let keys = chosen.map(|all| all.iter().map(|e| e.key.clone()).collect());
    let wish = match keys.and_then(|keys| choice.wish(keys)) {
        Ok(wish) => wish,
        Err(why) => return refused(&app, &who, &why),
    };
    match decide(&app, wish, &who.name, Some(choice.note)).await {
        Ok(_) => Redirect::to("/decisions").into_response(),
        Err((code, why)) => failed(&app, &who, code, "Nothing was changed", &why),
    }
}
