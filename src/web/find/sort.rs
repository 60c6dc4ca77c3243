//! The order of a list of endpoints, and pages cut out of it.

use crate::time::Timestamp;
use crate::web::cursor::{Mark, Start};
use crate::web::index::{Index, Row, place};

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

    /// Of this list and order, as cursors name it.
    pub(in crate::web) fn name(&self) -> String {
        let direction = if self.descending { "desc" } else { "asc" };
        format!("endpoints {} {direction}", self.sort)
    }

    pub(in crate::web) fn cursor(&self, index: &Index, row: usize) -> String {
        let (rank, _) = self.keys(index)(row as u32);
        Mark::new([rank, 0], &place(index.endpoint(row))).cursor(&self.name())
    }

    /// What a row is sorted by. Of equals the one that comes first in the index comes first.
    fn keys<'a>(&self, index: &'a Index) -> impl Fn(u32) -> (u64, u64) + use<'a> {
        let order = *self;
        let Self {
            sort, descending, ..
        } = order;
        let ranks = ranks(index);
        move |n| {
            let row = &index.rows[n as usize];
            let key = match sort {
                "requests" => row.requests,
                // The place says it all.
                "path" => return (0, order.turned(u64::from(n))),
                "errors" => row.errors,
                "last" => time(row.seen),
                "first" => time(row.first),
                "callers" => row.callers,
                "p90" => latency(row),
                "method" => ranks.get(row.method as usize).copied().unwrap_or_default(),
                // Of equal risk by requests, of which 2^56 are more than there will be.
                _ => u64::from(row.risk) << 56 | row.requests.min((1 << 56) - 1),
            };
            (if descending { !key } else { key }, u64::from(n))
        }
    }

    /// The number of a row by its place among equals, and the other way round.
    fn turned(&self, n: u64) -> u64 {
        match self.sort {
            "path" if self.descending => u64::from(u32::MAX) - n,
            _ => n,
        }
    }

    /// What all keys up to a mark are less than.
    fn bound(&self, index: &Index, mark: &Mark) -> (u64, u64) {
        let names = || mark.names.iter().map(String::as_str);
        let passed = match self.sort {
            "path" if self.descending => {
                let at = index.first(|place| place.into_iter().ge(names()));
                self.turned(at as u64) + 1
            }
            _ => index.first(|place| place.into_iter().gt(names())) as u64,
        };
        (mark.ranks[0], passed)
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
        let row = |(_, n)| self.turned(n) as usize;
        keys.into_iter().map(row).collect()
    }

    /// `limit` of them from a start on.
    pub(in crate::web) fn cut(
        &self,
        index: &Index,
        found: impl Iterator<Item = usize>,
        start: &Start,
        limit: usize,
    ) -> Cut {
        let key = self.keys(index);
        let bound = match start {
            Start::Behind(mark) => Some(self.bound(index, mark)),
            Start::Top | Start::Lost => None,
        };
        let keys = found.map(|n| key(n as u32));
        let (mut passed, mut after): (Vec<_>, Vec<_>) =
            keys.partition(|k| bound.is_some_and(|bound| *k < bound));
        let more = after.len() > limit;
        if more {
            after.select_nth_unstable(limit);
            after.truncate(limit);
        }
        after.sort_unstable();
        let before = passed.len();
        let previous = (before > 0).then(|| {
            let at = before.checked_sub(limit + 1)?;
            Some(self.turned(passed.select_nth_unstable(at).1.1) as usize)
        });
        Cut {
            rows: after
                .into_iter()
                .map(|k| self.turned(k.1) as usize)
                .collect(),
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

/// The first eight letters of each method as a number: the same whichever others there are.
fn ranks(index: &Index) -> Vec<u64> {
    let rank = |name: &str| {
        let letters = name.bytes().chain(std::iter::repeat(0));
        letters
            .take(8)
            .fold(0_u64, |all, b| all << 8 | u64::from(b))
    };
    index.known.methods.iter().map(rank).collect()
}
