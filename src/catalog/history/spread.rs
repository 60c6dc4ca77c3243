//! How latencies of a slot are spread: counts in buckets, four to each doubling, so that a quantile
//! is within an eighth of the value. Buckets add up exactly, whatever the order and however many
//! slots make one bar.

use serde::{Deserialize, Serialize};

use super::Slot;

/// Buckets of microseconds; the last begins at 60 minutes.
const BUCKETS: u8 = 124;

/// Latencies of one slot in one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cell {
    pub(super) at: i32,
    pub(super) bucket: u8,
    pub(super) count: u32,
}

/// Below four microseconds each is its own; then the two bits behind the highest one.
pub(super) fn bucket(micros: u32) -> u8 {
    match micros.checked_ilog2() {
        None | Some(0 | 1) => micros as u8,
        Some(e) => (4 * (e - 1) + ((micros >> (e - 2)) & 3)) as u8,
    }
}

/// Where a bucket begins, and how wide it is.
fn edges(bucket: u8) -> (f64, f64) {
    let bucket = bucket.min(BUCKETS - 1);
    match bucket {
        0..4 => (f64::from(bucket), 1.0),
        _ => {
            let width = 1_u64 << (bucket / 4 - 1);
            ((u64::from(4 + bucket % 4) * width) as f64, width as f64)
        }
    }
}

/// Some slots added up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Total {
    /// At the first of them.
    pub slot: Slot,
    /// By bucket, in order.
    spread: Vec<(u8, u64)>,
}

impl Total {
    pub(super) fn new(at: i32) -> Self {
        let slot = Slot {
            at,
            ..Slot::default()
        };
        Self {
            slot,
            spread: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, slot: &Slot, cells: &[Cell]) {
        self.slot.add(slot);
        let theirs = cells
            .iter()
            .map(|cell| (cell.bucket, u64::from(cell.count)));
        self.spread.extend(theirs);
    }

    /// To be called once all is added.
    pub(super) fn settle(&mut self) {
        self.spread.sort_unstable();
        self.spread.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 += if same { next.1 } else { 0 };
            same
        });
    }

    /// Milliseconds; `None` where no latency is known.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let all: u64 = self.spread.iter().map(|(_, n)| n).sum();
        let rank = (q * all as f64).ceil().max(1.0);
        let mut before = 0.0;
        for (bucket, n) in &self.spread {
            let n = *n as f64;
            if before + n >= rank {
                let (from, width) = edges(*bucket);
                let value = from + width * (rank - before - 0.5) / n;
                return Some(value.min(f64::from(self.slot.slowest)) / 1e3);
            }
            before += n;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for b in 0..BUCKETS - 1 {
            let (from, width) = edges(b);
            assert_eq!(from + width, edges(b + 1).0, "{b}");
            assert_eq!(bucket(from as u32), b);
            assert_eq!(bucket((from + width) as u32 - 1), b);
        }
        assert_eq!(bucket(u32::MAX), BUCKETS - 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_quantile_is_within_an_eighth(mut values in prop::collection::vec(0_u32..80_000_000, 1..200), q in 0.01..1.0_f64) {
            let mut total = Total::new(0);
            for micros in &values {
                let slot = Slot { slowest: *micros, timed: 1, ..Slot::default() };
                total.add(&slot, &[Cell { at: 0, bucket: bucket(*micros), count: 1 }]);
            }
            total.settle();
            values.sort_unstable();
            let exact = f64::from(values[(q * values.len() as f64).ceil() as usize - 1]) / 1e3;
            let found = total.quantile(q).unwrap();
            prop_assert!((found - exact).abs() <= exact / 4.0 + 1e-3, "{found} {exact}");
        }
    }
}
