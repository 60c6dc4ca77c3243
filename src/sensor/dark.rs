//! The dark inventory: hosts that speak TLS, by the name that clients ask for or by address, and
//! how much of what they say was opened. What an inventory of endpoints cannot show, it must own
//! up to, or its coverage would look better than it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use compact_str::{CompactString, ToCompactString};
use serde::Serialize;

use crate::http::TlsFlow;
use crate::time::Timestamp;

/// Hosts kept one by one; a scan with a made-up name in each hello would else fill the memory.
const MAX_HOSTS: usize = 4_096;

/// Kinds of client, protocols, addresses kept of one host.
const MAX_JA4: usize = 16;
const MAX_ALPN: usize = 8;
const MAX_ADDRESSES: usize = 8;

/// What is known of one host and port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DarkHost {
    pub addresses: BTreeSet<IpAddr>,
    pub flows: u64,
    /// Flows of which something was opened: the others are dark.
    pub opened: u64,
    /// From clients, and from the host.
    pub bytes: [u64; 2],
    pub dark_bytes: u64,
    /// As people write them: `TLS 1.3`.
    pub versions: BTreeSet<CompactString>,
    /// Protocols chosen, or where that is sealed offered first.
    pub alpn: BTreeSet<CompactString>,
    pub ja4: BTreeSet<CompactString>,
    /// Of the certificate seen last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_signed: Option<bool>,
    /// Clients offered Encrypted Client Hello, so the name may be a front's.
    pub ech: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
}

/// Hosts by name and port. Invariant: at most `MAX_HOSTS`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DarkInventory {
    pub hosts: BTreeMap<(CompactString, u16), DarkHost>,
    /// Flows and bytes of hosts for which there was no room.
    pub others: (u64, u64),
}

impl DarkInventory {
    pub(super) fn add(&mut self, flow: &TlsFlow) {
        let name = flow.facts.server_name.clone();
        let name = name.unwrap_or_else(|| flow.server.to_compact_string());
        let bytes: u64 = flow.bytes.iter().sum();
        let Some(host) = self.room((name, flow.port), 1, bytes) else {
            return;
        };
        let facts = &flow.facts;
        host.flows += 1;
        host.opened += u64::from(facts.decrypted);
        host.bytes = [host.bytes[0] + flow.bytes[0], host.bytes[1] + flow.bytes[1]];
        host.dark_bytes += if facts.decrypted { 0 } else { bytes };
        insert(&mut host.addresses, Some(flow.server), MAX_ADDRESSES);
        host.versions
            .extend(facts.version.map(|version| version.to_compact_string()));
        let alpn = facts.alpn.clone().or_else(|| facts.offered.clone());
        insert(&mut host.alpn, alpn, MAX_ALPN);
        insert(&mut host.ja4, facts.ja4.clone(), MAX_JA4);
        host.ech |= facts.ech;
        if Some(flow.to) >= host.last_seen {
            host.last_seen = Some(flow.to);
            if let Some(certificate) = &facts.certificate {
                host.not_after = certificate.not_after;
                host.self_signed = Some(certificate.self_signed);
            }
        }
    }

    /// Takes in what another worker saw.
    pub fn merge(&mut self, other: Self) {
        self.others.0 += other.others.0;
        self.others.1 += other.others.1;
        for (key, theirs) in other.hosts {
            let bytes = theirs.bytes.iter().sum();
            let Some(mine) = self.room(key, theirs.flows, bytes) else {
                continue;
            };
            mine.flows += theirs.flows;
            mine.opened += theirs.opened;
            mine.bytes = [
                mine.bytes[0] + theirs.bytes[0],
                mine.bytes[1] + theirs.bytes[1],
            ];
            mine.dark_bytes += theirs.dark_bytes;
            insert(&mut mine.addresses, theirs.addresses, MAX_ADDRESSES);
            mine.versions.extend(theirs.versions);
            insert(&mut mine.alpn, theirs.alpn, MAX_ALPN);
            insert(&mut mine.ja4, theirs.ja4, MAX_JA4);
            mine.ech |= theirs.ech;
            if theirs.last_seen >= mine.last_seen {
                mine.last_seen = theirs.last_seen;
                if theirs.self_signed.is_some() {
                    mine.not_after = theirs.not_after;
                    mine.self_signed = theirs.self_signed;
                }
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.others == (0, 0)
    }

    /// The host's entry; where there is no room for a new one, its traffic is counted apart.
    fn room(&mut self, key: (CompactString, u16), flows: u64, bytes: u64) -> Option<&mut DarkHost> {
        if self.hosts.len() >= MAX_HOSTS && !self.hosts.contains_key(&key) {
            self.others.0 += flows;
            self.others.1 += bytes;
            return None;
        }
        Some(self.hosts.entry(key).or_default())
    }
}

fn insert<T: Ord>(set: &mut BTreeSet<T>, values: impl IntoIterator<Item = T>, most: usize) {
    for value in values {
        if set.len() < most {
            set.insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Facts;

    fn flow(name: Option<&str>, decrypted: bool, to: i64) -> TlsFlow {
        TlsFlow {
            client: IpAddr::from([10, 0, 0, 1]),
            server: IpAddr::from([10, 0, 0, 2]),
            port: 443,
            facts: Facts {
                server_name: name.map(CompactString::from),
                ja4: Some(to.to_compact_string()),
                decrypted,
                ..Facts::default()
            },
            from: Timestamp::from_secs(0),
            to: Timestamp::from_secs(to),
            bytes: [100, 900],
        }
    }

    #[test]
    fn flows_add_up_by_name_or_address() {
        let (mut one, mut two) = (DarkInventory::default(), DarkInventory::default());
        one.add(&flow(Some("a.example"), true, 1));
        two.add(&flow(Some("a.example"), false, 2));
        two.add(&flow(None, false, 3));
        let mut other_way = two.clone();
        other_way.merge(one.clone());
        one.merge(two);
        assert_eq!(one, other_way);
        let named = &one.hosts[&("a.example".into(), 443)];
        assert_eq!((named.flows, named.opened), (2, 1));
        assert_eq!((named.bytes, named.dark_bytes), ([200, 1_800], 1_000));
        assert_eq!(named.last_seen, Some(Timestamp::from_secs(2)));
        assert!(one.hosts.contains_key(&("10.0.0.2".into(), 443)));
    }

    #[test]
    fn made_up_names_are_bounded_and_counted() {
        let mut inventory = DarkInventory::default();
        for n in 0..MAX_HOSTS + 10 {
            inventory.add(&flow(Some(&format!("{n}.example")), false, n as i64));
            inventory.add(&flow(Some("0.example"), false, n as i64));
        }
        assert_eq!(inventory.hosts.len(), MAX_HOSTS);
        assert_eq!(inventory.others, (10, 10_000));
        let host = &inventory.hosts[&("0.example".into(), 443)];
        assert_eq!(
            (host.flows as usize, host.ja4.len()),
            (MAX_HOSTS + 11, MAX_JA4)
        );
    }
}
