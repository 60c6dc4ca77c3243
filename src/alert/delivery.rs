//! Delivery: every recorded alert to every sink, at least once, across restarts.
//!
//! What is to be sent is on disk before it comes here, and is struck off there only after the sink
//! has taken it. A sink that fails is tried again with full-jitter back-off; after [`MAX_AGE`] a
//! message is dead, kept, and shown.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::webhook::Message;
use super::{Alert, WebhookSettings};
use crate::store::Store;

/// A message that could not be delivered for so long is dead.
pub const MAX_AGE: Duration = Duration::from_secs(3 * 86_400);
const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(10);
/// Messages of one sink that wait in memory; more wait on disk for the next start.
const WAITING: usize = 10_000;

/// How deliveries name themselves, so that apitap knows its own where it watches them go by.
pub const AGENT: &str = concat!("apitap/", env!("CARGO_PKG_VERSION"));

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

/// One sink at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SinkView {
    pub name: String,
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    pub pending: usize,
    pub dead: u64,
    pub last_error: Option<String>,
}

/// A running sink.
pub struct Sink {
    sender: mpsc::Sender<Arc<Alert>>,
    pub view: Arc<ArcSwap<SinkView>>,
    task: tokio::task::JoinHandle<()>,
}

impl Sink {
    /// Starts delivery to one webhook.
    pub fn start(
        settings: WebhookSettings,
        backoff: Backoff,
        store: Store,
    ) -> Result<Self, String> {
        let client = client()?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let view = Arc::new(ArcSwap::from_pointee(SinkView {
            name: settings.name.clone(),
            ..SinkView::default()
        }));
        let worker = Worker {
            settings,
            backoff,
            store,
            client,
            view: view.clone(),
            state: SinkView::default(),
        };
        let task = tokio::spawn(worker.run(receiver));
        Ok(Self { sender, view, task })
    }

    /// Hands over a recorded alert. False where the sink is so far behind that the alert waits on
    /// disk for the next start.
    pub fn send(&self, alert: Arc<Alert>) -> bool {
        self.sender.try_send(alert).is_ok()
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

/// No redirects (a receiver must not choose where alerts go), no proxy from the environment.
fn client() -> Result<reqwest::Client, String> {
    // Installed once; a second time it says so, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .timeout(TOTAL)
        .user_agent(AGENT)
        .build()
        .map_err(|e| format!("no HTTP client: {e}"))
}

struct Worker {
    settings: WebhookSettings,
    backoff: Backoff,
    store: Store,
    client: reqwest::Client,
    view: Arc<ArcSwap<SinkView>>,
    state: SinkView,
}

enum Attempt {
    Delivered,
    /// What went wrong, and how long the receiver asked us to wait.
    Failed(String, Option<Duration>),
}

impl Worker {
    async fn run(mut self, mut receiver: mpsc::Receiver<Arc<Alert>>) {
        self.state.name = self.settings.name.clone();
        while let Some(alert) = receiver.recv().await {
            self.state.pending = receiver.len() + 1;
            self.publish();
            self.deliver(&alert).await;
            self.state.pending = receiver.len();
            self.publish();
        }
    }

    /// Until it is delivered or dead. One at a time: a sink sees revisions in order.
    async fn deliver(&mut self, alert: &Alert) {
        let message = Message::of(alert);
        let begun = Instant::now();
        for attempt in 0_u32.. {
            match self.attempt(&message).await {
                Attempt::Delivered => {
                    self.state.delivered += 1;
                    self.state.last_error = None;
                    self.store.delivered(&self.settings.name, &message.id);
                    return;
                }
                Attempt::Failed(error, wait) => {
                    tracing::warn!(sink = %self.settings.name, %error, attempt, "alert not delivered");
                    self.state.failed += 1;
                    self.state.last_error = Some(error);
                    self.publish();
                    if begun.elapsed() >= MAX_AGE {
                        self.state.dead += 1;
                        self.store.dead(&self.settings.name, &message.id);
                        return;
                    }
                    sleep_until(Instant::now() + self.pause(attempt).max(wait.unwrap_or_default()))
                        .await;
                }
            }
        }
    }

    async fn attempt(&self, message: &Message) -> Attempt {
        let now = jiff::Timestamp::now().as_second();
        let request = self
            .client
            .post(&self.settings.url)
            .header("content-type", "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", now)
            .header(
                "webhook-signature",
                message.signature(&self.settings.secret, now),
            )
            .body(message.body.clone());
        match request.send().await {
            Ok(response) if response.status().is_success() => Attempt::Delivered,
            Ok(response) => {
                let header = response
                    .headers()
                    .get("retry-after")
                    .and_then(|v| v.to_str().ok()?.parse().ok());
                let wait = header
                    .map(Duration::from_secs)
                    .map(|w| w.min(self.backoff.cap));
                Attempt::Failed(format!("the receiver answered {}", response.status()), wait)
            }
            // Without the URL: its path may be a secret.
            Err(e) => Attempt::Failed(causes(&e.without_url()), None),
        }
    }

    fn pause(&self, attempt: u32) -> Duration {
        let ceiling = self
            .backoff
            .base
            .saturating_mul(1_u32.checked_shl(attempt.min(20)).unwrap_or(u32::MAX))
            .min(self.backoff.cap);
        let mut random = [0; 4];
        // Without randomness the whole pause is waited; nothing else depends on it.
        let part = getrandom::fill(&mut random).map_or(1.0, |()| {
            f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX)
        });
        ceiling.mul_f64(part)
    }

    fn publish(&self) {
        self.view.store(Arc::new(self.state.clone()));
    }
}

fn causes(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut source = e.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
