//! What lists of endpoints are answered from: one row for each endpoint of a published view, with all that
//! can be asked for in a few machine words and its text in lower case.
//!
//! Made once for a view, when somebody first asks for it, and off the async threads; rows of endpoints that
//! have not changed since the view before (they share their `Arc`) are taken over. Rows stand as the view's
//! endpoints do: sorted by host, template, method, operation.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use foldhash::fast::FixedState;

use super::search::facts;
use crate::catalog::{CatalogView, EndpointView};
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

/// An endpoint, as far as it is asked for.
#[derive(Clone)]
pub(super) struct Row {
    /// Hash of the endpoint's key.
    key: u64,
    /// Path, operation, host, in lower case.
    text: Arc<str>,
    path: u32,
    operation: u32,
    /// Names by their number in [`Known`].
    pub(super) host: u32,
    pub(super) method: u32,
    pub(super) spec: u32,
    pub(super) owner: u32,
    pub(super) tags: Arc<[u32]>,
    pub(super) schemes: Arc<[u32]>,
    pub(super) data: Arc<[u32]>,
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
    /// Hashes of the keys that endpoints had before, with their rows.
    aliases: Vec<(u64, u32)>,
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
        self.last.store(Some(index.clone()));
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
        let mut known = last.map_or_else(Known::default, |l| l.known.clone());
        let (old, old_rows) = last.map_or((&[][..], &[][..]), |l| (&l.view.endpoints, &l.rows));
        let mut rows = Vec::with_capacity(view.endpoints.len());
        let mut aliases = Vec::new();
        let mut at = 0;
        for (n, e) in view.endpoints.iter().enumerate() {
            // Both are in the same order: those that are gone are passed over.
            while old
                .get(at)
                .is_some_and(|o| !Arc::ptr_eq(o, e) && place(o) < place(e))
            {
                at += 1;
            }
            let same = old.get(at).filter(|o| Arc::ptr_eq(o, e));
            match same.and_then(|_| old_rows.get(at)) {
                Some(row) => rows.push(row.clone()),
                None => rows.push(known.row(e)),
            }
            at += usize::from(same.is_some());
            aliases.extend(e.aliases.iter().map(|a| (hash(a), n as u32)));
        }
        Self {
            view,
            rows,
            known,
            aliases,
        }
    }

    /// The row of an endpoint by its key, or by one that it had before. Looks at a word of each row.
    pub(super) fn find(&self, key: &str) -> Option<usize> {
        let hash = hash(key);
        let endpoints = &self.view.endpoints;
        let mut rows = self.rows.iter().enumerate();
        let now = rows.find(|(n, row)| row.key == hash && endpoints[*n].key == key);
        let before = || {
            let mut aliases = self.aliases.iter();
            let is_it = |at: u32| endpoints[at as usize].aliases.iter().any(|a| a == key);
            let found = aliases.find(|(h, at)| *h == hash && is_it(*at));
            found.map(|(_, at)| *at as usize)
        };
        now.map(|(n, _)| n).or_else(before)
    }

    pub(super) fn endpoint(&self, row: usize) -> &Arc<EndpointView> {
        &self.view.endpoints[row]
    }
}

fn place(e: &EndpointView) -> (&str, &str, &str, Option<&str>) {
    (&e.host, &e.template, &e.method, e.operation.as_deref())
}

impl Known {
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

    fn row(&mut self, e: &EndpointView) -> Row {
        let (path, host) = (e.template.to_lowercase(), e.host.to_lowercase());
        let operation = e.operation.as_deref().unwrap_or_default().to_lowercase();
        let set = |names: &mut Names, all: &mut dyn Iterator<Item = &str>| {
            let mut numbers: Vec<u32> = all.map(|name| names.number(name)).collect();
            numbers.sort_unstable();
            numbers.dedup();
            numbers.into()
        };
        Row {
            key: hash(&e.key),
            path: path.len() as u32,
            operation: operation.len() as u32,
            text: format!("{path}{GAP}{operation}{GAP}{host}").into(),
            host: self.hosts.number(&e.host),
            method: self.methods.number(&e.method),
            spec: e.spec.as_deref().map_or(NONE, |s| self.specs.number(s)),
            owner: (e.owner.as_deref()).map_or(NONE, |o| self.owners.number(o)),
            tags: set(&mut self.tags, &mut e.tags.iter().map(String::as_str)),
            schemes: set(
                &mut self.schemes,
                &mut e.auth.iter().map(|a| a.scheme.as_str()),
            ),
            data: set(
                &mut self.data,
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
        }
    }
}

impl Row {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn path(&self) -> &str {
        &self.text[..self.path as usize]
    }

    pub(super) fn operation(&self) -> &str {
        let start = self.path as usize + GAP.len_utf8();
        &self.text[start..start + self.operation as usize]
    }
}
