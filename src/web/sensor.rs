//! The sensor's page: sources, taps, the ledger.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::frame::{Frame, Moment, show};
use super::routes::Shared;
use super::who::Who;
use super::{SourceView, chart, filters};
use crate::sensor::doctor::{self, Symptom, grouped};
use crate::sensor::{self, Readings, TapReading};
use crate::time::Timestamp;

/// Overlay networks that the page lists.
const NETWORKS: usize = 50;

/// A tap or network: its name, then numbers.
struct Row {
    name: String,
    numbers: Vec<String>,
}

fn flow_cells(segments: &sensor::Segments, flows: &sensor::Flows) -> Vec<String> {
    let numbers = [
        segments.segments,
        segments.bytes,
        flows.both,
        flows.one_way,
        flows.copies,
        flows.lost_bytes,
    ];
    numbers.into_iter().map(grouped).collect()
}

fn tap_row(tap: &TapReading) -> Row {
    let f = &tap.frames;
    let unread: u64 = f.all_ignored().map(|(_, v)| v.bytes).sum();
    let share = unread as f64 / f.all.bytes.max(1) as f64 * 100.0;
    let mut numbers = vec![
        grouped(f.all.frames),
        grouped(f.all.bytes),
        format!("{share:.1} %"),
        grouped(f.cut.frames),
        grouped(f.clock.backward),
    ];
    numbers.extend(flow_cells(&f.segments, &tap.flows));
    Row {
        name: tap.name.clone(),
        numbers,
    }
}

/// Those with the most bytes first.
fn network_rows(readings: &Readings) -> Vec<Row> {
    let mut all: Vec<_> = readings.networks.iter().collect();
    all.sort_by_key(|n| std::cmp::Reverse(n.segments.bytes));
    let rows = all.into_iter().take(NETWORKS).map(|n| Row {
        name: n.vni.map_or_else(|| "others".into(), |vni| vni.to_string()),
        numbers: flow_cells(&n.segments, &n.flows),
    });
    rows.collect()
}

struct StageRow {
    name: &'static str,
    numbers: Vec<u64>,
    reasons: String,
}

#[derive(Template)]
#[template(path = "sensor.html")]
struct Sensor {
    page: Frame,
    balanced: bool,
    picture: String,
    stages: Vec<StageRow>,
    sources: Vec<SourceView>,
    symptoms: Vec<Symptom>,
    sound: String,
    taps: Vec<Row>,
    networks: Vec<Row>,
    more_networks: usize,
    facts: Vec<(&'static str, String)>,
    times: Vec<Moment>,
}

/// The ledger's stages in the order of the data.
const STAGES: [&str; 7] = [
    "frame", "datagram", "segment", "message", "session", "exchange", "alert",
];

fn remarks(all: &[(&'static str, u64)]) -> String {
    let met = all.iter().filter(|(_, n)| *n > 0);
    let words: Vec<String> = met.map(|(what, n)| format!("{what} {n}")).collect();
    if words.is_empty() {
        "nothing".into()
    } else {
        words.join(", ")
    }
}

pub(super) async fn page(State(app): Shared, who: Who) -> Response {
    let s = app.views.sensor.load();
    let row = |name: &'static str| {
        let stage = s.ledger.stages.get(name)?;
        let sum = |c: &sensor::Counters| c.values().sum::<u64>();
        let numbers = vec![
            stage.received,
            stage.analysed,
            sum(&stage.ignored),
            sum(&stage.malformed),
            sum(&stage.shed),
            stage.pending,
        ];
        let all = stage
            .ignored
            .iter()
            .chain(&stage.malformed)
            .chain(&stage.shed);
        let reasons = all
            .map(|(reason, n)| format!("{reason} {n}"))
            .collect::<Vec<_>>()
            .join(", ");
        Some(StageRow {
            name,
            numbers,
            reasons,
        })
    };
    let known = |t: Timestamp| (t > Timestamp::MIN).then_some(t);
    let times = vec![
        ("Packet time", known(s.at)),
        ("Last frame", known(s.last_frame_wall)),
        ("Started", known(s.started_wall)),
    ];
    let facts = vec![
        ("Workers", s.workers.to_string()),
        ("Flows followed", grouped(s.flows)),
        ("Flows put out by the budget", grouped(s.flows_evicted)),
        (
            "Held for reassembly",
            doctor::count(s.buffered_bytes, "byte"),
        ),
        ("Exchanges", grouped(s.exchanges)),
        ("Out of the ordinary", remarks(&s.remarks)),
    ];
    show(&Sensor {
        balanced: s.ledger.balanced(),
        picture: chart::flow(&s.ledger),
        stages: STAGES.into_iter().filter_map(row).collect(),
        sources: s.sources.clone(),
        symptoms: s.symptoms.clone(),
        sound: doctor::sound(&s.readings),
        taps: s.readings.taps.iter().map(tap_row).collect(),
        more_networks: s.readings.networks.len().saturating_sub(NETWORKS),
        networks: network_rows(&s.readings),
        facts,
        times,
        page: Frame::new(&app, &who, "sensor"),
    })
}
