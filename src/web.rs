//! What people and programs see: pages, JSON API, live events, metrics.
//!
//! Reads immutable views only; changes things only by [`Command`]s over a bounded channel to the
//! single writer.

use std::sync::Arc;

mod account;
mod act_form;
mod acts;
mod alerts;
mod api;
mod asked;
mod assets;
mod audit;
mod automation;
mod beside;
mod budgets;
mod bulk;
mod bundle;
mod chart;
mod columns;
mod compress;
mod coverage;
mod cursor;
mod decide;
mod decisions;
mod deliveries;
mod dossier;
mod edges;
mod endpoint;
mod endpoints;
mod evidence;
mod export;
mod facets;
mod filters;
mod find;
mod findings;
mod frame;
mod gate;
mod guard;
mod history;
mod incidents;
mod index;
mod involved;
mod ledger;
mod life;
mod listing;
mod live;
mod login;
mod named_views;
mod oidc;
mod openapi;
mod overview;
mod owasp;
mod own_sessions;
mod place;
mod places;
mod plot;
mod policy;
mod principal;
mod principals;
mod query;
mod reference;
mod reply;
mod retention;
mod rhythm;
mod routes;
mod schema;
mod score;
mod search;
mod security;
mod sensor;
mod server;
mod settings;
mod silences;
mod spec_diff;
mod spec_form;
mod spec_places;
mod spec_text;
mod spec_upload;
mod specs;
mod sso;
mod starting;
mod summary;
mod today;
mod tokens;
mod tree;
mod triage;
mod users;
mod who;
mod worklist;

#[cfg(test)]
#[path = "../tests/support/routes.rs"]
mod every_route;

pub use automation::Known;
pub use budgets::{Limits, Queue, Upkeep, budgets};
pub use oidc::{Provider, Settings as Oidc};
pub use reply::{Audit, Reply};
pub use routes::{audited, router};
pub use server::{Pem, serve};
pub use settings::{Entry, Origin, Reload, SettingsView, SinkSettings};

use arc_swap::ArcSwap;
use tokio::sync::broadcast;

