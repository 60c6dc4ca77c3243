//! The ledger as a picture that adds up: of each stage what came in, and where all of it went, in
//! proportion. Across where there is room, down where there is not; the table behind has the numbers.

use std::fmt::Write;

use crate::sensor::doctor::grouped;
use crate::sensor::{Counters, Ledger, Stage};

/// The ledger's stages in the order of the data; the second: whether it is on the main way, where
/// what one stage has analysed is what the next is made from.
pub(super) const STAGES: [(&str, bool); 7] = [
    ("frame", true),
    ("datagram", false),
    ("segment", true),
    ("message", true),
    ("session", false),
    ("exchange", true),
    ("alert", true),
];

/// Reasons of one outcome that are named; the table has all of them.
const REASONS: usize = 4;

/// Where a part of a stage went.
pub(super) struct Outcome {
    pub(super) class: &'static str,
    pub(super) name: &'static str,
    pub(super) count: u64,
    /// The most first.
    pub(super) reasons: Vec<(String, u64)>,
}

fn outcome(class: &'static str, name: &'static str, counters: &Counters) -> Outcome {
    let mut reasons: Vec<(String, u64)> = counters
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(reason, n)| (reason.replace('_', " "), *n))
        .collect();
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    Outcome {
        class,
        name,
        count: counters.values().sum(),
        reasons,
    }
}

/// All of a stage: what it received is their sum.
pub(super) fn outcomes(stage: &Stage) -> [Outcome; 5] {
    let plain = |class, name, count| Outcome {
        class,
        name,
        count,
        reasons: Vec::new(),
    };
    [
        plain("ok", "analysed", stage.analysed),
        plain("rest", "pending", stage.pending),
        outcome("ignored", "ignored", &stage.ignored),
        outcome("malformed", "malformed", &stage.malformed),
        outcome("lost", "shed", &stage.shed),
    ]
}

