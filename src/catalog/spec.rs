//! OpenAPI documents (2.0, 3.0, 3.1; JSON or YAML): which operations are documented, and which
//! place a document owns.
//!
//! A tolerant reader over the JSON tree: published documents are sloppy. What must be there is a
//! version, paths, and path items that can be found; a reference that points nowhere inside of a
//! schema leaves that part open, and is said. No file is read here: the caller hands in texts.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::diff::{self, Entry};
use super::segment::{fold, show};

mod document;
mod faults;
mod index;
mod server;
mod text;
mod tree;

#[cfg(test)]
mod tests;

pub use document::Read;
pub(in crate::catalog) use document::{Document, Place};
pub(in crate::catalog) use index::Found;
pub use index::SpecSet;
pub(in crate::catalog) use tree::Part;

use server::Scope;
use tree::Tree;

/// As documents spell them, and as requests do.
const METHODS: [(&str, &str); 8] = [
    ("get", "GET"),
    ("put", "PUT"),
    ("post", "POST"),
    ("delete", "DELETE"),
    ("options", "OPTIONS"),
    ("head", "HEAD"),
    ("patch", "PATCH"),
    ("trace", "TRACE"),
];
/// Operations of one document; the largest public ones have some thousands.
const MAX_OPERATIONS: usize = 50_000;
/// Lists of servers of one document that are told apart.
const MAX_GROUPS: usize = 64;
/// Of documents, to tell whether one has changed.
const HASH: FixedState = FixedState::with_seed(0x73_70_65_63);

/// One document, read.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Names it in URLs: by its file's name, or what an upload is called.
    pub id: Arc<str>,
    pub title: String,
    pub version: String,
    pub file: String,
    /// `OpenAPI 3.1.0, YAML`.
    pub format: String,
    pub operations: usize,
    /// What in it could not be read, for people: file, line, reason.
    pub notes: Vec<String>,
    /// The first is the document's own; operations and path items may have servers of their own.
    groups: Vec<Group>,
    all: Vec<Operation>,
    listing: Arc<[Listed]>,
    pub(super) document: Arc<Document>,
    /// Of its texts and of the hosts that it is bound to.
    pub(super) digest: u64,
}

/// Operations that have the same servers.
#[derive(Clone, Debug)]
struct Group {
    scopes: Vec<Scope>,
    tree: Tree,
}

/// An operation of a set of specs, while that set is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct OperationId {
    spec: u32,
    operation: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) id: Arc<str>,
    pub(super) deprecated: bool,
    /// In lower case, and the key under `paths`: where it stands in the document.
    pub(super) method: &'static str,
    pub(super) path: String,
}

/// An operation of a document at the first of its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// In capitals.
    pub method: &'static str,
    /// `*` where the document names none.
    pub host: Arc<str>,
    /// With the base path.
    pub template: Box<str>,
    pub id: Arc<str>,
    pub deprecated: bool,
    /// Its number in the document.
    pub at: u32,
}

/// A static segment, decoded, and as it is compared; or a pattern as the document has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) spelt: Box<str>,
    pub(super) folded: Box<str>,
    pub(super) pattern: bool,
}

impl Word {
    fn new(spelt: &str) -> Self {
        Self {
            spelt: spelt.into(),
            folded: fold(spelt).into(),
            pattern: false,
        }
    }

    fn pattern(segment: &str) -> Self {
        Self {
            pattern: true,
            ..Self::new(segment)
        }
    }

    /// As templates show it.
    fn shown(&self) -> Cow<'_, str> {
        if self.pattern {
            Cow::Borrowed(&self.spelt)
        } else {
            show(&self.spelt)
        }
    }
}

/// Why a document was refused: file, line where it is known, reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {reason}", line.map(|l| format!(":{l}")).unwrap_or_default())]
pub struct SpecError {
    pub file: String,
    pub line: Option<usize>,
    /// In characters, from 1, where the line is known.
    pub column: Option<usize>,
    pub reason: String,
    /// What to do about it.
    pub mend: &'static str,
    /// It is well-formed, and no OpenAPI document: a part of one, perhaps.
    pub is_part: bool,
}

