//! Secrets: passwords by name, keys and tokens by the form that their makers gave them so that they
//! are found.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::hint::Hints;
use crate::exchange::Classes;

/// What a token is made of behind its prefix.
#[derive(Clone, Copy)]
enum Alphabet {
    Upper,
    Alnum,
    /// With `_` and `-`.
    Url,
    Hex,
    /// With `.` as well.
    Dotted,
}

impl Alphabet {
    fn has(self, b: u8) -> bool {
        match self {
            Self::Upper => b.is_ascii_uppercase() || b.is_ascii_digit(),
            Self::Alnum => b.is_ascii_alphanumeric(),
            Self::Url => b.is_ascii_alphanumeric() || b"_-".contains(&b),
            Self::Hex => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
            Self::Dotted => b.is_ascii_alphanumeric() || b"_-.".contains(&b),
        }
    }
}

/// Prefix, alphabet, and the least and most characters behind it, as the vendors' documents say, or
/// where they are silent the rules of their secret scanning partners:
///
/// - AWS, "IAM identifiers", unique ID prefixes
/// - GitHub, "Behind GitHub's new authentication token formats"; GitLab, "Token prefixes"
/// - Slack, "Token types"; Stripe, "API keys"; Shopify, "Access tokens"; Square, "Access tokens"
/// - Google Cloud, "Using API keys" and OAuth 2.0; DigitalOcean, "API tokens"
/// - npm, "About access tokens"; PyPI, "API tokens"; Docker, "Personal access tokens"
/// - SendGrid, "API keys"; Vault, "Tokens"; Grafana, "Service accounts"; Databricks, "Tokens"
const TOKENS: &[(&str, Alphabet, usize, usize)] = &[
    ("AKIA", Alphabet::Upper, 16, 16),
    ("ASIA", Alphabet::Upper, 16, 16),
    ("ghp_", Alphabet::Alnum, 36, 251),
    ("gho_", Alphabet::Alnum, 36, 251),
    ("ghu_", Alphabet::Alnum, 36, 251),
    ("ghs_", Alphabet::Alnum, 36, 251),
    ("ghr_", Alphabet::Alnum, 36, 251),
    ("github_pat_", Alphabet::Url, 82, 244),
    ("glpat-", Alphabet::Dotted, 20, 300),
    ("gldt-", Alphabet::Url, 20, 64),
    ("glrt-", Alphabet::Dotted, 20, 300),
    ("xoxb-", Alphabet::Url, 24, 250),
    ("xoxp-", Alphabet::Url, 24, 250),
    ("xoxa-", Alphabet::Url, 24, 250),
    ("xoxr-", Alphabet::Url, 24, 250),
    ("xapp-", Alphabet::Url, 40, 250),
    ("AIza", Alphabet::Url, 35, 35),
    ("ya29.", Alphabet::Dotted, 60, 2_048),
    ("GOCSPX-", Alphabet::Url, 28, 28),
    ("sk_live_", Alphabet::Alnum, 24, 247),
    ("sk_test_", Alphabet::Alnum, 24, 247),
    ("rk_live_", Alphabet::Alnum, 24, 247),
    ("rk_test_", Alphabet::Alnum, 24, 247),
    ("whsec_", Alphabet::Alnum, 32, 64),
    ("SG.", Alphabet::Dotted, 66, 66),
    ("npm_", Alphabet::Alnum, 36, 36),
    ("pypi-AgEIcHlwaS5vcmc", Alphabet::Url, 50, 1_000),
    ("dop_v1_", Alphabet::Hex, 64, 64),
    ("doo_v1_", Alphabet::Hex, 64, 64),
    ("shpat_", Alphabet::Hex, 32, 32),
    ("shpss_", Alphabet::Hex, 32, 32),
    ("sq0atp-", Alphabet::Url, 22, 22),
    ("sq0csp-", Alphabet::Url, 43, 43),
    ("dckr_pat_", Alphabet::Url, 27, 27),
    ("hvs.", Alphabet::Url, 90, 120),
    ("glsa_", Alphabet::Url, 41, 41),
    ("dapi", Alphabet::Hex, 32, 32),
    ("hf_", Alphabet::Alnum, 34, 37),
    ("sk-proj-", Alphabet::Url, 40, 250),
    ("sk-ant-", Alphabet::Url, 80, 250),
    ("sk-", Alphabet::Alnum, 48, 48),
    ("lin_api_", Alphabet::Alnum, 40, 40),
];

/// A bit for each byte that one of them begins with: most values do not.
const FIRST_BYTES: u128 = {
    let (mut bits, mut at) = (0, 0);
    while at < TOKENS.len() {
        bits |= 1 << TOKENS[at].0.as_bytes()[0];
        at += 1;
    }
    bits
};

/// Bytes of the shortest one.
const SHORTEST: usize = {
    let (mut least, mut at) = (usize::MAX, 0);
    while at < TOKENS.len() {
        let length = TOKENS[at].0.len() + TOKENS[at].2;
        least = if length < least { length } else { least };
        at += 1;
    }
    least
};

/// What a mask says of the secret that it stands for: queries come with theirs masked.
pub(super) fn masked(hints: Hints, value: &str) -> Option<Classes> {
    let kind = value.strip_prefix("{secret:")?.split(':').next()?;
    Some(match kind {
        "jwt" => Classes::JWT,
        "value" if hints.has(Hints::PASSWORD | Hints::PIN) => Classes::PASSWORD,
        "value" if hints.has(Hints::TOKEN) => Classes::TOKEN,
        "value" => Classes::NONE,
        _ => Classes::TOKEN,
    })
}

