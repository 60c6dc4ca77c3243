//! Enumeration of objects: many different ids, ids that are not there, ids in a row.
//!
//! The first two are counts like any other. A row is evidence of its own kind: how often does the
//! next id asked for lie just beside the last one? By chance that share is learnt at each node of
//! the path trie; a walker's share is near one. The log-likelihood ratio of the two, summed and
//! never below zero (Page's CUSUM), grows with a walk however slow it is. It is kept for each
//! principal and node; rows that several make together are in `spread`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::budget::{Cell, Rung};
use super::distinct::mix;
use super::renames::Renames;
use super::spread::{self, Crossings, NEAR};
use super::{Clock, Item, Look, Severity, VerdictKind, Watch};
use crate::catalog::{Access, NodeId};
use crate::exchange::Exchange;

pub(super) const OBJECTS: Watch = Watch {
    detector: "distinct-objects",
    kind: VerdictKind::Enumeration,
    owasp: "API1:2023",
    unit: "different object ids",
    severity: Severity::Medium,
    names_endpoint: true,
    precedent: false,
    pick: |Look { access, x, .. }| x.status.filter(|s| *s < 500).and_then(|_| object(access)),
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

/// Objects a principal has asked for, in two generations of a Bloom filter with one hash: the
/// younger fills to a half, then becomes the elder. Forgets, and at worst takes a new id for known.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Known([[u64; 8]; 2]);

impl Known {
    /// Takes the object of an access; true where it is a new one.
    pub(super) fn novel(&mut self, access: &Access) -> bool {
        let Some(Item::Distinct(hash)) = object(access) else {
            return false;
        };
        let h = mix(hash);
        let (word, bit) = ((h >> 6 & 7) as usize, 1 << (h & 63));
        let novel = self.0.iter().all(|g| g[word] & bit == 0);
        if self.0[0].iter().map(|w| w.count_ones()).sum::<u32>() > 256 {
            self.0 = [[0; 8], self.0[0]];
        }
        self.0[0][word] |= bit;
        novel
    }
}

/// A walker's share of steps to a neighbour.
const WALKER: f64 = 0.9;
/// Nodes a principal's walks are kept at; the least recent goes.
const PLACES: usize = 4;
const MAX_NODES: usize = 100_000;
/// Half-life of the longest row known, in hours.
const HALF_LIFE: f64 = 14.0 * 24.0;
const HOUR: i64 = 3_600_000_000_000;
const DAY: i64 = 24 * HOUR;
/// A row is news where it is this much longer than one known.
const MARGIN: f64 = 1.25;
/// Hours of silence in which half the evidence for a row is forgotten.
const SILENCE: f64 = 6.0;
/// Evidence that is as good as any, in nats.
const ENOUGH: f64 = 60.0;
/// Neighbours after which a row that was told still goes on.
const GOING_ON: u32 = 8;
/// A sum that a row which rang may at least teach, in nats.
const NOTABLE: f64 = 5.0;

/// A sum of evidence for "in a row", in nats, and the most it ever was when nothing rang.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Row {
    sum: f64,
    len: u32,
    since: i64,
    last: i64,
    top: f64,
    top_hour: i64,
    peak: f64,
    /// One test a day: the day, and the place in the cell.
    day: i64,
    place: u8,
    tested: bool,
    rung: Option<(i64, u32)>,
    /// Steps to a neighbour since.
    neighbours: u32,
}

/// A principal's rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Walks {
    rows: Vec<(NodeId, u64, Row)>,
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
        mark: u64,
        access: &Access,
        x: &Exchange,
        at: &Clock,
        per_week: f64,
    ) -> (Option<Found>, Option<spread::Row>) {
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
        let cell = &mut self.together;
        let together = place.crossings.take(number, mark, at, cell, per_week);
        let alone = walks.step(node, number, place, at, &mut self.alone, per_week);
        (alone, together)
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
    fn step(
        &mut self,
        node: NodeId,
        number: u64,
        place: &mut Node,
        at: &Clock,
        cell: &mut Cell,
        per_week: f64,
    ) -> Option<Found> {
        let Some(i) = self.rows.iter().position(|(n, ..)| *n == node) else {
            self.rows.truncate(PLACES - 1);
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
        let rung = row.take(near, usual, at, cell, per_week);
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

/// Keeps a share's weight bounded, so that it follows the traffic.
fn fade(total: &mut f64, part: &mut f64) {
    if *total > 5_000.0 {
        (*total, *part) = (*total / 2.0, *part / 2.0);
    }
}

impl Row {
    fn take(
        &mut self,
        near: bool,
        usual: f64,
        at: &Clock,
        cell: &mut Cell,
        per_week: f64,
    ) -> Option<Rung> {
        let usual = usual.clamp(0.02, WALKER - 0.01);
        let ratio = if near {
            WALKER / usual
        } else {
            (1.0 - WALKER) / (1.0 - usual)
        };
        self.turn(at, cell);
        if self.sum <= 0.0 {
            (self.len, self.since) = (0, at.nanos);
        }
        // Evidence fades with silence. Bounded, so that a row ends soon after the walk does.
        let silent = (at.nanos - self.last).max(0) as f64 / HOUR as f64;
        self.last = at.nanos;
        self.sum = (self.sum * (-silent / SILENCE).exp2() + ratio.ln()).clamp(0.0, ENOUGH);
        self.peak = self.peak.max(self.sum);
        self.len = if self.sum > 0.0 {
            self.len.saturating_add(1)
        } else {
            0
        };
        // A principal that has walked as far before may do so again.
        let score = (self.sum - MARGIN * self.top) / std::f64::consts::LN_10;
        if score <= 0.0 || !near || !self.tested {
            return None;
        }
        let rung = if at.ringing {
            cell.rings(score, per_week)
        } else {
            None
        };
        let Some(rung) = rung else {
            if self.rung.is_none() {
                self.place = cell.climb(self.place, score);
            }
            return None;
        };
        if self.rung.is_some() {
            self.place = cell.withdraw(self.place);
        }
        self.neighbours = self.neighbours.saturating_add(1);
        let again = self.rung.is_none_or(|(when, len)| {
            self.neighbours >= GOING_ON
                && (at.nanos - when >= HOUR || self.len >= len.saturating_mul(2))
        });
        if again {
            (self.rung, self.neighbours) = (Some((at.nanos, self.len)), 0);
        }
        again.then_some(rung)
    }

    /// A new day: the most of the last one is learnt; of one that rang, little.
    fn turn(&mut self, at: &Clock, cell: &mut Cell) {
        let day = at.secs.div_euclid(86_400) + 1;
        if day == self.day {
            return;
        }
        let faded = self.top * (-((at.hour - self.top_hour).max(0) as f64) / HALF_LIFE).exp2();
        let learnt = if self.rung.is_some() {
            self.peak.min((2.0 * self.top).max(NOTABLE))
        } else {
            self.peak
        };
        if learnt > faded {
            (self.top, self.top_hour) = (learnt, at.hour);
        }
        (self.day, self.place, self.tested, self.peak) = (day, 0, at.scoring, self.sum);
        if self.rung.is_some_and(|(when, _)| at.nanos - when > DAY) {
            self.rung = None;
        }
        if at.scoring {
            cell.open(at.hour);
        }
    }

    /// Whether what is going on is an anomaly, which teaches nothing.
    fn open(&self, at: &Clock) -> bool {
        at.ringing && self.rung.is_some() && self.sum > 0.0
    }

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
