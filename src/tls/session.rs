//! One TLS session: both directions' bytes in, facts and, with keys, the application's bytes out.
//!
//! A direction passes through epochs, each with keys of its own: in clear, then sealed (TLS 1.2),
//! or early data, handshake and application (TLS 1.3). Records are opened as they come. Where keys
//! are still to come, records of both directions wait in their order, within a bound, so that what
//! comes out keeps the order of what went in. A direction that cannot be opened is dark: its bytes
//! are passed over.

use std::collections::VecDeque;
use std::sync::Arc;

use super::facts::Facts;
use super::half::{Epoch, Half};
use super::handshake::MAX_CERTIFICATE;
use super::keylog::KeyStore;
use super::negotiation::{self, Closed, Early, Negotiation};
use super::record::{ContentType, HEADER, Header};
use super::waiting::{MAX_WAITING, Waiting};
use crate::flow::{Chunk, Side};
use crate::time::Timestamp;

/// Early data held until the server says whether it takes it; servers allow 16 KiB by default. A
/// client without keys could else send any amount of it.
const MAX_EARLY: usize = 128 << 10;

/// Most that one session holds: what waits, early data, a message under way in each direction, and
/// what was negotiated.
pub const MAX_HELD: usize = MAX_WAITING + MAX_EARLY + 2 * MAX_CERTIFICATE + negotiation::MAX_HELD;

/// Records of early data that the server refused, or that no key opens, before the handshake's.
pub(super) const MAX_REFUSED: u16 = 256;

/// Records in a row that are not authentic before a direction is given up: a damaged capture, or
/// keys of something else.
const MAX_FAILURES: u8 = 8;

/// Where the records of one worker's sessions went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records opened.
    pub records: u64,
    /// Sealed records that their key did not open.
    pub not_authentic: u64,
    /// Records of early data that the server refused.
    pub refused: u64,
    /// Sessions that waited for keys in vain: too long, or past the bounds.
    pub late: u64,
    /// Directions whose version or suite is not read.
    pub unsupported: u64,
    /// Directions that stopped being TLS.
    pub malformed: u64,
    /// Directions found again behind a hole, and given up there.
    pub resynchronised: u64,
    pub lost: u64,
}

impl Counters {
    /// By name, for metrics.
    pub fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("opened", self.records),
            ("not_authentic", self.not_authentic),
            ("refused", self.refused),
            ("keys_late", self.late),
            ("unsupported", self.unsupported),
            ("malformed", self.malformed),
            ("resynchronised", self.resynchronised),
            ("lost", self.lost),
        ]
    }

    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.records, other.records),
            (&mut self.not_authentic, other.not_authentic),
            (&mut self.refused, other.refused),
            (&mut self.late, other.late),
            (&mut self.unsupported, other.unsupported),
            (&mut self.malformed, other.malformed),
            (&mut self.resynchronised, other.resynchronised),
            (&mut self.lost, other.lost),
        ];
        for (mine, theirs) in pairs {
            *mine += theirs;
        }
    }
}

/// What the sessions of one worker share.
#[derive(Debug, Default)]
pub struct Shared {
    pub keys: Arc<KeyStore>,
    pub counters: Counters,
    /// Bytes of records that wait.
    pub(super) waiting: usize,
    /// Room for the record that is being opened.
    pub(super) plain: Vec<u8>,
}

impl Shared {
    pub fn new(keys: Arc<KeyStore>) -> Self {
        Self {
            keys,
            ..Self::default()
        }
    }

    /// Bytes of records that wait for keys.
    pub fn waiting(&self) -> usize {
        self.waiting
    }
}

/// What comes out of a session, in order. Offsets count the application's bytes.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The content of one record, which is to the application what a segment is to TCP.
    Data(Side, Chunk<'a>),
    /// Bytes that will never come.
    Gap {
        side: Side,
        ts: Timestamp,
        offset: u64,
        /// How many, where that can be told.
        len: Option<u64>,
    },
}

/// Where and when a record came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta {
    pub(super) ts: Timestamp,
    pub(super) ack: Option<u64>,
    /// Offset behind the record.
    pub(super) end: u64,
}

/// Whether a record was dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// It needs keys that may still come.
    Wait,
}

pub type Sink<'a> = dyn FnMut(Event<'_>) + 'a;

#[derive(Debug, Default)]
pub struct Session {
    pub(super) client: Option<Side>,
    pub(super) halves: [Half; 2],
    pub(super) negotiation: Negotiation,
    pub(super) facts: Facts,
    pub(super) queue: VecDeque<(Side, Meta, Waiting)>,
    pub(super) queued: usize,
    pub(super) since: Timestamp,
    /// Of the key store, when keys were last looked for.
    pub(super) generation: u64,
    /// Early data until the server has answered.
    early: Vec<(Meta, Header, Box<[u8]>)>,
    early_bytes: usize,
}

