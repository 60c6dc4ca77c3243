//! Sign-in over HTTP, through the router: each route is answered to each sort of caller as the roles
//! say. The routes are read from the source, so that a new one is thought of or fails here.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use apitap::access::{Accounts, Change, Password, Record, Role, Secret};
use apitap::http::Trusted;
use apitap::time::Timestamp;
use apitap::web::{self, Command, Views};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use tower::ServiceExt;

#[path = "support/routes.rs"]
mod routes;

use routes::routes;

const HOST: &str = "localhost:8650";
const ORIGIN: &str = "http://localhost:8650";
const PASSWORD: &str = "correct horse battery";

/// The web UI with a user and a token for each role, and a writer that says no to everything but
/// changes of accounts.
struct Site {
    router: Router,
    views: Arc<Views>,
    tokens: BTreeMap<&'static str, String>,
    records: Arc<Mutex<Vec<Record>>>,
}

struct Answer {
    code: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: header::HeaderName) -> &str {
        let value = self.headers.get(name).map(|v| v.to_str().unwrap());
        value.unwrap_or_default()
    }
}

fn now() -> Timestamp {
    Timestamp::from_secs(jiff::Timestamp::now().as_second())
}

fn apply(views: &Views, change: Change) {
    let mut all: Accounts = views.accounts.load().as_ref().clone();
    all.apply(change, now()).unwrap();
    views.accounts.store(Arc::new(all));
}

impl Site {
    fn new(settings: web::Settings) -> Self {
        let views = Arc::new(Views::default());
        let hash = Password::new(PASSWORD).hash().unwrap();
        let mut tokens = BTreeMap::new();
        // The admin first: the last one cannot be disabled.
        for (name, role) in [
            ("admin", Role::Admin),
            ("analyst", Role::Analyst),
            ("viewer", Role::Viewer),
        ] {
            let (user, hash) = (name.to_owned(), hash.clone());
            apply(
                &views,
                Change::AddUser {
                    name: user,
                    role,
                    hash,
                },
            );
            let token = Secret::token().unwrap();
            apply(&views, token_of(name, role, &token, None));
            tokens.insert(name, token.reveal().to_owned());
        }
        let expired = Secret::token().unwrap();
        let mut all: Accounts = views.accounts.load().as_ref().clone();
        let past = Timestamp::from_secs(1_000);
        let soon = Some(Timestamp::from_secs(2_000));
        all.apply(token_of("expired", Role::Admin, &expired, soon), past)
            .unwrap();
        views.accounts.store(Arc::new(all));
        tokens.insert("expired", expired.reveal().to_owned());
        let (commands, mut queue) = tokio::sync::mpsc::channel(64);
        let writer = views.clone();
        tokio::spawn(async move {
            while let Some(command) = queue.recv().await {
                match command {
                    Command::Note { reply, .. } => reply.send(Ok(())),
                    Command::Account { change, reply } => {
                        let mut all: Accounts = writer.accounts.load().as_ref().clone();
                        let done = all.apply(change, now());
                        writer.accounts.store(Arc::new(all));
                        reply.send(done);
                    }
                    other => other.refuse("no"),
                }
            }
        });
        let records = Arc::new(Mutex::new(Vec::new()));
        let kept = records.clone();
        let audit: web::Audit = Arc::new(move |record, told| {
            kept.lock().unwrap().push(record);
            told();
        });
        let router = web::audited(views.clone(), commands, audit, settings);
        Self {
            router,
            views,
            tokens,
            records,
        }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let is_stream = parts
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|t| t == "text/event-stream");
        let text = if is_stream {
            String::new()
        } else {
            let bytes = axum::body::to_bytes(body, 1 << 22).await.unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Answer {
            code: parts.status,
            headers: parts.headers,
            text,
        }
    }

