//! The config in effect: each key with its value, its default and where it came from; and how it went
//! when somebody last asked for files to be read again.
//!
//! What names a secret is kept from whoever is no admin; secrets themselves are not here at all.

use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{List, Query, json};
use super::asked::Asked;
use super::frame::{Frame, query_link, show};
use super::routes::Shared;
use super::who::Who;
use super::{Limits, Role};
use crate::time::Timestamp;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Origin {
    Default,
    /// The line of the config file, from 1.
    File {
        line: usize,
    },
    /// The words of the command that said so.
    CommandLine {
        argument: String,
    },
}

/// One key of the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `sink[0].url`: lists are counted from 0.
    pub key: String,
    /// What it stands in: `sink[0]`.
    pub section: String,
    /// What it is for, with its unit.
    pub words: String,
    /// As TOML; empty where it names a secret.
    pub value: String,
    /// What is in the place of such a value, for admins: the name of a file or variable.
    pub secret_name: Option<String>,
    /// As TOML; none for keys of lists.
    pub default: Option<String>,
    pub origin: Origin,
    /// What of it is followed without a restart.
    pub followed: Option<&'static str>,
}

impl Entry {
    /// The value, as far as somebody may see it.
    fn value_for(&self, role: Role) -> Option<&str> {
        match &self.secret_name {
            None => Some(&self.value),
            Some(name) => (role >= Role::Admin).then_some(name),
        }
    }

    /// The key within its section.
    fn name(&self) -> &str {
        let rest = self.key.strip_prefix(&self.section);
        rest.map_or(&self.key, |rest| rest.trim_start_matches('.'))
    }

    fn is_set(&self) -> bool {
        self.origin != Origin::Default
    }
}

/// What a sink is told of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SinkSettings {
    pub name: String,
    /// Its routes, in words.
    pub takes: Vec<String>,
}

/// How it went when files were read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reload {
    /// Wall time.
    pub at: Timestamp,
    /// `SIGHUP`, or that a file changed.
    pub cause: &'static str,
    pub failed: bool,
    /// One a file or kind of files.
    pub lines: Vec<String>,
}

/// The config in effect, and what it bounds.
#[derive(Clone, Debug, Default)]
pub struct SettingsView {
    /// None: nothing was read.
    pub file: Option<String>,
    pub entries: Vec<Entry>,
    /// The same, to take away.
    pub toml: String,
    pub sinks: Vec<SinkSettings>,
    pub limits: Limits,
    pub dormant_after: Duration,
    pub dismissal: Duration,
    pub reload: Option<Reload>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Filter {
    /// What is in the key, its value or what it is for.
    q: String,
    /// `set`: only what somebody set; else all.
    #[schemars(extend("enum" = ["set"]))]
    show: String,
}

impl Filter {
    fn takes(&self, entry: &Entry, role: Role) -> bool {
        let q = self.q.trim().to_lowercase();
        let value = entry.value_for(role).unwrap_or_default();
        let found = [entry.key.as_str(), &entry.words, value]
            .iter()
            .any(|text| text.to_lowercase().contains(&q));
        found && (self.show != "set" || entry.is_set())
    }
}

/// An entry as somebody may see it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Setting")]
pub(super) struct Item<'a> {
    /// `sink[0].url`: lists are counted from 0.
    key: &'a str,
    /// As TOML; absent where it names a secret and is not for this reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    /// Whether it names a secret.
    secret: bool,
    /// As TOML; absent for keys of lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<&'a str>,
    origin: &'a Origin,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// A change of the key itself takes a restart.
    restart: bool,
    /// What of it is followed without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    followed: Option<&'static str>,
}

