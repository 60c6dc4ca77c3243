//! The life of alerts and incidents: what people make of them, and what time does.
//!
//! Acting on an incident acts on its alerts. Acting on an alert changes its incident where all of
//! its alerts are alike then, or where one of a closed incident is open again. Times of people are
//! by the wall, expiries are met by packet time: on a live port they are the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::manager::Manager;
use super::{Alert, Audience, Incident, Status, Transition, remember, same_endpoint};
use crate::time::Timestamp;

/// Who speaks where time does.
pub(super) const SELF: &str = "apitap";
const GOES_ON: &str = "the time is over, and it goes on";
/// The longest that anything is muted.
pub const LONGEST_MUTE: Duration = Duration::from_secs(90 * 86_400);

/// What a person wants an alert or incident to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub status: Status,
    /// Of muted: until when.
    pub until: Option<Timestamp>,
    pub by: String,
    pub note: Option<String>,
    pub at: Timestamp,
}

impl Wanted {
    fn by_itself(status: Status, at: Timestamp, note: &str) -> Self {
        Self {
            status,
            until: None,
            by: SELF.into(),
            note: Some(note.into()),
            at,
        }
    }

    /// Checked, with the expiry that its status has.
    fn settled(&self, dismissal: Duration) -> Result<Self, String> {
        let until = match (self.status, self.until) {
            (Status::Muted, Some(until)) if until.since(self.at) > LONGEST_MUTE => {
                return Err(
                    "it can be muted for 90 days at most; a silence lasts up to a year".into(),
                );
            }
            (Status::Muted, Some(until)) if until > self.at => Some(until),
            (Status::Muted, _) => return Err("say until when, a time that is to come".into()),
            (_, Some(_)) => return Err("only what is muted has a time".into()),
            (Status::FalseAlarm, None) => Some(self.at + dismissal),
            (_, None) => None,
        };
        Ok(Self {
            until,
            ..self.clone()
        })
    }
}

/// The parts that alerts and incidents share.
struct Life<'a> {
    status: &'a mut Status,
    until: &'a mut Option<Timestamp>,
    by: &'a mut Option<String>,
    note: &'a mut Option<String>,
    history: &'a mut Vec<Transition>,
}

impl Life<'_> {
    fn change(self, wanted: &Wanted) {
        let transition = Transition {
            at: wanted.at,
            by: wanted.by.clone(),
            from: *self.status,
            to: wanted.status,
            until: wanted.until,
            note: wanted.note.clone(),
        };
        remember(self.history, transition);
        *self.status = wanted.status;
        *self.until = wanted.until;
        *self.by = Some(wanted.by.clone());
        if wanted.note.is_some() {
            self.note.clone_from(&wanted.note);
        }
    }
}

impl Alert {
    fn change(&mut self, wanted: &Wanted) {
        let life = Life {
            status: &mut self.status,
            until: &mut self.status_until,
            by: &mut self.changed_by,
            note: &mut self.note,
            history: &mut self.history,
        };
        life.change(wanted);
        self.revision += 1;
    }
}

impl Incident {
    fn change(&mut self, wanted: &Wanted) {
        let life = Life {
            status: &mut self.status,
            until: &mut self.status_until,
            by: &mut self.changed_by,
            note: &mut self.note,
            history: &mut self.history,
        };
        life.change(wanted);
    }
}

impl Manager {
    /// A person's decision about an alert. Errors name the alert that is not there, or the status
    /// it already has.
    pub fn set_status(&mut self, id: &str, wanted: &Wanted) -> Result<Alert, String> {
        let wanted = wanted.settled(self.settings.dismissal)?;
        let Some(alert) = self.alerts.get(id) else {
            return Err(format!("there is no alert {id}"));
        };
        is_change(alert.status, alert.status_until, &wanted)?;
        if let Some(other) = self.open.get(&alert.fingerprint).filter(|o| *o != id) {
            return Err(format!("it has rung again since, as alert {other}"));
        }
        let alert = self.change(id, &wanted)?;
        if let Some(incident) = &alert.incident {
            self.follow(incident, &wanted);
        }
        Ok(alert)
    }

