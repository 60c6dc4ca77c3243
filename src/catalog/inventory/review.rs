//! What people decided, laid over what was learned.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::views::kind;
use super::{Catalog, Change, EndpointId, Entry, slot};
use crate::catalog::decision::{self, Action, Decision, Place};
use crate::catalog::pins::{self, Pinned};
use crate::catalog::segment;
use crate::catalog::view::{Documentation, Kind};
use crate::time::Timestamp;

/// Bytes of a word that is made a route.
const MAX_WORD: usize = 200;

impl Catalog {
    /// Packet time of the inventory as it is now.
    pub fn now(&self) -> Timestamp {
        self.state.now
    }

    /// Applies a decision that is on disk; as often as it is applied, the end is the same.
    pub fn decide(&mut self, decision: &Decision, changes: &mut Vec<Change>) {
        let decision = &self.grouped(decision);
        self.decisions.take(decision);
        match decision.action {
            Action::Accept | Action::Unaccept => self.mark(decision),
            Action::PinParameter | Action::PinStatic | Action::Unpin => {
                self.set_pins(decision, changes)
            }
        }
        let hosts: BTreeSet<&str> = decision.places.iter().map(|p| p.host.as_str()).collect();
        let entries = self.state.endpoints.iter();
        let there = entries.filter(|(_, entry)| hosts.contains(entry.e.host.as_str()));
        let ids: Vec<u32> = there.map(|(id, _)| *id).collect();
        for id in ids {
            self.dirty.insert(id);
            if self.state.endpoints[&id].e.confirmed() {
                self.find_facts(id, changes);
            }
        }
    }

    /// Applies a decision that was applied before, maybe to an inventory that is lost: tells nothing.
    pub fn replay(&mut self, decision: &Decision) {
        let decision = &self.grouped(decision);
        self.decisions.take(decision);
        if decision.action.is_pin() {
            // Told when it was decided; detectors start from the same checkpoint.
            self.set_pins(decision, &mut Vec::new());
        } else {
            self.mark(decision);
        }
    }

    /// The decision with hosts by the names of their groups.
    fn grouped(&self, decision: &Decision) -> Decision {
        let mut grouped = decision.clone();
        for place in &mut grouped.places {
            place.host = self.group_of(std::mem::take(&mut place.host));
        }
        grouped
    }

    /// Hosts were found to be one group: what was decided of them is decided of it.
    pub(super) fn regroup_decisions(&mut self, changes: &mut Vec<Change>) {
        if self.decisions.is_empty() {
            return;
        }
        let mut decisions = std::mem::take(&mut self.decisions);
        let moved = decisions.rename(|host| self.group_of(host.to_owned()));
        self.decisions = decisions;
        for (subject, action) in moved {
            if let (Some((before, word)), Some(is)) =
                (subject.pattern.rsplit_once('/'), pinned(action))
            {
                self.pin(&subject.host, before, word, Some(is), changes);
            }
        }
    }

    fn set_pins(&mut self, decision: &Decision, changes: &mut Vec<Change>) {
        let is = pinned(decision.action);
        for place in &decision.places {
            if let Some((before, word)) = place.template.rsplit_once('/')
                && !self.pin(&place.host, before, word, is, changes)
            {
                return;
            }
        }
        // Names of templates below are others now.
        self.dirty.extend(self.state.endpoints.keys());
    }

    /// Obeys the pins about a path that is new to this inventory. Whether there was any: what is
    /// there may be part of another then.
    pub(super) fn recall_pins(
        &mut self,
        host: &str,
        id: u32,
        segments: &[impl AsRef<str>],
        changes: &mut Vec<Change>,
    ) -> bool {
        if self.state.pins.is_empty() {
            return false;
        }
        let Some(entry) = self.state.endpoints.get(&id) else {
            return false;
        };
        let template = self.state.trie.template(entry.e.node);
        let mut borders = template.match_indices('/').map(|(at, _)| &template[..at]);
        let asked = borders.any(|before| {
            let known = self.state.pins.at(host, &pins::normal(before));
            let mut words = segments.iter().map(|s| segment::fold(s.as_ref()));
            known.is_some_and(|known| words.any(|word| known.contains_key(&*word)))
        });
        if asked {
            self.regroup(host, false, changes);
        }
        asked
    }

    /// What a pin is about: the template of an endpoint up to one of its parts.
    pub fn pin_place(&self, key: &str, part: usize, word: Option<&str>) -> Result<Place, String> {
        let place = self.places(&[key.to_owned()]).pop();
        let Place { host, template, .. } = place.ok_or("there is no such endpoint any more")?;
        let mut parts: Vec<&str> = template.split('/').filter(|s| !s.is_empty()).collect();
        if part >= parts.len() {
            return Err("its path has no such part".into());
        }
        parts.truncate(part + 1);
        let is_parameter = parts[part].starts_with('{');
        match word {
            Some(word) if is_parameter => {
                let plain = !word.is_empty() && !word.contains(['/', '{', '}', '?', '#', ';']);
                if !plain || word.len() > MAX_WORD {
                    return Err("a route or value is one word of a path".into());
                }
                parts[part] = word;
            }
            None if !is_parameter => {}
            Some(_) => return Err("this part is a word already: leave `word` out".into()),
            None => return Err("say which `word` of the parameter it is about".into()),
        }
        Ok(Place {
            key: key.to_owned(),
            host,
            method: String::new(),
            template: format!("/{}", parts.join("/")),
        })
    }

