//! The fields of one body while it is read: a tree in one vector, bounded.

use std::borrow::Cow;

use compact_str::CompactString;

use super::name::ANY;
use super::value::{Label, Scalar};
use crate::exchange::{
    Classes, Field, Format, MAX_FIELDS, MAX_POINTER, MAX_POINTERS, MAX_WORDS, Shape, Texture,
    Types, Word,
};
use crate::observe::custom::{Candidates, Direction, Rules};
use crate::observe::sensitive::Hints;

pub(super) const ROOT: usize = 0;

/// Nodes of a body, more than are kept: some fold into one.
const MAX_NODES: usize = 1_024;
/// Fields of one object. What has more is a map, or is cut.
const MAX_CHILDREN: usize = 128;
/// So many fields alike are a map's entries; of objects fewer are enough.
const ALIKE: usize = 32;
const ALIKE_OBJECTS: usize = 4;

#[derive(Debug)]
pub(super) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    instances: u32,
    maps: bool,
    rules: &'a Rules,
    direction: Direction,
}

#[derive(Debug, Default)]
struct Node<'a> {
    /// Rules that may be of its values, and those that were.
    candidates: Candidates<'a>,
    custom: u32,
    name: Cow<'a, str>,
    children: Vec<usize>,
    /// Where in `children` the next one is looked for first: objects of an array are alike.
    hint: usize,
    types: Types,
    format: Format,
    hints: Hints,
    class: Classes,
    words: Vec<(CompactString, bool)>,
    /// Some strings are no codes, or there were too many different ones.
    wordless: bool,
    /// Objects seen whole, and whether one was not.
    whole: u32,
    cut: bool,
    /// Whole objects that have it.
    present: u32,
    /// The last object that has it.
    stamp: u32,
    repeated: bool,
    texture: Texture,
}

impl<'a> Tree<'a> {
    pub(super) fn new(rules: &'a Rules, direction: Direction) -> Self {
        let root = Node {
            candidates: rules.candidates(direction, None),
            ..Node::default()
        };
        Self {
            nodes: vec![root],
            instances: 0,
            maps: false,
            rules,
            direction,
        }
    }

    /// What is read may have maps: objects whose keys are data.
    pub(super) fn has_maps(&mut self) {
        self.maps = true;
    }

    /// An object, an array or a group begins; returns which one it is.
    pub(super) fn begin(&mut self, node: usize, types: Types) -> u32 {
        self.nodes[node].types |= types;
        self.nodes[node].hint = 0;
        self.instances += 1;
        self.instances
    }

    /// It ends; not `whole`: more may have followed.
    pub(super) fn end(&mut self, node: usize, instance: u32, whole: bool) {
        if !whole {
            self.nodes[node].cut = true;
            return;
        }
        self.nodes[node].whole += 1;
        for i in 0..self.nodes[node].children.len() {
            let child = self.nodes[node].children[i];
            let child = &mut self.nodes[child];
            child.present += u32::from(child.stamp == instance);
        }
    }

    /// The field of that name in the object at hand; `None`: there is no room for one more.
    pub(super) fn child(
        &mut self,
        parent: usize,
        name: Cow<'a, str>,
        instance: u32,
    ) -> Option<usize> {
        let known = &self.nodes[parent].children;
        let is = |at: &usize| self.nodes[*at].name == name;
        let hint = self.nodes[parent].hint;
        let place = match known.get(hint) {
            Some(at) if is(at) => Some(hint),
            _ => known.iter().position(is),
        };
        let (place, child) = match place {
            Some(place) => (place, known[place]),
            None if known.len() < MAX_CHILDREN && self.nodes.len() < MAX_NODES => {
                let child = self.nodes.len();
                let hints = Hints::of(&name).within(self.nodes[parent].hints);
                // An array's items are of its own name.
                let candidates = match &*name {
                    ANY => self.nodes[parent].candidates,
                    name => self.rules.candidates(self.direction, Some(name)),
                };
                self.nodes.push(Node {
                    name,
                    hints,
                    candidates,
                    ..Node::default()
                });
                self.nodes[parent].children.push(child);
                (self.nodes[parent].children.len() - 1, child)
            }
            None => {
                self.nodes[parent].cut = true;
                return None;
            }
        };
        self.nodes[parent].hint = place + 1;
        self.stand(child, instance);
        Some(child)
    }

    /// The same, where it is the one that follows the last: names that are known are names.
    pub(super) fn expected(&mut self, parent: usize, name: &str, instance: u32) -> Option<usize> {
        let node = &self.nodes[parent];
        let child = *node.children.get(node.hint)?;
        if self.nodes[child].name != name || name == ANY {
            return None;
        }
        self.nodes[parent].hint += 1;
        self.stand(child, instance);
        Some(child)
    }

    fn stand(&mut self, child: usize, instance: u32) {
        let node = &mut self.nodes[child];
        node.repeated |= node.stamp == instance && node.name != ANY;
        node.stamp = instance;
    }

