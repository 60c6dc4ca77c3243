//! Decisions over the API: asked of the single writer, answered once they are on disk.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::api::{self, Json, Path, Query, ask, json, list as list_page, problem, remark, shape};
use super::cursor::{self, Mark};
use super::index::Index;
use super::query::EndpointFilter;
use super::routes::{App, Shared};
use super::who::Who;
use super::{Command, Pin, Wish};
use crate::catalog::{Action, Decision, MAX_NOTE};

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
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DecisionItem")]
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

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Cursor {
    /// `next` of the page before.
    cursor: String,
    #[schemars(schema_with = "super::query::limits")]
    limit: Option<usize>,
}

/// `/api/v1/decisions`.
pub(super) async fn list(State(app): Shared, Query(at): Query<Cursor>) -> Response {
    let view = app.views.decisions.load();
    // Newest first; only the page asked for is copied.
    let order = (at.cursor.as_str(), at.limit);
    let cut = cursor::cut(&view.items, "decisions", order, |(d, _)| {
        Mark::new([!d.id, 0], &[])
    });
    let items = view.items[cut.range].iter();
    list_page(&super::query::Page {
        items: items
            .map(|(d, holds)| Arc::new(item(d, Some(*holds))))
            .collect(),
        next: cut.next,
        total: view.items.len(),
        lost: cut.lost,
    })
}

fn answer(result: Result<Arc<Decision>, Refused>) -> Response {
    match result {
        Ok(decision) => json(&item(&decision, None)),
        Err((code, why)) => problem(code, &why),
    }
}

/// Which endpoints: one of the three.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["keys"] }, { "required": ["filter"] }, { "required": ["all"] }]))]
pub(super) struct Chosen {
    /// Keys of endpoints.
    #[schemars(length(min = 1))]
    keys: Vec<String>,
    /// The parts of the list's filter that choose, as texts.
    #[schemars(schema_with = "filters")]
    filter: Map<String, Value>,
    /// All that wait to be accepted.
    #[schemars(extend("const" = true))]
    all: bool,
    /// Why.
    #[schemars(length(max = api::MAX_NOTE))]
    note: Option<String>,
}

fn filters(_: &mut SchemaGenerator) -> Schema {
    let list = shape::query(SchemaGenerator::subschema_for::<EndpointFilter>);
    let mut filter = EndpointFilter::default();
    let parts = filter.parts_mut().map(|(name, _)| {
        let part = &list["properties"][name];
        let part = match part["type"].as_str() {
            Some("integer") => json!({ "type": "string", "pattern": "^[0-9]+$", "description": part["description"] }),
            _ => part.clone(),
        };
        (name.to_owned(), part)
    });
    let parts: Map<String, Value> = parts.into_iter().collect();
    json_schema!({ "type": "object", "properties": parts, "additionalProperties": false, "minProperties": 1 })
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

    /// What is accepted is chosen from what waits for that.
    fn keys(&self, index: &Index, action: Action) -> Result<Vec<String>, String> {
        match (self.keys.is_empty(), self.filter.is_empty(), self.all) {
            (false, true, false) => Ok(self.keys.clone()),
            (true, false, false) | (true, true, true) => {
                let filter = self.filter()?;
                let found = match action {
                    Action::Accept => filter.waiting(index),
                    _ => filter.found(index),
                };
                let found = found.map_err(|fault| format!("q: {fault}"))?;
                Ok(found.iter().map(|e| e.key.clone()).collect())
            }
            _ => Err("say one of `keys`, `filter`, `\"all\": true`".into()),
        }
    }
}

/// `POST /api/v1/endpoints/accept`.
pub(super) async fn accept(State(app): Shared, who: Who, Json(chosen): Json<Chosen>) -> Response {
    let keys = match chosen.keys(&*app.index().await, Action::Accept) {
        Ok(keys) => keys,
        Err(why) => return problem(StatusCode::BAD_REQUEST, &why),
    };
    if keys.is_empty() {
        return problem(
            StatusCode::CONFLICT,
            "nothing that it shows waits to be accepted",
        );
    }
    let wish = Wish::Mark {
        action: Action::Accept,
        value: None,
        keys,
    };
    answer(decide(&app, wish, &who.name, chosen.note).await)
}

/// What is said with a decision about one endpoint.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct About {
    /// Why.
    #[schemars(length(max = api::MAX_NOTE))]
    note: Option<String>,
    /// Of a pin: which part of the path, 0 the first.
    part: Option<usize>,
    word: Option<String>,
    /// The tag, owner or note.
    #[schemars(length(max = MAX_NOTE))]
    value: Option<String>,
}

