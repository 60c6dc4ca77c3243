//! What people decide, and what is said of statuses.

use super::*;
use crate::catalog::rules::DeprecationRule;

fn decision(b: &mut Bench, id: u64, action: Action, templates: &[&str]) -> Decision {
    let view = b.catalog.view();
    let named = view
        .endpoints
        .iter()
        .filter(|e| templates.contains(&e.template.as_str()));
    let keys: Vec<String> = named.map(|e| e.key.clone()).collect();
    assert_eq!(
        keys.len(),
        templates.len(),
        "{templates:?} are not all there"
    );
    Decision {
        id,
        at: Timestamp::from_secs(1_770_000_000 + id as i64),
        seen: b.catalog.now(),
        by: "ann".into(),
        action,
        places: b.catalog.places(&keys),
        value: None,
        note: None,
        undoes: None,
    }
}

impl Bench {
    fn decide(&mut self, id: u64, action: Action, templates: &[&str]) -> Decision {
        let d = decision(self, id, action, templates);
        self.catalog.decide(&d, &mut self.changes);
        d
    }

    fn twice(&mut self, path: &str) {
        self.get(path);
        self.get(path);
    }

    fn said(&mut self, template: &str) -> (Documentation, bool) {
        let e = self.endpoint(template);
        (e.documentation, e.accepted.is_some())
    }

    fn why(&mut self, template: &str, status: &str) -> Option<(String, Option<Timestamp>)> {
        let e = self.endpoint(template);
        let found = e.reasons.into_iter().find(|r| r.status == status);
        found.map(|r| (r.why, r.since))
    }
}

#[test]
fn what_comes_after_an_accepted_inventory_is_shadow_until_it_is_accepted() {
    let mut b = Bench::new();
    for path in ["/a", "/b", "/left"] {
        b.twice(path);
    }
    assert_eq!(b.said("/a"), (Documentation::Unreviewed, false));
    b.decide(1, Action::Accept, &["/a", "/b"]);
    assert_eq!(b.said("/a"), (Documentation::Unreviewed, true));
    // It was there, and nobody has said anything of it.
    assert_eq!(b.said("/left"), (Documentation::Unreviewed, false));
    b.twice("/late");
    let came = Timestamp::from_secs(b.now);
    assert_eq!(b.said("/late"), (Documentation::Shadow, false));
    assert_eq!(b.found(FindingKind::Shadow), ["GET shop.example /late"]);
    let (why, since) = b.why("/late", "shadow").unwrap();
    assert!(
        why.contains("accepted") && since == Some(came),
        "{why} {since:?}"
    );
    // Elsewhere nothing was accepted.
    for _ in 0..2 {
        b.call("GET", "other.example", "/x", 200);
    }
    assert_eq!(b.said("/x"), (Documentation::Unreviewed, false));
    let late = b.decide(2, Action::Accept, &["/late"]);
    assert_eq!(b.said("/late"), (Documentation::Unreviewed, true));
    assert_eq!(b.catalog.held(&late).len(), 1);
    b.decide(3, Action::Unaccept, &["/late"]);
    assert_eq!(b.said("/late"), (Documentation::Shadow, false));
    assert!(b.catalog.held(&late).is_empty());
    // With the last acceptance the inventory is none any more.
    b.decide(4, Action::Unaccept, &["/a", "/b"]);
    assert_eq!(b.said("/late"), (Documentation::Unreviewed, false));
}

#[test]
fn an_accepted_endpoint_is_not_shadow_whatever_the_specs_say() {
    let mut b = Bench::new();
    b.specs(&[SPEC]);
    b.twice("/api/export");
    b.twice("/api/orders/search");
    assert_eq!(b.said("/api/export").0, Documentation::Shadow);
    b.decide(1, Action::Accept, &["/api/export"]);
    assert_eq!(b.said("/api/export"), (Documentation::Unreviewed, true));
    let (why, _) = b.why("/api/export", "accepted").unwrap();
    assert_eq!(why, "accepted by ann");
    assert!(b.why("/api/export", "unreviewed").is_some());
    // What a spec has may be accepted, too: it is both.
    b.decide(2, Action::Accept, &["/api/orders/search"]);
    assert!(b.why("/api/orders/search", "accepted").is_some());
    let (why, since) = b.why("/api/orders/search", "documented").unwrap();
    assert!(why.contains("`Shop` has it as `searchOrders`") && since.is_some());
}

