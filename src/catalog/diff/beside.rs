//! One operation beside what was seen of it, for people who read both: what the document lacks, what
//! it says otherwise, and what of it was never seen.

use std::collections::BTreeSet;

use super::What;
use super::compare::{Change, part, undocumented};
use super::entry::Entry;

/// `old` is what the document says, `new` what was seen; what is the same is left out. What was not
/// seen is no fault: the traffic may not have shown it yet.
pub fn beside(documented: &Entry, seen: &Entry) -> Vec<Change> {
    let mut out = statuses(documented, seen);
    out.extend(credentials(documented, seen));
    let own = undocumented(documented, seen).into_iter();
    out.extend(own.filter(|c| c.what != What::Status));
    out.extend(never_seen(documented, seen));
    out
}

fn one(what: What, name: &str, documented: bool) -> Change {
    let (old, new) = match documented {
        true => (Some("documented".into()), None),
        false => (None, Some("seen".into())),
    };
    Change {
        what,
        name: Some(name.to_owned()),
        old,
        new,
    }
}

fn statuses(documented: &Entry, seen: &Entry) -> Vec<Change> {
    let class = |status: &str| format!("{}XX", status.get(..1).unwrap_or_default());
    let is_said = |status: &String| {
        let d = &documented.statuses;
        d.contains("DEFAULT") || d.contains(status) || d.contains(&class(status))
    };
    let is_met = |status: &String| {
        let codes = seen.statuses.iter();
        status == "DEFAULT"
            || codes
                .into_iter()
                .any(|s| s == status || class(s) == *status)
    };
    let more = seen.statuses.iter().filter(|s| !is_said(s));
    let less = documented.statuses.iter().filter(|s| !is_met(s));
    let more = more.map(|s| one(What::Status, s, false));
    more.chain(less.map(|s| one(What::Status, s, true)))
        .collect()
}

/// A JSON web token is what a document calls bearer. Of a document that says nothing of
/// credentials, nothing is said either.
fn credentials(documented: &Entry, seen: &Entry) -> Vec<Change> {
    if documented.auth.is_empty() {
        return Vec::new();
    }
    let plain = |all: &BTreeSet<String>| -> BTreeSet<String> {
        let one = |s: &String| {
            if s == "jwt" {
                "bearer".into()
            } else {
                s.clone()
            }
        };
        all.iter().map(one).collect()
    };
    let (said, met) = (plain(&documented.auth), plain(&seen.auth));
    let more = met.difference(&said).map(|s| one(What::Auth, s, false));
    let less = said.difference(&met).map(|s| one(What::Auth, s, true));
    more.chain(less).collect()
}

/// Parameters, and fields of messages of which something was seen.
fn never_seen<'a>(documented: &'a Entry, seen: &'a Entry) -> impl Iterator<Item = Change> + 'a {
    let parts: BTreeSet<String> = seen.fields.keys().filter_map(|n| part(n)).collect();
    let missing = documented.fields.keys().filter(move |name| {
        let known = part(name).is_some_and(|p| p == "query" || parts.contains(&p));
        known && !seen.fields.contains_key(*name)
    });
    missing.map(|name| one(What::Field, name, true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::spec;

    fn entry() -> Entry {
        let text = r##"
openapi: 3.0.3
info: { title: T, version: '1' }
security: [{ token: [] }]
components: { securitySchemes: { token: { type: http, scheme: bearer } } }
paths:
  /pets/{id}:
    get:
      parameters: [{ name: full, in: query, schema: { type: boolean } }]
      responses:
        '200':
          content:
            application/json:
              schema: { type: object, properties: { id: { type: string }, age: { type: integer } } }
        '404': {}
"##;
        let spec = spec::parse("t.yaml", text).unwrap();
        spec.entry(&spec.listing()[0]).unwrap()
    }

    #[test]
    fn what_is_more_otherwise_and_less_is_told() {
        let documented = entry();
        assert_eq!(documented.auth, BTreeSet::from(["bearer".to_owned()]));
        let line = json!({ "key": "k", "method": "GET", "host": "h", "template": "/pets/{pet_id}", "kind": "api", "confirmed": true,
            "statuses": { "200": 3, "500": 1 }, "auth": [{ "scheme": "jwt", "requests": 1 }, { "scheme": "none", "requests": 1 }],
            "schema": { "responses": { "2xx": { "fields": { "/id": "integer", "/note": "string" } } } } });
        let seen = Entry::of_line(&line).unwrap();
        let told: Vec<String> = beside(&documented, &seen)
            .into_iter()
            .map(|c| {
                let text = |t: Option<String>| t.unwrap_or_else(|| "–".into());
                format!(
                    "{} {}: {} | {}",
                    c.what.name(),
                    text(c.name),
                    text(c.old),
                    text(c.new)
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "status 500: – | seen",
                "status 404: documented | –",
                "auth none: – | seen",
                "field response 2xx /id: string | integer",
                "undocumented response 2xx /note: – | string",
                "field query /full: documented | –",
                "field response 2xx /age: documented | –",
            ]
        );
    }
}
