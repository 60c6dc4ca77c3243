//! Catalogue, detectors and alert manager as one deterministic machine: exchanges in, inventory
//! and alerts out. The single writer of all analysis state; one thread runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::alert::{self, Alert};
use crate::catalog::{self, Access, Catalog, CatalogView, Change};
use crate::detect::{self, Detect, PrincipalView, PrincipalsView, Verdict};
use crate::exchange::{Exchange, TlsFlow};
use crate::time::Timestamp;

/// How often, in packet time, baselines and statuses are looked at.
const TICK: Duration = Duration::from_secs(10);
/// How often, in packet time, path templates are judged by all the evidence there is.
const SETTLE: i64 = 3_600 * 1_000_000_000;
/// Endpoints that are judged at one tick, about: the rest of a large inventory is at the next ones.
const SETTLED_AT_ONCE: usize = 4_096;

/// Principals that are listed, of each reason for being listed.
const LISTED: usize = 2_000;

#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub catalog: catalog::Settings,
    pub detect: detect::Settings,
    pub alert: alert::Settings,
}

pub struct Analysis {
    pub catalog: Catalog,
    pub detect: Detect,
    pub alerts: alert::Manager,
    next_tick: Timestamp,
    /// The hour in which templates were judged last.
    settled: Option<i64>,
    /// Not all of them were since.
    settling: bool,
    /// Up to when the bands that readers have are learnt.
    banded: Option<i64>,
    changes: Vec<Change>,
    verdicts: Vec<Verdict>,
}

impl Analysis {
    pub fn new(settings: Settings) -> Self {
        let Settings {
            catalog,
            detect,
            alert,
        } = settings;
        Self::with(
            Catalog::new(catalog),
            Detect::new(detect),
            alert::Manager::new(alert),
        )
    }

    /// From parts that were restored.
    pub fn with(catalog: Catalog, detect: Detect, alerts: alert::Manager) -> Self {
        let (changes, verdicts) = (Vec::new(), Vec::new());
        let mut analysis = Self {
            catalog,
            detect,
            alerts,
            next_tick: Timestamp::MIN,
            settled: None,
            settling: false,
            banded: None,
            changes,
            verdicts,
        };
        analysis.judged();
        analysis
    }

    /// People have said what alerts were worth: the detectors are told.
    pub fn judged(&mut self) {
        let view = self.alerts.view();
        let labels = view.alerts.iter().filter(|a| a.principal.is_none());
        let labels = labels.filter(|a| !a.history.is_empty());
        let labels: BTreeSet<&str> = labels.filter_map(|a| a.endpoint.as_deref()).collect();
        let ids = if labels.is_empty() {
            BTreeMap::new()
        } else {
            self.catalog.named(&labels)
        };
        let given = self.alerts.feedback(|label| ids.get(label).copied());
        self.detect.feedback(&given);
    }

    /// Takes one exchange that was complete at `at`, in total order. Alerts that it raises or
    /// revises are appended to `out`.
    pub fn apply(&mut self, at: Timestamp, x: &Exchange, out: &mut Vec<Alert>) -> Access {
        self.advance(at, out);
        let access = self.catalog.apply(x, &mut self.changes);
        if let Some(endpoint) = access.endpoint {
            self.detect.meet(endpoint, x);
        }
        self.take_changes(out);
        // What a connection carried is no request of anybody.
        if x.session.is_none() {
            self.detect.apply(&access, x, &mut self.verdicts);
            self.take_verdicts(out);
        }
        access
    }

    /// Takes one flow under TLS that was over at `at`, in the same total order.
    pub fn apply_tls(&mut self, at: Timestamp, flow: &TlsFlow, out: &mut Vec<Alert>) {
        self.advance(at, out);
        self.catalog.apply_tls(flow, &mut self.changes);
        self.take_changes(out);
    }

    /// Moves packet time on. Ticks lie on a fixed grid, so that they fall between the same
    /// exchanges however those are batched.
    pub fn advance(&mut self, now: Timestamp, out: &mut Vec<Alert>) {
        if now < self.next_tick || now == Timestamp::MAX {
            return;
        }
        let grid = TICK.as_nanos() as i64;
        let tick = Timestamp(now.nanos().div_euclid(grid).saturating_mul(grid));
        self.next_tick = tick + TICK;
        self.catalog.tick(tick, &mut self.changes);
        self.take_changes(out);
        self.detect.tick(tick, &mut self.verdicts);
        self.take_verdicts(out);
        self.alerts.tick(tick, out);
        let hour = now.nanos().div_euclid(SETTLE);
        self.settling |= self.settled.replace(hour).is_some_and(|last| last < hour);
        if self.settling {
            // A hundred thousand endpoints at once are seconds in which nothing is taken.
            let parts = self.catalog.sizes().1.div_ceil(SETTLED_AT_ONCE);
            self.settling = !self.catalog.settle_part(parts, &mut self.changes);
            self.take_changes(out);
        }
    }

