//! Message heads: httparse first, and for what it refuses a reader as lenient as servers are.

use std::mem::MaybeUninit;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memchr;

use crate::observe::Credential;
use crate::time::Timestamp;

/// Headers that httparse is given room for; a head with more goes to the lenient reader.
const FAST_HEADERS: usize = 64;

/// The parts of a head that decide framing or reach the record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) host: Option<&'a [u8]>,
    pub(super) content_length: Option<u64>,
    pub(super) chunked: bool,
    /// A Content-Length that is no number, or several that differ (RFC 9112, section 6.3).
    pub(super) bad_length: bool,
    pub(super) content_type: Option<&'a [u8]>,
    pub(super) user_agent: Option<&'a [u8]>,
    pub(super) credential: Credential<'a>,
    pub(super) deprecation: Option<&'a [u8]>,
    pub(super) sunset: Option<&'a [u8]>,
    /// `Upgrade: h2c` (RFC 7540, section 3.2).
    pub(super) h2c: bool,
    pub(super) http2_settings: Option<&'a [u8]>,
    pub(super) grpc_status: Option<&'a [u8]>,
    /// `connect-protocol-version`: a call of Connect.
    pub(super) connect: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) minor: u8,
    pub(super) fields: Fields<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Response<'a> {
    pub(super) status: Option<u16>,
    pub(super) minor: u8,
    pub(super) fields: Fields<'a>,
}

/// Length of the head at the start of `data`, its empty line included; `from` bytes were searched
/// before.
pub(super) fn end(data: &[u8], from: usize) -> Option<usize> {
    // An empty line may begin up to three bytes before the new data.
    let mut at = from.saturating_sub(3);
    while let Some(found) = memchr(b'\n', &data[at..]) {
        at += found + 1;
        match &data[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// `head` ends with its empty line.
pub(super) fn request(head: &[u8]) -> Option<Request<'_>> {
    let mut headers = [const { MaybeUninit::uninit() }; FAST_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    if let Ok(httparse::Status::Complete(_)) = parsed.parse_with_uninit_headers(head, &mut headers)
    {
        let mut fields = Fields::default();
        for header in parsed.headers.iter() {
            fields.take(header.name.as_bytes(), header.value);
        }
        let (method, target) = (parsed.method?.as_bytes(), parsed.path?.as_bytes());
        return Some(Request {
            method,
            target,
            minor: parsed.version?,
            fields,
        });
    }
    let (line, rest) = split_line(head)?;
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|w| !w.is_empty());
    // Of several words the first is the target: whoever reads on has left RFC 9112, section 3.
    let (method, target) = (words.next()?, words.next()?);
    let minor = words.next_back().and_then(minor).unwrap_or(0);
    Some(Request {
        method,
        target,
        minor,
        fields: lenient(rest),
    })
}

/// `head` ends with its empty line. A status that is no number is `None`.
pub(super) fn response(head: &[u8]) -> Option<Response<'_>> {
    let mut headers = [const { MaybeUninit::uninit() }; FAST_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    if let Ok(httparse::Status::Complete(_)) =
        config.parse_response_with_uninit_headers(&mut parsed, head, &mut headers)
    {
        let mut fields = Fields::default();
        for header in parsed.headers.iter() {
            fields.take(header.name.as_bytes(), header.value);
        }
        return Some(Response {
            status: parsed.code,
            minor: parsed.version?,
            fields,
        });
    }
    let (line, rest) = split_line(head)?;
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|w| !w.is_empty());
    let minor = minor(words.next()?)?;
    let status = words
        .next()
        .and_then(|w| std::str::from_utf8(w).ok()?.parse().ok());
    Some(Response {
        status: status.filter(|s| (1..=999).contains(s)),
        minor,
        fields: lenient(rest),
    })
}

/// The minor version of `HTTP/1.x`; anything else that begins alike is taken as 1.0, whose rules
/// assume least.
fn minor(version: &[u8]) -> Option<u8> {
    let (name, number) = version.split_at_checked(5)?;
    name.eq_ignore_ascii_case(b"HTTP/")
        .then(|| u8::from(number.starts_with(b"1.1")))
}

fn split_line(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr(b'\n', data)?;
    Some((
        data[..at].strip_suffix(b"\r").unwrap_or(&data[..at]),
        &data[at + 1..],
    ))
}

/// Header lines as servers take them: bare LF, spaces around the name, folded lines (obs-fold,
/// RFC 9112, section 5.2) skipped, lines without a colon passed over.
fn lenient(mut rest: &[u8]) -> Fields<'_> {
    let mut fields = Fields::default();
    while let Some((line, tail)) = split_line(rest) {
        rest = tail;
        if matches!(line.first(), Some(b' ' | b'\t')) {
            continue;
        }
        if let Some(colon) = memchr(b':', line) {
            fields.take(line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        }
    }
    fields
}

impl<'a> Fields<'a> {
    /// The first of several wins, but for those that frame: there a second one that differs is
    /// noted. Returns whether the field is of any interest.
    pub(super) fn take(&mut self, name: &[u8], value: &'a [u8]) -> bool {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match (name.len(), name.first().map(u8::to_ascii_lowercase)) {
            (4, Some(b'h')) if is(b"host") => set(&mut self.host, value),
            (6, Some(b'c')) if is(b"cookie") => set(&mut self.credential.cookie, value),
            (6, Some(b's')) if is(b"sunset") => set(&mut self.sunset, value),
            (7, Some(b'u')) if is(b"upgrade") => self.h2c |= names_h2c(value),
            (7, Some(b'a')) if is(b"api-key") => set(&mut self.credential.api_key, value),
            (9, Some(b'x')) if is(b"x-api-key") => set(&mut self.credential.api_key, value),
            (11, Some(b'g')) if is(b"grpc-status") => set(&mut self.grpc_status, value),
            (24, Some(b'c')) if is(b"connect-protocol-version") => self.connect = true,
            (10, Some(b'u')) if is(b"user-agent") => set(&mut self.user_agent, value),
            (11, Some(b'd')) if is(b"deprecation") => set(&mut self.deprecation, value),
            (12, Some(b'c')) if is(b"content-type") => set(&mut self.content_type, value),
            (12, Some(b'x')) if is(b"x-auth-token") => set(&mut self.credential.api_key, value),
            (13, Some(b'a')) if is(b"authorization") => {
                set(&mut self.credential.authorization, value)
            }
            (14, Some(b'h')) if is(b"http2-settings") => set(&mut self.http2_settings, value),
            (14, Some(b'c')) if is(b"content-length") => self.take_length(value),
            (17, Some(b't')) if is(b"transfer-encoding") => self.chunked |= is_chunked(value),
            _ => return false,
        }
        true
    }

    fn take_length(&mut self, value: &[u8]) {
        // `Content-Length: 5, 5` is one field sent twice (RFC 9110, section 8.6).
        for part in value.split(|b| *b == b',') {
            let part = part.trim_ascii();
            let digits = !part.is_empty() && part.iter().all(u8::is_ascii_digit);
            let number = std::str::from_utf8(part)
                .ok()
                .filter(|_| digits)
                .and_then(|p| p.parse().ok());
            match (number, self.content_length) {
                (None, _) => self.bad_length = true,
                (Some(n), None) => self.content_length = Some(n),
                (Some(n), Some(first)) => self.bad_length |= n != first,
            }
        }
    }
}

