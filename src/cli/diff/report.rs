//! Differences for people and for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::catalog::diff::{Change, Difference, What};
use crate::cli::summary::plain;

/// One line of `--format json`.
pub(super) fn json(d: &Difference) -> Value {
    let change =
        |c: &Change| json!({ "what": c.what.name(), "name": c.name, "old": c.old, "new": c.new });
    let changes: Vec<Value> = d.changes.iter().map(change).collect();
    let name = if d.kind == What::Host {
        "host"
    } else {
        "endpoint"
    };
    let mut out = json!({ "v": 1, "kind": d.kind.name(), name: d.subject });
    let members = [
        ("key", d.key.clone().map(Value::from)),
        ("marks", (!d.marks.is_empty()).then(|| json!(d.marks))),
        ("changes", (!changes.is_empty()).then(|| json!(changes))),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            out[name] = value;
        }
    }
    out
}

/// A line for each difference, its changes below it; the sums at the end.
pub(super) fn table(differences: &[Difference]) -> String {
    let mut s = String::new();
    let width = differences
        .iter()
        .map(|d| d.kind.name().len())
        .max()
        .unwrap_or(0);
    // Writing to a String cannot fail.
    for d in differences {
        let sign = match d.kind {
            What::Added | What::Shadow => '+',
            What::Removed | What::Unseen => '-',
            What::Host if d.marks.iter().any(|m| m == "added") => '+',
            What::Host => '-',
            _ => '~',
        };
        let marks = if d.marks.is_empty() {
            String::new()
        } else {
            format!("  ({})", plain(&d.marks.join(", ")))
        };
        let _ = writeln!(
            s,
            "{sign} {:width$}  {}{marks}",
            d.kind.name(),
            plain(&d.subject)
        );
        for c in &d.changes {
            let name = c
                .name
                .as_ref()
                .map(|n| format!(" {}", plain(n)))
                .unwrap_or_default();
            let _ = writeln!(s, "    {}{name}: {}", c.what.name(), turn(c));
        }
    }
    let mut kinds: Vec<What> = differences.iter().map(|d| d.kind).collect();
    kinds.sort_unstable();
    let sums = kinds
        .chunk_by(|a, b| a == b)
        .map(|k| format!("{} {}", k.len(), k[0].name()));
    let sums: Vec<String> = sums.collect();
    let all = if sums.is_empty() {
        "no difference".to_owned()
    } else {
        sums.join(", ")
    };
    let _ = writeln!(s, "{all}");
    s
}

fn turn(c: &Change) -> String {
    let text = |t: &Option<String>| t.as_deref().map(plain);
    match (text(&c.old), text(&c.new)) {
        (Some(old), Some(new)) => format!("{old} → {new}"),
        (None, Some(new)) if new == "seen" => "new".into(),
        (None, Some(new)) => format!("new, {new}"),
        (Some(_), None) | (None, None) => "gone".into(),
    }
}
