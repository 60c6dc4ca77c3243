use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::exchange::Shapes;
use crate::observe::Observer;
use crate::observe::custom::Direction;
use crate::time::Timestamp;

fn observer() -> Observer {
    Observer::new(&[7; 32], true)
}

/// An exchange whose response has that body.
fn answers(status: u16, body: &Value) -> Exchange {
    let mut x = Exchange::at(Timestamp(0));
    x.status = Some(status);
    x.content_type = Some("application/json".into());
    x.shapes = Some(Box::new(Shapes {
        response: observer().shape(
            Direction::Response,
            "application/json",
            body.to_string().as_bytes(),
            true,
        ),
        ..Shapes::default()
    }));
    x
}

fn asks(status: u16, query: Option<&str>, body: Option<&Value>, headers: &[&str]) -> Exchange {
    let mut x = Exchange::at(Timestamp(0));
    x.status = Some(status);
    x.request_content_type = body.map(|_| "application/json".into());
    let shape = |b: &Value| {
        observer().shape(
            Direction::Response,
            "application/json",
            b.to_string().as_bytes(),
            true,
        )
    };
    x.shapes = Some(Box::new(Shapes {
        query: Some(observer().query_shape(query)),
        request: body.and_then(shape),
        request_headers: headers.iter().map(|h| (*h).into()).collect(),
        ..Shapes::default()
    }));
    x
}

fn learned<'a>(all: impl IntoIterator<Item = &'a Exchange>) -> Schemas {
    let mut schemas = Schemas::default();
    for (i, x) in all.into_iter().enumerate() {
        schemas.take(x, i as u64 % 5, true);
    }
    schemas
}

fn words(part: &PartView) -> Vec<String> {
    let line = |f: &FieldView| format!("{} {}", f.pointer, f.words());
    part.fields.iter().map(line).collect()
}

#[test]
fn required_is_what_every_whole_object_has() {
    let bodies = [
        json!({ "id": 1, "items": [{ "sku": "a b", "n": 1 }, { "sku": "c d" }], "owner": null }),
        json!({ "id": 2, "items": [], "owner": { "mail": "a@b.example" } }),
        json!({ "id": 2.5, "items": [{ "sku": "e f", "n": 1 }], "owner": null, "note": "x y" }),
    ];
    let all: Vec<_> = bodies.iter().map(|b| answers(200, b)).collect();
    let view = learned(&all).view().unwrap();
    let expected = [
        " object",
        "/id number required",
        "/items array required",
        "/items/* object",
        "/items/*/n integer",
        "/items/*/sku string required",
        "/note string",
        "/owner object nullable required",
        "/owner/mail string email required pii:email",
    ];
    assert_eq!(words(&view.responses["2xx"]), expected);
    assert_eq!(view.responses["2xx"].media_types, ["application/json"]);
    assert_eq!(view.request, None);
}

#[test]
fn each_class_and_direction_is_a_schema_of_its_own() {
    let body = json!({ "n": 1 });
    let mut all = vec![
        asks(201, Some("page=1&size=10"), Some(&body), &["x-tenant"]),
        asks(200, Some("page=2"), Some(&body), &["x-tenant", "x-trace"]),
        // Refused: nothing is learned of what should be sent.
        asks(400, Some("wrong=1"), Some(&json!({ "x": 1 })), &["x-wrong"]),
        answers(200, &json!({ "ok": true })),
        answers(404, &json!({ "error": "x y" })),
    ];
    all[3].shapes.as_mut().unwrap().response_headers = vec!["x-rate".into()];
    let view = learned(&all).view().unwrap();
    let query = view.query.as_ref().unwrap();
    assert_eq!(
        words(query),
        [" object", "/page integer required", "/size integer"]
    );
    let headers = words(view.request_headers.as_ref().unwrap());
    assert_eq!(
        headers[1..],
        ["/x-tenant string required", "/x-trace string"]
    );
    assert_eq!(
        words(view.request.as_ref().unwrap())[1..],
        ["/n integer required"]
    );
    assert_eq!(words(&view.responses["2xx"])[1..], ["/ok boolean required"]);
    assert_eq!(
        words(&view.responses["4xx"])[1..],
        ["/error string required"]
    );
    assert_eq!(
        words(&view.response_headers["2xx"])[1..],
        ["/x-rate string required"]
    );
    // A call without the parameter: it is not required.
    all.push(asks(200, None, None, &[]));
    let view = learned(&all).view().unwrap();
    assert_eq!(words(view.query.as_ref().unwrap())[1], "/page integer");
}

