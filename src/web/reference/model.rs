//! The document as the page shows it: operations by topic, and the types that they use.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::api::table::LATER;
use super::text;

/// Nested objects of an input are shown so deep.
const DEEP: usize = 4;

pub(super) struct Topic {
    /// In links.
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) about: String,
    pub(super) operations: Vec<Operation>,
    /// Types that its answers are made of, and those in them.
    pub(super) types: Vec<Type>,
}

pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) summary: String,
    pub(super) detail: Words,
    pub(super) role: String,
    pub(super) parameters: Vec<Field>,
    /// What is sent.
    pub(super) body: Vec<Field>,
    /// What comes back, by media type.
    pub(super) answers: Vec<(String, Kind)>,
    pub(super) answer: String,
    /// Other statuses, and what they mean.
    pub(super) others: Vec<(String, String)>,
    /// Of a command for the shell, what stands before the address, the path, and what is behind it.
    pub(super) command: (&'static str, String, String),
}

pub(super) struct Type {
    pub(super) name: String,
    pub(super) about: Words,
    pub(super) fields: Vec<Field>,
    /// Of what is no object.
    pub(super) kind: Kind,
}

pub(super) struct Field {
    pub(super) name: String,
    /// How deep it lies.
    pub(super) depth: usize,
    /// Of a parameter: `path` or `query`.
    pub(super) place: String,
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) about: Words,
}

/// Text in parts, of which those that stood in backticks are code.
pub(super) type Words = Vec<(String, bool)>;

fn words(value: &Value) -> Words {
    let parts = value.as_str().unwrap_or_default().split('`').enumerate();
    let parts = parts.filter(|(_, part)| !part.is_empty());
    parts
        .map(|(n, part)| (part.to_owned(), n % 2 == 1))
        .collect()
}

/// A type in words, some of which lead to where it is described.
pub(super) struct Kind(pub(super) Vec<(String, Option<String>)>);

impl Kind {
    fn word(word: impl Into<String>) -> Self {
        Self(vec![(word.into(), None)])
    }

    fn joined(kinds: impl IntoIterator<Item = Self>, with: &str) -> Self {
        let mut out = Vec::new();
        for kind in kinds {
            if !out.is_empty() {
                out.push((with.to_owned(), None));
            }
            out.extend(kind.0);
        }
        Self(out)
    }

    fn after(word: &str, kind: Self) -> Self {
        Self::joined([Self::word(word), kind], " ")
    }

    fn of(schema: &Value) -> Self {
        if let Some(name) = reference(schema) {
            return Self(vec![(name.to_owned(), Some(name.to_owned()))]);
        }
        for any in ["anyOf", "oneOf"] {
            if let (Some(all), None) = (schema[any].as_array(), schema.get("type")) {
                return Self::joined(all.iter().map(Self::of), " or ");
            }
        }
        if let Some(values) = schema["enum"].as_array() {
            let values = values.iter().map(plain);
            return Self::word(values.collect::<Vec<_>>().join(" · "));
        }
        if let Some(value) = schema.get("const") {
            return Self::word(plain(value));
        }
        match &schema["type"] {
            Value::Array(types) => {
                Self::joined(types.iter().map(|of| Self::typed(schema, of)), " or ")
            }
            one => Self::typed(schema, one),
        }
    }

    fn typed(schema: &Value, of: &Value) -> Self {
        let bound = |name: &str| schema.get(name).map(plain);
        match of.as_str() {
            Some("array") => Self::after("list of", Self::of(&schema["items"])),
            Some("object") if schema["additionalProperties"].is_object() => {
                Self::after("by name:", Self::of(&schema["additionalProperties"]))
            }
            Some(kind @ ("integer" | "number")) => match (bound("minimum"), bound("maximum")) {
                (Some(least), Some(most)) => Self::word(format!("{kind}, {least} to {most}")),
                _ => Self::word(kind),
            },
            Some("string") => match (bound("pattern"), bound("maxLength")) {
                (Some(pattern), _) => Self::word(format!("string, {pattern}")),
                (_, Some(most)) => Self::word(format!("string of at most {most} characters")),
                _ => Self::word("string"),
            },
            Some(kind) => Self::word(kind),
            None => Self::word("anything"),
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The name of the type that a schema refers to.
fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

pub(super) fn topics(document: &Value) -> Vec<Topic> {
    let tags = document["tags"].as_array().into_iter().flatten();
    tags.map(|tag| topic(document, tag)).collect()
}

fn topic(document: &Value, tag: &Value) -> Topic {
    let name = text(&tag["name"]);
    let (mut operations, mut used) = (Vec::new(), BTreeSet::new());
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, of) in item.as_object().into_iter().flatten() {
            if of["tags"][0] == tag["name"] {
                gather(document, of, &mut used);
                operations.push(operation(method, path, of));
            }
        }
    }
    Topic {
        slug: name.to_lowercase(),
        about: text(&tag["description"]),
        types: used.into_iter().map(|name| kind(document, name)).collect(),
        operations,
        name,
    }
}

/// All types that are referred to from here on.
fn gather<'a>(document: &'a Value, value: &'a Value, used: &mut BTreeSet<&'a str>) {
    if let Some(name) = reference(value)
        && used.insert(name)
    {
        gather(document, &document["components"]["schemas"][name], used);
    }
    match value {
        Value::Object(all) => all.values().for_each(|v| gather(document, v, used)),
        Value::Array(all) => all.iter().for_each(|v| gather(document, v, used)),
        _ => {}
    }
}

