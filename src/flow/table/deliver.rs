//! From a segment to the stream's calls: sequence numbers to offsets, what comes in order, what is
//! held, what is given up, and in which order of both directions.

use super::{Flow, FlowTable, Phase, RST_WINDOW};
use crate::decode::Segment;
use crate::flow::half::Held;
use crate::flow::note::Note;
use crate::flow::{Chunk, End, MAX_CARRY, Settings, Side, Stream};
use crate::time::Timestamp;

impl<S: Stream> FlowTable<S> {
    /// Sequence numbers to offsets, then deliver, hold, or know as a copy.
    pub(super) fn accept(
        &mut self,
        at: u32,
        side: Side,
        segment: &Segment<'_>,
        now: Timestamp,
        out: &mut S::Out,
    ) {
        let flags = segment.flags;
        self.remark(at, side, segment);
        let Some(flow) = self.flows[at as usize].as_mut() else {
            return;
        };
        let (own, peer) = (side.index(), side.other().index());
        let first_seq = if flags.syn {
            segment.seq.wrapping_add(1)
        } else {
            segment.seq
        };
        if !flow.halves[own].started() {
            flow.halves[own].start(first_seq, flags.syn);
        }
        let moved = flow.halves[own].start_earlier(first_seq);
        flow.halves[peer].peer_moved(moved);
        flow.halves[own].anchored |= flags.syn;
        (flow.halves[own].seen, flow.halves[own].unseen) = (true, false);
        let ack = flags.ack.then(|| {
            let half = &mut flow.halves[peer];
            if !half.started() {
                half.start(segment.ack, false);
            }
            let moved = half.start_earlier(segment.ack);
            if moved > 0 {
                flow.halves[own].peer_moved(moved);
            }
            let half = &flow.halves[peer];
            u64::try_from(half.offset(segment.ack).unwrap_or(0)).unwrap_or(0)
        });
        if let Some(ack) = ack {
            let half = &mut flow.halves[peer];
            half.acknowledge(ack, segment.ts);
            if half.unseen && !half.seen && ack > half.next {
                let len = ack - half.next;
                self.gap(at, side.other(), segment.ts, len, out);
            }
        }
        let Some(flow) = self.flows[at as usize].as_mut() else {
            return;
        };
        let [a, b] = &flow.halves;
        let data = !segment.payload.is_empty();
        self.seen
            .extend(flow.view.look([a.seen, b.seen], [a.acked, b.acked], data));
        let half = &mut flow.halves[own];
        let offset = half.offset(first_seq).unwrap_or(0);
        if flags.rst {
            if (offset - half.next as i64).abs() > RST_WINDOW {
                self.counters.rst_ignored += 1;
                self.counters.retransmitted += 1;
                return;
            }
            self.counters.analysed += 1;
            let rst = u64::try_from(offset).unwrap_or(0);
            flow.reset[own] = rst;
            flow.reset[peer] = ack.unwrap_or(0);
            self.set_phase(at, Phase::Reset);
            return;
        }
        let length = segment.payload.len() as i64 + i64::from(segment.missing);
        let probe = length <= 1 && !flags.syn && !flags.fin;
        if probe && offset + 1 == half.next as i64 {
            self.counters.keep_alives += 1;
        } else if length > 0
            && half
                .fin
                .is_some_and(|fin| half.next >= fin || offset >= fin as i64)
        {
            self.counters.after_fin += 1;
        } else {
            if let Some(fin) = u64::try_from(offset + length)
                .ok()
                .filter(|_| flags.fin && half.fin.is_none())
            {
                let before = half.held_bytes;
                let gone = half.finish_at(fin);
                self.buffered -= before - half.held_bytes;
                self.counters.pending -= gone;
                self.counters.after_fin += gone;
            }
            if length == 0 {
                self.counters.analysed += 1;
            } else if offset + length <= half.next as i64 {
                self.counters.retransmitted += 1;
            } else {
                self.place(at, side, segment, offset, ack, out);
            }
        }
        self.settle(at, now, out);
    }

