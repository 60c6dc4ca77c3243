//! Who a proxy says it asks for: `Forwarded` (RFC 7239), and the fields that came before it,
//! `X-Forwarded-For`, `-Proto`, `-Host` and `X-Real-IP`.
//!
//! Each proxy appends whom it heard, so a list is true from its right end as far as trusted proxies
//! wrote it: the walk goes from the right past those that are trusted, and the first that is not is
//! the client. What stands left of it the client may have made up. A proxy passes on a field that it
//! does not know as the client sent it; so where two fields name different clients, one of them may
//! be a lie, and neither is believed.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use compact_str::CompactString;

use super::proxy::Trusted;
use crate::exchange::Exchange;

/// Field lines of one name that are kept: the last ones, which the nearest proxies wrote.
const MAX_LINES: usize = 4;

/// Proxies in a row. Stops a header of thousands of trusted addresses.
const MAX_HOPS: usize = 32;

/// The field lines of one name, oldest first.
#[derive(Clone, Copy, Debug, Default)]
struct Lines<'a>([Option<&'a [u8]>; MAX_LINES]);

/// What a request's head says of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Forwarding<'a> {
    forwarded: Lines<'a>,
    x_for: Lines<'a>,
    x_proto: Option<&'a [u8]>,
    x_host: Option<&'a [u8]>,
    real_ip: Option<&'a [u8]>,
}

/// A client as a field names it, with what else stands there of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Client<'a> {
    ip: IpAddr,
    port: Option<u16>,
    proto: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
}

/// Whom a request to ourselves comes from: the client that a trusted proxy names, where all that it
/// says agrees; else whoever is at the other end of the connection.
pub fn client_behind<'a>(
    peer: IpAddr,
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    trusted: &Trusted,
) -> IpAddr {
    if !trusted.contains(peer) {
        return peer;
    }
    let mut forwarding = Forwarding::default();
    for (name, value) in fields {
        forwarding.take(name, value);
    }
    forwarding.client(trusted).map_or(peer, |client| client.ip)
}

impl<'a> Lines<'a> {
    fn push(&mut self, line: &'a [u8]) {
        match self.0.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(line),
            None => {
                self.0.rotate_left(1);
                self.0[MAX_LINES - 1] = Some(line);
            }
        }
    }

    /// Elements of the list from its right end.
    fn backwards(self) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.0.into_iter().rev().flatten();
        lines.flat_map(|line| split(line, b',').into_iter().rev())
    }
}

impl<'a> Forwarding<'a> {
    /// Takes a field; the name is in any case. Returns whether it is one of them.
    pub(super) fn take(&mut self, name: &[u8], value: &'a [u8]) -> bool {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        if is(b"x-forwarded-for") {
            self.x_for.push(value);
        } else if is(b"forwarded") {
            self.forwarded.push(value);
        } else if is(b"x-forwarded-proto") {
            self.x_proto = Some(value);
        } else if is(b"x-forwarded-host") {
            self.x_host = Some(value);
        } else if is(b"x-real-ip") {
            self.real_ip = Some(value);
        } else {
            return false;
        }
        true
    }

    /// The client, where all that is said of it agrees.
    fn client(&self, trusted: &Trusted) -> Option<Client<'a>> {
        let standard = walk(self.forwarded.backwards().map(element), trusted);
        let common = walk(self.x_for.backwards().map(plain), trusted);
        let real = self.real_ip.and_then(|value| plain(value.trim_ascii()));
        let mut client = match (standard, common) {
            (Some(a), Some(b)) if a.ip != b.ip => return None,
            (a, b) => a.or(b),
        };
        match (client, real) {
            (Some(client), Some(real)) if client.ip != real.ip && !trusted.contains(real.ip) => {
                return None;
            }
            (None, real) => {
                // A list that leads nowhere is no licence to believe the next field.
                let silent = self.forwarded.0[0].is_none() && self.x_for.0[0].is_none();
                client = real.filter(|_| silent);
            }
            _ => {}
        }
        // Of several values the nearest proxy wrote the last.
        let last =
            |value: Option<&'a [u8]>| Some(value?.rsplit(|b| *b == b',').next()?.trim_ascii());
        client.map(|client| Client {
            proto: client.proto.or_else(|| last(self.x_proto)),
            host: client.host.or_else(|| last(self.x_host)),
            ..client
        })
    }

    /// Puts the client into the record of a request that a trusted proxy sent, and the proxy into
    /// `via`.
    pub(super) fn apply(&self, x: &mut Exchange, trusted: &Trusted) {
        if !trusted.contains(x.client) {
            return;
        }
        let Some(client) = self.client(trusted) else {
            return;
        };
        x.via.get_or_insert((x.client, x.client_port));
        (x.client, x.client_port) = (client.ip, client.port.unwrap_or(0));
        for scheme in ["http", "https"] {
            if client
                .proto
                .is_some_and(|p| p.eq_ignore_ascii_case(scheme.as_bytes()))
            {
                x.scheme = CompactString::const_new(scheme);
            }
        }
        // The host that the server was asked for is what the inventory goes by; another name for it
        // outside would split one API in two.
        if x.host.is_none() {
            let host = client.host.and_then(|h| h.rsplit(|b| *b == b'@').next());
            x.host = host.filter(|h| !h.is_empty()).map(|host| {
                let mut host = CompactString::from_utf8_lossy(host);
                host.make_ascii_lowercase();
                host
            });
        }
    }
}

