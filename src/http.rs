//! HTTP: two byte streams in, exchanges out (RFC 9110, RFC 9112, RFC 9113).
//!
//! Sans-IO: fed by the flow table through [`Stream`](crate::flow::Stream). Protocols are told by
//! content, on any port. Heads are read by httparse, and by a lenient reader of our own where
//! servers take what httparse refuses; framing is ours. Pairing never guesses: see `pairing`.
//! HTTP/2 has readers of its own (`h2`, `hpack`), WebSocket another (`ws`); `protocol` says which a
//! flow has.

use std::sync::Arc;

use crate::exchange::{Exchange, TlsFlow};
use crate::flow::Side;
use crate::observe::Observer;
use crate::time::Timestamp;
use crate::tls::{self, KeyStore};

mod body;
mod carry;
mod coding;
mod conn;
mod events;
mod forwarded;
mod h2;
mod head;
mod hpack;
mod pairing;
mod probe;
mod protocol;
mod proxy;
mod record;
mod rpc;
mod sample;
mod sampler;
mod secure;
mod session;
mod ws;

#[cfg(test)]
mod tests;

pub use coding::{Coding, Codings, Decoder, Limits, Status, fuzz_coding};
pub use forwarded::client_behind;
pub use hpack::{Fields, fuzz_hpack};
pub use probe::{Probe, probe};
pub use proxy::Trusted;
pub use sampler::Sampler;
pub use secure::{Connection, flow as tls_flow};
pub use ws::fuzz_texts;

/// A head larger than this is no head: no server takes it.
pub const MAX_HEAD: usize = 64 << 10;

/// What follows on a flow is of another protocol.
#[derive(Debug)]
enum Switch {
    Tls,
    /// HTTP/2 from its first byte; the side is the client's, where that is known yet.
    Preface(Option<Side>),
    /// Its beginning was missed.
    Frames,
    /// After a request that asked for it, and a 101.
    Upgrade {
        client: Side,
        request: Box<Exchange>,
        table_size: Option<u32>,
    },
    /// After a request that asked for it, and a 101 (RFC 6455, section 4).
    WebSocket {
        client: Side,
        request: Box<Exchange>,
        extensions: ws::Extensions,
    },
}

/// Where every message of long-lived connections went, and their records:
/// `messages = analysed + malformed + cut + pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// Begun.
    pub messages: u64,
    /// In the counts of a session record.
    pub analysed: u64,
    /// What stood where a frame should begin.
    pub malformed: u64,
    /// Cut off by a hole or the connection's end.
    pub cut: u64,
    pub pending: u64,
    /// Session records handed on.
    pub records: u64,
}

impl Sessions {
    /// What `messages` must be.
    pub fn accounted(&self) -> u64 {
        self.analysed + self.malformed + self.cut + self.pending
    }

    pub fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.analysed += other.analysed;
        self.malformed += other.malformed;
        self.cut += other.cut;
        self.pending += other.pending;
        self.records += other.records;
    }
}

/// Where every message went:
/// `messages = analysed + interim + late + unresolved + malformed + shed + pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub messages: u64,
    /// In an exchange that was handed on.
    pub analysed: u64,
    /// 1xx responses: announced, and part of no exchange.
    pub interim: u64,
    /// Responses of HTTP/2 whose stream was reset before they came.
    pub late: u64,
    /// Header blocks of HTTP/2 that say too little without what was missed before them.
    pub unresolved: u64,
    pub malformed: u64,
    /// Of those: heads larger than any server takes.
    pub huge_heads: u64,
    /// Requests past the pipeline's bound.
    pub shed: u64,
    pub pending: u64,
    /// Exchanges handed on.
    pub exchanges: u64,
    pub unpaired: u64,
    /// Exchanges in which a message's end is a matter of opinion.
    pub ambiguous_framing: u64,
    /// Flows that are read as HTTP/2; flows, and streams of HTTP/2, that are read as WebSocket.
    pub http2: u64,
    pub websocket: u64,
    /// Flows that began with a header of the PROXY protocol, and those of them that were believed.
    pub proxied: u64,
    pub proxied_trusted: u64,
    /// Streams given up as something else, by what they are.
    pub tls: u64,
    pub upgraded: u64,
    pub unknown: u64,
    /// Bytes of flows known to speak HTTP in clear; no part of the messages' sum.
    pub clear_bytes: u64,
    /// Bodies that were looked at and had a content coding, by what it came to; no part of the
    /// messages' sum.
    pub bodies_decoded: u64,
    /// Past the limits of ratio or effort.
    pub bombs: u64,
    /// Broken, cut off inside, or of a coding that is not known.
    pub coding_errors: u64,
    /// A sum of their own.
    pub sessions: Sessions,
}

