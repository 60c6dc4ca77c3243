//! Paths to segments, and what a segment alone tells.
//!
//! One rule of normalisation, in this order:
//! 1. what follows `?` or `#` is cut;
//! 2. the path is split at `/`; an encoded slash (`%2F`) stays inside its segment;
//! 3. of each segment the matrix parameters go (`;x=y`), then its percent-encoding is decoded once;
//! 4. empty segments (doubled and trailing slashes) and `.` go, `..` takes the one before with it;
//! 5. segments past [`MAX_DEPTH`] go;
//! 6. static words compare without case.
//!
//! For templates a segment has parts where APIs put two things into one: a verb after a colon
//! (`{topic}:publish`), an extension after an id (`{id}.json`), a key in brackets (`Orders(42)`).

use std::borrow::Cow;
use std::net::IpAddr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Segments past this depth are one remainder: no API is deeper, scanners are.
pub(super) const MAX_DEPTH: usize = 24;

/// Before a part that stands in the same segment as the part before it.
pub(super) const GLUE: char = '\u{1}';

/// Extensions that choose a representation of what an id names.
const REPRESENTATIONS: [&str; 8] = ["json", "xml", "csv", "html", "rss", "atom", "txt", "pdf"];

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

/// The parts of segments, as the trie takes them: most segments are one, and most paths have no
/// others.
pub(super) fn parts<'a>(segments: &'a [Cow<'a, str>]) -> Cow<'a, [Cow<'a, str>]> {
    let whole = |segment: &Cow<'_, str>| {
        let telling = |b: u8| matches!(b, b':' | b'.' | b'(') || b.is_ascii_control();
        !segment.bytes().any(telling)
    };
    if segments.iter().all(whole) {
        return Cow::Borrowed(segments);
    }
    let mut out: Vec<Cow<'a, str>> = Vec::with_capacity(segments.len() + 1);
    for segment in segments {
        let segment = segment.trim_start_matches(GLUE);
        if let Some((stem, verb)) = verb(segment).or_else(|| representation(segment)) {
            out.push(stem.into());
            out.push(format!("{GLUE}{verb}").into());
        } else if let Some((name, key)) = keyed(segment) {
            out.push(name.into());
            out.push(format!("{GLUE}(").into());
            out.push(key.into());
        } else {
            out.push(segment.into());
        }
    }
    Cow::Owned(out)
}

/// `{topic}` and `:publish`. What follows the colon of an URN or a hash is no word.
fn verb(segment: &str) -> Option<(&str, &str)> {
    let at = segment.rfind(':')?;
    let word = &segment[at + 1..];
    let is_word = (2..=30).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphabetic());
    let hex = word.bytes().all(|b| b.is_ascii_hexdigit());
    (at > 0 && is_word && !hex).then(|| segment.split_at(at))
}

/// `{id}` and `.json`, where the form alone says that it is an id.
fn representation(segment: &str) -> Option<(&str, &str)> {
    let at = segment.rfind('.')?;
    let known = REPRESENTATIONS.contains(&&segment[at + 1..]);
    let id = || {
        matches!(
            classify(&segment[..at]),
            Some(Type::Integer | Type::Uuid | Type::Token)
        )
    };
    (known && id()).then(|| segment.split_at(at))
}

/// `Customers` and what stands in its brackets, without quotes.
fn keyed(segment: &str) -> Option<(&str, &str)> {
    let (name, key) = segment.strip_suffix(')')?.split_once('(')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let key = key.trim_matches('\'');
    (is_name && !key.is_empty()).then_some((name, key))
}

/// Whether a part stands in the segment of the part before it.
pub(super) fn glued(part: &str) -> bool {
    part.starts_with(GLUE)
}

/// Whether a part opens the brackets around a key.
pub(super) fn opens(part: &str) -> bool {
    part.strip_prefix(GLUE) == Some("(")
}

/// A part as it is written.
pub(super) fn bare(part: &str) -> &str {
    part.trim_start_matches(GLUE)
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
    pub(super) const ALL: [Self; 12] = [
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

    pub(super) fn bit(self) -> u16 {
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
pub(super) fn is_asset(segment: &str) -> bool {
    extension(segment).is_some_and(|e| ASSETS.iter().any(|a| a.eq_ignore_ascii_case(e)))
}

pub(super) fn classify(s: &str) -> Option<Type> {
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
    fn paths_have_one_form() {
        let s = |p| split(p).join("/");
        assert_eq!(s("//a/./b;x=1/../c%20d/?q"), "a/c d");
        assert_eq!(s("/"), "");
        assert_eq!(s("/../../etc"), "etc");
        assert_eq!(s("/a%2Fb/c"), "a/b/c");
        assert_eq!(split("/a%2Fb/c"), ["a/b", "c"]);
        assert_eq!(split("/a;v=1;w=2/b;x/c#top?d"), ["a", "b", "c"]);
        assert_eq!(split("/%61/%252e"), ["a", "%2e"]);
        assert_eq!(fold("Users"), fold("users"));
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

    #[test]
    fn segments_have_parts() {
        let p = |s: &'static str| {
            parts(&[s.into()])
                .iter()
                .map(|p| bare(p).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(p("topic:publish"), ["topic", ":publish"]);
        assert_eq!(p("42.json"), ["42", ".json"]);
        assert_eq!(p("Customers('ALFKI')"), ["Customers", "(", "ALFKI"]);
        for whole in [
            "sha256:65660711feafa2efe232298d",
            "openapi.json",
            ":x",
            "a:b",
            "f()",
            "(x)",
        ] {
            assert_eq!(p(whole), [whole]);
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
        fn all_spellings_of_a_path_are_one(words in proptest::collection::vec("[a-zA-Z0-9._~-]{1,8}", 1..6), how: u64) {
            let words: Vec<String> = words.into_iter().filter(|w| w != "." && w != "..").collect();
            let mut path = String::new();
            for (i, word) in words.iter().enumerate() {
                let bit = |n: usize| how >> ((i * 5 + n) % 64) & 1 == 1;
                path.push_str(["/", "//", "/./", "/x/../"][usize::from(bit(0)) + 2 * usize::from(bit(1))]);
                match bit(2) {
                    true => word.bytes().for_each(|b| path.push_str(&format!("%{b:02X}"))),
                    false => path.push_str(word),
                }
                path.push_str(if bit(3) { ";v=1" } else { "" });
            }
            path.push_str(["", "/", "?q=/a", "#/a"][(how % 4) as usize]);
            proptest::prop_assert_eq!(split(&path), words.clone());
            // Twice is once.
            let again = format!("/{}", words.join("/"));
            proptest::prop_assert_eq!(split(&again), words);
        }

        #[test]
        fn any_path_has_segments(path: String) {
            for s in split(&path) {
                let _ = (classify(&s), fold(&s), is_asset(&s));
            }
        }
    }
}
