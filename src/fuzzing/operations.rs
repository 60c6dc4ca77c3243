//! Which operation a request asks for: GraphQL, JSON-RPC, SOAP, OData, forms in parts.

use std::collections::BTreeMap;

use crate::exchange::Operation;
use crate::observe::operation::{Head, of_body, of_head, worth};

const TYPES: [&str; 5] = [
    "application/graphql",
    "application/json",
    "text/xml",
    "multipart/form-data",
    "application/x-www-form-urlencoded",
];

/// The media type, two bytes for where the body is cut, then the body; with the highest bit of the
/// first byte, lines of a head.
pub fn graphql(data: &[u8]) {
    let [kind, high, low, body @ ..] = data else {
        return;
    };
    if kind & 0x80 != 0 {
        return head(body);
    }
    let media_type = TYPES[usize::from(*kind) % TYPES.len()];
    let cut = usize::from(u16::from_be_bytes([*high, *low]));
    let of = |content: &[u8], whole| {
        let found = of_body(media_type, content, whole);
        found.inspect(|operation| sound(operation, content.len()))
    };
    let _ = worth(media_type).map(|worth| worth(body));
    let _ = of(body, false);
    let Some(whole) = of(body, true) else { return };
    match media_type {
        "application/graphql" => {
            a_beginning_says_no_other(body, cut, &whole, of);
            if let Ok(text) = std::str::from_utf8(body) {
                // In its envelope it is the same.
                let envelope = serde_json::json!({ "query": text }).to_string();
                let inside = of_body("application/json", envelope.as_bytes(), true);
                assert_eq!(inside.as_ref(), Some(&whole));
            }
        }
        "application/json" => {
            // Of several values of one key, which counts is the server's choice.
            if let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) {
                let once = value.to_string().into_bytes();
                if let Some(whole) = of(&once, true) {
                    a_beginning_says_no_other(&once, cut, &whole, of);
                }
            }
        }
        "text/xml" => a_beginning_says_no_other(body, cut, &whole, of),
        _ => {}
    }
}

fn sound(operation: &Operation, len: usize) {
    assert_eq!(&operation.clone().bounded(), operation);
    // Each level and each alias is written somewhere.
    for count in [operation.depth, operation.aliases, operation.count] {
        assert!(count.is_none_or(|n| usize::from(n) <= len));
    }
}

/// What is said of a beginning is what would be said of the whole, or nothing.
fn a_beginning_says_no_other(
    body: &[u8],
    cut: usize,
    whole: &Operation,
    of: impl Fn(&[u8], bool) -> Option<Operation>,
) {
    let cut = cut % (body.len() + 1);
    if let Some(begun) = of(&body[..cut], false) {
        assert_eq!(begun.kind, whole.kind);
        assert!(
            begun.name.is_none() || begun.name == whole.name,
            "{begun:?} {whole:?}"
        );
    }
}

/// Lines: method, path, query, content type, SOAP's action. What is not UTF-8 is no head.
fn head(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let lines: BTreeMap<usize, &str> = text.split('\n').enumerate().take(5).collect();
    let line = |n: usize| lines.get(&n).copied();
    let head = Head {
        method: line(0).unwrap_or("GET"),
        path: line(1).unwrap_or("/"),
        query: line(2).filter(|l| !l.is_empty()),
        content_type: line(3).filter(|l| !l.is_empty()).map(str::as_bytes),
        soap_action: line(4).map(str::as_bytes),
        odata: false,
    };
    let found = of_head(&head);
    if let Some(operation) = &found {
        sound(operation, text.len());
    }
    // A header of OData's takes nothing from what is said otherwise.
    let odata = of_head(&Head {
        odata: true,
        ..head
    });
    assert!(odata.is_some() && (found.is_none() || odata == found));
}
