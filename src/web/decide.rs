//! Decisions over the API: asked of the single writer, answered once they are on disk.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::api::{ask, json, list as list_page, problem, remark};
use super::index::Index;
use super::query::{EndpointFilter, cut};
use super::routes::{App, Shared};
use super::who::Who;
use super::{Command, Wish};
use crate::catalog::{Action, Decision};

/// Places of one decision that are listed.
const PLACES: usize = 100;

pub(super) type Refused = (StatusCode, String);

/// Asks the single writer.
pub(super) async fn decide(
    app: &App,
    what: Wish,
    by: &str,
    note: Option<String>,
) -> Result<Arc<Decision>, Refused> {
    let (by, note) = (by.to_owned(), remark(note));
    let command = |reply| Command::Decide {
        what,
        by,
        note,
        reply,
    };
    ask(app, StatusCode::CONFLICT, command).await
}

/// A decision as the list has it.
#[derive(Serialize)]
pub(super) struct Item {
    #[serde(flatten)]
    decision: Decision,
    /// Places that it was about; the first of them are listed.
    count: usize,
    /// Places for which it still holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<usize>,
}

fn item(decision: &Decision, holds: Option<usize>) -> Item {
    let mut cut = Decision {
        places: Vec::new(),
        ..decision.clone()
    };
    cut.places
        .extend(decision.places.iter().take(PLACES).cloned());
    Item {
        count: decision.places.len(),
        decision: cut,
        holds,
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Cursor {
    cursor: String,
    limit: Option<usize>,
}

/// `/api/v1/decisions`.
pub(super) async fn list(State(app): Shared, Query(at): Query<Cursor>) -> Response {
    let view = app.views.decisions.load();
    // Newest first; only the page asked for is copied.
    let ids: Vec<Arc<(String, usize)>> = view
        .items
        .iter()
        .enumerate()
        .map(|(n, (d, _))| Arc::new((d.id.to_string(), n)))
        .collect();
    let all: Vec<&Arc<(String, usize)>> = ids.iter().collect();
    let page = cut(&all, &at.cursor, at.limit, |one| &one.0);
    let items = page.items.iter().filter_map(|one| view.items.get(one.1));
    list_page(&super::query::Page {
        items: items
            .map(|(d, holds)| Arc::new(item(d, Some(*holds))))
            .collect(),
        next: page.next,
        total: page.total,
    })
}

fn answer(result: Result<Arc<Decision>, Refused>) -> Response {
    match result {
        Ok(decision) => json(&item(&decision, None)),
        Err((code, why)) => problem(code, &why),
    }
}

/// JSON only: a form on another site cannot send that without our leave (CORS preflight).
pub(super) fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Refused> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") {
        let why = "send application/json";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, why.into()));
    }
    serde_json::from_slice(body).map_err(|e| (StatusCode::BAD_REQUEST, e.to_string()))
}

/// Which endpoints: one of the three.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Chosen {
    keys: Vec<String>,
    filter: Map<String, Value>,
    all: bool,
    note: Option<String>,
}

impl Chosen {
    /// A part of a filter that is not known must never mean all.
    fn filter(&self) -> Result<EndpointFilter, String> {
        let mut filter = EndpointFilter::default();
        for (name, value) in &self.filter {
            let mut parts = filter.parts_mut().into_iter();
            let part = parts.find(|(known, _)| known == name);
            let (_, part) = part.ok_or_else(|| format!("a filter has no `{name}`"))?;
            let text = value.as_str().filter(|text| !text.is_empty());
            text.ok_or_else(|| format!("`{name}` is to be a text"))?
                .clone_into(part);
        }
        Ok(filter)
    }

    fn keys(&self, index: &Index) -> Result<Vec<String>, String> {
        match (self.keys.is_empty(), self.filter.is_empty(), self.all) {
            (false, true, false) => Ok(self.keys.clone()),
            (true, false, false) | (true, true, true) => {
                let waiting = self.filter()?.waiting(index);
                let waiting = waiting.map_err(|fault| format!("q: {fault}"))?;
                Ok(waiting.iter().map(|e| e.key.clone()).collect())
            }
            _ => Err("say one of `keys`, `filter`, `\"all\": true`".into()),
        }
    }
}

/// `POST /api/v1/endpoints/accept`.
pub(super) async fn accept(
    State(app): Shared,
    who: Who,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let chosen: Chosen = match read(&headers, &body) {
        Ok(chosen) => chosen,
        Err((code, why)) => return problem(code, &why),
    };
    let keys = match chosen.keys(&*app.index().await) {
        Ok(keys) => keys,
        Err(why) => return problem(StatusCode::BAD_REQUEST, &why),
    };
    if keys.is_empty() {
        return problem(
            StatusCode::CONFLICT,
            "nothing that it shows waits to be accepted",
        );
    }
    let action = Action::Accept;
    answer(decide(&app, Wish::Mark { action, keys }, &who.name, chosen.note).await)
}

/// What is said with a decision about one endpoint.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct About {
    note: Option<String>,
    /// Of a pin: which part of the path, 0 the first.
    part: Option<usize>,
    word: Option<String>,
}

/// A wish from the last part of the path: `accept`, `unaccept`, `pin-parameter` …
pub(super) fn wish(
    action: &str,
    key: String,
    part: Option<usize>,
    word: Option<String>,
) -> Result<Wish, Refused> {
    let known = [
        Action::Accept,
        Action::Unaccept,
        Action::PinParameter,
        Action::PinStatic,
        Action::Unpin,
    ];
    let found = known.into_iter().find(|a| a.name() == action);
    match (found, part) {
        (Some(action @ (Action::Accept | Action::Unaccept)), None) => Ok(Wish::Mark {
            action,
            keys: vec![key],
        }),
        (Some(action @ (Action::PinParameter | Action::PinStatic)), Some(part)) => Ok(Wish::Pin {
            action,
            key,
            part,
            word: word.filter(|w| !w.is_empty()),
        }),
        (None, _) => Err((StatusCode::NOT_FOUND, "there is no such action".into())),
        _ => Err((
            StatusCode::BAD_REQUEST,
            "a pin says which `part` of the path it is about; nothing else does".into(),
        )),
    }
}

/// `POST /api/v1/endpoints/{key}/{action}`.
pub(super) async fn mark(
    State(app): Shared,
    who: Who,
    Path((key, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let about: About = match read(&headers, &body) {
        Ok(about) => about,
        Err((code, why)) => return problem(code, &why),
    };
    if app.index().await.find(&key).is_none() {
        return problem(StatusCode::NOT_FOUND, "there is no such endpoint");
    }
    match wish(&action, key, about.part, about.word) {
        Ok(wish) => answer(decide(&app, wish, &who.name, about.note).await),
        Err((code, why)) => problem(code, &why),
    }
}

/// `POST /api/v1/decisions/{id}/undo`.
pub(super) async fn undo(
    State(app): Shared,
    who: Who,
    Path(id): Path<u64>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let about: About = match read(&headers, &body) {
        Ok(about) => about,
        Err((code, why)) => return problem(code, &why),
    };
    if !known(&app, id) {
        return problem(StatusCode::NOT_FOUND, "there is no such decision");
    }
    answer(decide(&app, Wish::Undo(id), &who.name, about.note).await)
}

pub(super) fn known(app: &App, id: u64) -> bool {
    let view = app.views.decisions.load();
    view.items.iter().any(|(decision, _)| decision.id == id)
}
