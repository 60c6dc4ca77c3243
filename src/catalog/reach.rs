//! Whom an endpoint reaches: from which zones it is called and answered, its most frequent callers
//! and client programs, and the classes of callers that it has. All of it lies in one box that an
//! endpoint without calls does not have.

use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::Object;
use super::callers::{Caller, Top, TopView};
use super::edges::{Class, Edge, EdgeView, Edges};
use super::exposure::{Exposure, ExposureKind, Severity};
use super::zones::Zone;
use crate::exchange::Exchange;
use crate::time::Timestamp;

/// Counters of callers and of programs.
const CALLERS: usize = 16;
const PROGRAMS: usize = 8;

/// Ids below this are counted through in a day's patience; random ones are larger.
const COUNTABLE: u64 = 10_000_000_000;

/// New classes that a finding names.
const NAMED: usize = 3;

/// Of one endpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reach(Option<Box<Known>>);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Known {
    /// In the order of [`Zone::ALL`].
    zones: [Calls; 3],
    /// Of answered calls: a credential names someone once it was answered with success.
    callers: Top<Caller, CALLERS>,
    programs: Top<CompactString, PROGRAMS>,
    edges: Edges,
    /// A class was met first that the findings may not know of.
    news: bool,
    /// Answered calls that name an object by a number that can be counted up to.
    numbered: u64,
}

/// Calls from one zone.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Calls {
    requests: u64,
    answered: u64,
    first: Timestamp,
    last: Timestamp,
    first_answer: Timestamp,
    /// That the endpoint is open to this zone was told.
    told: bool,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            requests: 0,
            answered: 0,
            first: Timestamp::MAX,
            last: Timestamp::MIN,
            first_answer: Timestamp::MAX,
            told: false,
        }
    }
}

/// Calls from one zone, as readers see them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ZoneView {
    pub zone: Zone,
    pub requests: u64,
    /// With 2xx or 3xx.
    pub answered: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}

/// What readers see of all of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ReachView {
    pub(super) exposure: Option<Zone>,
    pub(super) zones: Vec<ZoneView>,
    pub(super) callers: Vec<TopView>,
    pub(super) programs: Vec<TopView>,
    pub(super) edges: Vec<EdgeView>,
}

/// What is newly true of an endpoint's callers.
#[derive(Debug, PartialEq)]
pub(super) struct News {
    pub(super) classes: Vec<(Class, Timestamp)>,
    /// A wider zone than before, since when, and the widest before.
    pub(super) wider: Option<(Zone, Timestamp, Zone)>,
}

