//! Which alert goes to which sinks: by severity, kind, host, and the time of day and week.
//!
//! A sink that no route names gets every alert; one that is named gets what its routes take. Who was
//! told of an alert is told how it goes on, whatever the hour: an incident that was opened is closed.

use std::collections::BTreeSet;

use jiff::ZonedDateTime;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

use super::{Alert, Incident};
use crate::detect::Severity;
use crate::time::Timestamp;

/// What routes ask of an alert, or of an incident with all that is in it.
#[derive(Clone, Debug)]
pub struct About<'a> {
    pub severity: Severity,
    pub kinds: Vec<&'a str>,
    /// One without a name where there is none.
    pub hosts: Vec<&'a str>,
}

impl<'a> From<&'a Alert> for About<'a> {
    fn from(alert: &'a Alert) -> Self {
        Self {
            severity: alert.severity,
            kinds: vec![&alert.kind],
            hosts: vec![alert.host.as_deref().unwrap_or_default()],
        }
    }
}

impl<'a> From<&'a Incident> for About<'a> {
    fn from(incident: &'a Incident) -> Self {
        let mut hosts: Vec<&str> = incident.hosts.iter().map(String::as_str).collect();
        if hosts.is_empty() {
            hosts.push("");
        }
        Self {
            severity: incident.severity,
            kinds: incident.kinds.iter().map(String::as_str).collect(),
            hosts,
        }
    }
}

/// What a route takes; empty parts ask for nothing.
#[derive(Clone, Debug)]
pub struct Route {
    pub sinks: Vec<String>,
    /// This one, and worse.
    pub severity: Severity,
    pub kinds: Vec<String>,
    /// Patterns with `*`, without regard to case.
    pub hosts: Vec<String>,
    pub window: Window,
}

/// Times of the day and week; all of them where nothing is said.
#[derive(Clone, Debug)]
pub struct Window {
    pub days: Vec<Weekday>,
    /// From, until; over midnight where the second is not later. The day is that of the beginning.
    pub hours: Option<(Time, Time)>,
    pub zone: TimeZone,
}

impl Route {
    fn takes(&self, about: &About<'_>, now: jiff::Timestamp) -> bool {
        let mut hosts = about.hosts.iter();
        about.severity >= self.severity
            && (self.kinds.is_empty()
                || about
                    .kinds
                    .iter()
                    .any(|k| self.kinds.iter().any(|m| m == k)))
            && (self.hosts.is_empty() || hosts.any(|host| self.hosts.iter().any(|h| glob(h, host))))
            && self.window.is_open_at(now)
    }
}

impl Window {
    /// As people write them: `mon` to `sun`, `08:00-18:00`, a name of the time zone database.
    pub fn parse(
        days: &[String],
        hours: Option<&str>,
        timezone: Option<&str>,
    ) -> Result<Self, String> {
        let days: Result<Vec<Weekday>, String> = days.iter().map(|d| weekday(d)).collect();
        let hours = hours.map(|text| {
            self::hours(text)
                .ok_or_else(|| format!("`{text}` are no hours: write them like 08:00-18:00"))
        });
        let zone = match timezone {
            Some(name) => TimeZone::get(name).map_err(|e| e.to_string())?,
            None => TimeZone::system(),
        };
        Ok(Self {
            days: days?,
            hours: hours.transpose()?,
            zone,
        })
    }

    pub(super) fn is_open(&self, at: Timestamp) -> bool {
        // What lies outside of all calendars is at no time of the day.
        jiff::Timestamp::from_second(at.secs()).is_ok_and(|at| self.is_open_at(at))
    }

    fn is_open_at(&self, at: jiff::Timestamp) -> bool {
        self.is_within(&at.to_zoned_datetime(self.zone.clone()))
    }

    fn is_within(&self, now: &ZonedDateTime) -> bool {
        let (time, mut day) = (now.time(), now.weekday());
        if let Some((from, until)) = self.hours {
            let over_midnight = until <= from;
            let inside = if over_midnight {
                time >= from || time < until
            } else {
                time >= from && time < until
            };
            if !inside {
                return false;
            }
            if over_midnight && time < until {
                day = day.previous();
            }
        }
        self.days.is_empty() || self.days.contains(&day)
    }
}

fn weekday(text: &str) -> Result<Weekday, String> {
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let at = names.iter().position(|n| *n == text);
    let day = at.and_then(|i| Weekday::from_monday_zero_offset(i as i8).ok());
    day.ok_or_else(|| format!("`{text}` is no day: write mon, tue, wed, thu, fri, sat or sun"))
}

