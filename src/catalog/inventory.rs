//! The catalogue itself: exchanges in, endpoints, accesses and changes out.

mod asked;
mod evidence;
mod facts;
mod foresee;
mod history;
mod hosts;
mod listing;
mod places;
mod reach;
mod regroup;
mod respec;
mod review;
mod security;
mod status;
mod versions;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::completeness::Completeness;
use super::decision::Decisions;
use super::drift::Contracts;
use super::edges::Class;
use super::endpoint::{Endpoint, SpecRef};
use super::groups::Groups;
use super::hosts::Hosts;
use super::oddity::{Oddities, Oddity, OddityKind, Whence, climbs};
use super::pins::Pins;
use super::program::Families;
use super::pulse::Pulse;
use super::segment;
use super::soft::SoftAnswers;
use super::spec::{SpecSet, host_name};
use super::tls::TlsHosts;
use super::trie::Trie;
use super::view::EndpointView;
use super::{Access, Admission, Change, EndpointId, RestoreError, Settings, view};
use crate::exchange::{Exchange, TlsFlow};
use crate::time::Timestamp;
use asked::Asked;
use listing::Views;
use places::{object, path_values, slot};
use versions::Versions;

pub use foresee::{Foresight, Move};

/// Of the saved form.
const VERSION: u8 = 8;

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
    /// What people decided of segments.
    pins: Pins,
    hosts: Hosts,
    /// Fields of all schemas.
    fields: usize,
    /// Series that the budget of histories put out.
    histories_cut: u64,
    soft: SoftAnswers,
    groups: Groups,
    pulse: Pulse,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    key: String,
    /// Keys that it had, or that those had which are part of it.
    aliases: BTreeSet<String>,
    /// Boxed: a half of the tree's room is empty.
    e: Box<Endpoint>,
}

/// The inventory.
pub struct Catalog {
    settings: Settings,
    specs: Arc<SpecSet>,
    state: State,
    views: Views,
    /// Documented operations that were never called, as they were last looked for.
    unseen: Vec<Arc<EndpointView>>,
    /// When silence was last looked at, and whether it must be again whatever the time.
    looked: Timestamp,
    look_again: bool,
    /// Templates may read otherwise than in the views.
    renamed: bool,
    /// What was found outside of a tick.
    late: Vec<Change>,
    completeness: Completeness,
    /// Bytes by which histories may grow before they are looked at.
    history_room: usize,
    contracts: Contracts,
    /// Deviations of all endpoints.
    drifts: usize,
    /// Endpoints whose view is stale.
    dirty: BTreeSet<u32>,
    /// Answered paths that were new since siblings were last judged.
    grown: usize,
    /// The hosts of them.
    grown_at: BTreeSet<String>,
    /// An endpoint was confirmed since versions were last compared.
    confirmed: bool,
    /// What people decided; the journal brings it back.
    decisions: Decisions,
    versions: Versions,
    /// The day of the views.
    day: Option<i64>,
    /// From which endpoint on the views are of an earlier day.
    aged: Option<u32>,
    /// The host that was judged last, while all of them are.
    settling: Option<String>,
    /// Hosts when tenants were last looked for.
    hosts_judged: usize,
    programs: Families,
}

