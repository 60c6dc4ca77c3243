//! Messages of Protocol Buffers, without their description: field numbers, wire types, and what a
//! length-delimited field seems to hold
//! (<https://protobuf.dev/programming-guides/encoding/>).
//!
//! Text is taken for text before it is taken for a message: text that happens to be a message is
//! common among short strings, a message that is all printable is not.

use std::borrow::Cow;

use super::tree::{ROOT, Tree};
use super::value::Scalar;
use crate::exchange::{Format, Types};

/// Messages inside each other.
const MAX_DEPTH: usize = 5;
/// Field numbers of what is guessed to be a message: real ones have some hundred.
const MAX_NUMBER: u64 = 4_096;

/// Whether it is a message, as far as it is there.
pub(super) fn read<'a>(content: &'a [u8], whole: bool, tree: &mut Tree<'a>) -> bool {
    // Of what is no message nothing must stay in the tree.
    match check(content, (1 << 29) - 1) {
        Check::Message => {}
        Check::Cut if !whole => {}
        Check::Cut | Check::No => return false,
    }
    message(content, whole, ROOT, MAX_DEPTH, tree);
    true
}

/// One field of a message.
struct Record<'a> {
    number: u64,
    wire: Wire<'a>,
}

#[derive(Clone, Copy, PartialEq)]
enum Wire<'a> {
    Varint,
    I64,
    Len(&'a [u8]),
    Begin,
    End,
    I32,
}

enum Check {
    Message,
    /// As far as it goes.
    Cut,
    No,
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (i, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).wrapping_shl(7 * i as u32);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

/// The record that `bytes` begin with, and the rest; `Err`: there is none, or (`true`) not all of
/// it.
fn record(bytes: &[u8], most: u64) -> Result<(Record<'_>, &[u8]), bool> {
    let short = |bytes: &[u8]| bytes.len() < 10;
    let (tag, rest) = varint(bytes).ok_or_else(|| short(bytes))?;
    let number = tag >> 3;
    if !(1..=most).contains(&number) {
        return Err(false);
    }
    let (wire, rest) = match tag & 7 {
        0 => (Wire::Varint, varint(rest).ok_or_else(|| short(rest))?.1),
        1 => (Wire::I64, rest.get(8..).ok_or(true)?),
        2 => {
            let (len, rest) = varint(rest).ok_or_else(|| short(rest))?;
            let len = usize::try_from(len).map_err(|_| false)?;
            let (payload, rest) = rest.split_at_checked(len).ok_or(true)?;
            (Wire::Len(payload), rest)
        }
        3 => (Wire::Begin, rest),
        4 => (Wire::End, rest),
        5 => (Wire::I32, rest.get(4..).ok_or(true)?),
        _ => return Err(false),
    };
    Ok((Record { number, wire }, rest))
}

fn check(mut bytes: &[u8], most: u64) -> Check {
    let mut groups = Vec::new();
    while !bytes.is_empty() {
        let (record, rest) = match record(bytes, most) {
            Ok(read) => read,
            Err(true) => return Check::Cut,
            Err(false) => return Check::No,
        };
        bytes = rest;
        match record.wire {
            Wire::Begin if groups.len() < MAX_DEPTH => groups.push(record.number),
            Wire::End if groups.pop() == Some(record.number) => {}
            Wire::Begin | Wire::End => return Check::No,
            _ => {}
        }
    }
    if groups.is_empty() {
        Check::Message
    } else {
        Check::Cut
    }
}

/// `bytes` were checked. Recursive as far as `depth` lets it.
fn message<'a>(mut bytes: &'a [u8], whole: bool, node: usize, depth: usize, tree: &mut Tree<'a>) {
    let mut stack = vec![(node, tree.begin(node, Types::OBJECT))];
    while let (Ok((record, rest)), Some(&(node, instance))) =
        (record(bytes, u64::MAX), stack.last())
    {
        bytes = rest;
        if record.wire == Wire::End {
            tree.end(node, instance, true);
            stack.pop();
            continue;
        }
        let name = Cow::Owned(record.number.to_string());
        let Some(child) = tree.child(node, name, instance) else {
            if record.wire == Wire::Begin {
                // Where the group ends would be lost.
                break;
            }
            continue;
        };
        match record.wire {
            Wire::Varint => tree.types(child, Types::VARINT),
            Wire::I64 => tree.types(child, Types::I64),
            Wire::I32 => tree.types(child, Types::I32),
            Wire::Len(payload) => delimited(payload, child, depth, tree),
            Wire::Begin => stack.push((child, tree.begin(child, Types::GROUP))),
            Wire::End => {}
        }
    }
    let whole = whole && bytes.is_empty() && stack.len() == 1;
    for (node, instance) in stack {
        tree.end(node, instance, whole);
    }
}

fn delimited<'a>(payload: &'a [u8], node: usize, depth: usize, tree: &mut Tree<'a>) {
    tree.types(node, Types::LEN);
    if payload.is_empty() {
        // Anything may be empty.
        return;
    }
    if let Some(text) = std::str::from_utf8(payload).ok().filter(|t| is_text(t)) {
        return tree.scalar(node, Scalar::string(tree.nameless(), text));
    }
    if !matches!(check(payload, MAX_NUMBER), Check::Message) {
        return tree.scalar(node, Scalar::of(Types::BINARY, Format::Unseen));
    }
    if depth > 1 {
        message(payload, true, node, depth - 1, tree);
    } else {
        let instance = tree.begin(node, Types::OBJECT);
        tree.end(node, instance, false);
    }
}

fn is_text(text: &str) -> bool {
    text.chars()
        .all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}
