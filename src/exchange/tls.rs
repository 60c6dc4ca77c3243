//! The other record at the seam: one flow that spoke TLS, whether it was opened or not.

use std::fmt;
use std::net::IpAddr;

use compact_str::CompactString;

use crate::time::Timestamp;

/// What a listener knows of one flow under TLS or QUIC once it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFlow {
    /// First record, last packet.
    pub ts: Timestamp,
    pub end: Timestamp,
    pub client: IpAddr,
    pub client_port: u16,
    pub server: IpAddr,
    pub server_port: u16,
    /// Overlay network, as of an exchange.
    pub vni: Option<u32>,
    /// The name that the client asks for, lower case; with ECH perhaps only the front's.
    pub server_name: Option<CompactString>,
    /// The protocol chosen, or where that is sealed offered first.
    pub alpn: Option<CompactString>,
    /// What the server chose, as it stands on the wire.
    pub version: Option<TlsVersion>,
    pub cipher: Option<u16>,
    /// The kind of client.
    pub ja4: Option<CompactString>,
    /// The client offers Encrypted Client Hello, or pretends to.
    pub ech: bool,
    /// Over QUIC, so HTTP/3 if it is HTTP: nothing behind the hello can be read.
    pub quic: bool,
    pub certificate: Option<ServerCertificate>,
    /// Records of it were opened.
    pub opened: bool,
    /// From the client and from the server, from the first record on, as far as they were captured.
    pub bytes: [u64; 2],
}

/// Of the server's own certificate, where it was seen. Nothing is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerCertificate {
    pub not_after: Option<Timestamp>,
    /// Issuer and subject are one.
    pub self_signed: bool,
}

/// A protocol version by its number (RFC 8446, section 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlsVersion(pub u16);

impl TlsVersion {
    pub const SSL3: Self = Self(0x0300);
    pub const TLS10: Self = Self(0x0301);
    pub const TLS11: Self = Self(0x0302);
    pub const TLS12: Self = Self(0x0303);
    pub const TLS13: Self = Self(0x0304);
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SSL3 => f.write_str("SSL 3.0"),
            Self::TLS10 => f.write_str("TLS 1.0"),
            Self::TLS11 => f.write_str("TLS 1.1"),
            Self::TLS12 => f.write_str("TLS 1.2"),
            Self::TLS13 => f.write_str("TLS 1.3"),
            Self(other) => write!(f, "TLS {other:#06x}"),
        }
    }
}
