use std::net::Ipv4Addr;
use std::sync::Arc;

use proptest::prelude::*;

use crate::catalog::Catalog;
use crate::detect::distinct::mix;
use crate::detect::{Detect, Settings, Severity, Verdict};
use crate::exchange::{Exchange, Leaks, Operation, OperationKind, Shape, Shapes};
use crate::time::Timestamp;

const DAY: i64 = 86_400;
/// A Monday.
const START: i64 = 1_767_571_200;
/// When ordinary days are over.
const THEN: i64 = 10 * DAY;

fn call(secs: i64, who: &str, client: u32, path: &str) -> Exchange {
    let mut x = Exchange::at(Timestamp::from_secs(START + secs));
    x.client = Ipv4Addr::from(client).into();
    x.method = Some("GET".into());
    x.host = Some("api.example".into());
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    x.path = Some(path.into());
    x.query = (!query.is_empty()).then(|| query.into());
    x.identity = (!who.is_empty()).then(|| Arc::from(format!("bearer:{who}")));
    x.country = Some("US".into());
    (x.status, x.response_bytes, x.request_bytes) = (Some(200), Some(900), Some(0));
    x.content_type = Some("application/json".into());
    x
}

fn login(secs: i64, name: &str, client: u32, status: u16) -> Exchange {
    let mut x = call(secs, "", client, "/v1/login");
    x.method = Some("POST".into());
    x.login = Some(name.into());
    x.status = Some(status);
    x
}

fn graphql(secs: i64, who: &str, depth: u16, introspection: bool) -> Exchange {
    let mut x = call(secs, who, 9, "/graphql");
    x.method = Some("POST".into());
    let mut operation = Operation::new(OperationKind::Graphql, None);
    (operation.depth, operation.aliases) = (Some(depth), Some(0));
    operation.introspection = introspection;
    x.operation = Some(Box::new(operation));
    x
}

/// An answer that was looked into.
fn gives(mut x: Exchange, shape: &str) -> Exchange {
    let shape: Shape = serde_json::from_str(shape).unwrap();
    x.shapes = Some(Box::new(Shapes {
        response: Some(shape),
        ..Shapes::default()
    }));
    x
}

/// Ten ordinary days of forty callers, who forget their passwords at times.
fn world() -> Vec<Exchange> {
    let mut calls = Vec::new();
    for n in 0..THEN / 180 {
        let dice = |sides: u64, salt: u64| mix(n as u64 * 16 + salt) % sides;
        let (at, caller) = (n * 180, dice(40, 1));
        let (who, client) = (format!("user{caller}"), 1_000 + caller as u32);
        let x = match dice(8, 2) {
            0 | 1 => {
                for i in 0..[0, 0, 0, 1, 1, 2, 3, 6][dice(8, 3) as usize] {
                    calls.push(login(at + i, &who, client, 401));
                }
                login(at + 20, &who, client, 200)
            }
            2 => graphql(at, &who, 3 + dice(2, 4) as u16, false),
            3 => call(
                at,
                &who,
                client,
                &format!("/v1/orders?page={}&sort=asc", 1 + dice(5, 5)),
            ),
            _ => {
                let x = call(
                    at,
                    &who,
                    client,
                    &format!("/v1/orders/{}", 10_000 + dice(5_000, 6)),
                );
                gives(
                    x,
                    r#"{"":"object","/id":"integer","/mail":"string email pii:email"}"#,
                )
            }
        };
        calls.push(x);
    }
    calls
}

