//! The analysis thread: the single writer of inventory, baselines and alerts. Takes the workers'
//! reports in one total order, and everybody else's wishes between them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, select, unbounded};

use super::decisions::Decisions;
use super::evidence::Evidence;
use super::gauges::Gauges;
use super::named_views::NamedViews;
use super::specs::Reading;
use super::traffic::Traffic;
use super::uploads::Uploads;
use super::watch::{Trouble, Watch};
use crate::alert::delivery::{DeliveriesView, Sink};
use crate::alert::{Alert, Silence};
use crate::analysis::Analysis;
use crate::catalog::{Decision, NamedView};
use crate::detect::Severity;
use crate::exchange::write_line;
use crate::sensor::doctor::{self, Symptom};
use crate::sensor::{
    self, Counts, Either, Merger, Pool, Readings, Record, Report, Sights, SourceStatus, Stage,
    Status, TlsRecord, interleave,
};
use crate::store::{Pending, Store};
use crate::time::Timestamp;
use crate::web::{Command, Known, Live, Queue, Reply, SensorView, SourceView, Upkeep, Views};

/// How often readers get new views.
const PUBLISH: Duration = Duration::from_secs(1);
/// How often principals are listed: it takes a walk over all of them.
const LIST: Duration = Duration::from_secs(10);
/// How long workers may take to finish once told.
const DRAIN: Duration = Duration::from_secs(2);
/// How long the end waits for another answer.
const ANSWERS: Duration = Duration::from_millis(100);

type Answer = Box<dyn FnOnce() + Send>;

/// Known automation, for readers.
pub(super) fn automation(analysis: &Analysis) -> Vec<Known> {
    let known = |(automation, endpoint)| Known {
        automation,
        endpoint,
    };
    analysis.automation().into_iter().map(known).collect()
}

pub(super) enum Message {
    Command(Command),
    Specs(Box<Reading>),
    /// Nothing but a sign of life.
    Ping,
    Stop,
}

pub(super) struct Analyst {
    analysis: Analysis,
    pool: Pool,
    store: Store,
    views: Arc<Views>,
    sinks: Arc<Vec<Sink>>,
    decisions: Decisions,
    uploads: Uploads,
    named_views: NamedViews,
    /// Answers to people whose changes are on disk now.
    answers: (Sender<Answer>, Receiver<Answer>),
    merger: Merger,
    flows: Merger<TlsRecord>,
    traffic: Traffic,
    workers: Vec<(Status, u64, u64)>,
    sights: Vec<Sights>,
    gauges: Gauges,
    doctor: Watch,
    symptoms: Vec<Symptom>,
    finished: usize,
    analysed: u64,
    /// Requests by the class of their answer.
    classes: [u64; 6],
    /// Alerts handed to the store and not on disk yet.
    in_flight: u64,
    started: Timestamp,
    published: Instant,
    /// When principals were listed last.
    listed: Option<Instant>,
    checkpointed: Instant,
    checkpoint_every: Duration,
    last_count: u64,
    known_panics: u64,
    /// Dead letters by sink, as they were told of.
    known_dead: BTreeMap<String, u64>,
    trouble: bool,
    /// Every exchange as a line, where the config asks for it.
    lines: Option<BufWriter<File>>,
    evidence: Option<Evidence>,
}

impl Analyst {
    pub(super) fn new(
        (analysis, decisions, uploads): (Analysis, Vec<Decision>, Uploads),
        pool: Pool,
        store: Store,
        views: Arc<Views>,
        sinks: Arc<Vec<Sink>>,
        workers: usize,
        checkpoint_every: Duration,
    ) -> Self {
        let now = Instant::now();
        Self {
            analysis,
            pool,
            store,
            views,
            sinks,
            decisions: Decisions::new(decisions),
            uploads,
            named_views: NamedViews::default(),
            answers: unbounded(),
            merger: Merger::new(workers),
            flows: Merger::new(workers),
            traffic: Traffic::new(workers),
            workers: vec![(Status::default(), 0, 0); workers],
            sights: vec![Sights::default(); workers],
            gauges: Gauges::new(workers),
            doctor: Watch::default(),
            symptoms: Vec::new(),
            finished: 0,
            analysed: 0,
            classes: [0; 6],
            in_flight: 0,
            started: wall(),
            published: now,
            listed: None,
            checkpointed: now,
            checkpoint_every,
            last_count: 0,
            known_panics: 0,
            known_dead: BTreeMap::new(),
            trouble: false,
            lines: None,
            evidence: None,
        }
    }

