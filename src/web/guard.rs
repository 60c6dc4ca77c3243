//! What every request passes: the Host header (DNS rebinding), who it is from and whether they may,
//! the Origin and the CSRF token of whatever changes something, and the security headers of every
//! answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use subtle::ConstantTimeEq;

use super::api::problem;
use super::frame::{failed, query_link};
use super::gate;
use super::life::stale;
use super::policy::{self, Need};
use super::routes::App;
use super::who::{ASKER, Way, Who};
use crate::access::By;
use crate::http::client_behind;

/// Nothing from elsewhere, nothing inline, no frame around us.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                   form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Bytes of a form at most.
const FORM: usize = 2 << 20;

/// Where a script puts the CSRF token of its page.
const CSRF: &str = "x-csrf-token";

pub(super) async fn check(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let answered = answer(&app, request, next).await;
    let mut response = answered.unwrap_or_else(|refused| refused);
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

async fn answer(app: &App, mut request: Request, next: Next) -> Result<Response, Response> {
    let forbidden = |why| problem(StatusCode::FORBIDDEN, why);
    if !known_host(app, host(&request)) {
        return Err(forbidden("this Host is not known: add it to web.hosts"));
    }
    let changes = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let pattern = request.extensions().get::<MatchedPath>();
    let pattern = pattern.map(MatchedPath::as_str);
    let need = match policy::need(changes, pattern) {
        Need::Role(_) if app.settings.open_metrics && pattern == Some("/metrics") => Need::Nothing,
        need => need,
    };
    let who = known(app, &request, need).map_err(|no| *no)?;
    if changes {
        origin(app, &request, &who).map_err(forbidden)?;
        // Who is nobody signs in: there is no token yet, and the Origin was looked at.
        if need != Need::Nothing {
            request = own_form(app, request, &who).await?;
        }
    }
    let by = By {
        name: who.name.clone(),
        role: (who.way != Way::Nobody).then_some(who.role),
        from: address(app, &request)
            .map(|ip| ip.to_string())
            .unwrap_or_default(),
    };
    request.extensions_mut().insert(who);
    Ok(ASKER.scope(by, next.run(request)).await)
}

/// Who it is, where they may.
fn known(app: &App, request: &Request, need: Need) -> Result<Who, Box<Response>> {
    let who = gate::somebody(app, request.headers(), request.uri().path());
    let Need::Role(role) = need else {
        return Ok(who.unwrap_or_default());
    };
    let who = who.map_err(|why| Box::new(unknown(why)))?;
    if who.way == Way::Nobody {
        return Err(Box::new(sign_in_first(request)));
    }
    if who.role < role {
        let why = format!("this asks for the role of {role}; yours is {}", who.role);
        let no = if wants_html(request.headers()) {
            failed(
                app,
                &who,
                StatusCode::FORBIDDEN,
                "This is not for you",
                &why,
            )
        } else {
            problem(StatusCode::FORBIDDEN, &why)
        };
        return Err(Box::new(no));
    }
    Ok(who)
}

fn unknown(why: &str) -> Response {
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"apitap\"")];
    (challenge, problem(StatusCode::UNAUTHORIZED, why)).into_response()
}

/// A person is led to the page, and back afterwards; a program is told.
fn sign_in_first(request: &Request) -> Response {
    if !wants_html(request.headers()) {
        return unknown("sign in, or send an API token");
    }
    let wanted = request.uri().path_and_query();
    let wanted = wanted.filter(|p| *request.method() == Method::GET && p.as_str() != "/");
    let next = wanted.map(ToString::to_string).unwrap_or_default();
    Redirect::to(&query_link("/login", &[("next", &next)])).into_response()
}

pub(super) fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|a| a.to_str().ok());
    accept.is_some_and(|a| a.contains("text/html"))
}

/// The address at the other end of the connection; where a trusted proxy is there, of its client.
fn address(app: &App, request: &Request) -> Option<IpAddr> {
    let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    let peer = peer.ip().to_canonical();
    Some(client_behind(peer, fields, &app.settings.proxies))
}

/// HTTP/2 has it in the target (RFC 9113, 8.3.1), as HTTP/1 may (RFC 9112, 3.2.2). Where two are named
/// that differ, it is none.
fn host(request: &Request) -> &str {
    let named = request.headers().get_all(header::HOST).iter();
    let named = named.map(|h| h.to_str().unwrap_or_default());
    let target = request.uri().authority().map(Authority::as_str);
    let mut all = target.into_iter().chain(named);
    let first = all.next().unwrap_or_default();
    if all.all(|other| other == first) {
        first
    } else {
        ""
    }
}

/// A browser says where a form or script came from; other clients say nothing. Who has a cookie is
/// a browser.
fn origin(app: &App, request: &Request, who: &Who) -> Result<(), &'static str> {
    let elsewhere = "changes are taken from our own pages only";
    let origin = request.headers().get(header::ORIGIN);
    let origin = origin.and_then(|o| o.to_str().ok());
    match origin.map(|origin| origin.split_once("://")) {
        Some(Some((scheme, rest))) if rest == host(request) => {
            let right = !app.settings.is_tls() || scheme == "https";
            right.then_some(()).ok_or(elsewhere)
        }
        Some(_) => Err(elsewhere),
        None if who.session().is_some() => Err("a change with a session's cookie says its Origin"),
        None => Ok(()),
    }
}

/// Looks for the CSRF token: a form has it in itself, a script with a session sends it as a header.
/// An upload is left to its handler, which reads it piece by piece.
async fn own_form(app: &App, request: Request, who: &Who) -> Result<Request, Response> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    // The API takes no form, and says so.
    let is_api = request.uri().path().starts_with("/api/");
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        if is_api {
            return Ok(request);
        }
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, FORM).await;
        let body = body.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE.into_response())?;
        if let Some(refused) = stale(app, who, &sent_token(&body)) {
            return Err(refused);
        }
        return Ok(Request::from_parts(parts, Body::from(body)));
    }
    let pattern = request.extensions().get::<MatchedPath>();
    let is_upload = pattern.is_some_and(|p| policy::UPLOADS.contains(&p.as_str()))
        && kind.eq_ignore_ascii_case("multipart/form-data");
    if who.session().is_some() && !is_upload {
        let sent = request.headers().get(CSRF).and_then(|v| v.to_str().ok());
        if !same_token(who, sent.unwrap_or_default()) {
            let why = "send the page's CSRF token as X-CSRF-Token, or use an API token";
            return Err(problem(StatusCode::FORBIDDEN, why));
        }
    }
    Ok(request)
}

fn sent_token(form: &Bytes) -> String {
    let mut pairs = url::form_urlencoded::parse(form);
    let found = pairs.find(|(name, _)| name == "csrf");
    found
        .map(|(_, token)| token.into_owned())
        .unwrap_or_default()
}

/// The address that is listened on, localhost, and what the config names. Where every address is
/// listened on, any address will do: a name that is bound anew can pose as none.
fn known_host(app: &App, host: &str) -> bool {
    let listen = app.settings.listen;
    let name = host
        .strip_suffix(&format!(":{}", listen.port()))
        .unwrap_or(host);
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    let address = literal.parse::<IpAddr>().ok();
    let own = |ip: IpAddr| ip == listen.ip() || ip.is_loopback() || listen.ip().is_unspecified();
    name == "localhost"
        || address.is_some_and(own)
        || app.settings.hosts.iter().any(|h| h == name || h == host)
}

pub(super) fn same_token(who: &Who, sent: &str) -> bool {
    !who.csrf.is_empty() && bool::from(who.csrf.as_bytes().ct_eq(sent.as_bytes()))
}
