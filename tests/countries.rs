//! Where callers are, by a database in MaxMind's format that the test writes: in the exchanges, read
//! again under the workers, refused with a reason.
#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use apitap::compose::{Conversation, write_pcap};
use apitap::sensor::Countries;
use apitap::time::Timestamp;

/// A database of IPv4 networks and their countries, after "MaxMind DB File Format Specification
/// 2.0": a binary tree of records of 24 bits, 16 zero bytes, the data, the metadata.
fn database(networks: &[(Ipv4Addr, u8, &str)]) -> Vec<u8> {
    let (mut data, mut places) = (Vec::new(), Vec::new());
    for (_, _, country) in networks {
        places.push(data.len() as u32);
        data.extend(map(&[("country", map(&[("iso_code", text(country))]))]));
    }
    // A record: another node, or the place of data, or nothing.
    let mut nodes: Vec<[Option<Result<u32, u32>>; 2]> = vec![[None; 2]];
    for ((net, len, _), place) in networks.iter().zip(&places) {
        let mut at = 0;
        for i in 0..*len {
            let bit = (u32::from(*net) >> (31 - i) & 1) as usize;
            if i + 1 == *len {
                nodes[at][bit] = Some(Err(*place));
                continue;
            }
            at = match nodes[at][bit] {
                Some(Ok(next)) => next as usize,
                _ => {
                    let next = nodes.len();
                    nodes[at][bit] = Some(Ok(next as u32));
                    nodes.push([None; 2]);
                    next
                }
            };
        }
    }
    let count = nodes.len() as u32;
    let mut out = Vec::new();
    for record in nodes.iter().flatten() {
        let value = match record {
            Some(Ok(node)) => *node,
            Some(Err(place)) => count + 16 + place,
            None => count,
        };
        out.extend(&value.to_be_bytes()[1..]);
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    out.extend(map(&[
        ("node_count", number(6, count)),
        ("record_size", number(5, 24)),
        ("ip_version", number(5, 4)),
        ("database_type", text("Test-Country")),
        ("languages", vec![0, 4]),
        ("binary_format_major_version", number(5, 2)),
        ("binary_format_minor_version", number(5, 0)),
        ("build_epoch", vec![4, 2, 1, 2, 3, 4]),
        ("description", map(&[("en", text("composed"))])),
    ]));
    out
}

fn text(s: &str) -> Vec<u8> {
    [&[2 << 5 | s.len() as u8], s.as_bytes()].concat()
}

fn number(kind: u8, n: u32) -> Vec<u8> {
    let bytes = n.to_be_bytes();
    let first = n.leading_zeros() as usize / 8;
    [&[kind << 5 | (4 - first) as u8], &bytes[first..]].concat()
}

fn map(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![7 << 5 | pairs.len() as u8];
    for (key, value) in pairs {
        out.extend(text(key));
        out.extend(value);
    }
    out
}

fn write(path: &Path, networks: &[(Ipv4Addr, u8, &str)]) {
    std::fs::write(path, database(networks)).unwrap();
}

const DE: (Ipv4Addr, u8, &str) = (Ipv4Addr::new(198, 51, 100, 0), 24, "DE");
const JP: (Ipv4Addr, u8, &str) = (Ipv4Addr::new(203, 0, 113, 0), 24, "JP");

#[test]
fn a_database_is_read_again_and_the_last_good_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.mmdb");
    write(&path, &[DE]);
    let countries = Countries::open(&path).unwrap();
    let of = |ip: &str| countries.of(ip.parse().unwrap());
    assert_eq!(of("198.51.100.77").as_deref(), Some("DE"));
    for nowhere in ["203.0.113.1", "10.0.0.1", "2001:db8::1"] {
        assert_eq!(of(nowhere), None, "{nowhere}");
    }
    write(&path, &[DE, JP]);
    countries.read_again().unwrap();
    assert_eq!(of("203.0.113.1").as_deref(), Some("JP"));
    // Cut at every place: refused with the file's name, and the one before stays.
    let whole = database(&[DE]);
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let why = countries.read_again().unwrap_err().to_string();
        assert!(
            why.contains("c.mmdb") && why.contains(".mmdb) is meant"),
            "{why}"
        );
        assert_eq!(of("203.0.113.1").as_deref(), Some("JP"));
    }
    // What is no country's code is none.
    write(&path, &[(DE.0, DE.1, "<b>")]);
    countries.read_again().unwrap();
    assert_eq!(of("198.51.100.77"), None);
}

#[test]
fn exchanges_say_where_the_client_is() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write(&at("c.mmdb"), &[DE, JP]);
    let config = format!("[sensor]\ncountry_db = {:?}\n", at("c.mmdb"));
    std::fs::write(at("a.toml"), config).unwrap();
    let mut packets = Vec::new();
    for (n, client) in ["198.51.100.9", "203.0.113.200", "10.0.0.1"]
        .iter()
        .enumerate()
    {
        let client = format!("{client}:40000").parse().unwrap();
        let start = Timestamp::from_secs(1_760_000_000 + n as i64);
        let mut talk = Conversation::open(client, "10.0.0.2:80".parse().unwrap(), start);
        let ask = "GET /v1/x HTTP/1.1\r\nHost: a.example\r\n\r\n";
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        talk.exchange(ask, Duration::from_millis(5), answer);
        packets.extend(talk.close());
    }
    write_pcap(&packets, &mut std::fs::File::create(at("x.pcap")).unwrap()).unwrap();
    let read = || {
        Command::new(env!("CARGO_BIN_EXE_apitap"))
            .args(["read", "--format", "exchanges", "--config"])
            .args([at("a.toml"), at("x.pcap")])
            .env("XDG_STATE_HOME", at("home"))
            .output()
            .unwrap()
    };
    let done = read();
    let text = String::from_utf8(done.stdout).unwrap();
    let countries: Vec<Option<String>> = text
        .lines()
        .map(|l| {
            let x: serde_json::Value = serde_json::from_str(l).unwrap();
            x["country"].as_str().map(str::to_owned)
        })
        .collect();
    assert_eq!(
        countries,
        [Some("DE".into()), Some("JP".into()), None],
        "{text}"
    );
    std::fs::write(at("c.mmdb"), "no database").unwrap();
    let refused = read();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("c.mmdb"));
}
