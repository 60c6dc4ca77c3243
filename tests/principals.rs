//! Who calls what: composed exchanges through the analysis to the views, the pages and the API.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use apitap::analysis::{Analysis, Settings};
use apitap::catalog;
use apitap::detect::{
    self, Place, Principal, PrincipalKind, PrincipalView, Severity, Verdict, VerdictKind,
};
use apitap::exchange::parse_line;
use apitap::time::Timestamp;
use apitap::web::{self, Command, Views};
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::Value;
use tower::ServiceExt;

/// A Monday, at midnight.
const START: i64 = 1_759_708_800;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

struct Traffic {
    analysis: Analysis,
    alerts: Vec<apitap::alert::Alert>,
}

impl Traffic {
    fn new() -> Self {
        let learning = Duration::from_secs(2 * DAY as u64);
        let settings = Settings {
            catalog: catalog::Settings {
                learning,
                ..catalog::Settings::default()
            },
            detect: detect::Settings {
                learning,
                ..detect::Settings::default()
            },
            ..Settings::default()
        };
        Self {
            analysis: Analysis::new(settings),
            alerts: Vec::new(),
        }
    }

    /// At so many seconds, from there, with these members more (or other ones).
    fn call(&mut self, secs: i64, client: &str, path: &str, more: &str) {
        let status = if more.contains(r#""status""#) {
            ""
        } else {
            r#","status":200"#
        };
        let line = format!(
            r#"{{"ts":{},"client":"{client}","method":"GET","host":"api.example","path":"{path}"{status}{more}}}"#,
            START + secs
        );
        let x = parse_line(line.as_bytes()).unwrap();
        self.analysis.apply(x.end, &x, &mut self.alerts);
    }

    fn person(&self, name: &str) -> PrincipalView {
        self.analysis.principal(name).unwrap()
    }
}

const COLLEAGUES: i64 = 60;
const ANNA: &str = "bearer:0123456789abcdef";

