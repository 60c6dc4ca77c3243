//! The flow table of one virtual shard: look-up, life cycle, budgets, and the delivery of both
//! directions in causal order.

use std::collections::HashMap;

use super::half::{Half, Held};
use super::lru::{Link, List};
use super::note::{Note, Notes};
use super::recent::{Known, Recent};
use super::sight::{Seen, View};
use super::{Chunk, End, FlowInfo, FlowKey, Settings, Side, Stream};
use crate::decode::Segment;
use crate::time::Timestamp;

/// More than a parser may leave unconsumed; past it the direction is treated as lossy.
const MAX_CARRY: usize = 128 << 10;

/// A RST must lie near what was seen, or anybody could end anybody's flow.
const RST_WINDOW: i64 = 1 << 20;

/// Where every segment went, and what reassembly met. `segments = analysed + no_flow + copies +
/// retransmitted + keep_alives + after_fin + shed + pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub segments: u64,
    pub analysed: u64,
    /// Bare control segments of a flow that is not followed.
    pub no_flow: u64,
    /// The mirror's second sight of a packet.
    pub copies: u64,
    /// Nothing new in them.
    pub retransmitted: u64,
    /// A byte, or none, from before what comes next (RFC 9293, section 3.8.4).
    pub keep_alives: u64,
    /// Behind the sender's own FIN.
    pub after_fin: u64,
    /// Held, then put out by a budget.
    pub shed: u64,
    pub pending: u64,
    pub flows: u64,
    pub flows_evicted: u64,
    pub gaps: u64,
    pub gap_bytes: u64,
    /// RSTs too far from the flow to be its own.
    pub rst_ignored: u64,
    pub notes: Notes,
}

impl Counters {
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.segments, other.segments),
            (&mut self.analysed, other.analysed),
            (&mut self.no_flow, other.no_flow),
            (&mut self.copies, other.copies),
            (&mut self.retransmitted, other.retransmitted),
            (&mut self.keep_alives, other.keep_alives),
            (&mut self.after_fin, other.after_fin),
            (&mut self.shed, other.shed),
            (&mut self.pending, other.pending),
            (&mut self.flows, other.flows),
            (&mut self.flows_evicted, other.flows_evicted),
            (&mut self.gaps, other.gaps),
            (&mut self.gap_bytes, other.gap_bytes),
            (&mut self.rst_ignored, other.rst_ignored),
        ];
        for (mine, theirs) in pairs {
            *mine += theirs;
        }
        self.notes.add(&other.notes);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Phase {
    /// No data yet.
    HalfOpen,
    Open,
    /// A RST was seen. It may be one that the receiver did not believe: data that follows in
    /// sequence brings the flow back.
    Reset,
    Closed,
}

struct Flow<S> {
    key: FlowKey,
    /// The low end of the key is the originator.
    orig_low: bool,
    phase: Phase,
    last: Timestamp,
    halves: [Half; 2],
    view: View,
    /// A hole keeps delivery waiting, and the table's list knows.
    stalled: bool,
    from_start: bool,
    vni: Option<u32>,
    /// Made with the first data, so that a flood of handshakes pays for none; gone once closed.
    stream: Option<Box<S>>,
    /// What the stream held when it was last asked.
    stream_held: usize,
}

/// Flows by key, with the streams that read them.
pub struct FlowTable<S: Stream> {
    settings: Settings,
    map: HashMap<FlowKey, u32, foldhash::fast::FixedState>,
    flows: Vec<Option<Flow<S>>>,
    links: Vec<Link>,
    free: Vec<u32>,
    /// By phase, oldest activity first.
    lists: [List; 4],
    stalled: Vec<u32>,
    buffered: usize,
    recent: Recent,
    counters: Counters,
    /// What the flows tell of the taps, until it is fetched.
    seen: Vec<Seen>,
}

