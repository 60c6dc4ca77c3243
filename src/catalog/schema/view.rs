//! What readers see of a schema. In a line of the inventory it is compact, a field's pointer to
//! words: `{"/id":"integer required","/mail":"string email nullable"}`; by itself it has all of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use compact_str::CompactString;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Part, Schemas, Stats, Words};
use crate::exchange::{Format, Types};

/// A schema of fewer samples is not called stable.
const SETTLED: u32 = 64;
/// A format is named where so many of a hundred strings have it.
const MOST: u64 = 98;
/// Members of an enumeration were each seen so often, by so many callers, before they are shown;
/// and the field so often before it is called one.
const MEMBER_SEEN: u32 = 4;
const MEMBER_CALLERS: u32 = 2;
const ENUM_SEEN: u32 = 32;

/// The schema of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub struct SchemaView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<PartView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_headers: Option<PartView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<PartView>,
    /// By status class: `2xx`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub response_headers: ByClass,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub responses: ByClass,
}

/// Boxed: most have one, and a tree's node has room for eleven.
type ByClass = BTreeMap<String, Box<PartView>>;

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct PartView {
    /// Messages that were looked into.
    pub samples: u32,
    /// The next message is not expected to show anything new.
    pub stable: bool,
    pub media_types: Vec<String>,
    pub fields: Vec<FieldView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct FieldView {
    /// RFC 6901; `*` stands for the items of an array and the entries of a map. Of messages of
    /// Protocol Buffers the parts are field numbers. Empty: the body itself.
    pub pointer: String,
    /// `null` is told by `nullable`.
    pub types: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
    /// Every object that it could be in has it.
    pub required: bool,
    pub nullable: bool,
    /// It may come several times.
    pub repeated: bool,
    pub seen: u32,
    #[serde(rename = "enum", skip_serializing_if = "Option::is_none")]
    pub members: Option<EnumView>,
    /// Classes of sensitive data, and in how many messages.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, u32>")]
    pub sensitive: BTreeMap<CompactString, u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct EnumView {
    pub members: usize,
    /// Those that may be shown; all of them, or none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// A parameter in the path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct PathParameter {
    pub name: String,
    /// `integer`, `uuid`, `date`, `email`, `token`, `file`, `text`.
    pub types: Vec<String>,
    /// Which part of the template it is, 0 the first.
    #[serde(default)]
    pub part: usize,
    /// Why it is a parameter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Words that are routes of their own beside it; the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// What its values are made of; absent where none was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_of: Option<MadeOf>,
}

/// Of values, without any of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct MadeOf {
    /// `digits`, `letters`, `hyphens` … the most frequent first, each with the values that have it.
    pub kinds: Vec<(String, u32)>,
    /// Characters, within a doubling.
    pub shortest: u32,
    pub longest: u32,
    pub seen: u32,
}

impl Schemas {
    /// `None`: nothing was looked into yet.
    pub(in crate::catalog) fn view(&self) -> Option<Arc<SchemaView>> {
        let part = |p: &Part| (p.fields.len() > 1).then(|| p.view());
        let body = |p: &Part| (p.samples > 0).then(|| p.view());
        let class = |class: &u8| match class {
            0 => "none".to_owned(),
            n => format!("{n}xx"),
        };
        let view = SchemaView {
            query: part(&self.query),
            request_headers: part(&self.request_headers),
            request: body(&self.request),
            response_headers: (self.response_headers.iter())
                .filter_map(|(c, p)| Some((class(c), part(p)?.into())))
                .collect(),
            responses: (self.responses.iter())
                .filter_map(|(c, p)| Some((class(c), body(p)?.into())))
                .collect(),
        };
        (view != SchemaView::default()).then(|| Arc::new(view))
    }
}

impl Part {
    fn view(&self) -> PartView {
        let by_pointer: BTreeMap<&str, &Stats> = self
            .fields
            .iter()
            .map(|(key, stats)| (key.pointer.as_str(), &**stats))
            .collect();
        let field = |(pointer, stats): (&&str, &&Stats)| {
            let parent = pointer.rfind('/').map(|at| &pointer[..at]);
            let whole = parent
                .and_then(|p| by_pointer.get(p))
                .map_or(0, |p| p.whole);
            let anonymous = pointer.ends_with("/*");
            stats.view(pointer, whole > 0 && stats.present == whole && !anonymous)
        };
        PartView {
            samples: self.samples,
            stable: self.is_stable(),
            media_types: self.media_types.keys().map(ToString::to_string).collect(),
            fields: by_pointer.iter().map(field).collect(),
        }
    }

    /// The chance that the next message shows something new is about the share of things that were
    /// seen once in all that were seen (Good and Turing); that is the same in whatever order they
    /// came.
    fn is_stable(&self) -> bool {
        let once = |n: &u32| u32::from(*n == 1);
        let new = |s: &Stats| s.types.iter().map(once).sum::<u32>() + once(&s.seen);
        let singletons = self.fields.values().map(|s| new(s)).sum::<u32>();
        self.samples >= SETTLED
            && u64::from(singletons) * u64::from(SETTLED) <= u64::from(self.samples)
    }
}

impl Stats {
    fn view(&self, pointer: &str, required: bool) -> FieldView {
        let counted = self.types.iter().zip(Types::ALL).filter(|(n, _)| **n > 0);
        let mut types: Vec<_> = counted.map(|(_, (_, name))| name).collect();
        let nullable = types.first() == Some(&"null");
        types.retain(|name| *name != "null");
        if types.contains(&"number") {
            // Whole numbers among them are numbers, too.
            types.retain(|name| *name != "integer");
        }
        // There are many fields, and most have one.
        types.shrink_to_fit();
        FieldView {
            pointer: pointer.to_owned(),
            types,
            format: self.format(),
            required,
            nullable,
            repeated: self.repeated > 0,
            seen: self.seen,
            members: self.words.as_ref().and_then(|w| w.view(self.seen)),
            sensitive: self.sensitive().collect(),
        }
    }

    fn format(&self) -> Option<&'static str> {
        let all: u64 = self.formats.iter().map(|(_, n)| u64::from(*n)).sum();
        let (format, n) = self.formats.iter().max_by_key(|(_, n)| *n)?;
        (*format != Format::Plain && u64::from(*n) * 100 >= all * MOST).then(|| format.name())?
    }
}

