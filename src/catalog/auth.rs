//! What an endpoint demands of its callers, as its answers show: with which credentials it answered,
//! and whether it also answered without any.
//!
//! Calls that were answered are what counts (2xx, 304). A redirect of a caller without credentials
//! is how pages ask for a login, and proves nothing. Cookies go along with every request of a
//! browser, whether they are asked for or not: they alone do not show that something is demanded.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher};

use compact_str::CompactString;
use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use super::Admission;
use super::exposure::{Exposure, ExposureKind, Severity};
use super::jwt::Tokens;
use super::seen::Seen;
use super::small::Small;
use crate::exchange::{Exchange, Types};
use crate::time::Timestamp;

/// Schemes by place of one endpoint that are told apart, the first by name.
const MAX_SCHEMES: usize = 16;
/// Shapes of answers that are remembered, with credentials and without.
const MAX_SHAPES: usize = 8;
/// Answers before somebody is told by an alert.
const ENOUGH: u64 = 5;

const HASH: FixedState = FixedState::with_seed(0x61_75_74_68);

/// Segments of paths that are open by design: whoever has no credential yet, or never will.
const OPEN: &str = "login signin sign-in logon log-in auth authenticate oauth oauth2 token tokens authorize \
    callback saml sso logout register signup sign-up password forgot-password reset-password \
    password-reset verify captcha .well-known jwks jwks.json openapi openapi.json openapi.yaml \
    swagger swagger.json swagger-ui docs api-docs health healthz ready readyz live livez liveness \
    readiness ping status version metrics robots.txt favicon.ico csrf webhook webhooks public";

/// Whether answered calls had credentials.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum AuthVerdict {
    /// Never.
    Missing,
    /// Some had, some had not.
    Mixed,
    /// Always.
    Consistent,
}

impl AuthVerdict {
    pub const ALL: [Self; 3] = [Self::Missing, Self::Mixed, Self::Consistent];

    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Mixed => "mixed",
            Self::Consistent => "consistent",
        }
    }
}

/// Calls of an endpoint with one credential, or with none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AuthScheme {
    /// As in `auth_in` of an exchange, or `none`.
    pub scheme: String,
    /// `header:x-api-key`; absent where it is not known, or there was none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    pub requests: u64,
    /// No response, 1xx, 2xx, 3xx, 4xx, 5xx.
    pub by_class: [u64; 6],
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Authentication {
    /// Answered calls.
    with: Option<Seen>,
    without: Option<Seen>,
    /// Of those with: with more than a session's cookie.
    demanding: u64,
    /// Without credentials: sent elsewhere.
    redirected: u64,
    /// It is called by a protocol that sends everything with POST.
    rpc: bool,
    /// Calls that carried a password.
    logins: u64,
    /// By scheme and place.
    schemes: Small<(CompactString, CompactString), Scheme>,
    /// Hashes of what answers were made of, without credentials and with.
    shapes: [BTreeSet<u32>; 2],
    pub(super) tokens: Tokens,
    /// It is one of those that the host's alert may be about, and was looked at.
    pub(super) told: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Scheme {
    seen: Seen,
    by_class: [u64; 6],
}

/// What is known beside the endpoint itself.
pub(super) struct Around<'a> {
    pub(super) host: &'a str,
    pub(super) label: &'a str,
    pub(super) key: &'a str,
    pub(super) method: &'a str,
    pub(super) template: &'a str,
    /// It is an API, and no page or file.
    pub(super) api: bool,
    /// It reads though its method writes, as queries of GraphQL do.
    pub(super) reads: bool,
    /// Classes of sensitive data in its answers.
    pub(super) given_out: Vec<String>,
    /// The host demands credentials elsewhere: answers with such, and refusals.
    pub(super) demanded: (u64, u64),
}

