//! Sensitive data in a new place: a settled endpoint begins to give out a class of data that its
//! answers never had.
//!
//! What is known of an endpoint's answers comes from those that the sensor looked into: the first of
//! each day, then a sample. A class that none of n had has a chance of about one in n to come in the
//! next (Good and Turing), so some sightings together are no chance; one alone is, where patterns
//! are looked for in all data. Where all of them went to one caller, that caller is named; where
//! several got it, the endpoint has changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::abuse::Seen;
use super::budget::Cell;
use super::distinct::hash_text;
use super::{Severity, Verdict, VerdictKind, verdict};
use crate::catalog::EndpointId;
use crate::exchange::{Classes, Shape};
use crate::time::Timestamp;

/// Answers looked into, and their spread in time, after which the classes are known.
const SETTLED: u32 = 50;
const SETTLED_SECS: i64 = 24 * 3_600;
/// Classes of one endpoint that are watched at once.
const MAX_NEW: usize = 4;
/// Sightings in the learning time that make a class usual.
const USUAL: u32 = 3;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Exposures {
    endpoints: BTreeMap<EndpointId, Known>,
    cell: Cell,
}

/// Of one endpoint's answers with success.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Known {
    looked: u32,
    first: Option<i64>,
    /// Classes, and those of a person's own by hash.
    classes: u64,
    new: Vec<New>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct New {
    class: u64,
    seen: u32,
    since: i64,
    place: u8,
    /// Who got it, and whether others did.
    mark: u64,
    several: bool,
}

impl Exposures {
    pub(super) fn visit(
        &mut self,
        endpoint: EndpointId,
        seen: &Seen<'_>,
        per_week: f64,
        out: &mut Vec<Verdict>,
    ) {
        let given = seen.x.status.is_some_and(|s| (200..300).contains(&s));
        let shapes = seen.x.shapes.as_deref().filter(|_| given);
        let Some(answer) = shapes.and_then(|s| s.response.as_ref()) else {
            return;
        };
        let known = self.endpoints.entry(endpoint).or_default();
        let at = seen.at;
        let first = *known.first.get_or_insert(at.secs);
        let looked = known.looked;
        known.looked = looked.saturating_add(1);
        let news = classes(answer) & !known.classes;
        if looked < SETTLED || at.secs - first < SETTLED_SECS {
            known.classes |= news;
            return;
        }
        for class in (0..64).map(|bit| 1 << bit).filter(|bit| news & bit != 0) {
            let Some(new) = known.note(class, seen) else {
                continue;
            };
            if new.seen == 1 {
                self.cell.open(at.hour);
            }
            let score = f64::from(new.seen) * f64::from(looked + 1).log10();
            let rung = at
                .ringing
                .then(|| self.cell.rings(score, per_week))
                .flatten();
            match rung {
                Some(rung) => {
                    let told = new.verdict(answer, looked, seen, rung);
                    out.push(told);
                }
                None => {
                    new.place = self.cell.climb(new.place, score);
                    if at.ringing || new.seen < USUAL {
                        continue;
                    }
                }
            }
            known.classes |= class;
            known.new.retain(|n| n.class != class);
        }
    }

    pub(super) fn merged(&mut self, from: EndpointId, into: EndpointId) {
        if let Some(old) = self.endpoints.remove(&from) {
            let kept = self.endpoints.entry(into).or_default();
            kept.looked = kept.looked.saturating_add(old.looked);
            kept.first = kept.first.into_iter().chain(old.first).min();
            kept.classes |= old.classes;
            let classes = kept.classes;
            kept.new.retain(|n| n.class & classes == 0);
        }
    }

    pub(super) fn evicted(&mut self, endpoint: EndpointId) {
        self.endpoints.remove(&endpoint);
    }
}

impl Known {
    fn note(&mut self, class: u64, seen: &Seen<'_>) -> Option<&mut New> {
        let at = match self.new.iter().position(|n| n.class == class) {
            Some(at) => at,
            None if self.new.len() < MAX_NEW => {
                self.new.push(New {
                    class,
                    seen: 0,
                    since: seen.at.nanos,
                    place: 0,
                    mark: seen.mark,
                    several: false,
                });
                self.new.len() - 1
            }
            None => return None,
        };
        let new = &mut self.new[at];
        new.seen = new.seen.saturating_add(1);
        new.several |= new.mark != seen.mark;
        Some(new)
    }
}

impl New {
    fn verdict(
        &self,
        answer: &Shape,
        looked: u32,
        seen: &Seen<'_>,
        rung: super::budget::Rung,
    ) -> Verdict {
        let field = answer.0.iter().find(|f| bits(f) & self.class != 0);
        let (name, pointer) = field.map_or_else(Default::default, |f| {
            let own = || f.custom.iter().find(|c| own_bit(c) == self.class);
            let known = Classes::ALL
                .iter()
                .find(|(c, _)| u64::from(c.0) == self.class);
            let name = known.map(|(_, name)| (*name).to_owned());
            let name = name.or_else(|| own().map(|c| format!("custom:{c}")));
            (name.unwrap_or_default(), f.pointer.to_string())
        });
        let n = self.seen;
        let whom = if self.several {
            "to several callers".to_owned()
        } else {
            format!("to {} alone", seen.who.describe())
        };
        let grave = Classes(
            Classes::CARD.0
                | Classes::IBAN.0
                | Classes::NATIONAL_ID.0
                | Classes::HEALTH.0
                | Classes::PASSWORD.0
                | Classes::PRIVATE_KEY.0,
        );
        let base = if u64::from(grave.0) & self.class != 0 {
            Severity::High
        } else {
            Severity::Medium
        };
        let own = seen.verdict(VerdictKind::Exposure, "new-sensitive-data");
        Verdict {
            severity: base,
            score: verdict::score(rung),
            principal: own.principal.clone().filter(|_| !self.several),
            since: Timestamp(self.since),
            expected: f64::from(n) / f64::from(looked.max(1)),
            observed: f64::from(n),
            log10_p: rung.log10_p,
            parts: verdict::parts(rung, []),
            summary: format!("gives out {name}, which it never did, {whom}"),
            why: vec![
                format!("{name} in `{pointer}` of {n} answers"),
                format!("none of the {looked} answers looked into before had it"),
                verdict::odds(rung),
            ],
            owasp: "API3:2023".into(),
            ..own
        }
    }
}

fn classes(answer: &Shape) -> u64 {
    answer.0.iter().fold(0, |all, f| all | bits(f))
}

fn bits(field: &crate::exchange::Field) -> u64 {
    let own = field.custom.iter().map(|c| own_bit(c));
    own.fold(u64::from(field.class.0), |all, bit| all | bit)
}

/// Behind the sixteen known ones; two of a person's classes may share a bit.
fn own_bit(name: &str) -> u64 {
    1 << (16 + hash_text(name) % 48)
}
