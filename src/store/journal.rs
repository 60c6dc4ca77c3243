//! The journal: JSON Lines, each behind the CRC-32 of its text. A torn last line is cut off, a
//! damaged one in the middle is passed over and said.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{StoreError, io_error};
use crate::alert::delivery::{DeadLetter, MAX_AGE};
use crate::alert::route::Router;
use crate::alert::{Alert, Status, wall};
use crate::catalog::{Decision, Later, remains};
use crate::time::Timestamp;

/// Past this, and twice what is worth keeping, the journal is written anew.
const COMPACT: u64 = 8 << 20;

/// Alerts kept at most, beside those still to be delivered.
const KEEP: usize = 20_000;

/// Messages to be delivered at most; past it the oldest become dead letters.
const OUTBOX: usize = 50_000;

/// Dead letters kept at most; past it the oldest go.
const DEAD: usize = 1_000;

/// Decisions kept as they were taken; older ones as far as they still hold.
const AUDIT: usize = 5_000;

/// An alert that some sinks have not taken yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    pub alert: Alert,
    pub sinks: BTreeSet<String>,
    /// When it was recorded, wall time.
    pub since: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// As journals of old have it: for every sink.
    Alert(Box<Alert>),
    /// Recorded, and to be delivered to these.
    Queued {
        alert: Box<Alert>,
        to: BTreeSet<String>,
        at: Timestamp,
    },
    /// Still to be delivered to these, when the journal was written anew.
    Outbox {
        alert: Box<Alert>,
        to: BTreeSet<String>,
        at: Timestamp,
    },
    /// Recorded; these sinks were told of it.
    Kept {
        alert: Box<Alert>,
        told: BTreeSet<String>,
    },
    /// A sink took the message, or it was given up.
    Settled {
        sink: String,
        message: String,
        dead: bool,
        #[serde(default)]
        why: String,
        #[serde(default)]
        at: Timestamp,
    },
    Dead(Box<DeadLetter>),
    /// A person had a dead letter sent again.
    Again {
        sink: String,
        message: String,
        by: String,
        at: Timestamp,
    },
    /// What a person decided about the inventory.
    Decision(Decision),
}

#[derive(Debug)]
struct Kept {
    alert: Alert,
    told: BTreeSet<String>,
}

