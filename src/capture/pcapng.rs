//! pcapng (draft-ietf-opsawg-pcapng): several sections, interfaces and link types in one file.
//!
//! libpcap refuses files whose interfaces differ in link type or snap length, and passes over what
//! the kernel dropped; this reader takes them. It believes no length: a block that lies ends its
//! section, is said, and reading goes on where the next section begins, if one does.

use zeroize::Zeroize;

use super::input::{Endian, Input};
use super::{Drops, Frame, LinkType, Secrets, raw_or};
use crate::time::Timestamp;

pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// Larger blocks are passed over unread: no packet is that large, and a length may lie.
const MAX_BLOCK: usize = 16 << 20;

pub(super) mod block {
    pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
    pub(in crate::capture) const INTERFACE: u32 = 1;
    pub(super) const OLD_PACKET: u32 = 2;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(super) const STATISTICS: u32 = 5;
    pub(in crate::capture) const ENHANCED_PACKET: u32 = 6;
    pub(super) const DECRYPTION_SECRETS: u32 = 10;
}

pub(super) mod option {
    pub(in crate::capture) const COMMENT: u16 = 1;
    pub(in crate::capture) const SHB_USERAPPL: u16 = 4;
    pub(in crate::capture) const IF_NAME: u16 = 2;
    pub(in crate::capture) const IF_TSRESOL: u16 = 9;
    pub(super) const IF_TSOFFSET: u16 = 14;
    pub(super) const ISB_IFDROP: u16 = 5;
    pub(super) const ISB_OSDROP: u16 = 7;
}

#[derive(Clone, Debug)]
struct Interface {
    name: Option<String>,
    link: LinkType,
    snap: u32,
    resolution: u8,
    offset: i64,
    drops: Drops,
}

/// "TLSK": the secrets are an NSS key log.
const TLS_KEY_LOG: u32 = 0x544c_534b;

/// What one block was.
pub(super) enum Next {
    Packet,
    /// Keys for packets behind it.
    Secrets(Secrets),
    Other,
    End,
}

pub(super) struct Pcapng {
    input: Input,
    endian: Endian,
    interfaces: Vec<Interface>,
    /// Index of the section's first interface.
    section: usize,
    /// A section that cannot be read is passed over.
    unreadable: bool,
    last: Timestamp,
}

impl Pcapng {
    pub(super) fn new(input: Input) -> Self {
        Self {
            input,
            endian: Endian::default(),
            interfaces: Vec::new(),
            section: 0,
            unreadable: true,
            last: Timestamp::from_secs(0),
        }
    }

    pub(super) fn interface(&self, index: u16) -> Option<&str> {
        self.interfaces.get(usize::from(index))?.name.as_deref()
    }

    /// What the capturing machine says that it lost.
    pub(super) fn drops(&self) -> Drops {
        self.interfaces
            .iter()
            .fold(Drops::default(), |sum, i| Drops {
                kernel: sum.kernel.saturating_add(i.drops.kernel),
                interface: sum.interface.saturating_add(i.drops.interface),
            })
    }