    /// What is out of the ordinary about a segment of a flow.
    fn remark(&mut self, at: u32, side: Side, segment: &Segment<'_>) {
        let Some(flow) = &self.flows[at as usize] else {
            return;
        };
        let (own, flags) = (&flow.halves[side.index()], segment.flags);
        let notes = &mut self.counters.notes;
        if flags.syn {
            if !segment.payload.is_empty() {
                notes.take(Note::FastOpen);
            }
            if own.next > 0 || !own.held.is_empty() {
                notes.take(Note::LateSyn);
            }
            if side == Side::Resp && !flags.ack && !own.seen {
                notes.take(Note::SimultaneousOpen);
            }
        } else if segment.window == 0 && !flags.rst {
            notes.take(Note::ZeroWindow);
        }
    }

    /// `offset + length > next`: the segment has something new, or is the first to say so.
    fn place(
        &mut self,
        at: u32,
        side: Side,
        segment: &Segment<'_>,
        offset: i64,
        ack: Option<u64>,
        out: &mut S::Out,
    ) {
        let Some(flow) = self.flows[at as usize].as_mut() else {
            return;
        };
        // Bytes from before the first one that was seen to be the first are nobody's.
        let skip = usize::try_from(-offset)
            .unwrap_or(0)
            .min(segment.payload.len());
        let offset = offset.max(0) as u64;
        let payload = &segment.payload[skip..];
        let [orig, resp] = &mut flow.halves;
        let (half, peer) = if side == Side::Orig {
            (orig, resp)
        } else {
            (resp, orig)
        };
        // Nothing follows a FIN (RFC 9293, section 3.6).
        let room = half.fin.map_or(u64::MAX, |fin| fin.saturating_sub(offset));
        let payload = &payload[..payload
            .len()
            .min(usize::try_from(room).unwrap_or(usize::MAX))];
        let missing = u64::from(segment.missing).min(room - payload.len() as u64) as u32;
        let overlaps = offset < half.next || !half.held.is_empty();
        if overlaps && half.contradicts(offset, payload) {
            self.counters.notes.take(Note::OverlapConflict);
        }
        let end = offset + payload.len() as u64;
        let believed = end <= flow.reset[side.index()];
        let in_order = offset <= half.next && half.held.is_empty() && end >= half.next;
        let caused = ack.is_none_or(|a| a <= peer.next);
        if in_order && caused {
            self.counters.analysed += 1;
            let known = (half.next - offset) as usize;
            let piece = Piece {
                ts: segment.ts,
                ack,
                boundary: known == 0 && skip == 0,
                data: &payload[known..],
                missing,
            };
            self.deliver(at, side, piece, out);
            self.reopen(at, believed);
            return;
        }
        let before = half.held_bytes;
        let held = Held {
            offset,
            ack,
            ts: segment.ts,
            data: payload.into(),
            missing,
            boundary: skip == 0,
            counts: true,
        };
        if half.hold(&held) {
            self.counters.pending += 1;
            if offset > half.next {
                self.counters.notes.take(Note::OutOfOrder);
            }
        } else {
            self.counters.retransmitted += 1;
        }
        self.buffered += half.held_bytes - before;
        self.reopen(at, believed);
    }

    /// Data came. A RST is disbelieved by what lies behind it, not by what it overtook.
    fn reopen(&mut self, at: u32, believed: bool) {
        let phase = self.flows[at as usize].as_ref().map(|f| f.phase);
        if phase == Some(Phase::Reset) && believed {
            return;
        }
        if matches!(phase, Some(Phase::HalfOpen | Phase::Reset)) {
            if phase == Some(Phase::Reset) {
                self.counters.notes.take(Note::ResetDisbelieved);
            }
            self.set_phase(at, Phase::Open);
        }
    }

