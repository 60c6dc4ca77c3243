//! Tenants that share an API.

use super::*;
use crate::catalog::groups::HostGroup;

fn serve(b: &mut Bench, host: &str) {
    for n in 0..3 {
        b.call("GET", host, &format!("/v1/orders/{n}"), 200);
        b.call("POST", host, "/v1/carts", 201);
        b.call("GET", host, "/v1/profile", 200);
    }
}

const GROUP: [&str; 3] = [
    "POST {tenant}.api.example.com /v1/carts",
    "GET {tenant}.api.example.com /v1/orders/{order_id}",
    "GET {tenant}.api.example.com /v1/profile",
];

#[test]
fn a_rule_makes_one_group_and_any_number_of_tenants_costs_nothing() {
    let mut b = Bench::with(Settings {
        host_groups: vec![HostGroup {
            pattern: "*.api.example.com".into(),
            name: String::new(),
        }],
        ..Settings::default()
    });
    let spec = "openapi: 3.1.0\ninfo: { title: Shared }\nservers: [{ url: 'https://t0.api.example.com' }]\npaths: { /v1/profile: { get: { operationId: me } } }\n";
    b.specs(&[spec]);
    for n in 0..2_000 {
        serve(&mut b, &format!("t{n}.api.example.com"));
    }
    assert_eq!(b.labels(), GROUP);
    let view = b.catalog.view();
    assert_eq!(view.hosts.len(), 1);
    assert_eq!(view.endpoints[2].operation_id.as_deref(), Some("me"));
    assert_eq!(
        b.catalog
            .assign("GET", "never-seen.api.example.com", "/v1/orders/9", None)
            .as_deref(),
        Some(GROUP[1])
    );
}

#[test]
fn tenants_are_found_by_evidence_and_hosts_with_a_job_stay() {
    let mut b = Bench::new();
    for n in 0..10 {
        serve(&mut b, &format!("t{n}.api.example.com"));
    }
    for host in ["www.api.example.com", "admin.api.example.com"] {
        serve(&mut b, host);
    }
    let requests: u64 = b.catalog.view().endpoints.iter().map(|e| e.requests).sum();
    let labels = b.labels();
    assert_eq!(labels.len(), 9, "{labels:?}");
    assert!(
        GROUP.iter().all(|l| labels.contains(&(*l).to_owned())),
        "{labels:?}"
    );
    assert!(b.changes.iter().any(|c| matches!(c, Change::Merged { .. })));
    let view = b.catalog.view();
    let after: u64 = view.endpoints.iter().map(|e| e.requests).sum();
    assert_eq!(requests, after, "counts are kept");
    // What comes later joins at once, and a hundred thousand make no host.
    for n in 0..100_000 {
        b.call("GET", &format!("n{n}.api.example.com"), "/v1/profile", 200);
    }
    assert_eq!(b.labels(), labels);
    let saved = b.catalog.save();
    b.catalog = Catalog::restore(Settings::default(), &saved).unwrap();
    serve(&mut b, "later.api.example.com");
    assert_eq!(b.labels(), labels);
}

#[test]
fn services_of_one_domain_are_no_tenants() {
    let mut b = Bench::new();
    for n in 0..20 {
        let host = format!("s{n}.example.org");
        for _ in 0..3 {
            b.call("GET", &host, "/health", 200);
            b.call("GET", &host, "/login", 200);
            b.call("GET", &host, &format!("/things{n}/list"), 200);
            b.call("POST", &host, &format!("/things{n}/add"), 200);
        }
    }
    let labels = b.labels();
    assert!(!labels.iter().any(|l| l.contains("{tenant}")), "{labels:?}");
}

#[test]
fn what_was_decided_of_a_tenant_is_decided_of_the_group() {
    let mut b = Bench::new();
    for n in 0..7 {
        serve(&mut b, &format!("t{n}.api.example.com"));
    }
    let view = b.catalog.view();
    let keys: Vec<String> = view
        .endpoints
        .iter()
        .take(3)
        .map(|e| e.key.clone())
        .collect();
    let d = Decision {
        id: 1,
        at: Timestamp::from_secs(1_770_000_000),
        seen: b.catalog.now(),
        by: "ann".into(),
        action: Action::Accept,
        places: b.catalog.places(&keys),
        value: None,
        note: None,
        undoes: None,
    };
    b.catalog.decide(&d, &mut b.changes);
    serve(&mut b, "t7.api.example.com");
    assert_eq!(b.labels(), GROUP);
    let view = b.catalog.view();
    assert!(view.endpoints.iter().all(|e| e.accepted.is_some()));
    assert_eq!(b.catalog.held(&d).len(), 3);
    for _ in 0..2 {
        b.call("GET", "t1.api.example.com", "/v1/late", 200);
    }
    assert_eq!(b.endpoint("/v1/late").documentation, Documentation::Shadow);
}