impl Catalog {
    pub fn new(settings: Settings) -> Self {
        Self {
            history_room: settings.max_history,
            settings,
            specs: Arc::default(),
            state: State {
                now: Timestamp::MIN,
                ..State::default()
            },
            views: Views::default(),
            unseen: Vec::new(),
            looked: Timestamp::MIN,
            look_again: true,
            renamed: false,
            late: Vec::new(),
            completeness: Completeness::default(),
            contracts: Contracts::default(),
            drifts: 0,
            dirty: BTreeSet::new(),
            grown: 0,
            grown_at: BTreeSet::new(),
            confirmed: false,
            decisions: Decisions::default(),
            versions: Versions::default(),
            day: None,
            aged: None,
            settling: None,
            hosts_judged: 0,
            programs: Families::default(),
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
            oddities: Oddities::default(),
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
        self.state.pulse.take(x);
        let host = self.host_of(x);
        let segments = segment::split(path);
        // HEAD asks what GET would answer; it is no endpoint of its own.
        let method = if method == "HEAD" { "GET" } else { method };
        let evidence = self.weigh(x, &host);
        let admission = evidence.admission;
        let operation = x.operation.as_ref().and_then(|o| o.name.as_deref());
        let specs = Arc::clone(&self.specs);
        let asked = Asked::of(&specs, &self.state.groups, &host, method, &segments);
        let known = self.locate(&asked, operation);
        let mut oddities = Oddities::default();
        if climbs(path) {
            let value = HASH.hash_one(path) as u32;
            oddities.add(Oddity::new(OddityKind::Path, Whence::Path, "", value));
        }
        let is_new = known.is_none();
        if is_new {
            oddities = self.misfit(oddities, x, (&host, method, operation), &segments);
        }
        let mut id = match known {
            Some(id) => Some(id),
            None if self.is_admitted(&evidence, x, &host, &segments) => {
                self.admit(&asked, operation, x.ts, changes)
            }
            None => operation.and_then(|_| self.locate(&asked, None)),
        };
        if id.is_some() || self.state.trie.root(&host).is_some() {
            self.completeness.take(&host, x, self.state.now);
        }
        let known = id.and_then(|id| self.state.endpoints.get(&id));
        let before = known.is_some_and(|entry| entry.e.confirmed());
        self.learn(&evidence, id, x, &host, &segments, changes);
        let complete = self.completeness.lossy(&host, self.state.now).is_none();
        let nowhere = Access {
            complete,
            oddities,
            ..nowhere
        };
        let grow = self.state.fields < self.settings.max_fields;
        if let Some(id) = id {
            let operation = self
                .state
                .endpoints
                .get(&id)
                .and_then(|n| n.e.operation.clone());
            let slot = slot(method, operation.as_deref());
            self.note(&asked, &slot, x, admission, id);
        }
        if is_new
            && let Some(new) = id
            && self.recall_pins(&host, new, &segments, changes)
        {
            id = self.locate(&asked, operation);
        }
        let Some(entry) = id.and_then(|id| self.state.endpoints.get_mut(&id)) else {
            // An operation that nothing has answered, at a path where others were.
            let node = self.known_path(&asked);
            return Access {
                node,
                confirmed: node.is_some_and(|id| self.state.trie.node(id).hits > 0),
                ..nowhere
            };
        };
        let asset = segments.last().is_some_and(|s| segment::is_asset(s));
        let history = entry.e.history.bytes();
        entry.e.take(x, admission, asset, principal(x));
        let zone = self.settings.zones.of(x.client);
        let answered = admission == Admission::Answered;
        let object = object(&self.state.trie, entry.e.node, &asked);
        let succeeded = answered && super::auth::succeeded(x);
        let class = succeeded.then(|| {
            let program = self.programs.of(x.user_agent.as_ref());
            Class::of(x, zone, program)
        });
        entry.e.reach.take(x, zone, object, class);
        let (host_facts, settings) = (&mut self.state.hosts, &self.settings);
        host_facts.take(&host, x, admission, settings.max_endpoints);
        if succeeded {
            let max_life = settings.jwt_max_life.as_secs();
            entry.e.authentication.tokens.take(x, max_life);
        }
        let grown = entry.e.history.bytes().saturating_sub(history);
        let before_fields = entry.e.fields();
        if x.shapes.is_some() {
            entry.e.schemas.take(x, principal(x), grow);
        }
        let values = path_values(&self.state.trie, entry.e.node, &segments);
        let found = entry.e.parameters.take(x, values, principal(x), grow);
        self.state.fields = self.state.fields + entry.e.fields() - before_fields;
        let id = id.unwrap_or_default();
        let oddities = match is_new {
            true => oddities,
            false => oddities.and(found, EndpointId(id)).or_strange(x, &segments),
        };
        let (node, confirmed) = (entry.e.node, entry.e.confirmed());
        if answered {
            self.state.trie.count(node);
        }
        self.take_drift(id, x);
        self.history_grew(grown);
        self.versions.called(id);
        if confirmed && !before {
            self.confirmed = true;
            self.versions.news.push(id);
        }
        self.dirty.insert(id);
        if confirmed {
            self.find_facts(id, changes);
        }
        Access {
            endpoint: Some(EndpointId(id)),
            node: Some(node),
            object,
            confirmed,
            login: x.login.is_some(),
            complete,
            oddities,
        }
    }

    /// Takes a flow under TLS that is over, in total order.
    pub fn apply_tls(&mut self, flow: &TlsFlow, changes: &mut Vec<Change>) {
        self.state.now = self.state.now.max(flow.end);
        let exposed = self.state.tls.apply(flow, self.settings.expiry_warning);
        if let Some(exposed) = exposed {
            self.host_exposed(flow);
            changes.push(Change::Exposed(exposed));
        }
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
        let host = self.host_of(x);
        let segments = segment::split(path);
        let asked = Asked::of(&self.specs, &self.state.groups, &host, method, &segments);
        let Some(id) = self.locate(&asked, None) else {
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
            self.judge_early(changes);
        }
        changes.append(&mut self.late);
        if mem::take(&mut self.confirmed) {
            self.compare_versions(changes);
            self.group_hosts(changes);
        }
    }

    /// Whether the tap as a whole is known to lose packets: what it says of it, or `None`.
    pub fn set_tap_loss(&mut self, why: Option<String>) {
        self.look_again |= self.completeness.set_tap(why);
    }

    /// The specs that own hosts and base paths from now on.
    pub fn set_specs(&mut self, specs: SpecSet, changes: &mut Vec<Change>) {
        self.specs = Arc::new(specs);
        self.look_again = true;
        self.contracts = Contracts::default();
        let all = self.state.endpoints.iter();
        let specs = all.filter_map(|(id, entry)| Some((*id, entry.e.spec.clone()?)));
        let had: BTreeMap<u32, SpecRef> = specs.filter(|(_, spec)| spec.documented).collect();
        self.respec(changes);
        let ids: Vec<u32> = self.state.endpoints.keys().copied().collect();
        for id in ids {
            self.look_up(id);
            self.look_for_drop(id, had.get(&id));
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

    /// What URLs name it by.
    pub fn key(&self, id: EndpointId) -> Option<&str> {
        Some(&self.state.endpoints.get(&id.0)?.key)
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
        let (host, segments) = (self.group_of(host_name(host)), segment::split(path));
        let asked = Asked::of(&self.specs, &self.state.groups, &host, method, &segments);
        let own = || self.locate(&asked, None);
        let Some(id) = self.locate(&asked, operation).or_else(own) else {
            // The path is known by its operations alone.
            let node = self.known_path(&asked)?;
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

    /// Nodes of the path tries with their evidence, and endpoints: what the budgets are of.
    pub fn sizes(&self) -> (usize, usize) {
        (self.state.trie.len(), self.state.endpoints.len())
    }

    /// Endpoints kept, candidates included; at most; put out by the budget so far.
    pub fn endpoints(&self) -> (usize, usize, u64) {
        let state = &self.state;
        (
            state.endpoints.len(),
            self.settings.max_endpoints,
            state.evicted,
        )
    }

    /// Fields of all schemas, and nodes of the path tries; each with what there is at most.
    pub fn kept(&self) -> [(usize, usize); 2] {
        [
            (self.state.fields, self.settings.max_fields),
            (self.state.trie.len(), self.settings.max_nodes),
        ]
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
        let drifts = state.endpoints.values().map(|n| n.e.drift.len()).sum();
        let mut restored = Self {
            state,
            dirty,
            drifts,
            confirmed: true,
            ..Self::new(settings)
        };
        restored.versions.stale = true;
        restored.bound_histories();
        Ok(restored)
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
        let room = (self.settings.max_endpoints / 100).min(order.len() - 1);
        // Only those that go are put in order.
        let (going, last, _) = order.select_nth_unstable(room);
        going.sort_unstable();
        let going: Vec<u32> = going.iter().chain([&*last]).map(|(_, _, id)| *id).collect();
        for id in going {
            self.remove(id, changes);
            self.state.evicted += 1;
        }
        self.forget_evidence();
    }

    /// What was seen of endpoints that are gone is no evidence.
    fn forget_evidence(&mut self) {
        let endpoints = &self.state.endpoints;
        let evidence = &mut self.state.trie.evidence;
        evidence.retain(&|id| endpoints.contains_key(&id));
    }

    fn remove(&mut self, id: u32, changes: &mut Vec<Change>) {
        if let Some(entry) = self.state.endpoints.remove(&id) {
            let e = &entry.e;
            self.state.fields -= e.fields();
            self.drifts -= e.drift.len();
            let slot = slot(&e.method, e.operation.as_deref());
            self.state.trie.remove(e.node, &slot);
            self.views.remove(&id);
            self.dirty.remove(&id);
            self.look_again = true;
            self.versions.stale = true;
            changes.push(Change::Evicted(EndpointId(id)));
        }
    }
}

/// By the final template, whatever its parameters are called.
fn key(slot: &str, host: &str, template: &str) -> String {
    let template = super::pins::normal(template);
    let digest = Sha256::digest(format!("{slot}\0{host}\0{template}"));
    digest[..8].iter().map(|b| format!("{b:02x}")).collect()
}

/// Whoever calls: the identity, or the address (of IPv6 the /64, since hosts change the rest).
fn principal(x: &Exchange) -> u64 {
    match (&x.identity, x.client) {
        (Some(identity), _) => HASH.hash_one(identity.as_bytes()),
        (None, IpAddr::V4(v4)) => HASH.hash_one(v4.to_bits()),
        (None, IpAddr::V6(v6)) => HASH.hash_one((v6.to_bits() >> 64) as u64),
    }
}
