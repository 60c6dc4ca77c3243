//! What people's decisions mean for the budget: derived from the alerts, handed to the detectors.

use std::collections::BTreeMap;

use super::manager::Manager;
use super::{Alert, Status};
use crate::catalog::EndpointId;
use crate::detect::{Feedback, Subject};
use crate::time::Timestamp;

/// What a dismissal leaves of the budget: the bar rises by 1.2 in log10.
const DISMISSED: f64 = 1.0 / 16.0;
/// What an acceptance makes of it: the bar falls by 0.6.
const ACCEPTED: f64 = 4.0;
/// However often somebody says the same.
const BOUNDS: (f64, f64) = (1.0 / 256.0, 16.0);

impl Manager {
    /// By subject and detector, what is to be multiplied on its budget; decisions about one are
    /// multiplied, and end when the last of them does. `find` knows endpoints by their labels.
    pub fn feedback(&self, find: impl Fn(&str) -> Option<EndpointId>) -> Vec<Feedback> {
        let mut all: BTreeMap<(Subject, String), (f64, Timestamp)> = BTreeMap::new();
        for alert in self.members_decided() {
            let Some((factor, until)) = self.verdict(alert) else {
                continue;
            };
            let Some(subject) = subject(alert, &find) else {
                continue;
            };
            let known = all.entry((subject, alert.detector.clone()));
            let (product, end) = known.or_insert((1.0, until));
            *product = (*product * factor).clamp(BOUNDS.0, BOUNDS.1);
            *end = until.max(*end);
        }
        let given = |((subject, detector), (factor, until))| Feedback {
            subject,
            detector,
            factor,
            until,
        };
        all.into_iter().map(given).collect()
    }

    /// Of what a detector raised; findings and the sensor have no bar.
    fn members_decided(&self) -> impl Iterator<Item = &Alert> {
        let all = self.alerts.values().map(AsRef::as_ref);
        all.filter(|a| a.log10_p < 0.0 && !a.history.is_empty())
    }

    /// What the last word about it says, until when.
    fn verdict(&self, alert: &Alert) -> Option<(f64, Timestamp)> {
        let last = alert.history.last()?;
        let until = last.at + self.settings.dismissal;
        match alert.status {
            Status::FalseAlarm => Some((DISMISSED, alert.status_until.unwrap_or(until))),
            Status::Acknowledged | Status::Resolved => Some((ACCEPTED, until)),
            Status::Open | Status::Muted => None,
        }
    }
}

fn subject(alert: &Alert, find: impl Fn(&str) -> Option<EndpointId>) -> Option<Subject> {
    let Some(principal) = &alert.principal else {
        return find(alert.endpoint.as_deref()?).map(Subject::Endpoint);
    };
    let identity = principal.identity.clone().map(Subject::Identity);
    identity.or_else(|| principal.client.clone().map(Subject::Client))
}

#[cfg(test)]
mod tests {
    use super::super::incident::tests::{ORDERS, verdict};
    use super::super::{Settings, Wanted};
    use super::*;
    use crate::detect::VerdictKind::{Exfiltration, Scan, Volume};

    #[test]
    fn a_dismissal_raises_the_bar_and_an_acceptance_lowers_it() {
        let mut m = Manager::new(Settings::default());
        let mut decide = |kind, who: &str, endpoint: Option<&str>, status| {
            let v = verdict(100, kind, who);
            let alert = m.raise(&v, endpoint.map(str::to_owned)).unwrap();
            let wanted = Wanted {
                status,
                until: None,
                by: "ann".into(),
                note: None,
                at: Timestamp::from_secs(200),
            };
            m.set_status(&alert.id, &wanted).unwrap();
        };
        decide(Scan, "10.0.0.1", None, Status::FalseAlarm);
        decide(
            Exfiltration,
            "t1@10.0.0.1",
            Some(ORDERS),
            Status::FalseAlarm,
        );
        decide(Exfiltration, "t1@10.0.0.1", None, Status::FalseAlarm);
        decide(Scan, "t2@10.0.0.2", None, Status::Resolved);
        decide(Volume, "", Some(ORDERS), Status::Acknowledged);
        decide(Volume, "", Some("GET gone.example /"), Status::FalseAlarm);
        let id = EndpointId(7);
        let all = m.feedback(|label| (label == ORDERS).then_some(id));
        let until = Timestamp::from_secs(200 + 30 * 86_400);
        let given = |subject, detector: &str, factor| Feedback {
            subject,
            detector: detector.into(),
            factor,
            until,
        };
        let expected = [
            given(Subject::Identity("t1".into()), "exfiltration", 1.0 / 256.0),
            given(Subject::Identity("t2".into()), "scan", 4.0),
            given(Subject::Client("10.0.0.1".into()), "scan", 1.0 / 16.0),
            given(Subject::Endpoint(id), "volume", 4.0),
        ];
        assert_eq!(all, expected);
    }
}