pub struct Journal {
    path: PathBuf,
    file: File,
    /// Length of the part that is whole.
    len: u64,
    kept: u64,
    router: Router,
    alerts: BTreeMap<String, Kept>,
    /// By alert and revision.
    outbox: BTreeMap<(String, u64), Pending>,
    /// Oldest first.
    dead: VecDeque<DeadLetter>,
    /// By id, which counts up.
    decisions: BTreeMap<u64, Decision>,
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
            outbox: BTreeMap::new(),
            dead: VecDeque::new(),
            decisions: BTreeMap::new(),
        };
        let notices = journal.replay()?;
        journal.compact()?;
        Ok((journal, notices))
    }

    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values().map(|kept| &kept.alert)
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

    /// Appends alerts, each with the sinks that it is for; they are on disk when this returns
    /// without error. After an error nothing of them is, and it may be tried again.
    pub fn record(&mut self, alerts: &[Alert]) -> std::io::Result<Vec<Pending>> {
        let (now, at) = (jiff::Timestamp::now(), wall());
        let (mut text, mut out, nobody) = (Vec::new(), Vec::new(), BTreeSet::new());
        for alert in alerts {
            let told = self.alerts.get(&alert.id).map_or(&nobody, |k| &k.told);
            let sinks = self.router.targets(alert, told, now);
            let line = Line::Queued {
                alert: Box::new(alert.clone()),
                to: sinks.clone(),
                at,
            };
            write_line(&mut text, &line);
            out.push(Pending {
                alert: alert.clone(),
                sinks,
                since: at,
            });
        }
        self.append(&text)?;
        for pending in &out {
            self.queue(pending.clone());
        }
        self.compact_if_large();
        Ok(out)
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

    fn take(&mut self, line: Line) {
        match line {
            Line::Alert(alert) => {
                let sinks = (self.router).targets(&alert, &BTreeSet::new(), jiff::Timestamp::now());
                self.queue(Pending {
                    since: wall(),
                    alert: *alert,
                    sinks,
                });
            }
            Line::Queued { alert, to, at } => self.queue(Pending {
                alert: *alert,
                sinks: to,
                since: at,
            }),
            Line::Outbox { alert, to, at } => {
                let pending = Pending {
                    alert: *alert,
                    sinks: to,
                    since: at,
                };
                let key = (pending.alert.id.clone(), pending.alert.revision);
                self.outbox.insert(key, pending);
            }
            Line::Kept { alert, told } => {
                let kept = Kept {
                    alert: *alert,
                    told,
                };
                self.alerts.insert(kept.alert.id.clone(), kept);
            }
            Line::Settled {
                sink,
                message,
                dead,
                why,
                at,
            } => {
                let settled = self.strike(&sink, &message);
                if let Some(alert) = settled.filter(|_| dead) {
                    self.bury(sink, alert, why, at);
                }
            }
            Line::Decision(decision) => {
                self.decisions.insert(decision.id, decision);
            }
            Line::Dead(letter) => self.dead.push_back(*letter),
            Line::Again {
                sink, message, at, ..
            } => {
                let is_it = |d: &DeadLetter| d.sink == sink && d.message == message;
                let Some(i) = self.dead.iter().position(is_it) else {
                    return;
                };
                if let Some(DeadLetter { alert, .. }) = self.dead.remove(i) {
                    let key = (alert.id.clone(), alert.revision);
                    let sinks = BTreeSet::new();
                    let pending = self.outbox.entry(key).or_insert(Pending {
                        alert,
                        sinks,
                        since: at,
                    });
                    pending.since = at;
                    pending.sinks.insert(sink);
                }
            }
        }
    }

    fn queue(&mut self, pending: Pending) {
        let alert = &pending.alert;
        let told = self
            .alerts
            .remove(&alert.id)
            .map_or_else(BTreeSet::new, |k| k.told);
        let kept = Kept {
            alert: alert.clone(),
            told: &told | &pending.sinks,
        };
        self.alerts.insert(alert.id.clone(), kept);
        if !pending.sinks.is_empty() {
            self.outbox
                .insert((alert.id.clone(), alert.revision), pending);
        }
        while self.outbox.len() > OUTBOX {
            let oldest = self.outbox.iter().min_by_key(|(_, p)| p.since);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            if let Some(Pending {
                alert,
                sinks,
                since,
            }) = self.outbox.remove(&key)
            {
                for sink in sinks {
                    self.bury(sink, alert.clone(), "the outbox was full".into(), since);
                }
            }
        }
    }

    /// Takes a message of a sink out of the outbox.
    fn strike(&mut self, sink: &str, message: &str) -> Option<Alert> {
        let (id, revision) = message.rsplit_once('-')?;
        let key = (id.to_owned(), revision.parse().ok()?);
        let pending = self.outbox.get_mut(&key)?;
        let was_there = pending.sinks.remove(sink);
        let alert = was_there.then(|| pending.alert.clone());
        if pending.sinks.is_empty() {
            self.outbox.remove(&key);
        }
        alert
    }

    fn bury(&mut self, sink: String, alert: Alert, why: String, at: Timestamp) {
        self.dead.push_back(DeadLetter {
            sink,
            message: alert.message_id(),
            alert,
            why,
            at,
        });
        while self.dead.len() > DEAD {
            self.dead.pop_front();
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
            .map(|Kept { alert: a, .. }| (a.status != Status::Resolved, a.last_seen, a.id.clone()))
            .collect();
        order.sort();
        for (_, _, id) in order.into_iter().take(surplus) {
            if !self.outbox.keys().any(|(pending, _)| *pending == id) {
                self.alerts.remove(&id);
            }
        }
    }

    /// A sink that is taken out of the config may come back; for so long its messages wait.
    fn forget_strangers(&mut self) {
        let (now, router) = (wall(), &self.router);
        self.outbox.retain(|_, pending| {
            if now.since(pending.since) >= MAX_AGE {
                pending.sinks.retain(|s| router.has(s));
            }
            !pending.sinks.is_empty()
        });
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
        self.forget_strangers();
        self.trim_decisions();
        let mut text = Vec::new();
        for decision in self.decisions.values() {
            write_line(&mut text, &Line::Decision(decision.clone()));
        }
        for Kept { alert, told } in self.alerts.values() {
            let (alert, told) = (Box::new(alert.clone()), told.clone());
            write_line(&mut text, &Line::Kept { alert, told });
        }
        for letter in &self.dead {
            write_line(&mut text, &Line::Dead(Box::new(letter.clone())));
        }
        // Behind what is kept: a revision still to be sent may be an older one.
        for pending in self.pending() {
            let line = Line::Outbox {
                alert: Box::new(pending.alert),
                to: pending.sinks,
                at: pending.since,
            };
            write_line(&mut text, &line);
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
    let (crc, json) = (line.get(..8)?, line.get(8..)?.strip_prefix(b" ")?);
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok()?;
    (crc == crc32fast::hash(json)).then(|| serde_json::from_slice(json).ok())?
}
