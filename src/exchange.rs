//! The record at the seam: a request with its response, or the fact that one is missing.
//!
//! Everything before this room works on bytes, everything after it on `Exchange`. Its JSON form is
//! public and versioned (`"v":1`): fields may be added, names and meanings stay. Secrets never
//! enter it; credentials arrive as `identity` = kind and keyed hash.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

mod anomaly;
mod classes;
mod json;
mod operation;
mod security;
mod session;
mod shape;
mod texture;
mod tls;

pub use anomaly::{Anomalies, Anomaly};
pub use classes::Classes;
pub use json::{ParseError, parse_line, write_line};
pub use operation::{MAX_LISTED, MAX_LISTED_NAME, MAX_NAME, Operation, OperationKind, Part};
pub use security::{Jwt, JwtFlags, Leaks, MAX_CREDENTIALS, MAX_PLACE, MAX_SOFTWARE, Presented};
pub use session::{Session, SessionKind, Traffic};
pub use shape::{
    Field, Format, MAX_CUSTOM, MAX_FIELDS, MAX_HEADER_NAME, MAX_HEADERS, MAX_POINTER, MAX_POINTERS,
    MAX_WORDS, Shape, Shapes, Types, Word, is_custom,
};
pub use texture::{Groups, Texture};
pub use tls::{ServerCertificate, TlsFlow, TlsVersion};

/// The version of the JSON form.
pub const VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// The request's first byte (the response's where no request was seen).
    pub ts: Timestamp,
    /// When the exchange was complete: its last byte, or when it was given up.
    pub end: Timestamp,
    pub client: IpAddr,
    pub client_port: u16,
    /// The proxy that sent the request for `client`, where the config trusts it: the TCP peer.
    pub via: Option<(IpAddr, u16)>,
    pub server: IpAddr,
    pub server_port: u16,
    /// `http/1.0`, `http/1.1`, `http/2` …
    pub protocol: CompactString,
    /// `http` or `https`: what the client used on the wire that was seen.
    pub scheme: CompactString,
    /// Its bytes were seen in clear on the wire: under no TLS that was opened here. With `https`, a
    /// trusted proxy says that the client spoke TLS to it.
    pub clear: bool,
    pub method: Option<CompactString>,
    /// Lower case, with the port where it was sent.
    pub host: Option<CompactString>,
    /// As sent, query cut off, secrets masked.
    pub path: Option<CompactString>,
    pub query: Option<CompactString>,
    pub status: Option<u16>,
    /// Request's last byte to response's first, in milliseconds.
    pub latency_ms: Option<f64>,
    /// Body bytes on the wire, content coding included, framing excluded.
    pub request_bytes: Option<u64>,
    pub response_bytes: Option<u64>,
    /// Of a redirection: keyed hash of where it leads, query cut off. `=` stands for the path asked
    /// for, so that every `http:` to `https:` of one host is the same.
    pub location: Option<CompactString>,
    /// Media type of the response, without parameters, lower case.
    pub content_type: Option<CompactString>,
    pub request_content_type: Option<CompactString>,
    /// `bearer:5f0c…`: kind of credential and keyed hash.
    pub identity: Option<Arc<str>>,
    /// Which scheme carried the credential: `bearer`, `jwt`, `basic`, `apikey`, `cookie`.
    pub auth: Option<CompactString>,
    /// Every credential that came with the request, whether or not it says who is calling; sorted
    /// by place. Records of one connection share it.
    pub auth_in: Option<Arc<[Presented]>>,
    /// What its JSON web token says of itself.
    pub jwt: Option<Arc<Jwt>>,
    /// Keyed hash of the user name on a login call.
    pub login: Option<CompactString>,
    pub country: Option<CompactString>,
    pub user_agent: Option<Arc<str>>,
    /// `Deprecation` of RFC 9745: when it was or will be deprecated (the epoch where the header
    /// says only that it is).
    pub deprecation: Option<Timestamp>,
    /// `Sunset` of RFC 8594.
    pub sunset: Option<Timestamp>,
    /// What the answer gives away of the server.
    pub leaks: Leaks,
    /// What the server says that it runs, with its version: `nginx/1.18.0`.
    pub software: Option<Arc<str>>,
    /// Which protocol of remote calls it speaks; the path is then `/package.Service/Method`.
    pub rpc: Option<Rpc>,
    /// How the call ended: the code of gRPC, 0 for success.
    pub grpc_status: Option<u16>,
    /// Messages of the call each way, and their bytes without framing; absent where they could not
    /// be counted.
    pub request_messages: Option<u64>,
    pub response_messages: Option<u64>,
    pub request_message_bytes: Option<u64>,
    pub response_message_bytes: Option<u64>,
    /// What is asked for beneath the path, where the request says so.
    pub operation: Option<Box<Operation>>,
    /// What its messages are made of, where they were looked into.
    pub shapes: Option<Box<Shapes>>,
    /// Overlay network of a mirrored cloud (VXLAN or Geneve VNI).
    pub vni: Option<u32>,
    /// The response was still under way when this was handed on: it is an event stream, whose
    /// session follows.
    pub open: bool,
    pub partial: Partial,
    /// What either message did against the rules of its protocol.
    pub anomalies: Anomalies,
    /// This is no request but what a connection carried that one opened.
    pub session: Option<Box<Session>>,
}

