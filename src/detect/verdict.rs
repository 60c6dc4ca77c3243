//! From what crossed a bar to what a person reads.

use compact_str::CompactString;

use super::budget::Rung;
use super::counter::Hit;
use super::enumeration::Found;
use super::principals::Followed;
use super::volume::Surge;
use super::{Clock, Principal, Severity, Verdict, VerdictKind, Watch};
use crate::catalog::EndpointId;
use crate::exchange::Exchange;
use crate::time::Timestamp;

/// Characters of a path that a sample shows.
const SHOWN: usize = 120;

/// `GET /v1/users/1042 → 200`: no query, masked as the record is.
pub(super) fn sample(x: &Exchange) -> CompactString {
    let path = beginning(x.path.as_deref(), SHOWN);
    let method = beginning(x.method.as_deref(), SHOWN / 4);
    match x.status {
        Some(status) => compact_str::format_compact!("{method} {path} → {status}"),
        None => compact_str::format_compact!("{method} {path} → no answer"),
    }
}

fn beginning(text: Option<&str>, chars: usize) -> &str {
    let text = text.unwrap_or("-");
    let end = text.char_indices().nth(chars).map(|(at, _)| at);
    &text[..end.unwrap_or(text.len())]
}

/// A principal's count.
pub(super) fn count(watch: &Watch, hit: Hit, who: &Followed, at: &Clock) -> Verdict {
    let span = length(hit.span);
    let past = match hit.closed {
        0 => format!("the first {span} window seen of it"),
        n => format!(
            "the most it did in one of {n} {span} windows before: {}",
            hit.top
        ),
    };
    let why = vec![
        format!(
            "{} {} in {span}; expected at most about {}",
            hit.observed,
            watch.unit,
            round(hit.expected)
        ),
        past,
        format!("others do {} in such a window", round(hit.peers)),
        odds(hit.rung),
    ];
    Verdict {
        at: Timestamp(at.nanos),
        kind: watch.kind,
        severity: severity(watch.severity, hit.rung),
        score: score(hit.rung),
        detector: watch.detector.into(),
        principal: Some(who.principal()),
        endpoint: hit.endpoint,
        since: Timestamp(hit.since),
        until: Timestamp(at.nanos),
        expected: hit.expected,
        observed: hit.observed,
        log10_p: hit.rung.log10_p,
        summary: format!(
            "{} {} in {span} by {} where about {} is usual",
            hit.observed,
            watch.unit,
            who.describe(),
            round(hit.expected)
        ),
        why,
        samples: hit.samples,
        series: Vec::new(),
        owasp: watch.owasp.into(),
    }
}

/// Ids in a row, by one principal or by many together.
pub(super) fn row(
    found: Found,
    principal: Option<Principal>,
    endpoint: Option<EndpointId>,
    x: &Exchange,
    at: &Clock,
) -> Verdict {
    let (detector, who) = if found.together {
        ("spread-walk", "several callers together".to_owned())
    } else {
        let p = principal.clone().unwrap_or_default();
        ("id-walk", p.identity.or(p.client).unwrap_or_default())
    };
    let expected = f64::from(found.len) * found.usual;
    Verdict {
        at: Timestamp(at.nanos),
        kind: VerdictKind::Enumeration,
        severity: severity(Severity::High, found.rung),
        score: score(found.rung),
        detector: detector.into(),
        principal,
        endpoint,
        since: Timestamp(found.since),
        until: Timestamp(at.nanos),
        expected,
        observed: f64::from(found.len),
        log10_p: found.rung.log10_p,
        summary: format!(
            "object ids in order, by {who}: {} steps, last {}",
            found.len, found.last
        ),
        why: vec![
            format!(
                "a row of {} ids, nearly each beside the one before",
                found.len
            ),
            format!(
                "usually {} % of the steps here go to a neighbour: {} of them",
                round(found.usual * 100.0),
                round(expected)
            ),
            odds(found.rung),
        ],
        samples: vec![sample(x).into()],
        series: Vec::new(),
        owasp: "API1:2023".into(),
    }
}

/// An endpoint's requests, or its failed logins.
pub(super) fn surge(
    surge: Surge,
    logins: bool,
    endpoint: EndpointId,
    x: &Exchange,
    at: &Clock,
) -> Verdict {
    let (kind, detector, unit, owasp, base) = if logins {
        (
            VerdictKind::Credential,
            "endpoint-failed-logins",
            "failed logins",
            "API2:2023",
            Severity::High,
        )
    } else {
        (
            VerdictKind::Volume,
            "endpoint-volume",
            "requests",
            "API4:2023",
            Severity::Medium,
        )
    };
    let span = length(surge.span);
    Verdict {
        at: Timestamp(at.nanos),
        kind,
        severity: severity(base, surge.rung),
        score: score(surge.rung),
        detector: detector.into(),
        principal: None,
        endpoint: Some(endpoint),
        since: Timestamp(surge.since),
        until: Timestamp(at.nanos),
        expected: surge.expected,
        observed: surge.observed,
        log10_p: surge.rung.log10_p,
        summary: format!(
            "{} {unit} in {span} where about {} is usual",
            surge.observed,
            round(surge.expected)
        ),
        why: vec![
            format!(
                "{} {unit} in {span}; expected at most about {}",
                surge.observed,
                round(surge.expected)
            ),
            format!(
                "mean of such windows {}, the most in one before {}",
                round(surge.mean),
                round(surge.top)
            ),
            odds(surge.rung),
        ],
        samples: vec![sample(x).into()],
        series: surge.series,
        owasp: owasp.into(),
    }
}

pub(super) fn odds(rung: Rung) -> String {
    format!(
        "by chance: 1 in 10^{:.1} windows; about {} are tested a week, and the budget asks for 1 in 10^{:.1}",
        -rung.log10_p,
        rung.tests_per_week.round(),
        -rung.bar
    )
}

/// 50 at the bar, towards 100 as the tail's exponent grows past it.
pub(super) fn score(rung: Rung) -> f64 {
    let ratio = rung.log10_p / rung.bar.min(-1e-6);
    (100.0 * (1.0 - (-ratio.max(0.0)).exp2())).clamp(0.0, 100.0)
}

pub(super) fn severity(base: Severity, rung: Rung) -> Severity {
    if rung.log10_p > 2.0 * rung.bar {
        return base;
    }
    match base {
        Severity::Info => Severity::Low,
        Severity::Low => Severity::Medium,
        Severity::Medium => Severity::High,
        Severity::High | Severity::Critical => Severity::Critical,
    }
}

fn length(span: i64) -> String {
    match span {
        s if s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s % 3_600 == 0 => format!("{} h", s / 3_600),
        s => format!("{} min", s / 60),
    }
}

/// Two significant decimals for small numbers, none for large.
fn round(v: f64) -> f64 {
    if v >= 10.0 {
        v.round()
    } else {
        (v * 100.0).round() / 100.0
    }
}
