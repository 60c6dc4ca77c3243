use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use tokio::sync::mpsc;
use tower::ServiceExt;

use crate::catalog::{CatalogView, Documentation, EndpointView, NamedView};
use crate::time::Timestamp;
use crate::web::{self, Command, Views};

fn endpoint(n: u64, host: &str, template: &str) -> EndpointView {
    EndpointView {
        key: format!("key{n}"),
        method: if n.is_multiple_of(2) { "GET" } else { "POST" }.into(),
        host: host.into(),
        template: template.into(),
        requests: n * 10,
        risk: 1 + n as u8 % 10,
        documentation: if n < 3 {
            Documentation::Shadow
        } else {
            Documentation::Documented
        },
        confirmed: true,
        ..EndpointView::default()
    }
}

fn site(endpoints: Vec<EndpointView>) -> (Router, Arc<Views>, mpsc::Receiver<Command>) {
    let views = Arc::new(Views::default());
    views.catalog.store(Arc::new(CatalogView {
        endpoints: endpoints.into_iter().map(Arc::new).collect(),
        ..CatalogView::default()
    }));
    views.ready.store(true, Ordering::Relaxed);
    let (commands, inbox) = mpsc::channel(4);
    (
        web::router(views.clone(), commands, web::Settings::default()),
        views,
        inbox,
    )
}

fn thirty() -> Vec<EndpointView> {
    let a = (0..26).map(|n| endpoint(n, "a.example", &format!("/v1/r{n:02}/{{id}}")));
    let b = (26..30).map(|n| endpoint(n, "b.example", &format!("/v1/users/{{id}}/x{n}")));
    a.chain(b).collect()
}

