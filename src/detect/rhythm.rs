//! Which rhythm a target keeps: none, its host's, or one of its own.
//!
//! A health check does not sleep at night, and a nightly job does nothing else. All three ways to
//! foretell a quarter of an hour are tried, and the least mistaken of late is used.

use serde::{Deserialize, Serialize};

use super::season::Season;

/// Quarters of an hour that rhythms are compared over: a week.
const TRIES: f32 = 672.0;
/// A quarter teaches at most so many times what was foretold, and a few more.
const CLIP: f64 = 3.0;
/// Days after which a rhythm of its own is believed, and those it remembers.
const DAYS: f32 = 3.0;
const MEMORY: f32 = 14.0;
/// How much better another rhythm than the host's must be.
const BETTER: f32 = 0.9;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    Flat,
    #[default]
    Host,
    Own,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Rhythm {
    kind: Kind,
    /// Decayed mean absolute mistakes, and quarters tried.
    mistakes: [f32; 3],
    tries: f32,
    /// Mean of the quarters in each hour of the day, and days seen; empty before the first.
    own: Vec<f32>,
    days: f32,
}

/// A target's rhythm with its host's season: what an hour is of the mean hour.
#[derive(Clone, Copy)]
pub(super) struct Beat<'a> {
    rhythm: &'a Rhythm,
    season: &'a Season,
}

impl<'a> Beat<'a> {
    pub(super) fn of(rhythm: &'a Rhythm, season: &'a Season) -> Self {
        Self { rhythm, season }
    }

    /// A day has no rhythm.
    pub(super) fn factor(&self, span: i64, hour: i64) -> f64 {
        if span >= 86_400 {
            return 1.0;
        }
        self.rhythm.of(self.rhythm.kind, self.season, hour)
    }

    /// Whether it rests on the host's, which speaks of this hour only once it was seen.
    pub(super) fn by_host(&self) -> bool {
        self.rhythm.kind == Kind::Host
    }

    /// Whether all hours are alike.
    pub(super) fn is_even(&self) -> bool {
        self.rhythm.kind == Kind::Flat
    }

    /// What stands behind the factor, in words.
    pub(super) fn words(&self, hour: i64) -> &'static str {
        match self.rhythm.kind {
            Kind::Flat => "none: it keeps even through the day",
            Kind::Own => "its own by the hour of the day",
            Kind::Host => self.season.words(hour),
        }
    }
}

impl Rhythm {
    fn of(&self, kind: Kind, season: &Season, hour: i64) -> f64 {
        match kind {
            Kind::Flat => 1.0,
            Kind::Host => season.factor(hour),
            Kind::Own => {
                let mean = self.own.iter().sum::<f32>() / 24.0;
                let own = self.own.get(hour.rem_euclid(24) as usize);
                let own = f64::from(own.copied().unwrap_or(0.0) / mean.max(1e-6));
                // Drawn to the host's as if by one day.
                let days = f64::from(self.days);
                ((own * days + season.factor(hour)) / (days + 1.0)).clamp(0.05, 20.0)
            }
        }
    }

    /// A quarter of an hour is over: what it had, what a mean one has, and what the rest of the
    /// host did over what was expected of it.
    pub(super) fn learn(&mut self, count: f64, mean: f64, others: f64, season: &Season, hour: i64) {
        self.tries = (self.tries + 1.0).min(TRIES);
        let mut most = 0.0_f64;
        for (i, kind) in [Kind::Flat, Kind::Host, Kind::Own].into_iter().enumerate() {
            let others = if kind == Kind::Host { others } else { 1.0 };
            let foretold = mean * self.of(kind, season, hour) * others;
            let bound = CLIP * foretold + CLIP;
            most = most.max(foretold + bound);
            let mistake = (count - foretold).abs().min(bound) as f32;
            self.mistakes[i] += (mistake - self.mistakes[i]) / self.tries;
        }
        self.own.resize(24, 0.0);
        if let Some(own) = self.own.get_mut(hour.rem_euclid(24) as usize) {
            let quarters = 4.0 * (self.days + 1.0).min(MEMORY);
            *own += (count.min(most) as f32 - *own) / quarters;
        }
        if self.days < MEMORY {
            self.days += 1.0 / 96.0;
        }
        let [flat, host, own] = self.mistakes;
        self.kind = if own < BETTER * host && own < flat && self.days >= DAYS {
            Kind::Own
        } else if flat < BETTER * host {
            Kind::Flat
        } else {
            Kind::Host
        };
    }
}
