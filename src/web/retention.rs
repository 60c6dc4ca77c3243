//! What is kept, for how long and how much of it, beside what of that is used now.

use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::frame::{Frame, show};
use super::routes::{App, Shared};
use super::who::Who;
use super::{Budget, Views, budgets, filters};
use crate::alert::delivery::MAX_AGE;
use crate::catalog::HISTORY_SLOTS;
use crate::sensor::doctor::grouped;

/// One kind of thing.
struct Kept {
    what: &'static str,
    /// The page that shows it, where one does.
    page: &'static str,
    now: String,
    most: String,
    /// 0 to 100; none without a bound.
    percent: Option<u64>,
    /// For how long, and what goes first.
    rule: String,
    evicted: u64,
    /// The key that bounds it.
    key: &'static str,
}

impl Kept {
    fn of(
        budget: &Budget,
        what: &'static str,
        page: &'static str,
        rule: String,
        key: &'static str,
    ) -> Self {
        let text = |n| {
            if budget.unit == "byte" {
                bytes(n)
            } else {
                grouped(n)
            }
        };
        Self {
            what,
            page,
            now: text(budget.used),
            most: if budget.limit == 0 {
                "–".into()
            } else {
                text(budget.limit)
            },
            percent: budget.share().map(|share| (share * 100.0).round() as u64),
            rule,
            evicted: budget.evicted.unwrap_or(0),
            key,
        }
    }
}

fn days(span: Duration) -> String {
    match span.as_secs() / 86_400 {
        1 => "1 day".into(),
        n => format!("{n} days"),
    }
}

/// What budgets bound.
fn bounded(views: &Views) -> Vec<Kept> {
    let settings = views.settings.load();
    let all = budgets(views);
    let texts = [
        ("Endpoints", "Inventory", "/endpoints", "Until the budget: candidates go first, then what was called longest ago.".into(), "catalog.max_endpoints"),
        ("Histories", "Histories of endpoints", "/endpoints", format!("By the minute for a day, by the hour for {}; past the budget the minutes of those called least go first.", days(Duration::from_secs(HISTORY_SLOTS.unsigned_abs() * 3_600))), "catalog.max_history"),
        ("Principals", "Principals", "/principals", "Until the budget: who was seen longest ago goes first.".into(), "detect.max_principals"),
        ("Alerts", "Alerts", "/alerts", "Until the budget: settled ones go first, then the least severe, oldest first.".into(), "alert.max_alerts"),
        ("Incidents", "Incidents", "/incidents", "As alerts.".into(), "alert.max_incidents"),
        ("Packets", "Packets of alerts", "/alerts", if settings.limits.packet_bytes == 0 { "Off: no packet is kept.".into() } else { "Until the budget: what was written to longest ago goes first.".to_owned() }, "evidence.max_saved"),
        ("Flows", "Flows being followed", "/sensor", "Until they are silent for the time that is set; past the budget the oldest goes first.".into(), "sensor.max_flows"),
        ("Reassembly", "Bytes held for reassembly", "/sensor", "Until what is missing comes, or the budget.".into(), "sensor.max_buffered"),
        ("Schemas", "Fields of schemas", "/endpoints", "As long as their endpoint; past the budget no new ones are learnt.".into(), "catalog.max_fields"),
    ];
    let found = texts
        .into_iter()
        .filter_map(|(name, what, page, rule, key)| {
            let budget = all.iter().find(|b| b.name == name)?;
            Some(Kept::of(budget, what, page, rule, key))
        });
    found.collect()
}

/// What a rule keeps, or ends.
struct Ruled {
    what: &'static str,
    page: &'static str,
    /// Empty where it is not counted.
    now: String,
    rule: String,
}

fn ruled(app: &App) -> Vec<Ruled> {
    let settings = app.views.settings.load();
    let n = |n: usize| grouped(n as u64);
    let decisions = app.views.decisions.load().items.len();
    let deliveries = app.views.deliveries.load();
    let waiting: usize = deliveries.sinks.iter().map(|s| s.pending).sum();
    let silences = app.views.alerts.load().silences.len();
    let all = [
        (
            "Decisions",
            "/decisions",
            n(decisions),
            "As long as the place that they are about is known; those taken back, for the record."
                .into(),
        ),
        (
            "Rules for silence",
            "/silences",
            n(silences),
            "Until they end; the last of those that have ended stay.".into(),
        ),
        (
            "False alarms",
            "/alerts?status=false-alarm",
            String::new(),
            format!(
                "What a person called one is counted and not told for {}.",
                days(settings.dismissal)
            ),
        ),
        (
            "Messages that wait for a sink",
            "/settings/sinks",
            n(waiting),
            format!(
                "Until the sink takes them, {} at most; then they are dead letters.",
                days(MAX_AGE)
            ),
        ),
        (
            "Dead letters",
            "/settings/sinks",
            n(deliveries.dead.len()),
            "Until a person sends them again, or newer ones push them out.".into(),
        ),
        (
            "Documented operations without traffic",
            "/endpoints?life=dormant",
            String::new(),
            format!(
                "They are dormant after {}, and stay as long as their spec does.",
                days(settings.dormant_after)
            ),
        ),
        (
            "Bodies, tokens, passwords",
            "",
            "0".into(),
            "Never kept: what is learnt of them is their shape, their class and a keyed hash."
                .into(),
        ),
    ];
    let ruled = |(what, page, now, rule)| Ruled {
        what,
        page,
        now,
        rule,
    };
    all.into_iter().map(ruled).collect()
}

/// As people read it.
fn bytes(n: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| n >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", n as f64 / *unit as f64),
        None => format!("{n} B"),
    }
}

#[derive(Template)]
#[template(path = "retention.html")]
struct Retention {
    page: Frame,
    tab: &'static str,
    bounded: Vec<Kept>,
    ruled: Vec<Ruled>,
    journal: String,
    checkpoints: String,
    trouble: Option<String>,
}

pub(super) async fn page(State(app): Shared, who: Who) -> Response {
    let sensor = app.views.sensor.load();
    show(&Retention {
        page: Frame::new(&app, &who, "settings"),
        tab: "retention",
        bounded: bounded(&app.views),
        ruled: ruled(&app),
        journal: bytes(sensor.upkeep.journal_bytes),
        checkpoints: bytes(sensor.upkeep.checkpoint_bytes),
        trouble: sensor.upkeep.store_trouble.clone(),
    })
}
