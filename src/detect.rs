//! Baselines, tests and scores: who does what the past does not explain.
//!
//! Sans-IO and deterministic; time is packet time. Detectors read the catalogue's `Access` with
//! the exchange and answer with a [`Verdict`]. One number is set by a person, the false alarms a
//! week one will bear; each detector's bar follows from it.

use std::time::Duration;

mod budget;
mod detectors;
mod stats;
mod tally;
mod volume;

#[cfg(test)]
mod tests;

pub use detectors::Detect;

use serde::{Deserialize, Serialize};

use crate::catalog::EndpointId;
use crate::time::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerdictKind {
    Enumeration,
    Scan,
    Scraping,
    Credential,
    Volume,
    Exfiltration,
    Authorization,
    Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

/// Who acts: the identity where there is one, and the address last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Principal {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// One point of the small series behind a verdict: what was expected and seen in one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub at: Timestamp,
    pub expected: f64,
    pub observed: f64,
}

/// What a detector says: an event in time, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Packet time at which the bar was crossed.
    pub at: Timestamp,
    pub kind: VerdictKind,
    pub severity: Severity,
    /// 0 to 100, for sorting: grows with -log10 p.
    pub score: f64,
    pub detector: String,
    /// None where many act together.
    pub principal: Option<Principal>,
    #[serde(skip)]
    pub endpoint: Option<EndpointId>,
    pub since: Timestamp,
    pub until: Timestamp,
    /// What the baseline expected, in the unit that `summary` names.
    pub expected: f64,
    pub observed: f64,
    /// How unlikely what was seen is by chance, as log10.
    pub log10_p: f64,
    /// One sentence for a person.
    pub summary: String,
    pub why: Vec<String>,
    /// A few redacted examples: `GET /v1/users/1042 → 200`.
    pub samples: Vec<String>,
    pub series: Vec<Point>,
    /// `API1:2023` and its like.
    pub owasp: String,
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// The false-alarm budget: how many a week a person will bear.
    pub false_alarms_per_week: f64,
    /// Packet time from the first exchange in which baselines are learnt and nothing rings.
    pub learning: Duration,
    /// Principals followed at most.
    pub max_principals: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            false_alarms_per_week: 1.0,
            learning: Duration::from_secs(86_400),
            max_principals: 100_000,
        }
    }
}