fn set<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) {
    slot.get_or_insert(value);
}

/// `chunked` frames the body where it is the last coding (RFC 9112, section 6.1); `identity`, a
/// coding of old that changes nothing, may stand behind it.
fn is_chunked(value: &[u8]) -> bool {
    let mut codings = value.rsplit(|b| *b == b',').map(<[u8]>::trim_ascii);
    codings
        .find(|c| !c.is_empty() && !c.eq_ignore_ascii_case(b"identity"))
        .is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"))
}

fn names_h2c(value: &[u8]) -> bool {
    let mut protocols = value.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    protocols.any(|p| p.eq_ignore_ascii_case(b"h2c"))
}

/// SETTINGS_HEADER_TABLE_SIZE of `HTTP2-Settings`: the payload of a SETTINGS frame in base64url
/// (RFC 7540, section 3.2.1).
pub(super) fn table_size(value: &[u8]) -> Option<u32> {
    let text = value.trim_ascii();
    let padded = text.iter().rposition(|b| *b != b'=')?;
    let payload = URL_SAFE_NO_PAD.decode(&text[..=padded]).ok()?;
    super::h2::header_table_size(&payload)
}

/// `type/subtype` in lower case, parameters cut.
pub(super) fn media_type(value: &[u8]) -> Option<compact_str::CompactString> {
    let essence = value
        .split(|b| *b == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let plausible = !essence.is_empty() && essence.len() <= 127 && essence.is_ascii();
    plausible.then(|| {
        let mut text = compact_str::CompactString::from_utf8_lossy(essence);
        text.make_ascii_lowercase();
        text
    })
}

/// `Deprecation` (RFC 9745: `@1688169599`), or its drafts' `true` (the epoch) and HTTP date.
pub(super) fn deprecation(value: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if let Some(seconds) = text.strip_prefix('@') {
        return seconds.parse().ok().map(Timestamp::from_secs);
    }
    if text.eq_ignore_ascii_case("true") {
        Some(Timestamp(0))
    } else {
        http_date(value)
    }
}

/// IMF-fixdate (RFC 9110, section 5.6.7), as `Sunset` (RFC 8594) has it.
pub(super) fn http_date(value: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let time = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_secs(time.timestamp().as_second()))
}
