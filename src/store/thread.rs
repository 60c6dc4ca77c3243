//! The store's own thread: the only one that waits for the disk.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::checkpoint::Checkpoints;
use super::journal::Journal;
use crate::alert::Alert;
use crate::catalog::Decision;

/// Alerts that share one fsync.
const GROUP: usize = 256;
/// Pause before a write that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Told once a decision is on disk.
pub(super) type Decided = Box<dyn FnOnce(Decision) + Send>;

pub(super) enum Op {
    Record(Box<Alert>),
    Settled {
        sink: String,
        message: String,
        dead: bool,
    },
    Decide(Decision, Decided),
    Checkpoint {
        catalog: Vec<u8>,
        detect: Vec<u8>,
    },
    Close(Sender<()>),
}

pub(super) struct Thread {
    pub(super) journal: Journal,
    pub(super) checkpoints: Checkpoints,
    pub(super) recorded: Box<dyn Fn(Alert) + Send>,
    pub(super) trouble: Arc<Mutex<Option<String>>>,
    /// Held as long as the thread runs.
    pub(super) _lock: File,
}

impl Thread {
    pub(super) fn run(mut self, queue: &Receiver<Op>) {
        while let Ok(first) = queue.recv() {
            let mut group = vec![first];
            group.extend(queue.try_iter().take(GROUP));
            let mut alerts = Vec::new();
            let mut closing = None;
            for op in group {
                match op {
                    Op::Record(alert) => alerts.push(*alert),
                    Op::Settled {
                        sink,
                        message,
                        dead,
                    } => {
                        self.record(&mut alerts);
                        if let Err(e) = self.journal.settle(&sink, &message, dead) {
                            // Forgotten at worst: the message is sent once more.
                            self.say(Some(e.to_string()));
                        }
                    }
                    Op::Decide(decision, decided) => {
                        self.decide(&decision);
                        decided(decision);
                    }
                    Op::Checkpoint { catalog, detect } => {
                        let written = self.checkpoints.write(&catalog, &detect);
                        self.say(written.err());
                    }
                    Op::Close(done) => closing = Some(done),
                }
            }
            self.record(&mut alerts);
            if let Some(done) = closing {
                self.checkpoints.flush();
                drop(self);
                let _ = done.send(());
                return;
            }
        }
    }

    /// On disk, then told. A full disk is waited for: an alert is never dropped.
    fn record(&mut self, alerts: &mut Vec<Alert>) {
        if alerts.is_empty() {
            return;
        }
        while let Err(e) = self.journal.record(alerts) {
            tracing::error!(error = %e, "alerts cannot be written; trying again");
            self.say(Some(format!("alerts cannot be written: {e}")));
            std::thread::sleep(RETRY);
        }
        self.say(None);
        for alert in alerts.drain(..) {
            if let Err(e) = self.checkpoints.index(&alert) {
                tracing::warn!(error = %e, "the alert index was not updated");
            }
            (self.recorded)(alert);
        }
    }

    /// On disk, however long that takes.
    fn decide(&mut self, decision: &Decision) {
        while let Err(e) = self.journal.decide(decision) {
            tracing::error!(error = %e, "a decision cannot be written; trying again");
            self.say(Some(format!("a decision cannot be written: {e}")));
            std::thread::sleep(RETRY);
        }
        self.say(None);
    }

    fn say(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}
