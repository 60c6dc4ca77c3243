//! The record layer of one direction (RFC 5246, section 6.2; RFC 8446, section 5): where one
//! record ends and the next begins. Nothing is copied: a record is a slice of the stream, and one
//! that is not whole yet is left where it is and offered again.
//!
//! TLS 1.3 dresses its records as those of TLS 1.2 (RFC 8446, section 5.1 and appendix D.4), so
//! one framing serves all versions from SSL 3.0 on. The hello of SSL 2 is no record and no stream
//! that begins with one is read.

/// Type, version and length.
pub const HEADER: usize = 5;

/// RFC 5246, section 6.2.3: 2^14 bytes and at most 2,048 more of expansion. A longer length is
/// none: without the limit a forged header would make the flow hold 64 KiB.
pub const MAX_PAYLOAD: usize = (1 << 14) + 2_048;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    ChangeCipherSpec,
    Alert,
    Handshake,
    ApplicationData,
    Heartbeat,
}

impl ContentType {
    pub fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            20 => Self::ChangeCipherSpec,
            21 => Self::Alert,
            22 => Self::Handshake,
            23 => Self::ApplicationData,
            24 => Self::Heartbeat,
            _ => return None,
        })
    }
}

/// The bytes at hand begin no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTls;

/// The first five bytes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: ContentType,
    /// As sent: it is part of what is authenticated.
    pub bytes: [u8; HEADER],
}

impl Header {
    /// `None`: more bytes are needed. Says no as soon as a byte cannot be right.
    pub fn parse(data: &[u8]) -> Result<Option<Self>, NotTls> {
        let Some(&first) = data.first() else {
            return Ok(None);
        };
        let kind = ContentType::of(first).ok_or(NotTls)?;
        if data.get(1).is_some_and(|major| *major != 3)
            || data.get(2).is_some_and(|minor| *minor > 4)
        {
            return Err(NotTls);
        }
        let Some(&bytes) = data.first_chunk() else {
            return Ok(None);
        };
        let header = Self { kind, bytes };
        if header.length() > MAX_PAYLOAD {
            return Err(NotTls);
        }
        Ok(Some(header))
    }

    /// Bytes behind the header.
    pub fn length(&self) -> usize {
        usize::from(u16::from_be_bytes([self.bytes[3], self.bytes[4]]))
    }

    /// Bytes of the whole record.
    pub fn total(&self) -> usize {
        HEADER + self.length()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_told_at_every_cut() {
        let whole = [22, 3, 1, 0x02, 0x00];
        for end in 0..whole.len() {
            assert_eq!(Header::parse(&whole[..end]), Ok(None));
        }
        let header = Header::parse(&whole).unwrap().unwrap();
        assert_eq!((header.kind, header.total()), (ContentType::Handshake, 517));
    }

    #[test]
    fn what_is_no_record_is_refused_at_its_first_wrong_byte() {
        // HTTP, the hello of SSL 2, an unknown type, a major and a minor version out of range.
        let wrong: [&[u8]; 5] = [b"G", &[0x80, 0x2e, 1], &[25], &[22, 2], &[22, 3, 5]];
        for data in wrong {
            assert_eq!(Header::parse(data), Err(NotTls), "{data:?}");
        }
        assert_eq!(Header::parse(&[23, 3, 3, 0x48, 0x01]), Err(NotTls));
        assert!(Header::parse(&[23, 3, 3, 0x48, 0x00]).is_ok());
    }
}
