//! The flight recorder on a real mirror port (`support/network`): somebody walks over ids while sixty
//! others go on; what is saved of the alert is the walker's flows and nobody else's.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

#[path = "support/network.rs"]
mod network;

use network::{At, Network, SERVER, until};
use serde_json::Value;

const WALKER: &str = "10.99.7.2";
const OTHERS: u32 = 60;
const IDS: u32 = 400;

fn nginx(dir: &Path) -> String {
    let at = dir.display();
    let conf = format!(
        "daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes 1; events {{}}
http {{ access_log off; default_type application/json;
  client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
  server {{ listen {SERVER}:8080; location / {{ return 200 '{{\"id\":1}}'; }} }} }}"
    );
    let path = dir.join("nginx.conf");
    std::fs::write(&path, conf).unwrap();
    format!("nginx -c {} -p {at}", path.display())
}

fn urls(ids: impl Iterator<Item = u32>) -> String {
    ids.map(|id| format!("url = \"http://{SERVER}:8080/v1/orders/{id}\"\noutput = /dev/null\n"))
        .collect()
}

/// Each from an address of its own.
fn others(network: &Network, dir: &Path) {
    for n in 0..OTHERS {
        let own = dir.join("others");
        std::fs::write(&own, urls((0..3).map(|i| n * 100 + i))).unwrap();
        let line = format!(
            "curl -s --interface 10.99.7.{} -K {}",
            10 + n,
            own.display()
        );
        network.run(At::Client, &line).unwrap();
    }
}

fn tshark(file: &Path, filter: &str, field: &str) -> Option<Vec<String>> {
    let out = Command::new("tshark")
        .args([
            "-n",
            "-r",
            file.to_str()?,
            "-Y",
            filter,
            "-T",
            "fields",
            "-e",
            field,
        ])
        .output();
    let Ok(out) = out else {
        eprintln!("SKIPPED: tshark is missing; `make deps-test` installs it");
        return None;
    };
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8(out.stdout).unwrap();
    Some(text.lines().map(str::to_owned).collect())
}

#[test]
fn the_packets_of_an_alert_are_saved_and_nobody_elses() {
    let Some(mut network) = Network::up() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    for n in 0..OTHERS {
        let line = format!("ip addr add 10.99.7.{}/24 dev c0", 10 + n);
        network.run(At::Client, &line).unwrap();
    }
    network.spawn(At::Server, &nginx(dir.path()));
    let config = "[detect]\nlearning = \"0s\"\nfalse_alarms_per_week = 1000.0\n[evidence]\nring = \"16MiB\"\nseverity = \"medium\"\n";
    network.daemon(dir.path(), config);
    until("nginx", || {
        let warm = format!("curl -s http://{SERVER}:8080/warm --interface 10.99.7.10");
        network.run(At::Client, &warm).is_ok()
    });
    // Answers must be spread in time before they speak for an endpoint.
    until("an endpoint that is known", || {
        others(&network, dir.path());
        let known = network.api("/api/v1/endpoints");
        let mut known = known["items"].as_array().into_iter().flatten();
        known.any(|e| e["confirmed"] == true)
    });
    let walk = dir.path().join("walk");
    std::fs::write(&walk, urls(900_000..900_000 + IDS)).unwrap();
    network
        .run(At::Client, &format!("curl -s -K {}", walk.display()))
        .unwrap();
    others(&network, dir.path());
    let mut alert = Value::Null;
    until("an alert with its packets", || {
        let all = network.api("/api/v1/alerts?kind=enumeration");
        let walkers = all["items"].as_array().into_iter().flatten().find(|a| {
            let saved = dir.path().join(format!(
                "state/evidence/{}.pcapng",
                a["id"].as_str().unwrap()
            ));
            a["principal"]["client"] == WALKER && saved.exists()
        });
        alert = walkers.cloned().unwrap_or_default();
        alert.is_object()
    });
    let id = alert["id"].as_str().unwrap();
    let kept = dir.path().join(format!("state/evidence/{id}.pcapng"));
    let mode = std::fs::metadata(&kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let file = dir.path().join("taken.pcapng");
    let page = network
        .run(
            At::Mirror,
            &format!("curl -sf http://127.0.0.1:8650/alerts/{id}"),
        )
        .unwrap();
    assert!(
        page.contains(&format!("/api/v1/alerts/{id}/packets")),
        "{page}"
    );
    let head = network
        .run(
            At::Mirror,
            &format!(
                "curl -sf -D - -o {} http://127.0.0.1:8650/api/v1/alerts/{id}/packets",
                file.display()
            ),
        )
        .unwrap()
        .to_lowercase();
    assert!(
        head.contains("content-disposition: attachment; filename="),
        "{head}"
    );
    assert!(head.contains("x-content-type-options: nosniff"), "{head}");
    assert!(std::fs::read(&file).unwrap() == std::fs::read(&kept).unwrap());
    let none = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8650/api/v1/alerts/..%2f..%2fidentity/packets";
    assert_eq!(network.run(At::Mirror, none).unwrap(), "404");
    let metrics = network
        .run(At::Mirror, "curl -sf http://127.0.0.1:8650/metrics")
        .unwrap();
    assert!(
        !metrics.contains("apitap_evidence_packets_total 0\n"),
        "{metrics}"
    );
    network.end();

    // Ours reads it: requests of the walk, as many as the alert knew of at least, and of no one else.
    let out = Command::new(env!("CARGO_BIN_EXE_apitap"))
        .arg("read")
        .arg(&file)
        .args(["--format", "exchanges"])
        .env("XDG_STATE_HOME", dir.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8(out.stdout).unwrap();
    let read: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert!(read.iter().all(|x| x["client"] == WALKER), "{text}");
    let paths: BTreeSet<&str> = read.iter().filter_map(|x| x["path"].as_str()).collect();
    assert!(
        paths.iter().all(|p| p.starts_with("/v1/orders/9")),
        "{paths:?}"
    );
    let observed = alert["observed"].as_f64().unwrap();
    assert!(
        paths.len() as f64 >= observed * 0.9,
        "{} of {observed}",
        paths.len()
    );
    // And so does Wireshark: each frame is the walker's.
    let all = tshark(&file, "frame", "frame.number");
    let own = tshark(
        &file,
        &format!("ip.addr == {WALKER} && ip.addr == {SERVER} && tcp.port == 8080"),
        "frame.number",
    );
    assert!(all == own && all.is_none_or(|all| all.len() > 2 * paths.len()));
    let uris = tshark(&file, "http.request", "http.request.uri");
    let uris: Option<BTreeSet<String>> = uris.map(|u| u.into_iter().collect());
    assert!(uris.is_none_or(|u| u.iter().map(String::as_str).eq(paths)));
}
