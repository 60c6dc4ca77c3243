//! What a segment is by its form alone.

use std::net::IpAddr;

use super::GLUE;

/// `None` of them: a word, which may be a route or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::catalog) enum Type {
    Integer,
    Uuid,
    /// Hex digits, ULIDs, prefixed ids, hashes, random letters.
    Token,
    /// A date, or a date with a time.
    Date,
    Email,
    File,
    /// An IP address.
    Address,
    Phone,
    /// `1.4.2` of a release; `v1` is the API's own.
    Release,
    /// `en-US`: a language with its region (BCP 47).
    Locale,
    /// `shop.example.com`.
    Host,
    /// Learnt to be a parameter: by evidence, or by a spec.
    Text,
}

impl Type {
    pub(in crate::catalog) const ALL: [Self; 12] = [
        Self::Integer,
        Self::Uuid,
        Self::Token,
        Self::Date,
        Self::Email,
        Self::File,
        Self::Address,
        Self::Phone,
        Self::Release,
        Self::Locale,
        Self::Host,
        Self::Text,
    ];

    pub(in crate::catalog) fn bit(self) -> u16 {
        1 << self as u8
    }

    pub(in crate::catalog) fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Uuid => "uuid",
            Self::Token => "token",
            Self::Date => "date",
            Self::Email => "email",
            Self::File => "file",
            Self::Address => "address",
            Self::Phone => "phone",
            Self::Release => "release",
            Self::Locale => "locale",
            Self::Host => "host",
            Self::Text => "text",
        }
    }
}

/// Files that browsers fetch to draw a page.
const ASSETS: [&str; 15] = [
    "js", "mjs", "css", "map", "png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "woff", "woff2",
    "ttf", "eot",
];

/// Other file names. Extensions that routes carry (`.json`, `.xml`, `.php`, `.html`) are not here.
const FILES: [&str; 15] = [
    "txt", "md", "pdf", "csv", "yaml", "yml", "zip", "gz", "tar", "doc", "docx", "xls", "xlsx",
    "mp4", "py",
];

fn extension(segment: &str) -> Option<&str> {
    let (stem, extension) = segment.rsplit_once('.')?;
    (!stem.is_empty()).then_some(extension)
}

/// A file that is part of a page rather than of an API.
pub(in crate::catalog) fn is_asset(segment: &str) -> bool {
    extension(segment).is_some_and(|e| ASSETS.iter().any(|a| a.eq_ignore_ascii_case(e)))
}

pub(in crate::catalog) fn classify(s: &str) -> Option<Type> {
    if s.starts_with(GLUE) {
        return None;
    }
    let bytes = s.as_bytes();
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    if digits == bytes.len() {
        return (digits > 0).then_some(if is_date(s) {
            Type::Date
        } else {
            Type::Integer
        });
    }
    if version(s).is_some() {
        return None;
    }
    if is_uuid(s) {
        return Some(Type::Uuid);
    }
    if is_date(s) {
        return Some(Type::Date);
    }
    if s.parse::<IpAddr>().is_ok() {
        return Some(Type::Address);
    }
    if is_phone(s) {
        return Some(Type::Phone);
    }
    if is_release(s) {
        return Some(Type::Release);
    }
    if let Some((user, host)) = s.split_once('@') {
        return (!user.is_empty() && host.contains('.')).then_some(Type::Email);
    }
    if is_locale(s) {
        return Some(Type::Locale);
    }
    if is_host(s) {
        return Some(Type::Host);
    }
    if let Some(e) = extension(s) {
        let file = ASSETS
            .iter()
            .chain(&FILES)
            .any(|a| a.eq_ignore_ascii_case(e));
        return file.then_some(Type::File);
    }
    is_token(s, digits).then_some(Type::Token)
}

/// `v1`, `v2beta1`, `2.0`: a version of the API, never a parameter. The number orders them.
pub(in crate::catalog) fn version(s: &str) -> Option<u32> {
    let rest = s.strip_prefix(['v', 'V'])?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let tail = &rest[digits..];
    let stage = tail.trim_end_matches(|c: char| c.is_ascii_digit());
    let known = matches!(stage, "" | "alpha" | "beta" | "rc" | "p" | ".");
    if digits == 0 || digits > 4 || !known {
        return None;
    }
    rest[..digits].parse().ok()
}

fn is_uuid(s: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    s.len() == 36
        && s.bytes().enumerate().all(|(i, b)| {
            if dashes.contains(&i) {
                b == b'-'
            } else {
                b.is_ascii_hexdigit()
            }
        })
}

/// `2024-02-29`, also with a time behind it (RFC 3339).
fn is_date(s: &str) -> bool {
    let Some((day, rest)) = s.split_at_checked(10) else {
        return false;
    };
    let shape = day.bytes().enumerate().all(|(i, b)| match i {
        4 | 7 => b == b'-',
        _ => b.is_ascii_digit(),
    });
    let time = |c: char| c.is_ascii_digit() || matches!(c, ':' | '.' | '+' | '-' | 'Z' | 'z');
    let timed = rest
        .strip_prefix(['T', 't', ' '])
        .is_some_and(|t| t.len() >= 4 && t.chars().all(time));
    shape && matches!(&day[..2], "19" | "20") && (rest.is_empty() || timed)
}

