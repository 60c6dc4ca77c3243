//! At least once: receivers that fail, hang and restart, and a process that is killed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use apitap::alert::delivery::{Backoff, Sink};
use apitap::alert::route::Router;
use apitap::alert::sink::{Kind, Settings, SigningKey, Webhook};
use apitap::alert::{self, Alert, Egress};
use apitap::catalog::{Finding, FindingKind};
use apitap::store::{Pending, Store};
use apitap::time::Timestamp;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const KEY: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const FAST: Backoff = Backoff {
    base: Duration::from_millis(5),
    cap: Duration::from_millis(40),
};

fn alerts(n: usize) -> Vec<Alert> {
    let mut manager = alert::Manager::new(alert::Settings::default());
    (0..n)
        .filter_map(|i| {
            let at = Timestamp::from_secs(1_760_000_000 + i as i64);
            let subject = format!("GET api.example /v1/things{i}");
            manager.raise_finding(&Finding {
                kind: FindingKind::Shadow,
                endpoint: None,
                subject,
                at,
                since: at,
                why: "no spec".into(),
            })
        })
        // Each is to be sent by itself.
        .map(|alert| Alert {
            incident: None,
            ..alert
        })
        .collect()
}

/// The sink, on its way to this machine.
fn start(port: u16, store: &Store) -> Sink {
    let key = SigningKey::parse(&format!("whsec_{KEY}")).unwrap();
    let settings = Settings {
        name: "soc".into(),
        kind: Kind::Webhook(Webhook {
            url: format!("http://127.0.0.1:{port}/hook"),
            keys: vec![key],
        }),
        ca_file: None,
    };
    let egress = Egress::new(vec!["127.0.0.1/32".parse().unwrap()], Vec::new());
    Sink::start(&settings, &Arc::new(egress), FAST, store.clone()).unwrap()
}

fn router() -> Router {
    Router::new(vec!["soc".into()], Vec::new())
}

/// What a receiver has taken, signatures checked with code of its own.
#[derive(Default)]
struct Taken {
    ids: Mutex<BTreeSet<String>>,
    calls: AtomicUsize,
    forged: AtomicUsize,
}

impl Taken {
    fn take(&self, headers: &HeaderMap, body: &[u8]) {
        use ring::hmac;
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|v| v.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let signed = [
            text("webhook-id").as_bytes(),
            b".",
            text("webhook-timestamp").as_bytes(),
            b".",
            body,
        ]
        .concat();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
        let sent = STANDARD
            .decode(text("webhook-signature").trim_start_matches("v1,"))
            .unwrap_or_default();
        if hmac::verify(&key, &signed, &sent).is_err() {
            self.forged.fetch_add(1, Ordering::SeqCst);
        }
        let event: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(event["type"], "alert.raised");
        self.ids
            .lock()
            .unwrap()
            .insert(event["data"]["id"].as_str().unwrap().to_owned());
    }
}

/// A receiver that misbehaves by the number of the call, until it is dropped.
async fn receiver(
    port: u16,
    taken: Arc<Taken>,
    bad: fn(usize) -> Option<u16>,
) -> (u16, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let handler = move |headers: HeaderMap, body: Bytes| {
        let taken = taken.clone();
        async move {
            match bad(taken.calls.fetch_add(1, Ordering::SeqCst)) {
                None => {
                    taken.take(&headers, &body);
                    StatusCode::NO_CONTENT
                }
                Some(0) => {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    StatusCode::OK
                }
                Some(code) => StatusCode::from_u16(code).unwrap(),
            }
        }
    };
    let app = axum::Router::new().route("/hook", axum::routing::post(handler));
    let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (port, task)
}

