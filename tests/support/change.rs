//! What mirrors, networks and clouds do to packets without changing what was said.
// Each test uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::time::Duration;

use apitap::compose::Packet;
use apitap::compose::tunnel;

use super::replay::{Ends, Rng};

/// Packets that overtake each other are no further apart: well inside the reassembler's patience.
const WINDOW: Duration = Duration::from_millis(400);

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
const PSH: u8 = 8;
pub const URG: u8 = 32;

/// A TCP segment taken apart; whole, no fragment, without extension headers.
#[derive(Clone, Debug)]
pub struct Segment {
    pub link: Vec<u8>,
    pub ip: Vec<u8>,
    pub tcp: Vec<u8>,
    pub payload: Vec<u8>,
}

fn be16(b: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([b[at], b[at + 1]]))
}

impl Segment {
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let sliced = etherparse::SlicedPacket::from_ethernet(frame).ok()?;
        let Some(etherparse::TransportSlice::Tcp(_)) = sliced.transport else {
            return None;
        };
        let mut at = 12;
        while matches!(frame.get(at..at + 2)?, [0x81, 0] | [0x88, 0xa8] | [0x91, 0]) {
            at += 4;
        }
        at += 2;
        let (link, packet) = frame.split_at(at);
        let (head, total) = match packet.first()? >> 4 {
            4 if packet[9] == 6 && packet[6] & 0x3f == 0 && packet[7] == 0 => {
                (usize::from(packet[0] & 15) * 4, be16(packet, 2))
            }
            6 if packet[6] == 6 => (40, 40 + be16(packet, 4)),
            _ => return None,
        };
        let (ip, rest) = packet.get(..total)?.split_at_checked(head)?;
        let (tcp, payload) = rest.split_at_checked(usize::from(rest.get(12)? >> 4) * 4)?;
        Some(Self {
            link: link.to_vec(),
            ip: ip.to_vec(),
            tcp: tcp.to_vec(),
            payload: payload.to_vec(),
        })
    }

    /// Lengths and checksums made right.
    pub fn build(&self) -> Vec<u8> {
        let (mut ip, mut tcp) = (self.ip.clone(), self.tcp.clone());
        let length = tcp.len() + self.payload.len();
        let addresses = if ip[0] >> 4 == 4 {
            let total = (ip.len() + length) as u16;
            ip[2..4].copy_from_slice(&total.to_be_bytes());
            ip[10..12].fill(0);
            let sum = fold(words(&ip));
            ip[10..12].copy_from_slice(&(!sum).to_be_bytes());
            &ip[12..20]
        } else {
            ip[4..6].copy_from_slice(&(length as u16).to_be_bytes());
            &ip[8..40]
        };
        tcp[16..18].fill(0);
        let sum = words(addresses) + 6 + length as u64 + words(&tcp) + words(&self.payload);
        let sum = !fold(sum);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        [&self.link[..], &ip, &tcp, &self.payload].concat()
    }

    pub fn ends(&self) -> Ends {
        let (a, b) = self.way();
        (a.min(b), a.max(b))
    }

    /// From where to where.
    pub fn way(&self) -> Ends {
        let (src, dst): (std::net::IpAddr, std::net::IpAddr) = if self.ip[0] >> 4 == 4 {
            let four = |at: usize| <[u8; 4]>::try_from(&self.ip[at..at + 4]).unwrap();
            (four(12).into(), four(16).into())
        } else {
            let sixteen = |at: usize| <[u8; 16]>::try_from(&self.ip[at..at + 16]).unwrap();
            (sixteen(8).into(), sixteen(24).into())
        };
        (
            (src, be16(&self.tcp, 0) as u16),
            (dst, be16(&self.tcp, 2) as u16),
        )
    }

    pub fn flags(&self) -> u8 {
        self.tcp[13]
    }

    pub fn seq(&self) -> u32 {
        u32::from_be_bytes(self.tcp[4..8].try_into().unwrap())
    }

    pub fn ack(&self) -> u32 {
        u32::from_be_bytes(self.tcp[8..12].try_into().unwrap())
    }

    fn set_seq(&mut self, seq: u32) {
        self.tcp[4..8].copy_from_slice(&seq.to_be_bytes());
    }
}

fn words(b: &[u8]) -> u64 {
    let word = |w: &[u8]| u64::from(w[0]) << 8 | u64::from(w.get(1).copied().unwrap_or(0));
    b.chunks(2).map(word).sum()
}

