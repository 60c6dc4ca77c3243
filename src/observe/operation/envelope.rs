//! The objects that calls travel in: `{query, operationName, variables, extensions}` of GraphQL over
//! HTTP, `{jsonrpc, method, params, id}` of JSON-RPC, alone or in arrays.

use std::borrow::Cow;

use compact_str::CompactString;

use super::graphql::Document;
use super::identifier;
use crate::exchange::{MAX_NAME, Operation, OperationKind};
use crate::observe::json::{Scanner, Value, unescape};

/// Calls of a batch that are read; the rest is counted. Servers allow some tens.
const MAX_BATCH: u16 = 64;

/// First keys of what may be a call.
const KEYS: [&str; 9] = [
    "query",
    "operationName",
    "variables",
    "extensions",
    "documentId",
    "jsonrpc",
    "method",
    "params",
    "id",
];

/// What one object says, whichever of both it is.
#[derive(Debug, Default)]
struct Envelope<'a> {
    /// And whether it is all there.
    query: Option<(Cow<'a, str>, bool)>,
    /// `Some(None)`: named, but cut off.
    operation_name: Option<Option<Cow<'a, str>>>,
    hash: Option<Cow<'a, str>>,
    version: Option<Cow<'a, str>>,
    method: Option<Cow<'a, str>>,
    params: bool,
    id: bool,
    /// Members of GraphQL's stood there before it was a call of JSON-RPC. Of its beginning that is
    /// all that is known, so the whole is no other.
    graphql_first: bool,
}

pub(super) fn may_be(beginning: &[u8]) -> bool {
    let mut s = Scanner::new(beginning);
    let mut value = s.value();
    if value == Some(Value::Array) {
        value = s.item();
    }
    value == Some(Value::Object) && s.key().is_some_and(|k| KEYS.contains(&&*k))
}

pub(super) fn operation(content: &[u8], whole: bool) -> Option<Operation> {
    let mut s = Scanner::new(content);
    let operation = match s.value()? {
        Value::Object => Envelope::read(&mut s).operation(),
        Value::Array => batch(&mut s),
        _ => None,
    };
    // No server takes what is no JSON, or lacks its end.
    let sound = !s.malformed && (!whole || s.closed);
    operation.filter(|_| sound)
}

/// Of a query string or a form.
pub(super) fn of_pairs(pairs: &[u8]) -> Option<Operation> {
    let mut e = Envelope::default();
    for (name, value) in url::form_urlencoded::parse(pairs) {
        match &*name {
            "query" => e.query = Some((value, true)),
            "operationName" if !value.is_empty() => e.operation_name = Some(Some(value)),
            "documentId" => e.hash = Some(value),
            "extensions" => {
                let mut s = Scanner::new(value.as_bytes());
                let hash = match s.value() {
                    Some(Value::Object) => extensions(&mut s),
                    _ => None,
                };
                e.hash = hash.map(|h| Cow::Owned(h.into_owned())).or(e.hash);
            }
            _ => {}
        }
    }
    e.graphql()
}

impl<'a> Envelope<'a> {
    /// The scanner stands behind the brace. Of several values of one key the last counts, as it
    /// does with most readers.
    fn read(s: &mut Scanner<'a>) -> Self {
        let mut e = Self::default();
        while let Some(key) = s.key() {
            e.graphql_first |= (e.query.is_some() || e.hash.is_some()) && !e.is_json_rpc();
            let Some(value) = s.value() else {
                // The text ends behind the colon: what was to come is not known.
                if key == "operationName" {
                    e.operation_name = Some(None);
                }
                break;
            };
            match (&*key, value) {
                ("query", Value::Text { raw, whole }) => e.query = Some((unescape(raw), whole)),
                ("operationName", Value::Text { .. }) => e.operation_name = Some(value.as_text()),
                ("documentId", Value::Text { .. }) => e.hash = value.as_text(),
                ("jsonrpc", Value::Text { .. }) => e.version = value.as_text(),
                ("method", Value::Text { .. }) => e.method = value.as_text(),
                ("id", _) => e.id = true,
                ("params", Value::Array | Value::Object) => e.params = true,
                ("extensions", Value::Object) => {
                    e.hash = extensions(s).or(e.hash);
                    continue;
                }
                _ => {}
            }
            s.skip(value);
        }
        e
    }

