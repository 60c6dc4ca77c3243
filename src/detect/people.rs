//! Principals as readers see them: a list of those that matter most, and all that is known of one.
//!
//! A hundred thousand are followed, so that neither is kept beside the state: the list is made of
//! the busiest, the latest and the named few, in one walk over all, and one principal's details
//! when somebody asks for them.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use compact_str::{CompactString, ToCompactString};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::principals::{Followed, network};
use super::profile::{Day, Profile};
use super::sources::letters;
use super::{Automation, Detect};
use crate::catalog::{EndpointId, TopView};
use crate::time::Timestamp;

/// Identities behind an address that are named.
const OTHERS: usize = 50;
const DAY: i64 = 86_400_000_000_000;

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    /// A credential that was answered with success.
    Identity,
    /// A client without one; of IPv6 the /64.
    Address,
}

impl PrincipalKind {
    pub const ALL: [Self; 2] = [Self::Identity, Self::Address];

    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Address => "address",
        }
    }
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PrincipalRow {
    /// As alerts name it: the identity or the address.
    pub id: String,
    pub kind: PrincipalKind,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub requests: u64,
    /// Answers of 4xx and 5xx.
    pub errors: u64,
    /// Different endpoints that it called.
    pub endpoints: u64,
    /// Family of the program that it uses most; empty where it names none.
    #[schemars(with = "String")]
    pub program: CompactString,
    /// Where it calls from most, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub country: Option<CompactString>,
    /// It is known automation.
    pub automation: bool,
    /// The endpoints that it calls most with its requests to each, at most; the most first.
    #[serde(skip)]
    pub calls: Box<[(EndpointId, u64)]>,
}

/// The list at one moment: those of the named, then the latest and the busiest.
#[derive(Clone, Debug, Default)]
pub struct PrincipalsView {
    /// The latest first.
    pub items: Vec<Arc<PrincipalRow>>,
    /// Principals followed; more than there are items where not all are listed.
    pub total: usize,
    /// First seen within a day of `at`, and in the day before.
    pub new: [usize; 2],
    /// Put out by the budget so far.
    pub evicted: u64,
    /// Packet time.
    pub at: Timestamp,
}

/// An endpoint that a principal calls.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CalledView {
    /// Absent where the inventory has it no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// At most; at least so many less `error`.
    pub requests: u64,
    #[serde(skip_serializing_if = "is_exact")]
    pub error: u64,
}

fn is_exact(error: &u64) -> bool {
    *error == 0
}

/// A day (UTC) with calls.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DayView {
    /// Its begin.
    pub day: Timestamp,
    pub requests: u64,
    pub errors: u64,
    /// Different endpoints, and those that it had never called before.
    pub endpoints: u64,
    pub new_endpoints: u64,
}

/// Another principal beside this one.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OtherView {
    pub id: String,
    /// All of its own.
    pub requests: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}

/// All that is known of one. An address from which only identities call has no requests of its own,
/// and is seen when they are.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PrincipalView {
    #[serde(flatten)]
    pub row: PrincipalRow,
    /// Responses by class: no response, 1xx, 2xx, 3xx, 4xx, 5xx.
    pub by_class: [u64; 6],
    /// Of bodies that it was sent.
    pub response_bytes: u64,
    /// What it calls most, the most first.
    pub calls: Vec<CalledView>,
    /// Requests that belong to no endpoint.
    pub elsewhere: u64,
    /// The last days with calls, the oldest first.
    pub days: Vec<DayView>,
    /// Requests by hour of the week, about: Monday first, hours in UTC.
    pub hours: [[u64; 24]; 7],
    pub countries: Vec<TopView>,
    /// Addresses behind an identity (of IPv6 the /64).
    pub addresses: Vec<TopView>,
    /// Identities seen from an address, the latest first; and how many more.
    pub identities: Vec<OtherView>,
    pub more_identities: usize,
    pub programs: Vec<TopView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub habit: Option<Automation>,
    /// Why it is known automation, or why not.
    pub automation_why: String,
}

impl Detect {
    /// The list: those of `names` that are followed, and of all others the latest and the busiest,
    /// up to `most` of each. One walk over all.
    pub fn people(&self, names: &BTreeSet<&str>, most: usize) -> PrincipalsView {
        let state = &self.state;
        let machines = self.automation();
        let machines: BTreeSet<&str> = machines.iter().filter_map(|a| who(a)).collect();
        let all: Vec<&Followed> = state.principals.iter().collect();
        let yesterday = state.now.saturating_sub(DAY);
        let mut new = [0, 0];
        for who in &all {
            let first = who.profile.first;
            new[0] += usize::from(first > yesterday);
            new[1] += usize::from(first <= yesterday && first > yesterday.saturating_sub(DAY));
        }
        let place = |name: &&str| state.principals.place(name);
        let mut chosen: BTreeSet<usize> = names.iter().filter_map(place).take(most).collect();
        chosen.extend(first_by(&all, most, |p| Reverse(p.last)));
        chosen.extend(first_by(&all, most, |p| Reverse(p.requests())));
        let mut items: Vec<Arc<PrincipalRow>> = chosen
            .into_iter()
            .filter_map(|at| Some(Arc::new(row(all.get(at)?, &machines))))
            .collect();
        items.sort_by(|a, b| (b.last_seen, &a.id).cmp(&(a.last_seen, &b.id)));
        PrincipalsView {
            items,
            total: all.len(),
            new,
            evicted: state.principals.evicted,
            at: Timestamp(state.now),
        }
    }

