//! An alert as the detectors raise it, and one whose every captured text is an attack on somebody
//! who will read it.

mod payloads;

use serde_json::Value;

use crate::alert::{Alert, Status, VERSION};
use crate::detect::{Principal, Severity};
use crate::time::Timestamp;

pub(in crate::alert) fn alert() -> Alert {
    let at = Timestamp::from_secs(1_760_000_000);
    Alert {
        v: VERSION,
        id: "0123456789abcdef0123".into(),
        ts: at,
        kind: "enumeration".into(),
        severity: Severity::High,
        score: 9.5,
        detector: "walk".into(),
        principal: Some(Principal {
            identity: Some("bearer:5f0c".into()),
            client: Some("10.0.0.5".into()),
        }),
        endpoint: Some("GET api.example.com /v1/orders/{order_id}".into()),
        host: Some("api.example.com".into()),
        since: Timestamp::from_secs(1_759_999_400),
        until: at,
        expected: 3.0,
        observed: 412.0,
        p_value: 1e-9,
        log10_p: -9.0,
        summary: "one token walks order ids".into(),
        why: vec!["412 ids in ten minutes".into(), "step 1".into()],
        samples: Vec::new(),
        series: Vec::new(),
        parts: Vec::new(),
        evidence: None,
        owasp: "API1:2023".into(),
        status: Status::Open,
        fingerprint: "fedcba98765432100123".into(),
        occurrences: 1,
        last_seen: at,
        revision: 1,
        changed_by: None,
        note: None,
        incident: None,
        status_until: None,
        silenced: None,
        history: Vec::new(),
    }
}

pub(in crate::alert) fn hostile() -> Alert {
    let evil = "<!channel> <https://evil.example|log in> [x](https://evil.example) {{DATE(1)}} & \"]] \\\" \\ \
                |10|src=6.6.6.6 act=allowed msg=\\=\r\nBcc: all@example.com\r\n\r\n.\r\n\u{1b}[2J\u{202e}\u{0}\u{85}\u{2028}{\"a\":1} ${jndi:x} ";
    let evil = evil.repeat(20);
    Alert {
        summary: evil.clone(),
        endpoint: Some(format!("GET {} /{evil}", "api.example.com")),
        host: Some(evil.clone()),
        principal: Some(Principal {
            identity: Some(evil.clone()),
            client: Some("10.0.0.5".into()),
        }),
        why: vec![evil.clone(); 30],
        samples: vec![evil.clone(); 30],
        note: Some(evil),
        ..alert()
    }
}

/// All strings of a JSON text.
pub(super) fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(all) => all.iter().flat_map(strings).collect(),
        Value::Object(all) => all.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}
