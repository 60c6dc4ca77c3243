//! Who calls, from where, how risky: through the analysis and the web room, across a restart.
#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use apitap::analysis::{Analysis, Settings};
use apitap::catalog::{Catalog, CatalogView, Credential, EndpointView, Weights, Zone};
use apitap::exchange::parse_line;
use apitap::web::{self, Views};
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::Value;
use tower::ServiceExt;

const START: i64 = 1_760_000_000;
const DAY: i64 = 86_400;

/// With a weight of one's own.
fn settings() -> apitap::catalog::Settings {
    apitap::catalog::Settings {
        risk: Weights {
            credentials_in_clear: 8,
            ..Weights::default()
        },
        ..apitap::catalog::Settings::default()
    }
}

fn line(secs: i64, client: &str, path: &str, more: &str) -> String {
    let ts = START + secs;
    format!(
        r#"{{"ts":{ts},"client":"{client}","method":"GET","host":"api.example","path":"{path}","status":200{more}}}"#
    )
}

struct Traffic {
    analysis: Analysis,
    alerts: Vec<apitap::alert::Alert>,
}

impl Traffic {
    fn new() -> Self {
        Self {
            analysis: Analysis::new(Settings {
                catalog: settings(),
                ..Settings::default()
            }),
            alerts: Vec::new(),
        }
    }

    fn call(&mut self, secs: i64, client: &str, path: &str, more: &str) {
        let line = line(secs, client, path, more);
        let x = parse_line(line.as_bytes()).unwrap();
        self.analysis.apply(x.end, &x, &mut self.alerts);
    }

    fn view(&mut self) -> Arc<CatalogView> {
        self.analysis.view()
    }
}

/// `/orders` is used inside with a token for ten days, then from outside without one; `/login` in
/// clear, with Basic; `/items` by a program that comes late.
fn traffic() -> Traffic {
    let mut t = Traffic::new();
    let token =
        r#","auth":"bearer","identity":"bearer:0123456789abcdef","user_agent":"okhttp/4.9""#;
    for day in 0..10 {
        t.call(day * DAY, "10.0.0.5", "/orders", token);
        t.call(day * DAY + 60, "10.0.0.6", "/items", token);
    }
    let basic = r#","auth":"basic","identity":"basic:aa","clear":true,"user_agent":"curl/8.5""#;
    for n in 0..3 {
        t.call(10 * DAY + n, "10.0.0.7", "/report", basic);
    }
    t.call(
        10 * DAY + 90,
        "203.0.113.9",
        "/orders",
        r#","user_agent":"python-requests/2.31""#,
    );
    let late = token.replace("okhttp", "axios");
    t.call(10 * DAY + 99, "10.0.0.8", "/items", &late);
    t.analysis.finish(
        apitap::time::Timestamp::from_secs(START + 11 * DAY),
        &mut t.alerts,
    );
    t
}

fn endpoint(view: &CatalogView, template: &str) -> EndpointView {
    let found = view.endpoints.iter().find(|e| e.template == template);
    found.unwrap().as_ref().clone()
}

struct Web(axum::Router);

impl Web {
    fn of(t: &mut Traffic) -> Self {
        let views = Arc::new(Views::default());
        views.catalog.store(t.view());
        views.alerts.store(t.analysis.alerts.view());
        views.ready.store(true, Ordering::Relaxed);
        let (commands, _) = tokio::sync::mpsc::channel(1);
        Self(web::router(views, commands, web::Settings::default()))
    }

    async fn text(&self, path: &str) -> String {
        let request = Request::get(path).header("host", "localhost");
        let request = request.body(Body::empty()).unwrap();
        let answer = self.0.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path).await).unwrap()
    }

    async fn items(&self, path: &str) -> Vec<Value> {
        self.json(path).await["items"].as_array().unwrap().clone()
    }
}

#[test]
fn an_endpoint_says_who_calls_it_and_what_that_weighs() {
    let mut t = traffic();
    let view = t.view();
    let orders = endpoint(&view, "/orders");
    assert_eq!(orders.exposure, Some(Zone::External));
    let zones: Vec<_> = orders.zones.iter().map(|z| (z.zone, z.requests)).collect();
    assert_eq!(zones, [(Zone::Internal, 10), (Zone::External, 1)]);
    let callers: Vec<_> = orders
        .top_callers
        .iter()
        .map(|c| (c.name.as_str(), c.requests))
        .collect();
    assert_eq!(
        callers,
        [("bearer:0123456789abcdef", 10), ("203.0.113.9", 1)]
    );
    let programs: Vec<_> = orders.programs.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(programs, ["okhttp", "python-requests"]);
    let edges: Vec<_> = orders
        .edges
        .iter()
        .map(|e| (e.zone, e.credential, e.new))
        .collect();
    let expected = [
        (Some(Zone::Internal), Credential::Bearer, false),
        (Some(Zone::External), Credential::Anonymous, true),
    ];
    assert_eq!(edges, expected);
    let reasons: Vec<_> = orders
        .risk_reasons
        .iter()
        .map(|r| (r.reason.as_str(), r.weight))
        .collect();
    assert_eq!(
        (orders.risk, reasons),
        (3, vec![("external", 3), ("mixed-auth", 2)])
    );
    let report = endpoint(&view, "/report");
    assert_eq!(
        (report.risk, report.risk_reasons[0].reason.as_str()),
        (8, "credentials-in-clear")
    );
    assert_eq!(endpoint(&view, "/items").risk, 1);
    assert_eq!(view.hosts[0].risk, 8);
    // Inside to outside rings; a new program alone does not.
    let rung: Vec<_> = t
        .alerts
        .iter()
        .map(|a| (a.kind.as_str(), a.detector.as_str()))
        .collect();
    assert!(
        rung.contains(&("exposure", "catalog-wider-exposure")),
        "{rung:?}"
    );
    assert!(
        rung.iter()
            .all(|(_, detector)| *detector != "catalog-new-caller"),
        "{rung:?}"
    );
    let alert = t
        .alerts
        .iter()
        .find(|a| a.detector == "catalog-wider-exposure")
        .unwrap();
    assert_eq!(
        (alert.owasp.as_str(), alert.endpoint.as_deref()),
        ("API9:2023", Some("GET api.example /orders"))
    );
}