impl Session {
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Which side sent the client's hello.
    pub fn client(&self) -> Option<Side> {
        self.client
    }

    /// Bytes that it holds.
    pub fn held(&self) -> usize {
        let joined: usize = self.halves.iter().map(|half| half.joiner.held()).sum();
        self.queued + self.early_bytes + joined + self.negotiation.held()
    }

    /// Nothing more will come out of it.
    pub fn is_dark(&self) -> bool {
        self.halves.iter().all(|half| half.epoch == Epoch::Dark)
    }

    pub(super) fn half(&mut self, side: Side) -> &mut Half {
        &mut self.halves[side as usize]
    }

    /// Takes what is whole; returns how many bytes. The rest is to be offered again with more.
    pub fn on_data(
        &mut self,
        side: Side,
        chunk: &Chunk<'_>,
        shared: &mut Shared,
        sink: &mut Sink<'_>,
    ) -> usize {
        let used = self.consume(side, chunk, shared, sink);
        self.half(side).next = chunk.offset + used as u64;
        used
    }

    fn consume(
        &mut self,
        side: Side,
        chunk: &Chunk<'_>,
        shared: &mut Shared,
        sink: &mut Sink<'_>,
    ) -> usize {
        let mut at = 0;
        while at < chunk.data.len() {
            let rest = &chunk.data[at..];
            let offset = chunk.offset + at as u64;
            let half = self.half(side);
            if half.epoch == Epoch::Dark || half.blind {
                return chunk.data.len();
            }
            if half.skip > 0 {
                let skipped = half.skip.min(rest.len() as u64);
                half.skip -= skipped;
                at += skipped as usize;
                continue;
            }
            if half.lost.is_some() {
                match self.search(side, rest, offset, chunk.ts, shared, sink) {
                    (passed, true) => at += passed,
                    (passed, false) => return at + passed,
                }
                continue;
            }
            let header = match Header::parse(rest) {
                Ok(Some(header)) => header,
                Ok(None) => return at,
                Err(_) => {
                    shared.counters.malformed += 1;
                    self.give_up(side);
                    return chunk.data.len();
                }
            };
            if rest.len() < header.total() {
                half.partial = Some(header);
                return at;
            }
            half.partial = None;
            at += header.total();
            let meta = Meta {
                ts: chunk.ts,
                ack: chunk.ack,
                end: offset + header.total() as u64,
            };
            self.take(
                side,
                meta,
                header,
                &rest[HEADER..header.total()],
                shared,
                sink,
            );
        }
        at
    }

    /// A direction or the session ends: what waits gets a last chance.
    pub fn on_end(&mut self, shared: &mut Shared, sink: &mut Sink<'_>) {
        self.retry(shared, sink);
    }

    /// The session is over; gives back what it holds.
    pub fn close(&mut self, shared: &mut Shared) {
        shared.waiting -= self.queued;
        self.queued = 0;
        self.queue = VecDeque::new();
        (self.early, self.early_bytes) = (Vec::new(), 0);
    }

    fn take(
        &mut self,
        side: Side,
        meta: Meta,
        header: Header,
        payload: &[u8],
        shared: &mut Shared,
        sink: &mut Sink<'_>,
    ) {
        self.retry(shared, sink);
        let waits = !self.queue.is_empty()
            || self.record(side, meta, &header, payload, shared, sink) == Outcome::Wait;
        if waits {
            self.wait(side, meta, Waiting::Record(header, payload.into()), shared);
        }
    }

    /// Nothing more is read of this direction.
    pub(super) fn give_up(&mut self, side: Side) {
        let half = self.half(side);
        half.begin(Epoch::Dark);
        (half.lost, half.partial) = (None, None);
        if Some(side) == self.client {
            (self.early, self.early_bytes) = (Vec::new(), 0);
        }
    }

    /// Deals with one whole record.
    pub(super) fn record(
        &mut self,
        side: Side,
        meta: Meta,
        header: &Header,
        payload: &[u8],
        shared: &mut Shared,
        sink: &mut Sink<'_>,
    ) -> Outcome {
        use ContentType::*;
        match (self.half(side).epoch, header.kind) {
            (Epoch::Dark, _) => {}
            (Epoch::Clear, Handshake) => self.messages(side, payload, shared),
            (Epoch::Clear, ChangeCipherSpec) => self.change_cipher(side),
            (Epoch::Clear, ApplicationData) if self.negotiation.early == Early::Rejected => {
                shared.counters.refused += 1;
            }
            (Epoch::Clear | Epoch::Early, ApplicationData)
                if self.negotiation.early == Early::Offered && self.client == Some(side) =>
            {
                self.hold_early(side, meta, *header, payload);
            }
            (Epoch::Clear, ApplicationData) => self.give_up(side),
            (Epoch::Clear, Alert | Heartbeat) => {}
            // TLS 1.3 protects nothing under another type: a ChangeCipherSpec for the sake of
            // middleboxes, or an alert by who has no keys yet.
            (Epoch::Early | Epoch::Handshake | Epoch::Application, kind)
                if kind != ApplicationData => {}
            _ => return self.sealed(side, meta, header, payload, shared, sink),
        }
        Outcome::Done
    }

