//! The way of every HTTP sink: one request an alert, no redirect, no proxy, no address that the
//! egress lists refuse.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode};

use super::{ATTEMPT, Failure, text};
use crate::alert::Alert;
use crate::alert::egress::{CONNECT, Egress, Resolver};

/// How deliveries name themselves, so that apitap knows its own where it watches them go by.
pub const AGENT: &str = concat!("apitap/", env!("CARGO_PKG_VERSION"));

/// The longest that a receiver may make us wait.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Of what a receiver says to its refusal, this much is told.
const SAID: usize = 512;

/// What is to be sent.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn post(url: &str, body: &serde_json::Value) -> Self {
        Self {
            method: Method::POST,
            url: url.to_owned(),
            headers: vec![("content-type", "application/json".into())],
            // Texts and numbers, which serde_json writes always.
            body: text::json(body).unwrap_or_default(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// What one kind of receiver wants to read.
pub(super) trait Format: Send + Sync + std::fmt::Debug {
    /// `now`: seconds of the epoch.
    fn request(&self, alert: &Alert, now: i64) -> Request;

    /// Whether the answer means that the receiver has the alert.
    fn is_taken(&self, status: StatusCode) -> bool {
        status.is_success()
    }

    /// Whether the receiver keeps an alert open until it is told its end.
    fn keeps_alerts_open(&self) -> bool {
        false
    }

    /// What must not be said, should the receiver say it back.
    fn secrets(&self) -> Vec<&str>;
}

pub(super) struct Http {
    format: Box<dyn Format>,
    client: reqwest::Client,
    egress: Arc<Egress>,
}

impl Http {
    pub(super) fn new(
        format: Box<dyn Format>,
        tls: rustls::ClientConfig,
        egress: Arc<Egress>,
    ) -> Result<Self, String> {
        // A receiver must not choose where alerts go, nor may the environment.
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Resolver(egress.clone()))
            .connect_timeout(CONNECT)
            .timeout(ATTEMPT)
            .user_agent(AGENT)
            .build()
            .map_err(|e| format!("no HTTP client: {e}"))?;
        Ok(Self {
            format,
            client,
            egress,
        })
    }

    pub(super) fn keeps_alerts_open(&self) -> bool {
        self.format.keeps_alerts_open()
    }

    pub(super) async fn send(&self, alert: &Alert) -> Result<(), Failure> {
        let now = jiff::Timestamp::now();
        let Request {
            method,
            url,
            headers,
            body,
        } = self.format.request(alert, now.as_second());
        // Without the URL in what is said: it may be the secret.
        let url = reqwest::Url::parse(&url).map_err(|_| Failure::passing("the URL is none"))?;
        // The client asks its resolver about names only.
        let address = match url.host() {
            Some(url::Host::Ipv4(ip)) => Some(ip.into()),
            Some(url::Host::Ipv6(ip)) => Some(ip.into()),
            _ => None,
        };
        if let Some(ip) = address {
            self.egress.check(ip).map_err(Failure::passing)?;
        }
        let mut request = self.client.request(method, url).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(answer) if self.format.is_taken(answer.status()) => Ok(()),
            Ok(answer) => Err(self.refused(answer, now).await),
            Err(e) => Err(Failure::passing(self.masked(&causes(&e.without_url())))),
        }
    }

    async fn refused(&self, mut answer: reqwest::Response, now: jiff::Timestamp) -> Failure {
        let status = answer.status();
        let wait = answer
            .headers()
            .get("retry-after")
            .and_then(|v| retry_after(v.to_str().ok()?, now));
        let mut said = Vec::new();
        while said.len() < SAID {
            match answer.chunk().await {
                Ok(Some(piece)) => said.extend_from_slice(&piece[..piece.len().min(SAID)]),
                _ => break,
            }
        }
        let said = text::clean(&self.masked(&String::from_utf8_lossy(&said)), 200);
        let why = format!("the receiver answered {status} {said}");
        Failure {
            wait,
            is_refusal: is_refusal(status),
            ..Failure::passing(why.trim_end())
        }
    }

    fn masked(&self, said: &str) -> String {
        let secrets = self.format.secrets().into_iter();
        secrets
            .filter(|s| !s.is_empty())
            .fold(said.to_owned(), |said, s| said.replace(s, "…"))
    }
}

/// The request was understood, and its content is not wanted, or nothing any more (410). What else may
/// be amiss (a token, a path, a limit) is mended at one end or the other, and then the message is taken.
fn is_refusal(status: StatusCode) -> bool {
    [400, 410, 413, 415, 422].contains(&status.as_u16())
}

/// Seconds, or a date (RFC 9110, 10.2.3); bounded.
fn retry_after(value: &str, now: jiff::Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            Duration::try_from(date.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

/// An error with its causes.
pub(super) fn causes(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut source = e.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_may_ask_for_patience_in_bounds() {
        let now = "2026-11-26T12:00:00Z".parse().unwrap();
        let wait = |text| retry_after(text, now).map(|d| d.as_secs());
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait("999999999"), Some(3_600));
        assert_eq!(wait("-1"), None);
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("Thu, 26 Nov 2026 12:01:00 GMT"), Some(60));
        assert_eq!(wait("Thu, 26 Nov 2026 11:00:00 GMT"), Some(0));
        assert_eq!(wait("Thu, 26 Nov 2026 14:00:00 GMT"), Some(3_600));
    }
}
