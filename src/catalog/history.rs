//! Requests, errors, latencies and bytes of one endpoint over time: by the minute for a day, by the
//! hour for 60 days, in fixed space.
//!
//! A series keeps only slots that had traffic. The newest stand open, as [`Slot`]s of 48 bytes and
//! 12 for each bucket of latencies, so that an exchange costs a look at a few of them; when eight
//! stand open the older half is packed into bytes, some fourteen for a slot of one request. All sums
//! are of integers, so that neither the order of exchanges nor merges change them. Time is packet
//! time.
//!
//! Bounds: an endpoint called once costs 120 bytes beside the struct; one called all the time at
//! most [`SLOTS`] packed slots a series, each of as many buckets as its latencies are spread over
//! (four to a doubling): 128 KiB at a thousand requests a minute over a decade. What all endpoints
//! may use together is bounded by `Settings::max_history`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::exchange::Exchange;
use crate::time::Timestamp;

mod pack;
mod spread;

#[cfg(test)]
mod tests;

pub use pack::Run;
pub use spread::Total;

/// Slots a series reaches back: a day of minutes, 60 days of hours.
pub const SLOTS: i64 = 1_440;
/// Slots that stand open at most; records this many busy slots late are as cheap as any.
const OPEN: usize = 8;

/// What a series is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Minute,
    Hour,
}

impl Step {
    pub fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }

    /// The slot of a moment: minutes or hours of the epoch.
    pub fn slot(self, ts: Timestamp) -> i64 {
        ts.secs().div_euclid(self.seconds())
    }

    /// When a slot begins.
    pub fn start(self, slot: i64) -> Timestamp {
        Timestamp::from_secs(slot.saturating_mul(self.seconds()))
    }
}

/// What one minute or hour had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Minutes or hours of the epoch.
    pub at: i32,
    pub requests: u32,
    /// Answers of 4xx, and of 5xx.
    pub client_errors: u32,
    pub server_errors: u32,
    /// Exchanges whose latency is known.
    pub timed: u32,
    /// Microseconds.
    pub slowest: u32,
    pub latency_sum: u64,
    /// Body bytes.
    pub request_bytes: u64,
    pub response_bytes: u64,
}

impl Slot {
    fn of(x: &Exchange) -> Self {
        let class = x.status_class();
        let latency = x.latency_ms.filter(|ms| ms.is_finite());
        // `as` saturates: below zero, and above 71 minutes.
        let micros = latency.map_or(0, |ms| (ms * 1e3).round() as u32);
        Self {
            at: 0,
            requests: 1,
            client_errors: u32::from(class == 4),
            server_errors: u32::from(class == 5),
            timed: u32::from(latency.is_some()),
            slowest: micros,
            latency_sum: u64::from(micros),
            request_bytes: x.request_bytes.unwrap_or(0),
            response_bytes: x.response_bytes.unwrap_or(0),
        }
    }

    fn add(&mut self, other: &Self) {
        let sum = |mine: &mut u32, theirs: u32| *mine = mine.saturating_add(theirs);
        sum(&mut self.requests, other.requests);
        sum(&mut self.client_errors, other.client_errors);
        sum(&mut self.server_errors, other.server_errors);
        sum(&mut self.timed, other.timed);
        self.slowest = self.slowest.max(other.slowest);
        let sum = |mine: &mut u64, theirs: u64| *mine = mine.saturating_add(theirs);
        sum(&mut self.latency_sum, other.latency_sum);
        sum(&mut self.request_bytes, other.request_bytes);
        sum(&mut self.response_bytes, other.response_bytes);
    }

    /// Mean latency in milliseconds, where any is known.
    pub fn mean_ms(&self) -> Option<f64> {
        (self.timed > 0).then(|| self.latency_sum as f64 / f64::from(self.timed) / 1e3)
    }

    /// The longest latency in milliseconds, where any is known.
    pub fn slowest_ms(&self) -> Option<f64> {
        (self.timed > 0).then(|| f64::from(self.slowest) / 1e3)
    }
}

/// Both series of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    minutes: Series,
    hours: Series,
}

impl History {
    pub(super) fn take(&mut self, x: &Exchange) {
        let slot = Slot::of(x);
        self.minutes.add(Step::Minute.slot(x.ts), &slot);
        self.hours.add(Step::Hour.slot(x.ts), &slot);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.minutes.merge(&other.minutes);
        self.hours.merge(&other.hours);
    }

