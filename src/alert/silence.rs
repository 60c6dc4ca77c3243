//! Rules for silence: what is kept and counted, and not told, until a time.
//!
//! A rule says at least one of who, where and what; all that it says has to hold. It has an author,
//! a reason and an end, after which it drops out, and that is said. Rules come from the config, and
//! from people over the UI and the API; those are on disk before they hold.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Alert;
use super::manager::Manager;
use super::route::{Window, glob};
use crate::time::Timestamp;

/// The longest that a rule lasts.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// Rules that hold at once.
const RULES: usize = 1_000;
/// Rules that have ended and are shown.
const ENDED: usize = 100;
/// Characters of each part.
const CHARS: usize = 500;

/// What a rule is about. Texts are patterns with `*`, without regard to case; a part that is not
/// there asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Scope {
    /// An identity, an address, or a prefix (`10.0.0.0/8`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detector: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// `mon` to `sun`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<String>,
    /// `22:00-06:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    /// Of the days and hours; the machine's where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

impl Scope {
    /// The parts that name something, with their names.
    pub fn parts(&self) -> Vec<(&'static str, &str)> {
        let parts = [
            ("principal", &self.principal),
            ("endpoint", &self.endpoint),
            ("kind", &self.kind),
            ("detector", &self.detector),
            ("host", &self.host),
        ];
        let named = parts.into_iter();
        named
            .filter_map(|(name, part)| Some((name, part.as_deref()?)))
            .collect()
    }

    fn ready(&self) -> Result<Rule, String> {
        let is_stars = |p: &str| !p.is_empty() && p.bytes().all(|b| b == b'*');
        // A window for maintenance may be for all; a rule without one may not.
        let always = self.days.is_empty() && self.hours.is_none();
        let parts = self.parts();
        if parts.is_empty() || always && parts.iter().all(|(_, part)| is_stars(part)) {
            return Err("say who, where or what: a rule for everything is none".into());
        }
        let mut parts = self.parts().into_iter();
        if let Some((name, _)) = parts.find(|(_, p)| p.is_empty() || p.chars().count() > CHARS) {
            return Err(format!("{name} is to have 1 to {CHARS} characters"));
        }
        Ok(Rule {
            scope: self.clone(),
            net: self.principal.as_deref().map(net).transpose()?.flatten(),
            window: Window::parse(&self.days, self.hours.as_deref(), self.timezone.as_deref())?,
        })
    }
}

/// The prefix that a principal's part is; none where it is an identity, an address or a pattern.
fn net(principal: &str) -> Result<Option<IpNet>, String> {
    let is_address = |(address, _): (&str, &str)| address.parse::<IpAddr>().is_ok();
    match principal.parse() {
        Ok(net) => Ok(Some(net)),
        Err(_) if principal.split_once('/').is_some_and(is_address) => Err(format!(
            "principal: `{principal}` is no prefix: an IPv4 address takes /0 to /32, an IPv6 address /0 to /128"
        )),
        Err(_) => Ok(None),
    }
}

/// A rule, one item of `/api/v1/silences`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Silence {
    /// `s12`; of the config `config-1`.
    pub id: String,
    #[serde(flatten)]
    pub scope: Scope,
    /// When it was made, wall time.
    pub at: Timestamp,
    pub until: Timestamp,
    pub by: String,
    pub reason: String,
    /// What it kept silent so far.
    #[serde(default)]
    pub silenced: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended: Option<Ended>,
}

/// When a rule ended, and who ended it: `apitap` where its time was over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Ended {
    pub at: Timestamp,
    pub by: String,
}

impl Silence {
    /// Checks what somebody asks for; `id` comes with it where it is from the config.
    pub fn check(&self) -> Result<(), String> {
        self.scope.ready()?;
        if self.reason.trim().is_empty() || self.reason.chars().count() > CHARS {
            return Err(format!("a reason is needed, of at most {CHARS} characters"));
        }
        Ok(())
    }

    /// Of these, what it would have kept silent: the same question as is asked when one rings.
    pub fn would_keep<'a>(&self, alerts: &'a [Arc<Alert>]) -> Result<Vec<&'a Arc<Alert>>, String> {
        let rule = self.scope.ready()?;
        Ok(alerts.iter().filter(|a| rule.holds(a, a.ts)).collect())
    }
}

/// A rule that is ready to be asked.
#[derive(Clone, Debug)]
struct Rule {
    scope: Scope,
    net: Option<IpNet>,
    window: Window,
}

impl Rule {
    fn holds(&self, a: &Alert, now: Timestamp) -> bool {
        let is = |pattern: &Option<String>, text: Option<&str>| {
            (pattern.as_deref()).is_none_or(|p| text.is_some_and(|text| glob(p, text)))
        };
        let Scope {
            endpoint,
            kind,
            detector,
            host,
            ..
        } = &self.scope;
        is(endpoint, a.endpoint.as_deref())
            && is(kind, Some(&a.kind))
            && is(detector, Some(&a.detector))
            && is(host, a.host.as_deref())
            && self.is_of(a)
            && self.window.is_open(now)
    }

