//! gzip (RFC 1952) and deflate, which is zlib (RFC 1950) by the RFC and bare deflate (RFC 1951) by
//! habit: the wrappers. The window of 32 KiB lives from a stream's first byte to its last.

use super::inflate::Inflate;
use super::{Status, Step};

/// Bytes kept of a zlib stream that has yielded nothing yet, in case that it is bare deflate. The
/// head of a block with codes of its own is 320 bytes at most.
const MAX_KEPT: usize = 512;

/// Place inside a gzip member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the ten fixed bytes.
    Fixed {
        at: u8,
    },
    ExtraLength {
        low: Option<u8>,
    },
    Extra {
        left: u16,
    },
    Name,
    Comment,
    HeaderCheck {
        left: u8,
    },
    Data,
    /// Checksum and length.
    Trailer {
        left: u8,
    },
    /// Behind the last member: what follows belongs to nobody.
    Over,
}

pub(super) struct Gzip {
    place: Place,
    /// FLG of the member at hand.
    flags: u8,
    /// Whole members went by.
    members: bool,
    engine: Option<Box<Inflate>>,
}

impl Default for Gzip {
    fn default() -> Self {
        Self {
            place: Place::Fixed { at: 0 },
            flags: 0,
            members: false,
            engine: None,
        }
    }
}

impl Gzip {
    const HEADER_CHECK: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;
    const RESERVED: u8 = 0b1110_0000;

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let mut used = 0;
        while used < input.len() && !matches!(self.place, Place::Data | Place::Over) {
            if !self.wrapper(input[used]) {
                return Step::stop(used, Status::Broken);
            }
            used += 1;
        }
        match self.place {
            Place::Over => used = input.len(),
            Place::Data => {
                let engine = self.engine.get_or_insert_with(|| Box::new(Inflate::new()));
                let mut step = engine.step(&input[used..], output);
                step.used += used;
                if engine.is_over() {
                    self.engine = None;
                    self.place = Place::Trailer { left: 8 };
                }
                return step;
            }
            _ => {}
        }
        Step {
            used,
            ..Step::default()
        }
    }

    /// Takes a byte of header or trailer; false where it cannot stand there.
    fn wrapper(&mut self, byte: u8) -> bool {
        match self.place {
            Place::Fixed { at } => {
                let fits = match at {
                    0 => byte == 0x1f,
                    1 => byte == 0x8b,
                    2 => byte == 8,
                    3 => byte & Self::RESERVED == 0,
                    _ => true,
                };
                if !fits && self.members {
                    self.place = Place::Over;
                    return true;
                }
                if at == 3 {
                    self.flags = byte;
                }
                self.place = if at == 9 {
                    self.after(Self::EXTRA - 1)
                } else {
                    Place::Fixed { at: at + 1 }
                };
                return fits;
            }
            Place::ExtraLength { low: None } => self.place = Place::ExtraLength { low: Some(byte) },
            Place::ExtraLength { low: Some(low) } => {
                self.place = match u16::from_le_bytes([low, byte]) {
                    0 => self.after(Self::EXTRA),
                    left => Place::Extra { left },
                }
            }
            Place::Extra { left: 1 } => self.place = self.after(Self::EXTRA),
            Place::Extra { left } => self.place = Place::Extra { left: left - 1 },
            Place::Name if byte == 0 => self.place = self.after(Self::NAME),
            Place::Comment if byte == 0 => self.place = self.after(Self::COMMENT),
            Place::Name | Place::Comment => {}
            Place::HeaderCheck { left: 1 } => self.place = Place::Data,
            Place::HeaderCheck { left } => self.place = Place::HeaderCheck { left: left - 1 },
            Place::Trailer { left: 1 } => {
                self.members = true;
                self.place = Place::Fixed { at: 0 };
            }
            Place::Trailer { left } => self.place = Place::Trailer { left: left - 1 },
            Place::Data | Place::Over => {}
        }
        true
    }

    /// The next optional field behind that of flag `seen`; the header's checksum, whose flag is
    /// the lowest, comes last.
    fn after(&self, seen: u8) -> Place {
        let has = |flag: u8| flag > seen && self.flags & flag != 0;
        if has(Self::EXTRA) {
            Place::ExtraLength { low: None }
        } else if has(Self::NAME) {
            Place::Name
        } else if has(Self::COMMENT) {
            Place::Comment
        } else if self.flags & Self::HEADER_CHECK != 0 {
            Place::HeaderCheck { left: 2 }
        } else {
            Place::Data
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.members && matches!(self.place, Place::Over | Place::Fixed { at: 0 })
    }

    pub(super) fn memory(&self) -> usize {
        self.engine.as_ref().map_or(0, |_| Inflate::MEMORY)
    }
}

