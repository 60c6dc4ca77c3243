//! Secrets in paths and queries, by the name of the parameter or the shape of the value. A mask
//! keeps distinctness: `{secret:jwt:1f3a}` is the same for the same secret.

use std::borrow::Cow;

use compact_str::CompactString;

use super::Observer;

/// Query parameters whose value is a secret whatever it looks like.
const SECRET_NAMES: [&str; 27] = [
    "access_token",
    "accesstoken",
    "api-key",
    "api_key",
    "apikey",
    "assertion",
    "auth",
    "auth_token",
    "authorization",
    "client_secret",
    "code",
    "id_token",
    "jwt",
    "key",
    "otp",
    "passwd",
    "password",
    "pwd",
    "refresh_token",
    "secret",
    "session",
    "session_id",
    "sessionid",
    "sid",
    "sig",
    "signature",
    "token",
];

/// How vendors begin their keys, and how many characters the whole has at least.
const PREFIXES: [(&str, &str, usize); 11] = [
    ("eyJ", "jwt", 24),
    ("AKIA", "aws", 20),
    ("ASIA", "aws", 20),
    ("AIza", "google", 30),
    ("ghp_", "github", 20),
    ("github_pat_", "github", 20),
    ("glpat-", "gitlab", 20),
    ("sk_live_", "stripe", 16),
    ("sk-", "apikey", 24),
    ("xoxb-", "slack", 16),
    ("xoxp-", "slack", 16),
];

pub(super) fn path(o: &Observer, path: &str) -> CompactString {
    if !path.split('/').any(|s| by_shape(s).is_some()) {
        return path.into();
    }
    let masked: Vec<Cow<'_, str>> = path
        .split('/')
        .map(|s| by_shape(s).map_or(Cow::Borrowed(s), |class| Cow::Owned(mask(o, class, s))))
        .collect();
    masked.join("/").into()
}

pub(super) fn query(o: &Observer, query: &str) -> CompactString {
    if !pairs(query).any(|(name, value)| class(name, value).is_some()) {
        return query.into();
    }
    let masked: Vec<Cow<'_, str>> = pairs(query)
        .map(|(name, value)| match (class(name, value), value) {
            (Some(class), Some(value)) => Cow::Owned(format!("{name}={}", mask(o, class, value))),
            (_, Some(value)) => Cow::Owned(format!("{name}={value}")),
            (_, None) => Cow::Borrowed(name),
        })
        .collect();
    masked.join("&").into()
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    query.split('&').map(|pair| {
        pair.split_once('=')
            .map_or((pair, None), |(n, v)| (n, Some(v)))
    })
}

fn class(name: &str, value: Option<&str>) -> Option<&'static str> {
    let value = value.filter(|v| !v.is_empty())?;
    by_shape(value).or_else(|| {
        let named = SECRET_NAMES.iter().any(|s| s.eq_ignore_ascii_case(name))
            || name.ends_with("-Signature");
        named.then_some("value")
    })
}

/// Whether a text has the form of a secret.
pub(super) fn is_secret(value: &str) -> bool {
    by_shape(value).is_some()
}

fn by_shape(value: &str) -> Option<&'static str> {
    if value.len() < 16 {
        return None;
    }
    let (prefix, class, _) = PREFIXES
        .iter()
        .find(|(p, _, min)| value.len() >= *min && value.starts_with(p))?;
    // A word that merely begins alike has no digits behind it, and a JWT has its dots.
    let rest = &value[prefix.len()..];
    let plausible = match *class {
        "jwt" => rest.matches('.').count() == 2,
        _ => {
            rest.bytes().any(|b| b.is_ascii_digit())
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        }
    };
    plausible.then_some(*class)
}

fn mask(o: &Observer, class: &str, value: &str) -> String {
    format!(
        "{{secret:{class}:{}}}",
        &o.pseudonym("mask", &[value.as_bytes()])[..4]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observer() -> Observer {
        Observer::new(&[7; 32], true)
    }

    #[test]
    fn secrets_go_and_everything_else_stays() {
        let o = observer();
        for plain in [
            "a=1&page=2",
            "",
            "flag",
            "q=token",
            "monkey=banana&keyword=x",
            "a=b=c&&d",
        ] {
            assert_eq!(query(&o, plain), plain);
        }
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
        for q in [
            format!("x={jwt}"),
            "a=1&Token=hunter2".into(),
            "X-Amz-Signature=abcdef".into(),
        ] {
            let masked = query(&o, &q);
            assert!(masked.contains("{secret:"), "{masked}");
            assert!(
                !masked.contains("hunter2") && !masked.contains(jwt) && !masked.contains("abcdef")
            );
        }
        assert_eq!(path(&o, "/v1/eyJhbGc/users"), "/v1/eyJhbGc/users");
        assert!(path(&o, &format!("/reset/{jwt}/done")).starts_with("/reset/{secret:jwt:"));
        assert_eq!(
            path(&o, "/sk-learn-documentation-and-more"),
            "/sk-learn-documentation-and-more"
        );
    }

    #[test]
    fn the_same_secret_has_the_same_mask() {
        let o = observer();
        assert_eq!(query(&o, "token=one"), query(&o, "token=one"));
        assert_ne!(query(&o, "token=one"), query(&o, "token=two"));
        assert_eq!(
            Observer::new(&[7; 32], false).query("token=one"),
            "token=one"
        );
    }
}
