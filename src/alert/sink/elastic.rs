//! Elasticsearch (and OpenSearch): a document in the Elastic Common Schema, created under the
//! message's id. A second attempt finds it there (409), so that nothing stands twice, in a data
//! stream too.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::http::{Format, Request};
use super::{Secret, text};
use crate::alert::Alert;
use crate::detect::Severity;

/// The version that the document keeps to.
const ECS: &str = "9.3.0";

#[derive(Clone, Debug)]
pub struct Elastic {
    /// `https://elastic.example:9200`.
    pub url: String,
    /// An index or a data stream.
    pub index: String,
    /// An API key, as it is encoded for the header.
    pub api_key: Secret,
}

impl Format for Elastic {
    fn request(&self, alert: &Alert, _: i64) -> Request {
        let part = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let base = self.url.trim_end_matches('/');
        let url = format!(
            "{base}/{}/_create/{}",
            part(&self.index),
            part(&alert.message_id())
        );
        let mut request = Request::post(&url, &document(alert));
        request.method = Method::PUT;
        request.with("authorization", format!("ApiKey {}", self.api_key.expose()))
    }

    fn is_taken(&self, status: StatusCode) -> bool {
        status.is_success() || status == StatusCode::CONFLICT
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.api_key.expose()]
    }
}

fn document(alert: &Alert) -> Value {
    // As Kibana's own rules count.
    let severity = match alert.severity {
        Severity::Info => 1,
        Severity::Low => 21,
        Severity::Medium => 47,
        Severity::High => 73,
        Severity::Critical => 99,
    };
    let categories = match alert.kind.as_str() {
        "sensor" => ["host"].as_slice(),
        "shadow" | "deprecated" | "drift" | "exposure" => &["vulnerability", "api"],
        _ => &["intrusion_detection", "api"],
    };
    let mut doc = json!({
        "@timestamp": alert.last_seen.to_string(),
        "ecs": { "version": ECS },
        "message": alert.summary,
        "event": {
            "kind": "alert", "category": categories, "type": ["info"], "module": "apitap", "dataset": "apitap.alert",
            "provider": alert.detector, "action": alert.kind, "id": alert.id, "sequence": alert.revision,
            "severity": severity, "created": alert.ts.to_string(), "start": alert.since.to_string(),
            "end": alert.until.to_string(), "reason": alert.why.join("; "),
        },
        "rule": { "name": alert.detector, "category": alert.kind, "ruleset": "apitap" },
        "observer": { "type": "ids", "vendor": "apitap", "product": "apitap", "version": env!("CARGO_PKG_VERSION") },
        "tags": [alert.owasp, if alert.status.is_settled() { "resolved" } else { "open" }],
        "apitap": { "alert": alert },
    });
    let mut related = json!({});
    if let Some(client) = alert.principal.as_ref().and_then(|p| p.client.as_deref()) {
        doc["source"] = json!({ "address": client });
    }
    if let Some(ip) = text::client_ip(alert) {
        doc["source"]["ip"] = ip.to_string().into();
        related["ip"] = json!([ip]);
    }
    if let Some(identity) = text::identity(alert) {
        doc["user"] = json!({ "id": identity });
        related["user"] = json!([identity]);
    }
    if let Some(host) = &alert.host {
        doc["url"] = json!({ "domain": host });
        related["hosts"] = json!([host]);
    }
    if let Some((method, path)) = text::operation(alert) {
        doc["url"]["path"] = path.into();
        doc["http"] = json!({ "request": { "method": method } });
    }
    doc["related"] = related;
    doc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sink::tests::{alert, hostile};

    #[test]
    fn a_document_is_created_once() {
        let elastic = Elastic {
            url: "https://elastic.example:9200/".into(),
            index: "logs-apitap.alert-default".into(),
            api_key: Secret::new("a2V5"),
        };
        let request = elastic.request(&alert(), 0);
        assert_eq!(request.method, Method::PUT);
        let id = format!("{}%2D1", alert().id);
        assert_eq!(
            request.url,
            format!("https://elastic.example:9200/logs%2Dapitap%2Ealert%2Ddefault/_create/{id}")
        );
        assert!(
            request
                .headers
                .contains(&("authorization", "ApiKey a2V5".into()))
        );
        assert!(elastic.is_taken(StatusCode::CONFLICT) && !elastic.is_taken(StatusCode::NOT_FOUND));
    }

    #[test]
    fn the_common_schemas_core_is_there() {
        let doc = document(&alert());
        assert_eq!(doc["@timestamp"], "2025-10-09T08:53:20Z");
        assert_eq!(doc["ecs"]["version"], ECS);
        assert_eq!(doc["event"]["kind"], "alert");
        assert_eq!(
            doc["event"]["category"],
            json!(["intrusion_detection", "api"])
        );
        assert_eq!(
            doc["source"],
            json!({ "address": "10.0.0.5", "ip": "10.0.0.5" })
        );
        assert_eq!(
            doc["url"],
            json!({ "domain": "api.example.com", "path": "/v1/orders/{order_id}" })
        );
        assert_eq!(doc["http"]["request"]["method"], "GET");
    }

    #[test]
    fn a_network_is_no_address_and_hostile_text_is_json() {
        let mut a = hostile();
        a.principal.as_mut().unwrap().client = Some("2001:db8::/64".into());
        let doc = document(&a);
        assert_eq!(doc["source"], json!({ "address": "2001:db8::/64" }));
        assert!(!doc.to_string().contains(['\n', '\r', '\u{1b}']));
    }
}
