//! An endpoint's history: as data, and as charts on its page.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{List, Path, Query};
use super::chart::{self, Bar};
use super::routes::Shared;
use super::{api, query};
use crate::catalog::{EndpointView, HISTORY_SLOTS, Slot, Step};
use crate::sensor::doctor::grouped;
use crate::time::Timestamp;

/// Bars of a chart; each stands for so many slots.
const BARS: i64 = 288;
const SLOTS_A_BAR: i64 = HISTORY_SLOTS / BARS;

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Span {
    /// What a slot is: a minute of the last day, or an hour of the last 60 days.
    #[schemars(extend("enum" = ["minute", "hour"], "default" = "minute"))]
    step: String,
}

impl Span {
    fn step(&self) -> Option<Step> {
        match self.step.as_str() {
            "" | "minute" => Some(Step::Minute),
            "hour" => Some(Step::Hour),
            _ => None,
        }
    }
}

/// What was measured over time.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "History")]
pub(super) struct Series<'a> {
    key: &'a str,
    step: &'static str,
    /// Of a slot.
    seconds: i64,
    /// The window; slots of it without traffic are left out.
    from: Timestamp,
    to: Timestamp,
    /// Nothing in it was put out by the budget of histories.
    complete: bool,
    #[serde(flatten)]
    list: List<Item>,
}

/// One slot.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Slot")]
struct Item {
    /// When it begins.
    ts: Timestamp,
    requests: u32,
    /// Answers of 4xx, and of 5xx.
    client_errors: u32,
    server_errors: u32,
    /// Null where none is known.
    latency_ms: Option<Latency>,
}

/// In milliseconds.
#[derive(Serialize, JsonSchema)]
struct Latency {
    mean: f64,
    max: f64,
}

/// `/api/v1/endpoints/{key}/history`: the slots that had traffic.
pub(super) async fn series(
    State(app): Shared,
    Path(key): Path<String>,
    Query(span): Query<Span>,
) -> Response {
    let catalog = app.views.catalog.load();
    let Some(e) = query::by_key(&catalog.endpoints, &key) else {
        return api::problem(StatusCode::NOT_FOUND, "there is no such endpoint");
    };
    let step = span.step().unwrap_or(Step::Minute);
    api::json(&data(e, step, catalog.at))
}

fn data(e: &EndpointView, step: Step, now: Timestamp) -> Series<'_> {
    let end = step.slot(now);
    let latency = |(mean, max)| Latency {
        mean: round(mean),
        max,
    };
    let item = |s: &Slot| Item {
        ts: step.start(s.at.into()),
        requests: s.requests,
        client_errors: s.client_errors,
        server_errors: s.server_errors,
        latency_ms: s.mean_ms().zip(s.slowest_ms()).map(latency),
    };
    Series {
        key: &e.key,
        step: step.name(),
        seconds: step.seconds(),
        from: step.start(end - HISTORY_SLOTS + 1),
        to: step.start(end + 1),
        complete: !e.history.is_cut(step),
        list: List::whole(e.history.slots(step, now).iter().map(item).collect()),
    }
}

