//! `apitap diff`: what is different between two inventories, or an inventory and a spec.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::output;
use crate::catalog::diff::{Difference, What, compare};

mod report;
mod side;

/// Differences were found, and the exit code was to say so.
const DIFFERENT: u8 = 3;

#[derive(clap::Args)]
pub(super) struct DiffArgs {
    /// Inventory lines, an OpenAPI document or a folder of them, the state directory of a daemon
    /// that does not run, or `-`
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The same; compared with an inventory, a document tells what is shadow, unseen or undocumented
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// `table` for people, `json` for one difference a line
    #[arg(long, value_enum, default_value = "table")]
    format: Form,
    /// Only these differences
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    only: Vec<What>,
    /// Exit with 3 where there are differences
    #[arg(long)]
    exit_code: bool,
    /// Write here instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Table,
    Json,
}

impl ValueEnum for What {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.meaning()))
    }
}

pub(super) fn diff(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    if [&args.old, &args.new].iter().all(|p| p.as_os_str() == "-") {
        eprintln!("apitap: only one side can be standard input");
        return Ok(ExitCode::from(2));
    }
    let (old, new) = (side::read(&args.old)?, side::read(&args.new)?);
    let (mut differences, outside) = compare(&old, &new);
    differences.retain_mut(|d| keep(d, &args.only));
    let mut out = output::open(args.output.as_deref())?;
    match args.format {
        Form::Table => out.write_all(report::table(&differences).as_bytes())?,
        Form::Json => {
            for d in &differences {
                serde_json::to_writer(&mut out, &report::json(d))?;
                out.write_all(b"\n")?;
            }
        }
    }
    out.flush()?;
    if outside > 0 {
        eprintln!(
            "apitap: {outside} endpoints on hosts and paths that no document owns were left out"
        );
    }
    let code = if args.exit_code && !differences.is_empty() {
        DIFFERENT
    } else {
        0
    };
    Ok(ExitCode::from(code))
}

/// Cuts a difference down to what was asked for; whether something is left.
fn keep(d: &mut Difference, only: &[What]) -> bool {
    if only.is_empty() || only.iter().any(|what| d.is(*what)) {
        return true;
    }
    d.changes
        .retain(|c| only.contains(&c.what) || (only.contains(&What::Shadow) && c.is_shadow()));
    !d.changes.is_empty()
}
