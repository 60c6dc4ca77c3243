//! Webhooks, signed as Standard Webhooks 1.0.0: the receiver can tell that a message is ours, whole,
//! and fresh.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::http::{Format, Request};
use crate::alert::{Alert, Status};

/// A signing key that never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Zeroizing<Vec<u8>>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    /// `whsec_` and base64. The error says what is expected, never what was there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = "a signing secret is `whsec_` and the base64 of 24 to 64 random bytes";
        let encoded = text.trim().strip_prefix("whsec_").ok_or(expected)?;
        let key = STANDARD.decode(encoded).map_err(|_| expected)?;
        if (24..=64).contains(&key.len()) {
            Ok(Self(key.into()))
        } else {
            Err(expected.into())
        }
    }

    /// One a line: while a secret is changed, messages are signed with the new one and the old one.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        let keys: Vec<Self> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(Self::parse)
            .collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Self::parse("").map(|key| vec![key]);
        }
        Ok(keys)
    }

    /// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)
            .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[derive(Clone, Debug)]
pub struct Webhook {
    pub url: String,
    pub keys: Vec<SigningKey>,
}

impl Format for Webhook {
    /// The id is the same for every attempt: a receiver drops what it has seen.
    fn request(&self, alert: &Alert, now: i64) -> Request {
        let kind = match (alert.changed_by.is_some(), alert.status, alert.revision) {
            (true, ..)
            | (
                _,
                Status::Acknowledged | Status::Resolved | Status::FalseAlarm | Status::Muted,
                _,
            ) => "alert.status",
            (_, _, 1) => "alert.raised",
            _ => "alert.revised",
        };
        let event =
            json!({ "type": kind, "timestamp": alert.last_seen.to_string(), "data": alert });
        let request = Request::post(&self.url, &event);
        let id = alert.message_id();
        let signatures: Vec<String> = self
            .keys
            .iter()
            .map(|key| key.sign(&id, now, &request.body))
            .collect();
        request
            .with("webhook-id", id)
            .with("webhook-timestamp", now.to_string())
            .with("webhook-signature", signatures.join(" "))
    }

    fn secrets(&self) -> Vec<&str> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sink::tests::alert;

    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn signs_as_the_standard_says() {
        // The example of the Standard Webhooks specification.
        let key = SigningKey::parse(KEY).unwrap();
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#);
        assert_eq!(
            key.sign(id, 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn headers_and_payload_of_the_standard() {
        let keys = SigningKey::parse_all(&format!("{KEY}\nwhsec_{}\n", "A".repeat(32))).unwrap();
        let hook = Webhook {
            url: "https://soc.example/hook".into(),
            keys,
        };
        let request = hook.request(&alert(), 7);
        let header = |name| &request.headers.iter().find(|(n, _)| *n == name).unwrap().1;
        // A full stop in the id would let two messages have one signature.
        assert!(!header("webhook-id").contains('.'));
        assert_eq!(header("webhook-timestamp"), "7");
        let signatures: Vec<&str> = header("webhook-signature").split(' ').collect();
        assert!(signatures.len() == 2 && signatures.iter().all(|s| s.starts_with("v1,")));
        let event: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(event["type"], "alert.raised");
        assert_eq!(event["timestamp"], "2025-10-09T08:53:20Z");
        assert_eq!(event["data"]["id"], alert().id);
    }

    #[test]
    fn a_secret_never_prints() {
        let key = SigningKey::parse(KEY).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
        for wrong in ["hunter2", "", "\n"] {
            let error = SigningKey::parse_all(wrong).unwrap_err();
            assert!(error.contains("whsec_") && !error.contains("hunter2"));
        }
    }
}
