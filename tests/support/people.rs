//! Values of people that never were, a generator for each class of sensitive data. Checksums are
//! made by tables and long division, which is not how the classifier looks at them.

/// SplitMix64.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    pub(crate) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// Space-separated words, of which one.
    pub(crate) fn word(&mut self, of: &'static str) -> &'static str {
        let words: Vec<_> = of.split(' ').collect();
        self.one_of(&words)
    }

    pub(crate) fn text(&mut self, alphabet: &str, len: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..len).map(|_| self.one_of(&letters)).collect()
    }

    pub(crate) fn digits(&mut self, len: usize) -> String {
        self.text(DIGITS, len)
    }
}

pub(crate) const DIGITS: &str = "0123456789";
pub(crate) const HEX: &str = "0123456789abcdef";
pub(crate) const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub(crate) const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
pub(crate) const URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A field's name and its value.
pub(crate) type Pair = (String, String);

pub(crate) const CLASSES: [&str; 13] = [
    "pii:email",
    "pii:phone",
    "pii:card",
    "pii:iban",
    "pii:national-id",
    "pii:birth-date",
    "pii:address",
    "pii:geo",
    "pii:health",
    "secret:password",
    "secret:private-key",
    "secret:token",
    "secret:jwt",
];

pub(crate) fn of(class: &str, r: &mut Rng) -> Pair {
    match class {
        "pii:email" => email(r),
        "pii:phone" => phone(r),
        "pii:card" => card(r),
        "pii:iban" => iban(r),
        "pii:national-id" => national_id(r),
        "pii:birth-date" => birth_date(r),
        "pii:address" => address(r),
        "pii:geo" => position(r),
        "pii:health" => health(r),
        "secret:password" => password(r),
        "secret:private-key" => private_key(r),
        "secret:token" => token(r),
        "secret:jwt" => jwt(r),
        other => panic!("no generator of {other}"),
    }
}

fn email(r: &mut Rng) -> Pair {
    let first = r.word("ann bob Maria li jörg o'neil x jean-paul user");
    let first = first.replace('ö', "oe");
    let joint = r.word(". _ - + %");
    let local = match r.below(3) {
        0 => first,
        1 => format!("{first}{}", r.below(9_999)),
        _ => format!("{first}{joint}{}", r.word("lee smith news work shop")),
    };
    let host = r.word("example mail corp-4 uni.dept x1 sub.domain");
    let tld = r.word("com org de co.uk io museum xn--p1ai travel example");
    let name = r.word("email mail user contactEmail to login x recipients reply_to owner");
    (name.into(), format!("{local}@{host}.{tld}"))
}

fn phone(r: &mut Rng) -> Pair {
    let hinted =
        r.word("phone phoneNumber mobile tel contact_phone home-phone fax msisdn cellPhone");
    let area = format!(
        "{}{}",
        r.between(2, 9),
        r.one_of(&["02", "15", "47", "86", "08"])
    );
    let exchange = format!("{}{}", r.between(2, 9), r.one_of(&["55", "23", "90", "47"]));
    let line = r.digits(4);
    let european = [
        ("49", 10),
        ("44", 10),
        ("33", 9),
        ("34", 9),
        ("31", 9),
        ("46", 9),
        ("48", 9),
    ];
    match r.below(7) {
        0 => (
            r.word("x to n contact").into(),
            format!("+1{area}{exchange}{line}"),
        ),
        1 => (hinted.into(), format!("+1 ({area}) {exchange}-{line}")),
        2 => (hinted.into(), format!("({area}) {exchange}-{line}")),
        3 => (
            hinted.into(),
            format!("{area}{}{exchange}.{line}", r.one_of(&[".", ". "])),
        ),
        4 => {
            let (code, len) = r.one_of(&european);
            let rest = format!("{}{}", r.between(1, 9), r.digits(len - 1));
            (
                r.word("x to caller number").into(),
                format!("+{code}{rest}"),
            )
        }
        5 => {
            let (code, _) = r.one_of(&european);
            let rest = format!(
                "{} {} {}",
                r.between(20, 99),
                r.between(100, 999),
                r.digits(4)
            );
            (hinted.into(), format!("+{code} {rest}"))
        }
        _ => (
            hinted.into(),
            format!("0{} {}", r.between(20, 999), r.between(100_000, 9_999_999)),
        ),
    }
}

