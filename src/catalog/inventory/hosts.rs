//! From requests to host groups.

use std::collections::{BTreeMap, BTreeSet};

use super::views::kind;
use super::{Catalog, Change, slot};
use crate::catalog::decision::pattern;
use crate::catalog::spec::host_name;
use crate::catalog::view::Kind;
use crate::exchange::Exchange;

/// Below so many hosts nothing is looked for, and after that when a tenth has come.
const FEW: usize = 8;

impl Catalog {
    /// The host group of a request; without a Host the server's address.
    pub(super) fn host_of(&mut self, x: &Exchange) -> String {
        let host = match x.host.as_deref() {
            Some(host) => host_name(host),
            None => host_name(&std::net::SocketAddr::new(x.server, x.server_port).to_string()),
        };
        let rules = &self.settings.host_groups;
        self.state.groups.of(rules, &host).unwrap_or(host)
    }

    pub(super) fn group_of(&self, host: String) -> String {
        let found = self.state.groups.find(&self.settings.host_groups, &host);
        found.unwrap_or(host)
    }

    /// Looks for tenants of one API among the hosts, where there are new ones.
    pub(super) fn group_hosts(&mut self, changes: &mut Vec<Change>) {
        let roots = self.state.trie.hosts().len();
        if roots < self.hosts_judged + FEW.max(self.hosts_judged / 10) {
            return;
        }
        let mut hosts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for entry in self.state.endpoints.values() {
            let e = &entry.e;
            let template = self.state.trie.template(e.node);
            if e.confirmed() && kind(e, &template) == Kind::Api {
                let slot = slot(&e.method, e.operation.as_deref());
                let served = format!("{slot} {}", pattern(&template));
                hosts.entry(e.host.clone()).or_default().insert(served);
            }
        }
        let found = self.state.groups.judge(&hosts);
        for (group, members) in &found {
            self.fold_hosts(group, members, changes);
        }
        if !found.is_empty() {
            self.regroup_decisions(changes);
        }
        self.hosts_judged = self.state.trie.hosts().len();
    }

    /// Makes the endpoints of all members the group's.
    fn fold_hosts(&mut self, group: &str, members: &[String], changes: &mut Vec<Change>) {
        let members: BTreeSet<&str> = members.iter().map(String::as_str).collect();
        let mut moved = Vec::new();
        for (id, entry) in &mut self.state.endpoints {
            if members.contains(entry.e.host.as_str()) {
                group.clone_into(&mut entry.e.host);
                moved.push(*id);
            }
        }
        for host in members {
            self.state.trie.merge_roots(host, group);
        }
        self.regroup(group, false, changes);
        moved.retain(|id| self.state.endpoints.contains_key(id));
        for id in moved {
            self.look_up(id);
            self.recall(id);
            self.dirty.insert(id);
        }
    }
}
