//! Whether the words at one place are values of one parameter, and which of them.
//!
//! All evidence is in bits for it:
//! - *open*: values go on coming, so many were met once (Good and Turing); a fixed route seldom was;
//! - *alike*: what is called below two different values coincides as often as below one value with
//!   itself; of fixed routes each is called in its own way;
//! - *shared*: sub-paths that several have must be told for each route anew, for a parameter once;
//! - *lent*: what other places say ([`super::pools`]);
//! - a parameter that is already there;
//! - against it: *ids right below*. `orders/7`, `invoices/9` and the like are called alike, and are
//!   collections; a value is seldom followed by an id. Only an open vocabulary outweighs that.
//!
//! A word that is called in another way than the rest (`/users/me`) stays a route.

use std::collections::{BTreeMap, HashMap};

use super::group::{Work, WorkId};
use super::pools::{Before, Pools};

/// Rounds in which words that stand apart are left out.
const ROUNDS: usize = 5;
/// Levels below a word that are compared.
const DEPTH: usize = 3;
/// Calls of one shape that count for a single word: a habit is no proof.
const CALLS: u64 = 16;
/// Bits for a parameter that are enough.
pub(super) const ENOUGH: f64 = 5.5;
/// Bits of ids beside the words, and of a parameter with names among its values.
const IDS: f64 = 1.0;
const NAMES: f64 = 6.0;
/// Bits of ids right below all of the words, against a parameter.
const COLLECTIONS: f64 = 24.0;
/// From so many bits on a vocabulary is taken for open.
const OPEN: f64 = 2.0;

/// Any word, where it is none that several have.
const ANY: u32 = u32::MAX;
/// A level that is not there.
const NONE: u32 = u32::MAX - 1;
/// A parameter.
pub(super) const PARAM: u32 = u32::MAX - 2;
/// The rest below [`DEPTH`].
const DEEPER: u32 = u32::MAX - 3;

/// What is called below a word: the levels, and last the method.
type Shape = [u32; DEPTH + 1];
/// Shapes by index, with their calls.
type Calls = BTreeMap<usize, u64>;

/// Words that are one parameter, and why.
pub(super) struct Verdict {
    pub(super) values: Vec<u32>,
    pub(super) why: String,
}

struct Word {
    id: u32,
    node: WorkId,
    calls: Calls,
    hits: u64,
    /// Calls of what stands right below it and is a parameter, or a word that no other has.
    ids: u64,
    /// Bits for it being called as the others are.
    alike: f64,
    inside: bool,
}

pub(super) struct Judge<'w, 'a> {
    pub(super) work: &'w Work<'a>,
    pub(super) pools: &'w Pools,
    pub(super) enough: f64,
    /// Fewer words than this are not judged yet.
    pub(super) least: usize,
}

/// What the parameter that is there already weighs among the words.
struct Known {
    calls: Calls,
    hits: u64,
    /// Values that it has; 0 where none is free text.
    values: usize,
    weight: f64,
}

/// Of those inside.
#[derive(Default)]
struct Figures {
    words: usize,
    hits: u64,
    once: usize,
    /// Words called more than once.
    again: usize,
    /// How often calls below two words coincide, over how often those below one do.
    ratio: f64,
    shapes: usize,
    deep: usize,
    /// With ids right below.
    keyed: usize,
}

impl Judge<'_, '_> {
    pub(super) fn judge(&self, at: WorkId, before: Before) -> Option<Verdict> {
        let place = self.work.node(at);
        let text = place.param.filter(|id| self.work.node(*id).text);
        let words: Vec<(u32, WorkId)> = place
            .words
            .iter()
            .map(|(word, id)| (*word, *id))
            .filter(|(_, id)| self.work.may_be_value(*id))
            .collect();
        if words.is_empty() || (text.is_none() && words.len() < self.least) {
            return None;
        }
        let (mut words, known, shapes) = self.shapes(&words, place.param);
        let figures = self.settle(&mut words, &known, shapes)?;
        let inside: Vec<&Word> = words.iter().filter(|w| w.inside).collect();
        let (shared, common) = self.shared(&inside, place.param, text.is_some(), &figures);
        let lent = self.lent(&inside, before, text.is_some());
        let mut bits = open(&figures) + alike(&figures) + shared + lent;
        if text.is_some() {
            bits += NAMES + (1.0 + known.values as f64).log2().min(4.0);
        } else {
            bits += if place.param.is_some() { IDS } else { 0.0 };
            bits -= if inside.len() == 1 { 2.0 } else { 0.0 };
            bits -= collections(&figures);
        }
        if bits < self.enough {
            return None;
        }
        let n = inside.len();
        let odds =
            (1.0 + (known.values + n) as f64).log2() - (1.0 + (words.len() - n) as f64).log2();
        let prior = ((bits - self.enough).min(4.0) * 0.5 + odds * 0.7).min(6.0);
        let is_value = |w: &&Word| {
            let style = self.pools.style(self.work.node(w.node).spelt);
            w.alike + self.pools.word(w.id, before) + style + prior > 0.0
        };
        let values: Vec<u32> = words.iter().filter(is_value).map(|w| w.id).collect();
        let why = why(&figures, common, text.is_some(), lent);
        (!values.is_empty()).then_some(Verdict { values, why })
    }

