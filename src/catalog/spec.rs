//! OpenAPI documents (2.0, 3.0, 3.1; JSON or YAML): which operations are documented, and which
//! place a document owns.
//!
//! A tolerant reader over the JSON tree: published documents are sloppy, and only paths, methods,
//! names and marks are needed here.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::segment::{fold, split};

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// One document, read.
#[derive(Clone, Debug)]
pub struct Spec {
    pub title: String,
    pub version: String,
    pub file: String,
    scopes: Vec<Scope>,
    root: Node,
    pub operations: usize,
}

/// A place that a document owns: a host (any, where the server is relative) and a base path.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Scope {
    host: Option<String>,
    base: Vec<String>,
}

/// Path templates of one document.
#[derive(Clone, Debug, Default)]
struct Node {
    words: BTreeMap<String, Self>,
    param: Option<(String, Box<Self>)>,
    operations: BTreeMap<String, Operation>,
}

#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) deprecated: bool,
}

/// All documents; the longest matching scope owns a place.
#[derive(Clone, Debug, Default)]
pub struct SpecSet {
    specs: Vec<Spec>,
}

/// A path as a document has it.
pub(super) struct Found<'a> {
    pub(super) spec: &'a Spec,
    /// Base path and template, in segments; `Err` is a parameter's name.
    pub(super) template: Vec<Result<String, String>>,
    /// None where the path is documented and the method is not.
    pub(super) operation: Option<&'a Operation>,
}

/// Why a document was refused: file, line where it is known, reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {reason}", line.map(|l| format!(":{l}")).unwrap_or_default())]
pub struct SpecError {
    pub file: String,
    pub line: Option<usize>,
    pub reason: String,
}

/// Reads one document, JSON or YAML.
pub fn parse(file: &str, text: &str) -> Result<Spec, SpecError> {
    let fail = |line, reason: String| SpecError {
        file: file.to_owned(),
        line,
        reason,
    };
    let document: Value = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|e| fail(Some(e.line()), e.to_string()))?
    } else {
        serde_saphyr::from_str(text).map_err(|e| {
            let line = e.location().map(|l| l.line() as usize);
            fail(
                line,
                e.to_string().lines().next().unwrap_or_default().to_owned(),
            )
        })?
    };
    let version = document.get("openapi").or_else(|| document.get("swagger"));
    match version.map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)) {
        Some(v) if v.starts_with("3.") || v.starts_with("2.") => {}
        Some(v) => {
            return Err(fail(
                None,
                format!("OpenAPI version {v} is not one of 2.0, 3.0, 3.1"),
            ));
        }
        None => {
            return Err(fail(
                None,
                "no OpenAPI document: neither `openapi` nor `swagger` at the top".into(),
            ));
        }
    }
    let Some(paths) = document.get("paths").and_then(Value::as_object) else {
        return Err(fail(None, "`paths` is missing, or is no object".into()));
    };
    let info = |key: &str| {
        document
            .pointer(&format!("/info/{key}"))
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let mut spec = Spec {
        title: if info("title").is_empty() {
            file.to_owned()
        } else {
            info("title").to_owned()
        },
        version: info("version").to_owned(),
        file: file.to_owned(),
        scopes: scopes(&document),
        root: Node::default(),
        operations: 0,
    };
    for (path, item) in paths {
        spec.add(path, resolve(&document, item));
    }
    Ok(spec)
}

/// A local `$ref` followed; references in a circle end where they meet.
fn resolve<'a>(document: &'a Value, mut value: &'a Value) -> &'a Value {
    let mut seen = BTreeSet::new();
    while let Some(pointer) = value.get("$ref").and_then(Value::as_str) {
        let target = pointer.strip_prefix('#').and_then(|p| document.pointer(p));
        match target {
            Some(target) if seen.insert(pointer) => value = target,
            _ => break,
        }
    }
    value
}

fn scopes(document: &Value) -> Vec<Scope> {
    let text = |v: Option<&Value>| v.and_then(Value::as_str).map(str::to_owned);
    if document.get("swagger").is_some() {
        let base = text(document.get("basePath")).unwrap_or_default();
        return vec![Scope {
            host: text(document.get("host")).map(|h| host_name(&h)),
            base: words(&base),
        }];
    }
    let servers = document
        .get("servers")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut found: Vec<Scope> = servers.iter().filter_map(server).collect();
    if found.is_empty() {
        // OpenAPI 3: the default server is `/`.
        found.push(Scope {
            host: None,
            base: Vec::new(),
        });
    }
    found
}

/// `https://{region}.api.example.com/v1`: variables take their default.
fn server(server: &Value) -> Option<Scope> {
    let mut url = server.get("url")?.as_str()?.to_owned();
    for (name, variable) in server
        .get("variables")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let default = variable
            .get("default")
            .and_then(Value::as_str)
            .unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), default);
    }
    let (host, path) = match url.split_once("://") {
        Some((_, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (Some(host_name(authority)), path.to_owned())
        }
        None => (None, url.clone()),
    };
    Some(Scope {
        host: host.filter(|h| !h.is_empty()),
        base: words(&path),
    })
}

/// Lower case, default ports cut: how hosts are compared.
pub(super) fn host_name(host: &str) -> String {
    let host = host
        .rsplit('@')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let bare = host
        .strip_suffix(":80")
        .or_else(|| host.strip_suffix(":443"))
        .unwrap_or(&host);
    bare.trim_end_matches('.').to_owned()
}

