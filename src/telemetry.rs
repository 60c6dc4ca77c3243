//! Names of metrics, and their rendering for Prometheus from the views: nothing is counted twice.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::alert::Status;
use crate::web::Views;

pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug)]
struct Scrape {
    sensor: std::sync::Arc<crate::web::SensorView>,
    catalog: std::sync::Arc<crate::catalog::CatalogView>,
    alerts: std::sync::Arc<crate::alert::AlertsView>,
}

/// All metrics as text.
pub fn render(views: &Views) -> Result<String, std::fmt::Error> {
    let scrape = Scrape {
        sensor: views.sensor.load_full(),
        catalog: views.catalog.load_full(),
        alerts: views.alerts.load_full(),
    };
    let mut registry = Registry::with_prefix("apitap");
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.ledger(&mut encoder)?;
        let s = &self.sensor;
        gauge(
            &mut encoder,
            "flows",
            "Flows being followed",
            s.flows as i64,
        )?;
        gauge(
            &mut encoder,
            "buffered_bytes",
            "Bytes held for reassembly",
            s.buffered_bytes as i64,
        )?;
        counter(
            &mut encoder,
            "flows_evicted",
            "Flows put out by the budget",
            s.flows_evicted,
        )?;
        gauge(
            &mut encoder,
            "last_frame_timestamp_seconds",
            "Wall time of the last frame",
            s.last_frame_wall.secs().max(0),
        )?;
        let endpoints = &self.catalog.endpoints;
        let count = |f: &dyn Fn(&crate::catalog::EndpointView) -> bool| {
            endpoints.iter().filter(|e| f(e)).count() as i64
        };
        gauge(
            &mut encoder,
            "endpoints",
            "Confirmed endpoints",
            count(&|e| e.confirmed),
        )?;
        let shadow = count(&|e| e.documentation == crate::catalog::Documentation::Shadow);
        gauge(
            &mut encoder,
            "endpoints_shadow",
            "Confirmed endpoints in no spec",
            shadow,
        )?;
        gauge(
            &mut encoder,
            "endpoints_deprecated",
            "Deprecated endpoints still called",
            count(&|e| e.deprecated),
        )?;
        let open = self
            .alerts
            .alerts
            .iter()
            .filter(|a| a.status == Status::Open)
            .count() as i64;
        gauge(&mut encoder, "alerts_open", "Open alerts", open)
    }
}

impl Scrape {
    /// One family, each stage and outcome a series; kernel and interface drops beside it.
    fn ledger(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let ledger = &self.sensor.ledger;
        let kind = prometheus_client::metrics::MetricType::Counter;
        let mut family =
            encoder.encode_descriptor("ledger", "Where everything received ended", None, kind)?;
        for (stage, s) in &ledger.stages {
            let mut one = |outcome: &str, reason: &str, n: u64| {
                let labels = [("stage", *stage), ("outcome", outcome), ("reason", reason)];
                ConstCounter::new(n).encode(family.encode_family(&labels)?)
            };
            one("received", "", s.received)?;
            one("analysed", "", s.analysed)?;
            one("pending", "", s.pending)?;
            for (outcome, reasons) in [
                ("ignored", &s.ignored),
                ("malformed", &s.malformed),
                ("shed", &s.shed),
            ] {
                for (reason, n) in reasons {
                    one(outcome, reason, *n)?;
                }
            }
        }
        counter(
            encoder,
            "dropped_kernel_packets",
            "Packets dropped by the kernel",
            ledger.dropped.kernel,
        )?;
        counter(
            encoder,
            "dropped_interface_packets",
            "Packets dropped by the interface",
            ledger.dropped.interface,
        )
    }
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    n: u64,
) -> Result<(), std::fmt::Error> {
    let metric = ConstCounter::new(n);
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    n: i64,
) -> Result<(), std::fmt::Error> {
    let metric = ConstGauge::new(n);
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}
