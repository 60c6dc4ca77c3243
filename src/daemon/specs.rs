//! The specs in use, and the files that they came from: read again when one of these changes, or
//! when told. Of a document that is refused the last good reading stays.

use std::collections::BTreeMap;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::spec::SpecSet;
use crate::catalog::{SpecVersion, Uploaded};
use crate::cli::specs::{self, Given, Stamps};
use crate::config::SpecSource;
use crate::web::SpecsView;

/// How often the files are looked at. A change is taken once two looks agree, so that a file that
/// is being written is left alone.
pub(super) const LOOK: Duration = Duration::from_secs(2);

/// What reading all documents came to.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) set: SpecSet,
    pub(super) refused: Vec<String>,
    /// Where each document lies, by its id.
    pub(super) files: BTreeMap<Arc<str>, PathBuf>,
    /// The last change of the uploads that is in it.
    pub(super) upto: u64,
}

#[derive(Default)]
pub(super) struct Watched {
    sources: Vec<SpecSource>,
    last: SpecSet,
    /// When they were read, and at the last look.
    read: Stamps,
    seen: Stamps,
}

impl Watched {
    pub(super) fn new(sources: Vec<SpecSource>) -> Self {
        Self {
            sources,
            ..Self::default()
        }
    }

    /// Reads all of them, and what people uploaded. What is refused is said.
    pub(super) fn read(&mut self, uploads: &SpecsView) -> Reading {
        let loaded = specs::load_after(&self.sources, &given(uploads), &self.last);
        let mut refused = Vec::new();
        for why in &loaded.refused {
            let kept = self.last.specs().iter().any(|s| why.starts_with(&s.file));
            let then = if kept {
                "; the last good one stays"
            } else {
                ""
            };
            tracing::error!("spec refused: {why}{then}");
            refused.push(format!("{why}{then}"));
        }
        for note in &loaded.notes {
            tracing::warn!("spec: {note}");
        }
        self.last = loaded.set;
        self.seen = loaded.stamps.clone();
        self.read = loaded.stamps;
        Reading {
            set: self.last.clone(),
            refused,
            files: loaded.files,
            upto: uploads.last,
        }
    }

    /// Whether a file is not as it was read, and was so at the last look.
    pub(super) fn has_changed(&mut self) -> bool {
        let now = specs::look_again(&self.read);
        let settled = mem::replace(&mut self.seen, now) == self.seen;
        settled && self.seen != self.read
    }
}

/// The versions in use.
fn given(view: &SpecsView) -> Vec<Given> {
    let current = view.uploads.iter();
    let current = current.filter_map(|u| Some((u, u.current()?.1)));
    let one = |(upload, version): (&Uploaded, &SpecVersion)| Given {
        id: upload.id.as_str().into(),
        name: version.name.clone(),
        path: view.dir.join(&version.file),
        hosts: version.hosts.clone(),
    };
    current.map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn spec(operation: &str) -> String {
        format!(
            "openapi: 3.0.3\ninfo: {{ title: T, version: '1' }}\npaths:\n  /pets: {{ get: {{ operationId: {operation} }} }}\n"
        )
    }

    #[test]
    fn a_change_is_read_once_it_has_settled_and_a_bad_one_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pets.yaml");
        fs::write(&file, spec("one")).unwrap();
        let mut watched = Watched::new(vec![SpecSource {
            path: dir.path().to_owned(),
            hosts: Vec::new(),
        }]);
        let none = SpecsView::default();
        let titles = |set: &SpecSet| set.specs().iter().map(|s| s.operations).collect::<Vec<_>>();
        assert_eq!(titles(&watched.read(&none).set), [1]);
        assert!(!watched.has_changed());
        fs::write(&file, spec("another") + "  /more: { get: {} }\n").unwrap();
        assert!(!watched.has_changed(), "it may still be being written");
        assert!(watched.has_changed());
        assert_eq!(titles(&watched.read(&none).set), [2]);
        assert!(!watched.has_changed());
        fs::write(&file, "openapi: 3.0.3\npaths: [").unwrap();
        assert!(!watched.has_changed() && watched.has_changed());
        assert_eq!(
            titles(&watched.read(&none).set),
            [2],
            "the last good one stays"
        );
        fs::write(dir.path().join("more.yaml"), spec("three")).unwrap();
        assert!(!watched.has_changed() && watched.has_changed());
        assert_eq!(titles(&watched.read(&none).set), [1, 2]);
        fs::remove_file(&file).unwrap();
        assert!(!watched.has_changed() && watched.has_changed());
        assert_eq!(titles(&watched.read(&none).set), [1]);
    }
}
