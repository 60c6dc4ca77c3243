//! The flight recorder of one source: its last packets, and whoever wants some of them later.
//!
//! It belongs to the source's thread. Wishes come by a channel, which is looked at between two
//! batches; a search takes a limited number of frames at a time, so that capture is never held up,
//! and what is written over meanwhile is missed and counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use crossbeam_channel::{Receiver, Sender, bounded};
use ipnet::IpNet;

use super::Settings;
use super::intake::same_network;
use crate::capture::{Cursor, Frame, LinkType, Ring};
use crate::decode::{DatagramKey, Decoded, Decoder, Segment};
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// Frames that a search looks at between two batches: some hundred microseconds.
const STEP: usize = 1_024;
/// Wishes that wait for a source.
const WISHES: usize = 16;
/// Pieces of datagrams that wait for the rest, over all datagrams.
const MAX_PIECES: usize = 4_096;

/// Off where the ring has no bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecorderSettings {
    /// Of one source.
    pub ring: usize,
    pub snap_length: usize,
}

/// Whose packets are wanted: what is none may be anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Talk {
    pub client: Option<IpNet>,
    pub server: Option<IpAddr>,
    pub port: Option<u16>,
    pub vni: Option<u32>,
}

#[derive(Clone, Debug)]
pub struct Wish {
    pub talks: Vec<Talk>,
    /// Packets from then on, up to the moment at which the source hears of it.
    pub from: Timestamp,
    /// Bytes of packets that are taken at most: the oldest.
    pub max_bytes: usize,
    pub reply: Sender<Found>,
}

/// What one source had.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub interfaces: Vec<(String, LinkType)>,
    /// In the order of capture.
    pub frames: Vec<Kept>,
    pub bytes: Vec<u8>,
    /// Frames that were written over before they were looked at.
    pub missed: u64,
    /// There was more than the limit.
    pub cut: bool,
}

/// A frame; its bytes lie in [`Found`].
#[derive(Clone, Debug)]
pub struct Kept {
    pub ts: Timestamp,
    pub wire_len: u32,
    /// Which of the interfaces found.
    pub interface: u16,
    pub data: Range<usize>,
}

pub(super) struct Recorder {
    ring: Ring,
    wishes: Receiver<Wish>,
    search: Option<Search>,
    settings: Settings,
}

impl Recorder {
    /// `None` where nothing is to be recorded.
    pub(super) fn new(settings: &Settings) -> Option<(Self, Sender<Wish>)> {
        let RecorderSettings { ring, snap_length } = settings.recorder;
        if ring == 0 {
            return None;
        }
        let (wish, wishes) = bounded(WISHES);
        let recorder = Self {
            ring: Ring::new(ring, snap_length),
            wishes,
            search: None,
            settings: settings.clone(),
        };
        Some((recorder, wish))
    }

    pub(super) fn keep(&mut self, frame: &Frame<'_>) {
        self.ring.push(frame);
    }

    /// Goes on with a search, or begins one that is wished for. `name` tells interfaces' names.
    pub(super) fn serve(&mut self, name: impl Fn(u16) -> String) {
        if self.search.is_none() {
            let wish = self.wishes.try_recv().ok();
            self.search = wish.map(|wish| Search::new(wish, &self.ring, &self.settings));
        }
        if let Some(search) = &mut self.search
            && search.step(&self.ring, STEP)
            && let Some(search) = self.search.take()
        {
            search.answer(name);
        }
    }

    /// The source is over: what is wished for by now is answered.
    pub(super) fn end(&mut self, name: impl Fn(u16) -> String + Copy) {
        while self.search.is_some() || !self.wishes.is_empty() {
            self.serve(name);
        }
    }
}

struct Search {
    wish: Wish,
    cursor: Cursor,
    /// Serial number of the frame that is looked at next, and of the first that is not looked at.
    next: u64,
    end: u64,
    decoder: Decoder,
    /// VNIs that are one network with another.
    same_network: Vec<(u32, u32)>,
    /// Pieces of datagrams whose other pieces were not met yet.
    pieces: HashMap<DatagramKey, Vec<Piece>>,
    waiting: usize,
    /// Interfaces as the source numbers them.
    interfaces: Vec<(u16, LinkType)>,
    found: Found,
}

