//! Lists as files: CSV, JSON Lines, OpenAPI. The filters of the list apply; all of it goes out, or where
//! `limit` or `cursor` is said that page, whose `Link` names the next one (RFC 8288). An answer is written
//! piece by piece, never held as a whole.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::api::polish::ranges;
use super::api::{self, Query};
use super::columns::{self, Column};
use super::frame::{Link, query_link};
use super::index::Index;
use super::place::Place;
use super::query::{EndpointFilter, Page};
use super::routes::Shared;
use super::search::Fault;
use super::triage::Filter;
use super::worklist::{ask, lists};
use crate::catalog::{self, EndpointView};
use crate::export::{self, Row};

/// Items written at once.
const PIECE: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Csv,
    Lines,
    /// An array.
    Json,
}

impl Form {
    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Lines => "application/jsonl",
            Self::Json => "application/json",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Lines => "jsonl",
            Self::Json => "json",
        }
    }
}

/// The form that the caller would rather have than the house's JSON.
pub(super) fn wanted(headers: &HeaderMap) -> Option<Form> {
    let form = |range: &str| match range {
        "text/csv" => Some(Form::Csv),
        "application/jsonl" | "application/x-ndjson" => Some(Form::Lines),
        _ => None,
    };
    let weight = |range: &str, weight| (range == "application/json").then_some(weight);
    let json = ranges(headers).find_map(|(range, w)| weight(range, w));
    let forms = ranges(headers).filter_map(|(range, w)| Some((form(range)?, w)));
    let best = forms.reduce(|a, b| if b.1 > a.1 { b } else { a });
    best.filter(|(_, w)| *w > json.unwrap_or(0.0))
        .map(|(form, _)| form)
}

/// What goes out of a list: the page where one is asked for, else all.
pub(super) fn part<T>(
    (cursor, limit): (&str, Option<usize>),
    page: impl FnOnce() -> Page<T>,
    all: impl FnOnce() -> Vec<Arc<T>>,
) -> Page<T> {
    if limit.is_some() || !cursor.is_empty() {
        return page();
    }
    let items = all();
    Page {
        total: items.len(),
        items,
        next: None,
        lost: false,
    }
}

/// The same list from the next item on (RFC 8288).
fn next_link(uri: &Uri, next: &str) -> Option<HeaderValue> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let asked = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    query.extend_pairs(asked.filter(|(name, _)| name != "cursor"));
    query.append_pair("cursor", next);
    let link = format!("<{}?{}>; rel=\"next\"", uri.path(), query.finish());
    HeaderValue::from_str(&link).ok()
}

/// A list as a file.
pub(super) fn send<T>(form: Form, name: &str, uri: &Uri, page: Page<T>) -> Response
where
    T: Row + Serialize + Send + Sync + 'static,
{
    let head = match form {
        Form::Csv => export::header::<T>(),
        Form::Lines | Form::Json => Vec::new(),
    };
    let write = move |item: &T| match form {
        Form::Csv => export::row(item),
        // Views are plain data, which serde_json writes always.
        Form::Lines | Form::Json => serde_json::to_vec(item).unwrap_or_default(),
    };
    pieces((form, name, uri), head, page, write)
}

/// Piece by piece: `write` gives one item in the form.
fn pieces<T: Send + Sync + 'static>(
    (form, name, uri): (Form, &str, &Uri),
    head: Vec<u8>,
    page: Page<T>,
    write: impl Fn(&T) -> Vec<u8> + Send + 'static,
) -> Response {
    if page.lost {
        return api::lost().into_response();
    }
    let next = page.next.and_then(|next| next_link(uri, &next));
    let items = page.items;
    let (open, between, close): (&[u8], &[u8], &[u8]) = match form {
        Form::Csv => (&head, b"", b""),
        Form::Lines => (b"", b"\n", b"\n"),
        Form::Json => (b"[", b",\n", b"]\n"),
    };
    let (open, close) = (open.to_vec(), close.to_vec());
    let close = if items.is_empty() && form == Form::Lines {
        Vec::new()
    } else {
        close
    };
    let mut items = items.into_iter().enumerate();
    let pieces = std::iter::from_fn(move || {
        let mut out = Vec::new();
        for (n, item) in items.by_ref().take(PIECE) {
            out.extend_from_slice(if n > 0 { between } else { b"" });
            out.extend(write(&item));
        }
        (!out.is_empty()).then_some(out)
    });
    let all = std::iter::once(open).chain(pieces).chain([close]);
    let stream = tokio_stream::iter(all.map(|part| Ok::<_, Infallible>(Bytes::from(part))));
    let file = format!(
        "attachment; filename=\"apitap-{name}.{}\"",
        form.extension()
    );
    let headers = [
        (header::CONTENT_TYPE, form.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, file),
    ];
    let mut response = (headers, Body::from_stream(stream)).into_response();
    if let Some(next) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    response
}

