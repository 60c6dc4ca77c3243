//! One's own account: who one is, a new password, and one's sessions.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{Json, ask, json, problem};
use super::decide::Refused;
use super::frame::{Frame, failed, show};
use super::routes::{App, Shared};
use super::who::{Way, Who, asker};
use super::{Command, gate, login};
use crate::access::{Change, MIN_PASSWORD, Password};

/// A session as its owner sees it.
struct Row {
    id: String,
    is_this: bool,
    from: String,
    agent: String,
    method: &'static str,
    opened: String,
    idle: String,
}

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    page: Frame,
    /// Whether there is an account: where there is no sign-in, or with a token, there is none.
    has_one: bool,
    has_password: bool,
    sessions: Vec<Row>,
    least: usize,
    /// What the last form did, and what was wrong with it.
    done: &'static str,
    problem: String,
}

/// `GET /account`.
pub(super) async fn page(State(app): Shared, who: Who) -> Response {
    show(&account(&app, &who, "", String::new()))
}

fn account(app: &App, who: &Who, done: &'static str, problem: String) -> Account {
    let now = app.gate.now();
    let mine = who
        .session()
        .map(|_| app.gate.sessions().of(now, &who.name));
    let mine = mine.unwrap_or_default();
    let this = |id: &str| who.session() == Some(id);
    Account {
        has_one: who.session().is_some(),
        has_password: mine.iter().any(|s| this(&s.id) && s.hash.is_some()),
        sessions: mine
            .into_iter()
            .map(|s| Row {
                is_this: this(&s.id),
                idle: ago(s.idle(now).as_secs()),
                opened: s.opened.to_string(),
                id: s.id,
                from: s.from,
                agent: s.agent,
                method: s.method,
            })
            .collect(),
        least: MIN_PASSWORD,
        done,
        problem,
        page: Frame::new(app, who, "account"),
    }
}

fn ago(secs: u64) -> String {
    match secs {
        0..60 => "now".into(),
        60..3_600 => format!("{} min ago", secs / 60),
        _ => format!("{} h ago", secs / 3_600),
    }
}

#[derive(Deserialize)]
pub(super) struct PasswordForm {
    current: String,
    new: String,
    again: String,
}

/// `POST /account/password`.
pub(super) async fn password(
    State(app): Shared,
    who: Who,
    Form(form): Form<PasswordForm>,
) -> Response {
    let done = if form.new == form.again {
        renew(&app, &who, form.current, form.new).await
    } else {
        Err((StatusCode::BAD_REQUEST, "The two new ones differ.".into()))
    };
    match done {
        Ok(()) => {
            let said = "Your password is changed, and your other sessions have ended.";
            show(&account(&app, &who, said, String::new()))
        }
        Err((code, why)) => (code, show(&account(&app, &who, "", why))).into_response(),
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    current: String,
    new: String,
}

/// `POST /api/v1/me/password`.
pub(super) async fn password_json(
    State(app): Shared,
    who: Who,
    Json(NewPassword { current, new }): Json<NewPassword>,
) -> Response {
    match renew(&app, &who, current, new).await {
        Ok(()) => me(State(app), who).await,
        Err((code, why)) => problem(code, &why),
    }
}

/// Sets a new password; this session goes on, the others of the name end.
async fn renew(app: &App, who: &Who, current: String, new: String) -> Result<(), Refused> {
    let conflict = |why: &str| (StatusCode::CONFLICT, why.to_owned());
    let Some(id) = who.session() else {
        return Err(conflict("Only who has signed in has a password."));
    };
    let new = Password::new(new);
    new.check(&who.name)
        .map_err(|why| (StatusCode::BAD_REQUEST, why))?;
    gate::prove(app, who, Password::new(current))
        .await
        .map_err(|refused| match refused {
            gate::Refused::Wrong => {
                let why = "The current password is wrong.";
                (StatusCode::FORBIDDEN, why.to_owned())
            }
            refused => {
                let (code, why, _) = login::said(&refused);
                (code, why)
            }
        })?;
    let hash = gate::hash(app, new).await.map_err(|refused| {
        let (code, why, _) = login::said(&refused);
        (code, why)
    })?;
    let change = Change::SetPassword {
        name: who.name.to_string(),
        hash: hash.clone(),
    };
    let command = |reply| Command::Account { change, reply };
    ask(app, StatusCode::CONFLICT, command).await?;
    app.gate.sessions().renew(&who.name, id, &hash);
    Ok(())
}

/// `POST /account/sessions/{id}/end`.
pub(super) async fn end(State(app): Shared, who: Who, Path(id): Path<String>) -> Response {
    if who.session() == Some(&id) {
        return login::sign_out(State(app), who).await;
    }
    let ended = app.gate.sessions().close(&who.name, |s| s.id == id);
    if ended == 0 {
        let (title, text) = ("This session has ended already", "Nothing was changed.");
        return failed(&app, &who, StatusCode::NOT_FOUND, title, text);
    }
    gate::note(&app, asker(), "sign-in.ended", who.name.to_string());
    Redirect::to("/account").into_response()
}

/// `POST /account/sessions/end`: everywhere, here too.
pub(super) async fn end_all(State(app): Shared, who: Who) -> Response {
    if who.session().is_some() {
        app.gate
            .sessions()
            .close(&who.name, |s| who.session() != Some(&s.id));
    }
    login::sign_out(State(app), who).await
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Me")]
pub(super) struct Me<'a> {
    name: &'a str,
    role: &'static str,
    /// `session`, `token`, or `none` where there is no sign-in.
    by: &'static str,
    /// What a change from a page of this session carries as `X-CSRF-Token`.
    #[serde(skip_serializing_if = "str::is_empty")]
    csrf: &'a str,
}

/// `GET /api/v1/me`.
pub(super) async fn me(State(_): Shared, who: Who) -> Response {
    json(&Me {
        name: &who.name,
        role: who.role.name(),
        by: match who.way {
            Way::Session(_) => "session",
            Way::Token(_) => "token",
            Way::Local | Way::Nobody => "none",
        },
        csrf: if who.session().is_some() {
            &who.csrf
        } else {
            ""
        },
    })
}