/// Which of the two kinds of deflate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The two bytes that tell have not come.
    Unknown,
    /// By its header, and nothing has come out yet: it may still be a bare stream whose first
    /// bytes look alike.
    Likely,
    Certain,
    /// Behind the stream's end.
    Over,
}

pub(super) struct Deflate {
    kind: Kind,
    engine: Option<Box<Inflate>>,
    /// The stream's first bytes, while its kind is not certain.
    kept: Vec<u8>,
    /// Of the kept bytes, those that the engine still has to take; `replay <= kept.len()`.
    replay: usize,
}

impl Default for Deflate {
    fn default() -> Self {
        Self {
            kind: Kind::Unknown,
            engine: None,
            kept: Vec::new(),
            replay: 0,
        }
    }
}

impl Deflate {
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let mut used = 0;
        loop {
            let step = self.advance(&input[used..], output);
            used += step.used;
            let waits = used == input.len() && self.replay == 0;
            if waits || step.made > 0 || step.status != Status::More {
                return Step { used, ..step };
            }
        }
    }

    fn advance(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        match self.kind {
            Kind::Over => Step::stop(input.len(), Status::More),
            Kind::Unknown => self.tell(input),
            Kind::Likely => {
                let room = MAX_KEPT - self.kept.len();
                let step = self.inflate(&input[..input.len().min(room)], output);
                self.kept.extend_from_slice(&input[..step.used]);
                if step.made > 0 || self.kept.len() == MAX_KEPT || self.kind == Kind::Over {
                    self.kept = Vec::new();
                    if self.kind == Kind::Likely {
                        self.kind = Kind::Certain;
                    }
                } else if step.status == Status::Broken {
                    self.start_over();
                    return Step::stop(step.used, Status::More);
                }
                step
            }
            Kind::Certain if self.replay > 0 => {
                let kept = std::mem::take(&mut self.kept);
                let step = self.inflate(&kept[kept.len() - self.replay..], output);
                self.replay -= step.used;
                if self.kind == Kind::Over {
                    self.replay = 0;
                } else if self.replay > 0 {
                    self.kept = kept;
                }
                Step { used: 0, ..step }
            }
            Kind::Certain => self.inflate(input, output),
        }
    }

    /// RFC 1950, section 2.2: CM 8, CINFO at most 7, a multiple of 31.
    fn tell(&mut self, input: &[u8]) -> Step {
        let used = input.len().min(2 - self.kept.len());
        self.kept.extend_from_slice(&input[..used]);
        if let [cmf, flg] = self.kept[..] {
            let zlib = cmf & 0x0f == 8
                && cmf >> 4 <= 7
                && u16::from_be_bytes([cmf, flg]).is_multiple_of(31)
                && flg & 1 << 5 == 0;
            if zlib {
                self.kind = Kind::Likely;
            } else {
                self.start_over();
            }
        }
        Step::stop(used, Status::More)
    }

    /// The stream is bare: all that was kept of it is read again.
    fn start_over(&mut self) {
        self.kind = Kind::Certain;
        self.engine = None;
        self.replay = self.kept.len();
    }

    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let engine = self.engine.get_or_insert_with(|| Box::new(Inflate::new()));
        let step = engine.step(input, output);
        if engine.is_over() {
            self.engine = None;
            self.kind = Kind::Over;
        }
        step
    }

    pub(super) fn is_whole(&self) -> bool {
        self.kind == Kind::Over
    }

    pub(super) fn memory(&self) -> usize {
        self.kept.capacity() + self.engine.as_ref().map_or(0, |_| Inflate::MEMORY)
    }
}
