//! What is expected of each endpoint by what is learnt so far: for charts.
//!
//! It is the volume detector's: the decayed mean of windows of that length times the rhythm, with
//! two deviations of the Gamma-Poisson law around it. Without what the detector knows besides: the
//! most in one window before, and what the rest of the host does at that time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Detect;
use super::scale::{SPANS, Scale};
use crate::catalog::EndpointId;
use crate::time::Timestamp;

const WEEK: i64 = 168;
/// Deviations on either side.
const WIDE: f64 = 2.0;

/// By endpoint, where there is a baseline.
#[derive(Clone, Debug, Default)]
pub struct Bands(HashMap<EndpointId, Band>);

/// Of one endpoint.
#[derive(Clone, Debug)]
pub struct Band {
    /// Of windows of a quarter of an hour, an hour and a day: mean and dispersion.
    laws: [(f32, f32); 3],
    /// What each hour of the week is of the mean one, by hours of the epoch; none where it keeps even.
    rhythm: Option<Arc<[f32]>>,
}

/// Requests in a window, and the edges of the band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

impl Bands {
    pub fn of(&self, endpoint: EndpointId) -> Option<&Band> {
        self.0.get(&endpoint)
    }
}

impl Band {
    pub(super) fn new(scales: &[Scale; 4], rhythm: Option<Arc<[f32]>>) -> Self {
        let law = |scale: &Scale| (scale.mean as f32, scale.broad() as f32);
        let [_, quarter, hour, day] = scales;
        Self {
            laws: [quarter, hour, day].map(law),
            rhythm,
        }
    }

    /// Of the window of so many seconds that begins then; by the law of the longest windows that
    /// are no longer than it.
    pub fn expected(&self, from: Timestamp, seconds: i64) -> Expected {
        let at = match seconds {
            ..3_600 => 0,
            3_600..86_400 => 1,
            _ => 2,
        };
        let (mean, broad) = self.laws[at];
        let span = SPANS[at + 1];
        let hour = from.secs().div_euclid(3_600).rem_euclid(WEEK) as usize;
        let rhythm = self.rhythm.as_ref().filter(|_| at < 2);
        let factor = rhythm.and_then(|r| r.get(hour)).copied().unwrap_or(1.0);
        let mean = f64::from(mean) * f64::from(factor) * seconds as f64 / span as f64;
        let wide = WIDE * (mean + mean * mean * f64::from(broad)).sqrt();
        Expected {
            mean,
            low: (mean - wide).max(0.0),
            high: mean + wide,
        }
    }
}

impl Detect {
    /// The quarter of an hour up to which all is learnt: bands are others with the next.
    pub fn learnt_until(&self) -> Option<i64> {
        self.state.targets.swept()
    }

    pub fn bands(&self) -> Bands {
        let hour = self.state.now.div_euclid(3_600_000_000_000);
        // Most endpoints keep their host's rhythm: it is made once.
        let mut hosts: BTreeMap<u64, Arc<[f32]>> = BTreeMap::new();
        let mut out = HashMap::new();
        self.state.targets.each(|endpoint, host, series, season| {
            if !series.is_known(hour) {
                return;
            }
            let beat = series.beat(season);
            let week = || (0..WEEK).map(|hour| beat.factor(SPANS[1], hour) as f32);
            let rhythm = match () {
                () if beat.is_even() => None,
                () if beat.by_host() => {
                    let made = hosts.entry(host).or_insert_with(|| week().collect());
                    Some(made.clone())
                }
                () => Some(week().collect()),
            };
            out.insert(endpoint, series.band(rhythm));
        });
        Bands(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_the_law_of_its_length_and_its_hours_rhythm() {
        let mut rhythm = vec![1.0; 168];
        rhythm[5] = 2.0;
        let band = Band {
            laws: [(10.0, 0.0), (40.0, 0.1), (960.0, 0.1)],
            rhythm: Some(rhythm.into()),
        };
        let at = |hour: i64| Timestamp::from_secs(hour * 3_600 + 60);
        let quarter = band.expected(at(0), 900);
        assert_eq!(quarter.mean, 10.0);
        assert!((quarter.high - 10.0 - 2.0 * 10.0_f64.sqrt()).abs() < 1e-9);
        assert_eq!(band.expected(at(5), 900).mean, 20.0);
        assert_eq!(band.expected(at(168 + 5), 60).mean, 20.0 / 15.0);
        assert_eq!(band.expected(at(5), 3_600).mean, 80.0);
        let day = band.expected(at(5), 86_400);
        assert_eq!((day.mean, day.low > 0.0), (960.0, true));
    }
}
