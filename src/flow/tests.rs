use super::*;
use crate::decode::{Network, TcpFlags};

mod due;

/// Writes down what the table says.
#[derive(Default)]
struct Tape {
    /// Leave this many bytes at the end of each call unconsumed.
    leave: usize,
}

impl Stream for Tape {
    type Out = Vec<String>;

    fn on_data(&mut self, side: Side, chunk: Chunk<'_>, out: &mut Self::Out) -> usize {
        let used = chunk.data.len().saturating_sub(self.leave);
        if used > 0 {
            let text = String::from_utf8_lossy(&chunk.data[..used]).into_owned();
            out.push(format!("{side:?} {}:{text}", chunk.offset));
        }
        used
    }

    fn on_gap(&mut self, side: Side, _ts: Timestamp, offset: u64, len: u64, out: &mut Self::Out) {
        out.push(format!("{side:?} gap {offset}+{len}"));
    }

    fn on_end(&mut self, side: Side, _ts: Timestamp, out: &mut Self::Out) {
        out.push(format!("{side:?} end"));
    }

    fn on_close(&mut self, _ts: Timestamp, end: End, out: &mut Self::Out) {
        out.push(format!("close {end:?}"));
    }
}

/// Keeps whatever comes, as requests that wait for their answers are kept.
#[derive(Default)]
struct Hoard(usize);

impl Stream for Hoard {
    type Out = ();

    fn on_data(&mut self, _: Side, chunk: Chunk<'_>, (): &mut ()) -> usize {
        self.0 += chunk.data.len();
        chunk.data.len()
    }

    fn on_gap(&mut self, _: Side, _: Timestamp, _: u64, _: u64, (): &mut ()) {}
    fn on_end(&mut self, _: Side, _: Timestamp, (): &mut ()) {}
    fn on_close(&mut self, _: Timestamp, _: End, (): &mut ()) {}

    fn held(&self) -> usize {
        self.0
    }
}

/// A table with one client (port 1000, ISN 100) and one server (port 80, ISN 500).
struct Bench {
    table: FlowTable<Tape>,
    out: Vec<String>,
    now: i64,
    leave: usize,
}

const MS: i64 = 1_000_000;

impl Bench {
    fn new() -> Self {
        Self {
            table: FlowTable::new(Settings::default(), 1),
            out: Vec::new(),
            now: 0,
            leave: 0,
        }
    }

    fn with(settings: Settings) -> Self {
        Self {
            table: FlowTable::new(settings, 1),
            ..Self::new()
        }
    }

    fn segment<'a>(
        &self,
        client: bool,
        flags: &str,
        seq: u32,
        ack: u32,
        payload: &'a [u8],
    ) -> Segment<'a> {
        let (c, s) = (
            (IpAddr::from([10, 0, 0, 1]), 1000),
            (IpAddr::from([10, 0, 0, 2]), 80),
        );
        let (src, dst) = if client { (c, s) } else { (s, c) };
        let has = |f| flags.contains(f);
        Segment {
            ts: Timestamp(self.now),
            src: src.0,
            dst: dst.0,
            src_port: src.1,
            dst_port: dst.1,
            network: Network::default(),
            seq,
            ack,
            flags: TcpFlags {
                syn: has('S'),
                ack: has('A'),
                fin: has('F'),
                rst: has('R'),
            },
            payload,
            window: 512,
            stamp: 0,
            sum: 0,
            header: &[],
            missing: 0,
            tap: 0,
        }
    }

    fn push(&mut self, segment: Segment<'_>) {
        self.now += MS;
        let segment = Segment {
            ts: Timestamp(self.now),
            ..segment
        };
        let leave = self.leave;
        self.table.push(
            &segment,
            FlowKey::of(&segment),
            Timestamp(self.now),
            &mut self.out,
            |_| Tape { leave },
        );
        self.balanced();
    }

    fn raw(&mut self, client: bool, flags: &str, seq: u32, ack: u32, payload: &[u8]) {
        let segment = self.segment(client, flags, seq, ack, payload);
        self.push(segment);
    }

    fn open(&mut self) {
        self.raw(true, "S", 99, 0, b"");
        self.raw(false, "SA", 499, 100, b"");
        self.raw(true, "A", 100, 500, b"");
    }

    fn wait(&mut self, ms: i64) {
        self.now += ms * MS;
        self.table.tick(Timestamp(self.now), &mut self.out);
        self.balanced();
    }

    fn balanced(&self) {
        let c = self.table.counters();
        assert_eq!(c.segments, c.accounted(), "{c:?}");
    }

    fn noted(&self, note: Note) -> u64 {
        self.table.counters().notes.of(note)
    }

    fn told(&mut self) -> String {
        std::mem::take(&mut self.out).join(" | ")
    }
}

