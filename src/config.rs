//! One TOML file, every default in one place.
//!
//! No room imports this one: each takes a small settings struct of its own, made here. Unknown
//! keys are refused, so that a typing error never silently means the default. The sample in
//! `systemd/apitap.toml` shows every key at its default; a test holds it to that.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::observe::custom;
use crate::{access, alert, analysis, capture, catalog, decode, detect, flow, http, sensor, web};

mod effective;
mod evidence;
mod oidc;
mod places;
mod silences;
mod sinks;
mod units;

#[cfg(test)]
mod tests;

pub use effective::{Document, Override};
pub use evidence::Evidence;
use oidc::Oidc;
pub use places::{Deprecated, HostGroup};
pub use silences::SilenceRule;
pub use sinks::{Egress, Route, Sink, Webhook};
pub use units::{ByteSize, Date, Prefix, Span};

/// Where the daemon looks when it is told nothing.
pub const DEFAULT_PATH: &str = "/etc/apitap/apitap.toml";

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub capture: Capture,
    pub sensor: Sensor,
    pub tls: Tls,
    pub catalog: Catalog,
    pub detect: Detect,
    pub alert: Alert,
    pub evidence: Evidence,
    pub webhook: Vec<Webhook>,
    pub sink: Vec<Sink>,
    pub web: Web,
    pub store: Store,
    pub log: Log,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Capture {
    pub interfaces: Vec<String>,
    pub filter: String,
    pub snap_length: u32,
    pub buffer: ByteSize,
    pub promiscuous: bool,
    /// Whether segments with a wrong TCP checksum are refused.
    pub checksums: sensor::Checksums,
    pub vxlan_ports: Vec<u16>,
    pub geneve_ports: Vec<u16>,
    /// Lists of VNIs that are one network: a flow seen in two of one list is one flow.
    pub same_network: Vec<Vec<u32>>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sensor {
    pub workers: usize,
    pub max_flows: usize,
    pub max_buffered: ByteSize,
    pub idle_timeout: Span,
    /// Proxies that are believed who their clients are.
    pub trusted_proxies: Vec<Prefix>,
    /// A database in MaxMind's format; none where it is empty.
    pub country_db: PathBuf,
    /// Where every exchange is appended as a JSON line; nowhere where it is empty.
    pub exchanges: PathBuf,
}

/// Files with keys; what they open is read as if in clear.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// NSS key logs, followed while they grow.
    pub key_logs: Vec<PathBuf>,
    /// RSA keys in PEM of servers with the RSA key exchange of TLS 1.2.
    pub private_keys: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Catalog {
    pub specs: Vec<SpecSource>,
    pub learning: Span,
    pub dormant_after: Span,
    pub max_endpoints: usize,
    pub max_fields: usize,
    pub max_history: ByteSize,
    /// Certificates that end sooner than this are told of.
    pub expiry_warning: Span,
    /// What is deprecated, whatever specs and headers say.
    pub deprecated: Vec<Deprecated>,
    /// Hosts that serve one API.
    pub host_groups: Vec<HostGroup>,
    /// Tokens that are good for longer than this are told of.
    pub jwt_max_life: Span,
    /// Classes of sensitive data of one's own.
    pub sensitive: Vec<custom::Rule>,
    pub zones: Zones,
    /// What each reason of a risk weighs.
    pub risk: catalog::Weights,
}

/// Where callers stand. What is in no range is external.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Zones {
    pub internal: Vec<Prefix>,
    pub partner: Vec<Prefix>,
}

/// A document or a folder of them; with the hosts that it is about, where its servers do not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpecSource {
    pub path: PathBuf,
    /// `*` stands for one label; none: what the document's servers say.
    pub hosts: Vec<String>,
}

impl Serialize for SpecSource {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        if self.hosts.is_empty() {
            return self.path.serialize(serializer);
        }
        let mut bound = serializer.serialize_map(Some(2))?;
        bound.serialize_entry("path", &self.path)?;
        bound.serialize_entry("hosts", &self.hosts)?;
        bound.end()
    }
}

