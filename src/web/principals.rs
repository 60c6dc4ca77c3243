//! Principals: who calls, as a list.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::Query;
use super::asked::Asked;
use super::cursor::{Mark, latest};
use super::export::{self, Form};
use super::frame::{Frame, Link, link, query_link, show};
use super::involved::{Involved, Part, involved};
use super::query::{Page, cut};
use super::routes::Shared;
use super::who::Who;
use super::{api, filters};
use crate::catalog::{CatalogView, EndpointId, EndpointView};
use crate::detect::{PrincipalKind, PrincipalRow, PrincipalsView};
use crate::export::Row;
use crate::time::Timestamp;

/// Values that a facet offers.
const OFFERED: usize = 10;
/// What is said of a program where requests name none.
const NO_PROGRAM: &str = "(none named)";
const DAY: i64 = 86_400_000_000_000;

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Filter {
    /// Part of the name or of the program, without case.
    q: String,
    /// An identity, or an address without one.
    #[schemars(with = "Option<PrincipalKind>")]
    kind: String,
    /// Family of the program that it uses most; `(none named)` where it names none.
    program: String,
    /// Where it calls from most, by its code of two letters; `unknown` where that is not known.
    country: String,
    /// Whether it is known automation.
    #[schemars(extend("enum" = ["known", "none"]))]
    automation: String,
    /// Whether it has a part in incidents that are not settled.
    #[schemars(extend("enum" = ["open", "none"]))]
    incidents: String,
    /// An endpoint's key: those of whose calls most go there.
    endpoint: String,
    /// `new`: first seen within a day.
    #[schemars(extend("enum" = ["new"]))]
    seen: String,
    /// The order, the highest or latest first.
    #[schemars(extend("enum" = ["last", "first", "requests", "errors", "endpoints", "incidents"], "default" = "last"))]
    sort: String,
    /// `next` of the page before.
    cursor: String,
    /// Items on a page.
    #[schemars(schema_with = "super::query::limits")]
    limit: Option<usize>,
}

/// A line with what alerts say of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Principal")]
pub(super) struct Item {
    #[serde(flatten)]
    row: PrincipalRow,
    /// Incidents that are not settled.
    open_incidents: usize,
}

impl Row for Item {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "kind",
        "first_seen",
        "last_seen",
        "requests",
        "errors",
        "endpoints",
        "program",
        "country",
        "automation",
        "open_incidents",
    ];

    fn cells(&self) -> Vec<String> {
        let row = &self.row;
        vec![
            row.id.clone(),
            row.kind.name().to_owned(),
            row.first_seen.to_string(),
            row.last_seen.to_string(),
            row.requests.to_string(),
            row.errors.to_string(),
            row.endpoints.to_string(),
            row.program.to_string(),
            row.country.as_deref().unwrap_or_default().to_owned(),
            row.automation.to_string(),
            self.open_incidents.to_string(),
        ]
    }
}

/// One way to choose, and what each row is by it.
struct Facet {
    title: &'static str,
    name: &'static str,
    of: fn(&PrincipalRow, Option<Part>) -> String,
}

const FACETS: [Facet; 5] = [
    Facet {
        title: "Incidents",
        name: "incidents",
        of: |_, part| String::from(if part.is_some() { "open" } else { "none" }),
    },
    Facet {
        title: "Kind",
        name: "kind",
        of: |row, _| row.kind.name().to_owned(),
    },
    Facet {
        title: "Automation",
        name: "automation",
        of: |row, _| String::from(if row.automation { "known" } else { "none" }),
    },
    Facet {
        title: "Program",
        name: "program",
        of: |row, _| match row.program.as_str() {
            "" => NO_PROGRAM.to_owned(),
            program => program.to_owned(),
        },
    },
    Facet {
        title: "Country",
        name: "country",
        of: |row, _| match row.country.as_deref() {
            Some(country) => country.to_owned(),
            None => "unknown".to_owned(),
        },
    },
];

/// The filter held against one list.
struct Search<'a> {
    filter: &'a Filter,
    needle: String,
    /// First seen after it.
    since: Timestamp,
    involved: &'a Involved,
    /// The endpoint that is asked for, where it is there.
    called: Option<&'a Arc<EndpointView>>,
}

impl<'a> Search<'a> {
    fn new(
        filter: &'a Filter,
        catalog: &'a CatalogView,
        view: &PrincipalsView,
        involved: &'a Involved,
    ) -> Self {
        Self {
            called: (!filter.endpoint.is_empty())
                .then(|| catalog.find(&filter.endpoint))
                .flatten(),
            needle: filter.q.trim().to_lowercase(),
            since: Timestamp(view.at.nanos().saturating_sub(DAY)),
            filter,
            involved,
        }
    }