#[test]
fn sensitive_data_is_counted_by_field_and_direction() {
    let card = json!({ "card": { "number": "4111111111111111" }, "phones": ["(415) 555-2671"] });
    let pem =
        json!({ "home": { "lat": 52.5219, "n": 1 }, "pem": "-----BEGIN PRIVATE KEY-----\nM" });
    let all = [
        asks(
            201,
            Some("access_token={secret:value:1f3a}&lat=1"),
            Some(&card),
            &[],
        ),
        answers(200, &pem),
        asks(200, None, Some(&card), &[]),
        answers(404, &pem),
        asks(
            200,
            None,
            Some(&json!({ "card": { "id": "4111111111111111" } })),
            &[],
        ),
    ];
    let line = |s: &SensitiveView| {
        let SensitiveView {
            class,
            direction,
            place,
            pointer,
            count,
        } = s;
        format!("{class} {direction} {place} {pointer} {count}")
    };
    let found = learned(&all).view().unwrap().sensitive();
    let expected = [
        "pii:card request body /card/number 2",
        "pii:geo response body /home/lat 2",
        "pii:phone request body /phones/* 2",
        "secret:private-key response body /pem 2",
        "secret:token request query /access_token 1",
    ];
    assert_eq!(found.iter().map(line).collect::<Vec<_>>(), expected);
    let mut halves = learned(&all[3..]);
    halves.merge(&learned(&all[..3]));
    assert_eq!(halves.view().unwrap().sensitive(), found);
    let whole = serde_json::to_string(&learned(&all).view()).unwrap();
    assert!(!whole.contains("4111") && !whole.contains("555") && !whole.contains("52.5"));
}

#[test]
fn what_was_cut_says_nothing_of_what_is_required() {
    let text = r#"{"a":1,"b":[{"c":1,"d":1},{"c":1,"d":1}],"e":1}"#;
    let mut all = vec![answers(200, &serde_json::from_str(text).unwrap())];
    for cut in 2..text.len() {
        let mut x = answers(200, &json!(null));
        let part = observer().shape(
            Direction::Response,
            "application/json",
            &text.as_bytes()[..cut],
            false,
        );
        x.shapes.as_mut().unwrap().response = part;
        all.push(x);
    }
    let view = learned(&all).view().unwrap();
    let fields = &view.responses["2xx"].fields;
    let optional: Vec<_> = fields.iter().filter(|f| !f.required).collect();
    let pointers: Vec<_> = optional.iter().map(|f| f.pointer.as_str()).collect();
    assert_eq!(pointers, ["", "/b/*"]);
}

#[test]
fn enumerations_are_closed_often_seen_and_said_by_several() {
    let states = ["OPEN", "PAID", "SENT"];
    let people = ["Ann", "Bob"];
    let of = |n: usize, callers: u64| {
        let mut schemas = Schemas::default();
        for i in 0..n {
            let body = json!({ "status": states[i % 3], "first": people[i % 2], "text": "x y" });
            schemas.take(&answers(200, &body), i as u64 / 3 % callers, true);
        }
        let view = schemas.view().unwrap();
        let fields = view.responses["2xx"].fields.clone();
        let members = |p: &str| {
            fields
                .iter()
                .find(|f| f.pointer == p)
                .unwrap()
                .members
                .clone()
        };
        [members("/status"), members("/first"), members("/text")]
    };
    let [status, first, text] = of(60, 6);
    let values = states.map(str::to_owned).to_vec();
    assert_eq!(status, Some(EnumView { members: 3, values }));
    assert_eq!(
        first,
        Some(EnumView {
            members: 2,
            values: vec![]
        }),
        "names of people"
    );
    assert_eq!(text, None);
    assert_eq!(of(9, 6)[0], None, "seen too seldom");
    assert_eq!(
        of(60, 1)[0].as_ref().unwrap().values,
        [""; 0],
        "of one caller alone"
    );
}

#[test]
fn formats_hold_for_nearly_all() {
    let body = |i: u32| match i {
        0 => json!({ "id": "none", "at": "2026-11-26" }),
        _ => json!({ "id": "6fa459ea-ee8a-3ca4-894e-db77e160355e", "at": "2026-11-26T10:00:00Z" }),
    };
    let all: Vec<_> = (0..100).map(|i| answers(200, &body(i))).collect();
    let view = learned(&all).view().unwrap();
    assert_eq!(
        words(&view.responses["2xx"])[1..],
        ["/at string date-time required", "/id string uuid required"]
    );
    let few = learned(&all[..10]).view().unwrap();
    assert_eq!(words(&few.responses["2xx"])[2], "/id string required");
}

