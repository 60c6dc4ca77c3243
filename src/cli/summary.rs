//! Results in the format that was asked for. Captured text goes to a terminal only through
//! [`plain`].

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;

use super::read::Reading;
use super::{Format, coverage};
use crate::alert::{Alert, Status};
use crate::analysis::Analysis;
use crate::catalog::owasp::owasp;
use crate::catalog::{CatalogView, Documentation, EndpointView, Life, openapi};
use crate::export;
use crate::sensor::{Ledger, Readings, doctor};

/// Rows of a table in the summary; `--format inventory` has all of them.
pub(super) const ROWS: usize = 25;

pub(super) fn write(
    format: Format,
    host: Option<&str>,
    analysis: &mut Analysis,
    reading: &Reading,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let view = analysis.view();
    let of_host = |e: &&EndpointView| host.is_none_or(|h| e.host == h);
    let endpoints = view.endpoints.iter().map(AsRef::as_ref).filter(of_host);
    match format {
        Format::Exchanges => {}
        Format::Inventory => {
            for endpoint in endpoints {
                serde_json::to_writer(&mut *out, endpoint)?;
                out.write_all(b"\n")?;
            }
        }
        Format::Alerts => {
            for alert in &reading.alerts {
                serde_json::to_writer(&mut *out, alert)?;
                out.write_all(b"\n")?;
            }
        }
        Format::Assignments => {
            for (i, [method, host, path, operation]) in reading.requests.iter().enumerate() {
                if let Some(endpoint) = analysis.catalog.assign(
                    method,
                    host,
                    path,
                    Some(&**operation).filter(|o| !o.is_empty()),
                ) {
                    serde_json::to_writer(
                        &mut *out,
                        &serde_json::json!({ "line": i + 1, "endpoint": endpoint }),
                    )?;
                    out.write_all(b"\n")?;
                }
            }
        }
        Format::Openapi => {
            let mut documents = openapi::documents(&endpoints.collect::<Vec<_>>());
            if documents.is_empty() {
                documents.push(openapi::empty_document());
            }
            for document in documents {
                serde_json::to_writer_pretty(&mut *out, &document)?;
                out.write_all(b"\n")?;
            }
        }
        Format::Csv => {
            out.write_all(&export::header::<EndpointView>())?;
            for endpoint in endpoints {
                out.write_all(&export::row(endpoint))?;
            }
        }
        Format::Ledger => {
            serde_json::to_writer(&mut *out, &reading.ledger.to_json())?;
            out.write_all(b"\n")?;
        }
        Format::Owasp => {
            let alerts = analysis.alerts.view();
            let open = alerts.alerts.iter().filter(|a| a.status == Status::Open);
            for category in owasp(&view, open.map(|a| a.owasp.as_str())) {
                serde_json::to_writer(&mut *out, &category)?;
                out.write_all(b"\n")?;
            }
        }
        Format::Summary => out.write_all(summary(&view, reading).as_bytes())?,
    }
    Ok(())
}

fn summary(view: &CatalogView, reading: &Reading) -> String {
    let mut s = String::new();
    // Writing to a String cannot fail.
    if reading.exchanges == 0 {
        let _ = writeln!(s, "No HTTP exchange was found.");
    } else {
        let _ = writeln!(
            s,
            "{} exchanges from {} to {}",
            reading.exchanges, reading.from, reading.to
        );
    }
    ledger(&mut s, &reading.ledger);
    tap_doctor(&mut s, &reading.readings);
    endpoints(&mut s, view);
    coverage::dark(&mut s, &view.tls, &reading.tls);
    coverage::findings(&mut s, view);
    alerts(&mut s, &reading.alerts);
    s
}

fn ledger(s: &mut String, ledger: &Ledger) {
    if ledger.stages.is_empty() {
        return;
    }
    let mut rows =
        vec![["stage", "in", "analysed", "ignored", "malformed", "shed"].map(str::to_owned)];
    for name in ["frame", "segment", "datagram", "message", "exchange"] {
        let Some(stage) = ledger.stages.get(name) else {
            continue;
        };
        let sum = |c: &crate::sensor::Counters| c.values().sum::<u64>().to_string();
        let (ignored, malformed, shed) =
            (sum(&stage.ignored), sum(&stage.malformed), sum(&stage.shed));
        rows.push([
            name.into(),
            stage.received.to_string(),
            stage.analysed.to_string(),
            ignored,
            malformed,
            shed,
        ]);
    }
    let _ = writeln!(
        s,
        "\nLedger ({})",
        if ledger.balanced() {
            "balanced"
        } else {
            "NOT BALANCED: a bug, please report it"
        }
    );
    table(s, &rows, &[false, true, true, true, true, true]);
    let reasons: Vec<String> = ledger
        .stages
        .values()
        .flat_map(|stage| {
            stage
                .ignored
                .iter()
                .chain(&stage.malformed)
                .chain(&stage.shed)
        })
        .map(|(reason, n)| format!("{reason} {n}"))
        .collect();
    if !reasons.is_empty() {
        let _ = writeln!(s, "  not analysed: {}", reasons.join(", "));
    }
}

/// What is wrong with the tap, and the mend; one line where nothing is.
fn tap_doctor(s: &mut String, readings: &Readings) {
    if readings.taps.is_empty() {
        return;
    }
    let symptoms = doctor::diagnose(readings);
    if symptoms.is_empty() {
        let _ = writeln!(s, "\nTap doctor: {}", plain(&doctor::sound(readings)));
        return;
    }
    let _ = writeln!(s, "\nTap doctor");
    for line in doctor_lines(&symptoms) {
        let _ = writeln!(s, "  {line}");
    }
}

