//! `--what-if FILE`: the same exchanges under other settings of the catalogue, the detectors and
//! the alerts, beside those of now, and which alerts differ. Both begin with nothing learnt, so
//! that the settings alone make the difference. What the sensor makes of packets is the same for
//! both.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use anyhow::bail;

use super::summary::{ROWS, plain, table};
use super::{Common, Format, input};
use crate::alert::Alert;
use crate::analysis::Analysis;
use crate::config::Config;
use crate::exchange::{Exchange, TlsFlow};
use crate::time::Timestamp;

/// The analysis under the other settings.
pub(super) struct Trial {
    analysis: Analysis,
    alerts: Vec<Alert>,
}

/// Under which settings an alert rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rings {
    Both,
    Now,
    Then,
}

impl Rings {
    fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Now => "only now",
            Self::Then => "only what-if",
        }
    }
}

impl Trial {
    /// The trial that the command line asks for; its specs are those of now and its own.
    pub(super) fn asked(common: &Common) -> anyhow::Result<Option<Self>> {
        let Some(path) = &common.what_if else {
            return Ok(None);
        };
        if !matches!(common.format, Format::Summary | Format::Alerts) {
            bail!("--what-if compares alerts: it goes with --format summary or alerts");
        }
        Self::new(path, common).map(Some)
    }

    fn new(path: &Path, common: &Common) -> anyhow::Result<Self> {
        let mut analysis = Analysis::new(Config::load(path)?.analysis());
        let mut alerts = Vec::new();
        let other = Common {
            config: Some(path.to_owned()),
            ..common.clone()
        };
        analysis.set_specs(input::specs_or_fail(&other)?, &mut alerts);
        Ok(Self { analysis, alerts })
    }

    pub(super) fn apply(&mut self, at: Timestamp, x: &Exchange) {
        self.analysis.apply(at, x, &mut self.alerts);
    }

    pub(super) fn apply_tls(&mut self, at: Timestamp, flow: &TlsFlow) {
        self.analysis.apply_tls(at, flow, &mut self.alerts);
    }

    /// The input is over; `loss` is what the tap is known to have missed.
    pub(super) fn finish(&mut self, now: Timestamp, loss: Option<String>) {
        self.analysis.catalog.set_tap_loss(loss);
        self.analysis.finish(now, &mut self.alerts);
    }

    /// Writes which alerts ring under both settings and which under one alone; `now` are those
    /// of now.
    pub(super) fn report(
        &self,
        now: &[Alert],
        format: Format,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let compared = compare(now, &self.alerts);
        if format == Format::Summary {
            out.write_all(summary(&compared).as_bytes())?;
            return Ok(());
        }
        for (rings, alert) in compared {
            let mut line = serde_json::to_value(alert)?;
            line["what_if"] = rings.name().into();
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// Each alert once, at its last revision, in the order of raising. Alerts under the two settings
/// are the same one where their fingerprint is.
fn compare<'a>(now: &'a [Alert], then: &'a [Alert]) -> Vec<(Rings, &'a Alert)> {
    let by_id = |alerts: &'a [Alert]| -> BTreeMap<&'a str, &'a Alert> {
        alerts.iter().map(|a| (a.id.as_str(), a)).collect()
    };
    let (now, then) = (by_id(now), by_id(then));
    let rings_in = |all: &BTreeMap<&str, &Alert>, a: &Alert| {
        all.values().any(|b| b.fingerprint == a.fingerprint)
    };
    let mut out: Vec<(Rings, &Alert)> = Vec::new();
    for alert in now.values() {
        let both = rings_in(&then, alert);
        out.push((if both { Rings::Both } else { Rings::Now }, alert));
    }
    let new = then.values().filter(|a| !rings_in(&now, a));
    out.extend(new.map(|alert| (Rings::Then, *alert)));
    out.sort_by(|(_, a), (_, b)| (a.ts, &a.id).cmp(&(b.ts, &b.id)));
    out
}

fn summary(compared: &[(Rings, &Alert)]) -> String {
    let mut kinds: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    for (rings, alert) in compared {
        kinds.entry(&alert.kind).or_default()[*rings as usize] += 1;
    }
    let mut s = String::from("\nWhat if: alerts by kind\n");
    let mut rows = vec![["kind", "both", "only now", "only what-if"].map(str::to_owned)];
    for (kind, [both, now, then]) in kinds {
        rows.push([
            plain(kind),
            both.to_string(),
            now.to_string(),
            then.to_string(),
        ]);
    }
    table(&mut s, &rows, &[false, true, true, true]);
    let differ: Vec<_> = compared.iter().filter(|(r, _)| *r != Rings::Both).collect();
    if differ.is_empty() {
        s.push_str("  the same alerts under both\n");
        return s;
    }
    let mut rows = vec![["rings", "severity", "since", "what"].map(str::to_owned)];
    for (rings, a) in differ.iter().take(ROWS) {
        let severity = format!("{:?}", a.severity).to_lowercase();
        let since = a.since.to_string();
        rows.push([rings.name().to_owned(), severity, since, plain(&a.summary)]);
    }
    s.push('\n');
    table(&mut s, &rows, &[false; 4]);
    if differ.len() > ROWS {
        // Writing to a String cannot fail.
        let _ = writeln!(s, "  … and {} more: --format alerts", differ.len() - ROWS);
    }
    s
}
