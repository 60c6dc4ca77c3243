//! Specs that come after traffic: what was learnt before is brought under their templates.
//!
//! The evidence knows every path word by word; each is walked once more with what the specs have for
//! it now, and templates are judged anew. What a spec no longer has is learnt again.

use super::{Catalog, Change};
use crate::catalog::segment::{self, Type};
use crate::catalog::spec::Part;
use crate::catalog::trie::{Step, Stone};

impl Catalog {
    pub(super) fn respec(&mut self, changes: &mut Vec<Change>) {
        for host in self.state.trie.hosts() {
            let asked = self.state.groups.spec_host(&host);
            let specs = &self.specs;
            let of = |method: &str, stones: &[Stone]| {
                let segments = joined(stones);
                let found = specs.find(asked, method, &segments)?.ok()?;
                let types = types(stones);
                let step = |(part, seen)| match part {
                    Part::Word(word) => Step::Fixed(&word.spelt, word.pattern),
                    Part::Param(name) => Step::Named(name, &found.spec.title, seen),
                };
                Some(found.template().zip(types).map(step).collect())
            };
            let room = self.settings.max_nodes;
            self.state.trie.evidence.respec(&host, room, of);
            self.regroup(&host, false, changes);
        }
    }
}

/// The segments of a path: what follows a glued part stands in one with it; values are empty, which
/// no word is.
fn joined(stones: &[Stone]) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(stones.len());
    for stone in stones {
        let word = stone.word.as_deref().unwrap_or_default();
        match out.last_mut().filter(|_| segment::glued(word)) {
            Some(last) => last.push_str(segment::bare(word)),
            None => out.push(word.to_owned()),
        }
    }
    out
}

/// Of each segment the types that its values had.
fn types(stones: &[Stone]) -> Vec<u16> {
    let mut out = Vec::with_capacity(stones.len());
    for stone in stones {
        match &stone.word {
            Some(word) if segment::glued(word) && !out.is_empty() => {}
            Some(word) => out.push(segment::classify(word).unwrap_or(Type::Text).bit()),
            None => out.push(stone.types),
        }
    }
    out
}
