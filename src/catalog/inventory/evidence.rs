//! Which exchanges are evidence for an endpoint, and what happens once a host's or server's soft
//! answer is known: what rested on it alone is withdrawn.

use std::collections::{BTreeMap, BTreeSet};

use super::{Catalog, Change};
use crate::catalog::Admission;
use crate::catalog::soft::{self, Scope, Signature};
use crate::exchange::Exchange;

/// What one exchange says of the place that it asked.
pub(super) struct Evidence {
    pub(super) admission: Admission,
    signature: Option<Signature>,
    /// 401, 403, 422 or 304: says something only beside another answer.
    guarded: bool,
    counts: bool,
}

impl Catalog {
    /// Weighs an exchange. An answer that is the host's soft one, or the server's to any Host, is as
    /// good as none.
    pub(super) fn weigh(&self, x: &Exchange, host: &str) -> Evidence {
        let mut admission = Admission::of(x);
        let guarded = matches!(x.status, Some(304 | 401 | 403 | 422));
        // HEAD asks for what GET would answer; it shows no content.
        let asks = !matches!(x.method.as_deref(), Some("HEAD" | "OPTIONS"));
        let told = admission == Admission::Answered || guarded;
        let signature = Signature::of(x).filter(|_| told);
        let soft = signature.is_some_and(|signature| {
            let soft = &self.state.soft;
            let server = || Scope::server(x.server, x.server_port);
            soft.is_soft(Scope::host(host), &signature)
                || (self.state.trie.root(host).is_none()
                    && server().is_some_and(|server| soft.is_soft(server, &signature)))
        });
        if soft {
            admission = Admission::Refused;
        }
        Evidence {
            admission,
            signature,
            guarded,
            counts: told && asks && !soft,
        }
    }

    /// Whether a refusal may make an endpoint: another method of this path was answered.
    pub(super) fn answers_beside(&self, host: &str, segments: &[impl AsRef<str>]) -> bool {
        let trie = &self.state.trie;
        let answered = |id: &u32| {
            let entry = self.state.endpoints.get(id);
            entry.is_some_and(|entry| entry.e.answered > 0)
        };
        trie.root(host).is_some_and(|root| {
            let found = trie.find(root, segments, &|node| {
                node.endpoints.values().any(answered)
            });
            found.is_some()
        })
    }

    /// Adds the evidence to the endpoint's, where it is one, and to what is known of soft answers.
    pub(super) fn learn(
        &mut self,
        evidence: &Evidence,
        id: Option<u32>,
        x: &Exchange,
        host: &str,
        segments: &[impl AsRef<str>],
        changes: &mut Vec<Change>,
    ) {
        if !evidence.counts {
            if evidence.admission == Admission::Nothing && x.status == Some(404) {
                self.state.soft.miss(Scope::host(host), segments);
            }
            return;
        }
        if let Some(entry) = id.and_then(|id| self.state.endpoints.get_mut(&id)) {
            let node = self.state.trie.node(entry.e.node);
            entry.e.answers.beside |= evidence.guarded && node.endpoints.len() > 1;
            entry
                .e
                .answers
                .take(evidence.signature, evidence.guarded, x.ts);
            if entry.e.answers.is_varied() {
                return;
            }
        }
        let Some(signature) = evidence
            .signature
            .filter(|_| x.method.as_deref() == Some("GET"))
        else {
            return;
        };
        let html = x.content_type.as_deref() == Some("text/html");
        let word = soft::word(segments);
        let of_host = Scope::host(host);
        let soft = &mut self.state.soft;
        for found in soft.take(of_host, word, &signature, html, x.ts) {
            self.withdraw(host, found, changes);
        }
        if let Some(server) = Scope::server(x.server, x.server_port).filter(|_| self.is_fresh(host))
        {
            let (host, soft) = (soft::host_word(host), &mut self.state.soft);
            for found in soft.take(server, host, &signature, html, x.ts) {
                self.withdraw_hosts(found, changes);
            }
        }
    }

    /// Next to nothing was answered under this name so far.
    fn is_fresh(&self, host: &str) -> bool {
        let root = self.state.trie.root(host);
        root.is_none_or(|root| self.state.trie.node(root).hits <= 4)
    }

    /// What a host's soft answer stood for was never there.
    fn withdraw(&mut self, host: &str, soft: u64, changes: &mut Vec<Change>) {
        // What is left of an endpoint may not confirm it any more.
        self.versions.stale = true;
        let mut empty = Vec::new();
        for (id, entry) in &mut self.state.endpoints {
            if entry.e.host == host {
                if entry.e.answers.forget(soft) {
                    empty.push(*id);
                }
                self.dirty.insert(*id);
            }
        }
        for id in empty {
            self.remove(id, changes);
        }
        self.forget_evidence();
    }

    /// Hosts that never got anything else than the server's answer to any Host are none.
    fn withdraw_hosts(&mut self, soft: u64, changes: &mut Vec<Change>) {
        let mut hosts: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        let mut real: BTreeSet<&str> = BTreeSet::new();
        for (id, entry) in &self.state.endpoints {
            if entry.e.answers.only(soft) {
                hosts.entry(&entry.e.host).or_default().push(*id);
            } else {
                real.insert(&entry.e.host);
            }
        }
        hosts.retain(|host, _| !real.contains(host));
        let gone: Vec<u32> = hosts.into_values().flatten().collect();
        for id in gone {
            self.remove(id, changes);
        }
        self.forget_evidence();
    }

    /// Whether a request may make an endpoint where there is none.
    pub(super) fn is_admitted(
        &self,
        evidence: &Evidence,
        x: &Exchange,
        host: &str,
        segments: &[impl AsRef<str>],
    ) -> bool {
        if matches!(x.method.as_deref(), Some("HEAD" | "OPTIONS")) {
            return false;
        }
        match evidence.admission {
            Admission::Answered | Admission::Unseen => true,
            Admission::Refused => {
                let refused = evidence.guarded && evidence.counts && x.status != Some(304);
                refused && self.answers_beside(host, segments)
            }
            Admission::Nothing => false,
        }
    }
}
