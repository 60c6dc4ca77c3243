//! Enumeration of objects: many different ids, ids that are not there, ids in a row.
//!
//! The first two are counts like any other. A row is evidence of its own kind: how often does the
//! next id asked for lie just beside the last one? By chance that share is learnt at each node of
//! the path trie; a walker's share is near one. The log-likelihood ratio of the two, summed and
//! never below zero (Page's CUSUM), grows with a walk however slow it is. It is kept for each
//! principal and node; rows that several make together are in `spread`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::budget::{Cell, Family, Rung};
use super::distinct::mix;
use super::evidence::{Row, fade};
use super::objects::Last;
use super::purse::Stage;
use super::renames::Renames;
use super::spread::{self, Crossings, NEAR};
use super::{Clock, Item, Look, Severity, VerdictKind, Watch};
use crate::catalog::{Access, NodeId};
use crate::exchange::Exchange;

pub(super) const OBJECTS: Watch = Watch {
    detector: "distinct-objects",
    kind: VerdictKind::Enumeration,
    family: Family::Enumeration,
    owasp: "API1:2023",
    unit: "different object ids",
    severity: Severity::Medium,
    names_endpoint: true,
    precedent: Some(super::at_endpoint),
    part_of: None,
    pick: |Look { access, x, own, .. }| {
        let answered = x.status.is_some_and(|s| s < 500) && !own;
        answered.then(|| object(access)).flatten()
    },
};

pub(super) const NOVEL: Watch = Watch {
    detector: "new-objects",
    unit: "object ids it never asked for before",
    pick: |look| {
        if look.novel {
            (OBJECTS.pick)(look)
        } else {
            None
        }
    },
    ..OBJECTS
};

pub(super) const MISSES: Watch = Watch {
    detector: "missing-objects",
    unit: "different object ids that are not there or not allowed",
    severity: Severity::High,
    part_of: Some(1),
    pick: |Look { access, x, .. }| {
        matches!(x.status, Some(403 | 404 | 410))
            .then(|| object(access))
            .flatten()
    },
    ..OBJECTS
};

fn object(access: &Access) -> Option<Item> {
    let (object, node) = (access.object.filter(|_| access.confirmed)?, access.node?);
    Some(Item::Distinct(object.hash ^ mix(u64::from(node.0))))
}

/// Sets of a [`Known`], and marks in each.
const SETS: usize = 64;
const WAYS: usize = 4;

/// Objects a principal has asked for: a mark of eight bits each, in sets by the latest use first.
/// Forgets the least recent, and takes a new id for known once in some 64 times.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Known(Vec<[u8; WAYS]>);

impl Known {
    /// Takes the object of an access; true where it is a new one.
    pub(super) fn novel(&mut self, access: &Access) -> bool {
        let Some(Item::Distinct(hash)) = object(access) else {
            return false;
        };
        let h = mix(hash);
        // None is kept for those that ask for no objects.
        self.0.resize(SETS, [0; WAYS]);
        let set = &mut self.0[h as usize % SETS];
        let mark = ((h >> 32) as u8).max(1);
        let place = set.iter().position(|m| *m == mark);
        set[..=place.unwrap_or(WAYS - 1)].rotate_right(1);
        set[0] = mark;
        place.is_none()
    }
}

/// Nodes a principal's walks are kept at; the least recent goes.
const PLACES: usize = 4;
const MAX_NODES: usize = 100_000;

/// A principal's rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Walks {
    rows: Vec<(NodeId, u64, Row)>,
    /// Objects it created on this day and did not read back yet.
    created: (i64, u32),
    /// When a row was last over the bar.
    over: i64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Nodes {
    nodes: BTreeMap<NodeId, Node>,
    alone: Cell,
    together: Cell,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Node {
    /// Steps of single principals, and those to a neighbour.
    steps: f64,
    near: f64,
    crossings: Crossings,
    /// The highest number that was there.
    highest: u64,
}

/// A row that crossed the bar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub since: i64,
    pub len: u32,
    /// Share of steps to a neighbour that this node usually sees.
    pub usual: f64,
    pub rung: Rung,
    pub last: u64,
}

