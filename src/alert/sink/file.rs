//! A file of JSON Lines. It is opened for each alert (they are rare), so that a rotated, removed or
//! replaced file needs no signal; what was written is on disk before the alert counts as taken.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::{Failure, text};
use crate::alert::Alert;

pub(super) struct Lines {
    path: PathBuf,
}

impl Lines {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) async fn send(&self, alert: &Alert) -> Result<(), Failure> {
        let mut line = text::json(alert).map_err(Failure::refusal)?;
        line.push('\n');
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || append(&path, line.as_bytes())).await;
        let name = self.path.display();
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Failure::passing(format!("{name}: {e}"))),
            Err(e) => Err(Failure::passing(e)),
        }
    }
}

fn append(path: &std::path::Path, line: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let before = file.metadata()?.len();
    let written = file.write_all(line).and_then(|()| file.sync_data());
    if written.is_err() {
        // Half a line must not stand before the next one.
        let _ = file.set_len(before);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sink::tests::{alert, hostile};
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn lines_are_private_and_follow_a_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.jsonl");
        let lines = Lines::new(path.clone());
        lines.send(&alert()).await.unwrap();
        lines.send(&hostile()).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let old = dir.path().join("alerts.jsonl.1");
        std::fs::rename(&path, &old).unwrap();
        lines.send(&alert()).await.unwrap();
        let read = |path| -> Vec<Alert> {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines()
                .map(|l| serde_json::from_str(l).unwrap())
                .collect()
        };
        assert_eq!(read(old), [alert(), hostile()]);
        assert_eq!(read(path), [alert()]);
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_tried_again() {
        let lines = Lines::new("/nowhere/alerts.jsonl".into());
        let failure = lines.send(&alert()).await.unwrap_err();
        assert!(
            !failure.is_refusal && failure.why.contains("/nowhere"),
            "{failure:?}"
        );
        // A disk that is full.
        let full = Lines::new("/dev/full".into()).send(&alert()).await;
        assert!(full.unwrap_err().why.contains("No space"));
    }
}
