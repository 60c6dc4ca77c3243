//! Alerts by fingerprint: new, revised, or nothing worth telling again; and the incidents that they
//! join. Sans-IO and deterministic.
//!
//! An alert is kept, an incident is told: see [`Incident`] for what joins, and [`Notice`] for what
//! goes out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::silence::{Silence, Silences};
use super::{Alert, AlertsView, Audience, Evidence, Incident, Notice, Settings, Status};
use crate::detect::Place;
use crate::time::Timestamp;

/// Detectors say by the hour that something still goes on; half as long again without a word, and it
/// is over.
const OVER: Duration = Duration::from_secs(90 * 60);

/// Where everything that was raised ended: `raised` is the sum of the others but `evicted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub raised: u64,
    pub opened: u64,
    /// Worse, or twice as often.
    pub revised: u64,
    /// Counted on the alert, and nothing else.
    pub duplicate: u64,
    /// What a rule keeps silent.
    pub silenced: u64,
    /// On a muted alert or incident.
    pub muted: u64,
    /// On what a person called a false alarm.
    pub dismissed: u64,
    /// Put out by the budget.
    pub evicted: u64,
}

impl Counts {
    /// What the ledger calls analysed, and what it ignores by reason.
    pub fn ignored(&self) -> [(&'static str, u64); 4] {
        [
            ("duplicate", self.duplicate),
            ("silenced", self.silenced),
            ("muted", self.muted),
            ("false-alarm", self.dismissed),
        ]
    }
}

pub struct Manager {
    pub(super) settings: Settings,
    /// By id.
    pub(super) alerts: HashMap<String, Arc<Alert>>,
    /// The alert of a fingerprint that is not resolved yet.
    pub(super) open: HashMap<String, String>,
    /// Occurrences at which an alert was revised last.
    told: HashMap<String, u64>,
    pub(super) incidents: BTreeMap<String, Arc<Incident>>,
    /// Incidents with something to tell.
    due: BTreeMap<String, Audience>,
    /// Alerts that came back by themselves while others were raised.
    back: Vec<Alert>,
    pub(super) silences: Silences,
    /// Rules whose time was over.
    pub(super) over: Vec<Silence>,
    /// Nothing that was muted comes back before, and no rule ends.
    pub(super) wake: Timestamp,
    pub(super) counts: Counts,
    view: Option<Arc<AlertsView>>,
}

impl Manager {
    pub fn new(settings: Settings) -> Self {
        let silences = Silences::new(&settings.silences);
        Self {
            settings,
            wake: silences.next_end(),
            silences,
            over: Vec::new(),
            alerts: HashMap::new(),
            open: HashMap::new(),
            told: HashMap::new(),
            incidents: BTreeMap::new(),
            due: BTreeMap::new(),
            back: Vec::new(),
            counts: Counts::default(),
            view: None,
        }
    }

    /// Takes back what the store kept. An alert that is on disk without its incident, as a crash
    /// may leave it, is joined again; what was not told is due.
    pub fn restore(&mut self, mut alerts: Vec<Alert>, incidents: Vec<Incident>) {
        for incident in incidents {
            self.wake_at(incident.status, incident.status_until);
            self.incidents
                .insert(incident.id.clone(), Arc::new(incident));
        }
        alerts.sort_by(|a, b| (a.ts, &a.id).cmp(&(b.ts, &b.id)));
        for mut alert in alerts {
            self.rejoin(&mut alert);
            if alert.status != Status::Resolved {
                self.open
                    .insert(alert.fingerprint.clone(), alert.id.clone());
            }
            self.wake_at(alert.status, alert.status_until);
            self.told.insert(alert.id.clone(), alert.occurrences);
            self.alerts.insert(alert.id.clone(), Arc::new(alert));
        }
        let ids: Vec<String> = self.incidents.keys().cloned().collect();
        ids.iter().for_each(|id| self.judge(id, false));
        self.make_room();
        self.view = None;
    }

    fn rejoin(&mut self, alert: &mut Alert) {
        let known = alert.incident.as_ref();
        if let Some(there) = known.and_then(|id| self.incidents.get_mut(id)) {
            let there = Arc::make_mut(there);
            if there.has(alert) {
                return there.recall(alert);
            }
        }
        let is_old = known.is_none();
        self.join(alert);
        // From before there were incidents: it was told, and is what it was made.
        if let Some(there) = alert.incident.as_ref().filter(|_| is_old)
            && let Some(there) = self.incidents.get_mut(there).map(Arc::make_mut)
        {
            there.tell();
            if there.count == 1 {
                (there.status, there.status_until) = (alert.status, alert.status_until);
            }
            self.due.remove(&there.id);
        }
    }

