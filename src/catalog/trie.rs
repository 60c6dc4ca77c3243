//! The path trie of one host group, with its merges.
//!
//! A node has static children by folded word, and at most one parameter child. Typed segments go
//! to the parameter child at once. Words stay static until the siblings show that they are
//! interchangeable: [`Trie::to_fold`].

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::NodeId;
use super::segment::{Type, classify, fold, show};

/// Interior siblings that must share their sub-paths before they are one parameter.
const ALIKE: usize = 6;
/// Leaves that must be there before their vocabulary is judged.
const LEAVES: usize = 10;
/// As many are one parameter whatever else is true.
const MANY: usize = 24;
/// As many leaves are judged at once, to bound the node.
const MANY_LEAVES: usize = 256;
/// Good-Turing mass of words not seen yet, above which a vocabulary is open.
const OPEN: f64 = 0.03;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Node {
    /// The segment as most often spelt first; empty for a parameter.
    pub(super) word: String,
    pub(super) parent: Option<NodeId>,
    pub(super) words: BTreeMap<String, NodeId>,
    pub(super) param: Option<NodeId>,
    /// Set on a parameter: name, types seen (bits of [`Type`]), and why it is one.
    pub(super) name: Option<String>,
    pub(super) types: u8,
    pub(super) why: String,
    /// Answered requests through this node.
    pub(super) hits: u64,
    /// By method, or by method and operation.
    pub(super) endpoints: BTreeMap<String, u32>,
    /// Of a parameter that a spec has, which takes anything: types of the values that came.
    pub(super) seen: u8,
    /// Number of words when they were last judged.
    pub(super) judged: u32,
    /// A spec has this word: it is a route, whatever its siblings are.
    pub(super) by_spec: bool,
    /// The word is a pattern of a spec: `{id}.json`.
    pub(super) pattern: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    roots: HashMap<String, NodeId>,
}

