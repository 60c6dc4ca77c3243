//! Publishing makes anew what changed and nothing else, and so must come to what a reader would see
//! who had seen nothing before.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

/// What readers see of an inventory that was never published.
fn anew(b: &Bench) -> Arc<CatalogView> {
    let saved = b.catalog.save();
    let mut catalog = Catalog::restore(Settings::default(), &saved).unwrap();
    catalog.view()
}

fn lines(view: &CatalogView) -> Vec<String> {
    let line = |e: &Arc<EndpointView>| serde_json::to_string(&**e).unwrap();
    view.endpoints.iter().map(line).collect()
}

fn hosts(view: &CatalogView) -> Vec<(String, usize, u64)> {
    let one = |h: &HostView| (h.host.clone(), h.endpoints, h.requests);
    view.hosts.iter().map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_is_published_piece_by_piece_is_what_there_is(
        calls in prop::collection::vec((0..3_u8, 0..40_u8, 0..4_u8, any::<bool>()), 1..250),
    ) {
        let mut b = Bench::new();
        for (host, name, place, publish) in calls {
            let host = format!("h{host}.example");
            let path = match place {
                // Names that fold into one, with what lies below them.
                0 => format!("/v1/people/person-{}", (b'a' + name % 26) as char),
                1 => format!("/v1/people/p{}x/orders", (b'a' + name % 26) as char),
                2 => "/v1/items".to_owned(),
                _ => format!("/v1/items/{name}"),
            };
            b.call("GET", &host, &path, 200);
            if publish {
                b.catalog.settle(&mut b.changes);
            }
            if publish || name % 5 == 0 {
                b.catalog.view();
            }
        }
        let seen = b.catalog.view();
        let all = anew(&b);
        prop_assert_eq!(lines(&seen), lines(&all));
        prop_assert_eq!(hosts(&seen), hosts(&all));
    }
}

#[test]
fn judging_host_by_host_comes_to_what_judging_all_does() {
    let (mut whole, mut parts) = (Bench::new(), Bench::new());
    for b in [&mut whole, &mut parts] {
        for n in 0..240_u8 {
            let name = char::from(b'a' + n / 5 % 26);
            let path = format!("/v1/people/p{name}{}/orders", n % 13);
            b.call("GET", &format!("h{}.example", n % 5), &path, 200);
        }
    }
    whole.catalog.settle(&mut whole.changes);
    let mut steps = 1;
    while !parts.catalog.settle_part(3, &mut parts.changes) {
        steps += 1;
    }
    assert_eq!(steps, 3, "two hosts a step, of five");
    assert_eq!(lines(&parts.catalog.view()), lines(&whole.catalog.view()));
    let folded = whole.catalog.view().endpoints.len();
    assert_eq!(folded, 5, "each host has one place");
}

#[test]
fn a_new_day_is_published_piece_by_piece() {
    let mut b = Bench::new();
    for n in 0..5_000_u32 {
        for _ in 0..2 {
            b.call("GET", &format!("h{n}.example"), "/v1/items", 200);
        }
    }
    let first = b.catalog.view();
    assert!(first.endpoints.iter().all(|e| e.last_week == 2));
    b.now += 8 * 86_400;
    b.call("GET", "h7.example", "/v1/items", 200);
    let old = |view: &CatalogView| view.endpoints.iter().filter(|e| e.last_week == 2).count();
    assert_eq!(old(&b.catalog.view()), 904);
    let seen = b.catalog.view();
    assert_eq!(old(&seen), 0);
    assert_eq!(lines(&seen), lines(&anew(&b)));
    assert_eq!(anew_of(&seen, &b.catalog.view()), 0, "once is enough");
}

fn anew_of(before: &CatalogView, after: &CatalogView) -> usize {
    let pairs = before.endpoints.iter().zip(&after.endpoints);
    pairs.filter(|(a, b)| !Arc::ptr_eq(a, b)).count()
}

/// Confirms versions one after the other, judging at each step.
fn versions(b: &mut Bench) {
    for path in ["/v1/orders", "/v2/orders"] {
        for _ in 0..2 {
            b.get(path);
        }
        b.catalog.tick(Timestamp::from_secs(b.now), &mut b.changes);
    }
}

#[test]
fn versions_are_judged_again_once_one_was_called_and_not_while_none_is() {
    let mut b = Bench::new();
    versions(&mut b);
    assert!(
        !b.endpoint("/v1/orders").zombie,
        "it was last called before"
    );
    b.get("/v1/orders");
    // Whatever is confirmed next.
    b.call("GET", "other.example", "/a", 200);
    b.call("GET", "other.example", "/a", 200);
    b.catalog.tick(Timestamp::from_secs(b.now), &mut b.changes);
    let seen = b.endpoint("/v1/orders");
    assert_eq!((seen.zombie, seen.version_share), (true, Some(0.6)));
    assert_eq!(
        b.found(FindingKind::Zombie),
        ["GET shop.example /v1/orders"]
    );
}

#[test]
fn a_version_that_the_budget_puts_out_is_none_any_more() {
    let settings = Settings {
        max_endpoints: 3,
        ..Settings::default()
    };
    let mut b = Bench::with(settings);
    versions(&mut b);
    assert!(b.endpoint("/v1/orders").version_share.is_some());
    for _ in 0..2 {
        b.get("/v2/orders");
        b.get("/v3/orders");
    }
    // The one that was called longest ago goes, and the rest is told apart anew.
    for _ in 0..2 {
        b.get("/v4/orders");
    }
    b.catalog.tick(Timestamp::from_secs(b.now), &mut b.changes);
    let shares = |b: &mut Bench, n| b.endpoint(&format!("/v{n}/orders")).version_share;
    let view = b.catalog.view();
    assert!(view.endpoints.iter().all(|e| e.template != "/v1/orders"));
    assert_eq!(
        shares(&mut b, 2),
        Some(0.5),
        "four of it, two each of the others"
    );
    assert_eq!(shares(&mut b, 4), None, "nothing is newer");
}
