//! The side of the target: endpoints and hosts, whoever calls them.
//!
//! What is spread over many callers is seen here and nowhere else. Each target has its counts, its
//! errors, its latency and sizes, a login endpoint also who fails to come in. What crosses a bar
//! is then read once more: many known callers who each do a little and are served are a crowd; a
//! server that fails everybody who then tries again is a matter of availability, told once a host;
//! one caller who does nearly all is named; the rest is a flood.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::bloom::{Callers, network_hash};
use super::budget::{Cell, Family};
use super::credential::{Logins, Names};
use super::distinct::hash_text;
use super::principals::Followed;
use super::quality::{Errors, Quality};
use super::season::Season;
use super::series::{Bars, Mix, Part, QUARTER, Series, Surge, Trend};
use super::verdict::{self, Sign};
use super::{Clock, Severity, Verdict, VerdictKind, credential};
use crate::catalog::{Access, EndpointId};
use crate::exchange::Exchange;

/// Hosts followed at most; those beyond share one place.
const MAX_HOSTS: usize = 1_000;
/// Characters of a host's name that a verdict shows.
const SHOWN: usize = 80;
/// Requests whose callers a target remembers.
const MEMORY: f32 = 5_000.0;
/// A crowd: this share of requests is served, and a caller does so much at most in the window.
const SERVED: f64 = 0.8;
const EACH: f64 = 12.0;
/// Share of known callers below which a target is one of strangers.
const STRANGERS: f64 = 0.2;
/// What the rest of a host does is believed between these, over what was expected.
const OTHERS: (f64, f64) = (0.4, 2.5);
/// A host's endpoints do so much more than was expected, in the median, where all rise.
const GENERAL: f64 = 1.5;
/// Requests expected of the rest that weigh as much as knowing nothing of it.
const FEW: f64 = 50.0;
const HOUR: i64 = 3_600_000_000_000;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Targets {
    hosts: BTreeMap<u64, Box<Host>>,
    endpoints: BTreeMap<EndpointId, Box<Target>>,
    callers: Callers,
    names: Names,
    cells: Cells,
    /// The quarter of an hour up to which windows are closed.
    swept: Option<i64>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Cells {
    requests: [Cell; 4],
    failures: [Cell; 4],
    ramp: Cell,
    drop: Cell,
    logins: credential::Cells,
    quality: super::quality::Cells,
}

#[derive(Debug, Serialize, Deserialize)]
struct Host {
    name: CompactString,
    season: Season,
    series: Series,
    errors: Errors,
    view: View,
    /// When one of its endpoints, or its errors, last rang.
    told: i64,
    failed: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Target {
    host: u64,
    series: Series,
    failures: Option<Series>,
    logins: Option<Box<Logins>>,
    quality: Quality,
    view: View,
}

/// What a target's verdicts show of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct View {
    sample: CompactString,
    sampled: i64,
    /// No part of the capture was missing in this quarter of an hour.
    complete: bool,
    /// Requests from known callers and all, with a memory.
    known: f32,
    all: f32,
}

/// What a surge is, seen from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Crowd,
    Retries,
    Flood,
}