async fn until(what: &str, limit: u64, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(
            begun.elapsed() < Duration::from_secs(limit),
            "{what} did not come about"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn open(
    dir: &Path,
) -> (
    Store,
    apitap::store::Recovered,
    crossbeam_channel::Receiver<Pending>,
) {
    let (tell, recorded) = crossbeam_channel::unbounded();
    let tell = Box::new(move |pending| drop(tell.send(pending)));
    let (store, recovered) = Store::open(dir, router(), tell).unwrap();
    (store, recovered, recorded)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_and_restarts_gets_everything() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, recorded) = open(dir.path());
    let taken = Arc::new(Taken::default());
    // Every third call fails, with each kind of failure in turn.
    let (port, task) = receiver(0, taken.clone(), |n| {
        (n % 3 == 0).then(|| [500, 429, 503, 404][n / 3 % 4])
    })
    .await;
    let sink = start(port, &store);
    let all = alerts(40);
    for alert in &all {
        store.record(alert.clone());
    }
    for _ in 0..20 {
        sink.send(Arc::new(recorded.recv().unwrap()));
    }
    until("the first twenty", 20, || {
        taken.ids.lock().unwrap().len() == 20
    })
    .await;
    task.abort();
    let _ = task.await;
    for _ in 0..20 {
        sink.send(Arc::new(recorded.recv().unwrap()));
    }
    until("a failure is seen", 10, || sink.view().last_error.is_some()).await;
    let (_, _task) = receiver(port, taken.clone(), |_| None).await;
    until("all", 30, || taken.ids.lock().unwrap().len() == 40).await;
    assert_eq!(taken.forged.load(Ordering::SeqCst), 0);
    let wanted: BTreeSet<String> = all.iter().map(|a| a.id.clone()).collect();
    assert_eq!(*taken.ids.lock().unwrap(), wanted);
    until("the view", 5, || sink.view().delivered == 40).await;
    sink.stop(Duration::from_secs(1)).await;
    store.close();
    drop(store);
    let (store, again, _) = open(dir.path());
    assert_eq!(
        (again.alerts.len(), again.outbox.len()),
        (40, 0),
        "nothing is sent twice that was struck off"
    );
    store.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, recorded) = open(dir.path());
    let taken = Arc::new(Taken::default());
    let (port, _task) = receiver(0, taken.clone(), |n| (n == 0).then_some(0)).await;
    let sink = start(port, &store);
    store.record(alerts(1).remove(0));
    sink.send(Arc::new(recorded.recv().unwrap()));
    until("the second attempt", 25, || {
        taken.ids.lock().unwrap().len() == 1
    })
    .await;
    store.close();
}

/// The child of the next test: records alerts, says each that is on disk, and delivers nothing.
#[test]
fn child_that_is_killed() {
    let Ok(dir) = std::env::var("APITAP_TEST_STORE") else {
        return;
    };
    let (store, _, recorded) = open(Path::new(&dir));
    for alert in alerts(5_000) {
        store.record(alert);
        while let Ok(done) = recorded.try_recv() {
            println!("recorded {}", done.alert.id);
        }
    }
    std::thread::sleep(Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_between_raise_and_delivery_loses_nothing() {
    use std::io::{BufRead, BufReader};
    for round in 0..3_u64 {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_that_is_killed", "--exact", "--nocapture"])
            .env("APITAP_TEST_STORE", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BTreeSet::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while said.len() < 20 + 45 * round as usize {
            let line = lines.next().expect("the child records").unwrap();
            said.extend(line.split("recorded ").nth(1).map(str::to_owned));
        }
        // SIGKILL: no handler runs, nothing is flushed.
        child.kill().unwrap();
        child.wait().unwrap();
        said.extend(
            lines
                .map_while(Result::ok)
                .filter_map(|l| l.split("recorded ").nth(1).map(str::to_owned)),
        );
        let (store, recovered, _) = open(dir.path());
        let kept: BTreeSet<String> = recovered.alerts.iter().map(|a| a.id.clone()).collect();
        assert!(
            said.is_subset(&kept),
            "round {round}: {} said, {} kept",
            said.len(),
            kept.len()
        );
        let taken = Arc::new(Taken::default());
        let (port, _task) = receiver(0, taken.clone(), |n| (n % 10 == 9).then_some(500)).await;
        let sink = start(port, &store);
        for pending in recovered.outbox {
            sink.send(Arc::new(pending));
        }
        until("all that was said", 60, || {
            said.is_subset(&taken.ids.lock().unwrap())
        })
        .await;
        store.close();
    }
}

#[test]
fn the_journal_cut_or_damaged_anywhere_keeps_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, recorded) = open(dir.path());
    for alert in alerts(6) {
        store.record(alert);
        recorded.recv().unwrap();
    }
    store.close();
    drop(store);
    let whole = std::fs::read(dir.path().join("journal")).unwrap();
    let ends: Vec<usize> = whole
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == b'\n')
        .map(|(i, _)| i + 1)
        .collect();
    for end in (0..=whole.len()).step_by(37).chain(ends.iter().copied()) {
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("journal"), &whole[..end]).unwrap();
        let (journal, notices) = apitap::store::Journal::open(other.path(), router()).unwrap();
        let lines = ends.iter().filter(|e| **e <= end).count();
        assert_eq!(journal.alerts().count(), lines.min(6), "cut at {end}");
        assert_eq!(
            notices.is_empty(),
            end == 0 || ends.contains(&end),
            "cut at {end}: {notices:?}"
        );
    }
    for at in (0..whole.len()).step_by(61) {
        let other = tempfile::tempdir().unwrap();
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        std::fs::write(other.path().join("journal"), &damaged).unwrap();
        let (journal, notices) = apitap::store::Journal::open(other.path(), router()).unwrap();
        assert!(!notices.is_empty(), "a flipped bit at {at} was not seen");
        assert!(journal.alerts().count() >= 4, "{at}");
    }
}

