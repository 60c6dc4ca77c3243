//! From "so many false alarms a week" to a bar.
//!
//! Every kind of test has a [`Cell`]: all windows tested so far by how surprising each was at its
//! peak, forgotten slowly. A law's p-value is only as good as the law, and traffic keeps to none.
//! So the law gives only a score (-log10 of its tail), and what a score is worth is learnt: the
//! share of windows above a high score, and past it a generalised Pareto tail fitted by
//! probability-weighted moments (Hosking and Wallis, 1987; the idea of SPOT, Siffer et al., 2017).
//! The bar is then plain: tests a week × p <= the cell's share of the budget. Windows that rang
//! leave the cell, so that attacks do not raise the bar.

use serde::{Deserialize, Serialize};

/// Who spends of the budget: a family of tests that may ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    PrincipalVolume,
    Enumeration,
    Scan,
    Authorization,
    Scraping,
    Credential,
    Exfiltration,
    SpreadWalk,
    EndpointVolume,
    EndpointCredential,
    /// Errors, latency, sizes and drops of targets.
    Quality,
    /// What is sent and given out: tampering, sizes, data in new places.
    Content,
    Takeover,
}

/// So many families, the first ones, are judged by principals' days (`purse`).
pub(super) const PURSES: usize = 7;

/// The split: a family, its part of the whole (the parts need not add up to anything), and how many
/// cells share it: of windows, where these are counts of a length, for the new and for the known.
const SPLIT: [(Family, f64, usize); 13] = [
    (Family::PrincipalVolume, 1.0, COUNT),
    // Three counts, walks, strange objects.
    (Family::Enumeration, 1.5, 3 * COUNT + 1 + 2),
    // A count, and paths tried by clients and by identities.
    (Family::Scan, 1.0, COUNT + 2),
    (Family::Authorization, 1.5, 2),
    (Family::Scraping, 1.0, COUNT),
    (Family::Credential, 1.0, COUNT),
    (Family::Exfiltration, 1.0, COUNT),
    (Family::SpreadWalk, 0.25, 1),
    (Family::EndpointVolume, 1.0, 5),
    (Family::EndpointCredential, 1.0, 6),
    // Errors, latency, sizes, drops.
    (Family::Quality, 1.0, 4),
    // Odd parameters, eight sizes, classes of data.
    (Family::Content, 0.5, 10),
    // Runs of failures in three places, addresses of a name, turns.
    (Family::Takeover, 0.5, 5),
];
const COUNT: usize = 2 * super::counter::SPANS.len();

impl Family {
    /// What one cell of this family may cost, of so many false alarms a week in all.
    pub(super) fn cell(self, budget: f64) -> f64 {
        let (part, cells) = self.part(budget);
        part / cells
    }

    /// The same for one that is judged by principals' days, and what these may cost together.
    pub(super) fn window(self, budget: f64) -> f64 {
        self.cell(budget) / 2.0
    }

    pub(super) fn day(self, budget: f64) -> f64 {
        self.part(budget).0
    }

    fn part(self, budget: f64) -> (f64, f64) {
        let all: f64 = SPLIT.iter().map(|(_, part, _)| part).sum();
        let own = SPLIT.iter().find(|(family, ..)| *family == self);
        own.map_or((0.0, 1.0), |(_, part, cells)| {
            (budget.max(0.0) * part / all, *cells as f64)
        })
    }
}

