//! Bare deflate (RFC 1951), in pieces cut anywhere.
//!
//! Ours, because the crates at hand fail a listener of hostile bytes: miniz_oxide builds its tables
//! anew for every block, so that blocks of no content cost it two microseconds a byte, and flate2
//! drops up to a window of good content before an error. Here a block costs its codes, which are
//! counted and not tabulated: some 50 MB/s, and nothing to rebuild for a fixed one. What one step
//! reads, a symbol with all that belongs to it, is 48 bits at most; where they have not come, the
//! step has not happened. No byte behind the stream's end is taken.

use super::{Status, Step};

/// Section 2: distances reach this far back.
const WINDOW: usize = 32 << 10;

const MAX_BITS: usize = 15;

/// Literal and length symbols, and distance symbols, for which lengths can be told (section 3.2.7).
const LENGTH_SYMBOLS: usize = 288;
const DISTANCE_SYMBOLS: usize = 32;

/// The order in which code lengths of the code for code lengths come.
const ORDER: [u8; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// Base and extra bits of length symbols 257 to 285 (section 3.2.5).
const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// Base and extra bits of distance symbols.
const DISTANCES: [(u16, u8); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];

/// Why a step did not happen.
enum Stop {
    /// More bits are needed.
    Hungry,
    /// No room is left in the output.
    Full,
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before a block's header.
    Block,
    /// In a stored block.
    Stored {
        left: u16,
    },
    /// In the code lengths of the code for code lengths, `at` of `of`.
    Order {
        at: u8,
        of: u8,
    },
    /// In the code lengths, `at` of `lengths + distances`.
    Lengths {
        at: u16,
    },
    Symbols,
    /// In a match.
    Copy {
        left: u16,
        distance: u16,
    },
    Over,
}

/// A canonical code: how many symbols there are of each length, and the symbols in code order.
struct Code {
    count: [u16; MAX_BITS + 1],
    symbols: [u16; LENGTH_SYMBOLS],
}

pub(super) struct Inflate {
    place: Place,
    /// The block at hand is the last.
    last: bool,
    /// Bits that were taken from the input and not read yet; `count < 56`.
    hold: u64,
    count: u32,
    /// Code lengths of the block at hand, and how many are of lengths and of distances.
    told: [u8; LENGTH_SYMBOLS + DISTANCE_SYMBOLS],
    lengths: u16,
    distances: u16,
    length_code: Code,
    distance_code: Code,
    /// The codes are those of fixed blocks.
    fixed: bool,
    window: Box<[u8; WINDOW]>,
    /// Bytes made, up to the first window full, and the place of the next one.
    made: usize,
    at: usize,
}

/// Where bits come from: what is held, then the input.
struct Bits<'a> {
    input: &'a [u8],
    used: usize,
    hold: u64,
    count: u32,
    /// Bits that the step at hand has read; they are gone once it has happened.
    read: u32,
}

impl Bits<'_> {
    fn take(&mut self, len: u8) -> Result<u16, Stop> {
        let end = self.read + u32::from(len);
        while self.count < end {
            let byte = *self.input.get(self.used).ok_or(Stop::Hungry)?;
            self.used += 1;
            self.hold |= u64::from(byte) << self.count;
            self.count += 8;
        }
        let bits = self.hold >> self.read & ((1 << len) - 1);
        self.read = end;
        Ok(bits as u16)
    }

    /// The step has happened.
    fn done(&mut self) {
        self.hold >>= self.read;
        self.count -= self.read;
        self.read = 0;
    }

    /// Passes over what is left of the byte at hand.
    fn align(&mut self) {
        self.read += (self.count - self.read) % 8;
    }
}

impl Code {
    const NONE: Self = Self {
        count: [0; MAX_BITS + 1],
        symbols: [0; LENGTH_SYMBOLS],
    };

