//! Frames on the wire (RFC 9113, section 4.1): nine bytes of header, then a payload.

/// Bytes of a frame header.
pub(super) const HEADER: usize = 9;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// Also ACK, of SETTINGS and PING.
const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const WITH_PRIORITY: u8 = 0x20;

const SETTINGS_HEADER_TABLE_SIZE: u16 = 1;

/// The reserved bit in front of stream identifiers.
const RESERVED: u32 = 1 << 31;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) len: usize,
    pub(super) kind: u8,
    flags: u8,
    /// Without the reserved bit.
    pub(super) stream: u32,
    reserved: bool,
}

impl Header {
    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, stream @ ..] = *data.first_chunk::<HEADER>()?;
        let stream = u32::from_be_bytes(stream);
        Some(Self {
            len: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: stream & !RESERVED,
            reserved: stream & RESERVED != 0,
        })
    }

    fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn end_stream(self) -> bool {
        self.has(END_STREAM)
    }

    pub(super) fn end_headers(self) -> bool {
        self.has(END_HEADERS)
    }

    pub(super) fn padded(self) -> bool {
        self.has(PADDED)
    }

    pub(super) fn ack(self) -> bool {
        self.has(ACK)
    }

    /// Keeps to what its type asks of length and stream; a frame that does not ends its connection
    /// (RFC 9113, section 6). Types that are not known may look like anything.
    pub(super) fn lawful(self) -> bool {
        let on_stream = self.stream != 0;
        match self.kind {
            DATA => on_stream && self.len >= usize::from(self.padded()),
            HEADERS => on_stream && self.len >= self.overhead(),
            PRIORITY => on_stream && self.len == 5,
            RST_STREAM => on_stream && self.len == 4,
            SETTINGS if self.ack() => !on_stream && self.len == 0,
            SETTINGS => !on_stream && self.len.is_multiple_of(6),
            PUSH_PROMISE => on_stream && self.len >= 4 + usize::from(self.padded()),
            PING => !on_stream && self.len == 8,
            GOAWAY => !on_stream && self.len >= 8,
            WINDOW_UPDATE => self.len == 4,
            CONTINUATION => on_stream,
            _ => true,
        }
    }

    /// What a sender that keeps to the letter sends: known types, no flag that means nothing.
    pub(super) fn strict(self) -> bool {
        let flags = match self.kind {
            DATA => END_STREAM | PADDED,
            HEADERS => END_STREAM | END_HEADERS | PADDED | WITH_PRIORITY,
            SETTINGS | PING => ACK,
            PUSH_PROMISE => END_HEADERS | PADDED,
            CONTINUATION => END_HEADERS,
            PRIORITY | RST_STREAM | GOAWAY | WINDOW_UPDATE => 0,
            _ => return false,
        };
        !self.reserved && self.flags & !flags == 0 && self.lawful()
    }

    /// Bytes of a HEADERS payload in front of the block.
    fn overhead(self) -> usize {
        usize::from(self.padded()) + if self.has(WITH_PRIORITY) { 5 } else { 0 }
    }

    /// The header block of a HEADERS or CONTINUATION payload.
    pub(super) fn block(self, payload: &[u8]) -> Option<&[u8]> {
        if self.kind == CONTINUATION {
            return Some(payload);
        }
        let content = self.unpadded(payload)?;
        content.get(self.overhead() - usize::from(self.padded())..)
    }

    /// The promised stream and the header block of a PUSH_PROMISE payload.
    pub(super) fn promise(self, payload: &[u8]) -> Option<(u32, &[u8])> {
        let (stream, block) = self.unpadded(payload)?.split_first_chunk::<4>()?;
        Some((u32::from_be_bytes(*stream) & !RESERVED, block))
    }

    fn unpadded(self, payload: &[u8]) -> Option<&[u8]> {
        if !self.padded() {
            return Some(payload);
        }
        let (pad, content) = payload.split_first()?;
        let len = content.len().checked_sub(usize::from(*pad))?;
        Some(&content[..len])
    }
}

/// SETTINGS as pairs of identifier and value.
pub(super) fn settings(payload: &[u8]) -> impl Iterator<Item = (u16, u32)> {
    let (pairs, _) = payload.as_chunks::<6>();
    pairs
        .iter()
        .map(|[a, b, value @ ..]| (u16::from_be_bytes([*a, *b]), u32::from_be_bytes(*value)))
}

/// SETTINGS_HEADER_TABLE_SIZE, the only one that a listener needs.
pub(in crate::http) fn header_table_size(payload: &[u8]) -> Option<u32> {
    let sizes = settings(payload).filter(|(id, _)| *id == SETTINGS_HEADER_TABLE_SIZE);
    sizes.map(|(_, size)| size).last()
}

/// A number at the start of a payload: the last stream of GOAWAY, the increment of WINDOW_UPDATE.
pub(super) fn number(payload: &[u8]) -> Option<u32> {
    let number = payload.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*number) & !RESERVED)
}
