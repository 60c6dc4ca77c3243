//! TLS and QUIC: records of both directions with a key log or without, handshake messages, and the
//! packets in which HTTP/3 begins.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Bytes;
use crate::flow::{Chunk, Side};
use crate::time::Timestamp;
use crate::tls::certificate::{self, Certificate};
use crate::tls::handshake::Joiner;
use crate::tls::hello::{ClientHello, EncryptedExtensions, ServerHello, Version};
use crate::tls::ja4::{Transport, ja4};
use crate::tls::record::{HEADER, MAX_PAYLOAD};
use crate::tls::{Counters, Event, Facts, KeyStore, MAX_HELD, Session, Shared};

/// More than this is not fed bytewise.
const MOST_BYTEWISE: usize = 8 << 10;

/// What a listener got out of both directions.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    said: [Vec<u8>; 2],
    /// Offset behind what was said or is missing.
    next: [u64; 2],
    gaps: Vec<(Side, u64, Option<u64>)>,
    acks: Vec<(Side, u64, Option<u64>)>,
    facts: Facts,
    counters: Counters,
}

impl Heard {
    fn take(&mut self, event: Event<'_>) {
        let (side, offset, len) = match event {
            Event::Data(side, chunk) => {
                assert!(!chunk.data.is_empty());
                let peer = self.next[side.other() as usize];
                assert!(chunk.ack.is_none_or(|ack| ack <= peer), "of the future");
                self.said[side as usize].extend_from_slice(chunk.data);
                self.acks.push((side, chunk.offset, chunk.ack));
                (side, chunk.offset, chunk.data.len() as u64)
            }
            Event::Gap {
                side, offset, len, ..
            } => {
                assert_ne!(len, Some(0));
                self.gaps.push((side, offset, len));
                (side, offset, len.unwrap_or(1))
            }
        };
        let next = &mut self.next[side as usize];
        assert_eq!(offset, *next, "bytes in the wrong place");
        *next += len;
    }
}

/// One listener, fed as the flow table feeds: what is not consumed is offered again.
struct Listener {
    session: Session,
    shared: Shared,
    heard: Heard,
    carry: [Vec<u8>; 2],
    offset: [u64; 2],
    received: u64,
}

impl Listener {
    fn new(keys: Arc<KeyStore>) -> Self {
        Self {
            session: Session::default(),
            shared: Shared::new(keys),
            heard: Heard::default(),
            carry: Default::default(),
            offset: [0; 2],
            received: 0,
        }
    }

    fn end_of(&self, side: Side) -> u64 {
        self.offset[side as usize] + self.carry[side as usize].len() as u64
    }

    fn data(&mut self, side: Side, ts: Timestamp, ack: Option<u64>, bytes: &[u8]) {
        let carry = &mut self.carry[side as usize];
        carry.extend_from_slice(bytes);
        self.received += bytes.len() as u64;
        let chunk = Chunk {
            ts,
            offset: self.offset[side as usize],
            ack,
            boundary: true,
            data: carry,
        };
        let heard = &mut self.heard;
        let mut sink = |event: Event<'_>| heard.take(event);
        let used = (self.session).on_data(side, &chunk, &mut self.shared, &mut sink);
        assert!(used <= carry.len());
        carry.drain(..used);
        self.offset[side as usize] += used as u64;
        assert!(carry.len() < HEADER + MAX_PAYLOAD, "kept without end");
        self.check();
    }

    fn gap(&mut self, side: Side, ts: Timestamp, len: u64) {
        let at = self.end_of(side);
        self.carry[side as usize].clear();
        let heard = &mut self.heard;
        let mut sink = |event: Event<'_>| heard.take(event);
        (self.session).on_gap(side, ts, at, len, &mut self.shared, &mut sink);
        self.offset[side as usize] = at + len;
        self.check();
    }

