//! What a list of alerts or incidents may be asked, and what each of them says of itself there: one
//! meaning for pages, API and exports.

use std::sync::LazyLock;

use regex::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::api::shape::query;
use super::frame::query_link;
use super::listing::Listed;
use crate::alert::{Alert, Incident, Status, wall};
use crate::catalog::{Severity, owasp};
use crate::time::Timestamp;

/// Words of a search that count.
const WORDS: usize = 8;

/// Which of them, by what a person has made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody has taken it on yet, and nothing keeps it silent.
    Waiting,
    /// Somebody is on it.
    Taken,
    /// Settled, muted or kept silent.
    Rest,
    /// As a filter: any.
    All,
}

/// As pages offer them.
pub(super) const STAGES: [Stage; 3] = [Stage::Waiting, Stage::Taken, Stage::All];

impl Stage {
    fn of(status: Status, loud: bool) -> Self {
        match status {
            Status::Open if loud => Self::Waiting,
            Status::Acknowledged => Self::Taken,
            _ => Self::Rest,
        }
    }

    pub(super) fn takes(self, stage: Self) -> bool {
        self == Self::All || self == stage
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Taken => "taken",
            Self::Rest => "rest",
            Self::All => "all",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Waiting => "Needs a person",
            Self::Taken => "Taken on",
            Self::Rest => "The rest",
            Self::All => "All",
        }
    }
}

/// What a URL asks of a list of alerts or incidents.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "TriageFilter")]
pub(super) struct Filter {
    /// Words, all of which must be somewhere in it, without regard to case.
    pub(super) q: String,
    /// Where it is in its life cycle.
    #[schemars(with = "Option<Status>")]
    pub(super) status: String,
    /// How grave it is.
    #[schemars(with = "Option<Severity>")]
    pub(super) severity: String,
    /// What it is of; of an incident a kind that is in it.
    #[schemars(extend("enum" = super::alerts::KINDS))]
    pub(super) kind: String,
    /// Its category: `API1:2023` or `API1`.
    #[schemars(extend("pattern" = owasp::PATTERN))]
    pub(super) owasp: String,
    /// A host that it is about.
    pub(super) host: String,
    /// What raised it; of an incident a detector that raised one of its alerts.
    pub(super) detector: String,
    /// An identity, or the address where there is none.
    pub(super) principal: String,
    /// As alerts name it: `GET api.example.com /v1/users/{user_id}`.
    pub(super) endpoint: String,
    /// Seen at or after: `1d`, `6h`, `30m`, `2w` before now, a date, or a time of RFC 3339.
    #[schemars(extend("pattern" = TIME))]
    pub(super) since: String,
    /// Begun before it, which is written as for `since`: `1d`, a date, or a time of RFC 3339.
    #[schemars(extend("pattern" = TIME))]
    pub(super) until: String,
    /// `waiting`: open, and not silenced; `taken`: acknowledged.
    #[schemars(extend("enum" = STAGES.map(Stage::name)))]
    pub(super) view: String,
    /// Greatest first; the newest first where nothing is asked for.
    #[schemars(extend("enum" = ["last", "severity", "first", "occurrences", "score"]))]
    pub(super) sort: String,
    /// `next` of the page before.
    pub(super) cursor: String,
    /// Items on a page.
    #[schemars(schema_with = "super::query::limits")]
    pub(super) limit: Option<usize>,
}

/// The parts of a filter that choose, where it says what is acted on: at least one, for a part that is
/// not known must never mean all.
pub(super) fn choosing(_: &mut SchemaGenerator) -> Schema {
    let mut list = query(SchemaGenerator::subschema_for::<Filter>);
    let parts = Filter::default();
    let parts = parts
        .parts()
        .into_iter()
        .filter(|(name, _)| *name != "sort");
    let parts: Map<String, Value> = parts
        .map(|(name, _)| (name.to_owned(), list["properties"][name].take()))
        .collect();
    json_schema!({ "type": "object", "properties": parts, "additionalProperties": false, "minProperties": 1 })
}

/// Times as they are written: spans before now, days that there are, and times of RFC 3339.
const TIME: &str = concat!(
    r"^([0-9]{1,4}[mhdw]|(20[0-9]{2}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])",
    r"|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))",
    r"|20([02468][048]|[13579][26])-02-29)",
    r"([Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?",
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9]))?)$",
);

/// A filter whose texts were read.
pub(super) struct Question {
    pub(super) filter: Filter,
    /// Without regard to case.
    pub(super) words: Vec<String>,
    since: i64,
    until: i64,
}

impl Question {
    /// Whether what was seen in this span is asked for.
    pub(super) fn is_in_time(&self, (first, last): (i64, i64)) -> bool {
        last >= self.since && first < self.until
    }
}

impl Filter {
    /// As a page takes it: what needs a person, the gravest first, unless something else is asked
    /// for.
    pub(super) fn of_page(mut self, rows: usize) -> Self {
        if self.view.is_empty() && self.status.is_empty() {
            Stage::Waiting.name().clone_into(&mut self.view);
        }
        if self.sort.is_empty() {
            "severity".clone_into(&mut self.sort);
        }
        self.limit = Some(self.limit.unwrap_or(rows).clamp(1, rows));
        self
    }

