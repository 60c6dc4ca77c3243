//! Frames to segments, on the thread of the source: decode, count, keep the clock, spread.

use super::{Settings, TICK};
use crate::capture::Frame;
use crate::decode::{Datagram, Decoded, Decoder, Ignored, Malformed, Segment};
use crate::flow::FlowKey;
use crate::sensor::ledger::Stage;
use crate::time::Timestamp;

/// Where segments go: into a worker at hand, or to threads.
pub trait Route {
    fn segment(&mut self, segment: &Segment<'_>, key: (FlowKey, bool), hash: u64, now: Timestamp);

    fn datagram(
        &mut self,
        datagram: &Datagram<'_>,
        key: (FlowKey, bool),
        hash: u64,
        now: Timestamp,
    );

    fn tick(&mut self, now: Timestamp);
}

/// Every frame in one of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounters {
    pub frames: u64,
    pub bytes: u64,
    pub segments: u64,
    /// Of QUIC, as far as looks go.
    pub datagrams: u64,
    ignored: [u64; Ignored::ALL.len()],
    malformed: [u64; Malformed::ALL.len()],
    /// Fragments that waited for the rest of their datagram too long.
    expired: u64,
    /// Fragments put out by the budget.
    evicted: u64,
    /// Fragments that wait.
    pending: u64,
}

impl FrameCounters {
    pub fn stage(&self) -> Stage {
        let mut stage = Stage {
            received: self.frames,
            analysed: self.segments + self.datagrams,
            pending: self.pending,
            ..Stage::default()
        };
        if self.evicted > 0 {
            stage.shed.insert("ip_fragment_budget", self.evicted);
        }
        let ignored = Ignored::ALL
            .iter()
            .zip(self.ignored)
            .map(|(reason, n)| (reason.name(), n));
        let incomplete = ("ip_fragment_incomplete", self.expired);
        let ignored = ignored.chain([incomplete]);
        stage.ignored = ignored.filter(|(_, n)| *n > 0).collect();
        let malformed = Malformed::ALL
            .iter()
            .zip(self.malformed)
            .map(|(reason, n)| (reason.name(), n));
        stage.malformed = malformed.filter(|(_, n)| *n > 0).collect();
        stage
    }
}

/// The front of one source.
#[derive(Debug)]
pub struct Intake {
    seed: u64,
    decoder: Decoder,
    /// The latest packet time so far: the clock never goes back, whatever the stamps do.
    now: Timestamp,
    next_tick: Timestamp,
    counters: FrameCounters,
}

impl Intake {
    pub fn new(settings: &Settings) -> Self {
        let Settings {
            ports,
            fragments,
            seed,
            ..
        } = settings;
        Self {
            seed: *seed,
            decoder: Decoder::new(ports.clone(), fragments.clone(), *seed),
            now: Timestamp::MIN,
            next_tick: Timestamp::MIN,
            counters: FrameCounters::default(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn counters(&self) -> FrameCounters {
        let (expired, evicted) = self.decoder.given_up();
        FrameCounters {
            expired,
            evicted,
            pending: self.decoder.pending(),
            ..self.counters
        }
    }

    pub fn take(&mut self, frame: &Frame<'_>, route: &mut impl Route) {
        self.counters.frames += 1;
        self.counters.bytes += frame.data.len() as u64;
        self.tick(frame.ts, route);
        let answer = self.decoder.decode(frame);
        match answer.decoded {
            Decoded::Segment(segment) => {
                self.counters.segments += answer.frames;
                let key = FlowKey::of(&segment);
                route.segment(&segment, key, key.0.hash(self.seed), self.now);
            }
            Decoded::Datagram(d) => {
                self.counters.datagrams += answer.frames;
                let (src, dst) = ((d.src, d.src_port), (d.dst, d.dst_port));
                let key = FlowKey::between(src, dst, d.network.zone);
                route.datagram(&d, key, key.0.hash(self.seed), self.now);
            }
            // The enums are without data and ALL holds them in order.
            Decoded::Ignored(reason) => self.counters.ignored[reason as usize] += answer.frames,
            Decoded::Malformed(reason) => self.counters.malformed[reason as usize] += answer.frames,
            Decoded::Held => {}
        }
    }

    /// Moves the clock; ticks lie on a fixed grid, so that they fall between the same packets
    /// whoever counts.
    pub fn tick(&mut self, now: Timestamp, route: &mut impl Route) {
        if now <= self.now {
            return;
        }
        self.now = now;
        if now >= self.next_tick {
            let grid = TICK.as_nanos() as i64;
            self.next_tick =
                Timestamp((now.nanos().div_euclid(grid).saturating_add(1)).saturating_mul(grid));
            self.decoder.tick(now);
            route.tick(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stand_at_their_own_place() {
        for (i, reason) in Ignored::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, i);
        }
        for (i, reason) in Malformed::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, i);
        }
    }
}
