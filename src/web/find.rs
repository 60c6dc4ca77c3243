//! A query at work: which rows of an index it finds, in which order, and how many there are of each
//! kind.
//!
//! One pass over the rows decides and counts. A page is cut out by selection: no list is sorted as a whole
//! but for an export.

use memchr::memmem::Finder;

use super::index::{Index, NONE, Names, Row, Span};
use super::search::{Bound, Field, Query, Term, Test, Value, bit};
use crate::time::Timestamp;

mod count;
mod sort;
#[cfg(test)]
mod tests;

pub(super) use count::{Counted, Counts};
pub(super) use sort::{Cut, Order, SORTS};

/// A text with stars, in lower case: the pieces between them.
struct Glob {
    pieces: Vec<String>,
}

impl Glob {
    fn new(pattern: &str) -> Self {
        let pieces = pattern.to_lowercase();
        Self {
            pieces: pieces.split('*').map(str::to_owned).collect(),
        }
    }

    /// Each piece as early as it comes, but for the last, which ends the text.
    fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.pieces.split_first() else {
            return text.is_empty();
        };
        let Some((last, middle)) = rest.split_last() else {
            return text == first;
        };
        let Some(mut text) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        for piece in middle {
            match text.find(piece.as_str()) {
                Some(at) => text = &text[at + piece.len()..],
                None => return false,
            }
        }
        text.ends_with(last.as_str())
    }
}

/// One alternative of a condition.
enum Check {
    Text(Finder<'static>),
    Path(Finder<'static>),
    PathLike(Glob),
    Operation(Glob),
    AnyOperation,
    Facts(u32),
    /// Which of the names, by number.
    Name(fn(&Row) -> u32, Vec<bool>),
    NoName(fn(&Row) -> u32),
    Set(fn(&Row) -> Span, Vec<bool>),
    Empty(fn(&Row) -> Span),
    Number(fn(&Row) -> f64, Bound),
    /// Seconds before the view's time.
    Age(fn(&Row) -> Option<Timestamp>, Bound),
    Never(fn(&Row) -> Option<Timestamp>),
}

struct Condition {
    /// The term of the query that it is made of; none: static files are left out.
    term: Option<usize>,
    /// The field whose counts leave it aside.
    own: Option<Field>,
    not: bool,
    any: Vec<Check>,
}

/// A query made ready for one index.
pub(super) struct Search<'a> {
    index: &'a Index,
    conditions: Vec<Condition>,
}

impl<'a> Search<'a> {
    pub(super) fn new(index: &'a Index, query: &Query) -> Self {
        let condition = |(n, term): (usize, &Term)| Condition {
            term: Some(n),
            own: term.field().filter(|_| !term.not),
            not: term.not,
            any: checks(index, &term.test),
        };
        let mut conditions: Vec<_> = query.terms.iter().enumerate().map(condition).collect();
        // Whoever asks for a text or a kind is shown what has it.
        let asks = |t: &Term| matches!(t.test, Test::Text(_) | Test::Field(Field::Kind, _));
        if !query.terms.iter().any(asks) {
            conditions.push(Condition {
                term: None,
                own: Some(Field::Kind),
                not: true,
                any: vec![Check::Facts(bit(Field::Kind, "static"))],
            });
        }
        Self { index, conditions }
    }

    fn holds(&self, condition: &Condition, row: &Row) -> bool {
        let mut any = condition.any.iter();
        any.any(|check| check.holds(self.index, row)) != condition.not
    }

    /// The rows that it finds, by number.
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        let rows = self.index.rows.iter().enumerate();
        let found = rows.filter(|(_, row)| self.conditions.iter().all(|c| self.holds(c, row)));
        found.map(|(n, _)| n)
    }

    /// The rows that it finds, and the counts of all kinds: of a field, as if it were not asked for.
    pub(super) fn counted(&self) -> (Vec<u32>, Counts) {
        let (mut found, mut counts) = (Vec::new(), Counts::new(&self.index.known));
        for (n, row) in self.index.rows.iter().enumerate() {
            match self.missed(row) {
                Missed::Nothing => {
                    found.push(n as u32);
                    counts.add(self.index, row);
                }
                Missed::Field(field) => counts.add_to(field, self.index, row),
                Missed::More => {}
            }
        }
        (found, counts)
    }

    fn missed(&self, row: &Row) -> Missed {
        let mut missed = Missed::Nothing;
        for condition in &self.conditions {
            if self.holds(condition, row) {
                continue;
            }
            missed = match (missed, condition.own) {
                (Missed::Nothing, Some(own)) => Missed::Field(own),
                (Missed::Field(field), Some(own)) if field == own => Missed::Field(own),
                _ => return Missed::More,
            };
        }
        missed
    }

    /// What each term of the query leaves out: how many would be found without it, and how many have it at
    /// all.
    pub(super) fn blame(&self, terms: usize) -> Vec<Blame> {
        let mut out = vec![Blame::default(); terms];
        for row in &self.index.rows {
            let misses = |c: &&Condition| !self.holds(c, row);
            let mut missed = self.conditions.iter().filter(misses);
            if let (Some(one), None) = (missed.next(), missed.next())
                && let Some(blame) = one.term.and_then(|n| out.get_mut(n))
            {
                blame.without += 1;
            }
            for condition in self.conditions.iter().filter(|c| self.holds(c, row)) {
                if let Some(blame) = condition.term.and_then(|n| out.get_mut(n)) {
                    blame.alone += 1;
                }
            }
        }
        out
    }
}