impl<'de> Deserialize<'de> for SpecSource {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a path, or { path, hosts }")]
        enum Form {
            Path(PathBuf),
            Bound(Bound),
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Bound {
            path: PathBuf,
            #[serde(default)]
            hosts: Vec<String>,
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Path(path) => Self {
                path,
                hosts: Vec::new(),
            },
            Form::Bound(Bound { path, hosts }) => Self { path, hosts },
        })
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Detect {
    pub false_alarms_per_week: f64,
    pub learning: Span,
    pub max_principals: usize,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alert {
    pub max_alerts: usize,
    pub max_incidents: usize,
    /// An incident in which nothing rang for so long takes no more alerts.
    pub incident_quiet: Span,
    /// How long a false alarm stays one.
    pub dismissal: Span,
    pub egress: Egress,
    pub routes: Vec<Route>,
    /// What is kept and counted, and not told.
    pub silences: Vec<SilenceRule>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Web {
    pub listen: SocketAddr,
    pub hosts: Vec<String>,
    /// PEM files; both or neither.
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub sign_in: SignIn,
    /// Browsers come through a proxy that speaks TLS to them.
    pub behind_tls: bool,
    /// Proxies whose word is taken for who signs in through them.
    pub trusted_proxies: Vec<Prefix>,
    pub open_metrics: bool,
    /// A session is over after so long without use, and after so long whatever happens.
    pub session_idle: Span,
    pub session_life: Span,
    pub oidc: Option<Oidc>,
}

/// Whether the web UI and the API ask who somebody is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SignIn {
    /// Everywhere but on loopback.
    #[default]
    Auto,
    On,
    /// On loopback alone.
    Off,
}

impl Web {
    fn pem(&self) -> Option<web::Pem> {
        let named = !self.certificate.as_os_str().is_empty();
        named.then(|| web::Pem {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
        })
    }

    pub fn is_tls(&self) -> bool {
        self.behind_tls || self.pem().is_some()
    }

    pub fn signs_in(&self) -> bool {
        match self.sign_in {
            SignIn::Auto => !self.listen.ip().is_loopback(),
            SignIn::On => true,
            SignIn::Off => false,
        }
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        if self.sign_in == SignIn::Off && !self.listen.ip().is_loopback() {
            let why = format!(
                "must not be off, since {} can be reached by others: take \"auto\", or listen on 127.0.0.1",
                self.listen
            );
            return Err(("sign_in", why));
        }
        if self.session_idle.0.is_zero() || self.session_life.0 < self.session_idle.0 {
            return Err((
                "session_idle",
                "must be above 0, and no more than session_life".into(),
            ));
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    pub path: PathBuf,
    pub checkpoint_every: Span,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub level: String,
    pub json: bool,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            // A kernel filter such as `tcp` would miss tunnels, fragments and tagged frames.
            filter: String::new(),
            snap_length: 262_144,
            buffer: ByteSize(64 << 20),
            promiscuous: true,
            checksums: sensor::Checksums::Auto,
            vxlan_ports: decode::Ports::default().vxlan,
            geneve_ports: decode::Ports::default().geneve,
            same_network: Vec::new(),
        }
    }
}

impl Default for Sensor {
    fn default() -> Self {
        Self {
            workers: 1,
            max_flows: 1_000_000,
            max_buffered: ByteSize(256 << 20),
            idle_timeout: Span(Duration::from_secs(900)),
            trusted_proxies: Vec::new(),
            country_db: PathBuf::new(),
            exchanges: PathBuf::new(),
        }
    }
}

impl Default for Catalog {
    fn default() -> Self {
        let room = catalog::Settings::default();
        Self {
            specs: Vec::new(),
            learning: Span(room.learning),
            dormant_after: Span(room.dormant_after),
            max_endpoints: room.max_endpoints,
            max_fields: room.max_fields,
            max_history: ByteSize(room.max_history as u64),
            expiry_warning: Span(room.expiry_warning),
            deprecated: Vec::new(),
            host_groups: Vec::new(),
            jwt_max_life: Span(room.jwt_max_life),
            sensitive: Vec::new(),
            zones: Zones::default(),
            risk: room.risk,
        }
    }
}

impl Default for Zones {
    fn default() -> Self {
        let internal = catalog::INTERNAL
            .iter()
            .filter_map(|text| text.parse().ok());
        Self {
            internal: internal.map(Prefix).collect(),
            partner: Vec::new(),
        }
    }
}

impl Default for Detect {
    fn default() -> Self {
        let room = detect::Settings::default();
        Self {
            false_alarms_per_week: room.false_alarms_per_week,
            learning: Span(room.learning),
            max_principals: room.max_principals,
        }
    }
}

impl Default for Alert {
    fn default() -> Self {
        let room = alert::Settings::default();
        Self {
            max_alerts: room.max_alerts,
            max_incidents: room.max_incidents,
            incident_quiet: Span(room.quiet),
            dismissal: Span(room.dismissal),
            egress: Egress::default(),
            routes: Vec::new(),
            silences: Vec::new(),
        }
    }
}

impl Default for Web {
    fn default() -> Self {
        let room = web::Settings::default();
        Self {
            listen: room.listen,
            hosts: Vec::new(),
            sign_in: SignIn::Auto,
            behind_tls: false,
            trusted_proxies: Vec::new(),
            open_metrics: room.open_metrics,
            session_idle: Span(room.sessions.idle),
            session_life: Span(room.sessions.life),
            oidc: None,
            certificate: PathBuf::new(),
            key: PathBuf::new(),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self {
            path: "/var/lib/apitap".into(),
            checkpoint_every: Span(Duration::from_secs(300)),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".into(),
            json: false,
        }
    }
}

impl Zones {
    fn to_room(&self) -> catalog::Zones {
        let nets = |all: &[Prefix]| all.iter().map(|prefix| prefix.0).collect::<Vec<_>>();
        catalog::Zones::new(nets(&self.internal), nets(&self.partner))
    }
}

/// What is wrong, where, and the mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {why}")]
    Unreadable { path: String, why: String },
    #[error("{path}:{line}:{column}: {why}")]
    Wrong {
        path: String,
        line: usize,
        column: usize,
        why: String,
    },
}

impl Config {
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Document::read(path)?.config()
    }

    /// The file named, or the default one where it is there, or the defaults.
    pub fn find(named: Option<&Path>) -> Result<Self, ConfigError> {
        Document::find(named)?.config()
    }

    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        let wrong = |at: usize, why: String| {
            let before = &text[..at.min(text.len())];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
            ConfigError::Wrong {
                path: name.to_owned(),
                line,
                column,
                why,
            }
        };
        let config: Self = toml::from_str(text).map_err(|e| {
            wrong(
                e.span().map_or(0, |s| s.start),
                e.message().replace('\n', " "),
            )
        })?;
        config
            .check()
            .map_err(|(key, why)| wrong(text.find(key).unwrap_or(0), format!("{key}: {why}")))?;
        Ok(config)
    }

