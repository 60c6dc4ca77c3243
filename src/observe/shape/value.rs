//! Single values: what they look like.

use crate::exchange::{Classes, Format, Texture, Types};
use crate::observe::custom::Candidates;
use crate::observe::sensitive::{Hints, classify_as};

use super::name::holds_codes;

/// Strings that are longer are not looked at for their format.
const MAX_LOOKED_AT: usize = 4 << 10;
/// A code has no more letters.
const MAX_WORD: usize = 24;

/// Classes whose values let somebody in.
const SECRETS: Classes =
    Classes(Classes::PASSWORD.0 | Classes::PRIVATE_KEY.0 | Classes::TOKEN.0 | Classes::JWT.0);

/// The field that a value stands in: its name, and what that says of the value.
#[derive(Clone, Copy, Default)]
pub(super) struct Label<'n> {
    pub(super) name: &'n str,
    pub(super) hints: Hints,
    pub(super) candidates: Candidates<'n>,
    /// It is in a request.
    pub(super) sent: bool,
}

/// What is said of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scalar<'a> {
    pub(super) types: Types,
    pub(super) format: Format,
    /// A string like a code, and whether it may be kept in clear.
    pub(super) word: Option<(&'a str, bool)>,
    pub(super) class: Classes,
    /// A set of a person's own rules.
    pub(super) custom: u32,
    /// Of what is sent alone: nobody tampers with an answer.
    pub(super) texture: Texture,
}

impl<'a> Scalar<'a> {
    pub(super) fn of(types: Types, format: Format) -> Self {
        Self {
            types,
            format,
            word: None,
            class: Classes::NONE,
            custom: 0,
            texture: Texture::default(),
        }
    }

    /// With what `text` is made of, as far as it is looked at; of secrets not even that is said, and
    /// what is masked is made of its mask.
    fn made_of(mut self, label: Label<'_>, text: &str) -> Self {
        let secret = self.format == Format::Secret || self.class.has(SECRETS);
        if label.sent && !secret {
            self.texture = Texture::of(text.bytes().take(MAX_LOOKED_AT));
        }
        self
    }

    pub(super) fn string(label: Label<'_>, text: &'a str) -> Self {
        let format = format(text);
        let clear = || !is_mixed(text) && holds_codes(label.name);
        let word = (format == Format::Plain && is_word(text)).then(|| (text, clear()));
        Self {
            word,
            class: classify_as(label.hints, text),
            custom: label.candidates.of(text),
            ..Self::of(Types::STRING, format)
        }
        .made_of(label, text)
    }

    /// A number as it is written; `None`: it is none.
    pub(super) fn number(label: Label<'_>, word: &'a [u8]) -> Option<Self> {
        let types = number(word)?;
        let text = std::str::from_utf8(word).unwrap_or_default();
        let number = Self {
            class: classify_as(label.hints, text),
            custom: label.candidates.of(text),
            ..Self::of(types, Format::Unseen)
        };
        Some(number.made_of(label, text))
    }

    /// A value of a form, where everything is text.
    pub(super) fn loose(label: Label<'_>, text: &'a str) -> Self {
        match text {
            "true" | "false" => Self::of(Types::BOOLEAN, Format::Unseen),
            _ => match Self::number(label, text.as_bytes()) {
                Some(number) if text.len() <= 15 => number,
                _ => Self::string(label, text),
            },
        }
    }
}

/// A number of JSON (RFC 8259, section 6): whether it is an integer.
fn number(word: &[u8]) -> Option<Types> {
    let digits = |w: &[u8]| w.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = word.strip_prefix(b"-").unwrap_or(word);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return None;
    }
    let mut rest = &rest[whole..];
    if rest.is_empty() {
        return Some(Types::INTEGER);
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        let len = digits(fraction);
        rest = fraction.get(len..).filter(|_| len > 0)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent
            .strip_prefix(b"+")
            .or_else(|| exponent.strip_prefix(b"-"))
            .unwrap_or(exponent);
        let len = digits(exponent);
        rest = exponent.get(len..).filter(|_| len > 0)?;
    }
    rest.is_empty().then_some(Types::NUMBER)
}

/// `PENDING`, `eu-west-1`: letters, few digits, none of them in a row.
fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ok = |b: &u8| b.is_ascii_alphanumeric() || b"_-".contains(b);
    (1..=MAX_WORD).contains(&bytes.len())
        && bytes[0].is_ascii_alphabetic()
        && bytes.iter().all(ok)
        && bytes.iter().filter(|b| b.is_ascii_digit()).count() <= 2
        && !bytes.windows(2).any(|w| w.iter().all(u8::is_ascii_digit))
}