impl Trie {
    pub(super) fn len(&self) -> usize {
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
        let param = node.param.filter(|id| self.takes(*id, first.as_ref()))?;
        self.find(param, rest, accept)
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
            let open = self
                .node(at)
                .param
                .filter(|p| self.node(*p).types & Type::Text.bit() != 0);
            at = match (known, classify(segment), open) {
                (Some(id), ..) => id,
                (None, Some(kind), _) => self.param(at, kind, room)?,
                (None, None, Some(param)) => param,
                (None, None, None) => self.insert_word(at, segment, room)?,
            };
        }
        Some(at)
    }

    /// The static child, made where it is not there.
    pub(super) fn insert_word(&mut self, at: NodeId, word: &str, room: usize) -> Option<NodeId> {
        let folded = fold(word).into_owned();
        if let Some(id) = self.node(at).words.get(&folded) {
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
        self.node_mut(at).words.insert(folded, id);
        Some(id)
    }

    /// The parameter child, made or widened.
    pub(super) fn param(&mut self, at: NodeId, kind: Type, room: usize) -> Option<NodeId> {
        let id = match self.node(at).param {
            Some(id) => id,
            None if self.len() >= room => return None,
            None => {
                let why = format!("values have the form of {} {}", article(kind), kind.name());
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

    /// One more answered request ended at this node.
    pub(super) fn count(&mut self, id: NodeId) {
        let mut at = Some(id);
        while let Some(id) = at {
            let node = self.node_mut(id);
            node.hits += 1;
            at = node.parent;
        }
    }

    /// An answered request with these segments ended at this node, which a spec has: notes of which
    /// types its parameters are.
    pub(super) fn note(&mut self, id: NodeId, segments: &[impl AsRef<str>]) {
        let mut at = Some(id);
        for segment in segments.iter().rev() {
            let Some(node) = at.map(|id| self.node_mut(id)) else {
                return;
            };
            if node.types != 0 {
                if node.seen == 0 && node.types & Type::Text.bit() == 0 {
                    node.seen = node.types;
                }
                node.seen |= classify(segment.as_ref()).unwrap_or(Type::Text).bit();
            }
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
            out.push('/');
            if node.types == 0 {
                let shown = if node.pattern {
                    Cow::Borrowed(node.word.as_str())
                } else {
                    show(&node.word)
                };
                out.push_str(&shown);
                before = &node.word;
                continue;
            }
            let mut name = node
                .name
                .clone()
                .unwrap_or_else(|| parameter_name(before, node.types));
            let same = names
                .iter()
                .filter(|n| n.trim_end_matches(|c: char| c.is_ascii_digit()) == name)
                .count();
            if same > 0 {
                name = format!("{name}{}", same + 1);
            }
            out.push('{');
            out.push_str(&name);
            out.push('}');
            names.push(name);
            before = "";
        }
        if out.is_empty() { "/".into() } else { out }
    }

    /// What each parameter of the template was seen to be.
    pub(super) fn parameters(&self, id: NodeId) -> Vec<Vec<&'static str>> {
        let (mut out, mut at) = (Vec::new(), Some(id));
        while let Some(node) = at.map(|id| self.node(id)) {
            if node.types != 0 {
                let bits = if node.seen == 0 {
                    node.types
                } else {
                    node.seen
                };
                let seen = Type::ALL.into_iter().filter(|t| bits & t.bit() != 0);
                out.push(seen.map(Type::name).collect());
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

    /// Static children that are values of one parameter, by evidence; with the reason.
    ///
    /// Early on every vocabulary looks open; `early` therefore asks for far more, enough to keep a
    /// node small.
    pub(super) fn to_fold(&self, at: NodeId, early: bool) -> Option<(Vec<NodeId>, String)> {
        let node = self.node(at);
        let values = node
            .words
            .values()
            .copied()
            .filter(|id| self.may_be_value(*id));
        let inner =
            |id: &NodeId| !self.node(*id).words.is_empty() || self.node(*id).param.is_some();
        let (interior, leaves): (Vec<NodeId>, Vec<NodeId>) = values.partition(inner);
        let alike = self.alike(&interior);
        let open_words = node
            .param
            .is_some_and(|p| self.node(p).types & Type::Text.bit() != 0);
        let rare = alike.iter().filter(|id| self.node(**id).hits <= 3).count();
        let some = alike.len() >= ALIKE && rare * 6 >= alike.len() && rare >= 2;
        let enough = alike.len() >= MANY || (!early && some);
        if enough || (open_words && alike.len() >= 2 && rare > 0) {
            let typical = median(alike.iter().map(|id| self.node(*id).hits).collect());
            // A leaf among them that is used far more is a route of its own (`/users/me`).
            let quiet = leaves
                .into_iter()
                .filter(|id| self.node(*id).hits <= 4 * typical.max(2));
            let why = format!(
                "{} values seen here lead to the same sub-paths",
                alike.len()
            );
            return Some((alike.iter().copied().chain(quiet).collect(), why));
        }
        if let Some(joining) = self.strays(at, interior.iter().chain(&leaves)) {
            return Some((
                joining,
                "rare values beside a parameter, with its sub-paths".into(),
            ));
        }
        let hits: u64 = leaves.iter().map(|id| self.node(*id).hits).sum();
        let once = leaves.iter().filter(|id| self.node(**id).hits == 1).count();
        let unseen = once as f64 / hits.max(1) as f64;
        let needed = if early { MANY_LEAVES } else { LEAVES };
        let open =
            leaves.len() >= needed && once >= 4 && unseen >= OPEN && once * 4 >= leaves.len();
        open.then(|| {
            let why = format!(
                "{} values seen here, {:.0} % of requests bring a new one",
                leaves.len(),
                unseen * 100.0
            );
            (leaves, why)
        })
    }

    /// Words beside a text parameter that lead nowhere else than it does, and seldom.
    fn strays<'a>(
        &self,
        at: NodeId,
        words: impl Iterator<Item = &'a NodeId>,
    ) -> Option<Vec<NodeId>> {
        let id = self
            .node(at)
            .param
            .filter(|p| self.node(*p).types & Type::Text.bit() != 0)?;
        let (param, known) = (self.node(id), self.shape(id));
        let stray = |word: &&NodeId| {
            let node = self.node(**word);
            let shape = self.shape(**word);
            // Sub-paths in common are evidence of their own.
            let seldom = node.hits * if shape.is_empty() { 20 } else { 3 } <= param.hits;
            let inside = shape.iter().all(|w| known.binary_search(w).is_ok());
            seldom
                && inside
                && node
                    .endpoints
                    .keys()
                    .all(|m| param.endpoints.contains_key(m))
        };
        let found: Vec<NodeId> = words.filter(stray).copied().collect();
        (!found.is_empty()).then_some(found)
    }

    /// Version segments are routes, and so is what a spec names.
    fn may_be_value(&self, id: NodeId) -> bool {
        let node = self.node(id);
        !node.by_spec && super::segment::version(&node.word).is_none()
    }

    /// The children whose sub-paths others have too.
    fn alike(&self, children: &[NodeId]) -> Vec<NodeId> {
        let shapes: Vec<Vec<&str>> = children.iter().map(|id| self.shape(*id)).collect();
        let mut count: HashMap<&str, usize> = HashMap::new();
        for word in shapes.iter().flatten() {
            *count.entry(word).or_default() += 1;
        }
        let needed = (children.len() / 10).max(3);
        let shared = |shape: &Vec<&str>| {
            let common = shape.iter().filter(|w| count[*w] >= needed).count();
            !shape.is_empty() && common * 2 >= shape.len()
        };
        children
            .iter()
            .zip(&shapes)
            .filter(|(_, s)| shared(s))
            .map(|(id, _)| *id)
            .collect()
    }

    /// The routes one and two levels below.
    fn shape(&self, id: NodeId) -> Vec<&str> {
        let node = self.node(id);
        let mut words: Vec<&str> = node.words.keys().map(String::as_str).collect();
        for below in node.words.values().chain(&node.param) {
            words.extend(self.node(*below).words.keys().map(String::as_str));
        }
        words.sort_unstable();
        words.dedup();
        words
    }

    /// Makes `values` (children of `at`) one parameter. Returns the endpoints that met: `(from, into)`.
    pub(super) fn fold(&mut self, at: NodeId, values: &[NodeId], why: String) -> Folded {
        let mut folded = Folded::default();
        let room = usize::MAX;
        let Some(param) = self.param(at, Type::Text, room) else {
            return folded;
        };
        self.node_mut(param).why = why;
        for id in values {
            self.node_mut(at).words.retain(|_, child| child != id);
            self.absorb(param, *id, &mut folded);
        }
        folded
    }

    /// The static child of that word.
    pub(super) fn word(&self, at: NodeId, word: &str) -> Option<NodeId> {
        self.node(at).words.get(fold(word).as_ref()).copied()
    }

    /// Makes a static child one of another word, which may be there already.
    pub(super) fn rename(&mut self, at: NodeId, child: NodeId, word: &str, room: usize) -> Folded {
        let mut folded = Folded::default();
        let into = self.insert_word(at, word, room);
        if let Some(into) = into.filter(|into| *into != child) {
            self.node_mut(at).words.retain(|_, node| *node != child);
            self.absorb(into, child, &mut folded);
        }
        folded
    }

    /// Adds `from`'s subtree to `into`'s.
    fn absorb(&mut self, into: NodeId, from: NodeId, folded: &mut Folded) {
        let node = std::mem::take(self.node_mut(from));
        self.free.push(from);
        folded.nodes.push((from, into));
        let target = self.node_mut(into);
        target.hits += node.hits;
        for (method, endpoint) in node.endpoints {
            match target.endpoints.get(&method) {
                Some(kept) => folded.endpoints.push((endpoint, *kept)),
                None => {
                    target.endpoints.insert(method, endpoint);
                    folded.moved.push((endpoint, into));
                }
            }
        }
        for (word, child) in node.words {
            match self.node(into).words.get(&word).copied() {
                Some(kept) => self.absorb(kept, child, folded),
                None => {
                    self.node_mut(into).words.insert(word, child);
                    self.node_mut(child).parent = Some(into);
                }
            }
        }
        if let Some(child) = node.param {
            match self.node(into).param {
                Some(kept) => {
                    let types = self.node(child).types;
                    self.node_mut(kept).types |= types;
                    self.absorb(kept, child, folded);
                }
                None => {
                    self.node_mut(into).param = Some(child);
                    self.node_mut(child).parent = Some(into);
                }
            }
        }
    }

    /// Nodes whose words have multiplied since they were last judged, those nearer the root first:
    /// a merge there brings evidence together below.
    pub(super) fn unjudged(&mut self, at: NodeId, out: &mut Vec<NodeId>) {
        let open = self
            .node(at)
            .param
            .is_some_and(|p| self.node(p).types & Type::Text.bit() != 0);
        let node = self.node_mut(at);
        let words = node.words.len() as u32;
        // Beside a text parameter a single word may be a value, too.
        let worth = words >= if open { 1 } else { ALIKE as u32 };
        if worth && words != node.judged {
            node.judged = words;
            out.push(at);
        }
        let below: Vec<NodeId> = node.words.values().copied().chain(node.param).collect();
        for id in below {
            self.unjudged(id, out);
        }
    }

    pub(super) fn forget_judgements(&mut self) {
        for node in &mut self.nodes {
            node.judged = 0;
        }
    }

    pub(super) fn roots(&self) -> Vec<NodeId> {
        let mut all: Vec<(&String, &NodeId)> = self.roots.iter().collect();
        all.sort();
        all.into_iter().map(|(_, id)| *id).collect()
    }

    /// Makes all below one host part of another.
    pub(super) fn merge_roots(&mut self, from: &str, into: &str) -> Folded {
        let mut folded = Folded::default();
        if let Some(root) = self.roots.remove(from) {
            let into = self.root_or_new(into);
            self.absorb(into, root, &mut folded);
            self.node_mut(into).judged = 0;
        }
        folded
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

/// What a merge moved.
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// Endpoint `from` is now part of endpoint `into`.
    pub(super) endpoints: Vec<(u32, u32)>,
    /// Endpoint now at another node.
    pub(super) moved: Vec<(u32, NodeId)>,
    pub(super) nodes: Vec<(NodeId, NodeId)>,
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

fn article(kind: Type) -> &'static str {
    match kind {
        Type::Integer | Type::Email => "an",
        _ => "a",
    }
}

/// `/users/{user_id}`: named from the segment before.
fn parameter_name(before: &str, types: u8) -> String {
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
