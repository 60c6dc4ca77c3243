//! What the fields of a header block say, and what kind of block it is.

use crate::http::head::Fields;
use crate::http::hpack::List;

/// Pseudo-headers and the fields that reach the record. What is unknown is absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head<'a> {
    pub(super) method: Option<&'a [u8]>,
    pub(super) scheme: Option<&'a [u8]>,
    pub(super) authority: Option<&'a [u8]>,
    pub(super) path: Option<&'a [u8]>,
    pub(super) status: Option<&'a [u8]>,
    /// What an extended CONNECT asks for (RFC 8441, section 4).
    pub(super) protocol: Option<&'a [u8]>,
    /// A pseudo-header of requests is there, whatever its value.
    pub(super) is_request: bool,
    pub(super) is_response: bool,
    /// Some name or value is unknown.
    pub(super) unknown: bool,
    pub(super) fields: Fields<'a>,
    pub(super) list: Option<&'a List>,
}

impl<'a> Head<'a> {
    pub(super) fn of(list: &'a List) -> Self {
        let mut head = Self {
            unknown: list.cut,
            list: Some(list),
            ..Self::default()
        };
        for field in list.iter() {
            head.unknown |= field.name.and(field.value).is_none();
            let Some(name) = field.name else { continue };
            let slot = match name {
                b":method" => &mut head.method,
                b":scheme" => &mut head.scheme,
                b":authority" => &mut head.authority,
                b":path" => &mut head.path,
                b":protocol" => &mut head.protocol,
                b":status" => {
                    head.is_response = true;
                    head.status = head.status.or(field.value);
                    continue;
                }
                _ => {
                    if let Some(value) = field.value {
                        let _ = head.fields.take(name, value);
                    }
                    continue;
                }
            };
            head.is_request = true;
            *slot = slot.or(field.value);
        }
        head
    }

    /// Names of the fields that are known.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.list.into_iter().flat_map(List::iter);
        fields.filter_map(|field| field.name)
    }

    /// Whether a field of that name makes a difference.
    pub(super) fn wants(name: &[u8]) -> bool {
        name.starts_with(b":") || Fields::default().take(name, b"")
    }

    pub(super) fn asks_for_websocket(&self) -> bool {
        self.protocol
            .is_some_and(|p| p.eq_ignore_ascii_case(b"websocket"))
    }

    /// Three digits (RFC 9110, section 15).
    pub(super) fn code(&self) -> Option<u16> {
        let [a, b, c] = *<&[u8; 3]>::try_from(self.status?).ok()?;
        let digit = |b: u8| (b as char).to_digit(10).map(|d| d as u16);
        Some(digit(a)? * 100 + digit(b)? * 10 + digit(c)?).filter(|code| *code >= 100)
    }

    /// 100 to 199 but for 101, which HTTP/2 does not have (RFC 9113, section 8.6).
    pub(super) fn is_interim(&self) -> bool {
        self.code().is_some_and(|code| code < 200)
    }
}
