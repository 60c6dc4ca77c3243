//! The most frequent of a stream in fixed space: Space-Saving (Metwally, Agrawal, El Abbadi 2005),
//! and whom it counts.
//!
//! Invariants, of `K` counters over `n` in all: a counter is at least what is true and at most its
//! `error` more; whatever is not counted was there no more often than the smallest counter, which is
//! at most `n/K`; so whatever makes up more than `n/K` is there. With fewer than `K` different ones
//! all of it is exact, whatever the order. Merging keeps this (Agarwal et al. 2012, theorem 2: what
//! one side does not count may have been there as often as its smallest counter).

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use compact_str::{CompactString, ToCompactString, format_compact};
use serde::{Deserialize, Serialize};

use crate::exchange::Exchange;

/// Whoever calls: the identity, or the address (of IPv6 the /64, since hosts change the rest).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Caller {
    Identity(CompactString),
    V4(u32),
    /// The upper half.
    V6(u64),
}

/// Characters of an identity that are kept: the sensor's own have 23 at most, lines may bring any.
const MAX_IDENTITY: usize = 64;

impl Caller {
    pub(super) fn of(x: &Exchange) -> Self {
        match (&x.identity, x.client) {
            (Some(identity), _) if identity.len() <= MAX_IDENTITY => {
                Self::Identity(identity.as_ref().into())
            }
            (Some(identity), _) => Self::Identity(identity.chars().take(MAX_IDENTITY).collect()),
            (None, IpAddr::V4(v4)) => Self::V4(v4.to_bits()),
            (None, IpAddr::V6(v6)) => Self::V6((v6.to_bits() >> 64) as u64),
        }
    }

    pub(super) fn name(&self) -> CompactString {
        match self {
            Self::Identity(name) => name.clone(),
            Self::V4(bits) => Ipv4Addr::from_bits(*bits).to_compact_string(),
            Self::V6(half) => {
                format_compact!("{}/64", Ipv6Addr::from_bits(u128::from(*half) << 64))
            }
        }
    }
}

/// One of the most frequent, as readers see it: it was there `requests` times at most, and at least
/// `requests - error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TopView {
    #[schemars(with = "String")]
    pub name: CompactString,
    pub requests: u64,
    #[serde(default, skip_serializing_if = "is_exact")]
    pub error: u64,
}

