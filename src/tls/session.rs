//! One TLS session: both directions' bytes in, facts and, with keys, the application's bytes out.
//!
//! A direction passes through epochs, each with keys of its own: in clear, then sealed (TLS 1.2),
//! or early data, handshake and application (TLS 1.3). Records are opened as they come. Where keys
//! are still to come, records of both directions wait in their order, within a bound, so that what
//! comes out keeps the order of what went in. A direction that cannot be opened is dark: its bytes
//! are passed over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::certificate::Certificate;
use super::cipher::Opener;
use super::facts::{Facts, text};
use super::handshake::{Joiner, Message, kind};
use super::hello::{ClientHello, EncryptedExtensions, ServerHello};
use super::ja4::Transport;
use super::keylog::KeyStore;
use super::negotiation::{Closed, Early, Negotiation};
use super::record::{ContentType, HEADER, Header};
use super::resync::Lost;
use crate::flow::{Chunk, Side};
use crate::time::Timestamp;

/// Records of one session that wait for keys. A key log is written when the handshake is made, so
/// keys are late by the delay of a file, not of a download.
const MAX_WAITING: usize = 256 << 10;

/// The same for all sessions of one worker: hosts without keys must not hold memory for ever.
const MAX_WAITING_ALL: usize = 16 << 20;

/// Keys that are later than this are not waited for.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Early data held until the server says whether it takes it; servers allow 16 KiB by default. A
/// client without keys could else send any amount of it.
const MAX_EARLY: usize = 128 << 10;

/// Records of early data that the server refused, or that no key opens, before the handshake's.
const MAX_REFUSED: u16 = 256;

/// Records in a row that are not authentic before a direction is given up: a damaged capture, or
/// keys of something else.
const MAX_FAILURES: u8 = 8;

/// Records whose ends are remembered to translate acknowledgements; as many as a window holds.
const MAX_MARKS: usize = 64;

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
    waiting: usize,
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

/// Which keys a direction's records are under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Epoch {
    #[default]
    Clear,
    /// TLS 1.3: the client's early data.
    Early,
    /// TLS 1.3.
    Handshake,
    /// TLS 1.3.
    Application,
    /// TLS 1.2, behind a ChangeCipherSpec.
    Sealed,
    /// Not to be opened; its bytes are passed over.
    Dark,
}

/// One direction. Invariants: `opener` belongs to `epoch`; `next` is the offset of the first byte
/// that was not consumed, and `partial` the header there of a record that is not whole; `plain` is
/// the offset behind the last of the application's bytes.
#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) epoch: Epoch,
    pub(super) opener: Option<Box<Opener>>,
    pub(super) joiner: Joiner,
    pub(super) next: u64,
    pub(super) partial: Option<Header>,
    /// Bytes to come of a record of which some are lost.
    pub(super) skip: u64,
    pub(super) lost: Option<Lost>,
    /// Records wait behind which it cannot be told where another begins.
    pub(super) blind: bool,
    pub(super) plain: u64,
    /// (offset behind a record, offset of the application's bytes there), ascending.
    marks: VecDeque<(u64, u64)>,
    forgotten: bool,
    /// TLS 1.3: some record was padded, so lengths of plain text cannot be told from outside.
    pub(super) padded: bool,
    refused: u16,
    failures: u8,
}

impl Half {
    pub(super) fn begin(&mut self, epoch: Epoch) {
        (self.epoch, self.opener, self.failures) = (epoch, None, 0);
        self.joiner.reset();
    }

    /// What `offset` of the stream is in the application's bytes: the end of the last record that
    /// is whole there.
    fn translate(&self, offset: u64) -> Option<u64> {
        let behind = self.marks.partition_point(|(end, _)| *end <= offset);
        match behind.checked_sub(1) {
            Some(at) => self.marks.get(at).map(|mark| mark.1),
            None => (!self.forgotten).then_some(0),
        }
    }

    fn mark(&mut self, end: u64) {
        if self.marks.len() >= MAX_MARKS {
            self.marks.pop_front();
            self.forgotten = true;
        }
        self.marks.push_back((end, self.plain));
    }
}

/// Where and when a record came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta {
    pub(super) ts: Timestamp,
    pub(super) ack: Option<u64>,
    /// Offset behind the record.
    pub(super) end: u64,
}

/// What waits for keys.
#[derive(Debug)]
pub(super) enum Waiting {
    Record(Header, Box<[u8]>),
    LostRecord(Header),
    /// Nothing more can be told of this direction.
    Blind,
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
    facts: Facts,
    queue: VecDeque<(Side, Meta, Waiting)>,
    queued: usize,
    since: Timestamp,
    /// Of the key store, when keys were last looked for.
    generation: u64,
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
        self.queued + self.early_bytes + joined
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

