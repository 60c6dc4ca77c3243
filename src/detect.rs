//! Baselines, tests and scores: who does what the past does not explain.
//!
//! Sans-IO and deterministic; time is packet time. Detectors read the catalogue's [`Access`] with
//! the exchange and answer with a [`Verdict`]. One number is set by a person, the false alarms a
//! week one will bear; each detector's bar follows from it.

mod abuse;
mod authorization;
mod automation;
mod band;
mod bloom;
mod budget;
mod counter;
mod countries;
mod credential;
mod cusum;
mod distinct;
mod drift;
mod enumeration;
mod evidence;
mod exfiltration;
mod exposure;
mod feedback;
mod objects;
mod past;
mod people;
mod place;
mod principals;
mod profile;
mod purse;
mod quality;
mod recent;
mod renames;
mod rhythm;
mod scale;
mod scan;
mod scraping;
mod season;
mod series;
mod sizes;
mod sources;
mod spread;
mod surge;
mod tail;
mod takeover;
mod tampering;
mod targets;
mod verdict;
mod volume;

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::{Access, Change, EndpointId, Families, RestoreError};
use crate::exchange::Exchange;
use crate::time::Timestamp;
use budget::Family;
use counter::{Crowd, Entry, Spot};
use feedback::{About, Opinions};
use principals::Table;
use renames::Renames;

#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum VerdictKind {
    Enumeration,
    Scan,
    Scraping,
    Credential,
    Volume,
    Exfiltration,
    Authorization,
    Source,
    Tampering,
    Exposure,
    /// Traffic fell, or the server fails or slows: no attack by itself.
    Availability,
}

pub use crate::catalog::Severity;
pub use automation::Automation;
pub use band::{Band, Bands, Expected};
pub use feedback::{Feedback, Subject};
pub use people::{
    CalledView, DayView, OtherView, PrincipalKind, PrincipalRow, PrincipalView, PrincipalsView,
};
pub use place::{Place, Route};
pub use verdict::Part;

/// Who acts: the identity where there is one, and the address last seen.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Principal {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// One point of the small series behind a verdict: what was expected and seen in one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Point {
    pub at: Timestamp,
    pub expected: f64,
    pub observed: f64,
}

/// What a detector says: an event in time, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Packet time at which the bar was crossed.
    pub at: Timestamp,
    pub kind: VerdictKind,
    pub severity: Severity,
    /// 0 to 100, for sorting: grows with -log10 p.
    pub score: f64,
    pub detector: String,
    /// None where many act together.
    pub principal: Option<Principal>,
    #[serde(skip)]
    pub endpoint: Option<EndpointId>,
    /// The host, where it is meant as a whole.
    #[serde(skip)]
    pub host: Option<String>,
    pub since: Timestamp,
    pub until: Timestamp,
    /// What the baseline expected, in the unit that `summary` names.
    pub expected: f64,
    pub observed: f64,
    /// How unlikely what was seen is by chance, as log10.
    pub log10_p: f64,
    /// One sentence for a person.
    pub summary: String,
    pub why: Vec<String>,
    /// A few redacted examples: `GET /v1/users/1042 → 200`.
    pub samples: Vec<String>,
    pub series: Vec<Point>,
    /// `API1:2023` and its like.
    pub owasp: String,
    /// What the score is made of.
    pub parts: Vec<Part>,
    /// Where its packets are.
    pub place: Place,
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// The false-alarm budget: how many a week a person will bear.
    pub false_alarms_per_week: f64,
    /// Packet time from the first exchange in which baselines are learnt and nothing rings.
    pub learning: Duration,
    /// Principals followed at most.
    pub max_principals: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            false_alarms_per_week: 1.0,
            learning: Duration::from_secs(86_400),
            max_principals: 100_000,
        }
    }
}

