//! Flows: who talks to whom, and the bytes of each direction in order.
//!
//! A [`FlowTable`] turns segments into calls on a stream parser. In-order payload reaches the
//! parser as a slice of the packet; only what comes out of order, or what the parser leaves, is
//! copied. Offsets are absolute (`u64`, the first byte after the SYN is 0), time is packet time.
//!
//! Two rules make the two directions one story. *First bytes win*: what was delivered or held
//! first stays, whatever overlaps it later. *Cause before effect*: a segment is delivered once
//! everything that it acknowledges was delivered or given up, so a response never reaches the
//! parser before its request, however the mirror shuffled them. A hole is given up after some
//! patience, and said (`on_gap`), never papered over.

use std::net::IpAddr;
use std::time::Duration;

use crate::decode::Segment;
use crate::time::Timestamp;

mod counters;
mod half;
mod lru;
mod note;
mod recent;
mod sight;
mod table;

#[cfg(test)]
mod tests;

pub use counters::Counters;
pub use note::{Note, Notes};
pub use sight::{Seen, Sight};
pub use table::FlowTable;

/// A direction, named by its sender. The originator sent the SYN, or, where the SYN was not seen,
/// the first packet that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    Orig,
    Resp,
}

impl Side {
    pub fn other(self) -> Self {
        match self {
            Self::Orig => Self::Resp,
            Self::Resp => Self::Orig,
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Who the two sides are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowInfo {
    pub orig: (IpAddr, u16),
    pub resp: (IpAddr, u16),
    /// The proxy, where `orig` is the client that it connected for.
    pub via: Option<(IpAddr, u16)>,
    pub vni: Option<u32>,
    /// The SYN was seen, so each side's first byte is the first of its stream.
    pub from_start: bool,
}

/// Delivered bytes. Valid for the call only.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Time of the packet that brought the newest byte.
    pub ts: Timestamp,
    /// Absolute offset of `data[0]` in its direction.
    pub offset: u64,
    /// Absolute offset in the other direction up to which the sender had received everything when
    /// it sent the newest byte.
    pub ack: Option<u64>,
    /// `data[0]` is the first byte of a segment.
    pub boundary: bool,
    pub data: &'a [u8],
}

/// Why a direction or a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Fin,
    Reset,
    /// Idle for too long, or the input is over.
    Expired,
    /// Put out by the budget.
    Evicted,
}

/// More than a parser may leave unconsumed; past it the direction is treated as lossy.
pub const MAX_CARRY: usize = 128 << 10;

/// What a flow's bytes are fed to. Incomplete is not an error: what `on_data` does not consume is
/// offered again, with more behind it.
pub trait Stream {
    /// Where results go; drained by the caller of [`FlowTable::push`].
    type Out;

    /// Returns how many bytes of `chunk.data` were consumed.
    fn on_data(&mut self, side: Side, chunk: Chunk<'_>, out: &mut Self::Out) -> usize;

    /// `len` bytes from `offset` on will never come. Unconsumed bytes before it are gone.
    fn on_gap(&mut self, side: Side, ts: Timestamp, offset: u64, len: u64, out: &mut Self::Out);

    /// This side sends no more.
    fn on_end(&mut self, side: Side, ts: Timestamp, out: &mut Self::Out);

    /// The flow is over; called once, last.
    fn on_close(&mut self, ts: Timestamp, end: End, out: &mut Self::Out);

    /// When `on_tick` is to be called though nothing comes. Asked whenever something came, and behind
    /// `on_tick`, where it must lie ahead.
    fn due(&self) -> Timestamp {
        Timestamp::MAX
    }

    /// The clock has passed what was due: it is the same packet's time whoever counts, but how far
    /// past depends on what else is captured.
    fn on_tick(&mut self, _now: Timestamp, _out: &mut Self::Out) {}

    /// Bytes held beside the stream itself, such as requests that wait for their answers. They
    /// count towards the table's budget, or a flow could hold what it likes.
    fn held(&self) -> usize {
        0
    }
}

/// Budgets and time-outs of one flow table (one virtual shard).
#[derive(Clone, Debug)]
pub struct Settings {
    pub max_flows: usize,
    /// Closed flows remembered so that late copies of their segments are known for what they are.
    pub max_closed: usize,
    /// Bytes held out of order, left by parsers, or held by streams, over all flows.
    pub max_buffered: usize,
    /// The same for one direction of one flow.
    pub max_held: usize,
    pub idle: Duration,
    /// For flows that have carried no data yet: a SYN flood is made of these.
    pub half_open: Duration,
    /// How long data may still follow a RST that nobody believed.
    pub reset: Duration,
    /// How long a closed flow is remembered (TIME_WAIT).
    pub closed: Duration,
    /// How long a hole may still be filled when the receiver has acknowledged what was in it: only
    /// a late copy in the mirror can.
    pub acked_patience: Duration,
    /// The same when nobody has: the sender will retransmit (RFC 6298 doubles from 1 s).
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_flows: 16_384,
            max_closed: 256,
            max_buffered: 4 << 20,
            max_held: 256 << 10,
            idle: Duration::from_secs(3_600),
            half_open: Duration::from_secs(60),
            reset: Duration::from_secs(3),
            closed: Duration::from_secs(10),
            acked_patience: Duration::from_secs(1),
            patience: Duration::from_secs(8),
        }
    }
}

