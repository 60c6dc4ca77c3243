//! What real captures show of TLS, against Wireshark's reading of them.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use apitap::capture::{FileSource, Polled};
use apitap::catalog::{self, Catalog, TlsView};
use apitap::sensor::{Inline, Settings};
use serde_json::Value;

fn folder() -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    if !found.is_dir() {
        eprintln!("SKIPPED: no captures at {}", found.display());
        return None;
    }
    Some(found)
}

fn read(file: &Path) -> TlsView {
    let mut source = FileSource::open(file).unwrap();
    let mut sensor = Inline::new(&Settings::default());
    while !matches!(sensor.poll(&mut source), Ok(Polled::End)) {}
    sensor.finish();
    let (mut catalog, mut changes) = (Catalog::new(catalog::Settings::default()), Vec::new());
    for record in sensor.finish_flows() {
        catalog.apply_tls(&record.flow, &mut changes);
    }
    catalog.view().tls.clone()
}

/// By name: versions agreed on, and protocols chosen or offered first.
type Seen = BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>;

fn seen(view: &TlsView) -> Seen {
    let mut seen = Seen::new();
    for host in &view.hosts {
        if host.host.parse::<std::net::IpAddr>().is_ok() {
            continue;
        }
        let entry = seen.entry(host.host.clone()).or_default();
        entry.0.extend(host.versions.iter().cloned());
        entry.1.extend(host.alpn.iter().cloned());
    }
    seen
}

fn words(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w.as_str().unwrap())
        .collect()
}

/// The hellos that the oracle lists, stream by stream.
fn expected(oracle: &str) -> Seen {
    let mut streams: BTreeMap<u64, [Option<Value>; 2]> = BTreeMap::new();
    for line in oracle.lines() {
        let hello: Value = serde_json::from_str(line).unwrap();
        if hello["proto"] != "tls" {
            continue;
        }
        let server = hello["type"] == "server_hello";
        let stream = streams
            .entry(hello["stream"].as_u64().unwrap())
            .or_default();
        stream[usize::from(server)].get_or_insert(hello);
    }
    let mut seen = Seen::new();
    for [client, server] in streams.into_values() {
        let Some(client) = client else { continue };
        let Some(name) = client["sni"].as_str().filter(|n| !n.is_empty()) else {
            continue;
        };
        let entry = seen.entry(name.to_lowercase()).or_default();
        let mut alpn = words(&client["alpn"]).first().map(ToString::to_string);
        if let Some(server) = server {
            let versions = words(&server["supported_versions"]);
            let version = versions
                .first()
                .copied()
                .or_else(|| server["legacy_version"].as_str());
            let named = match version.unwrap() {
                "0x0304" => "TLS 1.3",
                "0x0303" => "TLS 1.2",
                "0x0302" => "TLS 1.1",
                "0x0301" => "TLS 1.0",
                other => &format!("TLS {other}"),
            };
            entry.0.insert(named.to_owned());
            let chosen = words(&server["alpn"]).first().map(ToString::to_string);
            alpn = chosen.or(alpn);
        }
        entry.1.extend(alpn);
    }
    seen
}

#[test]
fn hellos_are_those_that_wireshark_finds() {
    let Some(folder) = folder() else { return };
    let (mut files, mut names) = (0, 0);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let oracle = entry.unwrap().path();
        let Some(capture) = oracle.to_str().unwrap().strip_suffix(".tls.jsonl") else {
            continue;
        };
        let expected = expected(&std::fs::read_to_string(&oracle).unwrap());
        let seen = seen(&read(Path::new(capture)));
        files += 1;
        names += expected.len();
        assert_eq!(seen, expected, "{capture}");
    }
    assert!(
        files >= 15 && names >= 20,
        "{files} files with {names} names"
    );
}

/// A pcapng file may carry its own keys; they come before the packets that they serve.
#[test]
fn secrets_inside_a_file_open_its_sessions() {
    let Some(folder) = folder() else { return };
    let view = read(&folder.join("mkhar-http2-dump.pcap"));
    let wanted =
        |host: &&std::sync::Arc<catalog::TlsHostView>| host.key == "ajax.googleapis.com:443";
    let host = view.hosts.iter().find(wanted).unwrap();
    assert_eq!((host.flows, host.opened, host.dark_bytes), (1, 1, 0));
}
