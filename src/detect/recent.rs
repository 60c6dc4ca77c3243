//! What is kept of whoever came lately: a table of fixed size, by hash.
//!
//! A hash has one set, and a set sixteen places. The one that makes room is the least recently seen
//! of those that came a few times only; so strangers put out strangers, and whoever is followed
//! stays, as in [`principals`](super::principals) (segmented LRU).

use serde::{Deserialize, Serialize};

use super::distinct::mix;

const WAYS: usize = 16;
/// 65,536 places.
const SETS: usize = 4_096;
/// Visits after which it is no stranger.
const REGULAR: u8 = 4;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Recent<V> {
    sets: Vec<Vec<Slot<V>>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Slot<V> {
    key: u64,
    at: i64,
    visits: u8,
    value: V,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self { sets: Vec::new() }
    }
}

impl<V: Default> Recent<V> {
    /// What is kept under this key, from now on where it was not.
    pub(super) fn of(&mut self, key: u64, at: i64) -> &mut V {
        if self.sets.is_empty() {
            self.sets.resize_with(SETS, Vec::new);
        }
        let place = (mix(key) % self.sets.len() as u64) as usize;
        let set = &mut self.sets[place];
        let way = match set.iter().position(|slot| slot.key == key) {
            Some(way) => way,
            None => {
                let new = Slot {
                    key,
                    at,
                    visits: 0,
                    value: V::default(),
                };
                if set.len() < WAYS {
                    set.push(new);
                    set.len() - 1
                } else {
                    let way = put_out(set);
                    set[way] = new;
                    way
                }
            }
        };
        let slot = &mut set[way];
        slot.at = at;
        slot.visits = slot.visits.saturating_add(1);
        &mut slot.value
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sets.iter().map(Vec::len).sum()
    }
}

/// The place to give up in a full set; where all are regulars, that of the longest away.
fn put_out<V>(set: &[Slot<V>]) -> usize {
    let by_age = |(_, slot): &(usize, &Slot<V>)| slot.at;
    let strangers = set.iter().enumerate().filter(|(_, s)| s.visits < REGULAR);
    let oldest = || set.iter().enumerate().min_by_key(by_age);
    let out = strangers.min_by_key(by_age).or_else(oldest);
    out.map_or(0, |(way, _)| way)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_puts_out_no_regular_and_costs_the_table_alone() {
        let mut table = Recent::<u32>::default();
        for at in 0..10 {
            *table.of(7, at) += 1;
        }

        for stranger in 1_000..400_000 {
            table.of(stranger, 100);
        }
        assert!(table.len() <= SETS * WAYS);
        assert_eq!(*table.of(7, 200), 10);
    }
}
