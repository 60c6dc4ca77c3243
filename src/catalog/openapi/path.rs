//! Path templates as legal keys of a document.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::catalog::view::EndpointView;

/// What RFC 3986 has no place for in a segment. `%` stays: templates are encoded as far as they
/// would be read otherwise (`segment::show`).
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// As much for a server's URL, whose braces name variables.
const HOST: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

pub(super) struct Legal {
    pub(super) path: String,
    /// The path with its parameters' names left out: what may stand in a document but once.
    pub(super) shape: String,
    pub(super) names: Vec<String>,
}

pub(super) fn of(e: &EndpointView) -> Legal {
    let (mut path, mut shape, mut names) = (String::new(), String::new(), Vec::new());
    for segment in e.template.split('/').filter(|s| !s.is_empty()) {
        path.push('/');
        shape.push('/');
        match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
            Some(name) => {
                let name = unique(name, &names);
                path.extend(["{", &name, "}"]);
                shape.push_str("{}");
                names.push(name);
            }
            None => {
                let word = utf8_percent_encode(segment, SEGMENT).to_string();
                path.push_str(&word);
                shape.push_str(&word.to_lowercase());
            }
        }
    }
    if path.is_empty() {
        (path, shape) = ("/".into(), "/".into());
    }
    Legal { path, shape, names }
}

/// A spec may have named parameters in ways that a template has no place for, or two alike.
fn unique(name: &str, taken: &[String]) -> String {
    let legal = name.replace(['{', '}', '/'], "_");
    let base = if legal.is_empty() {
        "id".to_owned()
    } else {
        legal
    };
    let numbered = (2..).map(|n| format!("{base}{n}"));
    let mut names = std::iter::once(base.clone()).chain(numbered);
    names.find(|n| !taken.contains(n)).unwrap_or_default()
}

pub(super) fn host(host: &str) -> String {
    utf8_percent_encode(host, HOST).to_string()
}
