//! The inventory as a tree of hosts and paths: one level at a time, each with a URL of its own. What is beneath
//! a node is summed; parts of a path that nothing branches off from are one node.

use std::collections::BTreeMap;

use super::columns::clip;
use super::index::Index;
use super::place::Place;
use crate::catalog::EndpointView;
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// Nodes that a page lists.
const NODES: usize = 150;
/// Endpoints of one path that are named.
const METHODS: usize = 10;
/// Steps of the way to a node that are shown.
const DEPTH: usize = 12;

/// What is beneath a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) endpoints: usize,
    pub(super) requests: u64,
    pub(super) errors: u64,
    /// The worst.
    pub(super) risk: u8,
    pub(super) seen: Option<Timestamp>,
}

impl Sum {
    fn add(&mut self, e: &EndpointView) {
        self.endpoints += 1;
        self.requests += e.requests;
        self.errors += e.by_class[4] + e.by_class[5];
        self.risk = self.risk.max(e.risk);
        self.seen = self.seen.max(e.last_seen);
    }
}

pub(super) struct Node {
    pub(super) name: String,
    /// The level beneath it, or above; none where there is nothing more beneath.
    pub(super) link: Option<String>,
    /// Steps from the root.
    pub(super) depth: usize,
    /// It is on the way to the level that is shown.
    pub(super) open: bool,
    /// Method or operation, and key, of what answers at this very path.
    pub(super) here: Vec<(String, String)>,
    /// Of those, how many are not named.
    pub(super) more: usize,
    pub(super) sum: Sum,
}

pub(super) struct Tree {
    /// The way to the level, then the level.
    pub(super) nodes: Vec<Node>,
    /// The next nodes of the level.
    pub(super) next: Option<String>,
}

/// What is gathered of one branch of the level.
struct Branch<'a> {
    sum: Sum,
    /// What the paths of all have in common, behind the level's own.
    common: &'a str,
    /// All have the same path.
    one: bool,
    here: Vec<&'a EndpointView>,
}

/// The level at `place.at`: `rows` are what the query finds, in the order of the index.
pub(super) fn tree(index: &Index, rows: &[u32], place: &Place) -> Tree {
    let (host, path) = match place.at.find('/') {
        Some(slash) => place.at.split_at(slash),
        None => (place.at.as_str(), ""),
    };
    let mut way = Way::new(host, path);
    let mut branches: BTreeMap<&str, Branch<'_>> = BTreeMap::new();
    let number = index.known.hosts.iter().position(|known| known == host);
    for row in rows {
        let (at, e) = (*row as usize, index.endpoint(*row as usize));
        way.sums[0].add(e);
        if host.is_empty() {
            gather(&mut branches, &e.host, "", e);
        } else if Some(index.rows[at].host as usize) == number {
            let steps = way.steps.iter().enumerate().skip(1);
            for (n, _) in steps.filter(|(_, step)| beneath(&e.template, step)) {
                way.sums[n].add(e);
            }
            if beneath(&e.template, path) {
                let rest = &e.template[path.len()..];
                gather(&mut branches, segment(rest), rest, e);
            }
        }
    }
    let depth = way.steps.len();
    let behind = branches.range::<str, _>((
        std::ops::Bound::Excluded(place.cursor.as_str()),
        std::ops::Bound::Unbounded,
    ));
    let mut level: Vec<_> = if place.cursor.is_empty() {
        branches.iter().collect()
    } else {
        behind.collect()
    };
    let more = level.len() > NODES;
    level.truncate(NODES);
    let next = level.last().filter(|_| more).map(|(name, _)| {
        let cursor = String::from(**name);
        place.step(|p| p.cursor = cursor)
    });
    let mut nodes = way.nodes(place);
    let level = level
        .into_iter()
        .map(|(name, b)| b.node(name, place, depth));
    nodes.extend(level);
    Tree { nodes, next }
}

