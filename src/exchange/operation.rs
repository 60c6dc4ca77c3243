//! What a request asks for beneath its path: many APIs put all their calls on one.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// Bytes of an operation's name. Real ones are identifiers of some dozen; whoever sends more is
/// after memory.
pub const MAX_NAME: usize = 128;
/// Top-level fields and parts that are listed, and the length of each.
pub const MAX_LISTED: usize = 8;
pub const MAX_LISTED_NAME: usize = 48;

/// An operation: names and counts, never a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    pub kind: OperationKind,
    /// `query GetUser`, `mutation {addItem}`, `eth_call`, `GetWeather`; of a batch its distinct
    /// ones, sorted: `query A, query B`. `None` where it cannot be told, or the path says it all.
    pub name: Option<CompactString>,
    /// Calls in a batch; `None`: it is none.
    pub count: Option<u16>,
    /// GraphQL: selection sets inside each other, fragments followed.
    pub depth: Option<u16>,
    /// GraphQL: fields that are given another name.
    pub aliases: Option<u16>,
    /// GraphQL: fields of the root type, their own names, as sent.
    pub fields: Vec<CompactString>,
    /// GraphQL: asks for the schema.
    pub introspection: bool,
    /// Parts of a form.
    pub parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    Graphql,
    JsonRpc,
    Soap,
    Odata,
    Multipart,
}

/// One part of a `multipart/form-data` body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub name: CompactString,
    /// It has a file name.
    #[serde(default)]
    pub file: bool,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub media_type: Option<CompactString>,
}

impl OperationKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Graphql => "graphql",
            Self::JsonRpc => "json-rpc",
            Self::Soap => "soap",
            Self::Odata => "odata",
            Self::Multipart => "multipart",
        }
    }
}

impl Operation {
    /// What one takes at most, its texts included.
    pub const MOST: usize = size_of::<Self>()
        + MAX_NAME
        + MAX_LISTED * (size_of::<CompactString>() + MAX_LISTED_NAME)
        + MAX_LISTED * (size_of::<Part>() + 2 * MAX_LISTED_NAME);

    pub fn new(kind: OperationKind, name: Option<CompactString>) -> Self {
        Self {
            kind,
            name: name.filter(|n| plausible(n, MAX_NAME)),
            count: None,
            depth: None,
            aliases: None,
            fields: Vec::new(),
            introspection: false,
            parts: Vec::new(),
        }
    }

    /// Lists cut to what is kept; what is no name goes.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.name = self.name.filter(|n| plausible(n, MAX_NAME));
        self.fields.retain(|f| plausible(f, MAX_LISTED_NAME));
        self.fields.truncate(MAX_LISTED);
        self.parts.retain(|p| plausible(&p.name, MAX_LISTED_NAME));
        self.parts.truncate(MAX_LISTED);
        for part in &mut self.parts {
            let kept = |t: &CompactString| plausible(t, MAX_LISTED_NAME);
            part.media_type = part.media_type.take().filter(kept);
        }
        self
    }
}

/// Names are of printable ASCII, whoever made them: they are shown, and are keys of the inventory.
fn plausible(name: &str, most: usize) -> bool {
    (1..=most).contains(&name.len()) && name.bytes().all(|b| (0x20..0x7f).contains(&b))
}
