//! What a message is made of: names, types and formats of its parameters and of its body's fields,
//! and no value.
//!
//! Its JSON form is one object a shape, a field's pointer (RFC 6901, `*` for the items of an array
//! and the entries of a map) to words: `{"/id":"integer","/mail":"string email optional"}`. Of what is
//! sent, `made:81.3.0` says which kinds of characters it has, and in bits how long and large it is.

use std::borrow::Cow;
use std::fmt;
use std::ops::BitOrAssign;

use compact_str::CompactString;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Deserialize as DeserializeDerive, Serialize};

use super::classes::Classes;
use super::json::text;
use super::texture::Texture;

/// Fields of one shape, and the bytes of a pointer. What is wider or deeper says nothing new.
pub const MAX_FIELDS: usize = 256;
pub const MAX_POINTER: usize = 192;
/// Bytes of all pointers of a shape.
pub const MAX_POINTERS: usize = 4 << 10;
/// Code-like strings of one field that are told apart: a field with more is no enumeration.
pub const MAX_WORDS: usize = 8;
/// Header names of one message, and the length of each.
pub const MAX_HEADERS: usize = 16;
pub const MAX_HEADER_NAME: usize = 48;
/// Classes of sensitive data that a person may add, and the length of a name.
pub const MAX_CUSTOM: usize = 32;
const MAX_CUSTOM_NAME: usize = 32;

/// What was seen of an exchange that was looked into.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shapes {
    /// Of the query's parameters, which may be none; absent: the request was not looked into.
    pub query: Option<Shape>,
    pub request: Option<Shape>,
    pub response: Option<Shape>,
    /// Names of header fields that are no standard ones, in lower case, sorted.
    pub request_headers: Vec<CompactString>,
    pub response_headers: Vec<CompactString>,
}

/// Fields, each behind the one that it is in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape(pub Vec<Field>);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Field {
    pub pointer: CompactString,
    pub types: Types,
    pub format: Format,
    /// Some object that it would be in was seen whole, and did not have it.
    pub optional: bool,
    /// An object of which none was seen whole.
    pub open: bool,
    /// It came several times in one form or message, which is how these tell a list.
    pub repeated: bool,
    /// Where every string was like a code: the different ones. Empty: some were not.
    pub words: Vec<Word>,
    /// Classes of sensitive data that its values are of.
    pub class: Classes,
    /// Those that a person has added, by name; sorted.
    pub custom: Vec<CompactString>,
    /// Of a request: what its values are made of, taken together.
    pub texture: Texture,
}

/// A string like a code: `PENDING`, `eu-west`.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// Keyed.
    pub hash: u32,
    /// Only where the field's name says that it holds codes.
    pub text: Option<CompactString>,
}

/// Kinds of values; a field may be of several.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, DeserializeDerive,
)]
pub struct Types(pub u16);

impl Types {
    pub const NULL: Self = Self(1);
    pub const BOOLEAN: Self = Self(1 << 1);
    pub const INTEGER: Self = Self(1 << 2);
    pub const NUMBER: Self = Self(1 << 3);
    pub const STRING: Self = Self(1 << 4);
    pub const OBJECT: Self = Self(1 << 5);
    pub const ARRAY: Self = Self(1 << 6);
    /// A file in a form, bytes in a message.
    pub const BINARY: Self = Self(1 << 7);
    /// Wire types of Protocol Buffers; what LEN seems to hold is said beside it.
    pub const VARINT: Self = Self(1 << 8);
    pub const I64: Self = Self(1 << 9);
    pub const LEN: Self = Self(1 << 10);
    pub const GROUP: Self = Self(1 << 11);
    pub const I32: Self = Self(1 << 12);

