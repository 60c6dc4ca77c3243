//! What lies open, through the whole program: each finding once, each host one alert, whatever the
//! number of workers.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use apitap::compose::tls::{Session, certificate};
use apitap::compose::{Conversation, Packet, write_pcap};
use apitap::time::Timestamp;
use serde_json::Value;

const NOW: i64 = 1_760_000_000;
const DAY: i64 = 86_400;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(NOW + secs)
}

struct Wire {
    packets: Vec<Packet>,
    port: u16,
}

impl Wire {
    fn connect(&mut self, server: &str, secs: i64) -> Conversation {
        self.port += 1;
        let client = format!("10.0.0.9:{}", self.port).parse().unwrap();
        Conversation::open(client, server.parse().unwrap(), at(secs))
    }

    fn tls(&mut self, name: &str, version: u16, cipher: u16, ends: Option<i64>, secs: i64) {
        let mut talk = self.connect("10.0.0.2:443", secs);
        let session = Session {
            server_name: name,
            alpn: "http/1.1",
            version,
            cipher,
            certificate: ends.map(|days| certificate(at(days * DAY))),
        };
        session.speak(&mut talk, 500, 2_000);
        self.packets.extend(talk.close());
    }

    fn http(&mut self, path: &str, credential: &str, secs: i64) {
        let mut talk = self.connect("10.0.0.3:80", secs);
        let ask = format!("GET {path} HTTP/1.1\r\nHost: api.example\r\n{credential}\r\n\r\n");
        let answer =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        talk.exchange(&ask, Duration::from_millis(3), answer);
        self.packets.extend(talk.close());
    }
}

fn composed() -> Vec<Packet> {
    let mut wire = Wire {
        packets: Vec::new(),
        port: 40_000,
    };
    for n in 0..3 {
        wire.tls("old.example", 0x0301, 0x0005, None, n); // TLS 1.0, RSA, RC4
    }
    wire.tls("past.example", 0x0303, 0xc02f, Some(-1), 10);
    wire.tls("past.example", 0x0303, 0xc02f, Some(-1), 12);
    wire.tls("near.example", 0x0303, 0xc013, Some(20), 20); // CBC with SHA-1 is no finding
    wire.tls("fine.example", 0x0304, 0x1301, None, 30);
    for n in 0..3 {
        wire.http(
            "/v1/orders",
            "Authorization: Basic YW5uOnNlY3JldA==",
            40 + n,
        );
        wire.http("/v1/items", "Authorization: Bearer topsecret", 50 + n);
    }
    wire.packets.sort_by_key(|p| p.ts);
    wire.packets
}

fn read(file: &Path, args: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_apitap"))
        .arg("read")
        .arg(file)
        .args(args)
        .env("XDG_STATE_HOME", home.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn each_finding_is_shown_once_and_each_host_rings_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tls.pcap");
    write_pcap(&composed(), &mut std::fs::File::create(&file).unwrap()).unwrap();

    let alerts = read(&file, &["--format", "alerts"]);
    let told: Vec<[String; 4]> = lines(&alerts)
        .iter()
        .map(|a| {
            let text = |name: &str| a[name].as_str().unwrap().to_owned();
            [
                text("kind"),
                text("severity"),
                text("owasp"),
                text("summary"),
            ]
        })
        .collect();
    let ends = |days: i64| at(days * DAY).to_string();
    let expected = [
        [
            "medium",
            "API8:2023",
            "old.example:443 speaks TLS 1.0, and 1 more",
        ],
        [
            "medium",
            "API8:2023",
            &format!(
                "past.example:443 shows a certificate that expired at {}",
                ends(-1)
            ),
        ],
        [
            "low",
            "API8:2023",
            &format!(
                "near.example:443 shows a certificate that expires at {}",
                ends(20)
            ),
        ],
        [
            "medium",
            "API2:2023",
            "GET api.example /v1/orders is sent a user name with its password in clear",
        ],
    ]
    .map(|[severity, owasp, what]| ["exposure", severity, owasp, what].map(str::to_owned));
    assert_eq!(told, expected);

    let summary = read(&file, &[]);
    for row in [
        "old.example:443 speaks TLS 1.0  ",
        "old.example:443 uses TLS_RSA_WITH_RC4_128_SHA  ",
        "past.example:443 shows a certificate that expired",
        "past.example:443 shows a self-signed certificate",
        "near.example:443 shows a certificate that expires",
        "near.example:443 shows a self-signed certificate",
        "GET api.example /v1/orders is sent a user name with its password in clear",
        "GET api.example /v1/items is sent bearer tokens in clear",
        "Coverage: ",
        "in 4 TLS hosts that are not opened",
        "\n8 findings\n",
    ] {
        // Alerts say some of it again, in their own table.
        let part = summary.split(" alerts\n").next().unwrap();
        assert_eq!(part.matches(row).count(), 1, "{row}:\n{summary}");
    }
    assert!(!summary.contains("secret"), "{summary}");

    let inventory = lines(&read(&file, &["--format", "inventory"]));
    let found: Vec<(&str, u64)> = inventory
        .iter()
        .flat_map(|e| e["findings"].as_array().unwrap())
        .map(|f| (f["scheme"].as_str().unwrap(), f["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(found, [("bearer", 3), ("basic", 3)]);

    for workers in ["2", "5"] {
        let more = |format| read(&file, &["--workers", workers, "--format", format]);
        assert_eq!(more("alerts"), alerts, "{workers} workers");
        assert_eq!(more("summary"), summary, "{workers} workers");
    }
}

/// What `read` writes carries no more than it saw: a line that names no scheme is not in clear.
#[test]
fn lines_that_do_not_say_how_they_came_are_no_evidence() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lines.jsonl");
    let line = |n: u32, more: &str| {
        format!(
            r#"{{"ts":{n},"method":"GET","host":"api.example","path":"/a","status":200,"auth":"basic"{more}}}"#
        )
    };
    let analyze = |more: &str| {
        let text = (1..5).map(|n| line(n, more) + "\n").collect::<String>();
        std::fs::write(&file, text).unwrap();
        let out = Command::new(env!("CARGO_BIN_EXE_apitap"))
            .arg("analyze")
            .arg(&file)
            .args(["--format", "alerts"])
            .env("XDG_STATE_HOME", dir.path())
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        lines(&String::from_utf8(out.stdout).unwrap()).len()
    };
    assert_eq!(analyze(""), 0);
    assert_eq!(analyze(r#","scheme":"https""#), 0);
    assert_eq!(analyze(r#","scheme":"http""#), 1);
    assert_eq!(analyze(r#","scheme":"http","clear":false"#), 0);
    // A trusted proxy spoke for a client that used TLS.
    assert_eq!(analyze(r#","scheme":"https","via":"10.0.0.8""#), 0);
}
