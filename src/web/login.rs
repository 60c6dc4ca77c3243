//! Signing in and out.

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::assets;
use super::frame::show;
use super::gate::{self, Attempt, Refused};
use super::routes::{App, Shared};
use super::who::{Way, Who, asker};
use crate::access::Password;

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    assets: String,
    /// What was typed, and what is wrong with it.
    name: String,
    problem: String,
    next: String,
    /// Nobody can sign in: there is no user yet.
    is_new: bool,
    /// What is typed here crosses the network in the clear.
    is_clear: bool,
    /// The identity provider's button.
    provider: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub(super) next: String,
}

/// `GET /login`.
pub(super) async fn page(
    State(app): Shared,
    who: Who,
    Query(Asked { next }): Query<Asked>,
) -> Response {
    if who.way != Way::Nobody {
        return Redirect::to(own_path(&next)).into_response();
    }
    show(&form(&app, String::new(), String::new(), next))
}

fn form(app: &App, name: String, problem: String, next: String) -> Login {
    Login {
        assets: assets::version(),
        name,
        problem,
        next,
        is_new: app.views.accounts.load().users.is_empty(),
        provider: app.settings.oidc.as_ref().map(|p| p.label().to_owned()),
        is_clear: !app.settings.is_tls() && !app.settings.listen.ip().is_loopback(),
    }
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// `POST /login`.
pub(super) async fn sign_in(
    State(app): Shared,
    headers: HeaderMap,
    Form(SignIn {
        name,
        password,
        next,
    }): Form<SignIn>,
) -> Response {
    if !app.settings.sign_in {
        return Redirect::to(own_path(&next)).into_response();
    }
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|v| v.to_str().ok());
    let attempt = Attempt {
        name: name.clone(),
        password: Password::new(password),
        agent: agent.unwrap_or_default().to_owned(),
    };
    let wrong = match gate::sign_in(&app, attempt).await {
        Ok(secret) => {
            let mut answer = Redirect::to(own_path(&next)).into_response();
            set_cookie(
                &mut answer,
                &gate::cookie(&app, gate::SESSION, Some(&secret)),
            );
            return answer;
        }
        Err(wrong) => wrong,
    };
    let (code, problem, wait) = said(&wrong);
    let mut answer = (code, show(&form(&app, name, problem, next))).into_response();
    if let Some(wait) = wait {
        answer
            .headers_mut()
            .insert(header::RETRY_AFTER, wait.as_secs().into());
    }
    answer
}

/// The page again, with what was wrong.
pub(super) fn refused(app: &App, code: StatusCode, problem: String) -> Response {
    (
        code,
        show(&form(app, String::new(), problem, String::new())),
    )
        .into_response()
}

/// The status, the words, and how long to wait.
pub(super) fn said(refused: &Refused) -> (StatusCode, String, Option<Duration>) {
    match refused {
        Refused::Wrong => {
            let text = "Name or password is wrong.".to_owned();
            (StatusCode::UNAUTHORIZED, text, None)
        }
        Refused::Wait(wait) => {
            let wait = Duration::from_secs(wait.as_secs_f64().ceil() as u64);
            let text = format!(
                "Too many attempts. Try again in {} seconds.",
                wait.as_secs()
            );
            (StatusCode::TOO_MANY_REQUESTS, text, Some(wait))
        }
        Refused::Busy => {
            let text = "apitap is busy: try again.".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, text, None)
        }
    }
}

/// `POST /logout`.
pub(super) async fn sign_out(State(app): Shared, who: Who) -> Response {
    if let Some(id) = who.session() {
        app.gate.sessions().close(&who.name, |s| s.id == id);
        gate::note(&app, asker(), "sign-in.ended", who.name.to_string());
    }
    let mut answer = Redirect::to("/login").into_response();
    set_cookie(&mut answer, &gate::cookie(&app, gate::SESSION, None));
    answer
}

pub(super) fn set_cookie(answer: &mut Response, cookie: &str) {
    // Made of letters of our own.
    if let Ok(value) = HeaderValue::from_str(cookie) {
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Where to go on: one of our own paths. `//host` and `/\host` are another's to a browser, and so may
/// be what hides them behind a control character.
pub(super) fn own_path(next: &str) -> &str {
    let mut letters = next.chars();
    let rooted = letters.next() == Some('/') && !matches!(letters.next(), Some('/' | '\\'));
    let plain = next.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    let signs = ["/login", "/logout"].iter().any(|p| next.starts_with(p));
    if rooted && plain && !signs { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        let own = [
            "/",
            "/alerts?status=open&q=a%20b",
            "/endpoints/GET%20x",
            "/a//b",
        ];
        assert!(own.iter().all(|path| own_path(path) == *path));
        let not = [
            "",
            "alerts",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "/\r\nset-cookie: a=b",
            " /x",
            "javascript:alert(1)",
            "/logout",
            "/login?next=/x",
            "/ü",
            "/x\\y",
        ];
        for path in not {
            assert_eq!(own_path(path), "/", "{path:?}");
        }
    }
}