/// From the right past trusted proxies. Where all are trusted, the first of them asked; past what
/// cannot be told (`unknown`, a name of the proxy's own, garbage) nothing can.
fn walk<'a>(
    hops: impl Iterator<Item = Option<Client<'a>>>,
    trusted: &Trusted,
) -> Option<Client<'a>> {
    let mut last = None;
    for (n, hop) in hops.enumerate() {
        let hop = hop.filter(|_| n < MAX_HOPS)?;
        last = Some(hop);
        if !trusted.contains(hop.ip) {
            break;
        }
    }
    last
}

/// Parts between `at`, but for those inside of quotes (RFC 9110, section 5.6.4).
fn split(text: &[u8], at: u8) -> Vec<&[u8]> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (i, &b) in text.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if b == at && !quoted => {
                parts.push(text[start..i].trim_ascii());
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim_ascii());
    parts.retain(|part| !part.is_empty());
    parts
}

/// An element of `Forwarded`: `for=192.0.2.60;proto=http;by=203.0.113.43`.
fn element(text: &[u8]) -> Option<Client<'_>> {
    let (mut node, mut proto, mut host) = (None, None, None);
    for pair in split(text, b';') {
        let at = pair.iter().position(|b| *b == b'=')?;
        let (name, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
        let value = value
            .strip_prefix(b"\"")
            .and_then(|v| v.strip_suffix(b"\""))
            .unwrap_or(value);
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        if is(b"for") {
            node = Some(value);
        } else if is(b"proto") {
            proto = Some(value);
        } else if is(b"host") {
            host = Some(value);
        }
    }
    Some(Client {
        proto,
        host,
        ..plain(node?)?
    })
}

