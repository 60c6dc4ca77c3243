//! The path trie of one host group: the router that finds the endpoint of a request.
//!
//! A node has static children by folded word, and at most one parameter child. Typed segments go
//! to the parameter child at once. Which words are values is judged by the [`Evidence`] beside it,
//! which keeps what was seen word by word; [`Trie::regroup`] builds the routes anew from that.

mod evidence;
mod group;
mod judge;
mod pools;
mod regroup;
mod respec;

use std::collections::{BTreeMap, HashMap};

use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize};

use super::NodeId;
use super::segment::{self, Type, classify, fold, show};
/// Routes beside a parameter that are shown.
const ROUTES: usize = 8;

/// What is known of one parameter of a path.
pub(super) struct Found<'a> {
    /// Of its values.
    pub(super) types: Vec<&'static str>,
    /// Why it is one.
    pub(super) why: &'a str,
    /// Words that are routes of their own beside it; the first of them.
    pub(super) routes: Vec<&'a str>,
}

pub(super) use evidence::{Calls, Evidence, RawId, Step};
pub(super) use regroup::Place;
pub(super) use respec::Stone;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Node {
    /// The segment as most often spelt first; empty for a parameter.
    pub(super) word: String,
    pub(super) parent: Option<NodeId>,
    pub(super) words: BTreeMap<CompactString, NodeId>,
    pub(super) param: Option<NodeId>,
    /// Set on a parameter: name, types seen (bits of [`Type`]), and why it is one.
    pub(super) name: Option<String>,
    pub(super) types: u16,
    pub(super) why: String,
    /// Answered requests through this node.
    pub(super) hits: u64,
    /// By method, or by method and operation.
    pub(super) endpoints: BTreeMap<CompactString, u32>,
    /// A route for sure, by a spec or a person: never taken for a value.
    pub(super) kept: bool,
    /// The word is a pattern of a spec: `{id}.json`.
    pub(super) pattern: bool,
    /// Of a parameter that a spec has, which takes anything: types of the values that came.
    pub(super) seen: u16,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    roots: HashMap<String, NodeId>,
    pub(super) evidence: Evidence,
}

impl Trie {
    /// Nodes, those of the evidence included.
    pub(super) fn len(&self) -> usize {
        self.routes() + self.evidence.len()
    }

