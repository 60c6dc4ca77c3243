//! What every answer of the API gets on its way out: a form that the caller takes, a tag by which it
//! need not be sent twice, and errors that are problems whoever made them.
//!
//! A tag is a hash of the answer itself. A generation of the views would cost less, but an answer
//! may depend on several views, on the time and on who asks; what was hashed can never be stale.

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::sync::Arc;

use super::super::frame::failed;
use super::super::routes::App;
use super::super::who::Who;
use super::problem::{self, problem};

/// Bytes of an answer that is tagged; what is longer is a stream, which is sent as it is made.
const TAGGED: u64 = 32 << 20;

/// Bytes of a hash that make a tag.
const TAG: usize = 16;

pub(in crate::web) async fn polish(
    State(app): State<Arc<App>>,
    who: Who,
    request: Request,
    next: Next,
) -> Response {
    let (method, asked) = (request.method().clone(), request.headers().clone());
    let api = request.uri().path().starts_with("/api/");
    let response = next.run(request).await;
    let status = response.status();
    if method == Method::OPTIONS && status == StatusCode::METHOD_NOT_ALLOWED {
        // `Allow` is added behind us, by the router.
        return StatusCode::NO_CONTENT.into_response();
    }
    if status.is_client_error() || status.is_server_error() {
        return match api {
            true => as_problem(response).await,
            false => as_page(&app, &who, &asked, response),
        };
    }
    if !api || !matches!(method, Method::GET | Method::HEAD) || status != StatusCode::OK {
        return response;
    }
    if !accepts(&asked, response.headers()) {
        return problem(
            StatusCode::NOT_ACCEPTABLE,
            "it has no form that `Accept` takes",
        );
    }
    tagged(&asked, response).await
}

fn media_type(headers: &HeaderMap) -> &str {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|v| v.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim()
}

/// Rejections of extractors and routers are texts.
async fn as_problem(response: Response) -> Response {
    if media_type(response.headers()) == problem::MEDIA_TYPE {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let said = to_bytes(body, TAGGED as usize).await.unwrap_or_default();
    let said = match (parts.status, String::from_utf8_lossy(&said).into_owned()) {
        (StatusCode::METHOD_NOT_ALLOWED, _) => "this path takes other methods: see `Allow`".into(),
        (status, none) if none.is_empty() => status.canonical_reason().unwrap_or_default().into(),
        (_, said) => said,
    };
    let made = problem(parts.status, &said);
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        parts.headers.remove(name);
    }
    let (head, body) = made.into_parts();
    parts.headers.extend(head.headers);
    Response::from_parts(parts, body)
}

/// People get a page in place of a text.
fn as_page(app: &App, who: &Who, asked: &HeaderMap, response: Response) -> Response {
    let accept = asked.get(header::ACCEPT).and_then(|a| a.to_str().ok());
    let is_bare = matches!(media_type(response.headers()), "" | "text/plain");
    if !is_bare || !accept.is_some_and(|a| a.contains("text/html")) {
        return response;
    }
    let status = response.status();
    let title = status.canonical_reason().unwrap_or("That did not work");
    let text = "The link or form is not one of this program's, or has been changed.";
    let mut page = failed(app, who, status, title, text);
    if let Some(allow) = response.headers().get(header::ALLOW) {
        page.headers_mut().insert(header::ALLOW, allow.clone());
    }
    page
}

/// Whether the caller takes what would be sent (RFC 9110, 12.5.1). Who says nothing takes all.
fn accepts(asked: &HeaderMap, sent: &HeaderMap) -> bool {
    let kind = media_type(sent);
    let group = kind.split('/').next().unwrap_or_default();
    let mut ranges = ranges(asked).peekable();
    ranges.peek().is_none()
        || ranges.any(|(range, quality)| {
            let whole = range
                .strip_suffix("/*")
                .is_some_and(|g| g == "*" || g == group);
            quality > 0.0 && (whole || range.eq_ignore_ascii_case(kind))
        })
}

/// What is accepted, each with its weight.
pub(in crate::web) fn ranges(asked: &HeaderMap) -> impl Iterator<Item = (&str, f32)> {
    let all = asked.get_all(header::ACCEPT).iter();
    let all = all.filter_map(|v| v.to_str().ok());
    all.flat_map(|v| v.split(',')).filter_map(|one| {
        let mut parts = one.split(';').map(str::trim);
        let range = parts.next().filter(|range| !range.is_empty())?;
        let weight = parts.find_map(|p| p.strip_prefix("q=")?.parse().ok());
        Some((range, weight.unwrap_or(1.0)))
    })
}

/// With a tag; or, where the caller has it already, 304.
async fn tagged(asked: &HeaderMap, response: Response) -> Response {
    let size = response.body().size_hint().exact();
    if size.is_none_or(|size| size > TAGGED) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, TAGGED as usize).await else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "the answer broke off");
    };
    let hash = Sha256::digest(&body);
    // Weak: compressed or not, it is the same.
    let tag = format!("W/\"{}\"", URL_SAFE_NO_PAD.encode(&hash[..TAG]));
    let known = has(asked, &tag);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, tag);
    }
    // It may be kept, and must be asked for anew each time.
    let cache = HeaderValue::from_static("private, no-cache");
    parts.headers.insert(header::CACHE_CONTROL, cache);
    parts
        .headers
        .append(header::VARY, HeaderValue::from_static("accept"));
    if known {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(body))
}

/// Whether `If-None-Match` names it (RFC 9110, 13.1.2: compared weakly).
fn has(asked: &HeaderMap, tag: &str) -> bool {
    let strong = tag.trim_start_matches("W/");
    let all = asked.get_all(header::IF_NONE_MATCH).iter();
    let all = all.filter_map(|v| v.to_str().ok());
    all.flat_map(|v| v.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.trim_start_matches("W/") == strong)
}
