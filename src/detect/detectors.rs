//! All detectors over one stream of accesses, with their bounded tables.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use super::budget::Family;
use super::stats::log10_trials_tail;
use super::tally::{Peers, Tally};
use super::volume::Volume;
use super::{Principal, Settings, Severity, Timestamp, Verdict, VerdictKind};
use crate::catalog::{Access, Change, EndpointId, NodeId, RestoreError};
use crate::exchange::Exchange;

const VERSION: u8 = 1;
const HASH: FixedState = FixedState::with_seed(0x64_65_74_65_63_74);
/// Tallies kept for each principal that is followed.
const TALLIES: usize = 4;
/// Window of the target-side walk, in seconds.
const WALK: i64 = 900;

/// What a tally counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Subject {
    /// Object ids at a path template.
    Objects(NodeId),
    /// Queries (pages, searches) at one.
    Queries(NodeId),
    /// Paths that nothing stands behind.
    Missing,
    /// User names of refused logins.
    Logins,
    /// Requests of any kind.
    Requests,
}

/// Ids asked for at one template by different callers in turn.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Walk {
    window: i64,
    recent: [(u64, u64); 4],
    at: usize,
    steps: u64,
    small: u64,
    /// The same in all windows before.
    usual: (f64, f64),
    check: u64,
    rang: bool,
    since: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct State {
    started: Option<Timestamp>,
    now: Timestamp,
    /// Identities that were answered with success, by the hour they were last seen.
    known: HashMap<u64, i64, FixedState>,
    tallies: HashMap<(u64, Subject), (i64, Tally), FixedState>,
    peers: BTreeMap<Subject, Peers>,
    volumes: BTreeMap<EndpointId, Volume>,
    failures: BTreeMap<EndpointId, Volume>,
    walks: BTreeMap<NodeId, Walk>,
    families: BTreeMap<VerdictKind, Family>,
}

/// All detectors.
pub struct Detect {
    settings: Settings,
    state: State,
}

impl Detect {
    pub fn new(settings: Settings) -> Self {
        let state = State {
            started: None,
            now: Timestamp::MIN,
            known: HashMap::with_hasher(HASH),
            tallies: HashMap::with_hasher(HASH),
            peers: BTreeMap::new(),
            volumes: BTreeMap::new(),
            failures: BTreeMap::new(),
            walks: BTreeMap::new(),
            families: BTreeMap::new(),
        };
        Self { settings, state }
    }

    /// Takes one exchange with what the catalogue made of it, in total order.
    pub fn apply(&mut self, access: &Access, x: &Exchange, out: &mut Vec<Verdict>) {
        let at = x.end;
        self.state.now = self.state.now.max(at);
        self.state.started.get_or_insert(at);
        if x.method.is_none() {
            return;
        }
        let who = self.principal(x);
        if let Some(endpoint) = access.endpoint {
            self.volume(endpoint, at, out);
            let refused = matches!(x.status, Some(400 | 401 | 403 | 422));
            if access.login && refused {
                self.login_failures(endpoint, at, out);
            }
        }
        for (subject, item, number) in subjects(access, x).into_iter().flatten() {
            self.tally(subject, item, number, &who, access, x, out);
        }
        if let (Some(node), Some(number)) = (access.node, access.object.and_then(|o| o.number)) {
            self.walk(node, number, who.0, access, x, out);
        }
    }

    /// Detector state follows the inventory.
    pub fn change(&mut self, change: &Change) {
        let state = &mut self.state;
        match *change {
            // The kept endpoint's own baseline stands; the merged one's was a part of it.
            Change::Merged { from, .. } | Change::Evicted(from) => {
                state.volumes.remove(&from);
                state.failures.remove(&from);
            }
            Change::NodeMerged { from, .. } => {
                state.walks.remove(&from);
                state.peers.remove(&Subject::Objects(from));
                state.peers.remove(&Subject::Queries(from));
            }
            Change::Found(_) => {}
        }
    }

    /// Keeps the tables within their budgets.
    pub fn tick(&mut self, now: Timestamp, _out: &mut [Verdict]) {
        self.state.now = self.state.now.max(now);
        let room = self.settings.max_principals;
        if self.state.known.len() > room {
            let oldest = cutoff(self.state.known.values().copied(), room * 3 / 4);
            self.state.known.retain(|_, hour| *hour > oldest);
        }
        if self.state.tallies.len() > room * TALLIES {
            let oldest = cutoff(
                self.state.tallies.values().map(|(seen, _)| *seen),
                room * TALLIES * 3 / 4,
            );
            self.state.tallies.retain(|_, (seen, _)| *seen > oldest);
        }
    }

