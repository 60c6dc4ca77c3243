//! TLS between a flow and its HTTP reader. A flow is read in clear until its beginning, or what
//! follows a CONNECT or an upgrade in another protocol, turns out to be TLS; from there on its
//! bytes pass through a session, and what that opens goes to a reader of its own, as `https`.
//!
//! Whether opened or not, each session ends as a [`TlsFlow`]: hosts that are there and cannot be
//! inspected are told, with their share of the traffic.
//!
//! A key log that is followed brings keys later than the wire: a short connection may be over by
//! then. What it said waits for them beyond its end ([`Late`]).

use std::collections::VecDeque;
use std::net::IpAddr;

use compact_str::CompactString;

use super::carry::Carry;
use super::protocol;
use super::{Out, Switch};
use crate::exchange::{Exchange, ServerCertificate, TlsFlow, TlsVersion};
use crate::flow::{Chunk, End, FlowInfo, MAX_CARRY, Side, Stream};
use crate::observe::with_certificate;
use crate::time::Timestamp;
use crate::tls::{Event, Facts, MAX_WAIT, Session, Shared, Sink};

/// Flows of one worker that are over and wait for keys; past it the oldest does no longer. What
/// their records take is within the budget of all that wait.
const MAX_LATE: usize = 4_096;

/// The reader of one flow.
#[derive(Debug)]
pub struct Connection {
    info: FlowInfo,
    reader: protocol::Connection,
    tls: Option<Box<Tls>>,
}

#[derive(Debug)]
struct Tls {
    session: Session,
    inner: Inner,
    from: Timestamp,
    bytes: [u64; 2],
    /// When each side sent its last, if what it sent before still waits for keys.
    ended: [Option<Timestamp>; 2],
}

/// A flow that is over.
#[derive(Debug)]
struct Over {
    info: FlowInfo,
    tls: Box<Tls>,
    ts: Timestamp,
    end: End,
}

/// Flows that are over while their records wait for keys, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Late(VecDeque<Over>);

/// The reader of the opened bytes, and what it has left of them.
#[derive(Debug)]
struct Inner {
    reader: protocol::Connection,
    left: [Carry; 2],
    /// Of no use to the reader.
    opaque: bool,
    /// The client showed a certificate.
    mutual: bool,
}

impl Connection {
    pub fn new(info: &FlowInfo) -> Self {
        Self {
            info: *info,
            reader: protocol::Connection::new(info),
            tls: None,
        }
    }

    fn begin(&mut self, ts: Timestamp, out: &mut Out) {
        out.counters.tls += 1;
        // What was read in clear is as complete as it will get.
        self.reader.on_close(ts, End::Fin, out);
        self.info = *self.reader.info();
        let inside = FlowInfo {
            from_start: true,
            ..self.info
        };
        let inner = Inner {
            reader: protocol::Connection::new(&inside),
            left: Default::default(),
            opaque: false,
            mutual: false,
        };
        self.tls = Some(Box::new(Tls {
            session: Session::default(),
            inner,
            from: ts,
            bytes: [0; 2],
            ended: [None; 2],
        }));
    }
}

impl Stream for Connection {
    type Out = Out;

    fn on_data(&mut self, side: Side, chunk: Chunk<'_>, out: &mut Out) -> usize {
        let mut used = 0;
        if self.tls.is_none() {
            used = self.reader.on_data(side, chunk, out);
            if self.reader.is_http() {
                out.counters.clear_bytes += used as u64;
            }
            match self.reader.switch() {
                Some(Switch::Tls) => self.begin(chunk.ts, out),
                _ => return used,
            }
        }
        let Some(tls) = &mut self.tls else {
            return used;
        };
        let rest = Chunk {
            offset: chunk.offset + used as u64,
            boundary: chunk.boundary && used == 0,
            data: &chunk.data[used..],
            ..chunk
        };
        let taken = tls.run(out, |session, shared, sink| {
            session.on_data(side, &rest, shared, sink)
        });
        tls.bytes[side as usize] += taken as u64;
        used + taken
    }

    fn on_gap(&mut self, side: Side, ts: Timestamp, offset: u64, len: u64, out: &mut Out) {
        let Some(tls) = &mut self.tls else {
            return self.reader.on_gap(side, ts, offset, len, out);
        };
        tls.run(out, |session, shared, sink| {
            session.on_gap(side, ts, offset, len, shared, sink);
        });
    }

    fn on_end(&mut self, side: Side, ts: Timestamp, out: &mut Out) {
        let Some(tls) = &mut self.tls else {
            return self.reader.on_end(side, ts, out);
        };
        tls.ended[side as usize] = Some(ts);
        tls.settle(out);
    }

    fn on_close(&mut self, ts: Timestamp, end: End, out: &mut Out) {
        let Some(mut tls) = self.tls.take() else {
            return self.reader.on_close(ts, end, out);
        };
        tls.settle(out);
        let over = Over {
            info: self.info,
            tls,
            ts,
            end,
        };
        if over.tls.session.is_waiting() && end != End::Evicted {
            out.late.0.push_back(over);
        } else {
            over.tell(out);
        }
    }

    fn due(&self) -> Timestamp {
        match &self.tls {
            None => self.reader.due(),
            Some(tls) => tls.inner.reader.due(),
        }
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Out) {
        match &mut self.tls {
            None => self.reader.on_tick(now, out),
            Some(tls) => tls.inner.with(out, |reader, out| reader.on_tick(now, out)),
        }
    }

    fn held(&self) -> usize {
        let tls = self.tls.as_ref().map_or(0, |tls| {
            let left = tls.inner.left.iter().map(Carry::len);
            tls.session.held() + left.sum::<usize>() + tls.inner.reader.held()
        });
        self.reader.held() + tls
    }
}