/// An address as people write it: bare, with a port, in brackets. Names (`unknown`, `_gazonk`) are
/// none; a port may be one (section 6.3).
fn plain(text: &[u8]) -> Option<Client<'_>> {
    let text = std::str::from_utf8(text).ok()?.trim().trim_matches('"');
    let client = |ip: IpAddr, port| Client {
        ip: ip.to_canonical(),
        port,
        proto: None,
        host: None,
    };
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(client(ip, None));
    }
    if let Ok(at) = text.parse::<SocketAddr>() {
        return Some(client(at.ip(), Some(at.port())));
    }
    let (node, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (node, port) = rest.split_once(']')?;
            (node.parse::<Ipv6Addr>().ok()?.into(), port)
        }
        None => {
            let (node, _) = text.split_once(':')?;
            (node.parse::<IpAddr>().ok()?, &text[node.len()..])
        }
    };
    (port.is_empty() || port.starts_with(":_")).then(|| client(node, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn trusted() -> Trusted {
        Trusted::new(["10.0.0.0/8", "2001:db8:1::/48"].map(|p| p.parse().unwrap()))
    }

    /// `client:port scheme host via` of a request that `peer` sent.
    fn told(peer: &str, fields: &[(&str, &str)]) -> String {
        let mut forwarding = Forwarding::default();
        for (name, value) in fields {
            assert!(forwarding.take(name.as_bytes(), value.as_bytes()));
        }
        let mut x = Exchange::at(Timestamp(0));
        (x.client, x.client_port) = (peer.parse().unwrap(), 7);
        forwarding.apply(&mut x, &trusted());
        let via = x.via.map_or_else(|| "-".into(), |(ip, _)| ip.to_string());
        let host = x.host.as_deref().unwrap_or("-");
        format!("{} {} {} {host} {via}", x.client, x.client_port, x.scheme)
    }

    #[test]
    fn the_first_from_the_right_that_is_not_trusted() {
        let xff = |value| told("10.0.0.9", &[("X-Forwarded-For", value)]);
        assert_eq!(xff("203.0.113.7"), "203.0.113.7 0 http - 10.0.0.9");
        assert_eq!(xff("1.1.1.1, 203.0.113.7"), "203.0.113.7 0 http - 10.0.0.9");
        assert_eq!(
            xff("6.6.6.6 , 203.0.113.7:5000,10.0.0.3, 10.0.0.4"),
            "203.0.113.7 5000 http - 10.0.0.9"
        );
        assert_eq!(xff("10.0.0.5, 10.0.0.4"), "10.0.0.5 0 http - 10.0.0.9");
        assert_eq!(xff("[2001:db8::7]:99"), "2001:db8::7 99 http - 10.0.0.9");
        assert_eq!(xff("2001:db8::7"), "2001:db8::7 0 http - 10.0.0.9");
        assert_eq!(xff("::ffff:203.0.113.7"), "203.0.113.7 0 http - 10.0.0.9");
        // Several lines are one list.
        let lines = [
            ("X-Forwarded-For", "1.1.1.1"),
            ("x-forwarded-for", "203.0.113.7"),
        ];
        assert_eq!(told("10.0.0.9", &lines), "203.0.113.7 0 http - 10.0.0.9");
    }

    #[test]
    fn nobody_else_is_believed() {
        let fields = [
            ("X-Forwarded-For", "203.0.113.7"),
            ("X-Forwarded-Proto", "https"),
            ("Forwarded", "for=203.0.113.7"),
            ("X-Real-IP", "203.0.113.7"),
        ];
        assert_eq!(told("198.51.100.1", &fields), "198.51.100.1 7 http - -");
    }

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 7239, section 4; 192.0.2.0/24 is nobody's proxy here.
        let forwarded = |value| told("10.0.0.9", &[("Forwarded", value)]);
        assert_eq!(
            forwarded("For=\"[2001:db8:cafe::17]:4711\""),
            "2001:db8:cafe::17 4711 http - 10.0.0.9"
        );
        assert_eq!(
            forwarded("for=192.0.2.60;proto=https;by=203.0.113.43;host=\"API.example:8443\""),
            "192.0.2.60 0 https api.example:8443 10.0.0.9"
        );
        assert_eq!(
            forwarded("for=192.0.2.43, for=198.51.100.17"),
            "198.51.100.17 0 http - 10.0.0.9"
        );
        let unchanged = "10.0.0.9 7 http - -";
        assert_eq!(forwarded("for=\"_gazonk\""), unchanged);
        assert_eq!(forwarded("for=192.0.2.43, for=unknown"), unchanged);
        assert_eq!(
            forwarded("for=\"192.0.2.43:_port\""),
            "192.0.2.43 0 http - 10.0.0.9"
        );
        assert_eq!(
            forwarded("for=\"a, for=6.6.6.6\", for=192.0.2.43"),
            "192.0.2.43 0 http - 10.0.0.9"
        );
    }

    #[test]
    fn fields_that_differ_are_not_believed() {
        let unchanged = "10.0.0.9 7 http - -";
        let xff = ("X-Forwarded-For", "203.0.113.7");
        let both = |other| told("10.0.0.9", &[xff, other]);
        assert_eq!(both(("Forwarded", "for=6.6.6.6")), unchanged);
        assert_eq!(both(("X-Real-IP", "6.6.6.6")), unchanged);
        let same = "203.0.113.7 0 http - 10.0.0.9";
        assert_eq!(both(("Forwarded", "for=203.0.113.7")), same);
        assert_eq!(both(("X-Real-IP", "203.0.113.7")), same);
        // The proxy before it is what the last proxy heard.
        assert_eq!(both(("X-Real-IP", "10.0.0.3")), same);
        assert_eq!(told("10.0.0.9", &[("X-Real-IP", "203.0.113.7")]), same);
        let nowhere = [("X-Forwarded-For", "unknown"), ("X-Real-IP", "6.6.6.6")];
        assert_eq!(told("10.0.0.9", &nowhere), unchanged);
    }

    #[test]
    fn scheme_and_host() {
        let xff = ("X-Forwarded-For", "203.0.113.7");
        let proto = ("X-Forwarded-Proto", "http, HTTPS");
        assert_eq!(
            told("10.0.0.9", &[xff, proto, ("X-Forwarded-Host", "u:p@Shop")]),
            "203.0.113.7 0 https shop 10.0.0.9"
        );
        let odd = ("X-Forwarded-Proto", "javascript");
        assert_eq!(
            told("10.0.0.9", &[xff, odd]),
            "203.0.113.7 0 http - 10.0.0.9"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text(fields in proptest::collection::vec((0..5_usize, "[ -~]{0,60}|([0-9.:,;=\"\\[\\] for]{0,60})"), 0..12)) {
            let names = ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"];
            let fields: Vec<_> = fields.iter().map(|(n, v)| (names[*n], v.as_str())).collect();
            let unchanged = told("198.51.100.1", &fields);
            proptest::prop_assert_eq!(unchanged, "198.51.100.1 7 http - -");
            let told = told("10.0.0.9", &fields);
            proptest::prop_assert!(told.ends_with(" -") || told.ends_with(" 10.0.0.9"));
        }
    }
}
