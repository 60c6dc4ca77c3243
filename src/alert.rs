//! The alert: its life cycle, de-duplication, formats and delivery.
//!
//! Built from the detectors' verdicts and the catalogue's findings. The manager is sans-IO;
//! delivery runs on tokio from an outbox that is on disk before anything is sent.

use std::sync::Arc;

pub mod delivery;
mod egress;
mod manager;
pub mod route;
pub mod sink;

pub use egress::Egress;
pub use manager::{Counts, Manager};

use serde::{Deserialize, Serialize};

use crate::detect::{Point, Principal, Severity};
use crate::time::Timestamp;

/// Version of the JSON form.
pub const VERSION: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Open,
    Acknowledged,
    Resolved,
}

/// An event in time, with evidence: one line of `--format alerts`, one item of `/api/v1/alerts`,
/// the data of a webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub v: u32,
    /// Deterministic: hash of fingerprint and first raise.
    pub id: String,
    /// When it was raised, packet time.
    pub ts: Timestamp,
    /// `enumeration scan scraping credential volume exfiltration authorization source availability`, from the
    /// catalogue `shadow deprecated drift exposure`, from the sensor `sensor`.
    pub kind: String,
    pub severity: Severity,
    pub score: f64,
    pub detector: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<Principal>,
    /// `GET api.example.com /v1/users/{user_id}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The endpoint's host, or the one that the alert is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub host: Option<String>,
    pub since: Timestamp,
    pub until: Timestamp,
    pub expected: f64,
    pub observed: f64,
    /// 10^log10_p; 0 where that underflows.
    pub p_value: f64,
    pub log10_p: f64,
    pub summary: String,
    #[serde(default)]
    pub why: Vec<String>,
    #[serde(default)]
    pub samples: Vec<String>,
    #[serde(default)]
    pub series: Vec<Point>,
    pub owasp: String,
    pub status: Status,
    /// Same fingerprint = same alert seen again.
    pub fingerprint: String,
    /// How often it was raised; grows while the alert is not resolved.
    pub occurrences: u64,
    pub last_seen: Timestamp,
    /// Grows with each change, so that receivers can order what they get.
    pub revision: u64,
    /// Who changed the status last, and the note they left.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub changed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

impl Alert {
    /// Names this revision, to receivers that drop what they have seen, and in the outbox.
    pub fn message_id(&self) -> String {
        format!("{}-{}", self.id, self.revision)
    }
}

/// Ages of messages are by the wall: they outlast the process. In microseconds, as JSON keeps them.
pub(crate) fn wall() -> Timestamp {
    let micros = jiff::Timestamp::now().as_microsecond();
    Timestamp::from_nanos(micros.saturating_mul(1_000))
}

/// What a person sends to see whether alerts arrive. Never one of the alerts that are kept.
fn test_alert() -> Alert {
    let now = wall();
    Alert {
        v: VERSION,
        id: format!("test{}", now.nanos()),
        ts: now,
        kind: "sensor".into(),
        severity: Severity::Info,
        score: 0.0,
        detector: "test".into(),
        principal: None,
        endpoint: None,
        host: None,
        since: now,
        until: now,
        expected: 0.0,
        observed: 0.0,
        p_value: 1.0,
        log10_p: 0.0,
        summary: "a test of apitap's alert delivery".into(),
        why: vec!["somebody asked for it; nothing has happened".into()],
        samples: Vec::new(),
        series: Vec::new(),
        owasp: String::new(),
        status: Status::Open,
        fingerprint: "test".into(),
        occurrences: 1,
        last_seen: now,
        revision: 1,
        changed_by: None,
        note: None,
    }
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// Alerts kept at most; past it resolved ones go first, oldest first.
    pub max_alerts: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_alerts: 10_000 }
    }
}

/// All alerts at one moment, newest first.
#[derive(Clone, Debug, Default)]
pub struct AlertsView {
    pub alerts: Vec<Arc<Alert>>,
    pub evicted: u64,
}
