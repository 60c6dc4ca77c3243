//! Credentials to identities. A JWT is named by issuer and subject, so that a renewed token stays
//! the same principal; Basic by its user; anything else by the whole credential.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use compact_str::CompactString;

use super::Observer;

/// Where a request may carry who it is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credential<'a> {
    /// Value of `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// Value of the first header field with an API key.
    pub api_key: Option<&'a [u8]>,
    /// Value of `Cookie`.
    pub cookie: Option<&'a [u8]>,
    /// Which other fields carry a credential: bits of a table in `schemes`.
    pub fields: u32,
}

pub(super) fn identity(o: &Observer, c: &Credential<'_>) -> Option<(Arc<str>, CompactString)> {
    let (kind, hash) = c
        .authorization
        .and_then(|value| authorization(o, value))
        .or_else(|| {
            c.api_key
                .map(|key| ("apikey", o.pseudonym("apikey", &[key.trim_ascii()])))
        })
        .or_else(|| c.cookie.and_then(|value| session(o, value)))?;
    Some((
        format!("{kind}:{hash}").into(),
        CompactString::const_new(kind),
    ))
}

fn authorization(o: &Observer, value: &[u8]) -> Option<(&'static str, CompactString)> {
    let value = value.trim_ascii();
    let at = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
    let (scheme, token) = (&value[..at], value[at..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty() {
        return Some(match jwt_subject(token) {
            Some((issuer, subject)) => (
                "jwt",
                o.pseudonym("jwt", &[issuer.as_bytes(), subject.as_bytes()]),
            ),
            None => ("bearer", o.pseudonym("bearer", &[token])),
        });
    }
    if scheme.eq_ignore_ascii_case(b"basic") {
        let decoded = STANDARD.decode(token).ok()?;
        let user = decoded.split(|b| *b == b':').next().unwrap_or_default();
        return Some(("basic", o.pseudonym("basic", &[user])));
    }
    // Digest and its like sign each request anew: the credential names nobody by itself.
    let stable = token.is_empty()
        || scheme.eq_ignore_ascii_case(b"token")
        || scheme.eq_ignore_ascii_case(b"apikey");
    stable.then(|| ("apikey", o.pseudonym("apikey", &[value])))
}

/// `iss` and `sub` of a JWT (RFC 7519, section 4.1), unverified: a name, not a proof.
fn jwt_subject(token: &[u8]) -> Option<(String, String)> {
    let mut parts = token.split(|b| *b == b'.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let claim = |name: &str| claims.get(name).and_then(|v| v.as_str()).map(str::to_owned);
    Some((claim("iss").unwrap_or_default(), claim("sub")?))
}

/// The session among the cookies: by the names that frameworks give it.
fn session(o: &Observer, value: &[u8]) -> Option<(&'static str, CompactString)> {
    let (_, value) = cookies(value)
        .filter(|(_, value)| value.len() >= 8)
        .find(|(name, _)| is_session(name))?;
    Some(("cookie", o.pseudonym("cookie", &[value])))
}

/// Names and values of `Cookie` (RFC 6265, section 4.2.1).
pub(super) fn cookies(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    value.split(|b| *b == b';').filter_map(|pair| {
        let at = pair.iter().position(|b| *b == b'=')?;
        Some((pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()))
    })
}

pub(super) fn is_session(name: &[u8]) -> bool {
    const WHOLE: [&[u8]; 6] = [
        b"sid",
        b"connect.sid",
        b"token",
        b"jwt",
        b"access_token",
        b"auth_token",
    ];
    const PART: &[u8] = b"sess";
    WHOLE.iter().any(|w| name.eq_ignore_ascii_case(w))
        || name
            .windows(PART.len())
            .any(|w| w.eq_ignore_ascii_case(PART))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(c: &Credential<'_>) -> Option<String> {
        identity(&Observer::new(&[7; 32], true), c).map(|(id, _)| id.to_string())
    }

    fn auth(value: &str) -> Option<String> {
        named(&Credential {
            authorization: Some(value.as_bytes()),
            ..Credential::default()
        })
    }

    fn cookie(value: &str) -> Option<String> {
        named(&Credential {
            cookie: Some(value.as_bytes()),
            ..Credential::default()
        })
    }

    fn jwt(claims: &str, signature: &str) -> String {
        format!("Bearer e30.{}.{signature}", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_renewed_jwt_is_the_same_principal() {
        let a = auth(&jwt(r#"{"iss":"i","sub":"42","exp":1}"#, "aa")).unwrap();
        assert!(a.starts_with("jwt:"));
        assert_eq!(
            Some(&a),
            auth(&jwt(r#"{"iss":"i","sub":"42","exp":2}"#, "bb")).as_ref()
        );
        assert_ne!(Some(a), auth(&jwt(r#"{"iss":"j","sub":"42"}"#, "aa")));
    }

    #[test]
    fn each_kind_has_its_name() {
        assert!(auth("Bearer abc").unwrap().starts_with("bearer:"));
        let alice = auth(&format!("Basic {}", STANDARD.encode("alice:one"))).unwrap();
        assert!(alice.starts_with("basic:"));
        assert_eq!(
            Some(alice),
            auth(&format!("basic {}", STANDARD.encode("alice:two")))
        );
        assert_eq!(auth("Digest username=\"a\", nonce=\"b\""), None);
        assert!(
            named(&Credential {
                api_key: Some(b"k"),
                ..Credential::default()
            })
            .unwrap()
            .starts_with("apikey:")
        );
    }

    #[test]
    fn only_the_session_cookie_names_someone() {
        let a = cookie("theme=dark-blue; JSESSIONID=8f14e45fceea").unwrap();
        assert_eq!(
            Some(&a),
            cookie("JSESSIONID=8f14e45fceea; theme=light-grey").as_ref()
        );
        assert_eq!(cookie("theme=dark-blue; _ga=GA1.2.3456789"), None);
    }

    #[test]
    fn another_key_gives_another_name_and_the_secret_shows_nowhere() {
        let c = Credential {
            authorization: Some(b"Bearer topsecret"),
            ..Credential::default()
        };
        let (one, _) = identity(&Observer::new(&[1; 32], true), &c).unwrap();
        let (two, _) = identity(&Observer::new(&[2; 32], true), &c).unwrap();
        assert_ne!(one, two);
        assert!(!one.contains("topsecret"));
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_survived(a: Vec<u8>, c: Vec<u8>) {
            let _ = named(&Credential { authorization: Some(&a), cookie: Some(&c), ..Credential::default() });
        }
    }
}
