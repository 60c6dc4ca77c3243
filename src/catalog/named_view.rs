//! Views of the inventory that people keep for each other: a query with its order and columns, under a name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Views kept at most.
pub const MAX_VIEWS: usize = 100;
/// Characters of a name.
pub const MAX_NAME: usize = 60;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamedView {
    /// Counts up.
    pub id: u64,
    pub name: String,
    /// The query part of the page's URL: `q=status%3Ashadow&sort=requests`.
    pub query: String,
    /// Who saved it last, and when (wall time).
    pub by: String,
    pub at: Timestamp,
    /// Somebody has removed it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}
