//! Sources joined to workers: on one thread, or spread over several.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::intake::{FrameCounters, Intake, Route};
use super::ledger::{Drops, Ledger, Stage};
use super::readings::{Readings, readings};
use super::recorder::{Recorder, Wish};
use super::sights::Sights;
use super::tap::{Frames, Networks, Segments};
use super::worker::{Status, Worker};
use super::{Merger, Record, Settings, TlsRecord};
use crate::capture::{Polled, Source, SourceError};
use crate::decode::{Datagram, Segment};
use crate::flow::FlowKey;
use crate::time::Timestamp;
use crate::tls::KeyStore;

/// Segments that cross to a worker at once.
const BATCH: usize = 256;
/// Batches that wait for a worker. With full-size segments some 100 MB at the very most.
pub const WORK_QUEUE: usize = 256;
/// Reports that wait for the analysis.
const REPORT_QUEUE: usize = 256;
/// How long a live source may be quiet before its clock is moved by hand.
const PATIENCE: Duration = Duration::from_millis(100);

/// How a source that was read to its end has ended.
pub const END_OF_INPUT: &str = "end of input";

/// Source, worker and order on the caller's thread: no copy, no channel.
pub struct Inline {
    intake: Intake,
    worker: Worker,
    merger: Merger,
    records: Vec<Record>,
    flows: Merger<TlsRecord>,
    drops: Drops,
    analysed: u64,
    keys: Arc<KeyStore>,
}

impl Inline {
    pub fn new(settings: &Settings) -> Self {
        let settings = Settings {
            workers: 1,
            ..settings.clone()
        };
        Self {
            intake: Intake::new(&settings),
            worker: Worker::new(0, &settings),
            merger: Merger::new(1),
            records: Vec::new(),
            flows: Merger::new(1),
            drops: Drops::default(),
            analysed: 0,
            keys: settings.keys,
        }
    }

    /// Reads one batch of frames.
    pub fn poll(&mut self, source: &mut dyn Source) -> Result<Polled, SourceError> {
        let (intake, worker) = (&mut self.intake, &mut self.worker);
        let polled = source.poll(PATIENCE, &mut |frame| intake.take(&frame, worker));
        self.drops = source.drops().into();
        take_secrets(source, &self.keys);
        polled
    }

    /// What the doctor looks at.
    pub fn readings(&self, source: &dyn Source) -> Readings {
        let status = SourceStatus {
            name: source.name().to_owned(),
            live: source.live(),
            frames: self.intake.counters(),
            drops: self.drops,
            ..SourceStatus::default()
        };
        let status = status.with_taps(&self.intake, source);
        readings(
            &[status],
            self.worker.sights(),
            self.status().http.exchanges,
        )
    }

    /// Completed records as they come, without the total order: for output alone.
    pub fn unordered(&mut self) -> std::vec::Drain<'_, Record> {
        self.worker.drain_into(&mut self.records);
        self.analysed += self.records.len() as u64;
        self.records.drain(..)
    }

    /// Records that are in order for good.
    pub fn ready(&mut self) -> Vec<Record> {
        self.worker.drain_into(&mut self.records);
        self.merger
            .add(0, &mut self.records, self.worker.watermark());
        let ready = self.merger.ready();
        self.analysed += ready.len() as u64;
        ready
    }

    /// Ends every flow; what is left follows through `unordered`, or is returned in order.
    pub fn finish(&mut self) -> Vec<Record> {
        self.intake.end();
        self.worker.finish(self.intake.now());
        self.worker.drain_into(&mut self.records);
        self.merger
            .add(0, &mut self.records, self.worker.watermark());
        let rest = self.merger.finish();
        self.analysed += rest.len() as u64;
        rest
    }

    /// Flows with TLS that are in order for good; to be asked for before `ready`, and after
    /// `finish` for the rest.
    pub fn ready_flows(&mut self) -> Vec<TlsRecord> {
        let mut flows = Vec::new();
        self.worker.drain_flows_into(&mut flows);
        self.flows.add(0, &mut flows, self.worker.watermark());
        self.flows.ready()
    }

    pub fn finish_flows(&mut self) -> Vec<TlsRecord> {
        let mut flows = Vec::new();
        self.worker.drain_flows_into(&mut flows);
        self.flows.add(0, &mut flows, self.worker.watermark());
        self.flows.finish()
    }

    pub fn now(&self) -> Timestamp {
        self.intake.now()
    }

    pub fn ledger(&self) -> Ledger {
        let status = self.worker.status();
        let pending = self.merger.pending() as u64 + self.records.len() as u64;
        let counts = Counts {
            status,
            analysed: self.analysed,
            pending,
            ..Counts::default()
        };
        counts.ledger(&[SourceStatus {
            frames: self.intake.counters(),
            drops: self.drops,
            ..SourceStatus::default()
        }])
    }

    pub fn status(&self) -> Status {
        self.worker.status()
    }

    pub fn frames(&self) -> FrameCounters {
        self.intake.counters()
    }
}