#[test]
fn decisions_outlive_the_inventory_and_names_of_parameters() {
    let mut b = Bench::new();
    for n in 0..4 {
        b.get(&format!("/v1/users/{n}"));
    }
    b.twice("/b");
    let all = [
        b.decide(1, Action::Accept, &["/v1/users/{user_id}", "/b"]),
        b.decide(2, Action::Unaccept, &["/b"]),
    ];
    // Restored with its checkpoint, and the same decisions once more.
    let mut again = Catalog::restore(Settings::default(), &b.catalog.save()).unwrap();
    again.replay(&all);
    b.catalog = again;
    assert!(b.said("/v1/users/{user_id}").1 && !b.said("/b").1);
    // Without it: the paths are seen anew, and called by another name.
    let mut fresh = Bench::new();
    for mut d in all {
        for place in &mut d.places {
            place.template = place.template.replace("user_id", "id");
        }
        fresh.catalog.replay(std::slice::from_ref(&d));
    }
    for n in 0..4 {
        fresh.get(&format!("/v1/users/{n}"));
    }
    fresh.twice("/b");
    assert!(fresh.said("/v1/users/{user_id}").1 && !fresh.said("/b").1);
}

#[test]
fn who_accepted_a_part_accepted_what_it_became() {
    let mut b = Bench::new();
    let names = [
        "ann", "bob", "cleo", "dan", "eve", "fay", "gus", "hal", "ivy", "jon",
    ];
    for name in names {
        b.get(&format!("/teams/{name}/members"));
    }
    b.decide(1, Action::Accept, &["/teams/eve/members"]);
    for name in names {
        b.get(&format!("/teams/{name}/projects"));
    }
    b.catalog.settle(&mut b.changes);
    assert!(b.said("/teams/{team_name}/members").1);
    assert!(!b.said("/teams/{team_name}/projects").1);
}

#[test]
fn a_newer_spec_that_drops_an_operation_makes_a_zombie() {
    let mut b = Bench::new();
    b.specs(&[SPEC]);
    b.twice("/api/old");
    assert!(!b.endpoint("/api/old").zombie);
    let newer = SPEC
        .replace("version: '1'", "version: '2'")
        .replace("  /old: { get: { deprecated: true } }\n", "");
    b.specs(&[&newer]);
    assert!(b.endpoint("/api/old").zombie);
    let (why, since) = b.why("/api/old", "zombie").unwrap();
    assert!(
        why.contains("`Shop` 2 has dropped `GET /old`") && since.is_some(),
        "{why}"
    );
    assert_eq!(b.found(FindingKind::Zombie).len(), 1);
    b.specs(&[SPEC]);
    assert!(!b.endpoint("/api/old").zombie, "it is back");
}

#[test]
fn what_a_rule_deprecates_is_deprecated_with_trend_callers_and_sunset() {
    let day = 86_400;
    let sunset = Timestamp::from_secs(1_760_000_000 + 12 * day);
    let mut b = Bench::with(Settings {
        deprecated: vec![DeprecationRule {
            path: "/v1/**".into(),
            sunset: Some(sunset),
            ..DeprecationRule::default()
        }],
        ..Settings::default()
    });
    // Days 0 to 16: ten requests a day in the first ten, five after.
    for today in 0..17 {
        b.now = 1_760_000_000 + today * day;
        for _ in 0..if today < 10 { 10 } else { 5 } {
            b.get("/v1/prices");
        }
        let e = b.endpoint("/v1/prices");
        let passed = e.retirement.unwrap().sunset_passed;
        assert_eq!(passed, today >= 12, "day {today}");
    }
    let e = b.endpoint("/v1/prices");
    assert!(e.deprecated);
    assert_eq!((e.last_week, e.week_before), (35, 70));
    let retirement = e.retirement.unwrap();
    assert_eq!((retirement.callers, retirement.trend), (1, Some(-0.5)));
    assert_eq!(b.found(FindingKind::SunsetPassed).len(), 1);
    assert!(
        b.why("/v1/prices", "deprecated")
            .unwrap()
            .0
            .contains("rule")
    );
}

