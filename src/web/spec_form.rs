//! The pages of an upload: a form, what is wrong with the text beside the text, what would change,
//! and the button that changes it. All of it works without script.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Multipart, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::filters;
use super::frame::{Frame, failed, missing, show};
use super::life::stale;
use super::routes::{App, Shared};
use super::spec_upload::{self, Draft, MAX_UPLOAD, No, Said, Wrong};
use super::specs::upload;
use super::who::Who;
use crate::catalog::Several;

/// Characters of a text that is shown to be mended in place; a longer one is mended in its file.
const EDITABLE: usize = 100_000;
/// Lines around an error, and characters of each around its column.
const AROUND: usize = 3;
const WIDE: usize = 120;

/// One line of a text.
struct Shown {
    number: usize,
    text: String,
    is_it: bool,
}

#[derive(Template)]
#[template(path = "spec_new.html")]
struct New {
    page: Frame,
    /// The name of the upload that is replaced.
    replaced: Option<String>,
    said: Said,
    text: String,
    wrong: Option<Wrong>,
    /// What is wrong that is not in the text.
    why: Option<String>,
    lines: Vec<Shown>,
    is_long: bool,
    limit: usize,
}

#[derive(Template)]
#[template(path = "spec_check.html")]
struct Checked {
    page: Frame,
    draft: Arc<Draft>,
    replaced: Option<String>,
}

