//! All requests over time, of endpoints or of none: by the quarter of an hour for two days, so that a
//! day can be held against the one before. Fixed in size; sums, so the order of exchanges within
//! the two days changes nothing. Time is packet time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::exchange::Exchange;
use crate::time::Timestamp;

/// How long one lasts, and how many are kept: two days.
pub const PULSE_SECONDS: i64 = 900;
pub const PULSE_BEATS: i64 = 2 * 86_400 / PULSE_SECONDS;

/// What a quarter of an hour had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Which quarter of an hour of the epoch.
    pub at: i64,
    pub requests: u64,
    /// Answers of 4xx, and of 5xx.
    pub client_errors: u64,
    pub server_errors: u64,
}

/// Invariant: at most [`PULSE_BEATS`], none older than so many before the latest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pulse(BTreeMap<i64, Beat>);

impl Pulse {
    pub(super) fn take(&mut self, x: &Exchange) {
        let at = slot(x.ts);
        let latest = self
            .0
            .last_key_value()
            .map_or(at, |(last, _)| at.max(*last));
        if at <= latest.saturating_sub(PULSE_BEATS) {
            return;
        }
        while let Some(first) = self.0.first_entry()
            && *first.key() <= latest.saturating_sub(PULSE_BEATS)
        {
            first.remove();
        }
        let beat = self.0.entry(at).or_insert_with(|| Beat {
            at,
            ..Beat::default()
        });
        beat.requests += 1;
        match x.status_class() {
            4 => beat.client_errors += 1,
            5 => beat.server_errors += 1,
            _ => {}
        }
    }

    pub(super) fn view(&self) -> Vec<Beat> {
        self.0.values().copied().collect()
    }
}

impl Beat {
    /// The one that a moment lies in.
    pub fn of(at: Timestamp) -> i64 {
        slot(at)
    }

    /// When the one of this number begins.
    pub fn start(at: i64) -> Timestamp {
        Timestamp::from_secs(at.saturating_mul(PULSE_SECONDS))
    }
}

fn slot(at: Timestamp) -> i64 {
    at.secs().div_euclid(PULSE_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(pulse: &mut Pulse, secs: i64, status: u16) {
        let mut x = Exchange::at(Timestamp::from_secs(secs));
        x.status = Some(status);
        pulse.take(&x);
    }

    #[test]
    fn two_days_are_kept_and_late_ones_of_them_counted() {
        let mut pulse = Pulse::default();
        for quarter in 0..300 {
            take(&mut pulse, quarter * PULSE_SECONDS, 200);
            take(&mut pulse, quarter * PULSE_SECONDS + 899, 503);
        }
        take(&mut pulse, 200 * PULSE_SECONDS + 5, 404);
        // Too late.
        take(&mut pulse, 100 * PULSE_SECONDS, 200);
        let beats = pulse.view();
        assert_eq!(beats.len() as i64, PULSE_BEATS);
        assert_eq!(beats[0].at, 300 - PULSE_BEATS);
        let late = beats.iter().find(|b| b.at == 200).unwrap();
        assert_eq!(
            (late.requests, late.client_errors, late.server_errors),
            (3, 1, 1)
        );
        assert_eq!(beats.iter().map(|b| b.requests).sum::<u64>(), 2 * 192 + 1);
    }

    #[test]
    fn forged_times_neither_panic_nor_grow_it() {
        let mut pulse = Pulse::default();
        for nanos in [i64::MIN, 0, i64::MAX, 1, i64::MAX - 1] {
            pulse.take(&Exchange::at(Timestamp(nanos)));
            assert!(pulse.0.len() as i64 <= PULSE_BEATS);
        }
    }
}
