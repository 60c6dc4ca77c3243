//! The config in effect, key by key, with where each value came from.
//!
//! Generic: the config is written as TOML, walked to its leaves, and each leaf is looked up in the
//! file that was read, of which the parser knows the place of every key. A new setting needs
//! nothing here. What a key means is taken from the sample, which explains every one.
//!
//! Secrets are never in a config, only the names of files and variables that hold them. These
//! names, and what stands behind the host in a URL, are kept from whoever is no admin.

use std::path::Path;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::{Config, ConfigError, DEFAULT_PATH};
use crate::web::{Entry, Origin, SettingsView, SinkSettings};

/// Explains every key that is no part of a list.
const SAMPLE: &str = include_str!("../../systemd/apitap.toml");

/// Keys whose files are read again while the daemon runs. The keys themselves are not: a changed
/// config is taken at the next start.
const FOLLOWED: [(&str, &str); 5] = [
    (
        "catalog.specs",
        "its files: as soon as they change, and on SIGHUP",
    ),
    ("sensor.country_db", "its file: on SIGHUP"),
    ("tls.key_logs", "its files: followed while they grow"),
    ("web.certificate", "its file: as soon as it changes"),
    ("web.key", "its file: as soon as it changes"),
];

/// A value that the file did not give: its key, and who did.
pub type Override = (&'static str, Origin);

/// The text of a config, before it is one.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// None: nothing was read, and everything is at its default.
    pub path: Option<String>,
    text: String,
}

impl Document {
    pub fn new(path: &str, text: String) -> Self {
        Self {
            path: Some(path.to_owned()),
            text,
        }
    }

    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::new(&name, text)),
            Err(e) => Err(ConfigError::Unreadable {
                path: name,
                why: e.to_string(),
            }),
        }
    }

    /// The file named, or the default one where it is there, or nothing.
    pub fn find(named: Option<&Path>) -> Result<Self, ConfigError> {
        match named {
            Some(path) => Self::read(path),
            None if Path::new(DEFAULT_PATH).exists() => Self::read(Path::new(DEFAULT_PATH)),
            None => Ok(Self::default()),
        }
    }

    pub fn config(&self) -> Result<Config, ConfigError> {
        Config::parse(&self.text, self.path.as_deref().unwrap_or_default())
    }

    /// The line of a key, from 1.
    fn line(&self, table: &DeTable<'_>, path: &[Step]) -> Option<usize> {
        let at = place(table, path)?;
        Some(self.text.get(..at)?.matches('\n').count() + 1)
    }
}

/// A part of a key: `sink`, `[2]`, `url`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Item(usize),
}

impl Step {
    fn join(path: &[Self]) -> String {
        let mut out = String::new();
        for step in path {
            match step {
                Self::Name(name) if out.is_empty() => out.push_str(name),
                Self::Name(name) => out.extend([".", name]),
                Self::Item(n) => out.push_str(&format!("[{n}]")),
            }
        }
        out
    }
}

/// Lists of plain values are leaves; of a list with a table in it, what is in the tables is.
fn leaves(value: &Value, path: &mut Vec<Step>, out: &mut Vec<(Vec<Step>, Value)>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                path.push(Step::Name(name.clone()));
                leaves(value, path, out);
                path.pop();
            }
        }
        Value::Array(items) if items.iter().any(Value::is_table) => {
            for (n, value) in items.iter().enumerate() {
                path.push(Step::Item(n));
                leaves(value, path, out);
                path.pop();
            }
        }
        leaf => out.push((path.clone(), leaf.clone())),
    }
}

/// Where a key stands in a document; of an item in a list, where the item does.
fn place(table: &DeTable<'_>, path: &[Step]) -> Option<usize> {
    let (Step::Name(name), rest) = path.split_first()? else {
        return None;
    };
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    match rest {
        [] => Some(key.span().start),
        [Step::Name(_), ..] => place(value.get_ref().as_table()?, rest),
        [Step::Item(n), rest @ ..] => {
            let item = value.get_ref().as_array()?.get(*n)?;
            match (item.get_ref(), rest) {
                (DeValue::Table(table), [_, ..]) => place(table, rest),
                (_, []) => Some(item.span().start),
                _ => None,
            }
        }
    }
}

