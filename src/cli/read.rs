//! `apitap read`: captures through the whole pipeline.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::what_if::Trial;
use super::{Format, ReadArgs, input, output, summary};
use crate::alert::Alert;
use crate::analysis::Analysis;
use crate::capture::{FileSource, MergedSource, Polled, Source};
use crate::exchange::{Exchange, write_line};
use crate::sensor::{
    self, Counts, END_OF_INPUT, Either, Inline, Ledger, Merger, Pool, Readings, Record, TlsRecord,
    doctor, interleave,
};
use crate::time::Timestamp;
use crate::tls;

/// What one reading came to.
pub(super) struct Reading {
    pub(super) ledger: Ledger,
    /// What the taps showed, for the doctor.
    pub(super) readings: Readings,
    pub(super) alerts: Vec<Alert>,
    /// Endpoints of each exchange's request, for `assignments`.
    pub(super) requests: Vec<[String; 4]>,
    pub(super) exchanges: u64,
    pub(super) tls: tls::Counters,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

pub(super) fn read(args: &ReadArgs) -> anyhow::Result<ExitCode> {
    let specs = input::specs_or_fail(&args.common)?;
    let (mut analysis, store) = input::analysis(&args.common)?;
    let config = input::config(&args.common)?;
    let settings = sensor::Settings {
        workers: usize::from(args.workers),
        identity_key: input::identity_key(args.common.identity_key.as_deref())?,
        trusted: config.trusted(),
        rules: config.rules(),
        mask: !args.no_mask,
        countries: config.countries()?,
        ..sensor::Settings::default()
    };
    if let Some(path) = &args.keylog {
        input::keys(path, &settings.keys)?;
    }
    let mut alerts = Vec::new();
    analysis.set_specs(specs, &mut alerts);
    let mut failures = Vec::new();
    let (source, progress) = open(
        &input::captures(&args.files)?,
        args.sequential,
        &mut failures,
    );
    let out = output::open(args.common.output.as_deref())?;
    let format = args.common.format;
    let mut job = Job {
        format,
        analysis,
        trial: Trial::asked(&args.common)?,
        reading: Reading::nothing(alerts),
        lines: Vec::new(),
        out,
        progress,
        failures,
    };
    if let Some(source) = source {
        job.run(source, &settings)?;
    }
    job.progress.end();
    let Job {
        mut analysis,
        trial,
        reading,
        failures,
        mut out,
        ..
    } = job;
    match &trial {
        Some(trial) => trial.report(&reading.alerts, format, &mut out)?,
        None => {
            let host = args.common.host.as_deref();
            summary::write(format, host, &mut analysis, &reading, &mut out)?;
        }
    }
    out.flush()?;
    input::keep(store, &mut analysis, &reading.alerts);
    for failure in &failures {
        eprintln!("apitap: {failure}");
    }
    if args.serve {
        crate::daemon::serve(&config, &mut analysis, &reading.ledger, &reading.readings)?;
    }
    Ok(if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The demo's traffic, read at once.
pub(super) fn demo_once(seed: u64) -> anyhow::Result<ExitCode> {
    let mut analysis = Analysis::new(crate::compose::demo::settings());
    let mut alerts = Vec::new();
    analysis.set_specs(crate::compose::demo::specs()?, &mut alerts);
    let now = Timestamp::from_secs(1_760_000_000);
    let pace = crate::compose::demo::Pace::AsFast {
        until: now + Duration::from_secs(600),
    };
    let source = Box::new(crate::compose::demo::DemoSource::new(seed, now, pace));
    let out = output::open(None)?;
    let (format, progress) = (Format::Summary, Progress::none());
    let mut job = Job {
        format,
        analysis,
        trial: None,
        reading: Reading::nothing(alerts),
        lines: Vec::new(),
        out,
        progress,
        failures: Vec::new(),
    };
    job.run(source, &sensor::Settings::default())?;
    summary::write(format, None, &mut job.analysis, &job.reading, &mut job.out)?;
    job.out.flush()?;
    Ok(ExitCode::SUCCESS)
}

impl Reading {
    pub(super) fn nothing(alerts: Vec<Alert>) -> Self {
        Self {
            ledger: Ledger::default(),
            readings: Readings::default(),
            alerts,
            requests: Vec::new(),
            exchanges: 0,
            tls: tls::Counters::default(),
            from: Timestamp::MAX,
            to: Timestamp::MIN,
        }
    }

    fn take(&mut self, record: &Record, format: Format, analysis: &mut Analysis) {
        let x = &record.exchange;
        self.exchanges += u64::from(x.session.is_none());
        (self.from, self.to) = (self.from.min(x.ts), self.to.max(x.end));
        analysis.apply(record.order.at, x, &mut self.alerts);
        if format == Format::Assignments && x.session.is_none() {
            self.requests.push(asked(x));
        }
    }
}

/// Method, host, path and operation, empty where there is none.
pub(super) fn asked(x: &Exchange) -> [String; 4] {
    let operation = x.operation.as_ref().and_then(|o| o.name.as_ref());
    [
        x.method.as_ref(),
        x.host.as_ref(),
        x.path.as_ref(),
        operation,
    ]
    .map(|t| t.map(ToString::to_string).unwrap_or_default())
}

/// Opens what can be opened; the rest is told at the end.
fn open(
    files: &[PathBuf],
    sequential: bool,
    failures: &mut Vec<String>,
) -> (Option<Box<dyn Source>>, Progress) {
    let (mut sources, mut taken, mut size): (Vec<Box<dyn Source>>, _, _) =
        (Vec::new(), Vec::new(), Some(0));
    for path in files {
        match FileSource::open(path) {
            Ok(source) => {
                let (counter, length) = source.progress();
                taken.push(counter);
                size = size.zip(length).map(|(a, b)| a + b);
                sources.push(Box::new(source));
            }
            Err(e) => failures.push(e.to_string()),
        }
    }
    let source = match sources.len() {
        0 | 1 => sources.pop(),
        _ => Some(Box::new(MergedSource::new(sources, sequential)) as Box<dyn Source>),
    };
    (source, Progress::new(taken, size))
}

/// One reading under way.
struct Job<W> {
    format: Format,
    analysis: Analysis,
    trial: Option<Trial>,
    reading: Reading,
    /// Exchange lines that wait to be written.
    lines: Vec<u8>,
    out: W,
    progress: Progress,
    failures: Vec<String>,
}

impl<W: Write> Job<W> {
    fn run(&mut self, source: Box<dyn Source>, settings: &sensor::Settings) -> anyhow::Result<()> {
        if settings.workers > 1 {
            self.threads(source, settings)?;
        } else {
            self.inline(source, settings)?;
        }
        // What was never called can be told only if nothing was missed.
        let loss = doctor::loss(&doctor::diagnose(&self.reading.readings));
        self.analysis.catalog.set_tap_loss(loss.clone());
        let mut end = Vec::new();
        self.analysis.finish(self.reading.to, &mut end);
        self.reading.alerts.append(&mut end);
        if let Some(trial) = &mut self.trial {
            trial.finish(self.reading.to, loss);
        }
        Ok(())
    }

    /// Takes what is in order for good, in that order.
    fn take_all(&mut self, records: Vec<Record>, flows: Vec<TlsRecord>) {
        for either in interleave(records, flows) {
            match either {
                Either::Exchange(record) => self.take(&record),
                Either::Tls(flow) => {
                    let alerts = &mut self.reading.alerts;
                    self.analysis.apply_tls(flow.order.at, &flow.flow, alerts);
                    if let Some(trial) = &mut self.trial {
                        trial.apply_tls(flow.order.at, &flow.flow);
                    }
                }
            }
        }
    }

    fn take(&mut self, record: &Record) {
        if self.format == Format::Exchanges {
            write_line(&record.exchange, &mut self.lines);
        } else {
            self.reading.take(record, self.format, &mut self.analysis);
            if let Some(trial) = &mut self.trial {
                trial.apply(record.order.at, &record.exchange);
            }
        }
    }

    fn write(&mut self) -> std::io::Result<()> {
        self.out.write_all(&self.lines)?;
        self.lines.clear();
        self.progress.show();
        Ok(())
    }

    fn inline(
        &mut self,
        mut source: Box<dyn Source>,
        settings: &sensor::Settings,
    ) -> anyhow::Result<()> {
        let mut sensor = Inline::new(settings);
        loop {
            let polled = sensor.poll(source.as_mut());
            if self.format == Format::Exchanges {
                // Lines alone need no total order.
                sensor.unordered().for_each(|record| self.take(&record));
                drop(sensor.ready_flows());
            } else {
                let flows = sensor.ready_flows();
                self.take_all(sensor.ready(), flows);
            }
            self.write()?;
            match polled {
                Ok(Polled::End) => break,
                Ok(_) => {}
                Err(e) => self.failures.push(e.to_string()),
            }
        }
        let rest = sensor.finish();
        self.take_all(rest, sensor.finish_flows());
        self.write()?;
        let status = sensor.status();
        self.traffic(&status, (0, 0));
        self.reading.ledger = sensor.ledger();
        self.reading.readings = sensor.readings(source.as_ref());
        Ok(())
    }

    fn traffic(&mut self, status: &sensor::Status, lost: (u64, u64)) {
        self.reading.tls = status.tls;
        let clear = status.http.clear_bytes;
        self.analysis.catalog.add_traffic(clear, lost);
    }

    fn threads(
        &mut self,
        source: Box<dyn Source>,
        settings: &sensor::Settings,
    ) -> anyhow::Result<()> {
        let name = source.name().to_owned();
        let pool = Pool::start(vec![source], settings);
        let mut merger = Merger::new(settings.workers);
        let mut flows = Merger::new(settings.workers);
        let mut shed_flows = vec![(0, 0); settings.workers];
        let mut statuses = vec![(sensor::Status::default(), 0); settings.workers];
        let mut sights = vec![sensor::Sights::default(); settings.workers];
        let (mut finished, mut counts) = (0, Counts::default());
        while finished < settings.workers {
            let Ok(mut report) = pool.reports.recv() else {
                break;
            };
            statuses[report.worker] = (report.status, report.shed);
            sights[report.worker] = report.sights;
            finished += usize::from(report.finished);
            if report.panics > 0 && report.finished {
                let why = format!(
                    "worker {}: {} panics; what it held is counted as shed",
                    report.worker, report.panics
                );
                self.failures.push(why);
            }
            shed_flows[report.worker] = report.shed_flows;
            flows.add(report.worker, &mut report.flows, report.watermark);
            merger.add(report.worker, &mut report.records, report.watermark);
            let (ready, flows) = if finished < settings.workers {
                (merger.ready(), flows.ready())
            } else {
                (merger.finish(), flows.finish())
            };
            counts.analysed += ready.len() as u64;
            self.take_all(ready, flows);
            self.write()?;
        }
        let sources = pool.handle.sources();
        pool.join();
        let ended = sources
            .iter()
            .filter_map(|s| s.ended.clone())
            .filter(|why| why != END_OF_INPUT);
        self.failures
            .extend(ended.map(|why| format!("{name}: {why}")));
        for (status, shed) in &statuses {
            counts.status.add(status);
            counts.shed += shed;
        }
        let lost = shed_flows
            .iter()
            .fold((0, 0), |sum, (flows, bytes)| (sum.0 + flows, sum.1 + bytes));
        self.traffic(&counts.status, lost);
        self.reading.ledger = counts.ledger(&sources);
        let mut all = sensor::Sights::default();
        sights.iter().for_each(|s| all.add(s));
        let exchanges = counts.status.http.exchanges;
        self.reading.readings = sensor::readings(&sources, &all, exchanges);
        Ok(())
    }
}

/// A bar on a terminal, silence elsewhere.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    taken: Vec<Arc<AtomicU64>>,
    shown: std::cell::Cell<Instant>,
}

impl Progress {
    fn none() -> Self {
        Self {
            bar: None,
            taken: Vec::new(),
            shown: std::cell::Cell::new(Instant::now()),
        }
    }

    fn new(taken: Vec<Arc<AtomicU64>>, size: Option<u64>) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::none();
        }
        let bar = match size {
            Some(size) => ProgressBar::new(size).with_style(
                ProgressStyle::with_template(
                    "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
                )
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
            ),
            None => ProgressBar::new_spinner().with_style(
                ProgressStyle::with_template("{spinner} {bytes} {bytes_per_sec}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            ),
        };
        Self {
            bar: Some(bar),
            taken,
            shown: std::cell::Cell::new(Instant::now()),
        }
    }

    fn show(&self) {
        let Some(bar) = &self.bar else { return };
        if self.shown.get().elapsed() >= Duration::from_millis(100) {
            self.shown.set(Instant::now());
            bar.set_position(self.taken.iter().map(|t| t.load(Ordering::Relaxed)).sum());
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
