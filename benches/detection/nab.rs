//! NAB (Lavin and Ahmad, 2015): real counts with labelled windows.
//!
//! Each interval's value becomes that many exchanges of one endpoint, evenly spaced, so that what
//! is measured is the detector that runs in production. Series whose median is above 100 are
//! divided, those that are no whole numbers multiplied, to a median of 100. The first 15 % of a
//! series are for learning, as NAB has it. What rings less than six hours after the last is one
//! incident; an incident within a labelled window is right, a window with one is found. The same
//! holds for the EWMA: |value - mean| > 3 sigma, both decayed by 0.05 an interval.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use apitap::catalog::{Access, EndpointId};
use apitap::detect::{Detect, Settings, VerdictKind};
use apitap::exchange::Exchange;
use apitap::time::Timestamp;

/// False alarms a week that one will bear.
const BUDGETS: [f64; 2] = [1.0, 10.0];
const PROBATION: f64 = 0.15;
const MEDIAN: f64 = 100.0;
const QUIET: f64 = 6.0 * 3_600.0;
const DECAY: f64 = 0.05;
const SIGMAS: f64 = 3.0;

struct Series {
    name: String,
    /// Seconds of the epoch and value.
    points: Vec<(f64, f64)>,
    windows: Vec<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Score {
    incidents: usize,
    right: usize,
    windows: usize,
    found: usize,
}

impl Score {
    fn add(&mut self, other: Self) {
        self.incidents += other.incidents;
        self.right += other.right;
        self.windows += other.windows;
        self.found += other.found;
    }

    fn shown(self) -> String {
        let share = |part: usize, whole: usize| match whole {
            0 => "   -".to_owned(),
            _ => format!("{:4.2}", part as f64 / whole as f64),
        };
        format!(
            "{:4} incidents, precision {}, recall {} ({} of {})",
            self.incidents,
            share(self.right, self.incidents),
            share(self.found, self.windows),
            self.found,
            self.windows
        )
    }
}

pub(crate) fn run(real: &Path) {
    println!("NAB: labelled windows in real counts, after the first 15 % of each series");
    let mut all = vec![Score::default(); BUDGETS.len() + 1];
    let (mut labelled, mut time) = (0.0, 0.0);
    for series in load(real) {
        let start = series.learnt();
        let ours = BUDGETS.iter().map(|budget| apitap(&series, *budget));
        let rang = ours.chain([ewma(&series)]);
        let scores: Vec<_> = rang.map(|rang| score(&series, start, &rang)).collect();
        show(&series.name, &scores);
        all.iter_mut()
            .zip(scores)
            .for_each(|(sum, score)| sum.add(score));
        let until = series.points[series.points.len() - 1].0;
        let windows = series
            .windows
            .iter()
            .map(|w| (w.1 - w.0.max(start)).max(0.0));
        labelled += windows.sum::<f64>();
        time += until - start;
    }
    show("all", &all);
    println!("by chance the precision would be {:.2}", labelled / time);
}

fn show(name: &str, scores: &[Score]) {
    let budgets = BUDGETS.iter().map(|b| format!("apitap, {b} a week"));
    for (i, (who, score)) in budgets
        .chain(["EWMA, 3 sigma".to_owned()])
        .zip(scores)
        .enumerate()
    {
        let name = if i == 0 { name } else { "" };
        println!("{name:26} {who:18} {}", score.shown());
    }
}

impl Series {
    /// When learning is over.
    fn learnt(&self) -> f64 {
        self.points[(self.points.len() as f64 * PROBATION) as usize].0
    }
}

fn load(real: &Path) -> Vec<Series> {
    let windows: BTreeMap<String, Vec<[String; 2]>> = serde_json::from_str(
        &std::fs::read_to_string(real.join("nab_combined_windows.json")).unwrap(),
    )
    .unwrap();
    let mut names: Vec<_> = std::fs::read_dir(real)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.starts_with("nab_") && n.ends_with(".csv.gz"))
        .collect();
    names.sort();
    names
        .into_iter()
        .map(|file| {
            let name = file[4..file.len() - 7].to_owned();
            let labels = windows
                .iter()
                .find(|(path, _)| path.ends_with(&format!("/{name}.csv")));
            let windows = labels
                .unwrap_or_else(|| panic!("{name} has no labels"))
                .1
                .iter()
                .map(|[from, until]| (seconds(from), seconds(until)))
                .collect();
            let text = super::text(&real.join(&file));
            let points = text.lines().skip(1).filter_map(|line| {
                let (at, value) = line.split_once(',')?;
                Some((seconds(at), value.parse().ok()?))
            });
            Series {
                name,
                points: points.collect(),
                windows,
            }
        })
        .collect()
}

