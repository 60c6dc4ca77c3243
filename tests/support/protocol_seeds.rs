//! Seeds of the readers behind the flow: TLS, QUIC, WebSocket, HPACK and what bodies hold.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use apitap::compose::Packet;
use apitap::tls::handshake::Joiner;
use apitap::tls::record::{ContentType, HEADER, Header};

use super::captures::{captures, ethernet_packets};
use super::change::Segment;
use super::tls_talks::{Talk, talks, unhex};

/// Pieces of one connection: the first to speak is 0.
type Said = Vec<(usize, Vec<u8>)>;

/// Connections of a capture, as far as their packets are whole frames of Ethernet.
fn connections(path: &Path) -> Vec<Said> {
    let packets = ethernet_packets(path).unwrap_or_default();
    let mut flows = BTreeMap::<_, (_, Said)>::new();
    for s in packets
        .iter()
        .filter_map(|p: &Packet| Segment::parse(&p.data))
    {
        let (first, said) = flows
            .entry(s.ends())
            .or_insert_with(|| (s.way(), Vec::new()));
        if !s.payload.is_empty() {
            said.push((usize::from(*first != s.way()), s.payload));
        }
    }
    flows.into_values().map(|flow| flow.1).collect()
}

/// As operations: what kind, a length, bytes. The piece at `hole` is lost.
fn operations(said: &Said, hole: Option<usize>) -> Vec<u8> {
    let mut out = Vec::new();
    let pieces = said
        .iter()
        .flat_map(|(side, bytes)| bytes.chunks(255).map(|p| (*side as u8, p)));
    for (n, (side, piece)) in pieces.enumerate() {
        if out.len() > 7 << 10 {
            break;
        }
        if hole == Some(n) {
            out.extend([side, piece.len() as u8]);
        } else {
            out.extend([0x20 | side, piece.len() as u8]);
            out.extend_from_slice(piece);
        }
    }
    out
}

/// Both directions, each as a whole.
fn halves(said: &Said) -> [Vec<u8>; 2] {
    let mut sides: [Vec<u8>; 2] = Default::default();
    for (side, bytes) in said {
        sides[*side].extend_from_slice(bytes);
    }
    sides
}

/// Connections with TLS: captured ones with their key logs, and composed ones.
fn tls() -> Vec<Talk> {
    let mut all = talks();
    for path in captures() {
        let log = std::fs::read(format!("{}.keylog", path.display())).unwrap_or_default();
        let tls = connections(&path).into_iter();
        let tls = tls.filter(|said| said.first().is_some_and(|s| s.1.starts_with(&[22, 3])));
        all.extend(tls.map(|said| Talk {
            log: own_lines(&log, &said),
            said,
        }));
    }
    all
}

/// A key log's lines for a connection: those with its client random.
fn own_lines(log: &[u8], said: &Said) -> Vec<u8> {
    let random: String = said[0]
        .1
        .iter()
        .skip(11)
        .take(32)
        .map(|b| format!("{b:02x}"))
        .collect();
    let text = String::from_utf8_lossy(log);
    let own = text
        .lines()
        .filter(|l| l.to_ascii_lowercase().contains(&random));
    own.flat_map(|l| [l, "\n"]).collect::<String>().into_bytes()
}

pub fn tls_records() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for talk in tls() {
        let ops = operations(&talk.said, None);
        let with = |how: u8, log: &[u8], ops: &[u8]| {
            let length = (log.len() as u16).to_be_bytes();
            [&[how], &length[..], log, ops].concat()
        };
        out.push(with(0, &talk.log, &ops));
        if !talk.log.is_empty() && out.len() < 64 {
            out.push(with(0, &[], &ops));
            // Keys that come behind all records, and a record behind them.
            let late = [&ops[..], &[0x12, 0, 0x20, 1, 21]].concat();
            out.push(with(1, &talk.log, &late));
            // With a premaster secret, were it of somebody else, more of the handshake is kept.
            let premaster = format!("RSA {} {}\n", "5a".repeat(8), "03".repeat(48));
            out.push(with(0, &[&talk.log, premaster.as_bytes()].concat(), &ops));
            for hole in [0, 1, 3, 5, 6] {
                out.push(with(0, &talk.log, &operations(&talk.said, Some(hole))));
            }
        }
    }
    out
}

