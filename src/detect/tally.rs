//! Distinct things that one caller asked for at one place in an hour, against the caller's own
//! past and its peers'; and how often the next id was a small step from the last.

use cardinality_estimator::CardinalityEstimator;
use serde::{Deserialize, Serialize};

use super::stats::{Counts, log10_count_tail, log10_trials_tail};
use crate::time::Timestamp;

/// Windows of this length, in seconds.
const WINDOW: i64 = 3_600;
const MEMORY: f64 = 400.0;
/// Steps up to this size are a walk; larger strides show in the count.
const STRIDE: u64 = 20;
/// Distinct things below which nobody is worth a test.
const FLOOR: u64 = 12;
const SAMPLES: usize = 5;

/// What other callers do at the same place.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Peers {
    counts: Counts,
    steps: f64,
    small: f64,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Tally {
    window: i64,
    pub(super) first: Timestamp,
    seen: CardinalityEstimator<u64>,
    pub(super) distinct: u64,
    pub(super) requests: u64,
    pub(super) misses: u64,
    last_number: Option<u64>,
    steps: u64,
    small: u64,
    /// The caller's own hours, and the largest of them, slowly forgotten.
    own: Counts,
    own_peak: f32,
    check: u64,
    rang: u64,
    pub(super) samples: Vec<String>,
}

/// What a tally says for itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Test {
    pub(super) log10_p: f64,
    pub(super) expected: f64,
    pub(super) observed: u64,
    /// Of the transitions between ids, the share of small steps.
    pub(super) small_steps: Option<f64>,
}

impl Tally {
    pub(super) fn new(at: Timestamp) -> Self {
        Self {
            window: at.secs().div_euclid(WINDOW),
            first: at,
            seen: CardinalityEstimator::new(),
            distinct: 0,
            requests: 0,
            misses: 0,
            last_number: None,
            steps: 0,
            small: 0,
            own: Counts::default(),
            own_peak: 0.0,
            check: FLOOR,
            rang: 0,
            samples: Vec::new(),
        }
    }

    /// One more request for `item`. A test where there are enough new ones to be worth it.
    pub(super) fn add(
        &mut self,
        at: Timestamp,
        item: u64,
        number: Option<u64>,
        missed: bool,
        peers: &mut Peers,
        sample: impl FnOnce() -> String,
    ) -> Option<Test> {
        self.roll(at, peers);
        self.requests += 1;
        self.misses += u64::from(missed);
        let before = self.distinct;
        self.seen.insert(&item);
        self.distinct = self.seen.estimate() as u64;
        if self.distinct > before {
            if let (Some(last), Some(number)) = (self.last_number, number) {
                let small = last.abs_diff(number) <= STRIDE;
                self.steps += 1;
                self.small += u64::from(small);
                peers.steps += 1.0;
                peers.small += f64::from(u8::from(small));
            }
            self.last_number = number;
            if self.samples.len() < SAMPLES {
                self.samples.push(sample());
            }
        }
        if self.distinct < self.check {
            return None;
        }
        self.check = self.distinct + self.distinct / 4 + 1;
        Some(self.test(peers))
    }

    fn test(&self, peers: &Peers) -> Test {
        let peer_mean = peers.counts.mean().max(1.0);
        let own = self.own.mean().max(f64::from(self.own_peak));
        let expected = peer_mean.max(own);
        // Few peers or little past: the spread could be anything.
        let young = 2.0 / (1.0 + peers.counts.weight() / 10.0);
        let phi = (peers.counts.phi() + young).clamp(0.15, 6.0);
        // Against the own peak the spread is narrower than between callers.
        let phi = if own > peer_mean { phi.min(0.35) } else { phi };
        let mut log10_p = log10_count_tail(self.distinct, expected, phi);
        let mut small_steps = None;
        if self.steps >= 10 {
            let share = self.small as f64 / self.steps as f64;
            // Callers have neighbouring objects of their own: a fifth at least is no evidence.
            let usual = ((peers.small + 2.0) / (peers.steps + 10.0)).clamp(0.2, 0.95);
            if share > usual {
                small_steps = Some(share);
                log10_p += log10_trials_tail(self.small, self.steps, usual) / 4.0;
            }
        }
        Test {
            log10_p,
            expected,
            observed: self.distinct,
            small_steps,
        }
    }

    /// New, or twice what was told.
    pub(super) fn ring(&mut self) -> bool {
        let tell = self.rang == 0 || self.distinct >= 2 * self.rang;
        if tell {
            self.rang = self.distinct;
        }
        tell
    }

    fn roll(&mut self, at: Timestamp, peers: &mut Peers) {
        let now = at.secs().div_euclid(WINDOW);
        if now <= self.window {
            return;
        }
        if self.distinct > 0 {
            // What rang is not learnt as it was, neither for the caller nor for its peers.
            let usual = peers
                .counts
                .mean()
                .max(f64::from(self.own_peak))
                .max(FLOOR as f64);
            let learnt = if self.rang > 0 {
                (self.distinct as f64).min(usual)
            } else {
                self.distinct as f64
            };
            peers.counts.add(learnt.min(8.0 * usual), MEMORY);
            self.own.add(learnt, MEMORY);
            let days = ((now - self.window) as f32 / 24.0).min(60.0);
            self.own_peak = (self.own_peak * 0.98_f32.powf(days)).max(learnt as f32);
        }
        self.window = now;
        self.first = at;
        self.seen = CardinalityEstimator::new();
        (
            self.distinct,
            self.requests,
            self.misses,
            self.steps,
            self.small,
        ) = (0, 0, 0, 0, 0);
        (self.check, self.rang, self.last_number) = (FLOOR, 0, None);
        self.samples.clear();
    }
}