    /// The words with their calls by shape. A word below is told apart where several have it.
    fn shapes(&self, words: &[(u32, WorkId)], param: Option<WorkId>) -> (Vec<Word>, Known, usize) {
        let below = |id: WorkId| {
            let mut out = Vec::new();
            self.calls_below(id, 0, [NONE; DEPTH + 1], &mut out);
            out
        };
        let raw: Vec<Vec<(Shape, u64)>> = words.iter().map(|(_, id)| below(*id)).collect();
        let known_raw = param.map(below).unwrap_or_default();
        let mut having: HashMap<(usize, u32), (usize, usize)> = HashMap::new();
        for (nth, calls) in raw.iter().chain([&known_raw]).enumerate() {
            for (shape, _) in calls {
                for level in (0..DEPTH).map(|d| (d, shape[d])) {
                    let (count, last) = having.entry(level).or_insert((0, usize::MAX));
                    *count += usize::from(*last != nth);
                    *last = nth;
                }
            }
        }
        let n = words.len();
        let needed = (n as f64).sqrt().max(if n < 20 { 2.0 } else { 3.0 }) as usize;
        let mut index: HashMap<Shape, usize> = HashMap::new();
        let mut by_shape = |calls: &[(Shape, u64)]| {
            let (mut out, mut ids) = (Calls::new(), 0);
            for (shape, hits) in calls {
                let mut shape = *shape;
                for (depth, word) in shape[..DEPTH].iter_mut().enumerate() {
                    let special = matches!(*word, NONE | PARAM | DEEPER);
                    if !special && having[&(depth, *word)].0 < needed {
                        *word = ANY;
                    }
                }
                ids += if matches!(shape[0], PARAM | ANY) {
                    *hits
                } else {
                    0
                };
                let next = index.len();
                *out.entry(*index.entry(shape).or_insert(next)).or_default() += hits;
            }
            (out, ids)
        };
        let counted: Vec<(Calls, u64)> = raw.iter().map(|calls| by_shape(calls)).collect();
        let (known_calls, _) = by_shape(&known_raw);
        let values = param.map_or(0, |id| match self.work.node(id).text {
            true => self.work.node(id).values.len(),
            false => 0,
        });
        let weight = match (param, values) {
            (None, _) => 0.0,
            (Some(_), 0) => 1.0,
            (Some(_), n) => (n as f64).min(16.0),
        };
        let known = Known {
            hits: known_calls.values().sum(),
            calls: known_calls,
            values,
            weight,
        };
        let words = words
            .iter()
            .zip(counted)
            .map(|((id, node), (calls, ids))| Word {
                id: *id,
                node: *node,
                hits: calls.values().sum(),
                calls,
                ids,
                alike: 0.0,
                inside: true,
            });
        (words.collect(), known, index.len() + 1)
    }

    fn calls_below(&self, id: WorkId, depth: usize, shape: Shape, out: &mut Vec<(Shape, u64)>) {
        let node = self.work.node(id);
        if depth == DEPTH {
            let mut shape = shape;
            shape[DEPTH] = DEEPER;
            out.push((shape, node.hits));
            return;
        }
        for (method, hits) in &node.methods {
            let mut shape = shape;
            shape[DEPTH] = *method;
            out.push((shape, *hits));
        }
        let param = node.param.map(|id| (PARAM, id));
        for (word, below) in node.words.iter().map(|(w, id)| (*w, *id)).chain(param) {
            let mut shape = shape;
            shape[depth] = word;
            self.calls_below(below, depth + 1, shape, out);
        }
    }

