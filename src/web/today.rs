//! Requests of the last day by the quarter of an hour, errors on top, with the day before as a line.

use std::collections::HashMap;
use std::fmt::Write;

use crate::catalog::{Beat, CatalogView, PULSE_BEATS};
use crate::sensor::doctor::grouped;
use crate::time::Timestamp;

const BARS: i64 = PULSE_BEATS / 2;
/// Bars of an hour.
const HOURLY: usize = 4;
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 180.0;

/// One hour of the table.
pub(super) struct Hour {
    pub(super) at: Timestamp,
    pub(super) requests: u64,
    pub(super) client_errors: u64,
    pub(super) server_errors: u64,
    /// Requests of the same hour, the day before.
    pub(super) before: u64,
}

pub(super) struct Today {
    pub(super) svg: String,
    pub(super) words: String,
    /// The most of a quarter of an hour, which the chart is as high as.
    pub(super) most: String,
    pub(super) hours: Vec<Hour>,
    pub(super) is_empty: bool,
}

impl Today {
    pub(super) fn of(catalog: &CatalogView) -> Self {
        let beats: HashMap<i64, Beat> = catalog.pulse.iter().map(|b| (b.at, *b)).collect();
        let last = Beat::of(catalog.at);
        let at = |at: i64| {
            beats.get(&at).copied().unwrap_or_else(|| Beat {
                at,
                ..Beat::default()
            })
        };
        let today: Vec<Beat> = (0..BARS).map(|i| at(last - BARS + 1 + i)).collect();
        let before: Vec<Beat> = today.iter().map(|b| at(b.at - BARS)).collect();
        let sum = |beats: &[Beat], of: fn(&Beat) -> u64| beats.iter().map(of).sum::<u64>();
        let requests = sum(&today, |b| b.requests);
        let errors = [
            sum(&today, |b| b.client_errors),
            sum(&today, |b| b.server_errors),
        ];
        let yesterday = sum(&before, |b| b.requests);
        let mut words = format!(
            "{} requests in 24 h, {} answered with 4xx, {} with 5xx",
            grouped(requests),
            grouped(errors[0]),
            grouped(errors[1])
        );
        if yesterday > 0 {
            let change = (requests as f64 / yesterday as f64 - 1.0) * 100.0;
            let _ = write!(words, "; {change:+.0} % against the day before");
        }
        let most = today.iter().chain(&before).map(|b| b.requests).max();
        let most = most.unwrap_or(0);
        Self {
            svg: draw(&today, &before, most.max(1) as f64, &words),
            words,
            most: grouped(most),
            hours: hours(&today, &before),
            is_empty: most == 0,
        }
    }
}

fn hours(today: &[Beat], before: &[Beat]) -> Vec<Hour> {
    let pairs = today.chunks(HOURLY).zip(before.chunks(HOURLY));
    let hour = |(now, before): (&[Beat], &[Beat])| Hour {
        at: Beat::start(now.first().map_or(0, |b| b.at)),
        requests: now.iter().map(|b| b.requests).sum(),
        client_errors: now.iter().map(|b| b.client_errors).sum(),
        server_errors: now.iter().map(|b| b.server_errors).sum(),
        before: before.iter().map(|b| b.requests).sum(),
    };
    pairs.map(hour).collect()
}

fn draw(today: &[Beat], before: &[Beat], most: f64, words: &str) -> String {
    let step = WIDTH / BARS as f64;
    let height = |n: u64| n as f64 / most * (HEIGHT - 8.0);
    // Writing to a String cannot fail. The words are our own: numbers.
    let mut svg = format!(
        r#"<svg class="chart today" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="Requests by the quarter of an hour: {words}">"#
    );
    for (i, beat) in today.iter().enumerate() {
        let errors = beat.client_errors + beat.server_errors;
        let mut bottom = HEIGHT - 1.0;
        for (class, n) in [
            ("seen", beat.requests.saturating_sub(errors)),
            ("refused", beat.client_errors),
            ("failed", beat.server_errors),
        ] {
            if n > 0 {
                bottom -= height(n);
                let _ = write!(
                    svg,
                    r#"<rect class="{class}" x="{:.0}" y="{bottom:.1}" width="{:.0}" height="{:.1}"/>"#,
                    i as f64 * step + 1.0,
                    step - 2.0,
                    height(n)
                );
            }
        }
    }
    if before.iter().any(|b| b.requests > 0) {
        let point = |(i, b): (usize, &Beat)| {
            let (x, y) = ((i as f64 + 0.5) * step, HEIGHT - 1.0 - height(b.requests));
            format!("{x:.0},{y:.1}")
        };
        let line: Vec<String> = before.iter().enumerate().map(point).collect();
        let _ = write!(
            svg,
            r#"<polyline class="before" points="{}"/>"#,
            line.join(" ")
        );
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
    fn a_day_stands_against_the_one_before() {
        let now = 1_760_000_000 / 900 * 900;
        let last = Beat::of(Timestamp::from_secs(now));
        let beat = |at: i64, requests: u64| Beat {
            at,
            requests,
            client_errors: requests / 10,
            server_errors: 0,
        };
        let catalog = CatalogView {
            at: Timestamp::from_secs(now + 3),
            pulse: vec![
                beat(last - 2 * BARS, 999),
                beat(last - BARS, 100),
                beat(last - 1, 50),
                beat(last, 100),
            ],
            ..CatalogView::default()
        };
        let today = Today::of(&catalog);
        assert_eq!(
            today.words,
            "150 requests in 24 h, 15 answered with 4xx, 0 with 5xx; +50 % against the day before"
        );
        assert_eq!(today.hours.len(), 24);
        let end = &today.hours[23];
        assert_eq!(
            (end.requests, end.before, end.client_errors),
            (150, 100, 15)
        );
        assert_eq!(end.at, Timestamp::from_secs(now - 45 * 60));
        assert_eq!(today.svg.matches("<rect").count(), 4);
        assert!(Today::of(&CatalogView::default()).is_empty);
    }
}