/// The digit behind, by the table of doubled digits.
pub(crate) fn luhn_digit(digits: &str) -> char {
    const DOUBLED: [u32; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    let mut sum = 0;
    for (i, c) in digits.chars().rev().enumerate() {
        let d = c.to_digit(10).unwrap();
        sum += if i % 2 == 0 { DOUBLED[d as usize] } else { d };
    }
    char::from_digit((10 - sum % 10) % 10, 10).unwrap()
}

/// Issuers' ranges: Visa, Mastercard old and new, Discover, JCB, UnionPay; American Express has 15.
pub(crate) fn card_digits(r: &mut Rng) -> String {
    let (begin, len) = match r.below(7) {
        0 | 1 => ("4".to_owned(), 16),
        2 => (r.between(51, 55).to_string(), 16),
        3 => (r.between(2_221, 2_720).to_string(), 16),
        4 => (r.one_of(&["34", "37"]).to_owned(), 15),
        5 => (r.one_of(&["6011", "65", "3530"]).to_owned(), 16),
        _ => ("62".to_owned(), 16),
    };
    let body = format!("{begin}{}", r.digits(len - 1 - begin.len()));
    let check = luhn_digit(&body);
    format!("{body}{check}")
}

pub(crate) fn grouped(digits: &str, separator: &str) -> String {
    let places: &[usize] = if digits.len() == 15 {
        &[4, 10]
    } else {
        &[4, 8, 12]
    };
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if places.contains(&i) {
            out.push_str(separator);
        }
        out.push(c);
    }
    out
}

fn card(r: &mut Rng) -> Pair {
    let digits = card_digits(r);
    let hinted =
        r.word("card cardNumber card_number pan ccNumber credit-card creditCardNumber cc_num");
    match r.below(3) {
        0 => (hinted.into(), digits),
        1 => (hinted.into(), grouped(&digits, " ")),
        _ => (
            r.word("n text payment method").into(),
            grouped(&digits, r.one_of(&["-", " "])),
        ),
    }
}

/// By long division of the decimal text, digit for digit.
fn remainder_97(account: &str) -> u32 {
    let decimal: String = account
        .chars()
        .map(|c| c.to_digit(36).unwrap().to_string())
        .collect();
    decimal
        .chars()
        .fold(0, |rest, c| (rest * 10 + c.to_digit(10).unwrap()) % 97)
}

pub(crate) fn iban_of(country: &str, account: &str) -> String {
    let check = 98 - remainder_97(&format!("{account}{country}00"));
    format!("{country}{check:02}{account}")
}

pub(crate) fn account(r: &mut Rng) -> (&'static str, String) {
    match r.below(7) {
        0 => ("DE", r.digits(18)),
        1 => ("GB", r.text(CAPITALS, 4) + &r.digits(14)),
        2 => ("NL", r.text(CAPITALS, 4) + &r.digits(10)),
        3 => (
            "FR",
            r.digits(10) + &r.text("ABC0123456789", 11) + &r.digits(2),
        ),
        4 => ("ES", r.digits(20)),
        5 => ("NO", r.digits(11)),
        _ => ("PL", r.digits(24)),
    }
}

fn iban(r: &mut Rng) -> Pair {
    let (country, account) = account(r);
    let plain = iban_of(country, &account);
    let fours: Vec<&str> = (0..plain.len().div_ceil(4))
        .map(|i| &plain[i * 4..plain.len().min(i * 4 + 4)])
        .collect();
    let value = if r.below(3) == 0 {
        fours.join(" ")
    } else {
        plain
    };
    (r.word("iban account x payee bankAccount").into(), value)
}

