//! Schemas of what goes in and out, as the document shows them and as inputs are held against.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

/// Writes the schema of a type for a generator.
pub(in crate::web) type Maker = fn(&mut SchemaGenerator) -> Schema;

/// What an input looks like. Nothing is shared between inputs, so that each stands as a whole.
pub(in crate::web) fn input(make: Maker) -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_deserialize();
    settings.inline_subschemas = true;
    let mut schema = make(&mut settings.into_generator());
    RecursiveTransform(plain).transform(&mut schema);
    RecursiveTransform(bounded).transform(&mut schema);
    schema.to_value()
}

/// The same of a query, of which no part can be null: what is not there is left out.
pub(in crate::web) fn query(make: Maker) -> Value {
    let mut schema = input(make);
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (_, property) in properties.into_iter().flatten() {
        not_null(property);
    }
    schema
}

/// What answers look like; the types that they share stand with the document.
pub(in crate::web) fn outputs() -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    settings
        .with_transform(RecursiveTransform(plain))
        .with_transform(RecursiveTransform(present))
        .into_generator()
}

/// An enumeration whose members are described one by one becomes a plain one, which readers,
/// programs and messages of errors are better with; the descriptions go into its own.
fn plain(schema: &mut Schema) {
    if schema.get("default").is_some_and(is_empty) {
        schema.remove("default");
    }
    let Some(members) = schema.get("oneOf").and_then(Value::as_array) else {
        return;
    };
    let (mut values, mut said) = (Vec::new(), Vec::new());
    for member in members {
        match (&member["const"], &member["enum"]) {
            (Value::String(one), _) => {
                values.push(one.clone());
                if let Some(about) = member["description"].as_str() {
                    said.push(format!("`{one}`: {about}"));
                }
            }
            (_, Value::Array(some)) => {
                values.extend(some.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            _ => return,
        }
    }
    let own = schema.get("description").and_then(Value::as_str);
    let about: Vec<String> = own.map(str::to_owned).into_iter().chain(said).collect();
    schema.remove("oneOf");
    schema.insert("type".into(), "string".into());
    schema.insert("enum".into(), json!(values));
    if !about.is_empty() {
        schema.insert("description".into(), about.join("\n").into());
    }
}

/// The greatest number of a type, where the schema does not say it; of the widest, the greatest that
/// every reader of JSON has exactly (RFC 8259, 6).
fn bounded(schema: &mut Schema) {
    let most = match schema.get("format").and_then(Value::as_str) {
        Some("uint32") => u64::from(u32::MAX),
        Some("uint64" | "uint" | "int64" | "int") => (1 << 53) - 1,
        _ => return,
    };
    if schema.get("maximum").is_none() {
        schema.insert("maximum".into(), most.into());
    }
}

/// A default that says nothing.
fn is_empty(value: &Value) -> bool {
    let empty = [json!(null), json!(""), json!([]), json!({}), json!(false)];
    empty.contains(value)
}

/// What an answer may lack is not null where it is there: `skip_serializing_if`.
fn present(schema: &mut Schema) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| {
        required
            .as_array()
            .is_some_and(|r| r.iter().any(|n| n == name))
    };
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if !is_required(name) {
            not_null(property);
        }
    }
}

fn not_null(schema: &mut Value) {
    if let Some(Value::Array(any)) = schema.get_mut("anyOf") {
        any.retain(|of| of["type"] != "null");
        if let ([Value::Object(one)], Value::Object(all)) = (&any.clone()[..], &*schema) {
            let mut one = one.clone();
            one.extend(all.clone().into_iter().filter(|(name, _)| name != "anyOf"));
            *schema = one.into();
        }
    }
    let Value::Object(all) = schema else { return };
    if let Some(Value::Array(types)) = all.get_mut("type") {
        types.retain(|of| of != "null");
        if let [one] = &types[..] {
            let one = one.clone();
            all.insert("type".into(), one);
        }
    }
    if let Some(Value::Array(values)) = all.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
}