    /// Hands bytes to the stream; what it leaves is carried to the next call.
    fn deliver(&mut self, at: u32, side: Side, piece: Piece<'_>, out: &mut S::Out) {
        let Some(flow) = self.flows[at as usize].as_mut() else {
            return;
        };
        let Some(stream) = flow.stream.as_deref_mut() else {
            return;
        };
        let half = &mut flow.halves[side.index()];
        let carried = half.carry.len();
        half.next += piece.data.len() as u64;
        let offset = half.next - piece.data.len() as u64 - carried as u64;
        let mut chunk = Chunk {
            ts: piece.ts,
            offset,
            ack: piece.ack,
            boundary: piece.boundary,
            data: piece.data,
        };
        if piece.data.is_empty() {
            // Only a cut tail: the gap below says so.
        } else if carried == 0 {
            let used = stream.on_data(side, chunk, out).min(piece.data.len());
            if used < piece.data.len() {
                half.carry.extend_from_slice(&piece.data[used..]);
                half.carry_boundary = piece.boundary && used == 0;
            }
        } else {
            half.carry.extend_from_slice(piece.data);
            chunk.data = &half.carry;
            chunk.boundary = half.carry_boundary;
            let used = stream.on_data(side, chunk, out).min(half.carry.len());
            half.carry.drain(..used);
            half.carry_boundary &= used == 0;
            if half.carry.is_empty() {
                half.carry = Vec::new();
            }
        }
        let (held, due) = (stream.held(), stream.due());
        self.buffered = self.buffered + half.carry.len() + held - carried - flow.stream_held;
        flow.stream_held = held;
        let overflow = half.carry.len() > MAX_CARRY;
        if due != flow.due {
            self.appoint(at, due);
        }
        if piece.missing > 0 || overflow {
            self.gap(at, side, piece.ts, u64::from(piece.missing), out);
        }
    }

    /// Says that `len` bytes from `next` on will not come, and goes on behind them.
    fn gap(&mut self, at: u32, side: Side, ts: Timestamp, len: u64, out: &mut S::Out) {
        let Some(flow) = self.flows[at as usize].as_mut() else {
            return;
        };
        let half = &mut flow.halves[side.index()];
        let offset = half.next;
        half.next += len;
        self.buffered -= half.carry.len();
        half.carry = Vec::new();
        self.counters.gaps += 1;
        self.counters.gap_bytes += len;
        if let Some(stream) = flow.stream.as_deref_mut() {
            stream.on_gap(side, ts, offset, len, out);
            self.ask(at);
        }
    }

    /// Delivers what has become deliverable, gives up what will not, ends what has ended, and
    /// holds the budget.
    pub(super) fn settle(&mut self, at: u32, now: Timestamp, out: &mut S::Out) {
        self.drain(at, out);
        let full = self.buffered > self.settings.max_buffered;
        self.relieve(at, now, full, out);
        self.end_sides(at, now, out);
        if let Some(flow) = self.flows[at as usize].as_mut()
            && !flow.stalled
            && flow.halves.iter().any(|h| !h.held.is_empty())
        {
            flow.stalled = true;
            self.stalled.push(at);
        }
        while self.buffered > self.settings.max_buffered {
            // What is left are many flows' small remainders: the oldest goes.
            let Some(oldest) = self.lists[Phase::Open as usize].oldest() else {
                break;
            };
            self.counters.flows_evicted += 1;
            self.retire(oldest, now, End::Evicted, out);
        }
    }

