//! The inventory: which endpoints exist, what answers for them, and what the specs say of them.
//!
//! Fed with exchanges in packet time, sans-IO and deterministic. `apply` returns the compact
//! [`Access`] that the detectors read, and what changed in the inventory; readers elsewhere get
//! immutable views (`Arc` per endpoint).

pub mod spec;
mod view;

pub use view::{
    Auth, CatalogView, Documentation, EndpointView, Finding, FindingKind, HostView, Kind, Life,
    Quantiles, Reason, SpecView,
};

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exchange::Exchange;
use crate::time::Timestamp;

/// An endpoint of this process's inventory. Stable while the process runs; across restarts the
/// `key` of its view is what stays.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct EndpointId(pub u32);

/// A place in the path trie: what enumeration counts at, since it exists before an endpoint is
/// confirmed and survives merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u32);

/// What one exchange did, as the detectors need it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Access {
    /// `None` where the exchange belongs to no endpoint (a 404 on an unknown path, say).
    pub endpoint: Option<EndpointId>,
    /// The trie node of the whole path template; `None` where the path is unknown.
    pub node: Option<NodeId>,
    /// The last parameter of the path: which object was asked for.
    pub object: Option<Object>,
    /// Whether something has ever answered on this path template with 2xx or 3xx.
    pub confirmed: bool,
    /// A login call: a password-like field in the request, or `login` set on the record.
    pub login: bool,
}

/// An object's id as it stood in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Seeded hash of the segment's text.
    pub hash: u64,
    /// The number, where the segment is a decimal integer.
    pub number: Option<u64>,
}

/// What an exchange changed in the inventory.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// `from` was found to be the same endpoint as `into`; state kept by `from` is to be added to
    /// `into`'s.
    Merged { from: EndpointId, into: EndpointId },
    /// A trie node was folded into another.
    NodeMerged { from: NodeId, into: NodeId },
    /// The budget put this endpoint out.
    Evicted(EndpointId),
    /// A lasting fact about an endpoint, newly true.
    Found(Finding),
}

/// What the catalogue is told; every default of the config stands in `config`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long, in packet time from the first exchange, everything new is taken as normal.
    pub learning: Duration,
    /// A documented operation without traffic for this long is dormant.
    pub dormant_after: Duration,
    /// Endpoints and candidates kept at most; past it the least useful goes first.
    pub max_endpoints: usize,
    /// Nodes of the path tries at most.
    pub max_nodes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let day = Duration::from_secs(86_400);
        Self {
            learning: 7 * day,
            dormant_after: 30 * day,
            max_endpoints: 100_000,
            max_nodes: 1_000_000,
        }
    }
}

/// The inventory. STUB of the skeleton: typed segments only, everything an endpoint at once.
pub struct Catalog {
    labels: Vec<String>,
    by_label: std::collections::HashMap<String, u32>,
}

impl Catalog {
    pub fn new(_settings: Settings) -> Self {
        Self {
            labels: Vec::new(),
            by_label: std::collections::HashMap::new(),
        }
    }

    /// Takes one exchange, in total order.
    pub fn apply(&mut self, x: &Exchange, _changes: &mut Vec<Change>) -> Access {
        let (mut object, mut template) = (None, String::new());
        for segment in x
            .path
            .as_deref()
            .unwrap_or("/")
            .split('/')
            .filter(|s| !s.is_empty())
        {
            let typed = segment.bytes().all(|b| b.is_ascii_digit())
                || (segment.len() == 36 && segment.as_bytes()[8] == b'-');
            if typed {
                let hash = segment.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
                    (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
                });
                object = Some(Object {
                    hash,
                    number: segment.parse().ok(),
                });
                template.push_str("/{id}");
            } else {
                template.push('/');
                template.push_str(segment);
            }
        }
        let known = x.status.is_some_and(|s| s < 400);
        let label = format!(
            "{} {} {}",
            x.method.as_deref().unwrap_or("-"),
            x.host.as_deref().unwrap_or("-"),
            template
        );
        let id = match self.by_label.get(&label) {
            Some(id) => Some(*id),
            None if known => {
                let id = self.labels.len() as u32;
                self.labels.push(label.clone());
                self.by_label.insert(label, id);
                Some(id)
            }
            None => None,
        };
        Access {
            endpoint: id.map(EndpointId),
            node: id.map(NodeId),
            object,
            confirmed: id.is_some(),
            login: x.login.is_some(),
        }
    }

    pub fn tick(&mut self, _now: Timestamp, _changes: &mut Vec<Change>) {}

    /// The specs that own hosts and base paths from now on.
    pub fn set_specs(&mut self, _specs: spec::SpecSet, _changes: &mut Vec<Change>) {}

    /// An immutable view; endpoints that have not changed since the last call share their `Arc`.
    pub fn view(&mut self) -> Arc<CatalogView> {
        Arc::default()
    }

    /// `GET host /path/{param}`.
    pub fn label(&self, id: EndpointId) -> Option<String> {
        self.labels.get(id.0 as usize).cloned()
    }

    /// The endpoint that this request belongs to by the inventory of now, candidates included.
    pub fn assign(&self, _method: &str, _host: &str, _path: &str) -> Option<String> {
        None
    }

    /// All state, for the store; `restore` reads it back.
    pub fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    pub fn restore(settings: Settings, _saved: &[u8]) -> Result<Self, RestoreError> {
        Ok(Self::new(settings))
    }
}

/// A saved state that cannot be read: the caller starts clean and says so.
#[derive(Debug, thiserror::Error)]
#[error("saved {what} cannot be read: {why}")]
pub struct RestoreError {
    pub what: &'static str,
    pub why: String,
}

pub fn openapi(_view: &CatalogView) -> serde_json::Value {
    serde_json::Value::Null
}
