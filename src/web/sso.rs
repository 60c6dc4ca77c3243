//! The two ends of a sign-in by the identity provider: the way there, and back.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::frame::failed;
use super::gate;
use super::login::{Asked, own_path, refused, set_cookie};
use super::oidc::{Failed, Known, Provider};
use super::routes::{App, Shared};
use super::who::{Who, asker};
use crate::access::{By, Opening, Outcome};
use crate::alert::wall;

/// As sessions and metrics have it.
const METHOD: &str = "oidc";

/// Beside the session's, while a sign-in is under way.
const COOKIE: &str = "oidc";

fn provider(app: &App) -> Option<&Provider> {
    let provider = app.settings.oidc.as_deref();
    provider.filter(|_| app.settings.sign_in)
}

/// `GET /login/oidc`.
pub(super) async fn begin(
    State(app): Shared,
    who: Who,
    Query(Asked { next }): Query<Asked>,
) -> Response {
    let Some(provider) = provider(&app) else {
        return none(&app, &who);
    };
    match provider.begin(own_path(&next).to_owned()).await {
        Ok((url, browser)) => {
            let mut answer = Redirect::to(&url).into_response();
            set_cookie(&mut answer, &gate::cookie(&app, COOKIE, Some(&browser)));
            answer
        }
        Err(wrong) => say(&app, &wrong),
    }
}

fn none(app: &App, who: &Who) -> Response {
    let text = "No identity provider is set: sign in by name and password.";
    failed(
        app,
        who,
        StatusCode::NOT_FOUND,
        "There is no such page",
        text,
    )
}

/// RFC 6749, sections 4.1.2 and 4.1.2.1.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Back {
    state: String,
    code: String,
    error: String,
}

/// `GET /login/oidc/back`.
pub(super) async fn back(
    State(app): Shared,
    who: Who,
    headers: HeaderMap,
    Query(back): Query<Back>,
) -> Response {
    let Some(provider) = provider(&app) else {
        return none(&app, &who);
    };
    if !back.error.is_empty() {
        let text = "The identity provider did not let you in.";
        return say(&app, &Failed(text, back.error));
    }
    let cookie = gate::sent_cookie(&app, COOKIE, &headers).unwrap_or_default();
    let known = match provider.end(&back.state, &back.code, cookie).await {
        Ok(known) => known,
        Err(wrong) => return say(&app, &wrong),
    };
    let agent = headers.get(header::USER_AGENT);
    let agent = agent.and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut answer = let_in(&app, known, asker().from, agent);
    set_cookie(&mut answer, &gate::cookie(&app, COOKIE, None));
    answer
}

fn let_in(app: &App, known: Known, from: String, agent: &str) -> Response {
    let Known { name, role, next } = known;
    let Some(role) = role else {
        let by = By {
            name: name.as_str().into(),
            role: None,
            from,
        };
        app.gate.tally.sign_in(METHOD, Outcome::Failed);
        gate::note(app, by, "sign-in.failed", name.clone());
        let why = format!(
            "The identity provider knows you as {name}, but gives you no role here. An admin of this sensor says in web.oidc who may come in."
        );
        return refused(app, StatusCode::FORBIDDEN, why);
    };
    let opening = Opening {
        name: name.as_str().into(),
        role,
        method: METHOD,
        hash: None,
        from,
        agent: agent.to_owned(),
        at: wall(),
    };
    match gate::open(app, opening) {
        Ok(secret) => {
            let mut answer = Redirect::to(&next).into_response();
            set_cookie(
                &mut answer,
                &gate::cookie(app, gate::SESSION, Some(&secret)),
            );
            answer
        }
        Err(_) => refused(
            app,
            StatusCode::SERVICE_UNAVAILABLE,
            "apitap is busy: try again.".into(),
        ),
    }
}

/// People are told what to do, the log what it was.
fn say(app: &App, Failed(text, why): &Failed) -> Response {
    app.gate.tally.sign_in(METHOD, Outcome::Failed);
    tracing::warn!("a sign-in by the identity provider failed: {why:?}");
    refused(app, StatusCode::BAD_GATEWAY, (*text).to_owned())
}
