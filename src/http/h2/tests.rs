use super::frame::{
    CONTINUATION, DATA, GOAWAY, HEADERS, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS,
    WINDOW_UPDATE,
};
use super::*;
use crate::http::hpack::encoder::{Encoder, Form};
use crate::http::probe::PREFACE;
use crate::http::tests::Talk;

mod loss;
mod websocket;

const CLIENT: usize = 0;
const SERVER: usize = 1;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 0x20;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    let head = [&len[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

fn data(stream: u32, content: &str) -> Vec<u8> {
    frame(DATA, 0, stream, content.as_bytes())
}

fn last_data(stream: u32, content: &str) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, content.as_bytes())
}

fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let pair = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(
        SETTINGS,
        0,
        0,
        &pairs.iter().flat_map(pair).collect::<Vec<_>>(),
    )
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// One side's way of writing header blocks.
struct Peer(Encoder);

impl Peer {
    fn new() -> Self {
        Self(Encoder::new())
    }

    fn headers(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
        let block = self.0.encode(fields);
        frame(HEADERS, END_HEADERS | flags, stream, &block)
    }

    fn get(&mut self, stream: u32, path: &str) -> Vec<u8> {
        self.headers(stream, END_STREAM, &request("GET", path))
    }

    fn post(&mut self, stream: u32, path: &str) -> Vec<u8> {
        self.headers(stream, 0, &request("POST", path))
    }

    fn status(&mut self, stream: u32, status: &str) -> Vec<u8> {
        self.headers(stream, 0, &[(":status", status), ("server", "s")])
    }

    fn trailers(&mut self, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
        self.headers(stream, END_STREAM, fields)
    }
}

fn request<'a>(method: &'a str, path: &'a str) -> [(&'a str, &'a str); 5] {
    [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "h"),
        ("user-agent", "a test"),
    ]
}

/// A client and a server that have said hello.
fn greeted() -> (Talk, Peer, Peer) {
    let mut talk = Talk::new();
    talk.say(CLIENT, &[PREFACE, &settings(&[(3, 100)])].concat());
    talk.say(SERVER, &settings(&[(4, 65_535)]));
    talk.say(CLIENT, &frame(SETTINGS, 1, 0, &[]));
    (talk, Peer::new(), Peer::new())
}

#[test]
fn streams_interleave() {
    let (mut t, mut c, mut s) = greeted();
    t.say(CLIENT, &[c.get(1, "/a?x=1"), c.post(3, "/b")].concat());
    t.say(CLIENT, &data(3, "ab"));
    t.say(SERVER, &[s.status(3, "404"), data(3, "no")].concat());
    t.say(
        SERVER,
        &[s.status(1, "200"), data(1, "hel"), data(3, "ne")].concat(),
    );
    t.say(CLIENT, &last_data(3, "c"));
    t.say(SERVER, &[last_data(3, ""), last_data(1, "lo")].concat());
    assert_eq!(t.told(), ["POST h/b 404 3/4", "GET h/a?x=1 200 0/5"]);
}

#[test]
fn an_operation_is_told_as_in_http_1() {
    let (mut t, mut c, mut s) = greeted();
    let mut ask = |stream, path, fields: &[(&str, &str)], body: &str| {
        let all = [&request("POST", path)[..], fields].concat();
        t.say(CLIENT, &c.headers(stream, 0, &all));
        let (one, two) = body.split_at(body.len() / 2);
        t.say(
            CLIENT,
            &[data(stream, one), last_data(stream, two)].concat(),
        );
        t.say(
            SERVER,
            &s.headers(stream, END_STREAM, &[(":status", "200")]),
        );
        let x = t.out.exchanges.pop().unwrap();
        x.operation.and_then(|o| o.name).map(String::from)
    };
    let json = [("content-type", "application/json")];
    let query = r#"{"query":"mutation AddItem { addItem { id } }"}"#;
    assert_eq!(
        ask(1, "/g", &json, query).as_deref(),
        Some("mutation AddItem")
    );
    let call = r#"[{"id":1,"jsonrpc":"2.0","method":"eth_call"}]"#;
    assert_eq!(ask(3, "/rpc", &json, call).as_deref(), Some("eth_call"));
    let soap = [("content-type", "application/soap+xml; action=\"urn:Find\"")];
    assert_eq!(ask(5, "/s", &soap, "<a/>").as_deref(), Some("Find"));
    let get = "/g?query=query%20Q%7Bme%7D";
    assert_eq!(ask(7, get, &json, "{}"), None);
    t.say(CLIENT, &c.get(9, get));
    t.say(SERVER, &s.headers(9, END_STREAM, &[(":status", "200")]));
    let x = t.out.exchanges.pop().unwrap();
    assert_eq!(x.operation.and_then(|o| o.name).as_deref(), Some("query Q"));
}

