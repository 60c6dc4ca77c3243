//! A principal's day is one test of each family, however many windows and watches look at it.
//!
//! Windows of three lengths, several counts and rows of evidence of one family mostly rise
//! together, and a person is told of one incident. So a family's part of the budget is spent on
//! days: the least likely window of a principal's day, by its own [`Cell`], stands in a second cell
//! that knows how unlikely such days usually get; which also mends what the first ones misjudge,
//! since their p is only a score here. Half as much again is split among the windows' cells: what
//! they tell are mostly the same days, and an attack of a kind that is hardly ever seen is told by
//! these.

use serde::{Deserialize, Serialize};

use super::Clock;
use super::budget::{Cell, Family, PURSES, Rung};

/// The days of all principals, by family.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Purses {
    cells: [Cell; PURSES],
    /// Days that rang and were kept, on this day.
    kept: (i64, [u8; PURSES]),
}

/// Days that rang and stay in a cell, at the bar, in a day (or what a week may cost): if the
/// bar is too low it rises, but an attack from a hundred addresses does not raise it. The others
/// leave.
const KEPT: f64 = 2.0;

/// A principal's day: where it stands in each family's cell.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Spent {
    day: i64,
    tested: bool,
    places: [u8; PURSES],
    rang: [bool; PURSES],
}

/// A family's cell with the place of a principal's day in it.
pub(super) struct Stage<'a> {
    cell: &'a mut Cell,
    place: &'a mut u8,
    rang: &'a mut bool,
    kept: &'a mut u8,
    tested: bool,
    per_window: f64,
    per_week: f64,
}

impl Purses {
    /// A new day of this principal is one test more.
    pub(super) fn turn(&mut self, spent: &mut Spent, at: &Clock) {
        let day = at.secs.div_euclid(86_400) + 1;
        if day == spent.day {
            return;
        }
        *spent = Spent {
            day,
            tested: at.scoring,
            ..Spent::default()
        };
        if self.kept.0 != day {
            self.kept = (day, [0; PURSES]);
        }
        if at.scoring {
            self.cells.iter_mut().for_each(|cell| cell.open(at.hour));
        }
    }

    /// None for a family that is not judged by principals' days.
    pub(super) fn stage<'a>(
        &'a mut self,
        spent: &'a mut Spent,
        family: Family,
        budget: f64,
    ) -> Option<Stage<'a>> {
        let i = family as usize;
        Some(Stage {
            cell: self.cells.get_mut(i)?,
            place: spent.places.get_mut(i)?,
            rang: spent.rang.get_mut(i)?,
            kept: self.kept.1.get_mut(i)?,
            tested: spent.tested,
            per_window: family.window(budget),
            per_week: family.day(budget),
        })
    }
}

impl Stage<'_> {
    /// Something of this day has this score in its own cell.
    pub(super) fn judge(&mut self, own: &Cell, score: f64, at: &Clock) -> Option<Rung> {
        if !self.tested {
            return None;
        }
        let alone = own.rings(score, self.per_window);
        let score = -own.log10_p(score);
        let rung = alone
            .or_else(|| self.cell.rings(score, self.per_week))
            .filter(|_| at.ringing);
        if rung.is_none() {
            if !*self.rang {
                *self.place = self.cell.climb(*self.place, score);
            }
        } else if !*self.rang {
            *self.rang = true;
            let most = KEPT.max(self.per_week);
            *self.place = if f64::from(*self.kept) < most {
                *self.kept = self.kept.saturating_add(1);
                let bar = self.cell.bar(self.per_week);
                self.cell.climb(*self.place, score.min(bar))
            } else {
                self.cell.withdraw(*self.place)
            };
        }
        rung
    }
}

#[cfg(test)]
mod tests {
    use super::super::distinct::mix;
    use super::*;

    fn clock(hour: i64) -> Clock {
        Clock {
            nanos: hour * 3_600_000_000_000,
            secs: hour * 3_600,
            hour,
            scoring: hour > 24,
            ringing: hour > 8 * 24,
        }
    }

    /// Exponential with this mean, by a fixed generator.
    fn score(n: u64, mean: f64) -> f64 {
        let u = (mix(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 11) as f64 / (1_u64 << 53) as f64;
        -mean * (1.0 - u).ln()
    }

    /// Days that ring a week: of 160 principals with eight windows a day that rise together, in
    /// cells of three lengths, whose law is as good as `mean` says (a perfect one has 0.43).
    fn rang(budget: f64, mean: f64, weeks: i64) -> f64 {
        let (mut purses, mut own) = (Purses::default(), [(); 3].map(|()| Cell::default()));
        let mut spent = vec![Spent::default(); 160];
        let family = Family::PrincipalVolume;
        let mut count = 0;
        for day in 1..=weeks * 7 + 8 {
            for (i, spent) in spent.iter_mut().enumerate() {
                let at = clock(day * 24 + i as i64 * 24 / 160);
                purses.turn(spent, &at);
                let mut told = false;
                for window in 0..8_u64 {
                    let n = ((day as u64) << 32) + ((i as u64) << 8) + window;
                    let score = score(n, mean);
                    for cell in &mut own {
                        cell.open(at.hour);
                        let mut stage = purses.stage(spent, family, budget).unwrap();
                        if stage.judge(cell, score, &at).is_some() {
                            told = true;
                        } else {
                            cell.climb(0, score);
                        }
                    }
                }
                count += i32::from(told);
            }
        }
        f64::from(count) / weeks as f64
    }

    #[test]
    fn incidents_keep_to_the_budget_within_a_factor_of_two() {
        let family = Family::PrincipalVolume;
        for mean in [0.43, 4.0] {
            for budget in [30.0, 100.0] {
                let asked = family.day(budget);
                let seen = rang(budget, mean, 20);
                assert!(
                    (asked / 2.0..=asked * 2.0).contains(&seen),
                    "law {mean}, budget {budget}: {seen} a week, asked {asked}"
                );
            }
        }
    }

    #[test]
    fn an_attack_from_many_does_not_raise_the_bar() {
        let mut purses = Purses::default();
        let own = Cell::default();
        let mut spent = vec![Spent::default(); 200];
        let mut attacked = 0;
        for day in 2..30 {
            for (i, spent) in spent.iter_mut().enumerate() {
                let at = clock(day * 24);
                purses.turn(spent, &at);
                let mut stage = purses.stage(spent, Family::Scan, 1.0).unwrap();
                stage.judge(&own, score((day as u64) << 20 | i as u64, 0.3), &at);
                // From the twentieth day on half of them attack.
                if day >= 20 && i % 2 == 0 && stage.judge(&own, 30.0, &at).is_some() {
                    attacked += 1;
                }
            }
        }
        assert_eq!(attacked, 10 * 100);
    }
}