/// The tables as Verhoeff gave them.
fn verhoeff_digit(digits: &str) -> char {
    const D: [&str; 10] = [
        "0123456789",
        "1234067895",
        "2340178956",
        "3401289567",
        "4012395678",
        "5987604321",
        "6598710432",
        "7659821043",
        "8765932104",
        "9876543210",
    ];
    const P: [&str; 8] = [
        "0123456789",
        "1576283094",
        "5803796142",
        "8916043527",
        "9453126870",
        "4286573901",
        "2793806415",
        "7046913258",
    ];
    const INVERSE: &str = "0432156789";
    let at = |table: &str, i: usize| table[i..=i].parse::<usize>().unwrap();
    let mut c = 0;
    for (i, digit) in digits.chars().rev().enumerate() {
        c = at(
            D[c],
            at(P[(i + 1) % 8], digit.to_digit(10).unwrap() as usize),
        );
    }
    INVERSE.as_bytes()[c] as char
}

fn day_of_birth(r: &mut Rng) -> (u64, u64, u64) {
    (r.between(1_930, 2_012), r.between(1, 12), r.between(1, 28))
}

fn national_id(r: &mut Rng) -> Pair {
    let (y, m, d) = day_of_birth(r);
    let digit = |c: char| u64::from(c.to_digit(10).unwrap());
    match r.below(9) {
        0 | 1 => {
            let area = r.one_of(&[r.0 % 600 + 1, 667 + r.0 % 200]);
            let (group, serial) = (r.between(1, 99), r.between(1, 9_999));
            let dashed = format!("{area:03}-{group:02}-{serial:04}");
            match r.below(2) {
                0 => (r.word("x text note").into(), dashed),
                _ => (
                    r.word("ssn userSSN socialSecurityNumber").into(),
                    dashed.replace('-', ""),
                ),
            }
        }
        2 => {
            let n = r.below(100_000_000);
            let letter = &"TRWAGMYFPDXBNJZSQVHLCKE"[(n % 23) as usize..][..1];
            (
                r.word("dni nif national_id").into(),
                format!("{n:08}{letter}"),
            )
        }
        3 => {
            let mut cpf = r.digits(9);
            for _ in 0..2 {
                let sum: u64 = cpf.chars().rev().zip(2..).map(|(c, w)| digit(c) * w).sum();
                let check = if sum % 11 < 2 { 0 } else { 11 - sum % 11 };
                cpf += &check.to_string();
            }
            let (a, b, c, k) = (&cpf[..3], &cpf[3..6], &cpf[6..9], &cpf[9..]);
            match r.below(2) {
                0 => ("document".into(), format!("{a}.{b}.{c}-{k}")),
                _ => ("cpf".into(), cpf),
            }
        }
        4 => {
            let body = format!("{}{}", r.between(2, 9), r.digits(10));
            let value = format!("{body}{}", verhoeff_digit(&body));
            let spaced = format!("{} {} {}", &value[..4], &value[4..8], &value[8..]);
            (
                r.word("aadhaar aadhaarNumber").into(),
                r.one_of(&[&*value, &*spaced]).into(),
            )
        }
        5 => {
            let prefix = r.text("ABCEGHJKLMNPRSTWXYZ", 1) + &r.text("ACEHJLMPRSWXY", 1);
            let value = format!("{prefix}{}{}", r.digits(6), r.text("ABCD", 1));
            (r.word("nino nationalInsuranceNumber").into(), value)
        }
        6 => {
            let body = format!("{:02}{m:02}{d:02}{}", y % 100, r.digits(3));
            let value = format!("{}-{}{}", &body[..6], &body[6..], luhn_digit(&body));
            (r.word("personnummer personal_number").into(), value)
        }
        7 => {
            let month = m + if y >= 2_000 { 20 } else { 0 };
            let body = format!("{:02}{month:02}{d:02}{}", y % 100, r.digits(4));
            let sum: u64 = body
                .chars()
                .zip("1379137913".chars())
                .map(|(c, w)| digit(c) * digit(w))
                .sum();
            ("pesel".into(), format!("{body}{}", (10 - sum % 10) % 10))
        }
        _ => loop {
            let body = format!("{}{}", r.between(1, 9), r.digits(7));
            let sum: u64 = body
                .chars()
                .zip((2..=9).rev())
                .map(|(c, w)| digit(c) * w)
                .sum();
            if sum % 11 < 10 {
                break ("bsn".into(), format!("{body}{}", sum % 11));
            }
        },
    }
}

