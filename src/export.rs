//! Lists as CSV: RFC 4180 with a header row, UTF-8, and safe to open in a spreadsheet.
//!
//! Captured text may be a formula (OWASP "CSV injection"): a cell that begins with `=`, `+`, `-`,
//! `@`, tab or carriage return, behind white space and quotes too and in their full-width forms,
//! gets an apostrophe in front. Control characters and those that turn the direction of text are
//! escaped as `\u{..}`, so that a record is one line.

use std::collections::BTreeSet;

use crate::alert::{Alert, Incident};
use crate::catalog::{EndpointView, Exposure, Quantiles};
use crate::time::Timestamp;

/// Something that is a row of a list.
pub trait Row {
    const COLUMNS: &'static [&'static str];

    /// A cell for each column.
    fn cells(&self) -> Vec<String>;
}

/// The header row of a list.
pub fn header<T: Row>() -> Vec<u8> {
    record(T::COLUMNS.iter().copied())
}

/// One item as a record.
pub fn row<T: Row>(item: &T) -> Vec<u8> {
    record(item.cells().iter().map(|cell| safe(cell)))
}

/// The header row of some columns, by their place among all.
pub fn header_of<T: Row>(columns: &[usize]) -> Vec<u8> {
    record(columns.iter().filter_map(|at| T::COLUMNS.get(*at)))
}

/// One item as a record of some columns.
pub fn row_of<T: Row>(item: &T, columns: &[usize]) -> Vec<u8> {
    let cells = item.cells();
    let some = columns.iter().filter_map(|at| cells.get(*at));
    record(some.map(|cell| safe(cell)))
}

fn record(cells: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    // Writing to memory fails for records of unequal length alone, and there is one.
    let _ = writer.write_record(cells);
    writer.into_inner().unwrap_or_default()
}

/// Text as a cell that no spreadsheet takes for anything else.
fn safe(text: &str) -> String {
    let blank =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '\u{feff}');
    let first = text.trim_start_matches(blank).chars().next();
    let formula = first.is_some_and(|c| "=+-@＝＋－＠".contains(c));
    let mut out = String::with_capacity(text.len() + 1);
    if formula || text.starts_with(['\t', '\r']) {
        out.push('\'');
    }
    for c in text.chars() {
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if hidden {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

fn time(t: Option<Timestamp>) -> String {
    t.map(|t| t.to_string()).unwrap_or_default()
}

/// The word that JSON has for it.
fn word(value: impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

fn quantiles(q: Option<Quantiles>) -> [String; 3] {
    let text = |v: Option<f64>| v.map(|v| v.to_string()).unwrap_or_default();
    [q.map(|q| q.p50), q.map(|q| q.p90), q.map(|q| q.p99)].map(text)
}

impl Row for EndpointView {
    const COLUMNS: &'static [&'static str] = &[
        "key",
        "method",
        "host",
        "template",
        "operation",
        "kind",
        "confirmed",
        "documentation",
        "life",
        "deprecated",
        "zombie",
        "sunset",
        "first_seen",
        "last_seen",
        "requests",
        "no_response",
        "1xx",
        "2xx",
        "3xx",
        "4xx",
        "5xx",
        "latency_ms_p50",
        "latency_ms_p90",
        "latency_ms_p99",
        "callers",
        "auth",
        "sensitive",
        "findings",
        "spec",
        "operation_id",
        "reasons",
        "risk",
        "exposure",
        "tags",
        "owner",
        "note",
        "last_week",
        "week_before",
    ];

    fn cells(&self) -> Vec<String> {
        let list = |parts: Vec<String>| parts.join("; ");
        let auth = self
            .auth
            .iter()
            .map(|a| format!("{} {}", a.scheme, a.requests));
        let sensitive = self.sensitive.iter().map(|s| {
            format!(
                "{} {} {} {} {}",
                s.class, s.direction, s.place, s.pointer, s.count
            )
        });
        let findings = self
            .findings
            .iter()
            .map(|f| format!("{} {}", f.kind.name(), f.what));
        let reasons = self
            .reasons
            .iter()
            .map(|r| format!("{}: {}", r.status, r.why));
        let optional = |text: &Option<String>| text.clone().unwrap_or_default();
        let mut cells = vec![
            self.key.clone(),
            self.method.clone(),
            self.host.clone(),
            self.template.clone(),
            optional(&self.operation),
            word(self.kind),
            self.confirmed.to_string(),
            word(self.documentation),
            word(self.life),
            self.deprecated.to_string(),
            self.zombie.to_string(),
            time(self.sunset),
            time(self.first_seen),
            time(self.last_seen),
            self.requests.to_string(),
        ];
        cells.extend(self.by_class.map(|n| n.to_string()));
        cells.extend(quantiles(self.latency));
        cells.extend([
            self.callers.to_string(),
            list(auth.collect()),
            list(sensitive.collect()),
            list(findings.collect()),
            optional(&self.spec),
            optional(&self.operation_id),
            list(reasons.collect()),
            self.risk.to_string(),
            self.exposure.map(word).unwrap_or_default(),
            list(self.tags.clone()),
            optional(&self.owner),
            optional(&self.note),
            self.last_week.to_string(),
            self.week_before.to_string(),
        ]);
        cells
    }
}

impl Row for Exposure {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "kind",
        "severity",
        "owasp",
        "subject",
        "host",
        "port",
        "endpoint",
        "what",
        "why",
        "first_seen",
        "last_seen",
        "count",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.kind.name().to_owned(),
            self.severity.name().to_owned(),
            self.owasp.to_string(),
            self.subject.clone(),
            self.host.clone(),
            self.port.map(|p| p.to_string()).unwrap_or_default(),
            self.endpoint.clone().unwrap_or_default(),
            self.what.clone(),
            self.why.clone(),
            self.first_seen.to_string(),
            self.last_seen.to_string(),
            self.count.to_string(),
        ]
    }
}