    /// Bytes beyond the struct itself.
    pub(super) fn bytes(&self) -> usize {
        self.minutes.bytes() + self.hours.bytes()
    }

    /// Gives up one series; whether there was something in it.
    pub(super) fn clear(&mut self, step: Step) -> bool {
        let series = match step {
            Step::Minute => &mut self.minutes,
            Step::Hour => &mut self.hours,
        };
        let had = series.bytes() > 0;
        *series = Series {
            put_out: had || series.put_out,
            ..Series::default()
        };
        had
    }

    fn series(&self, step: Step) -> &Series {
        match step {
            Step::Minute => &self.minutes,
            Step::Hour => &self.hours,
        }
    }

    /// The slots with traffic of the window that ends with `now`, oldest first.
    pub fn run(&self, step: Step, now: Timestamp) -> Run {
        let end = step.slot(now);
        let mut run = self.series(step).run();
        run.retain(end - SLOTS + 1, end);
        run
    }

    /// The budget has put out what this series had once: it need not be whole.
    pub fn is_cut(&self, step: Step) -> bool {
        self.series(step).put_out
    }

    /// Requests an hour of the last 24 hours, oldest first.
    pub(super) fn day(&self, now: Timestamp) -> Vec<u64> {
        const HOURS: usize = 24;
        let mut day = vec![0; HOURS];
        let first = Step::Hour.slot(now) - HOURS as i64 + 1;
        for slot in self.hours.run_from(first).slots() {
            let at = usize::try_from(i64::from(slot.at) - first).unwrap_or(HOURS);
            if let Some(hour) = day.get_mut(at) {
                *hour = u64::from(slot.requests);
            }
        }
        day
    }
}

/// Slots in order, each once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Series {
    /// Later than all that is packed.
    open: Run,
    packed: Option<Arc<[u8]>>,
    /// The last slot that is packed.
    sealed: Option<i32>,
    put_out: bool,
}

impl Series {
    /// One exchange.
    fn add(&mut self, slot: i64, counts: &Slot) {
        // The epoch's minutes fit for four thousand years; what lies beyond is forged.
        let Ok(at) = i32::try_from(slot) else {
            return;
        };
        let latency = (counts.timed > 0).then(|| spread::bucket(counts.slowest));
        let counts = Slot { at, ..*counts };
        if self.sealed.is_some_and(|sealed| at <= sealed) {
            // Later than the open slots reach: all is packed anew, some 40 µs.
            let mut run = self.packed_run();
            run.add(&counts, latency);
            self.pack(run);
            return;
        }
        self.open.add(&counts, latency);
        if self.open.slots.len() >= OPEN {
            self.seal();
        }
    }

    /// Packs the older half of what stands open; what has left the window goes.
    fn seal(&mut self) {
        let newer = self.open.split_off(OPEN / 2);
        let older = std::mem::replace(&mut self.open, newer);
        let mut run = self.packed_run();
        run.slots.extend(older.slots);
        run.cells.extend(older.cells);
        self.sealed = run.slots.last().map(|s| s.at);
        self.pack(run);
    }

    fn pack(&mut self, mut run: Run) {
        let newest = self.open.slots.last().or_else(|| run.slots.last());
        let newest = i64::from(newest.map_or(0, |s| s.at));
        run.retain(newest - SLOTS + 1, newest);
        self.packed = (!run.slots.is_empty()).then(|| run.pack().into());
    }

    fn packed_run(&self) -> Run {
        self.packed.as_deref().map(Run::unpack).unwrap_or_default()
    }

    fn run(&self) -> Run {
        let mut run = self.packed_run();
        run.slots.extend(&self.open.slots);
        run.cells.extend(&self.open.cells);
        run
    }

    /// All slots, where only those from `first` on are asked for: what is packed is looked into
    /// only if it reaches so far.
    fn run_from(&self, first: i64) -> Run {
        match self.sealed {
            Some(sealed) if i64::from(sealed) >= first => self.run(),
            _ => self.open.clone(),
        }
    }

    fn merge(&mut self, other: &Self) {
        let mut run = self.run();
        run.merge(&other.run());
        // The newest stay open, half as many as may be.
        self.open = run.split_off(run.slots.len().saturating_sub(OPEN / 2));
        self.sealed = run.slots.last().map(|s| s.at);
        self.pack(run);
        self.put_out |= other.put_out;
    }

    fn bytes(&self) -> usize {
        self.open.bytes() + self.packed.as_ref().map_or(0, |p| p.len())
    }
}
