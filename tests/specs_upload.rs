//! Documents uploaded over HTTP to the program itself: refused with line, column and the mend, told
//! what they would change, put to use, replaced, compared, kept across a restart, and taken away.
//! Skipped, loudly, where nothing may be captured on the loopback interface.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use apitap::access::{Accounts, Change, Role, Secret};
use apitap::time::Timestamp;
use apitap::web::{self, Views};
use serde_json::{Value, json};
use tower::ServiceExt;

const APITAP: &str = env!("CARGO_BIN_EXE_apitap");
const YAML: &str = "application/yaml";

struct Daemon {
    child: Child,
    port: u16,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    /// `None` where the interface may not be captured on.
    fn start(config: &Path, port: u16) -> Option<Self> {
        let child = Command::new(APITAP)
            .args(["run", "--config"])
            .arg(config)
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut daemon = Self { child, port };
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if daemon.child.try_wait().unwrap().is_some() {
                eprintln!("SKIPPED: nothing may be captured on `lo` here");
                return None;
            }
            let ready = TcpStream::connect(("127.0.0.1", port)).is_ok()
                && daemon.http("GET", "/readyz", YAML, "").0 == 200;
            if ready {
                return Some(daemon);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the daemon did not start");
    }

    /// Status and body.
    fn http(&self, method: &str, path: &str, kind: &str, body: &str) -> (u16, String) {
        let port = self.port;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = Vec::new();
        // What is refused for its length is cut off.
        let _ = stream.read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text).into_owned();
        let status = text.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0);
        let body = text.split_once("\r\n\r\n").map_or("", |(_, b)| b);
        (status, body.to_owned())
    }

    fn json(&self, method: &str, path: &str, kind: &str, body: &str) -> (u16, Value) {
        let (status, text) = self.http(method, path, kind, body);
        let value = serde_json::from_str(&text);
        (
            status,
            value.unwrap_or_else(|e| panic!("{path}: {e}: {text}")),
        )
    }

    fn get(&self, path: &str) -> Value {
        let (status, value) = self.json("GET", path, YAML, "");
        assert_eq!(status, 200, "{path}: {value}");
        value
    }
}

fn config(dir: &Path) -> (PathBuf, u16) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    let at = dir.display();
    std::fs::write(dir.join("own.yaml"), spec("Own", "own.example", "")).unwrap();
    let config = dir.join("apitap.toml");
    let text = format!(
        "[capture]\ninterfaces = [\"lo\"]\nfilter = \"port 1\"\n[catalog]\nspecs = [\"{at}/own.yaml\"]\n[web]\nlisten = \"127.0.0.1:{port}\"\n[store]\npath = \"{at}/state\"\n"
    );
    std::fs::write(&config, text).unwrap();
    (config, port)
}

fn spec(title: &str, host: &str, more: &str) -> String {
    format!(
        "openapi: 3.1.0\ninfo: {{ title: {title}, version: '1' }}\nservers: [{{ url: 'https://{host}/v1' }}]\npaths:\n  /orders:\n    get:\n      operationId: listOrders\n      responses: {{ '200': {{}} }}\n{more}"
    )
}

const MORE: &str =
    "  /orders/{id}:\n    get: { operationId: getOrder, responses: { '200': {} } }\n";

