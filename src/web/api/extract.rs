//! What handlers of the API take: parameters of the query, parts of the path, JSON. Each is held
//! against its schema, the one that the OpenAPI document shows, before it is read: what the document
//! forbids is refused, by name, and what it allows is understood.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use jsonschema::Validator;
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::super::spec_upload::MAX_UPLOAD;
use super::MAX_BODY;
use super::problem::{Problem, Wrong};
use super::shape::{Maker, input, query};
use super::words::words;

/// Parameters of the query. One that is not known, comes twice or cannot be, is refused.
pub(in crate::web) struct Query<T>(pub(in crate::web) T);

/// Parts of the path, in order.
pub(in crate::web) struct Path<T>(pub(in crate::web) T);

/// A body of JSON; an empty one is `{}`.
pub(in crate::web) struct Json<T>(pub(in crate::web) T);

const UNKNOWN: &str = "there is no such parameter";

/// What an input is held against.
struct Check {
    /// Properties by name, with the type that a text of the query is read as.
    types: HashMap<String, Type>,
    schema: Value,
    validator: Option<Validator>,
}

type Checks = LazyLock<ArcSwap<HashMap<TypeId, Arc<Check>>>>;

static QUERIES: Checks = LazyLock::new(Default::default);
static BODIES: Checks = LazyLock::new(Default::default);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    Text,
    Number,
    Boolean,
}

impl Check {
    fn of(schema: Value) -> Self {
        let properties = schema["properties"].as_object().into_iter().flatten();
        let types = properties.map(|(name, of)| (name.clone(), Type::of(of)));
        Self {
            types: types.collect(),
            validator: jsonschema::validator_for(&schema).ok(),
            schema,
        }
    }

    /// Made once for each type: compiling takes longer than asking.
    fn get<T: JsonSchema + 'static>(all: &Checks, look: fn(Maker) -> Value) -> Arc<Self> {
        let of = TypeId::of::<T>();
        if let Some(known) = all.load().get(&of) {
            return known.clone();
        }
        let made = Arc::new(Self::of(look(SchemaGenerator::subschema_for::<T>)));
        all.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.insert(of, made.clone());
            all
        });
        made
    }

    /// The first thing that is wrong, as (pointer, what).
    fn refuse(&self, value: &Value) -> Option<(String, String)> {
        let error = self.validator.as_ref()?.iter_errors(value).next()?;
        Some((
            error.instance_path().to_string(),
            words(&error, &self.schema),
        ))
    }

    fn query(&self, query: &str) -> Result<(), Problem> {
        let mut all = Map::new();
        for (name, text) in url::form_urlencoded::parse(query.as_bytes()) {
            let refuse = |detail: &str| parameter(&name, detail);
            let Some(kind) = self.types.get(name.as_ref()) else {
                return Err(refuse(UNKNOWN));
            };
            if all.insert(name.to_string(), kind.read(&text)).is_some() {
                return Err(refuse("may be given once"));
            }
        }
        match self.refuse(&Value::Object(all)) {
            Some((pointer, what)) => Err(parameter(pointer.trim_start_matches('/'), &what)),
            None => Ok(()),
        }
    }
}

impl Type {
    fn of(schema: &Value) -> Self {
        match schema["type"].as_str() {
            Some("integer" | "number") => Self::Number,
            Some("boolean") => Self::Boolean,
            _ => Self::Text,
        }
    }

    /// A text that is no such thing stays one, which the schema then refuses.
    fn read(self, text: &str) -> Value {
        let read = match self {
            Self::Text => None,
            Self::Number => text.parse::<i64>().ok().map(Value::from).or_else(|| {
                let number = text.parse::<f64>().ok().filter(|n| n.is_finite())?;
                Some(Value::from(number))
            }),
            Self::Boolean => text.parse::<bool>().ok().map(Value::from),
        };
        read.unwrap_or_else(|| Value::from(text))
    }
}

