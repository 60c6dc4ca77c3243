use super::*;
use crate::catalog::pins::{Pin, Pinned};

fn nodes(b: &Bench) -> usize {
    b.catalog.sizes().0
}

/// Paths of one run: a million where it is quick.
const PATHS: usize = if cfg!(debug_assertions) {
    40_000
} else {
    1_000_000
};

#[test]
fn a_scanner_adds_nothing() {
    let mut b = Bench::new();
    b.get("/users/1");
    let before = nodes(&b);
    for i in 0..PATHS {
        b.call("GET", "shop.example", &format!("/x{i}/admin/{i}.php"), 404);
    }
    assert_eq!(nodes(&b), before);
    assert_eq!(b.labels().len(), 1);
}

/// A server that answers everything with 200.
#[test]
fn whatever_is_answered_is_bounded() {
    for (what, path) in [
        (
            "a word each",
            (|i| format!("/{}", word(i))) as fn(usize) -> String,
        ),
        ("a sub-path in common", |i| format!("/{}/profile", word(i))),
        ("none in common", |i| {
            format!("/{}/{}/{}", word(i), word(i * 7), word(i * 13))
        }),
        ("at one place below", |i| {
            format!("/api/v1/things/{}", word(i))
        }),
    ] {
        let mut b = Bench::new();
        let mut sizes = Vec::new();
        for i in 0..PATHS {
            b.get(&path(i));
            if i % 1_000 == 0 {
                b.catalog.tick(Timestamp::from_secs(b.now), &mut b.changes);
                b.changes.clear();
            }
            if (i + 1) % (PATHS / 4) == 0 {
                sizes.push((nodes(&b), b.catalog.sizes().1));
            }
        }
        let (first, last) = (sizes[0], sizes[3]);
        assert!(last.0 <= first.0 + first.0 / 2, "{what}: nodes {sizes:?}");
        assert!(
            last.1 <= first.1 + first.1 / 2,
            "{what}: endpoints {sizes:?}"
        );
        assert!(last.0 < 40_000, "{what}: nodes {sizes:?}");
    }
}

#[test]
fn the_budget_of_nodes_holds() {
    let settings = Settings {
        max_nodes: 4_000,
        max_endpoints: 500,
        ..Settings::default()
    };
    let mut b = Bench::with(settings);
    for i in 0..PATHS / 4 {
        b.get(&format!("/{}/{}/{}", word(i), word(i * 7), word(i * 13)));
        if i % 500 == 0 {
            b.catalog.tick(Timestamp::from_secs(b.now), &mut b.changes);
            b.changes.clear();
        }
        assert!(nodes(&b) <= 4_100, "{}", nodes(&b));
        assert!(b.catalog.sizes().1 <= 500);
    }
}

/// A word of letters alone.
fn word(n: usize) -> String {
    let mut n = n.wrapping_mul(2_654_435_761) % 1_000_003;
    let mut out = String::new();
    for _ in 0..4 {
        out.push(char::from(b"bdfgklmnprst"[n % 12]));
        out.push(char::from(b"aeiou"[n % 5]));
        n /= 12;
    }
    format!("{out}{}", char::from(b'a' + (n % 26) as u8))
}

/// Names with sub-paths in common, as users have them.
fn people(b: &mut Bench, n: usize) {
    for i in 0..n {
        for _ in 0..=(i % 3) {
            b.get(&format!("/users/{}", word(i)));
            b.get(&format!("/users/{}/orders", word(i)));
            b.call(
                "PUT",
                "shop.example",
                &format!("/users/{}/avatar", word(i)),
                204,
            );
        }
    }
}

#[test]
fn people_have_the_last_word() {
    let mut b = Bench::new();
    people(&mut b, 30);
    let export = word(3);
    let templates = [
        "GET shop.example /users/{user_name}",
        "PUT shop.example /users/{user_name}/avatar",
        "GET shop.example /users/{user_name}/orders",
    ];
    assert_eq!(b.labels(), templates);
    let all = b.endpoint("/users/{user_name}").requests;
    let pin = |b: &mut Bench, is| {
        assert!(b.catalog.pin(
            "shop.example",
            "/users",
            &export.to_uppercase(),
            is,
            &mut b.changes
        ));
    };
    pin(&mut b, Some(Pinned::Route));
    let own = format!("/users/{export}");
    // The calls that it had went with it, and more follow.
    assert_eq!(b.endpoint(&own).requests, 1);
    assert_eq!(b.endpoint("/users/{user_name}").requests, all - 1);
    b.get(&own);
    assert_eq!(b.endpoint(&own).requests, 2);
    let known = Pin {
        host: "shop.example".into(),
        place: "/users".into(),
        word: export.clone(),
        is: Pinned::Route,
    };
    assert_eq!(b.catalog.pins(), [known]);
    b.catalog = Catalog::restore(Settings::default(), &b.catalog.save()).unwrap();
    assert_eq!(b.endpoint(&own).requests, 2);
    pin(&mut b, Some(Pinned::Value));
    assert_eq!(b.labels(), templates);
    assert_eq!(b.endpoint("/users/{user_name}").requests, all + 1);
    // Taken back: the evidence alone decides.
    pin(&mut b, None);
    assert_eq!(b.labels(), templates);
    assert!(b.catalog.pins().is_empty());
}

