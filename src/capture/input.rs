//! What the savefile readers share: bytes as they come, a large piece at a time, and byte order.

use std::io::{self, Read};
use std::ops::Range;

/// Bytes asked for at once: few system calls, and what was read is still in the processor's cache
/// when it is looked at.
const READ: usize = 1 << 18;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Endian {
    #[default]
    Little,
    Big,
}

impl Endian {
    pub(super) fn u16(self, b: &[u8], at: usize) -> Option<u16> {
        let bytes = b.get(at..at + 2)?.try_into().ok()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        })
    }

    pub(super) fn u32(self, b: &[u8], at: usize) -> Option<u32> {
        let bytes = b.get(at..at + 4)?.try_into().ok()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        })
    }

    pub(super) fn u64(self, b: &[u8], at: usize) -> Option<u64> {
        let bytes = b.get(at..at + 8)?.try_into().ok()?;
        Some(match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        })
    }
}

/// A buffer over anything that reads. What was taken stays readable until the next [`Input::fill`].
pub(super) struct Input {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// The part of `buffer` that was not taken yet.
    at: usize,
    filled: usize,
    /// Bytes of the file before `at`.
    position: u64,
}

impl Input {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            at: 0,
            filled: 0,
            position: 0,
        }
    }

    /// Bytes taken so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// What is at hand.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer[self.at..self.filled]
    }

    pub(super) fn bytes(&self, taken: Range<usize>) -> &[u8] {
        &self.buffer[taken]
    }

    pub(super) fn bytes_mut(&mut self, taken: Range<usize>) -> &mut [u8] {
        &mut self.buffer[taken]
    }

    /// Takes what [`Input::fill`] has brought; says where it lies.
    pub(super) fn take(&mut self, bytes: usize) -> Range<usize> {
        let taken = self.at..self.at + bytes;
        self.at = taken.end;
        self.position += bytes as u64;
        taken
    }

    /// Takes all that is at hand; says how much that was.
    pub(super) fn take_rest(&mut self) -> usize {
        let rest = self.filled - self.at;
        self.take(rest).len()
    }

    /// Goes over so many bytes, or to the end.
    pub(super) fn pass_over(&mut self, mut length: usize) -> Result<(), String> {
        while length > 0 {
            let step = length.min(READ);
            if !self.fill(step)? {
                self.take_rest();
                return Ok(());
            }
            self.take(step);
            length -= step;
        }
        Ok(())
    }

    /// Whether `need` bytes could be had.
    pub(super) fn fill(&mut self, need: usize) -> Result<bool, String> {
        if self.filled - self.at >= need {
            return Ok(true);
        }
        self.buffer.copy_within(self.at..self.filled, 0);
        (self.at, self.filled) = (0, self.filled - self.at);
        if self.buffer.len() < need.max(READ) {
            self.buffer.resize(need.max(READ), 0);
        }
        while self.filled < need {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Ok(false),
                Ok(n) => self.filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    // The input gives no more: what is buffered is all there is.
                    self.input = Box::new(io::empty());
                    return Err(format!("at byte {}: {e}", self.position));
                }
            }
        }
        Ok(true)
    }
}