/// What is told of `then`, behind ordinary days: detectors, who, and how severe.
fn told(then: Vec<Exchange>) -> Vec<Verdict> {
    let mut catalog = Catalog::new(crate::catalog::Settings::default());
    let mut detect = Detect::new(Settings::default());
    let (mut changes, mut out) = (Vec::new(), Vec::new());
    let mut all = world();
    let ordinary = all.len();
    all.extend(then);
    for (n, x) in all.iter().enumerate() {
        if n == ordinary {
            let rung = out
                .drain(..)
                .filter(|v: &Verdict| OWN.contains(&v.detector.as_str()));
            let rung: Vec<_> = rung.map(|v| v.summary).collect();
            assert!(rung.is_empty(), "on ordinary days: {rung:?}");
            catalog.settle(&mut changes);
            detect.change(&changes);
        }
        let access = catalog.apply(x, &mut changes);
        detect.change(&changes);
        changes.clear();
        detect.apply(&access, x, &mut out);
    }
    for v in out.iter().filter(|v| OWN.contains(&v.detector.as_str())) {
        assert!(
            v.why.len() >= 2 && !v.summary.is_empty() && !v.owasp.is_empty(),
            "{v:?}"
        );
        assert!(v.since <= v.until && v.until <= v.at, "{v:?}");
        assert!(v.samples.iter().all(|s| s.contains('→')), "{v:?}");
    }
    out
}

fn by<'a>(verdicts: &'a [Verdict], detector: &str) -> Vec<&'a Verdict> {
    verdicts.iter().filter(|v| v.detector == detector).collect()
}

/// Of these detectors alone: who probes may be told of by others, too.
const OWN: [&str; 16] = [
    "odd-parameters",
    "injection-probing",
    "request-size",
    "url-length",
    "parameter-count",
    "body-depth",
    "graphql-depth",
    "graphql-aliases",
    "graphql-introspection",
    "batch-size",
    "response-size",
    "new-sensitive-data",
    "login-after-failures",
    "address-after-failures",
    "login-name-from-many",
    "session-hijack",
];

fn silent(then: Vec<Exchange>) {
    let told = told(then);
    let own: Vec<_> = told
        .iter()
        .filter(|v| OWN.contains(&v.detector.as_str()))
        .collect();
    assert!(own.is_empty(), "{own:#?}");
}

#[test]
fn who_sends_what_was_never_sent_is_told() {
    let attack = |n: i64| {
        let mut x = call(THEN + n * 5, "mallory", 66, "/v1/orders");
        x.query = Some(format!("page=1'%20or%20{n}={n}%20hunter2--").into());
        x
    };
    let told = told((0..12).map(attack).collect());
    let found = by(&told, "odd-parameters");
    assert!(!found.is_empty(), "{told:#?}");
    let first = found[0];
    assert_eq!(
        first.principal.as_ref().unwrap().identity.as_deref(),
        Some("bearer:mallory")
    );
    assert!(first.severity >= Severity::Medium && first.observed >= 4.0);
    assert!(
        first.why.iter().any(|w| w.contains("`page` of the query")),
        "{first:#?}"
    );
    assert!(!format!("{found:?}").contains("hunter2"));
}

#[test]
fn an_error_of_the_database_makes_it_worse() {
    let attack = |n: i64| {
        let mut x = call(THEN + n * 5, "mallory", 66, &format!("/v1/orders/{n}'"));
        (x.status, x.leaks) = (Some(500), Leaks::SQL_ERROR);
        x
    };
    let told = told((0..4).map(attack).collect());
    let found = by(&told, "injection-probing");
    assert!(
        found.first().is_some_and(|v| v.severity >= Severity::High),
        "{told:#?}"
    );
    assert!(
        !format!("{found:?}").contains("/orders/"),
        "the path is not shown: {found:?}"
    );
}

#[test]
fn slips_and_new_versions_are_no_tampering() {
    let slip = |n: i64| call(THEN + n * 60, "user3", 1_003, "/v1/orders/10001'");
    silent((0..3).map(slip).collect());
    // A release: many callers send what nobody sent.
    let release = |n: i64| {
        let who = format!("user{}", n % 30);
        call(
            THEN + n * 40,
            &who,
            1_000 + (n % 30) as u32,
            "/v1/orders?page=1&fields=id&v=2&locale=de",
        )
    };
    silent((0..300).map(release).collect());
}

