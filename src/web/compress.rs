//! Answers are compressed for callers that take gzip, where it pays and does no harm.
//!
//! Pages are not: they carry a secret (the token of forms) beside text that others can choose, and
//! the length of what both are compressed to would tell the secret bit by bit (BREACH). Of the API
//! only `/api/v1/me` has it, which is too short to be compressed and holds nothing of others.

use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};

/// Bytes from which it pays.
const LEAST: u16 = 1_024;

const COMPRESSED: [&str; 9] = [
    "application/json",
    "application/jsonl",
    "application/openmetrics-text",
    "application/problem+json",
    "image/svg+xml",
    "text/css",
    "text/csv",
    "text/javascript",
    "text/plain",
];

type Which = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

pub(super) fn layer() -> CompressionLayer<And<SizeAbove, Which>> {
    let which: Which = |_, _, headers, _| takes(headers);
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(LEAST).and(which))
}

fn takes(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    COMPRESSED.contains(&kind)
}
