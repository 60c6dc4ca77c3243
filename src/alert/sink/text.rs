//! Words for people, from an alert. What was captured is hostile: it reaches no place before
//! [`clean`], and then only through that place's own encoder.

use serde::Serialize;

use crate::alert::{Alert, Status};

/// Lines of reasons and samples that a person is shown.
const LINES: usize = 10;

/// Controls, and what reorders or hides text.
pub(crate) fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Nothing hidden; `max` characters at most.
pub(super) fn clean(text: &str, max: usize) -> String {
    let mut out: String = text
        .chars()
        .take(max)
        .map(|c| if is_hidden(c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(max).is_some() {
        out.pop();
        out.push('…');
    }
    out
}

/// JSON as every sink writes it: one line, of which a terminal shows every character. JSON's own rules let
/// controls of the upper half stand, and what turns or hides text; its readers undo the escapes.
pub(super) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let json = serde_json::to_string(value)?;
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    Ok(out)
}

/// One line: how bad, what.
pub(super) fn title(alert: &Alert, max: usize) -> String {
    let mark = match alert.status {
        Status::Open => alert.severity.name(),
        other => other.name(),
    };
    clean(&format!("[{}] {}", mark.to_uppercase(), alert.summary), max)
}

/// Name and value of what a person asks first, each value cleaned and short.
pub(super) fn facts(alert: &Alert) -> Vec<(&'static str, String)> {
    let mut out = vec![
        ("Severity", alert.severity.name().to_owned()),
        ("Kind", alert.kind.clone()),
        ("Status", alert.status.name().to_owned()),
    ];
    let mut some = |name, value: Option<&String>| {
        if let Some(value) = value {
            out.push((name, clean(value, 300)));
        }
    };
    some("Endpoint", alert.endpoint.as_ref());
    let who = alert.principal.as_ref();
    some("Identity", who.and_then(|p| p.identity.as_ref()));
    some("Client", who.and_then(|p| p.client.as_ref()));
    some("Note", alert.note.as_ref());
    some("By", alert.changed_by.as_ref());
    out.push(("Seen", format!("{} to {}", alert.since, alert.until)));
    if alert.expected != alert.observed {
        let counts = format!("{:.1} / {:.1}", alert.expected, alert.observed);
        out.push(("Expected / observed", counts));
    }
    out.push(("Occurrences", alert.occurrences.to_string()));
    out
}

/// Reasons and samples, a cleaned line each.
pub(super) fn evidence(alert: &Alert, max: usize) -> Vec<String> {
    let all = alert.why.iter().chain(&alert.samples);
    all.take(LINES).map(|line| clean(line, max)).collect()
}

/// Method and path of the endpoint, where it is one.
pub(super) fn operation(alert: &Alert) -> Option<(&str, &str)> {
    let mut parts = alert.endpoint.as_deref()?.splitn(3, ' ');
    let (method, _, path) = (parts.next()?, parts.next()?, parts.next()?);
    Some((method, path))
}

/// The client's address, where it is one and not a network.
pub(super) fn client_ip(alert: &Alert) -> Option<std::net::IpAddr> {
    alert.principal.as_ref()?.client.as_ref()?.parse().ok()
}

pub(super) fn identity(alert: &Alert) -> Option<&str> {
    alert.principal.as_ref()?.identity.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hidden_and_nothing_long() {
        assert_eq!(
            clean("a\r\nb\u{1b}[31m\u{202e}c", 99),
            "a\u{fffd}\u{fffd}b\u{fffd}[31m\u{fffd}c"
        );
        assert_eq!(clean("abcdef", 6), "abcdef");
        assert_eq!(clean("abcdefg", 6), "abcde…");
        assert_eq!(clean("žluťoučký", 4), "žlu…");
    }

    proptest::proptest! {
        #[test]
        fn json_shows_all_and_reads_back(value in "\\PC{0,40}|[]\"\\\\\r\n\u{7f}\u{85}\u{9b}\u{2028}\u{202e}\u{e0041} a-c]{0,40}") {
            let json = json(&value).unwrap();
            proptest::prop_assert!(!json.contains(is_hidden));
            proptest::prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), value);
        }
    }
}