    /// Whether it is wanted, by all facets but one.
    fn takes(&self, row: &PrincipalRow, but: &str) -> bool {
        let text = || {
            row.id.to_lowercase().contains(&self.needle)
                || row.program.to_lowercase().contains(&self.needle)
        };
        let part = self.involved.part(&row.id);
        let by = |facet: &Facet| {
            let wanted = self.filter.value(facet.name);
            facet.name == but || wanted.is_empty() || (facet.of)(row, part) == wanted
        };
        (self.needle.is_empty() || text())
            && (self.filter.endpoint.is_empty()
                || self.called.is_some_and(|e| calls(row, e.id) > 0))
            && (self.filter.seen != "new" || row.first_seen > self.since)
            && FACETS.iter().all(by)
    }

    /// All that are wanted, in the order that was asked for.
    fn found<'b>(&self, all: &'b [Arc<PrincipalRow>]) -> Vec<&'b Arc<PrincipalRow>> {
        let mut found: Vec<_> = all.iter().filter(|row| self.takes(row, "")).collect();
        found.sort_by_cached_key(|row| (self.rank(row), &row.id));
        found
    }

    /// By what a row stands where it does; of equals their names tell.
    fn rank(&self, row: &PrincipalRow) -> u64 {
        match self.filter.sort.as_str() {
            "first" => latest(row.first_seen),
            "requests" => !row.requests,
            "errors" => !row.errors,
            "endpoints" => !row.endpoints,
            "incidents" => {
                let part = self.involved.part(&row.id);
                !part.map_or(0, |p| (p.worst as u64 + 1) << 32 | p.incidents as u64)
            }
            _ => latest(row.last_seen),
        }
    }

    fn page(&self, all: &[Arc<PrincipalRow>]) -> Page<PrincipalRow> {
        let found = self.found(all);
        let order = format!("principals {}", self.filter.sort);
        let at = (self.filter.cursor.as_str(), self.filter.limit);
        cut(&found, &order, at, |row| {
            Mark::new([self.rank(row), 0], &[&row.id])
        })
    }

    fn item(&self, row: &PrincipalRow) -> Item {
        Item {
            open_incidents: self.involved.part(&row.id).map_or(0, |p| p.incidents),
            row: row.clone(),
        }
    }

    /// With what alerts say of each.
    fn items(&self, page: Page<PrincipalRow>) -> Page<Item> {
        let items = page.items.iter().map(|row| Arc::new(self.item(row)));
        Page {
            items: items.collect(),
            next: page.next,
            total: page.total,
            lost: page.lost,
        }
    }

    fn send(&self, form: Form, uri: &Uri, view: &PrincipalsView) -> Response {
        let at = (self.filter.cursor.as_str(), self.filter.limit);
        let all = || self.found(&view.items).into_iter().cloned().collect();
        let part = export::part(at, || self.page(&view.items), all);
        export::send(form, "principals", uri, self.items(part))
    }

    fn groups(&self, all: &[Arc<PrincipalRow>]) -> Vec<Group> {
        let group = |facet: &Facet| {
            let chosen = self.filter.value(facet.name);
            let mut counts = BTreeMap::<String, usize>::new();
            for row in all.iter().filter(|row| self.takes(row, facet.name)) {
                let part = self.involved.part(&row.id);
                *counts.entry((facet.of)(row, part)).or_default() += 1;
            }
            let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
            counts.sort_by_key(|(value, n)| (value != chosen, Reverse(*n)));
            counts.truncate(OFFERED);
            // One value of all tells nothing.
            if counts.len() == 1 && chosen.is_empty() {
                counts.clear();
            }
            let values = counts.into_iter().map(|(value, n)| {
                let is_chosen = value == chosen;
                let to = if is_chosen { "" } else { &value };
                FacetValue {
                    href: self.filter.with(facet.name, to),
                    chosen: is_chosen,
                    value,
                    n,
                }
            });
            Group {
                title: facet.title,
                values: values.collect(),
            }
        };
        let groups = FACETS.iter().map(group);
        groups.filter(|g| !g.values.is_empty()).collect()
    }
}

/// Its requests to an endpoint that is one of those it calls most; 0 of another.
pub(super) fn calls(row: &PrincipalRow, id: EndpointId) -> u64 {
    let to = row.calls.iter().find(|(called, _)| *called == id);
    to.map_or(0, |(_, requests)| *requests)
}

impl Filter {
    fn value(&self, name: &str) -> &str {
        match name {
            "kind" => &self.kind,
            "program" => &self.program,
            "country" => &self.country,
            "automation" => &self.automation,
            "incidents" => &self.incidents,
            _ => "",
        }
    }

