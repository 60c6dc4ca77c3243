//! Hostile savefiles: cut at every byte, changed anywhere, lengths that lie. The readable part is
//! read, the rest is said, nothing panics, and the ledger balances each time.
#![allow(clippy::unwrap_used)]

#[path = "support/captures.rs"]
mod captures;
#[path = "support/change.rs"]
mod change;
#[path = "support/replay.rs"]
mod replay;
#[path = "support/talks.rs"]
mod talks;

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use apitap::capture::{FileSource, Frame, LinkType, Polled, Source};
use apitap::compose::Packet;
use apitap::compose::savefile::Savefile;
use apitap::compose::tunnel::Wrap;
use proptest::prelude::*;
use replay::{Outcome, Rng};
use talks::world;

/// The bytes whose every offset is cut.
const MOST: usize = 64 << 10;

/// One memory for all cuts of it.
#[derive(Clone)]
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn cut(bytes: &Shared, end: usize) -> impl Read + Send + 'static {
    Cursor::new(bytes.clone()).take(end as u64)
}

/// What a savefile gave: how many frames, and whether their bytes were the first of `whole`.
fn read_frames(
    input: impl Read + Send + 'static,
    mut sink: impl FnMut(&Frame<'_>),
) -> (usize, usize) {
    let (mut frames, mut errors) = (0, 0);
    let mut source = match FileSource::from_reader("cut", input) {
        Ok(source) => source,
        Err(e) => {
            assert!(!e.reason.is_empty());
            return (0, 1);
        }
    };
    loop {
        let polled = source.poll(Duration::ZERO, &mut |f| {
            sink(&f);
            frames += 1;
        });
        match polled {
            Ok(Polled::End) => return (frames, errors),
            Ok(_) => {}
            Err(_) => errors += 1,
        }
        assert!(errors <= 16, "damage without end");
    }
}

/// Every offset is cut and read. What a frame leads to depends on the frames alone, so the rest of
/// the sensor runs once for each number of frames. Returns how many there were.
fn cut_everywhere(name: &str, bytes: &[u8], stride: usize) -> usize {
    let shared = Shared(Arc::new(bytes.to_vec()));
    let mut whole = Vec::new();
    read_frames(cut(&shared, bytes.len()), |f| {
        whole.push((f.ts, f.link, f.data.to_vec()));
    });
    let mut tried = BTreeMap::<usize, usize>::new();
    let mut last = 0;
    for end in (0..=bytes.len().min(MOST)).step_by(stride) {
        let mut at = 0;
        let (frames, errors) = read_frames(cut(&shared, end), |f| {
            let (ts, link, data) = &whole[at];
            assert!(
                f.ts == *ts && f.link == *link && f.data == *data,
                "{name} cut at {end}: frame {at}"
            );
            at += 1;
        });
        assert!(frames >= last, "{name} cut at {end}: {frames} after {last}");
        last = frames;
        let first = *tried.entry(frames).or_insert(end);
        if first == end {
            let found = replay::replay(
                &mut match FileSource::from_reader("cut", cut(&shared, end)) {
                    Ok(source) => source,
                    Err(_) => continue,
                },
            );
            assert_eq!(found.ledger.stages["frame"].received, frames as u64);
            assert_eq!(found.errors, errors);
            nothing_pends(&found);
        }
    }
    tried.len()
}

/// But for fragments whose like never came.
fn nothing_pends(found: &Outcome) {
    for (stage, counts) in &found.ledger.stages {
        assert!(
            counts.pending == 0 || *stage == "frame",
            "{stage}: {}",
            found.ledger.to_json()
        );
    }
}

/// A morning's traffic, some of it in tunnels and fragments.
fn traffic(seed: u64) -> Vec<Packet> {
    let (mut packets, _) = world(seed, 12);
    let mut rng = Rng::new(seed);
    let wraps = [Wrap::Vxlan, Wrap::QinQ, Wrap::GreFull, Wrap::GtpUExtension];
    for (i, p) in packets.iter_mut().enumerate() {
        if i % 3 == 0 {
            p.data = wraps[rng.below(wraps.len())].encapsulate(&p.data);
        }
    }
    packets.truncate(240);
    change::fragment(&packets[..20], &mut rng)
        .into_iter()
        .chain(packets[20..].iter().cloned())
        .collect()
}

fn pcap(packets: &[Packet], mut f: Savefile) -> Vec<u8> {
    f.pcap(LinkType::ETHERNET);
    for p in packets {
        f.packet(p);
    }
    f.into_bytes()
}

/// Two interfaces, statistics and other blocks between the packets, a second section of the other
/// byte order.
fn pcapng(packets: &[Packet]) -> Vec<u8> {
    let mut files = [Savefile::little(), Savefile::big()];
    let half = packets.len() / 2;
    for (f, packets) in files.iter_mut().zip([&packets[..half], &packets[half..]]) {
        f.section();
        f.interface(LinkType::ETHERNET, 0, &[(2, b"eth0"), (9, &[9])]);
        f.interface(LinkType::RAW, 262_144, &[(9, &[6])]);
        for (i, p) in packets.iter().enumerate() {
            let (nanos, length) = (p.ts.nanos() as u64, p.data.len() as u32);
            if i % 5 == 4 && Wrap::Raw.takes(&p.data) {
                let raw = Wrap::Raw.encapsulate(&p.data);
                f.enhanced(1, nanos / 1_000, &raw, raw.len() as u32);
            } else {
                f.enhanced(0, nanos, &p.data, length);
            }
            if i % 16 == 0 {
                let drops = f.u64(i as u64);
                f.statistics(0, &[(5, &drops)]);
                f.block(0x0bad, b"custom");
            }
        }
    }
    files.map(Savefile::into_bytes).concat()
}

fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

#[test]
fn a_pcap_cut_at_every_byte() {
    let bytes = pcap(&traffic(1), Savefile::big().nanoseconds());
    assert!(bytes.len() > MOST, "{}", bytes.len());
    assert!(cut_everywhere("pcap", &bytes, 1) > 100);
}

#[test]
fn a_pcapng_cut_at_every_byte() {
    let bytes = pcapng(&traffic(2));
    assert!(bytes.len() > MOST, "{}", bytes.len());
    assert!(cut_everywhere("pcapng", &bytes, 1) > 100);
}

#[test]
fn packed_files_cut_at_every_byte() {
    let bytes = pcap(&traffic(3)[..100], Savefile::little());
    assert!(cut_everywhere("pcap.gz", &gzip(&bytes, 6), 1) > 50);
    // Nothing is packed, so every byte of the inner file is cut through the unpacker as well.
    assert!(cut_everywhere("stored pcap.gz", &gzip(&bytes, 0), 3) > 50);
    let bytes = pcapng(&traffic(4)[..100]);
    assert!(cut_everywhere("pcapng.gz", &gzip(&bytes, 6), 1) > 50);
}

#[test]
fn every_capture_cut_in_many_places() {
    for file in captures::captures() {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&file).unwrap();
        cut_everywhere(&name, &bytes, 1 + bytes.len().min(MOST) / 300);
    }
}