    fn is_of(&self, a: &Alert) -> bool {
        let Some(pattern) = self.scope.principal.as_deref() else {
            return true;
        };
        let Some(principal) = &a.principal else {
            return false;
        };
        let client = principal.client.as_deref();
        let identity = principal.identity.as_deref();
        if identity.is_some_and(|id| glob(pattern, id)) || client.is_some_and(|c| glob(pattern, c))
        {
            return true;
        }
        let network = client.and_then(|c| {
            c.parse()
                .ok()
                .or_else(|| Some(c.parse::<IpAddr>().ok()?.into()))
        });
        match (self.net, network) {
            (Some(net), Some(client)) => net.contains::<&IpNet>(&client),
            _ => false,
        }
    }
}

/// All rules of now, and the last that ended.
#[derive(Debug, Default)]
pub(super) struct Silences {
    rules: BTreeMap<String, (Silence, Rule)>,
    ended: VecDeque<Silence>,
    next: u64,
}

impl Silences {
    pub(super) fn new(of_config: &[Silence]) -> Self {
        let mut out = Self::default();
        for silence in of_config {
            // They were checked when the config was read.
            if let Ok(rule) = silence.scope.ready() {
                out.rules
                    .insert(silence.id.clone(), (silence.clone(), rule));
            }
        }
        out
    }

    /// The first rule that keeps it silent, which is counted there.
    pub(super) fn keeps(&mut self, a: &Alert) -> Option<String> {
        let now = a.ts;
        let mut all = self.rules.values_mut();
        let (silence, _) = all.find(|(s, rule)| now < s.until && rule.holds(a, now))?;
        silence.silenced += 1;
        Some(silence.id.clone())
    }

    fn end(&mut self, id: &str, by: &str, at: Timestamp) -> Option<Silence> {
        let (mut silence, _) = self.rules.remove(id)?;
        silence.ended = Some(Ended {
            at,
            by: by.to_owned(),
        });
        self.keep_ended(silence.clone());
        Some(silence)
    }

    fn keep_ended(&mut self, silence: Silence) {
        self.ended.push_back(silence);
        while self.ended.len() > ENDED {
            self.ended.pop_front();
        }
    }

    fn restore(&mut self, kept: Vec<Silence>) {
        for silence in kept {
            let number = silence.id.trim_start_matches('s').parse();
            self.next = self.next.max(number.unwrap_or(0));
            match silence.scope.ready() {
                Ok(rule) if silence.ended.is_none() => {
                    self.rules.insert(silence.id.clone(), (silence, rule));
                }
                _ => self.keep_ended(silence),
            }
        }
    }

    /// When the next rule ends.
    pub(super) fn next_end(&self) -> Timestamp {
        let ends = self.rules.values().map(|(silence, _)| silence.until);
        ends.min().unwrap_or(Timestamp::MAX)
    }

    /// Those that hold, then those that ended, newest first.
    pub(super) fn view(&self) -> Vec<Arc<Silence>> {
        let holding = self.rules.values().map(|(silence, _)| silence);
        let mut holding: Vec<&Silence> = holding.collect();
        holding.sort_by_key(|s| (s.until, s.at));
        let all = holding.into_iter().chain(self.ended.iter().rev());
        all.map(|s| Arc::new(s.clone())).collect()
    }
}

impl Manager {
    /// Takes back the rules that people made.
    pub fn restore_silences(&mut self, kept: Vec<Silence>) {
        self.silences.restore(kept);
        self.wake = self.wake.min(self.silences.next_end());
        self.changed();
    }

    /// A rule from a person. The error says what is wrong with it.
    pub fn silence(&mut self, wanted: Silence) -> Result<Silence, String> {
        wanted.check()?;
        if wanted.until <= wanted.at || wanted.until.since(wanted.at) > LONGEST {
            return Err("a rule ends within a year: say until when".into());
        }
        if self.silences.rules.len() >= RULES {
            return Err(format!("there are {RULES} rules already: end some"));
        }
        let rule = wanted.scope.ready()?;
        self.silences.next += 1;
        let silence = Silence {
            id: format!("s{}", self.silences.next),
            silenced: 0,
            ended: None,
            ..wanted
        };
        let kept = (silence.clone(), rule);
        self.silences.rules.insert(silence.id.clone(), kept);
        self.wake = self.wake.min(silence.until);
        self.changed();
        Ok(silence)
    }

    /// Ends a rule before its time.
    pub fn end_silence(&mut self, id: &str, by: &str, at: Timestamp) -> Result<Silence, String> {
        if id.starts_with("config-") && self.silences.rules.contains_key(id) {
            return Err("it stands in the config: take it out there".into());
        }
        self.changed();
        let ended = self.silences.end(id, by, at);
        ended.ok_or_else(|| format!("there is no rule {id} that holds"))
    }

    /// Rules whose time is over drop out.
    pub(super) fn expire_silences(&mut self, now: Timestamp) {
        let rules = self.silences.rules.values();
        let over = rules.filter(|(silence, _)| silence.until <= now);
        let over: Vec<String> = over.map(|(silence, _)| silence.id.clone()).collect();
        for id in over {
            let ended = self.silences.end(&id, super::life::SELF, now);
            self.over.extend(ended);
            self.changed();
        }
        self.wake = self.wake.min(self.silences.next_end());
    }

    /// Rules whose time was over, since the last call: to be said, and put on disk.
    pub fn ended_silences(&mut self) -> Vec<Silence> {
        std::mem::take(&mut self.over)
    }
}

#[cfg(test)]
mod tests;
