//! What each interface has shown, and what the tap doctor says of it.

use std::collections::BTreeMap;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::{Scrape, family};
use crate::sensor::{TapReading, doctor};

/// Name, help, and what it counts.
type Counted = (&'static str, &'static str, fn(&TapReading) -> u64);

impl Scrape {
    /// Overlay networks are on the sensor page: up to 256 of them would be that many series each.
    pub(super) fn taps(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let taps = &self.sensor.readings.taps;
        let families: [Counted; 9] = [
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
        for (name, help, value) in families {
            let mut family = family(encoder, name, help, MetricType::Counter)?;
            for tap in taps {
                family.count(&[("tap", tap.name.as_str())], value(tap))?;
            }
        }
        let help = "Bytes that were not read, by reason";
        let mut family = family(encoder, "tap_unread_bytes", help, MetricType::Counter)?;
        for tap in taps {
            let ignored = tap.frames.all_ignored().map(|(r, v)| (r.name(), v.bytes));
            let malformed = tap.frames.all_malformed().map(|(r, v)| (r.name(), v.bytes));
            for (reason, bytes) in ignored.chain(malformed) {
                let labels = [("tap", tap.name.as_str()), ("reason", reason)];
                family.count(&labels, bytes)?;
            }
        }
        self.remarks(encoder)?;
        self.symptoms(encoder)
    }

    fn remarks(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "What was out of the ordinary: of TCP, of HTTP's framing, of decoded bodies";
        let mut family = family(encoder, "remarks", help, MetricType::Counter)?;
        for (what, n) in &self.sensor.remarks {
            family.count(&[("what", *what)], *n)?;
        }
        Ok(())
    }

    /// 1 where the tap doctor sees it now. Every interface has every code, so that an alert rule
    /// finds its series before the trouble comes.
    fn symptoms(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Whether the tap doctor sees this symptom now";
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
        let mut family = family(encoder, "tap_symptom", help, MetricType::Gauge)?;
        for ((tap, code), seen) in series {
            family.one(&[("tap", tap), ("code", code)], seen)?;
        }
        Ok(())
    }
}
