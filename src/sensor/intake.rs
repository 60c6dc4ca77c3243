//! Frames to segments, on the thread of the source: decode, count, keep the clock, spread.

use std::time::Duration;

use super::tap::SourceTaps;
use super::{Checksums, Own, Settings, TICK};
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
    /// Of apitap's own.
    own: u64,
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
    /// Frames that others sent: apitap's own are no sign of life.
    pub fn foreign(&self) -> u64 {
        self.frames - self.own
    }

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
        let ignored = ignored.chain([incomplete, ("own_traffic", self.own)]);
        stage.ignored = ignored.filter(|(_, n)| *n > 0).collect();
        let malformed = Malformed::ALL
            .iter()
            .zip(self.malformed)
            .map(|(reason, n)| (reason.name(), n));
        stage.malformed = malformed.filter(|(_, n)| *n > 0).collect();
        stage
    }
}

/// A stamp this far ahead of the clock is believed once the next frame has one like it: a single
/// forged or damaged stamp must not end every flow.
const LEAP: Duration = Duration::from_secs(3_600);

/// The front of one source.
#[derive(Debug)]
pub struct Intake {
    seed: u64,
    decoder: Decoder,
    /// The latest packet time so far: the clock never goes back, whatever the stamps do.
    now: Timestamp,
    next_tick: Timestamp,
    /// A stamp far ahead that waits to be borne out.
    ahead: Option<Timestamp>,
    /// VNIs that are one network with another, and which.
    same_network: Vec<(u32, u32)>,
    counters: FrameCounters,
    taps: SourceTaps,
    /// Of the source's first tap.
    first_tap: u32,
    own: Own,
    checksums: Checksums,
}

impl Intake {
    pub fn new(settings: &Settings) -> Self {
        let Settings {
            ports,
            fragments,
            seed,
            own,
            checksums,
            ..
        } = settings;
        Self {
            seed: *seed,
            decoder: Decoder::new(ports.clone(), fragments.clone(), *seed),
            now: Timestamp::MIN,
            next_tick: Timestamp::MIN,
            ahead: None,
            same_network: same_network(&settings.same_network),
            counters: FrameCounters::default(),
            taps: SourceTaps::default(),
            first_tap: 0,
            own: own.clone(),
            checksums: *checksums,
        }
    }

    /// Of the source with this number: it tells whose interfaces the taps are.
    pub(super) fn of_source(mut self, source: usize) -> Self {
        self.first_tap = u32::from(u16::try_from(source).unwrap_or(u16::MAX)) << 16;
        self
    }

    pub fn taps(&self) -> &SourceTaps {
        &self.taps
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
        if self.borne_out(frame.ts) {
            self.tick(frame.ts, route);
        }
        let mut answer = self.decoder.decode(frame);
        self.taps.count(frame, &mut answer, self.checksums);
        match &mut answer.decoded {
            Decoded::Segment(segment) if self.own.is_segment(segment) => {
                self.counters.own += answer.frames;
            }
            Decoded::Segment(segment) => {
                segment.tap = self.first_tap + SourceTaps::index(frame.interface) as u32;
                if let Some(zone) = &mut segment.network.zone
                    && let Some((_, one)) = self.same_network.iter().find(|(vni, _)| vni == zone)
                {
                    *zone = *one;
                }
                self.counters.segments += answer.frames;
                let key = FlowKey::of(segment);
                route.segment(segment, key, key.0.hash(self.seed), self.now);
            }
            Decoded::Datagram(d) => {
                self.counters.datagrams += answer.frames;
                let (src, dst) = ((d.src, d.src_port), (d.dst, d.dst_port));
                let key = FlowKey::between(src, dst, d.network.zone);
                route.datagram(d, key, key.0.hash(self.seed), self.now);
            }
            // The enums are without data and ALL holds them in order.
            Decoded::Ignored(reason) => self.counters.ignored[*reason as usize] += answer.frames,
            Decoded::Malformed(reason) => {
                self.counters.malformed[*reason as usize] += answer.frames;
            }
            Decoded::Held => {}
        }
    }

    /// The source is over: fragments that still wait will never be whole.
    pub fn end(&mut self) {
        self.decoder.tick(Timestamp::MAX);
    }

    fn borne_out(&mut self, ts: Timestamp) -> bool {
        if self.now == Timestamp::MIN || ts.since(self.now) <= LEAP {
            self.ahead = None;
            return true;
        }
        let before = self.ahead.replace(ts);
        before.is_some_and(|b| ts.apart(b) <= LEAP)
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

/// Each VNI of a list stands for the first.
pub(super) fn same_network(lists: &[Vec<u32>]) -> Vec<(u32, u32)> {
    let pairs = |list: &Vec<u32>| {
        let first = list.first().copied();
        let rest = list.clone().into_iter().skip(1);
        rest.filter_map(move |vni| Some((vni, first?)))
    };
    lists.iter().flat_map(pairs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Clock(Vec<i64>);

    impl Route for Clock {
        fn segment(&mut self, _: &Segment<'_>, _: (FlowKey, bool), _: u64, now: Timestamp) {
            self.0.push(now.secs());
        }

        fn datagram(&mut self, _: &Datagram<'_>, _: (FlowKey, bool), _: u64, _: Timestamp) {}

        fn tick(&mut self, _: Timestamp) {}
    }

    #[test]
    fn one_stamp_far_ahead_does_not_move_the_clock_and_two_do() {
        let mut intake = Intake::new(&Settings::default());
        let mut seen = Vec::new();
        for secs in [10, 11, 90_000, 12, 90_000, 90_001, 90_002] {
            intake.take(&frame(secs, &[]), &mut Clock::default());
            seen.push(intake.now().secs());
        }
        assert_eq!(seen, [10, 11, 11, 12, 12, 90_001, 90_002]);
    }

    #[test]
    fn networks_that_are_one_share_a_number() {
        let pairs = same_network(&[vec![7, 8, 9], vec![], vec![20, 21]]);
        assert_eq!(pairs, [(8, 7), (9, 7), (21, 20)]);
    }

    fn frame(secs: i64, data: &[u8]) -> Frame<'_> {
        Frame {
            ts: Timestamp::from_secs(secs),
            link: crate::capture::LinkType::ETHERNET,
            data,
            wire_len: data.len() as u32,
            interface: 0,
        }
    }

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
