//! Splunk's HTTP event collector: the alert as the event, packet time as its time.

use serde_json::{Value, json};

use super::Secret;
use super::http::{Format, Request};
use crate::alert::Alert;

#[derive(Clone, Debug)]
pub struct Splunk {
    /// With the path: `https://splunk.example:8088/services/collector/event`.
    pub url: String,
    pub token: Secret,
    /// The token's own where it is not named.
    pub index: Option<String>,
}

impl Format for Splunk {
    fn request(&self, alert: &Alert, _: i64) -> Request {
        Request::post(&self.url, &self.event(alert))
            .with("authorization", format!("Splunk {}", self.token.expose()))
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.token.expose()]
    }
}

impl Splunk {
    fn event(&self, alert: &Alert) -> Value {
        let mut event = json!({
            "time": alert.last_seen,
            "source": "apitap",
            "sourcetype": "apitap:alert",
            "event": alert,
        });
        if let Some(host) = &alert.host {
            event["host"] = host.as_str().into();
        }
        if let Some(index) = &self.index {
            event["index"] = index.as_str().into();
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sink::tests::{alert, hostile};

    #[test]
    fn the_alert_is_the_event() {
        let splunk = Splunk {
            url: "https://splunk.example:8088/services/collector/event".into(),
            token: Secret::new("t0ken"),
            index: Some("sec".into()),
        };
        let request = splunk.request(&alert(), 0);
        assert!(
            request
                .headers
                .contains(&("authorization", "Splunk t0ken".into()))
        );
        let event: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(event["time"], 1_760_000_000.0);
        assert_eq!(event["index"], "sec");
        assert_eq!(event["host"], "api.example.com");
        assert_eq!(event["event"]["severity"], "high");
        // JSON's own encoder carries anything, and one event stays one line.
        let hostile = splunk.request(&hostile(), 0).body;
        assert!(!hostile.contains(['\n', '\r', '\u{1b}']));
        assert!(serde_json::from_str::<Value>(&hostile).is_ok());
    }
}
