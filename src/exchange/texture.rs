//! What values are made of, without saying any: which kinds of characters, and in powers of two how
//! long they are and how large.
//!
//! The idea is Kruegel's and Vigna's (Anomaly detection of web-based attacks, CCS 2003): what a
//! program takes as a parameter is of few kinds of characters and of a known length, and what is
//! sent to break it is not.

use std::ops::BitOrAssign;

use serde::{Deserialize, Serialize};

/// A set of kinds of characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups(pub u16);

impl Groups {
    /// Kinds that are told apart, a bit each.
    pub const COUNT: usize = 16;
    pub const DIGITS: Self = Self(1);
    /// `a` to `f`, which hexadecimal numbers have too.
    pub const HEX: Self = Self(1 << 1);
    pub const LETTERS: Self = Self(1 << 2);
    /// Beyond ASCII.
    pub const WIDE: Self = Self(1 << 3);
    pub const SPACE: Self = Self(1 << 4);
    pub const HYPHEN: Self = Self(1 << 5);
    pub const JOINT: Self = Self(1 << 6);
    pub const COMMA: Self = Self(1 << 7);
    pub const SLASH: Self = Self(1 << 8);
    pub const AT: Self = Self(1 << 9);
    pub const EQUALS: Self = Self(1 << 10);
    pub const QUOTE: Self = Self(1 << 11);
    pub const ANGLE: Self = Self(1 << 12);
    pub const BRACKET: Self = Self(1 << 13);
    /// What shells, databases and template engines read as theirs.
    pub const SHELL: Self = Self(1 << 14);
    pub const CONTROL: Self = Self(1 << 15);

    /// What data seldom has, and syntax of some language does.
    pub const SYNTAX: Self =
        Self(Self::QUOTE.0 | Self::ANGLE.0 | Self::BRACKET.0 | Self::SHELL.0 | Self::CONTROL.0);

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Of a single kind, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::DIGITS => "digits",
            Self::HEX => "letters a to f",
            Self::LETTERS => "letters",
            Self::WIDE => "letters beyond ASCII",
            Self::SPACE => "spaces",
            Self::HYPHEN => "hyphens",
            Self::JOINT => "points and underscores",
            Self::COMMA => "commas",
            Self::SLASH => "slashes",
            Self::AT => "at signs",
            Self::EQUALS => "equals signs",
            Self::QUOTE => "quotes",
            Self::ANGLE => "angle brackets",
            Self::BRACKET => "brackets",
            Self::CONTROL => "control characters",
            _ => "signs of shells",
        }
    }
}

const fn group(b: u8) -> Groups {
    match b {
        b'0'..=b'9' => Groups::DIGITS,
        b'a'..=b'f' | b'A'..=b'F' => Groups::HEX,
        b'g'..=b'z' | b'G'..=b'Z' => Groups::LETTERS,
        0x80.. => Groups::WIDE,
        b' ' => Groups::SPACE,
        b'-' => Groups::HYPHEN,
        b'_' | b'.' | b'~' => Groups::JOINT,
        b',' | b':' => Groups::COMMA,
        b'/' => Groups::SLASH,
        b'@' => Groups::AT,
        b'=' | b'+' | b'?' => Groups::EQUALS,
        b'\'' | b'"' | b'`' => Groups::QUOTE,
        b'<' | b'>' => Groups::ANGLE,
        b'(' | b')' | b'[' | b']' | b'{' | b'}' => Groups::BRACKET,
        0x00..0x20 | 0x7f => Groups::CONTROL,
        _ => Groups::SHELL,
    }
}

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = group(b as u8).0;
        b += 1;
    }
    table
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Texture {
    pub groups: Groups,
    /// Bits of the length in bytes: 0 for nothing, 4 for 8 to 15.
    pub length: u8,
    /// Bits of the whole part, where it is a decimal number; else 0.
    pub magnitude: u8,
}

impl Texture {
    /// Of one value, as it is once decoded.
    pub fn of(value: impl IntoIterator<Item = u8>) -> Self {
        let (mut groups, mut length, mut whole) = (0, 0_u32, 0_u64);
        let mut fraction = false;
        for b in value {
            groups |= TABLE[usize::from(b)];
            length = length.saturating_add(1);
            fraction |= b == b'.';
            if !fraction && b.is_ascii_digit() {
                whole = whole.saturating_mul(10).saturating_add(u64::from(b - b'0'));
            }
        }
        let groups = Groups(groups);
        let number = Groups(Groups::DIGITS.0 | Groups::HYPHEN.0 | Groups::JOINT.0);
        let is_number = groups.has(Groups::DIGITS) && groups.0 & !number.0 == 0;
        let bits = (u64::BITS - whole.leading_zeros()) as u8;
        Self {
            groups,
            length: (u32::BITS - length.leading_zeros()) as u8,
            magnitude: if is_number { bits } else { 0 },
        }
    }

    /// `1041.4.10`: groups in hexadecimal, then the bits of length and magnitude.
    pub(super) fn parse(said: &str) -> Option<Self> {
        let mut parts = said.split('.');
        let groups = u16::from_str_radix(parts.next()?, 16).ok()?;
        let (length, magnitude) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        (length <= 32 && magnitude <= 64 && parts.next().is_none()).then_some(Self {
            groups: Groups(groups),
            length,
            magnitude,
        })
    }

    pub(super) fn write(self, out: &mut String) {
        let (groups, length, magnitude) = (self.groups.0, self.length, self.magnitude);
        out.push_str(&format!("{groups:x}.{length}.{magnitude}"));
    }
}

/// What any of several values has.
impl BitOrAssign for Texture {
    fn bitor_assign(&mut self, other: Self) {
        self.groups.0 |= other.groups.0;
        self.length = self.length.max(other.length);
        self.magnitude = self.magnitude.max(other.magnitude);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Texture {
        Texture::of(text.bytes())
    }

    #[test]
    fn values_are_told_by_what_they_are_made_of() {
        assert_eq!(of(""), Texture::default());
        let id = of("1042");
        assert_eq!(
            (id.groups, id.length, id.magnitude),
            (Groups::DIGITS, 3, 11)
        );
        assert_eq!(of("-5").magnitude, 3);
        assert_eq!(of("12.75").magnitude, 4);
        assert_eq!(of("99999999999999999999999").magnitude, 64);
        let uuid = of("6fa459ea-ee8a-3ca4-894e-db77e160355e");
        assert!(!uuid.groups.has(Groups::LETTERS) && uuid.magnitude == 0);
        for attack in [
            "1' or '1'='1",
            "<script>",
            "{{7*7}}",
            "a;ls",
            "7\n8",
            "$(id)",
        ] {
            assert!(of(attack).groups.has(Groups::SYNTAX), "{attack}");
        }
        for plain in [
            "O Brien",
            "a@b.example",
            "2026-11-26T10:00:00Z",
            "a/b",
            "münchen",
        ] {
            assert!(!of(plain).groups.has(Groups::SYNTAX), "{plain}");
        }
    }

    #[test]
    fn words_come_back() {
        for text in ["", "7", "<a>", "some longer text with 3 numbers"] {
            let mut said = String::new();
            of(text).write(&mut said);
            assert_eq!(Texture::parse(&said), Some(of(text)), "{said}");
        }
        for bad in ["", "1.2", "zz.1.1", "1.99.0", "1.1.99", "1.1.1.1"] {
            assert_eq!(Texture::parse(bad), None, "{bad}");
        }
    }
}
