//! Rules of the config about places: which are deprecated, and which hosts are one group.

use crate::time::Timestamp;

/// Endpoints that are deprecated, whatever specs and headers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeprecationRule {
    /// Globs: `*` is any part of one label or segment, `**` of several. Empty: any.
    pub host: String,
    pub path: String,
    /// Empty: any.
    pub method: String,
    pub since: Option<Timestamp>,
    pub sunset: Option<Timestamp>,
}

impl DeprecationRule {
    pub(super) fn matches(&self, host: &str, method: &str, template: &str) -> bool {
        let is =
            |pattern: &str, text: &str, border| pattern.is_empty() || glob(pattern, text, border);
        (self.method.is_empty() || self.method.eq_ignore_ascii_case(method))
            && is(&self.host.to_ascii_lowercase(), host, b'.')
            && is(&self.path, template, b'/')
    }
}

/// Whether a text is as the pattern has it: `*` does not cross the border, `**` does.
pub(super) fn glob(pattern: &str, text: &str, border: u8) -> bool {
    // Where to go on when what follows the last star does not fit: at most one step for each byte
    // of the text and star, so that no pattern is slow.
    let (p, t) = (pattern.as_bytes(), text.as_bytes());
    let mut fits = vec![false; t.len() + 1];
    fits[0] = true;
    let mut at = 0;
    while at < p.len() {
        let mut next = vec![false; t.len() + 1];
        if p[at] == b'*' {
            let wide = p.get(at + 1) == Some(&b'*');
            let mut open = false;
            for i in 0..=t.len() {
                open = fits[i] || (open && (wide || t[i - 1] != border));
                next[i] = open;
            }
            at += 1 + usize::from(wide);
        } else {
            for i in 0..t.len() {
                next[i + 1] = fits[i] && t[i].eq_ignore_ascii_case(&p[at]);
            }
            at += 1;
        }
        fits = next;
    }
    fits[t.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_within_a_segment_and_pairs_of_them_do_not() {
        for (pattern, text, fits) in [
            ("/v1/*", "/v1/orders", true),
            ("/v1/*", "/v1/orders/{order_id}", false),
            ("/v1/**", "/v1/orders/{order_id}", true),
            ("/v1/**", "/v2/orders", false),
            ("/v1/*/items", "/v1/orders/items", true),
            ("/V1/ord*", "/v1/orders", true),
            ("**/export", "/a/b/export", true),
            ("/v1", "/v1/a", false),
            ("", "", true),
        ] {
            assert_eq!(glob(pattern, text, b'/'), fits, "{pattern} {text}");
        }
        assert!(glob("*.api.example.com", "acme.api.example.com", b'.'));
        assert!(!glob("*.example.com", "acme.api.example.com", b'.'));
        assert!(!glob("*.api.example.com", "api.example.com", b'.'));
    }

    #[test]
    fn a_rule_without_parts_means_any() {
        let rule = DeprecationRule {
            path: "/v1/**".into(),
            ..DeprecationRule::default()
        };
        assert!(rule.matches("a.example", "GET", "/v1/x"));
        let rule = DeprecationRule {
            method: "post".into(),
            host: "B.example".into(),
            ..rule
        };
        assert!(rule.matches("b.example", "POST", "/v1/x"));
        assert!(!rule.matches("b.example", "GET", "/v1/x"));
    }
}
