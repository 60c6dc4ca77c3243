//! The journal: JSON Lines, each behind the CRC-32 of its text. A torn last line is cut off, a
//! damaged one in the middle is passed over and said.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::deliveries::Deliveries;
use super::{StoreError, io_error};
use crate::access::{AuditView, Record, Trail};
use crate::alert::delivery::{DeadLetter, Sent};
use crate::alert::route::{About, Router};
use crate::alert::{Alert, Audience, Incident, Notice, Silence, wall};
use crate::catalog::{Decision, NamedView, SpecChange};
use crate::time::Timestamp;

mod compact;
mod line;
mod take;

use line::{Line, write_line};

/// An alert that some sinks have not taken yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    pub alert: Alert,
    pub sinks: BTreeSet<String>,
    /// When it was recorded, wall time.
    pub since: Timestamp,
}

/// What is put on disk before anything is shown or sent.
#[derive(Clone, Debug)]
pub enum Entry {
    /// An alert of an incident, which is told in its place.
    Keep(Box<Alert>),
    /// An alert that is sent by itself.
    Send(Box<Alert>),
    /// An incident's next revision.
    Tell(Box<Notice>),
}

impl Entry {
    /// What is sent, where anything is.
    fn message(&self) -> &Alert {
        match self {
            Self::Keep(alert) | Self::Send(alert) => alert,
            Self::Tell(notice) => &notice.message,
        }
    }
}

/// The latest revision of an alert or incident, and the sinks that were told of it.
#[derive(Debug)]
struct Kept<T> {
    what: T,
    told: BTreeSet<String>,
}

pub struct Journal {
    path: PathBuf,
    file: File,
    /// Length of the part that is whole.
    len: u64,
    kept: u64,
    router: Router,
    alerts: BTreeMap<String, Kept<Alert>>,
    incidents: BTreeMap<String, Kept<Incident>>,
    /// By alert and revision.
    outbox: BTreeMap<(String, u64), Pending>,
    /// Oldest first.
    dead: VecDeque<DeadLetter>,
    /// By id, which counts up.
    decisions: BTreeMap<u64, Decision>,
    silences: BTreeMap<String, Silence>,
    deliveries: Deliveries,
    /// By id, which counts up; those that are not gone.
    views: BTreeMap<u64, NamedView>,
    /// By id, which counts up.
    specs: BTreeMap<u64, SpecChange>,
    trail: Trail,
}

