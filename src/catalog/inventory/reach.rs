//! Callers and risk, from the state to findings and views.

use super::{Catalog, Change, EndpointId, Entry};
use crate::catalog::endpoint::Endpoint;
use crate::catalog::risk::{self, Inputs, RiskReason};
use crate::catalog::spec::host_name;
use crate::catalog::view::{Documentation, EndpointView, Finding, FindingKind};
use crate::catalog::zones::Zone;
use crate::exchange::TlsFlow;

impl Catalog {
    /// New classes of callers, and callers from a wider zone, are told once each.
    pub(super) fn find_callers(&mut self, id: u32, changes: &mut Vec<Change>) {
        let (now, learning) = (self.state.now, self.settings.learning);
        let Some(Entry { e, .. }) = self.state.endpoints.get_mut(&id) else {
            return;
        };
        let Some(news) = e.reach.news(e.first, learning) else {
            return;
        };
        let subject = self.label(EndpointId(id)).unwrap_or_default();
        let finding = |kind, since, why| {
            Change::Found(Finding {
                kind,
                endpoint: Some(EndpointId(id)),
                subject: subject.clone(),
                at: now,
                since,
                why,
            })
        };
        for (class, since) in news.classes {
            let why = format!("new caller: {class}");
            changes.push(finding(FindingKind::NewCaller, since, why));
        }
        if let Some((zone, since, before)) = news.wider {
            let why = format!(
                "{zone} callers are answered; in its learning time only {before} ones were"
            );
            changes.push(finding(FindingKind::WiderExposure, since, why));
        }
    }

    /// Something came to light of a host with TLS: its endpoints weigh otherwise now.
    pub(super) fn host_exposed(&mut self, flow: &TlsFlow) {
        let Some(name) = flow.server_name.as_deref() else {
            return;
        };
        let with_port = format!("{name}:{}", flow.server_port);
        let hosts = [host_name(name), host_name(&with_port)];
        if hosts
            .iter()
            .all(|host| self.state.trie.root(host).is_none())
        {
            return;
        }
        let there = self.state.endpoints.iter();
        let there = there.filter(|(_, entry)| hosts.contains(&entry.e.host));
        self.dirty.extend(there.map(|(id, _)| *id));
    }

    /// The risk of an endpoint whose view is complete but for it.
    pub(super) fn risk(&self, e: &Endpoint, view: &EndpointView) -> (u8, Vec<RiskReason>) {
        let why = |status: &str| {
            let reason = view.reasons.iter().find(|r| r.status == status);
            reason.map(|r| r.why.as_str())
        };
        let warning = self.settings.expiry_warning;
        let mut exposures = self.state.tls.findings(&e.host, warning);
        exposures.extend(view.findings.iter().cloned());
        let external = view.zones.iter().find(|z| z.zone == Zone::External);
        let known = Inputs {
            kind: view.kind,
            confirmed: view.confirmed,
            answered: e.answered,
            login: e.authentication.is_login(),
            sensitive: &view.sensitive,
            exposure: view.exposure,
            external: external.map_or(0, |z| z.answered),
            numbered: e.reach.numbered(),
            shadow: why("shadow").filter(|_| view.documentation == Documentation::Shadow),
            zombie: why("zombie"),
            deprecated: why("deprecated"),
            exposures: &exposures,
            drift: 0,
        };
        risk::risk(&known, &self.settings.risk)
    }
}
