//! What was measured over time, as charts on an endpoint's page, with the table behind them.

use serde::Deserialize;

use super::{Bar, DAY, HOUR, bars};
use crate::catalog::{EndpointView, Step, Total};
use crate::detect::{Band, Expected};
use crate::sensor::doctor::{bytes as scaled, grouped};
use crate::time::Timestamp;
use crate::web::plot::{Layer, Plot, Shape};

/// How far back the page looks.
struct Range {
    name: &'static str,
    title: &'static str,
    ago: &'static str,
    step: Step,
    seconds: i64,
    count: i64,
    /// What a bar stands for.
    each: &'static str,
}

const RANGES: [Range; 4] = [
    Range {
        name: "hour",
        title: "Hour",
        ago: "an hour ago",
        step: Step::Minute,
        seconds: 60,
        count: 60,
        each: "minute",
    },
    Range {
        name: "day",
        title: "Day",
        ago: "24 h ago",
        step: Step::Minute,
        seconds: 900,
        count: 96,
        each: "15 minutes",
    },
    Range {
        name: "week",
        title: "Week",
        ago: "7 days ago",
        step: Step::Hour,
        seconds: 2 * HOUR,
        count: 84,
        each: "two hours",
    },
    Range {
        name: "60-days",
        title: "60 days",
        ago: "60 days ago",
        step: Step::Hour,
        seconds: DAY,
        count: 60,
        each: "day",
    },
];

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web) struct Shown {
    /// `hour`, `day` (default), `week`, `60-days`.
    range: String,
}

/// One bar's numbers in the table behind the charts.
pub(in crate::web) struct Row {
    pub(in crate::web) at: String,
    pub(in crate::web) requests: u32,
    pub(in crate::web) expected: String,
    pub(in crate::web) refused: u32,
    pub(in crate::web) failed: u32,
    pub(in crate::web) quantiles: [String; 3],
    pub(in crate::web) bytes: [String; 2],
}

/// What the page shows, with the way to the other ranges.
pub(in crate::web) struct Charts {
    pub(in crate::web) switch: Vec<(&'static str, String, bool)>,
    /// What a bar stands for.
    pub(in crate::web) each: &'static str,
    /// Why it may not be whole.
    pub(in crate::web) cut: Option<&'static str>,
    /// There is a baseline.
    pub(in crate::web) learnt: bool,
    pub(in crate::web) plots: Vec<String>,
    pub(in crate::web) rows: Vec<Row>,
}

pub(in crate::web) fn charts(
    e: &EndpointView,
    shown: &Shown,
    band: Option<&Band>,
    now: Timestamp,
) -> Charts {
    let range = RANGES.iter().find(|r| r.name == shown.range);
    let range = range.unwrap_or(&RANGES[1]);
    let bars = bars(e, range.step, range.seconds, range.count, now);
    let link = |r: &Range| format!("/endpoints/{}?range={}#history", e.key, r.name);
    Charts {
        switch: (RANGES
            .iter()
            .map(|r| (r.title, link(r), r.name == range.name)))
        .collect(),
        each: range.each,
        cut: (e.history.is_cut(range.step)).then_some(
            "What was here before was put out by the budget of histories (catalog.max_history).",
        ),
        learnt: band.is_some(),
        plots: vec![
            requests(&bars, band, range.ago),
            errors(&bars, range.ago),
            latency(&bars, range.ago),
            volume(&bars, range.ago),
        ],
        rows: bars.iter().rev().filter_map(|bar| bar.row(band)).collect(),
    }
}

/// Requests of the last day: as many as the day's chart shows.
pub(in crate::web) fn of_a_day(e: &EndpointView, now: Timestamp) -> u64 {
    let day = &RANGES[1];
    if e.history.is_cut(day.step) {
        return e.hourly.iter().sum();
    }
    let bars = bars(e, day.step, day.seconds, day.count, now);
    bars.iter()
        .map(|bar| u64::from(bar.total.slot.requests))
        .sum()
}

impl Bar {
    /// Requests that were neither refused nor failed, and those that were.
    fn outcomes(&self) -> [f64; 3] {
        let slot = &self.total.slot;
        let errors = slot.client_errors.saturating_add(slot.server_errors);
        [
            slot.requests.saturating_sub(errors),
            slot.client_errors,
            slot.server_errors,
        ]
        .map(f64::from)
    }