#[test]
fn a_restart_keeps_it() {
    let mut t = traffic();
    let (saved, before) = (t.analysis.catalog.save(), t.view());
    let mut restored = Catalog::restore(settings(), &saved).unwrap();
    let after = restored.view();
    for e in &before.endpoints {
        let same = endpoint(&after, &e.template);
        assert_eq!(
            (
                same.risk,
                &same.risk_reasons,
                &same.zones,
                &same.top_callers,
                &same.programs,
                &same.edges,
                &same.findings
            ),
            (
                e.risk,
                &e.risk_reasons,
                &e.zones,
                &e.top_callers,
                &e.programs,
                &e.edges,
                &e.findings
            )
        );
    }
    // What was told is not told again.
    let mut changes = Vec::new();
    let agent = r#","user_agent":"python-requests/2.31""#;
    let line = line(12 * DAY, "203.0.113.9", "/orders", agent);
    restored.apply(&parse_line(line.as_bytes()).unwrap(), &mut changes);
    assert_eq!(changes, []);
}

#[tokio::test]
async fn the_list_of_edges_is_filtered_and_paged() {
    let web = Web::of(&mut traffic());
    let all = web.items("/api/v1/edges").await;
    assert_eq!(all.len(), 5);
    let new = web.items("/api/v1/edges?new=true&sort=first").await;
    let named: Vec<_> = new.iter().map(|e| e["class"].as_str().unwrap()).collect();
    assert_eq!(
        named,
        [
            "internal/bearer/axios",
            "external/anonymous/python-requests"
        ]
    );
    assert_eq!(web.items("/api/v1/edges?class=external").await.len(), 1);
    assert_eq!(
        web.items("/api/v1/edges?class=internal/bearer").await.len(),
        3
    );
    assert_eq!(
        web.items("/api/v1/edges?class=internal/bearer/axi")
            .await
            .len(),
        0
    );
    assert_eq!(web.items("/api/v1/edges?host=other.example").await.len(), 0);
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = web
            .json(&format!("/api/v1/edges?limit=2&cursor={cursor}"))
            .await;
        paged.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn the_inventory_is_sorted_and_filtered_by_risk() {
    let web = Web::of(&mut traffic());
    let risks = |items: Vec<Value>| -> Vec<u64> {
        items.iter().map(|e| e["risk"].as_u64().unwrap()).collect()
    };
    assert_eq!(risks(web.items("/api/v1/endpoints").await), [8, 3, 1]);
    assert_eq!(
        risks(web.items("/api/v1/endpoints?min_risk=3").await),
        [8, 3]
    );
    assert_eq!(
        risks(web.items("/api/v1/endpoints?exposure=external").await),
        [3]
    );
    let page = web.text("/endpoints?min_risk=5").await;
    assert!(page.contains("/report") && !page.contains("/orders"));
    let key = web.items("/api/v1/endpoints?q=orders").await[0]["key"].clone();
    let page = web
        .text(&format!("/endpoints/{}", key.as_str().unwrap()))
        .await;
    assert!(page.contains("open to external callers") && page.contains("python-requests"));
}

#[tokio::test]
async fn what_the_ten_count_is_what_the_lists_show() {
    let web = Web::of(&mut traffic());
    let categories = web.items("/api/v1/owasp").await;
    assert_eq!(categories.len(), 10);
    let (mut findings, mut alerts) = (0, 0);
    for c in &categories {
        let id = c["id"].as_str().unwrap();
        let listed = web.items(&format!("/api/v1/findings?owasp={id}")).await;
        let counted: u64 = c["findings"]
            .as_object()
            .unwrap()
            .values()
            .map(|n| n.as_u64().unwrap())
            .sum();
        assert_eq!(counted, listed.len() as u64, "{id}");
        let listed = web
            .items(&format!("/api/v1/alerts?status=open&owasp={id}"))
            .await;
        assert_eq!(c["open_alerts"], listed.len(), "{id}");
        findings += counted;
        alerts += listed.len();
    }
    assert_eq!(findings, web.items("/api/v1/findings").await.len() as u64);
    assert_eq!(alerts, web.items("/api/v1/alerts?status=open").await.len());
    assert!(
        findings >= 4 && alerts >= 2,
        "{findings} findings, {alerts} alerts"
    );
    let page = web.text("/owasp").await;
    assert!(page.contains("/findings?owasp=API9%3A2023") && page.contains("not visible passively"));
}

#[test]
fn the_ten_are_lines_for_other_programs() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.jsonl");
    let basic = r#","auth":"basic","identity":"basic:aa","clear":true"#;
    let lines: Vec<String> = (0..3)
        .map(|n| line(n, "10.0.0.7", "/report", basic))
        .collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let mut apitap = Command::new(env!("CARGO_BIN_EXE_apitap"));
    let out = apitap
        .arg("analyze")
        .arg(&file)
        .args(["--format", "owasp"])
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let ten: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(ten.len(), 10, "{text}");
    assert_eq!(
        (ten[1]["id"].as_str(), &ten[1]["findings"]["medium"]),
        (Some("API2:2023"), &1.into())
    );
    assert_eq!(ten[1]["open_alerts"], 1);
    assert_eq!(ten[6]["coverage"], "hidden");
}
