//! The side of the target: endpoints and hosts, whoever calls them.
//!
//! What is spread over many callers is seen here and nowhere else. Each target has its counts, its
//! errors, its latency and sizes, a login endpoint also who fails to come in. What a surge is, a
//! crowd, retries or a flood, is read in `surge`.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::bloom::{Callers, network_hash};
use super::budget::{Cell, Family};
use super::credential::{Logins, Names};
use super::distinct::hash_text;
use super::feedback::{About, Opinions};
use super::principals::Followed;
use super::quality::{Errors, Quality};
use super::scale::{Part, QUARTER};
use super::season::Season;
use super::series::{Bars, Series};
use super::surge::{Aim, View, moved, refused, rose};
use super::{Clock, Verdict, credential, quality, verdict};
use crate::catalog::{Access, EndpointId};
use crate::exchange::Exchange;

/// Hosts followed at most; those beyond share one place.
const MAX_HOSTS: usize = 1_000;
const OTHERS_KEY: u64 = 0;
/// Characters of a host's name that a verdict shows.
const SHOWN: usize = 80;
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
    quality: quality::Cells,
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
    failures: Option<Box<Series>>,
    logins: Option<Box<Logins>>,
    quality: Quality,
    view: View,
}

impl Targets {
    /// Takes one exchange.
    pub(super) fn apply(
        &mut self,
        access: &Access,
        x: &Exchange,
        who: &Followed,
        at: &Clock,
        budget: Budget,
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
            .or_insert_with(|| Host::new(host_key, x, at));
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
        for quarter in swept.saturating_add(1)..=quarter {
            self.sweep(&clock(quarter.saturating_mul(QUARTER)), budget, out);
        }
        self.swept = Some(quarter.max(swept));
    }

    fn sweep(&mut self, at: &Clock, budget: f64, out: &mut Vec<Verdict>) {
        let cells = &mut self.cells;
        let per_week = (
            Family::EndpointVolume.cell(budget),
            Family::Quality.cell(budget),
        );
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

    pub(super) fn swept(&self) -> Option<i64> {
        self.swept
    }

    /// Every endpoint with its host, its requests and its host's season.
    pub(super) fn each(&self, mut look: impl FnMut(EndpointId, u64, &Series, &Season)) {
        for (endpoint, target) in &self.endpoints {
            if let Some(host) = self.hosts.get(&target.host) {
                look(*endpoint, target.host, &target.series, &host.season);
            }
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

/// How many false alarms a week all may cost, and these of an endpoint by what people said of it.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    pub all: f64,
    volume: f64,
    logins: f64,
}

impl Budget {
    pub(super) fn new(
        all: f64,
        opinions: &Opinions,
        endpoint: Option<EndpointId>,
        now: i64,
    ) -> Self {
        let own = |detector| {
            let about = endpoint.map(About::Endpoint);
            about.map_or(all, |about| all * opinions.factor(about, detector, now))
        };
        Self {
            all,
            volume: own("endpoint-volume"),
            logins: own("endpoint-failed-logins"),
        }
    }
}

/// One exchange on its way through the detectors of its target.
pub(super) struct Call<'a> {
    pub access: &'a Access,
    pub x: &'a Exchange,
    pub who: &'a Followed,
    pub part: Part,
    pub at: &'a Clock,
    pub endpoint: EndpointId,
    pub budget: Budget,
    pub out: &'a mut Vec<Verdict>,
}

/// The host's place: those past the limit share one.
fn host_key(hosts: &BTreeMap<u64, Box<Host>>, x: &Exchange) -> u64 {
    let key = hash_text(x.host.as_deref().unwrap_or_default());
    if hosts.len() < MAX_HOSTS || hosts.contains_key(&key) {
        key
    } else {
        OTHERS_KEY
    }
}

impl Host {
    fn new(key: u64, x: &Exchange, at: &Clock) -> Box<Self> {
        let name = match key {
            OTHERS_KEY => "the many others",
            _ => verdict::beginning(x.host.as_deref(), SHOWN),
        };
        Box::new(Self {
            name: name.into(),
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
        let (at, per_week) = (call.at, Family::EndpointVolume.cell(call.budget.all));
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
    fn errors(&mut self, call: &mut Call<'_>, cells: &mut quality::Cells) -> bool {
        let per_week = Family::Quality.cell(call.budget.all);
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
        let (at, per_week) = (call.at, Family::EndpointVolume.cell(call.budget.volume));
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
        let (at, per_week) = (call.at, Family::EndpointCredential.cell(call.budget.logins));
        let failed = credential::failed(call.access, call.x);
        let logins = self.logins.get_or_insert_default();
        let told = logins.take(failed, call, names, &mut cells.logins, per_week);
        let failures = self
            .failures
            .get_or_insert_with(|| Box::new(Series::new(at)));
        if told {
            failures.told(at, &host.season);
            self.series.told(at, &host.season);
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
