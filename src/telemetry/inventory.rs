//! The APIs themselves: how much they are called, and how many endpoints there are of which kind.

use std::cmp::Reverse;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::{HOSTS, Scrape, family, gauge, zeros};
use crate::catalog::{Documentation, Life};

/// Classes of answers, in the order in which they are counted.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

const DOCUMENTATION: [(Documentation, &str); 3] = [
    (Documentation::Documented, "documented"),
    (Documentation::Shadow, "shadow"),
    (Documentation::Unreviewed, "unreviewed"),
];
const LIVES: [(Life, &str); 4] = [
    (Life::Candidate, "candidate"),
    (Life::New, "new"),
    (Life::Active, "active"),
    (Life::Dormant, "dormant"),
];

impl Scrape {
    pub(super) fn inventory(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        let help = "Requests by the class of their answer; none where no answer was seen";
        let mut family = family(encoder, "exchanges", help, MetricType::Counter)?;
        for (class, n) in CLASSES.iter().zip(self.sensor.answers) {
            family.count(&[("status", *class)], n)?;
        }
        self.endpoints(encoder)?;
        self.hosts(encoder)
    }

    fn endpoints(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut confirmed = zeros(DOCUMENTATION.map(|(d, _)| d), &LIVES.map(|(l, _)| l));
        let (mut candidates, mut deprecated, mut zombies) = (0_i64, 0_i64, 0_i64);
        for e in &self.catalog.endpoints {
            if e.confirmed {
                *confirmed.entry((e.documentation, e.life)).or_default() += 1;
            } else {
                candidates += 1;
            }
            deprecated += i64::from(e.deprecated);
            zombies += i64::from(e.zombie);
        }
        let help = "Confirmed endpoints, by what specs say of them and by their life";
        let mut family = family(encoder, "endpoints", help, MetricType::Gauge)?;
        for (documentation, name) in DOCUMENTATION {
            for (life, life_name) in LIVES {
                let n = confirmed.get(&(documentation, life));
                let labels = [("documentation", name), ("life", life_name)];
                family.one(&labels, n.copied().unwrap_or(0))?;
            }
        }
        let help = "Endpoints that are documented or were called, and are not confirmed";
        gauge(encoder, "endpoint_candidates", help, candidates)?;
        let help = "Deprecated endpoints still called";
        gauge(encoder, "endpoints_deprecated", help, deprecated)?;
        let help = "Old versions still called beside a newer one";
        gauge(encoder, "endpoints_zombie", help, zombies)
    }

    /// Of the busiest hosts, so that the number of series is bounded.
    fn hosts(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut hosts: Vec<_> = self.catalog.hosts.iter().collect();
        hosts.sort_by_key(|h| Reverse(h.requests));
        let help = "Share of the host's exchanges of the last minutes of which a half was lost";
        let mut family = family(encoder, "host_unpaired_ratio", help, MetricType::Gauge)?;
        for host in hosts.into_iter().take(HOSTS) {
            if let Some(share) = host.unpaired {
                family.one(&[("host", host.host.as_str())], share)?;
            }
        }
        Ok(())
    }
}
