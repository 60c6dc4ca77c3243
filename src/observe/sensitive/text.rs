//! Texts that are of a person: addresses of mail and of homes, accounts, days of birth, places,
//! health.

use super::hint::Hints;
use super::secret::is_placeholder;

/// What ends a file's name or a name of a network at home, and no address.
const NO_TLD: [&str; 30] = [
    "avif",
    "bmp",
    "css",
    "csv",
    "gif",
    "gz",
    "html",
    "ico",
    "internal",
    "jpeg",
    "jpg",
    "js",
    "json",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "log",
    "map",
    "pdf",
    "png",
    "svg",
    "svc",
    "tgz",
    "ts",
    "txt",
    "webp",
    "xml",
    "yaml",
    "yml",
];

/// The dot-atoms of RFC 5322 before a domain of RFC 1123 that ends with letters.
pub(super) fn is_email(hints: Hints, value: &str) -> bool {
    let value = value.strip_prefix("mailto:").unwrap_or(value);
    let Some((local, domain)) = value.split_once('@') else {
        return false;
    };
    let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-.".contains(&b);
    let label = |l: &str| {
        let ok = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&l.len()) && l.bytes().all(ok) && !l.starts_with('-') && !l.ends_with('-')
    };
    let Some((_, tld)) = domain.rsplit_once('.') else {
        return false;
    };
    (1..=64).contains(&local.len())
        && local.bytes().all(atom)
        && local.bytes().any(|b| b.is_ascii_alphanumeric())
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.split('.').all(label)
        && (tld.starts_with("xn--")
            || (tld.len() >= 2 && tld.bytes().all(|b| b.is_ascii_alphabetic())))
        && !NO_TLD.iter().any(|no| no.eq_ignore_ascii_case(tld))
        && !hints.has(Hints::REFERENCE)
}

/// ISO 13616, from the registry of SWIFT: country, and the form of what follows the check digits (a:
/// capitals, n: digits, c: either).
const IBANS: &[(&str, &str)] = &[
    ("AD", "8n12c"),
    ("AE", "19n"),
    ("AL", "8n16c"),
    ("AT", "16n"),
    ("AZ", "4a20c"),
    ("BA", "16n"),
    ("BE", "12n"),
    ("BG", "4a6n8c"),
    ("BH", "4a14c"),
    ("BR", "23n1a1c"),
    ("CH", "5n12c"),
    ("CR", "18n"),
    ("CY", "8n16c"),
    ("CZ", "20n"),
    ("DE", "18n"),
    ("DK", "14n"),
    ("DO", "4c20n"),
    ("EE", "16n"),
    ("EG", "25n"),
    ("ES", "20n"),
    ("FI", "14n"),
    ("FO", "14n"),
    ("FR", "10n11c2n"),
    ("GB", "4a14n"),
    ("GE", "2a16n"),
    ("GI", "4a15c"),
    ("GL", "14n"),
    ("GR", "7n16c"),
    ("GT", "4c20c"),
    ("HR", "17n"),
    ("HU", "24n"),
    ("IE", "4a14n"),
    ("IL", "19n"),
    ("IS", "22n"),
    ("IT", "1a10n12c"),
    ("JO", "4a4n18c"),
    ("KW", "4a22c"),
    ("KZ", "3n13c"),
    ("LB", "4n20c"),
    ("LI", "5n12c"),
    ("LT", "16n"),
    ("LU", "3n13c"),
    ("LV", "4a13c"),
    ("MC", "10n11c2n"),
    ("MD", "20c"),
    ("ME", "18n"),
    ("MK", "3n10c2n"),
    ("MR", "23n"),
    ("MT", "4a5n18c"),
    ("MU", "4a19n3a"),
    ("NL", "4a10n"),
    ("NO", "11n"),
    ("PK", "4a16c"),
    ("PL", "24n"),
    ("PS", "4a21c"),
    ("PT", "21n"),
    ("QA", "4a21c"),
    ("RO", "4a16c"),
    ("RS", "18n"),
    ("SA", "2n18c"),
    ("SE", "20n"),
    ("SI", "15n"),
    ("SK", "20n"),
    ("SM", "1a10n12c"),
    ("TN", "20n"),
    ("TR", "5n1n16c"),
    ("UA", "6n19c"),
    ("VG", "4a16n"),
    ("XK", "16n"),
];

