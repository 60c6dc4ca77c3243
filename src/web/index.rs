//! What lists of endpoints are answered from: one row for each endpoint of a published view, with all that
//! can be asked for in a few machine words and its text in lower case.
//!
//! Made once for a view, when somebody first asks for it, and off the async threads; rows of endpoints that
//! have not changed since the view before (they share their `Arc`) are taken over, which looks at no endpoint:
//! rows and what they point to lie one behind the other and are copied so. Rows stand as the view's endpoints
//! do: sorted by host, template, method, operation.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use foldhash::fast::FixedState;

use super::search::{Field, facts};
use crate::catalog::{CatalogView, Documentation, EndpointView};
use crate::time::Timestamp;

mod names;
#[cfg(test)]
mod tests;

pub(super) use names::{NONE, Names};

/// Past so many names more than there are endpoints (with some to spare) those of the past go.
const SPARE: usize = 10_000;
/// Between path, operation and host in a row's text; no text that is looked for has it by accident.
const GAP: char = '\n';

const HASH: FixedState = FixedState::with_seed(0x69_6e_64_65);

/// A row's part of what an index keeps for all.
#[derive(Clone, Copy)]
pub(super) struct Span {
    from: u32,
    len: u32,
}

impl Span {
    /// What was put behind the first `from` of them. The budgets of the catalogue keep all far below 2^32.
    fn since(from: usize, to: usize) -> Self {
        let (from, len) = (from as u32, (to - from) as u32);
        Self { from, len }
    }

    fn range(self) -> Range<usize> {
        self.from as usize..(self.from + self.len) as usize
    }

    pub(super) fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// An endpoint, as far as it is asked for.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// Hash of the endpoint's key.
    key: u64,
    /// Hashes of those that it had before.
    aliases: Span,
    /// Path, operation, host, in lower case.
    text: Span,
    path: u32,
    operation: u32,
    /// Names by their number in [`Known`].
    pub(super) host: u32,
    pub(super) method: u32,
    pub(super) spec: u32,
    pub(super) owner: u32,
    /// Of sets of such numbers.
    pub(super) tags: Span,
    pub(super) schemes: Span,
    pub(super) data: Span,
    /// Bits in the order of [`super::search::FACTS`].
    pub(super) facts: u32,
    pub(super) risk: u8,
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) callers: u64,
    /// Milliseconds; not a number where none is known.
    pub(super) p90: f64,
    pub(super) first: Option<Timestamp>,
    pub(super) seen: Option<Timestamp>,
    /// When it became one.
    pub(super) shadow: Option<Timestamp>,
    /// When the latest of it began.
    pub(super) drift: Option<Timestamp>,
}

/// Names that rows refer to. They only grow, so that rows can be taken over.
#[derive(Clone, Default)]
pub(super) struct Known {
    pub(super) hosts: Names,
    pub(super) methods: Names,
    pub(super) specs: Names,
    pub(super) owners: Names,
    pub(super) tags: Names,
    pub(super) schemes: Names,
    pub(super) data: Names,
}

pub(super) struct Index {
    /// What it was made from.
    pub(super) view: Arc<CatalogView>,
    pub(super) rows: Vec<Row>,
    pub(super) known: Known,
    text: String,
    sets: Vec<u32>,
    aliases: Vec<u64>,
}

/// The index of the view that is published now.
#[derive(Default)]
pub(super) struct Indexes {
    last: ArcSwapOption<Index>,
    /// Held while one is made: whoever comes meanwhile waits for it.
    making: tokio::sync::Mutex<()>,
}

