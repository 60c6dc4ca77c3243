//! What was sent to whom, as the pages of alerts and incidents show it. Part of the journal: it is
//! rebuilt from the lines that queue and strike off messages, and written with the rest when the
//! journal is written anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::alert::delivery::{Delivery, Sent};
use crate::time::Timestamp;

/// Messages that one alert or incident remembers; past it the oldest go.
const REMEMBERED: usize = 50;

#[derive(Debug, Default)]
pub(super) struct Deliveries {
    sent: Sent,
    /// Something is new since [`Deliveries::news`] was asked.
    is_new: bool,
}

impl Deliveries {
    pub(super) fn queued(
        &mut self,
        id: &str,
        revision: u64,
        sinks: &BTreeSet<String>,
        at: Timestamp,
    ) {
        for sink in sinks {
            let all = self.of(id);
            let known = |d: &&mut Delivery| d.revision == revision && d.sink == *sink;
            match all.iter_mut().find(known) {
                Some(again) if again.settled.is_none() => {}
                // A person had it sent again.
                Some(again) => {
                    (again.queued, again.settled, again.given_up) = (at, None, None);
                }
                None => all.push(Delivery {
                    sink: sink.clone(),
                    revision,
                    queued: at,
                    settled: None,
                    given_up: None,
                }),
            }
            let surplus = all.len().saturating_sub(REMEMBERED);
            all.drain(..surplus);
        }
    }

    pub(super) fn settled(
        &mut self,
        id: &str,
        revision: u64,
        sink: &str,
        at: Timestamp,
        given_up: Option<&str>,
    ) {
        let it = |d: &&mut Delivery| d.revision == revision && d.sink == sink;
        if let Some(d) = self.of(id).iter_mut().find(it) {
            (d.settled, d.given_up) = (Some(at), given_up.map(str::to_owned));
        }
    }

    /// What an older journal says of one.
    pub(super) fn restore(&mut self, id: &str, all: Vec<Delivery>) {
        *self.of(id) = all;
    }

    fn of(&mut self, id: &str) -> &mut Vec<Delivery> {
        self.is_new = true;
        Arc::make_mut(self.sent.entry(id.into()).or_default())
    }

    /// Forgets those that are not kept any more, and gives the others to be written.
    pub(super) fn kept(
        &mut self,
        is_kept: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = (&str, &[Delivery])> {
        self.sent.retain(|id, all| !all.is_empty() && is_kept(id));
        let all = self.sent.iter();
        all.map(|(id, all)| (id.as_ref(), all.as_slice()))
    }

    /// All of it, where it has changed since the last call.
    pub(super) fn news(&mut self) -> Option<Arc<Sent>> {
        std::mem::take(&mut self.is_new).then(|| Arc::new(self.sent.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn each_message_once_with_what_came_of_it() {
        let mut d = Deliveries::default();
        let sinks = BTreeSet::from(["soc".to_owned(), "siem".to_owned()]);
        d.queued("a", 1, &sinks, at(1));
        d.queued("a", 1, &sinks, at(2));
        d.settled("a", 1, "soc", at(3), None);
        d.settled("a", 1, "siem", at(4), Some("410 Gone"));
        let news = d.news().unwrap();
        let all = &news["a"];
        assert_eq!(all.len(), 2);
        assert_eq!((all[1].queued, all[1].settled), (at(1), Some(at(3))));
        assert_eq!(all[0].given_up.as_deref(), Some("410 Gone"));
        assert!(d.news().is_none());
        d.queued("a", 1, &BTreeSet::from(["siem".to_owned()]), at(5));
        let news = d.news().unwrap();
        assert_eq!(
            (news["a"][0].settled, &news["a"][0].given_up),
            (None, &None)
        );
    }

    #[test]
    fn what_one_remembers_is_bounded_and_what_is_gone_is_forgotten() {
        let mut d = Deliveries::default();
        let sinks = BTreeSet::from(["soc".to_owned()]);
        for n in 0..200 {
            d.queued("a", n, &sinks, at(1));
        }
        d.queued("b", 1, &sinks, at(1));
        let kept: Vec<(String, usize)> = d
            .kept(|id| id == "a")
            .map(|(id, all)| (id.to_owned(), all.len()))
            .collect();
        assert_eq!(kept, [("a".to_owned(), REMEMBERED)]);
        assert_eq!(d.news().unwrap()["a"][0].revision, 150);
    }
}
