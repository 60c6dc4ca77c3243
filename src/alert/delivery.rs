//! Delivery: every recorded alert to every sink that it is routed to, at least once, across restarts.
//!
//! What is to be sent is on disk before it comes here, and is struck off there only after the sink
//! has taken it. A sink that fails is tried again with full-jitter back-off, which belongs to the
//! sink and not to the message; past [`TRIP`] failures its circuit is open, and it is only probed.
//! What it refuses [`REFUSALS`] times, or does not take within [`MAX_AGE`], is a dead letter: kept,
//! shown, and sent again when a person says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::sink::{Failure, Settings, Transport};
use super::{Alert, Egress, wall};
use crate::store::{Pending, Store};
use crate::time::Timestamp;

/// A message that could not be delivered for so long is dead.
pub const MAX_AGE: Duration = Duration::from_secs(3 * 86_400);
/// So is one that the receiver, being well, has refused so often.
pub const REFUSALS: u32 = 5;
/// Failures in a row after which a sink is only probed.
pub const TRIP: u32 = 5;
/// Messages of one sink that wait in memory; more wait on disk until these are done.
const WAITING: usize = 1_000;

/// Back-off: the n-th retry waits a random part of `base * 2^n`, `cap` at most.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    pub base: Duration,
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(300),
        }
    }
}

impl Backoff {
    /// After so many failures in a row. Behind an open circuit half of the wait is certain.
    fn pause(&self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1).min(20));
        let ceiling = self
            .base
            .saturating_mul(doubled.unwrap_or(u32::MAX))
            .min(self.cap);
        let mut random = [0; 4];
        // Without randomness the whole pause is waited; nothing else depends on it.
        let part = getrandom::fill(&mut random).map_or(1.0, |()| {
            f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX)
        });
        if failures >= TRIP {
            ceiling.mul_f64(0.5 + part / 2.0)
        } else {
            ceiling.mul_f64(part)
        }
    }
}

/// Upper bounds, in seconds, of [`Delays::counts`]; the last count is of all that took longer.
pub const DELAYS: [f64; 9] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3_600.0, 86_400.0];

/// How long messages lay on disk until a sink took them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Delays {
    /// All together.
    pub seconds: f64,
    pub counts: [u64; DELAYS.len() + 1],
}

impl Delays {
    fn add(&mut self, delay: Duration) {
        let seconds = delay.as_secs_f64();
        self.seconds += seconds;
        self.counts[DELAYS.partition_point(|bound| *bound < seconds)] += 1;
    }
}

/// One sink at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub struct SinkView {
    pub name: String,
    pub kind: &'static str,
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    pub pending: usize,
    pub dead: u64,
    /// The circuit is open: the sink has failed so often that it is only probed.
    pub open: bool,
    /// Why the last attempt failed; none once one succeeds.
    pub last_error: Option<String>,
    /// When a message was last taken, wall time.
    pub last_delivered: Option<Timestamp>,
    /// When an attempt failed last, wall time.
    pub last_failed: Option<Timestamp>,
    #[serde(skip)]
    pub delays: Delays,
}

/// A message that was given up. It stays until a person sends it again, or newer ones push it out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DeadLetter {
    pub sink: String,
    /// Alert and revision.
    pub message: String,
    pub alert: Alert,
    pub why: String,
    /// When it was given up, wall time.
    pub at: Timestamp,
}

/// A message to one sink, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    pub sink: String,
    /// Of the alert or incident.
    pub revision: u64,
    /// When it was put on disk to be sent, wall time.
    pub queued: Timestamp,
    /// When the sink took it, or it was given up; none while it waits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub settled: Option<Timestamp>,
    /// Why it was given up.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub given_up: Option<String>,
}

/// What was sent, oldest first, by the id of the alert or incident.
pub type Sent = BTreeMap<Arc<str>, Arc<Vec<Delivery>>>;