impl Row for Alert {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "raised",
        "kind",
        "severity",
        "score",
        "detector",
        "identity",
        "client",
        "endpoint",
        "since",
        "until",
        "expected",
        "observed",
        "summary",
        "owasp",
        "status",
        "occurrences",
        "last_seen",
        "changed_by",
        "note",
    ];

    fn cells(&self) -> Vec<String> {
        let optional = |text: &Option<String>| text.clone().unwrap_or_default();
        let who = self.principal.clone();
        let (identity, client) = who.map(|p| (p.identity, p.client)).unwrap_or_default();
        vec![
            self.id.clone(),
            self.ts.to_string(),
            self.kind.clone(),
            word(self.severity),
            self.score.to_string(),
            self.detector.clone(),
            optional(&identity),
            optional(&client),
            optional(&self.endpoint),
            self.since.to_string(),
            self.until.to_string(),
            self.expected.to_string(),
            self.observed.to_string(),
            self.summary.clone(),
            self.owasp.clone(),
            word(self.status),
            self.occurrences.to_string(),
            self.last_seen.to_string(),
            optional(&self.changed_by),
            optional(&self.note),
        ]
    }
}

impl Row for Incident {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "title",
        "severity",
        "status",
        "kinds",
        "detectors",
        "callers",
        "clients",
        "endpoints",
        "hosts",
        "first_seen",
        "last_seen",
        "alerts",
        "occurrences",
        "peak",
        "owasp",
        "changed_by",
        "note",
    ];

    fn cells(&self) -> Vec<String> {
        let optional = |text: &Option<String>| text.clone().unwrap_or_default();
        // Names beyond those that an incident holds are counted.
        let list = |names: &BTreeSet<String>, more: u64| {
            let mut names: Vec<String> = names.iter().cloned().collect();
            if more > 0 {
                names.push(format!("and {more} more"));
            }
            names.join("; ")
        };
        vec![
            self.id.clone(),
            self.title.clone(),
            word(self.severity),
            word(self.status),
            self.kinds.join("; "),
            list(&self.detectors, 0),
            list(&self.callers, self.more_callers),
            list(&self.clients, 0),
            list(&self.endpoints, self.more_endpoints),
            list(&self.hosts, 0),
            self.first_seen.to_string(),
            self.last_seen.to_string(),
            self.count.to_string(),
            self.occurrences.to_string(),
            self.peak.to_string(),
            self.owasp.clone(),
            optional(&self.changed_by),
            optional(&self.note),
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_back(bytes: &[u8]) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(bytes);
        let records = reader.records().map(|r| r.unwrap());
        records
            .map(|r| r.iter().map(str::to_owned).collect())
            .collect()
    }

    #[test]
    fn formulas_are_text() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\\u{9}=1"),
            ("\rx", "'\\u{d}x"),
            ("  =1", "'  =1"),
            ("\"=1", "'\"=1"),
            ("'=1", "''=1"),
            ("＝1", "'＝1"),
            ("/a=1", "/a=1"),
            ("a\nb", "a\\u{a}b"),
            ("\u{202e}x", "\\u{202e}x"),
            ("", ""),
        ] {
            assert_eq!(safe(text), cell, "{text:?}");
        }
    }

    #[test]
    fn a_header_and_a_row_for_an_endpoint() {
        let e = EndpointView {
            host: "h".into(),
            method: "GET".into(),
            template: "/a,\"b\"\r\n=c".into(),
            operation: Some("=HYPERLINK(\"http://x\")".into()),
            ..EndpointView::default()
        };
        let text = [header::<EndpointView>(), row(&e)].concat();
        assert!(text.ends_with(b"\r\n"));
        assert_eq!(text.iter().filter(|b| **b == b'\n').count(), 2);
        let rows = read_back(&text);
        assert_eq!(rows[0], EndpointView::COLUMNS);
        let cell = |name| &rows[1][rows[0].iter().position(|c| c == name).unwrap()];
        assert_eq!(cell("template"), "/a,\"b\"\\u{d}\\u{a}=c");
        assert_eq!(cell("operation"), "'=HYPERLINK(\"http://x\")");
        assert_eq!(cell("documentation"), "unreviewed");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn whatever_was_captured_is_one_record_without_a_formula(cells in proptest::collection::vec(any::<String>(), 1..6)) {
            let bytes = record(cells.iter().map(|cell| safe(cell)));
            let line = std::str::from_utf8(&bytes).unwrap().strip_suffix("\r\n").unwrap();
            prop_assert!(!line.contains(char::is_control));
            let rows = read_back(&bytes);
            prop_assert_eq!(rows.len(), 1);
            prop_assert_eq!(rows[0].len(), cells.len());
            for cell in &rows[0] {
                prop_assert!(!cell.trim_start().starts_with(['=', '+', '-', '@']));
            }
        }
    }
}
