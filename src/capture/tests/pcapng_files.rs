//! pcapng: every block, both byte orders, and files that lie.

use super::*;
use crate::compose::savefile::block;

const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;
const ISB_IFDROP: u16 = 5;
const ISB_OSDROP: u16 = 7;

fn both() -> [Savefile; 2] {
    [Savefile::little(), Savefile::big()]
}

/// A section with one Ethernet interface.
fn started(mut f: Savefile) -> Savefile {
    f.section().interface(LinkType::ETHERNET, 0, &[]);
    f
}

#[test]
fn several_sections_interfaces_and_link_types() {
    for mut f in both() {
        f.section();
        f.interface(LinkType::ETHERNET, 96, &[(IF_NAME, b"eth0")]);
        f.interface(
            LinkType::LINUX_SLL2,
            0,
            &[(IF_NAME, b"any"), (IF_TSRESOL, &[9])],
        );
        f.enhanced(0, 1_500_000, b"by micros", 9);
        f.enhanced(1, 1_500_000_000, b"by nanos", 80);
        // Numbers begin anew in each section, and so may the byte order.
        let mut other = if f.u16(1) == [1, 0] {
            Savefile::big()
        } else {
            Savefile::little()
        };
        other.section().interface(LinkType::RAW, 0, &[]);
        other.enhanced(0, 2_000_000, b"of another section", 18);
        f.raw(other.bytes());
        let told = read(f.bytes());
        let expected = [
            (LinkType::ETHERNET, &b"by micros"[..], 9, "x (eth0)"),
            (LinkType::LINUX_SLL2, b"by nanos", 80, "x (any)"),
            (LinkType::RAW, b"of another section", 18, "x (interface 2)"),
        ];
        let found = told.frames.iter();
        let found: Vec<_> = found.map(|f| (f.1, &f.2[..], f.3, f.4.as_str())).collect();
        assert_eq!(found, expected);
        assert_eq!(told.times(), [1_500_000_000, 1_500_000_000, 2_000_000_000]);
        assert_eq!(told.errors, [""; 0]);
    }
}

#[test]
fn time_stamps_of_every_resolution() {
    // Resolution, offset in seconds, ticks, nanoseconds.
    let cases: [(u8, i64, u64, i64); 12] = [
        (0, 0, 7, 7_000_000_000),
        (3, 0, 1_234, 1_234_000_000),
        (6, 0, 1_732_420_000_123_456, 1_732_420_000_123_456_000),
        (9, 0, 1_732_420_000_123_456_789, 1_732_420_000_123_456_789),
        (12, 0, 1_999_999_999_999, 1_999_999_999),
        (0x80, 0, 3, 3_000_000_000),
        (0x80 | 10, 0, 1_536, 1_500_000_000),
        (0x80 | 32, 0, (5 << 32) + (1 << 31), 5_500_000_000),
        (6, 1_700_000_000, 500_000, 1_700_000_000_500_000_000),
        (6, -1, 1_500_000, 500_000_000),
        // Past any clock: the end of time, and no panic.
        (0, i64::MAX, u64::MAX, i64::MAX),
        (0xff, 0, u64::MAX, 0),
    ];
    for (resolution, offset, ticks, nanos) in cases {
        for mut f in both() {
            let offset = f.u64(offset.cast_unsigned());
            let options = [(IF_TSRESOL, &[resolution][..]), (IF_TSOFFSET, &offset)];
            f.section().interface(LinkType::ETHERNET, 0, &options);
            f.enhanced(0, ticks, b"x", 1);
            assert_eq!(read(f.bytes()).times(), [nanos], "{resolution:#x} {ticks}");
        }
    }
}

#[test]
fn any_resolution_and_offset_is_a_time() {
    for resolution in 0..=255 {
        for offset in [0, 1, i64::MIN, i64::MAX] {
            for ticks in [0, 1, u64::MAX] {
                let mut f = Savefile::little();
                let offset = f.u64(i64::cast_unsigned(offset));
                let options = [(IF_TSRESOL, &[resolution][..]), (IF_TSOFFSET, &offset)];
                f.section().interface(LinkType::ETHERNET, 0, &options);
                f.enhanced(0, ticks, b"x", 1);
                assert_eq!(read(f.bytes()).frames.len(), 1);
            }
        }
    }
}

#[test]
fn packet_blocks_old_and_simple() {
    for mut f in both() {
        f.section().interface(LinkType::ETHERNET, 6, &[]);
        f.old(0, 1_000_000, b"of old", 60);
        // A simple one has no time: that of the packet before it. Its length is the wire's, cut to
        // the snap length; the rest is padding.
        f.simple(b"simple", 1_500).simple(b"four", 4);
        let told = read(f.bytes());
        assert_eq!(told.packets(), [&b"of old"[..], b"simple", b"four"]);
        assert_eq!(told.times(), [1_000_000_000; 3]);
        let wire: Vec<_> = told.frames.iter().map(|f| f.3).collect();
        assert_eq!(wire, [60, 1_500, 4]);
    }
}

