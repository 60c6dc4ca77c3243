//! The file of accounts: users, API tokens, and what the command line did to them.
//!
//! A file of its own and not the journal, since the command line changes it beside a running daemon,
//! which has the journal for itself; and since hashes of passwords are to stand in one place only,
//! out of which somebody who is removed is gone. It is small and written whole: aside, fsynced,
//! renamed, under a lock. So a reader always finds it whole, and two writers never undo each other.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{StoreError, io_error};
use crate::access::Accounts;

/// What a file is known by: written anew, it is another.
pub(super) type Mark = (u64, i64, i64, u64);

#[derive(Clone, Debug)]
pub struct AccountsFile {
    path: PathBuf,
}

impl AccountsFile {
    /// In a state directory.
    pub fn in_dir(dir: &Path) -> Self {
        Self {
            path: dir.join("accounts.json"),
        }
    }

    /// No file: nobody.
    pub fn read(&self) -> Result<Accounts, StoreError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Accounts::default()),
            Err(e) => return Err(io_error(&self.path)(e)),
        };
        let about = fs::metadata(&self.path).map_err(io_error(&self.path))?;
        if about.permissions().mode() & 0o077 != 0 {
            return Err(self.wrong("can be read by others: `chmod 600` it"));
        }
        serde_json::from_slice(&text)
            .map_err(|e| self.wrong(&format!("cannot be understood ({e}): restore it")))
    }

    fn wrong(&self, why: &str) -> StoreError {
        StoreError::Io {
            path: self.path.clone(),
            why: why.to_owned(),
        }
    }

    /// Reads, changes and writes, while nobody else does. The outer error is the disk's; after any
    /// error nothing is changed.
    pub fn change(
        &self,
        change: impl FnOnce(&mut Accounts) -> Result<(), String>,
    ) -> Result<Result<Accounts, String>, StoreError> {
        let dir = self.path.parent().unwrap_or_else(|| Path::new("."));
        let lock = self.path.with_extension("lock");
        let held = self.create(&lock)?;
        flock(&held, FlockOperation::LockExclusive).map_err(|e| io_error(&lock)(e.into()))?;
        let before = self.read()?;
        let mut accounts = before.clone();
        if let Err(why) = change(&mut accounts) {
            return Ok(Err(why));
        }
        if accounts != before {
            self.write(&accounts, dir)?;
        }
        Ok(Ok(accounts))
    }

    fn write(&self, accounts: &Accounts, dir: &Path) -> Result<(), StoreError> {
        let text = serde_json::to_vec_pretty(accounts).map_err(|e| self.wrong(&e.to_string()))?;
        let aside = self.path.with_extension("new");
        let mut file = self.create(&aside)?;
        file.write_all(&text)
            .and_then(|()| file.sync_all())
            .map_err(io_error(&aside))?;
        fs::rename(&aside, &self.path).map_err(io_error(&self.path))?;
        let dir = File::open(dir).map_err(io_error(dir))?;
        dir.sync_all().map_err(io_error(&self.path))
    }

    /// An empty file (0600) that belongs to whom the directory does: root may run the command and
    /// another user the daemon.
    fn create(&self, path: &Path) -> Result<File, StoreError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(io_error(path))?;
        let dir = path.parent().unwrap_or_else(|| Path::new("."));
        let owner = fs::metadata(dir).map_err(io_error(dir))?;
        let own = file.metadata().map_err(io_error(path))?;
        if own.uid() != owner.uid() {
            chown(path, Some(owner.uid()), Some(owner.gid())).map_err(io_error(path))?;
        }
        Ok(file)
    }

    /// Differs once the file was changed; `None` where there is none.
    pub(super) fn mark(&self) -> Option<Mark> {
        let about = fs::metadata(&self.path).ok()?;
        Some((about.ino(), about.mtime(), about.mtime_nsec(), about.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Change, Role};
    use crate::time::Timestamp;

    fn add(file: &AccountsFile, name: &str) -> Result<Accounts, String> {
        let change = Change::AddUser {
            name: name.into(),
            role: Role::Admin,
            hash: serde_json::from_str("\"h\"").unwrap(),
        };
        file.change(|all| all.apply(change, Timestamp::from_secs(1)))
            .unwrap()
    }

    #[test]
    fn it_is_private_whole_and_shared() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (
            AccountsFile::in_dir(dir.path()),
            AccountsFile::in_dir(dir.path()),
        );
        assert_eq!(one.read().unwrap(), Accounts::default());
        assert_eq!(one.mark(), None);
        add(&one, "alice").unwrap();
        let first = one.mark();
        add(&two, "bob").unwrap();
        assert_ne!(one.mark(), first);
        assert_eq!(one.read().unwrap().users.len(), 2);
        assert!(add(&one, "bob").is_err());
        assert_eq!(one.read().unwrap(), two.read().unwrap());
        let path = dir.path().join("accounts.json");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let said = one.read().unwrap_err().to_string();
        assert!(said.contains("chmod 600"), "{said}");
    }

    #[test]
    fn a_damaged_file_is_nobodys_and_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = AccountsFile::in_dir(dir.path());
        add(&file, "alice").unwrap();
        let path = dir.path().join("accounts.json");
        fs::write(&path, "{\"users\":").unwrap();
        assert!(file.read().is_err());
        let changed = file.change(|_| Ok(()));
        assert!(changed.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"users\":");
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    let file = AccountsFile::in_dir(path);
                    for n in 0..10 {
                        add(&file, &format!("u{thread}-{n}")).unwrap();
                    }
                });
            }
        });
        let all = AccountsFile::in_dir(path).read().unwrap();
        assert_eq!(all.users.len(), 40);
    }
}