impl SpecError {
    fn at(file: &str, line: Option<usize>, reason: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            column: None,
            reason: reason.into(),
            mend: "",
            is_part: false,
        }
    }

    fn mend(self, mend: &'static str) -> Self {
        Self { mend, ..self }
    }

    /// In one line: the place as far as it is known, what is wrong, and what mends it.
    fn note(&self) -> String {
        let line = self.line.map(|line| format!(":{line}"));
        let column = self.column.filter(|_| line.is_some());
        let column = column.map(|column| format!(":{column}"));
        let place = line.unwrap_or_default() + &column.unwrap_or_default();
        let mend = match self.mend {
            "" => String::new(),
            mend => format!("; {mend}"),
        };
        format!("{}{place}: {}{mend}", self.file, self.reason)
    }
}

const NAME_VERSION: &str =
    "begin the document with `openapi: 3.1.0`, or `swagger: \"2.0\"` where it is of that age";
const ADD_PATHS: &str = "add `paths:` with an item for each path, as in `/orders: { get: … }`";
const MEND_REFERENCE: &str =
    "add what the reference names, or name what is there; it is spelt as a JSON pointer";
const SPLIT: &str = "split the document into several, each with its own servers or base path";

/// Reads one document, JSON or YAML, that refers to no other file.
pub fn parse(file: &str, text: &str) -> Result<Spec, SpecError> {
    load(
        file,
        text,
        &mut |_| Err("no other file is read here".into()),
    )
}

/// Reads one document; `read` gives the texts of the files that it refers to.
pub fn load(file: &str, text: &str, read: Read<'_>) -> Result<Spec, SpecError> {
    let mut digest = HASH.hash_one(text);
    let (document, notes) = Document::load(file, text, &mut |path| {
        let text = read(path)?;
        digest ^= HASH.hash_one((path, &text));
        Ok(text)
    })?;
    let fail = |key: &str, reason: String| {
        let place = text::place_of(text, key);
        SpecError {
            column: place.map(|(_, column)| column),
            ..SpecError::at(file, place.map(|(line, _)| line), reason)
        }
    };
    let root = document.root();
    let version = root
        .value
        .get("openapi")
        .or_else(|| root.value.get("swagger"));
    let version = version.map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
    let version = match version {
        Some(v) if v.starts_with("3.") || v.starts_with("2.") => v,
        Some(v) => {
            let reason = format!("OpenAPI version {v} is not one of 2.0, 3.0, 3.1");
            return Err(fail(&v, reason).mend(NAME_VERSION));
        }
        None => {
            return Err(SpecError {
                is_part: true,
                mend: NAME_VERSION,
                ..SpecError::at(
                    file,
                    None,
                    "no OpenAPI document: neither `openapi` nor `swagger` at the top",
                )
            });
        }
    };
    let webhooks = root.child("webhooks").is_some();
    match root.value.get("paths") {
        Some(Value::Object(_)) => {}
        None if webhooks => {}
        _ => {
            let reason = "`paths` is missing, or is no object".into();
            return Err(fail("paths", reason).mend(ADD_PATHS));
        }
    }
    let info = |key: &str| {
        let said = root.child("info").and_then(|i| i.str(key));
        said.unwrap_or_default().to_owned()
    };
    let title = Some(info("title")).filter(|t| !t.is_empty());
    let syntax = if text::is_json(text) { "JSON" } else { "YAML" };
    let mut spec = Spec {
        id: id_of(file),
        format: format!("OpenAPI {version}, {syntax}"),
        title: title.unwrap_or_else(|| file.to_owned()),
        version: info("version"),
        file: file.to_owned(),
        operations: 0,
        notes,
        groups: vec![Group {
            scopes: server::of_document(&document),
            tree: Tree::default(),
        }],
        all: Vec::new(),
        listing: Arc::default(),
        document: Arc::new(document),
        digest,
    };
    spec.add_paths(&fail)?;
    spec.list();
    let scopes = spec.groups.iter().flat_map(|group| &group.scopes);
    let scopes: Vec<Scope> = scopes.cloned().collect();
    let faults = faults::of(file, text, &spec.document, &scopes);
    spec.notes.extend(faults);
    Ok(spec)
}

