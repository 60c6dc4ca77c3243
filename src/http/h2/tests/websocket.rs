//! WebSocket on streams (RFC 8441): what `ws` reads behind an upgrade, in DATA frames.

use proptest::prelude::*;

use super::*;

const UPGRADED: &str = "GET h/live 200 0/0";

/// SETTINGS_ENABLE_CONNECT_PROTOCOL.
const CONNECT_PROTOCOL: (u16, u32) = (8, 1);

/// Masked with zeros, which leaves the text as it is.
fn up(first: u8, text: &[u8]) -> Vec<u8> {
    [&[first, 0x80 | text.len() as u8, 0, 0, 0, 0], text].concat()
}

fn down(first: u8, text: &[u8]) -> Vec<u8> {
    [&[first, text.len() as u8], text].concat()
}

fn bytes(stream: u32, content: &[u8]) -> Vec<u8> {
    frame(DATA, 0, stream, content)
}

fn ask(peer: &mut Peer, stream: u32, protocol: &str) -> Vec<u8> {
    let fields = [
        (":method", "CONNECT"),
        (":protocol", protocol),
        (":scheme", "https"),
        (":path", "/live"),
        (":authority", "h"),
        ("sec-websocket-version", "13"),
    ];
    peer.headers(stream, 0, &fields)
}

/// Stream 1 is a WebSocket's.
fn upgraded(answer: &[(&str, &str)]) -> (Talk, Peer, Peer) {
    let mut talk = Talk::new();
    talk.say(CLIENT, &[PREFACE, &settings(&[])].concat());
    talk.say(SERVER, &settings(&[CONNECT_PROTOCOL]));
    let (mut c, mut s) = (Peer::new(), Peer::new());
    talk.say(CLIENT, &ask(&mut c, 1, "websocket"));
    let all = [&[(":status", "200")], answer].concat();
    talk.say(SERVER, &s.headers(1, 0, &all));
    (talk, c, s)
}

/// Messages of both ways, of one frame and of several.
fn conversation() -> (Vec<u8>, Vec<u8>) {
    let to_server = [
        up(0x81, b"{\"n\":1}"),
        up(0x01, b"{\"n\""),
        up(0x89, b"there?"),
        up(0x80, b":2}"),
        up(0x88, b"\x03\xe8"),
    ];
    let to_client = [
        down(0x81, b"hello"),
        down(0x8a, b"there?"),
        down(0x82, &[7; 100]),
    ];
    (to_server.concat(), to_client.concat())
}

const CONVERSATION: &str = "websocket 2/14 2/105 1000 fo";

#[test]
fn it_is_an_exchange_and_a_session() {
    let (mut t, mut c, mut s) = upgraded(&[]);
    let (to_server, to_client) = conversation();
    t.say(CLIENT, &bytes(1, &to_server));
    // Another stream's exchange goes on beside it.
    t.say(CLIENT, &c.get(3, "/a"));
    t.say(SERVER, &[s.status(3, "200"), last_data(3, "x")].concat());
    t.say(SERVER, &bytes(1, &to_client));
    t.say(CLIENT, &last_data(1, ""))
        .say(SERVER, &last_data(1, ""));
    assert_eq!(t.out.counters.sessions.records, 1, "its stream is over");
    let records = t.records();
    let (x, session) = (&records[0], records[2].session.as_ref().unwrap());
    assert_eq!((&*x.protocol, &*x.scheme), ("http/2", "https"));
    assert!(x.latency_ms.is_some() && !x.partial.any());
    assert_eq!(records[2].method.as_deref(), Some("GET"));
    assert_eq!((session.pings, session.pongs), (1, 1));
    assert_eq!((session.opened, records[1].status), (x.end, Some(200)));
    assert_eq!(t.out.counters.websocket, 1);
    let (mut t, ..) = upgraded(&[]);
    t.say(CLIENT, &bytes(1, &to_server))
        .say(SERVER, &bytes(1, &to_client));
    t.say(CLIENT, &reset(1));
    assert_eq!(t.told(), [UPGRADED, CONVERSATION]);
}

#[test]
fn cut_at_every_offset() {
    let (to_server, to_client) = conversation();
    for cut in 0..to_server.len() {
        // Into two DATA frames, and one frame into two segments.
        let (one, two) = to_server.split_at(cut);
        let whole = bytes(1, &to_server);
        for pieces in [
            [bytes(1, one), bytes(1, two)],
            [whole[..9 + cut].to_vec(), whole[9 + cut..].to_vec()],
        ] {
            let (mut t, ..) = upgraded(&[]);
            pieces.iter().for_each(|piece| _ = t.say(CLIENT, piece));
            t.say(SERVER, &bytes(1, &to_client));
            assert_eq!(t.told(), [UPGRADED, CONVERSATION], "{cut}");
        }
    }
    let (mut t, ..) = upgraded(&[]);
    for byte in to_server.chunks(1) {
        t.say(CLIENT, &bytes(1, byte));
    }
    t.say(SERVER, &bytes(1, &to_client));
    assert_eq!(t.told(), [UPGRADED, CONVERSATION]);
}

