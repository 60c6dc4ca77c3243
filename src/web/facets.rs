//! What the found endpoints are, counted beside the list: each value a link that asks for it, or no longer
//! does.

use super::find::{Counted, Counts};
use super::index::Index;
use super::place::Place;
use super::search::{Field, Query, Value};

/// Values of a field that are listed, beside those asked for.
const TOP: usize = 10;

/// In this order.
const FACETS: [(Field, &str); 12] = [
    (Field::Status, "Documentation"),
    (Field::Risk, "Risk"),
    (Field::Flag, "Flags"),
    (Field::Life, "Life"),
    (Field::Auth, "Authentication"),
    (Field::Data, "Sensitive data"),
    (Field::Method, "Method"),
    (Field::Exposure, "Open to"),
    (Field::Host, "Host"),
    (Field::Tag, "Tag"),
    (Field::Owner, "Owner"),
    (Field::Kind, "Kind"),
];

pub(super) struct Facet {
    pub(super) id: &'static str,
    pub(super) label: &'static str,
    pub(super) values: Vec<FacetValue>,
    /// Values that are not listed, and how one asks for them.
    pub(super) more: usize,
}

pub(super) struct FacetValue {
    pub(super) name: String,
    pub(super) count: usize,
    pub(super) link: String,
    /// It is asked for.
    pub(super) on: bool,
}

/// Facets with nothing to choose are left out.
pub(super) fn facets(place: &Place, query: &Query, counts: &Counts, index: &Index) -> Vec<Facet> {
    let facet = |(field, label): &(Field, &'static str)| {
        let mut values = counts.of(*field, &index.known);
        values.retain(|v| v.count > 0 || query.has(*field, &v.value));
        let offered: Vec<Value> = values.iter().map(|v| v.value.clone()).collect();
        let all = values.len();
        let mut rank = 0;
        values.retain(|v| {
            rank += 1;
            rank <= TOP || query.has(*field, &v.value)
        });
        let value = |v: Counted| FacetValue {
            on: query.has(*field, &v.value),
            link: place.step(|p| p.q = query.toggled(*field, &v.value, &offered).to_string()),
            name: super::columns::clip(&v.name),
            count: v.count,
        };
        Facet {
            id: field.name(),
            label,
            more: all - values.len(),
            values: values.into_iter().map(value).collect(),
        }
    };
    let facets = FACETS.iter().map(facet);
    facets.filter(|f| !f.values.is_empty()).collect()
}
