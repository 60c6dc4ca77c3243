//! How often something was seen, and when.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) count: u64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

impl Seen {
    pub(super) fn at(ts: Timestamp) -> Self {
        Self {
            count: 1,
            first: ts,
            last: ts,
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    /// Once more; returns whether it is the first time.
    pub(super) fn take(seen: &mut Option<Self>, ts: Timestamp) -> bool {
        let news = seen.is_none();
        Self::add(seen, Some(Self::at(ts)));
        news
    }

    /// Both, where there are any.
    pub(super) fn add(mine: &mut Option<Self>, theirs: Option<Self>) {
        match (mine.as_mut(), theirs) {
            (Some(mine), Some(theirs)) => mine.merge(&theirs),
            (None, theirs) => *mine = theirs,
            (_, None) => {}
        }
    }
}
