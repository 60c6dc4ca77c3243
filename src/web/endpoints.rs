//! The inventory as a list or a tree: searched, counted, sorted, cut into pages; all of it in the URL.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::asked::Asked;
use super::columns::{self, Cell, Column};
use super::cursor::Start;
use super::export;
use super::facets::{Facet, facets};
use super::find::{Blame, Cut, Order, Search};
use super::frame::{Frame, Link, show};
use super::index::Index;
use super::named_views::{self, Tab};
use super::place::{Look, Place, SIZES};
use super::query::EndpointFilter;
use super::routes::Shared;
use super::search::{self, About, FIELDS, Fault, Field, Takes, Test, Value, names};
use super::tree::{Tree, tree};
use super::who::Who;
use super::{bulk, decisions, filters};
use crate::catalog::{Action, EndpointView};

#[cfg(test)]
mod tests;

/// Tags, and owners, that are offered where one is asked for.
const VALUES: usize = 50;

/// Names that a hint has.
const HINTED: usize = 8;

struct Head {
    label: &'static str,
    /// Sorts by it, or turns the order round.
    link: Option<String>,
    /// As ARIA has it, of the column that is sorted by.
    sorted: Option<&'static str>,
    number: bool,
}

struct EndpointRow {
    key: String,
    label: String,
    cells: Vec<Cell>,
}

/// What is wrong with the query, with the text around it.
struct Wrong {
    before: String,
    at: String,
    after: String,
    fault: Fault,
}

/// A term of a query that finds nothing, and the query without it.
struct Lacking {
    term: String,
    blame: Blame,
    link: String,
    hint: Option<Hint>,
}

/// What could be meant by a term that no endpoint has.
struct Hint {
    said: String,
    /// The term in its place, and where it leads.
    instead: Option<(String, String)>,
}

struct Table {
    heads: Vec<Head>,
    rows: Vec<EndpointRow>,
    first: usize,
    last: usize,
    start: Option<String>,
    previous: Option<String>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "endpoints.html")]
