//! An incident: alerts that are one story, with a time line. Sans-IO and deterministic: alerts come
//! in the total order in which they are raised, and time is packet time.
//!
//! A new alert joins the open incident in which something rang within the quiet time and
//!
//! 1. whose callers include its identity, or
//! 2. that was seen from its client's address (IPv6: the /64), under whatever identity, or
//! 3. that is about its endpoint, where it or the incident names no caller at all, within
//!    [`CROWD`] of its window, or
//! 4. in which the same kind rang at the same endpoint less than [`CROWD`] before: the budget makes
//!    alerts rare, so that many callers who do the same at once have one cause. An alert that names
//!    no endpoint is at any.
//!
//! The first rule that holds decides, and of several incidents the one that rang last. Findings of
//! the catalogue are facts and no attack: they join only their own kind at their host.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Alert, Status, Transition, VERSION};
use crate::detect::{Principal, Severity};
use crate::time::Timestamp;

/// How long callers that do the same are taken for a crowd.
const CROWD: Duration = Duration::from_secs(600);
/// Callers, addresses, endpoints, hosts and detectors that an incident names, of each; past it, it
/// counts callers and endpoints.
const NAMED: usize = 256;
/// Alerts that an incident names; past it, it counts them.
const MEMBERS: usize = 100;
/// Lines of the time line; past it those in the middle go, and are counted.
const LINES: usize = 100;
/// Callers that are a reason for one step of severity more.
const MANY: usize = 10;
/// Kinds of attack that together are: not volume and source, which come with any of them.
const STAGES: [&str; 7] = [
    "scan",
    "enumeration",
    "scraping",
    "credential",
    "authorization",
    "tampering",
    "exfiltration",
];
/// Facts from the catalogue.
const FINDINGS: [&str; 4] = ["shadow", "deprecated", "drift", "exposure"];

/// One line of the time line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Event {
    pub at: Timestamp,
    pub severity: Severity,
    /// The alert's kind; `incident` where it is about the incident as a whole.
    pub kind: String,
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alert: Option<String>,
}

/// What was said of it last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Told {
    pub severity: Option<Severity>,
    pub alerts: u64,
    pub occurrences: u64,
}

/// One item of `/api/v1/incidents`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Incident {
    pub v: u32,
    /// Deterministic: hash of its first alert's.
    pub id: String,
    pub title: String,
    /// The gravest alert's; one step more where kinds combine or many act.
    pub severity: Severity,
    /// Why it is a step more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub escalated: Option<String>,
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status_until: Option<Timestamp>,
    /// In the order in which they came.
    pub kinds: Vec<String>,
    /// What raised its alerts.
    #[serde(default)]
    pub detectors: BTreeSet<String>,
    /// Identities, and addresses where there is none.
    pub callers: BTreeSet<String>,
    /// Callers beyond those named.
    #[serde(default)]
    pub more_callers: u64,
    /// Addresses that they were seen from.
    pub clients: BTreeSet<String>,
    pub endpoints: BTreeSet<String>,
    #[serde(default)]
    pub more_endpoints: u64,
    pub hosts: BTreeSet<String>,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// The highest score of its alerts.
    pub peak: f64,
    pub occurrences: u64,
    /// Alerts in it; the first of them are listed.
    pub count: u64,
    pub alerts: Vec<String>,
    /// Alerts in it that no rule for silence holds for.
    pub loud: u64,
    pub timeline: Vec<Event>,
    /// Lines that had no room, between the halves.
    #[serde(default)]
    pub omitted: u64,
    /// The gravest alert, of which kind and category are told.
    pub lead: String,
    pub kind: String,
    pub owasp: String,
    pub revision: u64,
    pub told: Told,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub changed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub history: Vec<Transition>,
    /// The gravest of the alerts, without the step.
    worst: Severity,
    /// When a kind rang last at an endpoint, or at none.
    #[serde(skip)]
    recent: BTreeMap<(String, Option<String>), Timestamp>,
}

