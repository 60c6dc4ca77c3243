//! An alert's filters, given to the programs that they are for: they find the attack's packets and no
//! others. Skipped, loudly, where tcpdump or tshark is missing.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use apitap::compose::tunnel::Wrap;
use apitap::compose::{Conversation, Packet, write_pcap};
use apitap::time::Timestamp;
use apitap::web::{self, SavedView, Views};
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::Value;
use tower::ServiceExt;

/// A Monday.
const START: i64 = 1_767_571_200;
const DAYS: i64 = 3;
const ATTACK: i64 = START + DAYS * 86_400;
const SERVER: &str = "10.1.0.10:8080";
const ATTACKER: &str = "203.0.113.66";

/// Numbers from a fixed seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

fn talk(client: &str, port: u16, at: Timestamp, token: &str, ids: &[u64]) -> Vec<Packet> {
    let client = format!("{client}:{port}").parse().unwrap();
    let mut talk = Conversation::open(client, SERVER.parse().unwrap(), at);
    for id in ids {
        let ask = format!(
            "GET /v1/orders/{id} HTTP/1.1\r\nHost: api.shop.example\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"id\":1}";
        talk.exchange(&ask, Duration::from_millis(5), answer);
        talk.wait(Duration::from_millis(10));
    }
    talk.close()
}

/// Days of ordinary use by forty callers, the attacker among them; then a walk over ids by it, while
/// others go on. The attack's packets by themselves.
fn world() -> (Vec<Packet>, Vec<Packet>) {
    let (mut dice, mut packets) = (Dice(7), Vec::new());
    let mut port = 20_000;
    for caller in 0..40_u64 {
        let client = match caller {
            0 => ATTACKER.to_owned(),
            n => format!("198.51.100.{n}"),
        };
        for _ in 0..DAYS * 8 {
            let at = START + dice.roll(DAYS as u64 * 86_400) as i64;
            let ids: Vec<u64> = (0..1 + dice.roll(5))
                .map(|_| caller * 1_000 + dice.roll(8))
                .collect();
            port = if port == 60_000 { 20_000 } else { port + 1 };
            let at = Timestamp::from_secs(at);
            packets.extend(talk(&client, port, at, &format!("token{caller}"), &ids));
        }
    }
    let mut attack = Vec::new();
    for n in 0..5_u64 {
        let at = Timestamp::from_secs(ATTACK + 60 + n as i64);
        let ids: Vec<u64> = (0..50).map(|i| 700_000 + n * 50 + i).collect();
        attack.extend(talk(ATTACKER, 61_000 + n as u16, at, "token0", &ids));
        packets.extend(talk(
            "198.51.100.9",
            62_000 + n as u16,
            at,
            "token9",
            &[9_001],
        ));
    }
    packets.extend(attack.clone());
    packets.sort_by_key(|p| p.ts);
    (packets, attack)
}

fn config(dir: &Path) -> PathBuf {
    let path = dir.join("apitap.toml");
    let text =
        "[detect]\nlearning = \"1d\"\nfalse_alarms_per_week = 20.0\n[catalog]\nlearning = \"1d\"\n";
    std::fs::write(&path, text).unwrap();
    path
}

fn alerts(command: &str, dir: &Path, file: &Path) -> Vec<Value> {
    let out = Command::new(env!("CARGO_BIN_EXE_apitap"))
        .arg(command)
        .arg(file)
        .args(["--format", "alerts", "--config"])
        .arg(config(dir))
        .env("XDG_STATE_HOME", dir)
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn save(dir: &Path, name: &str, packets: &[Packet]) -> PathBuf {
    let path = dir.join(name);
    write_pcap(packets, &mut std::fs::File::create(&path).unwrap()).unwrap();
    path
}

fn there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("SKIPPED: {program} is missing; `make deps-test` installs it");
    }
    found
}

/// Frames (from 1) that a display filter takes.
fn tshark(file: &Path, filter: &str) -> Vec<usize> {
    let out = Command::new("tshark")
        .args(["-n", "-r", file.to_str().unwrap(), "-Y", filter])
        .args(["-T", "fields", "-e", "frame.number"])
        .output()
        .unwrap();
    assert!(out.status.success(), "{filter}: {out:?}");
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().map(|l| l.parse().unwrap()).collect()
}