    pub fn save(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        // Serialising to memory fails only for types that postcard cannot hold, and State is none.
        out.extend(postcard::to_stdvec(&self.state).unwrap_or_default());
        out
    }

    pub fn restore(settings: Settings, saved: &[u8]) -> Result<Self, RestoreError> {
        let fail = |why: String| RestoreError {
            what: "baselines",
            why,
        };
        match saved.split_first() {
            Some((&VERSION, rest)) => {
                let state = postcard::from_bytes(rest).map_err(|e| fail(e.to_string()))?;
                Ok(Self { settings, state })
            }
            Some((other, _)) => Err(fail(format!("its version {other} is not {VERSION}"))),
            None => Err(fail("it is empty".into())),
        }
    }

    /// Callers followed now.
    pub fn principals(&self) -> usize {
        self.state.known.len()
    }

    /// The identity where it was ever answered with success, else the address (of IPv6 the /64).
    fn principal(&mut self, x: &Exchange) -> (u64, Principal) {
        let client = match x.client {
            IpAddr::V4(v4) => u64::from(v4.to_bits()),
            IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
        };
        let mut who = Principal {
            identity: None,
            client: Some(x.client.to_string()),
        };
        if let Some(identity) = &x.identity {
            let hash = HASH.hash_one(identity.as_bytes());
            let hour = x.end.secs().div_euclid(3_600);
            let good = x.status.is_some_and(|s| s < 400);
            let known = self
                .state
                .known
                .get_mut(&hash)
                .map(|seen| *seen = hour)
                .is_some();
            if known || good {
                if !known {
                    self.state.known.insert(hash, hour);
                }
                who.identity = Some(identity.to_string());
                return (hash, who);
            }
        }
        (HASH.hash_one(client), who)
    }

    fn learning(&self, at: Timestamp) -> bool {
        self.state
            .started
            .is_none_or(|t| at < t + self.settings.learning)
    }

    /// Counts a test of a family; true where `log10_p` is below the bar and learning is over.
    fn rings(&mut self, kind: VerdictKind, at: Timestamp, log10_p: f64) -> bool {
        /// Enumeration, scraping, scan, credential, volume.
        const FAMILIES: f64 = 5.0;
        let share = self.settings.false_alarms_per_week / FAMILIES;
        let bar = self
            .state
            .families
            .entry(kind)
            .or_insert_with(Family::new)
            .test(at, share);
        !self.learning(at) && log10_p <= bar
    }

    fn volume(&mut self, endpoint: EndpointId, at: Timestamp, out: &mut Vec<Verdict>) {
        let Some(test) = self
            .state
            .volumes
            .entry(endpoint)
            .or_insert_with(|| Volume::new(at))
            .add(at)
        else {
            return;
        };
        if !self.rings(VerdictKind::Volume, at, test.log10_p)
            || (test.observed as f64) < 3.0 * test.expected
        {
            return;
        }
        let Some(volume) = self.state.volumes.get_mut(&endpoint).filter(|_| true) else {
            return;
        };
        if !volume.ring() {
            return;
        }
        let mut v = verdict(VerdictKind::Volume, Severity::Medium, "volume-endpoint", at);
        v.endpoint = Some(endpoint);
        v.series = volume.series();
        v.summary = format!(
            "{} requests in five minutes where {:.0} are usual at this hour",
            test.observed, test.expected
        );
        v.why = vec![format!(
            "the learnt mean is {:.1} requests in five minutes",
            test.expected
        )];
        v.owasp = "API4:2023".into();
        out.push(fill(
            v,
            test.since,
            test.expected,
            test.observed as f64,
            test.log10_p,
        ));
    }

    fn login_failures(&mut self, endpoint: EndpointId, at: Timestamp, out: &mut Vec<Verdict>) {
        let Some(test) = self
            .state
            .failures
            .entry(endpoint)
            .or_insert_with(|| Volume::new(at))
            .add(at)
        else {
            return;
        };
        if !self.rings(VerdictKind::Credential, at, test.log10_p)
            || (test.observed as f64) < 3.0 * test.expected
        {
            return;
        }
        let Some(volume) = self.state.failures.get_mut(&endpoint) else {
            return;
        };
        if !volume.ring() {
            return;
        }
        let mut v = verdict(
            VerdictKind::Credential,
            Severity::High,
            "login-failures",
            at,
        );
        v.endpoint = Some(endpoint);
        v.series = volume.series();
        v.summary = format!(
            "{} refused logins in five minutes where {:.1} are usual",
            test.observed, test.expected
        );
        v.why = vec!["from many addresses together: no single caller stands out".into()];
        v.owasp = "API2:2023".into();
        out.push(fill(
            v,
            test.since,
            test.expected,
            test.observed as f64,
            test.log10_p,
        ));
    }

