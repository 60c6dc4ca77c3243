//! The journal: JSON Lines, each behind the CRC-32 of its text. A torn last line is cut off, a
//! damaged one in the middle is passed over and said.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{StoreError, io_error};
use crate::alert::{Alert, Status};
use crate::catalog::{Decision, Later, remains};

/// Past this, and twice what is worth keeping, the journal is written anew.
const COMPACT: u64 = 8 << 20;

/// Alerts kept at most, beside those still to be delivered.
const KEEP: usize = 20_000;

/// Decisions kept as they were taken; older ones as far as they still hold.
const AUDIT: usize = 5_000;

/// An alert that some sinks have not taken yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    pub alert: Alert,
    pub sinks: BTreeSet<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Alert(Box<Alert>),
    /// A sink took the message, or it is dead.
    Settled {
        sink: String,
        message: String,
        dead: bool,
    },
    /// What a person decided about the inventory.
    Decision(Decision),
}

pub struct Journal {
    path: PathBuf,
    file: File,
    /// Length of the part that is whole.
    len: u64,
    kept: u64,
    sinks: Vec<String>,
    alerts: BTreeMap<String, Alert>,
    outbox: BTreeMap<(String, u64), Pending>,
    /// By id, which counts up.
    decisions: BTreeMap<u64, Decision>,
}

