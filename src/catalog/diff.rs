//! What is different between two inventories, two documents, or a document and what was seen: whole
//! endpoints, and of those that both sides have parameters, fields, types, status codes and
//! credentials.

use std::collections::BTreeSet;

use serde_json::Value;

mod beside;
mod compare;
mod document;
mod entry;

pub use beside::beside;
pub use compare::{Change, Difference, changes, compare};
pub(in crate::catalog) use document::entry;
pub use entry::{Entry, Place, shape};

/// What can be different: endpoints as a whole, or something about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Added,
    Removed,
    Changed,
    Shadow,
    Unseen,
    Undocumented,
    Documentation,
    Life,
    Deprecated,
    Zombie,
    Auth,
    Field,
    Status,
    Sensitive,
    Risk,
    Host,
}

impl What {
    pub const ALL: [Self; 16] = [
        Self::Added,
        Self::Removed,
        Self::Changed,
        Self::Shadow,
        Self::Unseen,
        Self::Undocumented,
        Self::Documentation,
        Self::Life,
        Self::Deprecated,
        Self::Zombie,
        Self::Auth,
        Self::Field,
        Self::Status,
        Self::Sensitive,
        Self::Risk,
        Self::Host,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Shadow => "shadow",
            Self::Unseen => "unseen",
            Self::Undocumented => "undocumented",
            Self::Documentation => "documentation",
            Self::Life => "life",
            Self::Deprecated => "deprecated",
            Self::Zombie => "zombie",
            Self::Auth => "auth",
            Self::Field => "field",
            Self::Status => "status",
            Self::Sensitive => "sensitive",
            Self::Risk => "risk",
            Self::Host => "host",
        }
    }

    /// What it means, in a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Added => "Endpoints or operations that only the new side has",
            Self::Removed => "… that only the old side has",
            Self::Changed => "Anything about an endpoint that both have",
            Self::Shadow => "Endpoints in no document, or shadow now and not before",
            Self::Unseen => "Operations of a document that were not seen",
            Self::Undocumented => "Parameters and fields that a document does not have",
            Self::Documentation => "Whether it is documented, unreviewed or shadow",
            Self::Life => "Whether it is new, active or dormant",
            Self::Deprecated => "Whether it is deprecated",
            Self::Zombie => "Whether it is an old version beside a newer one",
            Self::Auth => "Schemes of credentials",
            Self::Field => "Parameters and fields, and their types",
            Self::Status => "Status codes of answers",
            Self::Sensitive => "Classes of sensitive data and their places",
            Self::Risk => "The risk, 1 to 10",
            Self::Host => "Hosts that only one side has",
        }
    }
}

/// One side of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// It is a document, or several: it says what should be, not what was seen.
    pub spec: bool,
    pub entries: Vec<Entry>,
    /// Hosts of what was seen, candidates and all.
    pub hosts: BTreeSet<String>,
}

impl Side {
    /// Lines of an inventory.
    pub fn of_lines(lines: &[Value]) -> Self {
        let hosts = lines.iter().filter_map(|l| l.get("host")?.as_str());
        Self {
            spec: false,
            entries: lines.iter().filter_map(Entry::of_line).collect(),
            hosts: hosts.map(str::to_owned).collect(),
        }
    }

    /// An OpenAPI document.
    pub fn of_document(document: &Value) -> Self {
        Self {
            spec: true,
            entries: document::entries(document),
            hosts: BTreeSet::new(),
        }
    }

    /// Several documents as one.
    pub fn of_sides(sides: Vec<Self>) -> Self {
        Self {
            spec: true,
            entries: sides.into_iter().flat_map(|s| s.entries).collect(),
            hosts: BTreeSet::new(),
        }
    }
}
