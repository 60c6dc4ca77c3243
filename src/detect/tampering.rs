//! Tampering: one caller that sends an endpoint what it never takes, again and again.
//!
//! The catalogue says what is odd about a request; here it is counted for each principal and day,
//! against how odd requests to those endpoints are anyway (a Gamma-Poisson tail, judged by a cell of
//! its own). Different odd values count one by one; what new versions of programs do as well (new
//! names, new words) by its logarithm and once a request, since they bring all of it at once. An odd
//! request that is answered with an error of a database or a stack trace counts as several: that is
//! what whoever probes for injection waits for.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::abuse::Seen;
use super::budget::{Cell, Rung};
use super::distinct::{Distinct, mix};
use super::recent::Recent;
use super::tail::log10_upper;
use super::{Severity, Verdict, VerdictKind, verdict};
use crate::catalog::{EndpointId, Oddity, OddityKind, Whence};
use crate::exchange::Leaks;

const DAY: i64 = 86_400;
/// Evidence below which nobody is told of: a few slips are no attack.
const LEAST: f64 = 4.0;
/// What an error of a database is worth as evidence, behind an odd request.
const LEAK: f64 = 3.0;
/// Of one principal and day no more oddities are learnt of an endpoint.
const LEARNT: f64 = 3.0;
/// Requests that all endpoints' rate weighs in an endpoint's own, and after which it is forgotten
/// by halves.
const PRIOR: f64 = 1_000.0;
const MEMORY: f64 = 200_000.0;
/// Answers of a kind that give something away, one in so many, are the endpoint's way.
const USUAL_LEAK: f64 = 100.0;
/// Kinds and names that a verdict tells.
const TOLD: usize = 5;

/// All of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tampering {
    endpoints: BTreeMap<EndpointId, Rate>,
    all: Rate,
    suspects: Recent<Suspect>,
    /// Whether somebody may be a suspect of today, without a look at the table.
    today: Today,
    cell: Cell,
}

/// Requests that were judged, and those with oddities or leaks.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Rate {
    judged: f64,
    odd: f64,
    leaks: f64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Today {
    day: i64,
    /// 4,096 bits, by hash.
    bits: Vec<u64>,
}

/// Somebody who sent something odd, of one day.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Suspect {
    day: i64,
    since: i64,
    requests: f64,
    /// Odd requests that its endpoints let expect, since its first.
    expected: f64,
    hard: Distinct,
    /// Requests with something soft that is new, and the names.
    soft: f64,
    softs: Distinct,
    leaks: f64,
    place: u8,
    rang: bool,
    /// The evidence when it was last told.
    told: f64,
    names: Vec<(OddityKind, Whence, CompactString)>,
}

impl Tampering {
    pub(super) fn visit(&mut self, seen: &Seen<'_>, per_week: f64) -> Option<Verdict> {
        let (access, x, at) = (seen.access, seen.x, seen.at);
        let oddities = &access.oddities;
        let odd = oddities.iter().next().is_some();
        let leak = x.leaks.has(Leaks::SQL_ERROR) || x.leaks.has(Leaks::STACK_TRACE);
        let day = at.secs.div_euclid(DAY) + 1;
        let known = self.today.has(day, seen.mark);
        if !oddities.judged && !odd {
            return None;
        }
        let rate = match oddities.by {
            Some(id) => self.endpoints.entry(id).or_default(),
            None => &mut Rate::default(),
        };
        let chance = rate.odd_chance(&self.all);
        // Where errors give something away all the time, one more says nothing.
        let leak = leak && rate.leaks * USUAL_LEAK <= rate.judged;
        rate.judge(leak);
        self.all.judge(leak);
        if !odd && !leak && !known {
            return None;
        }
        let suspect = self.suspects.of(seen.mark, at.nanos);
        let first = suspect.turn(day, at.nanos);
        suspect.requests += 1.0;
        suspect.expected += chance;
        if !odd && !leak {
            return None;
        }
        self.today.add(seen.mark);
        if suspect.evidence() < LEARNT {
            rate.odd += 1.0;
            self.all.odd += 1.0;
        }
        suspect.take(oddities.iter(), leak, oddities.by);
        if !at.scoring {
            return None;
        }
        if first {
            self.cell.open(at.hour);
        }
        let rung = suspect.judge(&mut self.cell, at.ringing, per_week)?;
        Some(suspect.verdict(seen, rung))
    }

    pub(super) fn merged(&mut self, from: EndpointId, into: EndpointId) {
        if let Some(old) = self.endpoints.remove(&from) {
            let kept = self.endpoints.entry(into).or_default();
            kept.judged += old.judged;
            kept.odd += old.odd;
            kept.leaks += old.leaks;
        }
    }

    pub(super) fn evicted(&mut self, endpoint: EndpointId) {
        self.endpoints.remove(&endpoint);
    }
}

impl Rate {
    fn judge(&mut self, leak: bool) {
        self.judged += 1.0;
        self.leaks += f64::from(u8::from(leak));
        if self.judged > MEMORY {
            self.judged /= 2.0;
            self.odd /= 2.0;
            self.leaks /= 2.0;
        }
    }

