//! Where an identity calls from: a new country, network or client program, or two places too far
//! apart for the time between.
//!
//! People travel, change networks and update their programs, so each sign is worth what it is rare:
//! a country by how few identities were ever seen in it, the others by how seldom known identities
//! bring one, or this one does. An identity's day is one test; its score is the sum of its signs.
//! By itself that is information, of which a person reads a few a day (`INFO` a week for each false
//! alarm borne). It becomes an alert of medium severity where another detector tells
//! of the same identity within six hours, before or after: stolen credentials are used.
//!
//! A network is an IPv4 /16 or an IPv6 /32, about what one provider announces; a program is the
//! first product's name in the user agent, without version.

use std::collections::BTreeMap;
use std::net::IpAddr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::budget::Rung;
use super::countries;
use super::distinct::{hash_text, mix};
use super::principals::Followed;
use super::verdict;
use super::{Clock, Place, Severity, Verdict, VerdictKind};
use crate::exchange::Exchange;
use crate::time::Timestamp;

/// Lines of information for each false alarm that a person will bear.
const INFO: f64 = 20.0;
/// Lines of one country, and of all, in a day: where many come at once a few tell of it.
const OF_ONE: u32 = 2;
const DAILY: u32 = 40;
/// What more than one identity in a thousand brings in a day is not worth a line.
const LEAST: f64 = 3.0;
/// Days an identity must have been seen on before anything is new for it.
const KNOWN: u32 = 3;
/// A sign with this score, a hundredth, is worth joining with another verdict.
const NOTABLE: f32 = 2.0;
const JOINED: i64 = 6 * HOUR;
const HOUR: i64 = 3_600_000_000_000;
/// Kilometres an hour that no one travels.
const FASTEST: f64 = 1_000.0;
/// Signs of others are forgotten with this weight of days.
const LONG: f64 = 100_000.0;

/// What an identity has been seen with: marks of sixteen bits, the latest first.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sources {
    countries: [u16; 4],
    networks: [u16; 6],
    programs: [u16; 3],
    /// The country of the last call with one, and its second.
    last: Option<([u8; 2], i64)>,
    day: i64,
    days: u32,
    /// How often the network, the program was new, and a journey too fast.
    own: [u16; 3],
    sign: Option<Sign>,
    /// When a sign was last told, when another detector told of it, and when both were joined.
    told: i64,
    alarm: i64,
    joined: i64,
}

/// What was new of the latest sign.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Sign {
    at: i64,
    score: f32,
    country: Option<[u8; 2]>,
    /// Country before, kilometres and minutes between.
    journey: Option<([u8; 2], f32, f32)>,
    network: bool,
    program: bool,
}

/// What is known of all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Atlas {
    /// Identities by country they were seen in, and all with a country.
    countries: BTreeMap<[u8; 2], Country>,
    named: f64,
    /// Days of known identities, and on how many the network, the program was new, a journey too
    /// fast.
    days: f64,
    signs: [f64; 3],
    /// Since when known identities' days are counted.
    hour: i64,
    told: Told,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Country {
    identities: f64,
    told: Told,
}

/// Information told on a day.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Told {
    day: i64,
    count: u32,
}

/// A sign that is worth telling.
#[derive(Clone, Copy, Debug)]
pub(super) struct Odd {
    sign: Sign,
    days: u32,
    rung: Rung,
    alarm: Option<i64>,
}

impl Atlas {
    /// Takes one exchange of an identity.
    pub(super) fn visit(
        &mut self,
        sources: &mut Sources,
        x: &Exchange,
        at: &Clock,
        budget: f64,
    ) -> Option<Odd> {
        self.turn(sources, at);
        let known = sources.days > KNOWN;
        let country = x.country.as_deref().and_then(code);
        let new_country = country.filter(|c| note(&mut sources.countries, text(c)));
        let rarity = new_country.map_or(0.0, |c| self.enter(c, sources));
        let network = note(&mut sources.networks, network(x.client));
        let program = program(x).is_some_and(|p| note(&mut sources.programs, p));
        let journey = country.and_then(|c| sources.journey(c, at));
        if !known {
            return None;
        }
        let seen = [network, program, journey.is_some()];
        let mut score = rarity;
        for (i, _) in seen.iter().enumerate().filter(|(_, seen)| **seen) {
            score += self.surprise(i, sources);
        }
        if score <= 0.0 {
            return None;
        }
        let sign = Sign {
            at: at.nanos,
            score: score as f32,
            country: new_country,
            journey,
            network,
            program,
        };
        let stronger = |old: Sign| old.score > sign.score && at.nanos - old.at < JOINED;
        if !sources.sign.is_some_and(stronger) {
            sources.sign = Some(sign);
        }
        let rung = self.rung(score, INFO * budget, at);
        let quiet = sources.told == 0 || at.nanos - sources.told >= JOINED;
        let worth = at.ringing && quiet && score >= LEAST.max(-rung.bar);
        if !worth || !self.spare(country, at) {
            return None;
        }
        sources.told = at.nanos;
        Some(Odd {
            sign,
            days: sources.days,
            rung,
            alarm: None,
        })
    }

