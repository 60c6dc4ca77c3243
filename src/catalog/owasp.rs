//! The OWASP API Security Top 10 of 2023: what of each can be seen on the wire, what is looked at,
//! and how much is open. The words are for people who must answer for it, so they claim no more than
//! a listener can know.

use std::collections::BTreeMap;

use serde::Serialize;

use super::view::CatalogView;

/// How much of a category shows in traffic that is only listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Visible {
    Covered,
    Partly,
    /// Not by listening.
    Hidden,
}

impl Visible {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Covered => "covered",
            Self::Partly => "partly",
            Self::Hidden => "not visible passively",
        }
    }
}

/// One of the ten.
#[derive(Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Category {
    /// `API1:2023`: what findings and alerts carry.
    pub id: &'static str,
    pub title: &'static str,
    pub coverage: Visible,
    /// What of it can be seen, and what cannot.
    pub why: &'static str,
    /// Detectors and checks.
    pub looks_at: &'static [&'static str],
}

impl Category {
    /// `API1`.
    pub fn short(&self) -> &'static str {
        short(self.id)
    }
}

fn short(id: &str) -> &str {
    id.split_once(':').map_or(id, |(short, _)| short)
}

/// What a category is asked for by: `API1:2023` or `API1`.
pub const PATTERN: &str = "^API([1-9]|10)(:2023)?$";

pub const API1: &str = "API1:2023";
pub const API2: &str = "API2:2023";
pub const API3: &str = "API3:2023";
pub const API4: &str = "API4:2023";
pub const API5: &str = "API5:2023";
pub const API6: &str = "API6:2023";
pub const API7: &str = "API7:2023";
pub const API8: &str = "API8:2023";
pub const API9: &str = "API9:2023";
pub const API10: &str = "API10:2023";

/// In their order.
pub static CATEGORIES: [Category; 10] = [
    Category {
        id: API1,
        title: "Broken Object Level Authorization",
        coverage: Visible::Partly,
        why: "Callers that walk through ids, or ask for far more objects than is usual, show in the traffic. Whether an object is the caller's own does not.",
        looks_at: &[
            "alerts: enumeration (ids in order by one caller or by several together, many different objects)",
            "risk: ids in the path that can be counted through",
        ],
    },
    Category {
        id: API2,
        title: "Broken Authentication",
        coverage: Visible::Partly,
        why: "Failing logins, credentials in clear and answers without a credential show. Rules for passwords, and how tokens are checked and kept, do not.",
        looks_at: &[
            "alerts: credential (failed logins by caller and by endpoint)",
            "findings: no or mixed authentication, judged on answered calls",
            "findings: tokens without signature, without end, of a long life, accepted after their end, with secrets inside",
            "findings: credentials in clear",
        ],
    },
    Category {
        id: API3,
        title: "Broken Object Property Level Authorization",
        coverage: Visible::Partly,
        why: "Which fields an endpoint takes and gives, and which of them hold sensitive data, is learnt. Whether a caller may read or set a field is known to the service alone.",
        looks_at: &[
            "inventory: fields of requests and answers, and their classes of sensitive data",
            "risk: sensitive data, and sensitive data without a credential",
        ],
    },
    Category {
        id: API4,
        title: "Unrestricted Resource Consumption",
        coverage: Visible::Partly,
        why: "Surges and very large queries show. A limit that nobody runs into does not, nor what a call costs inside.",
        looks_at: &[
            "alerts: volume (requests of an endpoint above its usual course)",
            "inventory: depth and aliases of GraphQL requests",
        ],
    },
    Category {
        id: API5,
        title: "Broken Function Level Authorization",
        coverage: Visible::Partly,
        why: "A class of callers that an endpoint never had shows. Which roles may call a function is known to the service alone, and no detector claims it.",
        looks_at: &["inventory: who calls what, by zone, credential and program, and since when"],
    },
    Category {
        id: API6,
        title: "Unrestricted Access to Sensitive Business Flows",
        coverage: Visible::Partly,
        why: "Automation shows as far as it takes more, or faster, than callers do. Which flow is worth money is known to its owner alone.",
        looks_at: &[
            "alerts: scraping (far more different pages by one caller)",
            "alerts: exfiltration (far more bytes to one caller)",
        ],
    },
    Category {
        id: API7,
        title: "Server Side Request Forgery",
        coverage: Visible::Hidden,
        why: "Values of requests are not kept, and what a server then asks for on its own goes out on other links. Nothing here looks for it.",
        looks_at: &[],
    },
    Category {
        id: API8,
        title: "Security Misconfiguration",
        coverage: Visible::Partly,
        why: "What stands on the wire is checked: TLS, certificates, what answers tell of the inside. Patch levels, storage and permissions are not on the wire.",
        looks_at: &[
            "findings: obsolete TLS, weak ciphers, no forward secrecy, certificates that end or are self-signed",
            "findings: stack traces, SQL errors, addresses and paths from inside, server versions in answers",
            "alerts: exposure (TLS of a host; a GraphQL schema for whoever asks)",
        ],
    },
    Category {
        id: API9,
        title: "Improper Inventory Management",
        coverage: Visible::Covered,
        why: "What answers on the mirrored links is in the inventory, held against the specs. What nobody calls, what is not mirrored and what stays under TLS is not: the coverage page says how much that is.",
        looks_at: &[
            "alerts: shadow (endpoints and hosts in no spec)",
            "alerts: deprecated (deprecated, past its sunset, an old version beside a newer one)",
            "alerts: scan (many paths that answer to no one)",
            "findings and alerts: new kinds of callers, callers from a wider zone",
        ],
    },
    Category {
        id: API10,
        title: "Unsafe Consumption of APIs",
        coverage: Visible::Hidden,
        why: "Calls of your services to others show where those links are mirrored, as endpoints of those hosts. Whether their answers are checked does not.",
        looks_at: &[],
    },
];

