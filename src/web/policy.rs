//! Who may what: the role that each route asks for.
//!
//! By the route's pattern, in full: a route that is not listed is for admins, and a test holds that
//! each is listed, so that nobody forgets to think of it.

use super::Role;

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
    "/readyz",
];

/// Changes of what is one's own.
const OWN: &[&str] = &["/logout"];

/// What only admins read.
const ADMINS_READ: &[&str] = &[];

/// What everybody with a role reads.
const VIEWERS_READ: &[&str] = &[
    "/",
    "/alerts",
    "/alerts/{id}",
    "/api/v1/alerts",
    "/api/v1/alerts.csv",
    "/api/v1/alerts.jsonl",
    "/api/v1/alerts/{id}",
    "/api/v1/automation",
    "/api/v1/dark",
    "/api/v1/decisions",
    "/api/v1/deliveries",
    "/api/v1/edges",
    "/api/v1/endpoints",
    "/api/v1/endpoints.csv",
    "/api/v1/endpoints.jsonl",
    "/api/v1/endpoints.openapi.json",
    "/api/v1/endpoints/{key}",
    "/api/v1/endpoints/{key}/history",
    "/api/v1/findings",
    "/api/v1/findings.csv",
    "/api/v1/findings.jsonl",
    "/api/v1/hosts",
    "/api/v1/incidents",
    "/api/v1/incidents/{id}",
    "/api/v1/openapi.json",
    "/api/v1/owasp",
    "/api/v1/sensor",
    "/api/v1/silences",
    "/api/v1/specs",
    "/automation",
    "/coverage",
    "/decisions",
    "/deliveries",
    "/endpoints",
    "/endpoints/accept",
    "/endpoints/{key}",
    "/findings",
    "/incidents",
    "/incidents/{id}",
    "/live",
    "/metrics",
    "/owasp",
    "/sensor",
    "/silences",
];

/// What analysts read: saved packets hold what was captured, as it was.
const ANALYSTS_READ: &[&str] = &["/api/v1/alerts/{id}/packets"];

/// The daily work.
const ANALYSTS_CHANGE: &[&str] = &[
    "/alerts/{id}/status",
    "/api/v1/alerts/{id}/status",
    "/api/v1/decisions/{id}/undo",
    "/api/v1/endpoints/accept",
    "/api/v1/endpoints/{key}/{action}",
    "/api/v1/incidents/{id}/status",
    "/api/v1/silences",
    "/api/v1/silences/{id}/end",
    "/decisions/{id}/undo",
    "/endpoints/accept",
    "/endpoints/{key}/{action}",
    "/incidents/{id}/status",
    "/silences",
    "/silences/{id}/end",
];

/// Who comes in, and what goes out.
const ADMINS_CHANGE: &[&str] = &[
    "/api/v1/deliveries/{sink}/{message}/send",
    "/api/v1/sinks/{name}/test",
    "/deliveries",
];

type Rule = (&'static [&'static str], Need);

const READS: [Rule; 4] = [
    (OPEN, Need::Nothing),
    (VIEWERS_READ, Need::Role(Role::Viewer)),
    (ANALYSTS_READ, Need::Role(Role::Analyst)),
    (ADMINS_READ, Need::Role(Role::Admin)),
];

const CHANGES: [Rule; 4] = [
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

fn listed(changes: bool, pattern: &str) -> Option<Need> {
    let rules = if changes { CHANGES } else { READS };
    let mut rules = rules.into_iter();
    let found = rules.find(|(patterns, _)| patterns.contains(&pattern));
    found.map(|(_, need)| need)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