/// RFC 1071.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Each payload in several segments.
pub fn split(packets: &[Packet], rng: &mut Rng) -> Vec<Packet> {
    let mut out = Vec::new();
    for p in packets {
        let whole = Segment::parse(&p.data)
            .filter(|s| s.payload.len() > 1 && s.flags() & (SYN | RST | URG) == 0);
        let Some(whole) = whole else {
            out.push(p.clone());
            continue;
        };
        let mut cuts: Vec<_> = (0..rng.below(4))
            .map(|_| 1 + rng.below(whole.payload.len() - 1))
            .collect();
        cuts.extend([0, whole.payload.len()]);
        cuts.sort_unstable();
        cuts.dedup();
        for pair in cuts.windows(2) {
            let mut piece = whole.clone();
            piece.payload = whole.payload[pair[0]..pair[1]].to_vec();
            piece.set_seq(whole.seq().wrapping_add(pair[0] as u32));
            if pair[1] < whole.payload.len() {
                piece.tcp[13] &= !(FIN | PSH);
            }
            out.push(Packet {
                ts: p.ts,
                data: piece.build(),
            });
        }
    }
    out
}

/// Neighbours in one, as network cards do it: same direction, same acknowledgement, in sequence.
pub fn merge(packets: &[Packet]) -> Vec<Packet> {
    let mut out: Vec<Packet> = Vec::new();
    for p in packets {
        if let (Some(new), Some(last)) = (Segment::parse(&p.data), out.last_mut())
            && let Some(mut old) = Segment::parse(&last.data)
        {
            let plain = |s: &Segment, also: u8| {
                !s.payload.is_empty() && s.flags() & (SYN | RST | URG | FIN) & !also == 0
            };
            let next = old.seq().wrapping_add(old.payload.len() as u32);
            if plain(&old, 0)
                && plain(&new, FIN)
                && old.way() == new.way()
                && old.link == new.link
                && old.tcp[8..12] == new.tcp[8..12]
                && next == new.seq()
                && old.payload.len() + new.payload.len() < 60_000
            {
                old.payload.extend_from_slice(&new.payload);
                old.tcp[13] |= new.flags() & (FIN | PSH);
                *last = Packet {
                    ts: p.ts,
                    data: old.build(),
                };
                continue;
            }
        }
        out.push(p.clone());
    }
    out
}

/// Packets overtake each other by a few places; time stamps stay where they were. Nothing overtakes
/// a SYN: what follows it on its own side and what acknowledges it come a round trip later.
pub fn reorder(packets: &[Packet], rng: &mut Rng) -> Vec<Packet> {
    let mut data: Vec<_> = packets.iter().map(|p| &p.data).collect();
    for at in 1..data.len() {
        if !rng.one_in(2) {
            continue;
        }
        let mut to = at;
        for _ in 0..rng.below(4) {
            let near = to > 0 && packets[at].ts.since(packets[to - 1].ts) < WINDOW;
            if !near || opens(data[to - 1]) || resets(data[at]) {
                break;
            }
            to -= 1;
        }
        data[to..=at].rotate_right(1);
    }
    let pairs = packets.iter().zip(data);
    pairs
        .map(|(p, data)| Packet {
            ts: p.ts,
            data: data.clone(),
        })
        .collect()
}

fn opens(data: &[u8]) -> bool {
    Segment::parse(data).is_some_and(|s| s.flags() & SYN != 0)
}

fn resets(data: &[u8]) -> bool {
    Segment::parse(data).is_some_and(|s| s.flags() & RST != 0)
}

/// The same packet as another mirror port shows it.
fn other_copy(data: &[u8], rng: &mut Rng) -> Vec<u8> {
    let Some(mut s) = Segment::parse(data) else {
        return data.to_vec();
    };
    if rng.one_in(2) {
        let ttl = if s.ip[0] >> 4 == 4 { 8 } else { 7 };
        s.ip[ttl] = s.ip[ttl].wrapping_sub(1);
    }
    if rng.one_in(2) {
        s.link.splice(12..12, [0x81, 0, 0, 7]);
    }
    s.build()
}

/// Some or all packets twice: at once, or a few places later.
pub fn duplicate(packets: &[Packet], every: bool, rng: &mut Rng) -> Vec<Packet> {
    let mut out = packets.to_vec();
    for p in packets.iter().rev() {
        if !every && !rng.one_in(4) {
            continue;
        }
        // Where the original stands now: copies were put in behind it only.
        let at = out.iter().rposition(|q| q == p).unwrap();
        let mut to = at + 1;
        for _ in 0..rng.below(6) {
            if out.get(to).is_some_and(|q| q.ts.since(p.ts) < WINDOW) {
                to += 1;
            }
        }
        let copy = Packet {
            ts: out[to - 1].ts,
            data: other_copy(&p.data, rng),
        };
        out.insert(to, copy);
    }
    out
}

/// Every packet in IP fragments, those of one in reverse now and then.
pub fn fragment(packets: &[Packet], rng: &mut Rng) -> Vec<Packet> {
    let mut out = Vec::new();
    for (i, p) in packets.iter().enumerate() {
        let mut pieces = tunnel::fragments(&p.data, 8 + rng.below(600), i as u32);
        if rng.one_in(2) {
            pieces.reverse();
        }
        out.extend(pieces.into_iter().map(|data| Packet { ts: p.ts, data }));
    }
    out
}
