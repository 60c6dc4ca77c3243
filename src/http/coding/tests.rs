use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::meter::ENDLESS_FREE;
use super::*;

const ALL: [&str; 5] = ["gzip", "deflate", "bare", "br", "zstd"];

/// `bare` is deflate without zlib's wrapper, which goes by the same name.
fn encode(coding: &str, content: &[u8]) -> Vec<u8> {
    let level = Compression::new(6);
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        "bare" => deflated(content, level),
        "br" => {
            let mut encoded = Vec::new();
            let params = ::brotli::enc::BrotliEncoderParams {
                quality: 5,
                ..Default::default()
            };
            ::brotli::BrotliCompress(&mut &content[..], &mut encoded, &params).unwrap();
            encoded
        }
        "zstd" => {
            ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
        }
        _ => unreachable!(),
    }
}

fn deflated(content: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), level);
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Codings in the order of the field, applied and named.
fn stack(codings: &[&str], content: &[u8]) -> (Codings, Vec<u8>) {
    let field = codings.join(", ").replace("bare", "deflate");
    let encoded = codings
        .iter()
        .fold(content.to_vec(), |body, coding| encode(coding, &body));
    (Codings::parse(field.as_bytes()), encoded)
}

fn decode(codings: Codings, limits: Limits, body: &[u8], step: usize) -> (Status, Vec<u8>) {
    let (mut decoder, mut content) = (Decoder::new(codings, limits), Vec::new());
    for piece in body.chunks(step) {
        decoder.feed(piece, &mut content);
    }
    let status = decoder.finish(&mut content);
    (status, content)
}

/// Words and numbers, as an API would say them.
fn prose(len: usize) -> Vec<u8> {
    let text = (0_u64..).flat_map(|n| {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        format!("{{\"id\":{n},\"user\":\"user-{mixed}\"}},").into_bytes()
    });
    text.take(len).collect()
}

#[test]
fn a_field_names_the_codings() {
    let known = |value: &str| {
        let codings = Codings::parse(value.as_bytes());
        assert!(!codings.unsupported, "{value}");
        codings.list.into_iter().flatten().collect::<Vec<_>>()
    };
    assert_eq!(known(" GZip "), [Coding::Gzip]);
    assert_eq!(known("x-gzip,, identity"), [Coding::Gzip]);
    assert_eq!(
        known("zstd, br,deflate"),
        [Coding::Zstd, Coding::Brotli, Coding::Deflate]
    );
    assert!(Codings::parse(b"").is_identity());
    assert!(Codings::parse(b"identity, ").is_identity());
    for unknown in [
        "compress",
        "x-compress",
        "gzip;q=1",
        "gzip gzip",
        "\u{e4}",
        "dcb",
    ] {
        let codings = Codings::parse(unknown.as_bytes());
        assert!(!codings.is_identity());
        let mut decoder = Decoder::new(codings, Limits::new(10));
        assert_eq!(
            decoder.feed(b"x", &mut Vec::new()),
            Status::Unsupported,
            "{unknown}"
        );
    }
    let mut lines = Codings::parse(b"gzip");
    lines.add(b"br");
    assert_eq!(lines, Codings::parse(b"gzip, br"));
    assert!(!Codings::parse(b"br,br,br,br").unsupported);
    assert!(Codings::parse(b"br,br,br,br,br").unsupported);
}

#[test]
fn every_coding_at_every_step() {
    let content = prose(3_000);
    for coding in ALL {
        let (codings, body) = stack(&[coding], &content);
        for step in (1..40).chain([100, 1_000, usize::MAX]) {
            let got = decode(codings, Limits::new(1 << 20), &body, step);
            assert!(
                got == (Status::Whole, content.clone()),
                "{coding} by {step}: {:?}",
                got.0
            );
        }
    }
}

#[test]
fn no_content_and_large_content() {
    for coding in ALL {
        for content in [Vec::new(), prose(1), prose(700_000)] {
            let (codings, body) = stack(&[coding], &content);
            let got = decode(codings, Limits::new(1 << 20), &body, 1_460);
            assert!(got == (Status::Whole, content), "{coding}: {:?}", got.0);
        }
        let codings = stack(&[coding], b"").0;
        assert_eq!(
            decode(codings, Limits::new(1), b"", 1),
            (Status::Whole, Vec::new())
        );
    }
    let identity = decode(Codings::default(), Limits::new(5), b"hello", 2);
    assert_eq!(identity, (Status::Whole, b"hello".to_vec()));
}

