//! What an answer gives away of the server: stack traces, errors of databases, addresses and paths
//! from inside, versions of its programs. What is returned says which; no text leaves.
//!
//! Precision first. One pass looks for what may begin such a thing (Aho and Corasick), and nearly
//! every body is let go behind it; only then its texts are taken apart. A trace is frames that
//! follow each other, two at least; a database's error is its well-known text with its marks. What
//! an answer with success says is believed only where its field is named for errors: articles about
//! errors are no errors.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::json::{Scanner, Value, unescape};
use crate::exchange::{Leaks, MAX_SOFTWARE};

mod address;
mod html;
mod path;
mod sql;
mod trace;

/// Bytes of a body that are looked at.
const MAX_LOOKED_AT: usize = 16 << 10;
/// Objects and arrays inside each other whose names are known.
const MAX_DEPTH: usize = 16;
/// Objects that look like frames make a trace.
const FRAMES: u32 = 2;

/// The answer at hand.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub status: u16,
    /// Lower case, no parameters; empty where there was none.
    pub media_type: &'a str,
    /// What it was asked for, which it may say again.
    pub host: &'a str,
    pub path: &'a str,
}

/// Whether content of that media type is text.
pub fn is_text(media_type: &str) -> bool {
    let form = media_type.rsplit(['/', '+']).next().unwrap_or_default();
    media_type.is_empty()
        || media_type.starts_with("text/") && media_type != "text/event-stream"
        || matches!(form, "json" | "xml" | "javascript" | "x-javascript")
}

/// What the body gives away.
pub fn in_body(answer: Answer<'_>, content: &[u8]) -> Leaks {
    let content = &content[..content.len().min(MAX_LOOKED_AT)];
    if !is_anchored(content) {
        return Leaks::default();
    }
    let mut looked = Looked {
        answer,
        failed: answer.status >= 400,
        found: Leaks::default(),
        frames: 0,
    };
    let media_type = answer.media_type;
    let begins = content.trim_ascii_start().first();
    if media_type.ends_with("json") || media_type.is_empty() && matches!(begins, Some(b'{' | b'['))
    {
        looked.json(content);
    } else if looked.failed {
        let text = String::from_utf8_lossy(content);
        let markup = media_type.contains("html") || begins == Some(&b'<');
        let text = if markup { html::text(&text) } else { text };
        looked.text(Says::Nothing, &text);
    }
    looked.found
}

/// Products with their versions, of `Server`, `X-Powered-By` and `X-AspNet-Version` in that order;
/// `None` where none tells its version. `Apache/2.4.41 (Ubuntu) PHP/7.4` is `Apache/2.4.41 PHP/7.4`.
pub fn software(fields: [Option<&[u8]>; 3]) -> Option<String> {
    let mut out = String::new();
    for (at, value) in fields.into_iter().enumerate() {
        let value = String::from_utf8_lossy(value.unwrap_or_default());
        for word in value.split_ascii_whitespace().take(8) {
            let named = match at {
                2 => format!("ASP.NET/{word}"),
                _ => word.trim_matches([',', ';', '(', ')']).to_owned(),
            };
            let room = MAX_SOFTWARE - out.len();
            if is_product(&named) && named.len() < room {
                if !out.is_empty() {
                    out.push(' ');
                }
                out.push_str(&named);
            }
        }
    }
    (!out.is_empty()).then_some(out)
}

/// `nginx/1.18.0`: a name, and a version of two numbers at least (RFC 9110, section 10.2.4).
fn is_product(word: &str) -> bool {
    let Some((name, version)) = word.split_once('/') else {
        return false;
    };
    let named = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let version = version.strip_prefix('v').unwrap_or(version);
    let mut numbers = version.split('.');
    let digits =
        |n: Option<&str>| n.is_some_and(|n| n.bytes().next().is_some_and(|b| b.is_ascii_digit()));
    name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && name.bytes().all(named)
        && version.bytes().all(|b| named(b) || b == b'+' || b == b'~')
        && digits(numbers.next())
        && digits(numbers.next())
}

/// What each of the things looked for has somewhere.
static ANCHORS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    automaton(
        &[
            trace::ANCHORS,
            sql::ANCHORS,
            address::ANCHORS,
            path::ANCHORS,
        ]
        .concat(),
    )
});

fn automaton(words: &[&str]) -> AhoCorasick {
    let built = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(words);
    built.unwrap_or_else(|_| unreachable!("the words are few and short"))
}

