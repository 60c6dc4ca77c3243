//! `apitap read`: captures through the whole pipeline.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Format, ReadArgs, input, output, summary};
use crate::alert::Alert;
use crate::analysis::Analysis;
use crate::capture::{FileSource, MergedSource, Polled, Source};
use crate::exchange::write_line;
use crate::sensor::{self, Counts, Inline, Ledger, Merger, Pool, Record};
use crate::time::Timestamp;

/// What one reading came to.
pub(super) struct Reading {
    pub(super) ledger: Ledger,
    pub(super) alerts: Vec<Alert>,
    /// Endpoints of each exchange's request, for `assignments`.
    pub(super) requests: Vec<(String, String, String)>,
    pub(super) exchanges: u64,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

pub(super) fn read(args: &ReadArgs) -> anyhow::Result<ExitCode> {
    let specs = input::specs_or_fail(&args.common.specs)?;
    let (mut analysis, store) = input::analysis(&args.common)?;
    let settings = sensor::Settings {
        workers: usize::from(args.workers),
        identity_key: input::identity_key(args.common.identity_key.as_deref())?,
        mask: !args.no_mask,
        ..sensor::Settings::default()
    };
    if args
        .keylog
        .as_ref()
        .is_some_and(|path| path.as_os_str() != "/dev/null")
    {
        eprintln!("apitap: --keylog: TLS is not decrypted yet; its sessions are counted as tls");
    }
    let mut alerts = Vec::new();
    analysis.set_specs(specs, &mut alerts);
    let mut failures = Vec::new();
    let (source, progress) = open(
        &input::captures(&args.files)?,
        args.sequential,
        &mut failures,
    );
    let mut out = output::open(args.common.output.as_deref())?;
    let reading = match source {
        Some(source) => run(
            source,
            &settings,
            args.common.format,
            &mut analysis,
            alerts,
            &progress,
            &mut failures,
            &mut out,
        )?,
        None => Reading::nothing(alerts),
    };
    progress.end();
    summary::write(args.common.format, &mut analysis, &reading, &mut out)?;
    out.flush()?;
    input::keep(store, &analysis, &reading.alerts);
    for failure in &failures {
        eprintln!("apitap: {failure}");
    }
    if args.serve {
        crate::daemon::serve(&mut analysis, &reading.ledger)?;
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
    let mut out = output::open(None)?;
    let settings = sensor::Settings::default();
    let reading = run(
        source,
        &settings,
        Format::Summary,
        &mut analysis,
        alerts,
        &Progress::none(),
        &mut Vec::new(),
        &mut out,
    )?;
    summary::write(Format::Summary, &mut analysis, &reading, &mut out)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

impl Reading {
    pub(super) fn nothing(alerts: Vec<Alert>) -> Self {
        Self {
            ledger: Ledger::default(),
            alerts,
            requests: Vec::new(),
            exchanges: 0,
            from: Timestamp::MAX,
            to: Timestamp::MIN,
        }
    }

    fn take(&mut self, record: &Record, format: Format, analysis: &mut Analysis) {
        let x = &record.exchange;
        self.exchanges += 1;
        (self.from, self.to) = (self.from.min(x.ts), self.to.max(x.end));
        analysis.apply(record.order.at, x, &mut self.alerts);
        if format == Format::Assignments {
            let text = |t: &Option<compact_str::CompactString>| {
                t.as_deref().unwrap_or_default().to_owned()
            };
            self.requests
                .push((text(&x.method), text(&x.host), text(&x.path)));
        }
    }
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

#[allow(clippy::too_many_arguments)] // the parts of one reading, each used once
fn run(
    source: Box<dyn Source>,
    settings: &sensor::Settings,
    format: Format,
    analysis: &mut Analysis,
    alerts: Vec<Alert>,
    progress: &Progress,
    failures: &mut Vec<String>,
    out: &mut impl Write,
) -> anyhow::Result<Reading> {
    let mut reading = Reading::nothing(alerts);
    if settings.workers > 1 {
        threads(
            source,
            settings,
            format,
            analysis,
            progress,
            failures,
            out,
            &mut reading,
        )?;
    } else {
        inline(
            source,
            settings,
            format,
            analysis,
            progress,
            failures,
            out,
            &mut reading,
        )?;
    }
    let mut end = Vec::new();
    analysis.finish(reading.to, &mut end);
    reading.alerts.append(&mut end);
    Ok(reading)
}

#[allow(clippy::too_many_arguments)]
fn inline(
    mut source: Box<dyn Source>,
    settings: &sensor::Settings,
    format: Format,
    analysis: &mut Analysis,
    progress: &Progress,
    failures: &mut Vec<String>,
    out: &mut impl Write,
    reading: &mut Reading,
) -> anyhow::Result<()> {
    let mut sensor = Inline::new(settings);
    let mut lines = Vec::new();
    loop {
        let polled = sensor.poll(source.as_mut());
        if format == Format::Exchanges {
            for record in sensor.unordered() {
                write_line(&record.exchange, &mut lines);
            }
            out.write_all(&lines)?;
            lines.clear();
        } else {
            for record in sensor.ready() {
                reading.take(&record, format, analysis);
            }
        }
        match polled {
            Ok(Polled::End) => break,
            Ok(_) => {}
            Err(e) => failures.push(e.to_string()),
        }
        progress.show();
    }
    for record in sensor.finish() {
        if format == Format::Exchanges {
            write_line(&record.exchange, &mut lines);
        } else {
            reading.take(&record, format, analysis);
        }
    }
    out.write_all(&lines)?;
    reading.ledger = sensor.ledger();
    Ok(())
}

#[allow(clippy::too_many_arguments)]
fn threads(
    source: Box<dyn Source>,
    settings: &sensor::Settings,
    format: Format,
    analysis: &mut Analysis,
    progress: &Progress,
    failures: &mut Vec<String>,
    out: &mut impl Write,
    reading: &mut Reading,
) -> anyhow::Result<()> {
    let name = source.name().to_owned();
    let pool = Pool::start(vec![source], settings);
    let mut merger = Merger::new(settings.workers);
    let mut counts = vec![Counts::default(); settings.workers];
    let (mut lines, mut finished, mut analysed) = (Vec::new(), 0, 0);
    while finished < settings.workers {
        let Ok(mut report) = pool.reports.recv() else {
            break;
        };
        counts[report.worker].status = report.status;
        finished += usize::from(report.finished);
        if report.panics > 0 && report.finished {
            failures.push(format!(
                "worker {}: {} panics; what it held is counted as shed",
                report.worker, report.panics
            ));
        }
        merger.add(report.worker, &mut report.records, report.watermark);
        let ready = if finished < settings.workers {
            merger.ready()
        } else {
            merger.finish()
        };
        analysed += ready.len() as u64;
        for record in ready {
            if format == Format::Exchanges {
                write_line(&record.exchange, &mut lines);
            } else {
                reading.take(&record, format, analysis);
            }
        }
        out.write_all(&lines)?;
        lines.clear();
        progress.show();
    }
    let sources = pool.handle.sources();
    pool.join();
    failures.extend(
        sources
            .iter()
            .filter_map(|s| s.ended.clone())
            .filter(|e| e != "end of input")
            .map(|e| format!("{name}: {e}")),
    );
    let mut all = Counts {
        analysed,
        ..Counts::default()
    };
    for count in &counts {
        all.status.add(&count.status);
    }
    reading.ledger = all.ledger(&sources);
    Ok(())
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
