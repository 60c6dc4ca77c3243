//! The routes built anew from the evidence.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use compact_str::CompactString;

use super::evidence::{Calls, RawId};
use super::group::{Work, WorkId};
use super::{Node, Trie};
use crate::catalog::NodeId;
use crate::catalog::pins::Pins;

/// An endpoint's place after the routes were built, with all that was counted for it before.
#[derive(Debug)]
pub(in crate::catalog) struct Place {
    pub(in crate::catalog) node: NodeId,
    pub(in crate::catalog) slot: CompactString,
    /// Calls by the endpoint that has them so far.
    pub(in crate::catalog) from: BTreeMap<u32, Calls>,
    members: Vec<RawId>,
}

/// What became of nodes and endpoints.
#[derive(Debug, Default)]
pub(in crate::catalog) struct Regrouped {
    /// Nodes that are part of another one now.
    pub(in crate::catalog) merged: Vec<(NodeId, NodeId)>,
    pub(in crate::catalog) places: Vec<Place>,
}

/// A node to be, with the ids that its parts had.
struct Planned {
    node: Node,
    parent: Option<usize>,
    members: Vec<RawId>,
    was: BTreeSet<NodeId>,
    id: NodeId,
}

impl Trie {
    /// Judges the words of a host and builds its routes. `thin`: values are given up where a place
    /// is crowded. `None`: nothing is known of it.
    pub(in crate::catalog) fn regroup(
        &mut self,
        host: &str,
        pins: &Pins,
        early: bool,
        thin: bool,
    ) -> Option<Regrouped> {
        let root = self.root(host)?;
        let evidence = std::mem::take(&mut self.evidence);
        let work = Work::group(&evidence, host, pins, early);
        let planned = work.as_ref().map(|work| self.plan(work, &evidence));
        let crowded = match (&work, thin) {
            (Some(work), true) => crowded(work, &evidence, host),
            _ => Vec::new(),
        };
        drop(work);
        self.evidence = evidence;
        let mut planned = planned?;
        let mut merged = self.claim(root, &mut planned);
        self.build(root, &planned);
        for (was, raw) in std::mem::take(&mut self.evidence.lost) {
            let now = self.evidence.raw(raw).node.filter(|now| *now != was);
            merged.extend(now.map(|now| (was, now)));
        }
        let places = self.places(&planned);
        for (place, words) in crowded {
            self.evidence.thin(place, words);
        }
        Some(Regrouped { merged, places })
    }

    fn plan(&self, work: &Work<'_>, evidence: &super::Evidence) -> Vec<Planned> {
        let mut out: Vec<Planned> = Vec::new();
        // Parents stand before their children.
        let mut next: Vec<(WorkId, Option<usize>, bool)> = vec![(0, None, false)];
        while let Some((id, parent, is_param)) = next.pop() {
            let node = work.node(id);
            let at = out.len();
            let raws = || node.members.iter().map(|raw| evidence.raw(*raw));
            let was = raws().filter_map(|raw| raw.node);
            out.push(Planned {
                node: Node {
                    word: if is_param {
                        String::new()
                    } else {
                        node.spelt.to_owned()
                    },
                    name: node.name.filter(|_| is_param).map(|(name, _)| name.clone()),
                    types: if is_param { node.types } else { 0 },
                    why: if is_param {
                        node.why.clone()
                    } else {
                        String::new()
                    },
                    hits: node.hits,
                    kept: node.kept && !is_param,
                    pattern: !is_param && raws().any(|raw| raw.pattern),
                    seen: raws().fold(0, |seen, raw| seen | raw.seen),
                    ..Node::default()
                },
                parent,
                was: was.collect(),
                members: node.members.clone(),
                id: NodeId(0),
            });
            next.extend(node.param.map(|id| (id, Some(at), true)));
            next.extend(node.words.values().map(|id| (*id, Some(at), false)));
        }
        out
    }

