//! OCSF 1.9.0: a Detection Finding (class 2004), or the call itself as an API Activity (6003), which
//! an alert can only be told as where it has an endpoint; the others are findings there, too.

use serde_json::{Value, json};

use super::http::{Format, Request};
use super::{Secret, text};
use crate::alert::{Alert, Status};

const VERSION: &str = "1.9.0";

/// What an alert is told as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    #[default]
    DetectionFinding,
    ApiActivity,
}

#[derive(Clone, Debug)]
pub struct Ocsf {
    pub url: String,
    /// A bearer token, where the receiver wants one.
    pub token: Option<Secret>,
    pub class: Class,
}

impl Format for Ocsf {
    fn request(&self, alert: &Alert, _: i64) -> Request {
        let event = match (self.class, text::operation(alert)) {
            (Class::ApiActivity, Some((method, _))) => activity(alert, method),
            _ => finding(alert),
        };
        let request = Request::post(&self.url, &event);
        match &self.token {
            Some(token) => request.with("authorization", format!("Bearer {}", token.expose())),
            None => request,
        }
    }

    fn secrets(&self) -> Vec<&str> {
        self.token.iter().map(Secret::expose).collect()
    }
}

/// What both classes have.
fn base(alert: &Alert, class: u32, activity: u32) -> Value {
    json!({
        "category_uid": class / 1_000,
        "class_uid": class,
        "activity_id": activity,
        "type_uid": class * 100 + activity,
        "severity_id": alert.severity as u32 + 1,
        "time": millis(alert.ts),
        "start_time": millis(alert.since),
        "end_time": millis(alert.until),
        "count": alert.occurrences,
        "message": alert.summary,
        "metadata": {
            "version": VERSION, "uid": alert.message_id(), "event_code": alert.kind, "modified_time": millis(alert.last_seen),
            "product": { "name": "apitap", "vendor_name": "apitap", "version": env!("CARGO_PKG_VERSION") },
        },
        "unmapped": {
            "score": alert.score, "log10_p": alert.log10_p, "expected": alert.expected, "observed": alert.observed,
            "why": alert.why, "samples": alert.samples, "owasp": alert.owasp, "fingerprint": alert.fingerprint,
        },
    })
}

fn finding(alert: &Alert) -> Value {
    let activity = match (alert.status, alert.revision) {
        (status, _) if status.is_settled() => 3,
        (_, 1) => 1,
        _ => 2,
    };
    let mut event = base(alert, 2_004, activity);
    event["is_alert"] = (!alert.status.is_settled()).into();
    event["status_id"] = match alert.status {
        Status::Open => 1,
        Status::Acknowledged => 2,
        // Suppressed.
        Status::Muted => 3,
        Status::Resolved | Status::FalseAlarm => 4,
    }
    .into();
    event["finding_info"] = json!({
        "uid": alert.id, "title": alert.summary, "desc": alert.why.join("; "), "types": [alert.kind],
        // Statistical.
        "analytic": { "name": alert.detector, "uid": alert.detector, "type_id": 3 },
        "created_time": millis(alert.ts), "modified_time": millis(alert.last_seen),
        "first_seen_time": millis(alert.since), "last_seen_time": millis(alert.last_seen),
    });
    if let Some(note) = &alert.note {
        event["comment"] = note.as_str().into();
    }
    if let Some(endpoint) = alert.endpoint.as_deref().or(alert.host.as_deref()) {
        event["resources"] = json!([{ "name": endpoint, "type": "API" }]);
    }
    let mut evidence = json!({});
    if let Some((method, path)) = text::operation(alert) {
        evidence["api"] = api(alert, method, path);
    }
    if alert.principal.is_some() {
        evidence["actor"] = actor(alert);
        evidence["src_endpoint"] = source(alert);
    }
    if evidence.as_object().is_some_and(|e| !e.is_empty()) {
        event["evidences"] = json!([evidence]);
    }
    event
}

