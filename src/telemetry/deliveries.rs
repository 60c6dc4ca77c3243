//! How the sinks do, by name.

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::Scrape;
use crate::alert::delivery::SinkView;

/// What a gauge shows of a sink.
type Value = fn(&SinkView) -> i64;

impl Scrape {
    pub(super) fn deliveries(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        let help = "Messages that sinks took, attempts that failed, messages given up";
        let mut family =
            encoder.encode_descriptor("deliveries", help, None, MetricType::Counter)?;
        for sink in &self.deliveries.sinks {
            let outcomes = [
                ("delivered", sink.delivered),
                ("failed", sink.failed),
                ("dead", sink.dead),
            ];
            for (outcome, n) in outcomes {
                let labels = [("sink", sink.name.as_str()), ("outcome", outcome)];
                ConstCounter::new(n).encode(family.encode_family(&labels)?)?;
            }
        }
        let gauges: [(&str, &str, Value); 2] = [
            ("deliveries_waiting", "Messages that wait for a sink", |s| {
                s.pending as i64
            }),
            (
                "sink_open",
                "1 while a sink has failed so often that it is only probed",
                |s| i64::from(s.open),
            ),
        ];
        for (name, help, value) in gauges {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for sink in &self.deliveries.sinks {
                let labels = [("sink", sink.name.as_str())];
                ConstGauge::new(value(sink)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
