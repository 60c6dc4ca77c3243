//! The API's own OpenAPI 3.1 document, made from the table of routes.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::query::EndpointFilter;
use super::routes::api_routes;

pub(super) async fn document() -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        build().to_string(),
    )
        .into_response()
}

pub(super) fn build() -> Value {
    let mut paths = Map::new();
    for (path, method, _) in api_routes() {
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[method] = operation(path, method);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "apitap", "version": env!("CARGO_PKG_VERSION"), "description": "Inventory, alerts and the sensor's ledger." },
        "paths": paths,
        "components": { "schemas": { "Problem": {
            "type": "object", "required": ["title", "status"],
            "properties": { "type": text(), "title": text(), "status": { "type": "integer" }, "detail": text() } } } }
    })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn operation(path: &str, method: &str) -> Value {
    let mut parameters: Vec<Value> = path
        .split('/')
        .filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text() }))
        .collect();
    let (list, form) = list_and_form(path);
    let filters: &[&str] = match list {
        "/api/v1/endpoints" => &[
            "q",
            "host",
            "method",
            "documentation",
            "life",
            "flag",
            "auth",
            "min_risk",
            "exposure",
            "sort",
            "cursor",
        ],
        "/api/v1/alerts" => &["status", "kind", "severity", "owasp", "cursor"],
        "/api/v1/incidents" => &["status", "severity", "kind", "cursor"],
        "/api/v1/dark" => &["q", "inspection", "transport", "sort", "cursor"],
        "/api/v1/edges" => &["host", "class", "new", "sort", "cursor"],
        "/api/v1/findings" => &["q", "kind", "severity", "owasp", "sort", "cursor"],
        "/api/v1/decisions" => &["cursor"],
        _ => &[],
    };
    parameters.extend(
        filters
            .iter()
            .map(|name| json!({ "name": name, "in": "query", "schema": text() })),
    );
    if path.ends_with("/history") {
        let steps = json!({ "enum": ["minute", "hour", "day"], "default": "minute" });
        parameters.push(json!({ "name": "step", "in": "query", "schema": steps }));
    }
    if path.ends_with("/foresee/{action}") {
        let part = json!({ "type": "integer", "minimum": 0, "default": 0 });
        parameters.push(json!({ "name": "part", "in": "query", "schema": part }));
        parameters.push(json!({ "name": "word", "in": "query", "schema": text() }));
    }
    if !filters.is_empty() && form.is_none() {
        parameters.push(json!({ "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 1000 } }));
    }
    let error = |what: &str| {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        json!({ "description": what, "content": { "application/problem+json": { "schema": schema } } })
    };
    let mut responses = Map::new();
    let content = match form {
        Some("csv") => json!({ "text/csv": { "schema": text() } }),
        Some("jsonl") => json!({ "application/jsonl": { "schema": text() } }),
        // A savefile, pcapng.
        _ if path.ends_with("/packets") => json!({ "application/octet-stream": {} }),
        _ if filters.is_empty()
            || form.is_some()
            || ["/api/v1/dark", "/api/v1/incidents"].contains(&list) =>
        {
            json!({ "application/json": { "schema": shape(path) } })
        }
        // By `Accept`.
        _ => {
            json!({ "application/json": { "schema": shape(path) }, "text/csv": { "schema": text() }, "application/jsonl": { "schema": text() } })
        }
    };
    responses.insert(
        "200".into(),
        json!({ "description": "the answer", "content": content }),
    );
    responses.insert("403".into(), error("the Host or Origin is not known"));
    if path.contains('{') {
        responses.insert("404".into(), error("there is no such thing"));
    }
    if ["foresee/{action}", "openapi.json"]
        .iter()
        .any(|end| path.ends_with(end))
        && path.contains('{')
    {
        responses.insert("409".into(), error("it cannot be, and why"));
    }
    if !filters.is_empty() {
        responses.insert(
            "400".into(),
            json!({ "description": "a filter cannot be read" }),
        );
    }
    let mut out = json!({ "operationId": format!("{method} {path}"), "parameters": parameters, "responses": responses });
    if method == "post" {
        out["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": body(path) } } });
        for (code, what) in [
            ("400", "the body cannot be read"),
            ("409", "it is so already, or can no longer be"),
            ("415", "not JSON"),
            ("503", "busy"),
        ] {
            out["responses"][code] = error(what);
        }
    }
    if path == "/api/v1/sinks/{name}/test" {
        out["responses"]["502"] = error("the sink did not take it, and why");
    }
    out
}

