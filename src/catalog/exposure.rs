//! What lies open: lasting facts about a host or an endpoint as they were seen on the wire, each
//! with its evidence. The JSON form of [`Exposure`] is one item of `/api/v1/findings`.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::owasp;
use crate::time::Timestamp;

#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 5] = [
        Self::Info,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

#[derive(
    Clone,
    Copy,
    Debug,
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
pub enum ExposureKind {
    /// SSL 3.0, TLS 1.0 or 1.1 was agreed on.
    ObsoleteTls,
    WeakCipher,
    NoForwardSecrecy,
    CertificateExpired,
    CertificateExpiring,
    SelfSigned,
    CredentialsInClear,
    NoAuthentication,
    MixedAuthentication,
    JwtNone,
    JwtNoExpiry,
    JwtLongLife,
    JwtExpiredAccepted,
    JwtSecretClaim,
    JwtMixedAlgorithms,
    JwtKeyUrl,
    StackTrace,
    SqlError,
    InternalAddress,
    FilePath,
    ServerVersion,
    /// Classes of callers that the endpoint's learning time did not know.
    NewCaller,
    /// Callers from a wider zone are answered than in its learning time.
    WiderExposure,
}

impl ExposureKind {
    pub const ALL: [Self; 23] = [
        Self::ObsoleteTls,
        Self::WeakCipher,
        Self::NoForwardSecrecy,
        Self::CertificateExpired,
        Self::CertificateExpiring,
        Self::SelfSigned,
        Self::CredentialsInClear,
        Self::NoAuthentication,
        Self::MixedAuthentication,
        Self::JwtNone,
        Self::JwtNoExpiry,
        Self::JwtLongLife,
        Self::JwtExpiredAccepted,
        Self::JwtSecretClaim,
        Self::JwtMixedAlgorithms,
        Self::JwtKeyUrl,
        Self::StackTrace,
        Self::SqlError,
        Self::InternalAddress,
        Self::FilePath,
        Self::ServerVersion,
        Self::NewCaller,
        Self::WiderExposure,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::ObsoleteTls => "obsolete-tls",
            Self::WeakCipher => "weak-cipher",
            Self::NoForwardSecrecy => "no-forward-secrecy",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateExpiring => "certificate-expiring",
            Self::SelfSigned => "self-signed",
            Self::CredentialsInClear => "credentials-in-clear",
            Self::NoAuthentication => "no-authentication",
            Self::MixedAuthentication => "mixed-authentication",
            Self::JwtNone => "jwt-none",
            Self::JwtNoExpiry => "jwt-no-expiry",
            Self::JwtLongLife => "jwt-long-life",
            Self::JwtExpiredAccepted => "jwt-expired-accepted",
            Self::JwtSecretClaim => "jwt-secret-claim",
            Self::JwtMixedAlgorithms => "jwt-mixed-algorithms",
            Self::JwtKeyUrl => "jwt-key-url",
            Self::StackTrace => "stack-trace",
            Self::SqlError => "sql-error",
            Self::InternalAddress => "internal-address",
            Self::FilePath => "file-path",
            Self::ServerVersion => "server-version",
            Self::NewCaller => "new-caller",
            Self::WiderExposure => "wider-exposure",
        }
    }

    /// Of the OWASP API Security Top 10.
    pub fn owasp(self) -> &'static str {
        match self {
            Self::CredentialsInClear
            | Self::NoAuthentication
            | Self::MixedAuthentication
            | Self::JwtNone
            | Self::JwtNoExpiry
            | Self::JwtLongLife
            | Self::JwtExpiredAccepted
            | Self::JwtSecretClaim
            | Self::JwtMixedAlgorithms
            | Self::JwtKeyUrl => owasp::API2,
            Self::NewCaller | Self::WiderExposure => owasp::API9,
            _ => owasp::API8,
        }
    }

    /// Whether it is told by an alert. What private networks are full of by choice is listed alone.
    pub(super) fn rings(self) -> bool {
        !matches!(
            self,
            Self::SelfSigned | Self::NoForwardSecrecy | Self::InternalAddress | Self::FilePath
        )
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Exposure {
    /// The same for the same fact, across restarts.
    pub id: String,
    pub kind: ExposureKind,
    pub severity: Severity,
    pub owasp: String,
    /// `api.example:443`, or the endpoint's label.
    pub subject: String,
    pub host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The endpoint's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// What was seen, behind the subject's name: `speaks TLS 1.0`.
    pub what: String,
    /// Why that matters.
    pub why: String,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// Flows of a host, calls of an endpoint.
    pub count: u64,
    /// Kinds of client (JA4) among them, as far as they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<usize>,
    /// `TLS 1.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// By its name in IANA's registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// `basic`, `bearer`, `jwt`, `apikey`, `cookie`, `login`, `query`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
}

impl Exposure {
    pub(super) fn new(kind: ExposureKind, severity: Severity, host: &str, what: String) -> Self {
        Self {
            id: String::new(),
            kind,
            severity,
            owasp: kind.owasp().to_owned(),
            subject: String::new(),
            host: host.to_owned(),
            port: None,
            endpoint: None,
            what,
            why: String::new(),
            first_seen: Timestamp::MIN,
            last_seen: Timestamp::MIN,
            count: 0,
            clients: None,
            version: None,
            cipher: None,
            not_after: None,
            scheme: None,
        }
    }

    pub(super) fn about(mut self, subject: &str) -> Self {
        let text = format!("{}\0{subject}\0{}", self.kind.name(), self.what);
        let digest = Sha256::digest(text);
        let start = digest[..8]
            .iter()
            .fold(0_u64, |n, b| n << 8 | u64::from(*b));
        self.id = format!("{start:016x}");
        subject.clone_into(&mut self.subject);
        self
    }

    pub(super) fn rings(&self) -> bool {
        self.kind.rings() && self.severity > Severity::Info
    }
}

/// Something newly lies open: one alert a host and detector, whatever is found there later.
#[derive(Clone, Debug, PartialEq)]
pub struct Exposed {
    pub detector: &'static str,
    pub owasp: &'static str,
    pub severity: Severity,
    /// The host.
    pub subject: String,
    /// The label of the worst endpoint, where it is about endpoints.
    pub endpoint: Option<String>,
    pub at: Timestamp,
    pub since: Timestamp,
    pub summary: String,
    pub why: Vec<String>,
}

impl Exposed {
    /// All that rings of a host, the worst first. `None` where nothing does.
    pub(super) fn of(
        detector: &'static str,
        host: &str,
        at: Timestamp,
        mut facts: Vec<Exposure>,
    ) -> Option<Self> {
        facts.retain(Exposure::rings);
        facts.sort_by(|a, b| (b.severity, &a.what, &a.id).cmp(&(a.severity, &b.what, &b.id)));
        let worst = facts.first()?;
        let more = match facts.len() - 1 {
            0 => String::new(),
            n => format!(", and {n} more"),
        };
        let line = |f: &Exposure| format!("{} {}: {}", f.subject, f.what, f.why);
        Some(Self {
            detector,
            owasp: worst.kind.owasp(),
            severity: worst.severity,
            subject: host.to_owned(),
            endpoint: worst.endpoint.is_some().then(|| worst.subject.clone()),
            at,
            since: facts.iter().map(|f| f.first_seen).min().unwrap_or(at),
            summary: format!("{} {}{more}", worst.subject, worst.what),
            why: facts.iter().map(line).collect(),
        })
    }
}
