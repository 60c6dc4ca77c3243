//! The store's own thread: the only one that waits for the disk.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender};

use super::checkpoint::Checkpoints;
use super::journal::{Entry, Journal, Pending};
use crate::alert::Silence;
use crate::alert::delivery::DeadLetter;
use crate::catalog::{Decision, NamedView};

/// Alerts that share one fsync.
const GROUP: usize = 256;
/// Pause before a write that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Called on the store's thread; must not wait.
pub type Done<T> = Box<dyn FnOnce(Result<T, String>) + Send>;
pub type Found = Box<dyn FnOnce(Vec<Pending>) + Send>;

/// Told once a decision is on disk.
pub(super) type Decided = Box<dyn FnOnce(Decision) + Send>;

pub(super) enum Op {
    Record(Entry),
    Silence(Box<Silence>),
    View(NamedView),
    After(Box<dyn FnOnce() + Send>),
    Settled {
        sink: String,
        message: String,
        /// The reason, where it was not delivered.
        given_up: Option<String>,
    },
    Again {
        sink: String,
        message: String,
        by: String,
        done: Done<Pending>,
    },
    Waiting {
        sink: String,
        limit: usize,
        found: Found,
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
    pub(super) recorded: Box<dyn Fn(Pending) + Send>,
    pub(super) trouble: Arc<Mutex<Option<String>>>,
    pub(super) dead: Arc<ArcSwap<Vec<DeadLetter>>>,
    /// Held as long as the thread runs.
    pub(super) _lock: File,
}

impl Thread {
    pub(super) fn run(mut self, queue: &Receiver<Op>) {
        while let Ok(first) = queue.recv() {
            let mut group = vec![first];
            group.extend(queue.try_iter().take(GROUP));
            let mut entries = Vec::new();
            let mut closing = None;
            for op in group {
                match op {
                    Op::Record(entry) => entries.push(entry),
                    Op::Silence(silence) => {
                        let what = "a rule for silence";
                        self.insist(what, |journal| journal.silence(&silence));
                    }
                    Op::View(view) => {
                        self.insist("a view", |journal| journal.view(&view));
                    }
                    Op::After(done) => {
                        self.record(&mut entries);
                        done();
                    }
                    Op::Settled {
                        sink,
                        message,
                        given_up,
                    } => {
                        self.record(&mut entries);
                        self.settle(&sink, &message, given_up.as_deref());
                    }
                    Op::Again {
                        sink,
                        message,
                        by,
                        done,
                    } => {
                        let again = self.journal.again(&sink, &message, &by);
                        done(again.unwrap_or_else(|e| Err(e.to_string())));
                        self.show_dead();
                    }
                    Op::Waiting { sink, limit, found } => {
                        self.record(&mut entries);
                        let mut waiting = self.journal.pending();
                        waiting.retain(|p| p.sinks.contains(&sink));
                        waiting.truncate(limit);
                        found(waiting);
                    }
                    Op::Decide(decision, decided) => {
                        self.insist("a decision", |journal| journal.decide(&decision));
                        decided(decision);
                    }
                    Op::Checkpoint { catalog, detect } => {
                        let written = self.checkpoints.write(&catalog, &detect);
                        self.say(written.err());
                    }
                    Op::Close(done) => closing = Some(done),
                }
            }
            self.record(&mut entries);
            if let Some(done) = closing {
                self.checkpoints.flush();
                drop(self);
                let _ = done.send(());
                return;
            }
        }
    }

    /// On disk, then told. A full disk is waited for: an alert is never dropped.
    fn record(&mut self, entries: &mut Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let recorded = loop {
            match self.journal.record(entries) {
                Ok(recorded) => break recorded,
                Err(e) => {
                    tracing::error!(error = %e, "alerts cannot be written; trying again");
                    self.say(Some(format!("alerts cannot be written: {e}")));
                    std::thread::sleep(RETRY);
                }
            }
        };
        self.say(None);
        for (entry, pending) in entries.drain(..).zip(recorded) {
            let indexed = match &entry {
                Entry::Keep(alert) | Entry::Send(alert) => self.checkpoints.index(alert),
                Entry::Tell(_) => Ok(()),
            };
            if let Err(e) = indexed {
                tracing::warn!(error = %e, "the alert index was not updated");
            }
            (self.recorded)(pending);
        }
    }

    fn settle(&mut self, sink: &str, message: &str, given_up: Option<&str>) {
        if let Err(e) = self.journal.settle(sink, message, given_up) {
            // Forgotten at worst: the message is sent once more.
            self.say(Some(e.to_string()));
        }
        if given_up.is_some() {
            self.show_dead();
        }
    }

    fn show_dead(&self) {
        self.dead
            .store(Arc::new(self.journal.dead().cloned().collect()));
    }

    /// On disk, however long that takes.
    fn insist(&mut self, what: &str, write: impl Fn(&mut Journal) -> std::io::Result<()>) {
        while let Err(e) = write(&mut self.journal) {
            tracing::error!(error = %e, "{what} cannot be written; trying again");
            self.say(Some(format!("{what} cannot be written: {e}")));
            std::thread::sleep(RETRY);
        }
        self.say(None);
    }

    fn say(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}
