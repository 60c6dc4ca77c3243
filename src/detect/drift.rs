//! How far a target's quarters of an hour lie from what is foretold, and what that is worth.

use serde::{Deserialize, Serialize};

use super::scale::{BELIEVED, BROAD, WEIGHTS};
use super::tail::deviate;

/// Deviates teach how far neighbours go together up to this, and in an anomaly by this part.
const CALM: f64 = 1.5;
const CLIPPED: f64 = 0.05;
/// A deviate that no slow drift of the rest explains.
const FAR_OUT: f64 = 5.0;

/// How far quarters of an hour lie from what is foretold, for the sums.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Drift {
    quarters: f64,
    /// Decayed means: squares of what a law with no dispersion leaves, and of what was foretold.
    excess: f64,
    square: f64,
    /// The last deviate, and the decayed means of squares and of products with the one before.
    last: f64,
    own: f64,
    cross: f64,
}

impl Drift {
    /// 1 / size of the Gamma-Poisson law around what is foretold.
    fn broad(&self) -> f64 {
        let own = self.excess.max(0.0) / self.square.max(1e-9);
        let weight = self.quarters / (self.quarters + BELIEVED);
        (weight * own + (1.0 - weight) * BROAD).clamp(0.002, 4.0)
    }

    /// The count's standard deviate; then learns it, up to three deviations and little of an anomaly.
    pub(super) fn deviate(&mut self, count: f64, mean: f64, open: bool) -> f64 {
        let broad = self.broad();
        let z = deviate(count, mean, 1.0 / broad);
        let most = 9.0 * (mean + mean * mean * broad).max(1.0);
        let square = ((count - mean) * (count - mean)).min(most);
        let mut weight = WEIGHTS[1].max(1.0 / (self.quarters + 1.0));
        if open {
            weight *= CLIPPED;
        } else {
            self.quarters += 1.0;
        }
        self.excess += weight * (square - mean - self.excess);
        self.square += weight * (mean * mean - self.square);
        let calm = z.clamp(-CALM, CALM);
        self.own += weight * (calm * calm - self.own);
        self.cross += weight * (calm * self.last - self.cross);
        self.last = calm;
        z
    }

    /// What a deviate is worth: neighbours that rise and fall together are fewer signs than they
    /// are, by (1 - r) / (1 + r) for their correlation r. What lies far out is no drift.
    pub(super) fn worth(&self, z: f64) -> f64 {
        if z.abs() >= FAR_OUT {
            return 1.0;
        }
        let r = (self.cross / self.own.max(0.25)).clamp(0.0, 0.8);
        (1.0 - r) / (1.0 + r)
    }
}
