//! The form of those who act on alerts and incidents: which, what is to be done, and from where it was
//! sent.

use std::time::Duration;

use axum::extract::Query;
use axum::http::{StatusCode, Uri};

use super::api::remark;
use super::decide::Refused;
use super::life::{SPANS, wanted};
use super::triage::Filter;
use crate::alert::{Deed, Note, On, Status, wall};
use crate::time::Timestamp;

/// The fields of all forms that act.
#[derive(Clone, Default)]
pub(super) struct Form {
    pub(super) csrf: String,
    pub(super) ids: Vec<String>,
    /// A status, or `note`.
    pub(super) status: String,
    pub(super) note: String,
    /// Of muted: for so many hours, or until a time of a clock in a zone.
    pub(super) hours: String,
    pub(super) until: String,
    pub(super) zone: String,
    /// The list that it was sent from.
    pub(super) back: String,
    /// All that the list has are meant, whatever is ticked: its stamp, as it was shown.
    pub(super) all: Option<String>,
    pub(super) confirmed: bool,
}

impl Form {
    pub(super) fn read(body: &[u8]) -> Self {
        let mut form = Self::default();
        let mut one = None;
        for (name, value) in url::form_urlencoded::parse(body) {
            let value = value.into_owned();
            match name.as_ref() {
                "csrf" => form.csrf = value,
                "id" => form.ids.push(value),
                "status" => form.status = value,
                "note" => form.note = value,
                "hours" => form.hours = value,
                "until" => form.until = value,
                "zone" => form.zone = value,
                "back" => form.back = value,
                "all" => form.all = Some(value),
                "confirmed" => form.confirmed = value == "yes",
                // A button of one row, whatever else is ticked.
                "one" => {
                    one = value
                        .split_once(':')
                        .map(|(s, id)| (s.to_owned(), id.to_owned()))
                }
                _ => {}
            }
        }
        if let Some((status, id)) = one {
            (form.status, form.ids, form.note) = (status, vec![id], String::new());
            form.all = None;
        }
        form
    }

    pub(super) fn deed(&self, by: &str) -> Result<Deed, Refused> {
        let note = remark(Some(self.note.clone()));
        if self.status == "note" {
            return Ok(Deed::Note(said(note, by)?));
        }
        let muted = self.status == Status::Muted.name();
        let until = if muted { Some(self.end()?) } else { None };
        let found = Status::ALL.into_iter().find(|s| s.name() == self.status);
        let status = found.ok_or_else(|| {
            let names = Status::ALL.map(Status::name).join(", ");
            (StatusCode::BAD_REQUEST, format!("status is one of {names}"))
        })?;
        Ok(Deed::Status(wanted(status, until, note, by)))
    }

    /// Until when it is muted.
    fn end(&self) -> Result<Timestamp, Refused> {
        let wrong = |why: String| (StatusCode::BAD_REQUEST, why);
        if !self.until.is_empty() {
            return clock(&self.until, &self.zone).map_err(wrong);
        }
        let span = SPANS.iter().find(|(hours, _)| *hours == self.hours);
        let hours = span.and_then(|(hours, _)| hours.parse::<u64>().ok());
        let hours = hours.ok_or_else(|| wrong("say for how long, or until when".into()))?;
        Ok(wall() + Duration::from_secs(hours * 3_600))
    }

    /// Where the form was sent from: one of our own lists, or the list that it acts on.
    pub(super) fn back(&self, on: On) -> String {
        match self.filter(on) {
            Some(_) => self.back.clone(),
            None => format!("/{}", on.name()),
        }
    }

    /// What the list that it was sent from was asked for; none: it was no list of ours.
    pub(super) fn filter(&self, on: On) -> Option<Filter> {
        let list = format!("/{}", on.name());
        let rest = self.back.strip_prefix(&list)?;
        if !rest.is_empty() && !rest.starts_with('?') {
            return None;
        }
        let uri: Uri = self.back.parse().ok()?;
        Query::try_from_uri(&uri).ok().map(|Query(filter)| filter)
    }
}

pub(super) fn said(note: Option<String>, by: &str) -> Result<Note, Refused> {
    let text = note.ok_or_else(|| (StatusCode::BAD_REQUEST, "write a note".to_owned()))?;
    Ok(Note {
        text,
        by: by.to_owned(),
        at: wall(),
    })
}

/// `2026-11-27T09:00` of a clock in a zone; UTC where none is named.
fn clock(text: &str, zone: &str) -> Result<Timestamp, String> {
    let zone = match zone.trim() {
        "" | "UTC" => jiff::tz::TimeZone::UTC,
        name => jiff::tz::TimeZone::get(name).map_err(|e| e.to_string())?,
    };
    let time: jiff::civil::DateTime = (text.trim().parse())
        .map_err(|_| format!("`{text}` is no time: write it like 2026-11-27T09:00"))?;
    let at = time.to_zoned_datetime(zone).map_err(|e| e.to_string())?;
    Ok(Timestamp::from_secs(at.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_its_own_is_meant_whatever_is_ticked() {
        let form = Form::read(b"id=a&id=b&status=resolved&note=x&one=acknowledged:c");
        assert_eq!(
            (form.status.as_str(), form.note.as_str()),
            ("acknowledged", "")
        );
        assert_eq!(form.ids, ["c"]);
    }

    #[test]
    fn a_form_leads_back_to_our_own_lists_alone() {
        for (back, to) in [
            ("/alerts?kind=scan&view=all", "/alerts?kind=scan&view=all"),
            ("/alerts", "/alerts"),
            ("/alertsx", "/alerts"),
            ("//evil.example/", "/alerts"),
            ("https://evil.example/alerts", "/alerts"),
            ("", "/alerts"),
        ] {
            let form = Form {
                back: back.into(),
                ..Form::default()
            };
            assert_eq!(form.back(On::Alerts), to);
        }
    }

    #[test]
    fn a_clock_is_read_in_its_zone() {
        let utc = clock("2026-07-01T09:00", "UTC").unwrap();
        let berlin = clock("2026-07-01T09:00", "Europe/Berlin").unwrap();
        assert_eq!(utc.since(berlin), Duration::from_secs(2 * 3_600));
        assert!(clock("tomorrow", "UTC").is_err());
        assert!(clock("2026-07-01T09:00", "Mars/Olympus").is_err());
    }

    #[test]
    fn muting_needs_an_end_and_a_note_needs_words() {
        let form = |body: &[u8]| Form::read(body).deed("ann");
        assert!(form(b"status=muted").is_err());
        assert!(matches!(form(b"status=muted&hours=8"), Ok(Deed::Status(_))));
        assert!(form(b"status=note&note=+").is_err());
        assert!(matches!(form(b"status=note&note=x"), Ok(Deed::Note(_))));
        assert!(form(b"status=closed").is_err());
    }
}
