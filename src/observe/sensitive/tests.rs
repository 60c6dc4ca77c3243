use proptest::prelude::*;

use super::*;

fn names(name: &str, value: &str) -> Vec<&'static str> {
    classify(name, value).names().collect()
}

#[test]
fn values_that_prove_themselves_need_no_name() {
    for (value, class) in [
        ("ann.lee+x@mail.example.org", "pii:email"),
        ("+44 20 7946 0958", "pii:phone"),
        ("+14155552671", "pii:phone"),
        ("4111-1111-1111-1111", "pii:card"),
        ("3782 822463 10005", "pii:card"),
        ("DE89 3704 0044 0532 0130 00", "pii:iban"),
        ("GB82WEST12345698765432", "pii:iban"),
        ("078-05-1120", "pii:national-id"),
        ("529.982.247-25", "pii:national-id"),
        ("geo:52.5200,13.4050", "pii:geo"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
            "secret:private-key",
        ),
        (concat!("AKIA", "IOSFODNN7EXAMPLE"), "secret:token"),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
            "secret:jwt",
        ),
    ] {
        assert_eq!(names("x", value), [class], "{value}");
    }
}

#[test]
fn others_need_one() {
    for (name, value, class) in [
        ("phoneNumber", "(415) 555-2671", "pii:phone"),
        ("card_number", "4111111111111111", "pii:card"),
        ("userSSN", "078051120", "pii:national-id"),
        ("dni", "12345678Z", "pii:national-id"),
        ("aadhaar_number", "2345 6789 0124", "pii:national-id"),
        ("nino", "AB 12 34 56 C", "pii:national-id"),
        ("personnummer", "811218-9876", "pii:national-id"),
        ("pesel", "44051401359", "pii:national-id"),
        ("bsn", "111222333", "pii:national-id"),
        ("dateOfBirth", "1984-02-29", "pii:birth-date"),
        ("dob", "29.02.1984", "pii:birth-date"),
        ("addressLine1", "12 Main St", "pii:address"),
        ("postal-code", "SW1A 1AA", "pii:address"),
        ("lat", "52.5200", "pii:geo"),
        ("location", "52.52, 13.405", "pii:geo"),
        ("bloodType", "AB+", "pii:health"),
        ("icd10Code", "E11.9", "pii:health"),
        ("new_password", "hunter2", "secret:password"),
        ("cvv", "123", "secret:password"),
        ("access_token", "q8Zr-0bXk2LmN4pQ7tVy", "secret:token"),
    ] {
        assert_eq!(names(name, value), [class], "{name}");
        assert_eq!(names("note", value), Vec::<&str>::new(), "{value}");
    }
}

#[test]
fn names_are_read_as_words() {
    for (name, value) in [
        ("emailed_count", "17"),
        ("latency", "12.3456"),
        ("lat_ms", "12.3456"),
        ("phone_id", "4155552671"),
        ("phones_count", "4155552671"),
        ("password_policy", "strong and long"),
        ("is_password", "hunter2"),
        ("ip_address", "12 Main St"),
        ("spinning", "1234"),
        ("ordered_cards", "4111111111111112"),
        ("orderNumber", "4111-1111-1111-1111"),
    ] {
        assert_eq!(names(name, value), Vec::<&str>::new(), "{name}");
    }
    let parent = Hints::of("phones");
    assert!(Hints::of("*").within(parent) == parent | Hints::of("*"));
    assert!(Hints::of("name").within(parent) == Hints::of("name"));
}

#[test]
fn what_is_masked_is_nothing() {
    for value in ["********", "[REDACTED]", "null", "xxxx", "true"] {
        assert_eq!(names("password", value), Vec::<&str>::new(), "{value}");
    }
}

#[test]
fn a_mask_says_what_is_behind_it() {
    assert_eq!(names("x", "{secret:jwt:1f3a}"), ["secret:jwt"]);
    assert_eq!(names("x", "{secret:aws:1f3a}"), ["secret:token"]);
    assert_eq!(
        names("access_token", "{secret:value:1f3a}"),
        ["secret:token"]
    );
    assert_eq!(
        names("password", "{secret:value:1f3a}"),
        ["secret:password"]
    );
    assert_eq!(names("code", "{secret:value:1f3a}"), Vec::<&str>::new());
}

#[test]
fn what_is_cut_off_is_not_guessed() {
    let long = format!("+14155552671{}", " ".repeat(300) + "1");
    assert_eq!(names("phone", &long), Vec::<&str>::new());
    let header = "eyJhbGciOiJIUzI1NiJ9";
    let jwt = format!("{header}.{}.{}", "a".repeat(900), "b".repeat(43));
    assert_eq!(names("x", &jwt), ["secret:jwt"]);
}

proptest! {
    #[test]
    fn any_text_is_taken(name in "\\PC{0,80}", value in "\\PC{0,300}") {
        classify(&name, &value);
    }

    /// Values at each of their offsets: what is cut is never taken for more than it is.
    #[test]
    fn near_misses_are_taken(
        name in "(phone|card|ssn|dob|zip|geo|icd|pin|api_key|number)",
        value in "[+A-Z]{0,2}[0-9 .,()/@-]{0,40}é?",
    ) {
        for (at, _) in value.char_indices() {
            classify(&name, &value[..at]);
        }
    }
}
