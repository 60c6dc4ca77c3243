//! What a person wants to know of a principal, beside what detectors weigh: what it calls, from where
//! and with which programs, how much on which day, and at which hours of the week.
//!
//! Fixed in size: some 0.8 KiB, at most [`MOST`] bytes. What does not fit goes least used first, and
//! counts say by how much they may err (`catalog::Top`). Time is packet time; hours are UTC.

use std::net::IpAddr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::Clock;
use super::distinct::Distinct;
use super::principals::network;
use super::renames::Renames;
use super::sources::code;
use crate::catalog::{Access, EndpointId, Top};
use crate::exchange::Exchange;

#[cfg(test)]
mod tests;

/// How many are told apart.
const ENDPOINTS: usize = 16;
const CLIENTS: usize = 6;
const PROGRAMS: usize = 4;
const COUNTRIES: usize = 6;
/// Days with calls that are kept.
const DAYS: usize = 14;
/// Bytes of one, where no name is long.
#[cfg(test)]
pub(super) const MOST: usize = 1_740;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Profile {
    /// Nanoseconds of its first and last exchange.
    pub first: i64,
    pub last: i64,
    /// No response, 1xx to 5xx.
    pub by_class: [u32; 6],
    /// Of bodies that it was sent.
    pub bytes: u64,
    /// Requests that belong to no endpoint.
    pub nowhere: u32,
    /// Different endpoints, ever and on the last day.
    ever: Distinct,
    today: Distinct,
    pub endpoints: Top<EndpointId, ENDPOINTS>,
    /// Of an identity alone: an address has itself.
    pub clients: Top<IpAddr, CLIENTS>,
    pub programs: Top<CompactString, PROGRAMS>,
    pub countries: Top<[u8; 2], COUNTRIES>,
    /// The oldest first.
    pub days: Vec<Day>,
    pub week: Week,
}

/// One day with calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Day {
    /// Days of the epoch.
    pub at: i32,
    pub requests: u32,
    /// Answers of 4xx and 5xx.
    pub errors: u32,
    /// Different endpoints, and those of them that it had never called.
    pub reach: u16,
    pub new: u16,
}

/// Requests by hour of the week, Monday first: the shape, whatever the volume. A cell counts one
/// for each `unit` requests; where one is full, all are halved and the unit doubles.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Week {
    cells: [[u16; 24]; 7],
    unit: u32,
    /// Requests since the last that was counted.
    rest: u32,
}

impl Default for Week {
    fn default() -> Self {
        Self {
            cells: Default::default(),
            unit: 1,
            rest: 0,
        }
    }
}

impl Week {
    fn add(&mut self, hour: i64) {
        self.rest += 1;
        if self.rest < self.unit {
            return;
        }
        self.rest = 0;
        // The epoch began on a Thursday.
        let day = (hour.div_euclid(24) + 3).rem_euclid(7) as usize;
        let hour = hour.rem_euclid(24) as usize;
        if self.cells[day][hour] == u16::MAX {
            self.cells.iter_mut().flatten().for_each(|n| *n /= 2);
            self.unit = self.unit.saturating_mul(2);
        }
        self.cells[day][hour] += 1;
    }

    /// Requests, about.
    pub(super) fn requests(&self) -> [[u64; 24]; 7] {
        let unit = u64::from(self.unit);
        self.cells.map(|day| day.map(|n| u64::from(n) * unit))
    }
}

impl Profile {
    /// Takes one exchange of this principal; `program` is the family of what sent it.
    pub(super) fn take(
        &mut self,
        access: &Access,
        x: &Exchange,
        nameless: bool,
        program: CompactString,
        at: &Clock,
    ) {
        if self.requests() == 0 {
            self.first = at.nanos;
        }
        self.last = at.nanos;
        let class = x.status_class();
        self.by_class[class] = self.by_class[class].saturating_add(1);
        self.bytes = self
            .bytes
            .saturating_add(x.response_bytes.unwrap_or_default());
        if !nameless {
            self.clients.add(network(x.client));
        }
        self.programs.add(program);
        if let Some(country) = x.country.as_deref().and_then(code) {
            self.countries.add(country);
        }
        self.week.add(at.hour);
        self.turn(at);
        let (mut reach, mut new) = (false, false);
        match access.endpoint {
            Some(endpoint) => {
                reach = self.today.insert(u64::from(endpoint.0));
                new = !self.endpoints.has(&endpoint) & self.ever.insert(u64::from(endpoint.0));
                self.endpoints.add(endpoint);
            }
            None => self.nowhere = self.nowhere.saturating_add(1),
        }
        let today = self.today;
        if let Some(day) = self.days.last_mut() {
            day.requests = day.requests.saturating_add(1);
            day.errors = day.errors.saturating_add(u32::from(class >= 4));
            day.new = day.new.saturating_add(u16::from(new));
            if reach {
                day.reach = today.estimate().round() as u16;
            }
        }
    }

    /// Begins a day, where this one is new.
    fn turn(&mut self, at: &Clock) {
        let day = at.secs.div_euclid(86_400) as i32;
        if self.days.last().is_some_and(|last| last.at == day) {
            return;
        }
        if self.days.len() == DAYS {
            self.days.remove(0);
        }
        self.days.reserve_exact(1);
        self.days.push(Day {
            at: day,
            ..Day::default()
        });
        self.today = Distinct::default();
    }

    pub(super) fn requests(&self) -> u64 {
        self.by_class.iter().map(|n| u64::from(*n)).sum()
    }

    /// Answers of 4xx and 5xx.
    pub(super) fn errors(&self) -> u64 {
        u64::from(self.by_class[4]) + u64::from(self.by_class[5])
    }

    /// Different endpoints called; past those that are told apart, by sketch.
    pub(super) fn reach(&self) -> u64 {
        let sketch = self.ever.estimate().round() as u64;
        let exact = self.endpoints.distinct().map(|n| n as u64);
        exact.unwrap_or_else(|| sketch.max(ENDPOINTS as u64))
    }

    /// Endpoints have become others.
    pub(super) fn renamed(&mut self, renames: &Renames<EndpointId>) {
        self.endpoints.rename(|id| renames.apply(id));
    }
}
