//! What a side is, told by what is in it: inventory lines, documents, a state directory.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::catalog::diff::Side;
use crate::catalog::{Catalog, Settings, spec};
use crate::cli::specs;
use crate::store;

/// Inventory lines, documents or a state directory.
pub(super) fn read(path: &Path) -> anyhow::Result<Side> {
    let name = path.display().to_string();
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        return of_text("standard input", &text);
    }
    if path.is_dir() {
        if path.join("sled").is_dir() {
            return of_state(path);
        }
        let files = specs::list(path).map_err(anyhow::Error::msg)?;
        if files.is_empty() {
            bail!("{name}: neither a state directory nor a folder of documents");
        }
        let sides = files.iter().map(|file| read(file));
        let sides = sides.collect::<anyhow::Result<Vec<_>>>()?;
        if let Some(at) = sides.iter().position(|s| !s.spec) {
            bail!(
                "{}: no OpenAPI document; name inventories one by one",
                files[at].display()
            );
        }
        return Ok(Side::of_sides(sides));
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    of_text(&name, &text)
}

fn of_text(name: &str, text: &str) -> anyhow::Result<Side> {
    let first = text.trim_start().lines().next().unwrap_or_default();
    let is_line = |v: &Value| v.get("template").is_some() && v.get("method").is_some();
    if text.trim().is_empty() {
        // The inventory of nothing has no lines.
        return Ok(Side::of_lines(&[]));
    }
    if serde_json::from_str::<Value>(first).is_ok_and(|v| is_line(&v)) {
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, l)| !l.trim().is_empty());
        let parsed = lines.map(|(n, line)| {
            let value: Value =
                serde_json::from_str(line).with_context(|| format!("{name}:{}", n + 1))?;
            anyhow::ensure!(is_line(&value), "{name}:{}: no line of an inventory", n + 1);
            Ok(value)
        });
        return Ok(Side::of_lines(&parsed.collect::<anyhow::Result<Vec<_>>>()?));
    }
    // Refused with file, line and reason.
    spec::parse(name, text)?;
    let document = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(_) => serde_saphyr::from_str(text).map_err(|e| anyhow::anyhow!("{name}: {e}"))?,
    };
    Ok(Side::of_document(&document))
}

/// The last checkpoint of a daemon that does not run now.
fn of_state(dir: &Path) -> anyhow::Result<Side> {
    let saved = store::checkpoint(dir)?;
    let Some(saved) = saved else {
        bail!(
            "{}: no checkpoint in this state directory yet",
            dir.display()
        );
    };
    let mut catalog =
        Catalog::restore(Settings::default(), &saved).with_context(|| dir.display().to_string())?;
    let view = catalog.view();
    let lines = view
        .endpoints
        .iter()
        .map(|e| serde_json::to_value(e.as_ref()));
    Ok(Side::of_lines(&lines.collect::<Result<Vec<_>, _>>()?))
}
