//! What people decide about the inventory: which endpoints are meant to be there, and which parts of
//! a path are parameters.
//!
//! A decision names its places by key and by what stays when keys do not (host, method, path
//! pattern), so that it holds again when the inventory is learned anew. The journal keeps decisions
//! in order; applied in that order to an inventory that has some of them already, they give the same
//! end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Places that one decision may name.
pub const MAX_PLACES: usize = 20_000;

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The endpoint is meant to be there, whatever the specs say.
    Accept,
    Unaccept,
    /// This word of a path is a value of a parameter.
    PinParameter,
    /// This word is a route of its own.
    PinStatic,
    Unpin,
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Unaccept => "unaccept",
            Self::PinParameter => "pin-parameter",
            Self::PinStatic => "pin-static",
            Self::Unpin => "unpin",
        }
    }

    /// What takes it back.
    pub fn inverse(self) -> Option<Self> {
        match self {
            Self::Accept => Some(Self::Unaccept),
            Self::PinParameter | Self::PinStatic => Some(Self::Unpin),
            Self::Unaccept | Self::Unpin => None,
        }
    }

    pub(super) fn is_pin(self) -> bool {
        !matches!(self, Self::Accept | Self::Unaccept)
    }
}

/// What is decided about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Place {
    /// The endpoint's key at that time.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    pub host: String,
    /// With the operation, where the path has several; empty where it is about the path alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// Of a pin, up to and with the part that it is about.
    pub template: String,
}

impl Place {
    /// `GET api.example.com /v1/users/{user_id}`.
    pub fn label(&self) -> String {
        let (method, operation) = match self.method.split_once(' ') {
            Some((method, operation)) => (method, Some(operation)),
            None => (self.method.as_str(), None),
        };
        let named = super::view::label(method, &self.host, &self.template, operation);
        named.trim_start().to_owned()
    }

    /// The same place under other names of parameters is the same.
    fn subject(&self, action: Action) -> Subject {
        Subject {
            pin: action.is_pin(),
            host: self.host.clone(),
            method: self.method.clone(),
            pattern: pattern(&self.template),
        }
    }
}

/// A path template without the names of its parameters.
pub(super) fn pattern(template: &str) -> String {
    let segments = template.split('/');
    let bare = segments.map(|s| if s.starts_with('{') { "{}" } else { s });
    bare.collect::<Vec<_>>().join("/")
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subject {
    pub(super) pin: bool,
    pub(super) host: String,
    pub(super) method: String,
    pub(super) pattern: String,
}

/// Who decided what, and when: a line of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Decision {
    /// Counts up.
    pub id: u64,
    /// Wall time.
    pub at: Timestamp,
    /// Packet time of the inventory that was decided about.
    pub seen: Timestamp,
    pub by: String,
    pub action: Action,
    pub places: Vec<Place>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The decision that this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u64>,
}

/// A decision without those of its places that later ones speak of, and `None` where nothing is
/// left that holds. `later`: what was decided after it, which it is added to.
pub fn remains(decision: &Decision, later: &mut Later) -> Option<Decision> {
    let mut rest = decision.clone();
    rest.places.retain(|place| {
        let first = later.0.insert(place.subject(decision.action));
        first && decision.action.inverse().is_some()
    });
    (!rest.places.is_empty()).then_some(rest)
}

/// Places that were decided about.
#[derive(Debug, Default)]
pub struct Later(std::collections::BTreeSet<Subject>);

/// That, and by whom, an endpoint was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Accepted {
    pub by: String,
    /// Wall time.
    pub at: Timestamp,
    pub note: Option<String>,
}

/// A standing decision about one place.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) decision: u64,
    action: Action,
    pub(super) accepted: Accepted,
    seen: Timestamp,
}

/// All decisions that hold, by place.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    standing: BTreeMap<Subject, Standing>,
    /// Of hosts with an accepted inventory: since when (packet time), and how many places.
    hosts: BTreeMap<String, (Timestamp, usize)>,
}

impl Decisions {
    pub(super) fn is_empty(&self) -> bool {
        self.standing.is_empty()
    }

    pub(super) fn take(&mut self, decision: &Decision) {
        for place in &decision.places {
            let subject = place.subject(decision.action);
            if let Some(old) = self.standing.remove(&subject) {
                self.count(&subject, &old, false);
            }
            if decision.action.inverse().is_none() {
                continue;
            }
            let standing = Standing {
                decision: decision.id,
                action: decision.action,
                accepted: Accepted {
                    by: decision.by.clone(),
                    at: decision.at,
                    note: decision.note.clone(),
                },
                seen: decision.seen,
            };
            self.count(&subject, &standing, true);
            self.standing.insert(subject, standing);
        }
    }

    /// The first acceptance at a host dates its inventory; with the last one it goes.
    fn count(&mut self, subject: &Subject, standing: &Standing, more: bool) {
        if subject.pin {
            return;
        }
        let host = self.hosts.entry(subject.host.clone());
        let (since, places) = host.or_insert((standing.seen, 0));
        if more {
            (*since, *places) = ((*since).min(standing.seen), *places + 1);
        } else {
            *places -= 1;
            if *places == 0 {
                self.hosts.remove(&subject.host);
            }
        }
    }

    /// Hosts have become parts of others. Returns the pins that are under another name now.
    pub(super) fn rename(&mut self, name: impl Fn(&str) -> String) -> Vec<(Subject, Action)> {
        let mut moved = Vec::new();
        self.hosts.clear();
        for (mut subject, standing) in std::mem::take(&mut self.standing) {
            let host = name(&subject.host);
            let renamed = host != subject.host;
            subject.host = host;
            if renamed && subject.pin {
                moved.push((subject.clone(), standing.action));
            }
            let other = self.standing.get(&subject);
            // Of two that are one now the later holds.
            if other.is_none_or(|other| other.decision < standing.decision) {
                self.standing.insert(subject, standing);
            }
        }
        let standing = std::mem::take(&mut self.standing);
        for (subject, one) in &standing {
            self.count(subject, one, true);
        }
        self.standing = standing;
        moved
    }

    /// Since when the inventory of a host is an accepted one, in packet time.
    pub(super) fn host(&self, host: &str) -> Option<Timestamp> {
        self.hosts.get(host).map(|(since, _)| *since)
    }

    pub(super) fn accepted(&self, host: &str, method: &str, template: &str) -> Option<&Accepted> {
        let subject = Subject {
            pin: false,
            host: host.to_owned(),
            method: method.to_owned(),
            pattern: pattern(template),
        };
        self.standing.get(&subject).map(|s| &s.accepted)
    }

    /// The places of a decision for which it still holds.
    pub(super) fn held(&self, decision: &Decision) -> Vec<Place> {
        let holds = |place: &&Place| {
            let subject = place.subject(decision.action);
            self.standing
                .get(&subject)
                .is_some_and(|s| s.decision == decision.id)
        };
        decision.places.iter().filter(holds).cloned().collect()
    }

    /// Decisions that hold, with the number of places that they hold for.
    pub(super) fn tally(&self) -> BTreeMap<u64, usize> {
        let mut out = BTreeMap::new();
        for standing in self.standing.values() {
            *out.entry(standing.decision).or_default() += 1;
        }
        out
    }
}
