//! Remote calls in HTTP: gRPC, gRPC-Web and Connect. What they say of a call in clear: how many
//! messages went each way, how large, and how it ended.
//!
//! All three put five bytes before a message, flags and length. Payloads are passed over, so a
//! call costs the same however much it carries.

use super::head::Fields;
use crate::exchange::{Exchange, Rpc};

#[cfg(test)]
mod tests;

/// Bytes kept of what ends a call (trailers of gRPC-Web, the end of a Connect stream, its error):
/// what is looked for stands near the front, and an error message may be as long as it likes.
const MAX_ENDING: usize = 1 << 10;

/// Names of the codes of gRPC, by number, as Connect has them.
const CODES: [&str; 17] = [
    "ok",
    "canceled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

/// How messages lie in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Grpc,
    Web,
    /// gRPC-Web in base64.
    WebText,
    Connect,
    /// Connect's unary calls: the body is the message.
    Bare,
    /// The same, where it is an error in JSON.
    BareError,
    /// Not of that protocol: a proxy's page, or nothing at all.
    Foreign,
}

/// One direction's messages, counted as they pass.
#[derive(Debug)]
pub(super) struct Messages {
    framing: Framing,
    /// A prefix that is not whole yet, and how much of it there is.
    held: [u8; 5],
    have: u8,
    /// Four digits of base64 that are not whole yet, and how many there are.
    quantum: [u8; 4],
    digits: u8,
    /// Payload bytes to come.
    left: u64,
    /// The payload at hand is the call's end.
    ending: bool,
    end: Vec<u8>,
    count: u64,
    bytes: u64,
    /// Not what it was taken for, or a piece is missing: the counts are worth nothing.
    broken: bool,
}

/// A call of Connect that changes nothing may be a GET, its message in the query (Connect's
/// Unary-Get-Request); compressed or not, what counts is what was sent.
pub(super) fn get(x: &mut Exchange, query: Option<&str>) {
    let Some(query) = query.filter(|q| q.contains("connect=v1")) else {
        return;
    };
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(key, value)| (key == name).then_some(value))
    };
    let (Some("v1"), Some(_), Some(message)) =
        (value("connect"), value("encoding"), value("message"))
    else {
        return;
    };
    x.rpc = Some(Rpc::Connect);
    x.request_messages = Some(1);
    let bytes = percent_encoding::percent_decode_str(message);
    x.request_message_bytes = if value("base64") == Some("1") {
        base64url_len(bytes)
    } else {
        Some(bytes.count() as u64)
    };
}

/// Bytes that digits of base64url stand for (RFC 4648, section 5), with or without padding.
fn base64url_len(digits: impl Iterator<Item = u8>) -> Option<u64> {
    let (mut count, mut padding) = (0_u64, 0_u64);
    for digit in digits {
        match digit {
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' if padding == 0 => count += 1,
            _ => return None,
        }
    }
    let whole = padding == 0 || padding < 3 && (count + padding).is_multiple_of(4);
    (whole && count % 4 != 1).then_some(count * 3 / 4)
}

/// A request's head is in the record: whether it is a call, and what to count its messages with.
pub(super) fn request(x: &mut Exchange, fields: &Fields<'_>) -> Option<Messages> {
    let (rpc, framing) = kind(x.request_content_type.as_deref()?)
        .or_else(|| fields.connect.then_some((Rpc::Connect, Framing::Bare)))?;
    x.rpc = Some(rpc);
    Some(Messages::new(framing))
}

/// The same of a response, whose record has what is known of the request.
pub(super) fn response(x: &mut Exchange, fields: &Fields<'_>) -> Option<Messages> {
    let own = x.content_type.as_deref().and_then(kind);
    let asked = x.request_content_type.as_deref().and_then(kind);
    if x.rpc.is_none() && x.partial.no_request {
        x.rpc = own.map(|(rpc, _)| rpc);
    }
    let framing = match own {
        Some((rpc, framing)) if x.rpc? == rpc => framing,
        _ if x.rpc? != Rpc::Connect || asked.is_some() => Framing::Foreign,
        _ if x.status == Some(200) => Framing::Bare,
        _ => Framing::BareError,
    };
    if framing == Framing::Bare {
        x.grpc_status = Some(0);
    }
    trailers(x, fields);
    Some(Messages::new(framing))
}

/// `grpc-status`: in trailers, or where there is no body, in the response's head.
pub(super) fn trailers(x: &mut Exchange, fields: &Fields<'_>) {
    let status = fields.grpc_status.and_then(number);
    x.grpc_status = x.grpc_status.or(status).filter(|_| x.rpc.is_some());
}

impl Messages {
    fn new(framing: Framing) -> Self {
        Self {
            framing,
            held: [0; 5],
            have: 0,
            quantum: [0; 4],
            digits: 0,
            left: 0,
            ending: framing == Framing::BareError,
            end: Vec::new(),
            count: 0,
            bytes: 0,
            broken: false,
        }
    }

    /// The request's last message was whole, or as whole as it will get.
    pub(super) fn end_request(&self, x: &mut Exchange) {
        if !self.broken {
            x.request_messages = Some(self.count);
            x.request_message_bytes = Some(self.bytes);
        }
    }