fn hours(text: &str) -> Option<(Time, Time)> {
    let (from, until) = text.split_once('-')?;
    let time = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
    };
    Some((time(from)?, time(until)?))
}

/// All sinks with all routes.
#[derive(Clone, Debug, Default)]
pub struct Router {
    sinks: Vec<String>,
    routes: Vec<Route>,
}

impl Router {
    /// Routes may name only these sinks.
    pub fn new(sinks: Vec<String>, routes: Vec<Route>) -> Self {
        Self { sinks, routes }
    }

    pub fn has(&self, sink: &str) -> bool {
        self.sinks.iter().any(|s| s == sink)
    }

    /// The sinks that this revision is for; `told` are those that an earlier one was for.
    pub fn targets(
        &self,
        about: &About<'_>,
        told: &BTreeSet<String>,
        now: jiff::Timestamp,
    ) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        for sink in &self.sinks {
            let mut own = self.routes.iter().filter(|r| r.sinks.contains(sink));
            let is_routed = own.clone().next().is_some();
            if !is_routed || told.contains(sink) || own.any(|r| r.takes(about, now)) {
                out.insert(sink.clone());
            }
        }
        out
    }
}

/// `*` stands for any number of characters.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut rest = rest;
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sink::tests::alert;

    fn route(sink: &str) -> Route {
        Route {
            sinks: vec![sink.into()],
            severity: Severity::Info,
            kinds: Vec::new(),
            hosts: Vec::new(),
            window: Window {
                days: Vec::new(),
                hours: None,
                zone: TimeZone::UTC,
            },
        }
    }

    fn at(text: &str) -> jiff::Timestamp {
        text.parse().unwrap()
    }

    fn targets(routes: Vec<Route>, alert: &Alert, now: &str) -> Vec<String> {
        let router = Router::new(vec!["all".into(), "pager".into()], routes);
        let told = BTreeSet::new();
        let about = About::from(alert);
        router.targets(&about, &told, at(now)).into_iter().collect()
    }

    const NOON: &str = "2026-11-26T12:00:00Z"; // a Thursday

    #[test]
    fn by_severity_kind_and_host() {
        let high = alert();
        assert_eq!(targets(Vec::new(), &high, NOON), ["all", "pager"]);
        let with = |change: fn(&mut Route)| {
            let mut r = route("pager");
            change(&mut r);
            targets(vec![r], &high, NOON).len() == 2
        };
        assert!(with(|r| r.severity = Severity::High));
        assert!(!with(|r| r.severity = Severity::Critical));
        assert!(with(|r| r.kinds = vec!["enumeration".into()]));
        assert!(!with(|r| r.kinds = vec!["scan".into()]));
        assert!(with(|r| r.hosts = vec!["*.EXAMPLE.com".into()]));
        assert!(!with(|r| r.hosts = vec!["example.com".into()]));
    }

    #[test]
    fn by_the_hour_and_the_day_of_its_beginning() {
        let night = |now: &str| {
            let mut r = route("pager");
            r.window.days = vec![Weekday::Thursday];
            r.window.hours = Some((
                jiff::civil::time(22, 0, 0, 0),
                jiff::civil::time(6, 0, 0, 0),
            ));
            targets(vec![r], &alert(), now).len() == 2
        };
        assert!(!night(NOON));
        assert!(night("2026-11-26T23:00:00Z"));
        assert!(night("2026-11-27T05:59:59Z"), "Thursday's night");
        assert!(!night("2026-11-27T06:00:00Z"));
        assert!(!night("2026-11-26T05:00:00Z"), "Wednesday's night");
        let mut r = route("pager");
        r.window.zone = TimeZone::fixed(jiff::tz::offset(5));
        r.window.hours = Some((
            jiff::civil::time(17, 0, 0, 0),
            jiff::civil::time(18, 0, 0, 0),
        ));
        assert_eq!(targets(vec![r], &alert(), NOON).len(), 2);
    }

    #[test]
    fn who_was_told_is_told_the_end() {
        let mut r = route("pager");
        r.severity = Severity::Critical;
        let router = Router::new(vec!["pager".into()], vec![r]);
        let told: BTreeSet<String> = ["pager".to_owned(), "gone".to_owned()].into();
        let found = router.targets(&About::from(&alert()), &told, at(NOON));
        assert_eq!(found, ["pager".to_owned()].into());
    }

    #[test]
    fn patterns() {
        for (pattern, text, matches) in [
            ("api.example", "api.example", true),
            ("api.example", "api.example2", false),
            ("*", "", true),
            ("*.example", "a.b.example", true),
            ("*.example", "example", false),
            ("a*c*e", "abcde", true),
            ("a*a", "a", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}
