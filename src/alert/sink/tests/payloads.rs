//! Published script injections through what every sink sends: whatever was captured stays a value. What
//! is sent has the form that it has with harmless text, each character of it can be seen, and where a
//! reader knows markup, there is none.

use std::path::Path;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::http::{Format, Request};
use super::super::text::{self, is_hidden};
use super::super::{
    Carrier, Class, Elastic, Layout, Mail, Ocsf, PagerDuty, Secret, Security, Slack, Splunk,
    Syslog, Teams, Webhook, cef, mail, syslog,
};
use super::alert;
use crate::alert::{Alert, Manager, Settings};
use crate::catalog::{Finding, FindingKind};
use crate::detect::Principal;

/// By it captured text is known again.
const MARK: &str = "cAptured";

/// Behind each payload: line ends that begin a header or a message, colours, a window's title, calls of
/// everybody, links and images of chats, an encoded word, and what ends a field.
const MORE: &str = "\r\nBcc: all@example.com\r\n\r\n.\r\n<34>1 - - - - - forged\u{1b}]0;x\u{7}\u{1b}[31m\u{9b}2J\u{202e}\u{2028}\
     <!channel> <!here> @channel @here <@U012345> <https://evil.example|log in> [log in](https://evil.example) \
     ![i](https://evil.example/i.png) <at>all</at> {{DATE(1)}} ${x} =?utf-8?B?4oCu?= \"] |x| a=b \\";

/// Each payload with the messages that carry it; made once for all tests.
static HOSTILE: LazyLock<Vec<(String, [Alert; 2])>> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/payloads/xss.txt");
    let Ok(text) = std::fs::read(&path) else {
        eprintln!("SKIPPED: {} is not there", path.display());
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().filter(|l| !l.trim().is_empty());
    let carried = lines.map(|l| (l.to_owned(), messages(&format!("{l}{MORE}"))));
    carried.collect()
});

/// An alert all of whose captured text is this, and the message of an incident that began with it.
fn messages(captured: &str) -> [Alert; 2] {
    let text = || format!("{MARK}{captured}");
    let subject = format!("GET {MARK}.example /{MARK}{captured}");
    let one = Alert {
        summary: text(),
        endpoint: Some(subject.clone()),
        host: Some(text()),
        principal: Some(Principal {
            identity: Some(text()),
            client: Some(text()),
        }),
        why: vec![text(); 2],
        samples: vec![text(); 2],
        note: Some(text()),
        changed_by: Some(text()),
        ..alert()
    };
    let mut manager = Manager::new(Settings::default());
    let at = one.ts;
    manager.raise_finding(&Finding {
        kind: FindingKind::Shadow,
        endpoint: None,
        subject,
        at,
        since: at,
        why: text(),
    });
    [one, manager.notices().remove(0).message]
}