/// `/api/v1/endpoints.csv` is the list `/api/v1/endpoints` in another form.
fn list_and_form(path: &str) -> (&str, Option<&str>) {
    match path.split_once('.') {
        Some((list, form)) => (list, Some(form)),
        None => (path, None),
    }
}

/// What a change is told.
fn body(path: &str) -> Value {
    let note = json!({ "type": ["string", "null"], "maxLength": 500 });
    let mut filter = EndpointFilter::default();
    let parts = filter
        .parts_mut()
        .map(|(name, _)| (name.to_owned(), text()));
    let filter: Map<String, Value> = parts.into_iter().collect();
    let (required, properties) = match path {
        "/api/v1/alerts/{id}/status" | "/api/v1/incidents/{id}/status" => (
            json!(["status"]),
            json!({ "status": { "enum": statuses() }, "note": note, "until": time() }),
        ),
        "/api/v1/silences" => (
            json!(["until", "reason"]),
            json!({ "principal": text(), "endpoint": text(), "kind": text(), "detector": text(), "host": text(), "days": texts(),
                "hours": text(), "timezone": text(), "until": time(), "reason": text() }),
        ),
        "/api/v1/silences/{id}/end" => (json!([]), json!({})),
        "/api/v1/endpoints/accept" => (
            json!([]),
            json!({ "keys": texts(), "all": { "type": "boolean" }, "note": note,
                "filter": { "type": "object", "minProperties": 1, "additionalProperties": false, "properties": filter } }),
        ),
        "/api/v1/endpoints/mark" => (
            json!(["action"]),
            json!({ "action": { "enum": actions() }, "value": value(), "keys": texts(), "all": { "type": "boolean" }, "note": note,
                "filter": { "type": "object", "minProperties": 1, "additionalProperties": false, "properties": filter } }),
        ),
        "/api/v1/endpoints/{key}/{action}" => (
            json!([]),
            json!({ "note": note, "part": number(), "word": text(), "value": value() }),
        ),
        "/api/v1/deliveries/{sink}/{message}/send" | "/api/v1/sinks/{name}/test" => {
            (json!([]), json!({}))
        }
        _ => (json!([]), json!({ "note": note })),
    };
    json!({ "type": "object", "required": required, "additionalProperties": false, "properties": properties })
}

fn decision() -> Value {
    let place = json!({ "type": "object", "properties": { "key": text(), "host": text(), "method": text(), "template": text(), "back": text() } });
    json!({ "type": "object", "required": ["id", "at", "seen", "by", "action", "places", "count"], "properties": {
        "id": number(), "at": time(), "seen": time(), "by": text(), "note": text(), "undoes": number(), "holds": number(), "count": number(),
        "action": { "enum": actions() }, "value": text(), "places": { "type": "array", "items": place } } })
}

fn actions() -> [&'static str; 11] {
    crate::catalog::Action::ALL.map(crate::catalog::Action::name)
}

/// A tag, an owner or a note.
fn value() -> Value {
    json!({ "type": ["string", "null"], "maxLength": crate::catalog::MAX_NOTE })
}

fn statuses() -> [&'static str; 5] {
    crate::alert::Status::ALL.map(crate::alert::Status::name)
}

fn history_of_status() -> Value {
    json!({ "type": "array", "items": { "type": "object", "required": ["at", "by", "from", "to"], "properties": {
        "at": time(), "by": text(), "from": { "enum": statuses() }, "to": { "enum": statuses() }, "until": time(), "note": text() } } })
}