/// All of it at one moment.
#[derive(Clone, Debug, Default)]
pub struct DeliveriesView {
    pub sinks: Vec<SinkView>,
    pub sent: Arc<Sent>,
    /// Oldest first.
    pub dead: Arc<Vec<DeadLetter>>,
}

/// A running sink.
pub struct Sink {
    name: String,
    sender: mpsc::Sender<Arc<Pending>>,
    transport: Arc<Transport>,
    /// Messages wait on disk that had no room here.
    behind: Arc<AtomicBool>,
    wake: Arc<Notify>,
    tests: Arc<Semaphore>,
    runtime: tokio::runtime::Handle,
    view: Arc<ArcSwap<SinkView>>,
    task: tokio::task::JoinHandle<()>,
}

impl Sink {
    /// Starts delivery to one sink, on the runtime that this is called in.
    pub fn start(
        settings: &Settings,
        egress: &Arc<Egress>,
        backoff: Backoff,
        store: Store,
    ) -> Result<Self, String> {
        let transport = Transport::new(settings, egress);
        let transport = Arc::new(transport.map_err(|e| format!("sink `{}`: {e}", settings.name))?);
        let (sender, receiver) = mpsc::channel(WAITING);
        let state = SinkView {
            name: settings.name.clone(),
            kind: settings.kind.name(),
            ..SinkView::default()
        };
        let view = Arc::new(ArcSwap::from_pointee(state.clone()));
        let (behind, wake): (Arc<AtomicBool>, Arc<Notify>) = Default::default();
        let worker = Worker {
            backoff,
            store,
            transport: transport.clone(),
            behind: behind.clone(),
            wake: wake.clone(),
            view: view.clone(),
            state,
            failures: 0,
        };
        let task = tokio::spawn(worker.run(receiver));
        Ok(Self {
            name: settings.name.clone(),
            sender,
            transport,
            behind,
            wake,
            tests: Arc::new(Semaphore::new(1)),
            runtime: tokio::runtime::Handle::current(),
            view,
            task,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn view(&self) -> Arc<SinkView> {
        self.view.load_full()
    }

    /// Hands over a recorded alert that is for this sink. One for which there is no room waits on
    /// disk until there is.
    pub fn send(&self, pending: Arc<Pending>) {
        if self.sender.try_send(pending).is_err() {
            self.behind.store(true, Ordering::Release);
        }
    }

    /// Sends a test past the queue, and says how it went. One at a time; where it works, what waits
    /// is tried at once.
    pub fn test(&self, tell: impl FnOnce(Result<(), String>) + Send + 'static) {
        let Ok(permit) = self.tests.clone().try_acquire_owned() else {
            return tell(Err("a test is under way already".into()));
        };
        let (transport, wake) = (self.transport.clone(), self.wake.clone());
        self.runtime.spawn(async move {
            let done = transport.test().await.map_err(|failure| failure.why);
            if done.is_ok() {
                wake.notify_one();
            }
            tell(done);
            drop(permit);
        });
    }

    /// What waits is tried at once: a person asked.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ends; what is not delivered stays in the outbox.
    pub async fn stop(self, patience: Duration) {
        drop(self.sender);
        let abort = self.task.abort_handle();
        if timeout(patience, self.task).await.is_err() {
            abort.abort();
        }
    }
}

struct Worker {
    backoff: Backoff,
    store: Store,
    transport: Arc<Transport>,
    behind: Arc<AtomicBool>,
    wake: Arc<Notify>,
    view: Arc<ArcSwap<SinkView>>,
    state: SinkView,
    /// In a row.
    failures: u32,
}

impl Worker {
    async fn run(mut self, mut receiver: mpsc::Receiver<Arc<Pending>>) {
        // What came from the disk and may come again over the channel.
        let mut done = BTreeSet::new();
        while let Some(pending) = receiver.recv().await {
            self.state.pending = receiver.len() + 1;
            if !done.remove(&pending.alert.message_id()) {
                self.deliver(&pending).await;
            }
            self.state.pending = receiver.len();
            self.publish();
            while receiver.is_empty() && self.behind.swap(false, Ordering::AcqRel) {
                done = self.catch_up().await;
            }
        }
    }

    /// What had no room in the channel, from the disk.
    async fn catch_up(&mut self) -> BTreeSet<String> {
        let (tell, found) = oneshot::channel();
        self.store.waiting(
            &self.state.name,
            WAITING,
            Box::new(move |found| drop(tell.send(found))),
        );
        let found: Vec<Pending> = found.await.unwrap_or_default();
        if found.len() == WAITING {
            self.behind.store(true, Ordering::Release);
        }
        let mut done = BTreeSet::new();
        for (i, pending) in found.iter().enumerate() {
            self.state.pending = found.len() - i;
            self.deliver(pending).await;
            done.insert(pending.alert.message_id());
        }
        done
    }

    /// Until it is delivered or dead. One at a time: a sink sees revisions in order.
    async fn deliver(&mut self, pending: &Pending) {
        self.publish();
        let message = pending.alert.message_id();
        let mut refusals = 0;
        loop {
            let Err(failure) = self.transport.send(&pending.alert).await else {
                self.failures = 0;
                self.state.delivered += 1;
                self.state.open = false;
                self.state.last_error = None;
                let now = wall();
                self.state.last_delivered = Some(now);
                self.state.delays.add(now.since(pending.since));
                self.store.delivered(&self.state.name, &message);
                return;
            };
            self.failed(&failure);
            refusals += u32::from(failure.is_refusal);
            if refusals >= REFUSALS || wall().since(pending.since) >= MAX_AGE {
                tracing::error!(sink = %self.state.name, alert = %pending.alert.id, "alert given up: it is a dead letter");
                self.state.dead += 1;
                self.store.dead(&self.state.name, &message, &failure.why);
                return;
            }
            self.publish();
            let pause = self.backoff.pause(self.failures.max(refusals));
            let pause = pause.max(failure.wait.unwrap_or_default());
            // Either end is fine.
            let _ = timeout(pause, self.wake.notified()).await;
        }
    }

    fn failed(&mut self, failure: &Failure) {
        tracing::warn!(sink = %self.state.name, error = %failure.why, failures = self.failures, "alert not delivered");
        self.state.failed += 1;
        self.state.last_error = Some(failure.why.clone());
        self.state.last_failed = Some(wall());
        // A receiver that refuses a message is well.
        self.failures = if failure.is_refusal {
            0
        } else {
            self.failures.saturating_add(1)
        };
        self.state.open = self.failures >= TRIP;
    }

    fn publish(&self) {
        self.view.store(Arc::new(self.state.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_stands_under_the_first_bound_that_holds_it() {
        let mut delays = Delays::default();
        for millis in [100, 101, 700_000_000] {
            delays.add(Duration::from_millis(millis));
        }
        assert_eq!(delays.counts, [1, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert!((delays.seconds - 700_000.201).abs() < 1e-6);
    }

    #[test]
    fn full_jitter_and_a_floor_behind_an_open_circuit() {
        let backoff = Backoff {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(100),
        };
        for failures in 1..TRIP {
            let ceiling = Duration::from_secs(1 << (failures - 1));
            let pauses: Vec<Duration> = (0..50).map(|_| backoff.pause(failures)).collect();
            assert!(pauses.iter().all(|p| *p <= ceiling));
            assert!(pauses.iter().any(|p| *p < ceiling / 2), "jitter is full");
        }
        for failures in [TRIP, 20, u32::MAX] {
            let ceiling = Duration::from_secs(1 << (failures - 1).min(20)).min(backoff.cap);
            let pause = backoff.pause(failures);
            assert!(pause >= ceiling / 2 && pause <= ceiling, "{pause:?}");
        }
    }
}