/// Grade, tap, what is seen; and below it, the mend.
pub(super) fn doctor_lines(symptoms: &[doctor::Symptom]) -> Vec<String> {
    // An interface's name is text from a file.
    let taps: Vec<String> = symptoms.iter().map(|x| plain(&x.tap)).collect();
    let width = taps.iter().map(|t| t.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (x, tap) in symptoms.iter().zip(&taps) {
        let pad = " ".repeat(width - tap.chars().count());
        lines.push(format!("{:<7}  {tap}{pad}  {}", x.severity.name(), x.text));
        lines.push(format!("{:<7}  {:width$}  mend: {}", "", "", x.mend));
    }
    lines
}

fn endpoints(s: &mut String, view: &CatalogView) {
    let confirmed: Vec<&EndpointView> = view
        .endpoints
        .iter()
        .map(AsRef::as_ref)
        .filter(|e| e.confirmed)
        .collect();
    let candidates = view.endpoints.len() - confirmed.len();
    let _ = writeln!(
        s,
        "\n{} endpoints, {candidates} candidates",
        confirmed.len()
    );
    if confirmed.is_empty() {
        return;
    }
    let mut by_use = confirmed;
    by_use.sort_by_key(|e| std::cmp::Reverse(e.requests));
    let mut rows = vec![["endpoint", "requests", "errors", "status"].map(str::to_owned)];
    for e in by_use.iter().take(ROWS) {
        let errors = e.by_class[4] + e.by_class[5];
        rows.push([
            plain(&e.label()),
            e.requests.to_string(),
            errors.to_string(),
            status(e),
        ]);
    }
    table(s, &rows, &[false, true, true, false]);
    if by_use.len() > ROWS {
        let _ = writeln!(
            s,
            "  … and {} more: --format inventory",
            by_use.len() - ROWS
        );
    }
}

fn status(e: &EndpointView) -> String {
    let mut words = vec![match e.documentation {
        Documentation::Documented => "documented",
        Documentation::Shadow => "SHADOW",
        Documentation::Unreviewed => "unreviewed",
    }];
    words.extend(e.deprecated.then_some("deprecated"));
    words.extend(e.zombie.then_some("zombie"));
    words.extend((e.life == Life::New).then_some("new"));
    words.extend((e.life == Life::Dormant).then_some("dormant"));
    words.extend(
        e.held_back
            .is_some()
            .then_some("dormant held back (lossy capture)"),
    );
    words.join(", ")
}

fn alerts(s: &mut String, all: &[Alert]) {
    let mut by_id: HashMap<&str, usize> = HashMap::new();
    let mut kept: Vec<&Alert> = Vec::new();
    for alert in all {
        match by_id.get(alert.id.as_str()) {
            Some(at) => kept[*at] = alert,
            None => {
                by_id.insert(&alert.id, kept.len());
                kept.push(alert);
            }
        }
    }
    let _ = writeln!(s, "\n{} alerts", kept.len());
    kept.sort_by_key(|a| (std::cmp::Reverse(a.severity), a.ts));
    let mut rows = vec![["severity", "kind", "since", "what"].map(str::to_owned)];
    for a in kept.iter().take(ROWS) {
        let severity = format!("{:?}", a.severity).to_lowercase();
        rows.push([
            severity,
            plain(&a.kind),
            a.since.to_string(),
            plain(&a.summary),
        ]);
    }
    if !kept.is_empty() {
        table(s, &rows, &[false; 4]);
    }
    if kept.len() > ROWS {
        let _ = writeln!(s, "  … and {} more: --format alerts", kept.len() - ROWS);
    }
}

/// Aligned columns; `right` says which are numbers.
pub(super) fn table<const N: usize>(s: &mut String, rows: &[[String; N]], right: &[bool; N]) {
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in rows {
        let cells = row.iter().enumerate().map(|(i, cell)| {
            let pad = " ".repeat(widths[i] - cell.chars().count());
            if right[i] {
                format!("{pad}{cell}")
            } else {
                format!("{cell}{pad}")
            }
        });
        let line: Vec<String> = cells.collect();
        let _ = writeln!(s, "  {}", line.join("  ").trim_end());
    }
}

/// Text from the network, for a terminal: no control character reaches it (an escape sequence
/// could retitle the window, or worse), and nothing is longer than a line.
pub(super) fn plain(text: &str) -> String {
    const MAX: usize = 120;
    let mut out = String::new();
    for c in text.chars().take(MAX) {
        // Bidirectional controls reorder what is shown.
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if hidden {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    if text.chars().nth(MAX).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_captured_moves_the_cursor() {
        let shown = plain("a\u{1b}[2Jb\r\n\u{202e}c\u{9b}");
        assert!(
            shown.chars().all(|c| !c.is_control() && c != '\u{202e}'),
            "{shown}"
        );
        assert!(plain(&"x".repeat(500)).chars().count() <= 121);
    }

    #[test]
    fn columns_are_aligned() {
        let mut s = String::new();
        table(
            &mut s,
            &[["a".into(), "1".into()], ["bcd".into(), "100".into()]],
            &[false, true],
        );
        assert_eq!(s, "  a      1\n  bcd  100\n");
    }
}
