//! sled: checkpoints and the index of alerts. Each value has a version and a CRC; whatever is
//! wrong, the directory is moved aside and a clean one is opened.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::{StoreError, io_error};
use crate::alert::Alert;

const VERSION: u8 = 1;
const CACHE: u64 = 64 << 20;

pub(super) struct Checkpoints {
    db: sled::Db,
    checkpoint: sled::Tree,
    alerts: sled::Tree,
}

type Found = (Option<Vec<u8>>, Option<Vec<u8>>);

impl Checkpoints {
    pub(super) fn open(dir: &Path, notices: &mut Vec<String>) -> Result<(Self, Found), StoreError> {
        let path = dir.join("sled");
        match Self::try_open(&path) {
            Ok(opened) => Ok(opened),
            Err(why) => {
                let aside = dir.join(format!(
                    "sled.corrupt-{}",
                    jiff::Timestamp::now().as_second()
                ));
                fs::rename(&path, &aside).map_err(io_error(&path))?;
                notices.push(format!(
                    "the checkpoint store was damaged ({why}) and was moved to {}; inventory and baselines start clean, alerts are kept",
                    aside.display()
                ));
                let (opened, _) =
                    Self::try_open(&path).map_err(|why| StoreError::Io { path, why })?;
                Ok((opened, (None, None)))
            }
        }
    }

    /// The inventory alone, of a store that stays as it is.
    pub(super) fn inventory(dir: &Path) -> Result<Option<Vec<u8>>, StoreError> {
        let path = dir.join("sled");
        let opened = Self::try_open(&path);
        let (_, (catalog, _)) = opened.map_err(|why| StoreError::Io { path, why })?;
        Ok(catalog)
    }

    /// sled is known to panic on some damage; that is a failed open too.
    fn try_open(path: &Path) -> Result<(Self, Found), String> {
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let db = sled::Config::new()
                .path(path)
                .mode(sled::Mode::LowSpace)
                .cache_capacity(CACHE)
                .flush_every_ms(None)
                .open()?;
            let (checkpoint, alerts) = (db.open_tree("checkpoint")?, db.open_tree("alerts")?);
            let catalog = checkpoint.get("catalog")?;
            let detect = checkpoint.get("detect")?;
            // Every page is read once, so that damage shows now and not at three in the morning.
            for item in alerts.iter() {
                item?;
            }
            Ok::<_, sled::Error>((
                Self {
                    db,
                    checkpoint,
                    alerts,
                },
                catalog,
                detect,
            ))
        }));
        let (store, catalog, detect) = match opened {
            Ok(Ok(found)) => found,
            Ok(Err(e)) => return Err(e.to_string()),
            Err(_) => return Err("sled panicked while opening it".into()),
        };
        let catalog = catalog
            .map(|v| unseal(&v).ok_or("the inventory's checksum is wrong"))
            .transpose()?;
        let detect = detect
            .map(|v| unseal(&v).ok_or("the baselines' checksum is wrong"))
            .transpose()?;
        Ok((store, (catalog, detect)))
    }

    pub(super) fn write(&self, catalog: &[u8], detect: &[u8]) -> Result<(), String> {
        let write = || {
            let mut batch = sled::Batch::default();
            batch.insert("catalog", seal(catalog));
            batch.insert("detect", seal(detect));
            self.checkpoint.apply_batch(batch)?;
            self.db.flush()
        };
        write().map(|_| ()).map_err(|e| e.to_string())
    }

    /// The index anew from the journal, which decides what is kept.
    pub(super) fn rebuild<'a>(
        &self,
        alerts: impl Iterator<Item = &'a Alert>,
    ) -> Result<(), String> {
        self.alerts.clear().map_err(|e| e.to_string())?;
        alerts.into_iter().try_for_each(|alert| self.index(alert))
    }

    pub(super) fn index(&self, alert: &Alert) -> Result<(), String> {
        let json = serde_json::to_vec(alert).map_err(|e| e.to_string())?;
        self.alerts
            .insert(&alert.id, json)
            .map(|_| ())
            .map_err(|e| e.to_string())
    }

    pub(super) fn flush(&self) {
        // The journal has the alerts; a checkpoint was flushed when it was written.
        let _ = self.db.flush();
    }
}

fn seal(data: &[u8]) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&crc32fast::hash(data).to_le_bytes());
    out.extend_from_slice(data);
    out
}

fn unseal(value: &[u8]) -> Option<Vec<u8>> {
    let (head, data) = value.split_at_checked(5)?;
    let crc = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    (head[0] == VERSION && crc == crc32fast::hash(data)).then(|| data.to_vec())
}
