//! Who calls what: edges from a class of callers to an endpoint. A class is where they stand, the
//! kind of credential they show and the family of their program: few enough to know all of them, and
//! what changes when an API gets a user that it did not have.

use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::zones::Zone;
use crate::exchange::Exchange;
use crate::time::Timestamp;

/// Classes of one endpoint with a program of their own. Whoever makes programs up fills these, and
/// no more: those that come later are told apart by zone and credential alone, of which there are
/// some thirty.
const MAX_NAMED: usize = 24;

/// Stands for all programs past the bound. No program has the name: it is no token.
pub(super) const OTHER_PROGRAMS: &str = "(others)";

/// What a call shows of who it is from.
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
pub enum Credential {
    Anonymous,
    Bearer,
    Jwt,
    Basic,
    Apikey,
    Cookie,
    Mtls,
    Other,
}

impl Credential {
    pub const ALL: [Self; 8] = [
        Self::Anonymous,
        Self::Bearer,
        Self::Jwt,
        Self::Basic,
        Self::Apikey,
        Self::Cookie,
        Self::Mtls,
        Self::Other,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Bearer => "bearer",
            Self::Jwt => "jwt",
            Self::Basic => "basic",
            Self::Apikey => "apikey",
            Self::Cookie => "cookie",
            Self::Mtls => "mtls",
            Self::Other => "other",
        }
    }

    /// By the scheme of an exchange.
    fn of(scheme: Option<&str>) -> Self {
        let Some(scheme) = scheme.filter(|s| *s != "none") else {
            return Self::Anonymous;
        };
        let known = Self::ALL.into_iter().find(|c| c.name() == scheme);
        known.unwrap_or(Self::Other)
    }
}

/// A kind of caller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Class {
    /// `None`: the client's address is not known.
    pub(super) zone: Option<Zone>,
    pub(super) credential: Credential,
    /// Empty where the request names none.
    pub(super) program: CompactString,
}

impl Class {
    pub(super) fn of(x: &Exchange, zone: Option<Zone>, program: CompactString) -> Self {
        Self {
            zone,
            credential: Credential::of(x.auth.as_deref()),
            program,
        }
    }

    fn is_named(&self) -> bool {
        self.program != OTHER_PROGRAMS
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.zone.map_or("unknown", Zone::name);
        let program = match self.program.as_str() {
            "" => "no program named",
            OTHER_PROGRAMS => "other programs",
            program => program,
        };
        write!(f, "{zone}, {}, {program}", self.credential.name())
    }
}

/// Answered calls of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Edge {
    pub(super) class: Class,
    pub(super) requests: u64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// Known by the end of learning, or told of.
    pub(super) told: bool,
}

/// As readers see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EdgeView {
    /// Absent where the client's address is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    pub credential: Credential,
    /// Family of the client program; empty where requests name none, `(others)` past the bound.
    #[schemars(with = "String")]
    pub program: CompactString,
    /// Answered calls.
    pub requests: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// First seen after the endpoint's own learning time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub new: bool,
}

/// Of one endpoint. Invariant: at most [`MAX_NAMED`] with a program, classes differ.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Edges(Vec<Edge>);

impl Edges {
    /// Returns whether the class was not known.
    pub(super) fn take(&mut self, class: Class, at: Timestamp) -> bool {
        self.add(Edge {
            class,
            requests: 1,
            first: at,
            last: at,
            told: false,
        })
    }

    fn add(&mut self, mut new: Edge) -> bool {
        if self.find(&new.class).is_none()
            && self.0.iter().filter(|e| e.class.is_named()).count() >= MAX_NAMED
        {
            new.class.program = CompactString::const_new(OTHER_PROGRAMS);
        }
        if let Some(known) = self.find(&new.class) {
            known.requests += new.requests;
            known.first = known.first.min(new.first);
            known.last = known.last.max(new.last);
            known.told |= new.told;
            return false;
        }
        // Endpoints have few, and there are many endpoints.
        self.0.reserve_exact(1);
        self.0.push(new);
        true
    }

    fn find(&mut self, class: &Class) -> Option<&mut Edge> {
        self.0.iter_mut().find(|e| e.class == *class)
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for edge in &other.0 {
            self.add(edge.clone());
        }
    }

    /// Those first seen after `learnt`, the earliest first.
    pub(super) fn new_since(&self, learnt: Timestamp) -> Vec<&Edge> {
        let mut new: Vec<&Edge> = self.0.iter().filter(|e| e.first > learnt).collect();
        new.sort_by(|a, b| (a.first, &a.class).cmp(&(b.first, &b.class)));
        new
    }

