//! What a surge is, seen from the server, and what is said of it.
//!
//! Many known callers who each do a little and are served are a crowd; a server that fails everybody
//! who then tries again is a matter of availability, told once a host; one caller who does nearly
//! all is named; the rest is a flood.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::scale::{Mix, Part, QUARTER};
use super::series::{Surge, Trend};
use super::targets::Call;
use super::verdict::{self, Sign};
use super::{Clock, Severity, Verdict, VerdictKind};
use crate::catalog::{Access, EndpointId};
use crate::exchange::Exchange;

/// Requests whose callers a target remembers.
const MEMORY: f32 = 5_000.0;
/// A crowd: this share of requests is served, and a caller does so much at most in the window.
const SERVED: f64 = 0.8;
const EACH: f64 = 12.0;
/// Share of known callers below which a target is one of strangers.
const STRANGERS: f64 = 0.2;

/// What a target's verdicts show of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct View {
    sample: CompactString,
    sampled: i64,
    /// No part of the capture was missing in this quarter of an hour.
    pub complete: bool,
    /// Requests from known callers and all, with a memory.
    known: f32,
    all: f32,
}

/// What a surge is, seen from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Crowd,
    Retries,
    Flood,
}

impl View {
    pub(super) fn take(&mut self, access: &Access, x: &Exchange, part: Part, at: &Clock) {
        let quarter = at.secs.div_euclid(QUARTER) + 1;
        if quarter != self.sampled {
            self.complete = true;
            self.sampled = quarter;
            self.sample = verdict::sample(x);
        }
        self.complete &= access.complete;
        self.all += 1.0;
        self.known += f32::from(u8::from(part.known));
        if self.all > MEMORY {
            (self.known, self.all) = (self.known / 2.0, self.all / 2.0);
        }
    }

    /// Usual share of requests from known callers.
    fn share(&self) -> f64 {
        f64::from((self.known + 1.0) / (self.all + 2.0))
    }

    /// Who is it that there is more of? `usual` requests are not what is asked about.
    pub(super) fn cause(&self, mix: &Mix, usual: f64) -> Cause {
        let known = mix.known - self.share() * usual;
        let strange = mix.requests - mix.known - (1.0 - self.share()) * usual;
        let familiar = known >= 2.0 * strange.max(0.0);
        let each = mix.requests <= EACH * mix.callers.estimate();
        // Where few are known as yet, many who each do a little must do for acquaintances.
        let usual = familiar || (each && self.share() < STRANGERS);
        if usual && mix.broken >= 0.5 * mix.requests {
            Cause::Retries
        } else if familiar && each && mix.fine >= SERVED * mix.requests {
            Cause::Crowd
        } else {
            Cause::Flood
        }
    }
}

/// What a verdict is about.
#[derive(Clone, Copy)]
pub(super) enum Aim<'a> {
    Endpoint(EndpointId),
    Host(&'a str),
}

impl Aim<'_> {
    pub(super) fn endpoint(self) -> Option<EndpointId> {
        match self {
            Self::Endpoint(id) => Some(id),
            Self::Host(_) => None,
        }
    }

    pub(super) fn host(self) -> Option<String> {
        match self {
            Self::Endpoint(_) => None,
            Self::Host(name) => Some(name.into()),
        }
    }

    pub(super) fn words(self) -> String {
        match self {
            Self::Endpoint(_) => "this endpoint".into(),
            Self::Host(name) => format!("host {name}"),
        }
    }
}

fn percent(part: f64, whole: f64) -> f64 {
    verdict::round(100.0 * part / whole.max(1.0))
}

/// Who made up a window, in words.
fn callers(mix: &Mix) -> String {
    format!(
        "from about {} addresses, {} % of the requests from such that were welcome on a day before; {} % served, {} % failed by the server",
        mix.callers.estimate().round(),
        percent(mix.known, mix.requests),
        percent(mix.fine, mix.requests),
        percent(mix.broken, mix.requests),
    )
}

