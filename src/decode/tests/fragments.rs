//! Fragments: any order, copies, overlaps, floods, and tunnels on both sides of them.

use super::*;
use crate::compose::tunnel::{Wrap, fragments};

/// A decoder and the sum of what it answered.
struct Bench {
    decoder: Decoder,
    frames: u64,
    segments: u64,
    ignored: u64,
    malformed: u64,
    payloads: Vec<Vec<u8>>,
}

impl Bench {
    fn new() -> Self {
        Self::with(FragmentSettings::default())
    }

    fn with(settings: FragmentSettings) -> Self {
        Self {
            decoder: Decoder::new(Ports::default(), settings, 1),
            frames: 0,
            segments: 0,
            ignored: 0,
            malformed: 0,
            payloads: Vec::new(),
        }
    }

    fn at(&mut self, ts: Timestamp, link: LinkType, data: &[u8]) {
        self.frames += 1;
        let answer = self.decoder.decode(&Frame {
            ts,
            ..frame(link, data)
        });
        match answer.decoded {
            Decoded::Segment(s) => {
                self.segments += answer.frames;
                self.payloads.push(s.payload.to_vec());
            }
            Decoded::Datagram(_) | Decoded::Ignored(_) => self.ignored += answer.frames,
            Decoded::Malformed(_) => self.malformed += answer.frames,
            Decoded::Held => assert_eq!(answer.frames, 0),
        }
        self.balanced();
    }

    fn push(&mut self, data: &[u8]) {
        self.at(TS, LinkType::ETHERNET, data);
    }

    fn balanced(&self) {
        let (expired, evicted) = self.decoder.given_up();
        let told = self.segments + self.ignored + self.malformed + expired + evicted;
        assert_eq!(self.frames, told + self.decoder.pending());
    }

    /// What came of it: payloads, and the frames of each kind.
    fn told(&self) -> (Vec<&[u8]>, [u64; 4]) {
        let payloads = self.payloads.iter().map(Vec::as_slice).collect();
        let counts = [
            self.segments,
            self.ignored,
            self.malformed,
            self.decoder.pending(),
        ];
        (payloads, counts)
    }
}

fn ethernet_v6(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv6([1; 16], [2; 16], 64)
        .tcp(40_000, 80, 7, 512)
        .write(&mut out, payload)
        .unwrap();
    out
}

const TEXT: &[u8] = b"a payload of some length that comes in pieces";

/// All orders of `n` things, by Heap's algorithm.
fn orders(n: usize) -> Vec<Vec<usize>> {
    fn go(k: usize, at: &mut Vec<usize>, out: &mut Vec<Vec<usize>>) {
        if k <= 1 {
            out.push(at.clone());
            return;
        }
        for i in 0..k {
            go(k - 1, at, out);
            at.swap(if k.is_multiple_of(2) { i } else { 0 }, k - 1);
        }
    }
    let mut out = Vec::new();
    go(n, &mut (0..n).collect(), &mut out);
    out
}

#[test]
fn any_order_gives_the_datagram() {
    for whole in [ethernet(TEXT), ethernet_v6(TEXT)] {
        // A first fragment of 16 bytes ends inside the TCP header.
        let pieces = fragments(&whole, 16, 7);
        assert_eq!(pieces.len(), 5);
        for order in orders(pieces.len()) {
            let mut b = Bench::new();
            for i in order {
                b.push(&pieces[i]);
            }
            assert_eq!(b.told(), (vec![TEXT], [5, 0, 0, 0]));
        }
    }
}

#[test]
fn the_tiniest_fragments_and_a_lone_one() {
    for whole in [ethernet(TEXT), ethernet_v6(TEXT)] {
        for size in (8..80).step_by(8) {
            let mut b = Bench::new();
            let pieces = fragments(&whole, size, 7);
            pieces.iter().for_each(|p| b.push(p));
            let frames = pieces.len() as u64;
            assert_eq!(b.told(), (vec![TEXT], [frames, 0, 0, 0]), "{size}");
        }
    }
}