    /// All that is known of the principal of this name; `label` tells an endpoint's key and name.
    pub fn person(
        &self,
        name: &str,
        label: impl Fn(EndpointId) -> Option<(String, String)>,
    ) -> Option<PrincipalView> {
        let state = &self.state;
        let Some(followed) = state.principals.named(name) else {
            return self.address(name);
        };
        let p = &followed.profile;
        let standing = state.automation.standing(followed, state.now);
        let mut row = row(followed, &BTreeSet::new());
        row.automation = standing.habit.is_some();
        let address = followed.nameless().then(|| followed.client());
        let (identities, more_identities) = match address {
            Some(address) => self.behind(address),
            None => (Vec::new(), 0),
        };
        let called = |(id, requests, error): (&EndpointId, u64, u64)| {
            let (key, endpoint) = label(*id).unzip();
            CalledView {
                key,
                endpoint,
                requests,
                error,
            }
        };
        Some(PrincipalView {
            row,
            by_class: p.by_class.map(u64::from),
            response_bytes: p.bytes,
            calls: p.endpoints.ranked().into_iter().map(called).collect(),
            elsewhere: p.nowhere.into(),
            days: p.days.iter().map(day).collect(),
            hours: p.week.requests(),
            countries: p.countries.view(|c| letters(c).into()),
            addresses: p.clients.view(|c| network_name(*c)),
            identities,
            more_identities,
            programs: p.programs.view(Clone::clone),
            habit: standing.habit,
            automation_why: standing.why,
        })
    }

    /// An address that never called without an identity: what is known of it are those behind it.
    fn address(&self, name: &str) -> Option<PrincipalView> {
        let address = network(name.strip_suffix("/64").unwrap_or(name).parse().ok()?);
        let (identities, more_identities) = self.behind(address);
        let firsts = identities.iter().map(|o| o.first_seen);
        Some(PrincipalView {
            row: PrincipalRow {
                id: network_name(address).into(),
                kind: PrincipalKind::Address,
                first_seen: firsts.min()?,
                last_seen: identities.first()?.last_seen,
                requests: 0,
                errors: 0,
                endpoints: 0,
                program: CompactString::default(),
                country: None,
                automation: false,
                calls: Box::default(),
            },
            by_class: [0; 6],
            response_bytes: 0,
            calls: Vec::new(),
            elsewhere: 0,
            days: Vec::new(),
            hours: [[0; 24]; 7],
            countries: Vec::new(),
            addresses: Vec::new(),
            identities,
            more_identities,
            programs: Vec::new(),
            habit: None,
            automation_why: "it never called without an identity".into(),
        })
    }

    /// Identities that call from an address.
    fn behind(&self, address: IpAddr) -> (Vec<OtherView>, usize) {
        let all = self.state.principals.iter();
        let mut found: Vec<&Followed> = all
            .filter(|who| !who.nameless() && who.profile.clients.has(&address))
            .collect();
        found.sort_by_key(|who| Reverse(who.profile.last));
        let more = found.len().saturating_sub(OTHERS);
        let other = |who: &&Followed| OtherView {
            id: who.describe(),
            requests: who.profile.requests(),
            first_seen: Timestamp(who.profile.first),
            last_seen: Timestamp(who.profile.last),
        };
        (found.iter().take(OTHERS).map(other).collect(), more)
    }
}

fn who(a: &Automation) -> Option<&str> {
    // One that is kept by its place may be anybody by now.
    let by_place = a.who.identity.is_none() && a.endpoint.is_some();
    let name = a.who.identity.as_deref().or(a.who.client.as_deref());
    name.filter(|_| !by_place)
}

/// The places of the first by some order, of equals those that came first.
fn first_by<K: Ord>(
    all: &[&Followed],
    most: usize,
    key: impl Fn(&Profile) -> K,
) -> impl Iterator<Item = usize> {
    let mut order: Vec<(K, usize)> = (all.iter().enumerate())
        .map(|(at, who)| (key(&who.profile), at))
        .collect();
    if most < order.len() {
        order.select_nth_unstable(most);
        order.truncate(most);
    }
    order.into_iter().map(|(_, at)| at)
}

fn row(who: &Followed, machines: &BTreeSet<&str>) -> PrincipalRow {
    let p = &who.profile;
    let id = who.describe();
    PrincipalRow {
        automation: machines.contains(id.as_str()),
        kind: match who.nameless() {
            true => PrincipalKind::Address,
            false => PrincipalKind::Identity,
        },
        first_seen: Timestamp(p.first),
        last_seen: Timestamp(p.last),
        requests: p.requests(),
        errors: p.errors(),
        endpoints: p.reach(),
        program: p.programs.first().cloned().unwrap_or_default(),
        country: p.countries.first().map(|c| letters(c).into()),
        calls: {
            let ranked = p.endpoints.ranked().into_iter();
            ranked.map(|(id, requests, _)| (*id, requests)).collect()
        },
        id,
    }
}

fn day(day: &Day) -> DayView {
    DayView {
        day: Timestamp::from_secs(i64::from(day.at) * 86_400),
        requests: day.requests.into(),
        errors: day.errors.into(),
        endpoints: day.reach.into(),
        new_endpoints: day.new.into(),
    }
}

fn network_name(ip: IpAddr) -> CompactString {
    match ip {
        IpAddr::V4(v4) => v4.to_compact_string(),
        IpAddr::V6(net) => compact_str::format_compact!("{net}/64"),
    }
}