/// More requests than a window of this target had.
pub(super) fn rose(
    surge: Surge,
    cause: Cause,
    aim: Aim<'_>,
    season: &str,
    call: &Call<'_>,
) -> Option<Verdict> {
    let (span, target) = (verdict::length(surge.span), aim.words());
    let (severity, what) = match cause {
        // The host's errors tell of these.
        Cause::Retries => return None,
        Cause::Crowd => (Severity::Info, "a crowd of known callers"),
        Cause::Flood => (Severity::Medium, "a flood"),
    };
    let alone = cause == Cause::Flood && surge.mix.led_by(call.part.mark);
    let reading = match cause {
        Cause::Crowd => "many known callers who each do a little and are served: a crowd, no flood",
        _ if alone => "nearly all of it by one caller",
        _ => "not the usual callers doing a little more each: a flood, no crowd",
    };
    let why = vec![
        format!(
            "{} requests to {target} in {span}; expected at most about {}",
            surge.observed,
            verdict::round(surge.expected)
        ),
        format!(
            "mean of such windows {} (rhythm: {season}), the most in one before {}",
            verdict::round(surge.mean),
            verdict::round(surge.top)
        ),
        callers(&surge.mix),
        reading.into(),
    ];
    Some(verdict::sign(
        Sign {
            kind: VerdictKind::Volume,
            detector: match aim {
                Aim::Endpoint(_) => "endpoint-volume",
                Aim::Host(_) => "host-volume",
            },
            owasp: "API4:2023",
            severity,
            principal: alone.then(|| call.who.principal()),
            endpoint: aim.endpoint(),
            host: aim.host(),
            since: surge.since,
            expected: surge.expected,
            observed: surge.observed,
            rung: surge.rung,
            summary: format!(
                "{what} at {target}: {} requests in {span} where about {} is usual",
                surge.observed,
                verdict::round(surge.expected)
            ),
            why,
            sample: verdict::sample(call.x),
            series: surge.series,
            weighed: vec![("mean", surge.mean), ("most_before", surge.top)],
        },
        call.at,
    ))
}

/// More failed logins than a window of this endpoint had.
pub(super) fn refused(surge: Surge, call: &Call<'_>) -> Verdict {
    let span = verdict::length(surge.span);
    let alone = surge.mix.led_by(call.part.mark);
    let why = vec![
        format!(
            "{} failed logins in {span}; expected at most about {}",
            surge.observed,
            verdict::round(surge.expected)
        ),
        format!(
            "mean of such windows {}, the most in one before {}",
            verdict::round(surge.mean),
            verdict::round(surge.top)
        ),
        format!(
            "from about {} addresses",
            surge.mix.callers.estimate().round()
        ),
    ];
    verdict::sign(
        Sign {
            kind: VerdictKind::Credential,
            detector: "endpoint-failed-logins",
            owasp: "API2:2023",
            severity: Severity::High,
            principal: alone.then(|| call.who.principal()),
            endpoint: Some(call.endpoint),
            host: None,
            since: surge.since,
            expected: surge.expected,
            observed: surge.observed,
            rung: surge.rung,
            summary: format!(
                "{} failed logins in {span} where about {} is usual",
                surge.observed,
                verdict::round(surge.expected)
            ),
            why,
            sample: verdict::sample(call.x),
            series: surge.series,
            weighed: vec![("mean", surge.mean), ("most_before", surge.top)],
        },
        call.at,
    )
}

/// Traffic that rises, or falls, for quarters of an hour on end.
pub(super) fn moved(
    trend: Trend,
    view: &View,
    aim: Aim<'_>,
    season: &str,
    at: &Clock,
) -> Option<Verdict> {
    let target = aim.words();
    let cause = view.cause(&trend.mix, trend.expected);
    let severity = match (trend.rising, cause) {
        (true, Cause::Retries) => return None,
        (true, Cause::Crowd) => Severity::Info,
        _ => Severity::Medium,
    };
    let (kind, detector, owasp, word) = if trend.rising {
        (VerdictKind::Volume, "ramp", "API4:2023", "rises")
    } else if trend.observed == 0.0 {
        (VerdictKind::Availability, "traffic-drop", "", "has stopped")
    } else {
        (VerdictKind::Availability, "traffic-drop", "", "falls")
    };
    let mut why = vec![
        format!(
            "for {} quarters of an hour in a row or nearly so {} than usual; the last one {} requests, about {} expected",
            trend.windows,
            if trend.rising { "more" } else { "fewer" },
            trend.observed,
            verdict::round(trend.expected)
        ),
        format!(
            "expected from its mean, its rhythm ({season}) and the rest of its host at this time"
        ),
    ];
    if trend.observed > 0.0 {
        why.push(callers(&trend.mix));
    } else {
        why.push("the capture was whole, so nothing was overlooked".into());
    }
    Some(verdict::sign(
        Sign {
            kind,
            detector,
            owasp,
            severity,
            principal: None,
            endpoint: aim.endpoint(),
            host: aim.host(),
            since: trend.since,
            expected: trend.expected,
            observed: trend.observed,
            rung: trend.rung,
            summary: format!(
                "traffic to {target} {word}: {} requests in the last 15 min where about {} is usual",
                trend.observed,
                verdict::round(trend.expected)
            ),
            why,
            sample: view.sample.clone(),
            series: trend.series,
            weighed: vec![("windows", f64::from(trend.windows))],
        },
        at,
    ))
}
