//! Incidents from end to end: an attacker's alerts are one, states outlive kill -9, and people act
//! only from our own pages.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::time::Duration;

use apitap::alert::route::Router;
use apitap::alert::{Manager, Settings, Status, Wanted};
use apitap::catalog::{Finding, FindingKind};
use apitap::store::{Recovered, Store};
use apitap::time::Timestamp;
use apitap::web::{self, Command, Views};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

const APITAP: &str = env!("CARGO_BIN_EXE_apitap");
const START: f64 = 1_760_000_000.0;
const DAY: f64 = 86_400.0;

fn line(ts: f64, client: &str, token: Option<&str>, path: &str, status: u16) -> (f64, Value) {
    let mut x = json!({ "v": 1, "ts": START + ts, "client": client, "method": "GET", "host": "api.example",
        "path": path, "status": status, "response_bytes": 500, "server": "10.1.0.1", "server_port": 80 });
    if let Some(token) = token {
        x["identity"] = format!("bearer:{token}").into();
    }
    (ts, x)
}

/// Three quiet days of forty callers; then one attacker scans and walks, and a crowd floods.
fn exchanges() -> Vec<Value> {
    let mut all = Vec::new();
    for n in 0..12_000_u32 {
        let who = n * 7 % 40;
        let ts = f64::from(n) * 3.0 * DAY / 12_000.0;
        let path = match n % 3 {
            0 => "/v1/orders".to_owned(),
            1 => format!("/v1/orders/{}", 1_000 + who * 10 + n % 5),
            _ => format!("/v1/users/{}", 5_000 + who),
        };
        let client = format!("10.0.0.{}", 10 + who);
        all.push(line(ts, &client, Some(&format!("t{who}")), &path, 200));
    }
    let attack = 3.0 * DAY + 600.0;
    for n in 0..900_u32 {
        let ts = attack + f64::from(n) * 0.3;
        let path = format!("/admin/x{n}.php");
        all.push(line(ts, "203.0.113.9", None, &path, 404));
        let (ts, path) = (ts + 400.0, format!("/v1/orders/{}", 3_000 + n));
        all.push(line(ts, "203.0.113.9", Some("t3"), &path, 200));
    }
    for n in 0..12_000_u32 {
        let ts = attack + 7_200.0 + f64::from(n) * 0.02;
        let client = format!("198.51.100.{}", 1 + n % 30);
        all.push(line(ts, &client, None, "/v1/orders", 200));
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.into_iter().map(|(_, x)| x).collect()
}

fn analyzed(dir: &Path) -> Vec<Value> {
    let file = dir.join("exchanges.jsonl");
    let mut out = std::fs::File::create(&file).unwrap();
    for x in exchanges() {
        writeln!(out, "{x}").unwrap();
    }
    let out = Process::new(APITAP)
        .arg("analyze")
        .arg(&file)
        .args(["--format", "alerts", "--state"])
        .arg(dir.join("state"))
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn one_attacker_is_one_incident_and_so_is_a_flood() {
    let dir = tempfile::tempdir().unwrap();
    let lines = analyzed(dir.path());
    let of = |client: &str| {
        let wanted = |a: &&Value| {
            let found = a["principal"]["client"].as_str();
            found.is_some_and(|c| c.starts_with(client))
        };
        let found: Vec<&Value> = lines.iter().filter(wanted).collect();
        let kinds: BTreeSet<String> = found
            .iter()
            .map(|a| a["kind"].as_str().unwrap().to_owned())
            .collect();
        let ids: BTreeSet<&str> = found.iter().filter_map(|a| a["id"].as_str()).collect();
        let incidents: BTreeSet<String> = found
            .iter()
            .map(|a| a["incident"].as_str().unwrap().to_owned())
            .collect();
        (ids.len(), kinds, incidents)
    };
    let (alerts, kinds, incidents) = of("203.0.113.9");
    assert!(alerts >= 2 && kinds.len() >= 2, "{alerts} {kinds:?}");
    assert!(kinds.contains("scan") && kinds.contains("enumeration"));
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    let (alerts, kinds, flood) = of("198.51.100.");
    assert!(alerts >= 10, "{alerts} {kinds:?}");
    assert_eq!(flood.len(), 1, "{flood:?}");
    assert!(flood.is_disjoint(&incidents));
    // What is in the state is what was printed.
    let (store, recovered) = open(&dir.path().join("state"));
    store.close();
    let kept: BTreeMap<&str, _> = recovered
        .incidents
        .iter()
        .map(|i| (i.id.as_str(), i))
        .collect();
    let attack = kept[incidents.first().unwrap().as_str()];
    assert!(
        attack.title.contains("by 203.0.113.9 and bearer:t3"),
        "{attack:?}"
    );
    let flood = kept[flood.first().unwrap().as_str()];
    assert!(flood.callers() >= 10 && flood.title.contains("addresses"));
}

fn open(dir: &Path) -> (Store, Recovered) {
    Store::open(
        dir,
        Router::new(vec!["soc".into()], Vec::new()),
        Box::new(|_| ()),
    )
    .unwrap()
}

fn finding(n: i64) -> Finding {
    let at = Timestamp::from_secs(1_760_000_000 + n);
    Finding {
        kind: FindingKind::Shadow,
        endpoint: None,
        subject: format!("GET host{n}.example /v1/things"),
        at,
        since: at,
        why: "no spec".into(),
    }
}

/// What is done to the n-th.
fn fate(n: i64) -> Status {
    Status::ALL[n as usize % 5]
}

/// The child of the next test: raises, acts, and says what is on disk.
#[test]
fn child_that_is_killed() {
    let Ok(dir) = std::env::var("APITAP_TEST_STORE") else {
        return;
    };
    let (store, _) = open(Path::new(&dir));
    let mut m = Manager::new(Settings::default());
    for n in 0..5_000 {
        let mut out = Vec::from_iter(m.raise_finding(&finding(n)));
        let id = out[0].incident.clone().unwrap();
        for notice in m.notices() {
            store.record(out.remove(0));
            store.tell(notice);
        }
        let at = finding(n).at;
        let muted = fate(n) == Status::Muted;
        let wanted = Wanted {
            status: fate(n),
            until: muted.then(|| at + Duration::from_secs(3_600)),
            by: "ann".into(),
            note: Some("seen".into()),
            at,
        };
        m.set_incident(&id, &wanted, &mut out).unwrap();
        out.into_iter().for_each(|alert| store.record(alert));
        m.notices()
            .into_iter()
            .for_each(|notice| store.tell(notice));
        store.after(Box::new(move || println!("did {n} {id}")));
    }
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn kill_9_keeps_states_and_raises_nothing_twice() {
    for round in 0..3_usize {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Process::new(std::env::current_exe().unwrap())
            .args(["child_that_is_killed", "--exact", "--nocapture"])
            .env("APITAP_TEST_STORE", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said: BTreeMap<String, i64> = BTreeMap::new();
        let mut hear = |line: &str| {
            let (n, id) = line.split("did ").nth(1)?.split_once(' ')?;
            said.insert(id.trim().to_owned(), n.parse().ok()?);
            Some(said.len())
        };
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wanted = 10 + 40 * round;
        while hear(&lines.next().expect("the child acts").unwrap()).unwrap_or(0) < wanted {}
        // SIGKILL: no handler runs, nothing is flushed.
        child.kill().unwrap();
        child.wait().unwrap();
        lines.map_while(Result::ok).for_each(|line| {
            let _ = hear(&line);
        });
        let (store, recovered) = open(dir.path());
        store.close();
        let messages: Vec<String> = recovered
            .outbox
            .iter()
            .map(|p| p.alert.message_id())
            .collect();
        let told: BTreeSet<&String> = messages.iter().collect();
        assert_eq!(told.len(), messages.len());
        let mut m = Manager::new(Settings::default());
        m.restore(recovered.alerts, recovered.incidents);
        let due = m.notices();
        assert!(due.iter().all(|n| !said.contains_key(&n.incident.id)));
        let view = m.view();
        for (id, n) in &said {
            let incident = view.incidents.iter().find(|i| i.id == *id).unwrap();
            assert_eq!(incident.status, fate(*n));
            assert_eq!(incident.history.len(), 1);
            assert_eq!(incident.note.as_deref(), Some("seen"));
            for revision in 1..=2 {
                assert!(
                    told.contains(&format!("{id}-{revision}")),
                    "{id} {revision}"
                );
            }
            let alert = view
                .alerts
                .iter()
                .find(|a| a.id == incident.alerts[0])
                .unwrap();
            assert_eq!((alert.status, alert.history.len()), (fate(*n), 1));
        }
        // It rings again: the same alert, but where it was resolved.
        for (id, n) in &said {
            let mut again = finding(*n);
            again.at = again.at + Duration::from_secs(1);
            let raised = m.raise_finding(&again).unwrap();
            let is_same = raised.incident.as_ref() == Some(id);
            assert_eq!(is_same, fate(*n) != Status::Resolved, "{n}");
        }
    }
}

/// The router over one incident, with a manager that does what it is asked.
fn site() -> (axum::Router, Arc<Views>, Arc<std::sync::Mutex<Manager>>) {
    let mut manager = Manager::new(Settings::default());
    for n in [1, 1, 2] {
        manager.raise_finding(&finding(n));
    }
    let views = Arc::new(Views::default());
    views.alerts.store(manager.view());
    let manager = Arc::new(std::sync::Mutex::new(manager));
    let (commands, mut queue) = tokio::sync::mpsc::channel(8);
    let (writer, shown) = (manager.clone(), views.clone());
    tokio::spawn(async move {
        while let Some(command) = queue.recv().await {
            let mut m = writer.lock().unwrap();
            match command {
                Command::SetAlertStatus { id, wanted, reply } => {
                    let _ = reply.send(m.set_status(&id, &wanted));
                }
                Command::SetIncidentStatus { id, wanted, reply } => {
                    let _ = reply.send(m.set_incident(&id, &wanted, &mut Vec::new()));
                }
                Command::Silence { wanted, reply } => {
                    let _ = reply.send(m.silence(*wanted));
                }
                Command::EndSilence { id, by, reply } => {
                    let _ = reply.send(m.end_silence(&id, &by, Timestamp::from_secs(1)));
                }
                other => other.refuse("not here"),
            }
            shown.alerts.store(m.view());
        }
    });
    let app = web::router(views.clone(), commands, web::Settings::default());
    (app, views, manager)
}

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn send(
    app: &axum::Router,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (StatusCode, String) {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header("host", "127.0.0.1:8650");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
    (status, String::from_utf8(body.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn the_api_shows_acts_and_refuses() {
    let (app, views, _) = site();
    let id = views.alerts.load().incidents[0].id.clone();
    let alert = views.alerts.load().incidents[0].alerts[0].clone();
    let one = format!("/api/v1/incidents/{id}");
    let act = format!("{one}/status");
    let about = format!("/api/v1/alerts/{alert}/status");
    let late = r#"{"status":"muted","until":9000000000}"#;
    for (path, headers, body, status) in [
        (
            "/api/v1/incidents/none/status",
            vec![JSON],
            r#"{"status":"open"}"#,
            404,
        ),
        (&act, vec![JSON], r#"{"status":"closed"}"#, 400),
        (&act, vec![JSON], r#"{"status":"muted"}"#, 409),
        (&act, vec![JSON], r#"{"status":"open"}"#, 409),
        (&act, vec![JSON], r#"{"state":"open"}"#, 400),
        (&act, vec![FORM], "status=resolved", 415),
        (
            &act,
            vec![JSON, ("origin", "https://evil.example")],
            r#"{"status":"resolved"}"#,
            403,
        ),
        (
            &act,
            vec![JSON],
            r#"{"status":"acknowledged","note":"on it"}"#,
            200,
        ),
        (&about, vec![JSON], late, 200),
        (
            "/api/v1/silences",
            vec![JSON],
            r#"{"until":9000000000,"reason":"x"}"#,
            400,
        ),
        (
            "/api/v1/silences",
            vec![JSON],
            r#"{"kinds":"scan","until":9000000000,"reason":"x"}"#,
            400,
        ),
        (
            "/api/v1/silences",
            vec![JSON],
            r#"{"kind":"scan","until":9000000000,"reason":""}"#,
            400,
        ),
        (
            "/api/v1/silences",
            vec![JSON],
            r#"{"kind":"scan","until":9000000000,"reason":"x"}"#,
            409,
        ),
        ("/api/v1/silences", vec![FORM], "kind=scan", 415),
        ("/api/v1/silences/s1/end", vec![JSON], "{}", 404),
    ] {
        let (got, answer) = send(&app, "POST", path, &headers, body).await;
        assert_eq!(got.as_u16(), status, "{path} {body} {answer}");
    }
    let (_, text) = send(&app, "GET", &one, &[], "").await;
    let incident: Value = serde_json::from_str(&text).unwrap();
    // Its only alert was muted then, and it with it.
    let states: Vec<&str> = incident["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["to"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["acknowledged", "muted"], "{text}");
    assert_eq!(incident["history"][0]["by"], "api");
    let soon = apitap_now() + 3_600.0;
    let rule = format!(r#"{{"host":"host1.*","until":{soon},"reason":"known"}}"#);
    let (status, text) = send(&app, "POST", "/api/v1/silences", &[JSON], &rule).await;
    assert_eq!(status, 200, "{text}");
    let made: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&made["id"], &made["by"]), (&json!("s1"), &json!("api")));
    let (status, _) = send(&app, "POST", "/api/v1/silences/s1/end", &[JSON], "{}").await;
    assert_eq!(status, 200);
    let (_, text) = send(&app, "GET", "/api/v1/silences", &[], "").await;
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list["items"][0]["ended"]["by"], "api");
    let (_, text) = send(&app, "GET", "/api/v1/incidents?status=muted", &[], "").await;
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&list["total"], &list["items"][0]["id"]),
        (&json!(1), &json!(id))
    );
}

fn apitap_now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}

#[tokio::test]
async fn the_pages_show_and_act_with_their_token() {
    let (app, views, manager) = site();
    let id = views.alerts.load().incidents[0].id.clone();
    let alert = views.alerts.load().incidents[0].alerts[0].clone();
    let (_, list) = send(&app, "GET", "/incidents", &[], "").await;
    assert!(list.contains(&format!("/incidents/{id}")), "{list}");
    let (_, empty) = send(&app, "GET", "/incidents?kind=scan", &[], "").await;
    assert!(empty.contains("No incident matches"), "{empty}");
    let one = format!("/incidents/{id}");
    let (_, page) = send(&app, "GET", &one, &[], "").await;
    assert!(page.contains("Time line") && page.contains(&format!("/alerts/{alert}")));
    let (_, after) = page.split_once("name=\"csrf\" value=\"").unwrap();
    let token = after.split('"').next().unwrap().to_owned();
    let act = format!("{one}/status");
    let (status, _) = send(&app, "POST", &act, &[FORM], "csrf=x&status=resolved").await;
    assert_eq!(status, 403);
    let form = format!("csrf={token}&status=muted&hours=8&note=later");
    let (status, _) = send(&app, "POST", &act, &[FORM], &form).await;
    assert_eq!(status, 303);
    let (_, page) = send(&app, "GET", &format!("/alerts/{alert}"), &[], "").await;
    assert!(page.contains("muted") && page.contains("later") && page.contains("History"));
    let (_, page) = send(&app, "GET", "/silences", &[], "").await;
    assert!(page.contains("No rule holds"), "{page}");
    let form = format!("csrf={token}&kind=shadow&host=&span=24&reason=known+%3Cb%3E");
    let (status, text) = send(&app, "POST", "/silences", &[FORM], &form).await;
    assert_eq!(status, 303, "{text}");
    let (_, page) = send(&app, "GET", "/silences", &[], "").await;
    assert!(
        page.contains("kind shadow") && page.contains("known &#60;b&#62;"),
        "{page}"
    );
    assert!(!page.contains("<b>"));
    let form = format!("csrf={token}");
    let (status, _) = send(&app, "POST", "/silences/s1/end", &[FORM], &form).await;
    assert_eq!(status, 303);
    let silence = manager.lock().unwrap().view().silences[0].clone();
    assert_eq!(silence.ended.as_ref().unwrap().by, "web");
}
