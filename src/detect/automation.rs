//! Known automation: who does much at one go, on several days.
//!
//! Batch jobs, syncs, crawlers and health checks are known by recurrence: far more in an hour
//! than others do, or calls in nearly every hour of the day, on three days. They are kept by identity
//! or steady client; callers without identity by the place, since crawlers change their addresses.
//! That explains nothing away by itself: a caller's own maximum and a place's precedent do (see
//! `counter`), so that one of twice the reach rings again. What is added here is the list for a
//! person, and information when a job leaves its hour or its reach: an attacker may use its
//! credential.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counter::Spot;
use super::principals::Followed;
use super::verdict::{self, round};
use super::{Clock, Place, Principal, Severity, Verdict, VerdictKind, WATCHES};
use crate::catalog::EndpointId;
use crate::exchange::Exchange;
use crate::time::Timestamp;

/// Habits kept at most; the one that is longest silent goes.
const MAX_HABITS: usize = 1_000;
/// Much: so many times what others do in an hour, and so many at least.
const MUCH: f64 = 10.0;
const LEAST: f64 = 30.0;
/// Days that make a habit, and days of silence that end one.
const DAYS: u32 = 3;
const SILENCE: i64 = 21;
/// Days, and their share, at one hour (or the one beside it) that make a rhythm.
const RHYTHM: f64 = 5.0;
const REGULAR: f64 = 0.8;
/// The share of a day's requests in one hour that is one go.
const FOCUSED: f64 = 0.6;
/// Times its greatest reach so far that is a marked change.
const GROWN: f64 = 2.0;

/// Who is known to be automation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Automation {
    /// The last one to do so, where it is kept by place.
    pub who: Principal,
    #[serde(skip)]
    pub endpoint: Option<EndpointId>,
    /// What there is much of.
    pub kinds: Vec<VerdictKind>,
    /// Hours of the day, UTC, in which it began; most days first. Empty: around the clock.
    pub hours: Vec<u8>,
    /// The most requests in an hour, on an ordinary day.
    pub reach: f64,
    pub days: u32,
    pub since: Timestamp,
    pub last: Timestamp,
    /// It began while baselines were learnt: no one has looked at it, and it may be an attacker.
    pub learnt_unreviewed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Subject {
    /// The mark of an identity, or of a client that comes again.
    Principal(u64),
    Place(Spot),
}

/// What one does now: of which watches it does much (as bits), its requests in this hour
/// and on this day, and whether it called in nearly every hour of this day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub mark: u64,
    pub much: u16,
    pub requests: f64,
    /// Requests of this day.
    pub day: f64,
    pub restless: bool,
}

/// All habits, and what may become one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Register {
    habits: BTreeMap<Subject, Habit>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Habit {
    #[serde(with = "saved")]
    who: Principal,
    /// Places in `WATCHES`, as bits.
    kinds: u16,
    hours: [u8; 24],
    /// Day, its first hour, and requests in an hour at most so far.
    day: i64,
    began: u8,
    today: f64,
    /// Whether it calls around the clock on this day, and on how many it did.
    resting: bool,
    restless: u32,
    /// Requests of this day; the share of a day's that fall in one hour, on an ordinary day.
    whole: f64,
    focus: f64,
    /// Who does it on this day, and whether several do: then it is no one's habit.
    mark: u64,
    several: bool,
    reach: f64,
    days: u32,
    since: i64,
    last: i64,
    learning: bool,
    told: i64,
}

/// A principal with both its fields: in JSON those that are absent are left out, which no form
/// without names can read again.
mod saved {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Principal;

    pub(super) fn serialize<S: Serializer>(who: &Principal, s: S) -> Result<S::Ok, S::Error> {
        (&who.identity, &who.client).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Principal, D::Error> {
        let (identity, client) = Deserialize::deserialize(d)?;
        Ok(Principal { identity, client })
    }
}

/// What is known of one principal.
pub(super) struct Standing {
    pub habit: Option<Automation>,
    pub why: String,
}

/// How an automation left its habit.
#[derive(Clone, Debug)]
pub(super) struct Change {
    who: Principal,
    kind: VerdictKind,
    days: u32,
    since: i64,
    expected: f64,
    observed: f64,
    said: String,
}

/// Whether so many in an hour are far more than others do.
pub(super) fn much(count: f64, others: f64) -> bool {
    count >= LEAST.max(MUCH * others)
}

impl Register {
    /// One does much now, or never rests.
    pub(super) fn note(
        &mut self,
        subject: Subject,
        now: Now,
        who: impl Fn() -> Principal,
        at: &Clock,
    ) -> Option<Change> {
        if !self.habits.contains_key(&subject) {
            self.room(at);
        }
        let habit = self.habits.entry(subject).or_insert_with(|| Habit {
            since: at.nanos,
            learning: !at.ringing,
            ..Habit::default()
        });
        habit.kinds |= now.much | u16::from(now.restless);
        let began = habit.turn(at);
        if began {
            (habit.who, habit.mark) = (who(), now.mark);
        }
        habit.several |= habit.mark != now.mark;
        habit.resting &= !now.restless;
        habit.today = habit.today.max(now.requests);
        habit.whole = habit.whole.max(now.day);
        habit.last = at.nanos;
        habit.change(began, at)
    }

