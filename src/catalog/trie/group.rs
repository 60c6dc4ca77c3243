//! Which words of one host are values: a pure function of the evidence and of people's decisions.
//!
//! A working copy of the evidence is judged place by place from the root on, and words that are one
//! parameter are merged, which makes the evidence below stronger; so it goes on until nothing
//! changes. The first phase takes each place by itself and asks for more; the second lends what was
//! found at one place to the others ([`super::pools`]).
//!
//! All is in the order of the words, so that sums of fractions come out the same however the
//! exchanges were ordered.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::evidence::{Evidence, RawId};
use super::judge::{ENOUGH, Judge};
use super::pools::{Before, Pools};
use crate::catalog::pins::{Pinned, Pins};
use crate::catalog::segment::{self, Type};

/// Rounds of one phase: each merges what the one before has made clear, and paths are not deep.
const ROUNDS: usize = 10;
/// Judgements of one place in a row.
const AGAIN: usize = 3;
/// Bits more that the first phase asks for, and a judgement amid the stream.
const ALONE: f64 = 1.0;
const EARLY: f64 = 6.0;
/// Words that must be there before they are judged amid the stream.
const EARLY_WORDS: usize = 24;

pub(super) type WorkId = usize;

/// Before the first segment.
const ROOT: Before = (u32::MAX, false);

#[derive(Default)]
pub(super) struct Node<'a> {
    pub(super) spelt: &'a str,
    pub(super) words: BTreeMap<u32, WorkId>,
    pub(super) param: Option<WorkId>,
    /// Of a parameter: some of its values are free text, and which.
    pub(super) text: bool,
    pub(super) values: BTreeMap<u32, &'a str>,
    pub(super) types: u16,
    /// Name and title, where a spec has it.
    pub(super) name: Option<&'a (String, String)>,
    /// A route, whatever the evidence says.
    pub(super) kept: bool,
    /// Of a word: the bit of the [`Type`] whose form it has.
    form: u16,
    pub(super) methods: BTreeMap<u32, u64>,
    pub(super) hits: u64,
    pub(super) members: Vec<RawId>,
    pub(super) why: String,
}

#[derive(Default)]
pub(super) struct Work<'a> {
    nodes: Vec<Node<'a>>,
    texts: Vec<&'a str>,
    by_text: HashMap<&'a str, u32>,
    /// Some words have the form of a value.
    formed: bool,
}

impl<'a> Work<'a> {
    /// The grouped paths of one host; the root is the first node.
    pub(super) fn group(
        evidence: &'a Evidence,
        host: &'a str,
        pins: &'a Pins,
        early: bool,
    ) -> Option<Self> {
        let root = *evidence.roots.get(host)?;
        let mut work = Self::default();
        work.copy(evidence, root);
        for lends in [false, true] {
            let enough = ENOUGH + if lends { 0.0 } else { ALONE } + if early { EARLY } else { 0.0 };
            for _ in 0..ROUNDS {
                let pools = if lends {
                    work.pools()
                } else {
                    Pools::default()
                };
                if !work.round(&pools, enough, early, host, pins) {
                    break;
                }
            }
        }
        Some(work)
    }