    fn odd_chance(&self, all: &Self) -> f64 {
        let common = (all.odd + 1.0) / (all.judged + PRIOR);
        (self.odd + PRIOR * common) / (self.judged + PRIOR)
    }
}

impl Today {
    fn has(&mut self, day: i64, mark: u64) -> bool {
        if day != self.day {
            (self.day, self.bits) = (day, vec![0; 64]);
        }
        let (word, bit) = Self::place(mark);
        self.bits.get(word).is_some_and(|w| w >> bit & 1 == 1)
    }

    fn add(&mut self, mark: u64) {
        let (word, bit) = Self::place(mark);
        if let Some(w) = self.bits.get_mut(word) {
            *w |= 1 << bit;
        }
    }

    fn place(mark: u64) -> (usize, u64) {
        let h = mix(mark);
        ((h % 64) as usize, h >> 6 & 63)
    }
}

impl Suspect {
    /// Whether a day begins.
    fn turn(&mut self, day: i64, now: i64) -> bool {
        let begins = self.day != day;
        if begins {
            *self = Self {
                day,
                since: now,
                ..Self::default()
            };
        }
        begins
    }

    fn take(&mut self, odd: impl Iterator<Item = Oddity>, leak: bool, at: Option<EndpointId>) {
        let at = mix(at.map_or(u64::MAX, |id| u64::from(id.0)));
        let (mut hard, mut soft, mut any) = (false, false, false);
        for o in odd {
            any = true;
            let name = super::distinct::hash_text(o.name.as_str());
            let what = mix(at ^ name ^ (o.kind as u64) << 8 ^ o.whence as u64);
            if o.kind.is_soft() {
                soft |= self.softs.insert(what);
            } else if !hard {
                hard = self.hard.insert(what ^ u64::from(o.value) << 16);
            }
            let named = (o.kind, o.whence, CompactString::from(o.name.as_str()));
            if self.names.len() < TOLD && !self.names.contains(&named) {
                self.names.push(named);
            }
        }
        self.soft += f64::from(u8::from(soft));
        if leak && any {
            self.leaks += 1.0;
        } else if leak {
            self.hard.insert(at ^ 1);
        }
    }

    fn evidence(&self) -> f64 {
        let leaks = LEAK * (1.0 + self.leaks).log2();
        self.hard.estimate().round() + (1.0 + self.soft).log2() + leaks
    }

    fn judge(&mut self, cell: &mut Cell, ringing: bool, per_week: f64) -> Option<Rung> {
        let evidence = self.evidence();
        // That there was a first is why it is a suspect at all.
        let score = -log10_upper((evidence - 1.0).floor(), self.expected, 1.0);
        let rung = (ringing && evidence >= LEAST)
            .then(|| cell.rings(score, per_week))
            .flatten();
        match rung {
            None if !self.rang => self.place = cell.climb(self.place, score),
            None => {}
            // The first of a day stays, so that a bar that rings too often rises.
            Some(_) => self.rang = true,
        }
        let rung = rung.filter(|_| self.told == 0.0 || evidence >= 2.0 * self.told)?;
        self.told = evidence;
        Some(rung)
    }

    fn verdict(&self, seen: &Seen<'_>, rung: Rung) -> Verdict {
        let mut why: Vec<String> = self.names.iter().map(phrase).collect();
        if self.leaks > 0.0 {
            let n = self.leaks;
            why.push(format!(
                "{n} odd requests were answered with errors of a database or stack traces"
            ));
        }
        why.push(format!(
            "{} requests since its first odd one; as odd as others' they would have {:.2} more",
            self.requests, self.expected
        ));
        why.push(verdict::odds(rung));
        let base = if self.leaks > 0.0 {
            Severity::High
        } else {
            Severity::Medium
        };
        let unknown = self
            .names
            .iter()
            .all(|(kind, ..)| *kind == OddityKind::Unknown);
        let observed = self.evidence().round();
        let detector = match self.leaks > 0.0 {
            true => "injection-probing",
            false => "odd-parameters",
        };
        Verdict {
            severity: verdict::severity(base, rung),
            score: verdict::score(rung),
            since: crate::time::Timestamp(self.since),
            expected: self.expected,
            observed,
            log10_p: rung.log10_p,
            parts: verdict::parts(rung, []),
            summary: format!(
                "{} sends what was never sent here before: {observed} kinds of it in a day",
                seen.who.describe()
            ),
            why,
            // Mass assignment is broken property level authorization; the rest has no place of its own.
            owasp: if unknown { "API3:2023" } else { "API8:2023" }.into(),
            ..seen.verdict(VerdictKind::Tampering, detector)
        }
    }
}

fn phrase((kind, whence, name): &(OddityKind, Whence, CompactString)) -> String {
    match (name.is_empty(), kind) {
        (true, OddityKind::Path) => format!("the path {}", kind.phrase()),
        (true, _) => format!("a value in the path: {}", kind.phrase()),
        (false, _) => format!("`{name}` of the {}: {}", whence.name(), kind.phrase()),
    }
}