#[test]
fn compressed_as_the_server_says() {
    let squeezed = down(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    let agreed = ("sec-websocket-extensions", "permessage-deflate");
    let (mut t, ..) = upgraded(&[agreed]);
    t.say(SERVER, &bytes(1, &squeezed));
    let records = t.records();
    assert_eq!(records[1].session.as_ref().unwrap().down.compressed, 1);
    let (mut t, ..) = upgraded(&[]);
    t.say(SERVER, &bytes(1, &squeezed));
    assert_eq!(t.told()[1], "websocket 0/0 0/0 fol");
}

#[test]
fn a_refusal_or_another_protocol_is_an_exchange_alone() {
    for (protocol, status, told) in [
        ("websocket", "403", "GET h/live 403 0/2"),
        ("connect-udp", "200", "CONNECT h/live 200 0/2"),
    ] {
        let (mut t, mut c, mut s) = greeted();
        t.say(CLIENT, &ask(&mut c, 1, protocol));
        t.say(SERVER, &[s.status(1, status), last_data(1, "no")].concat());
        t.say(CLIENT, &last_data(1, ""));
        assert_eq!(t.told(), [told]);
    }
}

#[test]
fn a_hole_costs_what_was_in_it() {
    // Inside of a payload.
    let (mut t, ..) = upgraded(&[]);
    let message = bytes(1, &down(0x82, &[9; 100]));
    t.say(SERVER, &message[..40])
        .unseen(SERVER, &message[40..60])
        .say(SERVER, &message[60..])
        .say(SERVER, &bytes(1, &down(0x81, b"after")))
        .wait(20);
    assert_eq!(t.told(), [UPGRADED, "websocket 0/0 2/105 fol"]);
    // Of whole frames: once the direction is found again, it goes on with a DATA frame that begins
    // one of WebSocket's.
    let (mut t, mut c, mut s) = upgraded(&[]);
    t.say(SERVER, &bytes(1, &down(0x81, b"before")))
        .unseen(SERVER, &bytes(1, &down(0x81, b"unseen")))
        .say(CLIENT, &c.get(3, "/a"))
        .say(SERVER, &[s.status(3, "200"), last_data(3, "x")].concat())
        .say(SERVER, &bytes(1, b"of what began unseen"))
        .say(SERVER, &bytes(1, &down(0x81, b"after")))
        .wait(100);
    // It has shown that it lives, so it is not what is given up when a request needs room.
    t.say(CLIENT, &c.get(5, "/b"));
    t.say(SERVER, &[s.status(5, "200"), last_data(5, "x")].concat());
    t.say(SERVER, &bytes(1, &down(0x81, b"and after")));
    let told = t.told();
    assert_eq!(told[..3], [UPGRADED, "GET h/a 200 0/1", "GET h/b 200 0/1"]);
    assert_eq!(told[3], "websocket 0/0 3/20 fol");
}

#[test]
fn what_comes_before_the_answer_is_not_read() {
    let (mut t, mut c, mut s) = greeted();
    t.say(CLIENT, &ask(&mut c, 1, "websocket"));
    t.say(CLIENT, &bytes(1, &up(0x81, b"hasty")));
    t.say(SERVER, &s.status(1, "200"));
    t.say(CLIENT, &bytes(1, &up(0x81, b"patient")));
    assert_eq!(t.told(), [UPGRADED, "websocket 1/7 0/0 fol"]);
}

proptest! {
    /// Whatever comes, with whatever holes: the sums add up (`Talk` holds that), and there is one
    /// session that ends.
    #[test]
    fn any_bytes(
        pieces in prop::collection::vec((0..2_usize, any::<bool>(), prop_oneof![
            prop::collection::vec(any::<u8>(), 0..100),
            Just(up(0x81, b"abc")), Just(down(0x01, b"abc")), Just(down(0x80, b"")),
        ]), 0..30),
    ) {
        let (mut t, ..) = upgraded(&[("sec-websocket-extensions", "permessage-deflate")]);
        for (side, seen, content) in &pieces {
            let piece = bytes(1, content);
            if *seen { t.say(*side, &piece) } else { t.unseen(*side, &piece) };
        }
        t.wait(20);
        let records = t.records();
        let sessions = records.iter().filter_map(|x| x.session.as_ref());
        prop_assert_eq!(sessions.filter(|s| s.over).count(), 1);
    }
}

#[test]
fn a_silent_one_beside_others_reports_in_time() {
    let (mut t, mut c, mut s) = upgraded(&[]);
    t.say(CLIENT, &bytes(1, &up(0x81, b"abc")));
    for stream in [3, 5, 7] {
        t.wait(250).say(CLIENT, &c.get(stream, "/a"));
        t.say(
            SERVER,
            &[s.status(stream, "200"), last_data(stream, "x")].concat(),
        );
    }
    let sessions = t.out.exchanges.iter().filter(|x| x.session.is_some());
    assert_eq!(sessions.count(), 1);
    assert_eq!(t.told()[5], "websocket 0/0 0/0 o");
}
