//! Counts of one target, an endpoint or a host, in windows that follow each other, empty ones
//! included.
//!
//! What is expected of a window is the target's decayed mean times its host's season, or the most
//! it did in one before (a decayed maximum), whichever is more: nightly jobs and crawls are thus
//! explained after the first. The score is the tail of the Gamma-Poisson law around that. A quarter
//! of an hour that ends also gives its standard deviate, clipped, to two sums of evidence: for a
//! ramp and for a drop. There the target is held against the rest of its host at that time, so
//! that a busy hour of all is no ramp of each.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::band::Band;
use super::budget::{Cell, Rung};
use super::cusum::Sum;
use super::drift::Drift;
use super::rhythm::{Beat, Rhythm};
use super::scale::{BEGINNER, Mix, Part, QUARTER, SPANS, Scale};
use super::season::Season;
use super::{Clock, Point};

/// A target younger than this has no baseline yet, in hours: its callers are watched instead.
const YOUNG: i64 = 24;
/// Hours after which sums are kept: how far they go on quiet days must show before they tell.
const SETTLED: i64 = 72;
/// A deviate counts for this much at most towards a ramp, and towards a drop.
const CLIP: (f64, f64) = (3.0, -8.0);
/// A sum tells at a quarter of an hour that shows it: what is over is no news.
const LOUD: f64 = 1.5;
/// Expected in a quarter of an hour, or nothing can be missing.
const BUSY: f64 = 8.0;
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
    /// What each may cost in false alarms a week.
    pub per_week: (f64, f64),
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
        let beat = Beat::of(&self.rhythm, season);
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

    /// What the windows and the ramp hold by now is known, from here or another detector, and little
    /// is learnt.
    pub(super) fn told(&mut self, at: &Clock, season: &Season) {
        let beat = Beat::of(&self.rhythm, season);
        for (i, scale) in self.scales.iter_mut().enumerate() {
            let expected = scale.reach(i, beat, at.hour);
            scale.cap.get_or_insert(2.0 * expected);
            scale.told = scale.count;
        }
        self.ramp.sum = 0.0;
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
        let beat = Beat::of(&self.rhythm, season);
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
        let beat = Beat::of(&self.rhythm, season);
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
        let up = self.ramp.add(up, z >= LOUD, at, bars.ramp, bars.per_week.0);
        let down = if complete && mean >= BUSY {
            self.drop
                .add(down, z <= -LOUD, at, bars.drop, bars.per_week.1)
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
        Beat::of(&self.rhythm, season)
    }

    /// Whether it has a baseline by now.
    pub(super) fn is_known(&self, hour: i64) -> bool {
        hour - self.born >= YOUNG
    }

    pub(super) fn band(&self, rhythm: Option<Arc<[f32]>>) -> Band {
        Band::new(&self.scales, rhythm)
    }

    /// Adds another target's past: means add, and maxima at worst coincide.
    pub(super) fn absorb(&mut self, old: &Self) {
        self.born = self.born.min(old.born);
        self.ramp.absorb(&old.ramp);
        self.drop.absorb(&old.drop);
        for (mine, its) in self.scales.iter_mut().zip(&old.scales) {
            mine.absorb(its);
        }
    }
}