fn activity(alert: &Alert, method: &str) -> Value {
    let activity = match method {
        "POST" => 1,
        "GET" | "HEAD" => 2,
        "PUT" | "PATCH" => 3,
        "DELETE" => 4,
        _ => 99,
    };
    let mut event = base(alert, 6_003, activity);
    event["activity_name"] = method.into();
    if let Some((method, path)) = text::operation(alert) {
        event["api"] = api(alert, method, path);
        event["http_request"] =
            json!({ "http_method": method, "url": { "hostname": alert.host, "path": path } });
    }
    event["actor"] = actor(alert);
    event["src_endpoint"] = source(alert);
    event["dst_endpoint"] = json!({ "hostname": alert.host });
    event
}

fn api(alert: &Alert, method: &str, path: &str) -> Value {
    json!({ "operation": format!("{method} {path}"), "service": { "name": alert.host } })
}

/// One of its names must be there: who is not known is called so.
fn actor(alert: &Alert) -> Value {
    match text::identity(alert) {
        Some(identity) => json!({ "user": { "uid": identity } }),
        None => json!({ "user": { "name": "unknown" } }),
    }
}

fn source(alert: &Alert) -> Value {
    match (
        text::client_ip(alert),
        alert.principal.as_ref().and_then(|p| p.client.as_deref()),
    ) {
        (Some(ip), _) => json!({ "ip": ip }),
        (None, Some(client)) => json!({ "name": client }),
        (None, None) => json!({ "name": "unknown" }),
    }
}

fn millis(at: crate::time::Timestamp) -> i64 {
    at.nanos().div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sink::tests::{alert, hostile};

    fn has(event: &Value, required: &[&str]) {
        for pointer in required {
            let found = event.pointer(pointer);
            assert!(found.is_some_and(|v| !v.is_null()), "{pointer} in {event}");
        }
    }

    /// Required by 1.9.0 in every class: base_event.json, metadata.json, product.json.
    const BASE: [&str; 10] = [
        "/activity_id",
        "/category_uid",
        "/class_uid",
        "/severity_id",
        "/time",
        "/type_uid",
        "/metadata/version",
        "/metadata/product/name",
        "/metadata/product/vendor_name",
        "/message",
    ];

    #[test]
    fn a_finding_has_what_its_class_requires() {
        let mut a = alert();
        for (status, revision, activity, status_id) in [
            (Status::Open, 1, 1, 1),
            (Status::Open, 2, 2, 1),
            (Status::Acknowledged, 3, 2, 2),
            (Status::Resolved, 4, 3, 4),
            (Status::FalseAlarm, 5, 3, 4),
            (Status::Muted, 6, 2, 3),
        ] {
            (a.status, a.revision) = (status, revision);
            let event = finding(&a);
            has(&event, &BASE);
            has(
                &event,
                &[
                    "/finding_info/uid",
                    "/finding_info/analytic/type_id",
                    "/evidences/0/api/operation",
                ],
            );
            assert_eq!(event["class_uid"], 2_004);
            assert_eq!(event["type_uid"], 200_400 + activity);
            assert_eq!(event["status_id"], status_id);
        }
        assert_eq!(finding(&a)["severity_id"], 4);
        assert_eq!(finding(&a)["time"], 1_760_000_000_000_i64);
    }

    #[test]
    fn an_activity_has_what_its_class_requires() {
        let ocsf = Ocsf {
            url: "https://lake.example/".into(),
            token: Some(Secret::new("t")),
            class: Class::ApiActivity,
        };
        let event = |a: &Alert| serde_json::from_str::<Value>(&ocsf.request(a, 0).body).unwrap();
        let mut a = alert();
        let found = event(&a);
        has(&found, &BASE);
        has(
            &found,
            &["/actor/user/uid", "/api/operation", "/src_endpoint/ip"],
        );
        assert_eq!(
            (&found["class_uid"], &found["activity_id"]),
            (&6_003.into(), &2.into())
        );
        assert_eq!(found["category_uid"], 6);
        a.principal = None;
        has(&event(&a), &["/actor/user/name", "/src_endpoint/name"]);
        // What is no call is a finding.
        a.endpoint = None;
        let host = event(&a);
        assert_eq!(host["class_uid"], 2_004);
        assert!(
            host.get("evidences").is_none(),
            "an empty one is not allowed"
        );
    }

    #[test]
    fn hostile_text_stays_in_its_strings() {
        let text = finding(&hostile()).to_string();
        assert!(!text.contains(['\n', '\r', '\u{1b}']));
    }
}