#[test]
fn stable_once_nothing_new_is_to_be_expected() {
    let body = |i: u32| json!({ "id": i, "rare": i.is_multiple_of(10).then_some(1) });
    let stable = |n: u32| {
        let all: Vec<_> = (0..n).map(|i| answers(200, &body(i))).collect();
        learned(&all).view().unwrap().responses["2xx"].stable
    };
    assert!(!stable(63) && stable(64));
    let mut all: Vec<_> = (0..100).map(|i| answers(200, &body(i))).collect();
    all.push(answers(200, &json!({ "id": 1, "new": true })));
    assert!(!learned(&all).view().unwrap().responses["2xx"].stable);
}

#[test]
fn the_shallow_stay() {
    let name = |i: usize| {
        format!(
            "{}{}",
            ["a", "b", "c"][i % 3].repeat(i / 3 % 9 + 1),
            ["x", "y"][i % 2].repeat(i / 27 + 1)
        )
    };
    let mut all = vec![answers(200, &json!({ "deep": { "er": { "est": 1 } } }))];
    all.extend((0..400).map(|i| answers(200, &json!({ name(i): 1 }))));
    let schemas = learned(&all);
    let part = schemas.responses.get(&2).unwrap();
    assert_eq!(part.fields.len(), MAX_FIELDS);
    assert!(part.fields.keys().all(|k| k.depth < 2));
    assert_eq!(schemas.len(), MAX_FIELDS + 1);
    // No room at all: what is known goes on.
    let mut full = learned(&all[..1]);
    let before = full.len();
    full.take(&answers(200, &json!({ "deep": 1, "new": 1 })), 0, false);
    assert_eq!(full.len(), before);
    assert_eq!(
        words(&full.view().unwrap().responses["2xx"])[1],
        "/deep integer|object required"
    );
}

#[test]
fn a_line_of_the_inventory_is_compact() {
    #[derive(Serialize)]
    struct Line(#[serde(serialize_with = "compact")] Option<std::sync::Arc<SchemaView>>);
    let view = learned(&[
        answers(200, &json!({ "id": 1 })),
        asks(200, Some("a=1"), None, &[]),
    ]);
    let line = serde_json::to_value(Line(view.view())).unwrap();
    let expected = json!({
        "query": { "samples": 1, "stable": false, "fields": { "": "object", "/a": "integer required" } },
        "responses": { "2xx": { "samples": 1, "stable": false, "fields": { "": "object", "/id": "integer required" } } },
    });
    assert_eq!(line, expected);
}

fn any_exchange() -> impl Strategy<Value = (Exchange, u64)> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<i8>().prop_map(|n| json!(n)),
        "[A-D]{1,2}".prop_map(|s| json!(s)),
        Just(json!("2026-11-26")),
    ];
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        let key = prop_oneof!["[a-c]", "status", "[a-z]{3}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4)
                .prop_map(|m| m.into_iter().collect::<Value>()),
        ]
    });
    let status = prop_oneof![Just(200_u16), Just(201), Just(404)];
    (value, status, any::<bool>(), 0..70_u64).prop_map(|(body, status, asked, caller)| {
        let x = if asked {
            asks(status, Some("a=1"), Some(&body), &["x-a"])
        } else {
            answers(status, &body)
        };
        (x, caller)
    })
}

fn all_of(items: &[(Exchange, u64)]) -> Schemas {
    let mut schemas = Schemas::default();
    items
        .iter()
        .for_each(|(x, caller)| schemas.take(x, *caller, true));
    schemas.viewed();
    schemas
}

/// More fields than are kept.
fn wide(n: usize) -> Vec<(Exchange, u64)> {
    let letter = |i: usize| char::from(b'a' + (i % 26) as u8);
    let one = |i: usize| {
        let name = format!("{}{}", letter(i), letter(i / 26));
        (answers(200, &json!({ name: { "x": i } })), i as u64)
    };
    (0..n).map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn order_changes_nothing_and_halves_add_up(
        mut items in prop::collection::vec(any_exchange(), 0..30),
        at: prop::sample::Index,
        broad: bool,
        seed: u64,
    ) {
        if broad {
            items.extend(wide(300));
        }
        let whole = all_of(&items);
        let split = at.index(items.len() + 1);
        let (mut a, mut b) = (all_of(&items[..split]), all_of(&items[split..]));
        let copy = a.clone();
        a.merge(&b);
        a.viewed();
        prop_assert_eq!(&a, &whole);
        b.merge(&copy);
        b.viewed();
        prop_assert_eq!(&b, &whole);
        items.sort_by_cached_key(|(x, c)| HASH.hash_one(format!("{seed}{c}{:?}", x.shapes)));
        prop_assert_eq!(&all_of(&items), &whole);
        let saved = postcard::to_stdvec(&whole).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<Schemas>(&saved).unwrap(), &whole);
    }
}