    #[allow(clippy::too_many_arguments)] // one event's parts
    fn tally(
        &mut self,
        subject: Subject,
        item: u64,
        number: Option<u64>,
        who: &(u64, Principal),
        access: &Access,
        x: &Exchange,
        out: &mut Vec<Verdict>,
    ) {
        let at = x.end;
        let peers = self.state.peers.entry(subject).or_default();
        let entry = self
            .state
            .tallies
            .entry((who.0, subject))
            .or_insert_with(|| (0, Tally::new(at)));
        entry.0 = at.secs();
        let missed = matches!(x.status, Some(404 | 403 | 410));
        let Some(mut test) = entry.1.add(at, item, number, missed, peers, || sample(x)) else {
            return;
        };
        let (requests, misses, since) = (entry.1.requests, entry.1.misses, entry.1.first);
        if matches!(subject, Subject::Objects(_)) {
            // Callers have a stale link now and then: one in twenty is no evidence.
            let share = misses as f64 / requests as f64;
            if share > 0.05 {
                test.log10_p += log10_trials_tail(misses, requests, 0.05).max(-40.0) / 2.0;
            }
        }
        let kind = kind_of(subject);
        if !self.rings(kind, at, test.log10_p) || (test.observed as f64) < 2.0 * test.expected {
            return;
        }
        let Some((_, tally)) = self.state.tallies.get_mut(&(who.0, subject)) else {
            return;
        };
        if !tally.ring() {
            return;
        }
        let samples = tally.samples.clone();
        let mut v = verdict(kind, severity_of(subject), detector_of(subject), at);
        v.principal = Some(who.1.clone());
        v.endpoint = access
            .endpoint
            .filter(|_| !matches!(subject, Subject::Missing | Subject::Requests));
        v.summary = summary_of(subject, test.observed, test.expected);
        v.why = vec![format!(
            "this caller and its peers ask for {:.0} an hour here at most",
            test.expected
        )];
        if let Some(share) = test.small_steps {
            v.why.push(format!(
                "{:.0} % of the ids are a small step from the one before",
                share * 100.0
            ));
        }
        if misses > 0 {
            v.why.push(format!(
                "{misses} of {requests} requests were answered 403, 404 or 410"
            ));
        }
        v.samples = samples;
        v.owasp = owasp_of(subject).into();
        out.push(fill(
            v,
            since,
            test.expected,
            test.observed as f64,
            test.log10_p,
        ));
    }

    /// A walk spread over many callers: ids in order, asked for by one after the other.
    fn walk(
        &mut self,
        node: NodeId,
        number: u64,
        who: u64,
        access: &Access,
        x: &Exchange,
        out: &mut Vec<Verdict>,
    ) {
        let at = x.end;
        let walk = self.state.walks.entry(node).or_default();
        let window = at.secs().div_euclid(WALK);
        if window != walk.window {
            if !walk.rang {
                walk.usual = (
                    walk.usual.0 * 0.999 + walk.small as f64,
                    walk.usual.1 * 0.999 + walk.steps as f64,
                );
            }
            (
                walk.window,
                walk.steps,
                walk.small,
                walk.check,
                walk.rang,
                walk.since,
            ) = (window, 0, 0, 12, false, at);
        }
        let others = walk
            .recent
            .iter()
            .filter(|(n, w)| *w != who && *w != 0 && *n != number);
        let near = others.clone().any(|(n, _)| n.abs_diff(number) <= 8);
        walk.steps += u64::from(others.count() > 0);
        walk.small += u64::from(near);
        walk.recent[walk.at] = (number, who);
        walk.at = (walk.at + 1) % walk.recent.len();
        if walk.small < walk.check || walk.rang {
            return;
        }
        walk.check = walk.small + walk.small / 4 + 1;
        let usual = ((walk.usual.0 + 1.0) / (walk.usual.1 + 20.0)).clamp(0.02, 0.9);
        let (small, steps, since) = (walk.small, walk.steps, walk.since);
        let log10_p = log10_trials_tail(small, steps, usual);
        if !self.rings(VerdictKind::Enumeration, at, log10_p) {
            return;
        }
        if let Some(walk) = self.state.walks.get_mut(&node) {
            walk.rang = true;
        }
        let mut v = verdict(
            VerdictKind::Enumeration,
            Severity::High,
            "enumeration-distributed",
            at,
        );
        v.endpoint = access.endpoint;
        v.summary =
            format!("{small} of {steps} ids follow closely on an id that another caller asked for");
        v.why = vec![
            format!("{:.0} % do so usually", usual * 100.0),
            "the walk is spread over several callers".into(),
        ];
        v.samples = vec![sample(x)];
        v.owasp = "API1:2023".into();
        out.push(fill(v, since, usual * steps as f64, small as f64, log10_p));
    }
}

