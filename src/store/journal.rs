//! The journal: JSON Lines, each behind the CRC-32 of its text. A torn last line is cut off, a
//! damaged one in the middle is passed over and said.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::deliveries::Deliveries;
use super::{StoreError, io_error};
use crate::access::{AuditView, Record, Trail};
use crate::alert::delivery::{DeadLetter, Delivery, MAX_AGE, Sent};
use crate::alert::route::{About, Router};
use crate::alert::{Alert, Audience, Incident, Notice, Silence, wall};
use crate::catalog::{Decision, Later, NamedView, SpecChange, remains, uploads};
use crate::time::Timestamp;

/// Past this, and twice what is worth keeping, the journal is written anew.
const COMPACT: u64 = 8 << 20;

/// Alerts kept at most, beside those still to be delivered.
const KEEP: usize = 20_000;

/// Incidents kept at most.
const INCIDENTS: usize = 5_000;

/// Messages to be delivered at most; past it the oldest become dead letters.
const OUTBOX: usize = 50_000;

/// Dead letters kept at most; past it the oldest go.
const DEAD: usize = 1_000;

/// Rules for silence kept that have ended.
const ENDED: usize = 200;

/// Decisions, and changes of documents, kept as they were taken; older ones as far as they still
/// hold.
const AUDIT: usize = 5_000;

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
    /// An incident's next revision, and the message that is to be delivered to these.
    Told {
        incident: Box<Incident>,
        message: Box<Alert>,
        to: BTreeSet<String>,
        at: Timestamp,
    },
    /// An incident; these sinks were told of it.
    Incident {
        incident: Box<Incident>,
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
    /// A rule for silence, as it was then.
    Silence(Box<Silence>),
    /// What was sent of an alert or incident, when the journal was written anew.
    Deliveries {
        id: String,
        all: Vec<Delivery>,
    },
    /// A view that was saved, or removed.
    View(NamedView),
    /// A document was uploaded, replaced or taken away; its text lies in a file.
    Spec(Box<SpecChange>),
    /// What somebody changed.
    Audit(Box<Record>),
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

    fn take(&mut self, line: Line) {
        match line {
            Line::Alert(alert) => {
                let sinks = self.targets(&Entry::Send(alert.clone()));
                self.keep(*alert.clone(), &sinks);
                self.queue(Pending {
                    since: wall(),
                    alert: *alert,
                    sinks,
                });
            }
            Line::Queued { alert, to, at } => {
                self.keep(*alert.clone(), &to);
                self.queue(Pending {
                    alert: *alert,
                    sinks: to,
                    since: at,
                });
            }
            Line::Told {
                incident,
                message,
                to,
                at,
            } => {
                self.keep_incident(*incident, &to);
                self.queue(Pending {
                    alert: *message,
                    sinks: to,
                    since: at,
                });
            }
            Line::Incident { incident, told } => self.keep_incident(*incident, &told),
            Line::Outbox { alert, to, at } => {
                let pending = Pending {
                    alert: *alert,
                    sinks: to,
                    since: at,
                };
                let key = (pending.alert.id.clone(), pending.alert.revision);
                (self.deliveries).queued(&key.0, key.1, &pending.sinks, pending.since);
                self.outbox.insert(key, pending);
            }
            Line::Kept { alert, told } => self.keep(*alert, &told),
            Line::Settled {
                sink,
                message,
                dead,
                why,
                at,
            } => {
                let settled = self.strike(&sink, &message);
                match settled {
                    Some(alert) if dead => self.bury(sink, alert, why, at),
                    Some(a) => (self.deliveries).settled(&a.id, a.revision, &sink, at, None),
                    None => {}
                }
            }
            Line::Decision(decision) => {
                self.decisions.insert(decision.id, decision);
            }
            Line::Silence(silence) => {
                self.silences.insert(silence.id.clone(), *silence);
            }
            Line::Deliveries { id, all } => self.deliveries.restore(&id, all),
            Line::View(view) if view.gone => drop(self.views.remove(&view.id)),
            Line::View(view) => drop(self.views.insert(view.id, view)),
            Line::Spec(change) => {
                self.specs.insert(change.id, *change);
            }
            Line::Audit(record) => self.trail.take(*record),
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
                    let again = BTreeSet::from([sink.clone()]);
                    self.deliveries.queued(&key.0, key.1, &again, at);
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

    fn keep(&mut self, alert: Alert, told: &BTreeSet<String>) {
        let (id, revision) = (alert.id.clone(), alert.revision);
        keep(&mut self.alerts, id, alert, told, |was| {
            was.revision > revision
        });
    }

    fn keep_incident(&mut self, incident: Incident, told: &BTreeSet<String>) {
        let (id, revision) = (incident.id.clone(), incident.revision);
        keep(&mut self.incidents, id, incident, told, |was| {
            was.revision > revision
        });
    }

    fn queue(&mut self, pending: Pending) {
        let alert = &pending.alert;
        if !pending.sinks.is_empty() {
            let (id, sinks) = (&alert.id, &pending.sinks);
            (self.deliveries).queued(id, alert.revision, sinks, pending.since);
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
        (self.deliveries).settled(&alert.id, alert.revision, &sink, at, Some(&why));
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

    /// Past the bound settled alerts are forgotten first, then those seen longest ago; never one
    /// that is still to be delivered. Incidents likewise.
    fn trim(&mut self) {
        let waiting: BTreeSet<&String> = self.outbox.keys().map(|(id, _)| id).collect();
        let order = |a: &Alert| (!a.status.is_settled(), a.last_seen);
        trim(&mut self.alerts, KEEP, &waiting, order);
        let order = |i: &Incident| (!i.status.is_settled(), i.last_seen);
        trim(&mut self.incidents, INCIDENTS, &waiting, order);
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

    /// Of rules that have ended the last are kept.
    fn trim_silences(&mut self) {
        let ended = self.silences.values();
        let ended = ended.filter_map(|s| Some((s.ended.as_ref()?.at, s.id.clone())));
        let ended = BTreeSet::from_iter(ended);
        for (_, id) in ended.iter().take(ended.len().saturating_sub(ENDED)) {
            self.silences.remove(id);
        }
    }

    /// Changes of documents past the audit are kept where a version in use rests on them.
    fn trim_specs(&mut self) {
        let surplus = self.specs.len().saturating_sub(AUDIT);
        let in_use = uploads(self.specs.values());
        let in_use = in_use.iter().flat_map(|u| &u.versions);
        let in_use: BTreeSet<u64> = in_use.map(|change| change.id).collect();
        let Some(last) = self.specs.keys().nth(surplus).copied() else {
            return;
        };
        self.specs
            .retain(|id, _| *id >= last || in_use.contains(id));
    }

    /// Writes what is worth keeping to a new file, and puts it in the old one's place.
    fn compact(&mut self) -> Result<(), StoreError> {
        self.trim();
        self.forget_strangers();
        self.trim_decisions();
        self.trim_silences();
        self.trim_specs();
        let mut text = Vec::new();
        for change in self.specs.values() {
            write_line(&mut text, &Line::Spec(Box::new(change.clone())));
        }
        for decision in self.decisions.values() {
            write_line(&mut text, &Line::Decision(decision.clone()));
        }
        for silence in self.silences.values() {
            write_line(&mut text, &Line::Silence(Box::new(silence.clone())));
        }
        for view in self.views.values() {
            write_line(&mut text, &Line::View(view.clone()));
        }
        for record in self.trail.iter() {
            write_line(&mut text, &Line::Audit(Box::new(record.as_ref().clone())));
        }
        for Kept { what, told } in self.alerts.values() {
            let (alert, told) = (Box::new(what.clone()), told.clone());
            write_line(&mut text, &Line::Kept { alert, told });
        }
        for Kept { what, told } in self.incidents.values() {
            let (incident, told) = (Box::new(what.clone()), told.clone());
            write_line(&mut text, &Line::Incident { incident, told });
        }
        let (alerts, incidents) = (&self.alerts, &self.incidents);
        let is_kept = |id: &str| alerts.contains_key(id) || incidents.contains_key(id);
        for (id, all) in self.deliveries.kept(is_kept) {
            let (id, all) = (id.to_owned(), all.to_vec());
            write_line(&mut text, &Line::Deliveries { id, all });
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

/// The later revision, and all who were told of one.
fn keep<T>(
    all: &mut BTreeMap<String, Kept<T>>,
    id: String,
    what: T,
    told: &BTreeSet<String>,
    is_later: impl Fn(&T) -> bool,
) {
    match all.entry(id) {
        Slot::Vacant(slot) => {
            let told = told.clone();
            slot.insert(Kept { what, told });
        }
        Slot::Occupied(mut slot) => {
            let kept = slot.get_mut();
            kept.told.extend(told.iter().cloned());
            if !is_later(&kept.what) {
                kept.what = what;
            }
        }
    }
}

/// Takes out what is first in this order, past the bound, but for what waits.
fn trim<T, O: Ord>(
    all: &mut BTreeMap<String, Kept<T>>,
    bound: usize,
    waiting: &BTreeSet<&String>,
    order: impl Fn(&T) -> O,
) {
    let surplus = all.len().saturating_sub(bound);
    let mut by_order: Vec<(O, &String)> = all
        .iter()
        .map(|(id, kept)| (order(&kept.what), id))
        .collect();
    by_order.sort();
    let first = by_order.into_iter().take(surplus).map(|(_, id)| id);
    let gone: Vec<String> = first.filter(|id| !waiting.contains(id)).cloned().collect();
    for id in gone {
        all.remove(&id);
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
