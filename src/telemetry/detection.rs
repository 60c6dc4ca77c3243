//! Alerts and incidents by status and severity, and the false-alarm budget.

use std::time::Duration;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::{Scrape, family, gauge, zeros};
use crate::alert::Status;
use crate::catalog::Severity;

/// What the budget is for.
const WEEK: Duration = Duration::from_secs(7 * 86_400);

impl Scrape {
    pub(super) fn detection(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        let alerts = &self.alerts.alerts;
        let help = "Alerts that are kept, by status and severity";
        let all = alerts.iter().map(|a| (a.status, a.severity));
        states(encoder, "alerts", help, all)?;
        let help = "Incidents that are kept, by status and severity; those that ring alone";
        let loud = self.alerts.incidents.iter().filter(|i| i.loud > 0);
        let all = loud.map(|i| (i.status, i.severity));
        states(encoder, "incidents", help, all)?;
        let help = "False alarms a week that somebody will bear: the budget of detection";
        gauge(
            encoder,
            "false_alarms_budget_per_week",
            help,
            self.false_alarms,
        )?;
        let now = self.sensor.at.max(self.catalog.at);
        let of_week = alerts
            .iter()
            .filter(|a| a.status == Status::FalseAlarm && now.since(a.ts) <= WEEK);
        let help = "Alerts of the last seven days that people called false";
        gauge(
            encoder,
            "false_alarms_last_week",
            help,
            of_week.count() as i64,
        )
    }
}

fn states(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    all: impl Iterator<Item = (Status, Severity)>,
) -> Result<(), std::fmt::Error> {
    let mut counts = zeros(Status::ALL, &Severity::ALL);
    for state in all {
        *counts.entry(state).or_default() += 1;
    }
    let mut family = family(encoder, name, help, MetricType::Gauge)?;
    for ((status, severity), n) in counts {
        let labels = [("status", status.name()), ("severity", severity.name())];
        family.one(&labels, n)?;
    }
    Ok(())
}
