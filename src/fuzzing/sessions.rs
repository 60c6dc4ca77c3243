//! What is read beside plain exchanges: WebSocket, event streams, and what proxies say.

use std::io::Write;
use std::net::IpAddr;

use super::http::{Bench, conversation};
use crate::exchange::{Exchange, Session};
use crate::flow::{End, Side};
use crate::http::{Trusted, fuzz_texts};

/// Both directions behind an upgrade: in pieces with holes, or whole and in steps; or compressed
/// messages.
pub fn websocket(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else {
        return;
    };
    match how >> 6 {
        0 | 1 => conversation(rest, |bench| upgrade(bench, how)),
        2 => frames_in_steps(how, rest),
        _ => fuzz_texts(data),
    }
}

/// RFC 6455, section 4, with what the server agrees to.
fn upgrade(bench: &mut Bench, how: u8) {
    let agreed = match how & 3 {
        0 => "",
        1 => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        2 => "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n",
        _ => "Sec-WebSocket-Extensions: x-other\r\n",
    };
    let ask = b"GET /live HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{agreed}\r\n"
    );
    bench.data(Side::Orig, ask, true, Some(0));
    bench.data(Side::Resp, answer.as_bytes(), true, None);
    assert_eq!(bench.out.counters.websocket, 1);
}

/// What session records tell, but for their times.
fn carried(bench: &Bench) -> Vec<Session> {
    bench
        .kept
        .iter()
        .filter_map(|x| x.session.as_deref().copied())
        .collect()
}

/// The client's half of the bytes, then the server's.
fn frames_in_steps(how: u8, data: &[u8]) {
    let (client, server) = data.split_at(data.len() / 2);
    let run = |step: usize| {
        let mut bench = Bench::new(true);
        upgrade(&mut bench, how);
        for (side, bytes) in [(Side::Orig, client), (Side::Resp, server)] {
            for (i, piece) in bytes.chunks(step).enumerate() {
                bench.data(side, piece, i == 0, None);
            }
        }
        bench.close(End::Fin);
        bench
    };
    let (whole, bytewise) = (run(usize::MAX), run(1));
    // Behind what is no frame, segments' beginnings are all there is to go by.
    let lost = |b: &Bench| b.out.counters.sessions.malformed > 0;
    assert_eq!(lost(&whole), lost(&bytewise));
    if !lost(&whole) {
        assert_eq!(carried(&whole), carried(&bytewise));
        let payload = |t: crate::exchange::Traffic| t.bytes;
        let bytes = carried(&whole)
            .into_iter()
            .map(|s| payload(s.up) + payload(s.down));
        assert!(bytes.sum::<u64>() <= data.len() as u64);
    }
}

/// A body that is an event stream, whole, in steps and with a hole: the place of the hole in two
/// bytes, its length, then the body.
pub fn events(data: &[u8]) {
    let [step, high, low, lost, body @ ..] = data else {
        return;
    };
    let told = |bench: &Bench| {
        let traffic = carried(bench)
            .into_iter()
            .map(|s| (s.down.messages, s.down.bytes));
        traffic.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    };
    let run = |step: usize| {
        let mut bench = stream();
        for piece in body.chunks(step) {
            bench.data(Side::Resp, piece, false, None);
        }
        bench.close(End::Fin);
        told(&bench)
    };
    let wanted = (events_of(body), body.len() as u64);
    assert_eq!(run(usize::MAX), wanted);
    assert_eq!(run(usize::from(*step).max(1)), wanted);

    let at = usize::from(u16::from_be_bytes([*high, *low])) % (body.len() + 1);
    let end = body.len().min(at + usize::from(*lost));
    let mut bench = stream();
    bench.data(Side::Resp, &body[..at], false, None);
    if end > at {
        bench.gap(Side::Resp, (end - at) as u64);
    }
    bench.data(Side::Resp, &body[end..], true, None);
    bench.close(End::Fin);
    let (events, bytes) = told(&bench);
    assert!(
        events <= wanted.0 && bytes <= wanted.1,
        "more than there was"
    );
}

/// An event stream has begun.
fn stream() -> Bench {
    let mut bench = Bench::new(true);
    let ask = b"GET /feed HTTP/1.1\r\nHost: h\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    bench.data(Side::Orig, ask, true, None);
    bench.data(Side::Resp, answer, true, None);
    bench
}

/// As the standard says it, line by line: an event has a data field and ends with a blank line.
fn events_of(mut body: &[u8]) -> u64 {
    let (mut events, mut data) = (0, false);
    while let Some(end) = body.iter().position(|b| matches!(b, b'\r' | b'\n')) {
        let line = &body[..end];
        let crlf = body[end..].starts_with(b"\r\n");
        body = &body[end + 1 + usize::from(crlf)..];
        data |= line == b"data" || line.starts_with(b"data:");
        if line.is_empty() {
            events += u64::from(std::mem::take(&mut data));
        }
    }
    events
}

/// A byte of ways, a header of the PROXY protocol behind its length, then field lines of a request.
pub fn proxy(data: &[u8]) {
    let [how, length, rest @ ..] = data else {
        return;
    };
    let (header, fields) = rest.split_at(rest.len().min((*length).into()));
    let mut request = header.to_vec();
    let _ = request.write_all(b"GET /who HTTP/1.1\r\nHost: h\r\n");
    request.extend_from_slice(fields);
    request.extend_from_slice(b"\r\n\r\n");
    let trusts = how & 1 != 0;
    let run = |step: usize| {
        let mut bench = Bench::new(true);
        if trusts {
            bench.out.trusted = Trusted::new("10.0.0.0/8".parse().ok());
        }
        for (i, piece) in request.chunks(step).enumerate() {
            bench.data(Side::Orig, piece, i == 0, None);
        }
        bench.close(End::Fin);
        bench
    };
    let (whole, bytewise) = (run(usize::MAX), run(1));
    for bench in [&whole, &bytewise] {
        let c = &bench.out.counters;
        assert!(c.proxied_trusted <= c.proxied && c.proxied <= 1);
        assert!(trusts || c.proxied_trusted == 0);
        bench.kept.iter().for_each(|x| believed(x, trusts));
    }
    let lost = |b: &Bench| {
        let c = &b.out.counters;
        c.malformed + c.unknown + c.tls + c.http2 + c.upgraded + c.ambiguous_framing + c.websocket
            > 0
    };
    if lost(&whole) || lost(&bytewise) {
        return;
    }
    let told = |b: &Bench| -> Vec<_> {
        let who = |x: &Exchange| {
            (
                x.client,
                x.client_port,
                x.via,
                x.scheme.clone(),
                x.host.clone(),
            )
        };
        b.kept.iter().map(who).collect()
    };
    assert_eq!(told(&whole), told(&bytewise));
}

/// Only a proxy that is trusted is believed, and then it stands in `via`.
fn believed(x: &Exchange, trusts: bool) {
    let peers = [
        (IpAddr::from([10, 0, 0, 1]), 1_000),
        (IpAddr::from([10, 0, 0, 2]), 80),
    ];
    let itself = peers.contains(&(x.client, x.client_port));
    assert!(itself || trusts, "{} is not believed", x.client);
    assert!(itself || x.via.is_some_and(|via| peers.contains(&via)));
    assert!(trusts || x.via.is_none());
    assert!(matches!(&*x.scheme, "http" | "https"));
    assert_eq!(x.client, x.client.to_canonical());
}
