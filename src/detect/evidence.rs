//! Evidence that adds up: is this caller one of those who do only that?
//!
//! Each step of a caller either speaks for it or against it, by how often such a step is seen of
//! those who mean no harm. The log-likelihood ratios are summed and never fall below zero (Page's
//! CUSUM, 1954; the sequential test of Wald that TRW uses on scanners, Jung et al., 2004). A sum
//! grows with an attack however slow it is, and a caller's longest innocent sum is kept: what it
//! did before it may do again. What a sum is worth is a [`Cell`]'s to say.

use serde::{Deserialize, Serialize};

use super::Clock;
use super::budget::{Cell, Rung};
use super::purse::Stage;

/// An attacker's share of steps that speak for it.
const ATTACKER: f64 = 0.9;
/// The least share of such steps that is believed of anyone else.
const LEAST_USUAL: f64 = 0.02;
/// Half-life of the longest row known, in hours.
const HALF_LIFE: f64 = 14.0 * 24.0;
const HOUR: i64 = 3_600_000_000_000;
const DAY: i64 = 24 * HOUR;
/// A row is news where it is this much longer than one known.
const MARGIN: f64 = 1.25;
/// Hours of silence in which half the evidence for a row is forgotten.
const SILENCE: f64 = 6.0;
/// Evidence that is as good as any, in nats.
const ENOUGH: f64 = 60.0;
/// Days in a row with one told after which it is known.
const HABIT: u8 = 3;
/// Fewer steps than this are nothing to call a person for, however rare.
const LEAST_HITS: u32 = 5;
/// Steps for it after which a row that was told still goes on.
const GOING_ON: u8 = 8;
/// A sum that a row which rang may at least teach, in nats.
const NOTABLE: f64 = 5.0;

/// A sum of evidence, in nats, and the most it ever was when nothing rang.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Row {
    pub sum: f64,
    /// Steps since it was nothing, and those of them that spoke for it.
    pub len: u32,
    pub hits: u32,
    pub since: i64,
    last: i64,
    top: f64,
    top_hour: i32,
    peak: f64,
    /// One test a day: the day, and the place in the cell.
    day: i32,
    place: u8,
    tested: bool,
    /// When it was told last, 0 where it was not, and its length then.
    rung: i64,
    told: u32,
    /// Days that ended with a row told, of late.
    days: u8,
    /// Steps for it since, less two for each against it.
    neighbours: u8,
}

/// How often steps speak for it, over all callers.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    steps: f64,
    hits: f64,
}

impl Tally {
    /// The share, of which a tenth is believed beforehand.
    pub(super) fn share(&self) -> f64 {
        (self.hits + 3.0) / (self.steps + 30.0)
    }

    pub(super) fn learn(&mut self, hit: bool) {
        self.steps += 1.0;
        self.hits += f64::from(u8::from(hit));
        fade(&mut self.steps, &mut self.hits);
    }
}

/// Keeps a share's weight bounded, so that it follows the traffic.
pub(super) fn fade(total: &mut f64, part: &mut f64) {
    if *total > 5_000.0 {
        (*total, *part) = (*total / 2.0, *part / 2.0);
    }
}

impl Row {
    /// Takes a step that speaks for it, or against it; `usual` is the share that does. It says
    /// `more` nats besides, and is held against its principal's day.
    pub(super) fn take(
        &mut self,
        hit: bool,
        usual: f64,
        more: f64,
        at: &Clock,
        cell: &mut Cell,
        stage: Option<Stage<'_>>,
    ) -> Option<Rung> {
        // Who does so as often as an attacker gives no evidence.
        let usual = usual.clamp(LEAST_USUAL, ATTACKER);
        let ratio = if hit {
            ATTACKER / usual
        } else {
            (1.0 - ATTACKER) / (1.0 - usual)
        };
        self.weigh(ratio.ln() + more, hit, at, cell, stage)
    }

    /// Takes a step worth so many nats.
    fn weigh(
        &mut self,
        nats: f64,
        hit: bool,
        at: &Clock,
        cell: &mut Cell,
        stage: Option<Stage<'_>>,
    ) -> Option<Rung> {
        self.turn(at, cell);
        if self.sum <= 0.0 {
            (self.len, self.hits, self.since) = (0, 0, at.nanos);
        }
        // Evidence fades with silence. Bounded, so that a row ends soon after the walk does.
        let silent = (at.nanos - self.last).max(0) as f64 / HOUR as f64;
        if silent > 1.0 {
            self.neighbours = 0;
        }
        self.last = at.nanos;
        self.sum = (self.sum * (-silent / SILENCE).exp2() + nats).clamp(0.0, ENOUGH);
        self.peak = self.peak.max(self.sum);
        if self.sum > 0.0 {
            self.len = self.len.saturating_add(1);
            self.hits = self.hits.saturating_add(u32::from(hit));
        } else {
            (self.len, self.hits) = (0, 0);
        }
        if !hit {
            self.neighbours = self.neighbours.saturating_sub(2);
        }
        // A principal that has walked as far before may do so again.
        let score = (self.sum - MARGIN * self.top) / std::f64::consts::LN_10;
        if score <= 0.0 || !hit || !self.tested {
            return None;
        }
        let rung = if self.hits >= LEAST_HITS {
            stage.and_then(|mut stage| stage.judge(cell, score, at))
        } else {
            None
        };
        let Some(rung) = rung else {
            if self.rung().is_none() {
                self.place = cell.climb(self.place, score);
            }
            return None;
        };
        if self.rung().is_some() {
            self.place = cell.withdraw(self.place);
        }
        self.neighbours = (self.neighbours + 1).min(GOING_ON);
        let again = self.rung().is_none_or(|(when, len)| {
            self.neighbours >= GOING_ON
                && (at.nanos - when >= HOUR || self.len >= len.saturating_mul(2))
        });
        if again {
            (self.rung, self.told, self.neighbours) = (at.nanos, self.len, 0);
        }
        again.then_some(rung)
    }

    /// A new day: the most of the last one is learnt; of one that rang, little.
    fn turn(&mut self, at: &Clock, cell: &mut Cell) {
        let day = (at.secs.div_euclid(86_400) + 1) as i32;
        if day == self.day {
            return;
        }
        let faded =
            self.top * (-((at.hour - i64::from(self.top_hour)).max(0) as f64) / HALF_LIFE).exp2();
        if self
            .rung()
            .is_some_and(|(when, _)| at.nanos - when <= 2 * DAY)
        {
            self.days = self.days.saturating_add(1);
        } else if self.peak > 0.0 {
            self.days = 0;
        }
        // What was told on three days is a habit.
        let learnt = if self.rung().is_some() && self.days < HABIT {
            self.peak.min((2.0 * self.top).max(NOTABLE))
        } else {
            self.peak
        };
        if learnt > faded {
            (self.top, self.top_hour) = (learnt, at.hour as i32);
        }
        (self.day, self.place, self.tested, self.peak) = (day, 0, at.scoring, self.sum);
        if self.rung().is_some_and(|(when, _)| at.nanos - when > DAY) {
            self.rung = 0;
        }
        if at.scoring {
            cell.open(at.hour);
        }
    }

    fn rung(&self) -> Option<(i64, u32)> {
        (self.rung != 0).then_some((self.rung, self.told))
    }

    /// Whether what is going on is an anomaly, which teaches nothing.
    pub(super) fn open(&self, at: &Clock) -> bool {
        at.ringing && self.rung().is_some() && self.sum > 0.0
    }
}
