//! Real peers over a real mirror port (`support/network`): nginx with curl and h2load, in clear and
//! over every kind of TLS; gRPC; WebSocket; GraphQL and server-sent events. Each server logs what it
//! served in lines like apitap's own (`peers/`); apitap's lines must say the same, no more, no less.
//!
//! `make peers-deps` installs those from PyPI into `target/peers`.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

#[path = "support/network.rs"]
mod network;

use network::{At, Network, SERVER, comes_about, missing, until};

/// What is compared of every exchange; a field that a peer does not have it must not have either.
const COMMON: &str =
    "protocol scheme method host path query status request_bytes response_bytes partial anomalies";

/// A network with the daemon in it, and a folder for what the peers need and log.
struct Bench {
    network: Network,
    dir: tempfile::TempDir,
}

impl Bench {
    fn up() -> Option<Self> {
        let network = Network::up()?;
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display().to_string();
        let mut bench = Self { network, dir };
        for (name, kind) in [
            ("rsa", "rsa:2048"),
            ("ecdsa", "ec -pkeyopt ec_paramgen_curve:P-256"),
        ] {
            bench.call(&format!(
                "openssl req -x509 -newkey {kind} -nodes -days 2 -subj /CN={SERVER} -keyout {name}.key -out {name}.pem 2>&1"
            ));
        }
        bench.network.daemon(
            bench.dir.path(),
            &format!("[tls]\nkey_logs = [\"{at}/keys\"]\nprivate_keys = [\"{at}/rsa.key\"]\n"),
        );
        Some(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn serve(&mut self, line: &str, ports: &[u16]) {
        self.network.spawn(At::Server, line);
        for port in ports {
            let listens = format!("ss -Hltn sport = :{port} | grep -q .");
            until(line, || self.network.run(At::Server, &listens).is_ok());
        }
    }

    /// Runs a client; what it prints.
    fn call(&self, line: &str) -> String {
        let at = self.dir.path().display();
        let called = self.network.run(At::Client, &format!("cd {at}; {line}"));
        called.unwrap_or_else(|why| panic!("{why}"))
    }

    /// Starts a peer's program and has it called; how many lines there are to be, by the client.
    fn program(&mut self, name: &str, ports: &[u16], serve: &str, call: &str) -> Option<usize> {
        let python = python()?;
        let at = self.dir.path().display();
        let program = format!("{python} {}/{name}", peers().display());
        let address = format!("{SERVER}:{}", ports[0]);
        self.serve(
            &format!("{program} serve {address} {at}/access.log {serve}"),
            ports,
        );
        let said = self.call(&format!("{program} call {address} {call}"));
        Some(said.trim().parse().unwrap())
    }

    /// The peers' log and apitap's lines come to say the same, and still do when the daemon has
    /// drained.
    fn agree(&self, fields: &str, expected: usize) -> Vec<Value> {
        let served = || lines(&self.path("access.log"));
        let seen = || lines(&self.path("exchanges"));
        comes_about(|| {
            let served = served();
            served.len() == expected && differences(&served, &seen(), fields).is_empty()
        });
        self.network.end();
        let served = served();
        let found = differences(&served, &seen(), fields);
        assert!(found.is_empty(), "{}", found.join("\n"));
        assert_eq!(served.len(), expected);
        served
    }
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

/// The interpreter that has what `requirements.txt` names.
fn python() -> Option<String> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/bin/python");
    if !python.exists() {
        missing(&format!(
            "{} (`make peers-deps` makes it)",
            python.display()
        ));
        return None;
    }
    Some(python.display().to_string())
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The last line may be half written.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    whole.lines().map(parse).collect()
}

/// Empty where there is none.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What one side has and the other lacks. A peer says `?` of what it cannot know of a path.
fn differences(served: &[Value], seen: &[Value], fields: &str) -> Vec<String> {
    let fields: Vec<&str> = COMMON.split(' ').chain(fields.split_whitespace()).collect();
    let path = |row: &Value| text(&row["path"]);
    let unknown: BTreeSet<(String, &str)> = served
        .iter()
        .flat_map(|row| fields.iter().map(move |field| (row, *field)))
        .filter(|(row, field)| row[field] == "?")
        .map(|(row, field)| (path(row), field))
        .collect();
    let mut balance: BTreeMap<String, i64> = BTreeMap::new();
    for (rows, one) in [(served, 1), (seen, -1)] {
        for row in rows {
            let words = fields
                .iter()
                .filter(|field| !unknown.contains(&(path(row), **field)))
                .map(|field| (field, text(&row[*field])))
                .filter(|(_, text)| !text.is_empty())
                .map(|(field, text)| format!("{field}={text} "));
            *balance.entry(words.collect()).or_default() += one;
        }
    }
    let unequal = balance.into_iter().filter(|(_, n)| *n != 0);
    let say = |(row, n): (String, i64)| match n {
        1.. => format!("{n} only the peer has: {row}"),
        _ => format!("{} only apitap has: {row}", -n),
    };
    unequal.map(say).collect()
}

/// Starts nginx in the bench's folder.
fn nginx(bench: &mut Bench) {
    let at = bench.dir.path().display().to_string();
    for name in ["nginx.conf", "locations.conf"] {
        std::fs::copy(peers().join(name), bench.path(name)).unwrap();
    }
    bench.call("openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048 -out dh.pem");
    std::fs::create_dir_all(bench.path("api/v1/files")).unwrap();
    std::fs::write(bench.path("api/v1/files/large"), "y".repeat(100_000)).unwrap();
    bench.serve(
        &format!("nginx -p {at} -c {at}/nginx.conf -e {at}/error.log"),
        &[8079, 8080, 8081, 8440, 8441, 8442, 8443, 8444],
    );
}

const PATHS: [&str; 8] = [
    "users/1",
    "users/2?page=2&sort=name",
    "denied",
    "moved",
    "gone",
    "files/large",
    "uploads/1",
    "nothing/here",
];

/// Calls all paths by one process of curl; how many there are.
fn curl(bench: &Bench, command: &str, base: &str, paths: &[&str]) -> usize {
    let urls = paths
        .iter()
        .map(|path| format!(" -o /dev/null '{base}/api/v1/{path}'"));
    bench.call(&format!("{command} -sSk{}", urls.collect::<String>()));
    paths.len()
}

/// Calls all paths over two connections, many streams at once. (curl 7.88 cannot use a connection
/// twice that began as HTTP/2 in clear.)
fn h2load(bench: &Bench, command: &str, base: &str, paths: &[&str]) -> usize {
    let calls = 2 * 8 * paths.len();
    let urls = paths.iter().map(|path| format!(" '{base}/api/v1/{path}'"));
    bench.call(&format!(
        "{command} -n {calls} -c 2 -m 20{}",
        urls.collect::<String>()
    ));
    calls
}

#[test]
fn nginx_in_clear() {
    let Some(mut bench) = Bench::up() else {
        return;
    };
    nginx(&mut bench);
    let (one, two) = (
        format!("http://{SERVER}:8080"),
        format!("http://{SERVER}:8081"),
    );
    let six = "http://[fd00:99:7::1]:8080";
    // Longer than a segment, a frame or a window. What answers early may get only a part.
    let (large, uploads) = (
        "--data-binary @api/v1/files/large",
        ["uploads/1", "uploads/2?a=b"],
    );
    let mut calls = 0;
    for kind in [
        "",
        "--head",
        "-X DELETE",
        "-r 10-99",
        "--json '{\"name\":\"a\"}'",
    ] {
        for way in [
            "",
            "--http1.0",
            "--parallel",
            "--http2",
            "-H 'Connection: close'",
        ] {
            calls += curl(&bench, &format!("curl {kind} {way}"), &one, &PATHS);
        }
        calls += curl(&bench, &format!("curl {kind}"), six, &PATHS);
    }
    for way in ["", "--http1.0", "--parallel", "-H 'Expect: 100-continue'"] {
        calls += curl(&bench, &format!("curl {large} {way}"), &one, &uploads);
    }
    let chunked = format!("curl {large} -H 'Transfer-Encoding: chunked'");
    calls += curl(
        &bench,
        &chunked,
        &one,
        &["uploads/chunked", "uploads/chunked"],
    );
    for kind in [
        "",
        "-H ':method: HEAD'",
        "-H ':method: DELETE'",
        "-H 'range: bytes=10-99'",
    ] {
        calls += h2load(&bench, &format!("h2load {kind}"), &two, &PATHS);
    }
    calls += h2load(&bench, "h2load -d apitap.toml", &two, &PATHS);
    calls += h2load(&bench, "h2load -d api/v1/files/large", &two, &uploads);
    let served = bench.agree("user_agent", calls);
    let used: BTreeSet<String> = served.iter().map(|row| text(&row["protocol"])).collect();
    assert_eq!(
        used,
        ["http/1.0", "http/1.1", "http/2"].map(str::to_owned).into()
    );
}

/// The suites of this OpenSSL. Camellia and ARIA are not read, and NULL hides nothing.
fn suites(bench: &Bench, version: &str, of: &str) -> Vec<String> {
    let none = "!aNULL:!eNULL:!PSK:!CAMELLIA:!ARIA:@SECLEVEL=0";
    let list = bench.call(&format!("openssl ciphers -s {version} '{of}:{none}'"));
    list.trim().split(':').map(str::to_owned).collect()
}

#[test]
fn nginx_over_tls() {
    let Some(mut bench) = Bench::up() else {
        return;
    };
    nginx(&mut bench);
    let mut calls = 0;
    let with_keys = "SSLKEYLOGFILE=keys curl";
    let mut over = |command: &str, port: u16, query: &str| {
        let base = format!("https://{SERVER}:{port}");
        let paths = ["users/1", "files/large", "gone", "uploads/1"].map(|p| format!("{p}?{query}"));
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let upload = format!("{command} --data-binary @api/v1/files/large");
        calls += curl(&bench, command, &base, &paths);
        calls += curl(&bench, &upload, &base, &paths[3..]);
    };
    // Every suite, with either version of HTTP; the servers' private key where it suffices.
    for suite in suites(&bench, "-tls1_2", "ECDHE:DHE+aRSA") {
        for http in ["--http1.1", "--http2"] {
            let command = format!("{with_keys} {http} --ciphers {suite}:@SECLEVEL=0");
            over(&command, 8440, &suite);
        }
    }
    for suite in suites(&bench, "-tls1_2", "kRSA") {
        for port in [8441, 8442] {
            over(&format!("curl --ciphers {suite}:@SECLEVEL=0"), port, &suite);
        }
    }
    for suite in TLS13 {
        for http in ["--http1.1", "--http2"] {
            over(
                &format!("{with_keys} {http} --tls13-ciphers {suite}"),
                8443,
                suite,
            );
        }
    }
    let certified = format!("{with_keys} --cert ecdsa.pem --key ecdsa.key");
    over(&certified, 8444, "");
    // Nothing long: what a session sends before its keys are read is held within a bound.
    let short = ["users/1", "denied", "moved", "gone"];
    let (load, base) = (
        "SSLKEYLOGFILE=keys h2load",
        format!("https://{SERVER}:8443"),
    );
    calls += h2load(&bench, load, &base, &short);
    // Sessions that are resumed, by each of their means.
    for (port, keys) in [(8440, WITH_LOG), (8441, ""), (8442, ""), (8443, WITH_LOG)] {
        calls += resumed(&bench, &format!("{SERVER}:{port} {keys}"), "");
    }
    calls += resumed(
        &bench,
        &format!("{SERVER}:8443 {WITH_LOG}"),
        "-early_data request",
    );
    let served = bench.agree("user_agent", calls);
    for row in &served {
        let [query, cipher] = ["query", "cipher"].map(|key| text(&row[key]));
        assert!(query.is_empty() || query == cipher, "{row}");
    }
    let ports_with = |key: &str, value: &str| -> BTreeSet<u64> {
        let with = served.iter().filter(|row| row[key] == value);
        with.filter_map(|row| row["server_port"].as_u64()).collect()
    };
    assert_eq!(ports_with("resumed", "r"), [8440, 8441, 8442, 8443].into());
}

const TLS13: [&str; 5] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_CCM_SHA256",
    "TLS_AES_128_CCM_8_SHA256",
];

const WITH_LOG: &str = "-keylogfile keys";

/// A request in one session, and one in the same on another connection; as early data it comes
/// before the handshake is over (RFC 8446, section 2.3). (curl 7.88 has no luck with tickets.)
fn resumed(bench: &Bench, server: &str, early: &str) -> usize {
    let request = "GET /api/v1/users/1 HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n";
    std::fs::write(bench.path("request"), request).unwrap();
    let client = format!("openssl s_client -ign_eof -connect {server}");
    bench.call(&format!("{client} -sess_out session < request 2>&1"));
    let input = if early.is_empty() {
        "request"
    } else {
        "/dev/null"
    };
    let said = bench.call(&format!("{client} -sess_in session {early} < {input} 2>&1"));
    assert_eq!(
        said.contains("Early data was accepted"),
        !early.is_empty(),
        "{said}"
    );
    2
}

#[test]
fn grpc() {
    let Some(mut bench) = Bench::up() else {
        return;
    };
    let Some(calls) = bench.program("grpc_calls.py", &[50_051], "", "") else {
        return;
    };
    bench.agree(
        "rpc grpc_status request_messages response_messages request_message_bytes response_message_bytes",
        calls,
    );
}

#[test]
fn websocket() {
    let Some(mut bench) = Bench::up() else {
        return;
    };
    let at = bench.dir.path().display();
    let (serve, call) = (format!("{at}/rsa.pem {at}/rsa.key"), format!("{at}/keys"));
    let Some(calls) = bench.program("websocket_talks.py", &[8_090, 8_091], &serve, &call) else {
        return;
    };
    bench.agree(
        "type opened_by messages_up messages_down bytes_up bytes_down compressed_up compressed_down pings pongs close over lossy",
        calls,
    );
}

#[test]
fn graphql_and_events() {
    let Some(mut bench) = Bench::up() else {
        return;
    };
    let Some(calls) = bench.program("graphql_queries.py", &[8_070], "", "") else {
        return;
    };
    bench.agree(
        "content_type operation_kind operation operations graphql_depth graphql_aliases graphql_fields type opened_by messages_up messages_down bytes_up bytes_down over lossy",
        calls,
    );
}