    /// Another detector told of this identity, now or lately: with a sign about it is more.
    pub(super) fn join(&self, sources: &mut Sources, alarmed: bool, at: &Clock) -> Option<Odd> {
        if alarmed {
            sources.alarm = at.nanos;
        }
        let sign = sources.sign.filter(|s| s.score >= NOTABLE)?;
        let near = |when: i64| when != 0 && at.nanos - when < JOINED;
        if !at.ringing || !near(sources.alarm) || !near(sign.at) || near(sources.joined) {
            return None;
        }
        sources.joined = at.nanos;
        Some(Odd {
            sign,
            days: sources.days,
            rung: self.rung(f64::from(sign.score), INFO, at),
            alarm: Some(sources.alarm),
        })
    }

    /// An identity's new day: one test more, once it is known.
    fn turn(&mut self, sources: &mut Sources, at: &Clock) {
        let day = at.secs.div_euclid(86_400) + 1;
        if day == sources.day {
            return;
        }
        sources.day = day;
        sources.days = sources.days.saturating_add(1);
        if sources.days <= KNOWN {
            return;
        }
        if self.days == 0.0 {
            self.hour = at.hour;
        }
        self.days += 1.0;
        if self.days > LONG {
            self.hour += (at.hour - self.hour) / 2;
            self.days /= 2.0;
            self.signs.iter_mut().for_each(|n| *n /= 2.0);
        }
    }

    /// How rare a country is among identities; this one is in it from here on.
    fn enter(&mut self, country: [u8; 2], sources: &Sources) -> f64 {
        let there = self.countries.entry(country).or_default();
        let rarity = -((there.identities + 1.0) / (self.named + 20.0)).log10();
        there.identities += 1.0;
        if sources.countries[1] == 0 {
            self.named += 1.0;
        }
        rarity.max(0.0)
    }

    /// How seldom known identities, or this one, bring such a sign in a day.
    fn surprise(&mut self, sign: usize, sources: &mut Sources) -> f64 {
        let others = (self.signs[sign] + 1.0) / (self.days + 20.0);
        let own = f64::from(sources.own[sign]) / f64::from(sources.days.max(1));
        self.signs[sign] += 1.0;
        sources.own[sign] = sources.own[sign].saturating_add(1);
        -others.max(own).min(1.0).log10()
    }

    /// Signs are taken for independent: the score is the exponent, tests are identities' days.
    fn rung(&self, score: f64, per_week: f64, at: &Clock) -> Rung {
        let weeks = (at.hour - self.hour).max(24) as f64 / (7.0 * 24.0);
        let tests_per_week = (self.days / weeks).max(1.0);
        Rung {
            log10_p: -score,
            bar: (per_week.max(1e-9) / tests_per_week).log10().min(-1.0),
            tests_per_week,
        }
    }

    /// Whether there is room on this day, for this country.
    fn spare(&mut self, country: Option<[u8; 2]>, at: &Clock) -> bool {
        let day = at.secs.div_euclid(86_400);
        let own = country.and_then(|c| self.countries.get_mut(&c));
        own.is_none_or(|c| c.told.more(day, OF_ONE)) && self.told.more(day, DAILY)
    }
}

impl Told {
    fn more(&mut self, day: i64, most: u32) -> bool {
        if self.day != day {
            *self = Self { day, count: 0 };
        }
        self.count += 1;
        self.count <= most
    }
}

