//! Hosts that speak TLS, by the name that clients ask for or by address, how much of what they say
//! was opened, and what is weak about it. What an inventory of endpoints cannot show, it must own
//! up to, or its coverage would look better than it is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use compact_str::{CompactString, ToCompactString};
use serde::{Deserialize, Serialize};

use super::exposure::{Exposed, Exposure, ExposureKind, Severity};
use crate::exchange::{ServerCertificate, TlsFlow, TlsVersion};
use crate::time::Timestamp;

mod suite;
mod view;

pub use view::{CertificateView, Coverage, Inspection, Suite, TlsHostView, TlsView, percent};

/// Hosts kept one by one; a scan with a made-up name in each hello would else fill the memory.
const MAX_HOSTS: usize = 4_096;

/// Put out at once, so that making room costs little per host.
const BATCH: usize = 64;

/// Kinds of client, protocols, addresses, versions and suites kept of one host.
const MAX_JA4: usize = 16;
const MAX_ALPN: usize = 8;
const MAX_ADDRESSES: usize = 8;
const MAX_VERSIONS: usize = 8;
const MAX_CIPHERS: usize = 16;

/// Kinds of client kept of one version or suite.
const MAX_CLIENTS: usize = 8;

type Key = (CompactString, u16);

/// Hosts by name and port, and sums of all of them. Invariant: at most `MAX_HOSTS`.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct TlsHosts {
    hosts: BTreeMap<Key, Host>,
    coverage: Coverage,
    #[serde(skip)]
    views: BTreeMap<Key, Arc<TlsHostView>>,
    /// Hosts whose view is stale.
    #[serde(skip)]
    dirty: BTreeSet<Key>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Host {
    addresses: BTreeSet<IpAddr>,
    flows: u64,
    /// Flows of which something was opened: the others are dark.
    opened: u64,
    quic: u64,
    /// From clients, and from the host.
    bytes: [u64; 2],
    dark_bytes: u64,
    versions: BTreeMap<u16, Seen>,
    ciphers: BTreeMap<u16, Seen>,
    alpn: BTreeSet<CompactString>,
    ja4: BTreeSet<CompactString>,
    ech: bool,
    certificate: Option<Certificate>,
    first: Timestamp,
    last: Timestamp,
    /// The latest ends of certificates that were told to be near, and to be past.
    told: [Option<Timestamp>; 2],
}

/// When a version, suite or certificate was seen, how often, and from which kinds of client.
#[derive(Clone, Serialize, Deserialize)]
struct Seen {
    flows: u64,
    first: Timestamp,
    last: Timestamp,
    ja4: BTreeSet<CompactString>,
}

/// The one that was seen last.
#[derive(Clone, Serialize, Deserialize)]
struct Certificate {
    not_after: Option<Timestamp>,
    self_signed: bool,
    seen: Seen,
}

impl TlsHosts {
    /// Takes a flow, in total order. Returns what is to be told, where it is new.
    pub(super) fn apply(&mut self, flow: &TlsFlow, warning: Duration) -> Option<Exposed> {
        let bytes: u64 = flow.bytes.iter().sum();
        self.coverage.take(flow.opened, flow.quic, 1, bytes);
        self.coverage.since = Some(self.coverage.since.map_or(flow.ts, |t| t.min(flow.ts)));
        let name = flow.server_name.clone();
        let name = name.unwrap_or_else(|| flow.server.to_compact_string());
        let key = (name, flow.server_port);
        if self.hosts.len() >= MAX_HOSTS && !self.hosts.contains_key(&key) {
            self.make_room();
        }
        let host = self.hosts.entry(key.clone()).or_insert_with(|| Host {
            first: flow.ts,
            ..Host::default()
        });
        let news = host.take(flow, warning);
        let told = news.then(|| host.exposures(&key, warning));
        self.dirty.insert(key.clone());
        Exposed::of("catalog-tls", &subject(&key), flow.end, told?)
    }

