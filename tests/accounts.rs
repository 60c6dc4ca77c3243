//! Users and API tokens from the command line, beside a daemon's store; and what the program refuses
//! to do without sign-in.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use apitap::access::{Record, Role};
use apitap::alert::route::Router;
use apitap::store::Store;
use apitap::time::Timestamp;

const PASSWORD: &str = "correct horse battery";

/// The exit code, standard output, and what was said.
fn apitap(args: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_apitap"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that reads none of it closes the pipe first.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let out = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = out.status.code().unwrap();
    (code, text(&out.stdout), text(&out.stderr))
}

fn open(dir: &Path) -> Store {
    Store::open(dir, Router::default(), Box::new(drop))
        .unwrap()
        .0
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{what} did not come"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn commands_work_beside_a_running_daemon_and_stand_in_its_audit() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().to_str().unwrap();
    let store = open(dir.path());
    let (accounts, trail) = (store.accounts(), store.trail());
    let mut said = String::new();
    let mut run = |args: &[&str], input: &str| {
        let (code, out, err) = apitap(&[args, &["--state", state]].concat(), input);
        said += &err;
        (code, out, err)
    };
    let (code, _, err) = run(
        &["user", "add", "alice", "--role", "admin"],
        &format!("{PASSWORD}\n"),
    );
    assert_eq!(code, 0, "{err}");
    until("alice", || accounts.load().enabled("alice").is_some());
    assert_eq!(accounts.load().users["alice"].role, Role::Admin);
    let (code, token, err) = run(
        &["token", "add", "ci", "--role", "viewer", "--expires", "12h"],
        "",
    );
    assert_eq!(code, 0, "{err}");
    let token = token.trim_end();
    assert!(token.starts_with("apt_") && token.len() == 47, "{token}");
    let now = Timestamp::from_secs(jiff::Timestamp::now().as_second());
    until("the token", || accounts.load().token(token, now).is_some());
    let tomorrow = now + Duration::from_secs(13 * 3_600);
    assert!(accounts.load().token(token, tomorrow).is_none());
    let (_, users, _) = run(&["user", "list"], "");
    assert!(users.contains("alice  admin"), "{users}");
    let (_, tokens, _) = run(&["token", "list"], "");
    assert!(
        tokens.contains("ci") && !tokens.contains("apt_"),
        "{tokens}"
    );
    let (code, _, err) = run(&["token", "revoke", "ci"], "");
    assert_eq!(code, 0, "{err}");
    until("no token", || accounts.load().tokens.is_empty());
    let actions = || -> Vec<String> {
        let view = trail.load();
        view.items.iter().map(|r| r.action.clone()).collect()
    };
    until("the audit", || {
        actions() == ["token.revoke", "token.add", "user.add"]
    });
    let first: Record = trail.load().items[2].as_ref().clone();
    assert_eq!(
        (first.from.as_str(), first.object.as_str()),
        ("terminal", "alice")
    );
    store.close();
    // Told once, and kept.
    let store = open(dir.path());
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(store.trail().load().items.len(), 3);
    assert!(store.accounts().load().untold.is_empty());
    store.close();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() {
            continue;
        }
        said += &String::from_utf8_lossy(&std::fs::read(&path).unwrap());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
    assert!(said.contains("$argon2id$") && said.contains("user.add"));
    assert!(!said.contains("horse") && !said.contains(token));
}

#[test]
fn what_cannot_be_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().to_str().unwrap();
    let fails = |args: &[&str], input: &str, words: &str| {
        let (code, _, err) = apitap(&[args, &["--state", state]].concat(), input);
        assert!(code != 0 && err.contains(words), "{args:?}: {code} {err}");
        assert!(!err.contains("panicked"));
    };
    let add = ["user", "add", "alice", "--role", "admin"];
    fails(&add, "short\n", "at least 12 characters");
    fails(&add, "", "at least 12 characters");
    fails(
        &["user", "add", "Alice!", "--role", "admin"],
        "",
        "a name has",
    );
    fails(
        &["user", "add", "alice", "--role", "root"],
        "",
        "viewer, analyst or admin",
    );
    fails(&["user", "remove", "alice"], "", "no user `alice`");
    fails(&["user", "password", "alice"], "", "no user `alice`");
    fails(&["token", "revoke", "x"], "", "no token `x`");
    fails(
        &["token", "add", "x", "--role", "viewer", "--expires", "soon"],
        "",
        "--expires",
    );
    assert_eq!(
        apitap(&[&add[..], &["--state", state]].concat(), PASSWORD).0,
        0
    );
    fails(&add, &format!("{PASSWORD}\n"), "already");
    fails(&["user", "remove", "alice"], "", "last admin");
    fails(&["user", "role", "alice", "viewer"], "", "last admin");
    let (code, _, err) = apitap(&["user", "list", "--state", "/no/such/folder"], "");
    assert!(code == 1 && err.contains("is no directory"), "{err}");
}

#[test]
fn without_sign_in_nothing_listens_where_others_are() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("apitap.toml");
    std::fs::write(
        &config,
        "[web]\nlisten = \"0.0.0.0:0\"\nsign_in = \"off\"\n",
    )
    .unwrap();
    let (code, _, err) = apitap(
        &["run", "--config", config.to_str().unwrap(), "-i", "lo"],
        "",
    );
    assert_eq!(code, 1);
    assert!(
        err.contains("apitap.toml:3:1: sign_in: must not be off"),
        "{err}"
    );
    let (code, _, err) = apitap(&["demo", "--listen", "0.0.0.0:0"], "");
    assert_eq!(code, 1);
    assert!(
        err.contains("there is no sign-in here") && err.contains("127.0.0.1"),
        "{err}"
    );
}
