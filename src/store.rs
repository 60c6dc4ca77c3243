//! What stays: alerts, what is still to be delivered, what people decided, and checkpoints of the analysis.
//!
//! Two things on disk, owned by one thread. The *journal* is append-only JSON Lines, each line with
//! its CRC-32, fsynced before anything is shown or sent: nothing acknowledged is lost. *sled* holds
//! checkpoints (inventory, baselines) and an index of alerts; it is a cache that may be thrown
//! away, and is moved aside when it does not open. Nobody else knows sled.
//!
//! | file | what | a crash costs |
//! | --- | --- | --- |
//! | `journal` | alerts, incidents, outbox, dead letters, rules for silence, decisions, saved views, audit, changes of documents | what was not yet acknowledged |
//! | `specs/` | texts of uploaded documents, each under our own name | nothing: written before the journal says so |
//! | `sled/` `checkpoint` | `catalog`, `detect`: version, CRC, postcard | what came after the last checkpoint |
//! | `sled/` `alerts` | id → latest revision, JSON | nothing: rebuilt from the journal |
//! | `accounts.json` | users, API tokens | what was not yet acknowledged |
//! | `identity.key` | 32 random bytes | – |
//! | `lock` | held while a process uses the directory | – |

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::access::{Accounts, AuditView, Change, Record};
use crate::alert::delivery::{DeadLetter, Sent};
use crate::alert::route::Router;
use crate::alert::{Alert, Incident, Notice, Silence};
use crate::catalog::{Decision, NamedView, SpecChange};

mod accounts;
mod checkpoint;
mod deliveries;
mod journal;
mod specs;
mod thread;

pub use accounts::AccountsFile;
pub use journal::{Entry, Journal, Pending};
pub use specs::folder as spec_folder;
pub use thread::{Done, Found};
use thread::{Followed, Op, Thread};

/// Operations that wait for the disk.
const QUEUE: usize = 4_096;

/// What, where, and the mend.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path}: {why}")]
    Io { path: PathBuf, why: String },
    #[error(
        "{path} is in use by another apitap (process {pid}): stop it, or set another store.path"
    )]
    Locked { path: PathBuf, pid: String },
    #[error("{path} can be read by others: `chmod 600 {path}`; and since others may have read it, remove it to get a new one", path = path.display())]
    OpenKey { path: PathBuf },
    #[error("{path} is no identity key (32 bytes): remove it to get a new one, or restore it", path = path.display())]
    BadKey { path: PathBuf },
}

fn io_error(path: &Path) -> impl Fn(std::io::Error) -> StoreError + '_ {
    move |e| StoreError::Io {
        path: path.to_owned(),
        why: e.to_string(),
    }
}

/// What was there when the store was opened.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Latest revision of each alert.
    pub alerts: Vec<Alert>,
    /// As they were when they were told or changed last.
    pub incidents: Vec<Incident>,
    /// Rules for silence that people made, and the last of those that have ended.
    pub silences: Vec<Silence>,
    /// What is not delivered to each sink yet, oldest first.
    pub outbox: Vec<Pending>,
    /// What people decided, oldest first.
    pub decisions: Vec<Decision>,
    /// What people did with uploaded documents, oldest first.
    pub specs: Vec<SpecChange>,
    /// Views that people saved, oldest first.
    pub views: Vec<NamedView>,
    pub catalog: Option<Vec<u8>>,
    pub detect: Option<Vec<u8>>,
    /// What a person should know, loudly.
    pub notices: Vec<String>,
}

/// The inventory of the last checkpoint in a directory that nobody uses now; `None` where there is
/// no checkpoint. Changes nothing.
pub fn checkpoint(dir: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let _lock = lock(&dir.join("lock"))?;
    checkpoint::Checkpoints::inventory(dir)
}

/// Bytes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub journal: u64,
    /// Checkpoints and the index of alerts.
    pub checkpoints: u64,
}

