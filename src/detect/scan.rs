//! Path scans: many different paths that are not there. What is there and lets no one in is told by
//! `authorization`, as are scans so slow that only their order shows.

use compact_str::CompactString;

use super::budget::Family;
use super::counter::Spot;
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
    precedent: Some(below),
    part_of: None,
    pick,
};

/// The endpoint, or the folder where there is none.
pub(super) fn place(look: &Look<'_>) -> Spot {
    match look.access.endpoint {
        None => below(look),
        endpoint => Spot::Endpoint(endpoint),
    }
}

/// The folder a path lies in: crawlers keep to one, and come again under other addresses.
fn below(Look { x, .. }: &Look<'_>) -> Spot {
    let path = x.path.as_deref().unwrap_or_default();
    Spot::Below(hash_text(
        path.rsplit_once('/').map_or("", |(folder, _)| folder),
    ))
}

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