#[test]
fn codings_stacked_at_every_step() {
    let content = prose(2_000);
    for codings in [
        &["zstd", "br", "gzip"][..],
        &["gzip", "zstd", "deflate"],
        &["bare", "gzip"],
        &["br", "bare", "zstd"],
        &["gzip", "gzip", "gzip", "gzip"],
    ] {
        let (parsed, body) = stack(codings, &content);
        for step in (1..20).chain([100, usize::MAX]) {
            let got = decode(parsed, Limits::new(1 << 20), &body, step);
            assert!(
                got == (Status::Whole, content.clone()),
                "{codings:?} by {step}: {:?}",
                got.0
            );
        }
    }
}

#[test]
fn cut_at_every_offset_what_came_stands() {
    let content = prose(1_500);
    for codings in [
        &["gzip"][..],
        &["deflate"],
        &["bare"],
        &["br"],
        &["zstd"],
        &["zstd", "br", "gzip"],
    ] {
        let (parsed, body) = stack(codings, &content);
        let mut last = 0;
        for cut in 1..=body.len() {
            let (status, got) = decode(parsed, Limits::new(1 << 20), &body[..cut], 64);
            assert!(content.starts_with(&got), "{codings:?} at {cut}");
            // Behind the content's end there are checksums, and blocks of nothing.
            assert!(
                status == Status::More || got == content,
                "{codings:?} at {cut}: {status:?}"
            );
            assert!(got.len() >= last, "{codings:?} at {cut}");
            last = got.len();
        }
        assert_eq!(last, content.len(), "{codings:?}");
    }
}

#[test]
fn a_zstd_frame_without_end_gives_its_blocks() {
    let (codings, mut body) = stack(&["zstd"], &prose(300_000));
    body.truncate(body.len() - 100);
    let (status, got) = decode(codings, Limits::new(1 << 20), &body, 1_000);
    assert_eq!((status, got.len()), (Status::More, 256 << 10));
    body.extend([0xff; 200_000]);
    let (status, got) = decode(codings, Limits::new(1 << 20), &body, 1_000);
    assert_eq!((status, got.len()), (Status::Broken, 256 << 10));
}

#[test]
fn the_cap_cuts_exactly() {
    let content = prose(60_000);
    for coding in ALL {
        let (codings, body) = stack(&[coding], &content);
        for (cap, status) in [
            (0, Status::Full),
            (1, Status::Full),
            (4_096, Status::Full),
            (59_999, Status::Full),
            (60_000, Status::Whole),
        ] {
            for step in [1_000, usize::MAX] {
                let got = decode(codings, Limits::new(cap), &body, step);
                assert!(
                    got == (status, content[..cap].to_vec()),
                    "{coding} {cap}: {:?}",
                    got.0
                );
            }
        }
    }
}

#[test]
fn after_a_stop_nothing_is_held_and_nothing_more_is_done() {
    let content = prose(60_000);
    for coding in ALL {
        let (codings, body) = stack(&[coding], &content);
        let (mut decoder, mut out) = (Decoder::new(codings, Limits::new(10)), Vec::new());
        assert_eq!(decoder.memory(), 0);
        decoder.feed(&body[..5], &mut out);
        assert!(decoder.memory() > 0, "{coding}");
        assert_eq!(decoder.feed(&body[5..], &mut out), Status::Full);
        assert_eq!(decoder.memory(), 0);
        assert_eq!(decoder.feed(&body, &mut out), Status::Full);
        assert_eq!(out, content[..10]);
    }
}