/// What a query would be refused for, by parameter; one that is left empty says nothing.
pub(in crate::web) fn faults<T: JsonSchema + 'static>(text: &str) -> Vec<(String, String)> {
    let check = Check::get::<T>(&QUERIES, query);
    let (mut known, mut out) = (Map::new(), Vec::new());
    let parts = url::form_urlencoded::parse(text.as_bytes());
    for (name, text) in parts {
        match check.types.get(name.as_ref()) {
            None => out.push((name.into_owned(), UNKNOWN.to_owned())),
            Some(_) if text.is_empty() => {}
            Some(kind) => drop(known.insert(name.into_owned(), kind.read(&text))),
        }
    }
    let known = Value::Object(known);
    let errors = check.validator.iter().flat_map(|v| v.iter_errors(&known));
    out.extend(errors.map(|error| {
        let name = error.instance_path().to_string();
        let name = name.trim_start_matches('/').to_owned();
        (name, words(&error, &check.schema))
    }));
    out
}

fn parameter(name: &str, detail: &str) -> Problem {
    Problem::wrong(Wrong {
        detail: detail.to_owned(),
        parameter: Some(name.to_owned()),
        ..Wrong::default()
    })
}

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned + JsonSchema + 'static,
    S: Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let check = Check::get::<T>(&QUERIES, query);
        check.query(parts.uri.query().unwrap_or_default())?;
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(read)) => Ok(Self(read)),
            // "limit: invalid digit", from what the schema could not tell.
            Err(why) => Err(Problem::new(StatusCode::BAD_REQUEST, why.body_text())),
        }
    }
}

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    /// What cannot be the name of anything names nothing: 404.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        read.map(|axum::extract::Path(read)| Self(read))
            .map_err(|_| Problem::new(StatusCode::NOT_FOUND, "there is no such path"))
    }
}

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned + JsonSchema + 'static,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let why = "send application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
        let body = Bytes::from_request(request, state).await;
        read(&body.map_err(|why| too_much(&why, MAX_BODY))?).map(Self)
    }
}

/// A document as it is, JSON or YAML.
pub(in crate::web) struct Document(pub(in crate::web) Arc<str>);

/// No form of another site can send these without our leave (CORS preflight).
pub(in crate::web) const DOCUMENTS: [&str; 4] = [
    "application/json",
    "application/yaml",
    "application/vnd.oai.openapi",
    "application/vnd.oai.openapi+json",
];

impl<S: Send + Sync> FromRequest<S> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = media_type(request.headers());
        if !DOCUMENTS.contains(&kind.as_str()) {
            let why = "send the document itself, as application/json or application/yaml";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|why| too_much(&why, MAX_UPLOAD))?;
        let text = std::str::from_utf8(&body).map_err(|e| {
            let why = format!("the text is no UTF-8 from byte {} on", e.valid_up_to());
            Problem::new(StatusCode::BAD_REQUEST, why)
        })?;
        Ok(Self(text.into()))
    }
}

fn media_type(headers: &HeaderMap) -> String {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// JSON only: a form on another site cannot send that without our leave (CORS preflight).
fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers) == "application/json"
}

/// The body was longer than it may be, or broke off.
fn too_much(why: &BytesRejection, most: usize) -> Problem {
    match why.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => {
            let why = format!("the body is longer than {} MiB", most >> 20);
            Problem::new(status, why)
        }
        status => Problem::new(status, "the body broke off"),
    }
}

fn read<T: DeserializeOwned + JsonSchema + 'static>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    let unreadable = |e: serde_json::Error| Problem::new(StatusCode::BAD_REQUEST, e.to_string());
    let value: Value = serde_json::from_slice(body).map_err(unreadable)?;
    if let Some((pointer, detail)) = Check::get::<T>(&BODIES, input).refuse(&value) {
        return Err(Problem::wrong(Wrong {
            detail,
            pointer: Some(pointer),
            ..Wrong::default()
        }));
    }
    serde_json::from_value(value).map_err(unreadable)
}