/// What an exchange counts towards: subject, item, number.
fn subjects(access: &Access, x: &Exchange) -> [Option<(Subject, u64, Option<u64>)>; 3] {
    let hash = |text: Option<&str>| HASH.hash_one(text.unwrap_or_default());
    let path = hash(x.path.as_deref());
    let answered_no = matches!(x.status, Some(400..=405 | 410 | 501));
    let place = match (access.node, access.object) {
        (Some(node), Some(object)) => Some((Subject::Objects(node), object.hash, object.number)),
        (Some(node), None) => x
            .query
            .as_deref()
            .map(|q| (Subject::Queries(node), hash(Some(q)), None)),
        (None, _) if answered_no => Some((Subject::Missing, path, None)),
        _ => None,
    };
    let refused = access.login && matches!(x.status, Some(400 | 401 | 403 | 422));
    let login = refused.then(|| (Subject::Logins, hash(x.login.as_deref()), None));
    // Each request an item of its own.
    let request = (Subject::Requests, HASH.hash_one((x.ts.nanos(), path)), None);
    [place, login, Some(request)]
}

fn kind_of(subject: Subject) -> VerdictKind {
    match subject {
        Subject::Objects(_) => VerdictKind::Enumeration,
        Subject::Queries(_) => VerdictKind::Scraping,
        Subject::Missing => VerdictKind::Scan,
        Subject::Logins => VerdictKind::Credential,
        Subject::Requests => VerdictKind::Volume,
    }
}

fn detector_of(subject: Subject) -> &'static str {
    match subject {
        Subject::Objects(_) => "enumeration-objects",
        Subject::Queries(_) => "scraping-queries",
        Subject::Missing => "scan-paths",
        Subject::Logins => "credential-names",
        Subject::Requests => "volume-principal",
    }
}

fn severity_of(subject: Subject) -> Severity {
    match subject {
        Subject::Objects(_) | Subject::Logins => Severity::High,
        Subject::Queries(_) | Subject::Missing | Subject::Requests => Severity::Medium,
    }
}

fn owasp_of(subject: Subject) -> &'static str {
    match subject {
        Subject::Objects(_) => "API1:2023",
        Subject::Queries(_) | Subject::Requests => "API4:2023",
        Subject::Missing => "API9:2023",
        Subject::Logins => "API2:2023",
    }
}

fn summary_of(subject: Subject, observed: u64, expected: f64) -> String {
    let what = match subject {
        Subject::Objects(_) => "different objects",
        Subject::Queries(_) => "different queries",
        Subject::Missing => "paths that nothing stands behind",
        Subject::Logins => "user names at refused logins",
        Subject::Requests => "requests",
    };
    format!("one caller, {observed} {what} within the hour where {expected:.0} are usual")
}

fn verdict(kind: VerdictKind, severity: Severity, detector: &str, at: Timestamp) -> Verdict {
    Verdict {
        at,
        kind,
        severity,
        score: 0.0,
        detector: detector.to_owned(),
        principal: None,
        endpoint: None,
        since: at,
        until: at,
        expected: 0.0,
        observed: 0.0,
        log10_p: 0.0,
        summary: String::new(),
        why: Vec::new(),
        samples: Vec::new(),
        series: Vec::new(),
        owasp: String::new(),
    }
}

fn fill(mut v: Verdict, since: Timestamp, expected: f64, observed: f64, log10_p: f64) -> Verdict {
    (v.since, v.expected, v.observed, v.log10_p) = (since.min(v.at), expected, observed, log10_p);
    // 0 at p = 1, 100 at 10^-100.
    v.score = (-log10_p).clamp(0.0, 100.0);
    v
}

/// Method, path and status; the query stays out, it may hold anything.
fn sample(x: &Exchange) -> String {
    let text = |t: &Option<compact_str::CompactString>| {
        t.as_deref()
            .unwrap_or("-")
            .chars()
            .take(120)
            .collect::<String>()
    };
    let status = x
        .status
        .map_or_else(|| "no response".into(), |s| s.to_string());
    format!("{} {} → {status}", text(&x.method), text(&x.path))
}

/// The value below which all but `keep` lie.
fn cutoff(values: impl Iterator<Item = i64>, keep: usize) -> i64 {
    let mut all: Vec<i64> = values.collect();
    let at = all.len().saturating_sub(keep);
    if at == 0 || all.is_empty() {
        return i64::MIN;
    }
    *all.select_nth_unstable(at - 1).1
}
