//! Credential attacks: logins that fail, by client here and by endpoint in `volume`'s series.

use super::budget::Family;
use super::{Item, Look, Severity, VerdictKind, Watch};
use crate::catalog::Access;
use crate::exchange::Exchange;

pub(super) const WATCH: Watch = Watch {
    detector: "failed-logins",
    kind: VerdictKind::Credential,
    family: Family::Credential,
    owasp: "API2:2023",
    unit: "failed logins",
    severity: Severity::High,
    names_endpoint: true,
    precedent: None,
    part_of: None,
    pick,
};

fn pick(Look { access, x, .. }: &Look<'_>) -> Option<Item> {
    failed(access, x).then_some(Item::Each)
}

/// A login call that was refused. Errors of the server are not the caller's.
pub(super) fn failed(access: &Access, x: &Exchange) -> bool {
    (access.login || x.login.is_some())
        && matches!(x.status, Some(400 | 401 | 403 | 404 | 422 | 429))
}
