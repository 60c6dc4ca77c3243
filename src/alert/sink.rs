//! A sink: one place where alerts go, and how it is told. Ten kinds, one way through: an alert goes
//! in, and it was taken, or it was not and [`Failure`] says why and whose fault that is.
//!
//! Seven of them are HTTP and differ only in what they make of an alert (`http::Format`: sans-IO);
//! syslog, mail and files have a transport of their own. None keeps anything between two alerts, so
//! that each may be sent again, and a test goes the same way as an alert.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Alert, Egress};

mod cef;
mod elastic;
mod file;
mod http;
mod mail;
mod ocsf;
mod pagerduty;
mod slack;
mod splunk;
mod syslog;
mod teams;
#[cfg(test)]
pub(super) mod tests;
mod text;
mod tls;
mod webhook;

pub use elastic::Elastic;
pub use http::AGENT;
pub use mail::{Mail, Security};
pub use ocsf::{Class, Ocsf};
pub use pagerduty::PagerDuty;
pub use slack::Slack;
pub use splunk::Splunk;
pub use syslog::{Carrier, Layout, Syslog};
pub use teams::Teams;
pub(crate) use text::is_hidden;
pub use tls::client as tls_client;
pub use webhook::{SigningKey, Webhook};

/// From beginning to end of one attempt. Standard Webhooks recommends 15 to 30 s.
pub(super) const ATTEMPT: Duration = Duration::from_secs(15);

/// Texts that never print. Wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// White space around it is none of it: files end with a line feed.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.trim().to_owned()))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// Of a URL that is a secret, what stands behind the host: receivers say that back, too.
    fn path(&self) -> &str {
        let host = self.0.split_once("://").map_or("", |(_, rest)| rest);
        host.find('/').map_or("", |at| &host[at + 1..])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One sink, ready to be started.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Routes, views and the outbox know it by this.
    pub name: String,
    pub kind: Kind,
    /// The authorities (PEM) that its certificate is checked against; the system's without.
    pub ca_file: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Webhook(Webhook),
    Slack(Slack),
    Teams(Teams),
    PagerDuty(PagerDuty),
    Splunk(Splunk),
    Elastic(Elastic),
    Ocsf(Ocsf),
    Syslog(Syslog),
    Mail(Mail),
    /// JSON Lines are appended.
    File(PathBuf),
}

impl Kind {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Slack(_) => "slack",
            Self::Teams(_) => "teams",
            Self::PagerDuty(_) => "pagerduty",
            Self::Splunk(_) => "splunk",
            Self::Elastic(_) => "elastic",
            Self::Ocsf(_) => "ocsf",
            Self::Syslog(_) => "syslog",
            Self::Mail(_) => "email",
            Self::File(_) => "file",
        }
    }
}

/// Why an alert was not taken. `why` has no secret in it and no character that a log must fear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub why: String,
    /// How long the receiver asked us to wait.
    pub wait: Option<Duration>,
    /// The receiver is well, and wants this message in no case.
    pub is_refusal: bool,
}

impl Failure {
    /// Worth trying again.
    pub(super) fn passing(why: impl fmt::Display) -> Self {
        Self {
            why: text::clean(&why.to_string(), 300),
            wait: None,
            is_refusal: false,
        }
    }

    pub(super) fn refusal(why: impl fmt::Display) -> Self {
        Self {
            is_refusal: true,
            ..Self::passing(why)
        }
    }
}

/// The way to one sink.
pub struct Transport(Way);

enum Way {
    Http(http::Http),
    Syslog(syslog::Sender),
    Mail(mail::Sender),
    File(file::Lines),
}

impl Transport {
    /// The error says what in the settings cannot be.
    pub fn new(settings: &Settings, egress: &Arc<Egress>) -> Result<Self, String> {
        let ca = settings.ca_file.as_deref();
        let http = |format: Box<dyn http::Format>| {
            http::Http::new(format, tls::client(ca)?, egress.clone()).map(Way::Http)
        };
        let way = match &settings.kind {
            Kind::Webhook(s) => http(Box::new(s.clone())),
            Kind::Slack(s) => http(Box::new(s.clone())),
            Kind::Teams(s) => http(Box::new(s.clone())),
            Kind::PagerDuty(s) => http(Box::new(s.clone())),
            Kind::Splunk(s) => http(Box::new(s.clone())),
            Kind::Elastic(s) => http(Box::new(s.clone())),
            Kind::Ocsf(s) => http(Box::new(s.clone())),
            Kind::Syslog(s) => {
                syslog::Sender::new(s.clone(), tls::client(ca)?, egress.clone()).map(Way::Syslog)
            }
            Kind::Mail(s) => mail::Sender::new(s.clone(), ca, egress.clone()).map(Way::Mail),
            Kind::File(path) => Ok(Way::File(file::Lines::new(path.clone()))),
        };
        way.map(Self)
    }

    /// One attempt, over within `ATTEMPT`.
    pub async fn send(&self, alert: &Alert) -> Result<(), Failure> {
        let attempt = async {
            match &self.0 {
                Way::Http(http) => http.send(alert).await,
                Way::Syslog(syslog) => syslog.send(alert).await,
                Way::Mail(mail) => mail.send(alert).await,
                Way::File(file) => file.send(alert).await,
            }
        };
        match tokio::time::timeout(ATTEMPT, attempt).await {
            Ok(done) => done,
            Err(_) => Err(Failure::passing("no answer in time")),
        }
    }

    /// What a person sends to see whether alerts arrive; a sink that keeps alerts open gets its end,
    /// too.
    pub async fn test(&self) -> Result<(), Failure> {
        let mut alert = super::test_alert();
        self.send(&alert).await?;
        alert.status = super::Status::Resolved;
        alert.revision += 1;
        match &self.0 {
            Way::Http(http) if http.keeps_alerts_open() => self.send(&alert).await,
            _ => Ok(()),
        }
    }
}
