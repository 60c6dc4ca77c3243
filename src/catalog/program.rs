//! Client programs by family: `okhttp/4.9` is `okhttp`. Read from the structure of `User-Agent`
//! (RFC 9110, section 10.1.5: products with comments between them), not from a table of programs.

use std::sync::Arc;

use compact_str::CompactString;

/// Bytes of a name; it sits in the value itself, and a made-up one costs no more.
const MAX_NAME: usize = 24;

/// Products that a browser names for the sake of old servers, and that say nothing of it.
const COMPATIBLE: [&str; 6] = [
    "Mozilla",
    "AppleWebKit",
    "Gecko",
    "Version",
    "Mobile",
    "Safari",
];

/// Families, the last agent's at hand: calls of one client follow each other.
#[derive(Debug, Default)]
pub(crate) struct Families(Option<(Arc<str>, CompactString)>);

impl Families {
    pub(crate) fn of(&mut self, user_agent: Option<&Arc<str>>) -> CompactString {
        let Some(agent) = user_agent else {
            return CompactString::default();
        };
        match &self.0 {
            Some((known, family)) if known == agent => family.clone(),
            _ => {
                let family = family(Some(agent));
                self.0 = Some((agent.clone(), family.clone()));
                family
            }
        }
    }
}

/// Empty where a request names none, or none that can be read.
pub(super) fn family(user_agent: Option<&str>) -> CompactString {
    let agent = user_agent.unwrap_or_default().trim_ascii_start();
    let first = token(agent);
    let name = if first == "Mozilla" {
        robot(agent).or_else(|| browser(agent)).unwrap_or(first)
    } else {
        first
    };
    CompactString::new(&name[..name.len().min(MAX_NAME)])
}

/// `(compatible; Googlebot/2.1; …)`: what stands behind the word is who it is.
fn robot(agent: &str) -> Option<&str> {
    let (_, rest) = agent.split_once("(compatible; ")?;
    Some(token(rest)).filter(|name| !name.is_empty())
}

/// Browsers name what they are built on first and themselves last; those built on Chrome may name
/// it behind themselves.
fn browser(agent: &str) -> Option<&str> {
    let (mut chrome, mut own, mut safari) = (None, None, None);
    for name in Products(agent) {
        match name {
            "Chrome" => chrome = Some(name),
            "Safari" => safari = Some(name),
            _ if COMPATIBLE.contains(&name) => {}
            _ => own = Some(name),
        }
    }
    own.or(chrome).or(safari)
}

/// Names of the products with a version, outside comments.
struct Products<'a>(&'a str);

impl<'a> Iterator for Products<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let rest = self.0.trim_ascii_start();
            if rest.is_empty() {
                return None;
            }
            if let Some(comment) = rest.strip_prefix('(') {
                self.0 = behind_comment(comment);
                continue;
            }
            let end = rest.find([' ', '(']).unwrap_or(rest.len());
            let (word, rest) = rest.split_at(end);
            self.0 = rest;
            if let Some((name, _)) = word.split_once('/')
                && !name.is_empty()
                && token(name) == name
            {
                return Some(name);
            }
        }
    }
}

/// Comments nest (RFC 9110, section 5.6.5).
fn behind_comment(text: &str) -> &str {
    let mut depth = 1;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[at + 1..];
        }
    }
    ""
}

/// The characters at the start that a token may have: all of them ASCII, so that it may be cut.
fn token(text: &str) -> &str {
    let is = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let end = text.bytes().position(|b| !is(b)).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_go_by_their_first_product() {
        for (agent, name) in [
            ("okhttp/4.9.3", "okhttp"),
            ("curl/8.5.0", "curl"),
            ("python-requests/2.31.0", "python-requests"),
            ("Go-http-client/1.1", "Go-http-client"),
            (
                "Apache-HttpClient/4.5.14 (Java/17.0.9)",
                "Apache-HttpClient",
            ),
            ("Shop/3.2 CFNetwork/1410.0.3 Darwin/22.6.0", "Shop"),
            ("  node", "node"),
            ("", ""),
            ("<script>alert(1)</script>", ""),
            (
                "a-name-longer-than-anyone-has/1",
                "a-name-longer-than-anyon",
            ),
            ("grüße/1", "gr"),
        ] {
            assert_eq!(family(Some(agent)), name, "{agent}");
        }
        assert_eq!(family(None), "");
    }

    #[test]
    fn browsers_and_robots_go_by_their_own_name() {
        const KIT: &str = "AppleWebKit/537.36 (KHTML, like Gecko)";
        let on_kit = |system: &str, rest: &str| format!("Mozilla/5.0 ({system}) {KIT} {rest}");
        let agents = [
            (
                on_kit("X11; Linux x86_64", "Chrome/120.0.0.0 Safari/537.36"),
                "Chrome",
            ),
            (
                on_kit(
                    "Linux; Android 10; K",
                    "Chrome/120.0.0.0 Mobile Safari/537.36",
                ),
                "Chrome",
            ),
            (
                on_kit(
                    "Windows NT 10.0",
                    "Chrome/120.0.0.0 Safari/537.36 Edg/120.0.0.0",
                ),
                "Edg",
            ),
            (
                on_kit(
                    "Windows NT 10.0",
                    "Chrome/120.0.0.0 Safari/537.36 OPR/106.0.0.0",
                ),
                "OPR",
            ),
            (
                on_kit(
                    "Linux; Android 13",
                    "SamsungBrowser/23.0 Chrome/115.0.0.0 Mobile Safari/537.36",
                ),
                "SamsungBrowser",
            ),
            (
                on_kit(
                    "X11; Linux x86_64",
                    "HeadlessChrome/120.0.0.0 Safari/537.36",
                ),
                "HeadlessChrome",
            ),
            (
                on_kit(
                    "Macintosh; Intel Mac OS X 10_15_7",
                    "Version/17.2 Safari/605.1.15",
                ),
                "Safari",
            ),
            (
                on_kit(
                    "iPhone; CPU iPhone OS 17_2 like Mac OS X",
                    "Version/17.2 Mobile/15E148 Safari/604.1",
                ),
                "Safari",
            ),
            (
                on_kit(
                    "iPhone; CPU iPhone OS 17_2 like Mac OS X",
                    "CriOS/120.0.6099.119 Mobile/15E148 Safari/604.1",
                ),
                "CriOS",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0".into(),
                "Firefox",
            ),
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)".into(),
                "Googlebot",
            ),
            (
                on_kit(
                    "Linux; Android 6.0.1",
                    "Chrome/119.0 Mobile Safari/537.36 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
                ),
                "bingbot",
            ),
            (
                "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)".into(),
                "MSIE",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko".into(),
                "Mozilla",
            ),
            ("Mozilla/5.0 (never closed".into(), "Mozilla"),
            ("Mozilla/5.0 (a (b) c) Own/1 (d)".into(), "Own"),
        ];
        for (agent, name) in agents {
            assert_eq!(family(Some(&agent)), name, "{agent}");
        }
    }
}
