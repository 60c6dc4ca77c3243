//! Which credentials answered calls came with, as security schemes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::catalog::view::EndpointView;

/// Adds `security` to an operation and the schemes that it names to the document's.
///
/// A scheme of which OpenAPI asks more than was seen (the name of a key's header) is told by
/// `x-apitap-auth` alone, as are the counts of all.
pub(super) fn add(endpoints: &[&EndpointView], out: &mut Value, schemes: &mut Map<String, Value>) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut wanted: BTreeMap<String, Value> = BTreeMap::new();
    for auth in endpoints.iter().flat_map(|e| &e.auth) {
        *counts.entry(&auth.scheme).or_default() += auth.requests;
        // By its JSON, so that places are read wherever they stand in it.
        let told = serde_json::to_value(auth).unwrap_or_default();
        wanted.extend(described(&auth.scheme, &places(&told)));
    }
    if counts.is_empty() {
        return;
    }
    if !wanted.is_empty() {
        let free = counts.contains_key("none").then(|| json!({}));
        let each = wanted.keys().map(|name| json!({ name: [] }));
        out["security"] = free.into_iter().chain(each).collect();
    }
    out["x-apitap-auth"] = json!(counts);
    schemes.extend(wanted);
}

/// A scheme in the words of OpenAPI, by the name of its component.
fn described(scheme: &str, places: &[(&str, &str)]) -> Vec<(String, Value)> {
    let one = |description: Value| vec![(component(scheme), description)];
    match scheme {
        "none" => Vec::new(),
        "jwt" => one(json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT" })),
        "mtls" => one(json!({ "type": "mutualTLS" })),
        "apikey" | "cookie" => {
            let key = |(place, name): &(&str, &str)| {
                let id = component(&format!("{scheme}-{place}-{name}"));
                (id, json!({ "type": "apiKey", "in": place, "name": name }))
            };
            places.iter().map(key).collect()
        }
        _ => one(json!({ "type": "http", "scheme": scheme })),
    }
}

/// `header:x-api-key`, as the places of credentials are written.
fn places(told: &Value) -> Vec<(&str, &str)> {
    fn texts<'a>(value: &'a Value, out: &mut Vec<&'a str>) {
        match value {
            Value::String(text) => out.push(text),
            Value::Array(items) => items.iter().for_each(|v| texts(v, out)),
            Value::Object(members) => members.iter().for_each(|(name, v)| {
                out.push(name);
                texts(v, out);
            }),
            _ => {}
        }
    }
    let mut all = Vec::new();
    texts(told, &mut all);
    all.into_iter()
        .filter_map(|text| text.split_once(':'))
        .filter(|(place, name)| ["header", "query", "cookie"].contains(place) && !name.is_empty())
        .collect()
}

/// Names of components are of few letters.
fn component(name: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars()
        .map(|c| if legal(c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_described_where_their_place_is_known() {
        let told = json!({ "scheme": "apikey", "requests": 3, "places": { "header:x-api-key": 2, "query:k y": 1 } });
        let found = described("apikey", &places(&told));
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["apikey-header-x-api-key", "apikey-query-k_y"]);
        assert_eq!(
            found[1].1,
            json!({ "type": "apiKey", "in": "query", "name": "k y" })
        );
        assert!(described("apikey", &[]).is_empty());
        assert_eq!(described("basic", &[])[0].1["scheme"], "basic");
    }
}
