//! What a person does to several alerts or incidents at once, and notes that change nothing else.

use std::sync::Arc;

use super::manager::Manager;
use super::{Alert, Audience, Incident, Status, Transition, Wanted, remember};
use crate::time::Timestamp;

/// Alerts or incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Alerts,
    Incidents,
}

impl On {
    /// As paths have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Incidents => "incidents",
        }
    }
}

/// What is to be done about each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    Status(Wanted),
    /// Its status stays; the note stands in its history.
    Note(Note),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub text: String,
    pub by: String,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    pub on: On,
    /// As many as [`Act::MOST`].
    pub ids: Vec<String>,
    pub deed: Deed,
}

impl Act {
    /// As the audit has it: what is done, to which, and what else there is to say.
    pub fn about(&self) -> (String, String, String) {
        let what = match self.on {
            On::Alerts => "alert",
            On::Incidents => "incident",
        };
        let (deed, note) = match &self.deed {
            Deed::Status(wanted) => (wanted.status.name(), wanted.note.clone()),
            Deed::Note(note) => ("note", Some(note.text.clone())),
        };
        let ids = named(&self.ids);
        (format!("{what}.{deed}"), ids, note.unwrap_or_default())
    }

    /// Ids that the audit names; past it, it counts them.
    const NAMED: usize = 10;
    /// Alerts or incidents that are acted on at once.
    pub const MOST: usize = 1_000;
}

/// How it went, each by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Acted {
    pub changed: Vec<String>,
    pub refused: Vec<Refused>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Refused {
    pub id: String,
    pub why: String,
}

impl Acted {
    /// Which were changed, as the audit has it; nothing where none was.
    pub fn about(&self) -> Option<String> {
        (!self.changed.is_empty()).then(|| named(&self.changed))
    }
}

/// The first of them, and how many more there are.
fn named(ids: &[String]) -> String {
    let (first, rest) = ids.split_at(ids.len().min(Act::NAMED));
    match rest.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

impl Note {
    fn transition(&self, status: Status, until: Option<Timestamp>) -> Transition {
        Transition {
            at: self.at,
            by: self.by.clone(),
            from: status,
            to: status,
            until,
            note: Some(self.text.clone()),
        }
    }

    fn on_alert(&self, a: &mut Alert) {
        remember(&mut a.history, self.transition(a.status, a.status_until));
        (a.changed_by, a.note) = (Some(self.by.clone()), Some(self.text.clone()));
        a.revision += 1;
    }

    fn on_incident(&self, i: &mut Incident) {
        remember(&mut i.history, self.transition(i.status, i.status_until));
        (i.changed_by, i.note) = (Some(self.by.clone()), Some(self.text.clone()));
        i.revision += 1;
    }
}

impl Manager {
    /// Does it to each that takes it. Changed alerts are appended to `out`.
    pub fn act(&mut self, act: &Act, out: &mut Vec<Alert>) -> Acted {
        let mut acted = Acted::default();
        for id in act.ids.iter().take(Act::MOST) {
            let done = match (act.on, &act.deed) {
                (On::Alerts, Deed::Status(wanted)) => {
                    self.set_status(id, wanted).map(|a| out.push(a))
                }
                (On::Incidents, Deed::Status(wanted)) => {
                    self.set_incident(id, wanted, out).map(drop)
                }
                (On::Alerts, Deed::Note(note)) => self.note_alert(id, note).map(|a| out.push(a)),
                (On::Incidents, Deed::Note(note)) => self.note_incident(id, note),
            };
            match done {
                Ok(()) => acted.changed.push(id.clone()),
                Err(why) => acted.refused.push(Refused {
                    id: id.clone(),
                    why,
                }),
            }
        }
        acted
    }

    fn note_alert(&mut self, id: &str, note: &Note) -> Result<Alert, String> {
        let there = self.alerts.get_mut(id).map(Arc::make_mut);
        let alert = there.ok_or_else(|| format!("there is no alert {id}"))?;
        note.on_alert(alert);
        let alert = alert.clone();
        self.changed();
        Ok(alert)
    }

    /// Kept, and told to nobody: it is for those who work on it here.
    fn note_incident(&mut self, id: &str, note: &Note) -> Result<(), String> {
        let there = self.incidents.get_mut(id).map(Arc::make_mut);
        note.on_incident(there.ok_or_else(|| format!("there is no incident {id}"))?);
        self.changed();
        self.owe(id, Audience::Nobody);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Settings;
    use crate::catalog::{Finding, FindingKind};

    fn manager(hosts: i64) -> Manager {
        let mut m = Manager::new(Settings::default());
        for n in 0..hosts {
            let at = Timestamp::from_secs(1_760_000_000 + n);
            let finding = Finding {
                kind: FindingKind::Shadow,
                endpoint: None,
                subject: format!("GET host{n}.example /v1/things"),
                at,
                since: at,
                why: "no spec".into(),
            };
            m.raise_finding(&finding);
        }
        m.notices();
        m
    }

    fn note(text: &str) -> Deed {
        Deed::Note(Note {
            text: text.into(),
            by: "ann".into(),
            at: Timestamp::from_secs(1_760_000_100),
        })
    }

    fn resolve() -> Deed {
        Deed::Status(Wanted {
            status: Status::Resolved,
            until: None,
            by: "ann".into(),
            note: None,
            at: Timestamp::from_secs(1_760_000_100),
        })
    }

    #[test]
    fn several_are_changed_and_each_says_how_it_went() {
        let mut m = manager(3);
        let mut ids: Vec<String> = m.view().incidents.iter().map(|i| i.id.clone()).collect();
        ids.push("none".into());
        let act = Act {
            on: On::Incidents,
            ids: ids.clone(),
            deed: resolve(),
        };
        let mut out = Vec::new();
        let acted = m.act(&act, &mut out);
        assert_eq!(acted.changed, ids[..3]);
        assert_eq!(acted.refused[0].id, "none");
        // The audit has what was done, not what was asked.
        assert_eq!(acted.about(), Some(ids[..3].join(", ")));
        assert!(act.about().1.contains("none"));
        assert_eq!((out.len(), m.notices().len()), (3, 3));
        let again = m.act(&act, &mut out);
        assert!(again.changed.is_empty(), "they are so already");
        assert_eq!(again.about(), None);
    }

    #[test]
    fn a_note_changes_no_status_and_is_told_to_nobody() {
        let mut m = manager(1);
        let id = m.view().incidents[0].id.clone();
        let alert = m.view().alerts[0].id.clone();
        let mut act = Act {
            on: On::Incidents,
            ids: vec![id],
            deed: note("asked the team"),
        };
        let mut out = Vec::new();
        assert_eq!(m.act(&act, &mut out).changed.len(), 1);
        let notices = m.notices();
        assert_eq!(notices[0].audience, Audience::Nobody);
        let view = m.view();
        let i = &view.incidents[0];
        assert_eq!((i.status, i.history.len()), (Status::Open, 1));
        assert_eq!(i.note.as_deref(), Some("asked the team"));
        assert!(out.is_empty() && view.alerts[0].history.is_empty());
        (act.on, act.ids) = (On::Alerts, vec![alert]);
        assert_eq!(m.act(&act, &mut out).changed.len(), 1);
        let last = out[0].history.last().unwrap();
        assert_eq!((last.from, last.to), (Status::Open, Status::Open));
    }
}