    fn operation(&self) -> Option<Operation> {
        let call = self.method.as_deref();
        match call.filter(|_| !self.graphql_first && self.is_json_rpc()) {
            Some(method) => Some(Operation::new(OperationKind::JsonRpc, identifier(method))),
            None => self.graphql(),
        }
    }

    /// JSON-RPC 2.0 says so; 1.0 is told by all its members.
    fn is_json_rpc(&self) -> bool {
        let two = self.version.as_deref() == Some("2.0");
        let one = self.version.is_none() && self.params && self.id;
        self.method.is_some() && (two || one)
    }

    fn graphql(&self) -> Option<Operation> {
        let cut = self.operation_name == Some(None);
        let name = self.operation_name.as_ref().and_then(Option::as_deref);
        let name = name.filter(|n| !n.is_empty());
        if let Some((text, whole)) = &self.query {
            let document = Document::parse(text, *whole)?;
            // It cannot be told which one runs.
            let nameless = || Operation::new(OperationKind::Graphql, None);
            return Some(if cut {
                nameless()
            } else {
                document.operation(name)
            });
        }
        // A persisted query: its text was sent before, or is known to the server.
        let hash = self.hash.as_deref()?;
        let digest = hash.strip_prefix("sha256:").unwrap_or(hash);
        let digits =
            |h: &str| matches!(h.len(), 32 | 64) && h.bytes().all(|b| b.is_ascii_hexdigit());
        let named = match name {
            Some(name) => identifier(name),
            None if digits(digest) && !cut => {
                let prefix = digest[..12].to_ascii_lowercase();
                Some(CompactString::from(format!("persisted {prefix}")))
            }
            None => None,
        };
        Some(Operation::new(OperationKind::Graphql, named))
    }
}

/// `persistedQuery.sha256Hash`; reads to the end of the object at hand.
fn extensions<'a>(s: &mut Scanner<'a>) -> Option<Cow<'a, str>> {
    let mut hash = None;
    while let Some(key) = s.key() {
        let value = s.value()?;
        if key == "persistedQuery" && value == Value::Object {
            while let Some(key) = s.key() {
                let value = s.value()?;
                if key == "sha256Hash" {
                    hash = value.as_text().or(hash);
                }
                s.skip(value);
            }
            continue;
        }
        s.skip(value);
    }
    hash
}

/// The scanner stands behind the bracket. All calls are of one kind, or it is no batch.
fn batch(s: &mut Scanner<'_>) -> Option<Operation> {
    let mut all: Option<Operation> = None;
    let mut names: Vec<CompactString> = Vec::new();
    let (mut count, mut sure) = (0_u16, true);
    while let Some(value) = s.item() {
        count = count.saturating_add(1);
        if value != Value::Object || count > MAX_BATCH {
            sure &= count > MAX_BATCH;
            s.skip(value);
            continue;
        }
        let one = Envelope::read(s).operation();
        sure &= s.closed;
        // Cut inside, or of neither kind.
        let Some(one) = one else {
            if s.closed {
                return None;
            }
            continue;
        };
        match one.name.clone() {
            Some(name) if !names.contains(&name) => names.push(name),
            Some(_) => {}
            None => sure = false,
        }
        match &mut all {
            None => all = Some(one),
            Some(first) if first.kind != one.kind => return None,
            Some(first) => {
                first.depth = first.depth.max(one.depth);
                let sum = |(a, b): (u16, u16)| a.saturating_add(b);
                first.aliases = first.aliases.zip(one.aliases).map(sum);
                first.introspection |= one.introspection;
                first.fields.extend(one.fields);
            }
        }
    }
    let mut all = all?;
    names.sort_unstable();
    all.name = (sure && s.closed).then(|| joined(&names));
    all.count = Some(count);
    let mut seen: Vec<CompactString> = Vec::new();
    all.fields.retain(|f| {
        let new = !seen.contains(f);
        if new {
            seen.push(f.clone());
        }
        new
    });
    Some(all.bounded())
}

fn joined(names: &[CompactString]) -> CompactString {
    let mut out = CompactString::default();
    for (i, name) in names.iter().enumerate() {
        if out.len() + name.len() + ", ...".len() + 2 > MAX_NAME {
            out.push_str(if i > 0 { ", ..." } else { "..." });
            break;
        }
        if i > 0 {
            out.push_str(", ");
        }
        out.push_str(name);
    }
    out
}