const BINS: usize = 96;
/// How long a cell remembers, in hours.
const MEMORY: f64 = 28.0 * 24.0;
const WEEK: f64 = 7.0 * 24.0;
/// The tail starts where at most this share of windows, yet at least `ENOUGH`, lie above.
const TAIL: f64 = 0.02;
const ENOUGH: f64 = 25.0;
/// Fewer windows than this in a place are no step of a tail.
const LEAST_STEP: f64 = 0.5;
/// What is believed of the tail before there is one: this many windows, exponential, this mean. A
/// perfect law would have 1 / ln 10 = 0.43.
const PRIOR_WEIGHT: f64 = 10.0;
const PRIOR_MEAN: f64 = 0.6;
/// No tail is believed to be thinner than a third as thick as a perfect law's: counts are whole
/// numbers, and a few places of them are no tail.
const LEAST_MEAN: f64 = 0.15;
/// Fewer tests a week than this are not believed: the tail of few windows is a guess.
const LEAST_TESTS: f64 = 1_000.0;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Cell {
    bins: Bins,
    /// Hour of packet time of the last fit, and hours remembered.
    hour: i64,
    hours: f64,
    tests_per_week: f64,
    /// The tail: where it starts, the share of windows above, and the Pareto law of the excess.
    from: f64,
    share: f64,
    scale: f64,
    shape: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
struct Bins([f64; BINS]);

impl From<Bins> for Vec<f64> {
    fn from(bins: Bins) -> Self {
        bins.0.to_vec()
    }
}

impl TryFrom<Vec<f64>> for Bins {
    type Error = &'static str;

    fn try_from(saved: Vec<f64>) -> Result<Self, Self::Error> {
        let bins: [f64; BINS] = saved.try_into().map_err(|_| "another number of places")?;
        bins.iter()
            .all(|b| b.is_finite() && *b >= 0.0)
            .then_some(Self(bins))
            .ok_or("no counts")
    }
}

/// What rang: how unlikely, against which bar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rung {
    pub log10_p: f64,
    pub bar: f64,
    pub tests_per_week: f64,
}

impl Default for Cell {
    fn default() -> Self {
        Self {
            bins: Bins([0.0; BINS]),
            hour: 0,
            hours: 0.0,
            tests_per_week: LEAST_TESTS,
            from: 0.0,
            share: 0.1,
            scale: PRIOR_MEAN,
            shape: 0.0,
        }
    }
}

impl Cell {
    /// A window opens: one test more. `hour` is packet time; a new hour brings a new fit.
    pub(super) fn open(&mut self, hour: i64) {
        if hour > self.hour {
            let passed = if self.hour == 0 {
                1.0
            } else {
                (hour - self.hour) as f64
            };
            let keep = (-passed / MEMORY).exp();
            self.bins.0.iter_mut().for_each(|b| *b *= keep);
            self.hours = self.hours * keep + passed;
            self.hour = hour;
            self.fit();
        }
        self.bins.0[0] += 1.0;
    }

    /// An open window's score rose. Takes and returns the place it stands in.
    pub(super) fn climb(&mut self, place: u8, score: f64) -> u8 {
        let to = bin(score);
        if to <= usize::from(place) {
            return place;
        }
        self.shift(usize::from(place), to);
        to as u8
    }

    /// An open window rang: it says nothing of what is normal.
    pub(super) fn withdraw(&mut self, place: u8) -> u8 {
        self.shift(usize::from(place), 0);
        0
    }

    fn shift(&mut self, from: usize, to: usize) {
        let moved = self.bins.0[from.min(BINS - 1)].min(1.0);
        self.bins.0[from.min(BINS - 1)] -= moved;
        self.bins.0[to] += moved;
    }

    /// How likely a window of this cell reaches `score` by chance, as log10.
    pub(super) fn log10_p(&self, score: f64) -> f64 {
        let excess = score - self.from;
        if excess <= 0.0 {
            return self.share.log10();
        }
        let tail = if self.shape > 1e-6 {
            -(1.0 + self.shape * excess / self.scale).log10() / self.shape
        } else {
            -excess / self.scale / std::f64::consts::LN_10
        };
        self.share.log10() + tail
    }

    /// The score at which one rings.
    pub(super) fn bar(&self, per_week: f64) -> f64 {
        let rarer = self.share.log10() - self.log10_bar(per_week);
        let times = rarer.max(0.0) * std::f64::consts::LN_10;
        let excess = if self.shape > 1e-6 {
            self.scale / self.shape * (self.shape * times).exp_m1()
        } else {
            self.scale * times
        };
        self.from + excess
    }

    fn log10_bar(&self, per_week: f64) -> f64 {
        (per_week.max(1e-9) / self.tests_per_week.max(LEAST_TESTS))
            .log10()
            .min(-1.0)
    }

    /// The log10 p of a score that rings, where `per_week` false alarms are this cell's to spend.
    pub(super) fn rings(&self, score: f64, per_week: f64) -> Option<Rung> {
        let p = self.log10_p(score);
        let bar = self.log10_bar(per_week);
        (score > self.from && p <= bar).then_some(Rung {
            log10_p: p,
            bar,
            tests_per_week: self.tests_per_week,
        })
    }

