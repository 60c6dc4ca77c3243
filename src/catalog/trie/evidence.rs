//! What was seen of one inventory's paths, word by word: the raw evidence that templates are judged
//! by.
//!
//! A place is a node; below it stand the words seen there, each a node of its own, and at most one
//! child for all values whose form alone says that they are values. Where a path ended, the calls
//! are counted by method. Templates are a pure function of this (see [`super::group`]), so neither
//! the order of exchanges nor early judgements change them.
//!
//! Bounds: a place holds [`MAX_WORDS`] words, the next ones count as values; all places together
//! hold the settings' `max_nodes`, of which past a half the words that were judged to be values are
//! given up ([`Evidence::thin`]). Only what a bound took cannot be judged anew.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::catalog::NodeId;
use crate::catalog::segment::{self, Type, classify};
use crate::catalog::small::one_more;

/// Words of one place that are told apart.
pub(super) const MAX_WORDS: usize = 1_024;
/// Words that a place keeps when the whole is too large.
const THIN_WORDS: usize = 64;
/// Spellings of one word, told apart to show the most common.
const MAX_SPELLINGS: usize = 4;

/// A node of the evidence, by its index.
pub(in crate::catalog) type RawId = u32;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::catalog) struct Raw {
    /// How it was spelt, and how often; none for the child of all values.
    pub(super) spellings: Vec<(CompactString, u32)>,
    pub(super) words: BTreeMap<CompactString, RawId>,
    pub(super) values: Option<RawId>,
    /// Of the child of all values: bits of [`Type`], and the name and title that a spec gave.
    pub(super) types: u16,
    pub(super) name: Option<(String, String)>,
    /// A spec has this word here, which may be a pattern (`{id}.json`).
    pub(super) fixed: bool,
    pub(super) pattern: bool,
    /// Of the child of all values: types of those that came where a spec has the parameter.
    pub(super) seen: u16,
    /// Where it stands in the trie.
    pub(in crate::catalog) node: Option<NodeId>,
    /// Paths that ended here.
    pub(in crate::catalog) ends: Vec<End>,
}

/// Calls of one method, or of a method and operation, on one raw path.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::catalog) struct End {
    pub(in crate::catalog) slot: CompactString,
    pub(in crate::catalog) endpoint: u32,
    pub(in crate::catalog) calls: Calls,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::catalog) struct Calls {
    /// No response, 1xx … 5xx.
    pub(in crate::catalog) by_class: [u64; 6],
    pub(in crate::catalog) answered: u64,
}

impl Calls {
    pub(in crate::catalog) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.by_class.iter_mut().zip(other.by_class) {
            *mine += theirs;
        }
        self.answered += other.answered;
    }

    pub(in crate::catalog) fn total(&self) -> u64 {
        self.by_class.iter().sum()
    }
}