    /// Whether calls of this zone and credential were there before `learnt`, whatever the program.
    pub(super) fn had(&self, class: &Class, learnt: Timestamp) -> bool {
        let alike = |e: &Edge| (e.class.zone, e.class.credential) == (class.zone, class.credential);
        self.0.iter().any(|e| alike(e) && e.first <= learnt)
    }

    /// Classes that were not told of and are new, in order; all are told from now on.
    pub(super) fn news(&mut self, learnt: Timestamp) -> Vec<(Class, Timestamp)> {
        let mut news = Vec::new();
        for edge in &mut self.0 {
            if !std::mem::replace(&mut edge.told, true) && edge.first > learnt {
                news.push((edge.class.clone(), edge.first));
            }
        }
        news.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        news
    }

    /// The most used first.
    pub(super) fn view(&self, learnt: Timestamp) -> Vec<EdgeView> {
        let mut order: Vec<&Edge> = self.0.iter().collect();
        order.sort_by(|a, b| (b.requests, &a.class).cmp(&(a.requests, &b.class)));
        let view = |e: &Edge| EdgeView {
            zone: e.class.zone,
            credential: e.class.credential,
            program: e.class.program.clone(),
            requests: e.requests,
            first_seen: e.first,
            last_seen: e.last,
            new: e.first > learnt,
        };
        order.into_iter().map(view).collect()
    }
}

#[cfg(test)]
impl Edges {
    /// Bytes beside itself.
    pub(super) fn heap(&self) -> usize {
        self.0.capacity() * size_of::<Edge>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(zone: Zone, credential: Credential, program: &str) -> Class {
        Class {
            zone: Some(zone),
            credential,
            program: program.into(),
        }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn credentials_go_by_the_scheme_of_the_exchange() {
        assert_eq!(Credential::of(None), Credential::Anonymous);
        assert_eq!(Credential::of(Some("none")), Credential::Anonymous);
        assert_eq!(Credential::of(Some("jwt")), Credential::Jwt);
        assert_eq!(Credential::of(Some("digest")), Credential::Other);
        for credential in Credential::ALL {
            let json = serde_json::to_value(credential).unwrap();
            assert_eq!(json, credential.name());
        }
    }

    #[test]
    fn made_up_programs_fill_their_share_and_no_more() {
        let mut edges = Edges::default();
        for n in 0..1_000 {
            let program = format!("made-up-{n}");
            edges.take(
                class(Zone::External, Credential::Anonymous, &program),
                at(n),
            );
        }
        assert_eq!(edges.0.len(), MAX_NAMED + 1);
        // Another zone or credential is still seen, and the known ones are still counted.
        assert!(edges.take(class(Zone::Internal, Credential::Jwt, "late"), at(2_000)));
        assert!(!edges.take(class(Zone::Internal, Credential::Jwt, "later"), at(2_001)));
        assert!(!edges.take(
            class(Zone::External, Credential::Anonymous, "made-up-3"),
            at(2_002)
        ));
        let all: u64 = edges.0.iter().map(|e| e.requests).sum();
        assert_eq!(all, 1_003);
        let found = edges.find(&class(Zone::Internal, Credential::Jwt, OTHER_PROGRAMS));
        assert_eq!(found.unwrap().requests, 2);
    }

    #[test]
    fn merging_either_way_is_the_same_below_the_bound() {
        let (mut a, mut b) = (Edges::default(), Edges::default());
        for (n, program) in ["curl", "okhttp", "curl", "axios"].into_iter().enumerate() {
            let half = if n % 2 == 0 { &mut a } else { &mut b };
            half.take(
                class(Zone::Internal, Credential::Bearer, program),
                at(n as i64),
            );
        }
        b.take(class(Zone::Internal, Credential::Bearer, "curl"), at(9));
        let mut other_way = b.clone();
        other_way.merge(&a);
        a.merge(&b);
        assert_eq!(a.view(at(0)), other_way.view(at(0)));
        let first = &a.view(at(0))[0];
        assert_eq!(
            (first.program.as_str(), first.requests, first.new),
            ("curl", 3, false)
        );
        assert_eq!((first.first_seen, first.last_seen), (at(0), at(9)));
    }

    #[test]
    fn news_are_told_once() {
        let mut edges = Edges::default();
        edges.take(class(Zone::Internal, Credential::Bearer, "curl"), at(1));
        assert_eq!(edges.news(at(10)), []);
        let late = class(Zone::Internal, Credential::Bearer, "okhttp");
        edges.take(late.clone(), at(11));
        assert_eq!(edges.news(at(10)), [(late, at(11))]);
        assert_eq!(edges.news(at(10)), []);
    }
}