    async fn log_in(&self, name: &str, password: &str) -> Answer {
        let form = format!("name={name}&password={}", password.replace(' ', "+"));
        let request = Request::post("/login")
            .header(header::HOST, HOST)
            .header(header::ORIGIN, ORIGIN)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form));
        self.send(request.unwrap()).await
    }

    /// A session's cookie, and the token of its forms.
    async fn session(&self, name: &str) -> Session {
        let answer = self.log_in(name, PASSWORD).await;
        assert_eq!(answer.code, StatusCode::SEE_OTHER, "{}", answer.text);
        let cookie = answer.header(header::SET_COOKIE);
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let request = get("/api/v1/me").header(header::COOKIE, &cookie);
        let me = self.send(request.body(Body::empty()).unwrap()).await;
        let me: serde_json::Value = serde_json::from_str(&me.text).unwrap();
        assert_eq!((&me["name"], &me["by"]), (&name.into(), &"session".into()));
        Session {
            cookie,
            csrf: me["csrf"].as_str().unwrap().to_owned(),
        }
    }
}

fn token_of(name: &str, role: Role, token: &Secret, expires: Option<Timestamp>) -> Change {
    Change::AddToken {
        name: name.to_owned(),
        role,
        digest: token.digest(),
        expires,
        by: "admin".into(),
    }
}

#[derive(Clone)]
struct Session {
    cookie: String,
    csrf: String,
}

fn get(path: &str) -> axum::http::request::Builder {
    Request::get(path).header(header::HOST, HOST)
}

fn signed_in() -> web::Settings {
    web::Settings {
        sign_in: true,
        ..web::Settings::default()
    }
}

/// What a route asks for, as the issue has it; none: open to everybody.
fn role(method: &Method, path: &str) -> Option<Role> {
    const OPEN: [&str; 5] = [
        "/healthz",
        "/readyz",
        "/login",
        "/login/oidc",
        "/login/oidc/back",
    ];
    const OWN: [&str; 3] = ["/account/", "/api/v1/me/", "/logout"];
    // Who comes in, what goes out, how it is set.
    const ADMINS: [&str; 9] = [
        "/users",
        "/tokens",
        "/audit",
        "/sinks",
        "/deliveries",
        "/specs",
        "/settings",
        "/retention",
        "/config",
    ];
    if OPEN.contains(&path) || path.starts_with("/assets/") {
        return None;
    }
    let rest = path.strip_prefix("/api/v1").unwrap_or(path);
    let about = |names: &[&str]| names.iter().any(|name| rest.starts_with(name));
    let reads = *method == Method::GET;
    Some(match reads {
        true if about(&["/users", "/tokens", "/audit", "/specs/new"]) => Role::Admin,
        // As they were captured; and what comes before a change.
        true if path.ends_with("/packets")
            || path.ends_with("/bundle")
            || about(&["/endpoints/accept", "/endpoints/mark"]) =>
        {
            Role::Analyst
        }
        true => Role::Viewer,
        false if OWN.iter().any(|own| path.starts_with(own)) => Role::Viewer,
        false if about(&ADMINS) => Role::Admin,
        false => Role::Analyst,
    })
}

/// A request as a page or a script of ours would make it, or a program.
fn request(method: &Method, pattern: &str, headers: &[(&str, &str)], csrf: &str) -> Request<Body> {
    let path: String = pattern
        .split('/')
        .map(|part| if part.starts_with('{') { "x" } else { part })
        .collect::<Vec<_>>()
        .join("/");
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let is_api = pattern.starts_with("/api/");
    if *method == Method::GET {
        return request.body(Body::empty()).unwrap();
    }
    if is_api {
        let request = request.header("content-type", "application/json");
        let request = request.header("x-csrf-token", csrf);
        return request.body(Body::from("{}")).unwrap();
    }
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(Body::from(format!("csrf={csrf}"))).unwrap()
}