impl Counters {
    /// What `messages` must be.
    pub fn accounted(&self) -> u64 {
        let aside = self.interim + self.late + self.unresolved;
        self.analysed + aside + self.malformed + self.shed + self.pending
    }

    /// A body's decoder came to `status`; `cut`: not all of the body was fed.
    fn decoded(&mut self, status: Status, cut: bool) {
        match status {
            Status::More if !cut => self.coding_errors += 1,
            Status::More | Status::Whole | Status::Full => self.bodies_decoded += 1,
            Status::Bomb => self.bombs += 1,
            Status::Broken | Status::Unsupported => self.coding_errors += 1,
        }
    }

    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.messages, other.messages),
            (&mut self.analysed, other.analysed),
            (&mut self.interim, other.interim),
            (&mut self.late, other.late),
            (&mut self.unresolved, other.unresolved),
            (&mut self.malformed, other.malformed),
            (&mut self.huge_heads, other.huge_heads),
            (&mut self.shed, other.shed),
            (&mut self.pending, other.pending),
            (&mut self.exchanges, other.exchanges),
            (&mut self.unpaired, other.unpaired),
            (&mut self.ambiguous_framing, other.ambiguous_framing),
            (&mut self.proxied, other.proxied),
            (&mut self.proxied_trusted, other.proxied_trusted),
            (&mut self.tls, other.tls),
            (&mut self.http2, other.http2),
            (&mut self.websocket, other.websocket),
            (&mut self.upgraded, other.upgraded),
            (&mut self.unknown, other.unknown),
            (&mut self.clear_bytes, other.clear_bytes),
            (&mut self.bodies_decoded, other.bodies_decoded),
            (&mut self.bombs, other.bombs),
            (&mut self.coding_errors, other.coding_errors),
        ];
        for (mine, theirs) in pairs {
            *mine += theirs;
        }
        self.sessions.add(&other.sessions);
    }
}

/// A text message of a WebSocket, as its sender wrote it: the beginning of it, 8 KiB at most.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub from_client: bool,
    pub content: &'a [u8],
    /// `content` is all of it.
    pub whole: bool,
}

/// Is shown some of the texts of every WebSocket, each way the first ones and from then on a few,
/// and the record of their session that is next handed on. Content is let go behind the call.
pub type Look = Box<dyn FnMut(&mut Exchange, &Message<'_>) + Send>;

/// What connections write to; drained by the shard after each segment.
pub struct Out {
    pub observer: Observer,
    /// Whose word is taken for who the client is.
    pub trusted: Trusted,
    /// Who looks into messages; where nobody does, they are stepped over.
    pub look: Option<Look>,
    /// Complete exchanges, and session records between them.
    #[allow(clippy::vec_box)] // a record is some 400 bytes and is handed on several times
    pub exchanges: Vec<Box<Exchange>>,
    pub counters: Counters,
    /// Which exchanges are looked into.
    pub sampler: Sampler,
    /// Room for one header block at a time.
    list: hpack::List,
    /// Flows with TLS that are over.
    pub tls_flows: Vec<TlsFlow>,
    /// What the sessions of TLS share: keys, counters, budget. Absent while one is at work.
    tls: Option<Box<tls::Shared>>,
    late: secure::Late,
    /// Monotone packet time of the segment at hand.
    pub now: Timestamp,
}

impl Out {
    pub fn new(observer: Observer, keys: Arc<KeyStore>) -> Self {
        Self {
            observer,
            trusted: Trusted::default(),
            look: None,
            exchanges: Vec::new(),
            counters: Counters::default(),
            sampler: Sampler::new(1),
            list: hpack::List::default(),
            tls_flows: Vec::new(),
            tls: Some(Box::new(tls::Shared::new(keys))),
            late: secure::Late::default(),
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

    /// Flows that are over and waited for keys. `last`: nothing will come any more.
    pub fn tick(&mut self, last: bool) {
        let late = std::mem::take(&mut self.late);
        self.late = late.tick(last, self);
    }

    /// Hands on a record of what a long-lived connection carried.
    fn session(&mut self, x: Box<Exchange>) {
        self.counters.sessions.records += 1;
        self.exchanges.push(x);
    }
}