impl Search {
    fn new(wish: Wish, ring: &Ring, settings: &Settings) -> Self {
        let Settings {
            ports, fragments, ..
        } = settings.clone();
        let cursor = ring.cursor();
        Self {
            wish,
            cursor,
            next: ring.serials().start,
            end: ring.serials().end,
            decoder: Decoder::new(ports, fragments, 0),
            same_network: same_network(&settings.same_network),
            pieces: HashMap::new(),
            waiting: 0,
            interfaces: Vec::new(),
            found: Found::default(),
        }
    }

    /// Looks at so many frames; true when it is done.
    fn step(&mut self, ring: &Ring, frames: usize) -> bool {
        for _ in 0..frames {
            let Some((serial, frame)) = ring.read(&mut self.cursor) else {
                return true;
            };
            self.found.missed += serial.min(self.end).saturating_sub(self.next);
            self.next = serial + 1;
            if serial >= self.end || self.found.cut {
                return true;
            }
            if frame.ts >= self.wish.from {
                self.look(&frame);
            }
        }
        false
    }

    fn look(&mut self, frame: &Frame<'_>) {
        let answer = self.decoder.decode(frame);
        let whole = answer.frames > 1;
        let wanted = match answer.decoded {
            Decoded::Held => {
                self.wait(frame);
                return;
            }
            Decoded::Segment(segment) => self
                .wish
                .talks
                .iter()
                .any(|talk| talk.is_of(&segment, &self.same_network)),
            _ => false,
        };
        // A datagram is wanted with all of its pieces, or with none.
        if whole && let Some(key) = self.decoder.piece(frame) {
            let pieces = self.pieces.remove(&key).unwrap_or_default();
            self.waiting -= pieces.len();
            for piece in pieces.iter().filter(|_| wanted) {
                self.keep(&piece.frame());
            }
        }
        if wanted {
            self.keep(frame);
        }
    }

    fn wait(&mut self, frame: &Frame<'_>) {
        if let Some(key) = self.decoder.piece(frame)
            && self.waiting < MAX_PIECES
        {
            self.waiting += 1;
            self.pieces.entry(key).or_default().push(Piece::of(frame));
        }
    }

    fn keep(&mut self, frame: &Frame<'_>) {
        let found = &mut self.found;
        if found.bytes.len() + frame.data.len() > self.wish.max_bytes {
            found.cut = true;
            return;
        }
        let own = (frame.interface, frame.link);
        let known = self.interfaces.iter().position(|i| *i == own);
        let interface = known.unwrap_or_else(|| {
            self.interfaces.push(own);
            self.interfaces.len() - 1
        });
        let start = found.bytes.len();
        found.bytes.extend_from_slice(frame.data);
        found.frames.push(Kept {
            ts: frame.ts,
            wire_len: frame.wire_len,
            // There are no more than the source has, which 16 bits number.
            interface: interface as u16,
            data: start..found.bytes.len(),
        });
    }

    fn answer(mut self, name: impl Fn(u16) -> String) {
        let named = self.interfaces.iter().map(|(i, link)| (name(*i), *link));
        self.found.interfaces = named.collect();
        // Who asked may have stopped waiting.
        let _ = self.wish.reply.send(self.found);
    }
}

/// A piece of a datagram, on its own.
struct Piece {
    ts: Timestamp,
    link: LinkType,
    wire_len: u32,
    interface: u16,
    data: Box<[u8]>,
}

impl Piece {
    fn of(frame: &Frame<'_>) -> Self {
        Self {
            ts: frame.ts,
            link: frame.link,
            wire_len: frame.wire_len,
            interface: frame.interface,
            data: frame.data.into(),
        }
    }

    fn frame(&self) -> Frame<'_> {
        Frame {
            ts: self.ts,
            link: self.link,
            data: &self.data,
            wire_len: self.wire_len,
            interface: self.interface,
        }
    }
}

impl Talk {
    /// Of either direction.
    fn is_of(&self, s: &Segment<'_>, same_network: &[(u32, u32)]) -> bool {
        let one = |vni: u32| {
            let same = same_network.iter().find(|(other, _)| *other == vni);
            same.map_or(vni, |(_, first)| *first)
        };
        if self
            .vni
            .is_some_and(|vni| s.network.vni.map(one) != Some(one(vni)))
        {
            return false;
        }
        let is = |client: IpAddr, server: (IpAddr, u16)| {
            self.client.is_none_or(|net| net.contains(&client))
                && self.server.is_none_or(|ip| ip == server.0)
                && self.port.is_none_or(|port| port == server.1)
        };
        is(s.src, (s.dst, s.dst_port)) || is(s.dst, (s.src, s.src_port))
    }
}
