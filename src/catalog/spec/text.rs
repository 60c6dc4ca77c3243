//! The text of one file to a JSON tree: JSON or YAML, within bounds.

use serde_json::Value;

use super::SpecError;

/// Nodes of one YAML file, aliases counted as often as they are used; the largest public documents
/// have some hundred thousand.
const MAX_NODES: usize = 4_000_000;
/// Nesting of YAML, whose reader takes much stack a level; serde_json stops at 128 by itself.
const MAX_DEPTH: usize = 64;

/// Keys whose value is for people: none of it is looked at, and it is most of a document.
const PROSE: [&str; 4] = ["description", "summary", "externalDocs", "termsOfService"];
const EXAMPLES: [&str; 2] = ["example", "examples"];
/// Objects whose keys are names, whatever they are called.
pub(super) const NAMES: [&str; 12] = [
    "properties",
    "patternProperties",
    "definitions",
    "$defs",
    "schemas",
    "parameters",
    "responses",
    "requestBodies",
    "headers",
    "paths",
    "content",
    "mapping",
];

/// Reads a file, and lets go what is for people alone.
pub(super) fn read(file: &str, text: &str) -> Result<Value, SpecError> {
    let mut value = if is_json(text) {
        serde_json::from_str(text).map_err(|e| SpecError {
            column: Some(e.column()),
            mend: MEND_JSON,
            ..SpecError::at(file, Some(e.line()), e.to_string())
        })?
    } else {
        yaml(file, text)?
    };
    prune(&mut value, false);
    Ok(value)
}

pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

const MEND_JSON: &str = "JSON has double quotes around names and texts, a comma between members and none behind the last, and every bracket closed";
const MEND_YAML: &str = "in YAML members of one object begin in one column, indented by spaces; a text that holds `: ` or ` #` or begins with a special character is quoted";

fn yaml(file: &str, text: &str) -> Result<Value, SpecError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_depth: MAX_DEPTH,
            max_documents: 1,
        },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| {
        let place = e.location();
        let reason = e.to_string();
        SpecError {
            column: place.map(|l| l.column() as usize),
            mend: MEND_YAML,
            ..SpecError::at(
                file,
                place.map(|l| l.line() as usize),
                bare(reason.lines().next().unwrap_or_default()),
            )
        }
    })
}

/// `error: line 4 column 9: unclosed bracket` without the place, which is told beside it.
fn bare(reason: &str) -> &str {
    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
    let behind = reason
        .strip_prefix("line ")
        .and_then(|r| r.split_once(": "));
    let place = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_digit() || " column".contains(c))
    };
    behind
        .filter(|(before, _)| place(before))
        .map_or(reason, |(_, reason)| reason)
}

/// As deep as the readers let a text be.
fn prune(value: &mut Value, names: bool) {
    match value {
        Value::Object(map) => {
            if !names {
                map.retain(|key, value| {
                    let prose = PROSE.contains(&key.as_str()) && !value.is_object();
                    !prose && !EXAMPLES.contains(&key.as_str())
                });
            }
            for (key, value) in map {
                prune(value, !names && NAMES.contains(&key.as_str()));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|v| prune(v, false)),
        _ => {}
    }
}

/// Line and column of the first `needle`, for what the tree alone cannot place.
pub(super) fn place_of(text: &str, needle: &str) -> Option<(usize, usize)> {
    let before = &text[..text.find(needle)?];
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    Some((before.matches('\n').count() + 1, column))
}

/// Where the keys lead to, each looked for behind the one before it; and behind them the `value`.
/// `None` where one of them is spelt in another way than it is read.
pub(super) fn place_along(text: &str, way: &[&str], value: Option<&str>) -> Option<(usize, usize)> {
    let mut at = 0;
    let mut found = 0;
    let keys = way.iter().map(|key| (*key, true));
    for (word, is_key) in keys.chain(value.map(|value| (value, false))) {
        found = at
            + text[at..].match_indices(word).find_map(|(begin, _)| {
                stands_alone(text, (at + begin, at + begin + word.len()), is_key).then_some(begin)
            })?;
        at = found + word.len();
    }
    let before = &text[..found];
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    Some((before.matches('\n').count() + 1, column))
}

/// Not a part of a longer word; of a key, that a colon comes after it.
fn stands_alone(text: &str, (begin, end): (usize, usize), is_key: bool) -> bool {
    let before = text[..begin].chars().next_back();
    let starts = before.is_none_or(|c| c.is_whitespace() || "\"'{[,".contains(c));
    let rest = text[end..].trim_start_matches(['"', '\'']);
    let ends = match is_key {
        true => rest.trim_start_matches([' ', '\t']).starts_with(':'),
        false => {
            rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || ",]}#".contains(c))
        }
    };
    starts && ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_people_goes_and_names_stay() {
        let text = r#"{"description":"long","properties":{"description":{"type":"string","description":"x","example":1},"example":{"type":"integer"}}}"#;
        let kept = read("a.json", text).unwrap().to_string();
        assert_eq!(
            kept,
            r#"{"properties":{"description":{"type":"string"},"example":{"type":"integer"}}}"#
        );
    }

    #[test]
    fn an_error_of_yaml_has_its_place_beside_it() {
        let e = read("a.yaml", "openapi: 3.1.0\npaths:\n  /x:\n   get: [\n").unwrap_err();
        assert_eq!((e.line, e.column), (Some(4), Some(9)));
        assert!(
            !e.reason.contains("line") && e.mend == MEND_YAML,
            "{}",
            e.reason
        );
        let e = read("a.json", "{\"a\": 1,\n }").unwrap_err();
        assert_eq!((e.line, e.mend), (Some(2), MEND_JSON));
    }

    #[test]
    fn bombs_end_with_an_error() {
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..12 {
            let part = format!("*a{}", n - 1);
            let list = vec![part; 10].join(",");
            bomb.push_str(&format!("a{n}: &a{n} [{list}]\n"));
        }
        assert!(read("bomb.yaml", &bomb).is_err());
        let deep = "[".repeat(100_000);
        assert!(read("deep.json", &deep).is_err());
        assert!(read("deep.yaml", &format!("a: {deep}")).is_err());
        let nested: String = (0..2_000)
            .map(|n| format!("{}a:\n", " ".repeat(n)))
            .collect();
        assert!(read("nested.yaml", &nested).is_err());
    }
}
