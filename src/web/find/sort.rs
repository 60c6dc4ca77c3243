//! The order of a list of endpoints, and pages cut out of it.

use crate::time::Timestamp;
use crate::web::index::{Index, Row};

/// What can be sorted by; the first by default.
pub(in crate::web) const SORTS: [&str; 9] = [
    "risk", "requests", "path", "errors", "last", "first", "callers", "p90", "method",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) struct Order {
    /// One of [`SORTS`].
    pub(in crate::web) sort: &'static str,
    pub(in crate::web) descending: bool,
    /// As it is without being told a direction.
    pub(in crate::web) natural: bool,
}

/// A page of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::web) struct Cut {
    /// In order.
    pub(in crate::web) rows: Vec<usize>,
    /// How many come before.
    pub(in crate::web) before: usize,
    /// Whether more come after.
    pub(in crate::web) more: bool,
    /// The row that the page before this one comes after; `Some(None)`: that page is the first.
    pub(in crate::web) previous: Option<Option<usize>>,
}

impl Order {
    /// By names as they come in URLs; what is not known is as if it were not said.
    pub(in crate::web) fn named(sort: &str, direction: &str) -> Self {
        let found = SORTS.into_iter().find(|name| *name == sort);
        let sort = found.unwrap_or(SORTS[0]);
        let most_first = !matches!(sort, "path" | "method");
        let descending = match direction {
            "asc" => false,
            "desc" => true,
            _ => most_first,
        };
        Self {
            sort,
            descending,
            natural: descending == most_first,
        }
    }

    /// What a row is sorted by. Of equals the one that comes first in the index comes first.
    fn keys<'a>(&self, index: &'a Index) -> impl Fn(u32) -> (u64, u32) + use<'a> {
        let Self {
            sort, descending, ..
        } = *self;
        let ranks = ranks(index);
        move |n| {
            let row = &index.rows[n as usize];
            let key = match sort {
                "requests" => row.requests,
                "path" => u64::from(n),
                "errors" => row.errors,
                "last" => time(row.seen),
                "first" => time(row.first),
                "callers" => row.callers,
                "p90" => latency(row),
                "method" => ranks.get(row.method as usize).copied().unwrap_or_default(),
                // Of equal risk by requests, of which 2^56 are more than there will be.
                _ => u64::from(row.risk) << 56 | row.requests.min((1 << 56) - 1),
            };
            (if descending { !key } else { key }, n)
        }
    }

    /// All of them in order.
    pub(in crate::web) fn all(
        &self,
        index: &Index,
        found: impl Iterator<Item = usize>,
    ) -> Vec<usize> {
        let key = self.keys(index);
        let mut keys: Vec<_> = found.map(|n| key(n as u32)).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, n)| n as usize).collect()
    }

    /// `limit` of them behind the row that is named, which need not be one of them.
    pub(in crate::web) fn cut(
        &self,
        index: &Index,
        found: impl Iterator<Item = usize>,
        behind: Option<usize>,
        limit: usize,
    ) -> Cut {
        let key = self.keys(index);
        let behind = behind.map(|n| key(n as u32));
        let keys = found.map(|n| key(n as u32));
        let (mut passed, mut after): (Vec<_>, Vec<_>) =
            keys.partition(|k| behind.is_some_and(|b| *k <= b));
        let more = after.len() > limit;
        if more {
            after.select_nth_unstable(limit);
            after.truncate(limit);
        }
        after.sort_unstable();
        let before = passed.len();
        let previous = (before > 0).then(|| {
            let at = before.checked_sub(limit + 1)?;
            Some(passed.select_nth_unstable(at).1.1 as usize)
        });
        Cut {
            rows: after.into_iter().map(|(_, n)| n as usize).collect(),
            before,
            more,
            previous,
        }
    }
}

/// In the order of time; never comes before all.
fn time(t: Option<Timestamp>) -> u64 {
    t.map_or(0, |t| t.nanos() as u64 ^ 1 << 63)
}

/// In the order of what it says; not known comes before all.
fn latency(row: &Row) -> u64 {
    // Of numbers that are not negative the bits are in the order of the numbers.
    if row.p90 >= 0.0 {
        row.p90.to_bits() + 1
    } else {
        0
    }
}

/// The place of each method in the alphabet.
fn ranks(index: &Index) -> Vec<u64> {
    let names: Vec<&str> = index.known.methods.iter().collect();
    let rank = |name: &&str| names.iter().filter(|other| *other < name).count() as u64;
    names.iter().map(rank).collect()
}
