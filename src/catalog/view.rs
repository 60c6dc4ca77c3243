//! What readers see of the inventory: plain, immutable, serialisable. The JSON form of
//! [`EndpointView`] is one line of `--format inventory` and one item of `/api/v1/endpoints`.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::EndpointId;
use super::auth::{AuthScheme, AuthVerdict};
use super::callers::TopView;
use super::decision::Accepted;
use super::drift::DriftView;
use super::edges::EdgeView;
use super::events::Event;
use super::exposure::Exposure;
use super::history::History;
use super::jwt::JwtView;
use super::leaks::LeakView;
use super::owasp;
use super::pulse::Beat;
use super::reach::ZoneView;
use super::risk::RiskReason;
use super::schema::{PathParameter, SchemaView, SensitiveView};
use super::spec::SpecSet;
use super::tls::TlsView;
use super::zones::Zone;
use crate::exchange::{OperationKind, SessionKind, Traffic};
use crate::time::Timestamp;

#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    #[default]
    Api,
    Web,
    Static,
    Infrastructure,
}

/// What the specs say of an endpoint. With neither spec nor accepted inventory nothing is shadow:
/// it is unreviewed.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Documentation {
    Documented,
    Shadow,
    #[default]
    Unreviewed,
}

#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// Not yet confirmed: nothing has answered for it often enough.
    #[default]
    Candidate,
    /// First seen after the learning time.
    New,
    Active,
    /// Documented, and no traffic for the set time.
    Dormant,
}

/// A status says why, and since when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reason {
    pub status: String,
    pub why: String,
    pub since: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Quantiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Auth {
    /// `none`, `bearer`, `jwt`, `basic`, `apikey`, `cookie`; judged on answered calls.
    pub scheme: String,
    pub requests: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EndpointView {
    #[serde(skip)]
    pub id: EndpointId,
    /// Stable across restarts and merges: what URLs and people refer to.
    pub key: String,
    /// Keys that it had before, or that endpoints had which are part of it; it is found by them, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    pub method: String,
    /// The host group's name.
    pub host: String,
    /// A member of the group, where the group has another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_example: Option<String>,
    pub template: String,
    pub kind: Kind,
    pub confirmed: bool,
    pub documentation: Documentation,
    pub life: Life,
    pub deprecated: bool,
    pub zombie: bool,
    pub reasons: Vec<Reason>,
    /// What would be claimed if the capture of the host were whole, and why it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back: Option<String>,
    pub first_seen: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
    pub requests: u64,
    /// Responses by class: no response, 1xx, 2xx, 3xx, 4xx, 5xx.
    pub by_class: [u64; 6],
    /// The first 32 statuses are told apart.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub statuses: BTreeMap<u16, u64>,
    /// Milliseconds.
    pub latency: Option<Quantiles>,
    /// Body bytes per exchange.
    pub request_size: Option<Quantiles>,
    pub response_size: Option<Quantiles>,
    /// Distinct principals, by sketch.
    pub callers: u64,
    pub auth: Vec<Auth>,
    /// Absent while no call was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_verdict: Option<AuthVerdict>,
    /// Of all calls, each credential by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auth_schemes: Vec<AuthScheme>,
    /// The JSON web tokens that it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtView>,
    /// What its answers give away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<LeakView>,
    /// Share of exchanges whose other half could not be told.
    pub unpaired: u64,
    pub sunset: Option<Timestamp>,
    /// Requests of the last seven days of packet time, and of the seven before.
    pub last_week: u64,
    pub week_before: u64,
    /// A person has said that it is meant to be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
    /// What people say of it: short labels in order, whose it is, and free text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Of a deprecated or zombie endpoint: how it fares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retirement: Option<Retirement>,
    /// Keys of the versions of the same operation, oldest first, itself among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// Of an old version beside newer ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_share: Option<f64>,
    /// Of the spec that owns the place: what [`SpecView::id`] is.
    #[serde(skip)]
    pub spec_id: Option<Arc<str>>,
    /// Title of the spec that owns the place, and the operation's id where it is documented.
    pub spec: Option<String>,
    pub operation_id: Option<String>,
    /// Beneath the path, where requests say it: `query GetUser`, `eth_call`, `GetWeather`.
    pub operation: Option<String>,
    pub operation_kind: Option<OperationKind>,
    /// The most that a GraphQL request had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graphql_depth: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graphql_aliases: Option<u16>,
    /// The GraphQL schema was asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub introspection: bool,
    /// Why the template's parameters are parameters.
    pub evidence: Vec<String>,
    /// What became of its template, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// Requests an hour for the last 24 hours of packet time, oldest first.
    pub hourly: Vec<u64>,
    /// By the minute for a day, by the hour for 60 days; by itself at `…/history`.
    #[serde(skip)]
    pub history: Arc<History>,
    /// Long-lived connections that its requests opened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionsView>,
    /// What lies open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Exposure>,
    /// 1 to 10: the heaviest of its reasons, of which there is at least one.
    pub risk: u8,
    pub risk_reasons: Vec<RiskReason>,
    /// The widest zone whose callers are answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Zone>,
    /// Calls by zone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<ZoneView>,
    /// Of answered calls: the most frequent callers and client programs, and the classes of callers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top_callers: Vec<TopView>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<TopView>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<EdgeView>,
    /// What it does, and its document does not say, or says otherwise.
    pub drift: Vec<DriftView>,
    /// Sensitive data in its messages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sensitive: Vec<SensitiveView>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path_parameters: Vec<PathParameter>,
    /// What its messages are made of, learned; by itself it has more members than here.
    #[serde(
        skip_deserializing,
        skip_serializing_if = "Option::is_none",
        serialize_with = "super::schema::compact"
    )]
    #[schemars(with = "Option<super::schema::Compact<'static>>")]
    pub schema: Option<Arc<SchemaView>>,
}

