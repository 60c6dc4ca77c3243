//! Filters, order and paging of lists: one meaning for pages and API.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::cursor::{self, Mark, Start};
use super::find::{Order, Search};
use super::index::Index;
use super::search::{self, Fault, Field, Query, Term, Value};
use crate::alert::Alert;
use crate::catalog::{AuthVerdict, Documentation, EndpointView, Life, Zone};

pub(super) const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct EndpointFilter {
    /// The query: words are parts of path, host or operation, without case; `status:shadow risk:>6 seen:<1d` as in the help of the page.
    pub(super) q: String,
    /// The host group's name.
    pub(super) host: String,
    /// The HTTP method.
    pub(super) method: String,
    /// What specs say of it, and whether it came after the inventory of its host was accepted.
    #[schemars(extend("enum" = ["documented", "shadow", "unreviewed"]))]
    pub(super) documentation: String,
    /// Where it is in its life.
    #[schemars(with = "Option<Life>")]
    pub(super) life: String,
    /// What is marked of it; `accepted`: a person has said that it is meant to be there.
    #[schemars(extend("enum" = ["deprecated", "zombie", "drift", "accepted"]))]
    pub(super) flag: String,
    /// Whether answered calls had credentials.
    #[schemars(with = "Option<AuthVerdict>")]
    pub(super) auth: String,
    /// The least risk.
    #[schemars(with = "Option<u8>", extend("minimum" = 0, "maximum" = 10))]
    pub(super) min_risk: String,
    /// The widest zone that is answered.
    #[schemars(with = "Option<Zone>")]
    pub(super) exposure: String,
    /// The order.
    #[schemars(extend("enum" = super::find::SORTS, "default" = "risk"))]
    pub(super) sort: String,
    /// Its direction; by default numbers and times begin with the most.
    #[schemars(extend("enum" = ["asc", "desc"]))]
    pub(super) dir: String,
    #[schemars(schema_with = "super::columns::list")]
    pub(super) cols: String,
    /// `next` of the page before.
    pub(super) cursor: String,
    #[schemars(schema_with = "limits")]
    pub(super) limit: Option<usize>,
}

/// How long a page may be.
pub(super) fn limits(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let about = format!("Items on a page; {PAGE} where it is not said.");
    schemars::json_schema!({ "type": "integer", "minimum": 1, "maximum": MAX_PAGE, "description": about })
}

/// One page, and where the next begins.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<Arc<T>>,
    pub(super) next: Option<String>,
    pub(super) total: usize,
    /// The cursor is none of this list in this order: this is the first page.
    pub(super) lost: bool,
}

impl EndpointFilter {
    /// The whole of what is asked for, as one query: the box with the single parts behind it.
    pub(super) fn text(&self) -> String {
        let mut out = self.q.trim().to_owned();
        let mut add = |field: Field, sign: &str, value: &str| {
            if !value.is_empty() {
                let value = Value::Word(format!("{sign}{value}"));
                let space = if out.is_empty() { "" } else { " " };
                out += &format!("{space}{}", Term::new(field, value));
            }
        };
        add(Field::Host, "", &self.host);
        add(Field::Method, "", &self.method);
        add(Field::Status, "", &self.documentation);
        add(Field::Life, "", &self.life);
        add(Field::Flag, "", &self.flag);
        add(Field::Auth, "", &self.auth);
        add(Field::Risk, ">=", &self.min_risk);
        add(Field::Exposure, "", &self.exposure);
        out
    }

    pub(super) fn query(&self) -> Result<Query, Fault> {
        search::parse(&self.text())
    }

    pub(super) fn order(&self) -> Order {
        Order::named(&self.sort, &self.dir)
    }

