//! What people decide about the inventory: which endpoints are meant to be there, which parts of a
//! path are parameters, and whose endpoints are and what else there is to say of them.
//!
//! A decision names its places by key and by what stays when keys do not (host, method, path
//! pattern), so that it holds again when the inventory is learned anew. The journal keeps decisions
//! in order; applied in that order to an inventory that has some of them already, they give the same
//! end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::words::Words;
use crate::time::Timestamp;

/// Places that one decision may name.
pub const MAX_PLACES: usize = 20_000;

/// Places that a line of the audit names, and characters of what is said of them.
const NAMED: usize = 5;
const VALUE: usize = 60;

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
    /// A label, one at a time.
    Tag,
    Untag,
    /// Whose it is.
    Own,
    Disown,
    /// Free text.
    Note,
    Unnote,
}

impl Action {
    pub const ALL: [Self; 11] = [
        Self::Accept,
        Self::Unaccept,
        Self::PinParameter,
        Self::PinStatic,
        Self::Unpin,
        Self::Tag,
        Self::Untag,
        Self::Own,
        Self::Disown,
        Self::Note,
        Self::Unnote,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Unaccept => "unaccept",
            Self::PinParameter => "pin-parameter",
            Self::PinStatic => "pin-static",
            Self::Unpin => "unpin",
            Self::Tag => "tag",
            Self::Untag => "untag",
            Self::Own => "own",
            Self::Disown => "disown",
            Self::Note => "note",
            Self::Unnote => "unnote",
        }
    }

    /// What takes it back.
    pub fn inverse(self) -> Option<Self> {
        match self {
            Self::Accept => Some(Self::Unaccept),
            Self::PinParameter | Self::PinStatic => Some(Self::Unpin),
            Self::Tag => Some(Self::Untag),
            Self::Own => Some(Self::Disown),
            Self::Note => Some(Self::Unnote),
            Self::Unaccept | Self::Unpin | Self::Untag | Self::Disown | Self::Unnote => None,
        }
    }

    /// About a part of a path; the others are about endpoints.
    pub fn is_pin(self) -> bool {
        matches!(self, Self::PinParameter | Self::PinStatic | Self::Unpin)
    }

    /// Tag, owner or note: changes nothing of what is said of the endpoint's status.
    pub(super) fn is_word(self) -> bool {
        !self.is_pin() && !matches!(self, Self::Accept | Self::Unaccept)
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
    /// Of an owner or note that is taken back: the one before it, which holds again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<String>,
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
}

/// A path template without the names of its parameters.
pub(super) fn pattern(template: &str) -> String {
    let segments = template.split('/');
    let bare = segments.map(|s| if s.starts_with('{') { "{}" } else { s });
    bare.collect::<Vec<_>>().join("/")
}

/// What of a place is decided about: of each there is one decision that holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Acceptance,
    Pin,
    Owner,
    Note,
    Tag(String),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subject {
    pub(super) host: String,
    pub(super) method: String,
    pub(super) pattern: String,
    pub(super) topic: Topic,
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
    /// The tag, owner or note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Why, in the words of whoever decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The decision that this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u64>,
}

impl Decision {
    /// As the audit has it: what is said, of how many places, and the first of them. By its number
    /// all of them are found.
    pub fn about(&self) -> String {
        let named = |place: &Place| match place.key.as_str() {
            "" => place.label(),
            key => format!("{} ({key})", place.label()),
        };
        let mut out = format!("decision {}: {}", self.id, self.action.name());
        if let Some(value) = &self.value {
            out += &format!(" `{}`", value.chars().take(VALUE).collect::<String>());
        }
        if let Some(undone) = self.undoes {
            out += &format!(", which takes back decision {undone}");
        }
        if self.places.len() > 1 {
            out += &format!(", {} places", self.places.len());
        }
        let first = self.places.iter().take(NAMED).map(named);
        out += &format!(": {}", first.collect::<Vec<_>>().join(", "));
        if self.places.len() > NAMED {
            out += &format!(" and {} more", self.places.len() - NAMED);
        }
        out
    }

