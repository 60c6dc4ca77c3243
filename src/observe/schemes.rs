//! Which credentials came with a request: each by its scheme and the place where it stood. Names of
//! header fields and query parameters are those of the tables here, and what a client calls its
//! session cookie only where that looks like a name; so no value can get out as one.

use std::sync::Arc;

use compact_str::CompactString;

use super::Observer;
use super::identity::{self, Credential};
use super::jwt::{self, Token};
use super::shape::field_name;
use crate::exchange::{MAX_CREDENTIALS, MAX_PLACE, Presented};

/// Header fields that carry a key or sign the request, with the scheme that they are of. In lower
/// case; 32 at most, a bit each in [`Credential::fields`].
const FIELDS: [(&str, &str); 28] = [
    ("x-api-key", "apikey"),
    ("api-key", "apikey"),
    ("x-auth-token", "apikey"),
    ("apikey", "apikey"),
    ("x-apikey", "apikey"),
    ("x-api-token", "apikey"),
    ("x-auth-key", "apikey"),
    ("x-access-token", "apikey"),
    ("x-session-token", "apikey"),
    ("x-goog-api-key", "apikey"),
    ("x-functions-key", "apikey"),
    ("x-rapidapi-key", "apikey"),
    ("x-algolia-api-key", "apikey"),
    ("x-consul-token", "apikey"),
    ("x-vault-token", "apikey"),
    ("x-figma-token", "apikey"),
    ("x-redmine-api-key", "apikey"),
    ("x-shopify-access-token", "apikey"),
    ("x-gitlab-token", "apikey"),
    ("private-token", "apikey"),
    ("circle-token", "apikey"),
    ("dd-api-key", "apikey"),
    ("ocp-apim-subscription-key", "apikey"),
    // RFC 9421; RFC 9449.
    ("signature", "http-signature"),
    ("dpop", "dpop"),
    // What a proxy says of the client's certificate: RFC 9440, and Envoy's.
    ("client-cert", "mtls"),
    ("client-cert-chain", "mtls"),
    ("x-forwarded-client-cert", "mtls"),
];

/// By the length of their names, a bit each: nearly every other field is told by it.
const BY_LENGTH: [u32; 32] = {
    let (mut sets, mut at) = ([0; 32], 0);
    while at < FIELDS.len() {
        sets[FIELDS[at].0.len()] |= 1 << at;
        at += 1;
    }
    sets
};

/// Query parameters that carry a key or a signature, in lower case, with their scheme.
const PARAMETERS: [(&str, &str); 14] = [
    ("access_token", "bearer"), // RFC 6750, section 2.3
    ("accesstoken", "bearer"),
    ("api-key", "apikey"),
    ("api_key", "apikey"),
    ("api_token", "apikey"),
    ("apikey", "apikey"),
    ("auth_token", "apikey"),
    ("authtoken", "apikey"),
    ("jwt", "jwt"),
    ("private_token", "apikey"),
    ("session_token", "apikey"),
    ("subscription-key", "apikey"),
    ("x-amz-signature", "aws4-hmac-sha256"),
    ("x-goog-signature", "goog4-rsa-sha256"),
];

/// Schemes of `Authorization` that are told by their name: IANA's registry and what is in use
/// beside it. Others are `other`: what stands there may be the secret itself.
const SCHEMES: [&str; 22] = [
    "apikey",
    "aws4-ecdsa-p256-sha256",
    "aws4-hmac-sha256",
    "basic",
    "bearer",
    "concealed",
    "digest",
    "dpop",
    "gnap",
    "hawk",
    "hoba",
    "hmac",
    "hmac-sha256",
    "mutual",
    "negotiate",
    "ntlm",
    "oauth",
    "privatetoken",
    "scram-sha-1",
    "scram-sha-256",
    "sharedkey",
    "vapid",
];

/// All that the credentials of a request say: who calls, what came, and of its token what it says of
/// itself.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    pub identity: Option<(Arc<str>, CompactString)>,
    pub presented: Option<Arc<[Presented]>>,
    pub token: Option<Token>,
}

impl<'a> Credential<'a> {
    /// Takes a header field, if it carries a credential.
    pub fn take(&mut self, name: &[u8], value: &'a [u8]) -> bool {
        let mut left = BY_LENGTH.get(name.len()).copied().unwrap_or(0);
        let at = loop {
            let at = left.trailing_zeros() as usize;
            let Some((field, _)) = FIELDS.get(at) else {
                return false;
            };
            if name.eq_ignore_ascii_case(field.as_bytes()) {
                break at;
            }
            left &= left - 1;
        };
        if !value.is_empty() {
            self.fields |= 1 << at;
            if FIELDS[at].1 == "apikey" {
                self.api_key.get_or_insert(value);
            }
        }
        true
    }

