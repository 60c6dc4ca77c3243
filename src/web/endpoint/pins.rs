//! Split and merge: what would come of it, before anybody decides.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::catalog::{Action, Foresight, PathParameter};
use crate::web::frame::{Frame, failed, missing, show};
use crate::web::routes::{App, Shared};
use crate::web::who::Who;
use crate::web::{Command, Pin, api, decide, filters};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web) struct Asked {
    part: usize,
    word: String,
}

#[derive(Template)]
#[template(path = "pin.html")]
struct Confirm {
    page: Frame,
    key: String,
    name: String,
    asked: Asked,
    split: bool,
    seen: Foresight,
    /// The parameter that it is about.
    parameter: Option<PathParameter>,
}

async fn foresee(
    app: &App,
    action: Action,
    key: String,
    asked: &Asked,
) -> Result<Foresight, decide::Refused> {
    let word = Some(asked.word.trim().to_owned()).filter(|w| !w.is_empty());
    let pin = Pin {
        action,
        key,
        part: asked.part,
        word,
    };
    api::ask(app, StatusCode::CONFLICT, |reply| Command::Foresee {
        pin,
        reply,
    })
    .await
}

fn is_pin(action: &str) -> Option<Action> {
    let action = decide::action(action).ok();
    action.filter(|a| matches!(a, Action::PinStatic | Action::PinParameter))
}

/// `/endpoints/{key}/split`, `/endpoints/{key}/merge`: what it would do, and the form that does it.
pub(in crate::web) async fn confirm(
    State(app): Shared,
    who: Who,
    Path((key, action)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    let Some(action) = is_pin(&action) else {
        return missing(&app, &who, "There is no such page");
    };
    let found = app.views.catalog.load().find(&key).cloned();
    let Some(e) = found else {
        return missing(&app, &who, "There is no such endpoint");
    };
    match foresee(&app, action, e.key.clone(), &asked).await {
        Ok(seen) => show(&Confirm {
            key: e.key.clone(),
            name: e.label(),
            split: action == Action::PinStatic,
            parameter: e
                .path_parameters
                .iter()
                .find(|p| p.part == asked.part)
                .cloned(),
            asked,
            seen,
            page: Frame::new(&app, &who, "endpoints"),
        }),
        Err((code, why)) => failed(&app, &who, code, "This cannot be decided", &why),
    }
}

/// `/api/v1/endpoints/{key}/foresee/{action}`.
pub(in crate::web) async fn data(
    State(app): Shared,
    Path((key, action)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    let Some(action) = is_pin(&action) else {
        return api::problem(StatusCode::NOT_FOUND, "it is split or merge");
    };
    let found = app.views.catalog.load().find(&key).map(|e| e.key.clone());
    let Some(key) = found else {
        return api::problem(StatusCode::NOT_FOUND, "there is no such endpoint");
    };
    match foresee(&app, action, key, &asked).await {
        Ok(seen) => api::json(&seen),
        Err((code, why)) => api::problem(code, &why),
    }
}
