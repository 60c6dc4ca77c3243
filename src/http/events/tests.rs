use std::io::Write;

use super::*;
use crate::http::tests::Talk;

fn count(text: &str) -> u64 {
    let whole = Scanner::default().feed(text.as_bytes());
    for step in 1..text.len() {
        let mut scanner = Scanner::default();
        let pieces = text.as_bytes().chunks(step);
        assert_eq!(
            pieces.map(|p| scanner.feed(p)).sum::<u64>(),
            whole,
            "{step}"
        );
    }
    whole
}

#[test]
fn the_examples_of_the_standard() {
    assert_eq!(count("data: YHOO\ndata: +2\ndata: 10\n\n"), 1);
    assert_eq!(
        count(
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"
        ),
        3
    );
    assert_eq!(count("data\n\ndata\ndata\n\ndata:"), 2);
    assert_eq!(count("data:test\n\ndata: test\n\n"), 2);
    // Line ends of every kind; no event without data; the last is not over.
    assert_eq!(count("data: a\r\n\r\ndata: b\r\rdata: c\n\r\ndata: d\n"), 3);
    assert_eq!(count("event: ping\n\n: keep-alive\n\n\n\nretry: 1\n\n"), 0);
    assert_eq!(count("datum: 1\n\ndata2: 1\n\ndat\n\n data: 1\n\n"), 0);
}

const ASK: &[u8] = b"GET /feed HTTP/1.1\r\nHost: h\r\n\r\n";
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n";
const CHUNKED: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn a_short_stream_is_one_exchange_and_its_session() {
    let mut talk = Talk::new();
    talk.say(0, ASK)
        .say(1, HEAD)
        .say(1, b"data: 1\n\ndata: 2\n\n")
        .fin(1);
    let told = talk.told();
    assert_eq!(told, ["GET h/feed 200 0/18", "event-stream 0/0 2/18 fo"]);
}

#[test]
fn behind_a_stream_comes_the_next_exchange() {
    let mut talk = Talk::new();
    talk.say(0, ASK)
        .say(1, CHUNKED)
        .say(1, b"9\r\ndata: 1\n\n\r\n0\r\n\r\n");
    talk.say(0, ASK).say(1, b"HTTP/1.1 204 No\r\n\r\n");
    let told = talk.told();
    let wanted = [
        "GET h/feed 200 0/9",
        "event-stream 0/0 1/9 fo",
        "GET h/feed 204 0/0",
    ];
    assert_eq!(told, wanted);
}

#[test]
fn a_long_stream_is_shown_before_its_end() {
    for (head, event) in [
        (HEAD, &b"data: 1\n\n"[..]),
        (CHUNKED, b"9\r\ndata: 1\n\n\r\n"),
    ] {
        let mut talk = Talk::new();
        talk.say(0, ASK)
            .say(1, head)
            .say(1, event)
            .wait(61)
            .say(1, event);
        let shown: Vec<_> = std::mem::take(&mut talk.out.exchanges);
        assert_eq!(shown.len(), 1);
        assert!(shown[0].open && !shown[0].partial.any());
        assert_eq!(
            (shown[0].status, shown[0].response_bytes),
            (Some(200), None)
        );
        talk.wait(700).say(1, event).wait(100).say(1, event);
        assert_eq!(
            talk.told(),
            ["event-stream 0/0 2/18 f", "event-stream 0/0 2/18 o"],
            "and not twice"
        );
    }
}

#[test]
fn a_hole_or_a_wrong_coding_leaves_the_least_that_there_was() {
    let mut talk = Talk::new();
    talk.say(0, ASK).say(1, HEAD).say(1, b"data: 1\n\nda");
    talk.unseen(1, b"ta: 2\n\ndata: 3\n")
        .say(1, b"\ndata: 4\n\n")
        .wait(20);
    let told = talk.told();
    assert_eq!(told[1], "event-stream 0/0 2/21 fol");
    // What is not what it is said to be.
    let coded =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n";
    let mut talk = Talk::new();
    talk.say(0, ASK).say(1, coded).say(1, b"data: 1\n\n").fin(1);
    assert_eq!(talk.told()[1], "event-stream 0/0 0/9 fol");
}

