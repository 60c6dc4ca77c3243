//! Classes of sensitive data that a person adds, by the field's name and the value, each a regular
//! expression. They are matched in linear time (the `regex` crate), on the beginning of a value, and
//! their size is bounded, so that no rule and no message can hold the worker up.

use compact_str::CompactString;
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::exchange::{MAX_CUSTOM, is_custom};

/// Bytes of an expression, and of what it is compiled to.
const MAX_EXPRESSION: usize = 512;
const MAX_COMPILED: usize = 512 << 10;
/// Bytes of a value that are looked at.
const MAX_LOOKED_AT: usize = 256;

/// Which messages a rule is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Request,
    Response,
    #[default]
    Both,
}

/// A class, as it is written down: a field that it needs, a value, or both.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// `employee-number`; shown as `custom:employee-number`.
    pub class: String,
    pub field: Option<String>,
    pub value: Option<String>,
    #[serde(default)]
    pub direction: Direction,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("there may be {MAX_CUSTOM} rules at most")]
    Many,
    #[error("`{0}` is no class: write lower-case letters, digits and -, 32 at most")]
    Class(String),
    #[error("class `{0}` needs field or value")]
    Empty(String),
    #[error("class `{class}`: {what}: {why}")]
    Expression {
        class: String,
        what: &'static str,
        why: String,
    },
}

/// The rules, ready for use. A set of them is a bit each, in their order.
#[derive(Debug, Default)]
pub struct Rules(Vec<Compiled>);

#[derive(Debug)]
struct Compiled {
    class: CompactString,
    field: Option<Regex>,
    value: Option<Regex>,
    direction: Direction,
}

/// Rules that may be of a value, by its field and direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Candidates<'r> {
    rules: Option<&'r Rules>,
    set: u32,
}

impl Rules {
    pub fn compile(rules: &[Rule]) -> Result<Self, RuleError> {
        if rules.len() > MAX_CUSTOM {
            return Err(RuleError::Many);
        }
        let compiled = rules.iter().map(|rule| {
            if !is_custom(&rule.class) {
                return Err(RuleError::Class(rule.class.clone()));
            }
            if rule.field.is_none() && rule.value.is_none() {
                return Err(RuleError::Empty(rule.class.clone()));
            }
            Ok(Compiled {
                class: rule.class.as_str().into(),
                field: expression(rule, "field", rule.field.as_deref())?,
                value: expression(rule, "value", rule.value.as_deref())?,
                direction: rule.direction,
            })
        });
        compiled.collect::<Result<_, _>>().map(Self)
    }

    /// Those for messages of that direction whose field may have that name; `None`: it has none.
    pub(super) fn candidates(&self, direction: Direction, name: Option<&str>) -> Candidates<'_> {
        let mut set = 0;
        for (at, rule) in self.0.iter().enumerate() {
            let way = rule.direction == Direction::Both || rule.direction == direction;
            let named = match (&rule.field, name) {
                (None, _) => true,
                (Some(field), Some(name)) => field.is_match(name),
                (Some(_), None) => false,
            };
            set |= u32::from(way && named) << at;
        }
        Candidates {
            rules: Some(self),
            set,
        }
    }

    /// The classes of a set.
    pub(super) fn classes(&self, set: u32) -> Vec<CompactString> {
        let all = self.0.iter().enumerate();
        let set = all.filter(|(at, _)| set & (1 << at) != 0);
        let mut classes: Vec<_> = set.map(|(_, rule)| rule.class.clone()).collect();
        classes.sort_unstable();
        classes.dedup();
        classes
    }
}

impl Candidates<'_> {
    /// Those of which the value is.
    pub(super) fn of(self, value: &str) -> u32 {
        let Some(rules) = self.rules.filter(|_| self.set != 0 && !value.is_empty()) else {
            return 0;
        };
        let mut end = value.len().min(MAX_LOOKED_AT);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        let value = &value[..end];
        let mut found = 0;
        for (at, rule) in rules.0.iter().enumerate() {
            let wanted = self.set & (1 << at) != 0;
            let is = || rule.value.as_ref().is_none_or(|v| v.is_match(value));
            found |= u32::from(wanted && is()) << at;
        }
        found
    }
}

fn expression(
    rule: &Rule,
    what: &'static str,
    text: Option<&str>,
) -> Result<Option<Regex>, RuleError> {
    let Some(text) = text else { return Ok(None) };
    let wrong = |why: String| RuleError::Expression {
        class: rule.class.clone(),
        what,
        why,
    };
    if text.len() > MAX_EXPRESSION {
        return Err(wrong(format!("longer than {MAX_EXPRESSION} bytes")));
    }
    let built = RegexBuilder::new(text)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build();
    // Syntax errors draw a picture first.
    let last = |e: regex::Error| {
        let text = e.to_string();
        let line = text.lines().next_back().unwrap_or_default();
        line.trim_start_matches("error: ").to_owned()
    };
    built.map(Some).map_err(|e| wrong(last(e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(class: &str, field: &str, value: &str) -> Rule {
        let some = |s: &str| (!s.is_empty()).then(|| s.to_owned());
        Rule {
            class: class.into(),
            field: some(field),
            value: some(value),
            direction: Direction::Both,
        }
    }

    #[test]
    fn a_value_is_of_a_class_by_field_and_value() {
        use Direction::{Request, Response};
        let mut one_way = rule("badge", "^badge$", "");
        one_way.direction = Response;
        let rules = [
            rule("employee", "(?i)^emp", r"^E-\d{6}$"),
            rule("case", "", r"^CASE-\d+$"),
            one_way,
        ];
        let rules = Rules::compile(&rules).unwrap();
        let of = |direction, name, value| {
            let set = rules.candidates(direction, name).of(value);
            rules.classes(set).join(",")
        };
        assert_eq!(of(Request, Some("employee"), "E-123456"), "employee");
        assert_eq!(of(Request, Some("other"), "E-123456"), "");
        assert_eq!(of(Request, Some("employee"), "E-12"), "");
        assert_eq!(of(Request, None, "CASE-7"), "case");
        assert_eq!(of(Response, Some("badge"), "x"), "badge");
        assert_eq!(of(Request, Some("badge"), "x"), "");
        assert_eq!(of(Response, Some("badge"), ""), "");
        assert_eq!(of(Request, None, &"é".repeat(1_000)), "");
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_reason() {
        let why = |rules: &[Rule]| Rules::compile(rules).unwrap_err().to_string();
        assert_eq!(
            why(&[rule("a", "(", "")]),
            "class `a`: field: unclosed group"
        );
        assert!(why(&[rule("a", "", r"(\w{500}){500}")]).starts_with("class `a`: value: "));
        assert!(why(&[rule("a", "", &"x".repeat(513))]).contains("512"));
        assert!(why(&[rule("Not This", "a", "")]).contains("no class"));
        assert_eq!(why(&[rule("a", "", "")]), "class `a` needs field or value");
        assert!(why(&vec![rule("a", "a", ""); 33]).contains("32"));
        assert!(Rules::compile(&vec![rule("a", "a", ""); 32]).is_ok());
    }
}
