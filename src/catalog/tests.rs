use std::time::Duration;

use super::spec::{SpecSet, parse};
use super::*;
use crate::time::Timestamp;

mod refold;

const SPEC: &str = "
openapi: 3.0.3
info: { title: Shop, version: '1' }
servers: [{ url: 'https://{where}.example/api', variables: { where: { default: shop } } }]
paths:
  /orders/{order_id}: { get: { operationId: getOrder } }
  /orders/search: { get: { operationId: searchOrders } }
  /old: { get: { deprecated: true } }
";

struct Bench {
    catalog: Catalog,
    changes: Vec<Change>,
    now: i64,
}

impl Bench {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        Self {
            catalog: Catalog::new(settings),
            changes: Vec::new(),
            now: 1_760_000_000,
        }
    }

    fn call(&mut self, method: &str, host: &str, path: &str, status: u16) -> Access {
        self.now += 1;
        let mut x = Exchange::at(Timestamp::from_secs(self.now));
        x.method = Some(method.into());
        x.host = Some(host.into());
        x.path = Some(path.into());
        x.status = Some(status);
        self.catalog.apply(&x, &mut self.changes)
    }

    fn get(&mut self, path: &str) -> Access {
        self.call("GET", "shop.example", path, 200)
    }

    fn specs(&mut self, texts: &[&str]) {
        let specs = texts
            .iter()
            .enumerate()
            .map(|(i, t)| parse(&format!("{i}.yaml"), t).unwrap())
            .collect();
        self.catalog
            .set_specs(SpecSet::new(specs), &mut self.changes);
    }

    fn labels(&mut self) -> Vec<String> {
        self.catalog.settle(&mut self.changes);
        self.catalog
            .view()
            .endpoints
            .iter()
            .map(|e| e.label())
            .collect()
    }

    fn endpoint(&mut self, template: &str) -> EndpointView {
        let view = self.catalog.view();
        let found = view.endpoints.iter().find(|e| e.template == template);
        found
            .unwrap_or_else(|| panic!("{template} is not there"))
            .as_ref()
            .clone()
    }

    fn found(&self, kind: FindingKind) -> Vec<&str> {
        let facts = self.changes.iter().filter_map(|c| {
            if let Change::Found(f) = c {
                Some(f)
            } else {
                None
            }
        });
        facts
            .filter(|f| f.kind == kind)
            .map(|f| f.subject.as_str())
            .collect()
    }
}

#[test]
fn ids_are_one_endpoint_and_words_are_several() {
    let mut b = Bench::new();
    for id in 0..30 {
        b.get(&format!("/v1/users/{id}"));
        b.get(&format!("/V1/Users/{id}/posts/"));
    }
    b.get("/v1/users/me");
    b.get("/v1/status");
    let labels = b.labels();
    let expected = [
        "/v1/status",
        "/v1/users/me",
        "/v1/users/{user_id}",
        "/v1/users/{user_id}/posts",
    ];
    assert_eq!(labels, expected.map(|t| format!("GET shop.example {t}")));
    assert_eq!(
        b.catalog
            .assign("GET", "shop.example:80", "//v1/users/77;x=y?q", None)
            .as_deref(),
        Some("GET shop.example /v1/users/{user_id}")
    );
    assert_eq!(
        b.catalog
            .assign("GET", "shop.example", "/v1/users/nobody", None),
        None
    );
}

#[test]
fn names_become_a_parameter_by_evidence_and_routes_stay() {
    let mut b = Bench::new();
    for round in 0..3 {
        for name in [
            "ann", "bob", "cleo", "dan", "eve", "fay", "gus", "hal", "ivy", "jon",
        ] {
            if round == 0 || name < "d" {
                b.get(&format!("/teams/{name}/members"));
                b.get(&format!("/teams/{name}/projects"));
            }
        }
        for route in [
            "list", "add", "remove", "rename", "move", "copy", "share", "lock", "unlock", "audit",
            "export",
        ] {
            for _ in 0..8 {
                b.get(&format!("/rpc/{route}"));
            }
        }
    }
    let labels = b.labels();
    assert!(
        labels.contains(&"GET shop.example /teams/{team_name}/members".to_owned()),
        "{labels:?}"
    );
    assert_eq!(
        labels.iter().filter(|l| l.contains("/rpc/")).count(),
        11,
        "{labels:?}"
    );
    assert!(b.changes.iter().any(|c| matches!(c, Change::Merged { .. })));
}

