//! The gate: finds who is behind a cookie or a token, and signs people in and out.
//!
//! Sessions are in memory: after a restart everybody signs in again. An account that was changed,
//! by whomever, holds from the next request on.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, header};
use tokio::sync::Semaphore;

use super::reply::{asked, quiet};
use super::routes::App;
use super::who::{Way, Who, asker};
use super::{Command, DoorView, Role};
use crate::access::{
    By, Change, Hash, Limits, Opening, Outcome, Password, Secret, Session, Sessions, Tally, Times,
    User,
};
use crate::alert::wall;
use crate::time::Timestamp;

/// Passwords hashed at once: each takes 19 MiB and a core.
const HASHERS: usize = 2;

/// How long a sign-in waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// When a token was used is written this often at most.
const USE: Duration = Duration::from_secs(60);

/// Where somebody is whose address is not known.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Characters of a name that are looked at.
const NAME: usize = 64;

pub(super) struct Gate {
    started: Instant,
    /// Of forms where there is no sign-in. Made anew at each start: forms of an older page must be
    /// loaded again.
    csrf: Arc<str>,
    sessions: Mutex<Sessions>,
    limits: Mutex<Limits>,
    hashers: Semaphore,
    pub(super) tally: Tally,
    /// When the use of each token was last told.
    told: Mutex<BTreeMap<Arc<str>, Timestamp>>,
}

/// Why somebody was not let in.
pub(super) enum Refused {
    /// Name or password; it is not said which.
    Wrong,
    /// Too many attempts: try again after so long.
    Wait(Duration),
    Busy,
}

impl Refused {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Wrong => Outcome::Failed,
            Self::Wait(_) => Outcome::Limited,
            Self::Busy => Outcome::Busy,
        }
    }
}

impl Gate {
    pub(super) fn new(times: Times) -> Self {
        // Without randomness no form is taken, and nobody signs in.
        let csrf = Secret::random().map_or_else(|_| "".into(), |s| s.reveal().into());
        Self {
            started: Instant::now(),
            csrf,
            sessions: Mutex::new(Sessions::new(times)),
            limits: Mutex::default(),
            hashers: Semaphore::new(HASHERS),
            tally: Tally::default(),
            told: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// What metrics say of it.
    pub(super) fn view(&self) -> DoorView {
        DoorView {
            sign_ins: self.tally.sign_ins().collect(),
            refused_tokens: self.tally.refused_tokens(),
            sessions: self.sessions().count(self.now()),
        }
    }

    pub(super) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        hold(&self.sessions)
    }
}

fn hold<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whom the headers show. `Err` says why a token is none; a cookie that opens nothing is as good as
/// no cookie.
pub(super) fn somebody(app: &App, headers: &HeaderMap, path: &str) -> Result<Who, &'static str> {
    if !app.settings.sign_in {
        return Ok(local(app, path));
    }
    if let Some(sent) = headers.get(header::AUTHORIZATION) {
        return by_token(app, sent).inspect_err(|_| app.gate.tally.refused_token());
    }
    Ok(by_cookie(app, headers).unwrap_or_default())
}

/// On loopback whoever reaches us is the one who runs us.
fn local(app: &App, path: &str) -> Who {
    let name = if path.starts_with("/api/") {
        "api"
    } else {
        "web"
    };
    Who {
        name: name.into(),
        role: Role::Admin,
        csrf: app.gate.csrf.clone(),
        way: Way::Local,
    }
}

fn by_token(app: &App, sent: &HeaderValue) -> Result<Who, &'static str> {
    let sent = sent.to_str().ok().and_then(|text| text.split_once(' '));
    let shown = match sent {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err("send `Authorization: Bearer` and an API token"),
    };
    let (now, accounts) = (wall(), app.views.accounts.load());
    let Some((id, token)) = accounts.token(shown, now) else {
        return Err("this API token is not known, or has expired, or was revoked");
    };
    let id: Arc<str> = id.as_str().into();
    tell_use(app, &id, token.used, now);
    Ok(Who {
        name: format!("token {}", token.name).into(),
        role: token.role,
        // No form is a program's.
        csrf: "".into(),
        way: Way::Token(id),
    })
}

fn tell_use(app: &App, id: &Arc<str>, known: Option<Timestamp>, now: Timestamp) {
    let mut told = hold(&app.gate.told);
    let last = told.get(id).copied().max(known).unwrap_or(Timestamp::MIN);
    if last > Timestamp::MIN && now.since(last) < USE {
        return;
    }
    told.insert(id.clone(), now);
    let change = Change::Used([(id.to_string(), now)].into());
    let command = quiet(&app.audit, |reply| Command::Account { change, reply });
    // Not told now, told with a later use.
    let _ = app.commands.try_send(command);
}

/// `__Host-`: by TLS alone, of this host alone, for all its paths.
fn cookie_name(app: &App, of: &str) -> String {
    let prefix = if app.settings.is_tls() { "__Host-" } else { "" };
    format!("{prefix}{of}")
}

/// The session's cookie.
pub(super) const SESSION: &str = "apitap";

/// The header that gives a browser its session, or takes it away.
pub(super) fn cookie(app: &App, of: &str, secret: Option<&Secret>) -> String {
    let name = cookie_name(app, of);
    let secure = if app.settings.is_tls() {
        "; Secure"
    } else {
        ""
    };
    let (value, end) = match secret {
        Some(secret) => (secret.reveal(), ""),
        None => ("", "; Max-Age=0"),
    };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{end}")
}

