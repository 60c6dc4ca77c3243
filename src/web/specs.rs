//! Specs: the documents in use, what each owns, how much of it is called, and where the traffic
//! differs from it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::frame::{Frame, missing, query_link, show};
use super::query::{limit, position};
use super::routes::{App, Shared};
use super::spec_places::Places;
use super::who::Who;
use super::{SpecsView, api, chart, filters};
use crate::catalog::spec::{Listed, Spec};
use crate::catalog::{CatalogView, DriftView, EndpointView, SpecChange, SpecView, Uploaded};
use crate::sensor::doctor;
use crate::time::Timestamp;

/// A document in use, as the list has it.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Spec")]
pub(super) struct Item {
    #[serde(flatten)]
    pub(super) spec: SpecView,
    /// `config` or `upload`.
    pub(super) origin: &'static str,
    /// Operations that were never called.
    pub(super) unseen: usize,
    /// Of an upload: who put the version in use there, when, and the versions kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upload: Option<SpecChange>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) versions: Vec<SpecChange>,
}

pub(super) fn upload<'a>(specs: &'a SpecsView, id: &str) -> Option<&'a Uploaded> {
    specs.uploads.iter().find(|u| u.id == id)
}

pub(super) fn item(view: &SpecView, specs: &SpecsView) -> Item {
    let upload = upload(specs, &view.id);
    Item {
        spec: view.clone(),
        origin: if upload.is_some() { "upload" } else { "config" },
        unseen: view.operations.saturating_sub(view.seen),
        upload: upload.and_then(|u| u.versions.last().cloned()),
        versions: upload.map_or_else(Vec::new, |u| u.versions.clone()),
    }
}

impl Item {
    fn share(&self) -> String {
        crate::catalog::percent(self.spec.seen as u64, self.spec.operations.max(1) as u64)
    }

    fn name(&self) -> &str {
        let version = self.upload.as_ref().and_then(|u| u.version.as_ref());
        version.map_or(&self.spec.file, |v| &v.name)
    }
}

/// Where a page begins, and its length.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub(super) struct Turn {
    /// What the page before said is next.
    cursor: String,
    /// How many at most.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
}

/// Of one document.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub(super) struct At {
    /// `seen`, `unseen`; all where it is not said.
    #[schemars(extend("enum" = ["seen", "unseen"]))]
    show: String,
    /// What the page before said is next.
    cursor: String,
    /// How many at most.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
}

impl At {
    fn turn(&self) -> Turn {
        Turn {
            cursor: self.cursor.clone(),
            limit: self.limit,
        }
    }
}

/// One page of a list whose items have names, the next one's cursor, and whether the cursor's item
/// is gone: then it is the first page.
fn page_of<T>(
    all: Vec<T>,
    at: &Turn,
    name: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>, bool) {
    page_by(all, at, &name, |x| name(x) == at.cursor)
}

/// The same, where a cursor's item is cheaper to tell than by its name.
fn page_by<T>(
    all: Vec<T>,
    at: &Turn,
    name: impl Fn(&T) -> String,
    is_it: impl Fn(&T) -> bool,
) -> (Vec<T>, Option<String>, bool) {
    let place = position(&all, &at.cursor, is_it);
    let start = place.unwrap_or(0);
    let length = limit(at.limit);
    let more = all.len() > start + length;
    let items: Vec<T> = all.into_iter().skip(start).take(length).collect();
    let next = items.last().filter(|_| more).map(name);
    (items, next, place.is_none())
}

/// As [`page_of`] has it, and the number of all.
type Found<T> = (Vec<T>, Option<String>, bool, usize);

fn listed(app: &App, at: &Turn) -> Found<Item> {
    let (catalog, specs) = (app.views.catalog.load(), app.views.specs.load());
    let all: Vec<&SpecView> = catalog.specs.iter().collect();
    let total = all.len();
    let (items, next, lost) = page_of(all, at, |s| s.id.to_string());
    let items = items.into_iter().map(|s| item(s, &specs)).collect();
    (items, next, lost, total)
}

/// All documents.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Specs")]
pub(super) struct Listing {
    items: Vec<Item>,
    /// The cursor of the next page; null on the last one.
    next: Option<String>,
    total: usize,
    /// Documents that were refused at the last reading: file, line, reason.
    refused: Vec<String>,
}

