//! Webhooks, signed as Standard Webhooks: the receiver can tell that a message is ours, whole, and
//! fresh.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Alert, Status};

/// A signing key that never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// `whsec_` and base64. The error says what is expected, never what was there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = "a signing secret is `whsec_` and the base64 of 24 to 64 random bytes";
        let encoded = text.trim().strip_prefix("whsec_").ok_or(expected)?;
        let key = STANDARD.decode(encoded).map_err(|_| expected)?;
        if (24..=64).contains(&key.len()) {
            Ok(Self(key))
        } else {
            Err(expected.into())
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    pub name: String,
    pub url: String,
    pub secret: Secret,
}

/// A message ready to be sent, any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The same for every attempt: a receiver drops what it has seen.
    pub(super) id: String,
    pub(super) body: String,
}

impl Message {
    pub(super) fn of(alert: &Alert) -> Self {
        let kind = match (alert.changed_by.is_some(), alert.status, alert.revision) {
            (true, ..) | (_, Status::Acknowledged | Status::Resolved, _) => "alert.status",
            (_, _, 1) => "alert.raised",
            _ => "alert.revised",
        };
        let body = serde_json::json!({ "type": kind, "timestamp": alert.last_seen.to_string(), "data": alert });
        Self {
            id: format!("{}-{}", alert.id, alert.revision),
            body: body.to_string(),
        }
    }

    /// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
    pub(super) fn signature(&self, secret: &Secret, timestamp: i64) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0)
            .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
        mac.update(format!("{}.{timestamp}.{}", self.id, self.body).as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_the_standard_says() {
        // The example of the Standard Webhooks specification.
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let message = Message {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(),
            body: r#"{"test": 2432232314}"#.into(),
        };
        assert_eq!(
            message.signature(&secret, 1_614_265_330),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        let error = Secret::parse("hunter2").unwrap_err();
        assert!(!error.contains("hunter2"));
    }
}