impl Nodes {
    /// Takes one access to a numbered object by the principal marked so.
    pub(super) fn visit(
        &mut self,
        walks: &mut Walks,
        look: &Look<'_>,
        at: &Clock,
        stage: Option<Stage<'_>>,
        budget: f64,
    ) -> (Option<Found>, Option<spread::Row>) {
        let (access, x) = (look.access, look.x);
        let answered = x.status.is_some_and(|s| s < 500) && access.confirmed;
        let (Some(node), Some(number)) = (
            access.node,
            access.object.and_then(|o| o.number).filter(|_| answered),
        ) else {
            return (None, None);
        };
        if self.nodes.len() >= MAX_NODES && !self.nodes.contains_key(&node) {
            return (None, None);
        }
        let place = self.nodes.entry(node).or_default();
        if x.status.is_some_and(|s| s < 400) {
            place.highest = place.highest.max(number);
        }
        let per_week = Family::SpreadWalk.cell(budget);
        let cell = &mut self.together;
        let together = place.crossings.take(number, look.mark, at, cell, per_week);
        // Back and forth between two objects, or over its own, is no walk.
        if !look.novel {
            walks.stand(node, number);
            return (None, together);
        }
        let alone = walks.step(node, number, place, at, &mut self.alone, stage);
        (alone, together)
    }

    /// Whether this principal reads back what it created: an object that nobody asked for before,
    /// and with a number above all so far.
    pub(super) fn own(
        &self,
        walks: &mut Walks,
        last: Last,
        access: &Access,
        x: &Exchange,
        at: &Clock,
    ) -> bool {
        if x.status == Some(201) && x.method.as_deref() == Some("POST") {
            walks.creates(at);
        }
        let number = access.object.and_then(|o| o.number);
        let node = access.node.and_then(|node| self.nodes.get(&node));
        let newest = node.is_none_or(|node| number.is_none_or(|n| n > node.highest));
        last == Last::Nobody && newest && walks.own(at)
    }

    /// Whether several callers together walk there now.
    pub(super) fn walked(&self, access: &Access, at: &Clock) -> bool {
        let node = access.node.and_then(|node| self.nodes.get(&node));
        node.is_some_and(|node| node.crossings.open(at))
    }

    pub(super) fn merged(&mut self, from: NodeId, into: NodeId) {
        let Some(old) = self.nodes.remove(&from) else {
            return;
        };
        let kept = self.nodes.entry(into).or_default();
        kept.steps += old.steps;
        kept.near += old.near;
        kept.crossings.absorb(old.crossings);
    }
}

impl Walks {
    fn creates(&mut self, at: &Clock) {
        let day = at.secs.div_euclid(86_400);
        let before = if self.created.0 == day {
            self.created.1
        } else {
            0
        };
        self.created = (day, before.saturating_add(1));
    }

    /// Takes one of the objects that this principal created, where any is left.
    fn own(&mut self, at: &Clock) -> bool {
        let (day, left) = &mut self.created;
        let own = at.secs.div_euclid(86_400) - *day <= 1 && *left > 0;
        *left = left.saturating_sub(1);
        own
    }

    /// A step that is none: only where it stands now.
    fn stand(&mut self, node: NodeId, number: u64) {
        if let Some((_, last, _)) = self.rows.iter_mut().find(|(n, ..)| *n == node) {
            *last = number;
        }
    }

    fn step(
        &mut self,
        node: NodeId,
        number: u64,
        place: &mut Node,
        at: &Clock,
        cell: &mut Cell,
        stage: Option<Stage<'_>>,
    ) -> Option<Found> {
        let Some(i) = self.rows.iter().position(|(n, ..)| *n == node) else {
            self.rows.truncate(PLACES - 1);
            self.rows.reserve_exact(1);
            self.rows.insert(0, (node, number, Row::default()));
            return None;
        };
        self.rows[..=i].rotate_right(1);
        let (_, last, row) = &mut self.rows[0];
        let distance = last.abs_diff(number);
        if distance == 0 {
            return None;
        }
        *last = number;
        let near = distance <= NEAR;
        let usual = (place.near + 3.0) / (place.steps + 30.0);
        let rung = row.take(near, usual, 0.0, at, cell, stage);
        if !row.open(at) {
            place.steps += 1.0;
            place.near += f64::from(u8::from(near));
            fade(&mut place.steps, &mut place.near);
        }
        if near && row.open(at) {
            self.over = at.nanos;
        }
        rung.map(|rung| row.found(usual, rung, number))
    }

    pub(super) fn over(&self, at: &Clock) -> bool {
        self.over == at.nanos
    }

    pub(super) fn renamed(&mut self, nodes: &Renames<NodeId>) {
        self.rows
            .iter_mut()
            .for_each(|(node, ..)| nodes.apply(node));
    }
}

impl Row {
    fn found(&self, usual: f64, rung: Rung, last: u64) -> Found {
        Found {
            since: self.since,
            len: self.len,
            usual,
            rung,
            last,
        }
    }
}
