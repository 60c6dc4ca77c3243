//! Lasting facts: what the specs, the headers and newer versions say of an endpoint.

use std::collections::BTreeMap;
use std::mem;

use super::views::kind;
use super::{Catalog, Change, EndpointId, Entry, slot};
use crate::catalog::clear::ADVICE;
use crate::catalog::endpoint::SpecRef;
use crate::catalog::exposure::Exposed;
use crate::catalog::view::{Finding, FindingKind, Kind};
use crate::catalog::{NodeId, segment};

/// An answer to introspection as large as this holds a schema: a refusal is some hundred bytes, the
/// smallest schema takes more than this even when it is compressed.
const SCHEMA_BYTES: u64 = 2 << 10;

impl Catalog {
    /// What the specs say of an endpoint.
    pub(super) fn look_up(&mut self, id: u32) {
        let Some(entry) = self.state.endpoints.get_mut(&id) else {
            return;
        };
        let e = &mut entry.e;
        let template = self.state.trie.template(e.node);
        let segments: Vec<&str> = template.split('/').filter(|s| !s.is_empty()).collect();
        e.spec = match self.specs.find(&e.host, &e.method, &segments) {
            Some(Ok(found)) => Some(SpecRef {
                title: found.spec.title.clone(),
                operation: found.operation.map(|o| o.id.clone()),
                documented: found.operation.is_some(),
                deprecated: found.operation.is_some_and(|o| o.deprecated),
            }),
            Some(Err(owner)) => Some(SpecRef {
                title: owner.title.clone(),
                operation: None,
                documented: false,
                deprecated: false,
            }),
            None => None,
        };
        e.shadow = !self.specs.is_empty() && e.spec.as_ref().is_none_or(|s| !s.documented);
    }

    /// Lasting facts that are newly true of a confirmed endpoint.
    pub(super) fn find_facts(&mut self, id: u32, changes: &mut Vec<Change>) {
        let now = self.state.now;
        let learnt = self
            .state
            .started
            .map_or(now, |t| t + self.settings.learning);
        let Some(entry) = self.state.endpoints.get_mut(&id) else {
            return;
        };
        let e = &mut entry.e;
        let deprecated = e.deprecation.is_some() || e.spec.as_ref().is_some_and(|s| s.deprecated);
        if deprecated {
            e.deprecated_since.get_or_insert(now);
        }
        let unknown_host = e.shadow && e.spec.is_none();
        let is_api = kind(e, "") != Kind::Static;
        let facts = [
            (FindingKind::New, e.first > learnt),
            (FindingKind::Shadow, e.shadow && !unknown_host && is_api),
            (FindingKind::DeprecatedInUse, deprecated),
            (FindingKind::Zombie, e.zombie_since.is_some()),
            (
                FindingKind::SunsetPassed,
                e.sunset.is_some_and(|t| e.last > t),
            ),
            (
                FindingKind::Introspection,
                e.introspection.is_some_and(|n| n >= SCHEMA_BYTES),
            ),
        ];
        let mut due: Vec<FindingKind> = facts
            .iter()
            .filter(|(k, is)| *is && e.told & bit(*k) == 0)
            .map(|(k, _)| *k)
            .collect();
        for kind in &due {
            e.told |= bit(*kind);
        }
        if e.operation.is_some() && !due.is_empty() {
            // What is said of a path is said once, not for each of its operations.
            let (node, method) = (e.node, e.method.clone());
            let told = self.told_beside(id, node, &method);
            due.retain(|kind| *kind == FindingKind::New || told & bit(*kind) == 0);
        }
        let Some(Entry { e, .. }) = self.state.endpoints.get(&id) else {
            return;
        };
        let (since, host, requests) = (e.first, e.host.clone(), e.by_class.iter().sum::<u64>());
        if !due.is_empty() {
            let subject = self.label(EndpointId(id)).unwrap_or_default();
            for kind in due {
                let why = self.why(id, kind);
                let finding = Finding {
                    kind,
                    endpoint: Some(EndpointId(id)),
                    subject: subject.clone(),
                    at: now,
                    since,
                    why,
                };
                changes.push(Change::Found(finding));
            }
        }
        self.find_clear(id, changes);
        if unknown_host && is_api && self.state.strangers.insert(host.clone()) {
            let why = format!("no spec knows this host; {requests} requests so far");
            let finding = Finding {
                kind: FindingKind::UnknownHost,
                endpoint: None,
                subject: host,
                at: now,
                since,
                why,
            };
            changes.push(Change::Found(finding));
        }
    }

    /// Credentials in clear are told once a host, with what is known by then.
    fn find_clear(&mut self, id: u32, changes: &mut Vec<Change>) {
        let label = self.label(EndpointId(id)).unwrap_or_default();
        let Some(Entry { key, e, .. }) = self.state.endpoints.get_mut(&id) else {
            return;
        };
        if !mem::take(&mut e.clear_news) {
            return;
        }
        let (host, facts) = (e.host.clone(), e.clear.exposures(&e.host, &label, key));
        if self.state.told_clear.len() >= self.settings.max_endpoints {
            // The alerts know what is told again.
            self.state.told_clear.clear();
        }
        if self.state.told_clear.insert(host.clone()) {
            let now = self.state.now;
            if let Some(mut exposed) = Exposed::of("catalog-credentials", &host, now, facts) {
                exposed.why.push(ADVICE.to_owned());
                changes.push(Change::Exposed(exposed));
            }
        }
    }

    /// Findings told of the other operations of a path.
    fn told_beside(&self, id: u32, node: NodeId, method: &str) -> u8 {
        let beside = self.state.trie.node(node).endpoints.values();
        let entries = beside.filter(|other| **other != id);
        let entries = entries.filter_map(|other| self.state.endpoints.get(other));
        let same = entries.filter(|entry| entry.e.method == method);
        same.fold(0, |told, entry| told | entry.e.told)
    }

    pub(super) fn why(&self, id: u32, kind: FindingKind) -> String {
        let Some(Entry { e, .. }) = self.state.endpoints.get(&id) else {
            return String::new();
        };
        let title = e.spec.as_ref().map_or("", |s| s.title.as_str());
        match kind {
            FindingKind::New => "first seen after the learning time".into(),
            FindingKind::Shadow => {
                format!("`{title}` owns this place and does not have this operation")
            }
            FindingKind::DeprecatedInUse => match (&e.deprecation, &e.spec) {
                (_, Some(s)) if s.deprecated => {
                    format!("`{title}` marks it deprecated, and it is still called")
                }
                _ => "its answers carry the Deprecation header, and it is still called".into(),
            },
            FindingKind::Zombie => format!(
                "still called beside {}",
                e.zombie_of.as_deref().unwrap_or("a newer version")
            ),
            FindingKind::SunsetPassed => {
                format!(
                    "its Sunset was {}, and it is still called",
                    e.sunset.map(|t| t.to_string()).unwrap_or_default()
                )
            }
            FindingKind::UnknownHost => "no spec knows this host".into(),
            FindingKind::Introspection => format!(
                "asked for its schema, it answered with {} bytes",
                e.introspection.unwrap_or(0)
            ),
        }
    }

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
        let now = self.state.now;
        for mut versions in groups.into_values().filter(|v| v.len() > 1) {
            versions.sort_unstable();
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
}

fn bit(kind: FindingKind) -> u8 {
    1 << kind as u8
}
