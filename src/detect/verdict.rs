//! From what crossed a bar to what a person reads.

use std::borrow::Cow;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::budget::Rung;
use super::counter::Hit;
use super::enumeration::Found;
use super::principals::Followed;
use super::spread;
use super::{Clock, Place, Point, Principal, Severity, Verdict, VerdictKind, Watch};
use crate::catalog::EndpointId;
use crate::exchange::Exchange;
use crate::time::Timestamp;

/// One of the numbers that a score is made of, by name: `log10_p`, `own_most`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Part {
    pub name: Cow<'static, str>,
    pub value: f64,
}

/// What the detector weighed, and how that was held against the bar. What is no number is left out:
/// JSON has no form for it.
pub(super) fn parts(
    rung: Rung,
    weighed: impl IntoIterator<Item = (&'static str, f64)>,
) -> Vec<Part> {
    let judged = [
        ("log10_p", rung.log10_p),
        ("bar_log10_p", rung.bar),
        ("tests_a_week", rung.tests_per_week),
    ];
    let all = weighed.into_iter().chain(judged);
    let finite = all.filter(|(_, value)| value.is_finite());
    finite
        .map(|(name, value)| Part {
            name: name.into(),
            value,
        })
        .collect()
}

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

pub(super) fn beginning(text: Option<&str>, chars: usize) -> &str {
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
        host: None,
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
        series: hit.series,
        owasp: watch.owasp.into(),
        parts: parts(
            hit.rung,
            [
                ("observed", hit.observed),
                ("expected", hit.expected),
                ("own_most", hit.top),
                ("own_windows", f64::from(hit.closed)),
                ("peers_mean", hit.peers),
            ],
        ),
        place: Place::default(),
    }
}

/// Ids in a row, by many together.
pub(super) fn spread(
    row: spread::Row,
    endpoint: Option<EndpointId>,
    x: &Exchange,
    at: &Clock,
) -> Verdict {
    let expected = f64::from(row.len) * row.usual;
    let found = Sign {
        kind: VerdictKind::Enumeration,
        detector: "spread-walk",
        owasp: "API1:2023",
        severity: Severity::High,
        principal: None,
        endpoint,
        host: None,
        since: row.since,
        expected,
        observed: f64::from(row.len),
        rung: row.rung,
        summary: format!(
            "object ids in order, by {} callers together: {} steps, last {}",
            row.callers, row.len, row.last
        ),
        why: vec![
            format!(
                "a row of {} ids, each asked for by another caller than the one before; the last step {:+}",
                row.len, row.step
            ),
            format!(
                "usually {} % of other callers' ids lie beside one of the last: {} of these",
                round(row.usual * 100.0),
                round(expected)
            ),
        ],
        sample: sample(x),
        series: row.series,
        weighed: vec![("usual_share", row.usual), ("callers", row.callers)],
    };
    sign(found, at)
}

/// Ids in a row, by one principal.
pub(super) fn row(
    found: Found,
    principal: Principal,
    endpoint: Option<EndpointId>,
    x: &Exchange,
    at: &Clock,
) -> Verdict {
    let p = principal.clone();
    let who = p.identity.or(p.client).unwrap_or_default();
    let expected = f64::from(found.len) * found.usual;
    Verdict {
        at: Timestamp(at.nanos),
        kind: VerdictKind::Enumeration,
        severity: severity(Severity::High, found.rung),
        score: score(found.rung),
        detector: "id-walk".into(),
        principal: Some(principal),
        endpoint,
        host: None,
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
        parts: parts(
            found.rung,
            [
                ("steps", f64::from(found.len)),
                ("expected", expected),
                ("usual_share", found.usual),
            ],
        ),
        place: Place::default(),
    }
}

/// What a detector of the target side says.
pub(super) struct Sign {
    pub kind: VerdictKind,
    pub detector: &'static str,
    pub owasp: &'static str,
    pub severity: Severity,
    pub principal: Option<Principal>,
    pub endpoint: Option<EndpointId>,
    pub host: Option<String>,
    pub since: i64,
    pub expected: f64,
    pub observed: f64,
    pub rung: Rung,
    pub summary: String,
    /// Without the odds, which are added.
    pub why: Vec<String>,
    pub sample: CompactString,
    pub series: Vec<Point>,
    /// Parts of the score beside what was seen and expected.
    pub weighed: Vec<(&'static str, f64)>,
}

pub(super) fn sign(sign: Sign, at: &Clock) -> Verdict {
    let mut why = sign.why;
    why.push(odds(sign.rung));
    let severity = match sign.severity {
        // What is no attack stays that, however unlikely it is.
        Severity::Info => Severity::Info,
        base => severity(base, sign.rung),
    };
    Verdict {
        at: Timestamp(at.nanos),
        kind: sign.kind,
        severity,
        score: score(sign.rung),
        detector: sign.detector.into(),
        principal: sign.principal,
        endpoint: sign.endpoint,
        host: sign.host,
        since: Timestamp(sign.since),
        until: Timestamp(at.nanos),
        expected: sign.expected,
        observed: sign.observed,
        log10_p: sign.rung.log10_p,
        summary: sign.summary,
        why,
        samples: vec![sign.sample.into()],
        series: sign.series,
        owasp: sign.owasp.into(),
        parts: parts(
            sign.rung,
            [("observed", sign.observed), ("expected", sign.expected)]
                .into_iter()
                .chain(sign.weighed),
        ),
        place: Place::default(),
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

pub(super) fn length(span: i64) -> String {
    match span {
        s if s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s % 3_600 == 0 => format!("{} h", s / 3_600),
        s => format!("{} min", s / 60),
    }
}

/// Two significant decimals for small numbers, none for large.
pub(super) fn round(v: f64) -> f64 {
    if v >= 10.0 {
        v.round()
    } else {
        (v * 100.0).round() / 100.0
    }
}
