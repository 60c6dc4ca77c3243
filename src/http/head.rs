//! Message heads: httparse first, and for what it refuses a reader as lenient as servers are.

use std::mem::MaybeUninit;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memchr;

use super::coding::Codings;
use crate::exchange::{Anomalies, Anomaly};
use crate::observe::Credential;
use crate::time::Timestamp;

/// What is taken for a status code; servers invent their own beyond RFC 9110, section 15.
const STATUS: std::ops::RangeInclusive<u16> = 1..=999;

/// Headers that httparse is given room for; a head with more goes to the lenient reader.
const FAST_HEADERS: usize = 64;

/// The parts of a head that decide framing or reach the record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) host: Option<&'a [u8]>,
    pub(super) content_length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) transfer_encoding: bool,
    /// `Expect: 100-continue`.
    pub(super) expects: bool,
    pub(super) anomalies: Anomalies,
    pub(super) content_type: Option<&'a [u8]>,
    pub(super) codings: Codings,
    pub(super) user_agent: Option<&'a [u8]>,
    pub(super) credential: Credential<'a>,
    /// `Server`, `X-Powered-By`, `X-AspNet-Version`.
    pub(super) software: [Option<&'a [u8]>; 3],
    pub(super) deprecation: Option<&'a [u8]>,
    pub(super) sunset: Option<&'a [u8]>,
    pub(super) location: Option<&'a [u8]>,
    /// `Upgrade: h2c` (RFC 7540, section 3.2).
    pub(super) h2c: bool,
    /// `Upgrade: websocket` (RFC 6455, section 4.1), and what was agreed on beside it.
    pub(super) websocket: bool,
    pub(super) extensions: super::ws::Extensions,
    pub(super) forwarding: super::forwarded::Forwarding<'a>,
    pub(super) http2_settings: Option<&'a [u8]>,
    pub(super) grpc_status: Option<&'a [u8]>,
    /// `connect-protocol-version`: a call of Connect.
    pub(super) connect: bool,
    pub(super) soap_action: Option<&'a [u8]>,
    /// `OData-Version`, or `DataServiceVersion` before 4.0, or their `Max` forms.
    pub(super) odata: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a [u8],
    /// Empty where the line has none.
    pub(super) target: &'a [u8],
    pub(super) minor: u8,
    pub(super) fields: Fields<'a>,
    /// All of it.
    pub(super) head: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Response<'a> {
    pub(super) status: Option<u16>,
    pub(super) minor: u8,
    pub(super) fields: Fields<'a>,
    /// All of it.
    pub(super) head: &'a [u8],
}

