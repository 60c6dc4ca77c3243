//! A source's thread: frames to segments, and those in batches to the workers' queues.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use crossbeam_channel::Sender;

use super::{BATCH, Batch, END_OF_INPUT, Item, PATIENCE, Parcel, PoolHandle, Work};
use crate::capture::{Polled, Source};
use crate::decode::{Datagram, Segment};
use crate::flow::FlowKey;
use crate::sensor::Settings;
use crate::sensor::intake::{FrameCounters, Intake, Route};
use crate::sensor::ledger::Drops;
use crate::sensor::recorder::Recorder;
use crate::sensor::tap::{Frames, Networks, Segments};
use crate::sensor::worker::Worker;
use crate::time::Timestamp;
use crate::tls::KeyStore;

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
    pub(super) fn with_taps(mut self, intake: &Intake, source: &dyn Source) -> Self {
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

/// Keys that the source itself carries, for the packets that follow.
pub(super) fn take_secrets(source: &mut dyn Source, keys: &KeyStore) {
    for text in source.secrets() {
        keys.load(&text);
    }
}

/// Batches segments for the workers' queues.
pub(super) struct Spread {
    senders: Vec<Sender<Work>>,
    batches: Vec<Batch>,
    live: bool,
    shed: u64,
}

impl Spread {
    pub(super) fn new(senders: Vec<Sender<Work>>, live: bool) -> Self {
        Self {
            senders,
            batches: Vec::new(),
            live,
            shed: 0,
        }
    }

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

pub(super) struct SourceThread {
    pub(super) index: usize,
    pub(super) source: Box<dyn Source>,
    pub(super) recorder: Option<Recorder>,
    pub(super) spread: Spread,
    pub(super) handle: PoolHandle,
    pub(super) settings: Settings,
}

impl SourceThread {
    pub(super) fn run(mut self, running: &AtomicUsize) {
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
