//! What is judged by the content of single calls, and accounts that change hands: four detectors
//! that share two parts of the budget, each with cells of its own.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::budget::Family;
use super::exposure::Exposures;
use super::principals::Followed;
use super::sizes::Sizes;
use super::takeover::Takeover;
use super::tampering::Tampering;
use super::{Clock, Place, Severity, Verdict, VerdictKind, verdict};
use crate::catalog::{Access, EndpointId, Whence};
use crate::exchange::Exchange;
use crate::time::Timestamp;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Abuse {
    tampering: Tampering,
    sizes: Sizes,
    exposures: Exposures,
    takeover: Takeover,
}

/// One call, and who made it.
pub(super) struct Seen<'a> {
    pub who: &'a Followed,
    pub mark: u64,
    pub access: &'a Access,
    pub x: &'a Exchange,
    pub at: &'a Clock,
}

impl Abuse {
    /// Of so many false alarms a week in all.
    pub(super) fn visit(&mut self, seen: &Seen<'_>, budget: f64, out: &mut Vec<Verdict>) {
        let content = Family::Content.cell(budget);
        out.extend(self.tampering.visit(seen, content));
        self.takeover
            .visit(seen, Family::Takeover.cell(budget), out);
        let Some(endpoint) = seen.access.endpoint else {
            return;
        };
        self.sizes.visit(endpoint, seen, content, out);
        self.exposures.visit(endpoint, seen, content, out);
    }

    pub(super) fn merged(&mut self, from: EndpointId, into: EndpointId) {
        self.tampering.merged(from, into);
        self.sizes.merged(from, into);
        self.exposures.merged(from, into);
    }

    pub(super) fn evicted(&mut self, endpoint: EndpointId) {
        self.tampering.evicted(endpoint);
        self.sizes.evicted(endpoint);
        self.exposures.evicted(endpoint);
    }
}

impl Seen<'_> {
    /// What is the same in all verdicts of one call; the detector says the rest.
    pub(super) fn verdict(&self, kind: VerdictKind, detector: &str) -> Verdict {
        let at = Timestamp(self.at.nanos);
        Verdict {
            at,
            kind,
            severity: Severity::Info,
            score: 0.0,
            detector: detector.into(),
            principal: Some(self.who.principal()),
            endpoint: self.access.endpoint.or(self.access.oddities.by),
            host: None,
            since: at,
            until: at,
            expected: 0.0,
            observed: 0.0,
            log10_p: 0.0,
            summary: String::new(),
            why: Vec::new(),
            samples: vec![self.sample()],
            series: Vec::new(),
            parts: Vec::new(),
            place: Place::default(),
            owasp: String::new(),
        }
    }

    /// A path with something odd in it may be all payload.
    fn sample(&self) -> String {
        let mut oddities = self.access.oddities.iter();
        if oddities.any(|o| o.whence == Whence::Path) {
            let method = self.x.method.as_deref().unwrap_or("-");
            let method = method.chars().take(30).collect::<String>();
            let status = self
                .x
                .status
                .map_or_else(|| "no answer".into(), |s| s.to_string());
            return format!("{method} {{odd path}} → {status}");
        }
        verdict::sample(self.x).into()
    }
}