impl Sources {
    /// Where the last call came from so far a place that no one gets here in the time between.
    fn journey(&mut self, here: [u8; 2], at: &Clock) -> Option<([u8; 2], f32, f32)> {
        let (there, then) = self.last.replace((here, at.secs))?;
        if there == here {
            return None;
        }
        let kilometres = countries::apart(letters(&there), letters(&here))?;
        let hours = (at.secs - then).max(0) as f64 / 3_600.0;
        (kilometres > FASTEST * hours).then_some((there, kilometres as f32, (hours * 60.0) as f32))
    }
}

/// Puts a mark first; true where it is new, and others were there before.
fn note<const N: usize>(marks: &mut [u16; N], mark: u16) -> bool {
    let mark = mark.max(1);
    let place = marks.iter().position(|m| *m == mark);
    marks[..=place.unwrap_or(N - 1)].rotate_right(1);
    marks[0] = mark;
    place.is_none()
}

pub(super) fn code(country: &str) -> Option<[u8; 2]> {
    let bytes: [u8; 2] = country.as_bytes().try_into().ok()?;
    bytes.iter().all(u8::is_ascii_uppercase).then_some(bytes)
}

pub(super) fn letters(country: &[u8; 2]) -> &str {
    std::str::from_utf8(country).unwrap_or("??")
}

fn text(country: &[u8; 2]) -> u16 {
    u16::from_be_bytes(*country)
}

fn network(client: IpAddr) -> u16 {
    match client.to_canonical() {
        IpAddr::V4(v4) => mix(u64::from(u32::from(v4) >> 16)) as u16,
        IpAddr::V6(v6) => mix((u128::from(v6) >> 96) as u64 | 1 << 40) as u16,
    }
}

fn program(x: &Exchange) -> Option<u16> {
    let agent = x.user_agent.as_deref().filter(|a| !a.is_empty())?;
    let name = agent.split(['/', ' ', ';']).next().unwrap_or(agent);
    // Browsers all call themselves alike at first, and tell the system next.
    let rest = agent.split_once('(').map_or("", |(_, rest)| rest);
    let system = rest.split([' ', ';', ')']).next().unwrap_or_default();
    Some(mix(hash_text(name) ^ hash_text(system).rotate_left(9)) as u16)
}

pub(super) fn tell(odd: Odd, who: &Followed, x: &Exchange, at: &Clock) -> Verdict {
    let sign = odd.sign;
    let mut signs: Vec<String> = Vec::new();
    if let Some((there, kilometres, minutes)) = sign.journey {
        signs.push(format!(
            "at least {kilometres:.0} km from its last call in {}, {minutes:.0} min before",
            letters(&there)
        ));
    }
    signs.extend(sign.country.map(|c| {
        format!(
            "from {}, where it was never seen in {} days",
            letters(&c),
            odd.days
        )
    }));
    if sign.network {
        signs.push("from a network that is new to it".into());
    }
    if sign.program {
        signs.push("by a client program that is new to it".into());
    }
    let detector = match sign {
        Sign {
            journey: Some(_), ..
        } => "impossible-travel",
        Sign {
            country: Some(_), ..
        } => "new-country",
        Sign { network: true, .. } => "new-network",
        _ => "new-program",
    };
    let mut why = signs.clone();
    why.push(format!(
        "as rare as 1 in 10^{:.1} days of an identity, by what others do",
        sign.score
    ));
    why.extend(odd.alarm.map(|_| {
        "another detector told of it within six hours: together they are more than information"
            .into()
    }));
    why.push(verdict::odds(odd.rung));
    let samples: Vec<CompactString> = vec![verdict::sample(x)];
    Verdict {
        at: Timestamp(at.nanos),
        kind: VerdictKind::Source,
        severity: if odd.alarm.is_some() {
            Severity::Medium
        } else {
            Severity::Info
        },
        score: verdict::score(odd.rung),
        detector: detector.into(),
        principal: Some(who.principal()),
        endpoint: None,
        host: None,
        since: Timestamp(sign.at),
        until: Timestamp(at.nanos),
        expected: 0.0,
        observed: signs.len() as f64,
        log10_p: odd.rung.log10_p,
        summary: format!("{}: {}", who.describe(), signs.join(", ")),
        why,
        samples: samples.into_iter().map(Into::into).collect(),
        series: Vec::new(),
        owasp: "API2:2023".into(),
        parts: verdict::parts(odd.rung, [("rarity_log10", f64::from(sign.score))]),
        place: Place::default(),
    }
}