    /// Goes on with what waits, if keys came since.
    pub(super) fn retry(&mut self, shared: &mut Shared, sink: &mut Sink<'_>) {
        if self.queue.is_empty() || self.generation == shared.keys.generation() {
            return;
        }
        self.generation = shared.keys.generation();
        while let Some((side, meta, waiting)) = self.queue.pop_front() {
            let outcome = match &waiting {
                Waiting::Record(header, payload) => {
                    self.record(side, meta, header, payload, shared, sink)
                }
                Waiting::LostRecord(header) => {
                    self.lost_record(side, meta.ts, header, shared, sink)
                }
                Waiting::Blind => {
                    self.give_up(side);
                    Outcome::Done
                }
            };
            if outcome == Outcome::Wait {
                self.queue.push_front((side, meta, waiting));
                return;
            }
            let cost = waiting.cost();
            self.queued -= cost;
            shared.waiting -= cost;
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(super) fn wait(&mut self, side: Side, meta: Meta, what: Waiting, shared: &mut Shared) {
        if self.queue.is_empty() {
            self.since = meta.ts;
            self.generation = shared.keys.generation();
        }
        let cost = what.cost();
        let full = self.queued + cost > MAX_WAITING || shared.waiting + cost > MAX_WAITING_ALL;
        if full || meta.ts.since(self.since) > MAX_WAIT {
            shared.counters.late += 1;
            self.close(shared);
            for half in &mut self.halves {
                half.begin(Epoch::Dark);
            }
            return;
        }
        self.queued += cost;
        shared.waiting += cost;
        self.queue.push_back((side, meta, what));
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
    fn record(
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

    /// TLS 1.2: the sender's next record is sealed. TLS 1.3 sends the same as a disguise (RFC
    /// 8446, appendix D.4), perhaps before its version is known.
    pub(super) fn change_cipher(&mut self, side: Side) {
        let disguise = match self.negotiation.version {
            Some(_) => self.negotiation.is_tls13(),
            None => self.negotiation.retried || self.negotiation.early != Early::None,
        };
        if disguise {
            return;
        }
        if self.client == Some(side.other()) && !self.negotiation.full {
            self.facts.resumed = true;
        }
        self.half(side).begin(Epoch::Sealed);
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

    /// Joins a fragment to handshake messages and follows them.
    fn messages(&mut self, side: Side, fragment: &[u8], shared: &mut Shared) {
        let mut joiner = std::mem::take(&mut self.half(side).joiner);
        let before = self.half(side).epoch;
        joiner.push(fragment, |message| self.message(side, message, shared));
        let half = self.half(side);
        if half.epoch == before {
            half.joiner = joiner;
        }
    }

    fn message(&mut self, side: Side, message: Message<'_>, shared: &mut Shared) {
        let (body, epoch) = (message.body(), self.half(side).epoch);
        let from_client = self.client == Some(side);
        if message.kind == kind::CLIENT_HELLO {
            if let Ok(hello) = ClientHello::read(body) {
                self.client = Some(side);
                self.negotiation.client_hello(&hello, &shared.keys);
                self.facts.client_hello(&hello, Transport::Tcp);
                self.negotiation.hash(message.whole);
            }
            return;
        }
        self.negotiation.hash(message.whole);
        match (message.kind, epoch) {
            (kind::SERVER_HELLO, _) => self.server_hello(side, body),
            (kind::CERTIFICATE, _) if !from_client => {
                self.negotiation.full = true;
                if let Some(version) = self.negotiation.version
                    && self.facts.certificate.is_none()
                {
                    self.facts.certificate = Certificate::read(body, version).map(Box::new);
                }
            }
            (kind::SERVER_HELLO_DONE | kind::SERVER_KEY_EXCHANGE, _) if !from_client => {
                self.negotiation.full = true;
            }
            (kind::CLIENT_KEY_EXCHANGE, _) => self.negotiation.client_key_exchange(body),
            (kind::NEW_SESSION_TICKET, Epoch::Clear) => self.negotiation.new_session_ticket(body),
            (kind::ENCRYPTED_EXTENSIONS, Epoch::Handshake) => self.encrypted_extensions(body),
            (kind::END_OF_EARLY_DATA, Epoch::Early) => self.half(side).begin(Epoch::Handshake),
            (kind::FINISHED, Epoch::Handshake) => self.half(side).begin(Epoch::Application),
            (kind::KEY_UPDATE, Epoch::Application) => {
                let half = self.half(side);
                half.opener = half
                    .opener
                    .as_ref()
                    .and_then(|opener| opener.updated())
                    .map(Box::new);
            }
            _ => {}
        }
    }

    fn server_hello(&mut self, side: Side, body: &[u8]) {
        let Ok(hello) = ServerHello::read(body) else {
            return;
        };
        if hello.is_retry() {
            return self.negotiation.retry();
        }
        if self.client == Some(side) {
            return;
        }
        self.client = Some(side.other());
        self.negotiation.server_hello(&hello);
        self.facts.server_hello(&hello);
        if self.negotiation.is_tls13() {
            self.half(side).begin(Epoch::Handshake);
            let early = self.negotiation.early;
            let client = self.half(side.other());
            client.begin(match early {
                Early::None | Early::Rejected => Epoch::Handshake,
                Early::Offered | Early::Accepted => Epoch::Early,
            });
            if early == Early::Rejected {
                client.refused = MAX_REFUSED;
            }
        }
    }

    fn encrypted_extensions(&mut self, body: &[u8]) {
        let Ok(sent) = EncryptedExtensions::read(body) else {
            return;
        };
        if self.facts.alpn.is_none() {
            self.facts.alpn = sent.extensions.alpn().next().map(text);
        }
        if self.negotiation.early == Early::Offered {
            self.negotiation.early = if sent.early_data() {
                Early::Accepted
            } else {
                Early::Rejected
            };
            if let (Early::Rejected, Some(client)) = (self.negotiation.early, self.client) {
                self.half(client).begin(Epoch::Handshake);
                self.half(client).refused = MAX_REFUSED;
            }
        }
    }
}

impl Waiting {
    fn cost(&self) -> usize {
        let held = match self {
            Self::Record(_, payload) => payload.len(),
            _ => 0,
        };
        held + size_of::<(Side, Meta, Self)>()
    }
}
