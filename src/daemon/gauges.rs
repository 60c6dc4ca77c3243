//! What the sensor's page shows beside the ledger: workers, protocols, budgets, and the last hour by
//! the second and the minute. Taken from what workers report and the analysis passes by; nothing of
//! it costs anything on the way of a packet.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::analysis::Analysis;
use crate::exchange::{Exchange, OperationKind, SessionKind};
use crate::sensor::{Report, SourceStatus, Status, WORK_QUEUE};
use crate::time::Timestamp;
use crate::web::{Beat, Budget, WorkerView};

/// How long each second, and each minute, is remembered.
const SECONDS: usize = 120;
const MINUTES: usize = 60;

/// Of exchanges and long-lived connections.
const PROTOCOLS: [&str; 7] = [
    "HTTP/1",
    "HTTP/2",
    "gRPC",
    "GraphQL",
    "WebSocket",
    "event stream",
    "other",
];

#[derive(Clone, Copy, Debug, Default)]
struct Load {
    queue: usize,
    busy: Duration,
    /// As it was when it was last looked at.
    before: Duration,
    share: f64,
}

/// Totals that grow, as they were at the last look.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    frames: u64,
    bytes: u64,
    exchanges: u64,
    dropped: u64,
    shed: u64,
    gap_bytes: u64,
}

pub(super) struct Gauges {
    loads: Vec<Load>,
    looked: Instant,
    protocols: [u64; PROTOCOLS.len()],
    /// Flows, and bytes for reassembly, at most.
    pub(super) limits: (u64, u64),
    last: Totals,
    seconds: VecDeque<Beat>,
    minutes: VecDeque<Beat>,
}

impl Gauges {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            loads: vec![Load::default(); workers],
            looked: Instant::now(),
            protocols: [0; PROTOCOLS.len()],
            limits: (0, 0),
            last: Totals::default(),
            seconds: VecDeque::with_capacity(SECONDS),
            minutes: VecDeque::with_capacity(MINUTES),
        }
    }

    pub(super) fn report(&mut self, report: &Report) {
        if let Some(load) = self.loads.get_mut(report.worker) {
            (load.queue, load.busy) = (report.queue, report.busy);
        }
    }

    pub(super) fn exchange(&mut self, x: &Exchange) {
        let session = x.session.as_ref().map(|s| s.kind);
        let operation = x.operation.as_ref().map(|o| o.kind);
        let is_grpc = || {
            let kind = x.request_content_type.as_deref().unwrap_or_default();
            kind.starts_with("application/grpc")
        };
        let at = match (session, operation, x.protocol.as_str()) {
            (Some(SessionKind::WebSocket), ..) => 4,
            (Some(SessionKind::EventStream), ..) => 5,
            (_, Some(OperationKind::Graphql), _) => 3,
            _ if is_grpc() => 2,
            (_, _, protocol) if protocol.starts_with("http/1") => 0,
            (_, _, protocol) if protocol.starts_with("h2") || protocol.starts_with("http/2") => 1,
            _ => 6,
        };
        self.protocols[at] += 1;
    }

    /// The most first; what was not met is left out.
    pub(super) fn protocols(&self) -> Vec<(&'static str, u64)> {
        let all = PROTOCOLS.into_iter().zip(self.protocols);
        let mut met: Vec<_> = all.filter(|(_, n)| *n > 0).collect();
        met.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        met
    }

    /// With what each has shed, and its panics.
    pub(super) fn workers(&mut self, workers: &[(Status, u64, u64)]) -> Vec<WorkerView> {
        let passed = self.looked.elapsed().as_secs_f64().max(1e-3);
        self.looked = Instant::now();
        let all = self.loads.iter_mut().zip(workers);
        all.map(|(load, (status, shed, restarts))| {
            let worked = load.busy.saturating_sub(load.before).as_secs_f64();
            load.before = load.busy;
            load.share = (worked / passed).min(1.0);
            WorkerView {
                segments: status.flow.segments,
                exchanges: status.http.exchanges,
                flows: status.flows,
                buffered_bytes: status.buffered,
                queue: load.queue,
                queue_limit: WORK_QUEUE,
                load: load.share,
                shed: *shed,
                restarts: *restarts,
            }
        })
        .collect()
    }

    pub(super) fn budgets(&self, status: &Status, analysis: &Analysis) -> Vec<Budget> {
        let one = |name, unit, (used, limit): (u64, u64), evicted| Budget {
            name,
            unit,
            used,
            limit,
            evicted,
        };
        let wide = |(used, limit): (usize, usize)| (used as u64, limit as u64);
        let (principals, gone) = analysis.detect.principals();
        let [fields, nodes] = analysis.catalog.kept().map(wide);
        let [alerts, incidents] = analysis.alerts.kept().map(wide);
        let endpoints = analysis.catalog.endpoints();
        let of_principals = wide((principals, analysis.detect.max_principals()));
        let evicted = analysis.alerts.counts().evicted;
        vec![
            one(
                "Flows",
                "flow",
                (status.flows, self.limits.0),
                Some(status.flow.flows_evicted),
            ),
            one(
                "Reassembly",
                "byte",
                (status.buffered, self.limits.1),
                Some(status.flow.shed),
            ),
            one(
                "Endpoints",
                "endpoint",
                wide((endpoints.0, endpoints.1)),
                Some(endpoints.2),
            ),
            one("Path tries", "node", nodes, None),
            one("Schemas", "field", fields, None),
            one("Principals", "principal", of_principals, Some(gone)),
            one("Alerts", "alert", alerts, Some(evicted)),
            one("Incidents", "incident", incidents, None),
        ]
    }

    /// Takes what came since the last call; all that is remembered, by the second and the minute.
    pub(super) fn beat(
        &mut self,
        now: Timestamp,
        status: &Status,
        (sources, shed): (&[SourceStatus], u64),
    ) -> (Vec<Beat>, Vec<Beat>) {
        let sum = |f: fn(&SourceStatus) -> u64| sources.iter().map(f).sum::<u64>();
        let totals = Totals {
            frames: sum(|s| s.frames.frames),
            bytes: sum(|s| s.frames.bytes),
            exchanges: status.http.exchanges,
            dropped: sum(|s| s.drops.kernel + s.drops.interface),
            shed: sum(|s| s.shed) + shed + status.flow.shed,
            gap_bytes: status.flow.gap_bytes,
        };
        let beat = totals.since(&self.last, now);
        self.last = totals;
        if self.seconds.len() == SECONDS {
            self.seconds.pop_front();
        }
        self.seconds.push_back(beat);
        let minute = Timestamp::from_secs(now.secs().div_euclid(60) * 60);
        match self.minutes.back_mut().filter(|m| m.at == minute) {
            Some(last) => add(last, &beat),
            None => {
                if self.minutes.len() == MINUTES {
                    self.minutes.pop_front();
                }
                self.minutes.push_back(Beat { at: minute, ..beat });
            }
        }
        (
            self.seconds.iter().copied().collect(),
            self.minutes.iter().copied().collect(),
        )
    }
}

