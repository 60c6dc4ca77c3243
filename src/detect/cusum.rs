//! Sums of evidence: small signs that go on.
//!
//! Page's CUSUM (1954): log-likelihood ratios in nats are summed and never fall below zero, so that
//! a slow change adds up and a passing one is forgotten. A day's highest sum is one test of its
//! [`Cell`]; sums that came before without an alarm may come again. A [`Share`] is the commonest
//! sum: how often something happens among trials, against how often it did.

use serde::{Deserialize, Serialize};

use super::budget::{Cell, Rung};
use super::{Clock, Point};
use crate::time::Timestamp;

/// Half-life of the highest sum known, in hours.
const HALF_LIFE: f64 = 14.0 * 24.0;
const HOUR: i64 = 3_600_000_000_000;
const DAY: i64 = 24 * HOUR;
/// A sum is news where it is this much more than one known.
const MARGIN: f64 = 1.25;
/// Evidence that is as good as any, in nats: an anomaly ends soon after its cause.
const ENOUGH: f64 = 60.0;
/// A sum that an anomaly may at least teach, in nats.
const NOTABLE: f64 = 5.0;
/// A day that did not ring counts in its cell up to this score: it may be part of an anomaly.
const MOST_SCORE: f64 = 8.0;
/// What is left of a sum that was told, in nats.
const LINGER: f64 = 10.0;
/// What rings so many days on end is learnt, by the double a day.
const STREAK: u8 = 3;
/// What one trial may say at most, in nats: no two or three make an alarm.
const MOST: f64 = 2.5;
/// A change that is one.
const SEVERAL: f64 = 4.0;
/// While an anomaly is open, one trial teaches as much as this of another.
const CLIPPED: f64 = 0.05;
/// Hours of silence in which half the evidence of a share is forgotten.
const SILENCE: f64 = 1.0;
/// Evidence that is none, in nats.
const FADED: f64 = 0.1;
/// Trials that a share remembers, and the weight of what is believed of it beforehand.
const MEMORY: f64 = 5_000.0;
const BELIEVED: f64 = 30.0;

/// A sum's highest by day, held against the highest known.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Peak {
    top: f64,
    top_hour: i64,
    peak: f64,
    /// The day of the test, plus one.
    day: i64,
    tested: bool,
    streak: u8,
    /// When it last rang.
    rung: Option<i64>,
}

impl Peak {
    /// A sum stands at this many nats.
    pub(super) fn judge(
        &mut self,
        sum: f64,
        at: &Clock,
        cell: &mut Cell,
        per_week: f64,
    ) -> Option<Rung> {
        self.turn(sum, at, cell);
        self.peak = self.peak.max(sum);
        let score = (sum - MARGIN * self.top) / std::f64::consts::LN_10;
        if score <= 0.0 || !self.tested {
            return None;
        }
        let rung = if at.ringing {
            cell.rings(score, per_week)
        } else {
            None
        };
        // The first in a day, or after an hour still going on.
        let rung = rung.filter(|_| self.rung.is_none_or(|when| at.nanos - when >= HOUR))?;
        self.rung = Some(at.nanos);
        Some(rung)
    }

    /// A new day: the most of the last one is learnt; of one that rang, little.
    fn turn(&mut self, sum: f64, at: &Clock, cell: &mut Cell) {
        let day = at.secs.div_euclid(86_400) + 1;
        if day == self.day {
            return;
        }
        // A sum that is still growing must not raise the bar it is held against: a day enters the
        // cell when it is over, one that rang at nothing.
        let score = (self.peak - MARGIN * self.top) / std::f64::consts::LN_10;
        if self.tested && self.rung.is_none() {
            cell.climb(0, score.min(MOST_SCORE));
        }
        let faded = self.top * (-((at.hour - self.top_hour).max(0) as f64) / HALF_LIFE).exp2();
        self.streak = if self.rung.is_some() && day - self.day <= 1 {
            self.streak.saturating_add(1)
        } else {
            0
        };
        let learnt = match self.streak {
            0 => self.peak,
            1..STREAK => self.peak.min(self.top.max(NOTABLE)),
            _ => self.peak.min((2.0 * self.top).max(NOTABLE)),
        };
        if learnt > faded {
            (self.top, self.top_hour) = (learnt, at.hour);
        }
        (self.day, self.tested, self.peak) = (day, at.scoring, sum);
        if self.rung.is_some_and(|when| at.nanos - when > DAY) {
            (self.rung, self.streak) = (None, 0);
        }
        if at.scoring {
            cell.open(at.hour);
        }
    }

    /// What a sum may hold: for an hour after it rang no more than a little, so that what rings
    /// again is what goes on, and not the memory of what was told.
    pub(super) fn held(&self, sum: f64, at: &Clock) -> f64 {
        match self.rung {
            Some(when) if at.nanos - when < HOUR => sum.min(LINGER),
            _ => sum,
        }
    }

    /// Whether it rang within a day.
    pub(super) fn rang(&self, at: &Clock) -> bool {
        self.rung.is_some_and(|when| at.nanos - when <= DAY)
    }

