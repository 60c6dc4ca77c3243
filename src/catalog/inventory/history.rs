//! The budget of all histories together.

use std::sync::Arc;

use super::Catalog;
use crate::catalog::history::Step;

impl Catalog {
    /// Some endpoint's history has grown by so many bytes. Past the budget the finest history of
    /// the least used goes first. What merges free is found when the room seems used up; an eighth
    /// of the budget is free afterwards, so that the walk over all endpoints is seldom.
    pub(super) fn history_grew(&mut self, bytes: usize) {
        match self.history_room.checked_sub(bytes) {
            Some(room) => self.history_room = room,
            None => self.bound_histories(),
        }
    }

    pub(super) fn bound_histories(&mut self) {
        let budget = self.settings.max_history;
        let limit = budget - budget / 8;
        let endpoints = &mut self.state.endpoints;
        let mut used: usize = endpoints.values().map(|n| n.e.history.bytes()).sum();
        if used > limit {
            let mut order: Vec<(bool, u64, u32)> = (endpoints.iter())
                .map(|(id, n)| (n.e.confirmed(), n.e.by_class.iter().sum(), *id))
                .collect();
            order.sort_unstable();
            let steps = [Step::Minute, Step::Hour].into_iter();
            let plan = steps.flat_map(|step| order.iter().map(move |(.., id)| (step, *id)));
            for (step, id) in plan {
                if used <= limit - budget / 8 {
                    break;
                }
                if let Some(n) = endpoints.get_mut(&id) {
                    let before = n.e.history.bytes();
                    self.state.histories_cut +=
                        u64::from(Arc::make_mut(&mut n.e.history).clear(step));
                    used -= before - n.e.history.bytes();
                    self.dirty.insert(id);
                }
            }
        }
        self.history_room = budget.saturating_sub(used);
    }
}
