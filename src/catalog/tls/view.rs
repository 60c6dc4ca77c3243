//! What readers see of hosts with TLS. The JSON form of [`TlsHostView`] is one item of
//! `/api/v1/dark`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Host, Key, suite};
use crate::catalog::exposure::Exposure;
use crate::exchange::TlsVersion;
use crate::time::Timestamp;

/// How much of a host could be inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Inspection {
    Dark,
    Partly,
    Opened,
}

impl Inspection {
    pub fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Partly => "partly",
            Self::Opened => "opened",
        }
    }
}

/// One host and port.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct TlsHostView {
    /// `api.example:443`.
    pub key: String,
    pub host: String,
    pub port: u16,
    pub inspection: Inspection,
    pub addresses: Vec<IpAddr>,
    pub flows: u64,
    /// Flows of which something was opened.
    pub opened: u64,
    /// Flows over QUIC: HTTP/3, of which nothing behind the hello can be read.
    pub quic: u64,
    /// From clients, and from the host.
    pub bytes: [u64; 2],
    /// Bytes of flows that were not opened.
    pub dark_bytes: u64,
    /// As people write them: `TLS 1.3`.
    pub versions: Vec<String>,
    pub ciphers: Vec<Suite>,
    /// Protocols chosen, or where that is sealed offered first.
    pub alpn: Vec<String>,
    /// Kinds of client; at most 16.
    pub ja4: Vec<String>,
    /// Clients offered Encrypted Client Hello, so the name may be a front's.
    pub ech: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateView>,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub findings: Vec<Exposure>,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Suite {
    pub id: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
    pub flows: u64,
}

/// Of the certificate seen last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct CertificateView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    pub self_signed: bool,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct TlsView {
    pub hosts: Vec<Arc<TlsHostView>>,
    pub coverage: Coverage,
}

/// How much of what is or may be HTTP was inspected, since the inventory began.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Coverage {
    /// When the first flow under TLS began.
    pub since: Option<Timestamp>,
    /// Of flows that speak HTTP in clear.
    pub clear_bytes: u64,
    pub opened_flows: u64,
    pub opened_bytes: u64,
    pub dark_flows: u64,
    pub dark_bytes: u64,
    /// Of the dark ones: over QUIC.
    pub quic_flows: u64,
    pub quic_bytes: u64,
    /// Hosts with TLS, and those with flows that were not opened.
    pub hosts: usize,
    pub dark_hosts: usize,
    /// Hosts put out by the budget; flows and bytes that are of none of the hosts shown.
    pub evicted: u64,
    pub others: (u64, u64),
}

impl Coverage {
    pub(super) fn take(&mut self, opened: bool, quic: bool, flows: u64, bytes: u64) {
        if opened {
            self.opened_flows += flows;
            self.opened_bytes += bytes;
        } else {
            self.dark_flows += flows;
            self.dark_bytes += bytes;
        }
        if quic {
            self.quic_flows += flows;
            self.quic_bytes += bytes;
        }
    }

    /// Bytes that are or may be HTTP.
    pub fn whole(&self) -> u64 {
        self.inspected() + self.dark_bytes
    }

    pub fn inspected(&self) -> u64 {
        self.clear_bytes + self.opened_bytes
    }

    /// `63 % of HTTP bytes inspected; 37 % in 12 TLS hosts`. `None` where there was no traffic.
    pub fn sentence(&self) -> Option<String> {
        let whole = self.whole();
        if whole == 0 {
            return None;
        }
        let inspected = percent(self.inspected(), whole);
        let dark = match (self.dark_flows, self.dark_hosts) {
            (0, _) => return Some(format!("{inspected} of HTTP bytes inspected")),
            (_, 1) => "1 TLS host that is not opened".to_owned(),
            (_, 0) => "TLS that is not opened".to_owned(),
            (_, n) => format!("{n} TLS hosts that are not opened"),
        };
        let share = percent(self.dark_bytes, whole);
        Some(format!(
            "{inspected} of HTTP bytes inspected; {share} in {dark}"
        ))
    }
}

/// A share in whole percent that calls no part nothing, and no part all.
pub fn percent(part: u64, whole: u64) -> String {
    let share = part as f64 * 100.0 / whole.max(1) as f64;
    match () {
        () if part > 0 && share < 1.0 => "less than 1 %".to_owned(),
        () if part < whole && share > 99.0 => "more than 99 %".to_owned(),
        () => format!("{share:.0} %"),
    }
}

impl Host {
    pub(super) fn view(&self, key: &Key, warning: Duration) -> TlsHostView {
        let inspection = match self.opened {
            0 => Inspection::Dark,
            n if n < self.flows => Inspection::Partly,
            _ => Inspection::Opened,
        };
        let suites = self.ciphers.iter().map(|(&id, seen)| Suite {
            id,
            name: suite::name(id),
            flows: seen.flows,
        });
        let texts = |set: &std::collections::BTreeSet<compact_str::CompactString>| {
            set.iter().map(ToString::to_string).collect()
        };
        let certificate = self.certificate.as_ref().map(|c| CertificateView {
            not_after: c.not_after,
            self_signed: c.self_signed,
        });
        TlsHostView {
            key: super::subject(key),
            host: key.0.to_string(),
            port: key.1,
            inspection,
            addresses: self.addresses.iter().copied().collect(),
            flows: self.flows,
            opened: self.opened,
            quic: self.quic,
            bytes: self.bytes,
            dark_bytes: self.dark_bytes,
            versions: self
                .versions
                .keys()
                .map(|v| TlsVersion(*v).to_string())
                .collect(),
            ciphers: suites.collect(),
            alpn: texts(&self.alpn),
            ja4: texts(&self.ja4),
            ech: self.ech,
            certificate,
            first_seen: self.first,
            last_seen: self.last,
            findings: self.exposures(key, warning),
        }
    }
}
