//! The pipeline on one thread: for files, tests and fuzzing.

use std::sync::Arc;

use super::source::{SourceStatus, take_secrets};
use super::{Counts, PATIENCE};
use crate::capture::{Polled, Source, SourceError};
use crate::sensor::intake::{FrameCounters, Intake};
use crate::sensor::ledger::{Drops, Ledger};
use crate::sensor::readings::{Readings, readings};
use crate::sensor::worker::{Status, Worker};
use crate::sensor::{Merger, Record, Settings, TlsRecord};
use crate::time::Timestamp;
use crate::tls::KeyStore;

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