/// Names of the fields of a head, as sent.
pub(super) fn field_names(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = head.split(|b| *b == b'\n').skip(1);
    lines.filter_map(|line| Some(line[..memchr(b':', line)?].trim_ascii()))
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
            fields: fields.judged(head),
            head,
        });
    }
    let (line, rest) = split_line(head)?;
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|w| !w.is_empty());
    // Of several words the first is the target: whoever reads on has left RFC 9112, section 3.
    let (method, target) = (words.next()?, words.next().unwrap_or_default());
    let version = words.next_back().and_then(minor);
    let mut fields = lenient(rest);
    let regular = [method, target].join(&b' ').len() + b" HTTP/1.x".len() == line.len();
    if !regular || version.is_none() {
        fields.anomalies.add(Anomaly::RequestLine);
    }
    Some(Request {
        method,
        target,
        minor: version.unwrap_or(0),
        fields: fields.judged(head),
        head,
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
            status: parsed.code.filter(|s| STATUS.contains(s)),
            minor: parsed.version?,
            fields: fields.judged(head),
            head,
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
        status: status.filter(|s| STATUS.contains(s)),
        minor,
        fields: lenient(rest).judged(head),
        head,
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

/// Header lines as servers take them: bare LF, spaces around the name, lines without a colon passed
/// over. A folded line (obs-fold, RFC 9112, section 5.2) belongs to the value before it; the fold
/// itself is white space there.
fn lenient(mut rest: &[u8]) -> Fields<'_> {
    let mut fields = Fields::default();
    while !rest.is_empty() {
        let mut end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        while matches!(rest.get(end), Some(b' ' | b'\t')) {
            fields.anomalies.add(Anomaly::ObsFold);
            end += memchr(b'\n', &rest[end..]).map_or(rest.len() - end, |at| at + 1);
        }
        let (line, tail) = rest.split_at(end);
        rest = tail;
        match memchr(b':', line) {
            Some(colon) => {
                let name = line[..colon].trim_ascii();
                if name.len() != colon {
                    fields.anomalies.add(Anomaly::HeaderLine);
                }
                fields.take(name, line[colon + 1..].trim_ascii());
            }
            None if line.trim_ascii().is_empty() => {}
            None => fields.anomalies.add(Anomaly::HeaderLine),
        }
    }
    fields
}

impl<'a> Fields<'a> {
    /// The first of several wins; where it matters, one that differs is noted. Returns whether the
    /// field is of any interest.
    pub(super) fn take(&mut self, name: &[u8], value: &'a [u8]) -> bool {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match (name.len(), name.first().map(u8::to_ascii_lowercase)) {
            (4, Some(b'h')) if is(b"host") => {
                if self.host.is_some_and(|first| first != value) {
                    self.anomalies.add(Anomaly::HostConflict);
                }
                set(&mut self.host, value);
            }
            (6, Some(b'c')) if is(b"cookie") => set(&mut self.credential.cookie, value),
            (6, Some(b'e')) if is(b"expect") => {
                self.expects = value.trim_ascii().eq_ignore_ascii_case(b"100-continue");
            }
            (6, Some(b's')) if is(b"sunset") => set(&mut self.sunset, value),
            (7, Some(b'u')) if is(b"upgrade") => {
                self.h2c |= names(value, b"h2c");
                self.websocket |= names(value, b"websocket");
            }
            (8, Some(b'l')) if is(b"location") => set(&mut self.location, value),
            (11, Some(b'g')) if is(b"grpc-status") => set(&mut self.grpc_status, value),
            (10, Some(b's')) if is(b"soapaction") => set(&mut self.soap_action, value),
            (13, Some(b'o')) if is(b"odata-version") => self.odata = true,
            (16, Some(b'o')) if is(b"odata-maxversion") => self.odata = true,
            (18, Some(b'd')) if is(b"dataserviceversion") => self.odata = true,
            (21, Some(b'm')) if is(b"maxdataserviceversion") => self.odata = true,
            (24, Some(b's')) if is(b"sec-websocket-extensions") => self.extensions.add(value),
            (24, Some(b'c')) if is(b"connect-protocol-version") => self.connect = true,
            (10, Some(b'u')) if is(b"user-agent") => set(&mut self.user_agent, value),
            (11, Some(b'd')) if is(b"deprecation") => set(&mut self.deprecation, value),
            (12, Some(b'c')) if is(b"content-type") => set(&mut self.content_type, value),
            (6, Some(b's')) if is(b"server") => set(&mut self.software[0], value),
            (12, Some(b'x')) if is(b"x-powered-by") => set(&mut self.software[1], value),
            (16, Some(b'x')) if is(b"x-aspnet-version") => set(&mut self.software[2], value),
            (13, Some(b'a')) if is(b"authorization") => {
                set(&mut self.credential.authorization, value)
            }
            (14, Some(b'h')) if is(b"http2-settings") => set(&mut self.http2_settings, value),
            (14, Some(b'c')) if is(b"content-length") => self.take_length(value),
            (16, Some(b'c')) if is(b"content-encoding") => self.codings.add(value),
            (17, Some(b't')) if is(b"transfer-encoding") => {
                self.transfer_encoding = true;
                self.chunked = is_chunked(value).unwrap_or(self.chunked);
            }
            (9 | 15..=17, Some(b'f' | b'x')) if self.forwarding.take(name, value) => {}
            _ => return self.credential.take(name, value),
        }
        true
    }

    /// Where the message ends is anybody's guess: servers refuse it or differ (RFC 9112,
    /// section 6.3).
    pub(super) fn endless(&self) -> bool {
        let has = |a| self.anomalies.has(a);
        !self.chunked
            && (has(Anomaly::TransferCoding)
                || has(Anomaly::LengthConflict)
                || has(Anomaly::LengthInvalid))
    }

    /// Notes what only the whole head shows.
    fn judged(mut self, head: &[u8]) -> Self {
        if self.transfer_encoding && self.content_length.is_some() {
            self.anomalies.add(Anomaly::LengthAndChunked);
        }
        if self.transfer_encoding && !self.chunked {
            self.anomalies.add(Anomaly::TransferCoding);
        }
        let first_line = memchr(b'\n', head).and_then(|at| at.checked_sub(1));
        let ends = [first_line, head.len().checked_sub(2)];
        if ends.into_iter().flatten().any(|at| head[at] != b'\r') {
            self.anomalies.add(Anomaly::BareLf);
        }
        self
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
                (None, _) => self.anomalies.add(Anomaly::LengthInvalid),
                (Some(n), None) => self.content_length = Some(n),
                (Some(n), Some(first)) if n != first => {
                    self.anomalies.add(Anomaly::LengthConflict);
                }
                (Some(_), Some(_)) => {}
            }
        }
    }
}

fn set<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) {
    slot.get_or_insert(value);
}

/// `chunked` frames the body where it is the last coding (RFC 9112, section 6.1); `identity`, a
/// coding of old that changes nothing, may stand behind it.
fn is_chunked(value: &[u8]) -> Option<bool> {
    let mut codings = value.rsplit(|b| *b == b',').map(<[u8]>::trim_ascii);
    let last = codings.find(|c| !c.is_empty() && !c.eq_ignore_ascii_case(b"identity"))?;
    Some(last.eq_ignore_ascii_case(b"chunked"))
}

fn names(value: &[u8], protocol: &[u8]) -> bool {
    let mut protocols = value.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    protocols.any(|p| p.eq_ignore_ascii_case(protocol))
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