#[test]
fn copies_are_copies_in_both_versions() {
    for whole in [ethernet(TEXT), ethernet_v6(TEXT)] {
        let mut b = Bench::new();
        for piece in fragments(&whole, 24, 7).iter().rev() {
            b.push(piece);
            b.push(piece);
        }
        // The last one's copy comes behind the datagram and waits for one that never comes.
        assert_eq!(b.told(), (vec![TEXT], [3, 2, 0, 1]));
        b.decoder.tick(TS + FragmentSettings::default().patience);
        b.balanced();
        assert_eq!(b.decoder.given_up(), (1, 0));
    }
}

#[test]
fn datagrams_do_not_mix() {
    let other = [b'z'; 45];
    let mut b = Bench::new();
    let pieces = [
        fragments(&ethernet(TEXT), 24, 7),
        fragments(&ethernet(&other), 24, 8),
        fragments(&ethernet_v6(TEXT), 24, 7),
        fragments(&Wrap::Vxlan.encapsulate(&ethernet(TEXT)), 200, 7),
    ];
    for i in 0..3 {
        for datagram in &pieces {
            datagram.get(i).into_iter().for_each(|p| b.push(p));
        }
    }
    assert_eq!(b.told().1[1..], [0, 0, 0]);
    assert_eq!(b.payloads.len(), 4);
    // The same identification in two overlay networks is two datagrams.
    let [first, second] = [b"first of two".as_slice(), b"other of two"].map(|text| {
        let pieces = fragments(&ethernet(text), 24, 9);
        pieces
            .iter()
            .map(|p| Wrap::Vxlan.encapsulate(p))
            .collect::<Vec<_>>()
    });
    let mut second = second;
    for data in &mut second {
        data[14 + 20 + 8 + 5] ^= 1;
    }
    let mut b = Bench::new();
    for (a, c) in first.iter().zip(&second) {
        b.push(a);
        b.push(c);
    }
    assert_eq!(b.payloads, [b"first of two", b"other of two"]);
}

#[test]
fn a_fragment_inside_a_fragmented_tunnel() {
    let inner = fragments(&ethernet(TEXT), 24, 7);
    for wrap in [
        Wrap::Gre,
        Wrap::Vxlan,
        Wrap::InIpv6,
        Wrap::GeneveOptions,
        Wrap::GtpU,
    ] {
        let mut b = Bench::new();
        let mut count = 0;
        for (i, piece) in inner.iter().enumerate().rev() {
            for outer in fragments(&wrap.encapsulate(piece), 16, 100 + i as u32)
                .iter()
                .rev()
            {
                b.push(outer);
                count += 1;
            }
        }
        assert_eq!(b.told(), (vec![TEXT], [count, 0, 0, 0]), "{wrap:?}");
    }
}

/// A fragment of the payload `[from, from + len)` of `whole`'s IPv4 packet, with bytes of one's
/// own choice.
fn v4_piece(whole: &[u8], from: usize, len: usize, more: bool, fill: Option<u8>) -> Vec<u8> {
    let (head, body) = (14 + 20, &whole[34..]);
    let mut out = whole[..head].to_vec();
    match fill {
        Some(byte) => out.extend(std::iter::repeat_n(byte, len)),
        None => out.extend_from_slice(&body[from..from + len]),
    }
    out[16..18].copy_from_slice(&((20 + len) as u16).to_be_bytes());
    let word = (from / 8) as u16 | u16::from(more) << 13;
    out[20..22].copy_from_slice(&word.to_be_bytes());
    out
}

#[test]
fn of_overlapping_v4_pieces_the_first_bytes_stay() {
    let whole = ethernet(TEXT);
    let length = 20 + TEXT.len();
    let piece = |from, to, fill| v4_piece(&whole, from, to - from, to < length, fill);
    // Each later piece lies over bytes that are there, with other content.
    let cases: [&[(usize, usize, Option<u8>)]; 6] = [
        &[(0, 40, None), (24, 48, Some(b'!')), (40, length, None)],
        &[
            (24, 48, None),
            (0, 32, None),
            (16, 40, Some(b'!')),
            (48, length, None),
        ],
        &[(40, length, None), (32, length, Some(b'!')), (0, 32, None)],
        // Over a hole and both its shores.
        &[(0, 24, None), (40, length, None), (16, 56, Some(b'!'))],
        // Nothing new at all but where the datagram ends.
        &[
            (0, 40, None),
            (40, 64, None),
            (64, length, None),
            (8, 16, Some(b'!')),
        ],
        // A first fragment over a first fragment.
        &[(0, 32, None), (0, 32, Some(b'!')), (32, length, None)],
    ];
    for (i, case) in cases.into_iter().enumerate() {
        let mut b = Bench::new();
        for (from, to, fill) in case {
            b.push(&piece(*from, *to, *fill));
        }
        let mut expected = TEXT.to_vec();
        // Bytes that the forged piece brought first: offsets in the segment, whose header is 20.
        match i {
            0 => expected[20..28].fill(b'!'),
            2 => expected[12..20].fill(b'!'),
            3 => expected[4..20].fill(b'!'),
            _ => {}
        }
        assert_eq!(b.payloads, [expected], "case {i}");
    }
}

