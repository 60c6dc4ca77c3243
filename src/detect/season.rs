//! The rhythm of a host: what an hour's traffic is of the mean hour's.
//!
//! Four estimates, each drawn towards the coarser one: all hours, the hour of the day, that in its
//! week part, the hour of the week. The hour of the day outweighs the mean from the second day on,
//! the week part as well once it was seen; the hour of the week needs three of its own: it speaks
//! from the fourth week on. An hour is learnt when it is over, and what lies far above what was
//! expected of it is clipped: an attack is no season.

use serde::{Deserialize, Serialize};

use super::Clock;

const WEEK: usize = 168;
/// Hours of its own after which an hour of the day weighs as much as the coarser estimate, and an
/// hour of the week.
const DRAWN: f32 = 0.5;
const WEEKLY: f32 = 2.5;
/// Weeks that a slot remembers.
const MEMORY: f32 = 8.0;
/// An hour counts as at most this many times what was expected, once two days are known.
const CLIP: f32 = 3.0;
const KNOWN: f32 = 48.0;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Season {
    /// Mean count and hours seen, by hour of the week from Monday; empty before the first hour.
    slots: Vec<(f32, f32)>,
    /// Factors by slot, made anew each hour.
    factors: Vec<f32>,
    now: f32,
}

impl Default for Season {
    fn default() -> Self {
        Self {
            slots: vec![(0.0, 0.0); WEEK],
            factors: vec![1.0; WEEK],
            now: 0.0,
        }
    }
}

/// The hour of the week; the epoch began on a Thursday.
fn slot(hour: i64) -> usize {
    (hour + 3 * 24).rem_euclid(WEEK as i64) as usize
}

fn weekend(slot: usize) -> bool {
    slot >= 5 * 24
}

impl Season {
    pub(super) fn count(&mut self) {
        self.now += 1.0;
    }

    /// The hour before `at` is over.
    pub(super) fn close(&mut self, at: &Clock) {
        let i = slot(at.hour - 1);
        let (all, hours) = self.mean(|_| true);
        let most = if hours >= KNOWN {
            (CLIP * all * self.factors.get(i).copied().unwrap_or(1.0)).max(1.0)
        } else {
            f32::MAX
        };
        if let Some((mean, seen)) = self.slots.get_mut(i) {
            *seen = (*seen + 1.0).min(MEMORY);
            *mean += (self.now.min(most) - *mean) / *seen;
        }
        self.now = 0.0;
        self.fit();
    }

    fn mean(&self, which: impl Fn(usize) -> bool) -> (f32, f32) {
        let own = self.slots.iter().enumerate().filter(|(i, _)| which(*i));
        let (sum, hours) = own.fold((0.0, 0.0), |(s, h), (_, (mean, seen))| {
            (s + mean * seen, h + seen)
        });
        (sum / hours.max(1.0), hours)
    }

    fn fit(&mut self) {
        let (all, _) = self.mean(|_| true);
        if all <= 0.0 {
            return;
        }
        let draw = |(own, seen): (f32, f32), coarse: f32, drawn: f32| {
            (own * seen + drawn * coarse) / (seen + drawn)
        };
        let of_day: Vec<f32> = (0..48)
            .map(|k| {
                let hour = self.mean(|i| i % 24 == k % 24);
                let part = self.mean(|i| i % 24 == k % 24 && weekend(i) == (k >= 24));
                draw(part, draw(hour, all, DRAWN), DRAWN)
            })
            .collect();
        self.factors = self
            .slots
            .iter()
            .enumerate()
            .map(|(i, (mean, seen))| {
                let coarse = of_day.get(i % 24 + usize::from(weekend(i)) * 24);
                let rate = draw((*mean, *seen), coarse.copied().unwrap_or(all), WEEKLY);
                (rate / all).clamp(0.05, 20.0)
            })
            .collect();
    }

    /// This hour's traffic over the mean hour's: 1 where little is known.
    pub(super) fn factor(&self, hour: i64) -> f64 {
        f64::from(self.factors.get(slot(hour)).copied().unwrap_or(1.0))
    }

    /// What stands behind the factor, in words.
    pub(super) fn words(&self, hour: i64) -> &'static str {
        match self.slots.get(slot(hour)) {
            Some((_, seen)) if *seen > WEEKLY => "the hour of the week",
            _ => "the hour of the day and the week part",
        }
    }

    /// Whether this hour of the day was seen in this week part, and two days at all.
    pub(super) fn knows(&self, hour: i64) -> bool {
        let now = slot(hour);
        let (_, hours) = self.mean(|_| true);
        let same = |i: usize| i % 24 == now % 24 && weekend(i) == weekend(now);
        hours >= KNOWN && self.mean(same).1 > 0.0
    }
}
