//! Learned schemas: the shapes of many exchanges of one endpoint, merged.
//!
//! What is kept of two sets of exchanges adds up to what is kept of both, in whatever order they
//! come: counts are sums, and a bound keeps the fields that come first in an order of their own
//! (the shallow before the deep, then by hash), so that a field that stays was never out. A schema
//! that is full therefore forgets its deepest fields first.
//!
//! Values are not kept. Of an enumeration its members are: a string is a member only where it is a
//! short word like a code in a field whose name says that it holds codes (the sensor lets no other
//! into the record), and is shown only once several callers have sent or received it often.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use compact_str::CompactString;
use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use super::small::{Small, one_more};
use crate::exchange::{Classes, Exchange, Field, Format, MAX_CUSTOM, MAX_WORDS, Shape, Types};

mod sensitive;
mod view;

#[cfg(test)]
mod tests;

pub use sensitive::SensitiveView;
pub(super) use view::{Compact, compact};
pub use view::{EnumView, FieldView, MadeOf, PartView, PathParameter, SchemaView};

/// Fields of one part of an endpoint's schema.
const MAX_FIELDS: usize = 256;
/// Media types of one part.
const MAX_MEDIA: usize = 4;
const HASH: FixedState = FixedState::with_seed(0x66_69_65_6c_64_73);

/// Of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Schemas {
    query: Part,
    request: Part,
    request_headers: Part,
    /// By the class of the status.
    responses: Small<u8, Part>,
    response_headers: Small<u8, Part>,
    /// Since the last view.
    #[serde(skip)]
    changed: bool,
}

/// Of one direction, and one place of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Part {
    samples: u32,
    media_types: Small<CompactString, ()>,
    /// Boxed: new fields move those behind them.
    fields: Small<Key, Box<Stats>>,
}

/// The order in which fields are kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key {
    depth: u8,
    hash: u32,
    pointer: CompactString,
}

/// What is known of one field. Counts are of shapes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Stats {
    seen: u32,
    /// Those in which each whole object that it would be in has it.
    present: u32,
    /// Those in which it is an object, and one was seen whole.
    whole: u32,
    repeated: u32,
    /// In the order of [`Types::ALL`].
    types: [u32; Types::ALL.len()],
    /// Sorted.
    formats: Vec<(Format, u32)>,
    /// Boxed: most fields hold nothing sensitive.
    marks: Option<Box<Marks>>,
    words: Option<Box<Words>>,
}

/// Classes of sensitive data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Marks {
    /// Sorted, of one class each.
    classes: Vec<(Classes, u32)>,
    /// Those that a person has added, by name.
    custom: Small<CompactString, u32>,
}

/// The members of what may be an enumeration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Words {
    /// It is none: some string was no code, or there were too many different ones. Final.
    open: bool,
    known: BTreeMap<u32, Known>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Known {
    seen: u32,
    /// A bit for each caller, by hash: several are more than one.
    callers: u64,
    text: Option<CompactString>,
}

impl Schemas {
    /// Adds what was seen of one exchange; `caller` is a hash. Not `grow`: there is no room for new
    /// fields. Requests that were refused say nothing of what should be sent.
    pub(super) fn take(&mut self, x: &Exchange, caller: u64, grow: bool) {
        let Some(shapes) = &x.shapes else { return };
        self.changed = true;
        if let Some(query) = shapes
            .query
            .as_ref()
            .filter(|_| x.status.is_none_or(|s| s < 400))
        {
            self.query.take(query, None, caller, grow);
            self.request_headers
                .take_names(&shapes.request_headers, grow);
            if let Some(body) = &shapes.request {
                let media_type = x.request_content_type.as_ref();
                self.request.take(body, media_type, caller, grow);
            }
        }
        if let Some(body) = &shapes.response {
            let class = x.status_class() as u8;
            let part = self.responses.or_default(class);
            part.take(body, x.content_type.as_ref(), caller, grow);
            let headers = self.response_headers.or_default(class);
            headers.take_names(&shapes.response_headers, grow);
        }
    }