pub(super) fn sent_cookie<'a>(app: &App, of: &str, headers: &'a HeaderMap) -> Option<&'a str> {
    let name = cookie_name(app, of);
    let all = headers.get_all(header::COOKIE).into_iter();
    let mut pairs = all
        .filter_map(|v| v.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(n, _)| *n == name).map(|(_, value)| value)
}

fn by_cookie(app: &App, headers: &HeaderMap) -> Option<Who> {
    let cookie = sent_cookie(app, SESSION, headers)?;
    let mode = headers.get("sec-fetch-mode").map(HeaderValue::as_bytes);
    // A page that refreshes itself keeps nobody signed in; clients that do not say are people's.
    let used = mode.is_none_or(|mode| mode == b"navigate");
    let session = app.gate.sessions().find(app.gate.now(), cookie, used)?;
    Some(Who {
        role: role(app, &session)?,
        csrf: session.csrf,
        way: Way::Session(session.id.into()),
        name: session.name,
    })
}

/// What a session's owner may now; `None`: no longer anything.
fn role(app: &App, session: &Session) -> Option<Role> {
    let Some(hash) = &session.hash else {
        return Some(session.role);
    };
    let accounts = app.views.accounts.load();
    let user = accounts.enabled(&session.name)?;
    (user.hash == *hash).then_some(user.role)
}

/// Whether somebody who was let in still would be.
pub(super) fn is_still(app: &App, who: &Who) -> bool {
    match &who.way {
        Way::Nobody => false,
        Way::Local => true,
        Way::Token(id) => {
            let accounts = app.views.accounts.load();
            let token = accounts.tokens.get(id.as_ref());
            token.is_some_and(|t| !t.is_expired(wall()))
        }
        Way::Session(id) => {
            let mine = app.gate.sessions().of(app.gate.now(), &who.name);
            let session = mine.iter().find(|s| s.id == id.as_ref());
            session.is_some_and(|s| role(app, s).is_some())
        }
    }
}

/// What somebody typed, and in which browser.
pub(super) struct Attempt {
    pub(super) name: String,
    pub(super) password: Password,
    pub(super) agent: String,
}

/// By name and password.
pub(super) async fn sign_in(app: &App, attempt: Attempt) -> Result<Secret, Refused> {
    let typed = attempt.name.trim().to_lowercase();
    let name: String = typed.chars().take(NAME).collect();
    let by = By {
        name: "nobody".into(),
        role: None,
        ..asker()
    };
    let from = by.from.clone();
    let user = check(app, by, &name, attempt.password).await?;
    let opening = Opening {
        name: name.into(),
        role: user.role,
        method: "password",
        hash: Some(user.hash),
        from,
        agent: attempt.agent,
        at: wall(),
    };
    open(app, opening)
}

/// Whose password it is. The same work is done, and the same said, whether or not the name exists.
async fn check(app: &App, by: By, name: &str, password: Password) -> Result<User, Refused> {
    let found = within_limits(app, by, name, password).await;
    found.inspect_err(|refused| app.gate.tally.sign_in("password", refused.outcome()))
}

async fn within_limits(app: &App, by: By, name: &str, password: Password) -> Result<User, Refused> {
    let from = by.from.parse().unwrap_or(NOWHERE);
    let limited = hold(&app.gate.limits).attempt(app.gate.now(), from, name);
    limited.map_err(Refused::Wait)?;
    let user = app.views.accounts.load().enabled(name).cloned();
    let hash = user.as_ref().map(|user| user.hash.clone());
    // Off the threads that answer, a few at once.
    let right = work(app, move || password.is(hash.as_ref())).await?;
    let Some(user) = user.filter(|_| right) else {
        // What is typed in the wrong place may be a password: only names that exist are recorded.
        let known = app.views.accounts.load().users.contains_key(name);
        let object = if known { name } else { "" };
        note(app, by, "sign-in.failed", object.to_owned());
        return Err(Refused::Wrong);
    };
    hold(&app.gate.limits).succeeded(from, name);
    Ok(user)
}

/// Whoever was found to be somebody, by whatever way: the secret of the new session.
pub(super) fn open(app: &App, opening: Opening) -> Result<Secret, Refused> {
    let by = By {
        name: opening.name.clone(),
        role: Some(opening.role),
        from: opening.from.clone(),
    };
    let (name, method) = (opening.name.to_string(), opening.method);
    let opened = app.gate.sessions().open(app.gate.now(), opening);
    let opened = opened.map_err(|_| Refused::Busy);
    let outcome = opened.as_ref().map_or(Outcome::Busy, |_| Outcome::Done);
    app.gate.tally.sign_in(method, outcome);
    let secret = opened?;
    note(app, by, "sign-in.done", name);
    Ok(secret)
}

/// Whether somebody who is in knows the password: a session that was left open does not. Limited
/// like a sign-in.
pub(super) async fn prove(app: &App, who: &Who, password: Password) -> Result<(), Refused> {
    check(app, asker(), &who.name, password).await.map(drop)
}

pub(super) async fn hash(app: &App, password: Password) -> Result<Hash, Refused> {
    let hashed = work(app, move || password.hash()).await?;
    hashed.map_err(|_| Refused::Busy)
}

async fn work<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    let turn = tokio::time::timeout(TURN, app.gate.hashers.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        return Err(Refused::Busy);
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Refused::Busy)
}

/// Into the audit, without waiting: with a full disk one must still get in to see it.
pub(super) fn note(app: &App, by: By, action: &'static str, object: String) {
    let (command, _) = asked(&app.audit, by, |reply| Command::Note {
        action,
        object,
        note: String::new(),
        reply,
    });
    if app.commands.try_send(command).is_err() {
        tracing::warn!(action, "the audit lacks a line: the analysis is behind");
    }
}
