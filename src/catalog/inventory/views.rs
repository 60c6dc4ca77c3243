//! What readers see, made from the state: only what changed is made again.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::listing::Covered;
use super::{Catalog, EndpointId, Entry, key};
use crate::catalog::endpoint::Endpoint;
use crate::catalog::schema::PathParameter;
use crate::catalog::trie::Found;
use crate::catalog::view::{
    self, Auth, CatalogView, Documentation, EndpointView, HostView, Kind, Life, Reason, SpecView,
};
use crate::catalog::words::Words;
use crate::catalog::{NodeId, risk, spec, trend};
use crate::time::Timestamp;

/// How often, in packet time, endpoints are looked at that nobody called. What is said of them
/// takes days to become true.
const SILENCE: Duration = Duration::from_secs(60);

/// Views made anew at a time because the day has changed; a large inventory is through in a minute.
const AGED_AT_ONCE: usize = 4_096;

impl Catalog {
    /// An immutable view; endpoints that have not changed since the last call share their `Arc`.
    pub fn view(&mut self) -> Arc<CatalogView> {
        if mem::take(&mut self.confirmed) {
            let mut changes = mem::take(&mut self.late);
            self.compare_versions(&mut changes);
            self.late = changes;
        }
        self.note_stale();
        for id in mem::take(&mut self.dirty) {
            if let Some(view) = self.endpoint_view(id) {
                let documents = view.operation_id.clone();
                let last = self.views.insert(view);
                self.look_again |= last.is_none_or(|last| last.operation_id != documents);
            }
            if let Some(entry) = self.state.endpoints.get_mut(&id) {
                entry.e.schemas.viewed();
            }
        }
        let now = self.state.now;
        if mem::take(&mut self.look_again) {
            self.unseen = self.unseen(now).into_iter().map(Arc::new).collect();
        }
        let endpoints = self.views.with(&self.unseen);
        let hosts = self.host_views();
        let specs = self.spec_views();
        let learning_until = self.state.started.map(|t| t + self.settings.learning);
        Arc::new(CatalogView {
            endpoints,
            hosts,
            specs,
            documents: Arc::clone(&self.specs),
            tls: self.state.tls.view(self.settings.expiry_warning),
            at: now,
            learning_until,
            evicted: self.state.evicted,
            history_bytes: self.settings.max_history.saturating_sub(self.history_room) as u64,
            histories_cut: self.state.histories_cut,
            started: self.state.started,
            pulse: self.state.pulse.view(),
            ..CatalogView::default()
        })
    }

    /// Adds to `dirty` what is stale though nobody called it.
    fn note_stale(&mut self) {
        let now = self.state.now;
        self.look_again |= now.since(self.looked) >= SILENCE;
        if self.look_again {
            self.looked = now;
            self.dirty.extend(self.aged());
        }
        if mem::take(&mut self.renamed) {
            self.dirty.extend(self.renamed());
        }
        // Counts by the day change with it.
        let today = trend::day(now);
        if self.day.replace(today).is_some_and(|day| day != today) {
            self.aged = Some(0);
        }
        if let Some(first) = self.aged {
            let mut old = self.state.endpoints.range(first..).map(|(id, _)| *id);
            self.dirty.extend(old.by_ref().take(AGED_AT_ONCE));
            self.aged = old.next();
        }
        let versions = self.dirty.iter().flat_map(|id| self.versions.of(*id));
        let versions: Vec<u32> = versions.collect();
        self.dirty.extend(versions);
    }

    /// Endpoints whose place reads otherwise than in their view: a fold has changed some of all.
    fn renamed(&self) -> Vec<u32> {
        let renamed = self.views.iter().filter(|view| {
            let entry = self.state.endpoints.get(&view.id.0);
            entry.is_some_and(|Entry { e, .. }| {
                let template = self.state.trie.template(e.node);
                e.host != view.host
                    || template != view.template
                    || self.state.trie.evidence(e.node) != view.evidence
                    || !alike(
                        &self.path_parameters(e.node, &template),
                        &view.path_parameters,
                    )
            })
        });
        renamed.map(|view| view.id.0).collect()
    }

