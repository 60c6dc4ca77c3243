use std::io::Write as _;

use proptest::prelude::*;

use super::frame::{Header, Parsed, parse, plausible};
use super::inflate::{SYNC_FLUSH, inflate, unmask};
use super::*;
use crate::http::tests::Talk;

mod look;

const ASK: &[u8] = b"GET /live HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n";
const DEFLATE: &[u8] = b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n\r\n";
const UPGRADED: &str = "GET h/live 101 0/0";
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame with `first` as its first byte.
fn frame(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let bit = if masked { 0x80 } else { 0 };
    let mut out = vec![first];
    match payload.len() {
        n @ 0..126 => out.push(bit | n as u8),
        n @ 126..65_536 => {
            out.push(bit | 126);
            out.extend((n as u16).to_be_bytes());
        }
        n => {
            out.push(bit | 127);
            out.extend((n as u64).to_be_bytes());
        }
    }
    let mut payload = payload.to_vec();
    if masked {
        out.extend(KEY);
        unmask(KEY, 0, &mut payload);
    }
    out.extend(payload);
    out
}

fn up(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, true)
}

fn down(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, false)
}

fn upgraded(switch: &[u8]) -> Talk {
    let mut talk = Talk::new();
    talk.say(0, ASK).say(1, switch);
    talk
}

#[test]
fn the_examples_of_the_rfc() {
    // RFC 6455, section 5.7.
    let none = Extensions::default();
    let header = |data: &[u8], from_client| match parse(data, from_client, none) {
        Parsed::Header(h) => (h.fin, h.opcode, h.len, h.size),
        other => panic!("{other:?}"),
    };
    let hello = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_eq!(header(&hello, false), (true, Opcode::Text, 5, 2));
    let masked = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(header(&masked, true), (true, Opcode::Text, 5, 6));
    let mut content = masked[6..].to_vec();
    unmask(KEY, 0, &mut content);
    assert_eq!(content, b"Hello");
    let wide = [0x82, 0x7e, 0x01, 0x00];
    assert_eq!(header(&wide, false), (true, Opcode::Binary, 256, 4));
    let wider = [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0];
    assert_eq!(header(&wider, false), (true, Opcode::Binary, 65_536, 10));
}

#[test]
fn what_is_no_frame() {
    let none = Extensions::default();
    let deflate = Extensions {
        deflate: true,
        ..none
    };
    let broken = |data: &[u8], from_client, extensions| {
        assert_eq!(
            parse(data, from_client, extensions),
            Parsed::Broken,
            "{data:x?}"
        );
    };
    broken(&[0x81, 0x05], true, none); // a client masks
    broken(&[0x81, 0x85], false, none); // a server does not
    broken(&[0x83], false, none); // no such opcode
    broken(&[0x8b], false, none);
    broken(&[0xc1], false, none); // compressed, and nobody agreed to it
    broken(&[0xc9], false, deflate); // a control frame is not
    broken(&[0xc0], false, deflate); // nor what goes on
    broken(&[0xa1], false, deflate);
    broken(&[0x09, 0x00], false, none); // control frames are whole
    broken(&[0x89, 0x7e, 0x00, 0x7e], false, none); // and short
    broken(&[0x88, 0x01], false, none); // half a close code
    broken(&[0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0], false, none);
    let compressed = parse(&[0xc1, 0x00], false, deflate);
    assert!(matches!(
        compressed,
        Parsed::Header(Header {
            compressed: true,
            ..
        })
    ));
}

#[test]
fn extensions_are_what_the_server_says() {
    let mut e = Extensions::default();
    e.add(b" permessage-deflate; server_max_window_bits=10 ;client_no_context_takeover");
    assert!(e.deflate && e.client_no_context && !e.server_no_context && !e.other);
    e.add(b"x-own; a=\"b\",");
    assert!(e.other);
}

/// Messages of both ways with all that may stand between their frames.
fn conversation() -> (Vec<u8>, Vec<u8>) {
    let to_server = [
        up(0x81, b"{\"n\":1}"),
        up(0x01, b"{\"n\""),
        up(0x89, b"still there?"),
        up(0x80, b":2}"),
        up(0x82, &[7; 300]),
        up(0x88, b"\x03\xe9going away, secret"),
    ];
    let to_client = [
        down(0x81, b""),
        down(0x8a, b"still there?"),
        down(0x81, &[b'x'; 70_000]),
        down(0x88, b"\x03\xe8"),
    ];
    (to_server.concat(), to_client.concat())
}

const CONVERSATION: &str = "websocket 3/314 2/70000 1001 fo";

#[test]
fn both_ways_are_counted() {
    let (to_server, to_client) = conversation();
    let mut talk = upgraded(SWITCH);
    talk.say(0, &to_server);
    for piece in to_client.chunks(1_460) {
        talk.say(1, piece);
    }
    let records = talk.records();
    let session = records[1].session.as_ref().unwrap();
    assert_eq!((session.pings, session.pongs), (1, 1));
    assert_eq!(session.opened, records[1].ts);
    let mut line = Vec::new();
    crate::exchange::write_line(&records[1], &mut line);
    assert!(!String::from_utf8(line).unwrap().contains("secret"));
    let c = talk.out.counters;
    assert_eq!((c.websocket, c.sessions.analysed, c.exchanges), (1, 5, 1));
}