impl Journal {
    /// Reads what is there; the second part is what a person should know.
    pub fn open(dir: &Path, sinks: Vec<String>) -> Result<(Self, Vec<String>), StoreError> {
        let path = dir.join("journal");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_error(&path))?;
        let (alerts, outbox) = (BTreeMap::new(), BTreeMap::new());
        let mut journal = Self {
            path,
            file,
            len: 0,
            kept: 0,
            sinks,
            alerts,
            outbox,
            decisions: BTreeMap::new(),
        };
        let notices = journal.replay()?;
        journal.compact()?;
        Ok((journal, notices))
    }

    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
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

    /// Appends alerts; they are on disk when this returns without error. After an error nothing of
    /// them is, and it may be tried again.
    pub fn record(&mut self, alerts: &[Alert]) -> std::io::Result<()> {
        let mut text = Vec::new();
        for alert in alerts {
            write_line(&mut text, &Line::Alert(Box::new(alert.clone())));
        }
        self.append(&text)?;
        for alert in alerts {
            self.take(Line::Alert(Box::new(alert.clone())));
        }
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

    /// Strikes a message off. A crash may forget it: then it is sent once more.
    pub fn settle(&mut self, sink: &str, message: &str, dead: bool) -> std::io::Result<()> {
        let line = Line::Settled {
            sink: sink.to_owned(),
            message: message.to_owned(),
            dead,
        };
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

    fn take(&mut self, line: Line) {
        match line {
            Line::Alert(alert) => {
                if !self.sinks.is_empty() {
                    let sinks = self.sinks.iter().cloned().collect();
                    let pending = Pending {
                        alert: (*alert).clone(),
                        sinks,
                    };
                    self.outbox
                        .insert((alert.id.clone(), alert.revision), pending);
                }
                self.alerts.insert(alert.id.clone(), *alert);
            }
            Line::Decision(decision) => {
                self.decisions.insert(decision.id, decision);
            }
            Line::Settled { sink, message, .. } => {
                let Some((id, revision)) = message.rsplit_once('-') else {
                    return;
                };
                let Ok(revision) = revision.parse() else {
                    return;
                };
                let key = (id.to_owned(), revision);
                if let Some(pending) = self.outbox.get_mut(&key) {
                    pending.sinks.remove(&sink);
                    if pending.sinks.is_empty() {
                        self.outbox.remove(&key);
                    }
                }
            }
        }
    }

    fn replay(&mut self) -> Result<Vec<String>, StoreError> {
        let text = fs::read(&self.path).map_err(io_error(&self.path))?;
        let (mut notices, mut damaged, mut at) = (Vec::new(), 0, 0);
        while let Some(end) = memchr::memchr(b'\n', &text[at..]) {
            match read_line(&text[at..at + end]) {
                Some(line) => self.take(line),
                None => damaged += 1,
            }
            at += end + 1;
        }
        if damaged > 0 {
            // Kept for whoever wants to look; the compacted journal has what could be read.
            let aside = self
                .path
                .with_extension(format!("damaged-{}", jiff::Timestamp::now().as_second()));
            let _ = fs::copy(&self.path, &aside);
            notices.push(format!(
                "{damaged} damaged lines in the journal were passed over; it is kept as {}",
                aside.display()
            ));
        }
        if at < text.len() {
            notices.push(
                "the last line of the journal was torn (a crash while writing) and was cut off"
                    .into(),
            );
        }
        self.len = at as u64;
        Ok(notices)
    }

    fn compact_if_large(&mut self) {
        if self.len > COMPACT && self.len > 2 * self.kept {
            // The old journal is whole; a failure costs space, nothing else.
            if let Err(e) = self.compact() {
                tracing::warn!(error = %e, "the journal could not be compacted");
                self.kept = self.len;
            }
        }
    }

    /// Past the bound resolved alerts are forgotten first, then those seen longest ago; never one
    /// that is still to be delivered.
    fn trim(&mut self) {
        let surplus = self.alerts.len().saturating_sub(KEEP);
        let mut order: Vec<_> = self
            .alerts
            .values()
            .map(|a| (a.status != Status::Resolved, a.last_seen, a.id.clone()))
            .collect();
        order.sort();
        for (_, _, id) in order.into_iter().take(surplus) {
            if !self.outbox.keys().any(|(pending, _)| *pending == id) {
                self.alerts.remove(&id);
            }
        }
    }

    /// Of decisions past the audit only what nothing later speaks of is kept.
    fn trim_decisions(&mut self) {
        let mut later = Later::default();
        let mut kept = BTreeMap::new();
        for (n, (id, decision)) in std::mem::take(&mut self.decisions)
            .into_iter()
            .rev()
            .enumerate()
        {
            let rest = remains(&decision, &mut later);
            let rest = if n < AUDIT { Some(decision) } else { rest };
            kept.extend(rest.map(|decision| (id, decision)));
        }
        self.decisions = kept;
    }

    /// Writes what is worth keeping to a new file, and puts it in the old one's place.
    fn compact(&mut self) -> Result<(), StoreError> {
        self.trim();
        self.trim_decisions();
        let mut text = Vec::new();
        for decision in self.decisions.values() {
            write_line(&mut text, &Line::Decision(decision.clone()));
        }
        for pending in self.pending() {
            let (alert, open) = (pending.alert, pending.sinks);
            write_line(&mut text, &Line::Alert(Box::new(alert.clone())));
            for sink in self.sinks.iter().filter(|s| !open.contains(*s)) {
                let message = format!("{}-{}", alert.id, alert.revision);
                write_line(
                    &mut text,
                    &Line::Settled {
                        sink: sink.clone(),
                        message,
                        dead: false,
                    },
                );
            }
        }
        for alert in self
            .alerts
            .values()
            .filter(|a| !self.outbox.contains_key(&(a.id.clone(), a.revision)))
        {
            write_line(&mut text, &Line::Alert(Box::new(alert.clone())));
            for sink in &self.sinks {
                let message = format!("{}-{}", alert.id, alert.revision);
                write_line(
                    &mut text,
                    &Line::Settled {
                        sink: sink.clone(),
                        message,
                        dead: false,
                    },
                );
            }
        }
        let aside = self.path.with_extension("new");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)
            .map_err(io_error(&aside))?;
        file.write_all(&text)
            .and_then(|()| file.sync_all())
            .map_err(io_error(&aside))?;
        fs::rename(&aside, &self.path).map_err(io_error(&self.path))?;
        if let Some(dir) = self.path.parent() {
            File::open(dir)
                .and_then(|d| d.sync_all())
                .map_err(io_error(dir))?;
        }
        (self.file, self.len, self.kept) = (file, text.len() as u64, text.len() as u64);
        Ok(())
    }
}

fn write_line(out: &mut Vec<u8>, line: &Line) {
    // Serialising to memory fails only for maps with odd keys, and there is none.
    let json = serde_json::to_vec(line).unwrap_or_default();
    out.extend_from_slice(format!("{:08x} ", crc32fast::hash(&json)).as_bytes());
    out.extend_from_slice(&json);
    out.push(b'\n');
}

fn read_line(line: &[u8]) -> Option<Line> {
    let (crc, json) = (line.get(..8)?, line.get(9..)?);
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok()?;
    (crc == crc32fast::hash(json)).then(|| serde_json::from_slice(json).ok())?
}
