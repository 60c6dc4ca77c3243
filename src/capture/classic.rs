//! Classic pcap savefiles (draft-ietf-opsawg-pcap), of both byte orders and resolutions.
//!
//! libpcap reads them too, but 4 KiB at a time, with a copy of each packet and a call through C:
//! on large bodies that was half of what reading cost. Behind a length that lies nothing can be
//! found again, so the file ends there, and that is said.

use super::input::{Endian, Input};
use super::pcapng::Next;
use super::{Frame, LinkType, raw_or};
use crate::time::Timestamp;

const MICROS: u32 = 0xa1b2_c3d4;
const NANOS: u32 = 0xa1b2_3c4d;
/// Of old Linux distributions: eight more bytes in each record's header.
const PATCHED: u32 = 0xa1b2_cd34;

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// The longest packet that libpcap writes or reads.
const MAX_PACKET: u32 = 262_144;

pub(super) struct Classic {
    input: Input,
    endian: Endian,
    link: LinkType,
    /// Bytes of a record before its packet.
    header: usize,
    /// Nanoseconds of one unit of a stamp's second half.
    unit: u32,
    /// Up to version 2.3 some writers had the two lengths the other way round.
    swapped: bool,
    over: bool,
}

impl Classic {
    /// Reads the file's header; an error says what it is instead.
    pub(super) fn new(mut input: Input) -> Result<Self, String> {
        let short = "too short for the header of a pcap file";
        if !input.fill(FILE_HEADER)? {
            return Err(short.into());
        }
        let taken = input.take(FILE_HEADER);
        let head = input.bytes(taken);
        let (endian, magic) = [Endian::Little, Endian::Big]
            .into_iter()
            .filter_map(|e| Some((e, e.u32(head, 0)?)))
            .find(|(_, magic)| matches!(*magic, MICROS | NANOS | PATCHED))
            .ok_or("neither pcap nor pcapng, plain or packed")?;
        let major = endian.u16(head, 4).ok_or(short)?;
        let minor = endian.u16(head, 6).ok_or(short)?;
        if major != 2 {
            return Err(format!("version {major}.{minor} of pcap is unknown"));
        }
        // Bits above the link type tell of a frame check sequence.
        let link = endian.u32(head, 20).ok_or(short)? & 0xffff;
        Ok(Self {
            endian,
            link: raw_or(link.cast_signed()),
            header: RECORD_HEADER + if magic == PATCHED { 8 } else { 0 },
            unit: if magic == NANOS { 1 } else { 1_000 },
            swapped: minor <= 3,
            over: false,
            input,
        })
    }

    /// Reads one record; behind an error comes the end.
    pub(super) fn next(&mut self, sink: &mut dyn FnMut(Frame<'_>)) -> Result<Next, String> {
        if self.over {
            return Ok(Next::End);
        }
        let start = self.input.position();
        if !self.input.fill(self.header)? {
            return match self.input.take_rest() {
                0 => Ok(Next::End),
                rest => Err(format!(
                    "cut short: {rest} bytes behind the last packet, at byte {start}"
                )),
            };
        }
        let e = self.endian;
        let head = self.input.rest();
        let word = |at| e.u32(head, at).unwrap_or_default();
        let (secs, part, mut captured, mut wire_len) = (word(0), word(4), word(8), word(12));
        if self.swapped && captured > wire_len {
            std::mem::swap(&mut captured, &mut wire_len);
        }
        if captured > MAX_PACKET {
            self.over = true;
            return Err(format!(
                "packet at byte {start}: a length of {captured} cannot be, the rest is not read"
            ));
        }
        let length = self.header + captured as usize;
        if !self.input.fill(length)? {
            let rest = self.input.take_rest();
            return Err(format!(
                "cut short: the packet at byte {start} has {rest} of its {length} bytes"
            ));
        }
        let nanos = i64::from(secs) * 1_000_000_000 + i64::from(part) * i64::from(self.unit);
        let record = self.input.take(length);
        sink(Frame {
            ts: Timestamp::from_nanos(nanos),
            link: self.link,
            data: self.input.bytes(record.start + self.header..record.end),
            wire_len,
            interface: 0,
        });
        Ok(Next::Packet)
    }
}