impl Incident {
    /// With nothing in it yet.
    pub(super) fn new(id: String, first: &Alert) -> Self {
        Self {
            v: VERSION,
            id,
            title: String::new(),
            severity: Severity::Info,
            escalated: None,
            status: Status::Open,
            status_until: None,
            kinds: Vec::new(),
            detectors: BTreeSet::new(),
            callers: BTreeSet::new(),
            more_callers: 0,
            clients: BTreeSet::new(),
            endpoints: BTreeSet::new(),
            more_endpoints: 0,
            hosts: BTreeSet::new(),
            first_seen: first.since.min(first.ts),
            last_seen: first.last_seen,
            peak: 0.0,
            occurrences: 0,
            count: 0,
            alerts: Vec::new(),
            loud: 0,
            timeline: Vec::new(),
            omitted: 0,
            lead: first.id.clone(),
            kind: first.kind.clone(),
            owasp: first.owasp.clone(),
            revision: 0,
            told: Told::default(),
            changed_by: None,
            note: None,
            history: Vec::new(),
            worst: Severity::Info,
            recent: BTreeMap::new(),
        }
    }

    /// Which rule lets an alert join, the first being the strongest.
    pub(super) fn rule(&self, a: &Alert, quiet: Duration) -> Option<u8> {
        if self.status.is_settled() || a.last_seen.since(self.last_seen) > quiet {
            return None;
        }
        if self.is_finding() || is_finding(&a.kind) {
            let host = a.host.as_ref().is_some_and(|h| self.hosts.contains(h));
            return (host && self.kind == a.kind).then_some(0);
        }
        let principal = a.principal.clone().unwrap_or_default();
        let at_endpoint = a
            .endpoint
            .as_ref()
            .is_some_and(|e| self.endpoints.contains(e));
        let in_time = a.since.since(self.last_seen) <= CROWD;
        let nobody = a.principal.is_none() || self.callers.is_empty();
        let named = |name: Option<&String>, set: &BTreeSet<String>| {
            name.is_some_and(|name| set.contains(name))
        };
        let rules = [
            named(principal.identity.as_ref(), &self.callers),
            named(principal.client.as_ref(), &self.clients),
            nobody && at_endpoint && in_time,
            self.crowds(a),
        ];
        rules.iter().position(|holds| *holds).map(|at| at as u8)
    }

    fn crowds(&self, a: &Alert) -> bool {
        self.recent.iter().any(|((kind, endpoint), at)| {
            *kind == a.kind
                && (endpoint.is_none() || a.endpoint.is_none() || *endpoint == a.endpoint)
                && a.last_seen.since(*at) <= CROWD
        })
    }

    pub(super) fn is_finding(&self) -> bool {
        is_finding(&self.kind)
    }

    /// Takes an alert in. Returns whether it brought a kind or host that was not there.
    pub(super) fn join(&mut self, a: &Alert) -> bool {
        let is_new = !self.kinds.contains(&a.kind)
            || a.host.as_ref().is_some_and(|h| !self.hosts.contains(h));
        if !self.kinds.contains(&a.kind) {
            self.kinds.push(a.kind.clone());
        }
        name(&mut self.detectors, &a.detector);
        if let Some(who) = a.who() {
            self.more_callers += name(&mut self.callers, who);
        }
        if let Some(client) = a.principal.as_ref().and_then(|p| p.client.as_ref()) {
            name(&mut self.clients, client);
        }
        if let Some(endpoint) = &a.endpoint {
            self.more_endpoints += name(&mut self.endpoints, endpoint);
        }
        if let Some(host) = &a.host {
            name(&mut self.hosts, host);
        }
        self.note_recent(a);
        self.count += 1;
        self.loud += u64::from(a.silenced.is_none());
        if self.alerts.len() < MEMBERS {
            self.alerts.push(a.id.clone());
        }
        self.first_seen = self.first_seen.min(a.since).min(a.ts);
        self.say(Event {
            at: a.ts,
            severity: a.severity,
            kind: a.kind.clone(),
            text: a.summary.clone(),
            alert: Some(a.id.clone()),
        });
        if a.silenced.is_none() {
            self.occurrences += a.occurrences;
        }
        self.weigh(a);
        is_new
    }

    /// Whether it was counted already. The first of its alerts are listed; behind a full list time
    /// tells.
    pub(super) fn has(&self, a: &Alert) -> bool {
        self.alerts.contains(&a.id) || (self.alerts.len() >= MEMBERS && a.ts <= self.last_seen)
    }

