//! Packets of alerts that are saved.

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::{Scrape, counter, family, gauge};

impl Scrape {
    pub(super) fn evidence(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        let s = &self.saved;
        let bytes = i64::try_from(s.bytes()).unwrap_or(i64::MAX);
        gauge(encoder, "evidence_bytes", "Bytes of saved packets", bytes)?;
        let files = s.files.len() as i64;
        gauge(
            encoder,
            "evidence_files",
            "Alerts with saved packets",
            files,
        )?;
        counter(encoder, "evidence_packets", "Packets saved", s.saved)?;
        let help = "Packets of alerts that are not saved, or no longer: packets written over in the \
                    recorder, alerts past their share, files put out, writes that failed, alerts not taken";
        let mut family = family(encoder, "evidence_lost", help, MetricType::Counter)?;
        let reasons = [
            ("missed", s.missed),
            ("cut", s.cut),
            ("evicted", s.evicted),
            ("failed", s.failed),
            ("shed", s.shed),
        ];
        for (reason, n) in reasons {
            family.count(&[("reason", reason)], n)?;
        }
        Ok(())
    }
}