impl View {
    fn take(&mut self, access: &Access, x: &Exchange, part: Part, at: &Clock) {
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
    fn cause(&self, mix: &Mix, usual: f64) -> Cause {
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

impl Targets {
    /// Takes one exchange. `budget` is how many false alarms a week all may cost.
    pub(super) fn apply(
        &mut self,
        access: &Access,
        x: &Exchange,
        who: &Followed,
        at: &Clock,
        budget: f64,
        out: &mut Vec<Verdict>,
    ) {
        let Some(endpoint) = access.endpoint.filter(|_| access.confirmed) else {
            return;
        };
        let status = x.status.unwrap_or(0);
        let caller = network_hash(x.client);
        let welcome = (200..400).contains(&status);
        let known = self.callers.meet(caller, welcome, at);
        let part = Part {
            status,
            known,
            caller,
            mark: who.mark(),
        };
        let host_key = host_key(&self.hosts, x);
        let host = self
            .hosts
            .entry(host_key)
            .or_insert_with(|| Host::new(x, at));
        let target = self
            .endpoints
            .entry(endpoint)
            .or_insert_with(|| Target::new(host_key, at));
        host.season.count();
        let cells = &mut self.cells;
        let mut call = Call {
            access,
            x,
            who,
            part,
            at,
            endpoint,
            budget,
            out,
        };
        let failing = host.errors(&mut call, &mut cells.quality);
        target.requests(host, &mut call, &mut cells.requests);
        target.view.take(access, x, part, at);
        target.logins(host, &mut call, cells, &mut self.names);
        let quality = &mut target.quality;
        quality.take(&mut call, &mut cells.quality, failing);
        host.requests(&mut call, &mut cells.requests);
        host.view.take(access, x, part, at);
    }

    /// Packet time has come to `now`: closes all quarters of an hour that are over, one by one, as
    /// if each had been waited for. `clock` makes the time of a second.
    pub(super) fn advance(
        &mut self,
        now: i64,
        clock: impl Fn(i64) -> Clock,
        budget: f64,
        out: &mut Vec<Verdict>,
    ) {
        /// Eight days; a longer silence is cut to that.
        const LONGEST: i64 = 8 * 96;
        let quarter = now.div_euclid(QUARTER);
        let swept = self
            .swept
            .unwrap_or(quarter)
            .max(quarter.saturating_sub(LONGEST));
        for quarter in swept + 1..=quarter {
            self.sweep(&clock(quarter.saturating_mul(QUARTER)), budget, out);
        }
        self.swept = Some(quarter.max(swept));
    }

    fn sweep(&mut self, at: &Clock, budget: f64, out: &mut Vec<Verdict>) {
        let (cells, per_week) = (&mut self.cells, Family::EndpointVolume.cell(budget));
        let others = others(&self.hosts, &self.endpoints, at);
        for (key, host) in &mut self.hosts {
            let bars = Bars {
                ramp: &mut cells.ramp,
                drop: &mut cells.drop,
                per_week,
            };
            let complete = host.view.complete;
            let trend = host.series.sweep(at, &host.season, 1.0, complete, bars);
            // A host rises where its endpoints do; the rise of one is told there.
            let general = others.get(key).is_some_and(|ratio| *ratio > GENERAL);
            if let Some(trend) = trend.filter(|t| !t.rising || general) {
                let season = host.series.beat(&host.season).words(at.hour);
                let aim = Aim::Host(&host.name);
                out.extend(moved(trend, &host.view, aim, season, at));
            }
        }
        for (endpoint, target) in &mut self.endpoints {
            let Some(host) = self.hosts.get_mut(&target.host) else {
                continue;
            };
            let others = others.get(&target.host).copied().unwrap_or(1.0);
            let bars = Bars {
                ramp: &mut cells.ramp,
                drop: &mut cells.drop,
                per_week,
            };
            let complete = target.view.complete && !host.series.falling(at);
            let trend = target
                .series
                .sweep(at, &host.season, others, complete, bars);
            if let Some(trend) = trend {
                host.told = at.nanos;
                let view = &target.view;
                let season = target.series.beat(&host.season).words(at.hour);
                let aim = Aim::Endpoint(*endpoint);
                out.extend(moved(trend, view, aim, season, at));
            }
            if let Some(failures) = &mut target.failures {
                failures.close(at, &host.season);
            }
        }
        if at.secs.rem_euclid(3_600) == 0 {
            self.hosts.values_mut().for_each(|h| h.season.close(at));
        }
    }

    pub(super) fn merged(&mut self, from: EndpointId, into: EndpointId) {
        let Some(old) = self.endpoints.remove(&from) else {
            return;
        };
        match self.endpoints.get_mut(&into) {
            Some(kept) => kept.absorb(*old),
            None => drop(self.endpoints.insert(into, old)),
        }
    }

    pub(super) fn evicted(&mut self, endpoint: EndpointId) {
        self.endpoints.remove(&endpoint);
    }
}

/// What each host's endpoints that keep its rhythm did in the last quarter of an hour over what was
/// expected of them: the median, weighted by what was expected, so that no one of them decides.
fn others(
    hosts: &BTreeMap<u64, Box<Host>>,
    endpoints: &BTreeMap<EndpointId, Box<Target>>,
    at: &Clock,
) -> BTreeMap<u64, f64> {
    let mut ratios: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
    for target in endpoints.values() {
        let Some(host) = hosts.get(&target.host) else {
            continue;
        };
        if let Some((count, usual)) = target.series.quarter(at, &host.season) {
            let ratio = (count + 0.5) / (usual + 0.5);
            ratios.entry(target.host).or_default().push((ratio, usual));
        }
    }
    let median = |mut ratios: Vec<(f64, f64)>| {
        ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
        let all: f64 = ratios.iter().map(|(_, weight)| weight).sum();
        let mut left = all / 2.0;
        let found = ratios.iter().find(|(_, weight)| {
            left -= weight;
            left <= 0.0
        });
        let ratio = found.map_or(1.0, |(ratio, _)| ratio.clamp(OTHERS.0, OTHERS.1));
        // Few requests say little of the rest.
        ratio.powf(all / (all + FEW))
    };
    let hosts = ratios.into_iter();
    hosts.map(|(host, ratios)| (host, median(ratios))).collect()
}

/// One exchange on its way through the detectors of its target.
pub(super) struct Call<'a> {
    pub access: &'a Access,
    pub x: &'a Exchange,
    pub who: &'a Followed,
    pub part: Part,
    pub at: &'a Clock,
    pub endpoint: EndpointId,
    pub budget: f64,
    pub out: &'a mut Vec<Verdict>,
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

/// The host's place: those past the limit share one.
fn host_key(hosts: &BTreeMap<u64, Box<Host>>, x: &Exchange) -> u64 {
    let key = hash_text(x.host.as_deref().unwrap_or_default());
    if hosts.len() < MAX_HOSTS || hosts.contains_key(&key) {
        key
    } else {
        0
    }
}

impl Host {
    fn new(x: &Exchange, at: &Clock) -> Box<Self> {
        Box::new(Self {
            name: verdict::beginning(x.host.as_deref(), SHOWN).into(),
            season: Season::default(),
            series: Series::new(at),
            errors: Errors::default(),
            view: View::default(),
            told: i64::MIN / 2,
            failed: i64::MIN / 2,
        })
    }

    /// Its requests; told only where none of its endpoints rang.
    fn requests(&mut self, call: &mut Call<'_>, cells: &mut [Cell; 4]) {
        let (at, per_week) = (call.at, Family::EndpointVolume.cell(call.budget));
        let surge = self
            .series
            .count(1.0, call.part, at, &self.season, cells, per_week);
        let Some(surge) = surge.filter(|_| at.nanos - self.told > HOUR) else {
            return;
        };
        let usual = self.series.usual(surge.span, &self.season, at);
        let cause = self.view.cause(&surge.mix, usual);
        let season = self.series.beat(&self.season).words(at.hour);
        let aim = Aim::Host(&self.name);
        call.out.extend(rose(surge, cause, aim, season, call));
    }

    /// Failures of the server, over all callers; whether the host is failing now.
    fn errors(&mut self, call: &mut Call<'_>, cells: &mut super::quality::Cells) -> bool {
        let per_week = Family::Quality.cell(call.budget);
        let rung = self.errors.take(call, &mut cells.errors, per_week);
        if let Some(rung) = rung {
            self.failed = call.at.nanos;
            let aim = Aim::Host(&self.name);
            call.out.push(self.errors.verdict(rung, aim, call));
        }
        self.errors.open(call.at) || call.at.nanos - self.failed < HOUR
    }
}

impl Target {
    fn new(host: u64, at: &Clock) -> Box<Self> {
        Box::new(Self {
            host,
            series: Series::new(at),
            failures: None,
            logins: None,
            quality: Quality::default(),
            view: View::default(),
        })
    }

    fn requests(&mut self, host: &mut Host, call: &mut Call<'_>, cells: &mut [Cell; 4]) {
        let (at, per_week) = (call.at, Family::EndpointVolume.cell(call.budget));
        let surge = self
            .series
            .count(1.0, call.part, at, &host.season, cells, per_week);
        let Some(surge) = surge else { return };
        host.told = at.nanos;
        let usual = self.series.usual(surge.span, &host.season, at);
        let cause = self.view.cause(&surge.mix, usual);
        let season = self.series.beat(&host.season).words(at.hour);
        let aim = Aim::Endpoint(call.endpoint);
        call.out.extend(rose(surge, cause, aim, season, call));
    }

    /// Failed logins by count, by share, and by names that never came in here.
    fn logins(&mut self, host: &Host, call: &mut Call<'_>, cells: &mut Cells, names: &mut Names) {
        if !call.access.login && call.x.login.is_none() {
            return;
        }
        let (at, per_week) = (call.at, Family::EndpointCredential.cell(call.budget));
        let failed = credential::failed(call.access, call.x);
        let logins = self.logins.get_or_insert_default();
        let told = logins.take(failed, call, names, &mut cells.logins, per_week);
        let failures = self.failures.get_or_insert_with(|| Series::new(at));
        if told {
            failures.told(at, &host.season);
        }
        let step = f64::from(u8::from(failed));
        let cells_of = &mut cells.failures;
        let surge = failures.count(step, call.part, at, &host.season, cells_of, per_week);
        call.out.extend(surge.map(|s| refused(s, call)));
    }

    fn absorb(&mut self, old: Self) {
        self.series.absorb(&old.series);
        match (&mut self.failures, old.failures) {
            (Some(kept), Some(old)) => kept.absorb(&old),
            (kept @ None, old) => *kept = old,
            (Some(_), None) => {}
        }
        match (&mut self.logins, old.logins) {
            (Some(kept), Some(old)) => kept.absorb(&old),
            (kept @ None, old) => *kept = old,
            (Some(_), None) => {}
        }
        self.quality.absorb(&old.quality);
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
fn rose(
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
        },
        call.at,
    ))
}

/// More failed logins than a window of this endpoint had.
fn refused(surge: Surge, call: &Call<'_>) -> Verdict {
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
        },
        call.at,
    )
}

/// Traffic that rises, or falls, for quarters of an hour on end.
fn moved(trend: Trend, view: &View, aim: Aim<'_>, season: &str, at: &Clock) -> Option<Verdict> {
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
        },
        at,
    ))
}