    fn check(&self) {
        assert!(self.session.held() <= MAX_HELD, "{}", self.session.held());
        assert!(self.shared.waiting() <= self.session.held());
        let c = &self.shared.counters;
        // Every record has a header.
        let opened = c.records + c.not_authentic + c.refused;
        assert!(opened * HEADER as u64 <= self.received, "{c:?}");
        let said: usize = self.heard.said.iter().map(Vec::len).sum();
        assert!(said as u64 <= self.received);
        assert!(said == 0 || self.session.facts().decrypted);
    }

    fn end(mut self) -> Heard {
        let heard = &mut self.heard;
        let mut sink = |event: Event<'_>| heard.take(event);
        self.session.on_end(&mut self.shared, &mut sink);
        self.check();
        self.session.close(&mut self.shared);
        assert_eq!(self.shared.waiting(), 0);
        self.heard.facts = self.session.facts().clone();
        self.heard.counters = self.shared.counters;
        self.heard
    }
}

/// A byte of ways, a key log behind its length in two bytes, then operations: pieces of both
/// directions, once or many times, holes, time, and the moment when keys come that are late.
pub fn tls_records(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (Some(how), Some(length)) = (bytes.u8(), bytes.u16()) else {
        return;
    };
    let log = bytes.take(length.into());
    let (whole, received, keys) = listen(how, log, bytes.0, usize::MAX);
    if keys == 0 {
        assert_eq!(whole.counters.records, 0, "opened without a key");
    }
    let step = if received <= MOST_BYTEWISE { 1 } else { 1_009 };
    let (pieces, ..) = listen(how, log, bytes.0, step);
    assert_eq!(whole, pieces);
}

/// What was heard of operations whose pieces come in steps; bytes fed, and keys taken.
fn listen(how: u8, log: &[u8], ops: &[u8], step: usize) -> (Heard, usize, u64) {
    let late = how & 1 != 0;
    let keys = Arc::new(if late {
        KeyStore::growing()
    } else {
        KeyStore::default()
    });
    let mut taken = 0;
    if !late {
        taken += keys.load(log).taken;
    }
    let mut listener = Listener::new(keys.clone());
    let (mut ts, mut received) = (Timestamp::from_secs(1), 0);
    let mut bytes = Bytes(ops);
    while let (Some(op), Some(size)) = (bytes.u8(), bytes.u8()) {
        let side = if op & 1 == 0 { Side::Orig } else { Side::Resp };
        ts = ts + Duration::from_millis(1);
        match op >> 4 {
            0 => listener.gap(side, ts, u64::from(size) << (op >> 1 & 7)),
            1 if op & 2 == 0 => ts = ts + Duration::from_secs(size.into()),
            1 => taken += keys.load(log).taken,
            kind => {
                let ack = (op & 4 == 0).then(|| listener.end_of(side.other()));
                let piece = bytes.take(size.into());
                let times = if kind == 0xf { 64 } else { 1 };
                for _ in 0..times {
                    received += piece.len();
                    for part in piece.chunks(step) {
                        listener.data(side, ts, ack, part);
                    }
                }
            }
        }
    }
    (listener.end(), received, taken)
}

/// Which message, then its body; or a stream of them.
pub fn tls_hello(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else {
        return;
    };
    match kind & 3 {
        0 => client_hello(body),
        1 => server_hello(body),
        2 => certificate(body),
        _ => messages(body),
    }
}

fn client_hello(body: &[u8]) {
    let Ok(hello) = ClientHello::read(body) else {
        return;
    };
    let name = hello.server_name();
    assert!(name.is_none_or(|n| !n.is_empty() && n.len() <= 255));
    assert!(hello.ticket().is_none_or(|t| !t.is_empty()));
    assert!(hello.key_shares().count() <= body.len());
    let tcp = ja4(&hello, Transport::Tcp);
    fingerprint(&tcp);
    assert_eq!(tcp[1..], ja4(&hello, Transport::Quic)[1..]);

    // The order of ciphers and extensions says nothing.
    let kinds: BTreeSet<u16> = hello.extensions.iter().map(|e| e.0).collect();
    if kinds.len() == hello.extensions.iter().count() {
        let turned = turned(&hello);
        let turned = ClientHello::read(&turned).expect("it is whole");
        assert_eq!(ja4(&turned, Transport::Tcp), tcp);
        assert_eq!(turned.server_name(), name);
        assert_eq!(turned.newest(), hello.newest());
        assert!(turned.extensions.alpn().eq(hello.extensions.alpn()));
    }
}

