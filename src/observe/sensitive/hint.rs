//! What a field's name says of its value. Names are read as words: `emailed_count` has no `email`,
//! `latency` no `lat`.

use std::ops::BitOr;

/// Names that are longer are not read to their end.
const MAX_NAME: usize = 64;
/// Each byte may begin a word.
const BUFFER: usize = 2 * MAX_NAME + 2;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::observe) struct Hints(u32);

impl BitOr for Hints {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Hints {
    pub(super) const PHONE: Self = Self(1);
    pub(super) const CARD: Self = Self(1 << 1);
    pub(super) const NATIONAL_ID: Self = Self(1 << 2);
    pub(super) const PASSPORT: Self = Self(1 << 3);
    pub(super) const BIRTH: Self = Self(1 << 4);
    pub(super) const STREET: Self = Self(1 << 5);
    pub(super) const POSTCODE: Self = Self(1 << 6);
    pub(super) const CITY: Self = Self(1 << 7);
    pub(super) const LATITUDE: Self = Self(1 << 8);
    pub(super) const LONGITUDE: Self = Self(1 << 9);
    /// Two numbers.
    pub(super) const POSITION: Self = Self(1 << 10);
    /// Free words on health, blood groups, codes of the ICD.
    pub(super) const HEALTH: Self = Self(1 << 11);
    pub(super) const BLOOD: Self = Self(1 << 12);
    pub(super) const ICD: Self = Self(1 << 13);
    pub(super) const PASSWORD: Self = Self(1 << 14);
    pub(super) const PIN: Self = Self(1 << 15);
    pub(super) const TOKEN: Self = Self(1 << 16);
    /// An id, a number of something else: whatever the value looks like, it is that.
    pub(super) const REFERENCE: Self = Self(1 << 17);
    /// An address that is nobody's home.
    const NO_HOME: Self = Self(1 << 18);
    /// Of the United States, and of no other country.
    pub(super) const SSN: Self = Self(1 << 20);
    /// The name says nothing: that of the object or list that it is in counts.
    const GENERIC: Self = Self(1 << 19);

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(in crate::observe) fn of(name: &str) -> Self {
        if matches!(name, "*" | "") {
            return Self::GENERIC;
        }
        let mut buffer = [0; BUFFER];
        let words = words(name.as_bytes(), &mut buffer);
        let mut hints = Self::default();
        let starts = (0..words.len()).filter(|at| *at == 0 || words[at - 1] == b'_');
        for rest in starts.map(|at| &words[at..]).filter(|w| !w.is_empty()) {
            let from = PHRASES.partition_point(|(p, _)| p.as_bytes()[0] < rest[0]);
            let alike = PHRASES[from..].iter();
            let alike = alike.take_while(|(p, _)| p.as_bytes()[0] == rest[0]);
            for (_, hint) in alike.filter(|(p, _)| begins(rest, p)) {
                hints = hints | *hint;
            }
        }
        let last = words.rsplit(|b| *b == b'_').next().unwrap_or_default();
        let is_last = |set: &[&str]| set.iter().any(|w| w.as_bytes() == last);
        if is_last(ASIDE) || words.starts_with(b"is_") || words.starts_with(b"has_") {
            // `phone_verified`, `password_updated_at`, `city_id` hold no phone, password or city;
            // `national_id` and `blood_type` are names by themselves.
            let mut kept =
                Self::NATIONAL_ID | Self::SSN | Self::PASSPORT | Self::REFERENCE | Self::BLOOD;
            if is_last(&["name"]) {
                // `city_name` does.
                kept = kept | Self::CITY | Self::STREET;
            }
            hints = hints & kept;
        }
        if is_last(&["id", "ids"]) {
            hints = hints | Self::REFERENCE;
        }
        if hints.has(Self::NO_HOME) {
            hints = hints.without(Self::STREET | Self::NO_HOME);
        }
        if hints.has(Self::CARD | Self::NATIONAL_ID | Self::SSN | Self::PASSPORT) {
            hints = hints.without(Self::REFERENCE);
        }
        match words {
            b"token" => hints | Self::TOKEN,
            b"number" | b"no" | b"num" | b"value" | b"values" => hints | Self::GENERIC,
            _ => hints,
        }
    }

    /// Of a field in an object or list: `{"card":{"number":…}}`, `{"phones":[…]}`.
    pub(in crate::observe) fn within(self, parent: Self) -> Self {
        if self.has(Self::GENERIC) {
            self | parent
        } else {
            self
        }
    }
}

impl std::ops::BitAnd for Hints {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// `userSSNNumber2` as `user_ssn_number`: digits at a word's end say nothing (`line2`, `icd10`).
fn words<'a>(name: &[u8], out: &'a mut [u8; BUFFER]) -> &'a [u8] {
    let name = &name[..name.len().min(MAX_NAME)];
    let mut len = 0;
    for (at, byte) in name.iter().enumerate() {
        let before = at.checked_sub(1).map_or(0, |at| name[at]);
        let after = name.get(at + 1).copied().unwrap_or(0);
        let hump = byte.is_ascii_uppercase()
            && (before.is_ascii_lowercase()
                || before.is_ascii_digit()
                || (before.is_ascii_uppercase() && after.is_ascii_lowercase()));
        let letter = byte.is_ascii_alphanumeric();
        if (hump || !letter) && len > 0 && out[len - 1] != b'_' {
            while len > 0 && out[len - 1].is_ascii_digit() {
                len -= 1;
            }
            if len > 0 && out[len - 1] != b'_' {
                out[len] = b'_';
                len += 1;
            }
        }
        if letter {
            out[len] = byte.to_ascii_lowercase();
            len += 1;
        }
    }
    while len > 0 && (out[len - 1] == b'_' || out[len - 1].is_ascii_digit()) {
        len -= 1;
    }
    &out[..len]
}

