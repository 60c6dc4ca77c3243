//! Counts of one target, an endpoint or a host, in windows that follow each other, empty ones
//! included.
//!
//! What is expected of a window is the target's decayed mean times its host's season, or the most
//! it did in one before (a decayed maximum), whichever is more: nightly jobs and crawls are thus
//! explained after the first. The score is the tail of the Gamma-Poisson law around that. A quarter
//! of an hour that ends also gives its standard deviate, clipped, to two sums of evidence: for a
//! ramp and for a drop. There the target is held against the rest of its host at that time, so
//! that a busy hour of all is no ramp of each.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::budget::{Cell, Rung};
use super::cusum::Sum;
use super::distinct::Distinct;
use super::rhythm::{Beat, Rhythm};
use super::season::Season;
use super::tail::{deviate, log10_upper};
use super::{Clock, Point};
use crate::time::Timestamp;

/// Window lengths in seconds. The first closes with the next request, the others on their grid.
pub(super) const SPANS: [i64; 4] = [60, QUARTER, 3_600, 86_400];
/// Grid on which windows close and sums grow, in seconds.
pub(super) const QUARTER: i64 = 900;
/// Weight of one window in the mean, by length: some days of memory.
const WEIGHTS: [f64; 4] = [1.0 / 10_000.0, 1.0 / 700.0, 1.0 / 170.0, 1.0 / 14.0];
/// Half-life of a maximum, in hours.
const HALF_LIFE: f64 = 14.0 * 24.0;
/// A target younger than this has no baseline yet, in hours: its callers are watched instead.
const YOUNG: i64 = 24;
/// Hours after which sums are kept: how far they go on quiet days must show before they tell.
const SETTLED: i64 = 72;
/// Windows without which there is nothing to hold one against.
const BEGINNER: f64 = 3.0;
/// A deviate counts for this much at most towards a ramp, and towards a drop.
const CLIP: (f64, f64) = (3.0, -8.0);
/// A sum tells at a quarter of an hour that shows it: what is over is no news.
const LOUD: f64 = 1.5;
/// Deviates teach how far neighbours go together up to this, and in an anomaly by this part.
const CALM: f64 = 1.5;
const CLIPPED: f64 = 0.05;
/// A deviate that no slow drift of the rest explains.
const FAR_OUT: f64 = 5.0;
/// Expected in a quarter of an hour, or nothing can be missing.
const BUSY: f64 = 8.0;
/// Dispersion believed beforehand (variance = mean + mean² × this), and its windows.
const BROAD: f64 = 0.1;
const BELIEVED: f64 = 24.0;
const POINTS: usize = 60;
const HOUR: i64 = 3_600_000_000_000;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Series {
    born: i64,
    scales: [Scale; 4],
    /// When it last rang.
    raised: Option<i64>,
    rhythm: Rhythm,
    drift: Drift,
    ramp: Sum,
    drop: Sum,
}

/// How far quarters of an hour lie from what is foretold, for the sums.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Drift {
    quarters: f64,
    /// Decayed means: squares of what a law with no dispersion leaves, and of what was foretold.
    excess: f64,
    square: f64,
    /// The last deviate, and the decayed means of squares and of products with the one before.
    last: f64,
    own: f64,
    cross: f64,
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
    mix: Mix,
    /// Windows so far and the decayed mean of their counts, season taken out.
    windows: f64,
    mean: f64,
    /// Decayed means of squares: of what the law with no dispersion leaves, and of expectations.
    excess: f64,
    square: f64,
    /// The most in one window, and the hour that was.
    top: f64,
    top_hour: i64,
    /// The last windows, oldest first: index, usual, observed.
    recent: VecDeque<(i64, f32, f32)>,
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

/// A window that crossed the bar.
#[derive(Clone, Debug)]
pub(super) struct Surge {
    pub span: i64,
    pub since: i64,
    pub expected: f64,
    pub observed: f64,
    pub mean: f64,
    pub top: f64,
    pub mix: Mix,
    pub rung: Rung,
    pub series: Vec<Point>,
}

