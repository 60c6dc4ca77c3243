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

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

mod kind;

pub(in crate::catalog) use kind::{Type, classify, is_asset, version};

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
