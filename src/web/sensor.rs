//! The sensor's page: what is wrong with the taps first, then where everything went, what came and
//! was lost over the last hour, what the taps, networks and workers show, and the budgets.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::frame::{Frame, Moment, health, show};
use super::ledger::{self, Outcome, STAGES, share};
use super::overview::capital;
use super::routes::Shared;
use super::who::Who;
use super::{Beat, Budget, SensorView, SourceView, WorkerView, api, chart, filters};
use crate::catalog::{Coverage, Inspection, TlsHostView};
use crate::sensor::doctor::{self, Symptom, grouped};
use crate::sensor::{self, Ledger, NetworkReading, Readings, TapReading};
use crate::time::Timestamp;

/// Overlay networks that the page lists, and hosts that keep the most in the dark.
const NETWORKS: usize = 50;
const DARK: usize = 5;
/// Seconds, and minutes, of which the charts are.
const BEATS: (usize, usize) = (120, 60);

/// A number with the name of its column.
type Cell = (&'static str, String);

/// A tap or network.
struct Row {
    name: String,
    /// Share of its bytes that could be read, in percent; none: it is not known.
    readable: Option<f64>,
    cells: Vec<Cell>,
}

fn flow_cells(segments: &sensor::Segments, flows: &sensor::Flows) -> Vec<Cell> {
    let count = |name, n| (name, grouped(n));
    vec![
        count("TCP segments", segments.segments),
        ("TCP bytes", bytes(segments.bytes)),
        count("Cut short", segments.cut),
        count("Both ways", flows.both),
        count("One way", flows.one_way),
        count("Copies", flows.copies),
        ("Lost", bytes(flows.lost_bytes)),
    ]
}

fn tap_row(tap: &TapReading) -> Row {
    let f = &tap.frames;
    let ignored: u64 = f.all_ignored().map(|(_, v)| v.bytes).sum();
    let malformed: u64 = f.all_malformed().map(|(_, v)| v.bytes).sum();
    let all = f.all.bytes;
    let readable = all.saturating_sub(ignored + malformed) as f64 / all.max(1) as f64 * 100.0;
    let mut cells = vec![
        ("Frames", grouped(f.all.frames)),
        ("Bytes", bytes(all)),
        ("Clock back", grouped(f.clock.backward)),
    ];
    cells.extend(flow_cells(&f.segments, &tap.flows));
    Row {
        name: tap.name.clone(),
        readable: (all > 0).then_some(readable),
        cells,
    }
}

/// Those with the most bytes first.
fn network_rows(readings: &Readings) -> Vec<Row> {
    let mut all: Vec<&NetworkReading> = readings.networks.iter().collect();
    all.sort_by_key(|n| std::cmp::Reverse(n.segments.bytes));
    let rows = all.into_iter().take(NETWORKS).map(|n| Row {
        name: n.vni.map_or_else(|| "others".into(), |vni| vni.to_string()),
        readable: None,
        cells: flow_cells(&n.segments, &n.flows),
    });
    rows.collect()
}

/// Of all taps, frames and bytes by kind of tunnel, the most first.
fn tunnels(readings: &Readings) -> Vec<(&'static str, u64, u64)> {
    let mut all: Vec<(&'static str, u64, u64)> = Vec::new();
    for (kind, v) in readings.taps.iter().flat_map(|t| t.frames.all_tunnels()) {
        match all.iter_mut().find(|(name, ..)| *name == kind.name()) {
            Some((_, frames, bytes)) => (*frames, *bytes) = (*frames + v.frames, *bytes + v.bytes),
            None => all.push((kind.name(), v.frames, v.bytes)),
        }
    }
    all.sort_by_key(|(_, frames, _)| std::cmp::Reverse(*frames));
    all
}

/// In the unit that people would choose.
fn bytes(n: u64) -> String {
    if n < 1_000 {
        return format!("{n} B");
    }
    let units = ["kB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (n as f64 / 1e3, 0);
    while value >= 999.95 && unit + 1 < units.len() {
        (value, unit) = (value / 1e3, unit + 1);
    }
    format!("{value:.1} {}", units[unit])
}

struct StageRow {
    name: &'static str,
    received: u64,
    outcomes: [Outcome; 5],
    /// Every reason that was met.
    reasons: String,
}

fn stage_row(s: &SensorView, name: &'static str) -> Option<StageRow> {
    let stage = s.ledger.stages.get(name)?;
    let outcomes = ledger::outcomes(stage);
    let all = outcomes.iter().flat_map(|o| &o.reasons);
    let reasons: Vec<String> = all
        .map(|(reason, n)| format!("{reason} {}", grouped(*n)))
        .collect();
    Some(StageRow {
        name,
        received: stage.received,
        reasons: reasons.join(", "),
        outcomes,
    })
}

impl StageRow {
    fn share(&self, outcome: &Outcome) -> String {
        share(outcome.count, self.received)
    }
}

/// Something with its count, and its share of the whole.
struct Part {
    name: String,
    count: String,
    share: f64,
    words: String,
}

fn parts(all: impl Iterator<Item = (String, u64)>, count: fn(u64) -> String) -> Vec<Part> {
    let all: Vec<(String, u64)> = all.collect();
    let whole = all.iter().map(|(_, n)| n).sum::<u64>();
    let part = |(name, n): (String, u64)| Part {
        name,
        count: count(n),
        share: n as f64 / whole.max(1) as f64 * 100.0,
        words: share(n, whole),
    };
    all.into_iter().map(part).collect()
}

fn inspected(c: &Coverage) -> Vec<Part> {
    let all = [
        ("HTTP in clear", c.clear_bytes),
        ("TLS opened with your keys", c.opened_bytes),
        ("TLS not opened", c.dark_bytes),
    ];
    let met = all.into_iter().filter(|(_, n)| *n > 0);
    parts(met.map(|(name, n)| (name.to_owned(), n)), bytes)
}

/// A budget with its use.
struct Meter {
    budget: Budget,
    percent: f64,
    text: String,
}

fn meter(budget: &Budget) -> Meter {
    let n = |n: u64| match budget.unit {
        "byte" => bytes(n),
        _ => grouped(n),
    };
    let percent = budget.used as f64 / budget.limit.max(1) as f64 * 100.0;
    Meter {
        text: format!("{} of {}", n(budget.used), n(budget.limit)),
        percent: percent.min(100.0),
        budget: budget.clone(),
    }
}

/// What was lost in the last hour, in words: since when, how much.
fn loss(minutes: &[Beat]) -> Option<(Timestamp, String)> {
    let first = minutes.iter().find(|b| b.is_lossy())?;
    let sum = |f: fn(&Beat) -> u64| minutes.iter().map(f).sum::<u64>();
    let (dropped, shed) = (sum(|b| b.dropped), sum(|b| b.shed));
    let mut words = Vec::new();
    if dropped > 0 {
        words.push(format!("{} dropped", doctor::count(dropped, "packet")));
    }
    if shed > 0 {
        words.push(format!("{} shed for want of room", grouped(shed)));
    }
    Some((first.at, words.join(", ")))
}

/// In as many places as are remembered, so that a bar keeps its width from the start on.
fn beats(all: &[Beat], unit: &str, places: usize) -> String {
    let before = std::iter::repeat_n((0, 0), places.saturating_sub(all.len()));
    let met = all.iter().map(|b| (b.frames, b.dropped + b.shed));
    let bars: Vec<(u64, u64)> = before.chain(met).collect();
    let frames: u64 = bars.iter().map(|b| b.0).sum();
    let lost: u64 = bars.iter().map(|b| b.1).sum();
    let most = bars.iter().map(|b| b.0).max().unwrap_or(0);
    let lost = match lost {
        0 => "nothing lost".to_owned(),
        n => format!("{} lost", grouped(n)),
    };
    let words = format!(
        "{}, at most {} a {unit}, {lost}",
        doctor::count(frames, "frame"),
        grouped(most)
    );
    let ago = format!("{} {unit}s ago", bars.len());
    chart::rates(&bars, &ago, &words)
}

#[derive(Template)]
#[template(path = "sensor.html")]
struct Sensor {
    page: Frame,
    tone: &'static str,
    state: String,
    has_ended: bool,
    balanced: bool,
    across: String,
    down: String,
    stages: Vec<StageRow>,
    drops: (u64, u64),
    gaps: (u64, String),
    sources: Vec<SourceView>,
    symptoms: Vec<Symptom>,
    sound: String,
    taps: Vec<Row>,
    networks: Vec<Row>,
    more_networks: usize,
    tunnels: Vec<(&'static str, u64, u64)>,
    protocols: Vec<Part>,
    inspected: Vec<Part>,
    dark: Vec<(String, String)>,
    meters: Vec<Meter>,
    workers: Vec<WorkerView>,
    seconds: String,
    minutes: String,
    recent: Vec<Beat>,
    lost: Option<(Timestamp, String)>,
    remarks: Vec<(String, u64)>,
    times: Vec<Moment>,
}

impl Sensor {
    fn percent(&self, share: &f64) -> String {
        format!("{:.1} %", share)
    }

    fn load(&self, worker: &WorkerView) -> String {
        format!("{:.0} %", worker.load * 100.0)
    }

    fn bytes(&self, n: &u64) -> String {
        bytes(*n)
    }

    fn is_trouble(&self) -> bool {
        ["bad", "warn"].contains(&self.tone)
    }

    fn nothing(&self) -> bool {
        self.stages.iter().all(|s| s.received == 0)
    }
}

/// `/sensor`.
pub(super) async fn page(State(app): Shared, who: Who) -> Response {
    let s = app.views.sensor.load();
    let catalog = app.views.catalog.load();
    let known = |t: Timestamp| (t > Timestamp::MIN).then_some(t);
    let mut dark: Vec<&TlsHostView> = catalog.tls.hosts.iter().map(AsRef::as_ref).collect();
    dark.retain(|h| h.inspection != Inspection::Opened && h.dark_bytes > 0);
    if dark.len() > DARK {
        dark.select_nth_unstable_by_key(DARK, |h| std::cmp::Reverse(h.dark_bytes));
        dark.truncate(DARK);
    }
    dark.sort_by_key(|h| std::cmp::Reverse(h.dark_bytes));
    let sum = |f: fn(&SourceView) -> u64| s.sources.iter().map(f).sum::<u64>();
    let met = s.remarks.iter().filter(|(_, n)| *n > 0);
    let (tone, state) = health(&s);
    show(&Sensor {
        tone,
        state,
        has_ended: s.sources.iter().any(|x| x.ended.is_some()),
        balanced: s.ledger.balanced(),
        across: ledger::across(&s.ledger),
        down: ledger::down(&s.ledger),
        stages: STAGES
            .iter()
            .filter_map(|(n, _)| stage_row(&s, n))
            .collect(),
        drops: (sum(|x| x.kernel_drops), sum(|x| x.interface_drops)),
        gaps: (s.gaps, bytes(s.gap_bytes)),
        sources: s.sources.clone(),
        symptoms: s.symptoms.clone(),
        sound: capital(&doctor::sound(&s.readings)),
        taps: s.readings.taps.iter().map(tap_row).collect(),
        more_networks: s.readings.networks.len().saturating_sub(NETWORKS),
        networks: network_rows(&s.readings),
        tunnels: tunnels(&s.readings),
        protocols: parts(
            s.protocols.iter().map(|(name, n)| ((*name).to_owned(), *n)),
            grouped,
        ),
        inspected: inspected(&catalog.tls.coverage),
        dark: dark
            .into_iter()
            .map(|h| (h.key.clone(), bytes(h.dark_bytes)))
            .collect(),
        meters: s.budgets.iter().map(meter).collect(),
        workers: s.load.clone(),
        seconds: beats(&s.seconds, "second", BEATS.0),
        minutes: beats(&s.minutes, "minute", BEATS.1),
        recent: s.minutes.iter().rev().copied().collect(),
        lost: loss(&s.minutes),
        remarks: met.map(|(what, n)| (what.replace('_', " "), *n)).collect(),
        times: vec![
            ("Last frame", known(s.last_frame_wall)),
            ("Packet time", known(s.at)),
            ("Started", known(s.started_wall)),
        ],
        page: Frame::new(&app, &who, "sensor"),
    })
}

/// What the page shows, as data.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Sensor")]
pub(super) struct Whole<'a> {
    /// In words, as every page shows it.
    state: String,
    ledger: &'a Ledger,
    sources: &'a [SourceView],
    /// What is wrong with the taps, and how to mend it.
    doctor: &'a [Symptom],
    taps: &'a [TapReading],
    /// Overlay networks.
    networks: &'a [NetworkReading],
    workers: usize,
    load: &'a [WorkerView],
    flows: u64,
    flows_evicted: u64,
    buffered_bytes: u64,
    gaps: u64,
    gap_bytes: u64,
    exchanges: u64,
    exchanges_per_second: f64,
    /// Exchanges by protocol.
    protocols: std::collections::BTreeMap<&'static str, u64>,
    coverage: &'a Coverage,
    budgets: &'a [Budget],
    seconds: &'a [Beat],
    minutes: &'a [Beat],
    at: Timestamp,
    last_frame: Timestamp,
    started: Timestamp,
}

/// `/api/v1/sensor`.
pub(super) async fn data(State(app): Shared) -> Response {
    let s = app.views.sensor.load();
    let catalog = app.views.catalog.load();
    api::json(&Whole {
        state: health(&s).1,
        ledger: &s.ledger,
        sources: &s.sources,
        doctor: &s.symptoms,
        taps: &s.readings.taps,
        networks: &s.readings.networks,
        workers: s.workers,
        load: &s.load,
        flows: s.flows,
        flows_evicted: s.flows_evicted,
        buffered_bytes: s.buffered_bytes,
        gaps: s.gaps,
        gap_bytes: s.gap_bytes,
        exchanges: s.exchanges,
        exchanges_per_second: s.exchanges_per_second,
        protocols: s.protocols.iter().copied().collect(),
        coverage: &catalog.tls.coverage,
        budgets: &s.budgets,
        seconds: &s.seconds,
        minutes: &s.minutes,
        at: s.at,
        last_frame: s.last_frame_wall,
        started: s.started_wall,
    })
}