/// International, as E.164 has it.
fn is_phone(s: &str) -> bool {
    let digits = s.strip_prefix('+').unwrap_or_default();
    (8..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

/// A language in small letters, its region in capitals, between them perhaps a script (RFC 5646,
/// 2.1.1: how tags are written). A language alone, or all in small letters, may be a word.
fn is_locale(s: &str) -> bool {
    let mut tags = s.split(['-', '_']);
    let language = tags.next().unwrap_or_default();
    let region = tags.next_back().unwrap_or_default();
    let small = |t: &str| t.bytes().all(|b| b.is_ascii_lowercase());
    let script = |t: &str| t.len() == 4 && t.starts_with(|c: char| c.is_ascii_uppercase());
    matches!(language.len(), 2 | 3)
        && small(language)
        && region.len() == 2
        && region.bytes().all(|b| b.is_ascii_uppercase())
        && tags.next().is_none_or(|t| script(t) && small(&t[1..]))
        && tags.next().is_none()
}

/// Domains that no method's name and no group's name ends in: `chat.postMessage`, `users.info` and
/// `apps.example.io` are names of APIs.
const DOMAINS: [&str; 5] = ["com", "net", "org", "edu", "gov"];

fn is_host(s: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && l.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    s.rsplit_once('.')
        .is_some_and(|(name, domain)| DOMAINS.contains(&domain) && name.split('.').all(label))
}

/// Three numbers or more: two are what APIs call their own versions.
fn is_release(s: &str) -> bool {
    let core = s.trim_start_matches(['v', 'V']);
    let core = core.split(['-', '+']).next().unwrap_or_default();
    let numbers = core.split('.');
    numbers.clone().count() >= 3
        && numbers
            .into_iter()
            .all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Random-looking: hex, base32, base58, base64url, with or without a prefix (`cus_`, `sha256:`).
fn is_token(s: &str, digits: usize) -> bool {
    let core = match s.rsplit_once(['_', ':']) {
        Some((prefix, core))
            if core.len() >= 8
                && prefix
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_') =>
        {
            core
        }
        _ => s,
    };
    let prefixed = core.len() < s.len();
    let bytes = core.as_bytes();
    if !bytes
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'='))
    {
        return false;
    }
    let hex = bytes.iter().all(u8::is_ascii_hexdigit);
    if hex && digits > 0 && core.len() >= if prefixed { 8 } else { 7 } {
        return digits < core.len() || prefixed;
    }
    // Words change between letters and digits, or rise to a capital, at few places; noise at many.
    let changes = |from: fn(&u8) -> bool, to: fn(&u8) -> bool| {
        bytes
            .windows(2)
            .filter(|w| from(&w[0]) && to(&w[1]))
            .count()
    };
    let capitals = changes(u8::is_ascii_lowercase, u8::is_ascii_uppercase);
    let mixed = changes(u8::is_ascii_digit, u8::is_ascii_alphabetic)
        + changes(u8::is_ascii_alphabetic, u8::is_ascii_digit);
    let separators = bytes.iter().filter(|b| !b.is_ascii_alphanumeric()).count();
    let noisy = if digits == 0 {
        capitals >= 4 && capitals * 10 >= core.len() * 3
    } else {
        capitals + mixed >= 4
    };
    let keyed = (prefixed || core.len() >= 20) && capitals + mixed >= 2;
    separators <= 1 && ((core.len() >= 10 && noisy) || (core.len() >= 8 && keyed))
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_words() {
        for (id, t) in [
            ("42", Type::Integer),
            ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", Type::Uuid),
            ("2024-02-29", Type::Date),
            ("ann@mail.example", Type::Email),
            ("report.pdf", Type::File),
            ("5f0c1a2b3c4d", Type::Token),
            ("01ARZ3NDEKTSV4RRFFQ69G5FAV", Type::Token),
            ("cus_9s6XKzkNRiz8i3", Type::Token),
            ("sha256:65660711feafa2efe232298d", Type::Token),
            ("q58xt58je4txxk9y76634efzwc", Type::Token),
            ("10.1.2.3", Type::Address),
            ("2001:db8::1", Type::Address),
            ("+4915112345678", Type::Phone),
            ("v1.4.2", Type::Release),
            ("2.10.0-rc.1", Type::Release),
            ("2024-02-29T10:00:00Z", Type::Date),
            ("en-US", Type::Locale),
            ("pt_BR", Type::Locale),
            ("zh-Hans-CN", Type::Locale),
            ("example.com", Type::Host),
            ("api.shop-1.example.org", Type::Host),
        ] {
            assert_eq!(classify(id), Some(t), "{id}");
        }
        for word in [
            "users",
            "v1",
            "v2beta1",
            "oauth2",
            "getSharedLink",
            "me",
            "deadbeef",
            "cafe",
            "order-items",
            "users.list",
            "openapi.json",
            "index.php",
            "s3",
            "p2p",
            "ipv4",
            "batch_jobs",
            "metadata_templates",
            "x509Certificates",
            "2.0",
            "rbac.authorization.example.io",
            "chat.postMessage",
            "users.info",
            "com.example.app",
            "en",
            "go-to",
            "is-OK-now",
            ".com",
        ] {
            assert_eq!(classify(word), None, "{word}");
        }
    }
}
