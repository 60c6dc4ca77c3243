//! People who browse must not cost packets: steady traffic through a real mirror port, first alone, then
//! while fifty clients walk the pages and hold the live stream. Each request that nginx answered must be
//! an exchange in both, and nothing may have been dropped.
//!
//! `make bench-browse` is the same with 100,000 endpoints; its figures are for the README.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[path = "support/network.rs"]
mod network;

use network::{At, Network, SERVER, missing, until};

const CLIENTS: usize = 50;
/// Between a client's requests, in milliseconds, from when the last was answered.
const PAUSE: u32 = 1_000;
/// Connections that ask the server, each as often as this allows: some 2,000 requests a second.
const CALLERS: usize = 64;
const BETWEEN: u32 = 32;

/// Pages as people walk them; one endpoint's page comes as well.
const PAGES: &[&str] = &[
    "/",
    "/endpoints",
    "/endpoints?q=method:get+users",
    "/endpoints?sort=requests",
    "/endpoints?view=tree",
    "/incidents",
    "/alerts",
    "/findings",
    "/owasp",
    "/principals",
    "/specs",
    "/coverage",
    "/sensor",
    "/settings",
    "/api/v1/endpoints?limit=200",
];

fn nginx(dir: &Path) -> String {
    let at = dir.display();
    let conf = format!(
        "daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes 1; events {{}}
http {{ log_format t '$status'; access_log {at}/access.log t buffer=64k flush=1s; default_type application/json;
  client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
  server {{ listen {SERVER}:8080; keepalive_requests 1000000; keepalive_timeout 300s;
    location / {{ return 200 '{{\"id\":1,\"email\":\"someone@example.com\",\"text\":\"$arg_text\"}}'; }} }} }}",
    );
    let path = dir.join("nginx.conf");
    std::fs::write(&path, conf).unwrap();
    format!("nginx -c {} -p {at}", path.display())
}

/// As wrk's script: one endpoint after the other, 400 a host. What is given to whatever is asked is no
/// endpoint, so that each answers with a length of its own.
fn calls(endpoints: usize) -> String {
    format!(
        r#"
local methods = {{"GET", "POST", "PUT", "PATCH", "DELETE"}}
local nouns = {{"users", "orders", "invoices", "payments", "carts", "items", "sessions", "devices", "reports", "teams",
  "projects", "messages", "files", "events", "prices", "offers", "ratings", "claims", "routes", "keys"}}
local n = -1
function delay() return {BETWEEN} end
function request()
  n = (n + 1) % {endpoints}
  local at = n % 400
  local path = "/v" .. (1 + math.floor(at / 100)) .. "/" .. nouns[1 + math.floor(at / 5) % 20]
  local host = "api-" .. math.floor(n / 400) .. ".example.com"
  path = path .. "?text=" .. string.rep("x", n * 7919 % 509)
  return wrk.format(methods[1 + at % 5], path, {{["Host"] = host, ["User-Agent"] = "orders/2.1"}})
end
"#
    )
}

