//! Two sides of an API beside each other: a document against what was seen in its places, against
//! another document, or against an earlier version of itself. Operations are matched first, which is
//! cheap; what they are made of is compared for the page that is shown.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use foldhash::{HashMap, HashSet};
use serde::{Deserialize, Serialize};

use super::frame::{Frame, failed, missing, query_link, show};
use super::routes::{App, Shared};
use super::spec_places::{Places, Side};
use super::spec_text;
use super::specs::{nothing, upload};
use super::who::Who;
use super::{api, filters};
use crate::catalog::EndpointView;
use crate::catalog::diff::{self, Change, Entry};
use crate::catalog::spec::{self, Listed, Spec};

/// Operations that one page shows, and that it looks at to find them.
const SHOWN: usize = 40;
const LOOKED_AT: usize = 200;
/// Endpoints of one operation that are looked at: it may be served on a thousand hosts.
const ENDPOINTS: usize = 20;
/// Changes shown of one operation; past so many of a page it ends.
const CHANGES: usize = 60;
const LINES: usize = 240;

#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub(super) struct Wanted {
    /// The id of a document, or `v3` for a version of the same upload; what was seen, where it is empty.
    against: String,
    /// `all`: operations without a difference, too.
    #[schemars(extend("enum" = ["all"]))]
    show: String,
    /// How many operations to pass over.
    from: usize,
}

/// What one operation comes to on the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "DifferenceKind")]
pub(super) enum Kind {
    /// The right side alone has it.
    Added,
    /// The left side alone has it.
    Removed,
    Changed,
    Same,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "OperationDifference")]
pub(super) struct Row {
    kind: Kind,
    method: String,
    path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Line>,
    /// Changes past the bound.
    more: usize,
    /// The endpoint that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
}

/// Something about an operation: a field, a status, a way of authentication.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "DifferenceLine")]
pub(super) struct Line {
    what: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<String>,
}

impl Line {
    fn of(change: Change) -> Self {
        let what = match change.what {
            diff::What::Undocumented => diff::What::Field,
            what => what,
        };
        Self {
            what: what.name(),
            name: change.name.unwrap_or_default(),
            old: change.old,
            new: change.new,
        }
    }

    /// Added, removed or changed, for people who do not see colours.
    fn sign(&self) -> &'static str {
        match (&self.old, &self.new) {
            (None, _) => "+",
            (_, None) => "−",
            _ => "≠",
        }
    }
}

/// An operation of one side or both.
#[derive(Clone, Copy)]
enum Pair<'a> {
    Left(&'a Listed),
    Right(&'a Listed),
    Both(&'a Listed, &'a Listed),
    Seen(&'a Listed, &'a [Arc<EndpointView>]),
    Undocumented(&'a Arc<EndpointView>),
}

impl Pair<'_> {
    fn name(&self) -> (&str, &str) {
        match self {
            Self::Left(o) | Self::Right(o) | Self::Both(_, o) | Self::Seen(o, _) => {
                (&o.template, o.method)
            }
            Self::Undocumented(e) => (&e.template, &e.method),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Left(_) => Kind::Removed,
            Self::Right(_) | Self::Undocumented(_) => Kind::Added,
            Self::Both(..) | Self::Seen(..) => Kind::Same,
        }
    }
}

/// How the two sides are named.
struct Sides<'a> {
    left: &'a Spec,
    right: Option<&'a Spec>,
}

