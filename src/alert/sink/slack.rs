//! Slack: an incoming webhook with Block Kit. Captured text stands in `plain_text` objects, where
//! nothing is markup; the fall-back text for notifications is escaped as mrkdwn asks (`&`, `<`, `>`),
//! so that no `<!channel>` calls anybody and no `<https://…|text>` is a link, and Slack is told to look
//! for neither addresses nor names in it.

use serde_json::{Value, json};

use super::http::{Format, Request};
use super::{Secret, text};
use crate::alert::Alert;

/// Limits of Block Kit, in characters: a header, a field, a text; fields a section.
const HEADER: usize = 150;
const FIELD: usize = 2_000;
const TEXT: usize = 3_000;
const FIELDS: usize = 10;

/// The URL is the secret: who has it may post.
#[derive(Clone, Debug)]
pub struct Slack {
    pub url: Secret,
}

impl Format for Slack {
    fn request(&self, alert: &Alert, _: i64) -> Request {
        Request::post(self.url.expose(), &message(alert))
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.url.expose(), self.url.path()]
    }
}

fn message(alert: &Alert) -> Value {
    let plain = |text: &str, max| json!({ "type": "plain_text", "emoji": false, "text": text::clean(text, max) });
    let fields: Vec<Value> = text::facts(alert)
        .into_iter()
        .take(FIELDS)
        .map(|(name, value)| {
            // `clean` would take the line feed out.
            json!({ "type": "plain_text", "emoji": false, "text": format!("{name}\n{}", text::clean(&value, FIELD - 40)) })
        })
        .collect();
    let mut blocks = vec![
        json!({ "type": "header", "text": plain(&text::title(alert, HEADER), HEADER) }),
        json!({ "type": "section", "fields": fields }),
    ];
    let evidence = text::evidence(alert, TEXT / 11).join("\n");
    if !evidence.is_empty() {
        let text = json!({ "type": "plain_text", "emoji": false, "text": evidence });
        blocks.push(json!({ "type": "section", "text": text }));
    }
    let id = plain(&format!("apitap alert {}", alert.id), HEADER);
    blocks.push(json!({ "type": "context", "elements": [id] }));
    json!({ "text": mrkdwn(&text::title(alert, TEXT)), "blocks": blocks, "unfurl_links": false, "unfurl_media": false,
        "parse": "none", "link_names": false })
}

/// The three characters that begin anything in mrkdwn.
fn mrkdwn(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sink::tests::{alert, hostile, strings};

    #[test]
    fn as_block_kit_has_it() {
        let m = message(&alert());
        let kinds: Vec<&Value> = m["blocks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|b| &b["type"])
            .collect();
        assert_eq!(kinds, ["header", "section", "section", "context"]);
        assert_eq!(
            m["blocks"][0]["text"]["text"],
            "[HIGH] one token walks order ids"
        );
        let fields = m["blocks"][1]["fields"].as_array().unwrap();
        assert!(fields.len() <= FIELDS);
        assert_eq!(
            fields[3]["text"],
            "Endpoint\nGET api.example.com /v1/orders/{order_id}"
        );
    }

    #[test]
    fn captured_text_is_no_markup_and_keeps_the_limits() {
        let m = message(&hostile());
        let fallback = m["text"].as_str().unwrap();
        assert!(fallback.contains("&lt;!channel&gt;") && !fallback.contains(['<', '>']));
        assert!(
            m["blocks"][0]["text"]["text"]
                .as_str()
                .unwrap()
                .chars()
                .count()
                <= HEADER
        );
        for block in m["blocks"].as_array().unwrap() {
            assert!(!block.to_string().contains("mrkdwn"));
            for text in strings(block) {
                assert!(text.chars().count() <= TEXT);
                assert!(!text.contains(['\r', '\u{1b}', '\u{202e}']));
            }
        }
    }
}