    /// The same for an incident and the alerts in it, which are appended to `out`.
    pub fn set_incident(
        &mut self,
        id: &str,
        wanted: &Wanted,
        out: &mut Vec<Alert>,
    ) -> Result<Incident, String> {
        let wanted = wanted.settled(self.settings.dismissal)?;
        let Some(incident) = self.incidents.get(id) else {
            return Err(format!("there is no incident {id}"));
        };
        is_change(incident.status, incident.status_until, &wanted)?;
        for member in self.members(id) {
            let other = self.open.get(&member.fingerprint);
            let is_free = other.is_none_or(|other| *other == member.id);
            if is_free && is_change(member.status, member.status_until, &wanted).is_ok() {
                out.extend(self.change(&member.id, &wanted));
            }
        }
        self.change_incident(id, &wanted);
        let changed = self.incidents.get(id);
        changed
            .map(|i| i.as_ref().clone())
            .ok_or_else(|| format!("there is no incident {id}"))
    }

    /// An endpoint was accepted: that it is shadow is settled.
    pub fn accepted(&mut self, endpoint: &str, by: (&str, Timestamp), out: &mut Vec<Alert>) {
        let is_it = |a: &Alert| {
            let endpoints = a.endpoint.as_deref();
            a.kind == "shadow" && endpoints.is_some_and(|e| same_endpoint(e, endpoint))
        };
        self.resolve(is_it, by, "the endpoint was accepted", out);
    }

    /// The endpoints that something lasting was found of which is not settled.
    pub fn found_of(&self) -> BTreeSet<String> {
        let open = self.alerts.values().filter(|a| !a.status.is_settled());
        let found = open.filter(|a| is_finding(a));
        found.filter_map(|a| a.endpoint.clone()).collect()
    }

    /// A person has merged or split an endpoint, and it is none any more: nor is what was found of
    /// it. What happened there (an attack, say) did happen, and stays.
    pub fn gone(&mut self, endpoint: &str, by: (&str, Timestamp), out: &mut Vec<Alert>) {
        let is_it = |a: &Alert| is_finding(a) && a.endpoint.as_deref() == Some(endpoint);
        let why = "the endpoint is there no longer: its template was changed";
        self.resolve(is_it, by, why, out);
    }

    /// What a person decided elsewhere settles these.
    fn resolve(
        &mut self,
        is_it: impl Fn(&Alert) -> bool,
        (by, at): (&str, Timestamp),
        why: &str,
        out: &mut Vec<Alert>,
    ) {
        let wanted = Wanted {
            status: Status::Resolved,
            until: None,
            by: by.to_owned(),
            note: Some(why.to_owned()),
            at,
        };
        let open = self.alerts.values().filter(|a| !a.status.is_settled());
        let mut ids: Vec<String> = open.filter(|a| is_it(a)).map(|a| a.id.clone()).collect();
        ids.sort();
        for id in ids {
            out.extend(self.set_status(&id, &wanted));
        }
    }

