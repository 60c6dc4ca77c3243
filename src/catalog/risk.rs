//! Risk, 1 to 10: the heaviest of the reasons that hold of an endpoint. Each reason has a weight in
//! the config and says why it holds. A pure function of what is known otherwise.
//!
//! Endpoints that nothing is known to stand behind, static files and probes of the infrastructure
//! are not weighed: they get 1.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::exposure::{Exposure, ExposureKind, Severity};
use super::schema::SensitiveView;
use super::view::Kind;
use super::zones::Zone;

/// What each reason weighs, 0 (never a reason) to 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// Sensitive data in answers, and answers without a credential, to callers from outside; to
    /// others alone it weighs 2 less.
    pub open_data: u8,
    /// No answered call had a credential; less where the whole host asks for none.
    pub no_auth: u8,
    /// Some had, some had not; less where the answers differ.
    pub mixed_auth: u8,
    /// Personal data, or secrets in answers.
    pub sensitive: u8,
    /// Cards, accounts, national ids, health; passwords and keys in answers.
    pub highly_sensitive: u8,
    pub credentials_in_clear: u8,
    /// Tokens that are easily forged or never end.
    pub weak_tokens: u8,
    /// Stack traces, SQL errors and their like in answers.
    pub leaks: u8,
    pub shadow: u8,
    pub zombie: u8,
    pub deprecated: u8,
    /// Its host speaks obsolete TLS, weak ciphers, or shows an expired certificate.
    pub weak_tls: u8,
    pub drift: u8,
    /// Callers from outside are answered.
    pub external: u8,
    /// Most answered calls name an object by a number.
    pub enumerable: u8,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            open_data: 10,
            no_auth: 6,
            mixed_auth: 4,
            sensitive: 5,
            highly_sensitive: 7,
            credentials_in_clear: 4,
            weak_tokens: 7,
            leaks: 7,
            shadow: 6,
            zombie: 5,
            deprecated: 4,
            weak_tls: 5,
            drift: 3,
            external: 3,
            enumerable: 2,
        }
    }
}

impl Weights {
    pub const MAX: u8 = 10;

    /// By the name of each.
    pub fn all(&self) -> [(&'static str, u8); 15] {
        [
            ("open_data", self.open_data),
            ("no_auth", self.no_auth),
            ("mixed_auth", self.mixed_auth),
            ("sensitive", self.sensitive),
            ("highly_sensitive", self.highly_sensitive),
            ("credentials_in_clear", self.credentials_in_clear),
            ("weak_tokens", self.weak_tokens),
            ("leaks", self.leaks),
            ("shadow", self.shadow),
            ("zombie", self.zombie),
            ("deprecated", self.deprecated),
            ("weak_tls", self.weak_tls),
            ("drift", self.drift),
            ("external", self.external),
            ("enumerable", self.enumerable),
        ]
    }
}

/// One reason of a risk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RiskReason {
    /// `no-auth`, `sensitive`; `none` where nothing weighs.
    pub reason: String,
    pub weight: u8,
    pub why: String,
}

/// What is known of an endpoint, as far as it weighs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inputs<'a> {
    pub(super) kind: Kind,
    pub(super) confirmed: bool,
    /// Answered calls; of those from outside, and those that name an object by a number.
    pub(super) answered: u64,
    pub(super) external: u64,
    pub(super) numbered: u64,
    /// It takes user names and passwords.
    pub(super) login: bool,
    pub(super) sensitive: &'a [SensitiveView],
    pub(super) exposure: Option<Zone>,
    /// Why it is shadow, a zombie, deprecated.
    pub(super) shadow: Option<&'a str>,
    pub(super) zombie: Option<&'a str>,
    pub(super) deprecated: Option<&'a str>,
    /// What lies open of the endpoint, and of its host.
    pub(super) exposures: &'a [Exposure],
    /// Kinds of differences to the spec.
    pub(super) drift: usize,
}

/// Which reason a fact is; `None` where it weighs by something else, or not.
fn reason(kind: ExposureKind) -> Option<&'static str> {
    use ExposureKind::*;
    match kind {
        NoAuthentication => Some("no-auth"),
        MixedAuthentication => Some("mixed-auth"),
        CredentialsInClear => Some("credentials-in-clear"),
        JwtNone | JwtNoExpiry | JwtLongLife | JwtExpiredAccepted | JwtSecretClaim
        | JwtMixedAlgorithms | JwtKeyUrl => Some("weak-tokens"),
        StackTrace | SqlError | InternalAddress | FilePath => Some("leaks"),
        ObsoleteTls | WeakCipher | CertificateExpired => Some("weak-tls"),
        NoForwardSecrecy | CertificateExpiring | SelfSigned | ServerVersion | NewCaller
        | WiderExposure => None,
    }
}

