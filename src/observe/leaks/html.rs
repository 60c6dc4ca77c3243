//! The text of a page, line by line.

use std::borrow::Cow;

/// Elements that end a line.
const BREAKS: [&str; 12] = [
    "br", "p", "li", "tr", "div", "pre", "h1", "h2", "h3", "title", "dt", "dd",
];

/// Markup left out, references (`&lt;`) replaced.
pub(super) fn text(page: &str) -> Cow<'static, str> {
    let mut out = String::with_capacity(page.len());
    let mut rest = page;
    while let Some(at) = rest.find(['<', '&']) {
        out.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        if rest.as_bytes()[at] == b'&' {
            let (text, used) = reference(behind);
            out.push_str(text);
            rest = &behind[used..];
            continue;
        }
        let name = behind.trim_start_matches('/');
        let opens = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!');
        match behind.find('>').filter(|_| opens) {
            Some(end) => {
                let word = name.split(|c: char| !c.is_ascii_alphanumeric()).next();
                let word = word.unwrap_or_default().to_ascii_lowercase();
                // A comment's text is there for whoever reads it.
                if let Some(comment) = behind.strip_prefix("!--") {
                    out.push('\n');
                    rest = comment;
                    continue;
                }
                if BREAKS.contains(&word.as_str()) {
                    out.push('\n');
                }
                rest = &behind[end + 1..];
            }
            None => {
                out.push('<');
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What stands behind `&`, and the length of the reference.
fn reference(behind: &str) -> (&'static str, usize) {
    const NAMED: [(&str, &str); 9] = [
        ("lt;", "<"),
        ("gt;", ">"),
        ("amp;", "&"),
        ("quot;", "\""),
        ("apos;", "'"),
        ("#39;", "'"),
        ("#039;", "'"),
        ("#x27;", "'"),
        ("nbsp;", " "),
    ];
    let known = NAMED.iter().find(|(name, _)| behind.starts_with(name));
    known.map_or(("&", 0), |(name, text)| (*text, name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_goes_and_text_stays() {
        let page =
            "<html><b>Fatal</b> &quot;a&quot;<br />b &lt;init&gt; 1 < 2 &c<!-- at x --></p>y<";
        assert_eq!(text(page), "Fatal \"a\"\nb <init> 1 < 2 &c\n at x -->\ny<");
    }
}
