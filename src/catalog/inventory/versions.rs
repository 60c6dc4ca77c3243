//! Versions of one operation beside each other: `/v1/orders` and `/v2/orders`. An old one that is
//! still called is a zombie.
//!
//! Groups are kept from one look to the next: an endpoint that is confirmed joins its group, and
//! only groups of several versions are looked at again. After a fold, when templates read
//! otherwise, they are made anew.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::mem;

use foldhash::fast::FixedState;

use super::{Catalog, Change, EndpointId, HASH, slot};
use crate::catalog::segment;

/// Host, method with operation, and the path with `v*` for each version.
type Group = (String, String, String);

#[derive(Default)]
pub(super) struct Versions {
    /// Confirmed since the last look.
    pub(super) news: Vec<u32>,
    /// Templates may read otherwise than they did.
    pub(super) stale: bool,
    /// Version and endpoint, by hash of the group.
    known: HashMap<u64, Vec<(u32, u32)>, FixedState>,
    /// Groups of more than one endpoint.
    rivals: BTreeMap<Group, u64>,
}

impl Catalog {
    /// An old version still called beside a newer one is a zombie.
    pub(super) fn compare_versions(&mut self, changes: &mut Vec<Change>) {
        let mut news = mem::take(&mut self.versions.news);
        if news.is_empty() {
            return;
        }
        if mem::take(&mut self.versions.stale) {
            self.versions.known.clear();
            self.versions.rivals.clear();
            let confirmed = self.state.endpoints.iter();
            let confirmed = confirmed.filter(|(_, entry)| entry.e.confirmed());
            news = confirmed.map(|(id, _)| *id).collect();
        }
        for id in news {
            if let Some((group, number)) = self.group(id) {
                self.versions.join(group, number, id);
            }
        }
        let groups: Vec<u64> = self.versions.rivals.values().copied().collect();
        for group in groups {
            self.judge(group, changes);
        }
    }

    /// Of an endpoint with a version in its path.
    fn group(&self, id: u32) -> Option<(Group, u32)> {
        let e = &self.state.endpoints.get(&id)?.e;
        let template = self.state.trie.template(e.node);
        let number = template.split('/').find_map(segment::version)?;
        let words = template.split('/').map(|s| match segment::version(s) {
            Some(_) => "v*",
            None => s,
        });
        let masked = words.collect::<Vec<_>>().join("/");
        let slot = slot(&e.method, e.operation.as_deref()).into_owned();
        Some(((e.host.clone(), slot, masked), number))
    }

    fn judge(&mut self, group: u64, changes: &mut Vec<Change>) {
        let Some(members) = self.versions.known.get_mut(&group) else {
            return;
        };
        members.retain(|(_, id)| self.state.endpoints.contains_key(id));
        members.sort_unstable();
        let mut members = members.clone();
        let Some((newest, newer)) = members.pop() else {
            return;
        };
        let born = self.state.endpoints[&newer].e.first_answer;
        let name = self.label(EndpointId(newer));
        let now = self.state.now;
        for (_, id) in members.into_iter().filter(|(n, _)| *n < newest) {
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

impl Versions {
    fn join(&mut self, group: Group, number: u32, id: u32) {
        let hash = HASH.hash_one(&group);
        let members = self.known.entry(hash).or_default();
        if !members.contains(&(number, id)) {
            members.push((number, id));
        }
        if members.len() > 1 {
            self.rivals.insert(group, hash);
        }
    }
}
