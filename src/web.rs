//! What people and programs see: pages, JSON API, live events, metrics.
//!
//! Reads immutable views only; changes things only by [`Command`]s over a bounded channel to the
//! single writer.

use std::sync::Arc;

mod alerts;
mod api;
mod assets;
mod automation;
mod chart;
mod compress;
mod coverage;
mod decide;
mod decisions;
mod deliveries;
mod edges;
mod endpoint;
mod endpoints;
mod evidence;
mod export;
mod filters;
mod findings;
mod frame;
mod guard;
mod history;
mod incidents;
mod life;
mod live;
mod openapi;
mod overview;
mod owasp;
mod query;
mod routes;
mod schema;
mod security;
mod sensor;
mod server;
mod silences;
mod who;

pub use automation::Known;
pub use routes::router;
pub use server::{Pem, serve};
pub use who::Role;

use arc_swap::ArcSwap;
use tokio::sync::{broadcast, oneshot};

use crate::alert::delivery::DeliveriesView;
use crate::alert::{Alert, AlertsView, Incident, Silence, Wanted};
use crate::catalog::{Action, CatalogView, Decision};
use crate::sensor::doctor::Symptom;
use crate::sensor::{Ledger, Readings};
use crate::time::Timestamp;

/// One source of packets, as the sensor page shows it.
#[derive(Clone, Debug, Default, serde::Serialize, schemars::JsonSchema)]
pub struct SourceView {
    pub name: String,
    pub live: bool,
    pub frames: u64,
    pub bytes: u64,
    pub kernel_drops: u64,
    pub interface_drops: u64,
    /// Why it ended, where it did.
    pub ended: Option<String>,
}

/// The sensor at one moment.
#[derive(Clone, Debug, Default)]
pub struct SensorView {
    pub ledger: Ledger,
    pub sources: Vec<SourceView>,
    /// What the taps have shown since the start, and what is wrong with them now.
    pub readings: Readings,
    pub symptoms: Vec<Symptom>,
    pub workers: usize,
    /// Flows being followed now, and flows put out by the budget so far.
    pub flows: u64,
    pub flows_evicted: u64,
    /// Bytes held for reassembly now.
    pub buffered_bytes: u64,
    /// Exchanges seen so far, and in the last second of wall time.
    pub exchanges: u64,
    pub exchanges_per_second: f64,
    /// What was out of the ordinary, by name.
    pub remarks: Vec<(&'static str, u64)>,
    /// Where the records of TLS went, by name.
    pub tls: Vec<(&'static str, u64)>,
    /// Packet time of the last frame.
    pub at: Timestamp,
    /// Wall time of the last frame; a stale sensor is said to be one.
    pub last_frame_wall: Timestamp,
    pub started_wall: Timestamp,
}

/// What the live stream tells. Small: a page asks for the rest.
#[derive(Clone, Debug)]
pub enum Live {
    /// The inventory's view was replaced.
    Inventory,
    /// The sensor's view was replaced (once a second).
    Sensor,
    /// An alert was recorded or revised; it is on disk.
    Alert(Arc<Alert>),
}

/// Everything the web room reads.
pub struct Views {
    pub catalog: ArcSwap<CatalogView>,
    pub alerts: ArcSwap<AlertsView>,
    pub sensor: ArcSwap<SensorView>,
    pub deliveries: ArcSwap<DeliveriesView>,
    pub decisions: ArcSwap<DecisionsView>,
    pub saved: ArcSwap<SavedView>,
    pub automation: ArcSwap<Vec<Known>>,
    pub live: broadcast::Sender<Live>,
    /// True once capture runs and the store is open: `/readyz`.
    pub ready: std::sync::atomic::AtomicBool,
}

impl Default for Views {
    fn default() -> Self {
        Self {
            catalog: ArcSwap::default(),
            alerts: ArcSwap::default(),
            sensor: ArcSwap::default(),
            deliveries: ArcSwap::default(),
            decisions: ArcSwap::default(),
            saved: ArcSwap::default(),
            automation: ArcSwap::default(),
            live: broadcast::channel(256).0,
            ready: std::sync::atomic::AtomicBool::new(false),
        }
    }
}

/// The only way in which the web room changes anything.
#[derive(Debug)]
pub enum Command {
    SetAlertStatus {
        id: String,
        wanted: Wanted,
        reply: oneshot::Sender<Result<Alert, String>>,
    },
    /// Acts on the alerts in it, too.
    SetIncidentStatus {
        id: String,
        wanted: Wanted,
        reply: oneshot::Sender<Result<Incident, String>>,
    },
    /// A rule for silence.
    Silence {
        wanted: Box<Silence>,
        reply: oneshot::Sender<Result<Silence, String>>,
    },
    EndSilence {
        id: String,
        by: String,
        reply: oneshot::Sender<Result<Silence, String>>,
    },
    /// A dead letter goes back into the outbox.
    Resend {
        sink: String,
        message: String,
        by: String,
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// A test goes to a sink now; the reply is how it went.
    TestSink {
        sink: String,
        reply: oneshot::Sender<Result<(), String>>,
    },
    Decide {
        what: Wish,
        by: String,
        note: Option<String>,
        reply: oneshot::Sender<Result<Arc<Decision>, String>>,
    },
}

impl Command {
    /// Answers without doing anything.
    pub fn refuse(self, why: &str) {
        match self {
            Self::SetAlertStatus { reply, .. } => drop(reply.send(Err(why.to_owned()))),
            Self::SetIncidentStatus { reply, .. } => drop(reply.send(Err(why.to_owned()))),
            Self::Silence { reply, .. } | Self::EndSilence { reply, .. } => {
                drop(reply.send(Err(why.to_owned())));
            }
            Self::Decide { reply, .. } => drop(reply.send(Err(why.to_owned()))),
            Self::Resend { reply, .. } | Self::TestSink { reply, .. } => {
                drop(reply.send(Err(why.to_owned())));
            }
        }
    }
}

/// What somebody wants to be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Accept or unaccept, by keys of endpoints.
    Mark { action: Action, keys: Vec<String> },
    /// Pin or unpin, by the endpoint's key, the place of the part in its template (0: the first),
    /// and for a route of its own the word.
    Pin {
        action: Action,
        key: String,
        part: usize,
        word: Option<String>,
    },
    /// Take back a decision.
    Undo(u64),
}

/// The audit: decisions, newest first, with the number of places that each still holds for.
#[derive(Clone, Debug, Default)]
pub struct DecisionsView {
    pub items: Vec<(Arc<Decision>, usize)>,
}

/// Packets of alerts that were saved.
#[derive(Clone, Debug, Default)]
pub struct SavedView {
    /// Where they are; empty where nothing is recorded.
    pub dir: std::path::PathBuf,
    /// Bytes of each alert's file, by its id.
    pub files: std::collections::BTreeMap<String, u64>,
    /// Packets saved so far; and alerts of which not all were, since they had their share.
    pub saved: u64,
    pub cut: u64,
    /// Packets of the recorder that were written over before they were looked at.
    pub missed: u64,
    /// Files that went for the bound, writes that failed, alerts that found the queue full.
    pub evicted: u64,
    pub failed: u64,
    pub shed: u64,
}

impl SavedView {
    /// Of all files together.
    pub fn bytes(&self) -> u64 {
        self.files.values().sum()
    }
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: std::net::SocketAddr,
    /// Names that the Host header may carry beside the listening address and localhost.
    pub hosts: Vec<String>,
    /// The certificate and its key; none: HTTP in clear.
    pub tls: Option<Pem>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8650).into(),
            hosts: Vec::new(),
            tls: None,
        }
    }
}