#[test]
fn a_damaged_checkpoint_store_is_moved_aside_and_alerts_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, recorded) = open(dir.path());
    store.checkpoint(vec![1; 100_000], vec![2; 1_000]);
    store.record(alerts(1).remove(0));
    recorded.recv().unwrap();
    store.close();
    drop(store);
    let (store, again, _) = open(dir.path());
    assert_eq!(
        (again.catalog, again.detect),
        (Some(vec![1; 100_000]), Some(vec![2; 1_000]))
    );
    store.close();
    drop(store);
    for entry in std::fs::read_dir(dir.path().join("sled")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::write(path, b"this is no database").unwrap();
        }
    }
    let (store, after, _) = open(dir.path());
    assert!(
        after.catalog.is_none() && after.alerts.len() == 1,
        "{:?}",
        after.notices
    );
    assert!(
        after.notices.iter().any(|n| n.contains("moved to")),
        "{:?}",
        after.notices
    );
    let aside = std::fs::read_dir(dir.path()).unwrap().filter(|e| {
        e.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("corrupt")
    });
    assert_eq!(aside.count(), 1);
    store.close();
}

#[test]
fn the_journal_does_not_grow_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), Router::default(), Box::new(|_| ())).unwrap();
    let mut all = alerts(300);
    for round in 0..60 {
        for alert in &mut all {
            alert.revision = round + 1;
            alert.why = vec!["x".repeat(500)];
            store.record(alert.clone());
        }
    }
    store.close();
    drop(store);
    // Some 18,000 lines of a kilobyte each were written; 300 alerts are worth keeping.
    let size = std::fs::metadata(dir.path().join("journal")).unwrap().len();
    assert!(size < 12 << 20, "{size}");
    let (store, again) = Store::open(dir.path(), Router::default(), Box::new(|_| ())).unwrap();
    assert!(again.alerts.len() == 300 && again.alerts.iter().all(|a| a.revision == 60));
    assert!(std::fs::metadata(dir.path().join("journal")).unwrap().len() < 1 << 20);
    store.close();
}

#[test]
fn two_cannot_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, _) = open(dir.path());
    let error = Store::open(dir.path(), Router::default(), Box::new(|_| ()))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains(&std::process::id().to_string()) && error.contains("store.path"),
        "{error}"
    );
    store.close();
}

#[test]
fn the_key_is_made_once_and_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/identity.key");
    let key = apitap::store::identity_key(&path).unwrap();
    assert_eq!(key, apitap::store::identity_key(&path).unwrap());
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = apitap::store::identity_key(&path).unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
}