/// A sum that crossed the bar: traffic rises, or falls, window by window.
#[derive(Clone, Debug)]
pub(super) struct Trend {
    pub rising: bool,
    pub since: i64,
    pub windows: u32,
    /// Of the last quarter of an hour.
    pub expected: f64,
    pub observed: f64,
    pub mix: Mix,
    pub rung: Rung,
    pub series: Vec<Point>,
}

/// What a quarter of an hour is judged with.
pub(super) struct Bars<'a> {
    pub ramp: &'a mut Cell,
    pub drop: &'a mut Cell,
    pub per_week: f64,
}

impl Mix {
    fn take(&mut self, part: Part) {
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

impl Series {
    pub(super) fn new(at: &Clock) -> Self {
        Self {
            born: at.hour,
            ..Self::default()
        }
    }

    /// Counts `step` things now: a window that crosses the bar and says more than was told.
    pub(super) fn count(
        &mut self,
        step: f64,
        part: Part,
        at: &Clock,
        season: &Season,
        cells: &mut [Cell; 4],
        per_week: f64,
    ) -> Option<Surge> {
        let tested = at.scoring && at.hour - self.born >= YOUNG;
        let fresh = self.raised.is_none_or(|when| at.nanos - when > 24 * HOUR);
        let (mut worst, mut rang) = (None::<Surge>, false);
        let beat = Beat {
            rhythm: &self.rhythm,
            season,
        };
        let going_on = self.scales[1].unusual(beat, at);
        let lately = self.raised.is_some_and(|when| at.nanos - when < HOUR);
        for (i, (scale, cell)) in self.scales.iter_mut().zip(cells).enumerate() {
            scale.turn(i, at, beat, tested.then_some(&mut *cell));
            scale.count += step;
            if step > 0.0 {
                scale.mix.take(part);
            }
            // What a long window holds of something that was told, or is over, is no news.
            if i > 1 && lately {
                scale.told = scale.count;
            }
            let expected = scale.reach(i, beat, at.hour);
            if step == 0.0 || !tested || scale.windows < BEGINNER || scale.count <= expected {
                continue;
            }
            if i > 1 && !going_on {
                continue;
            }
            let Some(rung) = scale.judge(expected, cell, at, per_week, fresh) else {
                continue;
            };
            rang = true;
            let usual = scale.usual(i, beat, at.hour);
            let news = scale.news(expected, usual, self.raised, at);
            if news && worst.as_ref().is_none_or(|w| rung.log10_p < w.rung.log10_p) {
                worst = Some(scale.surge(i, expected, usual, at, rung));
            }
        }
        if rang {
            self.told(at, season);
        }
        let surge = worst?;
        self.raised = Some(at.nanos);
        Some(surge)
    }

    /// What the windows hold by now is known, from here or another detector, and little is learnt.
    pub(super) fn told(&mut self, at: &Clock, season: &Season) {
        let beat = Beat {
            rhythm: &self.rhythm,
            season,
        };
        for (i, scale) in self.scales.iter_mut().enumerate() {
            let expected = scale.reach(i, beat, at.hour);
            scale.cap.get_or_insert(2.0 * expected);
            scale.told = scale.count;
        }
    }

    /// Packet time stands at a quarter of an hour: windows that end there are learnt. `others` is
    /// what the rest of the host did over what was expected of it.
    pub(super) fn sweep(
        &mut self,
        at: &Clock,
        season: &Season,
        others: f64,
        complete: bool,
        bars: Bars<'_>,
    ) -> Option<Trend> {
        let trend = self.trend(at, season, others, complete, bars);
        self.close(at, season);
        trend
    }

    /// Learns the windows that end now, all but the shortest.
    pub(super) fn close(&mut self, at: &Clock, season: &Season) {
        let beat = Beat {
            rhythm: &self.rhythm,
            season,
        };
        for (i, scale) in self.scales.iter_mut().enumerate().skip(1) {
            let index = (at.secs - 1).div_euclid(SPANS[i]) + 1;
            if at.secs.rem_euclid(SPANS[i]) == 0 {
                scale.stand(i, index, beat);
                scale.close(i, beat, 0.0, at.hour);
                scale.index = 0;
            }
        }
    }

    /// Whether traffic falls.
    pub(super) fn falling(&self, at: &Clock) -> bool {
        self.drop.open(at)
    }

    /// The last quarter's deviate goes into the sums.
    fn trend(
        &mut self,
        at: &Clock,
        season: &Season,
        others: f64,
        complete: bool,
        bars: Bars<'_>,
    ) -> Option<Trend> {
        let index = (at.secs - 1).div_euclid(QUARTER) + 1;
        let beat = Beat {
            rhythm: &self.rhythm,
            season,
        };
        let quarter = &mut self.scales[1];
        quarter.stand(1, index, beat);
        let hour = quarter.hour(1);
        let (level, by_host) = (quarter.mean, beat.by_host());
        let mean = quarter.usual(1, beat, hour) * if by_host { others } else { 1.0 };
        let count = quarter.count;
        if quarter.windows >= BEGINNER {
            self.rhythm.learn(count, level, others, season, hour);
        }
        if at.hour - self.born < YOUNG {
            return None;
        }
        let open = self.ramp.open(at) || self.drop.open(at);
        let z = self.drift.deviate(count, mean, open);
        if at.hour - self.born < SETTLED || (by_host && !season.knows(hour)) {
            return None;
        }
        let worth = self.drift.worth(z);
        let z = z.clamp(CLIP.1, CLIP.0);
        let (up, down) = (worth * (z - 0.5), worth * (-z - 0.5));
        let up = self.ramp.add(up, z >= LOUD, at, bars.ramp, bars.per_week);
        let down = if complete && mean >= BUSY {
            self.drop
                .add(down, z <= -LOUD, at, bars.drop, bars.per_week)
        } else {
            self.drop.sum = 0.0;
            None
        };
        if up.is_some() {
            self.told(at, season);
        }
        let quarter = &self.scales[1];
        let (rising, sum, rung) = match (up, down) {
            (Some(rung), _) => (true, &self.ramp, rung),
            (None, Some(rung)) => (false, &self.drop, rung),
            (None, None) => return None,
        };
        Some(Trend {
            rising,
            since: sum.since - QUARTER * 1_000_000_000,
            windows: sum.trials,
            expected: mean,
            observed: quarter.count,
            mix: quarter.mix,
            rung,
            series: quarter.points(1, mean),
        })
    }

    /// What the last quarter of an hour had and what was usual, where the host's rhythm is kept:
    /// for the rest of the host.
    pub(super) fn quarter(&self, at: &Clock, season: &Season) -> Option<(f64, f64)> {
        let index = (at.secs - 1).div_euclid(QUARTER) + 1;
        let (scale, beat) = (&self.scales[1], self.beat(season));
        let count = if scale.index == index {
            scale.count
        } else {
            0.0
        };
        let usual = scale.usual(1, beat, (at.secs - 1).div_euclid(3_600));
        beat.by_host().then_some((count, usual))
    }

    /// What was usual for one of these windows in this hour.
    pub(super) fn usual(&self, span: i64, season: &Season, at: &Clock) -> f64 {
        let found = SPANS.iter().position(|s| *s == span);
        found.map_or(0.0, |i| self.scales[i].usual(i, self.beat(season), at.hour))
    }

    pub(super) fn beat<'a>(&'a self, season: &'a Season) -> Beat<'a> {
        Beat {
            rhythm: &self.rhythm,
            season,
        }
    }

    /// Adds another target's past: means add, and maxima at worst coincide.
    pub(super) fn absorb(&mut self, old: &Self) {
        self.born = self.born.min(old.born);
        self.ramp.absorb(&old.ramp);
        self.drop.absorb(&old.drop);
        for (mine, its) in self.scales.iter_mut().zip(&old.scales) {
            mine.mean += its.mean;
            mine.excess += its.excess;
            mine.square += its.square;
            mine.windows = mine.windows.max(its.windows);
            if mine.index == its.index {
                mine.count += its.count;
            }
            mine.top += its.top;
            mine.top_hour = mine.top_hour.max(its.top_hour);
        }
    }
}

impl Drift {
    /// 1 / size of the Gamma-Poisson law around what is foretold.
    fn broad(&self) -> f64 {
        let own = self.excess.max(0.0) / self.square.max(1e-9);
        let weight = self.quarters / (self.quarters + BELIEVED);
        (weight * own + (1.0 - weight) * BROAD).clamp(0.002, 4.0)
    }

    /// The count's standard deviate; then learns it, up to three deviations and little of an anomaly.
    fn deviate(&mut self, count: f64, mean: f64, open: bool) -> f64 {
        let broad = self.broad();
        let z = deviate(count, mean, 1.0 / broad);
        let most = 9.0 * (mean + mean * mean * broad).max(1.0);
        let square = ((count - mean) * (count - mean)).min(most);
        let mut weight = WEIGHTS[1].max(1.0 / (self.quarters + 1.0));
        if open {
            weight *= CLIPPED;
        } else {
            self.quarters += 1.0;
        }
        self.excess += weight * (square - mean - self.excess);
        self.square += weight * (mean * mean - self.square);
        let calm = z.clamp(-CALM, CALM);
        self.own += weight * (calm * calm - self.own);
        self.cross += weight * (calm * self.last - self.cross);
        self.last = calm;
        z
    }

    /// What a deviate is worth: neighbours that rise and fall together are fewer signs than they
    /// are, by (1 - r) / (1 + r) for their correlation r. What lies far out is no drift.
    fn worth(&self, z: f64) -> f64 {
        if z.abs() >= FAR_OUT {
            return 1.0;
        }
        let r = (self.cross / self.own.max(0.25)).clamp(0.0, 0.8);
        (1.0 - r) / (1.0 + r)
    }
}

impl Scale {
    /// A request now: where its window is another than the last, that one is learnt.
    fn turn(&mut self, i: usize, at: &Clock, beat: Beat<'_>, cell: Option<&mut Cell>) {
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
    fn stand(&mut self, i: usize, index: i64, beat: Beat<'_>) {
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
    fn hour(&self, i: usize) -> i64 {
        ((self.index - 1).saturating_mul(SPANS[i])).div_euclid(3_600)
    }

    /// Learns the window that ended and the `empty` ones after it.
    fn close(&mut self, i: usize, beat: Beat<'_>, empty: f64, hour: i64) {
        let began = self.hour(i);
        let usual = self.usual(i, beat, began);
        self.recent
            .push_back((self.index, usual as f32, self.count as f32));
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
    fn broad(&self) -> f64 {
        let own = self.excess.max(0.0) / self.square.max(1e-9);
        let weight = self.windows / (self.windows + BELIEVED);
        (weight * own + (1.0 - weight) * BROAD).clamp(0.002, 2.0)
    }

    fn usual(&self, i: usize, beat: Beat<'_>, hour: i64) -> f64 {
        self.mean * beat.factor(SPANS[i], hour)
    }

    /// What a window in this hour may reach.
    fn reach(&self, i: usize, beat: Beat<'_>, hour: i64) -> f64 {
        self.usual(i, beat, hour).max(self.faded(hour)).max(1.0)
    }

    /// Whether the window so far holds more than two deviations over what is usual.
    fn unusual(&self, beat: Beat<'_>, at: &Clock) -> bool {
        let usual = self.usual(1, beat, at.hour);
        self.count > usual + 2.0 * (usual + usual * usual * self.broad()).sqrt()
    }

    fn faded(&self, hour: i64) -> f64 {
        self.top * (-((hour - self.top_hour).max(0) as f64) / HALF_LIFE).exp2()
    }

    /// Whether it says more than was told: the first in a day, the double of what this window was
    /// told with, or after an hour still going on.
    fn news(&self, expected: f64, usual: f64, last: Option<i64>, at: &Clock) -> bool {
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

    fn judge(
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

    fn surge(&self, i: usize, expected: f64, usual: f64, at: &Clock, rung: Rung) -> Surge {
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
    fn points(&self, i: usize, usual: f64) -> Vec<Point> {
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
        past.chain([point((self.index, usual, self.count))])
            .collect()
    }
}