/// A handle to the store's thread.
#[derive(Clone)]
pub struct Store {
    dir: Arc<Path>,
    ops: Sender<Op>,
    trouble: Arc<Mutex<Option<String>>>,
    dead: Arc<ArcSwap<Vec<DeadLetter>>>,
    sent: Arc<ArcSwap<Sent>>,
    accounts: Arc<ArcSwap<Accounts>>,
    audit: Arc<ArcSwap<AuditView>>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Store {
    /// Opens the directory, made where it is not there. The router knows the sinks configured now;
    /// messages for others wait as long as a message may, should they come back. `recorded` is called on the store's thread with each alert
    /// once it is on disk, and with the sinks that it is for.
    pub fn open(
        dir: &Path,
        router: Router,
        recorded: Box<dyn Fn(Pending) + Send>,
    ) -> Result<(Self, Recovered), StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io_error(dir))?;
        let lock = lock(&dir.join("lock"))?;
        let (mut journal, mut notices) = Journal::open(dir, router)?;
        let (checkpoints, found) = checkpoint::Checkpoints::open(dir, &mut notices)?;
        checkpoints
            .rebuild(journal.alerts())
            .map_err(|why| StoreError::Io {
                path: dir.join("sled"),
                why,
            })?;
        let specs = specs::Files::open(dir, journal.specs())?;
        let recovered = Recovered {
            alerts: journal.alerts().cloned().collect(),
            incidents: journal.incidents().cloned().collect(),
            silences: journal.silences().cloned().collect(),
            outbox: journal.pending(),
            decisions: journal.decisions().cloned().collect(),
            specs: journal.specs().cloned().collect(),
            views: journal.views().cloned().collect(),
            catalog: found.0,
            detect: found.1,
            notices,
        };
        let dead: Arc<ArcSwap<Vec<DeadLetter>>> =
            Arc::new(ArcSwap::from_pointee(journal.dead().cloned().collect()));
        let sent: Arc<ArcSwap<Sent>> = Arc::new(ArcSwap::new(journal.sent().unwrap_or_default()));
        let file = AccountsFile::in_dir(dir);
        let accounts = Arc::new(ArcSwap::from_pointee(file.read()?));
        let audit = Arc::new(ArcSwap::from_pointee(journal.audit_view()));
        let (ops, queue): (Sender<Op>, Receiver<Op>) = bounded(QUEUE);
        let trouble: Arc<Mutex<Option<String>>> = Arc::default();
        let thread = Thread {
            journal,
            checkpoints,
            specs,
            recorded,
            trouble: trouble.clone(),
            dead: dead.clone(),
            sent: sent.clone(),
            audit: audit.clone(),
            accounts: Followed::new(file, accounts.clone()),
            _lock: lock,
        };
        let handle = std::thread::spawn(move || thread.run(&queue));
        Ok((
            Self {
                dir: dir.into(),
                ops,
                trouble,
                dead,
                sent,
                accounts,
                audit,
                thread: Arc::new(Mutex::new(Some(handle))),
            },
            recovered,
        ))
    }

    /// Puts an alert (or its next revision) on disk; waits where the disk is behind. It is sent
    /// where it is told alone; otherwise its incident is.
    pub fn record(&self, alert: Alert) {
        let alone = alert.is_told_alone();
        let alert = Box::new(alert);
        self.put(if alone {
            Entry::Send(alert)
        } else {
            Entry::Keep(alert)
        });
    }

    /// Puts an incident's next revision on disk, to be sent.
    pub fn tell(&self, notice: Notice) {
        self.put(Entry::Tell(Box::new(notice)));
    }

    fn put(&self, entry: Entry) {
        // The thread ends only with `close`, after which nobody records.
        let _ = self.ops.send(Op::Record(entry));
    }

    /// Puts a rule for silence on disk, as it is now.
    pub fn silence(&self, silence: Silence) {
        let _ = self.ops.send(Op::Silence(Box::new(silence)));
    }

    /// Puts a view on disk, as it is now.
    pub fn named_view(&self, view: NamedView) {
        let _ = self.ops.send(Op::View(view));
    }

    /// Calls back on the store's thread once all that was handed over before is on disk.
    pub fn after(&self, done: Box<dyn FnOnce() + Send>) {
        let _ = self.ops.send(Op::After(done));
    }

    /// A sink has taken a message.
    pub fn delivered(&self, sink: &str, message: &str) {
        self.settle(sink, message, None);
    }

    /// A message was given up.
    pub fn dead(&self, sink: &str, message: &str, why: &str) {
        self.settle(sink, message, Some(why.to_owned()));
    }

    fn settle(&self, sink: &str, message: &str, given_up: Option<String>) {
        let _ = self.ops.send(Op::Settled {
            sink: sink.to_owned(),
            message: message.to_owned(),
            given_up,
        });
    }

    /// Puts a dead letter back into the outbox; `done` is called on the store's thread once that is
    /// on disk, with what is to be sent.
    pub fn again(&self, sink: String, message: String, by: String, done: Done<Pending>) {
        let _ = self.ops.send(Op::Again {
            sink,
            message,
            by,
            done,
        });
    }

    /// What is still to be delivered to a sink, oldest first, `limit` at most.
    pub fn waiting(&self, sink: &str, limit: usize, found: Found) {
        let sink = sink.to_owned();
        let _ = self.ops.send(Op::Waiting { sink, limit, found });
    }

    /// What was given up, oldest first.
    pub fn dead_letters(&self) -> Arc<Vec<DeadLetter>> {
        self.dead.load_full()
    }

    /// What was sent to whom.
    pub fn sent(&self) -> Arc<Sent> {
        self.sent.load_full()
    }

    /// Puts a decision on disk; `decided` is called on the store's thread once it is there.
    pub fn decide(&self, decision: Decision, decided: Box<dyn FnOnce(Decision) + Send>) {
        let _ = self.ops.send(Op::Decide(decision, decided));
    }

    /// Puts a change of a document on disk, with its text where it has one; `done` is called on the
    /// store's thread.
    pub fn spec(&self, change: SpecChange, text: Option<Arc<str>>, done: Done<SpecChange>) {
        let _ = self.ops.send(Op::Spec {
            change: Box::new(change),
            text,
            done,
        });
    }

    /// Puts a line of the audit on disk; `done` is called on the store's thread once it is there.
    pub fn audit(&self, record: Record, done: Box<dyn FnOnce() + Send>) {
        let _ = self.ops.send(Op::Audit(Box::new(record), done));
    }

    /// Changes the accounts; `done` is called on the store's thread once that is on disk and shown.
    pub fn account(&self, change: Change, done: Done<()>) {
        let _ = self.ops.send(Op::Account(change, done));
    }

    /// The accounts, as they are at each moment: another process may change them, too.
    pub fn accounts(&self) -> Arc<ArcSwap<Accounts>> {
        self.accounts.clone()
    }

    /// The audit, as it is at each moment.
    pub fn trail(&self) -> Arc<ArcSwap<AuditView>> {
        self.audit.clone()
    }

    /// Replaces the checkpoint.
    pub fn checkpoint(&self, catalog: Vec<u8>, detect: Vec<u8>) {
        let _ = self.ops.send(Op::Checkpoint { catalog, detect });
    }

    /// What keeps the store from writing, while something does.
    pub fn trouble(&self) -> Option<String> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Operations that wait for the disk, and how many may.
    pub fn queue(&self) -> (usize, usize) {
        (self.ops.len(), QUEUE)
    }

    /// What the files take now; what cannot be looked at counts as nothing.
    pub fn usage(&self) -> Usage {
        let sled = fs::read_dir(self.dir.join("sled")).into_iter().flatten();
        let sizes = sled.flatten().filter_map(|file| file.metadata().ok());
        Usage {
            journal: fs::metadata(self.dir.join("journal")).map_or(0, |m| m.len()),
            checkpoints: sizes.map(|m| m.len()).sum(),
        }
    }

    /// Writes what is waiting, and ends.
    pub fn close(&self) {
        let (done, wait) = bounded(1);
        if self.ops.send(Op::Close(done)).is_ok() {
            let _ = wait.recv();
        }
        let handle = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(handle) = handle {
            let _ = handle.join();
        }
    }
}