#[test]
fn cut_at_every_offset() {
    let (to_server, to_client) = conversation();
    for cut in 0..to_server.len() {
        let mut talk = upgraded(SWITCH);
        talk.say(0, &to_server[..cut]).say(1, &down(0x8a, b""));
        talk.say(0, &to_server[cut..]);
        let told = talk.told();
        assert_eq!(told, [UPGRADED, "websocket 3/314 0/0 1001 fo"], "{cut}");
    }
    let mut talk = upgraded(SWITCH);
    for byte in to_server.chunks(1) {
        talk.say(0, byte);
    }
    talk.say(1, &to_client);
    assert_eq!(talk.told(), [UPGRADED, CONVERSATION]);
}

#[test]
fn frames_right_behind_the_101() {
    let mut talk = Talk::new();
    let answer = [SWITCH, &down(0x81, b"hello")].concat();
    talk.say(0, ASK).say(1, &answer).fin(1);
    assert_eq!(talk.told(), [UPGRADED, "websocket 0/0 1/5 fo"]);
}

#[test]
fn an_upgrade_to_something_else_is_not_read() {
    let mut talk = Talk::new();
    let other = b"HTTP/1.1 101 X\r\nUpgrade: tcp\r\n\r\n";
    talk.say(0, ASK).say(1, other).say(1, &down(0x81, b"x"));
    assert_eq!(talk.told(), [UPGRADED]);
    assert_eq!(talk.out.counters.upgraded, 1);
}

#[test]
fn a_hole_inside_of_a_payload_costs_its_bytes() {
    let message = down(0x82, &[9; 5_000]);
    let mut talk = upgraded(SWITCH);
    talk.say(1, &message[..1_000])
        .unseen(1, &message[1_000..3_000])
        .say(1, &message[3_000..])
        .say(1, &down(0x81, b"after"))
        .wait(20);
    assert_eq!(talk.told(), [UPGRADED, "websocket 0/0 2/5005 fol"]);
}

#[test]
fn a_hole_with_a_header_in_it_is_found_behind() {
    let mut talk = upgraded(SWITCH);
    talk.say(1, &down(0x81, b"before"))
        .unseen(1, &down(0x81, b"unseen"))
        // In the middle of a message: text is no header.
        .say(1, b"{\"text\":\"of a message\"}")
        .say(1, &down(0x81, b"after"))
        .say(1, &down(0x81, b"and after"))
        .wait(20);
    assert_eq!(talk.told(), [UPGRADED, "websocket 0/0 3/20 fol"]);
    assert_eq!(talk.out.counters.sessions.malformed, 0);
}

#[test]
fn a_message_whose_end_was_missed_is_cut() {
    let mut talk = upgraded(SWITCH);
    talk.say(0, &up(0x01, b"begin"))
        .unseen(0, &up(0x80, b"end"))
        .say(0, &up(0x80, b"of what began unseen"))
        .say(0, &up(0x81, b"whole"))
        .wait(20);
    assert_eq!(talk.told(), [UPGRADED, "websocket 1/30 0/0 fol"]);
    assert_eq!(talk.out.counters.sessions.cut, 1);
}

#[test]
fn garbage_is_lost_and_said() {
    let mut talk = upgraded(SWITCH);
    talk.say(0, b"GET /not HTTP/1.1\r\n\r\n")
        .say(0, &[0xff; 4_000])
        .say(1, &down(0x81, b"fine"));
    assert_eq!(talk.told(), [UPGRADED, "websocket 0/0 1/4 fol"]);
    assert_eq!(talk.out.counters.sessions.malformed, 1);
}

#[test]
fn nothing_behind_the_close_frame_counts() {
    let mut talk = upgraded(SWITCH);
    let all = [
        up(0x81, b"a"),
        up(0x88, b"\x0f\xa0bye"),
        up(0x81, b"never"),
        vec![0xff; 99],
    ];
    talk.say(0, &all.concat());
    assert_eq!(talk.told(), [UPGRADED, "websocket 1/1 0/0 4000 fo"]);
}

#[test]
fn a_long_connection_reports_in_time() {
    let mut talk = upgraded(SWITCH);
    talk.say(0, &up(0x81, b"one")).wait(400);
    talk.say(0, &up(0x81, b"two")).wait(400);
    talk.say(1, &down(0x81, b"three")).wait(1_000);
    talk.say(1, &down(0x81, b"four"));
    let lines = talk.told();
    assert_eq!(
        lines,
        [
            UPGRADED,
            "websocket 2/6 0/0 f",
            "websocket 0/0 1/5 ",
            "websocket 0/0 1/4 o"
        ]
    );
}

fn deflated(messages: &[&[u8]], takeover: bool) -> Vec<Vec<u8>> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    let encode = |message: &&[u8]| {
        if !takeover {
            encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        }
        encoder.write_all(message).unwrap();
        encoder.flush().unwrap();
        let bytes = std::mem::take(encoder.get_mut());
        assert!(bytes.ends_with(&[0, 0, 0xff, 0xff]));
        bytes[..bytes.len() - 4].to_vec()
    };
    messages.iter().map(encode).collect()
}