impl Totals {
    fn since(&self, last: &Self, at: Timestamp) -> Beat {
        Beat {
            at,
            frames: self.frames.saturating_sub(last.frames),
            bytes: self.bytes.saturating_sub(last.bytes),
            exchanges: self.exchanges.saturating_sub(last.exchanges),
            dropped: self.dropped.saturating_sub(last.dropped),
            shed: self.shed.saturating_sub(last.shed),
            gap_bytes: self.gap_bytes.saturating_sub(last.gap_bytes),
        }
    }
}

fn add(sum: &mut Beat, more: &Beat) {
    sum.frames += more.frames;
    sum.bytes += more.bytes;
    sum.exchanges += more.exchanges;
    sum.dropped += more.dropped;
    sum.shed += more.shed;
    sum.gap_bytes += more.gap_bytes;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_kept_by_the_minute_and_says_when_loss_began() {
        let mut gauges = Gauges::new(1);
        let mut source = vec![SourceStatus::default()];
        let start = 1_770_000_000 / 60 * 60;
        let mut kept = (Vec::new(), Vec::new());
        for s in 0..2 * 3_600_i64 {
            source[0].frames.frames += 100;
            source[0].drops.kernel += u64::from(s >= 5_400);
            let now = Timestamp::from_secs(start + s);
            kept = gauges.beat(now, &Status::default(), (&source, 0));
        }
        let (seconds, minutes) = kept;
        assert_eq!((seconds.len(), minutes.len()), (SECONDS, MINUTES));
        assert!(seconds.iter().all(|b| (b.frames, b.dropped) == (100, 1)));
        assert!(minutes.iter().all(|b| b.frames == 6_000));
        let first = minutes.iter().find(|b| b.is_lossy()).unwrap();
        assert_eq!(first.at, Timestamp::from_secs(start + 5_400));
    }
}