fn round(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

/// What the page shows of one series, with the way to the other.
pub(super) struct Charts {
    pub(super) switch: [(&'static str, String); 2],
    pub(super) shown: &'static str,
    pub(super) keys: [(&'static str, &'static str); 5],
    /// Why it may not be whole.
    pub(super) cut: Option<&'static str>,
    pub(super) requests: String,
    pub(super) latency: String,
}

pub(super) fn charts(e: &EndpointView, span: &Span, now: Timestamp) -> Charts {
    let step = span.step().unwrap_or(Step::Minute);
    let slots = e.history.slots(step, now);
    let bars = bars(&slots, step.slot(now));
    let (shown, ago) = match step {
        Step::Minute => ("Day", "24 h ago"),
        Step::Hour => ("60 days", "60 days ago"),
    };
    let sum = |count: fn(&Slot) -> u32| slots.iter().map(|s| u64::from(count(s))).sum::<u64>();
    let requests = sum(|s| s.requests);
    let words = format!(
        "{} requests, {} answered with 4xx, {} with 5xx",
        grouped(requests),
        grouped(sum(|s| s.client_errors)),
        grouped(sum(|s| s.server_errors))
    );
    let whole = slots.iter().fold(Slot::default(), |mut all, s| {
        all.timed = all.timed.saturating_add(s.timed);
        all.latency_sum = all.latency_sum.saturating_add(s.latency_sum);
        all.slowest = all.slowest.max(s.slowest);
        all
    });
    let latency = match whole.mean_ms().zip(whole.slowest_ms()) {
        Some((mean, max)) => format!("latency {mean:.1} ms on average, {max:.1} ms at most"),
        None => "no latency is known".to_owned(),
    };
    let link = |step: &str| format!("/endpoints/{}?step={step}#history", e.key);
    Charts {
        switch: [("Day", link("minute")), ("60 days", link("hour"))],
        shown,
        keys: [
            ("seen", "requests"),
            ("refused", "4xx"),
            ("failed", "5xx"),
            ("mean", "mean latency"),
            ("slowest", "longest"),
        ],
        cut: (e.history.is_cut(step)).then_some(
            "What was here before was put out by the budget of histories (catalog.max_history).",
        ),
        requests: chart::stacked(&bars, ago, &words),
        latency: chart::latency(&bars, ago, &latency),
    }
}

/// Slots added up by bar, the last of which ends with the window.
fn bars(slots: &[Slot], end: i64) -> Vec<Bar> {
    let mut sums = vec![(Bar::default(), 0_u64, 0_u64); BARS as usize];
    let first = end - HISTORY_SLOTS + 1;
    for s in slots {
        let at = usize::try_from((i64::from(s.at) - first) / SLOTS_A_BAR).unwrap_or(usize::MAX);
        if let Some((bar, timed, sum)) = sums.get_mut(at) {
            let errors = s.client_errors.saturating_add(s.server_errors);
            bar.fine += u64::from(s.requests.saturating_sub(errors));
            bar.refused += u64::from(s.client_errors);
            bar.failed += u64::from(s.server_errors);
            *timed += u64::from(s.timed);
            *sum = sum.saturating_add(s.latency_sum);
            bar.slowest = s.slowest_ms().map_or(bar.slowest, |ms| bar.slowest.max(ms));
        }
    }
    let bar = |(bar, timed, sum): (Bar, u64, u64)| Bar {
        mean: (timed > 0).then(|| sum as f64 / timed as f64 / 1e3),
        ..bar
    };
    sums.into_iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Settings};
    use crate::exchange::parse_line;

    /// A request every half minute for an hour, one in four answered with 500 after 8 ms.
    fn endpoint() -> (EndpointView, Timestamp) {
        let mut catalog = Catalog::new(Settings::default());
        for n in 0..120 {
            let (status, ms) = if n % 4 == 3 { (500, 8) } else { (200, 2) };
            let line = format!(
                r#"{{"v":1,"ts":{},"method":"GET","host":"h","path":"/a","status":{status},"latency_ms":{ms}}}"#,
                1_760_000_400 + n * 30
            );
            catalog.apply(&parse_line(line.as_bytes()).unwrap(), &mut Vec::new());
        }
        let view = catalog.view();
        (view.endpoints[0].as_ref().clone(), view.at)
    }

    #[test]
    fn slots_as_data() {
        let (e, now) = endpoint();
        let minutes = serde_json::to_value(data(&e, Step::Minute, now)).unwrap();
        assert_eq!(minutes["items"].as_array().unwrap().len(), 60);
        let second = &minutes["items"][1];
        assert_eq!(
            (&second["requests"], &second["server_errors"]),
            (&2.into(), &1.into())
        );
        assert_eq!(
            second["latency_ms"],
            serde_json::json!({ "mean": 5.0, "max": 8.0 })
        );
        assert_eq!(minutes["complete"], true);
        let hours = serde_json::to_value(data(&e, Step::Hour, now)).unwrap();
        let sum: u64 = hours["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["requests"].as_u64().unwrap())
            .sum();
        assert_eq!(sum, 120);
    }

    #[test]
    fn bars_hold_all_that_the_slots_do() {
        let (e, now) = endpoint();
        for step in [Step::Minute, Step::Hour] {
            let bars = bars(&e.history.slots(step, now), step.slot(now));
            assert_eq!(bars.len(), BARS as usize);
            assert_eq!(bars.iter().map(|b| b.fine).sum::<u64>(), 90);
            assert_eq!(bars.iter().map(|b| b.failed).sum::<u64>(), 30);
            assert!(bars.iter().any(|b| b.slowest == 8.0));
        }
        let charts = charts(&e, &Span::default(), now);
        assert!(
            charts
                .requests
                .contains("120 requests, 0 answered with 4xx, 30 with 5xx")
        );
        assert!(
            charts
                .latency
                .contains("latency 3.5 ms on average, 8.0 ms at most")
        );
    }
}
