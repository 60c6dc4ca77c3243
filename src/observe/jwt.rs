//! What a JSON web token says of itself (RFC 7519), unverified: its algorithm, its life, what is
//! odd about it, and of which classes its claims are. The token is hostile: it is read within
//! bounds, and what is no token is passed over.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use compact_str::CompactString;
use serde_json::Value;

use super::Observer;
use super::sensitive::classify;
use crate::exchange::{Classes, Jwt, JwtFlags};

/// Bytes of a token; servers refuse longer header fields.
const MAX_TOKEN: usize = 16 << 10;
/// Claims that are looked at, and how deep.
const MAX_CLAIMS: usize = 128;
const MAX_DEPTH: usize = 4;
/// Clocks differ: a token that ended so many seconds ago may have been good.
const SKEW: i64 = 120;

/// Algorithms of RFC 7518, RFC 8037 and RFC 8812.
const ALGORITHMS: [&str; 14] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
    "ES384", "ES512", "ES256K", "EdDSA",
];

/// Claims whose values are names and times of the protocol's own (RFC 7519, OpenID Connect Core).
const PLAIN_CLAIMS: [&str; 14] = [
    "iss",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "nonce",
    "at_hash",
    "c_hash",
    "sid",
    "azp",
    "auth_time",
    "session_state",
    "scope",
];

/// A token that was read, for as long as it is sent.
#[derive(Clone, Debug)]
pub struct Token {
    jwt: Arc<Jwt>,
    exp: Option<i64>,
}

impl Token {
    /// As of `now`, in seconds of the epoch.
    pub fn at(&self, now: i64) -> Arc<Jwt> {
        if self.exp.is_none_or(|exp| exp.saturating_add(SKEW) >= now) {
            return Arc::clone(&self.jwt);
        }
        let mut jwt = Jwt::clone(&self.jwt);
        jwt.flags |= JwtFlags::EXPIRED;
        Arc::new(jwt)
    }
}

/// `None`: it is no signed token, or none that a server would read.
pub(super) fn read(o: &Observer, token: &[u8], now: i64) -> Option<Token> {
    if token.len() > MAX_TOKEN || !token.starts_with(b"ey") {
        return None;
    }
    let mut parts = token.split(|b| *b == b'.');
    let (header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        // Five parts are an encrypted one (RFC 7516): what it says is not for us.
        return None;
    }
    let (header, claims) = (object(header)?, object(payload)?);
    let alg = header.get("alg")?.as_str()?;
    let mut jwt = Jwt {
        alg: algorithm(alg),
        ..Jwt::default()
    };
    if jwt.alg == "none" {
        jwt.flags |= JwtFlags::ALG_NONE;
    }
    if key_from_elsewhere(&header) {
        jwt.flags |= JwtFlags::KEY_URL;
    }
    let exp = claims.get("exp").and_then(time);
    match exp {
        Some(exp) => {
            let from = claims.get("iat").and_then(time).unwrap_or(now);
            jwt.life_s = u64::try_from(exp.saturating_sub(from)).ok();
        }
        None => jwt.flags |= JwtFlags::NO_EXP,
    }
    let issuer = claims.get("iss").and_then(Value::as_str);
    jwt.issuer = issuer.map(|iss| o.pseudonym("issuer", &[iss.as_bytes()]));
    jwt.classes = classes(&claims);
    Some(Token {
        jwt: Arc::new(jwt),
        exp,
    })
}

fn object(part: &[u8]) -> Option<Value> {
    // Some libraries leave the padding.
    let end = part.iter().rposition(|b| *b != b'=')? + 1;
    let text = URL_SAFE_NO_PAD.decode(&part[..end]).ok()?;
    // serde_json refuses what is nested deeper than 128.
    let value: Value = serde_json::from_slice(&text).ok()?;
    value.is_object().then_some(value)
}

fn algorithm(name: &str) -> CompactString {
    if name.eq_ignore_ascii_case("none") || name.is_empty() {
        return CompactString::const_new("none");
    }
    let known = ALGORITHMS.iter().find(|a| **a == name);
    CompactString::const_new(known.copied().unwrap_or("other"))
}

