//! Host groups: hosts that serve one API to many tenants are one entry, `{tenant}.api.example.com`.
//!
//! By the config, or by evidence: many first labels under one domain that serve the same path
//! templates. Hosts with a job of their own (`www`, `admin`) are left out of what is found by
//! evidence, and so is every host that has shown other endpoints than the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::rules::glob;

/// Hosts that must serve the same templates.
const MEMBERS: usize = 8;
/// Templates that a member must share with most others: one alone (`/login`, `/items`) is chance.
const SHARED: usize = 2;
/// Domains with a group found by evidence.
const MAX_LEARNT: usize = 1_000;

/// First labels that name a job, not a tenant.
const JOBS: [&str; 40] = [
    "account",
    "accounts",
    "admin",
    "api",
    "app",
    "apps",
    "assets",
    "auth",
    "beta",
    "billing",
    "blog",
    "cdn",
    "console",
    "dashboard",
    "dev",
    "docs",
    "files",
    "gateway",
    "git",
    "grafana",
    "help",
    "id",
    "img",
    "internal",
    "login",
    "mail",
    "media",
    "mobile",
    "preview",
    "prod",
    "public",
    "sso",
    "staging",
    "static",
    "status",
    "support",
    "test",
    "uat",
    "web",
    "www",
];

/// Hosts that the config makes one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostGroup {
    /// `*` is any part of one label.
    pub pattern: String,
    /// Empty: the pattern, its first star read `{tenant}`.
    pub name: String,
}

impl HostGroup {
    fn name(&self) -> String {
        if self.name.is_empty() {
            self.pattern.replacen('*', "{tenant}", 1)
        } else {
            self.name.clone()
        }
    }
}

/// Found by evidence: the hosts of the domain that are none of the group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Learnt {
    apart: BTreeSet<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Groups {
    learnt: BTreeMap<String, Learnt>,
    /// Of each group by its name: a host of it, to ask the specs by.
    examples: BTreeMap<String, String>,
}

/// The first label and the rest, where the host may be one of a group.
fn split(host: &str) -> Option<(&str, &str)> {
    let (label, domain) = host.split_once('.')?;
    // Domains of one label are whole countries and kinds; addresses have no labels.
    let named = domain.contains('.') && host.parse::<IpAddr>().is_err();
    (named && !label.is_empty() && !domain.contains(':')).then_some((label, domain))
}

fn named(domain: &str) -> String {
    format!("{{tenant}}.{domain}")
}

impl Groups {
    /// The group of a host, where it is in one.
    pub(super) fn of(&mut self, rules: &[HostGroup], host: &str) -> Option<String> {
        let name = self.find(rules, host)?;
        if !self.examples.contains_key(&name) {
            self.examples.insert(name.clone(), host.to_owned());
        }
        Some(name)
    }

    pub(super) fn find(&self, rules: &[HostGroup], host: &str) -> Option<String> {
        let bare = host.split(':').next().unwrap_or_default();
        let rule = rules.iter().find(|r| fits(&r.pattern, bare));
        if let Some(rule) = rule {
            return Some(rule.name());
        }
        if self.learnt.is_empty() {
            return None;
        }
        let (label, domain) = split(host)?;
        let learnt = self.learnt.get(domain)?;
        let tenant = !JOBS.contains(&label) && !learnt.apart.contains(host);
        tenant.then(|| named(domain))
    }

    /// The host to ask the specs by.
    pub(super) fn spec_host<'a>(&'a self, host: &'a str) -> &'a str {
        self.examples.get(host).map_or(host, String::as_str)
    }

    /// Groups that the templates of all hosts show, each with its members: by host, the method and
    /// pattern of each confirmed endpoint.
    pub(super) fn judge(
        &mut self,
        hosts: &BTreeMap<String, BTreeSet<String>>,
    ) -> Vec<(String, Vec<String>)> {
        let mut domains: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for host in hosts.keys() {
            if let Some((label, domain)) = split(host)
                && !JOBS.contains(&label)
            {
                domains.entry(domain).or_default().push(host);
            }
        }
        let mut found = Vec::new();
        for (domain, names) in domains {
            if self.learnt.contains_key(domain)
                || self.learnt.len() >= MAX_LEARNT
                || names.len() < MEMBERS
            {
                continue;
            }
            let members = members(hosts, &names);
            if members.len() < MEMBERS {
                continue;
            }
            let apart = names.iter().filter(|n| !members.contains(**n));
            let apart = apart.map(|n| (*n).to_owned()).collect();
            self.learnt.insert(domain.to_owned(), Learnt { apart });
            let members: Vec<String> = members.into_iter().map(str::to_owned).collect();
            if let Some(first) = members.first() {
                self.examples.insert(named(domain), first.clone());
            }
            found.push((named(domain), members));
        }
        found
    }
}

