//! The same conversation gives the same exchanges, however a mirror cuts, shuffles, doubles, wraps
//! or splits its packets.
//!
//! Compared is everything in an exchange but its times and the overlay's number (`support/replay`),
//! in order, connection by connection. Composed conversations are compared with what was composed;
//! captures of `../shared` with what they give as they are.
#![allow(clippy::unwrap_used)]

#[path = "support/captures.rs"]
mod captures;
#[path = "support/change.rs"]
mod change;
#[path = "support/replay.rs"]
mod replay;
#[path = "support/talks.rs"]
mod talks;

use std::io::Cursor;

use apitap::capture::{FileSource, LinkType, MergedSource, Source};
use apitap::compose::Packet;
use apitap::compose::savefile::Savefile;
use apitap::compose::tunnel::Wrap;
use apitap::exchange::Exchange;
use captures::{captures, ethernet_packets, in_order, whole_connections};
use change::Segment;
use proptest::prelude::*;
use replay::{Outcome, Rng, ethernet, frames};
use talks::{brief, is_as_composed, world};

fn same(found: &Outcome, base: &Outcome, what: &str) {
    assert_eq!(found.sessions, base.sessions, "{what}");
    for (ends, flow) in &base.flows {
        let told = found.flows.get(ends).map_or(&[][..], Vec::as_slice);
        let list = |flow: &[Exchange]| flow.iter().map(brief).collect::<Vec<_>>().join("\n  ");
        assert!(
            told == flow,
            "{what}: is\n  {}\nwas\n  {}",
            list(told),
            list(flow)
        );
    }
    assert_eq!(found.flows.len(), base.flows.len(), "{what}");
}

/// Each direction in a file of its own, as the two arms of a tap give them.
fn two_arms(packets: &[Packet]) -> Outcome {
    let mut arms = [
        Savefile::little().nanoseconds(),
        Savefile::big().nanoseconds(),
    ];
    for arm in &mut arms {
        arm.pcap(LinkType::ETHERNET);
    }
    for p in packets {
        let back = Segment::parse(&p.data).is_some_and(|s| {
            let (from, to) = s.way();
            from > to
        });
        arms[usize::from(back)].packet(p);
    }
    let sources = arms.map(|arm| -> Box<dyn Source> {
        Box::new(FileSource::from_reader("arm", Cursor::new(arm.into_bytes())).unwrap())
    });
    replay::replay(&mut MergedSource::new(sources.into(), false))
}

/// Every packet in `wrap`; `None` where it cannot carry one of them.
fn wrapped(packets: &[Packet], wrap: Wrap) -> Option<(LinkType, Vec<Packet>)> {
    let mut link = None;
    let mut out = Vec::new();
    for p in packets {
        if !wrap.takes(&p.data) || p.data.len() > 60_000 {
            return None;
        }
        let kind = wrap.link(&p.data);
        if *link.get_or_insert(kind) != kind {
            return None;
        }
        out.push(Packet {
            ts: p.ts,
            data: wrap.encapsulate(&p.data),
        });
    }
    Some((link?, out))
}

