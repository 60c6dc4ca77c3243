//! A schema of OpenAPI 2.0, 3.0 or 3.1 to one of JSON Schema 2020-12 that a body's shape can be held
//! against.
//!
//! A shape has no values, so what judges values goes: enumerations, patterns, limits, lengths. What
//! stays are types, names, required names and the few formats that can be told apart. Alternatives
//! (`oneOf`, `anyOf`) become one schema that allows whatever any of them allows, since which one was
//! meant shows in values; `allOf` becomes one schema, so that names beside it are closed off as a
//! whole. Where a document lists the names of an object and says nothing of others, others are
//! undocumented; where it allows them, or lists none, the object is open. A part that cannot be
//! read, or is too large, allows everything: nothing is claimed of it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde_json::{Map, Value, json};

use crate::catalog::spec::{Document, Place};

/// Parts of one schema; what lies behind them is open.
const MAX_PARTS: usize = 2_000;
/// `allOf`, `anyOf`, `oneOf` and references within each other.
const MAX_DEPTH: usize = 24;
/// Schemas read for one: alternatives of alternatives grow with a power of their depth.
const MAX_WORK: usize = 20_000;
/// Alternatives of one part, and schemas that hold at once in one of them.
const MAX_ALTERNATIVES: usize = 64;

/// Kinds of JSON values, as bits.
pub(super) mod kinds {
    pub(in super::super) const NULL: u8 = 1;
    pub(in super::super) const BOOLEAN: u8 = 1 << 1;
    pub(in super::super) const INTEGER: u8 = 1 << 2;
    /// Numbers that are no integers.
    pub(in super::super) const FRACTION: u8 = 1 << 3;
    pub(in super::super) const STRING: u8 = 1 << 4;
    pub(in super::super) const OBJECT: u8 = 1 << 5;
    pub(in super::super) const ARRAY: u8 = 1 << 6;
    pub(in super::super) const ALL: u8 = (1 << 7) - 1;
}

/// Formats of strings that a shape tells for certain from each other.
pub(super) const FORMATS: [&str; 6] = ["uuid", "date", "date-time", "email", "ipv4", "ipv6"];

/// Any of, all of. Empty: anything.
type Expr<'a> = Vec<Vec<Place<'a>>>;

/// What a schema says of a value, its references and combinations resolved one level down.
#[derive(Clone, Debug)]
pub(super) struct Flat<'a> {
    pub(super) kinds: u8,
    pub(super) properties: BTreeMap<&'a str, Expr<'a>>,
    pub(super) required: BTreeSet<&'a str>,
    pub(super) rest: Rest<'a>,
    items: Option<Expr<'a>>,
    format: Option<&'static str>,
}

/// What is said of names that are not listed.
#[derive(Clone, Debug)]
pub(super) enum Rest<'a> {
    Unsaid,
    Open,
    Closed,
    Schema(Expr<'a>),
}

impl Flat<'_> {
    fn anything() -> Self {
        Self {
            kinds: kinds::ALL,
            properties: BTreeMap::new(),
            required: BTreeSet::new(),
            rest: Rest::Unsaid,
            items: None,
            format: None,
        }
    }

    /// Whether names that are not listed are undocumented.
    pub(super) fn is_closed(&self) -> bool {
        match self.rest {
            Rest::Closed => true,
            Rest::Unsaid => !self.properties.is_empty(),
            Rest::Open | Rest::Schema(_) => false,
        }
    }
}