pub use crate::access::Role;
use crate::access::{Accounts, AuditView, Change, Times};
use crate::alert::delivery::DeliveriesView;
use crate::alert::{Act, Acted, Alert, AlertsView, Incident, Silence, Wanted};
use crate::catalog::{Action, CatalogView, Decision, Foresight, NamedView, SpecChange, Uploaded};
use crate::detect::{Bands, PrincipalView, PrincipalsView};
use crate::http::Trusted;
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
    /// Requests by the class of their answer; first those without one.
    pub answers: [u64; 6],
    pub upkeep: Upkeep,
    /// What was out of the ordinary, by name.
    pub remarks: Vec<(&'static str, u64)>,
    /// Where the records of TLS went, by name.
    pub tls: Vec<(&'static str, u64)>,
    /// What each worker does.
    pub load: Vec<WorkerView>,
    /// Exchanges by protocol, the most first.
    pub protocols: Vec<(&'static str, u64)>,
    /// Holes in streams that were given up, and their bytes.
    pub gaps: u64,
    pub gap_bytes: u64,
    pub budgets: Vec<Budget>,
    /// By the second for two minutes, by the minute for an hour; oldest first.
    pub seconds: Vec<Beat>,
    pub minutes: Vec<Beat>,
    /// Packet time of the last frame.
    pub at: Timestamp,
    /// Wall time of the last frame; a stale sensor is said to be one.
    pub last_frame_wall: Timestamp,
    pub started_wall: Timestamp,
}

/// One worker at one moment.
#[derive(Clone, Debug, Default, serde::Serialize, schemars::JsonSchema)]
pub struct WorkerView {
    pub segments: u64,
    pub exchanges: u64,
    pub flows: u64,
    pub buffered_bytes: u64,
    /// Batches that wait for it, and at most may.
    pub queue: usize,
    pub queue_limit: usize,
    /// Share of the last second in which it worked.
    pub load: f64,
    /// Exchanges for which the analysis had no room.
    pub shed: u64,
    /// Panics that it was started anew after.
    pub restarts: u64,
}

/// Something of which there is only so much.
#[derive(Clone, Debug, Default, serde::Serialize, schemars::JsonSchema)]
pub struct Budget {
    pub name: &'static str,
    pub unit: &'static str,
    pub used: u64,
    pub limit: u64,
    /// Put out, or given up, past it so far; none: it is not counted by itself.
    pub evicted: Option<u64>,
}

/// What came, and what was lost of it, in one stretch of wall time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Beat {
    /// Its beginning.
    pub at: Timestamp,
    pub frames: u64,
    pub bytes: u64,
    pub exchanges: u64,
    /// By the kernel and the interface.
    pub dropped: u64,
    /// Segments and exchanges for which there was no room.
    pub shed: u64,
    /// Bytes of holes in streams.
    pub gap_bytes: u64,
}

impl Budget {
    /// 0 to 1 and past it; none where there is no limit.
    pub fn share(&self) -> Option<f64> {
        (self.limit > 0).then(|| self.used as f64 / self.limit as f64)
    }
}

impl Beat {
    /// Whether anything was lost.
    pub fn is_lossy(&self) -> bool {
        self.dropped + self.shed > 0
    }
}

/// Who comes in, in numbers, since the start.
#[derive(Clone, Debug, Default)]
pub struct DoorView {
    /// By method and outcome.
    pub sign_ins: Vec<(&'static str, &'static str, u64)>,
    /// Requests with a token that opens nothing.
    pub refused_tokens: u64,
    /// Sessions that are open now.
    pub sessions: usize,
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
    /// The program ends, and the stream with it.
    End,
}

/// Everything the web room reads.
pub struct Views {
    pub catalog: ArcSwap<CatalogView>,
    pub alerts: ArcSwap<AlertsView>,
    pub sensor: ArcSwap<SensorView>,
    pub deliveries: ArcSwap<DeliveriesView>,
    pub decisions: ArcSwap<DecisionsView>,
    pub bands: ArcSwap<Bands>,
    pub saved: ArcSwap<SavedView>,
    /// Of the list of endpoints, in the order in which they were saved.
    pub named: ArcSwap<Vec<NamedView>>,
    pub specs: ArcSwap<SpecsView>,
    pub automation: ArcSwap<Vec<Known>>,
    /// Who may come in, and the audit: the store's own, for others change them too.
    pub accounts: Arc<ArcSwap<Accounts>>,
    pub audit: Arc<ArcSwap<AuditView>>,
    pub principals: ArcSwap<PrincipalsView>,
    pub settings: ArcSwap<SettingsView>,
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
            bands: ArcSwap::default(),
            saved: ArcSwap::default(),
            named: ArcSwap::default(),
            specs: ArcSwap::default(),
            automation: ArcSwap::default(),
            accounts: Arc::default(),
            audit: Arc::default(),
            principals: ArcSwap::default(),
            settings: ArcSwap::default(),
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
        reply: Reply<Alert>,
    },
    /// Acts on the alerts in it, too.
    SetIncidentStatus {
        id: String,
        wanted: Wanted,
        reply: Reply<Incident>,
    },
    /// Acts on several alerts or incidents, or leaves a note on them.
    Act { act: Box<Act>, reply: Reply<Acted> },
    /// A rule for silence.
    Silence {
        wanted: Box<Silence>,
        reply: Reply<Silence>,
    },
    EndSilence {
        id: String,
        by: String,
        reply: Reply<Silence>,
    },
    /// A dead letter goes back into the outbox.
    Resend {
        sink: String,
        message: String,
        by: String,
        reply: Reply<()>,
    },
    /// A test goes to a sink now; the reply is how it went.
    TestSink { sink: String, reply: Reply<()> },
    /// Changes nothing: what a pin would do.
    Foresee { pin: Pin, reply: Reply<Foresight> },
    /// A document is put to use; the reply comes once the inventory is judged by it.
    PutSpec {
        wanted: Box<NewSpec>,
        by: String,
        reply: Reply<SpecChange>,
    },
    /// An uploaded document is taken away.
    RemoveSpec {
        id: String,
        by: String,
        note: Option<String>,
        reply: Reply<SpecChange>,
    },
    /// Keeps a view of the inventory under a name.
    SaveView {
        name: String,
        query: String,
        by: String,
        reply: Reply<NamedView>,
    },
    RemoveView {
        id: u64,
        by: String,
        reply: Reply<NamedView>,
    },
    Decide {
        what: Wish,
        by: String,
        note: Option<String>,
        reply: Reply<Arc<Decision>>,
    },
    /// Users and API tokens.
    Account { change: Change, reply: Reply<()> },
    /// Nothing is changed: it is to stand in the audit.
    Note {
        action: &'static str,
        object: String,
        note: String,
        reply: Reply<()>,
    },
    /// Changes nothing: all that is known of one principal, which is kept nowhere else.
    Principal {
        id: String,
        reply: Reply<Option<Box<PrincipalView>>>,
    },
}

