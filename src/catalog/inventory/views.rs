//! What readers see, made from the state: only what changed is made again.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use super::{Catalog, EndpointId, Entry, key};
use crate::catalog::endpoint::Endpoint;
use crate::catalog::schema::PathParameter;
use crate::catalog::view::{
    self, Auth, CatalogView, Documentation, EndpointView, FindingKind, HostView, Kind, Life,
    Reason, SpecView,
};
use crate::catalog::{NodeId, spec};
use crate::time::Timestamp;

impl Catalog {
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

    fn endpoint_view(&self, id: u32) -> Option<EndpointView> {
        let Entry { key, aliases, e } = self.state.endpoints.get(&id)?;
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
            aliases: aliases.iter().cloned().collect(),
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
        let one = |spec: &spec::Spec| {
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
fn dormant(spec: &str, method: String, host: String, template: String, id: String) -> EndpointView {
    EndpointView {
        id: EndpointId(u32::MAX),
        key: key(&method, &host, &template),
        method,
        host,
        template,
        documentation: Documentation::Documented,
        life: Life::Dormant,
        reasons: vec![Reason {
            status: "dormant".into(),
            why: format!("`{spec}` documents it, and it was never called"),
            since: None,
        }],
        spec: Some(spec.to_owned()),
        operation_id: Some(id),
        ..EndpointView::default()
    }
}