/// `/api/v1/specs`.
pub(super) async fn list(State(app): Shared, api::Query(at): api::Query<Turn>) -> Response {
    let (items, next, lost, total) = listed(&app, &at);
    if lost {
        return api::lost().into_response();
    }
    api::json(&Listing {
        items,
        next,
        total,
        refused: app.views.specs.load().refused.clone(),
    })
}

#[derive(Template)]
#[template(path = "specs.html")]
struct Specs {
    page: Frame,
    total: usize,
    rows: Vec<Item>,
    refused: Vec<String>,
    notes: usize,
    next: Option<String>,
}

/// `/specs`.
pub(super) async fn page(State(app): Shared, who: Who, Query(at): Query<Turn>) -> Response {
    let (rows, next, _, total) = listed(&app, &at);
    show(&Specs {
        total,
        notes: rows.iter().map(|r| r.spec.notes.len()).sum(),
        next: next.map(|c| query_link("/specs", &[("cursor", &c)])),
        rows,
        refused: app.views.specs.load().refused.clone(),
        page: Frame::new(&app, &who, "specs"),
    })
}

/// An operation, and what was seen of it.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "SpecOperation")]
pub(super) struct Operation {
    method: &'static str,
    path: String,
    /// The operation's id in the document.
    id: Arc<str>,
    deprecated: bool,
    requests: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<Timestamp>,
    /// Keys of the endpoints that are it.
    endpoints: Vec<String>,
    drift: usize,
    /// Another document has its place, and its calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
}

/// The document that holds the place of another's operation.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "SpecHolder")]
struct Held {
    spec: String,
    title: String,
    /// Calls of the place, which count as that document's.
    requests: u64,
}

/// Finds who holds what is not seen.
struct Holders<'a> {
    app: &'a App,
    catalog: &'a Arc<CatalogView>,
    spec: &'a Spec,
}

impl Holders<'_> {
    fn find(&self, listed: &Listed) -> Option<Held> {
        let (holder, id) = self.catalog.documents.holder(self.spec, listed)?;
        let places = Places::new(self.app, self.catalog, &holder.id);
        Some(Held {
            spec: holder.id.to_string(),
            title: holder.title.clone(),
            requests: places.called(id).iter().map(|e| e.requests).sum(),
        })
    }
}

impl Operation {
    fn of(listed: &Listed, places: &Places, holders: &Holders<'_>) -> Self {
        let seen = places.of(listed);
        Self {
            requests: seen.iter().map(|e| e.requests).sum(),
            first_seen: seen.iter().filter_map(|e| e.first_seen).min(),
            last_seen: seen.iter().filter_map(|e| e.last_seen).max(),
            endpoints: seen.iter().map(|e| e.key.clone()).collect(),
            drift: seen.iter().map(|e| e.drift.len()).sum(),
            held: match seen {
                [] => holders.find(listed),
                _ => None,
            },
            method: listed.method,
            path: (*listed.template).into(),
            id: listed.id.clone(),
            deprecated: listed.deprecated,
        }
    }
}

/// Those that were called, or those that were not.
fn operations(
    holders: &Holders<'_>,
    places: &Places,
    seen: Option<bool>,
    at: &Turn,
) -> Found<Operation> {
    let listing = holders.spec.listing();
    let all: Vec<u32> = match seen {
        Some(true) => places.seen.clone(),
        Some(false) => places.unseen.clone(),
        None => (0..listing.len() as u32).collect(),
    };
    let total = all.len();
    // With its name no other version's operation is meant.
    let name = |n: &u32| {
        let o = &listing[*n as usize];
        format!("{n} {} {}", o.method, o.template)
    };
    let wanted = at.cursor.split(' ').next().and_then(|n| n.parse().ok());
    let is_it = |n: &u32| Some(*n) == wanted && name(n) == at.cursor;
    let (items, next, lost) = page_by(all, at, name, is_it);
    let of = |n: u32| Operation::of(&listing[n as usize], places, holders);
    (items.into_iter().map(of).collect(), next, lost, total)
}

/// `/api/v1/specs/{id}/operations`.
pub(super) async fn operations_list(
    State(app): Shared,
    api::Path(id): api::Path<String>,
    api::Query(at): api::Query<At>,
) -> Response {
    let catalog = app.views.catalog.load_full();
    let Some(spec) = catalog.documents.by_id(&id) else {
        return nothing();
    };
    let seen = match at.show.as_str() {
        "seen" => Some(true),
        "unseen" => Some(false),
        _ => None,
    };
    let places = Places::new(&app, &catalog, &id);
    let holders = Holders {
        app: &app,
        catalog: &catalog,
        spec,
    };
    let (items, next, lost, total) = operations(&holders, &places, seen, &at.turn());
    if lost {
        return api::lost().into_response();
    }
    api::json(&api::List { items, next, total })
}