#[test]
fn a_record_says_what_it_is() {
    let (mut t, mut c, mut s) = greeted();
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/login"),
        ("content-type", "application/json; charset=utf-8"),
        ("host", "API.example"),
        ("cookie", "a=1"),
        ("cookie", "session=0123456789abcdef"),
    ];
    t.say(CLIENT, &c.headers(1, 0, &fields));
    t.say(CLIENT, &last_data(1, r#"{"user":"ann","password":"x"}"#));
    t.say(
        SERVER,
        &s.headers(
            1,
            END_STREAM,
            &[(":status", "204"), ("content-type", "Text/Plain")],
        ),
    );
    let x = t.out.exchanges.pop().unwrap();
    let text = |t: &Option<compact_str::CompactString>| t.as_deref().unwrap_or("-").to_owned();
    assert_eq!((&*x.protocol, &*x.scheme), ("http/2", "https"));
    assert_eq!(text(&x.host), "api.example");
    assert_eq!(text(&x.request_content_type), "application/json");
    assert_eq!(text(&x.content_type), "text/plain");
    assert_eq!(x.latency_ms, Some(1.0));
    assert!(x.login.is_some());
    // Crumbs are one cookie, as they are in HTTP/1.
    let whole = crate::observe::Credential {
        cookie: Some(b"a=1; session=0123456789abcdef"),
        ..Default::default()
    };
    assert_eq!(
        x.identity,
        t.out
            .observer
            .credentials(&whole, 0)
            .identity
            .map(|(id, _)| id)
    );
    assert!(x.identity.is_some());
}

#[test]
fn a_block_may_be_in_pieces() {
    let block = Encoder::new().encode(&request("GET", "/in/pieces"));
    let mut cuts: Vec<Vec<&[u8]>> = (0..=block.len())
        .map(|at| vec![&block[..at], &block[at..]])
        .collect();
    cuts.push(block.chunks(1).collect());
    for pieces in cuts {
        let (mut t, _, mut s) = greeted();
        let mut wire = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let kind = if at == 0 { HEADERS } else { CONTINUATION };
            let first = if at == 0 { END_STREAM } else { 0 };
            let last = if at + 1 == pieces.len() {
                END_HEADERS
            } else {
                0
            };
            wire.extend(frame(kind, first | last, 1, piece));
        }
        t.say(CLIENT, &wire);
        t.say(SERVER, &[s.status(1, "200"), last_data(1, "x")].concat());
        assert_eq!(t.told(), ["GET h/in/pieces 200 0/1"]);
    }
}

#[test]
fn a_message_begins_with_its_first_byte() {
    let (mut t, mut c, mut s) = greeted();
    // A frame of no interest whose header is in two packets comes before.
    let ping = frame(PING, 0, 0, &[0; 8]);
    t.say(CLIENT, &ping[..4]).say(CLIENT, &ping[4..]);
    let (get, answer) = (c.get(1, "/a"), s.status(1, "200"));
    t.say(CLIENT, &get[..3])
        .say(CLIENT, &get[3..20])
        .say(CLIENT, &get[20..]);
    t.say(SERVER, &answer[..1])
        .say(SERVER, &[&answer[1..], &last_data(1, "x")].concat());
    let x = t.out.exchanges.pop().unwrap();
    // A packet each millisecond: three of the request, then two of the response.
    assert_eq!(x.end.since(x.ts).as_millis(), 4);
    assert_eq!(x.latency_ms, Some(1.0));
}