    /// None where the lengths are of no code (section 3.2.2): more codes than there is room for,
    /// or fewer, but that a code of one symbol, or of none that will be used, is let pass.
    fn of(lengths: &[u8]) -> Option<Self> {
        let mut code = Self::NONE;
        for length in lengths {
            code.count[usize::from(*length)] += 1;
        }
        code.count[0] = 0;
        let mut place = [0; MAX_BITS + 2];
        let mut free = 1_i32;
        for (bits, count) in code.count.iter().enumerate().skip(1) {
            free = (free << 1) - i32::from(*count);
            if free < 0 {
                return None;
            }
            place[bits + 1] = place[bits] + count;
        }
        let symbols = place[MAX_BITS + 1];
        if free > 0 && (symbols > 1 || symbols != code.count[1]) {
            return None;
        }
        for (symbol, length) in lengths.iter().enumerate().filter(|(_, l)| **l > 0) {
            let next = &mut place[usize::from(*length)];
            code.symbols[usize::from(*next)] = symbol as u16;
            *next += 1;
        }
        Some(code)
    }

    /// Reads a symbol: of each length, codes are consecutive and begin behind those one shorter.
    fn read(&self, bits: &mut Bits<'_>) -> Result<u16, Stop> {
        let (mut code, mut first, mut index) = (0_u16, 0_u16, 0_u16);
        for count in &self.count[1..] {
            code |= bits.take(1)?;
            if code - first < *count {
                return Ok(self.symbols[usize::from(index + code - first)]);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(Stop::Broken)
    }
}

impl Inflate {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Block,
            last: false,
            hold: 0,
            count: 0,
            told: [0; LENGTH_SYMBOLS + DISTANCE_SYMBOLS],
            lengths: 0,
            distances: 0,
            length_code: Code::NONE,
            distance_code: Code::NONE,
            fixed: false,
            window: Box::new([0; WINDOW]),
            made: 0,
            at: 0,
        }
    }