#[test]
fn blocks_without_packets_are_passed_over() {
    for f in both() {
        let mut f = started(f);
        f.block(
            block::NAMES,
            &[0, 1, 0, 8, 10, 0, 0, 1, b'h', b'o', b's', 0, 0, 0, 0, 0],
        );
        f.block(block::SECRETS, b"TLSK\0\0\0\x05CLIEN");
        f.block(block::CUSTOM, b"whatever")
            .block(0x7fff_ffff, b"")
            .block(0, b"");
        f.enhanced(0, 1, b"one", 3);
        let drops =
            [(ISB_IFDROP, &f.u64(7)[..]), (ISB_OSDROP, &f.u64(5))].map(|(c, v)| (c, v.to_vec()));
        let drops = [(drops[0].0, &drops[0].1[..]), (drops[1].0, &drops[1].1[..])];
        f.statistics(0, &drops);
        // The counts are totals: a later block replaces an earlier one.
        let later = f.u64(9);
        f.statistics(0, &[(ISB_IFDROP, &later), drops[1]]);
        f.statistics(77, &drops);
        let told = read(f.bytes());
        assert_eq!(told.packets(), [b"one"]);
        assert_eq!(told.errors, [""; 0]);
        assert_eq!(
            told.drops,
            Drops {
                kernel: 5,
                interface: 9
            }
        );
    }
}

#[test]
fn cut_anywhere_the_whole_blocks_are_read_and_the_rest_is_said() {
    for f in both() {
        let mut f = started(f);
        let mut ends = vec![(0, 0), (f.bytes().len(), 0)];
        // The end of the section header is one as well.
        ends.push((28, 0));
        for (i, text) in [b"first", b"other", b"third"].into_iter().enumerate() {
            f.enhanced(0, 1, text, 5);
            ends.push((f.bytes().len(), i + 1));
            f.statistics(0, &[]);
            ends.push((f.bytes().len(), i + 1));
        }
        for cut in 0..=f.bytes().len() {
            let told = read(&f.bytes()[..cut]);
            let whole = ends.iter().filter(|(end, _)| *end <= cut);
            let whole = whole.map(|(_, n)| *n).max().unwrap_or_default();
            assert_eq!(told.frames.len(), whole, "cut at {cut}");
            let clean = cut > 0 && ends.iter().any(|(end, _)| *end == cut);
            assert_eq!(
                told.errors.is_empty(),
                clean,
                "cut at {cut}: {:?}",
                told.errors
            );
        }
    }
}

/// One lying block between two sound sections.
fn around(lie: impl Fn(&mut Savefile)) -> Told {
    let mut f = started(Savefile::little());
    f.enhanced(0, 1, b"before", 6);
    lie(&mut f);
    let mut after = started(Savefile::big());
    after.enhanced(0, 2, b"after!", 6);
    f.raw(after.bytes());
    read(f.bytes())
}

#[test]
fn a_lying_length_costs_its_section_and_no_more() {
    let lies: [(&str, Vec<u8>); 7] = [
        ("zero", [6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].to_vec()),
        ("eight", [6, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0].to_vec()),
        ("odd", [6, 0, 0, 0, 13, 0, 0, 0, 13, 0, 0, 0].to_vec()),
        ("differ", [6, 0, 0, 0, 12, 0, 0, 0, 16, 0, 0, 0].to_vec()),
        (
            "mark",
            [0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 1, 2, 3, 4, 1, 0, 0, 0].to_vec(),
        ),
        ("swallows the next section's head", {
            let mut f = Savefile::little();
            f.raw(&[6, 0, 0, 0, 24, 0, 0, 0]);
            f.into_bytes()
        }),
        (
            "garbage",
            b"\xff\xff\xff\xff\x01\x02\x03\x04 and so on".to_vec(),
        ),
    ];
    for (name, lie) in lies {
        let told = around(|f| {
            f.raw(&lie);
        });
        assert_eq!(told.packets(), [b"before", b"after!"], "{name}");
        assert_eq!(told.errors.len(), 1, "{name}: {:?}", told.errors);
    }
}

#[test]
fn a_packet_that_claims_more_than_its_block_is_what_is_there() {
    let told = around(|f| {
        let head = [0, 0, 0, 1_000, 1_000]
            .map(|w: u32| w.to_le_bytes())
            .concat();
        f.block(block::ENHANCED_PACKET, &[&head[..], b"liar"].concat());
        let head = [0, 0, 0, u32::MAX, u32::MAX].map(u32::to_le_bytes).concat();
        f.block(block::ENHANCED_PACKET, &head);
        f.block(block::SIMPLE_PACKET, &u32::MAX.to_le_bytes());
    });
    assert_eq!(
        told.packets(),
        [&b"before"[..], b"liar", b"", b"", b"after!"]
    );
}