    pub(super) fn end_response(&self, x: &mut Exchange) {
        if self.broken {
            return;
        }
        x.response_messages = Some(self.count);
        x.response_message_bytes = Some(self.bytes);
        let said = match self.framing {
            Framing::Web | Framing::WebText => trailer_lines(&self.end),
            Framing::Connect => connect_end(&self.end),
            Framing::BareError => connect_error(&self.end),
            _ => None,
        };
        x.grpc_status = x.grpc_status.or(said);
    }

    /// `len` bytes were not seen.
    pub(super) fn skip(&mut self, len: u64) {
        if self.left >= len && self.framing != Framing::WebText && !self.ending {
            self.left -= len;
        } else {
            self.broken = true;
        }
    }

    pub(super) fn feed(&mut self, content: &[u8]) {
        match self.framing {
            _ if self.broken => {}
            Framing::Foreign => {}
            Framing::Bare => {
                self.count = 1;
                self.bytes += content.len() as u64;
            }
            Framing::BareError => self.keep(content),
            Framing::WebText => self.base64(content),
            Framing::Grpc | Framing::Web | Framing::Connect => self.walk(content),
        }
    }

    fn walk(&mut self, mut content: &[u8]) {
        while !content.is_empty() && !self.broken {
            if self.left > 0 {
                let run = usize::try_from(self.left)
                    .unwrap_or(usize::MAX)
                    .min(content.len());
                if self.ending {
                    self.keep(&content[..run]);
                }
                self.left -= run as u64;
                content = &content[run..];
                continue;
            }
            self.held[usize::from(self.have)] = content[0];
            self.have += 1;
            content = &content[1..];
            if usize::from(self.have) == self.held.len() {
                self.have = 0;
                self.prefix();
            }
        }
    }

    /// Flags and length of what follows. Bit 0 says that it is compressed.
    fn prefix(&mut self) {
        let [flags, length @ ..] = self.held;
        let end = match self.framing {
            Framing::Web | Framing::WebText => 0x80,
            Framing::Connect => 0x02,
            _ => 0,
        };
        self.left = u64::from(u32::from_be_bytes(length));
        // Nothing follows an end, and no other flag has a meaning.
        self.broken |= self.ending || flags & !(end | 1) != 0;
        self.ending = flags & end != 0;
        if !self.ending {
            self.count += 1;
            self.bytes += self.left;
        } else if flags & 1 != 0 {
            // Compressed: there is nothing to read in it.
            self.framing = Framing::Grpc;
        }
    }

    fn keep(&mut self, content: &[u8]) {
        let room = MAX_ENDING - self.end.len();
        self.end
            .extend_from_slice(&content[..room.min(content.len())]);
    }

    /// Four digits are three bytes; every piece that was sent may have padding of its own.
    fn base64(&mut self, content: &[u8]) {
        for digit in content.iter().filter(|b| !b.is_ascii_whitespace()) {
            let Some(value) = sextet(*digit) else {
                self.broken = true;
                return;
            };
            self.quantum[usize::from(self.digits)] = value;
            self.digits += 1;
            if self.digits < 4 {
                continue;
            }
            self.digits = 0;
            let padding = self.quantum.iter().filter(|v| **v == PADDING).count();
            let bits = self.quantum.map(|v| u32::from(v & 0x3f));
            let word = bits[0] << 18 | bits[1] << 12 | bits[2] << 6 | bits[3];
            let [_, bytes @ ..] = word.to_be_bytes();
            self.walk(&bytes[..3_usize.saturating_sub(padding)]);
        }
    }
}

const PADDING: u8 = 0x40;

/// RFC 4648, section 4.
fn sextet(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        b'=' => PADDING,
        _ => return None,
    })
}

/// By media type, without parameters and in lower case.
fn kind(media_type: &str) -> Option<(Rpc, Framing)> {
    let is = |name: &str| {
        let rest = media_type.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('+'))
    };
    Some(match media_type {
        _ if is("application/grpc") => (Rpc::Grpc, Framing::Grpc),
        _ if is("application/grpc-web") => (Rpc::GrpcWeb, Framing::Web),
        _ if is("application/grpc-web-text") => (Rpc::GrpcWeb, Framing::WebText),
        _ if media_type.starts_with("application/connect+") => (Rpc::Connect, Framing::Connect),
        _ => return None,
    })
}

fn number(text: &[u8]) -> Option<u16> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

/// `grpc-status` of trailers that are lines of text.
fn trailer_lines(text: &[u8]) -> Option<u16> {
    text.split(|b| *b == b'\n').find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = (line[..colon].trim_ascii(), &line[colon + 1..]);
        let named = name.eq_ignore_ascii_case(b"grpc-status");
        named.then(|| number(value)).flatten()
    })
}

/// The end of a Connect stream: `{"error":{"code":…}}`, or no error.
fn connect_end(text: &[u8]) -> Option<u16> {
    let document: serde_json::Value = serde_json::from_slice(text).ok()?;
    match document.get("error") {
        Some(error) => code(error),
        None => Some(0),
    }
}

fn connect_error(text: &[u8]) -> Option<u16> {
    code(&serde_json::from_slice(text).ok()?)
}

fn code(error: &serde_json::Value) -> Option<u16> {
    let name = error.get("code")?.as_str()?;
    CODES.iter().position(|c| *c == name).map(|at| at as u16)
}
