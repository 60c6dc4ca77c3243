//! Volume: how many requests one principal makes. Endpoints and hosts are in `targets`.

use super::budget::Family;
use super::{Item, Severity, VerdictKind, Watch};

pub(super) const WATCH: Watch = Watch {
    detector: "principal-volume",
    kind: VerdictKind::Volume,
    family: Family::PrincipalVolume,
    owasp: "API4:2023",
    unit: "requests",
    severity: Severity::Low,
    names_endpoint: false,
    precedent: Some(super::at_endpoint),
    part_of: None,
    pick: |_| Some(Item::Each),
};
