//! Sinks and routes as the file has them. Secrets are named, never written: each is in a file or in
//! an environment variable, read when the sinks are made and kept in texts that do not print.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Prefix;
use crate::alert::Egress as ReadyEgress;
use crate::alert::route::{Route as ReadyRoute, Router, Window};
use crate::alert::sink::{
    Carrier, Class, Elastic, Kind, Layout, Mail, Ocsf, PagerDuty, Secret, Security, Settings,
    SigningKey, Slack, Splunk, Syslog, Teams, Webhook as ReadyWebhook,
};
use crate::detect::Severity;

/// Where deliveries may go.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Egress {
    pub allow: Vec<Prefix>,
    pub deny: Vec<Prefix>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub sinks: Vec<String>,
    #[serde(default)]
    pub severity: Option<Severity>,
    #[serde(default)]
    pub kinds: Vec<String>,
    #[serde(default)]
    pub hosts: Vec<String>,
    /// `mon` to `sun`.
    #[serde(default)]
    pub days: Vec<String>,
    /// `08:00-18:00`.
    #[serde(default)]
    pub hours: Option<String>,
    /// Of the days and hours; the machine's where none is named.
    #[serde(default)]
    pub timezone: Option<String>,
}

/// `[[webhook]]`, the older way to write a `[[sink]]` of that type.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    pub name: String,
    pub url: String,
    /// File with the signing secret (`whsec_…`), or one a line while it is changed.
    pub secret_file: Option<PathBuf>,
    /// Environment variable with it.
    pub secret_env: Option<String>,
    pub ca_file: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Sink {
    Webhook(Webhook),
    Slack(Chat),
    Teams(Chat),
    PagerDuty {
        name: String,
        #[serde(default = "pagerduty")]
        url: String,
        token_file: Option<PathBuf>,
        token_env: Option<String>,
        ca_file: Option<PathBuf>,
    },
    Splunk {
        name: String,
        url: String,
        token_file: Option<PathBuf>,
        token_env: Option<String>,
        index: Option<String>,
        ca_file: Option<PathBuf>,
    },
    Elastic {
        name: String,
        url: String,
        index: String,
        token_file: Option<PathBuf>,
        token_env: Option<String>,
        ca_file: Option<PathBuf>,
    },
    Ocsf {
        name: String,
        url: String,
        #[serde(default)]
        class: Class,
        token_file: Option<PathBuf>,
        token_env: Option<String>,
        ca_file: Option<PathBuf>,
    },
    Syslog {
        name: String,
        host: String,
        port: Option<u16>,
        #[serde(default)]
        transport: Carrier,
        #[serde(default)]
        format: Layout,
        #[serde(default = "local0")]
        facility: u8,
        ca_file: Option<PathBuf>,
    },
    Email {
        name: String,
        host: String,
        port: Option<u16>,
        #[serde(default)]
        security: Security,
        from: String,
        to: Vec<String>,
        user: Option<String>,
        password_file: Option<PathBuf>,
        password_env: Option<String>,
        ca_file: Option<PathBuf>,
    },
    File {
        name: String,
        path: PathBuf,
    },
}

/// Slack and Teams: who has the URL may post, so that it is the secret.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Chat {
    pub name: String,
    pub url_file: Option<PathBuf>,
    pub url_env: Option<String>,
    pub ca_file: Option<PathBuf>,
}

fn pagerduty() -> String {
    "https://events.pagerduty.com/v2/enqueue".into()
}

fn local0() -> u8 {
    16
}

impl Sink {
    pub fn name(&self) -> &str {
        match self {
            Self::Webhook(Webhook { name, .. })
            | Self::Slack(Chat { name, .. })
            | Self::Teams(Chat { name, .. })
            | Self::PagerDuty { name, .. }
            | Self::Splunk { name, .. }
            | Self::Elastic { name, .. }
            | Self::Ocsf { name, .. }
            | Self::Syslog { name, .. }
            | Self::Email { name, .. }
            | Self::File { name, .. } => name,
        }
    }