    pub const ALL: [(Self, &'static str); 13] = [
        (Self::NULL, "null"),
        (Self::BOOLEAN, "boolean"),
        (Self::INTEGER, "integer"),
        (Self::NUMBER, "number"),
        (Self::STRING, "string"),
        (Self::OBJECT, "object"),
        (Self::ARRAY, "array"),
        (Self::BINARY, "binary"),
        (Self::VARINT, "varint"),
        (Self::I64, "i64"),
        (Self::LEN, "len"),
        (Self::GROUP, "group"),
        (Self::I32, "i32"),
    ];

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let set = Self::ALL.into_iter().filter(move |(t, _)| self.has(*t));
        set.map(|(_, name)| name)
    }
}

impl BitOrAssign for Types {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What strings look like. Of different ones a field has none: `Plain`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, DeserializeDerive,
)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// No string was seen that is not empty.
    #[default]
    Unseen,
    Plain,
    Uuid,
    Date,
    DateTime,
    Email,
    Uri,
    Ipv4,
    Ipv6,
    Digits,
    Hex,
    Base64,
    Jwt,
    /// Masked before it was looked at.
    Secret,
}

impl Format {
    pub const NAMED: [(Self, &'static str); 12] = [
        (Self::Uuid, "uuid"),
        (Self::Date, "date"),
        (Self::DateTime, "date-time"),
        (Self::Email, "email"),
        (Self::Uri, "uri"),
        (Self::Ipv4, "ipv4"),
        (Self::Ipv6, "ipv6"),
        (Self::Digits, "digits"),
        (Self::Hex, "hex"),
        (Self::Base64, "base64"),
        (Self::Jwt, "jwt"),
        (Self::Secret, "secret"),
    ];

    pub fn name(self) -> Option<&'static str> {
        let named = Self::NAMED.into_iter().find(|(f, _)| *f == self);
        named.map(|(_, name)| name)
    }

    #[must_use]
    pub fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unseen, f) | (f, Self::Unseen) => f,
            (a, b) if a == b => a,
            _ => Self::Plain,
        }
    }
}

impl Shapes {
    /// Bytes that it takes.
    pub fn memory(&self) -> usize {
        let shapes = [&self.query, &self.request, &self.response];
        let fields = shapes.into_iter().flatten().flat_map(|s| &s.0);
        let headers = self.request_headers.iter().chain(&self.response_headers);
        size_of::<Self>()
            + fields.map(Field::memory).sum::<usize>()
            + headers
                .map(|h| size_of::<CompactString>() + h.len())
                .sum::<usize>()
    }
}

impl Shape {
    /// Takes in the shape of another message of the same kind: what only one of them has is
    /// optional.
    pub fn join(&mut self, other: Self) {
        for field in &mut self.0 {
            field.optional |= !other.0.iter().any(|f| f.pointer == field.pointer);
        }
        for mut theirs in other.0 {
            match self.0.iter_mut().find(|f| f.pointer == theirs.pointer) {
                Some(mine) => mine.join(theirs),
                None => {
                    theirs.optional = true;
                    self.0.push(theirs);
                }
            }
        }
        self.0
            .sort_by(|a, b| a.pointer.split('/').cmp(b.pointer.split('/')));
        *self = std::mem::take(self).bounded();
    }

    /// Appends `,"key":{…}`.
    pub(super) fn write(&self, key: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(key);
        out.push(b'{');
        for (i, field) in self.0.iter().enumerate() {
            text(out, if i > 0 { b"," } else { b"" }, Some(&field.pointer));
            text(out, b":", Some(&field.words_of_it()));
        }
        out.push(b'}');
    }

    /// Cut to what is kept; what no reader of messages makes goes.
    fn bounded(mut self) -> Self {
        let mut room = MAX_POINTERS;
        self.0.retain(|f| {
            let fits = f.pointer.len() <= MAX_POINTER.min(room) && printable(&f.pointer);
            room -= f.pointer.len() * usize::from(fits);
            fits
        });
        self.0.truncate(MAX_FIELDS);
        self
    }
}