    /// What is not kept on disk, of an alert that was counted; its detector, in what was kept before
    /// incidents had any.
    pub(super) fn recall(&mut self, a: &Alert) {
        name(&mut self.detectors, &a.detector);
        self.last_seen = self.last_seen.max(a.last_seen);
        self.note_recent(a);
    }

    /// An alert of it rang again.
    pub(super) fn again(&mut self, a: &Alert, counted: bool) {
        self.occurrences += u64::from(counted);
        if let Some(endpoint) = a.endpoint.as_ref().filter(|_| self.endpoints.len() < NAMED) {
            name(&mut self.endpoints, endpoint);
        }
        self.weigh(a);
    }

    fn note_recent(&mut self, a: &Alert) {
        if self.recent.len() >= NAMED
            && let Some(oldest) = self.recent.iter().min_by_key(|(_, at)| **at)
        {
            let oldest = oldest.0.clone();
            self.recent.remove(&oldest);
        }
        let place = (a.kind.clone(), a.endpoint.clone());
        let at = self.recent.entry(place).or_insert(a.last_seen);
        *at = a.last_seen.max(*at);
    }

    fn weigh(&mut self, a: &Alert) {
        self.last_seen = self.last_seen.max(a.last_seen);
        self.peak = self.peak.max(a.score);
        // What is kept silent makes nothing worse.
        let is_heard = a.silenced.is_none() || self.loud == 0;
        if is_heard && a.severity > self.worst {
            self.worst = a.severity;
            (self.lead, self.kind, self.owasp) = (a.id.clone(), a.kind.clone(), a.owasp.clone());
        }
        let before = self.escalated.take();
        self.escalated = self.step();
        self.severity = match (&self.escalated, self.worst) {
            (None, worst) => worst,
            (_, Severity::Info) => Severity::Low,
            (_, Severity::Low) => Severity::Medium,
            (_, Severity::Medium) => Severity::High,
            (_, Severity::High | Severity::Critical) => Severity::Critical,
        };
        if let Some(why) = self.escalated.clone().filter(|_| before.is_none()) {
            self.say(Event {
                at: a.last_seen,
                severity: self.severity,
                kind: "incident".into(),
                text: format!("severity raised to {}: {why}", self.severity.name()),
                alert: None,
            });
        }
        self.title = if self.count == 1 {
            a.summary.clone()
        } else {
            self.words()
        };
    }

    /// Why it is graver than its alerts.
    fn step(&self) -> Option<String> {
        if self.is_finding() {
            return None;
        }
        let stages: Vec<&str> = STAGES
            .into_iter()
            .filter(|s| self.kinds.iter().any(|k| k == s))
            .collect();
        let callers = self.callers();
        if stages.len() >= 3 || (stages.len() == 2 && stages.contains(&"exfiltration")) {
            return Some(format!("{} together", list(&stages)));
        }
        (callers >= MANY as u64).then(|| format!("{MANY} callers or more"))
    }

    /// Callers named and counted.
    pub fn callers(&self) -> u64 {
        self.callers.len() as u64 + self.more_callers
    }

    /// The title of more than one alert.
    fn words(&self) -> String {
        let kinds: Vec<&str> = self.kinds.iter().map(String::as_str).collect();
        let endpoints = self.endpoints.len() as u64 + self.more_endpoints;
        let hosts: Vec<&str> = self.hosts.iter().map(String::as_str).collect();
        let place = match (endpoints, self.endpoints.first(), hosts.as_slice()) {
            (1, Some(endpoint), _) => format!(" at {endpoint}"),
            (0, _, []) => String::new(),
            (0, _, [host]) => format!(" at {host}"),
            (0, _, hosts) => format!(" at {} hosts", hosts.len()),
            (n, _, [host]) => format!(" at {n} endpoints of {host}"),
            (n, _, _) => format!(" at {n} endpoints"),
        };
        if self.is_finding() {
            return format!("{} findings of {}{place}", self.count, list(&kinds));
        }
        let names: Vec<&str> = self.callers.iter().map(String::as_str).collect();
        let who = match self.callers() {
            0 => format!(", {} alerts", self.count),
            1 | 2 => format!(" by {}", list(&names)),
            n if self.callers == self.clients => format!(" by {n} addresses"),
            n => format!(" by {n} callers"),
        };
        format!("{}{who}{place}", list(&kinds))
    }

