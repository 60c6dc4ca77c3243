//! Windows of one length over one target, and who made up the latest.
//!
//! A window is learnt when it ends: the decayed mean of counts with the rhythm taken out, how
//! broadly they lie around it, and the most in one, which decays by itself.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::budget::{Cell, Rung};
use super::distinct::Distinct;
use super::rhythm::Beat;
use super::series::Surge;
use super::tail::log10_upper;
use super::{Clock, Point};
use crate::time::Timestamp;

/// Window lengths in seconds. The first closes with the next request, the others on their grid.
pub(super) const SPANS: [i64; 4] = [60, QUARTER, 3_600, 86_400];
/// Grid on which windows close and sums grow, in seconds.
pub(super) const QUARTER: i64 = 900;
/// Weight of one window in the mean, by length: some days of memory.
pub(super) const WEIGHTS: [f64; 4] = [1.0 / 10_000.0, 1.0 / 700.0, 1.0 / 170.0, 1.0 / 14.0];
/// Half-life of a maximum, in hours.
const HALF_LIFE: f64 = 14.0 * 24.0;
/// Windows without which there is nothing to hold one against.
pub(super) const BEGINNER: f64 = 3.0;
/// Dispersion believed beforehand (variance = mean + mean² × this), and its windows.
pub(super) const BROAD: f64 = 0.1;
pub(super) const BELIEVED: f64 = 24.0;
const POINTS: usize = 60;
const HOUR: i64 = 3_600_000_000_000;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Scale {
    /// Packet time over the span, plus one; 0 before the first.
    pub index: i64,
    since: i64,
    pub count: f64,
    place: u8,
    pub cap: Option<f64>,
    /// The count when the series was last over the bar.
    pub told: f64,
    pub mix: Mix,
    /// Windows so far and the decayed mean of their counts, season taken out.
    pub windows: f64,
    pub mean: f64,
    /// Decayed means of squares: of what the law with no dispersion leaves, and of expectations.
    excess: f64,
    square: f64,
    /// The most in one window, and the hour that was.
    top: f64,
    top_hour: i64,
    /// The last windows, oldest first: index, usual, observed.
    recent: VecDeque<(i32, f32, f32)>,
}

/// Who and what made up a window's requests.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Mix {
    pub requests: f64,
    /// Answered with success, or with a failure of the server.
    pub fine: f64,
    pub broken: f64,
    /// From addresses that were welcome on a day before.
    pub known: f64,
    pub callers: Distinct,
    /// The majority's mark (Boyer and Moore, 1981), and how far it is ahead of all others.
    leader: u64,
    ahead: f64,
}

/// One request, as far as a mix tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub status: u16,
    pub known: bool,
    pub caller: u64,
    /// The principal's.
    pub mark: u64,
}

impl Mix {
    pub(super) fn take(&mut self, part: Part) {
        self.requests += 1.0;
        self.fine += f64::from(u8::from((200..400).contains(&part.status)));
        self.broken += f64::from(u8::from((500..600).contains(&part.status)));
        self.known += f64::from(u8::from(part.known));
        self.callers.insert(part.caller);
        if self.ahead <= 0.0 {
            self.leader = part.mark;
        }
        self.ahead += if self.leader == part.mark { 1.0 } else { -1.0 };
    }

    /// Whether this principal makes at least four of five requests.
    pub(super) fn led_by(&self, mark: u64) -> bool {
        self.leader == mark && self.ahead >= 0.6 * self.requests
    }
}

impl Scale {
    /// A request now: where its window is another than the last, that one is learnt.
    pub(super) fn turn(&mut self, i: usize, at: &Clock, beat: Beat<'_>, cell: Option<&mut Cell>) {
        let index = at.secs.div_euclid(SPANS[i]) + 1;
        if index == self.index {
            return;
        }
        if self.index != 0 {
            let empty = (index - self.index - 1).max(0) as f64;
            self.close(i, beat, empty, at.hour);
        }
        self.begin(index, at.nanos);
        if let Some(cell) = cell {
            cell.open(at.hour);
        }
    }

    fn begin(&mut self, index: i64, since: i64) {
        (self.index, self.since, self.count, self.place) = (index, since, 0.0, 0);
        (self.cap, self.told, self.mix) = (None, 0.0, Mix::default());
    }

    /// The window of this index ends, with or without requests.
    pub(super) fn stand(&mut self, i: usize, index: i64, beat: Beat<'_>) {
        if self.index == index {
            return;
        }
        if self.index != 0 {
            let empty = (index - self.index - 1).max(0) as f64;
            self.close(i, beat, empty, self.hour(i));
        }
        let since = (index - 1).saturating_mul(SPANS[i]);
        self.begin(index, Timestamp::from_secs(since).nanos());
    }

    /// The hour in which the window began.
    pub(super) fn hour(&self, i: usize) -> i64 {
        ((self.index - 1).saturating_mul(SPANS[i])).div_euclid(3_600)
    }