impl Authentication {
    pub(super) fn take(&mut self, x: &Exchange, admission: Admission) {
        self.logins += u64::from(x.login.is_some());
        self.count_schemes(x);
        if admission != Admission::Answered || !succeeded(x) {
            return;
        }
        self.rpc |= x.rpc.is_some();
        let with = x.has_credential();
        let redirect = x.status_class() == 3 && x.status != Some(304);
        match (with, redirect) {
            (true, _) => {
                Seen::take(&mut self.with, x.ts);
                self.demanding += u64::from(demands(x));
            }
            (false, true) => self.redirected += 1,
            (false, false) => {
                Seen::take(&mut self.without, x.ts);
            }
        }
        if let Some(shape) = shape(x) {
            let shapes = &mut self.shapes[usize::from(with)];
            shapes.insert(shape);
            bound(shapes);
        }
    }

    fn count_schemes(&mut self, x: &Exchange) {
        let mut count = |scheme: &str, place: &str| {
            let key = (scheme.into(), place.into());
            let known = self.schemes.or_insert_with(key, || Scheme {
                seen: Seen {
                    count: 0,
                    ..Seen::at(x.ts)
                },
                by_class: [0; 6],
            });
            known.seen.merge(&Seen::at(x.ts));
            known.by_class[x.status_class()] += 1;
        };
        for p in x.presented() {
            count(&p.scheme, &p.place);
        }
        if x.auth_in.is_none() {
            count(x.auth.as_deref().unwrap_or("none"), "");
        }
        self.schemes.truncate(MAX_SCHEMES);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        Seen::add(&mut self.with, other.with);
        Seen::add(&mut self.without, other.without);
        self.demanding += other.demanding;
        self.redirected += other.redirected;
        self.rpc |= other.rpc;
        self.logins += other.logins;
        for (key, theirs) in other.schemes.iter() {
            match self.schemes.get_mut(key) {
                Some(mine) => {
                    mine.seen.merge(&theirs.seen);
                    let counts = mine.by_class.iter_mut().zip(theirs.by_class);
                    counts.for_each(|(a, b)| *a += b);
                }
                None => {
                    self.schemes.or_insert_with(key.clone(), || theirs.clone());
                }
            }
        }
        self.schemes.truncate(MAX_SCHEMES);
        for (mine, theirs) in self.shapes.iter_mut().zip(&other.shapes) {
            mine.extend(theirs);
            bound(mine);
        }
        self.tokens.merge(&other.tokens);
        self.told |= other.told;
    }

    /// `None`: no call was answered.
    pub(super) fn verdict(&self) -> Option<AuthVerdict> {
        match (self.with, self.without) {
            (Some(_), Some(_)) => Some(AuthVerdict::Mixed),
            (Some(_), None) => Some(AuthVerdict::Consistent),
            (None, Some(_)) => Some(AuthVerdict::Missing),
            (None, None) => (self.redirected > 0).then_some(AuthVerdict::Missing),
        }
    }

    pub(super) fn schemes(&self) -> Vec<AuthScheme> {
        let view = |((scheme, place), s): (&(CompactString, CompactString), &Scheme)| AuthScheme {
            scheme: scheme.to_string(),
            place: place.to_string(),
            requests: s.seen.count,
            by_class: s.by_class,
            first_seen: s.seen.first,
            last_seen: s.seen.last,
        };
        self.schemes.iter().map(view).collect()
    }

    /// It takes passwords.
    pub(super) fn is_login(&self) -> bool {
        self.logins > 0
    }

    /// Enough was answered without credentials to tell somebody.
    pub(super) fn is_due(&self) -> bool {
        let enough = |seen: Option<Seen>| seen.is_some_and(|s| s.count >= ENOUGH);
        let mixed = self.with.is_some();
        !self.told && enough(self.without) && (!mixed || self.demanding >= ENOUGH)
    }

    /// What it comes to.
    pub(super) fn exposure(&self, around: &Around<'_>) -> Option<Exposure> {
        let without = self.without?;
        let template = around.template.to_ascii_lowercase();
        let is_open = |s: &str| OPEN.split_ascii_whitespace().any(|open| open == s);
        let open = template.split(['/', '.']).any(is_open) || template.split('/').any(is_open);
        if !around.api || self.logins > 0 || open {
            return None;
        }
        let (kind, severity, what, why) = match self.with {
            None => {
                let (severity, why) = missing(around, self.rpc);
                let what = "answers whoever asks, without credentials".to_owned();
                (ExposureKind::NoAuthentication, severity, what, why)
            }
            Some(with) => {
                let (severity, why) = self.mixed(around, with.count, without.count);
                let what = "answers with credentials and without".to_owned();
                (ExposureKind::MixedAuthentication, severity, what, why)
            }
        };
        let exposure = Exposure {
            endpoint: Some(around.key.to_owned()),
            why,
            first_seen: without.first,
            last_seen: without.last,
            count: without.count,
            ..Exposure::new(kind, severity, around.host, what)
        };
        Some(exposure.about(around.label))
    }

