//! Fuzz entries: each a plain function over bytes that asserts what must hold whatever the bytes.
//!
//! libFuzzer calls them (`fuzz/`, `make fuzz`), and so does a smoke over seeds in CI
//! (`tests/fuzz_smoke.rs`). Entries for stateful rooms read the bytes as operations, so that a
//! fuzzer can drive them anywhere with few bytes.

use std::io::Cursor;
use std::time::Duration;

use crate::capture::{FileSource, Polled, Source};

mod decode;
mod flow;
mod http;
mod operations;
mod sessions;
mod tls;

pub use crate::http::{fuzz_coding as coding, fuzz_hpack as hpack_beside};
pub use crate::tls::quic::fuzz_initial as quic_initial;
pub use decode::{LINKS, decode_link, fragments};
pub use flow::reassembler;
pub use http::{http1, http1_steps, http2};
pub use operations::graphql;
pub use sessions::{events, proxy, websocket};
pub use tls::{tls_hello, tls_records};

/// A name, and what it runs.
pub type Entry = (&'static str, fn(&[u8]));

/// Every entry by name: what the fuzz targets and the seeds' folders are called.
pub const ALL: [Entry; 17] = [
    ("decode_link", decode_link),
    ("fragments", fragments),
    ("pcapng", pcapng),
    ("pcap_file", pcap_file),
    ("reassembler", reassembler),
    ("http1", http1),
    ("http1_steps", http1_steps),
    ("http2", http2),
    ("hpack", hpack),
    ("coding", coding),
    ("websocket", websocket),
    ("events", events),
    ("proxy", proxy),
    ("graphql", graphql),
    ("tls_records", tls_records),
    ("tls_hello", tls_hello),
    ("quic_initial", quic_initial),
];

/// Operations are read from these.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    /// As many as there are, up to `n`.
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Blocks of HPACK, without another decoder beside ours.
pub fn hpack(data: &[u8]) {
    hpack_beside(data, |_| None);
}

/// pcapng: whatever follows the magic number.
pub fn pcapng(data: &[u8]) {
    savefile(&[&[0x0a, 0x0d, 0x0d, 0x0a], data].concat());
}

/// Anything that may be a savefile: pcap in libpcap's hands, packed ones.
pub fn pcap_file(data: &[u8]) {
    savefile(data);
}

fn savefile(bytes: &[u8]) {
    let Ok(mut source) = FileSource::from_reader("fuzz", Cursor::new(bytes.to_vec())) else {
        return;
    };
    let packed = bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(&[0x28, 0xb5]);
    let (mut errors, mut polls) = (0, 0);
    loop {
        polls += 1;
        let polled = source.poll(Duration::ZERO, &mut |frame| {
            assert!(packed || frame.data.len() <= bytes.len());
        });
        match polled {
            Ok(Polled::End) => break,
            Ok(_) => {}
            Err(_) => errors += 1,
        }
        assert!(errors <= 16, "damage is told without end");
        // The smallest pcap record has 16 bytes, the smallest packet block of pcapng as many.
        assert!(packed || polls <= 32 + bytes.len(), "no end");
    }
    let _ = (source.drops(), source.interface(0));
}
