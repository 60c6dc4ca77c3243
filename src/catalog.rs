//! The inventory: which endpoints exist, what answers for them, and what the specs say of them.
//!
//! Fed with exchanges in packet time, sans-IO and deterministic. `apply` returns the compact
//! [`Access`] that the detectors read, and what changed in the inventory; readers elsewhere get
//! immutable views (`Arc` per endpoint).

mod auth;
mod callers;
mod clear;
mod completeness;
mod decision;
pub mod diff;
mod drift;
mod edges;
mod endpoint;
mod events;
mod exposure;
mod groups;
mod history;
mod hosts;
mod inventory;
mod jwt;
mod leaks;
mod named_view;
mod oddity;
pub mod openapi;
pub mod owasp;
mod parameters;
mod pins;
mod preview;
mod program;
mod pulse;
mod reach;
mod risk;
mod rules;
mod schema;
mod seen;
mod segment;
mod sessions;
mod sketch;
mod small;
mod soft;
pub mod spec;
mod tls;
mod trend;
mod trie;
mod uploads;
mod view;
mod words;
mod zones;

#[cfg(test)]
mod tests;

pub use crate::exchange::SessionKind;
pub use auth::{AuthScheme, AuthVerdict};
pub(crate) use callers::Top;
pub use callers::TopView;
pub use clear::ADVICE as CLEAR_ADVICE;
pub use decision::{Accepted, Action, Decision, Later, MAX_PLACES, Place, bring_back, remains};
pub use drift::{DriftKind, DriftView, Drifted};
pub use edges::{Credential, EdgeView};
pub use events::{Event, Happened};
pub use exposure::{Exposed, Exposure, ExposureKind, Severity};
pub use groups::HostGroup;
pub use history::{History, Run, SLOTS as HISTORY_SLOTS, Slot, Step, Total};
pub use inventory::{Catalog, Foresight, Move};
pub use jwt::{JwtCount, JwtView};
pub use leaks::LeakView;
pub use named_view::{MAX_NAME, MAX_VIEWS, NamedView};
pub use oddity::{Oddities, Oddity, OddityKind, Whence};
pub use pins::{Pin, Pinned};
pub use preview::{Preview, Several, preview};
pub(crate) use program::Families;
pub use pulse::{Beat, PULSE_BEATS, PULSE_SECONDS};
pub use reach::ZoneView;
pub use risk::{RiskReason, Weights};
pub use rules::DeprecationRule;
pub use schema::{EnumView, FieldView, MadeOf, PartView, PathParameter, SchemaView, SensitiveView};
pub use tls::{CertificateView, Coverage, Inspection, Suite, TlsHostView, TlsView, percent};

pub use uploads::{MAX_UPLOADS, SpecChange, SpecVersion, Uploaded, VERSIONS, uploads};
pub use view::{
    Auth, CatalogView, Documentation, EndpointView, Finding, FindingKind, HostView, Kind, Life,
    Quantiles, Reason, Retirement, SessionsView, SpecView, VersionView,
};

pub use words::{MAX_NOTE, MAX_OWNER, MAX_TAG, MAX_TAGS};
pub use zones::{INTERNAL, Zone, Zones};

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exchange::Exchange;

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
    /// The host's recent capture is whole: what did not happen may be claimed.
    pub complete: bool,
    /// What is odd about what was sent.
    pub oddities: Oddities,
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
    /// Something newly lies open at a host.
    Exposed(Exposed),
    /// An endpoint does what its document does not say.
    Drifted(Drifted),
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
    /// Fields of all schemas at most, some 200 bytes each; past it no new ones are learned.
    pub max_fields: usize,
    /// Bytes that all histories may use; past it the minutes of the least used go first.
    pub max_history: usize,
    /// Nodes of the path tries at most.
    pub max_nodes: usize,
    /// Certificates that end sooner than this, in packet time, are told of.
    pub expiry_warning: Duration,
    /// Where callers stand.
    pub zones: Zones,
    /// Of the reasons of a risk.
    pub risk: Weights,
    /// Tokens that are good for longer than this are told of.
    pub jwt_max_life: Duration,
    /// What is deprecated, whatever specs and headers say.
    pub deprecated: Vec<DeprecationRule>,
    /// Hosts that serve one API.
    pub host_groups: Vec<HostGroup>,
}

impl Default for Settings {
    fn default() -> Self {
        let day = Duration::from_secs(86_400);
        Self {
            learning: 7 * day,
            dormant_after: 30 * day,
            max_endpoints: 100_000,
            max_fields: 500_000,
            max_history: 256 << 20,
            max_nodes: 1_000_000,
            expiry_warning: 30 * day,
            zones: Zones::default(),
            risk: Weights::default(),
            jwt_max_life: day,
            deprecated: Vec::new(),
            host_groups: Vec::new(),
        }
    }
}

/// A saved state that cannot be read: the caller starts clean and says so.
#[derive(Debug, thiserror::Error)]
#[error("saved {what} cannot be read: {why}")]
pub struct RestoreError {
    pub what: &'static str,
    pub why: String,
}

/// What an answer says of the path that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    /// 2xx, 3xx: something stands behind it.
    Answered,
    /// Refused or failed; of a known endpoint it is one more call, of an unknown path nothing.
    Refused,
    /// 404, 405, 501, or no response: no evidence of anything there.
    Nothing,
    /// Answered or not, the capture does not show it: a candidate, which no answer confirms.
    Unseen,
}

impl Admission {
    fn of(x: &Exchange) -> Self {
        match x.status {
            Some(200..=399) | Some(101) => Self::Answered,
            None if x.partial.unpaired => Self::Unseen,
            None | Some(404 | 405 | 410 | 501) => Self::Nothing,
            _ => Self::Refused,
        }
    }
}
