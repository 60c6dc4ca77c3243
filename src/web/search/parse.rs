//! Text to query. No text panics; what is no query says where, why, and the mend.

use std::ops::Range;

use super::fields::{FIELDS, Field, Takes, names};
use super::{Bound, Fault, MAX_TERMS, MAX_TEXT, MAX_VALUES, Query, Term, Test, Value};

/// Numbers beyond are no counts, and no `f64` has them all.
const MAX_NUMBER: u64 = 1_000_000_000_000_000;

pub(in crate::web) fn parse(text: &str) -> Result<Query, Fault> {
    let mut reader = Reader { text, at: 0 };
    if text.len() > MAX_TEXT {
        let what = format!("the query has more than {MAX_TEXT} bytes");
        return Err(reader.fault(0..text.len(), what, "ask for less at once"));
    }
    let mut terms = Vec::new();
    while reader.skip_blank() {
        if terms.len() == MAX_TERMS {
            let what = format!("the query has more than {MAX_TERMS} terms");
            return Err(reader.fault(reader.at..text.len(), what, "ask for less at once"));
        }
        terms.push(reader.term()?);
    }
    Ok(Query { terms })
}

/// What joins terms in other languages, and what does so here.
const JOINERS: [(&str, &str); 3] = [
    (
        "OR",
        "values of one field stand apart by commas, as in status:shadow,documented; the word itself stands in quotes",
    ),
    (
        "AND",
        "all that is written must hold, so leave it out; the word itself stands in quotes",
    ),
    (
        "NOT",
        "write - in front, as in -status:documented; the word itself stands in quotes",
    ),
];

/// Whether it is read back as text without quotes.
pub(super) fn is_bare_text(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['"', '-'])
        && !text.contains(char::is_whitespace)
        && !JOINERS.iter().any(|(joiner, _)| *joiner == text)
        && field_name(text).is_none()
}

/// Whether it is read back as a value without quotes.
pub(super) fn is_bare_word(word: &str) -> bool {
    !word.is_empty()
        && !word.starts_with('"')
        && !word.contains(|c: char| c.is_whitespace() || c == ',')
}

/// Letters with a colon behind them.
fn field_name(text: &str) -> Option<&str> {
    let (name, _) = text.split_once(':')?;
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(letters))
        .then_some(name)
}

