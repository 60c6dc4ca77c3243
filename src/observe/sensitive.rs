//! Sensitive data by the name of its field and by its value. What is returned says of which class
//! a value is; the value itself never leaves.
//!
//! Precision first. A value alone is enough only where it proves itself: a checksum and a form
//! (IBAN), a header (PEM, JWT), a vendor's prefix and length, the syntax of an address. Everything
//! else needs a name that says what it is *and* a value that may be it.
//!
//! Payment cards are in between: of all 16 digit numbers one in ten passes Luhn's test, and many
//! order numbers begin like an issuer's. Digits are a card only under a name that says so, or where
//! they are grouped as on a card (4-4-4-4, 4-6-5) and the name does not say that it is something
//! else (order, invoice, id, reference…).

use crate::exchange::Classes;

mod digits;
mod hint;
mod secret;
mod text;

#[cfg(test)]
mod tests;

pub(super) use hint::Hints;

/// Bytes of a value that are looked at.
const MAX_LOOKED_AT: usize = 256;

/// The classes of a value that stands in a field of that name. A number comes as it is written.
pub fn classify(name: &str, value: &str) -> Classes {
    classify_as(Hints::of(name), value)
}

/// The same, where the name was read before.
pub(super) fn classify_as(hints: Hints, value: &str) -> Classes {
    let value = value.trim();
    let mut end = value.len().min(MAX_LOOKED_AT);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    let (head, cut) = (&value[..end], end < value.len());
    let mut classes = Classes::NONE;
    if head.is_empty() {
        return classes;
    }
    if let Some(class) = secret::masked(hints, head) {
        return class;
    }
    let mut is = |class, found: bool| {
        if found {
            classes |= class;
        }
    };
    is(Classes::PRIVATE_KEY, secret::is_private_key(head));
    is(Classes::JWT, secret::is_jwt(head, cut));
    is(Classes::TOKEN, secret::is_token(hints, head, cut));
    is(Classes::PASSWORD, secret::is_password(hints, head));
    is(Classes::HEALTH, text::is_health(hints, head));
    if !cut {
        is(Classes::EMAIL, text::is_email(hints, head));
        is(Classes::IBAN, text::is_iban(head));
        is(Classes::PHONE, digits::is_phone(hints, head));
        is(Classes::CARD, digits::is_card(hints, head));
        is(Classes::NATIONAL_ID, digits::is_national_id(hints, head));
        is(Classes::BIRTH_DATE, text::is_birth_date(hints, head));
        is(Classes::ADDRESS, text::is_address(hints, head));
        is(Classes::GEO, text::is_position(hints, head));
    }
    classes
}
