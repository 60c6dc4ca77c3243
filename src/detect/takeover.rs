//! Accounts that change hands: a login that succeeds after a run of failures, for its name or from
//! its address; a token that is used in two places nobody gets to in time; one login name that is
//! tried from many addresses.
//!
//! Who forgot a password fails some times and then gets in, from where they always do. How long such
//! runs are is learnt from all logins: a run of n failures has the chance q^n, where q is how often a
//! failure is followed by another. A login name from an address it never came from is judged apart.
//! A traveller is in one country at a time; one token in two of them in turns is two people. One
//! journey too fast is [`sources`](super::sources)'.

use std::net::IpAddr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::abuse::Seen;
use super::budget::{Cell, Rung};
use super::countries::apart;
use super::credential::failed;
use super::distinct::{Distinct, hash_text, mix};
use super::principals::network;
use super::recent::Recent;
use super::tail::log10_upper;
use super::{Severity, Verdict, VerdictKind, verdict};
use crate::time::Timestamp;

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
/// Failures that a forgotten password explains, where it ends at an address that is known or not.
const FORGOTTEN: u32 = 10;
const FORGOTTEN_ELSEWHERE: u32 = 6;
/// Failures in a row from one address that are somebody's own, and names among them that are not.
const OWN: u32 = 10;
const NAMES: f64 = 3.0;
/// Longer runs are attacks: their steps are not learnt.
const LEARNT: u32 = 20;
/// Addresses that one name fails from in a day, below which it is a person with a telephone.
const ADDRESSES: f64 = 6.0;
/// Faster than airliners, with nothing for the way to them.
const KM_PER_HOUR: f64 = 1_000.0;
/// Nearer places are told apart by mistake.
const LEAST_KM: f64 = 500.0;
/// Changes of the place within an hour, from which two people are at it: four times there and back.
/// Fewer come about where a crowd borrows tokens that are in use at home.
const TURNS: u32 = 8;
/// Days after which a country is one of the principal's own.
const SETTLED_DAYS: u8 = 3;
const COUNTRIES: usize = 4;
const USUAL: usize = 4;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Takeover {
    names: Recent<LoginName>,
    clients: Recent<Client>,
    uses: Recent<Use>,
    /// Attempts that follow a failure, and those that fail, by name and by address.
    chains: [Chain; 2],
    /// Addresses of failures by name and day.
    addresses: Mean,
    /// Runs at a known address, elsewhere, and by address; addresses; turns.
    cells: [Cell; 5],
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Chain {
    tries: f64,
    failures: f64,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Mean {
    n: f64,
    sum: f64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct LoginName {
    run: u32,
    since: i64,
    last: i64,
    /// Addresses that it came from with success, by hash.
    usual: Vec<u32>,
    day: i64,
    failing: Distinct,
    /// The most in one day before, which fades.
    most: f32,
    place: u8,
    told: f64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Client {
    run: u32,
    since: i64,
    last: i64,
    names: Distinct,
}

/// Of one identity.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Use {
    country: CompactString,
    client: u64,
    at: i64,
    /// Countries, the days that it was there, and the last of them.
    known: Vec<(CompactString, u8, i64)>,
    /// Of the hour since the first change of place.
    since: i64,
    turns: u32,
    place: u8,
    hijacked: bool,
}

impl Takeover {
    pub(super) fn visit(&mut self, seen: &Seen<'_>, per_week: f64, out: &mut Vec<Verdict>) {
        if seen.access.login || seen.x.login.is_some() {
            self.login(seen, per_week, out);
        }
        let answered = seen.x.status.is_some_and(|s| (200..300).contains(&s));
        if let (Some(identity), Some(country), true) = (&seen.x.identity, &seen.x.country, answered)
        {
            self.used(identity, country, seen, per_week, out);
        }
    }

    fn login(&mut self, seen: &Seen<'_>, per_week: f64, out: &mut Vec<Verdict>) {
        let fails = failed(seen.access, seen.x);
        let succeeds = seen.x.status.is_some_and(|s| (200..300).contains(&s));
        // Redirections say neither; errors of the server are nobody's.
        if !fails && !succeeds {
            return;
        }
        let client = place(seen.x.client);
        let name = seen.x.login.as_deref().map(hash_text);
        if let Some(name) = name {
            self.by_name(name, client, fails, seen, per_week, out);
        }
        self.by_client(client, name, fails, seen, per_week, out);
    }

    fn by_name(
        &mut self,
        name: u64,
        client: u64,
        fails: bool,
        seen: &Seen<'_>,
        per_week: f64,
        out: &mut Vec<Verdict>,
    ) {
        let at = seen.at;
        let known = self.names.of(name, at.nanos);
        known.turn(at.secs, &mut self.addresses);
        self.chains[0].take(known.run, fails);
        if fails {
            if known.run == 0 {
                known.since = at.nanos;
            }
            known.run = known.run.saturating_add(1);
            known.last = at.secs;
            let cell = &mut self.cells[3];
            let mean = self.addresses.mean();
            let found = known.fails_from(client, mean, cell, seen, per_week);
            out.extend(found.map(|(d, most, rung)| many_addresses(seen, d, most, mean, rung)));
            return;
        }
        let run = std::mem::take(&mut known.run);
        let place = client as u32;
        let familiar = known.usual.contains(&place);
        if !familiar {
            known.usual.truncate(USUAL - 1);
            known.usual.insert(0, place);
        }
        if run == 0 {
            return;
        }
        let since = known.since;
        let (cell, least) = match familiar {
            true => (&mut self.cells[0], FORGOTTEN),
            false => (&mut self.cells[1], FORGOTTEN_ELSEWHERE),
        };
        let rung = judge_run(cell, self.chains[0], (run, least), seen, per_week);
        let whence = match familiar {
            true => "from an address it is known at",
            false => "from an address it never came from",
        };
        let why = format!("{run} failures in a row for one login name, then a success {whence}");
        out.extend(rung.map(|r| taken("login-after-failures", seen, (run, since), why, r)));
    }

    fn by_client(
        &mut self,
        client: u64,
        name: Option<u64>,
        fails: bool,
        seen: &Seen<'_>,
        per_week: f64,
        out: &mut Vec<Verdict>,
    ) {
        let at = seen.at;
        let known = self.clients.of(client, at.nanos);
        if at.secs - known.last > DAY {
            *known = Client::default();
        }
        self.chains[1].take(known.run, fails);
        known.last = at.secs;
        if fails {
            if known.run == 0 {
                known.since = at.nanos;
            }
            known.run = known.run.saturating_add(1);
            name.map(|name| known.names.insert(name));
            return;
        }
        let names = known.names.estimate().round();
        let (run, since) = (known.run, known.since);
        *known = Client {
            last: known.last,
            ..Client::default()
        };
        if run == 0 || names < NAMES {
            return;
        }
        let cell = &mut self.cells[2];
        let rung = judge_run(cell, self.chains[1], (run, OWN), seen, per_week);
        let why = format!(
            "{run} failures in a row from one address, for {names} login names, then a success"
        );
        out.extend(rung.map(|r| taken("address-after-failures", seen, (run, since), why, r)));
    }

    fn used(
        &mut self,
        identity: &str,
        country: &CompactString,
        seen: &Seen<'_>,
        per_week: f64,
        out: &mut Vec<Verdict>,
    ) {
        let at = seen.at;
        let client = place(seen.x.client);
        let of = self.uses.of(mix(hash_text(identity)), at.nanos);
        let last = (of.country.clone(), of.client, of.at);
        let settled = of.settled(&last.0) && of.settled(country);
        of.stay(country, client, at.secs);
        if last.0.is_empty() || last.0 == *country || last.1 == client || settled {
            return;
        }
        let Some(km) = apart(&last.0, country) else {
            return;
        };
        let hours = (at.secs - last.2).max(0) as f64 / HOUR as f64;
        if km < LEAST_KM || hours * KM_PER_HOUR >= km {
            return;
        }
        if at.secs - of.since > HOUR {
            (of.since, of.turns, of.place, of.hijacked) = (at.secs, 0, 0, false);
            if at.scoring {
                self.cells[4].open(at.hour);
            }
        }
        of.turns += 1;
        if !at.scoring {
            return;
        }
        // Each turn is another that the first two need not have led to.
        let score = f64::from(of.turns);
        let cell = &mut self.cells[4];
        let far = of.turns >= TURNS && at.ringing && !of.hijacked;
        let rung = far.then(|| cell.rings(score, per_week)).flatten();
        if rung.is_none() {
            of.place = cell.climb(of.place, score);
        }
        if let Some(rung) = rung {
            of.hijacked = true;
            let way = (last.0.as_str(), country.as_str(), km);
            out.push(two_at_it(seen, way, of.turns, rung));
        }
    }
}

impl Chain {
    /// What follows a failure. Of very long runs nothing is learnt.
    fn take(&mut self, run: u32, fails: bool) {
        if (1..LEARNT).contains(&run) {
            self.tries += 1.0;
            self.failures += f64::from(u8::from(fails));
        }
        if self.tries > 100_000.0 {
            self.tries /= 2.0;
            self.failures /= 2.0;
        }
    }

    /// Chance of one more failure; one in two until it is known.
    fn again(self) -> f64 {
        ((self.failures + 20.0) / (self.tries + 40.0)).clamp(0.01, 0.95)
    }
}

impl Mean {
    fn mean(self) -> f64 {
        (self.sum + 1.0) / (self.n + 1.0)
    }
}

impl LoginName {
    fn turn(&mut self, secs: i64, crowd: &mut Mean) {
        if secs - self.last > DAY {
            self.run = 0;
        }
        let day = secs.div_euclid(DAY) + 1;
        if day == self.day {
            return;
        }
        let failing = self.failing.estimate().round();
        if self.day != 0 && failing >= 1.0 {
            let learnt = failing.min(ADDRESSES);
            crowd.n += 1.0;
            crowd.sum += learnt;
            self.most = (self.most * 0.9).max(learnt as f32);
        }
        (self.day, self.failing, self.place, self.told) = (day, Distinct::default(), 0, 0.0);
    }

    /// How many addresses it failed from by now, where that is many.
    fn fails_from(
        &mut self,
        client: u64,
        mean: f64,
        cell: &mut Cell,
        seen: &Seen<'_>,
        per_week: f64,
    ) -> Option<(f64, f64, Rung)> {
        let at = seen.at;
        let first = self.failing == Distinct::default();
        if !self.failing.insert(client) || !at.scoring {
            return None;
        }
        if first {
            cell.open(at.hour);
        }
        let d = self.failing.estimate().round();
        let score = -log10_upper(d, mean.max(f64::from(self.most)), 1.0);
        let far = d >= ADDRESSES && at.ringing;
        let rung = far.then(|| cell.rings(score, per_week)).flatten();
        if rung.is_none() && self.told == 0.0 {
            self.place = cell.climb(self.place, score);
        }
        let rung = rung.filter(|_| self.told == 0.0 || d >= 2.0 * self.told)?;
        self.told = d;
        Some((d, f64::from(self.most), rung))
    }
}

impl Use {
    fn settled(&self, country: &str) -> bool {
        self.known
            .iter()
            .any(|(known, days, _)| known == country && *days >= SETTLED_DAYS)
    }

    fn stay(&mut self, country: &CompactString, client: u64, secs: i64) {
        let day = secs.div_euclid(DAY);
        match self.known.iter_mut().find(|(known, ..)| known == country) {
            Some((_, days, last)) => {
                *days = days.saturating_add(u8::from(*last != day));
                *last = day;
            }
            None => {
                if self.known.len() >= COUNTRIES {
                    let oldest = self.known.iter().enumerate().min_by_key(|(_, k)| k.2);
                    let oldest = oldest.map_or(0, |(at, _)| at);
                    self.known.remove(oldest);
                }
                self.known.push((country.clone(), 1, day));
            }
        }
        if self.country != *country {
            self.country = country.clone();
        }
        (self.client, self.at) = (client, secs);
    }
}

/// An address by hash; of IPv6 its /64.
fn place(client: IpAddr) -> u64 {
    mix(match network(client) {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    })
}

/// How unlikely a run of failures is that ends with success.
fn judge_run(
    cell: &mut Cell,
    chain: Chain,
    (run, least): (u32, u32),
    seen: &Seen<'_>,
    per_week: f64,
) -> Option<Rung> {
    let at = seen.at;
    if !at.scoring {
        return None;
    }
    cell.open(at.hour);
    let score = -f64::from(run) * chain.again().log10();
    let far = run > least && at.ringing;
    let rung = far.then(|| cell.rings(score, per_week)).flatten();
    // Nothing in a day would ring as often: the first that does not is learnt.
    if rung.is_none() {
        cell.climb(0, score);
    }
    rung
}

fn taken(
    detector: &str,
    seen: &Seen<'_>,
    (run, since): (u32, i64),
    why: String,
    rung: Rung,
) -> Verdict {
    Verdict {
        severity: verdict::severity(Severity::High, rung),
        score: verdict::score(rung),
        since: Timestamp(since),
        expected: 1.0,
        observed: f64::from(run),
        log10_p: rung.log10_p,
        parts: verdict::parts(rung, []),
        summary: format!(
            "an account may be taken over: a login by {} succeeds after {run} failures",
            seen.who.describe()
        ),
        why: vec![
            why,
            "who forgot a password gets in sooner, or gives up".into(),
            verdict::odds(rung),
        ],
        owasp: "API2:2023".into(),
        ..seen.verdict(VerdictKind::Credential, detector)
    }
}

fn many_addresses(seen: &Seen<'_>, d: f64, most: f64, mean: f64, rung: Rung) -> Verdict {
    let name = seen.x.login.as_deref().unwrap_or_default();
    let name: String = name.chars().take(32).collect();
    Verdict {
        severity: verdict::severity(Severity::Medium, rung),
        score: verdict::score(rung),
        principal: None,
        expected: most.max(mean),
        observed: d,
        log10_p: rung.log10_p,
        parts: verdict::parts(rung, []),
        summary: format!("one login name ({name}) fails from {d} addresses in a day"),
        why: vec![
            format!("the most in one of its days before: {most}"),
            format!("names that fail do so from {mean:.1} addresses a day"),
            verdict::odds(rung),
        ],
        owasp: "API2:2023".into(),
        ..seen.verdict(VerdictKind::Credential, "login-name-from-many")
    }
}

fn two_at_it(
    seen: &Seen<'_>,
    (from, to, km): (&str, &str, f64),
    turns: u32,
    rung: Rung,
) -> Verdict {
    Verdict {
        severity: verdict::severity(Severity::Medium, rung),
        score: verdict::score(rung),
        expected: 0.0,
        observed: f64::from(turns),
        log10_p: rung.log10_p,
        parts: verdict::parts(rung, []),
        summary: format!(
            "{} is used in {from} and {to} in turns: two are at it",
            seen.who.describe()
        ),
        why: vec![
            format!("{turns} changes of country and address within an hour"),
            format!("the countries are {km:.0} km apart at least"),
            verdict::odds(rung),
        ],
        owasp: "API2:2023".into(),
        ..seen.verdict(VerdictKind::Credential, "session-hijack")
    }
}
