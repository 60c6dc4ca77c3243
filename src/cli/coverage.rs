//! The summary's part on what could not be inspected, and on what lies open.

use std::cmp::Reverse;
use std::fmt::Write as _;

use super::summary::{ROWS, plain, table};
use crate::catalog::{CatalogView, Exposure, Inspection, TlsHostView, TlsView, percent};
use crate::tls;

/// How much was inspected, and the hosts with TLS that was not opened.
pub(super) fn dark(s: &mut String, view: &TlsView, counters: &tls::Counters) {
    let t = counters;
    let counts = [
        (t.records, "records opened"),
        (t.not_authentic, "that the keys do not fit"),
        (t.late, "sessions whose keys came too late"),
        (t.unsupported, "directions of an unknown suite or version"),
        (t.lost, "directions lost in holes"),
    ];
    let told: Vec<String> = counts
        .iter()
        .filter(|(n, _)| *n > 0 && t.records + t.not_authentic + t.late > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect();
    if !told.is_empty() {
        let _ = writeln!(s, "\nTLS: {}", told.join(", "));
    }
    if let Some(sentence) = view.coverage.sentence() {
        let _ = writeln!(s, "\nCoverage: {sentence}");
    }
    let mut hosts: Vec<&TlsHostView> = view.hosts.iter().map(AsRef::as_ref).collect();
    hosts.retain(|host| host.inspection != Inspection::Opened);
    if hosts.is_empty() {
        return;
    }
    hosts.sort_by_key(|host| Reverse(host.dark_bytes));
    let header = [
        "host",
        "flows",
        "opened",
        "bytes",
        "share",
        "TLS",
        "ALPN",
        "clients",
        "certificate until",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    let whole = view.coverage.whole();
    rows.extend(hosts.iter().take(ROWS).map(|host| row(host, whole)));
    let right = [false, true, true, true, true, false, false, true, false];
    table(s, &rows, &right);
    if hosts.len() > ROWS {
        let _ = writeln!(s, "  … and {} more", hosts.len() - ROWS);
    }
}

fn row(host: &TlsHostView, whole: u64) -> [String; 9] {
    let mut name = plain(&host.key);
    for (is, what) in [
        (host.ech, " (ECH offered)"),
        (host.quic == host.flows, " (QUIC)"),
    ] {
        name += if is { what } else { "" };
    }
    let certificate = host.certificate;
    let mut until = certificate
        .and_then(|c| c.not_after)
        .map(|end| end.to_string())
        .unwrap_or_default();
    if certificate.is_some_and(|c| c.self_signed) {
        until += ", self-signed";
    }
    [
        name,
        host.flows.to_string(),
        host.opened.to_string(),
        host.dark_bytes.to_string(),
        percent(host.dark_bytes, whole),
        host.versions.join(" ").replace("TLS ", ""),
        plain(&host.alpn.join(" ")),
        host.ja4.len().to_string(),
        until,
    ]
}

/// The worst first.
pub(super) fn findings(s: &mut String, view: &CatalogView) {
    let mut all: Vec<&Exposure> = view.exposures().collect();
    if all.is_empty() {
        return;
    }
    all.sort_by(|a, b| (b.severity, &a.subject, &a.what).cmp(&(a.severity, &b.subject, &b.what)));
    let _ = writeln!(s, "\n{} findings", all.len());
    let mut rows = vec![["severity", "what", "times", "first seen", "OWASP"].map(str::to_owned)];
    rows.extend(all.iter().take(ROWS).map(|f| {
        [
            f.severity.name().to_owned(),
            plain(&format!("{} {}", f.subject, f.what)),
            f.count.to_string(),
            f.first_seen.to_string(),
            f.owasp.clone(),
        ]
    }));
    table(s, &rows, &[false, false, true, false, false]);
    if all.len() > ROWS {
        let _ = writeln!(s, "  … and {} more", all.len() - ROWS);
    }
}