    fn endpoint_view(&self, id: u32) -> Option<EndpointView> {
        let entry = self.state.endpoints.get(&id)?;
        let Entry { key, aliases, e } = entry;
        let template = self.state.trie.template(e.node);
        let confirmed = e.confirmed();
        let kind = kind(e, &template);
        let documentation = self.documentation(e);
        let deprecated = e.deprecated_since.is_some();
        let documented = documentation == Documentation::Documented;
        let (dormant, held_back) = self.dormancy(e, confirmed && documented);
        let life = self.life(e, dormant);
        let reasons = self.reasons(id, documentation, life);
        let [last_week, week_before] = e.days.weeks(self.state.now);
        let [latency, request_size, response_size] = e.quantiles();
        let label = view::label(&e.method, &e.host, &template, e.operation.as_deref());
        let mut findings = e.clear.exposures(&e.host, &label, key);
        let learnt = e.first + self.settings.learning;
        findings.extend(e.reach.exposures(learnt, &e.host, &label, key));
        let reach = e.reach.view(learnt);
        findings.extend(self.security(entry));
        let schema = match self.views.get(id) {
            Some(last) if !e.schemas.has_changed() => last.schema.clone(),
            _ => e.schemas.view(),
        };
        let mut path_parameters = self.path_parameters(e.node, &template);
        for parameter in &mut path_parameters {
            parameter.made_of = e.parameters.of_path(parameter.part);
        }
        let unsaid = Words::default();
        let words = e.words.as_deref().unwrap_or(&unsaid);
        let mut view = EndpointView {
            id: EndpointId(id),
            key: key.clone(),
            aliases: aliases.iter().cloned().collect(),
            method: e.method.clone(),
            host: e.host.clone(),
            host_example: Some(self.state.groups.spec_host(&e.host))
                .filter(|example| **example != e.host)
                .map(str::to_owned),
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
            confirmed_at: e.confirmed_at,
            last_seen: Some(e.last),
            requests: e.by_class.iter().sum(),
            by_class: e.by_class,
            statuses: e.statuses.iter().map(|(s, n)| (*s, *n)).collect(),
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
            auth_verdict: e.authentication.verdict(),
            auth_schemes: e.authentication.schemes(),
            jwt: e.authentication.tokens.view(),
            leaks: e.leaking.view(),
            unpaired: e.unpaired,
            sunset: e.sunset_at(),
            last_week,
            week_before,
            accepted: e.accepted.clone(),
            tags: words.tags.iter().cloned().collect(),
            owner: words.owner().map(str::to_owned),
            note: words.note().map(str::to_owned),
            retirement: self.retirement(e),
            versions: self.version_keys(id),
            version_share: self.version_share(id, e),
            events: e.events.view(),
            spec_id: e.spec.as_ref().map(|s| s.id.clone()),
            spec: e.spec.as_ref().map(|s| s.title.clone()),
            operation_id: e.spec.as_ref().and_then(|s| s.operation.clone()),
            operation: e.operation.clone(),
            operation_kind: e.operation_kind,
            graphql_depth: e.depth,
            graphql_aliases: e.aliases,
            introspection: e.introspection.is_some(),
            hourly: e.history.day(self.state.now),
            history: e.history.clone(),
            sessions: e.sessions.view(),
            findings,
            risk: 0,
            risk_reasons: Vec::new(),
            exposure: reach.exposure,
            zones: reach.zones,
            top_callers: reach.callers,
            programs: reach.programs,
            edges: reach.edges,
            drift: e.drift.view(),
            sensitive: schema.as_ref().map_or_else(Vec::new, |s| s.sensitive()),
            path_parameters,
            schema,
        };
        (view.risk, view.risk_reasons) = self.risk(e, &view);
        // Each has one or two, and there are many views.
        view.findings.shrink_to_fit();
        view.reasons.shrink_to_fit();
        view.risk_reasons.shrink_to_fit();
        view.path_parameters.shrink_to_fit();
        Some(view)
    }