#[test]
fn only_what_answers_is_there() {
    let mut b = Bench::new();
    for status in [404, 405, 501, 403, 401, 500] {
        b.call("GET", "shop.example", "/admin/setup.php", status);
    }
    b.call("OPTIONS", "shop.example", "/x", 204);
    b.call("HEAD", "shop.example", "/x", 200);
    assert!(b.labels().is_empty());
    b.get("/x");
    assert_eq!(b.endpoint("/x").life, Life::Candidate);
    let access = b.get("/x");
    assert!(access.confirmed && b.endpoint("/x").confirmed);
    let miss = b.call("GET", "shop.example", "/x", 404);
    assert_eq!(miss.endpoint, access.endpoint);
}

#[test]
fn a_mirror_of_requests_alone_makes_candidates() {
    let mut b = Bench::new();
    for n in 0..8 {
        let mut x = Exchange::at(Timestamp::from_secs(1_760_000_000 + n));
        x.method = Some("GET".into());
        x.host = Some("shop.example".into());
        x.path = Some(format!("/v1/orders/{n}").into());
        x.partial.no_response = true;
        // The server answered, or may have; nobody was there to see it.
        x.partial.unpaired = n != 7;
        let access = b.catalog.apply(&x, &mut b.changes);
        assert!(!access.confirmed);
        assert!(access.endpoint.is_some(), "{n}");
    }
    let view = b.catalog.view();
    assert_eq!(view.endpoints.len(), 1);
    assert!(!view.endpoints[0].confirmed);
    // A request that was seen to stay without an answer is no evidence.
    let mut x = Exchange::at(Timestamp::from_secs(1_760_000_100));
    x.method = Some("GET".into());
    x.host = Some("shop.example".into());
    x.path = Some("/nowhere".into());
    x.partial.no_response = true;
    assert!(b.catalog.apply(&x, &mut b.changes).endpoint.is_none());
}

#[test]
fn a_scanner_adds_nothing_and_a_flood_of_endpoints_is_bounded() {
    let mut b = Bench::with(Settings {
        max_endpoints: 50,
        max_nodes: 2_000,
        ..Settings::default()
    });
    for i in 0..20_000 {
        b.call("GET", "shop.example", &format!("/w{i}/x{i}"), 404);
    }
    assert!(b.labels().is_empty());
    b.get("/kept");
    b.get("/kept");
    for i in 0..3_000_u32 {
        let word: String = (0..6)
            .map(|k| char::from(b'a' + (i >> (k * 2)) as u8 % 4))
            .collect();
        b.call(
            "GET",
            "shop.example",
            &format!("/{word}q/{word}z/{word}y"),
            200,
        );
    }
    let view = b.catalog.view();
    assert!(
        view.endpoints.len() <= 50 && view.evicted > 100,
        "{} {}",
        view.endpoints.len(),
        view.evicted
    );
    assert!(
        view.endpoints.iter().any(|e| e.template == "/kept"),
        "what is confirmed outlives candidates"
    );
}

#[test]
fn a_spec_decides_templates_names_and_status() {
    let mut b = Bench::new();
    b.specs(&[SPEC]);
    for _ in 0..2 {
        b.get("/api/orders/spring-sale");
        b.get("/api/orders/search");
        b.get("/api/old");
        b.get("/api/export");
        b.call("DELETE", "shop.example", "/api/orders/7", 204);
        b.call("GET", "stranger.example", "/a", 200);
        b.call("GET", "stranger.example", "/b", 200);
    }
    let order = b.endpoint("/api/orders/{order_id}");
    assert!(order.operation_id.is_some() || order.method == "DELETE");
    assert_eq!(
        b.endpoint("/api/orders/search").operation_id.as_deref(),
        Some("searchOrders")
    );
    assert!(b.endpoint("/api/old").deprecated);
    assert_eq!(
        b.endpoint("/api/export").documentation,
        Documentation::Shadow
    );
    assert_eq!(
        b.found(FindingKind::DeprecatedInUse),
        ["GET shop.example /api/old"]
    );
    assert_eq!(
        b.found(FindingKind::Shadow),
        [
            "GET shop.example /api/export",
            "DELETE shop.example /api/orders/{order_id}"
        ]
    );
    assert_eq!(
        b.found(FindingKind::UnknownHost),
        ["stranger.example"],
        "one finding for the host"
    );
}

