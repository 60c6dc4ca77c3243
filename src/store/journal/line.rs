//! What a line of the journal says, and how it is written.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::access::Record;
use crate::alert::delivery::{DeadLetter, Delivery};
use crate::alert::{Alert, Incident, Silence};
use crate::catalog::{Decision, NamedView, SpecChange};
use crate::time::Timestamp;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// As journals of old have it: for every sink.
    Alert(Box<Alert>),
    /// Recorded, and to be delivered to these.
    Queued {
        alert: Box<Alert>,
        to: BTreeSet<String>,
        at: Timestamp,
    },
    /// Still to be delivered to these, when the journal was written anew.
    Outbox {
        alert: Box<Alert>,
        to: BTreeSet<String>,
        at: Timestamp,
    },
    /// Recorded; these sinks were told of it.
    Kept {
        alert: Box<Alert>,
        told: BTreeSet<String>,
    },
    /// An incident's next revision, and the message that is to be delivered to these.
    Told {
        incident: Box<Incident>,
        message: Box<Alert>,
        to: BTreeSet<String>,
        at: Timestamp,
    },
    /// An incident; these sinks were told of it.
    Incident {
        incident: Box<Incident>,
        told: BTreeSet<String>,
    },
    /// A sink took the message, or it was given up.
    Settled {
        sink: String,
        message: String,
        dead: bool,
        #[serde(default)]
        why: String,
        #[serde(default)]
        at: Timestamp,
    },
    Dead(Box<DeadLetter>),
    /// A person had a dead letter sent again.
    Again {
        sink: String,
        message: String,
        by: String,
        at: Timestamp,
    },
    /// What a person decided about the inventory.
    Decision(Decision),
    /// A rule for silence, as it was then.
    Silence(Box<Silence>),
    /// What was sent of an alert or incident, when the journal was written anew.
    Deliveries {
        id: String,
        all: Vec<Delivery>,
    },
    /// A view that was saved, or removed.
    View(NamedView),
    /// A document was uploaded, replaced or taken away; its text lies in a file.
    Spec(Box<SpecChange>),
    /// What somebody changed.
    Audit(Box<Record>),
}

pub(super) fn write_line(out: &mut Vec<u8>, line: &Line) {
    // Serialising to memory fails only for maps with odd keys, and there is none.
    let json = serde_json::to_vec(line).unwrap_or_default();
    out.extend_from_slice(format!("{:08x} ", crc32fast::hash(&json)).as_bytes());
    out.extend_from_slice(&json);
    out.push(b'\n');
}

pub(super) fn read_line(line: &[u8]) -> Option<Line> {
    let (crc, json) = (line.get(..8)?, line.get(8..)?.strip_prefix(b" ")?);
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok()?;
    (crc == crc32fast::hash(json)).then(|| serde_json::from_slice(json).ok())?
}
