//! Uploads: a document is read and judged before anything is changed; errors are told with line,
//! column and the mend. A person sees what would change, then puts it to use; a program may ask for
//! both at once. What was checked waits on a small desk, so that it is not sent twice.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::api::extract::Document;
use super::api::problem::Problem;
use super::api::{Json, Path, Query, ask, json, problem, remark};
use super::decide::Refused;
use super::routes::{App, Shared};
use super::who::Who;
use super::{Command, NewSpec};
use crate::access::Secret;
use crate::catalog::spec::{self, SpecError, SpecSet};
use crate::catalog::{Preview, SpecChange, preview};

/// Bytes of one document. The largest public ones are some ten megabytes.
pub(super) const MAX_UPLOAD: usize = 16 << 20;
/// Documents that were checked and wait to be put to use, and for how long they do.
const DESK: usize = 4;
const WAITS: Duration = Duration::from_secs(15 * 60);
/// Hosts that one document is bound to, and characters of a name.
const MAX_HOSTS: usize = 64;
const MAX_NAME: usize = 100;
const MAX_HOST: usize = 253;

/// Of all uploads.
pub(super) struct Desk {
    drafts: Mutex<VecDeque<Arc<Draft>>>,
    /// One document is read at a time: a hostile one costs much memory before it is refused.
    reading: Arc<Semaphore>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            drafts: Mutex::default(),
            reading: Arc::new(Semaphore::new(1)),
        }
    }
}

/// A document that was read, and what it would change.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) token: String,
    by: Arc<str>,
    at: Instant,
    pub(super) new: NewSpec,
    pub(super) about: About,
}

/// What a document is, and would do.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "SpecAbout")]
pub(super) struct About {
    pub(super) title: String,
    pub(super) version: String,
    pub(super) format: String,
    pub(super) operations: usize,
    /// Hosts and base paths that it would own.
    pub(super) scope: Vec<String>,
    /// What in it could not be read.
    pub(super) notes: Vec<String>,
    pub(super) preview: Preview,
}

impl Desk {
    fn lay(&self, draft: Draft) -> Arc<Draft> {
        let draft = Arc::new(draft);
        let mut drafts = self.drafts.lock().unwrap_or_else(PoisonError::into_inner);
        drafts.retain(|d| d.at.elapsed() < WAITS);
        drafts.truncate(DESK - 1);
        drafts.push_front(draft.clone());
        draft
    }

    /// Only whoever had it checked may put it to use.
    pub(super) fn take(&self, token: &str, by: &str) -> Option<Arc<Draft>> {
        let mut drafts = self.drafts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |d: &Arc<Draft>| {
            !token.is_empty() && d.token == token && &*d.by == by && d.at.elapsed() < WAITS
        };
        let at = drafts.iter().position(is_it)?;
        drafts.remove(at)
    }
}

/// Why a document is not taken.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    pub(super) line: Option<usize>,
    /// In characters, from 1.
    pub(super) column: Option<usize>,
    pub(super) reason: String,
    pub(super) mend: &'static str,
}

impl From<SpecError> for Wrong {
    fn from(e: SpecError) -> Self {
        Self {
            line: e.line.filter(|l| *l > 0),
            column: e.column.filter(|c| *c > 0),
            reason: e.reason,
            mend: e.mend,
        }
    }
}

#[derive(Debug)]
pub(super) enum No {
    /// The text is wrong.
    Text(Wrong),
    /// What came with it is.
    Else(StatusCode, String),
}

/// What came with a text, as people say it.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) replaces: String,
    pub(super) name: String,
    /// Between commas or spaces.
    pub(super) hosts: String,
    pub(super) note: String,
}

/// Printable, without a path: it is shown, and stands before reasons in messages.
fn name(said: &str, is_json: bool) -> String {
    let last = said.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = last.chars().filter(|c| !c.is_control()).take(MAX_NAME);
    match plain.collect::<String>().trim() {
        "" if is_json => "openapi.json".into(),
        "" => "openapi.yaml".into(),
        name => name.to_owned(),
    }
}

