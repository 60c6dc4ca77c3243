//! Users: who signs in, and what each may. For admins.

use askama::Template;
use axum::Form;
use axum::extract::{self, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{Json, List, Path, ask, json, problem};
use super::decide::Refused;
use super::frame::{Frame, failed, show};
use super::routes::{App, Shared};
use super::who::Who;
use super::{Command, Role, gate, login};
use crate::access::{Accounts, Change, Hash, MIN_PASSWORD, Password, check_name};
use crate::time::Timestamp;

/// A user as the API has it. Their number is bounded.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub(super) struct Item {
    name: String,
    role: Role,
    disabled: bool,
    created: Timestamp,
    /// Open now.
    sessions: usize,
}

fn items(app: &App, accounts: &Accounts) -> Vec<Item> {
    let (sessions, now) = (app.gate.sessions(), app.gate.now());
    let item = |(name, user): (&String, &crate::access::User)| Item {
        name: name.clone(),
        role: user.role,
        disabled: user.disabled,
        created: user.created,
        sessions: sessions.of(now, name).len(),
    };
    accounts.users.iter().map(item).collect()
}

/// `GET /api/v1/users`.
pub(super) async fn list(State(app): Shared) -> Response {
    let items = items(&app, &app.views.accounts.load());
    json(&List::whole(items))
}

#[derive(Template)]
#[template(path = "users.html")]
struct Users {
    page: Frame,
    items: Vec<Item>,
    roles: [Role; 3],
    least: usize,
    sign_in: bool,
}

/// `GET /users`.
pub(super) async fn page(State(app): Shared, who: Who) -> Response {
    show(&Users {
        items: items(&app, &app.views.accounts.load()),
        roles: Role::ALL,
        least: MIN_PASSWORD,
        sign_in: app.settings.sign_in,
        page: Frame::new(&app, &who, "users"),
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    role: Role,
    password: String,
}

async fn hashed(app: &App, name: &str, password: String) -> Result<Hash, Refused> {
    let password = Password::new(password);
    password
        .check(name)
        .map_err(|why| (StatusCode::BAD_REQUEST, why))?;
    gate::hash(app, password).await.map_err(|refused| {
        let (code, why, _) = login::said(&refused);
        (code, why)
    })
}

async fn make(app: &App, change: Change) -> Result<(), Refused> {
    let command = |reply| Command::Account { change, reply };
    ask(app, StatusCode::CONFLICT, command).await
}

async fn add_user(
    app: &App,
    New {
        name,
        role,
        password,
    }: New,
) -> Result<(), Refused> {
    check_name(&name).map_err(|why| (StatusCode::BAD_REQUEST, why))?;
    let hash = hashed(app, &name, password).await?;
    make(app, Change::AddUser { name, role, hash }).await
}

/// What an action needs to know.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Detail {
    role: Option<Role>,
    password: Option<String>,
}

/// `role`, `password`, `disable`, `enable`, `remove`.
async fn change(app: &App, name: String, action: &str, detail: Detail) -> Result<(), Refused> {
    if !app.views.accounts.load().users.contains_key(&name) {
        return Err((StatusCode::NOT_FOUND, "there is no such user".into()));
    }
    let missing = |what: &str| (StatusCode::BAD_REQUEST, format!("say the `{what}`"));
    let change = match action {
        "role" => {
            let role = detail.role.ok_or_else(|| missing("role"))?;
            Change::SetRole { name, role }
        }
        "password" => {
            let password = detail.password.ok_or_else(|| missing("password"))?;
            let hash = hashed(app, &name, password).await?;
            Change::SetPassword { name, hash }
        }
        "disable" | "enable" => Change::SetDisabled {
            name,
            disabled: action == "disable",
        },
        "remove" => Change::RemoveUser { name },
        _ => return Err((StatusCode::NOT_FOUND, "there is no such action".into())),
    };
    make(app, change).await
}

/// `POST /api/v1/users`.
pub(super) async fn add(State(app): Shared, Json(new): Json<New>) -> Response {
    answer(&app, add_user(&app, new).await)
}

/// `POST /api/v1/users/{name}/{action}`.
pub(super) async fn act(
    State(app): Shared,
    Path((name, action)): Path<(String, String)>,
    Json(detail): Json<Detail>,
) -> Response {
    answer(&app, change(&app, name, &action, detail).await)
}

/// The users, as they are now.
fn answer(app: &App, done: Result<(), Refused>) -> Response {
    match done {
        Ok(()) => {
            let items = items(app, &app.views.accounts.load());
            json(&List::whole(items))
        }
        Err((code, why)) => problem(code, &why),
    }
}

#[derive(Deserialize)]
pub(super) struct NewForm {
    name: String,
    role: Role,
    password: String,
}

/// `POST /users`.
pub(super) async fn add_form(State(app): Shared, who: Who, Form(form): Form<NewForm>) -> Response {
    let new = New {
        name: form.name.trim().to_lowercase(),
        role: form.role,
        password: form.password,
    };
    back(&app, &who, add_user(&app, new).await)
}

#[derive(Deserialize)]
pub(super) struct ActForm {
    role: Option<Role>,
    password: Option<String>,
}

/// `POST /users/{name}/{action}`.
pub(super) async fn act_form(
    State(app): Shared,
    who: Who,
    extract::Path((name, action)): extract::Path<(String, String)>,
    Form(ActForm { role, password }): Form<ActForm>,
) -> Response {
    let done = change(&app, name, &action, Detail { role, password }).await;
    back(&app, &who, done)
}

fn back(app: &App, who: &Who, done: Result<(), Refused>) -> Response {
    match done {
        Ok(()) => Redirect::to("/users").into_response(),
        Err((code, why)) => failed(app, who, code, "Nothing was changed", &why),
    }
}
