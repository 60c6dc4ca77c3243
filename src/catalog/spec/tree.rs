//! Path templates as a tree: a segment is a word, a pattern of words and parameters, or a parameter,
//! and is looked for in this order, with a way back. A look-up allocates nothing.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use percent_encoding::percent_decode_str;

use super::Word;
use crate::catalog::segment::{MAX_DEPTH, fold};

pub(super) const ROOT: u32 = 0;

#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
struct Node {
    part: Own,
    words: HashMap<Box<str>, u32, FixedState>,
    /// Those with the most literal text first.
    patterns: Vec<(Pattern, u32)>,
    param: Option<u32>,
    /// Methods in capitals, with the operation's place in its spec.
    operations: Vec<(&'static str, u32)>,
}

#[derive(Clone, Debug)]
enum Own {
    Word(Word),
    Param(Box<str>),
}

/// One segment of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::catalog) enum Part<'a> {
    /// A word, or a pattern of words and parameters, which is one to the trie.
    Word(&'a Word),
    Param(&'a str),
}

/// The nodes of a path, without an allocation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    nodes: [u32; MAX_DEPTH],
    len: usize,
}

/// `{base}...{head}`: literal text, and parameters of at least one character between.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// Folded; an empty piece is a parameter.
    pieces: Vec<Box<str>>,
}

impl Pattern {
    /// `None`: it is a parameter and nothing else.
    fn of(segment: &str) -> Option<Self> {
        let (mut pieces, mut rest) = (Vec::<Box<str>>::new(), segment);
        while let Some(at) = rest.find('{') {
            let close = rest[at..].find('}').map_or(rest.len(), |n| at + n + 1);
            if at > 0 {
                pieces.push(fold(&rest[..at]).into());
            }
            // Two parameters side by side are as one.
            if pieces.last().is_none_or(|p| !p.is_empty()) {
                pieces.push("".into());
            }
            rest = &rest[close..];
        }
        if !rest.is_empty() {
            pieces.push(fold(rest).into());
        }
        (pieces.len() > 1).then_some(Self { pieces })
    }

    fn literal(&self) -> usize {
        self.pieces.iter().map(|p| p.len()).sum()
    }

    fn takes(&self, mut rest: &str) -> bool {
        let mut open = false;
        for (i, piece) in self.pieces.iter().enumerate() {
            if piece.is_empty() {
                open = true;
                continue;
            }
            let last = i + 1 == self.pieces.len();
            let after = match (open, last) {
                (false, _) => rest.strip_prefix(&**piece),
                (true, true) => rest
                    .strip_suffix(&**piece)
                    .filter(|v| !v.is_empty())
                    .map(|_| ""),
                (true, false) => {
                    let first = rest.chars().next().map_or(0, char::len_utf8);
                    let found = rest[first..].find(&**piece);
                    found.map(|at| &rest[first + at + piece.len()..])
                }
            };
            let Some(after) = after else { return false };
            (rest, open) = (after, false);
        }
        open != rest.is_empty()
    }
}