    pub(super) fn stage(&self) -> Stage {
        let mut all = STAGES.into_iter();
        all.find(|s| s.name() == self.view).unwrap_or(Stage::All)
    }

    /// The filter of a part.
    pub(super) fn part(&self, name: &str) -> &str {
        self.parts()
            .into_iter()
            .find(|(part, _)| *part == name)
            .map_or("", |(_, value)| value)
    }

    /// All that a link to the list carries, but for the place in it.
    pub(super) fn parts(&self) -> [(&'static str, &String); 13] {
        [
            ("q", &self.q),
            ("status", &self.status),
            ("severity", &self.severity),
            ("kind", &self.kind),
            ("owasp", &self.owasp),
            ("host", &self.host),
            ("detector", &self.detector),
            ("principal", &self.principal),
            ("endpoint", &self.endpoint),
            ("since", &self.since),
            ("until", &self.until),
            ("view", &self.view),
            ("sort", &self.sort),
        ]
    }

    /// The list with one part changed, from its beginning.
    pub(super) fn with(&self, path: &str, part: &str, value: &str) -> String {
        let value = value.to_owned();
        let mut parts: Vec<(&str, &String)> = self.parts().to_vec();
        if let Some(there) = parts.iter_mut().find(|(name, _)| *name == part) {
            there.1 = &value;
        }
        query_link(path, &parts)
    }

    /// Whether it chooses, beyond the stage.
    pub(super) fn is_set(&self) -> bool {
        let chooses =
            |(name, value): &(&str, &String)| !value.is_empty() && !["view", "sort"].contains(name);
        self.parts().iter().any(chooses)
    }

    /// Errors say which text cannot be read.
    pub(super) fn ask(self, now: Timestamp) -> Result<Question, String> {
        let read = |name: &str, text: &str| match text.trim() {
            "" => Ok(None),
            text => moment(text, now).map(|at| Some(at.nanos())).ok_or_else(|| {
                format!(
                    "`{text}` is no time for {name}: write 1d, 6h, 2026-11-20, 2026-11-20T08:00:00Z"
                )
            }),
        };
        let (since, until) = (read("since", &self.since)?, read("until", &self.until)?);
        let words = self.q.split_whitespace().take(WORDS);
        Ok(Question {
            since: since.unwrap_or(i64::MIN),
            until: until.unwrap_or(i64::MAX),
            words: words.map(str::to_lowercase).collect(),
            filter: self,
        })
    }
}

/// `1d` before now, a date, or a time of RFC 3339: what [`TIME`] has, and nothing else, so that a
/// page takes what its exports do.
fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    static WRITTEN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(TIME).ok());
    WRITTEN.as_ref().filter(|time| time.is_match(text))?;
    let seconds = |unit| match unit {
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        "w" => Some(7 * 86_400),
        _ => None,
    };
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    if let (Ok(n), Some(unit)) = (text[..at].parse::<i64>(), seconds(&text[at..])) {
        let back = n.saturating_mul(unit).saturating_mul(1_000_000_000);
        return Some(Timestamp::from_nanos(now.nanos().saturating_sub(back)));
    }
    let day = || {
        let date: jiff::civil::Date = text.parse().ok()?;
        let day = date.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?;
        Some(day.timestamp())
    };
    let at = text.parse().ok().or_else(day)?;
    Some(Timestamp::from_secs(jiff::Timestamp::as_second(at)))
}

/// What `1d` counts from: packet time, as far as there is any.
pub(super) fn now(catalog_at: Timestamp) -> Timestamp {
    if catalog_at > Timestamp::from_secs(0) {
        catalog_at
    } else {
        wall()
    }
}

impl Listed for Alert {
    const LIST: &'static str = "alerts";
    const PARTS: &'static [&'static str] = &[
        "status",
        "severity",
        "kind",
        "owasp",
        "host",
        "detector",
        "principal",
        "endpoint",
        "client",
    ];

    fn id(&self) -> &str {
        &self.id
    }

    fn each<'a>(&'a self, part: &str, say: &mut dyn FnMut(&'a str)) {
        let client = || self.principal.as_ref()?.client.as_deref();
        let value = match part {
            "status" => Some(self.status.name()),
            "severity" => Some(self.severity.name()),
            "kind" => Some(self.kind.as_str()),
            "owasp" => Some(self.owasp.as_str()).filter(|o| !o.is_empty()),
            "host" => self.host.as_deref(),
            "detector" => Some(self.detector.as_str()),
            "principal" => self.who(),
            "endpoint" => self.endpoint.as_deref(),
            "client" => client(),
            _ => None,
        };
        value.into_iter().for_each(say);
    }

    fn words(&self) -> String {
        let note = self.note.as_deref().unwrap_or_default();
        format!("{}\n{}\n{note}", self.summary, self.id)
    }

    fn stage(&self) -> Stage {
        Stage::of(self.status, self.silenced.is_none())
    }

    fn span(&self) -> (i64, i64) {
        (self.since.min(self.ts).nanos(), self.last_seen.nanos())
    }

    fn rank(&self, sort: &str) -> i64 {
        match sort {
            "severity" => self.severity as i64,
            "" | "first" => self.ts.nanos(),
            "occurrences" => i64::try_from(self.occurrences).unwrap_or(i64::MAX),
            "score" => (self.score * 1e6) as i64,
            _ => self.last_seen.nanos(),
        }
    }
}