/// One step of a path: as it came, or as a spec has it.
#[derive(Clone, Debug)]
pub(in crate::catalog) enum Step<'a> {
    Seen(&'a str),
    /// A word of a spec, and whether it is a pattern.
    Fixed(&'a str, bool),
    /// A parameter: its name, the spec's title, and types of the value that came.
    Named(&'a str, &'a str, u16),
    /// Values of these types, of which no more is known.
    Values(u16),
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::catalog) struct Evidence {
    nodes: Vec<Raw>,
    pub(super) free: Vec<RawId>,
    pub(super) roots: BTreeMap<String, RawId>,
    /// Words that a person said to be routes somewhere: their form does not make them values.
    pub(in crate::catalog) routes: BTreeSet<String>,
    /// Nodes of the trie whose evidence is part of another's since the routes were built.
    #[serde(skip)]
    pub(super) lost: Vec<(NodeId, RawId)>,
}

impl Evidence {
    pub(super) fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    pub(in crate::catalog) fn raw(&self, id: RawId) -> &Raw {
        &self.nodes[id as usize]
    }

    pub(in crate::catalog) fn raw_mut(&mut self, id: RawId) -> &mut Raw {
        &mut self.nodes[id as usize]
    }

    pub(in crate::catalog) fn root(&mut self, host: &str) -> RawId {
        if let Some(id) = self.roots.get(host) {
            return *id;
        }
        let id = self.alloc(Raw::default());
        self.roots.insert(host.to_owned(), id);
        id
    }

    pub(in crate::catalog) fn at_host(&self, host: &str) -> Option<RawId> {
        self.roots.get(host).copied()
    }

    fn alloc(&mut self, raw: Raw) -> RawId {
        if let Some(id) = self.free.pop() {
            self.nodes[id as usize] = raw;
            return id;
        }
        self.nodes.push(raw);
        (self.nodes.len() - 1) as RawId
    }

    pub(in crate::catalog) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.roots.keys().map(String::as_str)
    }

    /// The next hosts behind one, so that all of them come in `parts` steps, or before; and whether
    /// there are more.
    pub(in crate::catalog) fn hosts_behind(
        &self,
        last: Option<&str>,
        parts: usize,
    ) -> (Vec<String>, bool) {
        let behind = last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.roots.range::<str, _>((behind, Bound::Unbounded));
        let many = self.roots.len().div_ceil(parts.max(1));
        let next = rest.by_ref().take(many).map(|(host, _)| host.clone());
        (next.collect(), rest.next().is_some())
    }

    /// All nodes of a host.
    pub(super) fn ids(&self, host: &str) -> Vec<RawId> {
        let mut out: Vec<RawId> = self.roots.get(host).copied().into_iter().collect();
        let mut at = 0;
        while let Some(id) = out.get(at).copied() {
            let raw = self.raw(id);
            out.extend(raw.words.values().chain(&raw.values));
            at += 1;
        }
        out
    }

    /// The node of a path. Where it is not there it is made if there is `room`, and else `None`.
    pub(in crate::catalog) fn walk<'s>(
        &mut self,
        host: &str,
        steps: impl IntoIterator<Item = Step<'s>>,
        room: Option<usize>,
    ) -> Option<RawId> {
        let mut at = match room {
            Some(_) => self.root(host),
            None => *self.roots.get(host)?,
        };
        for step in steps {
            at = self.step(at, &step, room)?;
        }
        Some(at)
    }

    pub(in crate::catalog) fn step(
        &mut self,
        at: RawId,
        step: &Step<'_>,
        room: Option<usize>,
    ) -> Option<RawId> {
        let (text, typed) = match *step {
            Step::Named(name, title, seen) => {
                let id = self.value(at, Type::Text.bit(), room)?;
                let raw = self.raw_mut(id);
                raw.name = Some((name.to_owned(), title.to_owned()));
                raw.seen |= if room.is_some() { seen } else { 0 };
                return Some(id);
            }
            Step::Values(types) => return self.value(at, types, room),
            Step::Fixed(word, _) => (word, false),
            Step::Seen(word) => (word, true),
        };
        let folded = segment::fold(text);
        let raw = self.raw(at);
        let id = match raw.words.get(folded.as_ref()) {
            Some(id) => *id,
            None => {
                let may_be_value = typed && !self.routes.contains(folded.as_ref());
                let kind = may_be_value.then(|| classify(text)).flatten();
                let full = raw.words.len() >= MAX_WORDS || in_brackets(raw);
                if let Some(kind) = kind.or_else(|| full.then_some(Type::Text)) {
                    return self.value(at, kind.bit(), room);
                }
                room.filter(|room| self.len() < *room)?;
                let id = self.alloc(Raw::default());
                self.raw_mut(at).words.insert(folded.as_ref().into(), id);
                id
            }
        };
        if room.is_some() {
            let raw = self.raw_mut(id);
            if let Step::Fixed(_, pattern) = step {
                (raw.fixed, raw.pattern) = (true, *pattern);
            }
            raw.spelt(text, 1);
        }
        Some(id)
    }

    /// The child of all values, made or widened by `types`.
    fn value(&mut self, at: RawId, types: u16, room: Option<usize>) -> Option<RawId> {
        let id = match self.raw(at).values {
            Some(id) => id,
            None => {
                room.filter(|room| self.len() < *room)?;
                let id = self.alloc(Raw::default());
                self.raw_mut(at).values = Some(id);
                id
            }
        };
        self.raw_mut(id).types |= types;
        Some(id)
    }

    /// Adds another inventory's evidence; its endpoints are counted from `offset` on.
    pub(in crate::catalog) fn merge(&mut self, other: &Self, offset: u32, room: usize) {
        for (host, theirs) in &other.roots {
            let mine = self.root(host);
            self.merge_at(mine, other, *theirs, offset, room);
        }
    }

    fn merge_at(&mut self, mine: RawId, other: &Self, theirs: RawId, offset: u32, room: usize) {
        let their = other.raw(theirs);
        let raw = self.raw_mut(mine);
        raw.types |= their.types;
        raw.fixed |= their.fixed;
        raw.pattern |= their.pattern;
        raw.seen |= their.seen;
        raw.name = raw.name.take().or_else(|| their.name.clone());
        for (spelling, n) in &their.spellings {
            raw.spelt(spelling, *n);
        }
        raw.ends.extend(their.ends.iter().cloned().map(|end| End {
            endpoint: end.endpoint + offset,
            ..end
        }));
        for (word, child) in &their.words {
            let known = self.raw(mine).words.get(word).copied();
            let full = self.raw(mine).words.len() >= MAX_WORDS;
            let at = match known {
                Some(id) => Some(id),
                None if full => self.value(mine, Type::Text.bit(), Some(usize::MAX)),
                None if self.len() >= room => None,
                None => {
                    let id = self.alloc(Raw::default());
                    self.raw_mut(mine).words.insert(word.clone(), id);
                    Some(id)
                }
            };
            if let Some(at) = at {
                self.merge_at(at, other, *child, offset, room);
            }
        }
        if let Some(child) = their.values
            && let Some(at) = self.value(mine, 0, Some(usize::MAX))
        {
            self.merge_at(at, other, child, offset, room);
        }
    }

    /// Gives up the words of crowded places that were judged to be values.
    pub(super) fn thin(&mut self, place: RawId, values: Vec<CompactString>) {
        let words = &self.raw(place).words;
        if values.len() <= THIN_WORDS || !values.iter().any(|word| words.contains_key(word)) {
            return;
        }
        let Some(into) = self.value(place, Type::Text.bit(), Some(usize::MAX)) else {
            return;
        };
        for word in values {
            if let Some(id) = self.raw_mut(place).words.remove(&word) {
                self.absorb(into, id);
            }
        }
    }

    /// Makes what was seen of one host part of another's.
    pub(super) fn merge_roots(&mut self, from: &str, into: &str) {
        if let Some(gone) = self.roots.remove(from) {
            let into = self.root(into);
            self.absorb(into, gone);
        }
    }

    fn absorb(&mut self, into: RawId, from: RawId) {
        let gone = std::mem::take(self.raw_mut(from));
        self.free.push(from);
        self.lost.extend(gone.node.map(|node| (node, into)));
        let raw = self.raw_mut(into);
        raw.types |= gone.types;
        raw.fixed |= gone.fixed;
        raw.pattern |= gone.pattern;
        raw.seen |= gone.seen;
        raw.name = raw.name.take().or(gone.name);
        for (spelling, n) in gone.spellings {
            raw.spelt(&spelling, n);
        }
        raw.node = raw.node.or(gone.node);
        raw.ends.extend(gone.ends);
        raw.join_ends();
        for (word, child) in gone.words {
            match self.raw(into).words.get(&word).copied() {
                Some(kept) => self.absorb(kept, child),
                None => {
                    self.raw_mut(into).words.insert(word, child);
                }
            }
        }
        if let Some(child) = gone.values {
            match self.raw(into).values {
                Some(kept) => self.absorb(kept, child),
                None => self.raw_mut(into).values = Some(child),
            }
        }
    }

    /// Forgets ended paths of endpoints that are gone, and nodes that nothing needs any more.
    pub(in crate::catalog) fn retain(&mut self, keep: &impl Fn(u32) -> bool) {
        for (host, root) in self.roots.clone() {
            if !self.prune(root, keep) {
                *self.raw_mut(root) = Raw::default();
                self.free.push(root);
                self.roots.remove(&host);
            }
        }
    }

    /// Whether the node is still needed.
    fn prune(&mut self, at: RawId, keep: &impl Fn(u32) -> bool) -> bool {
        let raw = self.raw_mut(at);
        raw.ends.retain(|end| keep(end.endpoint));
        let below: Vec<RawId> = raw.words.values().copied().chain(raw.values).collect();
        let mut gone = Vec::new();
        for id in below {
            if !self.prune(id, keep) {
                gone.push(id);
            }
        }
        let raw = self.raw_mut(at);
        raw.words.retain(|_, id| !gone.contains(id));
        raw.values = raw.values.filter(|id| !gone.contains(id));
        let needed = !raw.ends.is_empty() || !raw.words.is_empty() || raw.values.is_some();
        for id in gone {
            *self.raw_mut(id) = Raw::default();
            self.free.push(id);
        }
        needed
    }
}

