//! The list that triage is done on: incidents or alerts, with tabs for what needs a person, facets,
//! a search, and what can be done about each row and about several.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::Role;
use super::asked::Slips;
use super::frame::{Frame, Link, failed, link, query_link, show};
use super::listing::{Found, Listed, Lists, SORTS};
use super::routes::App;
use super::triage::{Filter, Question, STAGES, now};
use super::who::Who;
use super::{export, filters, life};
use crate::alert::{Act, Alert, Incident, On, Status};
use crate::time::Timestamp;

/// Rows of a page.
const ROWS: usize = 50;

/// Spans of time that the list offers, as filters have them.
const SPANS: [(&str, &str); 6] = [
    ("", "any time"),
    ("1h", "last hour"),
    ("8h", "last 8 hours"),
    ("1d", "last day"),
    ("1w", "last 7 days"),
    ("4w", "last 4 weeks"),
];

/// The lists of what is shown now.
pub(super) fn lists(app: &App) -> Arc<Lists> {
    let view = app.views.alerts.load_full();
    app.lists.get(&view, Duration::ZERO, Lists::new)
}

/// A filter read against the clock of the inventory.
pub(super) fn ask(app: &App, filter: Filter) -> Result<Question, String> {
    filter.ask(now(app.views.catalog.load().at))
}

/// One line: what happened, who, how it stands.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) href: String,
    pub(super) severity: &'static str,
    pub(super) title: String,
    /// Kinds and place, as far as the title does not say them.
    pub(super) sub: String,
    pub(super) who: String,
    /// The page of who did it, where it is one.
    pub(super) who_href: Option<String>,
    pub(super) status: Status,
    pub(super) until: Option<Timestamp>,
    pub(super) silenced: bool,
    /// Who changed the status last.
    pub(super) by: Option<String>,
    /// Alerts of an incident.
    pub(super) count: u64,
    pub(super) occurrences: u64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

/// The page of a principal.
pub(super) fn principal_href(who: &str) -> String {
    let id = percent_encoding::utf8_percent_encode(who, percent_encoding::NON_ALPHANUMERIC);
    format!("/principals/{id}")
}

impl From<&Alert> for Row {
    fn from(a: &Alert) -> Self {
        let endpoint = a.endpoint.as_deref().filter(|e| !a.summary.contains(e));
        let sub = [Some(a.kind.as_str()), endpoint];
        Self {
            href: format!("/alerts/{}", a.id),
            id: a.id.clone(),
            severity: a.severity.name(),
            title: a.summary.clone(),
            sub: sub.into_iter().flatten().collect::<Vec<_>>().join(" · "),
            who: a.who().unwrap_or_default().to_owned(),
            who_href: a.who().map(principal_href),
            status: a.status,
            until: a.status_until,
            silenced: a.silenced.is_some(),
            by: a.changed_by.clone(),
            count: 1,
            occurrences: a.occurrences,
            first: a.ts,
            last: a.last_seen,
        }
    }
}

impl From<&Incident> for Row {
    fn from(i: &Incident) -> Self {
        let only = i.callers.first().filter(|_| i.callers() == 1);
        let mut sub = i.kinds.join(", ");
        if let Some(why) = &i.escalated {
            sub += &format!(" · raised: {why}");
        }
        Self {
            href: format!("/incidents/{}", i.id),
            id: i.id.clone(),
            severity: i.severity.name(),
            title: i.title.clone(),
            sub,
            who: match (only, i.callers()) {
                (Some(one), _) => one.clone(),
                (None, 0) => String::new(),
                (None, n) => format!("{n} callers"),
            },
            who_href: only.map(|who| principal_href(who)),
            status: i.status,
            until: i.status_until,
            silenced: i.loud == 0,
            by: i.changed_by.clone(),
            count: i.count,
            occurrences: i.occurrences,
            first: i.first_seen,
            last: i.last_seen,
        }
    }
}

/// A facet's value, with the list that it leads to.
struct Choice {
    value: String,
    href: String,
    n: u32,
    chosen: bool,
}

struct Facet {
    name: &'static str,
    part: &'static str,
    choices: Vec<Choice>,
    /// Values beyond those shown.
    more: usize,
}

/// As the page names the parts, in their order.
const FACETS: [(&str, &str); 8] = [
    ("Severity", "severity"),
    ("Status", "status"),
    ("Kind", "kind"),
    ("Caller", "principal"),
    ("Host", "host"),
    ("Endpoint", "endpoint"),
    ("OWASP", "owasp"),
    ("Detector", "detector"),
];

struct Tab {
    name: &'static str,
    href: String,
    n: usize,
    chosen: bool,
}

/// A column that the list can be sorted by.
struct Head {
    name: &'static str,
    href: String,
    chosen: bool,
    number: bool,
}

#[derive(Template)]
#[template(path = "worklist.html")]
struct Page {
    page: Frame,
    /// `incidents` or `alerts`.
    what: &'static str,
    may_act: bool,
    total: usize,
    filter: Filter,
    filtered: bool,
    tabs: Vec<Tab>,
    facets: Vec<Facet>,
    heads: Vec<Head>,
    rows: Vec<Row>,
    next: Option<String>,
    first: Option<String>,
    exports: Vec<Link>,
    spans: [(&'static str, &'static str); 6],
    mutes: &'static [(&'static str, &'static str)],
    /// The list without its filter, and without any.
    clear: String,
    all: String,
    /// This very page, where a form leads back to.
    here: String,
    /// Where there are more than on this page: which all of them are.
    stamp: Option<String>,
}