#[test]
fn padding_and_priority_are_not_content() {
    let (mut t, mut c, mut s) = greeted();
    let block = c.0.encode(&request("POST", "/p"));
    let payload = [&[3][..], &[0x80, 0, 0, 0, 15], &block, &[0; 3]].concat();
    t.say(
        CLIENT,
        &frame(HEADERS, END_HEADERS | PADDED | WITH_PRIORITY, 1, &payload),
    );
    t.say(CLIENT, &frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]));
    t.say(
        CLIENT,
        &frame(DATA, PADDED | END_STREAM, 1, b"\x04body\0\0\0\0"),
    );
    t.say(SERVER, &s.status(1, "200"));
    t.say(SERVER, &frame(DATA, PADDED, 1, b"\x02ab\0\0"));
    // All of it padding.
    t.say(
        SERVER,
        &frame(DATA, PADDED | END_STREAM, 1, &[5, 0, 0, 0, 0, 0]),
    );
    assert_eq!(t.told(), ["POST h/p 200 4/2"]);
}

#[test]
fn a_push_is_an_exchange() {
    let (mut t, mut c, mut s) = greeted();
    t.say(CLIENT, &c.get(1, "/page"));
    let promise = [
        &2_u32.to_be_bytes()[..],
        &s.0.encode(&request("GET", "/style")),
    ]
    .concat();
    let (front, back) = promise.split_at(9);
    t.say(SERVER, &s.status(1, "200"));
    t.say(
        SERVER,
        &frame(PUSH_PROMISE, PADDED, 1, &[&[2], front, &[0, 0]].concat()),
    );
    t.say(SERVER, &frame(CONTINUATION, END_HEADERS, 1, back));
    t.say(
        SERVER,
        &[
            s.status(2, "200"),
            last_data(1, "page"),
            last_data(2, "css"),
        ]
        .concat(),
    );
    assert_eq!(t.told(), ["GET h/page 200 0/4", "GET h/style 200 0/3"]);
}

#[test]
fn interim_responses_and_trailers_are_part_of_the_rest() {
    let (mut t, mut c, mut s) = greeted();
    t.say(CLIENT, &c.post(1, "/up"));
    t.say(SERVER, &s.headers(1, 0, &[(":status", "100")]));
    t.say(CLIENT, &data(1, "abc"));
    t.say(CLIENT, &c.trailers(1, &[("checksum", "1")]));
    t.say(
        SERVER,
        &s.headers(1, 0, &[(":status", "103"), ("link", "<x>")]),
    );
    t.say(SERVER, &[s.status(1, "201"), data(1, "ok")].concat());
    t.say(SERVER, &s.trailers(1, &[("checksum", "2")]));
    assert_eq!(t.told(), ["POST h/up 201 3/2"]);
    assert_eq!(t.out.counters.interim, 2);
}

#[test]
fn reset_streams_end_where_they_are() {
    let (mut t, mut c, mut s) = greeted();
    for (stream, path) in [(1, "/by-client"), (3, "/by-server"), (5, "/half")] {
        t.say(CLIENT, &c.get(stream, path));
    }
    t.say(CLIENT, &reset(1));
    t.say(SERVER, &reset(3));
    t.say(
        SERVER,
        &[s.status(5, "200"), data(5, "abc"), reset(5)].concat(),
    );
    // On its way when the reset came.
    t.say(SERVER, &[s.status(1, "200"), last_data(1, "late")].concat());
    t.say(CLIENT, &c.get(7, "/after"));
    t.say(SERVER, &s.headers(7, END_STREAM, &[(":status", "204")]));
    let told = [
        "GET h/by-client - 0/- !s",
        "GET h/by-server - 0/- !s",
        "GET h/half 200 0/3 !t",
        "GET h/after 204 0/0",
    ];
    assert_eq!(t.told(), told);
    assert_eq!(t.out.counters.late, 1);
}

