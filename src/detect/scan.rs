//! Path scans: many different paths that are not there, or that no one was ever let into.

use compact_str::CompactString;

use super::distinct::hash_text;
use super::{Item, Look, Severity, VerdictKind, Watch};

pub(super) const WATCH: Watch = Watch {
    detector: "missing-paths",
    kind: VerdictKind::Scan,
    owasp: "API9:2023",
    unit: "different paths that answer to no one",
    severity: Severity::Medium,
    names_endpoint: false,
    precedent: false,
    pick,
};

/// A refusal on a path that has never answered. What was asked matters, not how often.
fn pick(Look { access, x, .. }: &Look<'_>) -> Option<Item> {
    let refused = matches!(x.status, Some(401 | 403 | 404 | 405 | 410 | 501));
    if access.confirmed || access.login || !refused {
        return None;
    }
    let method = x.method.as_ref().map_or("", CompactString::as_str);
    Some(Item::Distinct(
        hash_text(x.path.as_deref()?) ^ hash_text(method).rotate_left(17),
    ))
}
