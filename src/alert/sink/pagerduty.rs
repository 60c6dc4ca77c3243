//! PagerDuty, Events API v2. The alert's id is the `dedup_key`, its life the event's action: an
//! incident is triggered, acknowledged and resolved as the alert is.

use serde_json::{Value, json};

use super::http::{AGENT, Format, Request};
use super::{Secret, text};
use crate::alert::{Alert, Status};
use crate::detect::Severity;

/// Characters that a summary may have.
const SUMMARY: usize = 1_024;

#[derive(Clone, Debug)]
pub struct PagerDuty {
    /// `https://events.pagerduty.com/v2/enqueue`, or the one of another service region.
    pub url: String,
    /// The integration key.
    pub routing_key: Secret,
}

impl Format for PagerDuty {
    fn request(&self, alert: &Alert, _: i64) -> Request {
        let mut event = event(alert);
        event["routing_key"] = self.routing_key.expose().into();
        Request::post(&self.url, &event)
    }

    fn keeps_alerts_open(&self) -> bool {
        true
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.routing_key.expose()]
    }
}

fn event(alert: &Alert) -> Value {
    let action = match alert.status {
        Status::Open => "trigger",
        Status::Acknowledged | Status::Muted => "acknowledge",
        Status::Resolved | Status::FalseAlarm => "resolve",
    };
    let severity = match alert.severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "info",
    };
    let mut details: Value = text::facts(alert)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect();
    details["Evidence"] = text::evidence(alert, 500).into();
    details["OWASP"] = alert.owasp.clone().into();
    json!({
        "event_action": action,
        "dedup_key": alert.id,
        "client": AGENT,
        "payload": {
            "summary": text::clean(&alert.summary, SUMMARY),
            "source": text::clean(alert.host.as_deref().unwrap_or("apitap"), 255),
            "severity": severity,
            "timestamp": alert.ts.to_string(),
            "component": text::clean(alert.endpoint.as_deref().unwrap_or_default(), 255),
            "group": alert.kind,
            "class": alert.detector,
            "custom_details": details,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sink::tests::{alert, hostile, strings};

    #[test]
    fn an_incident_lives_as_its_alert_does() {
        let pager = PagerDuty {
            url: "https://events.pagerduty.com/v2/enqueue".into(),
            routing_key: Secret::new("R0123\n"),
        };
        let mut a = alert();
        let mut keys = Vec::new();
        for (status, action) in [
            (Status::Open, "trigger"),
            (Status::Acknowledged, "acknowledge"),
            (Status::Resolved, "resolve"),
            (Status::Muted, "acknowledge"),
            (Status::FalseAlarm, "resolve"),
        ] {
            a.status = status;
            let event: Value = serde_json::from_str(&pager.request(&a, 0).body).unwrap();
            assert_eq!(event["event_action"], action);
            assert_eq!(event["routing_key"], "R0123");
            for required in ["summary", "source", "severity"] {
                assert!(!event["payload"][required].as_str().unwrap().is_empty());
            }
            assert_eq!(event["payload"]["severity"], "error");
            keys.push(event["dedup_key"].clone());
        }
        assert!(keys.iter().all(|k| *k == a.id));
        assert!(!format!("{pager:?}").contains("R0123"));
    }

    #[test]
    fn limits_hold_for_hostile_text() {
        let event = event(&hostile());
        assert!(
            event["payload"]["summary"]
                .as_str()
                .unwrap()
                .chars()
                .count()
                <= SUMMARY
        );
        assert!(event["dedup_key"].as_str().unwrap().len() <= 255);
        assert!(event.to_string().len() < 512 << 10);
        assert!(
            strings(&event)
                .iter()
                .all(|s| !s.contains(char::is_control))
        );
    }
}
