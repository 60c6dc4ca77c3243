//! What detection promises of the whole program: the same alerts whatever the number of workers and
//! however the input is cut, no alert twice across a restart in the middle of an attack, and what
//! other settings would have made ring.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use apitap::compose::{Conversation, write_pcap};
use apitap::time::Timestamp;
use serde_json::Value;

const START: i64 = 1_760_000_000;
const DAY: i64 = 86_400;

/// A request for an order: when, by whom, which, and how it was answered.
#[derive(Clone, Copy)]
struct Call {
    ms: i64,
    client: u8,
    order: u32,
    status: u16,
}

/// Twenty callers look at their own few orders for three days; on the last a stranger asks for all in
/// a row, and another guesses numbers that are not there.
fn calls() -> Vec<Call> {
    let mut calls = Vec::new();
    for hour in 0..72_i64 {
        for client in 0..20_u8 {
            let own = u32::from(client) * 7_919 % 90_000;
            for n in 0..2_i64 {
                let ms = hour * 3_600_000 + i64::from(client) * 61_000 + n * 1_307_000;
                calls.push(Call {
                    ms,
                    client,
                    order: 10_000 + (own + (hour as u32 + n as u32) % 4 * 331) % 90_000,
                    status: 200,
                });
            }
        }
    }
    let attack = 2 * DAY * 1_000 + 36_000_000;
    for n in 0..400_u32 {
        let ms = attack + i64::from(n) * 400;
        calls.push(Call {
            ms,
            client: 200,
            order: 30_000 + n,
            status: if n % 5 == 0 { 404 } else { 200 },
        });
        calls.push(Call {
            ms: ms + 3_600_000,
            client: 201,
            order: 500_000 + n * 7_907 % 100_000,
            status: 404,
        });
    }
    calls.sort_by_key(|c| (c.ms, c.client));
    calls
}

fn lines(calls: &[Call]) -> String {
    calls.iter().fold(String::new(), |mut out, c| {
        let ts = START as f64 + c.ms as f64 / 1e3;
        let _ = writeln!(
            out,
            r#"{{"ts":{ts:.3},"client":"10.7.0.{}","method":"GET","host":"api.shop.example","path":"/v1/orders/{}","status":{}}}"#,
            c.client, c.order, c.status
        );
        out
    })
}

fn pcap(calls: &[Call], path: &Path) {
    let mut packets = Vec::new();
    for (n, c) in calls.iter().enumerate() {
        let client = format!("10.7.0.{}:{}", c.client, 20_000 + n % 40_000);
        let at = Timestamp(START * 1_000_000_000 + c.ms * 1_000_000);
        let server = "10.0.0.1:80".parse().unwrap();
        let mut talk = Conversation::open(client.parse().unwrap(), server, at);
        let ask = format!(
            "GET /v1/orders/{} HTTP/1.1\r\nHost: api.shop.example\r\n\r\n",
            c.order
        );
        let answer = format!("HTTP/1.1 {} X\r\nContent-Length: 2\r\n\r\n{{}}", c.status);
        talk.exchange(&ask, Duration::from_millis(5), &answer);
        packets.extend(talk.close());
    }
    packets.sort_by_key(|p| p.ts);
    write_pcap(&packets, &mut std::fs::File::create(path).unwrap()).unwrap();
}

struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    /// What the program prints; it must have done its work.
    fn run(&self, args: &[&str]) -> String {
        let out = Command::new(env!("CARGO_BIN_EXE_apitap"))
            .args(args)
            .env("XDG_STATE_HOME", self.path("home"))
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{args:?}: {err}");
        String::from_utf8(out.stdout).unwrap()
    }
}

fn alerts(text: &str) -> Vec<Value> {
    let parse = |l| serde_json::from_str(l).unwrap();
    text.lines().map(parse).collect()
}

fn ids(alerts: &[Value]) -> BTreeSet<&str> {
    alerts.iter().map(|a| a["id"].as_str().unwrap()).collect()
}

fn by(alerts: &[Value], client: &str) -> usize {
    let is = |a: &&Value| a["principal"]["client"] == client;
    alerts.iter().filter(is).count()
}

