//! The header of a WebSocket frame (RFC 6455, section 5.2), and what was agreed on beside it.

/// A control frame's payload is no longer (section 5.5).
const MAX_CONTROL: u64 = 125;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) fin: bool,
    /// RSV1: the message is compressed (RFC 7692, section 6).
    pub(super) compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: Option<[u8; 4]>,
    pub(super) len: u64,
    /// Bytes of the header itself.
    pub(super) size: usize,
    /// The length is written in no more bytes than it needs.
    pub(super) minimal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Header(Header),
    More,
    Broken,
}

/// What the server agreed to (`Sec-WebSocket-Extensions` of the 101): only that is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::http) struct Extensions {
    pub(in crate::http) deflate: bool,
    /// Each message of the client, of the server, is compressed on its own.
    pub(in crate::http) client_no_context: bool,
    pub(in crate::http) server_no_context: bool,
    /// Something else, which may give the other reserved bits a meaning.
    pub(in crate::http) other: bool,
}

impl Extensions {
    /// Adds what one header field names.
    pub(in crate::http) fn add(&mut self, value: &[u8]) {
        for extension in value.split(|b| *b == b',') {
            let mut words = extension.split(|b| *b == b';').map(<[u8]>::trim_ascii);
            let name = words.next().unwrap_or_default();
            if name.is_empty() {
                continue;
            }
            if !name.eq_ignore_ascii_case(b"permessage-deflate") {
                self.other = true;
                continue;
            }
            self.deflate = true;
            for word in words {
                let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
                self.client_no_context |= is(b"client_no_context_takeover");
                self.server_no_context |= is(b"server_no_context_takeover");
            }
        }
    }
}

/// Reads the header at the start of `data`. A client masks what it sends and a server does not
/// (section 5.1): either side's other way round is no frame.
pub(super) fn parse(data: &[u8], from_client: bool, extensions: Extensions) -> Parsed {
    let Some((&first, rest)) = data.split_first() else {
        return Parsed::More;
    };
    let Some(header) = begins(first, extensions) else {
        return Parsed::Broken;
    };
    let Some((&second, rest)) = rest.split_first() else {
        return Parsed::More;
    };
    if (second & 0x80 != 0) != from_client {
        return Parsed::Broken;
    }
    let width = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some((length, rest)) = rest.split_at_checked(width) else {
        return Parsed::More;
    };
    let long = length.iter().fold(0, |n, b| n << 8 | u64::from(*b));
    let (len, least) = match width {
        0 => (u64::from(second & 0x7f), 0),
        2 => (long, 126),
        _ => (long, 1 << 16),
    };
    let control = matches!(header.opcode, Opcode::Close | Opcode::Ping | Opcode::Pong);
    // The most significant bit must be 0; a close frame has a whole code or nothing.
    let close_of_one = header.opcode == Opcode::Close && len == 1;
    if len >> 63 != 0 || control && (!header.fin || len > MAX_CONTROL) || close_of_one {
        return Parsed::Broken;
    }
    let mask = match (from_client, rest.first_chunk::<4>()) {
        (false, _) => None,
        (true, Some(key)) => Some(*key),
        (true, None) => return Parsed::More,
    };
    Parsed::Header(Header {
        mask,
        len,
        size: 2 + width + if from_client { 4 } else { 0 },
        minimal: len >= least,
        ..header
    })
}

/// What the first byte says.
fn begins(first: u8, extensions: Extensions) -> Option<Header> {
    let opcode = match first & 0x0f {
        0x0 => Opcode::Continuation,
        0x1 => Opcode::Text,
        0x2 => Opcode::Binary,
        0x8 => Opcode::Close,
        0x9 => Opcode::Ping,
        0xa => Opcode::Pong,
        _ => return None,
    };
    let compressed = first & 0x40 != 0;
    // RFC 7692, section 6: RSV1 stands on the first frame of a message, and on no control frame.
    let may_compress = extensions.deflate && matches!(opcode, Opcode::Text | Opcode::Binary);
    let reserved = first & 0x30 != 0 || compressed && !may_compress;
    (!reserved || extensions.other).then_some(Header {
        fin: first & 0x80 != 0,
        compressed: compressed && may_compress,
        opcode,
        mask: None,
        len: 0,
        size: 0,
        minimal: true,
    })
}

/// Whether a segment of a direction that was lost begins a frame. Payload may look like a header, so
/// lengths must agree with what follows: a chain of two frames at least, or one that ends where the
/// bytes do. A frame that outlasts the segment is not believed; the next small one is.
pub(super) fn plausible(data: &[u8], from_client: bool, extensions: Extensions) -> bool {
    let (mut at, mut whole) = (0_usize, 0);
    loop {
        if at == data.len() {
            return whole >= 1;
        }
        match parse(&data[at..], from_client, extensions) {
            Parsed::Broken => return false,
            Parsed::More => return whole >= 2,
            Parsed::Header(h) if !h.minimal => return false,
            Parsed::Header(h) => {
                let left = data.len() - at - h.size;
                match usize::try_from(h.len) {
                    Ok(len) if len <= left => at += h.size + len,
                    _ => return whole >= 2,
                }
                whole += 1;
            }
        }
    }
}
