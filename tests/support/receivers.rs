//! Receivers for sinks: an HTTP server that answers as it is told and keeps what it was sent, the
//! same over TLS, certificates from openssl, and an alert.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use apitap::alert::delivery::{Backoff, Sink};
use apitap::alert::route::Router;
use apitap::alert::sink::{Kind, Settings, Transport};
use apitap::alert::{self, Alert, Egress};
use apitap::catalog::{Finding, FindingKind};
use apitap::store::{Pending, Recovered, Store};
use apitap::time::Timestamp;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

pub(crate) const FAST: Backoff = Backoff {
    base: Duration::from_millis(5),
    cap: Duration::from_millis(40),
};

pub(crate) fn alerts(n: usize) -> Vec<Alert> {
    let mut manager = alert::Manager::new(alert::Settings::default());
    let found = (0..n).filter_map(|i| {
        let at = Timestamp::from_secs(1_760_000_000 + i as i64);
        manager.raise_finding(&Finding {
            kind: FindingKind::Shadow,
            endpoint: None,
            subject: format!("GET api.example /v1/things{i}"),
            at,
            since: at,
            why: "no spec".into(),
        })
    });
    // Each is to be sent by itself.
    let alone = found.map(|alert| Alert {
        incident: None,
        ..alert
    });
    alone.collect()
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
}

impl Call {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
}

/// What comes next: a status with headers, or nothing for so long.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16, Vec<(&'static str, String)>),
    Hang(Duration),
}

/// An HTTP server on a port of this machine's loopback.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) port: u16,
    calls: Arc<Mutex<Vec<Call>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    usual: u16,
}

impl Receiver {
    /// Answers with these first, then with `usual` for ever.
    pub(crate) async fn start(usual: u16, replies: Vec<Reply>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self {
            port: listener.local_addr().unwrap().port(),
            calls: Arc::default(),
            replies: Arc::new(Mutex::new(replies.into())),
            usual,
        };
        let own = this.clone();
        let app = axum::Router::new().fallback(
            move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                own.clone().answer(method, uri, headers, body)
            },
        );
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        this
    }

    async fn answer(self, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
        let asked = format!("{method} {uri}");
        self.calls.lock().unwrap().push(Call {
            method,
            uri,
            headers,
            body: body.to_vec(),
            at: Instant::now(),
        });
        let next = self.replies.lock().unwrap().pop_front();
        let usual = Reply::Status(self.usual, Vec::new());
        match next.unwrap_or(usual) {
            Reply::Status(code, headers) => {
                // As some do, with what they were asked for.
                let said = format!("Cannot {}: {code}", asked);
                let mut answer = (StatusCode::from_u16(code).unwrap(), said).into_response();
                for (name, value) in headers {
                    answer.headers_mut().insert(name, value.parse().unwrap());
                }
                answer
            }
            Reply::Hang(how_long) => {
                tokio::time::sleep(how_long).await;
                StatusCode::OK.into_response()
            }
        }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// Deliveries may go to this machine, and nowhere else.
pub(crate) fn local() -> Arc<Egress> {
    let nets = ["127.0.0.1/32", "::1/128"];
    let nets = nets.iter().map(|n| n.parse().unwrap()).collect();
    Arc::new(Egress::new(nets, Vec::new()))
}

pub(crate) fn settings(kind: Kind) -> Settings {
    Settings {
        name: "it".into(),
        kind,
        ca_file: None,
    }
}

pub(crate) fn transport(settings: &Settings) -> Transport {
    Transport::new(settings, &local()).unwrap()
}

pub(crate) async fn until(what: &str, limit: u64, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(
            begun.elapsed() < Duration::from_secs(limit),
            "{what} did not come about"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) type Recorded = crossbeam_channel::Receiver<Pending>;

pub(crate) fn store(dir: &Path) -> (Store, Recovered, Recorded) {
    let (tell, recorded) = crossbeam_channel::unbounded();
    let tell = Box::new(move |pending| drop(tell.send(pending)));
    let router = Router::new(vec!["it".into()], Vec::new());
    let (store, recovered) = Store::open(dir, router, tell).unwrap();
    (store, recovered, recorded)
}

/// A store with so many alerts, a sink for them, and each handed over.
pub(crate) fn running(dir: &Path, settings: &Settings, all: &[Alert]) -> (Store, Sink) {
    let (store, _, recorded) = store(dir);
    let sink = Sink::start(settings, &local(), FAST, store.clone()).unwrap();
    for alert in all {
        store.record(alert.clone());
        sink.send(Arc::new(recorded.recv().unwrap()));
    }
    (store, sink)
}

/// An authority and a certificate of it for `localhost`, in a folder: `ca.pem`, `cert.pem`, `key.pem`.
pub(crate) fn certificates(dir: &Path) -> PathBuf {
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem &&
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout key.pem -out csr.pem &&
        printf 'subjectAltName=DNS:localhost' > ext &&
        openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out cert.pem";
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    dir.join("ca.pem")
}

/// Said, and not passed over where all is required.
pub(crate) fn missing(what: &str) {
    let needed = std::env::var_os("APITAP_NEED_NETNS").is_some();
    assert!(!needed, "required here, and missing: {what}");
    eprintln!("SKIPPED: {what}");
}