impl<S: Stream> FlowTable<S> {
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            map: HashMap::with_hasher(foldhash::fast::FixedState::with_seed(seed)),
            flows: Vec::new(),
            links: Vec::new(),
            free: Vec::new(),
            lists: [List::EMPTY; 4],
            stalled: Vec::new(),
            buffered: 0,
            recent: Recent::new(seed),
            counters: Counters::default(),
            seen: Vec::new(),
        }
    }

    /// What a table may take at most, in bytes: every flow open, every buffer full. Growing vectors
    /// and maps hold up to twice what is in them.
    pub fn memory(settings: &Settings) -> usize {
        let slot = size_of::<Option<Flow<S>>>() + size_of::<Link>() + size_of::<(FlowKey, u32)>();
        let flows = settings.max_flows + settings.max_closed;
        flows * 2 * slot + settings.max_flows * size_of::<S>() + settings.max_buffered
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Flows followed now.
    pub fn len(&self) -> usize {
        self.flows.len() - self.free.len() - self.lists[Phase::Closed as usize].len
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was learnt of the taps since the last call; to be fetched after each push and tick.
    #[inline]
    pub fn seen(&mut self) -> std::vec::Drain<'_, Seen> {
        self.seen.drain(..)
    }

    /// Bytes held now.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// Takes one segment. `key` and `src_low` as [`FlowKey::of`] gives them; `now` never goes back.
    pub fn push(
        &mut self,
        segment: &Segment<'_>,
        (key, src_low): (FlowKey, bool),
        now: Timestamp,
        out: &mut S::Out,
        make: impl FnOnce(&FlowInfo) -> S,
    ) {
        self.counters.segments += 1;
        match self.recent.look(segment, &key, src_low) {
            Known::New => {}
            Known::Copy => {
                self.counters.copies += 1;
                return;
            }
            Known::Conflict => self.counters.notes.take(Note::OverlapConflict),
        }
        let known = self.map.get(&key).copied();
        let at = match known {
            Some(at) if !self.starts_anew(at, segment, src_low) => at,
            other => {
                if let Some(old) = other {
                    self.counters.notes.take(Note::PortReuse);
                    self.retire(old, now, End::Expired, out);
                }
                let opens = segment.flags.syn || !segment.payload.is_empty();
                if !opens || segment.flags.rst {
                    self.counters.no_flow += 1;
                    return;
                }
                self.open(segment, key, src_low, now, out)
            }
        };
        self.touch(at, now);
        let Some(flow) = self.flows[at as usize].as_mut() else {
            return;
        };
        if flow.stream.is_none() && !segment.payload.is_empty() {
            flow.begin(segment.ts, make, out);
        }
        if flow.phase == Phase::Closed {
            // The last acknowledgements, and late copies of anything else.
            let counter = match segment.payload {
                [] => &mut self.counters.analysed,
                _ => &mut self.counters.retransmitted,
            };
            *counter += 1;
            return;
        }
        let side = if src_low == flow.orig_low {
            Side::Orig
        } else {
            Side::Resp
        };
        self.accept(at, side, segment, now, out);
    }

    /// Expires what has been idle, and gives up holes that nobody filled.
    pub fn tick(&mut self, now: Timestamp, out: &mut S::Out) {
        for at in std::mem::take(&mut self.stalled) {
            if let Some(flow) = self.flows[at as usize].as_mut().filter(|f| f.stalled) {
                flow.stalled = false;
                self.settle(at, now, out);
            }
        }
        let Settings {
            half_open,
            idle,
            reset,
            closed,
            ..
        } = self.settings;
        for (list, limit) in [half_open, idle, reset, closed].into_iter().enumerate() {
            while let Some(at) = self.lists[list].oldest() {
                let idle = self.flows[at as usize]
                    .as_ref()
                    .is_none_or(|f| now.since(f.last) >= limit);
                if !idle {
                    break;
                }
                self.retire(at, now, End::Expired, out);
            }
        }
    }

    /// Ends every flow, in the order of last activity: the input is over.
    pub fn finish(&mut self, now: Timestamp, out: &mut S::Out) {
        for list in 0..self.lists.len() {
            while let Some(at) = self.lists[list].oldest() {
                self.retire(at, now, End::Expired, out);
            }
        }
    }

    /// Closes and forgets; a flow that was reset ended then, not now.
    fn retire(&mut self, at: u32, now: Timestamp, end: End, out: &mut S::Out) {
        let reset = self.flows[at as usize]
            .as_ref()
            .filter(|f| f.phase == Phase::Reset)
            .map(|f| f.last);
        match reset {
            Some(then) => self.close(at, then, End::Reset, out),
            None => self.close(at, now, end, out),
        }
        self.forget(at);
    }

    /// A SYN with another initial sequence number: the ports are used again. A SYN that only came
    /// late (the mirror shuffled it behind the first data) is not.
    fn starts_anew(&self, at: u32, segment: &Segment<'_>, src_low: bool) -> bool {
        let Some(flow) = self.flows[at as usize].as_ref() else {
            return true;
        };
        if !segment.flags.syn {
            return false;
        }
        let side = if src_low == flow.orig_low {
            Side::Orig
        } else {
            Side::Resp
        };
        let half = &flow.halves[side.index()];
        let offset = half.offset(segment.seq.wrapping_add(1));
        if segment.flags.ack {
            // What came before this SYN-ACK, a forged RST or FIN, was of no connection.
            let empty = flow.halves.iter().all(|h| h.next == 0 && h.held.is_empty());
            return empty && half.seen && offset != Some(0);
        }
        match offset {
            None => flow.phase >= Phase::Reset,
            Some(0) => false,
            Some(offset) => flow.phase >= Phase::Reset || !(-RST_WINDOW..0).contains(&offset),
        }
    }

    fn open(
        &mut self,
        segment: &Segment<'_>,
        key: FlowKey,
        src_low: bool,
        now: Timestamp,
        out: &mut S::Out,
    ) -> u32 {
        while self.len() >= self.settings.max_flows {
            let lists = [Phase::Reset, Phase::HalfOpen, Phase::Open];
            let Some(oldest) = lists
                .into_iter()
                .find_map(|p| self.lists[p as usize].oldest())
            else {
                break;
            };
            self.counters.flows_evicted += 1;
            self.retire(oldest, now, End::Evicted, out);
        }
        let from_resp = segment.flags.syn && segment.flags.ack;
        let flow = Flow {
            key,
            orig_low: src_low != from_resp,
            phase: Phase::HalfOpen,
            last: now,
            halves: Default::default(),
            view: View::new(segment.tap, segment.network.vni),
            stalled: false,
            from_start: segment.flags.syn,
            vni: segment.network.vni,
            stream: None,
            stream_held: 0,
        };
        let at = self.free.pop().unwrap_or_else(|| {
            self.flows.push(None);
            self.links.push(Link::FREE);
            (self.flows.len() - 1) as u32
        });
        self.flows[at as usize] = Some(flow);
        self.map.insert(key, at);
        self.lists[Phase::HalfOpen as usize].push(&mut self.links, at);
        self.counters.flows += 1;
        at
    }

    fn touch(&mut self, at: u32, now: Timestamp) {
        if let Some(flow) = self.flows[at as usize]
            .as_mut()
            .filter(|f| f.phase != Phase::Closed)
        {
            flow.last = now;
            self.lists[flow.phase as usize].touch(&mut self.links, at);
        }
    }

    fn set_phase(&mut self, at: u32, phase: Phase) {
        let Some(flow) = self.flows[at as usize].as_mut() else {
            return;
        };
        if flow.phase != phase {
            self.lists[flow.phase as usize].remove(&mut self.links, at);
            flow.phase = phase;
            self.lists[phase as usize].push(&mut self.links, at);
        }
    }

    /// Sequence numbers to offsets, then deliver, hold, or know as a copy.
    fn accept(
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
            flow.halves[own].start(first_seq);
        }
        flow.halves[own].seen = true;
        let ack = flags.ack.then(|| {
            let half = &mut flow.halves[peer];
            if !half.started() {
                half.start(segment.ack);
            }
            u64::try_from(half.offset(segment.ack).unwrap_or(0)).unwrap_or(0)
        });
        if let Some(ack) = ack {
            let half = &mut flow.halves[peer];
            half.acked = half.acked.max(ack);
            if !half.seen && ack > half.next {
                // The mirror does not show this side: nothing of it will ever come.
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
            self.relieve(at, now, true, out);
            self.set_phase(at, Phase::Reset);
            return;
        }
        let length = segment.payload.len() as i64 + i64::from(segment.missing);
        let probe = length <= 1 && !flags.syn && !flags.fin;
        if probe && offset + 1 == half.next as i64 {
            self.counters.keep_alives += 1;
        } else if length > 0 && half.fin.is_some_and(|fin| offset >= fin as i64) {
            self.counters.after_fin += 1;
        } else {
            if flags.fin && half.fin.is_none() {
                half.fin = u64::try_from(offset + length).ok();
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
        let overlaps = offset < half.next || !half.held.is_empty();
        if overlaps && half.contradicts(offset, payload) {
            self.counters.notes.take(Note::OverlapConflict);
        }
        let in_order = offset <= half.next
            && half.held.is_empty()
            && offset + payload.len() as u64 >= half.next;
        let caused = ack.is_none_or(|a| a <= peer.next);
        if in_order && caused {
            self.counters.analysed += 1;
            let known = (half.next - offset) as usize;
            let piece = Piece {
                ts: segment.ts,
                ack,
                boundary: known == 0 && skip == 0,
                data: &payload[known..],
                missing: segment.missing,
            };
            self.deliver(at, side, piece, out);
            self.reopen(at);
            return;
        }
        let before = half.held_bytes;
        let held = Held {
            offset,
            ack,
            ts: segment.ts,
            data: payload.into(),
            missing: segment.missing,
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
        self.reopen(at);
    }

    /// Data came.
    fn reopen(&mut self, at: u32) {
        let phase = self.flows[at as usize].as_ref().map(|f| f.phase);
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
        self.buffered = self.buffered + half.carry.len() - carried;
        self.buffered = self.buffered + stream.held() - flow.stream_held;
        flow.stream_held = stream.held();
        let overflow = half.carry.len() > MAX_CARRY;
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
            self.buffered = self.buffered + stream.held() - flow.stream_held;
            flow.stream_held = stream.held();
        }
    }

    /// Delivers what has become deliverable, gives up what will not, ends what has ended, and
    /// holds the budget.
    fn settle(&mut self, at: u32, now: Timestamp, out: &mut S::Out) {
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
            // Nothing was ever seen of a side that the mirror does not show: do not wait for it.
            if peer.seen { peer.next } else { u64::MAX }
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
    fn relieve(&mut self, at: u32, now: Timestamp, force: bool, out: &mut S::Out) {
        loop {
            let Some(flow) = self.flows[at as usize].as_ref() else {
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
            let half = &flow.halves[obstacle.side.index()];
            let len = obstacle.to - half.next;
            // What the receiver has, was on the wire: the mirror lost it.
            if obstacle.acked && half.seen {
                let acked = len.min(half.acked.saturating_sub(half.next));
                self.seen.push(flow.view.lost(acked));
            }
            self.gap(at, obstacle.side, now, len, out);
            self.drain(at, out);
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

    /// Delivers what can be, ends the stream, and keeps the bare flow as a memory of itself.
    fn close(&mut self, at: u32, now: Timestamp, end: End, out: &mut S::Out) {
        let Some(flow) = self.flows[at as usize].as_mut() else {
            return;
        };
        if flow.phase == Phase::Closed {
            return;
        }
        if end != End::Evicted && flow.halves.iter().any(|h| !h.held.is_empty()) {
            self.relieve(at, now, true, out);
        }
        let Some(flow) = self.flows[at as usize].as_mut() else {
            return;
        };
        flow.stalled = false;
        if let Some(mut stream) = flow.stream.take() {
            stream.on_close(now, end, out);
        }
        self.buffered -= std::mem::take(&mut flow.stream_held);
        for half in &mut flow.halves {
            self.buffered -= half.held_bytes + half.carry.len();
            let pieces = half.held.iter().filter(|h| h.counts).count() as u64;
            self.counters.pending -= pieces;
            self.counters.shed += pieces;
            half.held = Vec::new();
            half.held_bytes = 0;
            half.carry = Vec::new();
        }
        self.set_phase(at, Phase::Closed);
        while self.lists[Phase::Closed as usize].len > self.settings.max_closed {
            let Some(oldest) = self.lists[Phase::Closed as usize].oldest() else {
                break;
            };
            self.forget(oldest);
        }
    }

    fn forget(&mut self, at: u32) {
        if let Some(flow) = self.flows[at as usize].take() {
            self.lists[flow.phase as usize].remove(&mut self.links, at);
            self.map.remove(&flow.key);
            self.free.push(at);
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
    /// Makes the stream; it learns of what was given up before there was one.
    fn begin(&mut self, ts: Timestamp, make: impl FnOnce(&FlowInfo) -> S, out: &mut S::Out) {
        if self.phase == Phase::Closed {
            return;
        }
        let [low, high] = self.key.ends();
        let (orig, resp) = if self.orig_low {
            (low, high)
        } else {
            (high, low)
        };
        let mut stream = Box::new(make(&FlowInfo {
            orig,
            resp,
            via: None,
            vni: self.vni,
            from_start: self.from_start,
        }));
        for side in [Side::Orig, Side::Resp] {
            let gone = self.halves[side.index()].next;
            if gone > 0 {
                stream.on_gap(side, ts, 0, gone, out);
            }
        }
        self.stream = Some(stream);
    }

    /// The hole to give up first, if any piece waits: one that was acknowledged before one that
    /// was not.
    fn obstacle(&self) -> Option<Obstacle> {
        let stuck = [Side::Orig, Side::Resp].into_iter().filter_map(|side| {
            let half = &self.halves[side.index()];
            let first = half.held.first()?;
            let since = first.ts;
            if first.offset > half.next {
                return Some(Obstacle {
                    side,
                    to: first.offset,
                    acked: half.acked > half.next,
                    since,
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
