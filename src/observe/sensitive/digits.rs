//! Numbers that stand for a person: phones, payment cards, national ids.

use super::hint::Hints;

/// Digits of a value, which may have separators between them.
struct Digits {
    of: [u8; Self::MOST],
    len: usize,
}

impl Digits {
    const MOST: usize = 19;

    /// `None`: there is something else in it, or more of them.
    fn of(value: &str, separators: &[u8]) -> Option<Self> {
        let mut digits = Self {
            of: [0; Self::MOST],
            len: 0,
        };
        for byte in value.bytes() {
            if byte.is_ascii_digit() {
                *digits.of.get_mut(digits.len)? = byte - b'0';
                digits.len += 1;
            } else if !separators.contains(&byte) {
                return None;
            }
        }
        Some(digits)
    }

    fn get(&self) -> &[u8] {
        &self.of[..self.len]
    }
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |n, d| n * 10 + u64::from(*d))
}

/// ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let doubled = |(i, d): (usize, &u8)| match u32::from(*d) * 2 {
        _ if i % 2 == 0 => u32::from(*d),
        n if n > 9 => n - 9,
        n => n,
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    let pairs = digits.iter().zip(weights);
    pairs.map(|(d, w)| u32::from(*d) * w).sum()
}

fn all_same(digits: &[u8]) -> bool {
    digits.iter().all(|d| *d == digits[0])
}

/// Issuers' ranges and the lengths of their numbers.
fn has_issuer(digits: &[u8]) -> bool {
    let begin = number(&digits[..4]);
    matches!(
        (begin, digits.len()),
        (4000..=4999, 13 | 16 | 19)
            | (5100..=5599 | 2221..=2720, 16)
            | (3400..=3499 | 3700..=3799, 15)
            | (6011 | 6440..=6599, 16..=19)
            | (3000..=3059 | 3095 | 3600..=3699 | 3800..=3999, 14)
            | (3528..=3589, 16..=19)
            | (6200..=6299 | 8100..=8171, 16..=19)
            | (5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763, 12..=19)
            | (2200..=2204, 16)
    )
}

/// See the module for when digits are a card.
pub(super) fn is_card(hints: Hints, value: &str) -> bool {
    if !(12..=23).contains(&value.len()) || !value.as_bytes()[0].is_ascii_digit() {
        return false;
    }
    let named = hints.has(Hints::CARD);
    if !named && (hints.has(Hints::REFERENCE) || !is_grouped(value.as_bytes())) {
        return false;
    }
    let Some(digits) = Digits::of(value, b" -") else {
        return false;
    };
    let digits = digits.get();
    digits.len() >= 12 && has_issuer(digits) && luhn(digits)
}

/// 4-4-4-4 or 4-6-5, with one separator.
fn is_grouped(value: &[u8]) -> bool {
    let places: &[usize] = match value.len() {
        19 => &[4, 9, 14],
        17 => &[4, 11],
        _ => return false,
    };
    let separator = value[4];
    let fits = |(at, byte): (usize, &u8)| match places.contains(&at) {
        true => *byte == separator && b" -".contains(byte),
        false => byte.is_ascii_digit(),
    };
    value.iter().enumerate().all(fits)
}

/// International form (ITU-T E.164) by itself; national forms under a name.
pub(super) fn is_phone(hints: Hints, value: &str) -> bool {
    if !(7..=28).contains(&value.len()) {
        return false;
    }
    let value = value.strip_prefix("tel:").unwrap_or(value);
    let named = hints.has(Hints::PHONE);
    let Some((international, rest)) = value
        .strip_prefix('+')
        .map(|rest| (true, rest))
        .or_else(|| named.then_some((false, value)))
    else {
        return false;
    };
    // A number in a formula, or with a fraction, has one dot: `+3.14159265`.
    if rest.matches('.').count() == 1 || !rest.starts_with(|c: char| c.is_ascii_digit() || c == '(')
    {
        return false;
    }
    let Some(digits) = Digits::of(rest, b" -.()/") else {
        return false;
    };
    let digits = digits.get();
    if !(7..=15).contains(&digits.len()) || all_same(digits) {
        return false;
    }
    if international {
        has_country(digits)
    } else {
        named
    }
}