/// Names from elsewhere, cut to what is kept.
pub(super) fn headers(mut names: Vec<CompactString>) -> Vec<CompactString> {
    names.retain(|n| (1..=MAX_HEADER_NAME).contains(&n.len()) && printable(n));
    names.truncate(MAX_HEADERS);
    names
}

/// Names are of printable ASCII, whoever made them: they are shown, and are keys of the inventory.
fn printable(name: &str) -> bool {
    name.bytes().all(|b| (0x20..0x7f).contains(&b))
}

impl Field {
    fn join(&mut self, other: Self) {
        self.types |= other.types;
        self.format = self.format.join(other.format);
        self.optional |= other.optional;
        self.open &= other.open;
        self.repeated |= other.repeated;
        self.class |= other.class;
        self.texture |= other.texture;
        for class in other.custom {
            if let Err(at) = self.custom.binary_search(&class) {
                self.custom.insert(at, class);
            }
        }
        self.custom.truncate(MAX_CUSTOM);
        let codes = !self.words.is_empty() && !other.words.is_empty();
        for word in other.words {
            if !self.words.iter().any(|w| w.hash == word.hash) {
                self.words.push(word);
            }
        }
        if !codes || self.words.len() > MAX_WORDS {
            self.words.clear();
        }
    }

    fn memory(&self) -> usize {
        let texts = self.words.iter().flat_map(|w| &w.text);
        size_of::<Self>()
            + self.pointer.len()
            + self.words.len() * size_of::<Word>()
            + self.custom.len() * size_of::<CompactString>()
            + texts.map(|t| t.len()).sum::<usize>()
    }

    fn words_of_it(&self) -> String {
        let mut out = self.types.names().collect::<Vec<_>>().join("|");
        let string = self.types.has(Types::STRING);
        let flags = [
            (string && self.format == Format::Unseen, "empty"),
            (self.optional, "optional"),
            (self.open, "open"),
            (self.repeated, "repeated"),
        ];
        let flags = flags.into_iter().filter(|(set, _)| *set).map(|(_, f)| f);
        let words = self.format.name().into_iter().chain(flags);
        for word in words.chain(self.class.names()) {
            out.push(' ');
            out.push_str(word);
        }
        for class in &self.custom {
            out.push_str(" custom:");
            out.push_str(class);
        }
        if self.texture != Texture::default() {
            out.push_str(" made:");
            self.texture.write(&mut out);
        }
        for (i, word) in self.words.iter().enumerate() {
            let lead = if i > 0 { "," } else { " words:" };
            out.push_str(&format!("{lead}{:08x}", word.hash));
            if let Some(text) = &word.text {
                out.push_str(&format!("={text}"));
            }
        }
        out
    }

    /// Words that are not known are passed over: later versions may have more.
    fn parse(pointer: CompactString, said: &str) -> Self {
        let mut field = Self {
            pointer,
            ..Self::default()
        };
        let mut words = said.split(' ');
        for name in words.next().unwrap_or_default().split('|') {
            let known = Types::ALL.into_iter().find(|(_, n)| *n == name);
            field.types |= known.map_or(Types(0), |(t, _)| t);
        }
        if field.types.has(Types::STRING) {
            field.format = Format::Plain;
        }
        for word in words {
            match word {
                "empty" => field.format = Format::Unseen,
                "optional" => field.optional = true,
                "open" => field.open = true,
                "repeated" => field.repeated = true,
                _ => {
                    if let Some(list) = word.strip_prefix("words:") {
                        field.words = list
                            .split(',')
                            .filter_map(Word::parse)
                            .take(MAX_WORDS)
                            .collect();
                    } else if let Some(made) = word.strip_prefix("made:") {
                        field.texture = Texture::parse(made).unwrap_or_default();
                    } else if let Some(class) = word.strip_prefix("custom:") {
                        if is_custom(class) && field.custom.len() < MAX_CUSTOM {
                            field.custom.push(class.into());
                        }
                    } else if let Some(class) = Classes::named(word) {
                        field.class |= class;
                    } else if let Some((f, _)) = Format::NAMED.iter().find(|(_, n)| *n == word) {
                        field.format = *f;
                    }
                }
            }
        }
        field.custom.sort_unstable();
        field.custom.dedup();
        field
    }
}

