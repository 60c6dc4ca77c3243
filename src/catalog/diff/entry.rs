//! One endpoint of an inventory or one operation of a document, as far as it is compared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What two sides are matched by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// `*` where a document does not name one.
    pub host: String,
    /// The template with its parameters' names left out: `/users/{}`.
    pub shape: String,
    pub method: String,
    pub operation: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub place: Place,
    pub template: String,
    /// Its key and those that it had.
    pub keys: BTreeSet<String>,
    /// An endpoint of an API, rather than of a web site or of the infrastructure.
    pub api: bool,
    pub documentation: String,
    pub life: String,
    pub deprecated: bool,
    pub zombie: bool,
    pub auth: BTreeSet<String>,
    pub statuses: BTreeSet<String>,
    /// `pii:email response body /mail`.
    pub sensitive: BTreeSet<String>,
    pub risk: Option<u64>,
    /// By place and pointer, `response 2xx /id`: words of type, format and presence.
    pub fields: BTreeMap<String, BTreeSet<String>>,
}

impl Entry {
    pub fn label(&self) -> String {
        let p = &self.place;
        let operation = p.operation.as_ref().map(|o| format!(" {o}"));
        format!(
            "{} {} {}{}",
            p.method,
            p.host,
            self.template,
            operation.unwrap_or_default()
        )
    }

    /// A line of an inventory; `None` where it is a candidate, or no endpoint of an API.
    pub fn of_line(line: &Value) -> Option<Self> {
        let text = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
        let is = |name: &str| line.get(name).and_then(Value::as_bool).unwrap_or(false);
        let list = |name: &str| {
            line.get(name)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        let template = text("template")?;
        let kind = text("kind").unwrap_or_else(|| "api".into());
        if !is("confirmed") || kind == "static" {
            return None;
        }
        let aliases = list("aliases").filter_map(Value::as_str).map(str::to_owned);
        let auth = list("auth").filter_map(|a| a.get("scheme")?.as_str());
        let sensitive = list("sensitive").map(|s| {
            let part = |name: &str| s.get(name).and_then(Value::as_str).unwrap_or_default();
            format!(
                "{} {} {} {}",
                part("class"),
                part("direction"),
                part("place"),
                part("pointer")
            )
        });
        let statuses = line.get("statuses").and_then(Value::as_object);
        Some(Self {
            place: Place {
                host: text("host")?,
                shape: shape(&template),
                method: text("method")?,
                operation: text("operation"),
            },
            keys: text("key").into_iter().chain(aliases).collect(),
            api: kind == "api",
            documentation: text("documentation").unwrap_or_default(),
            life: text("life").unwrap_or_default(),
            deprecated: is("deprecated"),
            zombie: is("zombie"),
            auth: auth.map(str::to_owned).collect(),
            statuses: statuses
                .into_iter()
                .flatten()
                .map(|(code, _)| code.clone())
                .collect(),
            sensitive: sensitive.collect(),
            risk: line.get("risk").and_then(Value::as_u64),
            fields: line.get("schema").map(fields).unwrap_or_default(),
            template,
        })
    }
}

/// `/users/{}` of `/users/{user_id}`.
pub fn shape(template: &str) -> String {
    let mut out = String::with_capacity(template.len());
    for (n, segment) in template.split('/').enumerate() {
        if n > 0 {
            out.push('/');
        }
        match segment.contains('{') {
            true => out.push_str("{}"),
            false => out.extend(segment.chars().flat_map(char::to_lowercase)),
        }
    }
    out
}

/// The fields of a schema as inventory lines have it.
fn fields(schema: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut out = BTreeMap::new();
    for (name, part) in schema.as_object().into_iter().flatten() {
        let place = match name.as_str() {
            "request_headers" => "header",
            "response_headers" => "response header",
            "responses" => "response",
            other => other,
        };
        match part.get("fields").and_then(Value::as_object) {
            Some(fields) => take(&mut out, place, fields),
            // By status class.
            None => {
                for (class, part) in part.as_object().into_iter().flatten() {
                    if let Some(fields) = part.get("fields").and_then(Value::as_object) {
                        take(&mut out, &format!("{place} {class}"), fields);
                    }
                }
            }
        }
    }
    out
}

fn take(
    out: &mut BTreeMap<String, BTreeSet<String>>,
    place: &str,
    fields: &serde_json::Map<String, Value>,
) {
    for (pointer, words) in fields.iter().filter(|(pointer, _)| !pointer.is_empty()) {
        let words = words.as_str().unwrap_or_default().split(' ');
        // Classes of sensitive data are compared by themselves.
        let words = words
            .filter(|w| !w.contains(':'))
            .flat_map(|w| w.split('|'));
        let words = words.filter(|w| !w.is_empty()).map(str::to_owned);
        out.insert(format!("{place} {pointer}"), words.collect());
    }
}
