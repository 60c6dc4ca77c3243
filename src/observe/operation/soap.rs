//! SOAP 1.1 and 1.2: the action, else the first element of the body. The XML is scanned for tags;
//! no entity is expanded, and a document type, which SOAP forbids, ends the scan.

use compact_str::CompactString;
use memchr::{memchr, memmem};

use super::{Head, identifier};
use crate::exchange::{Operation, OperationKind};

const NAMESPACES: [&[u8]; 2] = [
    b"http://schemas.xmlsoap.org/soap/envelope/",
    b"http://www.w3.org/2003/05/soap-envelope",
];

/// `SOAPAction` (SOAP 1.1, section 6.1.1), or the `action` parameter of `application/soap+xml`
/// (RFC 3902). Empty: the target says it all, and the body may say more.
pub(super) fn action(head: &Head<'_>) -> Option<Operation> {
    let parameter = || {
        let value = head.content_type?;
        let soap = value
            .get(..20)?
            .eq_ignore_ascii_case(b"application/soap+xml");
        let mut parts = value.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let action = parts.find(|p| {
            let name = p.get(..7);
            name.is_some_and(|n| n.eq_ignore_ascii_case(b"action="))
        });
        soap.then(|| action.map_or(&b""[..], |p| &p[7..]))
    };
    let uri = std::str::from_utf8(head.soap_action.or_else(parameter)?).ok()?;
    let uri = uri.trim().trim_matches('"');
    Some(Operation::new(OperationKind::Soap, last_segment(uri)))
}

fn last_segment(uri: &str) -> Option<CompactString> {
    identifier(uri.rsplit(['/', '#', ':']).find(|s| !s.is_empty())?)
}

/// A start or end tag, or one that is both.
struct Tag<'a> {
    /// Without prefix.
    name: &'a [u8],
    attributes: &'a [u8],
    end: bool,
    empty: bool,
}

struct Tags<'a>(&'a [u8]);

impl<'a> Tags<'a> {
    /// Passes over what stands before the end `mark`.
    fn past(&mut self, mark: &[u8]) -> Option<()> {
        let at = memmem::find(self.0, mark)?;
        self.0 = &self.0[at + mark.len()..];
        Some(())
    }

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            self.0 = &self.0[memchr(b'<', self.0)?..];
            match self.0 {
                [b'<', b'?', ..] => self.past(b"?>")?,
                [b'<', b'!', b'-', b'-', ..] => self.past(b"-->")?,
                [b'<', b'!', b'[', ..] => self.past(b"]]>")?,
                [b'<', b'!', ..] => return None,
                _ => break,
            }
        }
        // `>` may stand in an attribute's value.
        let mut quote = None;
        let len = self.0.iter().position(|b| {
            match (quote, b) {
                (None, b'"' | b'\'') => quote = Some(*b),
                (Some(q), b) if q == *b => quote = None,
                _ => {}
            }
            quote.is_none() && *b == b'>'
        })?;
        let inner = &self.0[1..len];
        self.0 = &self.0[len + 1..];
        let (inner, end) = match inner.strip_prefix(b"/") {
            Some(inner) => (inner, true),
            None => (inner, false),
        };
        let name = inner
            .split(|b| b.is_ascii_whitespace() || *b == b'/')
            .next()?;
        Some(Tag {
            name: name.rsplit(|b| *b == b':').next()?,
            attributes: &inner[name.len()..],
            end,
            empty: inner.ends_with(b"/"),
        })
    }
}

/// The envelope's tag stands in the first bytes.
pub(super) fn may_be(beginning: &[u8]) -> bool {
    memmem::find(beginning, b"Envelope").is_some()
}

/// `Envelope`, maybe `Header` with whatever is inside, `Body`, and its first child.
pub(super) fn body(xml: &[u8]) -> Option<Operation> {
    let mut tags = Tags(xml);
    let envelope = tags.next()?;
    let known = |ns: &&[u8]| memmem::find(envelope.attributes, ns).is_some();
    if envelope.name != b"Envelope" || envelope.end || !NAMESPACES.iter().any(known) {
        return None;
    }
    let named = |name| Some(Operation::new(OperationKind::Soap, name));
    let mut depth = 0_usize;
    while let Some(tag) = tags.next() {
        match (depth, tag.end) {
            (0, true) => return named(None),
            (0, false) if tag.name == b"Body" => {
                let child = if tag.empty { None } else { tags.next() };
                let child = child.filter(|t| !t.end);
                let name = child.and_then(|t| std::str::from_utf8(t.name).ok());
                return named(name.and_then(identifier));
            }
            (_, true) => depth -= 1,
            (_, false) => depth += usize::from(!tag.empty),
        }
    }
    named(None)
}