/// `t13d1516h2_8daaf6152771_e5627efa2ab1`
fn fingerprint(print: &str) {
    let parts: Vec<&str> = print.split('_').collect();
    assert_eq!(
        parts.iter().map(|p| p.len()).collect::<Vec<_>>(),
        [10, 12, 12]
    );
    assert!(parts[0].bytes().all(|b| b.is_ascii_alphanumeric()));
    assert!(
        parts[1..]
            .iter()
            .all(|p| p.bytes().all(|b| b.is_ascii_hexdigit()))
    );
}

/// The same hello with its lists the other way round.
fn turned(hello: &ClientHello<'_>) -> Vec<u8> {
    let sized = |list: Vec<u8>| [&(list.len() as u16).to_be_bytes()[..], &list].concat();
    let mut ciphers: Vec<u16> = hello.ciphers.iter().collect();
    ciphers.reverse();
    let ciphers = ciphers.iter().flat_map(|c| c.to_be_bytes()).collect();
    let mut extensions: Vec<(u16, &[u8])> = hello.extensions.iter().collect();
    extensions.reverse();
    let one =
        |(kind, body): &(u16, &[u8])| [kind.to_be_bytes().to_vec(), sized(body.to_vec())].concat();
    let mut out = hello.legacy_version.0.to_be_bytes().to_vec();
    out.extend(hello.random);
    out.push(hello.session_id.len() as u8);
    out.extend(hello.session_id);
    out.extend(sized(ciphers));
    out.extend([1, 0]);
    out.extend(sized(extensions.iter().flat_map(one).collect()));
    out
}

fn server_hello(body: &[u8]) {
    if let Ok(hello) = ServerHello::read(body) {
        let _ = (hello.version(), hello.is_retry());
        let _ = (hello.extended_master_secret(), hello.pre_shared_key());
        let extensions = hello.extensions.iter().map(|(_, e)| 4 + e.len());
        assert!(hello.session_id.len() + extensions.sum::<usize>() <= body.len());
    }
    if let Ok(sent) = EncryptedExtensions::read(body) {
        let names = sent.extensions.alpn().map(|n| 1 + n.len());
        assert!(names.sum::<usize>() <= body.len());
    }
}

fn certificate(body: &[u8]) {
    for version in [Version::TLS12, Version::TLS13] {
        if let Some(read) = Certificate::read(body, version) {
            assert!(read.names.len() <= certificate::MAX_NAMES);
            assert!(read.names.iter().all(|n| n.len() <= certificate::MAX_NAME));
        }
    }
}

/// Handshake messages say the same in whatever pieces they come; behind a loss, what is found was
/// there.
fn messages(data: &[u8]) {
    let [step, high, low, lost, stream @ ..] = data else {
        return;
    };
    let joined = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut joiner, mut found) = (Joiner::default(), Vec::new());
        for piece in pieces {
            joiner.push(piece, |m| found.push((m.kind, m.whole.to_vec())));
            assert!(joiner.held() <= stream.len());
        }
        found
    };
    let whole = joined(&mut std::iter::once(stream));
    assert!(whole.iter().map(|(_, m)| m.len()).sum::<usize>() <= stream.len());
    let step = usize::from(*step).max(1);
    assert_eq!(joined(&mut stream.chunks(step)), whole);

    let at = usize::from(u16::from_be_bytes([*high, *low])) % (stream.len() + 1);
    let end = stream.len().min(at + usize::from(*lost));
    let (mut joiner, mut found) = (Joiner::default(), Vec::new());
    joiner.push(&stream[..at], |m| found.push((m.kind, m.whole.to_vec())));
    if end > at {
        joiner.lose(end - at);
    }
    joiner.push(&stream[end..], |m| found.push((m.kind, m.whole.to_vec())));
    let mut all = whole.iter();
    assert!(found.iter().all(|m| all.any(|w| w == m)), "a guess");
}
