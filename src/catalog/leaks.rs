//! What an endpoint's answers give away: stack traces, errors of databases, addresses and paths
//! from inside, each with its statuses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::auth::Around;
use super::exposure::{Exposure, ExposureKind, Severity};
use super::seen::Seen;
use super::small::Small;
use crate::exchange::{Exchange, Leaks};
use crate::time::Timestamp;

/// Statuses of one kind that are told apart.
const MAX_STATUSES: usize = 8;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Leaking {
    /// By place in [`Leaks::ALL`].
    kinds: Small<u8, Told>,
    /// One came of which the host's alert may not know.
    news: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Told {
    seen: Seen,
    statuses: BTreeMap<u16, u64>,
}

/// Answers of one endpoint that give something away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LeakView {
    /// `stack-trace`, `sql-error`, `internal-address`, `server-version`, `file-path`.
    pub kind: String,
    /// Of the answers that were looked into.
    pub count: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub statuses: BTreeMap<u16, u64>,
}

impl Leaking {
    pub(super) fn take(&mut self, x: &Exchange) {
        for at in x.leaks.each() {
            let news = &mut self.news;
            let told = self.kinds.or_insert_with(at as u8, || {
                *news = true;
                Told {
                    seen: Seen {
                        count: 0,
                        ..Seen::at(x.ts)
                    },
                    statuses: BTreeMap::new(),
                }
            });
            told.seen.merge(&Seen::at(x.ts));
            if let Some(status) = x.status {
                *told.statuses.entry(status).or_default() += 1;
                told.bound();
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (at, theirs) in other.kinds.iter() {
            let Some(mine) = self.kinds.get_mut(at) else {
                self.kinds.or_insert_with(*at, || theirs.clone());
                continue;
            };
            mine.seen.merge(&theirs.seen);
            for (status, n) in &theirs.statuses {
                *mine.statuses.entry(*status).or_default() += n;
            }
            mine.bound();
        }
        self.news |= other.news;
    }

    /// Whether something came since the last call.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    pub(super) fn view(&self) -> Vec<LeakView> {
        let view = |(_, name, told): (Leaks, &str, &Told)| LeakView {
            kind: name.to_owned(),
            count: told.seen.count,
            first_seen: told.seen.first,
            last_seen: told.seen.last,
            statuses: told.statuses.clone(),
        };
        self.told().map(view).collect()
    }

    /// What it comes to; versions are told of the host.
    pub(super) fn exposures(&self, around: &Around<'_>) -> Vec<Exposure> {
        let one = |(kind, _, told): (Leaks, &str, &Told)| {
            use ExposureKind::*;
            let (kind, severity, what, why) = match kind {
                Leaks::SQL_ERROR => (
                    SqlError,
                    Severity::High,
                    "answers with errors of its database",
                    "what is sent reaches the query: try it for injection",
                ),
                Leaks::STACK_TRACE => (
                    StackTrace,
                    Severity::Medium,
                    "answers with stack traces",
                    "they tell programs, versions and ways inside",
                ),
                Leaks::INTERNAL_ADDRESS => (
                    InternalAddress,
                    Severity::Low,
                    "answers with addresses from inside",
                    "they tell how the network is made",
                ),
                Leaks::FILE_PATH => (
                    FilePath,
                    Severity::Low,
                    "answers with paths of files on the server",
                    "they tell where programs and secrets lie",
                ),
                _ => return None,
            };
            let statuses = told.statuses.iter();
            let statuses: Vec<_> = statuses.map(|(s, n)| format!("{s} ({n})")).collect();
            let exposure = Exposure {
                endpoint: Some(around.key.to_owned()),
                why: format!("{why}; with status {}", statuses.join(", ")),
                first_seen: told.seen.first,
                last_seen: told.seen.last,
                count: told.seen.count,
                ..Exposure::new(kind, severity, around.host, what.to_owned())
            };
            Some(exposure.about(around.label))
        };
        self.told().filter_map(one).collect()
    }

    /// In the order of [`Leaks::ALL`].
    fn told(&self) -> impl Iterator<Item = (Leaks, &'static str, &Told)> {
        let known = self.kinds.iter();
        known.filter_map(|(at, told)| {
            let (kind, name) = Leaks::ALL.get(usize::from(*at))?;
            Some((*kind, *name, told))
        })
    }
}

impl Told {
    fn bound(&mut self) {
        while self.statuses.len() > MAX_STATUSES {
            self.statuses.pop_last();
        }
    }
}