    fn say(&mut self, event: Event) {
        if self.timeline.len() >= LINES {
            self.timeline.remove(LINES / 2);
            self.omitted += 1;
        }
        self.timeline.push(event);
    }

    /// Somebody would hear of it.
    pub(super) fn is_wanted(&self) -> bool {
        self.loud > 0 && matches!(self.status, Status::Open | Status::Acknowledged)
    }

    /// It has grown graver, or twice as large, since it was told.
    pub(super) fn is_due(&self) -> bool {
        let told = &self.told;
        self.is_wanted()
            && (told.severity.is_none_or(|s| self.severity > s)
                || self.loud >= 2 * told.alerts
                || self.occurrences >= 2 * told.occurrences)
    }

    /// The next revision: what it is now is what was told.
    pub(super) fn tell(&mut self) {
        self.revision += 1;
        self.told = Told {
            severity: Some(self.severity),
            alerts: self.loud,
            occurrences: self.occurrences,
        };
    }

    /// What sinks are sent: the alert's own evidence while there is one alone, the story after.
    pub(super) fn message(&self, lead: Option<&Alert>) -> Alert {
        let alone = lead.filter(|_| self.count == 1);
        let mut out = alone.cloned().unwrap_or_else(|| self.story(lead));
        out.id.clone_from(&self.id);
        out.incident = Some(self.id.clone());
        out.severity = self.severity;
        out.status = self.status;
        out.status_until = self.status_until;
        out.occurrences = self.occurrences;
        out.last_seen = self.last_seen;
        out.revision = self.revision;
        out.changed_by.clone_from(&self.changed_by);
        out.note.clone_from(&self.note);
        out.silenced = None;
        out.history.clone_from(&self.history);
        out
    }

    fn story(&self, lead: Option<&Alert>) -> Alert {
        let only = |set: &BTreeSet<String>| set.first().filter(|_| set.len() == 1).cloned();
        let caller = only(&self.callers).filter(|_| self.more_callers == 0);
        let client = only(&self.clients);
        let principal = caller.map(|who| Principal {
            identity: Some(who).filter(|who| client.as_ref() != Some(who)),
            client,
        });
        let line = |e: &Event| format!("{} {}: {}", e.at, e.kind, e.text);
        let mut why: Vec<String> = self.timeline.iter().map(line).collect();
        if self.omitted > 0 {
            why.insert(LINES / 2, format!("… and {} more", self.omitted));
        }
        Alert {
            v: VERSION,
            id: self.id.clone(),
            ts: self.timeline.first().map_or(self.first_seen, |e| e.at),
            kind: self.kind.clone(),
            severity: self.severity,
            score: self.peak,
            detector: "incident".into(),
            principal,
            endpoint: only(&self.endpoints),
            host: lead
                .and_then(|a| a.host.clone())
                .or_else(|| self.hosts.first().cloned()),
            since: self.first_seen,
            until: self.last_seen,
            expected: 0.0,
            observed: 0.0,
            p_value: lead.map_or(1.0, |a| a.p_value),
            log10_p: lead.map_or(0.0, |a| a.log10_p),
            summary: self.title.clone(),
            why,
            samples: lead.map_or_else(Vec::new, |a| a.samples.clone()),
            series: Vec::new(),
            parts: Vec::new(),
            evidence: lead.and_then(|a| a.evidence.clone()),
            owasp: self.owasp.clone(),
            status: self.status,
            fingerprint: self.id.clone(),
            occurrences: self.occurrences,
            last_seen: self.last_seen,
            revision: self.revision,
            changed_by: None,
            note: None,
            incident: None,
            status_until: None,
            silenced: None,
            history: Vec::new(),
        }
    }
}

fn is_finding(kind: &str) -> bool {
    FINDINGS.contains(&kind)
}

/// Adds a name while there is room; 1 where there was none.
fn name(set: &mut BTreeSet<String>, text: &str) -> u64 {
    if set.contains(text) {
        return 0;
    }
    if set.len() >= NAMED {
        return 1;
    }
    set.insert(text.to_owned());
    0
}

/// `a, b and c`.
fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
pub(super) mod tests;
