//! Style, script and icon: first-party, one file of each over the wire, with the hash of its
//! content in its URL. A page has files of its own here where it needs any.

use axum::http::header;
use axum::response::{IntoResponse, Response};

const CSS: &str = concat!(
    include_str!("../../dashboards/assets/style/base.css"),
    include_str!("../../dashboards/assets/style/shell.css"),
    include_str!("../../dashboards/assets/style/parts.css"),
    include_str!("../../dashboards/assets/style/chart.css"),
    include_str!("../../dashboards/assets/style/triage.css"),
    include_str!("../../dashboards/assets/style/endpoint.css"),
    include_str!("../../dashboards/assets/style/specs.css"),
    include_str!("../../dashboards/assets/style/sensor.css"),
    include_str!("../../dashboards/assets/style/reference.css"),
    include_str!("../../dashboards/assets/style/access.css"),
    include_str!("../../dashboards/assets/style/overview.css"),
    include_str!("../../dashboards/assets/style/principals.css"),
    include_str!("../../dashboards/assets/style/settings.css"),
    include_str!("../../dashboards/assets/style/endpoints.css"),
);

const JS: &str = concat!(
    include_str!("../../dashboards/assets/script/live.js"),
    include_str!("../../dashboards/assets/script/keys.js"),
    include_str!("../../dashboards/assets/script/triage.js"),
    include_str!("../../dashboards/assets/script/scroll.js"),
    include_str!("../../dashboards/assets/script/endpoint.js"),
    include_str!("../../dashboards/assets/script/endpoints.js"),
    include_str!("../../dashboards/assets/script/reference.js"),
);

const ICON: &str = include_str!("../../dashboards/assets/icon.svg");

/// Changes with the assets: a new build is never shown with old styles.
pub(super) fn version() -> String {
    format!(
        "{:08x}",
        crc32fast::hash(CSS.as_bytes()) ^ crc32fast::hash(JS.as_bytes())
    )
}

pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", CSS)
}

pub(super) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", JS)
}

pub(super) async fn icon() -> Response {
    asset("image/svg+xml", ICON)
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, text).into_response()
}