fn incident() -> Value {
    let event = json!({ "type": "object", "required": ["at", "severity", "kind", "text"], "properties": {
        "at": time(), "severity": severity(), "kind": text(), "text": text(), "alert": text() } });
    json!({ "type": "object", "required": ["id", "title", "severity", "status", "kinds", "first_seen", "last_seen", "count", "alerts", "timeline"],
        "properties": {
            "id": text(), "title": text(), "severity": severity(), "escalated": text(), "status": { "enum": statuses() }, "status_until": time(),
            "kinds": texts(), "callers": texts(), "more_callers": number(), "clients": texts(), "endpoints": texts(), "more_endpoints": number(),
            "hosts": texts(), "first_seen": time(), "last_seen": time(), "peak": { "type": "number" }, "occurrences": number(), "count": number(),
            "alerts": texts(), "loud": number(), "timeline": { "type": "array", "items": event }, "omitted": number(), "revision": number(),
            "changed_by": text(), "note": text(), "history": history_of_status() } })
}

fn silence() -> Value {
    json!({ "type": "object", "required": ["id", "at", "until", "by", "reason", "silenced"], "properties": {
        "id": text(), "principal": text(), "endpoint": text(), "kind": text(), "detector": text(), "host": text(), "days": texts(), "hours": text(),
        "timezone": text(), "at": time(), "until": time(), "by": text(), "reason": text(), "silenced": number(),
        "ended": { "type": "object", "properties": { "at": time(), "by": text() } } } })
}

fn known() -> Value {
    json!({ "type": "object", "required": ["who", "kinds", "hours", "reach", "days", "since", "last", "learnt_unreviewed"], "properties": {
        "who": { "type": "object", "properties": { "identity": text(), "client": text() } }, "endpoint": text(), "kinds": texts(),
        "hours": { "type": "array", "items": number() }, "reach": { "type": "number" }, "days": number(), "since": time(), "last": time(),
        "learnt_unreviewed": { "type": "boolean" } } })
}

fn severity() -> Value {
    json!({ "enum": ["info", "low", "medium", "high", "critical"] })
}

