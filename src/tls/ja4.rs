//! JA4: a fingerprint of the client by its hello, as FoxIO describes it in public (the one method
//! of the JA4+ family under a BSD licence).
//!
//! `t13d1516h2_8daaf6152771_e5627efa2ab1`: transport, newest version, whether a name is asked for,
//! how many ciphers and extensions, first and last character of the first ALPN value; then the
//! sorted ciphers, and the sorted extensions with the signature algorithms as sent, each as a
//! truncated SHA-256. GREASE counts nowhere.

use std::fmt::Write;

use compact_str::CompactString;
use sha2::{Digest, Sha256};

use super::hello::{ClientHello, Version, extension};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Quic,
}

pub fn ja4(hello: &ClientHello<'_>, transport: Transport) -> CompactString {
    let mut ciphers: Vec<u16> = hello.ciphers.sincere().collect();
    let mut extensions: Vec<u16> = hello
        .extensions
        .iter()
        .map(|(kind, _)| kind)
        .filter(|kind| !super::cursor::is_grease(*kind))
        .collect();
    let named = extensions.contains(&extension::SERVER_NAME);
    let (cipher_count, extension_count) = (ciphers.len().min(99), extensions.len().min(99));
    ciphers.sort_unstable();
    extensions.retain(|kind| ![extension::SERVER_NAME, extension::ALPN].contains(kind));
    extensions.sort_unstable();

    let mut behind = hex_list(&extensions);
    let mut separator = '_';
    for algorithm in hello.signature_algorithms().sincere() {
        let _ = write!(behind, "{separator}{algorithm:04x}");
        separator = ',';
    }
    if extensions.is_empty() {
        behind.clear();
    }
    let transport = match transport {
        Transport::Tcp => 't',
        Transport::Quic => 'q',
    };
    let name = if named { 'd' } else { 'i' };
    let (version, [first, last]) = (version(hello.newest()), alpn(hello));
    compact_str::format_compact!(
        "{transport}{version}{name}{cipher_count:02}{extension_count:02}{first}{last}_{}_{}",
        hash(&hex_list(&ciphers)),
        hash(&behind),
    )
}

fn version(version: Version) -> &'static str {
    match version.0 {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// Ends that are not letters or digits are replaced by those of the value in hexadecimal.
fn alpn(hello: &ClientHello<'_>) -> [char; 2] {
    let Some((first, last)) = hello
        .extensions
        .alpn()
        .next()
        .and_then(|name| Some((*name.first()?, *name.last()?)))
    else {
        return ['0', '0'];
    };
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        [first.into(), last.into()]
    } else {
        [digit(first >> 4), digit(last & 0xf)]
    }
}

fn hex_list(values: &[u16]) -> String {
    let mut out = String::with_capacity(values.len() * 5);
    for (i, value) in values.iter().enumerate() {
        let separator = if i > 0 { "," } else { "" };
        let _ = write!(out, "{separator}{value:04x}");
    }
    out
}

/// Twelve digits of SHA-256; zeros where there is nothing to hash.
fn hash(list: &str) -> CompactString {
    let mut out = CompactString::const_new("");
    if list.is_empty() {
        return CompactString::const_new("000000000000");
    }
    for byte in &Sha256::digest(list.as_bytes())[..6] {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vec16(body: &[u8]) -> Vec<u8> {
        [&(body.len() as u16).to_be_bytes()[..], body].concat()
    }

    fn u16s(values: &[u16]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_be_bytes()).collect()
    }

    fn hello(ciphers: &[u16], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut out = vec![3, 3];
        out.extend([0; 32]);
        out.push(0);
        out.extend(vec16(&u16s(ciphers)));
        out.extend([1, 0]);
        let all: Vec<u8> = extensions
            .iter()
            .flat_map(|(kind, body)| [kind.to_be_bytes().to_vec(), vec16(body)].concat())
            .collect();
        out.extend(vec16(&all));
        out
    }

    fn of(bytes: &[u8]) -> String {
        ja4(&ClientHello::read(bytes).unwrap(), Transport::Tcp).into()
    }

    /// The example of the description: Chrome, with GREASE, in an order of its own.
    #[test]
    fn the_published_example() {
        let ciphers = [
            0x9a9a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
            0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
        ];
        let algorithms = [
            0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
        ];
        let mut extensions: Vec<(u16, Vec<u8>)> = [
            0x1a1a, 0xff01, 0x4469, 0x0033, 0x001b, 0x0023, 0x0012, 0x000b, 0x0005, 0x0017, 0x002d,
            0x0015, 0x000a, 0x3a3a,
        ]
        .map(|kind| (kind, vec![]))
        .to_vec();
        extensions.push((0, vec16(b"\x00\x00\x01a")));
        extensions.push((16, vec16(b"\x02h2\x08http/1.1")));
        extensions.push((43, vec![6, 0xca, 0xca, 3, 4, 3, 3]));
        extensions.push((13, vec16(&u16s(&algorithms))));
        assert_eq!(
            of(&hello(&ciphers, &extensions)),
            "t13d1516h2_8daaf6152771_e5627efa2ab1"
        );
    }

    #[test]
    fn the_edges_of_the_description() {
        assert_eq!(of(&hello(&[], &[])), "t12i000000_000000000000_000000000000");
        // More than 99 count as 99.
        let many: Vec<u16> = (1..=120).collect();
        assert!(of(&hello(&many, &[])).starts_with("t12i990000_"));
        // One character is both ends; bytes that are none are shown in hexadecimal.
        let cases: [(&[u8], &str); 4] = [
            (b"x", "xx"),
            (b"\xab", "ab"),
            (b"\xab\xcd", "ad"),
            (b"0\xab", "3b"),
        ];
        for (name, expected) in cases {
            let list = vec16(&[&[name.len() as u8], name].concat());
            let print = of(&hello(&[], &[(16, list)]));
            assert_eq!(&print[8..10], expected);
        }
    }
}