#[test]
fn a_whole_connection_in_order() {
    let mut b = Bench::new();
    b.open();
    b.raw(true, "A", 100, 500, b"abc");
    b.raw(false, "A", 500, 103, b"xyz");
    b.raw(true, "FA", 103, 503, b"d");
    b.raw(false, "FA", 503, 105, b"");
    b.raw(true, "A", 105, 504, b"");
    assert_eq!(
        b.told(),
        "Orig 0:abc | Resp 0:xyz | Orig 3:d | Orig end | Resp end | close Fin"
    );
    assert_eq!(b.table.buffered(), 0);
}

#[test]
fn out_of_order_is_put_in_order_and_copies_are_known() {
    let mut b = Bench::new();
    b.open();
    b.raw(true, "A", 106, 500, b"ghi");
    b.raw(true, "A", 103, 500, b"def");
    b.raw(true, "A", 106, 500, b"ghi");
    b.raw(true, "A", 100, 500, b"abc");
    b.raw(true, "A", 100, 500, b"abc");
    assert_eq!(b.told(), "Orig 0:abc | Orig 3:def | Orig 6:ghi");
    assert_eq!(b.table.counters().copies, 2);
    b.wait(100);
    b.raw(true, "A", 103, 500, b"def");
    assert_eq!(b.table.counters().retransmitted, 1, "a second try waits");
    assert_eq!(b.noted(Note::OutOfOrder), 2);
}

#[test]
fn the_first_bytes_win() {
    let mut b = Bench::new();
    b.open();
    b.raw(true, "A", 102, 500, b"CD");
    b.raw(true, "A", 101, 500, b"bcdef");
    b.raw(true, "A", 100, 500, b"a");
    assert_eq!(
        b.told().replace(" | ", ""),
        "Orig 0:aOrig 1:bOrig 2:CDOrig 4:ef"
    );
    assert_eq!(b.noted(Note::OverlapConflict), 1, "cd is not CD");
    b.raw(true, "A", 104, 500, b"XXg");
    assert_eq!(b.told(), "Orig 6:g");
}

#[test]
fn other_bytes_for_what_was_delivered_are_noted() {
    let mut b = Bench::new();
    b.open();
    let mut say = |stamp, sum, payload: &[u8]| {
        let first = b.segment(true, "A", 100, 500, payload);
        b.push(Segment {
            stamp,
            sum,
            ..first
        });
        (b.told(), b.noted(Note::OverlapConflict))
    };
    assert_eq!(say(1, 7, b"abc"), ("Orig 0:abc".into(), 0));
    assert_eq!(say(2, 7, b"abc"), ("".into(), 0), "a retransmission");
    assert_eq!(say(3, 8, b"xyz"), ("".into(), 1));
}

#[test]
fn data_on_the_syn_is_the_first_data() {
    let mut b = Bench::new();
    b.raw(true, "S", 99, 0, b"fast");
    b.raw(false, "SA", 499, 104, b"");
    b.raw(true, "A", 104, 500, b"er");
    assert_eq!(b.told(), "Orig 0:fast | Orig 4:er");
    assert_eq!(b.noted(Note::FastOpen), 1);
}

#[test]
fn both_sides_may_open() {
    let mut b = Bench::new();
    b.raw(true, "S", 99, 0, b"");
    b.raw(false, "S", 499, 0, b"");
    b.raw(true, "SA", 99, 500, b"");
    b.raw(false, "SA", 499, 100, b"");
    b.raw(true, "A", 100, 500, b"abc");
    b.raw(false, "A", 500, 103, b"xyz");
    assert_eq!(b.told(), "Orig 0:abc | Resp 0:xyz");
    assert_eq!(b.noted(Note::SimultaneousOpen), 1);
    assert_eq!(b.table.counters().flows, 1);
}