    /// Reads one block; an error has said what is lost, and the next call goes on behind it.
    pub(super) fn next(&mut self, sink: &mut dyn FnMut(Frame<'_>)) -> Result<Next, String> {
        let start = self.input.position();
        if !self.input.fill(12)? {
            return match self.input.take_rest() {
                0 => Ok(Next::End),
                rest => Err(format!(
                    "cut short: {rest} bytes behind the last block, at byte {start}"
                )),
            };
        }
        let head = self.input.rest();
        if head[..4] == MAGIC {
            self.endian = match head[8..12] {
                [0x4d, 0x3c, 0x2b, 0x1a] => Endian::Little,
                [0x1a, 0x2b, 0x3c, 0x4d] => Endian::Big,
                _ => {
                    return self.lost(format!(
                        "section header at byte {start}: no byte-order mark"
                    ));
                }
            };
        }
        let e = self.endian;
        let kind = e.u32(head, 0).unwrap_or_default();
        let length = e.u32(head, 4).unwrap_or_default() as usize;
        if length < 12 || !length.is_multiple_of(4) {
            return self.lost(format!(
                "block at byte {start}: a length of {length} cannot be"
            ));
        }
        if length > MAX_BLOCK {
            self.input.pass_over(length)?;
            return Err(format!(
                "block at byte {start}: {length} bytes, passed over"
            ));
        }
        if !self.input.fill(length)? {
            let rest = self.input.take_rest();
            return Err(format!(
                "cut short: the block at byte {start} has {rest} of its {length} bytes"
            ));
        }
        if e.u32(self.input.rest(), length - 4) != Some(length as u32) {
            return self.lost(format!("block at byte {start}: its two lengths differ"));
        }
        let block = self.input.take(length);
        let body = block.start + 8..block.end - 4;
        self.block(kind, body, start, sink)
    }

    fn block(
        &mut self,
        kind: u32,
        body: std::ops::Range<usize>,
        start: u64,
        sink: &mut dyn FnMut(Frame<'_>),
    ) -> Result<Next, String> {
        match kind {
            block::SECTION_HEADER => {
                let major = self
                    .endian
                    .u16(self.input.bytes(body), 4)
                    .unwrap_or_default();
                self.section = self.interfaces.len();
                self.unreadable = major != 1;
                if self.unreadable {
                    return Err(format!(
                        "section at byte {start}: version {major} is unknown, its packets are not read"
                    ));
                }
            }
            _ if self.unreadable => {}
            block::INTERFACE => {
                let found = Interface::read(self.endian, self.input.bytes(body));
                let Some(found) = found.filter(|_| self.interfaces.len() < usize::from(u16::MAX))
                else {
                    return Err(format!(
                        "interface block at byte {start}: too short, or one too many"
                    ));
                };
                self.interfaces.push(found);
            }
            block::STATISTICS => self.statistics(body),
            block::DECRYPTION_SECRETS => return Ok(self.secrets(body)),
            block::ENHANCED_PACKET | block::OLD_PACKET | block::SIMPLE_PACKET => {
                let Some(frame) = self.packet(kind, body) else {
                    return Err(format!("packet block at byte {start}: too short"));
                };
                let ts = frame.ts;
                sink(frame);
                self.last = ts;
                return Ok(Next::Packet);
            }
            // Name resolution, custom and unknown blocks carry no packet.
            _ => {}
        }
        Ok(Next::Other)
    }

    /// Takes the secrets out of the buffer, where nothing of them stays.
    fn secrets(&mut self, body: std::ops::Range<usize>) -> Next {
        let (e, block) = (self.endian, self.input.bytes_mut(body));
        let (kind, length) = (e.u32(block, 0), e.u32(block, 4));
        let text = length.and_then(|length| block.get(8..8 + length as usize));
        let next = match text {
            Some(text) if kind == Some(TLS_KEY_LOG) => Next::Secrets(Secrets::new(text.to_vec())),
            _ => Next::Other,
        };
        block.zeroize();
        next
    }

    fn packet(&self, kind: u32, body: std::ops::Range<usize>) -> Option<Frame<'_>> {
        let (e, b) = (self.endian, self.input.bytes(body));
        let (id, stamp, lengths, data) = match kind {
            block::ENHANCED_PACKET => (e.u32(b, 0)?, Some(4), 12, b.get(20..)?),
            block::OLD_PACKET => (u32::from(e.u16(b, 0)?), Some(4), 12, b.get(20..)?),
            _ => (0, None, 0, b.get(4..)?),
        };
        let index = self.section.checked_add(id as usize)?;
        let interface = self.interfaces.get(index);
        let (captured, wire_len) = if stamp.is_some() {
            (e.u32(b, lengths)?, e.u32(b, lengths + 4)?)
        } else {
            let wire = e.u32(b, lengths)?;
            let snap = interface.map_or(0, |i| i.snap);
            (if snap == 0 { wire } else { wire.min(snap) }, wire)
        };
        let ticks = |at| Some(u64::from(e.u32(b, at)?) << 32 | u64::from(e.u32(b, at + 4)?));
        let ts = match (stamp, interface) {
            (Some(at), Some(i)) => i.time(ticks(at)?),
            _ => self.last,
        };
        Some(Frame {
            ts,
            // A packet of an interface that was never described has no link type.
            link: interface.map_or(LinkType(-1), |i| i.link),
            data: data.get(..captured as usize).unwrap_or(data),
            wire_len,
            interface: u16::try_from(index).unwrap_or(u16::MAX),
        })
    }

    fn statistics(&mut self, body: std::ops::Range<usize>) {
        let (e, b) = (self.endian, self.input.bytes(body));
        let Some(id) = e.u32(b, 0) else { return };
        let mut drops = Drops::default();
        for (code, value) in options(e, b.get(12..).unwrap_or_default()) {
            match code {
                option::ISB_IFDROP => drops.interface = e.u64(value, 0).unwrap_or_default(),
                option::ISB_OSDROP => drops.kernel = e.u64(value, 0).unwrap_or_default(),
                _ => {}
            }
        }
        if let Some(i) = self
            .interfaces
            .get_mut(self.section.saturating_add(id as usize))
        {
            i.drops = drops;
        }
    }

    /// What follows cannot be told from this section any more: looks for the next one.
    fn lost(&mut self, why: String) -> Result<Next, String> {
        self.unreadable = true;
        self.input.take(4);
        loop {
            let rest = self.input.rest();
            if let Some(found) = memchr::memmem::find(rest, &MAGIC) {
                self.input.take(found);
                break;
            }
            // The mark may lie across the end of what was read.
            let passed = rest.len().saturating_sub(3);
            self.input.take(passed);
            if !self.input.fill(4)? {
                self.input.take_rest();
                break;
            }
        }
        Err(why)
    }
}

impl Interface {
    fn read(e: Endian, body: &[u8]) -> Option<Self> {
        let mut found = Self {
            name: None,
            link: raw_or(i32::from(e.u16(body, 0)?)),
            snap: e.u32(body, 4)?,
            resolution: 6,
            offset: 0,
            drops: Drops::default(),
        };
        for (code, value) in options(e, body.get(8..)?) {
            match code {
                option::IF_NAME => found.name = Some(String::from_utf8_lossy(value).into_owned()),
                option::IF_TSRESOL => found.resolution = value.first().copied().unwrap_or(6),
                option::IF_TSOFFSET => {
                    found.offset = e.u64(value, 0).unwrap_or_default().cast_signed();
                }
                _ => {}
            }
        }
        Some(found)
    }

    /// Ticks are of 10^-n seconds, or of 2^-n where the top bit is set.
    fn time(&self, ticks: u64) -> Timestamp {
        let n = u32::from(self.resolution & 0x7f);
        let wide = u128::from(ticks) * 1_000_000_000;
        let nanos = if self.resolution & 0x80 != 0 {
            wide.checked_shr(n).unwrap_or_default()
        } else {
            10_u128.checked_pow(n).map_or(0, |unit| wide / unit)
        };
        let nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
        Timestamp::from_nanos(nanos.saturating_add(self.offset.saturating_mul(1_000_000_000)))
    }
}

/// Options by code, until their end or the first that does not fit.
fn options(e: Endian, mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (code, length) = (e.u16(rest, 0)?, usize::from(e.u16(rest, 2)?));
        if code == 0 {
            return None;
        }
        let value = rest.get(4..4 + length)?;
        rest = rest
            .get(4 + length.next_multiple_of(4)..)
            .unwrap_or_default();
        Some((code, value))
    })
}
