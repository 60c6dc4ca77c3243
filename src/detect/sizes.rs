//! Sizes: one request, or one answer, far larger than any that its endpoint knew.
//!
//! Of each measure an endpoint keeps how many there were and the largest, which fades. That the next
//! is larger than all of n has a chance of one in n + 1; by how much larger, falls off as a Pareto
//! law does; what both are worth in the traffic at hand is learnt by a cell for each measure (the
//! tail of a peaks-over-threshold method, see [`budget`](super::budget)). An endpoint that gives out one large answer is
//! worth a line; one caller who gets several, more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::abuse::Seen;
use super::budget::{Cell, Rung};
use super::distinct::mix;
use super::recent::Recent;
use super::{Severity, Verdict, VerdictKind, verdict};
use crate::catalog::EndpointId;
use crate::exchange::{Exchange, Shape};

const DAY: i64 = 86_400;
/// Calls of an endpoint, and their spread in time, after which its sizes are known.
const SETTLED: f64 = 200.0;
const SETTLED_SECS: i64 = 6 * 3_600;
/// Times the largest known that are worth a score, and that are far outside. A little more than
/// the largest is what comes when that has faded.
const BEYOND: f64 = 1.5;
const FAR: f64 = 4.0;
/// Exponent of the law by which larger ones are rarer; real sizes of messages have 1 to 2.
const PARETO: f64 = 1.5;
/// What the largest loses in a day.
const FADE: f32 = 0.98;
/// Of one caller, measure and day, from which it is no accident.
const REPEATED: u32 = 3;

struct Measure {
    detector: &'static str,
    what: &'static str,
    unit: &'static str,
    kind: VerdictKind,
    owasp: &'static str,
    /// Smaller ones harm nobody.
    least: f64,
    of: fn(&Exchange) -> Option<f64>,
}

/// The order is part of the saved form.
static MEASURES: [Measure; COUNT] = [
    Measure {
        detector: "request-size",
        what: "a request's body",
        unit: "bytes",
        kind: VerdictKind::Tampering,
        owasp: "API4:2023",
        least: 16_384.0,
        of: |x| x.request_bytes.map(|n| n as f64),
    },
    Measure {
        detector: "url-length",
        what: "a request's target",
        unit: "bytes",
        kind: VerdictKind::Tampering,
        owasp: "API4:2023",
        least: 512.0,
        of: |x| {
            let query = x.query.as_ref().map_or(0, |q| q.len() + 1);
            x.path.as_ref().map(|p| (p.len() + query) as f64)
        },
    },
    Measure {
        detector: "parameter-count",
        what: "a query",
        unit: "parameters",
        kind: VerdictKind::Tampering,
        owasp: "API4:2023",
        least: 24.0,
        of: |x| {
            let joints = |q: &str| memchr::memchr_iter(b'&', q.as_bytes()).count() + 1;
            x.query.as_deref().map(|q| joints(q) as f64)
        },
    },
    Measure {
        detector: "body-depth",
        what: "a request's body",
        unit: "levels",
        kind: VerdictKind::Tampering,
        owasp: "API4:2023",
        least: 6.0,
        of: |x| x.shapes.as_ref()?.request.as_ref().map(depth),
    },
    Measure {
        detector: "graphql-depth",
        what: "a GraphQL document",
        unit: "selection sets inside each other",
        kind: VerdictKind::Tampering,
        owasp: "API4:2023",
        least: 8.0,
        of: |x| x.operation.as_ref()?.depth.map(f64::from),
    },
    Measure {
        detector: "graphql-aliases",
        what: "a GraphQL document",
        unit: "aliases",
        kind: VerdictKind::Tampering,
        owasp: "API4:2023",
        least: 12.0,
        of: |x| x.operation.as_ref()?.aliases.map(f64::from),
    },
    Measure {
        detector: "batch-size",
        what: "a batch",
        unit: "calls",
        kind: VerdictKind::Tampering,
        owasp: "API4:2023",
        least: 8.0,
        of: |x| {
            let operation = x.operation.as_ref()?;
            Some(operation.count.map_or(1.0, f64::from))
        },
    },
    Measure {
        detector: "response-size",
        what: "an answer",
        unit: "bytes",
        kind: VerdictKind::Exfiltration,
        owasp: "API3:2023",
        least: 65_536.0,
        of: |x| {
            let given = x.status.is_some_and(|s| (200..300).contains(&s));
            x.response_bytes.filter(|_| given).map(|n| n as f64)
        },
    },
];

const COUNT: usize = 8;

