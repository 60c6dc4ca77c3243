//! Where fuzzing begins: the captures of `../shared`, and composed ones, in each entry's own form.
// Each test uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use apitap::capture::{FileSource, Frame, LinkType, Polled, Source};
use apitap::compose::Packet;
use apitap::compose::savefile::Savefile;
use apitap::compose::tunnel::Wrap;
use apitap::fuzzing::LINKS;

use super::captures::captures;
use super::change::Segment;
use super::replay::Rng;
use super::talks::world;
use super::{content_seeds, protocol_seeds};

/// Longer ones are slow, and hold nothing that shorter ones do not.
const MOST: usize = 16 << 10;

/// Seeds of one entry.
pub fn seeds(entry: &str) -> Vec<Vec<u8>> {
    let mut all = match entry {
        "decode_link" => frames(),
        "fragments" | "reassembler" => operations(),
        "pcapng" => files(true),
        "pcap_file" => files(false),
        "http1" => streams().0,
        "http2" => frames_of_http2(streams().0),
        "http1_steps" => streams().1,
        "hpack" => protocol_seeds::hpack(),
        "coding" => content_seeds::coding(),
        "websocket" => protocol_seeds::websocket(),
        "events" => content_seeds::events(),
        "proxy" => content_seeds::proxy(),
        "graphql" => content_seeds::graphql(),
        "tls_records" => protocol_seeds::tls_records(),
        "tls_hello" => protocol_seeds::tls_hello(),
        "quic_initial" => protocol_seeds::quic_initial(),
        other => panic!("no seeds for {other}"),
    };
    all.retain(|seed| seed.len() <= MOST);
    assert!(all.len() > 20, "{entry}: {} seeds", all.len());
    all
}

fn each_frame(path: &Path, mut sink: impl FnMut(&Frame<'_>)) {
    let Ok(mut source) = FileSource::open(path) else {
        return;
    };
    while !matches!(
        source.poll(Duration::ZERO, &mut |f| sink(&f)),
        Ok(Polled::End)
    ) {}
}

/// Link type, a byte for the snap length, the frame.
fn frames() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut seed = |link: LinkType, data: &[u8]| {
        if let Some(index) = LINKS.iter().position(|l| *l == link) {
            out.push([&[index as u8, 0], data].concat());
        }
    };
    let (packets, _) = world(1, 1);
    for wrap in Wrap::ALL {
        for p in packets
            .iter()
            .skip(3)
            .take(2)
            .filter(|p| wrap.takes(&p.data))
        {
            let once = wrap.encapsulate(&p.data);
            let link = wrap.link(&p.data);
            seed(link, &once);
            if link == LinkType::ETHERNET {
                seed(link, &Wrap::Geneve.encapsulate(&once));
            }
        }
    }
    for file in captures() {
        let mut left = 12;
        each_frame(&file, |f| {
            if left > 0 {
                left -= 1;
                seed(f.link, f.data);
            }
        });
    }
    out
}

fn files(ng: bool) -> Vec<Vec<u8>> {
    const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
    let mut out = Vec::new();
    for i in 0..24 {
        let (packets, _) = world(i, 1);
        let mut f = if i % 2 == 0 {
            Savefile::little()
        } else {
            Savefile::big()
        };
        if ng {
            f.section()
                .interface(LinkType::ETHERNET, 0, &[(9, &[(i % 10) as u8])]);
            for p in packets.iter().take(6) {
                f.enhanced(0, p.ts.nanos() as u64, &p.data, p.data.len() as u32);
                f.simple(&p.data, 60).statistics(0, &[(5, &[1; 8])]);
            }
            out.push(f.bytes()[4..].to_vec());
        } else {
            f.pcap(LinkType::ETHERNET);
            for p in packets.iter().take(6) {
                f.packet(p);
            }
            out.push(f.into_bytes());
        }
    }
    for file in captures() {
        let bytes = std::fs::read(&file).unwrap();
        match bytes.strip_prefix(&MAGIC) {
            Some(rest) if ng => out.push(rest.to_vec()),
            None if !ng => {
                if bytes.len() < 4_096 {
                    let mut gz =
                        flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                    std::io::Write::write_all(&mut gz, &bytes).unwrap();
                    out.push(gz.finish().unwrap());
                }
                out.push(bytes);
            }
            _ => {}
        }
    }
    out
}

/// Any bytes are operations.
fn operations() -> Vec<Vec<u8>> {
    let mut rng = Rng::new(1);
    let mut one = |n: usize| (0..n).map(|_| rng.next() as u8).collect();
    (0..64).map(|i| one(8 + i * 4)).collect()
}

/// Streams that begin with the preface, which the entry itself says, and any others behind it.
fn frames_of_http2(mut streams: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for seed in &mut streams {
        // First byte, operation, size, then the bytes.
        if seed.len() > 3 && seed[3..].starts_with(PREFACE) {
            seed[2] -= PREFACE.len() as u8;
            seed.drain(3..3 + PREFACE.len());
        }
    }
    streams
}

/// Connections as the operations of `http1` (a byte for the beginning, then pieces), and as the two
/// halves of one length that `http1_steps` takes.
fn streams() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut out, mut halves) = (Vec::new(), Vec::new());
    let mut add = |packets: &[Packet]| {
        let mut flows = BTreeMap::<_, (_, Vec<u8>, [Vec<u8>; 2])>::new();
        for s in packets.iter().filter_map(|p| Segment::parse(&p.data)) {
            let way = s.way();
            let (first, ops, sides) = flows
                .entry(s.ends())
                .or_insert_with(|| (way, vec![0], Default::default()));
            let side = usize::from(*first != way);
            sides[side].extend_from_slice(&s.payload);
            for piece in s.payload.chunks(255) {
                ops.extend([0x20 | side as u8, piece.len() as u8]);
                ops.extend_from_slice(piece);
            }
        }
        for (_, ops, [client, server]) in flows.into_values() {
            out.push(ops);
            let half = client.len().max(server.len());
            let mut whole = client;
            whole.resize(half, b'\n');
            whole.extend_from_slice(&server);
            whole.resize(2 * half, b'\n');
            halves.push(whole);
        }
    };
    for seed in 0..8 {
        add(&world(seed, 2).0);
    }
    for file in captures() {
        let mut packets = Vec::new();
        each_frame(&file, |f| {
            if f.link == LinkType::ETHERNET && packets.len() < 200 {
                packets.push(Packet {
                    ts: f.ts,
                    data: f.data.to_vec(),
                });
            }
        });
        add(&packets);
    }
    (out, halves)
}
