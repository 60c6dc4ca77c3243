//! Doors tried: one operation after another that lets the caller in nowhere.
//!
//! Two rows of evidence for each principal, by first contacts (the idea of TRW, Jung et al.,
//! 2004). Function probing: operations (method and template, or the path's shape where there is no
//! template) that answer 401 or 403 and never let this caller in. Path probing: paths that are not
//! there. An operation counts once, so a retry or a stale link proves nothing; each success speaks against.
//! An operation that did let it in may refuse now and then: a token ran out, a record is another's.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::budget::{Cell, Family, Rung};
use super::distinct::{hash_text, mix};
use super::evidence::{Row, Tally};
use super::principals::Followed;
use super::purse::{Purses, Spent};
use super::verdict::{self, Sign, round};
use super::{Clock, Look, Severity, Verdict, VerdictKind};
use crate::exchange::Exchange;

/// Segments of a path that tell one operation from another.
const SEGMENTS: usize = 8;
/// A segment longer than this is a value.
const NAME: usize = 24;

/// What is kept of a principal.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Doors {
    /// Operations that let it in, in two generations of a Bloom filter with one hash.
    open: [[u64; 4]; 2],
    /// The same of those that did not: a stale link is asked for again and again.
    tried: [[u64; 4]; 2],
    refused: Row,
    missing: Row,
    over: i64,
}

/// What is known of all: clients, and identities.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Porter {
    refused: [(Tally, Cell); 2],
    missing: [(Tally, Cell); 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Open,
    Refused,
    Missing,
}

/// The two detectors: paths that are not there, and operations that let nobody in.
const PATHS: &str = "path-probing";
const DOORS: &str = "function-probing";

/// A row of doors that crossed the bar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tried {
    row: Row,
    usual: f64,
    rung: Rung,
    missing: bool,
}

impl Porter {
    pub(super) fn visit(
        &mut self,
        doors: &mut Doors,
        nameless: bool,
        look: &Look<'_>,
        at: &Clock,
        purse: (&mut Purses, &mut Spent),
        budget: impl Fn(&'static str) -> f64,
    ) -> Option<Tried> {
        let answer = answer(look, nameless)?;
        let operation = operation(look);
        let news = match answer {
            Answer::Open => {
                note(&mut doors.open, operation);
                true
            }
            Answer::Refused => !holds(&doors.open, operation) && doors.first(operation),
            Answer::Missing => doors.first(operation),
        };
        if !news {
            return None;
        }
        let who = usize::from(!nameless);
        let rows = [
            (&mut doors.refused, &mut self.refused[who], Answer::Refused),
            (&mut doors.missing, &mut self.missing[who], Answer::Missing),
        ];
        let mut found = None;
        for (row, (tally, cell), speaks) in rows {
            let hit = answer == speaks;
            if !hit && answer != Answer::Open {
                continue;
            }
            let missing = speaks == Answer::Missing;
            let (family, detector) = if missing {
                (Family::Scan, PATHS)
            } else {
                (Family::Authorization, DOORS)
            };
            let usual = tally.share();
            let stage = purse.0.stage(purse.1, family, budget(detector));
            let rung = row.take(hit, usual, 0.0, at, cell, stage);
            if !row.open(at) {
                tally.learn(hit);
            } else if hit {
                doors.over = at.nanos;
            }
            if let Some(rung) = rung {
                found.get_or_insert(Tried {
                    row: *row,
                    usual,
                    rung,
                    missing,
                });
            }
        }
        found
    }
}

impl Doors {
    pub(super) fn over(&self, at: &Clock) -> bool {
        self.over == at.nanos
    }

    /// Whether an operation that does not let it in is new to it.
    fn first(&mut self, operation: u64) -> bool {
        let first = !holds(&self.tried, operation);
        note(&mut self.tried, operation);
        first
    }
}

fn holds(known: &[[u64; 4]; 2], operation: u64) -> bool {
    let bit = 1 << (operation & 63);
    known
        .iter()
        .any(|g| g[(operation >> 6 & 3) as usize] & bit != 0)
}

/// The younger generation fills to a half, then becomes the elder.
fn note(known: &mut [[u64; 4]; 2], operation: u64) {
    if known[0].iter().map(|w| w.count_ones()).sum::<u32>() > 128 {
        *known = [[0; 4], known[0]];
    }
    known[0][(operation >> 6 & 3) as usize] |= 1 << (operation & 63);
}

/// What an answer says of the door. A login that fails is a credential's matter; 401 on a place
/// that an identity may use says that its token ran out.
fn answer(Look { access, x, .. }: &Look<'_>, nameless: bool) -> Option<Answer> {
    if access.login || x.login.is_some() {
        return None;
    }
    match x.status? {
        200..=399 => Some(Answer::Open),
        403 => Some(Answer::Refused),
        401 if nameless || !access.confirmed => Some(Answer::Refused),
        404 | 405 | 410 | 501 if !access.confirmed => Some(Answer::Missing),
        _ => None,
    }
}

/// Method and template; what is not there has only its path, and each is another.
fn operation(Look { access, x, .. }: &Look<'_>) -> u64 {
    let method = hash_text(x.method.as_ref().map_or("", CompactString::as_str));
    let path = x.path.as_deref().unwrap_or_default();
    let place = match access.node.filter(|_| access.confirmed) {
        Some(node) => mix(u64::from(node.0)),
        None if matches!(x.status, Some(401 | 403)) => shape(path),
        None => hash_text(path),
    };
    mix(place ^ method.rotate_left(17))
}

/// A path with what looks like a value left out.
fn shape(path: &str) -> u64 {
    path.split('/').take(SEGMENTS).fold(0, |hash, segment| {
        let value = segment.len() > NAME || segment.bytes().any(|b| b.is_ascii_digit());
        mix(hash ^ if value { 1 } else { hash_text(segment) })
    })
}

pub(super) fn tell(found: Tried, who: &Followed, x: &Exchange, at: &Clock) -> Verdict {
    let (row, rung) = (found.row, found.rung);
    let (kind, detector, owasp, base, what) = if found.missing {
        (
            VerdictKind::Scan,
            PATHS,
            "API9:2023",
            Severity::Medium,
            "paths that are not there",
        )
    } else {
        (
            VerdictKind::Authorization,
            DOORS,
            "API5:2023",
            Severity::High,
            "operations that do not let it in",
        )
    };
    let expected = f64::from(row.len) * found.usual;
    let sign = Sign {
        kind,
        detector,
        owasp,
        severity: base,
        principal: Some(who.principal()),
        endpoint: None,
        host: None,
        since: row.since,
        expected,
        observed: f64::from(row.hits),
        rung,
        summary: format!("{} different {what}, tried by {}", row.hits, who.describe()),
        why: vec![
            format!(
                "{} of its last {} steps went to different {what}",
                row.hits, row.len
            ),
            format!(
                "usually {} % of such callers' steps do: {} of them",
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