    fn hold_early(&mut self, side: Side, meta: Meta, header: Header, payload: &[u8]) {
        self.early_bytes += payload.len() + size_of::<(Meta, Header, Box<[u8]>)>();
        if self.early_bytes > MAX_EARLY {
            return self.give_up(side);
        }
        self.early.push((meta, header, payload.into()));
    }

    /// Makes the direction's opener, if it has none.
    pub(super) fn ensure_opener(&mut self, side: Side, shared: &mut Shared) -> Result<(), Outcome> {
        let (epoch, from_client) = (self.half(side).epoch, self.client == Some(side));
        if self.half(side).opener.is_some() {
            return Ok(());
        }
        match self.negotiation.opener(from_client, epoch, &shared.keys) {
            Ok(opener) => {
                self.half(side).opener = Some(Box::new(opener));
                return Ok(());
            }
            Err(Closed::NoKey) if epoch == Epoch::Early => {
                // The rest does not hang on it: pass over what the next keys do not open.
                self.half(side).begin(Epoch::Handshake);
                self.half(side).refused = MAX_REFUSED;
                return self.ensure_opener(side, shared);
            }
            Err(Closed::NoKey) if shared.keys.is_growing() => return Err(Outcome::Wait),
            Err(Closed::NoKey) => {}
            Err(Closed::Unsupported) => shared.counters.unsupported += 1,
        }
        self.give_up(side);
        Err(Outcome::Done)
    }

    fn sealed(
        &mut self,
        side: Side,
        meta: Meta,
        header: &Header,
        payload: &[u8],
        shared: &mut Shared,
        sink: &mut Sink<'_>,
    ) -> Outcome {
        if let Err(outcome) = self.ensure_opener(side, shared) {
            return outcome;
        }
        let mut plain = std::mem::take(&mut shared.plain);
        let half = &mut self.halves[side as usize];
        let opened = match &mut half.opener {
            Some(opener) => opener.open(header, payload, &mut plain),
            None => return Outcome::Done,
        };
        match opened {
            Ok(opened) => {
                shared.counters.records += 1;
                self.facts.decrypted = true;
                (half.failures, half.refused) = (0, 0);
                half.padded |= opened.padded;
                match opened.kind {
                    ContentType::ApplicationData => self.application(side, meta, opened.data, sink),
                    ContentType::Handshake => self.messages(side, opened.data, shared),
                    // A renegotiation of TLS 1.2.
                    ContentType::ChangeCipherSpec if half.epoch == Epoch::Sealed => {
                        half.begin(Epoch::Sealed);
                    }
                    _ => {}
                }
            }
            Err(_) => self.not_authentic(side, meta, header, shared, sink),
        }
        shared.plain = plain;
        self.release_early(shared, sink);
        Outcome::Done
    }

    fn not_authentic(
        &mut self,
        side: Side,
        meta: Meta,
        header: &Header,
        shared: &mut Shared,
        sink: &mut Sink<'_>,
    ) {
        let half = self.half(side);
        if half.refused > 0 {
            half.refused -= 1;
            shared.counters.refused += 1;
            return;
        }
        shared.counters.not_authentic += 1;
        half.failures += 1;
        let first = half.opener.as_ref().is_none_or(|o| o.sequence() == 0);
        if first || half.failures >= MAX_FAILURES {
            self.give_up(side);
        } else {
            // Its content is as good as lost; the record behind it has the next number.
            let _ = self.lost_record(side, meta.ts, header, shared, sink);
        }
    }

    fn application(&mut self, side: Side, meta: Meta, data: &[u8], sink: &mut Sink<'_>) {
        let ack = meta
            .ack
            .and_then(|ack| self.half(side.other()).translate(ack));
        let half = self.half(side);
        if !data.is_empty() {
            let chunk = Chunk {
                ts: meta.ts,
                offset: half.plain,
                ack,
                boundary: true,
                data,
            };
            half.plain += data.len() as u64;
            sink(Event::Data(side, chunk));
        }
        half.mark(meta.end);
    }

    /// Once the server has taken or refused the early data, it is opened or dropped.
    fn release_early(&mut self, shared: &mut Shared, sink: &mut Sink<'_>) {
        if self.early.is_empty() || self.negotiation.early == Early::Offered {
            return;
        }
        let Some(client) = self.client else { return };
        let (held, accepted) = (
            std::mem::take(&mut self.early),
            self.negotiation.early == Early::Accepted,
        );
        self.early_bytes = 0;
        for (meta, header, payload) in held {
            if accepted {
                let _ = self.record(client, meta, &header, &payload, shared, sink);
            } else {
                shared.counters.refused += 1;
            }
        }
    }
}