impl Reach {
    /// `answered`: the call was, and who has called.
    pub(super) fn take(
        &mut self,
        x: &Exchange,
        zone: Option<Zone>,
        object: Option<Object>,
        answered: Option<Class>,
    ) {
        let known = self.0.get_or_insert_default();
        if let Some(zone) = zone {
            let calls = &mut known.zones[zone as usize];
            calls.requests += 1;
            calls.answered += u64::from(answered.is_some());
            calls.first = calls.first.min(x.ts);
            calls.last = calls.last.max(x.ts);
            if answered.is_some() {
                calls.first_answer = calls.first_answer.min(x.ts);
            }
        }
        if let Some(class) = answered {
            let number = object.and_then(|o| o.number);
            known.numbered += u64::from(number.is_some_and(|n| n < COUNTABLE));
            known.callers.add(Caller::of(x));
            known.programs.add(class.program.clone());
            known.news |= known.edges.take(class, x.ts);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let (mine, theirs) = match (&mut self.0, &other.0) {
            (Some(mine), Some(theirs)) => (mine, theirs),
            (mine @ None, Some(theirs)) => {
                *mine = Some(theirs.clone());
                return;
            }
            (_, None) => return,
        };
        for (mine, theirs) in mine.zones.iter_mut().zip(theirs.zones) {
            mine.requests += theirs.requests;
            mine.answered += theirs.answered;
            mine.first = mine.first.min(theirs.first);
            mine.last = mine.last.max(theirs.last);
            mine.first_answer = mine.first_answer.min(theirs.first_answer);
            mine.told |= theirs.told;
        }
        mine.callers.merge(&theirs.callers);
        mine.programs.merge(&theirs.programs);
        mine.edges.merge(&theirs.edges);
        mine.news |= theirs.news;
        mine.numbered += theirs.numbered;
    }

    pub(super) fn numbered(&self) -> u64 {
        self.0.as_ref().map_or(0, |known| known.numbered)
    }

    /// What has come up since the last call. Classes that come within `learning` of the endpoint's
    /// first call are no news.
    pub(super) fn news(&mut self, first: Timestamp, learning: Duration) -> Option<News> {
        let known = self.0.as_mut().filter(|known| known.news)?;
        known.news = false;
        let classes = known.edges.news(first + learning);
        let wider = known.wider(first + learning);
        let wider = wider.filter(|(zone, ..)| {
            let told = &mut known.zones[*zone as usize].told;
            !std::mem::replace(told, true)
        });
        (!classes.is_empty() || wider.is_some()).then_some(News { classes, wider })
    }

    /// What it comes to as lasting facts, for the endpoint with this host, label and key.
    pub(super) fn exposures(
        &self,
        learnt: Timestamp,
        host: &str,
        label: &str,
        key: &str,
    ) -> Vec<Exposure> {
        let Some(known) = &self.0 else {
            return Vec::new();
        };
        let fact = |kind, severity, what| Exposure {
            endpoint: Some(key.to_owned()),
            ..Exposure::new(kind, severity, host, what)
        };
        let mut out = Vec::new();
        if let Some((zone, since, before)) = known.wider(learnt) {
            let calls = known.zones[zone as usize];
            let what = format!("answers {zone} callers, and did not before");
            out.push(Exposure {
                why: format!("in its learning time only {before} callers were answered"),
                first_seen: since,
                last_seen: calls.last,
                count: calls.answered,
                ..fact(ExposureKind::WiderExposure, Severity::Medium, what)
            });
        }
        let new = known.edges.new_since(learnt);
        if let (Some(first), Some(last)) = (new.first(), new.iter().map(|e| e.last).max()) {
            // A program that is new among its like is less than a new way in.
            let like = |e: &&Edge| known.edges.had(&e.class, learnt);
            let severity = if new.iter().all(like) {
                Severity::Info
            } else {
                Severity::Low
            };
            let what = "has callers of a kind that it did not have in its learning time".into();
            out.push(Exposure {
                why: names(&new),
                first_seen: first.first,
                last_seen: last,
                count: new.iter().map(|e| e.requests).sum(),
                ..fact(ExposureKind::NewCaller, severity, what)
            });
        }
        out.into_iter().map(|e| e.about(label)).collect()
    }

    pub(super) fn view(&self, learnt: Timestamp) -> ReachView {
        let Some(known) = &self.0 else {
            return ReachView::default();
        };
        let zones = Zone::ALL.into_iter().zip(known.zones);
        let called = zones.filter(|(_, calls)| calls.requests > 0);
        let zone = |(zone, calls): (Zone, Calls)| ZoneView {
            zone,
            requests: calls.requests,
            answered: calls.answered,
            first_seen: calls.first,
            last_seen: calls.last,
        };
        ReachView {
            exposure: known.widest(|calls| calls.answered > 0),
            zones: called.map(zone).collect(),
            callers: known.callers.view(Caller::name),
            programs: known.programs.view(CompactString::clone),
            edges: known.edges.view(learnt),
        }
    }
}

impl Known {
    /// The widest zone whose calls are such.
    fn widest(&self, are: impl Fn(&Calls) -> bool) -> Option<Zone> {
        let mut wide = Zone::ALL.into_iter().rev();
        wide.find(|zone| are(&self.zones[*zone as usize]))
    }

