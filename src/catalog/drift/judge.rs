//! One exchange held against its operation's contract: what differs, and is certain.
//!
//! Of a message that was cut, or not looked into, nothing is said to be missing. A request that was
//! refused says nothing of what the API takes.

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::contract::{Content, Contract, Of, Schema, base, is_form};
use super::instance::Skeleton;
use super::schema::FORMATS;
use super::{Deviation, DriftKind};
use crate::catalog::spec::{Operation, Spec};
use crate::exchange::{Exchange, Field, Format, MAX_HEADERS, Shape, Types};

/// Header fields that proxies, tracers, browsers and load balancers add by themselves.
const INFRASTRUCTURE: [&str; 38] = [
    "baggage",
    "b3",
    "cdn-loop",
    "cf-",
    "dnt",
    "elastic-apm-",
    "fastly-",
    "fly-",
    "grpc-",
    "idempotency-key",
    "if-",
    "newrelic",
    "prefer",
    "priority",
    "proxy-",
    "sec-",
    "sentry-",
    "traceparent",
    "tracestate",
    "true-client-ip",
    "uber-trace-id",
    "upgrade-insecure-requests",
    "x-amz",
    "x-api-client",
    "x-b3-",
    "x-client-ip",
    "x-cloud-trace-context",
    "x-correlation-id",
    "x-csrf",
    "x-datadog-",
    "x-envoy-",
    "x-forwarded",
    "x-http-method-override",
    "x-original-",
    "x-real-ip",
    "x-request-",
    "x-requested-with",
    "x-xsrf",
];

/// Parts of one message of an exchange.
struct Message<'x> {
    shape: &'x Shape,
    form: bool,
    /// Both halves are here whole.
    whole: bool,
    status: Option<u16>,
}

/// What an exchange does that its operation does not say.
pub(super) fn judge(
    contract: &mut Contract,
    at: (&Spec, &Operation),
    x: &Exchange,
) -> Vec<Deviation> {
    let mut out = Vec::new();
    let Some(status) = x
        .status
        .filter(|_| !x.partial.unpaired && !x.partial.no_request)
    else {
        return out;
    };
    if status < 400 {
        request(contract, at, x, &mut out);
    }
    response(contract, at, x, status, &mut out);
    out.sort();
    out.dedup();
    out
}

fn request(
    contract: &mut Contract,
    at: (&Spec, &Operation),
    x: &Exchange,
    out: &mut Vec<Deviation>,
) {
    let whole = !x.partial.any();
    let shapes = x.shapes.as_deref();
    if let Some(scheme) = contract.security.undocumented(x.auth.as_deref()) {
        let expected = contract.security.names();
        let detail = match scheme {
            "none" => format!("answered without any, where {expected} is documented"),
            _ => format!("{expected} is documented"),
        };
        out.push(Deviation::new(
            DriftKind::UndocumentedAuth,
            None,
            scheme,
            detail,
        ));
    }
    // The query of a record without shapes was not looked into.
    if let Some(shapes) = shapes
        && let Some(query) = &shapes.query
    {
        if let Schema::Ready(validator) = &contract.query {
            parameters(validator, query, whole, out);
        }
        headers(contract, &shapes.request_headers, whole, out);
    }
    let Some(media) = x.request_content_type.as_deref() else {
        return;
    };
    let body = shapes.and_then(|s| s.request.as_ref());
    let sent = x.request_bytes.is_some_and(|n| n > 0) || body.is_some();
    if sent && is_telling(media) {
        let documented = contract.request.as_mut();
        let detail = match &documented {
            None => Some("no request body is documented".to_owned()),
            Some(content) if content.0.is_empty() => None,
            Some(content) => Some(format!("{} is documented", content.names())),
        };
        let known = documented.is_some_and(|c| c.best(media).is_some());
        if let Some(detail) = detail.filter(|_| !known) {
            let kind = DriftKind::UndocumentedContentType;
            out.push(Deviation::new(kind, None, media, detail));
            return;
        }
    }
    if let Some(shape) = body
        && let Some(validator) = contract.schema(at, Of::Request, media)
    {
        let message = Message {
            shape,
            form: is_form(media),
            whole,
            status: None,
        };
        fields(validator, &message, out);
    }
    if whole && contract.request_required && x.request_bytes == Some(0) {
        let kind = DriftKind::MissingRequired;
        out.push(Deviation::new(kind, None, "", "no body was sent".into()));
    }
}

