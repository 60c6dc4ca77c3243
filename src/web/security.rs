//! What an endpoint demands, takes and gives away, as its page shows it.

use crate::catalog::{AuthScheme, EndpointView, JwtCount, JwtView};
use crate::sensor::doctor::grouped;

/// One credential of an endpoint, and the answers that it got.
pub(super) struct SchemeRow {
    pub(super) scheme: String,
    pub(super) place: String,
    pub(super) requests: u64,
    /// `2xx 12, 4xx 3`.
    pub(super) answers: String,
    pub(super) first: String,
    pub(super) last: String,
}

impl SchemeRow {
    fn of(s: &AuthScheme) -> Self {
        let names = ["no answer", "1xx", "2xx", "3xx", "4xx", "5xx"];
        let counts = names.into_iter().zip(s.by_class).filter(|(_, n)| *n > 0);
        let answers: Vec<_> = counts
            .map(|(name, n)| format!("{name} {}", grouped(n)))
            .collect();
        Self {
            scheme: s.scheme.clone(),
            place: s.place.clone(),
            requests: s.requests,
            answers: answers.join(", "),
            first: s.first_seen.to_string(),
            last: s.last_seen.to_string(),
        }
    }
}

pub(super) fn schemes(e: &EndpointView) -> Vec<SchemeRow> {
    e.auth_schemes.iter().map(SchemeRow::of).collect()
}

/// `mixed`; nothing while no call was answered.
pub(super) fn verdict(e: &EndpointView) -> &'static str {
    e.auth_verdict.map_or("", |v| v.name())
}

/// The column of the list: `mixed: bearer, none`.
pub(super) fn column(e: &EndpointView) -> String {
    let schemes: Vec<_> = e.auth.iter().map(|a| a.scheme.as_str()).collect();
    match e.auth_verdict {
        Some(verdict) => format!("{}: {}", verdict.name(), schemes.join(", ")),
        None => schemes.join(", "),
    }
}

/// Tokens and what answers give away, where there are any.
pub(super) fn facts(e: &EndpointView) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if let Some(jwt) = &e.jwt {
        out.push(("JSON web tokens", tokens(jwt)));
    }
    if !e.leaks.is_empty() {
        let one = |leak: &crate::catalog::LeakView| {
            let statuses: Vec<_> = leak.statuses.keys().map(u16::to_string).collect();
            format!(
                "{} ({}, with {})",
                leak.kind,
                grouped(leak.count),
                statuses.join(", ")
            )
        };
        let all: Vec<_> = e.leaks.iter().map(one).collect();
        out.push(("Answers give away", all.join("; ")));
    }
    out
}

fn tokens(jwt: &JwtView) -> String {
    let counted = |(name, n): (&String, &JwtCount)| format!("{name} ({})", grouped(n.count));
    let mut all: Vec<String> = jwt.algorithms.iter().map(counted).collect();
    all.extend(
        jwt.longest_life_s
            .map(|s| format!("good for {s} s at most")),
    );
    all.extend(jwt.flags.iter().chain(&jwt.classes).map(counted));
    all.join(", ")
}
