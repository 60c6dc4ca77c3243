//! The audit: who changed what, from where, when. Sign-ins stand in it, too, in a ring of their own,
//! so that somebody who guesses passwords cannot push out what an attacker did with one.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Role;
use crate::time::Timestamp;

/// Changes kept, and sign-ins kept.
const CHANGES: usize = 10_000;
const SIGN_INS: usize = 2_000;

/// Characters kept of an object or a note.
const TEXT: usize = 500;

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// A user's name, `token NAME`, or what stands for whoever runs us.
    pub name: Arc<str>,
    pub role: Option<Role>,
    /// The address that it came from, or `terminal`.
    pub from: String,
}

/// One line of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Record {
    /// Counts up. 0: not in the journal yet.
    #[serde(default)]
    pub id: u64,
    pub at: Timestamp,
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The address, or `terminal`.
    pub from: String,
    /// What was done, as `user.add`: the part before the point is what it was done to.
    pub action: String,
    /// To which.
    #[serde(default)]
    pub object: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Record {
    pub fn new(
        by: &By,
        at: Timestamp,
        action: impl Into<String>,
        object: &str,
        note: &str,
    ) -> Self {
        Self {
            id: 0,
            at,
            by: by.name.to_string(),
            role: by.role,
            from: by.from.clone(),
            action: action.into(),
            object: cut(object),
            note: cut(note),
        }
    }

    /// The same, done to this.
    pub fn about(self, object: &str) -> Self {
        let object = cut(object);
        Self { object, ..self }
    }

    fn is_sign_in(&self) -> bool {
        self.action.starts_with("sign-in.")
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT).collect()
}

/// What is kept of it. Each ring is in the order of ids.
#[derive(Debug, Default)]
pub struct Trail {
    next: u64,
    changes: VecDeque<Arc<Record>>,
    sign_ins: VecDeque<Arc<Record>>,
}

impl Trail {
    /// The id of the next record.
    pub fn next(&self) -> u64 {
        self.next.max(1)
    }

    /// Takes a record that has its id.
    pub fn take(&mut self, record: Record) {
        self.next = self.next.max(record.id + 1);
        let (ring, bound) = if record.is_sign_in() {
            (&mut self.sign_ins, SIGN_INS)
        } else {
            (&mut self.changes, CHANGES)
        };
        ring.push_back(Arc::new(record));
        if ring.len() > bound {
            ring.pop_front();
        }
    }

    /// Oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Record>> {
        let mut both: Vec<&Arc<Record>> = self.changes.iter().chain(&self.sign_ins).collect();
        both.sort_by_key(|record| record.id);
        both.into_iter()
    }

    pub fn view(&self) -> AuditView {
        let mut items: Vec<Arc<Record>> = self.iter().cloned().collect();
        items.reverse();
        AuditView { items }
    }
}

/// The audit, newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditView {
    pub items: Vec<Arc<Record>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_pushes_no_change_out() {
        let by = By {
            name: "alice".into(),
            role: Some(Role::Admin),
            from: "10.0.0.1".into(),
        };
        let mut trail = Trail::default();
        let mut add = |action: &str| {
            let record = Record::new(&by, Timestamp::default(), action, "x", &"n".repeat(900));
            let id = trail.next();
            trail.take(Record { id, ..record });
        };
        add("user.add");
        (0..5_000).for_each(|_| add("sign-in.failed"));
        add("user.remove");
        let items = trail.view().items;
        assert_eq!(items.len(), 2 + SIGN_INS);
        assert_eq!(items[0].action, "user.remove");
        assert_eq!(items[0].id, 5_002);
        assert_eq!(items.last().unwrap().action, "user.add");
        assert_eq!(items[0].note.len(), TEXT);
    }
}