/// Capitals and small letters in turns, as random tokens have them; `camelCase` and `Title-Case` have
/// few turns.
fn is_mixed(word: &str) -> bool {
    let turns = word
        .as_bytes()
        .windows(2)
        .filter(|w| w[0].is_ascii_lowercase() && w[1].is_ascii_uppercase());
    turns.count() > 2
}

fn format(text: &str) -> Format {
    let b = text.as_bytes();
    match b.len() {
        0 => return Format::Unseen,
        len if len > MAX_LOOKED_AT => return Format::Plain,
        _ => {}
    }
    let digits = b.iter().filter(|b| b.is_ascii_digit()).count();
    match b.len() {
        _ if text.starts_with("{secret:") => Format::Secret,
        36 if is_uuid(b) => Format::Uuid,
        10 if is_date(b) => Format::Date,
        len if len > 15 && is_date(&b[..10]) && is_time(&b[10..]) => Format::DateTime,
        len if digits == len => Format::Digits,
        _ if b.contains(&b'@') && is_mail(text) => Format::Email,
        _ if text.contains("://") && is_uri(text) => Format::Uri,
        7..=15 if digits >= 4 && text.parse::<std::net::Ipv4Addr>().is_ok() => Format::Ipv4,
        2..=45 if b.contains(&b':') && text.parse::<std::net::Ipv6Addr>().is_ok() => Format::Ipv6,
        len if len >= 24 && text.starts_with("eyJ") && text.matches('.').count() == 2 => {
            Format::Jwt
        }
        len if len >= 8 && digits > 0 && b.iter().all(u8::is_ascii_hexdigit) => Format::Hex,
        len if len >= 16 && digits > 0 && is_base64(b) => Format::Base64,
        _ => Format::Plain,
    }
}

/// RFC 9562, section 4.
fn is_uuid(b: &[u8]) -> bool {
    b.iter().enumerate().all(|(at, c)| match at {
        8 | 13 | 18 | 23 => *c == b'-',
        _ => c.is_ascii_hexdigit(),
    })
}

/// `full-date` of RFC 3339, section 5.6.
fn is_date(b: &[u8]) -> bool {
    let two = |at: usize| {
        let (a, b) = (b[at].wrapping_sub(b'0'), b[at + 1].wrapping_sub(b'0'));
        (a < 10 && b < 10).then(|| a * 10 + b)
    };
    let parts = (two(0), two(2), two(5), two(8));
    let (Some(_), Some(_), Some(month), Some(day)) = parts else {
        return false;
    };
    b[4] == b'-' && b[7] == b'-' && (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// What follows a date: `T12:00`, seconds, fraction and zone as far as there are any.
fn is_time(b: &[u8]) -> bool {
    let digit = |at: usize| b.get(at).is_some_and(u8::is_ascii_digit);
    matches!(b[0], b'T' | b't' | b' ')
        && [1, 2, 4, 5].into_iter().all(digit)
        && b.get(3) == Some(&b':')
        && b[6..]
            .iter()
            .all(|c| c.is_ascii_digit() || b":.,+-Zz".contains(c))
}

fn is_mail(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let local_ok = |b: u8| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b);
    let domain_ok = |b: u8| b.is_ascii_alphanumeric() || b".-".contains(&b);
    (1..=64).contains(&local.len())
        && local.bytes().all(local_ok)
        && (3..=255).contains(&domain.len())
        && domain.bytes().all(domain_ok)
        && domain.contains('.')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let scheme_ok = |b: u8| b.is_ascii_alphanumeric() || b"+.-".contains(&b);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(scheme_ok)
        && !rest.is_empty()
        && !rest.bytes().any(|b| b <= b' ')
}

/// RFC 4648: some of each kind, or words would be of it.
fn is_base64(b: &[u8]) -> bool {
    let body = b
        .strip_suffix(b"==")
        .or_else(|| b.strip_suffix(b"="))
        .unwrap_or(b);
    let padded = body.len() < b.len();
    let url = body
        .iter()
        .all(|c| c.is_ascii_alphanumeric() || b"-_".contains(c));
    let standard = body
        .iter()
        .all(|c| c.is_ascii_alphanumeric() || b"+/".contains(c));
    (url || standard)
        && (padded || b.len().is_multiple_of(4) || url)
        && body.iter().any(u8::is_ascii_uppercase)
        && body.iter().any(u8::is_ascii_lowercase)
}
