//! The store's own thread: the only one that waits for the disk.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::accounts::{AccountsFile, Mark};
use super::checkpoint::Checkpoints;
use super::journal::{Entry, Journal, Pending};
use super::specs::Files;
use crate::access::{Accounts, AuditView, Change, Record};
use crate::alert::Silence;
use crate::alert::delivery::{DeadLetter, Sent};
use crate::alert::wall;
use crate::catalog::{Decision, NamedView, SpecChange, uploads};

/// Alerts that share one fsync.
const GROUP: usize = 256;
/// Pause before a write that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How often the file of accounts is looked at: so long a token that was revoked on the command
/// line still opens.
const LOOK: Duration = Duration::from_secs(1);

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
    Spec {
        change: Box<SpecChange>,
        text: Option<Arc<str>>,
        done: Done<SpecChange>,
    },
    Audit(Box<Record>, Box<dyn FnOnce() + Send>),
    Account(Change, Done<()>),
    Checkpoint {
        catalog: Vec<u8>,
        detect: Vec<u8>,
    },
    Close(Sender<()>),
}

pub(super) struct Thread {
    pub(super) journal: Journal,
    pub(super) checkpoints: Checkpoints,
    pub(super) specs: Files,
    pub(super) recorded: Box<dyn Fn(Pending) + Send>,
    pub(super) trouble: Arc<Mutex<Option<String>>>,
    pub(super) dead: Arc<ArcSwap<Vec<DeadLetter>>>,
    pub(super) sent: Arc<ArcSwap<Sent>>,
    pub(super) audit: Arc<ArcSwap<AuditView>>,
    pub(super) accounts: Followed,
    /// Held as long as the thread runs.
    pub(super) _lock: File,
}

/// The file of accounts, and what readers have of it.
pub(super) struct Followed {
    file: AccountsFile,
    shown: Arc<ArcSwap<Accounts>>,
    /// Of the file as it was looked at last.
    mark: Option<Mark>,
    looked: Option<Instant>,
}

impl Followed {
    pub(super) fn new(file: AccountsFile, shown: Arc<ArcSwap<Accounts>>) -> Self {
        Self {
            file,
            shown,
            mark: None,
            looked: None,
        }
    }

    fn is_due(&self) -> bool {
        self.looked.is_none_or(|at| at.elapsed() >= LOOK)
    }
}

impl Thread {
    pub(super) fn run(mut self, queue: &Receiver<Op>) {
        loop {
            let mut group = match queue.recv_timeout(LOOK) {
                Ok(first) => vec![first],
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if self.accounts.is_due() {
                self.look_at_accounts();
            }
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
                    Op::Spec { change, text, done } => done(self.spec(*change, text.as_deref())),
                    Op::Audit(record, done) => {
                        self.audit(*record);
                        done();
                    }
                    Op::Account(change, done) => done(self.account(change)),
                    Op::Checkpoint { catalog, detect } => {
                        let written = self.checkpoints.write(&catalog, &detect);
                        self.say(written.err());
                    }
                    Op::Close(done) => closing = Some(done),
                }
            }
            self.record(&mut entries);
            if let Some(sent) = self.journal.sent() {
                self.sent.store(sent);
            }
            if let Some(done) = closing {
                self.checkpoints.flush();
                drop(self);
                let _ = done.send(());
                return;
            }
        }
    }

    /// The text first, then the journal: what the journal names is there. A person waits, and is
    /// told of a disk that fails.
    fn spec(&mut self, change: SpecChange, text: Option<&str>) -> Result<SpecChange, String> {
        if let (Some(version), Some(text)) = (&change.version, text) {
            let written = self.specs.write(&version.file, text);
            written.map_err(|e| format!("the document cannot be written: {e}"))?;
        }
        // What is not named by now is swept away at the next start.
        let journaled = self.journal.spec(&change);
        journaled.map_err(|e| format!("the journal cannot be written: {e}"))?;
        self.specs.keep(&uploads(self.journal.specs()));
        Ok(change)
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

    fn audit(&mut self, record: Record) {
        self.insist("the audit", |journal| journal.audit(&record));
        self.audit.store(Arc::new(self.journal.audit_view()));
    }

    fn account(&mut self, change: Change) -> Result<(), String> {
        let changed = self.accounts.file.change(|all| all.apply(change, wall()));
        let accounts = changed.map_err(|e| e.to_string())??;
        self.accounts.shown.store(Arc::new(accounts));
        Ok(())
    }

    /// Takes what the command line did. A file that cannot be read lets nobody in: who is in it is
    /// not known.
    fn look_at_accounts(&mut self) {
        self.accounts.looked = Some(Instant::now());
        let mark = self.accounts.file.mark();
        if mark == self.accounts.mark {
            return;
        }
        self.accounts.mark = mark;
        let accounts = self.accounts.file.read().unwrap_or_else(|e| {
            tracing::error!("nobody can sign in: {e}");
            Accounts::default()
        });
        let told = accounts.untold.len();
        for record in &accounts.untold {
            self.audit(record.clone());
        }
        self.accounts.shown.store(Arc::new(accounts));
        if told > 0 {
            let struck = self.accounts.file.change(|all| {
                all.untold.drain(..told.min(all.untold.len()));
                Ok(())
            });
            if let Err(e) = struck {
                // Told once more at worst.
                tracing::warn!("{e}");
            }
            // The mark is the one from before: what came in between is seen at the next look.
        }
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