fn facets<T: Listed>(found: &Found<'_, T>, filter: &Filter, path: &str) -> Vec<Facet> {
    let facet = |(name, part): (&'static str, &'static str)| {
        let chosen = filter.part(part);
        let (values, more) = found.counted(part, chosen);
        let choices = values.into_iter().map(|(value, n)| {
            let is_it = value == chosen;
            Choice {
                href: filter.with(path, part, if is_it { "" } else { value }),
                value: value.to_owned(),
                n,
                chosen: is_it,
            }
        });
        let mut choices: Vec<Choice> = choices.collect();
        // What a filter asks for that is no value as it stands (`API1`) can be taken back, too.
        if !chosen.is_empty() && !choices.iter().any(|c| c.chosen) {
            choices.push(Choice {
                value: chosen.to_owned(),
                href: filter.with(path, part, ""),
                n: 0,
                chosen: true,
            });
        }
        Facet {
            name,
            part,
            choices,
            more,
        }
    };
    let all = FACETS.into_iter().map(facet);
    all.filter(|f| !f.choices.is_empty()).collect()
}

fn heads(on: On, filter: &Filter, path: &str) -> Vec<Head> {
    let columns: [(&str, &str, bool); 5] = [
        ("Severity", "severity", false),
        ("What", "", false),
        ("Who", "", false),
        ("Seen", "occurrences", true),
        ("Last seen", "last", false),
    ];
    let shown = columns.into_iter().map(|(name, sort, number)| Head {
        name,
        href: match sort {
            "" => String::new(),
            sort => filter.with(path, "sort", sort),
        },
        chosen: !sort.is_empty() && filter.sort == sort,
        number,
    });
    let mut heads: Vec<Head> = shown.collect();
    if on == On::Incidents {
        let alerts = Head {
            name: "Alerts",
            href: String::new(),
            chosen: false,
            number: true,
        };
        heads.insert(3, alerts);
    }
    heads
}

/// `/incidents` or `/alerts`.
pub(super) fn page(app: &App, who: &Who, on: On, filter: Filter, mut slips: Slips) -> Response {
    if filter.limit.is_some_and(|limit| limit > ROWS) {
        slips.add("limit", &format!("a page has at most {ROWS} rows"));
    }
    let asked = match ask(app, filter.of_page(ROWS)) {
        Ok(asked) => asked,
        Err(why) => return failed(app, who, StatusCode::BAD_REQUEST, "No such list", &why),
    };
    let lists = lists(app);
    match on {
        On::Alerts => {
            let found = lists.alerts().find(&asked);
            of(app, who, on, &found, asked.filter, slips)
        }
        On::Incidents => {
            let found = lists.incidents().find(&asked);
            of(app, who, on, &found, asked.filter, slips)
        }
    }
}

fn of<T>(
    app: &App,
    who: &Who,
    on: On,
    found: &Found<'_, T>,
    filter: Filter,
    slips: Slips,
) -> Response
where
    T: Listed,
    Row: for<'a> From<&'a T>,
{
    let path = format!("/{}", on.name());
    let listed = found.page(&filter);
    let tabs = STAGES.into_iter().zip(found.stages);
    let tabs = tabs.map(|(stage, n)| Tab {
        name: stage.words(),
        href: filter.with(&path, "view", stage.name()),
        n,
        chosen: filter.stage() == stage,
    });
    let parts = filter.parts();
    let here = link(&path, &parts, &filter.cursor);
    let clear = Filter {
        view: filter.view.clone(),
        ..Filter::default()
    };
    show(&Page {
        what: on.name(),
        may_act: who.role >= Role::Analyst,
        total: found.total(),
        filtered: filter.is_set(),
        tabs: tabs.collect(),
        facets: facets(found, &filter, &path),
        heads: heads(on, &filter, &path),
        rows: listed.items.iter().map(|i| Row::from(i)).collect(),
        next: listed.next.map(|c| link(&path, &parts, &c)),
        first: (!filter.cursor.is_empty()).then(|| query_link(&path, &parts)),
        exports: export::links(on.name(), &parts),
        spans: SPANS,
        mutes: &life::SPANS,
        clear: query_link(&path, &clear.parts()),
        all: filter.with(&path, "view", "all"),
        here,
        stamp: (found.total() > listed.items.len()).then(|| found.stamp()),
        page: Frame::new(app, who, on.name()).told(slips.lost(listed.lost)),
        filter,
    })
}

impl Page {
    /// Whether the span of time is one that the list does not offer by itself.
    fn has_other_span(&self) -> bool {
        let known = |(span, _): &(&str, &str)| *span == self.filter.since;
        !self.spans.iter().any(known)
    }

    /// As many as can be acted on at once.
    fn most(&self) -> usize {
        Act::MOST
    }

    /// Orders that the list offers, in words.
    fn orders(&self) -> [(&'static str, &'static str); SORTS.len() - 1] {
        [
            ("severity", "gravest"),
            ("last", "seen last"),
            ("first", "newest"),
            ("occurrences", "seen most"),
            ("score", "surest"),
        ]
    }
}