impl Spec {
    fn add_paths(&mut self, fail: &impl Fn(&str, String) -> SpecError) -> Result<(), SpecError> {
        let document = Arc::clone(&self.document);
        let paths = document.root().child("paths");
        for (path, item) in paths.into_iter().flat_map(Place::members) {
            if path.starts_with("x-") {
                continue;
            }
            let circle = |item: Place<'_>| {
                let reference = item.str("$ref");
                reference.is_some_and(|r| document.target(item.file, r).is_some())
            };
            let Some(item) = document.follow(item) else {
                if circle(item) {
                    let note = fail(path, format!("the `$ref` of `{path}` is a circle"));
                    self.notes.push(note.to_string());
                    continue;
                }
                let reason = format!("the `$ref` of `{path}` points nowhere");
                return Err(fail(path, reason).mend(MEND_REFERENCE));
            };
            for (method, upper) in METHODS {
                let Some(operation) = item.child(method).filter(|o| o.value.is_object()) else {
                    continue;
                };
                if self.all.len() >= MAX_OPERATIONS {
                    let reason = format!("it has more than {MAX_OPERATIONS} operations");
                    return Err(fail(path, reason).mend(SPLIT));
                }
                let servers = operation.child("servers").or_else(|| item.child("servers"));
                let group = self.group(servers);
                let at = self.all.len() as u32;
                self.groups[group].tree.add(path, upper, at);
                let id = operation.str("operationId").map(Arc::from);
                self.all.push(Operation {
                    id: id.unwrap_or_else(|| format!("{upper} {path}").into()),
                    deprecated: operation.is("deprecated"),
                    method,
                    path: path.to_owned(),
                });
            }
        }
        self.operations = self.all.len();
        Ok(())
    }

    /// The operations with these servers; without any, the document's own.
    fn group(&mut self, servers: Option<Place<'_>>) -> usize {
        let scopes = servers.map(server::of_list).filter(|s| !s.is_empty());
        let Some(scopes) = scopes else { return 0 };
        if let Some(known) = self.groups.iter().position(|g| g.scopes == scopes) {
            return known;
        }
        if self.groups.len() >= MAX_GROUPS {
            return 0;
        }
        self.groups.push(Group {
            scopes,
            tree: Tree::default(),
        });
        self.groups.len() - 1
    }

    /// The document is about these hosts (`*` for one label), whatever its servers say; their base
    /// paths stay, and so do the servers that only some of its operations have.
    pub fn bind(&mut self, hosts: &[String]) {
        if hosts.is_empty() {
            return;
        }
        self.digest ^= HASH.hash_one(hosts);
        self.notes.retain(|note| !note.contains(faults::NO_HOST));
        for (i, group) in self.groups.iter_mut().enumerate() {
            if i > 0 && group.scopes.iter().all(|s| s.host.is_some()) {
                continue;
            }
            let mut bound = Vec::new();
            for scope in &group.scopes {
                for host in hosts {
                    let scope = Scope {
                        host: Some(host_name(host)),
                        base: scope.base.clone(),
                    };
                    if !bound.contains(&scope) {
                        bound.push(scope);
                    }
                }
            }
            group.scopes = bound;
        }
        self.list();
    }

    /// Where an operation stands in the document: its path item, and itself.
    pub(super) fn place<'a>(&'a self, operation: &Operation) -> Option<(Place<'a>, Place<'a>)> {
        let paths = self.document.root().child("paths")?;
        let item = self.document.get(paths, &operation.path)?;
        Some((item, item.child(operation.method)?))
    }

    /// Names an operation as this text of the document has it.
    pub(super) fn digest_of(&self, operation: &Operation) -> u64 {
        HASH.hash_one((self.digest, &operation.path, operation.method))
    }

    /// Every operation, by template and method.
    pub fn listing(&self) -> &[Listed] {
        &self.listing
    }

    /// Made when the document is read: pages ask for it again and again.
    fn list(&mut self) {
        let mut out = Vec::with_capacity(self.all.len());
        for group in &self.groups {
            let scope = group.scopes.first();
            let host: Arc<str> = scope.and_then(|s| s.host.as_deref()).unwrap_or("*").into();
            let base = scope.map_or_else(String::new, |s| spelt(&s.base));
            for (template, method, at) in group.tree.listing() {
                let operation = &self.all[at as usize];
                let template = format!("{base}{template}");
                out.push(Listed {
                    method,
                    host: host.clone(),
                    template: Some(template)
                        .filter(|t| !t.is_empty())
                        .unwrap_or_else(|| "/".into())
                        .into(),
                    id: operation.id.clone(),
                    deprecated: operation.deprecated,
                    at,
                });
            }
        }
        out.sort_by(|a, b| (&a.template, a.method, a.at).cmp(&(&b.template, b.method, b.at)));
        self.listing = out.into();
    }

    /// The path of a listed operation as the document has it, without a base path.
    pub fn path_of(&self, listed: &Listed) -> &str {
        self.all
            .get(listed.at as usize)
            .map_or("", |o| o.path.as_str())
    }

    /// What a listed operation says, to be held against another; `None` where it points nowhere.
    pub fn entry(&self, listed: &Listed) -> Option<Entry> {
        let operation = self.all.get(listed.at as usize)?;
        let (item, here) = self.place(operation)?;
        let at = (&*listed.host, &*listed.template);
        let root = self.document.root_of(here.file);
        Some(diff::entry(
            root,
            at,
            operation.method,
            (item.value, here.value),
        ))
    }

    /// Operations that it has and that another document of the set answers for, with that document
    /// and the operation's id in it: the first that has a place holds it.
    pub(in crate::catalog) fn held<'s>(
        &'s self,
        set: &'s SpecSet,
    ) -> impl Iterator<Item = (&'s Listed, &'s Self, &'s str)> {
        let listing = self.listing().iter();
        listing.filter_map(|listed| {
            let (holder, id) = set.holder(self, listed)?;
            Some((listed, holder, id))
        })
    }

    /// Whether one of its scopes is at this host.
    pub(super) fn is_about(&self, host: &str) -> bool {
        let mut scopes = self.groups.iter().flat_map(|g| &g.scopes);
        scopes.any(|s| {
            let pattern = s.host.as_deref().map(str::as_bytes);
            pattern.is_none_or(|p| server::is_like(p, host.as_bytes()))
        })
    }

    /// Hosts and base paths, for people.
    pub fn scope(&self) -> Vec<String> {
        let scopes = self.groups.iter().filter(|g| !g.tree.is_empty());
        let one = |s: &Scope| {
            let base = spelt(&s.base);
            let base = if base.is_empty() { "/" } else { &base };
            format!("{}{base}", s.host.as_deref().unwrap_or("*"))
        };
        scopes.flat_map(|g| &g.scopes).map(one).collect()
    }
}

/// Of a document, by the name that it was read under.
fn id_of(file: &str) -> Arc<str> {
    let digest = Sha256::digest(file);
    let hex: String = digest[..6].iter().map(|b| format!("{b:02x}")).collect();
    hex.into()
}

fn spelt(base: &[Word]) -> String {
    base.iter().map(|w| format!("/{}", w.shown())).collect()
}

/// Lower case, default ports cut: how hosts are compared.
pub(super) fn host_name(host: &str) -> String {
    let host = host.rsplit('@').next().unwrap_or_default();
    let host = host.to_ascii_lowercase();
    let bare = host
        .strip_suffix(":80")
        .or_else(|| host.strip_suffix(":443"));
    bare.unwrap_or(&host).trim_end_matches('.').to_owned()
}
