//! Path scans: many different paths that are not there. What is there and lets no one in is told by
//! `authorization`, as are scans so slow that only their order shows.

use compact_str::CompactString;

use super::budget::Family;
use super::distinct::hash_text;
use super::{Item, Look, Severity, VerdictKind, Watch};

pub(super) const WATCH: Watch = Watch {
    detector: "missing-paths",
    kind: VerdictKind::Scan,
    family: Family::Scan,
    owasp: "API9:2023",
    unit: "different paths that are not there",
    severity: Severity::Medium,
    names_endpoint: false,
    precedent: false,
    pick,
};

/// A path that has never answered and does not now. What was asked matters, not how often.
fn pick(Look { access, x, .. }: &Look<'_>) -> Option<Item> {
    let refused = matches!(x.status, Some(404 | 405 | 410 | 501));
    if access.confirmed || access.login || !refused {
        return None;
    }
    let method = x.method.as_ref().map_or("", CompactString::as_str);
    Some(Item::Distinct(
        hash_text(x.path.as_deref()?) ^ hash_text(method).rotate_left(17),
    ))
}
