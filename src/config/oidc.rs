//! `[web.oidc]`: sign-in by an identity provider.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::sinks::read;
use crate::access::Role;
use crate::alert::sink::tls_client;
use crate::web;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    pub issuer: String,
    pub client_id: String,
    pub client_secret_file: Option<PathBuf>,
    pub client_secret_env: Option<String>,
    /// Where browsers reach apitap.
    pub url: String,
    #[serde(default = "label")]
    pub label: String,
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    #[serde(default = "name_claim")]
    pub name_claim: String,
    #[serde(default = "role_claim")]
    pub role_claim: String,
    #[serde(default)]
    pub viewers: Vec<String>,
    #[serde(default)]
    pub analysts: Vec<String>,
    #[serde(default)]
    pub admins: Vec<String>,
    pub ca_file: Option<PathBuf>,
}

fn label() -> String {
    "single sign-on".into()
}

fn scopes() -> Vec<String> {
    vec!["profile".into(), "email".into()]
}

fn name_claim() -> String {
    "preferred_username".into()
}

fn role_claim() -> String {
    "groups".into()
}

impl Oidc {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let safe = |text: &str| {
            let url = url::Url::parse(text).map_err(|e| e.to_string())?;
            let here = match url.host() {
                Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
                Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
                Some(url::Host::Domain(name)) => name == "localhost",
                None => false,
            };
            if url.scheme() == "https" || url.scheme() == "http" && here {
                Ok(url)
            } else {
                Err("must be https:// (http:// on loopback alone)".to_owned())
            }
        };
        safe(&self.issuer).map_err(|why| ("issuer", why))?;
        let url = safe(&self.url).map_err(|why| ("url", why))?;
        if url.path() != "/" || self.url.ends_with('/') {
            let why = "is where browsers reach apitap, without a path: https://apitap.example";
            return Err(("url", why.into()));
        }
        if self.client_secret_file.is_some() && self.client_secret_env.is_some() {
            let why = "or client_secret_env: one of them, or none for a public client";
            return Err(("client_secret_file", why.into()));
        }
        if self.roles().is_empty() {
            let why = "or analysts or admins name the values of the role claim that may come in: without any nobody may";
            return Err(("viewers", why.into()));
        }
        Ok(())
    }

    fn roles(&self) -> Vec<(String, Role)> {
        let all = [
            (&self.viewers, Role::Viewer),
            (&self.analysts, Role::Analyst),
            (&self.admins, Role::Admin),
        ];
        all.into_iter()
            .flat_map(|(values, role)| values.iter().map(move |v| (v.clone(), role)))
            .collect()
    }

    /// Reads the secret and the authorities. The error says what and where.
    pub fn ready(&self) -> Result<web::Provider, String> {
        let wrong = |why| format!("web.oidc: {why}");
        let secret = match (&self.client_secret_file, &self.client_secret_env) {
            (None, None) => None,
            (file, env) => Some(read(file, env).map_err(wrong)?.trim().to_owned()),
        };
        if secret.as_ref().is_some_and(String::is_empty) {
            return Err(wrong("the client secret is empty".into()));
        }
        web::Provider::new(web::Oidc {
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            client_secret: secret,
            url: self.url.clone(),
            label: self.label.clone(),
            scopes: self.scopes.clone(),
            name_claim: self.name_claim.clone(),
            role_claim: self.role_claim.clone(),
            roles: self.roles(),
            tls: tls_client(self.ca_file.as_deref()).map_err(wrong)?,
        })
        .map_err(wrong)
    }
}
