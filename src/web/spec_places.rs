//! What was seen in the places of each document: one pass over all endpoints, made once a view.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::routes::App;
use crate::catalog::spec::Listed;
use crate::catalog::{CatalogView, EndpointView};

/// Of one document.
#[derive(Default)]
pub(super) struct Places {
    /// By an operation's id, the endpoints that are it on one host or another.
    operations: HashMap<String, Vec<Arc<EndpointView>>>,
    /// In its places, and none of its operations; by template, as those that follow.
    pub(super) undocumented: Vec<Arc<EndpointView>>,
    /// Its operations that differ from it.
    pub(super) drifting: Vec<Arc<EndpointView>>,
}

/// Of all documents, by id.
pub(super) struct AllPlaces(HashMap<Arc<str>, Arc<Places>>);

impl AllPlaces {
    pub(super) fn of(catalog: &CatalogView) -> Self {
        let mut all: HashMap<Arc<str>, Places> = HashMap::new();
        for e in catalog.endpoints.iter().filter(|e| e.confirmed) {
            let Some(spec) = &e.spec_id else { continue };
            // Most documents have many.
            let places = match all.get_mut(spec) {
                Some(places) => places,
                None => all.entry(spec.clone()).or_default(),
            };
            places.add(e);
        }
        let sorted = all.into_iter().map(|(id, mut places)| {
            let order = |a: &Arc<EndpointView>, b: &Arc<EndpointView>| place(a).cmp(&place(b));
            places.undocumented.sort_by(order);
            places.drifting.sort_by(order);
            (id, Arc::new(places))
        });
        Self(sorted.collect())
    }
}

fn place(e: &EndpointView) -> (&str, &str, &str) {
    (&e.template, &e.method, &e.host)
}

impl Places {
    /// Of a document of this view.
    pub(super) fn new(app: &App, catalog: &Arc<CatalogView>, spec: &str) -> Arc<Self> {
        let all = app.places.get(catalog, Duration::ZERO, AllPlaces::of);
        all.0.get(spec).cloned().unwrap_or_default()
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
        let found = self.operations.get(&*operation.id);
        found.map_or(&[], Vec::as_slice)
    }

    /// In the places, whether or not the document has it.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<EndpointView>> {
        let known = self.operations.values().flatten();
        self.undocumented.iter().chain(known)
    }
}
