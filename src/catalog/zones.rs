//! Where callers stand, by address range: inside, at a partner's, or anywhere else.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Ordered from the narrowest to the widest.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Zone {
    Internal,
    Partner,
    External,
}

impl Zone {
    pub const ALL: [Self; 3] = [Self::Internal, Self::Partner, Self::External];

    pub fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Partner => "partner",
            Self::External => "external",
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The ranges that are internal where the config names none: private use (RFC 1918), shared by
/// carriers (RFC 6598), loopback, link-local (RFC 3927, RFC 4291), unique local (RFC 4193).
pub const INTERNAL: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// All addresses in runs of one zone, each by its first address. Invariant: sorted, the first run
/// begins at 0, neighbours differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones {
    v4: Vec<(u128, Zone)>,
    v6: Vec<(u128, Zone)>,
}

impl Default for Zones {
    fn default() -> Self {
        let internal = INTERNAL.iter().filter_map(|text| text.parse().ok());
        Self::new(internal, [])
    }
}

impl Zones {
    /// What is in no range is external. The longest prefix wins; of equal ones the partner's.
    pub fn new(
        internal: impl IntoIterator<Item = IpNet>,
        partner: impl IntoIterator<Item = IpNet>,
    ) -> Self {
        let internal = internal.into_iter().map(|net| (net, Zone::Internal));
        let partner = partner.into_iter().map(|net| (net, Zone::Partner));
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (net, zone) in internal.chain(partner) {
            let ends = (number(net.network()), number(net.broadcast()));
            let all = if net.addr().is_ipv4() {
                &mut v4
            } else {
                &mut v6
            };
            all.push((ends.0, ends.1, zone));
        }
        Self {
            v4: runs(v4),
            v6: runs(v6),
        }
    }

