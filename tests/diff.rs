//! `apitap diff`, by the program: inventories, documents and states against each other.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The inventory of these calls, each some times over.
    fn inventory(&self, name: &str, calls: &[Value], more: &[&str]) -> String {
        let lines = self.write(&format!("{name}.exchanges"), &exchanges(calls));
        let args = [&["analyze", "--format", "inventory", &lines], more].concat();
        let (code, out, said) = run(&args);
        assert_eq!(code, 0, "{said}");
        self.write(name, &out)
    }
}

fn exchanges(calls: &[Value]) -> String {
    let mut out = String::new();
    for n in 0..6 {
        for (i, call) in calls.iter().enumerate() {
            let mut line = call.clone();
            line["v"] = 1.into();
            line["ts"] = (1_760_000_000 + n * 60 + i as i64).into();
            line["host"] = line
                .get("host")
                .cloned()
                .unwrap_or_else(|| "api.example".into());
            line["path"] = line["path"]
                .as_str()
                .unwrap()
                .replace("<n>", &(n + 1_000).to_string())
                .into();
            out += &format!("{line}\n");
        }
    }
    out
}

fn run(args: &[&str]) -> (i32, String, String) {
    let state = tempfile::tempdir().unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_apitap"))
        .args(args)
        .env("XDG_STATE_HOME", state.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        out.status.code().unwrap(),
        text(&out.stdout),
        text(&out.stderr),
    )
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

/// Kind and subject of each.
fn kinds(text: &str) -> Vec<(String, String)> {
    let subject = |d: &Value| {
        d.get("endpoint")
            .or_else(|| d.get("host"))
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    };
    lines(text)
        .iter()
        .map(|d| (d["kind"].as_str().unwrap().to_owned(), subject(d)))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

fn get(path: &str) -> Value {
    json!({ "method": "GET", "path": path, "status": 200, "content_type": "application/json",
        "response_shape": { "": "object", "/id": "integer", "/name": "string" } })
}

fn old() -> Vec<Value> {
    vec![get("/users/<n>"), get("/gone"), get("/same")]
}

fn new() -> Vec<Value> {
    let mut users = get("/users/<n>");
    users["response_shape"] = json!({ "": "object", "/id": "string", "/name": "string", "/mail": "string email pii:email" });
    (users["auth"], users["identity"]) = ("bearer".into(), "bearer:1".into());
    let mut other = get("/come");
    other["host"] = "other.example".into();
    vec![users, get("/same"), other]
}

const SPEC: &str = "openapi: 3.1.0
info: {title: Users, version: '1'}
servers: [{url: 'https://api.example'}]
paths:
  /users/{id}:
    get:
      operationId: user
      responses:
        '200':
          description: a user
          content:
            application/json:
              schema: {$ref: '#/components/schemas/User'}
  /never:
    post: {responses: {'200': {description: x}}}
components:
  schemas:
    User:
      allOf:
        - type: object
          properties: {id: {type: integer}, name: {type: string}}
        - type: object
          properties: {friend: {$ref: '#/components/schemas/User'}}
";

#[test]
fn two_inventories() {
    let b = Bench::new();
    let (old, new) = (
        b.inventory("old", &old(), &[]),
        b.inventory("new", &new(), &[]),
    );
    let (code, out, said) = run(&["diff", &old, &new, "--format", "json"]);
    assert_eq!((code, said.as_str()), (0, ""));
    let expected = [
        ("changed", "GET api.example /users/{user_id}"),
        // Without credentials on a host that now demands them elsewhere: its risk is higher.
        ("changed", "GET api.example /same"),
        ("removed", "GET api.example /gone"),
        ("added", "GET other.example /come"),
        ("host", "other.example"),
    ];
    let mut expected = pairs(&expected);
    expected.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(kinds(&out), expected);
    let users = lines(&out)
        .into_iter()
        .find(|d| d["kind"] == "changed" && d["endpoint"].to_string().contains("users"))
        .unwrap();
    let changes = users["changes"].as_array().unwrap();
    let change = |what: &str, name: &str| {
        let found = changes
            .iter()
            .find(|c| c["what"] == what && c["name"] == name);
        found
            .unwrap_or_else(|| panic!("{what} {name}: {changes:#?}"))
            .clone()
    };
    assert_eq!(change("auth", "bearer")["old"], Value::Null);
    assert_eq!(change("auth", "none")["new"], Value::Null);
    let id = change("field", "response 2xx /id");
    assert_eq!(
        (&id["old"], &id["new"]),
        (&json!("integer required"), &json!("required string"))
    );
    assert_eq!(change("field", "response 2xx /mail")["old"], Value::Null);
    assert_eq!(
        change("sensitive", "pii:email response body /mail")["new"],
        "seen"
    );

    // The same is no difference, whichever way it came; the exit code says so only when asked.
    for (left, right, code) in [(&old, &old, 0), (&old, &new, 3)] {
        assert_eq!(run(&["diff", left, right, "--exit-code"]).0, code);
    }
    let (code, table, _) = run(&["diff", &old, &new, "--only", "added,auth", "--exit-code"]);
    assert_eq!(code, 3);
    assert!(
        table.contains("+ added    GET other.example /come"),
        "{table}"
    );
    assert!(table.contains("    auth bearer: new\n"), "{table}");
    assert!(
        !table.contains("removed") && !table.contains("field"),
        "{table}"
    );
    let (code, table, _) = run(&["diff", &old, &new, "--only", "zombie", "--exit-code"]);
    assert_eq!((code, table.as_str()), (0, "no difference\n"));
}

#[test]
fn an_inventory_and_a_document() {
    let b = Bench::new();
    let (spec, new) = (b.write("spec.yaml", SPEC), b.inventory("new", &new(), &[]));
    for (left, right) in [(&spec, &new), (&new, &spec)] {
        let (code, out, said) = run(&["diff", left, right, "--format", "json", "--exit-code"]);
        assert_eq!(code, 3);
        // The neighbour is no business of this document.
        assert!(said.contains("1 endpoints on hosts"), "{said}");
        let expected = [
            ("shadow", "GET api.example /same"),
            ("undocumented", "GET api.example /users/{user_id}"),
            ("unseen", "POST api.example /never"),
        ];
        assert_eq!(kinds(&out), pairs(&expected));
        let users = &lines(&out)[1]["changes"];
        let found: Vec<(&str, &str)> = users
            .as_array()
            .unwrap()
            .iter()
            .map(|c| (c["what"].as_str().unwrap(), c["name"].as_str().unwrap()))
            .collect();
        assert_eq!(
            found,
            [
                ("field", "response 2xx /id"),
                ("undocumented", "response 2xx /mail")
            ]
        );
    }
    // What was learned documents what it was learned from.
    let lines = b.write("again.exchanges", &exchanges(&old()));
    let (_, openapi, _) = run(&["analyze", "--format", "openapi", &lines]);
    let (openapi, old) = (b.write("o.json", &openapi), b.inventory("old", &old(), &[]));
    assert_eq!(
        run(&["diff", &openapi, &old, "--exit-code"]).1,
        "no difference\n"
    );
    // And two documents are compared like two inventories.
    let (_, out, _) = run(&[
        "diff",
        &spec,
        &openapi,
        "--only",
        "added,removed",
        "--format",
        "json",
    ]);
    let removed = ("removed", "POST api.example /never");
    assert!(kinds(&out).contains(&pairs(&[removed])[0]), "{out}");
    assert_eq!(kinds(&out).len(), 3, "{out}");
}

#[test]
fn a_state_is_a_side() {
    let b = Bench::new();
    let state = b.dir.path().join("state").display().to_string();
    let old = b.inventory("old", &old(), &["--state", &state]);
    assert_eq!(
        run(&["diff", &state, &old, "--exit-code"]),
        (0, "no difference\n".into(), String::new())
    );
    let new = b.inventory("new", &new(), &[]);
    let (code, out, _) = run(&[
        "diff",
        &state,
        &new,
        "--only",
        "removed",
        "--format",
        "json",
        "--exit-code",
    ]);
    assert_eq!(
        (code, kinds(&out)),
        (3, pairs(&[("removed", "GET api.example /gone")]))
    );
}

#[test]
fn what_cannot_be_read_or_makes_no_sense() {
    let b = Bench::new();
    let good = b.inventory("old", &old(), &[]);
    let (code, _, said) = run(&["diff", &good, "/nowhere.jsonl"]);
    assert!(
        code == 1 && said.contains("/nowhere.jsonl"),
        "{code} {said}"
    );
    let broken = b.write("broken.yaml", "openapi: 3.1.0\npaths: [\n");
    let (code, _, said) = run(&["diff", &broken, &good]);
    assert!(code == 1 && said.contains("broken.yaml:"), "{code} {said}");
    let half = std::fs::read_to_string(&good).unwrap() + "{\"v\":1,\n";
    let half = b.write("half.jsonl", &half);
    let (code, _, said) = run(&["diff", &good, &half]);
    assert!(code == 1 && said.contains("half.jsonl:4"), "{code} {said}");
    let empty = b.dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    assert_eq!(run(&["diff", &good, &empty.display().to_string()]).0, 1);
    assert!(!Path::new(&empty).join("sled").exists());
    assert_eq!(run(&["diff", "-", "-"]).0, 2);
    assert_eq!(run(&["diff", &good]).0, 2);
    assert_eq!(run(&["diff", &good, &good, "--only", "nothing"]).0, 2);
}

/// What was captured reaches a terminal only through an encoder.
#[test]
fn no_control_character_reaches_a_terminal() {
    let b = Bench::new();
    let mut odd = get("/a%1B%5B2J/\u{202e}x");
    odd["response_shape"] = json!({ "": "object", "/\u{1b}]0;x\u{7}": "integer" });
    let (old, new) = (
        b.inventory("old", &[get("/same")], &[]),
        b.inventory("new", &[get("/same"), odd], &[]),
    );
    let hidden = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    let (_, table, _) = run(&["diff", &old, &new]);
    assert!(
        table.contains("added") && !table.contains(hidden),
        "{table:?}"
    );
    let lines = b.dir.path().join("new.exchanges").display().to_string();
    let (_, summary, _) = run(&["analyze", &lines]);
    assert!(
        summary.contains("/a%1B") && !summary.contains(hidden),
        "{summary:?}"
    );
    let (_, csv, _) = run(&["analyze", "--format", "csv", &lines]);
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(!csv.contains(|c: char| hidden(c) && c != '\r'), "{csv:?}");
}