/// The key of a flow, the same for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    low: u128,
    high: u128,
    low_port: u16,
    high_port: u16,
    /// Overlay network plus one; 0 for none.
    zone: u32,
}

impl FlowKey {
    /// The key, and whether `src` is the low end.
    pub fn of(s: &Segment<'_>) -> (Self, bool) {
        Self::between((s.src, s.src_port), (s.dst, s.dst_port), s.network.zone)
    }

    /// The key of two ends, and whether the first is the low one.
    pub fn between(src: (IpAddr, u16), dst: (IpAddr, u16), zone: Option<u32>) -> (Self, bool) {
        let (src, dst) = ((bits(src.0), src.1), (bits(dst.0), dst.1));
        let src_low = src <= dst;
        let (low, high) = if src_low { (src, dst) } else { (dst, src) };
        let zone = zone.map_or(0, |zone| zone.wrapping_add(1));
        let key = Self {
            low: low.0,
            high: high.0,
            low_port: low.1,
            high_port: high.1,
            zone,
        };
        (key, src_low)
    }

    /// A seeded hash of a segment's place: flow, direction, sequence number, length and flags.
    fn place(&self, seed: u64, s: &Segment<'_>, src_low: bool) -> u64 {
        let ends = self.low as u64 ^ (self.high as u64).rotate_left(32);
        let ports = u64::from(self.low_port) << 48 | u64::from(self.high_port) << 32;
        let flags = u64::from(s.flags.syn) << 1 | u64::from(s.flags.fin) << 2;
        let length = (s.payload.len() as u64) << 3;
        let words = [
            ends,
            ports | u64::from(self.zone),
            u64::from(s.seq) << 32 | length | flags | u64::from(src_low),
        ];
        words.into_iter().fold(seed ^ 0x1319_8a2e_0370_7344, fold)
    }

    /// The low and the high end.
    fn ends(&self) -> [(IpAddr, u16); 2] {
        let ip = |bits: u128| IpAddr::from(std::net::Ipv6Addr::from_bits(bits)).to_canonical();
        [
            (ip(self.low), self.low_port),
            (ip(self.high), self.high_port),
        ]
    }

    /// Seeded, the same for both directions: spreads flows over shards and orders their records.
    pub fn hash(&self, seed: u64) -> u64 {
        let ports =
            u64::from(self.low_port) << 48 | u64::from(self.high_port) << 32 | u64::from(self.zone);
        let words = [
            self.low as u64,
            (self.low >> 64) as u64,
            self.high as u64,
            (self.high >> 64) as u64,
            ports,
        ];
        words.into_iter().fold(seed ^ 0x243f_6a88_85a3_08d3, fold)
    }
}

fn fold(h: u64, v: u64) -> u64 {
    let wide = u128::from(h ^ v) * 0xf39c_c060_5ced_c835_u128;
    (wide as u64) ^ ((wide >> 64) as u64)
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}