/// The bytes of a savefile with what a capture filter takes.
fn tcpdump(file: &Path, filter: &str) -> Vec<u8> {
    let out = Command::new("tcpdump")
        .args(["-n", "-r", file.to_str().unwrap(), "-w", "-", filter])
        .output()
        .unwrap();
    assert!(out.status.success(), "{filter}: {out:?}");
    out.stdout
}

/// What lies behind a savefile's header.
fn records(packets: &[Packet]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_pcap(packets, &mut bytes).unwrap();
    bytes.split_off(24)
}

fn numbers(all: &[Packet], some: impl Fn(&Packet) -> bool) -> Vec<usize> {
    let taken = all.iter().enumerate().filter(|(_, p)| some(p));
    taken.map(|(i, _)| i + 1).collect()
}

fn text(alert: &Value, name: &str) -> String {
    alert["evidence"][name].as_str().unwrap().to_owned()
}

/// The walk's alert, the last time that it was told.
fn walk(all: &[Value]) -> &Value {
    let mut found = all.iter().filter(|a| {
        a["kind"] == "enumeration"
            && a["principal"]["client"] == ATTACKER
            && a["endpoint"] == "GET api.shop.example /v1/orders/{order_id}"
    });
    found.next_back().unwrap_or_else(|| panic!("{all:#?}"))
}

#[test]
fn the_filters_find_the_attack_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (packets, attack) = world();
    let file = save(dir.path(), "plain.pcap", &packets);
    let all = alerts("read", dir.path(), &file);
    let alert = walk(&all);
    assert_eq!(alert["evidence"]["more"], false, "{alert}");
    let parts: Vec<&str> = alert["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert!(
        parts.contains(&"bar_log10_p") && parts.contains(&"log10_p"),
        "{alert}"
    );
    let of_attacker = |p: &Packet| p.data.windows(4).any(|w| w == [203, 0, 113, 66]);
    if there("tcpdump") {
        // It knows no time: what the attacker did before is there too.
        let own: Vec<Packet> = packets.iter().filter(|p| of_attacker(p)).cloned().collect();
        assert!(own.len() > attack.len());
        let found = tcpdump(&file, &text(alert, "bpf"));
        assert!(found[24..] == records(&own), "{} bytes", found.len());
    }
    if there("tshark") {
        let during = numbers(&packets, |p| {
            of_attacker(p) && p.ts >= Timestamp::from_secs(ATTACK)
        });
        assert_eq!(during.len(), attack.len());
        assert_eq!(tshark(&file, &text(alert, "tshark")), during);
        assert_eq!(tshark(&file, &text(alert, "requests")).len(), 250);
    }
}

#[test]
fn inside_a_tunnel_the_network_is_found_by_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let (packets, attack) = world();
    let mut both: Vec<Packet> = packets
        .iter()
        .map(|p| Packet {
            ts: p.ts,
            data: Wrap::Vxlan.encapsulate(&p.data),
        })
        .collect();
    let inside = both.clone();
    // Outside of it are others.
    let at = Timestamp::from_secs(ATTACK + 62);
    both.extend(talk("198.51.100.77", 40_000, at, "token77", &[1]));
    both.sort_by_key(|p| p.ts);
    let file = save(dir.path(), "vxlan.pcap", &both);
    let all = alerts("read", dir.path(), &file);
    let alert = walk(&all);
    if there("tcpdump") {
        let found = tcpdump(&file, &text(alert, "bpf"));
        let wanted = records(&inside);
        let differ = found[24..].iter().zip(&wanted).position(|(a, b)| a != b);
        assert!(
            found[24..] == wanted,
            "{} bytes of {}, the first other at {differ:?}",
            found.len() - 24,
            wanted.len()
        );
    }
    if there("tshark") {
        let found = tshark(&file, &text(alert, "tshark"));
        assert_eq!(found.len(), attack.len());
        assert_eq!(tshark(&file, &text(alert, "requests")).len(), 250);
    }
}

