//! Walks over ids that are spread over callers: a row that none of them makes alone.
//!
//! Each node of the path trie keeps the heads of its latest rows. An id continues the head it lies
//! beside, or the one whose step it repeats (ids may be far apart, as those of a sequence with an
//! increment are), wherever that head stands among them: other traffic comes in between and only
//! pushes the oldest head out. A step by another caller than the head's is worth the log of how
//! seldom an id of another caller falls beside any head here, which is learnt; a caller's own steps
//! are its own walk. The longest row of a day is one test.

use serde::{Deserialize, Serialize};

use super::Clock;
use super::budget::{Cell, Rung};
use super::cusum::{Buckets, Peak};
use super::distinct::Distinct;

/// Ids this near to one another are beside each other: walkers skip, and others create meanwhile.
pub(super) const NEAR: u64 = 16;
/// Heads a node keeps; the one that was continued longest ago goes.
const HEADS: usize = 64;
/// A repeated step is no wonder where it is this long: ids that are hashes repeat none.
const LONGEST: u64 = 1 << 32;
/// Evidence that is as good as any, in nats.
const ENOUGH: f64 = 60.0;
/// Hours of silence in which half the evidence for a row is forgotten.
const SILENCE: f64 = 3.0;
/// Crossings that a node's share remembers, and weight and size of what is believed beforehand.
const MEMORY: f64 = 5_000.0;
const BELIEVED: f64 = 30.0;
const BEFORE: f64 = 0.1;
/// No step is worth more than this share says.
const LEAST: f64 = 0.03;
/// While a row is open, a crossing teaches as much as this of one.
const CLIPPED: f64 = 0.05;
const HOUR: f64 = 3.6e12;

/// The end of a row.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Head {
    number: u64,
    mark: u64,
    /// From the id before to this one.
    step: i64,
    sum: f64,
    len: u32,
    since: i64,
    last: i64,
    callers: Distinct,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Crossings {
    /// The latest continued last.
    heads: Vec<Head>,
    crossings: f64,
    near: f64,
    peak: Peak,
    recent: Buckets,
}

/// A row that crossed the bar.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub since: i64,
    pub len: u32,
    pub step: i64,
    pub callers: f64,
    /// Share of other callers' ids that fall beside a head by chance.
    pub usual: f64,
    pub rung: Rung,
    pub last: u64,
    pub series: Vec<super::Point>,
}

impl Head {
    fn continued_by(&self, number: u64) -> bool {
        let distance = self.number.abs_diff(number);
        let again = self.step != 0
            && distance < LONGEST
            && self.number.checked_add_signed(self.step) == Some(number);
        distance <= NEAR || again
    }
}

impl Crossings {
    /// Whether a row rang here of late.
    pub(super) fn open(&self, at: &Clock) -> bool {
        self.peak.rang(at)
    }

    /// Takes the id that this principal asked for.
    pub(super) fn take(
        &mut self,
        number: u64,
        mark: u64,
        at: &Clock,
        cell: &mut Cell,
        per_week: f64,
    ) -> Option<Row> {
        // An id that is asked for again moves no row.
        if self.heads.iter().any(|h| h.number == number) {
            return None;
        }
        // The longest row that it may continue.
        let best = (0..self.heads.len())
            .filter(|i| self.heads[*i].continued_by(number))
            .max_by(|a, b| self.heads[*a].sum.total_cmp(&self.heads[*b].sum));
        let Some(best) = best else {
            self.learn(false, at);
            if self.heads.len() >= HEADS {
                self.heads.remove(0);
            }
            let mut callers = Distinct::default();
            callers.insert(mark);
            self.heads.push(Head {
                number,
                mark,
                since: at.nanos,
                last: at.nanos,
                len: 1,
                callers,
                ..Head::default()
            });
            return None;
        };
        let mut head = self.heads.remove(best);
        let other = head.mark != mark;
        let silent = (at.nanos - head.last).max(0) as f64 / HOUR;
        head.step = number.wrapping_sub(head.number) as i64;
        (head.number, head.mark, head.last) = (number, mark, at.nanos);
        let mut rung = None;
        let usual = self.usual();
        if other {
            head.callers.insert(mark);
            head.len = head.len.saturating_add(1);
            let worth = -usual.max(LEAST).ln();
            let sum = (head.sum * (-silent / SILENCE).exp2() + worth).min(ENOUGH);
            head.sum = self.peak.held(sum, at);
            rung = self.peak.judge(head.sum, at, cell, per_week);
            self.learn(true, at);
        }
        self.heads.push(head);
        rung.map(|rung| Row {
            since: head.since,
            len: head.len,
            step: head.step,
            callers: head.callers.estimate().round(),
            usual,
            rung,
            last: number,
            series: self.recent.points(usual),
        })
    }

    fn usual(&self) -> f64 {
        (self.near + BELIEVED * BEFORE) / (self.crossings + BELIEVED)
    }

    fn learn(&mut self, near: bool, at: &Clock) {
        self.recent.take(near, at);
        let weight = if at.ringing && self.peak.rang(at) {
            CLIPPED
        } else {
            1.0
        };
        self.crossings += weight;
        self.near += weight * f64::from(u8::from(near));
        if self.crossings > MEMORY {
            (self.crossings, self.near) = (self.crossings / 2.0, self.near / 2.0);
        }
    }

    pub(super) fn absorb(&mut self, old: Self) {
        self.crossings += old.crossings;
        self.near += old.near;
        self.peak.absorb(&old.peak);
        self.heads.extend(old.heads);
        self.heads.sort_by_key(|h| h.last);
        let spare = self.heads.len().saturating_sub(HEADS);
        self.heads.drain(..spare);
    }
}
