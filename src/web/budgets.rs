//! What is held in memory and on disk beside what may be: one list for the page of settings and for
//! the metrics, so that both say the same.

use super::Views;

/// A queue between two threads.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    pub name: &'static str,
    pub waiting: usize,
    pub room: usize,
}

/// What the daemon carries at one moment.
#[derive(Clone, Debug, Default)]
pub struct Load {
    pub queues: Vec<Queue>,
    /// Principals followed now, and put out by the budget so far.
    pub principals: usize,
    pub principals_evicted: u64,
    /// Bugs that workers met and were restarted after.
    pub panics: u64,
    /// What keeps the store from writing, while something does.
    pub store_trouble: Option<String>,
    pub journal_bytes: u64,
    /// Checkpoints and the index of alerts.
    pub checkpoint_bytes: u64,
}

/// What may be held at most, as the config says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    pub flows: usize,
    pub buffered_bytes: u64,
    pub endpoints: usize,
    pub history_bytes: u64,
    pub principals: usize,
    pub alerts: usize,
    pub incidents: usize,
    pub packet_bytes: u64,
    /// False alarms a week.
    pub false_alarms: f64,
}

/// One bound, and how much of it is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// As metrics name it.
    pub name: &'static str,
    pub used: u64,
    /// 0 where the config was not told of, as after `read --serve`.
    pub limit: u64,
    /// What had to go for something newer, so far.
    pub evicted: u64,
    /// Counted in bytes, not in pieces.
    pub in_bytes: bool,
}

impl Budget {
    /// 0 to 1; none where there is no limit.
    pub fn share(&self) -> Option<f64> {
        (self.limit > 0).then(|| self.used as f64 / self.limit as f64)
    }
}

/// Every bound that evicts.
pub fn budgets(views: &Views) -> [Budget; 8] {
    let limits = views.settings.load().limits;
    let (sensor, catalog) = (views.sensor.load(), views.catalog.load());
    let (alerts, saved) = (views.alerts.load(), views.saved.load());
    let pieces = |name, used: usize, limit: usize, evicted| Budget {
        name,
        used: used as u64,
        limit: limit as u64,
        evicted,
        in_bytes: false,
    };
    let bytes = |name, used, limit, evicted| Budget {
        name,
        used,
        limit,
        evicted,
        in_bytes: true,
    };
    let load = &sensor.load;
    [
        pieces(
            "flows",
            sensor.flows as usize,
            limits.flows,
            sensor.flows_evicted,
        ),
        bytes(
            "reassembly",
            sensor.buffered_bytes,
            limits.buffered_bytes,
            0,
        ),
        pieces(
            "endpoints",
            catalog.endpoints.len(),
            limits.endpoints,
            catalog.evicted,
        ),
        bytes(
            "histories",
            catalog.history_bytes,
            limits.history_bytes,
            catalog.histories_cut,
        ),
        pieces(
            "principals",
            load.principals,
            limits.principals,
            load.principals_evicted,
        ),
        pieces(
            "alerts",
            alerts.alerts.len(),
            limits.alerts,
            alerts.evicted,
        ),
        pieces("incidents", alerts.incidents.len(), limits.incidents, 0),
        bytes(
            "packets",
            saved.bytes(),
            limits.packet_bytes,
            saved.evicted,
        ),
    ]
}