    pub fn set_specs(&mut self, specs: catalog::spec::SpecSet, out: &mut Vec<Alert>) {
        self.catalog.set_specs(specs, &mut self.changes);
        self.take_changes(out);
    }

    /// Applies what a person decided; it is on disk.
    pub fn decide(&mut self, decision: &catalog::Decision, out: &mut Vec<Alert>) {
        let by = (decision.by.as_str(), decision.at);
        if decision.action.is_pin() {
            let found = self.alerts.found_of();
            let before = self.there(&found);
            self.catalog.decide(decision, &mut self.changes);
            self.take_changes(out);
            let after = self.there(&found);
            for gone in before.difference(&after) {
                self.alerts.gone(gone, by, out);
            }
            return;
        }
        self.catalog.decide(decision, &mut self.changes);
        self.take_changes(out);
        if decision.action == catalog::Action::Accept {
            for place in &decision.places {
                self.alerts.accepted(&place.label(), by, out);
            }
        }
    }

    /// Those of the labels that are endpoints.
    fn there(&self, labels: &BTreeSet<String>) -> BTreeSet<String> {
        let labels = labels.iter().map(String::as_str).collect();
        self.catalog.named(&labels).into_keys().collect()
    }

    /// The input is over: what waits for more evidence is judged by what there is.
    pub fn finish(&mut self, now: Timestamp, out: &mut Vec<Alert>) {
        self.next_tick = Timestamp::MIN;
        self.advance(now, out);
        self.settle(out);
    }

    /// Judges path templates by all the evidence there is.
    pub fn settle(&mut self, out: &mut Vec<Alert>) {
        self.catalog.settle(&mut self.changes);
        self.take_changes(out);
    }

    /// Known automation, with the names of the endpoints that some are kept by.
    pub fn automation(&self) -> Vec<(detect::Automation, Option<String>)> {
        let named = |a: detect::Automation| {
            let endpoint = a.endpoint.and_then(|id| self.catalog.label(id));
            (a, endpoint)
        };
        self.detect.automation().into_iter().map(named).collect()
    }

    /// What is expected of endpoints, where that has changed since the last call: once a quarter of an
    /// hour.
    pub fn bands(&mut self) -> Option<Arc<detect::Bands>> {
        let until = self.detect.learnt_until();
        let changed = std::mem::replace(&mut self.banded, until) != until;
        changed.then(|| Arc::new(self.detect.bands()))
    }

    /// The principals that matter most: those that an alert which is not settled names, the latest
    /// and the busiest.
    pub fn principals(&mut self) -> PrincipalsView {
        let alerts = self.alerts.view();
        let open = alerts.alerts.iter().filter(|a| !a.status.is_settled());
        let names = open.filter_map(|a| a.who()).collect();
        self.detect.people(&names, LISTED)
    }

    /// All that is known of one principal, named as alerts name it.
    pub fn principal(&self, name: &str) -> Option<PrincipalView> {
        let label = |id| Some((self.catalog.key(id)?.to_owned(), self.catalog.label(id)?));
        self.detect.person(name, label)
    }

    pub fn view(&mut self) -> Arc<CatalogView> {
        self.catalog.view()
    }

    fn take_changes(&mut self, out: &mut Vec<Alert>) {
        self.detect.change(&self.changes);
        for change in self.changes.drain(..) {
            let raised = match &change {
                Change::Found(finding) => {
                    let place = finding
                        .endpoint
                        .map(|e| self.detect.servers(e, finding.since));
                    let raised = self.alerts.raise_finding(finding);
                    let place = place.unwrap_or_default();
                    raised.map(|alert| self.alerts.locate(alert, &place))
                }
                Change::Exposed(exposed) => self.alerts.raise_exposed(exposed),
                Change::Drifted(drifted) => {
                    let place = self.detect.servers(drifted.endpoint, drifted.since);
                    let raised = self.alerts.raise_drift(drifted);
                    raised.map(|alert| self.alerts.locate(alert, &place))
                }
                Change::Merged { .. } | Change::NodeMerged { .. } | Change::Evicted(_) => None,
            };
            out.append(&mut self.alerts.came_back());
            out.extend(raised);
        }
    }

    fn take_verdicts(&mut self, out: &mut Vec<Alert>) {
        for verdict in self.verdicts.drain(..) {
            let endpoint = verdict.endpoint.and_then(|id| self.catalog.label(id));
            let raised = self.alerts.raise(&verdict, endpoint);
            out.append(&mut self.alerts.came_back());
            out.extend(raised);
        }
    }
}

#[cfg(test)]
mod tests;
