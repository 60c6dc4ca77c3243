//! People's decisions on their way: drawn up, put on disk, applied, answered. Nothing is applied or
//! answered before it is on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::analyst::wall;
use crate::analysis::Analysis;
use crate::catalog::{Action, Catalog, Decision, MAX_PLACES, Place, bring_back};
use crate::store::Store;
use crate::web::{self, DecisionsView, Wish};

type Reply = web::Reply<Arc<Decision>>;

pub(super) struct Decisions {
    /// Oldest first.
    taken: Vec<Arc<Decision>>,
    next: u64,
    waiting: BTreeMap<u64, Reply>,
    done: Sender<Decision>,
    /// Those that are on disk now. Without a bound, so that the store never waits for the analysis;
    /// what lies in it are people's clicks.
    pub(super) on_disk: Receiver<Decision>,
}

/// A wish as the decision has it.
struct Resolved {
    action: Action,
    places: Vec<Place>,
    value: Option<String>,
    undoes: Option<u64>,
}

impl Decisions {
    pub(super) fn new(recovered: Vec<Decision>) -> Self {
        let (done, on_disk) = unbounded();
        Self {
            next: recovered.last().map_or(1, |last| last.id + 1),
            taken: recovered.into_iter().map(Arc::new).collect(),
            waiting: BTreeMap::new(),
            done,
            on_disk,
        }
    }

    /// Hands a wish to the store, or refuses it.
    pub(super) fn ask(
        &mut self,
        (catalog, store): (&Catalog, &Store),
        wish: &Wish,
        (by, note): (String, Option<String>),
        reply: Reply,
    ) {
        let resolved = match self.resolve(catalog, wish) {
            Ok(resolved) => resolved,
            Err(why) => return reply.send(Err(why)),
        };
        let id = self.next;
        self.next += 1;
        self.waiting.insert(id, reply);
        let decision = Decision {
            id,
            at: wall(),
            seen: catalog.now(),
            by,
            action: resolved.action,
            places: resolved.places,
            value: resolved.value,
            note,
            undoes: resolved.undoes,
        };
        let done = self.done.clone();
        // The analysis thread may have ended already; the decision is safe.
        store.decide(decision, Box::new(move |d| drop(done.send(d))));
    }

    fn resolve(&self, catalog: &Catalog, wish: &Wish) -> Result<Resolved, String> {
        let (value, undoes) = (None, None);
        let resolved = match wish {
            Wish::Mark {
                action,
                value,
                keys,
            } => Resolved {
                action: *action,
                places: catalog.open_to(*action, value.as_deref(), keys)?,
                value: value.clone(),
                undoes,
            },
            Wish::Pin(pin) => Resolved {
                action: pin.action,
                places: vec![catalog.pin_place(&pin.key, pin.part, pin.word.as_deref())?],
                value,
                undoes,
            },
            Wish::Undo(id) => self.undo(catalog, *id)?,
        };
        match resolved.places.len() {
            0 if resolved.undoes.is_some() => {
                Err("it holds no longer: later decisions replaced it".into())
            }
            0 => Err("there is no such endpoint any more".into()),
            n if n > MAX_PLACES => Err(format!(
                "{n} endpoints at once are too many: decide about at most {MAX_PLACES}"
            )),
            _ => Ok(resolved),
        }
    }

    fn undo(&self, catalog: &Catalog, id: u64) -> Result<Resolved, String> {
        let found = self.taken.iter().position(|d| d.id == id);
        let at = found.ok_or("there is no such decision")?;
        let decision = &self.taken[at];
        let inverse = decision.action.inverse();
        let action = inverse.ok_or("this took something back: decide anew instead")?;
        let mut places = catalog.held(decision);
        let earlier = self.taken[..at].iter().map(AsRef::as_ref);
        bring_back(&mut places, decision, earlier);
        Ok(Resolved {
            action,
            places,
            value: decision.value.clone(),
            undoes: Some(id),
        })
    }

    /// Applies a decision that is on disk; its answer is to be sent once readers can see it.
    pub(super) fn apply(&mut self, decision: Decision) -> (Arc<Decision>, Option<Reply>) {
        let decision = Arc::new(decision);
        self.taken.push(decision.clone());
        let reply = self.waiting.remove(&decision.id);
        (decision, reply)
    }

    pub(super) fn view(&self, analysis: &Analysis) -> Arc<DecisionsView> {
        let tally = analysis.catalog.tally();
        let newest = self.taken.iter().rev();
        let item = |d: &Arc<Decision>| (d.clone(), tally.get(&d.id).copied().unwrap_or(0));
        Arc::new(DecisionsView {
            items: newest.map(item).collect(),
        })
    }
}
