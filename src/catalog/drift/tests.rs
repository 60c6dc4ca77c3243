use std::fmt::Write;

use serde_json::Value;

use super::*;
use crate::catalog::spec::{SpecSet, parse};
use crate::exchange::parse_line;

/// A document of one operation, `POST /x`.
fn document(version: &str, operation: &str, rest: &str) -> String {
    let key = if version.starts_with('2') {
        "swagger"
    } else {
        "openapi"
    };
    format!(
        "{key}: '{version}'\ninfo: {{ title: T, version: '1' }}\npaths: {{ /x: {{ post: {operation} }} }}\n{rest}"
    )
}

/// What an exchange deviates in: `kind name`, one a line.
fn judged(document: &str, line: &str) -> String {
    let specs = SpecSet::new(vec![parse("t.yaml", document).unwrap()]);
    let found = specs.find("h", "POST", &["x"]).unwrap().ok().unwrap();
    let (id, operation) = found.operation.unwrap();
    let mut drift = Drift::default();
    drift.set(Some((id, found.spec.digest_of(operation))));
    let line = format!(r#"{{"v":1,"ts":1,"method":"POST","host":"h","path":"/x",{line}}}"#);
    let x = parse_line(line.as_bytes()).unwrap();
    let mut contracts = Contracts::default();
    for _ in 0..2 {
        drift.take(&x, &specs, &mut contracts, true);
    }
    let mut out = String::new();
    for d in drift.view() {
        assert_eq!(d.count, 2, "the second time it is remembered");
        let _ = writeln!(out, "{} {}", d.kind.name(), d.name);
    }
    out
}

/// The same for a JSON answer with this schema and shape.
fn answer(version: &str, schema: &str, shape: &str, rest: &str) -> String {
    let operation = format!(
        "{{ responses: {{ '200': {{ content: {{ application/json: {{ schema: {schema} }} }} }} }} }}"
    );
    let line = format!(
        r#""status":200,"content_type":"application/json","response_bytes":9,"response_shape":{shape}"#
    );
    judged(&document(version, &operation, rest), &line)
}

#[test]
fn fields_of_an_object_that_lists_its_names() {
    let schema = "{ type: object, required: [id, name], properties: { id: { type: integer }, name: { type: string }, tags: { type: array, items: { type: string } } } }";
    let of = |shape: &str| answer("3.0.3", schema, shape, "");
    assert_eq!(
        of(r#"{"":"object","/id":"integer","/name":"string","/tags":"array","/tags/*":"string"}"#),
        ""
    );
    assert_eq!(
        of(r#"{"":"object","/id":"string","/more":"integer","/tags":"array","/tags/*":"integer"}"#),
        "undocumented-field /more\nmissing-required /name\nwrong-type /id\nwrong-type /tags/*\n"
    );
    // Not seen whole: nothing is missing.
    assert_eq!(of(r#"{"":"object open","/id":"integer"}"#), "");
    // Some had it, some had not.
    assert_eq!(
        of(r#"{"":"object","/id":"integer","/name":"string optional"}"#),
        "missing-required /name\n"
    );
    // Of two types only one is documented.
    assert_eq!(
        of(r#"{"":"object","/id":"integer","/name":"null|string"}"#),
        "wrong-type /name\n"
    );
    // Keys that are data are no names.
    assert_eq!(of(r#"{"":"object","/*":"object","/*/a":"integer"}"#), "");
}

#[test]
fn what_a_document_leaves_open_is_open() {
    let more = r#"{"":"object","/id":"integer","/more":"integer"}"#;
    for schema in [
        "{ type: object }",
        "{}",
        "{ type: object, properties: { id: {} }, additionalProperties: true }",
        "{ type: object, properties: { id: {} }, additionalProperties: { type: integer } }",
        "{ type: object, properties: { id: {} }, patternProperties: { '^m': {} } }",
        "{ type: object, discriminator: { propertyName: id }, properties: { id: {} } }",
        "{ $ref: '#/components/schemas/Nowhere' }",
        "{ oneOf: [{ properties: { id: {} } }, { type: object, additionalProperties: true }] }",
    ] {
        assert_eq!(answer("3.0.3", schema, more, ""), "", "{schema}");
    }
    for schema in [
        "{ type: object, properties: { id: {} }, additionalProperties: false }",
        "{ type: object, properties: { id: {} } }",
        "{ allOf: [{ properties: { id: {} } }, { properties: { other: {} } }] }",
    ] {
        assert_eq!(
            answer("3.0.3", schema, more, ""),
            "undocumented-field /more\n",
            "{schema}"
        );
    }
    let typed = "{ type: object, additionalProperties: { type: string } }";
    assert_eq!(
        answer("3.0.3", typed, more, ""),
        "wrong-type /id\nwrong-type /more\n"
    );
}

#[test]
fn combinations_and_circles() {
    let rest = "components: { schemas: { Base: { type: object, required: [id], properties: { id: { type: integer } } }, Tree: { allOf: [{ $ref: '#/components/schemas/Base' }, { properties: { kids: { type: array, items: { $ref: '#/components/schemas/Tree' } } } }] }, Self: { allOf: [{ $ref: '#/components/schemas/Self' }], properties: { a: {} } } } }\n";
    let tree = "{ $ref: '#/components/schemas/Tree' }";
    let shape = r#"{"":"object","/id":"integer","/kids":"array","/kids/*":"object","/kids/*/id":"string","/kids/*/kids":"array","/kids/*/kids/*":"object","/kids/*/kids/*/odd":"integer"}"#;
    assert_eq!(
        answer("3.0.3", tree, shape, rest),
        "undocumented-field /kids/*/kids/*/odd\nmissing-required /kids/*/kids/*/id\nwrong-type /kids/*/id\n"
    );
    assert_eq!(
        answer(
            "3.0.3",
            "{ $ref: '#/components/schemas/Self' }",
            r#"{"":"object","/b":"integer"}"#,
            rest
        ),
        ""
    );
    let either = "{ oneOf: [{ type: object, required: [a, c], properties: { a: { type: string }, c: {} } }, { type: object, required: [b, c], properties: { b: {}, c: {}, a: { type: integer } } }] }";
    let of = |shape: &str| answer("3.1.0", either, shape, "");
    assert_eq!(of(r#"{"":"object","/a":"integer|string","/c":"null"}"#), "");
    assert_eq!(
        of(r#"{"":"object","/a":"boolean","/c":"null"}"#),
        "wrong-type /a\n"
    );
    assert_eq!(
        of(r#"{"":"object","/b":"null","/d":"null"}"#),
        "undocumented-field /d\nmissing-required /c\n"
    );
}

#[test]
fn dialects_say_null_and_direction_each_in_their_way() {
    let null = r#"{"":"object","/a":"null"}"#;
    let of = |version: &str, a: &str| {
        answer(
            version,
            &format!("{{ type: object, properties: {{ a: {a} }} }}"),
            null,
            "components: { schemas: { A: { type: string } } }\n",
        )
    };
    assert_eq!(of("3.0.3", "{ type: string }"), "wrong-type /a\n");
    assert_eq!(of("3.0.3", "{ type: string, nullable: true }"), "");
    assert_eq!(
        of(
            "3.0.3",
            "{ allOf: [{ $ref: '#/components/schemas/A' }], nullable: true }"
        ),
        ""
    );
    assert_eq!(of("3.1.0", "{ type: [string, 'null'] }"), "");
    assert_eq!(of("3.1.0", "{ type: string, const: x }"), "wrong-type /a\n");
    assert_eq!(
        of(
            "3.1.0",
            "{ anyOf: [{ $ref: '#/components/schemas/A' }, { type: 'null' }] }"
        ),
        ""
    );
    let schema = "{ type: object, required: [id, secret, name], properties: { id: { type: integer, readOnly: true }, secret: { type: string, writeOnly: true }, name: { type: string, minLength: 100, pattern: x, enum: [a] } } }";
    let body = format!("{{ content: {{ application/json: {{ schema: {schema} }} }} }}");
    let operation = format!("{{ requestBody: {body}, responses: {{ '200': {body} }} }}");
    let line = r#""status":200,"request_content_type":"application/json","content_type":"application/json","request_shape":{"":"object","/name":"string","/secret":"string"},"response_shape":{"":"object","/name":"string","/id":"integer"}"#;
    assert_eq!(judged(&document("3.0.3", &operation, ""), line), "");
    let line = r#""status":200,"request_content_type":"application/json","content_type":"application/json","request_shape":{"":"object","/name":"string","/id":"integer"},"response_shape":{"":"object","/name":"string","/secret":"string"}"#;
    assert_eq!(
        judged(&document("3.0.3", &operation, ""), line),
        "missing-required /secret\nmissing-required /id\n"
    );
}

#[test]
fn openapi_2_has_bodies_and_forms_as_parameters() {
    let operation = "{ consumes: [application/json], produces: [application/json], parameters: [{ name: q, in: query, type: integer, required: true }, { name: body, in: body, schema: { type: object, required: [a], properties: { a: { type: integer, x-nullable: true } } } }], responses: { '200': { description: ok, schema: { type: file } } } }";
    let of = |line: &str| judged(&document("2.0", operation, ""), line);
    let json = r#""status":200,"request_content_type":"application/json","content_type":"application/json","response_shape":{"":"object","/z":"null"}"#;
    assert_eq!(
        of(&format!(
            r#"{json},"query_shape":{{"":"object","/q":"integer"}},"request_shape":{{"":"object","/a":"null|integer"}}"#
        )),
        ""
    );
    assert_eq!(
        of(&format!(
            r#"{json},"query_shape":{{"":"object","/q":"string","/debug":"boolean"}},"request_shape":{{"":"object","/b":"null"}}"#
        )),
        "undocumented-field /b\nmissing-required /a\nwrong-type q\nundocumented-parameter debug\n"
    );
    let form = "{ parameters: [{ name: user, in: formData, type: string, required: true }, { name: age, in: formData, type: integer }, { name: tags, in: formData, type: array, items: { type: string } }], responses: { '200': { description: ok } } }";
    let of = |shape: &str| {
        let line = format!(
            r#""status":200,"request_content_type":"application/x-www-form-urlencoded","request_shape":{shape}"#
        );
        judged(&document("2.0", form, ""), &line)
    };
    assert_eq!(
        of(
            r#"{"":"object","/user":"integer","/age":"string empty","/tags[0]":"string","/tags[1]":"integer"}"#
        ),
        ""
    );
    assert_eq!(
        of(r#"{"":"object","/age":"string","/root":"string"}"#),
        "undocumented-field /root\nmissing-required /user\nwrong-type /age\n"
    );
}

#[test]
fn formats_that_can_be_told_apart() {
    let of = |format: &str, seen: &str| {
        let schema = format!(
            "{{ type: object, properties: {{ a: {{ type: string, format: {format} }} }} }}"
        );
        answer(
            "3.0.3",
            &schema,
            &format!(r#"{{"":"object","/a":"string {seen}"}}"#),
            "",
        )
    };
    assert_eq!(of("uuid", "uuid"), "");
    assert_eq!(of("uuid", ""), "", "plain text may be anything");
    assert_eq!(of("uuid", "secret"), "");
    assert_eq!(of("password", "uuid"), "");
    assert_eq!(of("date", "date-time"), "wrong-type /a\n");
    assert_eq!(of("uuid", "email"), "wrong-type /a\n");
}

#[test]
fn statuses_and_content_types() {
    let operation = "{ responses: { '200': { content: { application/json: {}, text/*: {} } }, '4XX': { description: no }, '204': { description: none } } }";
    let of = |line: &str| judged(&document("3.0.3", operation, ""), line);
    assert_eq!(
        of(r#""status":200,"content_type":"application/json","response_bytes":5"#),
        ""
    );
    assert_eq!(
        of(r#""status":200,"content_type":"text/csv","response_bytes":5"#),
        ""
    );
    assert_eq!(
        of(r#""status":200,"content_type":"application/xml","response_bytes":5"#),
        "undocumented-content-type application/xml\n"
    );
    assert_eq!(
        of(r#""status":200,"content_type":"application/xml","response_bytes":0"#),
        ""
    );
    assert_eq!(
        of(r#""status":418,"content_type":"text/html","response_bytes":5"#),
        ""
    );
    assert_eq!(of(r#""status":201"#), "undocumented-status 201\n");
    assert_eq!(
        of(r#""status":502"#),
        "",
        "what stands before it answers so"
    );
    assert_eq!(of(r#""status":304"#), "");
    let any = "{ responses: { default: { description: all } } }";
    assert_eq!(judged(&document("3.0.3", any, ""), r#""status":500"#), "");
    // A body where none is documented, and a refused one.
    let line = r#""status":200,"request_content_type":"application/json","request_bytes":4"#;
    assert_eq!(of(line), "undocumented-content-type application/json\n");
    assert_eq!(of(&line.replace("200", "415")), "");
}

#[test]
fn parameters_of_query_and_head() {
    let operation = "{ parameters: [{ name: page, in: query, schema: { type: integer } }, { name: filter, in: query, style: deepObject, schema: { type: object } }, { name: X-Tenant, in: header, required: true, schema: { type: string } }], responses: { default: { description: all } } }";
    let of = |line: &str| judged(&document("3.0.3", operation, ""), line);
    let tenant = r#""request_headers":["traceparent","x-tenant"]"#;
    assert_eq!(
        of(&format!(
            r#""status":200,"query_shape":{{"":"object","/page":"integer","/filter[a]":"string"}},{tenant}"#
        )),
        ""
    );
    assert_eq!(
        of(r#""status":200,"query_shape":{"":"object"},"request_headers":["x-debug"]"#),
        "undocumented-parameter x-debug\nmissing-parameter x-tenant\n"
    );
    assert_eq!(
        of(&format!(
            r#""status":200,"query_shape":{{"":"object","/page":"string","/admin":"boolean"}},{tenant}"#
        )),
        "wrong-type page\nundocumented-parameter admin\n"
    );
    // Refused, or a half of it was lost.
    assert_eq!(
        of(r#""status":400,"query_shape":{"":"object","/admin":"boolean"}"#),
        ""
    );
    assert_eq!(
        of(r#""status":200,"query_shape":{"":"object"},"partial":["truncated"]"#),
        ""
    );
    let spread = "{ parameters: [{ name: p, in: query, schema: { type: object } }], responses: { default: { description: all } } }";
    assert_eq!(
        judged(
            &document("3.0.3", spread, ""),
            r#""status":200,"query_shape":{"":"object","/any":"string"}"#
        ),
        ""
    );
}

#[test]
fn ways_of_authentication() {
    let rest = "components: { securitySchemes: { b: { type: http, scheme: bearer }, k: { type: apiKey, in: header, name: X-Key }, m: { type: mutualTLS } } }\n";
    let of = |security: &str, auth: &str| {
        let security = if security.is_empty() {
            String::new()
        } else {
            format!("security: {security}, ")
        };
        let operation = format!("{{ {security}responses: {{ default: {{ description: all }} }} }}");
        let auth = if auth.is_empty() {
            String::new()
        } else {
            format!(r#","auth":"{auth}""#)
        };
        judged(
            &document("3.0.3", &operation, rest),
            &format!(r#""status":200{auth}"#),
        )
    };
    assert_eq!(of("[{ b: [] }]", "bearer"), "");
    assert_eq!(of("[{ b: [] }]", "jwt"), "");
    assert_eq!(of("[{ b: [] }]", "basic"), "undocumented-auth basic\n");
    assert_eq!(of("[{ b: [] }]", ""), "undocumented-auth none\n");
    assert_eq!(of("[{ b: [] }, {}]", ""), "");
    assert_eq!(
        of("[{ k: [] }]", ""),
        "",
        "the key's header is not known to all sensors"
    );
    assert_eq!(of("[{ k: [] }]", "bearer"), "undocumented-auth bearer\n");
    assert_eq!(of("[{ m: [] }]", ""), "");
    assert_eq!(of("[]", "bearer"), "", "public by its document");
    assert_eq!(of("", "bearer"), "undocumented-auth bearer\n");
    assert_eq!(of("", "cookie"), "");
}

#[test]
fn what_is_kept_is_bounded() {
    let schema = "{ type: object, properties: { id: { type: integer } } }";
    let fields: Vec<String> = (0..200).map(|n| format!(r#""/f{n}":"integer""#)).collect();
    let shape = format!(r#"{{"":"object",{}}}"#, fields.join(","));
    let found = answer("3.0.3", schema, &shape, "");
    assert_eq!(found.lines().count(), MAX_DEVIATIONS);
    // As many parts as there may be, and a part for the rest.
    let mut properties = String::new();
    for n in 0..5_000 {
        let _ = write!(
            properties,
            "p{n}: {{ type: object, properties: {{ q: {{ type: integer }} }} }}, "
        );
    }
    let schema = format!("{{ type: object, properties: {{ {properties} z: {{}} }} }}");
    let line =
        r#"{"":"object","/p0":"object","/p0/q":"string","/p4999":"object","/p4999/q":"string"}"#;
    let found = answer("3.0.3", &schema, line, "");
    assert_eq!(
        found, "",
        "parts past the bound allow everything, those before them are not reached"
    );
}

#[test]
fn alternatives_of_alternatives_end() {
    let mut schemas = String::new();
    for n in 0..20 {
        let next = format!("{{ $ref: '#/components/schemas/S{}' }}, ", n + 1);
        let _ = write!(schemas, "S{n}: {{ anyOf: [{}] }}, ", next.repeat(8));
    }
    let rest = format!("components: {{ schemas: {{ {schemas} S20: {{ type: integer }} }} }}\n");
    let shape = r#"{"":"object","/a":"integer"}"#;
    assert_eq!(
        answer("3.0.3", "{ $ref: '#/components/schemas/S0' }", shape, &rest),
        "",
        "what is past the bound allows everything"
    );
    // More alternatives than are looked at: the last may be meant.
    let many: String = (0..100)
        .map(|n| format!("{{ type: object, properties: {{ p{n}: {{}} }} }}, "))
        .collect();
    let of = |shape: &str| answer("3.0.3", &format!("{{ oneOf: [{many}] }}"), shape, "");
    assert_eq!(of(r#"{"":"object","/p99":"integer"}"#), "");
}

#[test]
fn a_document_that_changed_judges_anew() {
    let text = document("3.0.3", "{ responses: { '200': { description: ok } } }", "");
    let specs = SpecSet::new(vec![parse("t.yaml", &text).unwrap()]);
    let found = specs.find("h", "POST", &["x"]).unwrap().ok().unwrap();
    let (id, operation) = found.operation.unwrap();
    let digest = found.spec.digest_of(operation);
    let x = parse_line(br#"{"v":1,"ts":1,"method":"POST","host":"h","path":"/x","status":201}"#)
        .unwrap();
    let mut drift = Drift::default();
    drift.set(Some((id, digest)));
    drift.take(&x, &specs, &mut Contracts::default(), true);
    assert_eq!(drift.news().len(), 1);
    assert_eq!(drift.news().len(), 0, "told once");
    let saved = postcard::to_stdvec(&drift).unwrap();
    let mut back: Drift = postcard::from_bytes(&saved).unwrap();
    back.set(Some((id, digest)));
    assert_eq!(
        (back.len(), back.news().len()),
        (1, 0),
        "a restart forgets nothing"
    );
    back.set(Some((id, digest + 1)));
    assert_eq!(back.len(), 0);
    let _: Value = serde_json::to_value(drift.view()).unwrap();
}
