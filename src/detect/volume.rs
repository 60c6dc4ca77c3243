//! Counts in windows against a learnt baseline: hour of day and part of the week, over-dispersion,
//! and slow drift. Tested as the window grows, so that a flood rings in seconds.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::stats::{Counts, log10_count_tail};
use super::{Point, Timestamp};

/// Windows of this length, in seconds of packet time.
pub(super) const WINDOW: i64 = 300;

/// Observations of one hour-of-week slot that are remembered: some weeks of windows.
const MEMORY: f64 = 120.0;
/// Of the overall level: about a day.
const LEVEL: f64 = 288.0;
/// Windows kept for the chart.
const SERIES: usize = 36;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Volume {
    window: i64,
    count: u64,
    /// Hour of day, workday and weekend apart.
    slots: Vec<Counts>,
    level: Counts,
    /// Next count at which to test.
    check: u64,
    /// Count at which it rang last, in this anomaly.
    rang: u64,
    /// Windows since it last rang.
    quiet: u32,
    series: VecDeque<(i64, f32, f32)>,
}

/// A count that should be tested against the bar.
pub(super) struct Test {
    pub(super) log10_p: f64,
    pub(super) expected: f64,
    pub(super) observed: u64,
    pub(super) since: Timestamp,
}

impl Volume {
    pub(super) fn new(at: Timestamp) -> Self {
        Self {
            window: at.secs().div_euclid(WINDOW),
            count: 0,
            slots: vec![Counts::default(); 48],
            level: Counts::default(),
            check: 8,
            rang: 0,
            quiet: 0,
            series: VecDeque::new(),
        }
    }

    /// One more; a test where the count has grown enough to be worth one.
    pub(super) fn add(&mut self, at: Timestamp) -> Option<Test> {
        self.roll(at.secs().div_euclid(WINDOW));
        self.count += 1;
        if self.count < self.check {
            return None;
        }
        self.check = self.count + self.count / 4 + 1;
        let (expected, phi) = self.expect(self.window);
        let log10_p = log10_count_tail(self.count, expected, phi);
        let since = Timestamp::from_secs(self.window * WINDOW);
        Some(Test {
            log10_p,
            expected,
            observed: self.count,
            since,
        })
    }

    /// Whether a test that passed the bar is worth telling: new, or twice what was told.
    pub(super) fn ring(&mut self) -> bool {
        let tell = self.rang == 0 || self.count >= 2 * self.rang;
        if tell {
            self.rang = self.count;
        }
        self.quiet = 0;
        tell
    }

    fn slot(window: i64) -> usize {
        let seconds = window * WINDOW;
        let (day, hour) = (
            seconds.div_euclid(86_400),
            seconds.rem_euclid(86_400) / 3_600,
        );
        // The epoch began on a Thursday.
        let weekend = (day + 3).rem_euclid(7) >= 5;
        usize::try_from(hour).unwrap_or(0) + if weekend { 24 } else { 0 }
    }

    /// Mean and dispersion for a window: its slot, backed by the neighbours and the level while
    /// the slot knows little.
    fn expect(&self, window: i64) -> (f64, f64) {
        let at = Self::slot(window);
        let (half, hour) = (at / 24 * 24, at % 24);
        let near = [at, half + (hour + 23) % 24, half + (hour + 1) % 24];
        let (mut weight, mut mean, mut phi) =
            (6.0, 6.0 * self.level.mean(), 6.0 * self.level.phi());
        for (i, slot) in near.into_iter().map(|s| &self.slots[s]).enumerate() {
            let w = slot.weight() * if i == 0 { 1.0 } else { 0.25 };
            weight += w;
            mean += w * slot.mean();
            phi += w * slot.phi();
        }
        // A slot that has seen the hour once knows less than its spread says.
        let young = 1.0 / (1.0 + self.slots[at].weight() / 12.0);
        ((mean / weight).max(0.2), (phi / weight + young).max(0.05))
    }

    /// Closes windows that are over.
    fn roll(&mut self, now: i64) {
        if now <= self.window {
            return;
        }
        let (expected, phi) = self.expect(self.window);
        self.series
            .push_back((self.window, expected as f32, self.count as f32));
        if self.series.len() > SERIES {
            self.series.pop_front();
        }
        // While it rings, only what was expected is learnt, or an attack becomes the baseline.
        let spread = (expected + phi * expected * expected).sqrt();
        let ceiling = if self.rang > 0 {
            expected + spread
        } else {
            expected + 6.0 * spread
        };
        let learnt = (self.count as f64).min(ceiling.max(8.0));
        self.slots[Self::slot(self.window)].add(learnt, MEMORY);
        self.level.add(learnt, LEVEL);
        let skipped = now - self.window - 1;
        // Empty windows are observations too; of a long silence the last day suffices.
        for empty in (now - skipped.min(288)..now).rev() {
            self.slots[Self::slot(empty)].add_zeros(1, MEMORY);
        }
        self.level.add_zeros(skipped.max(0).cast_unsigned(), LEVEL);
        self.quiet = self
            .quiet
            .saturating_add(1 + u32::try_from(skipped).unwrap_or(u32::MAX));
        if self.quiet > 6 {
            self.rang = 0;
        }
        (self.window, self.count, self.check) = (now, 0, 8);
    }

    pub(super) fn series(&self) -> Vec<Point> {
        let now = (
            self.window,
            self.expect(self.window).0 as f32,
            self.count as f32,
        );
        let point = |(w, e, o): (i64, f32, f32)| Point {
            at: Timestamp::from_secs(w * WINDOW),
            expected: f64::from(e),
            observed: f64::from(o),
        };
        self.series
            .iter()
            .copied()
            .chain([now])
            .map(point)
            .collect()
    }
}
