//! Names of metrics, and their rendering for Prometheus from the views: nothing is counted twice.

use std::collections::BTreeMap;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

mod coverage;
mod deliveries;
mod evidence;

use crate::alert::Status;
use crate::sensor::{TapReading, doctor};
use crate::web::Views;

pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Hosts that have a series of their own.
const HOSTS: usize = 100;

#[derive(Debug)]
struct Scrape {
    sensor: std::sync::Arc<crate::web::SensorView>,
    catalog: std::sync::Arc<crate::catalog::CatalogView>,
    alerts: std::sync::Arc<crate::alert::AlertsView>,
    deliveries: std::sync::Arc<crate::alert::delivery::DeliveriesView>,
    saved: std::sync::Arc<crate::web::SavedView>,
}

/// All metrics as text.
pub fn render(views: &Views) -> Result<String, std::fmt::Error> {
    let scrape = Scrape {
        sensor: views.sensor.load_full(),
        catalog: views.catalog.load_full(),
        alerts: views.alerts.load_full(),
        deliveries: views.deliveries.load_full(),
        saved: views.saved.load_full(),
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
        self.remarks(&mut encoder)?;
        self.taps(&mut encoder)?;
        self.symptoms(&mut encoder)?;
        self.hosts(&mut encoder)?;
        self.coverage(&mut encoder)?;
        self.findings(&mut encoder)?;
        self.deliveries(&mut encoder)?;
        self.evidence(&mut encoder)?;
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
        counter(
            &mut encoder,
            "histories_cut",
            "Histories of endpoints, by the minute or the hour, put out by their budget",
            self.catalog.histories_cut,
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

/// Name, help, and what it counts.
type Family = (&'static str, &'static str, fn(&TapReading) -> u64);

impl Scrape {
    fn remarks(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let kind = prometheus_client::metrics::MetricType::Counter;
        let help = "What was out of the ordinary: of TCP, of HTTP's framing, of decoded bodies";
        let mut family = encoder.encode_descriptor("remarks", help, None, kind)?;
        for (what, n) in &self.sensor.remarks {
            ConstCounter::new(*n).encode(family.encode_family(&[("what", *what)])?)?;
        }
        Ok(())
    }

    /// What each interface has shown. Overlay networks are on the sensor page: up to 256 of them
    /// would be that many series each.
    fn taps(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let taps = &self.sensor.readings.taps;
        let families: [Family; 9] = [
            ("tap_frames", "Frames", |t| t.frames.all.frames),
            ("tap_bytes", "Bytes on the wire", |t| t.frames.all.bytes),
            ("tap_cut_frames", "Frames that were cut short", |t| {
                t.frames.cut.frames
            }),
            ("tap_clock_backward", "Time stamps that went back", |t| {
                t.frames.clock.backward
            }),
            (
                "tap_large_segments",
                "Segments larger than an MTU of 1500",
                |t| t.frames.segments.large,
            ),
            ("tap_flows_both", "Flows seen both ways", |t| t.flows.both),
            (
                "tap_flows_one_way",
                "Flows of which one side is never shown",
                |t| t.flows.one_way,
            ),
            ("tap_copies", "Segments that came twice", |t| t.flows.copies),
            (
                "tap_lost_bytes",
                "Bytes acknowledged and never shown",
                |t| t.flows.lost_bytes,
            ),
        ];
        let kind = prometheus_client::metrics::MetricType::Counter;
        for (name, help, value) in families {
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for tap in taps {
                let labels = [("tap", tap.name.as_str())];
                ConstCounter::new(value(tap)).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Bytes that were not read, by reason";
        let mut family = encoder.encode_descriptor("tap_unread_bytes", help, None, kind)?;
        for tap in taps {
            let ignored = tap.frames.all_ignored().map(|(r, v)| (r.name(), v.bytes));
            let malformed = tap.frames.all_malformed().map(|(r, v)| (r.name(), v.bytes));
            for (reason, bytes) in ignored.chain(malformed) {
                let labels = [("tap", tap.name.as_str()), ("reason", reason)];
                ConstCounter::new(bytes).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    /// Of the busiest hosts, so that the number of series is bounded.
    fn hosts(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut hosts: Vec<_> = self.catalog.hosts.iter().collect();
        hosts.sort_by_key(|h| std::cmp::Reverse(h.requests));
        let help = "Share of the host's exchanges of the last minutes of which a half was lost";
        let kind = prometheus_client::metrics::MetricType::Gauge;
        let mut family = encoder.encode_descriptor("host_unpaired_ratio", help, None, kind)?;
        for host in hosts.into_iter().take(HOSTS) {
            if let Some(share) = host.unpaired {
                let labels = [("host", host.host.as_str())];
                ConstGauge::new(share).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    /// 1 where the tap doctor sees it now. Every interface has every code, so that an alert rule
    /// finds its series before the trouble comes.
    fn symptoms(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Whether the tap doctor sees this symptom now";
        let kind = prometheus_client::metrics::MetricType::Gauge;
        let mut series: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for tap in &self.sensor.readings.taps {
            series.extend(
                doctor::CODES
                    .iter()
                    .map(|code| ((tap.name.as_str(), *code), 0)),
            );
        }
        for s in &self.sensor.symptoms {
            series.insert((&s.tap, s.code), 1);
        }
        let mut family = encoder.encode_descriptor("tap_symptom", help, None, kind)?;
        for ((tap, code), seen) in series {
            let labels = [("tap", tap), ("code", code)];
            ConstGauge::new(seen).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
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
