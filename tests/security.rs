//! What endpoints demand and what their answers give away, through the whole program: verdicts,
//! findings and alerts, and no secret in any output.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use apitap::compose::{Conversation, Packet, write_pcap};
use apitap::time::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

const NOW: i64 = 1_760_000_000;

/// None of these may get out.
const SECRETS: [&str; 9] = [
    "t0psecret",
    "k3yinheader",
    "k3yinquery",
    "c00kievalue",
    "Tr0ub4dor",
    "ann@mail.example",
    "10.9.8.7",
    "/var/www/shop",
    "E-424242",
];

fn jwt(header: &str, claims: &str) -> String {
    let b64 = |s: &str| URL_SAFE_NO_PAD.encode(s);
    format!("{}.{}.{}", b64(header), b64(claims), b64("signature"))
}

struct Wire {
    packets: Vec<Packet>,
    port: u16,
}

impl Wire {
    fn call(&mut self, ask: &str, status: &str, headers: &str, body: &str) {
        self.port += 1;
        let client = format!("10.0.0.9:{}", self.port).parse().unwrap();
        let at = Timestamp::from_secs(NOW + i64::from(self.port - 40_000));
        let mut talk = Conversation::open(client, "10.0.0.3:80".parse().unwrap(), at);
        let (line, fields) = ask.split_once('\n').unwrap_or((ask, ""));
        let fields = fields.lines().map(|l| format!("{l}\r\n"));
        let ask = format!(
            "{line} HTTP/1.1\r\nHost: api.example\r\n{}\r\n",
            fields.collect::<String>()
        );
        let answer = format!(
            "HTTP/1.1 {status}\r\nServer: nginx/1.18.0\r\n{headers}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        talk.exchange(&ask, Duration::from_millis(3), &answer);
        self.packets.extend(talk.close());
    }
}

fn composed() -> Vec<Packet> {
    let mut wire = Wire {
        packets: Vec::new(),
        port: 40_000,
    };
    let json = "Content-Type: application/json";
    let mail = r#"{"mail":"ann@mail.example","staff":"E-424242"}"#;
    let times = |exp: i64| format!(r#"{{"iss":"i","sub":"42","iat":{NOW},"exp":{exp}}}"#);
    let good = jwt(r#"{"alg":"RS256"}"#, &times(NOW + 3_600));
    let over = jwt(r#"{"alg":"RS256"}"#, &times(NOW - 3_600));
    let secret = r#"{"sub":"42","exp":9999999999,"password":"Tr0ub4dor"}"#;
    let none = jwt(r#"{"alg":"None"}"#, secret);
    let sql = "ERROR: syntax error at or near \"t0psecret\"";
    let trace = "Traceback (most recent call last):\n  File \"/var/www/shop/a.py\", line 3, in f\n    x\nKeyError: 'x'\n10.9.8.7:5432";
    for _ in 0..6 {
        wire.call(
            &format!("GET /v1/mine\nAuthorization: Bearer {good}"),
            "200 OK",
            json,
            "{}",
        );
        wire.call("GET /v1/people", "200 OK", json, mail);
        wire.call("GET /v1/half\nX-Api-Key: k3yinheader", "200 OK", json, mail);
        wire.call("GET /v1/half", "200 OK", json, mail);
        wire.call("GET /v1/keyed?api_key=k3yinquery", "200 OK", json, "{}");
        wire.call(
            "GET /v1/page\nCookie: sid=c00kievalue",
            "200 OK",
            json,
            "{}",
        );
    }
    for _ in 0..2 {
        wire.call(
            &format!("GET /v1/old\nAuthorization: Bearer {over}"),
            "200 OK",
            json,
            "{}",
        );
        wire.call(
            &format!("GET /v1/forged\nAuthorization: Bearer {none}"),
            "200 OK",
            json,
            "{}",
        );
        wire.call(
            "GET /v1/broken\nAuthorization: Bearer t0psecret",
            "200 OK",
            json,
            "{}",
        );
        let error = serde_json::json!({ "message": sql }).to_string();
        wire.call(
            "GET /v1/broken\nAuthorization: Bearer t0psecret",
            "500 Oops",
            json,
            &error,
        );
        let html = format!("<html><pre>{trace}</pre></html>");
        wire.call(
            "GET /v1/broken\nAuthorization: Bearer t0psecret",
            "500 Oops",
            "Content-Type: text/html",
            &html,
        );
    }
    wire.packets
}

/// Reads under one identity key, so that callers have one name.
fn read(file: &Path, config: &Path, args: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("identity.key");
    std::fs::write(&key, [7; 32]).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_apitap"))
        .arg("read")
        .arg(file)
        .arg("--config")
        .arg(config)
        .arg("--identity-key")
        .arg(&key)
        .args(args)
        .env("XDG_STATE_HOME", home.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8(out.stdout).unwrap();
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} got out: {args:?} {text}");
    }
    text
}

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines.map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn verdicts_findings_and_alerts_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let (file, config) = (dir.path().join("a.pcap"), dir.path().join("apitap.toml"));
    write_pcap(&composed(), &mut std::fs::File::create(&file).unwrap()).unwrap();
    let rule =
        "[[catalog.sensitive]]\nclass = \"staff\"\nfield = \"^staff$\"\nvalue = \"^E-[0-9]+$\"\n";
    std::fs::write(&config, rule).unwrap();

    for format in ["exchanges", "summary", "openapi", "ledger"] {
        read(&file, &config, &["--format", format]);
    }
    let inventory = read(&file, &config, &["--format", "inventory"]);
    let mut seen = Vec::new();
    for e in lines(&inventory) {
        let template = e["template"].as_str().unwrap();
        let verdict = e["auth_verdict"].as_str().unwrap();
        let kinds = e["findings"].as_array().into_iter().flatten();
        let kinds = kinds.filter(|f| f["kind"] != "credentials-in-clear");
        let kinds = kinds.map(|f| {
            let text = |name: &str| f[name].as_str().unwrap();
            format!(" {}:{}", text("kind"), text("severity"))
        });
        seen.push(format!("{template} {verdict}{}", kinds.collect::<String>()));
        if template == "/v1/people" {
            let classes = e["sensitive"].as_array().unwrap().iter();
            let classes: Vec<_> = classes.map(|s| s["class"].as_str().unwrap()).collect();
            assert_eq!(classes, ["custom:staff", "pii:email"]);
        }
        if template == "/v1/keyed" {
            let places = &e["auth_schemes"][0];
            assert_eq!(
                (&places["place"], &places["scheme"]),
                (&"query:api_key".into(), &"apikey".into())
            );
            let clear = &e["findings"][0];
            assert_eq!(
                (&clear["kind"], &clear["scheme"]),
                (&"credentials-in-clear".into(), &"query".into())
            );
        }
    }
    let expected = [
        "/v1/broken consistent stack-trace:medium sql-error:high internal-address:low file-path:low",
        "/v1/forged consistent jwt-none:critical jwt-long-life:low jwt-secret-claim:medium",
        "/v1/half mixed mixed-authentication:high",
        "/v1/keyed consistent",
        "/v1/mine consistent",
        "/v1/old consistent jwt-expired-accepted:high",
        "/v1/page consistent",
        "/v1/people missing no-authentication:high",
    ];
    assert_eq!(seen, expected);

    let alerts = read(&file, &config, &["--format", "alerts"]);
    let mut told: Vec<String> = (lines(&alerts).iter())
        .map(|a| {
            format!(
                "{} {}",
                a["detector"].as_str().unwrap(),
                a["owasp"].as_str().unwrap()
            )
        })
        .collect();
    told.sort();
    let expected = [
        "catalog-authentication API2:2023",
        "catalog-credentials API2:2023",
        "catalog-errors API8:2023",
        "catalog-tokens API2:2023",
    ];
    assert_eq!(told, expected);
    for workers in ["2", "3"] {
        let other = read(
            &file,
            &config,
            &["--format", "inventory", "--workers", workers],
        );
        assert_eq!(other, inventory);
    }
}
