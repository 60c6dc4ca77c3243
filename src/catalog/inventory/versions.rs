//! `/v1` beside `/v2`: which endpoints are versions of each other, and how much each still carries.
//!
//! Groups are kept from one look to the next: an endpoint that is confirmed joins its group, and
//! only groups are judged that have grown or were called since. Once templates read otherwise, or
//! endpoints are gone, all of them are made anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasher;
use std::mem;

use foldhash::fast::FixedState;

use super::{Catalog, Change, EndpointId, HASH, slot};
use crate::catalog::endpoint::Endpoint;
use crate::catalog::segment;
use crate::catalog::view::{EndpointView, VersionView};

/// Host, method with operation, and the path with `v*` for each version.
type Group = (String, String, String);

#[derive(Default)]
pub(super) struct Versions {
    /// Confirmed since the last look.
    pub(super) news: Vec<u32>,
    /// Groups may be others by now.
    pub(super) stale: bool,
    /// Version and endpoint by the hash of their group, oldest first.
    groups: HashMap<u64, Vec<(u32, u32)>, FixedState>,
    /// The group of each endpoint that is not alone in it.
    rivals: HashMap<u32, u64, FixedState>,
    /// Groups of several to be judged.
    due: BTreeSet<u64>,
}

impl Versions {
    /// The versions of an endpoint where there are several, itself among them; oldest first.
    pub(super) fn of(&self, id: u32) -> impl Iterator<Item = u32> + use<'_> {
        let group = self.rivals.get(&id).and_then(|hash| self.groups.get(hash));
        group.into_iter().flatten().map(|(_, id)| *id)
    }

    pub(super) fn called(&mut self, id: u32) {
        self.due.extend(self.rivals.get(&id));
    }

    fn join(&mut self, group: &Group, number: u32, id: u32) {
        let hash = HASH.hash_one(group);
        let members = self.groups.entry(hash).or_default();
        if let Err(at) = members.binary_search(&(number, id)) {
            members.insert(at, (number, id));
        }
        if members.len() > 1 {
            self.rivals
                .extend(members.iter().map(|(_, id)| (*id, hash)));
            self.due.insert(hash);
        }
    }
}

impl Catalog {
    /// An old version still called beside a newer one is a zombie.
    pub(super) fn compare_versions(&mut self, changes: &mut Vec<Change>) {
        let mut news = mem::take(&mut self.versions.news);
        if mem::take(&mut self.versions.stale) {
            self.versions = Versions::default();
            let all = self.state.endpoints.iter();
            let confirmed = all.filter(|(_, entry)| entry.e.confirmed());
            news = confirmed.map(|(id, _)| *id).collect();
        }
        for id in news {
            if let Some((group, number)) = self.version_group(id) {
                self.versions.join(&group, number, id);
            }
        }
        let due = mem::take(&mut self.versions.due).into_iter();
        let group = |hash| {
            let members = self.versions.groups.get(&hash)?.clone();
            Some((self.version_group(members.first()?.1)?.0, members))
        };
        // What is found comes in an order that does not hang on hashes.
        let due: BTreeMap<Group, _> = due.filter_map(group).collect();
        for members in due.into_values() {
            self.judge_versions(members, changes);
        }
    }

    /// Of an endpoint with a version in its path: the group, and which version it is.
    fn version_group(&self, id: u32) -> Option<(Group, u32)> {
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

    fn judge_versions(&mut self, mut members: Vec<(u32, u32)>, changes: &mut Vec<Change>) {
        let Some((newest, newer)) = members.pop() else {
            return;
        };
        let born = self.state.endpoints.get(&newer);
        let born = born.and_then(|entry| entry.e.first_answer);
        let name = self.label(EndpointId(newer));
        let now = self.state.now;
        for (_, id) in members.into_iter().filter(|(n, _)| *n < newest) {
            let Some(entry) = self.state.endpoints.get_mut(&id) else {
                continue;
            };
            if entry.e.zombie_since.is_none() && born.is_some_and(|b| entry.e.last > b) {
                entry.e.zombie_since = Some(now);
                entry.e.zombie_of.clone_from(&name);
                self.dirty.insert(id);
                self.find_facts(id, changes);
            }
        }
    }

    /// Keys of an endpoint's versions where there are several.
    pub(super) fn version_keys(&self, id: u32) -> Vec<String> {
        let entries = self
            .versions
            .of(id)
            .filter_map(|id| self.state.endpoints.get(&id));
        let keys: Vec<String> = entries.map(|entry| entry.key.clone()).collect();
        if keys.len() > 1 { keys } else { Vec::new() }
    }

    /// Of an old version: its part of the last week's requests of itself and all versions after it.
    pub(super) fn version_share(&self, id: u32, e: &Endpoint) -> Option<f64> {
        let week = |e: &Endpoint| e.days.weeks(self.state.now)[0];
        let mut newer = self
            .versions
            .of(id)
            .skip_while(|other| *other != id)
            .skip(1)
            .peekable();
        newer.peek()?;
        let entries = newer.filter_map(|id| self.state.endpoints.get(&id));
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
            let sums = versions
                .entry(number)
                .or_insert_with(|| (word.to_owned(), 0, 0));
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
