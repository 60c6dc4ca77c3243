//! The sensitive data of one endpoint: of which class, where, which way, and how often; no value.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{PartView, SchemaView, Schemas};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SensitiveView {
    /// `pii:email`, `secret:token`.
    pub class: String,
    /// `request` or `response`.
    pub direction: String,
    /// `query` or `body`.
    pub place: String,
    /// RFC 6901, as in the schema.
    pub pointer: String,
    /// Messages with a value of the class there.
    pub count: u64,
}

impl Schemas {
    /// Classes of what answers with success hold, sorted.
    pub(in crate::catalog) fn given_out(&self) -> Vec<String> {
        let fields = self
            .responses
            .get(&2)
            .into_iter()
            .flat_map(|p| p.fields.values());
        let classes: BTreeSet<_> = fields.flat_map(|f| f.sensitive().map(|(c, _)| c)).collect();
        classes.into_iter().map(Into::into).collect()
    }
}

impl SchemaView {
    /// Sorted by class, direction, place and pointer; responses of all statuses are one.
    pub fn sensitive(&self) -> Vec<SensitiveView> {
        let mut counts = BTreeMap::new();
        let mut add = |direction, place, part: &PartView| {
            for field in &part.fields {
                for (class, n) in &field.sensitive {
                    let key = (class.clone(), direction, place, field.pointer.clone());
                    *counts.entry(key).or_default() += u64::from(*n);
                }
            }
        };
        for (place, part) in [("query", &self.query), ("body", &self.request)] {
            part.iter().for_each(|p| add("request", place, p));
        }
        for part in self.responses.values() {
            add("response", "body", part);
        }
        let found = counts.into_iter();
        let view = |((class, direction, place, pointer), count): (
            (CompactString, &str, &str, String),
            u64,
        )| {
            SensitiveView {
                class: class.into(),
                direction: direction.into(),
                place: place.into(),
                pointer,
                count,
            }
        };
        found.map(view).collect()
    }
}