/// Whether the guard let it through: what a handler says of `x` and of an empty form is its own.
fn passed(answer: &Answer) -> bool {
    let to_login = answer.header(header::LOCATION).starts_with("/login?")
        || answer.header(header::LOCATION) == "/login"
            && !answer.headers.contains_key(header::SET_COOKIE);
    answer.code != StatusCode::UNAUTHORIZED && answer.code != StatusCode::FORBIDDEN && !to_login
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_for_those_whom_the_roles_name() {
    let site = Site::new(signed_in());
    let all = routes();
    assert!(all.len() > 70, "{}", all.len());
    for (name, mine) in [
        ("viewer", Role::Viewer),
        ("analyst", Role::Analyst),
        ("admin", Role::Admin),
    ] {
        let mut session = site.session(name).await;
        let bearer = format!("Bearer {}", site.tokens[name]);
        for (method, path) in &all {
            let may = role(method, path).is_none_or(|needed| mine >= needed);
            let mut headers = vec![("host", HOST), ("cookie", session.cookie.as_str())];
            if *method != Method::GET {
                headers.push(("origin", ORIGIN));
            }
            let by_session = request(method, path, &headers, &session.csrf);
            let answer = site.send(by_session).await;
            assert_eq!(
                passed(&answer),
                may,
                "{name} {method} {path}: {}",
                answer.code
            );
            let by_token = [("host", HOST), ("authorization", bearer.as_str())];
            let answer = site.send(request(method, path, &by_token, "")).await;
            // A form is a page's: programs have the API.
            let is_form = *method != Method::GET && !path.starts_with("/api/") && path != "/login";
            let may = may && !is_form;
            assert_eq!(
                passed(&answer),
                may,
                "token {name} {method} {path}: {}",
                answer.code
            );
            if *method != Method::GET && role(method, path) == Some(Role::Viewer) {
                // It may have been ended.
                session = site.session(name).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_closed_to_everybody_else() {
    let site = Site::new(signed_in());
    let admin = site.session("admin").await;
    let of = |name: &str| format!("Bearer {}", site.tokens[name]);
    let (expired, good) = (of("expired"), of("admin"));
    let by_cookie = format!("apitap={}", site.tokens["admin"]);
    let of_session = format!("Bearer {}", admin.cookie.trim_start_matches("apitap="));
    let session = ("cookie", admin.cookie.as_str());
    let (own, here) = (("host", HOST), ("origin", ORIGIN));
    type Headers<'a> = Vec<(&'a str, &'a str)>;
    let anywhere: [(&str, Headers<'_>); 6] = [
        ("nobody", vec![own, here]),
        (
            "a made-up token",
            vec![own, ("authorization", "Bearer apt_x")],
        ),
        (
            "no token",
            vec![own, ("authorization", "Basic YWRtaW46YQ==")],
        ),
        ("an expired token", vec![own, ("authorization", &expired)]),
        (
            "a token as a cookie",
            vec![own, here, ("cookie", &by_cookie)],
        ),
        (
            "a cookie as a token",
            vec![own, ("authorization", &of_session)],
        ),
    ];
    let changes: [(&str, Headers<'_>, &str); 4] = [
        ("a wrong CSRF token", vec![own, here, session], "wrong"),
        ("no CSRF token", vec![own, here, session], ""),
        ("no Origin", vec![own, session], &admin.csrf),
        (
            "a foreign Origin",
            vec![own, session, ("origin", "http://evil.example")],
            &admin.csrf,
        ),
    ];
    let foreign: [(&str, Headers<'_>); 2] = [
        ("a foreign Host", vec![("host", "evil.example"), session]),
        (
            "a foreign Host with a token",
            vec![("host", "evil.example:8650"), ("authorization", &good)],
        ),
    ];
    for (method, path) in &routes() {
        let open = role(method, path).is_none();
        for (who, headers) in &anywhere {
            let answer = site.send(request(method, path, headers, "")).await;
            assert_eq!(
                passed(&answer),
                open,
                "{who}: {method} {path}: {}",
                answer.code
            );
            assert!(open || answer.code == StatusCode::UNAUTHORIZED);
        }
        for (who, headers) in &foreign {
            let answer = site.send(request(method, path, headers, &admin.csrf)).await;
            assert_eq!(answer.code, StatusCode::FORBIDDEN, "{who}: {method} {path}");
        }
        if *method == Method::GET || open {
            continue;
        }
        for (who, headers, csrf) in &changes {
            let answer = site.send(request(method, path, headers, csrf)).await;
            assert_eq!(answer.code, StatusCode::FORBIDDEN, "{who}: {method} {path}");
        }
        let mut upload = request(method, path, &[own, here, session], "");
        let kind = "multipart/form-data; boundary=x".parse().unwrap();
        upload.headers_mut().insert(header::CONTENT_TYPE, kind);
        let part = "--x\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\nwrong\r\n--x--\r\n";
        *upload.body_mut() = Body::from(part);
        let answer = site.send(upload).await;
        assert_eq!(
            answer.code,
            StatusCode::FORBIDDEN,
            "an upload: {method} {path}"
        );
    }
    // None of it ended the session or reached the writer.
    let request = get("/account").header(header::COOKIE, &admin.cookie);
    let answer = site.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.code, StatusCode::OK);
    let records = site.records.lock().unwrap();
    let others = records.iter().filter(|r| !r.action.starts_with("sign-in."));
    assert_eq!(others.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_led_to_the_page_and_back() {
    let site = Site::new(signed_in());
    let page = get("/alerts?status=open").header(header::ACCEPT, "text/html");
    let answer = site.send(page.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.code, StatusCode::SEE_OTHER);
    assert_eq!(
        answer.header(header::LOCATION),
        "/login?next=%2Falerts%3Fstatus%3Dopen"
    );
    let page = get("/login?next=%2Falerts%3Fstatus%3Dopen").body(Body::empty());
    let answer = site.send(page.unwrap()).await;
    assert!(
        answer
            .text
            .contains("name=\"next\" value=\"/alerts?status=open\"")
    );
    // Nothing of what was captured is on it.
    assert!(!answer.text.contains("<nav"));
    let form = format!(
        "name=Viewer&password={}&next=/alerts",
        PASSWORD.replace(' ', "+")
    );
    let request = Request::post("/login")
        .header(header::HOST, HOST)
        .header(header::ORIGIN, ORIGIN)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form));
    let answer = site.send(request.unwrap()).await;
    assert_eq!(answer.header(header::LOCATION), "/alerts");
    let cookie = answer.header(header::SET_COOKIE);
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    let behind = Site::new(web::Settings {
        behind_tls: true,
        ..signed_in()
    });
    let answer = behind.log_in("viewer", PASSWORD).await;
    assert_eq!(
        answer.code,
        StatusCode::FORBIDDEN,
        "over TLS no page of ours is http"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_tls_the_cookie_is_for_tls_and_this_host_alone() {
    let site = Site::new(web::Settings {
        behind_tls: true,
        ..signed_in()
    });
    let form = format!("name=viewer&password={}", PASSWORD.replace(' ', "+"));
    let request = Request::post("/login")
        .header(header::HOST, HOST)
        .header(header::ORIGIN, "https://localhost:8650")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form));
    let answer = site.send(request.unwrap()).await;
    let cookie = answer.header(header::SET_COOKIE);
    assert!(cookie.starts_with("__Host-apitap="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_does_not_tell_whether_a_name_exists() {
    let site = Site::new(signed_in());
    let known = site.log_in("viewer", "wrong horse battery").await;
    let unknown = site.log_in("nobody", "wrong horse battery").await;
    assert_eq!(known.code, StatusCode::UNAUTHORIZED);
    assert_eq!(unknown.code, known.code);
    assert_eq!(unknown.text.replace("nobody", "viewer"), known.text);
    assert!(known.text.contains("Name or password is wrong."));
    assert!(!known.text.contains("wrong horse"));
    // The fifth is the last, for either; then the time to wait is said.
    for name in ["viewer", "nobody"] {
        for _ in 0..4 {
            let answer = site.log_in(name, "wrong horse battery").await;
            assert_eq!(answer.code, StatusCode::UNAUTHORIZED);
        }
        let answer = site.log_in(name, PASSWORD).await;
        assert_eq!(answer.code, StatusCode::TOO_MANY_REQUESTS, "{name}");
        let wait: u64 = answer.header(header::RETRY_AFTER).parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
        assert!(
            answer
                .text
                .contains(&format!("Try again in {wait} seconds"))
        );
    }
    site.session("admin").await;
    let records = site.records.lock().unwrap();
    let failed: Vec<&Record> = records
        .iter()
        .filter(|r| r.action == "sign-in.failed")
        .collect();
    assert_eq!(failed.len(), 10);
    let named: BTreeSet<&str> = failed.iter().map(|r| r.object.as_str()).collect();
    // What nobody is called may be a password that was typed in the wrong place.
    assert_eq!(named, BTreeSet::from(["", "viewer"]));
    let text = format!("{records:?}");
    assert!(!text.contains("horse") && !text.contains("apt_"));
}

/// A guess that comes from a peer with these fields, under a name of its own.
async fn guess(site: &Site, peer: &str, fields: &[(&str, &str)], name: &str) -> StatusCode {
    let mut request = Request::post("/login")
        .header(header::HOST, HOST)
        .header(header::ORIGIN, ORIGIN)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    for (field, value) in fields {
        request = request.header(*field, *value);
    }
    let form = format!("name={name}&password=wrong+horse+battery");
    let mut request = request.body(Body::from(form)).unwrap();
    let peer: std::net::SocketAddr = peer.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    site.send(request).await.code
}

/// Addresses that failed sign-ins are recorded under, with how many.
fn guessed_from(site: &Site) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for record in site.records.lock().unwrap().iter() {
        assert_eq!(record.action, "sign-in.failed");
        *all.entry(record.from.clone()).or_default() += 1;
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_a_trusted_proxy_says_who_its_client_is() {
    let proxies = ["10.0.0.0/8", "2001:db8:1::9/128"].map(|p| p.parse().unwrap());
    let site = Site::new(web::Settings {
        proxies: Trusted::new(proxies),
        ..signed_in()
    });
    // Whatever it says, a peer that is no proxy is itself; and so are clients that made up what
    // stands left of what their proxy wrote, or a field that it does not write.
    type Spoof = fn(usize) -> Vec<(&'static str, String)>;
    let spoofed: [(&str, Spoof); 3] = [
        ("203.0.113.9:5000", |n| {
            let made_up = format!("192.0.2.{n}");
            vec![
                ("x-forwarded-for", made_up.clone()),
                ("forwarded", format!("for={made_up}")),
                ("x-real-ip", made_up),
            ]
        }),
        ("10.0.0.9:5000", |n| {
            vec![(
                "x-forwarded-for",
                format!("192.0.2.{n}, 198.51.100.7, 10.0.0.3"),
            )]
        }),
        ("[2001:db8:1::9]:5000", |n| {
            vec![
                ("x-forwarded-for", "198.51.100.8".to_owned()),
                ("forwarded", format!("for=192.0.2.{n}")),
            ]
        }),
    ];
    for (who, (peer, fields)) in spoofed.iter().enumerate() {
        let mut limited = 0;
        for n in 0..25 {
            let fields = fields(n);
            let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
            let code = guess(&site, peer, &fields, &format!("n{who}-{n}")).await;
            limited += usize::from(code == StatusCode::TOO_MANY_REQUESTS);
        }
        // The five past the burst, but for what came back meanwhile.
        assert!((1..=5).contains(&limited), "{peer}: {limited} of 25");
    }
    let from = guessed_from(&site);
    let named: Vec<&str> = from.keys().map(String::as_str).collect();
    // Of two fields that differ neither is believed.
    assert_eq!(named, ["198.51.100.7", "2001:db8:1::9", "203.0.113.9"]);
    // Other clients of the proxy are not held up by it, nor is who asks it directly.
    for (n, fields) in [vec![("x-forwarded-for", "198.51.100.9")], vec![]]
        .iter()
        .enumerate()
    {
        let code = guess(&site, "10.0.0.9:5000", fields, &format!("other{n}")).await;
        assert_eq!(code, StatusCode::UNAUTHORIZED);
    }
    let mut from = BTreeMap::new();
    // What is recorded is behind the answer.
    for _ in 0..250 {
        from = guessed_from(&site);
        if from.len() == 5 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!((from["198.51.100.9"], from["10.0.0.9"]), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_are_counted_by_how_they_went() {
    let site = Site::new(signed_in());
    for _ in 0..6 {
        site.log_in("viewer", "wrong horse battery").await;
    }
    site.session("admin").await;
    let bearer = |token: &str| format!("Bearer {token}");
    let metrics = |token: String| {
        let request = get("/metrics").header(header::AUTHORIZATION, token);
        site.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(
        metrics(bearer("apt_x")).await.code,
        StatusCode::UNAUTHORIZED
    );
    metrics(bearer(&site.tokens["viewer"])).await;
    // When it was used is written behind the answer.
    let mut text = String::new();
    for _ in 0..100 {
        text = metrics(bearer(&site.tokens["viewer"])).await.text;
        if text.contains("apitap_tokens{state=\"used\"} 1\n") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for line in [
        "apitap_sign_ins_total{method=\"password\",outcome=\"done\"} 1",
        "apitap_sign_ins_total{method=\"password\",outcome=\"failed\"} 5",
        "apitap_sign_ins_total{method=\"password\",outcome=\"limited\"} 1",
        "apitap_sign_ins_total{method=\"oidc\",outcome=\"done\"} 0",
        "apitap_tokens_refused_total 1",
        "apitap_sessions 1",
        "apitap_tokens{state=\"used\"} 1",
        "apitap_tokens{state=\"unused\"} 2",
        "apitap_tokens{state=\"expired\"} 1",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_holds_as_it_is_now() {
    let site = Site::new(signed_in());
    let (one, two) = (site.session("analyst").await, site.session("analyst").await);
    let me = |session: &Session| {
        let request = get("/api/v1/me").header(header::COOKIE, &session.cookie);
        site.send(request.body(Body::empty()).unwrap())
    };
    let name = || "analyst".to_owned();
    let role = Role::Viewer;
    apply(&site.views, Change::SetRole { name: name(), role });
    assert!(me(&one).await.text.contains("\"role\":\"viewer\""));
    let set = |disabled| Change::SetDisabled {
        name: name(),
        disabled,
    };
    apply(&site.views, set(true));
    assert_eq!(me(&one).await.code, StatusCode::UNAUTHORIZED);
    let answer = site.log_in("analyst", PASSWORD).await;
    assert_eq!(answer.code, StatusCode::UNAUTHORIZED);
    apply(&site.views, set(false));
    assert_eq!(me(&one).await.code, StatusCode::OK);
    // A new password: this session goes on, the other ends.
    let body =
        |current: &str| format!("{{\"current\":\"{current}\",\"new\":\"staple of another kind\"}}");
    let change = |body: String| {
        let request = Request::post("/api/v1/me/password")
            .header(header::HOST, HOST)
            .header(header::ORIGIN, ORIGIN)
            .header(header::COOKIE, &one.cookie)
            .header("x-csrf-token", &one.csrf)
            .header(header::CONTENT_TYPE, "application/json");
        site.send(request.body(Body::from(body)).unwrap())
    };
    let refused = change(body("not the one it is")).await;
    assert_eq!(refused.code, StatusCode::FORBIDDEN, "{}", refused.text);
    let done = change(body(PASSWORD)).await;
    assert_eq!(done.code, StatusCode::OK, "{}", done.text);
    assert_eq!(me(&one).await.code, StatusCode::OK);
    assert_eq!(me(&two).await.code, StatusCode::UNAUTHORIZED);
    let records = site.records.lock().unwrap();
    let last = records
        .iter()
        .find(|r| r.action == "user.password")
        .unwrap();
    assert_eq!(
        (last.by.as_str(), last.object.as_str()),
        ("analyst", "analyst")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_stands_in_the_audit_under_who_asked() {
    let site = Site::new(signed_in());
    let bearer = format!("Bearer {}", site.tokens["admin"]);
    let add = || {
        let new = r#"{"name":"bob","role":"viewer","password":"staple of another kind"}"#;
        let request = Request::post("/api/v1/users")
            .header(header::HOST, HOST)
            .header(header::AUTHORIZATION, &bearer)
            .header(header::CONTENT_TYPE, "application/json");
        site.send(request.body(Body::from(new)).unwrap())
    };
    let done = add().await;
    assert_eq!(done.code, StatusCode::OK, "{}", done.text);
    // What was refused is no change.
    assert_eq!(add().await.code, StatusCode::CONFLICT);
    let records = site.records.lock().unwrap().clone();
    let lines: Vec<(&str, &str, &str)> = records
        .iter()
        .map(|r| (r.by.as_str(), r.action.as_str(), r.object.as_str()))
        .collect();
    assert_eq!(lines, [("token admin", "user.add", "bob")]);
    assert!(!format!("{records:?}").contains("staple"));
    let session = site.session("admin").await;
    // Nobody waits for the line of a sign-in.
    let mut records = Vec::new();
    for _ in 0..100 {
        records = site.records.lock().unwrap().clone();
        if records.len() > 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let last = records.last().unwrap();
    assert_eq!(last.action, "sign-in.done");
    assert_eq!((last.by.as_str(), last.role), ("admin", Some(Role::Admin)));
    assert!(!format!("{records:?}").contains(session.cookie.trim_start_matches("apitap=")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_is_shown_no_form() {
    let site = Site::new(signed_in());
    let viewer = site.session("viewer").await;
    for (method, path) in &routes() {
        let is_page = *method == Method::GET
            && !path.starts_with("/api/")
            && !path.contains('{')
            && role(method, path) == Some(Role::Viewer)
            && !["/live", "/account"].contains(&path.as_str());
        if !is_page {
            continue;
        }
        let request = get(path)
            .header(header::COOKIE, &viewer.cookie)
            .header(header::ACCEPT, "text/html");
        let answer = site.send(request.body(Body::empty()).unwrap()).await;
        let forms = answer.text.matches("method=\"post\"").count();
        let sign_out = answer.text.matches("action=\"/logout\"").count();
        assert_eq!(forms, sign_out, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sign_in_all_is_open_to_whoever_reaches_it() {
    let site = Site::new(web::Settings::default());
    for (method, path) in &routes() {
        if *method != Method::GET || path == "/login" {
            continue;
        }
        let answer = site
            .send(request(method, path, &[("host", HOST)], ""))
            .await;
        assert!(passed(&answer), "{path}: {}", answer.code);
    }
    let answer = site.send(get("/login").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.header(header::LOCATION), "/");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_open_where_the_config_says_so() {
    for open in [false, true] {
        let site = Site::new(web::Settings {
            open_metrics: open,
            ..signed_in()
        });
        let answer = site
            .send(get("/metrics").body(Body::empty()).unwrap())
            .await;
        assert_eq!(passed(&answer), open);
    }
}