    pub(super) fn node(&self, id: WorkId) -> &Node<'a> {
        &self.nodes[id]
    }

    pub(super) fn may_be_value(&self, id: WorkId) -> bool {
        let node = &self.nodes[id];
        !node.kept && !segment::glued(node.spelt) && segment::version(node.spelt).is_none()
    }

    pub(super) fn is_version(&self, word: u32) -> bool {
        segment::version(self.texts[word as usize]).is_some()
    }

    fn word(&mut self, text: &'a str) -> u32 {
        let next = self.texts.len() as u32;
        let id = *self.by_text.entry(text).or_insert(next);
        if id == next {
            self.texts.push(text);
        }
        id
    }

    fn copy(&mut self, evidence: &'a Evidence, from: RawId) -> WorkId {
        let raw = evidence.raw(from);
        let id = self.nodes.len();
        let mut node = Node {
            spelt: raw.word(),
            types: raw.types,
            text: raw.types & Type::Text.bit() != 0,
            name: raw.name.as_ref(),
            kept: raw.fixed,
            members: vec![from],
            ..Node::default()
        };
        for end in &raw.ends {
            // A path that was only asked for counts as one.
            let hits = end.calls.answered.max(1);
            *node.methods.entry(self.word(&end.slot)).or_default() += hits;
            node.hits += hits;
        }
        self.nodes.push(node);
        for (word, child) in &raw.words {
            let form = segment::classify(word).map_or(0, Type::bit);
            let word = self.word(word);
            let below = self.copy(evidence, *child);
            self.nodes[below].form = form;
            self.formed |= form != 0;
            self.nodes[id].hits += self.nodes[below].hits;
            self.nodes[id].words.insert(word, below);
        }
        if let Some(child) = raw.values {
            let below = self.copy(evidence, child);
            self.nodes[id].hits += self.nodes[below].hits;
            self.nodes[id].param = Some(below);
            self.nodes[below].why = forms(&self.nodes[below]);
        }
        id
    }

    /// Judges every place once, from the root on. Whether anything was merged.
    fn round(
        &mut self,
        pools: &Pools,
        enough: f64,
        early: bool,
        host: &str,
        pins: &'a Pins,
    ) -> bool {
        let mut moved = false;
        let mut places: Vec<(WorkId, Before, String)> = vec![(0, ROOT, String::new())];
        while let Some((at, before, place)) = places.pop() {
            moved |= self.obey(at, host, &place, pins);
            moved |= self.formed && self.fold_forms(at);
            for _ in 0..AGAIN {
                let judge = Judge {
                    work: self,
                    pools,
                    enough,
                    least: if early { EARLY_WORDS } else { 0 },
                };
                let Some(verdict) = judge.judge(at, before) else {
                    break;
                };
                self.fold(at, &verdict.values, verdict.why);
                moved = true;
            }
            let node = &self.nodes[at];
            for (word, id) in &node.words {
                let below = format!("{place}/{}", self.texts[*word as usize]);
                places.push((*id, (*word, false), below));
            }
            if let Some(id) = node.param {
                places.push((id, (before.0, true), format!("{place}/{{}}")));
            }
        }
        moved
    }

    /// What people decided comes first.
    fn obey(&mut self, at: WorkId, host: &str, place: &str, pins: &'a Pins) -> bool {
        let Some(decided) = pins.at(host, place) else {
            return false;
        };
        let mut moved = false;
        for (word, is) in decided {
            let word_id = self.word(word);
            let known = self.nodes[at].words.get(&word_id).copied();
            match (is, known) {
                (Pinned::Route, Some(id)) => self.nodes[id].kept = true,
                (Pinned::Route, None) => {
                    let id = self.nodes.len();
                    self.nodes.push(Node {
                        spelt: word,
                        kept: true,
                        ..Node::default()
                    });
                    self.nodes[at].words.insert(word_id, id);
                }
                (Pinned::Value, Some(_)) => {
                    self.fold(at, &[word_id], "a person said so".to_owned());
                    moved = true;
                }
                (Pinned::Value, None) => {}
            }
        }
        moved
    }

    /// A word that a pin, at another place or one that was taken back, keeps from being taken for
    /// the value that it has the form of, is one.
    fn fold_forms(&mut self, at: WorkId) -> bool {
        let words = self.nodes[at].words.iter();
        let formed = words.filter(|(_, id)| self.nodes[**id].form != 0 && !self.nodes[**id].kept);
        let formed: Vec<(u32, WorkId)> = formed.map(|(word, id)| (*word, *id)).collect();
        for (word, id) in &formed {
            let param = self.param(at);
            self.nodes[at].words.remove(word);
            self.nodes[param].types |= self.nodes[*id].form;
            self.absorb(param, *id);
            if self.nodes[param].why.is_empty() {
                self.nodes[param].why = forms(&self.nodes[param]);
            }
        }
        !formed.is_empty()
    }

    /// The child for all values, made where it is not there.
    fn param(&mut self, at: WorkId) -> WorkId {
        if let Some(id) = self.nodes[at].param {
            return id;
        }
        let id = self.nodes.len();
        self.nodes.push(Node::default());
        self.nodes[at].param = Some(id);
        id
    }

    fn pools(&self) -> Pools {
        let mut pools = Pools::default();
        let (mut values, mut routes) = (BTreeSet::new(), BTreeSet::new());
        let mut places: Vec<(WorkId, Before)> = vec![(0, ROOT)];
        while let Some((at, before)) = places.pop() {
            let node = &self.nodes[at];
            let param = node.param.map(|id| (id, &self.nodes[id]));
            let text = param.filter(|(_, node)| node.text);
            for (word, spelt) in text.iter().flat_map(|(_, node)| &node.values) {
                pools.value(*word, before);
                values.insert(*spelt);
            }
            if text.is_some() || !node.words.is_empty() {
                pools.place(before, text.is_some());
            }
            for (word, id) in &node.words {
                pools.route(*word, before);
                routes.insert(self.nodes[*id].spelt);
                places.push((*id, (*word, false)));
            }
            places.extend(param.map(|(id, _)| (id, (before.0, true))));
        }
        pools.spelt(values.into_iter(), routes.into_iter());
        pools
    }

    /// Makes words of a place values of its parameter.
    fn fold(&mut self, at: WorkId, words: &[u32], why: String) {
        let param = self.param(at);
        let node = &mut self.nodes[param];
        // The first judgement rests on the most.
        if !node.text {
            node.why = match node.why.is_empty() {
                true => why,
                false => format!("{}; {why}", node.why),
            };
        }
        node.text = true;
        node.types |= Type::Text.bit();
        for word in words {
            let Some(id) = self.nodes[at].words.remove(word) else {
                continue;
            };
            let spelt = self.nodes[id].spelt;
            self.nodes[param].values.insert(*word, spelt);
            self.absorb(param, id);
        }
    }

    fn absorb(&mut self, into: WorkId, from: WorkId) {
        let gone = std::mem::take(&mut self.nodes[from]);
        let node = &mut self.nodes[into];
        node.hits += gone.hits;
        node.members.extend(gone.members);
        node.text |= gone.text;
        node.types |= gone.types;
        node.name = node.name.or(gone.name);
        node.values.extend(gone.values);
        if node.why.is_empty() {
            node.why = gone.why;
        }
        for (method, hits) in gone.methods {
            *node.methods.entry(method).or_default() += hits;
        }
        for (word, child) in gone.words {
            match self.nodes[into].words.get(&word).copied() {
                Some(kept) => self.absorb(kept, child),
                None => {
                    self.nodes[into].words.insert(word, child);
                }
            }
        }
        if let Some(child) = gone.param {
            match self.nodes[into].param {
                Some(kept) => self.absorb(kept, child),
                None => self.nodes[into].param = Some(child),
            }
        }
    }

    /// All raw nodes that stand for values, for [`Evidence::thin`].
    pub(super) fn values(&self) -> HashSet<RawId> {
        let params = self.nodes.iter().filter(|node| node.text);
        params
            .flat_map(|node| node.members.iter().copied())
            .collect()
    }
}

/// Why typed values are values.
fn forms(node: &Node<'_>) -> String {
    if let Some((_, title)) = node.name {
        return format!("the spec `{title}` has it so");
    }
    let seen = Type::ALL.into_iter().filter(|t| *t != Type::Text);
    let forms: Vec<&str> = seen
        .filter(|t| node.types & t.bit() != 0)
        .map(Type::name)
        .collect();
    match (forms.as_slice(), node.text) {
        ([], true) => "more different words than are told apart at one place".to_owned(),
        ([], false) => String::new(),
        (forms, _) => format!("values have the form of {}", forms.join(" or ")),
    }
}