fn hosts(said: &str) -> Result<Vec<String>, String> {
    let split = said.split([',', ' ', '\n', '\r', '\t']);
    let all: Vec<String> = split
        .filter(|h| !h.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let is_legal = |c: char| c.is_ascii_alphanumeric() || ".*-_:[]".contains(c);
    let wrong = all
        .iter()
        .find(|h| h.len() > MAX_HOST || !h.chars().all(is_legal));
    match wrong {
        Some(host) => Err(format!(
            "`{}` is no host: write api.example.com or *.example.com",
            host.chars().take(MAX_NAME).collect::<String>()
        )),
        None if all.len() > MAX_HOSTS => Err(format!("at most {MAX_HOSTS} hosts")),
        None => Ok(all),
    }
}

/// Reads a document and tells what it would change; nothing is changed.
pub(super) async fn check(
    app: &Arc<App>,
    who: &Who,
    said: &Said,
    text: Arc<str>,
) -> Result<Arc<Draft>, No> {
    let bad = |why: String| No::Else(StatusCode::BAD_REQUEST, why);
    if text.trim().is_empty() {
        return Err(bad("there is no text: choose a file, or paste one".into()));
    }
    let is_json = text.trim_start().starts_with(['{', '[']);
    let new = NewSpec {
        replaces: Some(said.replaces.clone()).filter(|r| !r.is_empty()),
        name: name(&said.name, is_json),
        hosts: hosts(&said.hosts).map_err(bad)?,
        is_json,
        text,
        note: remark(Some(said.note.clone())),
    };
    let busy = |_| {
        No::Else(
            StatusCode::SERVICE_UNAVAILABLE,
            "another document is being read: try again".into(),
        )
    };
    let permit = app.desk.reading.clone().try_acquire_owned();
    let permit = permit.map_err(busy)?;
    let catalog = app.views.catalog.load_full();
    let work = tokio::task::spawn_blocking(move || {
        // Held until it is read, whether or not anybody still waits.
        let _permit = permit;
        let mut spec = spec::parse(&new.name, &new.text)?;
        spec.bind(&new.hosts);
        let id = new.replaces.clone().unwrap_or_else(|| "new".into());
        spec.id = id.as_str().into();
        let (title, version) = (spec.title.clone(), spec.version.clone());
        let (format, notes) = (spec.format.clone(), spec.notes.clone());
        let (operations, scope) = (spec.operations, spec.scope());
        let others = catalog.documents.specs().iter();
        let mut all: Vec<_> = others.filter(|s| *s.id != *id).cloned().collect();
        all.push(spec);
        let about = About {
            title,
            version,
            format,
            operations,
            scope,
            notes,
            preview: preview(&catalog, &SpecSet::new(all), &id),
        };
        Ok::<_, SpecError>((new, about))
    });
    let done = work.await;
    let failed = |_| {
        No::Else(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the document could not be read".into(),
        )
    };
    let (new, about) = done.map_err(failed)?.map_err(|e| No::Text(e.into()))?;
    let draft = Draft {
        token: Secret::random().map_or_else(|_| String::new(), |s| s.reveal().into()),
        by: who.name.clone(),
        at: Instant::now(),
        new,
        about,
    };
    Ok(app.desk.lay(draft))
}

/// Asks the single writer; answered once the inventory is judged by it.
pub(super) async fn put(app: &App, who: &Who, draft: &Draft) -> Result<SpecChange, Refused> {
    let (wanted, by) = (Box::new(draft.new.clone()), who.name.to_string());
    let command = |reply| Command::PutSpec { wanted, by, reply };
    ask(app, StatusCode::CONFLICT, command).await
}

pub(super) async fn take_away(
    app: &App,
    who: &Who,
    id: String,
    note: Option<String>,
) -> Result<SpecChange, Refused> {
    let (by, note) = (who.name.to_string(), remark(note));
    let command = |reply| Command::RemoveSpec {
        id,
        by,
        note,
        reply,
    };
    ask(app, StatusCode::CONFLICT, command).await
}

#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub(super) struct Options {
    /// What its owner calls the file.
    name: String,
    /// Hosts that it is about, between commas, where its servers do not say; `*` stands for a label.
    hosts: String,
    /// Why, for the audit.
    note: String,
    /// Tells what would change, and changes nothing.
    dry_run: bool,
}

/// What a document is and changes, and the change where it was made.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "SpecUpload")]
pub(super) struct Put {
    #[serde(flatten)]
    about: About,
    /// Absent where nothing was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<SpecChange>,
}

/// 422, with what is wrong in the text.
fn wrong_text(wrong: &Wrong) -> Response {
    Problem::in_text((wrong.line, wrong.column), &wrong.reason, wrong.mend).into_response()
}

