//! Requests to places in the trie, and places to endpoints: found, admitted, folded.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::ops::Bound;

use super::asked::Asked;
use super::{Catalog, Change, Entry, HASH, key};
use crate::catalog::endpoint::Endpoint;
use crate::catalog::pins::{self, Pin, Pinned};
use crate::catalog::segment::Type;
use crate::catalog::spec::Part;
use crate::catalog::trie::{Calls, Node, Step, Trie};
use crate::catalog::{Admission, EndpointId, NodeId, Object, Oddities};
use crate::exchange::Exchange;
use crate::time::Timestamp;

/// Operations of one path template that are entries of their own; large GraphQL schemas and SOAP
/// services have some hundreds. Stops whoever invents names that a server answers; the rest is the
/// path's own entry.
const MAX_OPERATIONS: usize = 2_000;

impl Catalog {
    /// A person's decision about a word at a place (the template before it), or with `None` its
    /// undoing. False: there are too many decisions already.
    pub fn pin(
        &mut self,
        host: &str,
        place: &str,
        word: &str,
        is: Option<Pinned>,
        changes: &mut Vec<Change>,
    ) -> bool {
        if !self.state.pins.set(host, place, word, is) {
            return false;
        }
        let all = self.state.pins.iter();
        let routes = all.filter(|pin| pin.is == Pinned::Route);
        self.state.trie.evidence.routes = routes.map(|pin| pin.word).collect();
        self.regroup(host, false, changes);
        true
    }

    /// All decisions of people.
    pub fn pins(&self) -> Vec<Pin> {
        self.state.pins.iter().collect()
    }

    /// The endpoint of a request, where it is known. Where a spec has the path, by the spec's
    /// template alone: a static word of it is never taken for a parameter's value, unless a person
    /// said so.
    pub(super) fn locate(&self, asked: &Asked<'_>, operation: Option<&str>) -> Option<u32> {
        let slot = slot(asked.method, operation);
        let trie = &self.state.trie;
        let root = trie.root(asked.host)?;
        let node = match &asked.documented {
            Some(found) => found.template().try_fold(root, |at, part| match part {
                Part::Word(word) => self.place_of_word(asked.host, at, &word.folded),
                Part::Param(_) => trie.node(at).param,
            })?,
            None => trie.find(root, &asked.parts, &|node| {
                node.endpoints.contains_key(&*slot)
            })?,
        };
        trie.node(node).endpoints.get(&*slot).copied()
    }

    /// Where a word of a spec's template stands behind `at`.
    fn place_of_word(&self, host: &str, at: NodeId, folded: &str) -> Option<NodeId> {
        let (trie, pins) = (&self.state.trie, &self.state.pins);
        let node = trie.node(at);
        let is_value = |_: &NodeId| {
            let decided = pins.at(host, &pins::normal(&trie.template(at)));
            decided.and_then(|words| words.get(folded)) == Some(&Pinned::Value)
        };
        let word = node.words.get(folded).copied();
        word.or_else(|| {
            node.param
                .filter(|param| !pins.is_empty() && is_value(param))
        })
    }

