//! Schemas from packets to the inventory and the OpenAPI document, by the program itself.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use apitap::compose::{Conversation, Packet, write_pcap};
use apitap::time::Timestamp;
use serde_json::{Value, json};

fn message(start: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{start}\r\nHost: api.example\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn order(n: usize) -> Value {
    let states = ["OPEN", "PAID", "SENT"];
    let mut order = json!({
        "id": n, "mail": format!("ann{n}@secret.example"), "status": states[n % 3],
        "items": [{ "sku": "a b", "n": 1 }], "note": n.is_multiple_of(2).then_some("hunter2 said"),
        "by": { format!("user_{}", 10_000 + n): { "at": "2026-11-26T10:00:00Z" } },
    });
    if n.is_multiple_of(4) {
        order["gift"] = json!(true);
    }
    order
}

/// `rounds` of each call, on connections of some requests each.
fn talk(rounds: usize) -> Vec<Packet> {
    const JSON: &str = "Content-Type: application/json\r\n";
    let mut packets = Vec::new();
    for n in 0..rounds {
        let at = Timestamp::from_secs(1_760_000_000 + n as i64);
        let client = format!("192.0.2.{}:{}", n % 9 + 1, 20_000 + n);
        let server = "192.0.2.200:80".parse().unwrap();
        let mut c = Conversation::open(client.parse().unwrap(), server, at);
        c.segments(97);
        let body = order(n).to_string();
        let coded = format!("{JSON}Content-Encoding: gzip\r\n");
        let proto = "Content-Type: application/x-protobuf\r\n";
        let calls = [
            (
                message(
                    &format!("POST /orders?dry={} HTTP/1.1", n % 2 == 0),
                    &format!("X-Tenant: t{n}\r\n{JSON}"),
                    body.as_bytes(),
                ),
                message(
                    "HTTP/1.1 201 Created",
                    &format!("X-Cost: 1\r\n{JSON}"),
                    body.as_bytes(),
                ),
            ),
            (
                message(
                    &format!("PATCH /orders/{n} HTTP/1.1"),
                    &coded,
                    &gzip(br#"{"note":null}"#),
                ),
                message("HTTP/1.1 200 OK", &coded, &gzip(body.as_bytes())),
            ),
            (
                message("POST /orders HTTP/1.1", JSON, br#"{"wrong":1}"#),
                message("HTTP/1.1 422 No", JSON, br#"{"error":"x y"}"#),
            ),
            (
                message(
                    "POST /events HTTP/1.1",
                    proto,
                    b"\x08\x96\x01\x1a\x03\x08\x96\x01",
                ),
                message("HTTP/1.1 204 No", "", b""),
            ),
        ];
        for (ask, answer) in calls {
            c.client(&ask)
                .wait(Duration::from_millis(5))
                .server(&answer);
        }
        packets.extend(c.close());
    }
    packets
}

fn apitap(dir: &Path, args: &[&str], file: &Path) -> String {
    let state = tempfile::tempdir_in(dir).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_apitap"))
        .args(args)
        .arg("--state")
        .args([state.path(), file])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{complaint}");
    String::from_utf8(out.stdout).unwrap()
}

fn capture(dir: &Path, rounds: usize) -> PathBuf {
    let file = dir.join(format!("{rounds}.pcap"));
    let mut bytes = Vec::new();
    write_pcap(&talk(rounds), &mut bytes).unwrap();
    std::fs::write(&file, bytes).unwrap();
    file
}

#[test]
fn what_messages_are_made_of_is_learned() {
    let dir = tempfile::tempdir().unwrap();
    let file = capture(dir.path(), 100);
    let inventory = apitap(dir.path(), &["read", "--format", "inventory"], &file);
    let of = |method: &str, template: &str| -> Value {
        let all = inventory
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let mut all = all.filter(|e: &Value| e["method"] == method && e["template"] == template);
        all.next().unwrap()
    };
    let post = of("POST", "/orders");
    let body = json!({
        "": "object", "/by": "object required", "/by/*": "object",
        "/by/*/at": "string date-time required", "/gift": "boolean", "/id": "integer required",
        "/items": "array required", "/items/*": "object", "/items/*/n": "integer required",
        "/items/*/sku": "string required", "/mail": "string email required pii:email",
        "/note": "string nullable required", "/status": "string required",
    });
    assert_eq!(post["schema"]["request"]["fields"], body);
    assert_eq!(post["schema"]["responses"]["2xx"]["fields"], body);
    let sensitive: Vec<_> = post["sensitive"].as_array().unwrap().iter().collect();
    let place = |s: &Value| {
        (
            s["direction"].clone(),
            s["place"].clone(),
            s["pointer"].clone(),
        )
    };
    let mail = |direction: &str| (direction.into(), "body".into(), "/mail".into());
    assert_eq!(place(sensitive[0]), mail("request"));
    assert_eq!(place(sensitive[1]), mail("response"));
    assert!(
        sensitive
            .iter()
            .all(|s| s["class"] == "pii:email" && s["count"].as_u64() > Some(0))
    );
    let refused = &post["schema"]["responses"]["4xx"]["fields"];
    assert_eq!(
        *refused,
        json!({ "": "object", "/error": "string required" })
    );
    assert_eq!(
        post["schema"]["query"]["fields"]["/dry"],
        "boolean required"
    );
    assert_eq!(
        post["schema"]["request_headers"]["fields"]["/x-tenant"],
        "string required"
    );
    assert_eq!(
        post["schema"]["response_headers"]["2xx"]["fields"]["/x-cost"],
        "string required"
    );
    let patch = of("PATCH", "/orders/{order_id}");
    assert_eq!(
        patch["schema"]["request"]["fields"]["/note"],
        "nullable required"
    );
    assert_eq!(patch["schema"]["responses"]["2xx"]["fields"], body);
    let parameter = &patch["path_parameters"][0];
    assert_eq!(
        (&parameter["name"], &parameter["types"]),
        (&json!("order_id"), &json!(["integer"]))
    );

    let openapi: Value =
        serde_json::from_str(&apitap(dir.path(), &["read", "--format", "openapi"], &file)).unwrap();
    let post = &openapi["paths"]["/orders"]["post"];
    let schema = &post["responses"]["201"]["content"]["application/json"]["schema"];
    assert_eq!(
        schema["properties"]["note"]["type"],
        json!(["string", "null"])
    );
    assert_eq!(
        schema["properties"]["status"]["enum"],
        json!(["OPEN", "PAID", "SENT"])
    );
    assert_eq!(
        schema["properties"]["items"]["items"]["required"],
        json!(["n", "sku"])
    );
    let entries = &schema["properties"]["by"]["additionalProperties"];
    assert_eq!(entries["properties"]["at"]["format"], "date-time");
    let dry =
        json!({ "name": "dry", "in": "query", "required": true, "schema": { "type": "boolean" } });
    assert!(
        post["parameters"].as_array().unwrap().contains(&dry),
        "{post}"
    );
    let events = &openapi["paths"]["/events"]["post"]["requestBody"]["content"];
    let fields =
        json!({ "1": "varint required", "3": "object|len required", "3/1": "varint required" });
    assert_eq!(
        events["application/x-protobuf"]["x-protobuf-fields"],
        fields
    );
}

#[test]
fn no_value_is_kept_and_lines_say_as_much_as_packets() {
    let dir = tempfile::tempdir().unwrap();
    let file = capture(dir.path(), 12);
    let lines = apitap(dir.path(), &["read", "--format", "exchanges"], &file);
    for value in [
        "hunter2",
        "secret.example",
        "10003",
        "user_",
        "a b",
        "2026-11-26",
    ] {
        assert!(!lines.contains(value), "{value}");
    }
    assert!(lines.contains("\"/mail\":\"string email pii:email\""));
    let saved = dir.path().join("lines.jsonl");
    std::fs::write(&saved, lines).unwrap();
    let from_lines = apitap(dir.path(), &["analyze", "--format", "inventory"], &saved);
    let from_packets = apitap(dir.path(), &["read", "--format", "inventory"], &file);
    let schemas = |text: &str| -> Vec<Value> {
        let all = text
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).unwrap());
        all.map(|e| e["schema"].clone()).collect()
    };
    assert_eq!(schemas(&from_lines), schemas(&from_packets));
}

/// More calls than are looked into.
#[test]
fn what_is_looked_into_does_not_depend_on_the_workers() {
    let dir = tempfile::tempdir().unwrap();
    let file = capture(dir.path(), 1_500);
    let read = |workers: &str| {
        let args = ["read", "--format", "exchanges", "--workers", workers];
        apitap(dir.path(), &args, &file)
    };
    let one = read("1");
    assert!(one == read("3"), "workers change the records");
    let orders = || one.lines().filter(|l| l.contains("\"path\":\"/orders\""));
    let looked = orders().filter(|l| l.contains("response_shape")).count();
    assert!(
        looked > 500 && looked < orders().count() * 9 / 10,
        "{looked}"
    );
}