    /// What the types alone do not say, without a look at any secret.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Webhook(Webhook {
                url,
                secret_file,
                secret_env,
                ..
            }) => {
                http(url)?;
                one("secret", secret_file, secret_env)
            }
            Self::Slack(chat) | Self::Teams(chat) => one("url", &chat.url_file, &chat.url_env),
            Self::PagerDuty {
                url,
                token_file,
                token_env,
                ..
            }
            | Self::Splunk {
                url,
                token_file,
                token_env,
                ..
            }
            | Self::Elastic {
                url,
                token_file,
                token_env,
                ..
            } => {
                http(url)?;
                one("token", token_file, token_env)
            }
            Self::Ocsf {
                url,
                token_file,
                token_env,
                ..
            } => {
                http(url)?;
                match (token_file, token_env) {
                    (Some(_), Some(_)) => one("token", token_file, token_env),
                    _ => Ok(()),
                }
            }
            Self::Syslog { facility, .. } if *facility > 23 => Err("facility is 0 to 23".into()),
            Self::Email {
                user: Some(_),
                password_file,
                password_env,
                ..
            } => one("password", password_file, password_env),
            Self::Syslog { .. } | Self::Email { .. } | Self::File { .. } => Ok(()),
        }
    }

    /// With its secrets, which are read now. The error names the sink and the source, no secret.
    pub fn settings(&self) -> Result<Settings, String> {
        self.ready()
            .map_err(|why| format!("sink `{}`: {why}", self.name()))
    }

    fn ready(&self) -> Result<Settings, String> {
        let (kind, ca_file) = match self {
            Self::Webhook(Webhook {
                url,
                secret_file,
                secret_env,
                ca_file,
                ..
            }) => {
                let keys = SigningKey::parse_all(&read(secret_file, secret_env)?)?;
                (
                    Kind::Webhook(ReadyWebhook {
                        url: url.clone(),
                        keys,
                    }),
                    ca_file,
                )
            }
            Self::Slack(chat) => (
                Kind::Slack(Slack {
                    url: chat.secret()?,
                }),
                &chat.ca_file,
            ),
            Self::Teams(chat) => (
                Kind::Teams(Teams {
                    url: chat.secret()?,
                }),
                &chat.ca_file,
            ),
            Self::PagerDuty {
                url,
                token_file,
                token_env,
                ca_file,
                ..
            } => {
                let routing_key = secret(token_file, token_env)?;
                (
                    Kind::PagerDuty(PagerDuty {
                        url: url.clone(),
                        routing_key,
                    }),
                    ca_file,
                )
            }
            Self::Splunk {
                url,
                token_file,
                token_env,
                index,
                ca_file,
                ..
            } => {
                let token = secret(token_file, token_env)?;
                (
                    Kind::Splunk(Splunk {
                        url: url.clone(),
                        token,
                        index: index.clone(),
                    }),
                    ca_file,
                )
            }
            Self::Elastic {
                url,
                index,
                token_file,
                token_env,
                ca_file,
                ..
            } => {
                let api_key = secret(token_file, token_env)?;
                (
                    Kind::Elastic(Elastic {
                        url: url.clone(),
                        index: index.clone(),
                        api_key,
                    }),
                    ca_file,
                )
            }
            Self::Ocsf {
                url,
                class,
                token_file,
                token_env,
                ca_file,
                ..
            } => {
                let named = token_file.is_some() || token_env.is_some();
                let token = named.then(|| secret(token_file, token_env)).transpose()?;
                (
                    Kind::Ocsf(Ocsf {
                        url: url.clone(),
                        token,
                        class: *class,
                    }),
                    ca_file,
                )
            }
            Self::Syslog {
                host,
                port,
                transport,
                format,
                facility,
                ca_file,
                ..
            } => {
                let usual = if *transport == Carrier::Tls {
                    6514
                } else {
                    514
                };
                let syslog = Syslog {
                    host: host.clone(),
                    port: port.unwrap_or(usual),
                    carrier: *transport,
                    layout: *format,
                    facility: *facility,
                };
                (Kind::Syslog(syslog), ca_file)
            }
            Self::Email {
                host,
                port,
                security,
                from,
                to,
                user,
                password_file,
                password_env,
                ca_file,
                ..
            } => {
                let usual = match security {
                    Security::Starttls => 587,
                    Security::Tls => 465,
                    Security::None => 25,
                };
                let login = match user {
                    Some(user) => Some((user.clone(), secret(password_file, password_env)?)),
                    None => None,
                };
                let mail = Mail {
                    host: host.clone(),
                    port: port.unwrap_or(usual),
                    security: *security,
                    from: from.clone(),
                    to: to.clone(),
                    login,
                };
                (Kind::Mail(mail), ca_file)
            }
            Self::File { path, .. } => (Kind::File(path.clone()), &None),
        };
        Ok(Settings {
            name: self.name().to_owned(),
            kind,
            ca_file: ca_file.clone(),
        })
    }
}

