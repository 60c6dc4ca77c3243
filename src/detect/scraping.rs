//! Scraping: one caller asks the same places for many different pages or searches.

use super::budget::Family;
use super::distinct::{hash_text, mix};
use super::{Item, Look, Severity, VerdictKind, Watch};

pub(super) const WATCH: Watch = Watch {
    detector: "distinct-queries",
    kind: VerdictKind::Scraping,
    family: Family::Scraping,
    owasp: "API6:2023",
    unit: "different pages or searches",
    severity: Severity::Medium,
    names_endpoint: true,
    precedent: Some(super::at_endpoint),
    part_of: None,
    pick,
};

fn pick(Look { access, x, .. }: &Look<'_>) -> Option<Item> {
    let query = x.query.as_deref().filter(|q| !q.is_empty())?;
    let node = access.node.filter(|_| access.confirmed)?;
    Some(Item::Distinct(hash_text(query) ^ mix(u64::from(node.0))))
}