fn words(path: &str) -> Vec<String> {
    split(path).iter().map(|s| fold(s).into_owned()).collect()
}

impl Spec {
    fn add(&mut self, path: &str, item: &Value) {
        let mut node = &mut self.root;
        // Not `split`: a template's segments are taken as they stand.
        for segment in path
            .split(['?', '#'])
            .next()
            .unwrap_or_default()
            .split('/')
            .filter(|s| !s.is_empty())
        {
            node = match segment.find('{') {
                Some(at) => {
                    let inner = &segment[at + 1..];
                    let name = inner.split('}').next().unwrap_or("id").to_owned();
                    &mut node.param.get_or_insert_with(|| (name, Box::default())).1
                }
                None => {
                    let word = percent_decode_str(segment).decode_utf8_lossy();
                    node.words.entry(fold(&word).into_owned()).or_default()
                }
            };
        }
        for method in METHODS {
            let Some(operation) = item.get(method).and_then(Value::as_object) else {
                continue;
            };
            let id = operation.get("operationId").and_then(Value::as_str);
            let deprecated = operation
                .get("deprecated")
                .and_then(Value::as_bool)
                .unwrap_or(false);
            let id = id.map_or_else(
                || format!("{} {path}", method.to_uppercase()),
                str::to_owned,
            );
            node.operations
                .insert(method.to_uppercase(), Operation { id, deprecated });
            self.operations += 1;
        }
    }

    /// Every operation: method, host, template, id.
    pub(super) fn listing(&self) -> Vec<(String, String, String, String)> {
        let scope = self.scopes.first();
        let host = scope
            .and_then(|s| s.host.clone())
            .unwrap_or_else(|| "*".into());
        let base: String = scope
            .iter()
            .flat_map(|s| &s.base)
            .map(|word| format!("/{word}"))
            .collect();
        let (mut out, mut open) = (Vec::new(), vec![(base, &self.root)]);
        while let Some((path, node)) = open.pop() {
            let template = if path.is_empty() { "/" } else { &path };
            let here = node.operations.iter();
            out.extend(
                here.map(|(m, o)| (m.clone(), host.clone(), template.to_owned(), o.id.clone())),
            );
            open.extend(
                node.words
                    .iter()
                    .map(|(word, below)| (format!("{path}/{word}"), below)),
            );
            open.extend(
                node.param
                    .iter()
                    .map(|(name, below)| (format!("{path}/{{{name}}}"), &**below)),
            );
        }
        out
    }

    /// Hosts and base paths, for people.
    pub fn scope(&self) -> Vec<String> {
        let one = |s: &Scope| format!("{}/{}", s.host.as_deref().unwrap_or("*"), s.base.join("/"));
        self.scopes.iter().map(one).collect()
    }
}

impl SpecSet {
    pub fn new(specs: Vec<Spec>) -> Self {
        Self { specs }
    }

    pub fn specs(&self) -> &[Spec] {
        &self.specs
    }

    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// The document that owns a place: a named host before any host, then the longest base path.
    /// `segments` are decoded, not folded.
    pub(super) fn find(
        &self,
        host: &str,
        method: &str,
        segments: &[impl AsRef<str>],
    ) -> Option<Result<Found<'_>, &Spec>> {
        let places = self
            .specs
            .iter()
            .flat_map(|spec| spec.scopes.iter().map(move |scope| (spec, scope)));
        let owning = places.filter(|(_, s)| {
            s.host.as_deref().is_none_or(|h| h == host)
                && s.base.len() <= segments.len()
                && s.base
                    .iter()
                    .zip(segments)
                    .all(|(b, s)| *b == fold(s.as_ref()))
        });
        let mut owning: Vec<_> = owning.collect();
        owning.sort_by_key(|(_, s)| std::cmp::Reverse((s.host.is_some(), s.base.len())));
        let (first, scope) = *owning.first()?;
        let best = (scope.host.is_some(), scope.base.len());
        // Several documents may share a scope: whichever has the path.
        let equal = owning
            .into_iter()
            .take_while(|(_, s)| (s.host.is_some(), s.base.len()) == best);
        let mut of_path = None;
        for (spec, scope) in equal {
            let mut template = Vec::new();
            let Some(node) = walk(&spec.root, &segments[scope.base.len()..], &mut template) else {
                continue;
            };
            let whole = scope.base.iter().cloned().map(Ok).chain(template).collect();
            let found = Found {
                spec,
                template: whole,
                operation: node.operations.get(method),
            };
            if found.operation.is_some() {
                return Some(Ok(found));
            }
            of_path.get_or_insert(found);
        }
        Some(of_path.ok_or(first))
    }
}

/// Static before parameter, with a way back.
fn walk<'a>(
    node: &'a Node,
    segments: &[impl AsRef<str>],
    template: &mut Vec<Result<String, String>>,
) -> Option<&'a Node> {
    let Some((first, rest)) = segments.split_first() else {
        return (!node.operations.is_empty()).then_some(node);
    };
    let depth = template.len();
    let word = fold(first.as_ref());
    if let Some(next) = node.words.get(word.as_ref()) {
        template.push(Ok(first.as_ref().to_owned()));
        if let Some(found) = walk(next, rest, template) {
            return Some(found);
        }
        template.truncate(depth);
    }
    let (name, next) = node.param.as_ref()?;
    template.push(Err(name.clone()));
    let found = walk(next, rest, template);
    if found.is_none() {
        template.truncate(depth);
    }
    found
}
