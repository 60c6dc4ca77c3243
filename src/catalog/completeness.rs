//! How complete the capture of each host has been lately. A claim that something did *not* happen
//! (an endpoint is dormant, traffic fell, an id was never returned) rests on having seen
//! everything; while a host's capture is lossy it is held back, and the reader is told so.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use foldhash::fast::FixedState;

use crate::exchange::Exchange;
use crate::time::Timestamp;

/// Half of the time, in packet time, that is looked back on: the window is the half at hand and
/// the one before it.
const HALF: Duration = Duration::from_secs(300);

/// Exchanges in the window before a share of them is said.
const ENOUGH: u64 = 20;

/// From this share of exchanges with a half lost on, the capture is lossy. A clean mirror shows
/// next to none; capture that begins in the middle of connections shows some, for one window.
const LOSSY: f64 = 0.01;

/// Hosts followed, and servers whose host is known. Only hosts with an endpoint are, so that
/// forged Host headers put none out; past it new ones wait until others have been silent.
const MAX_HOSTS: usize = 4_096;

/// All exchanges, and those of which a half was lost.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    all: u64,
    broken: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    /// The number of the half at hand.
    half: i64,
    now: Tally,
    before: Tally,
}

impl Window {
    fn turn(&mut self, half: i64) {
        match half - self.half {
            // Late exchanges count where we are.
            ..=0 => return,
            1 => self.before = std::mem::take(&mut self.now),
            _ => (self.before, self.now) = Default::default(),
        }
        self.half = half;
    }

    fn tally(mut self, half: i64) -> Tally {
        self.turn(half);
        Tally {
            all: self.now.all + self.before.all,
            broken: self.now.broken + self.before.broken,
        }
    }
}

/// By host, bounded.
#[derive(Default)]
pub(super) struct Completeness {
    hosts: HashMap<String, Window, FixedState>,
    /// Whose answers these are, where the request with its Host was lost.
    servers: HashMap<(IpAddr, u16), String, FixedState>,
    /// What the tap doctor says of the capture as a whole.
    tap: Option<String>,
}

fn half(at: Timestamp) -> i64 {
    at.nanos().div_euclid(HALF.as_nanos() as i64)
}

impl Completeness {
    /// An exchange of a host that is in the inventory.
    pub(super) fn take(&mut self, host: &str, x: &Exchange, now: Timestamp) {
        let server = (x.server, x.server_port);
        let known = self.servers.get(&server);
        if known.is_none_or(|h| h != host) && (known.is_some() || self.servers.len() < MAX_HOSTS) {
            self.servers.insert(server, host.to_owned());
        }
        self.count(host, x.partial.unpaired, now);
    }

    /// An answer whose request was lost: it names no host.
    pub(super) fn orphan(&mut self, x: &Exchange, now: Timestamp) {
        if let Some(host) = self.servers.get(&(x.server, x.server_port)).cloned() {
            self.count(&host, true, now);
        }
    }

    fn count(&mut self, host: &str, broken: bool, now: Timestamp) {
        if !self.hosts.contains_key(host) {
            if self.hosts.len() >= MAX_HOSTS {
                return;
            }
            self.hosts.insert(host.to_owned(), Window::default());
        }
        if let Some(window) = self.hosts.get_mut(host) {
            window.turn(half(now));
            window.now.all += 1;
            window.now.broken += u64::from(broken);
        }
    }

    /// Forgets hosts that have been silent for a window.
    pub(super) fn tick(&mut self, now: Timestamp) {
        if self.hosts.len() >= MAX_HOSTS {
            self.hosts.retain(|_, w| w.tally(half(now)).all > 0);
        }
        if self.servers.len() >= MAX_HOSTS {
            self.servers.retain(|_, host| self.hosts.contains_key(host));
        }
    }

    /// Whether that is news.
    pub(super) fn set_tap(&mut self, why: Option<String>) -> bool {
        let news = self.tap != why;
        self.tap = why;
        news
    }

    /// The share of the host's recent exchanges of which a half was lost.
    pub(super) fn unpaired(&self, host: &str, now: Timestamp) -> Option<f64> {
        let t = self.hosts.get(host)?.tally(half(now));
        (t.all > 0).then(|| t.broken as f64 / t.all as f64)
    }

    /// Why nothing that rests on a complete view may be claimed of a host; `None`: it may.
    pub(super) fn lossy(&self, host: &str, now: Timestamp) -> Option<String> {
        if let Some(why) = &self.tap {
            return Some(why.clone());
        }
        let t = self.hosts.get(host)?.tally(half(now));
        let share = t.broken as f64 / t.all.max(1) as f64;
        (t.all >= ENOUGH && share >= LOSSY).then(|| {
            format!(
                "of {:.0} % of its exchanges of the last minutes one half was lost",
                (share * 100.0).max(1.0)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_760_000_000 + secs)
    }

    fn x(unpaired: bool) -> Exchange {
        let mut x = Exchange::at(at(0));
        x.partial.unpaired = unpaired;
        x
    }

    #[test]
    fn lossy_by_share_with_enough_seen_and_for_a_window() {
        let mut c = Completeness::default();
        for _ in 0..18 {
            c.take("a", &x(false), at(0));
        }
        c.take("a", &x(true), at(0));
        assert_eq!(c.lossy("a", at(0)), None, "too few");
        c.orphan(&x(false), at(1));
        assert_eq!(c.unpaired("a", at(1)), Some(0.1));
        assert!(c.lossy("a", at(1)).is_some_and(|w| w.contains("10 %")));
        assert_eq!(c.lossy("b", at(1)), None);
        assert_eq!(c.lossy("a", at(900)), None, "long ago");
        assert_eq!(c.unpaired("a", at(900)), None);
        for _ in 0..100 {
            c.take("a", &x(false), at(1_000));
        }
        assert_eq!(
            (c.lossy("a", at(1_000)), c.unpaired("a", at(1_000))),
            (None, Some(0.0))
        );
    }

    #[test]
    fn one_in_two_hundred_is_no_loss() {
        let mut c = Completeness::default();
        for n in 0..1_000 {
            c.take("a", &x(n % 200 == 0), at(0));
        }
        assert_eq!(c.lossy("a", at(0)), None);
    }

    #[test]
    fn a_lossy_tap_is_lossy_for_every_host() {
        let mut c = Completeness::default();
        c.set_tap(Some("the kernel drops".into()));
        assert_eq!(
            c.lossy("anything", at(0)).as_deref(),
            Some("the kernel drops")
        );
        c.set_tap(None);
        assert_eq!(c.lossy("anything", at(0)), None);
    }

    #[test]
    fn hosts_are_bounded_and_make_room_when_silent() {
        let mut c = Completeness::default();
        for n in 0..10_000_u32 {
            let mut x = x(false);
            x.server = std::net::Ipv4Addr::from(n).into();
            c.take(&n.to_string(), &x, at(0));
        }
        assert!(c.hosts.len() <= MAX_HOSTS && c.servers.len() <= MAX_HOSTS);
        c.tick(at(2_000));
        c.take("late", &x(false), at(2_000));
        assert_eq!(c.unpaired("late", at(2_000)), Some(0.0));
    }
}
