//! What each tap shows: frames and bytes by what became of them, by interface and by overlay
//! network. Plain counters, no lock, no allocation per packet; [`super::doctor`] reads them.
//!
//! A *tap* is one interface of one source. Frames are counted on the source's thread
//! ([`Frames`]); what only whole flows can tell is counted in the workers ([`Flows`]). Both only
//! grow, so the difference of two readings is what happened between them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::checks::{Checks, Checksums};
use crate::capture::Frame;
use crate::decode::{Answer, Decoded, Ignored, Malformed, Segment, Tunnel};
use crate::time::Timestamp;

/// Taps counted by themselves; the last one takes all the rest. A pcapng file may describe 65,535
/// interfaces.
pub(super) const MAX_TAPS: usize = 64;

/// Overlay networks counted by themselves; the rest are counted as one. Whoever can send into the
/// mirror can name 2^24 of them.
pub(super) const MAX_NETWORKS: usize = 256;

/// Protocols named by number, per tap.
const MAX_DETAILS: usize = 16;

/// Payload of a segment that no Ethernet of 1,500 bytes carries.
const LARGE: usize = 1_500;

/// Payload that not even jumbo frames carry: segments were merged (GRO, LRO) or not yet cut (TSO).
const MERGED: usize = 9_216;

/// Frames and their bytes on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Volume {
    pub frames: u64,
    pub bytes: u64,
}

impl Volume {
    fn count(&mut self, bytes: u64) {
        self.frames += 1;
        self.bytes += bytes;
    }

    pub(super) fn each(&mut self, other: &Self, f: fn(u64, u64) -> u64) {
        self.frames = f(self.frames, other.frames);
        self.bytes = f(self.bytes, other.bytes);
    }
}

/// TCP segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Segments {
    pub segments: u64,
    /// Those with payload.
    pub data: u64,
    /// Payload bytes on the wire.
    pub bytes: u64,
    /// Segments whose payload the snap length cut, and the bytes it cost.
    pub cut: u64,
    pub cut_bytes: u64,
    /// Larger than an MTU of 1,500.
    pub large: u64,
    /// Larger than any frame.
    pub merged: u64,
}

impl Segments {
    fn count(&mut self, s: &Segment<'_>) {
        let length = s.payload.len() + s.missing as usize;
        self.segments += 1;
        self.data += u64::from(length > 0);
        self.bytes += length as u64;
        self.cut += u64::from(s.missing > 0);
        self.cut_bytes += u64::from(s.missing);
        self.large += u64::from(length > LARGE);
        self.merged += u64::from(length > MERGED);
    }

    pub(super) fn each(&mut self, other: &Self, f: fn(u64, u64) -> u64) {
        for (mine, theirs) in [
            (&mut self.segments, other.segments),
            (&mut self.data, other.data),
            (&mut self.bytes, other.bytes),
            (&mut self.cut, other.cut),
            (&mut self.cut_bytes, other.cut_bytes),
            (&mut self.large, other.large),
            (&mut self.merged, other.merged),
        ] {
            *mine = f(*mine, theirs);
        }
    }
}

/// The clock of one tap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Clock {
    /// Frames whose time stamp is before that of the frame before them.
    pub backward: u64,
    /// The farthest back, in nanoseconds; never taken apart by time.
    pub farthest: u64,
    #[serde(skip)]
    last: Timestamp,
}

/// The frames of one tap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    pub all: Volume,
    /// Frames that the snap length cut, and the bytes it cost.
    pub cut: Volume,
    pub segments: Segments,
    pub clock: Clock,
    pub checks: Checks,
    ignored: [Volume; Ignored::ALL.len()],
    malformed: [Volume; Malformed::ALL.len()],
    tunnels: [Volume; Tunnel::ALL.len()],
    /// What was not read, by number (EtherType, IP protocol, UDP port, link type).
    details: Vec<(Ignored, u16, Volume)>,
}

impl Frames {
    fn count(&mut self, frame: &Frame<'_>, answer: &Answer<'_>) {
        let wire = u64::from(frame.wire_len).max(frame.data.len() as u64);
        self.all.count(wire);
        if frame.data.len() as u64 != wire {
            self.cut.count(wire - frame.data.len() as u64);
        }
        let Clock {
            backward,
            farthest,
            last,
        } = &mut self.clock;
        if frame.ts < *last {
            *backward += 1;
            let step = u64::try_from(last.since(frame.ts).as_nanos()).unwrap_or(u64::MAX);
            *farthest = step.max(*farthest);
        }
        *last = frame.ts;
        if !answer.tunnels.is_empty() {
            let through = Tunnel::ALL.into_iter().filter(|t| answer.tunnels.has(*t));
            through.for_each(|t| self.tunnels[t as usize].count(wire));
        }
        match &answer.decoded {
            Decoded::Segment(segment) => self.segments.count(segment),
            // Its first packets are looked at, and no more can be.
            Decoded::Datagram(_) => self.ignored[Ignored::Quic as usize].count(wire),
            Decoded::Ignored(reason) => {
                self.ignored[*reason as usize].count(wire);
                if answer.detail > 0 {
                    self.detail(*reason, answer.detail, wire);
                }
            }
            Decoded::Malformed(reason) => self.malformed[*reason as usize].count(wire),
            Decoded::Held => {}
        }
    }

    fn detail(&mut self, reason: Ignored, detail: u16, wire: u64) {
        let known = self
            .details
            .iter()
            .position(|(r, d, _)| (*r, *d) == (reason, detail));
        let at = known.unwrap_or_else(|| {
            if self.details.len() < MAX_DETAILS {
                self.details.push((reason, detail, Volume::default()));
            }
            self.details.len() - 1
        });
        // Past the bound the numbers are not told apart; the reason's own volume is whole.
        if (self.details[at].0, self.details[at].1) == (reason, detail) {
            self.details[at].2.count(wire);
        }
    }