fn birth_date(r: &mut Rng) -> Pair {
    let (y, m, d) = day_of_birth(r);
    let name =
        r.word("dob birthDate birth_date dateOfBirth date_of_birth birthday user_birthdate born");
    let value = match r.below(6) {
        0 | 1 => format!("{y}-{m:02}-{d:02}"),
        2 => format!("{d:02}.{m:02}.{y}"),
        3 => format!("{m}/{d}/{y}"),
        4 => format!("{y}{m:02}{d:02}"),
        _ => format!("{y}-{m:02}-{d:02}T00:00:00Z"),
    };
    (name.into(), value)
}

fn address(r: &mut Rng) -> Pair {
    let n = r.between(1, 400);
    match r.below(4) {
        0 | 1 => {
            let street = r.one_of(&[
                "Main Street",
                "Oak Ave",
                "Rue de la Paix",
                "Unter den Linden",
                "Calle Mayor",
                "Älvsborgsgatan",
                "St. John's Rd",
            ]);
            let name = r.word("street streetAddress address_line_1 addressLine1 address home_address shippingAddress");
            let (front, back) = (format!("{n} {street}"), format!("{street} {n}"));
            let flat = format!("{n} {street}, Apt {}", r.between(1, 20));
            (name.into(), r.one_of(&[&*front, &*back, &*flat]).into())
        }
        2 => {
            let code = match r.below(4) {
                0 => format!("{:05}", r.between(501, 99_950)),
                1 => format!("{:05}-{}", r.between(501, 99_950), r.digits(4)),
                2 => format!(
                    "{}{} {}{}",
                    r.word("SW E M LS"),
                    r.between(1, 20),
                    r.between(1, 9),
                    r.text("ABDEFGH", 2)
                ),
                _ => format!("{} {}", r.digits(4), r.text("ABCD", 2)),
            };
            (
                r.word("zip zipCode postal_code postcode postalCode").into(),
                code,
            )
        }
        _ => {
            let city = r.one_of(&[
                "Berlin",
                "New York",
                "São Paulo",
                "Aix-en-Provence",
                "St. Louis",
                "東京",
                "Winston-Salem",
                "L'Aquila",
                "Zürich",
            ]);
            (r.word("city town billingCity").into(), city.into())
        }
    }
}

fn position(r: &mut Rng) -> Pair {
    let places = r.between(3, 7) as usize;
    let mut degrees = |most: u64| {
        let sign = r.word(" -").trim().to_owned();
        let sign = if r.below(2) == 0 { String::new() } else { sign };
        format!(
            "{sign}{}.{}{}",
            r.below(most),
            r.digits(places - 1),
            r.between(1, 9)
        )
    };
    let (lat, lon) = (degrees(90), degrees(180));
    match r.below(4) {
        0 => (r.word("lat latitude geoLat home_latitude").into(), lat),
        1 => (r.word("lng lon longitude geo_lon").into(), lon),
        2 => (
            r.word("location coordinates latlng geo").into(),
            format!("{lat},{lon}"),
        ),
        _ => ("x".into(), format!("geo:{lat},{lon}")),
    }
}

fn health(r: &mut Rng) -> Pair {
    match r.below(3) {
        0 => {
            let code = format!(
                "{}{}{}",
                r.text("ABCEFGJKM", 1),
                r.digits(2),
                r.word(" .1 .9 .01")
            );
            (
                r.word("icd10 icd_code diagnosisCode diagnosis").into(),
                code,
            )
        }
        1 => {
            let group = r.word("A+ A- B+ AB- O+ 0- O_POS");
            (r.word("bloodType blood_group").into(), group.into())
        }
        _ => {
            let said = r.one_of(&[
                "Type 2 diabetes",
                "asthma",
                "penicillin",
                "Metformin 500 mg",
                "hypertension, mild",
                "Depression",
                "broken left arm",
                "Allergie gegen Nüsse",
            ]);
            let name = r.word(
                "diagnosis medication allergies medicalHistory disease prescription symptoms",
            );
            (name.into(), said.into())
        }
    }
}