/// Ten days: Anna works from nine to five, on weekdays, from two addresses, her colleagues at noon;
/// a job runs each night; a scanner comes once.
fn traffic() -> Traffic {
    let mut t = Traffic::new();
    let anna = format!(
        r#","identity":"{ANNA}","auth":"bearer","user_agent":"okhttp/4.9","country":"DE","response_bytes":1000"#
    );
    for day in 0..10 {
        for hour in [2, 9, 12, 17] {
            let at = day * DAY + hour * HOUR;
            match hour {
                2 => {
                    for n in 0..200 {
                        let job = r#","user_agent":"job/1","identity":"apikey:feed""#;
                        t.call(at + n, "10.0.0.50", "/export", job);
                    }
                }
                _ if day % 7 < 5 => {
                    let client = if hour == 17 { "10.0.0.6" } else { "10.0.0.5" };
                    t.call(at, client, "/orders", &anna);
                    t.call(at + 1, client, "/orders", &anna);
                    t.call(at + 2, client, "/items", &anna);
                }
                _ => {}
            }
            for n in (0..COLLEAGUES).filter(|_| hour == 12) {
                let who = format!(r#","identity":"jwt:colleague{n}","user_agent":"axios/1""#);
                t.call(at + 10 + n, &format!("10.1.0.{n}"), "/items", &who);
            }
        }
    }
    let at = 9 * DAY + 20 * HOUR;
    t.call(at, "10.0.0.5", "/gone", &format!(r#"{anna},"status":404"#));
    for n in 0..600 {
        let probe = r#","status":404,"user_agent":"nikto""#;
        t.call(at + n / 4, "203.0.113.9", &format!("/admin/{n}.php"), probe);
    }
    t.analysis
        .finish(Timestamp::from_secs(START + 10 * DAY), &mut t.alerts);
    t
}

#[test]
fn one_is_told_by_what_it_calls_when_and_from_where() {
    let t = traffic();
    let anna = t.person(ANNA);
    assert_eq!(anna.row.kind, PrincipalKind::Identity);
    assert_eq!((anna.row.requests, anna.row.errors), (73, 1));
    let calls: Vec<(&str, u64)> = (anna.calls.iter())
        .map(|c| (c.endpoint.as_deref().unwrap(), c.requests))
        .collect();
    let expected = [
        ("GET api.example /orders", 48),
        ("GET api.example /items", 24),
    ];
    assert_eq!(calls, expected);
    assert!(anna.calls.iter().all(|c| c.key.is_some() && c.error == 0));
    assert_eq!((anna.elsewhere, anna.response_bytes), (1, 73_000));
    let addresses: Vec<(&str, u64)> = (anna.addresses.iter())
        .map(|a| (a.name.as_str(), a.requests))
        .collect();
    assert_eq!(addresses, [("10.0.0.5", 49), ("10.0.0.6", 24)]);
    assert_eq!(anna.programs[0].name, "okhttp");
    assert_eq!(anna.countries[0].name, "DE");
    // The first day was a Monday; the second week has three days.
    assert_eq!(anna.hours[0][9], 6);
    assert_eq!(anna.hours[3][9], 3);
    assert!(anna.hours[5].iter().all(|n| *n == 0));
    assert_eq!(anna.days.len(), 8);
    assert_eq!((anna.days[0].endpoints, anna.days[0].new_endpoints), (2, 2));
    assert_eq!((anna.days[1].endpoints, anna.days[1].new_endpoints), (2, 0));
    assert!(anna.habit.is_none(), "{}", anna.automation_why);
    assert_eq!(anna.row.first_seen, Timestamp::from_secs(START + 9 * HOUR));
}

#[test]
fn an_address_knows_its_identities_and_a_nightly_job_is_automation() {
    let t = traffic();
    let job = t.person("apikey:feed");
    assert!(job.row.automation, "{}", job.automation_why);
    assert!(job.automation_why.starts_with("it begins about 02:00 UTC"));
    // Only who has called without a credential is followed by the address.
    let scanner = t.person("203.0.113.9");
    assert_eq!(
        (scanner.row.kind, scanner.row.errors),
        (PrincipalKind::Address, 600)
    );
    assert_eq!((scanner.calls.len(), scanner.elsewhere), (0, 600));
    let mut t = t;
    assert!(t.analysis.principal("10.0.0.7").is_none());
    let only_anna = t.person("10.0.0.6");
    assert_eq!((only_anna.row.requests, only_anna.identities.len()), (0, 1));
    t.call(10 * DAY, "10.0.0.6", "/items", "");
    let office = t.person("10.0.0.6");
    let behind: Vec<&str> = office.identities.iter().map(|o| o.id.as_str()).collect();
    assert_eq!((behind, office.more_identities), (vec![ANNA], 0));
}

#[test]
fn the_same_exchanges_give_the_same_views_and_a_restart_changes_none() {
    let (mut a, b) = (traffic(), traffic());
    let names = || a.analysis.detect.save();
    assert_eq!(names(), b.analysis.detect.save());
    let saved = (a.analysis.catalog.save(), a.analysis.detect.save());
    let restored = Analysis::with(
        catalog::Catalog::restore(catalog::Settings::default(), &saved.0).unwrap(),
        detect::Detect::restore(detect::Settings::default(), &saved.1).unwrap(),
        apitap::alert::Manager::new(apitap::alert::Settings::default()),
    );
    for item in &a.analysis.principals().items {
        assert_eq!(restored.principal(&item.id), a.analysis.principal(&item.id));
    }
}

#[test]
fn the_list_is_bounded_and_has_those_in_alerts_whoever_else_calls() {
    let mut t = traffic();
    assert!(t.alerts.iter().any(|a| a.who() == Some("203.0.113.9")));
    // Busier and later ones than the scanner, more than are listed.
    for n in 0..6_000_i64 {
        let client = format!("198.18.{}.{}", n / 250, n % 250);
        for k in 0..3 {
            let at = 10 * DAY + n + k * 7_000;
            t.call(at, &client, "/items", r#","user_agent":"curl/8""#);
        }
    }
    let started = Instant::now();
    let view = t.analysis.principals();
    println!(
        "{} of {} listed in {:?}",
        view.items.len(),
        view.total,
        started.elapsed()
    );
    assert_eq!(view.total, 6_003 + COLLEAGUES as usize);
    assert!(
        (2_000..=6_000).contains(&view.items.len()),
        "{}",
        view.items.len()
    );
    assert!(view.items.iter().any(|row| row.id == "203.0.113.9"));
    assert!(
        view.items
            .is_sorted_by_key(|row| std::cmp::Reverse(row.last_seen))
    );
    assert_eq!(view.new, [6_001, 0]);
    let curl = view.items.iter().filter(|row| row.program == "curl");
    assert!(curl.count() > 1_900);
}

/// The daemon's two halves: views, and answers to what is asked for.
struct Web(axum::Router);

impl Web {
    fn of(mut t: Traffic) -> Self {
        let views = Arc::new(Views::default());
        views.catalog.store(t.analysis.view());
        views.alerts.store(t.analysis.alerts.view());
        views.principals.store(Arc::new(t.analysis.principals()));
        let (commands, mut asked) = tokio::sync::mpsc::channel(8);
        tokio::spawn(async move {
            while let Some(command) = asked.recv().await {
                match command {
                    Command::Principal { id, reply } => {
                        let found = t.analysis.principal(&id).map(Box::new);
                        reply.send(Ok(found));
                    }
                    other => other.refuse("not here"),
                }
            }
        });
        Self(web::router(views, commands, web::Settings::default()))
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let request = Request::get(path).header("host", "localhost");
        let request = request.body(Body::empty()).unwrap();
        let answer = self.0.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn json(&self, path: &str) -> Value {
        let (status, text) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn ids(&self, query: &str) -> Vec<String> {
        let list = self.json(&format!("/api/v1/principals{query}")).await;
        let items = list["items"].as_array().unwrap();
        items
            .iter()
            .map(|i| i["id"].as_str().unwrap().into())
            .collect()
    }
}

#[tokio::test]
async fn the_list_narrows_sorts_pages_and_is_exported_as_it_is_shown() {
    let web = Web::of(traffic());
    let all = ["203.0.113.9", ANNA, "apikey:feed"];
    assert_eq!(web.ids("?limit=2").await, all[..2]);
    assert_eq!(
        web.ids("?kind=identity&sort=requests&limit=2").await,
        [all[2], all[1]]
    );
    assert_eq!(web.ids("?automation=known").await, [all[2]]);
    assert_eq!(web.ids("?program=nikto").await, [all[0]]);
    assert_eq!(web.ids("?country=DE").await, [ANNA]);
    assert_eq!(web.ids("?q=0123").await, [ANNA]);
    assert_eq!(web.ids("?seen=new").await, [all[0]]);
    assert_eq!(web.ids("?incidents=open").await, [all[0]]);
    let first = web.json("/api/v1/principals?limit=2").await;
    assert_eq!(first["total"].as_u64(), Some(3 + COLLEAGUES as u64));
    let behind = first["next"].as_str().unwrap();
    assert!(first["items"][0]["open_incidents"].as_u64().unwrap() >= 1);
    let next = web.ids(&format!("?limit=1&cursor={behind}")).await;
    assert_eq!(next, [format!("jwt:colleague{}", COLLEAGUES - 1)]);
    let (_, csv) = web
        .get("/api/v1/principals.csv?kind=identity&sort=requests")
        .await;
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("id,kind,first_seen"));
    assert!(lines[2].starts_with(&format!("{ANNA},identity,")));
    assert_eq!(lines.len() as i64, 3 + COLLEAGUES);
    let (_, page) = web.get("/principals?kind=identity").await;
    assert!(
        page.contains("/principals/bearer%3A0123456789abcdef"),
        "{page}"
    );
    assert!(page.contains(r#"aria-current="true">identity"#));
}

#[tokio::test]
async fn pages_show_who_that_is_and_say_so_where_nobody_is() {
    let web = Web::of(traffic());
    let (status, page) = web.get("/principals/bearer%3A0123456789abcdef").await;
    assert_eq!(status, 200);
    for part in [
        "An identity by its bearer credential from 2 addresses in DE: 73 requests to 2 endpoints",
        "GET api.example /orders",
        "65.8 %",
        "Busiest on Monday at 09:00",
        "never on Saturday or Sunday",
        r#"href="/principals/10.0.0.5""#,
        "okhttp",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let (_, scanner) = web.get("/principals/203.0.113.9").await;
    assert!(scanner.contains("open incident") && scanner.contains("/alerts/"));
    let (status, nobody) = web.get("/principals/%3Cscript%3E").await;
    assert_eq!(status, 404);
    assert!(nobody.contains("Not followed now") && !nobody.contains("<script>"));
    let (status, problem) = web.get("/api/v1/principals/nobody").await;
    assert_eq!(status, 404);
    assert!(problem.contains("no such principal"));
    let (status, _) = web.get("/principals/2001%3Adb8%3A%3A%2F64").await;
    assert_eq!(status, 404);
}

/// The page of an alert asks for who acts, and not for whom endpoints know best.
#[tokio::test]
async fn an_alert_shows_what_its_caller_calls_however_many_others_do() {
    let mut t = traffic();
    let catalog = t.analysis.view();
    let mut endpoints = catalog.endpoints.iter();
    let items = endpoints.find(|e| e.template == "/items").unwrap();
    let best = |who: &String| items.top_callers.iter().any(|c| c.name == *who);
    let mut all = (0..COLLEAGUES).map(|n| format!("jwt:colleague{n}"));
    let who = all.find(|who| !best(who)).unwrap();
    let verdict = Verdict {
        at: Timestamp::from_secs(START + 10 * DAY),
        kind: VerdictKind::Source,
        severity: Severity::Medium,
        score: 50.0,
        detector: "source-country".into(),
        principal: Some(Principal {
            identity: Some(who.clone()),
            client: None,
        }),
        endpoint: None,
        host: Some("api.example".into()),
        since: Timestamp::from_secs(START + 9 * DAY),
        until: Timestamp::from_secs(START + 10 * DAY),
        expected: 0.0,
        observed: 1.0,
        log10_p: -9.0,
        summary: "from a new country".into(),
        why: Vec::new(),
        samples: Vec::new(),
        series: Vec::new(),
        owasp: String::new(),
        parts: Vec::new(),
        place: Place::default(),
    };
    let alert = t.analysis.alerts.raise(&verdict, None).unwrap();
    let link = format!(
        r#"href="/endpoints/{}">GET api.example /items</a> <span class="sub">10 requests"#,
        items.key
    );
    let incident = alert.incident.clone().unwrap();
    let web = Web::of(t);
    for path in [
        format!("/alerts/{}", alert.id),
        format!("/incidents/{incident}"),
    ] {
        let (status, page) = web.get(&path).await;
        assert_eq!(status, 200);
        assert!(page.contains(&link), "{link} is not in {page}");
    }
}

/// What a flood of callers costs the one that writes.
#[test]
#[ignore = "a measure: --ignored --nocapture"]
fn listing_a_hundred_thousand_takes_little() {
    let mut t = Traffic::new();
    for n in 0..100_000_i64 {
        let client = format!("10.{}.{}.{}", n / 62_500, n / 250 % 250, n % 250);
        t.call(n / 100, &client, "/items", r#","user_agent":"curl/8""#);
    }
    let started = Instant::now();
    let view = t.analysis.principals();
    let took = started.elapsed();
    println!("{} of {} in {took:?}", view.items.len(), view.total);
    let started = Instant::now();
    assert!(t.analysis.principal("10.0.0.1").is_some());
    println!("one of them in {:?}", started.elapsed());
    assert_eq!(view.total, 100_000);
    assert!(took < Duration::from_secs(2), "{took:?}");
}
