//! How unlikely a count is: the upper tail of the Gamma-Poisson (negative binomial) law, as log10.

use statrs::distribution::{ContinuousCDF, Discrete, DiscreteCDF, NegativeBinomial, Normal};

/// Nothing in this program is less likely than this; keeps scores finite.
const FLOOR: f64 = -1e6;

/// log10 P(X >= `count`) for a negative binomial of this mean and size (variance = mean +
/// mean² / size). From `sf()` where that holds its digits. Where it underflows, in log space: the
/// terms past `count` shrink at least by the factor `ratio` each, so the tail lies between its
/// first term and that term / (1 - ratio), which is what is returned: a bound from above, never a
/// claim of less likelihood than there is.
pub(super) fn log10_upper(count: f64, mean: f64, size: f64) -> f64 {
    let count = count.round().clamp(0.0, 1e15);
    if count < 1.0 {
        return 0.0;
    }
    let (mean, size) = (mean.clamp(1e-9, 1e15), size.clamp(1e-3, 1e9));
    let Ok(law) = NegativeBinomial::new(size, size / (size + mean)) else {
        return 0.0;
    };
    let p = law.sf(count as u64 - 1);
    if p.is_finite() && p > 1e-250 {
        return p.log10().min(0.0);
    }
    let first = law.ln_pmf(count as u64) / std::f64::consts::LN_10;
    let miss = mean / (size + mean);
    let ratio = (miss * (count + size) / (count + 1.0))
        .max(miss)
        .min(1.0 - 1e-9);
    let bound = first - (1.0 - ratio).log10();
    if bound.is_finite() {
        bound.clamp(FLOOR, 0.0)
    } else {
        FLOOR
    }
}

/// Where a count lies in that law, as a deviate of the standard normal one: half of the count's own
/// likelihood is taken for each side, so that small counts are no surprise by being whole.
pub(super) fn deviate(count: f64, mean: f64, size: f64) -> f64 {
    let count = count.round().clamp(0.0, 1e15) as u64;
    let (mean, size) = (mean.clamp(1e-9, 1e15), size.clamp(1e-3, 1e9));
    let law = NegativeBinomial::new(size, size / (size + mean));
    let (Ok(law), normal) = (law, Normal::standard()) else {
        return 0.0;
    };
    let own = law.pmf(count) / 2.0;
    let above = law.sf(count) + own;
    // The smaller side keeps its digits.
    let z = if above < 0.5 {
        -normal.inverse_cdf(above.max(1e-300))
    } else {
        let below = 1.0 - above;
        let below = if count == 0 { own } else { below.max(own) };
        normal.inverse_cdf(below.clamp(1e-300, 0.5))
    };
    if z.is_finite() {
        z.clamp(-40.0, 40.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_counts_are_the_exact_sum() {
        let (mean, size) = (4.0, 2.0);
        let law = NegativeBinomial::new(size, size / (size + mean)).unwrap();
        let below: f64 = (0..9).map(|k| law.pmf(k)).sum();
        assert!((log10_upper(9.0, mean, size) - (1.0 - below).log10()).abs() < 1e-9);
        assert_eq!(log10_upper(0.0, mean, size), 0.0);
    }

    #[test]
    fn the_two_ways_meet_where_sf_gives_out() {
        // A jump where the method changes would show as a step much larger than its neighbours.
        let steps: Vec<f64> = (2_400..4_000)
            .map(|k| log10_upper(f64::from(k), 10.0, 2.5))
            .collect();
        assert!(steps[0] > -250.0 && steps[steps.len() - 1] < -250.0);
        for w in steps.windows(2) {
            assert!(w[1] < w[0] && w[0] - w[1] < 0.2, "{w:?}");
        }
    }

    #[test]
    fn a_deviate_is_that_of_the_normal_law_where_counts_are_large() {
        for (count, z) in [(10_000.0, 0.0), (10_200.0, 2.0), (9_700.0, -3.0)] {
            assert!((deviate(count, 10_000.0, 1e9) - z).abs() < 0.05, "{count}");
        }
        assert!(
            deviate(0.0, 0.01, 2.0).abs() < 0.1,
            "nothing of nearly nothing"
        );
        assert!(deviate(0.0, 1_000.0, 20.0) < -8.0);
    }

    proptest::proptest! {
        #[test]
        fn always_a_finite_log(count in proptest::num::f64::ANY, mean in proptest::num::f64::ANY, size in proptest::num::f64::ANY) {
            let sane = |v: f64| if v.is_finite() { v } else { 1.0 };
            let p = log10_upper(sane(count), sane(mean), sane(size));
            proptest::prop_assert!(p.is_finite() && p <= 0.0);
        }
    }
}
