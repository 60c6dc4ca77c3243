//! (skeleton)
use crate::{analysis::Analysis, sensor::Ledger};
use std::path::Path;
use std::process::ExitCode;
pub(crate) fn run(_config: Option<&Path>, _interfaces: &[String]) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not yet")
}
pub(crate) fn demo(_listen: std::net::SocketAddr, _seed: u64) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not yet")
}
pub(crate) fn serve(_analysis: &mut Analysis, _ledger: &Ledger) -> anyhow::Result<()> {
    anyhow::bail!("not yet")
}
pub(crate) fn secret(_hook: &crate::config::Webhook) -> anyhow::Result<Vec<u8>> {
    anyhow::bail!("not yet")
}
