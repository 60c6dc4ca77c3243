//! The answer to a command, and its line in the audit.
//!
//! Each command carries a [`Reply`], which knows who asked. A yes goes through the audit: it reaches
//! whoever asked once its line is on disk, whether or not anybody waits for it still. So no change
//! is left out, and no handler has to think of it.

use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;

use super::Command;
use crate::access::{By, Record};
use crate::alert::wall;

/// Puts a line of the audit on disk, then calls back. Must not wait for whoever calls it.
pub type Audit = Arc<dyn Fn(Record, Box<dyn FnOnce() + Send>) + Send + Sync>;

pub struct Reply<T> {
    to: oneshot::Sender<Result<T, String>>,
    audit: Audit,
    /// What is recorded of a yes: set once the command is whole. Not set: nothing.
    record: Arc<OnceLock<Record>>,
}

impl<T: Send + 'static> Reply<T> {
    /// Answers whoever asked, if they still listen.
    pub fn send(self, answer: Result<T, String>) {
        let Self { to, audit, record } = self;
        let record = record.get().cloned();
        match (answer, record) {
            (Ok(done), Some(record)) => audit(record, Box::new(move || drop(to.send(Ok(done))))),
            (answer, _) => drop(to.send(answer)),
        }
    }
}

impl<T> std::fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}

pub(super) type Answer<T> = oneshot::Receiver<Result<T, String>>;

/// A command of somebody's, and where its answer will be.
pub(super) fn asked<T>(
    audit: &Audit,
    by: By,
    command: impl FnOnce(Reply<T>) -> Command,
) -> (Command, Answer<T>) {
    let (command, record, answer) = make(audit, command);
    if let Some((action, object, note)) = command.about() {
        // Nobody else sets it.
        let _ = record.set(Record::new(&by, wall(), action, &object, &note));
    }
    (command, answer)
}

/// A command that nobody made: it stands in no audit.
pub(super) fn quiet<T>(audit: &Audit, command: impl FnOnce(Reply<T>) -> Command) -> Command {
    make(audit, command).0
}

type Slot = Arc<OnceLock<Record>>;

fn make<T>(audit: &Audit, command: impl FnOnce(Reply<T>) -> Command) -> (Command, Slot, Answer<T>) {
    let (to, answer) = oneshot::channel();
    let record = Slot::default();
    let reply = Reply {
        to,
        audit: audit.clone(),
        record: record.clone(),
    };
    (command(reply), record, answer)
}
