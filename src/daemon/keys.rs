//! Keys of TLS for a daemon: private keys read once, key logs followed while they grow.
//!
//! A key log is written by another program at the moment of the handshake, so it is looked at a
//! few times a second; sessions wait that long. It may be rotated: a file that is another one, or
//! shorter than before, is read from its start.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context;
use zeroize::Zeroizing;

use crate::cli::input;
use crate::config;
use crate::tls::{KeyLog, KeyStore};

/// A look is one `stat`. What a session sends before its keys are read is held within a bound.
const PACE: Duration = Duration::from_millis(20);

/// Read at once of one file.
const PIECE: usize = 64 << 10;

/// The store that a config asks for. Where there are key logs, a thread fills it for as long as
/// anybody holds it.
pub(super) fn open(config: &config::Tls) -> anyhow::Result<Arc<KeyStore>> {
    let store = Arc::new(if config.key_logs.is_empty() {
        KeyStore::default()
    } else {
        KeyStore::growing()
    });
    for path in &config.private_keys {
        input::keys(path, &store).context("tls.private_keys")?;
    }
    if !config.key_logs.is_empty() {
        let mut logs: Vec<Followed> = config.key_logs.iter().map(Followed::new).collect();
        let store = Arc::downgrade(&store);
        std::thread::spawn(move || follow(&mut logs, &store));
    }
    Ok(store)
}

fn follow(logs: &mut [Followed], store: &Weak<KeyStore>) {
    while let Some(store) = store.upgrade() {
        for log in &mut *logs {
            log.look(&store);
        }
        drop(store);
        std::thread::sleep(PACE);
    }
}

/// One key log. Invariant: `read` bytes of the file `identity` were taken.
struct Followed {
    path: PathBuf,
    identity: (u64, u64),
    read: u64,
    log: KeyLog,
    /// Told once, not at each look.
    failing: bool,
}

impl Followed {
    fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            identity: (0, 0),
            read: 0,
            log: KeyLog::default(),
            failing: false,
        }
    }

    fn look(&mut self, store: &KeyStore) {
        let looked = self.take(store);
        if let Err(e) = &looked
            && !self.failing
        {
            tracing::warn!("key log {}: {e}", self.path.display());
        }
        self.failing = looked.is_err();
    }

    fn take(&mut self, store: &KeyStore) -> io::Result<()> {
        let about = std::fs::metadata(&self.path)?;
        let identity = (about.dev(), about.ino());
        if identity != self.identity || about.len() < self.read {
            self.log.finish(store);
            (self.identity, self.read) = (identity, 0);
        }
        if about.len() == self.read {
            return Ok(());
        }
        let mut file = File::open(&self.path)?;
        file.seek(io::SeekFrom::Start(self.read))?;
        let mut piece = Zeroizing::new(vec![0; PIECE]);
        loop {
            let n = file.read(&mut piece)?;
            if n == 0 {
                return Ok(());
            }
            self.log.push(&piece[..n], store);
            self.read += n as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn line(n: u8) -> String {
        let random = format!("{n:02x}").repeat(32);
        format!("CLIENT_RANDOM {random} {}\n", "07".repeat(48))
    }

    #[test]
    fn a_key_log_is_followed_through_growth_and_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let store = KeyStore::growing();
        let mut followed = Followed::new(&path);
        let mut taken = |expected| {
            followed.look(&store);
            assert_eq!(followed.log.lines().taken, expected);
        };
        // Not there yet.
        taken(0);
        let mut file = File::create(&path).unwrap();
        file.write_all(line(1).as_bytes()).unwrap();
        // Half a line is no line.
        file.write_all(&line(2).as_bytes()[..40]).unwrap();
        taken(1);
        file.write_all(&line(2).as_bytes()[40..]).unwrap();
        taken(2);
        taken(2);
        // Truncated in place, then another file under the name.
        std::fs::write(&path, line(3)).unwrap();
        taken(3);
        std::fs::write(dir.path().join("next"), line(4) + &line(5) + &line(6)).unwrap();
        std::fs::rename(dir.path().join("next"), &path).unwrap();
        taken(6);
    }

    #[test]
    fn the_thread_ends_with_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        std::fs::write(&path, line(1)).unwrap();
        let store = Arc::new(KeyStore::growing());
        let weak = Arc::downgrade(&store);
        let thread = std::thread::spawn(move || follow(&mut [Followed::new(&path)], &weak));
        drop(store);
        thread.join().unwrap();
    }
}
