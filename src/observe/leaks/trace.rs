//! Stack traces by their frames, language by language.

use std::sync::LazyLock;

use regex::Regex;

use super::sql::regex;

/// One of these is in every trace.
pub(super) const ANCHORS: &[&str] = &[
    ".java:",
    ".kt:",
    ".scala:",
    ".groovy:",
    "(native method)",
    "(unknown source)",
    ".cs:",
    "   at ",
    "\\tat ",
    "\tat ",
    "at system.",
    "at microsoft.",
    ".py\"",
    ".py\\\"",
    ".py&quot;",
    ".py</",
    ".py,",
    "traceback (most",
    ".php(",
    ".php:",
    "{main}",
    ".php\"",
    ".rb:",
    ".erb:",
    ".js:",
    ".mjs:",
    ".cjs:",
    ".ts:",
    "node:internal",
    ".go:",
    "goroutine ",
    ".rs:",
    "stack backtrace:",
    "panicked at",
    "linenumber",
];

/// Lines between two frames of one trace: source, variables, folded frames.
const GAP: usize = 6;
/// Bytes of a line that are looked at.
const MAX_LINE: usize = 400;

struct Language {
    /// A line that announces a trace; with it one frame is enough.
    head: Option<Regex>,
    frame: Regex,
}

static LANGUAGES: LazyLock<Vec<Language>> = LazyLock::new(|| {
    let all: [(&str, &str); 8] = [
        // Java, Kotlin, Scala; Tomcat's pages leave out the `at`.
        (
            "",
            r"^\s*(?:at )?(?:[\w.@-]+//?)?(?:[\w$]+\.)+(?:[\w$]+|<\w+>)\((?:[\w$]+\.(?:java|kt|scala|groovy|clj):\d+|Native Method|Unknown Source|<generated>)\)",
        ),
        // .NET; ASP.NET's pages leave out the `at`, and have the file behind.
        (
            "",
            r"^\s*at (?:[\w`<>\[\],|+]+\.)+[\w`<>\[\],|.]+\((?:[\w.`<>\[\],&*+]+ \w+(?:, )?)*\)(?: in .+:line \d+)?\s*$|^\s+(?:\w+\.)+\w+\([^()]*\) in [A-Za-z]:\\.+:\d+\s*$",
        ),
        (
            r"Traceback \(most recent call last\):",
            r#"^\s*File "[^"]+", line \d+(?:, in .+)?\s*$|^\s*\S+\.py,? line \d+,? in \S+"#,
        ),
        (
            r"(?i)stack trace:\s*$",
            r"^\s*#\d+ (?:\{main\}|\[internal function\]: |\S+\.(?:php|phtml|inc)\(\d+\): )",
        ),
        (
            "",
            r#"^\s*(?:\d+: )?(?:from )?[^\s:()]+\.(?:rb|erb|rake|ru):\d+:in [`'"][^'"`]+['"`]"#,
        ),
        (
            "",
            r"^\s*at (?:async )?(?:.{1,120} \()?(?:file://|node:|webpack\S*:|internal/|/|[A-Za-z]:\\)[^()]*:\d+:\d+\)?\s*$",
        ),
        (
            r"^\s*goroutine \d+ \[[\w ,.]+\]:",
            r"^\s*(?:/|[A-Za-z]:[/\\])\S+\.go:\d+(?: \+0x[0-9a-f]+)?\s*$",
        ),
        (
            r"panicked at |^\s*stack backtrace:",
            r"^\s+at \S+\.rs:\d+(?::\d+)?\s*$|^\s*\d+: +(?:0x[0-9a-f]+ - )?<?[\w<>]+(?:::[\w<>{}$#]+)+",
        ),
    ];
    let made = all.into_iter().map(|(head, frame)| Language {
        head: (!head.is_empty()).then(|| regex(head)),
        frame: regex(frame),
    });
    made.collect()
});

/// What an exception says first: `java.lang.IllegalStateException: …`, `TypeError: …`.
static HEAD: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^\s*(?:Traceback \(most recent|goroutine \d+ \[|panic: |thread '|Caused by: |Unhandled |Uncaught |Exception in thread |PHP |#\d |[\w.$\\:]*(?:Error|Exception|Throwable|Fault)\b)",
    )
});

/// Whether the text has frames that follow each other; not `anywhere`: they are what it begins with.
pub(super) fn is_trace(text: &str, anywhere: bool) -> bool {
    let begins = |l: &Language| {
        let first = text.lines().find(|line| !line.trim().is_empty());
        first.is_some_and(|line| HEAD.is_match(line) || l.frame.is_match(line))
    };
    let found = LANGUAGES.iter().find(|l| l.is_in(text));
    found.is_some_and(|l| anywhere || begins(l))
}

impl Language {
    fn is_in(&self, text: &str) -> bool {
        let (mut frames, mut head, mut gap) = (0, false, 0);
        for line in text.lines() {
            let mut end = line.len().min(MAX_LINE);
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            let line = &line[..end];
            gap += 1;
            if gap > GAP {
                (frames, head) = (0, false);
            }
            if self.frame.is_match(line) {
                (frames, gap) = (frames + 1, 0);
            } else if self.head.as_ref().is_some_and(|h| h.is_match(line)) {
                (head, gap) = (true, 0);
            }
            if frames >= 2 || head && frames == 1 {
                return true;
            }
        }
        false
    }
}

/// Whether that is the name of a file of source.
pub(super) fn is_source(name: &str) -> bool {
    const ENDS: [&str; 12] = [
        "php", "py", "rb", "java", "kt", "scala", "cs", "go", "rs", "js", "ts", "mjs",
    ];
    let end = name.rsplit_once('.').map(|(_, end)| end);
    end.is_some_and(|end| ENDS.contains(&end)) && !name.contains("://")
}