/// A protocol of remote calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rpc {
    Grpc,
    GrpcWeb,
    Connect,
}

impl Rpc {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc-web",
            Self::Connect => "connect",
        }
    }
}

/// Which way a call streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streaming {
    Unary,
    Client,
    Server,
    Bidi,
}

impl Streaming {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::Client => "client",
            Self::Server => "server",
            Self::Bidi => "bidi",
        }
    }
}

/// What is missing of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    pub no_request: bool,
    pub no_response: bool,
    /// The other half may exist but cannot be told without guessing.
    pub unpaired: bool,
    /// A body was cut: a gap in the capture or a connection that ended early.
    pub truncated: bool,
    /// The request's method or path was compressed against what was sent before the capture began
    /// (HPACK), and is absent.
    pub unresolved: bool,
}

impl Partial {
    pub(crate) const NAMES: [&'static str; 5] = [
        "no_request",
        "no_response",
        "unpaired",
        "truncated",
        "unresolved",
    ];

    pub fn flags(self) -> [bool; 5] {
        [
            self.no_request,
            self.no_response,
            self.unpaired,
            self.truncated,
            self.unresolved,
        ]
    }

    pub fn any(self) -> bool {
        self.flags().contains(&true)
    }
}

impl Exchange {
    /// An empty record at `ts`: what a reader or a test fills in.
    pub fn at(ts: Timestamp) -> Self {
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            ts,
            end: ts,
            client: nowhere,
            client_port: 0,
            via: None,
            server: nowhere,
            server_port: 0,
            protocol: CompactString::const_new("http/1.1"),
            scheme: CompactString::const_new("http"),
            clear: false,
            method: None,
            host: None,
            path: None,
            query: None,
            status: None,
            latency_ms: None,
            request_bytes: None,
            response_bytes: None,
            location: None,
            content_type: None,
            request_content_type: None,
            identity: None,
            auth: None,
            auth_in: None,
            jwt: None,
            login: None,
            country: None,
            user_agent: None,
            deprecation: None,
            sunset: None,
            leaks: Leaks::default(),
            software: None,
            rpc: None,
            grpc_status: None,
            request_messages: None,
            response_messages: None,
            request_message_bytes: None,
            response_message_bytes: None,
            operation: None,
            shapes: None,
            vni: None,
            open: false,
            partial: Partial::default(),
            anomalies: Anomalies::default(),
            session: None,
        }
    }

    /// The credentials that came with it; none where they were not told one by one.
    pub fn presented(&self) -> &[Presented] {
        self.auth_in.as_deref().unwrap_or_default()
    }

    /// Whether any credential came with it.
    pub fn has_credential(&self) -> bool {
        self.auth.is_some() || self.auth_in.is_some()
    }

    /// Who the server was connected with: the proxy, where there is one.
    pub fn peer(&self) -> (IpAddr, u16) {
        self.via.unwrap_or((self.client, self.client_port))
    }

    /// What `scheme` and `via` let expect of `clear`; lines say only what differs.
    fn looks_clear(&self) -> bool {
        self.scheme == "http" || self.via.is_some()
    }

    /// Bytes that the record takes with its texts; those that records share are not counted.
    pub fn cost(&self) -> usize {
        let texts = [&self.method, &self.host, &self.path, &self.query];
        let heap = texts.into_iter().flatten().map(|t| t.len()).sum::<usize>();
        // A body may bring an operation later; the cost stays what it was at the head.
        let typed = self.request_content_type.is_some() || self.operation.is_some();
        let shapes = self.shapes.as_ref().map_or(0, |s| s.memory());
        size_of::<Self>() + heap + usize::from(typed) * Operation::MOST + shapes
    }

    /// Which way the call streams, as far as its messages show: a streaming call of one message each
    /// way looks like any other.
    pub fn streaming(&self) -> Option<Streaming> {
        let many = |messages: Option<u64>| messages.map(|n| n > 1);
        self.rpc?;
        match (many(self.request_messages), many(self.response_messages)) {
            (Some(true), Some(true)) => Some(Streaming::Bidi),
            (Some(true), Some(false)) => Some(Streaming::Client),
            (Some(false), Some(true)) => Some(Streaming::Server),
            (Some(false), Some(false)) => Some(Streaming::Unary),
            _ => None,
        }
    }

    /// 1 to 5 for a status that is one, else 0.
    pub fn status_class(&self) -> usize {
        self.status.map_or(0, |s| usize::from(s / 100)).min(5)
    }
}
