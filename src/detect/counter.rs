//! Counts of one kind of thing for one principal, over three window lengths at once.
//!
//! A window's count is held against the most this principal has done in a window of that length
//! (a decayed maximum: what it did before it may do again) and against what its peers do in one,
//! whichever is more. The tail of the Gamma-Poisson law around that, with the peers' dispersion,
//! is the score; amounts, which are heavy-tailed, score by the logarithm of the ratio instead,
//! since a law of counts would call each large download a wonder. What the score is worth is the
//! [`Cell`]'s to say. A window that rings teaches little: its count enters the maximum at twice
//! the reference at most, and once a day at most.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::budget::{Cell, Rung};
use super::distinct::Distinct;
use super::past::Past;
use super::purse::Stage;
use super::renames::Renames;
use super::tail::log10_upper;
use super::{Clock, Item, Point};
use crate::catalog::EndpointId;

/// Window lengths in seconds: the quick, the patient and the slow attacker.
pub(super) const SPANS: [i64; 3] = [300, 3_600, 86_400];
/// Windows of its own after which a principal is known rather than new.
const KNOWN: u32 = 3;
/// Half-life of a maximum, in hours.
const HALF_LIFE: f32 = 14.0 * 24.0;
const SAMPLES: usize = 5;
/// Fewer things than this are nothing to call a person for, however rare.
const LEAST: f64 = 4.5;
/// Nor is what is hardly more than was expected.
const MARGIN: f64 = 1.25;
/// Score of an amount ten times the reference: beforehand a Pareto tail of index 1.4.
const HEAVY: f64 = 2.0;
/// Hours of a day in which one that never rests calls at least.
const RESTLESS: u32 = 20;
const MAX_PLACES: usize = 10_000;
/// Days on which strangers did something after which it is what is done, if the last was in so many.
const RECURRENT: u8 = 3;
const RECENT: i64 = 14;
/// The law is never broader than a geometric one, whose tail is a matter of the ratio alone.
const LEAST_SIZE: f64 = 1.0;
const HOUR: i64 = 3_600_000_000_000;
const DAY: i64 = 24 * HOUR;

/// What all principals do, in one kind of count.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Crowd {
    scales: [Peers; 3],
    /// By endpoint, what strangers did there: a new one is no surprise where others came before.
    places: BTreeMap<Spot, [Place; 3]>,
}

/// Where strangers are compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Spot {
    Endpoint(Option<EndpointId>),
    /// Paths that are no endpoint: the hash of where they lie.
    Below(u64),
}

/// The most that a caller without identity and without a past did in a window here, by day: what
/// it did today explains others from tomorrow on. Of one that rings little is learnt; but where
/// strangers came on three days and did as much, that is what is done here.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Place {
    day: i64,
    today: f64,
    before: f64,
    /// The most of today with nothing taken off, on how many days there was any, and the least of
    /// these days.
    whole: f64,
    days: u8,
    level: f64,
}

/// One thing to count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub item: Item,
    pub endpoint: Option<EndpointId>,
    /// Where a caller without identity does it.
    pub place: Option<Spot>,
    /// What this principal's other counts let expect, by window length.
    pub base: [f64; 3],
}

/// Windows of one length over all principals: moments of their counts, and the cells of the new
/// and of the known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Peers {
    windows: f64,
    sum: f64,
    squares: f64,
    hour: i64,
    cells: [Cell; 2],
}

