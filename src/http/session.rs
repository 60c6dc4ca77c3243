//! A session under way: what a long-lived connection carried since its last record.

use std::time::Duration;

use super::Out;
use crate::exchange::{Exchange, Session, SessionKind};
use crate::time::Timestamp;

/// A connection that stays open reports this often, where it carried anything. The periods begin
/// when it was opened, so that its records are the same whatever else is captured: data, a tick and
/// the end all find the same ones.
const REPORT_EVERY: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(super) struct Log {
    /// The exchange that opened it, which each record repeats.
    opener: Box<Exchange>,
    /// Since the last record.
    pub(super) counts: Session,
    /// There is something to report: that it was opened, or what came.
    fresh: bool,
    /// When the period at hand began.
    since: Timestamp,
    last: Timestamp,
}

impl Log {
    pub(super) fn new(mut opener: Box<Exchange>, kind: SessionKind, ts: Timestamp) -> Self {
        opener.shapes = None;
        Self {
            opener,
            counts: Session::new(kind, ts),
            fresh: true,
            since: ts,
            last: ts,
        }
    }

    pub(super) fn opened(&self) -> Timestamp {
        self.counts.opened
    }

    /// What each record to come begins as.
    pub(super) fn record(&mut self) -> &mut Exchange {
        &mut self.opener
    }

    /// Something comes at `ts`, and is not counted yet.
    pub(super) fn at(&mut self, ts: Timestamp, out: &mut Out) {
        self.pass(ts, out);
        self.fresh = true;
        self.last = self.last.max(ts);
    }

    /// Ends the period at hand, if it is over.
    pub(super) fn pass(&mut self, now: Timestamp, out: &mut Out) {
        let spent = now.since(self.since);
        if spent < REPORT_EVERY {
            return;
        }
        if self.fresh {
            self.report(out);
        }
        let begun = spent.as_secs() % REPORT_EVERY.as_secs();
        let begun = Duration::new(begun, spent.subsec_nanos());
        self.since = self.since + (spent - begun);
        self.last = self.last.max(self.since);
    }

    /// When a period is to be reported though nothing comes.
    pub(super) fn due(&self) -> Timestamp {
        if self.fresh {
            self.since + REPORT_EVERY
        } else {
            Timestamp::MAX
        }
    }

    pub(super) fn over(&mut self, ts: Timestamp, out: &mut Out) {
        self.pass(ts, out);
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
        self.opener.shapes = None;
        self.fresh = false;
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