    /// Nobody vouches for what is said of the client's certificate.
    #[must_use]
    pub fn without_certificate(mut self) -> Self {
        for (at, (_, scheme)) in FIELDS.iter().enumerate() {
            if *scheme == "mtls" {
                self.fields &= !(1 << at);
            }
        }
        self
    }

    fn fields(&self) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        let set = self.fields;
        let all = FIELDS.iter().enumerate();
        all.filter(move |(at, _)| set & (1 << at) != 0)
            .map(|(_, f)| f)
    }
}

/// Of the header fields; `now` in seconds of the epoch.
pub(super) fn credentials(o: &Observer, c: &Credential<'_>, now: i64) -> Credentials {
    let mut found = Credentials {
        identity: identity::identity(o, c),
        ..Credentials::default()
    };
    let mut all = Vec::new();
    let mut add = |place: CompactString, scheme: &str| {
        all.push(Presented {
            place,
            scheme: scheme.into(),
        });
    };
    let mut token = |value: &[u8]| {
        let read = jwt::read(o, value, now);
        let is_jwt = read.is_some();
        found.token = found.token.take().or(read);
        is_jwt
    };
    if let Some(value) = c.authorization.map(<[u8]>::trim_ascii)
        && !value.is_empty()
    {
        let (scheme, rest) = authorization(value);
        let is_jwt = matches!(scheme, "bearer" | "dpop" | "other" | "apikey") && token(rest);
        let named = if is_jwt && scheme != "dpop" {
            "jwt"
        } else {
            scheme
        };
        add(CompactString::const_new("header:authorization"), named);
    }
    for (name, scheme) in c.fields() {
        let is_jwt = *scheme == "apikey" && c.api_key.is_some_and(&mut token);
        add(
            format!("header:{name}").into(),
            if is_jwt { "jwt" } else { scheme },
        );
    }
    for (name, value) in identity::cookies(c.cookie.unwrap_or_default()) {
        let session = value.len() >= 8 && identity::is_session(name);
        let is_jwt = value.starts_with(b"eyJ") && token(value);
        if session || is_jwt {
            let place = format!("cookie:{}", field_name(&String::from_utf8_lossy(name)));
            add(place.into(), if is_jwt { "jwt" } else { "cookie" });
        }
    }
    found.presented = listed(all);
    found
}

/// Those, and what the query has beside them. `query` may be masked: names are what counts.
pub(super) fn with_query(
    known: Option<&Arc<[Presented]>>,
    query: Option<&str>,
) -> Option<Arc<[Presented]>> {
    let pairs = query.unwrap_or_default().split('&');
    let mut found = pairs.filter_map(parameter).peekable();
    if found.peek().is_none() {
        return known.cloned();
    }
    let known = known.into_iter().flat_map(|all| all.iter().cloned());
    listed(known.chain(found).collect())
}

/// The certificate that a client showed in its handshake, beside what it sent.
pub fn with_certificate(known: Option<&Arc<[Presented]>>) -> Option<Arc<[Presented]>> {
    let shown = Presented {
        place: CompactString::const_new("tls:certificate"),
        scheme: CompactString::const_new("mtls"),
    };
    let known = known.into_iter().flat_map(|all| all.iter().cloned());
    listed(known.chain([shown]).collect())
}

fn listed(mut all: Vec<Presented>) -> Option<Arc<[Presented]>> {
    all.retain(|p| p.place.len() <= MAX_PLACE);
    all.sort_unstable();
    all.dedup_by(|a, b| a.place == b.place);
    all.truncate(MAX_CREDENTIALS);
    (!all.is_empty()).then(|| all.into())
}

fn parameter(pair: &str) -> Option<Presented> {
    let (name, value) = pair.split_once('=')?;
    // A key of Google's stands under a name that anything may have.
    let google =
        name == "key" && (value.starts_with("{secret:google") || value.starts_with("AIza"));
    let known = PARAMETERS
        .iter()
        .find(|(p, _)| name.eq_ignore_ascii_case(p));
    let (name, scheme) = match known {
        Some(known) if !value.is_empty() => *known,
        _ if google => ("key", "apikey"),
        _ => return None,
    };
    let jwt = value.starts_with("{secret:jwt:") || value.starts_with("eyJ");
    Some(Presented {
        place: format!("query:{name}").into(),
        scheme: CompactString::const_new(if jwt { "jwt" } else { scheme }),
    })
}