    /// Leaves those out that are called in a way of their own, until nothing changes.
    fn settle(&self, words: &mut [Word], known: &Known, shapes: usize) -> Option<Figures> {
        for round in 1..=ROUNDS {
            let mut share = vec![0.0; shapes];
            let mut having = vec![0usize; shapes];
            let (mut selves, mut within, mut again) = (0.0, 0.0, 0usize);
            for word in words.iter().filter(|w| w.inside) {
                let hits = word.hits as f64;
                let (mut same, mut pairs) = (0.0, 0.0);
                for (shape, calls) in &word.calls {
                    let part = *calls as f64 / hits;
                    share[*shape] += part;
                    having[*shape] += 1;
                    same += part * part;
                    pairs += *calls as f64 * (*calls as f64 - 1.0);
                }
                selves += same;
                if word.hits > 1 {
                    within += pairs / (hits * (hits - 1.0));
                    again += 1;
                }
            }
            let n = words.iter().filter(|w| w.inside).count();
            if n == 0 {
                return None;
            }
            let between = match n {
                1 => 0.0,
                _ => {
                    let all: f64 = share.iter().map(|s| s * s).sum();
                    (all - selves) / (n * (n - 1)) as f64
                }
            };
            let within = if again > 0 {
                within / again as f64
            } else {
                between
            };
            let ratio = if within > 1e-9 { between / within } else { 1.0 };
            // How much a word has its own habits: 4 are few, 0.7 many.
            let shared_habit = match within - between {
                apart if apart > 1e-9 => ((1.0 - within) / apart).clamp(0.7, 4.0),
                _ => 4.0,
            };
            let alone = |(shape, n): (usize, &usize)| *n == 1 && !known.calls.contains_key(&shape);
            let new = having.iter().enumerate().filter(|s| alone(*s)).count() as f64;
            let all = having.iter().sum::<usize>() as f64;
            let unseen = (new + 1.0) / (all + known.weight + 2.0);
            let limit = -2.0 - 0.5 * (1.0 + known.values as f64).log2();
            let mut moved = false;
            for word in words.iter_mut() {
                let others = n as f64 + known.weight - f64::from(u8::from(word.inside));
                word.alike = match others > 0.0 {
                    true => {
                        let expected = |shape: usize, calls: u64| {
                            let mut sum = share[shape];
                            if word.inside {
                                sum -= calls as f64 / word.hits as f64;
                            }
                            if let Some(theirs) = known.calls.get(&shape) {
                                sum += known.weight * *theirs as f64 / known.hits as f64;
                            }
                            (1.0 - unseen) * sum.max(0.0) / others + unseen / shapes as f64
                        };
                        likelihood(&word.calls, shared_habit, expected)
                            - likelihood(&word.calls, 1.0, |_, _| 1.0 / shapes as f64)
                    }
                    false => 0.0,
                };
                let inside = word.alike > limit;
                moved |= inside != word.inside;
                word.inside = inside;
            }
            let inside = || words.iter().filter(|w| w.inside);
            if !moved || round == ROUNDS {
                let deep = |w: &&Word| {
                    let node = self.work.node(w.node);
                    !node.words.is_empty() || node.param.is_some()
                };
                let keyed = |w: &&Word| w.ids * 3 >= w.hits;
                return Some(Figures {
                    words: inside().count(),
                    hits: inside().map(|w| w.hits).sum(),
                    once: inside().filter(|w| w.hits == 1).count(),
                    again,
                    ratio,
                    shapes: having.iter().filter(|n| **n > 0).count(),
                    deep: inside().filter(deep).count(),
                    keyed: inside().filter(keyed).count(),
                });
            }
        }
        None
    }

    /// Bits that sub-paths in common save, and how many those are.
    fn shared(
        &self,
        inside: &[&Word],
        param: Option<WorkId>,
        text: bool,
        f: &Figures,
    ) -> (f64, usize) {
        if inside.len() < 2 {
            return (0.0, 0);
        }
        let nodes: Vec<WorkId> = inside
            .iter()
            .map(|w| w.node)
            .chain(param.filter(|_| text))
            .collect();
        let mut near: BTreeMap<u32, usize> = BTreeMap::new();
        let mut far: BTreeMap<u32, usize> = BTreeMap::new();
        let mut methods: BTreeMap<u32, usize> = BTreeMap::new();
        let mut ending = 0;
        for id in &nodes {
            let node = self.work.node(*id);
            ending += usize::from(!node.methods.is_empty());
            node.methods
                .keys()
                .for_each(|m| *methods.entry(*m).or_default() += 1);
            node.words
                .keys()
                .for_each(|w| *near.entry(*w).or_default() += 1);
            let below = node.words.values().chain(&node.param);
            let mut deeper: Vec<u32> = below
                .flat_map(|id| self.work.node(*id).words.keys().copied())
                .filter(|w| !node.words.contains_key(w))
                .collect();
            deeper.sort_unstable();
            deeper.dedup();
            deeper
                .into_iter()
                .for_each(|w| *far.entry(w).or_default() += 1);
        }
        let n = nodes.len();
        let gain = |counts: &BTreeMap<u32, usize>, bits: f64| -> f64 {
            let versions = |w: &u32| self.work.is_version(*w);
            let each = counts.iter().filter(|(w, k)| **k >= 2 && !versions(w));
            each.map(|(_, k)| {
                let p = *k as f64 / n as f64;
                let told = match *k == n {
                    true => 0.0,
                    false => -(p * p.log2() + (1.0 - p) * (1.0 - p).log2()),
                };
                ((*k - 1) as f64 * bits - n as f64 * told).max(0.0)
            })
            .sum()
        };
        let many = |counts: &BTreeMap<u32, usize>| {
            counts.values().filter(|k| **k >= 2 && **k * 3 >= n).count()
        };
        let common = many(&near);
        // A single word in common (`get`) is a habit of many APIs; of many siblings it is not.
        let variety = common as f64 + 0.5 * many(&far) as f64 + f64::from(u8::from(ending * 2 > n));
        let most = 4.0 * variety * (inside.len() as f64 / 4.0).log2().max(1.0);
        let few = 3.0 * (inside.len() as f64 - 1.0 + if text { 8.0 } else { 0.0 });
        let ramp = |from: f64, over: f64| ((f.ratio - from) / over).clamp(0.0, 1.0) * 0.5;
        let own = if methods.len() > 1 {
            gain(&methods, 0.8) * ramp(0.4, 0.3)
        } else {
            0.0
        };
        let all = own + gain(&near, 4.0) * ramp(0.35, 0.35) + gain(&far, 1.5) * ramp(0.5, 0.3);
        (all.min(12.0).min(most).min(few), common)
    }

