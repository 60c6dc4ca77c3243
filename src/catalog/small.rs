//! A map of a handful of entries: sorted, in one piece of memory that is little larger than they are.
//! A B-tree's smallest node has room for eleven, of which most maps here use one or two, and an
//! inventory has several of them an endpoint. Saved it reads like a B-tree.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

/// To put one in costs as much as there are: for maps with a bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Small<K, V>(Vec<(K, V)>);

impl<K, V> Default for Small<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Room for one more, and for little besides: a list that doubles is half empty.
pub(super) fn one_more<T>(all: &mut Vec<T>) {
    if all.len() == all.capacity() {
        all.reserve_exact(1 + all.len() / 2);
    }
}

impl<K: Ord, V> Small<K, V> {
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0
            .binary_search_by(|(known, _)| known.borrow().cmp(key))
    }

    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    pub(super) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| &mut self.0[at].1)
    }

    /// The value of a key, made where there is none.
    pub(super) fn or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.find(&key) {
            Ok(at) => at,
            Err(at) => {
                one_more(&mut self.0);
                self.0.insert(at, (key, make()));
                at
            }
        };
        &mut self.0[at].1
    }

    pub(super) fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.or_insert_with(key, V::default)
    }

    /// Leaves the first `most`.
    pub(super) fn truncate(&mut self, most: usize) {
        self.0.truncate(most);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_a_tree_that_is_cut_alike_and_saved_alike(
            steps in prop::collection::vec((0..24_u16, 0..5_u64), 0..60),
            most in 0..30_usize,
        ) {
            let (mut small, mut tree) = (Small::default(), BTreeMap::new());
            for (key, n) in steps {
                *small.or_default(key) += n;
                *tree.entry(key).or_default() += n;
                prop_assert_eq!(small.get(&key), tree.get(&key));
            }
            small.truncate(most);
            while tree.len() > most {
                tree.pop_last();
            }
            prop_assert_eq!(small.len(), tree.len());
            prop_assert!(small.iter().eq(&tree) && small.keys().eq(tree.keys()));
            prop_assert!(small.values().eq(tree.values()));
            let saved = postcard::to_stdvec(&small).unwrap();
            prop_assert_eq!(&saved, &postcard::to_stdvec(&tree).unwrap());
            prop_assert_eq!(postcard::from_bytes::<Small<u16, u64>>(&saved).unwrap(), small);
        }
    }

    #[test]
    fn one_entry_takes_the_room_of_one() {
        let mut small = Small::default();
        *small.or_default(7_u8) = [1_u64; 12];
        assert_eq!((small.0.capacity(), small.get_mut(&7).is_some()), (1, true));
    }
}
