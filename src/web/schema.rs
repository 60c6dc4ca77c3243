//! The learned schema of an endpoint, for its page and for the API.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

use crate::catalog::{EndpointView, FieldView, PartView, PathParameter, SchemaView};
use crate::sensor::doctor::count;

/// Rows on a page, and so many of them that stand open; the API has all.
const ROWS: usize = 400;
const OPEN: usize = 40;

/// Where an endpoint has parameters or fields: `Request body`, `Response headers, 2xx`.
pub(super) struct SchemaPart {
    pub(super) title: String,
    /// What is said of all of it.
    pub(super) about: String,
    pub(super) open: bool,
    pub(super) rows: Vec<SchemaRow>,
    /// Fields that do not stand in `rows`.
    pub(super) more: usize,
}

/// One parameter or field.
pub(super) struct SchemaRow {
    pub(super) name: String,
    pub(super) kind: String,
    /// Or the members of an enumeration; empty where there is none.
    pub(super) format: String,
    /// Classes of sensitive data, each with the number of messages.
    pub(super) sensitive: String,
    pub(super) required: bool,
    /// How it differs from the document.
    pub(super) drift: String,
    pub(super) seen: u64,
}

/// An endpoint's parameters and fields, requests first.
pub(super) fn parts(e: &EndpointView) -> Vec<SchemaPart> {
    let mut parts = Vec::new();
    if !e.path_parameters.is_empty() {
        let row = |p: &PathParameter| SchemaRow {
            name: p.name.clone(),
            kind: p.types.join(" or "),
            format: String::new(),
            sensitive: String::new(),
            required: true,
            drift: String::new(),
            seen: e.requests,
        };
        let rows = e.path_parameters.iter().map(row).collect();
        parts.push(new_part("Path".into(), String::new(), rows));
    }
    if let Some(schema) = e.schema.as_deref() {
        let requests = [
            ("Query", &schema.query),
            ("Request headers", &schema.request_headers),
            ("Request body", &schema.request),
        ];
        for (title, part) in requests {
            parts.extend(part.iter().map(|p| learned(title.into(), p)));
        }
        let responses = [
            ("Response headers", &schema.response_headers),
            ("Response body", &schema.responses),
        ];
        for (title, by_class) in responses {
            let title = |class| format!("{title}, {class}");
            parts.extend(by_class.iter().map(|(class, p)| learned(title(class), p)));
        }
    }
    parts.iter_mut().for_each(|part| mark(part, e));
    let (mut open, mut room) = (OPEN, ROWS);
    for part in &mut parts {
        part.open = part.rows.len() <= open;
        open = open.saturating_sub(part.rows.len());
        part.more = part.rows.len().saturating_sub(room);
        part.rows.truncate(room);
        room -= part.rows.len();
    }
    parts
}

/// Puts what differs from the document on the rows that it is about.
fn mark(part: &mut SchemaPart, e: &EndpointView) {
    let direction = match part.title.starts_with("Response") {
        true => "response",
        false => "request",
    };
    let of_status = |status: Option<u16>| {
        status.is_none_or(|s| part.title.ends_with(&format!("{}xx", s / 100)))
    };
    let own = e
        .drift
        .iter()
        .filter(|d| d.direction == direction && of_status(d.status));
    for drift in own {
        let named = |r: &&mut SchemaRow| {
            r.name.trim_start_matches('/') == drift.name.trim_start_matches('/')
        };
        if let Some(row) = part.rows.iter_mut().find(named) {
            row.drift = drift.kind.name().to_owned();
        }
    }
}

fn new_part(title: String, about: String, rows: Vec<SchemaRow>) -> SchemaPart {
    SchemaPart {
        title,
        about,
        open: false,
        rows,
        more: 0,
    }
}

fn learned(title: String, part: &PartView) -> SchemaPart {
    let body = title.contains("body");
    let (roots, fields): (Vec<_>, Vec<_>) = part.fields.iter().partition(|f| f.pointer.is_empty());
    // A query and a head are objects, which need not be said.
    let root = roots.first().filter(|_| body).map(|f| kind(f));
    let messages = count(part.samples.into(), "message");
    let state = if part.stable {
        "stable"
    } else {
        "still learning"
    };
    let mut about: Vec<String> = root.into_iter().chain(part.media_types.clone()).collect();
    about.extend([messages, state.to_owned()]);
    let rows = fields.into_iter().map(|f| row(f, body)).collect();
    new_part(title, about.join(" · "), rows)
}