#[test]
fn a_word_of_digits_can_be_a_route() {
    let mut b = Bench::new();
    for i in 1..9 {
        b.get(&format!("/years/{}", 2000 + i));
    }
    b.catalog.pin(
        "shop.example",
        "/years",
        "2005",
        Some(Pinned::Route),
        &mut b.changes,
    );
    b.get("/years/2005");
    assert_eq!(
        b.labels(),
        [
            "GET shop.example /years/2005",
            "GET shop.example /years/{year_id}"
        ]
    );
}

#[test]
fn an_endpoint_is_found_by_the_keys_that_it_had() {
    let mut b = Bench::new();
    b.get(&format!("/users/{}", word(1)));
    let early = b.catalog.view().endpoints[0].key.clone();
    people(&mut b, 30);
    b.labels();
    let view = b.catalog.view();
    let found = view.find(&early).unwrap();
    assert_eq!(found.template, "/users/{user_name}");
    assert!(found.aliases.contains(&early) && found.key != early);
    assert_eq!(view.find(&found.key).unwrap().key, found.key);
    assert!(found.aliases.len() <= 16);
}

#[test]
fn a_template_says_why() {
    let mut b = Bench::new();
    people(&mut b, 30);
    b.get("/orders/17");
    b.labels();
    let e = b.endpoint("/users/{user_name}/orders");
    assert_eq!(e.evidence.len(), 1);
    assert!(
        e.evidence[0].starts_with("30 values seen here, "),
        "{:?}",
        e.evidence
    );
    let e = b.endpoint("/orders/{order_id}");
    assert_eq!(e.evidence, ["values have the form of integer"]);
}

#[test]
fn a_segment_may_have_parts() {
    let mut b = Bench::new();
    for i in 1..5 {
        b.get(&format!("/v1/operations/{i}:cancel"));
        b.get(&format!("/v1/reports/{i}.json"));
        b.get(&format!("/odata/Customers('C{i}X')/Orders({i})"));
    }
    assert_eq!(
        b.labels(),
        [
            "GET shop.example /odata/Customers({customer_name})/Orders({order_id})",
            "GET shop.example /v1/operations/{operation_id}:cancel",
            "GET shop.example /v1/reports/{report_id}.json",
        ]
    );
    let access = b.get("/odata/Customers('C1X')/Orders(17)");
    assert_eq!(access.object.unwrap().number, Some(17));
}

#[test]
fn names_are_unique() {
    let mut b = Bench::new();
    for i in 1..5 {
        b.get(&format!("/a/{i}/{i}/{i}"));
    }
    assert_eq!(b.labels(), ["GET shop.example /a/{a_id}/{id}/{id2}"]);
}

/// Collections of one style are called alike, and are what they are; their objects are parameters.
#[test]
fn collections_that_are_alike_stay() {
    const COLLECTIONS: [&str; 20] = [
        "accounts",
        "addresses",
        "carts",
        "coupons",
        "customers",
        "devices",
        "documents",
        "events",
        "invoices",
        "messages",
        "notes",
        "orders",
        "payments",
        "products",
        "projects",
        "reports",
        "reviews",
        "shipments",
        "tasks",
        "tickets",
    ];
    for slugs in [false, true] {
        let mut b = Bench::new();
        for round in 0..40 {
            for (n, collection) in COLLECTIONS.iter().enumerate() {
                let i = round * 31 + n * 1_009;
                let id = match slugs {
                    true => word(i),
                    false => i.to_string(),
                };
                b.get(&format!("/v1/{collection}"));
                b.get(&format!("/v1/{collection}/{id}"));
                b.get(&format!("/v1/{collection}/{id}/history"));
            }
        }
        b.catalog.settle(&mut b.changes);
        let labels = b.labels();
        assert_eq!(labels.len(), 60, "{slugs}: {labels:?}");
        let parameters = labels.iter().filter(|l| l.contains('{')).count();
        assert_eq!(parameters, 40, "{slugs}: {labels:?}");
    }
}
