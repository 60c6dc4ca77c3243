//! Zstandard (RFC 8878). Frames and blocks are cut here, so that ruzstd is only ever given a whole
//! block, and never a size or a window that it would have to take on trust.
//!
//! ruzstd gives a frame's content out once it has left the window, and all of it at the frame's
//! end. A frame that never ends is therefore ended by us, with an empty last block, when the input
//! is over or breaks.

use std::io::Read as _;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{Status, Step};

/// Block_Maximum_Size (section 3.1.1.2.4).
const MAX_BLOCK: usize = 128 << 10;

/// The window that RFC 9659 has every decoder of this content coding support, and no more.
const MAX_WINDOW: u64 = 8 << 20;

/// Tables of ruzstd, whatever the stream.
const TABLES: usize = 64 << 10;

const MAGIC: u32 = 0xfd2f_b528;

/// Magic numbers of skippable frames but for the last four bits.
const MAGIC_SKIPPABLE: u32 = 0x184d_2a50;

/// A raw block of no bytes that is its frame's last.
const LAST_BLOCK: [u8; 3] = [1, 0, 0];

/// Place in a sequence of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a frame header, which is kept until it is whole.
    Header,
    /// In a block, which is kept until it is whole.
    Block {
        checksum: bool,
    },
    /// Behind a block: what ruzstd can spare is given out.
    Drain {
        then: Then,
    },
    Checksum {
        left: u8,
    },
    Skip {
        left: u32,
    },
    /// Behind the last frame, or behind what broke it.
    Over,
}

/// What follows the block at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Block { checksum: bool },
    Frame { checksum: bool },
    Stop(Status),
}

pub(super) struct Zstd {
    place: Place,
    /// Whole frames went by.
    frames: bool,
    /// The window that the output cap can make use of.
    window: u64,
    frame: FrameDecoder,
    /// A header or block whose end has not come; `pending.len() <= 3 + MAX_BLOCK`.
    pending: Vec<u8>,
    /// The largest window that ruzstd was given.
    given: usize,
}

/// The parts of a frame header that matter here (section 3.1.1.1).
struct Header {
    window: u64,
    dictionary: u32,
    checksum: bool,
}

impl Zstd {
    /// `most`: bytes that anyone will ask of this decoder; a window beyond them holds nothing.
    pub(super) fn new(most: u64) -> Self {
        Self {
            place: Place::Header,
            frames: false,
            window: most.max(MAX_BLOCK as u64),
            frame: FrameDecoder::new(),
            pending: Vec::new(),
            given: 0,
        }
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let mut step = Step::default();
        loop {
            let rest = &input[step.used..];
            let (used, status) = match self.place {
                Place::Drain { then } => {
                    step.made = self.frame.read(output).unwrap_or_default();
                    if step.made == output.len() {
                        return step;
                    }
                    let status = self.drained(then);
                    if step.made > 0 || status != Status::More {
                        return Step { status, ..step };
                    }
                    continue;
                }
                _ if rest.is_empty() => return step,
                Place::Header => self.header(rest),
                Place::Block { checksum } => self.block(rest, checksum),
                Place::Checksum { left } => self.checksum(rest, left),
                Place::Skip { left } => self.skip(rest, left),
                Place::Over => (rest.len(), Status::More),
            };
            step.used += used;
            if status != Status::More {
                return Step { status, ..step };
            }
        }
    }

    /// No more input: gives out what is left of a frame that has not ended.
    pub(super) fn finish(&mut self, output: &mut [u8]) -> Step {
        if let Place::Block { .. } = self.place {
            self.end_frame(Status::More);
        }
        match self.place {
            Place::Drain { .. } => self.step(&[], output),
            _ => Step::default(),
        }
    }

    /// Makes ruzstd give out all of the frame at hand; `status` follows.
    fn end_frame(&mut self, status: Status) {
        let one = BlockDecodingStrategy::UptoBlocks(1);
        let ended = self.frame.decode_blocks(&LAST_BLOCK[..], one);
        debug_assert!(ended.is_ok());
        self.place = Place::Drain {
            then: Then::Stop(status),
        };
    }

