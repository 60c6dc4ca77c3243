use std::sync::Arc;

use rustls::crypto::ring::cipher_suite;

use super::*;
use crate::exchange::Exchange;
use crate::observe::Observer;
use crate::tls::KeyStore;
use crate::tls::tests::{Conversation, Peers};

const ENDS: FlowInfo = FlowInfo {
    orig: (IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 40_000),
    resp: (IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)), 8_443),
    vni: None,
    from_start: true,
    via: None,
};

/// One flow as the flow table would feed it.
struct Flow {
    connection: Connection,
    out: Out,
    carry: [Vec<u8>; 2],
    at: [u64; 2],
    now: i64,
}

impl Flow {
    fn new(keys: Arc<KeyStore>, info: &FlowInfo) -> Self {
        Self {
            connection: Connection::new(info),
            out: Out::new(Observer::new(&[7; 32], true), keys),
            carry: [Vec::new(), Vec::new()],
            at: [0; 2],
            now: 0,
        }
    }

    fn push(&mut self, side: Side, bytes: &[u8]) {
        self.now += 1;
        let (mine, other) = (side as usize, side.other() as usize);
        self.carry[mine].extend_from_slice(bytes);
        let chunk = Chunk {
            ts: Timestamp::from_secs(self.now),
            offset: self.at[mine],
            ack: Some(self.at[other] + self.carry[other].len() as u64),
            boundary: self.carry[mine].len() == bytes.len(),
            data: &self.carry[mine],
        };
        let used = self.connection.on_data(side, chunk, &mut self.out);
        self.carry[mine].drain(..used);
        self.at[mine] += used as u64;
    }

    fn talk(&mut self, talk: &Conversation, size: usize) {
        for (side, bytes) in &talk.wire {
            bytes.chunks(size).for_each(|piece| self.push(*side, piece));
        }
    }

    fn end(mut self) -> Out {
        let ts = Timestamp::from_secs(self.now);
        self.connection.on_end(Side::Orig, ts, &mut self.out);
        self.connection.on_end(Side::Resp, ts, &mut self.out);
        self.connection.on_close(ts, End::Fin, &mut self.out);
        let c = self.out.counters;
        assert_eq!(c.messages, c.analysed + c.interim + c.malformed + c.shed);
        self.out
    }
}

