//! ArcSight's Common Event Format, version 0: a header in bars, then `key=value`.

use super::text::{self, clean};
use crate::alert::Alert;
use crate::detect::Severity;

/// Characters of the longest values; the format allows 1,023 for most.
const NAME: usize = 512;
const LONG: usize = 1_000;

/// One line, without a line feed.
pub(super) fn line(alert: &Alert) -> String {
    let severity = match alert.severity {
        Severity::Info => 1,
        Severity::Low => 3,
        Severity::Medium => 5,
        Severity::High => 8,
        Severity::Critical => 10,
    };
    let head = format!(
        "CEF:0|apitap|apitap|{}|{}|{}|{severity}|",
        env!("CARGO_PKG_VERSION"),
        header(&format!("{}:{}", alert.kind, alert.detector), NAME),
        header(&alert.summary, NAME),
    );
    let millis = |at: crate::time::Timestamp| at.nanos().div_euclid(1_000_000).to_string();
    let mut fields: Vec<(&str, String)> = vec![
        ("rt", millis(alert.last_seen)),
        ("start", millis(alert.since)),
        ("end", millis(alert.until)),
        ("externalId", alert.id.clone()),
        ("cat", alert.kind.clone()),
        ("act", alert.status.name().to_owned()),
        ("cnt", alert.occurrences.to_string()),
        ("cn1", alert.revision.to_string()),
        ("cn1Label", "revision".into()),
    ];
    match text::client_ip(alert) {
        Some(std::net::IpAddr::V4(ip)) => fields.push(("src", ip.to_string())),
        Some(std::net::IpAddr::V6(ip)) => {
            fields.push(("c6a2", ip.to_string()));
            fields.push(("c6a2Label", "Source IPv6 Address".into()));
        }
        None => {}
    }
    let mut some = |key, value: Option<&str>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            fields.push((key, clean(value, LONG)));
        }
    };
    some("suid", text::identity(alert));
    some("dhost", alert.host.as_deref());
    some("requestMethod", text::operation(alert).map(|(m, _)| m));
    some("request", text::operation(alert).map(|(_, p)| p));
    if !alert.owasp.is_empty() {
        some("cs1", Some(&alert.owasp));
        some("cs1Label", Some("owasp"));
    }
    some("msg", Some(&alert.why.join("; ")));
    let fields: Vec<String> = fields
        .into_iter()
        .map(|(key, value)| format!("{key}={}", extension(&value)))
        .collect();
    head + &fields.join(" ")
}

/// In the header a bar ends the field.
fn header(text: &str, max: usize) -> String {
    clean(text, max).replace('\\', "\\\\").replace('|', "\\|")
}

/// In the extension an equals sign begins a value.
fn extension(text: &str) -> String {
    text.replace('\\', "\\\\").replace('=', "\\=")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sink::tests::{alert, hostile};

    #[test]
    fn a_line_of_cef() {
        let text = line(&alert());
        let (head, fields) = text.split_at(text.find("|rt=").unwrap() + 1);
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            head,
            format!("CEF:0|apitap|apitap|{version}|enumeration:walk|one token walks order ids|8|")
        );
        insta::assert_snapshot!(fields, @r"rt=1760000000000 start=1759999400000 end=1760000000000 externalId=0123456789abcdef0123 cat=enumeration act=open cnt=1 cn1=1 cn1Label=revision src=10.0.0.5 suid=bearer:5f0c dhost=api.example.com requestMethod=GET request=/v1/orders/{order_id} cs1=API1:2023 cs1Label=owasp msg=412 ids in ten minutes; step 1");
    }

    /// Read back by the rules of the format: no field begins that is not ours.
    #[test]
    fn captured_text_begins_no_field() {
        let text = line(&hostile());
        assert!(!text.contains(char::is_control));
        let mut bars = 0;
        let mut escaped = false;
        let mut at = 0;
        for (i, c) in text.char_indices() {
            if c == '|' && !escaped {
                bars += 1;
                at = i + 1;
            }
            escaped = c == '\\' && !escaped;
            if bars == 7 {
                break;
            }
        }
        assert_eq!(bars, 7);
        let known = "rt start end externalId cat act cnt cn1 cn1Label src suid dhost requestMethod request cs1 cs1Label msg";
        let fields = &text[at..];
        for (i, _) in fields.match_indices('=') {
            let behind = fields[..i].chars().rev().take_while(|c| *c == '\\').count();
            if behind % 2 == 0 {
                let key = fields[..i].rsplit(' ').next().unwrap();
                assert!(known.split(' ').any(|k| k == key), "{key}");
            }
        }
    }

    proptest::proptest! {
        /// What the format's own reader makes of it is what was cleaned.
        #[test]
        fn values_read_back(value in "\\PC{0,40}|[|=\\\\\r\n a-c]{0,40}") {
            let written = extension(&clean(&value, 100));
            let mut read = String::new();
            let mut chars = written.chars();
            while let Some(c) = chars.next() {
                proptest::prop_assert!(c != '=' && !c.is_control());
                read.push(if c == '\\' { chars.next().unwrap() } else { c });
            }
            proptest::prop_assert_eq!(read, clean(&value, 100));
        }
    }
}
