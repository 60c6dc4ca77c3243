//! The last windows of a count, in 16 bytes: what a chart shows beside the one that rings.

use serde::{Deserialize, Serialize};

use super::Point;
use crate::time::Timestamp;

/// Windows kept: forty minutes of the shortest ones, eight days of the longest.
const WINDOWS: usize = 8;
/// Bits of a kept count's significand; the other 5 are the exponent.
const BITS: u32 = 11;

/// Counts of the windows before the open one, the latest first. Exact up to 2,047, to 0.1 % above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Past([u16; WINDOWS]);

impl Past {
    /// A window ends with `count`, and the next one that is open lies `steps` behind it; those
    /// between had nothing.
    pub(super) fn close(&mut self, count: f64, steps: i64) {
        let steps = usize::try_from(steps).unwrap_or(0).min(WINDOWS + 1);
        if steps == 0 {
            return;
        }
        let kept = WINDOWS.saturating_sub(steps);
        self.0.copy_within(..kept, WINDOWS - kept);
        self.0[..WINDOWS - kept].fill(0);
        if let Some(place) = self.0.get_mut(steps - 1) {
            *place = pack(count);
        }
    }

    /// Oldest first, the open window last; each of `span` seconds, the open one's number counted
    /// from 1 at the epoch. What is expected is what is expected now.
    pub(super) fn series(&self, span: i64, index: i64, count: f64, expected: f64) -> Vec<Point> {
        let past = self.0.iter().rev().map(|kept| unpack(*kept));
        let first = index - 1 - WINDOWS as i64;
        let all = past.chain([count]).zip(first..);
        all.map(|(observed, window)| Point {
            at: Timestamp::from_secs(window.saturating_mul(span)),
            expected,
            observed,
        })
        .collect()
    }
}

/// A count of 42 bits at most, rounded down to 11.
fn pack(count: f64) -> u16 {
    // Counts are positive, and the cast is bounded.
    let whole = (count.max(0.0) as u64).min((1 << (BITS + 31)) - 1);
    let excess = (u64::BITS - whole.leading_zeros()).saturating_sub(BITS);
    (excess << BITS) as u16 | (whole >> excess) as u16
}

fn unpack(kept: u16) -> f64 {
    let significand = u64::from(kept & ((1 << BITS) - 1));
    (significand << (kept >> BITS)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_kept_exactly_while_small_and_to_a_thousandth_when_large() {
        for n in 0..2_048_u32 {
            assert_eq!(unpack(pack(f64::from(n))), f64::from(n));
        }
        for n in [2_049.0, 1e5, 123_456_789.0, 4e12] {
            let kept = unpack(pack(n));
            assert!(kept <= n && kept > n * 0.999, "{n}: {kept}");
        }
        assert!(unpack(pack(1e300)) > 4e12 && unpack(pack(-1.0)) == 0.0);
        assert_eq!(unpack(pack(f64::NAN)), 0.0);
    }

    #[test]
    fn windows_without_anything_are_empty_and_old_ones_go() {
        let mut past = Past::default();
        past.close(7.0, 1);
        past.close(9.0, 3);
        let observed = |past: &Past| -> Vec<f64> {
            let series = past.series(300, 100, 50.0, 2.0);
            series.iter().map(|p| p.observed).collect()
        };
        let tail = [0.0, 7.0, 9.0, 0.0, 0.0, 50.0];
        assert_eq!(observed(&past)[WINDOWS + 1 - tail.len()..], tail);
        let last = past.series(300, 100, 50.0, 2.0)[WINDOWS];
        assert_eq!((last.at.secs(), last.expected), (99 * 300, 2.0));
        past.close(3.0, WINDOWS as i64);
        assert_eq!(observed(&past)[..2], [3.0, 0.0]);
        past.close(3.0, 1_000_000);
        assert_eq!(past, Past::default());
    }
}