impl Command {
    /// Answers without doing anything.
    pub fn refuse(self, why: &str) {
        match self {
            Self::Act { reply, .. } => reply.send(Err(why.to_owned())),
            Self::SetAlertStatus { reply, .. } => reply.send(Err(why.to_owned())),
            Self::SetIncidentStatus { reply, .. } => reply.send(Err(why.to_owned())),
            Self::Silence { reply, .. } | Self::EndSilence { reply, .. } => {
                reply.send(Err(why.to_owned()));
            }
            Self::SaveView { reply, .. } | Self::RemoveView { reply, .. } => {
                reply.send(Err(why.to_owned()));
            }
            Self::Decide { reply, .. } => reply.send(Err(why.to_owned())),
            Self::PutSpec { reply, .. } | Self::RemoveSpec { reply, .. } => {
                reply.send(Err(why.to_owned()));
            }
            Self::Principal { reply, .. } => reply.send(Err(why.to_owned())),
            Self::Foresee { reply, .. } => reply.send(Err(why.to_owned())),
            Self::Resend { reply, .. }
            | Self::TestSink { reply, .. }
            | Self::Account { reply, .. }
            | Self::Note { reply, .. } => reply.send(Err(why.to_owned())),
        }
    }

    /// What the audit has of it: what is done, to which, and what else there is to say; nothing of
    /// what only asks.
    fn about(&self) -> Option<(String, String, String)> {
        let none = String::new;
        Some(match self {
            // It changes nothing.
            Self::Principal { .. } | Self::Foresee { .. } => return None,
            Self::SetAlertStatus { id, wanted, .. } => {
                let action = format!("alert.{}", wanted.status.name());
                (action, id.clone(), wanted.note.clone().unwrap_or_default())
            }
            Self::SetIncidentStatus { id, wanted, .. } => {
                let action = format!("incident.{}", wanted.status.name());
                (action, id.clone(), wanted.note.clone().unwrap_or_default())
            }
            Self::Act { act, .. } => act.about(),
            Self::Silence { wanted, .. } => {
                let parts = wanted.scope.parts().into_iter();
                let parts: Vec<String> =
                    parts.map(|(name, part)| format!("{name} {part}")).collect();
                let (object, note) = (parts.join(", "), wanted.reason.clone());
                ("silence.add".into(), object, note)
            }
            Self::EndSilence { id, .. } => ("silence.end".into(), id.clone(), none()),
            Self::Resend { sink, message, .. } => (
                "delivery.resend".into(),
                format!("{sink} {message}"),
                none(),
            ),
            Self::TestSink { sink, .. } => ("sink.test".into(), sink.clone(), none()),
            Self::PutSpec { wanted, .. } => {
                let replaces = wanted.replaces.as_deref();
                let action = if replaces.is_some() {
                    "spec.replace"
                } else {
                    "spec.add"
                };
                let object = replaces.unwrap_or(&wanted.name).to_owned();
                (
                    action.into(),
                    object,
                    wanted.note.clone().unwrap_or_default(),
                )
            }
            Self::RemoveSpec { id, note, .. } => {
                let note = note.clone().unwrap_or_default();
                ("spec.remove".into(), id.clone(), note)
            }
            Self::SaveView { name, query, .. } => ("view.save".into(), name.clone(), query.clone()),
            Self::RemoveView { id, .. } => ("view.remove".into(), id.to_string(), none()),
            Self::Decide { what, note, .. } => {
                let (action, object) = what.about();
                (action, object, note.clone().unwrap_or_default())
            }
            Self::Account { change, .. } => {
                let (action, object, note) = change.about();
                (action.into(), object, note)
            }
            Self::Note {
                action,
                object,
                note,
                ..
            } => ((*action).into(), object.clone(), note.clone()),
        })
    }
}

