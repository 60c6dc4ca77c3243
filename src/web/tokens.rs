//! API tokens: what programs come in with. Shown once, kept as a hash. For admins.

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::{self, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::api::{Json, List, Nothing, Path, ask, json, problem};
use super::decide::Refused;
use super::frame::{Frame, failed, show};
use super::routes::{App, Shared};
use super::who::Who;
use super::{Command, Role};
use crate::access::{Accounts, Change, Secret, Token};
use crate::alert::wall;
use crate::time::Timestamp;

/// For how long a token of the page is good, in days; 0: it does not expire.
const SPANS: [(&str, &str); 5] = [
    ("30", "30 days"),
    ("90", "90 days"),
    ("180", "180 days"),
    ("365", "a year"),
    ("0", "no end"),
];

/// A token as the API has it: never the secret. Their number is bounded.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Token")]
pub(super) struct Item {
    id: String,
    name: String,
    role: Role,
    created: Timestamp,
    by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    /// To the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<Timestamp>,
    expired: bool,
}

fn items(accounts: &Accounts) -> Vec<Item> {
    let now = wall();
    let item = |(id, token): (&String, &Token)| Item {
        id: id.clone(),
        name: token.name.clone(),
        role: token.role,
        created: token.created,
        by: token.by.clone(),
        expires: token.expires,
        used: token.used,
        expired: token.is_expired(now),
    };
    let mut items: Vec<Item> = accounts.tokens.iter().map(item).collect();
    items.sort_by(|a, b| a.name.cmp(&b.name));
    items
}

/// `GET /api/v1/tokens`.
pub(super) async fn list(State(app): Shared) -> Response {
    let items = items(&app.views.accounts.load());
    json(&List::whole(items))
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct Tokens {
    page: Frame,
    items: Vec<Item>,
    roles: [Role; 3],
    spans: &'static [(&'static str, &'static str)],
    sign_in: bool,
    /// The one that was just made: its name, and itself, this once.
    made: Option<(String, Secret)>,
}

fn tokens(app: &App, who: &Who, made: Option<(String, Secret)>) -> Tokens {
    Tokens {
        items: items(&app.views.accounts.load()),
        roles: Role::ALL,
        spans: &SPANS,
        sign_in: app.settings.sign_in,
        made,
        page: Frame::new(app, who, "tokens"),
    }
}

/// `GET /tokens`.
pub(super) async fn page(State(app): Shared, who: Who) -> Response {
    show(&tokens(&app, &who, None))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    role: Role,
    /// Seconds of the epoch; `null`: never. Where it is not said, 90 days from now.
    #[serde(default, deserialize_with = "said")]
    #[schemars(with = "Option<f64>")]
    expires: Option<Option<f64>>,
}

/// `null` is something that was said.
fn said<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<f64>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Days that a token is good for where nothing is said.
const DAYS: u64 = 90;

/// When a token ends by what was said of it; `None`: never.
fn end(expires: Option<Option<f64>>) -> Option<Timestamp> {
    match expires {
        None => Some(in_days(DAYS)),
        Some(said) => said
            .filter(|at| at.is_finite())
            .map(Timestamp::from_secs_f64),
    }
}

fn in_days(days: u64) -> Timestamp {
    wall() + Duration::from_secs(days * 86_400)
}

/// The answer to a new token; the only one that has the secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewToken")]
pub(super) struct Made<'a> {
    id: &'a str,
    name: &'a str,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    token: &'a str,
}

async fn make(
    app: &App,
    who: &Who,
    name: &str,
    role: Role,
    expires: Option<Timestamp>,
) -> Result<Secret, Refused> {
    let secret = Secret::token().map_err(|why| (StatusCode::SERVICE_UNAVAILABLE, why))?;
    let change = Change::AddToken {
        name: name.to_owned(),
        role,
        digest: secret.digest(),
        expires,
        by: who.name.to_string(),
    };
    let command = |reply| Command::Account { change, reply };
    ask(app, StatusCode::CONFLICT, command).await?;
    Ok(secret)
}

async fn revoke_one(app: &App, id: String) -> Result<(), Refused> {
    let accounts = app.views.accounts.load();
    let Some(token) = accounts.tokens.get(&id) else {
        return Err((StatusCode::NOT_FOUND, "there is no such token".into()));
    };
    // By its name, which the audit is to have.
    let id = token.name.clone();
    let change = Change::RevokeToken { id };
    let command = |reply| Command::Account { change, reply };
    ask(app, StatusCode::CONFLICT, command).await
}

/// `POST /api/v1/tokens`.
pub(super) async fn add(State(app): Shared, who: Who, Json(new): Json<New>) -> Response {
    let New {
        name,
        role,
        expires,
    } = new;
    let expires = end(expires);
    match make(&app, &who, &name, role, expires).await {
        Ok(secret) => json(&Made {
            id: secret.digest().short(),
            name: &name,
            role,
            expires,
            token: secret.reveal(),
        }),
        Err((code, why)) => problem(code, &why),
    }
}

/// `POST /api/v1/tokens/{id}/revoke`.
pub(super) async fn revoke(
    State(app): Shared,
    Path(id): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Response {
    match revoke_one(&app, id).await {
        Ok(()) => list(State(app)).await,
        Err((code, why)) => problem(code, &why),
    }
}

#[derive(Deserialize)]
pub(super) struct NewForm {
    name: String,
    role: Role,
    days: String,
}

/// `POST /tokens`: answers the page with the token on it.
pub(super) async fn add_form(State(app): Shared, who: Who, Form(form): Form<NewForm>) -> Response {
    let span = SPANS.iter().find(|(days, _)| *days == form.days);
    let Some(days) = span.and_then(|(days, _)| days.parse::<u64>().ok()) else {
        let title = "Nothing was changed";
        return failed(
            &app,
            &who,
            StatusCode::BAD_REQUEST,
            title,
            "Say how long it is good for.",
        );
    };
    let expires = (days > 0).then(|| in_days(days));
    let name = form.name.trim().to_lowercase();
    match make(&app, &who, &name, form.role, expires).await {
        Ok(secret) => show(&tokens(&app, &who, Some((name, secret)))),
        Err((code, why)) => failed(&app, &who, code, "Nothing was changed", &why),
    }
}

/// `POST /tokens/{id}/revoke`.
pub(super) async fn revoke_form(
    State(app): Shared,
    who: Who,
    extract::Path(id): extract::Path<String>,
) -> Response {
    match revoke_one(&app, id).await {
        Ok(()) => Redirect::to("/tokens").into_response(),
        Err((code, why)) => failed(&app, &who, code, "Nothing was changed", &why),
    }
}

#[cfg(test)]
mod tests {
    use super::super::api::shape::input;
    use super::*;

    #[test]
    fn a_token_of_which_nothing_is_said_is_good_for_90_days() {
        let end = |text: &str| end(serde_json::from_str::<New>(text).unwrap().expires);
        let unsaid = end(r#"{"name": "ci", "role": "viewer"}"#).unwrap();
        let days = unsaid.since(wall()).as_secs_f64() / 86_400.0;
        assert!((89.9..90.1).contains(&days), "{days}");
        assert_eq!(
            end(r#"{"name": "ci", "role": "viewer", "expires": null}"#),
            None
        );
        let said = end(r#"{"name": "ci", "role": "viewer", "expires": 1893456000}"#);
        assert_eq!(said, Some(Timestamp::from_secs(1_893_456_000)));
        let schema = input(schemars::SchemaGenerator::subschema_for::<New>);
        assert_eq!(schema["required"], serde_json::json!(["name", "role"]));
    }
}
