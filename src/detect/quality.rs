//! How an endpoint answers: errors of the server, latency, sizes.
//!
//! Latencies and sizes go into a histogram of fixed size, half an octave a place. An answer is a
//! sign where it lies in the highest twentieth of what was seen before; how many do so among
//! answers to *different* callers is a [`Share`], and its sum's worth is the cell's to say. That
//! is the tail of extreme-value theory, fitted to the sums and not to the values: one slow answer
//! is nothing, and latencies have no law that holds. One caller who is failed, or asks for much,
//! is one sign: its doings are its own detector's.

use serde::{Deserialize, Serialize};

use super::budget::{Cell, Family, Rung};
use super::cusum::{Share, Shift};
use super::targets::{Aim, Call};
use super::verdict::{self, Sign};
use super::{Clock, Severity, Verdict, VerdictKind};

/// Callers of late who are no further sign.
const RECENT: usize = 8;
const PLACES: usize = 64;
/// Answers without which there is no telling what is usual, and those remembered.
const FEW: f32 = 200.0;
const MEMORY: f32 = 20_000.0;
const HIGHEST: f32 = 0.05;
const SLOW: Shift = Shift {
    usual: 0.05,
    changed: 0.5,
};
const FAILING: Shift = Shift {
    usual: 0.02,
    changed: 0.5,
};
/// Signs that an anomaly has at least.
const LEAST: u32 = 10;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Cells {
    pub errors: Cell,
    latency: Cell,
    sizes: Cell,
}

/// Answers to different callers, one after the other.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Spread {
    recent: [u32; RECENT],
    next: u8,
    share: Share,
}

impl Spread {
    fn take(
        &mut self,
        hit: bool,
        shift: Shift,
        call: &Call<'_>,
        cell: &mut Cell,
        per_week: f64,
    ) -> Option<Rung> {
        let caller = call.part.caller as u32 | 1;
        if self.recent.contains(&caller) {
            return None;
        }
        self.recent[usize::from(self.next) % RECENT] = caller;
        self.next = (self.next + 1) % RECENT as u8;
        let rung = self.share.take(hit, shift, call.at, cell, per_week);
        rung.filter(|_| self.share.sum.signs >= LEAST)
    }
}

/// Failures of the server among its answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Errors(Spread);

impl Errors {
    pub(super) fn take(&mut self, call: &Call<'_>, cell: &mut Cell, per_week: f64) -> Option<Rung> {
        let status = call.x.status?;
        let failed = (500..600).contains(&status) && status != 501;
        self.0.take(failed, FAILING, call, cell, per_week)
    }

    pub(super) fn open(&self, at: &Clock) -> bool {
        self.0.share.sum.open(at)
    }

    pub(super) fn verdict(&self, rung: Rung, target: Aim<'_>, call: &Call<'_>) -> Verdict {
        let words = Words {
            kind: VerdictKind::Availability,
            detector: "server-errors",
            owasp: "",
            what: format!("{} fails its callers", target.words()),
            of: "answers to different callers were 5xx",
        };
        changed(&self.0, FAILING, words, rung, target, call)
    }
}

/// Values by place, half an octave each, forgotten slowly.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Histogram {
    /// Empty before the first.
    places: Vec<f32>,
    total: f32,
}

impl Histogram {
    fn place(value: f64) -> usize {
        ((value.max(0.0) + 1.0).log2() * 2.0) as usize
    }

    /// Share of values in a higher place than this one.
    fn above(&self, value: f64) -> f32 {
        let higher = self.places.iter().skip(Self::place(value) + 1);
        higher.sum::<f32>() / self.total.max(1.0)
    }

    fn quantile(&self, q: f32) -> f64 {
        let mut left = q * self.total;
        let at = self.places.iter().position(|n| {
            left -= n;
            left <= 0.0
        });
        ((at.unwrap_or(PLACES) as f64 + 0.5) / 2.0).exp2() - 1.0
    }

    fn insert(&mut self, value: f64, weight: f32) {
        self.places.resize(PLACES, 0.0);
        if let Some(place) = self.places.get_mut(Self::place(value).min(PLACES - 1)) {
            *place += weight;
            self.total += weight;
        }
        if self.total > MEMORY {
            self.places.iter_mut().for_each(|n| *n /= 2.0);
            self.total /= 2.0;
        }
    }

    fn absorb(&mut self, old: &Self) {
        if old.places.is_empty() {
            return;
        }
        self.places.resize(PLACES, 0.0);
        let both = self.places.iter_mut().zip(&old.places);
        both.for_each(|(mine, its)| *mine += its);
        self.total += old.total;
    }
}

