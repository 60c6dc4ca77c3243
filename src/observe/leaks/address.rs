//! Addresses and names of machines inside: RFC 1918, RFC 4193, link-local, and names that no
//! public resolver knows.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use regex::Regex;

use super::sql::regex;

/// One of these is in every such text.
pub(super) const ANCHORS: &[&str] = &[
    "10.",
    "192.168.",
    "172.1",
    "172.2",
    "172.3",
    "169.254.",
    "fe80:",
    "fc00:",
    "fd",
    ".internal",
    ".local",
    ".svc",
    ".lan",
    ".corp",
    ".intranet",
];

/// Whether an anchor, with what follows it, may begin what is looked for here: `10.` four numbers,
/// `fd` an address of RFC 4193. Behind an escape anything may stand; other anchors say enough.
pub(super) fn may_begin(anchor: &[u8], rest: &[u8]) -> bool {
    let goes_on = |digit: fn(&u8) -> bool, few: RangeInclusive<usize>, end: u8| {
        let digits = rest.iter().take(4).take_while(|b| digit(b)).count();
        match rest.get(digits) {
            Some(b'\\' | b'&') => true,
            Some(b) => few.contains(&digits) && *b == end,
            None => false,
        }
    };
    match anchor {
        b"10." => goes_on(u8::is_ascii_digit, 1..=3, b'.'),
        [b'f' | b'F', b'd' | b'D'] => goes_on(u8::is_ascii_hexdigit, 2..=2, b':'),
        _ => true,
    }
}

static V4: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?:10(?:\.\d{1,3}){3}|192\.168(?:\.\d{1,3}){2}|172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2}|169\.254(?:\.\d{1,3}){2})",
    )
});

static V6: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)\b(?:f[cd][0-9a-f]{2}|fe80):[0-9a-f:]{2,40}"));

static NAME: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:[a-z0-9_][a-z0-9_-]{0,62}\.){1,8}(?:internal|local|lan|corp|intranet|svc)(?::\d{2,5}\b)?",
    )
});

/// Words behind which a name is a machine's.
const OF_HOSTS: [&str; 8] = [
    "host",
    "hostname",
    "server",
    "enotfound",
    "eai_again",
    "resolve",
    "upstream",
    "node",
];
/// And those behind which four numbers are a version.
const OF_VERSIONS: [&str; 8] = [
    "version", "ver", "v", "release", "build", "firmware", "driver", "update",
];

/// Whether the host that was asked is one of inside itself: whoever asks knows it.
pub(super) fn is_internal(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_matches(['[', ']']);
    let inside = [".internal", ".local", ".lan", ".corp", ".intranet", ".svc"];
    name.parse::<Ipv4Addr>().is_ok()
        || name.parse::<Ipv6Addr>().is_ok()
        || !name.contains('.')
        || inside.iter().any(|end| name.ends_with(end))
}

/// Whether the text has one; not `anywhere`: as part of a URL alone, since an address by itself may
/// be what the API is about.
pub(super) fn has_internal(text: &str, anywhere: bool) -> bool {
    has_v4(text, anywhere) || has_v6(text, anywhere) || has_name(text, anywhere)
}

fn has_v4(text: &str, anywhere: bool) -> bool {
    V4.find_iter(text).any(|m| {
        let (before, behind) = (&text[..m.start()], &text[m.end()..]);
        let Ok(address) = m.as_str().parse::<Ipv4Addr>() else {
            return false;
        };
        let network = behind.starts_with('/') && address.octets()[3] == 0;
        let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        let mut next = behind.chars();
        let longer = match next.next() {
            Some('.') => next.next().is_some_and(|c| c.is_ascii_digit()),
            Some(c) => word(c),
            None => false,
        };
        let apart = !longer && !before.ends_with(|c| word(c) || c == '.');
        apart
            && (address.octets()[3] != 0 || network)
            && (in_url(before) || anywhere && !before.ends_with('/') && !is_version(before))
    })
}

fn has_v6(text: &str, anywhere: bool) -> bool {
    V6.find_iter(text).any(|m| {
        let before = &text[..m.start()];
        let address = m.as_str().trim_end_matches(':').parse::<Ipv6Addr>();
        let apart = !before.ends_with([':', '-', '.']);
        let bracket = before.strip_suffix('[').unwrap_or(before);
        apart && address.is_ok() && (anywhere || in_url(bracket))
    })
}

fn has_name(text: &str, anywhere: bool) -> bool {
    NAME.find_iter(text).any(|m| {
        let (before, behind) = (&text[..m.start()], &text[m.end()..]);
        let (name, port) = match m.as_str().split_once(':') {
            Some((name, _)) => (name, true),
            None => (m.as_str(), false),
        };
        // The name goes on, or is a call or a member of something.
        let more = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '(' | '=' | '@');
        if behind.starts_with(more) || behind.starts_with('.') && behind[1..].starts_with(more) {
            return false;
        }
        if before.ends_with(['-', '_', '.', '$', '/', '\\']) && !before.ends_with("//") {
            return false;
        }
        if in_url(before) {
            return true;
        }
        if !anywhere || before.ends_with('@') {
            return false;
        }
        let lower = name.to_ascii_lowercase();
        let labels: Vec<&str> = lower.split('.').collect();
        let cluster = lower.ends_with(".svc.cluster.local");
        let machine = labels
            .iter()
            .any(|l| l.contains('-') || l.contains(|c: char| c.is_ascii_digit()));
        let host = OF_HOSTS.contains(&last_word(before).as_str());
        cluster || port || host || labels.len() >= 3 && machine && !lower.ends_with(".svc")
    })
}

/// Directly behind `scheme://`, or `scheme://user@`.
fn in_url(before: &str) -> bool {
    let tail = before.char_indices().rev().nth(80).map_or(0, |(at, _)| at);
    let tail = &before[tail..];
    let Some(at) = tail.rfind("://") else {
        return false;
    };
    let user = &tail[at + 3..];
    user.is_empty() || user.ends_with('@') && !user.contains(['/', ' ', '"', '\''])
}

fn is_version(before: &str) -> bool {
    OF_VERSIONS.contains(&last_word(before).as_str())
}

fn last_word(before: &str) -> String {
    let end = before.trim_end_matches(|c: char| !c.is_alphanumeric());
    if before.len() - end.len() > 3 {
        return String::new();
    }
    let from = end.rfind(|c: char| !c.is_alphanumeric() && c != '_');
    let word = &end[from.map_or(0, |at| at + 1).min(end.len())..];
    word.to_ascii_lowercase()
}