fn lock(path: &Path) -> Result<File, StoreError> {
    use rustix::fs::{FlockOperation, flock};
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(io_error(path))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut pid = String::new();
        let _ = file.read_to_string(&mut pid);
        let pid = if pid.is_empty() {
            "unknown".into()
        } else {
            pid
        };
        return Err(StoreError::Locked {
            path: path.parent().unwrap_or(path).to_owned(),
            pid,
        });
    }
    file.set_len(0).map_err(io_error(path))?;
    write!(file, "{}", std::process::id()).map_err(io_error(path))?;
    Ok(file)
}

/// The key of the identity hashes: read, or made (0600) where there is none. A file of its own,
/// never in sled.
pub fn identity_key(path: &Path) -> Result<[u8; 32], StoreError> {
    match File::open(path) {
        Ok(mut file) => {
            let mode = file
                .metadata()
                .map_err(io_error(path))?
                .permissions()
                .mode();
            if mode & 0o077 != 0 {
                return Err(StoreError::OpenKey {
                    path: path.to_owned(),
                });
            }
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(io_error(path))?;
            bytes.try_into().map_err(|_| StoreError::BadKey {
                path: path.to_owned(),
            })
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => make_key(path),
        Err(e) => Err(io_error(path)(e)),
    }
}

fn make_key(path: &Path) -> Result<[u8; 32], StoreError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|e| StoreError::Io {
        path: path.to_owned(),
        why: e.to_string(),
    })?;
    if let Some(dir) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io_error(dir))?;
    }
    // Written aside and linked into place: two that start together agree on one key.
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)
        .map_err(io_error(&aside))?;
    file.write_all(&key)
        .and_then(|()| file.sync_all())
        .map_err(io_error(&aside))?;
    let linked = fs::hard_link(&aside, path);
    let _ = fs::remove_file(&aside);
    match linked {
        Ok(()) => Ok(key),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => identity_key(path),
        Err(e) => Err(io_error(path)(e)),
    }
}