#[test]
fn too_short_blocks_are_said_and_passed_over() {
    let told = around(|f| {
        f.block(block::ENHANCED_PACKET, &[0; 16]);
        f.block(block::SIMPLE_PACKET, b"")
            .block(block::INTERFACE, &[1, 0]);
        f.block(block::STATISTICS, b"");
    });
    assert_eq!(told.packets(), [b"before", b"after!"]);
    assert_eq!(told.errors.len(), 3, "{:?}", told.errors);
}

#[test]
fn giant_blocks_are_passed_over_unread() {
    // 20 MiB that are there.
    let told = around(|f| {
        let length = (20_u32 << 20).to_le_bytes();
        f.raw(&[0x77, 0, 0, 0]).raw(&length);
        f.raw(&vec![0; (20 << 20) - 12]).raw(&length);
        f.enhanced(0, 1, b"behind", 6);
    });
    assert_eq!(told.packets(), [b"before", b"behind", b"after!"]);
    assert_eq!(told.errors.len(), 1);
    // Four gigabytes that are not: what follows is inside it.
    let told = around(|f| {
        f.raw(&[6, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff]);
    });
    assert_eq!(told.packets()[0], b"before");
    assert_eq!(told.errors.len(), 1, "{:?}", told.errors);
}

#[test]
fn packets_of_nobody_have_no_link_type() {
    let mut f = Savefile::little();
    f.section().enhanced(0, 1, b"early", 5).simple(b"x", 1);
    f.interface(LinkType::ETHERNET, 0, &[])
        .enhanced(1, 1, b"other", 5);
    f.enhanced(u32::MAX, 1, b"far", 3);
    let told = read(f.bytes());
    assert_eq!(told.packets(), [&b"early"[..], b"x", b"other", b"far"]);
    assert!(told.frames.iter().all(|f| f.1 == LinkType(-1)));
}

#[test]
fn a_version_of_tomorrow_is_said() {
    let told = around(|f| {
        let mut section = started(Savefile::little());
        section.enhanced(0, 1, b"unread", 6);
        let mut bytes = section.into_bytes();
        bytes[12] = 2;
        f.raw(&bytes);
    });
    assert_eq!(told.packets(), [b"before", b"after!"]);
    assert_eq!(told.errors.len(), 1);
}

#[test]
fn loops_of_nothing_end() {
    let mut f = Savefile::little();
    for i in 0..20_000 {
        match i % 4 {
            0 => f.section(),
            1 => f.interface(LinkType::ETHERNET, 0, &[(IF_NAME, b"")]),
            2 => f.block(0x77, b""),
            _ => f.enhanced(0, 1, b"", 0),
        };
    }
    assert_eq!(read(f.bytes()).frames.len(), 5_000);
    // Interfaces past any number that a frame could name.
    let mut f = Savefile::little();
    f.section();
    for _ in 0..70_000 {
        f.interface(LinkType::ETHERNET, 0, &[]);
    }
    f.enhanced(65_534, 1, b"the last", 8)
        .enhanced(65_535, 1, b"nobody", 6);
    let told = read(f.bytes());
    assert!(!told.errors.is_empty());
    // Nothing but marks.
    let told = read(&[0x0a, 0x0d, 0x0d, 0x0a].repeat(10_000));
    assert!(told.frames.is_empty() && !told.errors.is_empty());
}

/// Damage is not told for ever, but that there is more of it is.
#[test]
fn endless_damage_is_given_up_with_words() {
    let mut f = started(Savefile::little());
    for _ in 0..1_000 {
        f.block(block::ENHANCED_PACKET, b"");
    }
    f.enhanced(0, 1, b"late", 4);
    let told = read(f.bytes());
    assert!(told.errors.len() <= 16, "{}", told.errors.len());
    let last = told.errors.last().unwrap();
    assert!(last.contains("given up"), "{last}");
}

proptest::proptest! {
    #[test]
    fn any_bytes_end(bytes: Vec<u8>) {
        let _ = read(&[&[0x0a, 0x0d, 0x0d, 0x0a], &bytes[..]].concat());
    }

    #[test]
    fn changed_anywhere_it_ends_and_invents_no_packet(
        changes in proptest::collection::vec((0_usize..400, proptest::num::u8::ANY), 1..8),
    ) {
        let mut f = started(Savefile::little());
        for i in 0..4_u8 {
            f.enhanced(0, u64::from(i), &[0xa0 | i; 23], 23);
            f.statistics(0, &[]);
        }
        let mut bytes = f.into_bytes();
        for (at, byte) in changes {
            if let Some(b) = bytes.get_mut(at) {
                *b = byte;
            }
        }
        let told = read(&bytes);
        proptest::prop_assert!(told.frames.len() <= 12);
        proptest::prop_assert!(told.errors.len() <= 16);
    }
}
