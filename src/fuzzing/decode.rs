//! Entries of `decode`.

use std::time::Duration;

use super::Bytes;
use crate::capture::{Frame, LinkType};
use crate::compose::tunnel::Wrap;
use crate::decode::{Answer, Decoded, Decoder, FragmentSettings, Ports, Segment};
use crate::time::Timestamp;

/// Link types by the first byte of an input.
pub const LINKS: [LinkType; 14] = [
    LinkType::ETHERNET,
    LinkType::NULL,
    LinkType::PPP,
    LinkType::PPP_SERIAL,
    LinkType::PPP_ETHER,
    LinkType::RAW,
    LinkType::IEEE802_11,
    LinkType::LOOP,
    LinkType::LINUX_SLL,
    LinkType::IEEE802_11_RADIOTAP,
    LinkType::IPV4,
    LinkType::IPV6,
    LinkType::LINUX_SLL2,
    LinkType(147),
];

/// Link layers, IP and tunnels: the link type, what the snap length cut, then a frame.
pub fn decode_link(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (Some(link), Some(cut)) = (bytes.u8(), bytes.u8()) else {
        return;
    };
    let frame = Frame {
        ts: Timestamp(1),
        link: LINKS[usize::from(link) % LINKS.len()],
        data: bytes.0,
        wire_len: (bytes.0.len() + usize::from(cut)) as u32,
        interface: 0,
    };
    let fresh = || Decoder::new(Ports::default(), FragmentSettings::default(), 1);
    let mut decoder = fresh();
    let answer = decoder.decode(&frame);
    let held = matches!(answer.decoded, Decoded::Held);
    assert_eq!(answer.frames, u64::from(!held));
    if let Decoded::Segment(segment) = answer.decoded {
        within(&segment, frame.data);
    }
    assert_eq!(decoder.pending(), u64::from(held));
    decoder.tick(Timestamp::MAX);
    assert_eq!(decoder.given_up().0, u64::from(held));
    // The same bytes, the same answer, padding or none behind the packet.
    let mut again = fresh();
    let once = fresh().decode(&frame).frames;
    assert_eq!(again.decode(&frame).frames, once);
}

fn within(segment: &Segment<'_>, data: &[u8]) {
    let (outer, inner) = (data.as_ptr_range(), segment.payload.as_ptr_range());
    let inside = outer.start <= inner.start && inner.end <= outer.end;
    // A lone fragment that is a whole datagram is read from the pool.
    assert!(inside || segment.payload.len() < data.len());
    assert!(segment.missing <= u32::from(u16::MAX));
}

/// Bytes of the datagrams that are in fragments; so long that offsets matter.
const DATAGRAM: usize = 1_200;

/// The true content: a TCP header, then bytes that tell their place.
fn content(at: usize) -> u8 {
    const HEADER: [u8; 20] = [
        0x9c, 0x40, 0, 80, 0, 0, 0, 7, 0, 0, 0, 9, 0x50, 0x18, 1, 0, 0, 0, 0, 0,
    ];
    HEADER.get(at).copied().unwrap_or((at % 251) as u8)
}

struct Sum {
    pushed: u64,
    answered: u64,
    /// All pieces so far were true ones.
    honest: bool,
}

impl Sum {
    fn take(&mut self, answer: &Answer<'_>) {
        self.pushed += 1;
        self.answered += answer.frames;
        if let Decoded::Segment(segment) = answer.decoded
            && self.honest
        {
            let right = segment.payload.iter().enumerate();
            let right = right.map(|(i, b)| *b == content(20 + i));
            assert!(right.into_iter().all(|b| b), "bytes in the wrong place");
        }
    }
}

/// Fragments by operations: pieces true and forged of a few datagrams of both versions, in tunnels,
/// fragments of those in their turn, and time.
pub fn fragments(data: &[u8]) {
    let mut bytes = Bytes(data);
    let budget = 16 << 10;
    let settings = FragmentSettings {
        max_bytes: budget,
        max_datagrams: 8,
        patience: Duration::from_secs(30),
    };
    let mut decoder = Decoder::new(Ports::default(), settings, 1);
    let mut now = Timestamp::from_secs(1);
    let mut sum = Sum {
        pushed: 0,
        answered: 0,
        honest: true,
    };
    while let (Some(op), Some(place), Some(size)) = (bytes.u8(), bytes.u8(), bytes.u8()) {
        if op & 0xf0 == 0xf0 {
            now = now + Duration::from_secs(u64::from(place));
            decoder.tick(now);
            continue;
        }
        let from = usize::from(place) * 8;
        let length = (usize::from(size) + 1).min(DATAGRAM);
        sum.honest &= op & 0x40 == 0;
        let forged = op & 0x40 != 0;
        let piece: Vec<u8> = (from..from + length)
            .map(|at| if forged { op } else { content(at) })
            .collect();
        let frame = packet(op & 1 == 1, op >> 1 & 3, from, op & 0x08 != 0, &piece);
        let frames = match op & 0x30 {
            0x10 => vec![Wrap::Gre.encapsulate(&frame)],
            0x20 => {
                let outer = Wrap::Vxlan.encapsulate(&frame);
                crate::compose::tunnel::fragments(&outer, 200, u32::from(size))
            }
            _ => vec![frame],
        };
        for data in &frames {
            let answer = decoder.decode(&Frame {
                ts: now,
                link: LinkType::ETHERNET,
                data,
                wire_len: data.len() as u32,
                interface: 0,
            });
            sum.take(&answer);
            assert!(decoder.held_bytes() <= budget, "{}", decoder.held_bytes());
            let (expired, evicted) = decoder.given_up();
            assert_eq!(
                sum.pushed,
                sum.answered + expired + evicted + decoder.pending()
            );
        }
    }
    decoder.tick(Timestamp::MAX);
    let (expired, evicted) = decoder.given_up();
    assert_eq!(sum.pushed, sum.answered + expired + evicted);
    assert_eq!((decoder.pending(), decoder.held_bytes()), (0, 0));
}

/// A fragment in its frame.
fn packet(v6: bool, ident: u8, from: usize, more: bool, piece: &[u8]) -> Vec<u8> {
    let mut out = vec![2; 12];
    if v6 {
        let length = (8 + piece.len()) as u16;
        out.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        out.extend(length.to_be_bytes());
        out.extend([44, 64]);
        out.extend([1; 16]);
        out.extend([2; 16]);
        out.extend([6, 0]);
        out.extend((from as u16 | u16::from(more)).to_be_bytes());
        out.extend([0, 0, 0, ident]);
    } else {
        let total = (20 + piece.len()) as u16;
        out.extend([0x08, 0, 0x45, 0]);
        out.extend(total.to_be_bytes());
        out.extend([0, ident]);
        out.extend(((from / 8) as u16 | u16::from(more) << 13).to_be_bytes());
        out.extend([64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    }
    out.extend(piece);
    out
}