    pub(super) fn label(&self, node: usize) -> Label<'_> {
        let Node {
            name,
            hints,
            candidates,
            ..
        } = &self.nodes[node];
        Label {
            name,
            hints: *hints,
            candidates: *candidates,
            sent: self.direction != Direction::Response,
        }
    }

    /// Of a field that has a number for a name.
    pub(super) fn nameless(&self) -> Label<'a> {
        Label {
            candidates: self.rules.candidates(self.direction, None),
            sent: self.direction != Direction::Response,
            ..Label::default()
        }
    }

    pub(super) fn scalar(&mut self, node: usize, scalar: Scalar<'_>) {
        let node = &mut self.nodes[node];
        node.types |= scalar.types;
        node.class |= scalar.class;
        node.custom |= scalar.custom;
        node.texture |= scalar.texture;
        node.format = node.format.join(scalar.format);
        match scalar.word {
            Some((word, clear)) => node.add_word(word.into(), clear),
            None => node.wordless |= scalar.format != Format::Unseen,
        }
    }

    /// Said of a message's field, whose types come before its content.
    pub(super) fn types(&mut self, node: usize, types: Types) {
        self.nodes[node].types |= types;
    }

    /// What is kept of it. `hash` is keyed.
    pub(super) fn shape(mut self, hash: impl Fn(&str) -> u32) -> Shape {
        if self.maps {
            self.fold(ROOT);
        }
        let mut out = Listing {
            shape: Shape::default(),
            room: MAX_POINTERS,
        };
        out.shape.0.reserve(self.nodes.len().min(MAX_FIELDS));
        let root = &self.nodes[ROOT];
        out.list(&self, root, &mut String::new(), false, &hash);
        out.shape
    }

    /// Entries of a map become one, from the leaves on. As deep as the tree is.
    fn fold(&mut self, at: usize) {
        let children = self.nodes[at].children.clone();
        for child in &children {
            self.fold(*child);
        }
        // Where arrays stood, too, `*` are their items.
        let is_map = !self.nodes[at].types.has(Types::ARRAY);
        let named = is_map && children.iter().any(|c| self.nodes[*c].name != ANY);
        let Some((first, rest)) = children.split_first().filter(|_| named) else {
            return;
        };
        let anonymous = children.iter().any(|c| self.nodes[*c].name == ANY);
        let many = match self.nodes[*first].types {
            t if t.has(Types::OBJECT) => ALIKE_OBJECTS,
            _ => ALIKE,
        };
        let enough = children.len() >= many || (anonymous && children.len() > 1);
        if !enough || !rest.iter().all(|other| self.alike(*first, *other)) {
            return;
        }
        for other in rest {
            self.merge(*first, *other);
        }
        self.nodes[*first].name = Cow::Borrowed(ANY);
        self.nodes[at].children = vec![*first];
    }

    /// Of the same types and format, with the same names in them.
    fn alike(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.nodes[a], &self.nodes[b]);
        let names = |n: &Node<'_>| {
            let mut names: Vec<_> = n
                .children
                .iter()
                .map(|c| self.nodes[*c].name.as_ref())
                .collect();
            names.sort_unstable();
            names.join("/")
        };
        a.types == b.types && a.format == b.format && names(a) == names(b)
    }

    fn merge(&mut self, into: usize, from: usize) {
        let from = std::mem::take(&mut self.nodes[from]);
        for child in from.children {
            let name = &self.nodes[child].name;
            let same = self.nodes[into].children.iter().copied();
            match same.into_iter().find(|c| self.nodes[*c].name == *name) {
                Some(same) => {
                    let present = self.nodes[same].present + self.nodes[child].present;
                    self.merge(same, child);
                    self.nodes[same].present = present;
                }
                None => self.nodes[into].children.push(child),
            }
        }
        let node = &mut self.nodes[into];
        node.types |= from.types;
        node.class |= from.class;
        node.custom |= from.custom;
        node.texture |= from.texture;
        node.format = node.format.join(from.format);
        node.whole += from.whole;
        node.cut |= from.cut;
        // The map's entries: in an object that has several of them it stands once.
        node.present = node.present.max(from.present);
        node.repeated |= from.repeated;
        node.wordless |= from.wordless;
        for (word, clear) in from.words {
            node.add_word(word, clear);
        }
    }
}

impl Node<'_> {
    fn add_word(&mut self, word: CompactString, clear: bool) {
        if self.wordless || self.words.iter().any(|(w, _)| *w == word) {
            return;
        }
        self.words.push((word, clear));
        self.wordless = self.words.len() > MAX_WORDS;
    }
}

/// A tree as a list, each field behind its parent.
struct Listing {
    shape: Shape,
    room: usize,
}

impl Listing {
    /// Whether there was room for it.
    fn list(
        &mut self,
        tree: &Tree<'_>,
        node: &Node<'_>,
        pointer: &mut String,
        optional: bool,
        hash: &impl Fn(&str) -> u32,
    ) -> bool {
        if self.shape.0.len() >= MAX_FIELDS || pointer.len() > MAX_POINTER.min(self.room) {
            return false;
        }
        self.room -= pointer.len();
        let at = self.shape.0.len();
        let words = node.words.iter().filter(|_| !node.wordless);
        self.shape.0.push(Field {
            pointer: pointer.as_str().into(),
            types: node.types,
            format: node.format,
            optional,
            open: false,
            repeated: node.repeated,
            words: words
                .map(|(word, clear)| Word {
                    hash: hash(word),
                    text: (*clear && node.class.is_empty() && node.custom == 0)
                        .then(|| word.clone()),
                })
                .collect(),
            class: node.class,
            custom: tree.rules.classes(node.custom),
            texture: node.texture,
        });
        let mut cut = node.whole == 0 && node.cut;
        for child in &node.children {
            let child = &tree.nodes[*child];
            if child.types == Types::default() {
                // Its value was cut off.
                continue;
            }
            // RFC 6901, section 3.
            let len = pointer.len();
            pointer.push('/');
            if child.name.contains(['~', '/']) {
                pointer.push_str(&child.name.replace('~', "~0").replace('/', "~1"));
            } else {
                pointer.push_str(&child.name);
            }
            let missing = child.present < node.whole && child.name != ANY;
            cut |= !self.list(tree, child, pointer, missing, hash);
            pointer.truncate(len);
        }
        self.shape.0[at].open = cut;
        true
    }
}
