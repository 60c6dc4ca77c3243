//! Where the packets behind an alert are, as filters that tcpdump and Wireshark take.
//!
//! A capture filter (pcap-filter(7)) knows addresses and ports, a display filter
//! (wireshark-filter(4)) time and requests too. Everything in them is made here of addresses,
//! numbers and checked letters: what an attacker wrote into a path or Host never stands in a filter
//! as it was sent.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::detect::{Place, Route};
use crate::time::Timestamp;

/// Routes that one alert names; a filter must stay readable, and fit into a command.
const MAX_ROUTES: usize = 8;
/// An exchange is counted when it is complete: its packets are this much older at most, unless the
/// server is slow.
pub const MARGIN: Duration = Duration::from_secs(10);
/// Characters of a template that a filter follows.
const MAX_PATTERN: usize = 256;

/// The packets of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Evidence {
    pub routes: Vec<Route>,
    /// Others took part whom the routes do not name.
    #[serde(default)]
    pub more: bool,
    /// For `tcpdump`. It knows no time. What lies in an overlay network (VXLAN, Geneve) is found by
    /// its number alone.
    pub bpf: String,
    /// For `tshark -Y` and Wireshark: the same in the alert's time.
    pub tshark: String,
    /// That, and of it the requests to the alert's endpoint alone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub requests: Option<String>,
}

impl Evidence {
    /// `None` where nothing is known of who spoke with whom.
    pub(super) fn of(
        place: &Place,
        (since, until): (Timestamp, Timestamp),
        endpoint: Option<&str>,
    ) -> Option<Self> {
        let mut routes = place.routes.clone();
        routes.sort();
        routes.dedup();
        let more = place.more || routes.len() > MAX_ROUTES;
        routes.truncate(MAX_ROUTES);
        if routes.is_empty() {
            return None;
        }
        let any = |each: fn(&Route) -> String| match &routes[..] {
            [one] => each(one),
            several => {
                // Routes of one overlay network are one to a capture filter.
                let all: BTreeSet<String> =
                    several.iter().map(|r| format!("({})", each(r))).collect();
                all.into_iter().collect::<Vec<_>>().join(" or ")
            }
        };
        let (from, to) = (epoch(since, -1), epoch(until, 1));
        let tshark = format!(
            "({}) && frame.time_epoch >= {from} && frame.time_epoch <= {to}",
            any(display)
        );
        let requests = endpoint.and_then(requests);
        Some(Self {
            bpf: any(capture),
            requests: requests.map(|asked| format!("{tshark} && ({asked})")),
            tshark,
            routes,
            more,
        })
    }

    /// An alert goes on: its packets are those of before and of now.
    pub(super) fn joined(
        self,
        newer: Option<Self>,
        span: (Timestamp, Timestamp),
        endpoint: Option<&str>,
    ) -> Option<Self> {
        let newer = newer.map(|n| (n.routes, n.more)).unwrap_or_default();
        let place = Place {
            routes: [self.routes, newer.0].concat(),
            more: self.more || newer.1,
        };
        Self::of(&place, span, endpoint)
    }
}

/// Seconds of the epoch with the margin before (-1) or behind (1).
fn epoch(at: Timestamp, way: i64) -> String {
    let margin = i64::try_from(MARGIN.as_nanos()).unwrap_or(i64::MAX);
    let nanos = at.nanos().saturating_add(margin.saturating_mul(way)).max(0);
    format!(
        "{}.{:06}",
        nanos / 1_000_000_000,
        nanos % 1_000_000_000 / 1_000
    )
}

/// pcap-filter(7).
fn capture(route: &Route) -> String {
    if let Some(vni) = route.vni {
        // The number stands at the same place in VXLAN (RFC 7348) and Geneve (RFC 8926): bytes 4 to
        // 6 behind the UDP header.
        return format!("udp[12:4] & 0xffffff00 = {:#010x}", vni << 8);
    }
    let client = route.client.map(|net| match net {
        IpNet::V4(net) if net.prefix_len() == 32 => format!("host {}", net.addr()),
        net => format!("net {net}"),
    });
    let server = route.server.map(|ip| format!("host {ip}"));
    let port = route
        .port
        .map_or_else(|| "tcp".into(), |p| format!("tcp port {p}"));
    let parts = [client, server, Some(port)];
    parts
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" and ")
}

