//! One worker: the virtual shards it owns, joined to the HTTP reader. No lock, no atomic, no
//! allocation per packet.

use std::sync::Arc;

use super::country::Countries;
use super::intake::Route;
use super::ledger::{Ledger, Stage};
use super::quic;
use super::sights::{Sights, Watch};
use super::{Order, Own, Record, SHARDS, Settings, TlsRecord};
use crate::decode::{Datagram, Segment};
use crate::exchange::Exchange;
use crate::flow::{self, FlowKey, FlowTable};
use crate::http::{self, Connection};
use crate::observe::Observer;
use crate::time::Timestamp;
use crate::tls;

pub struct Worker {
    /// Shard `s` stands at `s / workers`; this worker owns those with `s % workers` = its index.
    shards: Vec<FlowTable<Connection>>,
    /// QUIC connections of the same shards.
    quic: Vec<quic::Table>,
    quic_counters: quic::Counters,
    workers: u64,
    seed: u64,
    out: http::Out,
    now: Timestamp,
    records: Vec<Record>,
    ordinal: u64,
    watch: Watch,
    own: Own,
    /// Exchanges that were apitap's own.
    own_exchanges: u64,
    countries: Countries,
    flows: Vec<TlsRecord>,
}

/// A worker's counters at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Status {
    pub flow: flow::Counters,
    pub http: http::Counters,
    pub tls: tls::Counters,
    pub quic: quic::Counters,
    pub flows: u64,
    pub buffered: u64,
    /// Exchanges that were apitap's own.
    pub own: u64,
}

impl Worker {
    pub fn new(index: usize, settings: &Settings) -> Self {
        let workers = settings.workers.max(1) as u64;
        let observer = Observer::new(&settings.identity_key, settings.mask)
            .with_rules(Arc::clone(&settings.rules));
        let mut out = http::Out::new(observer.clone(), settings.keys.clone());
        out.look = Some(Box::new(move |x, text| {
            observer.look_at_text(x, text.from_client, text.content, text.whole);
        }));
        out.trusted = settings.trusted.clone();
        let owned = (index as u64..SHARDS).step_by(workers as usize);
        out.sampler = http::Sampler::new(owned.clone().count());
        Self {
            quic: owned.clone().map(|_| quic::Table::default()).collect(),
            quic_counters: quic::Counters::default(),
            shards: owned
                .map(|_| FlowTable::new(settings.flow.clone(), settings.seed))
                .collect(),
            workers,
            seed: settings.seed,
            out,
            now: Timestamp::MIN,
            records: Vec::new(),
            ordinal: 0,
            watch: Watch::new(workers),
            own: settings.own.clone(),
            own_exchanges: 0,
            countries: settings.countries.clone(),
            flows: Vec::new(),
        }
    }

    /// Which worker of `workers` owns a flow.
    pub fn owner(hash: u64, workers: usize) -> usize {
        (hash % SHARDS) as usize % workers.max(1)
    }

    /// Ends every flow: the input is over.
    pub fn finish(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        for (i, shard) in self.shards.iter_mut().enumerate() {
            self.out.sampler.enter(i);
            shard.finish(self.now, &mut self.out);
            shard.seen().for_each(|seen| self.watch.sights.take(seen));
        }
        for table in &mut self.quic {
            table.finish(&mut self.out.tls_flows);
        }
        self.out.now = self.now;
        self.out.tick(true);
        self.collect();
    }

    /// What has been completed since the last call.
    pub fn drain_into(&mut self, records: &mut Vec<Record>) {
        records.append(&mut self.records);
    }

    /// Flows with TLS that have ended since the last call.
    pub fn drain_flows_into(&mut self, flows: &mut Vec<TlsRecord>) {
        flows.append(&mut self.flows);
    }

    /// After a panic: what was completed, and how many exchanges were not yet made records.
    pub fn abandon(self) -> (Vec<Record>, u64) {
        (self.records, self.out.exchanges.len() as u64)
    }

    /// Records waiting to be drained.
    pub fn waiting(&self) -> usize {
        self.records.len() + self.flows.len()
    }

    /// No record to come is older than this.
    pub fn watermark(&self) -> Timestamp {
        self.now
    }

    pub fn status(&self) -> Status {
        let mut status = Status {
            http: self.out.counters,
            own: self.own_exchanges,
            tls: self.out.tls_counters(),
            quic: self.quic_counters,
            ..Status::default()
        };
        for shard in &self.shards {
            status.flow.add(&shard.counters());
            status.flows += shard.len() as u64;
            status.buffered += shard.buffered() as u64;
        }
        status
    }

    /// What the flows say of the taps.
    pub fn sights(&self) -> &Sights {
        &self.watch.sights
    }

    fn collect(&mut self) {
        for flow in self.out.tls_flows.drain(..) {
            let ends = [
                (flow.client, flow.client_port),
                (flow.server, flow.server_port),
            ];
            let key = FlowKey::between(ends[0], ends[1], flow.vni).0;
            self.ordinal += 1;
            let order = Order {
                at: self.now,
                flow: key.hash(self.seed),
                ordinal: self.ordinal,
            };
            let flow = Box::new(flow);
            self.flows.push(TlsRecord { order, flow });
        }
        for mut exchange in self.out.exchanges.drain(..) {
            if self.own.is_exchange(&exchange) {
                self.own_exchanges += 1;
                continue;
            }
            if exchange.session.is_none() {
                self.watch.sights.read(exchange.server_port);
            }
            exchange.country = self.countries.of(exchange.client);
            let flow = flow_of(&exchange).hash(self.seed);
            self.ordinal += 1;
            let order = Order {
                at: self.now,
                flow,
                ordinal: self.ordinal,
            };
            self.records.push(Record { order, exchange });
        }
    }
}