    pub(super) fn merged(&mut self, from: EndpointId, into: EndpointId) {
        let place = |endpoint| Subject::Place(Spot::Endpoint(Some(endpoint)));
        if let Some(old) = self.habits.remove(&place(from)) {
            let kept = self
                .habits
                .entry(place(into))
                .or_insert_with(|| old.clone());
            kept.since = kept.since.min(old.since);
        }
    }

    pub(super) fn evicted(&mut self, endpoint: EndpointId) {
        self.habits
            .remove(&Subject::Place(Spot::Endpoint(Some(endpoint))));
    }

    /// Those that are habits by now, the oldest first.
    pub(super) fn list(&self, now: i64) -> Vec<Automation> {
        let day = now.div_euclid(86_400_000_000_000);
        let known = self.habits.iter().filter(|(_, habit)| {
            habit.is_machine() && day - habit.last.div_euclid(86_400_000_000_000) <= SILENCE
        });
        let mut list: Vec<Automation> = known.map(|(s, habit)| habit.show(*s)).collect();
        list.sort_by_key(|a| a.since);
        list
    }

    /// Whether a principal is known automation, and why or why not.
    pub(super) fn standing(&self, who: &Followed, now: i64) -> Standing {
        let mark = who.mark();
        let own = self.habits.get_key_value(&Subject::Principal(mark));
        // Without an identity it is kept by the place that it calls.
        let place = || {
            let mut all = self.habits.iter();
            all.find(|(s, h)| matches!(s, Subject::Place(_)) && h.mark == mark && !h.several)
        };
        let found = match who.nameless() {
            true => place(),
            false => own,
        };
        let Some((subject, habit)) = found else {
            let why = "it never did far more in an hour than others, nor called around the clock";
            return Standing {
                habit: None,
                why: why.into(),
            };
        };
        let silent = now.div_euclid(24 * HOUR) - habit.last.div_euclid(24 * HOUR);
        let known = habit.is_machine() && silent <= SILENCE;
        Standing {
            habit: known.then(|| habit.show(*subject)),
            why: if silent > SILENCE {
                format!("it was, and has been silent for {silent} days")
            } else {
                habit.why()
            },
        }
    }

    fn room(&mut self, at: &Clock) {
        if self.habits.len() < MAX_HABITS {
            return;
        }
        // Rare: those on the way to a habit go first, by their silence.
        let silent = |h: &Habit| {
            (
                h.days >= DAYS && at.hour - h.last / HOUR < 24 * SILENCE,
                h.last,
            )
        };
        let last = self.habits.iter().min_by_key(|(_, h)| silent(h));
        if let Some(subject) = last.map(|(s, _)| *s) {
            self.habits.remove(&subject);
        }
    }
}

const HOUR: i64 = 3_600_000_000_000;

impl Habit {
    /// Closes the day before, where this one is new; true where it is.
    fn turn(&mut self, at: &Clock) -> bool {
        let day = at.secs.div_euclid(86_400) + 1;
        if day == self.day {
            return false;
        }
        if day - self.day > SILENCE && self.day != 0 {
            *self = Self {
                since: at.nanos,
                learning: !at.ringing,
                ..Self::default()
            };
        } else if self.day != 0 && !self.several {
            self.days = self.days.saturating_add(1);
            self.restless += u32::from(!self.resting);
            let hour = &mut self.hours[usize::from(self.began) % 24];
            *hour = hour.saturating_add(1);
            let focus = self.today / self.whole.max(1.0);
            let weight = 1.0 / f64::from(self.days.min(5));
            self.focus += weight * (focus - self.focus);
            // Slowly less, at once more.
            self.reach = self.today.max(0.8 * self.reach + 0.2 * self.today);
        }
        (self.whole, self.several) = (0.0, false);
        (self.day, self.began, self.today, self.resting) = (day, at.of_day() as u8, 0.0, true);
        true
    }

    /// People also do much, on some days and all over the day. A machine never rests, keeps to an
    /// hour, or comes nearly each day for one go.
    fn is_machine(&self) -> bool {
        let span = (self.last - self.since) / (24 * HOUR) + 1;
        let daily = f64::from(self.days) >= REGULAR * span as f64;
        let regular = self.rhythm(0).1 >= REGULAR;
        self.days >= DAYS && (self.around_the_clock() || regular || daily && self.focus >= FOCUSED)
    }

