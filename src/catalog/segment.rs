//! Paths to segments, and what a segment alone tells.
//!
//! One rule of normalisation: the query and matrix parameters (`;x=y`) are cut, percent-encoding is
//! decoded, empty and dot segments go, and static words compare without case.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Segments past this depth are one remainder: no API is deeper, scanners are.
pub(super) const MAX_DEPTH: usize = 24;

/// The segments of a path, decoded.
pub(super) fn split(path: &str) -> Vec<Cow<'_, str>> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut out: Vec<Cow<'_, str>> = Vec::with_capacity(8);
    for raw in path.split('/') {
        let bare = raw.split(';').next().unwrap_or_default();
        let segment = if bare.contains('%') {
            percent_decode_str(bare).decode_utf8_lossy()
        } else {
            bare.into()
        };
        match segment.as_ref() {
            "" | "." => {}
            ".." => {
                out.pop();
            }
            _ if out.len() == MAX_DEPTH => {}
            _ => out.push(segment),
        }
    }
    out
}

/// What a template would be read otherwise for, were it not encoded.
const SHOWN: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b';')
    .add(b'?')
    .add(b'{')
    .add(b'}');

/// A static word as it stands in a template: [`split`] gives it back. Letters of all languages stay.
pub(super) fn show(word: &str) -> Cow<'_, str> {
    if !word
        .bytes()
        .any(|b| b.is_ascii_control() || b" #%/;?{}".contains(&b))
    {
        return word.into();
    }
    let mut out = String::with_capacity(word.len() + 8);
    for c in word.chars() {
        let mut bytes = [0; 4];
        let text = c.encode_utf8(&mut bytes);
        if c.is_ascii() {
            out.extend(utf8_percent_encode(text, SHOWN));
        } else {
            out.push(c);
        }
    }
    out.into()
}

/// The words of a template; empty for a parameter, which is none of them.
pub(super) fn of_template(template: &str) -> Vec<Cow<'_, str>> {
    let segments = template.split('/').filter(|s| !s.is_empty());
    let segment = |s| match s {
        s if str::starts_with(s, "{") && s.find('}') == Some(s.len() - 1) => "".into(),
        s => percent_decode_str(s).decode_utf8_lossy(),
    };
    segments.map(segment).collect()
}

/// How a static word is compared.
pub(super) fn fold(segment: &str) -> Cow<'_, str> {
    if segment
        .bytes()
        .any(|b| b.is_ascii_uppercase() || !b.is_ascii())
    {
        segment.to_lowercase().into()
    } else {
        segment.into()
    }
}

/// What a segment is by its form alone. `None`: a word, which may be a route or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Type {
    Integer,
    Uuid,
    /// Hex digits, ULIDs, prefixed ids, hashes, random letters.
    Token,
    Date,
    Email,
    File,
    /// Learnt to be a parameter: by evidence, or by a spec.
    Text,
}

impl Type {
    pub(super) const ALL: [Self; 7] = [
        Self::Integer,
        Self::Uuid,
        Self::Token,
        Self::Date,
        Self::Email,
        Self::File,
        Self::Text,
    ];

    pub(super) fn bit(self) -> u8 {
        1 << self as u8
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Uuid => "uuid",
            Self::Token => "token",
            Self::Date => "date",
            Self::Email => "email",
            Self::File => "file",
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
pub(super) fn is_asset(segment: &str) -> bool {
    extension(segment).is_some_and(|e| ASSETS.iter().any(|a| a.eq_ignore_ascii_case(e)))
}

pub(super) fn classify(s: &str) -> Option<Type> {
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
    if let Some((user, host)) = s.split_once('@') {
        return (!user.is_empty() && host.contains('.')).then_some(Type::Email);
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
pub(super) fn version(s: &str) -> Option<u32> {
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

fn is_date(s: &str) -> bool {
    let plain = s.len() == 10 && s.as_bytes()[4] == b'-' && s.as_bytes()[7] == b'-';
    let parts: Vec<&str> = s.split('-').collect();
    plain
        && parts.iter().all(|p| p.bytes().all(|b| b.is_ascii_digit()))
        && matches!(&parts[0][..2], "19" | "20")
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
    fn paths_have_one_form() {
        let s = |p| split(p).join("/");
        assert_eq!(s("//a/./b;x=1/../c%20d/?q"), "a/c d");
        assert_eq!(s("/"), "");
        assert_eq!(s("/../../etc"), "etc");
        assert!(split(&"/a".repeat(10_000)).len() <= MAX_DEPTH);
    }

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
        ] {
            assert_eq!(classify(word), None, "{word}");
        }
    }

    proptest::proptest! {
        #[test]
        fn templates_are_read_as_they_were_meant(path: String) {
            let segments = split(&path);
            let shown: String = segments.iter().map(|s| format!("/{}", show(s))).collect();
            let free = !shown.contains(['{', '}', ' ']);
            proptest::prop_assert!(free, "{}", shown);
            proptest::prop_assert_eq!(split(&shown), segments);
        }

        #[test]
        fn any_path_has_segments(path: String) {
            for s in split(&path) {
                let _ = (classify(&s), fold(&s), is_asset(&s));
            }
        }
    }
}
