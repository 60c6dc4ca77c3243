//! Microsoft Teams: a workflow's webhook ("when a Teams webhook request is received") with an
//! Adaptive Card. A `TextBlock` and a fact read Markdown; a `TextRun` does not, so captured text
//! stands in these alone, and a link in it stays text.

use serde_json::{Value, json};

use super::http::{Format, Request};
use super::{Secret, text};
use crate::alert::Alert;
use crate::detect::Severity;

/// A message may have 28 KB, and one character four bytes: this much for each of its lines.
const LINE: usize = 250;

/// The URL is the secret: who has it may post.
#[derive(Clone, Debug)]
pub struct Teams {
    pub url: Secret,
}

impl Format for Teams {
    fn request(&self, alert: &Alert, _: i64) -> Request {
        Request::post(self.url.expose(), &message(alert))
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.url.expose(), self.url.path()]
    }
}

fn message(alert: &Alert) -> Value {
    let run = |text: &str, weight: &str, color: &str| json!({ "type": "TextRun", "text": text, "weight": weight, "color": color });
    let line = |inlines: Vec<Value>| json!({ "type": "RichTextBlock", "inlines": inlines });
    let color = match alert.severity {
        Severity::Critical | Severity::High => "attention",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "default",
    };
    let mut title = run(&text::title(alert, LINE), "bolder", color);
    title["size"] = "medium".into();
    let mut body = vec![line(vec![title])];
    for (name, value) in text::facts(alert) {
        let name = run(&format!("{name}: "), "bolder", "default");
        body.push(line(vec![
            name,
            run(&text::clean(&value, LINE), "default", "default"),
        ]));
    }
    for reason in text::evidence(alert, LINE) {
        body.push(line(vec![run(&reason, "default", "default")]));
    }
    let card = json!({ "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "msteams": { "width": "Full" }, "body": body });
    json!({ "type": "message", "attachments": [
        { "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card }] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sink::tests::{alert, hostile};

    #[test]
    fn a_card_in_a_message() {
        let m = message(&alert());
        assert_eq!(m["type"], "message");
        let card = &m["attachments"][0]["content"];
        assert_eq!(
            (&card["type"], &card["version"]),
            (&"AdaptiveCard".into(), &"1.4".into())
        );
        let first = &card["body"][0]["inlines"][0];
        assert_eq!(first["text"], "[HIGH] one token walks order ids");
        assert_eq!(first["color"], "attention");
    }

    #[test]
    fn captured_text_is_never_markdown_and_fits() {
        let m = message(&hostile());
        assert!(m.to_string().len() < 28_000, "{}", m.to_string().len());
        for element in m["attachments"][0]["content"]["body"].as_array().unwrap() {
            assert_eq!(element["type"], "RichTextBlock");
            for inline in element["inlines"].as_array().unwrap() {
                assert_eq!(inline["type"], "TextRun");
                assert!(!inline["text"].as_str().unwrap().contains(char::is_control));
            }
        }
    }
}