#[test]
fn compressed_messages_are_counted_as_such() {
    let messages = deflated(&[b"hello hello hello hello", b"hello hello again"], true);
    let mut talk = upgraded(DEFLATE);
    talk.say(1, &down(0xc1, &messages[0]))
        .say(1, &down(0x41, &messages[1][..3]))
        .say(1, &down(0x80, &messages[1][3..]))
        .say(1, &down(0x81, b"plain"));
    let records = talk.records();
    let session = records[1].session.as_ref().unwrap();
    let bytes = messages.concat().len() as u64 + 5;
    let traffic = Traffic {
        messages: 3,
        bytes,
        compressed: 2,
    };
    assert_eq!(session.down, traffic);
    // Without the agreement RSV1 is no frame.
    let mut talk = upgraded(SWITCH);
    talk.say(1, &down(0xc1, &messages[0]));
    assert_eq!(talk.told()[1], "websocket 0/0 0/0 fol");
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop::sample::select(vec![0x81, 0x82, 0x01, 0x00, 0x80, 0x89, 0x8a, 0x88, 0xc1]);
    let payload = prop::collection::vec(any::<u8>(), 0..200);
    (first, payload, any::<bool>()).prop_map(|(first, payload, masked)| {
        let short = first & 0x08 != 0;
        frame(
            first,
            &payload[..payload.len().min(if short { 125 } else { 200 })],
            masked,
        )
    })
}

proptest! {
    /// Whatever comes, in whatever pieces and with whatever holes: the sums add up (`Talk` holds
    /// that), and what is counted came.
    #[test]
    fn any_bytes(
        pieces in prop::collection::vec((0..2_usize, any::<bool>(), prop_oneof![
            any_frame(), prop::collection::vec(any::<u8>(), 0..300)]), 0..40),
        deflate in any::<bool>(),
    ) {
        let mut talk = upgraded(if deflate { DEFLATE } else { SWITCH });
        let mut sent = 0;
        for (side, seen, bytes) in &pieces {
            sent += bytes.len() as u64;
            if *seen { talk.say(*side, bytes) } else { talk.unseen(*side, bytes) };
        }
        talk.wait(20);
        let (mut messages, mut over) = (0, 0);
        for s in talk.records().iter().filter_map(|x| x.session.as_ref()) {
            prop_assert!(s.up.bytes + s.down.bytes <= sent);
            messages += s.up.messages + s.down.messages;
            over += u64::from(s.over);
        }
        prop_assert_eq!((messages, over), (talk.out.counters.sessions.analysed, 1));
    }

    #[test]
    fn a_chain_of_frames_is_plausible(frames in prop::collection::vec(
        (prop::sample::select(vec![0x81_u8, 0x82, 0x89, 0x8a]), prop::collection::vec(any::<u8>(), 0..100)), 1..5),
        masked in any::<bool>(),
    ) {
        let all: Vec<u8> = frames.iter().flat_map(|(f, p)| frame(*f, p, masked)).collect();
        prop_assert!(plausible(&all, masked, Extensions::default()));
        prop_assert!(!plausible(&all, !masked, Extensions::default()));
    }
}

#[test]
fn a_silent_connection_reports_what_came_once() {
    let mut talk = upgraded(SWITCH);
    talk.say(0, &up(0x81, b"one")).wait(500);
    let reported = |talk: &mut Talk| {
        talk.out
            .exchanges
            .iter()
            .filter(|x| x.session.is_some())
            .count()
    };
    assert_eq!(reported(&mut talk), 0);
    talk.wait(200);
    assert_eq!(reported(&mut talk), 1);
    let end = talk.out.exchanges[1].end;
    talk.wait(2_000);
    assert_eq!(reported(&mut talk), 1, "there is nothing more to say");
    talk.say(1, &down(0x81, b"two"));
    let records = talk.records();
    // The period that the end falls into begins where periods do.
    let opened = records[1].ts;
    assert_eq!(
        (end, records[2].ts.since(opened).as_secs()),
        (records[1].end, 2_400)
    );
    let lines: Vec<_> = records[1..]
        .iter()
        .map(|x| crate::http::tests::line(x))
        .collect();
    assert_eq!(lines, ["websocket 1/3 0/0 f", "websocket 0/0 1/3 o"]);
}

#[test]
fn records_are_the_same_with_and_without_ticks() {
    let run = |ticks: i64| {
        let mut talk = upgraded(SWITCH);
        for pause in [10, 700, 30, 1_900, 100] {
            (0..ticks).for_each(|_| _ = talk.wait(pause / ticks));
            if ticks == 0 {
                talk.pause(pause);
            }
            talk.say(1, &down(0x81, b"x"));
        }
        talk.fin(0).fin(1);
        let records = talk.records();
        records
            .into_iter()
            .map(|x| format!("{x:?}"))
            .collect::<Vec<_>>()
    };
    assert!(run(1) == run(0) && run(10) == run(0));
}