    /// Has the packets of alerts saved.
    pub(super) fn with_evidence(mut self, evidence: Option<Evidence>) -> Self {
        self.evidence = evidence;
        self
    }

    /// Begins with the views that people saved.
    pub(super) fn with_named_views(mut self, recovered: Vec<NamedView>) -> Self {
        self.named_views = NamedViews::new(recovered);
        self
    }

    /// What the sensor may hold at most: flows, and bytes for reassembly.
    pub(super) fn with_budgets(mut self, max_flows: u64, max_buffered: u64) -> Self {
        self.gauges.limits = (max_flows, max_buffered);
        self
    }

    /// Appends every exchange to this file, too.
    pub(super) fn with_lines(mut self, file: File) -> Self {
        self.lines = Some(BufWriter::new(file));
        self
    }

    pub(super) fn run(
        mut self,
        specs: Reading,
        notices: Vec<String>,
        inbox: &Receiver<Message>,
        on_disk: &Receiver<Arc<Pending>>,
    ) {
        let mut raised = Vec::new();
        self.take_specs(specs, &mut raised);
        for notice in notices {
            raised.extend(self.analysis.alerts.raise_sensor(
                notice,
                Vec::new(),
                Severity::High,
                self.started,
            ));
        }
        self.record(&mut raised);
        self.publish();
        self.publish_decisions();
        self.named_views.show(&self.views);
        self.views
            .ready
            .store(true, std::sync::atomic::Ordering::Relaxed);
        let reports = self.pool.reports.clone();
        let decided = self.decisions.on_disk.clone();
        let uploaded = self.uploads.on_disk.clone();
        let answers = self.answers.1.clone();
        let mut stopping: Option<Instant> = None;
        loop {
            select! {
                recv(reports) -> report => match report {
                    Ok(report) => self.take(report, &mut raised),
                    Err(_) => break,
                },
                recv(on_disk) -> pending => if let Ok(pending) = pending {
                    self.recorded(pending);
                },
                recv(answers) -> answer => if let Ok(answer) = answer {
                    self.views.alerts.store(self.analysis.alerts.view());
                    answer();
                },
                recv(decided) -> decision => if let Ok(decision) = decision {
                    self.decided(decision, &mut raised);
                },
                recv(uploaded) -> written => if let Ok(written) = written {
                    self.uploads.written(written, &self.views);
                },
                recv(inbox) -> message => match message {
                    Ok(Message::Stop) | Err(_) => {
                        self.pool.handle.stop();
                        stopping.get_or_insert_with(Instant::now);
                    }
                    Ok(message) => self.hear(message, &mut raised),
                },
                default(Duration::from_millis(200)) => {}
            }
            self.record(&mut raised);
            if self.published.elapsed() >= PUBLISH {
                self.watch(&mut raised);
                self.record(&mut raised);
                self.publish();
            }
            if self.checkpointed.elapsed() >= self.checkpoint_every {
                self.checkpoint();
            }
            let all_done = self.finished == self.workers.len() && stopping.is_some();
            if all_done || stopping.is_some_and(|since| since.elapsed() >= DRAIN) {
                break;
            }
        }
        self.end(on_disk, &mut raised);
    }