    /// Alerts and incidents kept, each with what is kept at most.
    pub fn kept(&self) -> [(usize, usize); 2] {
        [
            (self.alerts.len(), self.settings.max_alerts),
            (self.incidents.len(), self.settings.max_incidents),
        ]
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What did not ring for a while is over: what rings now is another event, and another alert. A
    /// person's word on it (muted, a false alarm) goes on.
    pub(super) fn end_quiet(&mut self, fingerprint: &str, at: Timestamp) {
        let known = self.open.get(fingerprint);
        let Some(known) = known.and_then(|id| self.alerts.get(id)) else {
            return;
        };
        let heard = matches!(known.status, Status::Open | Status::Acknowledged);
        if heard && at.since(known.last_seen) > OVER {
            self.open.remove(fingerprint);
        }
    }

    pub(super) fn take(&mut self, mut new: Alert) -> Option<Alert> {
        self.counts.raised += 1;
        self.view = None;
        let mut back = std::mem::take(&mut self.back);
        self.expire(&new.fingerprint, new.ts, &mut back);
        self.back = back;
        new.silenced = self.silences.keeps(&new);
        if let Some(id) = self.open.get(&new.fingerprint).cloned() {
            return self.again(&id, new);
        }
        new.id = fingerprint(&[&new.fingerprint, &new.ts.nanos().to_string()]);
        self.join(&mut new);
        match new.status {
            _ if new.silenced.is_some() => self.counts.silenced += 1,
            Status::Muted => self.counts.muted += 1,
            _ => self.counts.opened += 1,
        }
        self.open.insert(new.fingerprint.clone(), new.id.clone());
        self.told.insert(new.id.clone(), 1);
        self.alerts.insert(new.id.clone(), Arc::new(new.clone()));
        self.make_room();
        Some(new)
    }

    /// Finds or makes the incident of a new alert.
    fn join(&mut self, new: &mut Alert) {
        if new.kind == "sensor" {
            return;
        }
        let id = new.incident.clone().or_else(|| self.place(new));
        let made = ["incident", &new.id, &new.occurrences.to_string()];
        let id = id.unwrap_or_else(|| fingerprint(&made));
        new.incident = Some(id.clone());
        let made = || Arc::new(Incident::new(id.clone(), new));
        let incident = Arc::make_mut(self.incidents.entry(id.clone()).or_insert_with(made));
        if incident.status == Status::Muted {
            (new.status, new.status_until) = (Status::Muted, incident.status_until);
        }
        let is_new = incident.join(new);
        self.judge(&id, is_new);
    }

    /// The incident that an alert belongs to: by the strongest rule, then the latest.
    fn place(&self, new: &Alert) -> Option<String> {
        let quiet = self.settings.quiet;
        let fit = self.incidents.values().filter_map(|i| {
            let rule = i.rule(new, quiet)?;
            Some((rule, Reverse(i.last_seen), &i.id))
        });
        fit.min().map(|(_, _, id)| id.clone())
    }

    /// Whether an incident is to be told now; `is_new`: at least to those who were not told yet.
    fn judge(&mut self, id: &str, is_new: bool) {
        let Some(incident) = self.incidents.get_mut(id).map(Arc::make_mut) else {
            return;
        };
        if incident.is_due() {
            incident.tell();
            self.owe(id, Audience::Everybody);
        } else if is_new && incident.is_wanted() && incident.told.alerts > 0 {
            incident.revision += 1;
            self.owe(id, Audience::Newcomers);
        }
    }

    pub(super) fn owe(&mut self, id: &str, audience: Audience) {
        let owed = self.due.entry(id.to_owned()).or_insert(audience);
        *owed = audience.max(*owed);
    }

    /// It rang again.
    fn again(&mut self, id: &str, new: Alert) -> Option<Alert> {
        let known = self.alerts.get_mut(id).map(Arc::make_mut)?;
        let worse = new.severity > known.severity || new.score >= 2.0 * known.score.max(1.0);
        known.occurrences += 1;
        let told = self.told.entry(known.id.clone()).or_insert(1);
        let tell = worse || known.occurrences >= 2 * *told;
        known.last_seen = known.last_seen.max(new.ts);
        known.until = known.until.max(new.until);
        if new.score >= known.score {
            (known.severity, known.score) = (known.severity.max(new.severity), new.score);
            (known.expected, known.observed) = (new.expected, new.observed);
            (known.p_value, known.log10_p) = (new.p_value, new.log10_p);
            (known.summary, known.why) = (new.summary, new.why);
            // Of a host's alert it is the worst place, which may be another by now.
            known.endpoint = new.endpoint.or_else(|| known.endpoint.take());
            (known.samples, known.series) = (new.samples, new.series);
            known.parts = new.parts;
        }
        let span = (known.since, known.until);
        known.evidence = match known.evidence.take() {
            Some(old) => old.joined(new.evidence, span, known.endpoint.as_deref()),
            None => new.evidence,
        };
        if tell {
            *told = known.occurrences;
            known.revision += 1;
        }
        let got_loud = known.silenced.is_some() && new.silenced.is_none();
        known.silenced = new.silenced;
        let is_heard =
            known.silenced.is_none() && matches!(known.status, Status::Open | Status::Acknowledged);
        let count = match known.status {
            _ if known.silenced.is_some() => &mut self.counts.silenced,
            Status::Muted => &mut self.counts.muted,
            Status::FalseAlarm => &mut self.counts.dismissed,
            _ if tell => &mut self.counts.revised,
            _ => &mut self.counts.duplicate,
        };
        *count += 1;
        let mut known = known.clone();
        self.tell_of(&mut known, is_heard, got_loud);
        // What is sent by itself is not sent while nobody wants it.
        (tell && (is_heard || known.incident.is_some())).then_some(known)
    }

    /// Says where the packets of an alert just raised are, where that is not in what raised it.
    pub fn locate(&mut self, mut alert: Alert, place: &Place) -> Alert {
        let span = (alert.since, alert.until);
        alert.evidence = Evidence::of(place, span, alert.endpoint.as_deref());
        if let Some(kept) = self.alerts.get_mut(&alert.id) {
            Arc::make_mut(kept).evidence.clone_from(&alert.evidence);
        }
        alert
    }

    /// The incident of an alert that rang again.
    fn tell_of(&mut self, known: &mut Alert, is_heard: bool, got_loud: bool) {
        let Some(id) = known.incident.clone() else {
            return;
        };
        match self.incidents.get_mut(&id).map(Arc::make_mut) {
            Some(there) => {
                there.loud += u64::from(got_loud);
                let is_muted = there.status == Status::Muted && known.silenced.is_none();
                let counted = is_heard || is_muted;
                there.again(known, counted);
                self.judge(&id, false);
            }
            // Put out by the budget, and it is still going on.
            None => {
                known.incident = None;
                self.join(known);
                self.alerts
                    .insert(known.id.clone(), Arc::new(known.clone()));
                self.make_room();
            }
        }
    }

    /// Alerts that came back by themselves, since the last call.
    pub fn came_back(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.back)
    }

