//! The endpoints' views: by id, in the order in which readers see them, and added up by host and
//! by spec. All of it is kept, so that publishing costs a pointer for each endpoint and work for
//! those alone that have changed.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::sync::Arc;

use super::versions;
use crate::catalog::view::{Documentation, EndpointView, HostView};

/// In order of host, path, method and operation.
struct Listed(Arc<EndpointView>);

impl Listed {
    fn key(&self) -> (&str, &str, &str, Option<&str>, u32) {
        let e = &self.0;
        let operation = e.operation.as_deref();
        (&e.host, &e.template, &e.method, operation, e.id.0)
    }
}

impl Ord for Listed {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Listed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Listed {}

/// What a spec's confirmed endpoints come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Covered {
    /// By id of the operation: the endpoints that are it, on one host or another.
    operations: HashMap<String, usize>,
    /// Those that it should have and has not.
    pub(super) undocumented: usize,
    /// Deviations of those that it has.
    pub(super) drift: usize,
}

impl Covered {
    /// Operations that were called.
    pub(super) fn seen(&self) -> usize {
        self.operations.len()
    }

    fn change(&mut self, view: &EndpointView, by: isize) {
        let is_shadow = view.documentation == Documentation::Shadow;
        let shadow = if is_shadow { by } else { 0 };
        self.undocumented = self.undocumented.saturating_add_signed(shadow);
        let Some(id) = &view.operation_id else { return };
        let drift = by.saturating_mul(view.drift.len() as isize);
        self.drift = self.drift.saturating_add_signed(drift);
        let known = self.operations.get_mut(id);
        let n = known.map_or(0, |n| {
            *n = n.saturating_add_signed(by);
            *n
        });
        match (n, by) {
            (0, 1..) => drop(self.operations.insert(id.clone(), 1)),
            (0, _) => drop(self.operations.remove(id)),
            _ => {}
        }
    }
}

#[derive(Default)]
pub(super) struct Views {
    by_id: HashMap<u32, Arc<EndpointView>>,
    listed: BTreeSet<Listed>,
    hosts: BTreeMap<String, HostView>,
    /// Hosts of which an endpoint has changed since they were last added up.
    changed: BTreeSet<String>,
    /// By the spec's id.
    specs: HashMap<Arc<str>, Covered>,
}

impl Views {
    pub(super) fn get(&self, id: u32) -> Option<&Arc<EndpointView>> {
        self.by_id.get(&id)
    }

    /// Returns the view that the endpoint had.
    pub(super) fn insert(&mut self, view: EndpointView) -> Option<Arc<EndpointView>> {
        let view = Arc::new(view);
        let last = self.remove(&view.id.0);
        self.changes(&view, 1);
        self.by_id.insert(view.id.0, view.clone());
        self.listed.insert(Listed(view));
        last
    }

    pub(super) fn remove(&mut self, id: &u32) -> Option<Arc<EndpointView>> {
        let view = self.by_id.remove(id)?;
        self.changes(&view, -1);
        self.listed.remove(&Listed(view.clone()));
        Some(view)
    }

    fn changes(&mut self, view: &EndpointView, by: isize) {
        if !self.changed.contains(&view.host) {
            self.changed.insert(view.host.clone());
        }
        if let Some(id) = view.spec_id.as_ref().filter(|_| view.confirmed) {
            self.specs.entry(id.clone()).or_default().change(view, by);
        }
    }

    pub(super) fn covered(&self, spec: &str) -> Option<&Covered> {
        self.specs.get(spec)
    }

    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<EndpointView>> {
        self.listed.iter().map(|listed| &listed.0)
    }

    /// All of them with those of `others`, in order.
    pub(super) fn with(&self, others: &[Arc<EndpointView>]) -> Vec<Arc<EndpointView>> {
        if others.is_empty() {
            return self.iter().cloned().collect();
        }
        let mut all: Vec<Listed> = self.iter().chain(others).cloned().map(Listed).collect();
        all.sort();
        all.into_iter().map(|listed| listed.0).collect()
    }

    /// The hosts, in order: those of `others` have no traffic.
    pub(super) fn hosts(&mut self, others: &[Arc<EndpointView>]) -> Vec<HostView> {
        for host in mem::take(&mut self.changed) {
            match self.add_up(&host) {
                Some(view) => drop(self.hosts.insert(host, view)),
                None => drop(self.hosts.remove(&host)),
            }
        }
        if others.is_empty() {
            return self.hosts.values().cloned().collect();
        }
        let mut all = self.hosts.clone();
        for e in others {
            let host = all
                .entry(e.host.clone())
                .or_insert_with(|| nothing_of(&e.host));
            host.spec = host.spec.take().or_else(|| e.spec.clone());
        }
        all.into_values().collect()
    }

    /// Without what the endpoints do not tell: the host's own findings, and what was lost of it.
    fn add_up(&self, host: &str) -> Option<HostView> {
        // No path is before the empty one.
        let before = Listed(Arc::new(EndpointView {
            host: host.to_owned(),
            ..EndpointView::default()
        }));
        let own = self.listed.range(before..);
        let own: Vec<&EndpointView> = own
            .map(|listed| &*listed.0)
            .take_while(|e| e.host == host)
            .collect();
        own.first()?;
        Some(HostView {
            host: host.to_owned(),
            endpoints: own.iter().filter(|e| e.confirmed).count(),
            requests: own.iter().map(|e| e.requests).sum(),
            risk: own.iter().map(|e| e.risk).max().unwrap_or(1),
            spec: own.iter().find_map(|e| e.spec.clone()),
            unpaired: None,
            findings: Vec::new(),
            versions: versions::of_host(own.into_iter()),
        })
    }
}

fn nothing_of(host: &str) -> HostView {
    HostView {
        host: host.to_owned(),
        endpoints: 0,
        requests: 0,
        risk: 1,
        spec: None,
        unpaired: None,
        findings: Vec::new(),
        versions: Vec::new(),
    }
}
