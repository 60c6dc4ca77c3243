//! What a call says of its security: which credentials came with it, by scheme and place; what a
//! JSON web token says of itself; and what its answer gave away. Never a value.

use std::collections::BTreeMap;
use std::ops::BitOrAssign;
use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::classes::Classes;
use super::json::{number, text};

/// Credentials of one request that are told apart, and bytes of a place's or a scheme's name.
pub const MAX_CREDENTIALS: usize = 8;
pub const MAX_PLACE: usize = 64;
const MAX_SCHEME: usize = 32;

/// Bytes of what a server says that it runs.
pub const MAX_SOFTWARE: usize = 64;

/// A credential that a request carried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Presented {
    /// `header:x-api-key`, `query:api_key`, `cookie:sid`, `tls:certificate`.
    pub place: CompactString,
    /// `bearer`, `jwt`, `basic`, `apikey`, `cookie`, `digest`, `aws4-hmac-sha256`, `mtls` …
    pub scheme: CompactString,
}

/// Makes a set of named flags, a bit each.
macro_rules! flags {
    ($(#[$doc:meta])* $set:ident: $($(#[$one:meta])* $flag:ident = $bit:literal $name:literal,)+) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $set(pub u8);

        impl $set {
            $($(#[$one])* pub const $flag: Self = Self(1 << $bit);)+

            /// In the order of their bits.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$flag, $name)),+];

            pub fn has(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            pub fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Each flag that is set, with its place in [`Self::ALL`].
            pub fn each(self) -> impl Iterator<Item = usize> {
                let all = Self::ALL.iter().enumerate();
                all.filter(move |(_, (flag, _))| self.has(*flag)).map(|(at, _)| at)
            }

            pub fn names(self) -> impl Iterator<Item = &'static str> {
                self.each().map(|at| Self::ALL[at].1)
            }

            pub fn named<'a>(names: impl Iterator<Item = &'a str>) -> Self {
                let mut set = Self::default();
                for name in names {
                    let known = Self::ALL.iter().find(|(_, n)| *n == name);
                    set |= known.map_or(Self::default(), |(flag, _)| *flag);
                }
                set
            }
        }

        impl BitOrAssign for $set {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }
    };
}

flags! {
    /// What is odd about a JSON web token.
    JwtFlags:
    /// It names no algorithm: whoever sent it may have written it.
    ALG_NONE = 0 "alg-none",
    NO_EXP = 1 "no-exp",
    /// It was over when it was sent.
    EXPIRED = 2 "expired",
    /// Its header says where its key is to be fetched.
    KEY_URL = 3 "key-url",
}

flags! {
    /// What an answer gives away of the server.
    Leaks:
    STACK_TRACE = 0 "stack-trace",
    SQL_ERROR = 1 "sql-error",
    INTERNAL_ADDRESS = 2 "internal-address",
    SERVER_VERSION = 3 "server-version",
    FILE_PATH = 4 "file-path",
}

/// What a JSON web token says of itself, unverified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jwt {
    /// A name of RFC 7518's registry, `none`, else `other`.
    pub alg: CompactString,
    /// From when it was issued, or first seen here, to its end.
    pub life_s: Option<u64>,
    /// Keyed hash of its issuer.
    pub issuer: Option<CompactString>,
    pub flags: JwtFlags,
    /// Classes of sensitive data in its claims.
    pub classes: Classes,
}

/// The JSON form of [`Jwt`].
#[derive(Deserialize)]
pub(super) struct JwtLine {
    alg: CompactString,
    life_s: Option<u64>,
    issuer: Option<CompactString>,
    #[serde(default)]
    flags: Vec<CompactString>,
    #[serde(default)]
    classes: Vec<CompactString>,
}

impl JwtLine {
    pub(super) fn read(self) -> Option<Arc<Jwt>> {
        let mut classes = Classes::NONE;
        for class in self.classes.iter().filter_map(|c| Classes::named(c)) {
            classes |= class;
        }
        is_name(&self.alg, MAX_SCHEME).then(|| {
            Arc::new(Jwt {
                alg: self.alg,
                life_s: self.life_s,
                issuer: self.issuer.filter(|i| is_name(i, MAX_SCHEME)),
                flags: JwtFlags::named(self.flags.iter().map(|f| f.as_str())),
                classes,
            })
        })
    }
}

/// Credentials from elsewhere, cut to what is kept.
pub(super) fn presented(all: BTreeMap<CompactString, CompactString>) -> Option<Arc<[Presented]>> {
    let sound = |(place, scheme): &(CompactString, CompactString)| {
        is_name(place, MAX_PLACE) && is_name(scheme, MAX_SCHEME)
    };
    let all = all.into_iter().filter(sound).take(MAX_CREDENTIALS);
    let all: Vec<_> = all
        .map(|(place, scheme)| Presented { place, scheme })
        .collect();
    (!all.is_empty()).then(|| all.into())
}

/// The same of what a server says that it runs.
pub(super) fn software(text: CompactString) -> Option<Arc<str>> {
    let printable = text.bytes().all(|b| (0x20..0x7f).contains(&b));
    let fits = (1..=MAX_SOFTWARE).contains(&text.len()) && printable;
    fits.then(|| text.as_str().into())
}

/// Appends `,"auth_in":{…},"jwt":{…}`.
pub(super) fn write_credentials(all: &[Presented], jwt: Option<&Jwt>, out: &mut Vec<u8>) {
    for (i, p) in all.iter().enumerate() {
        let key: &[u8] = if i > 0 { b"," } else { b",\"auth_in\":{" };
        text(out, key, Some(&p.place));
        text(out, b":", Some(&p.scheme));
    }
    if !all.is_empty() {
        out.push(b'}');
    }
    let Some(jwt) = jwt else { return };
    text(out, b",\"jwt\":{\"alg\":", Some(&jwt.alg));
    number(out, b",\"life_s\":", jwt.life_s);
    text(out, b",\"issuer\":", jwt.issuer.as_deref());
    write_names(out, b",\"flags\":[", jwt.flags.names());
    write_names(out, b",\"classes\":[", jwt.classes.names());
    out.push(b'}');
}

/// Appends a list, where there is anything in it.
pub(super) fn write_names(
    out: &mut Vec<u8>,
    key: &[u8],
    names: impl Iterator<Item = &'static str>,
) {
    let mut any = false;
    for name in names {
        text(out, if any { b"," } else { key }, Some(name));
        any = true;
    }
    if any {
        out.push(b']');
    }
}

fn is_name(name: &str, most: usize) -> bool {
    let ok = |b: u8| (0x21..0x7f).contains(&b) && b != b'"' && b != b'\\';
    (1..=most).contains(&name.len()) && name.bytes().all(ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_names_and_names_flags() {
        let mut set = JwtFlags::NO_EXP;
        set |= JwtFlags::KEY_URL;
        assert_eq!(set.names().collect::<Vec<_>>(), ["no-exp", "key-url"]);
        assert_eq!(JwtFlags::named(set.names()), set);
        assert_eq!(JwtFlags::named(["sparkling"].into_iter()), JwtFlags(0));
        assert_eq!(Leaks::ALL.len(), 5);
    }

    #[test]
    fn names_from_elsewhere_are_cut_to_what_is_kept() {
        let many = (0..20).map(|n| (format!("header:h{n:02}").into(), "apikey".into()));
        let odd = [("cookie:\u{1b}[31m".into(), "cookie".into())];
        let kept = presented(many.chain(odd).collect()).unwrap();
        assert_eq!(kept.len(), MAX_CREDENTIALS);
        assert!(kept.iter().all(|p| p.place.starts_with("header:")));
        assert_eq!(software("nginx\n1.2".into()), None);
    }
}
