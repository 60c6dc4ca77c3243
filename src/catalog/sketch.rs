//! Quantiles of latencies and sizes, within 2 % of the value. Most endpoints of a large inventory are
//! called seldom: the first values are kept as they came, to seven digits, and only after them a
//! sketch of more than a kibibyte (DDSketch). The quantiles are the sketch's from the first value on.

use serde::{Deserialize, Serialize};
use sketches_ddsketch::{Config, DDSketch};

use super::small::one_more;
use super::view::Quantiles;

/// Values that are kept by themselves.
const FEW: usize = 16;

#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Sketch {
    Few(Vec<f32>),
    Many(Box<DDSketch>),
}

impl Default for Sketch {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Sketch {
    pub(super) fn add(&mut self, value: f64) {
        match self {
            Self::Few(values) if values.len() < FEW => {
                one_more(values);
                values.push(value as f32);
            }
            Self::Few(_) => {
                let mut sketch = self.whole();
                sketch.add(value);
                *self = Self::Many(sketch);
            }
            Self::Many(sketch) => sketch.add(value),
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (_, Self::Few(values)) => values.iter().for_each(|value| self.add(f64::from(*value))),
            (Self::Few(_), Self::Many(theirs)) => {
                let mut sketch = self.whole();
                // Fails only between different configurations, and there is one.
                let _ = sketch.merge(theirs);
                *self = Self::Many(sketch);
            }
            (Self::Many(mine), Self::Many(theirs)) => {
                let _ = mine.merge(theirs);
            }
        }
    }

    fn whole(&self) -> Box<DDSketch> {
        match self {
            Self::Few(values) => {
                // 2 % relative error, at most 512 bins.
                let mut sketch = DDSketch::new(Config::new(0.02, 512, 1e-3));
                values
                    .iter()
                    .for_each(|value| sketch.add(f64::from(*value)));
                Box::new(sketch)
            }
            Self::Many(sketch) => sketch.clone(),
        }
    }

    /// `None`: it was told nothing.
    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        let whole;
        let sketch = match self {
            Self::Few(values) if values.is_empty() => return None,
            Self::Few(_) => {
                whole = self.whole();
                &whole
            }
            Self::Many(sketch) => sketch,
        };
        let at = |q| {
            let value = sketch.quantile(q).ok().flatten();
            value.map(|v| (v * 100.0).round() / 100.0)
        };
        Some(Quantiles {
            p50: at(0.5)?,
            p90: at(0.9)?,
            p99: at(0.99)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.add(*value));
        sketch
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn few_and_many_are_one_sketch(
            mut values in prop::collection::vec(0.0..1e6_f64, 1..60),
            at in any::<prop::sample::Index>(),
        ) {
            let mut plain = DDSketch::new(Config::new(0.02, 512, 1e-3));
            values.iter().for_each(|value| plain.add(*value));
            let expected = Sketch::Many(Box::new(plain)).quantiles();
            prop_assert_eq!(of(&values).quantiles(), expected);
            let (a, b) = values.split_at(at.index(values.len()));
            let (mut ab, mut ba) = (of(a), of(b));
            ab.merge(&of(b));
            ba.merge(&of(a));
            prop_assert_eq!(ab.quantiles(), expected);
            prop_assert_eq!(ba.quantiles(), expected);
            values.reverse();
            prop_assert_eq!(of(&values).quantiles(), expected);
        }
    }

    #[test]
    fn nothing_has_no_quantiles() {
        assert_eq!(Sketch::default().quantiles(), None);
        let one = of(&[7.0]).quantiles().unwrap();
        assert!((one.p50 - 7.0).abs() <= 0.14 && one.p50 == one.p99);
    }
}
