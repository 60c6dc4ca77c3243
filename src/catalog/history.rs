//! Requests, errors and latency of one endpoint over time: by the minute for a day, by the hour for
//! 60 days, in fixed space.
//!
//! A series keeps only slots that had traffic. The newest stand open, as [`Slot`]s of 32 bytes, so
//! that an exchange costs a look at a few of them and allocates nothing; when sixteen stand open
//! the older half is packed into bytes, some eight for a slot of one request. Packed bytes are
//! shared with the views. All sums are of integers, so that neither the order of exchanges nor
//! merges change them. Time is packet time.
//!
//! Bounds: an endpoint called once costs 64 bytes beside the struct; one called all the time at
//! most [`SLOTS`] packed slots a series, 24 KiB at a thousand requests a minute. What all endpoints
//! may use together is bounded by `Settings::max_history`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::exchange::Exchange;
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// Slots a series reaches back: a day of minutes, 60 days of hours.
pub const SLOTS: i64 = 1_440;
/// Slots that stand open at most; records this many busy slots late are as cheap as any.
const OPEN: usize = 16;

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
        }
    }

    fn add(&mut self, other: &Self) {
        let sum = |mine: &mut u32, theirs: u32| *mine = mine.saturating_add(theirs);
        sum(&mut self.requests, other.requests);
        sum(&mut self.client_errors, other.client_errors);
        sum(&mut self.server_errors, other.server_errors);
        sum(&mut self.timed, other.timed);
        self.slowest = self.slowest.max(other.slowest);
        self.latency_sum = self.latency_sum.saturating_add(other.latency_sum);
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
    pub fn slots(&self, step: Step, now: Timestamp) -> Vec<Slot> {
        let end = step.slot(now);
        let mut slots = self.series(step).slots();
        slots.retain(|s| (end - SLOTS + 1..=end).contains(&i64::from(s.at)));
        slots
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
        for slot in self.hours.slots_from(first) {
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
    /// Later than all that is packed; in order.
    open: Vec<Slot>,
    packed: Option<Arc<[u8]>>,
    /// The last slot that is packed.
    sealed: Option<i32>,
    put_out: bool,
}

impl Series {
    fn add(&mut self, slot: i64, counts: &Slot) {
        // The epoch's minutes fit for four thousand years; what lies beyond is forged.
        let Ok(at) = i32::try_from(slot) else {
            return;
        };
        let counts = Slot { at, ..*counts };
        if self.sealed.is_some_and(|sealed| at <= sealed) {
            self.add_late(&counts);
            return;
        }
        let behind = self.open.iter().rev().take_while(|s| s.at > at).count();
        let index = self.open.len() - behind;
        if let Some(known) = self.open[..index].last_mut()
            && known.at == at
        {
            known.add(&counts);
            return;
        }
        if self.open.is_empty() {
            self.open.reserve_exact(1);
        }
        self.open.insert(index, counts);
        if self.open.len() >= OPEN {
            self.seal();
        }
    }

    /// Packs the older half of what stands open; what has left the window goes.
    fn seal(&mut self) {
        let mut slots = self.packed_slots();
        slots.extend(self.open.drain(..OPEN / 2));
        self.sealed = slots.last().map(|s| s.at);
        self.pack(slots);
    }

    /// A record later than the open slots reach: all is packed anew, some 20 µs.
    fn add_late(&mut self, counts: &Slot) {
        let mut slots = self.packed_slots();
        merge_slot(&mut slots, counts);
        self.pack(slots);
    }

    fn pack(&mut self, mut slots: Vec<Slot>) {
        let newest = self
            .open
            .last()
            .or_else(|| slots.last())
            .map_or(0, |s| s.at);
        slots.retain(|s| i64::from(s.at) > i64::from(newest) - SLOTS);
        self.packed = (!slots.is_empty()).then(|| pack(&slots).into());
    }

    fn packed_slots(&self) -> Vec<Slot> {
        self.packed.as_deref().map(unpack).unwrap_or_default()
    }

    fn slots(&self) -> Vec<Slot> {
        let mut slots = self.packed_slots();
        slots.extend(&self.open);
        slots
    }

    /// All slots, where only those from `first` on are asked for: what is packed is looked into
    /// only if it reaches so far.
    fn slots_from(&self, first: i64) -> Vec<Slot> {
        match self.sealed {
            Some(sealed) if i64::from(sealed) >= first => self.slots(),
            _ => self.open.clone(),
        }
    }

    fn merge(&mut self, other: &Self) {
        let mut slots = self.slots();
        for slot in other.slots() {
            merge_slot(&mut slots, &slot);
        }
        // The newest stay open, half as many as may be.
        let open = slots.split_off(slots.len().saturating_sub(OPEN / 2));
        self.sealed = slots.last().map(|s| s.at);
        self.open = open;
        self.pack(slots);
        self.put_out |= other.put_out;
    }

    fn bytes(&self) -> usize {
        self.open.capacity() * size_of::<Slot>() + self.packed.as_ref().map_or(0, |p| p.len())
    }
}

/// Adds a slot where it belongs by its time.
fn merge_slot(slots: &mut Vec<Slot>, slot: &Slot) {
    match slots.binary_search_by_key(&slot.at, |s| s.at) {
        Ok(index) => slots[index].add(slot),
        Err(index) => slots.insert(index, *slot),
    }
}

/// Seven numbers a slot in LEB128: the time since the slot before, and as latencies the longest and
/// what the sum has beyond it.
fn pack(slots: &[Slot]) -> Vec<u8> {
    let mut out = Vec::with_capacity(slots.len() * 10);
    let mut before = i32::MIN;
    for s in slots {
        put(&mut out, u64::from(s.at.abs_diff(before)));
        for n in [
            s.requests,
            s.client_errors,
            s.server_errors,
            s.timed,
            s.slowest,
        ] {
            put(&mut out, u64::from(n));
        }
        put(&mut out, s.latency_sum.saturating_sub(s.slowest.into()));
        before = s.at;
    }
    out
}

/// Ends where the bytes do; what a damaged state had behind that is lost.
fn unpack(mut bytes: &[u8]) -> Vec<Slot> {
    let mut slots = Vec::new();
    let mut before = i32::MIN;
    while let Some(slot) = unpack_one(&mut bytes, before) {
        before = slot.at;
        slots.push(slot);
    }
    slots
}

fn unpack_one(bytes: &mut &[u8], before: i32) -> Option<Slot> {
    let mut number = || u32::try_from(get(bytes)?).ok();
    let at = before.checked_add_unsigned(number()?)?;
    let [requests, client_errors, server_errors, timed, slowest] =
        [number()?, number()?, number()?, number()?, number()?];
    Some(Slot {
        at,
        requests,
        client_errors,
        server_errors,
        timed,
        slowest,
        latency_sum: get(bytes)?.saturating_add(slowest.into()),
    })
}

fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn get(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        n |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}
