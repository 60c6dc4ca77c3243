//! The flight recorder, and where the packets of alerts are saved. Off unless somebody turns it on:
//! packets hold what people say to each other.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ByteSize;
use crate::detect::Severity;
use crate::sensor;

/// A ring holds some hundred full frames at least, or it is none.
const LEAST_RING: u64 = 1 << 20;
/// Headers of a tunnel, IP and TCP at least.
const LEAST_SNAP: u32 = 128;

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evidence {
    /// Memory for the last packets of each interface; 0: none are kept.
    pub ring: ByteSize,
    pub snap_length: u32,
    /// Where packets of alerts are saved; empty: `evidence` in the state directory.
    pub dir: PathBuf,
    pub max_saved: ByteSize,
    /// Alerts as severe as this, or worse.
    pub severity: Severity,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            ring: ByteSize(0),
            snap_length: 65_535,
            dir: PathBuf::new(),
            max_saved: ByteSize(256 << 20),
            severity: Severity::High,
        }
    }
}

impl Evidence {
    pub fn is_on(&self) -> bool {
        self.ring.0 > 0
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.is_on() && self.ring.0 < LEAST_RING {
            return Err(("ring", "must be 0 (off) or 1MiB and more".into()));
        }
        if self.snap_length < LEAST_SNAP {
            return Err(("snap_length", format!("must be {LEAST_SNAP} or more")));
        }
        Ok(())
    }

    pub fn recorder(&self) -> sensor::RecorderSettings {
        sensor::RecorderSettings {
            ring: usize::try_from(self.ring.0).unwrap_or(usize::MAX),
            snap_length: self.snap_length as usize,
        }
    }

    pub fn dir(&self, state: &Path) -> PathBuf {
        if self.dir.as_os_str().is_empty() {
            state.join("evidence")
        } else {
            self.dir.clone()
        }
    }
}
