//! IP fragments, put together in a bounded pool (RFC 791, section 3.2; RFC 8200, section 4.5).
//!
//! A flood of fragments costs the budget and no more: the oldest datagram goes first. IPv4 keeps
//! the bytes that came first where pieces overlap; an IPv6 datagram with overlapping pieces is
//! dropped whole, as RFC 5722 has hosts do. Exact copies, as a double mirror makes them, are
//! copies in both.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::ip::Carrier;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of fragments held, what each piece costs beside its data included.
    pub max_bytes: usize,
    pub max_datagrams: usize,
    /// How long a datagram may stay incomplete; Linux waits 30 s.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_bytes: 4 << 20,
            max_datagrams: 4_096,
            patience: Duration::from_secs(30),
        }
    }
}

/// Pieces of one datagram: 64 KiB in 8-byte pieces would be 8,192, and no sender does that.
const MAX_PIECES: usize = 1_024;

/// Which datagram it is that came in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) protocol: u8,
    pub(super) ident: u32,
    pub(super) zone: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    pub(super) key: Key,
    pub(super) carrier: Carrier,
    pub(super) offset: u16,
    pub(super) more: bool,
    pub(super) data: &'a [u8],
}

/// What a fragment came to.
#[derive(Debug)]
pub(super) enum Push {
    Held,
    /// Brought nothing new.
    Copy,
    /// Against the rules; `frames` are given up, this fragment's own among them.
    Broken {
        frames: u64,
    },
    /// The datagram is whole: its payload lies in the pool until the next call.
    Whole {
        carrier: Carrier,
        frames: u64,
    },
}

#[derive(Debug)]
struct Piece {
    offset: u16,
    data: Box<[u8]>,
}

impl Piece {
    fn end(&self) -> usize {
        usize::from(self.offset) + self.data.len()
    }

    fn cost(len: usize) -> usize {
        len + size_of::<Self>()
    }
}

#[derive(Debug)]
struct Datagram {
    since: Timestamp,
    /// Tells this datagram from a later one with the same key.
    serial: u64,
    /// The first fragment's, which alone is sure to name the protocol.
    carrier: Option<Carrier>,
    /// Sorted, without overlaps.
    pieces: Vec<Piece>,
    frames: u64,
    bytes: usize,
    cost: usize,
    /// Length, once the last piece told it.
    total: Option<usize>,
}

/// Frames that were held and came to nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) expired: u64,
    pub(super) evicted: u64,
}

#[derive(Debug)]
pub(super) struct Pool {
    settings: Settings,
    datagrams: HashMap<Key, Datagram, foldhash::fast::FixedState>,
    /// Oldest first; entries whose datagram is gone are passed over.
    order: VecDeque<(Key, u64)>,
    serial: u64,
    cost: usize,
    pending: u64,
    lost: Lost,
    whole: Vec<u8>,
}