/// RFC 7468, and what OpenSSH, PGP and age add.
pub(super) fn is_private_key(value: &str) -> bool {
    if let Some(rest) = value.strip_prefix("-----BEGIN ") {
        let label = rest.split("-----").next().unwrap_or_default();
        return (label.ends_with("PRIVATE KEY") || label == "PGP PRIVATE KEY BLOCK")
            && label.len() + 5 <= rest.len();
    }
    let age = value.strip_prefix("AGE-SECRET-KEY-1");
    age.is_some_and(|k| k.len() == 58) || value.starts_with("PuTTY-User-Key-File-")
}

/// RFC 7519 and 7516: a header, which is an object with `alg`, before the first dot. `cut`: there is
/// more of it.
pub(super) fn is_jwt(value: &str, cut: bool) -> bool {
    let value = bearer(value);
    if !value.starts_with("ey") || value.len() < 24 {
        return false;
    }
    let Some((header, rest)) = value.split_once('.') else {
        return false;
    };
    let mut room = [0; super::MAX_LOOKED_AT];
    let Some(encoded) = room.get_mut(..header.len()) else {
        return false;
    };
    encoded.copy_from_slice(header.as_bytes());
    for byte in encoded.iter_mut() {
        *byte = match *byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        };
    }
    let mut decoded = [0; super::MAX_LOOKED_AT];
    let Ok(len) = STANDARD_NO_PAD.decode_slice(encoded, &mut decoded) else {
        return false;
    };
    let decoded = decoded[..len].trim_ascii();
    let object = decoded.starts_with(b"{") && decoded.ends_with(b"}");
    let dots = rest.matches('.').count() + 1;
    object
        && memchr::memmem::find(decoded, b"\"alg\"").is_some()
        && (cut || matches!(dots, 2 | 4))
        && !rest.starts_with('.')
        && rest.bytes().all(|b| Alphabet::Dotted.has(b))
}

fn bearer(value: &str) -> &str {
    let token = value.strip_prefix("Bearer ").unwrap_or(value);
    token.trim_start()
}

/// By a vendor's prefix, or under a name that says that it is one.
pub(super) fn is_token(hints: Hints, value: &str, cut: bool) -> bool {
    let value = bearer(value);
    let first = value.bytes().next().map_or(0, u32::from);
    let may_be = value.len() >= SHORTEST && FIRST_BYTES.checked_shr(first).unwrap_or(0) & 1 == 1;
    let vendors = may_be
        && TOKENS.iter().any(|(prefix, alphabet, least, most)| {
            value.strip_prefix(prefix).is_some_and(|body| {
                body.len() >= *least
                    && (cut || body.len() <= *most)
                    && body.bytes().all(|b| alphabet.has(b))
                    && (matches!(alphabet, Alphabet::Upper) || is_random(body))
            })
        });
    vendors || is_azure(value) || (hints.has(Hints::TOKEN) && is_opaque(value))
}

/// Words behind a prefix (`sk-learn…`, `xoxb-your-token-goes-here`) have no digits, and what stands
/// for a token in a document repeats one letter.
fn is_random(body: &str) -> bool {
    let bytes = body.as_bytes();
    let run = bytes.windows(8).any(|w| w.iter().all(|b| *b == w[0]));
    let digits = bytes.iter().any(u8::is_ascii_digit);
    let letters = bytes.iter().any(u8::is_ascii_alphabetic);
    letters && !run && (digits || is_mixed(bytes))
}

/// Capitals and small letters in turns.
fn is_mixed(bytes: &[u8]) -> bool {
    let turns = bytes
        .windows(2)
        .filter(|w| w[0].is_ascii_lowercase() && w[1].is_ascii_uppercase());
    turns.count() >= 4
}

/// A connection string of Azure Storage.
fn is_azure(value: &str) -> bool {
    value.starts_with("DefaultEndpointsProtocol=") && value.contains(";AccountKey=")
}

fn is_opaque(value: &str) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    (16..).contains(&value.len()) && digits >= 2 && value.bytes().all(ok) && is_random(value)
}

/// Under a name that says that it is one.
pub(super) fn is_password(hints: Hints, value: &str) -> bool {
    if hints.has(Hints::PIN) {
        let digits = value.bytes().all(|b| b.is_ascii_digit());
        return digits && (3..=12).contains(&value.len());
    }
    hints.has(Hints::PASSWORD)
        && value.len() >= 3
        && !is_placeholder(value)
        && !value.contains("://")
        // A description, a rule, a message is none.
        && value.matches(' ').count() <= 8
        && !value.starts_with(['{', '[', '<', '/'])
}

/// What stands where something else was, or says that there is nothing.
pub(super) fn is_placeholder(value: &str) -> bool {
    const WORDS: [&str; 28] = [
        "absent",
        "changed",
        "disabled",
        "enabled",
        "expired",
        "false",
        "filtered",
        "hidden",
        "invalid",
        "masked",
        "missing",
        "n/a",
        "nil",
        "no",
        "none",
        "not set",
        "null",
        "ok",
        "optional",
        "redacted",
        "required",
        "set",
        "string",
        "true",
        "undefined",
        "unknown",
        "unset",
        "yes",
    ];
    let bare = value.trim_matches(|c: char| "[]<>()*•- ".contains(c));
    let first = value.chars().next();
    WORDS.iter().any(|w| w.eq_ignore_ascii_case(bare))
        || value.chars().all(|c| "*•xX.#-".contains(c))
        || value.chars().all(|c| Some(c) == first)
}
