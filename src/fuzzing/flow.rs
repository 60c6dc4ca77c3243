//! The reassembler, driven by operations.

use std::cell::Cell;
use std::net::IpAddr;
use std::time::Duration;

use super::Bytes;
use crate::decode::{Network, Segment, TcpFlags};
use crate::flow::{Chunk, End, FlowInfo, FlowKey, FlowTable, Settings, Side, Stream};
use crate::time::Timestamp;

/// The byte at a place of a direction's stream: what each sender really sent.
fn content(port: u16, side: usize, at: u64) -> u8 {
    let mixed =
        (at ^ u64::from(port) << 40 ^ (side as u64) << 60).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}

/// Holds the reassembler to its word: each byte once, in its place, in order; one end.
struct Witness {
    port: u16,
    /// Offset 0 is the first byte of the stream: both SYNs were seen first. A flow that begins
    /// anywhere else numbers its bytes from there.
    exact: bool,
    /// Everything before was consumed or given up.
    next: [u64; 2],
    ended: [bool; 2],
    closed: bool,
    /// Bytes left unconsumed by each call.
    leave: usize,
}

#[derive(Default)]
struct Report {
    closed: u64,
}

impl Stream for Witness {
    type Out = Report;

    fn on_data(&mut self, side: Side, chunk: Chunk<'_>, _: &mut Report) -> usize {
        let i = side as usize;
        assert!(!self.closed && !self.ended[i], "data behind the end");
        assert!(!chunk.data.is_empty());
        assert_eq!(chunk.offset, self.next[i], "out of place");
        if self.exact {
            let all = (chunk.offset..).zip(chunk.data);
            for (at, byte) in all {
                assert_eq!(
                    *byte,
                    content(self.port, i, at),
                    "not the stream's own at {at}"
                );
            }
        }
        let used = chunk.data.len().saturating_sub(self.leave);
        self.next[i] += used as u64;
        used
    }

    fn on_gap(&mut self, side: Side, _: Timestamp, offset: u64, len: u64, _: &mut Report) {
        let i = side as usize;
        assert!(!self.closed, "a gap behind the end");
        assert!(offset >= self.next[i], "a gap in what was delivered");
        self.next[i] = offset + len;
    }

    fn on_end(&mut self, side: Side, _: Timestamp, _: &mut Report) {
        assert!(!self.closed);
        assert!(!std::mem::replace(&mut self.ended[side as usize], true));
    }

    fn on_close(&mut self, _: Timestamp, _: End, out: &mut Report) {
        assert!(!std::mem::replace(&mut self.closed, true), "closed twice");
        out.closed += 1;
    }
}

const SETTINGS: Settings = Settings {
    max_flows: 3,
    max_closed: 2,
    max_buffered: 8 << 10,
    max_held: 2 << 10,
    idle: Duration::from_secs(60),
    half_open: Duration::from_secs(10),
    reset: Duration::from_secs(3),
    closed: Duration::from_secs(10),
    acked_patience: Duration::from_secs(1),
    patience: Duration::from_secs(8),
};

struct Bench {
    table: FlowTable<Witness>,
    report: Report,
    now: Timestamp,
    isn: u32,
    /// Where each side's sender stands, by port.
    sent: [[u64; 2]; 4],
    leave: usize,
    /// Streams that were made; each is closed once.
    made: u64,
    /// No two packets have the same, but for copies.
    stamp: u32,
}

/// What an operation puts in a segment.
struct Said {
    port: usize,
    side: usize,
    /// Offsets in the streams, before the SYN's own number.
    at: u64,
    ack: Option<u64>,
    flags: TcpFlags,
    length: usize,
    missing: u32,
    /// The packet before it once more, as a second mirror port shows it.
    again: bool,
}

impl Bench {
    fn isn(&self, port: usize, side: usize) -> u32 {
        self.isn
            .wrapping_add((port as u32 * 2 + side as u32).wrapping_mul(0x1111_1111))
    }

