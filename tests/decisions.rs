//! People's decisions: on disk before they hold, across kill -9 and a lost checkpoint; and only from
//! our own pages.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::time::Duration;

use apitap::alert::route::Router;
use apitap::catalog::{Action, Catalog, CatalogView, Decision, NamedView, Place, Settings};
use apitap::exchange::Exchange;
use apitap::store::{Recovered, Store};
use apitap::time::Timestamp;
use apitap::web::{self, Command, Views, Wish};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use tower::ServiceExt;

fn decision(id: u64, action: Action, path: &str) -> Decision {
    Decision {
        id,
        at: Timestamp::from_secs(1_770_000_000 + id as i64),
        seen: Timestamp::from_secs(1_760_000_000),
        by: "ann".into(),
        action,
        places: vec![Place {
            key: String::new(),
            host: "shop.example".into(),
            method: "GET".into(),
            template: path.to_owned(),
            back: None,
        }],
        value: None,
        note: Some("reviewed".into()),
        undoes: None,
    }
}

fn open(dir: &Path) -> (Store, Recovered) {
    Store::open(dir, Router::default(), Box::new(|_| ())).unwrap()
}

/// Endpoints of a new inventory with these decisions, after some traffic.
fn relearned(decisions: &[Decision], paths: &[String]) -> Arc<CatalogView> {
    let mut catalog = Catalog::new(Settings::default());
    catalog.replay(decisions);
    for (n, path) in paths.iter().flat_map(|p| [p, p]).enumerate() {
        let mut x = Exchange::at(Timestamp::from_secs(1_760_000_100 + n as i64 * 60));
        x.method = Some("GET".into());
        x.host = Some("shop.example".into());
        x.path = Some(path.as_str().into());
        x.status = Some(200);
        catalog.apply(&x, &mut Vec::new());
    }
    catalog.view()
}

/// The child of the next test: decides, and says what is on disk.
#[test]
fn child_that_is_killed() {
    let Ok(dir) = std::env::var("APITAP_TEST_STORE") else {
        return;
    };
    let (store, _) = open(Path::new(&dir));
    let (tell, decided) = crossbeam_channel::unbounded();
    for id in 1..5_000 {
        let tell = tell.clone();
        let d = decision(id, Action::Accept, &format!("/v1/word{id}x"));
        let told = move |d: Decision| {
            let _ = tell.send(d.id);
        };
        store.decide(d, Box::new(told));
        while let Ok(id) = decided.try_recv() {
            println!("decided {id}");
        }
    }
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn kill_9_loses_no_decision_that_was_answered_even_without_the_checkpoint() {
    for round in 0..3_usize {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Process::new(std::env::current_exe().unwrap())
            .args(["child_that_is_killed", "--exact", "--nocapture"])
            .env("APITAP_TEST_STORE", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let id = |line: &str| line.split("decided ").nth(1)?.trim().parse::<u64>().ok();
        let mut said = BTreeSet::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while said.len() < 10 + 30 * round {
            said.extend(id(&lines.next().expect("the child decides").unwrap()));
        }
        // SIGKILL: no handler runs, nothing is flushed.
        child.kill().unwrap();
        child.wait().unwrap();
        said.extend(lines.map_while(Result::ok).filter_map(|line| id(&line)));
        let _ = std::fs::remove_dir_all(dir.path().join("sled"));
        let (store, recovered) = open(dir.path());
        let kept: BTreeSet<u64> = recovered.decisions.iter().map(|d| d.id).collect();
        assert!(
            said.is_subset(&kept),
            "{} said, {} kept",
            said.len(),
            kept.len()
        );
        assert!(recovered.catalog.is_none());
        let paths: Vec<String> = said.iter().map(|id| format!("/v1/word{id}x")).collect();
        let view = relearned(&recovered.decisions, &paths);
        assert!(view.endpoints.iter().all(|e| e.accepted.is_some()));
        store.close();
    }
}

#[test]
fn the_journal_keeps_what_holds_and_does_not_grow_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let pad = "x".repeat(2_000);
    let mut id = 0;
    let mut decide = |action, path: &str| {
        id += 1;
        let mut d = decision(id, action, path);
        d.note = Some(pad.clone());
        store.decide(d, Box::new(|_| ()));
    };
    decide(Action::Accept, "/v1/kept");
    for _ in 0..6_000 {
        decide(Action::Accept, "/v1/moot");
        decide(Action::Unaccept, "/v1/moot");
    }
    store.close();
    drop(store);
    // 12,001 lines of two kilobytes were written; the last 5,000 are the audit.
    let (store, recovered) = open(dir.path());
    store.close();
    let size = std::fs::metadata(dir.path().join("journal")).unwrap().len();
    assert!(size < 13 << 20, "{size}");
    assert_eq!(recovered.decisions.len(), 5_001);
    let first = &recovered.decisions[0];
    assert_eq!(
        (first.id, first.places[0].template.as_str()),
        (1, "/v1/kept")
    );
    let paths = ["/v1/kept".to_owned(), "/v1/moot".to_owned()];
    let view = relearned(&recovered.decisions, &paths);
    let accepted: Vec<bool> = view
        .endpoints
        .iter()
        .map(|e| e.accepted.is_some())
        .collect();
    assert_eq!(accepted, [true, false]);
}

/// And the journal, which is written anew at each start, goes on from there.
#[test]
fn saved_views_outlive_a_restart_and_removed_ones_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let view = |id, query: &str, gone| NamedView {
        id,
        name: format!("view {id}"),
        query: query.to_owned(),
        by: "ann".into(),
        at: Timestamp::from_secs(1_770_000_000),
        gone,
    };
    let (store, _) = open(dir.path());
    for saved in [
        view(1, "q=x", false),
        view(2, "q=x", false),
        view(1, "q=y", false),
        view(2, "q=x", true),
    ] {
        store.named_view(saved);
    }
    store.close();
    drop(store);
    for _ in 0..2 {
        let (store, recovered) = open(dir.path());
        store.close();
        assert_eq!(recovered.views, [view(1, "q=y", false)]);
    }
}