/// Three requests, two of them pipelined.
fn conversation(peers: &Peers) -> Conversation {
    let mut talk = peers.connect();
    talk.settle();
    talk.client_says(b"GET /a HTTP/1.1\r\nHost: api.example\r\n\r\n");
    talk.server_says(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none");
    talk.client_says(
        b"GET /b HTTP/1.1\r\nHost: api.example\r\n\r\nPUT /c HTTP/1.1\r\nHost: api.example\r\n\
          Content-Length: 40000\r\n\r\n",
    );
    talk.client_says(&[b'x'; 40_000]);
    talk.server_says(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    talk.server_says(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    talk
}

fn lines(exchanges: &[Box<Exchange>]) -> Vec<String> {
    let line = |x: &Exchange| {
        assert!(!x.partial.any(), "{x:?}");
        let part = |t: &Option<CompactString>| t.clone().unwrap_or_default();
        let status = x.status.unwrap_or(0);
        format!(
            "{} {} {} {status}",
            x.scheme,
            part(&x.method),
            part(&x.path)
        )
    };
    exchanges.iter().map(|x| line(x)).collect()
}

const EXPECTED: [&str; 3] = ["https GET /a 200", "https GET /b 404", "https PUT /c 201"];

#[test]
fn what_the_keys_open_is_read_as_if_in_clear() {
    for suite in [
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ] {
        let peers = Peers::new(suite, |_, _| {});
        let talk = conversation(&peers);
        for size in [1, 333, 100_000] {
            let mut flow = Flow::new(peers.keys(), &ENDS);
            flow.talk(&talk, size);
            let out = flow.end();
            assert_eq!(lines(&out.exchanges), EXPECTED);
            assert_eq!(out.exchanges[2].request_bytes, Some(40_000));
            let [flow] = &out.tls_flows[..] else {
                panic!("{:?}", out.tls_flows)
            };
            assert!(flow.opened);
            let sent = |side| talk.wire.iter().filter(move |(s, _)| *s == side);
            let sent = [Side::Orig, Side::Resp].map(|side| sent(side).map(|w| w.1.len()).sum());
            let bytes: [usize; 2] = sent;
            assert_eq!(flow.bytes, bytes.map(|n| n as u64));
        }
    }
}

#[test]
fn keys_may_come_when_the_flow_is_over() {
    let peers = Peers::new(cipher_suite::TLS13_AES_256_GCM_SHA384, |_, _| {});
    let talk = conversation(&peers);
    let over = |keys: &Arc<KeyStore>| {
        let mut flow = Flow::new(keys.clone(), &ENDS);
        for (side, bytes) in &talk.wire {
            // All at once.
            flow.now = 0;
            flow.push(*side, bytes);
        }
        flow.end()
    };
    let keys = Arc::new(KeyStore::growing());
    let mut out = over(&keys);
    out.now = Timestamp::from_secs(1);
    out.tick(false);
    assert_eq!((out.exchanges.len(), out.tls_flows.len()), (0, 0));
    keys.load(&peers.log());
    out.tick(false);
    assert_eq!(lines(&out.exchanges), EXPECTED);
    assert!(out.tls_flows[0].opened);

    // Keys that never come are waited for within bounds.
    let keys = Arc::new(KeyStore::growing());
    for (now, last) in [(1, true), (11, false)] {
        let mut out = over(&keys);
        out.now = Timestamp::from_secs(now);
        out.tick(last);
        assert_eq!((out.exchanges.len(), out.tls_flows.len()), (0, 1));
        assert_eq!(out.tls_counters().late, 1);
    }
}

#[test]
fn a_tunnel_through_a_proxy_is_looked_into() {
    let peers = Peers::new(cipher_suite::TLS13_AES_256_GCM_SHA384, |_, _| {});
    let talk = conversation(&peers);
    let mut flow = Flow::new(peers.keys(), &ENDS);
    flow.push(
        Side::Orig,
        b"CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n\r\n",
    );
    flow.push(Side::Resp, b"HTTP/1.1 200 Connection established\r\n\r\n");
    flow.talk(&talk, 1_460);
    let out = flow.end();
    let seen = lines(&out.exchanges);
    assert_eq!(seen[0].split(' ').nth(1), Some("CONNECT"));
    assert!(seen[0].starts_with("http "));
    assert_eq!(seen[1..], EXPECTED);
}

#[test]
fn without_keys_it_is_a_dark_flow_that_holds_nothing() {
    let peers = Peers::new(cipher_suite::TLS13_AES_256_GCM_SHA384, |_, _| {});
    let talk = conversation(&peers);
    let mut flow = Flow::new(Arc::default(), &ENDS);
    flow.talk(&talk, 1_460);
    assert_eq!(flow.connection.held(), 0);
    assert!(flow.carry.iter().all(Vec::is_empty));
    let out = flow.end();
    assert_eq!((out.exchanges.len(), out.counters.tls), (0, 1));
    let flow = &out.tls_flows[0];
    assert_eq!(flow.server_name.as_deref(), Some("api.example"));
    assert!(!flow.opened);

    // Joined in the middle of it there is no name, and still a host.
    let info = FlowInfo {
        from_start: false,
        ..ENDS
    };
    let mut flow = Flow::new(peers.keys(), &info);
    for (side, bytes) in &talk.wire[6..] {
        flow.push(*side, bytes);
    }
    let out = flow.end();
    let [flow] = &out.tls_flows[..] else {
        panic!("{:?}", out.tls_flows)
    };
    assert_eq!((flow.server, flow.server_port), ENDS.resp);
    assert_eq!(flow.server_name, None);
}

#[test]
fn a_clients_certificate_is_a_credential_of_every_call_behind_it() {
    for suite in [
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ] {
        for (peers, mutual) in [
            (Peers::mutual(suite), true),
            (Peers::new(suite, |_, _| {}), false),
        ] {
            let talk = conversation(&peers);
            let late = Arc::new(KeyStore::growing());
            for (keys, size) in [
                (peers.keys(), 333),
                (peers.keys(), 100_000),
                (late, 100_000),
            ] {
                let mut flow = Flow::new(keys.clone(), &ENDS);
                flow.talk(&talk, size);
                // Where they were there from the first, that changes nothing.
                keys.load(&peers.log());
                let out = flow.end();
                assert_eq!(lines(&out.exchanges), EXPECTED);
                let shown = |x: &Exchange| x.presented().iter().any(|p| p.scheme == "mtls");
                assert!(
                    out.exchanges.iter().all(|x| shown(x) == mutual),
                    "{mutual}, {size}"
                );
            }
        }
    }
}