/// Whether what should be gone is going.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Retirement {
    pub sunset: Option<Timestamp>,
    pub sunset_passed: bool,
    /// Distinct callers of the last one to two weeks, by sketch.
    pub callers: u64,
    /// Change of the last seven days against the seven before, -1 to …; `None` without a whole
    /// earlier week.
    pub trend: Option<f64>,
}

/// A key as a number: it is one in hexadecimal.
fn number(key: &str) -> u64 {
    u64::from_str_radix(key, 16).unwrap_or_default()
}

/// One version of a host's API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct VersionView {
    pub version: String,
    pub endpoints: usize,
    /// Of the last seven days.
    pub requests: u64,
    /// Of all versions' requests of these days.
    pub share: f64,
}

/// WebSockets or event streams of one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SessionsView {
    pub kind: SessionKind,
    /// Connections opened, and how many of them are over.
    pub sessions: u64,
    pub over: u64,
    /// Client to server, server to client.
    pub up: Traffic,
    pub down: Traffic,
    pub pings: u64,
    pub pongs: u64,
    /// Sessions by their close code; the first 16 codes are told apart.
    pub closes: BTreeMap<u16, u64>,
    pub last_close: Option<u16>,
    pub longest_seconds: f64,
    /// Records whose counts are the least that there was.
    pub lossy: u64,
}

impl EndpointView {
    /// `GET api.example.com /v1/users/{user_id}`, or with an operation
    /// `POST api.example.com /graphql query GetUser`: how alerts and assignments name it.
    pub fn label(&self) -> String {
        label(
            &self.method,
            &self.host,
            &self.template,
            self.operation.as_deref(),
        )
    }
}

