//! How the sinks do, by name.

use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::{Scrape, family, gauge};
use crate::alert::delivery::{DELAYS, SinkView};

impl Scrape {
    pub(super) fn deliveries(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        let help = "Messages that sinks took, attempts that failed, messages given up";
        let mut family = family(encoder, "deliveries", help, MetricType::Counter)?;
        for sink in &self.deliveries.sinks {
            let outcomes = [
                ("delivered", sink.delivered),
                ("failed", sink.failed),
                ("dead", sink.dead),
            ];
            for (outcome, n) in outcomes {
                let labels = [("sink", sink.name.as_str()), ("outcome", outcome)];
                family.count(&labels, n)?;
            }
        }
        let help = "Messages that wait for a sink";
        self.of_sinks(encoder, "deliveries_waiting", help, |s| s.pending as i64)?;
        let help = "1 while a sink has failed so often that it is only probed";
        self.of_sinks(encoder, "sink_open", help, |s| i64::from(s.open))?;
        let help = "When a sink took a message last; 0 before it has";
        let name = "sink_last_delivered_timestamp_seconds";
        self.of_sinks(encoder, name, help, |s| {
            s.last_delivered.map_or(0, |at| at.secs())
        })?;
        self.delays(encoder)?;
        let help = "Messages that were given up and wait for a person";
        let dead = self.deliveries.dead.len() as i64;
        gauge(encoder, "dead_letters", help, dead)
    }

    fn of_sinks<V: EncodeGaugeValue + Clone>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        value: fn(&SinkView) -> V,
    ) -> Result<(), std::fmt::Error> {
        let mut family = family(encoder, name, help, MetricType::Gauge)?;
        for sink in &self.deliveries.sinks {
            family.one(&[("sink", sink.name.as_str())], value(sink))?;
        }
        Ok(())
    }

    fn delays(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "From an alert on disk to a sink that took it";
        let mut family = family(
            encoder,
            "delivery_delay_seconds",
            help,
            MetricType::Histogram,
        )?;
        for sink in &self.deliveries.sinks {
            let labels = [("sink", sink.name.as_str())];
            let bounds = DELAYS.into_iter().chain([f64::MAX]);
            let buckets: Vec<(f64, u64)> = bounds.zip(sink.delays.counts).collect();
            let count = sink.delays.counts.iter().sum();
            family
                .0
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(sink.delays.seconds, count, &buckets, None)?;
        }
        Ok(())
    }
}