/// Keys that the source itself carries, for the packets that follow.
fn take_secrets(source: &mut dyn Source, keys: &KeyStore) {
    for text in source.secrets() {
        keys.load(&text);
    }
}

/// One source's counters, as its thread publishes them.
#[derive(Clone, Debug, Default)]
pub struct SourceStatus {
    pub name: String,
    pub live: bool,
    pub frames: FrameCounters,
    pub drops: Drops,
    /// Segments for which their worker had no room.
    pub shed: u64,
    pub now: Timestamp,
    /// Wall time of the last frame.
    pub last_frame: Timestamp,
    /// Why it ended, where it did.
    pub ended: Option<String>,
    /// Its interfaces by name.
    pub taps: Vec<(String, Frames)>,
    pub networks: Networks<Segments>,
}

impl SourceStatus {
    fn with_taps(mut self, intake: &Intake, source: &dyn Source) -> Self {
        let all = intake.taps();
        let name = |i: usize| {
            let name = source.interface(u16::try_from(i).unwrap_or(u16::MAX));
            // Of a file, the folder tells nothing.
            match name.rsplit_once('/') {
                Some((_, file)) if !self.live => file.to_owned(),
                _ => name,
            }
        };
        let taps = all.taps.iter().enumerate();
        self.taps = taps.map(|(i, frames)| (name(i), frames.clone())).collect();
        self.networks = all.networks.clone();
        self
    }
}

/// The consumer's side of the ledger.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub status: Status,
    /// Exchanges taken by the analysis.
    pub analysed: u64,
    /// Exchanges held back for order.
    pub pending: u64,
    /// Exchanges for which the analysis had no room.
    pub shed: u64,
}

impl Counts {
    pub fn ledger(&self, sources: &[SourceStatus]) -> Ledger {
        let mut ledger = Ledger::default();
        for source in sources {
            ledger.stage("frame").add(&source.frames.stage());
            ledger.dropped.kernel += source.drops.kernel;
            ledger.dropped.interface += source.drops.interface;
            if source.shed > 0 {
                let shed = [("worker_busy", source.shed)].into();
                ledger.stage("segment").add(&Stage {
                    received: source.shed,
                    shed,
                    ..Stage::default()
                });
            }
        }
        self.status.enter(&mut ledger);
        let shed = [("analysis_busy", self.shed)]
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .collect();
        // Session records take the same way.
        let received = self.status.http.exchanges + self.status.http.sessions.records;
        let own = [("own_traffic", self.status.own)];
        ledger.stage("exchange").add(&Stage {
            received,
            ignored: own.into_iter().filter(|(_, n)| *n > 0).collect(),
            analysed: self.analysed,
            pending: self.pending,
            shed,
            ..Stage::default()
        });
        ledger
    }
}

