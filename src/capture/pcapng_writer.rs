//! Writes pcapng (draft-ietf-opsawg-pcapng): one section with its interfaces and packets, time in
//! nanoseconds. Sections behind each other are one file.

use super::pcapng::{MAGIC, block, option};
use super::{Frame, LinkType};

/// One section, in memory: little-endian, whatever the machine.
#[derive(Debug)]
pub struct PcapngWriter {
    bytes: Vec<u8>,
}

/// Enough for any frame that was captured.
const SNAP_LENGTH: u32 = 262_144;
/// Time stamps are in units of 10^-9 seconds.
const NANOSECONDS: u8 = 9;

impl PcapngWriter {
    /// With what the section is, for a person.
    pub fn new(comment: &str) -> Self {
        let mut section = Self { bytes: Vec::new() };
        let mut body = Vec::new();
        body.extend(0x1a2b_3c4d_u32.to_le_bytes());
        body.extend(1_u16.to_le_bytes());
        body.extend(0_u16.to_le_bytes());
        // The section's length is not said.
        body.extend((-1_i64).to_le_bytes());
        options(
            &mut body,
            &[
                (option::COMMENT, comment.as_bytes()),
                (
                    option::SHB_USERAPPL,
                    concat!("apitap ", env!("CARGO_PKG_VERSION")).as_bytes(),
                ),
            ],
        );
        section.block(u32::from_be_bytes(MAGIC), &body);
        section
    }

    /// Interfaces are numbered from 0 in this order, and stand before their packets.
    pub fn interface(&mut self, name: &str, link: LinkType) {
        let mut body = Vec::new();
        // Link types of captures are 16 bits wide.
        body.extend((link.0 as u16).to_le_bytes());
        body.extend(0_u16.to_le_bytes());
        body.extend(SNAP_LENGTH.to_le_bytes());
        options(
            &mut body,
            &[
                (option::IF_NAME, name.as_bytes()),
                (option::IF_TSRESOL, &[NANOSECONDS]),
            ],
        );
        self.block(block::INTERFACE, &body);
    }

    /// A packet of the interface with the frame's number.
    pub fn packet(&mut self, frame: &Frame<'_>) {
        let ticks = frame.ts.nanos().max(0).cast_unsigned();
        let length = frame.data.len() as u32;
        let words = [
            u32::from(frame.interface),
            (ticks >> 32) as u32,
            ticks as u32,
            length,
            frame.wire_len.max(length),
        ];
        let mut body = Vec::with_capacity(20 + frame.data.len() + 4);
        words.iter().for_each(|w| body.extend(w.to_le_bytes()));
        pad(&mut body, frame.data);
        self.block(block::ENHANCED_PACKET, &body);
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let length = (body.len() + 12) as u32;
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(body);
        self.bytes.extend(length.to_le_bytes());
    }
}

fn options(body: &mut Vec<u8>, all: &[(u16, &[u8])]) {
    for (code, value) in all {
        let value = &value[..value.len().min(usize::from(u16::MAX))];
        body.extend(code.to_le_bytes());
        body.extend((value.len() as u16).to_le_bytes());
        pad(body, value);
    }
    body.extend([0; 4]);
}

/// To 32 bits.
fn pad(body: &mut Vec<u8>, value: &[u8]) {
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::time::Duration;

    use super::*;
    use crate::capture::{FileSource, Polled, Source};
    use crate::time::Timestamp;

    /// What the reader of the other file, which is not of this writer's making, sees.
    fn read(bytes: Vec<u8>) -> Vec<(i64, LinkType, Vec<u8>, u32, String)> {
        let mut source = FileSource::from_reader("x", Cursor::new(bytes)).unwrap();
        let mut seen = Vec::new();
        loop {
            let polled = source.poll(Duration::ZERO, &mut |f| {
                seen.push((
                    f.ts.nanos(),
                    f.link,
                    f.data.to_vec(),
                    f.wire_len,
                    f.interface,
                ));
            });
            if polled.unwrap() == Polled::End {
                break;
            }
        }
        let name = |i: u16| source.interface(i);
        seen.into_iter()
            .map(|(ts, link, data, wire, i)| (ts, link, data, wire, name(i)))
            .collect()
    }

    #[test]
    fn what_is_written_is_read_back_also_from_several_sections() {
        let mut file = Vec::new();
        for section in 0..2_i64 {
            let mut w = PcapngWriter::new("alert 0123");
            w.interface("eth1", LinkType::ETHERNET);
            w.interface("any", LinkType::LINUX_SLL2);
            for (n, length) in [0_usize, 1, 61, 1_500].into_iter().enumerate() {
                w.packet(&Frame {
                    ts: Timestamp::from_nanos(1_760_000_000_123_456_789 + section),
                    link: LinkType::ETHERNET,
                    data: &vec![n as u8; length],
                    wire_len: 9_000,
                    interface: n as u16 % 2,
                });
            }
            file.extend(w.into_bytes());
        }
        let seen = read(file);
        assert_eq!(seen.len(), 8);
        let (ts, link, data, wire, name) = &seen[6];
        assert_eq!(
            (*ts, *link, data.len(), *wire, name.as_str()),
            (
                1_760_000_000_123_456_790,
                LinkType::ETHERNET,
                61,
                9_000,
                "x (eth1)"
            )
        );
        assert_eq!((seen[7].1, seen[7].2.len()), (LinkType::LINUX_SLL2, 1_500));
    }
}
