//! Split and merge: what would come of it, before anybody decides.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::catalog::{Action, Foresight, PathParameter};
use crate::web::api::{self, Path, Query};
use crate::web::frame::{Frame, failed, missing, show};
use crate::web::routes::{App, Shared};
use crate::web::who::Who;
use crate::web::{Command, Pin, decide, filters};

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::web) struct Asked {
    /// Which part of the path, 0 the first.
    part: usize,
    /// To split: the word that is a route of its own.
    word: String,
}

/// A pin in people's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::web) enum Change {
    /// A word of a parameter becomes a route of its own.
    Split,
    /// A word becomes a value of a parameter.
    Merge,
}

impl Change {
    fn action(self) -> Action {
        match self {
            Self::Split => Action::PinStatic,
            Self::Merge => Action::PinParameter,
        }
    }
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
    change: Change,
    key: String,
    asked: &Asked,
) -> Result<Foresight, decide::Refused> {
    let word = Some(asked.word.trim().to_owned()).filter(|w| !w.is_empty());
    let pin = Pin {
        action: change.action(),
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

/// `/endpoints/{key}/split`, `/endpoints/{key}/merge`: what it would do, and the form that does it.
pub(in crate::web) async fn confirm(
    State(app): Shared,
    who: Who,
    axum::extract::Path((key, change)): axum::extract::Path<(String, String)>,
    axum::extract::Query(asked): axum::extract::Query<Asked>,
) -> Response {
    let change = match change.as_str() {
        "split" => Change::Split,
        "merge" => Change::Merge,
        _ => return missing(&app, &who, "There is no such page"),
    };
    let found = app.views.catalog.load().find(&key).cloned();
    let Some(e) = found else {
        return missing(&app, &who, "There is no such endpoint");
    };
    match foresee(&app, change, e.key.clone(), &asked).await {
        Ok(seen) => show(&Confirm {
            key: e.key.clone(),
            name: e.label(),
            split: change == Change::Split,
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
    Path((key, change)): Path<(String, Change)>,
    Query(asked): Query<Asked>,
) -> Response {
    let found = app.views.catalog.load().find(&key).map(|e| e.key.clone());
    let Some(key) = found else {
        return api::problem(StatusCode::NOT_FOUND, "there is no such endpoint");
    };
    match foresee(&app, change, key, &asked).await {
        Ok(seen) => api::json(&seen),
        Err((code, why)) => api::problem(code, &why),
    }
}