/// Whether the words begin with those of the phrase, which may be written as one, and of which
/// there may be several.
fn begins(words: &[u8], phrase: &str) -> bool {
    let mut rest = words;
    for byte in phrase.bytes() {
        rest = match (byte, rest) {
            (b' ', [b'_', rest @ ..]) => rest,
            (b' ', rest) => rest,
            (byte, [first, rest @ ..]) if *first == byte => rest,
            _ => return false,
        };
    }
    matches!(rest, [] | [b'_', ..] | [b's'] | [b's', b'_', ..])
}

/// Last words of names that are about a thing, and do not hold it.
const ASIDE: &[&str] = &[
    "at",
    "attempts",
    "algorithm",
    "algo",
    "available",
    "bytes",
    "changed",
    "check",
    "checked",
    "confirmed",
    "count",
    "created",
    "enabled",
    "error",
    "exists",
    "expired",
    "expires",
    "expiry",
    "field",
    "flag",
    "format",
    "hash",
    "hint",
    "id",
    "ids",
    "icon",
    "index",
    "kind",
    "label",
    "last4",
    "len",
    "length",
    "level",
    "limit",
    "match",
    "max",
    "message",
    "min",
    "mode",
    "model",
    "ms",
    "name",
    "names",
    "ns",
    "old",
    "options",
    "order",
    "page",
    "placeholder",
    "policy",
    "position",
    "provider",
    "reason",
    "required",
    "reset",
    "rule",
    "rules",
    "score",
    "sent",
    "seconds",
    "set",
    "size",
    "sort",
    "source",
    "state",
    "status",
    "step",
    "strength",
    "supported",
    "time",
    "timestamp",
    "title",
    "total",
    "ttl",
    "type",
    "types",
    "ui",
    "updated",
    "uri",
    "url",
    "us",
    "valid",
    "validated",
    "verified",
    "version",
];

