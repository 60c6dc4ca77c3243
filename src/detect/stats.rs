//! Tails and averages. Tails come from `sf()`, never from `1 - cdf()`, which is 0 long before it
//! is small enough to matter; where `sf()` itself underflows, the first term of the tail is taken
//! in the log domain with the geometric bound of the rest.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, Discrete, DiscreteCDF, NegativeBinomial, Poisson};

/// As small as a p-value is told.
const FLOOR: f64 = -300.0;

/// log10 P(X >= k) for a Gamma-Poisson count with this mean and variance = mean + phi mean².
pub(super) fn log10_count_tail(k: u64, mean: f64, phi: f64) -> f64 {
    if k == 0 {
        return 0.0;
    }
    let mean = mean.max(1e-6);
    if phi < 1e-6 {
        let Ok(d) = Poisson::new(mean) else {
            return 0.0;
        };
        return tail(d.sf(k - 1), d.ln_pmf(k), mean / (k as f64 + 1.0));
    }
    let (r, p) = (1.0 / phi, 1.0 / (1.0 + phi * mean));
    let Ok(d) = NegativeBinomial::new(r, p) else {
        return 0.0;
    };
    let ratio = (1.0 - p) * (k as f64 + r) / (k as f64 + 1.0);
    tail(d.sf(k - 1), d.ln_pmf(k), ratio)
}

/// log10 P(X >= k) of n trials with chance p each.
pub(super) fn log10_trials_tail(k: u64, n: u64, p: f64) -> f64 {
    if k == 0 || n == 0 {
        return 0.0;
    }
    let (k, p) = (k.min(n), p.clamp(1e-9, 1.0 - 1e-9));
    let Ok(d) = Binomial::new(p, n) else {
        return 0.0;
    };
    let ratio = (n - k) as f64 / (k as f64 + 1.0) * p / (1.0 - p);
    tail(d.sf(k - 1), d.ln_pmf(k), ratio)
}

fn tail(sf: f64, ln_first: f64, ratio: f64) -> f64 {
    if sf.is_finite() && sf > 1e-280 {
        return sf.log10().min(0.0);
    }
    let rest = if ratio < 1.0 {
        1.0 / (1.0 - ratio)
    } else {
        1.0
    };
    let log10 = ln_first / std::f64::consts::LN_10 + rest.log10();
    if log10.is_finite() {
        log10.clamp(FLOOR, 0.0)
    } else {
        FLOOR
    }
}

/// Mean and over-dispersion of counts, exponentially forgotten, with a prior that a few
/// observations outweigh.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Counts {
    weight: f32,
    mean: f32,
    /// Of ((x - mean)² - mean) / mean².
    phi: f32,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            weight: 0.0,
            mean: 0.0,
            phi: 1.0,
        }
    }
}

impl Counts {
    /// `memory`: how many observations are remembered.
    pub(super) fn add(&mut self, x: f64, memory: f64) {
        self.weight = (self.weight + 1.0).min(memory as f32);
        let step = 1.0 / f64::from(self.weight);
        let before = f64::from(self.mean);
        if self.weight > 1.0 {
            let scale = before.max(0.5);
            let excess = ((x - before).powi(2) - scale) / (scale * scale);
            // One surprise must not blind: it counts as a fourfold one at most.
            let excess = excess.clamp(-1.0, 4.0 * f64::from(self.phi).max(0.5));
            // Started as if two observations had shown a dispersion of 1.
            let step = 1.0 / (f64::from(self.weight) + 2.0);
            self.phi =
                (f64::from(self.phi) + (excess - f64::from(self.phi)) * step).max(0.02) as f32;
        }
        self.mean = (before + (x - before) * step) as f32;
    }

    /// `n` observations of nothing.
    pub(super) fn add_zeros(&mut self, n: u64, memory: f64) {
        for _ in 0..n.min(4) {
            self.add(0.0, memory);
        }
        if n > 4 {
            let left = (1.0 - 1.0 / f64::from(self.weight.max(1.0))).powf((n - 4) as f64);
            self.weight = (self.weight + (n - 4) as f32).min(memory as f32);
            self.mean = (f64::from(self.mean) * left) as f32;
        }
    }

    pub(super) fn mean(&self) -> f64 {
        f64::from(self.mean)
    }

    pub(super) fn phi(&self) -> f64 {
        f64::from(self.phi)
    }

    pub(super) fn weight(&self) -> f64 {
        f64::from(self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_agree_with_exact_ones() {
        // Poisson(1): P(X >= 3) = 1 - 2.5/e.
        let exact = (1.0 - 2.5 / std::f64::consts::E).log10();
        assert!((log10_count_tail(3, 1.0, 0.0) - exact).abs() < 1e-9);
        // NB with phi = 1 is geometric: P(X >= k) = (m / (1 + m))^k.
        assert!((log10_count_tail(10, 4.0, 1.0) - 10.0 * 0.8_f64.log10()).abs() < 1e-9);
        // 10 heads of 10.
        assert!((log10_trials_tail(10, 10, 0.5) - 10.0 * 0.5_f64.log10()).abs() < 1e-9);
    }

    #[test]
    fn far_tails_stay_finite_and_ordered() {
        let mut last = 0.0;
        for k in [10, 100, 1_000, 10_000, 1_000_000] {
            let p = log10_count_tail(k, 3.0, 0.5);
            assert!(p < last && p >= FLOOR, "{k}: {p}");
            last = p + 1e-9;
        }
    }

    #[test]
    fn dispersion_is_learnt() {
        let (mut steady, mut bursty) = (Counts::default(), Counts::default());
        for i in 0..500 {
            steady.add(f64::from(98 + i % 5), 200.0);
            bursty.add(if i % 10 == 0 { 1_000.0 } else { 0.0 }, 200.0);
        }
        assert!(steady.phi() < 0.1, "{}", steady.phi());
        assert!(bursty.phi() > 1.0, "{}", bursty.phi());
        assert!((steady.mean() - 100.0).abs() < 1.0);
    }

    proptest::proptest! {
        #[test]
        fn never_nan(k: u64, mean in 0.0_f64..1e9, phi in 0.0_f64..100.0, n: u32) {
            for p in [log10_count_tail(k % 10_000_000, mean, phi), log10_trials_tail(k, u64::from(n) % 100_000, mean / 1e9)] {
                proptest::prop_assert!(p.is_finite() && p <= 0.0);
            }
        }
    }
}