fn http() -> [(&'static str, Box<dyn Format>); 8] {
    let url = || "https://sink.example/".to_owned();
    let secret = || Secret::new("https://sink.example/s3cret");
    let ocsf = |class| Ocsf {
        url: url(),
        token: None,
        class,
    };
    let splunk = Splunk {
        url: url(),
        token: secret(),
        index: None,
    };
    let elastic = Elastic {
        url: url(),
        index: "alerts".into(),
        api_key: secret(),
    };
    let pager = PagerDuty {
        url: url(),
        routing_key: secret(),
    };
    let webhook = Webhook {
        url: url(),
        keys: Vec::new(),
    };
    [
        ("webhook", Box::new(webhook)),
        ("slack", Box::new(Slack { url: secret() })),
        ("teams", Box::new(Teams { url: secret() })),
        ("pagerduty", Box::new(pager)),
        ("splunk", Box::new(splunk)),
        ("elastic", Box::new(elastic)),
        ("finding", Box::new(ocsf(Class::DetectionFinding))),
        ("activity", Box::new(ocsf(Class::ApiActivity))),
    ]
}

/// Whether a message differs from another in nothing but captured text, and what is named by it.
fn alike(one: &Value, two: &Value, (of_one, of_two): (&Alert, &Alert)) -> bool {
    match (one, two) {
        (Value::String(a), Value::String(b)) => {
            let renamed = || {
                let b = b.replace(&of_two.id, &of_one.id);
                b.replace(&of_two.fingerprint, &of_one.fingerprint)
            };
            a == b || (a.contains(MARK) && b.contains(MARK)) || *a == renamed()
        }
        (Value::Array(a), Value::Array(b)) => {
            let mut pairs = a.iter().zip(b);
            a.len() == b.len() && pairs.all(|(a, b)| alike(a, b, (of_one, of_two)))
        }
        (Value::Object(a), Value::Object(b)) => {
            let mut pairs = a.iter().zip(b);
            let same = |((k, a), (l, b))| k == l && alike(a, b, (of_one, of_two));
            a.len() == b.len() && pairs.all(same)
        }
        (a, b) => a == b,
    }
}

/// Where a request goes with which headers, and its body.
fn request(format: &dyn Format, alert: &Alert) -> (String, Value) {
    let Request {
        url, headers, body, ..
    } = format.request(alert, 7);
    assert!(!body.contains(is_hidden), "{body}");
    assert!(headers.iter().all(|(_, v)| !v.contains(is_hidden)));
    let said = format!("{url} {headers:?}").replace(&alert.id, "id");
    (said, serde_json::from_str(&body).unwrap())
}

#[test]
fn in_json_it_is_only_data() {
    let calm = messages(" ");
    for (name, format) in http() {
        let expected = calm.each_ref().map(|alert| request(&*format, alert));
        let carried = expected[0].1.to_string().matches(MARK).count();
        assert!(carried >= 4, "{name} shows {carried} of it");
        for (n, (payload, carry)) in HOSTILE.iter().enumerate() {
            // An incident's message is written by the same hands: some of them will do.
            let carry = &carry[..if n % 10 == 0 { 2 } else { 1 }];
            for ((alert, calm), (to, as_calm)) in carry.iter().zip(&calm).zip(&expected) {
                let (sent_to, body) = request(&*format, alert);
                assert_eq!(sent_to, *to, "{name}: {payload}");
                let found = alike(&body, as_calm, (alert, calm));
                assert!(found, "{name}: {payload}: {body:#}");
                if name == "slack" {
                    calls_nobody(&body);
                }
            }
        }
    }
}

/// Slack reads markup in the one text that is no `plain_text`: escapes stand there, and no address and
/// no name is looked for.
fn calls_nobody(body: &Value) {
    let text = body["text"].as_str().unwrap();
    let bare = ["&amp;", "&lt;", "&gt;"]
        .iter()
        .fold(text.to_owned(), |text, escape| text.replace(escape, ""));
    assert!(!bare.contains(['&', '<', '>']), "{text}");
    assert_eq!(
        (&body["parse"], &body["link_names"]),
        (&"none".into(), &false.into())
    );
    assert!(!body["blocks"].to_string().contains("mrkdwn"));
}

/// Teams reads Markdown everywhere but in a `TextRun`; one without an action is no link.
#[test]
fn a_card_has_no_place_for_markdown_or_links() {
    let teams = Teams {
        url: Secret::new("https://sink.example/"),
    };
    for alert in messages(MORE) {
        let (_, body) = request(&teams, &alert);
        let card = &body["attachments"][0]["content"];
        for line in card["body"].as_array().unwrap() {
            assert_eq!(line["type"], "RichTextBlock");
            for run in line["inlines"].as_array().unwrap() {
                let keys = run.as_object().unwrap().keys();
                let allowed = ["type", "text", "weight", "color", "size"];
                assert!(keys.into_iter().all(|k| allowed.contains(&k.as_str())));
                assert_eq!(run["type"], "TextRun");
            }
        }
        for may_act in ["actions", "selectAction", "entities"] {
            assert!(!body.to_string().contains(&format!("\"{may_act}\":")));
        }
    }
}

fn mail_sender() -> mail::Sender {
    let settings = Mail {
        host: "mail.example".into(),
        port: 587,
        security: Security::Starttls,
        from: "apitap <apitap@example.com>".into(),
        to: vec!["soc@example.com".into()],
        login: None,
    };
    mail::Sender::new(settings, None, Default::default()).unwrap()
}

/// Names with values, continued lines joined.
fn headers(head: &str) -> Vec<(String, String)> {
    let joined = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let lines = joined.split("\r\n").map(|line| line.split_once(": "));
    let pairs = lines.map(|pair| pair.map(|(n, v)| (n.to_owned(), v.to_owned())).unwrap());
    pairs.collect()
}

/// As a reader of mail decodes it (RFC 2047): the space between two encoded words is none.
fn decoded(value: &str) -> String {
    let (mut out, mut was_encoded) = (String::new(), false);
    for word in value.split(' ') {
        let coded = word.strip_prefix("=?utf-8?b?");
        let coded = coded.and_then(|w| w.strip_suffix("?="));
        let joined = was_encoded && coded.is_some();
        if !joined && !out.is_empty() {
            out.push(' ');
        }
        was_encoded = coded.is_some();
        match coded {
            Some(coded) => {
                out += &String::from_utf8(STANDARD.decode(coded).unwrap()).unwrap();
            }
            None => {
                assert!(!word.contains("=?"), "{word} would be decoded");
                out += word;
            }
        }
    }
    out
}

#[test]
fn in_a_mail_it_begins_no_header_and_no_part() {
    let sender = mail_sender();
    let sent = |alert: &Alert| {
        let text = String::from_utf8(sender.message(alert).unwrap().formatted()).unwrap();
        let wrong = |c: char| is_hidden(c) && c != '\r' && c != '\n';
        assert!(!text.contains(wrong), "{text}");
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{text}");
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        headers(head)
    };
    let names = |headers: &[(String, String)]| -> Vec<String> {
        headers.iter().map(|(name, _)| name.clone()).collect()
    };
    for (n, calm) in messages(" ").iter().enumerate() {
        let (expected, lines) = (sent(calm), mail::body(calm).lines().count());
        for (payload, carry) in &*HOSTILE {
            let alert = &carry[n];
            let found = sent(alert);
            assert_eq!(names(&found), names(&expected), "{payload}");
            for (name, value) in &found {
                match name.as_str() {
                    "Subject" => {
                        let subject = decoded(value);
                        assert!(subject.contains(MARK) && !subject.contains(is_hidden));
                    }
                    "Content-Type" => assert_eq!(value, "text/plain; charset=utf-8"),
                    _ => assert!(!value.contains(MARK)),
                }
            }
            assert_eq!(mail::body(alert).lines().count(), lines, "{payload}");
        }
    }
}

/// What stands between bars that are not escaped, seven times; and the rest.
fn cef_head(line: &str) -> (Vec<&str>, &str) {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (i, c) in line.char_indices() {
        if c == '|' && !escaped {
            parts.push(&line[start..i]);
            start = i + 1;
        }
        escaped = c == '\\' && !escaped;
        if parts.len() == 7 {
            break;
        }
    }
    (parts, &line[start..])
}

/// The names before each equals sign that is not escaped.
fn cef_names(fields: &str) -> Vec<&str> {
    let (mut names, mut escaped) = (Vec::new(), false);
    for (i, c) in fields.char_indices() {
        if c == '=' && !escaped {
            names.push(fields[..i].rsplit(' ').next().unwrap());
        }
        escaped = c == '\\' && !escaped;
    }
    names
}

#[test]
fn in_cef_it_begins_no_field() {
    for (n, calm) in messages(" ").iter().enumerate() {
        let line = cef::line(calm);
        let (head, fields) = cef_head(&line);
        assert_eq!(head.len(), 7);
        for (payload, carry) in &*HOSTILE {
            let line = cef::line(&carry[n]);
            assert!(!line.contains(is_hidden), "{line}");
            let found = cef_head(&line);
            // All but the name of the event.
            assert_eq!(found.0[..5], head[..5], "{payload}");
            assert_eq!(found.0[6], head[6], "{payload}");
            assert_eq!(cef_names(found.1), cef_names(fields), "{payload}");
        }
    }
}

/// Names of the structured data's values, and what stands behind it (RFC 5424, 6.3).
fn structured(message: &str) -> (Vec<&str>, &str) {
    let mut rest = &message[message.find(" [").unwrap() + 2..];
    rest = &rest[rest.find(' ').unwrap()..];
    let mut names = Vec::new();
    while let Some(next) = rest.strip_prefix(' ') {
        let (name, value) = next.split_once("=\"").unwrap();
        names.push(name);
        let mut escaped = false;
        let end = value.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        rest = &value[end.unwrap() + 1..];
    }
    (names, rest.strip_prefix("] ").unwrap())
}

#[test]
fn in_syslog_it_is_one_line_and_ends_no_value() {
    for layout in [Layout::Json, Layout::Cef] {
        let settings = Syslog {
            host: "syslog.example".into(),
            port: 6514,
            carrier: Carrier::Tls,
            layout,
            facility: 16,
        };
        for (n, calm) in messages(" ").iter().enumerate() {
            let line = syslog::message(calm, &settings, "sensor");
            let (names, _) = structured(&line);
            for (payload, carry) in &*HOSTILE {
                let alert = &carry[n];
                let line = syslog::message(alert, &settings, "sensor");
                assert!(!line.contains(is_hidden), "{line}");
                let found = structured(&line);
                assert_eq!(found.0, names, "{payload}");
                match layout {
                    Layout::Json => {
                        let read: Alert = serde_json::from_str(found.1).unwrap();
                        assert_eq!((&read.id, read.status), (&alert.id, alert.status));
                    }
                    Layout::Cef => assert!(found.1.starts_with("CEF:0|apitap|apitap|")),
                }
            }
        }
    }
}

/// The line of a file, which is read on a terminal as well.
#[test]
fn in_a_file_it_is_one_line_that_reads_back() {
    for alert in HOSTILE.iter().flat_map(|(_, carry)| carry) {
        let line = text::json(alert).unwrap();
        assert!(!line.contains(is_hidden), "{line}");
        assert_eq!(&serde_json::from_str::<Alert>(&line).unwrap(), alert);
    }
}
