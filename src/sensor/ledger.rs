//! The ledger: everything received ends in exactly one counter.
//!
//! `in = analysed + ignored + malformed + shed + pending` holds for each stage at any moment.
//! Kernel and interface drops stand beside it, since what was dropped was never received.

use std::collections::BTreeMap;

use serde::Serialize;

/// Counters by reason.
pub type Counters = BTreeMap<&'static str, u64>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Stage {
    #[serde(rename = "in")]
    pub received: u64,
    pub analysed: u64,
    pub ignored: Counters,
    pub malformed: Counters,
    pub shed: Counters,
    /// Neither analysed nor given up yet.
    pub pending: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Drops {
    pub kernel: u64,
    pub interface: u64,
}

impl From<crate::capture::Drops> for Drops {
    fn from(drops: crate::capture::Drops) -> Self {
        let crate::capture::Drops { kernel, interface } = drops;
        Self { kernel, interface }
    }
}

/// Stages in the order of the data: `frame segment message exchange alert`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(into = "Sums")]
pub struct Ledger {
    pub stages: BTreeMap<&'static str, Stage>,
    pub dropped: Drops,
}

/// The one object of `--format ledger` and of `/api/v1/sensor`.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Ledger")]
struct Sums {
    stages: BTreeMap<&'static str, Stage>,
    dropped: Drops,
    /// Every stage adds up.
    balanced: bool,
}

impl schemars::JsonSchema for Ledger {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Sums::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Sums::json_schema(generator)
    }
}

impl From<Ledger> for Sums {
    fn from(ledger: Ledger) -> Self {
        Self {
            balanced: ledger.balanced(),
            stages: ledger.stages,
            dropped: ledger.dropped,
        }
    }
}

impl Stage {
    pub fn accounted(&self) -> u64 {
        let sum = |c: &Counters| c.values().sum::<u64>();
        self.analysed + sum(&self.ignored) + sum(&self.malformed) + sum(&self.shed) + self.pending
    }

    pub fn balanced(&self) -> bool {
        self.received == self.accounted()
    }

    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.analysed += other.analysed;
        self.pending += other.pending;
        let pairs = [
            (&mut self.ignored, &other.ignored),
            (&mut self.malformed, &other.malformed),
            (&mut self.shed, &other.shed),
        ];
        for (mine, theirs) in pairs {
            for (reason, n) in theirs.iter().filter(|(_, n)| **n > 0) {
                *mine.entry(reason).or_default() += n;
            }
        }
    }
}

impl Ledger {
    pub fn stage(&mut self, name: &'static str) -> &mut Stage {
        self.stages.entry(name).or_default()
    }

    pub fn balanced(&self) -> bool {
        self.stages.values().all(Stage::balanced)
    }

    pub fn add(&mut self, other: &Self) {
        for (name, stage) in &other.stages {
            self.stage(name).add(stage);
        }
        self.dropped.kernel += other.dropped.kernel;
        self.dropped.interface += other.dropped.interface;
    }

    /// As a value, for messages and files.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
