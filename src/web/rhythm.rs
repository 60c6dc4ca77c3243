//! A principal over time: hours of the week as a heat map, and the last days as bars.

use std::fmt::Write;

use crate::detect::DayView;
use crate::sensor::doctor::grouped;

pub(super) const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
/// Shades beside that of nothing.
const SHADES: u64 = 5;
/// Of one hour, and the room for names of days and hours.
const CELL: (usize, usize) = (26, 22);
const MARGIN: (usize, usize) = (48, 22);

/// What the map shows, in a sentence.
pub(super) fn words(hours: &[[u64; 24]; 7]) -> String {
    let all: u64 = hours.iter().flatten().sum();
    if all == 0 {
        return "No hour is known yet".into();
    }
    let cells = (0..7).flat_map(|day| (0..24).map(move |hour| (day, hour)));
    let busiest = cells.fold((0, 0), |best, at| {
        if hours[at.0][at.1] > hours[best.0][best.1] {
            at
        } else {
            best
        }
    });
    let active = hours.iter().flatten().filter(|n| **n > 0).count();
    let quiet: Vec<&str> = (WEEKDAYS.iter().zip(hours))
        .filter(|(_, day)| day.iter().all(|n| *n == 0))
        .map(|(name, _)| *name)
        .collect();
    let mut words = format!(
        "Busiest on {} at {:02}:00, active in {active} of 168 hours",
        WEEKDAYS[busiest.0], busiest.1
    );
    match quiet.len() {
        0 => {}
        1..=2 => {
            let _ = write!(words, ", never on {}", quiet.join(" or "));
        }
        days => {
            let _ = write!(words, ", never on {days} days of the week");
        }
    }
    words
}

/// Days as rows, hours as columns; the darker, the more.
pub(super) fn map(hours: &[[u64; 24]; 7], words: &str) -> String {
    let most = hours.iter().flatten().copied().max().unwrap_or(0).max(1);
    let (width, height) = (MARGIN.0 + 24 * CELL.0, MARGIN.1 + 7 * CELL.1);
    // Writing to a String cannot fail. The words are our own: days and numbers.
    let mut svg = format!(
        r#"<svg class="heat" viewBox="0 0 {width} {height}" role="img" aria-label="Requests by hour of the week: {words}">"#
    );
    for hour in (0..24).step_by(3) {
        let x = MARGIN.0 + hour * CELL.0;
        let _ = write!(svg, r#"<text x="{x}" y="15">{hour:02}</text>"#);
    }
    for (day, (name, counts)) in WEEKDAYS.iter().zip(hours).enumerate() {
        let y = MARGIN.1 + day * CELL.1;
        let _ = write!(svg, r#"<text x="0" y="{}">{}</text>"#, y + 15, &name[..3]);
        for (hour, n) in counts.iter().enumerate() {
            let x = MARGIN.0 + hour * CELL.0;
            let shade = n.saturating_mul(SHADES).div_ceil(most);
            let _ = write!(
                svg,
                r#"<rect class="h{shade}" x="{x}" y="{y}" width="{}" height="{}" rx="3"><title>{name} {hour:02}:00, {}</title></rect>"#,
                CELL.0 - 2,
                CELL.1 - 2,
                grouped(*n)
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

/// Bars are never wider than so many of them would be.
const FEW: usize = 14;
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 96.0;

/// One measure over the days: what there was, and a part of it in another colour.
pub(super) fn days(days: &[DayView], label: &str, of: fn(&DayView) -> (u64, u64)) -> String {
    let most = days.iter().map(|d| of(d).0).max().unwrap_or(0).max(1) as f64;
    let step = WIDTH / days.len().max(FEW) as f64;
    let mut svg = format!(
        r#"<svg class="chart days" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{label}">"#
    );
    for (i, day) in days.iter().enumerate() {
        let (all, part) = of(day);
        let x = i as f64 * step + 1.0;
        let height = |n: u64| n as f64 / most * (HEIGHT - 6.0);
        for (class, bottom, n) in [("seen", part, all.saturating_sub(part)), ("fresh", 0, part)] {
            let _ = write!(
                svg,
                r#"<rect class="{class}" x="{x:.1}" y="{:.1}" width="{:.1}" height="{:.1}"/>"#,
                HEIGHT - 1.0 - height(bottom) - height(n),
                step - 2.0,
                height(n)
            );
        }
    }
    let _ = write!(
        svg,
        r#"<line class="axis" x1="0" x2="{WIDTH}" y1="{0}" y2="{0}"/></svg>"#,
        HEIGHT - 0.5
    );
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_in_words_and_shades() {
        let mut hours = [[0; 24]; 7];
        assert_eq!(words(&hours), "No hour is known yet");
        (hours[0][9], hours[1][9], hours[4][22]) = (1, 40, 100);
        assert_eq!(
            words(&hours),
            "Busiest on Friday at 22:00, active in 3 of 168 hours, never on 4 days of the week"
        );
        let svg = map(&hours, "x");
        assert_eq!(svg.matches("<rect").count(), 168);
        let shade = |class: &str| svg.matches(&format!(r#"class="{class}""#)).count();
        assert_eq!(
            [shade("h0"), shade("h1"), shade("h2"), shade("h5")],
            [165, 1, 1, 1]
        );
        hours[2][0] = 1;
        hours[3][0] = 1;
        hours[5][0] = 1;
        assert!(words(&hours).ends_with("never on Sunday"));
    }

    #[test]
    fn bars_of_days_are_as_high_as_their_counts() {
        let day = |requests, errors| DayView {
            day: crate::time::Timestamp::from_secs(0),
            requests,
            errors,
            endpoints: 1,
            new_endpoints: 0,
        };
        let svg = days(&[day(10, 0), day(100, 50)], "x", |d| (d.requests, d.errors));
        assert_eq!(svg.matches(r#"height="45.0""#).count(), 2, "{svg}");
        assert!(svg.contains(r#"height="9.0""#));
    }
}