    /// Nodes of the routes alone.
    pub(super) fn routes(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    pub(super) fn root(&self, host: &str) -> Option<NodeId> {
        self.roots.get(host).copied()
    }

    pub(super) fn root_or_new(&mut self, host: &str) -> NodeId {
        if let Some(id) = self.roots.get(host) {
            return *id;
        }
        let id = self.alloc(Node::default());
        self.roots.insert(host.to_owned(), id);
        id
    }

    fn alloc(&mut self, node: Node) -> NodeId {
        if let Some(id) = self.free.pop() {
            self.nodes[id.0 as usize] = node;
            return id;
        }
        self.nodes.push(node);
        NodeId((self.nodes.len() - 1) as u32)
    }

    /// The node of a path, where it is known: static words first, then the parameter.
    pub(super) fn find(
        &self,
        from: NodeId,
        segments: &[impl AsRef<str>],
        accept: &impl Fn(&Node) -> bool,
    ) -> Option<NodeId> {
        let Some((first, rest)) = segments.split_first() else {
            return accept(self.node(from)).then_some(from);
        };
        let node = self.node(from);
        let word = node.words.get(fold(first.as_ref()).as_ref());
        if let Some(found) = word.and_then(|id| self.find(*id, rest, accept)) {
            return Some(found);
        }
        if word.is_some_and(|id| self.node(*id).kept) {
            return None;
        }
        let param = node.param.filter(|id| self.takes(*id, first.as_ref()))?;
        self.find(param, rest, accept)
    }

    /// The same where parameters take any value.
    pub(super) fn find_loosely(
        &self,
        from: NodeId,
        segments: &[impl AsRef<str>],
        accept: &impl Fn(&Node) -> bool,
    ) -> Option<NodeId> {
        let Some((first, rest)) = segments.split_first() else {
            return accept(self.node(from)).then_some(from);
        };
        let node = self.node(from);
        let word = node.words.get(fold(first.as_ref()).as_ref());
        word.and_then(|id| self.find_loosely(*id, rest, accept))
            .or_else(|| self.find_loosely(node.param?, rest, accept))
    }

    /// Whether a parameter takes this value: any, once words were found to be values; else those
    /// of the types seen.
    fn takes(&self, param: NodeId, value: &str) -> bool {
        let types = self.node(param).types;
        let open = types & Type::Text.bit() != 0;
        open || classify(value).is_some_and(|t| types & t.bit() != 0)
    }

    /// The node of an answered path, made where it is not there. `None`: no room.
    pub(super) fn insert(
        &mut self,
        root: NodeId,
        segments: &[impl AsRef<str>],
        room: usize,
    ) -> Option<NodeId> {
        let mut at = root;
        for segment in segments {
            let segment = segment.as_ref();
            let folded = fold(segment);
            let known = self.node(at).words.get(folded.as_ref()).copied();
            let kind = classify(segment).filter(|_| !self.evidence.routes.contains(&*folded));
            let node = self.node(at);
            let in_brackets = segment::opens(&node.word);
            let open = node
                .param
                .filter(|p| self.node(*p).types & Type::Text.bit() != 0);
            at = match (known, kind, open) {
                (Some(id), ..) => id,
                (None, Some(kind), _) => self.param(at, kind, room)?,
                (None, None, Some(param)) => param,
                (None, None, None) if in_brackets => self.param(at, Type::Text, room)?,
                (None, None, None) => self.insert_word(at, segment, room)?,
            };
        }
        Some(at)
    }

    /// The static child, made where it is not there.
    pub(super) fn insert_word(&mut self, at: NodeId, word: &str, room: usize) -> Option<NodeId> {
        let folded = fold(word);
        if let Some(id) = self.node(at).words.get(folded.as_ref()) {
            return Some(*id);
        }
        if self.len() >= room {
            return None;
        }
        let id = self.alloc(Node {
            word: word.to_owned(),
            parent: Some(at),
            ..Node::default()
        });
        self.node_mut(at).words.insert(folded.as_ref().into(), id);
        Some(id)
    }

    /// The parameter child, made or widened.
    pub(super) fn param(&mut self, at: NodeId, kind: Type, room: usize) -> Option<NodeId> {
        let id = match self.node(at).param {
            Some(id) => id,
            None if self.len() >= room => return None,
            None => {
                let why = format!("values have the form of {}", kind.name());
                let id = self.alloc(Node {
                    parent: Some(at),
                    why,
                    ..Node::default()
                });
                self.node_mut(at).param = Some(id);
                id
            }
        };
        self.node_mut(id).types |= kind.bit();
        Some(id)
    }

    /// Steps from the root.
    pub(super) fn depth(&self, id: NodeId) -> usize {
        let mut at = self.node(id);
        let mut depth = 0;
        while let Some(parent) = at.parent {
            at = self.node(parent);
            depth += 1;
        }
        depth
    }

    /// One more answered request ended at this node.
    pub(super) fn count(&mut self, id: NodeId) {
        let mut at = Some(id);
        while let Some(id) = at {
            let node = self.node_mut(id);
            node.hits += 1;
            at = node.parent;
        }
    }

    /// The path template of a node, and the segment's own names in it.
    pub(super) fn template(&self, id: NodeId) -> String {
        let mut chain = vec![id];
        while let Some(parent) = self.node(chain[chain.len() - 1]).parent {
            chain.push(parent);
        }
        let mut out = String::new();
        let mut before = "";
        let mut names: Vec<String> = Vec::new();
        for id in chain.iter().rev().skip(1) {
            let node = self.node(*id);
            if node.types == 0 {
                let glued = segment::glued(&node.word);
                out.push_str(if glued { "" } else { "/" });
                let word = segment::bare(&node.word);
                out.push_str(&if node.pattern {
                    word.into()
                } else {
                    show(word)
                });
                before = if glued { before } else { &node.word };
                continue;
            }
            let own = || parameter_name(before, node.types);
            let base = node.name.clone().unwrap_or_else(own);
            let mut name = base.clone();
            let mut n = 1;
            while names.contains(&name) {
                n += 1;
                name = format!("{base}{n}");
            }
            let bracket = out.ends_with('(');
            out.push_str(if bracket { "{" } else { "/{" });
            out.push_str(&name);
            out.push_str(if bracket { "})" } else { "}" });
            names.push(name);
            before = "";
        }
        if out.is_empty() { "/".into() } else { out }
    }

    /// What each parameter of the template was seen to be.
    pub(super) fn parameters(&self, id: NodeId) -> Vec<Found<'_>> {
        let (mut out, mut at) = (Vec::new(), Some(id));
        while let Some(node) = at.map(|id| self.node(id)) {
            if node.types != 0 {
                let bits = if node.seen == 0 {
                    node.types
                } else {
                    node.seen
                };
                let seen = Type::ALL.into_iter().filter(|t| bits & t.bit() != 0);
                let beside = node.parent.map(|id| self.node(id).words.values());
                let beside = beside.into_iter().flatten().map(|id| &self.node(*id).word);
                let whole = beside.filter(|word| !segment::glued(word));
                out.push(Found {
                    types: seen.map(Type::name).collect(),
                    why: &node.why,
                    routes: whole.map(String::as_str).take(ROUTES).collect(),
                });
            }
            at = node.parent;
        }
        out.reverse();
        out
    }

