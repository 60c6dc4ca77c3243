//! What a pin would do, before anybody decides it: which endpoints become part of others, or get a
//! part of their own.

use std::collections::HashMap;

use super::{Catalog, Entry, slot};
use crate::catalog::decision::{Action, Place, pattern};
use crate::catalog::segment;
use crate::catalog::trie::RawId;
use crate::catalog::view;

/// Endpoints that are named.
const NAMED: usize = 50;

/// What a pin is about, and what comes of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Foresight {
    pub action: Action,
    /// The part's path: the template up to and with the word.
    pub path: String,
    /// The first endpoints that it changes, the busiest first; and how many there are.
    pub moves: Vec<Move>,
    pub total: usize,
    /// Calls so far that change their endpoint, as far as words are told apart.
    pub calls: u64,
    /// Words that are routes of their own beside it, in order; the first of them.
    pub routes: Vec<String>,
}

/// Of one endpoint.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Move {
    pub from: String,
    pub into: String,
    /// There is such an endpoint already.
    pub joins: bool,
    pub calls: u64,
    /// The spec that has what is there now and has nothing of the kind that it would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<String>,
}

impl Catalog {
    /// What would come of a pin at one part of an endpoint's path. `Err`: it cannot be made.
    pub fn foresee(
        &self,
        action: Action,
        key: &str,
        part: usize,
        word: Option<&str>,
    ) -> Result<Foresight, String> {
        let place = self.pin_place(key, part, word)?;
        let all = self.state.endpoints.values();
        let own: Vec<(&Entry, String)> = all
            .filter(|entry| entry.e.host == place.host)
            .map(|entry| (entry, self.state.trie.template(entry.e.node)))
            .collect();
        let template = |key: &str| {
            let found = own.iter().find(|(entry, _)| entry.key == key);
            found.map(|(_, template)| template.clone())
        };
        let whole = template(key).ok_or("there is no such endpoint any more")?;
        // What stands there now, and what it would be.
        let before = head(&whole, part + 1);
        let parent = head(&whole, part);
        let value = self.parameter_of(&place, &parent);
        let after = match action {
            Action::PinParameter => format!("{parent}/{{{value}}}"),
            _ => place.template.clone(),
        };
        let known: HashMap<(String, String), &Entry> = own
            .iter()
            .map(|(entry, template)| ((slot_of(entry), pattern(template)), *entry))
            .collect();
        let mut moves = Vec::new();
        for (entry, template) in &own {
            let rest = template.strip_prefix(before.as_str());
            let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
                continue;
            };
            let calls = match action {
                Action::PinParameter => entry.e.by_class.iter().sum(),
                _ => self.calls_with(entry, template, part, word.unwrap_or_default()),
            };
            let into = format!("{after}{rest}");
            let label = |path: &str| {
                view::label(
                    &entry.e.method,
                    &entry.e.host,
                    path,
                    entry.e.operation.as_deref(),
                )
            };
            let spec = |path: &str| self.documented_by(&entry.e.host, &entry.e.method, path);
            moves.push(Move {
                leaves: spec(template).filter(|_| spec(&into).is_none()),
                from: label(template),
                joins: known.contains_key(&(slot_of(entry), pattern(&into))),
                into: label(&into),
                calls,
            });
        }
        moves.sort_by(|a, b| (b.calls, &a.from).cmp(&(a.calls, &b.from)));
        let (total, calls) = (moves.len(), moves.iter().map(|m| m.calls).sum());
        moves.truncate(NAMED);
        let mut routes: Vec<String> = own
            .iter()
            .filter_map(|(_, t)| t.strip_prefix(parent.as_str())?.strip_prefix('/'))
            .filter_map(|rest| rest.split('/').next())
            .filter(|word| !word.starts_with('{'))
            .map(str::to_owned)
            .collect();
        routes.sort_unstable();
        routes.dedup();
        routes.truncate(NAMED);
        Ok(Foresight {
            action,
            path: place.template,
            moves,
            total,
            calls,
            routes,
        })
    }

    /// The title of the spec that has this operation.
    fn documented_by(&self, host: &str, method: &str, template: &str) -> Option<String> {
        let host = self.state.groups.spec_host(host);
        let found = self
            .specs
            .find(host, method, &segment::of_template(template));
        let found = found?.ok().filter(|found| found.operation.is_some());
        found.map(|found| found.spec.title.clone())
    }

    /// The name of the parameter that stands behind `parent`, where there is one.
    fn parameter_of(&self, place: &Place, parent: &str) -> String {
        let all = self.state.endpoints.values();
        let mut templates = all
            .filter(|entry| entry.e.host == place.host)
            .map(|entry| self.state.trie.template(entry.e.node));
        let name = templates.find_map(|template| {
            let rest = template.strip_prefix(parent)?.strip_prefix("/{")?;
            Some(rest.split('}').next()?.to_owned())
        });
        name.unwrap_or_else(|| "…".to_owned())
    }

    /// Calls of an endpoint that had this word as the parameter of its path; 0 where words were not
    /// told apart.
    fn calls_with(&self, entry: &Entry, template: &str, part: usize, word: &str) -> u64 {
        let trie = &self.state.trie;
        let evidence = &trie.evidence;
        let Some(root) = evidence.at_host(&entry.e.host) else {
            return 0;
        };
        let word = segment::fold(word);
        let mut at: Vec<RawId> = vec![root];
        for (n, step) in template.split('/').filter(|s| !s.is_empty()).enumerate() {
            let mut next = Vec::new();
            for id in at {
                let raw = evidence.raw(id);
                match step.starts_with('{') {
                    true if n == part => next.extend(raw.child(&word)),
                    true => next.extend(raw.below()),
                    false => next.extend(raw.child(&segment::fold(step))),
                }
            }
            at = next;
        }
        let slot = slot_of(entry);
        let ends = at.iter().flat_map(|id| &evidence.raw(*id).ends);
        let mine = ends.filter(|end| end.slot == slot);
        mine.map(|end| end.calls.total()).sum()
    }
}

fn slot_of(entry: &Entry) -> String {
    slot(&entry.e.method, entry.e.operation.as_deref()).into_owned()
}

/// The first parts of a template.
fn head(template: &str, parts: usize) -> String {
    let parts = template.split('/').filter(|s| !s.is_empty()).take(parts);
    parts.fold(String::new(), |mut out, part| {
        out.push('/');
        out.push_str(part);
        out
    })
}
