//! An endpoint's history as data, with what is expected of it; [`charts`] are what its page makes of it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{self, List, Path, Query};
use super::routes::Shared;
use crate::catalog::{EndpointView, HISTORY_SLOTS, Step, Total};
use crate::detect::{Band, Expected};
use crate::time::Timestamp;

mod charts;

pub(super) use charts::{Charts, Shown, charts, of_a_day};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// What the data is counted by.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Span {
    /// What a step is: a minute of the last day, an hour or a day of the last 60 days.
    #[schemars(extend("enum" = ["minute", "hour", "day"], "default" = "minute"))]
    step: String,
}

/// What one step had.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HistoryStep")]
struct Item {
    ts: Timestamp,
    requests: u32,
    client_errors: u32,
    server_errors: u32,
    /// Null where none is known.
    latency_ms: Option<Latency>,
    /// Body bytes.
    request_bytes: u64,
    response_bytes: u64,
    /// Requests, by what is learnt so far; null where there is no baseline yet.
    expected: Option<Rate>,
}

/// In milliseconds; the quantiles within an eighth.
#[derive(Serialize, JsonSchema)]
struct Latency {
    mean: f64,
    max: f64,
    p50: f64,
    p90: f64,
    p99: f64,
}

#[derive(Serialize, JsonSchema)]
struct Rate {
    mean: f64,
    low: f64,
    high: f64,
}

/// What was measured over time.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "History")]
pub(super) struct Series<'a> {
    key: &'a str,
    step: &'static str,
    /// Of a step.
    seconds: i64,
    /// The window; steps of it without traffic are left out.
    from: Timestamp,
    to: Timestamp,
    /// Nothing in it was put out by the budget of histories.
    complete: bool,
    #[serde(flatten)]
    list: List<Item>,
}

/// `/api/v1/endpoints/{key}/history`.
pub(super) async fn series(
    State(app): Shared,
    Path(key): Path<String>,
    Query(span): Query<Span>,
) -> Response {
    let catalog = app.views.catalog.load();
    let Some(e) = catalog.find(&key) else {
        return api::problem(StatusCode::NOT_FOUND, "there is no such endpoint");
    };
    let (step, name, seconds) = match span.step.as_str() {
        "" | "minute" => (Step::Minute, "minute", 60),
        "hour" => (Step::Hour, "hour", HOUR),
        "day" => (Step::Hour, "day", DAY),
        _ => return api::problem(StatusCode::BAD_REQUEST, "step is minute, hour or day"),
    };
    let bands = app.views.bands.load();
    let band = bands.of(e.id);
    let count = HISTORY_SLOTS * step.seconds() / seconds;
    let bars = bars(e, step, seconds, count, catalog.at);
    let from = bars.first().map_or(catalog.at, |bar| bar.from);
    api::json(&Series {
        key: &e.key,
        step: name,
        seconds,
        from,
        to: Timestamp::from_secs(from.secs() + count * seconds),
        complete: !e.history.is_cut(step),
        list: List::whole(bars.iter().filter_map(|bar| bar.item(band)).collect()),
    })
}

/// One bar of a chart.
struct Bar {
    from: Timestamp,
    seconds: i64,
    total: Total,
}

/// The last `count` spans of so many seconds, on their grid.
fn bars(e: &EndpointView, step: Step, seconds: i64, count: i64, now: Timestamp) -> Vec<Bar> {
    let first = now.secs().div_euclid(seconds) - count + 1;
    let width = seconds / step.seconds();
    let run = e.history.run(step, now);
    let totals = run.bars(first * width, width, usize::try_from(count).unwrap_or(0));
    let bar = |(at, total)| Bar {
        from: Timestamp::from_secs((first + at) * seconds),
        seconds,
        total,
    };
    (0..).zip(totals).map(bar).collect()
}

impl Bar {
    fn item(&self, band: Option<&Band>) -> Option<Item> {
        let slot = &self.total.slot;
        let latency = slot.mean_ms().zip(slot.slowest_ms());
        let quantile = |q| round(self.total.quantile(q).unwrap_or_default());
        (slot.requests > 0).then(|| Item {
            ts: self.from,
            requests: slot.requests,
            client_errors: slot.client_errors,
            server_errors: slot.server_errors,
            latency_ms: latency.map(|(mean, max)| Latency {
                mean: round(mean),
                max: round(max),
                p50: quantile(0.5),
                p90: quantile(0.9),
                p99: quantile(0.99),
            }),
            request_bytes: slot.request_bytes,
            response_bytes: slot.response_bytes,
            expected: self.expected(band).map(|e| Rate {
                mean: round(e.mean),
                low: round(e.low),
                high: round(e.high),
            }),
        })
    }

    fn expected(&self, band: Option<&Band>) -> Option<Expected> {
        Some(band?.expected(self.from, self.seconds))
    }
}

fn round(n: f64) -> f64 {
    (n * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Settings};
    use crate::exchange::parse_line;

    /// A request every half minute for an hour, one in four answered with 500 after 8 ms.
    pub(super) fn endpoint() -> (EndpointView, Timestamp) {
        let mut catalog = Catalog::new(Settings::default());
        for n in 0..120 {
            let (status, ms) = if n % 4 == 3 { (500, 8) } else { (200, 2) };
            let line = format!(
                r#"{{"v":1,"ts":{},"method":"GET","host":"h","path":"/a","status":{status},"latency_ms":{ms},"request_bytes":10,"response_bytes":2048}}"#,
                1_760_000_400 + n * 30
            );
            catalog.apply(&parse_line(line.as_bytes()).unwrap(), &mut Vec::new());
        }
        let view = catalog.view();
        (view.endpoints[0].as_ref().clone(), view.at)
    }

    #[test]
    fn a_step_as_data() {
        let (e, now) = endpoint();
        let minutes = bars(&e, Step::Minute, 60, HISTORY_SLOTS, now);
        let items: Vec<Item> = minutes.iter().filter_map(|bar| bar.item(None)).collect();
        assert_eq!(items.len(), 60);
        let item = serde_json::to_value(&items[1]).unwrap();
        assert_eq!(
            (&item["requests"], &item["server_errors"]),
            (&2.into(), &1.into())
        );
        assert_eq!(item["request_bytes"], 20);
        assert_eq!(
            (&item["latency_ms"]["mean"], &item["latency_ms"]["max"]),
            (&5.0.into(), &8.0.into())
        );
        let p99 = item["latency_ms"]["p99"].as_f64().unwrap();
        assert!((p99 - 8.0).abs() <= 1.0, "{p99}");
        assert!(item["expected"].is_null());
    }
}
