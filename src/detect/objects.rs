//! Objects that are none of the caller's: one new object after another, each one answered.
//!
//! Who asks for objects of others and always gets them leaves no refusals, and walks in no order
//! if it wishes. What it cannot hide is that they are new to it. Some callers always ask for new
//! ones (support, batch jobs), and at some places everyone does; so a step is held against this
//! caller's own share of new objects, shrunk to that of callers of its age, and against the
//! place's share, whichever is more. An object that someone else asked for last weighs more where
//! that is rare: most objects of most APIs are asked for by one caller alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::budget::{Cell, Rung};
use super::distinct::mix;
use super::evidence::{Row, Tally};
use super::principals::Followed;
use super::purse::Stage;
use super::verdict::{self, Sign, round};
use super::{Clock, Look, Severity, Verdict, VerdictKind};
use crate::catalog::{Access, EndpointId, NodeId};
use crate::exchange::Exchange;

/// Objects whose last caller is remembered: half a megabyte, for all of the API.
const OWNERS: usize = 1 << 17;
const MAX_NODES: usize = 100_000;
/// Steps of callers of its age that its own share is shrunk by.
const SHRINK: f64 = 4.0;
/// Steps after which a caller's own share follows its habits anew.
const LONG: f32 = 500.0;
/// Objects before which a caller only shows its habits.
const YOUNG: u32 = AGES[1];
/// A caller's age, in objects asked for: below each of these, and above.
const AGES: [u32; 3] = [16, 64, 256];

/// What is kept of a principal.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Newness {
    row: Row,
    age: u32,
    steps: f32,
    novel: f32,
    /// Steps since the row began: an attack must not count as its own habit before it is over.
    waiting: [f32; 2],
    day: i64,
}

/// What is known of all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Owners {
    /// By an object's hash: half a mark of the object, half of who asked last. 0 is no one.
    last: Vec<u32>,
    ages: [Tally; 4],
    nodes: BTreeMap<NodeId, Place>,
    /// Of the young and of the others.
    cells: [Cell; 2],
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Place {
    novel: Tally,
    /// Of the new ones, those that someone else asked for last.
    foreign: Tally,
}

/// Who asked for an object last, as far as is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// It is no object, or was not given.
    Unasked,
    Nobody,
    Same,
    Other,
}

/// A row of new objects that crossed the bar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strange {
    row: Row,
    usual: f64,
    rung: Rung,
}

impl Owners {
    /// Takes one access to an object of which `last` tells who had it; where many walk together
    /// that is told for the place, and is no one's habit.
    pub(super) fn visit(
        &mut self,
        newness: &mut Newness,
        last: Last,
        look: &Look<'_>,
        at: &Clock,
        stage: Option<Stage<'_>>,
    ) -> Option<Strange> {
        let node = look.access.node.filter(|_| last != Last::Unasked)?;
        let (novel, foreign) = (look.novel, look.novel && last == Last::Other);
        if self.nodes.len() >= MAX_NODES && !self.nodes.contains_key(&node) {
            return None;
        }
        let place = self.nodes.entry(node).or_default();
        let age = &mut self.ages[AGES.iter().filter(|a| **a <= newness.age).count()];
        newness.settle(at);
        let cell = &mut self.cells[usize::from(newness.age >= YOUNG)];
        let usual = newness.share(age.share()).max(place.novel.share());
        let more = if foreign {
            // Who always asks for new ones, asks for those of others.
            (0.5 / place.foreign.share()).ln().max(0.0) * (1.0 - usual)
        } else {
            0.0
        };
        let rung = newness.step(novel, usual, more, at, cell, stage);
        if !newness.row.open(at) {
            age.learn(novel);
            place.novel.learn(novel);
            if novel {
                place.foreign.learn(foreign);
            }
        }
        rung.map(|rung| Strange {
            row: newness.row,
            usual,
            rung,
        })
    }

    /// Notes who asks for an object that is there; tells who asked last.
    pub(super) fn pass(&mut self, mark: u64, access: &Access, x: &Exchange) -> Last {
        let given = access.confirmed && matches!(x.status, Some(200..400));
        let (Some(node), Some(object)) = (access.node, access.object.filter(|_| given)) else {
            return Last::Unasked;
        };
        if self.last.is_empty() {
            self.last = vec![0; OWNERS];
        }
        let object = mix(object.hash ^ mix(u64::from(node.0)));
        let who = (mix(mark) as u32 & 0xffff).max(1);
        let tag = (object >> 48) as u32;
        let Some(slot) = self.last.get_mut(object as usize % OWNERS) else {
            return Last::Unasked;
        };
        let before = std::mem::replace(slot, tag << 16 | who);
        if before == 0 || before >> 16 != tag {
            Last::Nobody
        } else if before & 0xffff != who {
            Last::Other
        } else {
            Last::Same
        }
    }

    pub(super) fn merged(&mut self, from: NodeId, into: NodeId) {
        if let Some(old) = self.nodes.remove(&from) {
            self.nodes.entry(into).or_insert(old);
        }
    }
}

impl Newness {
    fn step(
        &mut self,
        novel: bool,
        usual: f64,
        more: f64,
        at: &Clock,
        cell: &mut Cell,
        stage: Option<Stage<'_>>,
    ) -> Option<Rung> {
        self.age = self.age.saturating_add(1);
        self.waiting[0] += 1.0;
        self.waiting[1] += f32::from(u8::from(novel));
        self.row.take(novel, usual, more, at, cell, stage)
    }

    /// Steps of a row that came to nothing, or of another day, are habits.
    fn settle(&mut self, at: &Clock) {
        let day = at.secs.div_euclid(86_400);
        if self.row.open(at) {
            self.waiting = [0.0; 2];
        }
        if self.row.sum > 0.0 && day == self.day && self.age >= YOUNG {
            return;
        }
        self.day = day;
        self.steps += self.waiting[0];
        self.novel += self.waiting[1];
        self.waiting = [0.0; 2];
        if self.steps > LONG {
            (self.steps, self.novel) = (self.steps / 2.0, self.novel / 2.0);
        }
    }

    fn share(&self, others: f64) -> f64 {
        (f64::from(self.novel) + SHRINK * others) / (f64::from(self.steps) + SHRINK)
    }
}

pub(super) fn tell(
    found: Strange,
    who: &Followed,
    endpoint: Option<EndpointId>,
    x: &Exchange,
    at: &Clock,
) -> Verdict {
    let (row, rung) = (found.row, found.rung);
    let expected = f64::from(row.len) * found.usual;
    let sign = Sign {
        kind: VerdictKind::Enumeration,
        detector: "strange-objects",
        owasp: "API1:2023",
        severity: Severity::Medium,
        principal: Some(who.principal()),
        endpoint,
        host: None,
        since: row.since,
        expected,
        observed: f64::from(row.hits),
        rung,
        summary: format!(
            "{} objects in a row that {} never asked for before, all answered",
            row.hits,
            who.describe()
        ),
        why: vec![
            format!(
                "{} of its last {} objects were new to it",
                row.hits, row.len
            ),
            format!(
                "usually {} % are, by its own past, callers as long known, and this place: {} of them",
                round(found.usual * 100.0),
                round(expected)
            ),
        ],
        sample: verdict::sample(x),
        series: Vec::new(),
        weighed: vec![("steps", f64::from(row.len)), ("usual_share", found.usual)],
    };
    verdict::sign(sign, at)
}
