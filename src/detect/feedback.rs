//! What people said of earlier alerts, as a factor on the budget of one subject and detector: what
//! was dismissed has less to spend and rings later, what was accepted has more and rings sooner.
//!
//! Nothing of it is saved here: whoever keeps the decisions hands them over anew.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use super::distinct::hash_text;
use crate::catalog::EndpointId;
use crate::time::Timestamp;

/// Subjects that are remembered at most.
const SUBJECTS: usize = 10_000;

/// Who or what a decision was about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Identity(String),
    /// An IPv4 address, or an IPv6 network of 64 bits.
    Client(String),
    /// Where many acted together.
    Endpoint(EndpointId),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Feedback {
    pub subject: Subject,
    pub detector: String,
    /// On the false alarms a week that the subject may cost: below 1 raises its bar, above lowers.
    pub factor: f64,
    /// Packet time.
    pub until: Timestamp,
}

/// A principal by its mark, or an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    Principal(u64),
    Endpoint(EndpointId),
}

impl About {
    /// `None` for an address that is none.
    fn of(subject: &Subject) -> Option<Self> {
        Some(match subject {
            Subject::Identity(identity) => Self::Principal(hash_text(identity)),
            Subject::Client(client) => {
                let address = client.split('/').next().unwrap_or_default();
                match address.parse::<IpAddr>().ok()? {
                    IpAddr::V4(a) => Self::Principal(u64::from(u32::from(a))),
                    IpAddr::V6(a) => Self::Principal(high(a)),
                }
            }
            Subject::Endpoint(id) => Self::Endpoint(*id),
        })
    }
}

fn high(address: Ipv6Addr) -> u64 {
    (u128::from(address) >> 64) as u64
}

#[derive(Debug)]
struct Bar {
    detector: String,
    factor: f64,
    /// In nanoseconds of packet time.
    until: i64,
}

/// All that was handed over last.
#[derive(Debug, Default)]
pub(super) struct Opinions(BTreeMap<About, Vec<Bar>>);

impl Opinions {
    pub(super) fn new(all: &[Feedback]) -> Self {
        let mut bars: BTreeMap<About, Vec<Bar>> = BTreeMap::new();
        for one in all.iter().take(SUBJECTS) {
            let Some(about) = About::of(&one.subject) else {
                continue;
            };
            bars.entry(about).or_default().push(Bar {
                detector: one.detector.clone(),
                factor: one.factor,
                until: one.until.nanos(),
            });
        }
        Self(bars)
    }

    /// What the budget of this detector is multiplied by; 1 where nobody said anything.
    pub(super) fn factor(&self, about: About, detector: &str, now: i64) -> f64 {
        let Some(bars) = self.0.get(&about) else {
            return 1.0;
        };
        let bar = bars
            .iter()
            .find(|bar| bar.detector == detector && now < bar.until);
        bar.map_or(1.0, |bar| bar.factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_subject_and_detector_until_a_time() {
        let given = |subject, factor| Feedback {
            subject,
            detector: "scan".into(),
            factor,
            until: Timestamp::from_secs(100),
        };
        let bars = Opinions::new(&[
            given(Subject::Identity("bearer:1".into()), 0.5),
            given(Subject::Client("10.0.0.1".into()), 0.25),
            given(Subject::Client("2001:db8:0:5::/64".into()), 4.0),
            given(Subject::Client("nonsense".into()), 9.0),
        ]);
        let now = 99_000_000_000;
        let factor = |about, detector, now| bars.factor(about, detector, now);
        let bearer = About::Principal(hash_text("bearer:1"));
        let v4 = About::Principal(0x0a00_0001);
        let v6 = About::Principal(0x2001_0db8_0000_0005);
        assert_eq!(factor(bearer, "scan", now), 0.5);
        assert_eq!(factor(v4, "scan", now), 0.25);
        assert_eq!(factor(v6, "scan", now), 4.0);
        assert_eq!(factor(v4, "volume", now), 1.0);
        assert_eq!(factor(v4, "scan", 100_000_000_000), 1.0);
        assert_eq!(factor(About::Principal(7), "scan", now), 1.0);
    }
}
