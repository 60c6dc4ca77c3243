//! What was seen in the places of each document: a pass over all endpoints and operations, made once
//! a view.

use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;

use super::routes::App;
use super::summary::behind;
use crate::catalog::spec::{Listed, Spec, SpecSet};
use crate::catalog::{CatalogView, EndpointView};

/// Of one document.
#[derive(Default)]
pub(super) struct Places {
    /// By an operation's id, the endpoints that are it on one host or another.
    operations: HashMap<String, Vec<Arc<EndpointView>>>,
    /// Operations that were called, and those that were not, by their place in the listing.
    pub(super) seen: Vec<u32>,
    pub(super) unseen: Vec<u32>,
    /// All operations with all that is undocumented, by template and method.
    pub(super) both: Vec<Side>,
    /// In its places, and none of its operations; by template, as those that follow.
    pub(super) undocumented: Vec<Arc<EndpointView>>,
    /// Its operations that differ from it.
    pub(super) drifting: Vec<Arc<EndpointView>>,
}

/// An operation by its place in the listing, or an undocumented endpoint by its own.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Operation(u32),
    Undocumented(u32),
}

/// Of all documents, by id.
pub(super) struct AllPlaces {
    documents: Arc<SpecSet>,
    by_id: HashMap<Arc<str>, Arc<Places>>,
}

impl AllPlaces {
    pub(super) fn of(catalog: &CatalogView) -> Self {
        let mut all: HashMap<Arc<str>, Places> = HashMap::default();
        for e in catalog.endpoints.iter().filter(|e| e.confirmed) {
            let Some(spec) = &e.spec_id else { continue };
            // Most documents have many.
            let places = match all.get_mut(spec) {
                Some(places) => places,
                None => all.entry(spec.clone()).or_default(),
            };
            places.add(e);
        }
        let documents = catalog.documents.clone();
        let by_id = documents.specs().iter().map(|spec| {
            let mut places = all.remove(&spec.id).unwrap_or_default();
            places.put_in_order(spec);
            (spec.id.clone(), Arc::new(places))
        });
        Self {
            by_id: by_id.collect(),
            documents,
        }
    }
}

fn place(e: &EndpointView) -> (&str, &str, &str) {
    (&e.template, &e.method, &e.host)
}

impl Places {
    /// Of a document of this view; what was seen may be a little behind it.
    pub(super) fn new(app: &App, catalog: &Arc<CatalogView>, spec: &str) -> Arc<Self> {
        let mut all = app.places.get(catalog, behind(catalog), AllPlaces::of);
        if !Arc::ptr_eq(&all.documents, &catalog.documents) {
            all = app.places.get(catalog, Duration::ZERO, AllPlaces::of);
        }
        all.by_id.get(spec).cloned().unwrap_or_default()
    }

    fn put_in_order(&mut self, spec: &Spec) {
        let order = |a: &Arc<EndpointView>, b: &Arc<EndpointView>| place(a).cmp(&place(b));
        self.undocumented.sort_by(order);
        self.drifting.sort_by(order);
        let listing = spec.listing();
        for (n, operation) in (0..).zip(listing) {
            match self.operations.contains_key(&*operation.id) {
                true => self.seen.push(n),
                false => self.unseen.push(n),
            }
        }
        let operations = (0..listing.len() as u32).map(Side::Operation);
        let others = (0..self.undocumented.len() as u32).map(Side::Undocumented);
        self.both = operations.chain(others).collect();
        let undocumented = &self.undocumented;
        self.both.sort_by_key(|side| match *side {
            Side::Operation(n) => {
                let operation = &listing[n as usize];
                (&*operation.template, operation.method)
            }
            Side::Undocumented(n) => {
                let e = &undocumented[n as usize];
                (e.template.as_str(), e.method.as_str())
            }
        });
    }

    fn add(&mut self, e: &Arc<EndpointView>) {
        let Some(id) = e.operation_id.as_deref() else {
            return self.undocumented.push(e.clone());
        };
        if !e.drift.is_empty() {
            self.drifting.push(e.clone());
        }
        match self.operations.get_mut(id) {
            Some(known) => known.push(e.clone()),
            None => drop(self.operations.insert(id.to_owned(), vec![e.clone()])),
        }
    }

    /// The endpoints that are this operation; none where it was never called.
    pub(super) fn of(&self, operation: &Listed) -> &[Arc<EndpointView>] {
        self.called(&operation.id)
    }

    /// Likewise, by the operation's id.
    pub(super) fn called(&self, operation: &str) -> &[Arc<EndpointView>] {
        let found = self.operations.get(operation);
        found.map_or(&[], Vec::as_slice)
    }

    /// In the places, whether or not the document has it.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<EndpointView>> {
        let known = self.operations.values().flatten();
        self.undocumented.iter().chain(known)
    }
}
