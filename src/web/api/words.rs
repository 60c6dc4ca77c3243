//! What the schema of an input has against a value, in words for whoever sent it: what could be
//! sent in its place, and never what was sent, which may be a password.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

/// Characters of what is said, which may be long.
const SAID: usize = 400;

pub(super) fn words(error: &ValidationError<'_>, schema: &Value) -> String {
    let said = match error.kind() {
        Kind::Enum { options } => format!("it is one of {}", listed(options)),
        Kind::Pattern { .. } => match described(error, schema) {
            Some(about) => format!("it cannot be read. {about}"),
            None => "it cannot be read".to_owned(),
        },
        Kind::Required { property } => format!("{property} is missing"),
        Kind::AdditionalProperties { unexpected } => {
            format!("there is no `{}` here", unexpected.join("`, `"))
        }
        Kind::OneOfNotValid { .. } | Kind::OneOfMultipleValid { .. } => {
            format!("say exactly one of {}", alternatives(error, schema))
        }
        _ => error.masked().to_string(),
    };
    said.chars().take(SAID).collect()
}

/// `"a", "b"`.
fn listed(values: &Value) -> String {
    let values = values.as_array().into_iter().flatten();
    values.map(Value::to_string).collect::<Vec<_>>().join(", ")
}

/// The description of what was wrong, in one line.
fn described(error: &ValidationError<'_>, schema: &Value) -> Option<String> {
    let (property, _) = error.schema_path().as_str().rsplit_once('/')?;
    let about = schema.pointer(property)?["description"].as_str()?;
    Some(about.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The members that one of several forms has and the others lack.
fn alternatives(error: &ValidationError<'_>, schema: &Value) -> String {
    let forms = schema.pointer(error.schema_path().as_str());
    let forms = forms.and_then(Value::as_array).into_iter().flatten();
    let names = forms.map(|form| listed(&form["required"]));
    names.collect::<Vec<_>>().join(", ")
}
