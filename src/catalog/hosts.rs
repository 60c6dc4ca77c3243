//! What is known of a host as a whole: whether it demands credentials, what it says that it runs,
//! and what somebody was told of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Admission;
use super::auth;
use super::exposure::{Exposure, ExposureKind, Severity};
use super::seen::Seen;
use crate::exchange::Exchange;

/// What one host says that it runs, told apart.
const MAX_SOFTWARE: usize = 8;

/// Of gRPC's codes.
const UNAUTHENTICATED: u16 = 16;

/// Alerts of a host, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    Authentication = 1,
    Tokens = 2,
    Errors = 4,
}

impl Alarm {
    pub(super) fn detector(self) -> &'static str {
        match self {
            Self::Authentication => "catalog-authentication",
            Self::Tokens => "catalog-tokens",
            Self::Errors => "catalog-errors",
        }
    }
}

/// By name. A host is known once it has an endpoint, so there are no more of them than of those.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Hosts(BTreeMap<String, Host>);

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Host {
    /// Answers to calls with credentials that are more than a cookie.
    with: u64,
    /// Refusals of calls without any.
    refused: u64,
    software: BTreeMap<String, Seen>,
    told: u8,
}

impl Hosts {
    /// Takes an exchange of an endpoint there; `most` hosts are kept.
    pub(super) fn take(&mut self, name: &str, x: &Exchange, admission: Admission, most: usize) {
        let room = self.0.len() < most;
        let host = match self.0.get_mut(name) {
            Some(host) => host,
            None if room => self.0.entry(name.to_owned()).or_default(),
            None => return,
        };
        let answered = admission == Admission::Answered && auth::succeeded(x);
        host.with += u64::from(answered && auth::demands(x));
        let refused = x.status == Some(401) || x.grpc_status == Some(UNAUTHENTICATED);
        host.refused += u64::from(refused && !x.has_credential());
        if let Some(software) = x.software.as_deref() {
            match host.software.get_mut(software) {
                Some(seen) => seen.merge(&Seen::at(x.ts)),
                None => {
                    host.software.insert(software.to_owned(), Seen::at(x.ts));
                }
            }
            while host.software.len() > MAX_SOFTWARE {
                host.software.pop_last();
            }
        }
    }

    /// Answers with credentials, and refusals without.
    pub(super) fn demanded(&self, name: &str) -> (u64, u64) {
        self.0.get(name).map_or((0, 0), |h| (h.with, h.refused))
    }

    /// Whether that alarm was not yet raised for the host; then it is.
    pub(super) fn tell(&mut self, name: &str, alarm: Alarm) -> bool {
        let Some(host) = self.0.get_mut(name) else {
            return false;
        };
        let first = host.told & alarm as u8 == 0;
        host.told |= alarm as u8;
        first
    }

    /// Whether that alarm was raised for the host.
    pub(super) fn is_told(&self, name: &str, alarm: Alarm) -> bool {
        self.0.get(name).is_some_and(|h| h.told & alarm as u8 != 0)
    }

    /// What lies open of the host itself.
    pub(super) fn exposures(&self, name: &str) -> Vec<Exposure> {
        let Some(host) = self.0.get(name) else {
            return Vec::new();
        };
        let one = |(software, seen): (&String, &Seen)| {
            let exposure = Exposure {
                why: "who looks for known holes need not try".to_owned(),
                first_seen: seen.first,
                last_seen: seen.last,
                count: seen.count,
                ..Exposure::new(
                    ExposureKind::ServerVersion,
                    Severity::Info,
                    name,
                    format!("says that it runs {software}"),
                )
            };
            exposure.about(name)
        };
        host.software.iter().map(one).collect()
    }
}