impl Chat {
    fn secret(&self) -> Result<Secret, String> {
        let url = read(&self.url_file, &self.url_env)?;
        // What is wrong with it is not said with it.
        http(url.trim()).map_err(|_| "the secret is no http:// or https:// URL".to_owned())?;
        Ok(Secret::new(&url))
    }
}

fn http(url: &str) -> Result<(), String> {
    let parsed = url::Url::parse(url).map_err(|e| format!("url: {e}"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err("url must be http:// or https://".into());
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("url must not hold a password: a config is no place for secrets".into());
    }
    Ok(())
}

fn one(what: &str, file: &Option<PathBuf>, env: &Option<String>) -> Result<(), String> {
    if file.is_some() == env.is_some() {
        return Err(format!("needs {what}_file or {what}_env, one of them"));
    }
    Ok(())
}

pub(super) fn read(
    file: &Option<PathBuf>,
    env: &Option<String>,
) -> Result<zeroize::Zeroizing<String>, String> {
    let text = match (file, env) {
        (Some(path), _) => {
            std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?
        }
        (None, Some(name)) => {
            std::env::var(name).map_err(|e| format!("environment variable {name}: {e}"))?
        }
        (None, None) => return Err("no secret is named".into()),
    };
    Ok(text.into())
}

fn secret(file: &Option<PathBuf>, env: &Option<String>) -> Result<Secret, String> {
    let secret = Secret::new(&read(file, env)?);
    let from = |path: &Path| path.display().to_string();
    if secret == Secret::new("") {
        let place = file.as_deref().map(from).or_else(|| env.clone());
        return Err(format!("{} is empty", place.unwrap_or_default()));
    }
    Ok(secret)
}

impl Route {
    /// What it takes, in words.
    pub(super) fn words(&self) -> String {
        let severity = self.severity.unwrap_or(Severity::Info).name();
        let mut words = vec![format!("{severity} and worse")];
        for (what, list) in [
            ("kinds", &self.kinds),
            ("hosts", &self.hosts),
            ("on", &self.days),
        ] {
            if !list.is_empty() {
                words.push(format!("{what} {}", list.join(", ")));
            }
        }
        words.extend(self.hours.iter().cloned());
        words.extend(self.timezone.iter().cloned());
        words.join("; ")
    }

    pub(super) fn ready(&self, known: &[String]) -> Result<ReadyRoute, String> {
        if self.sinks.is_empty() {
            return Err("names no sinks".into());
        }
        if let Some(unknown) = self.sinks.iter().find(|s| !known.contains(s)) {
            return Err(format!("there is no sink `{unknown}`"));
        }
        Ok(ReadyRoute {
            sinks: self.sinks.clone(),
            severity: self.severity.unwrap_or(Severity::Info),
            kinds: self.kinds.clone(),
            hosts: self.hosts.clone(),
            window: Window::parse(&self.days, self.hours.as_deref(), self.timezone.as_deref())?,
        })
    }
}

impl super::Config {
    /// Every sink, those of `[[webhook]]` too.
    pub fn sinks(&self) -> Vec<Sink> {
        let hooks = self.webhook.iter().cloned().map(Sink::Webhook);
        hooks.chain(self.sink.iter().cloned()).collect()
    }

    /// The error says which key is wrong, and why.
    pub fn router(&self) -> Result<Router, String> {
        let names: Vec<String> = self.sinks().iter().map(|s| s.name().to_owned()).collect();
        let routes: Result<Vec<_>, _> = self.alert.routes.iter().map(|r| r.ready(&names)).collect();
        Ok(Router::new(names, routes?))
    }

    pub fn egress(&self) -> ReadyEgress {
        let nets = |prefixes: &[Prefix]| prefixes.iter().map(|p| p.0).collect();
        ReadyEgress::new(
            nets(&self.alert.egress.allow),
            nets(&self.alert.egress.deny),
        )
    }

    pub(super) fn check_sinks(&self) -> Result<(), (&'static str, String)> {
        let mut names = BTreeSet::new();
        for sink in self.sinks() {
            let name = sink.name();
            let key = match &sink {
                Sink::Webhook(hook) if self.webhook.contains(hook) => "webhook",
                _ => "sink",
            };
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
                let why = format!("`{name}`: a name is 1 to 64 letters, digits, `-`, `_` and `.`");
                return Err((key, why));
            }
            sink.check()
                .map_err(|why| (key, format!("`{name}` {why}")))?;
            if !names.insert(name.to_owned()) {
                return Err((key, format!("two are named `{name}`")));
            }
        }
        self.router().map(|_| ()).map_err(|why| ("routes", why))
    }
}

#[cfg(test)]
#[path = "sinks_tests.rs"]
mod tests;