    /// Bits that other places lend.
    fn lent(&self, inside: &[&Word], before: Before, text: bool) -> f64 {
        let n = inside.len();
        let each: f64 = inside
            .iter()
            .map(|w| {
                let spelt = self.work.node(w.node).spelt;
                self.pools.word(w.id, before) + self.pools.style(spelt)
            })
            .sum();
        let collection = if text {
            0.0
        } else {
            self.pools.collection(before)
        };
        each / n as f64 * n.min(3) as f64 + collection
    }
}

/// Bits for an open vocabulary.
fn open(f: &Figures) -> f64 {
    let (n, once) = (f.words as f64, f.once as f64);
    let few = (2.0 * once - 0.5 * (n - once)).clamp(-0.5, 8.0);
    if f.words < 16 {
        return few;
    }
    // The mass of the unseen, against that of a large API without parameters.
    let unseen = (once + 0.1) / f.hits.max(1) as f64;
    few.max(((unseen / 0.002).log2() * once.min(6.0) / 2.0).clamp(-0.5, 8.0))
}

/// Bits against: most of the words are collections of ids.
fn collections(f: &Figures) -> f64 {
    if f.keyed * 2 < f.words || open(f) >= OPEN {
        return 0.0;
    }
    COLLECTIONS * f.keyed as f64 / f.words as f64
}

/// Bits for being called alike.
fn alike(f: &Figures) -> f64 {
    if f.words < 2 || f.shapes < 2 {
        return 0.0;
    }
    let above = f.ratio.min(1.2) - 0.6;
    let mut bits = above * f.again.min(16) as f64;
    if f.deep * 2 >= f.words {
        bits += above * f.words.min(16) as f64 * 0.4;
    }
    if f.ratio > 0.7 && f.words > 8 {
        bits += 1.5 * (f.words as f64 / 8.0).log2();
    }
    bits.clamp(-12.0, 20.0)
}

/// Log (base 2) of the probability of such calls, by a Dirichlet-multinomial with mean `expected`
/// and concentration `habit`.
fn likelihood(calls: &Calls, habit: f64, expected: impl Fn(usize, u64) -> f64) -> f64 {
    let mut log = 0.0;
    let mut drawn = 0;
    for (shape, n) in calls {
        let mass = habit * expected(*shape, *n);
        for i in 0..(*n).min(CALLS) {
            log += (mass + i as f64).ln() - (habit + f64::from(drawn)).ln();
            drawn += 1;
        }
    }
    log / std::f64::consts::LN_2
}

/// The evidence in a sentence.
fn why(f: &Figures, common: usize, text: bool, lent: f64) -> String {
    let mut out = match (text, f.words) {
        (true, 1) => "one more value beside a parameter".to_owned(),
        (_, n) => format!("{n} values seen here"),
    };
    if f.once > 0 {
        out.push_str(&format!(", {} of them once", f.once));
    }
    match common {
        0 if f.deep * 2 >= f.words => out.push_str(", called alike below"),
        0 => out.push_str(&format!(", called alike in {} requests", f.hits)),
        1 => out.push_str(", with a sub-path in common"),
        n => out.push_str(&format!(", with {n} sub-paths in common")),
    }
    if lent >= 1.0 {
        out.push_str(", as at other places");
    }
    out
}
