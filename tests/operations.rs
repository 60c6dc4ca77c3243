//! One path, many operations: from packets to the inventory, by the program itself.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use apitap::compose::{Conversation, Packet, write_pcap};
use apitap::time::Timestamp;

fn post(path: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: api.example\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Two rounds of every call, each on a connection of its own.
fn talk() -> Vec<Packet> {
    const JSON: &str = "Content-Type: application/json\r\n";
    let mut requests = Vec::new();
    for n in 0..120 {
        let body = serde_json::json!({
            "operationName": format!("Get{n}"),
            "variables": { "password": "hunter2" },
            "query": format!("query Get{n}($id: ID) {{ user(id: $id) {{ name }} }}"),
        });
        requests.push(post("/graphql", JSON, body.to_string().as_bytes()));
    }
    let coded = format!("{JSON}Content-Encoding: gzip\r\n");
    let body = gzip(br#"{"query":"mutation { addItem(name: \"hunter2\") { id } }"}"#);
    requests.push(post("/graphql", &coded, &body));
    for method in ["eth_call", "net_version"] {
        let body =
            format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":["hunter2"],"id":1}}"#);
        requests.push(post("/rpc", JSON, body.as_bytes()));
    }
    let envelope = |root: &str| {
        format!(
            "<e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\"><e:Body><{root}><p>hunter2</p></{root}></e:Body></e:Envelope>"
        )
    };
    for root in ["m:Find", "m:Delete"] {
        let soap = "Content-Type: application/soap+xml\r\n";
        requests.push(post("/soap", soap, envelope(root).as_bytes()));
    }
    requests.push(post("/plain", JSON, br#"{"query":"shoes"}"#));
    let mut packets = Vec::new();
    for (n, request) in requests.iter().chain(&requests).enumerate() {
        let at = Timestamp::from_secs(1_760_000_000 + n as i64);
        let client = format!("192.0.2.1:{}", 20_000 + n).parse().unwrap();
        let mut c = Conversation::open(client, "192.0.2.2:80".parse().unwrap(), at);
        c.segments(97);
        c.client(request).wait(Duration::from_millis(5)).server(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        );
        packets.extend(c.close());
    }
    packets
}

#[test]
fn hundreds_of_operations_are_hundreds_of_entries() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("talk.pcap");
    let mut bytes = Vec::new();
    write_pcap(&talk(), &mut bytes).unwrap();
    std::fs::write(&file, bytes).unwrap();
    let read = |format: &str, workers: &str| {
        let state = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_apitap"));
        let out = command
            .args(["read", "--format", format, "--workers", workers, "--state"])
            .args([state.path(), &file])
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap()
    };
    let inventory = read("inventory", "1");
    assert!(
        inventory == read("inventory", "3"),
        "workers change the inventory"
    );
    let entries: Vec<serde_json::Value> = inventory
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let found: BTreeSet<String> = entries
        .iter()
        .map(|e| {
            assert_eq!(
                (&e["confirmed"], &e["requests"]),
                (&true.into(), &2.into()),
                "{e}"
            );
            let text = |key: &str| e[key].as_str().unwrap_or("-").to_owned();
            [text("template"), text("operation_kind"), text("operation")].join(" ")
        })
        .collect();
    let mut expected: BTreeSet<String> = (0..120)
        .map(|n| format!("/graphql graphql query Get{n}"))
        .collect();
    let rest = [
        "/graphql graphql mutation {addItem}",
        "/rpc json-rpc eth_call",
        "/rpc json-rpc net_version",
        "/soap soap Find",
        "/soap soap Delete",
        "/plain - -",
    ];
    expected.extend(rest.map(str::to_owned));
    assert_eq!(found, expected);

    let exchanges = read("exchanges", "2");
    assert!(!exchanges.contains("hunter2") && exchanges.contains(r#""graphql_depth":2"#));
    let assignments = read("assignments", "2");
    assert!(
        assignments.contains("POST api.example /graphql query Get7\""),
        "{assignments}"
    );
    let openapi: serde_json::Value = serde_json::from_str(&read("openapi", "1")).unwrap();
    let listed = &openapi["paths"]["/graphql"]["post"]["x-apitap-operations"];
    assert_eq!(listed.as_array().unwrap().len(), 121);
}
