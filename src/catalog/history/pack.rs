//! Slots in order with their latencies, and their form in bytes: numbers in LEB128. The time is
//! since the slot before; of latencies the longest, what the sum has beyond it, and the buckets. Of
//! a slot with a single latency the bucket is that of the longest.

use serde::{Deserialize, Serialize};

use super::spread::{Cell, Total, bucket};
use super::{SLOTS, Slot};
use crate::catalog::small::one_more;

/// Slots in order, each once, with the cells of each in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub(super) slots: Vec<Slot>,
    pub(super) cells: Vec<Cell>,
}

impl Run {
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Adds a slot; `latency`: its bucket, where it is one exchange of a known latency. Cheap near
    /// the end.
    pub(super) fn add(&mut self, counts: &Slot, latency: Option<u8>) {
        let behind = self.slots.iter().rev().take_while(|s| s.at > counts.at);
        let index = self.slots.len() - behind.count();
        match self.slots[..index].last_mut() {
            Some(known) if known.at == counts.at => known.add(counts),
            _ => {
                one_more(&mut self.slots);
                self.slots.insert(index, *counts);
            }
        }
        let Some(bucket) = latency else {
            return;
        };
        let place = |cell: &Cell| (cell.at, cell.bucket);
        match self.cells.binary_search_by_key(&(counts.at, bucket), place) {
            Ok(index) => self.cells[index].count = self.cells[index].count.saturating_add(1),
            Err(index) => {
                one_more(&mut self.cells);
                let (at, count) = (counts.at, 1);
                self.cells.insert(index, Cell { at, bucket, count });
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.slots.extend(&other.slots);
        self.slots.sort_by_key(|s| s.at);
        self.slots.dedup_by(|next, kept| {
            let same = next.at == kept.at;
            if same {
                kept.add(next);
            }
            same
        });
        self.cells.extend(&other.cells);
        self.cells.sort_by_key(|cell| (cell.at, cell.bucket));
        self.cells.dedup_by(|next, kept| {
            let same = (next.at, next.bucket) == (kept.at, kept.bucket);
            if same {
                kept.count = kept.count.saturating_add(next.count);
            }
            same
        });
    }

    /// Leaves the first `len` slots here.
    pub(super) fn split_off(&mut self, len: usize) -> Self {
        let slots = self.slots.split_off(len);
        let first = slots.first().map_or(i32::MAX, |s| s.at);
        let cells = self.cells.partition_point(|cell| cell.at < first);
        Self {
            slots,
            cells: self.cells.split_off(cells),
        }
    }

    pub(super) fn retain(&mut self, from: i64, to: i64) {
        let inside = |at: i32| (from..=to).contains(&i64::from(at));
        self.slots.retain(|s| inside(s.at));
        self.cells.retain(|cell| inside(cell.at));
    }

    /// So many bars of `width` slots each from the slot `first` on.
    pub fn bars(&self, first: i64, width: i64, count: usize) -> Vec<Total> {
        let at = |n: i64| i32::try_from(first.saturating_add(n * width)).unwrap_or(i32::MAX);
        let mut bars: Vec<Total> = (0..count as i64).map(|n| Total::new(at(n))).collect();
        let mut cells = self.cells.as_slice();
        for slot in &self.slots {
            let skipped = cells.partition_point(|cell| cell.at < slot.at);
            let rest = &cells[skipped..];
            let (own, behind) = rest.split_at(rest.partition_point(|cell| cell.at == slot.at));
            cells = behind;
            let bar = (i64::from(slot.at) - first).div_euclid(width);
            if let Some(bar) = usize::try_from(bar).ok().and_then(|n| bars.get_mut(n)) {
                bar.add(slot, own);
            }
        }
        bars.iter_mut().for_each(Total::settle);
        bars
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.cells.capacity() * size_of::<Cell>()
    }

    pub(super) fn pack(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.slots.len() * 12);
        let mut before = i32::MIN;
        let mut cells = self.cells.as_slice();
        for s in &self.slots {
            put(&mut out, u64::from(s.at.abs_diff(before)));
            let numbers = [
                s.requests,
                s.client_errors,
                s.server_errors,
                s.timed,
                s.slowest,
            ];
            numbers.iter().for_each(|n| put(&mut out, u64::from(*n)));
            put(&mut out, s.latency_sum.saturating_sub(s.slowest.into()));
            put(&mut out, s.request_bytes);
            put(&mut out, s.response_bytes);
            before = s.at;
            let (own, rest) = cells.split_at(cells.partition_point(|cell| cell.at <= s.at));
            cells = rest;
            if s.timed != 1 {
                put(&mut out, own.len() as u64);
                for cell in own {
                    out.push(cell.bucket);
                    put(&mut out, u64::from(cell.count));
                }
            }
        }
        out
    }

    /// Ends where the bytes do; what a damaged state had behind that is lost.
    pub(super) fn unpack(mut bytes: &[u8]) -> Self {
        let mut run = Self::default();
        let mut before = i32::MIN;
        while run.slots.len() <= SLOTS as usize
            && let Some(at) = run.unpack_one(&mut bytes, before)
        {
            before = at;
        }
        run
    }

    fn unpack_one(&mut self, bytes: &mut &[u8], before: i32) -> Option<i32> {
        let mut number = || u32::try_from(get(bytes)?).ok();
        let at = before.checked_add_unsigned(number()?)?;
        let [requests, client_errors, server_errors, timed, slowest] =
            [number()?, number()?, number()?, number()?, number()?];
        let slot = Slot {
            at,
            requests,
            client_errors,
            server_errors,
            timed,
            slowest,
            latency_sum: get(bytes)?.saturating_add(slowest.into()),
            request_bytes: get(bytes)?,
            response_bytes: get(bytes)?,
        };
        self.slots.push(slot);
        if timed == 1 {
            let (bucket, count) = (bucket(slowest), 1);
            self.cells.push(Cell { at, bucket, count });
            return Some(at);
        }
        for _ in 0..get(bytes)? {
            let (bucket, rest) = bytes.split_first()?;
            *bytes = rest;
            let (bucket, count) = (*bucket, u32::try_from(get(bytes)?).ok()?);
            self.cells.push(Cell { at, bucket, count });
        }
        Some(at)
    }
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
