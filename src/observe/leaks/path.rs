//! Paths of files on the server.

use std::sync::LazyLock;

use regex::Regex;

use super::sql::regex;

/// One of these is in every such path.
pub(super) const ANCHORS: &[&str] = &[
    "/var/",
    "/usr/",
    "/home/",
    "/opt/",
    "/srv/",
    "/etc/",
    "/root/",
    "/app/",
    "/users/",
    "/workspace/",
    "/mnt/",
    ":\\",
];

static UNIX: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"/(?:var/(?:www|lib|log|task|run|opt|app)|usr/(?:local|lib|src|share|app)|home/[\w.-]+|opt/[\w.-]+|srv|etc|root|Users/[\w.-]+|app|workspace|mnt/[\w.-]+)/(?:[\w.@+~-]+/)*[\w.@+~-]+\.(?:php|phtml|inc|py|rb|java|jar|class|cs|go|rs|[cm]?[jt]s|[jt]sx|pl|conf|cfg|ini|ya?ml|env|log|sql|db|sqlite3?|sock|pem|key|so|war|jsp|xml|properties|toml|erb|twig|json|ejs|pug|lua|ex|exs)\b",
    )
});

static WINDOWS: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\b[A-Za-z]:\\(?:[\w .$@()~-]+\\)+[\w .$@()~-]*\.[A-Za-z0-9]{1,6}\b"));

/// Words behind which a path is what was asked for.
const ASKED: [&str; 12] = [
    "get", "post", "put", "patch", "delete", "head", "options", "url", "uri", "path", "route",
    "resource",
];

/// Whether the text has one that is not `asked` again.
pub(super) fn has_path(text: &str, asked: &str) -> bool {
    WINDOWS.is_match(text)
        || UNIX.find_iter(text).any(|m| {
            let before = &text[..m.start()];
            // A URL's path has its host before it; a relative one goes on from somewhere.
            let apart = !before.ends_with(|c: char| {
                c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '%' | '}' | ']')
            });
            apart && !asked.contains(m.as_str()) && !is_asked(before)
        })
}

fn is_asked(before: &str) -> bool {
    let end = before.trim_end_matches([' ', ':', '\'', '"', '`', '[', '(']);
    let from = end.rfind(|c: char| !c.is_alphanumeric());
    let word = &end[from.map_or(0, |at| at + 1).min(end.len())..];
    ASKED.iter().any(|asked| word.eq_ignore_ascii_case(asked))
}