/// `jku` and `x5u` name a URL by definition (RFC 7515, section 4.1); a `kid` should not.
fn key_from_elsewhere(header: &Value) -> bool {
    let has = |name: &str| header.get(name).is_some_and(Value::is_string);
    let kid = header
        .get("kid")
        .and_then(Value::as_str)
        .unwrap_or_default();
    has("jku") || has("x5u") || kid.contains("://") || kid.contains("../")
}

/// NumericDate (RFC 7519, section 2), also with a fraction or, as some write it, as text.
fn time(value: &Value) -> Option<i64> {
    let seconds = match value {
        Value::Number(n) => n.as_f64()?,
        Value::String(s) => s.trim().parse().ok()?,
        _ => return None,
    };
    let sound = seconds.is_finite() && seconds.abs() < 1e15;
    sound.then_some(seconds as i64)
}

fn classes(claims: &Value) -> Classes {
    let mut classes = Classes::NONE;
    let mut left = MAX_CLAIMS;
    if let Some(object) = claims.as_object() {
        for (name, value) in object {
            if !PLAIN_CLAIMS.contains(&name.as_str()) {
                look(name, value, MAX_DEPTH, &mut left, &mut classes);
            }
        }
    }
    classes
}

fn look(name: &str, value: &Value, depth: usize, left: &mut usize, classes: &mut Classes) {
    if *left == 0 || depth == 0 {
        return;
    }
    *left -= 1;
    match value {
        Value::String(text) => *classes |= classify(name, text),
        Value::Number(n) => *classes |= classify(name, &n.to_string()),
        Value::Array(items) => {
            for item in items {
                look(name, item, depth - 1, left, classes);
            }
        }
        Value::Object(object) => {
            for (name, value) in object {
                look(name, value, depth - 1, left, classes);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_760_000_000;

    fn token(header: &str, claims: &str) -> String {
        let b64 = |s: &str| URL_SAFE_NO_PAD.encode(s);
        format!("{}.{}.c2lnbmF0dXJl", b64(header), b64(claims))
    }

    fn read_at(token: &[u8], now: i64) -> Option<Arc<Jwt>> {
        let o = Observer::new(&[7; 32], true);
        read(&o, token, NOW).map(|t| t.at(now))
    }

    fn of(header: &str, claims: &str) -> (String, Option<u64>, Vec<&'static str>) {
        let jwt = read_at(token(header, claims).as_bytes(), NOW).unwrap();
        (jwt.alg.to_string(), jwt.life_s, jwt.flags.names().collect())
    }

    #[test]
    fn algorithm_life_and_flags() {
        let hs = r#"{"alg":"HS256","typ":"JWT"}"#;
        let expected = ("HS256".to_owned(), Some(3_600), vec![]);
        let claims = format!(r#"{{"iat":{NOW},"exp":{}}}"#, NOW + 3_600);
        assert_eq!(of(hs, &claims), expected);
        // Without `iat` from when it is seen.
        let claims = format!(r#"{{"exp":"{}.5"}}"#, NOW + 60);
        assert_eq!(of(hs, &claims).1, Some(60));
        assert_eq!(of(hs, "{}"), ("HS256".into(), None, vec!["no-exp"]));
        for none in ["none", "NONE", "nOnE", ""] {
            let header = format!(r#"{{"alg":"{none}"}}"#);
            assert_eq!(of(&header, "{}").2, ["alg-none", "no-exp"], "{none}");
        }
        assert_eq!(of(r#"{"alg":"<b>"}"#, "{}").0, "other");
        for header in [
            r#"{"alg":"RS256","jku":"https://e.example/k"}"#,
            r#"{"alg":"RS256","x5u":"https://e.example/k"}"#,
            r#"{"alg":"RS256","kid":"https://e.example/k"}"#,
            r#"{"alg":"RS256","kid":"../../dev/null"}"#,
        ] {
            assert_eq!(
                of(header, r#"{"exp":9999999999}"#).2,
                ["key-url"],
                "{header}"
            );
        }
        let plain = r#"{"alg":"RS256","kid":"2024-01"}"#;
        assert!(of(plain, r#"{"exp":9999999999}"#).2.is_empty());
    }

    #[test]
    fn a_token_ends_while_it_is_sent() {
        let text = token(r#"{"alg":"ES256"}"#, &format!(r#"{{"exp":{}}}"#, NOW + 10));
        let flags = |now| read_at(text.as_bytes(), now).unwrap().flags;
        assert_eq!(flags(NOW), JwtFlags::default());
        assert_eq!(flags(NOW + 10 + SKEW), JwtFlags::default());
        assert_eq!(flags(NOW + 11 + SKEW), JwtFlags::EXPIRED);
    }

    #[test]
    fn claims_are_of_classes_and_names_of_the_protocol_are_not() {
        let of = |claims: &str| {
            let text = token(r#"{"alg":"HS256"}"#, claims);
            let jwt = read_at(text.as_bytes(), NOW).unwrap();
            jwt.classes.names().collect::<Vec<_>>()
        };
        assert_eq!(
            of(r#"{"sub":"42","iss":"https://a.example","scope":"x"}"#),
            Vec::<&str>::new()
        );
        assert_eq!(of(r#"{"email":"ann@mail.example"}"#), ["pii:email"]);
        let nested = r#"{"user":{"db":[{"password":"Tr0ub4dor&3"}]}}"#;
        assert_eq!(of(nested), ["secret:password"]);
    }

    #[test]
    fn what_is_no_token_is_none() {
        let good = token(r#"{"alg":"HS256"}"#, r#"{"sub":"1"}"#);
        let cut = (0..good.len()).filter(|n| read_at(&good.as_bytes()[..*n], NOW).is_some());
        // The signature alone may be cut: it is not looked at.
        let signature = good.rfind('.').unwrap() + 1;
        assert!(cut.into_iter().all(|n| n >= signature));
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
        for (header, claims) in [
            ("[1]", "{}"),
            (r#"{"alg":1}"#, "{}"),
            ("{}", "{}"),
            (r#"{"alg":"HS256"}"#, "[]"),
            (r#"{"alg":"HS256"}"#, "\u{0}"),
            (r#"{"alg":"HS256"}"#, &deep),
        ] {
            assert!(
                read_at(token(header, claims).as_bytes(), NOW).is_none(),
                "{header}"
            );
        }
        let huge = token(
            r#"{"alg":"HS256"}"#,
            &format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_TOKEN)),
        );
        assert!(read_at(huge.as_bytes(), NOW).is_none());
        let not_utf8 = format!("eyJh.{}.x", URL_SAFE_NO_PAD.encode(b"{\"a\":\"\xff\"}"));
        for text in [
            "eyJ.eyJ.x",
            "ey!!.ey!!.x",
            "a.b.c",
            "ey..",
            "eyJh.eyJh.e.e.e",
            &not_utf8,
        ] {
            assert!(read_at(text.as_bytes(), NOW).is_none(), "{text}");
        }
        let times = [
            r#"{"exp":1e400}"#,
            r#"{"exp":-1}"#,
            r#"{"exp":null}"#,
            r#"{"exp":1e300,"iat":-1e300}"#,
        ];
        for claims in times {
            let text = token(r#"{"alg":"HS256"}"#, claims);
            let _ = read_at(text.as_bytes(), i64::MAX);
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_are_survived(header in proptest::collection::vec(0_u8.., 0..60), claims in ".{0,200}") {
            let _ = read_at(&header, NOW);
            let text = token(&String::from_utf8_lossy(&header), &claims);
            let _ = read_at(text.as_bytes(), NOW);
            let text = token(r#"{"alg":"HS256"}"#, &serde_json::json!({ "x": claims }).to_string());
            proptest::prop_assert!(read_at(text.as_bytes(), NOW).is_some());
        }
    }
}