#[test]
fn other_content_and_errors_are_no_streams() {
    for head in [
        "HTTP/1.1 404 No\r\nContent-Type: text/event-stream\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
    ] {
        let mut talk = Talk::new();
        talk.say(0, ASK)
            .say(1, head.as_bytes())
            .say(1, b"data: 1\n\n")
            .fin(1);
        assert_eq!(talk.told().len(), 1);
    }
}

#[test]
fn on_http2_too() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let request = b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84";
    // :status 200, content-type as a literal with the static table's name.
    let mut answer = b"\0\0\0\x04\0\0\0\0\0\0\0\x15\x01\x04\0\0\0\x01\x88\x0f\x10\x11".to_vec();
    answer.extend(b"text/event-stream");
    let event = b"\0\0\x09\0\0\0\0\0\x01data: 1\n\n";
    let mut talk = Talk::new();
    talk.say(0, &[&preface[..], request].concat())
        .say(1, &answer)
        .say(1, event);
    talk.wait(61).say(1, event);
    let shown: Vec<_> = std::mem::take(&mut talk.out.exchanges);
    assert!(shown.len() == 1 && shown[0].open, "{shown:?}");
    assert_eq!(talk.told(), ["event-stream 0/0 2/18 fo"]);
}

proptest::proptest! {
    #[test]
    fn any_bytes(text in "[data:\r\n x]{0,80}") {
        count(&text);
    }
}

/// Each event on its own flush, as servers send them; zstd's in one piece.
fn coded(coding: &str, events: &[Vec<u8>]) -> Vec<Vec<u8>> {
    fn flushed<W: Write>(
        mut writer: W,
        events: &[Vec<u8>],
        out: fn(&mut W) -> &mut Vec<u8>,
    ) -> Vec<Vec<u8>> {
        let flush = |event: &Vec<u8>| {
            writer.write_all(event).unwrap();
            writer.flush().unwrap();
            std::mem::take(out(&mut writer))
        };
        events.iter().map(flush).collect()
    }
    let level = flate2::Compression::best();
    match coding {
        "gzip" => flushed(
            flate2::write::GzEncoder::new(Vec::new(), level),
            events,
            |w| w.get_mut(),
        ),
        "deflate" => flushed(
            flate2::write::ZlibEncoder::new(Vec::new(), level),
            events,
            |w| w.get_mut(),
        ),
        "br" => flushed(
            brotli::CompressorWriter::new(Vec::new(), 4_096, 5, 22),
            events,
            |w| w.get_mut(),
        ),
        _ => vec![ruzstd::encoding::compress_to_vec(
            &events.concat()[..],
            ruzstd::encoding::CompressionLevel::Fastest,
        )],
    }
}

fn head(coding: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nContent-Encoding: {coding}\r\n\r\n").into_bytes()
}

fn chunk(content: &[u8]) -> Vec<u8> {
    [
        format!("{:x}\r\n", content.len()).as_bytes(),
        content,
        b"\r\n",
    ]
    .concat()
}

fn numbered(n: u32) -> Vec<Vec<u8>> {
    let event = |n| format!("id: {n}\ndata: {{\"price\":{}}}\n\n", n * 7 % 1_000);
    (0..n).map(|n| event(n).into_bytes()).collect()
}

const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

#[test]
fn a_coding_is_undone_at_every_cut() {
    for coding in CODINGS {
        let pieces = coded(coding, &numbered(5));
        let body: Vec<u8> = pieces.iter().flat_map(|p| chunk(p)).collect();
        let wire = pieces.concat().len();
        for cut in 0..body.len() {
            let mut talk = Talk::new();
            talk.say(0, ASK).say(1, &head(coding));
            talk.say(1, &body[..cut])
                .say(1, &body[cut..])
                .say(1, b"0\r\n\r\n");
            let told = talk.told();
            let session = format!("event-stream 0/0 5/{wire} fo");
            assert_eq!(
                told,
                [format!("GET h/feed 200 0/{wire}"), session],
                "{coding}"
            );
            assert_eq!(talk.out.counters.bodies_decoded, 1);
        }
    }
}

