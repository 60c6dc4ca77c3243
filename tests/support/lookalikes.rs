//! What looks like sensitive data and is none: order numbers, timestamps, ids, versions, prices,
//! digests, names of products; and for each class what is nearly of it.

use super::people::{ALNUM, CAPITALS, HEX, Pair, Rng, URL, account, card_digits, grouped, iban_of};

/// Of no class.
pub(crate) fn general(r: &mut Rng) -> Pair {
    let now = r.between(1_600_000_000, 1_800_000_000);
    let (name, value) = match r.below(22) {
        0 => (r.word("orderNumber order_id invoice_no id"), r.digits(16)),
        1 => (r.word("created_at timestamp ts expires"), now.to_string()),
        2 => (r.word("updatedAt time ms"), format!("{now}{}", r.digits(3))),
        3 => (r.word("id uuid request_id traceId"), uuid(r)),
        4 => (r.word("sha256 digest etag checksum"), r.text(HEX, 64)),
        5 => (r.word("commit sha version"), r.text(HEX, 40)),
        6 => (r.word("version release build"), version(r)),
        7 => (
            r.word("price total amount balance"),
            format!("{}.{:02}", r.below(9_999), r.below(100)),
        ),
        8 => (
            r.word("latency duration_ms elapsed cpu_load"),
            format!("{}.{}", r.below(90), r.digits(5)),
        ),
        9 => (
            r.word("sku part_number serial model"),
            format!("{}-{}-{}", r.digits(3), r.digits(2), r.digits(4)),
        ),
        10 => (r.word("product title name label"), product(r)),
        11 => (
            r.word("ip client_ip host addr"),
            format!(
                "{}.{}.{}.{}",
                r.below(256),
                r.below(256),
                r.below(256),
                r.below(256)
            ),
        ),
        12 => (
            r.word("date created released_on"),
            format!(
                "20{:02}-{:02}-{:02}",
                r.below(27),
                r.between(1, 12),
                r.between(1, 28)
            ),
        ),
        13 => (
            r.word("status state kind city_code"),
            r.word("PENDING PAID OPEN done eu-west-1 NYC").into(),
        ),
        14 => (r.word("cursor next_page etag nonce"), r.text(URL, 32)),
        15 => (r.word("tracking_number parcel barcode isbn"), r.digits(13)),
        16 => (
            r.word("count total size user_count phone_count"),
            r.below(99_999_999).to_string(),
        ),
        17 => (
            r.word("phone_id mobile_app_id account_number"),
            r.digits(10),
        ),
        18 => (
            r.word("url href image avatar"),
            format!("https://cdn.example.com/{}/a@2x.png", r.text(HEX, 8)),
        ),
        19 => (
            r.word("mac mac_address device"),
            (0..6).map(|_| r.text(HEX, 2)).collect::<Vec<_>>().join(":"),
        ),
        20 => (
            r.word("message description comment"),
            r.word("Hello, thanks,-see-you-soon Order-17-was-sent")
                .replace('-', " "),
        ),
        _ => (r.word("user_id tenant external_id x"), r.digits(12)),
    };
    (name.into(), value)
}

fn uuid(r: &mut Rng) -> String {
    let parts = [8, 4, 4, 4, 12].map(|len| r.text(HEX, len));
    parts.join("-")
}

fn version(r: &mut Rng) -> String {
    format!("{}.{}.{}", r.below(30), r.below(30), r.below(30))
}

fn product(r: &mut Rng) -> String {
    let n = r.below(99);
    match r.below(5) {
        0 => format!("Phone {n} Pro"),
        1 => format!("Street Racer {n}"),
        2 => format!("Card Holder {n}"),
        3 => format!("Password Manager {n}"),
        _ => format!("{} Health Bar {n}", r.text(CAPITALS, 3)),
    }
}

/// Nearly of that class.
pub(crate) fn near(class: &str, r: &mut Rng) -> Pair {
    let (name, value): (&str, String) = match class {
        "pii:email" => mail(r),
        "pii:phone" => phone(r),
        "pii:card" => card(r),
        "pii:iban" => iban(r),
        "pii:national-id" => id(r),
        "pii:birth-date" => date(r),
        "pii:address" => address(r),
        "pii:geo" => position(r),
        "pii:health" => health(r),
        "secret:password" => password(r),
        "secret:private-key" => key(r),
        "secret:token" => token(r),
        "secret:jwt" => jwt(r),
        other => panic!("no look-alikes of {other}"),
    };
    (name.into(), value)
}