    /// What was muted and goes on comes back when its time is over; what was silent stays as it
    /// is, until it rings. Alerts that come back are appended to `out`.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Alert>) {
        if now < self.wake {
            return;
        }
        let over = |status, until: Option<Timestamp>| {
            status == Status::Muted && until.is_none_or(|until| until <= now)
        };
        let incidents: Vec<String> = (self.incidents.values())
            .filter(|i| over(i.status, i.status_until) && i.occurrences > i.told.occurrences)
            .map(|i| i.id.clone())
            .collect();
        for id in incidents {
            self.come_back(&id, now, out);
        }
        let rang = |a: &Alert| a.history.last().is_some_and(|muted| a.last_seen > muted.at);
        let mut alerts: Vec<String> = (self.alerts.values())
            .filter(|a| over(a.status, a.status_until) && rang(a))
            .map(|a| a.id.clone())
            .collect();
        alerts.sort();
        for id in alerts {
            self.come_back_alone(&id, now, out);
        }
        let later = |until: Option<Timestamp>| until.filter(|until| *until > now);
        let muted = self.alerts.values().filter(|a| a.status == Status::Muted);
        let alerts = muted.filter_map(|a| later(a.status_until));
        let muted = self.incidents.values();
        let muted = muted.filter(|i| i.status == Status::Muted);
        let incidents = muted.filter_map(|i| later(i.status_until));
        self.wake = alerts.chain(incidents).min().unwrap_or(Timestamp::MAX);
        self.expire_silences(now);
    }

    /// A fingerprint rings: what its alert was muted or dismissed for may be over. Alerts that come
    /// back are appended to `out`.
    pub(super) fn expire(&mut self, fingerprint: &str, now: Timestamp, out: &mut Vec<Alert>) {
        let Some(alert) = self
            .open
            .get(fingerprint)
            .and_then(|id| self.alerts.get(id))
        else {
            return;
        };
        let is_over = alert.status_until.is_some_and(|until| until <= now);
        match alert.status {
            // What rings from now on is another alert.
            Status::FalseAlarm if is_over => drop(self.open.remove(fingerprint)),
            Status::Muted if is_over => {
                let (id, incident) = (alert.id.clone(), alert.incident.clone());
                let muted = incident
                    .filter(|i| (self.incidents.get(i)).is_some_and(|i| i.status == Status::Muted));
                if let Some(incident) = muted {
                    self.come_back(&incident, now, out);
                } else {
                    self.come_back_alone(&id, now, out);
                }
            }
            _ => {}
        }
    }

    fn come_back(&mut self, incident: &str, now: Timestamp, out: &mut Vec<Alert>) {
        let wanted = Wanted::by_itself(Status::Open, now, GOES_ON);
        // It is there and muted, so that nothing refuses it.
        let _ = self.set_incident(incident, &wanted, out);
    }

    /// One alert of an incident that is not muted, or one of the sensor.
    fn come_back_alone(&mut self, id: &str, now: Timestamp, out: &mut Vec<Alert>) {
        let wanted = Wanted::by_itself(Status::Open, now, GOES_ON);
        let Ok(alert) = self.set_status(id, &wanted) else {
            return;
        };
        if let Some(there) = alert
            .incident
            .as_ref()
            .and_then(|i| self.incidents.get_mut(i))
        {
            let there = Arc::make_mut(there);
            there.tell();
            let incident = there.id.clone();
            self.owe(&incident, Audience::Everybody);
        }
        out.push(alert);
    }

    fn change(&mut self, id: &str, wanted: &Wanted) -> Result<Alert, String> {
        self.changed();
        let alert = self.alerts.get_mut(id).map(Arc::make_mut);
        let alert = alert.ok_or_else(|| format!("there is no alert {id}"))?;
        alert.change(wanted);
        let alert = alert.clone();
        if wanted.status == Status::Resolved {
            // What comes after is another alert.
            self.open.remove(&alert.fingerprint);
        } else {
            self.open
                .insert(alert.fingerprint.clone(), alert.id.clone());
        }
        self.wake_at(alert.status, alert.status_until);
        Ok(alert)
    }

    fn change_incident(&mut self, id: &str, wanted: &Wanted) {
        self.changed();
        let Some(incident) = self.incidents.get_mut(id).map(Arc::make_mut) else {
            return;
        };
        incident.change(wanted);
        let was_told = incident.told.alerts > 0;
        incident.tell();
        let (status, until) = (incident.status, incident.status_until);
        self.wake_at(status, until);
        let audience = if was_told {
            Audience::Everybody
        } else {
            Audience::Nobody
        };
        self.owe(id, audience);
    }

    /// One alert of an incident has changed.
    fn follow(&mut self, incident: &str, wanted: &Wanted) {
        let Some(there) = self.incidents.get(incident) else {
            return;
        };
        let members = self.members(incident);
        let alike = members.iter().all(|a| a.status == wanted.status);
        let reopened = wanted.status == Status::Open && there.status != Status::Acknowledged;
        if there.status != wanted.status && (alike || reopened) {
            self.change_incident(incident, wanted);
        }
    }

    /// In the order in which they came.
    pub(super) fn members(&self, incident: &str) -> Vec<Arc<Alert>> {
        let is_in = |a: &&Arc<Alert>| a.incident.as_deref() == Some(incident);
        let mut all: Vec<Arc<Alert>> = self.alerts.values().filter(is_in).cloned().collect();
        all.sort_by(|a, b| (a.ts, &a.id).cmp(&(b.ts, &b.id)));
        all
    }

    pub(super) fn wake_at(&mut self, status: Status, until: Option<Timestamp>) {
        if let Some(until) = until.filter(|_| status == Status::Muted) {
            self.wake = self.wake.min(until);
        }
    }
}

/// Of one endpoint, and told again where it is true of another.
fn is_finding(alert: &Alert) -> bool {
    matches!(alert.kind.as_str(), "shadow" | "deprecated" | "drift")
}

fn is_change(now: Status, until: Option<Timestamp>, wanted: &Wanted) -> Result<(), String> {
    let same = now == wanted.status && (now != Status::Muted || until == wanted.until);
    if same && wanted.note.is_none() {
        return Err(format!("it is {} already", now.name()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