/// wireshark-filter(4). A packet in a tunnel has the fields of all its layers.
fn display(route: &Route) -> String {
    let address = |net: IpNet| match net {
        IpNet::V4(net) if net.prefix_len() == 32 => format!("ip.addr == {}", net.addr()),
        IpNet::V4(net) => format!("ip.addr == {net}"),
        IpNet::V6(net) if net.prefix_len() == 128 => format!("ipv6.addr == {}", net.addr()),
        IpNet::V6(net) => format!("ipv6.addr == {net}"),
    };
    let parts = [
        route.client.map(address),
        route.server.map(|ip| address(ip.into())),
        Some(
            route
                .port
                .map_or_else(|| "tcp".into(), |p| format!("tcp.port == {p}")),
        ),
        route
            .vni
            .map(|vni| format!("(vxlan.vni == {vni} || geneve.vni == {vni})")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" && ")
}

/// Requests to `GET api.example.com /v1/users/{user_id}`, in HTTP/1 and HTTP/2.
fn requests(label: &str) -> Option<String> {
    let mut words = label.split(' ');
    let (method, host, template) = (words.next()?, words.next()?, words.next()?);
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let (path, host) = (pattern(template, "[^/?]+")?, pattern(host, "[^.]+")?);
    let of = |method_field: &str, host_field: &str, path_field: &str| {
        format!(
            "({method_field} == \"{method}\" && {host_field} matches \"^{host}(:[0-9]+)?$\" && \
             {path_field} matches \"^(https?://[^/]+)?{path}([?]|$)\")"
        )
    };
    let one = of("http.request.method", "http.host", "http.request.uri");
    let two = of(
        "http2.headers.method",
        "http2.headers.authority",
        "http2.headers.path",
    );
    Some(format!("{one} || {two}"))
}

/// A regular expression (PCRE2) in a string of a display filter, from a template. Letters, digits
/// and what is special to neither stand for themselves; a parameter for what it may hold; of all else
/// each byte stands for any, so that nothing captured is ever read as an expression, nor ends the
/// string.
fn pattern(template: &str, parameter: &str) -> Option<String> {
    if template.len() > MAX_PATTERN {
        return None;
    }
    let mut out = String::new();
    let mut rest = template;
    while let Some(c) = rest.chars().next() {
        if c == '{'
            && let Some(end) = rest.find('}')
        {
            out.push_str(parameter);
            rest = &rest[end + 1..];
            continue;
        }
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '/' | '-' | '_' | '~' | ':' | '%' | '@' | ',' => {
                out.push(c);
            }
            '.' => out.push_str("[.]"),
            // Writing to a String cannot fail.
            _ => drop(write!(out, "{}", ".".repeat(c.len_utf8()))),
        }
        rest = &rest[c.len_utf8()..];
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(client: Option<&str>, server: Option<&str>, port: u16) -> Route {
        Route {
            client: client.map(|c| c.parse().unwrap()),
            server: server.map(|s| s.parse().unwrap()),
            port: (port > 0).then_some(port),
            vni: None,
        }
    }

    fn evidence(routes: &[Route], endpoint: Option<&str>) -> Evidence {
        let place = Place {
            routes: routes.to_vec(),
            more: false,
        };
        let span = (Timestamp::from_secs(1_000), Timestamp::from_secs(2_000));
        Evidence::of(&place, span, endpoint).unwrap()
    }

    #[test]
    fn a_filter_names_who_spoke_with_whom_and_when() {
        let one = evidence(&[route(Some("10.0.0.5/32"), Some("10.0.1.2"), 8080)], None);
        assert_eq!(one.bpf, "host 10.0.0.5 and host 10.0.1.2 and tcp port 8080");
        assert_eq!(
            one.tshark,
            "(ip.addr == 10.0.0.5 && ip.addr == 10.0.1.2 && tcp.port == 8080) \
             && frame.time_epoch >= 990.000000 && frame.time_epoch <= 2010.000000"
        );
        let several = [
            route(Some("2001:db8:0:5::/64"), None, 0),
            route(None, Some("fd00::1"), 443),
        ];
        assert_eq!(
            evidence(&several, None).bpf,
            "(host fd00::1 and tcp port 443) or (net 2001:db8:0:5::/64 and tcp)"
        );
        let inside = Route {
            vni: Some(123),
            ..route(None, Some("10.0.1.2"), 80)
        };
        let inside = evidence(&[inside], None);
        assert_eq!(inside.bpf, "udp[12:4] & 0xffffff00 = 0x00007b00");
        assert!(inside.tshark.contains("geneve.vni == 123"));
    }

    #[test]
    fn what_was_captured_never_stands_in_a_filter_as_it_was_sent() {
        let here = [route(None, Some("10.0.1.2"), 80)];
        let of = |label: &str| evidence(&here, Some(label)).requests;
        let plain = of("GET api.example.com /v1/users/{user_id}.json get User").unwrap();
        assert!(
            plain.contains(r#"http.host matches "^api[.]example[.]com(:[0-9]+)?$""#),
            "{plain}"
        );
        assert!(
            plain.contains(r#""^(https?://[^/]+)?/v1/users/[^/?]+[.]json([?]|$)""#),
            "{plain}"
        );
        let evil = of("GET a\"b /x\"||frame\\(.*)é{").unwrap();
        assert!(
            evil.contains(r#""^a.b("#) && evil.contains(")?/x...frame..[.].....([?]|$)\""),
            "{evil}"
        );
        assert_eq!(of("G\"T h /"), None);
        assert_eq!(of(&format!("GET h /{}", "a".repeat(MAX_PATTERN))), None);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]

        /// Whatever a path or Host was, each expression is one string of harmless letters.
        #[test]
        fn no_label_ends_a_string_or_begins_an_expression(host in "\\PC{1,20}", path in "\\PC{0,60}") {
            let (host, path) = (pattern(&host, "P").unwrap(), pattern(&path, "P").unwrap());
            let harmless = |text: &str| {
                let bare = text.replace("[.]", "");
                bare.bytes().all(|b| b.is_ascii_alphanumeric() || b"./-_~:%@,".contains(&b))
            };
            proptest::prop_assert!(harmless(&host) && harmless(&path), "{} {}", host, path);
        }
    }

    #[test]
    fn an_alert_that_goes_on_keeps_its_routes_and_says_what_it_leaves_out() {
        let mut all: Option<Evidence> = None;
        for n in 0..20_u8 {
            let new = evidence(&[route(Some(&format!("10.0.0.{n}/32")), None, 0)], None);
            let span = (Timestamp::from_secs(0), Timestamp::from_secs(5));
            all = match all {
                Some(old) => old.joined(Some(new), span, None),
                None => Some(new),
            };
        }
        let all = all.unwrap();
        assert_eq!((all.routes.len(), all.more), (MAX_ROUTES, true));
        assert!(all.tshark.contains("frame.time_epoch >= 0.000000"));
    }
}