fn response(
    contract: &mut Contract,
    at: (&Spec, &Operation),
    x: &Exchange,
    status: u16,
    out: &mut Vec<Deviation>,
) {
    let Some(key) = contract.response(status) else {
        if !contract.responses.is_empty() && is_answer(status) {
            let kind = DriftKind::UndocumentedStatus;
            let known: Vec<&str> = contract.responses.keys().map(String::as_str).collect();
            let detail = format!("{} is documented", known.join(", "));
            out.push(Deviation::new(
                kind,
                Some(status),
                &status.to_string(),
                detail,
            ));
        }
        return;
    };
    let Some(media) = x.content_type.as_deref() else {
        return;
    };
    let body = x.shapes.as_deref().and_then(|s| s.response.as_ref());
    let sent = x.response_bytes.is_some_and(|n| n > 0) || body.is_some();
    let content = contract.responses.get_mut(&key);
    let said = content.filter(|c| !c.0.is_empty());
    if let Some(content) = said.filter(|_| sent)
        && content.best(media).is_none()
    {
        let detail = format!("{} is documented", Content::names(content));
        let kind = DriftKind::UndocumentedContentType;
        out.push(Deviation::new(kind, Some(status), media, detail));
        return;
    }
    if let Some(shape) = body
        && let Some(validator) = contract.schema(at, Of::Response(&key), media)
    {
        let message = Message {
            shape,
            form: is_form(media),
            whole: !x.partial.any(),
            status: Some(status),
        };
        fields(validator, &message, out);
    }
}

/// Clients name a type for bodies that have none of its form.
fn is_telling(media: &str) -> bool {
    !matches!(media, "application/octet-stream" | "text/plain")
}

/// Any server may answer with these, or something before it.
fn is_answer(status: u16) -> bool {
    !matches!(status, 100..=199 | 304 | 502..=504)
}

fn headers(
    contract: &Contract,
    seen: &[compact_str::CompactString],
    whole: bool,
    out: &mut Vec<Deviation>,
) {
    let known = &contract.headers.names;
    let own = |name: &str| INFRASTRUCTURE.iter().any(|own| name.starts_with(own));
    for name in seen
        .iter()
        .filter(|n| !own(n) && !known.contains_key(n.as_str()))
    {
        let kind = DriftKind::UndocumentedParameter;
        out.push(Deviation::new(kind, None, name, "a header field".into()));
    }
    // Names that everybody sends are not listed, nor are those behind the bound.
    if whole && seen.len() < MAX_HEADERS {
        let due = known
            .iter()
            .filter(|(name, p)| p.required && name.starts_with("x-"));
        for (name, _) in due.filter(|(name, _)| !seen.iter().any(|s| s == name.as_str())) {
            let kind = DriftKind::MissingParameter;
            out.push(Deviation::new(kind, None, name, "a header field".into()));
        }
    }
}

/// Query parameters: `filter[name]` is `filter`.
fn parameters(validator: &Validator, query: &Shape, whole: bool, out: &mut Vec<Deviation>) {
    let top = flattened(query);
    let Some(skeleton) = Skeleton::of(&top) else {
        // A query without parameters.
        if whole && query.0.is_empty() {
            let empty = Value::Object(serde_json::Map::new());
            for name in missing(validator, &empty) {
                let detail = "a query parameter".to_owned();
                out.push(Deviation::new(
                    DriftKind::MissingParameter,
                    None,
                    &name,
                    detail,
                ));
            }
        }
        return;
    };
    let message = Message {
        shape: &top,
        form: true,
        whole,
        status: None,
    };
    let mut found = Vec::new();
    held(validator, &skeleton, &message, &mut found);
    out.extend(found.into_iter().map(|mut d| {
        d.kind = match d.kind {
            DriftKind::UndocumentedField => DriftKind::UndocumentedParameter,
            DriftKind::MissingRequired => DriftKind::MissingParameter,
            kind => kind,
        };
        d.name = d.name.trim_start_matches('/').to_owned();
        if d.detail.is_empty() {
            d.detail = "a query parameter".into();
        }
        d
    }));
}

/// Names are cut at their bracket, and are one each.
fn flattened(form: &Shape) -> Shape {
    let mut out: Vec<Field> = Vec::new();
    for field in &form.0 {
        let mut field = field.clone();
        if let Some(name) = field.pointer.strip_prefix('/') {
            let bare = base(name);
            if bare.len() < name.len() {
                field.pointer = format!("/{bare}").into();
                // What it holds is a part of a list or an object.
                (field.types, field.format) = (Types::STRING, Format::Plain);
            }
        }
        match out.iter_mut().find(|f| f.pointer == field.pointer) {
            Some(known) => known.types |= field.types,
            None => out.push(field),
        }
    }
    Shape(out)
}

