//! What is said of an endpoint's status, with why and since when.

use super::{Catalog, Entry};
use crate::catalog::endpoint::Endpoint;
use crate::catalog::view::{Documentation, FindingKind, Life, Reason, Retirement};
use crate::time::Timestamp;

impl Catalog {
    /// When what is first seen stopped being taken as normal.
    pub(super) fn learnt(&self) -> Option<Timestamp> {
        self.state.started.map(|t| t + self.settings.learning)
    }

    pub(super) fn life(&self, e: &Endpoint, dormant: bool) -> Life {
        let is_new = self.learnt().is_some_and(|learnt| e.first > learnt);
        match () {
            () if !e.confirmed() => Life::Candidate,
            () if dormant => Life::Dormant,
            // Whoever has accepted it knows of it.
            () if is_new && e.accepted.is_none() => Life::New,
            () => Life::Active,
        }
    }

    pub(super) fn reasons(&self, id: u32, documentation: Documentation, life: Life) -> Vec<Reason> {
        let Some(Entry { e, .. }) = self.state.endpoints.get(&id) else {
            return Vec::new();
        };
        let reason = |status: &str, why: String, since: Option<Timestamp>| Reason {
            status: status.into(),
            why,
            since,
        };
        let said = e.said.filter(|(what, _)| *what == documentation);
        let since = said.map(|(_, since)| since);
        let mut out = vec![match documentation {
            Documentation::Documented => reason("documented", self.documented(e), since),
            Documentation::Shadow => reason("shadow", self.shadow(e), since),
            Documentation::Unreviewed => {
                let why = self.unreviewed(e);
                reason("unreviewed", why, since.or(Some(e.first)))
            }
        }];
        if let Some(accepted) = &e.accepted {
            let why = format!("accepted by {}", accepted.by);
            out.push(reason("accepted", why, Some(accepted.at)));
        }
        out.push(match life {
            Life::Candidate => {
                let why = "it takes two answers, spread in time, that unknown paths do not get";
                reason("candidate", why.into(), Some(e.first))
            }
            Life::New => reason("new", self.why(id, FindingKind::New), Some(e.first)),
            Life::Active => {
                let why = "confirmed by its answers";
                reason("active", why.into(), e.confirmed_at)
            }
            Life::Dormant => {
                let why = "documented, and no call for the set time";
                reason("dormant", why.into(), Some(e.last))
            }
        });
        if e.deprecated_since.is_some() {
            let why = self.why(id, FindingKind::DeprecatedInUse);
            out.push(reason("deprecated", why, self.deprecated_since(e)));
        }
        if e.zombie_since.is_some() {
            let why = self.why(id, FindingKind::Zombie);
            out.push(reason("zombie", why, e.zombie_since));
        }
        out
    }

    fn documented(&self, e: &Endpoint) -> String {
        let spec = e.spec.as_ref();
        let title = spec.map_or("", |s| s.title.as_str());
        match spec.and_then(|s| s.operation.as_deref()) {
            Some(operation) => format!("`{title}` has it as `{operation}`"),
            None => format!("`{title}` has it"),
        }
    }

    fn unreviewed(&self, e: &Endpoint) -> String {
        match (&e.spec, &e.accepted) {
            (Some(spec), Some(_)) => {
                format!("`{}` owns this place and does not have it", spec.title)
            }
            (None, Some(_)) => "no spec owns this place".into(),
            _ => "no spec owns this place, and nobody has accepted it yet".into(),
        }
    }

    /// Why an endpoint is shadow.
    pub(super) fn shadow(&self, e: &Endpoint) -> String {
        match (&e.spec, self.came_after(e)) {
            (Some(spec), _) => format!(
                "`{}` owns this place and does not have this operation",
                spec.title
            ),
            (None, Some(accepted)) => {
                format!("the inventory of this host was accepted {accepted}, before it was there")
            }
            (None, None) => "no spec knows this host".into(),
        }
    }

    /// By what the header or rule says, else since it is known.
    fn deprecated_since(&self, e: &Endpoint) -> Option<Timestamp> {
        let named = e
            .deprecation
            .or_else(|| e.ruled.and_then(|(since, _)| since));
        let past = named.filter(|t| *t > Timestamp::default() && *t <= self.state.now);
        past.or(e.deprecated_since)
    }

    /// Of what should be gone: whether it is going.
    pub(super) fn retirement(&self, e: &Endpoint) -> Option<Retirement> {
        if e.deprecated_since.is_none() && e.zombie_since.is_none() {
            return None;
        }
        let now = self.state.now;
        let [last, before] = e.days.weeks(now);
        let sunset = e.sunset_at();
        // An earlier week that was not seen whole says nothing.
        let whole = now.since(e.first).as_secs() >= 14 * 86_400 && before > 0;
        Some(Retirement {
            sunset,
            sunset_passed: sunset.is_some_and(|t| now > t),
            callers: e.lately.as_ref().map_or(0, |l| l.count(now)),
            trend: whole.then(|| last as f64 / before as f64 - 1.0),
        })
    }
}
