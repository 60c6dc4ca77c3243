//! How many different things were seen, in 32 bytes.
//!
//! Linear counting (Whang, Vander-Zanden, Taylor, 1990) on 192 bits, exact to a few per cent up to
//! some 600; past that on 64 bits that take one hash in 64 (the multiresolution bitmap of Estan,
//! Varghese, Fisk, 2003), good to about 15,000, where it stops. Fixed in size, order-free.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Distinct([u64; 4]);

const WIDE: f64 = 192.0;
/// Below this many clear bits the wide part no longer counts well.
const FULL: u32 = 8;

impl Distinct {
    /// Takes a hash; false where it changed nothing.
    pub(super) fn insert(&mut self, hash: u64) -> bool {
        let h = mix(hash);
        let before = *self;
        let bit = ((h & 0xffff_ffff) * 192) >> 32;
        self.0[(bit / 64) as usize] |= 1 << (bit % 64);
        if (h >> 32) & 63 == 0 {
            self.0[3] |= 1 << (h >> 58);
        }
        *self != before
    }

    pub(super) fn estimate(&self) -> f64 {
        let clear = self.0[..3].iter().map(|w| w.count_zeros()).sum::<u32>();
        if clear >= FULL {
            return WIDE * (WIDE / f64::from(clear)).ln();
        }
        let sampled = 64.0 * (64.0 / f64::from(self.0[3].count_zeros()).max(0.5)).ln();
        // Never less than what the wide part proves.
        (64.0 * sampled).max(WIDE * (WIDE / f64::from(FULL)).ln())
    }
}

/// The finaliser of SplitMix64: callers may give poor hashes.
pub(super) fn mix(h: u64) -> u64 {
    let h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^ (h >> 31)
}

/// A text's hash, the same in every process: what is counted must survive a restart.
pub(super) fn hash_text(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_near_and_repeats_are_free() {
        for n in [1_u64, 5, 20, 100, 400, 2_000, 10_000] {
            let mut d = Distinct::default();
            for i in 0..n {
                d.insert(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            }
            for i in 0..n {
                assert!(!d.insert(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            }
            let (seen, tolerance) = (d.estimate(), if n > 600 { 0.35 } else { 0.15 });
            assert!(
                (seen - n as f64).abs() <= 1.0 + tolerance * n as f64,
                "{n}: {seen}"
            );
        }
    }
}
