//! What was inspected, what was not, and what lies open. Sums alone: hosts with TLS may be
//! thousands, and have their page.

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::{Scrape, family, gauge, zeros};
use crate::catalog::{ExposureKind, Severity};

impl Scrape {
    pub(super) fn coverage(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        let c = &self.catalog.tls.coverage;
        // What is over QUIC is never opened, and is told apart from other TLS.
        let dark = |whole: u64, quic: u64| whole.saturating_sub(quic);
        let families = [
            (
                "tls_flows",
                "Flows under TLS that are over",
                vec![
                    ("opened", c.opened_flows),
                    ("dark", dark(c.dark_flows, c.quic_flows)),
                    ("quic", c.quic_flows),
                ],
            ),
            (
                "inspection_bytes",
                "Bytes that are or may be HTTP: in clear, under TLS that was opened or was not, over QUIC",
                vec![
                    ("clear", c.clear_bytes),
                    ("opened", c.opened_bytes),
                    ("dark", dark(c.dark_bytes, c.quic_bytes)),
                    ("quic", c.quic_bytes),
                ],
            ),
            (
                "tls_records",
                "What became of records and directions under TLS",
                self.sensor.tls.clone(),
            ),
        ];
        for (name, help, series) in families {
            let mut family = family(encoder, name, help, MetricType::Counter)?;
            for (state, n) in series {
                family.count(&[("state", state)], n)?;
            }
        }
        let hosts = c.dark_hosts as i64;
        gauge(
            encoder,
            "tls_hosts_dark",
            "Hosts with TLS that is not opened",
            hosts,
        )
    }

    /// Every kind and severity has its series, so that an alert rule finds it before the first finding.
    pub(super) fn findings(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        let mut counts = zeros(ExposureKind::ALL, &Severity::ALL);
        for e in self.catalog.exposures() {
            *counts.entry((e.kind, e.severity)).or_default() += 1;
        }
        let help = "What lies open, by kind and severity";
        let mut family = family(encoder, "findings", help, MetricType::Gauge)?;
        for ((kind, severity), n) in counts {
            let labels = [("kind", kind.name()), ("severity", severity.name())];
            family.one(&labels, n)?;
        }
        Ok(())
    }
}
