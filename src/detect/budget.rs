//! From false alarms a week to a bar for p-values.
//!
//! Each family counts the tests that it makes; its share of the weekly budget, divided by the
//! tests a week, is the p-value that rings (Bonferroni). Tests repeated on the same growing count
//! are not independent, so the bar errs on the quiet side.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

const WEEK: f64 = 7.0 * 86_400.0;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Family {
    tests: f64,
    since: Option<Timestamp>,
}

impl Family {
    pub(super) fn new() -> Self {
        Self {
            tests: 0.0,
            since: None,
        }
    }

    /// Counts a test, and returns the bar: log10 p at or below it rings.
    pub(super) fn test(&mut self, at: Timestamp, budget_per_week: f64) -> f64 {
        self.tests += 1.0;
        let since = *self.since.get_or_insert(at);
        // A day at least, or the first tests would look like a flood.
        let seconds = at.since(since).as_secs_f64().max(86_400.0);
        let a_week = (self.tests * WEEK / seconds).max(100.0);
        (budget_per_week / a_week).log10()
    }
}