#[test]
fn oversize_requests_and_answers_are_told_once() {
    let long = "a".repeat(40_000);
    let attack = |n: i64| {
        call(
            THEN + n * 9,
            "mallory",
            66,
            &format!("/v1/orders?page=1&sort={long}"),
        )
    };
    let told_of = told((0..6).map(attack).collect());
    assert!(!by(&told_of, "url-length").is_empty(), "{told_of:#?}");
    assert!(by(&told_of, "url-length").len() <= 3);

    let answer = |n: i64| {
        let mut x = call(
            THEN + n * 60,
            "user5",
            1_005,
            &format!("/v1/orders/{}", 10_100 + n),
        );
        x.response_bytes = Some(60_000_000 << n);
        x
    };
    let told_of = told((0..6).map(answer).collect());
    let found = by(&told_of, "response-size");
    assert_eq!(found[0].severity, Severity::Low, "{told_of:#?}");
    assert!(
        found.iter().any(|v| v.severity == Severity::Medium),
        "not by itself: {found:#?}"
    );

    let usual = |n: i64| {
        let mut x = call(THEN + n * 60, "user5", 1_005, "/v1/orders?page=2&sort=asc");
        x.response_bytes = Some(2_500);
        x
    };
    silent((0..6).map(usual).collect());
}

#[test]
fn graphql_documents_that_are_deep_and_schemas_asked_for() {
    let told_of = told(vec![graphql(THEN, "mallory", 400, false)]);
    assert!(!by(&told_of, "graphql-depth").is_empty(), "{told_of:#?}");
    let told_of = told(vec![
        graphql(THEN, "mallory", 5, true),
        graphql(THEN + 9, "mallory", 5, true),
    ]);
    assert_eq!(
        by(&told_of, "graphql-introspection").len(),
        1,
        "{told_of:#?}"
    );
    silent(vec![graphql(THEN, "user1", 6, false)]);
}

#[test]
fn a_class_of_data_that_was_never_given_out() {
    let card = r#"{"":"object","/id":"integer","/card":"string digits pii:card"}"#;
    let answer = |n: i64, who: &str| {
        gives(
            call(
                THEN + n * 60,
                who,
                1_005,
                &format!("/v1/orders/{}", 10_100 + n),
            ),
            card,
        )
    };
    let alone = told((0..4).map(|n| answer(n, "user5")).collect());
    let found = by(&alone, "new-sensitive-data");
    assert_eq!(found.len(), 1, "{alone:#?}");
    assert_eq!(found[0].severity, Severity::High);
    assert!(found[0].principal.is_some() && found[0].summary.contains("pii:card"));

    let many = told((0..4).map(|n| answer(n, &format!("user{n}"))).collect());
    let found = by(&many, "new-sensitive-data");
    assert_eq!((found.len(), &found[0].principal), (1, &None), "{many:#?}");

    silent(vec![answer(1, "user5")]);
}

#[test]
fn a_login_that_succeeds_after_a_run_of_failures() {
    let run = |name: &str, client: u32, n: i64| {
        let mut all: Vec<_> = (0..n)
            .map(|i| login(THEN + i * 4, name, client, 401))
            .collect();
        all.push(login(THEN + n * 4, name, client, 200));
        all
    };
    let taken = told(run("user7", 66, 40));
    let found = by(&taken, "login-after-failures");
    assert!(
        found.first().is_some_and(|v| v.severity >= Severity::High),
        "{taken:#?}"
    );
    assert!(found[0].principal.as_ref().unwrap().client.is_some());
    // From where they always log in, and not that often.
    silent(run("user7", 1_007, 6));
    silent(run("user7", 1_007, 10));
    silent(run("user7", 66, 5));
}

#[test]
fn an_address_that_tries_many_names_until_one_opens() {
    let tries = |opens: i64| -> Vec<_> {
        let status = move |i: i64| if i % opens == opens - 1 { 200 } else { 401 };
        let names = (0..60).map(|i| login(THEN + i * 4, &format!("n{i}"), 66, status(i)));
        names.collect()
    };
    let stuffing = told(tries(60));
    assert_eq!(
        by(&stuffing, "address-after-failures").len(),
        1,
        "{stuffing:#?}"
    );
    // Many people behind one address.
    silent(tries(3));
}

