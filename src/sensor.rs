//! Capture to exchange: decode, flows, HTTP and observation joined, and the ledger of all of it.
//!
//! Flow state lives in a fixed number of virtual shards; a worker owns a set of them. Results
//! therefore do not depend on the number of workers: [`Merger`] puts the records of all of them
//! into one total order by (time of completion, flow, ordinal).

use std::sync::Arc;
use std::time::Duration;

use crate::decode;
use crate::exchange::{Exchange, TlsFlow};
use crate::flow;
use crate::http;
use crate::observe::custom::Rules;
use crate::time::Timestamp;
use crate::tls::KeyStore;

mod checks;
mod country;
pub mod doctor;
mod intake;
mod ledger;
mod merge;
mod own;
mod pipeline;
mod quic;
mod readings;
mod recorder;
mod sights;
mod tap;
mod worker;

pub use checks::{Checks, Checksums, Mode};
pub use country::{Countries, Unreadable};
pub use intake::{FrameCounters, Intake, Route};
pub use ledger::{Counters, Drops, Ledger, Stage};
pub use merge::{Either, Merger, Ordered, interleave};
pub use own::Own;
pub use pipeline::{
    Counts, END_OF_INPUT, Inline, Pool, PoolHandle, Report, SourceStatus, WORK_QUEUE,
};
pub use readings::{NetworkReading, Readings, SourceReading, TapReading, readings};
pub use recorder::{Found, Kept, RecorderSettings, Talk, Wish};
pub use sights::Sights;
pub use tap::{Flows, Frames, Networks, Segments, Volume};
pub use worker::{Status, Worker};

/// Virtual shards: the unit in which flows are owned and budgets are given.
pub const SHARDS: u64 = 64;

/// How often, in packet time, flows are looked at for expiry and holes for patience.
pub const TICK: Duration = Duration::from_millis(500);

#[derive(Clone, Debug)]
pub struct Settings {
    pub workers: usize,
    /// Where tunnels are looked for.
    pub ports: decode::Ports,
    pub fragments: decode::FragmentSettings,
    /// Lists of VNIs that are one network.
    pub same_network: Vec<Vec<u32>>,
    /// Budgets of one virtual shard.
    pub flow: flow::Settings,
    /// Spreads flows over shards. Random on live ports, where an attacker could aim; fixed for
    /// files.
    pub seed: u64,
    pub identity_key: [u8; 32],
    /// Proxies that are believed who their clients are.
    pub trusted: http::Trusted,
    /// Off keeps secrets in paths and queries: for files only.
    pub mask: bool,
    /// Classes of sensitive data of a person's own.
    pub rules: Arc<Rules>,
    /// apitap's own traffic, which is no evidence.
    pub own: Own,
    pub checksums: Checksums,
    /// Keys of TLS sessions.
    pub keys: Arc<KeyStore>,
    /// The last packets of each source, where they are to be kept.
    pub recorder: RecorderSettings,
    /// Where clients are.
    pub countries: Countries,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 1,
            ports: decode::Ports::default(),
            fragments: decode::FragmentSettings::default(),
            same_network: Vec::new(),
            flow: flow::Settings::default(),
            seed: 0,
            identity_key: [0; 32],
            trusted: http::Trusted::default(),
            mask: true,
            rules: Arc::default(),
            own: Own::default(),
            checksums: Checksums::default(),
            keys: Arc::default(),
            recorder: RecorderSettings::default(),
            countries: Countries::default(),
        }
    }
}

impl Settings {
    /// What the budgets come to for one source, in bytes: the sensor takes no more, whatever comes.
    pub fn memory(&self) -> usize {
        let tables = SHARDS as usize * flow::FlowTable::<http::Connection>::memory(&self.flow);
        let samplers = SHARDS as usize * http::Sampler::memory();
        tables + samplers + self.fragments.max_bytes + self.recorder.ring
    }
}

/// The place of a record in the total order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    /// Packet time at which the exchange was complete.
    pub at: Timestamp,
    pub flow: u64,
    /// Order inside one flow.
    pub ordinal: u64,
}

#[derive(Clone, Debug)]
pub struct Record {
    pub order: Order,
    pub exchange: Box<Exchange>,
}

/// A flow under TLS that is over.
#[derive(Clone, Debug)]
pub struct TlsRecord {
    pub order: Order,
    pub flow: Box<TlsFlow>,
}
