use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::exchange::Field;

fn observer() -> Observer {
    Observer::new(&[7; 32], true)
}

fn shape(media_type: &str, content: &[u8], whole: bool) -> Option<Shape> {
    observer().shape(Direction::Both, media_type, content, whole)
}

/// `pointer words`, a line a field, as the record has it.
fn lines(shape: &Shape) -> Vec<String> {
    let mut x = Exchange::at(crate::time::Timestamp(0));
    x.shapes = Some(Box::new(crate::exchange::Shapes {
        request: Some(shape.clone()),
        ..Default::default()
    }));
    let mut line = Vec::new();
    crate::exchange::write_line(&x, &mut line);
    let line: Value = serde_json::from_slice(&line).unwrap();
    let fields = line["request_shape"].as_object().unwrap();
    fields
        .iter()
        .map(|(pointer, words)| format!("{pointer} {}", without_texture(words.as_str().unwrap())))
        .collect()
}

/// Textures have a test of their own.
fn without_texture(words: &str) -> String {
    let kept = words.split(' ').filter(|w| !w.starts_with("made:"));
    kept.collect::<Vec<_>>().join(" ")
}

fn of(text: &str) -> Vec<String> {
    lines(&shape("application/json", text.as_bytes(), true).unwrap())
}

#[test]
fn json_types_formats_and_nesting() {
    let text = r#"{"id":42,"ratio":1.5,"ok":true,"none":null,"mail":"ann@example.org",
        "at":"2026-11-26T16:00:00Z","day":"2026-11-26","key":"6fa459ea-ee8a-3ca4-894e-db77e160355e",
        "home":"https:\/\/example.org\/ann","ip":"192.0.2.1","six":"2001:db8::1","free":"two words",
        "items":[{"sku":"A 1","n":1},{"sku":"B 2","n":null,"gift":true}],"tags":["x y",7],"empty":{}}"#;
    let expected = [
        " object",
        "/id integer",
        "/ratio number",
        "/ok boolean",
        "/none null",
        "/mail string email pii:email",
        "/at string date-time",
        "/day string date",
        "/key string uuid",
        "/home string uri",
        "/ip string ipv4",
        "/six string ipv6",
        "/free string",
        "/items array",
        "/items/* object",
        "/items/*/sku string",
        "/items/*/n null|integer",
        "/items/*/gift boolean optional",
        "/tags array",
        "/tags/* integer|string",
        "/empty object",
    ];
    assert_eq!(of(text), expected);
    assert_eq!(of("[1,2]"), [" array", "/* integer"]);
    assert_eq!(of("\"x y\""), [" string"]);
    // Lines, as NDJSON has them, are as many of the same.
    let lines = of("{\"a\":1}\n{\"a\":\"x y\",\"b\":1}\n");
    assert_eq!(
        lines,
        [" object", "/a integer|string", "/b integer optional"]
    );
    for none in ["", "  ", "{]", "nonsense", "{\"a\":01}", "{\"a\" 1}"] {
        assert_eq!(
            shape("application/json", none.as_bytes(), true),
            None,
            "{none}"
        );
    }
    assert_eq!(shape("text/plain", b"{}", true), None);
}

#[test]
fn codes_are_told_by_hash_and_named_where_the_name_says_so() {
    let text = |a: &str, b: &str| {
        let lines = of(&json!({ "status": a, "first": b }).to_string());
        (lines[1].clone(), lines[2].clone())
    };
    let (status, first) = text("PENDING", "Alice");
    assert!(status.ends_with("=PENDING") && first.contains(" words:"));
    assert!(!first.contains("Alice") && !first.contains('='), "{first}");
    assert_eq!(text("PENDING", "Alice"), (status, first));
    for free in [
        "hunter22x999",
        "ann@example.org",
        "two words",
        "12345",
        "A-1234-56",
    ] {
        let (status, _) = text(free, "");
        assert!(!status.contains("words"), "{status}");
    }
    let many: Vec<Value> = "abcdefghi"
        .chars()
        .map(|c| json!({ "state": c.to_string() }))
        .collect();
    assert_eq!(of(&json!(many).to_string())[2], "/*/state string");
    assert!(of(&json!(many[..8]).to_string())[2].contains("words:"));
    let mixed = json!([{ "state": "A" }, { "state": "not one" }]);
    assert_eq!(of(&mixed.to_string())[2], "/*/state string");
}