impl Journal {
    /// Reads what is there; the second part is what a person should know.
    pub fn open(dir: &Path, router: Router) -> Result<(Self, Vec<String>), StoreError> {
        let path = dir.join("journal");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_error(&path))?;
        let mut journal = Self {
            path,
            file,
            len: 0,
            kept: 0,
            router,
            alerts: BTreeMap::new(),
            incidents: BTreeMap::new(),
            outbox: BTreeMap::new(),
            dead: VecDeque::new(),
            decisions: BTreeMap::new(),
            silences: BTreeMap::new(),
            deliveries: Deliveries::default(),
            views: BTreeMap::new(),
            specs: BTreeMap::new(),
            trail: Trail::default(),
        };
        let notices = journal.replay()?;
        journal.compact()?;
        Ok((journal, notices))
    }

    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values().map(|kept| &kept.what)
    }

    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values().map(|kept| &kept.what)
    }

    /// Oldest first.
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.values()
    }

    /// Oldest first.
    pub fn pending(&self) -> Vec<Pending> {
        let mut all: Vec<Pending> = self.outbox.values().cloned().collect();
        all.sort_by(|a, b| {
            (a.alert.last_seen, a.alert.revision).cmp(&(b.alert.last_seen, b.alert.revision))
        });
        all
    }

    pub fn dead(&self) -> impl Iterator<Item = &DeadLetter> {
        self.dead.iter()
    }

    /// What was sent to whom, where that has changed since the last call.
    pub fn sent(&mut self) -> Option<std::sync::Arc<Sent>> {
        self.deliveries.news()
    }

    pub fn silences(&self) -> impl Iterator<Item = &Silence> {
        self.silences.values()
    }

    pub fn views(&self) -> impl Iterator<Item = &NamedView> {
        self.views.values()
    }

    /// Appends a view as it is now, which may be gone; it is on disk when this returns without error.
    pub fn view(&mut self, view: &NamedView) -> std::io::Result<()> {
        self.write(Line::View(view.clone()))?;
        self.compact_if_large();
        Ok(())
    }

    /// Oldest first.
    pub fn specs(&self) -> impl Iterator<Item = &SpecChange> {
        self.specs.values()
    }

    /// Appends a change of a document; it is on disk when this returns without error.
    pub fn spec(&mut self, change: &SpecChange) -> std::io::Result<()> {
        self.write(Line::Spec(Box::new(change.clone())))?;
        self.compact_if_large();
        Ok(())
    }

    /// Appends a rule for silence, as it is now; it is on disk when this returns without error.
    pub fn silence(&mut self, silence: &Silence) -> std::io::Result<()> {
        self.write(Line::Silence(Box::new(silence.clone())))?;
        self.compact_if_large();
        Ok(())
    }

    pub fn audit_view(&self) -> AuditView {
        self.trail.view()
    }

    /// Appends a line of the audit; it is on disk when this returns without error.
    pub fn audit(&mut self, record: &Record) -> std::io::Result<()> {
        let id = self.trail.next();
        let record = Record {
            id,
            ..record.clone()
        };
        self.write(Line::Audit(Box::new(record)))?;
        self.compact_if_large();
        Ok(())
    }

    /// Appends a decision; it is on disk when this returns without error.
    pub fn decide(&mut self, decision: &Decision) -> std::io::Result<()> {
        let mut text = Vec::new();
        let line = Line::Decision(decision.clone());
        write_line(&mut text, &line);
        self.append(&text)?;
        self.take(line);
        self.compact_if_large();
        Ok(())
    }

    /// Appends entries, each with the sinks that it is for; they are on disk when this returns
    /// without error. After an error nothing of them is, and it may be tried again.
    pub fn record(&mut self, entries: &[Entry]) -> std::io::Result<Vec<Pending>> {
        let at = wall();
        let (mut text, mut lines, mut out) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            let sinks = self.targets(entry);
            let line = match entry.clone() {
                Entry::Keep(alert) => Line::Kept {
                    alert,
                    told: BTreeSet::new(),
                },
                Entry::Send(alert) => Line::Queued {
                    alert,
                    to: sinks.clone(),
                    at,
                },
                Entry::Tell(notice) => Line::Told {
                    incident: Box::new(notice.incident),
                    message: Box::new(notice.message),
                    to: sinks.clone(),
                    at,
                },
            };
            write_line(&mut text, &line);
            lines.push(line);
            out.push(Pending {
                alert: entry.message().clone(),
                sinks,
                since: at,
            });
        }
        self.append(&text)?;
        lines.into_iter().for_each(|line| self.take(line));
        self.compact_if_large();
        Ok(out)
    }

    fn targets(&self, entry: &Entry) -> BTreeSet<String> {
        let (now, nobody) = (jiff::Timestamp::now(), BTreeSet::new());
        match entry {
            Entry::Keep(_) => nobody,
            Entry::Send(alert) => {
                let told = self.alerts.get(&alert.id).map_or(&nobody, |k| &k.told);
                self.router.targets(&About::from(alert.as_ref()), told, now)
            }
            Entry::Tell(notice) => {
                let told = self.incidents.get(&notice.incident.id);
                let told = told.map_or(&nobody, |k| &k.told);
                let about = About::from(&notice.incident);
                match notice.audience {
                    Audience::Nobody => nobody,
                    Audience::Newcomers => &self.router.targets(&about, &nobody, now) - told,
                    Audience::Everybody => self.router.targets(&about, told, now),
                }
            }
        }
    }

    /// Strikes a message off: taken, or given up for a reason. A crash may forget it: then it is
    /// sent once more.
    pub fn settle(
        &mut self,
        sink: &str,
        message: &str,
        given_up: Option<&str>,
    ) -> std::io::Result<()> {
        let line = Line::Settled {
            sink: sink.to_owned(),
            message: message.to_owned(),
            dead: given_up.is_some(),
            why: given_up.unwrap_or_default().to_owned(),
            at: wall(),
        };
        self.write(line)
    }

    /// Puts a dead letter back into the outbox. The outer error is the disk's.
    pub fn again(
        &mut self,
        sink: &str,
        message: &str,
        by: &str,
    ) -> std::io::Result<Result<Pending, String>> {
        if !self.router.has(sink) {
            return Ok(Err(format!("there is no sink `{sink}` in the config")));
        }
        let is_it = |d: &&DeadLetter| d.sink == sink && d.message == message;
        let Some(letter) = self.dead.iter().find(is_it) else {
            return Ok(Err(format!(
                "there is no dead letter {message} of `{sink}`"
            )));
        };
        let at = wall();
        let pending = Pending {
            alert: letter.alert.clone(),
            sinks: [sink.to_owned()].into(),
            since: at,
        };
        self.write(Line::Again {
            sink: sink.to_owned(),
            message: message.to_owned(),
            by: by.to_owned(),
            at,
        })?;
        Ok(Ok(pending))
    }

    fn write(&mut self, line: Line) -> std::io::Result<()> {
        let mut text = Vec::new();
        write_line(&mut text, &line);
        self.append(&text)?;
        self.take(line);
        Ok(())
    }

    fn append(&mut self, text: &[u8]) -> std::io::Result<()> {
        let written = self
            .file
            .seek(SeekFrom::Start(self.len))
            .and_then(|_| self.file.write_all(text));
        match written.and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.len += text.len() as u64;
                Ok(())
            }
            Err(e) => {
                // Half a line must not stand before the next one.
                let _ = self.file.set_len(self.len);
                Err(e)
            }
        }
    }
}
