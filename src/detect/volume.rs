//! Volume: how many requests, by principal and by endpoint; and failed logins by endpoint.
//!
//! A principal's requests are a count like the other ones. An endpoint has a rhythm: its windows
//! follow each other, empty ones included. What is expected of one is the endpoint's decayed mean
//! times the season (hour of day, week part), or the most it did in one before (a decayed
//! maximum), whichever is more. Nightly jobs and crawls are thus explained after the first.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::budget::{Cell, Rung};
use super::tail::log10_upper;
use super::{Clock, Item, Point, Severity, VerdictKind, Watch};
use crate::catalog::EndpointId;
use crate::time::Timestamp;

pub(super) const WATCH: Watch = Watch {
    detector: "principal-volume",
    kind: VerdictKind::Volume,
    owasp: "API4:2023",
    unit: "requests",
    severity: Severity::Low,
    names_endpoint: false,
    precedent: true,
    pick: |_| Some(Item::Each),
};

/// Window lengths in seconds.
const SPANS: [i64; 4] = [60, 900, 7_200, 86_400];
/// Weight of one window in the mean, by length: some days of memory.
const WEIGHTS: [f64; 4] = [1.0 / 10_000.0, 1.0 / 700.0, 1.0 / 90.0, 1.0 / 14.0];
/// Half-life of a maximum, in hours.
const HALF_LIFE: f64 = 14.0 * 24.0;
/// An endpoint younger than this has no baseline yet, in hours: its callers are watched instead.
const YOUNG: i64 = 24;
/// Windows without which there is nothing to hold one against.
const BEGINNER: f64 = 3.0;
const POINTS: usize = 60;
const HOUR: i64 = 3_600_000_000_000;

/// Endpoints by id, the season they share, and their cells.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Endpoints {
    requests: Board,
    failures: Board,
    season: Season,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Board {
    series: BTreeMap<EndpointId, Box<Series>>,
    cells: [Cell; 4],
}

/// All traffic by hour of day and week part: the shape that an endpoint has until its own is known.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Season {
    slots: [[f64; 24]; 2],
    hours: [[f64; 24]; 2],
    hour: i64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Series {
    born: i64,
    scales: [Scale; 4],
    raised: Option<(i64, f64)>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Scale {
    /// Packet time over the span, plus one; 0 before the first.
    index: i64,
    since: i64,
    count: f64,
    place: u8,
    cap: Option<f64>,
    /// The count when the series was last over the bar.
    told: f64,
    /// Windows so far, decayed mean (season taken out) and mean square of their counts.
    windows: f64,
    mean: f64,
    square: f64,
    /// The most in one window, and the hour that was.
    top: f64,
    top_hour: i64,
    /// The last windows, oldest first: index, expected, observed.
    recent: VecDeque<(i64, f32, f32)>,
}

/// An endpoint's window that crossed the bar.
#[derive(Clone, Debug)]
pub(super) struct Surge {
    pub span: i64,
    pub since: i64,
    pub expected: f64,
    pub observed: f64,
    pub mean: f64,
    pub top: f64,
    /// This hour's share of traffic over the mean hour's.
    pub season: f64,
    pub rung: Rung,
    pub series: Vec<Point>,
}

impl Endpoints {
    /// Takes a request; a failed login counts there too. A window of requests is a test of both.
    pub(super) fn request(
        &mut self,
        endpoint: EndpointId,
        failed: bool,
        at: &Clock,
        per_week: f64,
    ) -> [Option<Surge>; 2] {
        self.season.count(at);
        let requests = self
            .requests
            .count(endpoint, 1.0, at, &self.season, per_week);
        let login = failed || self.failures.series.contains_key(&endpoint);
        let step = if failed { 1.0 } else { 0.0 };
        let failures = login
            .then(|| {
                self.failures
                    .count(endpoint, step, at, &self.season, per_week)
            })
            .flatten();
        [requests, failures]
    }

    pub(super) fn merged(&mut self, from: EndpointId, into: EndpointId) {
        for board in [&mut self.requests, &mut self.failures] {
            let Some(old) = board.series.remove(&from) else {
                continue;
            };
            match board.series.entry(into) {
                std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(old)),
                std::collections::btree_map::Entry::Occupied(mut kept) => {
                    kept.get_mut().absorb(&old)
                }
            }
        }
    }

    pub(super) fn evicted(&mut self, endpoint: EndpointId) {
        self.requests.series.remove(&endpoint);
        self.failures.series.remove(&endpoint);
    }
}