/// The end of the datagram told by a piece whose bytes were all there.
#[test]
fn the_last_piece_may_bring_nothing_but_the_end() {
    let whole = ethernet(b"twelve bytes");
    let mut b = Bench::new();
    b.push(&v4_piece(&whole, 0, 32, true, None));
    b.push(&v4_piece(&whole, 16, 16, false, None));
    assert_eq!(b.payloads, [b"twelve bytes"]);
    assert_eq!(b.decoder.pending(), 0);
}

#[test]
fn an_overlap_in_v6_drops_the_datagram() {
    let whole = ethernet_v6(TEXT);
    let pieces = fragments(&whole, 24, 7);
    let mut b = Bench::new();
    b.push(&pieces[0]);
    // Sixteen bytes from 16 on, over the last eight of the first piece.
    let mut forged = pieces[1].clone();
    let word = 14 + 40 + 2;
    forged[word..word + 2].copy_from_slice(&17_u16.to_be_bytes());
    b.push(&forged);
    assert_eq!(b.told(), (vec![], [0, 0, 2, 0]));
    // What comes later is a datagram without its beginning (RFC 5722 would drop it too).
    b.push(&pieces[1]);
    b.push(&pieces[2]);
    assert_eq!(b.told(), (vec![], [0, 0, 2, 2]));
}

#[test]
fn pieces_against_the_rules_end_the_datagram() {
    let whole = ethernet(TEXT);
    let length = 20 + TEXT.len();
    let bad = [
        // Behind the end; another end; not the last, and behind the last.
        v4_piece(&whole, 64, 8, true, Some(0)),
        v4_piece(&whole, 40, 8, false, Some(0)),
        v4_piece(&whole, 72, 8, false, Some(0)),
    ];
    for forged in bad {
        let mut b = Bench::new();
        b.push(&v4_piece(&whole, 0, 24, true, None));
        b.push(&v4_piece(&whole, 48, length - 48, false, None));
        b.push(&forged);
        assert_eq!(b.told(), (vec![], [0, 0, 3, 0]));
    }
    // A length that is no multiple of 8, nothing at all, past 64 KiB (the ping of death).
    let mut b = Bench::new();
    b.push(&v4_piece(&whole, 0, 20, true, None));
    b.push(&v4_piece(&whole, 8, 0, false, None));
    b.push(&v4_piece(&whole, 65_528, 16, false, Some(0)));
    assert_eq!(b.told(), (vec![], [0, 0, 3, 0]));
}

#[test]
fn a_fragment_that_the_snap_length_cut_is_truncated() {
    let pieces = fragments(&ethernet(TEXT), 24, 7);
    let mut decoder = Decoder::new(Ports::default(), FragmentSettings::default(), 1);
    let cut = Frame {
        wire_len: pieces[0].len() as u32,
        ..frame(LinkType::ETHERNET, &pieces[0][..pieces[0].len() - 1])
    };
    let answer = decoder.decode(&cut);
    assert_eq!(answer.decoded, Decoded::Malformed(Malformed::Truncated));
    assert_eq!((answer.frames, decoder.pending()), (1, 0));
}