#[test]
fn only_fields_of_codes_show_them() {
    let shown = |name: &str, word: &str| of(&json!({ name: word }).to_string())[1].contains('=');
    for name in [
        "status",
        "orderType",
        "CARD_TYPE",
        "currency_code",
        "countryCode",
        "x-mode",
    ] {
        assert!(shown(name, "ABC"), "{name}");
    }
    for name in [
        "code",
        "promo_code",
        "first_name",
        "password",
        "reason",
        "typed",
        "e",
    ] {
        assert!(!shown(name, "ABC"), "{name}");
    }
    assert!(shown("status", "inProgress") && !shown("state", "SplxlOBeZQQYbYS"));
}

#[test]
fn keys_that_are_data_are_no_names() {
    let keys = [
        "ann@example.org",
        "6fa459ea-ee8a-3ca4-894e-db77e160355e",
        "1234",
        "a1b2c3d4e5f6",
        "user_10042",
        "two words",
        "AKIAIOSFODNN7EXAMPLE",
        "José",
        "",
    ];
    for key in keys {
        let text = json!({ "by": { key: { "n": 1 } } }).to_string();
        assert_eq!(of(&text)[2..], ["/by/* object", "/by/*/n integer"], "{key}");
    }
    for key in [
        "sha256",
        "address_line_2",
        "$ref",
        "@type",
        "x-id",
        "a.b",
        "x509_v3",
        "Id",
    ] {
        let text = json!({ key: 1 }).to_string();
        assert_eq!(of(&text)[1], format!("/{key} integer"));
    }
    assert_eq!(of(r#"{"a/b~c":1}"#)[1], "/* integer");
    // Names of people are alike in what stands behind them.
    let people = json!({ "ann": {"n": 1}, "bob": {"n": 2}, "carl": {"n": 3}, "dora": {"n": 4} });
    let alike = ["/* object", "/*/n integer"];
    assert_eq!(of(&people.to_string())[1..], alike);
    let two = json!({ "billing": {"zip": 1}, "shipping": {"zip": 2} });
    assert_eq!(of(&two.to_string()).len(), 5);
}

#[test]
fn bounded_in_depth_and_width() {
    let deep = "[".repeat(5_000) + &"]".repeat(5_000);
    let lines = of(&deep);
    assert_eq!(lines.len(), 9);
    assert_eq!(lines.last().unwrap(), "/*/*/*/*/*/*/*/* array open");
    let letters = |n: usize| {
        let letter = |d: usize| char::from(b'a' + (n / 26_usize.pow(d as u32) % 26) as u8);
        [letter(2), letter(1), letter(0)].iter().collect::<String>()
    };
    let wide = |each: usize, n: usize| -> Value {
        let inner = |i: usize| {
            (0..each)
                .map(|k| (letters(i + k), json!(k)))
                .collect::<Value>()
        };
        (0..n).map(|i| (letters(i), inner(i))).collect()
    };
    let shape = shape(
        "application/json",
        wide(9, 100).to_string().as_bytes(),
        true,
    )
    .unwrap();
    assert_eq!(shape.0.len(), crate::exchange::MAX_FIELDS);
    assert!(shape.0[0].open, "some of its fields were left out");
    let map = (0..500)
        .map(|i| (letters(i), json!("x y")))
        .collect::<Value>();
    assert_eq!(of(&map.to_string())[1..], ["/* string"]);
}

#[test]
fn what_is_cut_is_said_of_less() {
    let text =
        r#" {"id":12,"mail":"a@b.example","list":[{"n":1.5,"t":null},{"n":2,"t":true}],"z":{}} "#;
    let whole = shape("application/json", text.as_bytes(), true).unwrap();
    for cut in 0..text.len() {
        let Some(part) = shape("application/json", &text.as_bytes()[..cut], false) else {
            assert!(cut < 2);
            continue;
        };
        assert_eq!(part.0[0].open, cut < text.len() - 1, "{cut}");
        for field in &part.0 {
            let known = whole.0.iter().find(|f| f.pointer == field.pointer).unwrap();
            assert_eq!(
                known.types.0 | field.types.0,
                known.types.0,
                "{cut} {field:?}"
            );
            assert!(!field.optional, "{cut} {field:?}");
        }
    }
}

#[test]
fn forms_and_queries() {
    let form = b"name=Ann+B&age=41&ok=true&tag=x+y&tag=z+z&items%5B0%5D%5Bid%5D=7&t=2026-11-26";
    let kind = "application/x-www-form-urlencoded";
    let expected = [
        " object",
        "/name string",
        "/age integer",
        "/ok boolean",
        "/tag string repeated",
        "/items[*][id] integer",
        "/t string date",
    ];
    assert_eq!(lines(&shape(kind, form, true).unwrap()), expected);
    for cut in 0..form.len() {
        if let Some(part) = shape(kind, &form[..cut], false) {
            let known: Vec<_> = part.0.iter().map(|f| f.pointer.as_str()).collect();
            assert!(part.0[0].open);
            assert!(
                known
                    .iter()
                    .skip(1)
                    .all(|p| expected.iter().any(|e| e.starts_with(p)))
            );
        }
    }
    assert_eq!(observer().query_shape(None), Shape::default());
    let query = observer().query_shape(Some("page=2&token={secret:jwt:1f3a}&zip=01234"));
    let expected = [
        " object",
        "/page integer",
        "/token string secret secret:jwt",
        "/zip string digits pii:address",
    ];
    assert_eq!(lines(&query), expected);
}

#[test]
fn parts_of_a_form() {
    let body = b"--b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nx\r\n--b\r\n\
        Content-Disposition: form-data; name=\"f\"; filename=\"a.png\"\r\n\r\nxx\r\n--b--\r\n";
    let shape = shape("multipart/form-data", body, true).unwrap();
    assert_eq!(lines(&shape), [" object", "/title string", "/f binary"]);
}

/// The examples of the encoding's own page.
#[test]
fn messages_of_protocol_buffers() {
    let kind = "application/x-protobuf";
    let of = |bytes: &[u8]| lines(&shape(kind, bytes, true).unwrap());
    assert_eq!(of(b"\x08\x96\x01"), [" object", "/1 varint"]);
    assert!(of(b"\x12\x07testing")[1].starts_with("/2 string|len words:"));
    let nested = of(b"\x1a\x03\x08\x96\x01");
    assert_eq!(nested, [" object", "/3 object|len", "/3/1 varint"]);
    // Packed: 3, 270, 86942.
    assert_eq!(of(b"\x32\x06\x03\x8e\x02\x9e\xa7\x05")[1], "/6 binary|len");
    let repeated = of(b"\x22\x05hello\x28\x01\x28\x02\x28\x03");
    assert_eq!(repeated[2], "/5 varint repeated");
    let fixed = of(b"\x09\0\0\0\0\0\0\0\0\x15\0\0\0\0\x1a\0");
    assert_eq!(fixed[1..], ["/1 i64", "/2 i32", "/3 len"]);
    let group = of(b"\x0b\x10\x01\x0c\x10\x02");
    assert_eq!(group[1..], ["/1 group", "/1/2 varint", "/2 varint"]);
    for none in [
        &b"\x0c"[..],
        b"\x00",
        b"\x08",
        b"\x0a\x05abc",
        b"\x0f",
        b"\x0b\x10\x01",
    ] {
        assert_eq!(shape(kind, none, true), None, "{none:x?}");
    }
    // As many fields as it likes are no map.
    let wide: Vec<u8> = (1..16).flat_map(|n| [n << 3, 1]).collect();
    assert_eq!(
        of(&[&wide[..], b"\x80\x01\x01\x88\x01\x01"].concat()).len(),
        18
    );
}

#[test]
fn a_message_cut_anywhere() {
    let bytes = b"\x08\x96\x01\x12\x07testing\x1a\x03\x08\x96\x01\x25\0\0\0\0\x29\0\0\0\0\0\0\0\0";
    let whole = shape("application/protobuf", bytes, true).unwrap();
    for cut in 0..bytes.len() {
        let part = shape("application/protobuf", &bytes[..cut], false).unwrap();
        assert!(part.0[0].open);
        for (a, b) in part.0.iter().zip(&whole.0).skip(1) {
            assert_eq!((&a.pointer, a.types), (&b.pointer, b.types), "{cut}");
        }
    }
}

#[test]
fn frames_of_calls() {
    let frame = |flags: u8, message: &[u8]| {
        [&[flags][..], &(message.len() as u32).to_be_bytes(), message].concat()
    };
    let stream = [
        frame(0, b"\x08\x01"),
        frame(1, b"\x1f\x8b\x08"),
        frame(0, b"\x08\x01\x12\x02hi"),
        frame(0x80, b"grpc-status: 0\r\n"),
    ]
    .concat();
    let grpc = shape("application/grpc", &stream, true).unwrap();
    let expected = [" object", "/1 varint"];
    assert_eq!(lines(&grpc)[..2], expected);
    assert!(lines(&grpc)[2].starts_with("/2 string|len optional"));
    for cut in 0..stream.len() {
        let part = shape("application/grpc+proto", &stream[..cut], false);
        assert_eq!(part.is_some(), cut >= 7, "{cut}");
    }
    let json = shape("application/connect+json", &frame(0, b"{\"a\":1}"), true).unwrap();
    assert_eq!(lines(&json), [" object", "/a integer"]);
    assert_eq!(
        shape("application/grpc", &frame(1, b"\x08\x01"), true),
        None
    );
}

#[test]
fn names_of_headers() {
    for name in [
        "X-Tenant",
        "x-request-id",
        "Idempotency-Key",
        "stripe-version",
    ] {
        assert_eq!(header_name(name.as_bytes()).unwrap(), name.to_lowercase());
    }
    for name in [
        "Accept",
        "User-Agent",
        ":method",
        "Sec-Fetch-Mode",
        "X-Forwarded-For",
        "Date",
        "via",
        "x-1234567",
        "accept-charset",
        "warning",
        "",
        "x y",
    ] {
        assert_eq!(header_name(name.as_bytes()), None, "{name}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[\\\\\"\\u{8}/\u{1F600}]{1,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-e]{1,2}", inner, 0..4)
                .prop_map(|m| m.into_iter().collect::<Value>()),
        ]
    })
}

