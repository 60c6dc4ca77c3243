//! Endpoints follow the routes: merged where their paths became one template, split where a path
//! turned out to have one of its own; and two inventories made one.
//!
//! What an endpoint has adds up exactly. Only where an earlier judgement is undone, and a path leaves
//! an endpoint again, is its share not known of all: its calls by status class are, path by path;
//! times, sizes, callers and schema were added up, and both keep the sum. A file that is judged once,
//! at its end, has none of that.

use std::collections::BTreeMap;

use super::{Catalog, Change, EndpointId, Entry, key, slot};
use crate::catalog::events::Happened;
use crate::catalog::trie::{Calls, Place};

/// Earlier keys that an endpoint is still found by: the first by their own order, so that they do
/// not depend on the order of merges.
const MAX_ALIASES: usize = 16;

impl Catalog {
    /// Judges all paths by all the evidence there is: at the end of input, and now and then. What
    /// comes out depends on the evidence alone, not on what was judged before.
    pub fn settle(&mut self, changes: &mut Vec<Change>) {
        for host in self.state.trie.hosts() {
            self.regroup(&host, false, changes);
        }
        self.hosts_judged = 0;
        self.group_hosts(changes);
    }

    /// Does of [`Self::settle`] what falls to one of `parts` steps, host by host: for whoever must not
    /// stop for all of it. Whether that was the last.
    pub fn settle_part(&mut self, parts: usize, changes: &mut Vec<Change>) -> bool {
        let last = self.settling.take();
        let evidence = &self.state.trie.evidence;
        let (next, more) = evidence.hosts_behind(last.as_deref(), parts);
        for host in &next {
            self.regroup(host, false, changes);
        }
        if more {
            self.settling = next.into_iter().next_back();
        } else {
            self.hosts_judged = 0;
            self.group_hosts(changes);
        }
        !more
    }

    /// Judges amid the stream, where only what is plain already is merged.
    pub(super) fn judge_early(&mut self, changes: &mut Vec<Change>) {
        for host in std::mem::take(&mut self.grown_at) {
            self.regroup(&host, true, changes);
        }
        self.grown = 0;
    }

    pub(super) fn regroup(&mut self, host: &str, early: bool, changes: &mut Vec<Change>) {
        let state = &mut self.state;
        let thin = state.trie.len() > self.settings.max_nodes / 2;
        let Some(done) = state.trie.regroup(host, &state.pins, early, thin) else {
            return;
        };
        let merged = done.merged.into_iter();
        changes.extend(merged.map(|(from, into)| Change::NodeMerged { from, into }));
        let mut parts = self.part(&done.places);
        for (at, place) in done.places.iter().enumerate() {
            let mine = place
                .from
                .keys()
                .filter(|id| parts.main.get(id) == Some(&at));
            let mine: Vec<u32> = mine.copied().collect();
            let split = parts.split.remove(&at).unwrap_or_default();
            let Some(kept) = self.gather(&mine, split, changes) else {
                continue;
            };
            self.state.trie.settle_at(place, kept);
            if let Some(entry) = self.state.endpoints.get_mut(&kept) {
                entry.e.node = place.node;
                let template = self.state.trie.template(place.node);
                let known = self.views.get(kept).is_some_and(|v| v.confirmed);
                if entry.rename(&place.slot, &template) {
                    if known {
                        entry
                            .e
                            .events
                            .add(self.state.now, Happened::Renamed(template));
                    }
                    self.look_up(kept);
                    self.recall(kept);
                }
            }
            self.dirty.insert(kept);
        }
        self.renamed = true;
        self.versions.stale = true;
    }

    /// Which place each endpoint belongs to: where most of its calls were. What it has of other
    /// places is split off.
    fn part(&mut self, places: &[Place]) -> Parts {
        let mut most: BTreeMap<u32, (u64, usize)> = BTreeMap::new();
        for (at, place) in places.iter().enumerate() {
            for (id, calls) in &place.from {
                let here = (calls.total(), at);
                let best = most.entry(*id).or_insert(here);
                if here.0 > best.0 {
                    *best = here;
                }
            }
        }
        let main: BTreeMap<u32, usize> = most.into_iter().map(|(id, (_, at))| (id, at)).collect();
        let mut split: BTreeMap<usize, Vec<Entry>> = BTreeMap::new();
        for (at, place) in places.iter().enumerate() {
            for (id, calls) in place.from.iter().filter(|(id, _)| main[*id] != at) {
                if let Some(entry) = self.state.endpoints.get_mut(id) {
                    let mut part = entry.split(calls);
                    let (now, whole) = (self.state.now, self.views.get(*id));
                    entry.e.events.add(now, Happened::Lost(1));
                    part.e.events.clear();
                    if let Some(whole) = whole {
                        let template = whole.template.clone();
                        part.e.events.add(now, Happened::Parted(template));
                    }
                    split.entry(at).or_default().push(part);
                    self.dirty.insert(*id);
                }
            }
        }
        Parts { main, split }
    }

