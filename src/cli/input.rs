//! What the user named: files, folders, specs, keys. Errors say what, where, and the mend.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use zeroize::Zeroizing;

use super::Common;
use super::specs::{self, Loaded};
use crate::alert::Alert;
use crate::alert::route::Router;
use crate::analysis::Analysis;
use crate::catalog::spec::SpecSet;
use crate::config::{Config, SpecSource};
use crate::store::Store;
use crate::tls::KeyStore;

/// Folders become the captures in them, by name.
pub(super) fn captures(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = list(path, is_capture)?;
        if inside.is_empty() {
            bail!(
                "{}: no capture in this folder (.pcap, .pcapng, .cap, also .gz and .zst)",
                path.display()
            );
        }
        files.append(&mut inside);
    }
    Ok(files)
}

fn is_capture(name: &str) -> bool {
    let bare = name.trim_end_matches(".gz").trim_end_matches(".zst");
    [".pcap", ".pcapng", ".cap", ".ntar"]
        .iter()
        .any(|end| bare.ends_with(end))
}

fn list(folder: &Path, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut files: Vec<_> = entries
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.is_file() && p.file_name().and_then(|n| n.to_str()).is_some_and(&wanted))
        .collect();
    files.sort();
    Ok(files)
}

/// Adds a key log, or an RSA private key in PEM, told by what is in the file.
pub(crate) fn keys(path: &Path, store: &KeyStore) -> anyhow::Result<()> {
    let text = std::fs::read(path).map(Zeroizing::new);
    let text = text.with_context(|| format!("cannot read the keys in {}", path.display()))?;
    if text.trim_ascii_start().starts_with(b"-----BEGIN") {
        let pem = std::str::from_utf8(&text)?;
        return store
            .add_private_key(pem)
            .with_context(|| path.display().to_string());
    }
    let lines = store.load(&text);
    if lines.malformed > 0 {
        eprintln!(
            "apitap: {}: {} of its lines are no key log's, {} are taken",
            path.display(),
            lines.malformed,
            lines.taken
        );
    }
    Ok(())
}

/// The specs of the command line and of `--config`, or an error that names all that is wrong.
pub(super) fn specs_or_fail(common: &Common) -> anyhow::Result<SpecSet> {
    let mut named: Vec<SpecSource> = common.specs.iter().map(|s| specs::named(s)).collect();
    named.extend(config(common)?.catalog.specs);
    let Loaded {
        set,
        refused,
        notes,
        ..
    } = specs::load(&named);
    if !refused.is_empty() {
        bail!("spec refused: {}", refused.join("\napitap: spec refused: "));
    }
    for note in notes {
        eprintln!("apitap: spec: {note}");
    }
    Ok(set)
}

/// Defaults, or the file of `--config`.
pub(super) fn config(common: &Common) -> anyhow::Result<Config> {
    Ok(match &common.config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    })
}

/// The analysis: new, or gone on with from `--state`.
pub(super) fn analysis(common: &Common) -> anyhow::Result<(Analysis, Option<Store>)> {
    let settings = config(common)?.analysis();
    let Some(dir) = &common.state else {
        return Ok((Analysis::new(settings), None));
    };
    let (store, recovered) = Store::open(dir, Router::default(), Box::new(|_| ()))?;
    for notice in &recovered.notices {
        eprintln!("apitap: {notice}");
    }
    Ok((crate::daemon::restore(settings, recovered), Some(store)))
}

/// Leaves the state for the next time.
pub(super) fn keep(store: Option<Store>, analysis: &mut Analysis, alerts: &[Alert]) {
    let Some(store) = store else { return };
    for alert in alerts {
        store.record(alert.clone());
    }
    for silence in analysis.alerts.ended_silences() {
        store.silence(silence);
    }
    for notice in analysis.alerts.notices() {
        store.tell(notice);
    }
    store.checkpoint(analysis.catalog.save(), analysis.detect.save());
    store.close();
}

/// The identity key: the file named, or the user's own.
pub(super) fn identity_key(named: Option<&Path>) -> anyhow::Result<[u8; 32]> {
    let path = named.map_or_else(|| user_state().join("identity.key"), Path::to_owned);
    Ok(crate::store::identity_key(&path)?)
}

/// XDG base directories: where a user's programs keep state.
fn user_state() -> PathBuf {
    let var = |name| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let base = var("XDG_STATE_HOME").or_else(|| var("HOME").map(|home| home.join(".local/state")));
    base.unwrap_or_else(std::env::temp_dir).join("apitap")
}