#[test]
fn a_syn_may_come_late() {
    let mut b = Bench::new();
    b.raw(true, "A", 100, 500, b"abc");
    b.raw(true, "S", 99, 0, b"");
    b.raw(true, "A", 103, 500, b"def");
    assert_eq!(b.told(), "Orig 0:abc | Orig 3:def");
    assert_eq!(b.noted(Note::LateSyn), 1);
}

#[test]
fn keep_alives_and_zero_windows_are_told_apart() {
    let mut b = Bench::new();
    b.open();
    b.raw(true, "A", 100, 500, b"abc");
    b.wait(60_000);
    b.raw(true, "A", 102, 500, b"\0");
    b.raw(false, "A", 500, 103, b"");
    b.raw(true, "A", 102, 500, b"");
    assert_eq!(b.table.counters().keep_alives, 2);
    let full = Segment {
        window: 0,
        ..b.segment(false, "A", 500, 103, b"")
    };
    b.push(full);
    assert_eq!(b.noted(Note::ZeroWindow), 1);
    assert_eq!(b.told(), "Orig 0:abc");
}

#[test]
fn bytes_behind_the_fin_are_nobodys() {
    let mut b = Bench::new();
    b.open();
    b.raw(true, "FA", 100, 500, b"abc");
    b.raw(true, "A", 104, 500, b"more");
    assert_eq!(b.told(), "Orig 0:abc | Orig end");
    assert_eq!(b.table.counters().after_fin, 1);
}

#[test]
fn what_was_held_behind_a_fin_goes_when_the_fin_comes() {
    let mut b = Bench::new();
    b.open();
    b.raw(true, "A", 103, 500, b"behind");
    b.raw(true, "FA", 101, 500, b"bc");
    b.raw(true, "A", 100, 500, b"a");
    assert_eq!(b.told(), "Orig 0:a | Orig 1:bc | Orig end");
    let c = b.table.counters();
    assert_eq!((c.after_fin, c.pending, b.table.buffered()), (1, 0, 0));
}

#[test]
fn hours_without_a_packet_lose_no_byte() {
    let mut b = Bench::new();
    b.open();
    b.wait(3 * 3_600_000);
    b.raw(true, "A", 100, 500, b"abc");
    b.raw(false, "A", 500, 103, b"xyz");
    assert_eq!(b.told(), "Orig 0:abc | Resp 0:xyz");
}

#[test]
fn a_response_waits_for_its_request() {
    let mut b = Bench::new();
    b.open();
    b.raw(false, "A", 500, 103, b"response");
    assert_eq!(b.told(), "");
    b.raw(true, "A", 100, 500, b"req");
    assert_eq!(b.told(), "Orig 0:req | Resp 0:response");
}

#[test]
fn a_hole_is_given_up_after_patience_and_said() {
    let mut b = Bench::new();
    b.open();
    b.raw(true, "A", 103, 500, b"def");
    b.wait(2_000);
    assert_eq!(
        b.told(),
        "",
        "nobody acknowledged it: a retransmission may come"
    );
    b.raw(false, "A", 500, 106, b"");
    b.wait(900);
    assert_eq!(b.told(), "", "the two may have changed places");
    b.wait(200);
    assert_eq!(
        b.told(),
        "Orig gap 0+3 | Orig 3:def",
        "the receiver has it: it will not be sent again"
    );
    b.raw(true, "A", 100, 500, b"abc");
    assert_eq!(b.told(), "");
}

#[test]
fn a_lost_request_does_not_hold_the_response_for_ever() {
    let mut b = Bench::new();
    b.open();
    b.raw(false, "A", 500, 103, b"xyz");
    b.wait(1_500);
    assert_eq!(b.told(), "Orig gap 0+3 | Resp 0:xyz");
}

