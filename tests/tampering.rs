//! Attacks in real request data (the ATRDF set: an API of a shop, recorded with requests of six
//! kinds of attack), against what the catalogue learns of its ordinary requests.
//!
//! The set has half an hour of 1,027 ordinary requests and no addresses. Three fifths of them are
//! learnt from, replayed over four days as from twenty callers; the rest and all attacks are judged
//! by what is odd about each. Whole figures are printed. Two of the six kinds (LOG4J, cookie
//! injection) send their payload in header fields, which no record has: they are shown, not hidden.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use apitap::analysis::{Analysis, Settings};
use apitap::exchange::Exchange;
use apitap::time::Timestamp;
use flate2::read::GzDecoder;

const START: i64 = 1_767_571_200;
const DAY: i64 = 86_400;

/// What was recorded of one request: what it is, and the record of it.
fn recorded() -> Option<Vec<(String, Exchange)>> {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/detection/real/atrdf_d1.jsonl.gz");
    let Ok(packed) = std::fs::read(&file) else {
        eprintln!("SKIPPED: {} is absent", file.display());
        return None;
    };
    let mut text = String::new();
    GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    let read = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let target = line["url"].as_str().unwrap().splitn(4, '/').nth(3).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut x = Exchange::at(Timestamp::from_secs(START));
        x.method = Some(line["m"].as_str().unwrap().into());
        x.host = Some("shop.example".into());
        x.path = Some(format!("/{path}").into());
        x.query = (!query.is_empty()).then(|| query.into());
        x.status = line["st"].as_u64().map(|s| s as u16);
        x.response_bytes = line["clen"].as_str().and_then(|n| n.parse().ok());
        (line["label"].as_str().unwrap().to_owned(), x)
    };
    Some(text.lines().map(read).collect())
}

fn at(x: &Exchange, secs: i64, client: u8) -> Exchange {
    let ts = Timestamp::from_secs(START + secs);
    let mut x = x.clone();
    (x.ts, x.end, x.client) = (ts, ts, [10, 0, 0, client].into());
    x
}

#[test]
fn attacks_of_real_request_data() {
    let Some(all) = recorded() else { return };
    let usual: Vec<_> = all.iter().filter(|(label, _)| label == "Benign").collect();
    let (learnt, held): (Vec<_>, Vec<_>) = usual.iter().enumerate().partition(|(n, _)| n % 5 < 3);

    let mut analysis = Analysis::new(Settings::default());
    let mut alerts = Vec::new();
    let step = DAY / learnt.len() as i64;
    for day in 0..4 {
        for (n, (_, (_, x))) in learnt.iter().enumerate() {
            let x = at(x, day * DAY + n as i64 * step, (n % 20) as u8);
            analysis.apply(x.ts, &x, &mut alerts);
        }
        analysis.settle(&mut alerts);
    }
    alerts.clear();

    // Held-out ordinary requests of the same callers, and each kind of attack from an address.
    let mut odd: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let labels = [
        "Benign",
        "Cookie Injection",
        "Directory Traversal",
        "LOG4J",
        "Log Forging",
        "RCE",
        "SQL Injection",
    ];
    for (kind, label) in labels.into_iter().enumerate() {
        let of_kind = all.iter().filter(|(l, _)| l == label && label != "Benign");
        let benign = held
            .iter()
            .filter(|_| label == "Benign")
            .map(|(_, pair)| **pair);
        for (n, (_, x)) in of_kind.chain(benign).enumerate() {
            let client = if kind == 0 {
                (n % 20) as u8
            } else {
                200 + kind as u8
            };
            let x = at(x, 4 * DAY + kind as i64 * 7_200 + n as i64 * 15, client);
            let access = analysis.apply(x.ts, &x, &mut alerts);
            let count = odd.entry(label).or_default();
            count.0 += usize::from(access.oddities.iter().next().is_some());
            count.1 += 1;
        }
    }
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for alert in &alerts {
        let own = ["odd-parameters", "injection-probing"].contains(&alert.detector.as_str());
        let client = alert.principal.as_ref().and_then(|p| p.client.clone());
        if let Some(client) = client.filter(|_| own) {
            told.entry(client).or_default().push(alert.detector.clone());
        }
    }
    println!("requests that are odd, of those of a kind:");
    for (label, (n, of)) in &odd {
        println!(
            "  {label}: {n} of {of} ({:.1} %)",
            100.0 * *n as f64 / *of as f64
        );
    }
    println!("callers that an alert of tampering names: {told:?}");

    let share = |label: &str| odd[label].0 as f64 / odd[label].1 as f64;
    assert!(share("Benign") <= 0.02, "{odd:?}");
    for seen in ["Directory Traversal", "Log Forging", "SQL Injection", "RCE"] {
        assert!(share(seen) >= 0.9, "{seen}: {odd:?}");
    }
    // The set's remote code execution is two payloads, again and again: too few kinds for an alarm.
    let attackers = ["10.0.0.202", "10.0.0.204", "10.0.0.206"];
    assert_eq!(
        told.keys().map(String::as_str).collect::<Vec<_>>(),
        attackers
    );
}
