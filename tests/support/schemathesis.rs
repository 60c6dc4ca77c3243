//! Schemathesis of PyPI, as `make api-deps` installs it; its settings stand in `tests/api`.

use std::path::Path;
use std::process::Command;

/// Runs it against the document of a server; false where it is not installed, which is said, and not passed
/// over where all is required.
pub(crate) fn run(base: &str, more: &[&str]) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("target/schemathesis/bin/schemathesis");
    if !program.is_file() {
        let needed = std::env::var_os("APITAP_NEED_SCHEMATHESIS").is_some();
        assert!(!needed, "required here, and missing: {}", program.display());
        eprintln!(
            "SKIPPED: {} is absent; `make api-deps` installs it",
            program.display()
        );
        return false;
    }
    let dir = tempfile::tempdir().unwrap();
    let done = Command::new(program)
        .arg("--config-file")
        .arg(root.join("tests/api/schemathesis.toml"))
        .env("SCHEMATHESIS_HOOKS", root.join("tests/api/hooks.py"))
        .args(["run", &format!("{base}/api/v1/openapi.json")])
        .args(more)
        .current_dir(dir.path())
        .output()
        .unwrap();
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&said));
    true
}
