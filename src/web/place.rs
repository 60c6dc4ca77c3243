//! Where somebody is in the list of endpoints: all of it stands in the URL, and every link on the page is a
//! place a step further.

use serde::Deserialize;

use super::asked::Slips;
use super::columns;
use super::find::Order;
use super::frame::query_link;
use super::query::{EndpointFilter, PAGE};

/// Endpoints on a page, as they are offered.
pub(super) const SIZES: [usize; 4] = [25, 50, 100, 200];
/// Bytes of a place in the tree.
const MAX_AT: usize = 1_024;

/// What the page has beside the filter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Look {
    /// `tree`; else the table.
    pub(super) view: String,
    /// Where in the tree: host and path.
    pub(super) at: String,
}

impl Look {
    /// Parameters of the page beside the list's.
    pub(super) const PARTS: [&str; 3] = ["view", "at", "col"];

    /// What of the page's own was not understood, too.
    pub(super) fn slips(&self, limit: Option<usize>, slips: Slips) -> Slips {
        let mut slips = slips.but(&Self::PARTS);
        if !["", "table", "tree"].contains(&self.view.as_str()) {
            slips.add("view", "it is one of \"table\", \"tree\"");
        }
        if limit.is_some_and(|limit| !SIZES.contains(&limit)) {
            let sizes = SIZES.map(|size| size.to_string()).join(", ");
            slips.add("limit", &format!("a page has one of {sizes} rows"));
        }
        slips
    }
}

/// Parts are empty where they are as by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) q: String,
    pub(super) sort: String,
    pub(super) dir: String,
    pub(super) cols: String,
    pub(super) limit: String,
    pub(super) view: String,
    pub(super) at: String,
    pub(super) cursor: String,
}

impl Place {
    pub(super) fn new(filter: &EndpointFilter, look: &Look) -> Self {
        let mut place = Self {
            q: filter.text(),
            cols: columns::canonical(&columns::chosen(&filter.cols)),
            view: look.view.clone(),
            at: look.at.clone(),
            cursor: filter.cursor.clone(),
            ..Self::default()
        };
        place.sort_by(filter.order());
        place.show(filter.limit.unwrap_or(PAGE));
        if !place.is_tree() || place.at.len() > MAX_AT {
            place.at.clear();
        }
        if !place.is_tree() {
            place.view.clear();
        }
        place
    }

    /// From the query part of a URL, as views are saved; without a place in the list.
    pub(super) fn read(query: &str) -> Self {
        let (mut filter, mut look) = (EndpointFilter::default(), Look::default());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match name.as_ref() {
                "sort" => filter.sort = value,
                "dir" => filter.dir = value,
                "cols" => filter.cols = value,
                "limit" => filter.limit = value.parse().ok(),
                "view" => look.view = value,
                "at" => look.at = value,
                name => {
                    let mut parts = filter.parts_mut().into_iter();
                    if let Some((_, part)) = parts.find(|(known, _)| *known == name) {
                        *part = value;
                    }
                }
            }
        }
        Self::new(&filter, &look)
    }

    pub(super) fn is_tree(&self) -> bool {
        self.view == "tree"
    }

    pub(super) fn sort_by(&mut self, order: Order) {
        let by_default = Order::named("", "").sort;
        self.sort = String::from(if order.sort == by_default {
            ""
        } else {
            order.sort
        });
        let said = if order.descending { "desc" } else { "asc" };
        self.dir = String::from(if order.natural { "" } else { said });
    }

    /// The nearest of the sizes that are offered.
    pub(super) fn show(&mut self, limit: usize) {
        let size = SIZES.into_iter().find(|size| *size >= limit);
        let size = size.unwrap_or(SIZES[SIZES.len() - 1]);
        self.limit = if size == PAGE {
            String::new()
        } else {
            size.to_string()
        };
    }

    pub(super) fn size(&self) -> usize {
        self.limit.parse().unwrap_or(PAGE)
    }

    /// Those of its parts that are set.
    pub(super) fn parts(&self) -> Vec<(&'static str, &String)> {
        let all = [
            ("q", &self.q),
            ("sort", &self.sort),
            ("dir", &self.dir),
            ("cols", &self.cols),
            ("limit", &self.limit),
            ("view", &self.view),
            ("at", &self.at),
            ("cursor", &self.cursor),
        ];
        all.into_iter().filter(|(_, v)| !v.is_empty()).collect()
    }

    pub(super) fn link(&self) -> String {
        query_link("/endpoints", &self.parts())
    }

    /// A place a step further; the list begins anew there, unless the step says where.
    pub(super) fn step(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut next = self.clone();
        next.cursor.clear();
        change(&mut next);
        next.link()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_from_its_link() {
        let place = Place {
            q: "host:a \"b c\"".into(),
            sort: "path".into(),
            dir: "desc".into(),
            cols: "risk,callers".into(),
            limit: "50".into(),
            view: "tree".into(),
            at: "a.b/c d".into(),
            cursor: String::new(),
        };
        let link = place.link();
        assert_eq!(Place::read(link.split_once('?').unwrap().1), place);
        assert_eq!(
            Place::read("sort=risk&dir=desc&limit=99&view=x&at=y").link(),
            "/endpoints"
        );
        let old = Place::read("q=x&documentation=shadow&min_risk=7");
        assert_eq!(old.q, "x status:shadow risk:>=7");
    }
}
