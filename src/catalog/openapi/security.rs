//! Which credentials answered calls came with, as security schemes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::catalog::auth::AuthScheme;
use crate::catalog::view::EndpointView;

/// Adds `security` to an operation and the schemes that it names to the document's.
///
/// A scheme of which OpenAPI asks more than was seen (the name of a key's header) is told by
/// `x-apitap-auth` alone, as are the counts of all.
pub(super) fn add(endpoints: &[&EndpointView], out: &mut Value, schemes: &mut Map<String, Value>) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut wanted: BTreeMap<String, Value> = BTreeMap::new();
    for e in endpoints {
        let answered = |s: &&AuthScheme| s.by_class[2] + s.by_class[3] > 0;
        let placed = e.auth_schemes.iter().filter(answered);
        wanted.extend(placed.filter_map(|s| described(&s.scheme, &s.place)));
        for auth in &e.auth {
            *counts.entry(&auth.scheme).or_default() += auth.requests;
            if !e.auth_schemes.iter().any(|s| s.scheme == auth.scheme) {
                wanted.extend(described(&auth.scheme, ""));
            }
        }
    }
    if !wanted.is_empty() {
        let free = counts.contains_key("none").then(|| json!({}));
        let each = wanted.keys().map(|name| json!({ name: [] }));
        out["security"] = free.into_iter().chain(each).collect();
    }
    if !counts.is_empty() {
        out["x-apitap-auth"] = json!(counts);
    }
    schemes.extend(wanted);
}

/// A scheme in the words of OpenAPI, by the name of its component. `place` as in
/// [`AuthScheme`], empty where it is not known.
fn described(scheme: &str, place: &str) -> Option<(String, Value)> {
    let description = match scheme {
        "none" => return None,
        "jwt" => json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT" }),
        "mtls" => json!({ "type": "mutualTLS" }),
        "apikey" | "cookie" => {
            let (place, name) = place.split_once(':')?;
            if !["header", "query", "cookie"].contains(&place) || name.is_empty() {
                return None;
            }
            let id = component(&format!("{scheme}-{place}-{name}"));
            return Some((id, json!({ "type": "apiKey", "in": place, "name": name })));
        }
        _ => json!({ "type": "http", "scheme": scheme }),
    };
    Some((component(scheme), description))
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
        let (name, key) = described("apikey", "query:k y").unwrap();
        assert_eq!(name, "apikey-query-k_y");
        assert_eq!(
            key,
            json!({ "type": "apiKey", "in": "query", "name": "k y" })
        );
        assert_eq!(described("apikey", ""), None);
        assert_eq!(described("none", ""), None);
        let (_, basic) = described("basic", "header:authorization").unwrap();
        assert_eq!(basic, json!({ "type": "http", "scheme": "basic" }));
    }
}
