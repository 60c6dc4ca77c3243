//! Bad input: one clear line that says what is wrong, where, and the mend, with the exit code of
//! the contract (0 done, 1 failed or partly read, 2 wrong use).
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use apitap::compose::{Conversation, write_pcap};
use apitap::time::Timestamp;

fn apitap(args: &[&str]) -> Output {
    let home = std::env::temp_dir().join("apitap-cli-tests");
    Command::new(env!("CARGO_BIN_EXE_apitap"))
        .args(args)
        .env("XDG_STATE_HOME", home)
        .output()
        .unwrap()
}

/// Code, standard output, standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let out = apitap(args);
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    (
        out.status.code().unwrap_or(-1),
        text(&out.stdout),
        text(&out.stderr),
    )
}

fn fails(args: &[&str], code: i32, words: &[&str]) {
    let (found, _, err) = run(args);
    assert_eq!(found, code, "{args:?}: {err}");
    assert!(words.iter().all(|w| err.contains(w)), "{args:?}: {err}");
    assert!(!err.contains("panicked"), "{err}");
}

fn shop(dir: &Path) -> String {
    let mut packets = Vec::new();
    for i in 0..3_u16 {
        let client = format!("10.0.0.9:{}", 40_000 + i).parse().unwrap();
        let at = Timestamp::from_secs(1_760_000_000 + i64::from(i) * 60);
        let mut talk = Conversation::open(client, "10.0.0.1:80".parse().unwrap(), at);
        let ask = format!(
            "GET /v1/orders/{} HTTP/1.1\r\nHost: api.shop.example\r\nAuthorization: Bearer secret-{i}\r\n\r\n",
            100 + i
        );
        talk.exchange(
            &ask,
            Duration::from_millis(5),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        );
        packets.extend(talk.close());
    }
    let path = dir.join("shop.pcap");
    write_pcap(&packets, &mut std::fs::File::create(&path).unwrap()).unwrap();
    path.display().to_string()
}

#[test]
fn what_cannot_be_read_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    write("empty.pcap", b"");
    write(
        "text.pcap",
        b"this is no capture at all, whatever its name says",
    );
    write("key.toml", b"[capture]\ninterface = \"eth1\"\n");
    write("bad.yaml", b"openapi: 3.0.0\npaths: [\n");
    write("none.yaml", b"hello: world\n");
    write(
        "two.jsonl",
        b"{\"ts\":1,\"method\":\"GET\",\"host\":\"h\",\"path\":\"/\"}\nnonsense\n",
    );
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    fails(
        &["read", &at("missing.pcap")],
        1,
        &["missing.pcap", "no such file"],
    );
    fails(
        &["read", &at("empty.pcap")],
        1,
        &["empty.pcap", "no capture"],
    );
    fails(&["read", &at("text.pcap")], 1, &["text.pcap", "no capture"]);
    fails(
        &["read", &at("folder")],
        1,
        &["folder", "no capture in this folder"],
    );
    fails(&["read"], 2, &["FILE"]);
    fails(&["read", "x", "--format", "xml"], 2, &["xml", "summary"]);
    fails(&["nonsense"], 2, &["nonsense"]);
    fails(&["analyze", &at("missing.jsonl")], 1, &["missing.jsonl"]);
    fails(
        &["analyze", &at("two.jsonl")],
        1,
        &["two.jsonl:2:", "1 lines could not be read"],
    );
    fails(
        &["run", "--config", &at("key.toml")],
        1,
        &["key.toml:2:1", "interface", "interfaces"],
    );
    fails(
        &["run", "--config", &at("nowhere.toml")],
        1,
        &["nowhere.toml"],
    );
    fails(
        &["analyze", &at("two.jsonl"), "--spec", &at("bad.yaml")],
        1,
        &["bad.yaml:", "spec refused"],
    );
    fails(
        &["analyze", &at("two.jsonl"), "--spec", &at("none.yaml")],
        1,
        &["none.yaml", "neither"],
    );
    let state = format!("[store]\npath = \"{}\"\n", at("state"));
    write("state.toml", state.as_bytes());
    fails(
        &["run", "--config", &at("state.toml")],
        1,
        &["-i", "apitap interfaces"],
    );
    fails(
        &["run", "--config", &at("state.toml"), "-i", "no-such-if0"],
        1,
        &["no-such-if0"],
    );
    write("open.toml", b"[web]\nlisten = \"0.0.0.0:8650\"\n");
    let (code, out, _) = run(&["check", "--config", &at("open.toml")]);
    assert_eq!(code, 1);
    assert!(out.contains("apitap user add NAME"), "{out}");
}