/// Reads schemas of one document, for messages of one direction.
pub(super) struct Reader<'a> {
    document: &'a Document,
    /// OpenAPI 3.1: what stands beside a reference counts.
    siblings: bool,
    /// Schemas that may still be read.
    work: Cell<usize>,
    response: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(document: &'a Document, response: bool) -> Self {
        let version = document.root().str("openapi").unwrap_or_default();
        Self {
            document,
            siblings: !version.starts_with("3.0") && !version.is_empty(),
            response,
            work: Cell::new(MAX_WORK),
        }
    }

    /// The schema, and of how many parts it is.
    pub(super) fn compile(&self, schema: Place<'a>) -> (Value, usize) {
        let mut parts = Parts::default();
        let root = parts.id(&vec![vec![schema]]);
        let mut defs = Map::new();
        while let Some((id, expr)) = parts.waiting.pop_front() {
            let flat = self.any_of(&expr, 0);
            defs.insert(id.to_string(), self.write(&flat, &mut parts));
        }
        let count = defs.len();
        (json!({ "$ref": root, "$defs": defs }), count)
    }

    pub(super) fn flat(&self, schema: Place<'a>) -> Flat<'a> {
        self.one(schema, 0)
    }

    pub(super) fn kinds_of(&self, expr: &Expr<'a>) -> u8 {
        self.any_of(expr, 0).kinds
    }

    fn write(&self, flat: &Flat<'a>, parts: &mut Parts<'a>) -> Value {
        let mut out = Map::new();
        if flat.kinds != kinds::ALL {
            out.insert("type".into(), names_of(flat.kinds));
        }
        if flat.kinds & kinds::OBJECT != 0 {
            let properties = flat.properties.iter();
            let properties: Map<String, Value> = properties
                .map(|(name, expr)| ((*name).to_owned(), parts.reference(expr)))
                .collect();
            let required = flat.required.iter();
            let required: Vec<&str> = required.copied().filter(|n| self.is_due(flat, n)).collect();
            if !properties.is_empty() {
                out.insert("properties".into(), properties.into());
            }
            if !required.is_empty() {
                out.insert("required".into(), required.into());
            }
            if let Rest::Schema(expr) = &flat.rest {
                out.insert("additionalProperties".into(), parts.reference(expr));
            } else if flat.is_closed() {
                out.insert("additionalProperties".into(), false.into());
            }
        }
        if let Some(items) = &flat.items {
            out.insert("items".into(), parts.reference(items));
        }
        if let Some(format) = flat.format {
            out.insert("format".into(), format.into());
        }
        out.into()
    }

    /// Whether a required name must be there in this direction.
    fn is_due(&self, flat: &Flat<'a>, name: &str) -> bool {
        let mark = if self.response {
            "writeOnly"
        } else {
            "readOnly"
        };
        let marked = |at: &Place<'a>| {
            at.is(mark)
                || self
                    .document
                    .follow(*at)
                    .is_some_and(|target| target.is(mark))
        };
        let known = flat.properties.get(name);
        !known.is_some_and(|expr| expr.iter().flatten().any(marked))
    }

    fn any_of(&self, expr: &Expr<'a>, depth: usize) -> Flat<'a> {
        let mut all = expr.iter().map(|every| self.all_of(every, depth));
        let first = all.next().unwrap_or_else(Flat::anything);
        all.fold(first, either)
    }

    fn all_of(&self, every: &[Place<'a>], depth: usize) -> Flat<'a> {
        let mut all = every.iter().map(|schema| self.one(*schema, depth));
        let first = all.next().unwrap_or_else(Flat::anything);
        all.fold(first, both)
    }

    fn one(&self, schema: Place<'a>, depth: usize) -> Flat<'a> {
        let left = self.work.get();
        if depth > MAX_DEPTH || left == 0 {
            return open();
        }
        self.work.set(left - 1);
        let Some(reference) = schema.str("$ref") else {
            return self.own(schema, depth);
        };
        let mut flat = match self.document.target(schema.file, reference) {
            Some(target) => self.one(target, depth + 1),
            None => open(),
        };
        if self.siblings {
            flat = both(flat, self.own(schema, depth));
        }
        if is_nullable(schema) {
            flat.kinds |= kinds::NULL;
        }
        flat
    }

    /// A schema's keywords, but for its reference.
    fn own(&self, schema: Place<'a>, depth: usize) -> Flat<'a> {
        let mut flat = Flat {
            kinds: kinds_named(schema.value.get("type")),
            format: schema.str("format").and_then(format_named),
            ..Flat::anything()
        };
        for (name, property) in schema
            .child("properties")
            .into_iter()
            .flat_map(Place::members)
        {
            flat.properties.insert(name, vec![vec![property]]);
        }
        let required = schema.value.get("required").and_then(Value::as_array);
        flat.required = required
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        flat.rest = rest_of(schema);
        flat.items = schema
            .child("items")
            .filter(|items| items.value.is_object())
            .map(|items| vec![vec![items]]);
        for part in schema.child("allOf").into_iter().flat_map(Place::items) {
            flat = both(flat, self.one(part, depth + 1));
        }
        for key in ["anyOf", "oneOf"] {
            let Some(list) = schema.child(key) else {
                continue;
            };
            let all = list.items().take(MAX_ALTERNATIVES);
            let any = all.map(|part| self.one(part, depth + 1)).reduce(either);
            if list.items().nth(MAX_ALTERNATIVES).is_some() {
                flat = both(flat, open());
            } else if let Some(any) = any {
                flat = both(flat, any);
            }
        }
        if is_nullable(schema) {
            flat.kinds |= kinds::NULL;
        }
        flat
    }
}

/// Nothing is claimed, of names neither.
fn open<'a>() -> Flat<'a> {
    Flat {
        rest: Rest::Open,
        ..Flat::anything()
    }
}

/// Both hold.
fn both<'a>(a: Flat<'a>, b: Flat<'a>) -> Flat<'a> {
    let kinds = match a.kinds & b.kinds {
        // They contradict each other: nothing is claimed.
        0 => kinds::ALL,
        kinds => kinds,
    };
    let mut properties = a.properties;
    for (name, expr) in b.properties {
        let known = properties.remove(name);
        let every = match known {
            Some(known) => product(&known, &expr),
            None => expr,
        };
        properties.insert(name, every);
    }
    let rest = match (a.rest, b.rest) {
        (Rest::Unsaid, rest) | (rest, Rest::Unsaid) => rest,
        (Rest::Closed, _) | (_, Rest::Closed) => Rest::Closed,
        _ => Rest::Open,
    };
    let items = match (a.items, b.items) {
        (Some(a), Some(b)) => Some(product(&a, &b)),
        (a, b) => a.or(b),
    };
    Flat {
        kinds,
        properties,
        required: a.required.into_iter().chain(b.required).collect(),
        rest,
        items,
        format: a.format.or(b.format),
    }
}

/// One of them holds, or both.
fn either<'a>(a: Flat<'a>, b: Flat<'a>) -> Flat<'a> {
    let kinds = a.kinds | b.kinds;
    let closed = a.is_closed() && b.is_closed();
    let strings = (a.kinds & kinds::STRING != 0, b.kinds & kinds::STRING != 0);
    let format = match strings {
        (true, true) => a.format.filter(|f| b.format == Some(f)),
        (true, false) => a.format,
        (false, _) => b.format,
    };
    let items = match (a.kinds & kinds::ARRAY != 0, b.kinds & kinds::ARRAY != 0) {
        (true, true) => a.items.zip(b.items).map(|(a, b)| sum(a, b)),
        (true, false) => a.items,
        (false, _) => b.items,
    };
    let objects = (a.kinds & kinds::OBJECT != 0, b.kinds & kinds::OBJECT != 0);
    let (properties, required, rest) = match objects {
        (true, false) => (a.properties, a.required, a.rest),
        (false, _) => (b.properties, b.required, b.rest),
        (true, true) => {
            let mut properties = a.properties;
            // What only one of them lists, and the other allows, may be anything.
            let one_sided = |expr: Expr<'a>| if closed { expr } else { Vec::new() };
            let mut merged = BTreeMap::new();
            for (name, expr) in b.properties {
                let joined = match properties.remove(name) {
                    Some(known) => sum(known, expr),
                    None => one_sided(expr),
                };
                merged.insert(name, joined);
            }
            merged.extend(properties.into_iter().map(|(name, e)| (name, one_sided(e))));
            let required = a.required.intersection(&b.required).copied().collect();
            let rest = if closed { Rest::Closed } else { Rest::Open };
            (merged, required, rest)
        }
    };
    Flat {
        kinds,
        properties,
        required,
        rest,
        items,
        format,
    }
}

/// Any of either.
fn sum<'a>(mut a: Expr<'a>, b: Expr<'a>) -> Expr<'a> {
    if a.is_empty() || b.is_empty() || a.len() + b.len() > MAX_ALTERNATIVES {
        return Vec::new();
    }
    a.extend(b);
    a
}

/// One of each.
fn product<'a>(a: &Expr<'a>, b: &Expr<'a>) -> Expr<'a> {
    if a.is_empty() {
        return b.clone();
    }
    if b.is_empty() {
        return a.clone();
    }
    if a.len() * b.len() > MAX_ALTERNATIVES {
        return Vec::new();
    }
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
    let joined = pairs.map(|(a, b)| a.iter().chain(b).copied().collect::<Vec<_>>());
    let joined: Vec<_> = joined.collect();
    if joined.iter().any(|every| every.len() > MAX_ALTERNATIVES) {
        return Vec::new();
    }
    joined
}

fn is_nullable(schema: Place<'_>) -> bool {
    schema.is("nullable") || schema.is("x-nullable")
}

/// A type, or the list of types of 3.1; without one, and for `file`, all.
fn kinds_named(said: Option<&Value>) -> u8 {
    let one = |name: &str| match name {
        "null" => kinds::NULL,
        "boolean" => kinds::BOOLEAN,
        "integer" => kinds::INTEGER,
        "number" => kinds::INTEGER | kinds::FRACTION,
        "string" => kinds::STRING,
        "object" => kinds::OBJECT,
        "array" => kinds::ARRAY,
        _ => kinds::ALL,
    };
    match said {
        Some(Value::String(name)) => one(name),
        Some(Value::Array(list)) if !list.is_empty() => list
            .iter()
            .fold(0, |all, name| all | name.as_str().map_or(kinds::ALL, one)),
        _ => kinds::ALL,
    }
}

/// As JSON Schema says it.
pub(super) fn names_of(set: u8) -> Value {
    let names = [
        (kinds::NULL, "null"),
        (kinds::BOOLEAN, "boolean"),
        (kinds::STRING, "string"),
        (kinds::OBJECT, "object"),
        (kinds::ARRAY, "array"),
    ];
    let named = names.into_iter().filter(|(bit, _)| set & bit != 0);
    let mut out: Vec<&str> = named.map(|(_, name)| name).collect();
    if set & kinds::FRACTION != 0 {
        out.push("number");
    } else if set & kinds::INTEGER != 0 {
        out.push("integer");
    }
    out.into()
}

fn format_named(said: &str) -> Option<&'static str> {
    FORMATS.into_iter().find(|f| *f == said)
}

/// A discriminator without alternatives stands for those that build upon this schema, which have
/// more names. Keywords that bring names by condition open it, too.
fn rest_of(schema: Place<'_>) -> Rest<'_> {
    const OPENING: [&str; 8] = [
        "patternProperties",
        "propertyNames",
        "if",
        "then",
        "else",
        "dependentSchemas",
        "$dynamicRef",
        "$recursiveRef",
    ];
    let open = OPENING.iter().any(|k| schema.child(k).is_some());
    let alternatives = ["oneOf", "anyOf"].iter().any(|k| schema.child(k).is_some());
    if open || (schema.child("discriminator").is_some() && !alternatives) {
        return Rest::Open;
    }
    let said = schema.child("additionalProperties");
    match said.or_else(|| schema.child("unevaluatedProperties")) {
        None => Rest::Unsaid,
        Some(at) => match at.value {
            Value::Bool(false) => Rest::Closed,
            Value::Object(map) if !map.is_empty() => Rest::Schema(vec![vec![at]]),
            _ => Rest::Open,
        },
    }
}

/// Parts that were asked for, by what they are made of.
#[derive(Default)]
struct Parts<'a> {
    known: HashMap<Vec<Vec<usize>>, usize>,
    waiting: VecDeque<(usize, Expr<'a>)>,
}

impl<'a> Parts<'a> {
    fn reference(&mut self, expr: &Expr<'a>) -> Value {
        if expr.is_empty() {
            return true.into();
        }
        json!({ "$ref": self.id(expr) })
    }

    fn id(&mut self, expr: &Expr<'a>) -> String {
        let addresses = |every: &Vec<Place<'a>>| {
            let mut all: Vec<usize> = every.iter().map(|p| p.address()).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let mut key: Vec<Vec<usize>> = expr.iter().map(addresses).collect();
        key.sort_unstable();
        key.dedup();
        let next = self.known.len();
        if next >= MAX_PARTS && !self.known.contains_key(&key) {
            // One more part, which allows everything.
            let open = self.known.entry(Vec::new()).or_insert(next);
            if *open == next {
                self.waiting.push_back((next, Vec::new()));
            }
            return format!("#/$defs/{open}");
        }
        let id = *self.known.entry(key).or_insert(next);
        if id == next {
            self.waiting.push_back((id, expr.clone()));
        }
        format!("#/$defs/{id}")
    }
}
