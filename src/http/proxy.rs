//! The PROXY protocol, versions 1 and 2, as HAProxy specifies it: one header in front of all else, in
//! which a proxy tells whose connection it passes on.
//!
//! It is stepped over whoever sent it, so that what stands behind it is read. Its address is believed
//! only of a proxy that the config names: anybody can write such a header.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

/// Of version 2 (section 2.2). It begins as no request and no TLS record does.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The fixed part of version 2.
const FIXED: usize = 16;

/// Of version 1 (section 2.1), its line end included.
const MAX_LINE: usize = 107;

/// Proxies whose word is taken for who their clients are. None by default.
#[derive(Clone, Debug, Default)]
pub struct Trusted(Arc<[IpNet]>);

impl Trusted {
    pub fn new(prefixes: impl IntoIterator<Item = IpNet>) -> Self {
        Self(prefixes.into_iter().collect())
    }

    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|prefix| prefix.contains(&ip))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Header(Header),
    More,
    /// Something else begins here.
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Its whole length; type-length-values may reach behind the bytes at hand.
    pub(super) size: usize,
    /// `None`: the proxy's own connection (`LOCAL`), or one that cannot be told (`UNKNOWN`).
    pub(super) source: Option<(IpAddr, u16)>,
}

/// Where the originator's side of a flow stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// Before the first byte.
    Begin,
    /// Inside of a header, past its address.
    Skip(usize),
    Through,
}

/// Looks for a header at the first byte of a connection.
pub(super) fn parse(data: &[u8]) -> Parsed {
    let begins = |with: &[u8]| {
        let common = data.len().min(with.len());
        data[..common] == with[..common]
    };
    if begins(&SIGNATURE) {
        binary(data)
    } else if begins(b"PROXY ") {
        line(data)
    } else {
        Parsed::No
    }
}

fn line(data: &[u8]) -> Parsed {
    let head = &data[..data.len().min(MAX_LINE)];
    let Some(end) = head.windows(2).position(|w| w == b"\r\n") else {
        // A line feed alone ends a request line of a method with that name.
        let over = head.len() == MAX_LINE || head.contains(&b'\n');
        return if over { Parsed::No } else { Parsed::More };
    };
    let Ok(text) = std::str::from_utf8(&head[..end]) else {
        return Parsed::No;
    };
    let words: Vec<&str> = text.split(' ').skip(1).collect();
    let source = match words[..] {
        ["UNKNOWN", ..] => None,
        [
            family @ ("TCP4" | "TCP6"),
            source,
            target,
            port,
            target_port,
        ] => {
            let address = |text: &str| {
                let ip = text.parse::<IpAddr>().ok()?;
                (ip.is_ipv4() == (family == "TCP4")).then_some(ip)
            };
            let port = port.parse::<u16>().ok();
            match (address(source), address(target), port, target_port.parse()) {
                (Some(source), Some(_), Some(port), Ok::<u16, _>(_)) => {
                    Some((source.to_canonical(), port))
                }
                _ => return Parsed::No,
            }
        }
        _ => return Parsed::No,
    };
    Parsed::Header(Header {
        size: end + 2,
        source,
    })
}

fn binary(data: &[u8]) -> Parsed {
    let Some(&[version, family, high, low]) = data.get(SIGNATURE.len()..FIXED) else {
        return Parsed::More;
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    // The highest four bits are the version.
    let proxied = match version {
        0x20 => false,
        0x21 => true,
        _ => return Parsed::No,
    };
    // Source and target address, then their ports. Unix sockets have neither.
    let width = match family >> 4 {
        1 => 4,
        2 => 16,
        _ => 0,
    };
    let block = 2 * width + 4;
    let mut source = None;
    if proxied && width > 0 && len >= block {
        let Some(block) = data.get(FIXED..FIXED + block) else {
            return Parsed::More;
        };
        let (ip, port) = (&block[..width], &block[2 * width..2 * width + 2]);
        let ip = match (ip.first_chunk::<16>(), ip.first_chunk::<4>()) {
            (Some(v6), _) => Some(IpAddr::from(Ipv6Addr::from(*v6))),
            (None, Some(v4)) => Some(IpAddr::from(Ipv4Addr::from(*v4))),
            (None, None) => None,
        };
        source = ip.map(|ip| (ip.to_canonical(), u16::from_be_bytes([port[0], port[1]])));
    }
    Parsed::Header(Header {
        size: FIXED + len,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        let at: std::net::SocketAddr = text.parse().unwrap();
        Some((at.ip(), at.port()))
    }

    fn v2(version: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[version, family], &len, body].concat()
    }

    type Source = Option<(IpAddr, u16)>;

    fn headers() -> Vec<(Vec<u8>, Source)> {
        let v4 = [
            203, 0, 113, 7, 10, 0, 0, 2, 0xc3, 0x50, 0x00, 0x50, 0x04, 0, 2, 1, 1,
        ];
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        v6[15] = 9;
        v6[33] = 99;
        vec![
            (
                b"PROXY TCP4 203.0.113.7 10.0.0.2 50000 80\r\n".to_vec(),
                source("203.0.113.7:50000"),
            ),
            (
                b"PROXY TCP6 2001:db8::9 ::1 99 443\r\n".to_vec(),
                source("[2001:db8::9]:99"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n".to_vec(), None),
            (v2(0x21, 0x11, &v4), source("203.0.113.7:50000")),
            (v2(0x21, 0x21, &v6), source("[2001:db8::9]:99")),
            (v2(0x20, 0x11, &v4), None),
            (v2(0x20, 0x00, &[]), None),
            (v2(0x21, 0x31, &[0; 216]), None),
            (v2(0x21, 0x11, &[1; 5]), None),
        ]
    }

    #[test]
    fn both_versions_cut_at_every_offset() {
        for (header, source) in headers() {
            let size = header.len();
            let whole = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            let wanted = Parsed::Header(Header { size, source });
            assert_eq!(parse(&whole), wanted, "{header:x?}");
            for cut in 0..size {
                let got = parse(&whole[..cut]);
                assert!(got == Parsed::More || got == wanted, "{header:x?} {cut}");
            }
        }
    }

    #[test]
    fn what_is_none() {
        for text in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"POST / HTTP/1.1\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"PROXY / HTTP/1.1\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 66666\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            b"PROXY TCP4\n",
            b"\r\n\r\nGET / HTTP/1.1\r\n",
            &[b"PROXY ", &[b'x'; 200][..]].concat(),
            &v2(0x31, 0x11, &[]),
            &v2(0x2f, 0x11, &[]),
        ] {
            assert_eq!(parse(text), Parsed::No, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn trust_is_by_prefix() {
        let trusted = Trusted::new(["10.0.0.0/8", "2001:db8::/32"].map(|p| p.parse().unwrap()));
        for (ip, wanted) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.0.0.1", false),
            ("2001:db8::1", true),
            ("::1", false),
        ] {
            assert_eq!(trusted.contains(ip.parse().unwrap()), wanted, "{ip}");
        }
        assert!(!Trusted::default().contains("127.0.0.1".parse().unwrap()));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes(signed in proptest::bool::ANY, bytes in proptest::collection::vec(0_u8.., 0..300)) {
            let data = if signed { [&SIGNATURE[..], &bytes].concat() } else { bytes };
            match parse(&data) {
                Parsed::Header(h) => assert!((15..=FIXED + 65_535).contains(&h.size)),
                // What is waited for stays small.
                Parsed::More => assert!(data.len() < MAX_LINE),
                Parsed::No => {}
            }
        }
    }
}
