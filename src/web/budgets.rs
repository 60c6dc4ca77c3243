//! What is held in memory and on disk beside what may be, for the page of settings and for the metrics;
//! and what the daemon's upkeep shows.

use super::{Budget, Views};

/// A queue between two threads.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    pub name: &'static str,
    pub waiting: usize,
    pub room: usize,
}

/// What goes on beside the packets' way, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Upkeep {
    pub queues: Vec<Queue>,
    /// Bugs that workers met and were restarted after.
    pub panics: u64,
    /// What keeps the store from writing, while something does.
    pub store_trouble: Option<String>,
    pub journal_bytes: u64,
    /// Checkpoints and the index of alerts.
    pub checkpoint_bytes: u64,
}

/// What may be held at most, as the config says, of what has no budget in the sensor's view.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    pub history_bytes: u64,
    /// 0: no packet is kept.
    pub packet_bytes: u64,
    /// False alarms a week.
    pub false_alarms: f64,
}

/// Every bound: the sensor's, and of what lies beside it.
pub fn budgets(views: &Views) -> Vec<Budget> {
    let limits = views.settings.load().limits;
    let (catalog, saved) = (views.catalog.load(), views.saved.load());
    let bytes = |name, used, limit, evicted| Budget {
        name,
        unit: "byte",
        used,
        limit,
        evicted: Some(evicted),
    };
    let mut all = views.sensor.load().budgets.clone();
    all.extend([
        bytes(
            "Histories",
            catalog.history_bytes,
            limits.history_bytes,
            catalog.histories_cut,
        ),
        bytes("Packets", saved.bytes(), limits.packet_bytes, saved.evicted),
    ]);
    all
}