/// An owner or note that is nothing takes the one there is away.
pub(super) fn said(
    action: Action,
    value: Option<String>,
) -> Result<(Action, Option<String>), Refused> {
    let empty = value.as_deref().is_none_or(|v| v.trim().is_empty());
    let action = match action {
        Action::Own if empty => Action::Disown,
        Action::Note if empty => Action::Unnote,
        action => action,
    };
    let value = action.value(value.as_deref());
    value
        .map(|value| (action, value))
        .map_err(|why| (StatusCode::BAD_REQUEST, why))
}

/// Of a pin the part of the path and the word; else the value.
pub(super) type Said = (Option<usize>, Option<String>, Option<String>);

/// A wish from the last part of the path: `accept`, `tag`, `pin-parameter` …
pub(super) fn wish(
    action: Action,
    key: String,
    (part, word, value): Said,
) -> Result<Wish, Refused> {
    let word = word.filter(|w| !w.is_empty());
    let bad = |why: &str| Err((StatusCode::BAD_REQUEST, why.to_owned()));
    match part {
        Some(part) if action.is_pin() && action != Action::Unpin => Ok(Wish::Pin(Pin {
            action,
            key,
            part,
            word,
        })),
        None if !action.is_pin() && word.is_none() => {
            let (action, value) = said(action, value)?;
            let keys = vec![key];
            Ok(Wish::Mark {
                action,
                value,
                keys,
            })
        }
        _ => bad("a pin says which `part` of the path it is about; nothing else does"),
    }
}

/// Which endpoints, by one of the three, and what is said of them.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["keys"] }, { "required": ["filter"] }, { "required": ["all"] }]))]
pub(super) struct Many {
    action: Action,
    /// The tag, owner or note.
    #[schemars(length(max = MAX_NOTE))]
    value: Option<String>,
    /// Keys of endpoints.
    #[serde(default)]
    #[schemars(length(min = 1))]
    keys: Vec<String>,
    /// The parts of the list's filter that choose, as texts.
    #[serde(default)]
    #[schemars(schema_with = "filters")]
    filter: Map<String, Value>,
    /// All that the list has without a filter.
    #[serde(default)]
    #[schemars(extend("const" = true))]
    all: bool,
    /// Why.
    #[schemars(length(max = api::MAX_NOTE))]
    note: Option<String>,
}

/// `POST /api/v1/endpoints/mark`.
pub(super) async fn mark_many(State(app): Shared, who: Who, Json(many): Json<Many>) -> Response {
    match many.wish(&*app.index().await) {
        Ok((wish, note)) => answer(decide(&app, wish, &who.name, note).await),
        Err((code, why)) => problem(code, &why),
    }
}

impl Many {
    fn wish(self, index: &Index) -> Result<(Wish, Option<String>), Refused> {
        let bad = |why: String| (StatusCode::BAD_REQUEST, why);
        let action = self.action;
        if action.is_pin() {
            return Err(bad("a pin is about a part of one endpoint's path".into()));
        }
        let (action, value) = said(action, self.value)?;
        let chosen = Chosen {
            keys: self.keys,
            filter: self.filter,
            all: self.all,
            note: None,
        };
        let keys = chosen.keys(index, action).map_err(bad)?;
        if keys.is_empty() {
            let why = "there is nothing that it shows";
            return Err((StatusCode::CONFLICT, why.into()));
        }
        let wish = Wish::Mark {
            action,
            value,
            keys,
        };
        Ok((wish, self.note))
    }
}

/// `POST /api/v1/endpoints/{key}/{action}`.
pub(super) async fn mark(
    State(app): Shared,
    who: Who,
    Path((key, action)): Path<(String, Action)>,
    Json(about): Json<About>,
) -> Response {
    let index = app.index().await;
    let Some(key) = index.find(&key).map(|row| index.endpoint(row).key.clone()) else {
        return problem(StatusCode::NOT_FOUND, "there is no such endpoint");
    };
    match wish(action, key, (about.part, about.word, about.value)) {
        Ok(wish) => answer(decide(&app, wish, &who.name, about.note).await),
        Err((code, why)) => problem(code, &why),
    }
}

/// What is said with the undoing of one.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Undo {
    /// Why.
    #[schemars(length(max = api::MAX_NOTE))]
    note: Option<String>,
}

/// `POST /api/v1/decisions/{id}/undo`.
pub(super) async fn undo(
    State(app): Shared,
    who: Who,
    Path(id): Path<u64>,
    Json(why): Json<Undo>,
) -> Response {
    if !known(&app, id) {
        return problem(StatusCode::NOT_FOUND, "there is no such decision");
    }
    answer(decide(&app, Wish::Undo(id), &who.name, why.note).await)
}

pub(super) fn known(app: &App, id: u64) -> bool {
    let view = app.views.decisions.load();
    view.items.iter().any(|(decision, _)| decision.id == id)
}