impl Indexes {
    pub(super) async fn of(&self, catalog: &ArcSwap<CatalogView>) -> Arc<Index> {
        let made = |view: &Arc<CatalogView>| {
            let last = self.last.load_full();
            last.filter(|index| Arc::ptr_eq(&index.view, view))
        };
        if let Some(index) = made(&catalog.load()) {
            return index;
        }
        let _making = self.making.lock().await;
        let view = catalog.load_full();
        if let Some(index) = made(&view) {
            return index;
        }
        let (last, of) = (self.last.load_full(), view.clone());
        let make = move || Index::new(of, last.as_deref());
        let index = match tokio::task::spawn_blocking(make).await {
            Ok(index) => index,
            // The runtime is ending.
            Err(_) => Index::new(view, None),
        };
        let index = Arc::new(index);
        let old = self.last.swap(Some(index.clone()));
        // With it goes what only the view of before has: beside whoever asks.
        drop(tokio::task::spawn_blocking(move || drop(old)));
        index
    }
}

fn hash(key: &str) -> u64 {
    let mut hasher = HASH.build_hasher();
    hasher.write(key.as_bytes());
    hasher.finish()
}

impl Index {
    /// `last`: the index of an earlier view.
    pub(super) fn new(view: Arc<CatalogView>, last: Option<&Self>) -> Self {
        let last = last.filter(|l| l.known.len() <= view.endpoints.len() + SPARE);
        let mut index = Self {
            view: view.clone(),
            rows: Vec::with_capacity(view.endpoints.len()),
            known: last.map_or_else(Known::default, |l| l.known.clone()),
            text: String::with_capacity(last.map_or(0, |l| l.text.len())),
            sets: Vec::with_capacity(last.map_or(0, |l| l.sets.len())),
            aliases: Vec::with_capacity(last.map_or(0, |l| l.aliases.len())),
        };
        let old = last.map_or(&[][..], |l| &l.view.endpoints);
        let mut at = 0;
        for e in &view.endpoints {
            // Both are in the same order: those that are gone are passed over.
            while old
                .get(at)
                .is_some_and(|o| !Arc::ptr_eq(o, e) && place(o) < place(e))
            {
                at += 1;
            }
            let same = old.get(at).is_some_and(|o| Arc::ptr_eq(o, e));
            match last.filter(|_| same) {
                Some(last) => index.take_over(last, &last.rows[at]),
                None => index.add(e),
            }
            at += usize::from(same);
        }
        index
    }

    fn take_over(&mut self, last: &Self, row: &Row) {
        let text = self.put_text(&last.text[row.text.range()]);
        let mut set = |span: Span| {
            let from = self.sets.len();
            self.sets.extend_from_slice(&last.sets[span.range()]);
            Span::since(from, self.sets.len())
        };
        let (tags, schemes, data) = (set(row.tags), set(row.schemes), set(row.data));
        let aliases = last.aliases[row.aliases.range()].iter().copied();
        self.rows.push(Row {
            aliases: put(&mut self.aliases, aliases),
            text,
            tags,
            schemes,
            data,
            ..*row
        });
    }

    fn add(&mut self, e: &EndpointView) {
        let (path, host) = (e.template.to_lowercase(), e.host.to_lowercase());
        let operation = e.operation.as_deref().unwrap_or_default().to_lowercase();
        let text = self.put_text(&format!("{path}{GAP}{operation}{GAP}{host}"));
        let sets = &mut self.sets;
        let mut set = |names: &mut Names, all: &mut dyn Iterator<Item = &str>| {
            let mut numbers: Vec<u32> = all.map(|name| names.number(name)).collect();
            numbers.sort_unstable();
            numbers.dedup();
            put(sets, numbers.into_iter())
        };
        let known = &mut self.known;
        self.rows.push(Row {
            key: hash(&e.key),
            aliases: put(&mut self.aliases, e.aliases.iter().map(|a| hash(a))),
            path: path.len() as u32,
            operation: operation.len() as u32,
            text,
            host: known.hosts.number(&e.host),
            method: known.methods.number(&e.method),
            spec: (e.spec.as_deref()).map_or(NONE, |s| known.specs.number(s)),
            owner: (e.owner.as_deref()).map_or(NONE, |o| known.owners.number(o)),
            tags: set(&mut known.tags, &mut e.tags.iter().map(String::as_str)),
            schemes: set(
                &mut known.schemes,
                &mut e.auth.iter().map(|a| a.scheme.as_str()),
            ),
            data: set(
                &mut known.data,
                &mut e.sensitive.iter().map(|s| s.class.as_str()),
            ),
            facts: facts(e),
            risk: e.risk,
            requests: e.requests,
            errors: e.by_class[4] + e.by_class[5],
            callers: e.callers,
            p90: e.latency.map_or(f64::NAN, |q| q.p90),
            first: e.first_seen,
            seen: e.last_seen,
            shadow: shadow_since(e),
            drift: e.drift.iter().map(|d| d.first_seen).max(),
        });
    }

