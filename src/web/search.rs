//! The query language for endpoints: one for the search box, the API, exports and bulk changes.
//!
//! ```text
//! query  = *term                              all must hold; apart by white space
//! term   = ["-"] (field ":" values / text)    "-": must not hold
//! values = value *("," value)                 any of them
//! value  = word / quoted / bound
//! bound  = [">" / ">=" / "<" / "<=" / "="] number / number ".." number      with a unit, by the field
//! text   = word / quoted                      somewhere in path, host or operation
//! ```
//!
//! There is no `OR`: values of one field apart by commas are alternatives. `"` quotes, `\` in quotes takes
//! the next character as it is. A word with a colon behind letters is a field; in quotes it is text. What
//! is parsed prints as what parses to the same.

use std::fmt;
use std::ops::Range;

mod fields;
mod parse;
#[cfg(test)]
mod tests;

pub(super) use fields::{About, FACTS, FIELDS, Field, Takes, bit, facts, names};
pub(super) use parse::parse;

/// Bytes of a query: links on a page carry it many times.
pub(super) const MAX_TEXT: usize = 512;
/// Terms of a query, and values of a term.
const MAX_TERMS: usize = 24;
const MAX_VALUES: usize = 32;

#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    /// All must hold.
    pub(super) terms: Vec<Term>,
}

#[derive(Clone, Debug)]
pub(super) struct Term {
    pub(super) not: bool,
    pub(super) test: Test,
    /// Where it stands in the text, in bytes.
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    /// Somewhere in path, host or operation.
    Text(String),
    /// Any of the values, of which there is one.
    Field(Field, Vec<Value>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Word(String),
    /// A number, milliseconds, or an age in seconds.
    Number(Bound),
    /// Hundredths of a percent of the requests.
    Share(Bound),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Is(u64),
    Less(u64),
    AtMost(u64),
    More(u64),
    AtLeast(u64),
    /// Both included.
    Between(u64, u64),
}

/// Why a text is no query, where, and the mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// In bytes.
    pub(super) at: Range<usize>,
    /// Of its first character, from 1 on.
    pub(super) column: usize,
    pub(super) what: String,
    pub(super) mend: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            column, what, mend, ..
        } = self;
        write!(f, "character {column}: {what}; {mend}")
    }
}

impl PartialEq for Term {
    /// Wherever it stands.
    fn eq(&self, other: &Self) -> bool {
        (self.not, &self.test) == (other.not, &other.test)
    }
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.terms == other.terms
    }
}

impl Bound {
    pub(super) fn holds(self, n: f64) -> bool {
        match self {
            Self::Is(a) => n == a as f64,
            Self::Less(a) => n < a as f64,
            Self::AtMost(a) => n <= a as f64,
            Self::More(a) => n > a as f64,
            Self::AtLeast(a) => n >= a as f64,
            Self::Between(a, b) => n >= a as f64 && n <= b as f64,
        }
    }
}

impl Term {
    pub(super) fn new(field: Field, value: Value) -> Self {
        Self {
            not: false,
            test: Test::Field(field, vec![value]),
            span: 0..0,
        }
    }

    /// The field that it asks for: of `is:` the one that has its values, where that is one.
    pub(super) fn field(&self) -> Option<Field> {
        match &self.test {
            Test::Text(_) => None,
            Test::Field(Field::Is, values) => {
                let mut fields = values.iter().map(|v| match v {
                    Value::Word(word) => fields::owner(word),
                    Value::Number(_) | Value::Share(_) => Field::Is,
                });
                let first = fields.next()?;
                Some(if fields.all(|f| f == first) {
                    first
                } else {
                    Field::Is
                })
            }
            Test::Field(field, _) => Some(*field),
        }
    }
}

impl Query {
    /// Whether one of the positive terms of a field names the value.
    pub(super) fn has(&self, field: Field, value: &Value) -> bool {
        self.positive(field).any(|t| match &t.test {
            Test::Field(_, values) => values.contains(value),
            Test::Text(_) => false,
        })
    }

    fn positive(&self, field: Field) -> impl Iterator<Item = &Term> {
        let of = move |t: &&Term| !t.not && t.field() == Some(field);
        self.terms.iter().filter(of)
    }

    /// The query that a click on a value makes: without it where it is asked for, else with it, as one
    /// more of those that are asked for. What is asked of the field that is none of the `offered` values,
    /// as a range or a star, goes: the value was counted without it.
    pub(super) fn toggled(&self, field: Field, value: &Value, offered: &[Value]) -> Self {
        let mut out = self.clone();
        let of = |t: &Term| !t.not && t.field() == Some(field);
        let had = self.has(field, value);
        for term in out.terms.iter_mut().filter(|t| of(t)) {
            if let Test::Field(_, values) = &mut term.test {
                values.retain(|v| if had { v != value } else { offered.contains(v) });
            }
        }
        let empty = |t: &Term| matches!(&t.test, Test::Field(_, values) if values.is_empty());
        out.terms.retain(|t| !empty(t));
        if had {
            return out;
        }
        let mut terms = out.terms.iter_mut().filter(|t| of(t));
        match terms.next().map(|t| &mut t.test) {
            Some(Test::Field(_, values)) => values.push(value.clone()),
            _ => out.terms.push(Term::new(field, value.clone())),
        }
        out
    }

    /// Without one of its terms.
    pub(super) fn without(&self, term: usize) -> Self {
        let mut out = self.clone();
        out.terms.remove(term);
        out
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, term) in self.terms.iter().enumerate() {
            write!(f, "{}{term}", if n > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.not { "-" } else { "" })?;
        let (field, values) = match &self.test {
            Test::Text(text) if parse::is_bare_text(text) => return f.write_str(text),
            Test::Text(text) => return quoted(f, text),
            Test::Field(field, values) => (*field, values),
        };
        write!(f, "{}:", field.name())?;
        for (n, value) in values.iter().enumerate() {
            f.write_str(if n > 0 { "," } else { "" })?;
            match value {
                Value::Word(word) if parse::is_bare_word(word) => f.write_str(word)?,
                Value::Word(word) => quoted(f, word)?,
                Value::Number(bound) => bound.write(f, |n| match field.about().takes {
                    Takes::Age => parse::age_text(n),
                    _ => n.to_string(),
                })?,
                Value::Share(bound) => bound.write(f, parse::share_text)?,
            }
        }
        Ok(())
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Bound {
    fn write(self, f: &mut fmt::Formatter<'_>, n: impl Fn(u64) -> String) -> fmt::Result {
        match self {
            Self::Is(a) => f.write_str(&n(a)),
            Self::Less(a) => write!(f, "<{}", n(a)),
            Self::AtMost(a) => write!(f, "<={}", n(a)),
            Self::More(a) => write!(f, ">{}", n(a)),
            Self::AtLeast(a) => write!(f, ">={}", n(a)),
            Self::Between(a, b) => write!(f, "{}..{}", n(a), n(b)),
        }
    }
}
