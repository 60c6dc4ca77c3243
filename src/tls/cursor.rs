//! Reads the presentation language of TLS (RFC 8446, section 3): big-endian numbers and vectors
//! that carry their length. Nothing is copied, and what is not there is `None`.

/// The unread rest of some bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|b| b[0])
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(|b| u16::from_be_bytes(*b))
    }

    pub(super) fn u24(&mut self) -> Option<usize> {
        self.array()
            .map(|&[a, b, c]| usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))
    }

    /// `opaque v<0..2^8-1>`
    pub(super) fn vec8(&mut self) -> Option<&'a [u8]> {
        let n = self.u8()?;
        self.take(n.into())
    }

    /// `opaque v<0..2^16-1>`
    pub(super) fn vec16(&mut self) -> Option<&'a [u8]> {
        let n = self.u16()?;
        self.take(n.into())
    }

    /// `opaque v<0..2^24-1>`
    pub(super) fn vec24(&mut self) -> Option<&'a [u8]> {
        let n = self.u24()?;
        self.take(n)
    }
}

/// A list of 16-bit numbers; an odd last byte is passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct U16s<'a>(pub(super) &'a [u8]);

impl<'a> U16s<'a> {
    pub fn iter(self) -> impl Iterator<Item = u16> + Clone + 'a {
        self.0
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// Without the values that clients send so that servers stay tolerant (RFC 8701).
    pub fn sincere(self) -> impl Iterator<Item = u16> + Clone + 'a {
        self.iter().filter(|v| !is_grease(*v))
    }

    pub fn contains(self, value: u16) -> bool {
        self.iter().any(|v| v == value)
    }
}

/// RFC 8701, section 2: 0x0a0a, 0x1a1a … 0xfafa.
pub fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}
