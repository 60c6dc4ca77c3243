//! HTTP/1.x: two byte streams in, exchanges out (RFC 9110, RFC 9112).
//!
//! Sans-IO: fed by the flow table through [`Stream`](crate::flow::Stream). Protocols are told by
//! content, on any port. Heads are read by httparse, and by a lenient reader of our own where
//! servers take what httparse refuses; framing is ours. Pairing never guesses: see `pairing`.

use std::sync::Arc;

use crate::exchange::Exchange;
use crate::observe::Observer;
use crate::time::Timestamp;
use crate::tls::{self, KeyStore};

mod body;
mod conn;
mod head;
mod pairing;
mod probe;
mod secure;

#[cfg(test)]
mod tests;

pub use probe::{Probe, probe};
pub use secure::{Connection, TlsFlow};

/// A head larger than this is no head: no server takes it.
pub const MAX_HEAD: usize = 64 << 10;

/// What follows on a flow is of another protocol.
#[derive(Debug)]
enum Switch {
    Tls,
}

/// Where every message went: `messages = analysed + interim + malformed + shed + pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub messages: u64,
    /// In an exchange that was handed on.
    pub analysed: u64,
    /// 1xx responses: announced, and part of no exchange.
    pub interim: u64,
    pub malformed: u64,
    /// Requests past the pipeline's bound.
    pub shed: u64,
    pub pending: u64,
    /// Exchanges handed on.
    pub exchanges: u64,
    pub unpaired: u64,
    /// Flows with TLS, opened or not.
    pub tls: u64,
    /// Streams given up as something else than HTTP/1, by what they are.
    pub http2: u64,
    pub upgraded: u64,
    pub unknown: u64,
}

impl Counters {
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.messages, other.messages),
            (&mut self.analysed, other.analysed),
            (&mut self.interim, other.interim),
            (&mut self.malformed, other.malformed),
            (&mut self.shed, other.shed),
            (&mut self.pending, other.pending),
            (&mut self.exchanges, other.exchanges),
            (&mut self.unpaired, other.unpaired),
            (&mut self.tls, other.tls),
            (&mut self.http2, other.http2),
            (&mut self.upgraded, other.upgraded),
            (&mut self.unknown, other.unknown),
        ];
        for (mine, theirs) in pairs {
            *mine += theirs;
        }
    }
}

/// What connections write to; drained by the shard after each segment.
pub struct Out {
    pub observer: Observer,
    #[allow(clippy::vec_box)] // a record is some 400 bytes and is handed on several times
    pub exchanges: Vec<Box<Exchange>>,
    pub counters: Counters,
    /// Flows with TLS that are over.
    pub tls_flows: Vec<TlsFlow>,
    /// What the sessions of TLS share: keys, counters, budget. Absent while one is at work.
    tls: Option<Box<tls::Shared>>,
    /// Monotone packet time of the segment at hand.
    pub now: Timestamp,
}

impl Out {
    pub fn new(observer: Observer, keys: Arc<KeyStore>) -> Self {
        Self {
            observer,
            exchanges: Vec::new(),
            counters: Counters::default(),
            tls_flows: Vec::new(),
            tls: Some(Box::new(tls::Shared::new(keys))),
            now: Timestamp::MIN,
        }
    }

    /// Where the records of TLS went.
    pub fn tls_counters(&self) -> tls::Counters {
        self.tls
            .as_ref()
            .map(|shared| shared.counters)
            .unwrap_or_default()
    }
}
