//! The long-lived connections of an endpoint: added up from their session records, and no requests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::view::SessionsView;
use crate::exchange::{Exchange, SessionKind, Traffic};

/// Close codes that are told apart. A peer may send any of 65,536.
const MAX_CODES: usize = 16;

/// Of one endpoint, by kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sessions(BTreeMap<SessionKind, Sums>);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Sums {
    sessions: u64,
    over: u64,
    up: Traffic,
    down: Traffic,
    pings: u64,
    pongs: u64,
    closes: BTreeMap<u16, u64>,
    last_close: Option<u16>,
    longest_ms: u64,
    lossy: u64,
}

impl Sessions {
    pub(super) fn take(&mut self, x: &Exchange) {
        let Some(s) = &x.session else { return };
        let sums = self.0.entry(s.kind).or_default();
        sums.sessions += u64::from(s.first);
        sums.over += u64::from(s.over);
        sums.up.add(&s.up);
        sums.down.add(&s.down);
        sums.pings += s.pings;
        sums.pongs += s.pongs;
        sums.lossy += u64::from(s.lossy);
        let open = u64::try_from(x.end.since(s.opened).as_millis()).unwrap_or(u64::MAX);
        sums.longest_ms = sums.longest_ms.max(open);
        if let Some(code) = s.close {
            sums.last_close = Some(code);
            if sums.closes.len() < MAX_CODES || sums.closes.contains_key(&code) {
                *sums.closes.entry(code).or_default() += 1;
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (kind, theirs) in &other.0 {
            let mine = self.0.entry(*kind).or_default();
            mine.sessions += theirs.sessions;
            mine.over += theirs.over;
            mine.up.add(&theirs.up);
            mine.down.add(&theirs.down);
            mine.pings += theirs.pings;
            mine.pongs += theirs.pongs;
            mine.lossy += theirs.lossy;
            mine.longest_ms = mine.longest_ms.max(theirs.longest_ms);
            mine.last_close = theirs.last_close.or(mine.last_close);
            for (code, n) in &theirs.closes {
                if mine.closes.len() < MAX_CODES || mine.closes.contains_key(code) {
                    *mine.closes.entry(*code).or_default() += n;
                }
            }
        }
    }

    pub(super) fn view(&self) -> Vec<SessionsView> {
        let view = |(kind, s): (&SessionKind, &Sums)| SessionsView {
            kind: *kind,
            sessions: s.sessions,
            over: s.over,
            up: s.up,
            down: s.down,
            pings: s.pings,
            pongs: s.pongs,
            closes: s.closes.clone(),
            last_close: s.last_close,
            longest_seconds: s.longest_ms as f64 / 1e3,
            lossy: s.lossy,
        };
        self.0.iter().map(view).collect()
    }
}