impl Tree {
    fn new_node(&mut self, part: Own) -> u32 {
        self.nodes.push(Node {
            part,
            words: HashMap::default(),
            patterns: Vec::new(),
            param: None,
            operations: Vec::new(),
        });
        (self.nodes.len() - 1) as u32
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds an operation at a template. The first name of a parameter stays.
    pub(super) fn add(&mut self, path: &str, method: &'static str, operation: u32) {
        if self.nodes.is_empty() {
            self.new_node(Own::Word(Word::new("")));
        }
        let mut at = ROOT;
        // Not `split`: a template's segments are taken as they stand.
        let path = path.split(['?', '#']).next().unwrap_or_default();
        for segment in path.split('/').filter(|s| !s.is_empty()) {
            at = self.step(at, segment);
        }
        let own = &mut self.nodes[at as usize].operations;
        if !own.iter().any(|(m, _)| *m == method) {
            own.push((method, operation));
        }
    }

    fn step(&mut self, at: u32, segment: &str) -> u32 {
        let node = &self.nodes[at as usize];
        let Some(open) = segment.find('{') else {
            let word = Word::new(&percent_decode_str(segment).decode_utf8_lossy());
            if let Some(known) = node.words.get(&*word.folded) {
                return *known;
            }
            let new = self.new_node(Own::Word(word.clone()));
            self.nodes[at as usize].words.insert(word.folded, new);
            return new;
        };
        if let Some(pattern) = Pattern::of(segment) {
            if let Some((_, known)) = node.patterns.iter().find(|(p, _)| *p == pattern) {
                return *known;
            }
            let new = self.new_node(Own::Word(Word::pattern(segment)));
            let patterns = &mut self.nodes[at as usize].patterns;
            patterns.push((pattern, new));
            patterns.sort_by_key(|(p, _)| std::cmp::Reverse(p.literal()));
            return new;
        }
        node.param.unwrap_or_else(|| {
            let name = segment[open + 1..].split('}').next().unwrap_or_default();
            let new = self.new_node(Own::Param(name.into()));
            self.nodes[at as usize].param = Some(new);
            new
        })
    }

    /// The node of a path that has operations, and the way there.
    pub(super) fn find(&self, segments: &[impl AsRef<str>]) -> Option<(u32, Steps)> {
        let mut steps = Steps {
            nodes: [ROOT; MAX_DEPTH],
            len: segments.len(),
        };
        if self.nodes.is_empty() || segments.len() > MAX_DEPTH {
            return None;
        }
        let node = self.walk(ROOT, segments, 0, &mut steps)?;
        Some((node, steps))
    }

    fn walk(
        &self,
        at: u32,
        segments: &[impl AsRef<str>],
        depth: usize,
        steps: &mut Steps,
    ) -> Option<u32> {
        let node = &self.nodes[at as usize];
        let Some(segment) = segments.get(depth) else {
            return (!node.operations.is_empty()).then_some(at);
        };
        let folded = fold(segment.as_ref());
        let word = node.words.get(&*folded).copied();
        let patterns = node.patterns.iter().filter(|(p, _)| p.takes(&folded));
        for next in word
            .into_iter()
            .chain(patterns.map(|(_, n)| *n))
            .chain(node.param)
        {
            steps.nodes[depth] = next;
            if let Some(found) = self.walk(next, segments, depth + 1, steps) {
                return Some(found);
            }
        }
        None
    }

    pub(super) fn operation(&self, node: u32, method: &str) -> Option<u32> {
        let own = &self.nodes[node as usize].operations;
        own.iter().find(|(m, _)| *m == method).map(|(_, o)| *o)
    }

    pub(super) fn parts<'a, 's>(
        &'a self,
        steps: &'s Steps,
    ) -> impl Iterator<Item = Part<'a>> + use<'a, 's> {
        let nodes = steps.nodes[..steps.len].iter();
        nodes.map(|n| match &self.nodes[*n as usize].part {
            Own::Word(word) => Part::Word(word),
            Own::Param(name) => Part::Param(name),
        })
    }

    /// The template, method and number of each operation, in no order.
    pub(super) fn listing(&self) -> Vec<(String, &'static str, u32)> {
        let (mut out, mut open) = (Vec::new(), vec![(String::new(), ROOT)]);
        while let Some((path, at)) = open.pop().filter(|_| !self.nodes.is_empty()) {
            let node = &self.nodes[at as usize];
            let here = node.operations.iter();
            out.extend(here.map(|(method, o)| (path.clone(), *method, *o)));
            let patterns = node.patterns.iter().map(|(_, n)| *n);
            for next in node
                .words
                .values()
                .copied()
                .chain(patterns)
                .chain(node.param)
            {
                let below = match &self.nodes[next as usize].part {
                    Own::Word(word) => format!("{path}/{}", word.shown()),
                    Own::Param(name) => format!("{path}/{{{name}}}"),
                };
                open.push((below, next));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_what_they_say() {
        let takes = |p: &str, s: &str| Pattern::of(p).unwrap().takes(s);
        assert!(takes("{base}...{head}", "main...topic"));
        assert!(!takes("{base}...{head}", "...topic") && !takes("{base}...{head}", "main..."));
        assert!(takes("{id}.json", "7.json") && takes("{id}.json", "a.json.json"));
        assert!(!takes("{id}.json", ".json") && !takes("{id}.json", "7.xml"));
        assert!(takes("v{n}:{verb}", "v2:run") && !takes("v{n}:{verb}", "v:run"));
        assert!(takes("Users({id})", "users(3)") && !takes("Users({id})", "users()"));
        assert_eq!(Pattern::of("{id}"), None);
        assert_eq!(Pattern::of("{a}{b}"), None);
    }
}
