//! What people say of an endpoint beside that it is meant to be there: tags, an owner, a note.
//!
//! Where endpoints become one, tags of both stand, and of two owners or notes the later one, so that
//! it does not matter which of them became part of the other.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::decision::Action;
use crate::time::Timestamp;

/// Tags of one endpoint.
pub const MAX_TAGS: usize = 16;
/// Characters of a tag, an owner and a note.
pub const MAX_TAG: usize = 32;
pub const MAX_OWNER: usize = 64;
pub const MAX_NOTE: usize = 2_000;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Words {
    pub(super) tags: BTreeSet<String>,
    owner: Option<Said>,
    note: Option<Said>,
}

/// When in wall time, and what; the later is the greater.
#[derive(Clone, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
struct Said(Timestamp, String);

impl Words {
    pub(super) fn owner(&self) -> Option<&str> {
        self.owner.as_ref().map(|said| said.1.as_str())
    }

    pub(super) fn note(&self) -> Option<&str> {
        self.note.as_ref().map(|said| said.1.as_str())
    }

    /// Takes a word, or takes it back; `says` is what there is to be then. Accepting and pins are no
    /// words.
    pub(super) fn take(&mut self, action: Action, value: &str, says: Option<&str>, at: Timestamp) {
        let said = || says.map(|text| Said(at, text.to_owned()));
        match action {
            Action::Tag | Action::Untag if says.is_some() => {
                self.tags.insert(value.to_owned());
            }
            Action::Tag | Action::Untag => drop(self.tags.remove(value)),
            Action::Own | Action::Disown => self.owner = said(),
            Action::Note | Action::Unnote => self.note = said(),
            _ => {}
        }
        self.bound();
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.tags.extend(other.tags.iter().cloned());
        self.bound();
        let later = |mine: &mut Option<Said>, theirs: &Option<Said>| {
            if *theirs > *mine {
                mine.clone_from(theirs);
            }
        };
        later(&mut self.owner, &other.owner);
        later(&mut self.note, &other.note);
    }

    /// The first stay, so that it does not matter which came first.
    fn bound(&mut self) {
        while self.tags.len() > MAX_TAGS {
            self.tags.pop_last();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.owner.is_none() && self.note.is_none()
    }

    /// Whether a decision would change anything; `Err` where there is no room for it.
    pub(super) fn would_change(&self, action: Action, value: &str) -> Result<bool, String> {
        let known = self.tags.contains(value);
        match action {
            Action::Tag if !known && self.tags.len() >= MAX_TAGS => Err(format!(
                "an endpoint has at most {MAX_TAGS} tags: take one away first"
            )),
            Action::Tag => Ok(!known),
            Action::Untag => Ok(known),
            Action::Own => Ok(self.owner() != Some(value)),
            Action::Disown => Ok(self.owner.is_some()),
            Action::Note => Ok(self.note() != Some(value)),
            Action::Unnote => Ok(self.note.is_some()),
            _ => Ok(true),
        }
    }
}

impl Action {
    /// What is said with it as it is kept: a tag in small letters and without spaces, owner and note
    /// without space around them. `Err` says what is wrong with it.
    pub fn value(self, text: Option<&str>) -> Result<Option<String>, String> {
        let text = text.unwrap_or_default().trim();
        let (most, name) = match self {
            Self::Tag | Self::Untag => (MAX_TAG, "a tag"),
            Self::Own => (MAX_OWNER, "an owner"),
            Self::Note => (MAX_NOTE, "a note"),
            _ if text.is_empty() => return Ok(None),
            _ => return Err(format!("`{}` takes no value", self.name())),
        };
        if text.is_empty() || text.chars().count() > most {
            return Err(format!("{name} has 1 to {most} characters"));
        }
        let is_note = self == Self::Note;
        if text
            .chars()
            .any(|c| c.is_control() && !(is_note && matches!(c, '\n' | '\r' | '\t')))
        {
            return Err(format!("{name} has no control characters"));
        }
        if name == "a tag" {
            let plain = |c: char| c.is_alphanumeric() || "-_.:/".contains(c);
            if !text.chars().all(plain) {
                return Err("a tag has letters, digits and `-_.:/`".into());
            }
            return Ok(Some(text.to_lowercase()));
        }
        Ok(Some(text.replace("\r\n", "\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn values_are_bounded_and_plain() {
        let said = |action: Action, text: &str| action.value(Some(text)).ok().flatten();
        assert_eq!(said(Action::Tag, " PCI-DSS ").as_deref(), Some("pci-dss"));
        assert_eq!(said(Action::Tag, "two words"), None);
        assert_eq!(said(Action::Tag, "<b>"), None);
        assert_eq!(said(Action::Tag, &"x".repeat(MAX_TAG + 1)), None);
        assert_eq!(
            said(Action::Own, "Team B <b@x.example>").as_deref(),
            Some("Team B <b@x.example>")
        );
        assert_eq!(said(Action::Own, "a\u{1b}[2J"), None);
        assert_eq!(
            said(Action::Note, "one\r\ntwo").as_deref(),
            Some("one\ntwo")
        );
        assert_eq!(said(Action::Note, "  "), None);
        assert_eq!(Action::Accept.value(None), Ok(None));
        assert!(Action::Accept.value(Some("x")).is_err());
    }

    #[test]
    fn it_does_not_matter_which_became_part_of_the_other() {
        let mut a = Words::default();
        a.take(Action::Own, "a", Some("a"), at(1));
        a.take(Action::Note, "later", Some("later"), at(9));
        a.take(Action::Tag, "x", Some("x"), at(1));
        let mut b = Words::default();
        b.take(Action::Own, "b", Some("b"), at(2));
        b.take(Action::Note, "sooner", Some("sooner"), at(3));
        b.take(Action::Tag, "y", Some("y"), at(1));
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.merge(&b);
        ba.merge(&a);
        assert_eq!(ab, ba);
        assert_eq!((ab.owner(), ab.note()), (Some("b"), Some("later")));
        assert_eq!(ab.tags.iter().collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn there_is_room_for_so_many_tags() {
        let mut words = Words::default();
        for n in 0..MAX_TAGS {
            let tag = format!("t{n}");
            assert_eq!(words.would_change(Action::Tag, &tag), Ok(true));
            words.take(Action::Tag, &tag, Some(&tag), at(1));
        }
        assert!(words.would_change(Action::Tag, "more").is_err());
        assert_eq!(words.would_change(Action::Tag, "t3"), Ok(false));
        words.merge(&words.clone());
        assert_eq!(words.tags.len(), MAX_TAGS);
    }
}