#[test]
fn gzip_of_many_members_with_every_field() {
    let raw = encode("bare", b"content");
    let trailer = [0; 8];
    for flags in 0..0x20_u8 {
        let mut member = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
        if flags & 4 != 0 {
            member.extend(b"\x03\x00abc");
        }
        if flags & 8 != 0 {
            member.extend(b"name\0");
        }
        if flags & 16 != 0 {
            member.extend(b"\0");
        }
        if flags & 2 != 0 {
            member.extend(b"\x12\x34");
        }
        member.extend(&raw);
        member.extend(trailer);
        let twice = [&member[..], &member, b"\0\0padding"].concat();
        for step in [1, 3, usize::MAX] {
            let got = decode(Codings::parse(b"x-gzip"), Limits::new(100), &twice, step);
            assert_eq!(
                got,
                (Status::Whole, b"contentcontent".to_vec()),
                "{flags:x}"
            );
        }
    }
    let no_extra = [
        &[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 3, 0, 0],
        &raw[..],
        &trailer,
    ]
    .concat();
    let got = decode(Codings::parse(b"gzip"), Limits::new(100), &no_extra, 1);
    assert_eq!(got, (Status::Whole, b"content".to_vec()));
    for bad in [
        &b"{\"a\":1}"[..],
        b"\x1f\x8c",
        b"\x1f\x8b\x07",
        b"\x1f\x8b\x08\xe0",
    ] {
        assert_eq!(
            decode(Codings::parse(b"gzip"), Limits::new(9), bad, 1).0,
            Status::Broken
        );
    }
}

/// A stored block whose padding makes its first bytes a zlib header: both readings are possible
/// until the zlib one breaks.
#[test]
fn bare_deflate_that_begins_like_zlib() {
    let length = u16::from_le_bytes([0x9c, 0]).to_le_bytes();
    let mut body = vec![0x78, length[0], length[1], !length[0], !length[1]];
    body.extend(prose(0x9c));
    body.extend(encode("bare", b" and more"));
    for step in 1..body.len() {
        let (status, got) = decode(Codings::parse(b"deflate"), Limits::new(1_000), &body, step);
        assert_eq!(status, Status::Whole, "{step}");
        assert_eq!(got, [&prose(0x9c)[..], b" and more"].concat());
    }
}

#[test]
fn what_follows_the_end_is_ignored() {
    for coding in ALL {
        let (codings, mut body) = stack(&[coding], b"content");
        body.extend([0xaa; 100_000]);
        let got = decode(codings, Limits::new(100), &body, 10);
        assert_eq!(got, (Status::Whole, b"content".to_vec()), "{coding}");
    }
}

#[test]
fn zstd_frames_and_what_they_may_ask_for() {
    let frame = |header: &[u8], rest: &[u8]| [&b"\x28\xb5\x2f\xfd"[..], header, rest].concat();
    let raw = b"\x11\0\0hi";
    let zstd = |body: &[u8], step| decode(Codings::parse(b"zstd"), Limits::new(100), body, step);
    let hi = (Status::Whole, b"hi".to_vec());
    let skippable = b"\x5a\x2a\x4d\x18\x03\0\0\0abc";
    for step in [1, 4, usize::MAX] {
        // Window, content size of each length, checksum, the dictionary that is none.
        assert_eq!(zstd(&frame(b"\x00\x00", raw), step), hi);
        assert_eq!(zstd(&frame(b"\x20\x02", raw), step), hi);
        assert_eq!(zstd(&frame(b"\x60\x02\0", raw), step), hi);
        assert_eq!(zstd(&frame(b"\xa0\x02\0\0\0", raw), step), hi);
        assert_eq!(zstd(&frame(b"\xe0\x02\0\0\0\0\0\0\0", raw), step), hi);
        assert_eq!(
            zstd(&frame(b"\x04\x00", &[&raw[..], b"sum!"].concat()), step),
            hi
        );
        assert_eq!(zstd(&frame(b"\x01\x00\x00", raw), step), hi);
        let many = [skippable, &frame(b"\x00\x00", raw)[..], skippable].concat();
        assert_eq!(zstd(&many, step), hi);
        // A window of 3.75 TiB, and a content of 16 EiB in one segment, of which ten bytes matter.
        assert_eq!(zstd(&frame(b"\x00\xff", raw), step), hi);
        assert_eq!(
            zstd(
                &frame(&[0xe0, 255, 255, 255, 255, 255, 255, 255, 255], raw),
                step
            ),
            hi
        );
        assert_eq!(
            zstd(&frame(b"\x01\x00\x07", raw), step).0,
            Status::Unsupported
        );
        assert_eq!(
            zstd(&frame(b"\x00\x00", b"\x07\0\0"), step).0,
            Status::Broken
        );
        assert_eq!(
            zstd(&frame(b"\x00\x00", b"\x05\0\xff"), step).0,
            Status::Broken
        );
        assert_eq!(zstd(b"{\"a\":1}", step).0, Status::Broken);
    }
    let needed = Limits::new(64 << 20);
    let wide = frame(b"\x00\xff", raw);
    assert_eq!(
        decode(Codings::parse(b"zstd"), needed, &wide, 9).0,
        Status::Unsupported
    );
}

