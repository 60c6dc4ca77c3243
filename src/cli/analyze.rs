//! `apitap analyze`: exchange lines through the analysis half.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::read::{Reading, asked};
use super::what_if::Trial;
use super::{AnalyzeArgs, Format, input, output, summary};
use crate::analysis::Analysis;
use crate::exchange::{Exchange, parse_line, write_line};
use crate::sensor::Stage;
use crate::time::Timestamp;

/// Lines that are shown when they cannot be read; the rest is counted.
const SHOWN: u64 = 3;

pub(super) fn analyze(args: &AnalyzeArgs) -> anyhow::Result<ExitCode> {
    let specs = input::specs_or_fail(&args.common)?;
    let (mut analysis, store) = input::analysis(&args.common)?;
    let mut alerts = Vec::new();
    analysis.set_specs(specs, &mut alerts);
    let reader: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(&args.file)
            .with_context(|| format!("cannot read {}", args.file.display()))?;
        Box::new(BufReader::with_capacity(1 << 20, file))
    };
    let mut out = output::open(args.common.output.as_deref())?;
    let mut lines = Lines {
        args,
        analysis,
        trial: Trial::asked(&args.common)?,
        reading: Reading::nothing(alerts),
        stage: Stage::default(),
        late: 0,
    };
    lines.read(reader, &mut out)?;
    let Lines {
        mut analysis,
        trial,
        mut reading,
        stage,
        late,
        ..
    } = lines;
    let mut end = Vec::new();
    analysis.finish(reading.to, &mut end);
    reading.alerts.append(&mut end);
    let broken = stage.malformed.values().sum::<u64>();
    *reading.ledger.stage("exchange") = stage;
    let format = args.common.format;
    match trial {
        Some(mut trial) => {
            trial.finish(reading.to, None);
            trial.report(&reading.alerts, format, &mut out)?;
        }
        None => {
            let host = args.common.host.as_deref();
            summary::write(format, host, &mut analysis, &reading, &mut out)?;
        }
    }
    out.flush()?;
    input::keep(store, &analysis, &reading.alerts);
    if late > 0 {
        eprintln!(
            "apitap: {late} lines came more than {} s late and were taken where they stood",
            args.lateness
        );
    }
    if broken > 0 {
        eprintln!(
            "apitap: {}: {broken} lines could not be read",
            args.file.display()
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

struct Lines<'a> {
    args: &'a AnalyzeArgs,
    analysis: Analysis,
    trial: Option<Trial>,
    reading: Reading,
    stage: Stage,
    /// Lines older than what was already handed on.
    late: u64,
}

impl Lines<'_> {
    fn read(&mut self, mut reader: impl BufRead, out: &mut impl Write) -> anyhow::Result<()> {
        let lateness = Duration::from_secs(u64::from(self.args.lateness));
        // Ordered by completion; the line's number breaks ties.
        let mut waiting: BTreeMap<(Timestamp, u64), Exchange> = BTreeMap::new();
        let (mut newest, mut line, mut number) = (Timestamp::MIN, Vec::new(), 0);
        loop {
            line.clear();
            if reader
                .read_until(b'\n', &mut line)
                .with_context(|| format!("cannot read {}", self.args.file.display()))?
                == 0
            {
                break;
            }
            number += 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            self.stage.received += 1;
            match parse_line(&line) {
                Ok(x) => {
                    self.late += u64::from(newest != Timestamp::MIN && x.end + lateness < newest);
                    newest = newest.max(x.end);
                    self.note(number, &x);
                    waiting.insert((x.end, number), x);
                }
                Err(e) => {
                    let count = self.stage.malformed.entry("json").or_default();
                    *count += 1;
                    if *count <= SHOWN {
                        eprintln!("apitap: {}:{number}: {e}", self.args.file.display());
                    }
                }
            }
            while let Some(first) = waiting
                .first_entry()
                .filter(|e| e.key().0 + lateness <= newest)
            {
                let ((at, _), x) = first.remove_entry();
                self.take(at, &x, out)?;
            }
        }
        for ((at, _), x) in waiting {
            self.take(at, &x, out)?;
        }
        Ok(())
    }

    /// For `assignments`, which answers by line number.
    fn note(&mut self, number: u64, x: &Exchange) {
        if self.args.common.format != Format::Assignments || x.session.is_some() {
            return;
        }
        self.reading
            .requests
            .resize(number as usize, Default::default());
        self.reading.requests[number as usize - 1] = asked(x);
    }

    fn take(&mut self, at: Timestamp, x: &Exchange, out: &mut impl Write) -> anyhow::Result<()> {
        self.stage.analysed += 1;
        self.reading.exchanges += u64::from(x.session.is_none());
        (self.reading.from, self.reading.to) =
            (self.reading.from.min(x.ts), self.reading.to.max(x.end));
        if self.args.common.format == Format::Exchanges {
            let mut line = Vec::new();
            write_line(x, &mut line);
            out.write_all(&line)?;
        } else {
            self.analysis.apply(at, x, &mut self.reading.alerts);
            if let Some(trial) = &mut self.trial {
                trial.apply(at, x);
            }
        }
        Ok(())
    }
}