/// Country codes that are assigned (ITU-T E.164, list of 2016 and later), and how many digits may
/// follow, which is known for the larger ones.
fn has_country(digits: &[u8]) -> bool {
    let after = |code: usize| digits.len() - code;
    if digits[0] == 1 {
        // The North American plan: area and exchange begin with 2 to 9, and are no service code.
        let begins = |at: usize| (2..=9).contains(&digits[at]);
        let service = |at: usize| digits[at + 1] == 1 && digits[at + 2] == 1;
        return after(1) == 10 && begins(1) && begins(4) && !service(1) && !service(4);
    }
    if digits[0] == 7 {
        return after(1) == 10 && matches!(digits[1], 3 | 4 | 6..=9);
    }
    let two = number(&digits[..2]);
    let lengths = match two {
        20 => 8..=10,
        27 | 30..=34 | 36 | 48 => 8..=10,
        39 => 6..=11,
        40 | 41 | 43..=47 | 49 => 6..=13,
        51..=58 => 8..=11,
        60..=66 => 7..=11,
        81 | 82 | 84 => 8..=11,
        86 => 10..=11,
        90..=95 | 98 => 8..=11,
        _ => return has_long_code(number(&digits[..3])) && (5..=12).contains(&after(3)),
    };
    lengths.contains(&after(2)) && (two == 39 || digits[2] != 0)
}

fn has_long_code(code: u64) -> bool {
    matches!(code,
        211..=213 | 216 | 218 | 220..=258 | 260..=269 | 290 | 291 | 297..=299
        | 350..=359 | 370..=383 | 385..=387 | 389 | 420 | 421 | 423
        | 500..=509 | 590..=599 | 670 | 672..=683 | 685..=692
        | 800 | 850 | 852 | 853 | 855 | 856 | 870 | 880 | 886
        | 960..=968 | 970..=977 | 992..=996 | 998)
}

/// Under a name; by itself only as the United States and Brazil write theirs.
pub(super) fn is_national_id(hints: Hints, value: &str) -> bool {
    if !(6..=20).contains(&value.len()) || !value.is_ascii() {
        return false;
    }
    let bytes = value.as_bytes();
    let named = hints.has(Hints::NATIONAL_ID | Hints::SSN);
    let alone = !hints.has(Hints::REFERENCE | Hints::PHONE);
    if (named || alone) && (is_dashed_ssn(bytes) || is_written_cpf(bytes)) {
        return true;
    }
    if hints.has(Hints::PASSPORT) && is_passport(bytes) {
        return true;
    }
    if !named {
        return false;
    }
    let abroad = hints.has(Hints::NATIONAL_ID);
    if let Some(digits) = Digits::of(value, b" -+") {
        let digits = digits.get();
        return !digits.is_empty()
            && !all_same(digits)
            && match digits.len() {
                9 => is_ssn(digits) || (abroad && is_bsn(digits)),
                _ if !abroad => false,
                10 => is_personnummer(digits),
                11 => is_cpf(digits) || is_pesel(digits),
                12 => is_aadhaar(digits) || is_personnummer(&digits[2..]),
                15 => is_nir(digits),
                _ => false,
            };
    }
    abroad && (is_dni(bytes) || is_nino(value) || is_codice_fiscale(bytes))
}

fn matches_form(value: &[u8], form: &[u8]) -> bool {
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        b'A' => byte.is_ascii_uppercase(),
        other => byte == other,
    };
    value.len() == form.len() && value.iter().zip(form).all(fits)
}

/// United States: area, group and serial number; areas that were never given.
fn is_ssn(digits: &[u8]) -> bool {
    let area = number(&digits[..3]);
    area != 0
        && area != 666
        && area < 900
        && number(&digits[3..5]) != 0
        && number(&digits[5..]) != 0
}

fn is_dashed_ssn(value: &[u8]) -> bool {
    matches_form(value, b"000-00-0000") && digits_of(value).is_some_and(|d| is_ssn(d.get()))
}

/// Brazil.
fn is_written_cpf(value: &[u8]) -> bool {
    let digits = || digits_of(value).filter(|d| !all_same(d.get()));
    matches_form(value, b"000.000.000-00") && digits().is_some_and(|d| is_cpf(d.get()))
}