/// One of the ten with what is open: a line of the export.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct OwaspView {
    #[serde(flatten)]
    pub category: &'static Category,
    /// By severity.
    pub findings: BTreeMap<&'static str, usize>,
    pub open_alerts: usize,
}

impl OwaspView {
    pub fn open_findings(&self) -> usize {
        self.findings.values().sum()
    }
}

/// All ten; `alerts` are the categories of the open ones.
pub fn owasp<'a>(catalog: &CatalogView, alerts: impl Iterator<Item = &'a str>) -> Vec<OwaspView> {
    let mut views: Vec<OwaspView> = CATEGORIES
        .iter()
        .map(|category| OwaspView {
            category,
            findings: BTreeMap::new(),
            open_alerts: 0,
        })
        .collect();
    let at = |id: &str| CATEGORIES.iter().position(|c| c.id == id);
    for exposure in catalog.exposures() {
        if let Some(at) = at(&exposure.owasp) {
            *views[at]
                .findings
                .entry(exposure.severity.name())
                .or_default() += 1;
        }
    }
    for at in alerts.filter_map(at) {
        views[at].open_alerts += 1;
    }
    views
}

/// Whether a filter (`API1:2023` or `API1`, in any case; empty: any) takes a category.
pub fn matches(filter: &str, owasp: &str) -> bool {
    filter.is_empty()
        || filter.eq_ignore_ascii_case(owasp)
        || filter.eq_ignore_ascii_case(short(owasp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{ExposureKind, FindingKind};

    #[test]
    fn every_kind_of_finding_is_of_one_of_the_ten() {
        let ids: Vec<&str> = CATEGORIES.iter().map(|c| c.id).collect();
        assert!(
            ids.iter()
                .enumerate()
                .all(|(n, id)| *id == format!("API{}:2023", n + 1))
        );
        assert!(ExposureKind::ALL.iter().all(|k| ids.contains(&k.owasp())));
        assert!(FindingKind::ALL.iter().all(|k| ids.contains(&k.owasp())));
    }

    #[test]
    fn what_claims_to_see_something_says_by_what() {
        for c in &CATEGORIES {
            assert_eq!(
                c.coverage == Visible::Hidden,
                c.looks_at.is_empty(),
                "{}",
                c.id
            );
        }
    }

    #[test]
    fn filters_take_the_id_or_its_number() {
        assert!(matches("", API1) && matches("api1", API1) && matches("API1:2023", API1));
        assert!(!matches("API1", API10) && !matches("API1:2019", API1) && !matches("API1", ""));
    }
}