fn fields(validator: &Validator, message: &Message<'_>, out: &mut Vec<Deviation>) {
    let flat = message.form.then(|| flattened(message.shape));
    let shape = flat.as_ref().unwrap_or(message.shape);
    if let Some(skeleton) = Skeleton::of(shape) {
        held(validator, &skeleton, message, out);
    }
}

/// Holds each skeleton of a shape against a schema.
fn held(
    validator: &Validator,
    skeleton: &Skeleton<'_>,
    message: &Message<'_>,
    out: &mut Vec<Deviation>,
) {
    for (nth, value) in skeleton.variants().enumerate() {
        for error in validator.iter_errors(&value) {
            let pointer = general(&value, error.instance_path().as_str());
            match error.kind() {
                ValidationErrorKind::AdditionalProperties { unexpected } if nth == 0 => {
                    for name in unexpected.iter().filter(|n| *n != "*") {
                        let name = format!("{pointer}/{}", escaped(name));
                        let kind = DriftKind::UndocumentedField;
                        out.push(Deviation::new(kind, message.status, &name, String::new()));
                    }
                }
                ValidationErrorKind::Required { property } if nth == 0 => {
                    out.extend(lacks(skeleton, message, &pointer, property));
                }
                ValidationErrorKind::Type { kind } => {
                    let expected = match kind {
                        jsonschema::error::TypeKind::Single(kind) => kind.to_string(),
                        jsonschema::error::TypeKind::Multiple(kinds) => {
                            let names: Vec<String> = kinds.iter().map(|k| k.to_string()).collect();
                            names.join(" or ")
                        }
                    };
                    let seen = kind_of(error.instance().as_ref());
                    out.extend(mistyped(skeleton, message, &pointer, &expected, seen));
                }
                ValidationErrorKind::Format { format } => {
                    let instance = error.instance();
                    let seen = instance.as_str().unwrap_or_default();
                    if FORMATS.contains(&seen) {
                        out.extend(mistyped(skeleton, message, &pointer, format, seen));
                    }
                }
                _ => {}
            }
        }
    }
    if let Some(value) = skeleton.least().filter(|_| message.whole) {
        for error in validator.iter_errors(&value) {
            if let ValidationErrorKind::Required { property } = error.kind() {
                let pointer = general(&value, error.instance_path().as_str());
                out.extend(lacks(skeleton, message, &pointer, property));
            }
        }
    }
}

fn missing(validator: &Validator, value: &Value) -> Vec<String> {
    let errors = validator.iter_errors(value);
    let names = errors.filter_map(|e| match e.kind() {
        ValidationErrorKind::Required { property } => property.as_str().map(str::to_owned),
        _ => None,
    });
    names.collect()
}

/// A name is missing, where the object that lacks it was seen whole.
fn lacks(
    skeleton: &Skeleton<'_>,
    message: &Message<'_>,
    pointer: &str,
    property: &Value,
) -> Option<Deviation> {
    let certain = message.whole && skeleton.is_whole(pointer);
    let name = property.as_str().filter(|_| certain)?;
    let name = format!("{pointer}/{}", escaped(name));
    let kind = DriftKind::MissingRequired;
    Some(Deviation::new(kind, message.status, &name, String::new()))
}

/// A masked value, or an empty one of a form, is of no type.
fn mistyped(
    skeleton: &Skeleton<'_>,
    message: &Message<'_>,
    pointer: &str,
    expected: &str,
    seen: &str,
) -> Option<Deviation> {
    let format = skeleton.field(pointer).map(|f| f.format);
    let hidden = format == Some(Format::Secret) || (message.form && format == Some(Format::Unseen));
    if hidden && seen == "string" {
        return None;
    }
    let detail = format!("{expected} is documented, {seen} was seen");
    let kind = DriftKind::WrongType;
    Some(Deviation::new(kind, message.status, pointer, detail))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// RFC 6901, section 3.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A pointer into a skeleton as a pointer into its shape: items of an array are `*`.
fn general(value: &Value, pointer: &str) -> String {
    let (mut at, mut out) = (Some(value), String::new());
    for token in pointer.split('/').skip(1) {
        let is_item = at.is_some_and(Value::is_array);
        out.push('/');
        out.push_str(if is_item { "*" } else { token });
        let name = token.replace("~1", "/").replace("~0", "~");
        at = match at {
            Some(Value::Array(list)) => token.parse::<usize>().ok().and_then(|n| list.get(n)),
            Some(other) => other.get(&name),
            None => None,
        };
    }
    out
}