#[test]
fn a_server_that_goes_away_answers_no_more() {
    let (mut t, mut c, mut s) = greeted();
    t.say(
        CLIENT,
        &[c.get(1, "/a"), c.get(3, "/b"), c.get(5, "/c")].concat(),
    );
    t.say(
        SERVER,
        &frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0, b'w', b'h', b'y']),
    );
    assert_eq!(t.out.exchanges.len(), 2);
    t.say(SERVER, &[s.status(1, "200"), last_data(1, "x")].concat());
    let told = ["GET h/c - 0/- !s", "GET h/b - 0/- !s", "GET h/a 200 0/1"];
    assert_eq!(t.told(), told);
}

#[test]
fn an_early_answer_cuts_the_request() {
    let (mut t, mut c, mut s) = greeted();
    t.say(CLIENT, &[c.post(1, "/big"), data(1, "abc")].concat());
    t.say(
        SERVER,
        &[s.status(1, "413"), last_data(1, "no"), reset(1)].concat(),
    );
    assert_eq!(t.told(), ["POST h/big 413 3/2 !t"]);
}

#[test]
fn tables_change_size() {
    let (mut t, mut c, mut s) = greeted();
    t.say(SERVER, &settings(&[(1, 100), (1, 8_192)]));
    t.say(CLIENT, &settings(&[(1, 0)]));
    c.0.resize(8_192);
    s.0.resize(0);
    for stream in [1, 3, 5] {
        t.say(CLIENT, &c.get(stream, "/again"));
        t.say(
            SERVER,
            &[s.status(stream, "200"), last_data(stream, "x")].concat(),
        );
        c.0.resize(100 * stream as usize);
    }
    assert_eq!(t.told(), ["GET h/again 200 0/1"; 3]);
}

#[test]
fn what_is_of_no_interest_is_passed_over() {
    let (mut t, mut c, mut s) = greeted();
    let noise = [
        frame(PING, 0, 0, &[1; 8]),
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]),
        frame(0xa, 0xff, 0, b"altsvc"),
        frame(0x42, 1, 77, &[0; 300]),
        settings(&[(0xaaaa, 7)]),
    ]
    .concat();
    t.say(CLIENT, &noise);
    t.say(CLIENT, &[c.get(1, "/a"), noise.clone()].concat());
    t.say(
        SERVER,
        &[noise.clone(), s.status(1, "200"), noise, last_data(1, "x")].concat(),
    );
    assert_eq!(t.told(), ["GET h/a 200 0/1"]);
}

#[test]
fn a_servers_hello_may_come_first() {
    let (mut t, mut c, mut s) = (Talk::new(), Peer::new(), Peer::new());
    t.say(SERVER, &settings(&[(3, 128), (1, 4_096)]));
    t.say(CLIENT, &[PREFACE, &settings(&[]), &c.get(1, "/a")].concat());
    t.say(SERVER, &[s.status(1, "200"), last_data(1, "x")].concat());
    assert_eq!(t.told(), ["GET h/a 200 0/1"]);
}

/// RFC 7540, section 3.2: `AAEAAEAA` is SETTINGS_HEADER_TABLE_SIZE = 16384.
const UPGRADE: &str = "POST /up HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\n\
     Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\nContent-Length: 3\r\n\r\nabc";
const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

