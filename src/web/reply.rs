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

    /// A yes to what was done in part, or to others than it named: the audit has what was done, and
    /// nothing where that is nothing.
    pub fn done(self, answer: T, object: Option<&str>) {
        let Self { to, audit, record } = self;
        let amended = OnceLock::new();
        if let (Some(asked), Some(object)) = (record.get(), object) {
            // It is new.
            let _ = amended.set(asked.clone().about(object));
        }
        let record = Arc::new(amended);
        Self { to, audit, record }.send(Ok(answer));
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::alert::{Act, Acted, Deed, Note, On};

    /// What the audit has of an act on two of which only `changed` were changed.
    fn recorded(changed: &[&str]) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let into = lines.clone();
        let audit: Audit = Arc::new(move |record: Record, done: Box<dyn FnOnce() + Send>| {
            into.lock().unwrap().push(record.object);
            done();
        });
        let by = By {
            name: "ann".into(),
            role: None,
            from: "10.0.0.1".into(),
        };
        let note = Note {
            text: "x".into(),
            by: "ann".into(),
            at: wall(),
        };
        let act = Box::new(Act {
            on: On::Alerts,
            ids: vec!["a".into(), "zz".into()],
            deed: Deed::Note(note),
        });
        let (command, mut answer) = asked(&audit, by, |reply| Command::Act { act, reply });
        let Command::Act { reply, .. } = command else {
            panic!("an act was asked for");
        };
        let acted = Acted {
            changed: changed.iter().map(|id| (*id).to_owned()).collect(),
            refused: Vec::new(),
        };
        let about = acted.about();
        reply.done(acted, about.as_deref());
        assert!(answer.try_recv().unwrap().is_ok());
        let lines = lines.lock().unwrap();
        lines.clone()
    }

    #[test]
    fn what_was_refused_is_not_recorded_as_done() {
        assert_eq!(recorded(&["a"]), ["a"]);
        assert_eq!(recorded(&[]), Vec::<String>::new());
    }
}