pub fn tls_hello() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for talk in tls() {
        for stream in halves(&talk.said) {
            let (mut joiner, mut rest, mut clear) = (Joiner::default(), &stream[..], Vec::new());
            while let Ok(Some(header)) = Header::parse(rest)
                && header.kind == ContentType::Handshake
                && rest.len() >= header.total()
            {
                let (record, behind) = rest.split_at(header.total());
                clear.extend_from_slice(&record[HEADER..]);
                rest = behind;
            }
            joiner.push(&clear, |m| match m.kind {
                1 => out.push([&[0], m.body()].concat()),
                2 => out.push([&[1], m.body()].concat()),
                11 => out.push([&[2], m.body()].concat()),
                _ => {}
            });
            clear.truncate(6 << 10);
            out.push([&[3, 7, 0, 50, 20], &clear[..]].concat());
        }
    }
    out
}

pub fn quic_initial() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for seed in tls_hello()
        .into_iter()
        .filter(|seed| seed[0] == 0 && seed.len() < 2_000)
    {
        let body = &seed[1..];
        let length = &(body.len() as u32).to_be_bytes()[1..];
        let hello = [&[1], length, body].concat();
        for how in [0x42, 0x43] {
            out.push([&[how, 7, 99, 3], &hello[..]].concat());
        }
        // Ping, an acknowledgement, then the hello in one frame, padded to a number of eights.
        let mut frames = vec![1, 2, 5, 0, 0, 1, 6, 0];
        frames.extend((0x4000 | hello.len() as u16).to_be_bytes());
        frames.extend_from_slice(&hello);
        frames.resize(frames.len().next_multiple_of(8), 0);
        let (one, two) = frames.split_at(frames.len() / 16 * 8);
        let ops = |op: u8, frames: &[u8]| [&[op, (frames.len() / 8) as u8], frames].concat();
        out.push([vec![0x40, 5], ops(0, &frames)].concat());
        out.push([vec![0x41, 5], ops(2, one), ops(0, two)].concat());
    }
    // Far pieces, more of them than are kept.
    let far = |at: u16| {
        [
            &[6],
            &(0x4000 | (at * 100)).to_be_bytes()[..],
            &[4, 1, 2, 3, 4],
        ]
        .concat()
    };
    let far: Vec<u8> = (1..100).flat_map(far).collect();
    out.push([&[0x40, 5, 0, (far.len() / 8) as u8], &far[..]].concat());
    for path in captures() {
        let udp = ethernet_packets(&path)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|p| {
                let sliced = etherparse::SlicedPacket::from_ethernet(&p.data).ok()?;
                match sliced.transport? {
                    etherparse::TransportSlice::Udp(udp) => Some(udp.payload().to_vec()),
                    _ => None,
                }
            });
        let long = udp.filter(|d| d.first().is_some_and(|b| b & 0xc0 == 0xc0) && d.len() > 200);
        out.extend(long.take(4).map(|d| {
            let mut d = d;
            d.truncate(d.len() / 8 * 8);
            [&[0, 0, 1, (d.len() / 8) as u8], &d[..]].concat()
        }));
    }
    out
}

/// Of frames with `first` as their first byte.
fn frame(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let bit = if masked { 0x80 } else { 0 };
    let mut out = vec![first];
    match payload.len() {
        n @ 0..126 => out.push(bit | n as u8),
        n => {
            out.push(bit | 126);
            out.extend((n as u16).to_be_bytes());
        }
    }
    let mut payload = payload.to_vec();
    if masked {
        out.extend(KEY);
        let key = KEY.into_iter().cycle();
        payload.iter_mut().zip(key).for_each(|(b, k)| *b ^= k);
    }
    out.extend(payload);
    out
}

