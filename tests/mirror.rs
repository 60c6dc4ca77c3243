//! A real mirror port: nginx in one network namespace, a client in another, `tc mirred` copying
//! both directions onto a veth, and the daemon in a third at its far end. What apitap reports must
//! be nginx's own access log, and nothing may be sent into the mirror.
//!
//! Needs root, iproute2, nginx and curl. Without root it is skipped, loudly; where
//! `APITAP_NEED_NETNS` is set (CI), it fails instead.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const NAMES: [&str; 3] = ["atap-c", "atap-s", "atap-m"];

fn sh(line: &str) -> Result<String, String> {
    let out = Command::new("sh")
        .args(["-ec", line])
        .output()
        .map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    if out.status.success() {
        Ok(text)
    } else {
        Err(format!(
            "`{line}`: {}",
            String::from_utf8_lossy(&out.stderr)
        ))
    }
}

/// Three namespaces, taken down when dropped.
struct Network {
    processes: Vec<Child>,
}

impl Network {
    fn new() -> Result<Self, String> {
        Self::down();
        sh(
            "for n in atap-c atap-s atap-m; do ip netns add $n; ip -n $n link set lo up; done
            ip -n atap-c link add c0 type veth peer name s0 netns atap-s
            ip -n atap-s link add m0 type veth peer name m1 netns atap-m
            ip -n atap-c addr add 10.99.7.2/24 dev c0; ip -n atap-s addr add 10.99.7.1/24 dev s0
            ip -n atap-c link set c0 up; ip -n atap-s link set s0 up
            # Nothing on the mirror link speaks of its own accord.
            for n in atap-s:m0 atap-m:m1; do
              ip netns exec ${n%:*} sh -c \"echo 1 > /proc/sys/net/ipv6/conf/${n#*:}/disable_ipv6\"
              ip -n ${n%:*} link set ${n#*:} arp off up
            done
            tc -n atap-s qdisc add dev s0 clsact
            tc -n atap-s filter add dev s0 ingress protocol all u32 match u32 0 0 action mirred egress mirror dev m0
            tc -n atap-s filter add dev s0 egress protocol all u32 match u32 0 0 action mirred egress mirror dev m0",
        )?;
        Ok(Self {
            processes: Vec::new(),
        })
    }

    fn spawn(&mut self, namespace: &str, line: &str) {
        let child = Command::new("ip")
            .args([
                "netns",
                "exec",
                namespace,
                "sh",
                "-ec",
                &format!("exec {line}"),
            ])
            .stdin(Stdio::null())
            .spawn();
        self.processes.push(child.unwrap());
    }

    fn down() {
        for name in NAMES {
            let _ = sh(&format!(
                "ip netns pids {name} 2>/dev/null | xargs -r kill -9; ip netns del {name} 2>/dev/null"
            ));
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for child in &mut self.processes {
            let _ = child.kill();
            let _ = child.wait();
        }
        Self::down();
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{what} did not come about"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn nginx(dir: &Path) -> String {
    let at = dir.display();
    let conf = format!(
        "daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes 1; events {{}}
http {{ log_format t '$request_method $request_uri $status'; access_log {at}/access.log t; default_type application/json;
  client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
  server {{ listen 10.99.7.1:8080; keepalive_requests 50;
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
            "url = \"http://10.99.7.1:8080{path}\"\noutput = /dev/null\n"
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

fn api(path: &str) -> serde_json::Value {
    let text = sh(&format!(
        "ip netns exec atap-m curl -sf http://127.0.0.1:8650{path}"
    ))
    .unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

#[test]
fn the_daemon_on_a_mirror_port_reports_the_access_log() {
    let needed = std::env::var_os("APITAP_NEED_NETNS").is_some();
    let mut network = match Network::new() {
        Ok(network) => network,
        Err(why) if !needed => {
            return eprintln!("SKIPPED: no network namespaces here (root is needed): {why}");
        }
        Err(why) => panic!("network namespaces are required here: {why}"),
    };
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    network.spawn("atap-s", &nginx(dir.path()));
    let config = format!(
        "[capture]\ninterfaces = [\"m1\"]\n[store]\npath = \"{at}/state\"\n[sensor]\nworkers = 2\nexchanges = \"{at}/exchanges\"\n"
    );
    std::fs::write(dir.path().join("apitap.toml"), config).unwrap();
    network.spawn(
        "atap-m",
        &format!(
            "{} run --config {at}/apitap.toml",
            env!("CARGO_BIN_EXE_apitap")
        ),
    );
    until("the daemon", || {
        sh("ip netns exec atap-m curl -sf http://127.0.0.1:8650/readyz").is_ok()
    });
    until("nginx", || {
        sh("ip netns exec atap-c curl -s http://10.99.7.1:8080/warm").is_ok()
    });
    std::fs::write(dir.path().join("urls"), traffic()).unwrap();
    for options in ["", "-X POST -d '{\"a\":1}'", "--http1.0", "-I"] {
        sh(&format!(
            "ip netns exec atap-c curl -s {options} -K {at}/urls >/dev/null"
        ))
        .unwrap();
    }
    // In parallel, too: eight connections at once.
    sh(&format!(
        "ip netns exec atap-c curl -s --parallel --parallel-max 8 -K {at}/urls >/dev/null"
    ))
    .unwrap();
    let log = std::fs::read_to_string(dir.path().join("access.log")).unwrap();
    let wanted = count(log.lines().map(str::to_owned));
    let total: u64 = wanted.values().sum();
    assert!(total >= 2_000, "{total} requests were answered");
    until("every exchange", || {
        api("/api/v1/sensor")["exchanges"].as_u64() >= Some(total)
    });
    let text = std::fs::read_to_string(dir.path().join("exchanges")).unwrap();
    let seen = count(text.lines().map(|line| {
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
    let sensor = api("/api/v1/sensor");
    assert_eq!(sensor["ledger"]["balanced"], true, "{sensor}");
    assert_eq!(sensor["ledger"]["dropped"]["kernel"], 0, "{sensor}");
    let endpoints = api("/api/v1/endpoints?q=users");
    let users = endpoints["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["template"] == "/api/v1/users/{user_id}" && e["method"] == "GET");
    assert!(users.is_some(), "{endpoints}");
    // Passive: nothing was ever sent into the mirror.
    let sent = sh("ip netns exec atap-m cat /sys/class/net/m1/statistics/tx_packets").unwrap();
    assert_eq!(sent.trim(), "0");
    // A SIGTERM drains, checkpoints and ends within five seconds; a restart goes on.
    let begun = Instant::now();
    sh("ip netns pids atap-m | xargs kill -TERM").unwrap();
    until("the end", || {
        sh("test -z \"$(ip netns pids atap-m)\"").is_ok()
    });
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    network.spawn(
        "atap-m",
        &format!(
            "{} run --config {at}/apitap.toml",
            env!("CARGO_BIN_EXE_apitap")
        ),
    );
    until("the daemon again", || {
        sh("ip netns exec atap-m curl -sf http://127.0.0.1:8650/readyz").is_ok()
    });
    let again = api("/api/v1/endpoints?q=users");
    assert_eq!(again["items"], endpoints["items"]);
    println!("{total} requests, all reported; kernel drops 0; mirror link sent 0 packets");
}