    /// Adds what was seen of the messages behind an upgrade: the server's stand under 1xx, which is
    /// its answer to one, though over HTTP/2 it says 200.
    pub(super) fn take_session(&mut self, x: &Exchange, caller: u64, grow: bool) {
        let Some(shapes) = &x.shapes else { return };
        self.changed = true;
        if let Some(sent) = &shapes.request {
            self.request.take(sent, None, caller, grow);
        }
        if let Some(received) = &shapes.response {
            let part = self.responses.or_default(1);
            part.take(received, None, caller, grow);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.changed = true;
        self.query.merge(&other.query);
        self.request.merge(&other.request);
        self.request_headers.merge(&other.request_headers);
        for (class, theirs) in other.responses.iter() {
            self.responses.or_default(*class).merge(theirs);
        }
        for (class, theirs) in other.response_headers.iter() {
            self.response_headers.or_default(*class).merge(theirs);
        }
    }

    /// Fields that it has.
    pub(super) fn len(&self) -> usize {
        let fixed = [&self.query, &self.request, &self.request_headers];
        let by_class = self
            .responses
            .values()
            .chain(self.response_headers.values());
        fixed
            .into_iter()
            .chain(by_class)
            .map(|p| p.fields.len())
            .sum()
    }

    pub(super) fn has_changed(&self) -> bool {
        self.changed
    }

    pub(super) fn viewed(&mut self) {
        self.changed = false;
    }
}

impl Part {
    fn take(&mut self, shape: &Shape, media_type: Option<&CompactString>, caller: u64, grow: bool) {
        self.samples = self.samples.saturating_add(1);
        if let Some(media_type) = media_type.filter(|m| self.media_types.get(*m).is_none()) {
            self.media_types.or_default(media_type.clone());
            self.bound();
        }
        let Some(root) = shape.0.first().filter(|f| f.pointer.is_empty()) else {
            // A query without parameters, a head without names: an object that was seen whole.
            let root = Field {
                types: Types::OBJECT,
                ..Field::default()
            };
            return self.add(&root, false, caller, grow);
        };
        // Each field stands behind its parent: those that it is in, by the length of their pointers.
        let mut within: Vec<(usize, bool)> = Vec::new();
        self.add(root, false, caller, grow);
        within.push((0, root.open));
        for field in &shape.0[1..] {
            let parent = field.pointer.rfind('/').unwrap_or(0);
            while within.last().is_some_and(|(len, _)| *len > parent) {
                within.pop();
            }
            let in_whole = within
                .last()
                .is_some_and(|(len, open)| *len == parent && !open);
            self.add(field, in_whole, caller, grow);
            within.push((field.pointer.len(), field.open));
        }
    }

    fn take_names(&mut self, names: &[CompactString], grow: bool) {
        let root = Field {
            types: Types::OBJECT,
            ..Field::default()
        };
        let fields = names.iter().map(|name| Field {
            pointer: format!("/{name}").into(),
            types: Types::STRING,
            ..Field::default()
        });
        let shape = Shape(std::iter::once(root).chain(fields).collect());
        self.take(&shape, None, 0, grow);
    }

    /// `in_whole`: an object that it stands in was seen whole.
    fn add(&mut self, field: &Field, in_whole: bool, caller: u64, grow: bool) {
        let key = Key::of(&field.pointer);
        let stats = match self.fields.get_mut(&key) {
            Some(known) => known,
            None if grow => self.fields.or_default(key),
            None => return,
        };
        stats.take(field, in_whole, caller);
        self.bound();
    }

    fn merge(&mut self, other: &Self) {
        self.samples = self.samples.saturating_add(other.samples);
        for media_type in other.media_types.keys() {
            self.media_types.or_default(media_type.clone());
        }
        for (key, theirs) in other.fields.iter() {
            match self.fields.get_mut(key) {
                Some(mine) => mine.merge(theirs),
                None => {
                    self.fields.or_insert_with(key.clone(), || theirs.clone());
                }
            }
        }
        self.bound();
    }