/// Its longest has 34 characters, and a space may stand behind each four.
pub(super) fn is_iban(value: &str) -> bool {
    let bytes = value.as_bytes();
    if !(15..=42).contains(&bytes.len()) || !bytes[0].is_ascii_alphabetic() {
        return false;
    }
    let (mut packed, mut len) = ([0; 34], 0);
    for byte in bytes.iter().filter(|b| **b != b' ') {
        let Some(place) = packed.get_mut(len).filter(|_| byte.is_ascii_alphanumeric()) else {
            return false;
        };
        *place = byte.to_ascii_uppercase();
        len += 1;
    }
    let packed = &packed[..len];
    let form = IBANS.iter().find(|(c, _)| packed.starts_with(c.as_bytes()));
    form.is_some_and(|(_, form)| len > 4 && has_form(&packed[4..], form)) && mod_97(packed) == 1
}

/// `4a14n`: four capitals and 14 digits.
fn has_form(mut value: &[u8], form: &str) -> bool {
    let mut count = 0;
    for byte in form.bytes() {
        if byte.is_ascii_digit() {
            count = count * 10 + usize::from(byte - b'0');
            continue;
        }
        let Some((part, rest)) = value.split_at_checked(count) else {
            return false;
        };
        let fits = match byte {
            b'a' => part.iter().all(u8::is_ascii_uppercase),
            b'n' => part.iter().all(u8::is_ascii_digit),
            _ => true,
        };
        if !fits {
            return false;
        }
        (value, count) = (rest, 0);
    }
    value.is_empty()
}

/// ISO 7064, with the first four characters behind the others.
fn mod_97(iban: &[u8]) -> u32 {
    let turned = iban[4..].iter().chain(&iban[..4]);
    turned.fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    })
}

/// Days that somebody who lives may be born on.
const YEARS: std::ops::RangeInclusive<u32> = 1900..=2049;

pub(super) fn is_birth_date(hints: Hints, value: &str) -> bool {
    if !hints.has(Hints::BIRTH) || !value.is_ascii() {
        return false;
    }
    // With a time, which says nothing.
    let date = match value.as_bytes().get(10) {
        Some(b'T' | b' ') => &value[..10],
        _ => value,
    };
    let numbers = |separator: char| {
        let mut parts = date.split(separator);
        let mut next = || {
            parts
                .next()
                .filter(|p| (1..=4).contains(&p.len()))?
                .parse()
                .ok()
        };
        let three = (next()?, next()?, next()?);
        parts.next().is_none().then_some(three)
    };
    let Some((a, b, c)) = numbers('-')
        .or_else(|| numbers('/'))
        .or_else(|| numbers('.'))
        .or_else(|| packed_date(date))
    else {
        return false;
    };
    is_day(a, b, c) || is_day(c, b, a) || is_day(c, a, b)
}

/// `19840229`.
fn packed_date(date: &str) -> Option<(u32, u32, u32)> {
    let digits = date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit());
    let n: u32 = date.parse().ok().filter(|_| digits)?;
    Some((n / 10_000, n / 100 % 100, n % 100))
}

fn is_day(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    YEARS.contains(&year) && (1..=12).contains(&month) && (1..=days).contains(&day)
}