struct Endpoints {
    page: Frame,
    place: Place,
    /// Endpoints there are at all.
    all: usize,
    total: usize,
    wrong: Option<Wrong>,
    lacking: Vec<Lacking>,
    help: &'static [About],
    facets: Vec<Facet>,
    table: Table,
    tree: Option<Tree>,
    as_table: String,
    as_tree: String,
    /// Name, label, whether it is shown.
    columns: Vec<(&'static str, &'static str, bool)>,
    sizes: Vec<(usize, bool)>,
    /// Of the host, where one is asked for.
    versions: Option<String>,
    /// Endpoints found that wait to be accepted.
    waiting: usize,
    exports: Vec<Link>,
    tabs: Vec<Tab>,
    actions: [(Action, &'static str); 4],
    /// Tags and owners that there are.
    values: Vec<String>,
    /// What saving this view keeps.
    saved: String,
}

impl Endpoints {
    /// The parts of the place that a form carries beside those that it sets.
    fn kept(&self, set: &str) -> Vec<(&'static str, &String)> {
        let mut parts = self.place.parts();
        parts.retain(|(name, _)| *name != "cursor" && !set.split(' ').any(|s| s == *name));
        parts
    }

    fn values(&self, about: &About) -> String {
        match about.takes {
            Takes::Names => names(about.field).collect::<Vec<_>>().join(", "),
            _ => String::new(),
        }
    }

    fn waiting_link(&self) -> String {
        self.place
            .step(|p| p.q = format!("{} is:waiting", p.q).trim().to_owned())
    }

    fn clear(&self) -> String {
        self.place.step(|p| p.q.clear())
    }
}

/// For the box of a tag or an owner.
fn values(index: &Index) -> Vec<String> {
    let (tags, owners) = (index.known.tags.iter(), index.known.owners.iter());
    let all = owners.take(VALUES).chain(tags.take(VALUES));
    all.map(str::to_owned).collect()
}

/// The columns ticked in the form, as the URL has them.
fn ticked(query: &str) -> Option<String> {
    let parts = url::form_urlencoded::parse(query.as_bytes());
    let names: Vec<String> = parts
        .filter(|(name, _)| name == "col")
        .map(|(_, value)| value.into_owned())
        .collect();
    (!names.is_empty()).then(|| names.join(","))
}

/// `/endpoints`.
pub(super) async fn page(
    State(app): Shared,
    who: Who,
    RawQuery(raw): RawQuery,
    Asked(filter, slips): Asked<EndpointFilter>,
    Query(look): Query<Look>,
) -> Response {
    let mut place = Place::new(&filter, &look);
    if let Some(names) = ticked(&raw.unwrap_or_default()) {
        place.cols = columns::canonical(&columns::chosen(&names));
        return Redirect::to(&place.link()).into_response();
    }
    let start = Start::read(&filter.order().name(), &filter.cursor);
    let lost = start == Start::Lost && !place.is_tree();
    let slips = look.slips(filter.limit, slips).lost(lost);
    let index = app.index().await;
    let shown = columns::chosen(&place.cols);
    let mut out = Endpoints {
        all: index.rows.len(),
        total: 0,
        wrong: None,
        lacking: Vec::new(),
        help: &FIELDS,
        facets: Vec::new(),
        table: Table {
            heads: heads(&place, &shown, filter.order()),
            rows: Vec::new(),
            first: 0,
            last: 0,
            start: None,
            previous: None,
            next: None,
        },
        tree: None,
        as_table: place.step(|p| (p.view, p.at) = (String::new(), String::new())),
        as_tree: place.step(|p| p.view = "tree".into()),
        columns: columns::all()
            .iter()
            .map(|c| (c.name, c.label, shown.iter().any(|s| s.name == c.name)))
            .collect(),
        sizes: SIZES.map(|size| (size, size == place.size())).to_vec(),
        versions: None,
        waiting: 0,
        exports: export::endpoint_links(&place, &columns::names(&shown)),
        tabs: named_views::tabs(&app, &place),
        actions: bulk::ACTIONS,
        values: values(&index),
        saved: named_views::kept(&place),
        page: Frame::new(&app, &who, "endpoints").told(slips),
        place,
    };
    match filter.query() {
        Ok(query) => fill(&mut out, &index, &query, &shown, filter.order()),
        Err(fault) => out.wrong = Some(Wrong::new(&out.place.q, fault)),
    }
    show(&out)
}

fn fill(
    out: &mut Endpoints,
    index: &Index,
    query: &search::Query,
    shown: &[&Column],
    order: Order,
) {
    let search = Search::new(index, query);
    let (found, counts) = search.counted();
    let waits = search::bit(Field::Is, "waiting");
    let waiting = |n: &&u32| index.rows[**n as usize].facts & waits != 0;
    out.total = found.len();
    out.waiting = found.iter().filter(waiting).count();
    out.facets = facets(&out.place, query, &counts, index);
    out.versions = host_of(query).and_then(|host| decisions::versions(&index.view.hosts, host));
    if found.is_empty() {
        out.lacking = lacking(index, &out.place, query, &search);
    } else if out.place.is_tree() {
        out.tree = Some(tree(index, &found, &out.place));
    } else {
        let start = Start::read(&order.name(), &out.place.cursor);
        let rows = found.iter().map(|n| *n as usize);
        let cut = order.cut(index, rows, &start, out.place.size());
        let behind = |row| order.cursor(index, row);
        fill_table(&mut out.table, &out.place, index, shown, &cut, behind);
    }
}

fn fill_table(
    table: &mut Table,
    place: &Place,
    index: &Index,
    shown: &[&Column],
    cut: &Cut,
    cursor: impl Fn(usize) -> String,
) {
    let behind =
        |row: Option<usize>| place.step(|p| p.cursor = row.map_or_else(String::new, &cursor));
    table.rows = cut
        .rows
        .iter()
        .map(|n| row(index.endpoint(*n), shown))
        .collect();
    table.first = cut.before + 1;
    table.last = cut.before + cut.rows.len();
    table.previous = cut.previous.map(behind);
    table.start = cut.previous.flatten().map(|_| behind(None));
    table.next = cut
        .rows
        .last()
        .filter(|_| cut.more)
        .map(|last| behind(Some(*last)));
}

fn row(e: &Arc<EndpointView>, shown: &[&Column]) -> EndpointRow {
    EndpointRow {
        key: e.key.clone(),
        label: columns::clip(&e.label()),
        cells: shown.iter().map(|column| (column.cell)(e)).collect(),
    }
}

fn heads(place: &Place, shown: &[&Column], order: Order) -> Vec<Head> {
    let head = |column: &&Column| {
        let current = column.sort == Some(order.sort);
        let link = column.sort.map(|sort| {
            let turned = if order.descending { "asc" } else { "desc" };
            let next = Order::named(sort, if current { turned } else { "" });
            place.step(|p| p.sort_by(next))
        });
        let direction = if order.descending {
            "descending"
        } else {
            "ascending"
        };
        Head {
            label: column.label,
            link,
            sorted: current.then_some(direction),
            number: column.number,
        }
    };
    shown.iter().map(head).collect()
}

/// The one host that a query asks for.
fn host_of(query: &search::Query) -> Option<&str> {
    let mut hosts = query
        .terms
        .iter()
        .filter(|t| t.field() == Some(Field::Host) && !t.not);
    match (hosts.next().map(|t| &t.test), hosts.next()) {
        (Some(Test::Field(_, values)), None) => match &values[..] {
            [Value::Word(host)] => Some(host),
            _ => None,
        },
        _ => None,
    }
}

/// What excludes the most comes first; where no single term is to blame, what is rarest by itself.
fn lacking(
    index: &Index,
    place: &Place,
    query: &search::Query,
    search: &Search<'_>,
) -> Vec<Lacking> {
    let blame = search.blame(query.terms.len());
    let term = |(n, blame): (usize, Blame)| Lacking {
        term: (place.q.get(query.terms[n].span.clone()).unwrap_or_default()).to_owned(),
        hint: (blame.alone == 0)
            .then(|| hint(index, place, query, n))
            .flatten(),
        blame,
        link: place.step(|p| p.q = query.without(n).to_string()),
    };
    let mut all: Vec<_> = blame.into_iter().enumerate().map(term).collect();
    all.sort_by_key(|l| (std::cmp::Reverse(l.blame.without), l.blame.alone));
    all
}

/// Of a name that there is not: the star that would find it, or the names that there are.
fn hint(index: &Index, place: &Place, query: &search::Query, n: usize) -> Option<Hint> {
    let Test::Field(field, values) = &query.terms[n].test else {
        return None;
    };
    let Some(Value::Word(word)) = values.first() else {
        return None;
    };
    let known = index.known.of(*field)?;
    let lower = word.to_lowercase();
    let part = |name: &str| name.to_lowercase().contains(&lower);
    if !word.contains('*') && known.iter().any(part) {
        let mut meant = query.clone();
        meant.terms[n].test = Test::Field(*field, vec![Value::Word(format!("*{word}*"))]);
        return Some(Hint {
            said: format!(
                "{}: is the whole name; with stars it is a part of it",
                field.name()
            ),
            instead: Some((
                meant.terms[n].to_string(),
                place.step(|p| p.q = meant.to_string()),
            )),
        });
    }
    let mut names: Vec<String> = known.iter().map(columns::clip).collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(HINTED);
    names.truncate(HINTED);
    let more = if more > 0 {
        format!(", and {more} more")
    } else {
        String::new()
    };
    let said = format!("there are {}{more}", names.join(", "));
    (!names.is_empty()).then_some(Hint {
        said,
        instead: None,
    })
}

impl Wrong {
    fn new(text: &str, fault: Fault) -> Self {
        let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
        Self {
            before: part(0..fault.at.start),
            at: part(fault.at.clone()),
            after: part(fault.at.end..text.len()),
            fault,
        }
    }
}
