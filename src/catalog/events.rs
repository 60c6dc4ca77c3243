//! What became of an endpoint's template, in time: paths that were found to be the same, or that
//! left it, and its new name. Words that were found to be values are counted, not named.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Events kept of one endpoint; the oldest go.
const MAX_EVENTS: usize = 16;

/// Packet time, and what was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Event {
    pub at: Timestamp,
    pub what: Happened,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Happened {
    /// So many other entries became part of it.
    Joined(u32),
    /// It was part of another until then: that one's template.
    Parted(String),
    /// So many paths turned out to have an entry of their own.
    Lost(u32),
    /// Its template reads so from then on.
    Renamed(String),
}

/// Behind a pointer: most endpoints have none.
type Past = std::collections::VecDeque<Event>;

/// Oldest first; empty costs a pointer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Events(Option<Box<Past>>);

impl Events {
    /// What happens at one moment is one event.
    pub(super) fn add(&mut self, at: Timestamp, what: Happened) {
        let events = self.0.get_or_insert_default();
        match (events.back_mut(), &what) {
            (Some(last), Happened::Joined(more)) if last.at == at => {
                if let Happened::Joined(n) = &mut last.what {
                    *n = n.saturating_add(*more);
                    return;
                }
            }
            (Some(last), Happened::Lost(more)) if last.at == at => {
                if let Happened::Lost(n) = &mut last.what {
                    *n = n.saturating_add(*more);
                    return;
                }
            }
            _ => {}
        }
        if events.len() >= MAX_EVENTS {
            events.pop_front();
        }
        events.push_back(Event { at, what });
    }

    pub(super) fn clear(&mut self) {
        self.0 = None;
    }

    pub(super) fn view(&self) -> Vec<Event> {
        self.0
            .iter()
            .flat_map(|past| past.iter().cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_bounded_and_what_comes_together_is_one() {
        let mut events = Events::default();
        for n in 0..40 {
            events.add(Timestamp::from_secs(n / 2), Happened::Joined(1));
        }
        events.add(Timestamp::from_secs(19), Happened::Lost(2));
        let view = events.view();
        assert_eq!(view.len(), MAX_EVENTS);
        assert_eq!(view[14].what, Happened::Joined(2));
        assert_eq!(view[15].what, Happened::Lost(2));
    }
}