/// Phrases in names, by their first letter.
const PHRASES: &[(&str, Hints)] = &[
    ("aadhaar", Hints::NATIONAL_ID),
    ("aadhar", Hints::NATIONAL_ID),
    ("access key", Hints::TOKEN),
    ("access token", Hints::TOKEN),
    ("account number", Hints::REFERENCE),
    ("acct pin", Hints::PIN),
    ("addr", Hints::STREET),
    ("address", Hints::STREET),
    ("addresses", Hints::STREET),
    ("allergies", Hints::HEALTH),
    ("allergy", Hints::HEALTH),
    ("api key", Hints::TOKEN),
    ("api token", Hints::TOKEN),
    ("article", Hints::REFERENCE),
    ("asset", Hints::REFERENCE),
    ("auth token", Hints::TOKEN),
    ("barcode", Hints::REFERENCE),
    ("batch", Hints::REFERENCE),
    ("bearer token", Hints::TOKEN),
    ("birth", Hints::BIRTH),
    ("birth date", Hints::BIRTH),
    ("birthday", Hints::BIRTH),
    ("blood group", Hints::BLOOD),
    ("blood type", Hints::BLOOD),
    ("born", Hints::BIRTH),
    ("bsn", Hints::NATIONAL_ID),
    ("building", Hints::NO_HOME),
    ("card", Hints::CARD),
    ("card no", Hints::CARD),
    ("card num", Hints::CARD),
    ("card number", Hints::CARD),
    ("case", Hints::REFERENCE),
    ("cc", Hints::CARD),
    ("cc no", Hints::CARD),
    ("cc num", Hints::CARD),
    ("cc number", Hints::CARD),
    ("cell", Hints::PHONE),
    ("cell phone", Hints::PHONE),
    ("citizen id", Hints::NATIONAL_ID),
    ("city", Hints::CITY),
    ("client secret", Hints::PASSWORD),
    ("code", Hints::REFERENCE),
    ("codice fiscale", Hints::NATIONAL_ID),
    ("contact number", Hints::PHONE),
    ("contract", Hints::NO_HOME),
    ("coord", Hints(Hints::LONGITUDE.0 | Hints::POSITION.0)),
    ("coordinate", Hints(Hints::LONGITUDE.0 | Hints::POSITION.0)),
    ("cpf", Hints::NATIONAL_ID),
    ("credit card", Hints::CARD),
    ("credit card number", Hints::CARD),
    ("cvc", Hints::PIN),
    ("cvv", Hints::PIN),
    ("date of birth", Hints::BIRTH),
    ("debit card", Hints::CARD),
    ("diagnoses", Hints::HEALTH),
    ("diagnosis", Hints::HEALTH),
    ("diagnosis code", Hints::ICD),
    ("digest", Hints::REFERENCE),
    ("disability", Hints::HEALTH),
    ("disease", Hints::HEALTH),
    ("dni", Hints::NATIONAL_ID),
    ("dob", Hints::BIRTH),
    ("email address", Hints::NO_HOME),
    ("fax", Hints::PHONE),
    ("fiscal code", Hints::NATIONAL_ID),
    ("geo", Hints::POSITION),
    ("gps", Hints::POSITION),
    ("health condition", Hints::HEALTH),
    ("hiv status", Hints::HEALTH),
    ("home phone", Hints::PHONE),
    ("icd", Hints::ICD),
    ("icd code", Hints::ICD),
    ("id card", Hints::NATIONAL_ID),
    ("id number", Hints::NATIONAL_ID),
    ("id token", Hints::TOKEN),
    ("identity number", Hints::NATIONAL_ID),
    ("immunization", Hints::HEALTH),
    ("insee", Hints::NATIONAL_ID),
    ("invoice", Hints::REFERENCE),
    ("ip", Hints::NO_HOME),
    ("isbn", Hints::REFERENCE),
    ("item", Hints::REFERENCE),
    ("lat", Hints::LATITUDE),
    ("lat lng", Hints::POSITION),
    ("lat lon", Hints::POSITION),
    ("lat long", Hints::POSITION),
    ("latitude", Hints::LATITUDE),
    ("lng", Hints::LONGITUDE),
    ("location", Hints::POSITION),
    ("lon", Hints::LONGITUDE),
    ("longitude", Hints::LONGITUDE),
    ("lot", Hints::REFERENCE),
    ("mac", Hints::NO_HOME),
    ("medical condition", Hints::HEALTH),
    ("medical history", Hints::HEALTH),
    ("medication", Hints::HEALTH),
    ("memory", Hints::NO_HOME),
    ("message id", Hints::REFERENCE),
    ("mobile", Hints::PHONE),
    ("mobile number", Hints::PHONE),
    ("mobile phone", Hints::PHONE),
    ("model", Hints::REFERENCE),
    ("msisdn", Hints::PHONE),
    ("national id", Hints::NATIONAL_ID),
    ("national insurance", Hints::NATIONAL_ID),
    ("national insurance number", Hints::NATIONAL_ID),
    ("nie", Hints::NATIONAL_ID),
    ("nif", Hints::NATIONAL_ID),
    ("nino", Hints::NATIONAL_ID),
    ("nir", Hints::NATIONAL_ID),
    ("order", Hints::REFERENCE),
    ("pan", Hints::CARD),
    ("parcel", Hints::REFERENCE),
    ("part", Hints::REFERENCE),
    ("passcode", Hints::PASSWORD),
    ("passphrase", Hints::PASSWORD),
    ("passport", Hints::PASSPORT),
    ("passport no", Hints::PASSPORT),
    ("passport number", Hints::PASSPORT),
    ("passwd", Hints::PASSWORD),
    ("password", Hints::PASSWORD),
    ("personal id", Hints::NATIONAL_ID),
    ("personal number", Hints::NATIONAL_ID),
    ("personnummer", Hints::NATIONAL_ID),
    ("pesel", Hints::NATIONAL_ID),
    ("phone", Hints::PHONE),
    ("phone no", Hints::PHONE),
    ("phone number", Hints::PHONE),
    ("pin", Hints::PIN),
    ("pin code", Hints::PIN),
    ("post code", Hints::POSTCODE),
    ("postal code", Hints::POSTCODE),
    ("prescription", Hints::HEALTH),
    ("private key", Hints::TOKEN),
    ("product", Hints::REFERENCE),
    ("pwd", Hints::PASSWORD),
    ("ref", Hints::REFERENCE),
    ("reference", Hints::REFERENCE),
    ("refresh token", Hints::TOKEN),
    ("secret", Hints::PASSWORD),
    ("secret key", Hints(Hints::TOKEN.0 | Hints::PASSWORD.0)),
    ("serial", Hints::REFERENCE),
    ("session token", Hints::TOKEN),
    ("sku", Hints::REFERENCE),
    ("social security", Hints::SSN),
    ("ssn", Hints::SSN),
    ("street", Hints::STREET),
    ("symptom", Hints::HEALTH),
    ("tax id", Hints::NATIONAL_ID),
    ("tel", Hints::PHONE),
    ("telephone", Hints::PHONE),
    ("ticket", Hints::REFERENCE),
    ("town", Hints::CITY),
    ("tracking", Hints::REFERENCE),
    ("transaction", Hints::REFERENCE),
    ("vaccination", Hints::HEALTH),
    ("version", Hints::REFERENCE),
    ("wallet", Hints::NO_HOME),
    ("whatsapp", Hints::PHONE),
    ("zip", Hints::POSTCODE),
    ("zip code", Hints::POSTCODE),
];