    /// What the types alone do not say.
    fn check(&self) -> Result<(), (&'static str, String)> {
        if self.sensor.workers == 0 || self.sensor.workers > 64 {
            return Err(("workers", "must be 1 to 64".into()));
        }
        let budget = self.detect.false_alarms_per_week;
        if !(budget.is_finite() && budget > 0.0) {
            return Err((
                "false_alarms_per_week",
                "must be a number above 0, such as 1.0".into(),
            ));
        }
        let Zones { internal, partner } = &self.catalog.zones;
        if let Some(both) = partner.iter().find(|net| internal.contains(net)) {
            let why = format!("{} is internal already", both.0);
            return Err(("partner", why));
        }
        self.evidence.check()?;
        let mut weights = self.catalog.risk.all().into_iter();
        if let Some((name, _)) = weights.find(|(_, w)| *w > catalog::Weights::MAX) {
            return Err((name, "must be 0 (never a reason) to 10".into()));
        }
        self.catalog
            .deprecated
            .iter()
            .try_for_each(Deprecated::check)?;
        self.catalog
            .host_groups
            .iter()
            .try_for_each(HostGroup::check)?;
        custom::Rules::compile(&self.catalog.sensitive)
            .map_err(|e| ("sensitive", e.to_string()))?;
        self.web.check()?;
        if self.web.certificate.as_os_str().is_empty() != self.web.key.as_os_str().is_empty() {
            let why = "a certificate and its key are named together: set the other, too";
            return Err(("certificate", why.into()));
        }
        self.web.oidc.as_ref().map_or(Ok(()), Oidc::check)?;
        self.check_silences()?;
        self.check_sinks()
    }

