//! Losses and disorder that the sensor got wrong once, packet by packet.
#![allow(clippy::unwrap_used)]

#[path = "support/change.rs"]
mod change;
#[path = "support/replay.rs"]
mod replay;
#[path = "support/talks.rs"]
mod talks;

use std::time::Duration;

use apitap::capture::{Frame, LinkType};
use apitap::compose::{Conversation, Packet};
use apitap::decode::{Decoded, Decoder, FragmentSettings, Ports};
use apitap::exchange::{parse_line, write_line};
use apitap::flow::{self, Chunk, End, FlowKey, FlowTable, Side, Stream};
use apitap::time::Timestamp;
use change::Segment;
use replay::{Outcome, ethernet};

const MS: Duration = Duration::from_millis(1);

fn open() -> Conversation {
    let (client, server) = ("10.0.0.1:2000", "10.0.0.2:80");
    let at = Timestamp::from_secs(1_760_000_000);
    Conversation::open(client.parse().unwrap(), server.parse().unwrap(), at)
}

fn ask(n: usize) -> String {
    format!("GET /r{n} HTTP/1.1\r\nHost: h\r\n\r\n")
}

fn answer(n: usize, length: usize) -> String {
    let body = "x".repeat(length);
    format!("HTTP/1.1 200 OK\r\nContent-Type: x/r{n}\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// `/r1 x/r1` for a pair, `-` for a half that is missing.
fn told(o: &Outcome) -> Vec<String> {
    let text = |x: Option<&str>| x.unwrap_or("-").to_owned();
    o.exchanges()
        .map(|x| {
            format!(
                "{} {}",
                text(x.path.as_deref()),
                text(x.content_type.as_deref())
            )
        })
        .collect()
}

/// No pair but of one number.
fn pairs_are_true(o: &Outcome) {
    for pair in told(o) {
        let (path, kind) = pair.split_once(' ').unwrap();
        let wrong = path != "-"
            && kind != "-"
            && path.trim_start_matches("/r") != kind.trim_start_matches("x/r");
        assert!(!wrong, "{pair}");
    }
}

/// The packets named, in that order, at the times of the first so many.
fn pick(packets: &[Packet], order: &[usize]) -> Vec<Packet> {
    let times = packets.iter().map(|p| p.ts);
    let picked = order.iter().zip(times);
    picked
        .map(|(i, ts)| Packet {
            ts,
            data: packets[*i].data.clone(),
        })
        .collect()
}

/// The first time that a client pipelines, and the first of the two requests is lost: nothing says
/// that the answer to it is not the second one's.
#[test]
fn a_request_lost_before_a_pipelined_one() {
    let mut talk = open();
    talk.exchange(&ask(0), MS, &answer(0, 9));
    talk.client(ask(1).as_bytes())
        .client(ask(2).as_bytes())
        .wait(MS);
    talk.server(answer(1, 8).as_bytes())
        .server(answer(2, 7).as_bytes());
    let mut packets = talk.close();
    packets.remove(5);
    pairs_are_true(&ethernet(&packets));
}

/// The SYN-ACK is lost and the client's last acknowledgement comes first: the server's first bytes
/// count as before the beginning, and the request's own acknowledgement lies before it too.
#[test]
fn an_acknowledgement_from_before_the_beginning() {
    let mut talk = open();
    talk.exchange(&ask(0), MS, &answer(0, 9)).client_acks();
    talk.exchange(&ask(1), MS, &answer(1, 8));
    // SYN, SYN-ACK, ACK, request, response, ACK, request, response.
    let packets = talk.packets();
    pairs_are_true(&ethernet(&pick(&packets, &[0, 5, 2, 3, 4, 6, 7])));
}

/// The two arms of a tap have clocks of their own: all of the client's packets stand before the
/// server's answers to them.
#[test]
fn the_clients_arm_is_ahead() {
    let mut talk = open();
    talk.exchange(&ask(0), MS, &answer(0, 9)).client_acks();
    talk.exchange(&ask(1), MS, &answer(1, 8)).client_acks();
    let mut packets = talk.close();
    for p in &mut packets {
        let (from, to) = Segment::parse(&p.data).unwrap().way();
        if from < to {
            p.ts = Timestamp(p.ts.nanos() - 20_000_000);
        }
    }
    packets.sort_by_key(|p| p.ts);
    assert_eq!(told(&ethernet(&packets)), ["/r0 x/r0", "/r1 x/r1"]);
}

/// A RST has a sequence number: what it overtook in the mirror still comes.
#[test]
fn a_reset_overtakes_the_last_segments() {
    let mut talk = open();
    talk.segments(100);
    talk.exchange(&ask(0), MS, &answer(0, 300));
    let mut packets = talk.server_resets();
    let n = packets.len();
    // …, a, b, c, RST: a, c, RST, b.
    let mut order: Vec<_> = (0..n - 3).collect();
    order.extend([n - 2, n - 1, n - 3]);
    packets = pick(&packets, &order);
    let found = ethernet(&packets);
    assert_eq!(told(&found), ["/r0 x/r0"]);
    assert!(found.exchanges().all(|x| !x.partial.any()));
}

/// The sender retransmits after seconds; its segment and the acknowledgement of it change places.
#[test]
fn an_acknowledgement_overtakes_the_retransmission() {
    let mut talk = open();
    talk.segments(100);
    talk.exchange(&ask(0), MS, &answer(0, 200)).wait(MS * 3_500);
    talk.client_acks();
    // SYN, SYN-ACK, ACK, request, a, b, c, ACK.
    let packets = talk.close();
    let (b, ack) = (5, packets.len() - 4);
    assert_eq!(packets.len(), 11);
    let mut order: Vec<_> = (0..packets.len()).filter(|i| *i != b).collect();
    let at = order.iter().position(|i| *i == ack).unwrap();
    order.insert(at + 1, b);
    let times: Vec<_> = packets.iter().map(|p| p.ts).collect();
    let mut shuffled: Vec<_> = order.iter().map(|i| packets[*i].clone()).collect();
    shuffled[at + 1].ts = times[ack] + Duration::from_micros(50);
    let found = ethernet(&shuffled);
    assert_eq!(told(&found), ["/r0 x/r0"]);
    assert!(found.exchanges().all(|x| !x.partial.any()));
}

/// The only request of a connection is lost; the server acknowledges it, closes, and is
/// acknowledged: bytes are known to be missing.
#[test]
fn a_lost_request_that_was_acknowledged_is_counted() {
    let mut talk = open();
    talk.client(ask(0).as_bytes()).server_acks();
    let mut packets = talk.close();
    packets.remove(3);
    let found = ethernet(&packets);
    assert_eq!(told(&found), [""; 0]);
    assert!(found.status.flow.gaps > 0, "{}", found.ledger.to_json());
}

/// What follows a lost first byte looks like a request of another method.
#[test]
fn a_request_line_without_its_beginning_is_none() {
    let mut talk = open();
    talk.exchange(&ask(0), MS, &answer(0, 9)).segments(1);
    talk.client(&ask(1).as_bytes()[..2]).segments(1_448);
    talk.client(&ask(1).as_bytes()[2..]).wait(MS);
    talk.server(answer(1, 8).as_bytes());
    let mut packets = talk.close();
    // The `G` of the second request; `E`, and `T /r1 HTTP/1.1` are left.
    packets.remove(5);
    for x in ethernet(&packets).exchanges() {
        let known = x.method.as_deref().is_none_or(|m| m == "GET");
        assert!(known, "{:?} {:?}", x.method, x.path);
    }
}

/// A body may hold HTTP: a log, a proxy's trace, an attacker's gift. Where a hole swallowed the
/// chunk's size nothing says that a segment which begins like a message is one.
#[test]
fn a_body_that_speaks_http_is_a_body() {
    let mut talk = open();
    talk.client(ask(0).as_bytes()).wait(MS);
    let fake = "HTTP/1.1 200 OK\r\nContent-Type: x/r666\r\nContent-Length: 0\r\n\r\n";
    let piece = "y".repeat(500);
    let chunk = format!(
        "{:x}\r\n{piece}{fake}{piece}\r\n0\r\n\r\n",
        1_000 + fake.len()
    );
    let (size, rest) = chunk.split_at(5 + 500);
    talk.server(b"HTTP/1.1 200 OK\r\nContent-Type: x/r0\r\nTransfer-Encoding: chunked\r\n\r\n");
    talk.server(size.as_bytes()).server(rest.as_bytes());
    let mut packets = talk.close();
    packets.remove(5);
    let found = told(&ethernet(&packets));
    assert!(!found.iter().any(|x| x.contains("666")), "{found:?}");
}

/// The input ends while a fragment waits: it is given up, and says so.
#[test]
fn fragments_are_given_up_when_the_input_ends() {
    let mut talk = open();
    talk.client(ask(0).as_bytes());
    let packets = talk.packets();
    let mut pieces = apitap::compose::tunnel::fragments(&packets[3].data, 24, 1);
    pieces.pop();
    let pieces: Vec<_> = pieces
        .into_iter()
        .map(|data| Packet {
            ts: packets[3].ts,
            data,
        })
        .collect();
    let ledger = ethernet(&pieces).ledger;
    let frames = &ledger.stages["frame"];
    assert_eq!(frames.pending, 0, "{}", ledger.to_json());
    let lost = frames.ignored["ip_fragment_incomplete"];
    assert_eq!(lost, pieces.len() as u64);
}

/// What is no request in one segment is none in many.
#[test]
fn what_is_no_request_is_none_in_pieces() {
    let run = |size: usize| {
        let mut talk = open();
        talk.segments(size)
            .client(b"GET/r1 HTTP/1.1\r\nHost: h\r\n\r\n");
        talk.segments(1_448).server(answer(1, 3).as_bytes());
        told(&ethernet(&talk.close()))
    };
    let whole = run(1_448);
    for size in 1..8 {
        assert_eq!(run(size), whole, "{size}");
    }
}

/// Writes down the order of data and ends.
struct Tape;

impl Stream for Tape {
    type Out = Vec<&'static str>;

    fn on_data(&mut self, _: Side, chunk: Chunk<'_>, out: &mut Self::Out) -> usize {
        out.push("data");
        chunk.data.len()
    }

    fn on_gap(&mut self, _: Side, _: Timestamp, _: u64, _: u64, out: &mut Self::Out) {
        out.push("gap");
    }

    fn on_end(&mut self, _: Side, _: Timestamp, out: &mut Self::Out) {
        out.push("end");
    }

    fn on_close(&mut self, _: Timestamp, _: End, out: &mut Self::Out) {
        out.push("close");
    }
}

/// What a stream is told of a client's `last` and FIN, and of `late` at that offset behind them.
fn behind_a_fin(offset: u32, late: &[u8]) -> Vec<&'static str> {
    let mut talk = open();
    talk.client(b"last").client_ends();
    let packets = talk.packets();
    let mut behind = Segment::parse(&packets[3].data).unwrap();
    let seq = behind.seq().wrapping_add(offset).to_be_bytes();
    behind.tcp[4..8].copy_from_slice(&seq);
    behind.payload = late.to_vec();
    let mut table = FlowTable::new(flow::Settings::default(), 1);
    let mut decoder = Decoder::new(Ports::default(), FragmentSettings::default(), 1);
    let mut out = Vec::new();
    let late = behind.build();
    for data in packets.iter().map(|p| &p.data).chain([&late]) {
        let frame = Frame {
            ts: packets[0].ts,
            link: LinkType::ETHERNET,
            data,
            wire_len: data.len() as u32,
            interface: 0,
        };
        if let Decoded::Segment(s) = decoder.decode(&frame).decoded {
            table.push(&s, FlowKey::of(&s), s.ts, &mut out, |_| Tape);
        }
    }
    out
}

/// Nothing follows a FIN (RFC 9293, section 3.6): bytes behind it are forged.
#[test]
fn nothing_is_delivered_behind_a_fin() {
    assert_eq!(behind_a_fin(4, b"more"), ["data", "end"]);
    assert_eq!(behind_a_fin(9, b"more"), ["data", "end"]);
}

#[test]
fn a_retransmission_ends_at_the_fin() {
    assert_eq!(behind_a_fin(0, b"last and more"), ["data", "end"]);
    assert_eq!(behind_a_fin(2, b"st!!"), ["data", "end"]);
}

/// What `read` writes, `analyze` reads.
#[test]
fn a_response_without_a_status_reads_back() {
    let mut talk = open();
    talk.server(b"HTTP/1.1 2OK OK\r\nContent-Length: 2\r\n\r\nok");
    let found = ethernet(&talk.close());
    assert_eq!(found.exchanges().count(), 1);
    for x in found.exchanges() {
        let mut line = Vec::new();
        write_line(x, &mut line);
        let back = parse_line(&line);
        assert!(back.is_ok(), "{back:?} {}", String::from_utf8_lossy(&line));
    }
}

/// RFC 9113, section 8.3.1: a request has one method, and RFC 9110 none that is empty.
#[test]
fn an_empty_method_is_none() {
    let mut talk = open();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    // A literal without a value, then indexed fields: path and scheme.
    let block = b"\0\x07:method\0\x84\x86";
    bytes.extend([0, 0, block.len() as u8, 1, 5, 0, 0, 0, 1]);
    bytes.extend(block);
    talk.client(&bytes);
    for x in ethernet(&talk.close()).exchanges() {
        assert_ne!(x.method.as_deref(), Some(""), "{:?}", x.partial);
    }
}

/// What is a request in one segment is one in many.
#[test]
fn a_request_line_without_a_version_may_be_cut() {
    let run = |size: usize| {
        let mut talk = open();
        let ask = format!("GET /r1\r\n{}: v\r\n\r\n", "N".repeat(70));
        talk.segments(size).client(ask.as_bytes());
        talk.segments(1_448).server(answer(1, 3).as_bytes());
        told(&ethernet(&talk.close()))
    };
    let whole = run(1_448);
    for size in [5, 20, 60] {
        assert_eq!(run(size), whole, "{size}");
    }
}

/// A status has three digits, of which the first is one to five (RFC 9110, section 15).
#[test]
fn a_status_of_zero_is_none() {
    let mut talk = open();
    talk.client(ask(1).as_bytes());
    talk.server(b"HTTP/1.1 000 ok\r\nContent-Length: 0\r\n\r\n");
    for x in ethernet(&talk.close()).exchanges() {
        assert_ne!(x.status, Some(0));
    }
}
