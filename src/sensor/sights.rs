//! What a worker learns of the taps from whole flows: sides that no tap shows, copies, TLS alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::SHARDS;
use super::tap::{Flows, MAX_TAPS, Networks};
use crate::decode::Segment;
use crate::flow::{Seen, Sight};
use crate::time::Timestamp;

/// A copy in the mirror follows at once; no TCP retransmits this soon and with the same IP
/// identification and checksum (RFC 6298, section 2.4: a second; Linux: 200 ms).
const COPY_WINDOW: Duration = Duration::from_millis(100);

/// Segments with data that each virtual shard remembers. A busy one forgets a copy's original
/// before the copy comes when more than these lie between them.
const RECENT: usize = 128;

/// Server ports counted; a scanner could open all of them.
const MAX_PORTS: usize = 1_024;

/// Of all workers, or of one.
#[derive(Clone, Debug, Default)]
pub struct Sights {
    pub taps: BTreeMap<u32, Flows>,
    pub networks: Networks<Flows>,
    /// TLS handshakes by tap and server port.
    pub hellos: BTreeMap<(u32, u16), u64>,
    /// Server ports on which an exchange was read.
    pub read_ports: BTreeSet<u16>,
}

impl Sights {
    fn both(&mut self, tap: u32, vni: Option<u32>, mut change: impl FnMut(&mut Flows)) {
        if self.taps.len() < MAX_TAPS || self.taps.contains_key(&tap) {
            change(self.taps.entry(tap).or_default());
        }
        if let Some(vni) = vni {
            change(self.networks.of(vni));
        }
    }

    pub(super) fn take(&mut self, seen: Seen) {
        let Seen { sight, tap, vni } = seen;
        self.both(tap, vni, |flows| match sight {
            Sight::Both => flows.both += 1,
            Sight::OneWay => flows.one_way += 1,
            Sight::Blind => flows.blind += 1,
            Sight::Revealed => flows.one_way = flows.one_way.saturating_sub(1),
            Sight::Lost(bytes) => flows.lost_bytes += bytes,
        });
    }

    /// An exchange with a server on this port was read.
    pub(super) fn read(&mut self, port: u16) {
        if self.read_ports.len() < MAX_PORTS {
            self.read_ports.insert(port);
        }
    }

    fn hello(&mut self, tap: u32, port: u16) {
        let key = (tap, port);
        if self.hellos.len() < MAX_PORTS || self.hellos.contains_key(&key) {
            *self.hellos.entry(key).or_default() += 1;
        }
    }

    pub fn add(&mut self, other: &Self) {
        let sum = |a, b| a + b;
        for (tap, flows) in &other.taps {
            self.taps.entry(*tap).or_default().each(flows, sum);
        }
        for (vni, flows) in other.networks.iter() {
            self.networks.at(vni).each(flows, sum);
        }
        for (key, n) in &other.hellos {
            *self.hellos.entry(*key).or_default() += n;
        }
        self.read_ports.extend(&other.read_ports);
    }
}

/// A segment with data that came a moment ago.
#[derive(Clone, Copy)]
struct Recent {
    /// Hash of flow, sequence number, IP identification and checksum.
    print: u64,
    at: Timestamp,
    tap: u32,
}

/// Watches the segments on their way to the flow table.
pub(super) struct Watch {
    pub(super) sights: Sights,
    /// `RECENT` places a virtual shard, so that what is found does not depend on the number of
    /// workers.
    recent: Box<[Recent]>,
}

impl Watch {
    pub(super) fn new(workers: u64) -> Self {
        let nothing = Recent {
            print: 0,
            at: Timestamp::MIN,
            tap: 0,
        };
        let shards = SHARDS.div_ceil(workers) as usize;
        Self {
            sights: Sights::default(),
            recent: vec![nothing; shards * RECENT].into(),
        }
    }

    /// `flow` is the flow's hash, `shard` the place of its virtual shard in this worker.
    pub(super) fn look(&mut self, s: &Segment<'_>, flow: u64, shard: usize) {
        if s.payload.is_empty() {
            return;
        }
        if is_client_hello(s.payload) {
            self.sights.hello(s.tap, s.dst_port);
        }
        // Odd multipliers: one round of multiplication spreads what TCP and IP count up by one.
        let facts = u64::from(s.seq) << 32 | u64::from(s.stamp);
        let print = (flow ^ facts.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1;
        let place = (print.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 57) as usize % RECENT;
        let Some(recent) = self.recent.get_mut(shard * RECENT + place) else {
            return;
        };
        let before = std::mem::replace(
            recent,
            Recent {
                print,
                at: s.ts,
                tap: s.tap,
            },
        );
        if before.print == print && before.at.apart(s.ts) < COPY_WINDOW {
            let across = u64::from(before.tap != s.tap);
            self.sights.both(s.tap, s.network.vni, |flows| {
                flows.copies += 1;
                flows.copies_across += across;
            });
        }
    }
}

/// A TLS record with a client hello at the start of a segment (RFC 8446, sections 4 and 5.1).
fn is_client_hello(payload: &[u8]) -> bool {
    matches!(payload, [0x16, 0x03, 0..=4, _, _, 0x01, 0x00, ..])
}
