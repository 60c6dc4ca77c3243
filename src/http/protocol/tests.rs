use crate::http::Trusted;
use crate::http::tests::Talk;

const V1: &[u8] = b"PROXY TCP4 203.0.113.7 10.0.0.2 50000 80\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x12\xcb\x00\x71\x07\x0a\x00\x00\x02\xc3\x50\x00\x50\x04\x00\x03abc";
const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// What a client that knows the proxy trusts it with.
const SPOOFED: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";

fn talk(trusted: &str) -> Talk {
    let mut talk = Talk::new();
    talk.out.trusted = Trusted::new([trusted.parse().unwrap()]);
    talk
}

/// `client:port via path status` of each exchange.
fn told(talk: &mut Talk) -> Vec<String> {
    let line = |x: &crate::exchange::Exchange| {
        let via = x.via.map_or_else(|| "-".into(), |(ip, _)| ip.to_string());
        let path = x.path.as_deref().unwrap_or("-");
        let status = x.status.map_or(0, u64::from);
        format!("{}:{} {via} {path} {status}", x.client, x.client_port)
    };
    talk.records().iter().map(|x| line(x)).collect()
}

#[test]
fn a_trusted_proxy_says_who_its_client_is() {
    for header in [V1, V2] {
        let whole = [header, GET].concat();
        for cut in 0..whole.len() {
            let mut talk = talk("10.0.0.1/32");
            talk.say(0, &whole[..cut]).say(0, &whole[cut..]).say(1, OK);
            let lines = told(&mut talk);
            assert_eq!(lines, ["203.0.113.7:50000 10.0.0.1 /a 200"], "{cut}");
            assert_eq!(talk.out.counters.proxied_trusted, 1);
        }
    }
}

#[test]
fn of_anybody_else_the_header_is_stepped_over() {
    for header in [V1, V2] {
        let mut talk = talk("10.0.0.2/32");
        talk.say(0, &[header, GET].concat()).say(1, OK);
        assert_eq!(told(&mut talk), ["10.0.0.1:40000 - /a 200"]);
        let c = talk.out.counters;
        assert_eq!((c.proxied, c.proxied_trusted), (1, 0));
    }
}

#[test]
fn the_client_of_a_proxy_is_not_believed_in_turn() {
    let mut first = talk("10.0.0.1/32");
    first.say(0, &[V1, SPOOFED].concat()).say(1, OK);
    assert_eq!(told(&mut first), ["203.0.113.7:50000 10.0.0.1 /a 200"]);
    // But another proxy is.
    let inner = b"PROXY TCP4 10.0.0.8 10.0.0.2 50000 80\r\n";
    let mut chain = talk("10.0.0.0/24");
    chain.say(0, &[&inner[..], SPOOFED].concat()).say(1, OK);
    assert_eq!(told(&mut chain), ["6.6.6.6:0 10.0.0.1 /a 200"]);
}

#[test]
fn values_and_holes_inside_of_a_header() {
    let long = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x07\xdc\xcb\x00\x71\x07\x0a\x00\x00\x02\xc3\x50\x00\x50"[..],
        &[0; 2_000],
    ]
    .concat();
    let mut talk = talk("10.0.0.1/32");
    talk.say(0, &long[..100])
        .unseen(0, &long[100..1_500])
        .say(0, &long[1_500..])
        .say(0, GET)
        .say(1, OK)
        .wait(20);
    assert_eq!(told(&mut talk), ["203.0.113.7:50000 10.0.0.1 /a 200"]);
}

#[test]
fn http2_behind_a_header() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // :method GET, :scheme http, :path /, by the static table alone.
    let request = b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84";
    let answer = b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x01\x88";
    let mut talk = talk("10.0.0.1/32");
    talk.say(0, &[V2, preface, request].concat()).say(1, answer);
    assert_eq!(told(&mut talk), ["203.0.113.7:50000 10.0.0.1 / 200"]);
    assert_eq!(talk.out.counters.http2, 1);
}

#[test]
fn every_request_of_a_connection_has_its_own_client() {
    let ask = |xff: &str| format!("GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {xff}\r\n\r\n");
    let mut talk = talk("10.0.0.1/32");
    for xff in ["203.0.113.7", "203.0.113.8"] {
        talk.say(0, ask(xff).as_bytes()).say(1, OK);
    }
    talk.say(0, GET).say(1, OK);
    let lines = told(&mut talk);
    let wanted = [
        "203.0.113.7:0 10.0.0.1 /a 200",
        "203.0.113.8:0 10.0.0.1 /a 200",
        "10.0.0.1:40000 - /a 200",
    ];
    assert_eq!(lines, wanted);
}
