//! The learned schema of an endpoint, for its page and for the API.

use serde_json::Value;

use crate::catalog::{EndpointView, FieldView, PartView};

/// Rows of the table on a page; the API has all of them.
const ROWS: usize = 400;

/// One parameter or field.
pub(super) struct SchemaRow {
    pub(super) direction: &'static str,
    /// `path`, `query`, `header`, `body`; of a response with the class of its status.
    pub(super) place: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) format: String,
    /// Classes, each with the number of messages.
    pub(super) sensitive: String,
    pub(super) required: &'static str,
    pub(super) nullable: &'static str,
    pub(super) seen: String,
}

/// The table of an endpoint's parameters, requests first.
pub(super) fn rows(e: &EndpointView) -> Vec<SchemaRow> {
    let mut rows: Vec<SchemaRow> = Vec::new();
    for p in &e.path_parameters {
        rows.push(SchemaRow {
            direction: "request",
            place: "path".into(),
            name: p.name.clone(),
            kind: p.types.join(", "),
            format: "–".into(),
            sensitive: "–".into(),
            required: "required",
            nullable: "no",
            seen: e.requests.to_string(),
        });
    }
    let Some(schema) = e.schema.as_deref() else {
        return rows;
    };
    let requests = [
        ("query", &schema.query),
        ("header", &schema.request_headers),
        ("body", &schema.request),
    ];
    for (place, part) in requests {
        let fields = part.iter().flat_map(|p| &p.fields);
        rows.extend(fields.filter_map(|f| row("request", place.into(), f)));
    }
    for (what, parts) in [
        ("header", &schema.response_headers),
        ("body", &schema.responses),
    ] {
        for (class, part) in parts {
            let place = format!("{what}, {class}");
            let fields = part.fields.iter();
            rows.extend(fields.filter_map(|f| row("response", place.clone(), f)));
        }
    }
    rows.truncate(ROWS);
    rows
}

/// A query and a head are objects, which need not be said; of a body its root is.
fn row(direction: &'static str, place: String, field: &FieldView) -> Option<SchemaRow> {
    let body = place.starts_with("body");
    let top = field.pointer.is_empty();
    if top && !body {
        return None;
    }
    let name = match field.pointer.strip_prefix('/') {
        Some(name) if !body => name.to_owned(),
        _ if top => "(all of it)".to_owned(),
        _ => field.pointer.clone(),
    };
    let members = field.members.as_ref().map(|m| match &m.values[..] {
        [] => format!("one of {}", m.members),
        values => format!("one of {}", values.join(", ")),
    });
    let format = field.format.map(str::to_owned).or(members);
    let mut kind = field.types.join(", ");
    if field.repeated {
        kind += ", repeated";
    }
    Some(SchemaRow {
        direction,
        place,
        name,
        kind,
        format: format.unwrap_or_else(|| "–".into()),
        sensitive: sensitive(field),
        required: match (top, field.required) {
            (true, _) => "–",
            (false, true) => "required",
            (false, false) => "optional",
        },
        nullable: if field.nullable { "yes" } else { "no" },
        seen: field.seen.to_string(),
    })
}

fn sensitive(field: &FieldView) -> String {
    if field.sensitive.is_empty() {
        return "–".into();
    }
    let classes = field.sensitive.iter();
    let said: Vec<String> = classes.map(|(class, n)| format!("{class} ({n})")).collect();
    said.join(", ")
}

/// How far what is said can be relied on.
pub(super) fn trust(e: &EndpointView) -> String {
    let Some(schema) = e.schema.as_deref() else {
        return "No message was looked into yet.".into();
    };
    let bodies = schema.request.iter().chain(schema.responses.values());
    let parts: Vec<&PartView> = schema.query.iter().chain(bodies).collect();
    let samples: u64 = parts.iter().map(|p| u64::from(p.samples)).sum();
    let settled = parts.iter().filter(|p| p.stable).count();
    format!(
        "Learned from {samples} messages; {settled} of {} parts are stable.",
        parts.len()
    )
}

/// An endpoint with all that its schema has.
pub(super) fn whole(e: &EndpointView) -> Value {
    let mut value = serde_json::to_value(e).unwrap_or_default();
    if let Some(schema) = e.schema.as_deref() {
        value["schema"] = serde_json::to_value(schema).unwrap_or_default();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Settings};
    use crate::exchange::parse_line;

    /// Two answers a second apart, with that shape.
    fn endpoint(shapes: &str) -> EndpointView {
        let mut catalog = Catalog::new(Settings::default());
        for ts in [1, 2] {
            let line = format!(
                r#"{{"v":1,"ts":{ts},"method":"GET","host":"h","path":"/a/7","status":200,{shapes}}}"#
            );
            catalog.apply(&parse_line(line.as_bytes()).unwrap(), &mut Vec::new());
        }
        catalog.view().endpoints[0].as_ref().clone()
    }

    #[test]
    fn a_row_for_each_parameter_and_field() {
        let e = endpoint(
            r#""query_shape":{"":"object","/q":"string"},"request_headers":["x-a"],
            "response_shape":{"":"object","/n":"null|integer optional","/d":"string date pii:birth-date"}"#,
        );
        let line = |r: SchemaRow| {
            let SchemaRow {
                direction,
                place,
                name,
                kind,
                format,
                sensitive,
                required,
                nullable,
                seen,
            } = r;
            [
                direction, &place, &name, &kind, &format, &sensitive, required, nullable, &seen,
            ]
            .join(" ")
        };
        let lines: Vec<String> = rows(&e).into_iter().map(line).collect();
        let expected = [
            "request path a_id integer – – required no 2",
            "request query q string – – required no 2",
            "request header x-a string – – required no 2",
            "response body, 2xx (all of it) object – – – no 2",
            "response body, 2xx /d string date pii:birth-date (2) required no 2",
            "response body, 2xx /n integer – – optional yes 2",
        ];
        assert_eq!(lines, expected);
        assert_eq!(
            trust(&e),
            "Learned from 4 messages; 0 of 2 parts are stable."
        );
        let field = &whole(&e)["schema"]["responses"]["2xx"]["fields"][2];
        assert_eq!(field["pointer"], "/n");
        assert_eq!(
            (&field["nullable"], &field["seen"]),
            (&true.into(), &2.into())
        );
    }
}