    /// A path that no endpoint has, but for a value in it that is of another type than all before:
    /// what is odd by that endpoint. Else what would be odd anywhere.
    pub(super) fn misfit(
        &mut self,
        oddities: Oddities,
        x: &Exchange,
        (host, method, operation): (&str, &str, Option<&str>),
        segments: &[Cow<'_, str>],
    ) -> Oddities {
        let slot = slot(method, operation);
        let trie = &self.state.trie;
        let accept = |node: &Node| node.endpoints.contains_key(&*slot);
        let root = trie.root(host);
        let Some(node) = root.and_then(|root| trie.find_loosely(root, segments, &accept)) else {
            return oddities.or_strange(x, segments);
        };
        let id = trie.node(node).endpoints.get(&*slot);
        let Some((id, entry)) = id.and_then(|id| Some((*id, self.state.endpoints.get_mut(id)?)))
        else {
            return oddities;
        };
        let values = path_values(&self.state.trie, node, segments);
        let found = entry.e.parameters.judge(x, values);
        oddities.and(found, EndpointId(id)).or_strange(x, segments)
    }

    /// The place of a path where the method has an entry, whatever its operation.
    pub(super) fn known_path(&self, asked: &Asked<'_>) -> Option<NodeId> {
        let (trie, method) = (&self.state.trie, asked.method);
        trie.find(trie.root(asked.host)?, &asked.parts, &|node| {
            let from = (Bound::Included(method), Bound::Unbounded);
            let first = node.endpoints.range::<str, _>(from).next();
            let rest = first.and_then(|(slot, _)| slot.strip_prefix(method));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
    }

    /// A path that something answered for the first time.
    pub(super) fn admit(
        &mut self,
        asked: &Asked<'_>,
        operation: Option<&str>,
        ts: Timestamp,
        changes: &mut Vec<Change>,
    ) -> Option<u32> {
        self.make_room(changes);
        let (host, steps) = (asked.host, asked.steps());
        let room = self.settings.max_nodes;
        let trie = &mut self.state.trie;
        if trie.root(host).is_none() && trie.len() >= room {
            return None;
        }
        // What has no evidence would be lost when routes are built anew.
        let mut raws = vec![trie.evidence.root(host)];
        for step in &steps {
            let (at, room) = (raws[raws.len() - 1], room.saturating_sub(trie.routes()));
            raws.push(trie.evidence.step(at, step, Some(room))?);
        }
        let root = trie.root_or_new(host);
        let node = match &asked.documented {
            // A spec's own template wins over whatever would be learnt.
            Some(_) => {
                let mut at = root;
                for step in &steps {
                    at = match step {
                        Step::Fixed(word, pattern) => {
                            let id = trie.insert_word(at, word, room)?;
                            let node = trie.node_mut(id);
                            (node.kept, node.pattern) = (true, *pattern);
                            id
                        }
                        Step::Named(name, title, seen) => {
                            let id = trie.param(at, Type::Text, room)?;
                            let node = trie.node_mut(id);
                            node.name = Some((*name).to_owned());
                            node.why = format!("the spec `{title}` has it so");
                            node.seen |= seen;
                            id
                        }
                        Step::Seen(_) | Step::Values(_) => at,
                    };
                }
                at
            }
            None => trie.insert(root, &asked.parts, room)?,
        };
        let mut at = Some(node);
        for raw in raws.iter().rev() {
            trie.evidence.raw_mut(*raw).node = at;
            at = at.and_then(|id| trie.node(id).parent);
        }
        self.grown += 1;
        self.grown_at.insert(host.to_owned());
        let known = &trie.node(node).endpoints;
        let operation = operation.filter(|_| known.len() < MAX_OPERATIONS);
        let slot = slot(asked.method, operation);
        if let Some(id) = known.get(&*slot) {
            return Some(*id);
        }
        let id = self.state.next;
        self.state.next += 1;
        self.state
            .trie
            .node_mut(node)
            .endpoints
            .insert(slot.as_ref().into(), id);
        let template = self.state.trie.template(node);
        let mut e = Box::new(Endpoint::new(node, asked.method, host, ts));
        e.operation = operation.map(str::to_owned);
        self.state.endpoints.insert(
            id,
            Entry {
                key: key(&slot, host, &template),
                aliases: BTreeSet::new(),
                e,
            },
        );
        self.look_up(id);
        self.recall(id);
        Some(id)
    }

    /// Counts a call at its own path, word by word: what templates are judged by. Only an answer
    /// makes a path known.
    pub(super) fn note(
        &mut self,
        asked: &Asked<'_>,
        slot: &str,
        x: &Exchange,
        admission: Admission,
        endpoint: u32,
    ) {
        let trie = &mut self.state.trie;
        let makes = matches!(admission, Admission::Answered | Admission::Unseen);
        let room = self.settings.max_nodes.saturating_sub(trie.routes());
        let room = makes.then_some(room);
        let raw = match asked.documented {
            None => {
                let steps = asked.parts.iter().map(|part| Step::Seen(part));
                trie.evidence.walk(asked.host, steps, room)
            }
            Some(_) => trie.evidence.walk(asked.host, asked.steps(), room),
        };
        let Some(raw) = raw else {
            return;
        };
        let raw = trie.evidence.raw_mut(raw);
        let mut calls = Calls::default();
        calls.by_class[x.status_class()] = 1;
        calls.answered = u64::from(admission == Admission::Answered);
        if makes || raw.ends.iter().any(|end| end.slot == slot) {
            raw.count(slot, endpoint, &calls);
        }
    }
}

/// The values of the parameters of a path, with the places of their segments; the last first.
pub(super) fn path_values<'a>(
    trie: &'a Trie,
    node: NodeId,
    segments: &'a [Cow<'a, str>],
) -> impl Iterator<Item = (usize, &'a str)> {
    // Parts of a segment that are steps of their own are no values to be judged by themselves.
    let whole = trie.depth(node) == segments.len();
    let mut at = whole.then_some(node);
    segments
        .iter()
        .enumerate()
        .rev()
        .filter_map(move |(place, text)| {
            let node = trie.node(at?);
            at = node.parent;
            (node.types != 0).then_some((place, text.as_ref()))
        })
}

/// The last parameter of a path.
pub(super) fn object(trie: &Trie, node: NodeId, asked: &Asked<'_>) -> Option<Object> {
    // Where a spec has the path, a segment is one step; else its parts are.
    let steps = if trie.depth(node) == asked.parts.len() {
        &asked.parts
    } else {
        asked.segments
    };
    let mut at = node;
    for text in steps.iter().rev() {
        let node = trie.node(at);
        // `{id}.json` of a spec is one word to the trie, and holds an id.
        let pattern = node.pattern;
        if node.types != 0 || pattern {
            let is_digit = |c: char| c.is_ascii_digit();
            let digits = text.trim_matches(|c| pattern && !is_digit(c));
            return Some(Object {
                hash: HASH.hash_one(text),
                number: digits.parse().ok(),
            });
        }
        at = node.parent?;
    }
    None
}

/// The key of an endpoint at its node: the method, and behind a space, which no method has, the
/// operation.
pub(super) fn slot<'a>(method: &'a str, operation: Option<&str>) -> Cow<'a, str> {
    match operation {
        Some(operation) => Cow::Owned(format!("{method} {operation}")),
        None => Cow::Borrowed(method),
    }
}
