//! Cursors: where the next page of a list begins. A cursor is the place of the last item in the order,
//! not the item: where that has moved meanwhile, or is gone, the next page goes on from the same
//! place. What has itself not moved is neither left out nor shown twice.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::query::limit;
use crate::time::Timestamp;

/// Of what a cursor says; one of another version is none.
const VERSION: u8 = 1;
/// Bytes of a cursor: names that were captured are in it.
const MAX: usize = 32 << 10;

/// The place of an item: by numbers, those that come first being less; of equals by names, which
/// never change, and which no two items share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) ranks: [u64; 2],
    pub(super) names: Vec<String>,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Start {
    Top,
    Behind(Mark),
    /// The cursor is none of this list in this order.
    Lost,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
struct Cursor(u8, String, [u64; 2], Vec<String>);

/// A page, cut out of a list.
#[derive(Debug, PartialEq)]
pub(super) struct Cut {
    pub(super) range: Range<usize>,
    pub(super) next: Option<String>,
    pub(super) lost: bool,
}

impl Mark {
    pub(super) fn new(ranks: [u64; 2], names: &[&str]) -> Self {
        let names = names.iter().map(|name| (*name).to_owned());
        Self {
            ranks,
            names: names.collect(),
        }
    }

    /// `order`: the list and what it is sorted by.
    pub(super) fn cursor(self, order: &str) -> String {
        let cursor = Cursor(VERSION, order.to_owned(), self.ranks, self.names);
        // Numbers and texts, which serde_json writes always.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).unwrap_or_default())
    }
}

impl Start {
    pub(super) fn read(order: &str, cursor: &str) -> Self {
        if cursor.is_empty() {
            return Self::Top;
        }
        if cursor.len() > MAX {
            return Self::Lost;
        }
        let read = || {
            let text = URL_SAFE_NO_PAD.decode(cursor).ok()?;
            let cursor: Cursor = serde_json::from_slice(&text).ok()?;
            let Cursor(version, of, ranks, names) = cursor;
            (version == VERSION && of == order).then_some(Mark { ranks, names })
        };
        read().map_or(Self::Lost, Self::Behind)
    }
}

/// The page behind a cursor, of what is sorted by its marks; the first where the cursor is lost.
pub(super) fn cut<T>(
    found: &[T],
    order: &str,
    (cursor, most): (&str, Option<usize>),
    mark: impl Fn(&T) -> Mark,
) -> Cut {
    debug_assert!(found.is_sorted_by_key(&mark), "{order}");
    let start = Start::read(order, cursor);
    let from = match &start {
        Start::Behind(last) => found.partition_point(|item| mark(item) <= *last),
        Start::Top | Start::Lost => 0,
    };
    let to = (from + limit(most)).min(found.len());
    let last = found[from..to].last().filter(|_| to < found.len());
    Cut {
        next: last.map(|item| mark(item).cursor(order)),
        range: from..to,
        lost: start == Start::Lost,
    }
}

/// A rank by which the latest comes first.
pub(super) fn latest(time: Timestamp) -> u64 {
    greatest(time.nanos())
}

/// A rank by which the greatest comes first.
pub(super) fn greatest(n: i64) -> u64 {
    !(n as u64 ^ 1 << 63)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranks_are_in_order() {
        let falling = [i64::MAX, 7, 1, 0, -1, i64::MIN];
        assert!(falling.map(greatest).is_sorted());
        assert!(latest(Timestamp::MAX) < latest(Timestamp::MIN));
    }

    #[test]
    fn a_cursor_of_another_order_or_version_is_none() {
        let mark = Mark::new([1, u64::MAX], &["é\0", ""]);
        let cursor = mark.clone().cursor("a");
        assert_eq!(Start::read("a", &cursor), Start::Behind(mark));
        assert_eq!(Start::read("b", &cursor), Start::Lost);
        let later = serde_json::to_vec(&Cursor(VERSION + 1, "a".into(), [0; 2], Vec::new()));
        let later = URL_SAFE_NO_PAD.encode(later.unwrap());
        assert_eq!(Start::read("a", &later), Start::Lost);
        let long = Mark::new([0; 2], &[&"x".repeat(MAX)]).cursor("a");
        assert_eq!(Start::read("a", &long), Start::Lost);
    }

    proptest! {
        #[test]
        fn what_is_no_cursor_is_lost(text in ".{1,40}", bytes in prop::collection::vec(any::<u8>(), 1..60)) {
            prop_assert_eq!(Start::read("a", &text), Start::Lost);
            prop_assert_eq!(Start::read("a", &URL_SAFE_NO_PAD.encode(bytes)), Start::Lost);
        }

        /// Items come, go and move while somebody turns the pages: those that stay where they are
        /// are seen once, in order.
        #[test]
        fn what_does_not_move_is_seen_once(
            stay in prop::collection::btree_map("[a-f]{1,2}", 0..5_u64, 1..20),
            others in prop::collection::vec(prop::collection::btree_map("[g-m]", 0..5_u64, 0..7), 60),
            most in 1..5_usize,
        ) {
            let mark = |(name, rank): &(&String, &u64)| Mark::new([**rank, 0], &[name]);
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            for moving in &others {
                let mut found: Vec<_> = stay.iter().chain(moving).collect();
                found.sort_by_key(mark);
                let page = cut(&found, "a", (&cursor, Some(most)), mark);
                prop_assert!(!page.lost);
                let items = found[page.range].iter().filter(|(name, _)| stay.contains_key(*name));
                seen.extend(items.map(|(name, rank)| ((*name).clone(), **rank)));
                match page.next {
                    Some(next) => cursor = next,
                    None => break,
                }
            }
            prop_assert!(seen.is_sorted_by_key(|(name, rank)| (*rank, name.clone())));
            let once: BTreeMap<_, _> = seen.iter().cloned().collect();
            prop_assert_eq!(once.len(), seen.len());
            prop_assert_eq!(once, stay);
        }
    }
}