struct Reader<'a> {
    text: &'a str,
    /// At a border of characters, at most the text's length.
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn fault(&self, at: Range<usize>, what: String, mend: impl Into<String>) -> Fault {
        let mend = mend.into();
        Fault {
            column: self.text[..at.start].chars().count() + 1,
            at,
            what,
            mend,
        }
    }

    /// False at the end.
    fn skip_blank(&mut self) -> bool {
        self.at = self.text.len() - self.rest().trim_start().len();
        !self.rest().is_empty()
    }

    /// Up to where `ends` says, or the end.
    fn word(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let word = &rest[..rest.find(ends).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn term(&mut self) -> Result<Term, Fault> {
        let start = self.at;
        let behind = self.rest().strip_prefix('-');
        let not = behind.is_some_and(|b| b.starts_with(|c: char| !c.is_whitespace()));
        self.at += usize::from(not);
        let test = if self.rest().starts_with('"') {
            let text = self.quoted()?;
            self.must_end()?;
            Test::Text(text)
        } else if let Some(name) = field_name(self.rest()) {
            self.at += name.len() + 1;
            let field = self.field(name, start)?;
            Test::Field(field, self.values(field)?)
        } else {
            let word = self.word(char::is_whitespace);
            if let Some((_, mend)) = JOINERS.iter().find(|(joiner, _)| *joiner == word) {
                let what = format!("there is no `{word}` between terms");
                return Err(self.fault(start..self.at, what, *mend));
            }
            Test::Text(word.to_owned())
        };
        let span = start..self.at;
        Ok(Term { not, test, span })
    }

    fn field(&mut self, name: &str, start: usize) -> Result<Field, Fault> {
        Field::find(name).ok_or_else(|| {
            let known: Vec<_> = FIELDS.iter().map(|a| a.name).collect();
            self.word(char::is_whitespace);
            let mend = format!(
                "the fields are {}; text with a colon stands in quotes",
                known.join(", ")
            );
            self.fault(start..self.at, format!("there is no field `{name}`"), mend)
        })
    }

    /// At a quote.
    fn quoted(&mut self) -> Result<String, Fault> {
        let start = self.at;
        let mut out = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' if out.is_empty() => {
                    let at = start..start + at + 1;
                    let what = "there is nothing between the quotes".into();
                    return Err(self.fault(at, what, "write what you look for, or leave them out"));
                }
                '"' => {
                    self.at = start + at + 1;
                    return Ok(out);
                }
                '\\' => out.extend(chars.next().map(|(_, c)| c)),
                c => out.push(c),
            }
        }
        let what = "the quote is not closed".into();
        Err(self.fault(start..self.text.len(), what, "put a \" at its end"))
    }

    fn must_end(&self) -> Result<(), Fault> {
        match self.rest().chars().next() {
            Some(c) if !c.is_whitespace() => {
                let at = self.at..self.at + c.len_utf8();
                let what = "something follows the closing quote".into();
                Err(self.fault(at, what, "put a space between them"))
            }
            _ => Ok(()),
        }
    }

    fn values(&mut self, field: Field) -> Result<Vec<Value>, Fault> {
        let mut out = Vec::new();
        loop {
            let start = self.at;
            let in_quotes = self.rest().starts_with('"');
            let word = if in_quotes {
                self.quoted()?
            } else {
                self.word(|c| c.is_whitespace() || c == ',').to_owned()
            };
            if word.is_empty() {
                let about = field.about();
                let what = format!("`{}:` lacks a value", about.name);
                let mend = format!("write it behind the colon, as in {}", about.example);
                return Err(self.fault(start..self.at, what, mend));
            }
            if out.len() == MAX_VALUES {
                let what = format!("`{}:` has more than {MAX_VALUES} values", field.name());
                return Err(self.fault(start..self.at, what, "name fewer, or use a star"));
            }
            let at = start..self.at;
            out.push(value(field, word).map_err(|(what, mend)| self.fault(at, what, mend))?);
            if !self.rest().starts_with(',') {
                self.must_end()?;
                return Ok(out);
            }
            self.at += 1;
        }
    }
}

fn value(field: Field, word: String) -> Result<Value, (String, String)> {
    let about = field.about();
    let bound = match about.takes {
        Takes::Words => return Ok(Value::Word(word)),
        Takes::Names => return name(field, &word).map(|name| Value::Word(name.to_owned())),
        Takes::Number => match (field, word.to_ascii_lowercase().as_str()) {
            (Field::Risk, "low") => Ok(Bound::Between(1, 4)),
            (Field::Risk, "medium") => Ok(Bound::Between(5, 7)),
            (Field::Risk, "high") => Ok(Bound::Between(8, 10)),
            (_, word) => bound(word, number),
        },
        Takes::Count if word.contains('%') => {
            let share = bound(&word.replace('%', ""), share);
            return share
                .map(Value::Share)
                .map_err(|wrong| wrong.said(field, &word));
        }
        Takes::Count => bound(&word.to_ascii_lowercase(), number),
        Takes::Latency => bound(&word.to_ascii_lowercase(), latency),
        Takes::Age if word.eq_ignore_ascii_case("never") => {
            return Ok(Value::Word("never".into()));
        }
        Takes::Age => bound(&word.to_ascii_lowercase(), age),
    };
    bound
        .map(Value::Number)
        .map_err(|wrong| wrong.said(field, &word))
}

/// Why a text is no bound.
enum Wrong {
    Unreadable,
    Reversed,
}

