//! Sources joined to workers: on one thread, or spread over several.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::ledger::{Ledger, Stage};
use super::recorder::{Recorder, Wish};
use super::sights::Sights;
use super::worker::Status;
use super::{Record, Settings, TlsRecord};
use crate::capture::Source;
use crate::decode::{Datagram, Segment};
use crate::flow::FlowKey;
use crate::time::Timestamp;

mod inline;
mod source;
mod worker;

pub use inline::Inline;
pub use source::SourceStatus;
use source::{SourceThread, Spread};
use worker::WorkerThread;

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
            let thread = WorkerThread::new(index, settings.clone(), report.clone(), live);
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
        let running = Arc::new(AtomicUsize::new(sources.len()));
        for (index, source) in sources.into_iter().enumerate() {
            let spread = Spread::new(senders.clone(), source.live());
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
