//! HTTP/1 and HTTP/2, both directions, in pieces of any size.

use std::net::IpAddr;
use std::sync::Arc;

use super::Bytes;
use crate::exchange::{Exchange, parse_line, write_line};
use crate::flow::{Chunk, End, FlowInfo, MAX_CARRY, Side, Stream};
use crate::http::{Connection, MAX_HEAD, Out, Probe, probe};
use crate::observe::Observer;
use crate::time::Timestamp;

/// One direction as the reassembler sees it.
#[derive(Default)]
struct Lane {
    /// Delivered and not consumed.
    carry: Vec<u8>,
    boundary: bool,
    /// Offset of the first byte of `carry`.
    offset: u64,
    ended: bool,
}

impl Lane {
    fn end(&self) -> u64 {
        self.offset + self.carry.len() as u64
    }
}

pub(super) struct Bench {
    connection: Connection,
    pub(super) out: Out,
    lanes: [Lane; 2],
    ts: Timestamp,
    exchanges: u64,
    pub(super) kept: Vec<Exchange>,
}

impl Bench {
    pub(super) fn new(from_start: bool) -> Self {
        let info = FlowInfo {
            orig: (IpAddr::from([10, 0, 0, 1]), 1_000),
            resp: (IpAddr::from([10, 0, 0, 2]), 80),
            via: None,
            vni: None,
            from_start,
        };
        Self {
            connection: Connection::new(&info),
            out: Out::new(Observer::new(&[7; 32], true), Arc::default()),
            lanes: Default::default(),
            ts: Timestamp::from_secs(1),
            exchanges: 0,
            kept: Vec::new(),
        }
    }

    pub(super) fn data(&mut self, side: Side, bytes: &[u8], boundary: bool, ack: Option<u64>) {
        self.ts = Timestamp(self.ts.0 + 1_000);
        let lane = &mut self.lanes[side as usize];
        if bytes.is_empty() || lane.ended {
            return;
        }
        if lane.carry.is_empty() {
            lane.boundary = boundary;
        }
        lane.carry.extend_from_slice(bytes);
        let chunk = Chunk {
            ts: self.ts,
            offset: lane.offset,
            ack,
            boundary: lane.boundary,
            data: &lane.carry,
        };
        let used = self.connection.on_data(side, chunk, &mut self.out);
        assert!(used <= lane.carry.len());
        lane.carry.drain(..used);
        lane.offset += used as u64;
        lane.boundary &= used == 0;
        assert!(
            lane.carry.len() <= MAX_HEAD + bytes.len(),
            "kept without end"
        );
        if lane.carry.len() > MAX_CARRY {
            self.gap(side, 0);
        }
        self.check();
    }

    pub(super) fn gap(&mut self, side: Side, len: u64) {
        let lane = &mut self.lanes[side as usize];
        if lane.ended {
            return;
        }
        let at = lane.end();
        lane.carry.clear();
        lane.offset = at + len;
        self.connection
            .on_gap(side, self.ts, at, len, &mut self.out);
        self.check();
    }

    fn end(&mut self, side: Side) {
        let lane = &mut self.lanes[side as usize];
        if !std::mem::replace(&mut lane.ended, true) {
            self.connection.on_end(side, self.ts, &mut self.out);
        }
        self.check();
    }

    fn check(&mut self) {
        for x in self.out.exchanges.drain(..) {
            if x.session.is_none() {
                self.exchanges += 1;
            }
            sound(&x);
            self.kept.push(*x);
        }
        let c = &self.out.counters;
        assert_eq!(c.messages, c.accounted(), "{c:?}");
        assert_eq!(c.exchanges, self.exchanges);
        assert_eq!(c.sessions.messages, c.sessions.accounted(), "{c:?}");
    }

    pub(super) fn close(&mut self, end: End) {
        self.connection.on_close(self.ts, end, &mut self.out);
        self.check();
        let c = &self.out.counters;
        assert_eq!(c.pending + c.sessions.pending, 0, "{c:?}");
    }
}