/// A principal's windows with anything in them: each is one test of every kind, also where the
/// count stays at nothing.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Presence {
    scales: [Seen; 3],
    /// Hours of this day with anything in them, as bits.
    hours: u32,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Seen {
    /// Packet time over the span, plus one; 0 before the first.
    index: i64,
    since: i64,
    /// Windows before this one.
    closed: u32,
    /// Whether this one is a test: scores were collected when it began.
    tested: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Counter {
    windows: [Window; 3],
    raised: Option<Raised>,
    /// When it was last over the bar.
    over: i64,
    samples: Vec<CompactString>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Window {
    /// As in [`Seen`]: a counter's windows are those of the principal that it has a part in. There
    /// are many of them: numbers of windows and hours are of 32 bits, which are thousands of years.
    index: i32,
    seen: Distinct,
    count: f64,
    place: u8,
    /// Once rung, at most this much of the count is learnt; before, 0.
    cap: f64,
    /// The count when something of this principal was last over a bar.
    told: f64,
    /// The decayed maximum of the counts of windows before, and its hour.
    top: f32,
    top_hour: i32,
    /// The windows before.
    past: Past,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Raised {
    at: i64,
    observed: f64,
    endpoint: Option<EndpointId>,
}

/// A count that crossed the bar.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub span: i64,
    pub since: i64,
    pub expected: f64,
    pub observed: f64,
    pub rung: Rung,
    /// Windows of its own the principal had before, and the most it did in one.
    pub closed: u32,
    pub top: f64,
    /// What its peers do in one.
    pub peers: f64,
    pub endpoint: Option<EndpointId>,
    pub samples: Vec<String>,
    pub series: Vec<Point>,
}

impl Crowd {
    pub(super) fn merged(&mut self, from: EndpointId, into: EndpointId) {
        let Some(old) = self.places.remove(&Spot::Endpoint(Some(from))) else {
            return;
        };
        for (kept, old) in self
            .places
            .entry(Spot::Endpoint(Some(into)))
            .or_default()
            .iter_mut()
            .zip(old)
        {
            if kept.day == old.day {
                kept.today = kept.today.max(old.today);
            }
            kept.before = kept.before.max(old.before);
        }
    }

    pub(super) fn evicted(&mut self, endpoint: EndpointId) {
        self.places.remove(&Spot::Endpoint(Some(endpoint)));
    }
}

impl Crowd {
    /// What is usual of this where so much of another is: by the share over all principals.
    pub(super) fn share_of(&self, other: &Self, counts: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|i| {
            let (mine, its) = (self.scales[i].mean(), other.scales[i].mean());
            if its > 0.0 {
                counts[i] * mine / its
            } else {
                0.0
            }
        })
    }

    /// What is usual in a window of this length.
    pub(super) fn mean(&self, length: usize) -> f64 {
        self.scales[length].mean()
    }
}

impl Presence {
    /// The principal does something: windows that begin with it are counted as tests in all kinds.
    pub(super) fn turn(&mut self, at: &Clock, crowds: &mut [Crowd]) {
        if self.scales[2].index != at.secs.div_euclid(SPANS[2]) + 1 {
            self.hours = 0;
        }
        self.hours |= 1 << at.of_day();
        for (i, (seen, span)) in self.scales.iter_mut().zip(SPANS).enumerate() {
            let index = at.secs.div_euclid(span) + 1;
            if index == seen.index {
                continue;
            }
            let closed = if seen.index == 0 {
                0
            } else {
                seen.closed.saturating_add(1)
            };
            *seen = Seen {
                index,
                since: at.nanos,
                closed,
                tested: at.scoring,
            };
            for crowd in &mut *crowds {
                crowd.scales[i].open(seen, at.hour);
            }
        }
    }
}

impl Presence {
    /// Whether it called in nearly every hour of this day.
    pub(super) fn restless(&self) -> bool {
        self.hours.count_ones() >= RESTLESS
    }
}

impl Seen {
    /// Which of a length's two cells it is a test of: that of the new or of the known.
    fn cell(&self) -> usize {
        usize::from(self.closed >= KNOWN)
    }
}

impl Counter {
    /// Takes one thing; tells of the least likely window that it brought over the bar.
    pub(super) fn add(
        &mut self,
        entry: Entry,
        at: &Clock,
        presence: &Presence,
        crowd: &mut Crowd,
        stage: &mut Option<Stage<'_>>,
        sample: impl FnOnce() -> CompactString,
    ) -> Option<Hit> {
        let fresh = self.raised.is_none_or(|r| at.nanos - r.at > DAY);
        let mut worst: Option<Hit> = None;
        let mut caps = [0.0; 3];
        let (mut unusual, mut rang) = (false, false);
        for (i, window) in self.windows.iter_mut().enumerate() {
            let (seen, peers) = (&presence.scales[i], &mut crowd.scales[i]);
            window.turn(seen, at);
            let step = window.take(entry.item);
            let mut reference = peers.reference(window).max(entry.base[i]);
            let stranger = entry.place.filter(|_| seen.cell() == 0);
            if let Some(place) = stranger.and_then(|place| crowd.places.get_mut(&place)) {
                reference = reference.max(place[i].before(at));
            }
            caps[i] = 2.0 * reference;
            let Some(step) = step else { continue };
            if window.cap == 0.0 {
                peers.learn(window.count, step);
            }
            if window.count <= reference {
                continue;
            }
            unusual = true;
            // A window that is no test has no score.
            let rung = if seen.tested {
                let score = window.score(entry.item, reference, peers);
                let many = matches!(entry.item, Item::Many(_)) || window.count >= LEAST;
                let more = window.count >= MARGIN * reference;
                let stage = stage.as_mut().filter(|_| many && more);
                window.judge(seen, score, peers, stage, at, fresh)
            } else {
                None
            };
            if let Some(place) =
                stranger.filter(|p| crowd.places.len() < MAX_PLACES || crowd.places.contains_key(p))
            {
                let most = match (at.ringing, window.cap) {
                    (false, _) => f64::MAX,
                    (true, 0.0) => caps[i],
                    (true, cap) => cap,
                };
                crowd.places.entry(place).or_default()[i].learn(window.count, most, at);
            }
            let Some(rung) = rung else { continue };
            rang = true;
            let news = window.news(reference, self.raised, at);
            if news && worst.as_ref().is_none_or(|w| rung.log10_p < w.rung.log10_p) {
                worst = Some(window.hit(SPANS[i], seen, reference, peers.mean(), rung));
            }
        }
        if unusual {
            self.samples.truncate(SAMPLES - 1);
            self.samples.reserve_exact(1);
            self.samples.insert(0, sample());
        }
        if rang {
            self.over = at.nanos;
            let capless = self.windows.iter_mut().zip(caps);
            let capless = capless.filter(|(w, _)| w.cap == 0.0);
            capless.for_each(|(w, cap)| w.cap = cap);
        }
        worst.map(|hit| self.raise(hit, entry.endpoint, at))
    }

    /// Notes what is told now; keeps to the endpoint first named for a day.
    fn raise(&mut self, hit: Hit, endpoint: Option<EndpointId>, at: &Clock) -> Hit {
        let endpoint = self
            .raised
            .filter(|r| at.nanos - r.at < DAY)
            .map_or(endpoint, |r| r.endpoint);
        self.raised = Some(Raised {
            at: at.nanos,
            observed: hit.observed,
            endpoint,
        });
        let samples = self.samples.iter().rev().map(|s| s.to_string()).collect();
        Hit {
            endpoint,
            samples,
            ..hit
        }
    }

    pub(super) fn over(&self, at: &Clock) -> bool {
        self.over == at.nanos
    }

    /// Something is over a bar for this principal: what its windows hold by now is known.
    pub(super) fn told(&mut self) {
        self.windows.iter_mut().for_each(|w| w.told = w.count);
    }

    /// What its windows hold, of those that are open.
    pub(super) fn counts(&self, presence: &Presence) -> [f64; 3] {
        std::array::from_fn(|i| {
            let window = &self.windows[i];
            if i64::from(window.index) == presence.scales[i].index {
                window.count
            } else {
                0.0
            }
        })
    }

    /// The endpoint kept for later raises follows merges.
    pub(super) fn renamed(&mut self, endpoints: &Renames<EndpointId>) {
        if let Some(endpoint) = self.raised.as_mut().and_then(|r| r.endpoint.as_mut()) {
            endpoints.apply(endpoint);
        }
    }
}

impl Window {
    fn turn(&mut self, seen: &Seen, at: &Clock) {
        if seen.index == i64::from(self.index) {
            return;
        }
        if self.index != 0 {
            self.close(at.hour);
            let steps = seen.index - i64::from(self.index);
            self.past.close(self.count, steps);
        }
        self.index = seen.index as i32;
        (self.seen, self.count, self.place) = (Distinct::default(), 0.0, 0);
        (self.cap, self.told) = (0.0, 0.0);
    }

    fn close(&mut self, hour: i64) {
        let age = (hour - i64::from(self.top_hour)).max(0) as f32;
        let faded = self.top * (-age / HALF_LIFE).exp2();
        let learnt = match self.cap {
            0.0 => self.count as f32,
            _ if age < 24.0 && self.top_hour != 0 => 0.0,
            cap => self.count.min(cap) as f32,
        };
        if learnt > faded {
            self.top = learnt;
            self.top_hour = hour as i32;
        }
    }

    /// Counts the item; how much the count grew, or none where it is a repeat.
    fn take(&mut self, item: Item) -> Option<f64> {
        let before = self.count;
        match item {
            Item::Each => self.count += 1.0,
            Item::Many(n) => self.count += n,
            Item::Distinct(hash) if self.seen.insert(hash) => self.count = self.seen.estimate(),
            Item::Distinct(_) => return None,
        }
        (self.count > before).then_some(self.count - before)
    }

    /// Whether a window over the bar says more than was told: the first in a day, the double, or
    /// after an hour still going on. What a long window still holds of something that is over, or
    /// of what another detector told, is no news.
    fn news(&self, reference: f64, last: Option<Raised>, at: &Clock) -> bool {
        let grown = self.told == 0.0 || self.count - self.told > reference;
        let Some(last) = last.filter(|r| at.nanos - r.at < DAY) else {
            return grown;
        };
        self.count >= 2.0 * last.observed || (grown && at.nanos - last.at >= HOUR)
    }

    fn score(&self, item: Item, reference: f64, peers: &Peers) -> f64 {
        match item {
            Item::Many(_) => HEAVY * (self.count / reference).log10(),
            Item::Each | Item::Distinct(_) => -log10_upper(self.count, reference, peers.size()),
        }
    }

    /// Rings where the bar is crossed. The first window of a day that does stays in its cell, at
    /// the bar: a bar that rings too often rises. The others are one anomaly with it and leave.
    fn judge(
        &mut self,
        seen: &Seen,
        score: f64,
        peers: &mut Peers,
        stage: Option<&mut Stage<'_>>,
        at: &Clock,
        fresh: bool,
    ) -> Option<Rung> {
        let cell = &mut peers.cells[seen.cell()];
        let rung = stage.and_then(|stage| stage.judge(cell, score, at));
        self.place = match rung {
            Some(_) if fresh => self.place,
            Some(_) => cell.withdraw(self.place),
            None if self.cap == 0.0 => cell.climb(self.place, score),
            None => self.place,
        };
        rung
    }

    fn hit(&self, span: i64, seen: &Seen, expected: f64, peers: f64, rung: Rung) -> Hit {
        Hit {
            span,
            since: seen.since,
            expected,
            observed: self.count.round(),
            rung,
            closed: seen.closed,
            top: f64::from(self.top).round(),
            peers,
            endpoint: None,
            samples: Vec::new(),
            series: self
                .past
                .series(span, self.index.into(), self.count.round(), expected),
        }
    }
}

impl Place {
    fn before(&mut self, at: &Clock) -> f64 {
        let day = at.secs.div_euclid(86_400) + 1;
        if day != self.day {
            let passed = (day - self.day).clamp(0, 1_000);
            self.before = (self.before * (-passed as f64 / 14.0).exp2()).max(self.today);
            self.recur(passed);
            (self.today, self.whole, self.day) = (0.0, 0.0, day);
        }
        self.before
    }

    /// A day ended, and nothing was done here for some.
    fn recur(&mut self, passed: i64) {
        if self.whole > 0.0 {
            self.days = self.days.saturating_add(1);
            self.level = if self.days == 1 {
                self.whole
            } else {
                self.level.min(self.whole)
            };
        }
        if passed > RECENT {
            self.days = 0;
        }
        if self.days >= RECURRENT {
            self.before = self.before.max(self.level);
        }
    }

    fn learn(&mut self, count: f64, most: f64, at: &Clock) {
        self.before(at);
        self.today = self.today.max(count.min(most));
        self.whole = self.whole.max(count);
    }
}

impl Peers {
    fn open(&mut self, seen: &Seen, hour: i64) {
        if hour > self.hour {
            let keep = if self.hour == 0 {
                1.0
            } else {
                (-((hour - self.hour) as f64) / (28.0 * 24.0)).exp()
            };
            (self.windows, self.sum, self.squares) =
                (self.windows * keep, self.sum * keep, self.squares * keep);
            self.hour = hour;
        }
        self.windows += 1.0;
        if seen.tested {
            self.cells[seen.cell()].open(hour);
        }
    }

    /// A window's count grew by `step` to `count`: the moments follow without waiting for its end.
    fn learn(&mut self, count: f64, step: f64) {
        self.sum += step;
        self.squares += count * count - (count - step) * (count - step);
    }

    fn mean(&self) -> f64 {
        self.sum / self.windows.max(1.0)
    }

    /// Size of the Gamma-Poisson law; 1 (geometric) until there is enough to tell.
    fn size(&self) -> f64 {
        let (mean, n) = (self.mean(), self.windows.max(1.0));
        let variance = self.squares / n - mean * mean;
        if self.windows < 30.0 || variance <= mean {
            return if self.windows < 30.0 { 1.0 } else { 20.0 };
        }
        (mean * mean / (variance - mean)).clamp(LEAST_SIZE, 20.0)
    }

    /// What this principal may be expected to reach: its own most, or what peers do.
    fn reference(&self, window: &Window) -> f64 {
        f64::from(window.top).max(self.mean()).max(1.0)
    }
}