/// The scheme (RFC 9110, section 11.1), and what stands behind it; a bare key has none.
fn authorization(value: &[u8]) -> (&'static str, &[u8]) {
    let at = value.iter().position(|b| *b == b' ');
    let Some(at) = at else {
        let alone = SCHEMES
            .iter()
            .find(|s| value.eq_ignore_ascii_case(s.as_bytes()));
        return (alone.copied().unwrap_or("apikey"), value);
    };
    let (scheme, rest) = (&value[..at], value[at..].trim_ascii());
    let is = |name: &str| scheme.eq_ignore_ascii_case(name.as_bytes());
    match () {
        () if is("token") || is("api-key") || is("key") || is("sso-key") => ("apikey", rest),
        // The drafts before RFC 9421.
        () if is("signature") => ("http-signature", rest),
        () => {
            let known = SCHEMES.iter().find(|s| is(s));
            (known.copied().unwrap_or("other"), rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(c: &Credential<'_>, query: Option<&str>) -> Vec<String> {
        let o = Observer::new(&[7; 32], true);
        let found = credentials(&o, c, 1_760_000_000);
        let all = with_query(found.presented.as_ref(), query);
        let all = all.iter().flat_map(|all| all.iter());
        all.map(|p| format!("{} {}", p.place, p.scheme)).collect()
    }

    fn auth(value: &str) -> String {
        let c = Credential {
            authorization: Some(value.as_bytes()),
            ..Credential::default()
        };
        seen(&c, None)
            .join(",")
            .replace("header:authorization ", "")
    }

    #[test]
    fn schemes_of_authorization_have_their_names_and_secrets_none() {
        for (value, scheme) in [
            ("Bearer abc", "bearer"),
            ("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", "jwt"),
            ("Basic YTpi", "basic"),
            ("Digest username=\"a\"", "digest"),
            ("Negotiate YII=", "negotiate"),
            ("NTLM TlRM", "ntlm"),
            ("AWS4-HMAC-SHA256 Credential=AKIA/2025", "aws4-hmac-sha256"),
            ("Signature keyId=\"a\"", "http-signature"),
            ("Token abc", "apikey"),
            ("c0ffee5ec4e7", "apikey"),
            ("hunter2 and more", "other"),
            ("", ""),
        ] {
            assert_eq!(auth(value), scheme, "{value}");
        }
    }

    #[test]
    fn each_of_several_is_told_with_its_place() {
        let mut c = Credential {
            authorization: Some(b"Bearer abc"),
            cookie: Some(b"theme=dark-blue; JSESSIONID=8f14e45fceea; sess_4f9c2a7b8d1e=0123456789"),
            ..Credential::default()
        };
        assert!(c.take(b"X-Api-Key", b"k1"));
        assert!(c.take(b"Signature", b"sig1=:a:"));
        assert!(c.take(b"Client-Cert", b":MII:"));
        assert!(!c.take(b"X-Request-Id", b"k1"));
        let expected = [
            "cookie:* cookie",
            "cookie:JSESSIONID cookie",
            "header:authorization bearer",
            "header:client-cert mtls",
            "header:signature http-signature",
            "header:x-api-key apikey",
            "query:api_key apikey",
        ];
        assert_eq!(seen(&c, Some("page=2&API_KEY=s3cret")), expected);
        let certificate = seen(&c.without_certificate(), None);
        assert!(!certificate.iter().any(|p| p.contains("mtls")));
    }

    #[test]
    fn a_query_has_a_key_only_under_a_name_that_says_so() {
        for (query, place) in [
            ("api_key={secret:value:1f3a}", "query:api_key apikey"),
            ("access_token={secret:jwt:1f3a}", "query:access_token jwt"),
            (
                "X-Amz-Signature=abcdef&a=1",
                "query:x-amz-signature aws4-hmac-sha256",
            ),
            ("key={secret:google:1f3a}", "query:key apikey"),
            ("key={secret:value:1f3a}", ""),
            ("api_key=", ""),
            ("q=api_key", ""),
            ("monkey=banana", ""),
            ("code={secret:value:1f3a}", ""),
        ] {
            let got = seen(&Credential::default(), Some(query));
            assert_eq!(got.join(","), place, "{query}");
        }
    }

    #[test]
    fn a_certificate_stands_beside_the_rest() {
        let all = with_certificate(None).unwrap();
        assert_eq!(all[0].place, "tls:certificate");
        assert_eq!(with_certificate(Some(&all)).unwrap().len(), 1);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        /// Whatever is sent, only names of the tables get out, and cookies' that are names.
        #[test]
        fn no_value_gets_out(a in "[ -~]{0,40}", k in "[ -~]{1,20}", q in "[ -~]{0,40}") {
            let mut c = Credential { authorization: Some(a.as_bytes()), ..Credential::default() };
            c.take(b"x-api-key", k.as_bytes());
            for line in seen(&c, Some(&q)) {
                let (place, scheme) = line.split_once(' ').unwrap();
                let name = place.split_once(':').unwrap().1;
                let known = name == "authorization" || name == "key"
                    || FIELDS.iter().chain(&PARAMETERS).any(|(n, _)| *n == name);
                proptest::prop_assert!(known, "{}", place);
                let known = ["jwt", "other", "http-signature"].contains(&scheme) || SCHEMES.contains(&scheme)
                    || PARAMETERS.iter().any(|(_, s)| *s == scheme);
                proptest::prop_assert!(known, "{}", scheme);
            }
        }
    }
}
