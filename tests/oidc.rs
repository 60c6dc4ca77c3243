//! Sign-in by an identity provider that is composed here and signs with code that is not ours: who
//! comes in, as whom, and every answer that proves nothing.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use apitap::access::Role;
use apitap::alert::sink::tls_client;
use apitap::web::{self, Oidc, Provider, Views};
use axum::body::Body;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::RSA_PKCS1_SHA256;
use serde_json::{Value, json};
use tower::ServiceExt;

type Change = fn(&mut Value);

/// What the provider does with the next code.
struct Idp {
    issuer: String,
    key: KeyPair,
    other: KeyPair,
    /// Challenge and nonce of the sign-in under way.
    asked: Mutex<(String, String)>,
    /// Changes the claims before they are signed.
    change: Mutex<Change>,
    with_other_key: Mutex<bool>,
}

fn key() -> KeyPair {
    let made = Command::new("openssl")
        .args([
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-outform",
            "DER",
        ])
        .output()
        .expect("openssl is installed by `make test`");
    KeyPair::from_der(&made.stdout).unwrap()
}

impl Idp {
    fn sign(&self, claims: &Value) -> String {
        let head = B64.encode(json!({ "alg": "RS256", "kid": "one" }).to_string());
        let text = format!("{head}.{}", B64.encode(claims.to_string()));
        let key = if *self.with_other_key.lock().unwrap() {
            &self.other
        } else {
            &self.key
        };
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            text.as_bytes(),
            &mut signature,
        )
        .unwrap();
        format!("{text}.{}", B64.encode(signature))
    }
}

async fn token(
    State(idp): State<Arc<Idp>>,
    headers: HeaderMap,
    Form(form): Form<BTreeMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let (challenge, nonce) = idp.asked.lock().unwrap().clone();
    let verifier = ring::digest::digest(&ring::digest::SHA256, form["code_verifier"].as_bytes());
    let client = base64::engine::general_purpose::STANDARD.encode("apitap:s3cret");
    let right = form["code"] == "good"
        && form["grant_type"] == "authorization_code"
        && form["redirect_uri"] == "http://localhost:8650/login/oidc/back"
        && B64.encode(verifier) == challenge
        && headers[header::AUTHORIZATION] == format!("Basic {client}");
    if !right {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({ "error": "invalid_grant" })),
        );
    }
    let now = jiff::Timestamp::now().as_second();
    let mut claims = json!({ "iss": idp.issuer, "sub": "0815", "aud": "apitap", "exp": now + 300, "iat": now, "nonce": nonce,
        "preferred_username": "Alice", "groups": ["staff", "apitap-admins"] });
    (idp.change.lock().unwrap())(&mut claims);
    let answer =
        json!({ "access_token": "a", "token_type": "Bearer", "id_token": idp.sign(&claims) });
    (StatusCode::OK, Json(answer))
}

async fn provider() -> Arc<Idp> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let idp = Arc::new(Idp {
        issuer: issuer.clone(),
        key: key(),
        other: key(),
        asked: Mutex::default(),
        change: Mutex::new(|_| {}),
        with_other_key: Mutex::new(false),
    });
    let public = PublicKeyComponents::<Vec<u8>>::from(idp.key.public());
    let keys = json!({ "keys": [{ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one", "n": B64.encode(public.n), "e": B64.encode(public.e) }] });
    let about = json!({ "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"), "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"), "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"] });
    let app = Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(move || async { Json(about) }),
        )
        .route("/jwks", get(move || async { Json(keys) }))
        .route("/token", post(token))
        .with_state(idp.clone());
    tokio::spawn(async { axum::serve(listener, app).await });
    idp
}

