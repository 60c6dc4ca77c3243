//! Entries of two sides matched, and what is different about them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::entry::{Entry, Place};
use super::{Side, What};

/// One endpoint, operation or host that is not the same on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// `Added`, `Removed`, `Changed`, `Shadow`, `Unseen`, `Undocumented`, `Host`.
    pub kind: What,
    /// Its label, or the host.
    pub subject: String,
    pub key: Option<String>,
    /// Of one that only one side has: what it is.
    pub marks: Vec<String>,
    pub changes: Vec<Change>,
}

/// Something about an endpoint that both sides have.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub what: What,
    /// Which of several: a field's place and pointer, a scheme, a class.
    pub name: Option<String>,
    pub old: Option<String>,
    pub new: Option<String>,
}

impl Change {
    pub fn is_shadow(&self) -> bool {
        self.what == What::Documentation && self.new.as_deref() == Some("shadow")
    }
}

impl Difference {
    /// Whether it is as a whole what `--only` asks for.
    pub fn is(&self, what: What) -> bool {
        let marked = self.marks.iter().any(|m| m == what.name());
        self.kind == what || (marked && self.kind != What::Removed)
    }

    fn whole(kind: What, e: &Entry) -> Self {
        let flags = [(e.deprecated, "deprecated"), (e.zombie, "zombie")];
        let flags = flags
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, name)| (*name).to_owned());
        let words = [&e.documentation, &e.life]
            .into_iter()
            .filter(|w| !w.is_empty())
            .cloned();
        Self {
            kind,
            subject: e.label(),
            key: e.keys.first().cloned(),
            marks: words.chain(flags).collect(),
            changes: Vec::new(),
        }
    }
}

/// What is different, by subject; and how many endpoints lie where no document says anything.
pub fn compare(old: &Side, new: &Side) -> (Vec<Difference>, usize) {
    let (mut out, outside) = match (old.spec, new.spec) {
        (false, true) => against(&new.entries, &old.entries),
        (true, false) => against(&old.entries, &new.entries),
        _ => (alike(old, new), 0),
    };
    out.sort_by(|a, b| (&a.subject, a.kind).cmp(&(&b.subject, b.kind)));
    (out, outside)
}

/// Two inventories, or two documents.
fn alike(old: &Side, new: &Side) -> Vec<Difference> {
    let by_key: HashMap<&str, usize> = (old.entries.iter().enumerate())
        .flat_map(|(i, e)| e.keys.iter().map(move |k| (k.as_str(), i)))
        .collect();
    let by_place: BTreeMap<&Place, usize> = old
        .entries
        .iter()
        .enumerate()
        .map(|(i, e)| (&e.place, i))
        .collect();
    let mut matched = BTreeSet::new();
    let mut out = Vec::new();
    for e in &new.entries {
        let key = e.keys.iter().find_map(|k| by_key.get(k.as_str()).copied());
        // The same method in the same host: keys of another sensor may mean anything.
        let key = key.filter(|i| old.entries[*i].place.method == e.place.method);
        match key.or_else(|| by_place.get(&e.place).copied()) {
            Some(i) => {
                matched.insert(i);
                let changes = changes(&old.entries[i], e);
                if !changes.is_empty() {
                    out.push(Difference {
                        marks: Vec::new(),
                        changes,
                        ..Difference::whole(What::Changed, e)
                    });
                }
            }
            None => out.push(Difference::whole(What::Added, e)),
        }
    }
    let gone = old
        .entries
        .iter()
        .enumerate()
        .filter(|(i, _)| !matched.contains(i));
    out.extend(gone.map(|(_, e)| Difference::whole(What::Removed, e)));
    for (only, other, mark) in [(new, old, "added"), (old, new, "removed")] {
        out.extend(only.hosts.difference(&other.hosts).map(|host| Difference {
            kind: What::Host,
            subject: host.clone(),
            key: None,
            marks: vec![mark.to_owned()],
            changes: Vec::new(),
        }));
    }
    out
}

/// What is different between two of one kind.
pub fn changes(old: &Entry, new: &Entry) -> Vec<Change> {
    let mut out = Vec::new();
    let mut word = |what, old: Option<String>, new: Option<String>| {
        if old != new {
            out.push(Change {
                what,
                name: None,
                old,
                new,
            });
        }
    };
    let known = |text: &String| (!text.is_empty()).then(|| text.clone());
    word(
        What::Documentation,
        known(&old.documentation),
        known(&new.documentation),
    );
    word(What::Life, known(&old.life), known(&new.life));
    word(
        What::Deprecated,
        Some(old.deprecated.to_string()),
        Some(new.deprecated.to_string()),
    );
    word(
        What::Zombie,
        Some(old.zombie.to_string()),
        Some(new.zombie.to_string()),
    );
    if old.risk.is_some() && new.risk.is_some() {
        word(
            What::Risk,
            old.risk.map(|n| n.to_string()),
            new.risk.map(|n| n.to_string()),
        );
    }
    for (what, old, new) in [
        (What::Auth, &old.auth, &new.auth),
        (What::Status, &old.statuses, &new.statuses),
        (What::Sensitive, &old.sensitive, &new.sensitive),
    ] {
        let gone = old.difference(new).map(|n| (n, true));
        let come = new.difference(old).map(|n| (n, false));
        out.extend(gone.chain(come).map(|(name, gone)| Change {
            what,
            name: Some(name.clone()),
            old: gone.then(|| "seen".to_owned()),
            new: (!gone).then(|| "seen".to_owned()),
        }));
    }
    let names: BTreeSet<&String> = old.fields.keys().chain(new.fields.keys()).collect();
    for name in names {
        let (old, new) = (old.fields.get(name), new.fields.get(name));
        if old != new {
            let words = |words: Option<&BTreeSet<String>>| words.map(sentence);
            out.push(Change {
                what: What::Field,
                name: Some(name.clone()),
                old: words(old),
                new: words(new),
            });
        }
    }
    out
}