/// The record of a flow as far as its hellos tell it.
pub fn flow(client: (IpAddr, u16), server: (IpAddr, u16), facts: &Facts) -> TlsFlow {
    TlsFlow {
        ts: Timestamp::MIN,
        end: Timestamp::MIN,
        client: client.0,
        client_port: client.1,
        server: server.0,
        server_port: server.1,
        vni: None,
        server_name: facts.server_name.clone(),
        alpn: facts.alpn.clone().or_else(|| facts.offered.clone()),
        version: facts.version.map(|version| TlsVersion(version.0)),
        cipher: facts.cipher,
        ja4: facts.ja4.clone(),
        ech: facts.ech,
        quic: false,
        certificate: facts.certificate.as_ref().map(|c| ServerCertificate {
            not_after: c.not_after,
            self_signed: c.self_signed,
        }),
        opened: facts.decrypted,
        bytes: [0; 2],
    }
}

impl Tls {
    /// Lets the session do something, and hands what comes out of it to the reader inside.
    fn run<T: Default>(
        &mut self,
        out: &mut Out,
        act: impl FnOnce(&mut Session, &mut Shared, &mut Sink<'_>) -> T,
    ) -> T {
        let Some(mut shared) = out.tls.take() else {
            return T::default();
        };
        let before = out.exchanges.len();
        let inner = &mut self.inner;
        let done = act(&mut self.session, &mut shared, &mut |event| match event {
            Event::Data(side, chunk) => inner.on_data(side, chunk, out),
            Event::Gap {
                side,
                ts,
                offset,
                len,
            } => inner.on_gap(side, ts, offset, len, out),
        });
        out.tls = Some(shared);
        // Records that waited for keys come all at once, the handshake's among them.
        if self.session.facts().client_certificate && !self.inner.mutual {
            self.inner.mutual = true;
            vouch(&mut out.exchanges[before..]);
        }
        done
    }
}

/// Clients that showed a certificate.
fn vouch(exchanges: &mut [Box<Exchange>]) {
    for x in exchanges {
        x.auth_in = with_certificate(x.auth_in.as_ref());
    }
}

impl Tls {
    /// Goes on with what waits, if keys came; the sides' ends come behind that.
    fn settle(&mut self, out: &mut Out) {
        self.run(out, |session, shared, sink| session.on_end(shared, sink));
        if self.session.is_waiting() {
            return;
        }
        for side in [Side::Orig, Side::Resp] {
            if let Some(ts) = self.ended[side as usize].take() {
                self.inner
                    .with(out, |reader, out| reader.on_end(side, ts, out));
            }
        }
    }
}

impl Over {
    fn tell(self, out: &mut Out) {
        let Self {
            info,
            mut tls,
            ts,
            end,
        } = self;
        tls.run(out, |session, shared, _| {
            shared.counters.late += u64::from(session.is_waiting());
            session.close(shared);
        });
        tls.inner
            .with(out, |reader, out| reader.on_close(ts, end, out));
        let client = tls.session.client().unwrap_or(Side::Orig);
        let (from, to) = match client {
            Side::Orig => (info.orig, info.resp),
            Side::Resp => (info.resp, info.orig),
        };
        let bytes = [client, client.other()].map(|side| tls.bytes[side as usize]);
        out.tls_flows.push(TlsFlow {
            ts: tls.from,
            end: ts,
            vni: info.vni,
            bytes,
            ..flow(from, to, tls.session.facts())
        });
    }
}

impl Late {
    /// Tells those whose keys came, or that have waited long enough. `last`: no more will come.
    pub(super) fn tick(mut self, last: bool, out: &mut Out) -> Self {
        let excess = self.0.len().saturating_sub(MAX_LATE);
        for (n, mut over) in std::mem::take(&mut self.0).into_iter().enumerate() {
            over.tls.settle(out);
            let given_up = last || n < excess || out.now.since(over.ts) >= MAX_WAIT;
            if over.tls.session.is_waiting() && !given_up {
                self.0.push_back(over);
            } else {
                over.tell(out);
            }
        }
        self
    }
}

impl Inner {
    /// Whatever the reader completes was said under TLS.
    fn with<T>(
        &mut self,
        out: &mut Out,
        act: impl FnOnce(&mut protocol::Connection, &mut Out) -> T,
    ) -> T {
        let before = out.exchanges.len();
        let done = act(&mut self.reader, out);
        for exchange in &mut out.exchanges[before..] {
            exchange.scheme = CompactString::const_new("https");
            exchange.clear = false;
        }
        if self.mutual {
            vouch(&mut out.exchanges[before..]);
        }
        done
    }

    fn on_data(&mut self, side: Side, chunk: Chunk<'_>, out: &mut Out) {
        if self.opaque {
            return;
        }
        let mut left = std::mem::take(&mut self.left[side as usize]);
        let (ts, end) = (chunk.ts, chunk.offset + chunk.data.len() as u64);
        left.feed(chunk, |chunk| {
            self.with(out, |reader, out| reader.on_data(side, chunk, out))
        });
        // TLS inside TLS is not followed.
        self.opaque = self.reader.switch().is_some();
        if left.len() > MAX_CARRY || self.opaque {
            left.clear();
            self.with(out, |reader, out| reader.on_gap(side, ts, end, 0, out));
        }
        self.left[side as usize] = left;
    }

    fn on_gap(&mut self, side: Side, ts: Timestamp, offset: u64, len: Option<u64>, out: &mut Out) {
        self.left[side as usize].clear();
        // No body goes on behind a hole of unknown length.
        let len = len.unwrap_or(u64::MAX);
        self.with(out, |reader, out| {
            reader.on_gap(side, ts, offset, len, out);
        });
    }
}

#[cfg(test)]
mod tests;
