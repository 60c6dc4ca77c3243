//! The catalogue itself: exchanges in, endpoints, accesses and changes out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasher;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::clear::ADVICE;
use super::completeness::Completeness;
use super::endpoint::{Endpoint, SpecRef};
use super::exposure::Exposed;
use super::schema::PathParameter;
use super::segment::{self, Type};
use super::spec::{SpecSet, host_name};
use super::tls::TlsHosts;
use super::trie::{Folded, Trie};
use super::view::{
    Auth, CatalogView, Documentation, EndpointView, Finding, FindingKind, HostView, Kind, Life,
    Reason, SpecView,
};
use super::{Access, Admission, Change, EndpointId, NodeId, Object, RestoreError, Settings, view};
use crate::exchange::{Exchange, TlsFlow};
use crate::time::Timestamp;

/// Of the saved form.
const VERSION: u8 = 4;

/// Operations of one path template that are entries of their own; large GraphQL schemas and SOAP
/// services have some hundreds. Stops whoever invents names that a server answers; the rest is the
/// path's own entry.
const MAX_OPERATIONS: usize = 2_000;

/// An answer to introspection as large as this holds a schema: a refusal is some hundred bytes, the
/// smallest schema takes more than this even when it is compressed.
const SCHEMA_BYTES: u64 = 2 << 10;

/// Object ids must hash alike in every process that reads the same packets.
const HASH: FixedState = FixedState::with_seed(0x61_70_69_74_61_70);

/// Everything that a restart must bring back.
#[derive(Default, Serialize, Deserialize)]
struct State {
    trie: Trie,
    endpoints: BTreeMap<u32, Entry>,
    next: u32,
    started: Option<Timestamp>,
    now: Timestamp,
    evicted: u64,
    /// Hosts that no spec knows, already told.
    strangers: BTreeSet<String>,
    /// Hosts with credentials in clear, already told.
    told_clear: BTreeSet<String>,
    tls: TlsHosts,
    /// Fields of all schemas.
    fields: usize,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    key: String,
    e: Endpoint,
}

/// The inventory.
pub struct Catalog {
    settings: Settings,
    specs: SpecSet,
    state: State,
    views: HashMap<u32, Arc<EndpointView>>,
    completeness: Completeness,
    /// Endpoints whose view is stale.
    dirty: BTreeSet<u32>,
    /// Answered paths that were new since siblings were last judged.
    grown: usize,
    /// An endpoint was confirmed since versions were last compared.
    confirmed: bool,
}

