//! The alert: its life cycle, de-duplication, formats and delivery.
//!
//! Built from the detectors' verdicts and the catalogue's findings. The manager is sans-IO;
//! delivery runs on tokio from an outbox that is on disk before anything is sent.

use std::sync::Arc;

pub mod delivery;
mod manager;
mod webhook;

pub use manager::{Counts, Manager};
pub use webhook::{Secret, WebhookSettings};

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
    /// `enumeration scan scraping credential volume exfiltration authorization source`, from the
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