    /// The same place under other names of parameters is the same.
    fn subject(&self, place: &Place) -> Subject {
        let topic = match self.action {
            Action::Accept | Action::Unaccept => Topic::Acceptance,
            Action::PinParameter | Action::PinStatic | Action::Unpin => Topic::Pin,
            Action::Own | Action::Disown => Topic::Owner,
            Action::Note | Action::Unnote => Topic::Note,
            Action::Tag | Action::Untag => Topic::Tag(self.value.clone().unwrap_or_default()),
        };
        Subject {
            host: place.host.clone(),
            method: place.method.clone(),
            pattern: pattern(&place.template),
            topic,
        }
    }

    /// The word that a place has from then on.
    pub(super) fn says<'a>(&'a self, place: &'a Place) -> Option<&'a str> {
        let said = place.back.as_deref();
        match self.action.inverse() {
            Some(_) => said.or(self.value.as_deref()),
            None => said,
        }
    }

    /// Whether something holds at the place from then on.
    fn holds_at(&self, place: &Place) -> bool {
        self.action.inverse().is_some() || place.back.is_some()
    }
}

/// Has the places of a decision that is taken back say what was said of them before it. `earlier`:
/// the decisions before it, oldest first.
pub fn bring_back<'a>(
    places: &mut [Place],
    undone: &Decision,
    earlier: impl DoubleEndedIterator<Item = &'a Decision>,
) {
    if !matches!(undone.action, Action::Own | Action::Note) {
        return;
    }
    let all = places.iter().enumerate();
    let mut asked: BTreeMap<Subject, usize> = all.map(|(n, p)| (undone.subject(p), n)).collect();
    let is_about =
        |d: &&Decision| [Some(d.action), d.action.inverse()].contains(&undone.action.inverse());
    for decision in earlier.rev().filter(is_about) {
        for place in &decision.places {
            if let Some(n) = asked.remove(&decision.subject(place)) {
                places[n].back = decision.says(place).map(str::to_owned);
            }
        }
        if asked.is_empty() {
            return;
        }
    }
}

/// A decision without those of its places that later ones speak of, and `None` where nothing is
/// left that holds. `later`: what was decided after it, which it is added to.
pub fn remains(decision: &Decision, later: &mut Later) -> Option<Decision> {
    let mut rest = decision.clone();
    rest.places.retain(|place| {
        let first = later.0.insert(decision.subject(place));
        first && decision.holds_at(place)
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
    value: Option<String>,
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
            let subject = decision.subject(place);
            if let Some(old) = self.standing.remove(&subject) {
                self.count(&subject, &old, false);
            }
            if !decision.holds_at(place) {
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
                value: decision.says(place).map(str::to_owned),
                seen: decision.seen,
            };
            self.count(&subject, &standing, true);
            self.standing.insert(subject, standing);
        }
    }

    /// The first acceptance at a host dates its inventory; with the last one it goes.
    fn count(&mut self, subject: &Subject, standing: &Standing, more: bool) {
        if subject.topic != Topic::Acceptance {
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
            if renamed && subject.topic == Topic::Pin {
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

    /// What stands of an endpoint: whether it is accepted, and what is said of it.
    pub(super) fn of(
        &self,
        host: &str,
        method: &str,
        template: &str,
    ) -> (Option<&Accepted>, Words) {
        let first = Subject {
            host: host.to_owned(),
            method: method.to_owned(),
            pattern: pattern(template),
            topic: Topic::Acceptance,
        };
        let (mut accepted, mut words) = (None, Words::default());
        let behind = self.standing.range(&first..);
        let own = behind.take_while(|(subject, _)| {
            (&subject.host, &subject.method, &subject.pattern)
                == (&first.host, &first.method, &first.pattern)
        });
        for (subject, standing) in own {
            let value = standing.value.as_deref();
            let mut said = |action, word| words.take(action, word, value, standing.accepted.at);
            match &subject.topic {
                Topic::Acceptance => accepted = Some(&standing.accepted),
                Topic::Pin => {}
                Topic::Owner => said(Action::Own, ""),
                Topic::Note => said(Action::Note, ""),
                Topic::Tag(tag) => said(Action::Tag, tag),
            }
        }
        (accepted, words)
    }

    /// The places of a decision for which it still holds.
    pub(super) fn held(&self, decision: &Decision) -> Vec<Place> {
        let holds = |place: &&Place| {
            let subject = decision.subject(place);
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
