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
        required: match (top, field.required) {
            (true, _) => "–",
            (false, true) => "required",
            (false, false) => "optional",
        },
        nullable: if field.nullable { "yes" } else { "no" },
        seen: field.seen.to_string(),
    })
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
