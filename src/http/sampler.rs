//! Which exchanges are looked into: the first of each place, and then a few, so that cost follows
//! novelty and not volume.
//!
//! A place is host, method, path shape and, of a response, the class of its status. Every virtual
//! shard counts for itself, in a table of fixed size, by the order of its own packets: so what is
//! looked into does not depend on the number of workers. Two places may share a counter and then
//! share what is looked into; no other shard has the same two in the same order of arrival. Each
//! day counts from the start, so that what changes is seen, and what fills the tables is forgotten.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::exchange::Exchange;
use crate::time::Timestamp;

/// Of each place, shard and day, looked into whatever they are.
const FIRST: u16 = 16;
/// Then one of so many.
const ONE_OF: u64 = 256;
/// Counters of a shard; a power of two.
const SLOTS: usize = 512;

const HASH: FixedState = FixedState::with_seed(0x73_68_61_70_65);
const DAY: i64 = 86_400;

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    day: u16,
    count: u16,
}

/// The counters of a worker's shards.
#[derive(Debug)]
pub struct Sampler {
    slots: Vec<Slot>,
    /// Where those of the shard at hand begin.
    at: usize,
}

impl Sampler {
    pub fn new(shards: usize) -> Self {
        Self {
            slots: vec![Slot::default(); shards.max(1) * SLOTS],
            at: 0,
        }
    }

    /// Bytes that the counters of one shard take.
    pub const fn memory() -> usize {
        SLOTS * size_of::<Slot>()
    }

    /// What comes is of that shard, of those it was made for.
    pub fn enter(&mut self, shard: usize) {
        self.at = shard * SLOTS;
    }

    /// Whether the message at hand is to be looked into: a request (class 0), or a response with
    /// that class of status.
    pub(super) fn is_due(&mut self, place: Place, class: usize, ts: Timestamp) -> bool {
        let key = (place.0 ^ class as u64)
            .wrapping_mul(SPREAD)
            .rotate_left(32);
        let slot = &mut self.slots[self.at + (key as usize & (SLOTS - 1))];
        let day = ts.secs().div_euclid(DAY) as u16;
        if slot.day != day {
            *slot = Slot { day, count: 0 };
        }
        let n = slot.count;
        slot.count = n.checked_add(1).unwrap_or(FIRST);
        n < FIRST || HASH.hash_one(key ^ u64::from(n)).is_multiple_of(ONE_OF)
    }
}

/// Host, method and path shape, by hash: what a request's head shows, which is wanted again with
/// its response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place(u64);

/// The golden ratio: spreads a change in the low bits over all of them.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

pub(super) fn place(x: &Exchange) -> Place {
    let mut h = HASH.build_hasher();
    h.write(x.host.as_deref().unwrap_or_default().as_bytes());
    h.write(x.method.as_deref().unwrap_or_default().as_bytes());
    let path = x.path.as_deref().unwrap_or_default().as_bytes();
    // Without a branch, so that it takes many bytes at once.
    if path.iter().fold(false, |any, b| any | b.is_ascii_digit()) {
        h.write_u64(shape(path));
    } else {
        h.write(path);
    }
    Place(h.finish())
}

/// A hash of the path in which segments like ids are all the same.
fn shape(path: &[u8]) -> u64 {
    let (mut whole, mut segment) = (0, Segment::default());
    for b in path {
        if *b == b'/' {
            whole = std::mem::take(&mut segment).behind(whole);
        } else {
            segment.add(*b);
        }
    }
    segment.behind(whole)
}

#[derive(Default)]
struct Segment {
    hash: u64,
    len: u32,
    digits: u32,
}

impl Segment {
    /// Of FNV.
    const PRIME: u64 = 0x0100_0000_01b3;

    fn add(&mut self, b: u8) {
        self.hash = (self.hash ^ u64::from(b)).wrapping_mul(Self::PRIME);
        self.len += 1;
        self.digits += u32::from(b.is_ascii_digit());
    }

    /// `v1` and `oauth2` are words.
    fn behind(self, before: u64) -> u64 {
        let short = self.len <= 8 && self.len > self.digits;
        let word = self.digits == 0 || self.digits <= 2 && short;
        let hash = if word { self.hash } else { 1 };
        (before ^ hash).wrapping_mul(Self::PRIME).rotate_left(23)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x(path: &str) -> Exchange {
        let mut x = Exchange::at(Timestamp::from_secs(1_760_000_000));
        (x.method, x.host) = (Some("GET".into()), Some("h".into()));
        x.path = Some(path.into());
        x
    }

    #[test]
    fn a_place_is_a_path_whatever_its_ids() {
        for (a, b, same) in [
            ("/users/1", "/users/2043", true),
            ("/users/1/pets", "/users/7/pets", true),
            ("/v1/users/1", "/v2/users/1", false),
            (
                "/u/a1b2c3d4e5f6",
                "/u/ffffffff-0000-4000-8000-000000000000",
                true,
            ),
            ("/users", "/pets", false),
            ("/users/1", "/pets/1", false),
        ] {
            assert_eq!(place(&x(a)) == place(&x(b)), same, "{a} {b}");
        }
    }

    #[test]
    fn the_first_and_then_a_few_and_so_each_day() {
        let mut sampler = Sampler::new(2);
        let mut due_of = |class: usize, shard: usize, from: i64, n: i64| {
            sampler.enter(shard);
            let at = |i: i64| Timestamp::from_secs(from + i / 1_000);
            let all =
                (0..n).filter(|i| sampler.is_due(place(&x(&format!("/a/{i}"))), class, at(*i)));
            all.count()
        };
        let start = 1_760_000_000;
        assert_eq!(due_of(4, 0, start, 10), 10, "another class");
        let mut due = |shard, from, n| due_of(0, shard, from, n);
        assert_eq!(due(0, start, i64::from(FIRST)), usize::from(FIRST));
        let rest = due(0, start, 64_000);
        assert!((200..300).contains(&rest), "{rest}");
        assert_eq!(due(1, start, 10), 10, "another shard");
        assert_eq!(due(0, start + 2 * DAY, 10), 10, "another day");
    }
}
