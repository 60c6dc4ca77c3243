//! Requests to places in the trie, and places to endpoints: found, admitted, folded.

use std::borrow::Cow;
use std::hash::BuildHasher;

use super::{Catalog, Change, EndpointId, Entry, HASH, key};
use crate::catalog::endpoint::Endpoint;
use crate::catalog::segment::Type;
use crate::catalog::spec::Part;
use crate::catalog::trie::{Folded, Trie};
use crate::catalog::{NodeId, Object};
use crate::time::Timestamp;

/// Operations of one path template that are entries of their own; large GraphQL schemas and SOAP
/// services have some hundreds. Stops whoever invents names that a server answers; the rest is the
/// path's own entry.
const MAX_OPERATIONS: usize = 2_000;

impl Catalog {
    /// Judges siblings by all the evidence there is: at the end of input, and now and then.
    pub fn settle(&mut self, changes: &mut Vec<Change>) {
        self.state.trie.forget_judgements();
        self.fold(false, changes);
        self.hosts_judged = 0;
        self.group_hosts(changes);
    }

    pub(super) fn fold(&mut self, early: bool, changes: &mut Vec<Change>) {
        self.grown = 0;
        // A merge brings evidence together below it; four levels at once are enough for any path.
        for _ in 0..4 {
            let mut places = Vec::new();
            for root in self.state.trie.roots() {
                self.state.trie.unjudged(root, &mut places);
            }
            let mut moved = false;
            for at in places {
                if let Some((values, why)) = self.state.trie.to_fold(at, early) {
                    let folded = self.state.trie.fold(at, &values, why);
                    self.follow(folded, changes);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// The endpoint of a request, where it is known. Where a spec has the path, by the spec's
    /// template alone: a static word of it is never taken for a parameter's value.
    pub(super) fn locate(
        &self,
        host: &str,
        method: &str,
        operation: Option<&str>,
        segments: &[impl AsRef<str>],
    ) -> Option<u32> {
        let slot = slot(method, operation);
        let trie = &self.state.trie;
        let root = trie.root(host)?;
        let asked = self.state.groups.spec_host(host);
        let documented = self
            .specs
            .find(asked, method, segments)
            .and_then(Result::ok);
        let node = match documented {
            Some(found) => found.template().try_fold(root, |at, part| match part {
                Part::Word(word) => trie.node(at).words.get(&*word.folded).copied(),
                Part::Param(_) => trie.node(at).param,
            })?,
            None => trie.find(root, segments, &|node| node.endpoints.contains_key(&*slot))?,
        };
        trie.node(node).endpoints.get(&*slot).copied()
    }

    /// The place of a path where the method has an entry, whatever its operation.
    pub(super) fn known_path(
        &self,
        host: &str,
        method: &str,
        segments: &[impl AsRef<str>],
    ) -> Option<NodeId> {
        let trie = &self.state.trie;
        trie.find(trie.root(host)?, segments, &|node| {
            let first = node.endpoints.range(method.to_owned()..).next();
            let rest = first.and_then(|(slot, _)| slot.strip_prefix(method));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
    }

    /// A path that something answered for the first time.
    pub(super) fn admit(
        &mut self,
        host: &str,
        method: &str,
        operation: Option<&str>,
        segments: &[impl AsRef<str>],
        ts: Timestamp,
        changes: &mut Vec<Change>,
    ) -> Option<u32> {
        self.make_room(changes);
        let room = self.settings.max_nodes;
        let trie = &mut self.state.trie;
        if trie.root(host).is_none() && trie.len() >= room {
            return None;
        }
        let root = trie.root_or_new(host);
        let asked = self.state.groups.spec_host(host);
        let documented = self
            .specs
            .find(asked, method, segments)
            .and_then(Result::ok);
        let node = match documented {
            // A spec's own template wins over whatever would be learnt.
            Some(found) => {
                let mut at = root;
                for part in found.template() {
                    at = match part {
                        Part::Word(word) => {
                            let id = trie.insert_word(at, &word.spelt, room)?;
                            let node = trie.node_mut(id);
                            (node.by_spec, node.pattern) = (true, word.pattern);
                            id
                        }
                        Part::Param(name) => {
                            let id = trie.param(at, Type::Text, room)?;
                            let node = trie.node_mut(id);
                            node.name = Some(name.to_owned());
                            node.why = format!("the spec `{}` has it so", found.spec.title);
                            id
                        }
                    };
                }
                at
            }
            None => trie.insert(root, segments, room)?,
        };
        self.grown += 1;
        let known = &trie.node(node).endpoints;
        let operation = operation.filter(|_| known.len() < MAX_OPERATIONS);
        let slot = slot(method, operation);
        if let Some(id) = known.get(&*slot) {
            return Some(*id);
        }
        let id = self.state.next;
        self.state.next += 1;
        self.state
            .trie
            .node_mut(node)
            .endpoints
            .insert(slot.clone().into_owned(), id);
        let template = self.state.trie.template(node);
        let mut e = Endpoint::new(node, method, host, ts);
        e.operation = operation.map(str::to_owned);
        self.state.endpoints.insert(
            id,
            Entry {
                key: key(&slot, host, &template),
                e,
            },
        );
        self.look_up(id);
        self.recall(id);
        Some(id)
    }

    /// The trie has merged nodes; endpoints follow.
    pub(super) fn follow(&mut self, folded: Folded, changes: &mut Vec<Change>) {
        for (endpoint, node) in folded.moved {
            if let Some(entry) = self.state.endpoints.get_mut(&endpoint) {
                entry.e.node = node;
            }
            self.recall(endpoint);
        }
        for (from, into) in folded.endpoints {
            let Some(gone) = self.state.endpoints.remove(&from) else {
                continue;
            };
            self.views.remove(&from);
            self.dirty.remove(&from);
            self.state.fields -= gone.e.schemas.len();
            self.drifts -= gone.e.drift.len();
            if let Some(kept) = self.state.endpoints.get_mut(&into) {
                self.state.fields -= kept.e.schemas.len();
                self.drifts -= kept.e.drift.len();
                kept.e.merge(&gone.e);
                self.state.fields += kept.e.schemas.len();
                self.drifts += kept.e.drift.len();
            }
            self.recall(into);
            changes.push(Change::Merged {
                from: EndpointId(from),
                into: EndpointId(into),
            });
        }
        changes.extend(
            folded
                .nodes
                .into_iter()
                .map(|(from, into)| Change::NodeMerged { from, into }),
        );
        // Templates below the merge read otherwise now.
        self.renamed = true;
    }
}

/// The last parameter of a path.
pub(super) fn object(trie: &Trie, node: NodeId, segments: &[impl AsRef<str>]) -> Option<Object> {
    let mut at = node;
    for segment in segments.iter().rev() {
        let node = trie.node(at);
        // `{id}.json` of a spec is one word to the trie, and holds an id.
        let pattern = node.pattern;
        if node.types != 0 || pattern {
            let text = segment.as_ref();
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