/// The endpoints that a filter finds, in its order and with its columns.
pub(super) fn endpoints_as(
    form: Form,
    filter: &EndpointFilter,
    uri: &Uri,
    index: &Index,
) -> Result<Response, Fault> {
    filter.query()?;
    let at = (filter.cursor.as_str(), filter.limit);
    let page = || filter.page(index).unwrap_or_default();
    let items = part(at, page, || filter.found(index).unwrap_or_default());
    if filter.cols.is_empty() {
        return Ok(send(form, "endpoints", uri, items));
    }
    let columns = columns::chosen(&filter.cols);
    let with_key = |of: fn(&Column) -> &'static [&'static str]| -> Vec<&'static str> {
        let named = columns.iter().flat_map(|c| of(c));
        std::iter::once("key").chain(named.copied()).collect()
    };
    if form != Form::Csv {
        let members = with_key(|c| c.json);
        let write = move |e: &EndpointView| {
            let mut whole = serde_json::to_value(e).unwrap_or_default();
            if let Some(map) = whole.as_object_mut() {
                map.retain(|name, _| members.contains(&name.as_str()));
            }
            whole.to_string().into_bytes()
        };
        let what = (form, "endpoints", uri);
        return Ok(pieces(what, Vec::new(), items, write));
    }
    let at = |name: &&str| EndpointView::COLUMNS.iter().position(|c| c == name);
    let places: Vec<usize> = with_key(|c| c.csv).iter().filter_map(at).collect();
    let head = export::header_of::<EndpointView>(&places);
    let write = move |e: &EndpointView| export::row_of(e, &places);
    Ok(pieces((form, "endpoints", uri), head, items, write))
}

/// `/api/v1/endpoints.csv`, `/api/v1/endpoints.jsonl`, `/api/v1/endpoints.json`.
pub(super) async fn endpoints(
    State(app): Shared,
    Extension(form): Extension<Form>,
    uri: Uri,
    Query(filter): Query<EndpointFilter>,
) -> Response {
    let index = app.index().await;
    endpoints_as(form, &filter, &uri, &index).unwrap_or_else(|fault| api::unreadable(&fault))
}

/// `/api/v1/alerts.csv`, `/api/v1/alerts.jsonl`.
pub(super) async fn alerts(
    State(app): Shared,
    Extension(form): Extension<Form>,
    uri: Uri,
    Query(filter): Query<Filter>,
) -> Response {
    match ask(&app, filter) {
        Ok(asked) => {
            let lists = lists(&app);
            let found = lists.alerts().find(&asked);
            send(form, "alerts", &uri, found.part(&asked.filter))
        }
        Err(why) => api::problem(StatusCode::BAD_REQUEST, &why),
    }
}

