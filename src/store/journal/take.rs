//! What each line changes of what is kept.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};

use super::line::Line;
use super::{Entry, Journal, Kept, Pending};
use crate::alert::delivery::DeadLetter;
use crate::alert::{Alert, Incident, wall};
use crate::time::Timestamp;

/// Messages to be delivered at most; past it the oldest become dead letters.
const OUTBOX: usize = 50_000;

/// Dead letters kept at most; past it the oldest go.
const DEAD: usize = 1_000;

impl Journal {
    pub(super) fn take(&mut self, line: Line) {
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
