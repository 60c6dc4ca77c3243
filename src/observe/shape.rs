//! What a body is made of: fields, types and formats, bounded, and no value.
//!
//! A body may be cut anywhere: what is said of its beginning holds for the whole, and what was not
//! seen whole says so (`open`). A name that looks like data (a map's keys: ids, addresses) is none,
//! and becomes `*`. A string that is like a code is kept as a keyed hash, so that an enumeration can
//! be told from free text; in clear only where the field's name says that it holds codes (`status`,
//! `currency`).

use std::borrow::Cow;

use super::custom::Direction;
use super::{Observer, operation::multipart};
use crate::exchange::{Exchange, Format, Shape, Types};

mod json;
mod name;
mod protobuf;
mod tree;
mod value;

#[cfg(test)]
mod tests;

use tree::{ROOT, Tree};
use value::Scalar;

pub use name::header as header_name;

/// A name as it may be kept, or `*` where it looks like data.
pub(super) fn field_name(name: &str) -> Cow<'_, str> {
    name::of_field(name.into())
}

/// How content of a type is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Urlencoded,
    Multipart,
    Protobuf,
    /// Messages behind five bytes each, as gRPC and Connect frame them.
    Framed(Inner),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inner {
    Json,
    Protobuf,
}

/// Whether content of that media type (lower case, no parameters) has a shape.
pub fn is_shaped(media_type: &str) -> bool {
    Form::of(media_type).is_some()
}

impl Form {
    fn of(media_type: &str) -> Option<Self> {
        Some(match media_type {
            "application/x-www-form-urlencoded" => Self::Urlencoded,
            "multipart/form-data" => Self::Multipart,
            "application/protobuf"
            | "application/x-protobuf"
            | "application/vnd.google.protobuf"
            | "application/proto" => Self::Protobuf,
            "application/grpc"
            | "application/grpc+proto"
            | "application/grpc-web"
            | "application/grpc-web+proto"
            | "application/connect+proto" => Self::Framed(Inner::Protobuf),
            "application/grpc+json" | "application/grpc-web+json" | "application/connect+json" => {
                Self::Framed(Inner::Json)
            }
            "application/x-ndjson" | "application/jsonl" | "application/json-seq" => Self::Json,
            m if m.ends_with("/json") || m.ends_with("+json") => Self::Json,
            _ => return None,
        })
    }
}

impl Observer {
    /// The shape of a body; not `whole`: it is longer than what is here. `None` where it is empty,
    /// has no shape, or is not what its type says.
    pub fn shape(
        &self,
        direction: Direction,
        media_type: &str,
        content: &[u8],
        whole: bool,
    ) -> Option<Shape> {
        let mut tree = Tree::new(&self.rules, direction);
        let read = match Form::of(media_type)? {
            Form::Json => json::read(content, whole, &mut tree),
            Form::Urlencoded => pairs(content, whole, &mut tree),
            Form::Multipart => parts(content, whole, &mut tree),
            Form::Protobuf => protobuf::read(content, whole, &mut tree),
            Form::Framed(inner) => framed(inner, content, &mut tree),
        };
        read.then(|| tree.shape(|word| self.word(word)))
    }

    /// The shape of a query: its parameters, which may be none.
    pub fn query_shape(&self, query: Option<&str>) -> Shape {
        let mut tree = Tree::new(&self.rules, Direction::Request);
        if !pairs(query.unwrap_or_default().as_bytes(), true, &mut tree) {
            return Shape::default();
        }
        tree.shape(|word| self.word(word))
    }

    /// A text of a WebSocket: the record of its session learns what the messages are made of.
    pub fn look_at_text(&self, x: &mut Exchange, from_client: bool, content: &[u8], whole: bool) {
        let direction = if from_client {
            Direction::Request
        } else {
            Direction::Response
        };
        let Some(shape) = self.shape(direction, "application/json", content, whole) else {
            return;
        };
        let shapes = x.shapes.get_or_insert_default();
        let messages = if from_client {
            &mut shapes.request
        } else {
            &mut shapes.response
        };
        match messages {
            Some(known) => known.join(shape),
            None => *messages = Some(shape),
        }
    }

    fn word(&self, word: &str) -> u32 {
        let hash = self.pseudonym("word", &[word.as_bytes()]);
        u32::from_str_radix(&hash[..8], 16).unwrap_or(0)
    }
}

/// `a=1&b=2`.
fn pairs<'a>(content: &'a [u8], whole: bool, tree: &mut Tree<'a>) -> bool {
    // The last pair of what is cut may be half of one.
    let end = if whole {
        content.len()
    } else {
        memchr::memrchr(b'&', content).unwrap_or(0)
    };
    if end == 0 {
        return false;
    }
    let instance = tree.begin(ROOT, Types::OBJECT);
    for (name, value) in url::form_urlencoded::parse(&content[..end]) {
        let name = match name {
            Cow::Borrowed(n) => name::of_field(n.into()),
            Cow::Owned(n) => name::of_field(n.into()),
        };
        if let Some(node) = tree.child(ROOT, name, instance) {
            let scalar = Scalar::loose(tree.label(node), &value);
            tree.scalar(node, scalar);
        }
    }
    tree.end(ROOT, instance, whole);
    true
}

fn parts<'a>(content: &'a [u8], whole: bool, tree: &mut Tree<'a>) -> bool {
    let Some(operation) = multipart::parts(content) else {
        return false;
    };
    let instance = tree.begin(ROOT, Types::OBJECT);
    for part in &operation.parts {
        let name = name::of_field(part.name.to_string().into());
        if let Some(node) = tree.child(ROOT, name, instance) {
            let types = if part.file {
                Types::BINARY
            } else {
                Types::STRING
            };
            tree.scalar(node, Scalar::of(types, Format::Plain));
        }
    }
    // Longer lists are cut.
    let listed = operation.parts.len() < crate::exchange::MAX_LISTED;
    tree.end(ROOT, instance, whole && listed);
    true
}

/// Each message is one more of the same. What is compressed or not whole is passed over.
fn framed<'a>(inner: Inner, mut content: &'a [u8], tree: &mut Tree<'a>) -> bool {
    let mut read = false;
    while let Some(([flags, a, b, c, d], rest)) = content.split_first_chunk() {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some((message, rest)) = rest.split_at_checked(length) else {
            break;
        };
        content = rest;
        // Bit 0: compressed; any other: no message but the call's end.
        if *flags == 0 {
            read |= match inner {
                Inner::Json => json::read(message, true, tree),
                Inner::Protobuf => protobuf::read(message, true, tree),
            };
        }
    }
    read
}