    /// Held pieces in order, both directions, as long as either moves.
    fn drain(&mut self, at: u32, out: &mut S::Out) {
        loop {
            let mut moved = false;
            for side in [Side::Orig, Side::Resp] {
                while let Some(held) = self.next_ready(at, side) {
                    moved = true;
                    let Some(flow) = self.flows[at as usize].as_ref() else {
                        return;
                    };
                    let known = flow.halves[side.index()].next.saturating_sub(held.offset) as usize;
                    let Held {
                        ts,
                        ack,
                        boundary,
                        data,
                        missing,
                        ..
                    } = held;
                    let fresh = &data[known.min(data.len())..];
                    self.deliver(
                        at,
                        side,
                        Piece {
                            ts,
                            ack,
                            boundary: boundary && known == 0,
                            data: fresh,
                            missing,
                        },
                        out,
                    );
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn next_ready(&mut self, at: u32, side: Side) -> Option<Held> {
        let flow = self.flows[at as usize].as_mut()?;
        let peer_next = {
            let peer = &flow.halves[side.other().index()];
            if peer.unseen { u64::MAX } else { peer.next }
        };
        let half = &mut flow.halves[side.index()];
        let first = half.held.first()?;
        if first.offset > half.next || first.ack.is_some_and(|ack| ack > peer_next) {
            return None;
        }
        let held = half.pop()?;
        self.buffered -= held.cost();
        if held.counts {
            self.counters.pending -= 1;
            self.counters.analysed += 1;
        }
        Some(held)
    }

    /// Gives up the holes that keep a flow waiting, where patience is over. `force` is for budgets
    /// and ends.
    pub(super) fn relieve(&mut self, at: u32, now: Timestamp, force: bool, out: &mut S::Out) {
        loop {
            let Some(flow) = self.flows[at as usize].as_mut() else {
                return;
            };
            let Some(obstacle) = flow.obstacle() else {
                return;
            };
            let Settings {
                acked_patience,
                patience,
                max_held,
                ..
            } = self.settings;
            let patience = if obstacle.acked {
                acked_patience
            } else {
                patience
            };
            let crowded = flow.halves.iter().any(|h| h.held_bytes > max_held);
            if !force && !crowded && now.since(obstacle.since) < patience {
                return;
            }
            let next = flow.halves[obstacle.side.index()].next;
            // The other side has spoken in between: two holes, not one.
            let peer = &flow.halves[obstacle.side.other().index()];
            let acks = peer.held.iter().filter_map(|h| h.ack);
            let to = acks.filter(|ack| *ack > next).fold(obstacle.to, u64::min);
            let half = &mut flow.halves[obstacle.side.index()];
            half.unseen |= !half.seen;
            let len = to - next;
            // What the receiver has, was on the wire: the mirror lost it.
            if obstacle.acked && half.seen {
                let acked = len.min(half.acked.saturating_sub(half.next));
                self.seen.push(flow.view.lost(acked));
            }
            self.gap(at, obstacle.side, now, len, out);
            self.drain(at, out);
        }
    }

    /// The end: what was received and never shown is counted, though nothing came behind it. One
    /// byte may have been a FIN.
    pub(super) fn give_up_acked(&mut self, at: u32, now: Timestamp, out: &mut S::Out) {
        for side in [Side::Orig, Side::Resp] {
            let Some(flow) = &self.flows[at as usize] else {
                return;
            };
            let half = &flow.halves[side.index()];
            let len = half
                .fin
                .map_or_else(|| half.acked.saturating_sub(1), |fin| half.acked.min(fin));
            if let Some(len) = len.checked_sub(half.next).filter(|len| *len > 0) {
                self.gap(at, side, now, len, out);
            }
        }
    }

    /// Tells the stream which sides have sent their last byte; both done closes the flow.
    fn end_sides(&mut self, at: u32, now: Timestamp, out: &mut S::Out) {
        let Some(flow) = self.flows[at as usize].as_mut() else {
            return;
        };
        for side in [Side::Orig, Side::Resp] {
            let half = &mut flow.halves[side.index()];
            if !half.ended && half.fin.is_some_and(|fin| half.next >= fin) {
                half.ended = true;
                if let Some(stream) = flow.stream.as_deref_mut() {
                    stream.on_end(side, now, out);
                }
            }
        }
        if flow.halves.iter().all(|h| h.ended) {
            self.close(at, now, End::Fin, out);
        }
    }
}

/// A hole that keeps a held piece waiting.
struct Obstacle {
    /// The side whose bytes are missing.
    side: Side,
    /// Where the hole ends.
    to: u64,
    /// The receiver has those bytes, so they will not be sent again.
    acked: bool,
    /// When the piece that waits came.
    since: Timestamp,
}

impl<S: Stream> Flow<S> {
    /// The hole to give up first, if any piece waits: one that was acknowledged before one that
    /// was not.
    fn obstacle(&self) -> Option<Obstacle> {
        let stuck = [Side::Orig, Side::Resp].into_iter().filter_map(|side| {
            let half = &self.halves[side.index()];
            let first = half.held.first()?;
            let since = first.ts;
            if first.offset > half.next {
                let acked = half.acked > half.next;
                return Some(Obstacle {
                    side,
                    to: first.offset,
                    acked,
                    since: if acked {
                        since.max(half.acked_since)
                    } else {
                        since
                    },
                });
            }
            let peer = &self.halves[side.other().index()];
            let ack = first.ack.filter(|ack| *ack > peer.next)?;
            let to = peer
                .held
                .first()
                .map_or(ack, |h| h.offset.clamp(peer.next, ack));
            // Where the other side holds its next piece, its own obstacle is found in its turn.
            (to > peer.next).then_some(Obstacle {
                side: side.other(),
                to,
                acked: true,
                since,
            })
        });
        stuck.min_by_key(|o| (!o.acked, o.to, o.side.index()))
    }
}

/// Payload on its way to the stream.
#[derive(Clone, Copy)]
struct Piece<'a> {
    ts: Timestamp,
    ack: Option<u64>,
    boundary: bool,
    data: &'a [u8],
    missing: u32,
}