    /// Puts the mark on the endpoints of a decision, or takes it off: by key, else by what the
    /// place is called.
    fn mark(&mut self, decision: &Decision) {
        let mut keys = HashMap::new();
        let mut names = HashMap::new();
        for (id, Entry { key, e, .. }) in &self.state.endpoints {
            let slot = slot(&e.method, e.operation.as_deref()).into_owned();
            let pattern = decision::pattern(&self.state.trie.template(e.node));
            keys.insert(key.as_str(), *id);
            names.insert((e.host.as_str(), slot, pattern), *id);
        }
        let find = |place: &Place| {
            let pattern = decision::pattern(&place.template);
            let named = || names.get(&(place.host.as_str(), place.method.clone(), pattern));
            keys.get(place.key.as_str()).or_else(named).copied()
        };
        let ids: Vec<u32> = decision.places.iter().filter_map(find).collect();
        let accepted = (decision.action == Action::Accept).then(|| decision::Accepted {
            by: decision.by.clone(),
            at: decision.at,
            note: decision.note.clone(),
        });
        for id in ids {
            if let Some(entry) = self.state.endpoints.get_mut(&id) {
                entry.e.accepted.clone_from(&accepted);
            }
        }
    }

    /// An endpoint that is new to this inventory may have been accepted before it was learned anew.
    pub(super) fn recall(&mut self, id: u32) {
        if self.decisions.is_empty() {
            return;
        }
        let Some(Entry { e, .. }) = self.state.endpoints.get_mut(&id) else {
            return;
        };
        let slot = slot(&e.method, e.operation.as_deref());
        let template = self.state.trie.template(e.node);
        let accepted = self.decisions.accepted(&e.host, &slot, &template);
        if let Some(accepted) = accepted {
            e.accepted = Some(accepted.clone());
        }
    }

    /// Endpoints by their labels, as far as they are there.
    pub fn named(&self, labels: &BTreeSet<&str>) -> BTreeMap<String, EndpointId> {
        let ids = self.state.endpoints.keys().map(|id| EndpointId(*id));
        let named = ids.filter_map(|id| Some((self.label(id)?, id)));
        named
            .filter(|(label, _)| labels.contains(label.as_str()))
            .collect()
    }

    /// The places of endpoints, by their keys.
    pub fn places(&self, keys: &[String]) -> Vec<Place> {
        let wanted: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        let entries = self.state.endpoints.values();
        let there = entries.filter(|entry| wanted.contains(entry.key.as_str()));
        let place = |Entry { key, e, .. }: &Entry| Place {
            key: key.clone(),
            host: e.host.clone(),
            method: slot(&e.method, e.operation.as_deref()).into_owned(),
            template: self.state.trie.template(e.node),
        };
        there.map(place).collect()
    }

    /// The places for which a decision still holds.
    pub fn held(&self, decision: &Decision) -> Vec<Place> {
        self.decisions.held(&self.grouped(decision))
    }

    /// Decisions that hold, with the number of places that they hold for.
    pub fn tally(&self) -> BTreeMap<u64, usize> {
        self.decisions.tally()
    }

    /// What is to be said of an endpoint: by the spec, by a person, by when it came.
    pub(super) fn documentation(&self, e: &crate::catalog::endpoint::Endpoint) -> Documentation {
        if e.spec.as_ref().is_some_and(|s| s.documented) {
            return Documentation::Documented;
        }
        let judged = e.confirmed() && kind(e, "") != Kind::Static && e.accepted.is_none();
        if judged && (e.shadow || self.came_after(e).is_some()) {
            return Documentation::Shadow;
        }
        Documentation::Unreviewed
    }

    /// When the inventory of its host was accepted, where the endpoint came after that.
    pub(super) fn came_after(&self, e: &crate::catalog::endpoint::Endpoint) -> Option<Timestamp> {
        let accepted = self.decisions.host(&e.host)?;
        let came = e.confirmed_at?;
        (came > accepted).then_some(accepted)
    }

    /// Dates the statuses of a confirmed endpoint.
    pub(super) fn date(&mut self, id: u32) {
        let now = self.state.now;
        let Some(Entry { e, .. }) = self.state.endpoints.get_mut(&id) else {
            return;
        };
        e.confirmed_at.get_or_insert(now);
        let Some(Entry { e, .. }) = self.state.endpoints.get(&id) else {
            return;
        };
        let said = self.documentation(e);
        if e.said.is_none_or(|(before, _)| before != said)
            && let Some(entry) = self.state.endpoints.get_mut(&id)
        {
            entry.e.said = Some((said, now));
        }
    }
}

fn pinned(action: Action) -> Option<Pinned> {
    match action {
        Action::PinStatic => Some(Pinned::Route),
        Action::PinParameter => Some(Pinned::Value),
        Action::Accept | Action::Unaccept | Action::Unpin => None,
    }
}