fn walk(pages: &[String]) -> String {
    let pages: Vec<String> = pages.iter().map(|p| format!("{p:?}")).collect();
    let pages = pages.join(", ");
    format!(
        r#"
local pages = {{{pages}}}
local n = 0
function delay() return {PAUSE} end
function request()
  n = n + 1
  return wrk.format("GET", pages[1 + n % #pages], {{["Host"] = "127.0.0.1:8650", ["Accept"] = "text/html, */*;q=0.5"}})
end
"#
    )
}

fn wrk(script: &Path, connections: usize, seconds: u64, url: &str) -> String {
    let script = script.display();
    format!(
        "wrk -t1 -c{connections} -d{seconds}s --timeout 10s --latency -s {script} http://{url}/"
    )
}

/// Bad answers and lost connections are lines of wrk's own.
fn is_sound(told: &str) -> bool {
    !told.contains("Non-2xx") && !told.contains("Socket errors")
}

/// Lines of nginx's log, once it has written all.
fn answered(dir: &Path) -> u64 {
    let log = dir.join("access.log");
    let count = || std::fs::read(&log).map_or(0, |all| all.iter().filter(|b| **b == b'\n').count());
    let mut last = count();
    loop {
        std::thread::sleep(Duration::from_millis(2_500));
        let now = count();
        if now == last {
            return now as u64;
        }
        last = now;
    }
}

/// Of all requests until now: an exchange each. Returns their number.
fn all_seen(network: &Network, dir: &Path) -> u64 {
    let total = answered(dir);
    let of =
        |sensor: &serde_json::Value| sensor["ledger"]["stages"]["exchange"]["analysed"].as_u64();
    until("every exchange", || {
        of(&network.api("/api/v1/sensor")) >= Some(total)
    });
    let sensor = network.api("/api/v1/sensor");
    assert_eq!(of(&sensor), Some(total), "{sensor}");
    assert_eq!(sensor["ledger"]["dropped"]["kernel"], 0, "{sensor}");
    total
}

#[test]
fn fifty_who_browse_cost_no_packet() {
    if Command::new("wrk").arg("-v").output().is_err() {
        return missing("wrk");
    }
    let Some(mut network) = Network::up() else {
        return;
    };
    let number = |name: &str, other| std::env::var(name).map_or(other, |n| n.parse().unwrap());
    let endpoints = number("BROWSE_ENDPOINTS", 4_000);
    let seconds = number("BROWSE_SECONDS", 6) as u64;
    let dir = tempfile::tempdir().unwrap();
    network.spawn(At::Server, &nginx(dir.path()));
    network.daemon(dir.path(), "");
    let script = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let server = format!("{SERVER}:8080");
    let steady = script("calls.lua", &calls(endpoints));
    // Each endpoint several times, so that the inventory takes it for one.
    let fill = (endpoints as u64 * 3 * u64::from(BETWEEN)).div_ceil(CALLERS as u64 * 1_000) + 2;
    let calls = |seconds| wrk(&steady, CALLERS, seconds, &server);
    until("nginx", || {
        network
            .run(At::Client, &format!("curl -s http://{server}/"))
            .is_ok()
    });
    network.run(At::Client, &calls(fill)).unwrap();
    let filled = all_seen(&network, dir.path());

    let alone = network.run(At::Client, &calls(seconds)).unwrap();
    assert!(is_sound(&alone), "{alone}");
    let unwatched = all_seen(&network, dir.path()) - filled;

    let first = network.api("/api/v1/endpoints?limit=1");
    let mut pages: Vec<String> = PAGES.iter().map(|p| (*p).to_owned()).collect();
    let key = first["items"][0]["key"].as_str();
    let key = key.unwrap_or_else(|| panic!("no endpoint: {first}"));
    pages.push(format!("/endpoints/{key}"));
    let walk = script("walk.lua", &walk(&pages));
    for _ in 0..CLIENTS {
        let live = format!(
            "curl -sN --max-time {} -o /dev/null http://127.0.0.1:8650/live",
            seconds + 2
        );
        network.spawn(At::Mirror, &live);
    }
    let browse = wrk(&walk, CLIENTS, seconds + 1, "127.0.0.1:8650");
    let (busy, browsed) = std::thread::scope(|both| {
        let browsed = both.spawn(|| network.run(At::Mirror, &browse).unwrap());
        let busy = network.run(At::Client, &calls(seconds)).unwrap();
        (busy, browsed.join().unwrap())
    });
    assert!(is_sound(&busy), "{busy}");
    assert!(is_sound(&browsed), "{browsed}");
    let watched = all_seen(&network, dir.path()) - filled - unwatched;
    let found = network.api("/api/v1/endpoints?limit=1")["total"].clone();
    println!(
        "{found} endpoints; in {seconds} s {unwatched} exchanges alone, {watched} beside {CLIENTS} clients, 0 packets dropped\n\
         what the clients saw:\n{browsed}"
    );
    assert!(
        watched * 2 > unwatched,
        "the server itself came to a halt: {busy}"
    );
    network.end();
}