    /// Learns the window that ended and the `empty` ones after it.
    pub(super) fn close(&mut self, i: usize, beat: Beat<'_>, empty: f64, hour: i64) {
        let began = self.hour(i);
        let usual = self.usual(i, beat, began);
        self.recent
            .push_back((self.index as i32, usual as f32, self.count as f32));
        if self.recent.len() > POINTS {
            self.recent.pop_front();
        }
        let count = self.cap.map_or(self.count, |cap| self.count.min(cap));
        self.learn(i, count, beat.factor(SPANS[i], began));
        let fade = (1.0 - WEIGHTS[i].max(1.0 / (self.windows + empty).max(1.0))).powf(empty);
        self.windows += empty;
        self.mean *= fade;
        // What rang raises the maximum once a day at most, or it would double with each window.
        let again = self.cap.is_some() && hour - self.top_hour < 24;
        if !again && count > self.faded(hour) {
            (self.top, self.top_hour) = (count, hour);
        }
    }

    /// Plain means first, then decayed ones. Once known, a count is learnt up to three deviations.
    fn learn(&mut self, i: usize, count: f64, factor: f64) {
        let usual = self.mean * factor;
        let most = 9.0 * (usual + usual * usual * self.broad());
        let known = self.windows >= BELIEVED && usual > 1.0;
        let count = if known {
            count.min(usual + most.sqrt())
        } else {
            count
        };
        let weight = WEIGHTS[i].max(1.0 / (self.windows + 1.0));
        if self.windows >= BEGINNER {
            let left = (count - usual) * (count - usual) - usual;
            self.excess += weight * (left - self.excess);
            self.square += weight * (usual * usual - self.square);
        }
        self.mean += weight * (count / factor - self.mean);
        self.windows += 1.0;
    }

    /// 1 / size of the Gamma-Poisson law.
    pub(super) fn broad(&self) -> f64 {
        let own = self.excess.max(0.0) / self.square.max(1e-9);
        let weight = self.windows / (self.windows + BELIEVED);
        (weight * own + (1.0 - weight) * BROAD).clamp(0.002, 2.0)
    }

    pub(super) fn usual(&self, i: usize, beat: Beat<'_>, hour: i64) -> f64 {
        self.mean * beat.factor(SPANS[i], hour)
    }

    /// What a window in this hour may reach.
    pub(super) fn reach(&self, i: usize, beat: Beat<'_>, hour: i64) -> f64 {
        self.usual(i, beat, hour).max(self.faded(hour)).max(1.0)
    }

    /// Whether the window so far holds more than two deviations over what is usual.
    pub(super) fn unusual(&self, beat: Beat<'_>, at: &Clock) -> bool {
        let usual = self.usual(1, beat, at.hour);
        self.count > usual + 2.0 * (usual + usual * usual * self.broad()).sqrt()
    }

    fn faded(&self, hour: i64) -> f64 {
        self.top * (-((hour - self.top_hour).max(0) as f64) / HALF_LIFE).exp2()
    }

    /// Whether it says more than was told: the first in a day, the double of what this window was
    /// told with, or after an hour still going on.
    pub(super) fn news(&self, expected: f64, usual: f64, last: Option<i64>, at: &Clock) -> bool {
        // What comes on top of what was told is a window's worth of its own.
        let grown = self.told == 0.0 || self.count - self.told > expected + usual;
        match last.filter(|when| at.nanos - when < 24 * HOUR) {
            None => grown,
            Some(when) => {
                let doubled = self.told > 0.0 && self.count >= 2.0 * self.told;
                doubled || (grown && at.nanos - when >= HOUR)
            }
        }
    }

    pub(super) fn judge(
        &mut self,
        expected: f64,
        cell: &mut Cell,
        at: &Clock,
        per_week: f64,
        fresh: bool,
    ) -> Option<Rung> {
        // What is held against is near a maximum, whose spread is less than that of the mean.
        let size = (1.0 / self.broad()).clamp(2.0, 20.0);
        let score = -log10_upper(self.count, expected, size);
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

    pub(super) fn surge(
        &self,
        i: usize,
        expected: f64,
        usual: f64,
        at: &Clock,
        rung: Rung,
    ) -> Surge {
        Surge {
            span: SPANS[i],
            since: self.since,
            expected,
            observed: self.count,
            mean: self.mean,
            top: self.faded(at.hour),
            mix: self.mix,
            rung,
            series: self.points(i, usual),
        }
    }

    /// The windows before and this one, with what is usual.
    pub(super) fn points(&self, i: usize, usual: f64) -> Vec<Point> {
        let point = |(index, expected, observed): (i64, f64, f64)| Point {
            at: Timestamp::from_secs((index - 1).saturating_mul(SPANS[i])),
            expected,
            observed,
        };
        let past = self
            .recent
            .iter()
            .skip((self.recent.len() + 1).saturating_sub(POINTS));
        let past =
            past.map(|(index, e, o)| point((i64::from(*index), f64::from(*e), f64::from(*o))));
        past.chain([point((self.index, usual, self.count))])
            .collect()
    }

    /// Adds another target's past: means add, and maxima at worst coincide.
    pub(super) fn absorb(&mut self, old: &Self) {
        self.mean += old.mean;
        self.excess += old.excess;
        self.square += old.square;
        self.windows = self.windows.max(old.windows);
        if self.index == old.index {
            self.count += old.count;
        }
        self.top += old.top;
        self.top_hour = self.top_hour.max(old.top_hour);
    }
}