/// The first part of a path, with its slash.
fn segment(rest: &str) -> &str {
    let end = rest.get(1..).and_then(|r| r.find('/'));
    end.map_or(rest, |end| &rest[..=end])
}

/// Whether a path is this one or goes on from it.
fn beneath(template: &str, path: &str) -> bool {
    template
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || path.is_empty() || rest.starts_with('/'))
}

fn gather<'a>(
    branches: &mut BTreeMap<&'a str, Branch<'a>>,
    name: &'a str,
    rest: &'a str,
    e: &'a EndpointView,
) {
    let branch = branches.entry(name).or_insert(Branch {
        sum: Sum::default(),
        common: rest,
        one: true,
        here: Vec::new(),
    });
    branch.sum.add(e);
    branch.one &= branch.common == rest;
    branch.common = common(branch.common, rest);
    if branch.here.len() <= METHODS {
        branch.here.push(e);
    }
}

/// What two paths have in common, in whole parts.
fn common<'a>(a: &'a str, b: &str) -> &'a str {
    let mut same = 0;
    for (x, y) in a.split_inclusive('/').zip(b.split_inclusive('/')) {
        if x.trim_end_matches('/') != y.trim_end_matches('/') {
            break;
        }
        same += x.len();
    }
    a[..same.min(a.len())].trim_end_matches('/')
}

impl Branch<'_> {
    fn node(&self, name: &str, place: &Place, depth: usize) -> Node {
        let is_host = place.at.is_empty();
        let leaf = !is_host && self.one;
        let shown = match (is_host, self.common) {
            (true, _) => name,
            (false, "") => "/",
            (false, common) => common,
        };
        let at = if is_host {
            name.to_owned()
        } else {
            format!("{}{}", place.at, self.common)
        };
        let label = |e: &&EndpointView| {
            let label = e.operation.as_deref().unwrap_or(&e.method);
            (clip(label), e.key.clone())
        };
        let here: Vec<_> = if leaf {
            self.here.iter().take(METHODS).map(label).collect()
        } else {
            Vec::new()
        };
        Node {
            name: clip(shown),
            link: (!leaf).then(|| place.step(|p| p.at = at)),
            depth,
            open: false,
            more: if leaf {
                self.sum.endpoints - here.len()
            } else {
                0
            },
            here,
            sum: self.sum,
        }
    }
}

/// From the root to the level that is shown.
struct Way<'a> {
    host: &'a str,
    /// Beginnings of the path, each a part longer; the first stands for all hosts.
    steps: Vec<&'a str>,
    sums: Vec<Sum>,
}

impl<'a> Way<'a> {
    fn new(host: &'a str, path: &'a str) -> Self {
        let mut steps = vec![""];
        if !host.is_empty() {
            let ends = path.match_indices('/').map(|(at, _)| at).skip(1);
            let ends = ends.chain([path.len()]).filter(|_| !path.is_empty());
            steps.push("");
            steps.extend(ends.map(|end| &path[..end]));
        }
        let sums = vec![Sum::default(); steps.len()];
        Self { host, steps, sums }
    }

    fn nodes(&self, place: &Place) -> Vec<Node> {
        let all = self.steps.iter().zip(&self.sums).enumerate();
        let node = |(depth, (step, sum)): (usize, (&&str, &Sum))| {
            let parent = if depth > 1 { self.steps[depth - 1] } else { "" };
            let (name, at) = match depth {
                0 => ("All hosts", String::new()),
                1 => (self.host, self.host.to_owned()),
                _ => (&step[parent.len()..], format!("{}{step}", self.host)),
            };
            Node {
                name: clip(name),
                link: Some(place.step(|p| p.at = at)),
                depth,
                open: true,
                here: Vec::new(),
                more: 0,
                sum: *sum,
            }
        };
        all.map(node).filter(|n| n.depth <= DEPTH).collect()
    }
}