fn digits_of(value: &[u8]) -> Option<Digits> {
    Digits::of(std::str::from_utf8(value).ok()?, b"-.")
}

fn is_cpf(digits: &[u8]) -> bool {
    let check = |n: usize| {
        let weights = (2..=n as u32 + 1).rev();
        let sum: u32 = digits
            .iter()
            .zip(weights)
            .map(|(d, w)| u32::from(*d) * w)
            .sum();
        u32::from(digits[n]) == sum * 10 % 11 % 10
    };
    check(9) && check(10)
}

/// The Netherlands: the test of eleven.
fn is_bsn(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..8], &[9, 8, 7, 6, 5, 4, 3, 2]);
    sum % 11 == u32::from(digits[8])
}

/// Sweden: a day of birth (of coordination numbers with 60 more), and Luhn's digit.
fn is_personnummer(digits: &[u8]) -> bool {
    let (month, day) = (number(&digits[2..4]), number(&digits[4..6]));
    (1..=12).contains(&month) && matches!(day, 1..=31 | 61..=91) && luhn(digits)
}

/// Poland: the month says the century.
fn is_pesel(digits: &[u8]) -> bool {
    let (month, day) = (number(&digits[2..4]) % 20, number(&digits[4..6]));
    let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    (1..=12).contains(&month) && (1..=31).contains(&day) && sum.is_multiple_of(10)
}

/// India: Verhoeff's check, over the dihedral group of ten.
fn is_aadhaar(digits: &[u8]) -> bool {
    const SHIFT: [usize; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let product = |a: usize, b: usize| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let shifted =
        |place: usize, digit: u8| (0..place % 8).fold(usize::from(digit), |digit, _| SHIFT[digit]);
    let places = digits.iter().rev().enumerate();
    digits[0] >= 2 && places.fold(0, |c, (at, d)| product(c, shifted(at, *d))) == 0
}

/// France: 13 digits and 97 less their remainder.
fn is_nir(digits: &[u8]) -> bool {
    let key = 97 - number(&digits[..13]) % 97;
    matches!(digits[0], 1 | 2) && key == number(&digits[13..])
}

/// Spain: the letter is the remainder by 23; foreigners have X, Y or Z for the first digit.
fn is_dni(value: &[u8]) -> bool {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let Some((letter, body)) = value.split_last() else {
        return false;
    };
    let body = body.strip_suffix(b"-").unwrap_or(body);
    let [first, rest @ ..] = body else {
        return false;
    };
    let first = match first {
        b'X' => 0,
        b'Y' => 1,
        b'Z' => 2,
        digit if digit.is_ascii_digit() => digit - b'0',
        _ => return false,
    };
    if rest.len() != 7 || !rest.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let n = rest
        .iter()
        .fold(usize::from(first), |n, d| n * 10 + usize::from(d - b'0'));
    LETTERS[n % 23] == letter.to_ascii_uppercase()
}

/// United Kingdom: two letters (some are not given), six digits, a letter of A to D.
fn is_nino(value: &str) -> bool {
    let mut packed = [0; 9];
    let mut len = 0;
    for byte in value.bytes().filter(|b| *b != b' ') {
        let Some(place) = packed.get_mut(len) else {
            return false;
        };
        *place = byte.to_ascii_uppercase();
        len += 1;
    }
    let (prefix, no) = (&packed[..2], b"DFIQUV");
    matches_form(&packed[..len], b"AA000000A")
        && !no.contains(&packed[0])
        && !no.contains(&packed[1])
        && packed[1] != b'O'
        && !["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"].contains(&str_of(prefix))
        && packed[8] <= b'D'
}

fn str_of(ascii: &[u8]) -> &str {
    std::str::from_utf8(ascii).unwrap_or_default()
}

/// Italy, by its form.
fn is_codice_fiscale(value: &[u8]) -> bool {
    matches_form(value, b"AAAAAA00A00A000A") && b"ABCDEHLMPRST".contains(&value[8])
}

/// As the readable zone of a passport has it (ICAO 9303): up to nine letters and digits.
fn is_passport(value: &[u8]) -> bool {
    let ok = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    (7..=9).contains(&value.len()) && digits >= 5 && value.iter().all(ok)
}