    /// Reads until the input or the output is at its end, or the stream is.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let mut bits = Bits {
            input,
            used: 0,
            hold: self.hold,
            count: self.count,
            read: 0,
        };
        let mut made = 0;
        let status = loop {
            match self.advance(&mut bits, output, &mut made) {
                Ok(()) => bits.done(),
                Err(Stop::Hungry | Stop::Full) => break Status::More,
                Err(Stop::Broken) => break Status::Broken,
            }
            if self.place == Place::Over {
                break Status::More;
            }
        };
        (self.hold, self.count) = (bits.hold, bits.count);
        Step {
            used: bits.used,
            made,
            status,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    pub(super) const MEMORY: usize = size_of::<Self>() + WINDOW;

    fn advance(
        &mut self,
        bits: &mut Bits<'_>,
        output: &mut [u8],
        made: &mut usize,
    ) -> Result<(), Stop> {
        match self.place {
            Place::Block => self.block(bits),
            Place::Stored { left: 0 } => {
                self.block_over();
                Ok(())
            }
            Place::Stored { left } => {
                let slot = output.get_mut(*made).ok_or(Stop::Full)?;
                *slot = bits.take(8)? as u8;
                self.put(*slot);
                *made += 1;
                self.place = Place::Stored { left: left - 1 };
                Ok(())
            }
            Place::Order { at, of } => self.order(bits, at, of),
            Place::Lengths { at } => self.code_length(bits, at),
            Place::Symbols => {
                // A symbol is only read where there is room for a literal.
                let slot = output.get_mut(*made).ok_or(Stop::Full)?;
                if let Some(literal) = self.symbol(bits)? {
                    *slot = literal;
                    self.put(literal);
                    *made += 1;
                }
                Ok(())
            }
            Place::Copy { left, distance } => {
                let room = output.len() - *made;
                let run = room.min(left.into());
                for slot in &mut output[*made..*made + run] {
                    *slot = self.window[(self.at + WINDOW - usize::from(distance)) % WINDOW];
                    self.put(*slot);
                }
                *made += run;
                let left = left - run as u16;
                self.place = match left {
                    0 => Place::Symbols,
                    _ => Place::Copy { left, distance },
                };
                if left == 0 { Ok(()) } else { Err(Stop::Full) }
            }
            Place::Over => Ok(()),
        }
    }

    fn put(&mut self, byte: u8) {
        self.window[self.at] = byte;
        self.at = (self.at + 1) % WINDOW;
        self.made = WINDOW.min(self.made + 1);
    }

    fn block_over(&mut self) {
        self.place = if self.last { Place::Over } else { Place::Block };
    }

    /// A block's header (section 3.2.3), and what is of one size behind it.
    fn block(&mut self, bits: &mut Bits<'_>) -> Result<(), Stop> {
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => {
                bits.align();
                let left = bits.take(16)?;
                if bits.take(16)? != !left {
                    return Err(Stop::Broken);
                }
                self.place = Place::Stored { left };
            }
            1 => {
                if !self.fixed {
                    self.fixed = true;
                    let mut lengths = [8; LENGTH_SYMBOLS];
                    lengths[144..256].fill(9);
                    lengths[256..280].fill(7);
                    self.length_code = Code::of(&lengths).ok_or(Stop::Broken)?;
                    self.distance_code = Code::of(&[5; DISTANCE_SYMBOLS]).ok_or(Stop::Broken)?;
                }
                self.place = Place::Symbols;
            }
            2 => {
                self.fixed = false;
                self.lengths = bits.take(5)? + 257;
                self.distances = bits.take(5)? + 1;
                let of = bits.take(4)? as u8 + 4;
                if self.lengths > 286 || self.distances > 30 {
                    return Err(Stop::Broken);
                }
                self.told[..ORDER.len()].fill(0);
                self.place = Place::Order { at: 0, of };
            }
            _ => return Err(Stop::Broken),
        }
        self.last = last;
        Ok(())
    }

    fn order(&mut self, bits: &mut Bits<'_>, at: u8, of: u8) -> Result<(), Stop> {
        if at < of {
            self.told[usize::from(ORDER[usize::from(at)])] = bits.take(3)? as u8;
            self.place = Place::Order { at: at + 1, of };
        } else {
            self.length_code = Code::of(&self.told[..ORDER.len()]).ok_or(Stop::Broken)?;
            self.place = Place::Lengths { at: 0 };
        }
        Ok(())
    }

    /// One code length, or several alike (section 3.2.7).
    fn code_length(&mut self, bits: &mut Bits<'_>, at: u16) -> Result<(), Stop> {
        let (lengths, all) = (
            self.lengths.into(),
            usize::from(self.lengths + self.distances),
        );
        let at = usize::from(at);
        if at == all {
            // Without an end a block is none.
            if self.told[256] == 0 {
                return Err(Stop::Broken);
            }
            self.length_code = Code::of(&self.told[..lengths]).ok_or(Stop::Broken)?;
            self.distance_code = Code::of(&self.told[lengths..all]).ok_or(Stop::Broken)?;
            self.place = Place::Symbols;
            return Ok(());
        }
        let (length, run) = match self.length_code.read(bits)? {
            symbol @ 0..16 => (symbol as u8, 1),
            16 => {
                let before = at.checked_sub(1).ok_or(Stop::Broken)?;
                (self.told[before], 3 + bits.take(2)?)
            }
            17 => (0, 3 + bits.take(3)?),
            _ => (0, 11 + bits.take(7)?),
        };
        let end = at + usize::from(run);
        if end > all {
            return Err(Stop::Broken);
        }
        self.told[at..end].fill(length);
        self.place = Place::Lengths { at: end as u16 };
        Ok(())
    }

    /// A literal, a match, or the block's end.
    fn symbol(&mut self, bits: &mut Bits<'_>) -> Result<Option<u8>, Stop> {
        let symbol = self.length_code.read(bits)?;
        if let Ok(literal) = u8::try_from(symbol) {
            return Ok(Some(literal));
        }
        if symbol == 256 {
            self.block_over();
            return Ok(None);
        }
        let (base, extra) = *LENGTHS.get(usize::from(symbol) - 257).ok_or(Stop::Broken)?;
        let left = base + bits.take(extra)?;
        let symbol = self.distance_code.read(bits)?;
        let (base, extra) = *DISTANCES.get(usize::from(symbol)).ok_or(Stop::Broken)?;
        let distance = base + bits.take(extra)?;
        if usize::from(distance) > self.made {
            return Err(Stop::Broken);
        }
        self.place = Place::Copy { left, distance };
        Ok(None)
    }
}