    fn path_parameters(&self, node: NodeId, template: &str) -> Vec<PathParameter> {
        let parts = template.split('/').filter(|s| !s.is_empty()).enumerate();
        let names = parts.filter_map(|(at, s)| Some((at, s.strip_prefix('{')?.strip_suffix('}')?)));
        // `{base}...{head}` of a spec is one word.
        let names = names.filter(|(_, name)| !name.contains('{'));
        let found = self.state.trie.parameters(node);
        let parameter = |((part, name), found): ((usize, &str), Found<'_>)| PathParameter {
            name: name.to_owned(),
            types: found.types.into_iter().map(str::to_owned).collect(),
            part,
            why: found.why.to_owned(),
            routes: found.routes.into_iter().map(str::to_owned).collect(),
            made_of: None,
        };
        names.zip(found).map(parameter).collect()
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
        let aged = self.views.iter().filter(|view| {
            let documented = view.confirmed && view.documentation == Documentation::Documented;
            self.state.endpoints.get(&view.id.0).is_some_and(|entry| {
                let (dormant, held_back) = self.dormancy(&entry.e, documented);
                dormant != (view.life == Life::Dormant) || held_back != view.held_back
            })
        });
        aged.map(|view| view.id.0).collect()
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
            .iter()
            .filter_map(|v| Some((v.spec_id.as_deref()?, v.operation_id.as_deref()?)))
            .collect();
        let hosts: BTreeSet<&str> = self.views.iter().map(|v| v.host.as_str()).collect();
        let mut out = Vec::new();
        for spec in self.specs.specs() {
            let own = hosts.iter().filter(|h| spec.is_about(h));
            let any_lossy = own.copied().find_map(|h| self.completeness.lossy(h, now));
            for operation in spec.listing() {
                // What another document holds is called there, if it is.
                let held = || self.specs.holder(spec, operation).is_some();
                if !seen.contains(&(&*spec.id, &*operation.id)) && !held() {
                    // Of many hosts, a call may have been missed at one.
                    let any = || any_lossy.clone().filter(|_| operation.host.contains('*'));
                    let lossy = self.completeness.lossy(&operation.host, now).or_else(any);
                    let mut view = dormant(spec, operation);
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

    fn host_views(&mut self) -> Vec<HostView> {
        let mut hosts = self.views.hosts(&self.unseen);
        for host in &mut hosts {
            host.unpaired = self.completeness.unpaired(&host.host, self.state.now);
            host.findings = self.state.hosts.exposures(&host.host);
        }
        hosts
    }

    fn spec_views(&self) -> Vec<SpecView> {
        let one = |spec: &spec::Spec| {
            let covered = self.views.covered(&spec.id);
            SpecView {
                id: spec.id.clone(),
                title: spec.title.clone(),
                version: spec.version.clone(),
                file: spec.file.clone(),
                format: spec.format.clone(),
                scope: spec.scope(),
                operations: spec.operations,
                seen: covered.map_or(0, Covered::seen),
                undocumented: covered.map_or(0, |c| c.undocumented),
                drift: covered.map_or(0, |c| c.drift),
                notes: spec.notes.clone(),
            }
        };
        self.specs.specs().iter().map(one).collect()
    }
}

/// Whether templates read alike; what values are made of is looked at with the endpoint itself.
fn alike(now: &[PathParameter], shown: &[PathParameter]) -> bool {
    let same = |(a, b): (&PathParameter, &PathParameter)| {
        (&a.name, &a.types, &a.why, &a.routes) == (&b.name, &b.types, &b.why, &b.routes)
    };
    now.len() == shown.len() && now.iter().zip(shown).all(same)
}

pub(super) fn kind(e: &Endpoint, template: &str) -> Kind {
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

/// Said in place of a claim.
fn held_back(why: &str) -> String {
    format!("not said to be dormant: its calls may have been missed, since {why}")
}

/// A documented operation that nobody calls.
fn dormant(spec: &spec::Spec, operation: &spec::Listed) -> EndpointView {
    let spec::Listed {
        method,
        host,
        template,
        id,
        ..
    } = operation;
    let title = &spec.title;
    let (risk, risk_reasons) = risk::none("it was never called");
    EndpointView {
        id: EndpointId(u32::MAX),
        key: key(method, host, template),
        method: (*method).into(),
        host: (**host).into(),
        template: (**template).into(),
        documentation: Documentation::Documented,
        life: Life::Dormant,
        reasons: vec![Reason {
            status: "dormant".into(),
            why: format!("`{title}` documents it, and it was never called"),
            since: None,
        }],
        spec_id: Some(spec.id.clone()),
        spec: Some(title.clone()),
        operation_id: Some((**id).into()),
        risk,
        risk_reasons,
        ..EndpointView::default()
    }
}
