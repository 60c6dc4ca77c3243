//! What every request passes: the Host header (DNS rebinding), the Origin of whatever changes
//! something, and the security headers of every answer.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use super::api::problem;
use super::routes::App;
use super::who::{Role, Who};

/// Nothing from elsewhere, nothing inline, no frame around us.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                   form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

pub(super) async fn check(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut response = match refused(&app, request.headers(), request.method()) {
        Some(why) => problem(StatusCode::FORBIDDEN, why),
        None => {
            let who = somebody(&app, request.uri().path());
            request.extensions_mut().insert(who);
            next.run(request).await
        }
    };
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // `no-referrer` would make browsers send `Origin: null` with our own forms.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // A site elsewhere cannot even tell that this one is here.
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if app.settings.tls.is_some() {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// On loopback whoever reaches us is the one who runs us.
fn somebody(app: &App, path: &str) -> Who {
    let name = if path.starts_with("/api/") {
        "api"
    } else {
        "web"
    };
    Who {
        name: name.into(),
        role: Role::Admin,
        csrf: app.csrf.clone(),
    }
}

fn refused(app: &App, headers: &HeaderMap, method: &Method) -> Option<&'static str> {
    let host = headers
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or_default();
    if !known_host(app, host) {
        return Some("this Host is not known: add it to web.hosts");
    }
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    // A browser says where a form or script came from; other clients say nothing.
    let origin = headers.get(header::ORIGIN).and_then(|o| o.to_str().ok());
    match origin {
        Some(origin)
            if origin
                .split_once("://")
                .is_some_and(|(_, rest)| rest == host) =>
        {
            None
        }
        Some(_) => Some("changes are taken from our own pages only"),
        None => None,
    }
}

fn known_host(app: &App, host: &str) -> bool {
    let port = app.settings.listen.port();
    let name = host.strip_suffix(&format!(":{port}")).unwrap_or(host);
    let own = app.settings.listen.ip().to_string();
    ["localhost", "127.0.0.1", "[::1]", own.as_str()].contains(&name)
        || app.settings.hosts.iter().any(|h| h == name || h == host)
}

/// A random token for forms.
pub(super) fn token() -> String {
    let mut bytes = [0; 24];
    // Without randomness the token cannot be guessed at only because it is empty: forms fail.
    match getrandom::fill(&mut bytes) {
        Ok(()) => URL_SAFE_NO_PAD.encode(bytes),
        Err(_) => String::new(),
    }
}

pub(super) fn same_token(who: &Who, sent: &str) -> bool {
    !who.csrf.is_empty() && bool::from(who.csrf.as_bytes().ct_eq(sent.as_bytes()))
}

pub(super) fn not_json() -> Response {
    problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json").into_response()
}
