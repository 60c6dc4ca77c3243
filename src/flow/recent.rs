//! Segments seen a moment ago: tells the copy that a mirror makes of a packet from the
//! retransmission that its sender makes, and a retransmission from other bytes under its number.
//!
//! A copy has the IP identification and the TCP checksum of its original and follows it within
//! moments, whatever its TTL and its tags; a sender's own second try is a packet of its own and
//! waits for a time-out. Fixed size, direct-mapped: what is pushed out is only not recognised.

use std::time::Duration;

use super::FlowKey;
use crate::decode::Segment;
use crate::time::Timestamp;

const ENTRIES: usize = 256;

/// Switches and taps copy within microseconds; the shortest retransmission time-out in use is some
/// 200 ms (RFC 6298 wants a second).
const MOMENT: Duration = Duration::from_millis(50);

/// What a segment is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    New,
    Copy,
    /// The same place in the stream, and other bytes.
    Conflict,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// Flow, direction, place in the stream and flags; 0: empty.
    place: u64,
    stamp: u32,
    sum: u16,
    ts: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Empty until the first segment comes.
    entries: Vec<Entry>,
    seed: u64,
}

impl Recent {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            entries: Vec::new(),
            seed,
        }
    }

    pub(super) fn look(&mut self, s: &Segment<'_>, key: &FlowKey, src_low: bool) -> Known {
        if s.payload.is_empty() && !s.flags.syn && !s.flags.fin {
            // Bare acknowledgements repeat by design.
            return Known::New;
        }
        if self.entries.is_empty() {
            self.entries = vec![Entry::default(); ENTRIES];
        }
        let place = key.place(self.seed, s, src_low);
        let new = Entry {
            place,
            stamp: s.stamp,
            sum: s.sum,
            ts: s.ts,
        };
        let old = std::mem::replace(&mut self.entries[place as usize % ENTRIES], new);
        if old.place != place {
            Known::New
        // Two taps' clocks may differ in either direction.
        } else if old.stamp == new.stamp && old.ts.apart(new.ts) <= MOMENT {
            Known::Copy
        } else if old.sum != new.sum && old.stamp as u16 != new.stamp as u16 {
            // Where a network card fills in the checksum later, equal fields say nothing.
            Known::Conflict
        } else {
            Known::New
        }
    }
}
