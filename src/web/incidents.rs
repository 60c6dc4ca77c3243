//! Incidents: the list, and one with its time line, alerts and actions.

use axum::extract::{self, Extension, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;

use super::api::{self, Path, Query, json, problem};
use super::asked::Asked;
use super::dossier;
use super::export::{self, Form};
use super::frame::missing;
use super::routes::Shared;
use super::triage::Filter;
use super::who::Who;
use super::worklist::{self, ask, lists};
use crate::alert::On;

/// `/api/v1/incidents`.
pub(super) async fn list(
    State(app): Shared,
    headers: HeaderMap,
    uri: Uri,
    Query(filter): Query<Filter>,
) -> Response {
    let asked = match ask(&app, filter) {
        Ok(asked) => asked,
        Err(why) => return problem(StatusCode::BAD_REQUEST, &why),
    };
    let lists = lists(&app);
    let found = lists.incidents().find(&asked);
    match export::wanted(&headers) {
        Some(form) => export::send(form, "incidents", &uri, found.part(&asked.filter)),
        None => api::list(&found.page(&asked.filter)),
    }
}

/// `/api/v1/incidents.csv`, `/api/v1/incidents.jsonl`.
pub(super) async fn all(
    State(app): Shared,
    Extension(form): Extension<Form>,
    uri: Uri,
    Query(filter): Query<Filter>,
) -> Response {
    match ask(&app, filter) {
        Ok(asked) => {
            let lists = lists(&app);
            let found = lists.incidents().find(&asked);
            export::send(form, "incidents", &uri, found.part(&asked.filter))
        }
        Err(why) => problem(StatusCode::BAD_REQUEST, &why),
    }
}

/// `/api/v1/incidents/{id}`.
pub(super) async fn one(State(app): Shared, Path(id): Path<String>) -> Response {
    match lists(&app).incidents().get(&id) {
        Some(incident) => json(incident.as_ref()),
        None => problem(StatusCode::NOT_FOUND, "there is no such incident"),
    }
}

/// `/incidents`.
pub(super) async fn page(
    State(app): Shared,
    who: Who,
    Asked(filter, slips): Asked<Filter>,
) -> Response {
    worklist::page(&app, &who, On::Incidents, filter, slips)
}

/// `/incidents/{id}`.
pub(super) async fn one_page(
    State(app): Shared,
    who: Who,
    extract::Path(id): extract::Path<String>,
) -> Response {
    let page = dossier::page(&app, &who, On::Incidents, &id).await;
    page.unwrap_or_else(|| missing(&app, &who, "There is no such incident"))
}