/// All that may be done to a whole conversation. `shuffle`: it came in order, so that what is
/// shuffled is still inside the reassembler's patience.
fn every_change(
    packets: &[Packet],
    shuffle: bool,
    seed: u64,
    mut check: impl FnMut(Outcome, &str),
) {
    let mut rng = Rng::new(seed);
    let split = change::split(packets, &mut rng);
    let doubled = change::duplicate(packets, true, &mut rng);
    let some_doubled = change::duplicate(&split, false, &mut rng);
    let mut all = vec![
        ("merged", change::merge(packets)),
        ("split and merged", change::merge(&split)),
        ("in IP fragments", change::fragment(packets, &mut rng)),
    ];
    if shuffle {
        all.extend([
            ("shuffled", change::reorder(packets, &mut rng)),
            ("split and shuffled", change::reorder(&split, &mut rng)),
            (
                "split, doubled, shuffled",
                change::reorder(&some_doubled, &mut rng),
            ),
        ]);
    }
    all.extend([
        ("split", split),
        ("each packet twice", doubled),
        ("split, some packets twice", some_doubled),
    ]);
    for (what, packets) in &all {
        check(ethernet(packets), what);
    }
    check(two_arms(packets), "two arms");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn composed_conversations_stay_what_they_are(seed: u64) {
        let (packets, talks) = world(seed, 5);
        is_as_composed(&ethernet(&packets), &talks);
        every_change(&packets, true, seed, |found, what| {
            let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| is_as_composed(&found, &talks)));
            assert!(told.is_ok(), "{what}");
        });
    }

    #[test]
    fn wrapped_they_stay_what_they_are(seed: u64) {
        let (packets, talks) = world(seed, 2);
        let mut rng = Rng::new(seed);
        let first = Wrap::ALL[rng.below(Wrap::ALL.len())];
        let second = Wrap::ALL[rng.below(Wrap::ALL.len())];
        let Some((link, once)) = wrapped(&packets, first) else {
            return Ok(());
        };
        let found = frames(link, &once);
        is_as_composed(&found, &talks);
        prop_assert!(found.vnis.iter().all(|vni| *vni == first.vni()), "{:?}", first);
        if link == LinkType::ETHERNET && let Some((link, twice)) = wrapped(&once, second) {
            let found = frames(link, &twice);
            is_as_composed(&found, &talks);
            let vni = first.vni().or_else(|| second.vni());
            prop_assert!(found.vnis.iter().all(|v| *v == vni), "{:?} in {:?}", first, second);
            // Fragments of the outer packets.
            if link == LinkType::ETHERNET {
                is_as_composed(&ethernet(&change::fragment(&twice, &mut rng)), &talks);
            }
        }
    }
}

#[test]
fn every_wrapping_once() {
    let (packets, talks) = world(7, 3);
    let mut carried = 0;
    for wrap in Wrap::ALL {
        let Some((link, once)) = wrapped(&packets, wrap) else {
            assert_eq!(wrap, Wrap::Teredo, "the only one that is for IPv6 alone");
            continue;
        };
        let found = frames(link, &once);
        is_as_composed(&found, &talks);
        assert!(found.vnis.iter().all(|vni| *vni == wrap.vni()));
        carried += 1;
    }
    assert_eq!(carried, Wrap::ALL.len() - 1);
}

/// Two overlays with the same addresses and ports: two conversations.
#[test]
fn the_same_addresses_in_two_overlays_do_not_meet() {
    let (packets, talks) = world(11, 1);
    let mut both = Vec::new();
    for p in &packets {
        for last in [0, 1] {
            let mut data = Wrap::Vxlan.encapsulate(&p.data);
            data[14 + 20 + 8 + 6] ^= last;
            both.push(Packet { ts: p.ts, data });
        }
    }
    let found = ethernet(&both);
    let flow = found.flows.values().next().unwrap();
    assert_eq!(flow.len(), 2 * talks[0].expected.len());
    assert!(flow.iter().all(|x| !x.partial.any()));
}

#[test]
fn captures_stay_what_they_are() {
    let (mut connections, mut exchanges) = (0, 0);
    for (i, file) in captures().iter().enumerate() {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let Some(packets) = ethernet_packets(file).filter(|p| p.len() < 3_000) else {
            continue;
        };
        for (packets, base) in whole_connections(&packets) {
            connections += 1;
            exchanges += base.exchanges().count();
            every_change(&packets, in_order(&packets), i as u64, |found, what| {
                same(&found, &base, &format!("{name} {what}"));
            });
        }
    }
    eprintln!("{connections} connections with {exchanges} exchanges");
    assert!(captures().is_empty() || connections > 100, "{connections}");
}

#[test]
fn captures_wrapped_stay_what_they_are() {
    let mut tried = 0;
    for (i, file) in captures().iter().enumerate() {
        let Some(packets) = ethernet_packets(file).filter(|p| p.len() < 3_000) else {
            continue;
        };
        let base = ethernet(&packets);
        if base.flows.is_empty() {
            continue;
        }
        // Every wrapping in its turn, some for each file.
        for k in 0..5 {
            let wrap = Wrap::ALL[(i * 5 + k) % Wrap::ALL.len()];
            let Some((link, packets)) = wrapped(&packets, wrap) else {
                continue;
            };
            let found = frames(link, &packets);
            same(&found, &base, &format!("{} in {wrap:?}", file.display()));
            tried += 1;
        }
    }
    eprintln!("{tried} wrapped");
    assert!(captures().is_empty() || tried > 200, "{tried}");
}
