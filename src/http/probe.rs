//! Protocol detection by content. Errs on the side of "not HTTP": an unread stream is counted, an
//! invented request is believed.

use memchr::memchr;

use super::MAX_HEAD;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A request line of HTTP/1.
    Request,
    /// A status line of HTTP/1.
    Response,
    /// A record of TLS with a handshake or application data (RFC 8446, section 5.1).
    Tls,
    /// The connection preface of RFC 9113, section 3.4.
    Http2,
    /// Could still become one of them.
    More,
    Other,
}

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const STATUS: &[u8] = b"HTTP/";

/// Longest method that is taken for one; WebDAV's longest is BASELINE-CONTROL.
const MAX_METHOD: usize = 32;

/// Longest `HTTP/x.y` that is taken for a version.
const MAX_VERSION: usize = 16;

/// Methods of RFC 9110 and RFC 5789.
const COMMON: [&[u8]; 9] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH",
];

/// Longest header name that is waited for, and so the longest that is taken.
const MAX_HEADER_NAME: usize = 64;

/// Methods of RFC 4918, RFC 3253, RFC 3744, RFC 5323 and other extensions, but for those that end
/// another one.
const EXTENSIONS: [&[u8]; 20] = [
    b"ACL",
    b"BASELINE-CONTROL",
    b"CHECKIN",
    b"COPY",
    b"LABEL",
    b"M-SEARCH",
    b"MERGE",
    b"MKACTIVITY",
    b"MKCALENDAR",
    b"MKCOL",
    b"MKWORKSPACE",
    b"MOVE",
    b"NOTIFY",
    b"ORDERPATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"PURGE",
    b"QUERY",
    b"REPORT",
    b"UNLOCK",
];

/// Whether `data` begins, or may begin, with a method that is whole: behind a hole, what is left of
/// one whose beginning was lost looks like another.
pub(super) fn whole_method(data: &[u8]) -> bool {
    let end = data.iter().position(|b| matches!(b, b' ' | b'\t'));
    let mut known = COMMON.iter().chain(&EXTENSIONS);
    match end {
        Some(end) => known.any(|m| **m == data[..end]),
        None => known.any(|m| m.starts_with(data)),
    }
}

/// What a stream that begins with `data` speaks.
pub fn probe(data: &[u8]) -> Probe {
    let blank = data
        .iter()
        .take_while(|b| matches!(b, b'\r' | b'\n'))
        .count();
    let data = &data[blank..];
    match data {
        [] => Probe::More,
        [0x16] | [0x16, 0x03] => Probe::More,
        [0x17] | [0x17, 0x03] | [0x17, 0x03, 1..=3] | [0x17, 0x03, 1..=3, 0..=0x48] => Probe::More,
        [0x16, 0x03, ..] => Probe::Tls,
        // A session under way: a record of application data, of a length that can be.
        [0x17, 0x03, 1..=3, 0..=0x48, _, ..] => Probe::Tls,
        _ if data.len() < PREFACE.len() && PREFACE.starts_with(data) => Probe::More,
        _ if data.starts_with(PREFACE) => Probe::Http2,
        _ if data.len() < STATUS.len() && STATUS.starts_with(data) => Probe::More,
        _ if data.starts_with(STATUS) => status_line(data),
        _ => request_line(data),
    }
}

/// A version, and something that begins like a number.
fn status_line(data: &[u8]) -> Probe {
    let version = data.iter().take_while(|b| b.is_ascii_graphic()).count();
    let spaces = data[version..]
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    match data.get(version + spaces) {
        _ if version > MAX_VERSION => Probe::Other,
        None => Probe::More,
        Some(b) if spaces > 0 && b.is_ascii_digit() => Probe::Response,
        Some(_) => Probe::Other,
    }
}