fn balances(bytes: Vec<u8>) {
    if let Ok(mut source) = FileSource::from_reader("changed", Cursor::new(bytes)) {
        let found = replay::replay(&mut source);
        assert!(found.errors <= 16);
        nothing_pends(&found);
    }
}

/// Lengths that a forger likes.
const LIES: [u32; 12] = [
    0,
    1,
    8,
    12,
    16,
    65_535,
    262_144,
    262_145,
    0x0100_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffc,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_changed_anywhere(
        kind in 0_usize..4,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
    ) {
        let packets = traffic(5);
        let mut bytes = match kind {
            0 => pcap(&packets, Savefile::little()),
            1 => pcap(&packets, Savefile::big().nanoseconds()),
            2 => pcapng(&packets),
            _ => gzip(&pcap(&packets[..60], Savefile::little()), 6),
        };
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] ^= byte | 1;
        }
        balances(bytes);
    }

    /// Four bytes anywhere, or at a record's own lengths, say something else.
    #[test]
    fn lengths_that_lie(
        ng: bool,
        lies in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..LIES.len(), 0_u32..4), 1..6),
    ) {
        let packets = &traffic(6)[..60];
        let mut bytes = if ng { pcapng(packets) } else { pcap(packets, Savefile::little()) };
        let mut places = Vec::new();
        let mut at = if ng { 0 } else { 24 };
        while at + 16 <= bytes.len() {
            let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let length = if ng {
                places.extend([at + 4, at + 20, at + 24]);
                word(at + 4).min(word(at + 4).swap_bytes())
            } else {
                places.extend([at + 8, at + 12]);
                16 + word(at + 8)
            };
            at += length as usize;
        }
        prop_assert!(places.len() > 100);
        for (place, lie, more) in lies {
            let at = *place.get(&places);
            if let Some(b) = bytes.get_mut(at..at + 4) {
                b.copy_from_slice(&LIES[lie].wrapping_add(more).to_le_bytes());
            }
        }
        balances(bytes);
    }
}