/// The risk and its reasons, the heaviest first. Invariant: 1 to 10, and at least one reason.
pub(super) fn risk(known: &Inputs<'_>, weights: &Weights) -> (u8, Vec<RiskReason>) {
    let unweighed = match known.kind {
        _ if !known.confirmed => Some("nothing is known to stand behind it yet"),
        Kind::Static => Some("static files are not weighed"),
        Kind::Infrastructure => Some("probes of the infrastructure are not weighed"),
        Kind::Api | Kind::Web => None,
    };
    if let Some(why) = unweighed {
        return none(why);
    }
    let mut reasons = Vec::new();
    let mut add = |reason: &str, weight: u8, why: Option<String>| {
        if let Some(why) = why.filter(|_| weight > 0) {
            reasons.push(RiskReason {
                reason: reason.to_owned(),
                weight: weight.min(Weights::MAX),
                why,
            });
        }
    };
    let (open, weight) = known.open_data(weights.open_data);
    add("open-data", weight, open);
    for (reason, weight) in [
        ("no-auth", weights.no_auth),
        ("mixed-auth", weights.mixed_auth),
        ("credentials-in-clear", weights.credentials_in_clear),
        ("weak-tokens", weights.weak_tokens),
        ("leaks", weights.leaks),
        ("weak-tls", weights.weak_tls),
    ] {
        let (why, weight) = known.fact(reason, weight);
        add(reason, weight, why);
    }
    let high = known.classes(|s| is_high(&s.class));
    let high_weight = weights.highly_sensitive;
    add("highly-sensitive", high_weight, data(&high));
    // What is highly sensitive is said once, unless that is turned off.
    let rest = known.classes(|s| high_weight == 0 || !high.contains(s.class.as_str()));
    add("sensitive", weights.sensitive, data(&rest));
    let owned = |why: Option<&str>| why.map(str::to_owned);
    add("shadow", weights.shadow, owned(known.shadow));
    add("zombie", weights.zombie, owned(known.zombie));
    add("deprecated", weights.deprecated, owned(known.deprecated));
    add("drift", weights.drift, known.differs());
    add("external", weights.external, known.is_external());
    add("enumerable", weights.enumerable, known.enumerable());
    // Stable: of equal weight in the order above.
    reasons.sort_by_key(|r| std::cmp::Reverse(r.weight));
    match reasons.first() {
        Some(heaviest) => (heaviest.weight, reasons),
        None => none("no reason holds"),
    }
}

pub(super) fn none(why: &str) -> (u8, Vec<RiskReason>) {
    let reason = RiskReason {
        reason: "none".into(),
        weight: 1,
        why: why.to_owned(),
    };
    (1, vec![reason])
}

impl Inputs<'_> {
    /// One combination, since it is what leaks are made of: data for whoever asks.
    fn open_data(&self, weight: u8) -> (Option<String>, u8) {
        let classes = self.classes(is_answer);
        let open = self.exposures.iter().any(|e| match e.kind {
            ExposureKind::NoAuthentication => true,
            // Less sure: it may give less to who shows no credential.
            ExposureKind::MixedAuthentication => e.severity >= Severity::Medium,
            _ => false,
        });
        if !open || classes.is_empty() {
            return (None, weight);
        }
        let why = format!(
            "its answers hold {}, and no credential is needed",
            words(&classes)
        );
        match self.exposure {
            Some(Zone::External) => (
                Some(format!("{why}; callers from outside are answered")),
                weight,
            ),
            _ => (Some(why), weight.saturating_sub(2)),
        }
    }

    /// The gravest fact of those that are the reason; a slight one weighs less.
    fn fact(&self, of: &str, weight: u8) -> (Option<String>, u8) {
        // Of authentication alone what is listed as information is a doubt, not a relief.
        let auth = matches!(of, "no-auth" | "mixed-auth");
        let such =
            |e: &&Exposure| reason(e.kind) == Some(of) && (auth || e.severity > Severity::Info);
        let Some(worst) = self
            .exposures
            .iter()
            .filter(such)
            .max_by_key(|e| e.severity)
        else {
            return (None, weight);
        };
        let less = match worst.severity {
            Severity::Info => 3,
            Severity::Low => 2,
            Severity::Medium | Severity::High | Severity::Critical => 0,
        };
        // A weight above zero turns no reason off.
        let weight = if weight > 0 {
            weight.saturating_sub(less).max(1)
        } else {
            0
        };
        let subject = match worst.endpoint {
            Some(_) => "it",
            None => &worst.subject,
        };
        (
            Some(format!("{subject} {}: {}", worst.what, worst.why)),
            weight,
        )
    }

    /// Classes of sensitive data that count. Who sends a secret of their own does as the endpoint
    /// asks, and a login answers with a token.
    fn classes(&self, are: impl Fn(&SensitiveView) -> bool) -> BTreeSet<&str> {
        let token = |s: &SensitiveView| matches!(s.class.as_str(), "secret:token" | "secret:jwt");
        let counts = |s: &SensitiveView| is_answer(s) || is_personal(s);
        let found = self.sensitive.iter().filter(|s| counts(s) && are(s));
        let found = found.filter(|s| !(self.login && token(s)));
        found.map(|s| s.class.as_str()).collect()
    }

    fn differs(&self) -> Option<String> {
        match self.drift {
            0 => None,
            1 => Some("it differs from its spec in one way".into()),
            n => Some(format!("it differs from its spec in {n} ways")),
        }
    }

    fn is_external(&self) -> Option<String> {
        let outside = self.exposure == Some(Zone::External);
        outside.then(|| format!("{} calls from outside were answered", self.external))
    }

    fn enumerable(&self) -> Option<String> {
        let (numbered, all) = (self.numbered, self.answered);
        let why = "answered calls named an object by a number, and numbers can be counted through";
        (numbered * 2 > all).then(|| format!("{numbered} of {all} {why}"))
    }
}

fn is_answer(s: &SensitiveView) -> bool {
    s.direction == "response"
}

fn is_personal(s: &SensitiveView) -> bool {
    !s.class.starts_with("secret:")
}

fn is_high(class: &str) -> bool {
    matches!(
        class,
        "pii:card"
            | "pii:iban"
            | "pii:national-id"
            | "pii:health"
            | "secret:password"
            | "secret:private-key"
    )
}

fn words(classes: &BTreeSet<&str>) -> String {
    classes.iter().copied().collect::<Vec<_>>().join(", ")
}

fn data(classes: &BTreeSet<&str>) -> Option<String> {
    (!classes.is_empty()).then(|| format!("it carries {}", words(classes)))
}

#[cfg(test)]
mod tests;