/// Whether a person may call a class so.
pub fn is_custom(name: &str) -> bool {
    let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=MAX_CUSTOM_NAME).contains(&name.len()) && name.bytes().all(ok)
}

impl Word {
    fn parse(said: &str) -> Option<Self> {
        let (hash, word) = said
            .split_once('=')
            .map_or((said, None), |(h, t)| (h, Some(t)));
        let code = |t: &&str| (1..=24).contains(&t.len()) && printable(t);
        Some(Self {
            hash: u32::from_str_radix(hash, 16).ok()?,
            text: word.filter(code).map(CompactString::from),
        })
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of pointers and words")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
                let mut shape = Shape::default();
                while let Some((pointer, said)) =
                    map.next_entry::<CompactString, Cow<'de, str>>()?
                {
                    if shape.0.len() < MAX_FIELDS {
                        shape.0.push(Field::parse(pointer, &said));
                    }
                }
                Ok(shape.bounded())
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(pointer: &str, types: &[Types]) -> Field {
        let mut field = Field {
            pointer: pointer.into(),
            ..Field::default()
        };
        types.iter().for_each(|t| field.types |= *t);
        field
    }

    fn said(f: &Field) -> String {
        let words = f.words_of_it();
        assert_eq!(&Field::parse(f.pointer.clone(), &words), f, "{words}");
        words
    }

    #[test]
    fn words_of_a_field_come_back() {
        assert_eq!(said(&field("", &[Types::OBJECT])), "object");
        assert_eq!(said(&field("/a", &[Types::STRING])), "string empty");
        let mut f = field("/a", &[Types::STRING, Types::NULL]);
        f.format = Format::DateTime;
        (f.optional, f.repeated, f.class) = (true, true, Classes(6));
        f.custom = vec!["badge".into(), "employee".into()];
        f.texture = Texture::of(*b"12:30");
        assert_eq!(
            said(&f),
            "null|string date-time optional repeated pii:phone pii:card custom:badge custom:employee made:81.3.0"
        );
        let mut f = field("/state", &[Types::STRING]);
        f.format = Format::Plain;
        let word = |hash, text: Option<&str>| Word {
            hash,
            text: text.map(Into::into),
        };
        f.words = vec![word(0xab, Some("PENDING")), word(0xffff_ffff, None)];
        assert_eq!(said(&f), "string words:000000ab=PENDING,ffffffff");
        let later = Field::parse("/x".into(), "integer|decimal sparkling");
        assert_eq!(later, field("/x", &[Types::INTEGER]));
    }

    #[test]
    fn a_shape_from_elsewhere_is_cut_to_size() {
        let wide: Vec<String> = (0..2_000)
            .map(|n| format!(r#""/{n:0>30}":"string""#))
            .collect();
        let shape: Shape = serde_json::from_str(&format!("{{{}}}", wide.join(","))).unwrap();
        assert_eq!(shape.0.len(), MAX_POINTERS / 31);
        let odd = "{\"/a\\u001b[31m\":\"string\",\"/b\":\"integer\"}";
        let shape: Shape = serde_json::from_str(odd).unwrap();
        assert_eq!(shape.0, [field("/b", &[Types::INTEGER])]);
        assert!(serde_json::from_str::<Shape>("[1]").is_err());
    }

    #[test]
    fn formats_join() {
        use Format::{Plain, Unseen, Uuid};
        assert_eq!(Unseen.join(Uuid), Uuid);
        assert_eq!(Uuid.join(Uuid), Uuid);
        assert_eq!(Uuid.join(Plain), Plain);
        assert_eq!(Uuid.join(Format::Email), Plain);
    }
}
