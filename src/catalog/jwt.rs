//! The JSON web tokens that an endpoint takes: their algorithms, lives, and what is odd about them.
//! Only tokens of calls that it answered count: what it refuses harms nobody.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::auth::Around;
use super::exposure::{Exposure, ExposureKind, Severity};
use super::seen::Seen;
use crate::exchange::{Classes, Exchange, Jwt, JwtFlags};
use crate::time::Timestamp;

/// Algorithms and issuers of one endpoint that are told apart.
const MAX_ALGORITHMS: usize = 16;
const MAX_ISSUERS: usize = 8;
/// Bits of an issuer's algorithms: with a shared secret, with a key pair.
const SHARED: u8 = 1;
const PAIR: u8 = 2;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tokens(Option<Box<Known>>);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Known {
    algorithms: BTreeMap<String, Seen>,
    /// In the order of [`JwtFlags::ALL`].
    flags: [Option<Seen>; JwtFlags::ALL.len()],
    /// In seconds; and those over the limit.
    longest: Option<u64>,
    long: Option<Seen>,
    classes: BTreeMap<Classes, Seen>,
    /// By keyed hash, the kinds of their algorithms.
    issuers: BTreeMap<String, u8>,
    /// An issuer's tokens were taken with both kinds.
    both: Option<Seen>,
    /// Something came that the host's alert may not know of.
    news: bool,
}

/// The tokens that an endpoint was called with and answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct JwtView {
    pub algorithms: BTreeMap<String, JwtCount>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flags: BTreeMap<String, JwtCount>,
    /// Classes of sensitive data in claims.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, JwtCount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_life_s: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct JwtCount {
    pub count: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}

impl JwtCount {
    fn of(seen: &Seen) -> Self {
        Self {
            count: seen.count,
            first_seen: seen.first,
            last_seen: seen.last,
        }
    }
}

impl Tokens {
    /// Takes the token of a call that was answered; `max_life` in seconds.
    pub(super) fn take(&mut self, x: &Exchange, max_life: u64) {
        if let Some(jwt) = &x.jwt {
            let known = self.0.get_or_insert_default();
            known.take(jwt, x.ts, max_life);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if let Some(theirs) = &other.0 {
            self.0.get_or_insert_default().merge(theirs);
        }
    }

    /// Whether something came since the last call.
    pub(super) fn take_news(&mut self) -> bool {
        self.0
            .as_mut()
            .is_some_and(|known| std::mem::take(&mut known.news))
    }

    pub(super) fn view(&self) -> Option<JwtView> {
        let known = self.0.as_ref()?;
        let flags = JwtFlags::ALL.iter().zip(&known.flags);
        let flags = flags.filter_map(|((_, name), seen)| Some((*name, seen.as_ref()?)));
        let both = known.both.iter().map(|seen| ("mixed-algorithms", seen));
        Some(JwtView {
            algorithms: (known.algorithms.iter())
                .map(|(alg, seen)| (alg.clone(), JwtCount::of(seen)))
                .collect(),
            flags: (flags.chain(both))
                .map(|(name, seen)| (name.to_owned(), JwtCount::of(seen)))
                .collect(),
            classes: (known.classes.iter())
                .flat_map(|(class, seen)| class.names().map(move |name| (name, seen)))
                .map(|(name, seen)| (name.to_owned(), JwtCount::of(seen)))
                .collect(),
            longest_life_s: known.longest,
        })
    }

    /// What it comes to. Info alone where it is to be known and no hole by itself.
    pub(super) fn exposures(&self, around: &Around<'_>) -> Vec<Exposure> {
        let Some(known) = &self.0 else {
            return Vec::new();
        };
        known.exposures(around)
    }
}

impl Known {
    fn take(&mut self, jwt: &Jwt, ts: Timestamp, max_life: u64) {
        let mut news = false;
        let algorithm = self.algorithms.entry(jwt.alg.to_string());
        algorithm
            .and_modify(|seen| seen.merge(&Seen::at(ts)))
            .or_insert_with(|| Seen::at(ts));
        for at in jwt.flags.each() {
            news |= Seen::take(&mut self.flags[at], ts);
        }
        self.longest = self.longest.max(jwt.life_s);
        if jwt.life_s.is_some_and(|life| life > max_life) {
            news |= Seen::take(&mut self.long, ts);
        }
        for class in jwt.classes.each() {
            let known = self.classes.get_mut(&class);
            news |= known.is_none();
            match known {
                Some(seen) => seen.merge(&Seen::at(ts)),
                None => {
                    self.classes.insert(class, Seen::at(ts));
                }
            }
        }
        let kind = match jwt.alg.as_str() {
            alg if alg.starts_with("HS") => SHARED,
            "none" | "other" => 0,
            _ => PAIR,
        };
        if let Some(issuer) = &jwt.issuer {
            let kinds = self.issuers.entry(issuer.to_string()).or_default();
            *kinds |= kind;
            if *kinds == SHARED | PAIR {
                news |= Seen::take(&mut self.both, ts);
            }
        }
        self.bound();
        self.news |= news;
    }