    pub fn ignored(&self, reason: Ignored) -> Volume {
        self.ignored[reason as usize]
    }

    pub fn malformed(&self, reason: Malformed) -> Volume {
        self.malformed[reason as usize]
    }

    /// What was ignored, by reason.
    pub fn all_ignored(&self) -> impl Iterator<Item = (Ignored, Volume)> {
        let all = Ignored::ALL.into_iter().zip(self.ignored);
        all.filter(|(_, v)| v.frames > 0)
    }

    pub fn all_malformed(&self) -> impl Iterator<Item = (Malformed, Volume)> {
        let all = Malformed::ALL.into_iter().zip(self.malformed);
        all.filter(|(_, v)| v.frames > 0)
    }

    /// Frames that came through tunnels, by kind; one that came through two is in both.
    pub fn all_tunnels(&self) -> impl Iterator<Item = (Tunnel, Volume)> {
        let all = Tunnel::ALL.into_iter().zip(self.tunnels);
        all.filter(|(_, v)| v.frames > 0)
    }

    /// The numbers that were met under a reason, the most bytes first.
    pub fn details(&self, reason: Ignored) -> Vec<(u16, Volume)> {
        let mut all: Vec<_> = self
            .details
            .iter()
            .filter(|(r, _, v)| *r == reason && v.frames > 0)
            .map(|(_, d, v)| (*d, *v))
            .collect();
        all.sort_by_key(|(d, v)| (std::cmp::Reverse(v.bytes), *d));
        all
    }

    pub(super) fn each(&mut self, other: &Self, f: fn(u64, u64) -> u64) {
        self.all.each(&other.all, f);
        self.cut.each(&other.cut, f);
        self.segments.each(&other.segments, f);
        self.checks.each(&other.checks, f);
        self.clock.backward = f(self.clock.backward, other.clock.backward);
        for (mine, theirs) in self.ignored.iter_mut().zip(&other.ignored) {
            mine.each(theirs, f);
        }
        for (mine, theirs) in self.malformed.iter_mut().zip(&other.malformed) {
            mine.each(theirs, f);
        }
        for (mine, theirs) in self.tunnels.iter_mut().zip(&other.tunnels) {
            mine.each(theirs, f);
        }
        for (reason, detail, mine) in &mut self.details {
            let theirs = other
                .details
                .iter()
                .find(|(r, d, _)| r == reason && d == detail);
            if let Some((_, _, theirs)) = theirs {
                mine.each(theirs, f);
            }
        }
    }
}

/// The taps of one source, by its own number of the interface, and the overlays that they carry.
#[derive(Clone, Debug, Default)]
pub struct SourceTaps {
    pub taps: Vec<Frames>,
    pub networks: Networks<Segments>,
}

impl SourceTaps {
    /// The place of an interface.
    pub(super) fn index(interface: u16) -> usize {
        usize::from(interface).min(MAX_TAPS - 1)
    }

    /// Counts a frame; a segment with a wrong checksum becomes malformed, where that is enforced.
    pub(super) fn count(
        &mut self,
        frame: &Frame<'_>,
        answer: &mut Answer<'_>,
        checksums: Checksums,
    ) {
        let at = Self::index(frame.interface);
        if at >= self.taps.len() {
            self.taps.resize_with(at + 1, Frames::default);
        }
        let tap = &mut self.taps[at];
        if let Decoded::Segment(segment) = &answer.decoded
            && tap.checks.refuses(segment, checksums)
        {
            answer.decoded = Decoded::Malformed(Malformed::Checksum);
        }
        tap.count(frame, answer);
        if let Decoded::Segment(segment) = &answer.decoded
            && let Some(vni) = segment.network.vni
        {
            self.networks.of(vni).count(segment);
        }
    }
}

/// Something by overlay network, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks<T> {
    pub by_vni: BTreeMap<u32, T>,
    /// Of all networks past the bound.
    pub others: T,
}

impl<T: Default> Networks<T> {
    pub(super) fn of(&mut self, vni: u32) -> &mut T {
        if self.by_vni.len() < MAX_NETWORKS || self.by_vni.contains_key(&vni) {
            self.by_vni.entry(vni).or_default()
        } else {
            &mut self.others
        }
    }

    /// Every network's, `None` for the rest.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Option<u32>, &T)> {
        let named = self.by_vni.iter().map(|(vni, t)| (Some(*vni), t));
        named.chain([(None, &self.others)])
    }

    pub(super) fn at(&mut self, vni: Option<u32>) -> &mut T {
        match vni {
            Some(vni) => self.of(vni),
            None => &mut self.others,
        }
    }
}

/// What whole flows say of a tap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Flows {
    /// Flows with data of which both sides were seen.
    pub both: u64,
    /// Flows in which data was acknowledged of a side that was never seen.
    pub one_way: u64,
    /// Segments with data of such flows.
    pub blind: u64,
    /// Bytes that were acknowledged and never seen, of sides that were.
    pub lost_bytes: u64,
    /// Segments with data that came again as they were, and of those the ones that another tap had
    /// brought before.
    pub copies: u64,
    pub copies_across: u64,
}

impl Flows {
    pub(super) fn each(&mut self, other: &Self, f: fn(u64, u64) -> u64) {
        for (mine, theirs) in [
            (&mut self.both, other.both),
            (&mut self.one_way, other.one_way),
            (&mut self.blind, other.blind),
            (&mut self.lost_bytes, other.lost_bytes),
            (&mut self.copies, other.copies),
            (&mut self.copies_across, other.copies_across),
        ] {
            *mine = f(*mine, theirs);
        }
    }
}