fn mail(r: &mut Rng) -> (&'static str, String) {
    let word = r.word("logo icon hero left-pad core");
    match r.below(7) {
        0 => ("image", format!("{word}@{}x.png", r.between(2, 4))),
        1 => ("package", format!("{word}@{}", version(r))),
        2 => ("handle", format!("@{word}{}", r.below(99))),
        3 => ("scope", format!("@{word}/{word}")),
        4 => ("email_verified", r.word("true false pending").into()),
        5 => ("user", format!("{word}@localhost")),
        _ => (
            "message_id",
            format!("{}@mail.example.com", r.text(HEX, 16)),
        ),
    }
}

fn phone(r: &mut Rng) -> (&'static str, String) {
    match r.below(8) {
        0 => ("id", r.digits(10)),
        1 => ("phone_id", r.digits(11)),
        2 => ("phoneModel", r.digits(7)),
        3 => ("offset", format!("+{:02}00", r.below(13))),
        4 => ("delta", format!("+{}.{}", r.below(999), r.digits(8))),
        5 => (
            "order",
            format!("{}-{}-{}", r.digits(3), r.digits(3), r.digits(4)),
        ),
        6 => (
            "phone_verified_at",
            r.between(1_600_000_000, 1_800_000_000).to_string(),
        ),
        _ => ("change", format!("+{}", r.below(999_999))),
    }
}

fn card(r: &mut Rng) -> (&'static str, String) {
    let digits = card_digits(r);
    let mut wrong: Vec<char> = digits.chars().collect();
    let last = wrong.last_mut().unwrap();
    *last = char::from_digit(
        (last.to_digit(10).unwrap() + 1 + r.below(9) as u32) % 10,
        10,
    )
    .unwrap();
    let wrong: String = wrong.into_iter().collect();
    match r.below(7) {
        0 => ("order_number", digits),
        1 => ("reference", grouped(&digits, "-")),
        2 => ("card_number", wrong),
        3 => ("text", grouped(&wrong, " ")),
        4 => ("id", format!("4{}", r.digits(15))),
        5 => (
            "card_number",
            format!("{}******{}", &digits[..6], &digits[digits.len() - 4..]),
        ),
        _ => ("card_id", digits),
    }
}

fn iban(r: &mut Rng) -> (&'static str, String) {
    let (country, account) = account(r);
    let right = iban_of(country, &account);
    let check: u64 = right[2..4].parse().unwrap();
    // Any other remainder of 97 is wrong.
    let wrong = (check + r.between(1, 96) - 2) % 97 + 2;
    match r.below(4) {
        0 | 1 => ("iban", format!("{country}{wrong:02}{account}")),
        2 => ("vat_id", format!("DE{}", r.digits(9))),
        _ => (
            "container",
            format!("{}{}", r.text(CAPITALS, 4), r.digits(18)),
        ),
    }
}

fn id(r: &mut Rng) -> (&'static str, String) {
    match r.below(7) {
        0 => (
            "part_number",
            format!("{}-{}-{}", r.digits(3), r.digits(2), r.digits(4)),
        ),
        1 => (
            "ssn",
            format!(
                "{}-{}-{}",
                r.one_of(&["000", "666", "987"]),
                r.between(10, 99),
                r.digits(4)
            ),
        ),
        2 => ("code", r.digits(9)),
        3 => (
            "document",
            format!("{}{}", r.digits(8), r.text(CAPITALS, 1)),
        ),
        4 => ("national_id_type", r.word("passport dni id-card").into()),
        5 => ("batch", format!("{}-{}", r.digits(6), r.digits(4))),
        _ => ("account", r.digits(11)),
    }
}

fn date(r: &mut Rng) -> (&'static str, String) {
    let (y, m, d) = (r.between(1_950, 2_020), r.between(1, 12), r.between(1, 28));
    match r.below(5) {
        0 => ("created", format!("{y}-{m:02}-{d:02}")),
        1 => ("released", format!("{y}{m:02}{d:02}")),
        2 => ("birthday_count", r.digits(8)),
        3 => ("dob", format!("{y}-{:02}-{d:02}", r.between(13, 40))),
        _ => ("birth_place", r.word("Berlin Paris Rome").into()),
    }
}

