//! Lasting facts: what the specs, the headers and newer versions say of an endpoint.

use std::collections::BTreeSet;
use std::mem;

use super::views::kind;
use super::{Catalog, Change, EndpointId, Entry};
use crate::catalog::clear::ADVICE;
use crate::catalog::drift::{self, Drifted};
use crate::catalog::endpoint::SpecRef;
use crate::catalog::exposure::Exposed;
use crate::catalog::view::{Documentation, Finding, FindingKind, Kind};
use crate::catalog::{NodeId, segment};
use crate::exchange::Exchange;

/// An answer to introspection as large as this holds a schema: a refusal is some hundred bytes, the
/// smallest schema takes more than this even when it is compressed.
const SCHEMA_BYTES: u64 = 2 << 10;

/// What an endpoint is said to be, which another template may change.
const LASTING: [FindingKind; 5] = [
    FindingKind::New,
    FindingKind::Shadow,
    FindingKind::DeprecatedInUse,
    FindingKind::Zombie,
    FindingKind::SunsetPassed,
];

impl Catalog {
    /// What the specs say of an endpoint.
    pub(super) fn look_up(&mut self, id: u32) {
        let Some(entry) = self.state.endpoints.get_mut(&id) else {
            return;
        };
        let e = &mut entry.e;
        let template = self.state.trie.template(e.node);
        let rules = self.settings.deprecated.iter();
        let rule = rules
            .into_iter()
            .find(|r| r.matches(&e.host, &e.method, &template));
        e.ruled = rule.map(|rule| (rule.since, rule.sunset));
        let segments = segment::of_template(&template);
        let host = self.state.groups.spec_host(&e.host);
        let mut judge = None;
        e.spec = match self.specs.find(host, &e.method, &segments) {
            Some(Ok(found)) => {
                judge = found.operation.map(|(id, o)| (id, found.spec.digest_of(o)));
                Some(SpecRef {
                    id: found.spec.id.clone(),
                    title: found.spec.title.clone(),
                    operation: found.operation.map(|(_, o)| (*o.id).to_owned()),
                    documented: found.operation.is_some(),
                    deprecated: found.operation.is_some_and(|(_, o)| o.deprecated),
                })
            }
            Some(Err(owner)) => Some(SpecRef {
                id: owner.id.clone(),
                title: owner.title.clone(),
                operation: None,
                documented: false,
                deprecated: false,
            }),
            None => None,
        };
        self.drifts -= e.drift.len();
        e.drift.set(judge);
        self.drifts += e.drift.len();
        e.shadow = !self.specs.is_empty() && e.spec.as_ref().is_none_or(|s| !s.documented);
    }

    /// After the specs have changed: whether a newer version of the document that had an endpoint
    /// has it no more. An endpoint whose template is another now was dropped by nobody.
    pub(super) fn look_for_drop(&mut self, id: u32, had: Option<&SpecRef>) {
        let Some(entry) = self.state.endpoints.get_mut(&id) else {
            return;
        };
        let e = &mut entry.e;
        let has_it = e.spec.as_ref().is_some_and(|s| s.documented);
        let had = had.filter(|_| !has_it);
        let newer = had.and_then(|had| {
            let mut specs = self.specs.specs().iter();
            let spec = specs.find(|s| s.title == had.title)?;
            let operation = had.operation.as_deref().unwrap_or_default();
            Some(format!(
                "`{}` {} has dropped `{operation}`",
                spec.title, spec.version
            ))
        });
        if newer.is_some() {
            e.zombie_since = e.zombie_since.or(Some(self.state.now));
            e.dropped = newer;
        } else if has_it && e.dropped.take().is_some() && e.zombie_of.is_none() {
            e.zombie_since = None;
        }
    }

    /// What a person's pin makes true of the endpoints that it changed is no news to anybody, and
    /// counts as told. Taken back (`again`), what was told of the whole is told of the part.
    pub(super) fn retell(
        &mut self,
        changed: &BTreeSet<u32>,
        again: bool,
        changes: &mut Vec<Change>,
    ) {
        let mut found = Vec::new();
        for id in changed {
            let Some(entry) = self.state.endpoints.get_mut(id) else {
                continue;
            };
            entry.e.told &= LASTING.iter().fold(u16::MAX, |all, kind| all & !bit(*kind));
            if entry.e.confirmed() {
                self.find_facts(*id, &mut found);
            }
        }
        found.retain(|change| again || !matches!(change, Change::Found(_)));
        changes.append(&mut found);
    }