#[test]
fn one_specs_place_is_not_its_neighbours() {
    let mut b = Bench::new();
    let other = "openapi: 3.1.0\ninfo: { title: Pay }\nservers: [{ url: 'https://shop.example/pay' }]\npaths: { /charges: { get: {} } }\n";
    b.specs(&[SPEC, other]);
    for _ in 0..2 {
        b.get("/pay/charges");
        b.get("/api/orders/search");
    }
    assert_eq!(b.endpoint("/pay/charges").spec.as_deref(), Some("Pay"));
    assert!(b.found(FindingKind::Shadow).is_empty());
}

#[test]
fn without_a_spec_nothing_is_shadow_and_after_learning_it_is_new() {
    let day = Duration::from_secs(86_400);
    let mut b = Bench::with(Settings {
        learning: day,
        ..Settings::default()
    });
    b.get("/a");
    b.now += 2 * 86_400;
    b.get("/a");
    b.get("/b");
    b.get("/b");
    assert_eq!(b.endpoint("/a").documentation, Documentation::Unreviewed);
    assert_eq!(
        (b.endpoint("/a").life, b.endpoint("/b").life),
        (Life::Active, Life::New)
    );
    assert_eq!(b.found(FindingKind::New), ["GET shop.example /b"]);
}

#[test]
fn an_old_version_beside_a_newer_one_is_a_zombie() {
    let mut b = Bench::new();
    for _ in 0..3 {
        b.get("/v1/orders/7");
        b.get("/v2/orders/7");
    }
    b.catalog.tick(Timestamp::from_secs(b.now), &mut b.changes);
    assert!(b.endpoint("/v1/orders/{order_id}").zombie);
    assert!(!b.endpoint("/v2/orders/{order_id}").zombie);
    assert_eq!(
        b.found(FindingKind::Zombie),
        ["GET shop.example /v1/orders/{order_id}"]
    );
}

#[test]
fn what_is_documented_and_silent_is_dormant() {
    let mut b = Bench::with(Settings {
        dormant_after: Duration::from_secs(1_000),
        ..Settings::default()
    });
    b.specs(&[SPEC]);
    b.get("/api/orders/7");
    b.get("/api/orders/7");
    b.now += 2_000;
    b.get("/api/export");
    let order = b.endpoint("/api/orders/{order_id}");
    assert_eq!((order.life, order.requests), (Life::Dormant, 2));
    assert_eq!(
        (b.endpoint("/api/old").life, b.endpoint("/api/old").requests),
        (Life::Dormant, 0)
    );
}

#[test]
fn a_restart_goes_on_where_it_stopped() {
    let mut b = Bench::new();
    for id in 0..20 {
        b.get(&format!("/v1/users/{id}"));
        b.get(&format!("/v1/things/{id}/parts"));
    }
    let before = b.catalog.view();
    let mut again = Catalog::restore(Settings::default(), &b.catalog.save()).unwrap();
    assert_eq!(again.view().endpoints, before.endpoints);
    b.catalog = again;
    let access = b.get("/v1/users/99");
    assert_eq!(
        access.endpoint,
        before
            .endpoints
            .iter()
            .find(|e| e.template.contains("users"))
            .map(|e| e.id)
    );
    assert!(Catalog::restore(Settings::default(), b"").is_err());
    assert!(Catalog::restore(Settings::default(), b"\x01nonsense").is_err());
}

#[test]
fn a_bad_spec_is_refused_with_its_line() {
    let error = |text: &str| parse("a.yaml", text).unwrap_err();
    assert_eq!(error("openapi: 3.0.0\npaths: [\n").line, Some(2));
    assert_eq!(error("{\n\"openapi\": \"3.0.0\",\n}").line, Some(3));
    assert!(
        error("openapi: 4.0.0\npaths: {}\n")
            .reason
            .contains("4.0.0")
    );
    assert!(error("openapi: 3.0.0\n").reason.contains("paths"));
}

#[test]
fn references_are_followed_and_circles_end() {
    let text = r##"{"swagger": "2.0", "info": {"title": "T"}, "host": "h", "basePath": "/b", "paths": {
        "/a": {"$ref": "#/x/a"}, "/c": {"$ref": "#/paths/~1c"}}, "x": {"a": {"get": {"operationId": "one"}}}}"##;
    let spec = parse("a.json", text).unwrap();
    assert_eq!((spec.operations, spec.scope()), (1, vec!["h/b".to_owned()]));
}