    fn drained(&mut self, then: Then) -> Status {
        match then {
            Then::Block { checksum } => self.place = Place::Block { checksum },
            Then::Frame { checksum: true } => self.place = Place::Checksum { left: 4 },
            Then::Frame { checksum: false } => self.frame_over(),
            Then::Stop(status) => {
                self.place = Place::Over;
                return status;
            }
        }
        Status::More
    }

    fn frame_over(&mut self) {
        self.place = Place::Header;
        self.frames = true;
    }

    /// Takes bytes until `pending` holds `wanted` of them; returns how many.
    fn collect(&mut self, input: &[u8], wanted: usize) -> usize {
        let used = wanted.saturating_sub(self.pending.len()).min(input.len());
        self.pending.extend_from_slice(&input[..used]);
        used
    }

    fn header(&mut self, input: &[u8]) -> (usize, Status) {
        let mut used = 0;
        loop {
            let wanted = Header::len(&self.pending);
            if self.pending.len() == wanted {
                break;
            }
            used += self.collect(&input[used..], wanted);
            if self.pending.len() < wanted {
                return (used, Status::More);
            }
        }
        let (magic, size) = self.pending.split_at(4);
        let magic = little_endian(magic) as u32;
        let status = if magic & !0xf == MAGIC_SKIPPABLE {
            match little_endian(size) as u32 {
                0 => self.frame_over(),
                left => self.place = Place::Skip { left },
            }
            Status::More
        } else if magic == MAGIC {
            self.begin(&Header::parse(size))
        } else if self.frames {
            self.place = Place::Over;
            Status::More
        } else {
            Status::Broken
        };
        self.pending.clear();
        (used, status)
    }

    /// ruzstd is given a header of our own: the frame's may ask for any window, and would have
    /// content sizes and checksums minded that a listener does not care about.
    fn begin(&mut self, header: &Header) -> Status {
        let window = header.window.min(self.window);
        if header.dictionary != 0 || window > MAX_WINDOW {
            return Status::Unsupported;
        }
        let (descriptor, window) = window_descriptor(window);
        let [a, b, c, d] = MAGIC.to_le_bytes();
        if self.frame.reset(&[a, b, c, d, 0, descriptor][..]).is_err() {
            return Status::Broken;
        }
        self.given = self.given.max(window);
        self.place = Place::Block {
            checksum: header.checksum,
        };
        Status::More
    }

    fn block(&mut self, input: &[u8], checksum: bool) -> (usize, Status) {
        let mut used = self.collect(input, 3);
        let [a, b, c, ..] = self.pending[..] else {
            return (used, Status::More);
        };
        let word = u32::from_le_bytes([a, b, c, 0]);
        let size = (word >> 3) as usize;
        let len = match word >> 1 & 3 {
            0 | 2 => size,
            1 => 1,
            _ => return (used, self.broken()),
        };
        if size > MAX_BLOCK {
            return (used, self.broken());
        }
        used += self.collect(&input[used..], 3 + len);
        if self.pending.len() < 3 + len {
            return (used, Status::More);
        }
        if word >> 1 & 3 == 2 && literals_size(&self.pending[3..]).is_none_or(|s| s > MAX_BLOCK) {
            return (used, self.broken());
        }
        let one = BlockDecodingStrategy::UptoBlocks(1);
        let decoded = self.frame.decode_blocks(&self.pending[..], one);
        self.pending.clear();
        if decoded.is_err() {
            return (used, self.broken());
        }
        self.place = Place::Drain {
            then: if word & 1 == 1 {
                Then::Frame { checksum }
            } else {
                Then::Block { checksum }
            },
        };
        (used, Status::More)
    }

    /// What the frame gave before stands.
    fn broken(&mut self) -> Status {
        self.end_frame(Status::Broken);
        Status::More
    }

    fn checksum(&mut self, input: &[u8], left: u8) -> (usize, Status) {
        let used = input.len().min(left.into());
        match left - used as u8 {
            0 => self.frame_over(),
            left => self.place = Place::Checksum { left },
        }
        (used, Status::More)
    }