    /// Holds an exchange against what documents its endpoint.
    pub(super) fn take_drift(&mut self, id: u32, x: &Exchange) {
        let room = self.drifts < drift::MAX_ALL;
        if let Some(entry) = self.state.endpoints.get_mut(&id) {
            let drift = &mut entry.e.drift;
            self.drifts -= drift.len();
            drift.take(x, &self.specs, &mut self.contracts, room);
            self.drifts += drift.len();
        }
    }

    fn find_drift(&mut self, id: u32, changes: &mut Vec<Change>) {
        let now = self.state.now;
        let Some(entry) = self.state.endpoints.get_mut(&id) else {
            return;
        };
        let news = entry.e.drift.news();
        if news.is_empty() {
            return;
        }
        let endpoint = EndpointId(id);
        let subject = self.label(endpoint).unwrap_or_default();
        changes.extend(news.into_iter().map(|(kind, since, why)| {
            Change::Drifted(Drifted {
                endpoint,
                subject: subject.clone(),
                kind,
                at: now,
                since,
                why,
            })
        }));
    }

    /// Lasting facts that are newly true of a confirmed endpoint.
    pub(super) fn find_facts(&mut self, id: u32, changes: &mut Vec<Change>) {
        self.date(id);
        let now = self.state.now;
        let learnt = self.learnt().unwrap_or(now);
        let came_after = self
            .state
            .endpoints
            .get(&id)
            .and_then(|entry| self.came_after(&entry.e));
        let Some(entry) = self.state.endpoints.get_mut(&id) else {
            return;
        };
        let e = &mut entry.e;
        let deprecated = e.is_deprecated();
        if deprecated {
            e.deprecated_since.get_or_insert(now);
        } else {
            e.deprecated_since = None;
        }
        let shadow = e
            .said
            .is_some_and(|(said, _)| said == Documentation::Shadow);
        // Where a person has accepted the host's inventory, its strangers are told one by one.
        let unknown_host = shadow && e.spec.is_none() && came_after.is_none();
        let is_api = kind(e, "") != Kind::Static;
        let facts = [
            (FindingKind::New, e.first > learnt),
            (FindingKind::Shadow, shadow && !unknown_host && is_api),
            (FindingKind::DeprecatedInUse, deprecated),
            (FindingKind::Zombie, e.zombie_since.is_some()),
            (
                FindingKind::SunsetPassed,
                e.sunset_at().is_some_and(|t| e.last > t),
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
        self.find_callers(id, changes);
        self.find_security(id, changes);
        self.find_drift(id, changes);
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
        let entry = self.state.endpoints.get_mut(&id);
        if !entry.is_some_and(|entry| mem::take(&mut entry.e.clear_news)) {
            return;
        }
        let label = self.label(EndpointId(id)).unwrap_or_default();
        let Some(Entry { key, e, .. }) = self.state.endpoints.get(&id) else {
            return;
        };
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
    fn told_beside(&self, id: u32, node: NodeId, method: &str) -> u16 {
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
            FindingKind::Shadow => self.shadow(e),
            FindingKind::DeprecatedInUse => match (&e.deprecation, &e.spec) {
                (_, Some(s)) if s.deprecated => {
                    format!("`{title}` marks it deprecated, and it is still called")
                }
                (None, _) => "a rule of the config deprecates it, and it is still called".into(),
                _ => "its answers carry the Deprecation header, and it is still called".into(),
            },
            FindingKind::Zombie => match &e.dropped {
                Some(dropped) => format!("{dropped}, and it is still called"),
                None => format!(
                    "still called beside {}",
                    e.zombie_of.as_deref().unwrap_or("a newer version")
                ),
            },
            FindingKind::SunsetPassed => {
                format!(
                    "its Sunset was {}, and it is still called",
                    e.sunset_at().map(|t| t.to_string()).unwrap_or_default()
                )
            }
            FindingKind::UnknownHost => "no spec knows this host".into(),
            FindingKind::NewCaller => "called in a way that its learning time did not know".into(),
            FindingKind::WiderExposure => "answers callers from a wider zone than before".into(),
            FindingKind::Introspection => format!(
                "asked for its schema, it answered with {} bytes",
                e.introspection.unwrap_or(0)
            ),
        }
    }
}

fn bit(kind: FindingKind) -> u16 {
    1 << kind as u8
}
