//! The API of a daemon that asks who somebody is, against its own document: nobody gets in without a token,
//! a viewer changes nothing, and an admin finds all as it is described. Needs root for a capture on lo.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

#[allow(dead_code)] // of other tests
#[path = "support/receivers.rs"]
mod receivers;
#[path = "support/schemathesis.rs"]
mod schemathesis;

use receivers::{alerts, missing, store};

const APITAP: &str = env!("CARGO_BIN_EXE_apitap");

/// The daemon over a service of which it sees the calls; ended when dropped.
struct Daemon {
    child: Child,
    base: String,
    client: Client,
    admin: String,
    viewer: String,
    _dir: tempfile::TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// What the program prints for these arguments.
fn apitap(arguments: &[&str], state: &Path, input: &str) -> String {
    let mut child = Command::new(APITAP)
        .args(arguments)
        .arg("--state")
        .arg(state)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

fn config(dir: &Path, web: u16, service: u16) -> String {
    let at = dir.display();
    format!(
        r#"[capture]
interfaces = ["lo"]
filter = "port {service}"
[catalog]
learning = "1s"
specs = ["{at}/shop.yaml"]
[web]
listen = "127.0.0.1:{web}"
sign_in = "on"
[store]
path = "{at}/state"
[[sink]]
type = "file"
name = "it"
path = "{at}/alerts.jsonl"
"#
    )
}

const SPEC: &str = "openapi: 3.1.0\ninfo: { title: Shop, version: '1' }\nservers: [{ url: 'http://shop.example/v1' }]\npaths:\n  /orders:\n    get:\n      operationId: listOrders\n      responses: { '200': {} }\n";

impl Daemon {
    async fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (web, state) = (free_port(), dir.path().join("state"));
        std::fs::write(dir.path().join("shop.yaml"), SPEC).unwrap();
        // What an earlier run left.
        let (earlier, _, recorded) = store(&state);
        for alert in alerts(3) {
            earlier.record(alert);
            recorded.recv().unwrap();
        }
        earlier.close();
        drop(earlier);
        let password = "correct horse battery\n";
        apitap(&["user", "add", "ann", "--role", "admin"], &state, password);
        let token = |role: &str| apitap(&["token", "add", role, "--role", role], &state, "");
        let (admin, viewer) = (token("admin"), token("viewer"));
        let service = service().await;
        let file = dir.path().join("apitap.toml");
        std::fs::write(&file, config(dir.path(), web, service)).unwrap();
        let log = dir.path().join("log");
        let child = Command::new(APITAP)
            .args(["run", "--config"])
            .arg(&file)
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        // Never used, and asked for all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut daemon = Self {
            child,
            base: format!("http://127.0.0.1:{web}"),
            client: Client::builder().no_proxy().build().unwrap(),
            admin,
            viewer,
            _dir: dir,
        };
        let begun = Instant::now();
        while !daemon.has_endpoints(service).await {
            if daemon.child.try_wait().unwrap().is_some() {
                let why = std::fs::read_to_string(&log).unwrap();
                missing(&format!("capture on lo (no root?): {why}"));
                return None;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "no endpoints");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        Some(daemon)
    }

    /// Calls the service, too, so that there is something to see.
    async fn has_endpoints(&self, service: u16) -> bool {
        for n in 0..8 {
            for path in [format!("orders/{n}"), "orders".into()] {
                let call = self
                    .client
                    .get(format!("http://127.0.0.1:{service}/v1/{path}"));
                call.header("host", "shop.example").send().await.unwrap();
            }
        }
        let path = "/api/v1/endpoints";
        let Some(answer) = self.call(&Method::GET, path, Some(&self.admin)).await else {
            return false;
        };
        let list: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        list["total"].as_u64() > Some(1)
    }

    async fn call(&self, method: &Method, path: &str, token: Option<&str>) -> Option<Response> {
        let mut call = self
            .client
            .request(method.clone(), format!("{}{path}", self.base));
        if let Some(token) = token {
            call = call.bearer_auth(token);
        }
        if *method != Method::GET {
            call = call.header(CONTENT_TYPE, "application/json").body("{}");
        }
        call.send().await.ok()
    }
}

/// The API that is watched.
async fn service() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = || async { axum::Json(json!({ "id": 1, "mail": "ann@shop.example" })) };
    let app = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

/// That an answer is the problem that the document has for its status.
async fn is_problem(document: &Value, operation: &Value, answer: Response, status: StatusCode) {
    let id = &operation["operationId"];
    assert_eq!(answer.status(), status, "{id}");
    let headers = answer.headers().clone();
    assert_eq!(headers[CONTENT_TYPE], "application/problem+json", "{id}");
    let challenge = headers.contains_key(WWW_AUTHENTICATE);
    assert_eq!(challenge, status == StatusCode::UNAUTHORIZED, "{id}");
    let described = &operation["responses"][status.as_str()]["content"]["application/problem+json"];
    assert!(
        described["schema"].is_object(),
        "{id} does not tell of {status}"
    );
    let whole = json!({ "allOf": [described["schema"]], "components": document["components"] });
    let said: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let schema = jsonschema::validator_for(&whole).unwrap();
    assert!(schema.is_valid(&said), "{id}: {said}");
    assert_eq!(said["status"], status.as_u16(), "{id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_what_is_as_the_document_says() {
    let Some(daemon) = Daemon::start().await else {
        return;
    };
    let path = "/api/v1/openapi.json";
    let answer = daemon
        .call(&Method::GET, path, Some(&daemon.viewer))
        .await
        .unwrap();
    let document: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let (mut all, mut refused) = (0, 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        let segments = path.split('/');
        let filled = segments.map(|s| if s.starts_with('{') { "x" } else { s });
        let path = filled.collect::<Vec<_>>().join("/");
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            for token in [None, Some("apt_none")] {
                let answer = daemon.call(&method, &path, token).await.unwrap();
                is_problem(&document, operation, answer, StatusCode::UNAUTHORIZED).await;
            }
            let answer = daemon
                .call(&method, &path, Some(&daemon.viewer))
                .await
                .unwrap();
            all += 1;
            if operation["x-role"] == "viewer" {
                assert_ne!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
                // What is one's own is a session's.
                let is_own = path.starts_with("/api/v1/me/");
                assert!(is_own || answer.status() != StatusCode::FORBIDDEN, "{path}");
                continue;
            }
            is_problem(&document, operation, answer, StatusCode::FORBIDDEN).await;
            refused += usize::from(method != Method::GET);
        }
    }
    assert!(
        all > 60 && refused > 20,
        "{all} operations, {refused} changes"
    );
    tokio::task::spawn_blocking(move || {
        let bearer = |token: &String| format!("Authorization: Bearer {token}");
        let [admin, viewer] = [&daemon.admin, &daemon.viewer].map(bearer);
        // Few cases: those without sign-in are many.
        let few = ["--max-examples", "3", "-H"].as_slice();
        // It would take away the token that it has.
        let admin = [&admin, "--exclude-operation-id", "revokeToken"];
        schemathesis::run(&daemon.base, &[few, &admin].concat());
        let viewer = [&viewer, "--phases", "examples,fuzzing"];
        schemathesis::run(&daemon.base, &[few, &viewer].concat());
    })
    .await
    .unwrap();
}