    /// What is to be put on disk and told, since the last call.
    pub fn notices(&mut self) -> Vec<Notice> {
        let due = std::mem::take(&mut self.due);
        let notice = |(id, audience): (String, Audience)| {
            let incident = self.incidents.get(&id)?;
            let lead = self.alerts.get(&incident.lead);
            Some(Notice {
                message: incident.message(lead.map(AsRef::as_ref)),
                incident: incident.as_ref().clone(),
                audience,
            })
        };
        due.into_iter().filter_map(notice).collect()
    }

    pub(super) fn changed(&mut self) {
        self.view = None;
    }

    /// Newest first.
    pub fn view(&mut self) -> Arc<AlertsView> {
        if let Some(view) = &self.view {
            return view.clone();
        }
        let mut alerts: Vec<Arc<Alert>> = self.alerts.values().cloned().collect();
        alerts.sort_by(|a, b| (b.ts, &a.id).cmp(&(a.ts, &b.id)));
        let mut incidents: Vec<Arc<Incident>> = self.incidents.values().cloned().collect();
        incidents.sort_by(|a, b| (b.last_seen, &a.id).cmp(&(a.last_seen, &b.id)));
        let view = Arc::new(AlertsView {
            alerts,
            incidents,
            silences: self.silences.view(),
            evicted: self.counts.evicted,
        });
        self.view = Some(view.clone());
        view
    }

    /// Past the budget settled ones go first, then the least severe, oldest first; some more than
    /// needed, so that a flood does not sort them all for each.
    fn make_room(&mut self) {
        let surplus = surplus(self.incidents.len(), self.settings.max_incidents);
        if surplus > 0 {
            let all = self.incidents.values();
            let order = all.map(|i| {
                (
                    !i.status.is_settled(),
                    i.severity,
                    i.last_seen,
                    i.id.clone(),
                )
            });
            for (.., id) in BTreeSet::from_iter(order).into_iter().take(surplus) {
                self.incidents.remove(&id);
                self.due.remove(&id);
            }
        }
        let surplus = self::surplus(self.alerts.len(), self.settings.max_alerts);
        if surplus == 0 {
            return;
        }
        let all = self.alerts.values();
        let order = all.map(|a| {
            (
                !a.status.is_settled(),
                a.severity,
                a.last_seen,
                a.id.clone(),
            )
        });
        for (.., id) in BTreeSet::from_iter(order).into_iter().take(surplus) {
            if let Some(gone) = self.alerts.remove(&id) {
                self.told.remove(&id);
                if self.open.get(&gone.fingerprint) == Some(&id) {
                    self.open.remove(&gone.fingerprint);
                }
                self.counts.evicted += 1;
            }
        }
    }
}

fn surplus(now: usize, budget: usize) -> usize {
    match now.saturating_sub(budget) {
        0 => 0,
        over => over + budget / 64,
    }
}

/// The same parts, the same text, in every process.
pub(super) fn fingerprint(parts: &[&str]) -> String {
    let digest = Sha256::digest(parts.join("\0"));
    digest[..10].iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests;
