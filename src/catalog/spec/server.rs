//! Which hosts and base paths a list of servers names.
//!
//! A variable with an enumeration gives one scope a value; one without, in a host, stands for any
//! one label of it. A variable that is the whole host says nothing by itself: its default counts.

use serde_json::Value;

use super::document::{Document, Place};
use super::{Word, host_name};
use crate::catalog::segment::split;

/// Scopes of one list of servers.
const MAX_SCOPES: usize = 64;
/// Wildcards of one host: each costs a look for its end.
const MAX_WILD: usize = 4;

/// A place that a document owns: a host (any, where the server is relative) and a base path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// `*` stands for one label, or a part of it.
    pub(super) host: Option<String>,
    pub(super) base: Vec<Word>,
}

impl Scope {
    fn new(host: Option<&str>, base: &str) -> Self {
        let host = host.map(host_name).filter(|h| !h.is_empty());
        Self {
            host: host.filter(|h| h.matches('*').count() <= MAX_WILD),
            base: split(base).iter().map(|s| Word::new(s)).collect(),
        }
    }
}

/// Whether a host is one that a pattern means: `*` is one or more characters of a label.
pub(super) fn is_like(pattern: &[u8], host: &[u8]) -> bool {
    match pattern.split_first() {
        None => host.is_empty(),
        Some((b'*', rest)) => host
            .iter()
            .take_while(|b| !b".:".contains(b))
            .enumerate()
            .any(|(n, _)| is_like(rest, &host[n + 1..])),
        Some((first, rest)) => host.first() == Some(first) && is_like(rest, &host[1..]),
    }
}

/// The scopes of the whole document: OpenAPI 2.0 by host and base path, 3 by servers.
pub(super) fn of_document(document: &Document) -> Vec<Scope> {
    let root = document.root();
    if root.child("swagger").is_some() {
        let base = root.str("basePath").unwrap_or_default();
        return vec![Scope::new(root.str("host"), base)];
    }
    let listed = root.child("servers").map(of_list);
    // OpenAPI 3: the default server is `/`.
    listed
        .filter(|scopes| !scopes.is_empty())
        .unwrap_or_else(|| vec![Scope::new(None, "")])
}

pub(super) fn of_list(servers: Place<'_>) -> Vec<Scope> {
    let mut out: Vec<Scope> = Vec::new();
    for server in servers.items() {
        for scope in of_server(server) {
            if out.len() < MAX_SCOPES && !out.contains(&scope) {
                out.push(scope);
            }
        }
    }
    out
}

fn of_server(server: Place<'_>) -> Vec<Scope> {
    let Some(url) = server.str("url") else {
        return Vec::new();
    };
    let (authority, path) = match url.split_once("://") {
        Some((_, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (Some(authority), path)
        }
        None => match url.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(authority), path)
            }
            None => (None, url),
        },
    };
    let mut urls = vec![(authority.map(str::to_owned), path.to_owned())];
    for (name, variable) in server
        .child("variables")
        .into_iter()
        .flat_map(Place::members)
    {
        let mark = format!("{{{name}}}");
        let default = variable.str("default").unwrap_or_default();
        let listed = variable.value.get("enum").and_then(Value::as_array);
        let listed: Vec<&str> = listed
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut next = Vec::new();
        for (host, path) in urls {
            if listed.is_empty() {
                let whole = host.as_deref() == Some(mark.as_str());
                let label = if whole { default } else { "*" };
                let host = host.as_ref().map(|h| h.replace(&mark, label));
                next.push((host, path.replace(&mark, default)));
            }
            for value in &listed {
                let host = host.as_ref().map(|h| h.replace(&mark, value));
                next.push((host, path.replace(&mark, value)));
            }
        }
        next.truncate(MAX_SCOPES);
        urls = next;
    }
    let known = |host: &Option<String>| host.as_ref().is_none_or(|h| !h.contains(['{', '}']));
    urls.iter()
        .filter(|(host, _)| known(host))
        .map(|(host, path)| Scope::new(host.as_deref(), path))
        .collect()
}
