//! What is odd about one request: kinds, places and names, and no value. Small and `Copy`, since
//! every [`Access`](super::Access) has room for some.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::EndpointId;
use super::parameters::strange;
use crate::exchange::Exchange;

/// Oddities of one request that are told.
const MAX_ODDITIES: usize = 4;
/// Bytes of a name that are shown.
const MAX_NAME: usize = 23;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OddityKind {
    /// Characters of a language's syntax where there never were any: quotes, brackets, `;`, NUL.
    Syntax,
    /// A path that climbs (`/../`), or has control characters.
    Path,
    /// Characters or types of another kind: letters in a number, an object for a string.
    Type,
    /// A number far larger than any before.
    Range,
    /// Far longer than any before.
    Length,
    /// A word that is none of the few.
    Enum,
    /// A parameter that was never there.
    Unknown,
    /// It came several times in one request, which it never did.
    Repeated,
}

impl OddityKind {
    pub const ALL: [Self; 8] = [
        Self::Syntax,
        Self::Path,
        Self::Type,
        Self::Range,
        Self::Length,
        Self::Enum,
        Self::Unknown,
        Self::Repeated,
    ];

    /// Behind a parameter's name: `id: syntax of a language in it`.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Syntax => "characters of a language's syntax, which it never had",
            Self::Path => "climbs, or has control characters",
            Self::Type => "another type than ever",
            Self::Range => "far larger than ever",
            Self::Length => "far longer than ever",
            Self::Enum => "none of its known words",
            Self::Unknown => "a parameter that was never there",
            Self::Repeated => "given several times, which it never was",
        }
    }

    /// What new versions of programs do as well: a new name, a new word, a type that grew.
    pub fn is_soft(self) -> bool {
        matches!(
            self,
            Self::Type | Self::Enum | Self::Unknown | Self::Repeated
        )
    }
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Whence {
    Path,
    Query,
    Body,
}

impl Whence {
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Body => "body",
        }
    }
}

/// The beginning of a parameter's name, where it is one: what looks like data is `*`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    len: u8,
    text: [u8; MAX_NAME],
}

impl Name {
    fn new(name: &str) -> Self {
        let ok = |b: u8| b.is_ascii_alphanumeric() || b"_-.$/[]*".contains(&b);
        let digits = name.bytes().filter(u8::is_ascii_digit).count();
        let named = name.bytes().all(ok) && digits <= 3;
        let shown = if named { name.as_bytes() } else { b"*" };
        let len = shown.len().min(MAX_NAME);
        let mut text = [0; MAX_NAME];
        text[..len].copy_from_slice(&shown[..len]);
        Self {
            len: len as u8,
            text,
        }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oddity {
    pub kind: OddityKind,
    pub whence: Whence,
    pub name: Name,
    /// Tells one odd value of the parameter from another; says nothing of it.
    pub value: u32,
}

impl Oddity {
    pub(super) fn new(kind: OddityKind, whence: Whence, name: &str, value: u32) -> Self {
        Self {
            kind,
            whence,
            name: Name::new(name),
            value,
        }
    }
}

/// Of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Oddities {
    /// What the endpoint is sent is known: that nothing is odd says something.
    pub judged: bool,
    /// The endpoint that it was judged by: the one that it belongs to, or would but for a value in
    /// its path.
    pub by: Option<EndpointId>,
    list: [Option<Oddity>; MAX_ODDITIES],
}

impl Oddities {
    pub(super) fn judged(judged: bool) -> Self {
        Self {
            judged,
            ..Self::default()
        }
    }

    /// The first stay: a request with more is as odd.
    pub(super) fn add(&mut self, oddity: Oddity) {
        if let Some(free) = self.list.iter_mut().find(|o| o.is_none()) {
            *free = Some(oddity);
        }
    }

    /// Where too little is known to judge by, with what would be odd anywhere.
    pub(super) fn or_strange(mut self, x: &Exchange, segments: &[Cow<'_, str>]) -> Self {
        if !self.judged {
            strange(x, segments).iter().for_each(|o| self.add(o));
        }
        self
    }

    /// With those of `found`, by what is known of an endpoint.
    pub(super) fn and(self, mut found: Self, by: EndpointId) -> Self {
        self.iter().for_each(|o| found.add(o));
        Self {
            by: Some(by),
            ..found
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Oddity> + '_ {
        self.list.iter().flatten().copied()
    }
}

/// Whether a path, as sent, climbs or has control characters: no client that follows RFC 3986,
/// section 5.2.4, sends the former, and no API has the latter.
pub(super) fn climbs(path: &str) -> bool {
    let bytes = path.as_bytes();
    if memchr::memchr2(b'%', b'.', bytes).is_none() {
        return false;
    }
    let decoded: Vec<u8> = percent_encoding::percent_decode(bytes).collect();
    let control = decoded.iter().any(u8::is_ascii_control);
    let mut segments = decoded.split(|b| matches!(b, b'/' | b'\\'));
    control || segments.any(|s| s == b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn climbing_paths_are_told() {
        for odd in [
            "/static/../../etc/passwd",
            "/a/%2e%2e/b",
            "/a/..%2f..%2fb",
            "/a/..\\b",
            "/a%00.png",
            "/a%0d%0aSet-Cookie:x",
        ] {
            assert!(climbs(odd), "{odd}");
        }
        for usual in ["/", "/a/b..c", "/v1/a%20b", "/range/1..5", "/100%"] {
            assert!(!climbs(usual), "{usual}");
        }
    }

    #[test]
    fn names_that_look_like_data_are_not_shown() {
        for (name, shown) in [
            ("is_admin", "is_admin"),
            ("filter[a]", "filter[a]"),
            ("4111111111111111", "*"),
            ("<script>", "*"),
            (
                "a_name_that_is_longer_than_the_room",
                "a_name_that_is_longer_t",
            ),
        ] {
            assert_eq!(Name::new(name).as_str(), shown);
        }
    }
}