fn password(r: &mut Rng) -> Pair {
    let name =
        r.word("password passwd pwd newPassword user_password passphrase client_secret secret");
    let len = r.between(8, 20) as usize;
    match r.below(5) {
        0 => (
            r.word("pin cvv card_pin cvc").into(),
            format!("{:03}", r.between(0, 999)),
        ),
        1 => (
            name.into(),
            r.word("hunter2 letmein qwerty iloveyou monkey dragon1 passw0rd")
                .into(),
        ),
        2 => (name.into(), r.text("abcdefgh!$%&?XYZ0189 ", len)),
        3 => (name.into(), "correct horse battery staple".into()),
        _ => (name.into(), r.text(ALNUM, len)),
    }
}

fn private_key(r: &mut Rng) -> Pair {
    let kind = r.one_of(&["RSA ", "EC ", "", "OPENSSH ", "ENCRYPTED ", "DSA "]);
    let lines: Vec<String> = (0..r.between(3, 26)).map(|_| r.text(ALNUM, 64)).collect();
    let (label, body) = (format!("{kind}PRIVATE KEY"), lines.join("\n"));
    let key = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    (r.word("key private_key pem tls x").into(), key)
}

fn token(r: &mut Rng) -> Pair {
    let value = match r.below(12) {
        0 => format!(
            "{}{}",
            r.word("AKIA ASIA"),
            r.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)
        ),
        1 => format!("{}_{}", r.word("ghp gho ghs ghu"), r.text(ALNUM, 36)),
        2 => format!("github_pat_{}_{}", r.text(ALNUM, 22), r.text(ALNUM, 59)),
        3 => format!("glpat-{}", r.text(URL, 20)),
        4 => format!(
            "xoxb-{}-{}-{}",
            r.digits(12),
            r.digits(13),
            r.text(ALNUM, 24)
        ),
        5 => format!("AIza{}", r.text(URL, 35)),
        6 => format!("{}_live_{}", r.word("sk rk"), r.text(ALNUM, 24)),
        7 => format!("SG.{}.{}", r.text(URL, 22), r.text(URL, 43)),
        8 => format!("npm_{}", r.text(ALNUM, 36)),
        9 => format!("dop_v1_{}", r.text(HEX, 64)),
        10 => format!("shpat_{}", r.text(HEX, 32)),
        _ => {
            let len = r.between(24, 64) as usize;
            let name = r.word("access_token refreshToken apiKey api-key sessionToken authToken");
            return (name.into(), r.text(ALNUM, len));
        }
    };
    (r.word("key value note config x").into(), value)
}

fn jwt(r: &mut Rng) -> Pair {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
    let algorithm = r.word("HS256 RS256 ES256 EdDSA none");
    let header = match r.below(3) {
        0 => format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#),
        1 => format!(
            r#"{{"typ":"JWT","kid":"{}","alg":"{algorithm}"}}"#,
            r.digits(6)
        ),
        _ => format!(r#"{{ "alg": "{algorithm}" }}"#),
    };
    let len = r.between(1, 600) as usize;
    let claims = format!(
        r#"{{"sub":"{}","x":"{}"}}"#,
        r.below(9_999),
        r.text(ALNUM, len)
    );
    let signature = if algorithm == "none" {
        String::new()
    } else {
        r.text(URL, 43)
    };
    let jwt = format!("{}.{}.{signature}", B64.encode(header), B64.encode(claims));
    let bearer = if r.below(4) == 0 { "Bearer " } else { "" };
    (
        r.word("token jwt id_token value authorization").into(),
        format!("{bearer}{jwt}"),
    )
}
