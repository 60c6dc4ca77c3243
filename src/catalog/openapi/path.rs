//! Path templates as legal keys of a document.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

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

/// Where an API is served. Of a group of tenants' hosts (`{tenant}.api.example`) the name is a
/// variable; its default is that of a member.
pub(super) fn server(host: &str, example: Option<&str>) -> Value {
    let legal = |text: &str| utf8_percent_encode(text, HOST).to_string();
    let Some(example) = example else {
        return json!({ "url": format!("http://{}", legal(host)) });
    };
    let variable = host
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'))
        .and_then(|(name, rest)| Some((name, rest, example.strip_suffix(rest)?)));
    match variable {
        Some((name, rest, value)) => json!({
            "url": format!("http://{{{name}}}{}", legal(rest)), "variables": { name: { "default": value } },
        }),
        None => json!({ "url": format!("http://{}", legal(example)) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_hosts_and_of_groups() {
        let url = |host, example| server(host, example)["url"].as_str().unwrap().to_owned();
        assert_eq!(url("h.example:8080", None), "http://h.example:8080");
        assert_eq!(url("a{b", None), "http://a%7Bb");
        assert_eq!(url("shop", Some("one.example")), "http://one.example");
        let group = server("{tenant}.api.example", Some("acme.api.example"));
        assert_eq!(group["url"], "http://{tenant}.api.example");
        assert_eq!(group["variables"]["tenant"]["default"], "acme");
    }
}
