//! Credential attacks: logins that fail, by client and by login endpoint.
//!
//! A client's failures are a count like others. An endpoint has two more signs. How large a part of
//! its attempts fails, over different callers: stuffing fails where people mostly come in. And
//! names: who was ever let in here is remembered (a Bloom filter), so is who failed. A failure for
//! a name that did neither is what lists of stolen or guessed names bring by the hundred, and
//! people who mistype their own seldom do. It does not matter how many addresses they come from
//! nor how slowly.

use serde::{Deserialize, Serialize};

use super::bloom::Filter;
use super::budget::{Cell, Family, Rung};
use super::cusum::{Share, Shift, Sum};
use super::distinct::{Distinct, hash_text};
use super::targets::Call;
use super::verdict::{self, Sign};
use super::{Item, Look, Severity, VerdictKind, Watch};
use crate::catalog::Access;
use crate::exchange::Exchange;

pub(super) const WATCH: Watch = Watch {
    detector: "failed-logins",
    kind: VerdictKind::Credential,
    family: Family::Credential,
    owasp: "API2:2023",
    unit: "failed logins",
    severity: Severity::High,
    names_endpoint: true,
    precedent: None,
    part_of: None,
    pick,
};

fn pick(Look { access, x, .. }: &Look<'_>) -> Option<Item> {
    failed(access, x).then_some(Item::Each)
}

/// A login call that was refused. Errors of the server are not the caller's.
pub(super) fn failed(access: &Access, x: &Exchange) -> bool {
    (access.login || x.login.is_some())
        && matches!(x.status, Some(400 | 401 | 403 | 404 | 422 | 429))
}

/// Callers of late whose further attempts are no sign for many.
const RECENT: usize = 8;
const REFUSED: Shift = Shift {
    usual: 0.1,
    changed: 0.8,
};
const STRANGE: Shift = Shift {
    usual: 0.02,
    changed: 0.08,
};

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Cells {
    share: Cell,
    names: Cell,
}

/// Login names, as keyed hashes: those that were let in, and those that failed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Names {
    welcome: Filter,
    refused: Filter,
}

/// What an attempt says by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    /// Failed, and was never heard of.
    Strange,
    /// Failed again, and was never let in: nothing new.
    Repeat,
    Ordinary,
}

impl Names {
    fn take(&mut self, name: u64, failed: bool) -> Name {
        if !failed {
            self.welcome.insert(name);
            return Name::Ordinary;
        }
        if self.welcome.contains(name) {
            return Name::Ordinary;
        }
        if self.refused.contains(name) {
            return Name::Repeat;
        }
        self.refused.insert(name);
        Name::Strange
    }
}

/// Who is behind a sum: one or many.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Behind {
    callers: Distinct,
    leader: u64,
    ahead: i32,
    signs: i32,
}

impl Behind {
    /// A sign by this caller; the sum may have begun with it.
    fn take(&mut self, caller: u64, sum: &Sum) {
        if sum.signs <= 1 {
            *self = Self::default();
        }
        self.callers.insert(caller);
        self.signs = self.signs.saturating_add(1);
        if self.ahead <= 0 {
            self.leader = caller;
        }
        self.ahead += if self.leader == caller { 1 } else { -1 };
    }

    fn alone(&self, caller: u64) -> bool {
        self.leader == caller && self.ahead.saturating_mul(5) >= self.signs.saturating_mul(3)
    }
}

/// What a login endpoint knows of its attempts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Logins {
    recent: [u32; RECENT],
    next: u8,
    share: Share,
    many: Behind,
    names: Share,
    strange: Behind,
}

impl Logins {
    /// Takes an attempt that failed or did not; others say nothing. Whether it told of something.
    pub(super) fn take(
        &mut self,
        failed: bool,
        call: &mut Call<'_>,
        names: &mut Names,
        cells: &mut Cells,
        per_week: f64,
    ) -> bool {
        if !failed && !call.x.status.is_some_and(|s| (200..400).contains(&s)) {
            return false;
        }
        let told = call.out.len();
        let by_name = self.by_name(failed, call, names, &mut cells.names, per_week);
        if let Some(rung) = by_name {
            let verdict = self.verdict(rung, true, call);
            call.out.push(verdict);
        }
        let by_share = self.by_share(failed, call, &mut cells.share, per_week);
        if let Some(rung) = by_share {
            let verdict = self.verdict(rung, false, call);
            call.out.push(verdict);
        }
        call.out.len() > told
    }

    fn by_name(
        &mut self,
        failed: bool,
        call: &Call<'_>,
        names: &mut Names,
        cell: &mut Cell,
        per_week: f64,
    ) -> Option<Rung> {
        let name = names.take(hash_text(call.x.login.as_deref()?), failed);
        if name == Name::Repeat {
            return None;
        }
        let strange = name == Name::Strange;
        let rung = self.names.take(strange, STRANGE, call.at, cell, per_week);
        if strange {
            self.strange.take(call.part.caller, &self.names.sum);
        }
        rung
    }

    fn by_share(
        &mut self,
        failed: bool,
        call: &Call<'_>,
        cell: &mut Cell,
        per_week: f64,
    ) -> Option<Rung> {
        let caller = call.part.caller as u32 | 1;
        if self.recent.contains(&caller) {
            return None;
        }
        self.recent[usize::from(self.next) % RECENT] = caller;
        self.next = (self.next + 1) % RECENT as u8;
        let rung = self.share.take(failed, REFUSED, call.at, cell, per_week);
        if failed {
            self.many.take(call.part.caller, &self.share.sum);
        }
        rung
    }

    fn verdict(&self, rung: Rung, by_name: bool, call: &Call<'_>) -> super::Verdict {
        let (share, shift, behind) = if by_name {
            (&self.names, STRANGE, &self.strange)
        } else {
            (&self.share, REFUSED, &self.many)
        };
        let alone = behind.alone(call.part.caller);
        let (sum, usual) = (&share.sum, share.usual(shift));
        let expected = usual * f64::from(sum.trials);
        let from = if alone {
            format!("from one address, {}", call.x.client)
        } else {
            format!("from about {} addresses", behind.callers.estimate().round())
        };
        let (detector, what) = if by_name {
            ("unknown-names", "logins failed for names never seen here")
        } else {
            ("failed-share", "logins of different callers failed")
        };
        let sign = Sign {
            kind: VerdictKind::Credential,
            detector,
            owasp: "API2:2023",
            severity: Severity::High,
            principal: alone.then(|| call.who.principal()),
            endpoint: Some(call.endpoint),
            host: None,
            since: sum.since,
            expected,
            observed: f64::from(sum.signs),
            rung,
            summary: format!(
                "{} of {} {what}, {from}; about {} are usual",
                sum.signs,
                sum.trials,
                verdict::round(expected)
            ),
            why: vec![
                format!("{} of {} {what}", sum.signs, sum.trials),
                format!("usually {} % are", verdict::round(100.0 * usual)),
                from,
            ],
            sample: verdict::sample(call.x),
            series: share.points(shift),
        };
        verdict::sign(sign, call.at)
    }

    pub(super) fn absorb(&mut self, old: &Self) {
        self.share.absorb(&old.share);
        self.names.absorb(&old.names);
    }
}