#[test]
fn a_flood_costs_the_budget_and_no_more() {
    let settings = FragmentSettings {
        max_bytes: 64 << 10,
        max_datagrams: 100,
        ..FragmentSettings::default()
    };
    let floods: [&dyn Fn(u32) -> Vec<u8>; 4] = [
        // First pieces, all of other datagrams.
        &|i| fragments(&ethernet(TEXT), 24, i).swap_remove(0),
        &|i| fragments(&ethernet_v6(&[7; 1_200]), 1_000, i).swap_remove(0),
        // One datagram in the smallest pieces, with holes between them.
        &|i| {
            v4_piece(
                &ethernet(TEXT),
                (i as usize * 16) % 65_000,
                8,
                true,
                Some(1),
            )
        },
        // Large pieces.
        &|i| {
            v4_piece(
                &ethernet(TEXT),
                (i as usize % 40) * 1_600,
                1_400,
                true,
                Some(i as u8),
            )
        },
    ];
    for flood in floods {
        let mut b = Bench::with(settings.clone());
        for i in 0..3_000 {
            b.push(&flood(i));
            let (datagrams, cost, queue) = b.decoder.fragments.size();
            assert!(datagrams <= 100 && cost <= 64 << 10, "{datagrams} {cost}");
            assert!(queue <= 201, "{queue}");
        }
        // And it still works.
        fragments(&ethernet(b"an honest one"), 16, 65_535)
            .iter()
            .for_each(|p| b.push(p));
        assert_eq!(b.payloads, [b"an honest one"]);
    }
}

#[test]
fn patience_ends_and_the_same_identification_begins_anew() {
    let pieces = fragments(&ethernet(TEXT), 24, 7);
    let patience = FragmentSettings::default().patience;
    let mut b = Bench::new();
    b.push(&pieces[0]);
    b.push(&pieces[1]);
    b.decoder.tick(TS + patience / 2);
    assert_eq!(b.decoder.pending(), 2);
    b.at(TS + patience, LinkType::ETHERNET, &pieces[2]);
    assert_eq!(b.told(), (vec![], [0, 0, 0, 1]));
    assert_eq!(b.decoder.given_up(), (2, 0));
    b.at(TS + patience, LinkType::ETHERNET, &pieces[0]);
    b.at(TS + patience, LinkType::ETHERNET, &pieces[1]);
    assert_eq!(b.told(), (vec![TEXT], [3, 0, 0, 0]));
}

#[test]
fn every_fragment_cut_anywhere_answers() {
    for whole in [ethernet(TEXT), ethernet_v6(TEXT)] {
        let mut all = fragments(&whole, 24, 7);
        all.extend(fragments(&Wrap::VxlanGpeNsh.encapsulate(&whole), 64, 8));
        for piece in &all {
            let mut b = Bench::new();
            for end in 0..piece.len() {
                b.push(&piece[..end]);
            }
        }
    }
}

proptest::proptest! {
    /// Any pieces of a few datagrams, true and forged, in any order: the counts add up, and the
    /// budget holds.
    #[test]
    fn any_pieces_add_up(ops in proptest::collection::vec((0_u8..6, 0_u16..12, 1_u16..12, proptest::bool::ANY, 0_u8..3, 0_i64..20), 0..200)) {
        let settings = FragmentSettings {
            max_bytes: 4_096,
            max_datagrams: 4,
            ..FragmentSettings::default()
        };
        let (v4, v6) = (ethernet(TEXT), ethernet_v6(TEXT));
        let mut b = Bench::with(settings);
        let mut now = TS;
        for (ident, from, words, more, fill, wait) in ops {
            now = now + std::time::Duration::from_secs(wait as u64 / 4);
            let (from, len) = (usize::from(from) * 8, usize::from(words) * 8);
            let data = if ident % 2 == 0 {
                let mut data = v4_piece(&v4, from, len, more, Some(fill));
                data[18] = ident;
                data
            } else {
                let head = [&v6[..14], &[0x60, 0, 0, 0, 0, (8 + len) as u8, 44, 64], &v6[22..54]].concat();
                let word = (from as u16 | u16::from(more)).to_be_bytes();
                [&head[..], &[6, 0, word[0], word[1], 0, 0, 0, ident], &vec![fill; len]].concat()
            };
            b.at(now, LinkType::ETHERNET, &data);
            let (datagrams, cost, _) = b.decoder.fragments.size();
            proptest::prop_assert!(datagrams <= 4 && cost <= 4_096);
        }
        b.decoder.tick(now + FragmentSettings::default().patience);
        b.balanced();
        proptest::prop_assert_eq!(b.decoder.pending(), 0);
        proptest::prop_assert_eq!(b.decoder.fragments.size().1, 0);
    }
}
