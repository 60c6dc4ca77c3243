//! Enough of PromQL to tell which metrics an expression asks for.

use std::collections::BTreeSet;

/// Words of the language that stand where a metric could.
const KEYWORDS: [&str; 12] = [
    "and", "or", "unless", "bool", "offset", "atan2", "inf", "nan", "by", "without", "on",
    "ignoring",
];
/// Before a list of labels in parentheses.
const OF_LABELS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// Names of metrics, of an expression without templates. Strings, label matchers, ranges, numbers,
/// functions and lists of labels are passed over.
pub(crate) fn metrics(expression: &str) -> BTreeSet<String> {
    let text: Vec<char> = expression.chars().collect();
    let (mut at, mut out) = (0, BTreeSet::new());
    while at < text.len() {
        match text[at] {
            quote @ ('"' | '\'' | '`') => at = behind_string(&text, at, quote),
            '{' => at = behind(&text, at, '}'),
            '[' => at = behind(&text, at, ']'),
            c if c.is_ascii_digit() || (c == '.' && digit_follows(&text, at)) => {
                while at < text.len() && (text[at].is_ascii_alphanumeric() || text[at] == '.') {
                    at += 1;
                }
            }
            c if c.is_ascii_alphabetic() || c == '_' || c == ':' => {
                let begin = at;
                while at < text.len()
                    && (text[at].is_ascii_alphanumeric() || matches!(text[at], '_' | ':'))
                {
                    at += 1;
                }
                let word: String = text[begin..at].iter().collect();
                let next = (at..text.len()).find(|i| !text[*i].is_whitespace());
                let called = next.is_some_and(|i| text[i] == '(');
                let lower = word.to_lowercase();
                if called && OF_LABELS.contains(&lower.as_str()) {
                    at = behind(&text, next.unwrap_or(at), ')');
                } else if !(called
                    || KEYWORDS.contains(&lower.as_str())
                    || before_labels(&text, next, &lower))
                {
                    out.insert(word);
                }
            }
            _ => at += 1,
        }
    }
    out
}

/// An aggregation with its labels before its argument: `sum by (le) (…)`.
fn before_labels(text: &[char], next: Option<usize>, word: &str) -> bool {
    const AGGREGATIONS: [&str; 12] = [
        "sum",
        "min",
        "max",
        "avg",
        "group",
        "stddev",
        "stdvar",
        "count",
        "count_values",
        "bottomk",
        "topk",
        "quantile",
    ];
    let rest: String = next.map_or_else(String::new, |i| text[i..].iter().collect());
    AGGREGATIONS.contains(&word) && (rest.starts_with("by") || rest.starts_with("without"))
}

fn digit_follows(text: &[char], at: usize) -> bool {
    text.get(at + 1).is_some_and(char::is_ascii_digit)
}

fn behind_string(text: &[char], open: usize, quote: char) -> usize {
    let mut at = open + 1;
    while at < text.len() && text[at] != quote {
        at += if text[at] == '\\' && quote != '`' {
            2
        } else {
            1
        };
    }
    at + 1
}

/// Behind the bracket that closes; strings in between may hold it.
fn behind(text: &[char], open: usize, close: char) -> usize {
    let mut at = open + 1;
    while at < text.len() && text[at] != close {
        at = match text[at] {
            quote @ ('"' | '\'' | '`') => behind_string(text, at, quote),
            _ => at + 1,
        };
    }
    at + 1
}

#[test]
fn metrics_are_told_from_all_else() {
    let found = |e: &str| metrics(e).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(
        found(
            "sum by (job, le) (rate(a_total{x=\"b}c\",y=~'d'}[5m])) / on (job) group_left (v) b > 0.05"
        ),
        "a_total b"
    );
    assert_eq!(
        found("topk(10, a:rate5m offset 1h) and time() - c > 1.8e9 or b unless nan"),
        "a:rate5m b c"
    );
    assert_eq!(
        found("histogram_quantile(.95, sum without(x) (y_bucket))"),
        "y_bucket"
    );
    assert_eq!(found("-1 * sum(sum_of_all) by (job) + inf"), "sum_of_all");
}