fn kind(document: &Value, name: &str) -> Type {
    let schema = &document["components"]["schemas"][name];
    Type {
        name: name.to_owned(),
        about: words(&schema["description"]),
        fields: fields(schema, 0),
        kind: Kind::of(schema),
    }
}

/// Members of an object, with theirs behind them where they are not described elsewhere.
fn fields(schema: &Value, depth: usize) -> Vec<Field> {
    let mut out = Vec::new();
    let is_required = |name: &String| {
        let all = schema["required"].as_array();
        all.is_some_and(|all| all.iter().any(|one| one == name))
    };
    for (name, of) in schema["properties"].as_object().into_iter().flatten() {
        out.push(Field {
            name: name.clone(),
            depth,
            place: String::new(),
            kind: Kind::of(of),
            required: is_required(name),
            about: words(&of["description"]),
        });
        if depth < DEEP {
            out.extend(fields(of, depth + 1));
        }
    }
    out
}

fn operation(method: &str, path: &str, of: &Value) -> Operation {
    let body = &of["requestBody"]["content"]["application/json"];
    let answer = &of["responses"]["200"];
    let contents = answer["content"].as_object().into_iter().flatten();
    let others = of["responses"].as_object().into_iter().flatten();
    Operation {
        id: text(&of["operationId"]),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(&of["summary"]),
        detail: words(&of["description"]),
        role: text(&of["x-role"]),
        parameters: of["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(parameter)
            .collect(),
        body: fields(&body["schema"], 0),
        answers: contents
            .map(|(media, of)| (media.clone(), Kind::of(&of["schema"])))
            .collect(),
        answer: text(&answer["description"]),
        others: others
            .filter(|(status, _)| *status != "200")
            .map(|(status, of)| (status.clone(), text(&of["description"])))
            .collect(),
        command: command(method, path, &body["example"]),
    }
}

fn parameter(of: &Value) -> Field {
    Field {
        name: text(&of["name"]),
        depth: 0,
        place: text(&of["in"]),
        kind: Kind::of(&of["schema"]),
        required: of["required"] == true,
        about: words(&of["description"]),
    }
}

/// For a POSIX shell: what is to be put in stands in capitals, and a time to come is worked out.
fn command(method: &str, path: &str, example: &Value) -> (&'static str, String, String) {
    let segments = path.split('/').map(|s| match s.strip_prefix('{') {
        Some(name) => name.trim_end_matches('}').to_uppercase(),
        None => s.to_owned(),
    });
    let path = segments.collect::<Vec<_>>().join("/");
    match method {
        "get" => ("curl -s", path, String::new()),
        "delete" => ("curl -s -X DELETE", path, String::new()),
        _ => {
            let body = example.to_string().replace('\'', "'\\''");
            let body = body.replace(LATER, "'$(($(date +%s) + 28800))'");
            let behind = format!(" \\\n  -H 'content-type: application/json' -d '{body}'");
            ("curl -s", path, behind)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: &Kind) -> String {
        kind.0.iter().map(|(word, _)| word.as_str()).collect()
    }

    #[test]
    fn what_stands_in_backticks_is_code() {
        let parts = words(&"Say `a`, or `b`".into());
        let expected = [("Say ", false), ("a", true), (", or ", false), ("b", true)];
        let parts: Vec<_> = parts
            .iter()
            .map(|(part, code)| (part.as_str(), *code))
            .collect();
        assert_eq!(parts, expected);
    }

    #[test]
    fn every_type_that_is_named_is_described_on_its_page() {
        let topics = topics(&crate::web::openapi::DOCUMENT);
        let mut named = 0;
        for topic in &topics {
            assert!(!topic.operations.is_empty(), "{}", topic.name);
            let operations = topic.operations.iter();
            let answers = operations.flat_map(|o| o.answers.iter().map(|(_, kind)| kind));
            let fields = topic
                .types
                .iter()
                .flat_map(|t| t.fields.iter().map(|f| &f.kind));
            for (_, link) in answers.chain(fields).flat_map(|kind| &kind.0) {
                if let Some(name) = link {
                    assert!(topic.types.iter().any(|t| t.name == *name), "{name}");
                    named += 1;
                }
            }
        }
        assert!(named > 100, "{named}");
    }

    #[test]
    fn types_in_words() {
        for (schema, words) in [
            (
                r#"{"type":["string","null"],"maxLength":5}"#,
                "string of at most 5 characters or null",
            ),
            (
                r##"{"type":"array","items":{"$ref":"#/components/schemas/A"}}"##,
                "list of A",
            ),
            (
                r#"{"type":"integer","minimum":1,"maximum":9}"#,
                "integer, 1 to 9",
            ),
            (
                r#"{"type":"object","additionalProperties":{"type":"integer"}}"#,
                "by name: integer",
            ),
            (r#"{"enum":["a","b"]}"#, "a · b"),
        ] {
            assert_eq!(
                said(&Kind::of(&serde_json::from_str(schema).unwrap())),
                words
            );
        }
    }
}