/// A caller of IPv6 that changes its address within its /64, a template with what no filter may
/// hold, and many callers together: tcpdump and tshark take what is made of them.
#[test]
fn filters_of_every_form_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let lines = dir.path().join("lines.jsonl");
    let (mut dice, mut calls) = (Dice(3), Vec::new());
    let line = |ts: f64, client: String, path: String, status: u16| {
        let host = "api.example";
        format!(
            r#"{{"ts":{ts:.3},"client":"{client}","server":"fd00::1","server_port":443,"method":"GET","host":"{host}","path":"{path}","status":{status}}}"#
        )
    };
    let start = START as f64;
    for _ in 0..4_000 {
        let at = start + dice.roll(DAYS as u64 * 86_400_000) as f64 / 1_000.0;
        let caller = dice.roll(60);
        let path = format!("/v1/a(b)/'x'|&/{}", caller * 50 + dice.roll(9));
        calls.push((at, line(at, format!("2001:db8:1:{caller:x}::1"), path, 200)));
    }
    let attack = ATTACK as f64 + 60.0;
    for i in 0..400 {
        let at = attack + f64::from(i) * 0.01;
        let path = format!("/v1/a(b)/'x'|&/{}", 900_000 + i);
        calls.push((
            at,
            line(at, format!("2001:db8:0:5::{:x}", i % 16 + 1), path, 200),
        ));
    }
    for i in 0..3_000 {
        let at = attack + 600.0 + f64::from(i) * 0.01;
        let path = format!("/v1/a(b)/'x'|&/{}", i % 500);
        calls.push((
            at,
            line(at, format!("2001:db8:2:{:x}::1", i % 250), path, 200),
        ));
    }
    calls.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all: Vec<String> = calls.into_iter().map(|(_, line)| line + "\n").collect();
    std::fs::write(&lines, all.concat()).unwrap();
    let all = alerts("analyze", dir.path(), &lines);
    let with: Vec<&Value> = all.iter().filter(|a| a["evidence"].is_object()).collect();
    let of = |has: &str| with.iter().find(|a| text(a, "bpf").contains(has));
    let net = of("net 2001:db8:0:5::/64 and host fd00::1 and tcp port 443");
    assert!(net.is_some(), "{all:#?}");
    let together = with
        .iter()
        .find(|a| a["principal"].is_null() && text(a, "bpf") == "host fd00::1 and tcp port 443");
    assert!(together.is_some(), "{all:#?}");
    assert!(with.iter().any(|a| a["evidence"]["requests"].is_string()));
    let file = save(
        dir.path(),
        "few.pcap",
        &talk("10.0.0.1", 4_000, Timestamp::from_secs(START), "t", &[1]),
    );
    for alert in with {
        if there("tcpdump") {
            assert_eq!(tcpdump(&file, &text(alert, "bpf")).len(), 24);
        }
        if there("tshark") {
            assert!(tshark(&file, &text(alert, "tshark")).is_empty());
            if alert["evidence"]["requests"].is_string() {
                assert!(tshark(&file, &text(alert, "requests")).is_empty());
            }
        }
    }
}

/// The download, as the web room gives it out: what is known to be saved, as it is, and nothing else
/// of the disk.
#[tokio::test]
async fn saved_packets_are_given_out_and_no_other_file() {
    let dir = tempfile::tempdir().unwrap();
    let packets: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(dir.path().join("ab12.pcapng"), &packets).unwrap();
    std::fs::write(dir.path().join("secret.pcapng"), "keys").unwrap();
    let views = Arc::new(Views::default());
    views.saved.store(Arc::new(SavedView {
        dir: dir.path().to_owned(),
        // One more has been put out since the view was made, and the first goes on growing.
        files: [("ab12".into(), 1_000_000), ("cd34".into(), 9)].into(),
        ..SavedView::default()
    }));
    let (commands, _) = tokio::sync::mpsc::channel(1);
    let app = web::router(views, commands, web::Settings::default());
    let get = async |id: &str| {
        let path = format!("/api/v1/alerts/{id}/packets");
        let request = Request::get(path).header("host", "localhost");
        let request = request.body(Body::empty()).unwrap();
        let answer = app.clone().oneshot(request).await.unwrap();
        let (head, body) = answer.into_parts();
        (head, to_bytes(body, 4 << 20).await.unwrap())
    };
    let (head, body) = get("ab12").await;
    assert_eq!((head.status.as_u16(), body.len()), (200, 1_000_000));
    assert!(body[..] == packets[..1_000_000]);
    let name = &head.headers["content-disposition"];
    assert_eq!(name, "attachment; filename=\"apitap-ab12.pcapng\"");
    assert_eq!(head.headers["x-content-type-options"], "nosniff");
    assert_eq!(head.headers["cache-control"], "no-store");
    for id in ["cd34", "secret", "..%2fsecret", "ab12.pcapng"] {
        assert_eq!(get(id).await.0.status.as_u16(), 404, "{id}");
    }
}
