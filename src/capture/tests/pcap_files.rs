//! Classic pcap, as libpcap reads it for us.

use super::*;

/// 1 s and 123 456 789 ns.
const NANOS: i64 = 1_123_456_789;

#[test]
fn both_byte_orders_and_both_resolutions() {
    for big in [false, true] {
        for nanos in [false, true] {
            let f = if big {
                Savefile::big()
            } else {
                Savefile::little()
            };
            let mut f = if nanos { f.nanoseconds() } else { f };
            f.pcap(LinkType::LINUX_SLL);
            f.packet(&packet(NANOS, b"first"))
                .packet(&packet(NANOS + 1_000, b""));
            f.record(&packet(NANOS, b"cut"), 3, 1_500);
            let told = read(f.bytes());
            let ts = if nanos { NANOS } else { NANOS / 1_000 * 1_000 };
            let frame = |at: i64, data: &[u8], wire| {
                (
                    Timestamp(at),
                    LinkType::LINUX_SLL,
                    data.to_vec(),
                    wire,
                    "x".to_owned(),
                )
            };
            let expected = Told {
                frames: vec![
                    frame(ts, b"first", 5),
                    frame(ts + 1_000, b"", 0),
                    frame(ts, b"cut", 1_500),
                ],
                ..Told::default()
            };
            assert_eq!(told, expected, "big {big} nanos {nanos}");
        }
    }
}

#[test]
fn raw_ip_has_one_name_whatever_wrote_it() {
    for number in [12, 14, 101] {
        let mut f = Savefile::little();
        f.pcap(LinkType(number)).packet(&packet(0, b"x"));
        let told = read(f.bytes());
        assert_eq!(told.frames[0].1, LinkType::RAW, "{number}");
    }
}

#[test]
fn cut_anywhere_the_whole_records_are_read_and_the_rest_is_said() {
    let mut f = Savefile::little();
    f.pcap(LinkType::ETHERNET);
    let texts: [&[u8]; 4] = [b"first", b"", b"the third", b"4"];
    let mut ends = vec![f.bytes().len()];
    for text in texts {
        f.packet(&packet(NANOS, text));
        ends.push(f.bytes().len());
    }
    for cut in 0..=f.bytes().len() {
        let told = read(&f.bytes()[..cut]);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(
            told.packets(),
            texts[..whole.saturating_sub(1)],
            "cut at {cut}"
        );
        let clean = ends.contains(&cut);
        assert_eq!(
            told.errors.is_empty(),
            clean,
            "cut at {cut}: {:?}",
            told.errors
        );
    }
}

#[test]
fn lengths_that_lie_are_said() {
    let lies = [
        // More than the file has; more than any packet; as much as there is, and "negative".
        (1_000, 1_000),
        (300_000_000, 300_000_000),
        (u32::MAX, u32::MAX),
        (0x8000_0000, 5),
    ];
    for (captured, wire) in lies {
        let mut f = Savefile::little();
        f.pcap(LinkType::ETHERNET).packet(&packet(NANOS, b"sound"));
        f.record(&packet(NANOS, b"liar!"), captured, wire);
        let told = read(f.bytes());
        assert_eq!(told.packets(), [b"sound"], "{captured}");
        assert_eq!(told.errors.len(), 1, "{captured}: {:?}", told.errors);
    }
    // Longer in the file than on the wire: taken as it stands.
    let mut f = Savefile::little();
    f.pcap(LinkType::ETHERNET)
        .record(&packet(NANOS, b"five!"), 5, 2);
    assert_eq!(read(f.bytes()).packets(), [b"five!"]);
}

#[test]
fn zero_records_are_read_and_end() {
    let mut f = Savefile::little();
    f.pcap(LinkType::ETHERNET);
    for _ in 0..5_000 {
        f.packet(&packet(0, b""));
    }
    assert_eq!(read(f.bytes()).frames.len(), 5_000);
}

#[test]
fn what_is_no_capture_is_refused_with_words() {
    let mut version = Savefile::little();
    version.pcap(LinkType::ETHERNET).packet(&packet(0, b"x"));
    let mut version = version.into_bytes();
    version[4] = 9;
    for bytes in [
        &b""[..],
        b"x",
        b"GET / HTTP/1.1\r\n\r\n",
        &[0; 64],
        &version,
    ] {
        let told = read(bytes);
        assert!(told.frames.is_empty());
        assert_eq!(told.errors.len(), 1, "{bytes:?}");
        assert!(told.errors[0].len() > 20, "{:?}", told.errors);
    }
}

#[test]
fn packed_and_cut_anywhere_it_gives_what_it_has() {
    use std::io::Write;
    let mut f = Savefile::little();
    f.pcap(LinkType::ETHERNET);
    for i in 0..40_u8 {
        f.packet(&packet(NANOS, &[i.wrapping_mul(37); 50]));
    }
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(f.bytes()).unwrap();
    let packed = gz.finish().unwrap();
    let whole = read(f.bytes());
    assert_eq!(read(&packed), whole);
    for cut in 0..packed.len() {
        let told = read(&packed[..cut]);
        assert!(!told.errors.is_empty(), "cut at {cut}");
        assert!(whole.frames.starts_with(&told.frames), "cut at {cut}");
    }
}
