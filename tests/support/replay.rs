//! Packets through the whole sensor, and what of the exchanges must not change however the packets
//! came.
// Each test uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use apitap::capture::{Frame, LinkType, Polled, Source, SourceError};
use apitap::compose::Packet;
use apitap::exchange::{Exchange, Session};
use apitap::sensor::{Inline, Ledger, Record, Settings, Status};
use apitap::time::Timestamp;

/// The two ends of a connection, the lower first.
pub type Ends = ((IpAddr, u16), (IpAddr, u16));

pub struct Outcome {
    /// By connection, in order of completion. Times are taken out: a transformation may delay.
    pub flows: BTreeMap<Ends, Vec<Exchange>>,
    /// What long-lived connections carried, likewise.
    pub sessions: BTreeMap<Ends, Vec<Session>>,
    pub vnis: Vec<Option<u32>>,
    pub ledger: Ledger,
    pub status: Status,
    pub errors: usize,
}

impl Outcome {
    pub fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.flows.values().flatten()
    }
}

/// What is compared: all but `ts`, `end` and the times between (they move with the packets), and
/// the overlay's number (it comes with the wrapping, and is compared by itself).
fn timeless(mut x: Exchange) -> Exchange {
    (x.ts, x.end) = (Timestamp(0), Timestamp(0));
    x.latency_ms = None;
    x.vni = None;
    x
}

pub fn replay(source: &mut dyn Source) -> Outcome {
    let mut sensor = Inline::new(&Settings::default());
    let (mut flows, mut vnis) = (BTreeMap::<Ends, Vec<Exchange>>::new(), Vec::new());
    let mut sessions = BTreeMap::<Ends, Vec<Session>>::new();
    let mut take = |records: Vec<Record>| {
        for record in records {
            let x = *record.exchange;
            let (a, b) = ((x.client, x.client_port), (x.server, x.server_port));
            let ends = (a.min(b), a.max(b));
            if let Some(mut session) = x.session {
                session.opened = Timestamp(0);
                sessions.entry(ends).or_default().push(*session);
                continue;
            }
            vnis.push(x.vni);
            flows.entry(ends).or_default().push(timeless(x));
        }
    };
    let mut errors = 0;
    loop {
        match sensor.poll(source) {
            Ok(Polled::End) => break,
            Ok(_) => {}
            Err(_) => errors += 1,
        }
        take(sensor.ready());
    }
    take(sensor.finish());
    let (ledger, status) = (sensor.ledger(), sensor.status());
    assert!(ledger.balanced(), "{}", ledger.to_json());
    Outcome {
        flows,
        sessions,
        vnis,
        ledger,
        status,
        errors,
    }
}

pub fn frames(link: LinkType, packets: &[Packet]) -> Outcome {
    replay(&mut Playback {
        link,
        packets: packets.iter(),
    })
}

pub fn ethernet(packets: &[Packet]) -> Outcome {
    frames(LinkType::ETHERNET, packets)
}

struct Playback<'a> {
    link: LinkType,
    packets: std::slice::Iter<'a, Packet>,
}

impl Source for Playback<'_> {
    fn name(&self) -> &str {
        "playback"
    }

    fn poll(
        &mut self,
        _: Duration,
        sink: &mut dyn FnMut(Frame<'_>),
    ) -> Result<Polled, SourceError> {
        let mut any = false;
        for p in self.packets.by_ref().take(64) {
            any = true;
            sink(Frame {
                ts: p.ts,
                link: self.link,
                data: &p.data,
                wire_len: p.data.len() as u32,
                interface: 0,
            });
        }
        Ok(if any { Polled::Frames } else { Polled::End })
    }
}

/// Small and deterministic (xorshift64*).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// Below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}