    /// When it begins, as far as its length is worth it; in UTC.
    fn when(&self) -> String {
        let text = self.from.to_string();
        let (day, time) = text.split_once('T').unwrap_or((&text, ""));
        let time = time.get(..5).filter(|_| self.seconds < DAY);
        time.map_or_else(
            || day.to_owned(),
            |t| format!("{} {t} UTC", day.get(5..).unwrap_or(day)),
        )
    }

    fn row(&self, band: Option<&Band>) -> Option<Row> {
        let slot = &self.total.slot;
        let ms = |q| self.total.quantile(q).map_or_else(|| "–".into(), millis);
        (slot.requests > 0).then(|| Row {
            at: self.from.to_string(),
            requests: slot.requests,
            expected: self.expected(band).map_or_else(|| "–".into(), between),
            refused: slot.client_errors,
            failed: slot.server_errors,
            quantiles: [ms(0.5), ms(0.9), ms(0.99)],
            bytes: [slot.request_bytes, slot.response_bytes].map(scaled),
        })
    }

    /// Said under the pointer.
    fn hint(&self, words: impl FnOnce() -> String) -> Option<String> {
        (self.total.slot.requests > 0).then(|| format!("{}: {}", self.when(), words()))
    }
}

/// `80 to 140`.
fn between(e: Expected) -> String {
    format!("{} to {}", count(e.low), count(e.high))
}

fn count(n: f64) -> String {
    if n > 0.0 && n < 10.0 && n.fract() != 0.0 {
        format!("{n:.1}")
    } else {
        grouped(n.round() as u64)
    }
}

fn millis(ms: f64) -> String {
    match ms {
        ..10.0 => format!("{ms:.1} ms"),
        10.0..10_000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1e3),
    }
}

fn sum(bars: &[Bar], of: impl Fn(&Bar) -> u64) -> u64 {
    bars.iter().map(of).fold(0, u64::saturating_add)
}

fn requests(bars: &[Bar], band: Option<&Band>, from: &str) -> String {
    let layer = |class, name, shape| Layer { class, name, shape };
    let mut layers = Vec::new();
    if band.is_some() {
        let of = |bar: &Bar| bar.expected(band).map(|e| (e.low, e.high));
        layers.push(layer(
            "band",
            "expected",
            Shape::Band(bars.iter().map(of).collect()),
        ));
    }
    let outcome = |at: usize| Shape::Bars(bars.iter().map(|b| b.outcomes()[at]).collect());
    layers.push(layer("seen", "answered", outcome(0)));
    layers.push(layer("refused", "4xx", outcome(1)));
    layers.push(layer("failed", "5xx", outcome(2)));
    let hint = |bar: &Bar| {
        bar.hint(|| {
            let slot = &bar.total.slot;
            let expected = bar.expected(band);
            let expected = expected.map(|e| format!(", {} expected", between(e)));
            format!(
                "{} requests{}, {} 4xx, {} 5xx",
                grouped(slot.requests.into()),
                expected.unwrap_or_default(),
                slot.client_errors,
                slot.server_errors
            )
        })
    };
    let all = sum(bars, |b| b.total.slot.requests.into());
    let refused = sum(bars, |b| b.total.slot.client_errors.into());
    let failed = sum(bars, |b| b.total.slot.server_errors.into());
    let words = format!(
        "{} requests, {} answered with 4xx, {} with 5xx",
        grouped(all),
        grouped(refused),
        grouped(failed)
    );
    let plot = Plot {
        title: "Requests",
        words,
        layers,
        hints: bars.iter().map(hint).collect(),
        unit: count,
        log: false,
        from,
    };
    plot.draw()
}

fn errors(bars: &[Bar], from: &str) -> String {
    let share = |bar: &Bar, of: u32| {
        let all = bar.total.slot.requests;
        (all > 0).then(|| f64::from(of) / f64::from(all) * 100.0)
    };
    let refused = |b: &Bar| share(b, b.total.slot.client_errors);
    let failed = |b: &Bar| share(b, b.total.slot.server_errors);
    let shape = |of: &dyn Fn(&Bar) -> Option<f64>| {
        Shape::Bars(bars.iter().map(|b| of(b).unwrap_or(0.0)).collect())
    };
    let hint = |bar: &Bar| {
        let of = |share: Option<f64>| percent(share.unwrap_or(0.0));
        bar.hint(|| format!("{} 4xx, {} 5xx", of(refused(bar)), of(failed(bar))))
    };
    let all = sum(bars, |b| b.total.slot.requests.into()).max(1) as f64;
    let part = |of: fn(&Bar) -> u64| percent(sum(bars, of) as f64 / all * 100.0);
    let words = format!(
        "{} of requests answered with 4xx, {} with 5xx",
        part(|b| b.total.slot.client_errors.into()),
        part(|b| b.total.slot.server_errors.into())
    );
    let layer = |class, name, shape| Layer { class, name, shape };
    let plot = Plot {
        title: "Errors, of requests",
        words,
        layers: vec![
            layer("refused", "4xx", shape(&refused)),
            layer("failed", "5xx", shape(&failed)),
        ],
        hints: bars.iter().map(hint).collect(),
        unit: percent,
        log: false,
        from,
    };
    plot.draw()
}