fn depth(body: &Shape) -> f64 {
    let joints = body.0.iter().map(|f| f.pointer.matches('/').count());
    joints.max().unwrap_or(0) as f64
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Sizes {
    endpoints: BTreeMap<EndpointId, Known>,
    cells: [Cell; COUNT],
    told: Recent<Told>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Known {
    /// Seconds of the first call.
    first: Option<i64>,
    day: i64,
    seen: [f32; COUNT],
    most: [f32; COUNT],
    /// GraphQL calls, and those that asked for the schema.
    graphql: f64,
    introspected: f64,
}

/// Of one caller and measure.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Told {
    day: i64,
    count: u32,
    most: f64,
}

impl Sizes {
    pub(super) fn visit(
        &mut self,
        endpoint: EndpointId,
        seen: &Seen<'_>,
        per_week: f64,
        out: &mut Vec<Verdict>,
    ) {
        let (x, at) = (seen.x, seen.at);
        let known = self.endpoints.entry(endpoint).or_default();
        known.turn(at.secs);
        let settled = known.settled(at.secs) && at.scoring;
        for (i, (measure, cell)) in MEASURES.iter().zip(&mut self.cells).enumerate() {
            let Some(size) = (measure.of)(x) else {
                continue;
            };
            let (n, most) = (f64::from(known.seen[i]), f64::from(known.most[i]));
            if settled && n >= SETTLED {
                cell.open(at.hour);
            }
            known.seen[i] += 1.0;
            if size <= most {
                continue;
            }
            let tested = settled && n >= SETTLED;
            // What is far outside is learnt in part, so that one does not hide the next.
            let learnt = if tested {
                size.min(2.0 * most.max(1.0))
            } else {
                size
            };
            known.most[i] = learnt as f32;
            if !tested {
                continue;
            }
            if size < BEYOND * most {
                continue;
            }
            let score = (n + 1.0).log10() + PARETO * (size / most.max(1.0)).log10();
            let far = size >= measure.least && size >= FAR * most && at.ringing;
            let rung = far.then(|| cell.rings(score, per_week)).flatten();
            let Some(rung) = rung else {
                cell.climb(0, score);
                continue;
            };
            let told = self.told.of(mix(seen.mark ^ i as u64), at.nanos);
            if told.news(size, at.secs) {
                out.push(verdict_of(measure, seen, (size, most, n), told.count, rung));
            }
        }
        let graphql = x.operation.as_deref().filter(|o| o.depth.is_some());
        if let Some(operation) = graphql
            && known.asks(operation.introspection, settled)
            && at.ringing
        {
            let told = self.told.of(mix(seen.mark ^ COUNT as u64), at.nanos);
            let (others, calls) = (known.introspected - 1.0, known.graphql - 1.0);
            out.extend(told.news(1.0, at.secs).then(|| asked(seen, others, calls)));
        }
    }

    pub(super) fn merged(&mut self, from: EndpointId, into: EndpointId) {
        let Some(old) = self.endpoints.remove(&from) else {
            return;
        };
        let kept = self.endpoints.entry(into).or_default();
        kept.first = kept.first.into_iter().chain(old.first).min();
        kept.day = kept.day.max(old.day);
        kept.graphql += old.graphql;
        kept.introspected += old.introspected;
        for i in 0..COUNT {
            kept.seen[i] += old.seen[i];
            kept.most[i] = kept.most[i].max(old.most[i]);
        }
    }

    pub(super) fn evicted(&mut self, endpoint: EndpointId) {
        self.endpoints.remove(&endpoint);
    }
}

impl Known {
    fn turn(&mut self, secs: i64) {
        let day = secs.div_euclid(DAY);
        if self.first.is_none() {
            (self.first, self.day) = (Some(secs), day);
        }
        if day > self.day {
            let fade = FADE.powi((day - self.day).min(365) as i32);
            self.most.iter_mut().for_each(|most| *most *= fade);
            self.day = day;
        }
    }

    fn settled(&self, secs: i64) -> bool {
        self.first.is_some_and(|first| secs - first >= SETTLED_SECS)
    }

    /// Whether a GraphQL call asks for the schema, where hardly any before did.
    fn asks(&mut self, introspects: bool, settled: bool) -> bool {
        self.graphql += 1.0;
        self.introspected += f64::from(u8::from(introspects));
        let rare = self.introspected * SETTLED <= self.graphql;
        introspects && settled && rare
    }
}

impl Told {
    /// The first of a day, one twice as large, or the one that makes it no accident.
    fn news(&mut self, size: f64, secs: i64) -> bool {
        let day = secs.div_euclid(DAY) + 1;
        if day != self.day {
            *self = Self {
                day,
                ..Self::default()
            };
        }
        self.count = self.count.saturating_add(1);
        let news = self.count == 1 || self.count == REPEATED || size >= 2.0 * self.most;
        if news {
            self.most = self.most.max(size);
        }
        news
    }
}

fn verdict_of(
    measure: &Measure,
    seen: &Seen<'_>,
    (size, most, n): (f64, f64, f64),
    count: u32,
    rung: Rung,
) -> Verdict {
    let unit = measure.unit;
    let times = size / most.max(1.0);
    let mut why = vec![
        format!(
            "{size} {unit}; the largest of {n} before had {}",
            most.round()
        ),
        format!("{times:.1} times as large"),
        verdict::odds(rung),
    ];
    if count > 1 {
        why.push(format!("the {count}. of this caller in a day"));
    }
    let severity = if count >= REPEATED {
        Severity::Medium
    } else {
        Severity::Low
    };
    Verdict {
        severity,
        score: verdict::score(rung),
        expected: most,
        observed: size,
        log10_p: rung.log10_p,
        parts: verdict::parts(rung, []),
        summary: format!(
            "{} of {size} {unit} by {}, where {} is the most known",
            measure.what,
            seen.who.describe(),
            most.round()
        ),
        why,
        owasp: measure.owasp.into(),
        ..seen.verdict(measure.kind, measure.detector)
    }
}

/// Tools of developers do it, and whoever looks for a way in does it first: a line, no alarm.
fn asked(seen: &Seen<'_>, others: f64, calls: f64) -> Verdict {
    Verdict {
        severity: Severity::Info,
        expected: others / calls.max(1.0),
        observed: 1.0,
        log10_p: ((others + 1.0) / (calls + 1.0)).log10(),
        summary: format!(
            "{} asks for the GraphQL schema, which hardly anybody does here",
            seen.who.describe()
        ),
        why: vec![
            format!("{others} of {calls} calls before asked for it"),
            "the schema tells all that may be asked for".into(),
        ],
        owasp: "API9:2023".into(),
        ..seen.verdict(VerdictKind::Tampering, "graphql-introspection")
    }
}