#[test]
fn versions_have_shares() {
    let mut b = Bench::new();
    for n in 0..12 {
        b.get("/v2/orders/7");
        if n % 3 == 0 {
            b.get("/v1/orders/7");
        }
    }
    b.twice("/v3/other");
    b.catalog.tick(Timestamp::from_secs(b.now), &mut b.changes);
    assert_eq!(
        b.endpoint("/v1/orders/{order_id}").version_share,
        Some(0.25)
    );
    assert_eq!(b.endpoint("/v2/orders/{order_id}").version_share, None);
    let view = b.catalog.view();
    let versions = &view.hosts[0].versions;
    let shares: Vec<(&str, u64)> = versions
        .iter()
        .map(|v| (v.version.as_str(), v.requests))
        .collect();
    assert_eq!(shares, [("v1", 4), ("v2", 12), ("v3", 2)]);
    // Nobody calls the old one for a week.
    b.now += 8 * 86_400;
    b.twice("/v2/orders/7");
    assert_eq!(b.endpoint("/v1/orders/{order_id}").version_share, Some(0.0));
}

#[test]
fn every_status_says_why_and_since_when() {
    let mut b = Bench::new();
    b.specs(&[SPEC]);
    b.get("/api/once");
    for path in ["/api/old", "/api/export", "/api/orders/7"] {
        b.twice(path);
    }
    for e in &b.catalog.view().endpoints {
        let stated: Vec<&str> = e.reasons.iter().map(|r| r.status.as_str()).collect();
        assert!(stated.len() >= 2, "{} {stated:?}", e.template);
        assert_eq!(e.deprecated, stated.contains(&"deprecated"));
        for r in &e.reasons {
            assert!(
                !r.why.is_empty() && r.since.is_some(),
                "{} {r:?}",
                e.template
            );
        }
    }
}

#[test]
fn a_word_is_split_from_a_parameter_and_stays_when_all_is_learned_anew() {
    let names = |b: &mut Bench| {
        for i in 0..40_u8 {
            b.get(&format!(
                "/users/name{}{}",
                char::from(b'a' + i % 26),
                char::from(b'a' + i / 7)
            ));
        }
        b.twice("/users/export");
    };
    let mut b = Bench::new();
    names(&mut b);
    assert_eq!(b.labels(), ["GET shop.example /users/{user_name}"]);
    let key = b.endpoint("/users/{user_name}").key;
    for (part, word) in [(0, Some("x")), (1, None), (2, None), (1, Some("a/b"))] {
        assert!(
            b.catalog.pin_place(&key, part, word).is_err(),
            "{part} {word:?}"
        );
    }
    let both = [
        "GET shop.example /users/export",
        "GET shop.example /users/{user_name}",
    ];
    let place = b.catalog.pin_place(&key, 1, Some("export")).unwrap();
    let seen = b
        .catalog
        .foresee(Action::PinStatic, &key, 1, Some("export"))
        .unwrap();
    let only = Move {
        from: both[1].into(),
        into: both[0].into(),
        joins: false,
        calls: 2,
        leaves: None,
    };
    assert_eq!((seen.path.as_str(), seen.calls), ("/users/export", 2));
    assert_eq!(
        (seen.total, seen.moves, seen.routes),
        (1, vec![only], vec![])
    );
    let unseen = b
        .catalog
        .foresee(Action::PinStatic, &key, 1, Some("nobody"))
        .unwrap();
    assert_eq!((unseen.calls, unseen.total), (0, 1));
    let d = Decision {
        id: 1,
        at: Timestamp::from_secs(1_770_000_000),
        seen: b.catalog.now(),
        by: "ann".into(),
        action: Action::PinStatic,
        places: vec![place],
        value: None,
        note: None,
        undoes: None,
    };
    b.catalog.decide(&d, &mut b.changes);
    b.twice("/users/export");
    assert_eq!(b.labels(), both);
    assert_eq!(b.catalog.held(&d).len(), 1);
    let mut fresh = Bench::new();
    fresh.catalog.replay(std::slice::from_ref(&d));
    names(&mut fresh);
    assert_eq!(fresh.labels(), both);
    // Taken back, the evidence decides again.
    let undo = Decision {
        id: 2,
        action: Action::Unpin,
        ..d.clone()
    };
    fresh.catalog.decide(&undo, &mut fresh.changes);
    assert_eq!(fresh.labels(), both[1..]);
    assert!(fresh.catalog.held(&d).is_empty());
}