    /// What lies open of a host under this name: with its port where the name has one, else at all
    /// its ports.
    pub(super) fn findings(&self, name: &str, warning: Duration) -> Vec<Exposure> {
        let ports = match name.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => port.parse().map(|p| (host, p..=p)).ok(),
            _ => None,
        };
        let (host, ports) = ports.unwrap_or((name, 0..=u16::MAX));
        let host = CompactString::new(host);
        let (first, last) = (*ports.start(), *ports.end());
        let named = self.hosts.range((host.clone(), first)..=(host, last));
        named
            .flat_map(|(key, host)| host.exposures(key, warning))
            .collect()
    }

    /// Flows that were lost on the way here: what they were is not known, so they are dark.
    pub(super) fn add_lost(&mut self, flows: u64, bytes: u64) {
        self.coverage.take(false, false, flows, bytes);
        self.coverage.others.0 += flows;
        self.coverage.others.1 += bytes;
    }

    pub(super) fn add_clear(&mut self, bytes: u64) {
        self.coverage.clear_bytes += bytes;
    }

    /// Puts out hosts that were seen once, then those that were seen longest ago. Their traffic
    /// stays in the sums.
    fn make_room(&mut self) {
        let mut order: Vec<_> = self
            .hosts
            .iter()
            .map(|(key, host)| (host.flows > 1, host.last, key))
            .collect();
        order.sort_unstable();
        let gone: Vec<Key> = order.iter().take(BATCH).map(|o| o.2.clone()).collect();
        for key in gone {
            if let Some(host) = self.hosts.remove(&key) {
                self.coverage.evicted += 1;
                self.coverage.others.0 += host.flows;
                self.coverage.others.1 += host.bytes.iter().sum::<u64>();
            }
            self.views.remove(&key);
            self.dirty.remove(&key);
        }
    }

    /// After a restart no view is there yet.
    pub(super) fn refresh(&mut self) {
        self.dirty.extend(self.hosts.keys().cloned());
    }

    /// Sorted by name and port; hosts that have not changed since the last call share their `Arc`.
    pub(super) fn view(&mut self, warning: Duration) -> TlsView {
        for key in mem::take(&mut self.dirty) {
            if let Some(host) = self.hosts.get(&key) {
                let view = Arc::new(host.view(&key, warning));
                self.views.insert(key, view);
            }
        }
        let hosts: Vec<_> = self.views.values().cloned().collect();
        let dark = hosts.iter().filter(|h| h.opened < h.flows).count();
        let mut coverage = self.coverage;
        (coverage.hosts, coverage.dark_hosts) = (hosts.len(), dark);
        TlsView { hosts, coverage }
    }
}

fn subject((name, port): &Key) -> String {
    match name.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        _ => format!("{name}:{port}"),
    }
}

impl Host {
    /// Returns whether something came up that may be worth telling.
    fn take(&mut self, flow: &TlsFlow, warning: Duration) -> bool {
        let bytes: u64 = flow.bytes.iter().sum();
        self.flows += 1;
        self.opened += u64::from(flow.opened);
        self.quic += u64::from(flow.quic);
        self.bytes = [self.bytes[0] + flow.bytes[0], self.bytes[1] + flow.bytes[1]];
        self.dark_bytes += if flow.opened { 0 } else { bytes };
        insert(&mut self.addresses, Some(flow.server), MAX_ADDRESSES);
        insert(&mut self.alpn, flow.alpn.clone(), MAX_ALPN);
        insert(&mut self.ja4, flow.ja4.clone(), MAX_JA4);
        self.ech |= flow.ech;
        self.first = self.first.min(flow.ts);
        self.last = self.last.max(flow.end);
        let version = flow.version.map(|version| version.0);
        let new_version = count(&mut self.versions, version, flow, MAX_VERSIONS);
        let new_cipher = count(&mut self.ciphers, flow.cipher, flow, MAX_CIPHERS);
        if let Some(certificate) = flow.certificate {
            self.certificate(certificate, flow);
        }
        let weak = new_version && flow.version.is_some_and(obsolete)
            || new_cipher
                && flow
                    .cipher
                    .and_then(suite::name)
                    .is_some_and(|name| suite::weakness(name).is_some());
        self.ends(warning) || weak
    }

    fn certificate(&mut self, shown: ServerCertificate, flow: &TlsFlow) {
        match &mut self.certificate {
            Some(c) if (c.not_after, c.self_signed) == (shown.not_after, shown.self_signed) => {
                c.seen.take(flow);
            }
            known => {
                *known = Some(Certificate {
                    not_after: shown.not_after,
                    self_signed: shown.self_signed,
                    seen: Seen::new(flow),
                });
            }
        }
    }

    /// How the certificate stood at the host's last flow: near its end (0), or past it (1).
    fn end(&self, warning: Duration) -> Option<(usize, Timestamp)> {
        let not_after = self.certificate.as_ref()?.not_after?;
        if self.last > not_after {
            return Some((1, not_after));
        }
        (not_after.since(self.last) < warning).then_some((0, not_after))
    }

    /// Whether the certificate has come near its end, or past it, and that was not told. Hosts that
    /// show now one certificate and now another are told of once.
    fn ends(&mut self, warning: Duration) -> bool {
        let Some((stage, not_after)) = self.end(warning) else {
            return false;
        };
        let told = &mut self.told[stage];
        let news = told.is_none_or(|told| told < not_after);
        *told = (*told).max(Some(not_after));
        news
    }