impl Checked {
    fn changes(&self) -> [(&'static str, &Several); 4] {
        let p = &self.draft.about.preview;
        [
            ("Newly documented", &p.newly_documented),
            ("Newly shadow", &p.newly_shadow),
            ("No longer documented", &p.undocumented),
            ("No longer shadow", &p.cleared),
        ]
    }
}

/// What an upload is called by its owner.
fn name_of(app: &App, id: &str) -> Option<String> {
    let specs = app.views.specs.load();
    let (_, version) = upload(&specs, id)?.current()?;
    Some(version.name.clone())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct At {
    replaces: String,
}

/// `/specs/new`.
pub(super) async fn new(State(app): Shared, who: Who, Query(at): Query<At>) -> Response {
    let mut said = Said::default();
    if !at.replaces.is_empty() {
        let specs = app.views.specs.load();
        let current = upload(&specs, &at.replaces).and_then(|u| u.current());
        let Some((_, version)) = current else {
            return missing(&app, &who, "There is no such upload");
        };
        said = Said {
            replaces: at.replaces,
            name: version.name.clone(),
            hosts: version.hosts.join(", "),
            note: String::new(),
        };
    }
    form(&app, &who, said, String::new(), None, None)
}

fn form(
    app: &App,
    who: &Who,
    said: Said,
    text: String,
    wrong: Option<Wrong>,
    why: Option<String>,
) -> Response {
    let lines = wrong.as_ref().map_or_else(Vec::new, |w| excerpt(&text, w));
    let is_long = text.len() > EDITABLE;
    show(&New {
        page: Frame::new(app, who, "specs"),
        replaced: name_of(app, &said.replaces),
        said,
        text: if is_long { String::new() } else { text },
        wrong,
        why,
        lines,
        is_long,
        limit: MAX_UPLOAD >> 20,
    })
}

/// The lines around an error; of a long line what stands around the column.
fn excerpt(text: &str, wrong: &Wrong) -> Vec<Shown> {
    let Some(at) = wrong.line else {
        return Vec::new();
    };
    let from = at.saturating_sub(AROUND + 1);
    let lines = text.lines().enumerate().skip(from).take(2 * AROUND + 1);
    lines
        .map(|(n, line)| {
            let column = wrong.column.filter(|_| n + 1 == at).unwrap_or(1);
            let before = column.saturating_sub(WIDE / 2);
            let mut text: String = line.chars().skip(before).take(WIDE).collect();
            if before > 0 {
                text.insert(0, '…');
            }
            Shown {
                number: n + 1,
                text,
                is_it: n + 1 == at,
            }
        })
        .collect()
}

/// What a form of several parts holds.
#[derive(Default)]
struct Sent {
    csrf: String,
    said: Said,
    file: Vec<u8>,
    file_name: String,
    text: String,
}

async fn sent(mut parts: Multipart) -> Result<Sent, String> {
    let mut out = Sent::default();
    while let Some(part) = parts.next_field().await.map_err(|e| e.body_text())? {
        let name = part.name().unwrap_or_default().to_owned();
        if name == "file" {
            out.file_name = part.file_name().unwrap_or_default().to_owned();
            out.file = part.bytes().await.map_err(|e| e.body_text())?.to_vec();
            continue;
        }
        let text = part.text().await.map_err(|e| e.body_text())?;
        match name.as_str() {
            "csrf" => out.csrf = text,
            "replaces" => out.said.replaces = text,
            "name" => out.said.name = text,
            "hosts" => out.said.hosts = text,
            "note" => out.said.note = text,
            "text" => out.text = text,
            _ => {}
        }
    }
    if out.said.name.is_empty() {
        out.said.name.clone_from(&out.file_name);
    }
    Ok(out)
}

/// `POST /specs/check`: reads, and changes nothing.
pub(super) async fn check(State(app): Shared, who: Who, parts: Multipart) -> Response {
    let sent = match sent(parts).await {
        Ok(sent) => sent,
        Err(why) => {
            let why = format!("{why}; at most {} MiB are taken", MAX_UPLOAD >> 20);
            return failed(
                &app,
                &who,
                StatusCode::BAD_REQUEST,
                "Nothing was read",
                &why,
            );
        }
    };
    if let Some(refused) = stale(&app, &who, &sent.csrf) {
        return refused;
    }
    let text = match sent.file.is_empty() {
        true => sent.text,
        false => match String::from_utf8(sent.file) {
            Ok(text) => text,
            Err(e) => {
                let at = e.utf8_error().valid_up_to();
                let why = format!("The file is no UTF-8 text from byte {at} on.");
                return form(&app, &who, sent.said, String::new(), None, Some(why));
            }
        },
    };
    match spec_upload::check(&app, &who, &sent.said, text.as_str().into()).await {
        Ok(draft) => show(&Checked {
            replaced: draft.new.replaces.as_ref().and_then(|r| name_of(&app, r)),
            draft,
            page: Frame::new(&app, &who, "specs"),
        }),
        Err(No::Text(wrong)) => form(&app, &who, sent.said, text, Some(wrong), None),
        Err(No::Else(_, why)) => form(&app, &who, sent.said, text, None, Some(why)),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Use {
    csrf: String,
    token: String,
}

/// `POST /specs`: puts to use what was checked.
pub(super) async fn put(State(app): Shared, who: Who, Form(form): Form<Use>) -> Response {
    if let Some(refused) = stale(&app, &who, &form.csrf) {
        return refused;
    }
    let Some(draft) = app.desk.take(&form.token, &who.name) else {
        let why = "It waited too long, or was put to use already. Check the document once more.";
        return failed(&app, &who, StatusCode::GONE, "Nothing was changed", why);
    };
    match spec_upload::put(&app, &who, &draft).await {
        Ok(change) => Redirect::to(&format!("/specs/{}", change.spec)).into_response(),
        Err((code, why)) => failed(&app, &who, code, "Nothing was changed", &why),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Remove {
    csrf: String,
    #[serde(default)]
    note: String,
}

/// `POST /specs/{id}/remove`.
pub(super) async fn remove(
    State(app): Shared,
    who: Who,
    Path(id): Path<String>,
    Form(form): Form<Remove>,
) -> Response {
    if let Some(refused) = stale(&app, &who, &form.csrf) {
        return refused;
    }
    match spec_upload::take_away(&app, &who, id, Some(form.note)).await {
        Ok(_) => Redirect::to("/specs").into_response(),
        Err((code, why)) => failed(&app, &who, code, "Nothing was changed", &why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_shown_with_the_lines_around_it() {
        let text: String = (1..=10).map(|n| format!("line {n}\n")).collect();
        let at = |line, column| Wrong {
            line: Some(line),
            column: Some(column),
            reason: String::new(),
            mend: "",
        };
        let lines = excerpt(&text, &at(9, 3));
        let numbers: Vec<usize> = lines.iter().map(|l| l.number).collect();
        assert_eq!(numbers, [6, 7, 8, 9, 10]);
        assert!(lines[3].is_it && lines[3].text == "line 9");
        let long = "x".repeat(5_000) + "HERE" + &"y".repeat(5_000);
        let lines = excerpt(&long, &at(1, 5_001));
        assert!(lines[0].text.contains("HERE") && lines[0].text.chars().count() <= WIDE + 1);
        assert!(excerpt(&text, &at(99, 1)).is_empty());
    }
}