    fn skip(&mut self, input: &[u8], left: u32) -> (usize, Status) {
        let used = input.len().min(left as usize);
        match left - used as u32 {
            0 => self.frame_over(),
            left => self.place = Place::Skip { left },
        }
        (used, Status::More)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.frames && self.pending.is_empty() && matches!(self.place, Place::Header | Place::Over)
    }

    /// A bound: ruzstd does not say. Its ring holds the window and a block or two, and doubles; a
    /// block's literals are as long as the block, and a sequence of 12 bytes yields three or more.
    pub(super) fn memory(&self) -> usize {
        let block = self.given.min(MAX_BLOCK);
        let frame = match self.given {
            0 => 0,
            window => TABLES + 2 * (window + 2 * block) + 6 * block,
        };
        self.pending.capacity() + frame
    }
}

impl Header {
    /// Bytes of the frame header that begins so, as far as these bytes tell.
    fn len(head: &[u8]) -> usize {
        match *head {
            [a, b, c, d, ..] if u32::from_le_bytes([a, b, c, d]) & !0xf == MAGIC_SKIPPABLE => 8,
            [a, b, c, d, ref rest @ ..] if u32::from_le_bytes([a, b, c, d]) == MAGIC => {
                match rest.first() {
                    Some(descriptor) => {
                        let [window, dictionary, content] = Self::fields(*descriptor);
                        5 + window + dictionary + content
                    }
                    None => 5,
                }
            }
            _ => 4,
        }
    }

    /// Lengths of Window_Descriptor, Dictionary_ID and Frame_Content_Size.
    fn fields(descriptor: u8) -> [usize; 3] {
        let single = descriptor >> 5 & 1 == 1;
        let content = match descriptor >> 6 {
            0 => usize::from(single),
            flag => 1 << flag,
        };
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        [usize::from(!single), dictionary, content]
    }

    /// `fields`: a whole header behind its magic number.
    fn parse(fields: &[u8]) -> Self {
        let (descriptor, rest) = fields.split_first().map_or((0, fields), |(d, r)| (*d, r));
        let [window, dictionary, content] = Self::fields(descriptor);
        let part = |from, len| little_endian(rest.get(from..from + len).unwrap_or_default());
        let window_size = if window == 1 {
            let (exponent, mantissa) = (part(0, 1) >> 3, part(0, 1) & 7);
            (1 << (10 + exponent)) / 8 * (8 + mantissa)
        } else {
            part(dictionary, content) + if content == 2 { 256 } else { 0 }
        };
        Self {
            window: window_size,
            dictionary: part(window, dictionary) as u32,
            checksum: descriptor >> 2 & 1 == 1,
        }
    }
}

/// The smallest window of at least `size`, as its descriptor and in bytes.
fn window_descriptor(size: u64) -> (u8, usize) {
    let sizes = (0..=u8::MAX).map(|d| (d, (1_u64 << (10 + (d >> 3))) / 8 * u64::from(8 + (d & 7))));
    let fitting = sizes.into_iter().find(|(_, s)| *s >= size);
    fitting.map_or((u8::MAX, usize::MAX), |(d, s)| (d, s as usize))
}

/// Regenerated_Size of a compressed block's literals (section 3.1.1.3.1.1). ruzstd makes room for
/// up to 1 MiB before it compares it with the block's bound.
fn literals_size(block: &[u8]) -> Option<usize> {
    let first = *block.first()?;
    let (kind, format) = (first & 3, first >> 2 & 3);
    let bits = |len, shift, width: u32| {
        let word = little_endian(block.get(..len)?) as usize;
        Some(word >> shift & ((1_usize << width) - 1))
    };
    match (kind, format) {
        (0 | 1, 0 | 2) => bits(1, 3, 5),
        (0 | 1, 1) => bits(2, 4, 12),
        (0 | 1, _) => bits(3, 4, 20),
        (_, 0 | 1) => bits(3, 4, 10),
        (_, 2) => bits(4, 4, 14),
        _ => bits(5, 4, 18),
    }
}

/// Of at most eight bytes.
fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}