fn shape(path: &str) -> Value {
    match path {
        "/api/v1/alerts" => list_of(alert(), json!({ "total": number() })),
        "/api/v1/alerts/{id}" | "/api/v1/alerts/{id}/status" => alert(),
        "/api/v1/incidents" => list_of(incident(), json!({ "total": number() })),
        "/api/v1/incidents/{id}" | "/api/v1/incidents/{id}/status" => incident(),
        // Of the list; what a change answers is one of its items.
        "/api/v1/silences" => json!({ "oneOf": [list_of(silence(), json!({})), silence()] }),
        "/api/v1/silences/{id}/end" => silence(),
        "/api/v1/automation" => list_of(known(), json!({})),
        "/api/v1/endpoints/{key}/history" => history(),
        "/api/v1/endpoints/{key}/timeline" => timeline(),
        "/api/v1/endpoints/{key}/foresee/{action}" => foresight(),
        "/api/v1/endpoints" => list_of(endpoint(), json!({ "total": number() })),
        "/api/v1/endpoints/{key}" => endpoint(),
        "/api/v1/hosts" | "/api/v1/specs" => json!({
            "type": "object", "required": ["items", "next"],
            "properties": { "items": { "type": "array", "items": { "type": "object" } }, "next": { "type": ["string", "null"] } } }),
        "/api/v1/dark" => list_of(
            tls_host(),
            json!({ "total": number(), "coverage": coverage(), "summary": { "type": ["string", "null"] } }),
        ),
        "/api/v1/edges" => list_of(edge(), json!({ "total": number() })),
        "/api/v1/owasp" => list_of(category(), json!({})),
        "/api/v1/decisions" => list_of(decision(), json!({ "total": number() })),
        "/api/v1/endpoints/accept"
        | "/api/v1/endpoints/mark"
        | "/api/v1/endpoints/{key}/{action}"
        | "/api/v1/decisions/{id}/undo" => decision(),
        "/api/v1/findings" => list_of(finding(), json!({ "total": number() })),
        "/api/v1/deliveries" => list_of(
            dead_letter(),
            json!({ "sinks": { "type": "array", "items": sink() } }),
        ),
        "/api/v1/sensor" => sensor(),
        _ => json!({ "type": "object" }),
    }
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// A list in the house form, with what stands beside it.
fn list_of(item: Value, beside: Value) -> Value {
    let mut properties = json!({ "items": { "type": "array", "items": item }, "next": { "type": ["string", "null"] } });
    if let (Some(all), Value::Object(more)) = (properties.as_object_mut(), beside) {
        all.extend(more);
    }
    json!({ "type": "object", "required": ["items", "next"], "properties": properties })
}

/// Seconds of the epoch.
fn time() -> Value {
    json!({ "type": "number" })
}

fn texts() -> Value {
    json!({ "type": "array", "items": text() })
}

/// An alert; it has more members.
fn alert() -> Value {
    let point = json!({ "type": "object", "properties": { "at": time(), "expected": { "type": "number" }, "observed": { "type": "number" } } });
    let part = json!({ "type": "object", "properties": { "name": text(), "value": { "type": "number" } } });
    let route = json!({ "type": "object", "properties": { "client": text(), "server": text(), "port": number(), "vni": number() } });
    json!({ "type": "object", "required": ["id", "ts", "kind", "severity", "detector", "since", "until", "summary", "why", "status", "occurrences",
        "last_seen", "revision"], "properties": {
        "id": text(), "ts": time(), "kind": text(), "severity": severity(), "endpoint": text(), "host": text(),
        "score": { "type": "number" }, "detector": text(), "since": time(), "until": time(), "expected": { "type": "number" },
        "observed": { "type": "number" }, "log10_p": { "type": "number" }, "summary": text(), "why": texts(), "samples": texts(),
        "status": { "enum": statuses() }, "status_until": time(), "incident": text(), "silenced": text(), "occurrences": number(),
        "last_seen": time(), "revision": number(), "changed_by": text(), "note": text(), "history": history_of_status(), "series": { "type": "array", "items": point },
        "parts": { "type": "array", "items": part },
        "evidence": { "type": "object", "required": ["routes", "more", "bpf", "tshark"], "properties": {
            "routes": { "type": "array", "items": route }, "more": { "type": "boolean" }, "bpf": text(), "tshark": text(), "requests": text() } } } })
}

/// What it is, and what is said of its security; it has more members.
fn endpoint() -> Value {
    let verdicts = crate::catalog::AuthVerdict::ALL.map(crate::catalog::AuthVerdict::name);
    let list = |item: Value| json!({ "type": "array", "items": item });
    let by_name = |item: Value| json!({ "type": "object", "additionalProperties": item });
    let seen = || json!({ "type": "object", "properties": { "count": number(), "first_seen": time(), "last_seen": time() } });
    json!({ "type": "object", "required": ["key", "method", "host", "template"], "properties": {
        "key": text(), "method": text(), "host": text(), "template": text(),
        "drift": list(drift()),
        "auth": list(json!({ "type": "object", "properties": { "scheme": text(), "requests": number() } })),
        "auth_verdict": { "enum": verdicts },
        "auth_schemes": list(json!({ "type": "object", "properties": { "scheme": text(), "place": text(), "requests": number(),
            "by_class": { "type": "array", "items": number(), "minItems": 6, "maxItems": 6 }, "first_seen": time(), "last_seen": time() } })),
        "jwt": { "type": "object", "properties": {
            "algorithms": by_name(seen()), "flags": by_name(seen()), "classes": by_name(seen()), "longest_life_s": number() } },
        "leaks": list(json!({ "type": "object", "properties": {
            "kind": text(), "count": number(), "first_seen": time(), "last_seen": time(), "statuses": by_name(number()) } })),
        "findings": list(finding()) } })
}

fn tls_host() -> Value {
    json!({ "type": "object", "properties": {
        "key": text(), "host": text(), "port": number(), "inspection": { "enum": ["dark", "partly", "opened"] }, "addresses": texts(),
        "flows": number(), "opened": number(), "quic": number(), "bytes": { "type": "array", "items": number(), "minItems": 2, "maxItems": 2 },
        "dark_bytes": number(), "share": { "type": "number", "minimum": 0, "maximum": 1 }, "versions": texts(),
        "ciphers": { "type": "array", "items": { "type": "object", "properties": { "id": number(), "name": text(), "flows": number() } } },
        "alpn": texts(), "ja4": texts(), "ech": { "type": "boolean" },
        "certificate": { "type": "object", "properties": { "not_after": time(), "self_signed": { "type": "boolean" } } },
        "first_seen": time(), "last_seen": time(), "findings": { "type": "array", "items": finding() } } })
}

fn dead_letter() -> Value {
    json!({ "type": "object", "required": ["sink", "message", "alert", "why", "at"], "properties": {
        "sink": text(), "message": text(), "alert": { "type": "object" }, "why": text(), "at": time() } })
}

fn sink() -> Value {
    json!({ "type": "object", "properties": {
        "name": text(), "kind": text(), "delivered": number(), "failed": number(), "pending": number(), "dead": number(),
        "open": { "type": "boolean" }, "last_error": { "type": ["string", "null"] }, "last_delivered": { "type": ["number", "null"] } } })
}

fn coverage() -> Value {
    let names = [
        "clear_bytes",
        "opened_flows",
        "opened_bytes",
        "dark_flows",
        "dark_bytes",
        "quic_flows",
        "quic_bytes",
        "hosts",
        "dark_hosts",
        "evicted",
    ];
    let mut properties: Map<String, Value> =
        names.iter().map(|n| ((*n).to_owned(), number())).collect();
    properties.insert("since".into(), json!({ "type": ["number", "null"] }));
    properties.insert(
        "others".into(),
        json!({ "type": "array", "items": number() }),
    );
    json!({ "type": "object", "properties": properties })
}

fn real() -> Value {
    json!({ "type": "number" })
}

fn timeline() -> Value {
    let kinds = [
        "seen", "status", "template", "drift", "finding", "caller", "decision", "alert",
    ];
    let entry = json!({ "type": "object", "required": ["at", "kind", "text"], "properties": {
        "at": time(), "kind": { "enum": kinds }, "text": text(), "by": text(), "href": text() } });
    list_of(entry, json!({ "total": number() }))
}

fn foresight() -> Value {
    let one = json!({ "type": "object", "required": ["from", "into", "joins", "calls"], "properties": {
        "from": text(), "into": text(), "joins": { "type": "boolean" }, "calls": number() } });
    json!({ "type": "object", "required": ["action", "path", "moves", "total", "calls", "routes"], "properties": {
        "action": { "enum": actions() }, "path": text(), "moves": { "type": "array", "items": one }, "total": number(), "calls": number(), "routes": texts() } })
}

fn history() -> Value {
    let slot = json!({ "type": "object", "properties": {
        "ts": time(), "requests": number(), "client_errors": number(), "server_errors": number(),
        "request_bytes": number(), "response_bytes": number(),
        "latency_ms": { "type": ["object", "null"], "properties": { "mean": real(), "max": real(), "p50": real(), "p90": real(), "p99": real() } },
        "expected": { "type": ["object", "null"], "required": ["mean", "low", "high"], "properties": { "mean": real(), "low": real(), "high": real() } } } });
    list_of(
        slot,
        json!({ "key": text(), "step": text(), "seconds": number(), "from": time(), "to": time(), "complete": { "type": "boolean" } }),
    )
}

fn edge() -> Value {
    let zones = crate::catalog::Zone::ALL.map(crate::catalog::Zone::name);
    let credentials = crate::catalog::Credential::ALL.map(crate::catalog::Credential::name);
    json!({ "type": "object", "required": ["id", "endpoint", "key", "host", "class", "credential", "program", "requests", "first_seen", "last_seen", "new"],
        "properties": {
            "id": text(), "endpoint": text(), "key": text(), "host": text(), "class": text(), "zone": { "enum": zones },
            "credential": { "enum": credentials }, "program": text(), "requests": number(), "first_seen": time(), "last_seen": time(),
            "new": { "type": "boolean" } } })
}

fn category() -> Value {
    json!({ "type": "object", "required": ["id", "title", "coverage", "why", "looks_at", "findings", "open_alerts"], "properties": {
        "id": text(), "title": text(), "coverage": { "enum": ["covered", "partly", "hidden"] }, "why": text(), "looks_at": texts(),
        "findings": { "type": "object", "additionalProperties": number() }, "open_alerts": number() } })
}

fn drift() -> Value {
    let kinds = crate::catalog::DriftKind::ALL.map(crate::catalog::DriftKind::name);
    json!({ "type": "object", "required": ["kind", "direction", "name", "owasp", "count", "first_seen", "last_seen"], "properties": {
        "kind": { "enum": kinds }, "direction": { "enum": ["request", "response"] }, "status": number(), "name": text(), "detail": text(),
        "owasp": text(), "count": number(), "first_seen": time(), "last_seen": time() } })
}

fn finding() -> Value {
    let kinds = crate::catalog::ExposureKind::ALL.map(crate::catalog::ExposureKind::name);
    json!({ "type": "object", "required": ["id", "kind", "severity", "owasp", "subject", "host", "what", "why", "first_seen", "last_seen", "count"],
        "properties": {
            "id": text(), "kind": { "enum": kinds }, "severity": { "enum": ["info", "low", "medium", "high", "critical"] }, "owasp": text(),
            "subject": text(), "host": text(), "port": number(), "endpoint": text(), "what": text(), "why": text(), "first_seen": time(),
            "last_seen": time(), "count": number(), "clients": number(), "version": text(), "cipher": text(), "not_after": time(), "scheme": text() } })
}

fn sensor() -> Value {
    let volumes = || {
        json!({ "type": "object", "additionalProperties": {
        "type": "object", "properties": { "frames": number(), "bytes": number() } } })
    };
    let list = |item: Value| json!({ "type": "array", "items": item });
    let mut tap = json!({ "tap": text(), "live": { "type": "boolean" }, "checksums": { "type": "object", "properties": {
        "mode": { "enum": ["deciding", "enforced", "off"] }, "right": number(), "wrong": number() } }, "ignored": volumes(), "malformed": volumes(),
        "tls_handshakes": { "type": "object", "additionalProperties": number() } });
    let mut network = json!({ "vni": { "type": ["integer", "null"] } });
    let of_flows = [
        "segments",
        "data",
        "bytes",
        "cut",
        "cut_bytes",
        "large",
        "merged",
        "both",
        "one_way",
        "blind",
        "lost_bytes",
        "copies",
        "copies_across",
    ];
    let of_frames = [
        "frames",
        "wire_bytes",
        "cut_frames",
        "cut_frame_bytes",
        "clock_backward",
        "clock_farthest_ns",
    ];
    for name in of_flows {
        network[name] = number();
    }
    for name in of_frames.into_iter().chain(of_flows) {
        tap[name] = number();
    }
    json!({ "type": "object", "required": ["ledger", "sources", "doctor", "taps", "networks"], "properties": {
        "ledger": { "type": "object" },
        "sources": list(json!({ "type": "object" })),
        "doctor": list(json!({ "type": "object", "required": ["tap", "code", "severity", "text", "mend"], "properties": {
            "tap": text(), "code": { "enum": crate::sensor::doctor::CODES }, "severity": { "enum": ["note", "warning", "severe"] },
            "share": { "type": ["number", "null"] }, "text": text(), "mend": text() } })),
        "taps": list(json!({ "type": "object", "properties": tap })),
        "networks": list(json!({ "type": "object", "properties": network })) } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_with_its_parameters() {
        let document = build();
        for (path, method, _) in api_routes() {
            let operation = &document["paths"][path][method];
            assert!(operation["responses"]["200"].is_object(), "{method} {path}");
            let declared = operation["parameters"]
                .as_array()
                .map_or(0, |p| p.iter().filter(|p| p["in"] == "path").count());
            assert_eq!(declared, path.matches('{').count());
        }
    }
}