/// What a row lacks.
enum Missed {
    Nothing,
    /// Only what is asked of one field.
    Field(Field),
    More,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Blame {
    pub(super) without: usize,
    pub(super) alone: usize,
}

impl Check {
    fn holds(&self, index: &Index, row: &Row) -> bool {
        let at = index.view.at;
        let listed = |names: &[bool], n: u32| names.get(n as usize).is_some_and(|named| *named);
        match self {
            Self::Text(finder) => finder.find(index.text(row).as_bytes()).is_some(),
            Self::Path(finder) => finder.find(index.path(row).as_bytes()).is_some(),
            Self::PathLike(glob) => glob.matches(index.path(row)),
            Self::Operation(glob) => glob.matches(index.operation(row)),
            Self::AnyOperation => !index.operation(row).is_empty(),
            Self::Facts(mask) => row.facts & mask != 0,
            Self::Name(of, names) => listed(names, of(row)),
            Self::NoName(of) => of(row) == NONE,
            Self::Set(of, names) => index.set(of(row)).iter().any(|n| listed(names, *n)),
            Self::Empty(of) => of(row).is_empty(),
            Self::Number(of, bound) => bound.holds(of(row)),
            Self::Age(of, bound) => of(row).is_some_and(|t| bound.holds(at.since(t).as_secs_f64())),
            Self::Never(of) => of(row).is_none(),
        }
    }
}

fn checks(index: &Index, test: &Test) -> Vec<Check> {
    let finder = |text: &str| Finder::new(text.to_lowercase().as_bytes()).into_owned();
    let (field, values) = match test {
        Test::Text(text) => return vec![Check::Text(finder(text))],
        Test::Field(field, values) => (*field, values),
    };
    let known = &index.known;
    let check = |value: &Value| match (field, value) {
        (_, Value::Number(bound)) => number(field, *bound),
        (_, Value::Share(bound)) => Check::Number(errors, *bound),
        (Field::Path, Value::Word(w)) if w.contains('*') => Check::PathLike(Glob::new(w)),
        (Field::Path, Value::Word(w)) => Check::Path(finder(w)),
        (Field::Operation, Value::Word(w)) => match w.to_lowercase().as_str() {
            "none" => Check::Operation(Glob::new("")),
            "any" => Check::AnyOperation,
            w if w.contains('*') => Check::Operation(Glob::new(w)),
            w => Check::Operation(Glob::new(&format!("*{w}*"))),
        },
        (Field::Host, Value::Word(w)) => Check::Name(|r| r.host, whole(&known.hosts, w)),
        (Field::Method, Value::Word(w)) => Check::Name(|r| r.method, whole(&known.methods, w)),
        (Field::Spec, Value::Word(w)) => match w.to_lowercase().as_str() {
            "none" => Check::NoName(|r| r.spec),
            "any" => Check::Name(|r| r.spec, vec![true; known.specs.len()]),
            w => Check::Name(|r| r.spec, whole(&known.specs, &format!("*{w}*"))),
        },
        (Field::Owner, Value::Word(w)) => match w.to_lowercase().as_str() {
            "none" => Check::NoName(|r| r.owner),
            "any" => Check::Name(|r| r.owner, vec![true; known.owners.len()]),
            w => Check::Name(|r| r.owner, whole(&known.owners, w)),
        },
        (Field::Tag, Value::Word(w)) => match w.to_lowercase().as_str() {
            "none" => Check::Empty(|r| r.tags),
            "any" => Check::Set(|r| r.tags, vec![true; known.tags.len()]),
            w => Check::Set(|r| r.tags, whole(&known.tags, w)),
        },
        (Field::Scheme, Value::Word(w)) => Check::Set(|r| r.schemes, whole(&known.schemes, w)),
        (Field::Data, Value::Word(w)) => match w.to_lowercase().as_str() {
            "none" => Check::Empty(|r| r.data),
            w => Check::Set(|r| r.data, classes(&known.data, w)),
        },
        (Field::Seen, Value::Word(_)) => Check::Never(|r| r.seen),
        (Field::First, Value::Word(_)) => Check::Never(|r| r.first),
        (Field::Shadow, Value::Word(_)) => Check::Never(|r| r.shadow),
        (Field::Drift, Value::Word(_)) => Check::Never(|r| r.drift),
        (_, Value::Word(w)) => Check::Facts(bit(field, w)),
    };
    values.iter().map(check).collect()
}

/// Hundredths of a percent of the requests; of none no number.
fn errors(row: &Row) -> f64 {
    row.errors as f64 * 10_000.0 / row.requests as f64
}

fn number(field: Field, bound: Bound) -> Check {
    match field {
        Field::Seen => Check::Age(|r| r.seen, bound),
        Field::First => Check::Age(|r| r.first, bound),
        Field::Shadow => Check::Age(|r| r.shadow, bound),
        Field::Drift => Check::Age(|r| r.drift, bound),
        Field::Requests => Check::Number(|r| r.requests as f64, bound),
        Field::Errors => Check::Number(|r| r.errors as f64, bound),
        Field::Callers => Check::Number(|r| r.callers as f64, bound),
        Field::Latency => Check::Number(|r| r.p90, bound),
        _ => Check::Number(|r| f64::from(r.risk), bound),
    }
}

/// The names that a word with or without stars is.
fn whole(names: &Names, word: &str) -> Vec<bool> {
    let glob = Glob::new(word);
    let is = |name: &str| glob.matches(&name.to_lowercase());
    names.iter().map(is).collect()
}

/// The classes that a word means: `pii:email`, `email`, `pii`, `any`.
fn classes(names: &Names, word: &str) -> Vec<bool> {
    let glob = Glob::new(word);
    let is = |name: &str| {
        let parts = name.split_once(':');
        let part = parts.is_some_and(|(kind, class)| glob.matches(kind) || glob.matches(class));
        part || word == "any" || glob.matches(name)
    };
    names.iter().map(is).collect()
}