fn texts(dir: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(dir.join("state/specs")).unwrap();
    let mut all: Vec<PathBuf> = all.map(|f| f.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn a_document_is_checked_put_to_use_replaced_kept_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (config, port) = config(dir.path());
    let Some(daemon) = Daemon::start(&config, port) else {
        return;
    };
    let list = daemon.get("/api/v1/specs");
    assert_eq!(list["total"], 1, "{list}");
    let own = list["items"][0].clone();
    assert_eq!(
        (&own["title"], &own["origin"]),
        (&json!("Own"), &json!("config"))
    );
    assert_eq!(own["format"], "OpenAPI 3.1.0, YAML");

    // What is wrong is told where it is, and changes nothing.
    let bent = spec("Bent", "bent.example", "  /x:\n   get: [\n");
    let (status, no) = daemon.json("POST", "/api/v1/specs?name=bent.yaml", YAML, &bent);
    assert_eq!(status, 422, "{no}");
    let error = &no["errors"][0];
    assert!(error["line"].as_u64().unwrap() >= 10, "{no}");
    assert!(error["column"].as_u64().unwrap() >= 1, "{no}");
    assert!(error["mend"].as_str().unwrap().contains("YAML"), "{no}");
    for (body, reason) in [
        ("openapi: 4.0.0\npaths: {}\n", "not one of 2.0, 3.0, 3.1"),
        ("swagger: '2.0'\n", "`paths` is missing"),
        ("[1, 2", "EOF"),
        (
            "openapi: 3.1.0\npaths:\n  /a: { $ref: 'other.yaml' }\n",
            "no other file is read",
        ),
    ] {
        let (status, no) = daemon.json("POST", "/api/v1/specs", YAML, body);
        assert_eq!(status, 422, "{body}: {no}");
        assert!(
            no["detail"].as_str().unwrap().contains(reason),
            "{reason}: {no}"
        );
    }
    let (status, _) = daemon.http("POST", "/api/v1/specs", "text/plain", &bent);
    assert_eq!(status, 415);
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for n in 1..12 {
        let list = vec![format!("*a{}", n - 1); 10].join(",");
        bomb.push_str(&format!("a{n}: &a{n} [{list}]\n"));
    }
    assert_eq!(daemon.http("POST", "/api/v1/specs", YAML, &bomb).0, 422);
    let huge = "#".repeat(17 << 20);
    assert!([413, 0].contains(&daemon.http("POST", "/api/v1/specs", YAML, &huge).0));
    assert_eq!(daemon.get("/api/v1/specs")["total"], 1);
    assert_eq!(texts(dir.path()).len(), 0);

    // What would change, then the change.
    let shop = spec("Shop", "shop.example", "");
    let dry = "/api/v1/specs?name=shop.yaml&dry_run=true";
    let (status, told) = daemon.json("POST", dry, YAML, &shop);
    assert_eq!((status, &told["operations"]), (200, &json!(1)), "{told}");
    assert_eq!(told["scope"], json!(["shop.example/v1"]));
    assert!(
        told.get("change").is_none() && told["preview"]["owned"] == 0,
        "{told}"
    );
    assert_eq!(daemon.get("/api/v1/specs")["total"], 1);
    let (status, put) = daemon.json("POST", "/api/v1/specs?name=shop.yaml", YAML, &shop);
    assert_eq!(status, 200, "{put}");
    let id = put["change"]["spec"].as_str().unwrap().to_owned();
    let one = daemon.get(&format!("/api/v1/specs/{id}"));
    assert_eq!(
        (&one["title"], &one["origin"]),
        (&json!("Shop"), &json!("upload"))
    );
    assert_eq!(one["upload"]["version"]["name"], "shop.yaml");
    let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&texts(dir.path())[0]), 0o600);
    let (status, text) = daemon.http("GET", &format!("/api/v1/specs/{id}/original"), YAML, "");
    assert_eq!((status, &text), (200, &shop), "byte for byte");
    let (status, again) = daemon.json("POST", "/api/v1/specs", YAML, &shop);
    assert_eq!(status, 409, "{again}");

    // A new version, and the two of them beside each other.
    let grown = spec("Shop", "shop.example", MORE);
    let (status, put) = daemon.json("POST", &format!("/api/v1/specs/{id}"), YAML, &grown);
    assert_eq!(status, 200, "{put}");
    assert_eq!(put["change"]["version"]["number"], 2);
    let diff = daemon.get(&format!("/api/v1/specs/{id}/diff?against=v1"));
    assert_eq!(
        (&diff["added"], &diff["removed"], &diff["common"]),
        (&json!(1), &json!(0), &json!(1))
    );
    assert_eq!(diff["items"][0]["path"], "/v1/orders/{id}", "{diff}");
    let seen = daemon.get(&format!("/api/v1/specs/{id}/diff"));
    assert_eq!(seen["removed"], 2, "nothing was seen: {seen}");
    let unseen = daemon.get(&format!("/api/v1/specs/{id}/operations?show=unseen"));
    assert_eq!(unseen["total"], 2);
    let (status, no) = daemon.json(
        "POST",
        &format!("/api/v1/specs/{}", own["id"].as_str().unwrap()),
        YAML,
        &grown,
    );
    assert_eq!(status, 409, "the config's are read-only: {no}");

    // Killed, not ended: what was answered is on disk.
    drop(daemon);
    let daemon = Daemon::start(&config, port).unwrap();
    let one = daemon.get(&format!("/api/v1/specs/{id}"));
    assert_eq!(
        (&one["operations"], &one["upload"]["version"]["number"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(one["versions"].as_array().unwrap().len(), 2);
    let (status, page) = daemon.http("GET", &format!("/specs/{id}?show=unseen"), YAML, "");
    assert!(status == 200 && page.contains("/v1/orders/{id}"), "{page}");

    let remove = format!("/api/v1/specs/{id}/remove");
    let (status, gone) = daemon.json("POST", &remove, "application/json", r#"{"note":"moved"}"#);
    assert_eq!((status, &gone["note"]), (200, &json!("moved")), "{gone}");
    assert_eq!(
        daemon
            .http("GET", &format!("/api/v1/specs/{id}"), YAML, "")
            .0,
        404
    );
    assert_eq!(texts(dir.path()).len(), 0, "its texts are deleted");
    drop(daemon);
    let daemon = Daemon::start(&config, port).unwrap();
    assert_eq!(daemon.get("/api/v1/specs")["total"], 1);
    // A name that was used is not used again.
    let (_, put) = daemon.json("POST", "/api/v1/specs", YAML, &shop);
    assert_ne!(put["change"]["spec"], json!(id), "{put}");
}

fn part(name: &str, more: &str, value: &str) -> String {
    format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{value}\r\n")
}

fn token(page: &str, name: &str) -> String {
    let (_, after) = page
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap();
    after.split('"').next().unwrap().to_owned()
}

#[test]
fn the_pages_do_the_same_without_script() {
    let dir = tempfile::tempdir().unwrap();
    let (config, port) = config(dir.path());
    let Some(daemon) = Daemon::start(&config, port) else {
        return;
    };
    let kind = "multipart/form-data; boundary=x";
    let (_, form) = daemon.http("GET", "/specs/new", YAML, "");
    let csrf = token(&form, "csrf");
    let send = |csrf: &str, text: &str| {
        let file = "; filename=\"<b>shop.yaml\"";
        let body = [
            part("csrf", "", csrf),
            part("hosts", "", "a.example"),
            part("file", file, text),
        ];
        let body = body.concat() + "--x--\r\n";
        daemon.http("POST", "/specs/check", kind, &body)
    };
    let good = spec("Shop", "shop.example", "");
    assert_eq!(send("wrong", &good).0, 403);
    let (status, page) = send(
        &csrf,
        "openapi: 3.1.0\npaths:\n  /a: [<script>alert(1)</script>\n",
    );
    assert!(
        status == 200 && page.contains("Line ") && page.contains("Mend: "),
        "{page}"
    );
    assert!(
        page.contains("&#60;script&#62;") && !page.contains("<script>alert"),
        "{page}"
    );
    assert!(!page.contains("<b>shop"), "{page}");
    let (status, page) = send(&csrf, &good);
    assert!(status == 200 && page.contains("Put to use"), "{page}");
    assert!(
        page.contains("a.example/v1") && !page.contains("shop.example/v1"),
        "bound: {page}"
    );
    assert_eq!(
        daemon.get("/api/v1/specs")["total"],
        1,
        "nothing has changed yet"
    );
    let form = "application/x-www-form-urlencoded";
    let put = format!("csrf={csrf}&token={}", token(&page, "token"));
    assert_eq!(daemon.http("POST", "/specs", form, &put).0, 303);
    assert_eq!(daemon.http("POST", "/specs", form, &put).0, 410, "once");
    let list = daemon.get("/api/v1/specs");
    assert_eq!(list["total"], 2, "{list}");
    let (_, page) = daemon.http("GET", "/specs", YAML, "");
    assert!(page.contains("Shop") && page.contains("Own"), "{page}");
    let gone = daemon.http(
        "POST",
        "/specs/u1/remove",
        form,
        &format!("csrf={csrf}&note=n"),
    );
    assert_eq!(gone.0, 303);
    assert_eq!(daemon.get("/api/v1/specs")["total"], 1);
}

/// Whoever is not an admin is refused before anything is read.
#[tokio::test]
async fn only_admins_change_specs() {
    let (commands, mut asked) = tokio::sync::mpsc::channel(4);
    let views = Arc::new(Views::default());
    let mut accounts = Accounts::default();
    let mut secrets = Vec::new();
    for (name, role) in [
        ("v", Role::Viewer),
        ("a", Role::Analyst),
        ("s", Role::Admin),
    ] {
        let secret = Secret::token().unwrap();
        let add = Change::AddToken {
            name: name.into(),
            role,
            by: "ann".into(),
            digest: secret.digest(),
            expires: None,
        };
        accounts
            .apply(add, Timestamp::from_secs(1_770_000_000))
            .unwrap();
        secrets.push((role, secret.reveal().to_owned()));
    }
    views.accounts.store(Arc::new(accounts));
    let settings = web::Settings {
        sign_in: true,
        ..web::Settings::default()
    };
    let app = web::router(views, commands, settings);
    for (role, secret) in secrets {
        for (method, path) in [
            ("POST", "/api/v1/specs"),
            ("POST", "/api/v1/specs/u1"),
            ("POST", "/api/v1/specs/u1/remove"),
            ("POST", "/specs/check"),
            ("POST", "/specs"),
            ("GET", "/specs/new"),
        ] {
            let request = axum::http::Request::builder()
                .method(method)
                .uri(path)
                .header("host", "127.0.0.1:8650")
                .header("authorization", format!("Bearer {secret}"))
                .header("content-type", YAML)
                .body(axum::body::Body::from("openapi: 4\n"))
                .unwrap();
            let answer = app.clone().oneshot(request).await.unwrap();
            let refused = answer.status() == 403;
            assert_eq!(
                refused,
                role < Role::Admin,
                "{role:?} {method} {path}: {}",
                answer.status()
            );
        }
    }
    // That tokens were used is noted; specs are left alone.
    while let Ok(command) = asked.try_recv() {
        let changes = matches!(
            command,
            web::Command::PutSpec { .. } | web::Command::RemoveSpec { .. }
        );
        assert!(!changes, "{command:?}");
    }
}
