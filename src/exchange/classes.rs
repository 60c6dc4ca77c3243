//! Classes of sensitive data: what a value is of, not what it is.

use std::ops::BitOrAssign;

use serde::{Deserialize, Serialize};

/// A set of classes, a bit each.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Classes(pub u16);

impl Classes {
    pub const NONE: Self = Self(0);
    pub const EMAIL: Self = Self(1);
    pub const PHONE: Self = Self(1 << 1);
    pub const CARD: Self = Self(1 << 2);
    pub const IBAN: Self = Self(1 << 3);
    pub const NATIONAL_ID: Self = Self(1 << 4);
    pub const BIRTH_DATE: Self = Self(1 << 5);
    pub const ADDRESS: Self = Self(1 << 6);
    pub const GEO: Self = Self(1 << 7);
    pub const HEALTH: Self = Self(1 << 8);
    pub const PASSWORD: Self = Self(1 << 9);
    pub const PRIVATE_KEY: Self = Self(1 << 10);
    pub const TOKEN: Self = Self(1 << 11);
    pub const JWT: Self = Self(1 << 12);

    /// Their names are of no format's, which stand beside them in a field's words.
    pub const ALL: [(Self, &'static str); 13] = [
        (Self::EMAIL, "pii:email"),
        (Self::PHONE, "pii:phone"),
        (Self::CARD, "pii:card"),
        (Self::IBAN, "pii:iban"),
        (Self::NATIONAL_ID, "pii:national-id"),
        (Self::BIRTH_DATE, "pii:birth-date"),
        (Self::ADDRESS, "pii:address"),
        (Self::GEO, "pii:geo"),
        (Self::HEALTH, "pii:health"),
        (Self::PASSWORD, "secret:password"),
        (Self::PRIVATE_KEY, "secret:private-key"),
        (Self::TOKEN, "secret:token"),
        (Self::JWT, "secret:jwt"),
    ];

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn set(self) -> impl Iterator<Item = (Self, &'static str)> {
        Self::ALL.into_iter().filter(move |(c, _)| self.has(*c))
    }

    /// Each class by itself.
    pub fn each(self) -> impl Iterator<Item = Self> {
        self.set().map(|(class, _)| class)
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.set().map(|(_, name)| name)
    }

    pub fn named(name: &str) -> Option<Self> {
        let known = Self::ALL.into_iter().find(|(_, n)| *n == name);
        known.map(|(class, _)| class)
    }
}

impl BitOrAssign for Classes {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
