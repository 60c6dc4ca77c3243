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

/// What a spec's endpoints come to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Covered {
    /// Confirmed endpoints that are operations of it.
    pub(super) seen: usize,
    /// Those that it should have and has not.
    pub(super) undocumented: usize,
}

#[derive(Default)]
pub(super) struct Views {
    by_id: HashMap<u32, Arc<EndpointView>>,
    listed: BTreeSet<Listed>,
    hosts: BTreeMap<String, HostView>,
    /// Hosts of which an endpoint has changed since they were last added up.
    changed: BTreeSet<String>,
    /// By title.
    specs: HashMap<String, Covered>,
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
        let Some(title) = view.spec.as_ref().filter(|_| view.confirmed) else {
            return;
        };
        if !self.specs.contains_key(title) {
            self.specs.insert(title.clone(), Covered::default());
        }
        if let Some(covered) = self.specs.get_mut(title) {
            let is = |counts: bool| if counts { by } else { 0 };
            let seen = is(view.operation_id.is_some());
            let undocumented = is(view.documentation == Documentation::Shadow);
            covered.seen = covered.seen.saturating_add_signed(seen);
            covered.undocumented = covered.undocumented.saturating_add_signed(undocumented);
        }
    }

    pub(super) fn covered(&self, title: &str) -> Covered {
        self.specs.get(title).copied().unwrap_or_default()
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