impl Catalog {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            specs: SpecSet::default(),
            state: State {
                now: Timestamp::MIN,
                ..State::default()
            },
            views: HashMap::new(),
            completeness: Completeness::default(),
            dirty: BTreeSet::new(),
            grown: 0,
            confirmed: false,
        }
    }

    /// Takes one exchange, in total order.
    pub fn apply(&mut self, x: &Exchange, changes: &mut Vec<Change>) -> Access {
        self.state.now = self.state.now.max(x.end);
        self.state.started.get_or_insert(x.ts);
        let nowhere = Access {
            endpoint: None,
            node: None,
            object: None,
            confirmed: false,
            login: x.login.is_some(),
            complete: true,
        };
        if x.session.is_some() {
            self.take_session(x);
            return nowhere;
        }
        if x.partial.no_request {
            self.completeness.orphan(x, self.state.now);
        }
        let (Some(method), Some(path)) = (x.method.as_deref(), x.path.as_deref()) else {
            return nowhere;
        };
        let own_name = || CompactHost::of(x.server, x.server_port);
        let host = x
            .host
            .as_deref()
            .map_or_else(own_name, |h| CompactHost(host_name(h)));
        let segments = segment::split(path);
        // HEAD asks what GET would answer; it is no endpoint of its own.
        let method = if method == "HEAD" { "GET" } else { method };
        let admission = Admission::of(x);
        let operation = x.operation.as_ref().and_then(|o| o.name.as_deref());
        let id = match self.locate(&host.0, method, operation, &segments) {
            Some(id) => Some(id),
            None if matches!(admission, Admission::Answered | Admission::Unseen)
                && x.method.as_deref() == Some(method)
                && method != "OPTIONS" =>
            {
                self.admit(&host.0, method, operation, &segments, x.ts, changes)
            }
            None => operation.and_then(|_| self.locate(&host.0, method, None, &segments)),
        };
        if id.is_some() || self.state.trie.root(&host.0).is_some() {
            self.completeness.take(&host.0, x, self.state.now);
        }
        let complete = self.completeness.lossy(&host.0, self.state.now).is_none();
        let nowhere = Access {
            complete,
            ..nowhere
        };
        let grow = self.state.fields < self.settings.max_fields;
        let Some(entry) = id.and_then(|id| self.state.endpoints.get_mut(&id)) else {
            // An operation that nothing has answered, at a path where others were.
            let node = self.known_path(&host.0, method, &segments);
            return Access {
                node,
                confirmed: node.is_some_and(|id| self.state.trie.node(id).hits > 0),
                ..nowhere
            };
        };
        let before = entry.e.confirmed();
        let asset = segments.last().is_some_and(|s| segment::is_asset(s));
        entry.e.take(x, admission, asset, principal(x));
        if x.shapes.is_some() {
            let before = entry.e.schemas.len();
            entry.e.schemas.take(x, principal(x), grow);
            self.state.fields = self.state.fields + entry.e.schemas.len() - before;
        }
        let (node, confirmed) = (entry.e.node, entry.e.confirmed());
        if admission == Admission::Answered {
            self.state.trie.count(node);
        }
        self.confirmed |= confirmed && !before;
        let id = id.unwrap_or_default();
        self.dirty.insert(id);
        if confirmed {
            self.find_facts(id, changes);
        }
        Access {
            endpoint: Some(EndpointId(id)),
            node: Some(node),
            object: self.object(node, &segments),
            confirmed,
            login: x.login.is_some(),
            complete,
        }
    }

    /// Takes a flow under TLS that is over, in total order.
    pub fn apply_tls(&mut self, flow: &TlsFlow, changes: &mut Vec<Change>) {
        self.state.now = self.state.now.max(flow.end);
        let exposed = self.state.tls.apply(flow, self.settings.expiry_warning);
        changes.extend(exposed.map(Change::Exposed));
    }

    /// Bytes of HTTP in clear since the last call, and flows under TLS with their bytes that were
    /// lost on the way here: what the traffic is measured by.
    pub fn add_traffic(&mut self, clear_bytes: u64, lost: (u64, u64)) {
        self.state.tls.add_clear(clear_bytes);
        self.state.tls.add_lost(lost.0, lost.1);
    }

    /// Takes what a long-lived connection carried; it is no request, and makes no endpoint.
    fn take_session(&mut self, x: &Exchange) {
        let (Some(method), Some(path)) = (x.method.as_deref(), x.path.as_deref()) else {
            return;
        };
        let host = x.host.as_deref().map_or_else(
            || CompactHost::of(x.server, x.server_port),
            |h| CompactHost(host_name(h)),
        );
        let Some(id) = self.locate(&host.0, method, None, &segment::split(path)) else {
            return;
        };
        let grow = self.state.fields < self.settings.max_fields;
        if let Some(entry) = self.state.endpoints.get_mut(&id) {
            entry.e.sessions.take(x);
            let before = entry.e.schemas.len();
            entry.e.schemas.take_session(x, principal(x), grow);
            self.state.fields = self.state.fields + entry.e.schemas.len() - before;
            entry.e.last = entry.e.last.max(x.end);
            self.dirty.insert(id);
        }
    }

    /// Judges siblings and versions; O(1) amortised over the exchanges between two ticks.
    pub fn tick(&mut self, now: Timestamp, changes: &mut Vec<Change>) {
        self.state.now = self.state.now.max(now);
        self.completeness.tick(now);
        if self.grown > 64.max(self.state.trie.len() / 16) {
            self.fold(true, changes);
        }
        if mem::take(&mut self.confirmed) {
            self.compare_versions(changes);
        }
    }

    /// Whether the tap as a whole is known to lose packets: what it says of it, or `None`.
    pub fn set_tap_loss(&mut self, why: Option<String>) {
        self.completeness.set_tap(why);
    }

    /// The specs that own hosts and base paths from now on.
    pub fn set_specs(&mut self, specs: SpecSet, changes: &mut Vec<Change>) {
        self.specs = specs;
        let ids: Vec<u32> = self.state.endpoints.keys().copied().collect();
        for id in ids {
            self.look_up(id);
            self.dirty.insert(id);
            if self.state.endpoints[&id].e.confirmed() {
                self.find_facts(id, changes);
            }
        }
    }

    /// `GET host /path/{param}`, with the operation behind it where the path has several:
    /// `POST host /graphql query GetUser`.
    pub fn label(&self, id: EndpointId) -> Option<String> {
        let e = &self.state.endpoints.get(&id.0)?.e;
        let template = self.state.trie.template(e.node);
        Some(view::label(
            &e.method,
            &e.host,
            &template,
            e.operation.as_deref(),
        ))
    }

    /// The endpoint that this request belongs to by the inventory of now, candidates included.
    pub fn assign(
        &self,
        method: &str,
        host: &str,
        path: &str,
        operation: Option<&str>,
    ) -> Option<String> {
        let method = if method == "HEAD" { "GET" } else { method };
        let (host, segments) = (host_name(host), segment::split(path));
        let own = || self.locate(&host, method, None, &segments);
        let Some(id) = self
            .locate(&host, method, operation, &segments)
            .or_else(own)
        else {
            // The path is known by its operations alone.
            let node = self.known_path(&host, method, &segments)?;
            return Some(view::label(
                method,
                &host,
                &self.state.trie.template(node),
                None,
            ));
        };
        let e = &self.state.endpoints.get(&id)?.e;
        if e.is_static() {
            return None;
        }
        self.label(EndpointId(id))
    }

    /// An immutable view; endpoints that have not changed since the last call share their `Arc`.
    pub fn view(&mut self) -> Arc<CatalogView> {
        let mut changes = Vec::new();
        if mem::take(&mut self.confirmed) {
            self.compare_versions(&mut changes);
        }
        self.dirty.extend(self.aged());
        for id in mem::take(&mut self.dirty) {
            if let Some(view) = self.endpoint_view(id) {
                self.views.insert(id, Arc::new(view));
            }
            if let Some(entry) = self.state.endpoints.get_mut(&id) {
                entry.e.schemas.viewed();
            }
        }
        let now = self.state.now;
        let mut endpoints: Vec<Arc<EndpointView>> = self.views.values().cloned().collect();
        endpoints.extend(self.unseen(now).into_iter().map(Arc::new));
        endpoints.sort_by(|a, b| {
            (&a.host, &a.template, &a.method, &a.operation).cmp(&(
                &b.host,
                &b.template,
                &b.method,
                &b.operation,
            ))
        });
        let hosts = self.host_views(&endpoints);
        let specs = self.spec_views(&endpoints);
        let learning_until = self.state.started.map(|t| t + self.settings.learning);
        Arc::new(CatalogView {
            endpoints,
            hosts,
            specs,
            tls: self.state.tls.view(self.settings.expiry_warning),
            at: now,
            learning_until,
            evicted: self.state.evicted,
        })
    }

    /// Judges siblings by all the evidence there is: at the end of input, and now and then.
    pub fn settle(&mut self, changes: &mut Vec<Change>) {
        self.state.trie.forget_judgements();
        self.fold(false, changes);
    }

    fn fold(&mut self, early: bool, changes: &mut Vec<Change>) {
        self.grown = 0;
        // A merge brings evidence together below it; four levels at once are enough for any path.
        for _ in 0..4 {
            let mut places = Vec::new();
            for root in self.state.trie.roots() {
                self.state.trie.unjudged(root, &mut places);
            }
            let mut moved = false;
            for at in places {
                if let Some((values, why)) = self.state.trie.to_fold(at, early) {
                    let folded = self.state.trie.fold(at, &values, why);
                    self.follow(folded, changes);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// All state, for the store; `restore` reads it back.
    pub fn save(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        // Serialising to memory fails only for types that postcard cannot hold, and State is none.
        out.extend(postcard::to_stdvec(&self.state).unwrap_or_default());
        out
    }

    pub fn restore(settings: Settings, saved: &[u8]) -> Result<Self, RestoreError> {
        let fail = |why: String| RestoreError {
            what: "inventory",
            why,
        };
        let mut state: State = match saved.split_first() {
            Some((&VERSION, rest)) => {
                postcard::from_bytes(rest).map_err(|e| fail(e.to_string()))?
            }
            Some((other, _)) => return Err(fail(format!("its version {other} is not {VERSION}"))),
            None => return Err(fail("it is empty".into())),
        };
        state.tls.refresh();
        let dirty = state.endpoints.keys().copied().collect();
        Ok(Self {
            state,
            dirty,
            confirmed: true,
            ..Self::new(settings)
        })
    }

    /// The endpoint of a request, where it is known. Where a spec has the path, by the spec's
    /// template alone: a static word of it is never taken for a parameter's value.
    fn locate(
        &self,
        host: &str,
        method: &str,
        operation: Option<&str>,
        segments: &[impl AsRef<str>],
    ) -> Option<u32> {
        let slot = slot(method, operation);
        let trie = &self.state.trie;
        let root = trie.root(host)?;
        let documented = self.specs.find(host, method, segments).and_then(Result::ok);
        let node = match documented {
            Some(found) => found
                .template
                .iter()
                .try_fold(root, |at, part| match part {
                    Ok(word) => trie
                        .node(at)
                        .words
                        .get(segment::fold(word).as_ref())
                        .copied(),
                    Err(_) => trie.node(at).param,
                })?,
            None => trie.find(root, segments, &|node| node.endpoints.contains_key(&*slot))?,
        };
        trie.node(node).endpoints.get(&*slot).copied()
    }

    /// The place of a path where the method has an entry, whatever its operation.
    fn known_path(&self, host: &str, method: &str, segments: &[impl AsRef<str>]) -> Option<NodeId> {
        let trie = &self.state.trie;
        trie.find(trie.root(host)?, segments, &|node| {
            let first = node.endpoints.range(method.to_owned()..).next();
            let rest = first.and_then(|(slot, _)| slot.strip_prefix(method));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
    }

    /// A path that something answered for the first time.
    fn admit(
        &mut self,
        host: &str,
        method: &str,
        operation: Option<&str>,
        segments: &[impl AsRef<str>],
        ts: Timestamp,
        changes: &mut Vec<Change>,
    ) -> Option<u32> {
        self.make_room(changes);
        let room = self.settings.max_nodes;
        let trie = &mut self.state.trie;
        let root = trie.root_or_new(host);
        let documented = self.specs.find(host, method, segments).and_then(Result::ok);
        let node = match documented {
            // A spec's own template wins over whatever would be learnt.
            Some(found) => {
                let mut at = root;
                for part in &found.template {
                    at = match part {
                        Ok(word) => trie.insert_word(at, word, room)?,
                        Err(name) => {
                            let id = trie.param(at, Type::Text, room)?;
                            let node = trie.node_mut(id);
                            node.name = Some(name.clone());
                            node.why = format!("the spec `{}` has it so", found.spec.title);
                            id
                        }
                    };
                }
                at
            }
            None => trie.insert(root, segments, room)?,
        };
        self.grown += 1;
        let known = &trie.node(node).endpoints;
        let operation = operation.filter(|_| known.len() < MAX_OPERATIONS);
        let slot = slot(method, operation);
        if let Some(id) = known.get(&*slot) {
            return Some(*id);
        }
        let id = self.state.next;
        self.state.next += 1;
        self.state
            .trie
            .node_mut(node)
            .endpoints
            .insert(slot.clone().into_owned(), id);
        let template = self.state.trie.template(node);
        let mut e = Endpoint::new(node, method, host, ts);
        e.operation = operation.map(str::to_owned);
        self.state.endpoints.insert(
            id,
            Entry {
                key: key(&slot, host, &template),
                e,
            },
        );
        self.look_up(id);
        Some(id)
    }

    /// Past the budget the least useful hundredth goes: candidates first, then what was called
    /// longest ago.
    fn make_room(&mut self, changes: &mut Vec<Change>) {
        if self.state.endpoints.len() < self.settings.max_endpoints {
            return;
        }
        let mut order: Vec<(bool, Timestamp, u32)> = self
            .state
            .endpoints
            .iter()
            .map(|(id, n)| (n.e.confirmed(), n.e.last, *id))
            .collect();
        order.sort_unstable();
        for (_, _, id) in order
            .into_iter()
            .take(self.settings.max_endpoints / 100 + 1)
        {
            if let Some(entry) = self.state.endpoints.remove(&id) {
                let e = &entry.e;
                self.state.fields -= e.schemas.len();
                let slot = slot(&e.method, e.operation.as_deref());
                self.state.trie.remove(e.node, &slot);
                self.views.remove(&id);
                self.dirty.remove(&id);
                self.state.evicted += 1;
                changes.push(Change::Evicted(EndpointId(id)));
            }
        }
    }

    /// The trie has merged nodes; endpoints follow.
    fn follow(&mut self, folded: Folded, changes: &mut Vec<Change>) {
        for (endpoint, node) in folded.moved {
            if let Some(entry) = self.state.endpoints.get_mut(&endpoint) {
                entry.e.node = node;
            }
        }
        for (from, into) in folded.endpoints {
            let Some(gone) = self.state.endpoints.remove(&from) else {
                continue;
            };
            self.views.remove(&from);
            self.dirty.remove(&from);
            self.state.fields -= gone.e.schemas.len();
            if let Some(kept) = self.state.endpoints.get_mut(&into) {
                self.state.fields -= kept.e.schemas.len();
                kept.e.merge(&gone.e);
                self.state.fields += kept.e.schemas.len();
            }
            changes.push(Change::Merged {
                from: EndpointId(from),
                into: EndpointId(into),
            });
        }
        changes.extend(
            folded
                .nodes
                .into_iter()
                .map(|(from, into)| Change::NodeMerged { from, into }),
        );
        // Templates below the merge read otherwise now.
        self.dirty.extend(self.state.endpoints.keys());
    }

    fn object(&self, node: NodeId, segments: &[impl AsRef<str>]) -> Option<Object> {
        let mut at = node;
        for segment in segments.iter().rev() {
            let node = self.state.trie.node(at);
            if node.types != 0 {
                let text = segment.as_ref();
                return Some(Object {
                    hash: HASH.hash_one(text),
                    number: text.parse().ok(),
                });
            }
            at = node.parent?;
        }
        None
    }

    /// What the specs say of an endpoint.
    fn look_up(&mut self, id: u32) {
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
    fn find_facts(&mut self, id: u32, changes: &mut Vec<Change>) {
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
        let Some(Entry { key, e }) = self.state.endpoints.get_mut(&id) else {
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

    fn why(&self, id: u32, kind: FindingKind) -> String {
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
    fn compare_versions(&mut self, changes: &mut Vec<Change>) {
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

    fn endpoint_view(&self, id: u32) -> Option<EndpointView> {
        let Entry { key, e } = self.state.endpoints.get(&id)?;
        let template = self.state.trie.template(e.node);
        let confirmed = e.confirmed();
        let learnt = self
            .state
            .started
            .map_or(Timestamp::MAX, |t| t + self.settings.learning);
        let kind = kind(e, &template);
        let documentation = match &e.spec {
            Some(s) if s.documented => Documentation::Documented,
            _ if e.shadow && confirmed && kind != Kind::Static => Documentation::Shadow,
            _ => Documentation::Unreviewed,
        };
        let deprecated = e.deprecated_since.is_some();
        let documented = documentation == Documentation::Documented;
        let (dormant, held_back) = self.dormancy(e, confirmed && documented);
        let life = match () {
            () if !confirmed => Life::Candidate,
            () if dormant => Life::Dormant,
            () if e.first > learnt => Life::New,
            () => Life::Active,
        };
        let mut reasons = Vec::new();
        let mut reason = |status: &str, kind, since| {
            reasons.push(Reason {
                status: status.into(),
                why: self.why(id, kind),
                since,
            });
        };
        if documentation == Documentation::Shadow {
            let fact = if e.spec.is_some() {
                FindingKind::Shadow
            } else {
                FindingKind::UnknownHost
            };
            reason("shadow", fact, Some(e.first));
        }
        if deprecated {
            reason(
                "deprecated",
                FindingKind::DeprecatedInUse,
                e.deprecated_since,
            );
        }
        if e.zombie_since.is_some() {
            reason("zombie", FindingKind::Zombie, e.zombie_since);
        }
        if life == Life::New {
            reason("new", FindingKind::New, Some(e.first));
        }
        if life == Life::Dormant {
            reasons.push(Reason {
                status: "dormant".into(),
                why: "documented, and no call for the set time".into(),
                since: Some(e.last),
            });
        }
        let [latency, request_size, response_size] = e.quantiles();
        let label = view::label(&e.method, &e.host, &template, e.operation.as_deref());
        let findings = e.clear.exposures(&e.host, &label, key);
        let schema = match self.views.get(&id) {
            Some(last) if !e.schemas.has_changed() => last.schema.clone(),
            _ => e.schemas.view(),
        };
        let path_parameters = self.path_parameters(e.node, &template);
        Some(EndpointView {
            id: EndpointId(id),
            key: key.clone(),
            method: e.method.clone(),
            host: e.host.clone(),
            evidence: self.state.trie.evidence(e.node),
            template,
            kind,
            confirmed,
            documentation,
            life,
            deprecated,
            zombie: e.zombie_since.is_some(),
            reasons,
            held_back,
            first_seen: Some(e.first),
            last_seen: Some(e.last),
            requests: e.by_class.iter().sum(),
            by_class: e.by_class,
            latency,
            request_size,
            response_size,
            callers: e.callers(),
            auth: e
                .auth
                .iter()
                .map(|(scheme, n)| Auth {
                    scheme: scheme.clone(),
                    requests: *n,
                })
                .collect(),
            unpaired: e.unpaired,
            sunset: e.sunset,
            spec: e.spec.as_ref().map(|s| s.title.clone()),
            operation_id: e.spec.as_ref().and_then(|s| s.operation.clone()),
            operation: e.operation.clone(),
            operation_kind: e.operation_kind,
            graphql_depth: e.depth,
            graphql_aliases: e.aliases,
            introspection: e.introspection.is_some(),
            hourly: e.hourly(self.state.now),
            sessions: e.sessions.view(),
            findings,
            sensitive: schema.as_ref().map_or_else(Vec::new, |s| s.sensitive()),
            path_parameters,
            schema,
        })
    }

    fn path_parameters(&self, node: NodeId, template: &str) -> Vec<PathParameter> {
        let names = template.split('/');
        let names = names.filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'));
        let types = self.state.trie.parameters(node);
        let parameter = |(name, types): (&str, Vec<&str>)| PathParameter {
            name: name.to_owned(),
            types: types.into_iter().map(str::to_owned).collect(),
        };
        names.zip(types).map(parameter).collect()
    }

    /// Whether a documented endpoint is dormant, or why that is not said of one that is silent.
    fn dormancy(&self, e: &Endpoint, documented: bool) -> (bool, Option<String>) {
        let silent = self.state.now.since(e.last) >= self.settings.dormant_after;
        if !(documented && silent) {
            return (false, None);
        }
        let why = self.completeness.lossy(&e.host, self.state.now);
        (why.is_none(), why.map(|why| held_back(&why)))
    }

    /// Endpoints that have become dormant, or cannot be said to be any more: nobody called them, so
    /// nothing else makes their views stale.
    fn aged(&self) -> Vec<u32> {
        let aged = self.views.iter().filter(|(id, view)| {
            let documented = view.confirmed && view.documentation == Documentation::Documented;
            self.state.endpoints.get(id).is_some_and(|entry| {
                let (dormant, held_back) = self.dormancy(&entry.e, documented);
                dormant != (view.life == Life::Dormant) || held_back != view.held_back
            })
        });
        aged.map(|(id, _)| *id).collect()
    }

    /// Documented operations without any traffic, once that means something.
    fn unseen(&self, now: Timestamp) -> Vec<EndpointView> {
        let long_enough = self
            .state
            .started
            .is_some_and(|t| now.since(t) >= self.settings.dormant_after);
        if !long_enough {
            return Vec::new();
        }
        let seen: BTreeSet<(&str, &str)> = self
            .views
            .values()
            .filter_map(|v| Some((v.spec.as_deref()?, v.operation_id.as_deref()?)))
            .collect();
        let mut out = Vec::new();
        for spec in self.specs.specs() {
            for (method, host, template, id) in spec.listing() {
                if !seen.contains(&(spec.title.as_str(), id.as_str())) {
                    let lossy = self.completeness.lossy(&host, now);
                    let mut view = dormant(&spec.title, method, host, template, id);
                    if let Some(why) = lossy {
                        (view.life, view.held_back) = (Life::Candidate, Some(held_back(&why)));
                        view.reasons.clear();
                    }
                    out.push(view);
                }
            }
        }
        out
    }

    fn host_views(&self, endpoints: &[Arc<EndpointView>]) -> Vec<HostView> {
        let mut hosts: BTreeMap<&str, HostView> = BTreeMap::new();
        for e in endpoints {
            let host = hosts.entry(&e.host).or_insert_with(|| HostView {
                host: e.host.clone(),
                endpoints: 0,
                requests: 0,
                spec: None,
                unpaired: self.completeness.unpaired(&e.host, self.state.now),
            });
            host.endpoints += usize::from(e.confirmed);
            host.requests += e.requests;
            host.spec = host.spec.take().or_else(|| e.spec.clone());
        }
        hosts.into_values().collect()
    }

    fn spec_views(&self, endpoints: &[Arc<EndpointView>]) -> Vec<SpecView> {
        let one = |spec: &super::spec::Spec| {
            let own = || {
                endpoints
                    .iter()
                    .filter(|e| e.spec.as_deref() == Some(&spec.title) && e.confirmed)
            };
            SpecView {
                title: spec.title.clone(),
                version: spec.version.clone(),
                file: spec.file.clone(),
                scope: spec.scope(),
                operations: spec.operations,
                seen: own().filter(|e| e.operation_id.is_some()).count(),
                undocumented: own()
                    .filter(|e| e.documentation == Documentation::Shadow)
                    .count(),
            }
        };
        self.specs.specs().iter().map(one).collect()
    }
}

/// The key of an endpoint at its node: the method, and behind a space, which no method has, the
/// operation.
fn slot<'a>(method: &'a str, operation: Option<&str>) -> Cow<'a, str> {
    match operation {
        Some(operation) => Cow::Owned(format!("{method} {operation}")),
        None => Cow::Borrowed(method),
    }
}

/// The name of a host without one.
struct CompactHost(String);

impl CompactHost {
    fn of(server: IpAddr, port: u16) -> Self {
        Self(host_name(
            &std::net::SocketAddr::new(server, port).to_string(),
        ))
    }
}

fn bit(kind: FindingKind) -> u8 {
    1 << kind as u8
}

fn key(slot: &str, host: &str, template: &str) -> String {
    let digest = Sha256::digest(format!("{slot}\0{host}\0{template}"));
    digest[..8].iter().map(|b| format!("{b:02x}")).collect()
}

fn kind(e: &Endpoint, template: &str) -> Kind {
    const PROBES: [&str; 8] = [
        "/health", "/healthz", "/ready", "/readyz", "/live", "/livez", "/ping", "/metrics",
    ];
    match () {
        () if e.is_static() => Kind::Static,
        () if PROBES.contains(&template) => Kind::Infrastructure,
        () if e.answered > 0 && e.html * 10 >= e.answered * 9 => Kind::Web,
        () => Kind::Api,
    }
}

/// Whoever calls: the identity, or the address (of IPv6 the /64, since hosts change the rest).
fn principal(x: &Exchange) -> u64 {
    match (&x.identity, x.client) {
        (Some(identity), _) => HASH.hash_one(identity.as_bytes()),
        (None, IpAddr::V4(v4)) => HASH.hash_one(v4.to_bits()),
        (None, IpAddr::V6(v6)) => HASH.hash_one((v6.to_bits() >> 64) as u64),
    }
}

/// Said in place of a claim.
fn held_back(why: &str) -> String {
    format!("not said to be dormant: its calls may have been missed, since {why}")
}

fn dormant(spec: &str, method: String, host: String, template: String, id: String) -> EndpointView {
    let why = format!("`{spec}` documents it, and it was never called");
    EndpointView {
        id: EndpointId(u32::MAX),
        key: key(&method, &host, &template),
        method,
        host,
        template,
        kind: Kind::Api,
        confirmed: false,
        documentation: Documentation::Documented,
        life: Life::Dormant,
        deprecated: false,
        zombie: false,
        reasons: vec![Reason {
            status: "dormant".into(),
            why,
            since: None,
        }],
        held_back: None,
        first_seen: None,
        last_seen: None,
        requests: 0,
        by_class: [0; 6],
        latency: None,
        request_size: None,
        response_size: None,
        callers: 0,
        auth: Vec::new(),
        unpaired: 0,
        sunset: None,
        spec: Some(spec.to_owned()),
        operation_id: Some(id),
        operation: None,
        operation_kind: None,
        graphql_depth: None,
        graphql_aliases: None,
        introspection: false,
        evidence: Vec::new(),
        hourly: Vec::new(),
        sessions: Vec::new(),
        findings: Vec::new(),
        sensitive: Vec::new(),
        path_parameters: Vec::new(),
        schema: None,
    }
}