    fn bound(&mut self) {
        self.fields.truncate(MAX_FIELDS);
        self.media_types.truncate(MAX_MEDIA);
    }
}

impl Key {
    fn of(pointer: &str) -> Self {
        let depth = pointer.bytes().filter(|b| *b == b'/').count();
        Self {
            depth: u8::try_from(depth).unwrap_or(u8::MAX),
            hash: HASH.hash_one(pointer.as_bytes()) as u32,
            pointer: pointer.into(),
        }
    }
}

impl Stats {
    fn take(&mut self, field: &Field, in_whole: bool, caller: u64) {
        let one = |n: &mut u32, is: bool| *n = n.saturating_add(u32::from(is));
        one(&mut self.seen, true);
        one(&mut self.present, in_whole && !field.optional);
        let object = field.types.has(Types::OBJECT) || field.types.has(Types::GROUP);
        one(&mut self.whole, object && !field.open);
        one(&mut self.repeated, field.repeated);
        for (n, (kind, _)) in self.types.iter_mut().zip(Types::ALL) {
            one(n, field.types.has(kind));
        }
        for class in field.class.each() {
            count(&mut self.marks.get_or_insert_default().classes, class, 1);
        }
        for class in &field.custom {
            self.marks.get_or_insert_default().add_custom(class, 1);
        }
        if field.format != Format::Unseen {
            count(&mut self.formats, field.format, 1);
            self.words.get_or_insert_default().take(field, caller);
        }
    }

    fn merge(&mut self, other: &Self) {
        let sums = [
            (&mut self.seen, other.seen),
            (&mut self.present, other.present),
            (&mut self.whole, other.whole),
            (&mut self.repeated, other.repeated),
        ];
        for (mine, theirs) in sums
            .into_iter()
            .chain(self.types.iter_mut().zip(other.types))
        {
            *mine = mine.saturating_add(theirs);
        }
        for (format, n) in &other.formats {
            count(&mut self.formats, *format, *n);
        }
        if let Some(theirs) = &other.marks {
            let mine = self.marks.get_or_insert_default();
            for (class, n) in &theirs.classes {
                count(&mut mine.classes, *class, *n);
            }
            for (class, n) in theirs.custom.iter() {
                mine.add_custom(class, *n);
            }
        }
        if let Some(theirs) = &other.words {
            self.words.get_or_insert_default().merge(theirs);
        }
    }
}

impl Stats {
    /// Classes of sensitive data, and in how many messages.
    fn sensitive(&self) -> impl Iterator<Item = (CompactString, u32)> {
        let marks = self.marks.iter();
        marks.flat_map(|marks| {
            let known = marks.classes.iter();
            let known = known.flat_map(|(class, n)| class.names().map(|name| (name.into(), *n)));
            let custom = marks.custom.iter();
            known.chain(custom.map(|(name, n)| (format!("custom:{name}").into(), *n)))
        })
    }
}

impl Marks {
    fn add_custom(&mut self, class: &CompactString, n: u32) {
        let mine = self.custom.or_default(class.clone());
        *mine = mine.saturating_add(n);
        self.custom.truncate(MAX_CUSTOM);
    }
}

fn count<T: Ord + Copy>(counts: &mut Vec<(T, u32)>, of: T, n: u32) {
    match counts.binary_search_by_key(&of, |(known, _)| *known) {
        Ok(at) => counts[at].1 = counts[at].1.saturating_add(n),
        Err(at) => {
            one_more(counts);
            counts.insert(at, (of, n));
        }
    }
}

impl Words {
    fn take(&mut self, field: &Field, caller: u64) {
        self.open |= field.words.is_empty();
        for word in field.words.iter().filter(|_| !self.open) {
            let known = self.known.entry(word.hash).or_default();
            known.seen = known.seen.saturating_add(1);
            known.callers |= 1 << (caller % 64);
            known.name(word.text.as_ref());
        }
        self.bound();
    }

    fn merge(&mut self, other: &Self) {
        self.open |= other.open;
        for (hash, theirs) in &other.known {
            let known = self.known.entry(*hash).or_default();
            known.seen = known.seen.saturating_add(theirs.seen);
            known.callers |= theirs.callers;
            known.name(theirs.text.as_ref());
        }
        self.bound();
    }

    fn bound(&mut self) {
        self.open |= self.known.len() > MAX_WORDS;
        if self.open {
            self.known.clear();
        }
    }
}

impl Known {
    /// Lines from elsewhere may call two words by one hash; the first by the alphabet it is.
    fn name(&mut self, text: Option<&CompactString>) {
        if let Some(text) = text.filter(|t| self.text.as_ref().is_none_or(|known| *t < known)) {
            self.text = Some(text.clone());
        }
    }
}