async fn send(app: &Router, request: Request<Body>) -> (StatusCode, String, String) {
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let to = response.headers().get(header::LOCATION);
    let to = to.map_or_else(String::new, |l| l.to_str().unwrap().to_owned());
    let body = to_bytes(response.into_body(), 1 << 24).await.unwrap();
    (status, to, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(app: &Router, path: &str) -> (StatusCode, String, String) {
    let request = Request::get(path).header(header::HOST, "127.0.0.1:8650");
    send(app, request.body(Body::empty()).unwrap()).await
}

async fn page(app: &Router, path: &str) -> String {
    let (status, _, page) = get(app, path).await;
    assert_eq!(status, 200, "{path}");
    page
}

/// The keys of the rows, as the page has them.
fn keys(page: &str) -> Vec<&str> {
    let rows = page
        .split("<td class=\"path\"><a href=\"/endpoints/")
        .skip(1);
    rows.map(|row| row.split('"').next().unwrap()).collect()
}

fn links(page: &str, rel: &str) -> Option<String> {
    let (_, behind) = page.split_once(&format!("rel=\"{rel}\" href=\""))?;
    Some(behind.split('"').next()?.replace("&#38;", "&"))
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_said_beside_the_box() {
    let (app, ..) = site(thirty());
    let page = page(&app, "/endpoints?q=r01+colour:%3Cb%3E").await;
    assert!(
        page.contains("at character 5: there is no field <code>colour</code>"),
        "{page}"
    );
    assert!(page.contains("the fields are host, path") && page.contains("aria-invalid"));
    assert!(page.contains("value=\"r01 colour:&#60;b&#62;\"") && !page.contains("<b>"));
    for path in [
        "/api/v1/endpoints",
        "/api/v1/endpoints.csv",
        "/api/v1/endpoints.openapi.json",
    ] {
        let (status, _, why) = get(&app, &format!("{path}?q=risk:six")).await;
        assert_eq!(status, 400);
        assert!(why.contains("character 6"), "{why}");
    }
    let (status, ..) = get(&app, "/endpoints/accept?q=risk:six&which=all").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn pages_go_on_and_back_and_say_where_they_are() {
    let (app, ..) = site(thirty());
    let first = page(&app, "/endpoints?sort=requests&limit=25").await;
    assert!(first.contains("1 to 25 of 30"));
    assert_eq!(keys(&first)[..2], ["key29", "key28"]);
    assert!(first.contains("aria-sort=\"descending\"") && links(&first, "prev").is_none());
    let second = page(&app, &links(&first, "next").unwrap()).await;
    assert!(second.contains("26 to 30 of 30") && links(&second, "next").is_none());
    let again = page(&app, &links(&second, "prev").unwrap()).await;
    assert_eq!(keys(&again), keys(&first));
    let turned = page(&app, "/endpoints?sort=requests&dir=asc").await;
    assert_eq!(keys(&turned)[0], "key0");
    let lost = page(&app, "/endpoints?cursor=gone").await;
    assert!(lost.contains("<code>cursor</code>: it is of another list or order"));
    assert!(lost.contains("1 to 30 of 30"));
}

#[tokio::test]
async fn single_parts_are_the_same_query() {
    let (app, ..) = site(thirty());
    let old = page(
        &app,
        "/endpoints?host=b.example&documentation=documented&q=users",
    )
    .await;
    assert_eq!(keys(&old).len(), 4);
    assert!(
        old.contains("value=\"users host:b.example status:documented\""),
        "{old}"
    );
    let (_, _, api) = get(&app, "/api/v1/endpoints?host=b.example&min_risk=9").await;
    let api: serde_json::Value = serde_json::from_str(&api).unwrap();
    assert_eq!(api["total"], 2);
}

#[tokio::test]
async fn facets_ask_for_a_value_and_no_longer() {
    let (app, ..) = site(thirty());
    let whole = page(&app, "/endpoints").await;
    let link = "/endpoints?q=status%3Ashadow";
    assert!(
        whole.contains(&format!(
            "<a href=\"{link}\">shadow <span class=\"n\">3</span>"
        )),
        "{whole}"
    );
    let narrow = page(&app, link).await;
    assert_eq!(keys(&narrow).len(), 3);
    let off = "<a href=\"/endpoints\" aria-current=\"true\">shadow <span class=\"n\">3</span>";
    assert!(narrow.contains(off), "{narrow}");
    // Counted as if it were not asked for.
    assert!(narrow.contains("documented <span class=\"n\">27</span>"));
}

#[tokio::test]
async fn columns_are_chosen_and_exported() {
    let (app, ..) = site(thirty());
    let (status, to, _) = get(&app, "/endpoints?q=b.example&col=callers&col=endpoint").await;
    assert_eq!(status, 303);
    assert_eq!(to, "/endpoints?q=b.example&cols=endpoint%2Ccallers");
    let shown = page(&app, &to).await;
    assert!(shown.contains("Callers</a>") && !shown.contains("Auth</th>"));
    let csv = "/api/v1/endpoints.csv?q=b.example&#38;cols=endpoint%2Ccallers";
    assert!(shown.contains(csv), "{shown}");
    let (_, _, csv) = get(&app, &csv.replace("&#38;", "&")).await;
    assert_eq!(
        csv.lines().next(),
        Some("key,host,template,operation,callers")
    );
    assert_eq!(csv.lines().count(), 5);
    let path = "/api/v1/endpoints.json?q=b.example&cols=endpoint,callers&sort=requests&dir=asc";
    let (_, _, json) = get(&app, path).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let first = json[0].as_object().unwrap();
    assert_eq!(first["key"], "key26");
    let mut names: Vec<_> = first.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["callers", "host", "key", "operation", "template"]);
}

#[tokio::test]
async fn nothing_there_and_nothing_found_are_told_apart() {
    let (app, ..) = site(Vec::new());
    let page_empty = page(&app, "/endpoints").await;
    assert!(page_empty.contains("No endpoint yet") && page_empty.contains("href=\"/sensor\""));
    let (app, ..) = site(thirty());
    let none = page(&app, "/endpoints?q=status:shadow+host:b.example").await;
    assert!(none.contains("No endpoint has all of this"));
    let without =
        "<a href=\"/endpoints?q=status%3Ashadow\">Without <code>host:b.example</code></a>";
    let (at, other) = (
        none.find("Without <code>status:shadow").unwrap(),
        none.find(without).unwrap(),
    );
    assert!(at < other, "the one that excludes most comes first");
    assert!(none.contains("4 would be found") && none.contains("3 would be found"));
}

#[tokio::test]
async fn what_no_endpoint_has_gets_a_hint() {
    let (app, ..) = site(thirty());
    let part = page(&app, "/endpoints?q=host:b+r0").await;
    assert!(
        part.contains("<a href=\"/endpoints?q=host%3A*b*+r0\"><code>host:*b*</code></a>"),
        "{part}"
    );
    let method = page(&app, "/endpoints?q=method:FOO").await;
    assert!(method.contains("there are GET, POST"), "{method}");
    let shadow = page(&app, "/endpoints?q=status:shadow+host:b.example").await;
    assert!(
        !shadow.contains("there are"),
        "hosts that are there need no hint"
    );
}

#[tokio::test]
async fn the_tree_opens_level_by_level() {
    let (app, ..) = site(thirty());
    let root = page(&app, "/endpoints?view=tree").await;
    assert!(
        root.contains("All hosts")
            && root.contains("at=a.example")
            && root.contains("at=b.example")
    );
    let host = page(&app, "/endpoints?view=tree&at=b.example").await;
    // Nothing branches off before.
    assert!(
        host.contains("at=b.example%2Fv1%2Fusers%2F%7Bid%7D"),
        "{host}"
    );
    let level = page(&app, "/endpoints?view=tree&at=b.example/v1/users/{id}").await;
    assert!(
        level.contains("href=\"/endpoints/key27\">POST</a> /x27"),
        "{level}"
    );
    let narrowed = page(&app, "/endpoints?view=tree&q=status:shadow").await;
    assert!(!narrowed.contains("at=b.example"));
}

#[tokio::test]
async fn views_are_saved_by_the_writer_and_shown_as_tabs() {
    let (app, views, mut inbox) = site(thirty());
    let shown = page(&app, "/endpoints?q=status:shadow&sort=requests&cursor=key1").await;
    let (_, token) = shown.split_once("name=\"csrf\" value=\"").unwrap();
    let token = token.split('"').next().unwrap();
    let form = |token: &str, name: &str, query: &str| {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("csrf", token), ("name", name), ("query", query)])
            .finish();
        Request::post("/endpoints/views")
            .header(header::HOST, "127.0.0.1:8650")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap()
    };
    let query = "q=status%3Ashadow&sort=requests";
    assert!(shown.contains(&format!(
        "name=\"query\" value=\"{}\"",
        query.replace('&', "&#38;")
    )));
    let (status, ..) = send(&app, form("x", "Shadows", query)).await;
    assert_eq!(status, 403);
    for (name, query) in [
        ("", query),
        ("Bad", "q=colour:red"),
        ("Script", "javascript:alert(1)"),
        ("Slip", "status=shadow"),
        ("a\u{202e}b", query),
        ("a\u{200b}b", query),
    ] {
        let (status, ..) = send(&app, form(token, name, query)).await;
        assert_eq!(status, 400, "{name}");
    }
    let writer = async {
        let Some(Command::SaveView {
            name,
            query,
            by,
            reply,
        }) = inbox.recv().await
        else {
            panic!("no view to save");
        };
        let view = NamedView {
            id: 7,
            name,
            query,
            by,
            at: Timestamp::from_secs(1),
            gone: false,
        };
        views.named.store(Arc::new(vec![view.clone()]));
        reply.send(Ok(view));
    };
    let ((status, to, _), ()) = tokio::join!(send(&app, form(token, " Shadows ", query)), writer);
    assert_eq!(
        (status, to),
        (StatusCode::SEE_OTHER, format!("/endpoints?{query}"))
    );
    let (status, _, said) = send(&app, form(token, "Shadows", "q=x")).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(said.contains("has saved a view of this name"), "{said}");
    assert!(inbox.try_recv().is_err(), "nothing is replaced unasked");
    let tabs = page(&app, &format!("/endpoints?{query}")).await;
    assert!(tabs.contains("name=\"replace\""), "{tabs}");
    assert!(tabs.contains("aria-current=\"page\">Shadows</a>"), "{tabs}");
    let (_, _, list) = get(&app, "/api/v1/views").await;
    assert!(list.contains("\"name\":\"Shadows\"") && list.contains("\"total\":1"));
}

#[tokio::test]
async fn many_are_tagged_after_a_confirmation() {
    let (app, _, mut inbox) = site(thirty());
    let asked = "/endpoints/mark?action=tag&value=payments&which=all&q=host:b.example";
    let confirm = page(&app, asked).await;
    assert!(confirm.contains("Tag these 4 endpoints?") && confirm.contains(">payments<"));
    let one = page(
        &app,
        "/endpoints/mark?action=own&value=Team+A&which=chosen&key=key4&key=none",
    )
    .await;
    assert!(one.contains("Set the owner of this endpoint?"), "{one}");
    let (status, ..) = get(&app, "/endpoints/mark?action=tag&value=&which=all").await;
    assert_eq!(status, 400);
    assert!(inbox.try_recv().is_err(), "asking changes nothing");
}