/// OpenAPI 3.1.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ObservedOpenapi")]
pub(super) enum Documents {
    One(#[schemars(with = "Map<String, Value>")] Value),
    Several(#[schemars(with = "Vec<Map<String, Value>>")] Vec<Value>),
}

/// `/api/v1/endpoints.openapi.json`: of one host a document, of several a list of them.
pub(super) async fn openapi(State(app): Shared, Query(filter): Query<EndpointFilter>) -> Response {
    let found = match filter.found(&*app.index().await) {
        Ok(found) => found,
        Err(fault) => return api::unreadable(&fault),
    };
    let found: Vec<&EndpointView> = found.iter().map(AsRef::as_ref).collect();
    let hosts: BTreeSet<&str> = found.iter().map(|e| e.host.as_str()).collect();
    let mut documents = catalog::openapi::documents(&found);
    let documents = match documents.len() {
        1 if hosts.len() == 1 => Documents::One(documents.remove(0)),
        _ => Documents::Several(documents),
    };
    let mut response = api::json(&documents);
    let file = HeaderValue::from_static("attachment; filename=\"apitap-openapi.json\"");
    response
        .headers_mut()
        .insert(header::CONTENT_DISPOSITION, file);
    response
}

/// The exports of endpoints as a page shows them: its query and order, all its rows, and in all forms but
/// OpenAPI its columns.
pub(super) fn endpoint_links(place: &Place, columns: &str) -> Vec<Link> {
    let columns = columns.to_owned();
    let mut parts = place.parts();
    parts.retain(|(name, _)| ["q", "sort", "dir"].contains(name));
    let mut links = links("endpoints", &parts);
    parts.push(("cols", &columns));
    for (_, target) in links.iter_mut().filter(|(name, _)| *name != "OpenAPI") {
        let path = target.split('?').next().unwrap_or_default().to_owned();
        *target = query_link(&path, &parts);
    }
    links
}

/// The exports of a list, with its filters.
pub(super) fn links(list: &str, parts: &[(&str, &String)]) -> Vec<Link> {
    let mut forms = vec![("CSV", "csv"), ("JSON Lines", "jsonl")];
    if list == "endpoints" {
        forms.extend([("JSON", "json"), ("OpenAPI", "openapi.json")]);
    }
    let link = |(name, extension)| {
        let path = format!("/api/v1/{list}.{extension}");
        (name, query_link(&path, parts))
    };
    forms.into_iter().map(link).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use axum::body::to_bytes;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;
    use crate::catalog::{Catalog, Settings};
    use crate::exchange::parse_line;
    use crate::web::{self, Views};

    /// Two hosts, one of them with more endpoints than are written at once.
    fn views() -> Arc<Views> {
        let mut catalog = Catalog::new(Settings::default());
        for ts in [1, 2] {
            let one = ("b.example".to_owned(), "/=x".to_owned());
            let many = (0..PIECE + 9).map(|n| ("a.example".to_owned(), format!("/r{n}x/v1")));
            for (host, path) in many.chain([one]) {
                let line = format!(
                    r#"{{"v":1,"ts":{ts},"method":"GET","host":"{host}","path":"{path}","status":200}}"#
                );
                catalog.apply(&parse_line(line.as_bytes()).unwrap(), &mut Vec::new());
            }
        }
        let views = Views::default();
        views.catalog.store(catalog.view());
        views.ready.store(true, Ordering::Relaxed);
        Arc::new(views)
    }

    /// Media type and text.
    async fn get(path: &str, accept: &str) -> (String, String) {
        let (commands, _) = tokio::sync::mpsc::channel(1);
        let router = web::router(views(), commands, web::Settings::default());
        let request = Request::get(path)
            .header(header::HOST, "127.0.0.1:8650")
            .header(header::ACCEPT, accept)
            .body(Body::empty())
            .unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert!(
            response.status().is_success(),
            "{path}: {}",
            response.status()
        );
        let kind = response.headers()[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        let body = to_bytes(response.into_body(), 1 << 24).await.unwrap();
        (kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn lists_go_out_whole_and_filtered() {
        let (kind, csv) = get("/api/v1/endpoints.csv?sort=path", "*/*").await;
        assert!(kind.starts_with("text/csv"));
        assert_eq!(csv.lines().count(), 1 + PIECE + 9 + 1);
        assert!(csv.starts_with("key,method,host,template,"));
        let (_, csv) = get("/api/v1/endpoints.csv?host=b.example", "*/*").await;
        assert!(csv.contains(",GET,b.example,/=x,"), "{csv}");
        assert_eq!(csv.lines().count(), 2);
        let (kind, lines) = get("/api/v1/endpoints.jsonl?host=a.example", "*/*").await;
        assert_eq!(
            (kind.as_str(), lines.lines().count()),
            ("application/jsonl", PIECE + 9)
        );
        for line in lines.lines() {
            let e: EndpointView = serde_json::from_str(line).unwrap();
            assert_eq!(e.host, "a.example");
        }
        for list in ["alerts", "findings"] {
            let (_, csv) = get(&format!("/api/v1/{list}.csv"), "*/*").await;
            let (_, lines) = get(&format!("/api/v1/{list}.jsonl"), "*/*").await;
            assert!(csv.starts_with("id,"));
            assert_eq!(csv.lines().count(), 1 + lines.lines().count(), "{list}");
        }
    }

    #[tokio::test]
    async fn the_form_is_asked_for_by_accept_too() {
        for list in ["endpoints", "alerts", "findings"] {
            let path = format!("/api/v1/{list}");
            let (kind, _) = get(&path, "text/html, text/csv;q=0.9").await;
            assert!(kind.starts_with("text/csv"), "{list}");
            let (kind, text) = get(&path, "*/*").await;
            assert!(
                kind == "application/json" && text.contains("\"items\""),
                "{list}"
            );
        }
    }

    #[tokio::test]
    async fn openapi_of_one_host_or_of_all() {
        let (_, one) = get("/api/v1/endpoints.openapi.json?host=b.example", "*/*").await;
        let one: Value = serde_json::from_str(&one).unwrap();
        assert!(one["paths"]["/=x"]["get"].is_object(), "{one}");
        let (_, all) = get("/api/v1/endpoints.openapi.json", "*/*").await;
        let all: Value = serde_json::from_str(&all).unwrap();
        assert_eq!(all.as_array().map(Vec::len), Some(2));
    }

    #[tokio::test]
    async fn pages_link_to_the_exports_with_their_filters() {
        let (_, page) = get("/endpoints?host=b.example&q=x", "*/*").await;
        for form in ["csv", "jsonl", "openapi.json"] {
            let link = format!("/api/v1/endpoints.{form}?q=x+host%3Ab.example");
            assert!(page.contains(&link), "{page}");
        }
        let (_, lines) = get("/api/v1/endpoints.jsonl?host=b.example", "*/*").await;
        let e: EndpointView = serde_json::from_str(lines.trim()).unwrap();
        for (step, range, shown) in [
            ("minute", "", "Day"),
            ("hour", "week", "Week"),
            ("day", "60-days", "60 days"),
        ] {
            let (_, page) = get(&format!("/endpoints/{}?range={range}", e.key), "*/*").await;
            assert!(
                page.contains(&format!("aria-current=\"true\">{shown}</a>")),
                "{page}"
            );
            let (_, data) = get(
                &format!("/api/v1/endpoints/{}/history?step={step}", e.key),
                "*/*",
            )
            .await;
            assert!(data.contains("\"requests\":2"), "{data}");
        }
    }
}