impl Board {
    fn count(
        &mut self,
        endpoint: EndpointId,
        step: f64,
        at: &Clock,
        season: &Season,
        per_week: f64,
    ) -> Option<Surge> {
        let series = self.series.entry(endpoint).or_insert_with(|| {
            Box::new(Series {
                born: at.hour,
                ..Series::default()
            })
        });
        series.count(step, at, season, &mut self.cells, per_week)
    }
}

impl Series {
    fn count(
        &mut self,
        step: f64,
        at: &Clock,
        season: &Season,
        cells: &mut [Cell; 4],
        per_week: f64,
    ) -> Option<Surge> {
        let tested = at.scoring && at.hour - self.born >= YOUNG;
        let fresh = self
            .raised
            .is_none_or(|(when, _)| at.nanos - when > 24 * HOUR);
        let (mut worst, mut rang) = (None::<Surge>, false);
        for (i, (scale, cell)) in self.scales.iter_mut().zip(cells).enumerate() {
            scale.turn(i, at, season, tested.then_some(&mut *cell));
            scale.count += step;
            let (expected, top) = scale.expected(SPANS[i], at, season);
            if step == 0.0 || !tested || scale.windows < BEGINNER || scale.count <= expected {
                continue;
            }
            let Some(rung) = scale.judge(expected, cell, at, per_week, fresh) else {
                continue;
            };
            rang = true;
            let news = scale.news(expected, self.raised, at);
            if news && worst.as_ref().is_none_or(|w| rung.log10_p < w.rung.log10_p) {
                let factor = season.factor(SPANS[i], at.of_day, at.weekend);
                worst = Some(scale.surge(i, (expected, factor), top, rung));
            }
        }
        if rang {
            for (scale, span) in self.scales.iter_mut().zip(SPANS) {
                let expected = scale.expected(span, at, season).0;
                scale.cap.get_or_insert(2.0 * expected);
                scale.told = scale.count;
            }
        }
        let surge = worst?;
        self.raised = Some((at.nanos, surge.observed));
        Some(surge)
    }

    /// Adds another endpoint's past: means add, and maxima at worst coincide.
    fn absorb(&mut self, old: &Self) {
        self.born = self.born.min(old.born);
        for (mine, its) in self.scales.iter_mut().zip(&old.scales) {
            mine.square += its.square + 2.0 * mine.mean * its.mean;
            mine.mean += its.mean;
            mine.windows = mine.windows.max(its.windows);
            if mine.index == its.index {
                mine.count += its.count;
            }
            mine.top += its.top;
            mine.top_hour = mine.top_hour.max(its.top_hour);
        }
    }
}

impl Scale {
    fn turn(&mut self, i: usize, at: &Clock, season: &Season, cell: Option<&mut Cell>) {
        let span = SPANS[i];
        let index = at.secs.div_euclid(span) + 1;
        if index == self.index {
            return;
        }
        if self.index != 0 {
            self.close(i, at, season, (index - self.index - 1).max(0) as f64);
        }
        (self.index, self.since, self.count, self.place, self.cap) =
            (index, at.nanos, 0.0, 0, None);
        if let Some(cell) = cell {
            cell.open(at.hour);
        }
    }

    /// Learns the window that ended and the `empty` ones after it.
    fn close(&mut self, i: usize, at: &Clock, season: &Season, empty: f64) {
        let began = (self.index - 1) * SPANS[i];
        let slot = began.div_euclid(3_600).rem_euclid(24) as usize;
        let (expected, _) = self.expected_at(SPANS[i], slot, weekend(began), season, at.hour);
        self.recent
            .push_back((self.index, expected as f32, self.count as f32));
        if self.recent.len() > POINTS {
            self.recent.pop_front();
        }
        let count = self.cap.map_or(self.count, |cap| self.count.min(cap));
        let level = count / season.factor(SPANS[i], slot, weekend(began));
        // Plain mean first, then a decayed one.
        let weight = WEIGHTS[i].max(1.0 / (self.windows + 1.0));
        self.mean += weight * (level - self.mean);
        self.square += weight * (level * level - self.square);
        self.windows += 1.0 + empty;
        let fade = (1.0 - WEIGHTS[i].max(1.0 / self.windows.max(1.0))).powf(empty);
        self.mean *= fade;
        self.square *= fade;
        // What rang raises the maximum once a day at most, or it would double with each window.
        let again = self.cap.is_some() && at.hour - self.top_hour < 24;
        if !again && count > self.faded(at.hour) {
            (self.top, self.top_hour) = (count, at.hour);
        }
    }