    /// The widest zone that is answered, since when, and the widest that was by `learnt`, where
    /// those differ. Nothing is known of one that was not called by then.
    fn wider(&self, learnt: Timestamp) -> Option<(Zone, Timestamp, Zone)> {
        let before = self.widest(|calls| calls.first_answer <= learnt)?;
        let now = self.widest(|calls| calls.answered > 0)?;
        (now > before).then(|| (now, self.zones[now as usize].first_answer, before))
    }
}

/// The first of them in words.
fn names(new: &[&Edge]) -> String {
    let since = |e: &&Edge| format!("{} since {}", e.class, e.first);
    let named: Vec<String> = new.iter().take(NAMED).map(since).collect();
    match new.len().saturating_sub(NAMED) {
        0 => named.join("; "),
        more => format!("{}; and {more} more", named.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::program;

    const DAY: Duration = Duration::from_secs(86_400);

    fn call(secs: i64, client: &str, auth: Option<&str>, agent: &str) -> Exchange {
        let mut x = Exchange::at(Timestamp::from_secs(secs));
        x.client = client.parse().unwrap();
        x.auth = auth.map(Into::into);
        x.user_agent = Some(agent.into());
        x
    }

    fn take(reach: &mut Reach, x: &Exchange) {
        let zone = crate::catalog::Zones::default().of(x.client);
        let class = Class::of(x, zone, program::family(x.user_agent.as_deref()));
        reach.take(x, zone, None, Some(class));
    }

    fn facts(reach: &Reach) -> Vec<(ExposureKind, Severity, u64)> {
        let learnt = Timestamp::from_secs(0) + DAY;
        let facts = reach.exposures(learnt, "h", "GET h /a", "k").into_iter();
        facts.map(|f| (f.kind, f.severity, f.count)).collect()
    }

    #[test]
    fn what_comes_while_learning_is_known() {
        let mut reach = Reach::default();
        take(&mut reach, &call(0, "10.0.0.1", None, "curl/8"));
        take(
            &mut reach,
            &call(86_400, "203.0.113.1", Some("jwt"), "okhttp/4"),
        );
        let start = Timestamp::from_secs(0);
        assert_eq!(reach.news(start, DAY), None);
        assert_eq!(facts(&reach), []);
        assert!(reach.view(start + DAY).edges.iter().all(|e| !e.new));
    }

    #[test]
    fn a_new_program_a_new_credential_and_a_new_zone_weigh_more_and_more() {
        let mut reach = Reach::default();
        let start = Timestamp::from_secs(0);
        take(&mut reach, &call(0, "10.0.0.1", Some("jwt"), "curl/8"));
        take(
            &mut reach,
            &call(90_000, "10.0.0.1", Some("jwt"), "okhttp/4"),
        );
        take(
            &mut reach,
            &call(90_001, "10.0.0.1", Some("jwt"), "okhttp/5"),
        );
        assert_eq!(
            facts(&reach),
            [(ExposureKind::NewCaller, Severity::Info, 2)]
        );
        let news = reach.news(start, DAY).unwrap();
        assert_eq!((news.classes.len(), news.wider), (1, None));
        assert_eq!(news.classes[0].0.to_string(), "internal, jwt, okhttp");
        take(&mut reach, &call(90_002, "10.0.0.1", None, "okhttp/4"));
        assert_eq!(facts(&reach), [(ExposureKind::NewCaller, Severity::Low, 3)]);
        take(&mut reach, &call(90_003, "203.0.113.1", None, "curl/8"));
        let expected = [
            (ExposureKind::WiderExposure, Severity::Medium, 1),
            (ExposureKind::NewCaller, Severity::Low, 4),
        ];
        assert_eq!(facts(&reach), expected);
        let news = reach.news(start, DAY).unwrap();
        let since = Timestamp::from_secs(90_003);
        assert_eq!(news.wider, Some((Zone::External, since, Zone::Internal)));
        assert_eq!(news.classes.len(), 2);
        assert_eq!(reach.news(start, DAY), None);
    }

    #[test]
    fn refused_calls_open_nothing() {
        let mut reach = Reach::default();
        take(&mut reach, &call(0, "10.0.0.1", None, "curl/8"));
        let x = call(90_000, "203.0.113.1", Some("bearer"), "scanner/1");
        reach.take(&x, Some(Zone::External), None, None);
        let view = reach.view(Timestamp::from_secs(86_400));
        assert_eq!(view.exposure, Some(Zone::Internal));
        assert_eq!((view.edges.len(), view.callers.len()), (1, 1));
        let outside = &view.zones[1];
        assert_eq!(
            (outside.zone, outside.requests, outside.answered),
            (Zone::External, 1, 0)
        );
        assert_eq!(facts(&reach), []);
    }

    #[test]
    fn two_endpoints_that_are_one_add_up_either_way() {
        let (mut a, mut b) = (Reach::default(), Reach::default());
        for n in 0..10 {
            let x = call(n, &format!("10.0.0.{}", n % 4 + 1), None, "curl/8");
            take(if n % 3 == 0 { &mut a } else { &mut b }, &x);
        }
        take(&mut b, &call(90_000, "203.0.113.1", None, "curl/8"));
        let mut other_way = b.clone();
        other_way.merge(&a);
        a.merge(&b);
        let learnt = Timestamp::from_secs(86_400);
        assert_eq!(a.view(learnt), other_way.view(learnt));
        assert_eq!(a.view(learnt).callers.len(), 5);
        assert_eq!(a.view(learnt).exposure, Some(Zone::External));
        let mut empty = Reach::default();
        empty.merge(&a);
        assert_eq!(empty.view(learnt), a.view(learnt));
    }

    #[test]
    fn an_endpoint_with_few_callers_takes_less_than_a_kibibyte() {
        let mut reach = Reach::default();
        for n in 0..60 {
            let agent = ["curl/8", "okhttp/4"][n % 2];
            let auth = [None, Some("jwt")][n / 2 % 2];
            take(
                &mut reach,
                &call(n as i64, &format!("10.0.0.{}", n % 5 + 1), auth, agent),
            );
        }
        let known = reach.0.as_ref().unwrap();
        let heap = known.callers.heap() + known.programs.heap() + known.edges.heap();
        let all = size_of::<Reach>() + size_of::<Known>() + heap;
        assert!(all <= 1_024, "{all} bytes");
    }
}
