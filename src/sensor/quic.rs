//! QUIC connections: only their first packets can be read, and those name the host. Behind them a
//! connection is bytes that count towards the dark inventory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::decode::Datagram;
use crate::exchange::TlsFlow;
use crate::flow::FlowKey;
use crate::http;
use crate::time::Timestamp;
use crate::tls::quic::{Hello, Progress, is_initial};

/// Connections of one virtual shard; a flood of first packets costs no more. Those that find no
/// room are counted as datagrams that nothing is known of.
const MAX_FLOWS: usize = 256;

/// Endpoints give up after 30 s by default (RFC 9000, section 10.1, leaves it to them).
const IDLE: Duration = Duration::from_secs(60);

/// RFC 9000, section 14.1: a client fills the datagram of its first packet.
const MIN_INITIAL: usize = 1_200;

#[derive(Debug)]
struct Flow {
    client: (IpAddr, u16),
    server: (IpAddr, u16),
    /// The client is the key's low end.
    client_low: bool,
    hello: Hello,
    progress: Progress,
    from: Timestamp,
    to: Timestamp,
    bytes: [u64; 2],
}

/// Datagrams that looked like QUIC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub datagrams: u64,
    /// Of a connection whose first packet was seen.
    pub followed: u64,
}

impl Counters {
    pub fn add(&mut self, other: &Self) {
        self.datagrams += other.datagrams;
        self.followed += other.followed;
    }
}

/// Connections of one virtual shard.
#[derive(Debug, Default)]
pub(super) struct Table {
    flows: HashMap<FlowKey, Flow, foldhash::fast::FixedState>,
    next_expiry: Timestamp,
}

impl Table {
    /// Whether the datagram belongs to a connection that is followed.
    pub(super) fn push(&mut self, d: &Datagram<'_>, key: (FlowKey, bool), now: Timestamp) -> bool {
        let (key, src_low) = key;
        if !self.flows.contains_key(&key) {
            let first = d.payload.len() >= MIN_INITIAL && is_initial(d.payload);
            if !first || self.flows.len() >= MAX_FLOWS {
                return false;
            }
            let flow = Flow {
                client: (d.src, d.src_port),
                server: (d.dst, d.dst_port),
                client_low: src_low,
                hello: Hello::default(),
                progress: Progress::More,
                from: now,
                to: now,
                bytes: [0; 2],
            };
            self.flows.insert(key, flow);
        }
        let Some(flow) = self.flows.get_mut(&key) else {
            return false;
        };
        let from_client = src_low == flow.client_low;
        flow.to = now;
        flow.bytes[usize::from(!from_client)] += d.payload.len() as u64;
        if from_client && flow.progress == Progress::More {
            flow.progress = flow.hello.on_datagram(d.payload);
        }
        true
    }

    /// Hands on the connections that are idle for too long.
    pub(super) fn tick(&mut self, now: Timestamp, out: &mut Vec<TlsFlow>) {
        if now < self.next_expiry || self.flows.is_empty() {
            return;
        }
        self.next_expiry = now + IDLE / 4;
        self.flows.retain(|_, flow| {
            let idle = now.since(flow.to) >= IDLE;
            if idle {
                out.extend(flow.over());
            }
            !idle
        });
    }

    pub(super) fn finish(&mut self, out: &mut Vec<TlsFlow>) {
        out.extend(self.flows.drain().filter_map(|(_, flow)| flow.over()));
    }
}

impl Flow {
    /// `None` where no hello came: it may not have been QUIC at all.
    fn over(&self) -> Option<TlsFlow> {
        (self.progress == Progress::Known).then(|| TlsFlow {
            ts: self.from,
            end: self.to,
            quic: true,
            bytes: self.bytes,
            ..http::tls_flow(self.client, self.server, self.hello.facts())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Network;
    use crate::tls::quic::tests::first_flight;

    /// Both directions of one connection; `client` names the port of its client.
    fn push(table: &mut Table, client: u16, from_client: bool, payload: &[u8], secs: i64) -> bool {
        let ends = [
            (IpAddr::from([10, 0, 0, 9]), client),
            (IpAddr::from([10, 0, 0, 2]), 443),
        ];
        let [src, dst] = if from_client {
            ends
        } else {
            [ends[1], ends[0]]
        };
        let now = Timestamp::from_secs(secs);
        let datagram = Datagram {
            ts: now,
            src: src.0,
            dst: dst.0,
            src_port: src.1,
            dst_port: dst.1,
            network: Network::default(),
            payload,
        };
        table.push(&datagram, FlowKey::between(src, dst, None), now)
    }

    #[test]
    fn a_connection_is_known_by_its_first_packets_and_counted_to_its_end() {
        let (mut table, mut over) = (Table::default(), Vec::new());
        let [first, second] = first_flight();
        // Bytes of a connection that was not seen to begin are nobody's.
        assert!(!push(&mut table, 1_000, true, &[0x40; 50], 0));
        assert!(push(&mut table, 1_000, true, &first, 1));
        assert!(push(&mut table, 1_000, false, &[0x40; 700], 1));
        assert!(push(&mut table, 1_000, true, &second, 1));
        assert!(push(&mut table, 1_000, false, &[0x40; 50], 50));
        table.tick(Timestamp::from_secs(100), &mut over);
        assert!(over.is_empty());
        table.tick(Timestamp::from_secs(200), &mut over);
        let [flow] = &over[..] else {
            panic!("{over:?}")
        };
        assert_eq!(flow.server_name.as_deref(), Some("api.example"));
        assert!(flow.quic);
        assert_eq!((flow.client, flow.server_port), ([10, 0, 0, 9].into(), 443));
        assert_eq!(flow.bytes, [(first.len() + second.len()) as u64, 750]);
        assert_eq!(flow.end, Timestamp::from_secs(50));
        assert!(table.flows.is_empty());
    }

    #[test]
    fn a_flood_of_first_packets_is_bounded_and_half_a_hello_is_no_host() {
        let (mut table, mut over) = (Table::default(), Vec::new());
        let [first, _] = first_flight();
        for client in 0..1_000 {
            let room = usize::from(client) < MAX_FLOWS;
            assert_eq!(push(&mut table, client + 1, true, &first, 1), room);
        }
        table.finish(&mut over);
        assert!(over.is_empty() && table.flows.is_empty());
    }
}