/// Whether the body may have any of them. Prices and hex digits hold the shortest anchors of
/// addresses, so those have to go on as an address would.
fn is_anchored(content: &[u8]) -> bool {
    let mut found = ANCHORS.find_overlapping_iter(content);
    found.any(|m| address::may_begin(&content[m.range()], &content[m.end()..]))
}

struct Looked<'a> {
    answer: Answer<'a>,
    failed: bool,
    found: Leaks,
    frames: u32,
}

/// How far a field's name says that it holds errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Error,
    /// It may: what it holds has to begin as one.
    Perhaps,
    Nothing,
    /// It repeats what was asked for.
    Asked,
}

/// Words in the names of fields that hold errors, and of those that may.
const ERROR: [&str; 9] = [
    "error",
    "exception",
    "trace",
    "stack",
    "fault",
    "debug",
    "cause",
    "failure",
    "sql",
];
const PERHAPS: [&str; 6] = ["message", "msg", "detail", "reason", "description", "title"];
const ASKED: [&str; 8] = [
    "path", "url", "uri", "href", "instance", "location", "self", "link",
];
static WORDS: LazyLock<AhoCorasick> =
    LazyLock::new(|| automaton(&[&ERROR[..], &PERHAPS[..]].concat()));

impl Says {
    fn of(name: &str) -> Self {
        if ASKED.iter().any(|word| name.eq_ignore_ascii_case(word)) {
            return Self::Asked;
        }
        let mut says = Self::Nothing;
        for found in WORDS.find_overlapping_iter(name) {
            if found.pattern().as_usize() < ERROR.len() {
                return Self::Error;
            }
            says = Self::Perhaps;
        }
        says
    }

    /// Of a field in an object that stands in a field itself: a general name inside of one for
    /// errors says what that one does (`{"error":{"data":[…]}}`).
    fn inside(self, name: &str) -> Self {
        match (Self::of(name), self) {
            (Self::Nothing, Self::Asked) => Self::Nothing,
            (Self::Nothing, around) => around,
            (own, _) => own,
        }
    }
}

/// An object or array that is read.
struct Open {
    object: bool,
    /// Of the field that it stands in, or the nearest around it that has one.
    says: Says,
    /// Of an array: its texts, which may be lines of one.
    lines: String,
    /// Of an object: it names a file of source, and a line in it.
    file: bool,
    line: bool,
}

impl Looked<'_> {
    /// Every text of the document, with the name of its field.
    fn json(&mut self, content: &[u8]) {
        let mut scanner = Scanner::new(content);
        let mut stack: Vec<Open> = Vec::new();
        loop {
            let depth = stack.len();
            let Some(open) = stack.last_mut() else {
                let Some(value) = scanner.value() else { break };
                match value {
                    Value::Object | Value::Array => stack.push(Open::new(value, Says::Nothing)),
                    Value::Text { raw, .. } => self.text(Says::Nothing, &unescape(raw)),
                    Value::Word(_) => {}
                }
                continue;
            };
            let key = if open.object { scanner.key() } else { None };
            let value = match (&key, open.object) {
                (Some(_), _) => scanner.value(),
                (None, true) => None,
                (None, false) => scanner.item(),
            };
            let Some(value) = value else {
                if let Some(done) = stack.pop() {
                    self.close(&done);
                }
                continue;
            };
            match (value, key) {
                (Value::Object | Value::Array, key) if depth < MAX_DEPTH => {
                    let says = key.map_or(open.says, |name| open.says.inside(&name));
                    stack.push(Open::new(value, says));
                }
                (Value::Object | Value::Array, _) => scanner.skip(value),
                (Value::Text { raw, .. }, Some(name)) => {
                    let text = unescape(raw);
                    open.note(&name, &text);
                    let says = open.says.inside(&name);
                    self.text(says, &text);
                }
                (Value::Text { raw, .. }, None) => {
                    open.lines.push_str(&unescape(raw));
                    open.lines.push('\n');
                }
                (Value::Word(word), key) => {
                    let number = word.first().is_some_and(u8::is_ascii_digit);
                    open.line |= number && key.is_some_and(|name| is_line(&name));
                }
            }
        }
    }

    fn close(&mut self, open: &Open) {
        if !open.lines.is_empty() {
            self.text(open.says, &open.lines);
        }
        if open.file && open.line && (self.failed || open.says == Says::Error) {
            self.frames += 1;
            if self.frames >= FRAMES {
                self.found |= Leaks::STACK_TRACE;
            }
        }
    }

    fn text(&mut self, says: Says, text: &str) {
        let trusted = self.failed || says == Says::Error;
        if says != Says::Asked && (trusted || says == Says::Perhaps) {
            if trace::is_trace(text, trusted) {
                self.found |= Leaks::STACK_TRACE;
            }
            if sql::is_error(text, trusted) {
                self.found |= Leaks::SQL_ERROR;
            }
        }
        if trusted && says != Says::Asked && path::has_path(text, self.answer.path) {
            self.found |= Leaks::FILE_PATH;
        }
        if !address::is_internal(self.answer.host) && address::has_internal(text, trusted) {
            self.found |= Leaks::INTERNAL_ADDRESS;
        }
    }
}

