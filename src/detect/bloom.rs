//! Who was seen before, in fixed room: Bloom filters (Bloom, 1970) in generations.
//!
//! Of two generations the younger fills to a half, then becomes the elder, and the elder is
//! forgotten: a set of any length costs the same, and at worst a few new ones pass for known.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Clock;
use super::distinct::mix;

/// 2^20 bits: some 180,000 members to the half with four hashes, one in sixteen new ones mistaken.
const WORDS: usize = 1 << 14;
const HASHES: u32 = 4;
const HALF: u32 = (WORDS as u32) * 32;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Bits {
    /// Empty until the first member.
    words: Vec<u64>,
    ones: u32,
}

impl Bits {
    fn insert(&mut self, hash: u64) {
        self.words.resize(WORDS, 0);
        for (word, bit) in places(hash) {
            if let Some(w) = self.words.get_mut(word).filter(|w| **w & bit == 0) {
                *w |= bit;
                self.ones += 1;
            }
        }
    }

    fn contains(&self, hash: u64) -> bool {
        places(hash).all(|(word, bit)| self.words.get(word).is_some_and(|w| w & bit != 0))
    }

    fn full(&self) -> bool {
        self.ones > HALF
    }

    fn add(&mut self, other: &Self) {
        if other.words.is_empty() {
            return;
        }
        self.words.resize(WORDS, 0);
        let both = self.words.iter_mut().zip(&other.words);
        both.for_each(|(mine, its)| *mine |= its);
        self.ones = self.words.iter().map(|w| w.count_ones()).sum();
    }
}

fn places(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    let h = mix(hash);
    // Two halves make all hashes (Kirsch and Mitzenmacher, 2006).
    let (a, b) = (h as u32, (h >> 32) as u32 | 1);
    (0..HASHES).map(move |i| {
        let bit = a.wrapping_add(i.wrapping_mul(b)) as usize % (WORDS * 64);
        (bit / 64, 1 << (bit % 64))
    })
}

/// A set that forgets its oldest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Filter {
    younger: Bits,
    elder: Bits,
}

impl Filter {
    pub(super) fn insert(&mut self, hash: u64) {
        self.younger.insert(hash);
        self.turn();
    }

    pub(super) fn contains(&self, hash: u64) -> bool {
        self.younger.contains(hash) || self.elder.contains(hash)
    }

    fn turn(&mut self) {
        if self.younger.full() {
            self.elder = std::mem::take(&mut self.younger);
        }
    }
}

/// Addresses that were answered with success before yesterday: a caller is no acquaintance on the
/// day it first comes, nor when what it began goes on after midnight. A day's flood fills the day's
/// filter alone, and then no one is added.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Callers {
    before: Filter,
    yesterday: Bits,
    today: Bits,
    day: i64,
}

impl Callers {
    /// Whether it was known before yesterday.
    pub(super) fn meet(&mut self, caller: u64, welcome: bool, at: &Clock) -> bool {
        let day = at.secs.div_euclid(86_400);
        if day != self.day {
            let today = std::mem::take(&mut self.today);
            let yesterday = std::mem::replace(&mut self.yesterday, today);
            self.before.younger.add(&yesterday);
            self.before.turn();
            self.day = day;
        }
        if welcome && !self.today.full() {
            self.today.insert(caller);
        }
        self.before.contains(caller)
    }
}

/// An address as what is remembered; of IPv6 its /64.
pub(super) fn network_hash(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(a) => mix(u64::from(u32::from(a))),
        IpAddr::V6(a) => match a.to_ipv4_mapped() {
            Some(v4) => mix(u64::from(u32::from(v4))),
            None => mix((u128::from(a) >> 64) as u64 ^ 0x6d6f_7265),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_and_strangers_mostly_not() {
        let mut filter = Filter::default();
        (0..100_000_u64).for_each(|i| filter.insert(i));
        assert!((0..100_000_u64).all(|i| filter.contains(i)));
        let mistaken = (200_000..210_000_u64)
            .filter(|i| filter.contains(*i))
            .count();
        assert!(mistaken < 700, "{mistaken} of 10,000");
    }

    #[test]
    fn a_long_set_forgets_its_oldest_and_stays_in_its_room() {
        let mut filter = Filter::default();
        (0..2_000_000_u64).for_each(|i| filter.insert(i));
        assert!(filter.contains(1_999_999));
        let known = (0..10_000_u64).filter(|i| filter.contains(*i)).count();
        assert!(known < 2_000, "{known} of the first 10,000");
        assert_eq!(filter.younger.words.len(), WORDS);
    }
}
