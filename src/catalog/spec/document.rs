//! A document with the files that it refers to, and `$ref` followed in and across them.
//!
//! Sans-IO: the caller hands in the text of a file by its path relative to the document's own
//! directory, and never a path that leaves it. References to other machines are left alone.

use std::collections::{HashMap, HashSet};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{SpecError, text};

/// Files of one document, and bytes of all of them.
const MAX_FILES: usize = 256;
const MAX_BYTES: usize = 64 << 20;
/// References on the way to one value; more are a circle.
const MAX_HOPS: usize = 32;
const ONE_FILE: &str = "put the files that it refers to beneath its directory; an upload is one file: join them first, as `redocly bundle` does";

/// Complaints kept of one document.
const MAX_NOTES: usize = 8;

/// Text of a file beneath the document's own directory, or why there is none.
pub type Read<'r> = &'r mut dyn FnMut(&str) -> Result<String, String>;

#[derive(Clone, Debug)]
pub(in crate::catalog) struct Document {
    files: Vec<(String, Value)>,
    by_name: HashMap<String, usize>,
}

/// A value of a document, and the file that it stands in: what its references are relative to.
#[derive(Clone, Copy, Debug)]
pub(in crate::catalog) struct Place<'a> {
    pub(in crate::catalog) file: usize,
    pub(in crate::catalog) value: &'a Value,
}

impl<'a> Place<'a> {
    /// A member as it stands, its reference not followed.
    pub(in crate::catalog) fn child(self, key: &str) -> Option<Self> {
        Some(Self {
            value: self.value.get(key)?,
            ..self
        })
    }

    pub(in crate::catalog) fn items(self) -> impl Iterator<Item = Self> {
        let list = self.value.as_array().into_iter().flatten();
        list.map(move |value| Self { value, ..self })
    }

    pub(in crate::catalog) fn members(self) -> impl Iterator<Item = (&'a str, Self)> {
        let members = self.value.as_object().into_iter().flatten();
        members.map(move |(key, value)| (key.as_str(), Self { value, ..self }))
    }

    pub(in crate::catalog) fn str(self, key: &str) -> Option<&'a str> {
        self.value.get(key)?.as_str()
    }

    pub(in crate::catalog) fn is(self, key: &str) -> bool {
        self.value.get(key).and_then(Value::as_bool) == Some(true)
    }

    /// Names the value; stable while the document is.
    pub(in crate::catalog) fn address(self) -> usize {
        std::ptr::from_ref(self.value).addr()
    }
}

impl Document {
    /// Reads a document and what it refers to; with what was left unresolved, for people.
    pub(super) fn load(
        name: &str,
        text: &str,
        read: Read<'_>,
    ) -> Result<(Self, Vec<String>), SpecError> {
        let own = name.rsplit('/').next().unwrap_or(name).to_owned();
        let mut loading = Loading {
            shown: name,
            bytes: 0,
            notes: Vec::new(),
            more: 0,
            document: Self {
                files: Vec::new(),
                by_name: HashMap::new(),
            },
        };
        loading.add(own, text)?;
        let mut texts = vec![text.to_owned()];
        let mut at = 0;
        while at < loading.document.files.len() {
            for reference in loading.foreign(at, &texts[at]) {
                let (path, said) = reference;
                if loading.document.by_name.contains_key(&path) {
                    continue;
                }
                let shown = loading.shown_as(at);
                let place = text::place_of(&texts[at], &said);
                let other = read(&path).map_err(|why| SpecError {
                    column: place.map(|(_, column)| column),
                    mend: ONE_FILE,
                    ..SpecError::at(&shown, place.map(|p| p.0), format!("`{said}`: {why}"))
                })?;
                loading.add(path, &other)?;
                texts.push(other);
            }
            at += 1;
        }
        loading.unresolved(&texts);
        Ok((loading.document, loading.notes))
    }

    pub(in crate::catalog) fn root(&self) -> Place<'_> {
        Place {
            file: 0,
            value: &self.files[0].1,
        }
    }

    /// The top of one of its files.
    pub(in crate::catalog) fn root_of(&self, file: usize) -> &Value {
        &self.files[file].1
    }

    /// A member with its reference followed.
    pub(in crate::catalog) fn get<'a>(&'a self, at: Place<'a>, key: &str) -> Option<Place<'a>> {
        self.follow(at.child(key)?)
    }

    /// Where a chain of references ends; `None`: nowhere.
    pub(in crate::catalog) fn follow<'a>(&'a self, mut at: Place<'a>) -> Option<Place<'a>> {
        for _ in 0..MAX_HOPS {
            match at.str("$ref") {
                Some(reference) => at = self.target(at.file, reference)?,
                None => return Some(at),
            }
        }
        None
    }

    /// What one reference names.
    pub(in crate::catalog) fn target(&self, file: usize, reference: &str) -> Option<Place<'_>> {
        let (path, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let file = match path {
            "" => file,
            path => *self.by_name.get(&beneath(&self.files[file].0, path)?)?,
        };
        let fragment = percent_decode_str(fragment).decode_utf8().ok()?;
        let value = self.files[file].1.pointer(&fragment)?;
        Some(Place { file, value })
    }
}