/// Whether a key names what holds a secret, or would hold one.
fn is_secret(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    let last = last.split('[').next().unwrap_or(last);
    let ends = [
        "_file", "_env", "secret", "password", "token", "_key", "_keys", "key_logs",
    ];
    let is_certificate = matches!(last, "ca_file" | "cert_file");
    last == "key" || !is_certificate && ends.iter().any(|end| last.ends_with(end))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// A URL without what may let somebody in.
fn host_of(url: &str) -> Option<String> {
    let parsed = url::Url::parse(url).ok()?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return None;
    }
    let place = &parsed[url::Position::BeforeHost..url::Position::AfterPort];
    Some(format!("{}://{place}/", parsed.scheme()))
}

/// As people may see it: TOML, with URLs cut behind their host.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => match host_of(text).filter(|cut| cut != text) {
            Some(cut) => Value::String(cut + "…").to_string(),
            None => value.to_string(),
        },
        _ => value.to_string(),
    }
}

/// Wherever somebody reads it, a path means the same.
fn absolute(path: &str) -> String {
    let whole = std::path::absolute(path).map(|p| p.display().to_string());
    whole.unwrap_or_else(|_| path.to_owned())
}

/// The sample's words for its keys, in its order.
fn sample() -> Vec<(String, String)> {
    let (mut section, mut words, mut out) = (String::new(), Vec::new(), Vec::new());
    for line in SAMPLE.lines().take_while(|l| !l.starts_with("#[[")) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
            words.clear();
        } else if let Some(prose) = line.strip_prefix("# ") {
            words.push(prose);
        } else if let Some((key, _)) = line.strip_prefix('#').and_then(|l| l.split_once(" = ")) {
            out.push((format!("{section}.{key}"), words.join(" ")));
            words.clear();
        } else {
            words.clear();
        }
    }
    out
}

impl Config {
    fn leaves(&self) -> Vec<(Vec<Step>, Value)> {
        let mut out = Vec::new();
        // Every value of a config can be written as TOML: a test writes all of them.
        if let Ok(value) = Value::try_from(self) {
            leaves(&value, &mut Vec::new(), &mut out);
        }
        out
    }

