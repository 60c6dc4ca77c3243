//! `/v1` beside `/v2`: which endpoints are versions of each other, and how much each still carries.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Catalog, Change, EndpointId, slot};
use crate::catalog::endpoint::Endpoint;
use crate::catalog::segment;
use crate::catalog::view::{EndpointView, VersionView};

impl Catalog {
    /// An old version still called beside a newer one is a zombie.
    pub(super) fn compare_versions(&mut self, changes: &mut Vec<Change>) {
        let mut groups: BTreeMap<(String, String, String), Vec<(u32, u32)>> = BTreeMap::new();
        for (id, entry) in self.state.endpoints.iter().filter(|(_, n)| n.e.confirmed()) {
            let template = self.state.trie.template(entry.e.node);
            let number = template.split('/').find_map(segment::version);
            if let Some(number) = number {
                let words = template.split('/').map(|s| {
                    if segment::version(s).is_some() {
                        "v*"
                    } else {
                        s
                    }
                });
                let masked = words.collect::<Vec<_>>().join("/");
                let slot = slot(&entry.e.method, entry.e.operation.as_deref());
                groups
                    .entry((entry.e.host.clone(), slot.into_owned(), masked))
                    .or_default()
                    .push((number, *id));
            }
        }
        self.versions.clear();
        let now = self.state.now;
        for mut versions in groups.into_values().filter(|v| v.len() > 1) {
            versions.sort_unstable();
            let group: Arc<[u32]> = versions.iter().map(|(_, id)| *id).collect();
            for id in &*group {
                self.versions.insert(*id, group.clone());
            }
            let Some((newest, newer)) = versions.pop() else {
                continue;
            };
            let born = self.state.endpoints[&newer].e.first_answer;
            let name = self.label(EndpointId(newer));
            for (_, id) in versions.into_iter().filter(|(n, _)| *n < newest) {
                let Some(entry) = self.state.endpoints.get_mut(&id) else {
                    continue;
                };
                if entry.e.zombie_since.is_none() && born.is_some_and(|b| entry.e.last > b) {
                    entry.e.zombie_since = Some(now);
                    entry.e.zombie_of = name.clone();
                    self.dirty.insert(id);
                    self.find_facts(id, changes);
                }
            }
        }
    }

    /// Of an old version: its part of the last week's requests of itself and all versions after it.
    pub(super) fn version_share(&self, id: u32, e: &Endpoint) -> Option<f64> {
        let group = self.versions.get(&id)?;
        let at = group.iter().position(|other| *other == id)?;
        let newer = group.get(at + 1..).filter(|newer| !newer.is_empty())?;
        let week = |e: &Endpoint| e.days.weeks(self.state.now)[0];
        let entries = newer.iter().filter_map(|id| self.state.endpoints.get(id));
        let others: u64 = entries.map(|entry| week(&entry.e)).sum();
        let own = week(e);
        (own + others > 0).then(|| own as f64 / (own + others) as f64)
    }
}

/// The versions of one host's API with their parts of last week's requests, where there are several.
pub(super) fn of_host<'a>(endpoints: impl Iterator<Item = &'a EndpointView>) -> Vec<VersionView> {
    let mut versions: BTreeMap<u32, (String, usize, u64)> = BTreeMap::new();
    for e in endpoints.filter(|e| e.confirmed) {
        let word = e
            .template
            .split('/')
            .find_map(|s| Some((segment::version(s)?, s)));
        if let Some((number, word)) = word {
            let sums = versions.entry(number).or_insert((word.to_owned(), 0, 0));
            (sums.1, sums.2) = (sums.1 + 1, sums.2 + e.last_week);
        }
    }
    if versions.len() < 2 {
        return Vec::new();
    }
    let all: u64 = versions.values().map(|(_, _, requests)| requests).sum();
    let view = |(version, endpoints, requests)| VersionView {
        version,
        endpoints,
        requests,
        share: if all == 0 {
            0.0
        } else {
            requests as f64 / all as f64
        },
    };
    versions.into_values().map(view).collect()
}