async fn send(
    app: &Arc<App>,
    who: &Who,
    (replaces, options): (String, Options),
    text: Arc<str>,
) -> Response {
    let said = Said {
        replaces,
        name: options.name,
        hosts: options.hosts,
        note: options.note,
    };
    let draft = match check(app, who, &said, text).await {
        Ok(draft) => draft,
        Err(No::Text(wrong)) => return wrong_text(&wrong),
        Err(No::Else(code, why)) => return problem(code, &why),
    };
    // Taken off the desk: it is put to use now, or never.
    let _ = app.desk.take(&draft.token, &who.name);
    let about = draft.about.clone();
    if options.dry_run {
        return json(&Put {
            about,
            change: None,
        });
    }
    match put(app, who, &draft).await {
        Ok(change) => json(&Put {
            about,
            change: Some(change),
        }),
        Err((code, why)) => problem(code, &why),
    }
}

/// `POST /api/v1/specs`: the document itself is the body.
pub(super) async fn add(
    State(app): Shared,
    who: Who,
    Query(options): Query<Options>,
    Document(text): Document,
) -> Response {
    send(&app, &who, (String::new(), options), text).await
}

/// `POST /api/v1/specs/{id}`: a new version of an upload.
pub(super) async fn replace(
    State(app): Shared,
    who: Who,
    Path(id): Path<String>,
    Query(mut options): Query<Options>,
    Document(text): Document,
) -> Response {
    let specs = app.views.specs.load_full();
    let current = super::specs::upload(&specs, &id).and_then(|u| u.current());
    let Some((_, version)) = current else {
        return no_upload(&app, &id);
    };
    // What is not said stays.
    if options.name.is_empty() {
        options.name.clone_from(&version.name);
    }
    if options.hosts.is_empty() {
        options.hosts = version.hosts.join(",");
    }
    send(&app, &who, (id, options), text).await
}

/// Why a document is taken away.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Why {
    note: Option<String>,
}

/// `POST /api/v1/specs/{id}/remove`.
pub(super) async fn remove(
    State(app): Shared,
    who: Who,
    Path(id): Path<String>,
    Json(why): Json<Why>,
) -> Response {
    if super::specs::upload(&app.views.specs.load(), &id).is_none() {
        return no_upload(&app, &id);
    }
    match take_away(&app, &who, id, why.note).await {
        Ok(change) => json(&change),
        Err((code, why)) => problem(code, &why),
    }
}

fn no_upload(app: &App, id: &str) -> Response {
    match app.views.catalog.load().documents.by_id(id) {
        Some(_) => problem(
            StatusCode::CONFLICT,
            "the config names this document: change the file, or catalog.specs",
        ),
        None => super::specs::nothing(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_hosts_are_plain() {
        assert_eq!(name("C:\\specs\\shop.yaml", false), "shop.yaml");
        assert_eq!(name("../../etc/\u{7}passwd", false), "passwd");
        assert_eq!(name("  ", true), "openapi.json");
        assert_eq!(name(&"x".repeat(1_000), true).len(), MAX_NAME);
        let all = hosts("A.example, *.b.example\n[::1]:8080").unwrap();
        assert_eq!(all, ["a.example", "*.b.example", "[::1]:8080"]);
        assert!(hosts("a.example/<x>").unwrap_err().contains("is no host"));
        assert!(hosts(&"a.b ".repeat(MAX_HOSTS + 1)).is_err());
    }

    #[test]
    fn the_desk_is_small_and_everyone_has_their_own() {
        let desk = Desk::default();
        let draft = |token: &str| Draft {
            token: token.into(),
            by: "ann".into(),
            at: Instant::now(),
            new: NewSpec {
                replaces: None,
                name: String::new(),
                hosts: Vec::new(),
                is_json: true,
                text: "".into(),
                note: None,
            },
            about: About {
                title: String::new(),
                version: String::new(),
                format: String::new(),
                operations: 0,
                scope: Vec::new(),
                notes: Vec::new(),
                preview: Preview::default(),
            },
        };
        for n in 0..=DESK {
            desk.lay(draft(&n.to_string()));
        }
        assert!(desk.take("0", "ann").is_none(), "the oldest made room");
        assert!(desk.take("1", "bob").is_none());
        assert!(desk.take("1", "ann").is_some());
        assert!(desk.take("1", "ann").is_none(), "once");
    }
}
