//! Long-lived connections and proxies through the whole program: what `read` prints of them, and
//! that `analyze` makes the same inventory of those lines.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use apitap::compose::{Conversation, Packet, write_pcap};
use apitap::time::Timestamp;
use serde_json::Value;

const PROXY: &str = "10.0.0.9";

fn apitap(args: &[&str]) -> Vec<Value> {
    let out = Command::new(env!("CARGO_BIN_EXE_apitap"))
        .args(args)
        .env(
            "XDG_STATE_HOME",
            std::env::temp_dir().join("apitap-sessions-tests"),
        )
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {err}");
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn open(from: &str, port: u16, minute: i64) -> Conversation {
    let at = Timestamp::from_secs(1_760_000_000 + minute * 60);
    let client = format!("{from}:{port}").parse().unwrap();
    Conversation::open(client, "10.0.0.1:80".parse().unwrap(), at)
}

/// Masked with zeros, which leaves the text as it is.
fn up(first: u8, text: &[u8]) -> Vec<u8> {
    [&[first, 0x80 | text.len() as u8, 0, 0, 0, 0], text].concat()
}

fn down(first: u8, text: &[u8]) -> Vec<u8> {
    [&[first, text.len() as u8], text].concat()
}

fn socket(port: u16, minute: i64) -> Vec<Packet> {
    let mut talk = open("198.51.100.7", port, minute);
    talk.exchange(
        "GET /v1/live HTTP/1.1\r\nHost: api.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        Duration::from_millis(3),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    );
    for _ in 0..30 {
        talk.wait(Duration::from_secs(60));
        talk.client(&up(0x81, b"{\"ask\":1}"))
            .server(&down(0x81, b"{}"));
    }
    talk.client(&up(0x88, b"\x03\xe8"))
        .server(&down(0x88, b"\x03\xe8"));
    talk.close()
}

fn feed(port: u16, minute: i64) -> Vec<Packet> {
    let mut talk = open("198.51.100.8", port, minute);
    talk.exchange(
        "GET /v1/feed HTTP/1.1\r\nHost: api.example\r\n\r\n",
        Duration::from_millis(3),
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
    );
    for _ in 0..10 {
        talk.wait(Duration::from_secs(30)).server(b"data: 1\n\n");
    }
    talk.server_ends();
    talk.close()
}

/// Says something once, and then nothing for an hour.
fn silent(port: u16, minute: i64) -> Vec<Packet> {
    let mut talk = open("198.51.100.9", port, minute);
    talk.exchange(
        "GET /v1/quiet HTTP/1.1\r\nHost: api.example\r\nUpgrade: websocket\r\n\r\n",
        Duration::from_millis(3),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    );
    talk.client(&up(0x81, b"{}"));
    talk.wait(Duration::from_secs(3_000));
    talk.close()
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A header block of literals, with names and values as they are.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let literal = |(name, value): &(&str, &str)| {
        let text = |t: &str| [&[t.len() as u8], t.as_bytes()].concat();
        [vec![0], text(name), text(value)].concat()
    };
    fields.iter().flat_map(literal).collect()
}

/// RFC 8441.
fn on_http2(port: u16, minute: i64) -> Vec<Packet> {
    let mut talk = open("198.51.100.10", port, minute);
    let ask = block(&[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/v2/live"),
        (":authority", "api.example"),
    ]);
    let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    talk.client(&[hello, &frame(4, 0, 0, b"")[..]].concat())
        .server(&frame(4, 0, 0, b"\0\x08\0\0\0\x01"))
        .client(&frame(1, 4, 1, &ask))
        .server(&frame(1, 4, 1, &block(&[(":status", "200")])))
        .client(&frame(0, 0, 1, &up(0x81, b"{}")))
        .client(&frame(0, 1, 1, &up(0x88, b"\x03\xe8")))
        .server(&frame(0, 1, 1, &down(0x88, b"\x03\xe8")));
    talk.close()
}

fn proxied(port: u16, minute: i64) -> Vec<Packet> {
    let mut talk = open(PROXY, port, minute);
    talk.client(b"PROXY TCP4 203.0.113.7 10.0.0.1 50000 80\r\n");
    talk.exchange(
        "GET /v1/orders HTTP/1.1\r\nHost: api.example\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
        Duration::from_millis(3),
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    );
    talk.close()
}

fn capture(dir: &Path) -> String {
    let mut packets = Vec::new();
    for n in 0..2 {
        packets.extend(socket(40_000 + n, i64::from(n)));
        packets.extend(feed(41_000 + n, i64::from(n)));
        packets.extend(silent(43_000 + n, i64::from(n)));
        packets.extend(on_http2(44_000 + n, i64::from(n)));
        packets.extend(proxied(42_000 + n, i64::from(n)));
    }
    packets.sort_by_key(|p| p.ts);
    let path = dir.join("sessions.pcap");
    write_pcap(&packets, &mut std::fs::File::create(&path).unwrap()).unwrap();
    path.display().to_string()
}

fn sessions(inventory: &[Value]) -> Vec<(String, u64, Value)> {
    let of = |e: &Value| {
        let template = e["template"].as_str().unwrap().to_owned();
        (
            template,
            e["requests"].as_u64().unwrap(),
            e["sessions"].clone(),
        )
    };
    inventory.iter().map(of).collect()
}

#[test]
fn connections_that_stay_open_are_counted_and_are_no_requests() {
    let dir = tempfile::tempdir().unwrap();
    let file = capture(dir.path());
    let lines = apitap(&["read", &file, "--format", "exchanges"]);
    let requests = lines.iter().filter(|l| l.get("method").is_some());
    assert_eq!(requests.count(), 10);
    let sockets: Vec<_> = lines.iter().filter(|l| l["type"] == "websocket").collect();
    assert!(
        sockets.len() >= 6,
        "half an hour is several records: {sockets:?}"
    );
    assert!(
        sockets
            .iter()
            .all(|l| l.get("method").is_none() && l.get("status").is_none())
    );
    let sum = |key: &str| sockets.iter().filter_map(|l| l[key].as_u64()).sum::<u64>();
    assert_eq!((sum("messages_up"), sum("messages_down")), (64, 60));
    assert_eq!((sum("bytes_up"), sum("bytes_down")), (548, 120));
    let quiet: Vec<_> = sockets
        .iter()
        .filter(|l| l["path"] == "/v1/quiet")
        .map(|l| (l["messages_up"].as_u64(), l["over"].as_bool()))
        .collect();
    let (told, over) = ((Some(1), None), (Some(0), Some(true)));
    assert_eq!(
        quiet,
        [told, told, over, over],
        "told in time, not at the end"
    );
    let early = lines.iter().filter(|l| l["open"] == true).count();
    assert_eq!(early, 2, "a feed of five minutes is shown after one");

    let inventory = apitap(&["read", &file, "--format", "inventory"]);
    let told = sessions(&inventory);
    let of = |template: &str| told.iter().find(|(t, _, _)| t == template).unwrap();
    let (_, requests, live) = of("/v1/live");
    assert_eq!((*requests, &live[0]["sessions"]), (2, &2.into()));
    assert_eq!(live[0]["up"]["messages"], 60);
    assert_eq!(live[0]["closes"]["1000"], 2);
    let (_, requests, live) = of("/v2/live");
    assert_eq!((*requests, &live[0]["sessions"]), (2, &2.into()));
    assert_eq!(live[0]["closes"]["1000"], 2);
    let (_, requests, feed) = of("/v1/feed");
    assert_eq!((*requests, &feed[0]["down"]["messages"]), (2, &20.into()));
    assert_eq!(feed[0]["over"], 2);

    let schema = |inventory: &[Value]| {
        let live = inventory.iter().find(|e| e["template"] == "/v1/live");
        live.unwrap()["schema"].clone()
    };
    let learned = schema(&inventory);
    let asked = &learned["request"]["fields"];
    assert_eq!(asked["/ask"], "integer required", "{learned}");
    assert_eq!(learned["responses"]["1xx"]["fields"][""], "object");

    let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
    let saved = dir.path().join("lines.jsonl");
    std::fs::write(&saved, text).unwrap();
    let saved = saved.display().to_string();
    let again = apitap(&["analyze", &saved, "--format", "inventory"]);
    assert_eq!(sessions(&again), told);
    assert_eq!(schema(&again), learned);

    let ledger = &apitap(&["read", &file, "--format", "ledger"])[0];
    assert_eq!(ledger["balanced"], true);
    assert_eq!(ledger["stages"]["session"]["analysed"], 120 + 20 + 4);
    assert_eq!(
        ledger["stages"]["exchange"]["in"],
        Value::from(lines.len() as u64)
    );
}

#[test]
fn workers_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = capture(dir.path());
    let read = |workers: &str| {
        let mut lines: Vec<String> =
            apitap(&["read", &file, "--format", "exchanges", "--workers", workers])
                .iter()
                .map(Value::to_string)
                .collect();
        lines.sort();
        lines
    };
    assert_eq!(read("1"), read("3"));
}

#[test]
fn a_proxy_is_believed_where_the_config_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = capture(dir.path());
    let clients = |config: &str| -> Vec<(String, Option<String>)> {
        let path = dir.path().join("apitap.toml");
        std::fs::write(&path, config).unwrap();
        let path = path.display().to_string();
        let lines = apitap(&["read", &file, "--format", "exchanges", "--config", &path]);
        let text = |v: &Value| v.as_str().map(str::to_owned);
        lines
            .iter()
            .filter(|l| l["path"] == "/v1/orders")
            .map(|l| (text(&l["client"]).unwrap(), text(&l["via"])))
            .collect()
    };
    let believed = clients(&format!("[sensor]\ntrusted_proxies = [\"{PROXY}\"]\n"));
    let through = ("203.0.113.7".to_owned(), Some(PROXY.to_owned()));
    assert_eq!(believed, [through.clone(), through]);
    let direct = (PROXY.to_owned(), None);
    assert_eq!(clients(""), [direct.clone(), direct]);
}