/// A relative path from the directory of `from`; `None` where it leaves the document's directory.
fn beneath(from: &str, path: &str) -> Option<String> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    if path.starts_with('/') || path.contains(['\\', '\0', ':']) {
        return None;
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/")).filter(|p| !p.is_empty())
}

struct Loading<'n> {
    /// The document as the user named it.
    shown: &'n str,
    bytes: usize,
    notes: Vec<String>,
    more: usize,
    document: Document,
}

impl Loading<'_> {
    fn add(&mut self, name: String, text: &str) -> Result<(), SpecError> {
        let at = self.document.files.len();
        self.bytes += text.len();
        let too_much = if at >= MAX_FILES {
            Some(format!("it refers to more than {MAX_FILES} files"))
        } else {
            let mib = MAX_BYTES >> 20;
            (self.bytes > MAX_BYTES).then(|| format!("it is larger than {mib} MiB with its files"))
        };
        if let Some(reason) = too_much {
            return Err(SpecError::at(self.shown, None, reason).mend(super::SPLIT));
        }
        self.document.by_name.insert(name.clone(), at);
        let shown = if at == 0 {
            self.shown.to_owned()
        } else {
            self.beside(&name)
        };
        let value = text::read(&shown, text)?;
        self.document.files.push((name, value));
        Ok(())
    }

    fn beside(&self, name: &str) -> String {
        match self.shown.rsplit_once('/') {
            Some((dir, _)) => format!("{dir}/{name}"),
            None => name.to_owned(),
        }
    }

    fn shown_as(&self, file: usize) -> String {
        match file {
            0 => self.shown.to_owned(),
            n => self.beside(&self.document.files[n].0),
        }
    }

    fn note(&mut self, file: usize, text: &str, reference: &str, why: &str) {
        if self.notes.len() == MAX_NOTES {
            self.more += 1;
            return;
        }
        let error = SpecError::at(
            &self.shown_as(file),
            text::place_of(text, reference).map(|(line, _)| line),
            format!("`{reference}` {why}"),
        );
        self.notes.push(error.to_string());
    }

    /// Other files that a file refers to: the path, and how it is said.
    fn foreign(&mut self, file: usize, text: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let from = &self.document.files[file].0;
        let mut refused = Vec::new();
        for reference in references(&self.document.files[file].1) {
            let path = reference.split('#').next().unwrap_or_default();
            if path.is_empty() {
                continue;
            }
            match beneath(from, path) {
                Some(other) => found.push((other, reference.to_owned())),
                None => refused.push(reference.to_owned()),
            }
        }
        for reference in refused {
            let why = "is not read: it is no file beneath the document's own directory";
            self.note(file, text, &reference, why);
        }
        found
    }

    /// Says which references point nowhere.
    fn unresolved(&mut self, texts: &[String]) {
        for (file, text) in texts.iter().enumerate() {
            let nowhere: Vec<String> = references(&self.document.files[file].1)
                .into_iter()
                .filter(|r| {
                    let path = r.split('#').next().unwrap_or_default();
                    let readable =
                        path.is_empty() || beneath(&self.document.files[file].0, path).is_some();
                    readable && self.document.target(file, r).is_none()
                })
                .map(str::to_owned)
                .collect();
            for reference in nowhere {
                self.note(file, text, &reference, "points nowhere");
            }
        }
        if self.more > 0 {
            let more = format!("{}: and {} more references", self.shown, self.more);
            self.notes.push(more);
        }
    }
}

/// Each different reference of a file, in the order in which they stand.
fn references(value: &Value) -> Vec<&str> {
    let (mut seen, mut out, mut open) = (HashSet::new(), Vec::new(), vec![value]);
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                if let Some(reference) = map.get("$ref").and_then(Value::as_str)
                    && seen.insert(reference)
                {
                    out.push(reference);
                }
                open.extend(map.values().rev());
            }
            Value::Array(list) => open.extend(list.iter().rev()),
            _ => {}
        }
    }
    out
}
