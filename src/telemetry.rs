//! Names of metrics, and their rendering for Prometheus from the views: nothing is counted twice.
//!
//! Names follow Prometheus' rules: base units (seconds, bytes) as suffix, `_total` on counters,
//! `_ratio` for shares of one. A label's values are ours and few; the captured names of hosts are the
//! one exception, bounded to `HOSTS` of the busiest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric, MetricEncoder,
    prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

mod access;
mod coverage;
mod deliveries;
mod detection;
mod evidence;
mod inventory;
mod load;
mod process;
mod taps;

use crate::web::{DoorView, Views};

/// How the text is written: as a scraper asks, else as every scraper reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// By the header `Accept`.
    pub fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(kinds) if kinds.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Hosts that have a series of their own.
const HOSTS: usize = 100;

/// Suffixes that are units, which OpenMetrics wants to be told of.
static UNITS: [(&str, Unit); 2] = [("_bytes", Unit::Bytes), ("_seconds", Unit::Seconds)];

struct Scrape {
    sensor: Arc<crate::web::SensorView>,
    catalog: Arc<crate::catalog::CatalogView>,
    alerts: Arc<crate::alert::AlertsView>,
    deliveries: Arc<crate::alert::delivery::DeliveriesView>,
    saved: Arc<crate::web::SavedView>,
    accounts: Arc<crate::access::Accounts>,
    door: DoorView,
    budgets: Vec<crate::web::Budget>,
    /// False alarms a week.
    false_alarms: f64,
    ready: bool,
}

impl std::fmt::Debug for Scrape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scrape")
    }
}

/// All metrics as text.
pub fn render(views: &Views, door: DoorView, format: Format) -> Result<String, std::fmt::Error> {
    let scrape = Scrape {
        sensor: views.sensor.load_full(),
        catalog: views.catalog.load_full(),
        alerts: views.alerts.load_full(),
        deliveries: views.deliveries.load_full(),
        saved: views.saved.load_full(),
        accounts: views.accounts.load_full(),
        door,
        budgets: crate::web::budgets(views),
        false_alarms: views.settings.load().limits.false_alarms,
        ready: views.ready.load(Ordering::Relaxed),
    };
    let started = scrape.sensor.started_wall;
    let mut registry = Registry::default();
    registry.register_collector(Box::new(process::Process { started }));
    let own = registry.sub_registry_with_prefix("apitap");
    own.register_collector(Box::new(scrape));
    let mut out = String::new();
    match format {
        Format::Prometheus => prometheus_text::encode(&mut out, &registry)?,
        Format::OpenMetrics => text::encode(&mut out, &registry)?,
    }
    Ok(out)
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let encoder = &mut encoder;
        self.health(encoder)?;
        self.ledger(encoder)?;
        self.taps(encoder)?;
        self.inventory(encoder)?;
        self.coverage(encoder)?;
        self.findings(encoder)?;
        self.detection(encoder)?;
        self.deliveries(encoder)?;
        self.evidence(encoder)?;
        self.access(encoder)?;
        self.load(encoder)
    }
}

impl Scrape {
    fn health(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Which apitap this is";
        let mut build = family(encoder, "build_info", help, MetricType::Gauge)?;
        build.one(&[("version", env!("CARGO_PKG_VERSION"))], 1_i64)?;
        let help = "1 once capture runs and the store is open";
        gauge(encoder, "ready", help, i64::from(self.ready))?;
        let help = "1 while everything received is in exactly one place of the ledger";
        let balanced = i64::from(self.sensor.ledger.balanced());
        gauge(encoder, "ledger_balanced", help, balanced)?;
        let help = "1 until the capture on a source ends, by an error or at its end";
        let mut sources = family(encoder, "capture_up", help, MetricType::Gauge)?;
        for source in &self.sensor.sources {
            let up = i64::from(source.ended.is_none());
            sources.one(&[("source", source.name.as_str())], up)?;
        }
        let at = self.sensor.last_frame_wall.secs().max(0);
        let help = "Wall time of the last frame";
        gauge(encoder, "last_frame_timestamp_seconds", help, at)
    }

    /// One family, each stage and outcome a series; kernel and interface drops beside it.
    fn ledger(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let ledger = &self.sensor.ledger;
        let help = "Where everything received ended";
        let mut ended = family(encoder, "ledger", help, MetricType::Counter)?;
        for (stage, s) in &ledger.stages {
            let mut one = |outcome: &str, reason: &str, n: u64| {
                let labels = [("stage", *stage), ("outcome", outcome), ("reason", reason)];
                ended.count(&labels, n)
            };
            one("received", "", s.received)?;
            one("analysed", "", s.analysed)?;
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
        let help = "What was received and is in no counter of the ledger yet";
        let mut pending = family(encoder, "ledger_pending", help, MetricType::Gauge)?;
        for (stage, s) in &ledger.stages {
            pending.one(&[("stage", *stage)], s.pending as i64)?;
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

/// A metric with its series.
struct Family<'a>(MetricEncoder<'a>);

impl Family<'_> {
    fn one(
        &mut self,
        labels: &impl EncodeLabelSet,
        value: impl EncodeGaugeValue + Clone,
    ) -> Result<(), std::fmt::Error> {
        ConstGauge::new(value).encode(self.0.encode_family(labels)?)
    }

    fn count(&mut self, labels: &impl EncodeLabelSet, n: u64) -> Result<(), std::fmt::Error> {
        ConstCounter::new(n).encode(self.0.encode_family(labels)?)
    }
}

fn family<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
    kind: MetricType,
) -> Result<Family<'a>, std::fmt::Error> {
    let unit = UNITS
        .iter()
        .find_map(|(suffix, unit)| Some((name.strip_suffix(suffix)?, unit)));
    let (name, unit) = unit.map_or((name, None), |(bare, unit)| (bare, Some(unit)));
    Ok(Family(encoder.encode_descriptor(name, help, unit, kind)?))
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    n: u64,
) -> Result<(), std::fmt::Error> {
    let family = family(encoder, name, help, MetricType::Counter)?;
    ConstCounter::new(n).encode(family.0)
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    n: impl EncodeGaugeValue + Clone,
) -> Result<(), std::fmt::Error> {
    let family = family(encoder, name, help, MetricType::Gauge)?;
    ConstGauge::new(n).encode(family.0)
}

/// Series of which every combination is there from the start, so that a rule finds them before the
/// first of their kind comes.
fn zeros<A: Copy + Ord, B: Copy + Ord>(
    a: impl IntoIterator<Item = A>,
    b: &[B],
) -> BTreeMap<(A, B), i64> {
    let pairs = a.into_iter().flat_map(|a| b.iter().map(move |b| (a, *b)));
    pairs.map(|pair| (pair, 0)).collect()
}
