use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::http::tests::Talk;
use crate::time::Timestamp;

fn message(flags: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&[flags], &len[..], payload].concat()
}

fn post(content_type: &str, extra: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /shop.Orders/Get HTTP/1.1\r\nHost: h\r\nContent-Type: {content_type}\r\n{extra}\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn answer(status: u16, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Kind, status, messages and their bytes: `grpc-web 0 1:5 2:7`.
fn call(x: &Exchange) -> String {
    let n = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let status = n(x.grpc_status.map(u64::from));
    format!(
        "{} {status} {}:{} {}:{}",
        x.rpc.map_or("-", Rpc::as_str),
        n(x.request_messages),
        n(x.request_message_bytes),
        n(x.response_messages),
        n(x.response_message_bytes)
    )
}

/// Says it in one piece, and in pieces of every small size; it must come to the same.
fn over_http1(request: &[u8], response: &[u8]) -> String {
    let mut calls = [usize::MAX, 1, 2, 3, 7, 50].map(|size| {
        let mut t = Talk::new();
        request.chunks(size).for_each(|piece| _ = t.say(0, piece));
        response.chunks(size).for_each(|piece| _ = t.say(1, piece));
        call(&t.out.exchanges[0])
    });
    assert!(calls.windows(2).all(|pair| pair[0] == pair[1]), "{calls:?}");
    std::mem::take(&mut calls[0])
}

#[test]
fn grpc_web_has_its_trailers_in_the_body() {
    let request = post("application/grpc-web+proto", "", &message(0, b"hello"));
    let body = [
        message(0, b"one"),
        message(1, b"two!"),
        message(0x80, b"grpc-status: 5\r\ngrpc-message: x\r\n"),
    ]
    .concat();
    let response = answer(200, "application/grpc-web+proto", &body);
    assert_eq!(over_http1(&request, &response), "grpc-web 5 1:5 2:7");
    // In base64, the trailers as a piece of their own.
    let (front, back) = body.split_at(17);
    let text = STANDARD.encode(front) + &STANDARD.encode(back);
    let request = post(
        "application/grpc-web-text",
        "",
        STANDARD.encode(message(0, b"hello")).as_bytes(),
    );
    let response = answer(200, "application/grpc-web-text+proto", text.as_bytes());
    assert_eq!(over_http1(&request, &response), "grpc-web 5 1:5 2:7");
}

#[test]
fn connect_says_how_a_stream_ended() {
    let request = post("application/connect+json", "", &message(0, b"{}"));
    let ends = [
        ("{}", "0"),
        (
            r#"{"error":{"code":"permission_denied","message":"no"}}"#,
            "7",
        ),
        ("not json", "-"),
    ];
    for (end, status) in ends {
        let body = [
            message(0, b"a"),
            message(0, b"b"),
            message(2, end.as_bytes()),
        ]
        .concat();
        let response = answer(200, "application/connect+json", &body);
        let expected = format!("connect {status} 1:2 2:2");
        assert_eq!(over_http1(&request, &response), expected);
    }
}

#[test]
fn connect_unary_is_the_body_itself() {
    let version = "Connect-Protocol-Version: 1\r\n";
    let request = post("application/proto", version, b"12345");
    let good = answer(200, "application/proto", b"123");
    assert_eq!(over_http1(&request, &good), "connect 0 1:5 1:3");
    let bad = answer(404, "application/json", br#"{"code":"not_found"}"#);
    assert_eq!(over_http1(&request, &bad), "connect 5 1:5 0:0");
    let request = post("application/proto", "", b"12345");
    assert_eq!(over_http1(&request, &good), "- - -:- -:-");
}

#[test]
fn connect_unary_may_be_a_get() {
    let get = |query: &str| {
        let request = format!("GET /shop.Orders/Get?{query} HTTP/1.1\r\nHost: h\r\n\r\n");
        let good = answer(200, "application/json", b"{}");
        over_http1(request.as_bytes(), &good)
    };
    // {"id":1} in every way that it may be said.
    for (message, bytes) in [
        ("connect=v1&encoding=json&message=%7B%22id%22%3A1%7D", "8"),
        ("message={%22id%22:1}&encoding=json&connect=v1", "8"),
        ("base64=1&connect=v1&encoding=json&message=eyJpZCI6MX0", "8"),
        (
            "base64=1&connect=v1&encoding=json&message=eyJpZCI6MX0%3D",
            "8",
        ),
        (
            "base64=1&connect=v1&encoding=json&message=eyJpZCI6MX0=",
            "8",
        ),
        (
            "base64=1&compression=gzip&connect=v1&encoding=proto&message=H4sI",
            "3",
        ),
        ("connect=v1&encoding=proto&message=", "0"),
        // No base64, whatever it says.
        ("base64=1&connect=v1&encoding=json&message=e", "-"),
        ("base64=1&connect=v1&encoding=json&message=e+J%2F", "-"),
        ("base64=1&connect=v1&encoding=json&message=ey==J", "-"),
    ] {
        assert_eq!(
            get(message),
            format!("connect 0 1:{bytes} 1:2"),
            "{message}"
        );
    }
    for other in [
        "connect=v2&encoding=json&message=x",
        "encoding=json&message=x",
        "connect=v1&encoding=json",
        "connect=v1&message=x",
        "reconnect=v1&encoding=json&message=x",
    ] {
        assert_eq!(get(other), "- - -:- -:-", "{other}");
    }
    let request = b"GET /shop.Orders/Get?connect=v1&encoding=json&message=%7B%7D HTTP/1.1\r\n\r\n";
    let bad = answer(403, "application/json", br#"{"code":"permission_denied"}"#);
    assert_eq!(over_http1(request, &bad), "connect 7 1:2 0:0");
}

#[test]
fn what_is_no_message_is_not_counted() {
    let request = post("application/grpc-web", "", &message(0, b"hello"));
    // A proxy's page in place of an answer.
    let page = answer(502, "text/html", b"<html>bad gateway</html>");
    assert_eq!(over_http1(&request, &page), "grpc-web - 1:5 0:0");
    // Flags that mean nothing, and what comes behind the end.
    for body in [
        [message(0, b"one"), message(0x40, b"two")].concat(),
        [message(0x80, b"grpc-status:0"), message(0, b"two")].concat(),
    ] {
        let response = answer(200, "application/grpc-web", &body);
        assert_eq!(over_http1(&request, &response), "grpc-web - 1:5 -:-");
    }
}

fn counted(framing: Framing, holes: &[(usize, usize)], body: &[u8]) -> Option<u64> {
    let mut messages = Messages::new(framing);
    let mut at = 0;
    for (from, len) in holes {
        messages.feed(&body[at..*from]);
        messages.skip(*len as u64);
        at = from + len;
    }
    messages.feed(&body[at..]);
    let mut x = Exchange::at(Timestamp(0));
    messages.end_response(&mut x);
    x.response_messages
}

#[test]
fn a_hole_inside_a_payload_is_stepped_over() {
    let body = [message(0, &[7; 100]), message(0, b"abc")].concat();
    for from in 0..body.len() {
        for len in 1..=body.len() - from {
            let inside = (5..=105).contains(&from) && from + len <= 105
                || from >= 110 && from + len <= body.len();
            let expected = inside.then_some(2);
            let count = counted(Framing::Grpc, &[(from, len)], &body);
            assert_eq!(count, expected, "{from} {len}");
        }
    }
}

#[test]
fn an_end_is_kept_only_so_far() {
    let mut messages = Messages::new(Framing::Web);
    messages.feed(&message(0x80, &vec![b'x'; 1 << 20]));
    assert_eq!(messages.end.len(), MAX_ENDING);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        body in prop::collection::vec(any::<u8>(), 0..200),
        size in 1_usize..20,
        framing in prop::sample::select(vec![
            Framing::Grpc, Framing::Web, Framing::WebText, Framing::Connect, Framing::BareError,
        ]),
    ) {
        let mut messages = Messages::new(framing);
        body.chunks(size).for_each(|piece| messages.feed(piece));
        let mut whole = Messages::new(framing);
        whole.feed(&body);
        prop_assert_eq!((messages.count, messages.broken), (whole.count, whole.broken));
        whole.end_response(&mut Exchange::at(Timestamp(0)));
    }

    #[test]
    fn a_message_in_a_query_has_its_length(message in prop::collection::vec(any::<u8>(), 0..50)) {
        let length = message.len() as u64;
        let record = |query: String| {
            let mut x = Exchange::at(Timestamp(0));
            get(&mut x, Some(&format!("connect=v1&encoding=proto{query}")));
            (x.request_messages, x.request_message_bytes)
        };
        let digits = base64::engine::general_purpose::URL_SAFE.encode(&message);
        let bare = digits.trim_end_matches('=');
        let percent = percent_encoding::percent_encode(&message, percent_encoding::NON_ALPHANUMERIC);
        for query in [
            format!("&message={digits}&base64=1"),
            format!("&base64=1&message={bare}"),
            format!("&message={percent}"),
        ] {
            prop_assert_eq!(record(query), (Some(1), Some(length)));
        }
    }

    #[test]
    fn any_query_is_survived(query in ".{0,60}") {
        get(&mut Exchange::at(Timestamp(0)), Some(&format!("connect=v1&encoding=x&{query}")));
    }
}