    fn merge(&mut self, other: &Self) {
        for (alg, theirs) in &other.algorithms {
            let mine = self.algorithms.entry(alg.clone());
            mine.and_modify(|mine| mine.merge(theirs))
                .or_insert(*theirs);
        }
        for (mine, theirs) in self.flags.iter_mut().zip(other.flags) {
            Seen::add(mine, theirs);
        }
        self.longest = self.longest.max(other.longest);
        Seen::add(&mut self.long, other.long);
        Seen::add(&mut self.both, other.both);
        for (class, theirs) in &other.classes {
            let mine = self.classes.entry(*class);
            mine.and_modify(|mine| mine.merge(theirs))
                .or_insert(*theirs);
        }
        for (issuer, kinds) in &other.issuers {
            *self.issuers.entry(issuer.clone()).or_default() |= kinds;
        }
        self.bound();
        self.news |= other.news;
    }

    fn bound(&mut self) {
        while self.algorithms.len() > MAX_ALGORITHMS {
            self.algorithms.pop_last();
        }
        while self.issuers.len() > MAX_ISSUERS {
            self.issuers.pop_last();
        }
    }

    fn flag(&self, flag: JwtFlags) -> Option<Seen> {
        let at = flag.each().next()?;
        self.flags[at]
    }

    fn exposures(&self, around: &Around<'_>) -> Vec<Exposure> {
        use ExposureKind::*;
        let secrets = |secret: bool| {
            let of = self.classes.iter();
            let of = of.flat_map(|(class, seen)| class.names().map(move |name| (name, seen)));
            let of = of.filter(move |(name, _)| name.starts_with("secret:") == secret);
            let mut all: Option<(Vec<&str>, Seen)> = None;
            for (name, seen) in of {
                match &mut all {
                    Some((names, sum)) => {
                        names.push(name);
                        sum.merge(seen);
                    }
                    None => all = Some((vec![name], *seen)),
                }
            }
            all.map(|(names, seen)| (names.join(", "), seen))
        };
        let mut out = Vec::new();
        let mut add = |kind, severity, seen: Option<Seen>, what: String, why: &str| {
            if let Some(seen) = seen {
                let exposure = Exposure {
                    endpoint: Some(around.key.to_owned()),
                    why: why.to_owned(),
                    first_seen: seen.first,
                    last_seen: seen.last,
                    count: seen.count,
                    scheme: Some("jwt".to_owned()),
                    ..Exposure::new(kind, severity, around.host, what)
                };
                out.push(exposure.about(around.label));
            }
        };
        add(
            JwtNone,
            Severity::Critical,
            self.flag(JwtFlags::ALG_NONE),
            "answers tokens that nobody signed (alg none)".into(),
            "whoever writes such a token is who it says",
        );
        add(
            JwtExpiredAccepted,
            Severity::High,
            self.flag(JwtFlags::EXPIRED),
            "answers tokens that are over".into(),
            "a stolen token is good for ever",
        );
        add(
            JwtNoExpiry,
            Severity::Medium,
            self.flag(JwtFlags::NO_EXP),
            "takes tokens without an end (no exp)".into(),
            "a stolen token is good for ever",
        );
        add(
            JwtLongLife,
            Severity::Low,
            self.long,
            "takes tokens of a long life".into(),
            &format!(
                "the longest is good for {}",
                days(self.longest.unwrap_or(0))
            ),
        );
        add(
            JwtMixedAlgorithms,
            Severity::Medium,
            self.both,
            "takes tokens of one issuer with a shared secret and with a key pair".into(),
            "who may choose the algorithm may sign with the public key as the secret",
        );
        add(
            JwtKeyUrl,
            Severity::Low,
            self.flag(JwtFlags::KEY_URL),
            "answers tokens that say where their key is to be fetched".into(),
            "a server that follows jku, x5u or kid takes the sender's own key",
        );
        for (secret, severity) in [(true, Severity::Medium), (false, Severity::Info)] {
            if let Some((names, seen)) = secrets(secret) {
                let what = format!("takes tokens with {names} in their claims");
                let why = "claims are encoded, not encrypted: whoever holds the token reads them";
                add(JwtSecretClaim, severity, Some(seen), what, why);
            }
        }
        out
    }
}

fn days(seconds: u64) -> String {
    match seconds / 86_400 {
        0 => format!("{} hours", seconds / 3_600),
        1 => "a day".to_owned(),
        n => format!("{n} days"),
    }
}
