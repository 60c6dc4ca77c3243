//! Names of fields, and what only stands in their place.

use std::borrow::Cow;

use compact_str::CompactString;

use crate::exchange::MAX_HEADER_NAME;
use crate::observe::mask;

/// Names of real APIs are shorter.
const MAX_NAME: usize = 48;
/// Digits of a name: `address_line_2`, `sha256`, `x509_sha256`. What has more counts something.
const MAX_DIGITS: usize = 6;
/// Digits in a row.
const MAX_RUN: usize = 3;

/// Stands for what is no name: an array's items, a map's keys.
pub(super) const ANY: &str = "*";

/// A field's name, or `*` where it looks like data: a map's key may be an id, an address, a name.
pub(super) fn of_field(name: Cow<'_, str>) -> Cow<'_, str> {
    if is_name(&name) {
        return name;
    }
    // `items[0][id]` is a name with a place in it.
    if let Some((word, rest)) = name.split_once('[')
        && is_name(word)
        && rest.ends_with(']')
    {
        let inner = rest.trim_end_matches(']').split("][").map(|part| {
            if part.is_empty() || is_name(part) {
                part
            } else {
                ANY
            }
        });
        let inner = inner.map(|part| format!("[{part}]"));
        let whole = word.to_owned() + &inner.collect::<String>();
        if whole.len() <= MAX_NAME {
            return Cow::Owned(whole);
        }
    }
    Cow::Borrowed(ANY)
}

fn is_name(name: &str) -> bool {
    let joint = |b: u8| b"_-.:$@#".contains(&b);
    let bytes = name.as_bytes();
    let first = |b: &u8| b.is_ascii_alphabetic() || b"_$@#".contains(b);
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    let run = bytes
        .split(|b| !b.is_ascii_digit())
        .map(<[u8]>::len)
        .max()
        .unwrap_or(0);
    // `ann@example.org` and `@context` are told apart by what stands before the sign.
    let mail = name.find('@').is_some_and(|at| at > 0);
    (1..=MAX_NAME).contains(&bytes.len())
        && bytes.first().is_some_and(first)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || joint(*b))
        && !mail
        && digits <= MAX_DIGITS
        && run <= MAX_RUN
        && !is_hash(bytes, digits)
        && !mask::is_secret(name)
}

/// `a1b2c3d4`: hexadecimal, or letters and digits in turns, as ids are.
fn is_hash(name: &[u8], digits: usize) -> bool {
    let hex = name.len() >= 8 && name.iter().all(u8::is_ascii_hexdigit);
    let turns = name
        .windows(2)
        .filter(|w| w[0].is_ascii_digit() != w[1].is_ascii_digit())
        .count();
    digits > 0 && (hex || turns >= 6)
}

/// Words that fields of codes end with. Not `code` itself, which may be one that lets somebody in.
const CODES: [&str; 35] = [
    "action",
    "algorithm",
    "category",
    "country",
    "currency",
    "direction",
    "enum",
    "env",
    "environment",
    "event",
    "format",
    "interval",
    "kind",
    "language",
    "level",
    "locale",
    "method",
    "mode",
    "period",
    "priority",
    "protocol",
    "provider",
    "region",
    "resolution",
    "role",
    "scope",
    "severity",
    "sort",
    "stage",
    "state",
    "status",
    "type",
    "unit",
    "units",
    "visibility",
];
/// Of what a `code` is no secret.
const CODED: [&str; 4] = ["country", "currency", "language", "region"];

/// Whether a field of that name holds codes, which say nothing of a person: `status`,
/// `orderType`, `CARD_TYPE`, `currency_code`.
pub(super) fn holds_codes(name: &str) -> bool {
    let joints = ['_', '-', '.'];
    let loud = !name.bytes().any(|b| b.is_ascii_lowercase());
    let begins = |c: char| joints.contains(&c) || !loud && c.is_ascii_uppercase();
    let split = |name: &str| name.rfind(begins).unwrap_or(0);
    let is_one_of = |word: &str, all: &[&str]| {
        let word = word.trim_start_matches(joints);
        all.iter().any(|one| one.eq_ignore_ascii_case(word))
    };
    let (before, last) = name.split_at(split(name));
    if is_one_of(last, &["code"]) {
        let before = before.trim_end_matches(joints);
        return is_one_of(&before[split(before)..], &CODED);
    }
    is_one_of(last, &CODES)
}

/// Fields that every client or server may send (RFC 9110 and what browsers add), sorted.
const STANDARD: [&str; 56] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "access-control-request-headers",
    "access-control-request-method",
    "age",
    "allow",
    "alt-svc",
    "authorization",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "dnt",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "server",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "vary",
    "via",
    "warning",
];

/// A header field's name in lower case; `None`: every client or server sends it, or it looks like
/// data.
pub fn header(name: &[u8]) -> Option<CompactString> {
    const FAMILIES: [&str; 6] = [
        "access-control-",
        "sec-",
        "proxy-",
        ":",
        "content-security-policy",
        "x-forwarded-",
    ];
    if !(1..=MAX_HEADER_NAME).contains(&name.len()) {
        return None;
    }
    let mut text = CompactString::from_utf8(name).ok()?;
    text.make_ascii_lowercase();
    let standard = STANDARD.binary_search(&text.as_str()).is_ok()
        || FAMILIES.iter().any(|f| text.starts_with(f));
    (!standard && is_name(&text)).then_some(text)
}
