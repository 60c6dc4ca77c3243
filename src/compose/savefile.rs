//! Savefiles written by hand: classic pcap in both byte orders and resolutions, and pcapng with
//! whatever blocks a reader may meet, sound or not.

use super::Packet;
use crate::capture::LinkType;

/// Writes one savefile into memory.
#[derive(Clone, Debug, Default)]
pub struct Savefile {
    big: bool,
    /// Classic pcap: nanoseconds.
    nanos: bool,
    bytes: Vec<u8>,
}

/// Block types of pcapng (draft-ietf-opsawg-pcapng, section 11.1).
pub mod block {
    pub const SECTION: u32 = 0x0a0d_0d0a;
    pub const INTERFACE: u32 = 1;
    pub const OLD_PACKET: u32 = 2;
    pub const SIMPLE_PACKET: u32 = 3;
    pub const NAMES: u32 = 4;
    pub const STATISTICS: u32 = 5;
    pub const ENHANCED_PACKET: u32 = 6;
    pub const SECRETS: u32 = 10;
    pub const CUSTOM: u32 = 0x0000_0bad;
}

impl Savefile {
    pub fn little() -> Self {
        Self::default()
    }

    pub fn big() -> Self {
        Self {
            big: true,
            ..Self::default()
        }
    }

    /// For classic pcap.
    pub fn nanoseconds(mut self) -> Self {
        self.nanos = true;
        self
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes as they are: what no writer would write.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub fn u16(&self, n: u16) -> [u8; 2] {
        if self.big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    }

    pub fn u32(&self, n: u32) -> [u8; 4] {
        if self.big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    }

    pub fn u64(&self, n: u64) -> [u8; 8] {
        if self.big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    }

    fn words(&mut self, words: &[u32]) -> &mut Self {
        for word in words {
            let bytes = self.u32(*word);
            self.bytes.extend_from_slice(&bytes);
        }
        self
    }

    /// The header of a classic pcap.
    pub fn pcap(&mut self, link: LinkType) -> &mut Self {
        let magic = if self.nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        self.words(&[magic]);
        let version = [self.u16(2), self.u16(4)].concat();
        self.raw(&version)
            .words(&[0, 0, 262_144, link.0.cast_unsigned()])
    }

    /// A record of a classic pcap; its lengths may lie.
    pub fn record(&mut self, p: &Packet, captured: u32, wire: u32) -> &mut Self {
        let nanos = p.ts.nanos().rem_euclid(1_000_000_000) as u32;
        let fraction = if self.nanos { nanos } else { nanos / 1_000 };
        self.words(&[p.ts.secs() as u32, fraction, captured, wire])
            .raw(&p.data)
    }

    /// A record that tells the truth.
    pub fn packet(&mut self, p: &Packet) -> &mut Self {
        let length = p.data.len() as u32;
        self.record(p, length, length)
    }

    /// A pcapng block, padded.
    pub fn block(&mut self, kind: u32, body: &[u8]) -> &mut Self {
        let padded = body.len().next_multiple_of(4);
        let length = padded as u32 + 12;
        self.words(&[kind, length]).raw(body);
        self.bytes.resize(self.bytes.len() + padded - body.len(), 0);
        self.words(&[length])
    }

    pub fn section(&mut self) -> &mut Self {
        let body = [
            &self.u32(0x1a2b_3c4d)[..],
            &self.u16(1),
            &self.u16(0),
            // The section's length is left open.
            &self.u64(u64::MAX),
        ];
        self.block(block::SECTION, &body.concat())
    }

    /// Options of a block: code and value.
    pub fn options(&self, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (code, value) in options {
            out.extend_from_slice(&self.u16(*code));
            out.extend_from_slice(&self.u16(value.len() as u16));
            out.extend_from_slice(value);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out.extend_from_slice(&[0; 4]);
        out
    }

    pub fn interface(&mut self, link: LinkType, snap: u32, options: &[(u16, &[u8])]) -> &mut Self {
        let link = self.u16(link.0 as u16);
        let body = [&link[..], &[0; 2], &self.u32(snap), &self.options(options)];
        self.block(block::INTERFACE, &body.concat())
    }

    /// An enhanced packet block of whole `data`.
    pub fn enhanced(&mut self, interface: u32, ticks: u64, data: &[u8], wire: u32) -> &mut Self {
        let words = [
            interface,
            (ticks >> 32) as u32,
            ticks as u32,
            data.len() as u32,
            wire,
        ];
        let head = words.map(|w| self.u32(w)).concat();
        self.block(block::ENHANCED_PACKET, &[&head, data].concat())
    }

    pub fn simple(&mut self, data: &[u8], wire: u32) -> &mut Self {
        let wire = self.u32(wire);
        self.block(block::SIMPLE_PACKET, &[&wire, data].concat())
    }

    /// The packet block of old, with a count of drops in it.
    pub fn old(&mut self, interface: u16, ticks: u64, data: &[u8], wire: u32) -> &mut Self {
        let first = [self.u16(interface), self.u16(3)].concat();
        let words = [(ticks >> 32) as u32, ticks as u32, data.len() as u32, wire];
        let head = words.map(|w| self.u32(w)).concat();
        self.block(block::OLD_PACKET, &[&first, &head, data].concat())
    }

    pub fn statistics(&mut self, interface: u32, options: &[(u16, &[u8])]) -> &mut Self {
        let id = self.u32(interface);
        let body = [&id[..], &[0; 8], &self.options(options)].concat();
        self.block(block::STATISTICS, &body)
    }
}