fn is_exact(error: &u64) -> bool {
    *error == 0
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Counter<T> {
    item: T,
    count: u64,
    error: u64,
}

impl<T: Ord> Counter<T> {
    /// The most frequent first; ties are broken by what is sure, then by name.
    fn rank(&self) -> (Reverse<u64>, u64, &T) {
        (Reverse(self.count), self.error, &self.item)
    }
}

/// The `K` most frequent, in no order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Top<T, const K: usize>(Vec<Counter<T>>);

impl<T, const K: usize> Default for Top<T, K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Ord + Clone, const K: usize> Top<T, K> {
    pub(crate) fn add(&mut self, item: T) {
        if let Some(known) = self.0.iter_mut().find(|c| c.item == item) {
            known.count += 1;
            return;
        }
        if self.0.len() < K {
            let (count, error) = (1, 0);
            // Endpoints have few, and there are many endpoints.
            self.0.reserve_exact(1);
            self.0.push(Counter { item, count, error });
            return;
        }
        let last = self.0.iter_mut().max_by(|a, b| a.rank().cmp(&b.rank()));
        if let Some(last) = last {
            (last.item, last.error) = (item, last.count);
            last.count += 1;
        }
    }

    /// How often what is not counted may have been there.
    fn missed(&self) -> u64 {
        if self.0.len() < K {
            return 0;
        }
        self.0.iter().map(|c| c.count).min().unwrap_or(0)
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let (mine, theirs) = (self.missed(), other.missed());
        for counter in &mut self.0 {
            let known = other.0.iter().find(|c| c.item == counter.item);
            let (count, error) = known.map_or((theirs, theirs), |c| (c.count, c.error));
            counter.count += count;
            counter.error += error;
        }
        for counter in &other.0 {
            // What was mine is counted: nothing was added to its items since.
            if !self.0.iter().any(|c| c.item == counter.item) {
                self.0.push(Counter {
                    item: counter.item.clone(),
                    count: counter.count + mine,
                    error: counter.error + mine,
                });
            }
        }
        self.0.sort_by(|a, b| a.rank().cmp(&b.rank()));
        self.0.truncate(K);
    }

    /// The most frequent first.
    pub(crate) fn view(&self, name: impl Fn(&T) -> CompactString) -> Vec<TopView> {
        let view = |(item, requests, error): (&T, u64, u64)| TopView {
            name: name(item),
            requests,
            error,
        };
        self.ranked().into_iter().map(view).collect()
    }

    /// Each with how often it was there at most, and how much of that is not sure; the most
    /// frequent first.
    pub(crate) fn ranked(&self) -> Vec<(&T, u64, u64)> {
        let mut order: Vec<&Counter<T>> = self.0.iter().collect();
        order.sort_by(|a, b| a.rank().cmp(&b.rank()));
        order.iter().map(|c| (&c.item, c.count, c.error)).collect()
    }

    /// The first of those.
    pub(crate) fn first(&self) -> Option<&T> {
        let first = self.0.iter().min_by(|a, b| a.rank().cmp(&b.rank()));
        first.map(|c| &c.item)
    }

    pub(crate) fn has(&self, item: &T) -> bool {
        self.0.iter().any(|c| c.item == *item)
    }

    /// How many different ones there were, as long as all of them are counted.
    pub(crate) fn distinct(&self) -> Option<usize> {
        // Whatever takes the place of another errs by what that had.
        self.0.iter().all(|c| c.error == 0).then_some(self.0.len())
    }

    /// Items have got other names, some the same.
    pub(crate) fn rename(&mut self, rename: impl Fn(&mut T)) {
        for counter in &mut self.0 {
            rename(&mut counter.item);
        }
        let mut at = 0;
        while at < self.0.len() {
            let twin = (at + 1..self.0.len()).find(|i| self.0[*i].item == self.0[at].item);
            match twin {
                Some(twin) => {
                    let twin = self.0.swap_remove(twin);
                    self.0[at].count += twin.count;
                    self.0[at].error += twin.error;
                }
                None => at += 1,
            }
        }
    }
}

#[cfg(test)]
impl<T, const K: usize> Top<T, K> {
    /// Bytes beside itself, where no name is long.
    pub(crate) fn heap(&self) -> usize {
        self.0.capacity() * size_of::<Counter<T>>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::time::Timestamp;

    const K: usize = 4;

    fn counted(items: &[u8]) -> Top<u8, K> {
        let mut top = Top::default();
        items.iter().for_each(|item| top.add(*item));
        top
    }

    fn truth(items: &[u8]) -> BTreeMap<u8, u64> {
        let mut counts = BTreeMap::new();
        for item in items {
            *counts.entry(*item).or_default() += 1;
        }
        counts
    }

    /// The invariants of the module.
    fn holds(top: &Top<u8, K>, items: &[u8]) -> Result<(), TestCaseError> {
        let truth = truth(items);
        prop_assert!(top.0.len() <= K);
        for c in &top.0 {
            let is = truth.get(&c.item).copied().unwrap_or(0);
            prop_assert!(is <= c.count && c.count - c.error <= is, "{c:?} {is}");
        }
        let share = items.len() as u64 / K as u64;
        prop_assert!(top.missed() <= share);
        for (item, n) in &truth {
            let known = top.0.iter().any(|c| c.item == *item);
            prop_assert!(known || *n <= top.missed(), "{item} was there {n} times");
            prop_assert!(known || *n <= share);
        }
        if truth.len() <= K {
            let exact: BTreeMap<u8, u64> = top.0.iter().map(|c| (c.item, c.count)).collect();
            prop_assert_eq!(exact, truth);
            prop_assert!(top.0.iter().all(|c| c.error == 0));
        }
        Ok(())
    }

    fn stream(kinds: u8) -> impl Strategy<Value = Vec<u8>> {
        // The product makes some of them frequent.
        let item = (0..kinds, 0..kinds).prop_map(move |(a, b)| a * b / kinds);
        proptest::collection::vec(item, 0..120)
    }

    fn any_stream() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![stream(12), stream(4)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn counts_are_right_within_their_error(items in any_stream()) {
            holds(&counted(&items), &items)?;
        }

        #[test]
        fn merging_keeps_the_bounds(a in any_stream(), b in any_stream(), c in any_stream()) {
            let mut top = counted(&a);
            top.merge(&counted(&b));
            let mut all = [a, b].concat();
            holds(&top, &all)?;
            // What comes after a merge, and a merge of merged ones.
            c.iter().for_each(|item| top.add(*item));
            all.extend(&c);
            holds(&top, &all)?;
            let mut twice = top.clone();
            twice.merge(&top);
            holds(&twice, &[all.clone(), all].concat())?;
        }

        #[test]
        fn merging_either_way_is_the_same(a in any_stream(), b in any_stream()) {
            let name = |item: &u8| item.to_compact_string();
            let (mut ab, mut ba) = (counted(&a), counted(&b));
            ab.merge(&counted(&b));
            ba.merge(&counted(&a));
            prop_assert_eq!(ab.view(name), ba.view(name));
        }

        #[test]
        fn few_are_counted_alike_in_any_order(mut items in stream(4)) {
            let name = |item: &u8| item.to_compact_string();
            let view = counted(&items).view(name);
            items.sort_unstable();
            prop_assert_eq!(counted(&items).view(name), view);
        }
    }

    #[test]
    fn items_that_got_one_name_are_one() {
        let mut top = counted(&[1, 2, 2, 3]);
        top.rename(|item| *item = if *item < 3 { 7 } else { 3 });
        assert_eq!(top.ranked(), [(&7, 3, 0), (&3, 1, 0)]);
        assert_eq!((top.first(), top.distinct()), (Some(&7), Some(2)));
        assert!(top.has(&3) && !top.has(&1));
        [4, 5, 6].into_iter().for_each(|item| top.add(item));
        assert_eq!(top.distinct(), None, "one had no room");
    }

    #[test]
    fn callers_are_named_by_credential_or_network() {
        let mut x = Exchange::at(Timestamp::from_secs(1));
        x.client = "192.0.2.7".parse().unwrap();
        assert_eq!(Caller::of(&x).name(), "192.0.2.7");
        x.client = "2001:db8:1:2:3:4:5:6".parse().unwrap();
        assert_eq!(Caller::of(&x).name(), "2001:db8:1:2::/64");
        x.identity = Some("bearer:0123456789abcdef".into());
        assert_eq!(Caller::of(&x).name(), "bearer:0123456789abcdef");
        x.identity = Some("é".repeat(100).into());
        assert_eq!(Caller::of(&x).name().chars().count(), MAX_IDENTITY);
        // No larger than the name alone.
        assert_eq!(size_of::<Counter<Caller>>(), 40);
    }
}
