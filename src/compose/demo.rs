//! (skeleton)
use crate::capture::*;
use crate::time::Timestamp;
pub enum Pace {
    Wall,
    AsFast { until: Timestamp },
}
pub struct DemoSource;
impl DemoSource {
    pub fn new(_seed: u64, _now: Timestamp, _pace: Pace) -> Self {
        Self
    }
}
impl Source for DemoSource {
    fn name(&self) -> &str {
        "demo"
    }
    fn poll(
        &mut self,
        _p: std::time::Duration,
        _s: &mut dyn FnMut(Frame<'_>),
    ) -> Result<Polled, SourceError> {
        Ok(Polled::End)
    }
}
pub fn settings() -> crate::analysis::Settings {
    Default::default()
}
pub fn specs() -> anyhow::Result<crate::catalog::spec::SpecSet> {
    Ok(Default::default())
}