#[test]
fn one_direction_alone_is_waited_for_once() {
    let mut b = Bench::new();
    b.raw(false, "SA", 499, 100, b"");
    b.raw(false, "A", 500, 103, b"xyz");
    assert_eq!(b.told(), "", "the other arm of the tap may be late");
    b.wait(1_100);
    assert_eq!(b.told(), "Orig gap 0+3 | Resp 0:xyz");
    b.raw(false, "A", 503, 106, b"uvw");
    assert_eq!(b.told(), "Orig gap 3+3 | Resp 3:uvw");
}

#[test]
fn mid_stream_starts_where_it_is_seen() {
    let mut b = Bench::new();
    b.raw(false, "A", 9_000, 4_000, b"tail");
    b.raw(true, "A", 4_000, 9_004, b"req");
    b.raw(false, "A", 9_004, 4_003, b"resp");
    assert_eq!(b.told(), "Orig 0:tail | Resp 0:req | Orig 4:resp");
}

#[test]
fn sequence_numbers_wrap() {
    let mut b = Bench::new();
    b.raw(true, "S", u32::MAX - 2, 0, b"");
    b.raw(true, "A", u32::MAX - 1, 500, b"abcd");
    b.raw(true, "A", 6, 500, b"ij");
    b.raw(true, "A", 2, 500, b"efgh");
    assert_eq!(b.told(), "Orig 0:abcd | Orig 4:efgh | Orig 8:ij");
}

#[test]
fn fin_with_payload_counts_its_length() {
    let mut b = Bench::new();
    b.open();
    b.raw(true, "FA", 103, 500, b"def");
    b.raw(true, "A", 100, 500, b"abc");
    assert_eq!(b.told(), "Orig 0:abc | Orig 3:def | Orig end");
}

#[test]
fn ports_used_again_are_a_new_flow_and_late_copies_are_not() {
    let mut b = Bench::new();
    b.open();
    b.raw(true, "A", 100, 500, b"abc");
    b.raw(true, "RA", 103, 500, b"");
    b.raw(true, "A", 100, 500, b"abc");
    assert_eq!(b.told(), "Orig 0:abc");
    b.raw(true, "S", 70_000, 0, b"fast");
    assert_eq!(b.told(), "close Reset | Orig 0:fast");
    assert_eq!(b.table.counters().flows, 2);
}

#[test]
fn a_reset_that_nobody_believed_is_not_believed() {
    let mut b = Bench::new();
    b.open();
    b.raw(false, "RA", 500, 100, b"");
    b.raw(true, "A", 100, 500, b"abc");
    assert_eq!(b.told(), "Orig 0:abc");
    b.raw(false, "RA", 500, 103, b"");
    b.wait(4_000);
    assert_eq!(b.told(), "close Reset");
}

#[test]
fn a_forged_reset_far_away_is_not_believed() {
    let mut b = Bench::new();
    b.open();
    b.raw(true, "R", 900_000_000, 0, b"");
    b.raw(true, "A", 100, 500, b"abc");
    assert_eq!(b.told(), "Orig 0:abc");
    assert_eq!(b.table.counters().rst_ignored, 1);
}

#[test]
fn what_the_parser_leaves_is_offered_again() {
    let mut b = Bench::new();
    b.leave = 2;
    b.open();
    b.raw(true, "A", 100, 500, b"abc");
    b.raw(true, "A", 103, 500, b"def");
    assert_eq!(b.told(), "Orig 0:a | Orig 1:bcd");
    assert_eq!(b.table.buffered(), 2);
}

#[test]
fn idle_flows_expire_and_budgets_evict_the_oldest() {
    let mut b = Bench::with(Settings {
        max_flows: 2,
        ..Settings::default()
    });
    for port in 1..=3_u16 {
        let segment = Segment {
            ts: Timestamp(b.now),
            src: IpAddr::from([10, 0, 0, 1]),
            dst: IpAddr::from([10, 0, 0, 2]),
            src_port: port,
            dst_port: 80,
            network: Network::default(),
            seq: 1,
            ack: 0,
            flags: TcpFlags {
                syn: true,
                ..TcpFlags::default()
            },
            payload: b"",
            window: 512,
            stamp: 0,
            sum: 0,
            header: &[],
            missing: 0,
            tap: 0,
        };
        b.table.push(
            &segment,
            FlowKey::of(&segment),
            Timestamp(b.now),
            &mut b.out,
            |_| Tape::default(),
        );
    }
    assert_eq!(b.table.counters().flows_evicted, 1);
    assert_eq!(b.table.len(), 2);
    b.wait(61_000);
    assert!(b.table.is_empty());
    assert_eq!(b.told(), "", "what never had data has no stream to close");
}