    pub(super) fn absorb(&mut self, old: &Self) {
        if old.top > self.top {
            (self.top, self.top_hour) = (old.top, old.top_hour);
        }
    }
}

/// A sum with its peak.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sum {
    pub sum: f64,
    pub since: i64,
    last: i64,
    /// Signs for and trials since the sum was last nothing.
    pub signs: u32,
    pub trials: u32,
    peak: Peak,
}

impl Sum {
    /// Adds nats; only a sign for the change can ring, if `loud`.
    pub(super) fn add(
        &mut self,
        nats: f64,
        loud: bool,
        at: &Clock,
        cell: &mut Cell,
        per_week: f64,
    ) -> Option<Rung> {
        if self.sum <= 0.0 {
            (self.signs, self.trials, self.since) = (0, 0, at.nanos);
        }
        self.last = at.nanos;
        self.trials = self.trials.saturating_add(1);
        self.signs = self.signs.saturating_add(u32::from(nats > 0.0));
        self.sum = self.peak.held((self.sum + nats).clamp(0.0, ENOUGH), at);
        if nats > 0.0 && loud {
            self.peak.judge(self.sum, at, cell, per_week)
        } else {
            self.peak.turn(self.sum, at, cell);
            None
        }
    }

    /// Forgets with silence.
    fn fade(&mut self, at: &Clock) {
        let silent = (at.nanos - self.last).max(0) as f64 / HOUR as f64;
        self.sum *= (-silent / SILENCE).exp2();
        if self.sum < FADED {
            self.sum = 0.0;
        }
    }

    /// Whether what is going on is an anomaly.
    pub(super) fn open(&self, at: &Clock) -> bool {
        self.sum > 0.0 && self.peak.rang(at)
    }

    pub(super) fn absorb(&mut self, old: &Self) {
        self.peak.absorb(&old.peak);
    }
}

/// Seconds of one point of a sum's chart, and how many are kept.
const BUCKET: i64 = 300;
const BUCKETS: usize = 24;

/// Trials and signs of late, by time: the chart behind a sum.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Buckets(Vec<(i64, u32, u32)>);

impl Buckets {
    pub(super) fn take(&mut self, hit: bool, at: &Clock) {
        let index = at.secs.div_euclid(BUCKET);
        if self.0.last().is_none_or(|(i, ..)| *i != index) {
            if self.0.len() >= BUCKETS {
                self.0.remove(0);
            }
            self.0.push((index, 0, 0));
        }
        if let Some((_, signs, trials)) = self.0.last_mut() {
            *trials = trials.saturating_add(1);
            *signs = signs.saturating_add(u32::from(hit));
        }
    }

    /// Signs seen, and those that so many trials usually bring.
    pub(super) fn points(&self, usual: f64) -> Vec<Point> {
        let point = |(index, signs, trials): &(i64, u32, u32)| Point {
            at: Timestamp::from_secs(index.saturating_mul(BUCKET)),
            expected: usual * f64::from(*trials),
            observed: f64::from(*signs),
        };
        self.0.iter().map(point).collect()
    }
}

/// How often something happens among trials, and the sum of evidence that it now does more often.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Share {
    trials: f64,
    hits: f64,
    recent: Buckets,
    pub sum: Sum,
}

/// What is known beforehand of a share: how large it is, and how large it would be in an anomaly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift {
    pub usual: f64,
    pub changed: f64,
}

impl Share {
    /// One trial.
    pub(super) fn take(
        &mut self,
        hit: bool,
        shift: Shift,
        at: &Clock,
        cell: &mut Cell,
        per_week: f64,
    ) -> Option<Rung> {
        self.recent.take(hit, at);
        let usual = self.usual(shift).clamp(0.001, 0.9);
        // Where it is common already, the change is to several times as much, or half of what is left.
        let more = (SEVERAL * usual).min((1.0 + usual) / 2.0);
        let changed = shift.changed.max(more);
        let nats = if hit {
            (changed / usual).ln().min(MOST)
        } else {
            ((1.0 - changed) / (1.0 - usual)).ln()
        };
        self.sum.fade(at);
        let rung = self.sum.add(nats, true, at, cell, per_week);
        let weight = if self.sum.open(at) { CLIPPED } else { 1.0 };
        self.trials += weight;
        self.hits += weight * f64::from(u8::from(hit));
        if self.trials > MEMORY {
            (self.trials, self.hits) = (self.trials / 2.0, self.hits / 2.0);
        }
        rung
    }

    pub(super) fn points(&self, shift: Shift) -> Vec<Point> {
        self.recent.points(self.usual(shift))
    }

    /// The share that is usual.
    pub(super) fn usual(&self, shift: Shift) -> f64 {
        (self.hits + BELIEVED * shift.usual) / (self.trials + BELIEVED)
    }

    pub(super) fn absorb(&mut self, old: &Self) {
        self.trials += old.trials;
        self.hits += old.hits;
        self.sum.absorb(&old.sum);
    }
}