#[test]
fn one_name_from_many_addresses() {
    let from = |n: i64| login(THEN + n * 30, "user9", 5_000 + n as u32, 401);
    let many = told((0..50).map(from).collect());
    let found = by(&many, "login-name-from-many");
    assert!(
        !found.is_empty() && found.iter().all(|v| v.principal.is_none()),
        "{many:#?}"
    );
    silent((0..4).map(from).collect());
}

#[test]
fn a_token_in_two_places_in_turns() {
    let at = |n: i64, step: i64| {
        let mut x = call(
            THEN + n * step,
            "user2",
            [1_002, 77][n as usize % 2],
            "/v1/orders/10010",
        );
        x.country = Some(["US", "JP"][n as usize % 2].into());
        x
    };
    let both = told((0..20).map(|n| at(n, 60)).collect());
    let found = by(&both, "session-hijack");
    assert_eq!(found.len(), 1, "{both:#?}");
    assert_eq!(found[0].severity, Severity::Medium);
    // One flight too fast is another detector's; one in time is nothing.
    silent((0..2).map(|n| at(n, 600)).collect());
    silent((0..6).map(|n| at(n, 20 * 3_600)).collect());
}

#[test]
fn whoever_is_at_home_in_both_places_is_no_two() {
    let day = |d: i64| {
        (0..4).map(move |n| {
            let at = THEN + d * DAY + n * 600;
            let mut x = call(at, "regions", [80, 81][n as usize % 2], "/v1/orders/10010");
            x.country = Some(["US", "DE"][n as usize % 2].into());
            x
        })
    };
    let told = told((0..8).flat_map(day).collect());
    let late = START + THEN + 4 * DAY;
    let late: Vec<_> = told.iter().filter(|v| v.at.secs() > late).collect();
    assert!(
        late.iter().all(|v| !OWN.contains(&v.detector.as_str())),
        "{late:#?}"
    );
}

prop_compose! {
    fn any_call()(
        step in 0_i64..20_000, who in 0_u32..6, client in any::<u32>(),
        path in "(/[a-z0-9'.%]{0,9}){1,3}", query in "[a-z=&'1]{0,20}",
        status in 100_u16..600, bytes in any::<u64>(), leaks in 0_u8..4,
        country in "(US|DE|JP|..)", name in proptest::option::of(0_u32..50),
    ) -> (i64, Exchange) {
        let who = if who == 0 { String::new() } else { format!("u{who}") };
        let mut x = call(0, &who, client, &path);
        (x.query, x.status, x.leaks) = (Some(query.into()), Some(status), Leaks(leaks));
        (x.request_bytes, x.response_bytes) = (Some(bytes), Some(bytes));
        x.country = Some(country.into());
        x.login = name.map(|n| format!("{n}").into());
        (step, x)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_calls_are_survived_and_saved(calls in prop::collection::vec(any_call(), 1..300)) {
        let mut catalog = Catalog::new(crate::catalog::Settings::default());
        let settings = || Settings { learning: std::time::Duration::ZERO, ..Settings::default() };
        let mut detect = Detect::new(settings());
        let (mut changes, mut out, mut now) = (Vec::new(), Vec::new(), START);
        for (step, mut x) in calls {
            now += step;
            (x.ts, x.end) = (Timestamp::from_secs(now), Timestamp::from_secs(now));
            let access = catalog.apply(&x, &mut changes);
            detect.change(&changes);
            changes.clear();
            detect.apply(&access, &x, &mut out);
        }
        let saved = detect.save();
        let again = Detect::restore(settings(), &saved).unwrap();
        prop_assert_eq!(again.save(), saved);
        prop_assert!(out.iter().all(|v| v.log10_p.is_finite() && v.score.is_finite()));
    }
}
