//! Alerts by fingerprint: new, revised, or nothing worth telling again. Sans-IO and deterministic.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Alert, AlertsView, Settings, Status, VERSION};
use crate::catalog::{DriftKind, Drifted, Exposed, Finding, FindingKind};
use crate::detect::{Severity, Verdict, VerdictKind};
use crate::time::Timestamp;

/// Where everything that was raised ended: `raised = opened + revised + duplicate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub raised: u64,
    pub opened: u64,
    /// Told again: worse, or twice as often.
    pub revised: u64,
    /// Counted on the alert, and not told again.
    pub duplicate: u64,
    /// Put out by the budget.
    pub evicted: u64,
}

pub struct Manager {
    settings: Settings,
    /// By id.
    alerts: HashMap<String, Arc<Alert>>,
    /// The alert of a fingerprint that is not resolved yet.
    open: HashMap<String, String>,
    /// Occurrences at which an alert was told last.
    told: HashMap<String, u64>,
    counts: Counts,
    view: Option<Arc<AlertsView>>,
}

impl Manager {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            alerts: HashMap::new(),
            open: HashMap::new(),
            told: HashMap::new(),
            counts: Counts::default(),
            view: None,
        }
    }

    /// Takes back what the store kept.
    pub fn restore(&mut self, alerts: Vec<Alert>) {
        for alert in alerts {
            if alert.status != Status::Resolved {
                self.open
                    .insert(alert.fingerprint.clone(), alert.id.clone());
            }
            self.told.insert(alert.id.clone(), alert.occurrences);
            self.alerts.insert(alert.id.clone(), Arc::new(alert));
        }
        self.make_room();
        self.view = None;
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// A verdict becomes a new alert, a revision of an open one, or nothing worth telling.
    pub fn raise(&mut self, v: &Verdict, endpoint: Option<String>) -> Option<Alert> {
        let kind = kind_name(v.kind);
        let who = v
            .principal
            .as_ref()
            .and_then(|p| p.identity.as_deref().or(p.client.as_deref()));
        let fingerprint = fingerprint(&[
            kind,
            &v.detector,
            who.unwrap_or("-"),
            endpoint.as_deref().or(v.host.as_deref()).unwrap_or("-"),
        ]);
        self.take(Alert {
            v: VERSION,
            id: String::new(),
            ts: v.at,
            kind: kind.to_owned(),
            severity: v.severity,
            score: v.score,
            detector: v.detector.clone(),
            principal: v.principal.clone(),
            host: v
                .host
                .clone()
                .or_else(|| endpoint.as_deref().and_then(host_of)),
            endpoint,
            since: v.since,
            until: v.until,
            expected: v.expected,
            observed: v.observed,
            p_value: 10_f64.powf(v.log10_p),
            log10_p: v.log10_p,
            summary: v.summary.clone(),
            why: v.why.clone(),
            samples: v.samples.clone(),
            series: v.series.clone(),
            owasp: v.owasp.clone(),
            status: Status::Open,
            fingerprint,
            occurrences: 1,
            last_seen: v.at,
            revision: 1,
            changed_by: None,
            note: None,
        })
    }

    /// The same for a lasting fact of the catalogue. New endpoints and callers are inventory
    /// news, no alert.
    pub fn raise_finding(&mut self, f: &Finding) -> Option<Alert> {
        let (kind, severity, what) = match f.kind {
            FindingKind::New | FindingKind::NewCaller => return None,
            FindingKind::Shadow => ("shadow", Severity::Medium, "no spec has it"),
            FindingKind::UnknownHost => ("shadow", Severity::Medium, "no spec knows this host"),
            FindingKind::DeprecatedInUse => {
                ("deprecated", Severity::Low, "deprecated, and still called")
            }
            FindingKind::Zombie => (
                "deprecated",
                Severity::Low,
                "an old version, and still called",
            ),
            FindingKind::Introspection => (
                "exposure",
                Severity::Low,
                "gives its GraphQL schema to whoever asks",
            ),
            FindingKind::WiderExposure => (
                "exposure",
                Severity::Medium,
                "answers callers from a wider zone than before",
            ),
            FindingKind::SunsetPassed => (
                "deprecated",
                Severity::Medium,
                "past its sunset, and still called",
            ),
        };
        let detector = format!("catalog-{}", serde_json::to_value(f.kind).ok()?.as_str()?);
        let is_host = f.kind == FindingKind::UnknownHost;
        self.plain(
            kind,
            severity,
            &detector,
            &f.subject,
            !is_host,
            format!("{}: {what}", f.subject),
            vec![f.why.clone()],
            f.at,
            f.since,
            f.kind.owasp(),
        )
    }

    /// What lies open at a host: one alert, which grows with what is found later.
    pub fn raise_exposed(&mut self, e: &Exposed) -> Option<Alert> {
        let (summary, why) = (e.summary.clone(), e.why.clone());
        self.plain(
            "exposure", e.severity, e.detector, &e.subject, false, summary, why, e.at, e.since,
            e.owasp,
        )
    }

    /// An endpoint does what its document does not say: once for each kind of difference.
    pub fn raise_drift(&mut self, d: &Drifted) -> Option<Alert> {
        let severity = match d.kind {
            DriftKind::UndocumentedAuth => Severity::Medium,
            _ => Severity::Low,
        };
        let detector = format!("catalog-{}", d.kind.name());
        let what = d.kind.name().replace('-', " ");
        let summary = format!("{}: drifts from its document, {what}", d.subject);
        self.plain(
            "drift",
            severity,
            &detector,
            &d.subject,
            true,
            summary,
            d.why.clone(),
            d.at,
            d.since,
            d.kind.owasp(),
        )
    }

    /// Something is wrong with the watching itself.
    pub fn raise_sensor(
        &mut self,
        summary: String,
        why: Vec<String>,
        severity: Severity,
        at: Timestamp,
    ) -> Option<Alert> {
        let subject = summary.clone();
        self.plain(
            "sensor", severity, "sensor", &subject, false, summary, why, at, at, "",
        )
    }

    #[allow(clippy::too_many_arguments)] // an alert's own fields
    fn plain(
        &mut self,
        kind: &str,
        severity: Severity,
        detector: &str,
        subject: &str,
        is_endpoint: bool,
        summary: String,
        why: Vec<String>,
        at: Timestamp,
        since: Timestamp,
        owasp: &str,
    ) -> Option<Alert> {
        self.take(Alert {
            v: VERSION,
            id: String::new(),
            ts: at,
            kind: kind.to_owned(),
            severity,
            score: 0.0,
            detector: detector.to_owned(),
            principal: None,
            endpoint: is_endpoint.then(|| subject.to_owned()),
            host: match (is_endpoint, kind) {
                (true, _) => host_of(subject),
                (false, "sensor") => None,
                (false, _) => Some(subject.to_owned()),
            },
            since,
            until: at,
            expected: 0.0,
            observed: 0.0,
            p_value: 1.0,
            log10_p: 0.0,
            summary,
            why,
            samples: Vec::new(),
            series: Vec::new(),
            owasp: owasp.to_owned(),
            status: Status::Open,
            fingerprint: fingerprint(&[kind, detector, subject]),
            occurrences: 1,
            last_seen: at,
            revision: 1,
            changed_by: None,
            note: None,
        })
    }

    fn take(&mut self, mut new: Alert) -> Option<Alert> {
        self.counts.raised += 1;
        self.view = None;
        let Some(id) = self.open.get(&new.fingerprint) else {
            new.id = fingerprint(&[&new.fingerprint, &new.ts.nanos().to_string()]);
            self.counts.opened += 1;
            self.open.insert(new.fingerprint.clone(), new.id.clone());
            self.told.insert(new.id.clone(), 1);
            self.alerts.insert(new.id.clone(), Arc::new(new.clone()));
            self.make_room();
            return Some(new);
        };
        let known = self.alerts.get_mut(id).map(Arc::make_mut)?;
        let worse = new.severity > known.severity || new.score >= 2.0 * known.score.max(1.0);
        known.occurrences += 1;
        let told = self.told.entry(known.id.clone()).or_insert(1);
        let tell = worse || known.occurrences >= 2 * *told;
        known.last_seen = known.last_seen.max(new.ts);
        known.until = known.until.max(new.until);
        if new.score >= known.score {
            (known.severity, known.score) = (known.severity.max(new.severity), new.score);
            (known.expected, known.observed) = (new.expected, new.observed);
            (known.p_value, known.log10_p) = (new.p_value, new.log10_p);
            (known.summary, known.why) = (new.summary, new.why);
            (known.samples, known.series) = (new.samples, new.series);
        }
        if !tell {
            self.counts.duplicate += 1;
            return None;
        }
        *told = known.occurrences;
        known.revision += 1;
        self.counts.revised += 1;
        Some(known.clone())
    }

    /// A person's decision. Errors name the alert that is not there, or the status it already has.
    pub fn set_status(
        &mut self,
        id: &str,
        status: Status,
        by: &str,
        note: Option<String>,
        at: Timestamp,
    ) -> Result<Alert, String> {
        let Some(alert) = self.alerts.get_mut(id) else {
            return Err(format!("there is no alert {id}"));
        };
        if alert.status == status && note.is_none() {
            return Err(format!(
                "the alert is {} already",
                format!("{status:?}").to_lowercase()
            ));
        }
        let alert = Arc::make_mut(alert);
        alert.status = status;
        alert.changed_by = Some(by.to_owned());
        alert.note = note.or_else(|| alert.note.take());
        alert.revision += 1;
        alert.last_seen = alert.last_seen.max(at.min(alert.last_seen));
        if status == Status::Resolved {
            // What comes after is another alert.
            self.open.remove(&alert.fingerprint);
        } else {
            self.open
                .insert(alert.fingerprint.clone(), alert.id.clone());
        }
        self.view = None;
        Ok(alert.clone())
    }

    /// Newest first.
    pub fn view(&mut self) -> Arc<AlertsView> {
        if let Some(view) = &self.view {
            return view.clone();
        }
        let mut alerts: Vec<Arc<Alert>> = self.alerts.values().cloned().collect();
        alerts.sort_by(|a, b| (b.ts, &a.id).cmp(&(a.ts, &b.id)));
        let view = Arc::new(AlertsView {
            alerts,
            evicted: self.counts.evicted,
        });
        self.view = Some(view.clone());
        view
    }

    /// Past the budget resolved ones go first, then the least severe, oldest first.
    fn make_room(&mut self) {
        let Some(last) = self.alerts.len().checked_sub(self.settings.max_alerts + 1) else {
            return;
        };
        let rank = |a: &Alert| (a.status != Status::Resolved, a.severity, a.last_seen);
        let mut order: Vec<&Arc<Alert>> = self.alerts.values().collect();
        order.select_nth_unstable_by(last, |a, b| (rank(a), &a.id).cmp(&(rank(b), &b.id)));
        let going: Vec<String> = order[..=last].iter().map(|a| a.id.clone()).collect();
        for id in going {
            if let Some(gone) = self.alerts.remove(&id) {
                self.told.remove(&id);
                if self.open.get(&gone.fingerprint) == Some(&id) {
                    self.open.remove(&gone.fingerprint);
                }
                self.counts.evicted += 1;
            }
        }
    }
}

