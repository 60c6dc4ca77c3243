//! A real mirror port (`support/network`), nginx behind it: what apitap reports must be nginx's own
//! access log, its inventory must be the API, and a restart goes on with it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

#[path = "support/network.rs"]
mod network;

use network::{At, Network, SERVER, until};

fn nginx(dir: &Path) -> String {
    let at = dir.display();
    let conf = format!(
        "daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes 1; events {{}}
http {{ log_format t '$request_method $request_uri $status'; access_log {at}/access.log t; default_type application/json;
  client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
  server {{ listen {SERVER}:8080; keepalive_requests 50;
    location /api/v1/users {{ return 200 '{{\"id\":1}}'; }}
    location /api/v1/denied {{ return 403 '{{}}'; }}
    location /api/v1/big {{ return 200 '{}'; }}
    location / {{ return 404 '{{}}'; }} }} }}",
        "x".repeat(3_000)
    );
    let path = dir.join("nginx.conf");
    std::fs::write(&path, conf).unwrap();
    format!("nginx -c {} -p {at}", path.display())
}

/// Requests of several kinds over connections that are kept.
fn traffic() -> String {
    let mut config = String::new();
    for i in 0..400 {
        let path = match i % 8 {
            0..4 => format!("/api/v1/users/{}?page={}", i % 40, i),
            4 => "/api/v1/users".into(),
            5 => "/api/v1/denied/x".into(),
            6 => format!("/api/v1/big/{i}"),
            _ => format!("/nothing/{i}"),
        };
        config.push_str(&format!(
            "url = \"http://{SERVER}:8080{path}\"\noutput = /dev/null\n"
        ));
    }
    config
}

fn count(lines: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for line in lines {
        *all.entry(line).or_default() += 1;
    }
    all
}

#[test]
fn the_daemon_on_a_mirror_port_reports_the_access_log() {
    let Some(mut network) = Network::up() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    network.spawn(At::Server, &nginx(dir.path()));
    network.daemon(dir.path(), "");
    until("nginx", || {
        let warm = format!("curl -s http://{SERVER}:8080/warm");
        network.run(At::Client, &warm).is_ok()
    });
    std::fs::write(dir.path().join("urls"), traffic()).unwrap();
    for options in [
        "",
        "-X POST -d '{\"a\":1}'",
        "--http1.0",
        "-I",
        // Eight connections at once.
        "--parallel --parallel-max 8",
    ] {
        let line = format!("curl -s {options} -K {at}/urls >/dev/null");
        network.run(At::Client, &line).unwrap();
    }
    let log = std::fs::read_to_string(dir.path().join("access.log")).unwrap();
    let wanted = count(log.lines().map(str::to_owned));
    let total: u64 = wanted.values().sum();
    assert!(total >= 2_000, "{total} requests were answered");
    until("every exchange", || {
        let sensor = network.api("/api/v1/sensor");
        sensor["ledger"]["stages"]["exchange"]["analysed"].as_u64() >= Some(total)
    });
    let endpoints = network.api("/api/v1/endpoints?q=users");
    let users = endpoints["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["template"] == "/api/v1/users/{user_id}" && e["method"] == "GET");
    assert!(users.is_some(), "{endpoints}");
    network.end();
    let lines = std::fs::read_to_string(dir.path().join("exchanges")).unwrap();
    let seen = count(lines.lines().map(|line| {
        let x: serde_json::Value = serde_json::from_str(line).unwrap();
        let query = x["query"]
            .as_str()
            .map(|q| format!("?{q}"))
            .unwrap_or_default();
        format!(
            "{} {}{query} {}",
            x["method"].as_str().unwrap(),
            x["path"].as_str().unwrap(),
            x["status"]
        )
    }));
    assert_eq!(seen, wanted);
    network.daemon(dir.path(), "");
    let again = network.api("/api/v1/endpoints?q=users");
    assert_eq!(again["items"], endpoints["items"]);
}