/// What serde_json reads: types by pointer, and how often each stands in how many objects.
fn oracle(value: &Value, at: &str, out: &mut BTreeMap<String, Types>) {
    let types = match value {
        Value::Null => Types::NULL,
        Value::Bool(_) => Types::BOOLEAN,
        Value::Number(n) if n.is_f64() => Types::NUMBER,
        Value::Number(_) => Types::INTEGER,
        Value::String(_) => Types::STRING,
        Value::Array(_) => Types::ARRAY,
        Value::Object(_) => Types::OBJECT,
    };
    *out.entry(at.to_owned()).or_default() |= types;
    match value {
        Value::Array(items) => items
            .iter()
            .for_each(|v| oracle(v, &format!("{at}/*"), out)),
        Value::Object(map) => map
            .iter()
            .for_each(|(k, v)| oracle(v, &format!("{at}/{k}"), out)),
        _ => {}
    }
}

fn all(fields: &[Field]) -> BTreeMap<String, Types> {
    fields
        .iter()
        .map(|f| (f.pointer.to_string(), f.types))
        .collect()
}

proptest! {
    #[test]
    fn types_are_what_serde_json_reads(value in any_json(), pretty: bool) {
        let text = if pretty {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            value.to_string()
        };
        let found = shape("application/json", text.as_bytes(), true).unwrap();
        let mut expected = BTreeMap::new();
        oracle(&value, "", &mut expected);
        prop_assert_eq!(all(&found.0), expected, "{}", text);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), whole: bool) {
        for kind in [
            "application/json", "application/x-www-form-urlencoded", "multipart/form-data",
            "application/protobuf", "application/grpc", "application/connect+json",
        ] {
            if let Some(shape) = shape(kind, &bytes, whole) {
                let round = lines(&shape);
                prop_assert_eq!(round.len(), shape.0.len());
            }
        }
    }

    #[test]
    fn json_like_bytes_are_survived(text in "[\\[\\]{}:,\"a1.\\\\ -]{0,80}", whole: bool) {
        let _ = shape("application/json", text.as_bytes(), whole);
    }
}