pub fn websocket() -> Vec<Vec<u8>> {
    let talk = |masked| -> Vec<Vec<u8>> {
        let small = [
            (0x81, &b"Hello"[..]),
            (0x01, b"Hel"),
            (0x80, b"lo"),
            (0x89, b"?"),
        ];
        let more = [
            (0xc1, &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..]),
            (0x82, &[7; 300]),
            (0x8a, b"!"),
        ];
        let close = [(0x88, &b"\x03\xe8bye"[..])];
        let all = small.into_iter().chain(more).chain(close);
        all.map(|(first, payload)| frame(first, payload, masked))
            .collect()
    };
    let (up, down) = (talk(true), talk(false));
    let mut composed = Said::new();
    for (up, down) in up.into_iter().zip(down) {
        composed.extend([(0, up), (1, down)]);
    }
    let mut all = vec![composed];
    for path in captures() {
        for said in connections(&path) {
            let asked = said
                .iter()
                .any(|(_, b)| memchr::memmem::find(b, b"ebsocket").is_some());
            let heads: Vec<_> = said.iter().filter(|(_, b)| !is_head(b)).cloned().collect();
            if asked && !heads.is_empty() {
                all.push(heads);
            }
        }
    }
    let mut out = Vec::new();
    for said in &all {
        let [mut client, mut server] = halves(said);
        let half = client.len().min(server.len()).min(4 << 10);
        client.truncate(half);
        server.truncate(half);
        for agreed in 0..4 {
            for hole in [None, Some(1), Some(4)] {
                out.push([&[agreed, 0], &operations(said, hole)[..]].concat());
            }
            out.push([&[0x80 | agreed], &client[..], &server].concat());
        }
        let mut ops = vec![0xc0 | 0x15];
        for (i, (_, bytes)) in said.iter().enumerate().take(8) {
            let piece = &bytes[..bytes.len().min(200)];
            ops.extend([(i as u8) << 2, piece.len() as u8]);
            ops.extend_from_slice(piece);
        }
        out.push(ops);
    }
    for how in 0..16 {
        // "Hello" of RFC 7692, section 7.2.3.1, compressed as there and compressed here.
        let hello = *b"\x01\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x02\x05Hello\x0e\x05Hello";
        out.push([&[0xc0 | (how * 3)], &hello[..]].concat());
    }
    out
}

fn is_head(bytes: &[u8]) -> bool {
    bytes.starts_with(b"GET ") || bytes.starts_with(b"HTTP/1.1 ")
}

/// Blocks of the published connections where they are, and of RFC 7541, appendix C.
pub fn hpack() -> Vec<Vec<u8>> {
    let wires = |text: &[&str]| text.iter().map(|wire| unhex(wire)).collect::<Vec<_>>();
    let mut stories = vec![
        wires(&[
            "828684410f7777772e6578616d706c652e636f6d",
            "828684be58086e6f2d6361636865",
            "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        ]),
        wires(&[
            "828684418cf1e3c2e5f23a6ba0ab90f4ff",
            "828684be5886a8eb10649cbf",
            "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
        ]),
        wires(&[
            "3fe101488264025885aec3771a4b61",
            "4883640effc1c0bf",
            "203fe11f82",
        ]),
        wires(&[
            "100870617373776f726406736563726574",
            "040c2f73616d706c652f70617468",
            "20be",
        ]),
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/hpack");
    let folders = std::fs::read_dir(&root).into_iter().flatten();
    let files = folders.filter_map(|folder| std::fs::read_dir(folder.unwrap().path()).ok());
    let mut paths: Vec<_> = files.flatten().map(|file| file.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().step_by(9) {
        let file = std::fs::File::open(path).unwrap();
        let text = std::io::read_to_string(flate2::read::GzDecoder::new(file)).unwrap();
        let story: serde_json::Value = serde_json::from_str(&text).unwrap();
        let cases = story["cases"].as_array().unwrap().iter().take(24);
        stories.push(
            cases
                .map(|case| unhex(case["wire"].as_str().unwrap()))
                .collect(),
        );
    }
    let mut out = Vec::new();
    for story in &stories {
        for join in [0, 1, 2, 5, 255] {
            let mut seed = vec![join];
            for block in story {
                if seed.len() + block.len() < 3 << 10 {
                    seed.extend((block.len() as u16).to_be_bytes());
                    seed.extend_from_slice(block);
                }
            }
            out.push(seed);
        }
    }
    out
}
