//! JSON: one value after the other, as lines and sequences have them too. A stack of fixed depth;
//! what is deeper is passed over.

use std::borrow::Cow;

use super::name::{self, ANY};
use super::tree::{ROOT, Tree};
use super::value::{Label, Scalar};
use crate::exchange::{Format, Types};
use crate::observe::json::{Scanner, Value, unescape};

/// Objects and arrays inside each other. Real schemas have four or five.
const MAX_DEPTH: usize = 8;

/// An object or array that is read.
struct Open {
    node: usize,
    instance: u32,
    object: bool,
}

/// Whether there was any JSON.
pub(super) fn read<'a>(content: &'a [u8], whole: bool, tree: &mut Tree<'a>) -> bool {
    let mut scanner = Scanner::new(content);
    let mut stack: Vec<Open> = Vec::with_capacity(MAX_DEPTH);
    let mut any = false;
    tree.has_maps();
    loop {
        let (node, value) = match stack.last() {
            None => (Some(ROOT), scanner.value()),
            Some(open) => match next(open, &mut scanner, tree) {
                Next::Value(node, value) => (node, Some(value)),
                Next::Closed => {
                    tree.end(open.node, open.instance, true);
                    stack.pop();
                    continue;
                }
                Next::Cut => break,
            },
        };
        let Some(value) = value else { break };
        any = true;
        let Some(node) = node else {
            scanner.skip(value);
            continue;
        };
        if is_begun(value) {
            let instance = tree.begin(node, kind(value));
            if stack.len() < MAX_DEPTH {
                stack.push(Open {
                    node,
                    instance,
                    object: value == Value::Object,
                });
            } else {
                tree.end(node, instance, false);
                scanner.skip(value);
            }
            continue;
        }
        match scalar(tree.label(node), value, scanner.is_over() && !whole) {
            Some(Read::Scalar(scalar)) => tree.scalar(node, scalar),
            Some(Read::Half) => break,
            None => return false,
        }
    }
    for open in stack {
        tree.end(open.node, open.instance, false);
    }
    any && !scanner.malformed
}

fn is_begun(value: Value<'_>) -> bool {
    matches!(value, Value::Object | Value::Array)
}

fn kind(value: Value<'_>) -> Types {
    if value == Value::Object {
        Types::OBJECT
    } else {
        Types::ARRAY
    }
}

enum Next<'a> {
    /// No node: there is no room for one.
    Value(Option<usize>, Value<'a>),
    Closed,
    /// The text ends here.
    Cut,
}

fn next<'a>(open: &Open, scanner: &mut Scanner<'a>, tree: &mut Tree<'a>) -> Next<'a> {
    let key = if open.object { scanner.key() } else { None };
    if let Some(key) = &key
        && let Some(node) = tree.expected(open.node, key, open.instance)
    {
        let value = scanner.value();
        return value.map_or(Next::Cut, |value| Next::Value(Some(node), value));
    }
    let name = key.map(name::of_field);
    let value = match (&name, open.object) {
        (Some(_), _) => scanner.value(),
        (None, true) => None,
        (None, false) => scanner.item(),
    };
    match value {
        Some(value) => {
            let name = name.unwrap_or(Cow::Borrowed(ANY));
            Next::Value(tree.child(open.node, name, open.instance), value)
        }
        None if scanner.closed && name.is_none() => Next::Closed,
        None => Next::Cut,
    }
}

enum Read<'a> {
    Scalar(Scalar<'a>),
    /// The text ends in it: of what type and format it is cannot be told.
    Half,
}

/// `None`: no JSON.
fn scalar<'a>(label: Label<'_>, value: Value<'a>, at_end: bool) -> Option<Read<'a>> {
    let plain = |types| Some(Read::Scalar(Scalar::of(types, Format::Unseen)));
    match value {
        Value::Text { whole: false, .. } => Some(Read::Half),
        Value::Text { raw, .. } => Some(Read::Scalar(match std::str::from_utf8(raw) {
            Ok(text) if !raw.contains(&b'\\') => Scalar::string(label, text),
            // Codes and ids have no escapes, but `\/` stands in many a URI.
            _ => {
                let text = unescape(raw);
                let seen = Scalar::string(label, &text);
                Scalar {
                    class: seen.class,
                    custom: seen.custom,
                    texture: seen.texture,
                    ..Scalar::of(Types::STRING, seen.format)
                }
            }
        })),
        Value::Word(_) if at_end => Some(Read::Half),
        Value::Word(b"null") => plain(Types::NULL),
        Value::Word(b"true" | b"false") => plain(Types::BOOLEAN),
        Value::Word(word) => Some(Read::Scalar(Scalar::number(label, word)?)),
        Value::Object | Value::Array => None,
    }
}