#[test]
fn a_word_is_made_a_value() {
    let mut b = Bench::new();
    b.twice("/shops/berlin");
    b.twice("/shops/paris");
    let key = b.endpoint("/shops/berlin").key;
    let place = b.catalog.pin_place(&key, 1, None).unwrap();
    let seen = b
        .catalog
        .foresee(Action::PinParameter, &key, 1, None)
        .unwrap();
    assert_eq!(
        (seen.path.as_str(), seen.calls, seen.total),
        ("/shops/berlin", 2, 1)
    );
    assert_eq!(seen.moves[0].into, "GET shop.example /shops/{…}");
    assert_eq!(seen.routes, ["berlin", "paris"]);
    let d = Decision {
        id: 1,
        at: Timestamp::from_secs(1_770_000_000),
        seen: b.catalog.now(),
        by: "ann".into(),
        action: Action::PinParameter,
        places: vec![place],
        value: None,
        note: None,
        undoes: None,
    };
    b.catalog.decide(&d, &mut b.changes);
    let labels = b.labels();
    assert!(
        labels.contains(&"GET shop.example /shops/{shop_name}".to_owned()),
        "{labels:?}"
    );
    assert!(!labels.iter().any(|l| l.contains("berlin")), "{labels:?}");
    let mut fresh = Bench::new();
    fresh.catalog.replay(std::slice::from_ref(&d));
    fresh.twice("/shops/berlin");
    assert_eq!(fresh.labels(), ["GET shop.example /shops/{shop_name}"]);
}

#[test]
fn the_audit_has_what_was_decided_of_which() {
    let mut b = Bench::new();
    let paths: Vec<String> = (0..8)
        .map(|n| format!("/word{}", char::from(b'a' + n)))
        .collect();
    paths.iter().for_each(|path| b.twice(path));
    let all: Vec<&str> = paths.iter().map(String::as_str).collect();
    let mut d = decision(&mut b, 7, Action::Tag, &all);
    d.value = Some("payments".into());
    let said = d.about();
    let first = format!("GET shop.example /worda ({})", b.endpoint("/worda").key);
    assert!(
        said.starts_with(&format!("decision 7: tag `payments`, 8 places: {first}, ")),
        "{said}"
    );
    assert!(said.ends_with(" and 3 more"), "{said}");
    let key = b.endpoint("/worda").key;
    let place = b.catalog.pin_place(&key, 0, None).unwrap();
    let undo = Decision {
        id: 9,
        action: Action::Unpin,
        places: vec![place],
        value: None,
        undoes: Some(8),
        ..d
    };
    assert!(
        undo.about()
            .starts_with("decision 9: unpin, which takes back decision 8: shop.example /worda"),
        "{}",
        undo.about()
    );
}

#[test]
fn what_was_decided_of_one_is_not_said_of_another_that_it_was_merged_with() {
    let mut b = Bench::new();
    b.twice("/shops/berlin");
    b.twice("/shops/paris");
    b.decide(1, Action::Accept, &["/shops/berlin"]);
    let places: Vec<Place> = ["/shops/berlin", "/shops/paris"]
        .map(|template| {
            let key = b.endpoint(template).key;
            b.catalog.pin_place(&key, 1, None).unwrap()
        })
        .into();
    let pin = |id, action| Decision {
        id,
        at: Timestamp::from_secs(1_770_000_000),
        seen: Timestamp::default(),
        by: "ann".into(),
        action,
        places: places.clone(),
        value: None,
        note: None,
        undoes: None,
    };
    b.catalog
        .decide(&pin(2, Action::PinParameter), &mut b.changes);
    assert!(b.said("/shops/{shop_name}").1);
    b.catalog.decide(&pin(3, Action::Unpin), &mut b.changes);
    assert_eq!(b.said("/shops/berlin"), (Documentation::Unreviewed, true));
    assert!(!b.said("/shops/paris").1);
    let (berlin, paris) = (b.endpoint("/shops/berlin"), b.endpoint("/shops/paris"));
    assert!(!berlin.aliases.contains(&paris.key) && !paris.aliases.contains(&berlin.key));
}
