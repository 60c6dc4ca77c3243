//! Documents that people upload, on their way: drawn up, put on disk, read with the others, answered.
//! Whoever asked is answered once the inventory is judged by the new set.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use super::analyst::wall;
use super::specs::Reading;
use crate::catalog::{MAX_UPLOADS, SpecChange, SpecVersion, Uploaded, uploads};
use crate::store::{Store, spec_folder};
use crate::web::{self, NewSpec, SpecsView, Views};

type Reply = web::Reply<SpecChange>;
/// The number of a change, and how its way to the disk went.
type OnDisk = (u64, Result<SpecChange, String>);

pub(super) struct Uploads {
    /// Oldest first.
    taken: Vec<SpecChange>,
    next: u64,
    /// By the change's number; those on disk wait until the documents were read again.
    waiting: BTreeMap<u64, Reply>,
    done: Sender<OnDisk>,
    /// Without a bound, so that the store never waits for the analysis.
    pub(super) on_disk: Receiver<OnDisk>,
    /// Has the documents read again.
    reload: Arc<Notify>,
    view: SpecsView,
}

impl Uploads {
    pub(super) fn new(recovered: Vec<SpecChange>, state: &Path, reload: Arc<Notify>) -> Self {
        let (done, on_disk) = unbounded();
        let view = SpecsView {
            uploads: uploads(recovered.iter()),
            dir: spec_folder(state),
            last: recovered.last().map_or(0, |c| c.id),
            ..SpecsView::default()
        };
        Self {
            next: view.last + 1,
            taken: recovered,
            waiting: BTreeMap::new(),
            done,
            on_disk,
            reload,
            view,
        }
    }

    /// A document is to be put to use, in place of another where one is named.
    pub(super) fn put(&mut self, store: &Store, wanted: NewSpec, by: String, reply: Reply) {
        let sha256 = hex(&Sha256::digest(wanted.text.as_bytes()));
        let replaced = match self.place(&wanted, &sha256) {
            Ok(replaced) => replaced,
            Err(why) => return reply.send(Err(why)),
        };
        let spec = replaced.map_or_else(|| self.new_name(), |u| u.id.clone());
        // Never a number that was used before: a file is written once.
        let own = self.taken.iter().filter(|c| c.spec == spec);
        let last = own.filter_map(|c| Some(c.version.as_ref()?.number)).max();
        let number = last.unwrap_or(0) + 1;
        let kind = if wanted.is_json { "json" } else { "yaml" };
        let version = SpecVersion {
            number,
            name: wanted.name,
            hosts: wanted.hosts,
            bytes: wanted.text.len() as u64,
            sha256,
            file: format!("{spec}-{number}.{kind}"),
        };
        let change = self.change(by, wanted.note, spec, Some(version));
        self.hand_over(store, change, Some(wanted.text), reply);
    }

    /// A document is to be taken away.
    pub(super) fn remove(
        &mut self,
        store: &Store,
        id: &str,
        (by, note): (String, Option<String>),
        reply: Reply,
    ) {
        if self.find(id).is_none() {
            let why = "there is no such upload: what the config names is taken out there";
            return reply.send(Err(why.into()));
        }
        let change = self.change(by, note, id.to_owned(), None);
        self.hand_over(store, change, None, reply);
    }

    fn find(&self, id: &str) -> Option<&Uploaded> {
        self.view.uploads.iter().find(|u| u.id == id)
    }

    fn place(&self, wanted: &NewSpec, sha256: &str) -> Result<Option<&Uploaded>, String> {
        let is_same = |u: &&Uploaded| {
            let current = u.current().map(|(_, v)| v);
            current.is_some_and(|v| v.sha256 == sha256 && v.hosts == wanted.hosts)
        };
        if let Some(same) = self.view.uploads.iter().find(is_same) {
            return Err(format!("this text is in use already, as {}", same.id));
        }
        match &wanted.replaces {
            Some(id) => match self.find(id) {
                Some(found) => Ok(Some(found)),
                None => Err("what it is to replace is no upload, or is gone".into()),
            },
            None if self.view.uploads.len() >= MAX_UPLOADS => Err(format!(
                "{MAX_UPLOADS} uploads are in use: take one away, or name folders in catalog.specs"
            )),
            None => Ok(None),
        }
    }

    /// One that nothing had before.
    fn new_name(&self) -> String {
        let numbers = self
            .taken
            .iter()
            .filter_map(|c| c.spec[1..].parse::<u64>().ok());
        format!("u{}", numbers.max().unwrap_or(0) + 1)
    }

    fn change(
        &mut self,
        by: String,
        note: Option<String>,
        spec: String,
        version: Option<SpecVersion>,
    ) -> SpecChange {
        let id = self.next;
        self.next += 1;
        SpecChange {
            id,
            at: wall(),
            by,
            note,
            spec,
            version,
        }
    }

    fn hand_over(
        &mut self,
        store: &Store,
        change: SpecChange,
        text: Option<Arc<str>>,
        reply: Reply,
    ) {
        let id = change.id;
        self.waiting.insert(id, reply);
        let done = self.done.clone();
        // The analysis thread may have ended already; the change is safe.
        let done = Box::new(move |result| drop(done.send((id, result))));
        store.spec(change, text, done);
    }

    /// A change is on disk, or could not be put there.
    pub(super) fn written(&mut self, (id, result): OnDisk, views: &Views) {
        match result {
            Ok(change) => {
                self.taken.push(change);
                self.view.uploads = uploads(self.taken.iter());
                self.view.last = id;
                self.publish(views);
                self.reload.notify_one();
            }
            Err(why) => {
                if let Some(reply) = self.waiting.remove(&id) {
                    reply.send(Err(why));
                }
            }
        }
    }

    /// The documents were read, with these changes among them.
    pub(super) fn was_read(&mut self, reading: &Reading, views: &Views) {
        self.view.files = reading.files.clone();
        self.view.refused = reading.refused.clone();
        self.publish(views);
        let later = self.waiting.split_off(&(reading.upto + 1));
        for (id, reply) in std::mem::replace(&mut self.waiting, later) {
            let change = self.taken.iter().find(|c| c.id == id);
            let answer = change
                .cloned()
                .ok_or_else(|| "it was not written".to_owned());
            reply.send(answer);
        }
    }

    pub(super) fn publish(&self, views: &Views) {
        views.specs.store(Arc::new(SpecsView {
            changes: self.taken.clone(),
            ..self.view.clone()
        }));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