    /// Gives each node the id that most of it had, so that what is counted by node goes on.
    fn claim(&mut self, root: NodeId, planned: &mut [Planned]) -> Vec<(NodeId, NodeId)> {
        let mut old = HashSet::new();
        let mut below = vec![root];
        while let Some(id) = below.pop() {
            old.insert(id);
            below.extend(self.node(id).words.values().chain(&self.node(id).param));
        }
        let mut order: Vec<usize> = (1..planned.len()).collect();
        order.sort_by_key(|at| (Reverse(planned[*at].node.hits), *at));
        let mut taken = HashSet::from([root]);
        let mut waiting = Vec::new();
        planned[0].id = root;
        for at in order {
            let free = |id: &&NodeId| old.contains(*id) && !taken.contains(*id);
            match planned[at].was.iter().find(free).copied() {
                Some(id) => {
                    taken.insert(id);
                    planned[at].id = id;
                }
                None => waiting.push(at),
            }
        }
        for id in &old {
            *self.node_mut(*id) = Node::default();
        }
        self.free
            .extend(old.iter().filter(|id| !taken.contains(id)));
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        for at in waiting {
            planned[at].id = self.alloc(Node::default());
        }
        let mut merged: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        for node in planned.iter() {
            for was in node
                .was
                .iter()
                .filter(|id| old.contains(id) && !taken.contains(id))
            {
                merged.entry(*was).or_insert(node.id);
            }
        }
        merged.into_iter().collect()
    }

    fn build(&mut self, root: NodeId, planned: &[Planned]) {
        for plan in planned {
            let parent = plan.parent.map(|at| planned[at].id);
            *self.node_mut(plan.id) = Node {
                parent,
                ..plan.node.clone()
            };
            if let Some(parent) = parent {
                let above = self.node_mut(parent);
                if plan.node.types == 0 {
                    let word = super::fold(&plan.node.word).as_ref().into();
                    above.words.insert(word, plan.id);
                } else {
                    above.param = Some(plan.id);
                }
            }
            for raw in &plan.members {
                self.evidence.raw_mut(*raw).node = Some(plan.id);
            }
        }
        debug_assert_eq!(planned.first().map(|plan| plan.id), Some(root));
    }

    fn places(&self, planned: &[Planned]) -> Vec<Place> {
        let mut out = Vec::new();
        for plan in planned {
            let mut by_slot: BTreeMap<&CompactString, BTreeMap<u32, Calls>> = BTreeMap::new();
            for end in plan
                .members
                .iter()
                .flat_map(|raw| &self.evidence.raw(*raw).ends)
            {
                let from = by_slot.entry(&end.slot).or_default();
                from.entry(end.endpoint).or_default().add(&end.calls);
            }
            out.extend(by_slot.into_iter().map(|(slot, from)| Place {
                node: plan.id,
                slot: slot.clone(),
                from,
                members: plan.members.clone(),
            }));
        }
        out
    }

    /// The endpoint of a place is this from now on.
    pub(in crate::catalog) fn settle_at(&mut self, place: &Place, endpoint: u32) {
        let node = self.node_mut(place.node);
        node.endpoints.insert(place.slot.clone(), endpoint);
        for raw in &place.members {
            let raw = self.evidence.raw_mut(*raw);
            let ends = raw.ends.iter_mut().filter(|end| end.slot == place.slot);
            ends.for_each(|end| end.endpoint = endpoint);
            raw.join_ends();
        }
    }
}

/// Raw places with the words there that are values.
fn crowded(
    work: &Work<'_>,
    evidence: &super::Evidence,
    host: &str,
) -> Vec<(RawId, Vec<CompactString>)> {
    let values = work.values();
    let mut by_place: HashMap<RawId, Vec<CompactString>> = HashMap::new();
    for place in evidence.ids(host) {
        let words = evidence.raw(place).words.iter();
        let gone = words
            .filter(|(_, id)| values.contains(id))
            .map(|(word, _)| word.clone());
        by_place.insert(place, gone.collect());
    }
    let mut out: Vec<_> = by_place
        .into_iter()
        .filter(|(_, words)| !words.is_empty())
        .collect();
    out.sort();
    out
}