    fn mixed(&self, around: &Around<'_>, with: u64, without: u64) -> (Severity, String) {
        let counts = format!("{without} answers without, {with} with");
        if self.demanding == 0 {
            let why = "the credentials are cookies, which browsers send whether asked for or not";
            return (Severity::Info, format!("{counts}; {why}"));
        }
        let same = self.shapes[0]
            .intersection(&self.shapes[1])
            .next()
            .is_some();
        let sensitive = given_out(around);
        match (same, sensitive) {
            (true, Some(sensitive)) => {
                let why = format!("{counts}, of the same shape; they hold {sensitive}");
                (Severity::High, why)
            }
            (true, None) => (Severity::Medium, format!("{counts}, of the same shape")),
            (false, _) => {
                let why = "it may give less to who has none: no answers of one shape were seen";
                (Severity::Low, format!("{counts}; {why}"))
            }
        }
    }
}

/// By what it exposes; a step less where the host demands credentials of nobody.
fn missing(around: &Around<'_>, rpc: bool) -> (Severity, String) {
    let method = matches!(around.method, "POST" | "PUT" | "PATCH" | "DELETE");
    let writes = method && !around.reads && !rpc;
    let (severity, what) = match (given_out(around), writes) {
        (Some(sensitive), _) => (Severity::High, format!("its answers hold {sensitive}")),
        (None, true) => (
            Severity::Medium,
            format!("{} changes something", around.method),
        ),
        (None, false) if rpc => (Severity::Low, "it is called".to_owned()),
        (None, false) => (Severity::Low, "it reads".to_owned()),
    };
    match around.demanded {
        (0, 0) => {
            let lower = match severity {
                Severity::High => Severity::Medium,
                Severity::Medium => Severity::Low,
                _ => Severity::Info,
            };
            let why = "no endpoint of the host was ever seen with credentials: it may be a public service";
            (lower, format!("{what}; {why}"))
        }
        (with, refused) => {
            let mut why = format!("{what}; other endpoints of the host demand credentials");
            why += &format!(" ({with} answers with, {refused} refusals without)");
            (severity, why)
        }
    }
}

fn given_out(around: &Around<'_>) -> Option<String> {
    (!around.given_out.is_empty()).then(|| around.given_out.join(", "))
}

/// Whether its credentials are more than a session's cookie.
pub(super) fn demands(x: &Exchange) -> bool {
    match &x.auth_in {
        Some(all) => all.iter().any(|p| p.scheme != "cookie"),
        None => x.auth.as_deref().is_some_and(|auth| auth != "cookie"),
    }
}

/// gRPC says how a call ended behind a 200.
pub(super) fn succeeded(x: &Exchange) -> bool {
    x.grpc_status.is_none_or(|status| status == 0)
}

/// What an answer was made of: its type, and the names down to the second level.
fn shape(x: &Exchange) -> Option<u32> {
    let shape = x.shapes.as_ref()?.response.as_ref()?;
    let mut h = HASH.build_hasher();
    h.write(x.content_type.as_deref().unwrap_or_default().as_bytes());
    let shallow = shape.0.iter();
    for field in shallow.filter(|f| f.pointer.matches('/').count() <= 2 && !f.optional) {
        h.write(field.pointer.as_bytes());
        let nested = field.types.has(Types::OBJECT) || field.types.has(Types::ARRAY);
        h.write_u8(u8::from(nested));
    }
    Some(h.finish() as u32)
}

fn bound(shapes: &mut BTreeSet<u32>) {
    while shapes.len() > MAX_SHAPES {
        shapes.pop_last();
    }
}

#[cfg(test)]
mod tests;
