//! Texts of uploaded documents: files of our own names in a folder of the state directory, written
//! whole or not at all.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{StoreError, io_error};
use crate::catalog::{SpecChange, Uploaded, uploads};

/// Where they lie in a state directory.
pub fn folder(state: &Path) -> PathBuf {
    state.join("specs")
}

pub(super) struct Files {
    dir: PathBuf,
}

impl Files {
    /// What the journal does not name goes: an upload that a crash cut short.
    pub(super) fn open<'a>(
        state: &Path,
        changes: impl Iterator<Item = &'a SpecChange>,
    ) -> Result<Self, StoreError> {
        let dir = folder(state);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(io_error(&dir))?;
        let files = Self { dir };
        files.keep(&uploads(changes));
        Ok(files)
    }

    /// On disk, under its name, when this returns without error.
    pub(super) fn write(&self, name: &str, text: &str) -> std::io::Result<()> {
        let aside = self.dir.join(format!("{name}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)?;
        let written = file.write_all(text.as_bytes());
        let written = written.and_then(|()| file.sync_all());
        let placed = written.and_then(|()| fs::rename(&aside, self.dir.join(name)));
        if placed.is_err() {
            let _ = fs::remove_file(&aside);
        }
        placed?;
        File::open(&self.dir)?.sync_all()
    }

    /// Files that are no version of a document in use go. A failure costs space, nothing else.
    pub(super) fn keep(&self, in_use: &[Uploaded]) {
        let versions = in_use.iter().flat_map(|u| &u.versions);
        let names: BTreeSet<&str> = versions
            .filter_map(|c| Some(c.version.as_ref()?.file.as_str()))
            .collect();
        let files = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for file in files {
            let name = file.file_name();
            if !name.to_str().is_some_and(|n| names.contains(n)) {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn texts_are_private_whole_and_only_those_in_use() {
        let state = tempfile::tempdir().unwrap();
        let files = Files::open(state.path(), std::iter::empty()).unwrap();
        files.write("u1-1.yaml", "openapi: 3.1.0\n").unwrap();
        let path = folder(state.path()).join("u1-1.yaml");
        assert_eq!(fs::read_to_string(&path).unwrap(), "openapi: 3.1.0\n");
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&folder(state.path()))), (0o600, 0o700));
        // A crash between the text and the journal.
        Files::open(state.path(), std::iter::empty()).unwrap();
        assert!(!path.exists());
    }
}