    fn expected(&self, span: i64, at: &Clock, season: &Season) -> (f64, f64) {
        self.expected_at(span, at.of_day, at.weekend, season, at.hour)
    }

    /// What a window at this hour may reach, and the most that one did.
    fn expected_at(
        &self,
        span: i64,
        slot: usize,
        weekend: bool,
        season: &Season,
        hour: i64,
    ) -> (f64, f64) {
        let top = self.faded(hour);
        (
            (self.mean * season.factor(span, slot, weekend))
                .max(top)
                .max(1.0),
            top,
        )
    }

    fn faded(&self, hour: i64) -> f64 {
        self.top * (-((hour - self.top_hour).max(0) as f64) / HALF_LIFE).exp2()
    }

    /// As a principal's window does: the first in a day, the double, or still going on.
    fn news(&self, expected: f64, last: Option<(i64, f64)>, at: &Clock) -> bool {
        let grown = self.told == 0.0 || self.count - self.told > expected;
        let Some((when, seen)) = last.filter(|(when, _)| at.nanos - when < 24 * HOUR) else {
            return grown;
        };
        self.count >= 2.0 * seen || (grown && at.nanos - when >= HOUR)
    }

    fn judge(
        &mut self,
        expected: f64,
        cell: &mut Cell,
        at: &Clock,
        per_week: f64,
        fresh: bool,
    ) -> Option<Rung> {
        let variance = self.square - self.mean * self.mean;
        let size = if variance > self.mean {
            self.mean * self.mean / (variance - self.mean)
        } else {
            20.0
        };
        // What is held against is near a maximum, whose spread is less than that of the mean.
        let score = -log10_upper(self.count, expected, size.clamp(2.0, 20.0));
        let rung = if at.ringing {
            cell.rings(score, per_week)
        } else {
            None
        };
        self.place = match rung {
            Some(_) if fresh => self.place,
            Some(_) => cell.withdraw(self.place),
            None if self.cap.is_none() => cell.climb(self.place, score),
            None => self.place,
        };
        rung
    }

    fn surge(&self, i: usize, (expected, season): (f64, f64), top: f64, rung: Rung) -> Surge {
        let point = |(index, expected, observed): (i64, f64, f64)| Point {
            at: Timestamp::from_secs((index - 1).saturating_mul(SPANS[i])),
            expected,
            observed,
        };
        let past = self
            .recent
            .iter()
            .skip((self.recent.len() + 1).saturating_sub(POINTS));
        let past = past.map(|(index, e, o)| point((*index, f64::from(*e), f64::from(*o))));
        Surge {
            span: SPANS[i],
            since: self.since,
            expected,
            observed: self.count,
            mean: self.mean,
            top,
            season,
            rung,
            series: past
                .chain([point((self.index, expected, self.count))])
                .collect(),
        }
    }
}

impl Season {
    fn count(&mut self, at: &Clock) {
        let part = usize::from(at.weekend);
        if at.hour != self.hour {
            self.hours[part][at.of_day] += 1.0;
            if self.hours[part][at.of_day] > 28.0 {
                self.hours[part][at.of_day] /= 2.0;
                self.slots[part][at.of_day] /= 2.0;
            }
            self.hour = at.hour;
        }
        self.slots[part][at.of_day] += 1.0;
    }

    /// This hour's share of traffic over the mean hour's: 1 where little is known.
    fn factor(&self, span: i64, slot: usize, weekend: bool) -> f64 {
        if span >= 86_400 {
            return 1.0;
        }
        let all: f64 = self.slots.iter().flatten().sum();
        let hours: f64 = self.hours.iter().flatten().sum();
        let mean = all / hours.max(1.0);
        let part = usize::from(weekend);
        // One hour's worth of the mean is believed beforehand.
        let own = (self.slots[part][slot] + mean) / (self.hours[part][slot] + 1.0);
        if mean > 0.0 {
            (own / mean).clamp(0.1, 10.0)
        } else {
            1.0
        }
    }
}

/// Saturday and Sunday; the epoch began on a Thursday.
pub(super) fn weekend(secs: i64) -> bool {
    secs.div_euclid(86_400).rem_euclid(7) == 2 || secs.div_euclid(86_400).rem_euclid(7) == 3
}
