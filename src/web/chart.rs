//! Charts as SVG: classes and attributes only, so that the strictest content policy holds.

use std::fmt::Write;

use crate::detect::Point;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 140.0;

/// Bars of what was seen, and the line of what was expected.
pub(super) fn band(series: &[Point], label: &str) -> String {
    let points: Vec<(f64, Option<f64>)> = series
        .iter()
        .map(|p| (p.observed, Some(p.expected)))
        .collect();
    draw(&points, label)
}

fn figure(svg: String, ago: &str, words: &str) -> String {
    format!(
        "<figure>{svg}<figcaption><span>{ago}</span><span>{words}</span><span>now</span></figcaption></figure>"
    )
}

fn open(label: &str) -> String {
    let label = askama::filters::escape(label, askama::filters::Html)
        .map(|s| s.to_string())
        .unwrap_or_default();
    format!(
        r#"<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{label}">"#
    )
}

fn close(mut svg: String) -> String {
    let _ = write!(
        svg,
        r#"<line class="axis" x1="0" x2="{WIDTH}" y1="{0}" y2="{0}"/></svg>"#,
        HEIGHT - 1.0
    );
    svg
}

fn draw(points: &[(f64, Option<f64>)], label: &str) -> String {
    let finite = |v: f64| if v.is_finite() { v.max(0.0) } else { 0.0 };
    let top = points
        .iter()
        .flat_map(|(o, e)| [finite(*o), finite(e.unwrap_or(0.0))])
        .fold(1.0, f64::max);
    let step = WIDTH / points.len().max(1) as f64;
    let y = |v: f64| HEIGHT - 2.0 - finite(v) / top * (HEIGHT - 8.0);
    let mut svg = open(label);
    // Writing to a String cannot fail.
    for (i, (observed, _)) in points.iter().enumerate() {
        let (x, top) = (i as f64 * step, y(*observed));
        let _ = write!(
            svg,
            r#"<rect class="seen" x="{x:.1}" y="{top:.1}" width="{:.1}" height="{:.1}"/>"#,
            (step - 1.0).max(0.5),
            HEIGHT - 2.0 - top
        );
    }
    let line: Vec<String> = points
        .iter()
        .enumerate()
        .filter_map(|(i, (_, e))| Some(format!("{:.1},{:.1}", (i as f64 + 0.5) * step, y((*e)?))))
        .collect();
    if !line.is_empty() {
        let _ = write!(
            svg,
            r#"<polyline class="expected" points="{}"/>"#,
            line.join(" ")
        );
    }
    close(svg)
}

/// What came over time, oldest first, and what was lost of it on top; a loss of one is seen.
pub(super) fn rates(bars: &[(u64, u64)], ago: &str, words: &str) -> String {
    let most = bars
        .iter()
        .map(|(n, lost)| n + lost)
        .max()
        .unwrap_or(0)
        .max(1) as f64;
    let step = WIDTH / bars.len().max(1) as f64;
    let mut svg = open(&format!("Frames over time: {words}"));
    for (i, (n, lost)) in bars.iter().enumerate() {
        let least = if *lost > 0 { 4.0 } else { 0.0 };
        let lost = (*lost as f64 / most * (HEIGHT - 12.0)).max(least);
        let seen = *n as f64 / most * (HEIGHT - 12.0);
        let mut bottom = HEIGHT - 2.0;
        for (class, height) in [("seen", seen), ("failed", lost)] {
            if height > 0.0 {
                bottom -= height;
                // Writing to a String cannot fail.
                let _ = write!(
                    svg,
                    r#"<rect class="{class}" x="{:.1}" y="{bottom:.1}" width="{:.1}" height="{height:.1}"/>"#,
                    i as f64 * step,
                    (step - 1.0).max(0.5)
                );
            }
        }
    }
    figure(close(svg), ago, words)
}

/// One bar, its parts in their shares; the list beside it has the numbers.
pub(super) fn shares(parts: &[(&str, u64)]) -> String {
    let whole = parts.iter().map(|p| p.1).sum::<u64>().max(1) as f64;
    let mut svg = String::from(
        r#"<svg class="shares" viewBox="0 0 1000 24" preserveAspectRatio="none" role="img" aria-label="The shares as a bar; the list below has the numbers">"#,
    );
    let mut x = 0.0;
    for (class, n) in parts {
        let width = *n as f64 / whole * 1_000.0;
        if width > 0.0 {
            // Writing to a String cannot fail.
            let _ = write!(
                svg,
                r#"<rect class="{class}" x="{x:.1}" y="0" width="{width:.1}" height="24"/>"#
            );
        }
        x += width;
    }
    svg.push_str("</svg>");
    svg
}
