//! How every route of the API behaves, whatever it is about.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::problem::MEDIA_TYPE;
use super::table;
use crate::catalog::{Catalog, Settings};
use crate::exchange::parse_line;
use crate::web::{self, Views};

/// With so many endpoints of one host.
fn views(endpoints: usize) -> Arc<Views> {
    let mut catalog = Catalog::new(Settings::default());
    for ts in [1, 2] {
        for n in 0..endpoints {
            let line = format!(
                r#"{{"v":1,"ts":{ts},"method":"GET","host":"a.example","path":"/r{n}x/v1","status":200}}"#
            );
            catalog.apply(&parse_line(line.as_bytes()).unwrap(), &mut Vec::new());
        }
    }
    let views = Views::default();
    views.catalog.store(catalog.view());
    Arc::new(views)
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn kind(&self) -> &str {
        let kind = self.headers.get(header::CONTENT_TYPE);
        kind.map_or("", |k| k.to_str().unwrap())
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// That it is a problem of this status, and what it says.
    fn problem(&self, status: u16) -> String {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        assert_eq!(self.kind(), MEDIA_TYPE);
        let body = self.json();
        assert_eq!(body["status"], status);
        body["detail"].as_str().unwrap().to_owned()
    }
}

/// Asks, with more headers.
async fn ask(
    views: &Arc<Views>,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let (commands, _) = tokio::sync::mpsc::channel(1);
    let router = web::router(views.clone(), commands, web::Settings::default());
    let mut request = Request::builder().method(method).uri(path);
    request = request.header(header::HOST, "127.0.0.1:8650");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router
        .oneshot(request.body(body.into()).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: to_bytes(body, 1 << 26).await.unwrap().to_vec(),
    }
}

async fn get(views: &Arc<Views>, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(views, Method::GET, path, headers, Body::empty()).await
}

async fn post(path: &str, kind: &str, body: impl Into<Body>) -> Answer {
    ask(
        &views(1),
        Method::POST,
        path,
        &[("content-type", kind)],
        body,
    )
    .await
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let views = views(3);
    for (query, name) in [
        ("colour=red", "colour"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=many", "limit"),
        ("limit=1&limit=2", "limit"),
        ("sort=colour", "sort"),
        ("life=", "life"),
        ("min_risk=high", "min_risk"),
    ] {
        let answer = get(&views, &format!("/api/v1/endpoints?{query}"), &[]).await;
        let said = answer.problem(400);
        assert!(said.contains(name), "{query}: {said}");
        assert_eq!(answer.json()["errors"][0]["parameter"], name, "{query}");
    }
    for query in ["limit=2", "sort=path&host=a.example", "min_risk=0", "q="] {
        let answer = get(&views, &format!("/api/v1/endpoints?{query}"), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}");
    }
}

#[tokio::test]
async fn what_a_page_takes_its_exports_take_and_slips_are_said_in_words() {
    let views = views(1);
    for since in [
        "2026-10-30",
        "2026-12-31",
        "2026-10-30T08:00:00%2B02:00",
        "6h",
    ] {
        for list in ["alerts", "incidents"] {
            for path in [
                format!("/{list}?since={since}"),
                format!("/api/v1/{list}?until={since}"),
                format!("/api/v1/{list}.csv?since={since}"),
            ] {
                let answer = get(&views, &path, &[]).await;
                assert_eq!(answer.status, StatusCode::OK, "{path}");
            }
        }
    }
    for slip in ["since=soon", "since=2026-02-30", "until=1y"] {
        let answer = get(&views, &format!("/api/v1/alerts?{slip}"), &[]).await;
        let said = answer.problem(400);
        assert!(said.contains("RFC 3339") && !said.contains('['), "{said}");
    }
    let said = get(&views, "/api/v1/endpoints?sort=x", &[]).await;
    let said = said.problem(400);
    assert!(said.ends_with(r#""p90", "method""#), "{said}");
}

#[tokio::test]
async fn values_that_are_not_known_are_refused() {
    let views = views(1);
    for (path, name) in [
        ("endpoints?cols=nope", "cols"),
        ("endpoints.csv?cols=risk,nope", "cols"),
        ("edges?class=zz", "class"),
        ("edges?class=externalbearer", "class"),
        ("audit?action=zzz", "action"),
        ("settings?show=zz", "show"),
        ("specs/x/operations?show=zz", "show"),
        ("specs/x/diff?show=zz", "show"),
    ] {
        let answer = get(&views, &format!("/api/v1/{path}"), &[]).await;
        assert!(answer.problem(400).contains(name), "{path}");
        assert_eq!(answer.json()["errors"][0]["parameter"], name, "{path}");
    }
    for path in [
        "endpoints.csv?cols=risk,week",
        "edges?class=external/bearer/okhttp",
        "edges?class=unknown",
        "audit?action=sign-in.failed",
        "audit?action=spec",
        "settings?show=set",
    ] {
        let answer = get(&views, &format!("/api/v1/{path}"), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
}

/// Whole where nothing is said, else page by page.
#[tokio::test]
async fn an_export_goes_out_as_pages_where_it_is_asked_to() {
    let views = views(7);
    let csv = [("accept", "text/csv, application/jsonl;q=0.5")];
    for (path, rows) in [
        ("/api/v1/endpoints.csv?sort=path&cols=endpoint,week", 1),
        ("/api/v1/endpoints?sort=path&cols=endpoint,week", 1),
        ("/api/v1/endpoints.jsonl?sort=path", 0),
    ] {
        let whole = get(&views, path, &csv).await;
        assert_eq!(whole.header("link"), "");
        let whole = String::from_utf8(whole.body).unwrap();
        let (mut all, mut next) = (Vec::new(), format!("{path}&limit=3"));
        loop {
            let page = get(&views, &next, &csv).await;
            let link = page.header("link").to_owned();
            let text = String::from_utf8(page.body).unwrap();
            all.extend(text.lines().skip(rows).map(str::to_owned));
            match link
                .strip_prefix('<')
                .and_then(|l| l.strip_suffix(">; rel=\"next\""))
            {
                Some(link) => link.clone_into(&mut next),
                None => break,
            }
        }
        let lines: Vec<&str> = whole.lines().skip(rows).collect();
        assert_eq!(all, lines, "{path}");
        assert_eq!(lines.len(), 7);
        let lost = get(&views, &format!("{path}&cursor=zzz"), &csv).await;
        assert!(lost.problem(400).contains("cursor"));
    }
}

#[tokio::test]
async fn pages_say_what_they_do_not_understand() {
    let views = views(3);
    for (path, name) in [
        ("/endpoints?status=shadow", "status"),
        ("/endpoints?limit=5", "limit"),
        ("/endpoints?view=zzz", "view"),
        ("/endpoints?cols=nope", "cols"),
        ("/endpoints?cursor=dead", "cursor"),
        ("/alerts?view=zzz", "view"),
        ("/alerts?limit=51", "limit"),
        ("/incidents?cursor=dead", "cursor"),
        ("/principals?seen=bogus", "seen"),
        ("/principals?cursor=dead", "cursor"),
        ("/findings?severity=worst", "severity"),
        ("/coverage?cursor=dead", "cursor"),
        ("/audit?action=zz", "action"),
        ("/settings?show=zz", "show"),
        ("/alerts?%3Cb%3E=1", "&#60;b&#62;"),
    ] {
        let page = String::from_utf8(get(&views, path, &[]).await.body).unwrap();
        let said = format!("passed over: <code>{name}</code>");
        assert!(page.contains(&said), "{path}");
    }
    for path in [
        "/endpoints?documentation=shadow&min_risk=3&host=a.example&q=&life=&sort=last&dir=asc&limit=25",
        "/endpoints?view=tree&at=a.example&cursor=x&cols=risk,callers",
        "/alerts?status=open&since=1d&view=waiting&sort=severity&limit=50&detector=x&owasp=API1",
        "/principals?q=&seen=new&sort=incidents",
        "/findings?severity=high&sort=subject",
        "/coverage?transport=tls",
    ] {
        let page = get(&views, path, &[]).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        let page = String::from_utf8(page.body).unwrap();
        assert!(!page.contains("Not understood"), "{path}");
    }
}

#[tokio::test]
async fn every_list_refuses_what_it_does_not_know() {
    let views = views(1);
    for route in table::routes() {
        if route.takes.query.is_some() && !route.path.contains('{') {
            let answer = get(&views, &format!("{}?colour=red", route.path), &[]).await;
            assert!(answer.problem(400).contains("colour"), "{}", route.path);
        }
    }
}

#[tokio::test]
async fn wrong_bodies_say_where() {
    let path = "/api/v1/alerts/x/status";
    let json = "application/json";
    assert!(post(path, json, "{").await.problem(400).contains("EOF"));
    let answer = post(path, json, r#"{"status":"gone"}"#).await;
    assert!(answer.problem(400).contains("\"acknowledged\""));
    assert_eq!(answer.json()["errors"][0]["pointer"], "/status");
    let answer = post(path, json, r#"{"status":"open","colour":1}"#).await;
    assert!(answer.problem(400).contains("colour"));
    let long = json!({ "status": "open", "note": "x".repeat(super::MAX_NOTE + 1) });
    let answer = post(path, json, long.to_string()).await;
    assert!(answer.problem(400).chars().count() < 400);
    post(path, json, r#"{"status":"open"}"#).await.problem(404);
    post(path, "text/plain", "{}").await.problem(415);
    let form = "application/x-www-form-urlencoded";
    let html = [("content-type", form), ("accept", "text/html")];
    for path in [path, "/api/v1/silences", "/api/v1/specs", "/api/v1/tokens"] {
        let answer = ask(&views(1), Method::POST, path, &html, "status=open").await;
        answer.problem(415);
    }
    let long = post(path, json, vec![b' '; super::MAX_BODY + 1]).await;
    assert!(long.problem(413).contains("2 MiB"));
    let none = post("/api/v1/endpoints/accept", json, "").await;
    let said = none.problem(400);
    assert!(said.contains(r#""keys", "filter", "all""#), "{said}");
    let none = post("/api/v1/tokens", json, "").await;
    assert!(none.problem(400).contains("\"name\" is missing"));
    assert_eq!(none.json()["errors"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_taken() {
    let views = views(1);
    let html = [("accept", "text/html,*/*;q=0.8")];
    get(&views, "/api/v1/nothing", &html).await.problem(404);
    get(&views, "/api/v1/endpoints/nothing", &[])
        .await
        .problem(404);
    post("/api/v1/decisions/x/undo", "application/json", "{}")
        .await
        .problem(404);
    let xml = [("accept", "application/xml")];
    get(&views, "/api/v1/hosts", &xml).await.problem(406);
    let answer = ask(&views, Method::DELETE, "/api/v1/silences", &[], "").await;
    answer.problem(405);
    assert_eq!(answer.header("allow"), "GET,HEAD,POST");
    let answer = ask(&views, Method::OPTIONS, "/api/v1/silences", &[], "").await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (StatusCode::NO_CONTENT, "GET,HEAD,POST")
    );
    // People get pages.
    let page = get(&views, "/incidents?limit=x", &html).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.kind().starts_with("text/html"), "{}", page.kind());
}

#[tokio::test]
async fn an_unchanged_answer_is_not_sent_twice() {
    let (few, more) = (views(2), views(3));
    for path in ["/api/v1/endpoints", "/api/v1/hosts", "/api/v1/openapi.json"] {
        let first = get(&few, path, &[]).await;
        let tag = first.header("etag");
        assert!(tag.starts_with("W/\""), "{path}");
        assert_eq!(first.header("cache-control"), "private, no-cache");
        for known in [tag.to_owned(), format!("\"x\", {tag}"), "*".to_owned()] {
            let again = get(&few, path, &[("if-none-match", &known)]).await;
            assert_eq!(
                (again.status, again.body.len()),
                (StatusCode::NOT_MODIFIED, 0)
            );
            assert_eq!(again.header("etag"), tag);
        }
        let other = get(&few, path, &[("if-none-match", "W/\"x\"")]).await;
        assert_eq!(other.status, StatusCode::OK);
        let head = ask(&few, Method::HEAD, path, &[], "").await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
        assert_eq!(head.header("etag"), tag);
        assert_eq!(head.header("content-length"), first.body.len().to_string());
    }
    let tag = get(&few, "/api/v1/endpoints", &[]).await;
    let known = [("if-none-match", tag.header("etag"))];
    let changed = get(&more, "/api/v1/endpoints", &known).await;
    assert_eq!(changed.status, StatusCode::OK);
}

#[tokio::test]
async fn long_answers_are_compressed_and_pages_are_not() {
    let views = views(40);
    let gzip = [("accept-encoding", "gzip"), ("accept", "text/html, */*")];
    let plain = get(&views, "/api/v1/endpoints", &[]).await;
    let short = get(&views, "/api/v1/endpoints", &gzip).await;
    assert_eq!(short.header("content-encoding"), "gzip");
    assert!(short.body.len() * 4 < plain.body.len());
    assert_eq!(short.header("etag"), plain.header("etag"));
    for path in ["/api/v1/endpoints.csv", "/assets/app.css"] {
        let (plain, short) = (get(&views, path, &[]).await, get(&views, path, &gzip).await);
        let mut text = Vec::new();
        GzDecoder::new(&short.body[..])
            .read_to_end(&mut text)
            .unwrap();
        assert_eq!(text, plain.body, "{path}");
    }
    for path in ["/endpoints", "/api", "/api/v1/specs"] {
        let answer = get(&views, path, &gzip).await;
        assert_eq!(
            (answer.status, answer.header("content-encoding")),
            (StatusCode::OK, ""),
            "{path}"
        );
    }
}

#[tokio::test]
async fn pages_of_a_list_add_up_and_a_lost_cursor_is_said() {
    let views = views(25);
    let (mut seen, mut path) = (HashMap::new(), "/api/v1/endpoints?limit=10".to_owned());
    loop {
        let page = get(&views, &path, &[]).await.json();
        assert_eq!(page["total"], 25);
        for item in page["items"].as_array().unwrap() {
            *seen.entry(item["key"].to_string()).or_insert(0) += 1;
        }
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/v1/endpoints?limit=10&cursor={next}");
    }
    assert!(
        seen.len() == 25 && seen.values().all(|n| *n == 1),
        "{seen:?}"
    );
    let lost = get(&views, "/api/v1/endpoints?cursor=gone", &[]).await;
    lost.problem(400);
    assert_eq!(lost.json()["errors"][0]["parameter"], "cursor");
}

/// Forms whose twin has another path; and those of a browser's session, which programs have none of.
const OTHERWISE: &[(&str, Option<&str>)] = &[
    (
        "/deliveries",
        Some("/api/v1/deliveries/{sink}/{message}/send"),
    ),
    ("/settings/sinks", Some("/api/v1/sinks/{name}/test")),
    ("/endpoints/views", Some("/api/v1/views")),
    (
        "/endpoints/views/{id}/remove",
        Some("/api/v1/views/{id}/remove"),
    ),
    ("/specs/check", Some("/api/v1/specs")),
    ("/account/password", Some("/api/v1/me/password")),
    ("/account/sessions/end", Some("/api/v1/me/sessions/end")),
    (
        "/account/sessions/{id}/end",
        Some("/api/v1/me/sessions/{id}/end"),
    ),
    ("/login", None),
    ("/logout", None),
];

#[test]
fn whatever_a_form_does_the_api_does() {
    let known: Vec<_> = table::routes().iter().map(|r| (r.method, r.path)).collect();
    let mut forms = 0;
    for (method, path) in super::super::every_route::routes() {
        if method == Method::GET || path.starts_with("/api/") {
            continue;
        }
        let same = format!("/api/v1{path}");
        let otherwise = OTHERWISE.iter().find(|(form, _)| *form == path);
        let twin = match otherwise {
            Some((_, None)) => continue,
            Some((_, Some(twin))) => *twin,
            None => same.as_str(),
        };
        assert!(known.contains(&("post", twin)), "{path} has no twin {twin}");
        forms += 1;
    }
    assert!(forms >= 12, "{forms}");
}