    /// The parts that choose, by their names.
    pub(super) fn parts_mut(&mut self) -> [(&'static str, &mut String); 9] {
        [
            ("q", &mut self.q),
            ("host", &mut self.host),
            ("method", &mut self.method),
            ("documentation", &mut self.documentation),
            ("life", &mut self.life),
            ("flag", &mut self.flag),
            ("auth", &mut self.auth),
            ("min_risk", &mut self.min_risk),
            ("exposure", &mut self.exposure),
        ]
    }

    /// What it shows of the endpoints that wait for somebody to accept them.
    pub(super) fn waiting(&self, index: &Index) -> Result<Vec<Arc<EndpointView>>, Fault> {
        let (query, waits) = (self.query()?, search::bit(Field::Is, "waiting"));
        let search = Search::new(index, &query);
        let rows = search.rows().filter(|n| index.rows[*n].facts & waits != 0);
        Ok(rows.map(|n| index.endpoint(n).clone()).collect())
    }

    /// From the start where the cursor is lost.
    pub(super) fn page(&self, index: &Index) -> Result<Page<EndpointView>, Fault> {
        let query = self.query()?;
        let found: Vec<usize> = Search::new(index, &query).rows().collect();
        let order = self.order();
        let start = Start::read(&order.name(), &self.cursor);
        let cut = order.cut(index, found.iter().copied(), &start, limit(self.limit));
        let last = cut.rows.last().filter(|_| cut.more);
        let items: Vec<_> = cut
            .rows
            .iter()
            .map(|n| index.endpoint(*n).clone())
            .collect();
        Ok(Page {
            next: last.map(|n| order.cursor(index, *n)),
            items,
            total: found.len(),
            lost: start == Start::Lost,
        })
    }

    /// All that match, in the order that was asked for.
    pub(super) fn found(&self, index: &Index) -> Result<Vec<Arc<EndpointView>>, Fault> {
        let query = self.query()?;
        let rows = self.order().all(index, Search::new(index, &query).rows());
        Ok(rows
            .into_iter()
            .map(|n| index.endpoint(n).clone())
            .collect())
    }
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            next: None,
            total: 0,
            lost: false,
        }
    }
}

/// The page behind a cursor, of what is sorted by its marks.
pub(super) fn cut<T>(
    found: &[&Arc<T>],
    order: &str,
    at: (&str, Option<usize>),
    mark: impl Fn(&T) -> Mark,
) -> Page<T> {
    let cut = cursor::cut(found, order, at, |item| mark(item.as_ref()));
    let items = found[cut.range].iter().map(|x| Arc::clone(x));
    Page {
        items: items.collect(),
        next: cut.next,
        total: found.len(),
        lost: cut.lost,
    }
}

/// Where a page begins; `None` where the cursor's item is gone.
pub(super) fn position<T>(found: &[T], cursor: &str, is_it: impl Fn(&T) -> bool) -> Option<usize> {
    if cursor.is_empty() {
        return Some(0);
    }
    found.iter().position(is_it).map(|at| at + 1)
}

/// How long a page is.
pub(super) fn limit(asked: Option<usize>) -> usize {
    asked.unwrap_or(PAGE).clamp(1, MAX_PAGE)
}

pub(super) fn documentation(d: Documentation) -> &'static str {
    match d {
        Documentation::Documented => "documented",
        Documentation::Shadow => "shadow",
        Documentation::Unreviewed => "unreviewed",
    }
}

pub(super) fn life(l: Life) -> &'static str {
    match l {
        Life::Candidate => "candidate",
        Life::New => "new",
        Life::Active => "active",
        Life::Dormant => "dormant",
    }
}

pub(super) fn severity(a: &Alert) -> String {
    format!("{:?}", a.severity).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part that the form of the list does not carry over would accept more than was shown.
    #[test]
    fn every_part_of_the_filter_is_carried_over() {
        let shown = format!("{:?}", EndpointFilter::default());
        let fields = shown
            .split([' ', '{', ','])
            .filter_map(|w| w.strip_suffix(':'));
        let mut fields: Vec<&str> = fields
            .filter(|f| !["sort", "dir", "cols", "cursor", "limit"].contains(f))
            .collect();
        let mut filter = EndpointFilter::default();
        let mut parts: Vec<&str> = filter.parts_mut().map(|(name, _)| name).into();
        fields.sort_unstable();
        parts.sort_unstable();
        assert_eq!(fields, parts);
    }
}