fn seconds(text: &str) -> f64 {
    // Without a zone in the data: UTC.
    let at: jiff::Timestamp = format!("{text}Z").parse().unwrap();
    at.as_second() as f64
}

fn score(series: &Series, start: f64, rang: &[f64]) -> Score {
    let mut incidents: Vec<f64> = Vec::new();
    let mut last = f64::MIN;
    for at in rang.iter().copied().filter(|at| *at >= start) {
        if at - last >= QUIET {
            incidents.push(at);
        }
        last = at;
    }
    let windows: Vec<_> = series.windows.iter().filter(|w| w.1 >= start).collect();
    let within = |at: f64, w: &(f64, f64)| w.0 <= at && at <= w.1;
    let right = incidents
        .iter()
        .filter(|at| windows.iter().any(|w| within(**at, w)));
    let found = windows
        .iter()
        .filter(|w| rang.iter().any(|at| *at >= start && within(*at, w)));
    Score {
        incidents: incidents.len(),
        right: right.count(),
        windows: windows.len(),
        found: found.count(),
    }
}

/// When the target side rings for the endpoint or its host.
fn apitap(series: &Series, budget: f64) -> Vec<f64> {
    let start = series.points[0].0;
    let mut detect = Detect::new(Settings {
        learning: Duration::from_secs_f64(series.learnt() - start),
        false_alarms_per_week: budget,
        ..Settings::default()
    });
    let mut values: Vec<f64> = series.points.iter().map(|p| p.1).collect();
    let whole = values.iter().all(|v| v.fract() == 0.0);
    values.sort_by(f64::total_cmp);
    let median = values[values.len() / 2].max(1e-9);
    let scale = if whole && median <= MEDIAN {
        1.0
    } else {
        MEDIAN / median
    };
    let access = Access {
        endpoint: Some(EndpointId(1)),
        node: None,
        object: None,
        confirmed: true,
        login: false,
        oddities: Default::default(),
        complete: true,
    };
    let mut out = Vec::new();
    for pair in series.points.windows(2) {
        let ((at, value), next) = (pair[0], pair[1].0);
        let count = (value * scale).round().max(0.0) as u32;
        for i in 0..count {
            let share = f64::from(i) / f64::from(count);
            let mut x = Exchange::at(Timestamp::from_secs_f64(at + share * (next - at)));
            x.method = Some("GET".into());
            x.host = Some("nab.example".into());
            x.path = Some("/series".into());
            x.status = Some(200);
            detect.apply(&access, &x, &mut out);
        }
    }
    let last = series.points[series.points.len() - 1].0;
    detect.tick(Timestamp::from_secs_f64(last), &mut out);
    let told = out.iter().filter(|v| {
        matches!(v.kind, VerdictKind::Volume | VerdictKind::Availability)
            && (v.endpoint.is_some() || v.host.is_some())
    });
    told.map(|v| v.at.secs_f64()).collect()
}

fn ewma(series: &Series) -> Vec<f64> {
    let (mut mean, mut variance) = (series.points[0].1, 0.0);
    let mut rang = Vec::new();
    for &(at, value) in &series.points {
        let off = value - mean;
        if off * off > SIGMAS * SIGMAS * variance {
            rang.push(at);
        }
        mean += DECAY * off;
        variance = (1.0 - DECAY) * (variance + DECAY * off * off);
    }
    rang
}