/// 32,512 matches of 131,074 bytes each in one block: 4 GiB, were it taken at its word.
#[test]
fn a_zstd_block_gives_no_more_than_a_block() {
    let mut block = vec![0x01, b'a', 0xff, 0, 0, 0b0101_0100, 0, 0, 52];
    block.extend([0xff; 32_512 * 2]);
    block.push(1);
    let header = ((block.len() as u32) << 3 | 2 << 1).to_le_bytes();
    let content = b"0123456789";
    let first = [&[80, 0, 0], &content[..]].concat();
    let body = [
        b"\x28\xb5\x2f\xfd\x00\x58",
        &first[..],
        &header[..3],
        &block,
    ]
    .concat();
    let (status, got) = decode(Codings::parse(b"zstd"), Limits::new(1 << 20), &body, 1_000);
    assert_eq!(status, Status::Broken);
    assert!(
        got.starts_with(content) && got.len() <= 512 << 10,
        "{}",
        got.len()
    );
}

#[test]
fn brotli_with_a_large_window_is_refused() {
    let got = decode(
        Codings::parse(b"br"),
        Limits::new(100),
        &[0x11, 0x1e, 0x03],
        1,
    );
    assert_eq!(got.0, Status::Broken);
}

/// 1 GiB of zeros.
fn bomb(coding: &str) -> Vec<u8> {
    const MIB: usize = 1 << 20;
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::best());
    deflated.write_all(&vec![0; 16 * MIB]).unwrap();
    deflated.flush().unwrap();
    // Flushed, the stream so far ends at a byte and can be said again.
    let deflated = deflated.get_ref().repeat(64);
    match coding {
        "bare" => deflated,
        "deflate" => [&[0x78, 0x9c], &deflated[..]].concat(),
        "gzip" => [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], &deflated[..]].concat(),
        "br" => {
            let mut encoder = ::brotli::CompressorWriter::new(Vec::new(), 1 << 16, 2, 22);
            for _ in 0..1024 {
                encoder.write_all(&[0; MIB]).unwrap();
            }
            encoder.into_inner()
        }
        _ => {
            // Blocks of 128 KiB, each one byte said again.
            let mut body = b"\x28\xb5\x2f\xfd\x00\x58".to_vec();
            (0..8_192).for_each(|_| body.extend(b"\x02\x00\x10\x00"));
            body
        }
    }
}

/// Feeds small pieces up to the stop; the status, the bytes that it took, and the content's length.
fn stop(codings: Codings, limits: Limits, body: &[u8]) -> (Status, usize, usize) {
    let (mut decoder, mut content, mut fed) = (Decoder::new(codings, limits), Vec::new(), 0);
    for piece in body.chunks(16) {
        fed += piece.len();
        let status = decoder.feed(piece, &mut content);
        assert!(decoder.memory() <= MAX_MEMORY * codings.len());
        if status != Status::More {
            assert_eq!(decoder.memory(), 0);
            return (status, fed, content.len());
        }
    }
    (decoder.finish(&mut content), fed, content.len())
}

#[test]
fn a_bomb_costs_at_most_the_cap() {
    for coding in ALL {
        let (body, codings) = (bomb(coding), stack(&[coding], b"").0);
        let (status, fed, content) = stop(codings, Limits::new(64 << 10), &body);
        assert_eq!((status, content), (Status::Full, 64 << 10), "{coding}");
        assert!(fed <= 256, "{coding}: {fed}");
        let (status, fed, content) = stop(
            codings,
            Limits {
                output: 64 << 20,
                ratio: 100,
            },
            &body,
        );
        assert_eq!(status, Status::Bomb, "{coding}");
        assert!(
            content <= (64 << 10) + 100 * fed + PIECE,
            "{coding}: {content}"
        );
        assert!(fed <= 4_096, "{coding}: {fed}");
    }
}

