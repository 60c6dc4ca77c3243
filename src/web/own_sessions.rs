//! One's own sessions over the API: those that are open, and their end.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::api::{DONE, Json, List, Nothing, Path, json, problem};
use super::routes::{App, Shared};
use super::who::{Who, asker};
use super::{gate, login};
use crate::time::Timestamp;

/// A session as its owner sees it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OwnSession")]
pub(super) struct Item {
    id: String,
    /// It is the one that asks.
    this: bool,
    /// The address that it was opened from, and the program.
    from: String,
    agent: String,
    /// How its owner signed in.
    method: &'static str,
    opened: Timestamp,
    /// Seconds since it was last used.
    idle: u64,
}

/// Of whoever asks; none of a token, or where there is no sign-in.
fn items(app: &App, who: &Who) -> Vec<Item> {
    let now = app.gate.now();
    let mine = who
        .session()
        .map(|_| app.gate.sessions().of(now, &who.name));
    let mine = mine.unwrap_or_default().into_iter();
    mine.map(|s| Item {
        this: who.session() == Some(&s.id),
        idle: s.idle(now).as_secs(),
        id: s.id,
        from: s.from,
        agent: s.agent,
        method: s.method,
        opened: s.opened,
    })
    .collect()
}

/// `/api/v1/me/sessions`.
pub(super) async fn list(State(app): Shared, who: Who) -> Response {
    json(&List::whole(items(&app, &who)))
}

/// `POST /api/v1/me/sessions/{id}/end`.
pub(super) async fn end(
    State(app): Shared,
    who: Who,
    Path(id): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Response {
    let mine = items(&app, &who);
    let Some(session) = mine.iter().find(|s| s.id == id) else {
        return problem(StatusCode::NOT_FOUND, "there is no such session");
    };
    if session.this {
        return sign_out(app, who).await;
    }
    app.gate.sessions().close(&who.name, |s| s.id == id);
    gate::note(&app, asker(), "sign-in.ended", who.name.to_string());
    json(&DONE)
}

/// `POST /api/v1/me/sessions/end`: everywhere, here too.
pub(super) async fn end_all(
    State(app): Shared,
    who: Who,
    Json(Nothing {}): Json<Nothing>,
) -> Response {
    let Some(this) = who.session().map(str::to_owned) else {
        return problem(StatusCode::CONFLICT, "only who has signed in has sessions");
    };
    app.gate.sessions().close(&who.name, |s| s.id != this);
    sign_out(app, who).await
}

/// As the page does it, with the cookie that takes the session away.
async fn sign_out(app: Arc<App>, who: Who) -> Response {
    let page = login::sign_out(State(app), who).await;
    let mut answer = json(&DONE);
    for cookie in page.headers().get_all(header::SET_COOKIE) {
        answer
            .headers_mut()
            .append(header::SET_COOKIE, cookie.clone());
    }
    answer
}
