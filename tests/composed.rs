//! The savefiles in `captures/` are composed here: what is committed must be what this makes.
//! `APITAP_BLESS=1` writes them anew.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use apitap::compose::{Conversation, Packet, write_pcap};
use apitap::time::Timestamp;

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A shop's morning in short: documented calls by three tokens, a shadow and a deprecated endpoint,
/// a short id walk, a scanner.
fn shop() -> Vec<Packet> {
    let mut packets = Vec::new();
    let mut call = |n: i64, client: &str, path: &str, token: &str, reply: &str| {
        let at = Timestamp::from_secs(1_760_000_000 + n * 7);
        let port = 40_000 + n as u16;
        let client = format!("{client}:{port}").parse().unwrap();
        let mut talk = Conversation::open(client, "10.1.0.10:80".parse().unwrap(), at);
        let ask = format!(
            "GET {path} HTTP/1.1\r\nHost: api.shop.example\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        talk.exchange(&ask, Duration::from_millis(12), reply);
        packets.extend(talk.close());
    };
    let ok = answer(200, "", r#"{"id":1}"#);
    for n in 0..12 {
        call(
            n,
            "198.51.100.7",
            &format!("/v1/orders/{}", 100 + n % 4),
            &format!("token-{}", n % 3),
            &ok,
        );
    }
    for n in 12..16 {
        call(n, "198.51.100.8", "/v1/internal/export", "token-1", &ok);
        call(
            n + 10,
            "198.51.100.9",
            "/v1/legacy/prices",
            "token-2",
            &answer(200, "Deprecation: @1688169599\r\n", "{}"),
        );
    }
    for n in 30..50 {
        call(
            n,
            "203.0.113.66",
            &format!("/v1/orders/{}", 500 + n),
            "token-9",
            &ok,
        );
    }
    for n in 50..60 {
        call(
            n,
            "203.0.113.99",
            &format!("/admin/{n}.php"),
            "none",
            &answer(404, "", "{}"),
        );
    }
    packets.sort_by_key(|p| p.ts);
    packets
}

#[test]
fn committed_savefiles_are_what_is_composed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/shop.pcap");
    let mut bytes = Vec::new();
    write_pcap(&shop(), &mut bytes).unwrap();
    if std::env::var_os("APITAP_BLESS").is_some() {
        std::fs::write(&path, &bytes).unwrap();
    }
    assert!(
        std::fs::read(&path).unwrap() == bytes,
        "captures/shop.pcap differs: APITAP_BLESS=1 writes it anew"
    );
}
