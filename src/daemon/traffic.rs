//! What workers count in total, as what came since their last reports.

use crate::sensor::Report;

/// Flows, and their bytes.
type Sum = (u64, u64);

/// What each worker has counted so far, where the inventory wants what came since.
pub(super) struct Traffic(Vec<(u64, Sum)>);

impl Traffic {
    pub(super) fn new(workers: usize) -> Self {
        Self(vec![(0, (0, 0)); workers])
    }

    /// Bytes of HTTP in clear, and flows under TLS with their bytes that found the channel full.
    pub(super) fn since(&mut self, report: &Report) -> (u64, Sum) {
        let (clear, lost) = (report.status.http.clear_bytes, report.shed_flows);
        let before = std::mem::replace(&mut self.0[report.worker], (clear, lost));
        let flows = lost.0.saturating_sub(before.1.0);
        let bytes = lost.1.saturating_sub(before.1.1);
        (clear.saturating_sub(before.0), (flows, bytes))
    }
}
