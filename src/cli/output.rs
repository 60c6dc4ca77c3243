//! Where results go: a file or standard output, buffered.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context;

/// Large enough that writing costs little, small enough to be nothing in memory.
const BUFFER: usize = 128 << 10;

pub(super) fn open(path: Option<&Path>) -> anyhow::Result<BufWriter<Box<dyn Write>>> {
    let target: Box<dyn Write> = match path {
        Some(path) => Box::new(
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?,
        ),
        None => Box::new(io::stdout()),
    };
    Ok(BufWriter::with_capacity(BUFFER, target))
}