#[test]
fn an_upgrade_goes_on_as_stream_one() {
    let (mut c, mut s) = (Peer::new(), Peer::new());
    s.0.resize(16_384);
    let client = [PREFACE, &settings(&[]), &c.get(3, "/next")].concat();
    let first = [s.status(1, "200"), last_data(1, "first")].concat();
    let server = [SWITCHING.as_bytes(), &settings(&[]), &first].concat();
    let next = [s.status(3, "404"), last_data(3, "next")].concat();
    for cut in 0..server.len() {
        let mut t = Talk::new();
        t.say(CLIENT, UPGRADE.as_bytes());
        t.say(SERVER, &server[..cut]).say(SERVER, &server[cut..]);
        t.say(CLIENT, &client);
        t.say(SERVER, &next);
        let told = [
            "POST h/up 101 3/0",
            "POST h/up 200 3/5",
            "GET h/next 404 0/4",
        ];
        assert_eq!(t.told(), told, "{cut}");
    }
    // An upgrade that was declined, and one to something else.
    let mut t = Talk::new();
    t.say(CLIENT, UPGRADE.as_bytes());
    t.say(SERVER, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(t.told(), ["POST h/up 200 3/2"]);
}

#[test]
fn what_breaks_the_rules_is_counted_and_not_the_end() {
    let good = |t: &mut Talk, stream: u32| {
        let (mut c, mut s) = (Peer::new(), Peer::new());
        (c.0.huffman, s.0.huffman) = (false, false);
        t.say(CLIENT, &c.get(stream, "/good"));
        t.say(
            SERVER,
            &[s.status(stream, "200"), last_data(stream, "x")].concat(),
        );
    };
    let bad: [(&str, Vec<u8>); 6] = [
        (
            "an index of nothing",
            frame(HEADERS, 5, 1, &[0xff, 0xff, 0x03]),
        ),
        (
            "another frame inside of a block",
            [frame(HEADERS, 1, 1, &[0x82]), frame(PING, 0, 0, &[0; 8])].concat(),
        ),
        (
            "padding longer than the frame",
            frame(HEADERS, 5 | PADDED, 1, &[9, 0x82]),
        ),
        ("an even stream", Peer::new().get(2, "/even")),
        (
            "trailers of nothing",
            Peer::new().trailers(1, &[("x", "y")]),
        ),
        (
            "a block of another stream",
            [
                frame(HEADERS, 1, 1, &[0x82]),
                frame(CONTINUATION, 4, 3, &[]),
            ]
            .concat(),
        ),
    ];
    for (what, bytes) in bad {
        let (mut t, ..) = greeted();
        t.say(CLIENT, &bytes);
        good(&mut t, 5);
        let told = t.told();
        assert_eq!(t.out.counters.malformed, 1, "{what}");
        assert!(
            told.iter().any(|l| l.contains("/good 200")),
            "{what}: {told:?}"
        );
    }
    for (what, bytes) in [
        ("a reset of five bytes", frame(RST_STREAM, 0, 1, &[0; 5])),
        ("settings of a stream", frame(SETTINGS, 0, 1, &[])),
        ("data of the connection", frame(DATA, 0, 0, &[0; 9])),
    ] {
        let (mut t, ..) = greeted();
        t.say(CLIENT, &bytes);
        good(&mut t, 5);
        let told = t.told();
        assert!(
            told.iter().any(|l| l.contains("/good 200")),
            "{what}: {told:?}"
        );
    }
}

#[test]
fn floods_cost_no_memory() {
    // Streams that are never answered.
    let (mut t, mut c, _) = greeted();
    let count = MAX_STREAMS as u32 + 50;
    for i in 0..count {
        t.say(CLIENT, &c.get(2 * i + 1, "/flood"));
    }
    assert_eq!(t.out.exchanges.len(), 50);
    assert_eq!(t.told().len(), count as usize);

    // Rapid reset.
    let (mut t, mut c, _) = greeted();
    for i in 0..100 {
        t.say(
            CLIENT,
            &[c.get(2 * i + 1, "/rapid"), reset(2 * i + 1)].concat(),
        );
        assert_eq!(t.out.exchanges.len(), i as usize + 1);
    }

    // A block that does not end, and one in a frame that is too large.
    let piece = frame(CONTINUATION, 0, 1, &[0; 16_000]);
    let endless = [frame(HEADERS, END_STREAM, 1, &[0x82])]
        .into_iter()
        .chain(std::iter::repeat_n(piece, 20))
        .chain([frame(CONTINUATION, END_HEADERS, 1, &[])]);
    let huge = frame(
        HEADERS,
        END_STREAM | END_HEADERS,
        1,
        &vec![0; MAX_BLOCK + 1],
    );
    for flood in [endless.collect::<Vec<_>>(), vec![huge]] {
        let (mut t, mut c, mut s) = greeted();
        for frame in flood {
            for part in frame.chunks(9_000) {
                t.say(CLIENT, part);
            }
        }
        assert_eq!(t.out.counters.malformed, 1);
        t.say(CLIENT, &c.get(3, "/after"));
        t.say(SERVER, &[s.status(3, "200"), last_data(3, "x")].concat());
        assert_eq!(t.told(), ["GET h/after 200 0/1"]);
    }
}

#[test]
fn frames_are_known_by_more_than_their_length() {
    let none = |_| false;
    let mut peer = Peer::new();
    let get = peer.get(1, "/a");
    let yes = [
        get.clone(),
        Peer::new().status(1, "200"),
        [settings(&[(3, 100)]), frame(SETTINGS, 1, 0, &[])].concat(),
        [frame(PING, 1, 0, &[0; 8]), data(1, "x")].concat(),
        [frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]), get.clone()].concat(),
        PREFACE.to_vec(),
    ];
    for bytes in yes {
        assert_eq!(sync(&bytes, none), Sync::Yes, "{bytes:?}");
    }
    assert_eq!(sync(&get[..20], none), Sync::More);
    assert_eq!(sync(&data(7, "x"), |id| id == 7), Sync::No);
    assert_eq!(
        sync(&[data(7, "x"), data(7, "y")].concat(), |id| id == 7),
        Sync::Yes
    );
    let no: [&[u8]; 12] = [
        b"",
        &[0; 64],
        &data(1, "one frame alone, and a weak one"),
        &[data(1, "a"), data(1, "b")].concat(),
        // MySQL's greeting, PostgreSQL's startup and a row, a record of TLS.
        b"\x4a\x00\x00\x00\x0a8.0.33\x00\x08\x00\x00\x00abcdefgh\x00\xff\xff\xff\x02\x00",
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
        b"D\x00\x00\x00\x0f\x00\x01\x00\x00\x00\x05hello",
        b"\x17\x03\x03\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        // DNS over TCP, SMB, Kafka, a message of MQTT.
        b"\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01",
        b"\x00\x00\x00\x40\xfeSMB\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x1f\x00",
        b"\x00\x00\x00\x1f\x00\x03\x00\x09\x00\x00\x00\x01\x00\x08producer\x00\x00\x00\x00\x00",
        b"\x30\x0f\x00\x05topichello wor",
    ];
    for bytes in no {
        assert_eq!(sync(bytes, none), Sync::No, "{bytes:?}");
    }
}