#[test]
fn a_busy_port_is_said() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = held.local_addr().unwrap().to_string();
    fails(&["demo", "--listen", &at], 1, &[&at, "in use"]);
}

#[test]
fn a_capture_goes_through_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let file = shop(dir.path());
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/captures/demo.openapi.yaml");
    let (code, text, err) = run(&["read", &file, "--spec", spec]);
    assert_eq!(code, 0, "{err}");
    assert!(
        text.contains("3 exchanges")
            && text.contains("balanced")
            && text.contains("/v1/orders/{order_id}"),
        "{text}"
    );
    let (_, lines, _) = run(&["read", &file, "--format", "exchanges"]);
    assert_eq!(lines.lines().count(), 3);
    assert!(!lines.contains("secret-"), "a credential got out: {lines}");
    // The two halves joined by a file are the whole.
    let path = dir.path().join("x.jsonl");
    std::fs::File::create(&path)
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let (_, whole, _) = run(&["read", &file, "--format", "inventory", "--spec", spec]);
    let (_, joined, _) = run(&[
        "analyze",
        &path.display().to_string(),
        "--format",
        "inventory",
        "--spec",
        spec,
    ]);
    assert_eq!(whole, joined);
    let view: serde_json::Value = serde_json::from_str(whole.lines().next().unwrap()).unwrap();
    assert_eq!(
        (
            view["documentation"].as_str(),
            view["operation_id"].as_str()
        ),
        (Some("documented"), Some("getOrder"))
    );
    let (_, ledger, _) = run(&["read", &file, "--format", "ledger"]);
    let ledger: serde_json::Value = serde_json::from_str(&ledger).unwrap();
    assert_eq!(ledger["balanced"], true);
    let (_, assigned, _) = run(&[
        "analyze",
        &path.display().to_string(),
        "--format",
        "assignments",
    ]);
    assert_eq!(assigned.lines().count(), 3, "{assigned}");
    let (_, openapi, _) = run(&["read", &file, "--format", "openapi"]);
    let openapi: serde_json::Value = serde_json::from_str(&openapi).unwrap();
    assert!(
        openapi["paths"]["/v1/orders/{order_id}"]["get"].is_object(),
        "{openapi}"
    );
}

#[test]
fn a_state_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let (file, state) = (
        shop(dir.path()),
        dir.path().join("state").display().to_string(),
    );
    let read = || {
        let (code, text, err) = run(&["read", &file, "--state", &state, "--format", "inventory"]);
        assert_eq!(code, 0, "{err}");
        serde_json::from_str::<serde_json::Value>(text.lines().next().unwrap()).unwrap()
    };
    assert_eq!(
        (read()["requests"].as_u64(), read()["requests"].as_u64()),
        (Some(3), Some(6))
    );
}

#[test]
fn a_cut_capture_is_read_as_far_as_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let file = shop(dir.path());
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 100]).unwrap();
    let (code, lines, err) = run(&["read", &file, "--format", "exchanges"]);
    assert_eq!((code, lines.lines().count()), (1, 3), "{err}");
    assert!(err.contains("cut short"), "{err}");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = shop(dir.path());
    let line = format!(
        "'{}' read '{file}' --format exchanges | true; exit ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_apitap")
    );
    assert_eq!(
        Command::new("bash")
            .args(["-c", &line])
            .status()
            .unwrap()
            .code(),
        Some(0)
    );
}

#[test]
fn help_and_man_page_come_from_one_source() {
    let (code, help, _) = run(&["read", "--help"]);
    assert!(code == 0 && help.contains("Examples:"), "{help}");
    let (code, man, _) = run(&["generate", "man"]);
    assert!(code == 0 && man.contains(".TH apitap"));
    let (code, bash, _) = run(&["generate", "bash"]);
    assert!(code == 0 && bash.contains("_apitap"));
}
