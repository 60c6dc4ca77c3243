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
                    reply.send(m.set_status(&id, &wanted));
                }
                Command::SetIncidentStatus { id, wanted, reply } => {
                    reply.send(m.set_incident(&id, &wanted, &mut Vec::new()));
                }
                Command::Act { act, reply } => {
                    reply.send(Ok(m.act(&act, &mut Vec::new())));
                }
                Command::Silence { wanted, reply } => {
                    reply.send(m.silence(*wanted));
                }
                Command::EndSilence { id, by, reply } => {
                    reply.send(m.end_silence(&id, &by, Timestamp::from_secs(1)));
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
    let never = r#"{"status":"muted","until":9000000000}"#;
    let soon = apitap_now() + 3_600.0;
    let late = &format!(r#"{{"status":"muted","until":{soon}}}"#);
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
        (&about, vec![JSON], never, 409),
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

#[tokio::test]
async fn several_are_acted_on_at_once_and_confirmed_once() {
    let (app, views, _) = site();
    let ids: Vec<String> = (views.alerts.load().incidents.iter())
        .map(|i| i.id.clone())
        .collect();
    assert_eq!(ids.len(), 2);
    let both = json!({ "ids": [ids[0], ids[1], "none"], "note": "seen" }).to_string();
    let act = "/api/v1/incidents/act";
    let (status, text) = send(&app, "POST", act, &[JSON], &both).await;
    assert_eq!(status, 200, "{text}");
    let acted: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(acted["changed"], json!(ids));
    assert_eq!(acted["refused"][0]["id"], "none");
    for (body, status) in [
        (r#"{"ids":[]}"#.to_owned(), 400),
        (json!({ "ids": ids }).to_string(), 400),
        (json!({ "ids": ids, "status": "closed" }).to_string(), 400),
        (
            json!({ "ids": vec!["x"; 1_001], "note": "y" }).to_string(),
            400,
        ),
    ] {
        let (got, text) = send(&app, "POST", act, &[JSON], &body).await;
        assert_eq!(got, status, "{text}");
    }
    // The form: asked once, then done, then back where it was.
    let (_, page) = send(&app, "GET", "/incidents?kind=shadow", &[], "").await;
    assert!(
        page.contains("Needs a person <span class=\"n\">2</span>"),
        "{page}"
    );
    let (_, after) = page.split_once("name=\"csrf\" value=\"").unwrap();
    let token = after.split('"').next().unwrap();
    let back = "%2Fincidents%3Fkind%3Dshadow";
    let form = format!(
        "csrf={token}&status=resolved&id={}&id={}&back={back}",
        ids[0], ids[1]
    );
    let (status, asked) = send(&app, "POST", "/incidents/act", &[FORM], &form).await;
    assert_eq!(status, 200);
    assert!(
        asked.contains("Resolve 2 incidents") && asked.contains("host1.example"),
        "{asked}"
    );
    let confirmed = format!("{form}&confirmed=yes");
    let (status, _) = send(&app, "POST", "/incidents/act", &[FORM], &confirmed).await;
    assert_eq!(status, 303);
    let (_, page) = send(&app, "GET", "/incidents", &[], "").await;
    assert!(page.contains("Nothing needs you"), "{page}");
    let (_, page) = send(&app, "GET", "/incidents?view=all", &[], "").await;
    assert!(page.contains("badge resolved"), "{page}");
    // One row of the list needs no confirmation; a script gets JSON.
    let form = format!("csrf={token}&id={}&one=open:{}", ids[1], ids[0]);
    let script = [FORM, ("accept", "application/json")];
    let (status, text) = send(&app, "POST", "/incidents/act", &script, &form).await;
    assert_eq!(status, 200, "{text}");
    let acted: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(acted["changed"], json!([ids[0]]));
    let (status, _) = send(
        &app,
        "POST",
        "/incidents/act",
        &[FORM],
        "csrf=x&status=open",
    )
    .await;
    assert_eq!(status, 403);
}

/// The value of a field of a form.
fn field(page: &str, name: &str) -> String {
    let (_, after) = page
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap();
    let value = after.split('"').next().unwrap();
    value.replace("&#38;", "&").replace("&amp;", "&")
}

fn form(parts: &[(&str, &str)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(parts).finish()
}

#[tokio::test]
async fn all_that_match_are_told_before_they_are_acted_on() {
    let (app, views, manager) = site();
    let raise = |n: i64| {
        let mut m = manager.lock().unwrap();
        m.raise_finding(&finding(n));
        views.alerts.store(m.view());
    };
    raise(3);
    let act = "/incidents/act";
    let (_, page) = send(&app, "GET", "/incidents?kind=shadow&limit=2", &[], "").await;
    assert!(page.contains("data-all>All 3<"), "{page}");
    let (token, back, all) = (
        field(&page, "csrf"),
        field(&page, "back"),
        field(&page, "all"),
    );
    let whole = [
        ("csrf", &*token),
        ("back", &*back),
        ("all", &*all),
        ("status", "resolved"),
    ];
    // Nothing is done unasked, whatever the form says.
    let sure = [whole.as_slice(), &[("confirmed", "yes")]].concat();
    let (status, asked) = send(&app, "POST", act, &[FORM], &form(&sure)).await;
    assert_eq!(status, 200);
    assert!(
        asked.contains("Resolve 3 incidents") && !asked.contains("By now"),
        "{asked}"
    );
    // One more comes: the page that asks says so, and is about all it names.
    raise(4);
    let (_, asked) = send(&app, "POST", act, &[FORM], &form(&whole)).await;
    assert!(
        asked.contains("The list had 3 when it was shown. By now it has 4"),
        "{asked}"
    );
    assert!(asked.contains("host4.example"));
    // Yet another comes after it has asked: it is not among those that are resolved.
    raise(5);
    let ids: Vec<&str> = asked.split("name=\"id\" value=\"").skip(1).collect();
    let ids = ids
        .iter()
        .map(|after| ("id", after.split('"').next().unwrap()));
    let ids: Vec<(&str, &str)> = ids.collect();
    assert_eq!(ids.len(), 4);
    let rest = [("csrf", &*token), ("back", &*back), ("status", "resolved")];
    let yes = [&rest[..], &[("confirmed", "yes")], &ids].concat();
    let (status, _) = send(&app, "POST", act, &[FORM], &form(&yes)).await;
    assert_eq!(status, 303);
    let open = |views: &Views| {
        let alerts = views.alerts.load();
        let open = alerts.incidents.iter().filter(|i| i.status == Status::Open);
        open.map(|i| i.title.clone()).collect::<Vec<String>>()
    };
    let left = open(&views);
    assert!(
        left.len() == 1 && left[0].contains("host5.example"),
        "{left:?}"
    );
    // What is so already says so, and does not keep the others from it.
    let some = views
        .alerts
        .load()
        .incidents
        .iter()
        .find(|i| i.status == Status::Open)
        .unwrap()
        .id
        .clone();
    let both = [&rest[..], &[("confirmed", "yes"), ("id", &some)], &ids].concat();
    let (status, told) = send(&app, "POST", act, &[FORM], &form(&both)).await;
    assert_eq!(status, 200);
    assert!(
        told.contains("1 changed, 4 not") && told.contains("resolved already"),
        "{told}"
    );
    // A list that is not ours, one in which nothing is any more, and one that is too long.
    let of = |back: &str| {
        form(&[
            ("csrf", &token),
            ("back", back),
            ("all", "3-x"),
            ("status", "open"),
        ])
    };
    for (back, status, why) in [
        ("//evil.example/incidents", 400, "of which list?"),
        ("/incidents?kind=scan", 409, "nothing matches any more"),
    ] {
        let (got, page) = send(&app, "POST", act, &[FORM], &of(back)).await;
        assert_eq!(got, status, "{page}");
        assert!(page.contains(why), "{page}");
    }
    (6..1_010).for_each(raise);
    let (got, page) = send(&app, "POST", act, &[FORM], &of("/incidents?view=all")).await;
    assert_eq!(got, 409);
    assert!(
        page.contains("1,009 match, and at most 1,000 are acted on at once"),
        "{page}"
    );
    let (_, page) = send(&app, "GET", "/incidents?view=all", &[], "").await;
    assert!(page.contains("All 1,009: at most 1,000 at once") && !page.contains("name=\"all\""));
}

#[tokio::test]
async fn the_api_acts_on_all_that_a_filter_matches_if_they_are_as_many_as_were_told() {
    let (app, views, _) = site();
    let act = "/api/v1/alerts/act";
    let wish = |filter: Value, total: usize| {
        json!({ "filter": filter, "total": total, "status": "resolved" }).to_string()
    };
    let shadow = json!({ "kind": "shadow", "view": "waiting" });
    for (body, status, why) in [
        (wish(shadow.clone(), 3), 409, "2 match by now, not 3"),
        (wish(json!({ "kind": "scan" }), 1), 409, "nothing matches"),
        // What is not known, or is no choice, must never mean all.
        (wish(json!({ "colour": "red" }), 2), 400, "colour"),
        (wish(json!({}), 2), 400, ""),
        (wish(json!({ "since": "soon" }), 2), 400, "since"),
        (wish(shadow.clone(), 1_001), 400, "1000"),
        (
            json!({ "filter": shadow, "status": "resolved" }).to_string(),
            400,
            "",
        ),
        (
            json!({ "ids": ["x"], "total": 1, "status": "resolved" }).to_string(),
            400,
            "",
        ),
    ] {
        let (got, text) = send(&app, "POST", act, &[JSON], &body).await;
        assert_eq!(got, status, "{body} {text}");
        assert!(text.contains(why), "{body} {text}");
    }
    assert!(
        views
            .alerts
            .load()
            .alerts
            .iter()
            .all(|a| a.status == Status::Open)
    );
    let (status, text) = send(&app, "POST", act, &[JSON], &wish(shadow, 2)).await;
    assert_eq!(status, 200, "{text}");
    let acted: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(acted["changed"].as_array().unwrap().len(), 2);
    assert!(
        views
            .alerts
            .load()
            .alerts
            .iter()
            .all(|a| a.status == Status::Resolved)
    );
}

/// The names in a zip with their contents.
async fn unzip(app: &axum::Router, path: &str) -> BTreeMap<String, Vec<u8>> {
    let request = Request::builder()
        .uri(path)
        .header("host", "127.0.0.1:8650");
    let response = app
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(response.headers()["content-type"], "application/zip");
    let body = axum::body::to_bytes(response.into_body(), 1 << 24)
        .await
        .unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(body)).unwrap();
    let mut out = BTreeMap::new();
    for n in 0..zip.len() {
        let mut file = zip.by_index(n).unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut content).unwrap();
        out.insert(file.name().unwrap().into_owned(), content);
    }
    out
}

#[tokio::test]
async fn the_evidence_is_one_download() {
    let (app, views, manager) = site();
    let view = views.alerts.load_full();
    let (incident, alert) = (
        view.incidents[0].id.clone(),
        view.incidents[0].alerts[0].clone(),
    );
    let note = format!(r#"{{"ids":["{incident}"],"note":"=1+1"}}"#);
    send(&app, "POST", "/api/v1/incidents/act", &[JSON], &note).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join(format!("{alert}.pcapng")),
        b"packets and more",
    )
    .unwrap();
    views.saved.store(Arc::new(web::SavedView {
        dir: dir.path().to_owned(),
        files: [(alert.clone(), 7)].into(),
        ..web::SavedView::default()
    }));
    let path = format!("/api/v1/incidents/{incident}/bundle");
    let files = unzip(&app, &path).await;
    let folder = format!("incident-{incident}");
    let names: Vec<&str> = (files.keys())
        .map(|name| name.strip_prefix(&format!("{folder}/")).unwrap())
        .collect();
    let packets = format!("packets/{alert}.pcapng");
    assert_eq!(
        names,
        [
            "README.txt",
            "alerts.jsonl",
            "endpoints.jsonl",
            "filters.txt",
            "incident.json",
            &packets,
            "timeline.csv"
        ]
    );
    // As far as it is written whole.
    assert_eq!(files[&format!("{folder}/{packets}")], b"packets");
    let text = |name: &str| String::from_utf8(files[&format!("{folder}/{name}")].clone()).unwrap();
    let one: Value = serde_json::from_str(&text("incident.json")).unwrap();
    assert_eq!(
        (&one["id"], &one["note"]),
        (&json!(incident), &json!("=1+1"))
    );
    let lines = text("alerts.jsonl");
    assert_eq!(
        lines.lines().count(),
        manager.lock().unwrap().view().incidents[0].count as usize
    );
    let csv = text("timeline.csv");
    assert!(csv.starts_with("at,kind,severity,by,text,alert"), "{csv}");
    assert!(csv.contains("status") && !csv.contains(",=1+1"), "{csv}");
    assert!(text("README.txt").contains("AS THEY WERE SENT"));
    let masked = unzip(&app, &format!("{path}?packets=no")).await;
    assert!(!masked.keys().any(|name| name.contains("packets/")));
    let single = unzip(&app, &format!("/api/v1/alerts/{alert}/bundle")).await;
    assert!(
        single.contains_key(&format!("incident-{incident}/alerts.jsonl")),
        "{:?}",
        single.keys()
    );
    for path in [
        "/api/v1/incidents/none/bundle",
        "/api/v1/alerts/..%2Fx/bundle",
    ] {
        let (status, _) = send(&app, "GET", path, &[], "").await;
        assert_eq!(status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_rule_is_looked_at_before_it_holds() {
    let (app, _, manager) = site();
    let (_, page) = send(&app, "GET", "/silences?kind=shadow", &[], "").await;
    assert!(page.contains("silent 2 of the 2 alerts"), "{page}");
    let (_, after) = page.split_once("name=\"csrf\" value=\"").unwrap();
    let token = after.split('"').next().unwrap();
    let form = format!(
        "csrf={token}&host=host2.*&days=mon&days=sun&hours=22:00-06:00&timezone=Europe/Berlin&span=24&reason=x"
    );
    let (status, page) = send(
        &app,
        "POST",
        "/silences",
        &[FORM],
        &format!("{form}&preview=yes"),
    )
    .await;
    assert_eq!(status, 200);
    assert!(
        page.contains("value=\"mon\" checked") && page.contains("Europe/Berlin"),
        "{page}"
    );
    assert!(manager.lock().unwrap().view().silences.is_empty());
    let (status, _) = send(&app, "POST", "/silences", &[FORM], &form).await;
    assert_eq!(status, 303);
    let made = manager.lock().unwrap().view().silences[0].scope.clone();
    assert_eq!(
        (made.days, made.timezone.as_deref()),
        (vec!["mon".into(), "sun".into()], Some("Europe/Berlin"))
    );
    let preview = "/api/v1/silences/preview";
    let (_, text) = send(&app, "POST", preview, &[JSON], r#"{"host":"host1.*"}"#).await;
    let kept: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(kept["total"], 1, "{text}");
    let (status, _) = send(&app, "POST", preview, &[JSON], "{}").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn incidents_go_out_as_files_too() {
    let (app, _, _) = site();
    let (_, csv) = send(&app, "GET", "/api/v1/incidents.csv?q=host1", &[], "").await;
    assert!(csv.starts_with("id,title,severity,"), "{csv}");
    assert_eq!(csv.lines().count(), 2);
    let (_, lines) = send(&app, "GET", "/api/v1/incidents.jsonl", &[], "").await;
    assert_eq!(lines.lines().count(), 2);
    let (status, _) = send(&app, "GET", "/api/v1/incidents?since=whenever", &[], "").await;
    assert_eq!(status, 400);
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
    assert!(page.contains("Time line") && page.contains("Raised"));
    let (_, after) = page.split_once("name=\"csrf\" value=\"").unwrap();
    let token = after.split('"').next().unwrap().to_owned();
    let act = format!("{one}/status");
    let (status, _) = send(&app, "POST", &act, &[FORM], "csrf=x&status=resolved").await;
    assert_eq!(status, 403);
    let form = format!("csrf={token}&status=muted&hours=8&note=later");
    let (status, _) = send(&app, "POST", &act, &[FORM], &form).await;
    assert_eq!(status, 303);
    let (_, page) = send(&app, "GET", &format!("/alerts/{alert}"), &[], "").await;
    assert!(page.contains("muted") && page.contains("later") && page.contains("open → muted"));
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
