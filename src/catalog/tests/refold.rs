//! Specs that come after traffic.

use super::*;

const LATE: &str = "
openapi: 3.0.3
info: { title: Late, version: '1' }
servers: [{ url: 'https://shop.example/' }]
paths:
  /teams/{team}: { get: { operationId: team } }
  /teams/{team}/members/{member}: { get: { operationId: member } }
  /files/{id}.json: { get: { operationId: file } }
  /orders/search: { get: { operationId: search } }
  /orders/{order}: { get: { operationId: order } }
";

#[test]
fn what_was_learnt_is_brought_under_the_specs_templates() {
    let mut b = Bench::new();
    for team in ["red", "blue"] {
        for _ in 0..2 {
            b.get(&format!("/teams/{team}"));
            for member in ["ann", "bob", "17"] {
                b.get(&format!("/teams/{team}/members/{member}"));
            }
        }
    }
    b.get("/files/spring.json");
    b.get("/files/autumn.json");
    b.get("/other/kept");
    let requests: u64 = b.catalog.view().endpoints.iter().map(|e| e.requests).sum();
    b.specs(&[LATE]);
    let labels = b.labels();
    let expected = [
        "/files/{id}.json",
        "/other/kept",
        "/teams/{team}",
        "/teams/{team}/members/{member}",
    ];
    assert_eq!(labels, expected.map(|t| format!("GET shop.example {t}")));
    let view = b.catalog.view();
    assert_eq!(
        view.endpoints.iter().map(|e| e.requests).sum::<u64>(),
        requests
    );
    assert_eq!(
        b.endpoint("/files/{id}.json").operation_id.as_deref(),
        Some("file")
    );
    assert_eq!(
        b.endpoint("/teams/{team}").documentation,
        Documentation::Documented
    );
    // And those to come find their places.
    b.get("/teams/green");
    b.get("/files/winter.json");
    assert_eq!(b.labels().len(), 4);
    assert_eq!(b.endpoint("/files/{id}.json").requests, 3);
    let merged = b
        .changes
        .iter()
        .filter(|c| matches!(c, Change::Merged { .. }));
    assert_eq!(merged.count(), 1 + 5 + 1);
}

#[test]
fn a_word_of_the_spec_leaves_the_parameter_it_was_taken_for() {
    let mut b = Bench::new();
    for n in 0..40 {
        b.get(&format!("/orders/{n}"));
        b.get(&format!("/orders/name{}", char::from(b'a' + n % 26)));
    }
    b.get("/orders/search");
    b.specs(&[LATE]);
    let before = b.labels();
    assert!(
        before.contains(&"GET shop.example /orders/{order}".to_owned()),
        "{before:?}"
    );
    b.get("/orders/search");
    b.get("/orders/search");
    let after = b.labels();
    assert!(
        after.contains(&"GET shop.example /orders/search".to_owned()),
        "{after:?}"
    );
    assert_eq!(
        b.endpoint("/orders/search").operation_id.as_deref(),
        Some("search")
    );
    assert_eq!(
        b.endpoint("/orders/{order}").operation_id.as_deref(),
        Some("order")
    );
}

#[test]
fn an_id_inside_of_a_word_is_an_object() {
    let mut b = Bench::new();
    b.specs(&[LATE]);
    let access = b.get("/files/41.json");
    assert_eq!(access.object.and_then(|o| o.number), Some(41));
    assert_ne!(access.object, b.get("/files/42.json").object);
}