/// One kind of value, and how often it is high.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Values {
    seen: Histogram,
    spread: Spread,
}

impl Values {
    fn take(
        &mut self,
        value: f64,
        call: &Call<'_>,
        cell: &mut Cell,
        per_week: f64,
    ) -> Option<Rung> {
        let rung = if self.seen.total >= FEW {
            let high = self.seen.above(value) < HIGHEST / 2.0
                && value > 1.5 * self.seen.quantile(1.0 - HIGHEST);
            self.spread.take(high, SLOW, call, cell, per_week)
        } else {
            None
        };
        let weight = if self.spread.share.sum.open(call.at) {
            0.05
        } else {
            1.0
        };
        self.seen.insert(value, weight);
        rung
    }

    fn absorb(&mut self, old: &Self) {
        self.seen.absorb(&old.seen);
        self.spread.share.absorb(&old.spread.share);
    }
}

/// An endpoint's answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Quality {
    errors: Errors,
    latency: Values,
    sizes: Values,
}

impl Quality {
    /// `failing`: the host as a whole is, and says so.
    pub(super) fn take(&mut self, call: &mut Call<'_>, cells: &mut Cells, failing: bool) {
        let per_week = Family::Quality.cell(call.budget);
        let aim = Aim::Endpoint(call.endpoint);
        let errors = self.errors.take(call, &mut cells.errors, per_week);
        if let Some(rung) = errors.filter(|_| !failing) {
            let verdict = self.errors.verdict(rung, aim, call);
            call.out.push(verdict);
        }
        let fine = call.x.status.is_some_and(|s| (200..300).contains(&s));
        if let Some(ms) = call.x.latency_ms.filter(|ms| fine && ms.is_finite()) {
            let rung = self
                .latency
                .take(10.0 * ms, call, &mut cells.latency, per_week);
            if let Some(rung) = rung.filter(|_| !failing) {
                let usual = self.latency.seen.quantile(0.95) / 10.0;
                let words = Words {
                    kind: VerdictKind::Availability,
                    detector: "latency",
                    owasp: "",
                    what: format!(
                        "this endpoint answers slowly, the last in {} ms where 95 % come within {}",
                        verdict::round(ms),
                        verdict::round(usual)
                    ),
                    of: "answers to different callers came later than nearly all before",
                };
                let verdict = changed(&self.latency.spread, SLOW, words, rung, aim, call);
                call.out.push(verdict);
            }
        }
        if let Some(bytes) = call.x.response_bytes.filter(|n| fine && *n > 0) {
            let rung = self
                .sizes
                .take(bytes as f64, call, &mut cells.sizes, per_week);
            if let Some(rung) = rung {
                let usual = self.sizes.seen.quantile(0.95);
                let words = Words {
                    kind: VerdictKind::Exfiltration,
                    detector: "endpoint-bytes",
                    owasp: "API6:2023",
                    what: format!(
                        "responses of this endpoint grow, the last {bytes} bytes where 95 % have at most {}",
                        usual.round()
                    ),
                    of: "answers to different callers were larger than nearly all before",
                };
                let verdict = changed(&self.sizes.spread, SLOW, words, rung, aim, call);
                call.out.push(verdict);
            }
        }
    }

    pub(super) fn absorb(&mut self, old: &Self) {
        self.errors.0.share.absorb(&old.errors.0.share);
        self.latency.absorb(&old.latency);
        self.sizes.absorb(&old.sizes);
    }
}

/// What a share's verdict is called.
struct Words {
    kind: VerdictKind,
    detector: &'static str,
    owasp: &'static str,
    what: String,
    of: &'static str,
}

fn changed(
    spread: &Spread,
    shift: Shift,
    words: Words,
    rung: Rung,
    target: Aim<'_>,
    call: &Call<'_>,
) -> Verdict {
    let sum = &spread.share.sum;
    let usual = spread.share.usual(shift);
    let expected = usual * f64::from(sum.trials);
    let share = verdict::round(100.0 * usual);
    let sign = Sign {
        kind: words.kind,
        detector: words.detector,
        owasp: words.owasp,
        severity: Severity::Medium,
        principal: None,
        endpoint: target.endpoint(),
        host: target.host(),
        since: sum.since,
        expected,
        observed: f64::from(sum.signs),
        rung,
        summary: words.what,
        why: vec![
            format!("{} of {} {}", sum.signs, sum.trials, words.of),
            format!(
                "usually {share} % are: {} of them",
                verdict::round(expected)
            ),
        ],
        sample: verdict::sample(call.x),
        series: spread.share.points(shift),
    };
    verdict::sign(sign, call.at)
}
