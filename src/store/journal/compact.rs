//! The journal read, and written anew with what is worth keeping.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use super::line::{Line, read_line, write_line};
use super::{Journal, Kept};
use crate::alert::delivery::MAX_AGE;
use crate::alert::{Alert, Incident, wall};
use crate::catalog::{Later, remains, uploads};
use crate::store::{StoreError, io_error};

/// Past this, and twice what is worth keeping, the journal is written anew.
const COMPACT: u64 = 8 << 20;

/// Alerts kept at most, beside those still to be delivered.
const KEEP: usize = 20_000;

/// Incidents kept at most.
const INCIDENTS: usize = 5_000;

/// Rules for silence kept that have ended.
const ENDED: usize = 200;

/// Decisions, and changes of documents, kept as they were taken; older ones as far as they still
/// hold.
const AUDIT: usize = 5_000;

impl Journal {
    pub(super) fn replay(&mut self) -> Result<Vec<String>, StoreError> {
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

    pub(super) fn compact_if_large(&mut self) {
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
    pub(super) fn compact(&mut self) -> Result<(), StoreError> {
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