fn row(field: &FieldView, body: bool) -> SchemaRow {
    let members = field
        .members
        .as_ref()
        .map(|m| match (&m.values[..], m.members) {
            ([], 1) => "always the same".to_owned(),
            ([], n) => format!("one of {n} values"),
            ([value], _) => format!("always {value}"),
            (values, _) => format!("one of {}", values.join(", ")),
        });
    let name = match field.pointer.strip_prefix('/') {
        Some(name) if !body => name,
        _ => &field.pointer,
    };
    SchemaRow {
        name: name.to_owned(),
        kind: kind(field),
        format: field
            .format
            .map(str::to_owned)
            .or(members)
            .unwrap_or_default(),
        sensitive: sensitive(field),
        required: field.required,
        drift: String::new(),
        seen: u64::from(field.seen),
    }
}

/// `pii:email 12, pii:phone 3`.
fn sensitive(field: &FieldView) -> String {
    let said = |(class, n): (&_, &_)| format!("{class} {n}");
    let classes: Vec<String> = field.sensitive.iter().map(said).collect();
    classes.join(", ")
}

/// `integer or null, repeated`.
fn kind(field: &FieldView) -> String {
    let null = field.nullable.then_some("null");
    let types: Vec<&str> = field.types.iter().copied().chain(null).collect();
    let repeated = if field.repeated { ", repeated" } else { "" };
    types.join(" or ") + repeated
}

/// An endpoint with all that its schema has.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Whole(Value);

pub(super) fn whole(e: &EndpointView) -> Whole {
    let mut value = serde_json::to_value(e).unwrap_or_default();
    if let Some(schema) = e.schema.as_deref() {
        value["schema"] = serde_json::to_value(schema).unwrap_or_default();
    }
    Whole(value)
}

impl JsonSchema for Whole {
    fn schema_name() -> Cow<'static, str> {
        "Endpoint".into()
    }

    /// That of the list but for its schema.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut endpoint = EndpointView::json_schema(generator);
        let schema = generator.subschema_for::<SchemaView>();
        if let Some(place) = endpoint.pointer_mut("/properties/schema") {
            *place = schema.to_value();
        }
        endpoint
    }
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
    fn a_part_for_each_place_a_row_for_each_field() {
        let e = endpoint(
            r#""query_shape":{"":"object","/q":"string"},"request_headers":["x-a"],
            "response_shape":{"":"object","/n":"null|integer optional","/d":"string date pii:birth-date"}"#,
        );
        let mut lines = Vec::new();
        for part in parts(&e) {
            assert!(part.open && part.more == 0);
            lines.push(format!("{}: {}", part.title, part.about));
            for r in part.rows {
                let required = if r.required { "required" } else { "optional" };
                lines.push(format!(
                    "{} {} [{}] [{}] {required} {}",
                    r.name, r.kind, r.format, r.sensitive, r.seen
                ));
            }
        }
        let expected = [
            "Path: ",
            "a_id integer [] [] required 2",
            "Query: 2 messages · still learning",
            "q string [] [] required 2",
            "Request headers: 2 messages · still learning",
            "x-a string [] [] required 2",
            "Response body, 2xx: object · 2 messages · still learning",
            "/d string [date] [pii:birth-date 2] required 2",
            "/n integer or null [] [] optional 2",
        ];
        assert_eq!(lines, expected);
        let field = &whole(&e).0["schema"]["responses"]["2xx"]["fields"][2];
        assert_eq!(field["pointer"], "/n");
        assert_eq!(
            (&field["nullable"], &field["seen"]),
            (&true.into(), &2.into())
        );
    }

    #[test]
    fn what_is_long_stands_closed_and_what_is_left_out_is_counted() {
        let shape = |n: usize| {
            let fields = (0..n).map(|i| format!(r#","/f{i:03}":"string""#));
            format!(r#"{{"":"object"{}}}"#, fields.collect::<String>())
        };
        let e = endpoint(&format!(
            r#""query_shape":{},"request_shape":{},"response_shape":{}"#,
            shape(3),
            shape(250),
            shape(250)
        ));
        let parts = parts(&e);
        let seen: Vec<_> = parts
            .iter()
            .map(|p| (p.open, p.rows.len() + p.more))
            .collect();
        assert_eq!(seen, [(true, 1), (true, 3), (false, 250), (false, 250)]);
        assert_eq!(parts.iter().map(|p| p.rows.len()).sum::<usize>(), ROWS);
    }
}
