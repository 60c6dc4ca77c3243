//! OpenAPI documents from files and folders, with the files that they refer to.
//!
//! A document reads files beneath its own directory and no other, whatever way a path or a link
//! takes. Each that is refused is told with its reason; the others are read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::catalog::spec::{self, Spec, SpecError, SpecSet};
use crate::config::SpecSource;

/// Bytes of one file.
const MAX_FILE: u64 = 64 << 20;
/// Documents of one folder.
const MAX_DOCUMENTS: usize = 1_000;

/// What was read, and what was not.
#[derive(Default)]
pub(crate) struct Loaded {
    pub(crate) set: SpecSet,
    /// Documents, each with the reason.
    pub(crate) refused: Vec<String>,
    /// What documents refer to and was left unresolved.
    pub(crate) notes: Vec<String>,
    /// Every file and folder that was looked at, with its time and length, to see when one changes.
    pub(crate) stamps: Stamps,
    /// Where each document lies, by its id.
    pub(crate) files: BTreeMap<Arc<str>, PathBuf>,
}

/// A document that was uploaded: one file, read under the name that its owner gave it.
pub(crate) struct Given {
    pub(crate) id: Arc<str>,
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) hosts: Vec<String>,
}

pub(crate) type Stamps = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

/// `PATH`, or `HOST[,HOST]=PATH` where no file has that name.
pub(super) fn named(said: &str) -> SpecSource {
    let whole = SpecSource {
        path: said.into(),
        hosts: Vec::new(),
    };
    match said.split_once('=') {
        Some((hosts, path)) if !whole.path.exists() => SpecSource {
            path: path.into(),
            hosts: hosts.split(',').map(|h| h.trim().to_owned()).collect(),
        },
        _ => whole,
    }
}

/// Reads documents and folders of them.
pub(crate) fn load(named: &[SpecSource]) -> Loaded {
    load_after(named, &[], &SpecSet::default())
}

/// The same, and what was uploaded; of a document that is refused the reading in `last` stays.
pub(crate) fn load_after(named: &[SpecSource], given: &[Given], last: &SpecSet) -> Loaded {
    let mut loading = Loading {
        last: last.specs().to_vec(),
        ..Loading::default()
    };
    for source in named {
        loading.source(source);
    }
    for upload in given {
        loading.upload(upload);
    }
    let Loading {
        mut loaded,
        read,
        parts,
        specs,
        ..
    } = loading;
    for (path, why) in parts {
        // In a folder of documents lie the files that they refer to.
        if !read.contains(&path) {
            loaded.refused.push(why.to_string());
        }
    }
    let notes = specs.iter().flat_map(|s| s.notes.iter().cloned());
    loaded.notes = notes.collect();
    loaded.set = SpecSet::new(specs);
    loaded
}

/// The stamps of the same files as they are now.
pub(crate) fn look_again(stamps: &Stamps) -> Stamps {
    stamps.keys().map(|p| (p.clone(), stamp(p))).collect()
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let about = fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

#[derive(Default)]
struct Loading {
    loaded: Loaded,
    /// Files that documents refer to.
    read: BTreeSet<PathBuf>,
    /// Files of folders that are no documents.
    parts: Vec<(PathBuf, SpecError)>,
    specs: Vec<Spec>,
    last: Vec<Spec>,
}

impl Loading {
    fn source(&mut self, source: &SpecSource) {
        let path = &source.path;
        if !path.is_dir() {
            self.document(path, &source.hosts, false);
            return;
        }
        self.loaded.stamps.insert(path.clone(), stamp(path));
        let files = match list(path) {
            Ok(files) => files,
            Err(why) => {
                self.loaded
                    .refused
                    .push(format!("{}: {why}", path.display()));
                return;
            }
        };
        if files.is_empty() {
            let why = format!("{}: no .json, .yaml or .yml in this folder", path.display());
            self.loaded.refused.push(why);
        }
        for file in files {
            self.document(&file, &source.hosts, true);
        }
    }

    fn document(&mut self, path: &Path, hosts: &[String], in_folder: bool) {
        self.loaded.stamps.insert(path.to_owned(), stamp(path));
        let name = path.display().to_string();
        let text = match text_of(path) {
            Ok(text) => text,
            Err(why) => {
                self.refuse((&name, None), format!("{name}: {why}"));
                return;
            }
        };
        let dir = path.parent().filter(|p| !p.as_os_str().is_empty());
        let dir = dir.unwrap_or_else(|| Path::new("."));
        let mut beneath = |relative: &str| {
            let file = dir.join(relative);
            self.loaded.stamps.insert(file.clone(), stamp(&file));
            let inside =
                || Ok::<_, std::io::Error>(file.canonicalize()?.starts_with(dir.canonicalize()?));
            match inside() {
                Ok(true) => {}
                Ok(false) => return Err("it leads out of the document's directory".to_owned()),
                Err(e) => return Err(e.to_string()),
            }
            let text = text_of(&file)?;
            self.read.insert(file);
            Ok(text)
        };
        match spec::load(&name, &text, &mut beneath) {
            Ok(mut spec) => {
                spec.bind(hosts);
                self.loaded.files.insert(spec.id.clone(), path.to_owned());
                self.specs.push(spec);
            }
            Err(e) if in_folder && e.is_part => self.parts.push((path.to_owned(), e)),
            Err(e) => self.refuse((&name, None), e.to_string()),
        }
    }

    fn upload(&mut self, given: &Given) {
        let Given {
            id,
            name,
            path,
            hosts,
        } = given;
        self.loaded.files.insert(id.clone(), path.clone());
        self.loaded.stamps.insert(path.clone(), stamp(path));
        let text = text_of(path).map_err(|why| format!("{name}: {why}"));
        let read = text.and_then(|text| spec::parse(name, &text).map_err(|e| e.to_string()));
        match read {
            Ok(mut spec) => {
                spec.id = id.clone();
                spec.bind(hosts);
                self.specs.push(spec);
            }
            Err(why) => self.refuse((name, Some(id)), why),
        }
    }

    /// The last reading of a file, or of an upload, stays.
    fn refuse(&mut self, (name, id): (&str, Option<&Arc<str>>), why: String) {
        self.loaded.refused.push(why);
        // Names of uploads begin with a letter that no name of a file has.
        let is_file = |s: &Spec| s.file == name && !s.id.starts_with('u');
        let is_it = |s: &&Spec| id.map_or_else(|| is_file(s), |id| s.id == *id);
        self.specs.extend(self.last.iter().find(is_it).cloned());
    }
}

/// A regular file's text, within the bound.
fn text_of(path: &Path) -> Result<String, String> {
    if !fs::metadata(path).map_err(|e| e.to_string())?.is_file() {
        return Err("it is no file".into());
    }
    let mut text = String::new();
    let file = File::open(path).map_err(|e| e.to_string())?;
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text);
    match read.map_err(|e| e.to_string())? as u64 {
        n if n > MAX_FILE => Err(format!("it is larger than {} MiB", MAX_FILE >> 20)),
        _ => Ok(text),
    }
}