impl Wrong {
    fn said(self, field: Field, word: &str) -> (String, String) {
        let about = field.about();
        let what = match (self, about.takes) {
            (Self::Reversed, _) => {
                let (from, to) = word.split_once("..").unwrap_or_default();
                let what = format!("`{word}` ends before it begins");
                return (what, format!("write {}:{to}..{from}", about.name));
            }
            (Self::Unreadable, Takes::Age) => "no age",
            (Self::Unreadable, Takes::Latency) => "no latency",
            (Self::Unreadable, _) => "no number",
        };
        let mend = format!("write it as in {}", about.example);
        (format!("`{word}` is {what}"), mend)
    }
}

fn name(field: Field, word: &str) -> Result<&'static str, (String, String)> {
    let meant = match (field, word.to_ascii_lowercase().as_str()) {
        (Field::Auth, "none") => "missing",
        (Field::Exposure, "unknown") => "none",
        _ => word,
    };
    let mut known = names(field);
    known
        .find(|name| name.eq_ignore_ascii_case(meant))
        .ok_or_else(|| {
            let all: Vec<_> = names(field).collect();
            let what = format!("`{}` is never `{word}`", field.name());
            (what, format!("it is one of {}", all.join(", ")))
        })
}

fn bound(text: &str, read: impl Fn(&str) -> Option<u64>) -> Result<Bound, Wrong> {
    let read = |text: &str| read(text).ok_or(Wrong::Unreadable);
    if let Some((from, to)) = text.split_once("..") {
        let (from, to) = (read(from)?, read(to)?);
        return match from <= to {
            true => Ok(Bound::Between(from, to)),
            false => Err(Wrong::Reversed),
        };
    }
    let signs = [">=", "<=", ">", "<", "="];
    let found = signs
        .iter()
        .find_map(|sign| Some((*sign, text.strip_prefix(sign)?)));
    let (sign, rest) = found.unwrap_or(("", text));
    read(rest).map(match sign {
        ">=" => Bound::AtLeast,
        "<=" => Bound::AtMost,
        ">" => Bound::More,
        "<" => Bound::Less,
        _ => Bound::Is,
    })
}

/// Digits, with `k` or `m` behind them.
fn number(text: &str) -> Option<u64> {
    let units = [("k", 1_000), ("m", 1_000_000), ("", 1)];
    count(text, &units)
}

/// In milliseconds.
fn latency(text: &str) -> Option<u64> {
    let units = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("k", 1_000),
        ("", 1),
    ];
    count(text, &units)
}

/// Hundredths of a percent, of which there are up to two digits behind the point.
fn share(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if !(1..=2).contains(&part.len()) {
        return None;
    }
    let digits = |text: &str| count(text, &[("", 1)]);
    let part = digits(part)? * if part.len() == 1 { 10 } else { 1 };
    let share = digits(whole)?.checked_mul(100)? + part;
    Some(share).filter(|n| *n <= MAX_NUMBER)
}

pub(super) fn share_text(hundredths: u64) -> String {
    match (hundredths / 100, hundredths % 100) {
        (whole, 0) => format!("{whole}%"),
        (whole, part) => format!("{whole}.{part:02}%"),
    }
}

const AGES: [(&str, u64); 5] = [
    ("w", 604_800),
    ("d", 86_400),
    ("h", 3_600),
    ("m", 60),
    ("s", 1),
];

/// In seconds.
fn age(text: &str) -> Option<u64> {
    count(text, &AGES)
}

fn count(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, unit) = units
        .iter()
        .find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)))?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let n = digits.parse::<u64>().ok().filter(|_| plain)?;
    n.checked_mul(*unit).filter(|n| *n <= MAX_NUMBER)
}

/// In the largest unit that it is whole in.
pub(super) fn age_text(seconds: u64) -> String {
    let whole = AGES
        .iter()
        .find(|(_, size)| seconds >= *size && seconds.is_multiple_of(*size));
    let (unit, size) = whole.unwrap_or(&("s", 1));
    format!("{}{unit}", seconds / size)
}