fn site(issuer: &str) -> Router {
    let role = |value: &str, role| (value.to_owned(), role);
    let provider = Provider::new(Oidc {
        issuer: issuer.to_owned(),
        client_id: "apitap".into(),
        client_secret: Some("s3cret".into()),
        url: "http://localhost:8650".into(),
        label: "Example".into(),
        scopes: vec!["profile".into()],
        name_claim: "preferred_username".into(),
        role_claim: "groups".into(),
        roles: vec![
            role("staff", Role::Viewer),
            role("apitap-admins", Role::Admin),
        ],
        tls: tls_client(None).unwrap(),
    });
    let settings = web::Settings {
        sign_in: true,
        oidc: Some(Arc::new(provider.unwrap())),
        ..web::Settings::default()
    };
    let (commands, _queue) = tokio::sync::mpsc::channel(16);
    web::router(Arc::new(Views::default()), commands, settings)
}

struct Answer {
    code: StatusCode,
    to: String,
    cookies: Vec<String>,
    text: String,
}

async fn ask(site: &Router, path: &str, cookie: &str) -> Answer {
    let request = Request::get(path)
        .header(header::HOST, "localhost:8650")
        .header(header::ACCEPT, "text/html")
        .header(header::COOKIE, cookie)
        .body(Body::empty())
        .unwrap();
    let answer = site.clone().oneshot(request).await.unwrap();
    let text = |v: &axum::http::HeaderValue| v.to_str().unwrap().to_owned();
    let code = answer.status();
    let to = answer
        .headers()
        .get(header::LOCATION)
        .map(text)
        .unwrap_or_default();
    let cookies = answer
        .headers()
        .get_all(header::SET_COOKIE)
        .iter()
        .map(text)
        .collect();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20)
        .await
        .unwrap();
    Answer {
        code,
        to,
        cookies,
        text: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// The pair that a browser sends back.
fn pair(cookie: &str) -> &str {
    cookie.split(';').next().unwrap()
}

/// Begins, and lets the provider know what it was asked: the state and the browser's cookie.
async fn begin(site: &Router, idp: &Idp) -> (String, String) {
    let answer = ask(site, "/login/oidc?next=%2Fusers", "").await;
    assert_eq!(answer.code, StatusCode::SEE_OTHER, "{}", answer.text);
    let url = url::Url::parse(&answer.to).unwrap();
    assert!(
        answer.to.starts_with(&format!("{}/authorize?", idp.issuer)),
        "{url}"
    );
    let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(query["response_type"], "code");
    assert_eq!(query["scope"], "openid profile");
    assert_eq!(query["code_challenge_method"], "S256");
    *idp.asked.lock().unwrap() = (query["code_challenge"].clone(), query["nonce"].clone());
    let cookie = &answer.cookies[0];
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    (query["state"].clone(), pair(cookie).to_owned())
}

async fn back(site: &Router, state: &str, code: &str, cookie: &str) -> Answer {
    ask(
        site,
        &format!("/login/oidc/back?state={state}&code={code}"),
        cookie,
    )
    .await
}

#[tokio::test]
async fn an_admin_of_the_provider_comes_in_once() {
    let idp = provider().await;
    let site = site(&idp.issuer);
    let page = ask(&site, "/login?next=%2Fusers", "").await;
    assert!(
        page.text.contains("Sign in with Example") && page.text.contains("/login/oidc?next="),
        "{}",
        page.text
    );
    let (state, cookie) = begin(&site, &idp).await;
    let answer = back(&site, &state, "good", &cookie).await;
    assert_eq!(
        (answer.code, answer.to.as_str()),
        (StatusCode::SEE_OTHER, "/users"),
        "{}",
        answer.text
    );
    let session = answer
        .cookies
        .iter()
        .find(|c| c.starts_with("apitap="))
        .unwrap();
    assert!(
        answer
            .cookies
            .iter()
            .any(|c| c.starts_with("oidc=; ") && c.contains("Max-Age=0"))
    );
    let users = ask(&site, "/users", pair(session)).await;
    assert_eq!(users.code, StatusCode::OK);
    assert!(users.text.contains("oidc:alice"), "{}", users.text);
    let again = back(&site, &state, "good", &cookie).await;
    assert_eq!(again.code, StatusCode::BAD_GATEWAY);
    assert!(again.text.contains("begun elsewhere"), "{}", again.text);
}

#[tokio::test]
async fn who_has_no_role_or_another_browser_does_not() {
    let idp = provider().await;
    let site = site(&idp.issuer);
    *idp.change.lock().unwrap() = |claims| claims["groups"] = json!(["guests"]);
    let (state, cookie) = begin(&site, &idp).await;
    let answer = back(&site, &state, "good", &cookie).await;
    assert_eq!(answer.code, StatusCode::FORBIDDEN);
    assert!(
        answer.text.contains("knows you as oidc:alice"),
        "{}",
        answer.text
    );
    // A viewer is one, whatever else the claim says.
    *idp.change.lock().unwrap() = |claims| claims["groups"] = json!("staff");
    let (state, cookie) = begin(&site, &idp).await;
    let answer = back(&site, &state, "good", &cookie).await;
    let session = answer
        .cookies
        .iter()
        .find(|c| c.starts_with("apitap="))
        .unwrap()
        .clone();
    assert_eq!(
        ask(&site, "/users", pair(&session)).await.code,
        StatusCode::FORBIDDEN
    );
    assert_eq!(ask(&site, "/", pair(&session)).await.code, StatusCode::OK);
    let (state, _) = begin(&site, &idp).await;
    let answer = back(&site, &state, "good", "oidc=another").await;
    assert_eq!(answer.code, StatusCode::BAD_GATEWAY);
    assert!(answer.cookies.iter().all(|c| !c.starts_with("apitap=")));
}

#[tokio::test]
async fn what_proves_nothing_lets_nobody_in() {
    let idp = provider().await;
    let site = site(&idp.issuer);
    let changes: [(&str, Change); 6] = [
        ("nonce", |c| c["nonce"] = json!("another")),
        ("audience", |c| c["aud"] = json!("another")),
        ("issuer", |c| c["iss"] = json!("http://evil.example")),
        ("expired", |c| c["exp"] = json!(1_700_000_000)),
        ("no name", |c| c["preferred_username"] = json!(null)),
        ("a name that is none", |c| {
            c["preferred_username"] = json!("a\u{1b}[31mb")
        }),
    ];
    for (what, change) in changes {
        *idp.change.lock().unwrap() = change;
        let (state, cookie) = begin(&site, &idp).await;
        let answer = back(&site, &state, "good", &cookie).await;
        assert_eq!(
            answer.code,
            StatusCode::BAD_GATEWAY,
            "{what}: {}",
            answer.text
        );
        assert!(
            answer.cookies.iter().all(|c| !c.starts_with("apitap=")),
            "{what}"
        );
    }
    *idp.change.lock().unwrap() = |_| {};
    *idp.with_other_key.lock().unwrap() = true;
    let (state, cookie) = begin(&site, &idp).await;
    assert_eq!(
        back(&site, &state, "good", &cookie).await.code,
        StatusCode::BAD_GATEWAY
    );
    *idp.with_other_key.lock().unwrap() = false;
    let (state, cookie) = begin(&site, &idp).await;
    assert_eq!(
        back(&site, &state, "bad", &cookie).await.code,
        StatusCode::BAD_GATEWAY
    );
    let error = "/login/oidc/back?error=%3Cscript%3E&state=x";
    let answer = ask(&site, error, "").await;
    assert_eq!(answer.code, StatusCode::BAD_GATEWAY);
    assert!(
        answer.text.contains("did not let you in") && !answer.text.contains("<script>"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_said() {
    let site = site("http://127.0.0.1:9");
    let answer = ask(&site, "/login/oidc", "").await;
    assert_eq!(answer.code, StatusCode::BAD_GATEWAY);
    assert!(answer.text.contains("cannot be reached"), "{}", answer.text);
}
