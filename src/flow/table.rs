//! The flow table of one virtual shard: look-up, life cycle, budgets, and the delivery of both
//! directions in causal order.

use std::collections::{BTreeSet, HashMap};

use super::counters::Counters;
use super::half::Half;
use super::lru::{Link, List};
use super::note::Note;
use super::recent::{Known, Recent};
use super::sight::{Seen, View};
use super::{End, FlowInfo, FlowKey, Settings, Side, Stream};
use crate::decode::Segment;
use crate::time::Timestamp;

mod deliver;

/// A RST must lie near what was seen, or anybody could end anybody's flow.
const RST_WINDOW: i64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Phase {
    /// No data yet.
    HalfOpen,
    Open,
    /// A RST was seen. It may be one that the receiver did not believe: data from behind it brings
    /// the flow back.
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
    /// Up to where each side's bytes may have been sent before the RST.
    reset: [u64; 2],
    view: View,
    /// A hole keeps delivery waiting, and the table's list knows.
    stalled: bool,
    from_start: bool,
    vni: Option<u32>,
    /// Made with the first data, so that a flood of handshakes pays for none; gone once closed.
    stream: Option<Box<S>>,
    /// What the stream held when it was last asked.
    stream_held: usize,
    /// When the stream wants to be called, as the table's set has it.
    due: Timestamp,
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
    /// Flows whose stream wants to be called though nothing comes: a few of all.
    due: BTreeSet<(Timestamp, u32)>,
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
            due: BTreeSet::new(),
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
        self.call_due(now, out);
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

    /// Calls the streams whose time has come, each once.
    fn call_due(&mut self, now: Timestamp, out: &mut S::Out) {
        if self.due.first().is_none_or(|(due, _)| *due > now) {
            return;
        }
        let later = self.due.split_off(&(Timestamp(now.0.saturating_add(1)), 0));
        for (_, at) in std::mem::replace(&mut self.due, later) {
            let Some(flow) = self.flows[at as usize].as_mut() else {
                continue;
            };
            flow.due = Timestamp::MAX;
            if let Some(stream) = flow.stream.as_deref_mut() {
                stream.on_tick(now, out);
            }
            self.ask(at);
        }
    }

    /// Asks a flow's stream what it holds, and when it wants to be called.
    fn ask(&mut self, at: u32) {
        let Some(flow) = self.flows[at as usize].as_mut() else {
            return;
        };
        let (held, due) = match flow.stream.as_deref() {
            Some(stream) => (stream.held(), stream.due()),
            None => (0, Timestamp::MAX),
        };
        self.buffered = self.buffered + held - flow.stream_held;
        flow.stream_held = held;
        if due != flow.due {
            self.appoint(at, due);
        }
    }

    fn appoint(&mut self, at: u32, due: Timestamp) {
        let Some(flow) = self.flows[at as usize].as_mut() else {
            return;
        };
        self.due
            .remove(&(std::mem::replace(&mut flow.due, due), at));
        if due < Timestamp::MAX {
            self.due.insert((due, at));
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
            reset: [0; 2],
            view: View::new(segment.tap, segment.network.vni),
            stalled: false,
            from_start: segment.flags.syn,
            vni: segment.network.vni,
            stream: None,
            stream_held: 0,
            due: Timestamp::MAX,
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

    /// Delivers what can be, ends the stream, and keeps the bare flow as a memory of itself.
    fn close(&mut self, at: u32, now: Timestamp, end: End, out: &mut S::Out) {
        let Some(flow) = self.flows[at as usize].as_mut() else {
            return;
        };
        if flow.phase == Phase::Closed {
            return;
        }
        if end != End::Evicted {
            self.relieve(at, now, true, out);
            self.give_up_acked(at, now, out);
        }
        let Some(flow) = self.flows[at as usize].as_mut() else {
            return;
        };
        flow.stalled = false;
        if let Some(mut stream) = flow.stream.take() {
            stream.on_close(now, end, out);
        }
        self.ask(at);
        let Some(flow) = self.flows[at as usize].as_mut() else {
            return;
        };
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
}