pub(super) fn label(method: &str, host: &str, template: &str, operation: Option<&str>) -> String {
    let path = format!("{method} {host} {template}");
    match operation {
        Some(operation) => format!("{path} {operation}"),
        None => path,
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HostView {
    pub host: String,
    pub endpoints: usize,
    pub requests: u64,
    /// Title of the spec that owns it, if any.
    pub spec: Option<String>,
    /// Share of its exchanges of the last minutes of which a half was lost; none were seen: `None`.
    pub unpaired: Option<f64>,
    /// Of its riskiest endpoint.
    pub risk: u8,
    /// What lies open of the host itself; of its TLS see there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Exposure>,
    /// Where it has several.
    pub versions: Vec<VersionView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SpecView {
    /// What URLs name it by.
    pub id: Arc<str>,
    pub title: String,
    pub version: String,
    pub file: String,
    /// `OpenAPI 3.1.0, YAML`.
    pub format: String,
    /// Hosts and base path it claims.
    pub scope: Vec<String>,
    pub operations: usize,
    /// Operations that were called.
    pub seen: usize,
    /// Confirmed endpoints in its place that it does not have.
    pub undocumented: usize,
    /// Ways in which its operations' traffic differs from it.
    pub drift: usize,
    /// What in it could not be read: file, line, reason.
    pub notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// First seen after learning.
    New,
    Shadow,
    DeprecatedInUse,
    Zombie,
    SunsetPassed,
    /// A host that no spec knows, while others are known.
    UnknownHost,
    /// A GraphQL service gives its schema to whoever asks.
    Introspection,
    /// A class of callers that the endpoint's learning time did not know.
    NewCaller,
    /// Callers from a wider zone are answered than in its learning time.
    WiderExposure,
}

impl FindingKind {
    pub const ALL: [Self; 9] = [
        Self::New,
        Self::Shadow,
        Self::DeprecatedInUse,
        Self::Zombie,
        Self::SunsetPassed,
        Self::UnknownHost,
        Self::Introspection,
        Self::NewCaller,
        Self::WiderExposure,
    ];

    /// Of the OWASP API Security Top 10.
    pub fn owasp(self) -> &'static str {
        match self {
            Self::Introspection => owasp::API8,
            Self::New
            | Self::Shadow
            | Self::DeprecatedInUse
            | Self::Zombie
            | Self::SunsetPassed
            | Self::UnknownHost
            | Self::NewCaller
            | Self::WiderExposure => owasp::API9,
        }
    }
}

/// A lasting fact about an endpoint (or a host, where `endpoint` is none).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub kind: FindingKind,
    #[serde(skip)]
    pub endpoint: Option<EndpointId>,
    /// Label of the endpoint, or the host.
    pub subject: String,
    pub at: Timestamp,
    pub since: Timestamp,
    pub why: String,
}

/// The whole inventory at one moment. Sorted by host, template, method, operation.
#[derive(Clone, Debug, Default)]
pub struct CatalogView {
    pub endpoints: Vec<Arc<EndpointView>>,
    pub hosts: Vec<HostView>,
    pub specs: Vec<SpecView>,
    /// The documents themselves.
    pub documents: Arc<SpecSet>,
    /// Hosts with TLS, and how much of the traffic was inspected.
    pub tls: TlsView,
    /// Packet time of this view.
    pub at: Timestamp,
    /// Packet time until which everything seen is taken as normal.
    pub learning_until: Option<Timestamp>,
    /// Entries put out by the budget so far.
    pub evicted: u64,
    /// What the histories of all endpoints take, about, and no less.
    pub history_bytes: u64,
    /// Histories by the minute or the hour that the budget has put out so far.
    pub histories_cut: u64,
    /// Where keys are among the endpoints, sorted; made when first asked for.
    pub by_key: OnceLock<Vec<(u64, u32)>>,
    /// Packet time of the first exchange.
    pub started: Option<Timestamp>,
    /// Requests of two days by the quarter of an hour: those that had any, the oldest first.
    pub pulse: Vec<Beat>,
}

impl CatalogView {
    /// The endpoint of a key, or of a key that it had before.
    pub fn find(&self, key: &str) -> Option<&Arc<EndpointView>> {
        let index = self.by_key.get_or_init(|| {
            let all = (0..).zip(&self.endpoints);
            let mut keys: Vec<(u64, u32)> = all.map(|(at, e)| (number(&e.key), at)).collect();
            keys.sort_unstable();
            keys
        });
        let asked = number(key);
        let first = index.partition_point(|(known, _)| *known < asked);
        let alike = index[first..].iter().take_while(|(n, _)| *n == asked);
        let mut alike = alike.filter_map(|(_, at)| self.endpoints.get(*at as usize));
        let before = || {
            let mut all = self.endpoints.iter();
            all.find(|e| e.aliases.iter().any(|a| a == key))
        };
        alike.find(|e| e.key == key).or_else(before)
    }

    /// All that lies open, of hosts and of confirmed endpoints.
    pub fn exposures(&self) -> impl Iterator<Item = &Exposure> {
        let endpoints = self.endpoints.iter().filter(|e| e.confirmed);
        let hosts = self.tls.hosts.iter().flat_map(|host| &host.findings);
        let hosts = hosts.chain(self.hosts.iter().flat_map(|host| &host.findings));
        hosts.chain(endpoints.flat_map(|e| &e.findings))
    }
}
