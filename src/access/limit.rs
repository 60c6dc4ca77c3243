//! Limits on guessing passwords: a token bucket for each address and one for each name.
//!
//! An attempt takes a token from both before anything is hashed, so that many at once gain nothing;
//! one that succeeds puts them back. Names that nobody has are limited like those that somebody
//! has. Invariant: a bucket that is not in the map is full.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Buckets of each sort at most; past it the fullest goes, which is the one that limits least.
const BUCKETS: usize = 10_000;

/// Attempts at once, and then one in so long.
const ADDRESS: Rate = Rate {
    burst: 20,
    every: Duration::from_secs(6),
};
const NAME: Rate = Rate {
    burst: 5,
    every: Duration::from_secs(30),
};

struct Rate {
    burst: u32,
    every: Duration,
}

/// The moment at which a bucket is full again: the whole state of a token bucket.
struct Buckets<K> {
    rate: Rate,
    full_at: HashMap<K, Duration>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(rate: Rate) -> Self {
        let full_at = HashMap::new();
        Self { rate, full_at }
    }

    /// How long until there is a token; zero where there is one now.
    fn wait(&self, now: Duration, key: &K) -> Duration {
        let full_at = self.full_at.get(key).copied().unwrap_or(now);
        let missing = full_at.saturating_sub(now) + self.rate.every;
        missing.saturating_sub(self.rate.every * self.rate.burst)
    }

    fn take(&mut self, now: Duration, key: K) {
        if self.full_at.len() >= BUCKETS && !self.full_at.contains_key(&key) {
            self.full_at.retain(|_, full_at| *full_at > now);
            if self.full_at.len() >= BUCKETS {
                let fullest = self.full_at.iter().min_by_key(|(_, at)| **at);
                if let Some(key) = fullest.map(|(key, _)| key.clone()) {
                    self.full_at.remove(&key);
                }
            }
        }
        let full_at = self.full_at.entry(key).or_insert(now);
        *full_at = (*full_at).max(now) + self.rate.every;
    }

    fn give_back(&mut self, key: &K) {
        if let Some(full_at) = self.full_at.get_mut(key) {
            *full_at = full_at.saturating_sub(self.rate.every);
        }
    }
}

/// `now` counts up from whatever moment; it never goes back.
pub struct Limits {
    addresses: Buckets<IpAddr>,
    names: Buckets<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            addresses: Buckets::new(ADDRESS),
            names: Buckets::new(NAME),
        }
    }
}

impl Limits {
    /// Takes an attempt, or says how long to wait for one.
    pub fn attempt(&mut self, now: Duration, from: IpAddr, name: &str) -> Result<(), Duration> {
        let (address, name) = (network(from), name.to_owned());
        let wait = self.addresses.wait(now, &address);
        let wait = wait.max(self.names.wait(now, &name));
        if wait > Duration::ZERO {
            return Err(wait);
        }
        self.addresses.take(now, address);
        self.names.take(now, name);
        Ok(())
    }

    /// The attempt was right.
    pub fn succeeded(&mut self, from: IpAddr, name: &str) {
        self.addresses.give_back(&network(from));
        self.names.give_back(&name.to_owned());
    }
}

/// Whoever has one address of IPv6 has its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn from(n: u8) -> IpAddr {
        [10, 0, 0, n].into()
    }

    #[test]
    fn a_name_is_guessed_at_five_times_and_then_every_thirty_seconds() {
        let mut limits = Limits::default();
        for n in 0..5 {
            assert_eq!(limits.attempt(NOW, from(n), "alice"), Ok(()));
        }
        // From wherever; and a refused attempt costs nothing more.
        for n in 0..100 {
            assert_eq!(
                limits.attempt(NOW, from(n), "alice"),
                Err(Duration::from_secs(30))
            );
        }
        assert_eq!(limits.attempt(NOW, from(1), "bob"), Ok(()));
        let later = NOW + Duration::from_secs(29);
        assert_eq!(
            limits.attempt(later, from(9), "alice"),
            Err(Duration::from_secs(1))
        );
        let later = NOW + Duration::from_secs(30);
        assert_eq!(limits.attempt(later, from(9), "alice"), Ok(()));
        assert!(limits.attempt(later, from(9), "alice").is_err());
    }

    #[test]
    fn an_address_is_limited_whatever_names_it_tries() {
        let mut limits = Limits::default();
        let tries = (0..100).filter(|n| limits.attempt(NOW, from(1), &n.to_string()).is_ok());
        assert_eq!(tries.count(), 20);
        assert_eq!(limits.attempt(NOW, from(2), "alice"), Ok(()));
        let v6 = |text: &str| text.parse::<IpAddr>().unwrap();
        let of_one: Vec<IpAddr> = (0..100).map(|n| v6(&format!("2001:db8::{n:x}"))).collect();
        let tries = of_one.iter().enumerate();
        let tries =
            tries.filter(|(n, from)| limits.attempt(NOW, **from, &format!("six{n}")).is_ok());
        assert_eq!(tries.count(), 20, "one /64 is one address");
        assert!(limits.attempt(NOW, v6("::ffff:10.0.0.1"), "carol").is_err());
    }

    #[test]
    fn what_succeeds_costs_nothing() {
        let mut limits = Limits::default();
        for _ in 0..1_000 {
            assert_eq!(limits.attempt(NOW, from(1), "alice"), Ok(()));
            limits.succeeded(from(1), "alice");
        }
    }

    #[test]
    fn the_maps_are_bounded_and_who_is_limited_stays_so() {
        let mut limits = Limits::default();
        for _ in 0..5 {
            limits.attempt(NOW, from(1), "alice").unwrap();
        }
        for n in 0..30_000_u32 {
            let from = IpAddr::from((0x0b00_0000 + n).to_be_bytes());
            limits.attempt(NOW, from, &format!("name{n}")).unwrap();
        }
        assert!(limits.names.full_at.len() <= BUCKETS);
        assert!(limits.addresses.full_at.len() <= BUCKETS);
        assert!(limits.attempt(NOW, from(9), "alice").is_err());
    }
}