    fn put_text(&mut self, text: &str) -> Span {
        let from = self.text.len();
        self.text.push_str(text);
        Span::since(from, self.text.len())
    }

    /// The row of an endpoint by its key, or by one that it had before. Looks at a word of each row.
    pub(super) fn find(&self, key: &str) -> Option<usize> {
        let hash = hash(key);
        let endpoints = self.view.endpoints.iter();
        let mut both = self.rows.iter().zip(endpoints.clone());
        let now = both.position(|(row, e)| row.key == hash && e.key == key);
        let had = |row: &Row| self.aliases[row.aliases.range()].contains(&hash);
        let mut both = self.rows.iter().zip(endpoints);
        now.or_else(|| both.position(|(row, e)| had(row) && e.aliases.iter().any(|a| a == key)))
    }

    /// What of a row is looked through for a word: path, operation, host.
    pub(super) fn text(&self, row: &Row) -> &str {
        &self.text[row.text.range()]
    }

    pub(super) fn path(&self, row: &Row) -> &str {
        &self.text(row)[..row.path as usize]
    }

    pub(super) fn operation(&self, row: &Row) -> &str {
        let start = row.path as usize + GAP.len_utf8();
        &self.text(row)[start..start + row.operation as usize]
    }

    /// Numbers of names: of a row's tags, for one.
    pub(super) fn set(&self, of: Span) -> &[u32] {
        &self.sets[of.range()]
    }

    /// The first row whose place is far enough; the number of rows where none is.
    pub(super) fn first(&self, far: impl Fn([&str; 4]) -> bool) -> usize {
        let endpoints = &self.view.endpoints;
        endpoints.partition_point(|e| !far(place(e)))
    }

    pub(super) fn endpoint(&self, row: usize) -> &Arc<EndpointView> {
        &self.view.endpoints[row]
    }
}

/// When it became a shadow endpoint, where it is one.
pub(super) fn shadow_since(e: &EndpointView) -> Option<Timestamp> {
    let is_shadow = e.documentation == Documentation::Shadow;
    let reason = e.reasons.iter().find(|r| r.status == "shadow");
    let since = reason.and_then(|r| r.since).or(e.first_seen);
    since.filter(|_| is_shadow)
}

/// What a view is sorted by, and no two endpoints share.
pub(super) fn place(e: &EndpointView) -> [&str; 4] {
    let operation = e.operation.as_deref().unwrap_or_default();
    [&e.host, &e.template, &e.method, operation]
}

impl Known {
    /// The names of a field that has names.
    pub(super) fn of(&self, field: Field) -> Option<&Names> {
        Some(match field {
            Field::Host => &self.hosts,
            Field::Method => &self.methods,
            Field::Spec => &self.specs,
            Field::Owner => &self.owners,
            Field::Tag => &self.tags,
            Field::Scheme => &self.schemes,
            Field::Data => &self.data,
            _ => return None,
        })
    }

    fn len(&self) -> usize {
        let all = [
            &self.hosts,
            &self.methods,
            &self.specs,
            &self.owners,
            &self.tags,
            &self.schemes,
            &self.data,
        ];
        all.into_iter().map(Names::len).sum()
    }
}

fn put<T>(all: &mut Vec<T>, more: impl Iterator<Item = T>) -> Span {
    let from = all.len();
    all.extend(more);
    Span::since(from, all.len())
}
