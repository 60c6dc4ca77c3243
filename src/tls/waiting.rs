//! Records that wait for keys, of both directions in their order, within bounds.

use std::time::Duration;

use super::half::Epoch;
use super::record::Header;
use super::session::{Meta, Outcome, Session, Shared, Sink};
use crate::flow::Side;

/// Records of one session that wait for keys. A key log is written when the handshake is made, so
/// keys are late by the delay of a file, not of a download.
pub(super) const MAX_WAITING: usize = 256 << 10;

/// The same for all sessions of one worker: hosts without keys must not hold memory for ever.
const MAX_WAITING_ALL: usize = 16 << 20;

/// Keys that are later than this are not waited for.
pub const MAX_WAIT: Duration = Duration::from_secs(10);

/// What waits for keys.
#[derive(Debug)]
pub(super) enum Waiting {
    Record(Header, Box<[u8]>),
    LostRecord(Header),
    /// Nothing more can be told of this direction.
    Blind,
}

impl Session {
    /// Goes on with what waits, if keys came since.
    pub(super) fn retry(&mut self, shared: &mut Shared, sink: &mut Sink<'_>) {
        if self.queue.is_empty() || self.generation == shared.keys.generation() {
            return;
        }
        self.generation = shared.keys.generation();
        while let Some((side, meta, waiting)) = self.queue.pop_front() {
            let outcome = match &waiting {
                Waiting::Record(header, payload) => {
                    self.record(side, meta, header, payload, shared, sink)
                }
                Waiting::LostRecord(header) => {
                    self.lost_record(side, meta.ts, header, shared, sink)
                }
                Waiting::Blind => {
                    self.give_up(side);
                    Outcome::Done
                }
            };
            if outcome == Outcome::Wait {
                self.queue.push_front((side, meta, waiting));
                return;
            }
            let cost = waiting.cost();
            self.queued -= cost;
            shared.waiting -= cost;
        }
    }

    /// Records wait for keys.
    pub fn is_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(super) fn wait(&mut self, side: Side, meta: Meta, what: Waiting, shared: &mut Shared) {
        if self.queue.is_empty() {
            self.since = meta.ts;
            self.generation = shared.keys.generation();
        }
        let cost = what.cost();
        let full = self.queued + cost > MAX_WAITING || shared.waiting + cost > MAX_WAITING_ALL;
        if full || meta.ts.since(self.since) > MAX_WAIT {
            shared.counters.late += 1;
            self.close(shared);
            for half in &mut self.halves {
                half.begin(Epoch::Dark);
            }
            return;
        }
        self.queued += cost;
        shared.waiting += cost;
        self.queue.push_back((side, meta, what));
    }
}

impl Waiting {
    fn cost(&self) -> usize {
        let held = match self {
            Self::Record(_, payload) => payload.len(),
            _ => 0,
        };
        held + size_of::<(Side, Meta, Self)>()
    }
}