/// A document that somebody uploads; it was read without error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSpec {
    /// The upload that it is a new version of.
    pub replaces: Option<String>,
    /// What its owner calls the file.
    pub name: String,
    /// Hosts that it is bound to; none: what its servers say.
    pub hosts: Vec<String>,
    pub is_json: bool,
    pub text: Arc<str>,
    pub note: Option<String>,
}

/// Uploaded documents, and what reading all documents came to.
#[derive(Clone, Debug, Default)]
pub struct SpecsView {
    pub uploads: Vec<Uploaded>,
    /// Oldest first.
    pub changes: Vec<SpecChange>,
    /// The number of the last change.
    pub last: u64,
    /// Where the texts of uploads lie; empty where there is no store.
    pub dir: std::path::PathBuf,
    /// Where the text of each document in use lies, by its id.
    pub files: std::collections::BTreeMap<Arc<str>, std::path::PathBuf>,
    /// Documents that were refused at the last reading: file, line, reason.
    pub refused: Vec<String>,
}

/// What somebody wants to be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// What is said of endpoints, by their keys: anything but a pin. The value as
    /// [`Action::value`] has it.
    Mark {
        action: Action,
        value: Option<String>,
        keys: Vec<String>,
    },
    Pin(Pin),
    /// Take back a decision.
    Undo(u64),
}

impl Wish {
    fn about(&self) -> (String, String) {
        match self {
            Self::Mark { action, keys, .. } => {
                let object = match keys.as_slice() {
                    [one] => one.clone(),
                    all => format!("{} endpoints", all.len()),
                };
                (format!("endpoint.{}", action.name()), object)
            }
            Self::Pin(pin) => (format!("endpoint.{}", pin.action.name()), pin.key.clone()),
            Self::Undo(id) => ("decision.undo".into(), id.to_string()),
        }
    }
}

/// What is to be pinned: the endpoint's key, the place of the part in its template (0: the first),
/// and for a route of its own the word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    pub action: Action,
    pub key: String,
    pub part: usize,
    pub word: Option<String>,
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
    /// Whether people and programs have to say who they are. Off only on loopback, where whoever
    /// reaches us is the one who runs us.
    pub sign_in: bool,
    /// Whether a proxy before us speaks TLS to browsers.
    pub behind_tls: bool,
    /// Proxies before us that are believed who their clients are.
    pub proxies: Trusted,
    /// Whether `/metrics` asks nobody who they are.
    pub open_metrics: bool,
    pub sessions: Times,
    /// The certificate and its key; none: HTTP in clear.
    pub tls: Option<Pem>,
    /// The identity provider, beside passwords.
    pub oidc: Option<Arc<Provider>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8650).into(),
            hosts: Vec::new(),
            sign_in: false,
            behind_tls: false,
            proxies: Trusted::default(),
            open_metrics: false,
            sessions: Times::default(),
            tls: None,
            oidc: None,
        }
    }
}

impl Settings {
    /// Whether browsers reach us by TLS: ours, or a proxy's.
    fn is_tls(&self) -> bool {
        self.behind_tls || self.tls.is_some()
    }
}