    /// Every key in effect, in the sample's order, lists behind.
    pub fn entries(&self, document: &Document, overrides: &[Override]) -> Vec<Entry> {
        let defaults = Self::default().leaves();
        let parsed = DeTable::parse(&document.text).ok();
        let line = |path: &[Step]| document.line(parsed.as_ref()?.get_ref(), path);
        let known = sample();
        let mut entries: Vec<((usize, bool), Entry)> = Vec::new();
        for (path, value) in self.leaves() {
            let key = Step::join(&path);
            let overridden = overrides.iter().find(|(k, _)| *k == key);
            let origin = match (overridden, line(&path)) {
                (Some((_, origin)), _) => origin.clone(),
                (None, Some(line)) => Origin::File { line },
                (None, None) => Origin::Default,
            };
            let default = defaults
                .iter()
                .find(|(p, _)| *p == path)
                .map(|(_, v)| v.to_string());
            let secret = is_secret(&key) && !is_empty(&value);
            let at = known.iter().position(|(k, _)| *k == key);
            // What stands in lists comes behind the keys beside them.
            let behind = || {
                known
                    .iter()
                    .rposition(|(k, _)| parent(k) == table_of(&path))
            };
            let order = at.or_else(behind).unwrap_or(known.len());
            let followed = FOLLOWED.iter().find(|(k, _)| key.starts_with(k));
            entries.push((
                (order, at.is_none()),
                Entry {
                    section: section(&path),
                    words: at.map(|at| known[at].1.clone()).unwrap_or_default(),
                    value: if secret { String::new() } else { shown(&value) },
                    secret_name: secret.then(|| value.to_string()),
                    default,
                    origin,
                    followed: followed.map(|(_, how)| *how),
                    key,
                },
            ));
        }
        entries.sort_by_key(|(at, _)| *at);
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Without what names a secret, as a file that could be read again but for that.
    pub fn without_secrets(&self) -> String {
        let mut left_out = Vec::new();
        let mut value = Value::try_from(self).unwrap_or_else(|_| Value::Table(toml::Table::new()));
        strip(&mut value, &mut Vec::new(), &mut left_out);
        let text = toml::to_string_pretty(&value).unwrap_or_default();
        let mut head = format!(
            "# The configuration in effect of apitap {}, without what names or holds a secret.\n",
            env!("CARGO_PKG_VERSION")
        );
        for key in left_out {
            head.push_str(&format!("# left out or cut: {key}\n"));
        }
        format!("{head}\n{text}")
    }

    /// What the page of settings shows.
    pub fn view(&self, document: &Document, overrides: &[Override]) -> SettingsView {
        SettingsView {
            file: document.path.as_deref().map(absolute),
            entries: self.entries(document, overrides),
            toml: self.without_secrets(),
            sinks: self
                .sinks()
                .iter()
                .map(|sink| self.sink_settings(sink))
                .collect(),
            limits: self.limits(),
            dormant_after: self.catalog.dormant_after.0,
            dismissal: self.alert.dismissal.0,
            reload: None,
        }
    }

    /// Keys that are not as in another config, both as they are written.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let (mine, theirs) = (self.leaves(), other.leaves());
        let changed = |a: &[(Vec<Step>, Value)], b: &[(Vec<Step>, Value)]| {
            let gone = a.iter().filter(|leaf| !b.contains(leaf));
            gone.map(|(path, _)| Step::join(path)).collect::<Vec<_>>()
        };
        let mut keys = changed(&mine, &theirs);
        keys.extend(changed(&theirs, &mine));
        keys.sort();
        keys.dedup();
        keys
    }

    fn sink_settings(&self, sink: &super::Sink) -> SinkSettings {
        let name = sink.name();
        let routes = self.alert.routes.iter();
        let mut takes: Vec<String> = routes
            .filter(|route| route.sinks.iter().any(|s| s == name))
            .map(super::Route::words)
            .collect();
        if takes.is_empty() {
            takes.push("every alert and incident".into());
        }
        SinkSettings {
            name: name.to_owned(),
            takes,
        }
    }
}

/// The table that a key, or the list that it is part of, stands in.
fn table_of(path: &[Step]) -> String {
    let names = path.iter().take_while(|step| matches!(step, Step::Name(_)));
    Step::join(&path[..names.count().saturating_sub(1)])
}

fn parent(key: &str) -> &str {
    key.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// Every table of a list is a section of its own.
fn section(path: &[Step]) -> String {
    let item = path.iter().rposition(|step| matches!(step, Step::Item(_)));
    let end = match item {
        Some(at) if at + 1 < path.len() => at + 1,
        _ => path.len().saturating_sub(1),
    };
    Step::join(&path[..end])
}

fn strip(value: &mut Value, path: &mut Vec<Step>, left_out: &mut Vec<String>) {
    match value {
        Value::Table(table) => {
            let mut gone = Vec::new();
            for (name, value) in table.iter_mut() {
                path.push(Step::Name(name.clone()));
                if is_secret(name) && !is_empty(value) {
                    left_out.push(Step::join(path));
                    gone.push(name.clone());
                } else {
                    strip(value, path, left_out);
                }
                path.pop();
            }
            gone.iter().for_each(|name| drop(table.remove(name)));
        }
        Value::Array(items) => {
            for (n, value) in items.iter_mut().enumerate() {
                path.push(Step::Item(n));
                strip(value, path, left_out);
                path.pop();
            }
        }
        Value::String(text) => {
            if let Some(cut) = host_of(text).filter(|cut| cut != text) {
                left_out.push(Step::join(path));
                *text = cut;
            }
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "effective_tests.rs"]
mod tests;