impl<'a> Sides<'a> {
    /// All operations of both sides, in order.
    fn pairs(&self, places: &'a Places) -> Pairs<'a> {
        match self.right {
            Some(right) => Pairs::Documents(versions(self.left, right)),
            None => Pairs::Seen(self.left, places),
        }
    }

    fn row(&self, pair: &Pair<'_>) -> Row {
        let changes = match pair {
            Pair::Both(old, new) => {
                let right = self.right.unwrap_or(self.left);
                both(self.left.entry(old), right.entry(new))
            }
            Pair::Seen(operation, endpoints) => self.seen(operation, endpoints),
            _ => Vec::new(),
        };
        let kind = match pair.kind() {
            Kind::Same if !changes.is_empty() => Kind::Changed,
            kind => kind,
        };
        let (path, method) = pair.name();
        let endpoint = match pair {
            Pair::Seen(_, endpoints) => endpoints.first().map(|e| e.key.clone()),
            Pair::Undocumented(e) => Some(e.key.clone()),
            _ => None,
        };
        let more = changes.len().saturating_sub(CHANGES);
        let changes = changes.into_iter().take(CHANGES).map(Line::of).collect();
        Row {
            kind,
            method: method.to_owned(),
            path: path.to_owned(),
            changes,
            more,
            endpoint,
        }
    }

    fn seen(&self, operation: &Listed, endpoints: &[Arc<EndpointView>]) -> Vec<Change> {
        let Some(documented) = self.left.entry(operation) else {
            return Vec::new();
        };
        let mut met: Option<Entry> = None;
        for e in endpoints.iter().take(ENDPOINTS) {
            // A view is plain data, which always becomes a value.
            let line = serde_json::to_value(e.as_ref()).unwrap_or_default();
            let Some(entry) = Entry::of_line(&line) else {
                continue;
            };
            match &mut met {
                None => met = Some(entry),
                Some(met) => {
                    met.statuses.extend(entry.statuses);
                    met.auth.extend(entry.auth);
                    for (name, words) in entry.fields {
                        met.fields.entry(name).or_default().extend(words);
                    }
                }
            }
        }
        met.map_or_else(Vec::new, |met| diff::beside(&documented, &met))
    }
}

fn both(old: Option<Entry>, new: Option<Entry>) -> Vec<Change> {
    match (old, new) {
        (Some(old), Some(new)) => diff::changes(&old, &new),
        _ => Vec::new(),
    }
}

/// By method and path without the base, so that another server or base path changes nothing else.
fn versions<'a>(left: &'a Spec, right: &'a Spec) -> Vec<Pair<'a>> {
    let place = |spec: &Spec, o: &Listed| (diff::shape(spec.path_of(o)), o.method);
    let old = left.listing().iter().map(|o| (place(left, o), o));
    let mut old: HashMap<_, &Listed> = old.collect();
    let mut known = HashSet::default();
    let new = right.listing().iter();
    let mut out: Vec<Pair<'a>> = new
        .map(|new| match old.remove(&place(right, new)) {
            Some(old) => {
                known.insert(old.at);
                Pair::Both(old, new)
            }
            None => Pair::Right(new),
        })
        .collect();
    let gone = left.listing().iter().filter(|o| !known.contains(&o.at));
    out.extend(gone.map(Pair::Left));
    // Of each side they are in order already.
    out.sort_by(|a, b| a.name().cmp(&b.name()));
    out
}

/// Of a document and what was seen only the page that is shown is looked up.
enum Pairs<'a> {
    Documents(Vec<Pair<'a>>),
    Seen(&'a Spec, &'a Places),
}

impl<'a> Pairs<'a> {
    fn len(&self) -> usize {
        match self {
            Self::Documents(pairs) => pairs.len(),
            Self::Seen(_, places) => places.both.len(),
        }
    }

    fn count(&self, kind: Kind) -> usize {
        match (self, kind) {
            (Self::Documents(pairs), _) => pairs.iter().filter(|p| p.kind() == kind).count(),
            (Self::Seen(_, places), Kind::Added) => places.undocumented.len(),
            (Self::Seen(_, places), Kind::Removed) => places.unseen.len(),
            (Self::Seen(_, places), Kind::Same | Kind::Changed) => places.seen.len(),
        }
    }

    fn at(&self, n: usize) -> Pair<'a> {
        match self {
            Self::Documents(pairs) => pairs[n],
            Self::Seen(spec, places) => match places.both[n] {
                Side::Undocumented(n) => Pair::Undocumented(&places.undocumented[n as usize]),
                Side::Operation(n) => {
                    let operation = &spec.listing()[n as usize];
                    match places.of(operation) {
                        [] => Pair::Left(operation),
                        endpoints => Pair::Seen(operation, endpoints),
                    }
                }
            },
        }
    }
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "SpecDifference")]
pub(super) struct Difference {
    /// What the left side and the right side are.
    left: String,
    right: String,
    /// Operations that the right side alone has, that the left side alone has, and that both have.
    added: usize,
    removed: usize,
    common: usize,
    items: Vec<Row>,
    /// `from` of the next page.
    next: Option<usize>,
}

fn named(spec: &Spec) -> String {
    format!("{} {}", spec.title, spec.version)
}

fn compare(left: &Spec, right: Option<&Spec>, places: &Places, wanted: &Wanted) -> Difference {
    let sides = Sides { left, right };
    let pairs = sides.pairs(places);
    let (mut items, mut at) = (Vec::new(), wanted.from.min(pairs.len()));
    let mut lines = 0;
    let all = wanted.show == "all";
    let end = (at + LOOKED_AT).min(pairs.len());
    while at < end && items.len() < SHOWN && lines < LINES {
        let row = sides.row(&pairs.at(at));
        lines += row.changes.len();
        if all || row.kind != Kind::Same {
            items.push(row);
        }
        at += 1;
    }
    Difference {
        left: named(left),
        right: right.map_or_else(|| "what was seen".into(), named),
        added: pairs.count(Kind::Added),
        removed: pairs.count(Kind::Removed),
        common: pairs.count(Kind::Same),
        items,
        next: (at < pairs.len()).then_some(at),
    }
}

enum Refused {
    /// There is no such document on the left.
    Unknown,
    /// The right side is no document that can be read.
    Right(String),
}