    fn fit(&mut self) {
        let total: f64 = self.bins.0.iter().sum();
        self.tests_per_week = total / self.hours.max(24.0) * WEEK;
        if total < 1.0 {
            return;
        }
        let (mut start, mut above) = (BINS - 1, self.bins.0[BINS - 1]);
        while start > 1 && above < ENOUGH.max(TAIL * total) {
            start -= 1;
            above += self.bins.0[start];
        }
        // Where all that have a score lie above, the tail starts at the lowest of them: scores of
        // whole numbers come in steps, and the empty places below the first are no tail. (Unless
        // these are so few that they may be all one attack.)
        let mut below = 0.0;
        while above > PRIOR_WEIGHT && start < BINS - 1 && below + self.bins.0[start] < LEAST_STEP {
            below += self.bins.0[start];
            start += 1;
        }
        above -= below;
        // Sums over exceedances from the highest down: `rank` is how many lie above.
        let (mut rank, mut first, mut second) = (0.0, 0.0, 0.0);
        let from = lower(start);
        for i in (start..BINS).rev() {
            let (n, excess) = (self.bins.0[i], (lower(i) + lower(i + 1)) / 2.0 - from);
            first += n * excess;
            second += n * excess * (rank + n / 2.0);
            rank += n;
        }
        let weight = above + PRIOR_WEIGHT;
        let b0 = (first + PRIOR_WEIGHT * PRIOR_MEAN) / weight;
        let b1 = (second / above.max(1e-9) + PRIOR_WEIGHT * PRIOR_MEAN / 4.0) / weight;
        let shape = (2.0 - b0 / (b0 - 2.0 * b1).max(1e-9)).clamp(0.0, 0.5);
        self.from = from;
        self.share = ((above + 1.0) / (total + 10.0)).clamp(1e-9, 1.0);
        self.shape = shape;
        self.scale = (b0 * (1.0 - shape)).max(LEAST_MEAN);
    }
}

/// Scores by place: fine near zero, coarse far out; the last place takes all above some 1,000.
fn bin(score: f64) -> usize {
    (((1.0 + 4.0 * score.max(0.0)).log2() * 8.0) as usize).min(BINS - 1)
}

fn lower(i: usize) -> f64 {
    ((i as f64 / 8.0).exp2() - 1.0) / 4.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores by a fixed generator, exponential with this mean.
    fn scores(n: u64, mean: f64, salt: u64) -> impl Iterator<Item = f64> {
        (0..n).map(move |i| {
            let u = (super::super::distinct::mix(i * 2 + 1 + (salt << 32)) >> 11) as f64
                / (1_u64 << 53) as f64;
            -mean * (1.0 - u).ln()
        })
    }

    fn rang(cell: &mut Cell, per_week: f64, mean: f64, weeks: i64, salt: u64) -> usize {
        let hours = weeks * 168;
        let mut count = 0;
        for (i, score) in scores(hours as u64 * 100, mean, salt).enumerate() {
            cell.open(1 + i as i64 / 100);
            if i as i64 / 100 > 168 && cell.rings(score, per_week).is_some() {
                count += 1;
            } else {
                cell.climb(0, score);
            }
        }
        count
    }

    #[test]
    fn the_budget_is_kept_whatever_the_law_is_worth() {
        // A law that overstates what is rare by 2 to 10 must not cost more alarms.
        for (salt, mean) in [0.43, 1.0, 4.0].into_iter().enumerate() {
            let mut cell = Cell::default();
            let weeks = 20;
            let seen = rang(&mut cell, 5.0, mean, weeks + 1, salt as u64) as f64 / weeks as f64;
            assert!(
                (1.0..=10.0).contains(&seen),
                "{mean}: {seen} a week for a budget of 5"
            );
        }
    }

    #[test]
    fn places_are_ordered_and_cover_all_scores() {
        for s in [0.0, 0.1, 1.0, 7.7, 100.0, 1_000.0] {
            let i = bin(s);
            assert!(lower(i) <= s + 1e-9 && s < lower(i + 1), "{s}");
        }
        assert_eq!(bin(1e9), BINS - 1);
        assert_eq!(bin(f64::NAN), 0);
    }
}