    /// `None` where the client is not known: the unspecified address.
    pub fn of(&self, client: IpAddr) -> Option<Zone> {
        let client = client.to_canonical();
        if client.is_unspecified() {
            return None;
        }
        let runs = if client.is_ipv4() { &self.v4 } else { &self.v6 };
        let at = number(client);
        let behind = runs.partition_point(|(first, _)| *first <= at);
        runs.get(behind.checked_sub(1)?).map(|(_, zone)| *zone)
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Prefixes (first and last address) hold each other or are apart, so that a stack of those that
/// are open is enough.
fn runs(mut prefixes: Vec<(u128, u128, Zone)>) -> Vec<(u128, Zone)> {
    // Those that hold others first; of equal ones the last one added to the stack wins.
    prefixes.sort_by_key(|(first, last, zone)| (*first, std::cmp::Reverse(*last), *zone));
    let mut out = vec![(0, Zone::External)];
    let mut open: Vec<(u128, Zone)> = Vec::new();
    let under = |open: &[(u128, Zone)]| open.last().map_or(Zone::External, |(_, zone)| *zone);
    for (first, last, zone) in prefixes {
        while let Some((end, _)) = open.pop_if(|(end, _)| *end < first) {
            begin(&mut out, end.checked_add(1), under(&open));
        }
        begin(&mut out, Some(first), zone);
        open.push((last, zone));
    }
    while let Some((end, _)) = open.pop() {
        begin(&mut out, end.checked_add(1), under(&open));
    }
    out.dedup_by_key(|(_, zone)| *zone);
    out
}

/// A run begins, in place of one that would begin there too. Behind the last address none does.
fn begin(out: &mut Vec<(u128, Zone)>, at: Option<u128>, zone: Zone) {
    let Some(at) = at else { return };
    out.pop_if(|(first, _)| *first == at);
    out.push((at, zone));
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn zone(zones: &Zones, client: &str) -> Option<Zone> {
        zones.of(client.parse().unwrap())
    }

    #[test]
    fn private_addresses_are_internal_and_the_rest_is_not() {
        let zones = Zones::default();
        for inside in [
            "10.0.0.0",
            "10.255.255.255",
            "172.31.255.255",
            "192.168.1.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.9.9",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.1.2.3",
        ] {
            assert_eq!(zone(&zones, inside), Some(Zone::Internal), "{inside}");
        }
        for outside in [
            "11.0.0.0",
            "9.255.255.255",
            "172.32.0.0",
            "100.128.0.0",
            "203.0.113.9",
            "255.255.255.255",
            "::2",
            "2001:db8::1",
            "fec0::1",
            "::ffff:8.8.8.8",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert_eq!(zone(&zones, outside), Some(Zone::External), "{outside}");
        }
        assert_eq!(zone(&zones, "0.0.0.0"), None);
        assert_eq!(zone(&zones, "::"), None);
    }

    #[test]
    fn a_partner_inside_is_a_partner() {
        let nets = |texts: &[&str]| -> Vec<IpNet> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let zones = Zones::new(
            nets(&["10.0.0.0/8", "10.9.9.0/24", "192.0.2.0/24"]),
            nets(&["10.9.0.0/16", "192.0.2.0/24"]),
        );
        assert_eq!(zone(&zones, "10.8.255.255"), Some(Zone::Internal));
        assert_eq!(zone(&zones, "10.9.0.0"), Some(Zone::Partner));
        assert_eq!(zone(&zones, "10.9.9.1"), Some(Zone::Internal));
        assert_eq!(zone(&zones, "10.9.10.0"), Some(Zone::Partner));
        assert_eq!(zone(&zones, "10.10.0.0"), Some(Zone::Internal));
        assert_eq!(zone(&zones, "192.0.2.1"), Some(Zone::Partner));
        assert_eq!(zone(&Zones::new([], []), "10.0.0.1"), Some(Zone::External));
    }

    fn naive(internal: &[IpNet], partner: &[IpNet], client: IpAddr) -> Zone {
        let longest = |nets: &[IpNet]| {
            let holding = nets.iter().filter(|net| net.contains(&client));
            holding.map(IpNet::prefix_len).max()
        };
        match (longest(internal), longest(partner)) {
            (None, None) => Zone::External,
            (inside, partner) if partner >= inside => Zone::Partner,
            _ => Zone::Internal,
        }
    }

    /// Few distinct bits, so that prefixes nest and addresses fall on their borders.
    fn net() -> impl Strategy<Value = IpNet> {
        let v4 = (0_u32..64, 0_u8..=32).prop_map(|(bits, len)| {
            let ip = Ipv4Addr::from_bits(bits.wrapping_mul(0x2104_0821));
            IpNet::new(ip.into(), len).unwrap()
        });
        let v6 = (0_u128..16, 0_u8..=128).prop_map(|(bits, len)| {
            let ip = Ipv6Addr::from_bits(bits.wrapping_mul(0x1111_1111 << 96 | 0x1111));
            IpNet::new(ip.into(), len).unwrap()
        });
        prop_oneof![v4, v6]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn runs_say_what_the_longest_prefix_says(
            internal in proptest::collection::vec(net(), 0..12),
            partner in proptest::collection::vec(net(), 0..12),
        ) {
            let zones = Zones::new(internal.clone(), partner.clone());
            for net in internal.iter().chain(&partner) {
                let (first, last) = (net.network(), net.broadcast());
                let step = |ip: IpAddr, by: i8| -> IpAddr {
                    match ip {
                        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits().wrapping_add_signed(by.into())).into(),
                        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits().wrapping_add_signed(by.into())).into(),
                    }
                };
                for client in [first, last, step(first, -1), step(last, 1)] {
                    // What is written as IPv6 and is none is taken for what it is.
                    if client.is_unspecified() || client.to_canonical() != client {
                        continue;
                    }
                    prop_assert_eq!(zones.of(client), Some(naive(&internal, &partner, client)), "{}", client);
                }
            }
        }
    }
}
