//! Who has a part in incidents that are not settled: counted once for each view of the alerts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::routes::App;
use crate::alert::{AlertsView, Incident};
use crate::detect::Severity;

/// Of one principal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) incidents: usize,
    pub(super) worst: Severity,
}

/// By the names that alerts give them.
#[derive(Debug, Default)]
pub(super) struct Involved(HashMap<String, Part>);

impl Involved {
    fn of(view: &AlertsView) -> Self {
        let mut parts: HashMap<String, Part> = HashMap::new();
        for incident in view.incidents.iter().filter(|i| !i.status.is_settled()) {
            for name in names(incident) {
                let part = parts.entry(name.to_owned()).or_insert(Part {
                    incidents: 0,
                    worst: incident.severity,
                });
                part.incidents += 1;
                part.worst = part.worst.max(incident.severity);
            }
        }
        Self(parts)
    }

    pub(super) fn part(&self, id: &str) -> Option<Part> {
        self.0.get(id).copied()
    }
}

/// Callers, and addresses that stand for none of them.
fn names(incident: &Incident) -> impl Iterator<Item = &str> {
    let clients = incident.clients.iter();
    let others = clients.filter(|client| !incident.callers.contains(*client));
    incident.callers.iter().chain(others).map(String::as_str)
}

/// Whether an incident is about somebody of this name.
pub(super) fn is_in(incident: &Incident, id: &str) -> bool {
    incident.callers.contains(id) || incident.clients.contains(id)
}

pub(super) fn involved(app: &App) -> Arc<Involved> {
    let alerts = app.views.alerts.load_full();
    app.involved.get(&alerts, Duration::ZERO, Involved::of)
}