#[test]
fn grpc_ends_with_its_status() {
    let (mut t, mut c, mut s) = greeted();
    let grpc = ("content-type", "application/grpc");
    let ask = |c: &mut Peer, stream: u32| {
        let fields = [&request("POST", "/shop.Orders/Get")[..], &[grpc]].concat();
        c.headers(stream, 0, &fields)
    };
    let message = |len: u8| [&[0, 0, 0, 0, len][..], &vec![b'm'; len.into()]].concat();
    // Two messages, one of them in pieces, against three.
    t.say(
        CLIENT,
        &[ask(&mut c, 1), frame(DATA, 0, 1, &message(9)[..3])].concat(),
    );
    t.say(CLIENT, &frame(DATA, 0, 1, &message(9)[3..]));
    t.say(CLIENT, &frame(DATA, END_STREAM, 1, &message(0)));
    let three = [message(1), message(2), message(3)].concat();
    t.say(SERVER, &s.headers(1, 0, &[(":status", "200"), grpc]));
    t.say(
        SERVER,
        &[
            frame(DATA, 0, 1, &three),
            s.trailers(1, &[("grpc-status", "0")]),
        ]
        .concat(),
    );
    // Trailers alone.
    t.say(
        CLIENT,
        &[ask(&mut c, 3), frame(DATA, END_STREAM, 3, &message(4))].concat(),
    );
    t.say(
        SERVER,
        &s.trailers(3, &[(":status", "200"), grpc, ("grpc-status", "12")]),
    );
    let calls: Vec<_> = t
        .out
        .exchanges
        .iter()
        .map(|x| {
            let bytes = (x.request_message_bytes, x.response_message_bytes);
            let messages = (x.request_messages, x.response_messages);
            (x.grpc_status, messages, bytes, x.streaming())
        })
        .collect();
    use crate::exchange::Streaming::{Bidi, Unary};
    assert_eq!(
        calls,
        [
            (Some(0), (Some(2), Some(3)), (Some(9), Some(6)), Some(Bidi)),
            (
                Some(12),
                (Some(1), Some(0)),
                (Some(4), Some(0)),
                Some(Unary)
            ),
        ]
    );
}
