//! Each fuzz entry as a plain function over seeds and changed seeds, for a bounded time:
//! `APITAP_FUZZ_SECONDS` each, two by default. libFuzzer does the same for as long as one likes
//! (`make fuzz`); the seeds are the same.
#![allow(clippy::unwrap_used)]

#[path = "support/captures.rs"]
mod captures;
#[path = "support/change.rs"]
mod change;
#[path = "support/content_seeds.rs"]
mod content_seeds;
#[path = "support/protocol_seeds.rs"]
mod protocol_seeds;
#[path = "support/replay.rs"]
mod replay;
#[path = "support/seeds.rs"]
mod seeds;
#[path = "support/talks.rs"]
mod talks;
#[path = "support/tls_talks.rs"]
mod tls_talks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use apitap::fuzzing;
use replay::Rng;

fn seconds() -> u64 {
    let given = std::env::var("APITAP_FUZZ_SECONDS");
    given.map_or(2, |s| s.parse().expect("APITAP_FUZZ_SECONDS is a number"))
}

/// A few changes, as fuzzers make them.
fn change(seed: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    const LIKED: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'\r', b'\n', 0x40];
    let mut out = seed.to_vec();
    for _ in 0..1 + rng.below(6) {
        let at = rng.below(out.len() + 1);
        match rng.below(8) {
            0 => out.truncate(at),
            1 => out.insert(at, rng.next() as u8),
            2 => out.insert(at, LIKED[rng.below(LIKED.len())]),
            3 => {
                let end = (at + rng.below(16)).min(out.len());
                out.drain(at..end);
            }
            4 => {
                // A piece of it once more.
                let from = rng.below(out.len() + 1);
                let to = (from + rng.below(64)).min(out.len());
                let piece = out[from..to].to_vec();
                out.splice(at..at, piece);
            }
            5 => {
                let from = rng.below(other.len() + 1);
                out.truncate(at);
                out.extend_from_slice(&other[from..]);
            }
            _ => {
                if let Some(b) = out.get_mut(at) {
                    *b = if rng.one_in(2) {
                        LIKED[rng.below(LIKED.len())]
                    } else {
                        *b ^ 1 << rng.below(8)
                    };
                }
            }
        }
    }
    out.truncate(8 << 10);
    out
}

fn smoke(name: &str) {
    let (_, entry) = fuzzing::ALL.into_iter().find(|(n, _)| *n == name).unwrap();
    smoke_of(name, entry);
}

fn smoke_of(name: &str, entry: fn(&[u8])) {
    let seeds = seeds::seeds(name);
    let mut rng = Rng::new(1);
    let (mut runs, begun) = (0_u64, Instant::now());
    let mut run = |input: &[u8]| {
        runs += 1;
        if catch_unwind(AssertUnwindSafe(|| entry(input))).is_err() {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.finding"));
            std::fs::write(&path, input).unwrap();
            panic!("{name}: {} bytes, kept in {}", input.len(), path.display());
        }
    };
    seeds.iter().for_each(|seed| run(seed));
    while begun.elapsed() < Duration::from_secs(seconds()) {
        for _ in 0..64 {
            let (a, b) = (rng.below(seeds.len()), rng.below(seeds.len()));
            run(&change(&seeds[a], &seeds[b], &mut rng));
        }
    }
    eprintln!(
        "{name}: {} seeds, {runs} runs in {:?}",
        seeds.len(),
        begun.elapsed()
    );
    assert!(runs > seeds.len() as u64);
}

#[test]
fn decode_link() {
    smoke("decode_link");
}

#[test]
fn fragments() {
    smoke("fragments");
}

#[test]
fn pcapng() {
    smoke("pcapng");
}

#[test]
fn pcap_file() {
    smoke("pcap_file");
}

#[test]
fn reassembler() {
    smoke("reassembler");
}

#[test]
fn http1() {
    smoke("http1");
}

#[test]
fn http2() {
    smoke("http2");
}

#[test]
fn http1_steps() {
    smoke("http1_steps");
}

#[test]
fn hpack() {
    smoke("hpack");
}

#[test]
fn coding() {
    smoke("coding");
}

#[test]
fn websocket() {
    smoke("websocket");
}

#[test]
fn events() {
    smoke("events");
}

#[test]
fn proxy() {
    smoke("proxy");
}

#[test]
fn graphql() {
    smoke("graphql");
}

#[test]
fn tls_records() {
    smoke("tls_records");
}

#[test]
fn tls_hello() {
    smoke("tls_hello");
}

#[test]
fn quic_initial() {
    smoke("quic_initial");
}

/// The other decoder is of the tests alone, so the entry itself does without.
#[test]
fn hpack_beside_another_decoder() {
    smoke_of("hpack", |data| {
        let mut other = loona_hpack::Decoder::new();
        fuzzing::hpack_beside(data, |block| match other.decode(block) {
            Ok(fields) => Some(fields),
            // RFC 7541 does not ask for a field behind a size update.
            Err(loona_hpack::decoder::DecoderError::SizeUpdateAtEnd) => None,
            Err(error) => panic!("{error:?}"),
        });
    });
}

/// Inputs that libFuzzer or the smoke found, as small as they became.
const FOUND: [(&str, &[u8]); 3] = [
    // Both sides begin a response, each before it is known that the other does.
    ("http1", b"\x00\x79\x0a\nHTTP/\net/0\nHTTP/\n\n0\n\n/\n\n\n"),
    // The upgrade to HTTP/2 is answered, and the request was not seen.
    (
        "http1",
        b"\x0d\x00\x76\r\n\r\n\x21\x62HTTP/1.1 101 Sd\nUpgrade: h2c\r\n\r\n\0\0\0\0\0v",
    ),
    // One object has the members of GraphQL, and behind them those of JSON-RPC.
    (
        "graphql",
        b"\x01\0\x11{\"query\":\"{a} {b}) x\",\"method\":\"m\",\"params\":[],\"id\":1}",
    ),
];

#[test]
fn what_was_found_is_found_no_more() {
    for (i, (name, input)) in FOUND.into_iter().enumerate() {
        let (_, entry) = fuzzing::ALL.into_iter().find(|(n, _)| *n == name).unwrap();
        let done = catch_unwind(|| entry(input));
        assert!(done.is_ok(), "{i}: {name}");
    }
}

#[test]
fn every_entry_has_a_smoke_and_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    let this = include_str!("fuzz_smoke.rs");
    for (name, _) in fuzzing::ALL {
        assert!(this.contains(&format!("smoke(\"{name}\")")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let target = root.join(format!("fuzz/fuzz_targets/{name}.rs"));
        let text = std::fs::read_to_string(target).unwrap();
        assert!(text.contains(&format!("fuzzing::{name}")), "{name}");
    }
}

/// Writes libFuzzer's corpora: `APITAP_FUZZ_CORPUS=fuzz/corpus` names the folder.
#[test]
fn seeds_are_written_where_they_are_wanted() {
    let Some(folder) = std::env::var_os("APITAP_FUZZ_CORPUS") else {
        eprintln!("SKIPPED: APITAP_FUZZ_CORPUS is not set");
        return;
    };
    for (name, _) in fuzzing::ALL {
        let folder = Path::new(&folder).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (i, seed) in seeds::seeds(name).iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{i:05}")), seed).unwrap();
        }
    }
}
