//! The alert: its life cycle, de-duplication, formats and delivery.
//!
//! Built from the detectors' verdicts and the catalogue's findings, and joined into incidents. The
//! manager is sans-IO; delivery runs on tokio from an outbox that is on disk before anything is sent.
//!
//! What is delivered: an incident once, then its revisions, each as one message that is named by the
//! incident; never its alerts one by one. Alerts of the kind `sensor` belong to no incident and go
//! out one by one: a dead span port must page whatever else is going on. A person's change is told
//! as it is made, on an incident or on an alert of the sensor.

use std::sync::Arc;
use std::time::Duration;

mod act;
pub mod delivery;
mod egress;
mod evidence;
mod feedback;
mod incident;
mod life;
mod manager;
mod raise;
pub mod route;
mod silence;
pub mod sink;

pub use act::{Act, Acted, Deed, Note, On, Refused};
pub use egress::Egress;
pub use evidence::{Evidence, MARGIN};
pub use incident::{Event, Incident};
pub use life::{LONGEST_MUTE, Wanted};
pub use manager::{Counts, Manager};
pub use silence::{Ended, Scope, Silence};
pub(crate) use sink::is_hidden;

use serde::{Deserialize, Serialize};

use crate::detect::{Part, Point, Principal, Severity};
use crate::time::Timestamp;

/// Version of the JSON form.
pub const VERSION: u32 = 1;

/// Changes of status that an alert or incident remembers; past it the oldest go.
const HISTORY: usize = 50;

/// The life cycle, of alerts and of incidents.
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
pub enum Status {
    #[default]
    Open,
    /// Somebody is on it.
    Acknowledged,
    /// It was true, and is over: what rings again is another alert.
    Resolved,
    /// It was none: what rings again within the expiry is counted and not told.
    FalseAlarm,
    /// Not told until a time; then it comes back, if it is still going on.
    Muted,
}

impl Status {
    pub const ALL: [Self; 5] = [
        Self::Open,
        Self::Acknowledged,
        Self::Resolved,
        Self::FalseAlarm,
        Self::Muted,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::FalseAlarm => "false-alarm",
            Self::Muted => "muted",
        }
    }

    pub fn is_settled(self) -> bool {
        matches!(self, Self::Resolved | Self::FalseAlarm)
    }
}

/// Who changed a status, when, from what to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Transition {
    pub at: Timestamp,
    pub by: String,
    pub from: Status,
    pub to: Status,
    /// Of muted and false alarms: until when.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

fn remember(history: &mut Vec<Transition>, transition: Transition) {
    if history.len() >= HISTORY {
        history.remove(0);
    }
    history.push(transition);
}

/// An event in time, with evidence: one line of `--format alerts`, one item of `/api/v1/alerts`,
/// the data of a webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
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
    /// The numbers that the score is made of.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub parts: Vec<Part>,
    /// Where its packets are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub evidence: Option<Evidence>,
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
    /// The incident that it belongs to; none for the sensor's own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub incident: Option<String>,
    /// Of muted ones and false alarms: until when.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status_until: Option<Timestamp>,
    /// The rule that kept it silent when it rang last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub silenced: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub history: Vec<Transition>,
}

/// An incident's next revision, to be put on disk and told.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub incident: Incident,
    /// What sinks are sent.
    pub message: Alert,
    pub audience: Audience,
}

/// Who is told of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// It is kept.
    Nobody,
    /// Sinks whose routes take it now and that have not been told of it yet.
    Newcomers,
    /// Those that were told, too.
    Everybody,
}

/// Whether two labels name one endpoint: its parameters may have got other names since.
pub fn same_endpoint(a: &str, b: &str) -> bool {
    let same = |(a, b): (&str, &str)| {
        let (rest, other) = (a.split_once('}'), b.split_once('}'));
        let is_parameter = a.starts_with('{') && b.starts_with('{');
        a == b || (is_parameter && rest.map(|r| r.1) == other.map(|o| o.1))
    };
    a.split('/').count() == b.split('/').count() && a.split('/').zip(b.split('/')).all(same)
}

impl Alert {
    /// It belongs to no incident, and nothing keeps it silent: it is sent by itself.
    pub fn is_told_alone(&self) -> bool {
        self.incident.is_none() && self.silenced.is_none()
    }

    /// Who acts: the identity, or the address where there is none.
    pub fn who(&self) -> Option<&str> {
        let principal = self.principal.as_ref()?;
        principal
            .identity
            .as_deref()
            .or(principal.client.as_deref())
    }

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
        parts: Vec::new(),
        evidence: None,
        owasp: String::new(),
        status: Status::Open,
        fingerprint: "test".into(),
        occurrences: 1,
        last_seen: now,
        revision: 1,
        changed_by: None,
        note: None,
        incident: None,
        status_until: None,
        silenced: None,
        history: Vec::new(),
    }
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// Alerts kept at most; past it resolved ones go first, oldest first.
    pub max_alerts: usize,
    /// Incidents kept at most; past it settled ones go first, oldest first.
    pub max_incidents: usize,
    /// An incident in which nothing rang for so long takes no more alerts.
    pub quiet: Duration,
    /// A false alarm that rings again within this is counted and not told.
    pub dismissal: Duration,
    /// Rules for silence of the config; `Silence::check` has passed them.
    pub silences: Vec<Silence>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_alerts: 10_000,
            max_incidents: 2_000,
            quiet: Duration::from_secs(6 * 3_600),
            dismissal: Duration::from_secs(30 * 86_400),
            silences: Vec::new(),
        }
    }
}

/// All alerts at one moment, newest first.
#[derive(Clone, Debug, Default)]
pub struct AlertsView {
    pub alerts: Vec<Arc<Alert>>,
    /// The one in which something rang last comes first.
    pub incidents: Vec<Arc<Incident>>,
    /// Rules that hold, then those that have ended.
    pub silences: Vec<Arc<Silence>>,
    pub evicted: u64,
}
