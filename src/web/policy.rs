//! Who may what: the role that each route asks for.
//!
//! By the route's pattern, in full. The API's routes have theirs in their table; pages are listed here:
//! one that is not is for admins, and a test holds that each is, so that nobody forgets to think of it.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Role;
use super::api::table;

/// What a request must come with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Nothing,
    Role(Role),
}

/// For everybody, signed in or not.
const OPEN: &[&str] = &[
    "/assets/app.css",
    "/assets/app.js",
    "/assets/icon.svg",
    "/healthz",
    "/login",
    "/login/oidc",
    "/login/oidc/back",
    "/readyz",
];

/// Changes of what is one's own.
const OWN: &[&str] = &[
    "/account/password",
    "/account/sessions/end",
    "/account/sessions/{id}/end",
    "/logout",
];

/// What only admins read.
const ADMINS_READ: &[&str] = &["/audit", "/specs/new", "/tokens", "/users"];

/// What everybody with a role reads.
const VIEWERS_READ: &[&str] = &[
    "/",
    "/account",
    "/alerts",
    "/alerts/{id}",
    "/api",
    "/automation",
    "/coverage",
    "/decisions",
    "/deliveries",
    "/endpoints",
    "/endpoints/{key}",
    "/endpoints/{key}/{action}",
    "/findings",
    "/incidents",
    "/incidents/{id}",
    "/metrics",
    "/owasp",
    "/principals",
    "/principals/{id}",
    "/sensor",
    "/settings",
    "/settings/retention",
    "/settings/sinks",
    "/silences",
    "/specs",
    "/specs/{id}",
    "/specs/{id}/diff",
];

/// What comes before a change of theirs.
const ANALYSTS_READ: &[&str] = &["/endpoints/accept", "/endpoints/mark"];

/// The daily work.
const ANALYSTS_CHANGE: &[&str] = &[
    "/alerts/act",
    "/alerts/{id}/status",
    "/decisions/{id}/undo",
    "/endpoints/accept",
    "/endpoints/mark",
    "/endpoints/views",
    "/endpoints/views/{id}/remove",
    "/endpoints/{key}/{action}",
    "/incidents/act",
    "/incidents/{id}/status",
    "/silences",
    "/silences/{id}/end",
];

/// Who comes in, what goes out, and what the inventory is judged by.
const ADMINS_CHANGE: &[&str] = &[
    "/deliveries",
    "/settings/sinks",
    "/specs",
    "/specs/check",
    "/specs/{id}/remove",
    "/tokens",
    "/tokens/{id}/revoke",
    "/users",
    "/users/{name}/{action}",
];

/// Those that look for the CSRF token in a multipart form themselves.
pub(super) const UPLOADS: &[&str] = &["/specs/check"];

type Rule = (&'static [&'static str], Need);

const READS: &[Rule] = &[
    (OPEN, Need::Nothing),
    (VIEWERS_READ, Need::Role(Role::Viewer)),
    (ANALYSTS_READ, Need::Role(Role::Analyst)),
    (ADMINS_READ, Need::Role(Role::Admin)),
];

const CHANGES: &[Rule] = &[
    (OPEN, Need::Nothing),
    (OWN, Need::Role(Role::Viewer)),
    (ANALYSTS_CHANGE, Need::Role(Role::Analyst)),
    (ADMINS_CHANGE, Need::Role(Role::Admin)),
];

/// By the pattern of the route; none where nothing is there, which only somebody is told.
pub(super) fn need(changes: bool, pattern: Option<&str>) -> Need {
    let Some(pattern) = pattern else {
        return Need::Role(Role::Viewer);
    };
    listed(changes, pattern).unwrap_or(Need::Role(Role::Admin))
}

/// Of the API, by whether it changes something and the pattern.
static API: LazyLock<HashMap<(bool, &str), Role>> = LazyLock::new(|| {
    let routes = table::routes().into_iter();
    routes
        .map(|route| ((route.method != "get", route.path), route.role))
        .collect()
});

fn listed(changes: bool, pattern: &str) -> Option<Need> {
    if let Some(role) = API.get(&(changes, pattern)) {
        return Some(Need::Role(*role));
    }
    let rules = if changes { CHANGES } else { READS };
    let mut rules = rules.iter();
    let found = rules.find(|(patterns, _)| patterns.contains(&pattern));
    found.map(|(_, need)| *need)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