    /// The parts that a link carries.
    fn parts(&self) -> [(&'static str, &String); 9] {
        [
            ("q", &self.q),
            ("kind", &self.kind),
            ("program", &self.program),
            ("country", &self.country),
            ("automation", &self.automation),
            ("incidents", &self.incidents),
            ("endpoint", &self.endpoint),
            ("seen", &self.seen),
            ("sort", &self.sort),
        ]
    }

    /// A link to the same list with another value of one part.
    fn with(&self, name: &str, value: &str) -> String {
        let mut other = Self {
            cursor: String::new(),
            ..self.clone()
        };
        let part = match name {
            "kind" => &mut other.kind,
            "program" => &mut other.program,
            "country" => &mut other.country,
            "automation" => &mut other.automation,
            "incidents" => &mut other.incidents,
            "endpoint" => &mut other.endpoint,
            "seen" => &mut other.seen,
            _ => &mut other.sort,
        };
        value.clone_into(part);
        query_link("/principals", &other.parts())
    }

    fn is_set(&self) -> bool {
        let parts = self.parts();
        parts
            .iter()
            .any(|(name, value)| *name != "sort" && !value.is_empty())
    }
}

/// `/api/v1/principals`: those that are listed; `total` is of those that match.
pub(super) async fn list(
    State(app): Shared,
    headers: HeaderMap,
    uri: Uri,
    Query(filter): Query<Filter>,
) -> Response {
    let view = app.views.principals.load_full();
    let involved = involved(&app);
    let catalog = app.views.catalog.load();
    let search = Search::new(&filter, &catalog, &view, &involved);
    if let Some(form) = export::wanted(&headers) {
        return search.send(form, &uri, &view);
    }
    api::list(&search.items(search.page(&view.items)))
}

/// `/api/v1/principals.csv`, `/api/v1/principals.jsonl`.
pub(super) async fn all(
    State(app): Shared,
    Extension(form): Extension<Form>,
    uri: Uri,
    Query(filter): Query<Filter>,
) -> Response {
    let view = app.views.principals.load_full();
    Search::new(&filter, &app.views.catalog.load(), &view, &involved(&app)).send(form, &uri, &view)
}

/// The values of a facet, the most frequent first.
struct Group {
    title: &'static str,
    values: Vec<FacetValue>,
}

struct FacetValue {
    value: String,
    href: String,
    chosen: bool,
    n: usize,
}

/// A column that the list may be sorted by.
struct Column {
    title: &'static str,
    /// It is a number.
    num: bool,
    sort: &'static str,
    href: String,
}

const COLUMNS: [(&str, bool, &str); 9] = [
    ("Principal", false, ""),
    ("Incidents", true, "incidents"),
    ("Program", false, ""),
    ("Country", false, ""),
    ("Endpoints", true, "endpoints"),
    ("Requests", true, "requests"),
    ("Errors", true, "errors"),
    ("First seen", false, "first"),
    ("Last seen", false, "last"),
];

/// How a row is shown.
struct Line {
    item: Item,
    part: Option<Part>,
    /// Of its requests.
    errors: String,
    is_new: bool,
}

#[derive(Template)]
#[template(path = "principals.html")]
struct PrincipalsPage {
    page: Frame,
    f: Filter,
    /// Name of the endpoint that they call, and the list without it.
    called: Option<(String, String)>,
    /// That match; listed; followed.
    total: usize,
    listed: usize,
    followed: usize,
    evicted: u64,
    new: usize,
    new_href: String,
    filtered: bool,
    sort: String,
    columns: Vec<Column>,
    /// Any is known.
    countries: bool,
    groups: Vec<Group>,
    rows: Vec<Line>,
    next: Option<String>,
    exports: Vec<Link>,
}

/// `/principals`.
pub(super) async fn page(State(app): Shared, who: Who, Asked(f, slips): Asked<Filter>) -> Response {
    let view = app.views.principals.load_full();
    let involved = involved(&app);
    let catalog = app.views.catalog.load();
    let search = Search::new(&f, &catalog, &view, &involved);
    let found = search.page(&view.items);
    let line = |row: &Arc<PrincipalRow>| Line {
        part: involved.part(&row.id),
        errors: percent(row.errors, row.requests),
        is_new: row.first_seen > search.since,
        item: search.item(row),
    };
    let countries = view.items.iter().any(|row| row.country.is_some());
    let column = |(title, num, sort): (_, _, &'static str)| Column {
        title,
        num,
        sort,
        href: f.with("sort", sort),
    };
    let parts = f.parts();
    show(&PrincipalsPage {
        called: search.called.map(|e| (e.label(), f.with("endpoint", ""))),
        total: found.total,
        listed: view.items.len(),
        followed: view.total,
        evicted: view.evicted,
        new: view.new[0],
        new_href: f.with("seen", "new"),
        filtered: f.is_set(),
        sort: match f.sort.as_str() {
            "" => "last".to_owned(),
            sort => sort.to_owned(),
        },
        columns: (COLUMNS.into_iter())
            .filter(|(title, ..)| countries || *title != "Country")
            .map(column)
            .collect(),
        countries,
        groups: search.groups(&view.items),
        rows: found.items.iter().map(line).collect(),
        next: found.next.map(|c| link("/principals", &parts, &c)),
        exports: export::links("principals", &parts),
        f: f.clone(),
        page: Frame::new(&app, &who, "principals").told(slips.lost(found.lost)),
    })
}

/// `12.5 %`; of nothing it is a dash.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".into();
    }
    let share = part as f64 / whole as f64 * 100.0;
    match part {
        0 => "0 %".into(),
        _ if share < 0.1 => "< 0.1 %".into(),
        _ => format!("{share:.1} %"),
    }
}