pub(super) fn share(n: u64, of: u64) -> String {
    match n as f64 / of.max(1) as f64 * 100.0 {
        _ if n == 0 => "0 %".into(),
        p if p < 0.1 => "< 0.1 %".into(),
        p if p < 10.0 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

impl Outcome {
    /// `arp 12, udp 3 and 2 more`.
    pub(super) fn words(&self) -> String {
        let named = self.reasons.iter().take(REASONS);
        let mut words: Vec<String> = named
            .map(|(reason, n)| format!("{reason} {}", grouped(*n)))
            .collect();
        if let Some(more) = self.reasons.len().checked_sub(REASONS).filter(|n| *n > 0) {
            words.push(format!("{more} more"));
        }
        words.join(", ")
    }
}

/// Stages on the main way that have received something.
fn main_way(ledger: &Ledger) -> Vec<(&'static str, &Stage)> {
    let main = STAGES.iter().filter(|(_, is_main)| *is_main);
    main.filter_map(|(name, _)| Some((*name, ledger.stages.get(name)?)))
        .filter(|(_, stage)| stage.received > 0)
        .collect()
}

/// Lengths of the parts of a stage on a bar; what is there can be seen, and all of them together are
/// the bar.
fn lengths(stage: &Stage, bar: f64) -> Vec<(&'static str, f64)> {
    const LEAST: f64 = 2.0;
    let whole = stage.received.max(1) as f64;
    let parts = outcomes(stage).map(|o| {
        let length = o.count as f64 / whole * bar;
        let least = if o.count > 0 { LEAST } else { 0.0 };
        (o.class, length.max(least))
    });
    let sum: f64 = parts.iter().map(|(_, l)| l).sum();
    let scale = if sum > bar { bar / sum } else { 1.0 };
    parts.map(|(class, l)| (class, l * scale)).to_vec()
}

const LABEL: &str = "Each stage as a bar of what it received, its parts in proportion, and what it analysed led on to the next; the table below has the numbers";

/// From left to right.
pub(super) fn across(ledger: &Ledger) -> String {
    const BAR: f64 = 170.0;
    const THICK: f64 = 26.0;
    let stages = main_way(ledger);
    let step = 1_000.0 / stages.len().max(1) as f64;
    let mut svg = format!(
        r#"<svg class="flow across" viewBox="0 0 1000 250" role="img" aria-label="{LABEL}">"#
    );
    // Writing to a String cannot fail.
    for (i, (name, stage)) in stages.iter().enumerate() {
        let (x, top) = (i as f64 * step, 44.0);
        let parts = lengths(stage, BAR);
        let analysed = parts.first().map_or(0.0, |(_, l)| *l);
        if i + 1 < stages.len() {
            // What was analysed becomes all of the next stage.
            let (from, to) = (x + THICK, x + step);
            let half = f64::midpoint(from, to);
            let (low, full) = (top + analysed, top + BAR);
            let _ = write!(
                svg,
                r#"<path class="way" d="M{from:.1} {top} C{half:.1} {top} {half:.1} {top} {to:.1} {top} L{to:.1} {full} C{half:.1} {full} {half:.1} {low:.1} {from:.1} {low:.1} Z"/>"#
            );
        }
        let mut y = top;
        for (class, length) in parts {
            if length > 0.0 {
                let _ = write!(
                    svg,
                    r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{THICK}" height="{length:.1}"/>"#
                );
            }
            y += length;
        }
        let kept = share(stage.analysed, stage.received);
        let _ = write!(
            svg,
            r#"<text class="name" x="{x:.1}" y="16">{name}s</text><text x="{x:.1}" y="34">{} in</text><text x="{x:.1}" y="234">{kept} analysed</text>"#,
            grouped(stage.received)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// From top to bottom.
pub(super) fn down(ledger: &Ledger) -> String {
    const BAR: f64 = 320.0;
    const STEP: f64 = 92.0;
    let stages = main_way(ledger);
    let height = stages.len() as f64 * STEP;
    let mut svg = format!(
        r#"<svg class="flow down" viewBox="0 0 320 {height}" role="img" aria-label="{LABEL}">"#
    );
    for (i, (name, stage)) in stages.iter().enumerate() {
        let top = i as f64 * STEP + 24.0;
        let parts = lengths(stage, BAR);
        let analysed = parts.first().map_or(0.0, |(_, l)| *l);
        if i + 1 < stages.len() {
            let (from, to) = (top + 20.0, top + STEP - 24.0);
            let _ = write!(
                svg,
                r#"<path class="way" d="M0 {from:.1} L{analysed:.1} {from:.1} L{BAR} {to:.1} L0 {to:.1} Z"/>"#
            );
        }
        let mut x = 0.0;
        for (class, length) in parts {
            if length > 0.0 {
                let _ = write!(
                    svg,
                    r#"<rect class="{class}" x="{x:.1}" y="{top:.1}" width="{length:.1}" height="20"/>"#
                );
            }
            x += length;
        }
        let _ = write!(
            svg,
            r#"<text class="name" x="0" y="{0:.1}">{name}s</text><text class="end" x="320" y="{0:.1}">{1} in, {2} analysed</text>"#,
            top - 7.0,
            grouped(stage.received),
            share(stage.analysed, stage.received)
        );
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        *ledger.stage("frame") = Stage {
            received: 1_000_000,
            analysed: 900_000,
            ignored: [("arp", 90_000), ("udp", 9_999)].into(),
            shed: [("budget", 1)].into(),
            ..Stage::default()
        };
        *ledger.stage("segment") = Stage {
            received: 10,
            analysed: 10,
            ..Stage::default()
        };
        ledger
    }

    #[test]
    fn parts_add_up_and_one_in_a_million_is_seen() {
        let ledger = ledger();
        let parts = lengths(&ledger.stages["frame"], 170.0);
        let sum: f64 = parts.iter().map(|(_, l)| l).sum();
        assert!((sum - 170.0).abs() < 1e-6, "{sum}");
        assert!(parts.iter().any(|(class, l)| *class == "lost" && *l > 1.5));
        let all = outcomes(&ledger.stages["frame"]);
        assert_eq!(all.iter().map(|o| o.count).sum::<u64>(), 1_000_000);
        assert_eq!(all[2].words(), "arp 90,000, udp 9,999");
    }

    #[test]
    fn both_forms_name_every_stage_with_its_numbers() {
        for svg in [across(&ledger()), down(&ledger())] {
            assert!(
                svg.contains(">frames<") && svg.contains(">segments<"),
                "{svg}"
            );
            assert!(
                svg.contains("1,000,000 in") && svg.contains("90 % analysed"),
                "{svg}"
            );
            assert!(!svg.contains("style="), "{svg}");
        }
        assert_eq!(share(1, 100_000), "< 0.1 %");
        assert_eq!((share(0, 0), share(1, 3)), ("0 %".into(), "33 %".into()));
    }
}