    /// Makes endpoints one, and parts of others with them; `None` where there are none.
    fn gather(&mut self, ids: &[u32], parts: Vec<Entry>, changes: &mut Vec<Change>) -> Option<u32> {
        let known = ids
            .iter()
            .copied()
            .filter(|id| self.state.endpoints.contains_key(id));
        let known: Vec<u32> = known.collect();
        let mut parts = parts.into_iter();
        let kept = match known.first() {
            Some(id) => *id,
            None => {
                let part = parts.next()?;
                let id = self.state.next;
                self.state.next += 1;
                self.state.fields += part.e.fields();
                self.drifts += part.e.drift.len();
                self.state.endpoints.insert(id, part);
                id
            }
        };
        for part in parts {
            self.join(kept, &part);
        }
        for from in known.into_iter().skip(1) {
            let Some(gone) = self.state.endpoints.remove(&from) else {
                continue;
            };
            self.views.remove(&from);
            self.dirty.remove(&from);
            self.state.fields -= gone.e.fields();
            self.drifts -= gone.e.drift.len();
            self.look_again = true;
            self.join(kept, &gone);
            changes.push(Change::Merged {
                from: EndpointId(from),
                into: EndpointId(kept),
            });
        }
        Some(kept)
    }

    fn join(&mut self, kept: u32, gone: &Entry) {
        if let Some(entry) = self.state.endpoints.get_mut(&kept) {
            self.state.fields -= entry.e.fields();
            self.drifts -= entry.e.drift.len();
            entry.e.merge(&gone.e);
            entry.e.events.add(self.state.now, Happened::Joined(1));
            self.state.fields += entry.e.fields();
            self.drifts += entry.e.drift.len();
            entry.also(gone.aliases.iter().cloned().chain([gone.key.clone()]));
        }
    }

    /// Adds another inventory, as if its exchanges had come here: the union of the evidence and of
    /// the endpoints, judged anew. What is known of TLS and of the capture's losses stays with each.
    pub fn merge(&mut self, other: Self, changes: &mut Vec<Change>) {
        let theirs = other.state;
        let offset = self.state.next;
        self.state.next += theirs.next;
        self.state.pins.merge(&theirs.pins);
        let room = self
            .settings
            .max_nodes
            .saturating_sub(self.state.trie.routes());
        let evidence = &mut self.state.trie.evidence;
        evidence.merge(&theirs.trie.evidence, offset, room);
        evidence
            .routes
            .extend(theirs.trie.evidence.routes.iter().cloned());
        for host in theirs.trie.evidence.hosts() {
            self.state.trie.root_or_new(host);
        }
        for (id, entry) in theirs.endpoints {
            self.state.fields += entry.e.fields();
            self.drifts += entry.e.drift.len();
            self.state.endpoints.insert(id + offset, entry);
        }
        let starts = self.state.started.into_iter().chain(theirs.started);
        self.state.started = starts.min();
        self.state.now = self.state.now.max(theirs.now);
        self.state.evicted += theirs.evicted;
        self.state.strangers.extend(theirs.strangers);
        self.state.told_clear.extend(theirs.told_clear);
        self.settle(changes);
    }
}

/// Endpoints by the place that most of them is at, and what other places get of them.
struct Parts {
    main: BTreeMap<u32, usize>,
    split: BTreeMap<usize, Vec<Entry>>,
}

impl Entry {
    /// A part with these calls, under the same key until it gets its own.
    fn split(&mut self, calls: &Calls) -> Self {
        let e = Box::new(self.e.split(calls.by_class, calls.answered));
        Self {
            key: self.key.clone(),
            aliases: self.aliases.clone(),
            e,
        }
    }

    /// Its key by its place; whether that is another one now.
    fn rename(&mut self, slot_: &str, template: &str) -> bool {
        let slot = slot(&self.e.method, self.e.operation.as_deref());
        debug_assert_eq!(slot, slot_);
        let key = key(&slot, &self.e.host, template);
        let other = key != self.key;
        if other {
            let old = std::mem::replace(&mut self.key, key);
            self.also([old]);
        }
        other
    }

    fn also(&mut self, keys: impl IntoIterator<Item = String>) {
        self.aliases.extend(keys);
        self.aliases.remove(&self.key);
        while self.aliases.len() > MAX_ALIASES {
            self.aliases.pop_last();
        }
    }
}
