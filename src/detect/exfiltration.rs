//! Exfiltration: how much one caller carries away.

use super::budget::Family;
use super::{Item, Severity, VerdictKind, Watch};

pub(super) const WATCH: Watch = Watch {
    detector: "response-bytes",
    kind: VerdictKind::Exfiltration,
    family: Family::Exfiltration,
    owasp: "API6:2023",
    unit: "KiB of responses",
    severity: Severity::High,
    names_endpoint: true,
    precedent: Some(super::at_endpoint),
    part_of: None,
    pick: |look| {
        look.x
            .response_bytes
            .filter(|n| *n > 0)
            .map(|n| Item::Many(n as f64 / 1024.0))
    },
};
