//! A line of JSON read: it may be anything.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use compact_str::CompactString;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::exchange::{
    Anomalies, Exchange, Leaks, Operation, OperationKind, Part, Partial, Rpc, Shape, Shapes,
    VERSION, security, session, shape,
};
use crate::time::Timestamp;

/// Why a line is no exchange.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    #[error("not an exchange line: {0}")]
    Json(#[from] serde_json::Error),
    #[error("not an exchange line: `{0}` is missing")]
    Missing(&'static str),
    #[error("not an exchange line: `ts` is no number of seconds")]
    Time,
    #[error("exchange version {0} is newer than this program reads (1)")]
    Version(u32),
}

#[derive(Deserialize)]
struct Line<'a> {
    v: Option<u32>,
    #[serde(rename = "type")]
    kind: Option<CompactString>,
    #[serde(borrow)]
    ts: Option<&'a RawValue>,
    #[serde(borrow)]
    end: Option<&'a RawValue>,
    client: Option<IpAddr>,
    client_port: Option<u16>,
    via: Option<IpAddr>,
    via_port: Option<u16>,
    server: Option<IpAddr>,
    server_port: Option<u16>,
    protocol: Option<CompactString>,
    scheme: Option<CompactString>,
    clear: Option<bool>,
    method: Option<CompactString>,
    host: Option<CompactString>,
    path: Option<CompactString>,
    query: Option<CompactString>,
    status: Option<u16>,
    latency_ms: Option<f64>,
    request_bytes: Option<u64>,
    response_bytes: Option<u64>,
    location: Option<CompactString>,
    content_type: Option<CompactString>,
    request_content_type: Option<CompactString>,
    identity: Option<Arc<str>>,
    auth: Option<CompactString>,
    #[serde(default)]
    auth_in: BTreeMap<CompactString, CompactString>,
    jwt: Option<security::JwtLine>,
    login: Option<CompactString>,
    country: Option<CompactString>,
    user_agent: Option<Arc<str>>,
    deprecation: Option<Timestamp>,
    sunset: Option<Timestamp>,
    #[serde(default)]
    leaks: Vec<CompactString>,
    software: Option<CompactString>,
    rpc: Option<Rpc>,
    grpc_status: Option<u16>,
    request_messages: Option<u64>,
    response_messages: Option<u64>,
    request_message_bytes: Option<u64>,
    response_message_bytes: Option<u64>,
    operation: Option<CompactString>,
    operation_kind: Option<OperationKind>,
    operations: Option<u16>,
    graphql_depth: Option<u16>,
    graphql_aliases: Option<u16>,
    #[serde(default)]
    graphql_fields: Vec<CompactString>,
    #[serde(default)]
    introspection: bool,
    #[serde(default)]
    parts: Vec<Part>,
    query_shape: Option<Shape>,
    request_shape: Option<Shape>,
    response_shape: Option<Shape>,
    #[serde(default)]
    request_headers: Vec<CompactString>,
    #[serde(default)]
    response_headers: Vec<CompactString>,
    vni: Option<u32>,
    duration_ms: Option<f64>,
    #[serde(default)]
    open: bool,
    #[serde(default)]
    partial: Vec<CompactString>,
    #[serde(default)]
    anomalies: Vec<CompactString>,
}