    /// What is left in the merger, the last alerts, the last checkpoint.
    fn end(&mut self, on_disk: &Receiver<Arc<Pending>>, raised: &mut Vec<Alert>) {
        let rest = self.merger.finish();
        let flows = self.flows.finish();
        self.apply(rest, flows, raised);
        self.record(raised);
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.in_flight > 0 {
            match on_disk.recv_deadline(deadline) {
                Ok(pending) => self.recorded(pending),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        // Changes that are on disk by now: each answer puts its line into the audit.
        while let Ok(answer) = self.answers.1.recv_timeout(ANSWERS) {
            answer();
        }
        self.checkpoint();
        self.publish();
    }

    fn take(&mut self, mut report: Report, raised: &mut Vec<Alert>) {
        self.workers[report.worker] = (report.status, report.shed, report.panics);
        self.sights[report.worker] = std::mem::take(&mut report.sights);
        self.gauges.report(&report);
        self.finished += usize::from(report.finished);
        self.merger
            .add(report.worker, &mut report.records, report.watermark);
        self.flows
            .add(report.worker, &mut report.flows, report.watermark);
        let (clear, lost) = self.traffic.since(&report);
        self.analysis.catalog.add_traffic(clear, lost);
        let ready = self.merger.ready();
        let flows = self.flows.ready();
        self.apply(ready, flows, raised);
        let now = self.merger.watermark();
        if now > Timestamp::MIN && now < Timestamp::MAX {
            self.analysis.advance(now, raised);
        }
    }

    fn apply(&mut self, records: Vec<Record>, flows: Vec<TlsRecord>, raised: &mut Vec<Alert>) {
        let mut text = Vec::new();
        for either in interleave(records, flows) {
            let record = match either {
                Either::Exchange(record) => record,
                Either::Tls(flow) => {
                    self.analysis.apply_tls(flow.order.at, &flow.flow, raised);
                    continue;
                }
            };
            self.analysed += 1;
            if record.exchange.session.is_none() {
                self.classes[record.exchange.status_class()] += 1;
            }
            self.gauges.exchange(&record.exchange);
            if self.lines.is_some() {
                write_line(&record.exchange, &mut text);
            }
            self.analysis
                .apply(record.order.at, &record.exchange, raised);
        }
        let written = self.lines.as_mut().map_or(Ok(()), |out| {
            out.write_all(&text).and_then(|()| out.flush())
        });
        if let Err(e) = written {
            tracing::error!("exchanges are no longer written: {e}");
            self.lines = None;
        }
    }

    /// An alert is on disk: it may be shown and sent.
    fn recorded(&mut self, pending: Arc<Pending>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight == 0 {
            self.views.alerts.store(self.analysis.alerts.view());
        }
        for sink in self.sinks.iter() {
            if pending.sinks.contains(sink.name()) {
                sink.send(pending.clone());
            }
        }
        // Nobody listening is fine.
        let alert = Arc::new(pending.alert.clone());
        let _ = self.views.live.send(Live::Alert(alert));
    }

    fn hear(&mut self, message: Message, raised: &mut Vec<Alert>) {
        match message {
            Message::Command(Command::SetAlertStatus { id, wanted, reply }) => {
                let changed = self.analysis.alerts.set_status(&id, &wanted);
                self.analysis.judged();
                raised.extend(changed.as_ref().ok().cloned());
                self.answer(raised, move || reply.send(changed));
            }
            Message::Command(Command::SetIncidentStatus { id, wanted, reply }) => {
                let changed = self.analysis.alerts.set_incident(&id, &wanted, raised);
                self.analysis.judged();
                self.answer(raised, move || reply.send(changed));
            }
            Message::Command(Command::Act { act, reply }) => {
                let acted = self.analysis.alerts.act(&act, raised);
                self.analysis.judged();
                let done = acted.about();
                self.answer(raised, move || reply.done(acted, done.as_deref()));
            }
            Message::Command(Command::Silence { wanted, reply }) => {
                let made = self.analysis.alerts.silence(*wanted);
                self.keep_silence(&made, raised, reply);
            }
            Message::Command(Command::EndSilence { id, by, reply }) => {
                let ended = self.analysis.alerts.end_silence(&id, &by, wall());
                self.keep_silence(&ended, raised, reply);
            }
            Message::Command(Command::Resend {
                sink,
                message,
                by,
                reply,
            }) => {
                let sinks = self.sinks.clone();
                let answers = self.answers.0.clone();
                let done = Box::new(move |again: Result<Pending, String>| {
                    let done = again.map(|pending| {
                        let pending = Arc::new(pending);
                        for sink in sinks.iter().filter(|s| pending.sinks.contains(s.name())) {
                            sink.send(pending.clone());
                            sink.wake();
                        }
                    });
                    let say: Answer = Box::new(move || reply.send(done));
                    let _ = answers.send(say);
                });
                self.store.again(sink, message, by, done);
            }
            Message::Command(Command::TestSink { sink, reply }) => {
                match self.sinks.iter().find(|s| s.name() == sink) {
                    Some(sink) => sink.test(move |done| reply.send(done)),
                    None => reply.send(Err(format!("there is no sink `{sink}`"))),
                }
            }
            Message::Command(Command::Decide {
                what,
                by,
                note,
                reply,
            }) => {
                let at = (&self.analysis.catalog, &self.store);
                self.decisions.ask(at, &what, (by, note), reply);
            }
            Message::Command(Command::Foresee { pin, reply }) => {
                let (key, word) = (&pin.key, pin.word.as_deref());
                let seen = self
                    .analysis
                    .catalog
                    .foresee(pin.action, key, pin.part, word);
                reply.send(seen);
            }
            Message::Command(Command::PutSpec { wanted, by, reply }) => {
                self.uploads.put(&self.store, *wanted, by, reply);
            }
            Message::Command(Command::RemoveSpec {
                id,
                by,
                note,
                reply,
            }) => self.uploads.remove(&self.store, &id, (by, note), reply),
            Message::Command(Command::Account { change, reply }) => {
                let answers = self.answers.0.clone();
                let done = Box::new(move |done| {
                    let say: Answer = Box::new(move || reply.send(done));
                    let _ = answers.send(say);
                });
                self.store.account(change, done);
            }
            Message::Command(Command::Note { reply, .. }) => reply.send(Ok(())),
            Message::Command(Command::Principal { id, reply }) => {
                let found = self.analysis.principal(&id).map(Box::new);
                reply.send(Ok(found));
            }
            Message::Specs(reading) => self.take_specs(*reading, raised),
            Message::Command(Command::SaveView {
                name,
                query,
                by,
                reply,
            }) => {
                let at = (&self.store, &self.views);
                self.named_views.save(at, (name, query), by, reply);
            }
            Message::Command(Command::RemoveView { id, by, reply }) => {
                let at = (&self.store, &self.views);
                self.named_views.remove(at, id, by, reply);
            }
            Message::Ping | Message::Stop => {}
        }
    }

    /// The documents were read: the inventory is judged by them, then whoever changed them is told.
    fn take_specs(&mut self, mut reading: Reading, raised: &mut Vec<Alert>) {
        let set = std::mem::take(&mut reading.set);
        self.analysis.set_specs(set, raised);
        self.record(raised);
        self.views.catalog.store(self.analysis.view());
        self.uploads.was_read(&reading, &self.views);
    }

    /// A decision is on disk: it holds, and whoever asked may be told.
    fn decided(&mut self, decision: Decision, raised: &mut Vec<Alert>) {
        let (decision, reply) = self.decisions.apply(decision);
        self.analysis.decide(&decision, raised);
        self.record(raised);
        self.views.catalog.store(self.analysis.view());
        self.publish_decisions();
        if let Some(reply) = reply {
            let done = decision.about();
            reply.done(decision, Some(&done));
        }
    }

    fn keep_silence(
        &mut self,
        done: &Result<Silence, String>,
        raised: &mut Vec<Alert>,
        reply: Reply<Silence>,
    ) {
        if let Ok(silence) = done {
            self.store.silence(silence.clone());
        }
        let done = done.clone();
        self.answer(raised, move || reply.send(done));
    }

    /// Says how a change went, once it is on disk and shown.
    fn answer(&mut self, raised: &mut Vec<Alert>, say: impl FnOnce() + Send + 'static) {
        self.record(raised);
        let answers = self.answers.0.clone();
        let say: Answer = Box::new(say);
        // The analysis thread may have ended by then; the change is safe.
        self.store.after(Box::new(move || drop(answers.send(say))));
    }

    fn publish_decisions(&self) {
        let view = self.decisions.view(&self.analysis);
        self.views.decisions.store(view);
    }

    fn record(&mut self, raised: &mut Vec<Alert>) {
        for alert in raised.drain(..) {
            self.in_flight += 1;
            if let Some(evidence) = &self.evidence {
                evidence.take(&alert);
            }
            self.store.record(alert);
        }
        for silence in self.analysis.alerts.ended_silences() {
            tracing::info!(rule = %silence.id, reason = ?silence.reason, silenced = silence.silenced, "a rule for silence is over");
            self.store.silence(silence);
        }
        for notice in self.analysis.alerts.notices() {
            self.in_flight += 1;
            self.store.tell(notice);
        }
    }

    /// A dead or lossy span port must page someone.
    fn watch(&mut self, raised: &mut Vec<Alert>) {
        let sources = self.pool.handle.sources();
        let now = wall();
        let readings = self.readings(&sources);
        let (symptoms, troubles) = self.doctor.look(now, &sources, &readings);
        self.analysis.catalog.set_tap_loss(doctor::loss(&symptoms));
        self.symptoms = symptoms;
        for Trouble {
            summary,
            why,
            severity,
        } in troubles
        {
            tracing::warn!("{summary}: {}", why.join("; "));
            raised.extend(
                self.analysis
                    .alerts
                    .raise_sensor(summary, why, severity, now),
            );
        }
        let mut say = |summary: String, why: &str, severity| {
            raised.extend(self.analysis.alerts.raise_sensor(
                summary,
                vec![why.to_owned()],
                severity,
                now,
            ));
        };
        for source in sources.iter().filter(|s| s.live) {
            if let Some(ended) = &source.ended {
                say(
                    format!("capture on {} has ended", source.name),
                    ended,
                    Severity::High,
                );
            }
        }
        let panics: u64 = self.workers.iter().map(|w| w.2).sum();
        if panics > self.known_panics {
            self.known_panics = panics;
            say(
                "a worker met a bug and was restarted".into(),
                "its flows are counted as shed; please report it",
                Severity::High,
            );
        }
        // Told to the other sinks, and shown: a silent pager is no quiet network.
        for sink in self.sinks.iter() {
            let view = sink.view();
            let given_up = format!("alerts for the sink `{}` were given up", view.name);
            if view.dead > self.known_dead.get(&view.name).copied().unwrap_or_default() {
                let why = view
                    .last_error
                    .as_deref()
                    .unwrap_or("see the page of deliveries");
                say(given_up, why, Severity::High);
                self.known_dead.insert(view.name.clone(), view.dead);
            }
        }
        let trouble = self.store.trouble();
        if let Some(why) = trouble.as_deref().filter(|_| !self.trouble) {
            say("the store cannot write".into(), why, Severity::Critical);
        }
        self.trouble = trouble.is_some();
    }

    fn readings(&self, sources: &[SourceStatus]) -> Readings {
        let (mut sights, mut exchanges) = (Sights::default(), 0);
        for (mine, (status, ..)) in self.sights.iter().zip(&self.workers) {
            sights.add(mine);
            exchanges += status.http.exchanges;
        }
        sensor::readings(sources, &sights, exchanges)
    }

    fn publish(&mut self) {
        self.published = Instant::now();
        let mut status = Status::default();
        let mut shed = 0;
        for (worker, lost, _) in &self.workers {
            status.add(worker);
            shed += lost;
        }
        let counts = Counts {
            status,
            analysed: self.analysed,
            pending: self.merger.pending() as u64,
            shed,
        };
        let sources = self.pool.handle.sources();
        let mut ledger = counts.ledger(&sources);
        let alerts = self.analysis.alerts.counts();
        let stage = Stage {
            received: alerts.raised,
            analysed: alerts.opened + alerts.revised,
            ignored: alerts
                .ignored()
                .into_iter()
                .filter(|(_, n)| *n > 0)
                .collect(),
            ..Stage::default()
        };
        *ledger.stage("alert") = stage;
        let exchanges = status.http.exchanges;
        let beats = self.gauges.beat(wall(), &status, (&sources, shed));
        let view = SensorView {
            load: self.gauges.workers(&self.workers),
            protocols: self.gauges.protocols(),
            gaps: status.flow.gaps,
            gap_bytes: status.flow.gap_bytes,
            budgets: self.gauges.budgets(&status, &self.analysis),
            seconds: beats.0,
            minutes: beats.1,
            ledger,
            sources: sources.iter().map(source_view).collect(),
            readings: self.readings(&sources),
            symptoms: self.symptoms.clone(),
            workers: self.workers.len(),
            remarks: status.remarks(),
            tls: status.tls.named().to_vec(),
            flows: status.flows,
            flows_evicted: status.flow.flows_evicted,
            buffered_bytes: status.buffered,
            exchanges,
            exchanges_per_second: exchanges.saturating_sub(self.last_count) as f64
                / PUBLISH.as_secs_f64(),
            answers: self.classes,
            upkeep: self.upkeep(),
            at: sources
                .iter()
                .map(|s| s.now)
                .max()
                .unwrap_or(Timestamp::MIN),
            last_frame_wall: sources
                .iter()
                .map(|s| s.last_frame)
                .max()
                .unwrap_or(Timestamp::MIN),
            started_wall: self.started,
        };
        self.last_count = exchanges;
        self.views.sensor.store(Arc::new(view));
        self.views.catalog.store(self.analysis.view());
        if let Some(bands) = self.analysis.bands() {
            self.views.bands.store(bands);
        }
        self.views
            .automation
            .store(Arc::new(automation(&self.analysis)));
        if self.listed.is_none_or(|at| at.elapsed() >= LIST) {
            self.listed = Some(self.published);
            let principals = self.analysis.principals();
            self.views.principals.store(Arc::new(principals));
        }
        self.views.deliveries.store(Arc::new(self.deliveries()));
        if self.in_flight == 0 {
            self.views.alerts.store(self.analysis.alerts.view());
        }
        let _ = self.views.live.send(Live::Sensor);
        let _ = self.views.live.send(Live::Inventory);
    }

    fn upkeep(&self) -> Upkeep {
        let reports = &self.pool.reports;
        let (waiting, room) = self.store.queue();
        let queue = |name, waiting, room| Queue {
            name,
            waiting,
            room,
        };
        let usage = self.store.usage();
        Upkeep {
            queues: vec![
                queue("reports", reports.len(), reports.capacity().unwrap_or(0)),
                queue("store", waiting, room),
            ],
            panics: self.known_panics,
            store_trouble: self.store.trouble(),
            journal_bytes: usage.journal,
            checkpoint_bytes: usage.checkpoints,
        }
    }

    fn deliveries(&self) -> DeliveriesView {
        DeliveriesView {
            sinks: self
                .sinks
                .iter()
                .map(|sink| sink.view().as_ref().clone())
                .collect(),
            sent: self.store.sent(),
            dead: self.store.dead_letters(),
        }
    }

    fn checkpoint(&mut self) {
        self.checkpointed = Instant::now();
        self.store
            .checkpoint(self.analysis.catalog.save(), self.analysis.detect.save());
    }
}

fn source_view(s: &SourceStatus) -> SourceView {
    SourceView {
        name: s.name.clone(),
        live: s.live,
        frames: s.frames.frames,
        bytes: s.frames.bytes,
        kernel_drops: s.drops.kernel,
        interface_drops: s.drops.interface,
        ended: s.ended.clone(),
    }
}

pub(super) fn wall() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
