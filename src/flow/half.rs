//! One direction of a flow: sequence numbers to absolute offsets, and what is held until it can be
//! delivered.

use crate::time::Timestamp;

/// A piece of payload that came before its turn.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) offset: u64,
    /// What its sender had received, as an offset of the other direction.
    pub(super) ack: Option<u64>,
    pub(super) ts: Timestamp,
    pub(super) data: Box<[u8]>,
    /// Bytes behind `data` that the snap length cut.
    pub(super) missing: u32,
    /// First byte of its segment.
    pub(super) boundary: bool,
    /// One segment may be held in several pieces; one of them stands for it in the ledger.
    pub(super) counts: bool,
}

impl Held {
    pub(super) fn end(&self) -> u64 {
        self.offset + self.data.len() as u64 + u64::from(self.missing)
    }

    /// What it costs the budget: one-byte pieces must not be free.
    pub(super) fn cost(&self) -> usize {
        self.data.len() + size_of::<Self>()
    }
}

/// Invariants: `held` is sorted by offset and free of overlaps; everything below `next` was
/// delivered or given up; `carry` ends at `next`.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// Sequence number of offset 0; unknown until a packet tells.
    base: Option<u32>,
    /// It is the SYN's own.
    pub(super) anchored: bool,
    pub(super) next: u64,
    /// A packet from this side was seen.
    pub(super) seen: bool,
    /// This side was waited for in vain: the mirror does not show it.
    pub(super) unseen: bool,
    /// Everything below was acknowledged by the other side.
    pub(super) acked: u64,
    /// Since when more is acknowledged than was delivered.
    pub(super) acked_since: Timestamp,
    /// Offset just behind the last byte, once a FIN told it.
    pub(super) fin: Option<u64>,
    pub(super) ended: bool,
    pub(super) held: Vec<Held>,
    pub(super) held_bytes: usize,
    /// Delivered and left by the parser.
    pub(super) carry: Vec<u8>,
    pub(super) carry_boundary: bool,
}

impl Half {
    /// `seq` is the sequence number of offset 0; `anchored` where a SYN says so.
    pub(super) fn start(&mut self, seq: u32, anchored: bool) {
        self.base = Some(seq);
        self.anchored = anchored;
        self.next = 0;
    }

    /// A packet of this side, or an acknowledgement of it, that lies before what was taken for the
    /// beginning: while nothing was delivered or given up, that is the beginning. Returns how far
    /// every offset of this side has moved.
    pub(super) fn start_earlier(&mut self, seq: u32) -> u64 {
        let before = self.offset(seq).filter(|o| *o < 0);
        let movable = !self.anchored && self.next == 0 && !self.ended;
        let Some(before) = before.filter(|_| movable) else {
            return 0;
        };
        let moved = before.unsigned_abs();
        self.base = Some(seq);
        self.acked += moved;
        self.fin = self.fin.map(|fin| fin + moved);
        for held in &mut self.held {
            held.offset += moved;
        }
        moved
    }

    /// Offsets of the other side have moved.
    pub(super) fn peer_moved(&mut self, by: u64) {
        for held in &mut self.held {
            held.ack = held.ack.map(|ack| ack + by);
        }
    }

    /// The other side has received everything below `ack`.
    pub(super) fn acknowledge(&mut self, ack: u64, ts: Timestamp) {
        if self.acked <= self.next && ack > self.next {
            self.acked_since = ts;
        }
        self.acked = self.acked.max(ack);
    }

    pub(super) fn started(&self) -> bool {
        self.base.is_some()
    }

    /// Offset of a sequence number, nearest to `next` (RFC 9293, section 3.4: arithmetic modulo
    /// 2^32). Negative for what lies before the first byte.
    pub(super) fn offset(&self, seq: u32) -> Option<i64> {
        let expected = self.base?.wrapping_add(self.next as u32);
        Some(self.next as i64 + i64::from(seq.wrapping_sub(expected) as i32))
    }

    /// Whether `data` at `offset` says something else than what is held or carried there.
    pub(super) fn contradicts(&self, offset: u64, data: &[u8]) -> bool {
        let carried = (self.next - self.carry.len() as u64, &self.carry[..]);
        let held = self.held.iter().map(|h| (h.offset, &*h.data));
        held.chain([carried]).any(|(at, known)| {
            let from = at.max(offset);
            let end = (at + known.len() as u64).min(offset + data.len() as u64);
            from < end
                && known[(from - at) as usize..(end - at) as usize]
                    != data[(from - offset) as usize..(end - offset) as usize]
        })
    }

    /// Holds what of `[offset, offset + data.len())` is not held or delivered yet. Returns whether
    /// anything was new.
    pub(super) fn hold(&mut self, new: &Held) -> bool {
        let (mut from, end) = (
            new.offset.max(self.next),
            new.offset + new.data.len() as u64,
        );
        let mut at = self.held.partition_point(|h| h.end() <= from);
        let mut counts = new.counts;
        while from < end {
            let (until, resume) = match self.held.get(at) {
                Some(h) if h.offset < end => (h.offset.max(from), h.end()),
                _ => (end, end),
            };
            if until > from {
                let range = (from - new.offset) as usize..(until - new.offset) as usize;
                let piece = Held {
                    offset: from,
                    data: new.data[range].into(),
                    missing: if until == end { new.missing } else { 0 },
                    boundary: new.boundary && from == new.offset,
                    counts,
                    ..*new
                };
                self.held_bytes += piece.cost();
                self.held.insert(at, piece);
                counts = false;
                at += 1;
            }
            from = until.max(resume);
            at += 1;
        }
        counts != new.counts
    }

    /// Nothing follows a FIN (RFC 9293, section 3.6): what is held behind it goes. Returns how many
    /// segments that were.
    pub(super) fn finish_at(&mut self, fin: u64) -> u64 {
        self.fin = Some(fin);
        let mut gone = 0;
        self.held.retain_mut(|held| {
            let room = fin.saturating_sub(held.offset);
            if room == 0 {
                gone += u64::from(held.counts);
            } else if held.end() > fin {
                let kept = held
                    .data
                    .len()
                    .min(usize::try_from(room).unwrap_or(usize::MAX));
                held.missing = held.missing.min((room - kept as u64) as u32);
                held.data = held.data[..kept].into();
            }
            room > 0
        });
        self.held_bytes = self.held.iter().map(Held::cost).sum();
        gone
    }

    /// Takes the first held piece.
    pub(super) fn pop(&mut self) -> Option<Held> {
        if self.held.is_empty() {
            return None;
        }
        let first = self.held.remove(0);
        self.held_bytes -= first.cost();
        Some(first)
    }
}