/// Reading a version, and comparing, are work for a thread of their own.
async fn difference(app: &Arc<App>, id: &str, wanted: &Wanted) -> Result<Difference, Refused> {
    let catalog = app.views.catalog.load_full();
    if catalog.documents.by_id(id).is_none() {
        return Err(Refused::Unknown);
    }
    let mut old = None;
    if let Some(number) = wanted
        .against
        .strip_prefix('v')
        .and_then(|n| n.parse().ok())
    {
        let found = spec_text::path(&app.views.specs.load(), id, Some(number));
        let gone = || Refused::Right(format!("version {number} is not kept"));
        let text = spec_text::read(found.ok_or_else(gone)?).await;
        old = Some((format!("version {number}"), text.ok_or_else(gone)?));
    } else if !wanted.against.is_empty() && catalog.documents.by_id(&wanted.against).is_none() {
        return Err(Refused::Right(
            "there is no such spec to compare with".into(),
        ));
    }
    let (app, id, wanted) = (app.clone(), id.to_owned(), wanted.clone());
    let done = tokio::task::spawn_blocking(move || {
        let places = Places::new(&app, &catalog, &id);
        let left = catalog.documents.by_id(&id).ok_or(Refused::Unknown)?;
        match &old {
            // The earlier version stands on the left, as the older one.
            Some((name, text)) => {
                let old = spec::parse(name, text).map_err(|e| Refused::Right(e.to_string()))?;
                Ok(compare(&old, Some(left), &places, &wanted))
            }
            None => {
                let right = catalog.documents.by_id(&wanted.against);
                Ok(compare(left, right, &places, &wanted))
            }
        }
    });
    let gone = |_| Err(Refused::Right("it could not be compared".into()));
    done.await.unwrap_or_else(gone)
}

/// `/api/v1/specs/{id}/diff`.
pub(super) async fn data(
    State(app): Shared,
    api::Path(id): api::Path<String>,
    api::Query(wanted): api::Query<Wanted>,
) -> Response {
    match difference(&app, &id, &wanted).await {
        Ok(found) => api::json(&found),
        Err(Refused::Unknown) => nothing(),
        Err(Refused::Right(why)) => api::problem(axum::http::StatusCode::NOT_FOUND, &why),
    }
}

#[derive(Template)]
#[template(path = "spec_diff.html")]
struct DiffPage {
    page: Frame,
    id: String,
    title: String,
    /// What it can be compared with: value and words.
    choices: Vec<(String, String)>,
    wanted: Wanted,
    found: Difference,
    next: Option<String>,
}

impl DiffPage {
    fn is_seen(&self) -> bool {
        self.wanted.against.is_empty()
    }

    /// In words, what one of these is.
    fn words(&self, kind: &Kind) -> &'static str {
        match (kind, self.is_seen()) {
            (Kind::Added, true) => "undocumented",
            (Kind::Removed, true) => "never seen",
            (Kind::Changed, true) => "differs",
            (Kind::Added, false) => "added",
            (Kind::Removed, false) => "removed",
            (Kind::Changed, false) => "changed",
            (Kind::Same, _) => "same",
        }
    }

    fn class(&self, kind: &Kind) -> &'static str {
        match kind {
            Kind::Added => "drift",
            Kind::Changed => "new",
            Kind::Removed | Kind::Same => "",
        }
    }
}

/// Documents that one can be compared with.
const CHOICES: usize = 200;

/// `/specs/{id}/diff`.
pub(super) async fn page(
    State(app): Shared,
    who: Who,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let found = match difference(&app, &id, &wanted).await {
        Ok(found) => found,
        Err(Refused::Unknown) => return missing(&app, &who, "There is no such spec"),
        Err(Refused::Right(why)) => {
            let code = axum::http::StatusCode::NOT_FOUND;
            return failed(&app, &who, code, "Nothing to compare with", &why);
        }
    };
    let catalog = app.views.catalog.load();
    let specs = app.views.specs.load();
    let mut choices = vec![(String::new(), "what was seen".to_owned())];
    if let Some(upload) = upload(&specs, &id) {
        let older = upload.versions.iter().rev().skip(1);
        let older = older.filter_map(|c| c.version.as_ref());
        choices.extend(older.map(|v| {
            (
                format!("v{}", v.number),
                format!("its version {}", v.number),
            )
        }));
    }
    let others = catalog.specs.iter().filter(|s| *s.id != *id).take(CHOICES);
    choices.extend(others.map(|s| (s.id.to_string(), format!("{} {}", s.title, s.version))));
    let from = found.next.map(|n| n.to_string());
    let url = format!("/specs/{id}/diff");
    let parts = |from: &String| {
        let parts = [
            ("against", &wanted.against),
            ("show", &wanted.show),
            ("from", from),
        ];
        query_link(&url, &parts)
    };
    let spec = catalog.documents.by_id(&id);
    show(&DiffPage {
        title: spec.map(|s| s.title.clone()).unwrap_or_default(),
        next: from.as_ref().map(parts),
        choices,
        found,
        wanted,
        id,
        page: Frame::new(&app, &who, "specs"),
    })
}