pub(super) fn nothing() -> Response {
    api::problem(StatusCode::NOT_FOUND, "there is no such spec")
}

pub(super) fn view<'a>(catalog: &'a CatalogView, id: &str) -> Option<&'a SpecView> {
    catalog.specs.iter().find(|s| &*s.id == id)
}

/// `/api/v1/specs/{id}`.
pub(super) async fn one(State(app): Shared, api::Path(id): api::Path<String>) -> Response {
    match view(&app.views.catalog.load(), &id) {
        Some(view) => api::json(&item(view, &app.views.specs.load())),
        None => nothing(),
    }
}

/// Endpoints that one page shows with their deviations, and of how many of these each.
const DRIFTING: usize = 25;
const DEVIATIONS: usize = 8;

/// The tab that is open.
enum Tab {
    Operations(Vec<Operation>),
    Endpoints(Vec<Arc<EndpointView>>),
    Drift(Vec<Arc<EndpointView>>),
}

#[derive(Template)]
#[template(path = "spec.html")]
struct One {
    page: Frame,
    item: Item,
    bar: String,
    /// Of the tabs: name in the URL, words, count.
    tabs: [(&'static str, &'static str, usize); 4],
    open: &'static str,
    tab: Tab,
    started: Option<Timestamp>,
    /// Why not all was seen.
    lossy: Option<String>,
    has_text: bool,
    next: Option<String>,
}

impl One {
    fn is_open(&self, tab: &str) -> bool {
        self.open == tab
    }

    fn shown<'a>(&self, e: &'a EndpointView) -> (&'a [DriftView], usize) {
        let shown = e.drift.len().min(DEVIATIONS);
        (&e.drift[..shown], e.drift.len() - shown)
    }

    fn url(&self) -> String {
        format!("/specs/{}", self.item.spec.id)
    }
}

/// `/specs/{id}`.
pub(super) async fn one_page(
    State(app): Shared,
    who: Who,
    Path(id): Path<String>,
    Query(at): Query<At>,
) -> Response {
    let (catalog, specs) = (app.views.catalog.load_full(), app.views.specs.load());
    let (Some(view), Some(spec)) = (view(&catalog, &id), catalog.documents.by_id(&id)) else {
        return missing(&app, &who, "There is no such spec");
    };
    let places = Places::new(&app, &catalog, &id);
    let item = item(view, &specs);
    let tabs = [
        ("seen", "Seen", view.seen),
        ("unseen", "Not seen", item.unseen),
        ("undocumented", "Undocumented", places.undocumented.len()),
        ("drift", "Drift", view.drift),
    ];
    let open = tabs.iter().find(|t| t.0 == at.show).map_or("seen", |t| t.0);
    let key = |e: &&Arc<EndpointView>| e.key.clone();
    let (tab, next) = match open {
        "undocumented" => {
            let all: Vec<_> = places.undocumented.iter().collect();
            let (items, next, _) = page_of(all, &at.turn(), key);
            (Tab::Endpoints(items.into_iter().cloned().collect()), next)
        }
        "drift" => {
            let turn = Turn {
                limit: Some(at.limit.unwrap_or(DRIFTING).min(DRIFTING)),
                ..at.turn()
            };
            let (items, next, _) = page_of(places.drifting.iter().collect(), &turn, key);
            (Tab::Drift(items.into_iter().cloned().collect()), next)
        }
        open => {
            let holders = Holders {
                app: &app,
                catalog: &catalog,
                spec,
            };
            let seen = Some(open == "seen");
            let (items, next, _, _) = operations(&holders, &places, seen, &at.turn());
            (Tab::Operations(items), next)
        }
    };
    let open_owned = open.to_owned();
    show(&One {
        bar: chart::shares(&[
            ("seen", view.seen as u64),
            ("dark", item.unseen as u64),
            ("undocumented", tabs[2].2 as u64),
        ]),
        tabs,
        open,
        tab,
        started: catalog.started,
        lossy: doctor::loss(&app.views.sensor.load().symptoms),
        has_text: specs.files.contains_key(&view.id),
        next: next.map(|c| {
            query_link(
                &format!("/specs/{id}"),
                &[("show", &open_owned), ("cursor", &c)],
            )
        }),
        item,
        page: Frame::new(&app, &who, "specs"),
    })
}
