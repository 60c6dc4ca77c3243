//! Evidence walked anew, because the specs have changed: every path once more, with the steps that a
//! spec has for it now.

use compact_str::CompactString;

use super::evidence::{Evidence, Raw, RawId, Step};
use crate::catalog::NodeId;

/// One step of a path as it is kept: a word as it is most often spelt, or values of some types.
#[derive(Clone, Debug)]
pub(in crate::catalog) struct Stone {
    pub(in crate::catalog) word: Option<CompactString>,
    pub(in crate::catalog) types: u16,
    node: Option<NodeId>,
}

/// One path with the calls that ended there.
struct Trail {
    stones: Vec<Stone>,
    raw: Raw,
}

impl Evidence {
    /// Walks all paths of a host anew. `of` is asked for the spec's steps of a method's path; `None`
    /// where no spec has it.
    pub(in crate::catalog) fn respec<'a>(
        &mut self,
        host: &str,
        room: usize,
        of: impl Fn(&str, &[Stone]) -> Option<Vec<Step<'a>>>,
    ) {
        let Some(root) = self.roots.remove(host) else {
            return;
        };
        let mut trails = Vec::new();
        self.take_apart(root, &mut Vec::new(), &mut trails);
        let root = self.root(host);
        for Trail { stones, raw } in trails {
            for end in raw.ends {
                let method = end.slot.split(' ').next().unwrap_or_default();
                let as_it_came = || stones.iter().map(Stone::step).collect();
                let steps = of(method, &stones).unwrap_or_else(as_it_came);
                let aligned = steps.len() == stones.len();
                let mut at = Some(root);
                for (i, step) in steps.iter().enumerate() {
                    at = at.and_then(|at| self.step(at, step, Some(room)));
                    if let Some(id) = at.filter(|_| aligned) {
                        let raw = self.raw_mut(id);
                        raw.node = raw.node.or(stones[i].node);
                    }
                }
                if let Some(id) = at {
                    let raw = self.raw_mut(id);
                    raw.ends.push(end);
                    raw.join_ends();
                }
            }
        }
    }

    /// Frees a node and all below it.
    fn take_apart(&mut self, at: RawId, way: &mut Vec<Stone>, out: &mut Vec<Trail>) {
        let raw = std::mem::take(self.raw_mut(at));
        self.free.push(at);
        let words = raw.words.values().map(|id| (*id, true));
        let below: Vec<(RawId, bool)> = words.chain(raw.values.map(|id| (id, false))).collect();
        if !raw.ends.is_empty() {
            let stones = way.clone();
            out.push(Trail { stones, raw });
        }
        for (id, is_word) in below {
            let child = self.raw(id);
            way.push(Stone {
                word: is_word.then(|| child.word().into()),
                // What a spec's parameter took is known by its own types.
                types: if child.seen == 0 {
                    child.types
                } else {
                    child.seen
                },
                node: child.node,
            });
            self.take_apart(id, way, out);
            way.pop();
        }
    }
}

impl Stone {
    fn step(&self) -> Step<'_> {
        match &self.word {
            Some(word) => Step::Seen(word),
            None => Step::Values(self.types),
        }
    }
}