fn request_line(data: &[u8]) -> Probe {
    let method = data
        .iter()
        .take(MAX_METHOD + 1)
        .take_while(|b| is_token(**b))
        .count();
    if method == data.len() {
        return if method <= MAX_METHOD && method_like(data) {
            Probe::More
        } else {
            Probe::Other
        };
    }
    if method == 0 || method > MAX_METHOD || !method_like(&data[..method]) {
        return Probe::Other;
    }
    match &data[method..] {
        [b' ' | b'\t', ..] => {}
        // A method alone: other protocols have lines of one word, so only HTTP's own will do.
        [b'\r'] if COMMON.contains(&&data[..method]) => return Probe::More,
        [b'\r', b'\n', next @ ..] | [b'\n', next @ ..] if COMMON.contains(&&data[..method]) => {
            return without_version(next);
        }
        _ => return Probe::Other,
    }
    match memchr(b'\n', data) {
        Some(end) => {
            let line = data[..end].trim_ascii_end();
            let version = line
                .iter()
                .rposition(|b| matches!(b, b' ' | b'\t'))
                .map_or(line, |at| &line[at + 1..]);
            let is_http = version.len() >= STATUS.len()
                && version[..STATUS.len()].eq_ignore_ascii_case(STATUS);
            if is_http && method < line.len() - version.len() {
                Probe::Request
            } else if line[method..].trim_ascii_start().starts_with(b"/")
                || version.starts_with(STATUS)
            {
                without_version(&data[end + 1..])
            } else {
                Probe::Other
            }
        }
        None if data.len() <= MAX_HEAD => Probe::More,
        None => Probe::Other,
    }
}

/// Servers take a request line without a version where header lines follow; nothing but HTTP has
/// those.
fn without_version(next: &[u8]) -> Probe {
    let name = next.iter().take_while(|b| is_token(**b)).count();
    match next.get(name) {
        Some(b':') if (1..=MAX_HEADER_NAME).contains(&name) => Probe::Request,
        None if name <= MAX_HEADER_NAME => Probe::More,
        _ => Probe::Other,
    }
}

/// Methods are letters, with a hyphen or underscore at most; RFC 9110 allows more, and every
/// binary protocol begins with something that RFC 9110 allows.
fn method_like(token: &[u8]) -> bool {
    token
        .iter()
        .all(|b| b.is_ascii_alphabetic() || matches!(b, b'-' | b'_'))
}

/// RFC 9110, section 5.6.2.
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_by_content_at_every_cut() {
        let cases: [(&[u8], Probe); 16] = [
            (b"HTTP/1.1\r\nHost: h", Probe::Other),
            (b"HTTP/1.0  2XX", Probe::Response),
            (b"OPTIONS\r\nHost: h\r\n", Probe::Request),
            (b"DATA\r\nFrom: a\r\n", Probe::Other),
            (b"\x17\x03\x03\x40\x11", Probe::Tls),
            (b"GET / HTTP/1.1\r\n", Probe::Request),
            (b"\r\nPOST http://h/p?q HTTP/1.0\r\n", Probe::Request),
            (b"get  /  http/1.1\n", Probe::Request),
            (b"HTTP/1.1 200 OK\r\n", Probe::Response),
            (b"TRACE /path\r\nHost: h\r\n", Probe::Request),
            (b"RETR /file\r\n\r\n", Probe::Other),
            (b"\x16\x03\x01\x02\x00", Probe::Tls),
            (PREFACE, Probe::Http2),
            (b"EHLO mail.example\r\n", Probe::Other),
            (b"* OK IMAP ready\r\n", Probe::Other),
            (b"\x00\x00\x00", Probe::Other),
        ];
        for (data, expected) in cases {
            assert_eq!(probe(data), expected, "{data:?}");
            for end in 0..data.len() {
                let cut = probe(&data[..end]);
                assert!(
                    cut == Probe::More || cut == expected,
                    "{data:?} cut at {end}: {cut:?}"
                );
            }
        }
    }
}