/// A kind of thing that is counted for each principal: one detector. What it is and what it
/// says stands with the detector; how it is judged is the same for all.
struct Watch {
    detector: &'static str,
    kind: VerdictKind,
    family: Family,
    owasp: &'static str,
    /// What the counts are of, in the plural.
    unit: &'static str,
    /// At the bar; twice as unlikely in log10 is one step more.
    severity: Severity,
    names_endpoint: bool,
    /// A stranger is no surprise where strangers did as much before: crawlers change addresses.
    precedent: Option<fn(&Look<'_>) -> Spot>,
    /// Which other one (its place in `WATCHES`) this is a part of: who has many of that may be
    /// expected to have some of this.
    part_of: Option<usize>,
    pick: fn(&Look<'_>) -> Option<Item>,
}

/// One exchange as the detectors see it.
struct Look<'a> {
    access: &'a Access,
    x: &'a Exchange,
    /// Tells the principal from others.
    mark: u64,
    /// An object that this principal is not known to have asked for before.
    novel: bool,
    /// It created that object itself.
    own: bool,
}

#[derive(Clone, Copy, Debug)]
enum Item {
    Each,
    /// Counts for as many.
    Many(f64),
    /// Counted once a window.
    Distinct(u64),
}

/// The order is part of the saved form: new ones go last, with a new `SAVED`.
static WATCHES: [&Watch; 8] = [
    &volume::WATCH,
    &enumeration::OBJECTS,
    &enumeration::NOVEL,
    &enumeration::MISSES,
    &scan::WATCH,
    &scraping::WATCH,
    &credential::WATCH,
    &exfiltration::WATCH,
];

/// Counts what the watches pick of an exchange; of which there is much in this hour, as bits.
fn count(
    crowds: &mut [Crowd],
    purses: &mut purse::Purses,
    who: &mut principals::Followed,
    look: &Look<'_>,
    at: &Clock,
    budget: impl Fn(&'static str) -> f64,
    out: &mut Vec<Verdict>,
) -> u16 {
    let mut much = 0;
    // Many counters may want it, and most exchanges nobody.
    let sample = OnceCell::new();
    let sample = || sample.get_or_init(|| verdict::sample(look.x)).clone();
    who.counters.resize_with(WATCHES.len(), || None);
    for (i, watch) in WATCHES.iter().enumerate() {
        let Some(item) = (watch.pick)(look) else {
            continue;
        };
        let base = watch.part_of.and_then(|of| {
            let counts = who.counters[of].as_ref()?.counts(&who.presence);
            Some(crowds[i].share_of(&crowds[of], counts))
        });
        let nameless = who.nameless();
        let entry = Entry {
            item,
            endpoint: look.access.endpoint.filter(|_| watch.names_endpoint),
            place: watch.precedent.filter(|_| nameless).map(|f| f(look)),
            base: base.unwrap_or_default(),
        };
        let own_budget = budget(watch.detector);
        let mut stage = purses.stage(&mut who.spent, watch.family, own_budget);
        let counter = who.counters[i].get_or_insert_default();
        let hit = counter.add(entry, at, &who.presence, &mut crowds[i], &mut stage, sample);
        let hour = counter.counts(&who.presence)[1];
        if !matches!(item, Item::Many(_)) && automation::much(hour, crowds[i].mean(1)) {
            much |= 1 << i;
        }
        out.extend(hit.map(|hit| verdict::count(watch, hit, who, at)));
    }
    much
}

fn at_endpoint(look: &Look<'_>) -> Spot {
    Spot::Endpoint(look.access.endpoint)
}

/// Packet time, taken apart once an exchange.
#[derive(Clone, Copy, Debug)]
struct Clock {
    nanos: i64,
    secs: i64,
    hour: i64,
    /// Baselines are worth something: scores are collected.
    scoring: bool,
    /// Learning is over.
    ringing: bool,
}

/// All detectors.
pub struct Detect {
    settings: Settings,
    state: State,
    /// What people said of earlier alerts; handed over anew after a restart.
    opinions: Opinions,
    programs: Families,
}

#[derive(Serialize, Deserialize)]
struct State {
    /// Nanoseconds of the first exchange, and of the latest so far.
    started: Option<i64>,
    now: i64,
    principals: Table,
    crowds: Vec<Crowd>,
    nodes: enumeration::Nodes,
    servers: place::Servers,
    owners: objects::Owners,
    porter: authorization::Porter,
    atlas: sources::Atlas,
    automation: automation::Register,
    purses: purse::Purses,
    targets: targets::Targets,
    abuse: abuse::Abuse,
}

/// Some 146 years from the epoch, in nanoseconds.
const FAR: i64 = i64::MAX / 2;
/// First byte of the saved form; another one is refused.
const SAVED: u8 = 4;

impl Clock {
    fn of_day(&self) -> usize {
        self.hour.rem_euclid(24) as usize
    }
}

impl Detect {
    pub fn new(settings: Settings) -> Self {
        let state = State {
            started: None,
            now: i64::MIN,
            principals: Table::new(settings.max_principals),
            crowds: vec![Crowd::default(); WATCHES.len()],
            nodes: enumeration::Nodes::default(),
            servers: place::Servers::default(),
            owners: objects::Owners::default(),
            porter: authorization::Porter::default(),
            atlas: sources::Atlas::default(),
            automation: automation::Register::default(),
            purses: purse::Purses::default(),
            targets: targets::Targets::default(),
            abuse: abuse::Abuse::default(),
        };
        Self {
            settings,
            state,
            opinions: Opinions::default(),
            programs: Families::default(),
        }
    }

    /// Takes what people said of earlier alerts, in place of what was taken before.
    pub fn feedback(&mut self, all: &[Feedback]) {
        self.opinions = Opinions::new(all);
    }

    /// Takes one exchange with what the catalogue made of it, in total order.
    pub fn apply(&mut self, access: &Access, x: &Exchange, out: &mut Vec<Verdict>) {
        let before = out.len();
        self.judge(access, x, out);
        if let Some(new) = out.get_mut(before..).filter(|new| !new.is_empty()) {
            let who = self.state.principals.find(x);
            for verdict in new.iter_mut().filter(|v| v.place == Place::default()) {
                verdict.place = self.state.servers.place(verdict, x, who);
            }
        }
    }

    /// Notes which server answers for an endpoint; before the exchange is applied.
    pub fn meet(&mut self, endpoint: EndpointId, x: &Exchange) {
        self.state.servers.meet(endpoint, x);
    }

    /// The servers that have answered for an endpoint since then.
    pub fn servers(&self, endpoint: EndpointId, since: Timestamp) -> Place {
        self.state.servers.of(endpoint, since)
    }

    fn judge(&mut self, access: &Access, x: &Exchange, out: &mut Vec<Verdict>) {
        // A request that was not seen says nothing of what was asked.
        if x.method.is_none() {
            return;
        }
        let at = self.clock(x.end);
        let budget = self.settings.false_alarms_per_week;
        let before = out.len();
        self.advance(out);
        let opinions = &self.opinions;
        let state = &mut self.state;
        let who = state.principals.of(x);
        let mark = who.mark();
        let program = self.programs.of(x.user_agent.as_ref());
        who.profile.take(access, x, who.nameless(), program, &at);
        let own_budget =
            |detector| budget * opinions.factor(About::Principal(mark), detector, at.nanos);
        who.presence.turn(&at, &mut state.crowds);
        state.purses.turn(&mut who.spent, &at);
        let last = state.owners.pass(mark, access, x);
        // What it created itself is neither new to it nor a step of a walk.
        let own = state.nodes.own(&mut who.walks, last, access, x, &at);
        let novel = who.known.novel(access) && !own;
        let look = Look {
            access,
            x,
            mark,
            novel,
            own,
        };
        let nameless = who.nameless();
        let much = count(
            &mut state.crowds,
            &mut state.purses,
            who,
            &look,
            &at,
            own_budget,
            out,
        );
        let stage = state
            .purses
            .stage(&mut who.spent, Family::Enumeration, own_budget("id-walk"));
        let (alone, together) = state.nodes.visit(&mut who.walks, &look, &at, stage, budget);
        out.extend(
            alone.map(|found| verdict::row(found, who.principal(), access.endpoint, x, &at)),
        );
        let strange = if state.nodes.walked(access, &at) {
            None
        } else {
            let stage = state.purses.stage(
                &mut who.spent,
                Family::Enumeration,
                own_budget("strange-objects"),
            );
            let newness = &mut who.newness;
            state.owners.visit(newness, last, &look, &at, stage)
        };
        out.extend(strange.map(|found| objects::tell(found, who, access.endpoint, x, &at)));
        let tried = state.porter.visit(
            &mut who.doors,
            nameless,
            &look,
            &at,
            (&mut state.purses, &mut who.spent),
            own_budget,
        );
        out.extend(tried.map(|found| authorization::tell(found, who, x, &at)));
        let now = automation::Now {
            mark,
            much,
            requests: who.requests()[1],
            day: who.requests()[2],
            restless: who.presence.restless(),
        };
        if now.much != 0 || now.restless {
            let subject = if nameless {
                automation::Subject::Place(scan::place(&look))
            } else {
                automation::Subject::Principal(mark)
            };
            let changed = state.automation.note(subject, now, || who.principal(), &at);
            out.extend(changed.map(|change| automation::tell(change, access.endpoint, x, &at)));
        }
        if !nameless {
            let odd = state.atlas.visit(&mut who.sources, x, &at, budget);
            let joined = state.atlas.join(
                &mut who.sources,
                out[before..].iter().any(|v| v.severity > Severity::Info),
                &at,
            );
            let odd = joined.or(odd);
            out.extend(odd.map(|odd| sources::tell(odd, who, x, &at)));
        }
        if who.walks.over(&at)
            || who.doors.over(&at)
            || who.counters.iter().flatten().any(|c| c.over(&at))
        {
            who.counters.iter_mut().flatten().for_each(|c| c.told());
        }
        let seen = abuse::Seen {
            who,
            mark,
            access,
            x,
            at: &at,
        };
        state.abuse.visit(&seen, budget, out);
        out.extend(together.map(|row| verdict::spread(row, access.endpoint, x, &at)));
        let budget = targets::Budget::new(budget, opinions, access.endpoint, at.nanos);
        state.targets.apply(access, x, who, &at, budget, out);
    }

    /// Detector state follows the inventory: what was kept for a merged endpoint is added. A fold
    /// merges many at once; principals are walked once for all of them.
    pub fn change(&mut self, changes: &[Change]) {
        let state = &mut self.state;
        let (mut endpoints, mut nodes) = (Renames::new(), Renames::new());
        for change in changes {
            match change {
                Change::Merged { from, into } => {
                    state.servers.merged(*from, *into);
                    state.targets.merged(*from, *into);
                    state.abuse.merged(*from, *into);
                    state.crowds.iter_mut().for_each(|c| c.merged(*from, *into));
                    state.automation.merged(*from, *into);
                    endpoints.add(*from, *into);
                }
                Change::NodeMerged { from, into } => {
                    state.nodes.merged(*from, *into);
                    state.owners.merged(*from, *into);
                    nodes.add(*from, *into);
                }
                Change::Evicted(endpoint) => {
                    state.servers.evicted(*endpoint);
                    state.targets.evicted(*endpoint);
                    state.abuse.evicted(*endpoint);
                    state.crowds.iter_mut().for_each(|c| c.evicted(*endpoint));
                    state.automation.evicted(*endpoint);
                }
                Change::Found(_) | Change::Exposed(_) | Change::Drifted(_) => {}
            }
        }
        if endpoints.is_empty() && nodes.is_empty() {
            return;
        }
        for who in state.principals.iter_mut() {
            who.walks.renamed(&nodes);
            who.profile.renamed(&endpoints);
            let counters = who.counters.iter_mut().flatten();
            counters.for_each(|c| c.renamed(&endpoints));
        }
    }

    /// Moves packet time on where no exchange does: silence is heard when a window ends. Windows end
    /// on their own grid of packet time, so ticks change no verdict but those of silence.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Verdict>) {
        if self.state.started.is_some() {
            self.clock(now);
            self.advance(out);
        }
    }

    /// Closes the windows of targets that ended by now.
    fn advance(&mut self, out: &mut Vec<Verdict>) {
        let budget = self.settings.false_alarms_per_week;
        let (started, learning) = (self.state.started, self.settings.learning);
        let clock = |secs| clock(secs_to_nanos(secs), started, learning);
        let now = self.state.now.div_euclid(1_000_000_000);
        let before = out.len();
        self.state.targets.advance(now, clock, budget, out);
        for verdict in out.iter_mut().skip(before) {
            verdict.place = self.state.servers.silent(verdict);
        }
    }

    pub fn save(&self) -> Vec<u8> {
        // Fails only where a length is unknown, and every collection here knows its own.
        postcard::to_extend(&self.state, vec![SAVED]).unwrap_or_default()
    }

    /// Takes back what `save` gave. Endpoints and nodes must have the ids they had then.
    pub fn restore(settings: Settings, saved: &[u8]) -> Result<Self, RestoreError> {
        let refused = |why: String| RestoreError {
            what: "detection baselines",
            why,
        };
        let body = match saved.split_first() {
            Some((&SAVED, body)) => body,
            Some((version, _)) => {
                return Err(refused(format!(
                    "version {version}, this program reads {SAVED}"
                )));
            }
            None => return Err(refused("empty".into())),
        };
        let mut state: State = postcard::from_bytes(body).map_err(|e| refused(e.to_string()))?;
        if !state.principals.sound() || state.crowds.len() != WATCHES.len() {
            return Err(refused("inconsistent".into()));
        }
        state.principals = state.principals.restored(settings.max_principals);
        Ok(Self {
            settings,
            state,
            opinions: Opinions::default(),
            programs: Families::default(),
        })
    }

    /// Known automation: batch jobs, syncs, crawlers and health checks, the oldest first.
    pub fn automation(&self) -> Vec<Automation> {
        self.state.automation.list(self.state.now)
    }

    /// Principals followed now, and put out by the budget so far.
    pub fn principals(&self) -> (usize, u64) {
        (self.state.principals.len(), self.state.principals.evicted)
    }

    /// Principals followed at most.
    pub fn max_principals(&self) -> usize {
        self.settings.max_principals
    }

    fn clock(&mut self, end: Timestamp) -> Clock {
        // Within the order's lateness time may step back; windows must not.
        // Forged time stamps stay where differences do not overflow.
        let end = end.nanos().clamp(-FAR, FAR);
        self.state.now = self.state.now.max(end);
        self.state.started.get_or_insert(self.state.now);
        clock(self.state.now, self.state.started, self.settings.learning)
    }
}

fn secs_to_nanos(secs: i64) -> i64 {
    secs.saturating_mul(1_000_000_000).clamp(-FAR, FAR)
}

fn clock(nanos: i64, started: Option<i64>, learning: Duration) -> Clock {
    let age = u128::try_from(nanos - started.unwrap_or(nanos)).unwrap_or(0);
    let learning = learning.as_nanos();
    let secs = nanos.div_euclid(1_000_000_000);
    Clock {
        nanos,
        secs,
        hour: secs.div_euclid(3_600),
        scoring: age * 2 >= learning,
        ringing: age >= learning,
    }
}