    fn push(&mut self, said: &Said) {
        let &Said { port, side, at, .. } = said;
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let ends = [(a, 1_000 + port as u16), (b, 80)];
        let (src, dst) = (ends[side], ends[1 - side]);
        let first = self.isn(port, side).wrapping_add(1);
        let seq = first.wrapping_add(at as u32);
        let name = 1_000 + port as u16;
        let payload: Vec<u8> = (at..at + said.length as u64)
            .map(|at| content(name, side, at))
            .collect();
        let peer = self.isn(port, 1 - side).wrapping_add(1);
        if !said.again {
            self.stamp += 1;
        }
        let segment = Segment {
            ts: self.now,
            src: src.0,
            dst: dst.0,
            src_port: src.1,
            dst_port: dst.1,
            network: Network::default(),
            seq: if said.flags.syn {
                seq.wrapping_sub(1)
            } else {
                seq
            },
            ack: peer.wrapping_add(said.ack.unwrap_or(0) as u32),
            flags: said.flags,
            window: 512,
            stamp: self.stamp,
            sum: payload.chunks(2).fold(0, |sum: u16, w| {
                let word = u16::from(w[0]) << 8 | w.get(1).map_or(0, |b| u16::from(*b));
                sum.wrapping_add(word)
            }),
            header: &[],
            payload: &payload,
            missing: said.missing,
            tap: 0,
        };
        let leave = self.leave;
        let made = Cell::new(0);
        let before = self.table.buffered();
        self.table.push(
            &segment,
            FlowKey::of(&segment),
            self.now,
            &mut self.report,
            |info: &FlowInfo| {
                made.set(1);
                Witness {
                    port: name,
                    exact: info.from_start,
                    next: [0; 2],
                    ended: [false; 2],
                    closed: false,
                    leave,
                }
            },
        );
        self.made += made.get();
        let grown = self.table.buffered().saturating_sub(before);
        assert!(grown <= SETTINGS.max_buffered + payload.len() + 4_096);
        self.balanced();
    }

    fn balanced(&self) {
        let c = self.table.counters();
        let seen_before = c.copies + c.retransmitted + c.keep_alives;
        let aside = c.no_flow + seen_before + c.after_fin + c.shed;
        assert_eq!(c.segments, c.analysed + aside + c.pending, "{c:?}");
        assert!(
            self.table.buffered() <= SETTINGS.max_buffered,
            "over budget"
        );
        assert!(self.table.len() <= SETTINGS.max_flows);
        assert!(self.report.closed <= self.made);
    }

    /// Both SYNs, so that offsets are the streams' own.
    fn open(&mut self, port: usize) {
        let syn = TcpFlags {
            syn: true,
            ..TcpFlags::default()
        };
        let said = Said {
            port,
            side: 0,
            at: 0,
            ack: None,
            flags: syn,
            length: 0,
            missing: 0,
            again: false,
        };
        self.push(&said);
        self.push(&Said {
            side: 1,
            ack: Some(0),
            flags: TcpFlags { ack: true, ..syn },
            ..said
        });
        self.sent[port] = [0; 2];
    }
}

/// Segments of four connections: in order, before or behind their turn, doubled, overlapping, cut by
/// the snap length, with any acknowledgement and any flags; and time.
pub fn reassembler(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (Some(isn), Some(leave)) = (bytes.u32(), bytes.u8()) else {
        return;
    };
    let mut bench = Bench {
        table: FlowTable::new(SETTINGS, 1),
        report: Report::default(),
        now: Timestamp::from_secs(1),
        isn,
        sent: [[0; 2]; 4],
        leave: usize::from(leave % 8),
        made: 0,
        stamp: 0,
    };
    bench.open(0);
    while let (Some(op), Some(flags), Some(place), Some(size)) =
        (bytes.u8(), bytes.u8(), bytes.u8(), bytes.u8())
    {
        let (port, side) = (usize::from(op & 3), usize::from(op >> 2 & 1));
        match op >> 3 {
            0..=1 => {
                bench.now = bench.now + Duration::from_millis(u64::from(place) * 40);
                bench.table.tick(bench.now, &mut bench.report);
                bench.balanced();
            }
            2 => bench.open(port),
            _ => {
                let next = bench.sent[port][side];
                // Mostly near the sender's place.
                let at = next.saturating_add_signed(
                    i64::from(place.cast_signed() / 4) * i64::from(flags & 1),
                );
                let length = usize::from(size) * if op & 0x80 != 0 { 5 } else { 1 };
                let peer = bench.sent[port][1 - side];
                let bit = |n: u8| flags >> n & 1 == 1;
                // One flag alone is rare: most segments are plain.
                let rare = flags >> 4 == 0x0f;
                let ack = (flags >> 1 & 3 != 3).then(|| match flags >> 1 & 3 {
                    0 => peer,
                    1 => peer.saturating_sub(u64::from(size)),
                    _ => peer + u64::from(place),
                });
                let said = Said {
                    port,
                    side,
                    at,
                    ack,
                    flags: TcpFlags {
                        syn: false,
                        ack: ack.is_some(),
                        fin: rare && bit(3),
                        rst: rare && !bit(3) && place < 8,
                    },
                    length,
                    missing: if flags >> 4 == 0x0e {
                        u32::from(size)
                    } else {
                        0
                    },
                    again: false,
                };
                bench.push(&said);
                if op >> 3 == 3 {
                    bench.push(&Said {
                        again: true,
                        ..said
                    });
                }
                bench.sent[port][side] = next.max(at + length as u64 + u64::from(said.missing));
            }
        }
    }
    bench.table.finish(bench.now, &mut bench.report);
    bench.balanced();
    let c = bench.table.counters();
    assert_eq!(
        (c.pending, bench.table.buffered(), bench.table.len()),
        (0, 0, 0)
    );
    assert_eq!(bench.report.closed, bench.made);
}