#[test]
fn events_count_when_they_come() {
    for coding in ["gzip", "deflate", "br"] {
        let mut talk = Talk::new();
        talk.say(0, ASK).say(1, &head(coding));
        let pieces = coded(coding, &numbered(20_000));
        for piece in &pieces[..10_000] {
            talk.say(1, &chunk(piece));
        }
        talk.wait(700);
        for piece in &pieces[10_000..] {
            talk.say(1, &chunk(piece));
        }
        let told = talk.records();
        let sessions: Vec<_> = told.iter().filter_map(|x| x.session.as_ref()).collect();
        let counts: Vec<_> = sessions
            .iter()
            .map(|s| (s.down.messages, s.lossy))
            .collect();
        assert_eq!(counts, [(10_000, false); 2], "{coding}");
    }
}

#[test]
fn a_hole_ends_what_can_be_decoded() {
    for coding in CODINGS {
        let pieces = coded(coding, &numbered(50));
        let body = pieces.concat();
        let (one, two) = (body.len() / 3, body.len() / 2);
        let mut talk = Talk::new();
        let head = String::from_utf8(head(coding))
            .unwrap()
            .replace("Transfer-Encoding: chunked\r\n", "");
        talk.say(0, ASK)
            .say(1, head.as_bytes())
            .say(1, &body[..one]);
        talk.unseen(1, &body[one..two])
            .say(1, &body[two..])
            .wait(20);
        let told = talk.records();
        let session = told[1].session.as_ref().unwrap();
        assert!(
            session.lossy && session.down.messages < 50,
            "{coding}: {session:?}"
        );
        assert!(session.down.messages > 0 || coding == "zstd", "{coding}");
        assert_eq!(session.down.bytes, (body.len() - (two - one)) as u64);
    }
}

#[test]
fn a_coding_on_http2_is_undone() {
    for coding in CODINGS {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let request = b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84";
        // :status 200, content-type and content-encoding with the static table's names.
        let coding_len = coding.len() as u8;
        let block = [
            b"\x88\x0f\x10\x11text/event-stream\x0f\x0b",
            &[coding_len][..],
            coding.as_bytes(),
        ]
        .concat();
        let settings = b"\0\0\0\x04\0\0\0\0\0";
        let answer = [
            settings,
            &[0, 0, block.len() as u8, 1, 4, 0, 0, 0, 1],
            &block[..],
        ]
        .concat();
        let mut talk = Talk::new();
        talk.say(0, &[&preface[..], request].concat())
            .say(1, &answer);
        let pieces = coded(coding, &numbered(50));
        for piece in &pieces {
            let len = (piece.len() as u32).to_be_bytes();
            talk.say(1, &[&len[1..], &[0, 0, 0, 0, 0, 1], piece].concat());
        }
        let wire = pieces.concat().len();
        assert_eq!(
            talk.told()[1],
            format!("event-stream 0/0 50/{wire} fo"),
            "{coding}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn any_coded_bytes(
        pieces in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..60), 0..20),
        coding in 0..4_usize,
        holes in proptest::num::u32::ANY,
    ) {
        let mut talk = Talk::new();
        let head = head(CODINGS[coding]);
        talk.say(0, ASK).say(1, &head);
        for (n, piece) in pieces.iter().enumerate() {
            if holes >> n & 7 == 1 { talk.unseen(1, &chunk(piece)) } else { talk.say(1, &chunk(piece)) };
        }
        talk.wait(20);
        talk.told();
    }
}

#[test]
fn a_silent_stream_is_shown_in_time() {
    for head in [HEAD, CHUNKED] {
        let mut talk = Talk::new();
        talk.say(0, ASK).say(1, head).wait(59);
        assert!(talk.out.exchanges.is_empty());
        talk.wait(30);
        let shown: Vec<_> = std::mem::take(&mut talk.out.exchanges);
        assert!(shown[0].open && shown.len() == 1);
        talk.wait(1_000).wait(1_000);
        assert_eq!(
            talk.out.exchanges.len(),
            1,
            "that it was opened is told once"
        );
        assert_eq!(
            talk.told(),
            ["event-stream 0/0 0/0 f", "event-stream 0/0 0/0 o"]
        );
        // Nobody ticks: the end finds it as long as a tick would have.
        let mut talk = Talk::new();
        talk.say(0, ASK).say(1, head).pause(90).fin(1).fin(0);
        let records = talk.records();
        assert_eq!((records[0].open, records[0].end), (true, shown[0].end));
    }
}