fn address(r: &mut Rng) -> (&'static str, String) {
    match r.below(9) {
        0 => (
            "ip_address",
            format!("10.{}.{}.{}", r.below(256), r.below(256), r.below(256)),
        ),
        1 => ("wallet_address", format!("0x{}", r.text(HEX, 40))),
        2 => ("address", format!("0x{}", r.text(HEX, 8))),
        3 => ("city_id", r.digits(5)),
        4 => ("zip", format!("{}.zip", r.word("backup logs data"))),
        5 => ("title", format!("{} Main Street Blues", r.below(90))),
        6 => ("email_address", "Ann Lee 7".into()),
        7 => ("code", r.digits(5)),
        _ => ("street_view", r.word("true false on").into()),
    }
}

fn position(r: &mut Rng) -> (&'static str, String) {
    match r.below(7) {
        0 => ("latency", format!("{}.{}", r.below(90), r.digits(5))),
        1 => ("lat_ms", format!("{}.{}", r.below(90), r.digits(5))),
        2 => (
            "location",
            r.word("/v1/orders/7 warehouse-4 us-east-1").into(),
        ),
        3 => ("longest", format!("{}.{}", r.below(90), r.digits(3))),
        4 => ("lat", format!("{}.{}", r.between(91, 999), r.digits(3))),
        5 => (
            "range",
            format!(
                "{}.{},{}.{}",
                r.below(9),
                r.digits(3),
                r.below(9),
                r.digits(3)
            ),
        ),
        _ => ("lon", r.below(180).to_string()),
    }
}

fn health(r: &mut Rng) -> (&'static str, String) {
    match r.below(7) {
        0 => ("health", r.word("ok green degraded healthy").into()),
        1 => (
            "diagnostics",
            r.word("enabled verbose connection-lost").into(),
        ),
        2 => ("diagnosis", r.word("none unknown null n/a true").into()),
        3 => ("grade", r.word("A+ B- AB O+").into()),
        4 => ("seat", format!("{}{}", r.text(CAPITALS, 1), r.digits(2))),
        5 => ("icd_version", "10.2".into()),
        _ => ("treatment", r.word("control variant-b holdout").into()),
    }
}

fn password(r: &mut Rng) -> (&'static str, String) {
    match r.below(8) {
        0 => ("password_updated_at", r.digits(10)),
        1 => ("password_policy", "at least 8 characters".into()),
        2 => ("password", r.word("******** [REDACTED] true null").into()),
        3 => ("passwordless", r.text(ALNUM, 10)),
        4 => ("has_password", r.word("true false").into()),
        5 => ("pin", r.word("red left 52.1,13.4").into()),
        6 => ("secret_name", r.word("prod-db tls-cert").into()),
        _ => ("compass", r.text(ALNUM, 12)),
    }
}

fn key(r: &mut Rng) -> (&'static str, String) {
    let label = r.one_of(&[
        "PUBLIC KEY",
        "CERTIFICATE",
        "RSA PUBLIC KEY",
        "CERTIFICATE REQUEST",
    ]);
    match r.below(3) {
        0 | 1 => {
            let body = r.text(ALNUM, 64);
            (
                "pem",
                format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"),
            )
        }
        _ => ("private_key", format!("vault:secret/{}", r.text(HEX, 8))),
    }
}

fn token(r: &mut Rng) -> (&'static str, String) {
    match r.below(8) {
        0 => ("key", format!("AKIA{}", r.text(CAPITALS, 9))),
        1 => ("x", format!("ghp_{}", r.text(ALNUM, 20))),
        2 => (
            "package",
            "sk-learn-contrib-for-everybody-who-learns".into(),
        ),
        3 => ("next_page_token", r.text(URL, 40)),
        4 => ("value", format!("pk_live_{}", r.text(ALNUM, 24))),
        5 => (
            "access_token",
            r.word("bearer refresh none xxxxxxxxxxxxxxxxxxxx").into(),
        ),
        6 => ("sha", r.text(HEX, 40)),
        _ => ("token_type", r.word("Bearer bearer mac").into()),
    }
}

fn jwt(r: &mut Rng) -> (&'static str, String) {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
    match r.below(4) {
        0 => (
            "host",
            format!("{}.{}.{}", r.text(HEX, 12), r.text(HEX, 12), "example"),
        ),
        1 => (
            "cursor",
            B64.encode(format!(r#"{{"after":{}}}"#, r.digits(12))),
        ),
        2 => {
            let page = B64.encode(format!(r#"{{"page":{}}}"#, r.digits(4)));
            ("cursor", format!("{page}.{page}.{}", r.text(URL, 43)))
        }
        _ => (
            "token",
            format!(
                "eyJ{}.{}.{}",
                r.text(URL, 20),
                r.text(URL, 30),
                r.text(URL, 43)
            ),
        ),
    }
}