/// Reads one line. `ts` is needed, and of a request `method`, `host` and `path`; a line without a
/// method must have a status (a response alone).
pub fn parse_line(line: &[u8]) -> Result<Exchange, ParseError> {
    let l: Line<'_> = serde_json::from_slice(line)?;
    if let Some(v) = l.v.filter(|v| *v > VERSION) {
        return Err(ParseError::Version(v));
    }
    // Our own lines may tell a response alone whose status is no number.
    let alone = l.v.is_some() && l.partial.iter().any(|p| p == "no_request");
    let named = l.method.is_some() || l.status.is_some() || l.kind.is_some();
    if !named && !alone {
        return Err(ParseError::Missing("method"));
    }
    // Our own lines lack a path where the message did.
    if l.method.is_some() && l.path.is_none() && l.v.is_none() {
        return Err(ParseError::Missing("path"));
    }
    let seconds = |raw: &RawValue| Timestamp::parse_decimal(raw.get()).ok_or(ParseError::Time);
    let ts = seconds(l.ts.ok_or(ParseError::Missing("ts"))?)?;
    let spent = l
        .duration_ms
        .or(l.latency_ms)
        .filter(|ms| ms.is_finite() && *ms >= 0.0)
        .unwrap_or(0.0);
    let mut x = Exchange::at(ts);
    x.end = match l.end {
        Some(raw) => seconds(raw)?,
        None => Timestamp(ts.nanos().saturating_add((spent * 1e6) as i64)),
    };
    x.client = l.client.unwrap_or(x.client);
    x.client_port = l.client_port.unwrap_or(0);
    x.via = l.via.map(|ip| (ip, l.via_port.unwrap_or(0)));
    x.server = l.server.unwrap_or(x.server);
    x.server_port = l.server_port.unwrap_or(0);
    x.protocol = l.protocol.unwrap_or(x.protocol);
    // A line that names no scheme does not say that it was in clear.
    let said = l.scheme.is_some();
    x.scheme = l.scheme.unwrap_or(x.scheme);
    x.clear = l.clear.unwrap_or_else(|| said && x.looks_clear());
    x.method = l.method;
    x.host = l.host;
    x.path = l.path;
    x.query = l.query;
    x.status = l.status;
    x.latency_ms = l.latency_ms.filter(|ms| ms.is_finite());
    x.request_bytes = l.request_bytes;
    x.response_bytes = l.response_bytes;
    x.location = l.location;
    x.content_type = l.content_type;
    x.request_content_type = l.request_content_type;
    x.identity = l.identity;
    x.auth = l.auth;
    x.auth_in = security::presented(l.auth_in);
    x.jwt = l.jwt.and_then(security::JwtLine::read);
    x.login = l.login;
    x.country = l.country;
    x.user_agent = l.user_agent;
    x.deprecation = l.deprecation;
    x.sunset = l.sunset;
    x.leaks = Leaks::named(l.leaks.iter().map(|n| n.as_str()));
    x.software = l.software.and_then(security::software);
    x.rpc = l.rpc;
    x.grpc_status = l.grpc_status;
    x.request_messages = l.request_messages;
    x.response_messages = l.response_messages;
    x.request_message_bytes = l.request_message_bytes;
    x.response_message_bytes = l.response_message_bytes;
    // A name alone is no operation: what kind it is says what the name means.
    x.operation = l.operation_kind.map(|kind| {
        let operation = Operation {
            kind,
            name: l.operation,
            count: l.operations,
            depth: l.graphql_depth,
            aliases: l.graphql_aliases,
            fields: l.graphql_fields,
            introspection: l.introspection,
            parts: l.parts,
        };
        Box::new(operation.bounded())
    });
    let shapes = Shapes {
        query: l.query_shape,
        request: l.request_shape,
        response: l.response_shape,
        request_headers: shape::headers(l.request_headers),
        response_headers: shape::headers(l.response_headers),
    };
    x.shapes = (shapes != Shapes::default()).then(|| Box::new(shapes));
    x.vni = l.vni;
    x.open = l.open;
    let has = |name: &str| l.partial.iter().any(|p| p == name);
    x.partial = Partial {
        no_request: has("no_request"),
        no_response: has("no_response"),
        unpaired: has("unpaired"),
        truncated: has("truncated"),
        unresolved: has("unresolved"),
    };
    x.anomalies = Anomalies::from_names(l.anomalies.iter().map(|a| a.as_str()));
    if l.kind.is_some() {
        session::read(line, &mut x)?;
    }
    Ok(x)
}
