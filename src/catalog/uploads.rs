//! Documents that people gave to the daemon: what was uploaded, replaced and taken away, by whom.
//! The texts lie in files; this is what the journal says of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Documents in use at a time.
pub const MAX_UPLOADS: usize = 200;
/// Versions of one document whose text is kept; older ones go.
pub const VERSIONS: usize = 10;

/// A version of a document was put to use, or the document was taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SpecChange {
    /// Counts up.
    pub id: u64,
    pub at: Timestamp,
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What the document is called in URLs: `u1`.
    pub spec: String,
    /// None: it was taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<SpecVersion>,
}

/// One text of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SpecVersion {
    /// From 1.
    pub number: u32,
    /// What its owner calls the file.
    pub name: String,
    /// Hosts that it is bound to; none: what its servers say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    pub bytes: u64,
    /// Of the text, in hexadecimal.
    pub sha256: String,
    /// Our own name of the file, in the folder of uploads.
    pub file: String,
}

/// A document in use, with the changes that gave its kept versions, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Uploaded {
    pub id: String,
    pub versions: Vec<SpecChange>,
}

impl Uploaded {
    /// The version in use.
    pub fn current(&self) -> Option<(&SpecChange, &SpecVersion)> {
        let last = self.versions.last()?;
        Some((last, last.version.as_ref()?))
    }

    /// A version by its number.
    pub fn version(&self, number: u32) -> Option<&SpecVersion> {
        let mut all = self.versions.iter().filter_map(|c| c.version.as_ref());
        all.find(|v| v.number == number)
    }
}

/// The documents in use, by what became of them; changes come oldest first.
pub fn uploads<'a>(changes: impl Iterator<Item = &'a SpecChange>) -> Vec<Uploaded> {
    let mut all: BTreeMap<&str, Vec<&SpecChange>> = BTreeMap::new();
    for change in changes {
        let versions = all.entry(&change.spec).or_default();
        match change.version {
            Some(_) => versions.push(change),
            None => versions.clear(),
        }
        if versions.len() > VERSIONS {
            versions.remove(0);
        }
    }
    let mut out: Vec<Uploaded> = all
        .into_iter()
        .filter(|(_, versions)| !versions.is_empty())
        .map(|(id, versions)| Uploaded {
            id: id.to_owned(),
            versions: versions.into_iter().cloned().collect(),
        })
        .collect();
    // In the order in which they first came.
    out.sort_by_key(|u| (u.id.len(), u.id.clone()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: u64, spec: &str, number: Option<u32>) -> SpecChange {
        SpecChange {
            id,
            at: Timestamp::from_secs(1_770_000_000),
            by: "ann".into(),
            note: None,
            spec: spec.into(),
            version: number.map(|number| SpecVersion {
                number,
                name: "shop.yaml".into(),
                hosts: Vec::new(),
                bytes: 1,
                sha256: String::new(),
                file: format!("{spec}-{number}.yaml"),
            }),
        }
    }

    #[test]
    fn the_last_versions_of_what_is_in_use_are_kept() {
        let mut all: Vec<_> = (1..=12).map(|n| change(n, "u2", Some(n as u32))).collect();
        all.push(change(13, "u1", Some(1)));
        all.push(change(14, "u10", Some(1)));
        all.push(change(15, "u1", None));
        let found = uploads(all.iter());
        let ids: Vec<&str> = found.iter().map(|u| u.id.as_str()).collect();
        assert_eq!(ids, ["u2", "u10"]);
        assert_eq!(found[0].versions.len(), VERSIONS);
        assert_eq!(
            found[0].current().map(|(c, v)| (c.id, v.number)),
            Some((12, 12))
        );
        assert!(found[0].version(2).is_none() && found[0].version(3).is_some());
        // It may come back under its old name.
        all.push(change(16, "u1", Some(2)));
        assert_eq!(uploads(all.iter())[0].id, "u1");
        assert_eq!(uploads(all.iter())[0].versions.len(), 1);
    }
}