impl Pool {
    pub(super) fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            datagrams: HashMap::with_hasher(foldhash::fast::FixedState::with_seed(seed)),
            order: VecDeque::new(),
            serial: 0,
            cost: 0,
            pending: 0,
            lost: Lost::default(),
            whole: Vec::new(),
        }
    }

    /// Frames held now.
    pub(super) fn pending(&self) -> u64 {
        self.pending
    }

    /// Bytes, and what holding them costs beside.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    pub(super) fn lost(&self) -> Lost {
        self.lost
    }

    /// Payload of the datagram that the last push made whole.
    pub(super) fn whole(&self) -> &[u8] {
        &self.whole
    }

    /// Datagrams, what they cost, and the queue's length.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize, usize) {
        (self.datagrams.len(), self.cost, self.order.len())
    }

    /// `frames`: how many the fragment came in; more than one where a tunnel's own packet was in
    /// fragments.
    pub(super) fn push(&mut self, f: &Fragment<'_>, frames: u64) -> Push {
        self.expire(f.carrier.ts);
        let serial = self.serial;
        let datagram = self.datagrams.entry(f.key).or_insert_with(|| {
            self.serial += 1;
            self.cost += Datagram::BASE;
            self.order.push_back((f.key, serial));
            Datagram::new(f.carrier.ts, serial)
        });
        let before = datagram.cost;
        let fit = datagram.insert(f);
        self.cost = self.cost + datagram.cost - before;
        match fit {
            Fit::Nothing => return Push::Copy,
            Fit::Never => {
                let held = self.remove(&f.key).map_or(0, |d| d.frames);
                self.pending -= held;
                return Push::Broken {
                    frames: held + frames,
                };
            }
            Fit::New => {}
        }
        datagram.frames += frames;
        self.pending += frames;
        if let Some(carrier) = datagram.complete() {
            let frames = datagram.frames;
            self.pending -= frames;
            self.whole.clear();
            if let Some(datagram) = self.remove(&f.key) {
                let data = datagram.pieces.iter().map(|p| &*p.data);
                data.for_each(|d| self.whole.extend_from_slice(d));
            }
            return Push::Whole { carrier, frames };
        }
        self.shrink();
        Push::Held
    }

    /// Gives up what has waited too long.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while let Some((key, serial)) = self.order.front().copied() {
            let held = self.datagrams.get(&key).filter(|d| d.serial == serial);
            match held {
                Some(d) if now.since(d.since) < self.settings.patience => break,
                Some(d) => {
                    self.lost.expired += d.frames;
                    self.pending -= d.frames;
                    self.remove(&key);
                }
                None => {}
            }
            self.order.pop_front();
        }
    }

    /// Holds the budget: the oldest datagram goes.
    fn shrink(&mut self) {
        while self.cost > self.settings.max_bytes
            || self.datagrams.len() > self.settings.max_datagrams
        {
            let Some((key, serial)) = self.order.pop_front() else {
                break;
            };
            if self.datagrams.get(&key).is_some_and(|d| d.serial == serial)
                && let Some(d) = self.remove(&key)
            {
                self.lost.evicted += d.frames;
                self.pending -= d.frames;
            }
        }
        // What is gone leaves its place in the queue: bounded too.
        if self.order.len() > 2 * self.settings.max_datagrams {
            let datagrams = &self.datagrams;
            let lives = |(key, serial): &(Key, u64)| {
                datagrams.get(key).is_some_and(|d| d.serial == *serial)
            };
            self.order.retain(lives);
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Datagram> {
        let datagram = self.datagrams.remove(key)?;
        self.cost -= datagram.cost;
        Some(datagram)
    }
}

/// How a piece fits what is there.
enum Fit {
    New,
    Nothing,
    Never,
}

impl Datagram {
    /// What one costs without its pieces: the map's and the queue's part.
    const BASE: usize = size_of::<Self>() + 2 * size_of::<Key>();

    fn new(since: Timestamp, serial: u64) -> Self {
        Self {
            since,
            serial,
            carrier: None,
            pieces: Vec::new(),
            frames: 0,
            bytes: 0,
            cost: Self::BASE,
            total: None,
        }
    }

    fn insert(&mut self, f: &Fragment<'_>) -> Fit {
        let (from, end) = (usize::from(f.offset), usize::from(f.offset) + f.data.len());
        let reach = self.pieces.last().map_or(0, Piece::end);
        let fits = match self.total {
            Some(total) => end <= total && (f.more || end == total),
            None => f.more || reach <= end,
        };
        if !fits || self.pieces.len() >= MAX_PIECES {
            return Fit::Never;
        }
        let at = self.pieces.partition_point(|p| p.end() <= from);
        let overlaps = self
            .pieces
            .get(at)
            .is_some_and(|p| usize::from(p.offset) < end);
        let copy = self
            .pieces
            .get(at)
            .is_some_and(|p| p.offset == f.offset && *p.data == *f.data);
        if copy {
            return Fit::Nothing;
        }
        if overlaps && f.key.src.is_ipv6() {
            return Fit::Never;
        }
        if f.offset == 0 {
            self.carrier.get_or_insert(f.carrier);
        }
        // A last piece whose bytes are all there still tells the end.
        let ends = !f.more && self.total.is_none();
        if ends {
            self.total = Some(end);
        }
        if self.fill(at, from, end, f.data) || ends {
            Fit::New
        } else {
            Fit::Nothing
        }
    }

    /// Takes what of `[from, end)` is not there yet.
    fn fill(&mut self, mut at: usize, mut from: usize, end: usize, data: &[u8]) -> bool {
        let start = from;
        let mut new = false;
        while from < end {
            let (until, resume) = match self.pieces.get(at) {
                Some(p) if usize::from(p.offset) < end => {
                    (usize::from(p.offset).max(from), p.end())
                }
                _ => (end, end),
            };
            if until > from {
                let data: Box<[u8]> = data[from - start..until - start].into();
                self.bytes += data.len();
                self.cost += Piece::cost(data.len());
                // Below 64 KiB, as the caller has checked.
                let offset = from as u16;
                self.pieces.insert(at, Piece { offset, data });
                at += 1;
                new = true;
            }
            from = until.max(resume);
            at += 1;
        }
        new
    }

    fn complete(&self) -> Option<Carrier> {
        let whole = self.total.is_some_and(|total| self.bytes == total);
        self.carrier.filter(|_| whole)
    }
}
