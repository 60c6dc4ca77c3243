//! Who calls what: the classes of callers of all endpoints in one list.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{self, List, Query};
use super::cursor::{self, Mark, latest};
use super::index::place;
use super::routes::Shared;
use crate::catalog::{CatalogView, EdgeView, EndpointView};

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Filter {
    /// The host group's name.
    host: String,
    /// A class, or a wider one: `external`, `external/bearer`, `external/bearer/okhttp`. It begins with internal, partner, external or unknown.
    #[schemars(extend("pattern" = CLASS))]
    class: String,
    /// Whether it was first seen after the endpoint's learning time.
    #[schemars(with = "Option<bool>")]
    new: String,
    /// The order: by host and path where it is not given; `first` has those first seen last before others.
    #[schemars(extend("enum" = ["first"]))]
    sort: String,
    /// `next` of the page before.
    cursor: String,
    #[schemars(schema_with = "super::query::limits")]
    limit: Option<usize>,
}

/// Zone, credential and program, of which the last may be left out.
const CLASS: &str = concat!(
    "^(internal|partner|external|unknown)",
    "(/(anonymous|bearer|jwt|basic|apikey|cookie|mtls|other)(/.*)?)?$",
);

/// An edge with both its ends.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Edge")]
pub(super) struct Item<'a> {
    /// The endpoint's key and the class.
    id: String,
    /// Label of the endpoint, its key and host.
    endpoint: String,
    key: &'a str,
    host: &'a str,
    class: String,
    #[serde(flatten)]
    edge: &'a EdgeView,
    /// Always there, unlike on the endpoint.
    new: bool,
}

type Edge<'a> = (&'a EndpointView, &'a EdgeView);

fn class(edge: &EdgeView) -> String {
    let zone = edge.zone.map_or("unknown", |zone| zone.name());
    format!("{zone}/{}/{}", edge.credential.name(), edge.program)
}

fn id((endpoint, edge): &Edge<'_>) -> String {
    format!("{}/{}", endpoint.key, class(edge))
}

fn item<'a>(edge: &Edge<'a>) -> Item<'a> {
    let (endpoint, view) = *edge;
    Item {
        id: id(edge),
        endpoint: endpoint.label(),
        key: &endpoint.key,
        host: &endpoint.host,
        class: class(view),
        edge: view,
        new: view.new,
    }
}

impl Filter {
    fn takes(&self, (endpoint, edge): &Edge<'_>) -> bool {
        let is_new = match self.new.as_str() {
            "true" => edge.new,
            "false" => !edge.new,
            _ => true,
        };
        let class = || {
            let class = class(edge);
            let rest = class.strip_prefix(&self.class);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        endpoint.confirmed
            && is_new
            && (self.host.is_empty() || self.host.eq_ignore_ascii_case(&endpoint.host))
            && (self.class.is_empty() || class())
    }

    fn find<'a>(&self, catalog: &'a CatalogView) -> Vec<Edge<'a>> {
        let edges = |e: &'a Arc<EndpointView>| {
            let all = e.edges.iter().map(|edge| (e.as_ref(), edge));
            let mut found: Vec<Edge<'_>> = all.filter(|edge| self.takes(edge)).collect();
            found.sort_by_cached_key(|(_, edge)| class(edge));
            found
        };
        let mut found: Vec<_> = catalog.endpoints.iter().flat_map(edges).collect();
        if self.sort == "first" {
            found.sort_by_key(|edge| self.rank(edge));
        }
        found
    }

    fn rank(&self, (_, edge): &Edge<'_>) -> u64 {
        match self.sort.as_str() {
            "first" => latest(edge.first_seen),
            _ => 0,
        }
    }

    fn mark(&self, edge: &Edge<'_>) -> Mark {
        let [host, template, method, operation] = place(edge.0);
        let class = class(edge.1);
        let names = [host, template, method, operation, &class];
        Mark::new([self.rank(edge), 0], &names)
    }
}

/// `/api/v1/edges`.
pub(super) async fn list(State(app): Shared, Query(filter): Query<Filter>) -> Response {
    let catalog = app.views.catalog.load();
    let found = filter.find(&catalog);
    let at = (filter.cursor.as_str(), filter.limit);
    let order = format!("edges {}", filter.sort);
    let cut = cursor::cut(&found, &order, at, |edge| filter.mark(edge));
    if cut.lost {
        return api::lost().into_response();
    }
    api::json(&List {
        next: cut.next,
        total: found.len(),
        items: found[cut.range].iter().map(item).collect(),
    })
}