impl Listed for Incident {
    const LIST: &'static str = "incidents";
    const PARTS: &'static [&'static str] = &[
        "status",
        "severity",
        "kind",
        "owasp",
        "host",
        "detector",
        "principal",
        "endpoint",
        "client",
    ];

    fn id(&self) -> &str {
        &self.id
    }

    fn each<'a>(&'a self, part: &str, say: &mut dyn FnMut(&'a str)) {
        match part {
            "status" => say(self.status.name()),
            "severity" => say(self.severity.name()),
            "kind" => self.kinds.iter().for_each(|k| say(k)),
            "owasp" if !self.owasp.is_empty() => say(&self.owasp),
            "host" => self.hosts.iter().for_each(|h| say(h)),
            "detector" => self.detectors.iter().for_each(|d| say(d)),
            "principal" => self.callers.iter().for_each(|c| say(c)),
            "endpoint" => self.endpoints.iter().for_each(|e| say(e)),
            "client" => self.clients.iter().for_each(|c| say(c)),
            _ => {}
        }
    }

    fn words(&self) -> String {
        let note = self.note.as_deref().unwrap_or_default();
        format!("{}\n{}\n{note}", self.title, self.id)
    }

    fn stage(&self) -> Stage {
        Stage::of(self.status, self.loud > 0)
    }

    fn span(&self) -> (i64, i64) {
        (self.first_seen.nanos(), self.last_seen.nanos())
    }

    fn rank(&self, sort: &str) -> i64 {
        match sort {
            "severity" => self.severity as i64,
            "first" => self.first_seen.nanos(),
            "occurrences" => i64::try_from(self.occurrences).unwrap_or(i64::MAX),
            "score" => (self.peak * 1e6) as i64,
            _ => self.last_seen.nanos(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        let now = Timestamp::from_secs(1_760_000_000);
        for (text, secs) in [
            ("1d", Some(1_760_000_000 - 86_400)),
            ("90m", Some(1_760_000_000 - 5_400)),
            ("2w", Some(1_760_000_000 - 14 * 86_400)),
            ("2025-10-09", Some(1_759_968_000)),
            ("2025-10-09T08:53:20Z", Some(1_760_000_000)),
            ("2025-10-09T10:53:20.5+02:00", Some(1_760_000_000)),
            ("2025-10-31", Some(1_761_868_800)),
            ("2024-02-29", Some(1_709_164_800)),
            ("2025-02-29", None),
            ("2025-11-31", None),
            ("1999-12-31", None),
            ("2025-10-09T08:53:20", None),
            ("d", None),
            ("1y", None),
            ("-1d", None),
            ("yesterday", None),
        ] {
            assert_eq!(moment(text, now), secs.map(Timestamp::from_secs), "{text}");
        }
        assert!(moment("9999w", now) < Some(Timestamp::from_secs(0)));
    }

    /// What a page takes its exports take: both read what the document has.
    #[test]
    fn every_day_that_there_is_can_be_asked_for() {
        let now = Timestamp::from_secs(1_760_000_000);
        let days = jiff::civil::date(2023, 12, 25).series(jiff::Span::new().days(1));
        for day in days.take(800).chain([jiff::civil::date(2000, 2, 29)]) {
            assert!(moment(&day.to_string(), now).is_some(), "{day}");
        }
        for (month, day) in (0..14).flat_map(|m| (0..33).map(move |d| (m, d))) {
            let there = jiff::civil::Date::new(2027, month, day).is_ok();
            let text = format!("2027-{month:02}-{day:02}");
            assert_eq!(moment(&text, now).is_some(), there, "{text}");
        }
    }

    #[test]
    fn every_part_of_a_list_is_a_filter() {
        let filter = Filter::default();
        for part in [Alert::PARTS, Incident::PARTS].concat() {
            // Found by a search alone: for who has an identity, it is no way to name them.
            let known = filter.parts().iter().any(|(name, _)| *name == part);
            assert_eq!(known, part != "client", "{part}");
        }
    }

    #[test]
    fn links_keep_the_filter_and_a_page_begins_with_what_waits() {
        let filter = Filter {
            q: "a b".into(),
            cursor: "x".into(),
            ..Filter::default()
        };
        assert!(filter.is_set());
        let page = filter.of_page(50);
        assert_eq!((page.view.as_str(), page.limit), ("waiting", Some(50)));
        let link = page.with("/alerts", "kind", "scan");
        assert_eq!(link, "/alerts?q=a+b&kind=scan&view=waiting&sort=severity");
        let asked = Filter {
            status: "muted".into(),
            ..Filter::default()
        };
        assert_eq!(asked.of_page(50).stage(), Stage::All);
    }
}