#[test]
fn a_flood_of_one_byte_pieces_is_bounded() {
    let mut b = Bench::with(Settings {
        max_held: 10_000,
        max_buffered: 20_000,
        ..Settings::default()
    });
    b.open();
    for i in 0..5_000_u32 {
        b.raw(true, "A", 200 + 2 * i, 500, b"x");
        assert!(b.table.buffered() <= 20_000);
    }
}

#[test]
fn what_streams_hold_counts_too() {
    let settings = Settings {
        max_buffered: 10_000,
        ..Settings::default()
    };
    let mut table = FlowTable::new(settings, 1);
    let bench = Bench::new();
    for port in 1..100 {
        let s = Segment {
            src_port: port,
            ..bench.segment(true, "A", 100, 500, &[7; 1_000])
        };
        table.push(&s, FlowKey::of(&s), s.ts, &mut (), |_| Hoard::default());
        assert!(table.buffered() <= 10_000);
    }
    assert_eq!(table.counters().flows_evicted, 89);
    table.finish(Timestamp(9), &mut ());
    assert_eq!(table.buffered(), 0);
}

mod operations {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    struct Op {
        client: bool,
        from: u8,
        len: u8,
        ack: u8,
        flags: u8,
        wait: u16,
    }

    fn op() -> impl Strategy<Value = Op> {
        (
            any::<bool>(),
            any::<u8>(),
            0_u8..40,
            any::<u8>(),
            0_u8..40,
            0_u16..300,
        )
            .prop_map(|(client, from, len, ack, flags, wait)| Op {
                client,
                from,
                len,
                ack,
                flags,
                wait,
            })
    }

    /// Byte `i` of each side's stream, so that a wrong placement shows.
    fn stream(client: bool) -> Vec<u8> {
        (0..=400_u32)
            .map(|i| b'a' + ((i + u32::from(client) * 7) % 26) as u8)
            .collect()
    }

    proptest! {
        /// Whatever comes, in any order: what is delivered is the stream's own bytes at their own
        /// offsets, never twice, never backwards; the counters add up; nothing stays buffered.
        #[test]
        fn delivery_is_exact(ops in proptest::collection::vec(op(), 1..120)) {
            let mut b = Bench::new();
            b.open();
            // The same ports may become another flow, with offsets of its own.
            let mut first = None;
            for o in &ops {
                let before = b.out.len();
                let (isn, peer) = if o.client { (100, 500) } else { (500, 100) };
                let from = u32::from(o.from);
                let data = &stream(o.client)[from as usize..from as usize + usize::from(o.len)];
                let flags = match o.flags { 0 => "SA", 1 => "FA", _ => "A" };
                // A SYN takes a sequence number of its own.
                let seq = isn + from - u32::from(flags == "SA");
                b.raw(o.client, flags, seq, peer + u32::from(o.ack), data);
                if b.table.counters().flows > 1 {
                    first.get_or_insert(before);
                }
                if o.wait > 250 {
                    b.wait(i64::from(o.wait) * 10);
                }
            }
            b.table.finish(Timestamp(b.now), &mut b.out);
            b.balanced();
            prop_assert_eq!(b.table.buffered(), 0);
            prop_assert_eq!(b.table.counters().pending, 0);
            let mut next = [0_u64; 2];
            let first = first.unwrap_or(b.out.len());
            for line in b.out.iter().take(first) {
                let (side, rest) = line.split_once(' ').unwrap();
                let client = side == "Orig";
                let Some((offset, text)) = rest.split_once(':') else { continue };
                let offset: usize = offset.parse().unwrap();
                prop_assert!(offset as u64 >= next[usize::from(client)]);
                prop_assert_eq!(text.as_bytes(), &stream(client)[offset..offset + text.len()]);
                next[usize::from(client)] = (offset + text.len()) as u64;
            }
        }
    }
}