/// Fields that agree with each other, and a line that reads back.
fn sound(x: &Exchange) {
    let p = x.partial;
    assert!(!(p.no_request && p.no_response));
    // A malformed request may leave out what it likes; a missing one has nothing.
    assert!(!p.no_request || x.method.is_none() && x.path.is_none());
    assert!(x.status.is_none() || !p.no_response);
    assert!(x.status.is_none_or(|s| (1..=999).contains(&s)));
    assert!(x.end >= x.ts);
    // A character that is no UTF-8 becomes one of three bytes, and a mask is longer than a secret.
    for text in [&x.method, &x.host, &x.path, &x.query] {
        assert!(text.as_ref().is_none_or(|t| t.len() <= 16 * MAX_HEAD));
    }
    let mut line = Vec::new();
    write_line(x, &mut line);
    assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
    if x.status.is_none() && x.method.is_none() || x.method.is_some() && x.path.is_none() {
        // A status that is no number and no request, or a request of which half was never said:
        // what cannot be told apart from a broken line is not read back.
        return;
    }
    let back = parse_line(&line);
    assert!(back.is_ok(), "{back:?}");
}

/// Pieces of both directions, holes, ends.
pub fn http1(data: &[u8]) {
    conversation(data, |_| {});
}

/// The same behind the beginnings of HTTP/2 (RFC 9113, section 3.4).
pub fn http2(data: &[u8]) {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    conversation(data, |bench| {
        bench.data(Side::Orig, &[PREFACE, &SETTINGS].concat(), true, Some(0));
        bench.data(Side::Resp, &SETTINGS, true, Some(0));
    });
}

pub(super) fn conversation(data: &[u8], begin: impl FnOnce(&mut Bench)) {
    let mut bytes = Bytes(data);
    let Some(first) = bytes.u8() else { return };
    let mut bench = Bench::new(first & 1 == 0);
    begin(&mut bench);
    while let (Some(op), Some(size)) = (bytes.u8(), bytes.u8()) {
        let side = if op & 1 == 0 { Side::Orig } else { Side::Resp };
        match op >> 4 {
            0 => bench.gap(side, u64::from(size)),
            1 if op & 2 != 0 => bench.end(side),
            _ => {
                let peer = bench.lanes[side.other() as usize].end();
                let ack = (op & 4 == 0).then_some(peer);
                let piece = bytes.take(usize::from(size));
                bench.data(side, piece, op & 8 == 0, ack);
            }
        }
    }
    let ends = [End::Fin, End::Reset, End::Expired, End::Evicted];
    bench.close(ends[usize::from(first >> 1 & 3)]);
}

/// A whole conversation gives the same exchanges in whatever pieces it comes: the client's half of
/// the bytes, then the server's.
pub fn http1_steps(data: &[u8]) {
    let half = data.len() / 2;
    let strange = |bytes: &[u8]| probe(bytes) == Probe::Other;
    if strange(&data[..half]) || strange(&data[half..]) {
        // Lost from the first byte on.
        return;
    }
    let run = |step: usize| {
        let mut bench = Bench::new(true);
        for (side, bytes) in [(Side::Orig, &data[..half]), (Side::Resp, &data[half..])] {
            // One segment each, read in steps: only its first byte begins one.
            for (i, piece) in bytes.chunks(step).enumerate() {
                bench.data(side, piece, i == 0, None);
            }
        }
        bench.close(End::Fin);
        bench
    };
    let (whole, bytewise) = (run(usize::MAX), run(1));
    // Where a direction was lost, segments' beginnings are all there is to go by.
    let lost = |b: &Bench| {
        let c = &b.out.counters;
        c.malformed + c.unknown + c.tls + c.http2 + c.upgraded + c.ambiguous_framing + c.websocket
            > 0
            || b.kept.iter().any(|x| x.partial.truncated)
    };
    if lost(&whole) || lost(&bytewise) {
        return;
    }
    let told = |b: &Bench| -> Vec<_> {
        b.kept
            .iter()
            .map(|x| (x.method.clone(), x.path.clone(), x.status, x.response_bytes))
            .collect()
    };
    assert_eq!(told(&whole), told(&bytewise));
}
