//! Specs that come after traffic: what was learnt before is brought under their templates.
//!
//! Where a spec has a parameter, words that were learnt at its place become its values; where it has
//! a pattern of words and parameters, that is one word. A word that was learnt as a parameter's
//! value splits off with the next request: the spec's template is looked for first.

use super::Catalog;
use crate::catalog::segment::{self, Type};
use crate::catalog::spec::{Part, Word};
use crate::catalog::trie::Folded;
use crate::catalog::{Change, NodeId};

/// What the spec has at a place of the trie.
enum Step {
    Param(String),
    Word(Word),
}

/// The nodes of an endpoint, each with what its spec has there.
struct Template {
    root: NodeId,
    steps: Vec<(NodeId, Step)>,
    title: String,
}

impl Catalog {
    /// Brings every endpoint under the template of its spec, by the order of their ids.
    pub(super) fn refold(&mut self, changes: &mut Vec<Change>) {
        let ids: Vec<u32> = self.state.endpoints.keys().copied().collect();
        for id in ids {
            let Some(Template { root, steps, title }) = self.template_by_spec(id) else {
                continue;
            };
            let why = format!("the spec `{title}` has it so");
            let mut at = root;
            for (node, step) in steps {
                let folded = self.bring_under(at, node, &step, &why);
                at = match &step {
                    Step::Param(_) => self.state.trie.node(at).param,
                    Step::Word(word) => self.state.trie.word(at, &word.spelt),
                }
                .unwrap_or(node);
                self.follow(folded, changes);
            }
        }
    }

    /// The nodes of an endpoint with what its spec has there; `None`: no spec has its path.
    fn template_by_spec(&self, id: u32) -> Option<Template> {
        let e = &self.state.endpoints.get(&id)?.e;
        let trie = &self.state.trie;
        let mut nodes = vec![e.node];
        while let Some(parent) = trie.node(nodes[nodes.len() - 1]).parent {
            nodes.push(parent);
        }
        let root = nodes.pop()?;
        nodes.reverse();
        let template = trie.template(e.node);
        let segments = segment::of_template(&template);
        let found = self.specs.find(&e.host, &e.method, &segments)?.ok()?;
        let steps = found.template().map(|part| match part {
            Part::Param(name) => Step::Param(name.to_owned()),
            Part::Word(word) => Step::Word(word.clone()),
        });
        Some(Template {
            root,
            steps: nodes.into_iter().zip(steps).collect(),
            title: found.spec.title.clone(),
        })
    }

    /// Makes the child `node` of `at` what the spec has there.
    fn bring_under(&mut self, at: NodeId, node: NodeId, step: &Step, why: &str) -> Folded {
        let trie = &mut self.state.trie;
        let is_param = trie.node(at).param == Some(node);
        let folded = match step {
            Step::Param(_) if !is_param && trie.node(node).parent == Some(at) => {
                trie.fold(at, &[node], why.to_owned())
            }
            Step::Word(word) if !is_param && word.pattern => {
                trie.rename(at, node, &word.spelt, self.settings.max_nodes)
            }
            _ => Folded::default(),
        };
        match (step, trie.node(at).param) {
            (Step::Param(name), Some(param)) => {
                let node = trie.node_mut(param);
                node.types |= Type::Text.bit();
                node.name = Some(name.clone());
                node.why = why.to_owned();
            }
            (Step::Word(word), _) => {
                if let Some(id) = trie.word(at, &word.spelt) {
                    let node = trie.node_mut(id);
                    (node.by_spec, node.pattern) = (true, word.pattern);
                }
            }
            (Step::Param(_), None) => {}
        }
        folded
    }
}