/// `api.example.com` of `GET api.example.com /v1/users/{user_id}`.
fn host_of(endpoint: &str) -> Option<String> {
    endpoint.split(' ').nth(1).map(str::to_owned)
}

fn kind_name(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Enumeration => "enumeration",
        VerdictKind::Scan => "scan",
        VerdictKind::Scraping => "scraping",
        VerdictKind::Credential => "credential",
        VerdictKind::Volume => "volume",
        VerdictKind::Exfiltration => "exfiltration",
        VerdictKind::Authorization => "authorization",
        VerdictKind::Source => "source",
        VerdictKind::Tampering => "tampering",
        VerdictKind::Exposure => "exposure",
        VerdictKind::Availability => "availability",
    }
}

/// The same parts, the same text, in every process.
fn fingerprint(parts: &[&str]) -> String {
    let digest = Sha256::digest(parts.join("\0"));
    digest[..10].iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(subject: &str, at: i64) -> Finding {
        let at = Timestamp::from_secs(at);
        Finding {
            kind: FindingKind::Shadow,
            endpoint: None,
            subject: subject.into(),
            at,
            since: at,
            why: "w".into(),
        }
    }

    #[test]
    fn the_same_again_is_counted_and_told_seldom() {
        let mut m = Manager::new(Settings::default());
        let first = m.raise_finding(&finding("GET h /a", 1)).unwrap();
        let told: Vec<u64> = (2..=20)
            .filter_map(|t| m.raise_finding(&finding("GET h /a", t)))
            .map(|a| a.occurrences)
            .collect();
        assert_eq!(told, [2, 4, 8, 16]);
        let view = m.view();
        assert_eq!(
            (
                view.alerts.len(),
                view.alerts[0].occurrences,
                &view.alerts[0].id
            ),
            (1, 20, &first.id)
        );
        let c = m.counts();
        assert_eq!(c.raised, c.opened + c.revised + c.duplicate);
    }

    #[test]
    fn after_it_is_resolved_it_is_another() {
        let mut m = Manager::new(Settings::default());
        let first = m.raise_finding(&finding("GET h /a", 1)).unwrap();
        let done = m
            .set_status(
                &first.id,
                Status::Resolved,
                "ann",
                Some("known".into()),
                Timestamp::from_secs(2),
            )
            .unwrap();
        assert_eq!(
            (
                done.revision,
                done.changed_by.as_deref(),
                done.note.as_deref()
            ),
            (2, Some("ann"), Some("known"))
        );
        assert!(
            m.set_status(
                &first.id,
                Status::Resolved,
                "ann",
                None,
                Timestamp::from_secs(2)
            )
            .is_err()
        );
        assert!(
            m.set_status(
                "nothing",
                Status::Open,
                "ann",
                None,
                Timestamp::from_secs(2)
            )
            .is_err()
        );
        assert_ne!(
            m.raise_finding(&finding("GET h /a", 3)).unwrap().id,
            first.id
        );
    }

    #[test]
    fn a_restart_goes_on_counting() {
        let mut m = Manager::new(Settings::default());
        let first = m.raise_finding(&finding("GET h /a", 1)).unwrap();
        let mut again = Manager::new(Settings::default());
        again.restore(vec![first.clone()]);
        assert_eq!(
            again.raise_finding(&finding("GET h /a", 2)).unwrap().id,
            first.id
        );
    }

    proptest::proptest! {
        #[test]
        fn counts_add_up_and_the_budget_holds(ops in proptest::collection::vec((0_u8..4, 0_u8..30), 0..200)) {
            let mut m = Manager::new(Settings { max_alerts: 10 });
            for (i, (op, which)) in ops.into_iter().enumerate() {
                let at = Timestamp::from_secs(i as i64);
                if op < 3 {
                    m.raise_finding(&finding(&format!("GET h /{which}"), i as i64));
                } else if let Some(a) = m.view().alerts.get(usize::from(which)) {
                    let _ = m.set_status(&a.id, Status::Resolved, "p", None, at);
                }
                proptest::prop_assert!(m.view().alerts.len() <= 10);
            }
            let c = m.counts();
            proptest::prop_assert_eq!(c.raised, c.opened + c.revised + c.duplicate);
        }
    }
}