fn sentence(words: &BTreeSet<String>) -> String {
    let all: Vec<&str> = words.iter().map(String::as_str).collect();
    if all.is_empty() {
        "of any type".into()
    } else {
        all.join(" ")
    }
}

/// What was seen against what is documented.
fn against(documented: &[Entry], seen: &[Entry]) -> (Vec<Difference>, usize) {
    let (mut out, mut outside) = (Vec::new(), 0);
    let mut used = BTreeSet::new();
    for e in seen.iter().filter(|e| e.api) {
        let best = (documented.iter().enumerate())
            .filter(|(_, d)| d.place.method == e.place.method && host_fits(d, e))
            .filter_map(|(i, d)| Some((fit(&d.place.shape, &e.place.shape)?, i)))
            .max();
        match best {
            Some((_, i)) => {
                used.insert(i);
                let changes = undocumented(&documented[i], e);
                if !changes.is_empty() {
                    out.push(Difference {
                        marks: Vec::new(),
                        changes,
                        ..Difference::whole(What::Undocumented, e)
                    });
                }
            }
            None if documented.iter().any(|d| host_fits(d, e)) => {
                out.push(Difference::whole(What::Shadow, e));
            }
            None => outside += 1,
        }
    }
    let unseen = documented
        .iter()
        .enumerate()
        .filter(|(i, _)| !used.contains(i));
    out.extend(unseen.map(|(_, d)| Difference::whole(What::Unseen, d)));
    (out, outside)
}

fn host_fits(documented: &Entry, seen: &Entry) -> bool {
    documented.place.host == "*" || documented.place.host == seen.place.host
}

/// How well a documented path takes one that was seen: words in common, of as many segments; a
/// parameter takes any word.
fn fit(documented: &str, seen: &str) -> Option<usize> {
    let (documented, seen): (Vec<&str>, Vec<&str>) =
        (documented.split('/').collect(), seen.split('/').collect());
    if documented.len() != seen.len() {
        return None;
    }
    let pairs = documented.iter().zip(&seen);
    let mut words = 0;
    for (d, s) in pairs {
        words += usize::from(d == s);
        if d != s && *d != "{}" {
            return None;
        }
    }
    Some(words)
}

/// Parameters, fields and types that a document does not have. Nothing is said of headers, which
/// clients add at will, nor of messages that the document leaves open.
pub(super) fn undocumented(documented: &Entry, seen: &Entry) -> Vec<Change> {
    let parts =
        |e: &Entry| -> BTreeSet<String> { e.fields.keys().filter_map(|n| part(n)).collect() };
    let described = parts(documented);
    let mut out = Vec::new();
    for (name, words) in &seen.fields {
        let Some(place) = part(name).filter(|p| p == "query" || described.contains(p)) else {
            continue;
        };
        let change = |old: Option<String>| Change {
            what: if old.is_none() {
                What::Undocumented
            } else {
                What::Field
            },
            name: Some(name.clone()),
            old,
            new: Some(sentence(words)),
        };
        match documented.fields.get(name) {
            None if !under_open(documented, &place, name) => out.push(change(None)),
            Some(known) if !types_fit(known, words) => out.push(change(Some(sentence(known)))),
            _ => {}
        }
    }
    if !documented.statuses.contains("DEFAULT") {
        for status in &seen.statuses {
            let class = format!("{}XX", status.get(..1).unwrap_or_default());
            if !documented.statuses.contains(status) && !documented.statuses.contains(&class) {
                out.push(Change {
                    what: What::Status,
                    name: Some(status.clone()),
                    old: None,
                    new: Some("seen".into()),
                });
            }
        }
    }
    out
}

/// `response 2xx` of `response 2xx /id`; headers are none.
pub(super) fn part(name: &str) -> Option<String> {
    let (place, _) = name.split_once(" /")?;
    (!place.contains("header")).then(|| place.to_owned())
}

/// An object that says nothing of its members may have any.
fn under_open(documented: &Entry, place: &str, name: &str) -> bool {
    let Some((parent, _)) = name.rsplit_once('/') else {
        return false;
    };
    if parent.len() <= place.len() + 1 {
        return false;
    }
    let below = format!("{parent}/");
    let silent = !documented.fields.keys().any(|k| k.starts_with(&below));
    // Of a map, or of what is itself below something silent.
    silent || documented.fields.contains_key(&format!("{below}*"))
}

fn types_fit(documented: &BTreeSet<String>, seen: &BTreeSet<String>) -> bool {
    const TYPES: [&str; 7] = [
        "boolean", "integer", "number", "string", "array", "object", "nullable",
    ];
    let types = |words: &BTreeSet<String>| -> BTreeSet<String> {
        words
            .iter()
            .filter(|w| TYPES.contains(&w.as_str()))
            .cloned()
            .collect()
    };
    let (documented, seen) = (types(documented), types(seen));
    let fits =
        |t: &String| documented.contains(t) || (t == "integer" && documented.contains("number"));
    documented.is_empty() || seen.iter().all(fits)
}
