//! What people decided, laid over what was learned.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::views::kind;
use super::{Catalog, Change, EndpointId, Entry, slot};
use crate::catalog::decision::{self, Action, Decision, Place};
use crate::catalog::pins::{self, Pinned};
use crate::catalog::segment;
use crate::catalog::view::{Documentation, Kind};
use crate::catalog::words::Words;
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
        let decision = self.grouped(decision);
        self.decisions.take(&decision);
        if decision.action.is_pin() {
            let before: BTreeSet<String> = self.keys_at(&decision).into_values().collect();
            self.set_pins(&decision, changes);
            let after = self.keys_at(&decision).into_iter();
            let changed = after.filter(|(_, key)| !before.contains(key));
            let changed: BTreeSet<u32> = changed.map(|(id, _)| id).collect();
            let again = decision.action == Action::Unpin;
            if again {
                self.recall_alone(&changed);
            }
            self.retell(&changed, again, changes);
            return;
        }
        let marked = self.mark(std::slice::from_ref(&decision));
        self.dirty.extend(marked);
        if decision.action.is_word() {
            return;
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

    /// Applies decisions that were applied before, oldest first, maybe to an inventory that is lost:
    /// tells nothing.
    pub fn replay(&mut self, decisions: &[Decision]) {
        let grouped: Vec<Decision> = decisions.iter().map(|d| self.grouped(d)).collect();
        // Endpoints are looked for once for all decisions between two pins.
        for run in grouped.chunk_by(|a, b| a.action.is_pin() == b.action.is_pin()) {
            run.iter().for_each(|d| self.decisions.take(d));
            if run.iter().any(|d| d.action.is_pin()) {
                // Told when it was decided; detectors start from the same checkpoint.
                run.iter().for_each(|d| self.set_pins(d, &mut Vec::new()));
            } else {
                self.mark(run);
            }
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

    /// The endpoints at the hosts that a decision is about.
    fn keys_at(&self, decision: &Decision) -> BTreeMap<u32, String> {
        let hosts: BTreeSet<&str> = decision.places.iter().map(|p| p.host.as_str()).collect();
        let entries = self.state.endpoints.iter();
        let there = entries.filter(|(_, entry)| hosts.contains(entry.e.host.as_str()));
        there.map(|(id, entry)| (*id, entry.key.clone())).collect()
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
        let routes = &self.state.trie.evidence.routes;
        let words = || segments.iter().map(|s| segment::fold(s.as_ref()));
        let pinned = borders.any(|before| {
            let known = self.state.pins.at(host, &pins::normal(before));
            known.is_some_and(|known| words().any(|word| known.contains_key(&*word)))
        });
        // The pin of a word with a value's form may be about another place.
        let is_formed =
            |word: Cow<'_, str>| routes.contains(&*word) && segment::classify(&word).is_some();
        let asked = pinned || words().any(is_formed);
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
            back: None,
        })
    }

    /// Puts what was decided on the endpoints, in order: by key, else by a key that they had or by
    /// what the place is called. Returns those endpoints.
    fn mark(&mut self, decisions: &[Decision]) -> Vec<u32> {
        let places = || decisions.iter().flat_map(|d| &d.places);
        let asked: HashSet<&str> = places().map(|place| place.key.as_str()).collect();
        let hosts: HashSet<&str> = places().map(|place| place.host.as_str()).collect();
        let (mut keys, mut earlier, mut names) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (id, Entry { key, aliases, e }) in &self.state.endpoints {
            if let Some(key) = asked.get(key.as_str()) {
                keys.insert(*key, *id);
            }
            for key in aliases.iter().filter_map(|key| asked.get(key.as_str())) {
                earlier.entry(*key).or_insert(*id);
            }
            if hosts.contains(e.host.as_str()) {
                let slot = slot(&e.method, e.operation.as_deref()).into_owned();
                let pattern = decision::pattern(&self.state.trie.template(e.node));
                names.insert((e.host.clone(), slot, pattern), *id);
            }
        }
        let find = |place: &Place| {
            let named = || {
                let pattern = decision::pattern(&place.template);
                names.get(&(place.host.clone(), place.method.clone(), pattern))
            };
            let known = keys.get(place.key.as_str()).or_else(named);
            known.or_else(|| earlier.get(place.key.as_str())).copied()
        };
        let mut marked = Vec::new();
        for decision in decisions {
            let accepted = (decision.action == Action::Accept).then(|| decision::Accepted {
                by: decision.by.clone(),
                at: decision.at,
                note: decision.note.clone(),
            });
            let value = decision.value.as_deref().unwrap_or_default();
            for place in &decision.places {
                let Some(id) = find(place) else {
                    continue;
                };
                let Some(Entry { e, .. }) = self.state.endpoints.get_mut(&id) else {
                    continue;
                };
                if decision.action.is_word() {
                    let words = e.words.get_or_insert_default();
                    words.take(decision.action, value, decision.says(place), decision.at);
                    e.words.take_if(|words| words.is_empty());
                } else {
                    e.accepted.clone_from(&accepted);
                }
                marked.push(id);
            }
        }
        marked
    }

    /// An endpoint that is new to this inventory may have been decided about before it was learned
    /// anew.
    pub(super) fn recall(&mut self, id: u32) {
        if self.decisions.is_empty() {
            return;
        }
        let Some(Entry { e, .. }) = self.state.endpoints.get_mut(&id) else {
            return;
        };
        let slot = slot(&e.method, e.operation.as_deref());
        let template = self.state.trie.template(e.node);
        let (accepted, words) = self.decisions.of(&e.host, &slot, &template);
        if let Some(accepted) = accepted {
            e.accepted = Some(accepted.clone());
        }
        if !words.is_empty() {
            e.words.get_or_insert_default().merge(&words);
        }
    }

    /// Endpoints that were parts of others have what was decided of themselves, and nothing of what
    /// was decided of the others, nor what should have been gone; that is soon seen again. Nor are
    /// they found by keys that are others' again.
    fn recall_alone(&mut self, ids: &BTreeSet<u32>) {
        let entries = self.state.endpoints.values();
        let keys: HashSet<String> = entries.map(|entry| entry.key.clone()).collect();
        for id in ids {
            if let Some(entry) = self.state.endpoints.get_mut(id) {
                entry.aliases.retain(|key| !keys.contains(key));
                let e = &mut entry.e;
                (e.accepted, e.words) = (None, None);
                (e.deprecation, e.sunset) = (None, None);
                (e.zombie_since, e.zombie_of, e.dropped) = (None, None, None);
            }
            self.recall(*id);
        }
        self.confirmed = true;
    }

    /// Those of the endpoints' places for which a decision changes anything.
    pub fn open_to(
        &self,
        action: Action,
        value: Option<&str>,
        keys: &[String],
    ) -> Result<Vec<Place>, String> {
        let mut places = self.places(keys);
        if !action.is_word() || places.is_empty() {
            return Ok(places);
        }
        let none = Words::default();
        let mut open = BTreeSet::new();
        let asked: HashSet<&str> = keys.iter().map(String::as_str).collect();
        for Entry { key, e, .. } in self.state.endpoints.values() {
            if asked.contains(key.as_str()) {
                let words = e.words.as_deref().unwrap_or(&none);
                if words.would_change(action, value.unwrap_or_default())? {
                    open.insert(key.as_str());
                }
            }
        }
        places.retain(|place| open.contains(place.key.as_str()));
        match places.is_empty() {
            true => Err("that is said of it already".into()),
            false => Ok(places),
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
            back: None,
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
        _ => None,
    }
}
