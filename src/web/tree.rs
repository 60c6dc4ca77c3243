//! The inventory as a tree of hosts and paths: one level at a time, each with a URL of its own. What is beneath
//! a node is summed; parts of a path that nothing branches off from are one node.

use std::collections::BTreeMap;

use super::columns::clip;
use super::index::{Index, Row};
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
    fn add(&mut self, row: &Row) {
        self.endpoints += 1;
        self.requests += row.requests;
        self.errors += row.errors;
        self.risk = self.risk.max(row.risk);
        self.seen = self.seen.max(row.seen);
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
    let branches = if host.is_empty() {
        hosts(index, rows, &mut way)
    } else {
        paths(index, rows, &mut way, path)
    };
    let cursor = place.cursor.as_str();
    let behind = |name: &str| cursor.is_empty() || name > cursor;
    let mut level: Vec<_> = branches.iter().filter(|(name, _)| behind(name)).collect();
    let more = level.len() > NODES;
    level.truncate(NODES);
    let last = level.last().filter(|_| more);
    let next = last.map(|(name, _)| place.step(|p| p.cursor = (**name).to_owned()));
    let depth = way.steps.len();
    let level = level.into_iter();
    let level = level.map(|(name, branch)| branch.node(name, place, depth));
    Tree {
        nodes: way.nodes(place).into_iter().chain(level).collect(),
        next,
    }
}

/// The level of all hosts.
fn hosts<'a>(index: &'a Index, rows: &[u32], way: &mut Way<'_>) -> BTreeMap<&'a str, Branch<'a>> {
    let mut sums = vec![Sum::default(); index.known.hosts.len()];
    for n in rows {
        let row = &index.rows[*n as usize];
        way.sums[0].add(row);
        sums[row.host as usize].add(row);
    }
    let there = index.known.hosts.iter().zip(sums);
    let there = there.filter(|(_, sum)| sum.endpoints > 0);
    let branch = |sum| Branch {
        sum,
        ..Branch::new("")
    };
    there.map(|(name, sum)| (name, branch(sum))).collect()
}

/// The level beneath a path of a host.
fn paths<'a>(
    index: &'a Index,
    rows: &[u32],
    way: &mut Way<'_>,
    path: &str,
) -> BTreeMap<&'a str, Branch<'a>> {
    let mut branches: BTreeMap<&str, Branch<'_>> = BTreeMap::new();
    let number = index.known.hosts.iter().position(|name| name == way.host);
    for n in rows {
        let row = &index.rows[*n as usize];
        way.sums[0].add(row);
        if Some(row.host as usize) != number {
            continue;
        }
        let e = index.endpoint(*n as usize).as_ref();
        for (step, sum) in way.steps.iter().zip(&mut way.sums).skip(1) {
            if beneath(&e.template, step) {
                sum.add(row);
            }
        }
        if beneath(&e.template, path) {
            let rest = &e.template[path.len()..];
            let branch = branches.entry(segment(rest));
            let branch = branch.or_insert_with(|| Branch::new(rest));
            branch.add(rest, row, e);
        }
    }
    branches
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

impl<'a> Branch<'a> {
    fn new(common: &'a str) -> Self {
        Self {
            sum: Sum::default(),
            common,
            one: true,
            here: Vec::new(),
        }
    }

    fn add(&mut self, rest: &str, row: &Row, e: &'a EndpointView) {
        self.sum.add(row);
        self.one &= self.common == rest;
        self.common = common(self.common, rest);
        if self.here.len() <= METHODS {
            self.here.push(e);
        }
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