/// Content of a body without end in pieces of `step`, and the most that was held.
fn endless(coding: &str, body: &[u8], step: usize) -> (Status, Vec<u8>, usize) {
    let mut decoder = Decoder::endless(stack(&[coding], b"").0);
    let (mut content, mut held) = (Vec::new(), 0);
    for piece in body.chunks(step) {
        decoder.feed(piece, &mut content);
        held = held.max(decoder.memory());
    }
    let status = decoder.finish(&mut content);
    (status, content, held)
}

/// As a server sends what it has, piece by piece.
fn flushed(coding: &str, content: &[u8]) -> Vec<u8> {
    if coding != "br" {
        return encode(coding, content);
    }
    let mut encoder = ::brotli::CompressorWriter::new(Vec::new(), 4_096, 5, 22);
    for piece in content.chunks(4_000) {
        encoder.write_all(piece).unwrap();
        encoder.flush().unwrap();
    }
    encoder.into_inner()
}

#[test]
fn a_body_without_end_is_all_given_and_little_is_held() {
    let content = prose(3 << 20);
    for coding in ["gzip", "deflate", "bare"] {
        let body = encode(coding, &content);
        let (status, got, held) = endless(coding, &body, 1_460);
        assert!(status == Status::Whole && got == content, "{coding}");
        assert!(held < 64 << 10, "{coding}: {held}");
    }
    // The other two as far as their windows are small: what is given is right in any case.
    for coding in ["br", "zstd"] {
        let short = &content[..200 << 10];
        let (status, got, held) = endless(coding, &encode(coding, short), 100);
        assert!(status == Status::Whole && got == short, "{coding}");
        assert!(held <= ENDLESS_MEMORY, "{coding}: {held}");
        let (status, got, held) = endless(coding, &flushed(coding, &content), 1_460);
        assert!(
            content.starts_with(&got) && got.len() >= 512 << 10,
            "{coding}"
        );
        assert!(held <= ENDLESS_MEMORY, "{coding}: {held}, {status:?}");
    }
}

#[test]
fn a_bomb_in_a_body_without_end_has_no_credit() {
    for coding in ["gzip", "deflate", "bare"] {
        // Half a megabyte of content first that is hardly smaller on the wire.
        let noise: Vec<u8> = (0_u64..1 << 16)
            .flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
            .collect();
        let bomb = [&noise[..], &vec![0; 64 << 20]].concat();
        let (status, got, _) = endless(coding, &encode(coding, &bomb), 16);
        assert_eq!(status, Status::Bomb, "{coding}");
        assert!(got.starts_with(&noise));
        let swollen = (got.len() - noise.len()) as u64;
        assert!(swollen < 2 * ENDLESS_FREE, "{coding}: {swollen}");
    }
    for coding in ALL {
        let body = bomb(coding);
        let (status, got, held) = endless(coding, &body[..body.len().min(100_000)], 16);
        assert!(matches!(status, Status::Bomb | Status::Full), "{coding}");
        assert!(
            got.len() as u64 <= 2 * ENDLESS_FREE,
            "{coding}: {}",
            got.len()
        );
        assert!(held <= ENDLESS_MEMORY, "{coding}: {held}");
    }
}

#[test]
fn a_bomb_in_a_bomb_costs_no_more() {
    let mut outer = ZlibEncoder::new(Vec::new(), Compression::best());
    outer.write_all(&bomb("gzip")).unwrap();
    let body = encode("gzip", &outer.finish().unwrap());
    assert!(body.len() < 20_000, "{}", body.len());
    let codings = Codings::parse(b"gzip, deflate, gzip");
    let (status, fed, content) = stop(codings, Limits::new(1 << 20), &body);
    assert!(matches!(status, Status::Bomb | Status::Full), "{status:?}");
    assert!(content <= 1 << 20 && fed <= body.len());

    // The outer coding swells, the inner one makes nothing of it.
    let swollen = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3], &[b'n'; 64 << 20][..]].concat();
    let body = encode("gzip", &swollen);
    let (status, fed, content) = stop(Codings::parse(b"gzip, gzip"), Limits::new(4_096), &body);
    assert_eq!((status, content), (Status::Bomb, 0));
    assert!(fed < 2_000, "{fed}");
}