/// Street, postal code or town, each under its name.
pub(super) fn is_address(hints: Hints, value: &str) -> bool {
    if !hints.has(Hints::POSTCODE | Hints::STREET | Hints::CITY) {
        return false;
    }
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.chars().filter(|c| c.is_alphabetic()).count();
    let code = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b" -".contains(&b);
    if hints.has(Hints::POSTCODE)
        && (4..=10).contains(&value.len())
        && digits >= 2
        && value.bytes().all(code)
        && value.bytes().filter(|b| b" -".contains(b)).count() <= 1
        && !value.starts_with(['-', ' '])
        // A group of letters as in `SW1A 1AA`; ids have more.
        && letters <= 5
    {
        return true;
    }
    let machine = value.contains("://") || value.bytes().any(|b| b"@_{}[]<>=|\\:".contains(&b));
    let words = value.contains(' ');
    if hints.has(Hints::STREET) {
        return !machine
            && letters >= 3
            && digits <= 12
            && words
            && (digits > 0 || value.chars().next().is_some_and(char::is_uppercase));
    }
    hints.has(Hints::CITY)
        && !machine
        && digits == 0
        && letters >= 2
        && value.chars().count() <= 60
        && value
            .chars()
            .all(|c| c.is_alphabetic() || " -.'’,()".contains(c))
        && value
            .chars()
            .next()
            .is_some_and(|c| c.is_uppercase() || !c.is_ascii())
        && !is_shouted(value)
        && !is_placeholder(value)
}

/// `PENDING`: codes are in capitals.
fn is_shouted(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_uppercase())
}

/// A latitude or longitude with enough digits to mean a place, or both of them.
pub(super) fn is_position(hints: Hints, value: &str) -> bool {
    if let Some(uri) = value.strip_prefix("geo:") {
        // RFC 5870.
        return is_pair(uri.split([';', '?']).next().unwrap_or_default());
    }
    (hints.has(Hints::LATITUDE) && degrees(value, 90.0))
        || (hints.has(Hints::LONGITUDE) && degrees(value, 180.0))
        || (hints.has(Hints::POSITION) && is_pair(value))
}

fn is_pair(value: &str) -> bool {
    let Some((a, b)) = value.split_once(',').or_else(|| value.split_once(' ')) else {
        return false;
    };
    let (a, b) = (a.trim(), b.trim());
    (degrees(a, 90.0) && degrees(b, 180.0)) || (degrees(a, 180.0) && degrees(b, 90.0))
}

/// Two digits behind the point are a kilometre.
fn degrees(value: &str, most: f64) -> bool {
    let Some((whole, fraction)) = value.split_once('.') else {
        return false;
    };
    let whole = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    (1..=3).contains(&whole.len())
        && (2..=17).contains(&fraction.len())
        && digits(whole)
        && digits(fraction)
        && value
            .parse::<f64>()
            .is_ok_and(|n| n.abs() <= most && n != 0.0)
}

pub(super) fn is_health(hints: Hints, value: &str) -> bool {
    (hints.has(Hints::ICD) && is_icd(value))
        || (hints.has(Hints::BLOOD) && is_blood_group(value))
        || (hints.has(Hints::HEALTH) && (is_icd(value) || is_said(value)))
}

/// ICD-10: a letter, a digit, a digit or letter, and up to four more behind a point.
fn is_icd(value: &str) -> bool {
    let (category, rest) = value.split_once('.').unwrap_or((value, "0"));
    let &[chapter, a, b] = category.as_bytes() else {
        return false;
    };
    chapter.is_ascii_uppercase()
        && a.is_ascii_digit()
        && (b.is_ascii_digit() || b.is_ascii_uppercase())
        && (1..=4).contains(&rest.len())
        && rest.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_blood_group(value: &str) -> bool {
    let group = ["AB", "A", "B", "O", "0"].iter();
    let rest = group.filter_map(|g| value.strip_prefix(g)).next();
    let rest = rest.map(|r| r.trim_start_matches([' ', '_', '-']));
    let sign = rest.map(|r| {
        if r.is_empty() {
            &value[value.len() - 1..]
        } else {
            r
        }
    });
    sign.is_some_and(|s| {
        let signs = ["+", "-", "pos", "neg", "positive", "negative", "rh+", "rh-"];
        signs.iter().any(|w| w.eq_ignore_ascii_case(s))
    })
}

/// Words of a language, and not `none`.
fn is_said(value: &str) -> bool {
    let letters = value.chars().filter(|c| c.is_alphabetic()).count();
    let machine = value.contains("://") || value.bytes().any(|b| b"_{}[]<>=|\\@".contains(&b));
    letters >= 4 && letters * 10 >= value.chars().count() * 6 && !machine && !is_placeholder(value)
}
