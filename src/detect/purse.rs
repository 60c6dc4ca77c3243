//! A principal's day is one test of each family, however many windows and watches look at it.
//!
//! Windows of three lengths, several counts and rows of evidence of one family mostly rise
//! together, and a person is told of one incident. So half of a family's part of the budget is
//! spent on days: the least likely window of a principal's day, by its own [`Cell`], stands in a
//! second cell that knows how unlikely such days usually get; which also mends what the first ones
//! misjudge, since their p is only a score here. The other half is split among the windows' cells:
//! an attack of a kind that is hardly ever seen is told by these.

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

/// Days that rang and stay in a cell, at the bar, in a day: if the bar is too low it rises, but an
/// attack from a hundred addresses does not raise it. The others leave.
const KEPT: u8 = 2;

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
            *self.place = if *self.kept < KEPT {
                *self.kept += 1;
                let bar = self.cell.bar(self.per_week);
                self.cell.climb(*self.place, score.min(bar))
            } else {
                self.cell.withdraw(*self.place)
            };
        }
        rung
    }
}