/// `Customers(…)`: whatever stands in brackets is a key.
fn in_brackets(raw: &Raw) -> bool {
    raw.spellings
        .first()
        .is_some_and(|(word, _)| segment::opens(word))
}

impl Raw {
    pub(in crate::catalog) fn child(&self, folded: &str) -> Option<RawId> {
        self.words.get(folded).copied()
    }

    /// All that stands below: words, and the child of all values.
    pub(in crate::catalog) fn below(&self) -> impl Iterator<Item = RawId> {
        self.words.values().copied().chain(self.values)
    }

    /// One more call of a method here. What was another endpoint's until now stays that one's, so
    /// that both are found when the routes are built anew.
    pub(in crate::catalog) fn count(&mut self, slot: &str, endpoint: u32, calls: &Calls) {
        let same = |end: &&mut End| end.slot == slot && end.endpoint == endpoint;
        match self.ends.iter_mut().find(same) {
            Some(end) => end.calls.add(calls),
            None => {
                one_more(&mut self.ends);
                self.ends.push(End {
                    slot: slot.into(),
                    endpoint,
                    calls: *calls,
                });
            }
        }
    }

    /// One end for each slot, in order.
    pub(in crate::catalog) fn join_ends(&mut self) {
        self.ends
            .sort_by(|a, b| (&a.slot, a.endpoint).cmp(&(&b.slot, b.endpoint)));
        self.ends.dedup_by(|next, kept| {
            let same = next.slot == kept.slot && next.endpoint == kept.endpoint;
            if same {
                kept.calls.add(&next.calls);
            }
            same
        });
    }

    fn spelt(&mut self, text: &str, times: u32) {
        match self.spellings.iter_mut().find(|(known, _)| known == text) {
            Some((_, n)) => *n = n.saturating_add(times),
            None => {
                self.spellings.push((text.into(), times));
                self.spellings.sort();
                self.spellings.truncate(MAX_SPELLINGS);
            }
        }
    }

    /// As it is most often spelt; of equals, the first by the alphabet.
    pub(super) fn word(&self) -> &str {
        let most = self.spellings.iter().rev().max_by_key(|(_, n)| *n);
        most.map_or("", |(word, _)| word.as_str())
    }
}