    fn exposures(&self, key: &Key, warning: Duration) -> Vec<Exposure> {
        let mut out = Vec::new();
        for (&number, seen) in &self.versions {
            let version = TlsVersion(number);
            if obsolete(version) {
                out.push(obsolete_version(key, version, seen));
            }
        }
        for (&id, seen) in &self.ciphers {
            out.extend(suite::name(id).and_then(|name| cipher(key, name, seen)));
        }
        if let Some(certificate) = &self.certificate {
            let end = self.end(warning).map(|(stage, _)| stage == 1);
            out.extend(certificate.exposures(key, end));
        }
        out.sort_by_key(|e| Reverse(e.severity));
        out.into_iter().map(|e| e.about(&subject(key))).collect()
    }
}

impl Seen {
    fn new(flow: &TlsFlow) -> Self {
        let (first, last) = (flow.ts, flow.end);
        let ja4 = flow.ja4.clone().into_iter().collect();
        Self {
            flows: 1,
            first,
            last,
            ja4,
        }
    }

    fn take(&mut self, flow: &TlsFlow) {
        self.flows += 1;
        self.first = self.first.min(flow.ts);
        self.last = self.last.max(flow.end);
        insert(&mut self.ja4, flow.ja4.clone(), MAX_CLIENTS);
    }

    fn exposure(
        &self,
        kind: ExposureKind,
        severity: Severity,
        key: &Key,
        what: String,
    ) -> Exposure {
        Exposure {
            port: Some(key.1),
            first_seen: self.first,
            last_seen: self.last,
            count: self.flows,
            clients: Some(self.ja4.len()),
            ..Exposure::new(kind, severity, &key.0, what)
        }
    }
}

impl Certificate {
    /// `expired`: past its end, or near it.
    fn exposures(&self, key: &Key, expired: Option<bool>) -> Vec<Exposure> {
        let mut out = Vec::new();
        let end = self.not_after.map(|t| t.to_string()).unwrap_or_default();
        let fact = |kind, severity, what, why: &str| Exposure {
            not_after: self.not_after,
            why: why.to_owned(),
            ..self.seen.exposure(kind, severity, key, what)
        };
        match expired {
            Some(true) => out.push(fact(
                ExposureKind::CertificateExpired,
                Severity::Medium,
                format!("shows a certificate that expired at {end}"),
                "clients that check refuse it; those that go on do not check",
            )),
            Some(false) => out.push(fact(
                ExposureKind::CertificateExpiring,
                Severity::Low,
                format!("shows a certificate that expires at {end}"),
                "clients that check refuse it from then on",
            )),
            None => {}
        }
        if self.self_signed {
            out.push(fact(
                ExposureKind::SelfSigned,
                Severity::Low,
                "shows a self-signed certificate".into(),
                "no authority vouches for it: clients must know it beforehand, or do not check",
            ));
        }
        out
    }
}

fn obsolete(version: TlsVersion) -> bool {
    (TlsVersion::SSL3..TlsVersion::TLS12).contains(&version)
}

fn obsolete_version(key: &Key, version: TlsVersion, seen: &Seen) -> Exposure {
    let (severity, why) = if version == TlsVersion::SSL3 {
        (
            Severity::High,
            "it can be read by who stands in between (POODLE); RFC 7568 forbids it",
        )
    } else {
        (
            Severity::Medium,
            "it rests on MD5 and SHA-1; RFC 8996 forbids it",
        )
    };
    let what = format!("speaks {version}");
    Exposure {
        why: why.to_owned(),
        version: Some(version.to_string()),
        ..seen.exposure(ExposureKind::ObsoleteTls, severity, key, what)
    }
}

fn cipher(key: &Key, name: &str, seen: &Seen) -> Option<Exposure> {
    let (kind, severity, why) = match suite::weakness(name) {
        Some(weak) => (ExposureKind::WeakCipher, weak.severity, weak.why),
        None if suite::no_forward_secrecy(name) => (
            ExposureKind::NoForwardSecrecy,
            Severity::Info,
            "who gets the server's key later can read what was recorded before (RFC 9325, section 4.1)",
        ),
        None => return None,
    };
    Some(Exposure {
        why: why.to_owned(),
        cipher: Some(name.to_owned()),
        ..seen.exposure(kind, severity, key, format!("uses {name}"))
    })
}

/// Whether a number is new, and there was room for it.
fn count(all: &mut BTreeMap<u16, Seen>, id: Option<u16>, flow: &TlsFlow, most: usize) -> bool {
    let Some(id) = id else { return false };
    let room = all.len() < most;
    match all.entry(id) {
        Entry::Occupied(seen) => seen.into_mut().take(flow),
        Entry::Vacant(place) if room => {
            place.insert(Seen::new(flow));
            return true;
        }
        Entry::Vacant(_) => {}
    }
    false
}

fn insert<T: Ord>(set: &mut BTreeSet<T>, value: Option<T>, most: usize) {
    if let Some(value) = value
        && set.len() < most
    {
        set.insert(value);
    }
}

#[cfg(test)]
mod tests;