    /// Why it is a machine, or not one yet.
    fn why(&self) -> String {
        let days = f64::from(self.days.max(1));
        let (usual, share, _) = self.rhythm(0);
        if self.days < DAYS {
            let days = match self.days {
                0 => "only today so far".to_owned(),
                1 => "on one whole day so far".to_owned(),
                days => format!("on {days} whole days so far"),
            };
            format!("it does much {days}; a habit takes {DAYS}")
        } else if self.around_the_clock() {
            let all = self.days;
            format!(
                "it called around the clock on {} of {all} days",
                self.restless
            )
        } else if share >= REGULAR {
            let (n, all) = ((share * days).round(), self.days);
            format!("it begins about {usual:02}:00 UTC, on {n} of {all} days")
        } else if self.is_machine() {
            let share = self.focus * 100.0;
            format!("it comes nearly every day, and does {share:.0} % of a day's in one hour")
        } else {
            "it does much on some days, at no steady hour: people do that, too".into()
        }
    }

    fn around_the_clock(&self) -> bool {
        f64::from(self.restless) >= REGULAR * f64::from(self.days.max(1))
    }

    /// Once a day: it began at an hour where it never does, or does far more than ever.
    fn change(&mut self, began: bool, at: &Clock) -> Option<Change> {
        if !at.ringing || self.told == self.day || !self.is_machine() {
            return None;
        }
        let kind = self.kinds().first().copied()?;
        let (expected, observed, said) = if self.today > GROWN * self.reach.max(LEAST) {
            let said = format!(
                "{} in an hour where at most {} are its habit",
                self.today.round(),
                round(self.reach)
            );
            (self.reach, self.today, said)
        } else if began && !self.around_the_clock() {
            let (usual, share, here) = self.rhythm(at.of_day());
            if share < REGULAR || here > 0.0 || f64::from(self.days) < RHYTHM {
                return None;
            }
            let said = format!(
                "it began at {:02}:00 UTC, where it begins about {usual:02}:00 on {} of {} days",
                at.of_day(),
                (share * f64::from(self.days)).round(),
                self.days
            );
            (usual as f64, at.of_day() as f64, said)
        } else {
            return None;
        };
        self.told = self.day;
        Some(Change {
            who: self.who.clone(),
            kind,
            days: self.days,
            since: self.since,
            expected,
            observed,
            said,
        })
    }

    /// The hour it mostly begins at, with what share of days at that or beside it; and how many
    /// days it began at or beside this one.
    fn rhythm(&self, now: usize) -> (usize, f64, f64) {
        let near = |hour: usize| {
            [hour + 23, hour, hour + 1]
                .iter()
                .map(|h| f64::from(self.hours[h % 24]))
                .sum::<f64>()
        };
        let all: f64 = self.hours.iter().map(|n| f64::from(*n)).sum();
        let most = (0..24).fold(0, |best, h| if near(h) > near(best) { h } else { best });
        let usual = (0..3).map(|d| (most + 23 + d) % 24);
        let usual = usual.fold(most, |best, h| {
            if self.hours[h] > self.hours[best] {
                h
            } else {
                best
            }
        });
        (usual, near(most) / all.max(1.0), near(now))
    }

    fn kinds(&self) -> Vec<VerdictKind> {
        let mut kinds: Vec<VerdictKind> = WATCHES
            .iter()
            .enumerate()
            .filter(|(i, _)| self.kinds >> i & 1 == 1)
            .map(|(_, watch)| watch.kind)
            .collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    fn show(&self, subject: Subject) -> Automation {
        let mut hours: Vec<u8> = (0..24)
            .filter(|h| self.hours[usize::from(*h)] > 0)
            .collect();
        hours.sort_by_key(|h| std::cmp::Reverse(self.hours[usize::from(*h)]));
        if self.around_the_clock() {
            hours.clear();
        }
        Automation {
            who: self.who.clone(),
            endpoint: match subject {
                Subject::Place(Spot::Endpoint(endpoint)) => endpoint,
                _ => None,
            },
            kinds: self.kinds(),
            hours,
            reach: self.reach.max(self.today).round(),
            days: self.days,
            since: Timestamp(self.since),
            last: Timestamp(self.last),
            learnt_unreviewed: self.learning,
        }
    }
}

pub(super) fn tell(
    change: Change,
    endpoint: Option<EndpointId>,
    x: &Exchange,
    at: &Clock,
) -> Verdict {
    let Principal { identity, client } = change.who.clone();
    let who = identity.or(client);
    Verdict {
        at: Timestamp(at.nanos),
        kind: change.kind,
        severity: Severity::Info,
        score: 50.0,
        detector: "automation-change".into(),
        principal: Some(change.who),
        endpoint,
        host: None,
        since: Timestamp(at.nanos),
        until: Timestamp(at.nanos),
        expected: change.expected,
        observed: change.observed,
        log10_p: -f64::from(change.days + 1).log10(),
        summary: format!(
            "known automation {} left its habit: {}",
            who.unwrap_or_default(),
            change.said
        ),
        why: vec![
            change.said,
            format!("a habit of {} days", change.days),
            format!(
                "known since second {} of the epoch",
                change.since / 1_000_000_000
            ),
        ],
        samples: vec![verdict::sample(x).into()],
        series: Vec::new(),
        owasp: "API6:2023".into(),
        parts: Vec::new(),
        place: Place::default(),
    }
}
