//! Views that people save: changed here alone, on disk before they are shown.

use std::sync::Arc;

use super::analyst::wall;
use crate::catalog::{MAX_VIEWS, NamedView};
use crate::store::Store;
use crate::web::{Reply, Views};

#[derive(Debug, Default)]
pub(super) struct NamedViews {
    /// In the order in which they were made.
    all: Vec<NamedView>,
    next: u64,
}

impl NamedViews {
    pub(super) fn new(recovered: Vec<NamedView>) -> Self {
        Self {
            next: recovered.iter().map(|v| v.id + 1).max().unwrap_or(1),
            all: recovered,
        }
    }

    /// Under a name that there is already it takes the other's place.
    pub(super) fn save(
        &mut self,
        (store, views): (&Store, &Arc<Views>),
        (name, query): (String, String),
        by: String,
        reply: Reply<NamedView>,
    ) {
        let old = self.all.iter().position(|v| v.name == name);
        if old.is_none() && self.all.len() >= MAX_VIEWS {
            let why = format!("there are {MAX_VIEWS} views: remove one first");
            return reply.send(Err(why));
        }
        let view = NamedView {
            id: old.map_or(self.next, |at| self.all[at].id),
            name,
            query,
            by,
            at: wall(),
            gone: false,
        };
        match old {
            Some(at) => self.all[at] = view.clone(),
            None => {
                self.next += 1;
                self.all.push(view.clone());
            }
        }
        self.keep((store, views), view, reply);
    }

    pub(super) fn remove(
        &mut self,
        at: (&Store, &Arc<Views>),
        id: u64,
        by: String,
        reply: Reply<NamedView>,
    ) {
        let Some(n) = self.all.iter().position(|v| v.id == id) else {
            return reply.send(Err("there is no such view any more".into()));
        };
        let mut view = self.all.remove(n);
        (view.by, view.at, view.gone) = (by, wall(), true);
        self.keep(at, view, reply);
    }

    fn keep(
        &self,
        (store, views): (&Store, &Arc<Views>),
        view: NamedView,
        reply: Reply<NamedView>,
    ) {
        store.named_view(view.clone());
        let (all, views) = (Arc::new(self.all.clone()), views.clone());
        // The store does one thing after another: an older list never follows a newer one.
        store.after(Box::new(move || {
            views.named.store(all);
            reply.send(Ok(view));
        }));
    }

    /// As they are at the start.
    pub(super) fn show(&self, views: &Views) {
        views.named.store(Arc::new(self.all.clone()));
    }
}
