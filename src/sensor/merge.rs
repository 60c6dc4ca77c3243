//! Records of all workers in one total order.

use super::{Order, Record};
use crate::time::Timestamp;

/// Holds records back until no worker can bring an older one.
#[derive(Debug)]
pub struct Merger {
    pending: Vec<Record>,
    marks: Vec<Timestamp>,
    /// Everything before this was handed out.
    released: Timestamp,
}

impl Merger {
    pub fn new(workers: usize) -> Self {
        Self {
            pending: Vec::new(),
            marks: vec![Timestamp::MIN; workers.max(1)],
            released: Timestamp::MIN,
        }
    }

    /// A worker's records, and its promise that none to come is older than `watermark`.
    pub fn add(&mut self, worker: usize, records: &mut Vec<Record>, watermark: Timestamp) {
        self.pending.append(records);
        self.marks[worker] = self.marks[worker].max(watermark);
    }

    /// The records that are in order for good, in order.
    pub fn ready(&mut self) -> Vec<Record> {
        let mark = self.marks.iter().copied().min().unwrap_or(Timestamp::MAX);
        if mark <= self.released {
            return Vec::new();
        }
        self.released = mark;
        // What another worker may still bring has the mark's own time at the earliest.
        let mut ready: Vec<_> = self.pending.extract_if(.., |r| r.order.at < mark).collect();
        ready.sort_unstable_by_key(key);
        ready
    }

    /// The input is over: everything that is left.
    pub fn finish(&mut self) -> Vec<Record> {
        let mut rest = std::mem::take(&mut self.pending);
        rest.sort_unstable_by_key(key);
        rest
    }

    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Packet time up to which everything was handed out.
    pub fn watermark(&self) -> Timestamp {
        self.released
    }
}

fn key(r: &Record) -> Order {
    r.order
}
