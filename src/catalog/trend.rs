//! Whether an endpoint is called more or less than it was: requests by the day for two weeks, and
//! who called lately.

use cardinality_estimator::CardinalityEstimator;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

const WEEK: usize = 7;
const DAYS: usize = 2 * WEEK;
const DAY: i64 = 86_400_000_000_000;

pub(super) fn day(at: Timestamp) -> i64 {
    at.nanos().div_euclid(DAY)
}

/// Requests by the day (UTC), today last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Days {
    counts: [u32; DAYS],
    today: i64,
}

impl Days {
    pub(super) fn add(&mut self, at: Timestamp) {
        let day = day(at);
        self.turn(day);
        let back = usize::try_from(self.today - day).unwrap_or(DAYS);
        if back < DAYS {
            let count = &mut self.counts[DAYS - 1 - back];
            *count = count.saturating_add(1);
        }
    }

    fn turn(&mut self, day: i64) {
        let ahead = usize::try_from(day - self.today).unwrap_or(0).min(DAYS);
        if ahead > 0 {
            self.counts.rotate_left(ahead % DAYS);
            self.counts[DAYS - ahead..].fill(0);
            self.today = day;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        let latest = self.today.max(other.today);
        self.turn(latest);
        other.turn(latest);
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// Requests of the seven days that end today, and of the seven before them.
    pub(super) fn weeks(&self, now: Timestamp) -> [u64; 2] {
        let mut turned = self.clone();
        turned.turn(day(now));
        let (before, last) = turned.counts.split_at(WEEK);
        let sum = |counts: &[u32]| counts.iter().map(|n| u64::from(*n)).sum();
        [sum(last), sum(before)]
    }
}

/// Distinct callers of this week of the epoch and the one before, by sketch.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Lately {
    week: i64,
    now: CardinalityEstimator<u64>,
    before: CardinalityEstimator<u64>,
}

impl Lately {
    pub(super) fn add(&mut self, principal: u64, at: Timestamp) {
        self.turn(day(at).div_euclid(WEEK as i64));
        self.now.insert(&principal);
    }

    fn turn(&mut self, week: i64) {
        match week - self.week {
            ..=0 => return,
            1 => self.before = std::mem::take(&mut self.now),
            _ => (self.now, self.before) = Default::default(),
        }
        self.week = week;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        let latest = self.week.max(other.week);
        self.turn(latest);
        other.turn(latest);
        self.now.merge(&other.now);
        self.before.merge(&other.before);
    }

    /// Callers of the last one to two weeks.
    pub(super) fn count(&self, now: Timestamp) -> u64 {
        let mut both = self.clone();
        both.turn(day(now).div_euclid(WEEK as i64));
        both.now.merge(&both.before);
        both.now.estimate() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp(day * DAY + 5)
    }

    #[test]
    fn two_weeks_are_counted_and_what_is_older_goes() {
        let mut days = Days::default();
        for day in 100..114 {
            for _ in 0..day - 99 {
                days.add(at(day));
            }
        }
        assert_eq!(days.weeks(at(113)), [77, 28]);
        assert_eq!(days.weeks(at(120)), [0, 77]);
        assert_eq!(days.weeks(at(999)), [0, 0]);
        // Late ones count where they belong, or not at all.
        days.add(at(107));
        days.add(at(3));
        assert_eq!(days.weeks(at(113)), [78, 28]);
    }

    #[test]
    fn halves_merge_to_the_whole() {
        let (mut whole, mut a, mut b) = (Days::default(), Days::default(), Days::default());
        for n in 0..60 {
            let day = at(100 + n % 17);
            whole.add(day);
            if n % 3 == 0 { &mut a } else { &mut b }.add(day);
        }
        a.merge(&b);
        assert_eq!(a, whole);
    }

    #[test]
    fn callers_of_long_ago_are_not_who_calls_now() {
        let mut lately = Lately::default();
        for principal in 0..50_u64 {
            lately.add(principal, at(700));
        }
        lately.add(1, at(707));
        assert_eq!(lately.count(at(707)), 50);
        assert_eq!(lately.count(at(714)), 1);
        assert_eq!(lately.count(at(728)), 0);
    }
}
