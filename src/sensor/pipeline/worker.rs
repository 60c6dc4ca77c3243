//! A worker's thread: what comes by its queue goes through its flows, and what they gave is reported.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError};

use super::{BATCH, Item, Report, Work};
use crate::decode::{Datagram, Segment};
use crate::sensor::intake::Route;
use crate::sensor::sights::Sights;
use crate::sensor::worker::{Status, Worker};
use crate::sensor::{Record, Settings, TlsRecord};
use crate::time::Timestamp;

pub(super) struct WorkerThread {
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
    /// `live`: what the analysis has no room for is shed, and not waited for.
    pub(super) fn new(
        index: usize,
        settings: Settings,
        report: Sender<Report>,
        live: bool,
    ) -> Self {
        Self {
            index,
            settings,
            report,
            live,
            shed: 0,
            panics: 0,
            lost: Status::default(),
            lost_sights: Sights::default(),
            rescued: Vec::new(),
            rescued_flows: Vec::new(),
            shed_flows: (0, 0),
            busy: Duration::ZERO,
        }
    }

    pub(super) fn run(mut self, queue: &Receiver<Work>) {
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
