//! Detection on real data: NAB's labelled count series and a web server's log, both in
//! `../shared/detection/real`. Prints precision and recall beside a plain EWMA's, then each alert
//! that the log raises. Skipped, loudly, where the folder is absent.
//!
//! `cargo bench --bench detection` (or `make bench-detection`).
#![allow(clippy::unwrap_used)]

#[path = "detection/nab.rs"]
mod nab;
#[path = "detection/weblog.rs"]
mod weblog;

use std::fs::File;
use std::io::Read;
use std::path::Path;

fn main() {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/detection/real");
    if !real.is_dir() {
        println!("SKIPPED: {} is absent", real.display());
        return;
    }
    nab::run(&real);
    weblog::run(&real);
}

/// A gzip file's text.
fn text(path: &Path) -> String {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    text
}