/// With an empty payload.
enum Item {
    Segment(Segment<'static>),
    Datagram(Datagram<'static>),
}

/// A segment or datagram on its way to a worker; its payload lies in the batch.
struct Parcel {
    item: Item,
    payload: Range<usize>,
    key: (FlowKey, bool),
    hash: u64,
    now: Timestamp,
}

#[derive(Default)]
struct Batch {
    parcels: Vec<Parcel>,
    bytes: Vec<u8>,
}

enum Work {
    Batch(Batch),
    Tick(Timestamp),
    Finish(Timestamp),
}

/// What a worker has done since its last report.
pub struct Report {
    pub worker: usize,
    pub records: Vec<Record>,
    pub watermark: Timestamp,
    pub flows: Vec<TlsRecord>,
    pub status: Status,
    pub sights: Sights,
    pub shed: u64,
    /// Flows with TLS, and their bytes, that found the channel full.
    pub shed_flows: (u64, u64),
    pub panics: u64,
    /// Batches that wait for it, of [`WORK_QUEUE`].
    pub queue: usize,
    /// How long it has worked so far, rather than waited.
    pub busy: Duration,
    /// Nothing more comes from this worker.
    pub finished: bool,
}

/// Worker threads, and one thread a source.
pub struct Pool {
    pub reports: Receiver<Report>,
    pub handle: PoolHandle,
    threads: Vec<JoinHandle<()>>,
}

/// What others may know of, and ask of, a running pool.
#[derive(Clone)]
pub struct PoolHandle {
    stop: Arc<AtomicBool>,
    sources: Arc<Mutex<Vec<SourceStatus>>>,
    recorders: Arc<[Sender<Wish>]>,
}

impl PoolHandle {
    /// Asks the sources to end; the workers finish what they have.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Asks every source for some of its last packets; none where nothing is recorded. A source that
    /// has too much to do already is passed over. How many were asked.
    pub fn wish(&self, wish: &Wish) -> usize {
        let asked = self.recorders.iter().map(|r| r.try_send(wish.clone()));
        asked.filter(Result::is_ok).count()
    }

    pub fn sources(&self) -> Vec<SourceStatus> {
        self.sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Pool {
    /// Starts everything. `observe` is called for each message of a source.
    pub fn start(sources: Vec<Box<dyn Source>>, settings: &Settings) -> Self {
        let live = sources.iter().any(|s| s.live());
        let (report, reports) = bounded(REPORT_QUEUE);
        let mut threads = Vec::new();
        let mut senders = Vec::new();
        for index in 0..settings.workers.max(1) {
            let (work, queue) = bounded(WORK_QUEUE);
            senders.push(work);
            let thread = WorkerThread {
                index,
                settings: settings.clone(),
                report: report.clone(),
                live,
                shed: 0,
                panics: 0,
                lost: Status::default(),
                lost_sights: Sights::default(),
                rescued: Vec::new(),
                rescued_flows: Vec::new(),
                shed_flows: (0, 0),
                busy: Duration::ZERO,
            };
            threads.push(std::thread::spawn(move || thread.run(&queue)));
        }
        let statuses = sources
            .iter()
            .map(|s| SourceStatus {
                name: s.name().to_owned(),
                live: s.live(),
                ..SourceStatus::default()
            })
            .collect();
        let made = sources.iter().map(|_| Recorder::new(settings));
        let (mut recorders, wishes): (Vec<_>, Vec<_>) = made
            .map(|made| {
                made.map_or((None, None), |(recorder, wish)| {
                    (Some(recorder), Some(wish))
                })
            })
            .unzip();
        let handle = PoolHandle {
            stop: Arc::default(),
            sources: Arc::new(Mutex::new(statuses)),
            recorders: wishes.into_iter().flatten().collect(),
        };
        let running = Arc::new(std::sync::atomic::AtomicUsize::new(sources.len()));
        for (index, source) in sources.into_iter().enumerate() {
            let spread = Spread {
                senders: senders.clone(),
                batches: Vec::new(),
                live: source.live(),
                shed: 0,
            };
            let thread = SourceThread {
                index,
                source,
                recorder: recorders[index].take(),
                spread,
                handle: handle.clone(),
                settings: settings.clone(),
            };
            let running = running.clone();
            threads.push(std::thread::spawn(move || thread.run(&running)));
        }
        Self {
            reports,
            handle,
            threads,
        }
    }

    /// Waits for all threads; call once every worker has reported `finished`.
    pub fn join(self) {
        for thread in self.threads {
            // A panic was reported by its own thread already.
            let _ = thread.join();
        }
    }
}

/// Batches segments for the workers' queues.
struct Spread {
    senders: Vec<Sender<Work>>,
    batches: Vec<Batch>,
    live: bool,
    shed: u64,
}

impl Spread {
    fn flush(&mut self) {
        for index in 0..self.batches.len() {
            self.send(index);
        }
    }

    fn add(&mut self, item: Item, payload: &[u8], key: (FlowKey, bool), hash: u64, now: Timestamp) {
        if self.batches.is_empty() {
            self.batches.resize_with(self.senders.len(), Batch::default);
        }
        let worker = Worker::owner(hash, self.senders.len());
        let batch = &mut self.batches[worker];
        let start = batch.bytes.len();
        batch.bytes.extend_from_slice(payload);
        batch.parcels.push(Parcel {
            item,
            payload: start..batch.bytes.len(),
            key,
            hash,
            now,
        });
        if batch.parcels.len() >= BATCH {
            self.send(worker);
        }
    }

    fn send(&mut self, index: usize) {
        let batch = std::mem::take(&mut self.batches[index]);
        if batch.parcels.is_empty() {
            return;
        }
        let count = batch.parcels.len() as u64;
        if !self.live {
            // A file waits; the other end is gone only when the program is ending.
            let _ = self.senders[index].send(Work::Batch(batch));
        } else if self.senders[index].try_send(Work::Batch(batch)).is_err() {
            self.shed += count;
        }
    }

    fn end(&mut self, now: Timestamp) {
        self.flush();
        for sender in &self.senders {
            let _ = sender.send(Work::Finish(now));
        }
    }
}

impl Route for Spread {
    fn segment(&mut self, segment: &Segment<'_>, key: (FlowKey, bool), hash: u64, now: Timestamp) {
        let item = Item::Segment(Segment {
            header: &[],
            payload: &[],
            ..*segment
        });
        self.add(item, segment.payload, key, hash, now);
    }

    fn datagram(
        &mut self,
        datagram: &Datagram<'_>,
        key: (FlowKey, bool),
        hash: u64,
        now: Timestamp,
    ) {
        let item = Item::Datagram(Datagram {
            payload: &[],
            ..*datagram
        });
        self.add(item, datagram.payload, key, hash, now);
    }

    fn tick(&mut self, now: Timestamp) {
        self.flush();
        for sender in &self.senders {
            if self.live {
                // A worker that is behind gets the next tick.
                let _ = sender.try_send(Work::Tick(now));
            } else {
                let _ = sender.send(Work::Tick(now));
            }
        }
    }
}

struct SourceThread {
    index: usize,
    source: Box<dyn Source>,
    recorder: Option<Recorder>,
    spread: Spread,
    handle: PoolHandle,
    settings: Settings,
}

impl SourceThread {
    fn run(mut self, running: &std::sync::atomic::AtomicUsize) {
        let mut intake = Intake::new(&self.settings).of_source(self.index);
        let mut ended = None;
        let mut published = SystemTime::UNIX_EPOCH;
        let mut last_frame = Timestamp::MIN;
        while !self.handle.stop.load(Ordering::Relaxed) {
            let (spread, recorder) = (&mut self.spread, &mut self.recorder);
            let polled = self.source.poll(PATIENCE, &mut |frame| {
                if let Some(recorder) = recorder {
                    recorder.keep(&frame);
                }
                intake.take(&frame, spread);
            });
            if let Some(recorder) = &mut self.recorder {
                recorder.serve(|index| self.source.interface(index));
            }
            take_secrets(self.source.as_mut(), &self.settings.keys);
            let wall = SystemTime::now();
            match polled {
                Ok(Polled::Frames) => last_frame = timestamp(wall),
                Ok(Polled::Idle) => intake.tick(timestamp(wall - PATIENCE), &mut self.spread),
                Ok(Polled::End) => break,
                Err(e) => ended = Some(e.reason),
            }
            if self.source.live() {
                self.spread.flush();
            }
            if wall
                .duration_since(published)
                .is_ok_and(|d| d >= Duration::from_millis(200))
            {
                published = wall;
                self.publish(&intake, last_frame, None);
            }
        }
        if let Some(mut recorder) = self.recorder.take() {
            recorder.end(|index| self.source.interface(index));
        }
        intake.end();
        let ended = ended.unwrap_or_else(|| END_OF_INPUT.to_owned());
        self.publish(&intake, last_frame, Some(ended));
        self.spread.flush();
        if running.fetch_sub(1, Ordering::AcqRel) == 1 {
            let last = self.handle.sources().iter().map(|s| s.now).max();
            self.spread.end(last.unwrap_or_else(|| intake.now()));
            self.publish(
                &intake,
                last_frame,
                self.handle.sources()[self.index].ended.clone(),
            );
        }
    }

    fn publish(&mut self, intake: &Intake, last_frame: Timestamp, ended: Option<String>) {
        let drops = self.source.drops();
        let taps = SourceStatus::default().with_taps(intake, self.source.as_ref());
        let mut all = self
            .handle
            .sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let status = &mut all[self.index];
        status.frames = intake.counters();
        status.drops = drops.into();
        (status.taps, status.networks) = (taps.taps, taps.networks);
        status.shed = self.spread.shed;
        status.now = intake.now();
        status.last_frame = last_frame;
        status.ended = ended;
    }
}

fn timestamp(wall: SystemTime) -> Timestamp {
    let since = wall
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

struct WorkerThread {
    index: usize,
    settings: Settings,
    report: Sender<Report>,
    live: bool,
    shed: u64,
    panics: u64,
    /// Counters of workers that panicked.
    lost: Status,
    lost_sights: Sights,
    /// What such a worker had completed.
    rescued: Vec<Record>,
    rescued_flows: Vec<TlsRecord>,
    shed_flows: (u64, u64),
    busy: Duration,
}

impl WorkerThread {
    fn run(mut self, queue: &Receiver<Work>) {
        let mut worker = Worker::new(self.index, &self.settings);
        while let Ok(work) = queue.recv() {
            // A panic is a bug, and one hostile flow must not end the watch over all others: the
            // shard's flows are given up, counted, and the worker starts anew.
            let began = Instant::now();
            let done = catch_unwind(AssertUnwindSafe(|| handle(&mut worker, work)));
            self.busy += began.elapsed();
            let step = done.unwrap_or_else(|_| {
                self.panics += 1;
                let mut status = worker.status();
                status.give_up();
                self.lost.add(&status);
                self.lost_sights.add(worker.sights());
                let mut broken =
                    std::mem::replace(&mut worker, Worker::new(self.index, &self.settings));
                broken.drain_flows_into(&mut self.rescued_flows);
                let (records, lost) = broken.abandon();
                self.rescued = records;
                self.shed += lost;
                Step::Report
            });
            match step {
                Step::Go => {}
                Step::Report => self.send(&mut worker, queue.len(), false),
                Step::End => {
                    self.send(&mut worker, 0, true);
                    return;
                }
            }
        }
    }

    fn send(&mut self, worker: &mut Worker, queue: usize, finished: bool) {
        let mut records = std::mem::take(&mut self.rescued);
        worker.drain_into(&mut records);
        let mut status = worker.status();
        status.add(&self.lost);
        let mut sights = worker.sights().clone();
        sights.add(&self.lost_sights);
        let count = records.len() as u64;
        let mut flows = std::mem::take(&mut self.rescued_flows);
        worker.drain_flows_into(&mut flows);
        let report = Report {
            worker: self.index,
            records,
            flows,
            watermark: if finished {
                Timestamp::MAX
            } else {
                worker.watermark()
            },
            status,
            sights,
            shed: self.shed,
            shed_flows: self.shed_flows,
            panics: self.panics,
            queue,
            busy: self.busy,
            finished,
        };
        if finished || !self.live {
            let _ = self.report.send(report);
        } else if let Err(TrySendError::Full(report)) = self.report.try_send(report) {
            self.shed += count;
            for record in &report.flows {
                self.shed_flows.0 += 1;
                self.shed_flows.1 += record.flow.bytes.iter().sum::<u64>();
            }
        }
    }
}

enum Step {
    Go,
    Report,
    End,
}

fn handle(worker: &mut Worker, work: Work) -> Step {
    match work {
        Work::Batch(batch) => {
            for p in &batch.parcels {
                let payload = &batch.bytes[p.payload.clone()];
                match p.item {
                    Item::Segment(segment) => {
                        let segment = Segment { payload, ..segment };
                        worker.segment(&segment, p.key, p.hash, p.now);
                    }
                    Item::Datagram(datagram) => {
                        let datagram = Datagram {
                            payload,
                            ..datagram
                        };
                        worker.datagram(&datagram, p.key, p.hash, p.now);
                    }
                }
            }
            if worker.waiting() >= BATCH {
                Step::Report
            } else {
                Step::Go
            }
        }
        Work::Tick(now) => {
            worker.tick(now);
            Step::Report
        }
        Work::Finish(now) => {
            worker.finish(now);
            Step::End
        }
    }
}