#[test]
fn texts_of_a_session_are_one_shape_each_way() {
    let mut x = Exchange::at(crate::time::Timestamp(0));
    let observer = observer();
    let mut text = |from_client, content: &str| {
        observer.look_at_text(&mut x, from_client, content.as_bytes(), true);
    };
    text(true, r#"{"op":"join","to":{"room":7}}"#);
    text(true, r#"{"op":"say","to":{"room":7,"mail":"a@b.example"}}"#);
    text(true, "no JSON");
    text(false, r#"{"n":1}"#);
    let shapes = x.shapes.unwrap();
    let request = shapes.request.unwrap();
    let fields: Vec<_> = request
        .0
        .iter()
        .map(|f| (&*f.pointer, f.types.names().next().unwrap(), f.optional))
        .collect();
    assert_eq!(
        fields,
        [
            ("", "object", false),
            ("/op", "string", false),
            ("/to", "object", false),
            ("/to/mail", "string", true),
            ("/to/room", "integer", false),
        ]
    );
    assert_eq!(shapes.response.unwrap().0[1].pointer, "/n");
}

#[test]
fn a_persons_own_classes_are_told_by_field_value_and_direction() {
    use crate::observe::custom::{Rule, Rules};
    let rule = |class: &str, field: Option<&str>, value: Option<&str>, direction| Rule {
        class: class.into(),
        field: field.map(Into::into),
        value: value.map(Into::into),
        direction,
    };
    let rules = Rules::compile(&[
        rule("employee", Some("^emp"), Some(r"^E-\d+$"), Direction::Both),
        rule("case", None, Some(r"^CASE-\d+$"), Direction::Both),
        rule("state", Some("^state$"), None, Direction::Response),
    ]);
    let observer = observer().with_rules(rules.unwrap().into());
    let classes = |direction, media_type: &str, content: &[u8]| {
        let shape = observer
            .shape(direction, media_type, content, true)
            .unwrap();
        let fields = shape.0.iter().filter(|f| !f.custom.is_empty());
        let words = fields.map(|f| {
            assert!(f.words.iter().all(|w| w.text.is_none()), "{f:?}");
            format!("{} {}", f.pointer, f.custom.join(","))
        });
        words.collect::<Vec<_>>().join("; ")
    };
    let body = br#"{"emps":["E-1","x"],"other":"E-2","n":{"id":"CASE-7"},"state":"OPEN","k":"\u0043ASE-8"}"#;
    let both = "/emps/* employee; /n/id case; /k case";
    assert_eq!(classes(Direction::Request, "application/json", body), both);
    let answer = classes(Direction::Response, "application/json", body);
    let answer_too = both.replace("; /k", "; /state state; /k");
    assert_eq!(answer, answer_too);
    let form = classes(
        Direction::Request,
        "application/x-www-form-urlencoded",
        b"emp=E-5&a=CASE-1&b=2",
    );
    assert_eq!(form, "/emp employee; /a case");
    let message = [&[0x0a, 6][..], b"CASE-9"].concat();
    let seen = classes(Direction::Request, "application/protobuf", &message);
    assert!(seen.ends_with("case"), "{seen}");
}