#[test]
fn workers_and_files_change_no_alert() {
    let bench = Bench::new();
    let calls = calls();
    let at = |name: &str| bench.path(name).display().to_string();
    pcap(&calls, &bench.path("all.pcap"));
    let (one, two): (Vec<Call>, Vec<Call>) = calls.iter().partition(|c| c.client % 2 == 0);
    pcap(&one, &bench.path("even.pcap"));
    pcap(&two, &bench.path("odd.pcap"));
    let read = |more: &[&str]| {
        let args = [&["read", "--format", "alerts"], more].concat();
        bench.run(&args)
    };
    let whole = read(&[&at("all.pcap")]);
    let found = alerts(&whole);
    assert!(by(&found, "10.7.0.200") > 0, "{whole}");
    assert!(by(&found, "10.7.0.201") > 0, "{whole}");
    for workers in ["2", "8"] {
        let more = read(&[&at("all.pcap"), "--workers", workers]);
        assert_eq!(more, whole, "{workers} workers");
    }
    assert_eq!(read(&[&at("even.pcap"), &at("odd.pcap")]), whole);
    // And from lines, which are another way in.
    bench.run(&[
        "read",
        &at("all.pcap"),
        "--format",
        "exchanges",
        "-o",
        &at("x.jsonl"),
    ]);
    let from_lines = bench.run(&["analyze", &at("x.jsonl"), "--format", "alerts"]);
    assert_eq!(ids(&alerts(&from_lines)), ids(&found));
}

#[test]
fn a_restart_amid_an_attack_loses_nothing_and_says_nothing_twice() {
    let bench = Bench::new();
    let calls = calls();
    let analyze = |name: &str, part: &[Call], state: &str| {
        let file = bench.write(name, &lines(part));
        let state = bench.path(state).display().to_string();
        alerts(&bench.run(&["analyze", &file, "--format", "alerts", "--state", &state]))
    };
    let whole = analyze("whole", &calls, "whole-state");
    // In the middle of the row of ids, and of the guesses.
    let attack = 2 * DAY * 1_000 + 36_000_000;
    let cuts = [attack + 80_000, attack + 3_600_000 + 80_000];
    let cuts = cuts.map(|ms| calls.partition_point(|c| c.ms < ms));
    let mut found = analyze("a", &calls[..cuts[0]], "state");
    found.extend(analyze("b", &calls[cuts[0]..cuts[1]], "state"));
    found.extend(analyze("c", &calls[cuts[1]..], "state"));
    for client in ["10.7.0.200", "10.7.0.201"] {
        assert!(by(&whole, client) > 0 && by(&found, client) > 0, "{client}");
    }
    let told: Vec<_> = found
        .iter()
        .map(|a| (a["id"].as_str(), a["revision"].as_u64()))
        .collect();
    let once: BTreeSet<_> = told.iter().collect();
    assert_eq!(once.len(), told.len(), "told twice: {told:?}");
    let fingerprints = |alerts: &[Value]| -> BTreeSet<String> {
        alerts
            .iter()
            .map(|a| a["fingerprint"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(fingerprints(&found), fingerprints(&whole));
}

#[test]
fn other_settings_are_tried_on_the_same_traffic() {
    let bench = Bench::new();
    let file = bench.write("x.jsonl", &lines(&calls()));
    let patient = bench.write("patient.toml", "[detect]\nlearning = \"30d\"\n");
    let same = bench.write("same.toml", "");
    let what_if = |config: &str, format: &str| {
        bench.run(&["analyze", &file, "--what-if", config, "--format", format])
    };
    let now = alerts(&bench.run(&["analyze", &file, "--format", "alerts"]));
    let verdict = |a: &Value| a["detector"] != "catalog" && a["principal"].is_object();
    let rings = |text: &str, how: &str| {
        let all = alerts(text);
        let these = all.iter().filter(|a| verdict(a) && a["what_if"] == how);
        these.count()
    };
    let text = what_if(&patient, "alerts");
    let all = now.iter().filter(|a| verdict(a)).map(|a| &a["id"]);
    let all = all.map(Value::to_string).collect::<BTreeSet<_>>().len();
    assert!(all > 1);
    assert_eq!(rings(&text, "only now"), all);
    assert_eq!(rings(&text, "both") + rings(&text, "only what-if"), 0);
    let text = what_if(&same, "alerts");
    assert_eq!((rings(&text, "both"), rings(&text, "only now")), (all, 0));
    assert!(what_if(&same, "summary").contains("the same alerts under both"));
    let told = what_if(&patient, "summary");
    assert!(
        told.contains("only now") && told.contains("10.7.0.200"),
        "{told}"
    );
}