impl<'a> Item<'a> {
    fn of(entry: &'a Entry, role: Role) -> Self {
        Self {
            key: &entry.key,
            value: entry.value_for(role),
            secret: entry.secret_name.is_some(),
            default: entry.default.as_deref(),
            origin: &entry.origin,
            description: Some(entry.words.as_str()).filter(|words| !words.is_empty()),
            restart: true,
            followed: entry.followed,
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Settings")]
pub(super) struct Items<'a> {
    #[serde(flatten)]
    list: List<Item<'a>>,
    /// What was read at the start; null: nothing was.
    file: Option<&'a str>,
    /// How it went when files were last read again.
    reload: Option<&'a Reload>,
}

/// `GET /api/v1/settings`: all keys, of which there are some hundred.
pub(super) async fn list(State(app): Shared, who: Who, Query(filter): Query<Filter>) -> Response {
    let view = app.views.settings.load();
    let found = view.entries.iter().filter(|e| filter.takes(e, who.role));
    let items: Vec<Item<'_>> = found.map(|e| Item::of(e, who.role)).collect();
    json(&Items {
        list: List::whole(items),
        file: view.file.as_deref(),
        reload: view.reload.as_ref(),
    })
}

/// `GET /api/v1/settings.toml`.
pub(super) async fn download(State(app): Shared) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/toml; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"apitap.toml\"",
        ),
    ];
    (headers, app.views.settings.load().toml.clone()).into_response()
}

struct Section<'a> {
    name: &'a str,
    /// Of a table in a list: the name that it gives itself, as TOML.
    called: Option<&'a str>,
    entries: Vec<&'a Entry>,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct Settings<'a> {
    page: Frame,
    tab: &'static str,
    file: Option<&'a str>,
    reload: Option<&'a Reload>,
    q: &'a str,
    set_only: bool,
    everything: String,
    set_link: String,
    total: usize,
    set: usize,
    sections: Vec<Section<'a>>,
}

fn called<'a>(entries: &'a [Entry], section: &str) -> Option<&'a str> {
    let mut of_it = entries.iter().filter(|e| e.section == section);
    let name = of_it.find(|e| e.name() == "name")?;
    Some(name.value.trim_matches('"'))
}

pub(super) async fn page(
    State(app): Shared,
    who: Who,
    Asked(filter, slips): Asked<Filter>,
) -> Response {
    let view = app.views.settings.load();
    let mut sections: Vec<Section<'_>> = Vec::new();
    let found = view.entries.iter().filter(|e| filter.takes(e, who.role));
    for entry in found {
        match sections.last_mut() {
            Some(section) if section.name == entry.section => section.entries.push(entry),
            _ => sections.push(Section {
                called: called(&view.entries, &entry.section),
                name: &entry.section,
                entries: vec![entry],
            }),
        }
    }
    let q = filter.q.trim().to_owned();
    let only = "set".to_owned();
    show(&Settings {
        page: Frame::new(&app, &who, "settings").told(slips),
        tab: "configuration",
        file: view.file.as_deref(),
        reload: view.reload.as_ref(),
        set_only: filter.show == "set",
        everything: query_link("/settings", &[("q", &q)]),
        set_link: query_link("/settings", &[("q", &q), ("show", &only)]),
        total: view.entries.len(),
        set: view.entries.iter().filter(|e| e.is_set()).count(),
        q: &q,
        sections,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, secret: Option<&str>) -> Entry {
        Entry {
            key: key.into(),
            section: "sink[0]".into(),
            words: "where it goes".into(),
            value: if secret.is_some() { "" } else { "\"soc\"" }.into(),
            secret_name: secret.map(Into::into),
            default: None,
            origin: Origin::File { line: 7 },
            followed: None,
        }
    }

    #[test]
    fn what_names_a_secret_is_for_admins_alone() {
        let entry = entry("sink[0].token_file", Some("\"/etc/x/token\""));
        let told = |role| serde_json::to_string(&Item::of(&entry, role)).unwrap();
        for role in [Role::Viewer, Role::Analyst] {
            assert!(!told(role).contains("/etc/x") && told(role).contains("\"secret\":true"));
        }
        assert!(told(Role::Admin).contains("/etc/x/token"));
        // Nor can it be guessed at by a search.
        let filter = Filter {
            q: "/etc/x".into(),
            show: String::new(),
        };
        assert!(filter.takes(&entry, Role::Admin) && !filter.takes(&entry, Role::Viewer));
    }

    #[test]
    fn keys_are_found_by_name_value_and_purpose_in_any_case() {
        let entry = entry("sink[0].name", None);
        assert_eq!(entry.name(), "name");
        for (q, found) in [
            ("SINK[0]", true),
            ("soc", true),
            (" goes ", true),
            ("pager", false),
        ] {
            let filter = Filter {
                q: q.into(),
                show: "set".into(),
            };
            assert_eq!(filter.takes(&entry, Role::Viewer), found, "{q}");
        }
    }
}