    pub fn analysis(&self) -> analysis::Settings {
        analysis::Settings {
            catalog: catalog::Settings {
                learning: self.catalog.learning.0,
                dormant_after: self.catalog.dormant_after.0,
                max_endpoints: self.catalog.max_endpoints,
                max_fields: self.catalog.max_fields,
                max_history: usize::try_from(self.catalog.max_history.0).unwrap_or(usize::MAX),
                expiry_warning: self.catalog.expiry_warning.0,
                zones: self.catalog.zones.to_room(),
                risk: self.catalog.risk,
                deprecated: self
                    .catalog
                    .deprecated
                    .iter()
                    .map(Deprecated::rule)
                    .collect(),
                host_groups: self
                    .catalog
                    .host_groups
                    .iter()
                    .map(HostGroup::rule)
                    .collect(),
                jwt_max_life: self.catalog.jwt_max_life.0,
                ..catalog::Settings::default()
            },
            detect: detect::Settings {
                false_alarms_per_week: self.detect.false_alarms_per_week,
                learning: self.detect.learning.0,
                max_principals: self.detect.max_principals,
            },
            alert: alert::Settings {
                max_alerts: self.alert.max_alerts,
                max_incidents: self.alert.max_incidents,
                quiet: self.alert.incident_quiet.0,
                dismissal: self.alert.dismissal.0,
                silences: self.silences(),
            },
        }
    }

    pub fn live(&self) -> capture::LiveSettings {
        capture::LiveSettings {
            filter: self.capture.filter.clone(),
            snap_length: self.capture.snap_length,
            buffer: u32::try_from(self.capture.buffer.0).unwrap_or(u32::MAX),
            promiscuous: self.capture.promiscuous,
        }
    }

    /// The budgets are given to the virtual shards in equal parts.
    pub fn sensor(&self, seed: u64, identity_key: [u8; 32]) -> sensor::Settings {
        let shards = sensor::SHARDS as usize;
        let flow = flow::Settings {
            max_flows: (self.sensor.max_flows / shards).max(1),
            max_buffered: (self.sensor.max_buffered.0 as usize / shards).max(64 << 10),
            idle: self.sensor.idle_timeout.0,
            ..flow::Settings::default()
        };
        sensor::Settings {
            workers: self.sensor.workers,
            ports: decode::Ports {
                vxlan: self.capture.vxlan_ports.clone(),
                geneve: self.capture.geneve_ports.clone(),
            },
            fragments: decode::FragmentSettings::default(),
            same_network: self.capture.same_network.clone(),
            flow,
            seed,
            identity_key,
            trusted: self.trusted(),
            mask: true,
            rules: self.rules(),
            own: sensor::Own::default(),
            checksums: self.capture.checksums,
            keys: Arc::default(),
            recorder: self.evidence.recorder(),
            countries: sensor::Countries::default(),
        }
    }

    /// Whose `Forwarded` and PROXY headers are believed.
    pub fn trusted(&self) -> http::Trusted {
        trusted(&self.sensor.trusted_proxies)
    }

    /// Where clients are, by the database that is named; nowhere without one.
    pub fn countries(&self) -> Result<sensor::Countries, sensor::Unreadable> {
        if self.sensor.country_db.as_os_str().is_empty() {
            return Ok(sensor::Countries::default());
        }
        sensor::Countries::open(&self.sensor.country_db)
    }

    /// Classes of sensitive data of one's own; they were checked when they were read.
    pub fn rules(&self) -> Arc<custom::Rules> {
        Arc::new(custom::Rules::compile(&self.catalog.sensitive).unwrap_or_default())
    }

    /// The identity provider, where one is set: reads its secret. The error says what and where.
    pub fn oidc(&self) -> Result<Option<Arc<web::Provider>>, String> {
        let ready = self.web.oidc.as_ref().map(Oidc::ready).transpose()?;
        Ok(ready.map(Arc::new))
    }

    /// What may be held at most.
    pub fn limits(&self) -> web::Limits {
        web::Limits {
            history_bytes: self.catalog.max_history.0,
            packet_bytes: match self.evidence.is_on() {
                true => self.evidence.max_saved.0,
                false => 0,
            },
            false_alarms: self.detect.false_alarms_per_week,
        }
    }

    pub fn web(&self) -> web::Settings {
        web::Settings {
            listen: self.web.listen,
            hosts: self.web.hosts.clone(),
            sign_in: self.web.signs_in(),
            behind_tls: self.web.behind_tls,
            proxies: trusted(&self.web.trusted_proxies),
            open_metrics: self.web.open_metrics,
            sessions: access::Times {
                idle: self.web.session_idle.0,
                life: self.web.session_life.0,
            },
            tls: self.web.pem(),
            oidc: None,
        }
    }
}

fn trusted(proxies: &[Prefix]) -> http::Trusted {
    http::Trusted::new(proxies.iter().map(|p| p.0))
}