impl Open {
    fn new(value: Value<'_>, says: Says) -> Self {
        Self {
            object: value == Value::Object,
            says,
            lines: String::new(),
            file: false,
            line: false,
        }
    }

    fn note(&mut self, name: &str, text: &str) {
        let named = [
            "file",
            "fileName",
            "filename",
            "file_name",
            "source",
            "path",
        ]
        .contains(&name);
        self.file |= named && trace::is_source(text);
        self.line |= is_line(name) && text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty();
    }
}

fn is_line(name: &str) -> bool {
    ["line", "lineNumber", "lineno", "line_number"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_has_a_name_and_a_version() {
        let of = |server: &str, powered: &str, asp: &str| {
            let field = |s: &'static str| (!s.is_empty()).then_some(s.as_bytes());
            let leak = |s: &str| field(Box::leak(s.to_owned().into_boxed_str()));
            software([leak(server), leak(powered), leak(asp)]).unwrap_or_default()
        };
        assert_eq!(of("nginx/1.18.0", "", ""), "nginx/1.18.0");
        assert_eq!(
            of("Apache/2.4.41 (Ubuntu)", "PHP/7.4.3", ""),
            "Apache/2.4.41 PHP/7.4.3"
        );
        assert_eq!(
            of("Microsoft-IIS/10.0", "ASP.NET", "4.0.30319"),
            "Microsoft-IIS/10.0 ASP.NET/4.0.30319"
        );
        for nothing in [
            "nginx",
            "cloudflare",
            "ECS (dcb/7F83)",
            "Express",
            "a/b",
            "/1.2",
            "x/\u{1b}[1.2",
            "gws",
        ] {
            assert_eq!(of(nothing, "", ""), "", "{nothing}");
        }
        assert!(of(&"aaaa/1.1 ".repeat(100), "", "").len() <= MAX_SOFTWARE);
    }

    #[test]
    fn an_article_about_errors_is_none() {
        let trace = "java.lang.IllegalStateException: x\\n\\tat com.acme.A.b(A.java:12)\\n\\tat com.acme.C.d(C.java:7)";
        let of = |status, body: String| {
            let answer = Answer {
                status,
                media_type: "application/json",
                host: "api.example",
                path: "/a",
            };
            in_body(answer, body.as_bytes())
        };
        assert_eq!(
            of(200, format!(r#"{{"body":"{trace}"}}"#)),
            Leaks::default()
        );
        assert_eq!(
            of(200, format!(r#"{{"message":"I get this: {trace}"}}"#)),
            Leaks::default()
        );
        assert_eq!(
            of(200, format!(r#"{{"message":"{trace}"}}"#)),
            Leaks::STACK_TRACE
        );
        assert_eq!(
            of(
                200,
                format!(r#"{{"errors":[{{"extensions":{{"x":"{trace}"}}}}]}}"#)
            ),
            Leaks::STACK_TRACE
        );
        assert_eq!(
            of(500, format!(r#"{{"body":"{trace}"}}"#)),
            Leaks::STACK_TRACE
        );
        assert_eq!(
            of(500, r#"{"body":"at java.lang"}"#.into()),
            Leaks::default()
        );
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(0_u8.., 0..300), cut in 0_usize..200) {
            let answer = |media_type| Answer { status: 500, media_type, host: "h", path: "/" };
            let anchored = [b"at com.a.B.c(D.java:1) ORA-00942 10.0.0.1 /var/www/ ", &bytes[..]].concat();
            for media_type in ["application/json", "text/html", "text/plain", ""] {
                let _ = in_body(answer(media_type), &bytes);
                let _ = in_body(answer(media_type), &anchored);
            }
            let deep = format!(r#"{{"trace":{}"ORA-00942: x"#, "[{\"a\":".repeat(cut));
            let _ = in_body(answer("application/json"), deep.as_bytes());
        }
    }
}