fn flow_of(x: &Exchange) -> FlowKey {
    FlowKey::between(x.peer(), (x.server, x.server_port), x.vni).0
}

impl Route for Worker {
    fn segment(&mut self, segment: &Segment<'_>, key: (FlowKey, bool), hash: u64, now: Timestamp) {
        self.now = self.now.max(now);
        self.out.now = self.now;
        let shard = (hash % SHARDS / self.workers) as usize;
        self.watch.look(segment, hash, shard);
        self.out.sampler.enter(shard);
        let table = &mut self.shards[shard];
        table.push(segment, key, self.now, &mut self.out, Connection::new);
        table.seen().for_each(|seen| self.watch.sights.take(seen));
        if !self.out.exchanges.is_empty() || !self.out.tls_flows.is_empty() {
            self.collect();
        }
    }

    fn datagram(
        &mut self,
        datagram: &Datagram<'_>,
        key: (FlowKey, bool),
        hash: u64,
        now: Timestamp,
    ) {
        self.now = self.now.max(now);
        let shard = (hash % SHARDS / self.workers) as usize;
        let followed = self.quic[shard].push(datagram, key, self.now);
        self.quic_counters.datagrams += 1;
        self.quic_counters.followed += u64::from(followed);
    }

    fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.out.now = self.now;
        for (i, shard) in self.shards.iter_mut().enumerate() {
            self.out.sampler.enter(i);
            shard.tick(self.now, &mut self.out);
            shard.seen().for_each(|seen| self.watch.sights.take(seen));
        }
        for table in &mut self.quic {
            table.tick(self.now, &mut self.out.tls_flows);
        }
        self.out.tick(false);
        self.collect();
    }
}

impl Status {
    pub fn add(&mut self, other: &Self) {
        self.flow.add(&other.flow);
        self.http.add(&other.http);
        self.tls.add(&other.tls);
        self.quic.add(&other.quic);
        self.flows += other.flows;
        self.buffered += other.buffered;
        self.own += other.own;
    }

    /// What was out of the ordinary, by name: of TCP, of HTTP's framing, of bodies that were
    /// decoded. Beside the ledger, never in its sums.
    pub fn remarks(&self) -> Vec<(&'static str, u64)> {
        let h = &self.http;
        let notes = flow::Note::ALL.map(|note| (note.name(), self.flow.notes.of(note)));
        let rest = [
            ("reset_ignored", self.flow.rst_ignored),
            ("gap", self.flow.gaps),
            ("ambiguous_framing", h.ambiguous_framing),
            ("body_decoded", h.bodies_decoded),
            ("decompression_bomb", h.bombs),
            ("content_coding_error", h.coding_errors),
        ];
        notes.into_iter().chain(rest).collect()
    }

    /// What was under way is lost: a worker panicked.
    pub fn give_up(&mut self) {
        self.flow.shed += std::mem::take(&mut self.flow.pending);
        self.http.shed += std::mem::take(&mut self.http.pending);
        let sessions = &mut self.http.sessions;
        sessions.cut += std::mem::take(&mut sessions.pending);
        (self.flows, self.buffered) = (0, 0);
    }

    /// Writes the stages `segment`, `message`, `session` (messages of long-lived connections) and,
    /// where QUIC was seen, `datagram`.
    pub fn enter(&self, ledger: &mut Ledger) {
        let (f, h) = (&self.flow, &self.http);
        let reasons =
            |pairs: &[(&'static str, u64)]| pairs.iter().copied().filter(|(_, n)| *n > 0).collect();
        ledger.stage("segment").add(&Stage {
            received: f.segments,
            analysed: f.analysed,
            ignored: reasons(&[
                ("no_flow", f.no_flow),
                ("copy", f.copies),
                ("retransmission", f.retransmitted),
                ("keep_alive", f.keep_alives),
                ("after_fin", f.after_fin),
            ]),
            shed: reasons(&[("budget", f.shed)]),
            pending: f.pending,
            ..Stage::default()
        });
        if self.quic.datagrams > 0 {
            let other = self.quic.datagrams - self.quic.followed;
            ledger.stage("datagram").add(&Stage {
                received: self.quic.datagrams,
                analysed: self.quic.followed,
                ignored: reasons(&[("no_quic_hello", other)]),
                ..Stage::default()
            });
        }
        ledger.stage("message").add(&Stage {
            received: h.messages,
            analysed: h.analysed,
            ignored: reasons(&[
                ("interim", h.interim),
                ("late", h.late),
                ("unresolved", h.unresolved),
            ]),
            malformed: reasons(&[
                ("http_head", h.malformed - h.huge_heads),
                ("http_head_too_large", h.huge_heads),
            ]),
            shed: reasons(&[("pipeline", h.shed)]),
            pending: h.pending,
        });
        let s = &h.sessions;
        ledger.stage("session").add(&Stage {
            received: s.messages,
            analysed: s.analysed,
            malformed: reasons(&[("frame", s.malformed)]),
            shed: reasons(&[("cut", s.cut)]),
            pending: s.pending,
            ..Stage::default()
        });
    }
}
