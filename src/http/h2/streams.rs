//! The open streams of one connection, by number, and what they hold together: asked for after
//! every segment, so that it must not cost a walk over all of them.

use std::collections::BTreeMap;

use super::stream::Stream;
use crate::time::Timestamp;

#[derive(Debug)]
struct Open {
    stream: Stream,
    /// What it held when it was last touched.
    held: usize,
    /// It wanted to be called then.
    timed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Streams {
    open: BTreeMap<u32, Open>,
    /// Sums of the streams' own.
    held: usize,
    timed: usize,
}

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        self.open.contains_key(&id)
    }

    /// Bytes that all of them take.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// When the first of them wants to be called.
    pub(super) fn due(&self) -> Timestamp {
        if self.timed == 0 {
            return Timestamp::MAX;
        }
        let due = self.open.values().map(|open| open.stream.due());
        due.min().unwrap_or(Timestamp::MAX)
    }

    pub(super) fn first(&self) -> Option<&Stream> {
        self.open.first_key_value().map(|(_, open)| &open.stream)
    }

    pub(super) fn last_id(&self) -> Option<u32> {
        self.open.last_key_value().map(|(id, _)| *id)
    }

    /// The one way to a stream: what it holds behind the call is taken into the sum.
    pub(super) fn with<R>(&mut self, id: u32, f: impl FnOnce(&mut Stream) -> R) -> Option<R> {
        let open = self.open.get_mut(&id)?;
        let result = f(&mut open.stream);
        let (held, timed) = state(&open.stream);
        self.held = self.held - open.held + held;
        self.timed = self.timed - usize::from(open.timed) + usize::from(timed);
        (open.held, open.timed) = (held, timed);
        Some(result)
    }

    pub(super) fn each(&mut self, mut f: impl FnMut(&mut Stream)) {
        (self.held, self.timed) = (0, 0);
        for open in self.open.values_mut() {
            f(&mut open.stream);
            (open.held, open.timed) = state(&open.stream);
            self.held += open.held;
            self.timed += usize::from(open.timed);
        }
    }

    /// Returns the stream that had the number.
    pub(super) fn insert(&mut self, id: u32, stream: Stream) -> Option<Stream> {
        let passed = self.remove(id);
        let (held, timed) = state(&stream);
        self.held += held;
        self.timed += usize::from(timed);
        self.open.insert(
            id,
            Open {
                stream,
                held,
                timed,
            },
        );
        passed
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Stream> {
        let open = self.open.remove(&id)?;
        Some(self.taken(open))
    }

    pub(super) fn pop_first(&mut self) -> Option<Stream> {
        let (_, open) = self.open.pop_first()?;
        Some(self.taken(open))
    }

    fn taken(&mut self, open: Open) -> Stream {
        self.held -= open.held;
        self.timed -= usize::from(open.timed);
        open.stream
    }
}

fn state(stream: &Stream) -> (usize, bool) {
    (stream.held(), stream.due() < Timestamp::MAX)
}
