//! JSON read from the front (RFC 8259), as far as there is any: keys and strings of interest are
//! taken, everything else is passed over without a stack, so no nesting is too deep for it.

use std::borrow::Cow;

/// A place in a text that may end anywhere.
#[derive(Clone, Debug)]
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// The text is no JSON, here or before.
    pub(super) malformed: bool,
    /// The object or array that was read last has its closing bracket.
    pub(super) closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// What is between the quotes, escapes and all; not `whole`: the text ended inside.
    Text {
        raw: &'a [u8],
        whole: bool,
    },
    /// The scanner stands behind the opening bracket.
    Object,
    Array,
    /// A number, `true`, `false` or `null`.
    Word(&'a [u8]),
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        Self {
            text,
            at: 0,
            malformed: false,
            closed: false,
        }
    }

    /// Nothing follows.
    pub(super) fn is_over(&self) -> bool {
        self.at >= self.text.len()
    }

    fn space(&mut self) -> Option<u8> {
        let rest = &self.text[self.at..];
        self.at += rest.iter().take_while(|b| b" \t\r\n".contains(b)).count();
        self.text.get(self.at).copied()
    }

    fn wrong<T>(&mut self) -> Option<T> {
        self.malformed = true;
        self.at = self.text.len();
        None
    }

    pub(super) fn value(&mut self) -> Option<Value<'a>> {
        let first = self.space()?;
        match first {
            b'"' => Some(self.text()),
            b'{' | b'[' => {
                self.at += 1;
                Some(if first == b'{' {
                    Value::Object
                } else {
                    Value::Array
                })
            }
            b'-' | b'0'..=b'9' | b'a'..=b'z' => {
                let rest = &self.text[self.at..];
                let word = |b: &&u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
                let len = rest.iter().take_while(word).count();
                self.at += len;
                Some(Value::Word(&rest[..len]))
            }
            _ => self.wrong(),
        }
    }

    /// The next key of the object at hand; `None` at its end, or the text's.
    pub(super) fn key(&mut self) -> Option<Cow<'a, str>> {
        if !self.more(b'}') {
            return None;
        }
        if self.space()? != b'"' {
            return self.wrong();
        }
        let Value::Text { raw, whole: true } = self.text() else {
            return None;
        };
        if self.space()? != b':' {
            return self.wrong();
        }
        self.at += 1;
        Some(unescape(raw))
    }

    /// The next value of the array at hand.
    pub(super) fn item(&mut self) -> Option<Value<'a>> {
        self.more(b']').then(|| self.value()).flatten()
    }

    /// Whether the object or array goes on. Commas are not counted.
    fn more(&mut self, close: u8) -> bool {
        while self.space() == Some(b',') {
            self.at += 1;
        }
        let next = self.space();
        self.closed = next == Some(close);
        self.at += usize::from(self.closed);
        next.is_some() && !self.closed
    }

    /// Passes over what is left of a value that was just begun.
    pub(super) fn skip(&mut self, begun: Value<'_>) {
        if !matches!(begun, Value::Object | Value::Array) {
            return;
        }
        let mut open = 1_usize;
        while open > 0 {
            match self.text.get(self.at) {
                None => return,
                Some(b'"') => {
                    self.text();
                    continue;
                }
                Some(b'{' | b'[') => open += 1,
                Some(b'}' | b']') => open -= 1,
                Some(_) => {}
            }
            self.at += 1;
        }
    }

    /// Stands at the opening quote.
    fn text(&mut self) -> Value<'a> {
        self.at += 1;
        let from = self.at;
        while let Some(found) = memchr::memchr2(b'"', b'\\', &self.text[self.at..]) {
            self.at += found;
            if self.text[self.at] == b'"' {
                let raw = &self.text[from..self.at];
                self.at += 1;
                return Value::Text { raw, whole: true };
            }
            self.at = (self.at + 2).min(self.text.len());
        }
        self.at = self.text.len();
        Value::Text {
            raw: &self.text[from..],
            whole: false,
        }
    }
}

impl<'a> Value<'a> {
    /// A whole string.
    pub(super) fn as_text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text { raw, whole: true } => Some(unescape(raw)),
            _ => None,
        }
    }
}

/// RFC 8259, section 7. An escape that is none, or is cut off, yields nothing.
pub(super) fn unescape(raw: &[u8]) -> Cow<'_, str> {
    if memchr::memchr(b'\\', raw).is_none() {
        return String::from_utf8_lossy(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let Some(escape) = rest.get(at + 1) else {
            rest = &[];
            break;
        };
        rest = &rest[at + 2..];
        match escape {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' | b'f' => out.push(b' '),
            b'u' => {
                let (unit, used) = unicode(rest);
                rest = &rest[used..];
                out.extend_from_slice(unit.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => out.push(*other),
        }
    }
    out.extend_from_slice(rest);
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// The character behind `\u`, a surrogate pair taken together, and its length.
fn unicode(rest: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        let digits = std::str::from_utf8(rest.get(at..at + 4)?).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(0) else {
        return (char::REPLACEMENT_CHARACTER, 0);
    };
    let low = if rest.get(4..6) == Some(b"\\u") {
        unit(6)
    } else {
        None
    };
    let pair = [first, low.unwrap_or(0)];
    let taken = if low.is_some() { &pair[..] } else { &pair[..1] };
    match char::decode_utf16(taken.iter().copied()).next() {
        Some(Ok(c)) => (c, if c.len_utf16() == 2 { 10 } else { 4 }),
        _ => (char::REPLACEMENT_CHARACTER, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_and_values_passed_over() {
        let text =
            br#" {"a":{"x":[1,"]}",{"query":"no"}]}, "b\u0041":"v\n\ud83d\ude00", "c":null} "#;
        let mut s = Scanner::new(text);
        assert_eq!(s.value(), Some(Value::Object));
        assert_eq!(s.key().as_deref(), Some("a"));
        let inner = s.value().unwrap();
        s.skip(inner);
        assert_eq!(s.key().as_deref(), Some("bA"));
        let value = s.value().unwrap();
        assert_eq!(value.as_text().as_deref(), Some("v\n\u{1f600}"));
        assert_eq!(s.key().as_deref(), Some("c"));
        assert_eq!(s.value(), Some(Value::Word(b"null")));
        assert_eq!(s.key(), None);
        assert!(s.closed && !s.malformed);
    }

    #[test]
    fn no_nesting_is_too_deep() {
        let deep = [b"{\"a\":".as_slice(), &b"[".repeat(1 << 20)].concat();
        let mut s = Scanner::new(&deep);
        s.value();
        s.key();
        let inner = s.value().unwrap();
        s.skip(inner);
        assert_eq!(s.key(), None);
        assert!(!s.closed && !s.malformed);
    }

    proptest::proptest! {
        #[test]
        fn strings_are_what_serde_says(text in ".*") {
            let json = serde_json::to_string(&text).unwrap();
            let mut s = Scanner::new(json.as_bytes());
            let value = s.value().unwrap();
            // Backspace and form feed are space here.
            let expected = text.replace(['\u{8}', '\u{c}'], " ");
            proptest::prop_assert_eq!(value.as_text().unwrap().into_owned(), expected);
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let mut s = Scanner::new(&bytes);
            while let Some(value) = s.value() {
                while s.key().is_some() {}
                s.skip(value);
            }
            let _ = unescape(&bytes);
        }
    }
}