impl Words {
    fn view(&self, seen: u32) -> Option<EnumView> {
        let often = self.known.values().all(|k| k.seen >= MEMBER_SEEN);
        if self.open || self.known.is_empty() || seen < ENUM_SEEN || !often {
            return None;
        }
        let shown = |k: &super::Known| {
            let known = k.callers.count_ones() >= MEMBER_CALLERS;
            k.text.as_ref().filter(|_| known).map(ToString::to_string)
        };
        let mut values: Option<Vec<String>> = self.known.values().map(shown).collect();
        if let Some(values) = &mut values {
            values.sort_unstable();
        }
        Some(EnumView {
            members: self.known.len(),
            values: values.unwrap_or_default(),
        })
    }
}

impl FieldView {
    /// `string email nullable`.
    pub fn words(&self) -> String {
        let mut out = self.types.join("|");
        let flags = [
            (self.nullable, "nullable"),
            (self.required, "required"),
            (self.repeated, "repeated"),
        ];
        let flags = flags.into_iter().filter(|(set, _)| *set).map(|(_, f)| f);
        let words = self.format.into_iter().chain(flags);
        for word in words.chain(self.sensitive.keys().map(CompactString::as_str)) {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(word);
        }
        out
    }
}

/// The form of a line of the inventory.
pub(in crate::catalog) fn compact<S: Serializer>(
    schema: &Option<Arc<SchemaView>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    schema.as_deref().map(Compact::of).serialize(serializer)
}

/// A schema in few words.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "CompactSchema")]
pub(in crate::catalog) struct Compact<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<CompactPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_headers: Option<CompactPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<CompactPart<'a>>,
    /// By status class: `2xx`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    response_headers: BTreeMap<&'a str, CompactPart<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    responses: BTreeMap<&'a str, CompactPart<'a>>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct CompactPart<'a> {
    samples: u32,
    stable: bool,
    /// By pointer: `integer required`, `string email nullable`.
    #[schemars(with = "BTreeMap<String, String>")]
    fields: Fields<'a>,
}

struct Fields<'a>(&'a [FieldView]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for field in self.0 {
            map.serialize_entry(&field.pointer, &field.words())?;
        }
        map.end()
    }
}

impl<'a> Compact<'a> {
    fn of(s: &'a SchemaView) -> Self {
        let part = |p: &'a PartView| CompactPart {
            samples: p.samples,
            stable: p.stable,
            fields: Fields(&p.fields),
        };
        let by_class = |parts: &'a ByClass| {
            let parts = parts.iter();
            parts.map(|(class, p)| (class.as_str(), part(p))).collect()
        };
        Self {
            query: s.query.as_ref().map(part),
            request_headers: s.request_headers.as_ref().map(part),
            request: s.request.as_ref().map(part),
            response_headers: by_class(&s.response_headers),
            responses: by_class(&s.responses),
        }
    }
}