/// Hosts most of whose templates most others have, too.
fn members<'a>(hosts: &BTreeMap<String, BTreeSet<String>>, names: &[&'a str]) -> BTreeSet<&'a str> {
    let mut members: BTreeSet<&str> = names.iter().copied().collect();
    // Who leaves takes its templates along; what is common is counted again then.
    loop {
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        for template in members.iter().flat_map(|name| &hosts[*name]) {
            *count.entry(template).or_default() += 1;
        }
        let all = members.len();
        let is_member = |name: &&str| {
            let own = &hosts[*name];
            let common = |t: &&String| count[t.as_str()] * 2 >= all;
            let shared = own.iter().filter(common).count();
            shared >= SHARED && shared * 4 >= own.len() * 3
        };
        members.retain(|name| is_member(name));
        if members.len() == all || members.is_empty() {
            return members;
        }
    }
}

/// Most patterns end in a name: whatever does not is passed over at once.
fn fits(pattern: &str, host: &str) -> bool {
    let tail = pattern.rsplit('*').next().unwrap_or_default();
    host.ends_with(tail) && glob(pattern, host, b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving(templates: &[&str]) -> BTreeSet<String> {
        templates.iter().map(|t| format!("GET {t}")).collect()
    }

    #[test]
    fn the_config_names_a_group() {
        let rules = [
            HostGroup {
                pattern: "*.api.example.com".into(),
                name: String::new(),
            },
            HostGroup {
                pattern: "shop-*.example.net".into(),
                name: "shops".into(),
            },
        ];
        let mut groups = Groups::default();
        let mut of = |host: &str| groups.of(&rules, host);
        assert_eq!(
            of("acme.api.example.com").as_deref(),
            Some("{tenant}.api.example.com")
        );
        assert_eq!(
            of("acme.api.example.com:8443").as_deref(),
            Some("{tenant}.api.example.com")
        );
        assert_eq!(of("shop-7.example.net").as_deref(), Some("shops"));
        assert_eq!(of("a.b.api.example.com"), None);
        assert_eq!(of("api.example.com"), None);
        assert_eq!(groups.spec_host("shops"), "shop-7.example.net");
        assert_eq!(groups.spec_host("other"), "other");
    }

    #[test]
    fn tenants_are_told_by_what_they_serve() {
        let mut hosts = BTreeMap::new();
        let api = ["/v1/carts", "/v1/orders/{}", "/v1/users/{}", "/v1/login"];
        for n in 0..12 {
            // Nobody uses everything.
            let own: Vec<&str> = (0..4).filter(|k| k != &(n % 5)).map(|k| api[k]).collect();
            hosts.insert(format!("t{n}.api.example.com"), serving(&own));
        }
        hosts.insert("www.api.example.com".into(), serving(&api));
        hosts.insert(
            "reports.api.example.com".into(),
            serving(&["/run", "/jobs/{}", "/v1/carts"]),
        );
        for n in 0..20 {
            // Services of one company: each its own, but for one.
            let own = format!("/things{n}");
            hosts.insert(format!("s{n}.example.org"), serving(&["/login", &own]));
            hosts.insert(format!("10.0.0.{n}"), serving(&api));
        }
        let mut groups = Groups::default();
        let found = groups.judge(&hosts);
        assert_eq!(found.len(), 1, "{found:?}");
        let (name, members) = &found[0];
        assert_eq!(
            (name.as_str(), members.len()),
            ("{tenant}.api.example.com", 12)
        );
        assert_eq!(groups.find(&[], "new.api.example.com").as_ref(), Some(name));
        for apart in [
            "www.api.example.com",
            "reports.api.example.com",
            "new.example.org",
        ] {
            assert_eq!(groups.find(&[], apart), None, "{apart}");
        }
        assert!(groups.judge(&hosts).is_empty(), "told once");
    }
}