    /// Why each parameter of the template is one.
    pub(super) fn evidence(&self, id: NodeId) -> Vec<String> {
        let (mut out, mut at) = (Vec::new(), Some(id));
        while let Some(node) = at.map(|id| self.node(id)) {
            if node.types != 0 && !node.why.is_empty() {
                out.push(node.why.clone());
            }
            at = node.parent;
        }
        out.reverse();
        out
    }

    pub(super) fn hosts(&self) -> Vec<String> {
        let mut all: Vec<String> = self.roots.keys().cloned().collect();
        all.sort();
        all
    }

    /// Makes all that was seen below one host part of another, which is to be grouped anew.
    pub(super) fn merge_roots(&mut self, from: &str, into: &str) {
        let Some(root) = self.roots.remove(from) else {
            return;
        };
        let into_root = self.root_or_new(into);
        // Below the other's root, so that its nodes are known there when the routes are built anew.
        self.node_mut(root).parent = Some(into_root);
        let grafted = format_compact!("{}{from}", segment::GLUE);
        self.node_mut(into_root).words.insert(grafted, root);
        self.evidence.merge_roots(from, into);
    }

    /// Takes an endpoint out, and the nodes that only it needed.
    pub(super) fn remove(&mut self, mut at: NodeId, method: &str) {
        self.node_mut(at).endpoints.remove(method);
        loop {
            let node = self.node(at);
            let needed =
                !node.endpoints.is_empty() || !node.words.is_empty() || node.param.is_some();
            if needed {
                return;
            }
            let Some(parent) = node.parent else {
                self.roots.retain(|_, root| *root != at);
                *self.node_mut(at) = Node::default();
                self.free.push(at);
                return;
            };
            let above = self.node_mut(parent);
            above.words.retain(|_, child| *child != at);
            if above.param == Some(at) {
                above.param = None;
            }
            *self.node_mut(at) = Node::default();
            self.free.push(at);
            at = parent;
        }
    }
}

/// `/users/{user_id}`: named from the segment before.
fn parameter_name(before: &str, types: u16) -> String {
    let word: String = before
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    let word = word.trim_matches('_');
    let single = match word {
        "" => {
            return if types == Type::File.bit() {
                "file".into()
            } else {
                "id".into()
            };
        }
        w if w.ends_with("ies") && w.len() > 4 => format!("{}y", &w[..w.len() - 3]),
        w if w.ends_with("sses") || w.ends_with("xes") || w.ends_with("ches") => {
            w[..w.len() - 2].to_owned()
        }
        w if w.ends_with('s') && !w.ends_with("ss") && w.len() > 2 => w[..w.len() - 1].to_owned(),
        w => w.to_owned(),
    };
    match types {
        t if t == Type::Date.bit() => "date".into(),
        t if t == Type::Email.bit() => "email".into(),
        t if t == Type::File.bit() => format!("{single}_file"),
        t if t & Type::Text.bit() != 0 => format!("{single}_name"),
        _ => format!("{single}_id"),
    }
}
