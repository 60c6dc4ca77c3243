//! Catalogue, detectors and alert manager as one deterministic machine: exchanges in, inventory
//! and alerts out. The single writer of all analysis state; one thread runs it.

use std::sync::Arc;

use crate::alert::{self, Alert};
use crate::catalog::{self, Access, Catalog, CatalogView, Change};
use crate::detect::{self, Detect, Verdict};
use crate::exchange::Exchange;
use crate::time::Timestamp;

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
    changes: Vec<Change>,
    verdicts: Vec<Verdict>,
}

impl Analysis {
    pub fn new(settings: Settings) -> Self {
        Self::with(
            Catalog::new(settings.catalog),
            Detect::new(settings.detect),
            alert::Manager::new(settings.alert),
        )
    }

    /// From parts that were restored.
    pub fn with(catalog: Catalog, detect: Detect, alerts: alert::Manager) -> Self {
        Self {
            catalog,
            detect,
            alerts,
            changes: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    /// Takes one exchange, in total order. Alerts that it raises or revises are appended to `out`.
    pub fn apply(&mut self, x: &Exchange, out: &mut Vec<Alert>) -> Access {
        let access = self.catalog.apply(x, &mut self.changes);
        self.take_changes(out);
        self.detect.apply(&access, x, &mut self.verdicts);
        self.take_verdicts(out);
        access
    }

    /// Moves packet time on where no exchange does.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Alert>) {
        self.catalog.tick(now, &mut self.changes);
        self.take_changes(out);
        self.detect.tick(now, &mut self.verdicts);
        self.take_verdicts(out);
    }

    pub fn view(&mut self) -> Arc<CatalogView> {
        self.catalog.view()
    }

    fn take_changes(&mut self, out: &mut Vec<Alert>) {
        for change in self.changes.drain(..) {
            match &change {
                Change::Found(finding) => out.extend(self.alerts.raise_finding(finding)),
                other => self.detect.change(other),
            }
        }
    }

    fn take_verdicts(&mut self, out: &mut Vec<Alert>) {
        for verdict in self.verdicts.drain(..) {
            let endpoint = verdict.endpoint.and_then(|id| self.catalog.label(id));
            out.extend(self.alerts.raise(&verdict, endpoint));
        }
    }
}