/// Streams that go on for ever and say nothing.
#[test]
fn bytes_without_content_are_not_taken_for_ever() {
    let endless =
        |head: &[u8], again: &[u8]| [head, &again.repeat((8 << 20) / again.len())].concat();
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let named = [0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3];
    let empty_member = [&gzip[..], &[3, 0], &[0; 8]].concat();
    for (coding, body) in [
        ("gzip", endless(&named, b"n")),
        ("gzip", endless(b"", &empty_member)),
        // A stored block of no bytes, and fixed ones.
        ("gzip", endless(&gzip, &[0, 0, 0, 0xff, 0xff])),
        ("deflate", endless(&[0x78, 0x9c], &[0, 0, 0, 0xff, 0xff])),
        ("deflate", endless(b"", &[0x02, 0x08, 0x20, 0x80, 0x00])),
        // Metadata of no bytes.
        ("br", endless(&[0x0c], &[0x06])),
        ("zstd", endless(b"", &[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0])),
        (
            "zstd",
            endless(b"", &[0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff]),
        ),
        ("zstd", endless(b"\x28\xb5\x2f\xfd\x00\x00", &[0, 0, 0])),
        ("zstd", endless(b"", b"\x28\xb5\x2f\xfd\x00\x00\x01\0\0")),
    ] {
        let (status, fed, content) =
            stop(Codings::parse(coding.as_bytes()), Limits::new(4_096), &body);
        assert_eq!(
            (status, content),
            (Status::Bomb, 0),
            "{coding} {:x?}",
            &body[..12]
        );
        assert!(fed <= 200 << 10, "{coding}: {fed}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(data in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz_coding(&data);
    }

    /// Bare deflate says the same as another's reader, of damaged streams too.
    #[test]
    fn inflate_agrees_with_flate2(
        len in 0_usize..6_000, level in 0_u32..10, noise in prop::collection::vec(any::<u8>(), 0..300),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 0..3), step in 1_usize..600,
    ) {
        let content = [&prose(len)[..], &noise, &prose(len)].concat();
        let mut body = deflated(&content, Compression::new(level));
        let damaged = !flips.is_empty();
        for (at, bit) in flips {
            let at = at.index(body.len());
            body[at] ^= 1 << bit;
        }
        let mut theirs = Vec::with_capacity(8 << 20);
        let mut other = flate2::Decompress::new(false);
        let status = other.decompress_vec(&body, &mut theirs, flate2::FlushDecompress::None);
        let (mut inflate, mut ours, mut broken) = (inflate::Inflate::new(), Vec::new(), false);
        let mut output = [0; 700];
        let (mut at, mut made) = (0, 1);
        while !broken && !inflate.is_over() && (at < body.len() || made > 0) {
            let got = inflate.step(&body[at..body.len().min(at + step)], &mut output);
            (at, made, broken) = (at + got.used, got.made, got.status == Status::Broken);
            ours.extend_from_slice(&output[..made]);
        }
        // It takes distances from before the stream's first byte, which RFC 1951 does not have.
        if broken {
            prop_assert!(damaged && theirs.starts_with(&ours));
        } else {
            prop_assert!(ours == theirs);
            prop_assert_eq!(inflate.is_over(), matches!(status, Ok(flate2::Status::StreamEnd)));
            prop_assert!(damaged || inflate.is_over() && ours == content);
            prop_assert_eq!(at as u64, other.total_in());
        }
    }

    /// Valid streams with some bits turned, bytes gone, or cut off.
    #[test]
    fn damaged_streams_are_survived(
        first in 0_usize..4, second in 0_usize..8, len in 0_usize..3_000, cap in 0_u8..16, step in any::<u8>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..10), 0..6),
    ) {
        let names = ["gzip", "deflate", "br", "zstd"];
        let mut codings = vec![names[first]];
        codings.extend(names.get(second));
        let mut body = stack(&codings, &prose(len)).1;
        for (at, what) in flips {
            let at = at.index(body.len().max(1));
            match what {
                0..8 if at < body.len() => body[at] ^= 1 << what,
                8 if at < body.len() => { body.remove(at); }
                _ => body.truncate(at),
            }
        }
        let choice = (first | second << 2) as u8;
        fuzz_coding(&[&[choice, cap, step], &body[..]].concat());
    }
}
