//! What the daemon carries: flows, queues, budgets, and the state directory.

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::{Scrape, counter, family, gauge};
use crate::web::Queue;

impl Scrape {
    pub(super) fn load(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let s = &self.sensor;
        gauge(encoder, "flows", "Flows being followed", s.flows as i64)?;
        gauge(
            encoder,
            "buffered_bytes",
            "Bytes held for reassembly",
            s.buffered_bytes as i64,
        )?;
        let help = "How full each budget is, 0 to 1; at 1 something goes for whatever is new";
        let mut used = family(encoder, "budget_used_ratio", help, MetricType::Gauge)?;
        for budget in &self.budgets {
            if let Some(share) = budget.share() {
                used.one(&[("budget", label(budget.name))], share)?;
            }
        }
        let help = "What had to go for something newer, by budget";
        let mut evictions = family(encoder, "evictions", help, MetricType::Counter)?;
        for budget in &self.budgets {
            if let Some(evicted) = budget.evicted {
                evictions.count(&[("budget", label(budget.name))], evicted)?;
            }
        }
        self.queues(encoder)?;
        let help = "Bugs that workers met; each was restarted, and its flows are counted as shed";
        counter(encoder, "worker_panics", help, s.upkeep.panics)?;
        let help = "1 while the state directory cannot be written";
        let failing = i64::from(s.upkeep.store_trouble.is_some());
        gauge(encoder, "store_failing", help, failing)?;
        let help = "Size of the files in the state directory";
        let mut files = family(encoder, "store_bytes", help, MetricType::Gauge)?;
        for (file, bytes) in [
            ("journal", s.upkeep.journal_bytes),
            ("checkpoints", s.upkeep.checkpoint_bytes),
        ] {
            files.one(&[("file", file)], i64::try_from(bytes).unwrap_or(i64::MAX))?;
        }
        Ok(())
    }

    fn queues(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut queues = self.sensor.upkeep.queues.clone();
        // Of the workers, the one that is farthest behind.
        let workers = self.sensor.load.iter();
        queues.extend(workers.max_by_key(|w| w.queue).map(|w| Queue {
            name: "worker",
            waiting: w.queue,
            room: w.queue_limit,
        }));
        let help = "What waits between two threads";
        let mut waiting = family(encoder, "queue_waiting", help, MetricType::Gauge)?;
        for queue in &queues {
            waiting.one(&[("queue", queue.name)], queue.waiting as i64)?;
        }
        let help = "What may wait between two threads";
        let mut room = family(encoder, "queue_room", help, MetricType::Gauge)?;
        for queue in &queues {
            room.one(&[("queue", queue.name)], queue.room as i64)?;
        }
        Ok(())
    }
}

/// `Path tries` is `path_tries`.
fn label(name: &str) -> String {
    name.to_lowercase().replace(' ', "_")
}
