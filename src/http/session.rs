//! A session under way: what a long-lived connection carried since its last record.

use std::time::Duration;

use super::Out;
use crate::exchange::{Exchange, Session, SessionKind};
use crate::time::Timestamp;

/// A connection that stays open reports this often, where it carries anything. Decided by the time
/// of its own packets alone, so that it is the same whatever else is captured.
const REPORT_EVERY: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(super) struct Log {
    /// The exchange that opened it, which each record repeats.
    opener: Box<Exchange>,
    /// Since the last record.
    pub(super) counts: Session,
    since: Timestamp,
    last: Timestamp,
}

impl Log {
    pub(super) fn new(mut opener: Box<Exchange>, kind: SessionKind, ts: Timestamp) -> Self {
        opener.shapes = None;
        Self {
            opener,
            counts: Session::new(kind, ts),
            since: ts,
            last: ts,
        }
    }

    pub(super) fn opened(&self) -> Timestamp {
        self.counts.opened
    }

    /// Something comes at `ts`, and is not counted yet.
    pub(super) fn at(&mut self, ts: Timestamp, out: &mut Out) {
        if ts.since(self.since) >= REPORT_EVERY {
            self.report(out);
            self.since = ts;
        }
        self.last = self.last.max(ts);
    }

    pub(super) fn over(&mut self, ts: Timestamp, out: &mut Out) {
        self.last = self.last.max(ts);
        self.counts.over = true;
        self.report(out);
    }

    /// Hands on what came since the last record.
    fn report(&mut self, out: &mut Out) {
        let mut x = self.opener.clone();
        (x.ts, x.end) = (self.since, self.last);
        x.session = Some(Box::new(self.counts));
        out.session(x);
        self.counts = Session {
            first: false,
            ..Session::new(self.counts.kind, self.counts.opened)
        };
    }

    /// Bytes that it takes.
    pub(super) fn held(&self) -> usize {
        self.opener.cost()
    }
}
