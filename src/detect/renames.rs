//! Ids that became others, one after the other, as one step: who holds ids is asked once for all of
//! them, however many there were.

use std::collections::BTreeMap;

pub(super) struct Renames<T> {
    /// What each id is in the end.
    now: BTreeMap<T, T>,
    /// Which ids are that by now.
    origins: BTreeMap<T, Vec<T>>,
}

impl<T: Copy + Ord> Renames<T> {
    pub(super) fn new() -> Self {
        Self {
            now: BTreeMap::new(),
            origins: BTreeMap::new(),
        }
    }

    /// `from` is `into` from here on. An id that is gone may come again as another's.
    pub(super) fn add(&mut self, from: T, into: T) {
        let mut moved = self.origins.remove(&from).unwrap_or_default();
        if !self.now.contains_key(&from) {
            moved.push(from);
        }
        for origin in &moved {
            self.now.insert(*origin, into);
        }
        self.origins.entry(into).or_default().extend(moved);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.now.is_empty()
    }

    pub(super) fn apply(&self, id: &mut T) {
        if let Some(now) = self.now.get(id) {
            *id = *now;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Ids that are freed are given out again, as the trie does.
        #[test]
        fn all_at_once_is_one_after_the_other(steps in prop::collection::vec((0..8_u8, 0..8_u8), 0..20)) {
            let mut renames = Renames::new();
            let mut one_by_one: Vec<u8> = (0..8).collect();
            for (from, into) in steps.into_iter().filter(|(from, into)| from != into) {
                renames.add(from, into);
                one_by_one.iter_mut().filter(|id| **id == from).for_each(|id| *id = into);
            }
            let mut at_once: Vec<u8> = (0..8).collect();
            at_once.iter_mut().for_each(|id| renames.apply(id));
            prop_assert_eq!(at_once, one_by_one);
        }
    }
}
