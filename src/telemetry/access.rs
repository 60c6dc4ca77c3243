//! Who comes in, in numbers; who it was stands in the audit.

use std::time::Duration;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::{Scrape, counter, family, gauge};
use crate::alert::wall;

/// A token that was used within this is in use.
const IN_USE: Duration = Duration::from_secs(86_400);

impl Scrape {
    pub(super) fn access(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        let help = "Attempts to sign in: let in, wrong, refused by the limits, no time for it";
        let mut sign_ins = family(encoder, "sign_ins", help, MetricType::Counter)?;
        for (method, outcome, n) in &self.door.sign_ins {
            sign_ins.count(&[("method", *method), ("outcome", *outcome)], *n)?;
        }
        let help = "Requests with an API token that opens nothing";
        counter(encoder, "tokens_refused", help, self.door.refused_tokens)?;
        let help = "Sessions of people that are open";
        gauge(encoder, "sessions", help, self.door.sessions as i64)?;
        let help = "API tokens: used within a day, not used, expired";
        let mut tokens = family(encoder, "tokens", help, MetricType::Gauge)?;
        for (state, n) in self.tokens() {
            tokens.one(&[("state", state)], n)?;
        }
        Ok(())
    }

    fn tokens(&self) -> [(&'static str, i64); 3] {
        let (now, mut counts) = (wall(), [("used", 0), ("unused", 0), ("expired", 0)]);
        for token in self.accounts.tokens.values() {
            let is_used = token.used.is_some_and(|at| now.since(at) < IN_USE);
            let state = match (token.is_expired(now), is_used) {
                (true, _) => 2,
                (_, true) => 0,
                _ => 1,
            };
            counts[state].1 += 1;
        }
        counts
    }
}