#[test]
fn the_observed_document_declares_its_parameters() {
    let mut b = Bench::new();
    for id in 0..3 {
        b.get(&format!("/v1/users/{id}/posts/{id}"));
    }
    let view = b.catalog.view();
    let endpoints: Vec<&EndpointView> = view.endpoints.iter().map(AsRef::as_ref).collect();
    let document = openapi::documents(&endpoints).remove(0);
    let operation = &document["paths"]["/v1/users/{user_id}/posts/{post_id}"]["get"];
    assert_eq!(
        operation["parameters"].as_array().map(Vec::len),
        Some(2),
        "{document}"
    );
    assert!(operation["responses"]["200"].is_object());
}

proptest::proptest! {
    #[test]
    fn any_path_is_survived(calls in proptest::collection::vec((".{0,40}", 100_u16..600), 0..60)) {
        let mut b = Bench::with(Settings { max_endpoints: 20, max_nodes: 100, ..Settings::default() });
        for (path, status) in calls {
            b.call("GET", "h", &format!("/{path}"), status);
        }
        b.labels();
        let restored = Catalog::restore(Settings::default(), &b.catalog.save()).map(|mut c| c.view().endpoints.clone());
        proptest::prop_assert_eq!(restored.ok(), Some(b.catalog.view().endpoints.clone()));
    }
}

#[test]
fn dormant_is_held_back_while_the_capture_is_lossy_and_says_so() {
    let mut b = Bench::with(Settings {
        dormant_after: Duration::from_secs(1_000),
        ..Settings::default()
    });
    b.specs(&[SPEC]);
    b.get("/api/orders/7");
    b.get("/api/orders/7");
    assert_eq!(b.endpoint("/api/orders/{order_id}").life, Life::Active);
    b.now += 2_000;
    // Of every fourth call a half is lost.
    for n in 0..40 {
        b.now += 1;
        let mut x = Exchange::at(Timestamp::from_secs(b.now));
        (x.method, x.host) = (Some("GET".into()), Some("shop.example".into()));
        x.path = Some("/api/orders/search".into());
        x.partial.unpaired = n % 4 == 0;
        x.status = Some(200).filter(|_| !x.partial.unpaired);
        let access = b.catalog.apply(&x, &mut b.changes);
        assert_eq!(access.complete, n < 19, "{n}");
    }
    for template in ["/api/orders/{order_id}", "/api/old"] {
        let silent = b.endpoint(template);
        assert_ne!(silent.life, Life::Dormant);
        let why = silent.held_back.unwrap();
        assert!(
            why.contains("not said to be dormant") && why.contains("25 %"),
            "{why}"
        );
    }
    // Ten good minutes later it can be said.
    for _ in 0..700 {
        b.get("/api/orders/search");
    }
    for template in ["/api/orders/{order_id}", "/api/old"] {
        let silent = b.endpoint(template);
        assert_eq!((silent.life, silent.held_back), (Life::Dormant, None));
    }
    // Unless the tap itself is losing packets.
    b.catalog
        .set_tap_loss(Some("on eth1 packets are dropped".into()));
    let silent = b.endpoint("/api/old");
    assert!(silent.held_back.is_some_and(|why| why.contains("eth1")));
}

#[test]
fn an_operation_that_another_document_holds_is_not_called_silent() {
    let mut b = Bench::with(Settings {
        dormant_after: Duration::from_secs(1_000),
        ..Settings::default()
    });
    let shop = SPEC.replace("{where}.example", "shop.example");
    let twin = shop.replace("title: Shop", "title: Twin");
    b.specs(&[&shop, &twin]);
    b.get("/api/orders/7");
    b.now += 2_000;
    b.get("/api/orders/7");
    let view = b.catalog.view();
    let silent = view.endpoints.iter().filter(|e| e.requests == 0);
    let of: Vec<_> = silent.filter_map(|e| e.spec.as_deref()).collect();
    assert_eq!(of, ["Shop", "Shop"], "of the first alone");
}

#[test]
fn what_falls_silent_becomes_dormant_without_being_called() {
    let mut b = Bench::with(Settings {
        dormant_after: Duration::from_secs(1_000),
        ..Settings::default()
    });
    b.specs(&[SPEC]);
    b.get("/api/orders/7");
    b.get("/api/orders/7");
    assert_eq!(b.endpoint("/api/orders/{order_id}").life, Life::Active);
    b.catalog
        .tick(Timestamp::from_secs(b.now + 2_000), &mut b.changes);
    assert_eq!(b.endpoint("/api/orders/{order_id}").life, Life::Dormant);
}

mod admission;
mod decisions;
mod operations;
mod pins;
mod publishing;
mod templates;
mod tenants;
mod words;