/// The router over a small inventory, with a writer that says what it was asked.
fn site() -> (axum::Router, Arc<Views>, tokio::sync::mpsc::Receiver<Wish>) {
    let views = Arc::new(Views::default());
    let paths: Vec<String> = ["/a", "/b", "/c/list"].map(str::to_owned).into();
    views.catalog.store(relearned(&[], &paths));
    let (commands, mut queue) = tokio::sync::mpsc::channel(8);
    let (asked, wishes) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        while let Some(command) = queue.recv().await {
            if let Command::Decide { what, reply, .. } = command {
                asked.send(what).await.unwrap();
                reply.send(Ok(Arc::new(decision(7, Action::Accept, "/a"))));
            }
        }
    });
    let app = web::router(views.clone(), commands, web::Settings::default());
    (app, views, wishes)
}

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

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test]
async fn the_api_accepts_what_was_said_and_nothing_else() {
    let (app, views, mut wishes) = site();
    let keys: Vec<String> = views
        .catalog
        .load()
        .endpoints
        .iter()
        .map(|e| e.key.clone())
        .collect();
    let all = "/api/v1/endpoints/accept";
    let one = format!("/api/v1/endpoints/{}/accept", keys[0]);
    for (path, headers, body, status) in [
        (all, vec![JSON], "{}", 400),
        (
            all,
            vec![JSON],
            r#"{"filter":{"hots":"shop.example"}}"#,
            400,
        ),
        (all, vec![JSON], r#"{"filter":{"q":""}}"#, 400),
        (all, vec![JSON], r#"{"filter":{"q":"/nowhere"}}"#, 409),
        (all, vec![JSON], r#"{"all":true,"keys":["x"]}"#, 400),
        (all, vec![JSON], r#"{"everything":true}"#, 400),
        // The API takes no form, with a token of our own pages or without.
        (all, vec![FORM], "all=true", 415),
        (
            all,
            vec![JSON, ("origin", "https://evil.example")],
            r#"{"all":true}"#,
            403,
        ),
        (one.as_str(), vec![FORM], "", 415),
        ("/api/v1/endpoints/none/accept", vec![JSON], "{}", 404),
        ("/api/v1/decisions/3/undo", vec![JSON], "{}", 404),
    ] {
        let (got, answer) = send(&app, "POST", path, &headers, body).await;
        assert_eq!(got.as_u16(), status, "{path} {body} {answer}");
    }
    assert!(
        wishes.try_recv().is_err(),
        "nothing was asked of the writer"
    );
    let mark = |keys: &[String]| Wish::Mark {
        action: Action::Accept,
        value: None,
        keys: keys.to_vec(),
    };
    for (path, body, wish) in [
        (all, r#"{"filter":{"q":"/c"}}"#.to_owned(), mark(&keys[2..])),
        (all, r#"{"all":true,"note":"n"}"#.to_owned(), mark(&keys)),
        (
            all,
            format!(r#"{{"keys":["{}"]}}"#, keys[1]),
            mark(&keys[1..2]),
        ),
        (&one, "{}".to_owned(), mark(&keys[..1])),
    ] {
        let (status, answer) = send(&app, "POST", path, &[JSON], &body).await;
        assert_eq!(status, 200, "{answer}");
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((&answer["id"], &answer["by"]), (&7.into(), &"ann".into()));
        assert_eq!(wishes.recv().await.unwrap(), wish, "{body}");
    }
}

#[tokio::test]
async fn the_api_takes_tags_owners_and_notes_of_one_and_of_many() {
    let (app, views, mut wishes) = site();
    let endpoints = views.catalog.load().endpoints.clone();
    let keys: Vec<String> = endpoints.iter().map(|e| e.key.clone()).collect();
    let many = "/api/v1/endpoints/mark";
    let one = |action: &str| format!("/api/v1/endpoints/{}/{action}", keys[0]);
    let long = "x".repeat(2_001);
    for (path, body, status) in [
        (one("tag"), "{}".to_owned(), 400),
        (one("tag"), r#"{"value":"two words"}"#.to_owned(), 400),
        (one("own"), r#"{"value":"a","part":0}"#.to_owned(), 400),
        (one("accept"), r#"{"value":"a"}"#.to_owned(), 400),
        (one("note"), format!(r#"{{"value":"{long}"}}"#), 400),
        (one("mark"), "{}".to_owned(), 404),
        (many.to_owned(), r#"{"all":true}"#.to_owned(), 400),
        (
            many.to_owned(),
            r#"{"all":true,"action":"unpin"}"#.to_owned(),
            400,
        ),
        (
            many.to_owned(),
            r#"{"action":"tag","value":"x"}"#.to_owned(),
            400,
        ),
        (
            many.to_owned(),
            r#"{"action":"shout","all":true}"#.to_owned(),
            400,
        ),
        (
            many.to_owned(),
            r#"{"action":"tag","value":"x","filter":{"q":"/nowhere"}}"#.to_owned(),
            409,
        ),
    ] {
        let (got, answer) = send(&app, "POST", &path, &[JSON], &body).await;
        assert_eq!(got.as_u16(), status, "{path} {body} {answer}");
    }
    assert!(
        wishes.try_recv().is_err(),
        "nothing was asked of the writer"
    );
    let mark = |action, value: Option<&str>, keys: &[String]| Wish::Mark {
        action,
        value: value.map(str::to_owned),
        keys: keys.to_vec(),
    };
    for (path, body, wish) in [
        (
            one("tag"),
            r#"{"value":"PCI"}"#,
            mark(Action::Tag, Some("pci"), &keys[..1]),
        ),
        (
            one("own"),
            r#"{"value":" "}"#,
            mark(Action::Disown, None, &keys[..1]),
        ),
        (
            one("note"),
            r#"{"value":"a\nb"}"#,
            mark(Action::Note, Some("a\nb"), &keys[..1]),
        ),
        (
            many.to_owned(),
            r#"{"action":"own","value":"shop","all":true,"note":"n"}"#,
            mark(Action::Own, Some("shop"), &keys),
        ),
        (
            many.to_owned(),
            r#"{"action":"untag","value":"x","filter":{"q":"/c"}}"#,
            mark(Action::Untag, Some("x"), &keys[2..]),
        ),
    ] {
        let (status, answer) = send(&app, "POST", &path, &[JSON], body).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(wishes.recv().await.unwrap(), wish, "{body}");
    }
}

#[tokio::test]
async fn the_time_line_has_what_was_found_and_what_was_decided() {
    let (app, views, _) = site();
    let catalog = views.catalog.load_full();
    let e = catalog.endpoints[0].as_ref();
    let mut tagged = decision(3, Action::Tag, "/a");
    tagged.value = Some("pci".into());
    tagged.places[0].key.clone_from(&e.key);
    let mut other = decision(4, Action::Accept, "/b");
    other.places[0].key.clone_from(&catalog.endpoints[1].key);
    let items = [other, tagged].map(|d| (Arc::new(d), 1)).to_vec();
    views
        .decisions
        .store(Arc::new(web::DecisionsView { items }));
    let path = format!("/api/v1/endpoints/{}/timeline", e.key);
    let (status, answer) = send(&app, "GET", &path, &[], "").await;
    assert_eq!(status, 200, "{answer}");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let items = answer["items"].as_array().unwrap();
    let entries: Vec<(&str, &str)> = items
        .iter()
        .map(|i| (i["kind"].as_str().unwrap(), i["text"].as_str().unwrap()))
        .collect();
    assert_eq!(entries[0], ("decision", "Tagged pci “reviewed”"));
    assert_eq!(items[0]["by"], "ann");
    assert!(entries.contains(&("seen", "First seen")), "{entries:?}");
    assert_eq!(
        entries
            .iter()
            .filter(|(kind, _)| *kind == "decision")
            .count(),
        1
    );
    let (_, page) = send(&app, "GET", &format!("/endpoints/{}", e.key), &[], "").await;
    assert!(
        page.contains("Tagged pci") && page.contains("First seen"),
        "{page}"
    );
}

#[test]
fn the_journal_keeps_the_words_of_people() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let say = |id, action, value: Option<&str>| {
        let mut d = decision(id, action, "/v1/kept");
        d.value = value.map(str::to_owned);
        store.decide(d, Box::new(|_| ()));
    };
    say(1, Action::Tag, Some("pci"));
    say(2, Action::Own, Some("payments"));
    say(3, Action::Note, Some("one\ntwo"));
    say(4, Action::Tag, Some("old"));
    say(5, Action::Untag, Some("old"));
    store.close();
    drop(store);
    let (store, recovered) = open(dir.path());
    store.close();
    let view = relearned(&recovered.decisions, &["/v1/kept".to_owned()]);
    let e = &view.endpoints[0];
    assert_eq!(
        (e.tags.as_slice(), e.owner.as_deref(), e.note.as_deref()),
        (&["pci".to_owned()][..], Some("payments"), Some("one\ntwo"))
    );
    let line = serde_json::to_value(e.as_ref()).unwrap();
    assert_eq!(line["tags"], serde_json::json!(["pci"]));
    assert_eq!(
        (&line["owner"], &line["note"]),
        (&"payments".into(), &"one\ntwo".into())
    );
    assert!(e.accepted.is_none());
}

#[tokio::test]
async fn many_are_accepted_after_a_confirmation_with_its_token() {
    let (app, views, mut wishes) = site();
    let (_, list) = send(&app, "GET", "/endpoints?q=%2Fa", &[], "").await;
    assert!(list.contains("1 waits to be accepted"), "{list}");
    let (_, list) = send(&app, "GET", "/endpoints", &[], "").await;
    assert!(list.contains("3 wait to be accepted"), "{list}");
    let (status, page) = send(&app, "GET", "/endpoints/accept?which=all", &[], "").await;
    assert!(
        status == 200 && page.contains("Accept these 3 endpoints?"),
        "{page}"
    );
    assert!(wishes.try_recv().is_err(), "asking changes nothing");
    let (_, after) = page.split_once("name=\"csrf\" value=\"").unwrap();
    let token = after.split('"').next().unwrap();
    let (_, after) = page.split_once("name=\"until\" value=\"").unwrap();
    let until = after.split('"').next().unwrap();
    let (status, _) = send(
        &app,
        "POST",
        "/endpoints/accept",
        &[FORM],
        "csrf=x&which=all",
    )
    .await;
    assert_eq!(status, 403);
    // One more has come since the page was shown: it is not among those.
    let paths: Vec<String> = ["/a", "/b", "/c/list", "/late"].map(str::to_owned).into();
    let grown = relearned(&[], &paths);
    let shown: Vec<String> = grown
        .endpoints
        .iter()
        .filter(|e| e.template != "/late")
        .map(|e| e.key.clone())
        .collect();
    views.catalog.store(grown);
    let form = format!("csrf={token}&until={until}");
    let (status, _) = send(&app, "POST", "/endpoints/accept", &[FORM], &form).await;
    assert_eq!(status, 303);
    let wish = Wish::Mark {
        action: Action::Accept,
        value: None,
        keys: shown,
    };
    assert_eq!(wishes.recv().await.unwrap(), wish);
}