fn percent(share: f64) -> String {
    match share {
        0.0 | 10.0.. => format!("{share:.0} %"),
        _ => format!("{share:.1} %"),
    }
}

fn latency(bars: &[Bar], from: &str) -> String {
    let line = |q: f64| Shape::Line(bars.iter().map(|b| b.total.quantile(q)).collect());
    let quantiles = |total: &Total| {
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|q| total.quantile(q).map(millis));
        Some(format!("p50 {}, p90 {}, p99 {}", p50?, p90?, p99?))
    };
    let hint = |bar: &Bar| {
        let words = quantiles(&bar.total)?;
        bar.hint(|| words)
    };
    let known = |q: f64| bars.iter().filter_map(move |b| b.total.quantile(q));
    let worst = known(0.99).fold(0.0, f64::max);
    let words = match known(0.5).count() {
        0 => "no latency is known".to_owned(),
        _ => format!("p99 at most {}", millis(worst)),
    };
    let layer = |class, name, q| Layer {
        class,
        name,
        shape: line(q),
    };
    let plot = Plot {
        title: "Latency",
        words,
        layers: vec![
            layer("p99", "p99", 0.99),
            layer("p90", "p90", 0.9),
            layer("p50", "p50", 0.5),
        ],
        hints: bars.iter().map(hint).collect(),
        unit: millis,
        log: true,
        from,
    };
    plot.draw()
}

fn volume(bars: &[Bar], from: &str) -> String {
    let line = |of: fn(&Bar) -> u64| {
        let value = |b: &Bar| (b.total.slot.requests > 0).then(|| of(b) as f64);
        Shape::Line(bars.iter().map(value).collect())
    };
    let sent = |b: &Bar| b.total.slot.request_bytes;
    let got = |b: &Bar| b.total.slot.response_bytes;
    let said = |sent, got| format!("{} in requests, {} in answers", scaled(sent), scaled(got));
    let hint = |bar: &Bar| bar.hint(|| said(sent(bar), got(bar)));
    let layer = |class, name, shape| Layer { class, name, shape };
    let plot = Plot {
        title: "Bytes of bodies",
        words: said(sum(bars, sent), sum(bars, got)),
        layers: vec![
            layer("sent", "requests", line(sent)),
            layer("got", "answers", line(got)),
        ],
        hints: bars.iter().map(hint).collect(),
        unit: |n| scaled(n.round() as u64),
        log: false,
        from,
    };
    plot.draw()
}

#[cfg(test)]
mod tests {
    use super::super::tests::endpoint;
    use super::*;

    #[test]
    fn bars_hold_all_that_the_slots_do() {
        let (e, now) = endpoint();
        for range in &RANGES {
            let bars = bars(&e, range.step, range.seconds, range.count, now);
            assert_eq!(bars.len() as i64, range.count);
            let all = bars.iter().map(Bar::outcomes);
            let all = all.fold([0.0; 3], |a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2]]);
            assert_eq!(all, [90.0, 0.0, 30.0], "{}", range.name);
            let last = bars.last().unwrap();
            let since = now.since(last.from).as_secs();
            assert!(since < range.seconds as u64, "{} ends with now", range.name);
            assert_eq!(sum(&bars, |b| b.total.slot.response_bytes), 120 * 2048);
        }
    }

    #[test]
    fn charts_say_in_words_what_they_draw() {
        let (e, now) = endpoint();
        let charts = charts(
            &e,
            &Shown {
                range: "hour".into(),
            },
            None,
            now,
        );
        assert!(!charts.learnt && charts.rows.len() == 60);
        for (plot, words) in charts.plots.iter().zip([
            "120 requests, 0 answered with 4xx, 30 with 5xx",
            "0 % of requests answered with 4xx, 25 % with 5xx",
            "p99 at most",
            "in requests, ",
        ]) {
            assert!(plot.contains(words), "{words} in {plot}");
            assert_eq!(plot.matches("<title>").count(), 60);
        }
    }
}