/// The documents in a folder.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let is_spec = |name: &str| {
        [".json", ".yaml", ".yml"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    let entries = fs::read_dir(folder).map_err(|e| e.to_string())?;
    let mut files: Vec<_> = entries
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.is_file() && p.file_name().and_then(|n| n.to_str()).is_some_and(is_spec))
        .collect();
    files.sort();
    if files.len() > MAX_DOCUMENTS {
        return Err(format!("more than {MAX_DOCUMENTS} documents in one folder"));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PET: &str = "type: object\nproperties: { name: { type: string } }\n";

    fn spec(reference: &str) -> String {
        format!(
            "openapi: 3.1.0\ninfo: {{ title: T, version: '1' }}\npaths:\n  /pets:\n    get:\n      responses:\n        '200':\n          content:\n            application/json:\n              schema: {{ $ref: '{reference}' }}\n"
        )
    }

    fn source(path: PathBuf) -> SpecSource {
        SpecSource {
            path,
            hosts: Vec::new(),
        }
    }

    #[test]
    fn a_document_reads_beneath_its_directory_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("api/parts")).unwrap();
        fs::write(at("api/parts/pet.yaml"), PET).unwrap();
        fs::write(at("outside.yaml"), PET).unwrap();
        std::os::unix::fs::symlink(at("outside.yaml"), at("api/link.yaml")).unwrap();
        fs::write(at("api/good.yaml"), spec("parts/pet.yaml")).unwrap();
        let good = load(&[source(at("api/good.yaml"))]);
        assert_eq!(good.refused, Vec::<String>::new());
        assert!(good.stamps.contains_key(&at("api/parts/pet.yaml")));
        fs::write(at("api/bad.yaml"), spec("link.yaml")).unwrap();
        let bad = load(&[source(at("api/bad.yaml"))]).refused;
        assert!(
            bad[0].contains("bad.yaml:10") && bad[0].contains("leads out"),
            "{bad:?}"
        );
        fs::write(at("api/bad.yaml"), spec("../outside.yaml")).unwrap();
        let far = load(&[source(at("api/bad.yaml"))]);
        assert!(
            far.refused.is_empty() && far.notes[0].contains("bad.yaml:10"),
            "{:?}",
            far.notes
        );
        // A folder has parts of documents beside them.
        fs::remove_file(at("api/bad.yaml")).unwrap();
        fs::remove_file(at("api/link.yaml")).unwrap();
        fs::write(at("api/pet.yaml"), PET).unwrap();
        fs::write(at("api/good.yaml"), spec("pet.yaml")).unwrap();
        let folder = load(&[source(at("api"))]);
        assert_eq!(folder.refused, Vec::<String>::new());
        fs::write(at("api/stray.yaml"), PET).unwrap();
        assert!(load(&[source(at("api"))]).refused[0].contains("stray.yaml"));
    }

    #[test]
    fn hosts_stand_before_the_path() {
        let bound = named("a.example,*.b.example=shop.yaml");
        assert_eq!(bound.hosts, ["a.example", "*.b.example"]);
        assert_eq!(bound.path, Path::new("shop.yaml"));
        assert_eq!(named("shop.yaml").path, Path::new("shop.yaml"));
    }
}
